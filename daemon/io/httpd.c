/* SPDX-License-Identifier: Apache-2.0 */
#include "io/httpd.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BODY_MAX          (1u << 20)
#define DISCARD_MAX       (4u << 20) /* of a body that is too large, before we hang up */
#define IDLE_SECONDS      15u
#define MAX_CONNECTIONS   64u
#define MAX_PER_ADDRESS   32u
#define CONNECTION_MEMORY (32u << 10) /* request line and headers */

enum request_state {
    REQUEST_READING,
    REQUEST_ASKED,    /* the handler has it, the connection sleeps */
    REQUEST_ANSWERED, /* the answer waits for its connection */
};

struct endpoint {
    struct httpd *httpd;
    struct MHD_Daemon *mhd;
    struct loop_poll *poll;
    bool local; /* the Unix socket */
};

struct httpd {
    struct loop *loop;
    struct loop_timer *timer;
    struct endpoint tcp, local;
    httpd_fn *fn;
    void *ctx;
    char *token, *socket;
    int port;
    struct httpd_request *requests; /* that a connection has */
};

/* The connection has it until MHD says that it is over, the handler from being asked until it
 * answers; whoever is last frees it. */
struct httpd_request {
    struct httpd_request *next, **prev;
    struct endpoint *endpoint;
    struct MHD_Connection *conn; /* NULL: the connection is gone */
    enum request_state state;
    bool in_handler;
    char *path;
    const char *method;
    struct buf body;
    uint64_t body_seen;
    struct MHD_Response *response;
    unsigned status;
};

static void request_free(struct httpd_request *r)
{
    buf_done(&r->body);
    free(r->path);
    if (r->response)
        MHD_destroy_response(r->response);
    free(r);
}

static void request_unlink(struct httpd_request *r)
{
    *r->prev = r->next;
    if (r->next)
        r->next->prev = r->prev;
    r->conn = NULL;
    r->endpoint = NULL;
}

static struct httpd_request *request_new(struct endpoint *e, struct MHD_Connection *conn,
                                         const char *method, const char *path)
{
    struct httpd_request *r = mem_zalloc(sizeof(*r));
    struct httpd *h = e->httpd;
    buf_init(&r->body, BODY_MAX);
    r->endpoint = e;
    r->conn = conn;
    r->path = mem_strdup(path);
    r->method = strcmp(method, "HEAD") == 0   ? "GET"
                : strcmp(method, "GET") == 0  ? "GET"
                : strcmp(method, "POST") == 0 ? "POST"
                                              : NULL;
    r->prev = &h->requests;
    r->next = h->requests;
    if (r->next)
        r->next->prev = &r->next;
    h->requests = r;
    return r;
}

