/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_ALERTS_H
#define CTL_ALERTS_H
/*
 * alerts — how a case looks to people; for `alerts` and for the previews of operators' verbs.
 */
#include "ctl/ctl.h"

extern const char alerts_spec[];
extern const char *const alerts_keys[]; /* of the 9 columns of alerts_spec */
void alerts_prepare_case(json_t *row);
/* "2026-11-20 08:00:05" of an RFC 3339 time, as ctl_clock() has it. */
int ctl_tests(const struct ctl *c, int argc, char **argv); /* argv[0] "tests", of alerts */

#endif
