/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_LEDGER_H
#define CORE_LEDGER_H
/*
 * ledger — what became of every message and every point, per compound, exactly.
 *
 *   received + reinjected = decoded + ignored{…} + duplicate + quarantined + dead{…} +
 *                           again{…} + other_lane
 *                           (+ unread: what the journal holds beyond the engine)
 *   points decoded        = made + duplicate + refused{…}
 *
 * A message is `duplicate` only if all its points are. One that was taken up again and still cannot
 * be used is `again`: dead and quarantined count messages, each once, however often they are tried. Rows are kept by the compound's code, so
 * that they outlive the registry; "-" holds what belongs to no compound. The counters are part
 * of the engine's state: a snapshot and the replay of what follows give the same numbers again.
 *
 * Names of columns stand in snapshots and dashboards, and are never taken away: bad_shape is
 * counted by nobody (what is JSON of another form is bad_json).
 */
#include "base/buf.h"

#include <stdint.h>

/* name of the counter, class, reason ("" none) */
#define LEDGER_COUNTS(X)                                                                       \
    X(RECEIVED, "received", "")                                                                \
    X(REINJECTED, "reinjected", "")                                                            \
    X(DECODED, "decoded", "")                                                                  \
    X(DUPLICATE, "duplicate", "")                                                              \
    X(QUARANTINED, "quarantined", "")                                                          \
    X(OTHER_LANE, "other_lane", "")                                                            \
    X(IGNORED_RETAINED, "ignored", "retained")                                                 \
    X(IGNORED_EMPTY, "ignored", "empty")                                                       \
    X(IGNORED_DOWNLINK, "ignored", "downlink")                                                 \
    X(IGNORED_REPLY, "ignored", "reply")                                                       \
    X(IGNORED_LOG, "ignored", "log")                                                           \
    X(IGNORED_JOIN, "ignored", "join")                                                         \
    X(IGNORED_BIRTH, "ignored", "birth")                                                       \
    X(IGNORED_CONFIG, "ignored", "config")                                                     \
    X(IGNORED_TEST, "ignored", "test")                                                         \
    X(IGNORED_SIMULATED, "ignored", "simulated")                                               \
    X(IGNORED_STATUS, "ignored", "status")                                                     \
    X(IGNORED_HEARTBEAT, "ignored", "heartbeat")                                               \
    X(IGNORED_STALE, "ignored", "stale")                                                       \
    X(IGNORED_OTHER, "ignored", "other")                                                       \
    X(DEAD_NO_SOURCE, "dead", "no_source")                                                     \
    X(DEAD_NO_MESSAGE, "dead", "no_message")                                                   \
    X(DEAD_NO_DEVICE, "dead", "no_device")                                                     \
    X(DEAD_BAD_PAYLOAD, "dead", "bad_payload")                                                 \
    X(DEAD_BAD_CHECKSUM, "dead", "bad_checksum")                                               \
    X(DEAD_REFUSED, "dead", "refused")                                                         \
    X(DEAD_BAD_JSON, "dead", "bad_json")                                                       \
    X(DEAD_BAD_SHAPE, "dead", "bad_shape")                                                     \
    X(DEAD_TOO_MANY, "dead", "too_many_points")                                                \
    X(DEAD_OVERSIZED, "dead", "oversized")                                                     \
    X(DEAD_CORRUPT, "dead", "corrupt")                                                         \
    X(AGAIN_DEAD, "again", "dead")                                                             \
    X(AGAIN_QUARANTINED, "again", "quarantined")                                               \
    X(POINTS_DECODED, "points_decoded", "")                                                    \
    X(POINTS_MADE, "points_made", "")                                                          \
    X(POINTS_DUPLICATE, "points_duplicate", "")                                                \
    X(POINTS_REFUSED_METRIC, "points_refused", "unknown_metric")                               \
    X(POINTS_REFUSED_TOO_MANY, "points_refused", "too_many_points")                            \
    X(POINTS_REFUSED_EMPTY, "points_refused", "no_value")                                      \
    X(POINTS_OWN, "points_own", "")

enum ledger_count {
#define X(name, class_, reason) LEDGER_##name,
    LEDGER_COUNTS(X)
#undef X
        LEDGER_N
};

struct ledger_row {
    char compound[65];
    uint64_t n[LEDGER_N];
};

struct ledger;
struct ledger *ledger_new(void);
void ledger_free(struct ledger *l);
/* The row's number, made if need be; stays for the life of the ledger. At most LEDGER_MAX_ROWS,
 * then that of "-". */
#define LEDGER_MAX_ROWS 65536
#define LEDGER_NONE     0u /* the row of "-" */
uint32_t ledger_row(struct ledger *l, const char *compound);
void ledger_add(struct ledger *l, uint32_t row, enum ledger_count c, uint64_t n);
size_t ledger_rows(const struct ledger *l);
const struct ledger_row *ledger_at(const struct ledger *l, size_t i);
void ledger_total(const struct ledger *l, struct ledger_row *out);
const char *ledger_class(enum ledger_count c);
const char *ledger_reason(enum ledger_count c);
/* Do both sums hold for this row? */
bool ledger_balanced(const struct ledger_row *r);

#endif
