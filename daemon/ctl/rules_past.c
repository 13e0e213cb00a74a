/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/rules_past.h"
#include "base/mem.h"
#include "base/stamp.h"
#include "core/text.h"
#include "ctl/exit.h"
#include "ctl/site.h"
#include "io/content.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PROBLEMS 100

/* -- engines --------------------------------------------------------------------------------- */

static void on_point(void *ctx, const struct point *p)
{
    struct past_run *x = ctx;
    if (x->point)
        x->point(x->ctx, p);
}

static void on_letter(void *ctx, const struct engine_letter *l)
{
    (void)ctx;
    (void)l;
}

static void on_step(void *ctx, const struct position *at)
{
    ((struct past_run *)ctx)->at = *at;
}

static void on_step_end(void *ctx, const struct position *at)
{
    (void)ctx;
    (void)at;
}

static void on_transition(void *ctx, const struct transition *t)
{
    struct past_run *x = ctx;
    x->wall_ms = t->wall_ms;
    if (x->transition)
        x->transition(x->ctx, t);
}

static void on_reply(void *ctx, const struct case_reply *r)
{
    (void)ctx;
    (void)r;
}

/* The generation with this run's rules. NULL, told. */
static struct world *changed(const struct past *p, const struct past_run *x, const char *hash)
{
    char *bundle = NULL;
    size_t len = 0;
    struct buf other;
    struct world *w = NULL;
    int r = content_get(p->h.content_dir, hash, &bundle, &len);
    buf_init(&other, WORLD_MAX_BUNDLE);
    if (r == 0)
        r = x->rules ? world_bundle_other(bundle, len, x->catalog, x->rules, x->n_rules, &other)
                     : buf_put(&other, bundle, len);
    if (r != 0) {
        (void)fprintf(stderr, "gaihouctl: generation %s: %s\n", hash, strerror(-r));
    } else {
        struct problems *said = problems_new_kept(MAX_PROBLEMS);
        if (world_open(other.data, other.len, said, &w) != 0)
            (void)site_tell(said);
        problems_free(said);
    }
    free(bundle);
    buf_done(&other);
    return w;
}

static int use(struct past *p, struct past_run *x, const struct world *recorded)
{
    struct world *w = changed(p, x, recorded->hash);
    if (!w)
        return CTL_REFUSED;
    if (!x->engine)
        x->engine = engine_new(&(struct engine_out){.ctx = x,
                                                    .point = on_point,
                                                    .letter = on_letter,
                                                    .step = on_step,
                                                    .step_end = on_step_end,
                                                    .transition = on_transition,
                                                    .reply = on_reply});
    engine_use(x->engine, w);
    world_free(x->world);
    x->world = w;
    return CTL_DONE;
}

/* -- the walk -------------------------------------------------------------------------------- */

static int each(struct past *p, struct past_run *runs, size_t n, const struct record *r)
{
    int code = CTL_DONE;
    for (size_t i = 0; i < n; i++) {
        runs[i].wall_ms = r->wall_ns / 1000000;
        engine_record(runs[i].engine, r);
    }
    if (r->type != RECORD_GENERATION)
        return code;
    struct world *w = history_world(&p->h, r);
    if (!w)
        p->gone = true;
    for (size_t i = 0; w && i < n && code == CTL_DONE; i++)
        code = use(p, &runs[i], w);
    world_free(w);
    return code;
}

int past_walk(struct past *p, struct past_run *runs, size_t n)
{
    struct record r;
    struct world *first = history_first_world(&p->h);
    int code = first ? CTL_DONE : CTL_REFUSED;
    for (size_t i = 0; i < n && code == CTL_DONE; i++)
        code = use(p, &runs[i], first);
    world_free(first);
    while (code == CTL_DONE) {
        int got = history_read(&p->h, &r);
        if (got == 0)
            break;
        if (got < 0 && got != -EBADMSG) {
            (void)fprintf(stderr, "gaihouctl: %s: %s\n", p->h.dir, strerror(-got));
            return CTL_REFUSED;
        }
        if (got < 0) {
            for (size_t i = 0; i < n; i++)
                engine_rot(runs[i].engine, r.offset, r.end, r.messages);
            continue;
        }
        int64_t ms = r.wall_ns / 1000000;
        p->begins_ms = p->records == 0 ? ms : p->begins_ms;
        if (ms >= p->to_ms)
            break;
        p->ends_ms = ms;
        p->records++;
        p->messages += record_is_message(r.type);
        code = each(p, runs, n, &r);
    }
    return code;
}

