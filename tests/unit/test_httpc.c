/* SPDX-License-Identifier: Apache-2.0 */
/* httpc: against a server that does everything wrong. */
#include "rude.h"
#include "io/httpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct loop *loop;
static struct httpc *http;
static struct rude server;
static char seen_head[4096];
static size_t seen_body;

static struct rude_reply next_reply;

static void handler(void *ctx, const struct rude_request *r, struct rude_reply *out)
{
    (void)ctx;
    (void)snprintf(seen_head, sizeof(seen_head), "%s", r->head);
    seen_body = r->body_len;
    *out = next_reply;
}

static struct httpc_answer got;
static char got_body[HTTPC_MAX_BODY + 1], got_error[300];
static int answers;

static void on_answer(void *ctx, const struct httpc_answer *a)
{
    (void)ctx;
    got = *a;
    memcpy(got_body, a->body, a->body_len);
    got_body[a->body_len] = '\0';
    (void)snprintf(got_error, sizeof(got_error), "%s", a->error ? a->error : "");
    answers++;
    loop_stop(loop);
}

static void request(struct httpc_request r)
{
    char url[100];
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/write?db=t", server.port);
    if (!r.url)
        r.url = url;
    if (!r.method)
        r.method = "POST";
    if (!r.timeout_ns)
        r.timeout_ns = 5000000000u;
    answers = 0;
    got_body[0] = '\0';
    assert_non_null(httpc_send(http, &r, on_answer, NULL));
    assert_int_equal(answers, 0); /* never from inside */
    loop_run(loop);
    assert_int_equal(answers, 1);
}

static void raw(const char *bytes)
{
    memset(&next_reply, 0, sizeof(next_reply));
    next_reply.len = strlen(bytes);
    memcpy(next_reply.bytes, bytes, next_reply.len);
}

static void test_plain(void **state)
{
    (void)state;
    static char big[300000];
    memset(big, 'x', sizeof(big));
    const char *headers[] = {"Content-Type: text/plain; charset=utf-8", "X-A: b", NULL};
    rude_say(&next_reply, 204, "", "");
    request((struct httpc_request){
        .body = big, .len = sizeof(big), .headers = headers, .username = "u", .password = "p"});
    assert_int_equal(got.transport, TRANSPORT_OK);
    assert_int_equal(got.status, 204);
    assert_int_equal(seen_body, sizeof(big));
    assert_non_null(strstr(seen_head, "POST /write?db=t HTTP/1.1"));
    assert_non_null(strstr(seen_head, "Content-Length: 300000"));
    assert_non_null(strstr(seen_head, "X-A: b"));
    assert_non_null(strstr(seen_head, "Authorization: Basic dTpw"));
    assert_null(strstr(seen_head, "Expect"));
    rude_say(&next_reply, 200, "", "hello");
    request((struct httpc_request){.method = "GET"});
    assert_string_equal(got_body, "hello");
    assert_int_equal(server.n_conns, 1); /* the connection was kept */
}

static void test_retry_after(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        uint64_t want;
    } rows[] = {{"Retry-After: 120", 120},
                {"Retry-After: 99999", 600},
                {"Retry-After: -5", 0},
                {"Retry-After: soon", 0},
                {"Retry-After: Wed, 21 Oct 2015 07:28:00 GMT", 0}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        memset(&next_reply, 0, sizeof(next_reply));
        rude_say(&next_reply, 503, rows[i].header, "throttled");
        request((struct httpc_request){.body = "a", .len = 1});
        assert_int_equal(got.status, 503);
        assert_int_equal(got.retry_after_s, rows[i].want);
    }
}

