/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APP_REPORT_PRIVATE_H
#define APP_REPORT_PRIVATE_H
/*
 * report_private — what the report's files share; included by app/report*.c only.
 */
#include "app/report.h"

/* One sink's lines, log and open blocks together. */
struct sink_sums {
    uint64_t made, accepted, refused, shed, pending;
};
void report_sink_sums(struct sink *s, struct sink_sums *out);

/* Fields that a sink's lines do not have, by the reasons of gaihou-http(7). */
#define REPORT_LEFT_OUT 3
struct report_left_out {
    const char *reason;
    uint64_t n;
};
void report_left_out(const struct sink_stats *s, struct report_left_out out[REPORT_LEFT_OUT]);

#endif
