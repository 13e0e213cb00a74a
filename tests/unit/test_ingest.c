/* SPDX-License-Identifier: Apache-2.0 */
/* ingest: what becomes of a link that changes while the journal has no room. The journal is the test's,
 * and so is the broker's word. */
#include "unit.h"

#include "app/ingest.h"
#include "io/stop.h"
#include "small_world.h"

#include <errno.h>

enum { MOST = 16 };

static struct {
    struct mqtt_events events;
    bool full;
    unsigned patient; /* appends that would have waited for room */
    struct {
        enum record_type type;
        char body[64];
        size_t len;
    } taken[MOST];
    size_t n;
} seen;

int __wrap_mqtt_open(const struct mqtt_options *o, const struct mqtt_events *e, struct err *err,
                     struct mqtt **out);
int __wrap_mqtt_open(const struct mqtt_options *o, const struct mqtt_events *e, struct err *err,
                     struct mqtt **out)
{
    (void)o;
    (void)err;
    seen.events = *e;
    *out = NULL;
    return 0;
}

int __wrap_journal_append_patient(struct journal *j, struct record *r, unsigned wait_ms,
                                  uint64_t *out_end);
int __wrap_journal_append_patient(struct journal *j, struct record *r, unsigned wait_ms,
                                  uint64_t *out_end)
{
    (void)j;
    seen.patient += wait_ms > 0;
    if (seen.full)
        return -ENOSPC;
    assert_true(seen.n < MOST && r->body_len < sizeof(seen.taken[0].body));
    seen.taken[seen.n].type = r->type;
    seen.taken[seen.n].len = r->body_len;
    memcpy(seen.taken[seen.n++].body, r->body, r->body_len);
    *out_end = seen.n;
    return 0;
}

int __wrap_journal_append(struct journal *j, struct record *r, uint64_t *out_end);
int __wrap_journal_append(struct journal *j, struct record *r, uint64_t *out_end)
{
    return __wrap_journal_append_patient(j, r, 0, out_end);
}

void __wrap_pipeline_notify(struct pipeline *p);
void __wrap_pipeline_notify(struct pipeline *p)
{
    (void)p;
}

_Noreturn void __wrap_stop_now(int code, const char *fmt, ...);
_Noreturn void __wrap_stop_now(int code, const char *fmt, ...)
{
    (void)fmt;
    fail_msg("the process ends with %d", code);
    abort();
}

struct rig {
    struct world *world;
    struct ingest *ingest;
};

static void begin(struct rig *r)
{
    static const char conf[] = "gateway: {id: g}\nbrokers: [{id: a, url: mqtt://h}]\n"
                               "sources: [{profile: gaihou-json, broker: a}]\n"
                               "sinks: [{id: s, type: victoriametrics, url: http://h}]\n";
    static const char catalog[] =
        "kinds:\n  sump:\n    zh: 集水井\n    en: Sump\n    metrics:\n"
        "      level: {type: float, unit: m, zh: 水位, en: Level}\n";
    static const char *const none[1];
    struct err err = {""};
    memset(&seen, 0, sizeof(seen));
    r->world = small_world(
        &(struct small_world){conf, catalog, "compound,name\nc1,一村\n",
                              .devices = "device,source_id,kind,compound\nd1,s1,sump,c1\n"});
    assert_non_null(r->world);
    struct ingest_options o = {
        .conf = r->world->conf, .passwords = none, .key_passwords = none};
    assert_int_equal(ingest_open(&o, r->world, &err, &r->ingest), 0);
}

static void end(struct rig *r)
{
    ingest_close(r->ingest);
    world_free(r->world);
}

static void up(bool session_present)
{
    seen.events.on_link(
        seen.events.ctx,
        &(struct mqtt_link){.state = MQTT_UP, .session_present = session_present});
}

static void down(void)
{
    seen.events.on_link(seen.events.ctx,
                        &(struct mqtt_link){.state = MQTT_DOWN, .reason = "no room"});
}

static void message(void)
{
    seen.events.on_message(
        seen.events.ctx,
        &(struct mqtt_message){
            .topic = "t", .topic_len = 1, .payload = "p", .payload_len = 1, .qos = 1});
}

static void test_a_link_that_goes_ends_nothing(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    up(true);
    message();
    assert_int_equal(seen.n, 2);
    seen.full =
        true; /* what came over another broker took the last room, or another program did */
    down();
    ingest_links(r.ingest);
    assert_int_equal(seen.n, 2);
    assert_true(seen.patient > 0);
    seen.full = false;
    ingest_links(r.ingest);
    assert_int_equal(seen.n, 3);
    assert_int_equal(seen.taken[2].type, RECORD_LINK_DOWN);
    ingest_links(r.ingest); /* once */
    assert_int_equal(seen.n, 3);
    up(true);
    assert_int_equal(seen.n, 4);
    assert_int_equal(seen.taken[3].type, RECORD_LINK_UP);
    end(&r);
}

static void test_a_message_stands_behind_its_link(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    up(true);
    seen.full = true;
    down();
    up(true);
    seen.full = false;
    message();
    assert_int_equal(seen.n, 4);
    assert_int_equal(seen.taken[1].type, RECORD_LINK_DOWN);
    assert_int_equal(seen.taken[2].type, RECORD_LINK_UP);
    assert_int_equal(seen.taken[3].type, RECORD_MESSAGE);
    end(&r);
}

/* A connection that the journal knows nothing of: but that it lost the session is known of the next. */
static void test_a_lost_session_is_not_forgotten(void **state)
{
    (void)state;
    struct rig r;
    begin(&r);
    up(true);
    seen.full = true;
    down();
    up(false);
    down();
    up(true);
    seen.full = false;
    ingest_links(r.ingest);
    assert_int_equal(seen.n, 3);
    assert_int_equal(seen.taken[1].type, RECORD_LINK_DOWN);
    assert_int_equal(seen.taken[2].type, RECORD_LINK_UP);
    assert_int_equal(seen.taken[2].len, 2);
    assert_int_equal(seen.taken[2].body[0], 0);
    down();
    up(true);
    assert_int_equal(seen.n, 5);
    assert_int_equal(seen.taken[4].body[0], 1);
    end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_link_that_goes_ends_nothing),
        cmocka_unit_test(test_a_message_stands_behind_its_link),
        cmocka_unit_test(test_a_lost_session_is_not_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
