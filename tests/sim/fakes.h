/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_FAKES_H
#define SIM_FAKES_H
/*
 * fakes — what a scenario can do to the fakes behind io/, and ask of them.
 */
#include "core/conf.h"
#include "core/position.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* -- loop ---------------------------------------------------------------------------------- */
extern bool sim_watches;          /* who does not feed the watchdog for 30 s has failed */
extern uint64_t fake_loop_job_ns; /* how long pool jobs wait and take, at most */
void fake_loop_signal(int signum);

/* -- image: what becomes of the process that says the engine's state -------------------------- */
enum fake_image_mood { IMAGE_WELL, IMAGE_UNFORKED, IMAGE_NOTHING, IMAGE_KILLED, IMAGE_SLOW };
extern enum fake_image_mood fake_image_mood;
extern bool fake_image_large;        /* so that gathering pays */
extern unsigned fake_image_gathered; /* how often */

/* -- broker: one, with a session that outlives connections ----------------------------------- */
struct fake_message {
    uint64_t id; /* the scenario's */
    char *topic, *payload;
    size_t len;
    uint8_t qos;
    bool retain;
    bool acked; /* on_message has returned at least once */
    bool lost;  /* by the broker, with its session */
};

void fake_mqtt_reset(void);
/* The message lives until fake_mqtt_reset. */
struct fake_message *fake_mqtt_publish(const char *topic, const void *payload, size_t len,
                                       unsigned qos, bool retain);
void fake_mqtt_died(void); /* the gateway's process: the connection breaks */
void fake_mqtt_broker(bool up);
void fake_mqtt_lose_session(void);
void fake_mqtt_lose_subscriptions(void); /* until it is asked for them, or connected to anew */
bool fake_mqtt_connected(void);
bool fake_mqtt_wanted(void);
size_t fake_mqtt_waiting(void);  /* queued or not acknowledged */
extern bool fake_mqtt_acks_lost; /* PUBACKs do not reach the broker */
extern void (*fake_mqtt_on_ack)(struct fake_message *m);

/* -- the alerts' broker: retained topics, a session of the gateway's, its will ---------------- */
void fake_alerts_reset(void); /* fake_mqtt_reset does */
void fake_alerts_died(void);  /* fake_mqtt_died does */
void fake_alerts_broker(bool up);
void fake_alerts_empty(void); /* killed, with all that it kept */
bool fake_alerts_connected(void);
/* A firm publishes; response and correlation may be NULL. */
void fake_alerts_say(const char *topic, const char *payload, bool retain, const char *response,
                     const char *correlation);
const char *fake_alerts_kept(const char *topic); /* NULL: nothing */
size_t fake_alerts_kept_count(void);
const char *fake_alerts_kept_at(size_t i, const char **out_payload); /* its topic */
/* Everything that the gateway publishes, as the broker takes it: what a listener sees. */
extern void (*fake_alerts_on_message)(const char *topic, const char *payload, size_t len,
                                      bool retain);

/* -- databases: told apart by their URL ------------------------------------------------------ */
enum fake_db_mood { DB_WELL, DB_DOWN, DB_UNAVAILABLE, DB_TIMEOUT, DB_AUTH, DB_FULL };

struct fake_db {
    char url[128];
    enum conf_sink_type type;
    enum fake_db_mood mood;
    unsigned flaky;  /* percent of requests that fail although it is well */
    uint64_t *lines; /* hashes, a set */
    size_t n, cap;
    uint64_t posts, taken, refused;
    uint64_t *old; /* hashes: what it had when a backup was put back */
    size_t n_old, cap_old;
};

void fake_httpc_reset(void);
struct fake_db *fake_db_at(const char *url, enum conf_sink_type type); /* made if need be */
bool fake_db_has(const struct fake_db *d, uint64_t line_hash);
void fake_db_all_old(void); /* all that the databases have now */
bool fake_db_is_old(const struct fake_db *d, uint64_t line_hash);
bool fake_db_add(uint64_t **set, size_t *n, size_t *cap, uint64_t hash); /* true: new */
uint64_t fake_db_hash(const char *line, size_t n);
/* Lines that contain this are refused by every database; NULL: none. */
extern const char *fake_db_poison;
/* Every post as it leaves, unpacked; and every line that a database took. */
extern void (*fake_db_on_post)(struct fake_db *d, const char *text, size_t n);
extern void (*fake_db_on_line)(struct fake_db *d, const char *line, size_t n);

/* -- store ----------------------------------------------------------------------------------- */
struct fake_row {
    bool quarantine, is_line, replayed;
    uint64_t record_offset, ordinal; /* of a line: block and line */
    char reason[32], device[65], topic[128], sink[65];
    uint8_t flags;
    int64_t wall_ns;
    uint64_t engine_ns;
    uint64_t hash; /* of topic and payload */
    char *payload;
    size_t len;
};

void fake_store_reset(void);
void fake_store_died(void); /* what was handed over may be committed, in order, or not */
struct position fake_store_cursor(void);
size_t fake_store_rows(const struct fake_row **out);
/* A restored older store: the state as of fake_store_remember. */
void fake_store_remember(void);
void fake_store_remembered(struct position *out); /* its cursor then */
bool fake_store_restore(void);
void fake_store_lose(void); /* the next one is new */
extern void (*fake_store_on_commit)(const struct position *cursor);

struct fake_alarm { /* a committed transition or reply; all strings are its own */
    bool is_reply, deliver, urgent, closed, record;
    struct position at;
    uint32_t n;
    char *made_stream, *new_stream; /* as it was made; as it was numbered anew, or NULL */
    const char *change, *stream, *case_id, *firm, *compound, *was_firm, *was_compound, *topic;
    const char *verb, *answer, *correlation;
    size_t correlation_len;
    uint64_t case_hash;
    uint64_t origin;
    int64_t wall_ms, expires_wall_ms;
    const char *json, *blob; /* as given; `payload` has the seq */
    size_t json_len, seq_at, blob_len;
    uint64_t seq;
    unsigned tell;      /* 0: not in the outbox */
    uint64_t outbox_id; /* and its number there */
    bool done;
    char *payload;
    size_t len;
};
size_t fake_store_alarms(const struct fake_alarm *const **out);
uint64_t fake_store_epoch(void);

/* -- secrets: what each file says ------------------------------------------------------------- */
extern const char *fake_secret;

/* -- HTTP server ------------------------------------------------------------------------------ */
typedef void fake_httpd_fn(void *ctx, int status, const char *body, size_t len);
void fake_httpd_request(const char *method, const char *path, const char *query,
                        const char *body, fake_httpd_fn *fn, void *ctx);

#endif
