/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal against a model: random appends, syncs, releases, stops, kills and power cuts
 * over files in memory. What was appended and survived by the promise (a kill: everything; a
 * power cut: what was synced) is read back in order, once, byte for byte; nothing else is.
 *
 *   test_journal_model [FIRST_SEED [SEEDS]]
 */
#include "base/mem.h"
#include "io/journal.h"
#include "sim/fake_clock.h"
#include "sim/fake_file.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { MOST = 4000, SEGMENT = 16384 };

struct entry {
    uint64_t offset, end, engine, messages, body_seed;
    uint32_t len;
    uint8_t type;
};
struct model {
    uint64_t seed, random;
    struct entry e[MOST];
    size_t n, released; /* entries before `released` may be gone */
    size_t synced;      /* entries that a power cut must leave */
    uint64_t released_to, engine, known;
    struct journal *j;
    struct journal_reader *reader; /* a live one, and the entry it comes to next */
    size_t reader_at;
    enum journal_copy copy;
    enum conf_sync sync;
};

static uint64_t seeds = 400, first_seed = 1;

#define CHECK(m, cond)                                                                         \
    do {                                                                                       \
        if (!(cond)) {                                                                         \
            fprintf(stderr, "seed %" PRIu64 ": %s:%d: %s\n", (m)->seed, __FILE__, __LINE__,    \
                    #cond);                                                                    \
            abort();                                                                           \
        }                                                                                      \
    } while (0)

static uint64_t pick(struct model *m, uint64_t n)
{
    return fake_file_random(&m->random) % n;
}

static void fill(uint64_t seed, char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (char)(fake_file_random(&seed) & (i % 97 < 40 ? 0 : 0xff));
}

static void compare(struct model *m, const struct record *r, const struct entry *e)
{
    static char body[SEGMENT];
    CHECK(m, r->offset == e->offset && r->end == e->end);
    CHECK(m, r->engine_ns == e->engine && r->messages == e->messages);
    CHECK(m, (uint8_t)r->type == e->type && r->body_len == e->len);
    CHECK(m, r->topic_len == 5 && memcmp(r->topic, "a/b/c", 5) == 0);
    fill(e->body_seed, body, e->len);
    CHECK(m, memcmp(r->body, body, e->len) == 0);
}

/* Everything that is there, from the first kept entry on. */
static size_t read_all(struct model *m)
{
    struct journal_reader *r;
    struct record rec;
    struct journal_stats st;
    journal_stats(m->j, &st);
    CHECK(m, journal_reader_open(m->j, 0, &r) == 0);
    size_t at = 0;
    while (at < m->n && at < m->released && m->e[at].offset < st.first)
        at++;
    int e;
    while ((e = journal_read(r, &rec)) == 1) {
        CHECK(m, at < m->n);
        compare(m, &rec, &m->e[at]);
        at++;
    }
    CHECK(m, e == 0);
    journal_reader_close(r);
    return at;
}

static void start(struct model *m, bool power)
{
    struct err err;
    struct journal_recovery rec;
    struct journal_options o = {
        .dir = "j",
        .max_bytes = 40 * SEGMENT,
        .segment_bytes = SEGMENT,
        .sync = m->sync,
        .known = m->known,
        .copy = m->copy,
    };
    if (pick(m, 3) == 0) { /* a tool looks first, and changes nothing */
        struct journal *look;
        struct journal_options ro = o;
        struct journal_recovery seen;
        ro.read_only = true;
        CHECK(m, journal_open(&ro, &err, &seen, &look) == 0);
        CHECK(m, journal_close(look) == 0);
    }
    int e = journal_open(&o, &err, &rec, &m->j);
    if (e < 0)
        fprintf(stderr, "%s\n", err.text);
    CHECK(m, e == 0);
    size_t got = read_all(m);
    CHECK(m, got <= m->n && got >= m->synced);
    CHECK(m, power || got == m->n);
    CHECK(m, !rec.lost_known);
    CHECK(m, rec.missing == 0 && rec.unreadable == 0 && rec.damaged_headers == 0);
    m->n = m->synced = got;
    CHECK(m, m->released == m->n || rec.unclean == (m->e[m->n - 1].type != RECORD_STOP));
    if (power) /* after a kill, not even a tick's time comes again */
        m->engine = m->n ? m->e[m->n - 1].engine : 0;
    CHECK(m, rec.messages == (m->n ? m->e[m->n - 1].messages : 0));
    CHECK(m, rec.gap_ns >= 0);
    if (m->reader_at > m->n)
        m->reader_at = m->n;
}

static void append(struct model *m)
{
    static char body[SEGMENT];
    static const uint8_t types[] = {RECORD_MESSAGE, RECORD_MESSAGE, RECORD_REINJECT,
                                    RECORD_LINK_UP};
    struct entry *e = &m->e[m->n];
    if (m->n == MOST)
        return;
    uint64_t big = pick(m, 40);
    e->len = (uint32_t)pick(m, big == 0 ? journal_max_record(m->j) - 5 : big < 10 ? 3000 : 300);
    e->type = types[pick(m, 4)];
    e->body_seed = fake_file_random(&m->random);
    fill(e->body_seed, body, e->len);
    struct record r = {.type = e->type,
                       .topic = "a/b/c",
                       .topic_len = 5,
                       .body = body,
                       .body_len = e->len,
                       .wall_ns = 77};
    uint64_t end;
    int got = journal_append(m->j, &r, &end);
    if (got == -ENOSPC)
        return;
    CHECK(m, got == 0);
    e->offset = r.offset;
    e->end = end;
    e->engine = r.engine_ns;
    e->messages = r.messages;
    CHECK(m, e->engine > m->engine && end == journal_end(m->j));
    CHECK(m,
          e->messages == (m->n ? m->e[m->n - 1].messages : 0) + (e->type <= RECORD_REINJECT));
    m->engine = e->engine;
    m->n++;
    if (m->sync == CONF_SYNC_ALWAYS)
        m->synced = m->n;
}

static void read_some(struct model *m)
{
    struct record r;
    if (!m->reader) {
        uint64_t from = m->reader_at ? m->e[m->reader_at - 1].end : 0;
        CHECK(m, journal_reader_open(m->j, from, &m->reader) == 0);
    }
    for (uint64_t k = pick(m, 60); k > 0; k--) {
        int e = journal_read(m->reader, &r);
        if (e == 0)
            CHECK(m, m->reader_at == m->n);
        if (e == 0)
            return;
        CHECK(m, e == 1);
        compare(m, &r, &m->e[m->reader_at++]);
    }
}

static void synced(struct model *m)
{
    while (m->synced < m->n && m->e[m->synced].end <= journal_synced(m->j))
        m->synced++;
    if (pick(m, 2) && m->synced > 0)
        m->known = m->e[m->synced - 1].end; /* a cursor was committed */
}

static void release(struct model *m)
{
    size_t k = m->reader_at < m->synced ? m->reader_at : m->synced;
    if (k == 0)
        return;
    k = 1 + pick(m, k);
    CHECK(m, journal_release(m->j, m->e[k - 1].end, NULL) == 0);
    if (k > m->released)
        m->released = k;
}

static void end_process(struct model *m, bool *out_power)
{
    uint64_t how = pick(m, 4);
    journal_reader_close(m->reader);
    m->reader = NULL;
    *out_power = false;
    if (how == 0) { /* in order */
        struct record r = {.type = RECORD_STOP, .topic = "a/b/c", .topic_len = 5, .body = ""};
        uint64_t end;
        if (m->n < MOST && journal_append(m->j, &r, &end) == 0) {
            m->e[m->n] = (struct entry){.offset = r.offset,
                                        .end = end,
                                        .engine = r.engine_ns,
                                        .messages = r.messages,
                                        .type = RECORD_STOP};
            m->n++;
        }
        CHECK(m, journal_close(m->j) == 0);
        m->synced = m->n;
        if (pick(m, 2))
            return;
    }
    synced(m);
    if (how <= 1) {
        *out_power = true;
        fake_file_power_cut(&m->random);
        fake_clock_reboot((int64_t)pick(m, 7200) * 1000000000 - 1000000000);
        fake_clock_synced = pick(m, 4) > 0;
    } else {
        fake_file_kill();
    }
}

static void run(uint64_t seed)
{
    static struct model model;
    struct model *m = &model;
    *m = (struct model){.seed = seed, .random = seed * 7919};
    fake_file_reset();
    m->copy = pick(m, 2) ? JOURNAL_COPY_MAP : JOURNAL_COPY_WRITE;
    m->sync = (enum conf_sync)pick(m, 3);
    bool power = false;
    start(m, power);
    for (int life = 0; life < 12; life++) {
        for (uint64_t steps = pick(m, 150); steps > 0; steps--) {
            uint64_t what = pick(m, 100);
            if (what < 70) {
                append(m);
            } else if (what < 76) {
                CHECK(m, journal_sync(m->j) == 0);
                CHECK(m, journal_synced(m->j) == journal_end(m->j));
                m->synced = m->n;
                synced(m);
            } else if (what < 82) {
                int e = journal_prepare(m->j);
                CHECK(m, e == 0 || e == -ENOSPC);
            } else if (what < 94) {
                read_some(m);
            } else if (what < 97) {
                release(m);
            } else {
                uint64_t t, end;
                journal_tick(m->j, &t, &end);
                CHECK(m, t > m->engine && end == journal_end(m->j));
                m->engine = t;
            }
        }
        struct journal *old = m->j;
        end_process(m, &power);
        (void)old; /* killed: its memory is lost with its process */
        start(m, power);
    }
    CHECK(m, journal_close(m->j) == 0);
}

static void test_model(void **state)
{
    (void)state;
    for (uint64_t s = first_seed; s < first_seed + seeds; s++)
        run(s);
    printf("seeds %" PRIu64 " to %" PRIu64 "\n", first_seed, first_seed + seeds - 1);
}

/* A killed process frees nothing; here its journal stays behind. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

int main(int argc, char **argv)
{
    if (argc > 1)
        first_seed = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        seeds = strtoull(argv[2], NULL, 10);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_model)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
