/* SPDX-License-Identifier: Apache-2.0 */
#include "io/pem.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define TIME_TEXT 64

static const char *reason(void)
{
    const char *s = ERR_reason_error_string(ERR_peek_last_error());
    return s ? s : "no reason given";
}

/* "2026-11-20 08:00:00 UTC" */
static void put_time(char out[TIME_TEXT], const ASN1_TIME *t)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(t, &tm) != 1 || strftime(out, TIME_TEXT, "%F %T UTC", &tm) == 0)
        (void)snprintf(out, TIME_TEXT, "a time that cannot be read");
}

/* 1: said. */
static int valid_now(const X509 *x, struct err *err)
{
    char name[256] = "", when[TIME_TEXT];
    const ASN1_TIME *until = X509_get0_notAfter(x), *from = X509_get0_notBefore(x);
    bool over = X509_cmp_current_time(until) < 0;
    if (!over && X509_cmp_current_time(from) < 0)
        return 0;
    (void)X509_NAME_oneline(X509_get_subject_name(x), name, sizeof(name));
    put_time(when, over ? until : from);
    (void)err_set(err, 0, "the certificate of %s is not valid now: it %s %s", name,
                  over ? "expired on" : "begins on", when);
    return 1;
}

/* What stands in its first line, if it is no certificate. */
static const char *instead(const char *text, size_t n)
{
    static const struct {
        const char *begin, *what;
    } known[] = {{"PRIVATE KEY-----", "a private key"},
                 {"PUBLIC KEY-----", "a public key"},
                 {"CERTIFICATE REQUEST-----", "a request for a certificate"},
                 {"X509 CRL-----", "a list of revoked certificates"}};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (memmem(text, n, known[i].begin, strlen(known[i].begin)))
            return known[i].what;
    return NULL;
}

int pem_certificates(const char *text, size_t n, struct err *err)
{
    BIO *b = BIO_new_mem_buf(text, (int)n);
    int found = 0, late = 0;
    ERR_clear_error();
    for (X509 *x; (x = PEM_read_bio_X509_AUX(b, NULL, NULL, NULL)); found++) {
        late = late ? late : valid_now(x, err);
        X509_free(x);
    }
    bool end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    BIO_free(b);
    int r = late;
    if (!end)
        r = err_set(err, -EINVAL, "certificate %d in it cannot be read: %s", found + 1,
                    reason());
    else if (found == 0 && instead(text, n))
        r = err_set(err, -EINVAL, "there is %s in it, expected a certificate",
                    instead(text, n));
    else if (found == 0)
        r = err_set(err, -EINVAL, "there is no certificate in it");
    ERR_clear_error();
    return r;
}

static int give_password(char *out, int size, int writing, void *ctx)
{
    (void)writing;
    int n = snprintf(out, (size_t)size, "%s", ctx ? (const char *)ctx : "");
    return n < size ? n : size - 1;
}

int pem_key(const char *cert, size_t cert_n, const char *key, size_t key_n,
            const char *password, struct err *err)
{
    BIO *c = BIO_new_mem_buf(cert, (int)cert_n), *k = BIO_new_mem_buf(key, (int)key_n);
    X509 *x = PEM_read_bio_X509_AUX(c, NULL, NULL, NULL);
    int r = 0;
    ERR_clear_error();
    EVP_PKEY *p = PEM_read_bio_PrivateKey(k, NULL, give_password, (void *)(uintptr_t)password);
    bool locked = memmem(key, key_n, "ENCRYPTED", 9) != NULL;
    if (!p && locked)
        r = err_set(err, -EINVAL, "the key is encrypted%s",
                    password ? ", and key_password_file has not its password"
                             : ", expected its password in key_password_file");
    else if (!p && !memmem(key, key_n, "PRIVATE KEY-----", 16))
        r = err_set(err, -EINVAL, "there is no private key in it");
    else if (!p)
        r = err_set(err, -EINVAL, "the key in it cannot be read: %s", reason());
    else if (x && X509_check_private_key(x, p) != 1)
        r = err_set(err, -EINVAL, "the key is not that of the certificate in cert_file");
    EVP_PKEY_free(p);
    X509_free(x);
    BIO_free(k);
    BIO_free(c);
    ERR_clear_error();
    return r;
}
