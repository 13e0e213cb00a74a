/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places: paths become nodes of a tree, texts become pieces.
 */
#include "base/mem.h"
#include "core/profile_private.h"

#include <stdlib.h>
#include <string.h>

/* Grows a heap array of the profile's; they are freed with it. */
static void *grow(void *list, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return list;
    *cap = *cap ? *cap * 2 : 64;
    return mem_realloc_array(list, *cap, size);
}

uint16_t plan_new_slot(struct plan_build *b)
{
    if (b->p->n_slots == PLAN_NONE - 1u)
        return 0;
    return (uint16_t)b->p->n_slots++;
}

static uint16_t add_node(struct plan_build *b, const struct yaml_node *at, struct plan_node n)
{
    struct profile *p = b->p;
    if (p->n_nodes == PLAN_MAX_NODES) {
        if (!b->full && at)
            conf_error(b->notes, AT(at), "more than %d places in one profile", PLAN_MAX_NODES);
        b->full = true;
        return PLAN_NONE;
    }
    p->nodes = grow(p->nodes, p->n_nodes, &b->cap_nodes, sizeof(n));
    p->nodes[p->n_nodes] = n;
    return (uint16_t)p->n_nodes++;
}

uint16_t plan_item_node(struct plan_build *b, uint16_t slot, enum level_kind kind, uint16_t in)
{
    uint16_t item = add_node(
        b, NULL, (struct plan_node){.kind = NODE_ITEM, .parent = PLAN_NONE, .slot = slot});
    if (item == PLAN_NONE)
        return PLAN_NONE;
    b->items = grow(b->items, b->n_items, &b->cap_items, sizeof(*b->items));
    b->items[b->n_items++] = (struct plan_item){item, in, kind};
    return item;
}

/* The child of `parent` for one step, shared by all paths that take it. */
static uint16_t child(struct plan_build *b, const struct yaml_node *at, struct plan_node n)
{
    const struct profile *p = b->p;
    n.slot = p->nodes[n.parent].slot;
    for (size_t i = n.parent + 1u; i < p->n_nodes; i++) {
        const struct plan_node *o = &p->nodes[i];
        if (o->kind == n.kind && o->parent == n.parent && o->index == n.index &&
            o->key_len == n.key_len && (!n.key_len || memcmp(o->key, n.key, n.key_len) == 0))
            return (uint16_t)i;
    }
    if (n.kind == NODE_MEMBER)
        n.key = plan_text_copy(b, n.key, n.key_len);
    uint16_t made = add_node(b, at, n);
    if (made != PLAN_NONE)
        plan_reach(b, at, made, NULL, 0);
    return made;
}

/* ---- documents ---- */

static int add_document(struct plan_build *b, const struct plan_binding *d, uint16_t from,
                        uint16_t slot)
{
    struct profile *p = b->p;
    struct plan_doc doc = {
        .name = d->name, .of_payload = from == PLAN_NONE, .from = from, .json = !d->decode};
    if (d->decode) {
        doc.chain = codec_chain_parse(b->set->codecs, d->decode, b->notes);
        if (!doc.chain)
            return -1;
        doc.json = codec_chain_is_json(doc.chain);
        doc.sparkplug = codec_chain_is_sparkplug(doc.chain);
        if (doc.sparkplug && !doc.of_payload) {
            conf_error(b->notes, AT(d->decode), "sparkplug-b is for payloads only");
            return -1;
        }
    }
    if (p->n_docs == PLAN_MAX_DOCS) {
        conf_error(b->notes, d->at ? d->at->line : 0, d->at ? d->at->col : 0,
                   "more than %d documents in one profile", PLAN_MAX_DOCS);
        return -1;
    }
    doc.root = add_node(
        b, d->at,
        (struct plan_node){
            .kind = NODE_DOC, .parent = PLAN_NONE, .slot = slot, .doc = (uint16_t)p->n_docs});
    if (doc.root == PLAN_NONE)
        return -1;
    p->docs = grow(p->docs, p->n_docs, &b->cap_docs, sizeof(doc));
    p->docs[p->n_docs] = doc;
    return (int)p->n_docs++;
}

