/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/httpc.h with databases behind it, told apart by the URL before "/write" or "/api". A
 * database takes a post at some moment before its answer arrives, or the answer gets lost; what
 * it has is the set of lines. Answers as the real servers give them.
 */
#include "base/buf.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "io/httpc.h"
#include "sim/fakes.h"
#include "sim/world.h"
#include "sim/own.h"

#include <isa-l/igzip_lib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DBS = 8 };

struct httpc {
    struct loop *loop;
};
struct httpc_call {
    struct fake_db *db;
    char *text; /* the lines */
    size_t len;
    httpc_fn *fn;
    void *ctx;
    bool probe; /* not a write */
    struct httpc_answer answer;
    char body[512];
};

static struct fake_db dbs[MOST_DBS];
static size_t n_dbs;
const char *fake_db_poison;
void (*fake_db_on_post)(struct fake_db *d, const char *text, size_t n);
void (*fake_db_on_line)(struct fake_db *d, const char *line, size_t n);

void fake_httpc_reset(void)
{
    for (size_t i = 0; i < n_dbs; i++) {
        free(dbs[i].lines);
        free(dbs[i].old);
    }
    memset(dbs, 0, sizeof(dbs));
    n_dbs = 0;
}

struct fake_db *fake_db_at(const char *url, enum conf_sink_type type)
{
    for (size_t i = 0; i < n_dbs; i++)
        if (strncmp(dbs[i].url, url, strlen(dbs[i].url)) == 0)
            return &dbs[i];
    ASSERT(n_dbs < MOST_DBS);
    struct fake_db *d = &dbs[n_dbs++];
    (void)snprintf(d->url, sizeof(d->url), "%s", url);
    d->type = type;
    return d;
}

/* -- sets of lines ------------------------------------------------------------------------- */

uint64_t fake_db_hash(const char *line, size_t n)
{
    while (n > 0 && line[n - 1] == '\n')
        n--;
    uint64_t h = hash64(11, line, n);
    return h ? h : 1;
}

static size_t slot_of(const uint64_t *set, size_t cap, uint64_t hash)
{
    size_t i = hash & (cap - 1);
    while (set[i] && set[i] != hash)
        i = (i + 1) & (cap - 1);
    return i;
}

bool fake_db_add(uint64_t **set, size_t *n, size_t *cap, uint64_t hash)
{
    if (*n * 2 >= *cap) {
        size_t more = *cap ? *cap * 2 : 512;
        uint64_t *next = mem_zalloc_array(more, sizeof(*next));
        for (size_t i = 0; i < *cap; i++)
            if ((*set)[i])
                next[slot_of(next, more, (*set)[i])] = (*set)[i];
        free(*set);
        *set = next;
        *cap = more;
    }
    size_t at = slot_of(*set, *cap, hash);
    if ((*set)[at])
        return false;
    (*set)[at] = hash;
    (*n)++;
    return true;
}

bool fake_db_has(const struct fake_db *d, uint64_t line_hash)
{
    return d->cap && d->lines[slot_of(d->lines, d->cap, line_hash)];
}

void fake_db_all_old(void)
{
    for (size_t i = 0; i < n_dbs; i++)
        for (size_t s = 0; s < dbs[i].cap; s++)
            if (dbs[i].lines[s])
                (void)fake_db_add(&dbs[i].old, &dbs[i].n_old, &dbs[i].cap_old, dbs[i].lines[s]);
}

bool fake_db_is_old(const struct fake_db *d, uint64_t line_hash)
{
    return d->cap_old && d->old[slot_of(d->old, d->cap_old, line_hash)];
}

/* -- what a database does ------------------------------------------------------------------- */

static bool poisoned(const char *line, size_t n)
{
    return fake_db_poison && memmem(line, n, fake_db_poison, strlen(fake_db_poison));
}

