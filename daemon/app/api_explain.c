/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why: what an alarm's condition, clocks and values are now, straight from the engine.
 */
#include "app/api_private.h"

#include <string.h>

#define MAX_EXPLAIN ((size_t)1 << 20)

void api_get_explain(struct api *a, struct httpd_request *r, const char *rest)
{
    (void)rest;
    const struct engine *e = pipeline_engine(a->o.sources->pipeline);
    const struct world *w = engine_world(e);
    const char *rule = httpd_query(r, "rule"), *device = httpd_query(r, "device"),
               *point = httpd_query(r, "point");
    if (!rule || !device) {
        api_error(r, 400, "expected rule=RULE and device=DEVICE, point=POINT if it has one");
        return;
    }
    const struct rule *x = rules_find(w->rules, rule, strlen(rule));
    const struct device *d = registry_find(w->registry, device, strlen(device));
    struct buf b;
    buf_init(&b, MAX_EXPLAIN);
    if (!x || !d || alarm_explain(engine_alarm(e), x, d, point ? point : "", &b) != 0) {
        buf_done(&b);
        api_error(r, 404, "this rule does not look at this device");
        return;
    }
    api_answer(r, 200, "application/json", &b);
}
