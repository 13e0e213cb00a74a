/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_CASES_H
#define CORE_CASES_H
/*
 * cases — what is worked on: cases of alarms, their occurrences, acknowledgement and work.
 *
 * A case is one (rule, device, point) from its first activation until it is closed; each
 * activation within it is an occurrence. Owns the open cases, what was told of each (facets), masks
 * by people (shelved, test, out of service), the work's steps, and commands' effects. Makes
 * transitions: immutable, each the whole state of its case as JSON (gaihou-mqtt(7)), complete but
 * for `seq`, which the store assigns in its transaction. Promises: one open case per key; nothing is
 * told twice; a recovery is told only where the problem was; a mask changes what is told,
 * never what is recorded.
 *
 * Moved by the engine: alarm events, commands (records) and its own timers (shelving and test
 * end). Case ids come from the engine's position and the stream, so a replay gives the same.
 * Deadlines are engine times: no step of the wall clock ends a mask. Pure; one thread at a time.
 *
 * What is told (transition.deliver). Masks (shelved, flapping, inhibited) withhold what
 * happens to the condition (a rise in severity is told while it flaps); what people did to a case that was told is told, and so is that it is
 * shelved, or no longer, or flaps. Life-safety is never masked. Better news (cleared, lowered, fresh, settled) is
 * told only if the worse was; when the last mask goes, the present state, if it differs from the
 * one last told. A case never told that clears under a mask closes in silence. An end is told
 * iff anything of the case was, so that its retained topic is emptied.
 *
 * Test mode does not withhold: transitions go out marked `test` with the name of who tests, the
 * lane `urgent` and dispatching are left out, and what began in a test ends with its clearing,
 * whatever the work; what is only latched then ends with the test. What was there before is
 * marked, too, but for life-safety, which is a test only when it comes again.
 *
 * What closes a case: its rule's `work` (none: cleared; ack: cleared and acknowledged; full:
 * cleared and fed back, or the verb `close` from confirmed on; operators: from anywhere), never
 * while latched. One transition does it: the one that fulfils it is `closed`. A recurrence
 * needs a new ack; work that was resolved or more goes back to accepted (rework + 1).
 */
#include "base/arena.h"
#include "core/alarm.h"

#define CASE_ID_MAX      192
#define CASES_MAX_OPEN   1000000 /* and these for life-safety and the gateway's own: */
#define CASES_LIFE_ROOM  10000
#define CASE_PAYLOAD_MAX 8192 /* of a command */
/* Of one step alone the texts may be 11 KB: a tab is six bytes there. */
#define CASE_JSON_MAX (256u << 10)
/* Shelving and test mode, as a command's `for` or `until` may ask; without either a case is
 * shelved until its condition clears (at most SHELVE_MAX), and a test lasts TEST_DEFAULT. */
#define CASE_SHELVE_MAX_S   (30 * 86400)
#define CASE_TEST_MAX_S     86400
#define CASE_TEST_DEFAULT_S 3600
#define CASE_REPLY_S        600   /* who has not fetched a reply by then has no use for it */
#define CASE_REPLIES_MAX    10000 /* remembered for repeats … */
#define CASE_REPLIES_BYTES  (8u << 20)
#define CASE_REPLIES_S      86400 /* … for so long */
#define CASE_MASKS_MAX      10000

enum case_change {
#define CASE_CHANGES(X)                                                                        \
    X(ACTIVATED, "activated")                                                                  \
    X(RECURRED, "recurred")                                                                    \
    X(RAISED, "raised")                                                                        \
    X(LOWERED, "lowered")                                                                      \
    X(CLEARED, "cleared")                                                                      \
    X(STALE, "stale")                                                                          \
    X(FRESH, "fresh")                                                                          \
    X(FLAPPING, "flapping")                                                                    \
    X(SETTLED, "settled")                                                                      \
    X(RECORD, "record")                                                                        \
    X(ACKNOWLEDGED, "acknowledged")                                                            \
    X(ACCEPTED, "accepted")                                                                    \
    X(ARRIVED, "arrived")                                                                      \
    X(RESOLVED, "resolved")                                                                    \
    X(CONFIRMED, "confirmed")                                                                  \
    X(FED_BACK, "fed_back")                                                                    \
    X(CLOSED, "closed")                                                                        \
    X(REJECTED, "rejected")                                                                    \
    X(TRANSFERRED, "transferred")                                                              \
    X(REWORKED, "reworked")                                                                    \
    X(RESET, "reset")                                                                          \
    X(SHELVED, "shelved")                                                                      \
    X(UNSHELVED, "unshelved")                                                                  \
    X(MASKED, "masked")                                                                        \
    X(UNMASKED, "unmasked")                                                                    \
    X(MOVED, "moved")                                                                          \
    X(RULE_REMOVED, "rule_removed")
#define X(name, word) CASE_##name,
    CASE_CHANGES(X)
#undef X
        CASE_CHANGE_N
};

