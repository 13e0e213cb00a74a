/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IO_HTTPD_H
#define IO_HTTPD_H
/*
 * httpd — the HTTP server on loopback and on the Unix socket (libmicrohttpd, its epoll descriptor
 * on the loop). Knows no endpoint: every complete request goes to one handler, which answers at
 * once or later. Bodies ≤ 1 MiB (else 413), request line and headers ≤ 32 KiB, 15 s of silence,
 * 64 connections, 32 per address; GET, HEAD and POST (else 405). A HEAD request reaches the
 * handler as GET. Paths and query values come decoded; an encoded NUL becomes "???".
 *
 * Loop thread only. The handler may answer from within the call; it must not close the server
 * there. Requests that are unanswered when the server is closed stay the handler's and are still
 * answered (into the void): nothing else may be asked of them then but the path and the method.
 */
#include "base/err.h"
#include "io/loop.h"

#include <stddef.h>

struct httpd;
struct
    httpd_request; /* lives until it is answered; if the client leaves, the answer is dropped */

struct httpd_options {
    const char *listen; /* "127.0.0.1:9690", "[::1]:0"; NULL: none */
    const char *socket; /* path; NULL: none; mode 0660 */
    const char *token;  /* bearer token for writing verbs over TCP; NULL: none are allowed */
};
typedef void httpd_fn(void *ctx, struct httpd_request *r);

int httpd_open(struct loop *l, const struct httpd_options *o, httpd_fn *fn, void *ctx,
               struct err *err, struct httpd **out);
void httpd_close(struct httpd *h);
int httpd_port(const struct httpd *h); /* of listen, when it said 0: in tests */

const char *httpd_method(const struct httpd_request *r);
const char *httpd_path(const struct httpd_request *r);
/* NULL: not there; "": there without a value, with or without its equals sign. */
const char *httpd_query(const struct httpd_request *r, const char *key);
/* A key of the query that is none of these; NULL: there is none. */
const char *httpd_query_other(const struct httpd_request *r, const char *const *keys, size_t n);
const char *httpd_body(const struct httpd_request *r, size_t *out_len);
bool httpd_may_write(const struct httpd_request *r); /* Unix socket, or the token was right */
void httpd_answer(struct httpd_request *r, int status, const char *content_type,
                  const void *body, size_t len); /* copies */

#endif
