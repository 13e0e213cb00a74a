/* SPDX-License-Identifier: Apache-2.0 */
/* outbound: order, accounting and damage, and a random run that fails and crashes anywhere. */
#include "mem_disk.h"
#include "io/outbound.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define SEQS       200000
#define OUT_HEADER 64

enum fate { PENDING, ACCEPTED, SHED, EMPTY };
struct truth {                        /* what the test knows of a block */
    uint32_t lines[3], unwritable[3]; /* by compound */
    uint32_t refused[3], no_time;     /* no_time: of the unwritable ones */
    bool shed;
    enum fate fate;
    bool maybe; /* the call that decided failed: either is right */
};
static struct truth truths[SEQS];
static const char *const NAMES[3] = {"nanan", "beibei", "-"};

static uint64_t rng = 1;
static uint64_t draw(uint64_t n)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng % n;
}

static struct block *make_block(uint64_t offset, bool more, struct truth *t)
{
    struct block *b = mem_zalloc(sizeof(*b));
    memset(t, 0, sizeof(*t));
    b->shares = mem_zalloc_array(3, sizeof(*b->shares));
    for (int c = 0; c < 3; c++) {
        t->lines[c] = (uint32_t)draw(20);
        t->unwritable[c] = draw(4) ? 0 : 1;
        if (t->lines[c] + t->unwritable[c] == 0)
            continue;
        struct block_share *s = &b->shares[b->info.n_shares++];
        (void)snprintf(s->compound, sizeof(s->compound), "%s", NAMES[c]);
        s->lines = t->lines[c];
        s->unwritable = t->unwritable[c];
        b->info.lines += s->lines;
        t->no_time += draw(2) ? t->unwritable[c] : 0;
    }
    b->info.no_time = t->no_time;
    b->info.shares = b->shares;
    b->info.from = b->info.to = (struct position){offset, 1, 2};
    b->info.closed_wall_ns = (int64_t)offset * 1000;
    b->info.class_ = draw(4) ? POINT_ROUTINE : POINT_KEEP;
    b->more = more;
    t->shed = b->shed = draw(15) == 0;
    if (b->info.lines && !b->shed) {
        uint32_t n = 50 + (uint32_t)draw(draw(8) ? 900 : 60000);
        b->body = mem_zalloc(n);
        for (uint32_t i = 0; i < n; i++)
            b->body[i] = (char)draw(256);
        b->info.body_bytes = n;
        b->info.raw_bytes = n;
    } else {
        t->fate = EMPTY;
    }
    return b;
}

static void check_totals(struct outbound *ob)
{
    uint64_t made[3] = {0}, accepted[3] = {0}, refused[3] = {0}, shed[3] = {0}, pending = 0;
    for (uint64_t s = 1; s < outbound_next_seq(ob); s++)
        for (int c = 0; c < 3; c++) {
            const struct truth *t = &truths[s];
            made[c] += t->lines[c] + t->unwritable[c];
            refused[c] += t->unwritable[c];
            if (t->fate == EMPTY)
                shed[c] += t->shed ? t->lines[c] : 0;
            else if (t->fate == PENDING)
                pending += t->lines[c];
            else {
                refused[c] += t->refused[c];
                *(t->fate == SHED ? &shed[c] : &accepted[c]) += t->lines[c] - t->refused[c];
            }
        }
    const struct outbound_share *sh;
    size_t n = outbound_shares(ob, &sh);
    for (size_t i = 0; i < n; i++)
        for (int c = 0; c < 3; c++)
            if (strcmp(sh[i].compound, NAMES[c]) == 0) {
                assert_int_equal(sh[i].made, made[c]);
                assert_int_equal(sh[i].accepted, accepted[c]);
                assert_int_equal(sh[i].refused, refused[c]);
                assert_int_equal(sh[i].shed, shed[c]);
                made[c] = 0;
            }
    assert_int_equal(made[0] + made[1] + made[2], 0);
    const struct outbound_reason *r;
    uint64_t by_reason = 0, no_time = 0;
    n = outbound_reasons(ob, &r);
    for (size_t i = 0; i < n; i++) {
        by_reason += r[i].lines;
        no_time += strcmp(r[i].reason, "no_time") == 0 ? r[i].lines : 0;
    }
    for (uint64_t s = 1; s < outbound_next_seq(ob); s++)
        no_time -= truths[s].no_time;
    assert_int_equal(no_time, 0);
    assert_int_equal(by_reason, refused[0] + refused[1] + refused[2]);
    assert_int_equal(outbound_pending_lines(ob), pending);
}

