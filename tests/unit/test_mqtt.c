/* SPDX-License-Identifier: Apache-2.0 */
/* io/mqtt against a real mosquitto and, for answers mosquitto never gives, a broker of 100
 * lines. */
/* tsan: yes */
#include "mqtt_rig.h"

/* -- with mosquitto --------------------------------------------------------------------------
 */

#define NEED_MOSQUITTO()                                                                       \
    do {                                                                                       \
        if (!mosquitto) {                                                                      \
            print_message("mosquitto is not installed: skipped\n");                            \
            skip();                                                                            \
        }                                                                                      \
    } while (0)

static void test_messages(void **state)
{
    (void)state;
    NEED_MOSQUITTO();
    struct broker b;
    struct client c = {0};
    broker_start(&b, NULL);
    publish(b.port, "t/kept", "old", 1, true);
    client_url(&c, 0, "mqtt", "localhost", b.port);
    client_open(&c, (struct mqtt_options){0});
    WAIT(count(c.log) == 1, 15);
    assert_true(c.log->seen[0].retain && c.log->seen[0].while_up);
    assert_string_equal(c.log->seen[0].payload, "old");
    assert_int_equal(stats(c.m).version, 5);
    assert_false(c.log->session_present);
    publish(b.port, "t/a", "one", 1, false);
    publish(b.port, "t/a", "zero", 0, false);
    publish(b.port, "t/a", "", 1, false);
    publish(b.port, "t/a", "flag", 1, true);
    WAIT(count(c.log) == 5, 5);
    struct seen *s = c.log->seen + 1;
    assert_int_equal(s[0].qos, 1);
    assert_true(s[0].id > 0);
    assert_false(s[0].retain || s[0].dup);
    assert_string_equal(s[0].topic, "t/a");
    assert_int_equal(s[1].qos, 0);
    assert_int_equal(s[2].payload_len, 0);
    assert_false(s[3].retain);         /* live, whatever its publisher asked for */
    WAIT(stats(c.m).messages == 5, 5); /* counted when our callback has returned */
    assert_string_equal(stats(c.m).problem, "");
    client_close(&c);
    broker_kill(&b, SIGKILL);
}

static void test_broker_restarts(void **state)
{
    (void)state;
    NEED_MOSQUITTO();
    struct broker b;
    struct client c = {0};
    broker_start(&b, NULL);
    client_url(&c, 0, "mqtt", "127.0.0.1", b.port);
    client_open(&c, (struct mqtt_options){0});
    wait_subscribed(&c, b.port);
    broker_kill(&b, SIGTERM); /* saves */
    WAIT(downs(c.log) == 1, 10);
    broker_run(&b);
    publish(b.port, "t/meanwhile", "m", 1, false);
    WAIT(ups(c.log) == 2, 20);
    assert_true(c.log->session_present);
    WAIT(count(c.log) >= 1, 5);
    assert_string_equal(c.log->seen[0].topic, "t/meanwhile");
    assert_int_equal(downs(c.log), 1);
    assert_int_equal(stats(c.m).losses, 1);
    client_close(&c);
    broker_kill(&b, SIGKILL);
}

/* Alone, it would try after 1, 2, 4, 8 and 16 s. */
static void test_longest_pause(void **state)
{
    (void)state;
    NEED_MOSQUITTO();
    struct broker b;
    struct client c = {0};
    broker_start(&b, NULL);
    broker_kill(&b, SIGKILL);
    client_url(&c, 0, "mqtt", "127.0.0.1", b.port);
    client_open(&c, (struct mqtt_options){.retry_max_s = 2});
    sleep(16);
    broker_run(&b);
    WAIT_EXACTLY(ups(c.log) == 1, 12); /* alone, the next would come 15 s from here */
    client_close(&c);
    broker_kill(&b, SIGKILL);
}

static void test_publish(void **state)
{
    (void)state;
    NEED_MOSQUITTO();
    struct broker b;
    struct client c = {0};
    broker_start(&b, NULL);
    client_url(&c, 0, "mqtt", "127.0.0.1", b.port);
    client_open(&c, (struct mqtt_options){0});
    wait_subscribed(&c, b.port);
    assert_int_equal(mqtt_publish(c.m, "t/out", "\x08\0\x01", 3, 0), 0);
    assert_int_equal(mqtt_publish(c.m, "t/out", "", 0, 1), 0);
    WAIT(count(c.log) == 2, 5);
    assert_string_equal(c.log->seen[0].topic, "t/out");
    assert_int_equal(c.log->seen[0].payload_len, 3);
    assert_memory_equal(c.log->seen[0].payload, "\x08\0\x01", 3);
    assert_int_equal(c.log->seen[0].qos, 0);
    assert_int_equal(c.log->seen[1].qos, 1);
    assert_false(c.log->seen[1].retain);
    WAIT(stats(c.m).published == 2, 5); /* counted behind the call that sent it */
    broker_kill(&b, SIGKILL);
    WAIT(!stats(c.m).connected, 10);
    assert_int_equal(mqtt_publish(c.m, "t/out", "x", 1, 0), -ENOTCONN);
    client_close(&c);
}

