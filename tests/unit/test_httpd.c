/* SPDX-License-Identifier: Apache-2.0 */
/* httpd: real sockets, rude clients. The server's loop runs on this thread, clients on another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "io/httpd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct bench {
    char dir[64], path[128], listen[64];
    struct loop *loop;
    struct httpd *httpd;
    struct loop_wake *done;
    struct loop_timer *later;
    struct httpd_request *late;
    int port;
    void (*client)(struct bench *b);
    atomic_int failed, late_asked;
};

#define CHECK(b, cond)                                                                         \
    do {                                                                                       \
        if (!(cond)) {                                                                         \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                         \
            atomic_store(&(b)->failed, 1);                                                     \
        }                                                                                      \
    } while (0)

static void answer_late(void *ctx)
{
    struct bench *b = ctx;
    struct httpd_request *r = b->late;
    b->late = NULL;
    if (r)
        httpd_answer(r, 200, "text/plain", "late", 4);
}

static void handle(void *ctx, struct httpd_request *r)
{
    struct bench *b = ctx;
    size_t n;
    const char *body = httpd_body(r, &n);
    if (strcmp(httpd_path(r), "/late") == 0 || strcmp(httpd_path(r), "/never") == 0) {
        answer_late(b); /* one at a time is enough here */
        b->late = r;
        atomic_fetch_add(&b->late_asked, 1);
        if (httpd_path(r)[1] == 'l')
            loop_timer_start(b->later, 30, 0);
        return;
    }
    const char *q = httpd_query(r, "q");
    char *text = mem_printf("%s %s q=%s w=%d %zu:%.20s", httpd_method(r), httpd_path(r),
                            q ? q : "-", httpd_may_write(r), n, body);
    httpd_answer(r, 200, "text/plain", text, strlen(text));
    free(text);
}