static struct outbound *reopen(bool power)
{
    struct outbound *ob = NULL;
    struct err err = {""};
    disk_restart(power);
    struct outbound_options o = {.dir = "log", .segment_bytes = 20000};
    int rc = outbound_open(&o, &err, &ob);
    if (rc != 0)
        fail_msg("open: %d %s", rc, err.text);
    return ob;
}

/* All that waits, into `seen`; then given back. */
static void check_waiting(struct outbound *ob, bool power)
{
    uint64_t next = outbound_next_seq(ob);
    bool *seen = mem_zalloc(next + 1);
    struct block_info i;
    uint64_t last = 0;
    while (outbound_take(ob, false, &i)) {
        assert_true(i.seq > last && i.seq < next);
        last = i.seq;
        seen[i.seq] = true;
    }
    for (uint64_t s = 1; s < next; s++) {
        struct truth *t = &truths[s];
        if (seen[s]) {
            outbound_put_back(ob, s);
            if (t->fate == EMPTY || (t->fate != PENDING && !t->maybe && !power))
                fail_msg("block %lu waits again", (unsigned long)s);
            t->fate = PENDING;
        } else if (t->fate == PENDING) {
            fail_msg("block %lu is lost", (unsigned long)s);
        }
        t->maybe = false;
    }
    free(seen);
}

static bool one_write(struct outbound *ob, uint64_t *offset)
{
    struct block *bs[6];
    size_t n = 0, groups = 1 + draw(2);
    for (size_t g = 0; g < groups; g++) {
        size_t k = 1 + draw(2);
        *offset += 10;
        for (size_t i = 0; i < k; i++, n++)
            bs[n] = make_block(*offset, i + 1 < k, &truths[outbound_next_seq(ob) + n]);
    }
    uint64_t before = outbound_next_seq(ob);
    int rc;
    bool died;
    do { /* what fails is written again as it is, like the sink does */
        rc = outbound_write(ob, bs, n);
        if (rc == 0)
            rc = outbound_sync(ob);
        died = disk.crash_at && disk.ops >= disk.crash_at;
        if (!died)
            outbound_settle(ob);
        if (rc != 0 && !died)
            assert_int_equal(outbound_next_seq(ob), before);
    } while (rc != 0 && !died);
    if (died)
        rc = -EIO; /* written or not: the next life tells */
    for (size_t i = 0; i < n; i++)
        block_free(bs[i]);
    if (rc != 0)
        return false;
    assert_int_equal(outbound_next_seq(ob), before + n);
    assert_int_equal(outbound_end(ob).offset, *offset);
    return true;
}

static void one_done(struct outbound *ob)
{
    struct block_info i, full;
    if (!outbound_take(ob, draw(2), &i))
        return;
    struct buf body;
    buf_init(&body, 1 << 20);
    int rc = outbound_load(ob, i.seq, &body, &full);
    if (rc != 0) {
        assert_int_not_equal(rc, -EBADMSG);
        outbound_put_back(ob, i.seq);
        buf_done(&body);
        return;
    }
    assert_int_equal(full.lines, i.lines);
    assert_int_equal(full.seq, i.seq);
    buf_done(&body);
    struct truth *t = &truths[i.seq];
    if (draw(8) == 0) {
        outbound_put_back(ob, i.seq);
        return;
    }
    struct outbound_refusal r[3];
    size_t n = 0;
    for (int c = 0; c < 3; c++) {
        t->refused[c] = draw(3) ? 0 : (uint32_t)draw(t->lines[c] + 1);
        if (t->refused[c])
            r[n++] = (struct outbound_refusal){NAMES[c], draw(2) ? "parse" : "field_type",
                                               t->refused[c]};
    }
    bool shed = draw(5) == 0;
    t->fate = shed ? SHED : ACCEPTED;
    rc = outbound_done(ob, i.seq, shed ? OUTBOUND_SHED : OUTBOUND_ACCEPTED, r, n);
    if (rc != 0) {
        if (disk.crash_at && disk.ops >= disk.crash_at) {
            t->maybe = true;
            return;
        }
        t->fate = PENDING;
        outbound_put_back(ob, i.seq);
    }
}

