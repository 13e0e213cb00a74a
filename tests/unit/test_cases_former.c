/* SPDX-License-Identifier: Apache-2.0 */
/* Commands on cases of a former epoch, of which only the broker knows. */
#include "cases_rig.h"

#include "base/arena.h"

/* The broker keeps a state of a stream that is over; nothing else is known of the case. */
static void former_epochs(void **state)
{
    (void)state;
    struct cases_rig *r = rig_new();
    struct case_command cmd = {.firm = "f1",
                               .compound = "qby",
                               .case_id = "cq.all.0.zz.0",
                               .verb = VERB_ACK,
                               .payload = "{\"by\":\"值班\"}                  ",
                               .payload_len = 17,
                               .former_firm = "f1",
                               .former_compound = "qby",
                               .engine_ns = r->ns,
                               .wall_ms = r->wall_ms};
    cases_command(r->c, &r->at, &cmd);
    assert_int_equal(r->answer, ANSWER_REFUSED);
    assert_false(r->empties);
    cmd.verb = VERB_CLOSE;
    cmd.former_compound = "c2";
    cases_command(r->c, &r->at, &cmd);
    assert_int_equal(r->answer, ANSWER_NOT_YOURS);
    cmd.former_compound = "qby";
    cmd.former_firm = "f2";
    cases_command(r->c, &r->at, &cmd);
    assert_int_equal(r->answer, ANSWER_NOT_YOURS);
    assert_false(r->empties);
    cmd.former_firm = "f1";
    cases_command(r->c, &r->at, &cmd);
    assert_int_equal(r->answer, ANSWER_DONE);
    assert_true(r->empties);
    cmd.firm = NULL; /* an operator */
    cmd.compound = "-";
    cases_command(r->c, &r->at, &cmd);
    assert_int_equal(r->answer, ANSWER_DONE);
    assert_true(r->empties);
    /* told once more, it is emptied once more: the broker may have been put back */
    cmd.correlation = "x";
    cmd.correlation_len = 1;
    for (int again = 0; again < 2; again++) {
        r->empties = false;
        cases_command(r->c, &r->at, &cmd);
        assert_true(r->empties);
    }
    /* a case that is open is no former one, whatever was seen */
    rig_say(r, ALARM_ACTIVATED, "ack-1", "d1");
    cmd.case_id = r->seen[0].id;
    cases_command(r->c, &r->at, &cmd);
    assert_int_equal(r->answer, ANSWER_REFUSED);
    assert_false(r->empties);
    rig_free(r);
}

static void former_epochs_as_records(void **state)
{
    (void)state;
    struct buf b;
    struct arena a;
    struct case_command c = {.verb = VERB_CLOSE,
                             .case_id = "cq.all.0.a.0",
                             .payload = "{\"by\":\"a\"}",
                             .payload_len = 10,
                             .reply_to = "reply/f2/x",
                             .former_firm = "f2",
                             .former_compound = "c2"},
                        d;
    static const char topic[] = "-/-/cq.all.0.a.0/close";
    buf_init(&b, 1 << 20);
    arena_init(&a, 1 << 20);
    assert_int_equal(case_command_put(&c, &b), 0);
    assert_int_equal(case_command_get(topic, strlen(topic), b.data, b.len, &a, &d), 0);
    assert_string_equal(d.former_firm, "f2");
    assert_string_equal(d.former_compound, "c2");
    assert_string_equal(d.reply_to, "reply/f2/x");
    assert_memory_equal(d.payload, c.payload, 10);
    for (size_t n = 0; n <= b.len - 2; n++) /* "f2/c" is one, too */
        assert_int_equal(case_command_get(topic, strlen(topic), b.data, n, &a, &d), -EBADMSG);
    arena_done(&a);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(former_epochs),
        cmocka_unit_test(former_epochs_as_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
