/* SPDX-License-Identifier: Apache-2.0 */
/* Text cut into fields: csv, keyvalue, pattern. All values are texts. */
#include "base/num.h"
#include "core/codec_plan_private.h"

enum { MAX_SEPARATOR = 8, MAX_NAMES = 512, MAX_PIECES = 64 };

/* Where `what` begins in s, or s.n. */
static size_t index_of(struct codec_span s, struct codec_span what)
{
    const char *p = s.n && what.n ? memmem(s.p, s.n, what.p, what.n) : NULL;
    return p ? (size_t)(p - s.p) : s.n;
}

static bool read_text(struct codec_parse *c, const struct yaml_node *n, const char *what,
                      struct codec_span *out)
{
    if (n->kind == YAML_SCALAR && *n->text && strlen(n->text) <= MAX_SEPARATOR) {
        *out = (struct codec_span){codec_take_text(c, n->text), strlen(n->text)};
        return true;
    }
    conf_error(c->notes, AT(n), "%s: expected a text of 1 to %d bytes", what, MAX_SEPARATOR);
    return false;
}

/* ---- csv ---- */

struct csv {
    struct codec_span separator;
    const struct codec_span *names; /* n 0: not written */
    size_t n_names;
    bool lines;
};

static const struct csv plain_csv = {.separator = {",", 1}};

/* One field off the front of *line; a quoted one is taken out of its quotes. False: the quote is
 * not closed. *more: a separator follows. */
static bool next_field(const struct csv *v, struct codec_span *line, struct buf *text,
                       struct codec_span *out, bool *more)
{
    struct codec_span s = *line;
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t') && v->separator.p[0] != s.p[0]) {
        s.p++;
        s.n--;
    }
    size_t n = 0;
    bool quoted = s.n && s.p[0] == '"';
    if (quoted) {
        buf_clear(text);
        for (n = 1;; n++) {
            if (n >= s.n)
                return false;
            if (s.p[n] == '"' && (n + 1 == s.n || s.p[n + 1] != '"'))
                break;
            n += s.p[n] == '"';
            if (buf_putc(text, s.p[n]) < 0)
                return false;
        }
        *out = (struct codec_span){text->data, text->len};
        n++;
    }
    size_t end = n + index_of((struct codec_span){s.p + n, s.n - n}, v->separator);
    if (!quoted)
        *out = codec_trim((struct codec_span){s.p, end});
    *more = end < s.n;
    size_t taken = *more ? end + v->separator.n : s.n;
    *line = (struct codec_span){s.p + taken, s.n - taken};
    return true;
}

/* A field behind the last name is told by its position, from 1: newer firmware appends. */
static int put_position(struct doc *d, size_t i)
{
    char text[NUM_MAX];
    return doc_key(d, text, num_put_u64(text, i + 1));
}

static int put_line(const struct csv *v, struct codec_run *x, struct codec_span line,
                    struct doc *d, struct codec_fault *f)
{
    struct codec_span field;
    bool more = true;
    const char *begin = line.p;
    int r = v->n_names ? doc_object(d) : doc_array(d);
    for (size_t i = 0; more && r == 0; i++) {
        /* codec_put_text may use x->text: what is quoted is copied before */
        if (!next_field(v, &line, &x->field, &field, &more))
            return codec_refuse(f, "a quote that is not closed", (size_t)(line.p - begin));
        if (i < v->n_names && !v->names[i].n)
            continue;
        if (v->n_names)
            r = i < v->n_names ? doc_key(d, v->names[i].p, v->names[i].n) : put_position(d, i);
        if (r == 0)
            r = codec_put_text(x, d, field.p, field.n);
    }
    return r < 0 ? r : doc_end(d);
}

/* Where tabs part the fields, one in front stands behind an empty field: without it all others
 * would stand one place too early. */
static struct codec_span trim_line(const struct csv *v, struct codec_span s)
{
    struct codec_span trimmed = codec_trim(s);
    if (trimmed.n == 0 || v->separator.p[0] != '\t')
        return trimmed;
    const char *tab = memchr(s.p, '\t', s.n);
    if (!tab || tab > trimmed.p)
        return trimmed;
    return (struct codec_span){tab, (size_t)(trimmed.p + trimmed.n - tab)};
}

static int run_csv(const struct csv *v, struct codec_run *x, struct codec_span in,
                   struct doc *d, struct codec_fault *f)
{
    int r;
    if (!v->lines)
        return put_line(v, x, trim_line(v, in), d, f);
    r = doc_array(d);
    while (in.n && r == 0) {
        const char *lf = memchr(in.p, '\n', in.n);
        size_t n = lf ? (size_t)(lf - in.p) : in.n;
        struct codec_span line = trim_line(v, (struct codec_span){in.p, n});
        if (line.n)
            r = put_line(v, x, line, d, f);
        n += lf != NULL;
        in = (struct codec_span){in.p + n, in.n - n};
    }
    return r < 0 ? r : doc_end(d);
}

