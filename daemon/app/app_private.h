/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APP_APP_PRIVATE_H
#define APP_APP_PRIVATE_H
/*
 * app_private — what the composition root's files share; included by app/app*.c only.
 */
#include "app/api.h"
#include "app/app.h"
#include "app/load.h"
#include "base/log.h"

struct app_paths { /* with the lane's suffix */
    char *data, *journal, *archive, *snapshots, *generations, *outbound, *store, *epoch,
        *socket;
};

struct app_secrets { /* NULL: none; per broker and per sink */
    char **broker_passwords, **broker_keys, **sink_passwords, **sink_tokens, *http_token;
};

struct app {
    const char *conf_path;
    struct conf *conf; /* as it was at the start; what needs a restart is read from it */
    struct app_paths paths;
    struct app_secrets secrets;
    int lock;
    struct ahead *ahead;         /* reads the newest snapshot */
    struct snapshots *ahead_set; /* its own until it has ended */

    struct loop *loop;
    struct httpc *httpc;
    struct store *store;
    struct sink **sinks;
    uint64_t *sinks_before;
    size_t n_sinks;
    struct journal *journal;
    struct pipeline *pipeline;
    struct ingest *ingest, *closing;
    uint64_t epoch;    /* of the stream, as this process began */
    uint64_t begun;    /* the highest epoch that any process began */
    struct tell *tell; /* NULL: alerts.broker is not given */
    struct api *api;
    struct httpd *httpd;

    struct report_sources sources;
    struct report_rates rates;
    struct loop_timer *second, *hold, *deadline;
    unsigned seconds;
    uint64_t last_own_append_ns, clear_since_ns;
    int64_t wall_minus_boot_ns;
    struct log_state own_append;

    struct loaded loading; /* a reload under way */
    struct problems *loading_problems;
    bool reloading;
    const char *secret_changed; /* an option whose file says something else than at the start */
    uint64_t loading_oldest;    /* app_oldest_offset when it began */
    char loading_over[33];      /* hash of the newest world when it began */
    int keep_result, prune_result; /* of keeping the bundle, of removing old ones */
    struct log_state prune_log;
    void (*reload_done)(void *ctx, int changed, const char *text);
    void *reload_ctx;

    bool stopping;
    size_t draining;
    int exit_code;
};

/* app_open.c: one function a step, in the order of app_run; each logs its own failure */
void app_name_paths(const struct conf *c, struct app_paths *p);
void app_free_paths(struct app_paths *p);
/* What was read ahead, or NULL; the caller's. */
struct snapshots *app_take_ahead(struct app *a);
int app_open_all(struct app *a, struct loaded *l);
void app_close_all(struct app *a);
int app_load_secrets(const struct conf *c, struct app_secrets *out, struct problems *problems);
void app_free_secrets(const struct conf *c, struct app_secrets *s);
/* The first option whose secret differs, of two sets for that configuration; NULL: none. */
const char *app_secret_changed(const struct conf *c, const struct app_secrets *a,
                               const struct app_secrets *b);
int app_append(struct app *a, const struct record *r);
int app_append_generation(struct app *a, const struct world *w);
uint64_t app_oldest_offset(const struct app *a); /* that journal, archive or snapshot has */
/* app_tell.c */
int app_begin_stream(struct app *a);
int app_open_tell(struct app *a, const struct position *store_cursor);
void app_tell_second(struct app *a);
/* app_tick.c */
void app_start_ticks(struct app *a);
/* app_reload.c */
int app_reload(void *app, void (*done)(void *ctx, int changed, const char *text), void *ctx);
/* app.c */
void app_stop(void *app);
void app_too_late(void *app);
void app_fatal(void *app, const char *why);
void app_refused(void *app, const char *why); /* the same, but 78: a person has to look */

#endif
