/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Damaged journals of every kind: tests/data/journal/<kind>/, and what open must do with each.
 * `test_journal_recover --make` writes them again, byte for byte the same (the clock is faked);
 * a change in them is a change of the format.
 */
#include "core/record.h"
#include "io/file.h"
#include "io/journal.h"
#include "sim/fake_clock.h"
#include "unit/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

enum { SEGMENT = 16384, RECORD = 1056, PER_SEGMENT = 11, MESSAGES = 25 };
#define DATA "tests/data/journal"

/* Message n (from 1) stands in segment (n-1)/11 at this place of the file. */
static off_t place(int n)
{
    return SEGMENT_HEADER + (off_t)((n - 1) % PER_SEGMENT) * RECORD;
}

struct kind {
    const char *name;
    bool killed;    /* without a clean stop */
    uint64_t known; /* as given to open */
    int open;       /* its result */
    bool unclean, lost_known;
    bool cut;                 /* something behind the last record was thrown away */
    unsigned messages;        /* that can be read */
    unsigned stretches, lost; /* bad stretches, messages in them */
    unsigned unreadable, damaged_headers, missing;
    void (*damage)(const char *dir);
};

/* -- damage -------------------------------------------------------------------------------- */

static void segment_path(char *room, size_t n, const char *dir, int segment)
{
    (void)snprintf(room, n, "%s/%016x.journal", dir, (unsigned)(segment * SEGMENT));
}

static void overwrite(const char *dir, int segment, off_t at, const void *p, size_t n)
{
    char path[400];
    segment_path(path, sizeof(path), dir, segment);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, p, n, at), n);
    close(fd);
}

static void torn_tail(const char *dir)
{
    static const char zero[RECORD];
    overwrite(dir, 2, place(MESSAGES) + 512, zero, RECORD - 512);
}

static void bad_body(const char *dir)
{
    overwrite(dir, 0, place(5) + 500, "!", 1);
}

static void bad_length(const char *dir)
{
    overwrite(dir, 0, place(5), "\x08\x00\x00\x00", 4);
}

static void zero_length(const char *dir)
{
    overwrite(dir, 0, place(5), "\0\0\0\0", 4);
}

static void bad_header(const char *dir)
{
    overwrite(dir, 0, place(5) + 24, "!", 1);
    overwrite(dir, 0, place(6) + 24, "!", 1);
}

static void truncated(const char *dir)
{
    char path[400];
    segment_path(path, sizeof(path), dir, 1);
    assert_int_equal(truncate(path, place(15) + 100), 0);
}

static void wrong_magic(const char *dir)
{
    overwrite(dir, 1, 0, "NOTHING!", 8);
    overwrite(dir, 1, SEGMENT_HEADER_COPY, "NOTHING!", 8);
}

static void missing(const char *dir)
{
    char path[400];
    segment_path(path, sizeof(path), dir, 1);
    assert_int_equal(unlink(path), 0);
}

static void stale(const char *dir)
{
    overwrite(dir, 2, place(MESSAGES - 1) + 500, "!", 1);
}

static void header_rot(const char *dir)
{
    overwrite(dir, 1, 30, "!", 1);
}

static void future(const char *dir)
{
    char page[SEGMENT_HEADER], path[400];
    struct segment_info info;
    bool rot;
    segment_path(path, sizeof(path), dir, 2);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, page, sizeof(page)), sizeof(page));
    close(fd);
    assert_int_equal(segment_decode(page, &info, &rot), 0);
    segment_encode_as(&info, SEGMENT_VERSION + 1, page);
    overwrite(dir, 2, 0, page, SEGMENT_SEAL);
    overwrite(dir, 2, SEGMENT_HEADER_COPY, page + SEGMENT_HEADER_COPY, 128);
}

static void empty_file(const char *dir)
{
    char path[400];
    segment_path(path, sizeof(path), dir, 0);
    assert_int_equal(truncate(path, 0), 0);
}

enum { LAST = 2 * SEGMENT + SEGMENT_HEADER + 3 * RECORD };