static long running;

static void one_run(uint64_t seed)
{
    disk_clear();
    rng = seed * 2654435761u + 1;
    disk.seed = rng ^ 0x9e3779b97f4a7c15u;
    memset(truths, 0, sizeof(truths));
    uint64_t offset = 0;
    struct outbound *ob = reopen(false);
    for (int life = 0; life < 6; life++) {
        if (draw(2))
            disk.crash_at = disk.ops + 1 + draw(300);
        for (int k = 0; k < 60; k++) {
            if (draw(6) == 0) {
                disk.fail_at = disk.ops + 1 + draw(20);
                disk.error = draw(2) ? -ENOSPC : -EIO;
            }
            uint64_t was = outbound_end(ob).offset;
            if (draw(3) == 0) {
                if (!one_write(ob, &offset) && disk.crash_at && disk.ops >= disk.crash_at)
                    break;
                offset = outbound_end(ob).offset;
                assert_true(offset >= was);
            } else {
                one_done(ob);
            }
            if (disk.crash_at && disk.ops >= disk.crash_at)
                break;
            check_totals(ob);
        }
        uint64_t next = outbound_next_seq(ob), end = outbound_end(ob).offset;
        outbound_close(ob);
        bool power = draw(2);
        disk.names = draw(2) ? DISK_NAMES_ANY : DISK_NAMES_PREFIX;
        ob = reopen(power);
        /* nothing that was settled is missing, and a group is whole or not there */
        assert_true(outbound_next_seq(ob) >= next);
        assert_true(outbound_end(ob).offset >= end);
        offset = outbound_end(ob).offset;
        check_waiting(ob, power);
        check_totals(ob);
        struct outbound_notes notes;
        outbound_notes(ob, &notes);
        assert_int_equal(notes.rotten_blocks, 0);
        assert_false(notes.ledger_lost);
    }
    /* in peace everything drains and folds */
    struct block_info i;
    while (outbound_take(ob, true, &i)) {
        memset(truths[i.seq].refused, 0, sizeof(truths[i.seq].refused));
        truths[i.seq].fate = ACCEPTED;
        assert_int_equal(outbound_done(ob, i.seq, OUTBOUND_ACCEPTED, NULL, 0), 0);
    }
    for (int k = 0; k < 40; k++) {
        assert_int_equal(outbound_sync(ob), 0);
        assert_int_equal(outbound_fold_error(ob), 0);
        outbound_settle(ob);
    }
    assert_false(outbound_wants_sync(ob));
    check_totals(ob);
    assert_true(outbound_bytes(ob) < 300000);
    outbound_close(ob);
    size_t files = 0;
    for (size_t k = 0; k < disk.now.n; k++)
        files += strstr(disk.now.names[k].path, ".blocks") != NULL;
    assert_true(files <= 2);
    ob = reopen(false);
    check_totals(ob);
    assert_int_equal(outbound_pending_blocks(ob), 0);
    outbound_close(ob);
}

static void test_random_failures_and_crashes(void **state)
{
    (void)state;
    const char *s = getenv("SEEDS"), *first = getenv("SEED");
    long n = s ? atol(s) : 300, from = first ? atol(first) : 1;
    for (long seed = from; seed < from + n; seed++) {
        running = seed;
        one_run((uint64_t)seed);
    }
    print_message("%ld seeds from %ld\n", n, from);
}

/* A sealed segment that was emptied: its neighbour tells how many blocks and lines are gone. */
static void test_a_truncated_segment_is_counted(void **state)
{
    (void)state;
    disk_clear();
    memset(truths, 0, sizeof(truths));
    uint64_t offset = 0, made = 0;
    struct outbound *ob = reopen(false);
    while (disk.now.n < 3)
        assert_true(one_write(ob, &offset));
    const struct outbound_share *sh;
    size_t n = outbound_shares(ob, &sh);
    for (size_t i = 0; i < n; i++)
        made += sh[i].made;
    outbound_close(ob);
    disk.now.names[0].in->size = OUT_HEADER;
    ob = reopen(false);
    struct outbound_notes notes;
    outbound_notes(ob, &notes);
    assert_true(notes.rotten_blocks > 1 && notes.rotten_lines > 0);
    uint64_t now_made = 0, refused = 0;
    n = outbound_shares(ob, &sh);
    for (size_t i = 0; i < n; i++) {
        now_made += sh[i].made;
        refused += strcmp(sh[i].compound, "?") == 0 ? sh[i].refused : 0;
    }
    assert_int_equal(now_made, made);
    assert_int_equal(refused, notes.rotten_lines);
    outbound_close(ob);
}