static int open_document(struct plan_build *b, struct plan_binding *d)
{
    if (d->doc >= 0 || d->doc == -2)
        return d->doc;
    if (d->busy) {
        conf_error(b->notes, AT(d->from), "$%s is made of itself", d->name);
        return -2;
    }
    d->busy = true;
    uint16_t from = PLAN_NONE, slot = 0;
    int doc = -2;
    if (d->from && strcmp(d->from->text, "payload") != 0) {
        from = plan_path(b, d->from);
        if (from == PLAN_NONE)
            goto out;
        slot = b->p->nodes[from].slot;
    }
    d->of_item = slot != 0;
    doc = add_document(b, d, from, slot);
    if (doc < 0)
        doc = -2; /* said */
out:
    d->doc = doc;
    d->busy = false;
    return doc;
}

int plan_document(struct plan_build *b, const struct yaml_node *n, const char *name, size_t len)
{
    struct plan_scope *s = b->scope;
    const char *names[1 + 2 * PLAN_MAX_ALSO];
    for (size_t i = 0; i < s->n_docs; i++) {
        names[i] = s->docs[i].name;
        if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0)
            return open_document(b, &s->docs[i]);
    }
    char word[65] = "";
    memcpy(word, name, len < 64 ? len : 64);
    plan_unknown(b, n, "there is no document under `also` named", word, names, s->n_docs);
    return -2;
}

/* ---- paths ---- */

struct reader {
    struct plan_build *b;
    const struct yaml_node *at;
    const char *s, *end, *start;
    bool failed;
};

static bool refuse(struct reader *r, const char *why)
{
    if (!r->failed)
        conf_error(r->b->notes, AT(r->at), "path \"%.*s\": %s",
                   (int)(r->end - r->start > 96 ? 96 : r->end - r->start), r->start, why);
    r->failed = true;
    return false;
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '_' || c == '-' || (unsigned char)c >= 0x80;
}

static size_t name_len(const struct reader *r)
{
    size_t n = 0;
    while (r->s + n < r->end && is_name_char(r->s[n]))
        n++;
    return n;
}

/* `$`, `$NAME`, `@`, `@^`: its root node. */
static uint16_t read_root(struct reader *r)
{
    struct plan_scope *scope = r->b->scope;
    if (r->s < r->end && *r->s == '$') {
        r->s++;
        size_t n = name_len(r);
        int doc = plan_document(r->b, r->at, r->s, n);
        r->s += n;
        if (doc < 0) {
            r->failed = true;
            return PLAN_NONE;
        }
        return r->b->p->docs[doc].root;
    }
    if (r->s < r->end && *r->s == '@') {
        size_t up = 0;
        for (r->s++; r->s < r->end && *r->s == '^'; r->s++)
            up++;
        if (scope->n_levels == 0)
            refuse(r, "@ is the item of `each`, and there is no `each` here");
        else if (up >= scope->n_levels)
            refuse(r, "there are not so many levels above this item");
        else
            return scope->levels[scope->n_levels - 1 - up].item;
        return PLAN_NONE;
    }
    if (r->b->relative && r->s < r->end && is_name_char(*r->s) && scope->n_levels) {
        struct plan_node n = {.kind = NODE_MEMBER,
                              .parent = scope->levels[scope->n_levels - 1].item,
                              .key = r->s,
                              .key_len = (uint32_t)name_len(r)};
        r->s += n.key_len;
        return child(r->b, r->at, n);
    }
    refuse(r, "expected $ (the payload), $NAME (a document of `also`) or @ (the item of "
              "`each`) at its beginning");
    return PLAN_NONE;
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* \uXXXX as UTF-8; surrogates are refused: write the character itself. */
static size_t unescape_u(struct reader *r, char *out)
{
    unsigned c = 0;
    if (r->end - r->s < 4)
        return 0;
    for (int i = 0; i < 4; i++) {
        int h = hex_value(r->s[i]);
        if (h < 0)
            return 0;
        c = c << 4 | (unsigned)h;
    }
    if (c == 0 || (c >= 0xd800 && c < 0xe000))
        return 0;
    r->s += 4;
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    out[0] = (char)(0xe0 | c >> 12);
    out[1] = (char)(0x80 | (c >> 6 & 0x3f));
    out[2] = (char)(0x80 | (c & 0x3f));
    return 3;
}

/* `["any key"]` after the opening quote: into out, with JSON's escapes. */
static bool read_quoted(struct reader *r, char out[PLAN_MAX_TEXT], size_t *out_n)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    size_t n = 0;
    while (r->s < r->end && *r->s != '"') {
        if (n + 4 > PLAN_MAX_TEXT)
            return refuse(r, "a key of more than 252 bytes");
        char c = *r->s++;
        if (c == '\\') {
            c = r->s < r->end ? *r->s++ : '\0';
            const char *e = c ? strchr(from, c) : NULL;
            size_t k = 1;
            if (e)
                out[n] = to[e - from];
            else if (c != 'u' || (k = unescape_u(r, out + n)) == 0)
                return refuse(r, "a bad escape in a quoted key, expected those of JSON");
            n += k;
        } else {
            out[n++] = c;
        }
    }
    if (r->end - r->s < 2 || r->s[1] != ']')
        return refuse(r, "a quoted key must end in \"]");
    r->s += 2;
    *out_n = n;
    return true;
}

