/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The small fakes: the thread of a start, the lock, systemd, the end of the process, and an HTTP server that is called
 * by the scenario.
 */
#include "base/log.h"
#include "base/mem.h"
#include "io/ahead.h"
#include "io/httpd.h"
#include "io/journal.h"
#include "io/lock.h"
#include "io/notify.h"
#include "io/secret.h"
#include "io/stop.h"
#include "sim/fakes.h"
#include "sim/world.h"
#include "sim/own.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One thread only: what would be read ahead is read when it is needed. */
struct ahead *ahead_begin(void (*fn)(void *ctx), void *ctx)
{
    (void)fn;
    (void)ctx;
    return NULL;
}

void ahead_end(struct ahead *a)
{
    (void)a;
}

int lock_take(const char *path)
{
    (void)path;
    return 0;
}

void lock_release(int fd)
{
    (void)fd;
}

void journal_sigbus_install(void)
{
}

/* systemd kills whom it does not hear of for so long (WatchdogSec=). Looked at where the status is
 * told, so that the order of events is that of every seed. */
#define WATCHDOG_NS UINT64_C(30000000000)
static uint64_t heard_ns;
bool sim_watches; /* the model stops whole machines for longer */

void notify_ready(void)
{
    heard_ns = sim_now();
}

void notify_reloading(void)
{
}

void notify_stopping(void)
{
}

void notify_watchdog(void)
{
    heard_ns = sim_now();
}

void notify_status(const char *fmt, ...)
{
    (void)fmt;
    if (sim_watches && sim_now() - heard_ns > WATCHDOG_NS)
        sim_fail("the watchdog was not fed for %llu s",
                 (unsigned long long)((sim_now() - heard_ns) / 1000000000u));
}

void stop_now(int code, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    log_error("%s", text);
    sim_set_exit_code(code);
    sim_die(SIM_FATAL);
}

const char *fake_secret = "secret";

/* Every secret is there. */
int secret_load(const char *name, struct err *err, struct err *out_remark, char **out)
{
    (void)name;
    (void)err;
    if (out_remark)
        out_remark->text[0] = '\0';
    *out = mem_strdup(fake_secret);
    return 0;
}

void secret_free(char *secret)
{
    free(secret);
}

/* -- HTTP server --------------------------------------------------------------------------- */

struct httpd {
    httpd_fn *fn;
    void *ctx;
};
struct httpd_request {
    char method[8], path[256], query[512], body[1024];
    fake_httpd_fn *fn;
    void *ctx;
};

static struct httpd *server;

int httpd_open(struct loop *l, const struct httpd_options *o, httpd_fn *fn, void *ctx,
               struct err *err, struct httpd **out)
{
    (void)l;
    (void)o;
    (void)err;
    *out = server = mem_zalloc(sizeof(*server));
    server->fn = fn;
    server->ctx = ctx;
    return 0;
}

void httpd_close(struct httpd *h)
{
    free(h);
    server = NULL;
}

int httpd_port(const struct httpd *h)
{
    (void)h;
    return 1;
}

const char *httpd_method(const struct httpd_request *r)
{
    return r->method;
}

const char *httpd_path(const struct httpd_request *r)
{
    return r->path;
}

const char *httpd_query(const struct httpd_request *r, const char *key)
{
    static char value[256];
    size_t n = strlen(key);
    for (const char *p = r->query; *p; p += strcspn(p, "&"), p += *p == '&') {
        if (strncmp(p, key, n) != 0 || p[n] != '=')
            continue;
        (void)snprintf(value, sizeof(value), "%.*s", (int)strcspn(p + n + 1, "&"), p + n + 1);
        return value;
    }
    return NULL;
}

const char *httpd_query_other(const struct httpd_request *r, const char *const *keys, size_t n)
{
    (void)r;
    (void)keys;
    (void)n;
    return NULL; /* scenarios misspell nothing */
}

const char *httpd_body(const struct httpd_request *r, size_t *out_len)
{
    *out_len = strlen(r->body);
    return r->body;
}

bool httpd_may_write(const struct httpd_request *r)
{
    (void)r;
    return true;
}

void httpd_answer(struct httpd_request *r, int status, const char *content_type,
                  const void *body, size_t len)
{
    (void)content_type;
    if (r->fn)
        r->fn(r->ctx, status, body, len);
    free(r);
}

void fake_httpd_request(const char *method, const char *path, const char *query,
                        const char *body, fake_httpd_fn *fn, void *ctx)
{
    struct httpd_request *r = mem_zalloc(sizeof(*r));
    (void)snprintf(r->method, sizeof(r->method), "%s", method);
    (void)snprintf(r->path, sizeof(r->path), "%s", path);
    (void)snprintf(r->query, sizeof(r->query), "%s", query ? query : "");
    (void)snprintf(r->body, sizeof(r->body), "%s", body ? body : "");
    r->fn = fn;
    r->ctx = ctx;
    server->fn(server->ctx, r);
}
