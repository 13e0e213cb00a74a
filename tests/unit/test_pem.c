/* SPDX-License-Identifier: Apache-2.0 */
/* pem: certificates and keys made here, right and in each other's place. */
#include "unit.h"

#include "io/pem.h"
#include "scratch.h"

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

struct text {
    char *p;
    size_t n;
};

static EVP_PKEY *keys[2];
static struct text good, late, early, key[2], locked, two, broken, nothing;

static struct text take(BIO *b)
{
    char *p;
    long n = BIO_get_mem_data(b, &p);
    struct text t = {malloc((size_t)n + 1), (size_t)n};
    memcpy(t.p, p, t.n);
    t.p[t.n] = '\0';
    BIO_free(b);
    return t;
}

static struct text certificate(EVP_PKEY *k, const char *name, long from_s, long to_s)
{
    X509 *x = X509_new();
    X509_NAME *n = X509_get_subject_name(x);
    BIO *b = BIO_new(BIO_s_mem());
    (void)ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    (void)X509_gmtime_adj(X509_getm_notBefore(x), from_s);
    (void)X509_gmtime_adj(X509_getm_notAfter(x), to_s);
    (void)X509_set_pubkey(x, k);
    (void)X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1,
                                     -1, 0);
    (void)X509_set_issuer_name(x, n);
    assert_true(X509_sign(x, k, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_bio_X509(b, x), 1);
    X509_free(x);
    return take(b);
}

static struct text private_key(EVP_PKEY *k, const char *password)
{
    BIO *b = BIO_new(BIO_s_mem());
    assert_int_equal(
        PEM_write_bio_PKCS8PrivateKey(b, k, password ? EVP_aes_128_cbc() : NULL, password,
                                      password ? (int)strlen(password) : 0, NULL, NULL),
        1);
    return take(b);
}

static int set_up(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        keys[i] = EVP_EC_gen("P-256");
        key[i] = private_key(keys[i], NULL);
    }
    good = certificate(keys[0], "good", -60, 3600);
    late = certificate(keys[0], "late", -7200, -3600);
    early = certificate(keys[0], "early", 3600, 7200);
    locked = private_key(keys[0], "open sesame");
    two = (struct text){malloc(good.n + late.n), good.n + late.n};
    memcpy(two.p, good.p, good.n);
    memcpy(two.p + good.n, late.p, late.n);
    broken = (struct text){malloc(good.n), good.n};
    memcpy(broken.p, good.p, good.n);
    memset(broken.p + 60, '!', 8);
    nothing = (struct text){strdup("hello\n"), 6};
    return 0;
}

static int tear_down(void **state)
{
    struct text *all[] = {&good,   &late, &early,  &key[0], &key[1],
                          &locked, &two,  &broken, &nothing};
    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        free(all[i]->p);
    EVP_PKEY_free(keys[0]);
    EVP_PKEY_free(keys[1]);
    return 0;
}

static void says(int r, int want, const struct err *e, const char *part)
{
    if (r != want || (part && !strstr(e->text, part)))
        fail_msg("%d \"%s\", expected %d \"%s\"", r, r ? e->text : "", want, part ? part : "");
}

static void certificates(void **state)
{
    (void)state;
    struct err e;
    says(pem_certificates(good.p, good.n, &e), 0, &e, NULL);
    says(pem_certificates(late.p, late.n, &e), 1, &e,
         "/CN=late is not valid now: it expired on 2");
    says(pem_certificates(early.p, early.n, &e), 1, &e,
         "/CN=early is not valid now: it begins on");
    says(pem_certificates(two.p, two.n, &e), 1, &e, "/CN=late");
    says(pem_certificates(key[0].p, key[0].n, &e), -EINVAL, &e,
         "there is a private key in it, expected a certificate");
    says(pem_certificates(locked.p, locked.n, &e), -EINVAL, &e, "a private key");
    says(pem_certificates(nothing.p, nothing.n, &e), -EINVAL, &e,
         "there is no certificate in it");
    says(pem_certificates("", 0, &e), -EINVAL, &e, "there is no certificate in it");
    says(pem_certificates(broken.p, broken.n, &e), -EINVAL, &e,
         "certificate 1 in it cannot be read");
    says(pem_certificates(good.p, good.n / 2, &e), -EINVAL, &e,
         "certificate 1 in it cannot be read");
}

