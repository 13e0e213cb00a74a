/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/clears.h"
#include "base/mem.h"
#include "sim/gateway.h"
#include "sim/own.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS UINT64_C(1000000000)

/* -- what was said ---------------------------------------------------------------------------- */

static const char *const devices[] = {"d0", "d1", "d2", "d3", "d4",
                                      "u0", "w0", "w1", "s0", "s1"};
enum { DEVICES = sizeof(devices) / sizeof(devices[0]) };

struct said { /* a record that may be a reason */
    uint64_t end, engine_ns;
    unsigned who;  /* bits of devices that it speaks of */
    unsigned sure; /* of those whose word it is without doubt */
    uint64_t n;    /* its number */
    bool batch;    /* it may say several things of one device */
    bool rules;    /* from here on other rules */
    bool link;     /* a link or a process began: patience begins anew */
    bool deaf;     /* a link ended: until the next one nobody is called silent */
};

static struct {
    struct said *s;
    size_t n, cap;
} history;

static unsigned bit_of(const char *device, size_t len)
{
    for (unsigned i = 0; i < DEVICES; i++)
        if (strlen(devices[i]) == len && memcmp(devices[i], device, len) == 0)
            return 1u << i;
    return 0;
}

/* Sparkplug's are named by node, a vendor's gateway names each in its payload, others are topics. */
static unsigned speaks_of(const struct record *r)
{
    const char *name = memrchr(r->topic, '/', r->topic_len);
    unsigned who = 0;
    char word[16];
    if (r->flags & RECORD_RETAIN || !name)
        return 0; /* what is retained proves nothing */
    size_t len = r->topic_len - (size_t)(++name - r->topic);
    if (memcmp(r->topic, "spBv1.0", 7) == 0)
        return bit_of((const char[]){'s', *name}, 2);
    if (memcmp(r->topic, "v/", 2) != 0)
        return bit_of(name, len);
    for (unsigned i = 0; i < DEVICES; i++) {
        int n = snprintf(word, sizeof(word), "\"d\":\"%s\"", devices[i]);
        who |= memmem(r->body, r->body_len, word, (size_t)n) ? 1u << i : 0;
    }
    return who;
}

/* A message of another compound, or one that cannot be read, is no sign of life of who it names: a
 * numbered one of these two is. */
static unsigned sure_of(const struct record *r, unsigned who)
{
    static const char topic[] = "gaihou/v1/up/c1/";
    bool own =
        r->topic_len > sizeof(topic) - 1 && memcmp(r->topic, topic, sizeof(topic) - 1) == 0;
    return own && memmem(r->body, r->body_len, "\"n\":", 4)
               ? who & (bit_of("d0", 2) | bit_of("d1", 2))
               : 0;
}

