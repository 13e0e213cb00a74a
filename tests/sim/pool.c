/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/pool.h"
#include "base/hash.h"
#include "base/mem.h"
#include "core/conf_yaml.h"
#include "core/world.h"
#include "sim/own.h"

#include <stdlib.h>

enum what { WORLD, CONF };
enum { MOST = 800 }; /* of both */

struct entry {
    enum what what;
    struct hash128 text;
    void *p;
    bool out;
};

static bool is_on;
static struct entry *entries;
static size_t n_entries, cap_entries;
static unsigned opening; /* a world reads a configuration of its own */

int __real_world_open(const char *bundle, size_t len, struct problems *problems,
                      struct world **out);
int __wrap_world_open(const char *bundle, size_t len, struct problems *problems,
                      struct world **out);
void __real_world_free(struct world *w);
void __wrap_world_free(struct world *w);
void __real_world_link(struct world *w, const struct world *before);
void __wrap_world_link(struct world *w, const struct world *before);
int __real_conf_parse(const char *text, size_t len, const char *file, struct problems *problems,
                      struct conf **out);
int __wrap_conf_parse(const char *text, size_t len, const char *file, struct problems *problems,
                      struct conf **out);
void __real_conf_free(struct conf *c);
void __wrap_conf_free(struct conf *c);

struct yaml_node *__real_yaml_parse(const char *text, size_t len, struct arena *arena,
                                    struct conf_notes *notes);
struct yaml_node *__wrap_yaml_parse(const char *text, size_t len, struct arena *arena,
                                    struct conf_notes *notes);

static void *take(enum what what, const struct hash128 *text)
{
    for (size_t i = 0; i < n_entries; i++) {
        struct entry *e = &entries[i];
        if (!e->out && e->what == what && e->text.hi == text->hi && e->text.lo == text->lo) {
            e->out = true;
            return e->p;
        }
    }
    return NULL;
}

static void keep(enum what what, const struct hash128 *text, void *p)
{
    if (n_entries == cap_entries) {
        cap_entries = cap_entries ? cap_entries * 2 : 64;
        entries = mem_realloc_array(entries, cap_entries, sizeof(*entries));
    }
    entries[n_entries++] = (struct entry){what, *text, p, true};
}

static bool give_back(enum what what, const void *p)
{
    for (size_t i = 0; i < n_entries; i++) {
        if (entries[i].what == what && entries[i].p == p) {
            entries[i].out = false;
            return true;
        }
    }
    return false;
}

void pool_died(void)
{
    opening = sim_own = 0;
    for (size_t i = 0; i < n_entries; i++)
        entries[i].out = false;
}

bool pool_is_on(void)
{
    return is_on;
}

static void free_all(void)
{
    for (size_t i = 0; i < n_entries; i++) {
        if (entries[i].what == WORLD) {
            opening++;
            __real_world_free(entries[i].p);
            opening--;
        } else {
            __real_conf_free(entries[i].p);
        }
    }
    n_entries = 0;
}

void pool_reset(bool on)
{
    pool_died();
    if (n_entries > MOST)
        free_all();
    is_on = on;
}

int __wrap_world_open(const char *bundle, size_t len, struct problems *problems,
                      struct world **out)
{
    struct hash128 h = hash128(bundle, len);
    struct world *w = is_on ? take(WORLD, &h) : NULL;
    if (w) {
        *out = w;
        return 0;
    }
    opening++;
    sim_own += is_on;
    int r = __real_world_open(bundle, len, problems, out);
    sim_own -= is_on;
    opening--;
    if (r == 0 && is_on)
        keep(WORLD, &h, *out);
    return r;
}

void __wrap_world_free(struct world *w)
{
    if (give_back(WORLD, w))
        return;
    opening++;
    __real_world_free(w);
    opening--;
}

/* The one thing that a world takes after it was opened stays with it. */
void __wrap_world_link(struct world *w, const struct world *before)
{
    sim_own += is_on;
    __real_world_link(w, before);
    sim_own -= is_on;
}

int __wrap_conf_parse(const char *text, size_t len, const char *file, struct problems *problems,
                      struct conf **out)
{
    if (!is_on || opening)
        return __real_conf_parse(text, len, file, problems, out);
    struct hash128 h = hash128(text, len);
    struct conf *c = take(CONF, &h);
    if (c) {
        *out = c;
        return 0;
    }
    sim_own++;
    int r = __real_conf_parse(text, len, file, problems, out);
    sim_own--;
    if (r == 0)
        keep(CONF, &h, *out);
    return r;
}

void __wrap_conf_free(struct conf *c)
{
    if (opening || !give_back(CONF, c))
        __real_conf_free(c);
}

/* -- YAML ------------------------------------------------------------------------------------- */

struct tree {
    struct hash128 text;
    struct yaml_node *root;
};

static struct tree *trees;
static size_t n_trees, cap_trees;
static struct arena tree_arena;

struct yaml_node *__wrap_yaml_parse(const char *text, size_t len, struct arena *arena,
                                    struct conf_notes *notes)
{
    if (!is_on)
        return __real_yaml_parse(text, len, arena, notes);
    struct hash128 h = hash128(text, len);
    for (size_t i = 0; i < n_trees; i++)
        if (trees[i].text.hi == h.hi && trees[i].text.lo == h.lo)
            return trees[i].root;
    if (!tree_arena.max)
        arena_init(&tree_arena, (size_t)1 << 30);
    size_t said = notes->n;
    sim_own++;
    struct yaml_node *root = __real_yaml_parse(text, len, &tree_arena, notes);
    sim_own--;
    if (!root || notes->n != said)
        return root;
    if (n_trees == cap_trees) {
        cap_trees = cap_trees ? cap_trees * 2 : 64;
        trees = mem_realloc_array(trees, cap_trees, sizeof(*trees));
    }
    trees[n_trees++] = (struct tree){h, root};
    return root;
}