static const struct kind kinds[] = {
    {"good", .messages = 25},
    {"zero-tail", .killed = true, .unclean = true, .messages = 25},
    {"torn-tail", .killed = true, .unclean = true, .cut = true, .messages = 24,
     .damage = torn_tail},
    /* whole records behind a bad one are cut, or kept, by what is known to have been synced */
    {"stale", .killed = true, .unclean = true, .cut = true, .messages = 23, .damage = stale},
    {"stale", .killed = true, .known = LAST, .unclean = true, .messages = 24, .stretches = 1,
     .lost = 1},
    {"stale", .killed = true, .known = LAST - RECORD, .unclean = true, .messages = 24,
     .stretches = 1, .lost = 1},
    {"torn-tail", .killed = true, .known = LAST, .unclean = true, .cut = false, .messages = 24,
     .stretches = 1, .lost = 0},
    {"bad-body", .messages = 24, .stretches = 1, .lost = 1, .damage = bad_body},
    {"bad-length", .messages = 24, .stretches = 1, .lost = 1, .damage = bad_length},
    {"zero-length", .messages = 24, .stretches = 1, .lost = 1, .damage = zero_length},
    {"bad-header", .messages = 23, .stretches = 1, .lost = 2, .damage = bad_header},
    {"truncated", .messages = 17, .stretches = 1, .lost = 8, .damage = truncated},
    {"wrong-magic", .messages = 14, .stretches = 1, .lost = 11, .unreadable = 1,
     .damage = wrong_magic},
    {"missing", .messages = 14, .stretches = 1, .lost = 11, .missing = 1, .damage = missing},
    {"header-rot", .messages = 25, .damaged_headers = 1, .damage = header_rot},
    {"future", .open = -ENOTSUP, .damage = future},
    {"empty-file", .messages = 14, .stretches = 1, .lost = 0, .unreadable = 1,
     .damage = empty_file},
    {"good", .known = 1 << 20, .lost_known = true, .messages = 25},
};
enum { KINDS = sizeof(kinds) / sizeof(*kinds) };

/* -- making -------------------------------------------------------------------------------- */

static void fill(char *body, size_t n, int message)
{
    for (size_t i = 0; i < n; i++)
        body[i] = (char)('a' + (message + (int)i) % 26);
}

static int append(struct journal *j, enum record_type type, const char *body, size_t n)
{
    uint64_t end;
    struct record r = {
        .type = type, .broker = 0, .flags = 1, .packet_id = 7, .body = body, .body_len = n};
    if (type == RECORD_MESSAGE) {
        r.topic = "gaihou/v1/up/p1";
        r.topic_len = 15;
    }
    return journal_append(j, &r, &end);
}

static struct journal_options options(const char *dir)
{
    return (struct journal_options){
        .dir = dir, .max_bytes = 1 << 20, .segment_bytes = SEGMENT, .copy = JOURNAL_COPY_WRITE};
}

static int write_journal(const char *dir, bool stop)
{
    struct journal *j;
    struct err err;
    struct journal_recovery rec;
    char body[RECORD - RECORD_HEADER - 15];
    struct journal_options o = options(dir);
    int e = journal_open(&o, &err, &rec, &j);
    for (int i = 1; e == 0 && i <= MESSAGES; i++) {
        fill(body, sizeof(body), i);
        e = append(j, RECORD_MESSAGE, body, sizeof(body));
        if (e == 0 && i == 2 * PER_SEGMENT + 1)
            e = journal_sync(j);
    }
    if (e == 0 && stop)
        e = append(j, RECORD_STOP, "", 0);
    if (e == 0 && stop)
        e = journal_close(j);
    return e;
}

static void make(const char *dir, const struct kind *k)
{
    char lock[500];
    pid_t pid = fork(); /* so that a kill is one, and every journal begins at the same time */
    if (pid == 0)
        _exit(write_journal(dir, !k->killed) == 0 ? 0 : 1);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    if (k->damage)
        k->damage(dir);
    (void)snprintf(lock, sizeof(lock), "%s/lock", dir);
    (void)unlink(lock);
}

