/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The three clocks that stamps come from: ours, whose steps are not believed blindly; the
 * devices'; and the order of arrivals after an outage, when clockless devices tell old news
 * (docs/time.md).
 */
#include "core/engine_private.h"

#include <stdlib.h>

#define SECOND_NS      1000000000
#define HOUR_NS        (3600LL * SECOND_NS)
#define DOWN_NS        (31 * 24 * HOUR_NS)
#define MS_NS          1000000
#define VOUCH_NS       (2ull * SECOND_NS)
#define JURY           20 /* device clocks that must have been heard */
#define IDLE_NS        (5ull * SECOND_NS)
#define CATCH_UP_LIMIT (3600ull * SECOND_NS)

/* -- ours ------------------------------------------------------------------------------------ */

/* Messages taken up again keep the receipt they had. */
int64_t engine_stamp_ns(const struct engine *e, const struct record *r)
{
    return r->type == RECORD_REINJECT ? r->wall_ns
                                      : (int64_t)r->engine_ns + e->wall_minus_engine_ns;
}

int64_t engine_stamp_ms(const struct engine *e, const struct record *r)
{
    int64_t ns = engine_stamp_ns(e, r);
    return ns > 0 ? ns / MS_NS : 0;
}

static void believe(struct engine *e, int64_t minus_engine_ns, bool anew)
{
    int64_t step_ms = (minus_engine_ns - e->wall_minus_engine_ns) / MS_NS;
    e->wall_minus_engine_ns = minus_engine_ns;
    e->wall_held = false;
    e->n_votes = e->vote_at = 0;
    /* What the offset moves by across a start may as well be the engine's own axis; and by a clock that was
     * never set no device's time was taken, so none looks older for it. */
    if (anew || (step_ms < 1000 && step_ms > -1000))
        return;
    /* Order stands on engine time. Set back, ours makes devices' times look new, which does no
     * harm: receipt is the newest there is. */
    e->order_shift_ms += step_ms;
    if (e->order_shift_ms < 0)
        e->order_shift_ms = 0;
    for (size_t i = 0; i < e->n_devices; i++)
        clock_fit_step(&e->devices[i].clock, step_ms);
    engine_count_devices(e);
}

/* Only of a clock that agrees and lags, by as much as it does: one that lags by more is off, and its times
 * are put right; one that was right all along is not late by our step, and what it had kept is not news. */
int64_t engine_order_shift_ms(const struct engine *e, const struct device *d)
{
    const struct clock_fit *c = &e->devices[d->index].clock;
    int64_t lag_ms = c->state == CLOCK_AGREES ? -clock_fit_offset_ms(c) : 0;
    return lag_ms <= 0 ? 0 : lag_ms < e->order_shift_ms ? lag_ms : e->order_shift_ms;
}

static bool within(int64_t a, int64_t b, int64_t by)
{
    return a - b <= by && b - a <= by;
}

static void doubt(struct engine *e, int64_t minus_engine_ns, uint64_t engine_ns)
{
    if (!e->wall_held || !within(minus_engine_ns, e->held_minus_engine_ns, SECOND_NS))
        e->held_since_ns = engine_ns;
    e->stats.wall_steps_held += !e->wall_held;
    e->wall_held = true;
    e->held_minus_engine_ns = minus_engine_ns;
}

/* The kernel is asked at most once a second: what a record says of its own step may be from before
 * it. At a start it was asked just now. */
static bool kernel_vouches(const struct engine *e, const struct record *r, int64_t now)
{
    if (!(r->flags & RECORD_WALL_SYNCED))
        return false;
    return r->type == RECORD_START ||
           (e->wall_held && within(now, e->held_minus_engine_ns, SECOND_NS) &&
            r->engine_ns - e->held_since_ns >= VOUCH_NS);
}

/* Over a reboot without a synchronised clock engine time stands still (docs/journal.md): that wall
 * time went on is then no step. Clocks that lose their battery go back. */
static bool was_down(const struct engine *e, const struct record *r, int64_t now)
{
    int64_t gap = now - e->wall_minus_engine_ns;
    return r->type == RECORD_START && gap > 0 && gap <= DOWN_NS;
}

/* A step of more than an hour is believed when the kernel says that its clock is synchronised, or
 * when ours cannot have been right before. Until then stamps go on as they were. The first record
 * that tells the time of day starts the timers. */
void engine_learn_time(struct engine *e, const struct record *r)
{
    int64_t now = r->wall_ns - (int64_t)r->engine_ns;
    if (!e->wall_known) {
        e->wall_known = true;
        e->wall_minus_engine_ns = now;
        e->rotate_next_ns = r->engine_ns + 60ull * SECOND_NS;
        e->place_next_ns = r->engine_ns + 1;
        return;
    }
    bool never_set =
        (int64_t)r->engine_ns + e->wall_minus_engine_ns < CLOCK_MIN_MS * (int64_t)MS_NS;
    if (within(now, e->wall_minus_engine_ns, HOUR_NS) || never_set || was_down(e, r, now) ||
        kernel_vouches(e, r, now))
        believe(e, now, r->type == RECORD_START || never_set);
    else
        doubt(e, now, r->engine_ns);
}

