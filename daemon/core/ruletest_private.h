/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_RULETEST_PRIVATE_H
#define CORE_RULETEST_PRIVATE_H
/*
 * ruletest_private — what the files of ruletest share: the test file as parsed, a test under
 * way.
 */
#include "core/conf_yaml.h"
#include "core/engine.h"
#include "core/ruletest.h"

#define RULETEST_MAX_CSV ((size_t)64 << 20)
/* Where messages of a device's points come from: compound and device follow. */
#define RULETEST_POINTS "gaihou/test/points"
/* The longest test, and the farthest that a clock is set: what adds up stays below 2^63 ns. */
#define RULETEST_MAX_TIME (INT64_C(20) * 366 * 86400 * NS_SECOND)

#define NS_MS     INT64_C(1000000)
#define NS_SECOND INT64_C(1000000000)
#define NS_MINUTE (60 * NS_SECOND)

/* -- what is written ------------------------------------------------------------------------ */

enum run_kind { RUN_MISSING, RUN_NUMBER, RUN_BOOL, RUN_WORD };

struct values_run { /* n samples: a, a + step, … */
    enum run_kind kind;
    bool truth;
    uint64_t n;
    double a, step, scale; /* scale: 10 to the power of the decimals written */
    const char *word;
};
struct values {
    struct values_run *runs;
    size_t n;
    uint64_t samples;
};

/* 0; -EINVAL with *out_at (byte of the text) and *out_why; -E2BIG likewise. */
int ruletest_values(const char *text, struct arena *a, struct values *out, size_t *out_at,
                    const char **out_why);
/* `1h30m`, `-5s`, `200ms`, `0`; signed ns. */
bool ruletest_duration(const char *s, size_t n, int64_t *out_ns);
void ruletest_put_time(struct buf *out, int64_t ns); /* "1h30m", "0s" */

struct series {
    const char *device; /* ends in * : all that begin so */
    const char *metric;
    const char *point; /* "" the device's own */
    struct values values;
    int64_t from_ns, interval_ns, late_ns, skew_ns;
    unsigned dup;
    bool retained, no_time;
    int line, col;
};

enum step_kind {
    STEP_STOP,  /* clean end of the gateway */
    STEP_START, /* and its start from what it saved */
    STEP_CRASH, /* killed, and started again: replayed from the beginning */
    STEP_RELOAD,
    STEP_COMMAND,
    STEP_LINK,
    STEP_CLOCK,
    STEP_PRESENCE,
    STEP_MESSAGE,
};
struct step {
    enum step_kind kind;
    int64_t at_ns;
    unsigned set;     /* RELOAD */
    bool up, synced;  /* LINK; CLOCK */
    int64_t shift_ns; /* CLOCK */
    unsigned case_no; /* COMMAND: n-th opened, from 1; 0: `target` */
    const char *target, *firm, *compound, *payload; /* COMMAND; PRESENCE: firm, payload */
    enum case_verb verb;
    const char *topic; /* MESSAGE */
    bool retained;
    int line, col;
};

struct member { /* one `path: value` that a state must have */
    const char *path, *value;
    int line, col;
};
struct pick { /* which transition, case or instance */
    const char *rule, *device, *point, *firm, *compound;
    const char *severity, *condition, *quality, *work;
    bool has_value; /* `value` is a number */
    double value;
    const char *text_value;
    unsigned case_no;
    int late, test, told, urgent; /* -1 not said */
    struct member *members;
    size_t n_members;
};
enum expect_kind {
    EXPECT_TRANSITION,
    EXPECT_OPEN,
    EXPECT_MESSAGES,
    EXPECT_REPLY,
    EXPECT_STATE
};
struct expect {
    enum expect_kind kind;
    int64_t from_ns, to_ns; /* OPEN, MESSAGES: at to_ns; INT64_MAX: the end */
    enum case_change change;
    struct pick pick;
    struct pick *open; /* OPEN */
    size_t n_open;
    const char *topic; /* MESSAGES: filter below the prefix */
    uint64_t count;
    enum case_answer answer; /* REPLY */
    int verb;                /* -1: any */
    int line, col;
};

struct test {
    const char *name;
    int64_t start_ms, interval_ns, end_ns; /* end_ns: -1 not said */
    struct series *series;
    struct step *steps; /* by time */
    struct expect *expects;
    size_t n_series, n_steps, n_expects;
    bool more_allowed; /* no_more: false */
    bool replies_listed;
    int line, col;
};

struct place {
    int line, col;
};

struct ruletest {
    struct arena arena;
    const char *file, *catalog, *timezone;
    struct ruletest_set *sets;
    size_t n_sets, cap_sets;
    struct buf compounds, devices, params; /* as CSV */
    struct table_device {
        const char *code, *compound;
        int line, col;
    } * list;
    size_t n_list, cap_list;
    struct place *compound_rows, *param_rows; /* where what stands in a row was written */
    size_t n_compound_rows, n_param_rows, cap_param_rows;
    struct test *tests;
    size_t n_tests;
};

/* What the parser's files share. */
struct ruletest_parse {
    struct ruletest *t;
    struct conf_notes notes;
    struct arena tree;
    bool
        known; /* of the last mapping: no key of it is misspelt, so that what lacks was left out */
};
#define AT(n) (n)->line, (n)->col
/* One allowed key of a mapping, and where what was found goes. */
struct slot {
    const char *name;
    const struct yaml_node **to;
};
#define SLOTS(s) (s), sizeof(s) / sizeof(*(s))
void *ruletest_take(struct ruletest_parse *p, size_t n, size_t size);
bool ruletest_map(struct ruletest_parse *p, const struct yaml_node *n, const struct slot *slots,
                  size_t n_slots, const char *where);
size_t ruletest_list(struct ruletest_parse *p, const struct yaml_node *n, const char *what);
/* NULL and said when it is no value. */
const char *ruletest_scalar(struct ruletest_parse *p, const struct yaml_node *n,
                            const char *what);
const char *ruletest_copy(struct ruletest_parse *p, const struct yaml_node *n,
                          const char *what);
bool ruletest_bool(struct ruletest_parse *p, const struct yaml_node *n, const char *what,
                   bool *out);
bool ruletest_count(struct ruletest_parse *p, const struct yaml_node *n, const char *what,
                    uint64_t max, uint64_t *out);
bool ruletest_time(struct ruletest_parse *p, const struct yaml_node *n, const char *what,
                   bool negative, int64_t *out_ns);
/* An index of names, or -1 and said, with the nearest. */
int ruletest_word(struct ruletest_parse *p, const struct yaml_node *n, const char *what,
                  const char *const *names, size_t n_names);
unsigned ruletest_add_set(struct ruletest_parse *p, const struct yaml_node *n);
void ruletest_parse_devices(struct ruletest_parse *p, const struct yaml_node *compounds,
                            const struct yaml_node *devices, const struct yaml_node *defaults);
void ruletest_parse_steps(struct ruletest_parse *p, const struct yaml_node *n, struct test *x);
void ruletest_parse_expects(struct ruletest_parse *p, const struct yaml_node *n,
                            struct test *x);
/* Said, with the nearest, when no device of the file is meant. */
void ruletest_check_device(struct ruletest_parse *p, const struct yaml_node *n,
                           const char *pattern);
/* Does `pattern` (a code, or what it begins with and *) mean `code`? */
bool ruletest_means(const char *pattern, const char *code);

#endif