static struct MHD_Response *response_new(const char *content_type, const void *body, size_t len)
{
    struct MHD_Response *p =
        MHD_create_response_from_buffer(len, (void *)(len ? body : ""), MHD_RESPMEM_MUST_COPY);
    ASSERT(p);
    MHD_add_response_header(p, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    MHD_add_response_header(p, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(p, "X-Content-Type-Options", "nosniff");
    return p;
}

static enum MHD_Result refuse(struct MHD_Connection *conn, unsigned status, const char *text)
{
    struct MHD_Response *p = response_new("application/json", text, strlen(text));
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(p, MHD_HTTP_HEADER_ALLOW, "GET, HEAD, POST");
    enum MHD_Result ok = MHD_queue_response(conn, status, p);
    MHD_destroy_response(p);
    return ok;
}

static enum MHD_Result send_answer(struct httpd_request *r)
{
    struct MHD_Response *p = r->response;
    r->response = NULL;
    enum MHD_Result ok = MHD_queue_response(r->conn, r->status, p);
    MHD_destroy_response(p);
    return ok;
}

/* Too large by its own word: said before it is sent. */
static bool declares_too_much(struct MHD_Connection *conn)
{
    const char *s = MHD_lookup_connection_value(conn, MHD_HEADER_KIND, "Content-Length");
    uint64_t n = 0;
    for (; s && *s >= '0' && *s <= '9' && n <= BODY_MAX; s++)
        n = n * 10 + (uint64_t)(*s - '0');
    return n > BODY_MAX;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *conn, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *len, void **con_cls)
{
    (void)version;
    static const char too_large[] = "{\"error\":\"the request's body is larger than 1 MiB\"}";
    struct endpoint *e = cls;
    struct httpd_request *r = *con_cls;
    if (!r) {
        *con_cls = r = request_new(e, conn, method, url);
        if (!r->method)
            return refuse(conn, MHD_HTTP_METHOD_NOT_ALLOWED,
                          "{\"error\":\"only GET, HEAD and POST are understood\"}");
        if (declares_too_much(conn))
            return refuse(conn, MHD_HTTP_CONTENT_TOO_LARGE, too_large);
        return MHD_YES;
    }
    if (r->state == REQUEST_ANSWERED)
        return send_answer(r);
    if (*len > 0) {
        r->body_seen += *len;
        (void)buf_put(&r->body, data, *len); /* failed is looked at when all has come */
        *len = 0;
        return r->body_seen > DISCARD_MAX ? MHD_NO : MHD_YES;
    }
    if (r->body.failed)
        return refuse(conn, MHD_HTTP_CONTENT_TOO_LARGE, too_large);
    if (r->state == REQUEST_ASKED) /* woken by the daemon's stop, not by an answer */
        return MHD_NO;
    r->state = REQUEST_ASKED;
    r->in_handler = true;
    e->httpd->fn(e->httpd->ctx, r);
    r->in_handler = false;
    if (r->state == REQUEST_ANSWERED)
        return send_answer(r);
    MHD_suspend_connection(conn);
    return MHD_YES;
}

static void on_completed(void *cls, struct MHD_Connection *conn, void **con_cls,
                         enum MHD_RequestTerminationCode code)
{
    (void)cls, (void)conn, (void)code;
    struct httpd_request *r = *con_cls;
    if (!r)
        return;
    *con_cls = NULL;
    request_unlink(r);
    if (r->state != REQUEST_ASKED)
        request_free(r);
}

/* A NUL in the middle would make what the handler sees end early. */
static size_t unescape(void *cls, struct MHD_Connection *conn, char *s)
{
    (void)cls, (void)conn;
    for (char *at = s; (at = strstr(at, "%00")); at += 3)
        at[0] = at[1] = at[2] = '?';
    return MHD_http_unescape(s);
}

/* -- the loop ------------------------------------------------------------------ */

static void run(struct httpd *h)
{
    struct endpoint *all[] = {&h->tcp, &h->local};
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < 2; i++) {
        MHD_UNSIGNED_LONG_LONG ms;
        if (!all[i]->mhd)
            continue;
        MHD_run(all[i]->mhd);
        if (MHD_get_timeout(all[i]->mhd, &ms) == MHD_YES && ms < next)
            next = ms;
    }
    if (next == UINT64_MAX)
        loop_timer_stop(h->timer);
    else
        loop_timer_start(h->timer, next, 0);
}

static void on_timer(void *ctx)
{
    run(ctx);
}

static void on_poll(void *ctx, int status, int events)
{
    (void)status, (void)events;
    struct endpoint *e = ctx;
    run(e->httpd);
}

static int start(struct endpoint *e, int fd, struct err *err)
{
    struct httpd *h = e->httpd;
    struct MHD_OptionItem limits[] = {
        {MHD_OPTION_CONNECTION_LIMIT, MAX_CONNECTIONS, NULL},
        {MHD_OPTION_PER_IP_CONNECTION_LIMIT, e->local ? 0 : MAX_PER_ADDRESS, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, NULL},
        {MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    e->mhd = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, e,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
        MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL, MHD_OPTION_ARRAY, limits, MHD_OPTION_END);
    if (!e->mhd) {
        close(fd);
        return err_set(err, -EIO, "cannot start the HTTP server");
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(e->mhd, MHD_DAEMON_INFO_EPOLL_FD);
    ASSERT(info);
    e->poll = loop_poll_new(h->loop, info->epoll_fd, on_poll, e);
    ASSERT(e->poll);
    loop_poll_start(e->poll, LOOP_READABLE);
    return 0;
}

/* -- opening ------------------------------------------------------------------- */

/* "127.0.0.1:9690" and "[::1]:0" into host and port; false if it is neither. */
static bool split_listen(const char *listen, char *host, size_t size, const char **out_port)
{
    const char *colon = strrchr(listen, ':');
    if (!colon || colon == listen || !colon[1])
        return false;
    size_t n = (size_t)(colon - listen);
    if (listen[0] == '[') {
        if (n < 3 || listen[n - 1] != ']')
            return false;
        listen++;
        n -= 2;
    }
    if (n >= size)
        return false;
    memcpy(host, listen, n);
    host[n] = '\0';
    *out_port = colon + 1;
    return strspn(colon + 1, "0123456789") == strlen(colon + 1);
}

static int tcp_listen(struct httpd *h, const char *listen_at, struct err *err, int *out_fd)
{
    char host[256];
    const char *port;
    if (!split_listen(listen_at, host, sizeof(host), &port))
        return err_set(err, -EINVAL, "http.listen: \"%s\" is not ADDRESS:PORT", listen_at);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *ai = NULL;
    int rc = getaddrinfo(host, port, &hints, &ai);
    if (rc)
        return err_set(err, -EINVAL, "http.listen: \"%s\": %s", listen_at, gai_strerror(rc));
    int code = 0, on = 1;
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, 64) < 0)
        code = err_errno(err, -errno, "http.listen: cannot listen at %s", listen_at);
    freeaddrinfo(ai);
    struct sockaddr_storage sa;
    socklen_t sa_len = sizeof(sa);
    if (!code && getsockname(fd, (struct sockaddr *)&sa, &sa_len) == 0)
        h->port = ntohs(sa.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&sa)->sin6_port
                                                 : ((struct sockaddr_in *)&sa)->sin_port);
    if (code && fd >= 0)
        close(fd);
    if (!code)
        *out_fd = fd;
    return code;
}

