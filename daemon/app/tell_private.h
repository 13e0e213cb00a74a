/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APP_TELL_PRIVATE_H
#define APP_TELL_PRIVATE_H
/*
 * tell_private — what the files of tell share; included by app/tell*.c only.
 *
 *   tell.c        life, the second, status and epoch topics, stopping
 *   tell_in.c     what the client's callbacks hand over; commands go into the journal there
 *   tell_out.c    the window: what goes out, in which order, and what came back
 *   tell_rows.c   the outbox in memory: rows, their messages, done-marks
 *   tell_hold.c   firms to whom the broker refuses messages
 *   tell_agree.c  per connection: the retained topics read, the epoch decided, the open set
 *                 compared with them
 *   tell_orphans.c states of former epochs that the broker keeps
 *   tell_answer.c snapshots, and answers to commands that never reach the journal
 *
 * Order on the wire: messages on `urgent/`, then our own topics, then the outbox, then what the
 * comparison found, then snapshots. One connection keeps what it is given in order, so a (firm,
 * compound)'s rows may be under way together.
 */
#include "app/tell.h"
#include "base/log.h"
#include "core/json.h"

#include <stdatomic.h>

enum {
    TELL_RETRY_MAX_S = 5, /* somebody may be shut in: a broker that is back waits no longer */
    TELL_WINDOW = 100,    /* under way; the server's Receive Maximum goes before */
    TELL_ROWS_BYTES = 1 << 20,      /* read from the outbox at a time */
    TELL_OPEN_BYTES = 64 << 20,     /* of the open set in memory; beyond it only what differs */
    TELL_SNAPSHOT_BYTES = 64 << 20, /* of one snapshot */
    TELL_SNAPSHOTS_MAX = 64,        /* requests that wait */
    TELL_OVERTAKEN_MAX =
        100000,            /* cases told of within one snapshot; more: it is asked for again */
    TELL_DIRECT_MAX = 256, /* answers that wait */
    TELL_RETAINED_MAX = 2000000, /* topics of ours that a comparison remembers */
    TELL_ORPHANS_MAX = 2000, /* of them those of former epochs that can be closed, at a time */
    TELL_ORPHAN_SLOTS = 4096,
    TELL_CORRELATION_MAX = 256,
    TELL_TOPIC_MAX = 512, /* below the prefix */
    TELL_FIRMS_MAX = 10000,
    TELL_HOLDS_MAX = 256, /* firms that wait for a refusal; more: all of them do */
};

/* A message that is not of the outbox. */
struct tell_item {
    struct tell_item *next;
    char *topic; /* whole */
    char *payload, *correlation;
    size_t len, correlation_len;
    bool retain;
    uint64_t topic_hash; /* of the comparison: 0 otherwise */
    /* A snapshot's state: its case, and below its compound; its number there, 0: of another stream. */
    uint64_t case_hash, place_hash, seq;
};
struct tell_items {
    struct tell_item *head, **tail;
    size_t n;
};

struct tell_row {
    struct tell_row *next;
    uint64_t id, seq, offset;
    unsigned tell, sent, acked; /* enum store_tell */
    char *firm, *compound, *case_id, *was_firm, *was_compound, *topic;
    char *payload, *correlation;
    size_t len, correlation_len;
    uint64_t until_ns;  /* replies: on the loop's clock; 0: never too late */
    bool done, counted; /* and marked; in the sums */
    uint8_t trial; /* of these lanes (bits): it tries whether the broker takes messages again */
};
struct tell_rows { /* by id, ascending */
    struct tell_row *head, **tail;
    size_t n, bytes;
    uint64_t last_id; /* UINT64_MAX: not known */
};