enum case_work {
    WORK_DISCOVERED,
    WORK_DISPATCHED,
    WORK_ACCEPTED,
    WORK_ON_SITE,
    WORK_RESOLVED,
    WORK_CONFIRMED,
    WORK_FED_BACK,
    WORK_CLOSED,
    WORK_REJECTED,
    WORK_TRANSFERRED
};

enum case_verb {
    VERB_ACK,
    VERB_ACCEPT,
    VERB_ARRIVE,
    VERB_RESOLVE,
    VERB_CONFIRM,
    VERB_FEEDBACK,
    VERB_CLOSE,
    VERB_REJECT,
    VERB_TRANSFER,
    VERB_REWORK,
    VERB_RESET,
    VERB_SHELVE,
    VERB_UNSHELVE,
    VERB_TEST,   /* operators only; the "case" is a device's, building's or compound's code */
    VERB_UNTEST, /* … "device/D", "building/C/B", "compound/C" */
    VERBS
};

/* All strings live for the call. */
struct transition {
    enum case_change change;
    const char *stream, *case_id, *firm, *compound; /* compound as worked with today */
    const char *rule, *device, *point;
    uint32_t occurrence, version;
    enum severity severity;
    bool deliver; /* told to the firm: gets a seq; else only recorded */
    bool urgent;  /* the life-safety lane */
    bool closed;  /* the case ends with it: the retained topic is emptied */
    bool record;  /* late history: an event, never retained state */
    bool test;
    /* Open: told to the former firm or compound as well, so that it empties its topic; NULL. */
    const char *was_firm, *was_compound;
    int64_t wall_ms;     /* no two of one (rule, device, point) have the same */
    double value, limit; /* NaN: none */
    /* The state. Delivered: `"seq":` ends at seq_at, where the store writes the number (what is
     * there is no JSON yet). Else seq_at is 0, and it is whole without a seq. */
    const char *json;
    size_t json_len, seq_at;
    /* The case's whole state for cases_adopt; NULL once closed. */
    const char *blob;
    size_t blob_len;
};

enum case_answer {
    ANSWER_DONE,
    ANSWER_ALREADY,
    ANSWER_STALE,
    ANSWER_UNKNOWN,
    ANSWER_NOT_YOURS,
    ANSWER_REFUSED,
    ANSWER_BAD /* the payload cannot be read */
};

struct case_command { /* one RECORD_COMMAND, taken apart */
    const char *firm; /* whom the topic proves; NULL: an operator (HTTP) */
    const char *compound, *case_id;
    enum case_verb verb;
    const char *payload; /* JSON, ≥ JSON_PADDING readable bytes behind it; len 0: {} */
    size_t payload_len;
    const char *reply_to; /* topic below the prefix; NULL: reply/<firm>/<compound> */
    const void *correlation;
    size_t correlation_len;
    uint64_t origin; /* HTTP: whom to answer; 0: MQTT */
    /* The case is of a former epoch, and the broker keeps its state below this firm and compound, as
     * who took the command saw then; NULL: not that anybody knew. */
    const char *former_firm, *former_compound;
    uint64_t engine_ns; /* set by the engine, as the next */
    int64_t wall_ms;
};

struct case_reply {
    const struct case_command *to;
    enum case_answer answer;
    const char *json; /* {"v":1,"case":…,"verb":…,"result":"done","version":n,"reason":…} */
    size_t json_len;
    bool empties; /* the state of a former epoch, to->former_…, has ended with this */
};

struct cases_out {
    void *ctx;
    void (*transition)(void *ctx, const struct transition *t);
    void (*reply)(void *ctx, const struct case_reply *r);
};

