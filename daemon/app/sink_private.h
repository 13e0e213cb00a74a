/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APP_SINK_PRIVATE_H
#define APP_SINK_PRIVATE_H
/*
 * sink_private — what the sink's files share; included by app/sink*.c only.
 *
 *   sink.c        life, encoding, closing blocks
 *   sink_log.c    closed blocks on their way into the outbound log; the quota
 *   sink_post.c   which block goes when; what an answer means for the sink
 *   sink_parts.c  a block that was refused, in parts, down to the guilty line
 *   sink_hold.c   VictoriaMetrics: what was taken is held until it must be on its disk
 */
#include "app/sink.h"
#include "base/log.h"
#include "core/block.h"

#define SINK_QUEUE_MAX  ((uint64_t)8 << 20)
#define SINK_MAX_FLIGHT 16

struct queued { /* a group of blocks, closed together */
    struct block **blocks;
    size_t n;
    struct position to;
    uint64_t bytes;
    struct queued *next;
};

struct range {
    uint32_t from, to; /* lines */
};

struct refused_line {
    uint32_t line; /* of the block, from 1 */
    int status;
    const char *reason; /* static */
};

/* One block on its way to the database. */
struct flight {
    struct sink *sink;
    struct block_info info; /* shares not valid */
    struct buf body;        /* as in the log */
    struct httpc_call *call;
    bool newest;   /* taken from the live end */
    bool waiting;  /* in parts, until the sink goes on */
    bool deciding; /* its refused lines are being kept */

    /* in parts */
    bool parts;
    struct buf raw, packed;
    uint32_t *starts; /* of lines in raw; one more than lines */
    struct range *stack, now;
    size_t depth;
    unsigned same;         /* equal 500s on these bytes */
    uint64_t oks_at_first; /* of the sink, when the first of them came */
    struct refused_line *refused;
    size_t n_refused;
    struct store_batch *letters;
};

struct held {
    uint64_t seq;
    int64_t min_time_ms, max_time_ms, closed_wall_ns;
    uint32_t lines;
    uint64_t until_ns;
    struct held *next;
};

enum sink_state { SINK_OK, SINK_RETRYING, SINK_BLOCKED };

struct sink {
    const struct conf_sink *conf;
    struct loop *loop;
    struct httpc *httpc;
    struct store *store;
    char *url, *metrics_url, *username, *password, *auth;
    const char *headers[5], *headers_raw[5]; /* with and without Content-Encoding */

    struct block_builder *bb;
    struct outbound *ob;
    struct position skip, last_step;
    struct loop_timer *age, *rewrite, *retry, *hold, *drain;

    struct queued *queue, **queue_end;
    uint64_t queue_bytes;
    uint64_t synced;
    bool writing;
    struct block **job_blocks;
    size_t n_job_blocks, n_job_groups;
    int job_result;
    struct log_state write_log;
    struct log_limit shed_log;
    uint64_t shed_unsaid;
    bool paused;

    bool flushing;
    struct position flush_to;
    loop_fn *flushed;
    void *flushed_ctx;

    enum sink_state state;
    struct flight *flights[SINK_MAX_FLIGHT];
    unsigned failures; /* in a row */
    uint64_t retry_at_ns, broke_ns;
    uint64_t same_seq, same_hash, same_oks; /* equal answers to one whole block */
    unsigned same;
    uint64_t oks;
    bool turn; /* which end a lone probe takes */
    struct log_state post_log;
    char problem[512];

    struct held *helds, **helds_end;
    uint64_t n_held;
    struct httpc_call *metrics_call;
    uint64_t metrics_asked_ns;
    double
        vm_started; /* vm_app_start_timestamp when the oldest held block was sent; 0: unknown */

    uint64_t posts, answers[6], last_ok_ns, post_ns, post_n;
    int64_t backfill_from_ms, backfill_to_ms;
    struct block_share *open_shares;
    size_t n_open_shares, cap_open_shares;

    bool closing;
    loop_fn *drained;
    void *drained_ctx;
};

/* sink_log.c */
void sink_close_open(struct sink *s);
void sink_try_write(struct sink *s);
void sink_check_quota(struct sink *s);
void sink_flush_maybe(struct sink *s);
void sink_on_rewrite(void *ctx);
/* sink_post.c */
void sink_pump(struct sink *s);
void sink_on_retry(void *ctx);
void sink_fail(struct sink *s, const struct answer *a, const struct httpc_answer *h);
void sink_succeed(struct sink *s);
void sink_accept(struct sink *s, const struct block_info *info);
void sink_send(struct flight *f, const void *body, size_t len, bool gzip, httpc_fn *fn);
void sink_judge(struct sink *s, const struct httpc_answer *h, size_t lines, unsigned same,
                struct answer *out);
void sink_end_flight(struct flight *f);
void sink_drained_maybe(struct sink *s);
/* sink_parts.c */
void sink_parts_begin(struct flight *f, const struct answer *a, const struct httpc_answer *h);
void sink_parts_go_on(struct flight *f);
void sink_parts_done(struct flight *f);
/* sink_hold.c */
void sink_hold_block(struct sink *s, const struct block_info *info);
void sink_on_hold(void *ctx);
void sink_hold_free(struct sink *s);

#endif
