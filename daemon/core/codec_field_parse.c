/* SPDX-License-Identifier: Apache-2.0 */
/* Compiles fields: see codec_plan_private.h for what they become, gaihou-profiles(5) for what they say. */
#include "base/err.h"
#include "core/codec_plan_private.h"

#include <stdlib.h>

enum { MAX_BITS = 64, MAX_REFERABLE = 512 };

struct type_word {
    const char *name;
    enum codec_form form;
    unsigned width;
    enum codec_order order;
};

#define NUMBER(w, bits)                                                                        \
    {"u" #bits "le", FORM_UINT, w, ORDER_LE}, {"u" #bits "be", FORM_UINT, w, ORDER_BE},        \
        {"i" #bits "le", FORM_INT, w, ORDER_LE},                                               \
    {                                                                                          \
        "i" #bits "be", FORM_INT, w, ORDER_BE                                                  \
    }

static const struct type_word types[] = {
    {"u8", FORM_UINT, 1, ORDER_LE},
    {"i8", FORM_INT, 1, ORDER_LE},
    NUMBER(2, 16),
    NUMBER(3, 24),
    NUMBER(4, 32),
    NUMBER(5, 40),
    NUMBER(6, 48),
    NUMBER(7, 56),
    NUMBER(8, 64),
    {"u32cdab", FORM_UINT, 4, ORDER_CDAB},
    {"u32badc", FORM_UINT, 4, ORDER_BADC},
    {"i32cdab", FORM_INT, 4, ORDER_CDAB},
    {"i32badc", FORM_INT, 4, ORDER_BADC},
    {"uintle", FORM_UINT, 0, ORDER_LE},
    {"uintbe", FORM_UINT, 0, ORDER_BE},
    {"intle", FORM_INT, 0, ORDER_LE},
    {"intbe", FORM_INT, 0, ORDER_BE},
    {"f16le", FORM_FLOAT, 2, ORDER_LE},
    {"f16be", FORM_FLOAT, 2, ORDER_BE},
    {"f32le", FORM_FLOAT, 4, ORDER_LE},
    {"f32be", FORM_FLOAT, 4, ORDER_BE},
    {"f32cdab", FORM_FLOAT, 4, ORDER_CDAB},
    {"f32badc", FORM_FLOAT, 4, ORDER_BADC},
    {"f64le", FORM_FLOAT, 8, ORDER_LE},
    {"f64be", FORM_FLOAT, 8, ORDER_BE},
    {"bool", FORM_BOOL, 1, ORDER_LE},
    {"bcd", FORM_BCD, 0, ORDER_BE},
    {"bcdle", FORM_BCD, 0, ORDER_LE},
    {"bcdnum", FORM_BCDNUM, 0, ORDER_BE},
    {"bcdnumle", FORM_BCDNUM, 0, ORDER_LE},
    {"hex", FORM_HEX, 0, ORDER_BE},
    {"bytes", FORM_HEX, 0, ORDER_BE},
    {"ascii", FORM_TEXT, 0, ORDER_BE},
    {"utf8", FORM_TEXT, 0, ORDER_BE},
    {"gb18030", FORM_GB18030, 0, ORDER_BE},
};
enum { N_TYPES = sizeof(types) / sizeof(types[0]) };

struct item { /* the entries of one field */
    const struct yaml_node *name, *type, *bytes, *until, *is, *bits, *scale, *divide, *offset,
        *map, *other, *at, *skip, *repeat, *fields, *on, *cases, *checksum, *over, *decode,
        *key, *list, *swap, *digits;
};

static bool read_item(struct codec_parse *c, const struct yaml_node *n, struct item *i)
{
    const struct codec_key keys[] = {
        {"name", &i->name},   {"type", &i->type},     {"bytes", &i->bytes},
        {"until", &i->until}, {"is", &i->is},         {"bits", &i->bits},
        {"scale", &i->scale}, {"divide", &i->divide}, {"offset", &i->offset},
        {"map", &i->map},     {"default", &i->other}, {"at", &i->at},
        {"skip", &i->skip},   {"repeat", &i->repeat}, {"fields", &i->fields},
        {"switch", &i->on},   {"cases", &i->cases},   {"checksum", &i->checksum},
        {"over", &i->over},   {"decode", &i->decode}, {"key", &i->key},
        {"list", &i->list},   {"swap", &i->swap},     {"digits", &i->digits},
    };
    return codec_read_map(c, n, keys, sizeof(keys) / sizeof(keys[0]), "a field");
}

static bool wrong(struct codec_parse *c, const struct yaml_node *n, const char *what)
{
    conf_error(c->notes, AT(n), "%s", what);
    return false;
}

/* ---- names and references ---- */

static bool read_name(struct codec_parse *c, const struct yaml_node *n, struct codec_span *out)
{
    const char *s = codec_read_word(c, n, "name");
    if (!s)
        return false;
    size_t len = strlen(s);
    if (len < 1 || len > 128)
        return wrong(c, n, "name: expected 1 to 128 bytes");
    *out = (struct codec_span){codec_take_text(c, s), len};
    return true;
}

/* The slot of an integer that was read before; NULL told. */
static const int *refer(struct codec_parse *c, const struct yaml_node *n, const char *what,
                        const struct codec_scope *scope)
{
    const char *names[MAX_REFERABLE];
    size_t n_names = 0;
    const char *s = codec_read_word(c, n, what);
    if (!s)
        return NULL;
    for (const struct codec_scope *i = scope; i; i = i->outer) {
        if (strcmp(i->name, s) == 0) {
            if (*i->slot < 0 && c->n_slots == CODEC_MAX_SLOTS) {
                conf_error(c->notes, AT(n), "more than %d fields are referred to",
                           CODEC_MAX_SLOTS);
                return NULL;
            }
            if (*i->slot < 0)
                *i->slot = c->n_slots++;
            return i->slot;
        }
        if (n_names < MAX_REFERABLE)
            names[n_names++] = i->name;
    }
    const char *near = err_nearest(s, names, n_names);
    conf_error(c->notes, AT(n), "%s: no whole number named \"%.64s\" is read before this%s%s%s",
               what, s, near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return NULL;
}

/* A number, a name, `rest`, or minus a number: so many less than the rest. */
static bool read_amount(struct codec_parse *c, const struct yaml_node *n, const char *what,
                        int64_t most, const struct codec_scope *scope, struct codec_amount *out)
{
    const char *s = codec_read_word(c, n, what);
    if (!s)
        return false;
    if (strcmp(s, "rest") == 0) {
        *out = (struct codec_amount){.kind = AMOUNT_REST};
    } else if ((s[0] >= '0' && s[0] <= '9') || s[0] == '-') {
        if (!codec_read_int(c, n, what, -most, most, &out->n))
            return false;
        out->kind = out->n < 0 ? AMOUNT_REST : AMOUNT_FIXED;
        out->n = out->n < 0 ? -out->n : out->n;
    } else {
        const int *slot = refer(c, n, what, scope);
        if (!slot)
            return false;
        *out = (struct codec_amount){.kind = AMOUNT_SLOT, .slot = slot};
    }
    return true;
}

/* ---- parts of a field ---- */

static bool read_is(struct codec_parse *c, const struct yaml_node *n, struct codec_field *f)
{
    size_t count = n->kind == YAML_LIST ? codec_count(n) : 1, i = 0;
    bool text = f->form == FORM_TEXT || f->form == FORM_GB18030;
    int64_t *is = codec_take(c, count * sizeof(*is));
    struct codec_span *is_text = codec_take(c, count * sizeof(*is_text));
    if (!text && f->form != FORM_UINT && f->form != FORM_INT)
        return wrong(c, n, "is: only whole numbers and texts can be compared");
    for (const struct yaml_node *v = n->kind == YAML_LIST ? n->first : n; v && i < count;
         v = n->kind == YAML_LIST ? v->next : NULL, i++) {
        const char *s = text ? codec_read_word(c, v, "is") : NULL;
        if (text ? !s : !codec_read_int(c, v, "is", INT64_MIN, INT64_MAX, &is[i]))
            return false;
        if (text)
            is_text[i] = (struct codec_span){codec_take_text(c, s), strlen(s)};
    }
    f->is = is;
    f->n_is = text ? 0 : count;
    f->is_text = is_text;
    f->n_is_text = text ? count : 0;
    return true;
}

static bool read_one_bit(struct codec_parse *c, const struct yaml_node *n,
                         const struct codec_field *f, struct codec_bits *b)
{
    const struct yaml_node *at = n, *map = NULL, *other = NULL, *scale = NULL, *divide = NULL,
                           *offset = NULL;
    int64_t lo, hi, most = f->width ? 8 * (int64_t)f->width - 1 : 63;
    b->name = (struct codec_span){codec_take_text(c, n->key->text), strlen(n->key->text)};
    b->slot = -1;
    if (n->kind == YAML_MAP) {
        at = NULL;
        const struct codec_key keys[] = {{"at", &at},         {"map", &map},
                                         {"default", &other}, {"scale", &scale},
                                         {"divide", &divide}, {"offset", &offset}};
        if (!codec_read_map(c, n, keys, 6, "a bit"))
            return false;
        if (!at)
            return wrong(c, n, "which bits? expected at: 3, or at: [4, 7]");
    }
    b->one = at->kind != YAML_LIST;
    if (!b->one && codec_count(at) != 2)
        return wrong(c, at, "expected a bit, or the lowest and the highest: [4, 7]");
    if (!codec_read_int(c, b->one ? at : at->first, "bit", 0, most, &lo) ||
        !codec_read_int(c, b->one ? at : at->last, "bit", 0, most, &hi))
        return false;
    if (lo > hi)
        return wrong(c, at, "expected the lowest bit first");
    b->lo = (unsigned)lo;
    b->hi = (unsigned)hi;
    return codec_parse_map(c, map, other, &b->map) &&
           codec_parse_scale(c, scale, divide, offset, &b->scale);
}

static bool read_bits(struct codec_parse *c, const struct yaml_node *n, struct codec_field *f)
{
    bool good = true;
    if (f->form != FORM_UINT)
        return wrong(c, n, "bits: only of an unsigned number");
    if (n->kind != YAML_MAP || codec_count(n) > MAX_BITS)
        return wrong(c, n, "bits: expected a mapping of names to bits, at most 64");
    struct codec_bits *bits = codec_take(c, codec_count(n) * sizeof(*bits));
    f->bits = bits;
    for (const struct yaml_node *v = n->first; v; v = v->next)
        good = read_one_bit(c, v, f, &bits[f->n_bits++]) && good;
    return good;
}

static bool read_check(struct codec_parse *c, const struct item *i, struct codec_field *f)
{
    struct codec_check *check = codec_take(c, sizeof(*check));
    if (f->form != FORM_UINT)
        return wrong(c, i->checksum, "checksum: only an unsigned number can be one");
    check->over = (struct codec_range){0, CODEC_HERE};
    f->check = check;
    if (codec_sum_read(c, i->checksum, &check->sum) < 0)
        return false;
    if (f->width && f->width != check->sum->width) {
        conf_error(c->notes, AT(i->type), "%s takes %u bytes, this field has %u",
                   check->sum->name, check->sum->width, f->width);
        return false;
    }
    return !i->over || codec_read_range(c, i->over, "over", &check->over);
}

static bool read_size(struct codec_parse *c, const struct item *i,
                      const struct codec_scope *scope, struct codec_field *f)
{
    int64_t byte;
    bool text = f->form == FORM_TEXT || f->form == FORM_GB18030 || f->form == FORM_HEX;
    if (f->width && (i->bytes || i->until))
        return wrong(c, i->bytes ? i->bytes : i->until, "this type has its own width");
    if (f->width)
        return true;
    if (i->bytes)
        return read_amount(c, i->bytes, "bytes", 65536, scope, &f->size);
    if (i->until && !text)
        return wrong(c, i->until, "until: only of text and hex");
    if (i->until) {
        f->size.kind = AMOUNT_UNTIL;
        if (!codec_read_int(c, i->until, "until", 0, 255, &byte))
            return false;
        f->size.n = byte;
        return true;
    }
    if (!i->type || i->key) { /* a record of a tlv with a length has its own end */
        f->size.kind = AMOUNT_REST;
        return true;
    }
    return wrong(c, i->type, "how many? expected bytes: (a number, a name or rest)");
}

static bool read_digits(struct codec_parse *c, const struct item *i, struct codec_field *f)
{
    int64_t n = 0;
    if (!i->swap && !i->digits)
        return true;
    if (f->form != FORM_BCD && f->form != FORM_BCDNUM)
        return wrong(c, i->swap ? i->swap : i->digits, "swap and digits: only of bcd");
    if ((i->swap && !codec_read_bool(c, i->swap, "swap", &f->swap)) ||
        (i->digits && !codec_read_int(c, i->digits, "digits", 1, 65536, &n)))
        return false;
    f->digits = (unsigned)n;
    return true;
}

static bool lacks_order(const char *s)
{
    size_t n = strlen(s);
    for (size_t i = 0; i < N_TYPES; i++) {
        if (strlen(types[i].name) == n + 2 && strncmp(types[i].name, s, n) == 0 &&
            strcmp(types[i].name + n, "le") == 0)
            return true;
    }
    return false;
}

/* What other languages call it: as it is written here. NULL: nothing. */
static const char *as_here(const char *s)
{
    static const struct {
        const char *there, *here;
    } words[] = {
        {"int8", "i8"},
        {"uint8", "u8"},
        {"byte", "u8"},
        {"char", "u8"},
        {"int16", "i16be or i16le"},
        {"short", "i16be or i16le"},
        {"uint16", "u16be or u16le"},
        {"word", "u16be or u16le"},
        {"int32", "i32be or i32le"},
        {"int", "i16be, i32le or another"},
        {"uint", "u16be, u32le or another"},
        {"uint32", "u32be or u32le"},
        {"dword", "u32be or u32le"},
        {"int64", "i64be or i64le"},
        {"uint64", "u64be or u64le"},
        {"float", "f32be or f32le"},
        {"float32", "f32be or f32le"},
        {"double", "f64be or f64le"},
        {"float64", "f64be or f64le"},
        {"string", "ascii, utf8 or gb18030"},
        {"bit", "bool, or an integer with bits"},
    };
    char plain[16];
    size_t n = strlen(s);
    if (n > 2 && n < sizeof(plain) && strcmp(s + n - 2, "_t") == 0)
        n -= 2; /* of C */
    if (n >= sizeof(plain))
        return NULL;
    memcpy(plain, s, n);
    plain[n] = '\0';
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcasecmp(words[i].there, plain) == 0)
            return words[i].here;
    return NULL;
}

static bool read_type(struct codec_parse *c, const struct yaml_node *n, struct codec_field *f)
{
    const char *names[N_TYPES];
    const char *s = codec_read_word(c, n, "type");
    if (!s)
        return false;
    for (size_t i = 0; i < N_TYPES; i++) {
        names[i] = types[i].name;
        if (strcmp(types[i].name, s) == 0) {
            f->form = types[i].form;
            f->width = types[i].width;
            f->order = types[i].order;
            return true;
        }
    }
    if (lacks_order(s)) {
        conf_error(c->notes, AT(n), "type: in which order are its bytes? expected %sle or %sbe",
                   s, s);
        return false;
    }
    const char *here = as_here(s);
    if (here) {
        conf_error(c->notes, AT(n), "type: \"%.64s\" is none, expected %s", s, here);
        return false;
    }
    const char *near = err_nearest(s, names, N_TYPES);
    conf_error(c->notes, AT(n), "type: \"%.64s\" is none%s%s%s", s,
               near ? ", did you mean \"" : ", expected such as u8, i16be, f32le, bcd or ascii",
               near ? near : "", near ? "\"?" : "");
    return false;
}

/* ---- kinds of fields ---- */

/* Complains about what does not belong to this kind of field. */
static bool none_of(struct codec_parse *c, const char *where,
                    const struct yaml_node *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (list[i]) {
            conf_error(c->notes, AT(list[i]->key), "\"%s\" does not belong to %s",
                       list[i]->key->text, where);
            return false;
        }
    }
    return true;
}

#define NONE(c, where, ...)                                                                    \
    none_of(c, where, (const struct yaml_node *const[]){__VA_ARGS__},                          \
            sizeof((const struct yaml_node *const[]){__VA_ARGS__}) / sizeof(void *))

static bool parse_value(struct codec_parse *c, const struct yaml_node *n, const struct item *i,
                        const struct codec_scope *scope, struct codec_field *f)
{
    if (!NONE(c, "a field with a type", i->skip, i->repeat, i->fields, i->on, i->cases,
              i->decode) ||
        !read_type(c, i->type, f))
        return false;
    bool whole = f->form == FORM_UINT || f->form == FORM_INT;
    bool number = whole || f->form == FORM_FLOAT || f->form == FORM_BCDNUM;
    bool text = f->form == FORM_TEXT || f->form == FORM_GB18030 || f->form == FORM_BCD;
    if (!i->name && !(whole && (i->is || i->checksum || i->bits)))
        return wrong(c, n, "a field without a name");
    if (!number && (i->scale || i->divide || i->offset))
        return wrong(c, i->type, "scale, divide and offset: only of numbers");
    if (i->map && !whole && !text && f->form != FORM_BCDNUM)
        return wrong(c, i->map, "map: only of whole numbers and texts");
    if (i->over && !i->checksum)
        return wrong(c, i->over, "over: only with checksum");
    bool good = read_size(c, i, scope, f);
    good = read_digits(c, i, f) && good;
    good = (!i->is || read_is(c, i->is, f)) && good;
    good = (!i->bits || read_bits(c, i->bits, f)) && good;
    good = (!i->checksum || read_check(c, i, f)) && good;
    good = codec_parse_scale(c, i->scale, i->divide, i->offset, &f->scale) && good;
    return codec_parse_map(c, i->map, i->other, &f->map) && good;
}

static bool parse_group(struct codec_parse *c, const struct item *i,
                        const struct codec_scope *scope, struct codec_field *f)
{
    f->form = FORM_GROUP;
    if (!NONE(c, "a group of fields", i->swap, i->digits, i->bytes, i->until, i->is, i->bits,
              i->scale, i->divide, i->offset, i->map, i->other, i->skip, i->on, i->cases,
              i->checksum, i->over, i->decode))
        return false;
    if (i->repeat && !i->name)
        return wrong(c, i->repeat, "a repeated group needs a name");
    if (i->repeat && !read_amount(c, i->repeat, "repeat", CODEC_MAX_TIMES, scope, &f->repeat))
        return false;
    return codec_parse_layout(c, i->fields, scope, &f->inner);
}

static bool parse_cases(struct codec_parse *c, const struct yaml_node *n,
                        const struct codec_scope *scope, struct codec_field *f)
{
    bool good = true;
    if (n->kind != YAML_MAP || !n->first)
        return wrong(c, n, "cases: expected a mapping of numbers to lists of fields");
    struct codec_case *cases = codec_take(c, codec_count(n) * sizeof(*cases));
    f->cases = cases;
    for (const struct yaml_node *v = n->first; v; v = v->next) {
        struct codec_case *to = &cases[f->n_cases];
        if (!codec_read_int(c, v->key, "a case", INT64_MIN, INT64_MAX, &to->value)) {
            good = false;
            continue;
        }
        for (size_t k = 0; k < f->n_cases; k++) {
            if (cases[k].value == to->value)
                good = wrong(c, v->key, "this case is there already");
        }
        f->n_cases++;
        good = codec_parse_layout(c, v, scope, &to->layout) && good;
    }
    return good;
}

static bool parse_switch(struct codec_parse *c, const struct item *i,
                         const struct codec_scope *scope, struct codec_field *f)
{
    f->form = FORM_SWITCH;
    if (!NONE(c, "a switch", i->swap, i->digits, i->name, i->type, i->bytes, i->until, i->is,
              i->bits, i->scale, i->divide, i->offset, i->map, i->skip, i->repeat, i->fields,
              i->checksum, i->over, i->decode))
        return false;
    if (!i->cases)
        return wrong(c, i->on, "a switch without cases");
    f->on = refer(c, i->on, "switch", scope);
    f->has_default = i->other != NULL;
    bool good = parse_cases(c, i->cases, scope, f);
    return (!i->other || codec_parse_layout(c, i->other, scope, &f->inner)) && good && f->on;
}

static bool parse_decode(struct codec_parse *c, const struct item *i,
                         const struct codec_scope *scope, struct codec_field *f)
{
    f->form = FORM_DECODE;
    if (!NONE(c, "a field with decode", i->swap, i->digits, i->until, i->is, i->bits, i->scale,
              i->divide, i->offset, i->map, i->other, i->skip, i->repeat, i->fields, i->cases,
              i->checksum, i->over))
        return false;
    f->chain = codec_parse_sub(c, i->decode, !i->name);
    return read_size(c, i, scope, f) && f->chain;
}

static bool parse_skip(struct codec_parse *c, const struct item *i,
                       const struct codec_scope *scope, struct codec_field *f)
{
    f->form = FORM_SKIP;
    return NONE(c, "a skip", i->swap, i->digits, i->name, i->type, i->bytes, i->until, i->is,
                i->bits, i->scale, i->divide, i->offset, i->map, i->other, i->at, i->repeat,
                i->fields, i->on, i->cases, i->checksum, i->over, i->decode, i->list) &&
           read_amount(c, i->skip, "skip", 65536, scope, &f->size);
}

static bool parse_kind(struct codec_parse *c, const struct yaml_node *n, const struct item *i,
                       const struct codec_scope *scope, struct codec_field *f)
{
    if (i->skip)
        return parse_skip(c, i, scope, f);
    if (i->on)
        return parse_switch(c, i, scope, f);
    if (i->decode && !i->type)
        return parse_decode(c, i, scope, f);
    if (i->fields && !i->type)
        return parse_group(c, i, scope, f);
    if (i->type)
        return parse_value(c, n, i, scope, f);
    return wrong(c, n, "a field without a type: expected type, fields, switch, decode or skip");
}

bool codec_parse_field(struct codec_parse *c, const struct yaml_node *n,
                       const struct codec_scope *scope, struct codec_field *f,
                       const struct yaml_node **out_key, const struct yaml_node **out_list)
{
    struct item i = {0};
    f->slot = -1;
    if (!read_item(c, n, &i))
        return false;
    bool good = (!i.name || read_name(c, i.name, &f->name));
    if (out_key) {
        *out_key = i.key;
        *out_list = i.list;
    } else if (i.key || i.list) {
        return wrong(c, i.key ? i.key : i.list, "key and list: only in the items of a tlv");
    }
    f->has_at = i.at != NULL;
    if (i.at && !codec_read_int(c, i.at, "at", -65536, 65536, &f->at))
        good = false;
    const char *label = f->name.n ? f->name.p : codec_take_words(c, "line %d", n->line);
    f->short_of = codec_take_words(c, "ends within %s, or its size is wrong", label);
    f->mismatch = i.checksum ? codec_take_words(c, "%s: check sum does not agree", label)
                  : i.on     ? codec_take_words(c, "%.64s has no case for it", i.on->text)
                             : codec_take_words(c, "%s is not what it must be", label);
    good = parse_kind(c, n, &i, scope, f) && good;
    f->plain = (f->form == FORM_UINT || f->form == FORM_INT) && f->width >= 1 &&
               f->width <= 4 && (f->order == ORDER_LE || f->order == ORDER_BE) &&
               f->size.kind == AMOUNT_NONE && f->name.n && !f->has_at && !f->map &&
               !f->n_bits && !f->n_is && !f->check;
    return good;
}

static const struct codec_scope *add_to_scope(struct codec_parse *c, struct codec_field *f,
                                              const struct codec_scope *scope)
{
    if (f->name.n && (f->form == FORM_UINT || f->form == FORM_INT || f->form == FORM_BCDNUM)) {
        struct codec_scope *s = codec_take(c, sizeof(*s));
        *s = (struct codec_scope){f->name.p, &f->slot, scope};
        scope = s;
    }
    for (size_t i = 0; i < f->n_bits; i++) {
        struct codec_scope *s = codec_take(c, sizeof(*s));
        *s = (struct codec_scope){f->bits[i].name.p, &f->bits[i].slot, scope};
        scope = s;
    }
    return scope;
}

bool codec_parse_layout(struct codec_parse *c, const struct yaml_node *list,
                        const struct codec_scope *outer, struct codec_layout *out)
{
    const struct codec_scope *scope = outer;
    bool good = true;
    if (list->kind != YAML_LIST) {
        if (list->kind != YAML_BAD)
            conf_error(c->notes, AT(list), "expected a list of fields");
        return false;
    }
    if (c->depth == CODEC_MAX_NEST)
        return wrong(c, list, "fields within fields too deep");
    c->depth++;
    out->fields = codec_take(c, codec_count(list) * sizeof(*out->fields));
    for (const struct yaml_node *n = list->first; n; n = n->next) {
        struct codec_field *f = &out->fields[out->n++];
        good = codec_parse_field(c, n, scope, f, NULL, NULL) && good;
        scope = add_to_scope(c, f, scope);
    }
    c->depth--;
    return good;
}
