/* SPDX-License-Identifier: Apache-2.0 */
/* The journal on real files, both ways of copying. */
#include "io/file.h"
#include "io/journal.h"
#include "unit/scratch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <cmocka.h>

static char base[200], dir[300], archive[300];
static enum journal_copy copy;
static struct err err;
static struct journal_recovery rec;

static int setup(void **state)
{
    copy = *(enum journal_copy *)*state;
    scratch_make(base, sizeof(base));
    (void)snprintf(dir, sizeof(dir), "%s/journal", base);
    (void)snprintf(archive, sizeof(archive), "%s/archive", base);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_remove(base);
    return 0;
}

static struct journal *open_with(struct journal_options o)
{
    struct journal *j = NULL;
    o.dir = dir;
    o.copy = copy;
    if (!o.max_bytes)
        o.max_bytes = 1 << 20;
    if (!o.segment_bytes)
        o.segment_bytes = 16384;
    int e = journal_open(&o, &err, &rec, &j);
    if (e < 0)
        print_error("%s\n", err.text);
    assert_int_equal(e, 0);
    return j;
}

static int put(struct journal *j, enum record_type type, const char *body, size_t n)
{
    uint64_t end;
    struct record r = {
        .type = type, .topic = "t", .topic_len = 1, .body = body, .body_len = n, .broker = 255};
    return journal_append(j, &r, &end);
}

static size_t count(struct journal *j, uint64_t from)
{
    struct journal_reader *r;
    struct record x;
    size_t n = 0;
    assert_int_equal(journal_reader_open(j, from, &r), 0);
    while (journal_read(r, &x) == 1)
        n++;
    journal_reader_close(r);
    return n;
}

static void test_append_read(void **state)
{
    (void)state;
    struct journal *j = open_with((struct journal_options){0});
    struct journal_reader *r;
    struct record x;
    assert_int_equal(rec.time, JOURNAL_TIME_FRESH);
    assert_false(rec.unclean);
    assert_int_equal(journal_reader_open(j, 0, &r), 0);
    assert_int_equal(journal_read(r, &x), 0);
    char body[1000];
    uint64_t last = 0;
    for (int i = 0; i < 200; i++) {
        memset(body, i, sizeof(body));
        assert_int_equal(put(j, RECORD_MESSAGE, body, (size_t)(i * 5)), 0);
        assert_int_equal(journal_read(r, &x), 1);
        assert_int_equal(x.body_len, i * 5);
        assert_memory_equal(x.body, body, x.body_len);
        assert_int_equal(x.messages, i + 1);
        assert_true(x.engine_ns > last);
        last = x.engine_ns;
        assert_int_equal(journal_read(r, &x), 0);
        assert_true(journal_end(j) >= x.end);
    }
    struct journal_stats st;
    journal_stats(j, &st);
    assert_true(st.segments > 5);
    assert_int_equal(st.messages, 200);
    assert_int_equal(st.mapped, copy == JOURNAL_COPY_MAP);
    assert_int_equal(journal_sync(j), 0);
    assert_int_equal(journal_synced(j), journal_end(j));
    journal_reader_close(r);
    assert_int_equal(put(j, RECORD_STOP, "", 0), 0);
    uint64_t end = journal_end(j);
    assert_int_equal(journal_close(j), 0);

    j = open_with((struct journal_options){.known = end});
    assert_false(rec.unclean);
    assert_false(rec.lost_known);
    assert_int_equal(rec.time, JOURNAL_TIME_BOOT);
    assert_int_equal(rec.messages, 200);
    assert_int_equal(count(j, 0), 201);
    assert_int_equal(count(j, end), 0);
    assert_int_equal(journal_close(j), 0);
}

/* One record by its place: also of a segment that nobody has mapped, or that is gone or damaged. */
static void fetched(struct journal *j, const struct record *x)
{
    struct record y;
    char *bytes = NULL;
    assert_int_equal(journal_fetch(j, x->offset, &y, &bytes), 0);
    assert_int_equal(y.type, x->type);
    assert_int_equal(y.engine_ns, x->engine_ns);
    assert_int_equal(y.messages, x->messages);
    assert_int_equal(y.end, x->end);
    assert_int_equal(y.body_len, x->body_len);
    assert_memory_equal(y.body, x->body, x->body_len);
    assert_true(y.body > bytes);
    for (size_t i = 0; i < RECORD_READABLE; i++) /* may be read; what decoders want */
        assert_int_equal(y.body[y.body_len + i], 0);
    free(bytes);
}

