/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APP_SINK_H
#define APP_SINK_H
/*
 * sink — one database: from the engine's points to its done-marks.
 *
 * Encodes points into the open block; closes it by lines, bytes or age, at a step's end only;
 * writes closed blocks to the outbound log once the journal is synced past them; posts them,
 * newest first and the backlog beside, several in flight; decides by core/answer what an answer
 * means; bisects refused blocks to the guilty line; keeps what VictoriaMetrics took for 30 s.
 * Sinks know nothing of each other. Loop thread only.
 */
#include "core/conf.h"
#include "core/position.h"
#include "core/value.h"
#include "io/httpc.h"
#include "io/outbound.h"
#include "io/store.h"

struct sink;

struct sink_options {
    const struct conf_sink *conf; /* outlives the sink */
    const char *dir;              /* its outbound log's folder */
    const char *password, *token; /* secrets, or NULL; copied */
    struct loop *loop;
    struct httpc *httpc;
    struct store *store; /* for lines that are refused; may be NULL in tests */
};

int sink_open(const struct sink_options *o, struct err *err, struct sink **out);
/* Engine pass: points of the running step, then the step's end. A step at or below sink_end()
 * at open is not emitted again: the sink itself skips it (sink_wants says so before any
 * encoding). */
bool sink_wants(const struct sink *s, const struct position *step);
void sink_point(struct sink *s, const struct point *p);
/* `cause`: the end of the record that the step follows from. That of a timer stands before the
 * record whose time made it fire. */
void sink_step_end(struct sink *s, const struct position *step, uint64_t cause);
/* The journal is on the disk up to here. Blocks of causes above it are neither written nor
 * posted. */
void sink_journal_synced(struct sink *s, uint64_t offset);
/* An offset that must be synced so that waiting blocks can go; 0: none. */
uint64_t sink_needs_sync(const struct sink *s);
/* True: the engine must stop reading (hand-over queue above 8 MiB, or on_full: pause and full). */
bool sink_stalls(const struct sink *s);
bool sink_paused(const struct sink *s); /* on_full: pause and full: leave the brokers */
/* Half of its log is free, or nothing waits there any more (always, unless on_full: pause). */
bool sink_has_room(const struct sink *s);

struct position sink_end(const struct sink *s); /* of what is in its log */
/* Closes the open block, writes and syncs the log; then done(ctx) on the loop: sink_durable()
 * is at or above every step ended before the call. The journal must be synced that far, or it
 * waits. */
void sink_flush(struct sink *s, loop_fn *done, void *ctx);
/* What a snapshot may rely on: the log's synced end; the last ended step when nothing waits to
 * be written. */
struct position sink_durable(const struct sink *s);
/* On stop: posts what it can until deadline_ms, then done. What is left waits in the log. */
void sink_drain(struct sink *s, uint64_t deadline_ms, loop_fn *done, void *ctx);
/* Lines of this sink that the store keeps among the dead letters, sent to the database once more
 * (at most 2,000 a call; id 0, reason NULL: all). Those that it takes are marked in the store,
 * which counts them; the others stay as they were. -EBUSY: such a call is under way. */
struct sink_retaken {
    uint64_t lines, taken, refused;
    bool more;         /* there are more than one call takes */
    char problem[256]; /* why it ended early; "" it did not */
};
typedef void sink_retake_fn(void *ctx, const struct sink_retaken *r);
int sink_retake(struct sink *s, uint64_t id, const char *reason, uint64_t limit,
                sink_retake_fn *fn, void *ctx);
/* No flush or drain callback comes any more (a retake is answered before). A write under way ends
 * on the loop, which has to run until then. */
void sink_close(struct sink *s);

struct sink_stats {
    const char *id, *type;
    uint64_t open_lines, queued_blocks, pending_lines, pending_blocks, log_bytes, max_bytes;
    uint64_t accepted, refused, shed, made; /* lines, since the log was made */
    struct lineproto_refused left_out;      /* fields of its lines, since start */
    uint64_t posts, answers[6];             /* by enum answer_class, since start */
    uint64_t in_flight, held;
    int64_t oldest_pending_wall_ns, backfill_from_ms, backfill_to_ms; /* 0: none */
    uint64_t last_ok_ns;                                              /* loop time; 0: never */
    double post_seconds;
    char state[16];    /* "ok" "retrying" "blocked" "idle" */
    char problem[512]; /* what is wrong now, for people; "" if nothing */
};
void sink_stats(const struct sink *s, struct sink_stats *out);
const struct outbound *
sink_outbound(const struct sink *s); /* shares and reasons, for the ledger */
/* Of what is not in the log yet: a compound may come several times. Lines of queued blocks that
 * were given up count here as made, and as shed only once the log has them. Valid until the
 * next call. */
size_t sink_open_shares(struct sink *s, const struct block_share **out);

#endif