static void test_leave_and_return(void **state)
{
    (void)state;
    NEED_MOSQUITTO();
    struct broker b;
    struct client c = {0};
    broker_start(&b, NULL);
    client_url(&c, 0, "mqtt", "127.0.0.1", b.port);
    client_open(&c, (struct mqtt_options){0});
    wait_subscribed(&c, b.port);
    mqtt_leave(c.m, "the journal is full");
    WAIT(downs(c.log) == 1, 5);
    assert_string_equal(c.log->reason, "the journal is full");
    publish(b.port, "t/x", "queued", 1, false);
    (void)poll(NULL, 0, 300);
    assert_int_equal(count(c.log), 0);
    mqtt_return(c.m);
    WAIT(count(c.log) == 1, 10);
    assert_true(c.log->session_present);
    assert_int_equal(stats(c.m).losses, 0);
    mqtt_reconnect(c.m, "nothing arrives");
    WAIT(ups(c.log) == 3, 10);
    assert_string_equal(c.log->reason, "nothing arrives");
    /* the session outlives the client */
    char id[32];
    memcpy(id, c.id, sizeof(id));
    client_close(&c);
    publish(b.port, "t/y", "later", 1, false);
    struct client d = {0};
    memcpy(d.id, id, sizeof(id));
    client_url(&d, 0, "mqtt", "127.0.0.1", b.port);
    client_open(&d, (struct mqtt_options){0});
    WAIT(last_is(d.log, "later"), 10);
    assert_true(d.log->session_present);
    client_close(&d);
    broker_kill(&b, SIGKILL);
}

/* The process of test_redelivery: blocks in on_message, so the PUBACK never leaves, and tells
 * the packet id. Started anew, because Paho does not survive a fork. */
static int play_victim(int port)
{
    struct client c = {.id = "dies"};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    c.log = log_new();
    c.log->hold = true;
    client_url(&c, 0, "mqtt", "127.0.0.1", port);
    client_open(&c, (struct mqtt_options){0});
    while (count(c.log) == 0)
        nap();
    uint16_t id = c.log->seen[0].id;
    return write(STDOUT_FILENO, &id, sizeof(id)) == 2 ? pause() : 1;
}

static void test_redelivery(void **state)
{
    (void)state;
    NEED_MOSQUITTO();
    struct broker b;
    char file[100], port[16];
    broker_start(&b, NULL);
    snprintf(file, sizeof(file), "%s/victim", dir);
    snprintf(port, sizeof(port), "%d", b.port);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        dup2(fd, STDOUT_FILENO);
        execl("/proc/self/exe", "test_mqtt", "--victim", port, (char *)NULL);
        _exit(127);
    }
    struct stat st;
    double until = now_s() + 20 * PATIENCE;
    while ((stat(file, &st) || st.st_size < 2) && now_s() < until) {
        publish(b.port, "t/r", "again", 1, false);
        (void)poll(NULL, 0, 200);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    uint16_t id = 0;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, &id, sizeof(id)), 2);
    close(fd);
    struct client c = {.id = "dies"};
    client_url(&c, 0, "mqtt", "127.0.0.1", b.port);
    client_open(&c, (struct mqtt_options){0});
    WAIT(count(c.log) >= 1, 10);
    assert_true(c.log->seen[0].dup);
    assert_int_equal(c.log->seen[0].id, id);
    assert_int_equal(c.log->seen[0].qos, 1);
    client_close(&c);
    broker_kill(&b, SIGKILL);
}

static void test_wrong_password(void **state)
{
    (void)state;
    NEED_MOSQUITTO();
    char more[200], passwords[100];
    snprintf(passwords, sizeof(passwords), "%s/passwords", dir);
    write_file(passwords, "%s", "");
    chmod(passwords, 0600);
    snprintf(more, sizeof(more), "allow_anonymous false\npassword_file %s\n", passwords);
    pid_t pid = run("/dev/null", (const char *const[]){"mosquitto_passwd", "-b", passwords,
                                                       "me", "right", NULL});
    int status = -1;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    struct broker b;
    b.port = 0;
    /* the readiness probe of broker_start only connects, so it needs no password */
    broker_start(&b, more);
    struct client c = {0};
    c.conf.username = "me";
    client_url(&c, 0, "mqtt", "127.0.0.1", b.port);
    client_open(&c, (struct mqtt_options){.password = "sesame"});
    WAIT(problem_has(c.m, "\"me\""), 10);
    assert_true(problem_has(c.m, "check username and password_file of this broker"));
    assert_false(problem_has(c.m, "sesame"));
    client_close(&c);
    struct client d = {0};
    d.conf.username = "me";
    client_url(&d, 0, "mqtt", "127.0.0.1", b.port);
    client_open(&d, (struct mqtt_options){.password = "right"});
    WAIT(stats(d.m).connected, 10);
    client_close(&d);
    broker_kill(&b, SIGKILL);
}

