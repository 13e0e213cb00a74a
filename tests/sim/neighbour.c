/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/neighbour.h"
#include "base/mem.h"
#include "sim/gateway.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "gaihou/v1/"

enum { MANY = 2, CASES = 6 };

struct neighbour {
    char id[24], lane[16], suffix[8]; /* suffix: of its topics, behind the id */
    uint64_t epoch, seq;
    struct {
        char topic[128], payload[256];
    } kept[CASES + 2]; /* cases, epoch, status; no topic: nothing kept */
};

static struct neighbour all[MANY];
static char ours[48], our_gateway[48]; /* "sim.all." of case ids; "gateway/sim/" of topics */

static void put(struct neighbour *b, unsigned place, const char *topic, const char *payload)
{
    (void)snprintf(b->kept[place].topic, sizeof(b->kept[place].topic), "%s", topic);
    (void)snprintf(b->kept[place].payload, sizeof(b->kept[place].payload), "%s", payload);
    fake_alerts_say(topic, payload, true, NULL, NULL);
    if (!payload[0])
        b->kept[place].topic[0] = '\0';
}

static void case_topic(const struct neighbour *b, unsigned i, const char *head,
                       const char *tail, char out[128])
{
    (void)snprintf(out, 128, PREFIX "%s/yulin/c%u/%s.%s.%" PRIu64 ".%u%s", head, 1 + i % 2,
                   b->id, b->lane, b->epoch, 4096 + i * 100, tail);
}

static void say_case(struct neighbour *b)
{
    unsigned i = (unsigned)sim_random(CASES);
    char topic[128], payload[256] = "";
    case_topic(b, i, "alerts", "", topic);
    if (!b->kept[i].topic[0] || sim_chance(60))
        (void)snprintf(payload, sizeof(payload),
                       "{\"v\":1,\"stream\":\"%s/%s/%" PRIu64
                       "\",\"case\":\"%s\",\"seq\":%" PRIu64
                       ",\"version\":1,\"change\":\"activated\"}",
                       b->id, b->lane, b->epoch, strrchr(topic, '/') + 1, ++b->seq);
    put(b, i, topic, payload);
}

static void say_itself(struct neighbour *b)
{
    char topic[128], payload[256];
    (void)snprintf(topic, sizeof(topic), PREFIX "gateway/%s%s/epoch", b->id, b->suffix);
    (void)snprintf(payload, sizeof(payload),
                   "{\"v\":1,\"gateway\":\"%s\",\"lane\":\"%s\",\"stream\":\"%s/%s/%" PRIu64
                   "\",\"epoch\":%" PRIu64 ",\"offset\":%" PRIu64 "}",
                   b->id, b->lane, b->id, b->lane, b->epoch, b->epoch, UINT64_C(1) << 40);
    put(b, CASES, topic, payload);
    (void)snprintf(topic, sizeof(topic), PREFIX "gateway/%s%s/status", b->id, b->suffix);
    put(b, CASES + 1, topic,
        sim_chance(30) ? "{\"v\":1,\"state\":\"offline\"}" : "{\"v\":1,\"state\":\"ok\"}");
}

/* A firm acknowledges a case of theirs: not for us. */
static void say_command(const struct neighbour *b)
{
    char topic[128];
    case_topic(b, (unsigned)sim_random(CASES), "cmd", "/ack", topic);
    fake_alerts_say(topic, "{\"by\":\"me\"}", false, "gaihou/v1/reply/yulin/me", "1");
}

void neighbour_acts(void)
{
    struct neighbour *b = &all[sim_random(MANY)];
    sim_trace("neighbour %s/%s acts", b->id, b->lane);
    switch (sim_random(4)) {
    case 0:
        say_itself(b);
        break;
    case 1:
        say_command(b);
        break;
    default:
        say_case(b);
    }
}

void neighbour_reset(const char *lane)
{
    bool ls = strcmp(lane, "life-safety") == 0;
    memset(all, 0, sizeof(all));
    (void)snprintf(ours, sizeof(ours), "sim.%s.", lane);
    (void)snprintf(our_gateway, sizeof(our_gateway), "gateway/sim%s/", ls ? "-ls" : "");
    all[0] = (struct neighbour){.id = "sim2", .lane = "all", .epoch = UINT64_C(1) << 40};
    all[1] = (struct neighbour){.id = "sim", .epoch = UINT64_C(1) << 41};
    (void)snprintf(all[1].lane, sizeof(all[1].lane), "%s", ls ? "routine" : "life-safety");
    (void)snprintf(all[1].suffix, sizeof(all[1].suffix), "%s", ls ? "" : "-ls");
}

void neighbour_emptied(void)
{
    for (unsigned k = 0; k < MANY; k++)
        for (unsigned i = 0; i < CASES + 2; i++)
            if (all[k].kept[i].topic[0])
                fake_alerts_say(all[k].kept[i].topic, all[k].kept[i].payload, true, NULL, NULL);
}

void neighbour_judge_message(const char *topic)
{
    const char *at = topic + strlen(PREFIX), *slash = strrchr(topic, '/');
    if (strncmp(at, "alerts/", 7) == 0 && strncmp(slash + 1, ours, strlen(ours)) != 0)
        sim_fail("told about a case of another's: %s", topic);
    if (strncmp(at, "gateway/", 8) == 0 && strncmp(at, our_gateway, strlen(our_gateway)) != 0)
        sim_fail("spoke for another gateway: %s", topic);
}

void neighbour_judge(void)
{
    const struct gateway_record *g;
    size_t n = gateway_log(&g);
    for (unsigned k = 0; k < MANY; k++)
        for (unsigned i = 0; i < CASES + 2; i++) {
            const char *kept =
                all[k].kept[i].topic[0] ? fake_alerts_kept(all[k].kept[i].topic) : NULL;
            if (all[k].kept[i].topic[0] && (!kept || strcmp(kept, all[k].kept[i].payload) != 0))
                sim_fail("%s is another's, and the broker keeps %s", all[k].kept[i].topic,
                         kept ? kept : "nothing");
        }
    for (size_t i = 0; i < n; i++) {
        const struct record *r = &g[i].r;
        if (r->type == RECORD_COMMAND && r->topic[0] != '-' &&
            !memmem(r->topic, r->topic_len, ours, strlen(ours)))
            sim_fail("a command for another is in the journal: %.*s", (int)r->topic_len,
                     r->topic);
    }
}
