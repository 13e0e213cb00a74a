/* SPDX-License-Identifier: Apache-2.0 */
/* io/mqtt's telling part against a real mosquitto: order, window, lost links, refusals, the will. */
/* tsan: yes */
#pragma GCC diagnostic ignored "-Wunused-function"
#include "mqtt_tell.h"

#include "io/mqtt_wire.h"

/* Paho does call what mqtt_wire defines: a packet takes it three or four recv(), the kernel fewer. */
static void assert_wired(struct mqtt_wire_stats before, size_t messages)
{
    struct mqtt_wire_stats now;
    mqtt_wire_stats(&now);
    assert_true(now.asked - before.asked >= 3 * messages);
    assert_true(now.read - before.read < now.asked - before.asked);
    assert_true(now.acks - before.acks >= messages - 1); /* the first makes the thread Paho's */
    assert_true(now.sent - before.sent <= now.acks - before.acks);
}

/* Far more than the server's Receive Maximum of 20: as fast as answers come, in order. */
static void test_order_and_window(void **state)
{
    (void)state;
    enum { N = 2000, SOME = 100 };
    struct broker b;
    struct client us = {0}, them = {0};
    static const struct mqtt_filter own = {"own/#", 1};
    struct mqtt_wire_stats before;
    mqtt_wire_stats(&before);
    broker_start(&b, "max_inflight_messages 20\n");
    open_at(&them, b.port, (struct mqtt_options){0});
    wait_subscribed(&them, b.port);
    open_at(&us, b.port,
            (struct mqtt_options){.filters = &own, .n_filters = 1, .send_window = 100});
    WAIT(stats(us.m).subscribed, 15);
    double begin = now_s(), fastest = 1000;
    unsigned full = 0;
    for (uint64_t i = 0; i < N;) {
        char text[24];
        snprintf(text, sizeof(text), "%d", (int)i);
        struct mqtt_out o = text_out(i, "t/many", text);
        int r = mqtt_send(us.m, &o);
        assert_true(r == 0 || r == -EAGAIN);
        if (r == 0 && ++i % SOME == 0) {
            double t = now_s();
            if (i > SOME && t - begin < fastest) /* not the first: some of it was queued only */
                fastest = t - begin;
            begin = t;
        } else if (r != 0) {
            full++;
            /* one answer may have left the window and not have reached the log yet */
            assert_true(i - sents(us.log) <= 19 + 1);
            (void)poll(NULL, 0, 1);
        }
    }
    WAIT(sents(us.log) == N, 20);
    /* past the Receive Maximum it is 28 to 51 a second, all the way; a busy machine has moments */
    assert_true(fastest < SOME / 60.0);
    assert_true(full > 0);
    WAIT(count(them.log) == N, 10);
    for (int i = 0; i < N; i++) {
        assert_int_equal(strtol(them.log->seen[i].payload, NULL, 10), i);
        assert_int_equal(us.log->sent[i].status, 0);
        assert_int_equal(us.log->sent[i].id, i);
    }
    assert_wired(before, N);
    client_close(&us);
    client_close(&them);
    broker_kill(&b, SIGKILL);
}

/* Behind a backlog a message waits for the next answer, but not long for one that does not come. */
static void test_behind_a_backlog(void **state)
{
    (void)state;
    enum { ROUNDS = 5, FIRST = 10 };
    struct broker b;
    struct client us = {0};
    static const struct mqtt_filter own = {"own/#", 1};
    broker_start(&b, NULL);
    open_at(&us, b.port,
            (struct mqtt_options){.filters = &own, .n_filters = 1, .send_window = 100});
    WAIT(stats(us.m).subscribed, 15);
    kill(b.pid, SIGSTOP);
    uint64_t id = 0;
    double quickest = 1000;
    for (int i = 0; i < ROUNDS; i++) {
        for (int k = 0; k < FIRST; k++) {
            struct mqtt_out o = text_out(id++, "t/behind", "x");
            assert_int_equal(mqtt_send(us.m, &o), 0);
        }
        double begin = now_s();
        WAIT(stats(us.m).published == id, 5);
        double took = now_s() - begin;
        if (i > 0 && took < quickest) /* before that there is no backlog yet */
            quickest = took;
    }
    assert_true(quickest < 0.3);
    kill(b.pid, SIGCONT);
    WAIT(sents(us.log) == id, 10);
    for (uint64_t i = 0; i < id; i++) {
        assert_int_equal(us.log->sent[i].status, 0);
        assert_int_equal(us.log->sent[i].id, i);
    }
    client_close(&us);
    broker_kill(&b, SIGKILL);
}