static bool read_index(struct reader *r, int32_t *out)
{
    bool minus = r->s < r->end && *r->s == '-';
    int32_t v = 0;
    r->s += minus;
    const char *digits = r->s;
    while (r->s < r->end && *r->s >= '0' && *r->s <= '9' && r->s - digits < 7)
        v = v * 10 + (*r->s++ - '0');
    if (r->s == digits || r->s == r->end || *r->s != ']')
        return refuse(r, "expected [3], [-1] or [\"key\"]; [*] only in `each`");
    r->s++;
    *out = minus ? -v : v;
    return !(minus && v == 0) || refuse(r, "[-0] is no place, [-1] is the last");
}

enum step { STEP_END, STEP_NODE, STEP_ELEMENTS, STEP_MEMBERS, STEP_BAD };

/* One step from *node; stars only where the caller takes them. */
static enum step read_step(struct reader *r, uint16_t *node)
{
    char key[PLAN_MAX_TEXT];
    struct plan_node n = {.kind = NODE_MEMBER, .parent = *node};
    if (r->s == r->end)
        return STEP_END;
    if (*r->s == '.') {
        r->s++;
        if (r->s < r->end && *r->s == '*') {
            r->s++;
            return STEP_MEMBERS;
        }
        size_t len = name_len(r);
        if (len == 0) {
            refuse(r, "a name is expected after the dot; keys with other characters are "
                      "written [\"key\"]");
            return STEP_BAD;
        }
        n.key = r->s;
        n.key_len = (uint32_t)len;
        r->s += len;
    } else if (*r->s == '[' && r->end - r->s >= 3 && memcmp(r->s, "[*]", 3) == 0) {
        r->s += 3;
        return STEP_ELEMENTS;
    } else if (*r->s == '[' && r->end - r->s >= 2 && r->s[1] == '"') {
        size_t len = 0;
        r->s += 2;
        if (!read_quoted(r, key, &len))
            return STEP_BAD;
        n.key = key;
        n.key_len = (uint32_t)len;
    } else if (*r->s == '[') {
        r->s++;
        n.kind = NODE_INDEX;
        if (!read_index(r, &n.index))
            return STEP_BAD;
    } else {
        refuse(r, "expected .name, [3] or [\"any key\"]; keys with blanks, colons, dots or $ "
                  "are written [\"key\"]");
        return STEP_BAD;
    }
    *node = child(r->b, r->at, n);
    return *node == PLAN_NONE ? STEP_BAD : STEP_NODE;
}

static uint16_t read_path(struct reader *r)
{
    uint16_t node = read_root(r);
    for (int steps = 0; node != PLAN_NONE;) {
        switch (read_step(r, &node)) {
        case STEP_END:
            return node;
        case STEP_NODE:
            if (++steps <= PLAN_MAX_STEPS)
                continue;
            refuse(r, "more than 16 steps");
            return PLAN_NONE;
        case STEP_ELEMENTS:
        case STEP_MEMBERS:
            refuse(r, "[*] and .* are for `each`, `fields` and `pairs` only");
            return PLAN_NONE;
        case STEP_BAD:
            return PLAN_NONE;
        }
    }
    return PLAN_NONE;
}

uint16_t plan_path(struct plan_build *b, const struct yaml_node *n)
{
    const char *s = plan_scalar_text(b, n, "a path");
    if (!s)
        return PLAN_NONE;
    struct reader r = {.b = b, .at = n, .s = s, .start = s, .end = s + strlen(s)};
    return read_path(&r);
}

