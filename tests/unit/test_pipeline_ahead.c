/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline: records that were read ahead, and what does not verify behind, before and between them.
 * Damage is done to the journal's file before anybody has read it. */
#define RIG_OWN
#include "app/pipeline_private.h"
#include "pipeline_rig.h"

#include "base/log.h"

#include <fcntl.h>

enum { MOST = 4096, AHEAD = ENGINE_AHEAD + 1 };

/* -- what the engine is given, and what is said ------------------------------------------------- */

struct given {
    bool rot;
    uint64_t offset, end, messages;
    unsigned number; /* of a message */
};
static struct {
    struct given list[MOST];
    size_t n, wanted;
    unsigned lines;  /* that tell of rot */
    unsigned stalls; /* how many questions for room more get a no, every second one */
    unsigned full;   /* answers of no so far */
    struct loop *loop;
} seen;

static void note(struct given g)
{
    assert_true(seen.n < MOST);
    seen.list[seen.n++] = g;
    if (seen.n == seen.wanted)
        loop_stop(seen.loop);
}

void __real_engine_record(struct engine *e, const struct record *r);
void __wrap_engine_record(struct engine *e, const struct record *r);
void __wrap_engine_record(struct engine *e, const struct record *r)
{
    __real_engine_record(e, r);
    if (r->type != RECORD_MESSAGE)
        return;
    unsigned number = 0;
    assert_int_equal(sscanf(r->body, "{\"id\":\"%u\"", &number), 1);
    note((struct given){false, r->offset, r->end, r->messages, number});
}

void __real_engine_rot(struct engine *e, uint64_t offset, uint64_t end, uint64_t messages);
void __wrap_engine_rot(struct engine *e, uint64_t offset, uint64_t end, uint64_t messages);
void __wrap_engine_rot(struct engine *e, uint64_t offset, uint64_t end, uint64_t messages)
{
    __real_engine_rot(e, offset, end, messages);
    note((struct given){true, offset, end, messages, 0});
}

void __wrap_log_write(enum log_level level, const char *fmt, ...);
void __wrap_log_write(enum log_level level, const char *fmt, ...)
{
    (void)level;
    seen.lines += strstr(fmt, "do not verify") != NULL;
}

/* A slice that begins, and each 32 records of it, asks whether there is room. */
uint64_t __wrap_store_waiting_bytes(const struct store *s);
uint64_t __wrap_store_waiting_bytes(const struct store *s)
{
    (void)s;
    if (seen.stalls == 0 || !(seen.stalls-- & 1))
        return 0;
    seen.full++;
    return UINT64_C(1) << 40;
}

/* -- what is in the journal ----------------------------------------------------------------------- */

enum damaged { WHOLE, BODY, HEADER };

struct written {
    uint64_t offset, end;
    enum damaged damage;
};
static struct written written[MOST];
static unsigned n_written;

static void find_segment(void *ctx, const struct journal_segment_info *s)
{
    uint64_t *base = ctx; /* base[0]: the offset; base[1]: of the segment that has it */
    if (s->base <= base[0])
        base[1] = s->base;
}

static void damage(struct rig *r, uint64_t offset, unsigned at)
{
    char path[160], byte;
    uint64_t base[2] = {offset, 0};
    journal_each_segment(r->journal, find_segment, base);
    (void)snprintf(path, sizeof(path), "%s/%016llx.journal", r->journal_dir,
                   (unsigned long long)base[1]);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    off_t place = (off_t)(offset - base[1] + at);
    assert_int_equal(pread(fd, &byte, 1, place), 1);
    byte ^= 0x40;
    assert_int_equal(pwrite(fd, &byte, 1, place), 1);
    (void)close(fd);
}

static void write_one(struct rig *r, enum damaged how)
{
    char body[96];
    struct written *w = &written[n_written];
    int n = snprintf(body, sizeof(body), "{\"id\":\"%u\",\"level\":1.5}", n_written);
    struct record like = {.topic_len = strlen("gaihou/v1/up/c1/d1"), .body_len = (size_t)n};
    assert_true(n_written < MOST);
    w->end = append(r, RECORD_MESSAGE, "gaihou/v1/up/c1/d1", body);
    w->offset = w->end - record_size(&like);
    w->damage = how;
    n_written++;
    if (how != WHOLE)
        damage(r, w->offset, how == BODY ? RECORD_HEADER + 20 : 4);
}

/* What the engine has to be given of all that was written: each whole record once and in order, each
 * stretch of damaged ones once and where it is. */
static size_t expect(struct given *out, uint64_t *out_dead)
{
    size_t n = 0;
    *out_dead = 0;
    for (unsigned i = 0; i < n_written; i++) {
        const struct written *w = &written[i];
        if (w->damage == WHOLE) {
            out[n++] = (struct given){false, w->offset, w->end, i + 1, i};
            continue;
        }
        ++*out_dead;
        if (i > 0 && written[i - 1].damage != WHOLE) {
            out[n - 1].end = w->end;
            out[n - 1].messages++;
        } else {
            out[n++] = (struct given){true, w->offset, w->end, 1, 0};
        }
    }
    return n;
}

static void start_seen(struct rig *r)
{
    begin(r);
    memset(&seen, 0, sizeof(seen));
    seen.loop = r->loop;
    n_written = 0;
    start(r);
    run_until(r, 20);
    assert_int_equal(seen.n, 0);
}