static int pair(const struct text *c, const struct text *k, const char *password, struct err *e)
{
    return pem_key(c->p, c->n, k->p, k->n, password, e);
}

static void keys_of_certificates(void **state)
{
    (void)state;
    struct err e;
    says(pair(&good, &key[0], NULL, &e), 0, &e, NULL);
    says(pair(&good, &key[0], "none is needed", &e), 0, &e, NULL);
    says(pair(&good, &key[1], NULL, &e), -EINVAL, &e, "is not that of the certificate");
    says(pair(&good, &locked, "open sesame", &e), 0, &e, NULL);
    says(pair(&good, &locked, "sesame", &e), -EINVAL, &e,
         "key_password_file has not its password");
    says(pair(&good, &locked, NULL, &e), -EINVAL, &e,
         "expected its password in key_password_file");
    says(pair(&good, &good, NULL, &e), -EINVAL, &e, "there is no private key in it");
    says(pair(&nothing, &key[0], NULL, &e), 0, &e,
         NULL); /* the certificate is told elsewhere */
    if (strstr(e.text, "sesame"))
        fail_msg("a secret is said");
}

static void write_file(const char *path, const char *p, size_t n)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* One file of a configuration: what is said of it, or "". */
static const char *file_says(const char *path, bool as_key)
{
    static char said[512];
    struct problems *problems = problems_new(10);
    const struct pem_where where = {"gaihou.yaml", problems};
    struct pem_file cert = {.text = good.p, .n = good.n};
    struct pem_file f = {.option = "brokers.tls.x_file", .path = path, .line = 7, .col = 9};
    pem_file_load(&f, &where);
    if (as_key)
        pem_file_key(&f, &cert, NULL, &where);
    else
        pem_file_certificates(&f, &where);
    pem_file_done(&f);
    assert_null(f.text);
    assert_true(problems_count(problems) <= 1);
    (void)snprintf(said, sizeof(said), "%s",
                   problems_count(problems) ? problems_get(problems, 0) : "");
    problems_free(problems);
    return said;
}

static void says_of(const char *said, const char *part)
{
    if (*part ? !strstr(said, part) : *said != '\0')
        fail_msg("\"%s\", expected \"%s\"", said, part);
}

static void files_of_a_configuration(void **state)
{
    (void)state;
    char dir[128], path[160];
    (void)snprintf(path, sizeof(path), "%s/x.pem", scratch_make(dir, sizeof(dir)));
    says_of(file_says(NULL, false), "");
    says_of(file_says(path, false), "gaihou.yaml:7:9: error: brokers.tls.x_file: cannot read ");
    write_file(path, nothing.p, nothing.n);
    says_of(file_says(path, false), "x.pem is no PEM file, expected one with a line");
    write_file(path, good.p, good.n);
    says_of(file_says(path, false), "");
    says_of(file_says(path, true), "x.pem: there is no private key in it");
    write_file(path, late.p, late.n);
    says_of(file_says(path, false), "yaml:7:9: warning: brokers.tls.x_file: ");
    says_of(file_says(path, false), "x.pem: the certificate of /CN=late is not valid now");
    write_file(path, key[0].p, key[0].n);
    says_of(file_says(path, false), "x.pem: there is a private key in it");
    says_of(file_says(path, true), "");
    write_file(path, key[1].p, key[1].n);
    says_of(file_says(path, true), "x.pem: the key is not that of the certificate");
    char *large = calloc(1, ((size_t)1 << 20) + 1);
    write_file(path, large, ((size_t)1 << 20) + 1);
    says_of(file_says(path, false), "x.pem is larger than 1048576 bytes");
    free(large);
    scratch_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certificates),
        cmocka_unit_test(keys_of_certificates),
        cmocka_unit_test(files_of_a_configuration),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