static int make_all(void)
{
    char path[400];
    (void)mkdir(DATA, 0755);
    for (size_t i = 0; i < KINDS; i++) {
        (void)snprintf(path, sizeof(path), DATA "/%s", kinds[i].name);
        if (i > 0 && access(path, F_OK) == 0 && !kinds[i].damage)
            continue; /* the same files, opened otherwise */
        scratch_remove(path);
        make(path, &kinds[i]);
    }
    return 0;
}

/* -- opening ------------------------------------------------------------------------------- */

struct seen {
    unsigned messages, stretches, lost;
};

static struct seen read_all(struct journal *j, uint64_t from)
{
    struct journal_reader *r;
    struct record x;
    struct seen s = {0};
    uint64_t last = 0;
    char body[RECORD - RECORD_HEADER - 15];
    int e;
    assert_int_equal(journal_reader_open(j, from, &r), 0);
    while ((e = journal_read(r, &x)) != 0) {
        if (e == -EBADMSG) {
            assert_true(x.end > x.offset);
            s.stretches++;
            s.lost += (unsigned)x.messages;
            continue;
        }
        assert_int_equal(e, 1);
        assert_true(x.engine_ns > last);
        last = x.engine_ns;
        if (x.type != RECORD_MESSAGE)
            continue;
        s.messages++;
        if (x.body_len == sizeof(body)) {
            fill(body, sizeof(body), (int)x.messages);
            assert_memory_equal(x.body, body, sizeof(body));
        }
    }
    journal_reader_close(r);
    return s;
}

static void copy_files(const char *from, const char *to)
{
    char command[1000];
    (void)snprintf(command, sizeof(command), "cp -r '%s' '%s'", from, to);
    assert_int_equal(system(command), 0);
}

static void check(const struct kind *k, const struct journal_recovery *rec, struct seen s)
{
    assert_int_equal(rec->unclean, k->unclean);
    assert_int_equal(rec->lost_known, k->lost_known);
    assert_int_equal(rec->cut_bytes > 0, k->cut);
    assert_int_equal(rec->unreadable, k->unreadable);
    assert_int_equal(rec->damaged_headers, k->damaged_headers);
    assert_int_equal(rec->missing, k->missing);
    assert_int_equal(s.messages, k->messages);
    assert_int_equal(s.stretches, k->stretches);
    assert_int_equal(s.lost, k->lost);
}

static void open_kind(const struct kind *k, const char *dir)
{
    struct journal *j;
    struct err err;
    struct journal_recovery rec;
    struct journal_options o = options(dir);
    o.known = k->known;
    o.read_only = true; /* first as a tool sees it; it changes nothing */
    for (int pass = 0; pass < 3; pass++, o.read_only = false) {
        int e = journal_open(&o, &err, &rec, &j);
        assert_int_equal(e, k->open);
        if (e < 0) {
            assert_non_null(strstr(err.text, "newer version"));
            continue;
        }
        struct seen s = read_all(j, 0);
        if (pass < 2) {
            check(k, &rec, s);
        } else { /* what recovery did was done once; the damage below is kept, and told again */
            assert_false(rec.unclean || rec.lost_known || rec.cut_bytes > 0);
            assert_int_equal(s.messages, k->messages + 1);
            assert_int_equal(s.stretches, k->stretches);
            assert_int_equal(s.lost, k->lost);
        }
        if (!o.read_only) {
            assert_true(rec.end >= k->known);
            assert_true(rec.end % SEGMENT_HEADER == 0);
            assert_int_equal(append(j, RECORD_MESSAGE, "new", 3), 0);
            assert_int_equal(read_all(j, rec.end).messages, 1);
            assert_int_equal(append(j, RECORD_STOP, "", 0), 0);
        }
        assert_int_equal(journal_close(j), 0);
    }
}

