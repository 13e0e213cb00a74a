/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing, appending, syncing. */
#include "io/journal.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "io/clock.h"
#include "io/journal_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    SEGMENT_MIN = 16384,
    UNSEALED_MAX =
        2, /* full segments that may wait for the pool job before append syncs itself */
};
static const uint64_t second = UINT64_C(1000000000);
#define ROOM_ASK_NS (second / 10)

bool journal_heals(int e)
{
    return e == -ENOSPC || e == -EDQUOT || e == -EMFILE || e == -ENFILE || e == -ENOMEM;
}

static void lock(struct journal *j)
{
    ASSERT(pthread_mutex_lock(&j->lock) == 0);
}

static void unlock(struct journal *j)
{
    ASSERT(pthread_mutex_unlock(&j->lock) == 0);
}

static int fail(struct journal *j, int e)
{
    int none = 0;
    (void)atomic_compare_exchange_strong(&j->failed, &none, e);
    return e;
}

static int failed(const struct journal *j)
{
    return atomic_load_explicit(&j->failed, memory_order_acquire);
}

/* -- time ---------------------------------------------------------------------------------- */

static uint64_t monotonic_ns(void)
{
    struct timespec t;
    ASSERT(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return (uint64_t)t.tv_sec * second + (uint64_t)t.tv_nsec;
}

uint64_t journal_stamp(struct journal *j)
{
    uint64_t boot = clock_boot_ns();
    uint64_t now = boot + (uint64_t)j->delta_ns;
    /* an ordered comparison of distances: the sum may be below zero after an odd restart */
    j->last_engine_ns = (int64_t)(now - j->last_engine_ns) > 0 ? now : j->last_engine_ns + 1;
    if (boot - j->wall_asked_ns >= second) {
        j->wall_synced = clock_synchronised();
        j->wall_asked_ns = boot;
    }
    return j->last_engine_ns;
}

/* -- segments ------------------------------------------------------------------------------ */

static struct segment_info next_info(struct journal *j, uint64_t base, uint64_t follows,
                                     uint64_t size)
{
    struct segment_info s = {
        .base = base,
        .size = size,
        .follows = follows,
        .messages = j->messages,
        .engine_ns = j->last_engine_ns,
        .wall_ns = clock_wall_ns(),
        .delta_ns = j->delta_ns,
    };
    uint64_t mix[4] = {base, (uint64_t)s.wall_ns, clock_boot_ns(), j->messages};
    s.id = j->chain = hash64(j->chain, mix, sizeof(mix));
    size_t n = strnlen(clock_boot_id(), sizeof(s.boot_id) - 1);
    memcpy(s.boot_id, clock_boot_id(), n);
    return s;
}

static bool quota_allows(const struct journal *j, bool message)
{
    uint64_t reserve = message ? j->o.segment_bytes : 0;
    return j->used + j->o.segment_bytes + reserve <= j->o.max_bytes;
}

/* Makes the segment behind the active one; the lock is given up meanwhile. */
static int make_next(struct journal *j)
{
    while (j->making)
        ASSERT(pthread_cond_wait(&j->made, &j->lock) == 0);
    if (j->prepared)
        return 0;
    uint64_t base = journal_segment_end(j->active);
    struct segment_info info = next_info(j, base, base, j->o.segment_bytes);
    struct journal_segment *s = NULL;
    j->making = true;
    unlock(j);
    int e = journal_segment_make(j, &info, &s);
    lock(j);
    j->making = false;
    j->prepared = s;
    j->prepare_failed = e;
    if (e < 0)
        j->prepare_failed_ns = clock_boot_ns();
    ASSERT(pthread_cond_broadcast(&j->made) == 0);
    if (e == 0)
        ASSERT(pthread_cond_broadcast(&j->room) == 0);
    return e;
}

static uint64_t room_left(const struct journal *j)
{
    uint64_t end = atomic_load_explicit(&j->end, memory_order_relaxed);
    return journal_segment_end(j->active) - SEGMENT_TAIL - end;
}

static void publish(struct journal *j, uint64_t end)
{
    atomic_store_explicit(&j->end, end, memory_order_release);
}

/* Goes on in the prepared segment. */
static int roll(struct journal *j)
{
    struct journal_segment *s = j->active;
    uint64_t end = atomic_load_explicit(&j->end, memory_order_relaxed);
    struct record mark = {.type = RECORD_END,
                          .broker = 255,
                          .engine_ns = j->last_engine_ns,
                          .wall_ns = j->last_wall_ns,
                          .messages = j->messages};
    int e = journal_segment_put(j, s, &mark, end);
    if (e < 0)
        return e;
    s->seal.end = end;
    s->seal.rolled = true;
    s->full = true;
    s->next = j->active = j->prepared;
    j->prepared = NULL;
    j->used += j->active->disk;
    j->segments++;
    j->active->seal.before = j->active->seal.messages = j->messages;
    publish(j, journal_segment_first(j->active));
    return 0;
}

static unsigned unsealed(const struct journal *j)
{
    unsigned n = 0;
    for (const struct journal_segment *s = j->first; s; s = s->next)
        n += s->full && !s->sealed;
    return n;
}

/* -- appending ----------------------------------------------------------------------------- */

/* Makes sure that `size` bytes fit into the active segment. May give the lock up meanwhile. */
static int make_room(struct journal *j, size_t size, bool message)
{
    for (;;) {
        int e = failed(j);
        if (e < 0)
            return e;
        if (message && j->used + j->o.segment_bytes > j->o.max_bytes)
            return -ENOSPC;
        if (size <= room_left(j))
            return 0;
        if (!quota_allows(j, message))
            return -ENOSPC;
        if (!j->prepared) {
            e = make_next(j);
            if (e < 0)
                return e;
            continue; /* the lock was away */
        }
        e = roll(j);
        if (e < 0)
            return e;
        if (unsealed(j) > UNSEALED_MAX) {
            unlock(j);
            e = journal_sync(j);
            lock(j);
            if (e < 0)
                return e;
        }
    }
}

static int put(struct journal *j, struct record *r, size_t size)
{
    struct journal_segment *s = j->active;
    uint64_t at = atomic_load_explicit(&j->end, memory_order_relaxed);
    bool message = record_is_message(r->type);
    r->engine_ns = journal_stamp(j);
    if (r->type != RECORD_REINJECT)
        r->wall_ns = clock_wall_ns();
    r->flags =
        (uint8_t)((r->flags & ~RECORD_WALL_SYNCED) | (j->wall_synced ? RECORD_WALL_SYNCED : 0));
    r->messages = j->messages + message;
    r->offset = at;
    r->end = at + size;
    int e = journal_segment_put(j, s, r, at);
    if (e < 0)
        return e;
    j->messages = r->messages;
    if (r->type != RECORD_REINJECT)
        j->last_wall_ns = r->wall_ns;
    s->seal.messages = r->messages;
    s->seal.engine_ns = r->engine_ns;
    s->seal.wall_ns = j->last_wall_ns;
    s->seal.last_type = (uint8_t)r->type;
    s->seal.last_flags = r->flags;
    j->appends++;
    j->append_bytes += size;
    publish(j, r->end);
    return 0;
}

static int sync_to(struct journal *j, uint64_t target);

/* Until something about the room changed, or another program may have made some. True: `until` has
 * come. */
static bool wait_for_room(struct journal *j, uint64_t until)
{
    uint64_t next = monotonic_ns() + ROOM_ASK_NS;
    if (next > until)
        next = until;
    struct timespec t = {(time_t)(next / second), (long)(next % second)};
    int e = pthread_cond_timedwait(&j->room, &j->lock, &t);
    ASSERT(e == 0 || e == ETIMEDOUT);
    return monotonic_ns() >= until;
}

/* Where a file is written and not mapped, room may be wanting for what was allocated, too: a file
 * system that copies on write takes new blocks. What was written in part is written over. */
static int put_if_room(struct journal *j, struct record *r, size_t size)
{
    int e = make_room(j, size, record_is_message(r->type));
    return e == 0 ? put(j, r, size) : e;
}

static int append(struct journal *j, struct record *r, unsigned wait_ms, uint64_t *out_end)
{
    size_t size = record_size(r);
    ASSERT(!j->o.read_only);
    if (size == 0 || r->topic_len + r->body_len > journal_max_record(j))
        return -EMSGSIZE;
    lock(j);
    int e = put_if_room(j, r, size);
    if (journal_heals(e) && wait_ms > 0) {
        uint64_t until = monotonic_ns() + wait_ms * UINT64_C(1000000);
        for (bool late = false; journal_heals(e) && !late;) {
            late = wait_for_room(j, until);
            e = put_if_room(j, r, size);
        }
    }
    unlock(j);
    if (e < 0)
        return journal_heals(e) ? -ENOSPC : fail(j, e);
    uint64_t end = r->end;
    if (j->o.sync == CONF_SYNC_ALWAYS)
        e = sync_to(j, end);
    if (e == 0)
        *out_end = end;
    return e;
}

int journal_append(struct journal *j, struct record *r, uint64_t *out_end)
{
    return append(j, r, 0, out_end);
}

int journal_append_patient(struct journal *j, struct record *r, unsigned wait_ms,
                           uint64_t *out_end)
{
    return append(j, r, wait_ms, out_end);
}

size_t journal_max_record(const struct journal *j)
{
    return (size_t)(j->o.segment_bytes - SEGMENT_HEADER - SEGMENT_TAIL - RECORD_HEADER -
                    RECORD_ALIGN);
}

void journal_tick(struct journal *j, uint64_t *out_engine_ns, uint64_t *out_end)
{
    lock(j);
    *out_engine_ns = journal_stamp(j);
    *out_end = atomic_load_explicit(&j->end, memory_order_relaxed);
    unlock(j);
}

uint64_t journal_end(const struct journal *j)
{
    return atomic_load_explicit(&j->end, memory_order_acquire);
}

uint64_t journal_synced(const struct journal *j)
{
    return atomic_load_explicit(&j->synced, memory_order_acquire);
}

/* -- syncing ------------------------------------------------------------------------------- */

static void count_sync(struct journal *j, uint64_t ns)
{
    j->syncs++;
    j->sync_ns_last = ns;
    if (ns > j->sync_ns_max)
        j->sync_ns_max = ns;
}

/* The pages behind us that are full: readers that are later than this map them again. */
static void forget_written(const struct journal *j, const struct journal_segment *s,
                           uint64_t target)
{
    uint64_t from = journal_synced(j), base = s->info.base, end = journal_segment_end(s);
    if (!j->mapped || !s->map)
        return;
    from = from > base ? (from - base) & ~UINT64_C(4095) : 0; /* its page was not full then */
    file_map_forget(s->map, from, (target < end ? target : end) - base);
}

/* Syncs the oldest segment that is not sealed, and seals it if it is full. 0; 1: there is more.
 */
static int sync_one(struct journal *j)
{
    lock(j);
    struct journal_segment *s = j->first;
    while (s->sealed)
        s = s->next;
    bool full = s->full;
    uint64_t target = full ? journal_segment_end(s) + SEGMENT_HEADER
                           : atomic_load_explicit(&j->end, memory_order_relaxed);
    unlock(j);
    if (!full && target == journal_synced(j))
        return 0;
    forget_written(j, s, target);
    uint64_t from = clock_boot_ns();
    int e = file_sync(s->file);
    uint64_t took = clock_boot_ns() - from;
    if (e == 0 && full) {
        e = journal_segment_seal(s);
        if (journal_heals(e))
            e = 0; /* without its seal it is only scanned at the next open */
    }
    if (e < 0) /* whatever its name: what was to be on the disk may be gone */
        return fail(j, journal_heals(e) ? -EIO : e);
    lock(j);
    count_sync(j, took);
    if (full) {
        s->sealed = true;
        file_close(s->file);
        s->file = NULL;
    }
    unlock(j);
    atomic_store_explicit(&j->synced, target, memory_order_release);
    return full;
}

static int sync_to(struct journal *j, uint64_t target)
{
    ASSERT(pthread_mutex_lock(&j->sync_lock) == 0);
    int e = failed(j); /* whoever waited for the lock may find it done: group commit */
    while (e == 0 && journal_synced(j) < target) {
        e = sync_one(j);
        if (e == 1)
            e = 0;
    }
    ASSERT(pthread_mutex_unlock(&j->sync_lock) == 0);
    return e;
}

int journal_sync(struct journal *j)
{
    return j->o.read_only ? 0 : sync_to(j, journal_end(j));
}

int journal_prepare(struct journal *j)
{
    int e = failed(j);
    if (e < 0)
        return e;
    ASSERT(pthread_mutex_lock(&j->sync_lock) == 0);
    lock(j);
    unsigned n = unsealed(j);
    unlock(j);
    for (; n > 0 && e >= 0; n--)
        e = sync_one(j);
    ASSERT(pthread_mutex_unlock(&j->sync_lock) == 0);
    if (e < 0)
        return e;
    lock(j);
    e = quota_allows(j, false) ? make_next(j) : -ENOSPC;
    unlock(j);
    if (e < 0 && !journal_heals(e))
        return fail(j, e);
    return e;
}

bool journal_wants_prepare(struct journal *j)
{
    lock(j);
    bool wants = unsealed(j) > 0;
    if (!wants && !j->prepared && !j->making && quota_allows(j, false))
        wants = j->prepare_failed == 0
                    ? room_left(j) < (j->active->size - SEGMENT_HEADER) / 4 * 3
                    : clock_boot_ns() - j->prepare_failed_ns > second;
    unlock(j);
    return wants && failed(j) == 0;
}

void journal_stats(struct journal *j, struct journal_stats *out)
{
    lock(j);
    *out = (struct journal_stats){
        .first = j->first ? journal_segment_first(j->first) : 0,
        .bytes = j->used + (j->prepared ? j->prepared->disk : 0),
        .max_bytes = j->o.max_bytes,
        .messages = j->messages,
        .segments = j->segments,
        .appends = j->appends,
        .append_bytes = j->append_bytes,
        .syncs = j->syncs,
        .sync_ns_max = j->sync_ns_max,
        .sync_ns_last = j->sync_ns_last,
        .mapped = j->mapped,
        .prepare_failed = j->prepare_failed,
        .failed = failed(j),
    };
    if (j->active) {
        bool last = !quota_allows(j, true);
        bool stuck = !j->prepared && j->prepare_failed < 0;
        out->low_space = last || (stuck && room_left(j) < j->active->size / 4);
    }
    out->end = journal_end(j);
    out->synced = journal_synced(j);
    unlock(j);
}

void journal_each_segment(struct journal *j,
                          void (*fn)(void *ctx, const struct journal_segment_info *s),
                          void *ctx)
{
    lock(j);
    for (const struct journal_segment *s = j->first; s; s = s->next) {
        struct journal_segment_info i = {
            .base = s->info.base,
            .size = s->size,
            .bytes = s->disk,
            .messages_before = s->seal.before,
            .messages = s->seal.messages,
            .created_wall_ns = s->info.wall_ns,
            .last_wall_ns = s->seal.wall_ns,
            .sealed = s->sealed,
            .unreadable = s->unreadable,
        };
        fn(ctx, &i);
    }
    unlock(j);
}

/* -- opening and closing ------------------------------------------------------------------- */

static int open_first(struct journal *j, struct err *err, struct journal_recovery *rec)
{
    uint64_t base = rec->end;
    if (rec->lost_known && j->o.known > base)
        base = (j->o.known + SEGMENT_HEADER - 1) & ~(uint64_t)(SEGMENT_HEADER - 1);
    struct journal_segment *s, *last = j->first;
    while (last && last->next)
        last = last->next;
    int e = -ENOSPC;
    /* On a full disk a small one will do: the backlog must be able to drain. */
    for (uint64_t size = j->o.segment_bytes; e == -ENOSPC && size >= SEGMENT_MIN; size /= 4) {
        struct segment_info info =
            next_info(j, base, rec->end, size & ~(uint64_t)(SEGMENT_HEADER - 1));
        e = journal_segment_make(j, &info, &s);
        if (e == -ENOSPC) { /* journal_prepare tries for a whole one, and this is told */
            j->prepare_failed = e;
            j->prepare_failed_ns = clock_boot_ns();
        }
    }
    if (e < 0)
        return err_errno(err, e, "journal: cannot make a segment in %s", j->dir);
    *(last ? &last->next : &j->first) = s;
    j->active = s;
    j->used += s->disk;
    rec->end = journal_segment_first(s);
    rec->segments++;
    j->segments = rec->segments;
    if (rec->first == 0)
        rec->first = rec->end;
    atomic_store(&j->end, rec->end);
    atomic_store(&j->synced, rec->end);
    return 0;
}

static int prepare_folder(struct journal *j, struct err *err)
{
    int e = file_make_dir(j->dir);
    if (e < 0)
        return err_errno(err, e, "journal: cannot make folder %s", j->dir);
    char *path = mem_printf("%s/lock", j->dir);
    e = file_open(path, FILE_WRITE | FILE_CREATE, &j->lock_file);
    if (e < 0)
        err_errno(err, e, "journal: %s", path);
    else if ((e = file_lock(j->lock_file)) == -EWOULDBLOCK)
        err_set(err, e, "journal: %s is in use by another process", j->dir);
    else if (e < 0)
        err_errno(err, e, "journal: cannot lock %s", path);
    free(path);
    j->mapped = j->o.copy == JOURNAL_COPY_MAP ||
                (j->o.copy == JOURNAL_COPY_AUTO && file_can_map(j->dir));
    return e;
}

static void journal_free(struct journal *j)
{
    for (struct journal_segment *s = j->first, *next; s; s = next) {
        next = s->next;
        journal_segment_free(s);
    }
    journal_segment_free(j->prepared);
    file_close(j->lock_file);
    pthread_mutex_destroy(&j->lock);
    pthread_mutex_destroy(&j->sync_lock);
    pthread_cond_destroy(&j->made);
    pthread_cond_destroy(&j->room);
    free(j->scratch);
    free(j->dir);
    free(j);
}

static void init_room(struct journal *j)
{
    pthread_condattr_t attr;
    ASSERT(pthread_condattr_init(&attr) == 0);
    ASSERT(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    ASSERT(pthread_cond_init(&j->room, &attr) == 0);
    (void)pthread_condattr_destroy(&attr);
}

int journal_open(const struct journal_options *o, struct err *err,
                 struct journal_recovery *out_recovery, struct journal **out)
{
    struct journal *j = mem_zalloc(sizeof(*j));
    struct journal_recovery rec = {0};
    j->o = *o;
    j->dir = mem_strdup(o->dir);
    j->o.dir = j->dir;
    j->o.segment_bytes =
        (o->segment_bytes + SEGMENT_HEADER - 1) & ~(uint64_t)(SEGMENT_HEADER - 1);
    ASSERT(pthread_mutex_init(&j->lock, NULL) == 0);
    ASSERT(pthread_mutex_init(&j->sync_lock, NULL) == 0);
    ASSERT(pthread_cond_init(&j->made, NULL) == 0);
    init_room(j);
    int e = 0;
    if (!o->read_only) {
        if (j->o.segment_bytes < SEGMENT_MIN || j->o.segment_bytes > RECORD_BODY_MAX ||
            o->max_bytes / 4 < j->o.segment_bytes)
            e = err_set(err, -EINVAL,
                        "journal: segments of 16 KiB to 1 GiB, and room for four, are needed");
        else
            e = prepare_folder(j, err);
    }
    if (e == 0)
        e = journal_recover(j, err, &rec);
    if (e == 0 && !o->read_only)
        e = open_first(j, err, &rec);
    else if (e == 0)
        atomic_store(&j->end, rec.end);
    if (e < 0) {
        journal_free(j);
        return e;
    }
    j->segments = rec.segments;
    *out_recovery = rec;
    *out = j;
    return 0;
}

static int close_active(struct journal *j)
{
    struct journal_segment *s = j->active, *before = j->first;
    uint64_t end = journal_end(j);
    int e = journal_sync(j);
    if (j->prepared && e == 0)
        e = file_unlink(j->prepared->path);
    if (e < 0)
        return e;
    if (end > journal_segment_first(s) || s == before)
        return journal_segment_finish(j, s, end);
    while (before->next != s)
        before = before->next;
    before->next = NULL;
    e = file_unlink(s->path);
    journal_segment_free(s);
    return e == 0 ? file_sync_dir(j->dir) : e;
}

int journal_close(struct journal *j)
{
    if (!j)
        return 0;
    int e = failed(j);
    if (e == 0 && j->active)
        e = close_active(j);
    journal_free(j);
    return e;
}