static void test_names_and_fail_over(void **state)
{
    (void)state;
    NEED_MOSQUITTO();
    struct broker b;
    struct client c = {0};
    broker_start(&b, NULL);
    client_url(&c, 0, "mqtt", "no-such-name.invalid", 1883);
    client_open(&c, (struct mqtt_options){0});
    WAIT(problem_has(c.m, "no-such-name.invalid cannot be looked up"), 30);
    client_close(&c);
    struct client d = {0};
    client_url(&d, 0, "mqtt", "no-such-name.invalid", 1883);
    client_url(&d, 1, "mqtt", "127.0.0.1", free_port());
    client_url(&d, 2, "mqtt", "127.0.0.1", b.port);
    client_open(&d, (struct mqtt_options){0});
    WAIT(stats(d.m).connected, 60);
    assert_string_equal(stats(d.m).server, d.url[2]);
    client_close(&d);
    broker_kill(&b, SIGKILL);
}

static void test_thousand_filters(void **state)
{
    (void)state;
    NEED_MOSQUITTO();
    enum { N = 1000 };
    static char names[N][16];
    struct mqtt_filter f[N];
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof(names[i]), "f/%d", i);
        f[i] = (struct mqtt_filter){.filter = names[i], .qos = 1};
    }
    struct broker b;
    struct client c = {0};
    broker_start(&b, NULL);
    client_url(&c, 0, "mqtt", "127.0.0.1", b.port);
    client_open(&c, (struct mqtt_options){.filters = f, .n_filters = N});
    WAIT(stats(c.m).connected, 15);
    double until = now_s() + 60 * PATIENCE;
    while (count(c.log) == 0 && now_s() < until) {
        publish(b.port, "f/999", "last", 1, false);
        (void)poll(NULL, 0, 100);
    }
    assert_true(count(c.log) > 0);
    publish(b.port, "f/0", "first", 1, false);
    publish(b.port, "f/500", "middle", 1, false);
    WAIT(strcmp(c.log->seen[count(c.log) - 1].topic, "f/500") == 0, 5);
    /* away with all but one, in with a new one */
    struct mqtt_filter g[] = {{.filter = "f/7", .qos = 1}, {.filter = "g/#", .qos = 0}};
    mqtt_resubscribe(c.m, g, 2);
    until = now_s() + 60 * PATIENCE;
    bool gone = false;
    while (!gone && now_s() < until) { /* f/999 goes, g/… comes */
        size_t n = count(c.log);
        publish(b.port, "f/999", "?", 1, false);
        publish(b.port, "f/0", "?", 1, false);
        publish(b.port, "g/new", "!", 1, false);
        (void)poll(NULL, 0, 200);
        gone = count(c.log) == n + 1 && strcmp(c.log->seen[n].topic, "g/new") == 0 &&
               c.log->seen[n].qos == 0;
    }
    assert_true(gone);
    client_close(&c);
    broker_kill(&b, SIGKILL);
}

/* -- beside one whose callback blocks ---------------------------------------------------------
 */

struct slow { /* a client whose on_message keeps Paho's only thread */
    struct conf_broker conf;
    const char *urls[1];
    char url[64];
    struct mqtt *m;
    _Atomic double until; /* set before the message is published */
    _Atomic bool inside, over;
};

static void on_message_slowly(void *ctx, const struct mqtt_message *m)
{
    struct slow *s = ctx;
    (void)m;
    s->inside = true;
    while (now_s() < s->until)
        nap();
    s->over = true;
}

static void on_link_ignored(void *ctx, const struct mqtt_link *l)
{
    (void)ctx;
    (void)l;
}

/* Blocks for `seconds` from here on, or for a little less. */
static void slow_open(struct slow *s, int port, double seconds)
{
    static const struct mqtt_filter own = {"slow/#", 1};
    struct err err = {0};
    snprintf(s->url, sizeof(s->url), "mqtt://127.0.0.1:%d", port);
    s->urls[0] = s->url;
    s->conf.id = "slow";
    s->conf.url.items = s->urls;
    s->conf.url.n = 1;
    s->conf.session_expiry_s = s->conf.keepalive_s = 60;
    struct mqtt_options o = {
        .broker = &s->conf, .client_id = "slow", .filters = &own, .n_filters = 1};
    struct mqtt_events e = {
        .ctx = s, .on_message = on_message_slowly, .on_link = on_link_ignored};
    assert_int_equal(mqtt_open(&o, &e, &err, &s->m), 0);
    WAIT(stats(s->m).subscribed, 15);
    s->until = now_s() + seconds;
    publish(port, "slow/one", "x", 1, false);
    WAIT(s->inside, 10);
}

static bool all_came(struct log *l, int n)
{
    bool seen[100] = {false};
    int different = 0;
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < l->n; i++) {
        long v = strtol(l->seen[i].payload, NULL, 10);
        if (strcmp(l->seen[i].topic, "t/n") != 0 || v < 0 || v >= 100 || seen[v])
            continue;
        seen[v] = true;
        different++;
    }
    pthread_mutex_unlock(&l->lock);
    return different == n;
}

