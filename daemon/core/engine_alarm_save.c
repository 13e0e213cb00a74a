/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The alarms' part of the engine's state (docs/snapshot.md): listeners and rows, then what
 * core/alarm.h and core/cases.h write of themselves, and at the end how long those two are.
 */
#include "base/mem.h"
#include "core/engine_alarm_private.h"
#include "core/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ROWS 100000

struct counter {
    engine_put_fn *put;
    void *ctx;
    uint64_t n;
};

static int put_counted(void *ctx, const void *p, size_t n)
{
    struct counter *c = ctx;
    c->n += n;
    return c->put(c->ctx, p, n);
}

static void put_u64(struct buf *b, uint64_t v)
{
    (void)buf_put(b, &v, sizeof(v));
}

static void put_code(struct buf *b, const char *s)
{
    uint8_t n = (uint8_t)strnlen(s, TEXT_CODE_MAX);
    (void)buf_put(b, &n, 1);
    (void)buf_put(b, s, n);
}

static void put_own(const struct engine_alarms *a, struct buf *b)
{
    put_u64(b, a->clock_told);
    put_u64(b, a->n_listeners);
    for (size_t i = 0; i < a->n_listeners; i++) {
        const struct listener *l = &a->listeners[i];
        put_code(b, l->firm);
        put_u64(b, (uint64_t)l->touched << 2 | (uint64_t)l->online << 1 | l->absent);
        put_u64(b, l->offline_ns);
        put_u64(b, l->concern_ns);
    }
    put_u64(b, a->n_rows);
    for (size_t i = 0; i < a->n_rows; i++) {
        put_code(b, a->rows[i].compound);
        put_code(b, a->rows[i].firm);
        put_u64(b, a->rows[i].severity);
    }
}

int engine_alarms_save(const struct engine *e, engine_put_fn *put, void *ctx)
{
    const struct engine_alarms *a = e->alarms;
    struct counter c = {.put = put, .ctx = ctx};
    uint64_t lens[2] = {0, 0};
    struct buf b;
    buf_init(&b, (size_t)64 << 20);
    put_own(a, &b);
    int r = b.failed ? -ENOBUFS : put(ctx, b.data, b.len);
    buf_done(&b);
    if (r == 0 && a->world) { /* else they are as new */
        r = alarm_save(a->alarm, put_counted, &c);
        lens[0] = c.n;
        if (r == 0)
            r = cases_save(a->cases, put_counted, &c);
        lens[1] = c.n - lens[0];
    }
    return r ? r : put(ctx, lens, sizeof(lens));
}

/* -- reading --------------------------------------------------------------------------------- */

struct reader {
    const char *p, *end;
    bool failed;
};

static uint64_t get_below(struct reader *r, uint64_t limit)
{
    uint64_t v = 0;
    if (r->failed || (size_t)(r->end - r->p) < sizeof(v)) {
        r->failed = true;
        return 0;
    }
    memcpy(&v, r->p, sizeof(v));
    r->p += sizeof(v);
    r->failed = v > limit;
    return r->failed ? 0 : v;
}

static void get_code(struct reader *r, char out[TEXT_CODE_MAX + 1])
{
    size_t n = r->failed || r->p == r->end ? 0 : (unsigned char)*r->p++;
    out[0] = '\0';
    if (n > TEXT_CODE_MAX || n > (size_t)(r->end - r->p) || !text_is_code(r->p, n)) {
        r->failed = true;
        return;
    }
    memcpy(out, r->p, n);
    out[n] = '\0';
    r->p += n;
}

static void get_own(struct engine_alarms *a, struct reader *r)
{
    char code[TEXT_CODE_MAX + 1];
    a->clock_told = get_below(r, 1) != 0;
    uint64_t n = get_below(r, ENGINE_LISTENERS);
    for (uint64_t i = 0; i < n && !r->failed; i++) {
        get_code(r, code);
        struct listener *l = engine_listener_add(a, code);
        uint64_t flags = get_below(r, 7);
        l->absent = flags & 1;
        l->online = flags >> 1 & 1;
        l->touched = flags >> 2 & 1;
        a->touched |= l->touched;
        l->offline_ns = get_below(r, UINT64_MAX);
        l->concern_ns = get_below(r, UINT64_MAX);
    }
    n = get_below(r, MAX_ROWS);
    a->rows = mem_zalloc_array(n, sizeof(*a->rows));
    for (uint64_t i = 0; i < n && !r->failed; i++) {
        get_code(r, code);
        a->rows[a->n_rows].compound = mem_strdup(code);
        get_code(r, code);
        a->rows[a->n_rows].firm = mem_strdup(code);
        a->rows[a->n_rows++].severity = (enum severity)get_below(r, SEVERITIES - 1);
    }
    engine_listeners_due(a);
}

int engine_alarms_load(struct engine *e, const char *bytes, size_t len)
{
    struct engine_alarms *a = e->alarms;
    uint64_t lens[2];
    if (len < sizeof(lens))
        return -EBADMSG;
    len -= sizeof(lens);
    memcpy(lens, bytes + len, sizeof(lens));
    if (lens[0] > len || lens[1] > len - lens[0])
        return -EBADMSG;
    size_t own = len - (size_t)lens[0] - (size_t)lens[1];
    struct reader r = {.p = bytes, .end = bytes + own};
    bool none = lens[0] + lens[1] == 0;
    if (none)
        engine_alarms_ready(e, e->at.tick);
    else
        engine_alarms_stand(e, e->at.tick);
    get_own(a, &r);
    if (r.failed || r.p != r.end)
        return -EBADMSG;
    if (none)
        return 0;
    if (!a->world || alarm_load(a->alarm, bytes + own, (size_t)lens[0]) != 0)
        return -EBADMSG;
    return cases_load(a->cases, bytes + own + lens[0], (size_t)lens[1]);
}