/* Takes and ends blocks, the oldest first, until a segment can be folded. */
static void end_a_segment(struct outbound *ob)
{
    struct block_info i;
    while (!outbound_wants_sync(ob)) {
        assert_true(outbound_take(ob, false, &i));
        truths[i.seq].fate = ACCEPTED;
        assert_int_equal(outbound_done(ob, i.seq, OUTBOUND_ACCEPTED, NULL, 0), 0);
    }
    outbound_settle(ob); /* plans the fold */
}

/* Two folds with nothing between them that syncs the folder, and the power goes at each operation of
 * the second. The disk has every change of names but the removals: what the first one counted is
 * not counted again. */
static void test_what_was_folded_does_not_rise(void **state)
{
    (void)state;
    bool died = true;
    for (uint64_t at = 1; died; at++) {
        disk_clear();
        memset(truths, 0, sizeof(truths));
        disk.names = DISK_NAMES_UNDELETED;
        rng = 7;
        uint64_t offset = 0;
        struct outbound *ob = reopen(false);
        while (disk.now.n < 3)
            assert_true(one_write(ob, &offset));
        end_a_segment(ob);
        assert_int_equal(outbound_sync(ob), 0);
        outbound_settle(ob);
        end_a_segment(ob);
        disk.crash_at = disk.ops + at;
        (void)outbound_sync(ob);
        died = disk.ops >= disk.crash_at;
        outbound_close(ob);
        ob = reopen(true);
        check_waiting(ob, true);
        check_totals(ob);
        outbound_close(ob);
    }
}

/* The header of a block, wherever it stands. */
static char *header_of(uint64_t seq)
{
    for (size_t i = 0; i < disk.now.n; i++) {
        struct inode *in = disk.now.names[i].in;
        for (size_t at = 0; at + BLOCK_HEADER_MIN <= in->size; at += BLOCK_ALIGN)
            if (memcmp(in->data + at, "GHOB", 4) == 0 &&
                memcmp(in->data + at + 40, &seq, sizeof(seq)) == 0)
                return in->data + at;
    }
    fail_msg("no block %lu", (unsigned long)seq);
    return NULL;
}

static uint64_t lines_of_reason(struct outbound *ob, const char *reason)
{
    const struct outbound_reason *r;
    size_t n = outbound_reasons(ob, &r);
    for (size_t i = 0; i < n; i++)
        if (strcmp(r[i].reason, reason) == 0)
            return r[i].lines;
    return 0;
}

/* A header that rots after the open: the oldest one must not end the shedding, and one that was taken
 * does not wait for a mark for ever. */
static void test_a_rotten_header_is_done(void **state)
{
    (void)state;
    disk_clear();
    memset(truths, 0, sizeof(truths));
    rng = 7;
    uint64_t offset = 0, seq, next;
    struct outbound *ob = reopen(false);
    while (disk.now.n < 3)
        assert_true(one_write(ob, &offset));
    uint64_t pending = outbound_pending_lines(ob);
    assert_true(outbound_oldest_routine(ob, &seq));
    header_of(seq)[48] ^= 1;
    assert_int_equal(outbound_done(ob, seq, OUTBOUND_SHED, NULL, 0), 0);
    assert_true(outbound_oldest_routine(ob, &next) && next > seq);
    struct block_info i;
    assert_true(outbound_take(ob, false, &i));
    header_of(i.seq)[48] ^= 1;
    assert_int_equal(outbound_done(ob, i.seq, OUTBOUND_ACCEPTED, NULL, 0), 0);
    struct outbound_notes notes;
    outbound_notes(ob, &notes);
    assert_int_equal(notes.rotten_blocks, 2);
    assert_int_equal(lines_of_reason(ob, "corrupt"), notes.rotten_lines);
    assert_int_equal(outbound_pending_lines(ob), pending - notes.rotten_lines);
    end_a_segment(ob); /* and is folded like another */
    assert_int_equal(outbound_sync(ob), 0);
    outbound_settle(ob);
    assert_int_equal(outbound_fold_error(ob), 0);
    assert_false(outbound_wants_sync(ob));
    outbound_close(ob);
}

