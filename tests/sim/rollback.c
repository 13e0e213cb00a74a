/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/rollback.h"
#include "base/hash.h"
#include "io/file.h"
#include "io/snapshot.h"
#include "sim/desk.h"
#include "sim/fake_file.h"
#include "sim/gateway.h"
#include "sim/neighbour.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct segments { /* of the journal */
    uint64_t base[512];
    size_t n;
};
static struct {
    enum roll kind;
    unsigned sink, damaged;
    bool copied;
    bool empties; /* the broker of alarms is put back with the store: it kept nothing */
    struct fake_copy *copy;
    struct position copied_at; /* the newest snapshot then */
    struct segments known;     /* those that were there when some were released */
    uint64_t released;         /* below this */
} roll;

void rollback_reset(enum roll kind, unsigned sink)
{
    fake_file_copy_free(roll.copy);
    memset(&roll, 0, sizeof(roll));
    roll.kind = kind;
    roll.sink = sink;
    roll.empties = hash64(1, &sim_seed, sizeof(sim_seed)) % 2; /* draws nothing */
}

bool rollback_wanted(void)
{
    return roll.kind != ROLL_NOTHING;
}

/* The newest snapshot does not verify any more: the older one, and the journal since then, give the
 * same. */
static void newest_name(void *ctx, const char *name)
{
    char *newest = ctx;
    if (strncmp(name, "snapshot-", 9) == 0 && strcmp(name, newest) > 0)
        (void)snprintf(newest, 64, "%s", name);
}

void rollback_damage(void)
{
    char newest[64] = "", path[160], dir[64];
    (void)snprintf(dir, sizeof(dir), "%s/snapshots", gateway_data);
    (void)file_list(dir, newest_name, newest);
    if (!newest[0] || roll.damaged++)
        return; /* not both */
    (void)snprintf(path, sizeof(path), "%s/%s", dir, newest);
    sim_trace("damage %s", path);
    fake_file_flip(path, 20);
}

static void rolled_folder(char out[64])
{
    if (roll.kind == ROLL_SINK)
        (void)snprintf(out, 64, "%s/outbound/s%u", gateway_data, roll.sink);
    else
        (void)snprintf(out, 64, "%s/snapshots", gateway_data);
}

void rollback_copy(void)
{
    char folder[64], snapshots[64];
    roll.copied = true;
    sim_trace("copied, kind %d", roll.kind);
    if (roll.kind == ROLL_STORE) {
        fake_store_remember();
        return;
    }
    if (roll.kind == ROLL_ALL) {
        gateway_backup();
        return;
    }
    (void)snprintf(snapshots, sizeof(snapshots), "%s/snapshots", gateway_data);
    roll.copied_at = (struct position){0};
    if (snapshot_list(snapshots, &roll.copied_at, 1) < 1)
        roll.copied_at = (struct position){0};
    rolled_folder(folder);
    fake_file_copy_free(roll.copy);
    roll.copy = fake_file_copy(folder);
}

/* Is there a snapshot at or before that place, or never one that the journal was released for? */
static bool has_snapshot_before(const struct position *at)
{
    struct position newest[8];
    char dir[64];
    (void)snprintf(dir, sizeof(dir), "%s/snapshots", gateway_data);
    int n = snapshot_list(dir, newest, 8);
    bool can = n == 0;
    for (int i = 0; i < n; i++)
        can |= position_cmp(&newest[i], at) <= 0;
    return can;
}

static bool has_segment(const struct segments *l, uint64_t base)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->base[i] == base)
            return true;
    return false;
}

static void segment_name(void *ctx, const char *name)
{
    struct segments *l = ctx;
    uint64_t base;
    if (sscanf(name, "%16" SCNx64 ".journal", &base) == 1 && !has_segment(l, base) &&
        l->n < sizeof(l->base) / sizeof(l->base[0]))
        l->base[l->n++] = base;
}

static void list_segments(struct segments *l)
{
    char dir[64];
    (void)snprintf(dir, sizeof(dir), "%s/journal", gateway_data);
    (void)file_list(dir, segment_name, l);
}

void rollback_releases(uint64_t below)
{
    list_segments(&roll.known);
    if (below > roll.released)
        roll.released = below;
}

/* A power cut may bring released segments back, and not others: then the journal has a hole. */
static bool journal_reaches(uint64_t offset)
{
    struct segments here = {.n = 0};
    uint64_t from = UINT64_MAX;
    list_segments(&here);
    for (size_t i = 0; i < here.n; i++)
        if (here.base[i] <= offset && (from == UINT64_MAX || here.base[i] > from))
            from = here.base[i];
    for (size_t i = 0; i < roll.known.n; i++)
        if (roll.known.base[i] >= from && roll.known.base[i] < roll.released &&
            !has_segment(&here, roll.known.base[i]))
            return false;
    return from != UINT64_MAX;
}

/* The store alone. If the journal still has what it misses, and a snapshot is not beyond it, all of
 * that is said again; else nobody knows it, but no number means two things. */
static void restore_store(void)
{
    struct position cursor;
    fake_store_remembered(&cursor);
    bool can = has_snapshot_before(&cursor);
    if (cursor.offset == 0)
        return;
    sim_trace("the store is restored, to %" PRIu64 "%s", cursor.offset, can ? "" : ", blindly");
    gateway_past_lost |= !can;
    gateway_store_restored = fake_store_restore();
    if (roll.empties) {
        sim_trace("… and the alerts' broker with it");
        fake_alerts_empty();
        neighbour_emptied();
    }
}

/* A sink's log alone: likewise. */
static void restore_sink(void)
{
    if (!has_snapshot_before(&roll.copied_at))
        return;
    sim_trace("sink s%u is restored", roll.sink);
    fake_db_all_old(); /* lines of timers that ran behind the last record: only that log knew when */
    fake_file_put_back(roll.copy);
    gateway_sink_restored = true;
    roll.damaged = 1; /* nothing more on top of it */
}

/* The snapshots alone: the journal still reaches down to the newest of them. */
static void restore_snapshots(void)
{
    if (!journal_reaches(roll.copied_at.offset))
        return;
    sim_trace("the snapshots are restored, to %" PRIu64, roll.copied_at.offset);
    fake_file_put_back(roll.copy);
    roll.damaged = 1;
}

void rollback_put_back(void)
{
    if (!roll.copied)
        return;
    roll.copied = false;
    if (roll.damaged)
        return;
    switch (roll.kind) {
    case ROLL_NOTHING:
        break;
    case ROLL_STORE:
        restore_store();
        break;
    case ROLL_SINK:
        restore_sink();
        break;
    case ROLL_SNAPSHOTS:
        restore_snapshots();
        break;
    case ROLL_ALL:
        if (gateway_restore_backup())
            desk_leave();
        break;
    }
}