/* What waits in a closing client's socket may not be acknowledged by nobody. */
static void test_close_beside_a_slow_one(void **state)
{
    (void)state;
    NEED_MOSQUITTO();
    enum { N = 50 };
    struct broker b;
    struct client c = {.id = "closes"}, d = {.id = "closes"};
    struct slow s = {0};
    char text[16];
    broker_start(&b, NULL);
    client_url(&c, 0, "mqtt", "127.0.0.1", b.port);
    client_open(&c, (struct mqtt_options){0});
    wait_subscribed(&c, b.port);
    slow_open(&s, b.port, 9);
    int fd = raw_connect(b.port, "feed");
    for (int i = 0; i < N; i++) {
        snprintf(text, sizeof(text), "%d", i);
        raw_publish(fd, "t/n", text, 1, false);
    }
    close(fd);
    mqtt_close(c.m);
    assert_true(s.over); /* before, there was a connection still */
    d.log = c.log;
    client_url(&d, 0, "mqtt", "127.0.0.1", b.port);
    client_open(&d, (struct mqtt_options){0});
    WAIT(all_came(d.log, N), 15);
    client_close(&d);
    mqtt_close(s.m);
    broker_kill(&b, SIGKILL);
}

/* Nor does what is published while we leave wait for the next connection. */
static void test_publish_while_leaving(void **state)
{
    (void)state;
    NEED_MOSQUITTO();
    struct broker b;
    struct client c = {0};
    struct slow s = {0};
    broker_start(&b, NULL);
    client_url(&c, 0, "mqtt", "127.0.0.1", b.port);
    client_open(&c, (struct mqtt_options){0});
    wait_subscribed(&c, b.port);
    slow_open(&s, b.port, 4);
    mqtt_leave(c.m, "the journal is full");
    (void)poll(NULL, 0, 500);
    (void)mqtt_publish(c.m, "t/out", "x", 1, 0);
    WAIT(downs(c.log) == 1, 10);
    mqtt_return(c.m);
    WAIT(ups(c.log) == 2 && stats(c.m).subscribed, 10);
    publish(b.port, "t/later", "y", 1, false);
    WAIT(last_is(c.log, "y"), 10);
    assert_int_equal(count(c.log), 1);
    client_close(&c);
    mqtt_close(s.m);
    broker_kill(&b, SIGKILL);
}

/* -- TLS -------------------------------------------------------------------------------------
 */

static void make_certificates(void)
{
    char script[100];
    snprintf(script, sizeof(script), "%s/make", dir);
    write_file(
        script,
        "set -e; cd %s\n"
        "req() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $1.key"
        " -subj /CN=$2 -out $1.csr; }\n"
        "for ca in ca other; do openssl req -x509 -newkey ec -pkeyopt "
        "ec_paramgen_curve:P-256 -nodes -keyout $ca.key -subj /CN=$ca -days 2 -out $ca.pem; "
        "done\n"
        "printf 'subjectAltName=DNS:localhost\\n' >good.ext\n"
        "printf 'subjectAltName=DNS:elsewhere.example\\n' >wrong.ext\n"
        "for n in good wrong; do req $n $n; openssl x509 -req -in $n.csr -CA ca.pem -CAkey "
        "ca.key -CAcreateserial -days 2 -extfile $n.ext -out $n.pem; done\n"
        "mkdir -p db; : >db/index; echo 01 >db/serial\n"
        "printf '[ca]\\ndefault_ca=d\\n[d]\\ndatabase=db/index\\nserial=db/serial\\n"
        "new_certs_dir=db\\ndefault_md=sha256\\npolicy=p\\n[p]\\ncommonName=supplied\\n' "
        ">ca.cnf\n"
        "req expired expired; openssl ca -batch -config ca.cnf -cert ca.pem -keyfile ca.key "
        "-extfile good.ext -startdate 200101000000Z -enddate 210101000000Z -in expired.csr "
        "-out expired.pem -notext\n"
        "req client client; openssl x509 -req -in client.csr -CA ca.pem -CAkey ca.key "
        "-CAcreateserial -days 2 -out client.pem\n"
        "openssl ec -in client.key -aes128 -passout pass:opensesame -out locked.key\n",
        dir);
    char out[100];
    snprintf(out, sizeof(out), "%s/make.log", dir);
    pid_t pid = run(out, (const char *const[]){"/bin/sh", script, NULL});
    int status = -1;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
}

static const char *in_dir(const char *name)
{
    static char paths[16][100];
    static int i;
    char *p = paths[i++ % 16];
    snprintf(p, 100, "%s/%s", dir, name);
    return p;
}