/* What is shed is no longer counted, so it must not stay on the disk: the segment may have to, for an
 * alarm that waits beside it. */
static void test_what_is_shed_gives_its_room_back(void **state)
{
    (void)state;
    disk_clear();
    memset(truths, 0, sizeof(truths));
    rng = 7;
    struct block *b = NULL;
    do {
        block_free(b);
        b = make_block(10, false, &truths[1]);
    } while (b->info.class_ != POINT_ROUTINE || truths[1].fate == EMPTY);
    free(b->body);
    b->body = mem_zalloc(20000);
    memset(b->body, 'b', 20000);
    b->info.body_bytes = b->info.raw_bytes = 20000;
    struct outbound *ob = reopen(false);
    assert_int_equal(outbound_write(ob, &b, 1), 0);
    assert_int_equal(outbound_sync(ob), 0);
    outbound_settle(ob);
    block_free(b);
    assert_int_equal(outbound_done(ob, 1, OUTBOUND_SHED, NULL, 0), 0);
    outbound_settle(ob); /* plans the hole */
    assert_int_equal(outbound_sync(ob), 0);
    const char *data = disk_find("log/0000000000000001.blocks")->in->data;
    assert_true(data[4095] == 'b' && data[4096] == 0 && data[16383] == 0 && data[16384] == 'b');
    outbound_close(ob);
}

/* A block that waits, a group by itself. */
static void write_one_block(struct outbound *ob, uint64_t *offset)
{
    struct block *b = NULL;
    struct truth *t = &truths[outbound_next_seq(ob)];
    *offset += 10;
    do {
        block_free(b);
        b = make_block(*offset, false, t);
    } while (t->fate == EMPTY);
    assert_int_equal(outbound_write(ob, &b, 1), 0);
    assert_int_equal(outbound_sync(ob), 0);
    outbound_settle(ob);
    block_free(b);
}

static bool begins_a_segment(uint64_t seq)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "log/%016lx.blocks", (unsigned long)seq);
    return disk_find(path) != NULL;
}

/* The last block rots, and only the ledger knows that it was there. What is written after it is none
 * of what is lost. */
static void test_a_rotten_end_takes_nothing_with_it(void **state)
{
    (void)state;
    disk_clear();
    memset(truths, 0, sizeof(truths));
    rng = 7;
    uint64_t offset = 0, made = 0, kept = 0;
    struct outbound *ob = reopen(false);
    while (disk.now.n < 3 || begins_a_segment(outbound_next_seq(ob) - 1))
        write_one_block(ob, &offset);
    end_a_segment(ob);
    assert_int_equal(outbound_sync(ob), 0);
    outbound_settle(ob);
    uint64_t next = outbound_next_seq(ob);
    outbound_close(ob);
    header_of(next - 1)[48] ^= 1;
    ob = reopen(false);
    assert_int_equal(outbound_next_seq(ob), next); /* not used twice */
    write_one_block(ob, &offset);
    outbound_close(ob);
    ob = reopen(false);
    assert_int_equal(outbound_next_seq(ob), next + 1);
    struct block_info i;
    assert_true(outbound_take(ob, true, &i));
    assert_int_equal(i.seq, next);
    for (uint64_t s = 1; s <= next; s++)
        for (int c = 0; c < 3; c++)
            made += truths[s].lines[c] + truths[s].unwritable[c];
    const struct outbound_share *sh;
    size_t n = outbound_shares(ob, &sh);
    for (size_t k = 0; k < n; k++)
        kept += sh[k].made;
    assert_int_equal(kept, made);
    outbound_close(ob);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_failures_and_crashes),
        cmocka_unit_test(test_a_truncated_segment_is_counted),
        cmocka_unit_test(test_what_was_folded_does_not_rise),
        cmocka_unit_test(test_a_rotten_header_is_done),
        cmocka_unit_test(test_a_rotten_end_takes_nothing_with_it),
        cmocka_unit_test(test_what_is_shed_gives_its_room_back),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    disk_clear();
    if (rc != 0)
        (void)printf("SEED=%ld SEEDS=1 runs the last one again\n", running);
    return rc;
}