/* A socket's file that nobody answers on is what a killed process left behind. */
static int remove_stale(const struct sockaddr_un *sa, struct err *err)
{
    struct stat st;
    if (lstat(sa->sun_path, &st) < 0)
        return errno == ENOENT ? 0 : err_errno(err, -errno, "http.socket: %s", sa->sun_path);
    if (!S_ISSOCK(st.st_mode))
        return err_set(err, -EEXIST, "http.socket: %s is there and is not a socket",
                       sa->sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(err, -errno, "http.socket");
    int code =
        connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0 ? -EADDRINUSE : -errno;
    close(fd);
    if (code == -EADDRINUSE || code == -EAGAIN)
        return err_set(err, -EADDRINUSE, "http.socket: another process answers at %s",
                       sa->sun_path);
    if (code != -ECONNREFUSED)
        return err_errno(err, code, "http.socket: %s", sa->sun_path);
    return unlink(sa->sun_path) < 0 ? err_errno(err, -errno, "http.socket: %s", sa->sun_path)
                                    : 0;
}

static int unix_listen(const char *path, struct err *err, int *out_fd)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(sa.sun_path))
        return err_set(err, -ENAMETOOLONG, "http.socket: %s is longer than %zu bytes", path,
                       sizeof(sa.sun_path) - 1);
    memcpy(sa.sun_path, path, strlen(path) + 1);
    int code = remove_stale(&sa, err);
    if (code)
        return code;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* nobody can connect before listen(), so the mode is in time */
    if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || chmod(path, 0660) < 0 ||
        listen(fd, 64) < 0) {
        code = err_errno(err, -errno, "http.socket: cannot listen at %s", path);
        if (fd >= 0)
            close(fd);
        return code;
    }
    *out_fd = fd;
    return 0;
}

