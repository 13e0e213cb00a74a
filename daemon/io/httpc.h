/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IO_HTTPC_H
#define IO_HTTPC_H
/*
 * httpc — HTTP requests to the databases: one libcurl multi handle on the loop. Faked in
 * tests/sim.
 *
 * Every request gets exactly one answer, on the loop, never from inside httpc_send; cancelled
 * requests get none. Bodies are sent with Content-Length, `Expect:` empty, no proxy from the
 * environment, TCP keepalive and TCP_USER_TIMEOUT. At most HTTPC_MAX_BODY bytes of an answer
 * are kept.
 */
#include "core/answer.h"
#include "io/loop.h"

#define HTTPC_MAX_BODY 65536

struct httpc;
struct httpc_call;

struct httpc_request {
    const char *method; /* "POST" or "GET" */
    const char *url;
    const char *const *headers; /* "Name: value", NULL-terminated */
    const void *body;           /* must stay until the answer */
    size_t len;
    uint64_t timeout_ns;
    const char *username, *password; /* basic authentication, or NULL */
    const char *ca_file;             /* or NULL */
    bool keep_tail; /* of a long answer keep the last bytes; else the first, and read no further
                     */
};

struct httpc_answer {
    enum answer_transport transport;
    int status;
    const char *body;
    size_t body_len;
    uint64_t retry_after_s; /* 0 if not said; at most 600 */
    const char *error;      /* a sentence, for transport ≠ OK */
    uint64_t took_ns;
};

typedef void httpc_fn(void *ctx, const struct httpc_answer *a);

struct httpc *httpc_new(struct loop *l);
void httpc_free(struct httpc *h); /* cancels what is under way */
struct httpc_call *httpc_send(struct httpc *h, const struct httpc_request *r, httpc_fn *fn,
                              void *ctx);
void httpc_cancel(struct httpc_call *c);

#endif