static void tls_case(const char *server, const char *more, const char *host, const char *ca,
                     const char *cert, const char *key, const char *password,
                     const char *expected)
{
    char conf[512];
    snprintf(conf, sizeof(conf), "certfile %s/%s.pem\nkeyfile %s/%s.key\ncafile %s/ca.pem\n%s",
             dir, server, dir, server, dir, more);
    struct broker b;
    struct client c = {0};
    broker_start(&b, conf);
    client_url(&c, 0, "mqtts", host, b.port);
    c.conf.tls.ca_file = ca ? in_dir(ca) : NULL;
    c.conf.tls.cert_file = cert ? in_dir(cert) : NULL;
    c.conf.tls.key_file = key ? in_dir(key) : NULL;
    client_open(&c, (struct mqtt_options){.key_password = password});
    if (expected) {
        WAIT(problem_has(c.m, expected), 20); /* a busy machine's first attempt may time out */
        print_message("  %s\n", stats(c.m).problem);
        assert_int_equal(ups(c.log), 0);
    } else {
        WAIT(stats(c.m).connected, 15);
        assert_int_equal(stats(c.m).version, 5);
    }
    client_close(&c);
    broker_kill(&b, SIGKILL);
}

static void test_tls(void **state)
{
    (void)state;
    NEED_MOSQUITTO();
    make_certificates();
    const char *need = "require_certificate true\n";
    tls_case("good", "", "localhost", "ca.pem", NULL, NULL, NULL, NULL);
    tls_case("wrong", "", "localhost", "ca.pem", NULL, NULL, NULL, "not for \"localhost\"");
    tls_case("good", "", "127.0.0.1", "ca.pem", NULL, NULL, NULL, "not for \"127.0.0.1\"");
    tls_case("good", "", "localhost", "other.pem", NULL, NULL, NULL, "not trusted");
    tls_case("good", "", "localhost", NULL, NULL, NULL, NULL, "not trusted");
    tls_case("expired", "", "localhost", "ca.pem", NULL, NULL, NULL, "expired");
    tls_case("good", need, "localhost", "ca.pem", NULL, NULL, NULL,
             "wants a client certificate");
    tls_case("good", need, "localhost", "ca.pem", "client.pem", "client.key", NULL, NULL);
    tls_case("good", need, "localhost", "ca.pem", "client.pem", "locked.key", "opensesame",
             NULL);
    tls_case("good", need, "localhost", "ca.pem", "client.pem", "locked.key", "wrong",
             "key's password");
}

/* -- with a broker of our own -----------------------------------------------------------------
 */

struct fake {
    int fd, port;
    pthread_t thread;
    _Atomic int connack5, connack4; /* codes; -1: hang up; -2: never answer */
    int hang_up_after_suback;       /* 2: with DISCONNECT 0x8E before */
    bool keeps_session;             /* or so it says */
    _Atomic int connects5, connects4, subscribes, filters, granted_bad, unsubscribes;
    _Atomic bool stop;
};

static bool read_packet(int fd, uint8_t *type, uint8_t *body, size_t *len)
{
    uint8_t b;
    size_t n = 0, shift = 0;
    if (recv(fd, type, 1, MSG_WAITALL) != 1)
        return false;
    do {
        if (recv(fd, &b, 1, MSG_WAITALL) != 1)
            return false;
        n |= (size_t)(b & 127) << shift;
        shift += 7;
    } while (b & 128);
    *len = n;
    return n == 0 || (n <= 65536 && recv(fd, body, n, MSG_WAITALL) == (ssize_t)n);
}

/* Filters that hold "bad" are refused; those that hold "low" get QoS 0. */
static void answer_subscribe(struct fake *f, int fd, const uint8_t *p, size_t n, bool five)
{
    uint8_t r[300] = {0x90};
    size_t i = 2, o = 4;
    r[2] = p[0];
    r[3] = p[1];
    if (five) {
        i += 1u + p[i];
        r[o++] = 0;
    }
    while (i < n) {
        size_t l = (size_t)(p[i] << 8 | p[i + 1]);
        const char *t = (const char *)p + i + 2;
        bool bad = memmem(t, l, "bad", 3) && !f->granted_bad, low = memmem(t, l, "low", 3);
        r[o++] = bad ? (five ? 0x87 : 0x80) : low ? 0 : 1;
        i += l + 3;
        f->filters++;
    }
    r[1] = (uint8_t)(o - 2);
    f->subscribes++; /* who has the answer finds it counted */
    (void)!send(fd, r, o, MSG_NOSIGNAL);
}

static void fake_client(struct fake *f, int fd)
{
    static uint8_t body[65536];
    uint8_t type;
    size_t n;
    bool five = false;
    while (!f->stop && read_packet(fd, &type, body, &n)) {
        if (type == 0x10) {
            five = body[6] == 5;
            five ? f->connects5++ : f->connects4++;
            int code = five ? f->connack5 : f->connack4;
            if (code == -1)
                return;
            if (code == -2)
                continue;
            uint8_t r[5] = {0x20, 3, f->keeps_session && !code, (uint8_t)code, 0};
            if (!five || code == 1) /* 1: an old broker, which answers in its own way */
                r[1] = 2;
            (void)!send(fd, r, r[1] + 2u, MSG_NOSIGNAL);
            if (code)
                return;
        } else if (type == 0x82) {
            answer_subscribe(f, fd, body, n, five);
            if (f->hang_up_after_suback == 2)
                (void)!send(fd, "\xe0\x02\x8e", 4, MSG_NOSIGNAL);
            if (f->hang_up_after_suback)
                return;
        } else if (type == 0xa2) {
            f->unsubscribes++; /* and no answer */
        } else if (type == 0x32 || type == 0xe0) {
            return;
        }
    }
}

