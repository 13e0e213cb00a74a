/* SPDX-License-Identifier: Apache-2.0 */
/* io/mqtt's telling part while links tear, against a real mosquitto. */
/* tsan: yes */
#pragma GCC diagnostic ignored "-Wunused-function"
#include "mqtt_tell.h"

/* Paho 1.3.12 keeps topic and payload of some of the messages that were under way when a connection ended
 * (some dozens of bytes each, up to two dozen messages a time, whoever hands them over): a program
 * of its own, so that what others forget is seen. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libpaho-mqtt3as";
}

/* With as much under way as goes, the link ends in all ways there are: each message comes back once,
 * and none overtakes another of its connection. */
static void test_backlog_and_lost_links(void **state)
{
    (void)state;
    enum { ROUNDS = 9, MANY = 400, N = ROUNDS * MANY };
    struct broker b;
    struct client us = {0};
    static const struct mqtt_filter own = {"own/#", 1};
    broker_start(&b, NULL);
    open_at(&us, b.port,
            (struct mqtt_options){
                .filters = &own, .n_filters = 1, .send_window = 100, .retry_max_s = 1});
    uint64_t id = 0;
    for (int i = 0; i < ROUNDS; i++) {
        WAIT(stats(us.m).subscribed, 30);
        for (int k = 0; k < MANY;) {
            struct mqtt_out o = text_out(id, "t/torn", "x");
            int r = mqtt_send(us.m, &o);
            assert_true(r == 0 || r == -EAGAIN || r == -ENOTCONN);
            id += r == 0;
            k += r != -EAGAIN;
        }
        if (i % 3 == 0) {
            broker_kill(&b, SIGKILL);
            broker_run(&b);
        } else if (i % 3 == 1) {
            mqtt_reconnect(us.m, "test");
        } else {
            mqtt_leave(us.m, "test");
            WAIT(!stats(us.m).connected, 10);
            mqtt_return(us.m);
        }
    }
    WAIT(sents(us.log) == id, 20);
    unsigned char seen[N] = {0};
    int ups = 0;
    uint64_t next = 0;
    for (uint64_t i = 0; i < id; i++) {
        if (us.log->sent[i].ups != ups)
            next = 0;
        ups = us.log->sent[i].ups;
        assert_int_equal(seen[us.log->sent[i].id]++, 0);
        assert_true(us.log->sent[i].status == 0 || us.log->sent[i].status == -ENOTCONN);
        if (us.log->sent[i].status != 0)
            continue;
        assert_true(us.log->sent[i].id >= next);
        next = us.log->sent[i].id + 1;
    }
    client_close(&us);
    broker_kill(&b, SIGKILL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backlog_and_lost_links),
    };
    if (access("/usr/sbin/mosquitto", X_OK) != 0) {
        print_message("mosquitto is not installed: skipped\n");
        return 0;
    }
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
