/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conf_yaml.h"
#include "base/buf.h"
#include "base/mem.h"
#include "core/conf.h"
#include "core/text.h"

#include <libfyaml.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_LINES = 20000,
    MAX_BRACKETS = 20000, /* a million of them take libfyaml two seconds */
    MAX_LINE_BYTES = 16384,
    MAX_NODES = 40000,
    MAX_DEPTH = 16,
    MAX_NOTES = 1000,
};

/* ---- notes ---- */

enum note_sort { NOTE_ERROR, NOTE_VERDICT, NOTE_WARNING };

struct conf_note {
    int line, col;
    size_t order;
    enum note_sort sort;
    char *text;
};

static void note(struct conf_notes *notes, int line, int col, enum note_sort sort,
                 const char *fmt, va_list ap) __attribute__((format(printf, 5, 0)));
static void note(struct conf_notes *notes, int line, int col, enum note_sort sort,
                 const char *fmt, va_list ap)
{
    if (notes->n == MAX_NOTES) {
        notes->dropped++;
        return;
    }
    if (notes->n == notes->cap) {
        notes->cap = notes->cap ? notes->cap * 2 : 16;
        notes->list = mem_realloc_array(notes->list, notes->cap, sizeof(*notes->list));
    }
    char text[1024];
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    for (char *c = text; *c; c++) { /* one problem, one line */
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    }
    notes->list[notes->n] = (struct conf_note){
        .line = line, .col = col, .order = notes->n, .sort = sort, .text = mem_strdup(text)};
    notes->n++;
}

void conf_error(struct conf_notes *notes, int line, int col, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    note(notes, line, col, NOTE_ERROR, fmt, ap);
    va_end(ap);
    notes->errors++;
}

void conf_verdict(struct conf_notes *notes, int line, int col, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    note(notes, line, col, NOTE_VERDICT, fmt, ap);
    va_end(ap);
    notes->verdicts++;
}

void conf_warn(struct conf_notes *notes, int line, int col, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    note(notes, line, col, NOTE_WARNING, fmt, ap);
    va_end(ap);
}

