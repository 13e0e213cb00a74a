/* SPDX-License-Identifier: Apache-2.0 */
#include "io/mqtt_private.h"

#include <MQTTReasonCodes.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/*
 * Paho reports a failed connection as "TCP/TLS connect failure" and no more. People need to
 * know whether the port is closed, the certificate expired or the name wrong; so after a
 * failure, and only then, we walk the same way once more ourselves and listen.
 */

enum { STEP_MS = 2000 };

const char *mqtt_code_text(int version, int code, bool connack)
{
    static const char *const old[] = {
        "accepted",           "unacceptable protocol version", "client id not accepted",
        "server unavailable", "bad user name or password",     "not authorised"};
    if (connack && code >= 0 &&
        code < 6) /* also an old broker answering a CONNECT of version 5 */
        return old[code];
    if (version < 5)
        return "refused, without a reason (MQTT 3.1.1 has none)";
    if (code == MQTTREASONCODE_SESSION_TAKEN_OVER)
        return "session taken over by another client with our client id";
    const char *s = MQTTReasonCode_toString((enum MQTTReasonCodes)code);
    return s ? s : "unknown reason";
}

/* A connected socket, or a negative errno. */
static int tcp_connect(const char *address, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV},
                    *a = NULL;
    if (getaddrinfo(address, port, &hints, &a))
        return -EINVAL;
    int rc, fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        rc = -errno;
        goto out;
    }
    rc = connect(fd, a->ai_addr, a->ai_addrlen) == 0 ? 0 : -errno;
    if (rc == -EINPROGRESS) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        int error = ETIMEDOUT;
        socklen_t len = sizeof(error);
        if (poll(&p, 1, STEP_MS) == 1)
            (void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
        rc = -error;
    }
    if (rc == 0) {
        struct timeval t = {.tv_sec = STEP_MS / 1000};
        (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
        rc = fd;
    } else {
        (void)close(fd);
    }
out:
    freeaddrinfo(a);
    return rc;
}

static const char *last_reason(void)
{
    const char *s = ERR_reason_error_string(ERR_peek_last_error());
    return s ? s : "no reason given";
}

static int give_password(char *out, int size, int writing, void *ctx)
{
    (void)writing;
    int n = snprintf(out, (size_t)size, "%s", ctx ? (const char *)ctx : "");
    return n < size ? n : size - 1;
}

static SSL_CTX *make_context(struct mqtt *m, char *out, size_t size)
{
    const struct conf_tls *t = &m->broker->tls;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx)
        return NULL;
    (void)SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_default_passwd_cb(ctx, give_password);
    SSL_CTX_set_default_passwd_cb_userdata(ctx, m->key_password);
    const char *key = t->key_file ? t->key_file : t->cert_file;
    *out = '\0';
    if (t->ca_file ? SSL_CTX_load_verify_locations(ctx, t->ca_file, NULL) != 1
                   : SSL_CTX_set_default_verify_paths(ctx) != 1)
        (void)snprintf(out, size, "tls.ca_file %s cannot be used: %s",
                       t->ca_file ? t->ca_file : "(the system's)", last_reason());
    else if (t->cert_file && SSL_CTX_use_certificate_chain_file(ctx, t->cert_file) != 1)
        (void)snprintf(out, size, "tls.cert_file %s cannot be used: %s", t->cert_file,
                       last_reason());
    else if (key && SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
        (void)snprintf(out, size, "tls.key_file %s cannot be used: %s%s", key, last_reason(),
                       m->key_password ? " (is the key's password right?)"
                                       : " (does it need tls.key_password_file?)");
    else if (t->cert_file && SSL_CTX_check_private_key(ctx) != 1)
        (void)snprintf(out, size, "tls.key_file %s does not belong to tls.cert_file %s", key,
                       t->cert_file);
    if (*out) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

static void certificate_words(struct mqtt *m, const struct mqtt_url *u, long verify, char *out,
                              size_t size)
{
    const char *text = X509_verify_cert_error_string(verify);
    if (verify == X509_V_ERR_HOSTNAME_MISMATCH || verify == X509_V_ERR_IP_ADDRESS_MISMATCH)
        (void)snprintf(out, size, "the server's certificate is not for \"%s\" (%s)", u->host,
                       text);
    else if (verify == X509_V_ERR_CERT_HAS_EXPIRED || verify == X509_V_ERR_CERT_NOT_YET_VALID)
        (void)snprintf(out, size, "the server's certificate is not valid now: %s", text);
    else
        (void)snprintf(
            out, size, "the server's certificate is not trusted: %s; expected one signed by %s",
            text,
            m->broker->tls.ca_file ? m->broker->tls.ca_file : "a CA that this machine knows");
}

static void handshake_words(struct mqtt *m, char *out, size_t size)
{
    const char *reason = last_reason();
    if (ERR_peek_last_error() == 0 || strstr(reason, "unexpected eof"))
        (void)snprintf(
            out, size,
            "the server closed the connection during the TLS handshake: does it speak "
            "TLS on this port?");
    else if (strstr(reason, "alert") && strstr(reason, "certificate"))
        (void)snprintf(out, size, "the server %s: %s",
                       m->broker->tls.cert_file
                           ? "refuses our client certificate (tls.cert_file)"
                           : "wants a client certificate (tls.cert_file, tls.key_file)",
                       reason);
    else if (strstr(reason, "alert unknown ca"))
        (void)snprintf(out, size,
                       "the server does not trust our client certificate (tls.cert_file): %s",
                       reason);
    else if (strstr(reason, "wrong version number") || strstr(reason, "packet length too long"))
        (void)snprintf(out, size, "the server does not speak TLS on this port (%s)", reason);
    else
        (void)snprintf(out, size, "TLS handshake failed: %s", reason);
}

static bool tls_words(struct mqtt *m, const struct mqtt_url *u, int fd, char *out, size_t size)
{
    ERR_clear_error();
    SSL_CTX *ctx = make_context(m, out, size);
    if (!ctx) {
        ERR_clear_error();
        return *out != '\0';
    }
    bool wrong = false;
    SSL *ssl = SSL_new(ctx);
    if (!ssl)
        goto out;
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST}, *a = NULL;
    if (getaddrinfo(u->host, NULL, &hints, &a) == 0) { /* an address, not a name */
        freeaddrinfo(a);
        (void)X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), u->host);
    } else {
        (void)SSL_set1_host(ssl, u->host);
        (void)SSL_set_tlsext_host_name(ssl, u->host);
    }
    (void)SSL_set_fd(ssl, fd);
    if (SSL_connect(ssl) != 1) {
        wrong = true;
        long verify = SSL_get_verify_result(ssl);
        if (verify != X509_V_OK)
            certificate_words(m, u, verify, out, size);
        else
            handshake_words(m, out, size);
    } else {
        /* With TLS 1.3 the server judges our certificate after we think that all is well. */
        char byte;
        if (SSL_read(ssl, &byte, 1) <= 0 && ERR_peek_last_error() != 0) {
            wrong = true;
            handshake_words(m, out, size);
        }
    }
out:
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    ERR_clear_error();
    return wrong;
}

bool mqtt_diagnose(struct mqtt *m, const struct mqtt_url *u, const char *address, char *out,
                   size_t size)
{
    int fd = tcp_connect(address, u->port);
    if (fd < 0) {
        char name[128];
        (void)snprintf(out, size, "%s port %s: %s", address, u->port,
                       strerror_r(-fd, name, sizeof(name)));
        return true;
    }
    bool wrong = u->tls && tls_words(m, u, fd, out, size);
    (void)close(fd);
    return wrong;
}
