/* SPDX-License-Identifier: Apache-2.0 */
/* Records that begin with a key of one or two bytes, and perhaps a length. */
#include "base/mem.h"
#include "core/codec_plan_private.h"

#include <stdlib.h>

enum { MAX_LISTS = 64, NO_ITEM = 0xffff };
#define UNKNOWN_NAME "_unknown"

struct tlv_item {
    struct codec_field field;
    uint16_t list; /* + 1; 0: none */
};

struct tlv_row {
    uint16_t item[256]; /* by the last byte of the key */
};

struct tlv {
    unsigned key_bytes;
    unsigned length_bytes; /* 0: each record has the width of its fields */
    bool length_little;
    bool rest; /* of a record that is longer than its field, nobody asks */
    enum { UNKNOWN_REFUSE, UNKNOWN_STOP, UNKNOWN_SKIP } unknown;
    int n_slots;
    struct tlv_item *items;
    size_t n_items;
    uint16_t row_of[256]; /* by the first of two bytes */
    struct tlv_row *rows; /* the first: of all bytes that have none of their own */
    struct codec_span lists[MAX_LISTS]; /* names */
    size_t n_lists;
};

/* ---- running ---- */

struct lists { /* the records of lists, by the order of the items' names */
    bool any;  /* else the rest means nothing */
    uint32_t head[MAX_LISTS], tail[MAX_LISTS];
};

static const struct tlv_item *item_of(const struct tlv *t, const unsigned char *key)
{
    const struct tlv_row *row = &t->rows[t->key_bytes == 2 ? t->row_of[key[0]] : 0];
    uint16_t i = row->item[key[t->key_bytes - 1]];
    return i == NO_ITEM ? NULL : &t->items[i];
}

static void remember(struct codec_run *x, struct lists *l, size_t n_lists, unsigned list,
                     uint32_t item, size_t at, size_t end)
{
    if (x->n_entries == x->cap_entries) {
        x->cap_entries = x->cap_entries ? x->cap_entries * 2 : 64;
        x->entries = mem_realloc_array(x->entries, x->cap_entries, sizeof(*x->entries));
    }
    for (size_t i = 0; i < n_lists && !l->any; i++)
        l->head[i] = UINT32_MAX;
    l->any = true;
    uint32_t e = (uint32_t)x->n_entries++;
    x->entries[e] = (struct codec_list_entry){item, (uint32_t)at, (uint32_t)end, UINT32_MAX};
    if (l->head[list] == UINT32_MAX)
        l->head[list] = e;
    else
        x->entries[l->tail[list]].next = e;
    l->tail[list] = e;
}

static int run_record(struct codec_cursor *c, const struct codec_field *f,
                      const unsigned char *whole, size_t at, size_t end, bool keyed)
{
    c->p = whole + at;
    c->n = end - at;
    c->at = c->most = 0;
    c->base = at;
    return codec_field_run(c, f, keyed);
}

/* The length of the record whose value begins at *at, which moves behind the length. */
static int length_of(const struct tlv *t, struct codec_span in, size_t *at, size_t *out_end,
                     struct codec_fault *f)
{
    size_t n = 0;
    const unsigned char *p = (const unsigned char *)in.p + *at;
    if (in.n - *at < t->length_bytes)
        return codec_refuse(f, "ends within the length of a record", in.n);
    for (unsigned i = 0; i < t->length_bytes; i++)
        n = n << 8 | p[t->length_little ? t->length_bytes - 1 - i : i];
    if (n > in.n - *at - t->length_bytes)
        return codec_refuse_sum(f, "a record is longer than what is left", *at);
    *at += t->length_bytes;
    *out_end = *at + n;
    return 0;
}

static int put_lists(const struct tlv *t, struct codec_cursor *c, const struct lists *l,
                     const unsigned char *whole)
{
    int r = 0;
    for (size_t i = 0; i < t->n_lists && r == 0; i++) {
        if (l->head[i] == UINT32_MAX)
            continue;
        if ((r = doc_key(c->d, t->lists[i].p, t->lists[i].n)) < 0 || (r = doc_array(c->d)) < 0)
            return r;
        for (uint32_t e = l->head[i]; e != UINT32_MAX && r == 0;) {
            struct codec_list_entry entry = c->x->entries[e];
            c->key = whole + entry.at - t->length_bytes - t->key_bytes;
            r = run_record(c, &t->items[entry.item].field, whole, entry.at, entry.end, false);
            e = entry.next;
        }
        if (r == 0)
            r = doc_end(c->d);
    }
    return r;
}