static uint64_t number(const char *json, const char *name)
{
    const char *at = strstr(json, name);
    return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static uint64_t number_in(const struct record *r)
{
    static const char name[] = "\"n\":";
    const char *at = memmem(r->body, r->body_len, name, sizeof(name) - 1),
               *end = r->body + r->body_len;
    uint64_t n = 0;
    for (at += sizeof(name) - 1; at < end && *at >= '0' && *at <= '9'; at++)
        n = n * 10 + (uint64_t)(*at - '0');
    return n;
}

/* What was delivered twice was said once: the second time nobody speaks. */
static bool came_before(uint64_t n)
{
    for (size_t i = 0; i < history.n; i++)
        if (history.s[i].sure && history.s[i].n == n)
            return true;
    return false;
}

static void read_history(void)
{
    const struct gateway_record *g;
    const struct record *rules = NULL;
    size_t n = gateway_log(&g);
    history.n = 0;
    for (size_t i = 0; i < n; i++) {
        const struct record *r = &g[i].r;
        struct said s = {.end = r->end, .engine_ns = r->engine_ns};
        if (r->type == RECORD_MESSAGE) {
            s.who = speaks_of(r);
            s.sure = sure_of(r, s.who);
            s.n = s.sure ? number_in(r) : 0;
            if (came_before(s.n))
                s.sure = 0;
            s.batch = r->body_len > 0 && (r->body[0] == '[' || r->topic[0] == 'v');
        } else if (r->type == RECORD_GENERATION) {
            s.rules = rules && (rules->body_len != r->body_len ||
                                memcmp(rules->body, r->body, r->body_len) != 0);
            rules = r;
        }
        s.link = r->type == RECORD_START || r->type == RECORD_LINK_UP;
        s.deaf = r->type == RECORD_LINK_DOWN;
        if (!s.who && !s.rules && !s.link && !s.deaf)
            continue;
        if (history.n == history.cap) {
            history.cap = history.cap ? history.cap * 2 : 256;
            history.s = mem_realloc_array(history.s, history.cap, sizeof(*history.s));
        }
        history.s[history.n++] = s;
    }
}

/* -- reasons ---------------------------------------------------------------------------------- */

/* One of them has said something since it was told as wrong, or the rules are others. A batch may
 * say what is wrong and, of another time, that it is good again: old news of it is told when the
 * device has caught up, a minute later at most. */
static bool said_since(const struct fake_alarm *since, const struct fake_alarm *a, unsigned who)
{
    for (size_t i = 0; i < history.n; i++) {
        const struct said *s = &history.s[i];
        bool between = s->end > since->at.offset && s->end <= a->at.offset;
        bool same = s->end == a->at.offset && s->engine_ns == a->at.tick;
        bool batch = s->batch && s->end == since->at.offset &&
                     a->at.tick - s->engine_ns <= 61 * SECOND_NS;
        if ((between || same || batch) && (s->rules || s->who & who))
            return true;
    }
    return false;
}

/* One of them was heard of not longer ago than that; or patience may have begun anew since. */
static bool heard_within(const struct fake_alarm *a, unsigned who, uint64_t ns, bool anew)
{
    bool deaf = false;
    for (size_t i = 0; i < history.n; i++) {
        const struct said *s = &history.s[i];
        if (s->end > a->at.offset)
            continue;
        if (s->engine_ns + ns >= a->at.tick &&
            (s->who & who || (anew && (s->rules || s->link))))
            return true;
        deaf = s->deaf || (deaf && !s->link);
    }
    return anew && deaf;
}

static bool surely_heard_within(const struct fake_alarm *a, unsigned who, uint64_t ns)
{
    for (size_t i = 0; i < history.n; i++) {
        const struct said *s = &history.s[i];
        if (s->end <= a->at.offset && s->engine_ns + ns >= a->at.tick && s->sure & who)
            return true;
    }
    return false;
}

static bool says(const struct fake_alarm *a, const char *text)
{
    return strstr(a->json, text) != NULL;
}

static unsigned bits(const char *const *names, size_t n)
{
    unsigned who = 0;
    for (size_t i = 0; i < n; i++)
        who |= bit_of(names[i], 2);
    return who;
}

/* Milliseconds of its day; the text has the form of ISO 8601. */
static uint64_t day_ms(const char *json, const char *name)
{
    const char *at = strstr(json, name);
    unsigned h = 0, m = 0, s = 0, ms = 0;
    if (!at || sscanf(at + strlen(name), "%*10cT%2u:%2u:%2u.%3u", &h, &m, &s, &ms) != 4)
        sim_fail("no %s in %s", name, json);
    return (h * 60 + m) * 60000ull + s * 1000ull + ms;
}

/* A blame begins when all three are quiet. Where the uplink was catching up it was told later, a
 * minute at most, and does not count who spoke meanwhile. (Our clock may have been set by then.) */
static bool was_blamed(const struct fake_alarm *since)
{
    static const char *const behind_w1[] = {"d1", "d2", "w0"};
    const uint64_t day = 86400000, most = 61000;
    uint64_t ms =
        (day + day_ms(since->json, "\"at\":\"") - day_ms(since->json, "\"since\":\"")) % day;
    uint64_t held = ms == 0 ? 0 : (ms < most ? ms + 1 : most) * 1000000,
             quiet = number(since->json, "\"members\":");
    for (size_t i = 0; held > 0 && i < 3; i++)
        quiet += heard_within(since, bits(&behind_w1[i], 1), held, false);
    return quiet >= 3;
}

/* An end that is not the device's own word since it was told. */
static bool has_other_reason(const struct fake_alarm *since, const struct fake_alarm *a,
                             unsigned who)
{
    static const char *const sumps[] = {"d0", "d1", "d2", "u0", "w0", "w1", "s0", "s1"};
    static const char *const behind_w1[] = {"d1", "d2", "w0"};
    /* It counts all of a building, and each of them when it has caught up. */
    if (says(a, "\"rule\":\"many\""))
        return said_since(since, a, bits(sumps, 8)) ||
               heard_within(a, bits(sumps, 8), 61 * SECOND_NS, false);
    if (says(a, "\"rule\":\"trend\"")) /* what was said leaves its window of a minute */
        return heard_within(a, who, 62 * SECOND_NS, false);
    /* Its end is delayed by 8 s, and what came late is read when the device has caught up. */
    if (says(a, "\"rule\":\"held\""))
        return number(a->json, "\"value\":") < 2 && heard_within(a, who, 69 * SECOND_NS, false);
    if (says(a, "\"reason\":\"no_data\"")) /* `slow` wants that, of who is silent for 4 min */
        return says(a, "\"rule\":\"slow\"") && !surely_heard_within(a, who, 239 * SECOND_NS);
    /* Its members blamed it for their silence, and speak. It is not silent itself. */
    if (says(a, "\"device\":\"w1\"") && says(a, "\"no_data\":true"))
        return was_blamed(since) && said_since(since, a, bits(behind_w1, 3)) &&
               heard_within(a, who, 81 * SECOND_NS, true);
    return false;
}

/* When its case was told last as something that is wrong. */
static const struct fake_alarm *active_before(const struct fake_alarm *const *all, size_t i)
{
    uint64_t hash = all[i]->case_hash;
    while (i-- > 0)
        if (all[i]->case_hash == hash && !all[i]->is_reply &&
            (strcmp(all[i]->change, "activated") == 0 ||
             strcmp(all[i]->change, "recurred") == 0 || strcmp(all[i]->change, "raised") == 0))
            return all[i];
    return NULL;
}

static void judge(const struct fake_alarm *const *all, size_t i)
{
    const struct fake_alarm *a = all[i], *since = active_before(all, i);
    const char *device = strstr(a->json, "\"device\":\""), *end;
    if (says(a, "\"rule\":\"gaihou-"))
        return;
    if (!device || !since)
        sim_fail("cleared, and never active: %s", a->json);
    device += strlen("\"device\":\"");
    end = device + strcspn(device, "\"");
    unsigned who = bit_of(device, (size_t)(end - device));
    /* Told as stale: nobody hears it now. Then only its own word ended it, unless silence is what
     * it is about. */
    bool stale = says(a, "\"quality\":\"stale\"") && !says(a, "\"no_data\":true") &&
                 !says(a, "\"reason\":\"no_data\"") && !says(a, "\"rule\":\"many\"");
    if (said_since(since, a, who) || (!stale && has_other_reason(since, a, who)))
        return;
    sim_fail("cleared at (%" PRIu64 ", %" PRIu64 ", %" PRIu64 "), active at (%" PRIu64
             ", %" PRIu64 ", %" PRIu64 "), for no reason: %s",
             a->at.offset, a->at.tick, a->at.ordinal, since->at.offset, since->at.tick,
             since->at.ordinal, a->json);
}

void clears_judge(const struct fake_alarm *const *all, size_t n)
{
    read_history();
    for (size_t i = 0; i < n; i++)
        if (!all[i]->is_reply && !all[i]->record && strcmp(all[i]->change, "cleared") == 0)
            judge(all, i);
}