static void test_rude_answers(void **state)
{
    (void)state;
    memset(&next_reply, 0, sizeof(next_reply)); /* closes without a byte */
    request((struct httpc_request){.body = "a", .len = 1});
    assert_int_equal(got.transport, TRANSPORT_FAILED);
    assert_true(got_error[0] != '\0');
    raw("SSH-2.0-OpenSSH_9.2\r\n");
    next_reply.close = true;
    request((struct httpc_request){.body = "a", .len = 1});
    assert_int_not_equal(got.transport, TRANSPORT_OK);
    raw("HTTP/1.1 20"); /* cut off in its first line */
    next_reply.close = true;
    request((struct httpc_request){.body = "a", .len = 1});
    assert_true(got.transport != TRANSPORT_OK || got.status < 200 || got.status > 299);
    raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort");
    next_reply.close = true;
    request((struct httpc_request){.body = "a", .len = 1});
    assert_int_not_equal(got.transport, TRANSPORT_OK);
    raw("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
    request((struct httpc_request){.body = "a", .len = 1});
    assert_int_equal(got.status, 302); /* not followed */
}

static void test_nul_in_a_header(void **state)
{
    (void)state;
    static const char bytes[] = "HTTP/1.1 400 Bad Request\r\nX-Influxdb-Error: unable to "
                                "parse 'a\0b'\r\nContent-Length: 2\r\n\r\n{}";
    memset(&next_reply, 0, sizeof(next_reply));
    next_reply.len = sizeof(bytes) - 1;
    memcpy(next_reply.bytes, bytes, next_reply.len);
    next_reply.close = true;
    request((struct httpc_request){.body = "a", .len = 1});
    assert_int_equal(got.transport, TRANSPORT_WEIRD);
    assert_int_equal(got.status, 400);
}

static void test_slow_and_silent(void **state)
{
    (void)state;
    rude_say(&next_reply, 204, "", "");
    next_reply.delay_ms = 20000;
    request((struct httpc_request){.body = "a", .len = 1, .timeout_ns = 200000000});
    assert_int_equal(got.transport, TRANSPORT_TIMEOUT);
    assert_true(got.took_ns < 10000000000u);
}

static void test_huge_bodies(void **state)
{
    (void)state;
    static char body[150001];
    for (size_t i = 0; i < sizeof(body) - 1; i++)
        body[i] = (char)('a' + i / 10 % 26);
    memset(&next_reply, 0, sizeof(next_reply));
    rude_say(&next_reply, 400, "", body);
    request((struct httpc_request){.body = "a", .len = 1});
    assert_int_equal(got.transport, TRANSPORT_OK);
    assert_int_equal(got.status, 400);
    assert_int_equal(got.body_len, HTTPC_MAX_BODY);
    assert_memory_equal(got_body, body, HTTPC_MAX_BODY);
    request((struct httpc_request){.method = "GET", .keep_tail = true});
    assert_int_equal(got.body_len, HTTPC_MAX_BODY);
    assert_memory_equal(got_body, body + 150000 - HTTPC_MAX_BODY, HTTPC_MAX_BODY);
}

static void test_nobody_there(void **state)
{
    (void)state;
    request((struct httpc_request){.url = "http://127.0.0.1:1/", .body = "a", .len = 1});
    assert_int_equal(got.transport, TRANSPORT_FAILED);
    request((struct httpc_request){.url = "file:///etc/passwd", .body = "a", .len = 1});
    assert_int_not_equal(got.transport, TRANSPORT_OK);
    assert_int_equal(got.status, 0);
    request((struct httpc_request){.url = "http://", .body = "a", .len = 1});
    assert_int_not_equal(got.transport, TRANSPORT_OK);
}

static void test_cancel(void **state)
{
    (void)state;
    struct httpc_request r = {
        .method = "POST", .url = "http://127.0.0.1:1/", .timeout_ns = 1000000000};
    answers = 0;
    httpc_cancel(httpc_send(http, &r, on_answer, NULL));
    struct httpc_call *c = httpc_send(http, &r, on_answer, NULL);
    r.url = "nonsense://x";
    struct httpc_call *d = httpc_send(http, &r, on_answer, NULL);
    httpc_cancel(d);
    httpc_cancel(c);
    rude_say(&next_reply, 204, "", "");
    request((struct httpc_request){.body = "a", .len = 1});
    assert_int_equal(got.status, 204);
}

static int up(void **state)
{
    (void)state;
    loop = loop_new();
    http = httpc_new(loop);
    rude_start(&server, handler, NULL, 0);
    return 0;
}

static int down(void **state)
{
    (void)state;
    struct httpc_request r = {.method = "POST", .url = "http://127.0.0.1:1/", .timeout_ns = 1};
    (void)httpc_send(http, &r, on_answer, NULL); /* under way at the end: no answer */
    httpc_free(http);
    rude_stop(&server);
    loop_free(loop);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),           cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_rude_answers),    cmocka_unit_test(test_nul_in_a_header),
        cmocka_unit_test(test_slow_and_silent), cmocka_unit_test(test_huge_bodies),
        cmocka_unit_test(test_nobody_there),    cmocka_unit_test(test_cancel),
    };
    return cmocka_run_group_tests(tests, up, down);
}