static int put_unknown(const struct tlv *t, struct codec_cursor *c, struct codec_span in,
                       size_t at)
{
    static const char name[] = UNKNOWN_NAME;
    if (t->unknown == UNKNOWN_REFUSE)
        return codec_refuse(c->f, "a record of a type that is not known", at);
    int r = doc_key(c->d, name, sizeof(name) - 1);
    return r < 0 ? r : codec_put_hex(c->x, c->d, in.p + at, in.n - at);
}

static int run_records(const struct tlv *t, struct codec_cursor *c, struct codec_span in,
                       struct lists *l)
{
    const unsigned char *whole = (const unsigned char *)in.p;
    struct doc *d = c->d;
    size_t at = 0;
    int r = 0;
    while (at < in.n && r == 0) {
        size_t begin = at, end = in.n;
        if (in.n - at < t->key_bytes)
            return codec_refuse(c->f, "ends within the type of a record", in.n);
        c->key = whole + at;
        const struct tlv_item *item = item_of(t, c->key);
        if (!item && t->unknown != UNKNOWN_SKIP)
            return put_unknown(t, c, in, begin);
        at += t->key_bytes;
        if (t->length_bytes && (r = length_of(t, in, &at, &end, c->f)) < 0)
            return r;
        if (!item) {
            at = end;
            continue;
        }
        c->d = item->list ? NULL : d; /* a list is written when all is read */
        r = run_record(c, &item->field, whole, at, end, true);
        c->d = d;
        if (!t->length_bytes)
            end = at + c->at;
        size_t read = c->at > c->most ? c->at : c->most;
        if (t->length_bytes && r == 0 && read < c->n &&
            !t->rest) /* its first bytes are no value */
            return codec_refuse(c->f, "a record is longer than its field", at + read);
        if (item->list && r == 0)
            remember(c->x, l, t->n_lists, item->list - 1u, (uint32_t)(item - t->items), at,
                     end);
        at = end;
    }
    return r;
}

static int tlv_members(const struct codec_op *op, struct codec_run *x, struct codec_span in,
                       struct doc *d, struct codec_fault *f)
{
    const struct tlv *t = op->arg;
    struct lists l;
    size_t left = codec_work(in.n), entries = x->n_entries;
    struct codec_cursor c;
    codec_begin(&c, in, 0, t->n_slots);
    c.x = x;
    c.d = d;
    c.f = f;
    c.work = &left;
    l.any = false;
    int r = run_records(t, &c, in, &l);
    if (r == 0 && l.any)
        r = put_lists(t, &c, &l, (const unsigned char *)in.p);
    x->n_entries = entries; /* a tlv within a tlv has its own */
    return r;
}

static int tlv_value(const struct codec_op *op, struct codec_run *x, struct codec_span in,
                     struct doc *d, struct codec_fault *f)
{
    int r = doc_object(d);
    if (r == 0)
        r = tlv_members(op, x, in, d, f);
    return r == 0 ? doc_end(d) : r;
}

static bool tlv_gives(const struct codec_op *op, const struct codec_look *l, size_t at)
{
    static const struct codec_span rest = {UNKNOWN_NAME, sizeof(UNKNOWN_NAME) - 1};
    const struct tlv *t = op->arg;
    bool found = at == l->n;
    for (size_t i = 0; i < t->n_items; i++)
        found = codec_look_field(l, &t->items[i].field, at) || found;
    if (t->unknown == UNKNOWN_STOP && codec_look_name(l, rest, false, at))
        found = found || at + 1 >= l->n;
    return found;
}

/* ---- compiling ---- */

static bool wrong(struct codec_parse *c, const struct yaml_node *n, const char *what)
{
    conf_error(c->notes, AT(n), "%s", what);
    return false;
}

static bool read_key_bytes(struct codec_parse *c, const struct yaml_node *n, struct tlv *t)
{
    const struct yaml_node *v = n->kind == YAML_LIST ? n->first : n;
    for (; v; v = n->kind == YAML_LIST ? v->next : NULL) {
        if (v->kind != YAML_SCALAR || strcmp(v->text, "u8") != 0 || t->key_bytes == 2)
            return wrong(c, n, "key: expected [u8] or [u8, u8]");
        t->key_bytes++;
    }
    return t->key_bytes || wrong(c, n, "key: expected [u8] or [u8, u8]");
}

static bool read_length(struct codec_parse *c, const struct yaml_node *n, struct tlv *t)
{
    static const char *const words[] = {"u8", "u16be", "u16le"};
    int i = codec_read_choice(c, n, "length", words, 3);
    t->length_bytes = i == 0 ? 1 : 2;
    t->length_little = i == 2;
    return i >= 0;
}

