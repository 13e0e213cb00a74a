/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APP_API_PRIVATE_H
#define APP_API_PRIVATE_H
/*
 * api_private — what the api's files share; included by app/api*.c only.
 */
#include "app/api.h"

struct api_pending { /* a command whose answer has not come */
    struct api_pending *next;
    struct httpd_request *request;
    uint64_t origin, deadline_ns;
};

struct api {
    struct api_options o;
    struct api_pending *pending;
    uint64_t origin; /* the last one */
    struct loop_timer *timer;
};

void api_answer(struct httpd_request *r, int status, const char *type,
                struct buf *b); /* ends b */
void api_error(struct httpd_request *r, int status, const char *text);
uint64_t api_query_u64(const struct httpd_request *r, const char *key, uint64_t otherwise);
void api_store_answered(void *ctx, int status, const char *json,
                        size_t len); /* ctx: the request */

/* api_alerts.c */
void api_commands_init(struct api *a);
void api_commands_done(struct api *a);
void api_get_alerts(struct api *a, struct httpd_request *r, const char *rest);
void api_get_alert_history(struct api *a, struct httpd_request *r, const char *rest);
void api_get_alert(struct api *a, struct httpd_request *r, const char *rest);
void api_post_alert(struct api *a, struct httpd_request *r, const char *rest);

/* api_explain.c */
void api_get_explain(struct api *a, struct httpd_request *r, const char *rest);

#endif