static void test_properties(void **state)
{
    (void)state;
    struct broker b;
    struct client us = {0}, them = {0}, late = {0};
    static const struct mqtt_filter own = {"own/#", 1};
    char port[16];
    broker_start(&b, "max_packet_size 2000\n");
    open_at(&them, b.port, (struct mqtt_options){0});
    wait_subscribed(&them, b.port);
    open_at(&us, b.port, (struct mqtt_options){.filters = &own, .n_filters = 1});
    WAIT(stats(us.m).subscribed, 15);
    struct mqtt_out o = text_out(7, "t/kept", "state");
    o.retain = true;
    o.correlation = "a\0b";
    o.correlation_len = 3;
    o.expiry_s = 100;
    assert_int_equal(mqtt_send(us.m, &o), 0);
    WAIT(count(them.log) == 1, 5);
    assert_memory_equal(them.log->seen[0].correlation, "a\0b", 4);
    assert_false(them.log->seen[0].retain);
    open_at(&late, b.port, (struct mqtt_options){.read_retained = true});
    WAIT(count(late.log) == 1, 10);
    assert_true(late.log->seen[0].retain);
    mqtt_reconnect(late.m, "to read again");
    WAIT(count(late.log) == 2, 10); /* the session was kept, and yet it came */
    assert_true(late.log->session_present && late.log->seen[1].retain);
    /* emptied */
    o = text_out(8, "t/kept", "");
    o.retain = true;
    assert_int_equal(mqtt_send(us.m, &o), 0);
    WAIT(count(late.log) == 3, 5);
    mqtt_reconnect(late.m, "to read again");
    WAIT(ups(late.log) == 3 && stats(late.m).subscribed, 10);
    (void)poll(NULL, 0, 300);
    assert_int_equal(count(late.log), 3);
    /* too large for this server */
    static char large[3000];
    memset(large, 'x', sizeof(large) - 1);
    o = text_out(9, "t/large", large);
    assert_int_equal(mqtt_send(us.m, &o), -EMSGSIZE);
    /* what firms' requests carry */
    snprintf(port, sizeof(port), "%d", b.port);
    pid_t pid = run("/dev/null", (const char *const[]){"mosquitto_pub",
                                                       "-p",
                                                       port,
                                                       "-V",
                                                       "5",
                                                       "-q",
                                                       "1",
                                                       "-t",
                                                       "t/cmd",
                                                       "-m",
                                                       "{}",
                                                       "-D",
                                                       "publish",
                                                       "response-topic",
                                                       "r/me",
                                                       "-D",
                                                       "publish",
                                                       "correlation-data",
                                                       "c7",
                                                       NULL});
    waitpid(pid, NULL, 0);
    WAIT(count(them.log) == 3, 5);
    assert_string_equal(them.log->seen[2].response, "r/me");
    assert_string_equal(them.log->seen[2].correlation, "c7");
    client_close(&us);
    client_close(&them);
    client_close(&late);
    broker_kill(&b, SIGKILL);
}

/* A broker that stops answering and dies: everything comes back once, before the next link, and
 * nothing is sent by itself on the new one. */
static void test_lost_link(void **state)
{
    (void)state;
    struct broker b;
    struct client us = {0}, them = {0};
    static const struct mqtt_filter own = {"own/#", 1};
    broker_start(&b, NULL);
    open_at(&us, b.port,
            (struct mqtt_options){.filters = &own, .n_filters = 1, .send_window = 10});
    WAIT(stats(us.m).subscribed, 15);
    kill(b.pid, SIGSTOP);
    uint64_t id = 0;
    int r = 0;
    while (r == 0) {
        struct mqtt_out o = text_out(id, "t/lost", "x");
        r = mqtt_send(us.m, &o);
        id += r == 0;
    }
    assert_int_equal(r, -EAGAIN);
    assert_int_equal(id, 10);
    WAIT(stats(us.m).published == 10, 5); /* Paho has them, the wire perhaps */
    broker_kill(&b, SIGKILL);
    WAIT(sents(us.log) == 10, 10);
    bool seen[10] = {false};
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(us.log->sent[i].status, -ENOTCONN);
        assert_int_equal(us.log->sent[i].ups, 1);
        assert_false(seen[us.log->sent[i].id]);
        seen[us.log->sent[i].id] = true;
    }
    struct mqtt_out o = text_out(10, "t/lost", "x");
    assert_int_equal(mqtt_send(us.m, &o), -ENOTCONN);
    broker_run(&b);
    open_at(&them, b.port, (struct mqtt_options){0});
    WAIT(stats(them.m).subscribed, 15);
    WAIT(stats(us.m).subscribed, 30);
    o = text_out(11, "t/again", "y");
    assert_int_equal(mqtt_send(us.m, &o), 0);
    WAIT(sents(us.log) == 11, 5);
    assert_int_equal(us.log->sent[10].status, 0);
    WAIT(count(them.log) >= 1, 5);
    (void)poll(NULL, 0, 300);
    assert_int_equal(count(them.log), 1);
    assert_string_equal(them.log->seen[0].topic, "t/again");
    client_close(&them);
    /* left while something is under way: it comes back, too */
    kill(b.pid, SIGSTOP);
    o = text_out(12, "t/again", "z");
    assert_int_equal(mqtt_send(us.m, &o), 0);
    WAIT(stats(us.m).published == 12, 5);
    mqtt_leave(us.m, "test");
    WAIT(sents(us.log) == 12, 10);
    kill(b.pid, SIGCONT);
    client_close(&us);
    broker_kill(&b, SIGKILL);
}

