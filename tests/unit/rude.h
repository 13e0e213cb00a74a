/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNIT_RUDE_H
#define UNIT_RUDE_H
/*
 * rude — an HTTP server in a thread that answers whatever the test says: any bytes, late,
 * never, or by closing. One thread per connection; the handler runs under one lock. Include it
 * once.
 */
#include "base/mem.h"

#include <arpa/inet.h>
#include <isa-l/igzip_lib.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct rude_request {
    const char *head; /* request line and headers, NUL-terminated */
    const char *body; /* as sent */
    size_t body_len;
    char *text; /* unpacked, NUL-terminated */
};
struct rude_reply {
    char bytes[200000]; /* as they go out; status line and all */
    size_t len;
    unsigned delay_ms;
    bool close; /* after the bytes */
};
typedef void rude_fn(void *ctx, const struct rude_request *r, struct rude_reply *out);

struct rude {
    int fd, port;
    rude_fn *fn;
    void *ctx;
    pthread_t thread;
    pthread_mutex_t lock;
    int conns[256];
    pthread_t threads[256];
    int n_conns;
    bool stop;
};
struct rude_conn {
    struct rude *r;
    int fd;
};

static void rude_say(struct rude_reply *out, int status, const char *extra, const char *body)
{
    out->len = (size_t)snprintf(out->bytes, sizeof(out->bytes),
                                "HTTP/1.1 %d X\r\n%s%sContent-Length: %zu\r\n\r\n%s", status,
                                extra, *extra ? "\r\n" : "", status == 204 ? 0 : strlen(body),
                                status == 204 ? "" : body);
}

static char *rude_unpack(const char *p, size_t n, bool gzip)
{
    if (!gzip)
        return mem_strndup(p, n);
    size_t cap = 32u << 20;
    char *out = mem_zalloc(cap + 1);
    struct inflate_state *s = mem_zalloc(sizeof(*s));
    isal_inflate_init(s);
    s->crc_flag = ISAL_GZIP;
    s->next_in = (uint8_t *)(uintptr_t)p;
    s->avail_in = (uint32_t)n;
    s->next_out = (uint8_t *)out;
    s->avail_out = (uint32_t)cap;
    (void)isal_inflate(s);
    out[s->total_out] = '\0';
    free(s);
    return out;
}

static void *rude_serve(void *arg)
{
    struct rude_conn c = *(struct rude_conn *)arg;
    free(arg);
    size_t cap = 8u << 20, len = 0;
    char *buf = mem_zalloc(cap + 1);
    struct rude_reply *reply = mem_zalloc(sizeof(*reply));
    for (;;) {
        char *end;
        buf[len] = '\0';
        while (!(end = memmem(buf, len, "\r\n\r\n", 4))) {
            ssize_t n = read(c.fd, buf + len, cap - len);
            if (n <= 0)
                goto out;
            len += (size_t)n;
        }
        *end = '\0';
        size_t head = (size_t)(end - buf) + 4, body = 0;
        const char *cl = strcasestr(buf, "content-length:");
        if (cl)
            body = (size_t)atol(cl + 15);
        while (len < head + body) {
            ssize_t n = read(c.fd, buf + len, cap - len);
            if (n <= 0)
                goto out;
            len += (size_t)n;
        }
        struct rude_request r = {buf, buf + head, body, NULL};
        r.text = rude_unpack(r.body, body, strcasestr(buf, "content-encoding: gzip") != NULL);
        memset(reply, 0, sizeof(*reply));
        pthread_mutex_lock(&c.r->lock);
        c.r->fn(c.r->ctx, &r, reply);
        pthread_mutex_unlock(&c.r->lock);
        free(r.text);
        for (unsigned ms = 0; ms < reply->delay_ms && !c.r->stop; ms += 10)
            usleep(10000);
        if (reply->len && send(c.fd, reply->bytes, reply->len, MSG_NOSIGNAL) < 0)
            break;
        if (reply->close || !reply->len)
            break;
        memmove(buf, buf + head + body, len - head - body);
        len -= head + body;
    }
out:
    shutdown(c.fd, SHUT_RDWR);
    free(buf);
    free(reply);
    return NULL;
}

static void *rude_accept(void *arg)
{
    struct rude *r = arg;
    for (;;) {
        int fd = accept(r->fd, NULL, NULL);
        if (fd < 0 || r->stop) {
            if (fd >= 0)
                close(fd);
            return NULL;
        }
        if (r->n_conns == 256) {
            close(fd);
            continue;
        }
        struct rude_conn *c = mem_zalloc(sizeof(*c));
        *c = (struct rude_conn){r, fd};
        r->conns[r->n_conns] = fd;
        pthread_create(&r->threads[r->n_conns++], NULL, rude_serve, c);
    }
}

static void rude_start(struct rude *r, rude_fn *fn, void *ctx, int port)
{
    memset(r, 0, sizeof(*r));
    r->fn = fn;
    r->ctx = ctx;
    pthread_mutex_init(&r->lock, NULL);
    r->fd = socket(AF_INET, SOCK_STREAM, 0);
    int one = 1;
    setsockopt(r->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    if (bind(r->fd, (struct sockaddr *)&a, n) != 0 || listen(r->fd, 64) != 0)
        abort();
    getsockname(r->fd, (struct sockaddr *)&a, &n);
    r->port = ntohs(a.sin_port);
    pthread_create(&r->thread, NULL, rude_accept, r);
}

static void rude_stop(struct rude *r)
{
    r->stop = true;
    shutdown(r->fd, SHUT_RDWR);
    pthread_join(r->thread, NULL);
    close(r->fd);
    for (int i = 0; i < r->n_conns; i++) {
        shutdown(r->conns[i], SHUT_RDWR);
        pthread_join(r->threads[i], NULL);
        close(r->conns[i]);
    }
}

#endif