static int by_place(const void *pa, const void *pb)
{
    const struct conf_note *a = pa, *b = pb;
    if (a->line != b->line) /* what has no line (is missing) comes last */
        return !b->line || (a->line && a->line < b->line) ? -1 : 1;
    if (a->col != b->col)
        return a->col < b->col ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

void conf_notes_hand_over(struct conf_notes *notes, const char *file, struct problems *p)
{
    if (notes->n)
        qsort(notes->list, notes->n, sizeof(*notes->list), by_place);
    for (size_t i = 0; i < notes->n; i++) {
        const struct conf_note *x = &notes->list[i], *before = i ? x - 1 : x;
        if (i && x->line == before->line && x->col == before->col &&
            strcmp(x->text, before->text) == 0)
            continue; /* what stands once may be read several times */
        if (x->sort == NOTE_WARNING)
            problems_warn(p, file, x->line, x->col, "%s", x->text);
        else if (x->sort == NOTE_VERDICT)
            problems_verdict(p, file, x->line, x->col, "%s", x->text);
        else
            problems_add(p, file, x->line, x->col, "%s", x->text);
    }
    if (notes->dropped)
        (notes->errors ? problems_add : problems_verdict)(
            p, file, 0, 0, "and %zu more problems", notes->dropped);
}

void conf_notes_done(struct conf_notes *notes)
{
    for (size_t i = 0; i < notes->n; i++)
        free(notes->list[i].text);
    free(notes->list);
    *notes = (struct conf_notes){0};
}

/* ---- what is refused before YAML is read ---- */

/* Length of the UTF-8 character at p, or 0: RFC 3629, no surrogates, nothing overlong. */
static size_t utf8_length(const unsigned char *p, size_t left)
{
    size_t n = p[0] < 0x80   ? 1
               : p[0] < 0xc2 ? 0
               : p[0] < 0xe0 ? 2
               : p[0] < 0xf0 ? 3
               : p[0] < 0xf5 ? 4
                             : 0;
    if (n == 0 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

static bool is_refused_character(const unsigned char *p, size_t n)
{
    if (n == 1)
        return (p[0] < 0x20 && p[0] != '\n' && p[0] != '\t' && p[0] != '\r') || p[0] == 0x7f;
    /* C1 controls, line and paragraph separators, byte order marks in the middle */
    return (p[0] == 0xc2 && p[1] < 0xa0) ||
           (p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9)) ||
           (p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf);
}

static bool prescan(const char *text, size_t len, struct conf_notes *notes)
{
    int line = 1, col = 1, brackets = 0;
    for (size_t i = 0, line_start = 0; i < len;) {
        const unsigned char *p = (const unsigned char *)text + i;
        size_t n = utf8_length(p, len - i);
        if (n == 0) {
            conf_error(notes, line, col, "byte 0x%02x is not UTF-8: save the file as UTF-8",
                       p[0]);
            return false;
        }
        if (is_refused_character(p, n)) {
            conf_error(notes, line, col, "a control character is not allowed here");
            return false;
        }
        brackets += *p == '[' || *p == '{';
        i += n;
        col++;
        if (*p == '\n') {
            line++;
            col = 1;
            line_start = i;
        }
        if (line > MAX_LINES) {
            conf_error(notes, line, 0, "more than %d lines: large lists belong into CSV files",
                       MAX_LINES);
            return false;
        }
        if (i - line_start > MAX_LINE_BYTES) {
            conf_error(notes, line, 0, "a line of more than %d bytes", MAX_LINE_BYTES);
            return false;
        }
        if (brackets > MAX_BRACKETS) {
            conf_error(notes, line, col - 1,
                       "more than %d brackets [ and {: large lists "
                       "belong into CSV files",
                       MAX_BRACKETS);
            return false;
        }
    }
    return true;
}

/* ---- the tree ---- */

struct builder {
    struct arena *arena;
    struct conf_notes *notes;
    struct yaml_node *open[MAX_DEPTH]; /* lists and mappings that are not closed yet */
    struct yaml_node *key;             /* read, its value comes next */
    struct yaml_node *root;
    size_t depth, nodes;
    int last_line, last_col;
    bool failed;
};

bool yaml_is_null(const struct yaml_node *n)
{
    return n->kind == YAML_SCALAR && n->plain &&
           (!*n->text || strcmp(n->text, "null") == 0 || strcmp(n->text, "~") == 0 ||
            strcmp(n->text, "Null") == 0 || strcmp(n->text, "NULL") == 0);
}

static void fail(struct builder *b, int line, int col, const char *text)
{
    conf_error(b->notes, line, col, "%s", text);
    b->failed = true;
}

static struct yaml_node *new_node(struct builder *b, struct fy_event *e, enum yaml_kind kind)
{
    const struct fy_mark *m = fy_event_start_mark(e);
    struct yaml_node *n = b->nodes < MAX_NODES ? arena_alloc(b->arena, sizeof(*n)) : NULL;
    if (m) {
        b->last_line = m->line + 1;
        b->last_col = m->column + 1;
    }
    if (!n) {
        fail(b, b->last_line, b->last_col,
             "too many entries: large lists belong into CSV files");
        return NULL;
    }
    b->nodes++;
    n->kind = kind;
    n->text = "";
    /* An empty value has no place of its own: its key's is what a person looks for. */
    n->line = m || !b->key ? b->last_line : b->key->line;
    n->col = m || !b->key ? b->last_col : b->key->col;
    return n;
}

/* Puts a finished or just opened node where it belongs. True if it became a key. */
static bool place_node(struct builder *b, struct yaml_node *n)
{
    if (b->depth == 0) {
        if (b->root)
            fail(b, n->line, n->col, "a second document: one is expected");
        b->root = n;
        return false;
    }
    struct yaml_node *parent = b->open[b->depth - 1];
    if (parent->kind == YAML_MAP) {
        if (!b->key) {
            if (n->kind != YAML_SCALAR && n->kind != YAML_BAD)
                fail(b, n->line, n->col, "a list or mapping as a key: a name is expected");
            b->key = n;
            return true;
        }
        n->key = b->key;
        b->key = NULL;
    }
    if (parent->last)
        parent->last->next = n;
    else
        parent->first = n;
    parent->last = n;
    return false;
}

static void refuse_extras(struct builder *b, struct fy_token *anchor, struct fy_token *tag,
                          struct yaml_node *n)
{
    if (anchor)
        conf_error(b->notes, n->line, n->col, "anchors (&name) are not allowed: write it out");
    if (tag)
        conf_error(b->notes, n->line, n->col, "tags (!name) are not allowed");
}

/* “eui”, as word processors and Chinese keyboards make of "eui". */
static bool typographic(const char *s)
{
    size_t n = strlen(s);
    return n >= 6 &&
           (memcmp(s, "\u201c", 3) == 0 || memcmp(s, "\u201d", 3) == 0 ||
            memcmp(s, "\u2018", 3) == 0 || memcmp(s, "\u2019", 3) == 0) &&
           (memcmp(s + n - 3, "\u201d", 3) == 0 || memcmp(s + n - 3, "\u201c", 3) == 0 ||
            memcmp(s + n - 3, "\u2019", 3) == 0 || memcmp(s + n - 3, "\u2018", 3) == 0);
}

static void on_scalar(struct builder *b, struct fy_event *e)
{
    struct yaml_node *n = new_node(b, e, YAML_SCALAR);
    if (!n)
        return;
    struct fy_token *t = e->scalar.value;
    size_t len = 0;
    const char *text = t ? fy_token_get_text(t, &len) : "";
    n->plain = !t || fy_scalar_token_get_style(t) == FYSS_PLAIN;
    n->text = arena_strndup(b->arena, text ? text : "", len);
    if (!n->text) {
        n->text = "";
        fail(b, n->line, n->col, "the file is too large");
    } else if (strlen(n->text) != len) { /* "\0" in double quotes */
        conf_error(b->notes, n->line, n->col, "a NUL character is not allowed");
        n->kind = YAML_BAD;
    }
    if (n->plain && typographic(n->text))
        conf_warn(b->notes, n->line, n->col,
                  "%.60s: these quotation marks are part of the text, those of YAML are the "
                  "plain \" and '",
                  n->text);
    refuse_extras(b, e->scalar.anchor, e->scalar.tag, n);
    (void)place_node(b, n);
}

static void on_open(struct builder *b, struct fy_event *e, enum yaml_kind kind)
{
    struct yaml_node *n = new_node(b, e, kind);
    if (!n)
        return;
    if (kind == YAML_MAP)
        refuse_extras(b, e->mapping_start.anchor, e->mapping_start.tag, n);
    else
        refuse_extras(b, e->sequence_start.anchor, e->sequence_start.tag, n);
    if (b->depth == MAX_DEPTH) {
        fail(b, n->line, n->col, "nested too deeply");
        return;
    }
    (void)place_node(b, n);
    b->open[b->depth++] = n;
}

static void on_event(struct builder *b, struct fy_event *e)
{
    struct yaml_node *n;
    switch (e->type) {
    case FYET_SCALAR:
        on_scalar(b, e);
        break;
    case FYET_ALIAS:
        n = new_node(b, e, YAML_BAD);
        if (n) {
            conf_error(b->notes, n->line, n->col,
                       "aliases (*name) are not allowed: write it out");
            (void)place_node(b, n);
        }
        break;
    case FYET_MAPPING_START:
        on_open(b, e, YAML_MAP);
        break;
    case FYET_SEQUENCE_START:
        on_open(b, e, YAML_LIST);
        break;
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END:
        b->depth--;
        b->key = NULL;
        break;
    case FYET_DOCUMENT_START:
    case FYET_DOCUMENT_END:
    case FYET_STREAM_START:
    case FYET_STREAM_END:
    case FYET_NONE:
        break;
    }
}

static void drop_output(struct fy_diag *diag, void *user, const char *text, size_t len)
{
    (void)diag;
    (void)user;
    (void)text;
    (void)len;
}

/* Where a line begins; the end of the text if it has not so many. */
static const char *line_begin(const char *text, const char *end, int line)
{
    for (; line > 1 && text < end; line--) {
        const char *nl = memchr(text, '\n', (size_t)(end - text));
        text = nl ? nl + 1 : end;
    }
    return text;
}

static const char *at_place(const char *text, const char *end, int line, int col)
{
    const char *s = line_begin(text, end, line);
    for (; col > 1 && s < end && *s != '\n'; col--)
        for (s++; s < end && ((unsigned char)*s & 0xc0) == 0x80; s++)
            ;
    return s;
}

/* The innermost { or [ that is open where the library stopped; NULL: there is none. Within it there
 * may be a mapping without braces, [a: b]. */
static const struct yaml_node *open_flow(const struct builder *b, const char *text,
                                         const char *end)
{
    for (size_t i = b->depth; i > 0; i--) {
        const struct yaml_node *n = b->open[i - 1];
        const char *s = at_place(text, end, n->line, n->col);
        if (s < end && (*s == '{' || *s == '['))
            return n;
    }
    return NULL;
}

static size_t indent_of(const char *s, const char *end)
{
    const char *c = s;
    while (c < end && (*c == ' ' || *c == '-'))
        c++;
    return (size_t)(c - s);
}

struct stop { /* where the library stopped, and what it said */
    const char *msg;
    const char *text, *end;
    const struct yaml_node *flow; /* open there */
    int line;
};

static bool goes_deeper(const struct stop *at)
{
    const char *s = line_begin(at->text, at->end, at->line), *next = line_begin(s, at->end, 2);
    return indent_of(next, at->end) > indent_of(s, at->end);
}

/* Between { and }, or [ and ]. False: it is about something else. */
static bool put_flow_hint(const struct stop *at, struct buf *out)
{
    const char *m = at->msg;
    const struct yaml_node *f = at->flow;
    if (strstr(m, "wrongly indented flow")) {
        if (f)
            (void)buf_printf(out, "; the %c of line %d is not closed",
                             *at_place(at->text, at->end, f->line, f->col), f->line);
        else
            (void)buf_printf(out, "; a { or [ opened above is not closed");
        return true;
    }
    if (!strstr(m, "in flow") && !(strstr(m, "node content") && f))
        return false;
    (void)buf_printf(out, "; every { and [ is closed");
    if (f && f->line < at->line)
        (void)buf_printf(out, " (is that of line %d?)", f->line);
    (void)buf_printf(out, ", between them a text with brackets, braces or a comma stands in "
                          "quotes, and full-width ， and ： are no signs of YAML");
    return true;
}

/* What the library's words most often come from. */
static void put_hint(const struct stop *at, struct buf *out)
{
    const char *m = at->msg;
    if (put_flow_hint(at, out))
        return;
    if (strstr(m, "invalid indentation"))
        (void)buf_printf(out, "; keys of one mapping begin in the same column, after blanks");
    else if (strstr(m, "tab"))
        (void)buf_printf(out, "; lines are indented with blanks");
    else if (strstr(m, "plain key") || strstr(m, "expected ':'"))
        (void)buf_printf(out,
                         "; a key ends with a colon and a blank, behind a dash there is a "
                         "blank, and the keys of one mapping begin in the same column%s",
                         goes_deeper(at) ? "; or the next line is indented too far" : "");
    else if (strstr(m, "'-' indicator") || strstr(m, "end of block sequence"))
        (void)buf_printf(out,
                         "; the keys of one mapping begin in the same column, and so do the "
                         "dashes of a list");
    else if (strstr(m, "sequence item") || strstr(m, "expected key"))
        (void)buf_printf(out,
                         "; the dashes of one list stand in one column, and so do the keys of "
                         "one mapping; or look at the line above");
    else if (strstr(m, "nested block mapping"))
        (void)buf_printf(out, "; a text with a colon and a blank in it stands in quotes");
    else if (strstr(m, "quoted scalar"))
        (void)buf_printf(out, "; is a quotation mark not closed before?");
    else if (strstr(m, "cannot start with"))
        (void)buf_printf(out, "; put the text in quotes");
}

/* A key that a Chinese keyboard ended, `groups：`: for YAML a text like any other, and what follows
 * makes no sense. Looked for in the lines around the one that makes none. */
static bool full_width_key(const char *text, size_t len, int line, int *out_line, int *out_col)
{
    const char *s = text, *end = text + len;
    for (int at = 1; s < end && at <= line + 2; at++) {
        const char *nl = memchr(s, '\n', (size_t)(end - s)), *to = nl ? nl : end;
        int col = 1;
        for (const char *c = s; at + 2 >= line && c < to && !strchr(":#\"'{[", *c); c++) {
            if (to - c >= 3 && memcmp(c, "\xef\xbc\x9a", 3) == 0) {
                *out_line = at;
                *out_col = col;
                return true;
            }
            col += ((unsigned char)*c & 0xc0) != 0x80;
        }
        s = to + 1;
    }
    return false;
}

/* The plain sign that a full-width bracket at s stands for; 0: it is none. */
static char plain_bracket(const char *s, const char *end)
{
    static const char *const wide[] = {"\uff5b", "\uff3b", "\uff5d", "\uff3d"};
    for (size_t i = 0; i < 4; i++)
        if (end - s >= 3 && memcmp(s, wide[i], 3) == 0)
            return "{[}]"[i];
    return 0;
}

/* Behind a key's colon or an item's dash, or before both: a blank that is none, or a bracket from a
 * Chinese keyboard. True: said. */
static bool odd_sign(struct builder *b, const char *s, const char *end, int line)
{
    int col = 1;
    char before = ' ';    /* the byte */
    bool indented = true; /* nothing was there yet but blanks and dashes */
    bool begins = true;   /* a value may begin here */
    for (const char *c = s; c < end && *c != '\n'; c++) {
        if (((unsigned char)*c & 0xc0) == 0x80)
            continue;
        const char *blank = text_odd_blank(c, (size_t)(end - c));
        char plain = plain_bracket(c, end);
        if ((*c == '"' || *c == '\'') && begins)
            return false; /* what stands in quotes may hold anything */
        if (*c == '#' && before == ' ')
            return false;
        if (blank && (indented || before == ':'))
            conf_error(b->notes, line, col, "a %s stands here, YAML knows the plain blank only",
                       blank);
        else if (begins && (plain == '{' || plain == '['))
            conf_error(b->notes, line, col, "%.3s is full-width, expected %c", c, plain);
        if ((blank && (indented || before == ':')) ||
            (begins && (plain == '{' || plain == '[')))
            return true;
        begins = *c == '{' || *c == '[' || *c == ',' ||
                 (*c == ' ' && (begins || before == ':')) || (*c == '-' && indented);
        indented = indented && (*c == ' ' || *c == '-');
        before = *c;
        col++;
    }
    return false;
}

/* An open { or [ that a Chinese keyboard closed. True: said. */
static bool odd_end(struct builder *b, const struct stop *at)
{
    int line = at->flow ? at->flow->line : 0, col = at->flow ? at->flow->col : 0;
    const char *s = at->flow ? at_place(at->text, at->end, line, col) : at->end;
    for (; s < at->end && line <= at->line; s++) {
        char plain = plain_bracket(s, at->end);
        if (plain == '}' || plain == ']') {
            conf_error(b->notes, line, col, "%.3s is full-width, expected %c", s, plain);
            return true;
        }
        col = *s == '\n' ? 1 : col + (((unsigned char)*s & 0xc0) != 0x80);
        line += *s == '\n';
    }
    return false;
}

/* libfyaml's own words, once: what follows the first error of a parser is seldom true. */
static void report_syntax(struct builder *b, struct fy_diag *diag, const char *text, size_t len)
{
    void *it = NULL;
    struct fy_diag_error *first = fy_diag_errors_iterate(diag, &it);
    int line, col;
    struct stop at = {.msg = first && first->msg ? first->msg : NULL,
                      .text = text,
                      .end = text + len,
                      .flow = open_flow(b, text, text + len),
                      .line = first && first->msg ? first->line : b->last_line};
    struct buf hint;
    b->failed = true;
    if (full_width_key(text, len, at.line, &line, &col)) {
        conf_error(b->notes, line, col,
                   "\uff1a is full-width: a key ends with a plain : and a blank");
        return;
    }
    for (line = at.line > 1 ? at.line - 1 : 1; line <= at.line + 1; line++)
        if (odd_sign(b, line_begin(text, at.end, line), at.end, line))
            return;
    if (odd_end(b, &at))
        return;
    if (!at.msg) {
        conf_error(b->notes, b->last_line, b->last_col, "not valid YAML after this place");
        return;
    }
    buf_init(&hint, 1024);
    put_hint(&at, &hint);
    conf_error(b->notes, first->line, first->column, "not valid YAML: %s%s", at.msg,
               buf_cstr(&hint));
    buf_done(&hint);
}

struct yaml_node *yaml_parse(const char *text, size_t len, struct arena *arena,
                             struct conf_notes *notes)
{
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        len -= 3;
    }
    if (len > CONF_MAX_BYTES) {
        conf_error(notes, 0, 0, "%zu bytes: at most 1 MiB is expected", len);
        return NULL;
    }
    if (!prescan(text, len, notes))
        return NULL;

    struct fy_diag_cfg diag_cfg;
    fy_diag_cfg_default(&diag_cfg);
    diag_cfg.fp = NULL;
    diag_cfg.output_fn = drop_output;
    struct fy_diag *diag = fy_diag_create(&diag_cfg);
    struct fy_parse_cfg cfg = {
        .flags = (enum fy_parse_cfg_flags)(FYPCF_QUIET | FYPCF_JSON_NONE), .diag = diag};
    struct builder b = {.arena = arena, .notes = notes, .last_line = 1};
    struct fy_parser *parser = NULL;
    if (diag) {
        fy_diag_set_collect_errors(diag, true);
        parser = fy_parser_create(&cfg);
    }
    if (!parser || fy_parser_set_string(parser, text, len) != 0) {
        fail(&b, 0, 0, "the YAML reader could not start");
    } else {
        struct fy_event *e;
        while (!b.failed && (e = fy_parser_parse(parser))) {
            on_event(&b, e);
            fy_parser_event_free(parser, e);
        }
        if (!b.failed && (fy_parser_get_stream_error(parser) || fy_diag_got_error(diag)))
            report_syntax(&b, diag, text, len);
    }
    if (!b.failed && !b.root)
        fail(&b, 0, 0, "the file is empty");
    fy_parser_destroy(parser);
    fy_diag_destroy(diag);
    return b.failed ? NULL : b.root;
}
