/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_RULES_H
#define CTL_RULES_H
/*
 * rules — gaihouctl rules check | test | backtest, and explain over a data folder. They read files
 * themselves and need no daemon; no jansson here. Each returns the exit code, what is wrong is
 * told on stderr. (rules explain of a running gateway is in rules_ask.c.)
 */
#include "core/ruletest.h"
#include "ctl/site.h"
#include "ctl/tools.h"

#include <stdio.h>

/* argv[0]: the verb. */
int rules_check(const struct tools_files *f, int argc, char **argv);
int rules_test(const struct tools_files *f, int argc, char **argv);
int rules_backtest(bool json, const struct tools_files *f, int argc, char **argv);
int rules_explain(bool json, int argc, char **argv); /* with --dir */

/* Rule files as texts; names and texts are owned. */
struct rule_files {
    struct world_text *list;
    size_t n;
};
/* What the pattern finds below `folder` (NULL: here) is added. One that finds nothing is an error:
 * without rules nothing alarms, and everything would look well. 0 or an exit code, told; said_by:
 * how that line begins, "gaihouctl" or the place in a file. */
int rule_files_add(struct rule_files *f, const char *folder, const char *pattern,
                   const char *said_by);
void rule_files_done(struct rule_files *f);

/* One test file. */
struct test_case {
    const char *name;
    char *wrong; /* NULL: passed */
    double seconds;
};
struct test_file {
    const char *file;
    char *broken; /* could not be read or loaded: why */
    struct test_case *cases;
    size_t n;
};
int rules_junit(const char *path, const struct test_file *files, size_t n);

#endif
