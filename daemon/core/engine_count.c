/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the engine and its alarms count besides the ledger. It is part of the state, by name, so
 * that a start goes on counting where the replay comes from, and nothing is counted twice.
 */
#include "base/check.h"
#include "core/engine_count_private.h"
#include "core/judge.h"

#include <stdio.h>
#include <string.h>

static void add(struct engine_counters *c, const char *group, const char *name, uint64_t *n)
{
    ASSERT(c->n < ENGINE_COUNTERS);
    struct engine_counter *one = &c->list[c->n++];
    (void)snprintf(one->name, sizeof(one->name), "%s%s", group, name);
    one->n = n;
}

static void by_reason(struct engine_counters *c, const char *group, uint64_t n[REASON_N])
{
    for (unsigned i = REASON_NONE + 1; i < REASON_N; i++)
        add(c, group, judge_reason((enum quality_reason)i), &n[i]);
}

static void of_engine(struct engine_counters *c)
{
    struct engine_stats *e = &c->engine;
    add(c, "", "records", &e->records);
    add(c, "", "points", &e->points);
    add(c, "", "fields_unknown", &e->fields_unknown);
    add(c, "", "fields_bad", &e->fields_bad);
    by_reason(c, "bad.", e->values_bad);
    by_reason(c, "uncertain.", e->values_uncertain);
    add(c, "times.", "replaced", &e->times_replaced);
    add(c, "times.", "moved", &e->times_moved);
    add(c, "times.", "corrected", &e->times_corrected);
    add(c, "times.", "doubted", &e->times_doubted);
    add(c, "times.", "unread", &e->times_unread);
    add(c, "", "repeated_ids", &e->repeated_ids);
    add(c, "", "strangers_not_told", &e->strangers_not_told);
    add(c, "", "rebirths", &e->rebirths);
    add(c, "", "commands_unread", &e->commands_unread);
    add(c, "", "wall_steps_held", &e->wall_steps_held);
    add(c, "", "firms_not_watched", &e->firms_not_watched);
}

static void of_alarms(struct engine_counters *c)
{
    struct alarm_stats *a = &c->alarm;
    struct cases_stats *k = &c->cases;
    add(c, "alarm.", "samples", &a->samples);
    add(c, "alarm.", "evaluations", &a->evaluations);
    add(c, "alarm.", "unknown", &a->unknown);
    add(c, "alarm.", "late", &a->late);
    add(c, "alarm.", "events", &a->events);
    add(c, "cases.", "transitions", &k->transitions);
    add(c, "cases.", "delivered", &k->delivered);
    add(c, "cases.", "withheld", &k->withheld);
    add(c, "cases.", "commands", &k->commands);
    add(c, "cases.", "refused", &k->refused);
    add(c, "cases.", "repeated", &k->repeated);
    add(c, "cases.", "not_opened", &k->not_opened);
}

void engine_counters(struct engine_counters *out)
{
    memset(out, 0, sizeof(*out));
    of_engine(out);
    of_alarms(out);
}

void engine_counters_look(const struct engine *e, struct engine_counters *out)
{
    engine_counters(out);
    out->engine = e->stats;
    alarm_stats(e->alarms->alarm, &out->alarm);
    cases_stats(e->alarms->cases, &out->cases);
}

void engine_counters_set(const struct engine_counters *c, const char *name, uint64_t n)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->list[i].name, name) == 0)
            *c->list[i].n = n;
}

void engine_counters_use(struct engine *e, const struct engine_counters *c)
{
    e->stats = c->engine;
    alarm_counted(e->alarms->alarm, &c->alarm);
    cases_counted(e->alarms->cases, &c->cases);
}