static void test_refused(void **state)
{
    (void)state;
    struct broker b;
    struct client us = {0};
    char acl[100], more[200];
    static const struct mqtt_filter own = {"own/#", 1};
    snprintf(acl, sizeof(acl), "%s/acl", dir);
    write_file(acl, "topic readwrite own/#\n");
    snprintf(more, sizeof(more), "acl_file %s\nallow_anonymous true\n", acl);
    broker_start(&b, more);
    open_at(&us, b.port, (struct mqtt_options){.filters = &own, .n_filters = 1});
    WAIT(stats(us.m).subscribed, 15);
    /* Paho 1.3.12 hangs up on the refusal: the third time it is said what it may be. */
    for (int i = 1; i <= 3; i++) {
        WAIT(ups(us.log) == i && stats(us.m).subscribed, 15);
        struct mqtt_out o = text_out((uint64_t)i, "t/forbidden", "x");
        assert_int_equal(mqtt_send(us.m, &o), 0);
        WAIT(sents(us.log) == (size_t)i, 5);
        int status = us.log->sent[i - 1].status;
        if (status == -EACCES)
            break;
        assert_int_equal(status, -ENOTCONN);
        WAIT(downs(us.log) == i, 5);
    }
    WAIT(us.log->sent[0].status == -EACCES || problem_has(us.m, "publish to t/forbidden"), 5);
    client_close(&us);
    broker_kill(&b, SIGKILL);
}

/* The process of test_will, started anew: Paho does not survive a fork. */
static int play_dying(int port)
{
    struct client c = {.id = "dies"};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    client_url(&c, 0, "mqtt", "127.0.0.1", port);
    client_open(
        &c, (struct mqtt_options){.will = &(struct mqtt_will){"t/status", "offline", 7, true}});
    while (!stats(c.m).connected)
        nap();
    struct mqtt_out o = text_out(1, "t/status", "online");
    o.retain = true;
    (void)mqtt_send(c.m, &o);
    return pause();
}

static void test_will(void **state)
{
    (void)state;
    struct broker b;
    struct client them = {0};
    char port[16];
    broker_start(&b, NULL);
    open_at(&them, b.port, (struct mqtt_options){0});
    wait_subscribed(&them, b.port);
    snprintf(port, sizeof(port), "%d", b.port);
    pid_t pid = fork();
    if (pid == 0) {
        execl("/proc/self/exe", "test_mqtt_send", "--dying", port, (char *)NULL);
        _exit(127);
    }
    WAIT(count(them.log) == 1, 15);
    assert_string_equal(them.log->seen[0].payload, "online");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    WAIT(count(them.log) == 2, 10);
    assert_string_equal(them.log->seen[1].payload, "offline");
    client_close(&them);
    struct client late = {0};
    open_at(&late, b.port, (struct mqtt_options){0});
    WAIT(count(late.log) == 1, 10);
    assert_true(late.log->seen[0].retain);
    client_close(&late);
    broker_kill(&b, SIGKILL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_window), cmocka_unit_test(test_behind_a_backlog),
        cmocka_unit_test(test_properties),       cmocka_unit_test(test_lost_link),
        cmocka_unit_test(test_refused),          cmocka_unit_test(test_will),
    };
    if (argc == 3 && strcmp(argv[1], "--dying") == 0)
        return play_dying((int)strtol(argv[2], NULL, 10));
    if (access("/usr/sbin/mosquitto", X_OK) != 0) {
        print_message("mosquitto is not installed: skipped\n");
        return 0;
    }
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