static void *fake_run(void *arg)
{
    struct fake *f = arg;
    while (!f->stop) {
        struct pollfd p = {.fd = f->fd, .events = POLLIN};
        if (poll(&p, 1, 50) != 1)
            continue;
        int fd = accept4(f->fd, NULL, NULL, SOCK_CLOEXEC);
        struct timeval t = {.tv_sec = 20};
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
        fake_client(f, fd);
        close(fd);
    }
    return NULL;
}

static void fake_start(struct fake *f)
{
    f->fd = listen_free(&f->port);
    assert_int_equal(pthread_create(&f->thread, NULL, fake_run, f), 0);
}

static void fake_stop(struct fake *f)
{
    f->stop = true;
    pthread_join(f->thread, NULL);
    close(f->fd);
}

static void fall_back(int connack5)
{
    struct fake f = {.connack5 = connack5};
    struct client c = {0};
    fake_start(&f);
    client_url(&c, 0, "mqtt", "127.0.0.1", f.port);
    client_open(&c, (struct mqtt_options){0});
    WAIT(stats(c.m).connected, 30);
    assert_int_equal(stats(c.m).version, 4);
    if (connack5 == -1) /* twice; one of them may end before its CONNECT is on the wire */
        assert_in_range(f.connects5, 1, 2);
    else
        assert_int_equal(f.connects5, 1);
    mqtt_reconnect(c.m, "test");
    WAIT(ups(c.log) == 2, 20);
    assert_int_equal(f.connects4, 2); /* remembered */
    client_close(&c);
    fake_stop(&f);
}

static void test_fall_back(void **state)
{
    (void)state;
    fall_back(0x84);
    fall_back(1);
    fall_back(-1);
}

/* A proxy takes the connection before its broker is there: that says nothing of the version. */
static void test_broker_behind_a_proxy(void **state)
{
    (void)state;
    struct fake f = {.connack5 = -1, .connack4 = -1};
    struct client c = {0};
    fake_start(&f);
    client_url(&c, 0, "mqtt", "127.0.0.1", f.port);
    client_open(&c, (struct mqtt_options){0});
    WAIT(f.connects4 > 0, 30);
    f.connack5 = 0; /* the broker is there, and knows 5 */
    WAIT(stats(c.m).connected, 30);
    assert_int_equal(stats(c.m).version, 5);
    client_close(&c);
    fake_stop(&f);
}

static void test_refused_filters(void **state)
{
    (void)state;
    struct mqtt_filter f[] = {{"a/ok", 1}, {"a/bad/1", 1}, {"a/low", 1}, {"a/bad/2", 1}};
    for (int five = 0; five < 2; five++) {
        struct fake b = {.connack5 = five ? 0 : 0x84};
        struct client c = {0};
        fake_start(&b);
        client_url(&c, 0, "mqtt", "127.0.0.1", b.port);
        client_open(&c, (struct mqtt_options){.filters = f, .n_filters = 4});
        WAIT(stats(c.m).refused_filters == 2, 15);
        assert_true(problem_has(c.m, "2 subscriptions"));
        assert_true(problem_has(c.m, "a/bad/1"));
        assert_true(!five || problem_has(c.m, "authori"));
        assert_true(stats(c.m).connected); /* the others go on */
        b.granted_bad = true;
        mqtt_reconnect(c.m, "test");
        WAIT(ups(c.log) == 2 && stats(c.m).refused_filters == 0, 15);
        WAIT(stats(c.m).problem[0] == '\0', 5);
        b.granted_bad = false; /* one alone is refused by another path in Paho */
        struct mqtt_filter g[] = {{"a/ok", 1}, {"a/bad/3", 1}};
        mqtt_resubscribe(c.m, g, 2);
        WAIT(stats(c.m).refused_filters == 1 && problem_has(c.m, "a/bad/3"), 15);
        client_close(&c);
        fake_stop(&b);
    }
}

/* The broker's ACL was mended, and the gateway reloaded. */
static void test_refused_filters_again(void **state)
{
    (void)state;
    struct mqtt_filter f[] = {{"a/ok", 1}, {"a/bad", 1}};
    struct fake b = {.connack5 = 0};
    struct client c = {0};
    fake_start(&b);
    client_url(&c, 0, "mqtt", "127.0.0.1", b.port);
    client_open(&c, (struct mqtt_options){.filters = f, .n_filters = 2});
    WAIT(stats(c.m).refused_filters == 1, 15);
    b.granted_bad = true;
    mqtt_resubscribe(c.m, f, 2);
    WAIT(stats(c.m).refused_filters == 0 && stats(c.m).problem[0] == '\0', 10);
    assert_int_equal(b.filters, 3); /* not what it has granted */
    assert_int_equal(ups(c.log), 1);
    client_close(&c);
    fake_stop(&b);
}

/* A link that is lost under an UNSUBSCRIBE, and with it Paho's handle, because a message of ours is
 * unanswered: the session keeps the filter until the next connection says it again. */