size_t plan_paths(struct plan_build *b, const struct yaml_node *n, uint16_t out[PLAN_MAX_FROM])
{
    size_t count = 0;
    if (n->kind == YAML_MAP) {
        conf_error(b->notes, AT(n), "a mapping, expected a path or a list of paths");
        return 0;
    }
    if (n->kind == YAML_LIST) {
        if (!n->first)
            conf_error(b->notes, AT(n), "an empty list, expected paths");
        for (const struct yaml_node *v = n->first; v; v = v->next) {
            if (count == PLAN_MAX_FROM) {
                conf_error(b->notes, AT(v), "more than %d paths", PLAN_MAX_FROM);
                break;
            }
            out[count] = plan_path(b, v);
            count += out[count] != PLAN_NONE;
        }
        return count;
    }
    out[0] = plan_path(b, n);
    return out[0] != PLAN_NONE;
}

static bool add_level(struct plan_build *b, const struct yaml_node *at, struct plan_part *part,
                      enum level_kind kind, uint16_t in)
{
    struct plan_scope *s = b->scope;
    uint16_t slot = plan_new_slot(b), item = PLAN_NONE;
    if (slot)
        item = plan_item_node(b, slot, kind, in);
    if (item == PLAN_NONE) {
        conf_error(b->notes, AT(at), "too many levels in one profile");
        return false;
    }
    part->levels[part->n_levels++] = (struct plan_level){kind, in, slot, item};
    s->levels[s->n_levels].slot = slot;
    s->levels[s->n_levels].item = item;
    s->levels[s->n_levels].keyed = kind == LEVEL_MEMBERS;
    s->n_levels++;
    return true;
}

static bool each_of(struct plan_build *b, const struct yaml_node *n, struct plan_part *part)
{
    const char *s = plan_scalar_text(b, n, "each");
    if (!s)
        return false;
    struct reader r = {.b = b, .at = n, .s = s, .start = s, .end = s + strlen(s)};
    uint16_t node = read_root(&r), base = node;
    size_t stars = 0;
    for (int steps = 0; node != PLAN_NONE;) {
        enum step step = read_step(&r, &node);
        if (step == STEP_BAD || (step == STEP_NODE && ++steps > PLAN_MAX_STEPS))
            break;
        if (step == STEP_NODE)
            continue;
        if (step == STEP_END) /* what follows the last star is the item */
            return node == base && stars ? true : add_level(b, n, part, LEVEL_ONE, node);
        if (++stars > PLAN_MAX_STARS)
            return refuse(&r, "more than 3 levels of [*] and .*");
        if (!add_level(b, n, part, step == STEP_MEMBERS ? LEVEL_MEMBERS : LEVEL_ELEMENTS, node))
            return false;
        node = base = part->levels[part->n_levels - 1].item;
    }
    return r.failed ? false : refuse(&r, "more than 16 steps");
}

bool plan_each(struct plan_build *b, const struct yaml_node *n, struct plan_part *part)
{
    if (each_of(b, n, part))
        return true;
    if (b->scope->n_levels < PLAN_MAX_LEVELS) /* so that what follows is not blamed for it */
        (void)add_level(b, n, part, LEVEL_MEMBERS, 0);
    return false;
}

/* ---- texts ---- */

static void note_capture(struct plan_build *b, const char *name, uint16_t topic)
{
    for (size_t i = 0; i < b->n_captures; i++)
        if (strcmp(b->captures[i].name, name) == 0 && b->captures[i].topic == topic)
            return;
    b->captures = grow(b->captures, b->n_captures, &b->cap_captures, sizeof(*b->captures));
    b->captures[b->n_captures++] = (struct plan_capture){name, topic};
}

/* Does the pattern, as written, have the level {name}? */
static bool has_capture(const char *pattern, const char *name, size_t len)
{
    for (const char *s = pattern; s; s = strchr(s, '/') ? strchr(s, '/') + 1 : NULL) {
        if (s[0] == '{' && strncmp(s + 1, name, len) == 0 && s[1 + len] == '}')
            return true;
    }
    return false;
}

