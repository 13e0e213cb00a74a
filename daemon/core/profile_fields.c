/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fields`, `pairs` and `quality`, compiled.
 */
#include "core/profile_private.h"

#include <string.h>

enum { MAX_BLOCKS = 32, MAX_NAMES = 4096, MAX_QUALITY = 64 };

/* A name that the codec behind `in` never gives is a mapping for nothing. */
static void reach(struct plan_build *b, const struct yaml_node *key,
                  const struct plan_fields *f)
{
    char name[PLAN_MAX_TEXT];
    size_t n = strlen(key->text);
    if (f->prefix_len + n >= sizeof(name))
        return;
    memcpy(name, f->prefix ? f->prefix : "", f->prefix_len);
    memcpy(name + f->prefix_len, key->text, n);
    plan_reach(b, key, f->in, name, f->prefix_len + n);
}

static void names_of(struct plan_build *b, const struct yaml_node *n, struct plan_fields *f)
{
    if (!plan_is_map(b, n, "names"))
        return;
    size_t count = 0, slots = 8, most = plan_count(n);
    while (slots < most * 2)
        slots *= 2;
    if (most > MAX_NAMES) {
        conf_error(b->notes, AT(n), "more than %d names", MAX_NAMES);
        return;
    }
    struct plan_name *list = plan_take(b, most, sizeof(*list));
    uint16_t *table = plan_take(b, slots, sizeof(*table));
    memset(table, 0xff, slots * sizeof(*table));
    for (const struct yaml_node *v = n->first; v; v = v->next) {
        size_t len = strlen(v->key->text);
        size_t at = key_hash(v->key->text, len) & (slots - 1);
        bool repeated = false;
        for (; table[at] != PLAN_NONE; at = (at + 1) & (slots - 1))
            repeated = repeated || strcmp(list[table[at]].name, v->key->text) == 0;
        if (repeated)
            conf_error(b->notes, AT(v->key), "\"%.64s\" is repeated", v->key->text);
        struct plan_name *p = &list[count];
        *p = (struct plan_name){plan_text_copy(b, v->key->text, len), len, NULL};
        table[at] = (uint16_t)count++;
        if (!f->pairs && f->in != PLAN_NONE)
            reach(b, v->key, f);
        if (!yaml_is_null(v))
            p->map = plan_mapping(b, v, NULL, f->value, f->n_value);
    }
    f->names = list;
    f->n_names = count;
    f->table = table;
    f->mask = slots - 1;
}

struct block_keys {
    const struct yaml_node *in, *names, *same, *prefix, *value, *name, *time, *when, *quality;
    const struct yaml_node *error, *ok;
};

static bool enter(struct plan_build *b, const struct yaml_node *at, bool keyed,
                  struct plan_fields *f)
{
    struct plan_scope *s = b->scope;
    if (s->n_levels == PLAN_MAX_LEVELS) {
        conf_error(b->notes, AT(at), "too many levels");
        return false;
    }
    f->slot = plan_new_slot(b);
    f->item = f->slot
                  ? plan_item_node(b, f->slot, keyed ? LEVEL_MEMBERS : LEVEL_ELEMENTS, f->in)
                  : PLAN_NONE;
    if (f->item == PLAN_NONE) {
        conf_error(b->notes, AT(at), "too many levels in one profile");
        return false;
    }
    s->levels[s->n_levels].slot = f->slot;
    s->levels[s->n_levels].item = f->item;
    s->levels[s->n_levels++].keyed = keyed;
    return true;
}

static void inside(struct plan_build *b, const struct yaml_node *n, const struct block_keys *k,
                   struct plan_fields *f)
{
    b->relative = true;
    if (k->value) {
        f->n_value = plan_paths(b, k->value, f->value);
        if (!f->pairs && f->n_value && f->n_value < PLAN_MAX_FROM) /* or bare */
            f->value[f->n_value++] = f->item;
    } else if (!f->pairs)
        f->value[f->n_value++] = f->item;
    else
        conf_error(b->notes, AT(n),
                   "pairs need `value`, a path from the element like \"@.value\"");
    f->name = k->name ? plan_text(b, k->name) : PLAN_NONE;
    if (f->pairs && !k->name)
        conf_error(b->notes, AT(n),
                   "pairs need `name`, a path from the element like \"@.name\"");
    if (k->when)
        f->when = plan_when(b, k->when);
    if (k->time)
        f->time = plan_times(b, k->time);
    if (k->names)
        names_of(b, k->names, f);
    if (k->quality)
        plan_quality_of(b, k->quality, &f->quality, &f->n_quality);
    if (k->error)
        f->error = plan_path(b, k->error);
    if (k->ok)
        (void)plan_scalars_of(b, k->ok, "ok", &f->ok);
    f->bare = f->same && !f->pairs && !f->prefix && !f->when && !f->time && !f->n_quality &&
              f->error == PLAN_NONE && f->n_value == 1 && f->value[0] == f->item;
    b->relative = false;
}

/* `name: "@.n"` of pairs is a path; as a text it is the same in braces. */
static const struct yaml_node *name_text(struct plan_build *b, const struct yaml_node *n,
                                         struct yaml_node *room)
{
    if (!n || n->kind != YAML_SCALAR || strchr(n->text, '{'))
        return n;
    bool bare = *n->text != '@' && *n->text != '$';
    size_t len = strlen(n->text), at = bare ? 3 : 1;
    char *text = plan_take(b, len + 6, 1);
    memcpy(text, bare ? "{@." : "{", at);
    memcpy(text + at, n->text, len);
    text[at + len] = '}';
    *room = *n;
    room->text = text;
    return room;
}

static bool block_of(struct plan_build *b, const struct yaml_node *n, bool pairs,
                     struct plan_fields *f)
{
    struct block_keys k = {0};
    const struct plan_key keys[] = {
        {"in", &k.in},           {"names", &k.names}, {"same", &k.same},
        {"prefix", &k.prefix},   {"value", &k.value}, {"when", &k.when},
        {"quality", &k.quality}, {"time", &k.time},   {"name", &k.name},
        {"error", &k.error},     {"ok", &k.ok}};
    struct yaml_node room;
    const char *what = pairs ? "pairs" : "fields";
    if (!plan_is_map(b, n, what))
        return false;
    plan_read_map(b, n, keys, pairs ? 11 : 8, what);
    *f = (struct plan_fields){
        .pairs = pairs, .in = PLAN_NONE, .name = PLAN_NONE, .error = PLAN_NONE};
    if (k.in)
        f->in = plan_path(b, k.in);
    else
        conf_error(b->notes, AT(n), "%s need `in`, the path of the %s", what,
                   pairs ? "array" : "object");
    f->same = plan_bool(b, k.same, "same", false);
    if (k.prefix) {
        const char *s = plan_scalar_text(b, k.prefix, "prefix");
        f->prefix_len = s ? strlen(s) : 0;
        f->prefix = plan_text_copy(b, s ? s : "", f->prefix_len);
    }
    if (!f->same && !k.names)
        conf_error(b->notes, AT(n), "%s need `names` (their name: ours) or `same: true`", what);
    k.name = name_text(b, k.name, &room);
    if (!enter(b, n, !pairs, f))
        return false;
    inside(b, n, &k, f);
    b->scope->n_levels--;
    return f->in != PLAN_NONE;
}

static void blocks_of(struct plan_build *b, const struct yaml_node *n, bool pairs,
                      struct plan_fields *list, size_t *count)
{
    const struct yaml_node *v = n && n->kind == YAML_LIST ? n->first : n;
    for (; v; v = n->kind == YAML_LIST ? v->next : NULL) {
        if (*count == MAX_BLOCKS) {
            conf_error(b->notes, AT(v), "more than %d fields and pairs", MAX_BLOCKS);
            return;
        }
        *count += block_of(b, v, pairs, &list[*count]);
    }
}

void plan_fields_of(struct plan_build *b, const struct yaml_node *fields,
                    const struct yaml_node *pairs, struct plan_part *part)
{
    struct plan_fields *list = plan_take(b, MAX_BLOCKS, sizeof(*list));
    struct plan_fields *sorted = plan_take(b, MAX_BLOCKS, sizeof(*sorted));
    size_t n = 0, to = 0;
    blocks_of(b, fields, false, list, &n);
    blocks_of(b, pairs, true, list, &n);
    for (int timed = 0; timed < 2; timed++)
        for (size_t i = 0; i < n; i++)
            if ((list[i].time != NULL) == timed)
                sorted[to++] = list[i];
    part->fields = sorted;
    part->n_fields = n;
    part->timed = n && sorted[n - 1].time;
}

/* ---- quality ---- */

static const struct {
    const char *word;
    enum quality_reason reason;
} reasons[] = {{"fault", REASON_FAULT}, {"disagree", REASON_DISAGREE},
               {"range", REASON_RANGE}, {"sentinel", REASON_SENTINEL},
               {"clock", REASON_CLOCK}, {"other", REASON_OTHER}};

static bool reason_of(struct plan_build *b, const struct yaml_node *n, unsigned char *out)
{
    const char *names[6], *s = plan_scalar_text(b, n, n->key->text);
    if (!s)
        return false;
    for (size_t i = 0; i < 6; i++) {
        names[i] = reasons[i].word;
        if (strcmp(names[i], s) == 0) {
            *out = (unsigned char)reasons[i].reason;
            return true;
        }
    }
    plan_unknown(b, n, "expected fault, disagree, range, sentinel, clock or other instead of",
                 s, names, 6);
    return false;
}

static void metrics_of(struct plan_build *b, const struct yaml_node *n, struct plan_quality *q)
{
    if (n->kind != YAML_LIST || !n->first) {
        if (n->kind != YAML_BAD)
            conf_error(b->notes, AT(n), "values is %s, expected a list of metrics",
                       n->kind == YAML_LIST ? "empty" : plan_kind_of(n));
        return;
    }
    const char **list = plan_take(b, plan_count(n), sizeof(char *));
    for (const struct yaml_node *v = n->first; v; v = v->next) {
        const char *s = plan_scalar_text(b, v, "a metric");
        struct plan_metric m;
        if (s && plan_metric(b, v, s, NULL, &m))
            list[q->n++] = m.any->name;
    }
    q->metrics = list;
}

static bool quality_entry(struct plan_build *b, const struct yaml_node *n,
                          struct plan_quality *q)
{
    const struct yaml_node *when = NULL, *bad = NULL, *uncertain = NULL, *values = NULL;
    const struct plan_key keys[] = {
        {"when", &when}, {"bad", &bad}, {"uncertain", &uncertain}, {"values", &values}};
    *q = (struct plan_quality){.quality = QUALITY_BAD};
    if (!plan_is_map(b, n, "an entry of quality"))
        return false;
    plan_read_map(b, n, keys, 4, "quality");
    if (when)
        q->when = plan_when(b, when);
    if (values)
        metrics_of(b, values, q);
    if (!bad == !uncertain) {
        conf_error(b->notes, AT(n), "expected `bad: REASON` or `uncertain: REASON`");
        return false;
    }
    q->quality = bad ? QUALITY_BAD : QUALITY_UNCERTAIN;
    return reason_of(b, bad ? bad : uncertain, &q->reason) && (!values || q->n);
}

void plan_quality_of(struct plan_build *b, const struct yaml_node *n,
                     const struct plan_quality **out, size_t *out_n)
{
    struct plan_quality *list = plan_take(b, MAX_QUALITY, sizeof(*list));
    size_t count = 0;
    const struct yaml_node *v = n->kind == YAML_LIST ? n->first : n;
    for (; v; v = n->kind == YAML_LIST ? v->next : NULL) {
        if (count == MAX_QUALITY) {
            conf_error(b->notes, AT(v), "more than %d entries", MAX_QUALITY);
            break;
        }
        count += quality_entry(b, v, &list[count]);
    }
    *out = list;
    *out_n = count;
}