static int not_fetched(struct journal *j, uint64_t offset)
{
    struct record y;
    char *bytes = NULL;
    int e = journal_fetch(j, offset, &y, &bytes);
    assert_null(bytes);
    return e;
}

static void test_fetch(void **state)
{
    (void)state;
    struct journal *j = open_with((struct journal_options){0});
    struct journal_reader *r;
    struct record x, *all = calloc(60, sizeof(*all));
    char body[1200], path[400];
    assert_int_equal(not_fetched(j, 4096), -ERANGE); /* nothing is there yet */
    for (int i = 0; i < 60; i++) {
        memset(body, i + 1, sizeof(body));
        assert_int_equal(put(j, RECORD_MESSAGE, body, (size_t)i * 20), 0);
    }
    assert_int_equal(journal_reader_open(j, 0, &r), 0);
    for (int i = 0; journal_read(r, &x) == 1; i++)
        all[i] = x;
    for (int i = 59; i >= 0; i--)
        fetched(j, &all[i]);
    assert_int_equal(not_fetched(j, all[5].offset + 8), -EBADMSG);
    assert_int_equal(not_fetched(j, all[5].offset + 1), -EBADMSG);
    assert_int_equal(not_fetched(j, journal_end(j)), -ERANGE);
    assert_int_equal(not_fetched(j, 0), -ERANGE); /* a header */
    assert_int_equal(not_fetched(j, UINT64_MAX - 7), -ERANGE);
    uint64_t third = 3 * 16384;
    journal_reader_close(r);
    assert_int_equal(put(j, RECORD_STOP, "", 0), 0);
    uint64_t end = journal_end(j), first = all[0].offset, later = 0, damaged = 0;
    for (int i = 0; i < 60 && later == 0; i++)
        later = all[i].offset > third ? all[i].offset : 0;
    for (int i = 0; i < 60; i++)
        damaged = all[i].offset < third ? all[i].offset : damaged;
    assert_int_equal(journal_close(j), 0);

    j = open_with((struct journal_options){.known = end});
    char *bytes;
    assert_int_equal(journal_fetch(j, later, &x, &bytes), 0);
    assert_int_equal(x.offset, later);
    free(bytes);
    (void)snprintf(path, sizeof(path), "%s/%016x.journal", dir, 2 * 16384);
    FILE *f = fopen(path, "r+e");
    assert_non_null(f);
    assert_int_equal(fseek(f, (long)(damaged - 2 * 16384 + RECORD_HEADER + 10), SEEK_SET), 0);
    assert_int_equal(fputc('!', f), '!');
    (void)fclose(f);
    assert_int_equal(not_fetched(j, damaged), -EBADMSG);
    assert_int_equal(journal_release(j, third, NULL), 0);
    assert_int_equal(not_fetched(j, first), -ERANGE);
    assert_int_equal(not_fetched(j, damaged), -ERANGE);
    assert_int_equal(journal_archive_fetch(archive, first, &x, &bytes), -ERANGE); /* none yet */
    assert_int_equal(put(j, RECORD_START, "", 0), 0);
    assert_int_equal(journal_sync(j), 0);
    assert_int_equal(journal_release(j, journal_end(j), archive), 0);
    bytes = NULL;
    assert_int_equal(not_fetched(j, later), -ERANGE);
    assert_int_equal(journal_archive_fetch(archive, later, &x, &bytes), 0);
    assert_int_equal(x.offset, later);
    assert_true(x.body_len >= 20 && x.body_len % 20 == 0);
    for (size_t i = 0; i < x.body_len; i++)
        assert_int_equal((unsigned char)x.body[i], x.body_len / 20 + 1);
    free(bytes);
    bytes = NULL;
    assert_int_equal(journal_archive_fetch(archive, later + 8, &x, &bytes), -EBADMSG);
    assert_int_equal(journal_archive_fetch(archive, later + 1, &x, &bytes), -ERANGE);
    assert_int_equal(journal_archive_fetch(archive, first, &x, &bytes), -ERANGE);
    assert_int_equal(journal_archive_fetch(archive, UINT64_MAX - 7, &x, &bytes), -ERANGE);
    assert_null(bytes);
    free(all);
    assert_int_equal(journal_close(j), 0);
}