bool plan_capture(struct plan_build *b, const struct yaml_node *n, const char *name, size_t len,
                  const char **out)
{
    struct profile *p = b->p;
    const char *copy = plan_text_copy(b, name, len);
    if (b->scope->topic_index != PLAN_NONE &&
        has_capture(p->topics[b->scope->topic_index], name, len)) {
        note_capture(b, copy, b->scope->topic_index);
        *out = copy;
        return true;
    }
    for (size_t i = 0; i < p->n_topics; i++) {
        if (!has_capture(p->topics[i], name, len)) {
            conf_error(b->notes, AT(n), "there is no {%.64s} in the topic \"%.128s\"", copy,
                       p->topics[i]);
            return false;
        }
    }
    if (p->n_topics == 0) {
        conf_error(b->notes, AT(n), "{%.64s}: the profile has no topics", copy);
        return false;
    }
    note_capture(b, copy, PLAN_NONE);
    *out = copy;
    return true;
}

static bool text_refuse(struct plan_build *b, const struct yaml_node *n, const char *why)
{
    conf_error(b->notes, AT(n), "text \"%.96s\": %s", n->text, why);
    return false;
}

static bool read_filter(struct plan_build *b, const struct yaml_node *n, const char *s,
                        size_t len, struct plan_filter *out)
{
    static const char *const names[] = {"lower",     "upper",   "hexlower",
                                        "base64hex", "before:", "after:"};
    for (size_t i = 0; i < 6; i++) {
        size_t k = strlen(names[i]);
        if (len < k || memcmp(s, names[i], k) != 0 || (i < 4 && len != k))
            continue;
        if (i >= 4 && len == k)
            return text_refuse(b, n, "before: and after: need a text behind the colon");
        *out = (struct plan_filter){(enum filter_kind)i, plan_text_copy(b, s + k, len - k),
                                    len - k};
        return true;
    }
    char word[65] = "";
    memcpy(word, s, len < 64 ? len : 64);
    plan_unknown(b, n, "unknown filter", word, names, 6);
    return false;
}

bool plan_key_slot(const struct plan_scope *s, size_t up, uint16_t *out_slot)
{
    for (size_t i = s->n_levels; i-- > 0;) {
        if (up > 0) {
            up--;
        } else if (s->levels[i].keyed) {
            *out_slot = s->levels[i].slot;
            return true;
        }
    }
    return false;
}

static bool read_key_piece(struct plan_build *b, const struct yaml_node *n, size_t up,
                           struct plan_piece *out)
{
    const struct plan_scope *s = b->scope;
    out->kind = PIECE_KEY;
    return plan_key_slot(s, up, &out->slot) ||
           text_refuse(b, n,
                       "{key} is the name of a member that .* of `each` goes through, {^key} "
                       "that of the level before; there is no such .*");
}

/* What stands between braces. */
static bool read_piece(struct plan_build *b, const struct yaml_node *n, const char *s,
                       const char *end, struct plan_piece *out)
{
    struct plan_filter filters[4];
    const char *bar = end;
    bool quoted = false;
    for (const char *c = s; c < end && bar == end; c++) {
        quoted ^= *c == '"' && (c == s || c[-1] != '\\');
        if (*c == '|' && !quoted)
            bar = c;
    }
    const char *stop = bar;
    while (bar < end) {
        const char *next = memchr(bar + 1, '|', (size_t)(end - bar - 1));
        next = next ? next : end;
        if (out->n_filters == 4)
            return text_refuse(b, n, "more than 4 filters");
        if (!read_filter(b, n, bar + 1, (size_t)(next - bar - 1), &filters[out->n_filters++]))
            return false;
        bar = next;
    }
    if (out->n_filters) {
        struct plan_filter *f = plan_take(b, out->n_filters, sizeof(*f));
        memcpy(f, filters, out->n_filters * sizeof(*f));
        out->filters = f;
    }
    size_t up = 0;
    while (s + up < stop && s[up] == '^')
        up++;
    if ((size_t)(stop - s) == up + 3 && memcmp(s + up, "key", 3) == 0)
        return read_key_piece(b, n, up, out);
    if (s < stop && (*s == '$' || *s == '@')) {
        struct reader r = {.b = b, .at = n, .s = s, .start = s, .end = stop};
        out->kind = PIECE_NODE;
        out->node = read_path(&r);
        return out->node != PLAN_NONE;
    }
    if (s == stop)
        return text_refuse(b, n, "{} is empty: expected a capture of the topic or a path");
    out->kind = PIECE_CAPTURE;
    out->len = (size_t)(stop - s);
    return plan_capture(b, n, s, out->len, &out->text);
}

