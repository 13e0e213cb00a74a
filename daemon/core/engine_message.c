/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of one message: its source, its profile, the devices it speaks for, how it counts,
 * and the letters about what could not be used.
 */
#include "base/hash.h"
#include "base/mem.h"
#include "core/engine_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FEW 4 /* sources: tried one by one */

struct text {
    const char *p;
    size_t n;
};

/* How the message counts, and the letter about it. */
struct verdict {
    enum ledger_count count;
    uint32_t row;
    const char *reason, *detail; /* of a letter; NULL: none */
    bool quarantine;
    struct text device, compound; /* of the letter */
    struct topic_match match;
    char words[320];
};

/* Devices told of in a message that are none of ours. */
struct strangers {
    struct {
        struct text device, compound;
        const char *reason;
    } list[MAX_TOLD];
    size_t n;
    unsigned beyond;
};

static void dead(struct verdict *v, enum ledger_count count, const char *detail)
{
    v->count = count;
    v->reason = ledger_reason(count);
    v->detail = detail;
}

static struct text captured(const struct topic_match *m, const char *name)
{
    const struct topic_capture *c = topic_get(m, name);
    return c ? (struct text){c->p, c->n} : (struct text){NULL, 0};
}

/* -- whom it speaks for ---------------------------------------------------------------------- */

/* The device of that name, or why a sample cannot be its. */
static const struct device *find_device(const struct engine *e, struct text id,
                                        struct text compound, const char **out_why)
{
    return registry_admit(e->world->registry, id.p, id.n, compound.p, compound.n, out_why);
}