static struct journal *asked; /* for its first record, while the archive takes it */
static unsigned found;
int __real_file_rename(const char *from, const char *to);
int __wrap_file_rename(const char *from, const char *to);
int __wrap_file_rename(const char *from, const char *to)
{
    size_t n = strlen(to);
    if (asked && n > 4 && strcmp(to + n - 4, ".zst") == 0) {
        struct record x;
        char *bytes = NULL;
        found += journal_fetch(asked, SEGMENT_HEADER, &x, &bytes) == 0;
        free(bytes);
    }
    return __real_file_rename(from, to);
}

/* At no moment is a record neither in the journal nor in the archive. */
static void test_fetch_while_archived(void **state)
{
    (void)state;
    struct journal *j = open_with((struct journal_options){0});
    struct record x;
    char body[1000] = {0}, *bytes = NULL;
    for (int i = 0; i < 30; i++)
        assert_int_equal(put(j, RECORD_MESSAGE, body, sizeof(body)), 0);
    assert_int_equal(journal_sync(j), 0);
    found = 0;
    asked = j;
    assert_int_equal(journal_release(j, 16384, archive), 0);
    asked = NULL;
    assert_int_equal(found, 1);
    assert_int_equal(not_fetched(j, SEGMENT_HEADER), -ERANGE);
    assert_int_equal(journal_archive_fetch(archive, SEGMENT_HEADER, &x, &bytes), 0);
    assert_int_equal(x.offset, SEGMENT_HEADER);
    free(bytes);
    assert_int_equal(journal_close(j), 0);
}

static void test_lock(void **state)
{
    (void)state;
    struct journal *j = open_with((struct journal_options){0}), *k;
    struct journal_options o = {.dir = dir, .max_bytes = 1 << 20, .segment_bytes = 16384};
    assert_int_equal(put(j, RECORD_MESSAGE, "x", 1), 0);
    assert_int_equal(journal_open(&o, &err, &rec, &k), -EWOULDBLOCK);
    assert_non_null(strstr(err.text, "in use"));
    o.read_only = true; /* a tool may look */
    assert_int_equal(journal_open(&o, &err, &rec, &k), 0);
    assert_int_equal(count(k, 0), 1);
    assert_int_equal(journal_close(k), 0);
    assert_int_equal(put(j, RECORD_MESSAGE, "y", 1), 0);
    assert_int_equal(count(j, 0), 2);
    assert_int_equal(journal_close(j), 0);
}

/* A tool reads what was there when it began. */
static void test_released_while_a_tool_reads(void **state)
{
    (void)state;
    struct journal *j = open_with((struct journal_options){0}), *tool;
    struct journal_options o = {.dir = dir, .read_only = true};
    char body[1000] = {0};
    for (int i = 0; i < 40; i++)
        assert_int_equal(put(j, RECORD_MESSAGE, body, sizeof(body)), 0);
    assert_int_equal(journal_sync(j), 0);
    assert_int_equal(journal_open(&o, &err, &rec, &tool), 0);
    assert_int_equal(journal_release(j, 3 * 16384, NULL), 0);
    assert_int_equal(count(j, 0), 7);
    assert_int_equal(count(tool, 0), 40);
    assert_int_equal(journal_close(tool), 0);
    assert_int_equal(journal_close(j), 0);
}

static void test_sizes(void **state)
{
    (void)state;
    struct journal *j;
    struct journal_options o = {.dir = dir, .max_bytes = 65535, .segment_bytes = 16384};
    assert_int_equal(journal_open(&o, &err, &rec, &j), -EINVAL);
    o.max_bytes = 1 << 20;
    o.segment_bytes = 4096;
    assert_int_equal(journal_open(&o, &err, &rec, &j), -EINVAL);
    j = open_with((struct journal_options){.segment_bytes = 16385});
    size_t most = journal_max_record(j);
    char *body = calloc(1, most + 1);
    assert_int_equal(put(j, RECORD_MESSAGE, body, most), -EMSGSIZE); /* and the topic */
    assert_int_equal(put(j, RECORD_MESSAGE, body, most - 1), 0);
    assert_int_equal(put(j, RECORD_MESSAGE, body, most - 1), 0);
    assert_int_equal(count(j, 0), 2);
    free(body);
    assert_int_equal(journal_close(j), 0);
}

