/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/desk.h"
#include "base/hash.h"
#include "base/mem.h"
#include "sim/clears.h"
#include "sim/gateway.h"
#include "sim/neighbour.h"
#include "sim/own.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "gaihou/v1/"

struct heard { /* one number of one (stream, firm, compound) */
    char *counter, *what;
    uint64_t counter_hash, what_hash; /* what is compared: there may be thousands */
    uint64_t seq, payload;
    bool event;
};

static struct {
    struct heard *h;
    size_t n, cap;
    bool listens;
} desk;

static uint64_t number(const char *json, const char *name)
{
    const char *at = strstr(json, name);
    return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static char *text(const char *json, const char *name)
{
    const char *at = strstr(json, name);
    if (!at)
        sim_fail("what was told has no %s: %s", name, json);
    at += strlen(name);
    return mem_strndup(at, strcspn(at, "\""));
}

static void free_heard(struct heard *h)
{
    free(h->counter);
    free(h->what);
}

static uint64_t hash_of(const char *s)
{
    return hash64(1, s, strlen(s));
}

/* The number before it, told as an event. */
static bool has_before(const struct heard *x)
{
    for (size_t i = 0; i < desk.n; i++)
        if (desk.h[i].seq + 1 == x->seq && desk.h[i].event &&
            desk.h[i].counter_hash == x->counter_hash)
            return true;
    return x->seq == 1;
}

static void hear(struct heard *x, const char *json)
{
    struct heard *same = NULL;
    for (size_t i = 0; i < desk.n && !same; i++) {
        struct heard *h = &desk.h[i];
        bool number = h->seq == x->seq && h->counter_hash == x->counter_hash;
        bool thing = h->what_hash == x->what_hash;
        if (number && (!thing || h->payload != x->payload))
            sim_fail("number %" PRIu64 " of %s was told as %s, and now is %s: %s", x->seq,
                     x->counter, h->what, x->what, json);
        if (thing && !number)
            sim_fail("%s was told as %s %" PRIu64 ", and now as %s %" PRIu64, x->what,
                     h->counter, h->seq, x->counter, x->seq);
        if (number)
            same = h;
    }
    if (x->event && !(same && same->event) && !has_before(x))
        sim_fail("number %" PRIu64 " of %s came before the one before it", x->seq, x->counter);
    if (same) {
        same->event |= x->event;
        free_heard(x);
        return;
    }
    if (desk.n == desk.cap) {
        desk.cap = desk.cap ? desk.cap * 2 : 256;
        desk.h = mem_realloc_array(desk.h, desk.cap, sizeof(*desk.h));
    }
    desk.h[desk.n++] = *x;
}

/* Smoke is life-safety, and has its own lane when there are two. */
static void judge_lane(const char *json)
{
    char *device = text(json, "\"device\":\"");
    bool smoke = strcmp(device, "d3") == 0 || strcmp(device, "d4") == 0;
    if (!strstr(json, "\"rule\":\"gaihou-") && strcmp(gateway_lane, "all") != 0 &&
        smoke != (strcmp(gateway_lane, "life-safety") == 0))
        sim_fail("%s is told by the %s lane", device, gateway_lane);
    free(device);
}

static void on_message(const char *topic, const char *payload, size_t len, bool retain)
{
    const char *at = topic + strlen(PREFIX);
    char firm[72] = "", compound[72] = "";
    (void)retain;
    neighbour_judge_message(topic);
    if (!desk.listens || len == 0 ||
        sscanf(at, "%*[a-z]/%71[^/]/%71[^/]", firm, compound) != 2 ||
        (strncmp(at, "alerts/", 7) != 0 && strncmp(at, "events/", 7) != 0 &&
         strncmp(at, "urgent/", 7) != 0))
        return;
    judge_lane(payload);
    char *stream = text(payload, "\"stream\":\""), *id = text(payload, "\"case\":\"");
    const char *slash = strrchr(stream, '/');
    if (!slash || strtoull(slash + 1, NULL, 10) == 0)
        sim_fail("told with the stream %s", stream);
    char *change = text(payload, "\"change\":\"");
    struct heard x = {.counter = mem_printf("%s %s %s", stream, firm, compound),
                      .what = mem_printf("%s version %" PRIu64 " %s of %s", id,
                                         number(payload, "\"version\":"), change, stream),
                      .seq = number(payload, "\"seq\":"),
                      .payload = hash64(1, payload, len),
                      .event = strncmp(at, "events/", 7) == 0};
    x.counter_hash = hash_of(x.counter);
    x.what_hash = hash_of(x.what);
    if (x.seq == 0)
        sim_fail("told without a number: %s", payload);
    free(stream);
    free(id);
    free(change);
    hear(&x, payload);
}

void desk_reset(void)
{
    while (desk.n > 0)
        free_heard(&desk.h[--desk.n]);
    desk.listens = true;
    fake_alerts_on_message = on_message;
}

void desk_leave(void)
{
    desk.listens = false;
}

/* -- at the end -------------------------------------------------------------------------------- */

static const struct heard *find(const char *counter, uint64_t seq)
{
    uint64_t hash = hash_of(counter);
    for (size_t i = 0; i < desk.n; i++)
        if (desk.h[i].seq == seq && desk.h[i].counter_hash == hash)
            return &desk.h[i];
    return NULL;
}

/* What the store has given a number was heard, and nothing else. */
static void judge_heard(const struct fake_alarm *const *all, size_t n)
{
    size_t numbered = 0;
    for (size_t i = 0; i < n; i++) {
        const struct fake_alarm *a = all[i];
        if (a->is_reply || a->seq == 0)
            continue;
        char *counter = mem_printf("%s %s %s", a->stream, a->firm, a->compound);
        const struct heard *h = find(counter, a->seq);
        if (!h || !h->event)
            sim_fail("%s %s, number %" PRIu64 " of %s, was not told", a->case_id, a->change,
                     a->seq, counter);
        if (h->payload != hash64(1, a->payload, a->len))
            sim_fail("number %" PRIu64 " of %s was told in other words", a->seq, counter);
        free(counter);
        numbered++;
    }
    /* A timer that fired where a restored store does not remember that time had come so far is not
     * made again: that is what the new epoch says. */
    if (gateway_store_restored ? numbered > desk.n : numbered != desk.n)
        sim_fail("%zu numbers were heard, the store gave %zu", desk.n, numbered);
}

/* Its last told transition, if that one's case is still open. */
static const struct fake_alarm *told_last(const struct fake_alarm *const *all, size_t n,
                                          const char *case_id)
{
    const struct fake_alarm *told = NULL;
    uint64_t hash = hash_of(case_id);
    for (size_t i = 0; i < n; i++) {
        const struct fake_alarm *a = all[i];
        if (a->case_hash != hash || a->is_reply || a->record)
            continue;
        if (a->closed)
            return NULL;
        if (a->deliver)
            told = a;
    }
    return told;
}

static void judge_kept(const struct fake_alarm *const *all, size_t n)
{
    char *ours = mem_printf("sim/%s/%" PRIu64, gateway_lane, fake_store_epoch());
    for (size_t i = 0; i < n; i++) {
        const struct fake_alarm *a = all[i];
        if (a->is_reply || told_last(all, n, a->case_id) != a)
            continue;
        char *topic = mem_printf(PREFIX "alerts/%s/%s/%s", a->firm, a->compound, a->case_id);
        const char *kept = fake_alerts_kept(topic);
        if (!kept || strcmp(kept, a->payload) != 0)
            sim_fail("%s is open, and the broker keeps %s", topic, kept ? kept : "nothing");
        free(topic);
    }
    for (size_t i = 0; i < fake_alerts_kept_count(); i++) {
        const char *payload, *topic = fake_alerts_kept_at(i, &payload);
        if (strncmp(topic, PREFIX "alerts/", strlen(PREFIX "alerts/")) != 0)
            continue;
        char *stream = text(payload, "\"stream\":\"");
        const struct fake_alarm *a = told_last(all, n, strrchr(topic, '/') + 1);
        if (strcmp(stream, ours) == 0 && (!a || strcmp(a->payload, payload) != 0))
            sim_fail("the broker keeps %s, which is not open", topic);
        free(stream);
    }
    free(ours);
}

void desk_judge_told(void)
{
    const struct fake_alarm *const *all;
    size_t n = fake_store_alarms(&all);
    if (!desk.listens)
        return;
    judge_heard(all, n);
    judge_kept(all, n);
    sim_trace("%zu numbers were heard", desk.n);
}

void desk_judge(bool told)
{
    const struct fake_alarm *const *all;
    size_t n = fake_store_alarms(&all);
    clears_judge(all, n);
    neighbour_judge();
    if (told)
        desk_judge_told();
}
