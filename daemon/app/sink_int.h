/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APP_SINK_INT_H
#define APP_SINK_INT_H
/*
 * sink_int — the parts of a sink: sink.c (engine's side), sink_write.c (hand-over to the log),
 * sink_post.c (choosing and posting), sink_answer.c (what an answer leads to), sink_job.c (one
 * block under way, its lines), sink_hold.c (VictoriaMetrics), sink_retake.c (refused lines once
 * more), sink_url.c. Nobody else includes it.
 */
#include "app/sink.h"
#include "base/buf.h"
#include "base/log.h"
#include "core/answer.h"
#include "core/block.h"

#define SINK_QUEUE_BYTES   (8u << 20)  /* hand-over queue */
#define SINK_FAILING_BYTES (32u << 20) /* the same of what is never shed, while the log fails */
#define SINK_WRITE_BYTES   (4u << 20)  /* one write */
#define SINK_EXTRA_JOBS    8           /* blocks set aside or searched beside in_flight */
#define SINK_ASIDE_FAILS   3  /* one that failed so often, beside others, takes no place … */
#define SINK_ASIDE_JOBS    64 /* … as long as there are no more of them */
#define SINK_PROBE_NS      30000000000u
#define SINK_HOLD_NS       30000000000u
#define SINK_HOLD_POLL_MS  5000
#define SINK_HIDDEN_NS     600000000000u
#define SINK_SETTLE_NS     1100000000u /* a start is told in whole seconds */
#define SECOND_NS          1000000000u

enum sink_state { SINK_WELL, SINK_RETRYING, SINK_BLOCKED };
enum job_state {
    JOB_READY, /* has ranges to post, from `due_ns` on */
    JOB_POSTING,
    JOB_STORING, /* its refused lines are on their way to the store */
    JOB_MARKING, /* done but for its mark, tried again from `due_ns` on */
    JOB_HELD,    /* taken by VictoriaMetrics, which may still lose it */
};

struct range { /* lines [first, end) of a block */
    uint32_t first, end;
    bool suspect; /* one line, refused without certainty */
    uint64_t oks; /* successes of the sink when it was */
};
struct refused_line {
    uint32_t line; /* from 0 */
    int status;
    const char *reason;
    char *detail;
};

struct job { /* one block under way: one unit in the log, however it is cut */
    struct sink *s;
    struct job *next;
    enum job_state state;
    struct block_info info;
    struct buf body;  /* as in the log */
    struct buf raw;   /* unpacked, once it is searched */
    uint32_t *starts; /* of each line in raw, and its end: lines + 1 */
    bool searching;
    struct range *ranges; /* still to be decided; the last goes first */
    size_t n_ranges, cap_ranges;
    struct range running;
    bool probing;    /* the request under way is one line that proves the server well */
    bool live;       /* taken as the newest */
    uint64_t era;    /* the sink's when the whole of it was last posted */
    struct buf part; /* its body when it is not the whole */
    struct httpc_call *call;
    struct ticket *ticket; /* the store's way back */
    uint64_t due_ns, last_try_ns, held_ns;
    unsigned fails;
    int last_status; /* of equal refusals, for "the batch or the server?" */
    const char *last_reason;
    unsigned same;
    uint64_t oks;                   /* successes of the sink at the last failure */
    uint32_t good_line, probe_line; /* UINT32_MAX: none known */
    struct refused_line *refused;
    size_t n_refused, cap_refused;
};

struct ticket {
    struct job *job; /* NULL: it was given up meanwhile */
};

struct queued {
    struct queued *next;
    struct block *b;
    uint64_t cause; /* the journal must be synced so far */
};
struct waiter {
    struct waiter *next;
    struct position target;
    loop_fn *fn;
    void *ctx;
};

struct sink {
    const struct conf_sink *conf;
    struct loop *loop;
    struct httpc *httpc;
    struct store *store;
    struct outbound *log;
    char *dir, *url, *metrics_url, *auth_header, *username, *password;