int codec_csv(const struct codec_op *op, struct codec_run *x, struct codec_span in,
              struct doc *d, struct codec_fault *f)
{
    return run_csv(op->arg ? op->arg : &plain_csv, x, in, d, f);
}

/* Behind the last name: by position. */
static bool is_position(const struct csv *v, const struct codec_step *s)
{
    uint64_t i;
    return s->kind == CODEC_ANY_MEMBER ||
           (s->kind == CODEC_MEMBER && num_get_u64(s->key, s->len, &i) == 0 && i > v->n_names);
}

bool codec_csv_gives(const struct codec_op *op, const struct codec_look *l, size_t at)
{
    const struct csv *v = op->arg ? op->arg : &plain_csv;
    if (v->lines && !codec_look_element(l, &at))
        return at == l->n;
    if (v->n_names == 0) {
        (void)codec_look_element(l, &at);
        return at == l->n;
    }
    bool found = at == l->n;
    for (size_t i = 0; i < v->n_names; i++)
        found = (codec_look_name(l, v->names[i], false, at) && at + 1 >= l->n) || found;
    return found || (at + 1 == l->n && is_position(v, &l->steps[at]));
}

static bool read_names(struct codec_parse *c, const struct yaml_node *n, struct csv *v)
{
    if (!codec_is_list(c, n, "names"))
        return false;
    if (codec_count(n) > MAX_NAMES) {
        conf_error(c->notes, AT(n), "names: more than %d", MAX_NAMES);
        return false;
    }
    struct codec_span *names = codec_take(c, codec_count(n) * sizeof(*names));
    v->names = names;
    for (const struct yaml_node *i = n->first; i; i = i->next) {
        struct codec_span *to = &names[v->n_names++];
        if (yaml_is_null(i)) /* a field that is left out */
            continue;
        const char *s = codec_read_word(c, i, "a name");
        if (!s)
            return false;
        *to = (struct codec_span){codec_take_text(c, s), strlen(s)};
    }
    return true;
}

bool codec_parse_csv(struct codec_parse *c, const struct yaml_node *n,
                     const struct yaml_node *map, struct codec_op *op)
{
    const struct yaml_node *csv = NULL, *separator = NULL, *names = NULL, *lines = NULL;
    const struct codec_key outer[] = {{"csv", &csv}};
    const struct codec_key keys[] = {
        {"separator", &separator}, {"names", &names}, {"lines", &lines}};
    struct csv *v = codec_take(c, sizeof(*v));
    *v = plain_csv;
    op->arg = v;
    bool good = codec_read_map(c, map, outer, 1, "a csv");
    good = codec_read_map(c, n, keys, 3, "a csv") && good;
    good = (!separator || read_text(c, separator, "separator", &v->separator)) && good;
    good = (!names || read_names(c, names, v)) && good;
    return (!lines || codec_read_bool(c, lines, "lines", &v->lines)) && good;
}

/* ---- keyvalue ---- */

struct keyvalue {
    struct codec_span pair, is;
};

static const struct keyvalue plain_keyvalue = {.pair = {";", 1}, .is = {"=", 1}};

int codec_keyvalue(const struct codec_op *op, struct codec_run *x, struct codec_span in,
                   struct doc *d, struct codec_fault *f)
{
    const struct keyvalue *v = op->arg ? op->arg : &plain_keyvalue;
    const char *begin = in.p;
    int r = doc_object(d);
    while (in.n && r == 0) {
        size_t end = index_of(in, v->pair);
        struct codec_span piece = codec_trim((struct codec_span){in.p, end});
        size_t is = index_of(piece, v->is);
        if (piece.n && is == piece.n)
            return codec_refuse(f, "a piece that is no pair of key and value",
                                (size_t)(in.p - begin));
        if (piece.n) {
            struct codec_span key = codec_trim((struct codec_span){piece.p, is});
            struct codec_span value =
                codec_trim((struct codec_span){piece.p + is + v->is.n, piece.n - is - v->is.n});
            r = codec_put_key(x, d, key.p, key.n);
            if (r == 0)
                r = codec_put_text(x, d, value.p, value.n);
        }
        end += end < in.n ? v->pair.n : 0;
        in = (struct codec_span){in.p + end, in.n - end};
    }
    return r < 0 ? r : doc_end(d);
}

bool codec_parse_keyvalue(struct codec_parse *c, const struct yaml_node *n,
                          const struct yaml_node *map, struct codec_op *op)
{
    const struct yaml_node *keyvalue = NULL, *pair = NULL, *is = NULL;
    const struct codec_key outer[] = {{"keyvalue", &keyvalue}};
    const struct codec_key keys[] = {{"pair", &pair}, {"is", &is}};
    struct keyvalue *v = codec_take(c, sizeof(*v));
    *v = plain_keyvalue;
    op->arg = v;
    bool good = codec_read_map(c, map, outer, 1, "a keyvalue");
    good = codec_read_map(c, n, keys, 2, "a keyvalue") && good;
    good = (!pair || read_text(c, pair, "pair", &v->pair)) && good;
    return (!is || read_text(c, is, "is", &v->is)) && good;
}

