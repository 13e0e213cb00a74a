/* SPDX-License-Identifier: Apache-2.0 */
#include "core/state.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <errno.h>
#include <math.h>

#define ROOM    65536
#define NO_TEXT UINT32_MAX

/* -- writing ------------------------------------------------------------------------------- */

void state_writer_init(struct state_writer *w, state_put_fn *put, void *ctx)
{
    *w = (struct state_writer){.b = &w->room, .put = put, .ctx = ctx};
    buf_init(&w->room, ROOM);
    (void)buf_room(&w->room, ROOM);
}

void state_writer_into(struct state_writer *w, struct buf *b)
{
    *w = (struct state_writer){.b = b};
}

static void hand_on(struct state_writer *w)
{
    if (w->b->len > 0 && w->failed == 0)
        w->failed = w->put(w->ctx, w->b->data, w->b->len);
    buf_clear(w->b);
}

int state_writer_done(struct state_writer *w)
{
    if (w->put)
        hand_on(w);
    buf_done(&w->room);
    return w->failed;
}

void state_put_far(struct state_writer *w, const void *p, size_t n)
{
    if (!w->put) {
        if (buf_put(w->b, p, n) != 0)
            w->failed = -ENOBUFS;
        return;
    }
    for (size_t at = 0, k; at < n; at += k) {
        if (w->b->len == ROOM)
            hand_on(w);
        k = n - at < ROOM - w->b->len ? n - at : ROOM - w->b->len;
        (void)buf_put(w->b, (const char *)p + at, k);
    }
}

void state_put_double(struct state_writer *w, double v)
{
    if (isnan(v))
        v = NAN;
    state_put(w, &v, sizeof(v));
}

void state_put_name(struct state_writer *w, const char *s)
{
    size_t n = strnlen(s, STATE_NAME_MAX);
    state_put_u8(w, (unsigned)n);
    state_put(w, s, n);
}

void state_put_text(struct state_writer *w, const char *s)
{
    size_t n = s ? strlen(s) : 0;
    state_put_uint(w, s ? n : NO_TEXT, 4);
    if (s)
        state_put(w, s, n);
}

/* -- reading ------------------------------------------------------------------------------- */

double state_get_double(struct state_reader *r)
{
    double v;
    state_get(r, &v, sizeof(v));
    return v;
}

void state_get_name(struct state_reader *r, char out[STATE_NAME_MAX + 1])
{
    unsigned n = state_get_u8(r);
    state_get(r, out, n);
    out[n] = '\0';
    state_expect(r, memchr(out, '\0', n) == NULL);
    if (r->failed)
        out[0] = '\0';
}

char *state_get_text(struct state_reader *r, size_t max, bool needed)
{
    uint64_t n = state_get_uint(r, 4);
    if (r->failed || (n == NO_TEXT && !needed))
        return NULL;
    state_expect(r, n <= max);
    const char *p = state_get_bytes(r, n);
    state_expect(r, p && !memchr(p, '\0', n) && utf8_valid(p, n));
    return r->failed ? NULL : mem_strndup(p, n);
}
