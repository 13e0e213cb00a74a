/* SPDX-License-Identifier: Apache-2.0 */
/* io/mqtt by the clock, which the test sets ahead; Paho's answers are the test's, too. */
#include "unit.h"

#include "base/log.h"
#include "io/mqtt.h"

#include <MQTTAsync.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

enum answer { SILENCE, REFUSAL, CONNACK };

static atomic_int answer, attempts, subscribes, suback, connected_lines, refused_lines;
static atomic_long ahead_s; /* of the clock */

/* -- the clock ------------------------------------------------------------------------------ */

int __real_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
    int r = __real_clock_gettime(id, t);
    if (id == CLOCK_MONOTONIC)
        t->tv_sec += atomic_load(&ahead_s);
    return r;
}

/* Looks 50 times a second whether the clock was set. */
int __real_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m,
                                  const struct timespec *until);
int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m,
                                  const struct timespec *until);
int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m,
                                  const struct timespec *until)
{
    struct timespec now;
    (void)__wrap_clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec > until->tv_sec ||
        (now.tv_sec == until->tv_sec && now.tv_nsec >= until->tv_nsec))
        return ETIMEDOUT;
    (void)__real_clock_gettime(CLOCK_MONOTONIC, &now);
    now.tv_nsec += 20000000;
    if (now.tv_nsec >= 1000000000) {
        now.tv_nsec -= 1000000000;
        now.tv_sec++;
    }
    (void)__real_pthread_cond_timedwait(c, m, &now);
    return 0;
}