/* The closing brace of the piece that begins at s; keys in quotes may hold braces. */
static const char *piece_end(const char *s, const char *end)
{
    bool quoted = false;
    for (; s < end; s++) {
        if (*s == '"' && s[-1] != '\\')
            quoted = !quoted;
        else if (*s == '}' && !quoted)
            return s;
    }
    return NULL;
}

/* Fixed text up to the next piece, {{ and }} made single. */
static bool read_fixed(struct plan_build *b, const struct yaml_node *n, const char **s,
                       const char *end, struct plan_piece *out)
{
    char text[PLAN_MAX_TEXT];
    size_t len = 0;
    while (*s < end) {
        char c = **s;
        if (c == '{' || c == '}') {
            if (*s + 1 < end && (*s)[1] == c)
                ++*s;
            else if (c == '{')
                break;
            else
                return text_refuse(b, n, "a } without {; a brace itself is written }}");
        }
        text[len++] = c;
        ++*s;
    }
    out->kind = PIECE_FIXED;
    out->text = plan_text_copy(b, text, len);
    out->len = len;
    return true;
}

static uint16_t piece_slot(const struct profile *p, const struct plan_piece *piece)
{
    return piece->kind == PIECE_NODE  ? p->nodes[piece->node].slot
           : piece->kind == PIECE_KEY ? piece->slot
                                      : 0;
}

static uint16_t one_text(struct plan_build *b, const struct yaml_node *n)
{
    struct plan_piece pieces[PLAN_MAX_PIECES] = {0};
    size_t count = 0;
    uint16_t slot = 0;
    const char *s = plan_scalar_text(b, n, "a text");
    if (!s)
        return PLAN_NONE;
    const char *end = s + strlen(s);
    if (s == end || end - s > PLAN_MAX_TEXT) {
        text_refuse(b, n, s == end ? "it is empty" : "more than 256 bytes");
        return PLAN_NONE;
    }
    if (s[0] == '$' && (s[1] == '.' || s[1] == '[') && !strchr(s, '{'))
        conf_verdict(b->notes, AT(n),
                     "text \"%.96s\": as it stands; the value at that path is \"{%.96s}\"", s,
                     s);
    while (s < end) {
        if (count == PLAN_MAX_PIECES) {
            text_refuse(b, n, "more than 8 pieces");
            return PLAN_NONE;
        }
        struct plan_piece *p = &pieces[count++];
        if (*s == '{' && !(s + 1 < end && s[1] == '{')) {
            const char *close = piece_end(s + 1, end);
            if (!close) {
                text_refuse(b, n, "a { without }; a brace itself is written {{");
                return PLAN_NONE;
            }
            if (!read_piece(b, n, s + 1, close, p))
                return PLAN_NONE;
            s = close + 1;
        } else if (!read_fixed(b, n, &s, end, p)) {
            return PLAN_NONE;
        }
        uint16_t of = piece_slot(b->p, p); /* levels come later and have greater numbers */
        slot = of > slot ? of : slot;
    }
    struct plan_piece *list = plan_take(b, count, sizeof(*list));
    memcpy(list, pieces, count * sizeof(*list));
    if (b->p->n_texts == PLAN_NONE) {
        text_refuse(b, n, "too many texts in one profile");
        return PLAN_NONE;
    }
    b->p->texts = grow(b->p->texts, b->p->n_texts, &b->cap_texts, sizeof(struct plan_text));
    b->p->texts[b->p->n_texts] = (struct plan_text){list, count, slot, PLAN_NONE};
    return (uint16_t)b->p->n_texts++;
}

static bool same_text(const struct plan_text *a, const struct plan_text *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        const struct plan_piece *p = &a->pieces[i], *q = &b->pieces[i];
        if (p->kind != q->kind || p->len != q->len || p->node != q->node ||
            p->slot != q->slot || p->n_filters != q->n_filters ||
            (p->len && memcmp(p->text, q->text, p->len) != 0))
            return false;
        for (size_t k = 0; k < p->n_filters; k++) {
            const struct plan_filter *f = &p->filters[k], *g = &q->filters[k];
            if (f->kind != g->kind || f->len != g->len ||
                (f->len && memcmp(f->arg, g->arg, f->len) != 0))
                return false;
        }
    }
    return true;
}

