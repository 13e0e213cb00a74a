/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bundle: a line of magic, then part by part a line "name length file", the text and a
 * newline. Profiles and rules are parts that may come more than once.
 */
#include "base/mem.h"
#include "base/num.h"
#include "core/world_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC            "gaihou-bundle 1\n"
#define MAX_NAME         15
#define MAX_ZONE_CHANGES 4096
#define MAX_ZONE_OFFSET  (26 * 3600)

static const char *const part_names[WORLD_PARTS] = {"config",  "catalog", "compounds",
                                                    "devices", "params",  "zone"};
static const char profile_name_[] = "profile", rules_name_[] = "rules";

static void put_head(struct buf *out, const char *name, const char *file, size_t len)
{
    (void)buf_printf(out, "%s %zu %s\n", name, len, file);
}

static void put_part(struct buf *out, const char *name, const struct world_text *t)
{
    put_head(out, name, t->file, t->len);
    (void)buf_put(out, t->text, t->len);
    (void)buf_putc(out, '\n');
}

int world_bundle_begin(struct buf *out)
{
    return buf_puts(out, MAGIC);
}

int world_bundle_part(enum world_part i, const struct world_text *t, struct buf *out)
{
    if (t->file)
        put_part(out, part_names[i], t);
    return out->failed ? -ENOBUFS : 0;
}

char *world_bundle_room(enum world_part i, const char *file, size_t len, struct buf *out)
{
    put_head(out, part_names[i], file, len);
    return out->failed ? NULL : buf_room(out, len + 1);
}

void world_bundle_filled(size_t len, struct buf *out)
{
    buf_commit(out, len);
    (void)buf_putc(out, '\n');
}

int world_bundle(const struct world_text parts[WORLD_PARTS], struct buf *out)
{
    (void)world_bundle_begin(out);
    for (size_t i = 0; i < WORLD_PARTS; i++)
        (void)world_bundle_part((enum world_part)i, &parts[i], out);
    return out->failed ? -ENOBUFS : 0;
}

static int by_file(const void *a, const void *b)
{
    const struct world_text *const *x = a, *const *y = b;
    return strcmp((*x)->file, (*y)->file);
}

static int put_sorted(struct buf *out, const char *name, const struct world_text *files,
                      size_t n)
{
    const struct world_text **sorted = mem_zalloc_array(n, sizeof(*sorted));
    for (size_t i = 0; i < n; i++)
        sorted[i] = &files[i];
    if (n)
        qsort(sorted, n, sizeof(*sorted), by_file);
    for (size_t i = 0; i < n; i++)
        put_part(out, name, sorted[i]);
    free(sorted);
    return out->failed ? -ENOBUFS : 0;
}

int world_bundle_profiles(const struct world_text *profiles, size_t n, struct buf *out)
{
    return put_sorted(out, profile_name_, profiles, n);
}

int world_bundle_rules(const struct world_text *rules, size_t n, struct buf *out)
{
    return put_sorted(out, rules_name_, rules, n);
}

/* One "name length file\n" line; returns what follows it, or NULL. */
static const char *unbundle_head(const char *s, const char *end, char name[MAX_NAME + 1],
                                 size_t *out_len, char **out_file)
{
    const char *nl = memchr(s, '\n', (size_t)(end - s));
    const char *sp = nl ? memchr(s, ' ', (size_t)(nl - s)) : NULL;
    const char *sp2 = sp ? memchr(sp + 1, ' ', (size_t)(nl - sp - 1)) : NULL;
    uint64_t len;
    if (!sp2 || sp - s > MAX_NAME || num_get_u64(sp + 1, (size_t)(sp2 - sp - 1), &len) != 0)
        return NULL;
    if (len >= (uint64_t)(end - nl - 1)) /* the text and its newline */
        return NULL;
    memcpy(name, s, (size_t)(sp - s));
    name[sp - s] = '\0';
    *out_len = (size_t)len;
    *out_file = mem_strndup(sp2 + 1, (size_t)(nl - sp2 - 1));
    return nl + 1;
}

/* Where a part of that name belongs; NULL: nowhere. */
static struct world_text *place_of(struct world_unbundled *u, const char *name)
{
    if (strcmp(name, profile_name_) == 0)
        return u->n_profiles < WORLD_MAX_PROFILES ? &u->profiles[u->n_profiles++] : NULL;
    if (strcmp(name, rules_name_) == 0)
        return u->n_rules < RULES_MAX_FILES ? &u->rules[u->n_rules++] : NULL;
    for (size_t i = 0; i < WORLD_PARTS; i++)
        if (strcmp(name, part_names[i]) == 0)
            return u->parts[i].file ? NULL : &u->parts[i];
    return NULL;
}

int world_unbundle(const char *bundle, size_t len, struct world_unbundled *out)
{
    const char *s = bundle, *end = bundle + len;
    if (len < strlen(MAGIC) || memcmp(s, MAGIC, strlen(MAGIC)) != 0)
        return -EINVAL;
    s += strlen(MAGIC);
    while (s < end) {
        char name[MAX_NAME + 1], *file = NULL;
        size_t n = 0;
        s = unbundle_head(s, end, name, &n, &file);
        if (!s)
            return -EINVAL;
        struct world_text *t = place_of(out, name);
        if (!t) {
            free(file);
            return -EINVAL;
        }
        *t = (struct world_text){file, s, n};
        s += n + 1;
    }
    return 0;
}

void world_unbundled_done(struct world_unbundled *u)
{
    for (size_t i = 0; i < WORLD_PARTS; i++)
        free((char *)(uintptr_t)u->parts[i].file);
    for (size_t i = 0; i < u->n_profiles; i++)
        free((char *)(uintptr_t)u->profiles[i].file);
    for (size_t i = 0; i < u->n_rules; i++)
        free((char *)(uintptr_t)u->rules[i].file);
}

/* -- the zone: a line a change, "from offset" in seconds ------------------------------------ */

int world_zone_text(const struct zone *z, struct buf *out)
{
    for (size_t i = 0; i < z->n; i++)
        (void)buf_printf(out, "%lld %ld\n", (long long)z->changes[i].from_s,
                         (long)z->changes[i].offset_s);
    return out->failed ? -ENOBUFS : 0;
}

static bool read_change(const char *s, size_t n, struct zone_change *out)
{
    int64_t from, offset;
    const char *sp = memchr(s, ' ', n);
    if (!sp || num_get_i64(s, (size_t)(sp - s), &from) != 0 ||
        num_get_i64(sp + 1, n - (size_t)(sp + 1 - s), &offset) != 0 ||
        offset < -MAX_ZONE_OFFSET || offset > MAX_ZONE_OFFSET)
        return false;
    *out = (struct zone_change){from, (int32_t)offset};
    return true;
}

int world_zone_read(const char *text, size_t len, struct zone **out)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += text[i] == '\n';
    if (n == 0 || n > MAX_ZONE_CHANGES || text[len - 1] != '\n')
        return -EINVAL;
    struct zone *z = mem_zalloc(sizeof(*z) + n * sizeof(*z->changes));
    z->changes = (struct zone_change *)(z + 1);
    const char *s = text;
    for (; z->n < n; z->n++) {
        struct zone_change *c = &z->changes[z->n];
        size_t line = strcspn(s, "\n");
        if (!read_change(s, line, c) ||
            (z->n ? c->from_s <= c[-1].from_s : c->from_s != INT64_MIN)) {
            zone_free(z);
            return -EINVAL;
        }
        s += line + 1;
    }
    *out = z;
    return 0;
}