static size_t count_poison(const struct httpc_call *c)
{
    size_t n = 0;
    for (size_t at = 0, len; at < c->len; at += len) {
        len = (size_t)((char *)memchr(c->text + at, '\n', c->len - at) - c->text) - at + 1;
        n += poisoned(c->text + at, len);
    }
    return n;
}

static void take_lines(struct httpc_call *c)
{
    for (size_t at = 0, len; at < c->len; at += len) {
        len = (size_t)((char *)memchr(c->text + at, '\n', c->len - at) - c->text) - at + 1;
        bool bad = poisoned(c->text + at, len);
        if (bad && c->db->type == CONF_VICTORIAMETRICS)
            break; /* what stands behind a line that it cannot read is lost */
        if (bad)
            continue;
        sim_trace("%s takes %016llx %.*s", c->db->url,
                  (unsigned long long)fake_db_hash(c->text + at, len), (int)len - 1,
                  c->text + at);
        if (fake_db_on_line)
            fake_db_on_line(c->db, c->text + at, len - 1);
        c->db->taken +=
            fake_db_add(&c->db->lines, &c->db->n, &c->db->cap, fake_db_hash(c->text + at, len));
    }
}

static void say(struct httpc_call *c, int status, const char *body)
{
    (void)snprintf(c->body, sizeof(c->body), "%s", body);
    c->answer.transport = TRANSPORT_OK;
    c->answer.status = status;
    c->answer.body = c->body;
    c->answer.body_len = strlen(c->body);
}

static void refuse_lines(struct httpc_call *c, size_t bad)
{
    char text[512];
    c->db->refused++;
    if (c->db->type == CONF_INFLUXDB2) {
        say(c, 422,
            "{\"code\":\"unprocessable entity\",\"message\":\"failure writing points to "
            "database: partial write: field type conflict: input field \\\"x\\\" on "
            "measurement "
            "\\\"m\\\" is type float, already exists as type integer dropped=1\"}");
    } else if (c->db->type == CONF_INFLUXDB3) {
        (void)snprintf(text, sizeof(text), "%s",
                       "{\"error\":\"partial write of line protocol occurred\",\"data\":[");
        size_t number = 0, n = strlen(text);
        for (size_t at = 0, len; at < c->len; at += len) {
            len = (size_t)((char *)memchr(c->text + at, '\n', c->len - at) - c->text) - at + 1;
            number++;
            if (poisoned(c->text + at, len) && n < 400)
                n += (size_t)snprintf(text + n, sizeof(text) - n,
                                      "%s{\"error_message\":\"bad\",\"line_number\":%zu}",
                                      text[n - 1] == '[' ? "" : ",", number);
        }
        (void)snprintf(text + n, sizeof(text) - n, "]}");
        say(c, 400, text);
    } else if (c->db->type == CONF_VICTORIAMETRICS) {
        say(c, 400, "cannot read influx line protocol data: too long line");
    } else {
        (void)snprintf(text, sizeof(text),
                       "{\"error\":\"partial write: field type conflict: input field \\\"x\\\" "
                       "on measurement \\\"m\\\" is type float, already exists as type integer "
                       "dropped=%zu\"}",
                       bad);
        say(c, 400, text);
    }
}

static void fail_transport(struct httpc_call *c, enum answer_transport t, const char *why)
{
    c->answer.transport = t;
    c->answer.error = why;
}

