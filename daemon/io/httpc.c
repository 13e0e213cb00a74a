/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The glue between curl's multi handle and the loop is the union of what is usually shown, each
 * half of which is wrong: a socket is polled for both directions when curl asks for both, a
 * timeout of -1 stops the timer, an error of the poll is told to curl as CURL_CSELECT_ERR, and
 * finished transfers are fetched after every call into curl. Answers are given from a timer of
 * their own, so that no callback runs inside httpc_send or inside curl.
 */
#include "io/httpc.h"
#include "base/check.h"
#include "base/mem.h"

#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define USER_TIMEOUT_MS   20000 /* unacknowledged bytes: the way is gone */
#define CONNECT_MS        10000
#define RETRY_AFTER_MAX_S 600

struct httpc_call {
    struct httpc *http;
    struct httpc_call *prev, *next; /* in calls, or in finished */
    CURL *easy;
    struct curl_slist *headers;
    char error[CURL_ERROR_SIZE];
    struct buf body;
    size_t tail; /* keep_tail: where the ring begins */
    bool keep_tail, overflow;
    httpc_fn *fn;
    void *ctx;
    uint64_t started_ns;
    CURLcode code;
    bool finished; /* in the other list: the answer is to be given */
};

struct httpc {
    struct loop *loop;
    CURLM *multi;
    struct loop_timer *timer, *answers;
    struct httpc_call *calls, *finished, *finished_last;
    struct sock *socks;
};

struct sock { /* what curl wants to know about */
    struct httpc *http;
    struct sock *prev, *next;
    curl_socket_t fd;
    struct loop_poll *poll;
};

/* -- finished transfers
 * ------------------------------------------------------------------------ */

static void unlink_call(struct httpc_call *c)
{
    struct httpc *h = c->http;
    if (c->prev)
        c->prev->next = c->next;
    else if (c->finished)
        h->finished = c->next;
    else
        h->calls = c->next;
    if (c->next)
        c->next->prev = c->prev;
    else if (c->finished)
        h->finished_last = c->prev;
    c->prev = c->next = NULL;
}

static void finish(struct httpc_call *c, CURLcode code)
{
    struct httpc *h = c->http;
    unlink_call(c);
    c->code = code;
    c->finished = true;
    c->prev = h->finished_last;
    if (h->finished_last)
        h->finished_last->next = c;
    else
        h->finished = c;
    h->finished_last = c;
    if (!loop_timer_active(h->answers))
        loop_timer_start(h->answers, 0, 0);
}

static void drain(struct httpc *h)
{
    CURLMsg *m;
    int left;
    while ((m = curl_multi_info_read(h->multi, &left))) {
        if (m->msg != CURLMSG_DONE)
            continue;
        CURLcode code = m->data.result; /* m is gone after the removal */
        CURL *easy = m->easy_handle;
        void *p = NULL;
        (void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &p);
        (void)curl_multi_remove_handle(h->multi, easy);
        finish(p, code);
    }
}

static void free_call(struct httpc_call *c)
{
    curl_easy_cleanup(c->easy);
    curl_slist_free_all(c->headers);
    buf_done(&c->body);
    free(c);
}

static enum answer_transport transport_of(CURLcode code)
{
    switch ((int)code) { /* int: only these matter of a hundred */
    case CURLE_OK:
        return TRANSPORT_OK;
    case CURLE_OPERATION_TIMEDOUT:
        return TRANSPORT_TIMEOUT;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL: /* an answer in another protocol than HTTP */
    case CURLE_BAD_CONTENT_ENCODING:
        return TRANSPORT_WEIRD;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return TRANSPORT_TLS;
    default:
        return TRANSPORT_FAILED;
    }
}

/* The kept bytes in order: the ring of keep_tail is turned. */
static void straighten(struct httpc_call *c)
{
    if (c->tail == 0)
        return;
    char *copy = mem_dup(c->body.data, c->body.len);
    size_t rest = c->body.len - c->tail;
    memcpy(c->body.data, copy + c->tail, rest);
    memcpy(c->body.data + rest, copy, c->tail);
    free(copy);
    c->tail = 0;
}