/* Parts mostly have the message's texts, which are made once if they are known to be the same: the
 * newest ones, from `first` on, are given up for those that were there before. */
static uint16_t share_texts(struct plan_build *b, uint16_t first)
{
    enum { FAR = 256 };
    struct profile *p = b->p;
    if (first == PLAN_NONE)
        return first;
    for (uint16_t i = first > FAR ? (uint16_t)(first - FAR) : 0; i < first; i++) {
        uint16_t k = i, m = first;
        while (k != PLAN_NONE && m != PLAN_NONE && same_text(&p->texts[k], &p->texts[m])) {
            k = p->texts[k].next;
            m = p->texts[m].next;
        }
        if (k == PLAN_NONE && m == PLAN_NONE) {
            p->n_texts = first;
            return i;
        }
    }
    return first;
}

uint16_t plan_text(struct plan_build *b, const struct yaml_node *n)
{
    uint16_t first = PLAN_NONE, last = PLAN_NONE;
    if (n->kind != YAML_LIST)
        return share_texts(b, one_text(b, n));
    if (!n->first)
        conf_error(b->notes, AT(n), "an empty list, expected texts");
    for (const struct yaml_node *v = n->first; v; v = v->next) {
        uint16_t t = one_text(b, v);
        if (t == PLAN_NONE)
            continue;
        if (last == PLAN_NONE)
            first = t;
        else
            b->p->texts[last].next = t;
        last = t;
    }
    return share_texts(b, first);
}

/* ---- what a walk over an object looks for ---- */

static void index_kids(struct plan_build *b, uint16_t parent, const uint16_t *nodes, size_t n)
{
    struct plan_kids *k = plan_take(b, 1, sizeof(*k));
    size_t slots = 4;
    while (slots < n * 2)
        slots *= 2;
    struct plan_kid *table = plan_take(b, slots, sizeof(*table));
    for (size_t i = 0; i < slots; i++)
        table[i].node = PLAN_NONE;
    for (size_t i = 0; i < n; i++) {
        const struct plan_node *kid = &b->p->nodes[nodes[i]];
        size_t at = key_hash(kid->key, kid->key_len);
        while (table[at & (slots - 1)].node != PLAN_NONE)
            at++;
        table[at & (slots - 1)] = (struct plan_kid){kid->key, kid->key_len, nodes[i]};
    }
    *k = (struct plan_kids){.n = (uint16_t)n, .mask = (uint16_t)(slots - 1), .slots = table};
    for (size_t i = 0; i < n; i++) {
        const struct plan_node *kid = &b->p->nodes[nodes[i]];
        k->sieve |= UINT64_C(1) << kid_bit(kid->key_len, kid->key_len ? kid->key[0] : '\0');
    }
    b->p->nodes[parent].kids = k;
}

void plan_finish_nodes(struct plan_build *b)
{
    struct profile *p = b->p;
    uint16_t *kids = mem_zalloc_array(p->n_nodes + 1, sizeof(*kids));
    uint16_t *first = mem_zalloc_array(p->n_nodes + 1, sizeof(*first));
    uint16_t *next = mem_zalloc_array(p->n_nodes + 1, sizeof(*next));
    memset(first, 0xff, (p->n_nodes + 1) * sizeof(*first));
    for (size_t i = p->n_nodes; i-- > 0;) {
        if (p->nodes[i].kind != NODE_MEMBER)
            continue;
        next[i] = first[p->nodes[i].parent];
        first[p->nodes[i].parent] = (uint16_t)i;
    }
    uint16_t *slot_of = plan_take(b, p->n_nodes + 1, sizeof(*slot_of));
    p->slot_of = slot_of;
    for (size_t i = 0; i < p->n_nodes; i++) {
        size_t n = 0;
        slot_of[i] = p->nodes[i].slot;
        for (uint16_t k = first[i]; k != PLAN_NONE; k = next[k])
            kids[n++] = k;
        if (n)
            index_kids(b, (uint16_t)i, kids, n);
    }
    free(kids);
    free(first);
    free(next);
}