static int setup(void **state)
{
    struct bench *b = mem_zalloc(sizeof(*b));
    snprintf(b->dir, sizeof(b->dir), "/tmp/test_httpd.XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    snprintf(b->path, sizeof(b->path), "%s/s.sock", b->dir);
    b->loop = loop_new();
    b->later = loop_timer_new(b->loop, answer_late, b);
    struct httpd_options o = {"127.0.0.1:0", b->path, "s3cret"};
    struct err err;
    assert_int_equal(httpd_open(b->loop, &o, handle, b, &err, &b->httpd), 0);
    b->port = httpd_port(b->httpd);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    httpd_close(b->httpd);
    if (b->late)
        httpd_answer(b->late, 200, "text/plain", "", 0); /* into the void */
    loop_timer_free(b->later);
    loop_wake_free(b->done);
    loop_free(b->loop);
    assert_int_equal(rmdir(b->dir), 0); /* the socket is gone */
    free(b);
    return 0;
}

static void stop(void *ctx)
{
    loop_stop(((struct bench *)ctx)->loop);
}

static void *client_thread(void *arg)
{
    struct bench *b = arg;
    b->client(b);
    loop_wake_send(b->done);
    return NULL;
}

static void serve(struct bench *b, void (*client)(struct bench *))
{
    pthread_t t;
    b->client = client;
    b->done = loop_wake_new(b->loop, stop, b);
    pthread_create(&t, NULL, client_thread, b);
    loop_run(b->loop);
    pthread_join(t, NULL);
    assert_int_equal(atomic_load(&b->failed), 0);
}

static int tcp(struct bench *b)
{
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)b->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval tv = {.tv_sec = 60}; /* only bounds a hang */
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
    CHECK(b, connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
    return fd;
}

static int local(struct bench *b)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    memcpy(sa.sun_path, b->path, strlen(b->path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(b, connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
    return fd;
}

static void put(int fd, const char *s)
{
    (void)!send(fd, s, strlen(s), MSG_NOSIGNAL);
}

/* All that comes until the server closes or `until` was seen. */
static char *get(int fd, const char *until)
{
    static _Thread_local char text[1 << 16];
    size_t n = 0;
    ssize_t k;
    text[0] = '\0';
    while (n < sizeof(text) - 1 && (k = recv(fd, text + n, sizeof(text) - 1 - n, 0)) > 0) {
        n += (size_t)k;
        text[n] = '\0';
        if (until && strstr(text, until))
            break;
    }
    return text;
}

static void plain(struct bench *b)
{
    int fd = tcp(b);
    put(fd, "GET /a%20b?q=%E6%B0%B4 HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(b, strstr(get(fd, "0:"), "GET /a b q=水 w=0 0:"));
    /* a key without a value is there: who purges by an id that is not said must not purge all */
    put(fd, "GET /a?q HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(b, strstr(get(fd, "0:"), "GET /a q= w=0 0:"));
    put(fd, "GET /a?q= HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(b, strstr(get(fd, "0:"), "GET /a q= w=0 0:"));
    put(fd, "GET /a?p HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(b, strstr(get(fd, "0:"), "GET /a q=- w=0 0:"));
    put(fd, "HEAD /h HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    char *s = get(fd, NULL);
    CHECK(b, strstr(s, "200 OK") && !strstr(s, "GET /h"));
    close(fd);
    fd = tcp(b);
    put(fd, "POST /p HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer s3cret\r\nContent-Length: "
            "5\r\n\r\nhel");
    usleep(20000); /* the body comes in two parts */
    put(fd, "lo");
    CHECK(b, strstr(get(fd, "hello"), "POST /p q=- w=1 5:hello"));
    put(fd, "POST /p HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer s3crex\r\nContent-Length: "
            "0\r\n\r\n");
    CHECK(b, strstr(get(fd, "0:"), "w=0"));
    put(fd, "GET /x%00y HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(b, strstr(get(fd, "0:"), "/x???y"));
    close(fd);
    fd = local(b);
    put(fd, "POST /u HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    CHECK(b, strstr(get(fd, "0:"), "w=1"));
    close(fd);
}

static void rude(struct bench *b)
{
    int fd = tcp(b);
    put(fd, "\x16\x03\x01 garbage\r\n\r\n\r\n");
    CHECK(b, !strstr(get(fd, NULL), "200 OK"));
    close(fd);
    fd = tcp(b);
    put(fd, "DELETE /x HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(b, strstr(get(fd, "understood"), " 405 "));
    close(fd);
    fd = tcp(b);
    put(fd, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n");
    char *s = get(fd, "}");
    CHECK(b, strstr(s, " 413 ") || strstr(s, " 400 "));
    close(fd);
    fd = tcp(b);
    put(fd, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n");
    CHECK(b, strstr(get(fd, "}"), " 413 "));
    close(fd);
    fd = tcp(b); /* chunked: too large only when it has come */
    put(fd, "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    char *chunk = mem_zalloc(65536 + 32);
    size_t head = (size_t)snprintf(chunk, 32, "10000\r\n");
    memset(chunk + head, 'z', 65536);
    memcpy(chunk + head + 65536, "\r\n", 3);
    for (int i = 0; i < 17; i++)
        put(fd, chunk);
    put(fd, "0\r\n\r\n");
    free(chunk);
    CHECK(b, strstr(get(fd, "}"), " 413 "));
    close(fd);
    fd = tcp(b);
    char *long_header = mem_zalloc(100000);
    memset(long_header, 'h', 99999);
    put(fd, "GET / HTTP/1.1\r\nX: ");
    put(fd, long_header);
    put(fd, "\r\n\r\n");
    free(long_header);
    CHECK(b, !strstr(get(fd, "}"), "200 OK"));
    close(fd);
    plain(b); /* others are served as before */
}

static void pipelined_and_late(struct bench *b)
{
    int fd = tcp(b);
    put(fd, "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /late HTTP/1.1\r\nHost: x\r\n\r\n"
            "GET /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    char *s = get(fd, NULL);
    char *one = strstr(s, "GET /1"), *two = strstr(s, "late"), *three = strstr(s, "GET /3");
    CHECK(b, one && two && three && one < two && two < three);
    close(fd);
    fd = tcp(b); /* leaves before the answer */
    put(fd, "GET /late HTTP/1.1\r\nHost: x\r\n\r\n");
    while (atomic_load(&b->late_asked) < 2)
        usleep(1000);
    close(fd);
    usleep(100000);
    plain(b);
}

static void many(struct bench *b)
{
    int fds[40];
    for (int i = 0; i < 40; i++) { /* idle and half-open ones: 32 are let in */
        fds[i] = tcp(b);
        put(fds[i], i % 2 ? "GET /x HT" : "");
    }
    usleep(100000);
    int fd = local(b); /* the Unix socket is not concerned */
    put(fd, "GET /u HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(b, strstr(get(fd, "0:"), "GET /u"));
    close(fd);
    for (int i = 0; i < 40; i++)
        close(fds[i]);
    bool served = false; /* once it has seen that they left */
    for (int i = 0; i < 1000 && !served; i++) {
        fd = tcp(b);
        put(fd, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
        served = strstr(get(fd, "0:"), "GET /a");
        close(fd);
        usleep(10000);
    }
    CHECK(b, served);
    plain(b);
}

static void ask_never(struct bench *b)
{
    int fd = tcp(b);
    put(fd, "GET /never HTTP/1.1\r\nHost: x\r\n\r\n");
    while (atomic_load(&b->late_asked) < 1)
        usleep(1000);
    close(fd);
}

static void test_plain(void **state)
{
    serve(*state, plain);
}
static void test_rude(void **state)
{
    serve(*state, rude);
}
static void test_late(void **state)
{
    serve(*state, pipelined_and_late);
}
static void test_many(void **state)
{
    serve(*state, many);
}
static void test_closed_unanswered(void **state)
{
    serve(*state, ask_never); /* teardown closes, then answers */
}

static void test_sockets(void **state)
{
    struct bench *b = *state;
    struct httpd *h = NULL;
    struct err err;
    struct stat st;
    assert_int_equal(stat(b->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
    struct httpd_options o = {NULL, b->path, NULL};
    assert_int_equal(httpd_open(b->loop, &o, handle, b, &err, &h), -EADDRINUSE);
    assert_non_null(strstr(err.text, "another process answers"));
    char at[32], stale[160];
    snprintf(at, sizeof(at), "127.0.0.1:%d", b->port);
    o = (struct httpd_options){at, NULL, NULL};
    assert_int_equal(httpd_open(b->loop, &o, handle, b, &err, &h), -EADDRINUSE);
    const char *wrong[] = {"9690", ":1", "127.0.0.1:", "127.0.0.1:x", "[::1:1"};
    for (size_t i = 0; i < 5; i++) {
        o.listen = wrong[i];
        assert_int_equal(httpd_open(b->loop, &o, handle, b, &err, &h), -EINVAL);
    }
    snprintf(stale, sizeof(stale), "%s/stale", b->dir);
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    memcpy(sa.sun_path, stale, strlen(stale));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    close(fd); /* as a killed process leaves it */
    o = (struct httpd_options){NULL, stale, NULL};
    assert_int_equal(httpd_open(b->loop, &o, handle, b, &err, &h), 0);
    httpd_close(h);
    assert_int_equal(access(stale, F_OK), -1);
    FILE *f = fopen(stale, "w");
    fclose(f);
    assert_int_equal(httpd_open(b->loop, &o, handle, b, &err, &h), -EEXIST);
    unlink(stale);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_plain, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rude, setup, teardown),
        cmocka_unit_test_setup_teardown(test_late, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_closed_unanswered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sockets, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