/* A firm to whom the broker refuses messages: those on `urgent/`, or the others. */
enum tell_lane_kind { TELL_ROUTINE, TELL_LIFE, TELL_LANES };
struct tell_lane {
    bool held, trying, said;
    unsigned pause_s;
    uint64_t since_ns, until_ns;
    uint64_t from_id; /* of the rows that were left in the store, the first; 0: none */
};
struct tell_hold {
    char firm[65];
    struct tell_lane lanes[TELL_LANES];
    uint64_t high; /* up to here its rows are read again */
    bool disorder; /* not only life-safety was refused: later states may have gone ahead */
};
struct tell_part { /* of a row that left memory: what of it the broker has */
    uint64_t id;
    unsigned steps;
};

/* What a firm may ask of us: tokens of two buckets, by the hash of its name. Every command is a record
 * and a row of history, so that a firm's software that runs wild would fill the disk. Who shares one
 * bucket with it still has the other. */
enum {
    TELL_BUCKETS = 1024,
    TELL_TOKENS_MAX = 2000, /* at once: a whole compound's cases acknowledged */
    TELL_TOKENS_S = 20,     /* and then so many a second */
    TELL_TOKEN_BYTES = 512, /* of payload that a further one stands for */
    TELL_TOKENS_SNAPSHOT = 20,
};
struct tell_bucket {
    uint64_t full_ns; /* when it is full again */
};

enum tell_flight_kind { FLIGHT_ROW, FLIGHT_URGENT, FLIGHT_ITEM };
struct tell_flight { /* given to mqtt_send and not answered */
    uint64_t token;
    enum tell_flight_kind kind;
    struct tell_row *row;
    unsigned step;
    struct tell_item *item; /* freed with it */
};

/* Numbers, any number of them, each with a value if need be. */
struct tell_set {
    uint64_t *slots, *values; /* slot 0: free; values NULL: none has one */
    size_t n, cap;
};
void tell_set_add(struct tell_set *s, uint64_t v);
bool tell_set_has(const struct tell_set *s, uint64_t v);
void tell_set_raise(struct tell_set *s, uint64_t v, uint64_t value); /* adds it, too */
uint64_t tell_set_value(const struct tell_set *s, uint64_t v);       /* of tell_set_raise */
void tell_set_clear(struct tell_set *s);

/* What callbacks hand over. */
enum tell_event_kind {
    TELL_UP,
    TELL_DOWN,
    TELL_SENT,
    TELL_RETAINED,
    TELL_EPOCH,
    TELL_PRESENCE,
    TELL_SNAPSHOT,
    TELL_DIRECT
};
struct tell_event {
    struct tell_event *next;
    enum tell_event_kind kind;
    uint64_t id;     /* SENT: token; RETAINED: epoch of the payload; EPOCH: likewise */
    int status;      /* SENT */
    uint64_t hash;   /* RETAINED: of the payload */
    uint64_t offset; /* EPOCH */
    bool online;     /* PRESENCE */
    char *topic;     /* RETAINED; SNAPSHOT, DIRECT: where to answer */
    char *text;      /* PRESENCE, SNAPSHOT: firm; DIRECT: payload; DOWN: why */
    char *correlation;
    size_t correlation_len;
};

struct tell_retained { /* of our own gateway and lane, on the broker when we came */
    char *topic;
    uint64_t epoch, hash;
};

struct tell_orphans { /* FIRM/COMPOUND/CASE of former epochs, sorted */
    char **places;
    size_t n, cap;
    /* Their hashes, for Paho's threads; 0: free, 1: was one. While they are filled anew one may be missed. */
    atomic_uint_fast64_t slots[TELL_ORPHAN_SLOTS];
};

/* A question to the store, which answers even after we are gone. */
struct tell_asking {
    struct tell *t; /* NULL: nobody waits for it any more */
};
struct tell_asking *tell_ask(struct tell *t);
struct tell *tell_answer(struct tell_asking *k); /* and frees it */

enum tell_phase {
    TELL_AWAY,     /* no connection */
    TELL_READING,  /* retained topics come */
    TELL_ASKING,   /* the store for the open set */
    TELL_CATCHING, /* until the rows that the open set knows are on their way */
    TELL_AGREED,   /* what was found is on its way or done */
};