static void give_answer(struct httpc_call *c)
{
    long status = 0;
    curl_off_t after = 0;
    (void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(c->easy, CURLINFO_RETRY_AFTER, &after);
    if (after < 0) /* a date that is past, or what an old curl makes of nonsense */
        after = 0;
    if (after > RETRY_AFTER_MAX_S)
        after = RETRY_AFTER_MAX_S;
    straighten(c);
    struct httpc_answer a = {
        .transport = transport_of(c->code),
        .status = (int)status,
        .body = buf_cstr(&c->body),
        .body_len = c->body.len,
        .retry_after_s = (uint64_t)after,
        .took_ns = loop_hrtime_ns() - c->started_ns,
    };
    if (c->overflow && status != 0) /* cut off by us: what counts was read */
        a.transport = TRANSPORT_OK;
    else if (c->code != CURLE_OK)
        a.error = c->error[0] ? c->error : curl_easy_strerror(c->code);
    c->fn(c->ctx, &a);
}

static void on_answers(void *ctx)
{
    struct httpc *h = ctx;
    /* only those that are there now: a call that answers at once must not hold the loop */
    struct httpc_call *last = h->finished_last, *c;
    bool end = false;
    while (!end && (c = h->finished)) {
        end = c == last;
        unlink_call(c);
        give_answer(c);
        free_call(c);
    }
    if (h->finished && !loop_timer_active(h->answers))
        loop_timer_start(h->answers, 0, 0);
}

/* -- curl's sockets and timer
 * -------------------------------------------------------------------- */

static void act(struct httpc *h, curl_socket_t fd, int flags)
{
    int running;
    (void)curl_multi_socket_action(h->multi, fd, flags, &running);
    drain(h);
}

static void on_timer(void *ctx)
{
    act(ctx, CURL_SOCKET_TIMEOUT, 0);
}

static int on_curl_timer(CURLM *multi, long ms, void *ctx)
{
    (void)multi;
    struct httpc *h = ctx;
    if (ms < 0)
        loop_timer_stop(h->timer);
    else
        loop_timer_start(h->timer, (uint64_t)ms, 0);
    return 0;
}

static void on_poll(void *ctx, int status, int events)
{
    struct sock *s = ctx;
    int flags = 0;
    if (status < 0)
        flags = CURL_CSELECT_ERR;
    if (events & LOOP_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & LOOP_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    act(s->http, s->fd, flags);
}

static void free_sock(struct sock *s)
{
    if (s->prev)
        s->prev->next = s->next;
    else
        s->http->socks = s->next;
    if (s->next)
        s->next->prev = s->prev;
    loop_poll_free(s->poll);
    free(s);
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *sock)
{
    (void)easy;
    struct httpc *h = ctx;
    struct sock *s = sock;
    if (what == CURL_POLL_REMOVE) {
        if (s)
            free_sock(s);
        (void)curl_multi_assign(h->multi, fd, NULL);
        return 0;
    }
    if (!s) {
        s = mem_zalloc(sizeof(*s));
        s->http = h;
        s->fd = fd;
        s->poll = loop_poll_new(h->loop, fd, on_poll, s);
        if (!s->poll) {
            free(s);
            return -1;
        }
        s->next = h->socks;
        if (h->socks)
            h->socks->prev = s;
        h->socks = s;
        (void)curl_multi_assign(h->multi, fd, s);
    }
    int events = 0;
    if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
        events |= LOOP_READABLE;
    if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
        events |= LOOP_WRITABLE;
    loop_poll_start(s->poll, events);
    return 0;
}

/* -- one request
 * --------------------------------------------------------------------------------- */

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct httpc_call *c = ctx;
    size_t len = size * n, room = HTTPC_MAX_BODY - c->body.len;
    size_t take = len < room ? len : room;
    (void)buf_put(&c->body, p, take);
    if (take == len)
        return len;
    if (!c->keep_tail) {
        /* nobody reads more, and a server that sends for ever must not hold a slot; the
         * connection is not used again */
        c->overflow = true;
        return 0;
    }
    for (size_t i = take; i < len; i++) {
        c->body.data[c->tail] = p[i];
        c->tail = (c->tail + 1) % HTTPC_MAX_BODY;
    }
    return len;
}

static int on_socket(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
    (void)ctx;
    (void)purpose;
    unsigned ms = USER_TIMEOUT_MS;
    /* where it cannot be set the request's own timeout still ends it */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
    return CURL_SOCKOPT_OK;
}

static CURLcode set_options(struct httpc_call *c, const struct httpc_request *r)
{
    CURL *e = c->easy;
    CURLcode rc = CURLE_OK;
#define SET(option, value)                                                                     \
    if (rc == CURLE_OK)                                                                        \
    rc = curl_easy_setopt(e, option, value)
    SET(CURLOPT_URL, r->url);
    SET(CURLOPT_PRIVATE, c);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOPROXY, "*");
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_TCP_NODELAY, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    SET(CURLOPT_TIMEOUT_MS, (long)(r->timeout_ns / 1000000 ? r->timeout_ns / 1000000 : 1));
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_HTTP09_ALLOWED, 0L);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_ERRORBUFFER, c->error);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, c);
    SET(CURLOPT_SOCKOPTFUNCTION, on_socket);
    SET(CURLOPT_USERAGENT, "gaihoud/" GAIHOU_VERSION);
    SET(CURLOPT_HTTPHEADER, c->headers);
    if (r->ca_file)
        SET(CURLOPT_CAINFO, r->ca_file);
    if (r->username) {
        SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        SET(CURLOPT_USERNAME, r->username);
        SET(CURLOPT_PASSWORD, r->password ? r->password : "");
    }
    if (strcmp(r->method, "POST") == 0) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->len);
        SET(CURLOPT_POSTFIELDS, r->body ? r->body : "");
    } else {
        SET(CURLOPT_HTTPGET, 1L);
    }
