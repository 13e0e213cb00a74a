/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_RULETEST_H
#define CORE_RULETEST_H
/*
 * ruletest — tests of rules as people write them (docs/rules-testing.md): series of values in
 * promtool's notation, steps, and what is expected.
 *
 * Owns the test file's content and runs it: the series become messages, the messages journal
 * records, and the records go through the engine that a gateway runs (core/engine.h), in virtual
 * time. So a test sees what a gateway would do, or the same bug. Reads no files: who runs a test
 * brings the texts of catalogue and rules. A run owns what it makes; a struct ruletest is
 * immutable once parsed, one run at a time per thread.
 *
 * Times in a test are times since its start. At one and the same time samples come first, then
 * steps, then what is expected at it is looked at.
 */
#include "base/buf.h"
#include "core/cases.h"
#include "core/world.h"

#define RULETEST_MAX_FILE        ((size_t)CONF_MAX_BYTES)
#define RULETEST_MAX_TESTS       10000
#define RULETEST_MAX_DEVICES     200000
#define RULETEST_MAX_SAMPLES     UINT64_C(1000000000) /* of one series */
#define RULETEST_MAX_TRANSITIONS 100000               /* of one test */

struct ruletest;

/* 0, or -EINVAL with every problem told. */
int ruletest_parse(const char *text, size_t len, const char *file, struct problems *problems,
                   struct ruletest **out);
void ruletest_free(struct ruletest *t);

const char *ruletest_file(const struct ruletest *t);
const char *ruletest_catalog(const struct ruletest *t);  /* as written; NULL: not said */
const char *ruletest_timezone(const struct ruletest *t); /* "Asia/Shanghai" when not said */

/* Which rule files are in force: set 0 is the file's own, each `reload` has one of its own. */
struct ruletest_set {
    const char *const *patterns; /* shell patterns, relative to the test file */
    size_t n;
    int line, col;
};
size_t ruletest_sets(const struct ruletest *t);
const struct ruletest_set *ruletest_set(const struct ruletest *t, size_t i);
/* The world of one set: the file's devices, this catalogue, these rules. 0 or -EINVAL. */
int ruletest_world(const struct ruletest *t, const struct world_text *catalog,
                   const struct world_text *rules, size_t n_rules, const struct zone *zone,
                   struct problems *problems, struct world **out);

size_t ruletest_tests(const struct ruletest *t);
const char *ruletest_name(const struct ruletest *t, size_t test);

/* Which branches of the rules some test has gone through. */
struct ruletest_cover;
struct ruletest_cover *ruletest_cover_new(void);
void ruletest_cover_free(struct ruletest_cover *c);
struct ruletest_branches {
    size_t all, seen;
};
/* Lines "file:line: rule sump-high: level major: never cleared" of what was never seen. */
void ruletest_cover_print(const struct ruletest_cover *c, struct buf *out,
                          struct ruletest_branches *out_n);

struct ruletest_options {
    const struct world *const *worlds; /* by set */
    struct ruletest_cover *cover;      /* NULL: not wanted; slower */
    bool whole;                        /* tells all transitions as lines that would pass */
};
struct ruletest_result {
    bool passed;
    uint64_t messages, values, transitions, records;
    uint64_t virtual_ns; /* how long the test lasted, in its own time */
    struct buf text;     /* what is wrong, for people; the caller's buf_done */
};
void ruletest_run(const struct ruletest *t, size_t test, const struct ruletest_options *o,
                  struct ruletest_result *out);

#endif
