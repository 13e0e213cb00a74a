/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outbound: any bytes as two segments, their marks and the ledger. A log opens or says why not;
 * what it gives adds up, is the same when it is opened again, takes new blocks and drains.
 * With the first byte odd the files are good ones, damaged where the input says.
 */
#include "../unit/mem_disk.h"
#include "base/check.h"
#include "io/outbound.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sums {
    uint64_t made, accepted, refused, shed, pending;
};

static struct sums sum(const struct outbound *ob)
{
    const struct outbound_share *s;
    struct sums r = {.pending = outbound_pending_lines(ob)};
    size_t n = outbound_shares(ob, &s);
    for (size_t i = 0; i < n; i++) {
        r.made += s[i].made;
        r.accepted += s[i].accepted;
        r.refused += s[i].refused;
        r.shed += s[i].shed;
    }
    return r;
}

static struct block *make(uint64_t offset, uint32_t lines)
{
    struct block *b = mem_zalloc(sizeof(*b));
    b->shares = mem_zalloc(sizeof(*b->shares));
    memcpy(b->shares->compound, "nanan", 6);
    b->shares->lines = lines;
    b->body = mem_zalloc(500);
    b->info = (struct block_info){.to = {offset, 0, 0},
                                  .lines = lines,
                                  .raw_bytes = 500,
                                  .body_bytes = 500,
                                  .shares = b->shares,
                                  .n_shares = 1};
    return b;
}

static void write_some(struct outbound *ob, int n)
{
    for (int i = 0; i < n; i++) {
        struct block *b = make(outbound_end(ob).offset + 1, 3 + (uint32_t)i);
        ASSERT(outbound_write(ob, &b, 1) == 0);
        ASSERT(outbound_sync(ob) == 0);
        outbound_settle(ob);
        block_free(b);
    }
}

static void finish_some(struct outbound *ob, int n)
{
    struct block_info i;
    struct outbound_refusal r = {"nanan", "parse", 1};
    while (n-- > 0 && outbound_take(ob, n % 2, &i))
        ASSERT(outbound_done(ob, i.seq, OUTBOUND_ACCEPTED, &r, n % 3 == 0) == 0);
    (void)outbound_sync(ob);
    outbound_settle(ob);
}

static struct outbound *open_log(void)
{
    struct outbound *ob = NULL;
    struct err e;
    struct outbound_options o = {.dir = "log", .segment_bytes = 2500};
    return outbound_open(&o, &e, &ob) == 0 ? ob : NULL;
}

static void put_file(const char *path, const uint8_t *p, size_t n)
{
    struct file *f;
    ASSERT(file_open(path, FILE_WRITE | FILE_CREATE, &f) == 0);
    ASSERT(n == 0 || file_write(f, 0, p, n) == 0);
    file_close(f);
}

static size_t count_segments(void)
{
    size_t n = 0;
    for (size_t i = 0; i < disk.now.n; i++)
        n += strstr(disk.now.names[i].path, ".blocks") != NULL;
    return n;
}

static void from_input(const uint8_t *p, size_t n)
{
    static const char *const paths[] = {"log/0000000000000001.blocks",
                                        "log/0000000000000001.marks",
                                        "log/0000000000000004.blocks", "log/ledger"};
    for (int i = 0; i < 4; i++) {
        size_t k = n / 4 + (i == 3 ? n % 4 : 0);
        put_file(paths[i], p, k);
        p += k;
    }
}

/* Triples: which file, where, what. */
static void damage(const uint8_t *p, size_t n)
{
    for (; n >= 4 && disk.now.n; p += 4, n -= 4) {
        struct inode *in = disk.now.names[p[0] % disk.now.n].in;
        size_t at = (size_t)p[1] << 8 | p[2];
        if (in->size == 0)
            continue;
        if (p[0] & 0x80)
            in->size = at % (in->size + 1);
        else
            in->data[at % in->size] = (char)p[3];
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    disk_clear();
    struct outbound *ob;
    bool good = data[0] & 1;
    if (good) {
        ob = open_log();
        write_some(ob, 4 + data[0] / 32);
        finish_some(ob, data[0] / 16 % 8);
        write_some(ob, 3);
        finish_some(ob, data[0] / 4 % 4);
        outbound_close(ob);
        damage(data + 1, size - 1);
    } else {
        from_input(data + 1, size - 1);
    }
    size_t segments = count_segments();
    ob = open_log();
    if (!ob)
        goto out;
    struct outbound_notes notes;
    outbound_notes(ob, &notes);
    struct sums s = sum(ob);
    /* a lost ledger takes the made of its segments with it, never what still waits */
    ASSERT(s.made == s.accepted + s.refused + s.shed + s.pending || !good || notes.ledger_lost);
    uint64_t next = outbound_next_seq(ob), bytes = outbound_bytes(ob);
    outbound_close(ob);
    size_t left = count_segments();
    ob = open_log(); /* what was cut is cut */
    ASSERT(ob);
    struct sums again = sum(ob);
    /* where nothing was damaged; else a last segment that is all rot can make the one before it
     * the last, whose rot is then a tear */
    if (!notes.torn_bytes && !notes.rotten_blocks && !notes.ledger_lost && segments == left)
        ASSERT(memcmp(&s, &again, sizeof(s)) == 0 && bytes == outbound_bytes(ob) &&
               next == outbound_next_seq(ob));
    struct buf body;
    buf_init(&body, 1 << 24);
    struct block_info i;
    while (outbound_take(ob, false, &i))
        if (outbound_load(ob, i.seq, &body, &i) == 0)
            ASSERT(outbound_done(ob, i.seq, OUTBOUND_ACCEPTED, NULL, 0) == 0);
    ASSERT(outbound_pending_lines(ob) == 0);
    if (next < UINT64_MAX / 2)
        write_some(ob, 3);
    buf_done(&body);
    outbound_close(ob);
out:
    disk_clear();
    return 0;
}