static void test_kinds(void **state)
{
    (void)state;
    char base[256], from[300], to[300];
    for (size_t i = 0; i < KINDS; i++) {
        scratch_make(base, sizeof(base));
        (void)snprintf(from, sizeof(from), DATA "/%s", kinds[i].name);
        (void)snprintf(to, sizeof(to), "%s/journal", base);
        print_message("  %s, known %u\n", kinds[i].name, (unsigned)kinds[i].known);
        copy_files(from, to);
        open_kind(&kinds[i], to);
        scratch_remove(base);
    }
}

static void test_time(void **state)
{
    (void)state;
    char base[256];
    struct journal *j;
    struct err err;
    struct journal_recovery rec;
    struct journal_options o = options(scratch_make(base, sizeof(base)));
    const int64_t s = 1000000000;
    uint64_t last = 0;
    static const struct {
        int64_t away_s; /* 0: the same boot */
        bool before, after;
        enum journal_time expected;
    } steps[] = {
        {0, true, true, JOURNAL_TIME_FRESH},
        {0, true, true, JOURNAL_TIME_BOOT},
        {7200, true, true, JOURNAL_TIME_WALL},
        {-7200, true, true, JOURNAL_TIME_UNKNOWN}, /* backwards */
        {7200, true, false, JOURNAL_TIME_UNKNOWN},
        {7200, false, true, JOURNAL_TIME_UNKNOWN},
        {401 * 86400, true, true, JOURNAL_TIME_UNKNOWN}, /* one start in another year */
        {1, true, true, JOURNAL_TIME_WALL},
    };
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        if (i > 0 && steps[i].away_s != 0)
            fake_clock_reboot(steps[i].away_s * s);
        fake_clock_synced = steps[i].after;
        assert_int_equal(journal_open(&o, &err, &rec, &j), 0);
        assert_int_equal(rec.time, steps[i].expected);
        assert_int_equal(rec.last_engine_ns, last);
        struct record r = {.type = RECORD_MESSAGE};
        uint64_t end;
        if (i + 1 < sizeof(steps) / sizeof(*steps))
            fake_clock_synced = steps[i + 1].before;
        fake_clock_boot += 2000000000; /* so that it is asked again */
        fake_clock_wall += 2000000000;
        assert_int_equal(journal_append(j, &r, &end), 0);
        assert_true(r.engine_ns > last);
        if (steps[i].expected == JOURNAL_TIME_WALL) {
            assert_true(rec.gap_ns >= steps[i].away_s * s);
            assert_true(rec.gap_ns < (steps[i].away_s + 1) * s);
        }
        if (steps[i].expected == JOURNAL_TIME_UNKNOWN)
            assert_true(rec.gap_ns <= 1000000);
        last = r.engine_ns;
        assert_int_equal(journal_close(j), 0);
    }
    o.known_engine_ns = last + 3600 * (uint64_t)s; /* a tick that a cursor knows */
    assert_int_equal(journal_open(&o, &err, &rec, &j), 0);
    uint64_t tick, end;
    journal_tick(j, &tick, &end);
    assert_true(tick > o.known_engine_ns);
    assert_int_equal(journal_close(j), 0);
    scratch_remove(base);
}

static void test_known_messages(void **state)
{
    (void)state;
    char base[256], dir[300];
    struct journal *j;
    struct err err;
    struct journal_recovery rec;
    (void)snprintf(dir, sizeof(dir), "%s/j", scratch_make(base, sizeof(base)));
    copy_files(DATA "/torn-tail", dir);
    struct journal_options o = options(dir);
    o.known = LAST;
    o.known_messages = 25;
    assert_int_equal(journal_open(&o, &err, &rec, &j), 0);
    assert_int_equal(rec.messages, 25);
    assert_int_equal(append(j, RECORD_MESSAGE, "x", 1), 0);
    struct seen s = read_all(j, 0);
    assert_int_equal(s.messages, 25);
    assert_int_equal(s.lost, 1); /* exact, though nothing of it verifies */
    assert_int_equal(journal_close(j), 0);
    scratch_remove(base);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--make") == 0)
        return make_all();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_known_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
