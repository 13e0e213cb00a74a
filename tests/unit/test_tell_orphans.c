/* SPDX-License-Identifier: Apache-2.0 */
/* States of former epochs: known, listed, and ended by a command only. */
#pragma GCC diagnostic ignored "-Wunused-function"
#include "tell_rig.h"

static void each_orphan(void *ctx, const char *place)
{
    (void)buf_printf(ctx, "%s ", place);
}

/* Nothing ends a state of a former epoch but who closes it: at its own topic, or as an operator. */
static void test_orphans(void **state)
{
    (void)state;
    char *firm = NULL, *compound = NULL;
    struct buf all;
    buf_init(&all, 1000);
    start(2, 0);
    keep(P "gateway/cq/epoch", "{\"epoch\":2,\"offset\":1}");
    keep(P "alerts/wk/c1/cq.all.1.b.3", "{\"stream\":\"cq/all/1\",\"seq\":3}");
    keep(P "alerts/wk/c1/cq.all.1.b.2", "{\"stream\":\"cq/all/1\",\"seq\":2}");
    keep(P "alerts/lh/c3/cq.all.1.b.9", "{\"stream\":\"cq/all/1\",\"seq\":9}");
    keep(P "alerts/lh/c3", "{\"stream\":\"cq/all/1\",\"seq\":9}");
    up();
    settle();
    assert_int_equal(stats().orphaned, 4);
    tell_orphans_each(tell, 10, each_orphan, &all);
    assert_string_equal(buf_cstr(&all),
                        "lh/c3/cq.all.1.b.9 wk/c1/cq.all.1.b.2 wk/c1/cq.all.1.b.3 ");
    message(P "cmd/wk/c1/cq.all.1.b.2/ack", "{}", false, NULL, NULL);
    assert_string_equal(last_former, "wk/c1");
    message(P "cmd/lh/c3/cq.all.1.b.2/ack", "{}", false, NULL, NULL);
    assert_string_equal(last_former, "-/-");
    assert_false(tell_orphan(tell, "cq.all.1.b.1", &firm, &compound));
    assert_true(tell_orphan(tell, "cq.all.1.b.9", &firm, &compound));
    assert_string_equal(firm, "lh");
    assert_string_equal(compound, "c3");
    free(firm);
    free(compound);
    struct fake_out *o = commit("wk", "c1", "cq.all.1.b.2", TELL_LEAVE | TELL_REPLY, 0, "");
    o->o.was_firm = "wk";
    o->o.was_compound = "c1";
    o->o.topic = "reply/wk/c1";
    settle();
    assert_null(on_broker(P "alerts/wk/c1/cq.all.1.b.2"));
    assert_non_null(on_broker(P "alerts/wk/c1/cq.all.1.b.3"));
    assert_true(find_sent(P "reply/wk/c1", 0) != SIZE_MAX);
    assert_int_equal(stats().orphaned, 3);
    message(P "cmd/wk/c1/cq.all.1.b.2/ack", "{}", false, NULL, NULL);
    assert_string_equal(last_former, "-/-");
    message(P "cmd/wk/c1/cq.all.1.b.3/ack", "{}", false, NULL, NULL);
    assert_string_equal(last_former, "wk/c1");
    down(0);
    up();
    settle();
    assert_int_equal(stats().orphaned, 3);
    buf_done(&all);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orphans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