bool engine_clock_doubted(const struct engine *e, double *out_seconds_ahead)
{
    if (e->wall_held)
        *out_seconds_ahead = (double)(e->held_minus_engine_ns - e->wall_minus_engine_ns) / 1e9;
    return e->wall_held;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void count_votes(struct engine *e)
{
    int64_t v[VOTES];
    if (e->n_votes < JURY)
        return;
    for (uint32_t i = 0; i < e->n_votes; i++)
        v[i] = e->votes[i].minus_engine_ms;
    qsort(v, e->n_votes, sizeof(v[0]), by_size);
    int64_t off = v[e->n_votes / 2] - e->held_minus_engine_ns / MS_NS;
    if (off >= -CLOCK_NEAR_MS && off <= CLOCK_NEAR_MS)
        believe(e, e->held_minus_engine_ns, false);
}

/* While a step of ours is in doubt, each device's newest word counts once. */
static void vote(struct engine *e, uint32_t device, int64_t minus_engine_ms)
{
    uint32_t i = 0;
    while (i < e->n_votes && e->votes[i].device != device)
        i++;
    if (i == VOTES)
        i = e->vote_at++ % VOTES;
    else if (i == e->n_votes)
        e->n_votes++;
    e->votes[i] = (struct vote){device, minus_engine_ms};
    count_votes(e);
}

/* -- the devices' ---------------------------------------------------------------------------- */

/* While a step of ours is in doubt, who agrees with it must be heard: ours may have been years behind. */
bool engine_clock_hears(const struct engine *e, int64_t time_ms, int64_t received_ms)
{
    int64_t ahead_ns = e->wall_held ? e->held_minus_engine_ns - e->wall_minus_engine_ns : 0;
    return clock_sane(time_ms, ahead_ns > 0 ? received_ms + ahead_ns / MS_NS : received_ms);
}

void engine_clock_told(struct engine *e, const struct device *d, const struct record *r,
                       int64_t newest_ms, int64_t silent_ms)
{
    if (r->type == RECORD_REINJECT)
        return; /* of another time */
    if (e->wall_held)
        vote(e, d->index, newest_ms - (int64_t)(r->engine_ns / MS_NS));
    int64_t received = engine_stamp_ms(e, r);
    if (!clock_sane(newest_ms, received))
        return; /* it was heard for ours only */
    if (engine_catching_up(e, r) && newest_ms < received - CLOCK_NEAR_MS)
        return; /* the way was long, that says nothing of the clock */
    struct clock_fit *c = &e->devices[d->index].clock;
    size_t was_off = c->state == CLOCK_OFF;
    clock_fit_take(c, newest_ms, received, silent_ms);
    e->n_off += (size_t)(c->state == CLOCK_OFF) - was_off;
}

/* -- old news -------------------------------------------------------------------------------- */

static struct broker_state *broker_of(struct engine *e, const struct record *r)
{
    return r->broker < MAX_BROKERS ? &e->brokers[r->broker] : NULL;
}

/* A broker that kept our session kept what came meanwhile, too. */
void engine_link_up(struct broker_state *b, const struct record *r)
{
    b->catch_up = r->body_len >= 1 && r->body[0] != 0;
    b->catch_up_from_ns = b->window_from_ns = b->last_ns = r->engine_ns;
    b->window_n = 0;
}

static void close_window(struct broker_state *b, uint64_t now)
{
    uint64_t ms = (now - b->window_from_ns) / MS_NS;
    uint64_t rate = (uint64_t)b->window_n * 1000000 / ms;
    if (rate > UINT32_MAX)
        rate = UINT32_MAX;
    if (b->catch_up) {
        if (rate <= 2 * (uint64_t)b->normal + 1000 ||
            now - b->catch_up_from_ns >= CATCH_UP_LIMIT)
            b->catch_up = false;
    } else {
        int64_t weight = ms < 16000 ? (int64_t)(ms / 1000) : 16;
        b->normal =
            (uint32_t)((int64_t)b->normal + ((int64_t)rate - (int64_t)b->normal) * weight / 16);
    }
    b->window_from_ns = now;
    b->window_n = 0;
}

void engine_arrival(struct engine *e, const struct record *r)
{
    struct broker_state *b = broker_of(e, r);
    if (!b || r->type != RECORD_MESSAGE)
        return;
    uint64_t now = r->engine_ns;
    if (b->catch_up && now - b->last_ns >= IDLE_NS)
        b->catch_up = false;
    if (now - b->window_from_ns >= SECOND_NS)
        close_window(b, now);
    b->window_n++;
    b->last_ns = now;
}

bool engine_catching_up(const struct engine *e, const struct record *r)
{
    return r->type == RECORD_MESSAGE && r->broker < MAX_BROKERS &&
           e->brokers[r->broker].catch_up;
}