struct cases_stats {
    uint64_t open, unacknowledged, shelved, test, by_severity[SEVERITIES];  /* open, now */
    uint64_t transitions, delivered, withheld, commands, refused, repeated; /* ever */
    uint64_t not_opened; /* ever: there were CASES_MAX_OPEN already */
};

struct cases;
struct cases *cases_new(const struct cases_out *out);
void cases_free(struct cases *c);
void cases_use(struct cases *c, const struct world *before, const struct world *now,
               uint64_t engine_ns, int64_t wall_ms);
/* "cq-nanan/all/1", from the stream record on; new cases carry it. */
void cases_stream(struct cases *c, const char *stream);
/* A case id, GATEWAY.LANE.EPOCH.OFFSET.ORDINAL[.N]: is it one of `head`, "GATEWAY.LANE."? Names may
 * contain dots, so a beginning proves nothing. out_offset: its place in the journal, or NULL. */
bool case_id_is_of(const char *id, size_t len, const char *head, uint64_t *out_offset);
bool case_id_is_whole(const char *id, size_t len); /* one of anybody's */
/* at: of the running step; case ids come from it. */
void cases_event(struct cases *c, const struct position *at, const struct alarm_event *ev);
void cases_command(struct cases *c, const struct position *at, const struct case_command *cmd);
/* An alarm of the gateway itself begins or ends (rule id "gaihou-…", about `what`). */
void cases_own(struct cases *c, const struct position *at, const char *rule, const char *what,
               bool active, enum severity severity, const char *summary, uint64_t engine_ns,
               int64_t wall_ms);
uint64_t cases_next_due(const struct cases *c);
void cases_tick(struct cases *c, const struct position *at, uint64_t due, int64_t wall_ms);
void cases_stats(const struct cases *c, struct cases_stats *out);
/* Counting goes on from these: cases_save leaves them to who saves. */
void cases_counted(struct cases *c, const struct cases_stats *s);
/* The number of open, and unacknowledged, cases by compound, firm and severity: gaihou_open. */
typedef void cases_count_fn(void *ctx, const char *compound, const char *firm,
                            enum severity severity, uint64_t open, uint64_t unacknowledged);
void cases_count(const struct cases *c, cases_count_fn *fn, void *ctx);
/* The present state of an open case as JSON (seq as last told is not in it). */
int cases_show(const struct cases *c, const char *case_id, struct buf *out); /* -ENOENT */
/* The tests in force, "device/D", "building/C/B", "compound/C"; by: who tests, or NULL. */
struct case_test {
    const char *scope, *by;
    int64_t since_ms, until_ms;
};
typedef void cases_test_fn(void *ctx, const struct case_test *t);
void cases_tests(const struct cases *c, cases_test_fn *fn, void *ctx);
/* Do any open cases concern this firm? */
bool cases_concern(const struct cases *c, const char *firm);

int cases_save(const struct cases *c, int (*put)(void *ctx, const void *p, size_t n),
               void *ctx);
int cases_load(struct cases *c, const char *bytes, size_t len);
/* The store's word goes: the open cases become exactly these blobs (of transition.blob), key by key;
 * of what it does not know, a condition that holds is opened anew by the next tick, under a new id.
 * The condition of a key that is open here, too, is known here: the next tick tells it if the store's is other.
 * What the world in use makes of a case (its rule is gone, it is another firm's, no test is in force) the
 * next tick tells as a reload does, or the first world.
 * Told through `differs`, once per case that was other, missing or too many. No transitions. */
typedef void cases_differs_fn(void *ctx, const char *case_id, const char *how);
int cases_adopt(struct cases *c, const char *const *blobs, const size_t *lens, size_t n,
                cases_differs_fn *differs, void *ctx);

const char *case_change_name(enum case_change c);
const char *case_work_name(enum case_work w);
const char *case_answer_name(enum case_answer a);
const char *case_verb_name(enum case_verb v);
int case_verb_parse(const char *s, size_t len, enum case_verb *out); /* 0 or -EINVAL */

/* A RECORD_COMMAND's body and back: who asked, and the payload. The record's topic is
 * "FIRM/COMPOUND/CASE/VERB" (operators: firm "-"). -EBADMSG: cannot be taken apart. */
int case_command_put(const struct case_command *c, struct buf *out_body);
int case_command_get(const char *topic, size_t topic_len, const char *body, size_t body_len,
                     struct arena *a, struct case_command *out);

#endif