#undef SET
    return rc;
}

struct httpc_call *httpc_send(struct httpc *h, const struct httpc_request *r, httpc_fn *fn,
                              void *ctx)
{
    struct httpc_call *c = mem_zalloc(sizeof(*c));
    c->http = h;
    c->fn = fn;
    c->ctx = ctx;
    c->keep_tail = r->keep_tail;
    c->started_ns = loop_hrtime_ns();
    buf_init(&c->body, HTTPC_MAX_BODY + 1); /* one for buf_cstr */
    c->next = h->calls;
    if (h->calls)
        h->calls->prev = c;
    h->calls = c;
    c->easy = curl_easy_init();
    ASSERT(c->easy);
    c->headers = curl_slist_append(NULL, "Expect:");
    for (size_t i = 0; r->headers && r->headers[i]; i++)
        c->headers = curl_slist_append(c->headers, r->headers[i]);
    ASSERT(c->headers);
    CURLcode rc = set_options(c, r);
    if (rc == CURLE_OK && curl_multi_add_handle(h->multi, c->easy) != CURLM_OK)
        rc = CURLE_FAILED_INIT;
    if (rc != CURLE_OK)
        finish(c, rc);
    return c;
}

void httpc_cancel(struct httpc_call *c)
{
    if (!c)
        return;
    if (!c->finished)
        (void)curl_multi_remove_handle(c->http->multi, c->easy);
    unlink_call(c);
    free_call(c);
}

struct httpc *httpc_new(struct loop *l)
{
    ASSERT(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    struct httpc *h = mem_zalloc(sizeof(*h));
    h->loop = l;
    h->multi = curl_multi_init();
    ASSERT(h->multi);
    h->timer = loop_timer_new(l, on_timer, h);
    h->answers = loop_timer_new(l, on_answers, h);
    ASSERT(curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket) == CURLM_OK);
    ASSERT(curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h) == CURLM_OK);
    ASSERT(curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer) == CURLM_OK);
    ASSERT(curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h) == CURLM_OK);
    return h;
}

void httpc_free(struct httpc *h)
{
    if (!h)
        return;
    while (h->calls)
        httpc_cancel(h->calls);
    while (h->finished)
        httpc_cancel(h->finished);
    curl_multi_cleanup(h->multi); /* closes its connections, and tells so for each socket */
    while (h->socks)
        free_sock(h->socks);
    loop_timer_free(h->timer);
    loop_timer_free(h->answers);
    free(h);
    curl_global_cleanup();
}