static void test_quota_heals(void **state)
{
    (void)state;
    struct journal *j = open_with((struct journal_options){.max_bytes = 65536});
    struct journal_stats st;
    char body[1000] = {0};
    int n = 0, low = 0, e;
    while ((e = put(j, RECORD_MESSAGE, body, sizeof(body))) == 0) {
        n++;
        journal_stats(j, &st);
        assert_true(st.bytes <= 65536);
        low += st.low_space;
    }
    assert_int_equal(e, -ENOSPC);
    assert_int_equal(n, 33);     /* three segments of eleven; the fourth is reserved */
    assert_true(low >= 11);      /* a whole segment of warning */
    for (int i = 0; i < 11; i++) /* commands and control records still fit */
        assert_int_equal(put(j, RECORD_LINK_DOWN, body, sizeof(body)), 0);
    assert_int_equal(put(j, RECORD_LINK_DOWN, body, sizeof(body)), -ENOSPC);
    assert_int_equal(put(j, RECORD_MESSAGE, body, 1), -ENOSPC);

    assert_int_equal(journal_sync(j), 0);
    assert_int_equal(journal_release(j, 16384, NULL), 0);
    assert_int_equal(put(j, RECORD_MESSAGE, body, 1),
                     0); /* a segment of room: no reserve now */
    assert_int_equal(put(j, RECORD_LINK_UP, body, 1), 0);
    assert_int_equal(journal_release(j, 65536, NULL), 0);
    assert_int_equal(put(j, RECORD_MESSAGE, body, 1), 0);
    journal_stats(j, &st);
    assert_false(st.low_space);
    assert_int_equal(st.failed, 0);
    assert_int_equal(st.first, 49152 + SEGMENT_HEADER);
    struct journal_reader *r;
    assert_int_equal(journal_reader_open(j, 4096, &r), -ERANGE);
    assert_int_equal(journal_reader_open(j, 1 << 20, &r), -ERANGE);
    assert_int_equal(count(j, 0), 14);
    assert_int_equal(journal_close(j), 0);
}

static void test_full_quota_still_opens(void **state)
{
    (void)state;
    char body[1000] = {0};
    struct journal *j = open_with((struct journal_options){.max_bytes = 65536});
    while (put(j, RECORD_LINK_UP, body, sizeof(body)) == 0)
        ;
    assert_int_equal(journal_close(j), 0);
    j = open_with((struct journal_options){.max_bytes = 65536});
    assert_int_equal(put(j, RECORD_MESSAGE, "", 0), -ENOSPC);
    assert_int_equal(put(j, RECORD_START, "", 0), 0);
    assert_int_equal(journal_sync(j), 0);
    assert_int_equal(journal_release(j, journal_end(j), NULL), 0);
    assert_int_equal(put(j, RECORD_MESSAGE, "", 0), 0);
    assert_int_equal(journal_close(j), 0);
}

static void test_prepare(void **state)
{
    (void)state;
    struct journal *j = open_with((struct journal_options){.sync = CONF_SYNC_NEVER});
    char body[7000] = {0};
    assert_false(journal_wants_prepare(j));
    assert_int_equal(put(j, RECORD_MESSAGE, body, sizeof(body)), 0);
    assert_true(journal_wants_prepare(j));
    assert_int_equal(journal_prepare(j), 0);
    assert_false(journal_wants_prepare(j));
    assert_int_equal(journal_prepare(j), 0);
    assert_int_equal(put(j, RECORD_MESSAGE, body, sizeof(body)), 0);
    assert_true(journal_wants_prepare(j)); /* one to seal */
    assert_true(journal_synced(j) < 16384);
    assert_int_equal(journal_prepare(j), 0);
    assert_int_equal(journal_synced(j), 16384 + SEGMENT_HEADER);
    assert_int_equal(journal_close(j), 0);
    j = open_with((struct journal_options){0}); /* the prepared one is gone, nothing else */
    assert_int_equal(rec.segments, 3);
    assert_int_equal(count(j, 0), 2);
    assert_int_equal(journal_close(j), 0);
}

static void test_always(void **state)
{
    (void)state;
    struct journal *j = open_with((struct journal_options){.sync = CONF_SYNC_ALWAYS});
    for (int i = 0; i < 40; i++) {
        char body[900] = {0};
        assert_int_equal(put(j, RECORD_MESSAGE, body, sizeof(body)), 0);
        assert_int_equal(journal_synced(j), journal_end(j));
    }
    assert_int_equal(journal_close(j), 0);
}