int httpd_open(struct loop *l, const struct httpd_options *o, httpd_fn *fn, void *ctx,
               struct err *err, struct httpd **out)
{
    struct httpd *h = mem_zalloc(sizeof(*h));
    int fd = -1, code = 0;
    h->loop = l;
    h->fn = fn;
    h->ctx = ctx;
    h->token = mem_strdup(o->token);
    h->tcp.httpd = h->local.httpd = h;
    h->local.local = true;
    h->timer = loop_timer_new(l, on_timer, h);
    if (o->listen) {
        code = tcp_listen(h, o->listen, err, &fd);
        if (!code)
            code = start(&h->tcp, fd, err);
    }
    if (!code && o->socket) {
        code = unix_listen(o->socket, err, &fd);
        if (!code) {
            h->socket = mem_strdup(o->socket);
            code = start(&h->local, fd, err);
        }
    }
    if (code) {
        httpd_close(h);
        return code;
    }
    *out = h;
    return 0;
}

static void stop(struct endpoint *e)
{
    loop_poll_free(e->poll);
    if (e->mhd)
        MHD_stop_daemon(e->mhd);
}

void httpd_close(struct httpd *h)
{
    if (!h)
        return;
    for (struct httpd_request *r = h->requests; r; r = r->next)
        if (r->state == REQUEST_ASKED)
            MHD_resume_connection(r->conn); /* a sleeping connection cannot be closed */
    stop(&h->tcp);
    stop(&h->local);
    ASSERT(!h->requests);
    if (h->socket)
        (void)unlink(h->socket);
    loop_timer_free(h->timer);
    if (h->token)
        OPENSSL_cleanse(h->token, strlen(h->token));
    free(h->token);
    free(h->socket);
    free(h);
}

int httpd_port(const struct httpd *h)
{
    return h->port;
}

/* -- the handler's side -------------------------------------------------------- */

const char *httpd_method(const struct httpd_request *r)
{
    return r->method;
}

const char *httpd_path(const struct httpd_request *r)
{
    return r->path;
}

const char *httpd_query(const struct httpd_request *r, const char *key)
{
    const char *value = NULL;
    if (!r->conn || MHD_lookup_connection_value_n(r->conn, MHD_GET_ARGUMENT_KIND, key,
                                                  strlen(key), &value, NULL) != MHD_YES)
        return NULL;
    return value ? value : ""; /* "?id": there, and no other than "?id=" */
}

struct other_key {
    const char *const *keys;
    size_t n;
    const char *found;
};

static enum MHD_Result look_at_key(void *ctx, enum MHD_ValueKind kind, const char *key,
                                   const char *value)
{
    struct other_key *o = ctx;
    (void)kind;
    (void)value;
    for (size_t i = 0; i < o->n; i++)
        if (strcmp(key, o->keys[i]) == 0)
            return MHD_YES;
    o->found = key;
    return MHD_NO;
}

const char *httpd_query_other(const struct httpd_request *r, const char *const *keys, size_t n)
{
    struct other_key o = {keys, n, NULL};
    if (r->conn)
        (void)MHD_get_connection_values(r->conn, MHD_GET_ARGUMENT_KIND, look_at_key, &o);
    return o.found;
}

const char *httpd_body(const struct httpd_request *r, size_t *out_len)
{
    *out_len = r->body.len;
    return buf_cstr((struct buf *)&r->body);
}

bool httpd_may_write(const struct httpd_request *r)
{
    static const char scheme[] = "Bearer ";
    if (!r->conn)
        return false;
    if (r->endpoint->local)
        return true;
    const char *wanted = r->endpoint->httpd->token;
    const char *s =
        MHD_lookup_connection_value(r->conn, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
    if (!wanted || !*wanted || !s || strncasecmp(s, scheme, strlen(scheme)) != 0)
        return false;
    s += strlen(scheme);
    return strlen(s) == strlen(wanted) && CRYPTO_memcmp(s, wanted, strlen(wanted)) == 0;
}

void httpd_answer(struct httpd_request *r, int status, const char *content_type,
                  const void *body, size_t len)
{
    ASSERT(r->state == REQUEST_ASKED);
    if (!r->conn) { /* the server was closed meanwhile */
        request_free(r);
        return;
    }
    r->state = REQUEST_ANSWERED;
    r->status = (unsigned)status;
    r->response = response_new(content_type, body, len);
    if (!r->in_handler) {
        MHD_resume_connection(r->conn);
        loop_timer_start(r->endpoint->httpd->timer, 0, 0);
    }
}
