/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APP_API_H
#define APP_API_H
/*
 * api — the HTTP endpoints of gaihou-http(7): reads report what is, writing verbs ask the app.
 *
 * Loop thread. Answers may come later (the store, a reload); the requests wait for them.
 */
#include "app/report.h"
#include "io/httpd.h"

struct api;

struct api_options {
    struct report_sources *sources; /* live; outlives the api */
    struct report_rates *rates;
    struct loop *loop;
    /* Begins a reload; done(ctx, changed, text) on the loop, later: 1 it changed, 0 there was
     * nothing to change, -1 it was refused. -EBUSY: one is under way.
     */
    int (*reload)(void *ctx, void (*done)(void *ctx, int changed, const char *text),
                  void *done_ctx);
    /* Appends a message that is taken up again. 0 or -errno; -ESHUTDOWN: the gateway stops. */
    int (*reinject)(void *ctx, const struct store_letter *l);
    bool (*ready)(
        void *ctx); /* can ingest; whether alarms can be told is looked up in sources */
    /* Appends an operator's command. The same; what the engine says of it comes by
     * api_replied. */
    int (*command)(void *ctx, const struct case_command *c);
    void *ctx;
    const char *archive_dir; /* of the journal; may be empty. NULL: none */
};

struct api *api_new(const struct api_options *o);
void api_free(struct api *a);
/* The engine's answer to a command, with its effect committed. An origin that is not ours, or
 * whose asker has gone, is nobody's. */
void api_replied(struct api *a, uint64_t origin, enum case_answer answer, const char *json,
                 size_t len);
void api_handle(void *api, struct httpd_request *r); /* the httpd_fn */

#endif