static void test_kill(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        struct journal *j = open_with((struct journal_options){.sync = CONF_SYNC_NEVER});
        for (int i = 0; i < 500; i++)
            if (put(j, RECORD_MESSAGE, "0123456789", 10) != 0)
                _exit(1);
        _exit(0); /* without a close: what a kill leaves */
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    struct journal *j = open_with((struct journal_options){0});
    assert_true(rec.unclean);
    assert_int_equal(rec.cut_bytes, 0);
    assert_int_equal(rec.messages, 500);
    assert_int_equal(rec.time, JOURNAL_TIME_BOOT);
    assert_true(rec.gap_ns > 0);
    assert_int_equal(count(j, 0), 500);
    assert_int_equal(journal_close(j), 0);
}

static void test_archive(void **state)
{
    (void)state;
    struct journal *j = open_with((struct journal_options){0});
    struct journal_archive a;
    struct journal_reader *r;
    struct record x;
    char body[1000] = {0};
    uint64_t removed;
    for (int i = 0; i < 50; i++)
        assert_int_equal(put(j, RECORD_MESSAGE, body, sizeof(body)), 0);
    assert_int_equal(journal_sync(j), 0);
    assert_int_equal(journal_archive_span(archive, &a), 0);
    assert_int_equal(a.segments, 0);
    assert_int_equal(journal_reader_open(j, 0, &r), 0);
    assert_int_equal(journal_read(r, &x), 1);
    assert_int_equal(journal_release(j, journal_end(j), archive), 0); /* someone reads there */
    assert_int_equal(journal_archive_span(archive, &a), 0);
    assert_int_equal(a.segments, 0);
    journal_reader_close(r);
    assert_int_equal(journal_release(j, 3 * 16384 + 1, archive), 0);
    assert_int_equal(journal_archive_span(archive, &a), 0);
    assert_int_equal(a.segments, 3);
    assert_int_equal(a.first, 0);
    assert_int_equal(a.end, 3 * 16384);
    assert_int_equal(a.unreadable, 0);
    assert_true(a.bytes > 0 && a.bytes < 16384);
    assert_true(a.last_wall_ns >= a.first_wall_ns && a.first_wall_ns > 0);
    int64_t hour = INT64_C(3600000000000);
    assert_int_equal(
        journal_archive_prune(archive, a.last_wall_ns, (uint64_t)hour, 0, &removed), 0);
    assert_int_equal(removed, 0);
    assert_int_equal(
        journal_archive_prune(archive, a.last_wall_ns, (uint64_t)hour, a.bytes - 1, &removed),
        0);
    assert_int_equal(removed, 1);
    assert_int_equal(
        journal_archive_prune(archive, a.last_wall_ns + 2 * hour, (uint64_t)hour, 0, &removed),
        0);
    assert_int_equal(removed, 2);

    /* what is archived is the segment, byte for byte: zstd -d and read it */
    assert_int_equal(journal_release(j, 4 * 16384, archive), 0);
    char command[2000], back[400];
    (void)snprintf(back, sizeof(back), "%s/back", base);
    (void)snprintf(
        command, sizeof(command),
        "mkdir %s && zstd -qd %s/000000000000c000.journal.zst -o %s/000000000000c000.journal",
        back, archive, back);
    if (system("command -v zstd >/dev/null") == 0) {
        assert_int_equal(system(command), 0);
        struct journal_options o = {.dir = back, .read_only = true};
        struct journal *old;
        assert_int_equal(journal_open(&o, &err, &rec, &old), 0);
        assert_int_equal(count(old, 0), 11);
        assert_int_equal(journal_close(old), 0);
    }
    assert_int_equal(journal_close(j), 0);
}