struct tell_firm {
    char firm[65];
    bool online, recorded, recorded_online;
    bool said;        /* ever … */
    bool seen;        /* … or kept by the broker, on this connection */
    unsigned changes; /* recorded within this second */
};

enum tell_snapshot_phase {
    SNAPSHOT_WAITS,
    SNAPSHOT_BEGINS,
    SNAPSHOT_ASKS, /* the store, with the begin on its way */
    SNAPSHOT_TELLS,
    SNAPSHOT_ENDS
};
struct tell_snapshot {
    struct tell_snapshot *next;
    struct tell *t; /* NULL: nobody waits any more */
    enum tell_snapshot_phase phase;
    char *firm, *topic, *correlation;
    size_t correlation_len, bytes;
    uint64_t n; /* states that were told */
    bool cut;
    struct tell_items items;   /* what is to be sent of it now */
    struct tell_set overtaken; /* cases of which a row was told since its begin … */
    struct tell_set told;      /* … or, by place, up to which number */
    uint64_t dropped;          /* the last token when a state was left out */
};

struct tell {
    struct tell_options o;
    struct conf_broker broker;                           /* ours, without its share group */
    char *client_id, *broker_id, *gateway, *lane, *mine; /* mine: "<id>.<lane>." of case ids */
    char *stream_head;                                   /* "<id>/<lane>/" */
    char *prefix;                                        /* with its slash */
    char *status_topic, *epoch_topic, *will;
    struct mqtt *mqtt;
    const struct world *world;
    bool started, stopping, closed;

    /* Paho's threads, one at a time */
    struct json *json;
    struct tell_bucket buckets[TELL_BUCKETS];
    atomic_uint_fast64_t commands, refused;
    atomic_uint_fast64_t seen_foreign; /* on this connection */

    _Atomic(struct tell_event *) events; /* newest first */
    atomic_size_t n_events;              /* that others caused */
    atomic_size_t n_answers, wake_at;    /* the broker's, of `events`; so many wake the loop */
    struct loop_wake *wake;
    struct loop_timer *tick;

    enum tell_phase phase;
    uint64_t up_ns, last_retained_ns, lost_ns; /* lost_ns 0: never */
    char *down_why;

    /* tell_agree.c */
    uint64_t epoch, broker_epoch, broker_offset, seen_epoch; /* 0: none */
    bool numbered; /* the store has the epoch, too: what waits has numbers of its stream */
    uint64_t told_offset, epoch_said; /* highest place that was told of; as published */
    struct tell_retained *retained;
    size_t n_retained, cap_retained, most_retained;
    bool alerts_wanted;      /* alerts/# is among the client's filters */
    struct tell_set touched; /* topics that this connection's rows have set */
    struct tell_set open;    /* topics of the open set */
    struct tell_items opens; /* of the open set, until the outbox has caught up */
    size_t opens_bytes;
    struct tell_orphans orphans;
    struct tell_asking *asking; /* the question to the store under way */

    /* tell_rows.c */
    struct tell_rows rows, urgent;
    struct tell_row *cursor; /* the first row with something to send; NULL: none */
    uint64_t read_to, urgent_read_to;
    struct tell_asking *reading, *reading_urgent; /* a question is under way … */
    bool news, more; /* … or needed: rows were committed; the store has further ones */
    bool urgent_again;
    uint64_t read_high; /* the highest id that was ever read */
    uint64_t
        read_back; /* what is to be read again after the present answer; UINT64_MAX: nothing */
    struct tell_set told;    /* rows that were marked since the question was asked */
    size_t urgent_unsent;    /* messages on `urgent/` of `rows` */
    uint64_t urgent_marked;  /* rows that had one and were marked, ever */
    struct tell_part *parts; /* by id, ascending */
    size_t n_parts, cap_parts;
    uint64_t *done;
    size_t n_done, cap_done;

    /* tell_out.c */
    struct tell_flight flights[TELL_WINDOW];
    size_t n_flights;
    uint64_t token;
    struct tell_items own, set, direct;
    uint64_t hold_until_ns; /* after refusals to too many firms */

