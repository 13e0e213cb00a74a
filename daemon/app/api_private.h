/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APP_API_PRIVATE_H
#define APP_API_PRIVATE_H
/*
 * api_private — what the api's files share; included by app/api*.c only.
 */
#include "app/api.h"

#define API_STOPS "the gateway stops"

struct api_pending { /* a command whose answer has not come */
    struct api_pending *next;
    struct httpd_request *request;
    uint64_t origin, deadline_ns;
};

struct api_replay; /* api.c: letters that are taken up again */
struct api_last;   /* api_last.c: a device whose last values are being read */

struct api {
    struct api_options o;
    struct api_last *last; /* in line; the first is under way */
    struct api_pending *pending;
    uint64_t origin; /* the last one */
    struct loop_timer *timer;
    struct api_replay *replays; /* that wait for what the store does not have yet */
    struct loop_timer *replay_timer;
    unsigned in_flight; /* answers of the store that look at this */
    bool closed;
};

void api_answer(struct httpd_request *r, int status, const char *type,
                struct buf *b); /* ends b */
void api_error(struct httpd_request *r, int status, const char *text);
uint64_t api_query_u64(const struct httpd_request *r, const char *key, uint64_t otherwise);
void api_store_answered(void *ctx, int status, const char *json,
                        size_t len); /* ctx: the request */

/* api_devices.c */
void api_get_devices(struct api *a, struct httpd_request *r, const char *rest);
void api_get_device(struct api *a, struct httpd_request *r, const char *rest);
void api_get_compounds(struct api *a, struct httpd_request *r, const char *rest);
void api_answer_device(struct api *a, struct httpd_request *r, const char *code,
                       const struct buf *last); /* a JSON array */

/* api_last.c: reads what the device said last, then calls api_answer_device. */
void api_last(struct api *a, struct httpd_request *r, const struct device *d);

/* api_alerts.c */
void api_commands_init(struct api *a);
void api_commands_done(struct api *a);
void api_get_alerts(struct api *a, struct httpd_request *r, const char *rest);
void api_get_alert_history(struct api *a, struct httpd_request *r, const char *rest);
void api_get_orphaned(struct api *a, struct httpd_request *r, const char *rest);
void api_get_alert(struct api *a, struct httpd_request *r, const char *rest);
void api_post_alert(struct api *a, struct httpd_request *r, const char *rest);

/* api_explain.c */
void api_get_explain(struct api *a, struct httpd_request *r, const char *rest);

#endif
