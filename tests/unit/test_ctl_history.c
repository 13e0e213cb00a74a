/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The history of a data folder whose gateway runs: whatever it archives while that is gathered, each
 * record is read, and once. And what was in force when it begins.
 */
#include "ctl/history.h"
#include "ctl/site.h"
#include "io/content.h"
#include "io/file.h"
#include "small_world.h"
#include "unit/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

enum { RECORDS = 60, SEGMENT = 16384, LOOKS = 8 };

static char base[200], dir[300], archive[300];
static struct journal *gateway;
static int looks_left; /* until the gateway archives; 0: it does not */
static uint64_t release_to;

/* What ctl/site.c does in the tool. */
size_t site_tell(const struct problems *p)
{
    (void)p;
    return 0;
}

int __real_file_list(const char *path, void (*fn)(void *ctx, const char *name), void *ctx);
int __wrap_file_list(const char *path, void (*fn)(void *ctx, const char *name), void *ctx);

/* The gateway archives right after a folder was looked at. */
int __wrap_file_list(const char *path, void (*fn)(void *ctx, const char *name), void *ctx)
{
    int r = __real_file_list(path, fn, ctx);
    if (looks_left > 0 && --looks_left == 0)
        assert_int_equal(journal_release(gateway, release_to, archive), 0);
    return r;
}

static void gateway_starts(void)
{
    struct err err;
    struct journal_recovery rec;
    struct journal_options o = {.dir = dir, .max_bytes = 1 << 20, .segment_bytes = SEGMENT};
    char body[1000] = {0};
    uint64_t end;
    scratch_make(base, sizeof(base));
    (void)snprintf(dir, sizeof(dir), "%s/journal", base);
    (void)snprintf(archive, sizeof(archive), "%s/archive", base);
    assert_int_equal(journal_open(&o, &err, &rec, &gateway), 0);
    for (int i = 0; i < RECORDS; i++) {
        struct record r = {.type = RECORD_MESSAGE,
                           .topic = "t",
                           .topic_len = 1,
                           .body = body,
                           .body_len = sizeof(body),
                           .broker = 255};
        assert_int_equal(journal_append(gateway, &r, &end), 0);
    }
    assert_int_equal(journal_sync(gateway), 0);
}

static void gateway_ends(void)
{
    assert_int_equal(journal_close(gateway), 0);
    scratch_remove(base);
}

static int read_all(struct history *h)
{
    struct record r;
    int got, n = 0;
    while ((got = history_read(h, &r)) == 1)
        n++;
    assert_int_equal(got, 0);
    return n;
}

/* archived: so much was in the archive when it began. */
static void archive_at_each_look(uint64_t archived)
{
    for (int look = 0; look <= LOOKS; look++) {
        struct history h;
        gateway_starts();
        looks_left = 0;
        assert_int_equal(journal_release(gateway, archived, archive), 0);
        release_to = archived + 2 * SEGMENT;
        looks_left = look;
        assert_int_equal(history_open(&h, base, 0), 0);
        looks_left = 0;
        int n = read_all(&h);
        if (n != RECORDS)
            fail_msg("archived behind look %d: %d records", look, n);
        history_close(&h);
        gateway_ends();
    }
}

static void what_is_archived_meanwhile_is_read(void **state)
{
    (void)state;
    archive_at_each_look(SEGMENT);
}

static void the_first_that_is_archived_is_read(void **state)
{
    (void)state;
    archive_at_each_look(0);
}

/* Its address, from that offset on in use. */
static void in_force(const char *dir_of, const char *devices, uint64_t from, char hex[33])
{
    struct buf zone, b;
    struct small_world texts = {
        .conf = "gateway: {id: t, data_dir: /tmp/x, timezone: Asia/Shanghai}\n"
                "brokers:\n  - {id: main, url: mqtt://127.0.0.1:1883}\n"
                "sources:\n  - {profile: gaihou-json, broker: main, qos: 1}\n"
                "catalog: catalog.yaml\n"
                "registry: {compounds: compounds.csv, devices: devices.csv}\n",
        .catalog = "version: 1\nkinds:\n  door:\n    zh: 门\n    en: Door\n    metrics:\n"
                   "      open: {type: bool, zh: 开, en: Open}\n",
        .compounds = "compound,name,district,firm,tier\nc1,一村,yuzhong,f1,standard\n",
        .devices = devices};
    buf_init(&zone, 1 << 20);
    buf_init(&b, 1 << 20);
    assert_int_equal(small_world_bundle(&texts, &zone, &b), 0);
    assert_int_equal(content_put(dir_of, b.data, b.len, hex), 0);
    assert_int_equal(content_use(dir_of, hex, from), 0);
    buf_done(&b);
    buf_done(&zone);
}

/* The record that began it is in a segment that is not read, and what the next one says was not in force
 * yet. */
static void it_begins_with_what_was_in_force(void **state)
{
    (void)state;
    char generations[300], before[33], now[33], body[38] = "world";
    struct history h;
    uint64_t end;
    gateway_starts();
    (void)snprintf(generations, sizeof(generations), "%s/generations", base);
    in_force(generations, "device,kind,compound\nd1,door,c1\n", 0, before);
    in_force(generations, "device,kind,compound\nd2,door,c1\n", journal_end(gateway), now);
    memcpy(body + 6, now, 32);
    struct record r = {.type = RECORD_GENERATION,
                       .topic = "",
                       .body = body,
                       .body_len = sizeof(body),
                       .broker = 255};
    assert_int_equal(journal_append(gateway, &r, &end), 0);
    assert_int_equal(journal_sync(gateway), 0);
    assert_int_equal(history_open(&h, base, 0), 0);
    struct world *w = history_first_world(&h);
    assert_non_null(w);
    assert_string_equal(w->hash, before);
    world_free(w);
    history_close(&h);
    gateway_ends();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_archived_meanwhile_is_read),
        cmocka_unit_test(the_first_that_is_archived_is_read),
        cmocka_unit_test(it_begins_with_what_was_in_force),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