/* Neither header nor seal can be read: it still has its place, and goes in its time. */
static void test_archive_that_rots(void **state)
{
    (void)state;
    struct journal *j = open_with((struct journal_options){0});
    struct journal_archive a;
    char body[1000] = {0}, path[400];
    uint64_t removed;
    int64_t hour = INT64_C(3600000000000);
    for (int i = 0; i < 50; i++)
        assert_int_equal(put(j, RECORD_MESSAGE, body, sizeof(body)), 0);
    assert_int_equal(journal_sync(j), 0);
    assert_int_equal(journal_release(j, 3 * 16384 + 1, archive), 0);
    for (unsigned i = 0; i < 3; i += 2) {
        (void)snprintf(path, sizeof(path), "%s/%016x.journal.zst", archive, i * 16384);
        FILE *f = fopen(path, "we");
        assert_non_null(f);
        assert_int_equal(fwrite("rotten", 1, 6, f), 6);
        assert_int_equal(fclose(f), 0);
    }
    assert_int_equal(journal_archive_span(archive, &a), 0);
    assert_int_equal(a.segments, 3);
    assert_int_equal(a.unreadable, 2);
    assert_int_equal(a.first, 0); /* generations used since then are kept */
    assert_int_equal(a.end, 2 * 16384);
    assert_int_equal(
        journal_archive_prune(archive, a.last_wall_ns, (uint64_t)hour, 0, &removed), 0);
    assert_int_equal(removed, 0);
    assert_int_equal(
        journal_archive_prune(archive, a.last_wall_ns + 2 * hour, (uint64_t)hour, 0, &removed),
        0);
    assert_int_equal(removed, 2); /* nothing is known of the last one's age */
    assert_int_equal(journal_release(j, 4 * 16384, archive), 0);
    assert_int_equal(
        journal_archive_prune(archive, a.last_wall_ns + 2 * hour, (uint64_t)hour, 0, &removed),
        0);
    assert_int_equal(removed, 2);
    assert_int_equal(journal_close(j), 0);
}

/* As journal_open, with few files that may be open at a time. */
static int open_with_few_files(const struct journal_options *o, struct journal **out)
{
    struct rlimit before, few;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = (struct rlimit){40, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    int e = journal_open(o, &err, &rec, out);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    if (e < 0)
        print_error("%s\n", err.text);
    return e;
}

/* A journal may have more segments than a process may have files open: it can be opened again, and
 * looked at. */
static void test_more_segments_than_files(void **state)
{
    (void)state;
    struct journal_options o = {
        .dir = dir, .max_bytes = 4 << 20, .segment_bytes = 16384, .copy = copy};
    struct journal *j = open_with(o);
    char body[7000] = {0};
    for (int i = 0; i < 100; i++)
        assert_int_equal(put(j, RECORD_MESSAGE, body, sizeof(body)), 0);
    assert_int_equal(journal_close(j), 0);
    assert_int_equal(open_with_few_files(&o, &j), 0);
    assert_int_equal(rec.segments, 101);
    assert_int_equal(count(j, 0), 100);
    assert_int_equal(journal_close(j), 0);
    o.read_only = true;
    assert_int_equal(open_with_few_files(&o, &j), 0);
    assert_int_equal(rec.segments, 100);
    assert_int_equal(count(j, 0), 100);
    assert_int_equal(journal_close(j), 0);
}

static void test_tick(void **state)
{
    (void)state;
    struct journal *j = open_with((struct journal_options){0});
    uint64_t a, b, end;
    journal_tick(j, &a, &end);
    assert_int_equal(end, SEGMENT_HEADER);
    struct record r = {.type = RECORD_REINJECT, .wall_ns = 42};
    assert_int_equal(journal_append(j, &r, &end), 0);
    assert_true(r.engine_ns > a);
    assert_int_equal(r.wall_ns, 42);
    assert_int_equal(r.messages, 1);
    journal_tick(j, &b, &end);
    assert_true(b > r.engine_ns);
    assert_int_equal(end, r.end);
    assert_int_equal(journal_close(j), 0);
}

#define BOTH(test)                                                                             \
    {#test " (mapped)", test, setup, teardown, &modes[0]},                                     \
    {                                                                                          \
#test " (written)", test, setup, teardown, &modes[1]                                   \
    }

int main(void)
{
    static enum journal_copy modes[] = {JOURNAL_COPY_MAP, JOURNAL_COPY_WRITE};
    const struct CMUnitTest tests[] = {
        BOTH(test_append_read),
        BOTH(test_fetch),
        BOTH(test_lock),
        BOTH(test_released_while_a_tool_reads),
        BOTH(test_sizes),
        BOTH(test_quota_heals),
        BOTH(test_full_quota_still_opens),
        BOTH(test_prepare),
        BOTH(test_always),
        BOTH(test_kill),
        BOTH(test_archive),
        BOTH(test_archive_that_rots),
        BOTH(test_tick),
        BOTH(test_fetch_while_archived),
        BOTH(test_more_segments_than_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