static void test_unsubscribe_over_a_lost_link(void **state)
{
    (void)state;
    struct mqtt_filter both[] = {{"a/stays", 1}, {"a/goes", 1}};
    struct fake b = {.keeps_session = true};
    struct client c = {0};
    fake_start(&b);
    client_url(&c, 0, "mqtt", "127.0.0.1", b.port);
    client_open(&c, (struct mqtt_options){.filters = both, .n_filters = 2});
    WAIT(stats(c.m).subscribed, 15);
    mqtt_resubscribe(c.m, both, 1);
    WAIT(b.unsubscribes == 1, 10);
    struct mqtt_out o = {.id = 1, .topic = "t/out", .payload = "x", .len = 1, .qos = 1};
    assert_int_equal(mqtt_send(c.m, &o), 0);
    WAIT(ups(c.log) == 2, 15);
    WAIT(b.unsubscribes == 2, 10);
    client_close(&c);
    fake_stop(&b);
}

/* The watchdog's question: subscribed again over the same connection; no answer ends it. */
static void test_ask(void **state)
{
    (void)state;
    struct fake b = {.connack5 = 0};
    struct client c = {0};
    fake_start(&b);
    client_url(&c, 0, "mqtt", "127.0.0.1", b.port);
    client_open(&c, (struct mqtt_options){0});
    WAIT(stats(c.m).subscribed, 15);
    int filters = b.filters, subscribes = b.subscribes;
    mqtt_ask(c.m);
    WAIT(b.subscribes == subscribes + 1, 10);
    assert_int_equal(b.filters, 2 * filters);
    assert_true(stats(c.m).subscribed); /* what was known holds meanwhile */
    assert_int_equal(ups(c.log), 1);
    assert_int_equal(downs(c.log), 0);
    client_close(&c);
    fake_stop(&b);
}

static void test_close_while_connecting(void **state)
{
    (void)state;
    struct fake f = {.connack5 = -2};
    struct client c = {0}, d = {0};
    fake_start(&f);
    client_url(&c, 0, "mqtt", "127.0.0.1", f.port);
    client_open(&c, (struct mqtt_options){0});
    WAIT(f.connects5 == 1, 10);
    client_close(&c);
    fake_stop(&f);
    client_url(&d, 0, "mqtt", "127.0.0.1", free_port());
    client_open(&d, (struct mqtt_options){0});
    WAIT(problem_has(d.m, "refused"), 10); /* and while waiting to try again */
    client_close(&d);
}

struct gate { /* on_link(up) waits in it */
    _Atomic bool inside, open;
    _Atomic int downs;
};

static void on_link_at_gate(void *ctx, const struct mqtt_link *l)
{
    struct gate *g = ctx;
    if (l->state == MQTT_DOWN) {
        g->downs++;
        return;
    }
    g->inside = true;
    while (!g->open)
        nap();
}

static void on_message_ignored(void *ctx, const struct mqtt_message *m)
{
    (void)ctx;
    (void)m;
}

/* The journal's disk takes its time over the record of the link, and the hold comes meanwhile. */
static void test_leave_while_connecting(void **state)
{
    (void)state;
    struct fake f = {.connack5 = 0};
    struct gate g = {0};
    struct err err = {0};
    struct mqtt *m = NULL;
    char url[64];
    const char *urls[] = {url};
    fake_start(&f);
    snprintf(url, sizeof(url), "mqtt://127.0.0.1:%d", f.port);
    struct conf_broker conf = {.id = "main",
                               .url = {.items = urls, .n = 1},
                               .session_expiry_s = 60,
                               .keepalive_s = 60};
    static const struct mqtt_filter all = {"t/#", 1};
    struct mqtt_options o = {
        .broker = &conf, .client_id = "leaves", .filters = &all, .n_filters = 1};
    struct mqtt_events e = {
        .ctx = &g, .on_message = on_message_ignored, .on_link = on_link_at_gate};
    assert_int_equal(mqtt_open(&o, &e, &err, &m), 0);
    WAIT(g.inside, 15);
    mqtt_leave(m, "the journal is full");
    (void)poll(NULL, 0, 300); /* it gives the attempt up now */
    g.open = true;
    WAIT(g.downs == 1, 10);
    assert_false(stats(m).connected);
    assert_int_equal(mqtt_publish(m, "t/out", "x", 1, 0), -ENOTCONN);
    mqtt_return(m);
    WAIT(stats(m).subscribed, 15);
    mqtt_close(m);
    assert_int_equal(g.downs, 2);
    fake_stop(&f);
}

static void test_many_short_lives(void **state)
{
    (void)state;
    struct fake f = {.hang_up_after_suback = 1};
    struct client c = {.id = "twin"};
    fake_start(&f);
    client_url(&c, 0, "mqtt", "127.0.0.1", f.port);
    client_open(&c, (struct mqtt_options){0});
    WAIT(problem_has(c.m, "another client may be using our client id \"twin\""), 30);
    assert_int_equal(downs(c.log), 3);
    client_close(&c);
    fake_stop(&f);
}