void past_run_done(struct past_run *x)
{
    engine_free(x->engine);
    world_free(x->world);
    x->engine = NULL;
    x->world = NULL;
}

/* -- the period ------------------------------------------------------------------------------ */

static bool day_of(const char *s, const struct zone *z, int64_t *out)
{
    char text[32];
    int64_t ms;
    if (!text_is_date(s, strlen(s)) || strlen(s) != 10)
        return false;
    (void)snprintf(text, sizeof(text), "%sT00:00:00Z", s);
    if (stamp_parse(text, strlen(text), &ms) != 0)
        return false;
    int64_t guess = ms - (int64_t)zone_offset_at(z, ms) * 1000;
    *out = ms - (int64_t)zone_offset_at(z, guess) * 1000;
    return true;
}

static int time_of(const char *s, const struct zone *z, int64_t newest_ms, int64_t *out)
{
    uint32_t seconds;
    size_t n = strlen(s);
    if (stamp_parse(s, n, out) == 0 || day_of(s, z, out))
        return CTL_DONE;
    if (n > 1 && strchr("smhd", s[n - 1]) && text_seconds(s, n, &seconds)) {
        *out = newest_ms - (int64_t)seconds * 1000;
        return CTL_DONE;
    }
    (void)fprintf(stderr,
                  "gaihouctl: \"%s\" is no time, expected 2026-11-20, "
                  "2026-11-20T08:00:00+08:00, or an age like 30d\n",
                  s);
    return CTL_USAGE;
}

int past_open(struct past *p, const char *dir, const char *from, const char *to,
              int64_t warm_ms)
{
    *p = (struct past){.to_ms = INT64_MAX};
    int code = history_open(&p->h, dir, INT64_MAX);
    if (code != CTL_DONE)
        return code;
    int64_t newest = p->h.recovery.last_wall_ns / 1000000;
    struct world *w = history_first_world(&p->h);
    code = w ? CTL_DONE : CTL_REFUSED;
    if (code == CTL_DONE && from)
        code = time_of(from, w->zone, newest, &p->from_ms);
    if (code == CTL_DONE && to)
        code = time_of(to, w->zone, newest, &p->to_ms);
    if (code == CTL_DONE && p->to_ms <= p->from_ms) {
        (void)fprintf(stderr, "gaihouctl: --to %s is not later than --from %s\n", to,
                      from ? from : "the beginning");
        code = CTL_USAGE;
    }
    if (code == CTL_DONE && p->from_ms > newest) {
        char room[32];
        (void)fprintf(stderr, "gaihouctl: what the folder has ends at %s, before --from %s\n",
                      past_time(room, w->zone, newest), from);
        code = CTL_REFUSED;
    }
    world_free(w);
    if (code != CTL_DONE)
        return code;
    history_close(&p->h);
    return history_open(&p->h, dir, from ? p->from_ms - warm_ms : 0);
}

int past_rewind(struct past *p)
{
    journal_reader_close(p->h.reader);
    p->h.reader = NULL;
    p->records = p->messages = 0;
    int r = journal_reader_open(p->h.journal, 0, &p->h.reader);
    return r == 0 ? CTL_DONE : CTL_REFUSED;
}

void past_close(struct past *p)
{
    history_close(&p->h);
}

const char *past_time(char room[32], const struct zone *z, int64_t ms)
{
    char s[STAMP_SIZE];
    (void)stamp_format(s, ms, zone_offset_at(z, ms));
    (void)snprintf(room, 32, "%.10s %.8s", s, s + 11);
    return room;
}
