/* SPDX-License-Identifier: Apache-2.0 */
/* api: what is under way in the store when the gateway stops. The requests are the test's. */
#define RIG_OWN                                                                                \
    struct api *api;                                                                           \
    struct report_sources sources;                                                             \
    unsigned taken_up;
#include "app/api.h"
#include "app/report.h"
#include "io/httpd.h"
#include "pipeline_rig.h"

#define LETTERS 1500 /* more than the store hands over at once */

struct httpd_request {
    const char *method, *path;
    int status; /* 0: unanswered */
};

static const char *query_key, *query_value; /* NULL: it has no query */
static char said[16384];                    /* the last answer, if it is short */

const char *httpd_method(const struct httpd_request *r)
{
    return r->method;
}

const char *httpd_path(const struct httpd_request *r)
{
    return r->path;
}

const char *httpd_query(const struct httpd_request *r, const char *key)
{
    (void)r;
    return query_key && strcmp(key, query_key) == 0 ? query_value : NULL;
}

const char *httpd_query_other(const struct httpd_request *r, const char *const *keys, size_t n)
{
    (void)r;
    for (size_t i = 0; query_key && i < n; i++)
        if (strcmp(query_key, keys[i]) == 0)
            return NULL;
    return query_key;
}

const char *httpd_body(const struct httpd_request *r, size_t *out_len)
{
    (void)r;
    *out_len = 0;
    return "";
}

bool httpd_may_write(const struct httpd_request *r)
{
    (void)r;
    return true;
}

void httpd_answer(struct httpd_request *r, int status, const char *content_type,
                  const void *body, size_t len)
{
    (void)content_type;
    (void)snprintf(said, sizeof(said), "%.*s", (int)(len < sizeof(said) ? len : 0),
                   (const char *)body);
    assert_int_equal(r->status, 0);
    r->status = status;
}

static int reinject(void *ctx, const struct store_letter *l)
{
    struct rig *r = ctx;
    (void)l;
    if (r->taken_up++ == 0)
        loop_stop(r->loop);
    return 0;
}

static void set_up_api(struct rig *r)
{
    begin(r);
    start(r);
    uint64_t at = 0;
    for (unsigned i = 0; i < LETTERS; i++)
        at = append(r, RECORD_MESSAGE, "gaihou/v1/up/c1/s1", "{oops");
    append(r, RECORD_MESSAGE, "gaihou/v1/up/c1/nobody", "{\"level\":1}");
    for (int i = 0; i < 3000 && !pipeline_has_stored(r->pipeline, &at); i++)
        run_until(r, 20);
    assert_true(pipeline_has_stored(r->pipeline, &at));
    r->sources = (struct report_sources){
        .journal = r->journal, .pipeline = r->pipeline, .store = r->store};
    r->api = api_new(&(struct api_options){
        .sources = &r->sources, .loop = r->loop, .reinject = reinject, .ctx = r});
}

/* As app_close_all does. */
static void stop(struct rig *r)
{
    api_free(r->api);
    end(r);
}

static void letters_that_are_taken_up(void **state)
{
    struct rig *r = *state;
    struct httpd_request q = {"POST", "/api/v1/dead/replay", 0};
    set_up_api(r);
    api_handle(r->api, &q);
    run_until(r, 5000);
    assert_false(r->too_late);
    assert_in_range(r->taken_up, 1, LETTERS - 1);
    unsigned before = r->taken_up;
    assert_int_equal(q.status, 0);
    stop(r);
    assert_int_equal(r->taken_up, before); /* what they would be appended to is closed */
    assert_int_equal(q.status, 503);
}

static void letters_that_wait(void **state)
{
    struct rig *r = *state;
    struct httpd_request q = {"POST", "/api/v1/dead/replay", 0};
    set_up_api(r);
    api_handle(r->api, &q);
    stop(r);
    assert_int_equal(r->taken_up, 0);
    assert_int_equal(q.status, 503);
}

static void a_device_that_is_looked_up(void **state)
{
    struct rig *r = *state;
    struct httpd_request q = {"GET", "/api/v1/quarantine/nobody", 0};
    set_up_api(r);
    api_handle(r->api, &q);
    stop(r);
    assert_int_equal(q.status, 503);
}

/* They would pick all: who purges the lines of one sink would lose every letter. */
static void keys_that_a_call_does_not_go_by(void **state)
{
    static const struct {
        const char *method, *path, *key;
    } all[] = {
        {"POST", "/api/v1/dead/purge", "sink"},
        {"POST", "/api/v1/dead/purge", "device"},
        {"POST", "/api/v1/dead/replay", "device"},
        {"POST", "/api/v1/quarantine/purge", "sink"},
        {"POST", "/api/v1/quarantine/replay", "sink"},
        {"GET", "/api/v1/dead", "device"},
        {"GET", "/api/v1/quarantine", "reason"},
        {"GET", "/api/v1/alerts", "test"},
        {"GET", "/api/v1/alerts/history", "state"},
    };
    struct rig *r = *state;
    set_up_api(r);
    query_value = "influx";
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct httpd_request q = {all[i].method, all[i].path, 0};
        query_key = all[i].key;
        api_handle(r->api, &q);
        assert_int_equal(q.status, 400);
    }
    query_key = NULL;
    stop(r);
}

/* A page of nothing would be asked for for ever; silent=0 asks for no silent ones only. */
static void devices_by_a_number_that_is_0(void **state)
{
    static const char *const keys[] = {"limit", "silent"};
    struct rig *r = *state;
    set_up_api(r);
    query_value = "0";
    for (size_t i = 0; i < 2; i++) {
        struct httpd_request q = {"GET", "/api/v1/devices", 0};
        query_key = keys[i];
        api_handle(r->api, &q);
        assert_int_equal(q.status, 200);
        assert_non_null(strstr(said, "\"devices\":[{"));
        assert_non_null(strstr(said, "\"after\":null"));
    }
    query_key = NULL;
    stop(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(letters_that_are_taken_up, setup, teardown),
        cmocka_unit_test_setup_teardown(letters_that_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(a_device_that_is_looked_up, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_that_a_call_does_not_go_by, setup, teardown),
        cmocka_unit_test_setup_teardown(devices_by_a_number_that_is_0, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
