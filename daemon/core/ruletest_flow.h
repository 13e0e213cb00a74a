/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_RULETEST_FLOW_H
#define CORE_RULETEST_FLOW_H
/*
 * ruletest_flow — a test under way: records (ruletest_run.c), messages and their order
 * (ruletest_flow.c), what is compared (ruletest_judge.c, ruletest_cover.c). Internal to
 * ruletest.
 */
#include "core/ruletest_private.h"

struct happened { /* a transition */
    enum case_change change;
    enum severity severity;
    int64_t at_ns; /* since the start */
    bool deliver, urgent, closed, record, test;
    const char *case_id, *firm, *compound, *rule, *device, *point, *was_firm, *was_compound;
    const char *json; /* with JSON_PADDING behind it */
    size_t json_len;
    uint64_t seq;
    unsigned case_no; /* from 1; 0: history */
};
struct replied {
    int64_t at_ns;
    enum case_answer answer;
    enum case_verb verb;
    const char *case_id, *json;
};
struct opened {
    const char *case_id, *firm, *compound;
    size_t last; /* index of its newest transition */
    bool closed;
};

struct ruletest_run {
    const struct ruletest *t;
    const struct test *x;
    const struct ruletest_options *o;
    struct engine *e;
    struct hook *hook;
    const struct world *w;
    struct arena arena;
    struct happened *happened;
    size_t n_happened, cap_happened;
    struct replied *replied;
    size_t n_replied, cap_replied;
    struct opened *opened;
    size_t n_opened, cap_opened;
    struct streams *streams;
    struct buf state; /* what the gateway saved at its end */
    uint64_t ns, offset, messages, values, records, letters;
    uint64_t good, bad; /* points */
    const char *letter_reason;
    int64_t shift_ns, beat_ns; /* of the wall clock; when the gateway last wrote a record */
    uint16_t packet_id;
    bool down, unlinked, synced, replaying;
    bool overflow; /* too many transitions, or too much of something else */
    bool failed, no_room;
    struct json *json;
    struct buf *text; /* what is wrong */
};

void ruletest_begin(struct ruletest_run *r, const struct ruletest *t, const struct test *x,
                    const struct ruletest_options *o, struct buf *text, bool replaying);
void ruletest_end(struct ruletest_run *r);
/* Up to the end, or up to before that step. */
void ruletest_flow(struct ruletest_run *r, size_t upto_step);
void ruletest_streams(struct ruletest_run *r);
void ruletest_streams_free(struct ruletest_run *r);
void ruletest_release(struct ruletest_run *r, int64_t at_ns);
void ruletest_step(struct ruletest_run *r, const struct step *s);
/* settle: what is due at that time has happened afterwards. */
void ruletest_advance(struct ruletest_run *r, int64_t at_ns, bool settle);
/* order: among the messages of one time. */
void ruletest_give_message(struct ruletest_run *r, const char *topic, size_t topic_len,
                           const char *body, size_t len, bool retained, int64_t at_ns,
                           uint32_t order);

void ruletest_judge(struct ruletest_run *r,
                    const struct expect *x);   /* open, messages, is: now */
void ruletest_names(struct ruletest_run *r);   /* rules that are expected: are they there? */
void ruletest_compare(struct ruletest_run *r); /* transitions and replies, at the end */
void ruletest_cover_transition(struct ruletest_cover *c, const struct ruletest_run *r,
                               const struct happened *h);
/* A run begins in this world, or goes on in it. */
void ruletest_cover_world(struct ruletest_cover *c, const struct world *w);
void ruletest_cover_look(struct ruletest_cover *c, const struct ruletest_run *r,
                         const struct device *d, const char *point);

#endif