    /* engine's side */
    struct block_builder *builder;
    struct position skip_to, last_step;
    uint64_t cause; /* of the last step with points */
    bool in_step, aging;
    struct loop_timer *age, *kick, *tick, *wake;
    struct queued *queue, *queue_last;
    size_t queue_blocks;
    uint64_t queue_bytes, synced_offset;
    struct waiter *waiters;
    struct block_share *open_shares;
    size_t n_open_shares, cap_open_shares;

    /* the write under way */
    bool writing, closing;
    struct block **write_blocks;
    size_t n_write;
    int write_rc;
    bool write_failing;
    struct log_state write_log, fold_log, full_log, hold_log;
    struct log_limit shed_limit, block_limit, corrupt_limit, mark_limit;
    uint64_t shed_unsaid;
    bool paused;

    /* posting */
    struct job *jobs;
    size_t n_jobs; /* not held */
    enum sink_state state;
    uint64_t gate_ns;  /* nothing is posted before */
    unsigned failures; /* in a row */
    uint64_t oks, broke_ns, random;
    uint64_t turns_ns; /* since when … */
    unsigned turns;    /* … it was well and got into trouble so often */
    bool unsaid;       /* the trouble that it is in */
    bool fresh_next, oldest_next;
    struct loop_timer *drain_timer;
    loop_fn *drain_fn;
    void *drain_ctx;
    char problem[512];

    /* VictoriaMetrics */
    struct httpc_call *poll;
    struct loop_timer *poll_timer;
    char started[32]; /* what it says about its start; "" not known */
    bool start_known, start_lost, poll_soon;
    uint64_t polled_ns; /* start of the last poll that found it unchanged */
    uint64_t lost_ns;   /* of the first poll that found no start, when start_lost */
    uint64_t era;       /* restarts that were seen */
    uint64_t settle_ns; /* nothing is posted before */

    struct retake *retake; /* NULL: none under way */
    struct sink_stats stats;
};

/* sink_write.c */
void sink_close_block(struct sink *s);
void sink_pump_writes(struct sink *s);
void sink_check_quota(struct sink *s);
void sink_check_waiters(struct sink *s);
void sink_destroy(struct sink *s);
/* sink_post.c */
void sink_pump_posts(struct sink *s);
void sink_kick(struct sink *s); /* soon, from the loop: pump all */
uint64_t sink_backoff_ns(struct sink *s, unsigned fails);
void sink_cancel_jobs(struct sink *s);
/* sink_answer.c */
void sink_on_answer(void *job, const struct httpc_answer *a);
void sink_finish_job(struct job *j);
/* sink_job.c */
struct job *job_take(struct sink *s, bool newest);
void job_free(struct job *j); /* out of the sink's list */
void job_push(struct job *j, struct range r, bool last);
bool job_next_range(struct job *j);
int job_unpack(struct job *j);
int job_part(struct job *j, struct range r);
/* Gives the bytes back that the log has as well, and reads and unpacks them again: 0, or -errno, and
 * the job is gone if they have rotted meanwhile. */
void job_unload(struct job *j);
int job_reload(struct job *j);
void job_refuse(struct job *j, uint32_t line, const char *reason, int status,
                const char *detail, size_t len);
/* The compound that a line counts under: its tag, "-" for measurements of our own. */
void job_compound(const char *line, size_t len, char out[65]);
/* sink_hold.c */
void sink_hold_start(struct sink *s);
void sink_hold(struct job *j);
bool sink_hold_ready(const struct sink *s); /* it is known which server is written to */
void sink_hold_soon(struct sink *s);        /* a connection failed: look whether it restarted */
/* sink_retake.c */
void sink_retake_cancel(struct sink *s);
/* sink_url.c */
int sink_make_urls(struct sink *s, const struct sink_options *o, struct err *err);

#endif