static bool same_text(struct text a, struct text b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static void note_stranger(struct strangers *s, struct text device, struct text compound,
                          const char *reason)
{
    for (size_t i = 0; i < s->n; i++)
        if (same_text(s->list[i].device, device))
            return;
    if (s->n == MAX_TOLD) {
        s->beyond++;
        return;
    }
    s->list[s->n].device = device;
    s->list[s->n].compound = compound;
    s->list[s->n++].reason = reason;
}

/* How long it had been silent. */
static int64_t sign_of_life(struct engine *e, const struct record *r, const struct device *d,
                            int64_t received_ms)
{
    struct device_state *s = &e->devices[d->index];
    int64_t before = s->last_seen_ms;
    e->n_seen += (size_t)(received_ms != 0) - (size_t)(before != 0);
    if (r->type == RECORD_MESSAGE ||
        received_ms > before) /* what is taken up again is history */
        s->last_seen_ms = received_ms;
    s->messages++;
    if (e->alarms->wanted)
        engine_alarms_alive(e, r, d);
    return before ? received_ms - before : INT64_MAX;
}

/* -- samples --------------------------------------------------------------------------------- */

static void room_for_speeches(struct engine *e)
{
    size_t n = e->decoded.n_samples;
    if (n <= e->cap_speeches)
        return;
    e->cap_speeches = e->decoded.cap_samples > n ? e->decoded.cap_samples : n;
    e->speeches = mem_realloc_array(e->speeches, e->cap_speeches, sizeof(*e->speeches));
}

/* Notes that sample i is the device's; what its samples say together is kept at the first. */
static void speak(struct engine *e, size_t i, const struct device *d, int64_t received_ms)
{
    const struct decoded_sample *s = &e->decoded.samples[i];
    struct device_state *st = &e->devices[d->index];
    struct speech *p = &e->speeches[i], *first;
    if (st->said == 0)
        st->said = (uint16_t)(i + 1);
    *p = (struct speech){.device = d, .first = st->said - 1u};
    first = &e->speeches[p->first];
    first->alive |= !s->not_alive;
    if (s->has_time && !s->time_unread && engine_clock_hears(e, s->time_ms, received_ms) &&
        (!first->timed || s->time_ms > first->newest_ms)) {
        first->timed = true;
        first->newest_ms = s->time_ms;
    }
}

/* What one message says under one id is one content: samples of the same id that stand together.
 * Two gateways that hear one frame give it times of their own, so times do not count. */
static uint64_t content_of(const struct engine *e, size_t from, size_t to)
{
    uint64_t h = 7;
    for (size_t i = from; i < to; i++) {
        const struct decoded_sample *s = &e->decoded.samples[i];
        h = hash64(h, s->point ? s->point : "", s->point ? s->point_len : 0);
        for (size_t k = 0; k < s->n; k++) {
            const struct decoded_value *v = &e->decoded.values[s->first + k];
            h = hash64(h + v->is_null, v->key, v->key_len);
            if (v->is_null)
                continue;
            if (v->v.type == VALUE_STRING)
                h = hash64(h, v->v.s.p, v->v.s.n);
            else if (v->v.type == VALUE_BOOL)
                h = hash64(h, &v->v.b, sizeof(v->v.b));
            else
                h = hash64(h + 3, &v->v.i, sizeof(v->v.i)); /* the union's eight bytes */
        }
    }
    return h;
}

static void check_ids(struct engine *e)
{
    size_t n = e->decoded.n_samples;
    for (size_t i = 0, to; i < n; i = to) {
        const struct device *d = e->speeches[i].device;
        uint64_t id = e->decoded.samples[i].id;
        to = i + 1;
        if (d && id == 0)
            e->speeches[e->speeches[i].first].news = true;
        if (!d || id == 0)
            continue;
        while (to < n && e->speeches[to].device == d && e->decoded.samples[to].id == id)
            to++;
        if (!engine_id_seen(e, d, id, content_of(e, i, to))) {
            e->speeches[e->speeches[i].first].news = true;
            continue;
        }
        for (size_t k = i; k < to; k++)
            e->speeches[k].repeated = true;
    }
}

/* All samples know their device: ids, signs of life, clocks, and then points. */
static void take_samples(struct engine *e, const struct record *r, int64_t received_ms,
                         const struct device *noted, int64_t silent_ms, struct outcome *o)
{
    check_ids(e);
    for (size_t i = 0; i < e->decoded.n_samples; i++) {
        const struct speech *p = &e->speeches[i];
        if (!p->device || p->first != i)
            continue;
        e->devices[p->device->index].said = 0;
        int64_t silent = silent_ms;
        if (p->device != noted)
            silent = p->alive ? sign_of_life(e, r, p->device, received_ms) : INT64_MAX;
        if (p->timed && p->news)
            engine_clock_told(e, p->device, r, p->newest_ms, silent);
    }
    /* our own clock may have been set right by what they told */
    engine_points(e, r, engine_stamp_ms(e, r), o);
}

/* A message is decoded if any sample made a point or was refused for what it said, a duplicate only
 * if all its points are. */
static void count_outcome(struct verdict *v, const struct outcome *o)
{
    if (o->made + o->refused > 0)
        v->count = LEDGER_DECODED;
    else if (o->duplicates > 0)
        v->count = LEDGER_DUPLICATE;
    else if (o->too_many > 0)
        v->count = LEDGER_DEAD_TOO_MANY;
    else if (o->other_lane > 0)
        v->count = LEDGER_OTHER_LANE;
    else if (o->unknown > 0)
        v->count = LEDGER_QUARANTINED;
    else if (o->nameless > 0)
        v->count = LEDGER_DEAD_NO_DEVICE;
    else
        v->count = LEDGER_IGNORED_EMPTY;
}

/* -- the native profile ---------------------------------------------------------------------- */

/* What take_samples() does, for the only sample of a device's own message; it has no id. */
static void take_sample(struct engine *e, const struct record *r, int64_t received_ms,
                        const struct device *d, int64_t silent_ms, struct outcome *o)
{
    const struct decoded_sample *s = &e->decoded.samples[0];
    if (s->has_time && engine_clock_hears(e, s->time_ms, received_ms))
        engine_clock_told(e, d, r, s->time_ms, silent_ms);
    engine_point(e, r, d, engine_stamp_ms(e, r), o);
}

static void native(struct engine *e, const struct record *r, int64_t received_ms,
                   const struct device *d, int64_t silent_ms, struct verdict *v)
{
    const char *why = "not JSON";
    int k = native_decode(e->json, r->body, r->body_len, &e->decoded, &why);
    if (k == -E2BIG) {
        dead(v, LEDGER_DEAD_TOO_MANY, "more samples or values than one message may have");
        return;
    }
    if (k != 0) {
        dead(v, LEDGER_DEAD_BAD_JSON, why);
        return;
    }
    struct outcome o = {.first = d};
    if (e->decoded.n_samples == 1) {
        take_sample(e, r, received_ms, d, silent_ms, &o);
    } else {
        room_for_speeches(e);
        for (size_t i = 0; i < e->decoded.n_samples; i++)
            speak(e, i, d, received_ms);
        take_samples(e, r, received_ms, d, silent_ms, &o);
    }
    count_outcome(v, &o);
}

/* Of two lanes one keeps strangers, or both would. */
static bool keeps_strangers(const struct engine *e)
{
    return e->world->conf->gateway.lane != CONF_LANE_LIFE_SAFETY;
}

static void quarantine(const struct engine *e, struct verdict *v, const char *reason)
{
    v->row = LEDGER_NONE;
    v->count = LEDGER_OTHER_LANE;
    if (!keeps_strangers(e))
        return;
    v->count = LEDGER_QUARANTINED;
    v->reason = reason;
    v->quarantine = true;
}

/* The device is in the topic: what is not for us is known before anything is decoded. */
static void take_native(struct engine *e, const struct record *r, bool again, struct verdict *v)
{
    const char *why = NULL;
    v->device = captured(&v->match, "device");
    v->compound = captured(&v->match, "compound");
    const struct device *d = find_device(e, v->device, v->compound, &why);
    if (d) {
        v->row = e->devices[d->index].row;
        engine_ahead_fetch(e, d); /* is on its way while JSON is parsed */
    }
    if (again)
        v->count = LEDGER_DUPLICATE; /* counted once, whatever it was the first time */
    else if (!d)
        quarantine(e, v, why);
    else if (!world_serves(e->world, d))
        v->count = LEDGER_OTHER_LANE;
    else if ((r->flags & RECORD_RETAIN) && r->type == RECORD_MESSAGE)
        v->count = LEDGER_IGNORED_RETAINED; /* neither a reading nor a sign of life */
    else {
        int64_t received_ms = engine_stamp_ms(e, r);
        int64_t silent_ms = sign_of_life(e, r, d, received_ms);
        if (r->body_len == 0)
            v->count = LEDGER_IGNORED_EMPTY;
        else if (r->flags & RECORD_CUT)
            dead(v, LEDGER_DEAD_OVERSIZED,
                 "larger than a record may be; its beginning is kept");
        else
            native(e, r, received_ms, d, silent_ms, v);
    }
}

/* -- vendors' profiles ----------------------------------------------------------------------- */

static void ask_rebirth(struct engine *e, const struct record *r)
{
    e->stats.rebirths++;
    if (e->out.rebirth)
        e->out.rebirth(e->out.ctx, r->broker, r->topic, r->topic_len);
}

/* Looks up each sample's device; who is none of ours is noted. */
static void resolve(struct engine *e, const struct verdict *v, int64_t received_ms,
                    struct outcome *o, struct strangers *strangers)
{
    struct text topic_device = captured(&v->match, "device");
    struct text topic_compound = captured(&v->match, "compound");
    room_for_speeches(e);
    for (size_t i = 0; i < e->decoded.n_samples; i++) {
        const struct decoded_sample *s = &e->decoded.samples[i];
        struct text device = s->device ? (struct text){s->device, s->device_len} : topic_device;
        struct text compound =
            s->compound ? (struct text){s->compound, s->compound_len} : topic_compound;
        const char *why = NULL;
        e->speeches[i] = (struct speech){0};
        if (device.n == 0) {
            o->nameless++;
            continue;
        }
        const struct device *d = find_device(e, device, compound, &why);
        if (!d && keeps_strangers(e)) {
            o->unknown++;
            note_stranger(strangers, device, compound, why);
            continue;
        }
        if (!d) {
            o->other_lane++;
            continue;
        }
        if (!o->first)
            o->first = d;
        if (!world_serves(e->world, d))
            o->other_lane++;
        else
            speak(e, i, d, received_ms);
    }
}

/* Further letters stand at positions of their own: a letter is known by its position. */
static void send(struct engine *e, const struct record *r, struct engine_letter *l,
                 unsigned *sent)
{
    if ((*sent)++ > 0) {
        engine_step_end(e);
        engine_step_begin(e, e->at.offset, e->at.tick);
    }
    l->record = r;
    l->offset = r->offset;
    l->wall_ns = engine_stamp_ns(e, r);
    e->out.letter(e->out.ctx, l);
}

static void copy_compound(struct engine_letter *l, struct text compound)
{
    if (compound.p && compound.n < sizeof(l->compound))
        memcpy(l->compound, compound.p, compound.n);
}

/* What could not be used of a message, also of one that counts as decoded. */
static void tell_rest(struct engine *e, const struct record *r, const struct outcome *o,
                      const struct strangers *strangers)
{
    unsigned sent = 0;
    e->stats.strangers_not_told += strangers->beyond;
    for (size_t i = 0; i < strangers->n; i++) {
        struct engine_letter l = {.quarantine = true,
                                  .reason = strangers->list[i].reason,
                                  .device = strangers->list[i].device.p,
                                  .device_len = strangers->list[i].device.n};
        copy_compound(&l, strangers->list[i].compound);
        send(e, r, &l, &sent);
    }
    struct engine_letter l = {0};
    if (o->too_many > 0) {
        l.reason = ledger_reason(LEDGER_DEAD_TOO_MANY);
        l.detail =
            "a device may have 64 points besides its own, with names of at most 64 bytes";
        send(e, r, &l, &sent);
    }
    if (o->nameless > 0) {
        l.reason = ledger_reason(LEDGER_DEAD_NO_DEVICE);
        l.detail = "a sample says no device: neither the profile's `device` nor the topic does";
        send(e, r, &l, &sent);
    }
}

void engine_note_strange(struct engine *e, const struct record *r, const char *kind,
                         const char *name, size_t len, const struct device *d)
{
    if (!e->strange)
        e->strange = strange_new();
    strange_note(e->strange, e->world->conf->sources[e->speaking].profile, kind, name, len,
                 d ? d->code : NULL, engine_stamp_ms(e, r));
}

static void note_unknown(struct engine *e, const struct record *r, const struct device *d)
{
    size_t n = e->decoded.unknown;
    e->stats.fields_unknown += n;
    for (size_t i = 0; i < n && i < DECODE_MAX_UNKNOWN; i++)
        engine_note_strange(e, r, NULL, e->decoded.unknown_names[i].p,
                            e->decoded.unknown_names[i].n, d);
}

static void take_decoded(struct engine *e, const struct record *r, int64_t received_ms,
                         struct verdict *v)
{
    struct outcome o = {0};
    struct strangers strangers = {.n = 0};
    resolve(e, v, received_ms, &o, &strangers);
    if (e->decoded.unknown)
        note_unknown(e, r, o.first);
    if (o.first)
        v->row = e->devices[o.first->index].row;
    take_samples(e, r, received_ms, NULL, INT64_MAX, &o);
    count_outcome(v, &o);
    tell_rest(e, r, &o, &strangers);
}

/* A message that is no data may still name a device: then it counts there, and may be a sign of
 * life. */
static void take_ignored(struct engine *e, const struct record *r, int64_t received_ms,
                         const struct profile_verdict *p, struct verdict *v)
{
    const char *why = NULL;
    bool counts = (p->count >= LEDGER_IGNORED_RETAINED && p->count <= LEDGER_IGNORED_OTHER) ||
                  p->count == LEDGER_DUPLICATE;
    v->count = counts ? p->count : LEDGER_IGNORED_OTHER;
    if (!p->device)
        return;
    const struct device *d = find_device(e, (struct text){p->device, p->device_len},
                                         captured(&v->match, "compound"), &why);
    if (!d)
        return;
    v->row = e->devices[d->index].row;
    if (world_serves(e->world, d))
        (void)sign_of_life(e, r, d, received_ms);
}

static void take_refused(const struct profile_verdict *p, struct verdict *v)
{
    bool counts = p->count >= LEDGER_DEAD_NO_SOURCE && p->count <= LEDGER_DEAD_CORRUPT;
    (void)snprintf(v->words, sizeof(v->words), "%s%s%s", p->message ? p->message : "",
                   p->message && p->message[0] ? ": " : "", p->detail);
    dead(v, counts ? p->count : LEDGER_DEAD_REFUSED, v->words);
}

/* False: none of this profile's messages fits. */
static bool ask_profile(struct engine *e, const struct record *r,
                        const struct world_source *source, struct verdict *v)
{
    if (!e->run)
        e->run = profile_run_new(MAX_MESSAGE);
    if (!e->sparkplug)
        e->sparkplug = sparkplug_new();
    int64_t received_ms = engine_stamp_ms(e, r);
    bool again = r->type == RECORD_REINJECT; /* nobody knows by which broker it had come */
    const struct profile_input in = {.topic = r->topic,
                                     .topic_len = r->topic_len,
                                     .match = &v->match,
                                     .payload = r->body,
                                     .len = r->body_len,
                                     .received_ms = received_ms,
                                     .sparkplug = e->sparkplug,
                                     .again = again,
                                     .broker = again ? source->broker : r->broker,
                                     .message = r->offset + 1};
    struct profile_verdict p = {.outcome = PROFILE_NOT_MINE};
    profile_decode(source->profile, e->run, &in, &e->decoded, &p);
    if (p.outcome == PROFILE_NOT_MINE)
        return false;
    if (p.want_rebirth)
        ask_rebirth(e, r);
    switch (p.outcome) {
    case PROFILE_SAMPLES:
        take_decoded(e, r, received_ms, v);
        break;
    case PROFILE_IGNORED:
        take_ignored(e, r, received_ms, &p, v);
        break;
    case PROFILE_REFUSED:
        if (r->body_len == 0)
            v->count = LEDGER_IGNORED_EMPTY; /* what clears a retained message */
        else
            take_refused(&p, v);
        break;
    case PROFILE_NOT_MINE:
        break;
    }
    return true;
}

/* Where a message counts that is not looked into: at the device that its topic names. */
static void row_of_topic(const struct engine *e, struct verdict *v)
{
    const char *why = NULL;
    v->device = captured(&v->match, "device");
    v->compound = captured(&v->match, "compound");
    const struct device *d =
        v->device.n > 0 ? find_device(e, v->device, v->compound, &why) : NULL;
    if (d)
        v->row = e->devices[d->index].row;
}

/* What is settled before a profile is asked. */
static bool settled(const struct record *r, bool again, struct verdict *v)
{
    if (again)
        v->count = LEDGER_DUPLICATE;
    else if ((r->flags & RECORD_RETAIN) && r->type == RECORD_MESSAGE)
        v->count = LEDGER_IGNORED_RETAINED;
    else if (r->flags & RECORD_CUT)
        dead(v, LEDGER_DEAD_OVERSIZED, "larger than a record may be; its beginning is kept");
    else
        return false;
    return true;
}

/* -- all ------------------------------------------------------------------------------------- */

/* The sources whose topic may fit. A few are tried faster than the route is walked. */
static size_t candidates(const struct world *w, const struct record *r,
                         uint32_t hits[ROUTE_MAX_HITS])
{
    bool any = r->type == RECORD_REINJECT;
    size_t n = 0;
    if (w->n_sources > FEW)
        return world_route(w, any ? UINT32_MAX : r->broker, r->topic, r->topic_len, hits);
    for (uint32_t i = 0; i < w->n_sources; i++)
        if (any || w->sources[i].broker == r->broker)
            hits[n++] = i;
    return n;
}

/* Sources are asked in their order, until one takes the message. */
static void judge(struct engine *e, const struct record *r, struct verdict *v)
{
    bool again = r->type == RECORD_MESSAGE && engine_note_delivery(e, r);
    uint32_t hits[ROUTE_MAX_HITS];
    size_t n = candidates(e->world, r, hits), fit = 0;
    for (size_t i = 0; i < n; i++) {
        const struct world_source *s = &e->world->sources[hits[i]];
        if (!topic_matches(s->topic, r->topic, r->topic_len, &v->match))
            continue;
        fit++;
        e->speaking = s->index;
        if (!s->profile)
            take_native(e, r, again, v);
        else
            row_of_topic(e, v);
        if (!s->profile || settled(r, again, v) || ask_profile(e, r, s, v)) {
            e->heard[s->index] +=
                r->type == RECORD_MESSAGE && !again && (r->flags & RECORD_RETAIN) == 0;
            return;
        }
    }
    if (again)
        v->count = LEDGER_DUPLICATE;
    else if (fit == 0)
        dead(v, LEDGER_DEAD_NO_SOURCE, "no source's topic fits");
    else if (r->body_len == 0)
        v->count = LEDGER_IGNORED_EMPTY;
    else
        dead(v, LEDGER_DEAD_NO_MESSAGE, "no profile of this topic knows such a message");
}

/* What is taken up again was counted when it came. */
static enum ledger_count count_of(const struct record *r, const struct verdict *v)
{
    if (r->type != RECORD_REINJECT)
        return v->count;
    if (v->count == LEDGER_QUARANTINED)
        return LEDGER_AGAIN_QUARANTINED;
    bool dead = v->count >= LEDGER_DEAD_NO_SOURCE && v->count <= LEDGER_DEAD_CORRUPT;
    return dead ? LEDGER_AGAIN_DEAD : v->count;
}

static void send_letter(struct engine *e, const struct record *r, const struct verdict *v)
{
    struct engine_letter l = {.quarantine = v->quarantine,
                              .reason = v->reason,
                              .detail = v->detail,
                              .record = r,
                              .offset = r->offset,
                              .wall_ns = engine_stamp_ns(e, r),
                              .device = v->device.p,
                              .device_len = v->device.n};
    copy_compound(&l, v->compound);
    e->out.letter(e->out.ctx, &l);
}

void engine_message(struct engine *e, const struct record *r)
{
    struct verdict v;
    v.row = LEDGER_NONE;
    v.reason = v.detail = NULL;
    v.quarantine = false;
    v.device = v.compound = (struct text){NULL, 0};
    v.match.n = 0;
    engine_arrival(e, r);
    judge(e, r, &v);
    ledger_add(e->ledger, v.row,
               r->type == RECORD_MESSAGE ? LEDGER_RECEIVED : LEDGER_REINJECTED, 1);
    ledger_add(e->ledger, v.row, count_of(r, &v), 1);
    if (v.reason)
        send_letter(e, r, &v);
}