/* ---- pattern ---- */

struct piece { /* some fixed text, then a value */
    struct codec_span fixed;
    bool has_value;
    struct codec_span name; /* n 0: not written */
    size_t width;           /* 0: up to the next fixed text, or to the end */
};

struct pattern {
    struct piece *pieces;
    size_t n;
};

static int run_pattern(const struct codec_op *op, struct codec_run *x, struct codec_span in,
                       struct doc *d, struct codec_fault *f)
{
    const struct pattern *t = op->arg;
    size_t at = 0;
    int r = doc_object(d);
    while (in.n && (in.p[in.n - 1] == '\n' || in.p[in.n - 1] == '\r'))
        in.n--;
    for (size_t i = 0; i < t->n && r == 0; i++) {
        const struct piece *p = &t->pieces[i];
        if (in.n - at < p->fixed.n ||
            (p->fixed.n && memcmp(in.p + at, p->fixed.p, p->fixed.n) != 0))
            return codec_refuse(f, "does not follow the pattern", at);
        at += p->fixed.n;
        if (!p->has_value)
            continue;
        size_t n = in.n - at;
        if (p->width && p->width > n)
            return codec_refuse(f, "shorter than the pattern", in.n);
        if (p->width)
            n = p->width;
        else if (i + 1 < t->n)
            n = index_of((struct codec_span){in.p + at, n}, t->pieces[i + 1].fixed);
        if (p->name.n && (r = doc_key(d, p->name.p, p->name.n)) == 0)
            r = codec_put_text(x, d, in.p + at, n);
        at += n;
    }
    if (r == 0 && at < in.n)
        return codec_refuse(f, "longer than the pattern", at);
    return r < 0 ? r : doc_end(d);
}

static bool pattern_gives(const struct codec_op *op, const struct codec_look *l, size_t at)
{
    const struct pattern *t = op->arg;
    bool found = at == l->n;
    for (size_t i = 0; i < t->n; i++)
        found = (codec_look_name(l, t->pieces[i].name, false, at) && at + 1 >= l->n) || found;
    return found;
}

static bool bad_pattern(struct codec_parse *c, const struct yaml_node *n, const char *why)
{
    conf_error(c->notes, AT(n), "pattern: %s", why);
    return false;
}

/* What stands in braces: a name, `:` and a width, either may be absent. */
static bool parse_value(struct codec_parse *c, const struct yaml_node *n, const char *s,
                        size_t len, struct piece *p)
{
    const char *colon = memchr(s, ':', len);
    size_t name = colon ? (size_t)(colon - s) : len;
    p->has_value = true;
    if (name && !(name == 1 && s[0] == '_'))
        p->name = (struct codec_span){s, name};
    if (!colon)
        return true;
    uint64_t width;
    if (num_get_u64(colon + 1, len - name - 1, &width) < 0 || width < 1 || width > 65536)
        return bad_pattern(c, n, "expected a number of bytes after the colon: {name:3}");
    p->width = (size_t)width;
    return true;
}

/* Fixed text is copied with {{ and }} made single: s is our own copy and only shrinks. */
static size_t take_fixed(char *s, struct codec_span *out)
{
    size_t i = 0, made = 0;
    for (; s[i]; i++) {
        if (s[i] == '{' && s[i + 1] != '{')
            break;
        if ((s[i] == '{' || s[i] == '}') && s[i + 1] == s[i])
            i++;
        s[made++] = s[i];
    }
    *out = (struct codec_span){s, made};
    return i;
}

bool codec_parse_pattern(struct codec_parse *c, const struct yaml_node *n,
                         const struct yaml_node *map, struct codec_op *op)
{
    const struct yaml_node *pattern = NULL;
    const struct codec_key keys[] = {{"pattern", &pattern}};
    struct pattern *t = codec_take(c, sizeof(*t));
    const char *text = codec_read_word(c, n, "pattern");
    op->to_value = run_pattern;
    op->gives = pattern_gives;
    op->arg = t;
    if (!codec_read_map(c, map, keys, 1, "a pattern") || !text)
        return false;
    char *s = codec_take(c, strlen(text) + 1);
    memcpy(s, text, strlen(text) + 1);
    t->pieces = codec_take(c, MAX_PIECES * sizeof(*t->pieces));
    while (*s) {
        if (t->n == MAX_PIECES)
            return bad_pattern(c, n, "more than 64 values");
        struct piece *p = &t->pieces[t->n++];
        s += take_fixed(s, &p->fixed);
        if (!*s)
            break;
        char *close = strchr(s, '}');
        if (!close)
            return bad_pattern(c, n, "a brace is not closed; for a brace itself write {{");
        if (!p->fixed.n && t->n > 1 && !t->pieces[t->n - 2].width)
            return bad_pattern(c, n, "a value without a width needs fixed text after it");
        if (!parse_value(c, n, s + 1, (size_t)(close - s - 1), p))
            return false;
        s = close + 1;
    }
    return t->n > 0 || bad_pattern(c, n, "is empty");
}