static uint64_t dead(const struct rig *r)
{
    struct ledger_row total;
    ledger_total(engine_ledger(pipeline_engine(r->pipeline)), &total);
    return total.n[LEDGER_DEAD_CORRUPT];
}

/* Everything that was written is passed, and only once. */
static void check(struct rig *r)
{
    static struct given expected[MOST];
    uint64_t lost;
    size_t n = expect(expected, &lost), rotten = 0;
    seen.wanted = n;
    seen.stalls = 0;
    if (seen.n < n)
        run_until(r, 10000);
    seen.wanted = 0;
    run_until(r, 5); /* and nothing more */
    if (seen.n != n)
        fail_msg("%zu records and stretches were passed, expected %zu", seen.n, n);
    for (size_t i = 0; i < n; i++) {
        const struct given *g = &seen.list[i], *x = &expected[i];
        rotten += x->rot;
        if (g->rot != x->rot || g->offset != x->offset || g->end != x->end ||
            g->messages != x->messages || g->number != x->number)
            fail_msg("%zu: %s %llu to %llu, %llu messages, number %u; expected %s %llu to "
                     "%llu, %llu messages, number %u",
                     i, g->rot ? "rot" : "record", (unsigned long long)g->offset,
                     (unsigned long long)g->end, (unsigned long long)g->messages, g->number,
                     x->rot ? "rot" : "record", (unsigned long long)x->offset,
                     (unsigned long long)x->end, (unsigned long long)x->messages, x->number);
    }
    assert_int_equal(seen.lines, rotten);
    assert_int_equal(dead(r), lost);
    struct pipeline_stats s;
    pipeline_stats(r->pipeline, &s);
    assert_int_equal(s.lag_bytes, 0);
    assert_int_equal(s.unread, 0);
}

/* -- tests ------------------------------------------------------------------------------------------ */

/* One damaged record behind as many as may wait, one less, one more; and first and last of all. */
static void rot_behind_what_was_read_ahead(void **state)
{
    struct rig *r = *state;
    start_seen(r);
    for (unsigned behind = 0; behind <= AHEAD + 2; behind++)
        for (enum damaged how = BODY; how <= HEADER; how++) {
            for (unsigned i = 0; i < behind; i++)
                write_one(r, WHOLE);
            write_one(r, how);
            if (how == BODY) /* else it is the journal's last */
                for (unsigned i = 0; i < 3; i++)
                    write_one(r, WHOLE);
            check(r);
            if (how == HEADER) { /* what follows the last goes on behind it */
                write_one(r, WHOLE);
                check(r);
            }
        }
    end(r);
}

/* Every pattern of whole and damaged among as many as are looked at together. */
static void every_pattern(void **state)
{
    struct rig *r = *state;
    start_seen(r);
    for (unsigned mask = 0; mask < 1u << (AHEAD + 2); mask++) {
        for (unsigned i = 0; i < AHEAD + 2; i++)
            write_one(r, mask >> i & 1 ? BODY : WHOLE);
        write_one(r, WHOLE); /* so that stretches do not run together */
    }
    check(r);
    end(r);
}

/* A slice ends for want of room while records and rot wait: they are not lost, nor read again. */
static void slices_end_in_between(void **state)
{
    struct rig *r = *state;
    uint64_t seed = unit_seed();
    start_seen(r);
    /* how often a slice finds none in the time of a round is the machine's affair */
    for (unsigned round = 0; round < 40 || (seen.full <= 20 && n_written < MOST - 100);
         round++) {
        unsigned n = 1 + (unsigned)(unit_random(&seed) % 90);
        for (unsigned i = 0; i < n; i++) {
            uint64_t x = unit_random(&seed);
            write_one(r, i > 0 && x % 7 == 0 ? BODY : WHOLE); /* stretches end with a round */
        }
        seen.stalls = (unsigned)(unit_random(&seed) % 6);
        run_until(r, 1 + unit_random(&seed) % 75);
    }
    write_one(r, WHOLE);
    check(r);
    print_message("%u slices found no room\n", seen.full);
    assert_true(seen.full > 20);
    end(r);
}

/* -- when it looks again ------------------------------------------------------------------------ */

static void messages_gather_where_no_alarm_waits(void **state)
{
    (void)state;
    for (uint64_t rate = 1; rate < 1000000; rate += rate / 8 + 1) {
        uint64_t ms = pipeline_linger_ms(rate, false);
        assert_int_equal(pipeline_linger_ms(rate, true), 10);
        assert_in_range(ms, 10, 40);
        if (ms > 10) /* no more of them than are worth it */
            assert_true(ms * rate <= 160 * 1000);
    }
    assert_int_equal(pipeline_linger_ms(0, true), 10);
    assert_int_equal(pipeline_linger_ms(1001, false), 40);
    assert_int_equal(pipeline_linger_ms(4000, false), 40);
    assert_int_equal(pipeline_linger_ms(8000, false), 20);
    assert_int_equal(pipeline_linger_ms(16000, false), 10);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(messages_gather_where_no_alarm_waits),
                                       TEST(rot_behind_what_was_read_ahead),
                                       TEST(every_pattern), TEST(slices_end_in_between)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