static void decide(struct httpc_call *c)
{
    enum fake_db_mood mood = c->db->mood;
    if (mood == DB_WELL && sim_chance(c->db->flaky))
        mood = (enum fake_db_mood)(1 + sim_random(3));
    switch (mood) {
    case DB_DOWN:
        fail_transport(c, TRANSPORT_FAILED, "connection refused");
        return;
    case DB_UNAVAILABLE:
        say(c, 503, "{\"error\":\"timeout\"}");
        return;
    case DB_TIMEOUT: /* it may have taken all of it */
        if (!c->probe && sim_chance(50))
            take_lines(c);
        fail_transport(c, TRANSPORT_TIMEOUT, "no answer in time");
        return;
    case DB_AUTH:
        say(c, 401, "{\"error\":\"authorization failed\"}");
        return;
    case DB_FULL:
        say(c, 400,
            "{\"error\":\"partial write: write /x: no space left on device dropped=5\"}");
        return;
    case DB_WELL:
        break;
    }
    if (c->probe) {
        say(c, 200, "vm_app_start_timestamp 1\n");
        return;
    }
    size_t bad = count_poison(c);
    take_lines(c);
    if (bad > 0)
        refuse_lines(c, bad);
    else
        say(c, 204, "");
}

static void answer(void *ctx)
{
    struct httpc_call *c = ctx;
    sim_trace("answer %s: %d %s", c->db->url, c->answer.status,
              c->answer.error ? c->answer.error : "");
    c->fn(c->ctx, &c->answer);
    free(c->text);
    free(c);
}

static void act(void *ctx)
{
    struct httpc_call *c = ctx;
    decide(c);
    sim_after(sim_random(20000000), answer, c, true);
}

/* -- io/httpc.h ---------------------------------------------------------------------------- */

static void gunzip(const void *p, size_t n, struct httpc_call *c)
{
    struct inflate_state st;
    isal_inflate_init(&st);
    st.crc_flag = ISAL_GZIP;
    size_t cap = 8u << 20;
    static uint8_t room[8u << 20];
    st.next_in = (uint8_t *)(uintptr_t)p;
    st.avail_in = (uint32_t)n;
    st.next_out = room;
    st.avail_out = (uint32_t)cap;
    if (isal_inflate(&st) != ISAL_DECOMP_OK || st.block_state != ISAL_BLOCK_FINISH)
        sim_fail("a post is not whole gzip");
    c->len = st.total_out;
    c->text = mem_zalloc(c->len + 1);
    memcpy(c->text, room, c->len);
}

static bool says_gzip(const char *const *headers)
{
    for (; headers && *headers; headers++)
        if (strcmp(*headers, "Content-Encoding: gzip") == 0)
            return true;
    return false;
}

struct httpc *httpc_new(struct loop *l)
{
    struct httpc *h = mem_zalloc(sizeof(*h));
    h->loop = l;
    return h;
}

void httpc_free(struct httpc *h)
{
    free(h);
}

struct httpc_call *httpc_send(struct httpc *h, const struct httpc_request *r, httpc_fn *fn,
                              void *ctx)
{
    struct httpc_call *c = mem_zalloc(sizeof(*c));
    (void)h;
    c->db = NULL;
    for (size_t i = 0; i < n_dbs; i++)
        if (strncmp(dbs[i].url, r->url, strlen(dbs[i].url)) == 0)
            c->db = &dbs[i];
    if (!c->db)
        sim_fail("a request to nobody: %s", r->url);
    c->fn = fn;
    c->ctx = ctx;
    c->probe = strcmp(r->method, "POST") != 0;
    c->answer.took_ns = 1000000;
    if (!c->probe) {
        c->db->posts++;
        if (says_gzip(r->headers)) {
            gunzip(r->body, r->len, c);
        } else {
            c->text = mem_zalloc(r->len + 1);
            memcpy(c->text, r->body, r->len);
            c->len = r->len;
        }
        if (c->len == 0 || c->text[c->len - 1] != '\n')
            sim_fail("a post does not end with a line's end");
        if (fake_db_on_post)
            fake_db_on_post(c->db, c->text, c->len);
    }
    uint64_t after = c->db->mood == DB_TIMEOUT ? r->timeout_ns : sim_random(10000000);
    sim_after(after, act, c, true);
    return c;
}

void httpc_cancel(struct httpc_call *c)
{
    if (!c)
        return;
    sim_cancel(act, c);
    sim_cancel(answer, c);
    free(c->text);
    free(c);
}
