/* SPDX-License-Identifier: Apache-2.0 */
/* Where and as whom each kind of database is written to (docs/sinks.md). */
#include "app/sink_int.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void put_encoded(struct buf *b, const char *s)
{
    static const char hex[] = "0123456789ABCDEF";
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     (c >= '0' && c <= '9') || strchr("-._~", c);
        if (plain) {
            buf_putc(b, *s);
            continue;
        }
        buf_putc(b, '%');
        buf_putc(b, hex[c >> 4]);
        buf_putc(b, hex[c & 15]);
    }
}

static void put_option(struct buf *b, bool *first, const char *key, const char *value)
{
    if (!value || !*value)
        return;
    buf_putc(b, *first ? '?' : '&');
    *first = false;
    buf_puts(b, key);
    buf_putc(b, '=');
    put_encoded(b, value);
}

int sink_make_urls(struct sink *s, const struct sink_options *o, struct err *err)
{
    const struct conf_sink *c = o->conf;
    struct buf b;
    bool first = true;
    size_t len = strlen(c->url);
    while (len > 0 && c->url[len - 1] == '/')
        len--;
    buf_init(&b, 16384);
    buf_put(&b, c->url, len);
    switch ((enum conf_sink_type)c->type) {
    case CONF_INFLUXDB1: /* nanoseconds are what no precision parameter means, in every version
                          */
        buf_puts(&b, "/write");
        put_option(&b, &first, "db", c->database);
        put_option(&b, &first, "rp", c->retention_policy);
        break;
    case CONF_INFLUXDB2:
        buf_puts(&b, "/api/v2/write");
        put_option(&b, &first, "org", c->org);
        put_option(&b, &first, "bucket", c->bucket);
        put_option(&b, &first, "precision", "ns");
        break;
    case CONF_INFLUXDB3:
        buf_puts(&b, "/api/v3/write_lp");
        put_option(&b, &first, "db", c->database);
        put_option(&b, &first, "precision", "nanosecond");
        break;
    case CONF_VICTORIAMETRICS:
        buf_puts(&b, "/write");
        put_option(&b, &first, "db", c->database);
        s->metrics_url = mem_printf("%.*s/metrics", (int)len, c->url);
        break;
    }
    if (b.failed) {
        buf_done(&b);
        return err_set(err, -EINVAL, "sink %s: the URL is longer than 16 KiB", c->id);
    }
    s->url = mem_strdup(buf_cstr(&b));
    buf_done(&b);
    if (o->token)
        s->auth_header = mem_printf("Authorization: %s %s",
                                    c->type == CONF_INFLUXDB2 ? "Token" : "Bearer", o->token);
    else if (c->username) {
        s->username = mem_strdup(c->username);
        s->password = mem_strdup(o->password ? o->password : "");
    }
    return 0;
}
