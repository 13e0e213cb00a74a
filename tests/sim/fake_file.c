/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/fake_file.h"
#include "base/check.h"
#include "base/mem.h"
#include "io/file.h"
#include "sim/own.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096, SECTOR = 512, NAMES = 4096 };

struct inode {
    struct inode *next;
    char *now, *disk; /* `cap` bytes each; what is beyond the size is zero */
    uint64_t size, disk_size, cap;
    uint64_t read; /* bytes of it, since fake_file_read_begin */
    unsigned mapped;
    bool locked;
};
struct name {
    char *path;
    size_t len;
    struct inode *now, *disk; /* NULL: no such file */
};
struct file {
    struct file *next;
    struct inode *i;
    bool writable, locks;
};
struct map {
    struct map *next;
    char *p;
    struct inode *i;
};

static struct inode *inodes;
static struct name names[NAMES];
static size_t n_names;
static struct file *files;
static struct map *maps;
static uint64_t limit;
static unsigned uncollected;
static bool can_map = true;
static struct {
    unsigned nth;
    int error, for_ever;
} faults[3];

uint64_t fake_file_random(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

bool (*fake_file_dies)(void);
void (*fake_file_death)(void);

static void may_die(void)
{
    if (fake_file_dies && fake_file_dies())
        fake_file_death();
}

static int fault(enum fake_call c)
{
    if (faults[c].nth == 0)
        return 0;
    if (faults[c].nth > 1) {
        faults[c].nth--;
        return 0;
    }
    if (!faults[c].for_ever)
        faults[c].nth = 0;
    return faults[c].error;
}

void fake_file_fail(enum fake_call call, unsigned nth, int error, int for_ever)
{
    faults[call].nth = nth;
    faults[call].error = error;
    faults[call].for_ever = for_ever;
}

void fake_file_limit(uint64_t bytes)
{
    limit = bytes;
}

void fake_file_can_map(int yes)
{
    can_map = yes;
}

/* -- inodes and names ---------------------------------------------------------------------- */

static struct name *name_find(const char *path)
{
    size_t n = strlen(path);
    for (size_t k = 0; k < n_names; k++)
        if (names[k].len == n && memcmp(names[k].path, path, n) == 0)
            return &names[k];
    return NULL;
}

static struct name *name_get(const char *path)
{
    struct name *n = name_find(path);
    if (n)
        return n;
    ASSERT(n_names < NAMES);
    names[n_names] = (struct name){.path = mem_strdup(path), .len = strlen(path)};
    return &names[n_names++];
}

static void grow(struct inode *i, uint64_t size)
{
    if (size <= i->cap)
        return;
    ASSERT(i->mapped == 0); /* the mapping is the buffer */
    uint64_t more = i->cap / 2 > size - i->cap ? i->cap + i->cap / 2 : size;
    uint64_t cap = (more + PAGE - 1) & ~(uint64_t)(PAGE - 1);
    i->now = mem_realloc_array(i->now, cap, 1);
    i->disk = mem_realloc_array(i->disk, cap, 1);
    memset(i->now + i->cap, 0, cap - i->cap);
    memset(i->disk + i->cap, 0, cap - i->cap);
    i->cap = cap;
}

static void inode_free(struct inode *i)
{
    free(i->now);
    free(i->disk);
    free(i);
}

/* Inodes without a name or a handle go; names without an inode too. */
static void collect(void)
{
    size_t kept = 0;
    for (size_t k = 0; k < n_names; k++) {
        if (names[k].now || names[k].disk)
            names[kept++] = names[k];
        else
            free(names[k].path);
    }
    n_names = kept;
    for (struct inode **p = &inodes; *p;) {
        struct inode *i = *p;
        bool used = i->mapped > 0;
        for (size_t k = 0; k < n_names && !used; k++)
            used = names[k].now == i || names[k].disk == i;
        for (struct file *f = files; f && !used; f = f->next)
            used = f->i == i;
        if (used) {
            p = &i->next;
        } else {
            *p = i->next;
            inode_free(i);
        }
    }
}

/* What nobody can reach is seldom looked for, unless it counts. */
static void collect_soon(void)
{
    if (limit || ++uncollected % 64 == 0)
        collect();
}

static uint64_t used_bytes(void)
{
    uint64_t n = 0;
    for (struct inode *i = inodes; i; i = i->next)
        n += i->size;
    return n;
}

void fake_file_kill(void)
{
    for (struct map *m = maps, *next; m; m = next) {
        next = m->next;
        m->i->mapped--;
        free(m);
    }
    maps = NULL;
    for (struct file *f = files, *next; f; f = next) {
        next = f->next;
        f->i->locked = false;
        free(f);
    }
    files = NULL;
    collect();
}

void fake_file_power_cut(uint64_t *seed)
{
    fake_file_kill();
    /* sometimes everything of one kind goes, or stays: the extremes are where bugs live */
    unsigned keep = (unsigned)(fake_file_random(seed) % 5) * 25;
    for (size_t k = 0; k < n_names; k++) {
        if (names[k].now != names[k].disk && fake_file_random(seed) % 100 < keep)
            names[k].disk = names[k].now;
        names[k].now = names[k].disk;
    }
    for (struct inode *i = inodes; i; i = i->next) {
        if (i->size != i->disk_size && fake_file_random(seed) % 100 < keep)
            i->disk_size = i->size;
        for (uint64_t at = 0; at < i->cap; at += PAGE) {
            if (memcmp(i->now + at, i->disk + at, PAGE) == 0)
                continue;
            bool stays = fake_file_random(seed) % 100 < keep;
            bool torn = fake_file_random(seed) % 8 == 0;
            for (uint64_t s = at; s < at + PAGE; s += SECTOR)
                if (torn ? fake_file_random(seed) % 2 : stays)
                    memcpy(i->disk + s, i->now + s, SECTOR);
        }
        i->size = i->disk_size;
        if (i->cap > i->size)
            memset(i->disk + i->size, 0, i->cap - i->size);
        if (i->cap)
            memcpy(i->now, i->disk, i->cap);
    }
    collect();
}

void fake_file_reset(void)
{
    fake_file_kill();
    for (size_t k = 0; k < n_names; k++)
        names[k].now = names[k].disk = NULL;
    collect();
    limit = 0;
    uncollected = 0;
    can_map = true;
    memset(faults, 0, sizeof(faults));
}

void fake_file_flip(const char *path, uint64_t at)
{
    struct name *n = name_find(path);
    ASSERT(n && n->now && at < n->now->size);
    n->now->now[at] = (char)~n->now->now[at];
    n->now->disk[at] = (char)~n->now->disk[at];
}

/* -- io/file.h ----------------------------------------------------------------------------- */

int file_open(const char *path, int flags, struct file **out)
{
    struct name *n = name_find(path);
    struct inode *i = n ? n->now : NULL;
    if (i && (flags & FILE_EXCLUSIVE))
        return -EEXIST;
    if (!i) {
        int e = flags & FILE_CREATE ? fault(FAKE_MAKE) : -ENOENT;
        if (e < 0)
            return e;
        i = mem_zalloc(sizeof(*i));
        i->next = inodes;
        inodes = i;
        name_get(path)->now = i;
    }
    struct file *f = mem_zalloc(sizeof(*f));
    *f = (struct file){.next = files, .i = i, .writable = flags & FILE_WRITE};
    files = f;
    if (flags & FILE_TRUNCATE)
        (void)file_truncate(f, 0);
    *out = f;
    return 0;
}

void file_close(struct file *f)
{
    if (!f)
        return;
    struct file **p = &files;
    while (*p != f)
        p = &(*p)->next;
    *p = f->next;
    if (f->locks)
        f->i->locked = false;
    free(f);
    collect_soon();
}

int file_lock(struct file *f)
{
    if (f->i->locked)
        return -EWOULDBLOCK;
    f->i->locked = f->locks = true;
    return 0;
}

int file_size(struct file *f, uint64_t *out)
{
    *out = f->i->size;
    return 0;
}

static int resize(struct inode *i, uint64_t size)
{
    if (size > i->size && limit && used_bytes() + (size - i->size) > limit)
        return -ENOSPC;
    grow(i, size);
    if (size < i->size)
        memset(i->now + size, 0, i->size - size);
    i->size = size;
    return 0;
}

int file_allocate(struct file *f, uint64_t size)
{
    ASSERT(f->writable);
    int e = fault(FAKE_MAKE);
    if (e < 0)
        return e;
    return size > f->i->size ? resize(f->i, size) : 0;
}

int file_truncate(struct file *f, uint64_t size)
{
    ASSERT(f->writable);
    return resize(f->i, size);
}

int file_read(struct file *f, uint64_t at, void *p, size_t n, size_t *out_n)
{
    size_t got = at >= f->i->size ? 0 : f->i->size - at < n ? (size_t)(f->i->size - at) : n;
    if (got)
        memcpy(p, f->i->now + at, got);
    if (!fake_file_read_unseen)
        f->i->read += got;
    *out_n = got;
    return 0;
}

bool fake_file_read_unseen;

void fake_file_read_begin(void)
{
    for (struct inode *i = inodes; i; i = i->next)
        i->read = 0;
    fake_file_read_unseen = false;
}

int file_write(struct file *f, uint64_t at, const void *p, size_t n)
{
    ASSERT(f->writable);
    int e = fault(FAKE_WRITE);
    if (fake_file_dies && fake_file_dies()) {
        size_t k = at + n <= f->i->size ? n / 2 : 0; /* what fits without growing */
        if (k)
            memcpy(f->i->now + at, p, k);
        fake_file_death();
    }
    if (e == 0 && at + n > f->i->size)
        e = resize(f->i, at + n);
    if (e < 0) { /* part of it may have been written */
        size_t k = at + n <= f->i->size ? n / 2 : 0;
        if (k)
            memcpy(f->i->now + at, p, k);
        return e;
    }
    if (n)
        memcpy(f->i->now + at, p, n);
    return 0;
}

int file_sync(struct file *f)
{
    may_die();
    int e = fault(FAKE_SYNC);
    if (e < 0)
        return e;
    struct inode *i = f->i;
    uint64_t n = i->size > i->disk_size ? i->size : i->disk_size; /* behind it both are zero */
    if (n)
        memcpy(i->disk, i->now, n);
    i->disk_size = i->size;
    return 0;
}

int file_write_behind(struct file *f, uint64_t from, uint64_t to)
{
    (void)from;
    (void)to;
    ASSERT(f->writable);
    return 0;
}

int file_punch(struct file *f, uint64_t at, uint64_t n)
{
    ASSERT(f->writable);
    if (at < f->i->size)
        memset(f->i->now + at, 0, f->i->size - at < n ? f->i->size - at : n);
    return 0;
}

int file_map(struct file *f, uint64_t size, bool writable, void **out)
{
    ASSERT(size > 0 && size <= f->i->cap && (!writable || f->writable));
    struct map *m = mem_zalloc(sizeof(*m));
    *m = (struct map){.next = maps, .p = f->i->now, .i = f->i};
    maps = m;
    f->i->mapped++;
    *out = m->p;
    return 0;
}

void file_map_forget(void *p, uint64_t from, uint64_t to)
{
    (void)p;
    (void)from;
    (void)to;
}

void file_unmap(void *p, uint64_t size)
{
    (void)size;
    for (struct map **at = &maps; p && *at; at = &(*at)->next) {
        struct map *m = *at;
        if (m->p != p)
            continue;
        *at = m->next;
        m->i->mapped--;
        free(m);
        collect_soon();
        return;
    }
}

bool file_can_map(const char *dir)
{
    (void)dir;
    return can_map;
}

int file_make_dir(const char *path)
{
    (void)path;
    return 0;
}

int file_unlink(const char *path)
{
    may_die();
    struct name *n = name_find(path);
    if (!n || !n->now)
        return -ENOENT;
    n->now = NULL;
    collect_soon();
    return 0;
}

int file_rename(const char *from, const char *to)
{
    may_die();
    struct name *n = name_find(from);
    if (!n || !n->now)
        return -ENOENT;
    int e = fault(FAKE_MAKE);
    if (e < 0)
        return e;
    struct inode *i = n->now;
    struct name *t = name_get(to); /* may move nothing: names[] does not grow in place */
    name_find(from)->now = NULL;
    t->now = i;
    collect_soon();
    return 0;
}

bool fake_file_durable(const char *path, uint64_t at, uint64_t n)
{
    const struct name *k = name_find(path);
    if (!k || !k->now)
        return false;
    const struct inode *i = k->now;
    return k->disk == i && at + n <= i->disk_size && memcmp(i->now + at, i->disk + at, n) == 0;
}

bool fake_file_exists(const char *path)
{
    const struct name *k = name_find(path);
    return k && k->now;
}

void fake_file_put(const char *path, const char *text)
{
    struct file *f;
    bool (*dies)(void) = fake_file_dies;
    fake_file_dies = NULL; /* it is not the gateway that writes */
    ASSERT(file_open(path, FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, &f) == 0);
    ASSERT(file_write(f, 0, text, strlen(text)) == 0);
    ASSERT(file_sync(f) == 0);
    file_close(f);
    name_find(path)->disk = name_find(path)->now;
    fake_file_dies = dies;
}

static const char *inside(const char *path, const char *dir)
{
    size_t k = strlen(dir);
    if (strncmp(path, dir, k) != 0 || path[k] != '/' || strchr(path + k + 1, '/'))
        return NULL;
    return path + k + 1;
}

int file_sync_dir(const char *path)
{
    may_die();
    int e = fault(FAKE_SYNC);
    if (e < 0)
        return e;
    for (size_t k = 0; k < n_names; k++)
        if (inside(names[k].path, path))
            names[k].disk = names[k].now;
    collect_soon();
    return 0;
}

int file_list(const char *dir, void (*fn)(void *ctx, const char *name), void *ctx)
{
    for (size_t k = 0; k < n_names; k++)
        if (names[k].now && inside(names[k].path, dir))
            fn(ctx, inside(names[k].path, dir));
    return 0;
}

/* -- copies of folders ----------------------------------------------------------------------- */

struct copied {
    char *path, *bytes;
    uint64_t size;
};
struct fake_copy {
    char *folder;
    struct copied *files;
    size_t n;
};

static bool is_below(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && path[n] == '/';
}

int64_t fake_file_read_too_much(const char *folder)
{
    int64_t most = 0;
    for (size_t k = 0; k < n_names; k++) {
        const struct inode *i = names[k].now;
        if (i && is_below(names[k].path, folder) && (int64_t)(i->read - i->size) > most)
            most = (int64_t)(i->read - i->size);
    }
    return most;
}

struct fake_copy *fake_file_copy(const char *folder)
{
    struct fake_copy *c = mem_zalloc(sizeof(*c));
    c->folder = mem_strdup(folder);
    c->files = mem_zalloc_array(n_names, sizeof(*c->files));
    for (size_t k = 0; k < n_names; k++) {
        const struct inode *i = names[k].now;
        if (i && is_below(names[k].path, folder))
            c->files[c->n++] =
                (struct copied){mem_strdup(names[k].path), mem_dup(i->now, i->size), i->size};
    }
    return c;
}

void fake_file_put_back(const struct fake_copy *c)
{
    ASSERT(!files);
    bool (*dies)(void) = fake_file_dies;
    fake_file_dies = NULL;
    for (size_t k = 0; k < n_names; k++)
        if (is_below(names[k].path, c->folder))
            names[k].now = names[k].disk = NULL;
    collect();
    for (size_t k = 0; k < c->n; k++) {
        struct file *f;
        ASSERT(file_open(c->files[k].path, FILE_WRITE | FILE_CREATE, &f) == 0);
        ASSERT(file_write(f, 0, c->files[k].bytes, c->files[k].size) == 0);
        ASSERT(file_sync(f) == 0);
        name_find(c->files[k].path)->disk = f->i;
        file_close(f);
    }
    fake_file_dies = dies;
}

void fake_file_copy_free(struct fake_copy *c)
{
    for (size_t k = 0; c && k < c->n; k++) {
        free(c->files[k].path);
        free(c->files[k].bytes);
    }
    if (c) {
        free(c->files);
        free(c->folder);
    }
    free(c);
}