static double now_s(void)
{
    struct timespec t;
    (void)__real_clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

#define WAIT(cond, seconds)       WAIT_AND(cond, seconds, 0)
#define PASS_UNTIL(cond, seconds) WAIT_AND(cond, seconds, 61) /* of the clock, at each look */
#define WAIT_AND(cond, seconds, step_s)                                                        \
    do {                                                                                       \
        double until_ = now_s() + (seconds);                                                   \
        while (!(cond) && now_s() < until_) {                                                  \
            atomic_fetch_add(&ahead_s, (step_s));                                              \
            (void)poll(NULL, 0, 20);                                                           \
        }                                                                                      \
        if (!(cond))                                                                           \
            fail_msg("not within %g s: %s", (double)(seconds), #cond);                         \
    } while (0)

/* -- Paho ------------------------------------------------------------------------------------ */

int __wrap_MQTTAsync_connect(MQTTAsync h, const MQTTAsync_connectOptions *o);
int __wrap_MQTTAsync_connect(MQTTAsync h, const MQTTAsync_connectOptions *o)
{
    (void)h;
    int what = atomic_load(&answer);
    if (what == CONNACK) {
        MQTTAsync_successData5 d = {0};
        o->onSuccess5(o->context, &d);
    } else if (what == REFUSAL) {
        MQTTAsync_failureData5 d = MQTTAsync_failureData5_initializer;
        d.reasonCode = MQTTREASONCODE_SERVER_BUSY;
        d.message = "CONNACK return code";
        o->onFailure5(o->context, &d);
    }
    atomic_fetch_add(&attempts, 1);
    return MQTTASYNC_SUCCESS;
}

int __wrap_MQTTAsync_subscribeMany(MQTTAsync h, int n, char *const *topics, const int *qos,
                                   MQTTAsync_responseOptions *o);
int __wrap_MQTTAsync_subscribeMany(MQTTAsync h, int n, char *const *topics, const int *qos,
                                   MQTTAsync_responseOptions *o)
{
    (void)h;
    (void)topics;
    (void)qos;
    int code = atomic_load(&suback);
    assert_int_equal(n, 1);
    if (code < 0x80) {
        MQTTAsync_successData5 d = {0};
        d.reasonCode = (enum MQTTReasonCodes)code;
        d.alt.sub.reasonCodeCount = 1;
        o->onSuccess5(o->context, &d);
    } else {
        MQTTAsync_failureData5 d = MQTTAsync_failureData5_initializer;
        d.reasonCode = (enum MQTTReasonCodes)code;
        o->onFailure5(o->context, &d);
    }
    atomic_fetch_add(&subscribes, 1);
    return MQTTASYNC_SUCCESS;
}

/* -- what is said ---------------------------------------------------------------------------- */

void __wrap_log_write(enum log_level level, const char *fmt, ...);
void __wrap_log_write(enum log_level level, const char *fmt, ...)
{
    (void)level;
    if (strstr(fmt, ": connected"))
        atomic_fetch_add(&connected_lines, 1);
    if (strstr(fmt, "refuses the subscription"))
        atomic_fetch_add(&refused_lines, 1);
}

static void on_message(void *ctx, const struct mqtt_message *m)
{
    (void)ctx;
    (void)m;
}

static void on_link(void *ctx, const struct mqtt_link *l)
{
    (void)ctx;
    (void)l;
}

static struct mqtt *begin(enum answer a, size_t filters, int code)
{
    static const char *urls[] = {"mqtt://127.0.0.1:9"};
    static struct conf_broker conf;
    static const struct mqtt_filter filter = {.filter = "t/#", .qos = 1};
    struct err err = {""};
    struct mqtt *m = NULL;
    conf = (struct conf_broker){.id = "main", .session_expiry_s = 60, .keepalive_s = 30};
    conf.url.items = urls;
    conf.url.n = 1;
    answer = a;
    attempts = subscribes = connected_lines = refused_lines = 0;
    suback = code;
    struct mqtt_options o = {
        .broker = &conf, .client_id = "gw", .filters = &filter, .n_filters = filters};
    struct mqtt_events e = {.on_message = on_message, .on_link = on_link};
    if (mqtt_open(&o, &e, &err, &m) != 0)
        fail_msg("%s", err.text);
    return m;
}

static struct mqtt_stats stats(struct mqtt *m)
{
    struct mqtt_stats s;
    mqtt_stats(m, &s);
    return s;
}

static void test_an_attempt_without_end_is_given_up(void **state)
{
    (void)state;
    struct mqtt *m = begin(SILENCE, 0, 1);
    WAIT(attempts == 1, 30);
    atomic_fetch_add(&ahead_s, 61);
    WAIT(strstr(stats(m).problem, "no end of the attempt"), 30);
    atomic_store(&answer, CONNACK);
    atomic_fetch_add(&ahead_s, 61);
    WAIT(stats(m).connected, 30);
    mqtt_close(m);
}

/* However the connection ends that lasted: who was far away for long before is looked for at once. */
static void test_a_good_connection_begins_the_backoff_anew(void **state)
{
    (void)state;
    struct mqtt *m = begin(REFUSAL, 0, 1);
    PASS_UNTIL(attempts >= 8, 30);
    atomic_store(&answer, CONNACK);
    PASS_UNTIL(connected_lines == 1, 30);
    atomic_fetch_add(&ahead_s, 3600);
    atomic_store(&answer, REFUSAL);
    int before = attempts;
    mqtt_reconnect(m, "unusual silence");
    WAIT(attempts >= before + 1, 30);
    WAIT(attempts >= before + 2, 30); /* a second later, and not most of a minute */
    mqtt_close(m);
}

static void test_a_refused_filter_is_asked_for_again(void **state)
{
    (void)state;
    struct mqtt *m = begin(CONNACK, 1, MQTTREASONCODE_NOT_AUTHORIZED);
    WAIT(stats(m).refused_filters == 1, 30);
    int asked = subscribes;
    atomic_fetch_add(&ahead_s, 300);
    (void)poll(NULL, 0, 300);
    assert_int_equal(subscribes, asked);
    atomic_fetch_add(&ahead_s, 301);
    WAIT(subscribes == asked + 1, 30);
    assert_int_equal(stats(m).refused_filters, 1);
    assert_int_equal(refused_lines, 1); /* that it is still so is no news */
    atomic_store(&suback, 1);
    atomic_fetch_add(&ahead_s, 601);
    WAIT(stats(m).refused_filters == 0, 30);
    asked = subscribes;
    atomic_fetch_add(&ahead_s, 601);
    (void)poll(NULL, 0, 300);
    assert_int_equal(subscribes, asked); /* what is granted is not asked for */
    mqtt_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_attempt_without_end_is_given_up),
        cmocka_unit_test(test_a_good_connection_begins_the_backoff_anew),
        cmocka_unit_test(test_a_refused_filter_is_asked_for_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