/* A broker that crashes again and again, or a bad line, looks the same: who must not wait longer
 * than so long does not, whatever it may be. */
static void test_many_short_lives_of_one_in_a_hurry(void **state)
{
    (void)state;
    struct fake f = {.hang_up_after_suback = 1};
    struct client c = {.id = "hurry"};
    fake_start(&f);
    client_url(&c, 0, "mqtt", "127.0.0.1", f.port);
    client_open(&c, (struct mqtt_options){.retry_max_s = 1});
    WAIT(downs(c.log) >= 3, 30);
    WAIT(downs(c.log) >= 5, 15);
    client_close(&c);
    fake_stop(&f);
}

/* mosquitto 2.0.11 only closes the connection; a broker that follows the standard says 0x8E. */
static void test_taken_over(void **state)
{
    (void)state;
    struct fake f = {.hang_up_after_suback = 2};
    struct client c = {.id = "ours"};
    fake_start(&f);
    client_url(&c, 0, "mqtt", "127.0.0.1", f.port);
    client_open(&c, (struct mqtt_options){0});
    WAIT(downs(c.log) == 1, 10);
    assert_true(c.log->taken_over);
    assert_non_null(strstr(c.log->reason, "taken over"));
    (void)poll(NULL, 0, 4000); /* we do not fight */
    assert_int_equal(f.connects5, 1);
    assert_int_equal(ups(c.log), 1);
    client_close(&c);
    fake_stop(&f);
}

/* A second gateway with our client id at mosquitto, which tells nobody why it hangs up. */
static void test_twin(void **state)
{
    (void)state;
    NEED_MOSQUITTO();
    struct broker b;
    struct client c = {.id = "twin"}, d = {.id = "twin"};
    broker_start(&b, NULL);
    client_url(&c, 0, "mqtt", "127.0.0.1", b.port);
    client_url(&d, 0, "mqtt", "127.0.0.1", b.port);
    client_open(&c, (struct mqtt_options){0});
    WAIT(stats(c.m).connected, 10);
    client_open(&d, (struct mqtt_options){0});
    WAIT(problem_has(c.m, "may be using") || problem_has(d.m, "may be using"), 60);
    /* who came in its place may hear of it later than who was thrown out */
    WAIT(stats(c.m).connected != stats(d.m).connected, 10);
    int total = ups(c.log) + ups(d.log);
    (void)poll(NULL, 0, 3000); /* one of the two gave way */
    assert_int_equal(ups(c.log) + ups(d.log), total);
    assert_true(stats(c.m).connected != stats(d.m).connected);
    client_close(&c);
    client_close(&d);
    broker_kill(&b, SIGKILL);
}

static void test_bad_options(void **state)
{
    (void)state;
    static const char *const bad[] = {"http://x",      "mqtt://",       "mqtt://:1883",
                                      "mqtt://h:port", "mqtt://h:1x",   "mqtt://[::1",
                                      "mqtt://a@b",    "mqtt://h/path", "localhost:1883",
                                      "mqtt://h:",     "mqtt://[::1]x"};
    struct mqtt_events e = {.on_message = on_message, .on_link = on_link};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct conf_broker b = {.id = "x", .url = {.items = (const char **)&bad[i], .n = 1}};
        struct mqtt_options o = {.broker = &b, .client_id = "x"};
        struct mqtt *m = NULL;
        struct err err = {0};
        assert_int_equal(mqtt_open(&o, &e, &err, &m), -EINVAL);
        assert_non_null(strstr(err.text, "mqtt://host:port"));
        assert_null(m);
    }
    mqtt_close(NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_longest_pause),
        cmocka_unit_test(test_publish),
        cmocka_unit_test(test_fall_back),
        cmocka_unit_test(test_broker_behind_a_proxy),
        cmocka_unit_test(test_refused_filters),
        cmocka_unit_test(test_refused_filters_again),
        cmocka_unit_test(test_unsubscribe_over_a_lost_link),
        cmocka_unit_test(test_ask),
        cmocka_unit_test(test_close_while_connecting),
        cmocka_unit_test(test_leave_while_connecting),
        cmocka_unit_test(test_many_short_lives),
        cmocka_unit_test(test_many_short_lives_of_one_in_a_hurry),
        cmocka_unit_test(test_broker_restarts),
        cmocka_unit_test(test_leave_and_return),
        cmocka_unit_test(test_redelivery),
        cmocka_unit_test(test_close_beside_a_slow_one),
        cmocka_unit_test(test_publish_while_leaving),
        cmocka_unit_test(test_taken_over),
        cmocka_unit_test(test_twin),
        cmocka_unit_test(test_wrong_password),
        cmocka_unit_test(test_names_and_fail_over),
        cmocka_unit_test(test_thousand_filters),
        cmocka_unit_test(test_tls),
    };
    if (argc == 3 && strcmp(argv[1], "--victim") == 0)
        return play_victim((int)strtol(argv[2], NULL, 10));
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    setenv("http_proxy", "http://127.0.0.1:9", 1); /* must not divert MQTT */
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