/* A key as it is written: a byte, or -1 for all. */
struct key {
    int byte[2];
    const struct yaml_node *node;
};

static bool read_key(struct codec_parse *c, const struct yaml_node *n,
                     const struct yaml_node *item, const struct tlv *t, struct key *out)
{
    if (!n)
        return wrong(c, item, "a record without a key, expected such as key: [0x01, 0x75]");
    const struct yaml_node *v = n->kind == YAML_LIST ? n->first : n;
    unsigned i = 0;
    out->node = n;
    for (; v; v = n->kind == YAML_LIST ? v->next : NULL) {
        int64_t byte = -1;
        if (i == t->key_bytes)
            break;
        if (!(v->kind == YAML_SCALAR && strcmp(v->text, "*") == 0) &&
            !codec_read_int(c, v, "key", 0, 255, &byte))
            return false;
        out->byte[i++] = (int)byte;
    }
    if (v || i != t->key_bytes) {
        conf_error(c->notes, AT(n), "key: expected %u bytes, as key of the tlv says",
                   t->key_bytes);
        return false;
    }
    return true;
}

/* {0} and {1} in names. */
static bool check_template(struct codec_parse *c, const struct yaml_node *n,
                           const struct tlv *t, struct codec_span name, bool *templated)
{
    for (size_t i = 0; i + 2 < name.n; i++) {
        if (name.p[i] != '{' || name.p[i + 2] != '}')
            continue;
        if (name.p[i + 1] < '0' || (unsigned)(name.p[i + 1] - '0') >= t->key_bytes)
            return wrong(c, n, "name: {0} is the first byte of the key, {1} the second");
        *templated = true;
    }
    return true;
}

/* Also the names within a group: they may name the channel, too. */
static bool check_templates(struct codec_parse *c, const struct yaml_node *n,
                            const struct tlv *t, struct codec_field *f)
{
    bool good = check_template(c, n, t, f->name, &f->templated);
    for (size_t i = 0; i < f->n_bits; i++)
        good = check_template(c, n, t, f->bits[i].name, &f->templated) && good;
    for (size_t i = 0; i < f->inner.n; i++)
        good = check_templates(c, n, t, &f->inner.fields[i]) && good;
    for (size_t i = 0; i < f->n_cases; i++) {
        for (size_t k = 0; k < f->cases[i].layout.n; k++)
            good = check_templates(c, n, t, &f->cases[i].layout.fields[k]) && good;
    }
    return good;
}

static bool add_list(struct codec_parse *c, const struct yaml_node *n, struct tlv *t,
                     struct tlv_item *item)
{
    const struct codec_field *f = &item->field;
    size_t i = 0;
    if (!f->name.n || f->templated || f->n_bits)
        return wrong(c, n, "list: needs a name without {0}, and no bits");
    while (i < t->n_lists &&
           (t->lists[i].n != f->name.n || memcmp(t->lists[i].p, f->name.p, f->name.n) != 0))
        i++;
    if (i == MAX_LISTS)
        return wrong(c, n, "more than 64 lists");
    if (i == t->n_lists)
        t->lists[t->n_lists++] = f->name;
    item->list = (uint16_t)(i + 1);
    item->field.list = true;
    return true;
}

static bool parse_item(struct codec_parse *c, const struct yaml_node *n, struct tlv *t,
                       struct tlv_item *item, struct key *key)
{
    const struct yaml_node *key_node = NULL, *list_node = NULL;
    bool list = false;
    bool good = codec_parse_field(c, n, NULL, &item->field, &key_node, &list_node);
    if (n->kind != YAML_MAP)
        return false;
    good = read_key(c, key_node, n, t, key) && good;
    good = check_templates(c, n, t, &item->field) && good;
    if (list_node)
        good = codec_read_bool(c, list_node, "list", &list) && good;
    return good && (!list || add_list(c, list_node, t, item));
}

/* A key that is written out goes before one with *, and the first byte before the second. */
static uint16_t pick(const struct key *keys, size_t n, int a, int b)
{
    uint16_t best = NO_ITEM;
    int best_rank = -1;
    for (size_t i = 0; i < n; i++) {
        if ((keys[i].byte[0] >= 0 && keys[i].byte[0] != a) ||
            (keys[i].byte[1] >= 0 && keys[i].byte[1] != b))
            continue;
        int rank = (keys[i].byte[0] >= 0) * 2 + (keys[i].byte[1] >= 0);
        if (rank > best_rank) {
            best = (uint16_t)i;
            best_rank = rank;
        }
    }
    return best;
}

