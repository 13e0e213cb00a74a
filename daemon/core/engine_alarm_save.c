/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The alarms' part of the engine's state (docs/snapshot.md): listeners and rows, then what
 * core/alarm.h and core/cases.h write of themselves, and at the end how long those two are.
 */
#include "base/mem.h"
#include "core/engine_alarm_private.h"
#include "core/state.h"
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

static void put_own(const struct engine_alarms *a, struct state_writer *w)
{
    state_put_u64(w, a->clock_told);
    state_put_u64(w, a->n_listeners);
    for (size_t i = 0; i < a->n_listeners; i++) {
        const struct listener *l = &a->listeners[i];
        state_put_name(w, l->firm);
        state_put_u64(w, (uint64_t)l->touched << 2 | (uint64_t)l->online << 1 | l->absent);
        state_put_u64(w, l->offline_ns);
        state_put_u64(w, l->concern_ns);
    }
    state_put_u64(w, a->n_rows);
    for (size_t i = 0; i < a->n_rows; i++) {
        state_put_name(w, a->rows[i].compound);
        state_put_name(w, a->rows[i].firm);
        state_put_u64(w, a->rows[i].severity);
    }
}

int engine_alarms_save(const struct engine *e, engine_put_fn *put, void *ctx)
{
    const struct engine_alarms *a = e->alarms;
    struct counter c = {.put = put, .ctx = ctx};
    uint64_t lens[2] = {0, 0};
    struct state_writer w;
    state_writer_init(&w, put, ctx);
    put_own(a, &w);
    int r = state_writer_done(&w);
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

static void get_code(struct state_reader *r, char out[STATE_NAME_MAX + 1])
{
    state_get_name(r, out);
    state_expect(r, text_is_code(out, strlen(out)));
    if (r->failed)
        out[0] = '\0';
}

static void get_own(struct engine_alarms *a, struct state_reader *r)
{
    char code[STATE_NAME_MAX + 1];
    a->clock_told = state_get_up_to(r, 1) != 0;
    uint64_t n = state_get_up_to(r, ENGINE_LISTENERS);
    for (uint64_t i = 0; i < n && !r->failed; i++) {
        get_code(r, code);
        struct listener *l = engine_listener_add(a, code);
        uint64_t flags = state_get_up_to(r, 7);
        l->absent = flags & 1;
        l->online = flags >> 1 & 1;
        l->touched = flags >> 2 & 1;
        a->touched |= l->touched;
        l->offline_ns = state_get_u64(r);
        l->concern_ns = state_get_u64(r);
    }
    n = state_get_up_to(r, MAX_ROWS);
    a->rows = mem_zalloc_array(n, sizeof(*a->rows));
    for (uint64_t i = 0; i < n && !r->failed; i++) {
        get_code(r, code);
        a->rows[a->n_rows].compound = mem_strdup(code);
        get_code(r, code);
        a->rows[a->n_rows].firm = mem_strdup(code);
        a->rows[a->n_rows++].severity = (enum severity)state_get_up_to(r, SEVERITIES - 1);
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
    struct state_reader r = {.p = bytes, .end = bytes + own};
    bool none = lens[0] + lens[1] == 0;
    if (none)
        engine_alarms_ready(e, e->at.tick);
    else
        engine_alarms_stand(e, e->at.tick);
    get_own(a, &r);
    if (!state_all_read(&r))
        return -EBADMSG;
    if (none)
        return 0;
    if (!a->world || alarm_load(a->alarm, bytes + own, (size_t)lens[0]) != 0)
        return -EBADMSG;
    return cases_load(a->cases, bytes + own + lens[0], (size_t)lens[1]);
}