    /* tell_hold.c */
    struct tell_hold *holds;
    size_t n_holds;
    struct tell_asking *trial; /* the question for the row that is tried */
    char trial_firm[65];
    enum tell_lane_kind trial_kind;
    bool trial_found;
    bool set_refused;      /* something of the comparison was */
    uint64_t set_again_ns; /* then it is compared again, if no firm's hold ends before */
    bool compare;          /* again: retained topics may hold older states */
    bool differing;        /* it is again: only what differs is said */
    bool recheck;          /* likewise, when the present connection has agreed */
    uint64_t doubt;        /* rows up to here may be older than what is marked of their cases */

    /* tell_answer.c */
    struct tell_snapshot *snapshots, **snapshots_end; /* the first one is being told */
    size_t n_snapshots;

    struct tell_firm *firms;
    size_t n_firms, most_firms;

    char *status;
    size_t status_len;
    unsigned seconds_since_status;
    bool status_changed, status_said;   /* said: on this connection */
    uint64_t last_told, stuck_since_ns; /* 0: nothing waits */
    /* Of life-safety: when its messages began to wait with none getting through; 0: none waits. What
     * the journal was told of that. */
    uint64_t last_urgent, urgent_since_ns;
    bool delivery_recorded, delivery_fails;
    struct log_state stuck, firms_room, retained_room;
    struct log_limit refusal, presence_log;
    char refused_what[256]; /* the last message that the broker refused */
    struct tell_stats n;

    loop_fn *stopped;
    void *stopped_ctx;
    uint64_t stop_deadline_ns, idle_since_ns;
    bool said_offline;
};

/* tell_in.c */
void tell_on_message(void *ctx, const struct mqtt_message *m);
void tell_on_link(void *ctx, const struct mqtt_link *l);
void tell_on_sent(void *ctx, uint64_t id, int status);
struct tell_event *tell_take_events(struct tell *t);
/* The loop is woken for a quarter of what is under way, not for each answer. */
void tell_await_answers(struct tell *t);
void tell_event_free(struct tell_event *e);

/* tell_out.c */
/* A whole topic; correlation may be NULL. Copies. */
struct tell_item *tell_item_new(const char *topic, const void *payload, size_t len,
                                bool retain);
void tell_item_free(struct tell_item *i);
void tell_items_init(struct tell_items *l);
void tell_items_add(struct tell_items *l, struct tell_item *i);
void tell_items_clear(struct tell_items *l);
int tell_give_item(struct tell *t, struct tell_items *l); /* 0: the first is off the list */
void tell_pump(struct tell *t);                           /* sends what the window takes */
void tell_answered(struct tell *t, uint64_t token, int status);
void tell_lost(struct tell *t); /* the link: everything unanswered is to be sent again */

/* tell_orphans.c; tell_orphans_has on any thread */
void tell_orphans_clear(struct tell *t);
void tell_orphans_add(struct tell *t, const char *topic); /* whole */
void tell_orphans_sort(struct tell *t);
bool tell_orphans_has(struct tell *t, const char *firm, const char *compound,
                      const char *case_id);
void tell_orphans_emptied(struct tell *t, const struct tell_row *r); /* the broker has it */

/* tell_rows.c */
void tell_rows_init(struct tell *t);
void tell_rows_done(struct tell *t);
void tell_read(struct tell *t); /* asks the store for what is missing, if there is room */
bool tell_rows_drained(
    const struct tell *t); /* everything there is was read and is on its way */
/* The next message of the outbox: its row and step, and the message itself, whose topic is put
 * into `topic`. False: none. */
bool tell_next_urgent(struct tell *t, struct tell_flight *out, struct buf *topic,
                      struct mqtt_out *msg);
bool tell_next_row(struct tell *t, struct tell_flight *out, struct buf *topic,
                   struct mqtt_out *msg);