static void fill_row(struct tlv_row *row, const struct key *keys, size_t n, int a)
{
    for (int b = 0; b < 256; b++)
        row->item[b] = pick(keys, n, a, b);
}

static void index_items(struct codec_parse *c, struct tlv *t, const struct key *keys, size_t n)
{
    bool own[256] = {false};
    size_t rows = 1;
    for (size_t i = 0; i < n && t->key_bytes == 2; i++) {
        if (keys[i].byte[0] >= 0 && !own[keys[i].byte[0]]) {
            own[keys[i].byte[0]] = true;
            rows++;
        }
    }
    t->rows = codec_take(c, rows * sizeof(*t->rows));
    fill_row(&t->rows[0], keys, n, -1);
    for (unsigned a = 0, row = 1; a < 256; a++) {
        if (own[a]) {
            t->row_of[a] = (uint16_t)row;
            fill_row(&t->rows[row++], keys, n, (int)a);
        }
    }
}

static bool check_repeated(struct codec_parse *c, const struct key *keys, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        for (size_t k = 0; k < i; k++) {
            if (keys[i].byte[0] == keys[k].byte[0] && keys[i].byte[1] == keys[k].byte[1]) {
                conf_error(c->notes, AT(keys[i].node), "this key is there already, in line %d",
                           keys[k].node->line);
                return false;
            }
        }
    }
    return true;
}

static bool parse_items(struct codec_parse *c, const struct yaml_node *list, struct tlv *t)
{
    enum { MAX_ITEMS = 2048 };
    size_t n = codec_count(list);
    bool good = true;
    if (!codec_is_list(c, list, "items"))
        return false;
    if (n > MAX_ITEMS)
        return wrong(c, list, "items: more than 2048");
    struct key *keys = mem_zalloc_array(n, sizeof(*keys));
    t->items = codec_take(c, n * sizeof(*t->items));
    for (const struct yaml_node *v = list->first; v; v = v->next, t->n_items++) {
        struct key *k = &keys[t->n_items];
        k->byte[0] = t->key_bytes == 2 ? -2 : -1; /* as no byte: until it is read */
        k->byte[1] = -1;
        good = parse_item(c, v, t, &t->items[t->n_items], k) && good;
        if (t->key_bytes == 1) { /* the only byte is the last */
            k->byte[1] = k->byte[0];
            k->byte[0] = -1;
        }
    }
    good = good && check_repeated(c, keys, n);
    if (good)
        index_items(c, t, keys, n);
    free(keys);
    return good;
}

bool codec_parse_tlv(struct codec_parse *c, const struct yaml_node *n,
                     const struct yaml_node *map, struct codec_op *op)
{
    static const char *const words[] = {"refuse", "stop", "skip"};
    static const char *const rests[] = {"refuse", "allow"};
    const struct yaml_node *tlv = NULL, *rest = NULL, *key = NULL, *length = NULL,
                           *items = NULL, *unknown = NULL;
    const struct codec_key outer[] = {{"tlv", &tlv}, {"rest", &rest}};
    const struct codec_key keys[] = {
        {"key", &key}, {"length", &length}, {"items", &items}, {"unknown", &unknown}};
    struct tlv *t = codec_take(c, sizeof(*t));
    op->to_value = tlv_value;
    op->to_members = tlv_members;
    op->gives = tlv_gives;
    op->arg = t;
    bool good =
        codec_read_map(c, map, outer, 2, "a tlv") && codec_read_map(c, n, keys, 4, "a tlv");
    if (n->kind != YAML_MAP)
        return false;
    if (!key || !items)
        return wrong(c, n, "a tlv needs key: [u8, u8] and items:");
    good = (!length || read_length(c, length, t)) && good;
    int choice = unknown ? codec_read_choice(c, unknown, "unknown", words, 3) : 0;
    t->unknown = choice == 1 ? UNKNOWN_STOP : choice == 2 ? UNKNOWN_SKIP : UNKNOWN_REFUSE;
    if (t->unknown == UNKNOWN_SKIP && !length)
        good = wrong(c, unknown, "unknown: skip needs a length, or nobody knows how far");
    int behind = rest ? codec_read_choice(c, rest, "rest", rests, 2) : 0;
    t->rest = behind == 1;
    if (rest && !length)
        good = wrong(c, rest, "rest: needs a length, or nothing is left over");
    good = behind >= 0 && read_key_bytes(c, key, t) && parse_items(c, items, t) && good &&
           choice >= 0;
    t->n_slots = c->n_slots;
    return good;
}