void tell_row_sent(struct tell *t, const struct tell_flight *f);
void tell_row_acked(struct tell *t, const struct tell_flight *f);
void tell_row_back(struct tell *t, const struct tell_flight *f); /* to be sent again */
/* Answers need not come in order: what is sent again may be older than what a later row of its case
 * has left on the broker. Here: it is. */
bool tell_row_overtaken(const struct tell_row *r);
/* With no message under way: rows that come behind such a one say again what is to stay. */
void tell_rows_restate(struct tell *t);
void tell_flush_done(struct tell *t); /* marks to the store */
/* Rows whose message on `urgent/` the broker does not have yet, in memory or not. */
uint64_t tell_urgent_waiting(const struct tell *t, const struct store_stats *s);

/* *at leaves memory, but what the broker has of it is remembered; ahead: its message on `urgent/` stays
 * and goes alone. */
void tell_row_park(struct tell *t, struct tell_row **at, bool ahead);
void tell_urgent_park(struct tell *t, struct tell_row **at); /* of `urgent` */
/* A row of the store's is put where it belongs, to try whether the broker takes it. */
void tell_row_try(struct tell *t, const struct store_out *o, bool urgent);

/* tell_hold.c */
struct tell_hold *tell_hold_of(const struct tell *t, const char *firm); /* NULL: it has none */
unsigned tell_hold_allows(const struct tell *t, const struct tell_row *r); /* steps */
void tell_hold_refused(struct tell *t,
                       const struct tell_flight *f); /* the row may go with it */
void tell_hold_passed(struct tell *t, struct tell_row *r, unsigned step); /* it was taken */
/* *at leaves memory if nothing of it can be sent; true: it did. */
bool tell_hold_park(struct tell *t, struct tell_hold *h, struct tell_row **at);
void tell_hold_settle(struct tell *t, const char *firm); /* what cannot be sent leaves memory */
void tell_holds_read(struct tell *t);                    /* a stretch of the outbox was */
void tell_holds_lift(struct tell *t);                    /* all of them, with the link */
void tell_holds_tick(struct tell *t);
bool tell_holds_life(const struct tell *t, uint64_t for_ns); /* life-safety, for so long */
size_t tell_holds_count(const struct tell *t);

/* tell_agree.c */
void tell_agree_up(struct tell *t);
void tell_agree_down(struct tell *t);
void tell_agree_tick(struct tell *t);
void tell_agree_retained(struct tell *t, struct tell_event *e);
void tell_agree_epoch(struct tell *t, const struct tell_event *e);
void tell_agree_done(struct tell *t);
uint64_t tell_topic_hash(const char *topic, size_t len);
uint64_t tell_payload_hash(const void *p, size_t len);
/* The place in the journal that a case id of ours names, or 0. */
uint64_t tell_case_offset(const struct tell *t, const char *case_id);
/* The epoch is decided, and the store has it: what the outbox has may be told. */
bool tell_may_tell(struct tell *t);
void tell_say_epoch(struct tell *t);
/* Subscriptions, with alerts/# or without. */
void tell_subscribe(struct tell *t, bool alerts);
size_t tell_filters(const struct tell *t, bool alerts, char *names[8],
                    struct mqtt_filter filters[8]);

/* tell_answer.c */
void tell_snapshot_request(struct tell *t, struct tell_event *e);
int tell_snapshot_give(struct tell *t); /* as much as the window takes; 0, or why not more */
bool tell_snapshot_drops(struct tell *t, const struct tell_item *i);
void tell_snapshot_overtaken(struct tell *t, const struct tell_row *r, unsigned step);
void tell_snapshot_missed(struct tell *t, const struct tell_flight *f); /* it was not taken */
bool tell_snapshot_begun(const struct tell *t);
void tell_snapshots_forget(struct tell *t);

/* tell.c */
void tell_stamp(const struct tell *t, char out[32]); /* now, in the gateway's zone */
void tell_tick_soon(struct tell *t);
/* What the broker keeps was read: whose presence it does not keep is not there. */
void tell_presence_read(struct tell *t);

#endif
