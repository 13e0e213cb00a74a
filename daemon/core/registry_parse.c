/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "base/mem.h"
#include "core/registry_private.h"
#include "core/text.h"

#include <errno.h>
#include <iconv.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const size_t pool_max = (size_t)8 << 30;

/* ---- encoding ---- */

static void place_of(const char *text, size_t at, int *out_line)
{
    *out_line = 1;
    for (size_t i = 0; i < at; i++)
        *out_line += text[i] == '\n' || (text[i] == '\r' && text[i + 1] != '\n');
}

/* Text that is UTF-8 but for a few bytes is damaged UTF-8, not GB18030 (which would read it as
 * nonsense): valid characters outnumber bad bytes. */
static bool is_damaged_utf8(const char *text, size_t len)
{
    size_t good = 0, bad = 0;
    for (size_t at = 0; at < len;) {
        size_t end = at + text_utf8_valid(text + at, len - at);
        for (size_t i = at; i < end; i++)
            good += (unsigned char)text[i] >= 0xe0;
        bad += end < len;
        at = end + 1;
        if (bad > 1000)
            break;
    }
    return good > 8 * bad;
}

/* *out_from: the offset that could not be read, on -EILSEQ. */
static int from_gb18030(const char *text, size_t len, char **out, size_t *out_len,
                        size_t *out_from)
{
    iconv_t cd = iconv_open("UTF-8", "GB18030");
    if (cd == (iconv_t)-1)
        return -ENOSYS;
    size_t room = len * 2 + 16, left = room, in_left = len;
    char *to = mem_realloc_array(NULL, room, 1), *at = to;
    char *in = (char *)(uintptr_t)text; /* iconv does not write there */
    size_t r = iconv(cd, &in, &in_left, &at, &left);
    (void)iconv_close(cd);
    if (r == (size_t)-1) {
        free(to);
        *out_from = (size_t)(in - text);
        return -EILSEQ;
    }
    *out = to;
    *out_len = room - left;
    return 0;
}

/* The text as UTF-8, without BOM: *out_made is NULL when it is the input's own. */
static bool decode(struct sheet *s, const struct registry_input *in, const char **out_text,
                   size_t *out_len, char **out_made)
{
    const char *text = in->text;
    size_t len = in->len, bad;
    int line;
    if (len >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0)) {
        problems_add(s->problems, s->file, 1, 1,
                     "UTF-16; save it as \"CSV UTF-8\" (comma separated)");
        return false;
    }
    bool bom = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0;
    text += bom ? 3 : 0;
    len -= bom ? 3 : 0;
    const char *nul = memchr(text, '\0', len);
    if (nul) {
        place_of(text, (size_t)(nul - text), &line);
        bool book = len > 8 && (memcmp(text, "PK\x03\x04", 4) == 0 ||
                                memcmp(text, "\xd0\xcf\x11\xe0", 4) == 0);
        problems_add(s->problems, s->file, book ? 1 : line, 0, "%s",
                     book ? "this is a workbook of a spreadsheet, expected CSV: save it as CSV "
                            "(UTF-8, comma separated)"
                          : "a NUL byte: this is no CSV file");
        return false;
    }
    *out_text = text;
    *out_len = len;
    bad = text_utf8_valid(text, len);
    if (bad == len)
        return true;
    if (bom || is_damaged_utf8(text, len)) {
        place_of(text, bad, &line);
        problems_add(s->problems, s->file, line, 0, "byte 0x%02x is not UTF-8",
                     (unsigned char)text[bad]);
        return false;
    }
    int rc = from_gb18030(text, len, out_made, out_len, &bad);
    if (rc == -ENOSYS) {
        problems_add(s->problems, s->file, 0, 0,
                     "not UTF-8, and this system cannot read GB18030: save it as UTF-8");
    } else if (rc != 0) {
        place_of(text, bad, &line);
        problems_add(s->problems, s->file, line, 0, "byte 0x%02x is neither UTF-8 nor GB18030",
                     (unsigned char)text[bad]);
    }
    if (rc != 0)
        return false;
    *out_text = *out_made;
    char remark[512];
    (void)snprintf(remark, sizeof(remark), "%s: read as GB18030", s->file);
    s->r->remarks[s->r->n_remarks++] = keep(s->r, remark, strlen(remark));
    return true;
}

/* ---- rows ---- */

const char *keep(struct registry *r, const char *text, size_t len)
{
    if (len == 0)
        return "";
    char *p = arena_strndup(&r->pool, text, len);
    ASSERT(p); /* files, rows and fields have ceilings well below the pool's */
    return p;
}

const char *sheet_text(const struct sheet *s, int column)
{
    int i = s->at[column];
    return i < 0 || (size_t)i >= s->row->n ? "" : s->row->fields[i].text;
}

size_t sheet_len(const struct sheet *s, int column)
{
    int i = s->at[column];
    return i < 0 || (size_t)i >= s->row->n ? 0 : s->row->fields[i].len;
}

const char *sheet_keep(const struct sheet *s, int column)
{
    return keep(s->r, sheet_text(s, column), sheet_len(s, column));
}

/* One problem, one line. */
static void one_line(char *text)
{
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
}

__attribute__((format(printf, 4, 0))) static void tell(const struct sheet *s, int column,
                                                       bool error, const char *fmt, va_list ap)
{
    char text[768];
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    one_line(text);
    int line = s->row->line, col = 0, i = column < 0 ? -1 : s->at[column];
    if (i >= 0 && (size_t)i < s->row->n)
        csv_place(s->row, (size_t)i, &line, &col);
    (error ? problems_add : problems_warn)(s->problems, s->file, line, col, "%s", text);
}

void sheet_error(const struct sheet *s, int column, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    tell(s, column, true, fmt, ap);
    va_end(ap);
}

void sheet_warn(const struct sheet *s, int column, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    tell(s, column, false, fmt, ap);
    va_end(ap);
}

bool sheet_code(const struct sheet *s, int column, bool required)
{
    const char *t = sheet_text(s, column);
    size_t n = sheet_len(s, column);
    if (n == 0) {
        if (required)
            sheet_error(s, column, "%s is empty", s->kind->columns[column].name);
        return !required;
    }
    if (text_is_code(t, n))
        return true;
    bool blank = strstr(t, "\u3000") || strstr(t, "\u00a0") || strstr(t, "\u200b"); /* unseen */
    sheet_error(s, column,
                "%s \"%.100s\", expected letters, digits and . _ - only, at most %d%s",
                s->kind->columns[column].name, t, TEXT_CODE_MAX,
                blank ? "; a blank of another kind stands in it" : "");
    return false;
}

bool sheet_plain(const struct sheet *s, int column, size_t most)
{
    size_t n = sheet_len(s, column);
    if (n > most)
        sheet_error(s, column, "%s has %zu bytes, expected at most %zu",
                    s->kind->columns[column].name, n, most);
    else if (!text_is_plain(sheet_text(s, column), n))
        sheet_error(s, column, "%s has a line end or another control character",
                    s->kind->columns[column].name);
    else
        return true;
    return false;
}

bool sheet_date(const struct sheet *s, int column)
{
    size_t n = sheet_len(s, column);
    if (n == 0 || text_is_date(sheet_text(s, column), n))
        return true;
    const char *text = sheet_text(s, column);
    bool days =
        n == 5 && strspn(text, "0123456789") == n; /* since 1900, as spreadsheets count */
    sheet_error(s, column, "%s \"%.40s\" is no date, expected e.g. 2026-03-01 or 2026/3/1%s",
                s->kind->columns[column].name, text,
                days ? ": a spreadsheet counted days; format the column as yyyy-mm-dd" : "");
    return false;
}

static void read_header_field(struct sheet *s, size_t i)
{
    const char *names[MAX_COLUMNS];
    char name[80];
    (void)snprintf(name, sizeof(name), "%s", s->row->fields[i].text);
    one_line(name);
    int line, col;
    csv_place(s->row, i, &line, &col);
    for (size_t c = 0; c < s->kind->n_columns; c++)
        names[c] = s->kind->columns[c].name;
    for (size_t c = 0; c < s->kind->n_columns; c++) {
        if (strcmp(names[c], name) != 0)
            continue;
        if (s->at[c] >= 0) {
            problems_add(s->problems, s->file, line, col, "column \"%s\" is repeated", name);
            s->header_bad = true;
        }
        s->at[c] = (int)i;
        return;
    }
    if (!*name) { /* spreadsheets leave empty columns behind */
        s->of[i] = NULL;
        return;
    }
    const char *near = err_nearest(name, names, s->kind->n_columns);
    problems_add(s->problems, s->file, line, col, "unknown column \"%.64s\"%s%s%s", name,
                 near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    s->header_bad = true;
}

/* Another separator, or no header at all: one sentence instead of one for each column. */
static bool is_no_header(struct sheet *s)
{
    const char *names[MAX_COLUMNS], *first = s->row->fields[0].text;
    const char *other = s->row->n == 1 ? strpbrk(first, ";\t|") : NULL;
    const char *wide = s->row->n == 1 ? strstr(first, "，") : NULL;
    for (size_t c = 0; c < s->kind->n_columns; c++)
        names[c] = s->kind->columns[c].name;
    if (other || wide) {
        problems_add(s->problems, s->file, s->row->line, 0,
                     "the columns are separated by %.*s, expected commas: save it as CSV "
                     "(comma separated)",
                     wide             ? 3
                     : *other == '\t' ? 9
                                      : 1,
                     wide             ? wide
                     : *other == '\t' ? "tab stops"
                                      : other);
        return true;
    }
    size_t near = 0;
    for (size_t i = 0; i < s->row->n; i++)
        near += err_nearest(s->row->fields[i].text, names, s->kind->n_columns) != NULL;
    if (2 * near >= s->row->n)
        return false;
    for (size_t i = 0; i < s->row->n; i++)
        for (size_t c = 0; c < s->kind->n_columns; c++)
            if (strcmp(s->row->fields[i].text, names[c]) == 0)
                return false;
    char list[256] = "";
    size_t at = 0;
    for (size_t c = 0; c < s->kind->n_columns && at < sizeof(list) - 80; c++)
        at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%s", at ? "," : "", names[c]);
    problems_add(
        s->problems, s->file, s->row->line, 0,
        "none of these is a column: the first line must name them, expected such as %s", list);
    return true;
}

static void read_header(struct sheet *s)
{
    s->header_read = true;
    s->n_header = s->row->n;
    if (s->row->n > 0 && is_no_header(s)) {
        s->header_bad = true;
        return;
    }
    for (size_t i = 0; i < s->row->n; i++) {
        s->of[i] = "";
        read_header_field(s, i);
    }
    for (size_t c = 0; c < s->kind->n_columns; c++)
        if (s->kind->columns[c].required && s->at[c] < 0) {
            problems_add(s->problems, s->file, s->row->line, 0,
                         "column \"%s\" is missing in the header line",
                         s->kind->columns[c].name);
            s->header_bad = true;
        }
}

static void on_csv_row(void *ctx, const struct csv_row *row)
{
    struct sheet *s = ctx;
    s->row = row;
    if (!s->header_read) {
        read_header(s);
        return;
    }
    if (s->header_bad) /* every row would be wrong for the same reason */
        return;
    bool empty = true;
    for (size_t i = 0; i < row->n; i++) {
        if (row->fields[i].len == 0)
            continue;
        empty = false;
        if (i < s->n_header && s->of[i])
            continue;
        int line, col;
        csv_place(row, i, &line, &col);
        problems_add(s->problems, s->file, line, col,
                     "field %zu belongs to no column; is a comma in a text not quoted?", i + 1);
        s->gaps = true;
        return;
    }
    if (!empty)
        s->kind->on_row(s);
}

/* CR LF ends one line: no tables for twice as many. */
static size_t count_lines(const char *text, size_t len)
{
    size_t n = 1;
    const char *end = text + len;
    for (const char *p = text; (p = memchr(p, '\n', (size_t)(end - p))); p++)
        n++;
    for (const char *p = text; (p = memchr(p, '\r', (size_t)(end - p))); p++)
        n += p + 1 == end || p[1] != '\n';
    return n;
}

/* False if it could not be read at all. */
static bool read_rows(struct sheet *s, const struct registry_input *in)
{
    const char *text;
    size_t len;
    char *made = NULL;
    for (size_t c = 0; c < MAX_COLUMNS; c++)
        s->at[c] = -1;
    if (in->len > REGISTRY_MAX_BYTES) {
        problems_add(s->problems, s->file, 0, 0, "%zu bytes, expected at most 256 MiB",
                     in->len);
        return false;
    }
    if (!decode(s, in, &text, &len, &made))
        return false;
    size_t lines = count_lines(text, len);
    s->rows = lines < s->kind->rows ? lines : s->kind->rows;
    s->lines = mem_zalloc_array(s->rows, sizeof(*s->lines));
    s->kind->begin(s);
    s->gaps |= csv_read(text, len, s->file, s->problems, on_csv_row, s) != 0;
    s->gaps |= !s->header_read || s->header_bad;
    free(made);
    if (!s->header_read)
        problems_add(s->problems, s->file, 0, 0, "no header line; the file is empty");
    return true;
}

bool sheet_run(struct registry *r, const struct sheet_kind *kind,
               const struct registry_input *in, struct problems *p)
{
    if (!in || !in->text)
        return true;
    struct sheet *s = mem_zalloc(sizeof(*s));
    *s = (struct sheet){.r = r, .problems = p, .file = in->file, .kind = kind};
    buf_init(&s->scratch, 8192);
    size_t before = problems_errors(p);
    bool read = read_rows(s, in), whole = read && !s->gaps;
    if (read)
        kind->finish(s, problems_errors(p) == before);
    free(s->lines);
    for (size_t i = 0; i < MAX_LINKS; i++) {
        free(s->links[i].places);
        free(s->links[i].next);
    }
    buf_done(&s->scratch);
    free(s);
    return whole;
}

/* ---- links between rows ---- */

void sheet_link_note(struct sheet *s, struct link *l, uint32_t i, const char *kept)
{
    if (!*kept)
        return;
    if (!l->places) /* most files have none */
        l->places = mem_zalloc_array(s->rows, sizeof(*l->places));
    struct place *p = &l->places[i];
    *p = (struct place){.to = kept, .line = s->row->line};
    csv_place(s->row, (size_t)s->at[l->column], &p->line, &p->col);
}

/* Each node has one way out: walk from every node, mark what this walk has seen by its start.
 * One problem for each circle. */
static void tell_circles(struct sheet *s, const struct link *l, size_t n,
                         const char *(*code_of)(const struct registry *r, uint32_t i))
{
    uint32_t *seen = mem_zalloc_array(n, sizeof(*seen)); /* 0, or start + 1 */
    for (uint32_t start = 0; start < n; start++) {
        uint32_t i = start;
        while (i != UINT32_MAX && seen[i] == 0) {
            seen[i] = start + 1;
            i = l->next[i];
        }
        if (i != UINT32_MAX && seen[i] == start + 1)
            problems_add(s->problems, s->file, l->places[i].line, l->places[i].col,
                         "%s \"%s\" leads back to \"%s\" itself",
                         s->kind->columns[l->column].name, l->places[i].to, code_of(s->r, i));
    }
    free(seen);
}

void sheet_link(struct sheet *s, struct link *l, size_t n, bool complete,
                const char *(*code_of)(const struct registry *r, uint32_t i),
                uint32_t (*find)(const struct registry *r, const char *code))
{
    l->next = mem_realloc_array(NULL, n, sizeof(*l->next));
    memset(l->next, 0xff, n * sizeof(*l->next));
    if (!l->places)
        return;
    for (size_t i = 0; i < n; i++) {
        const struct place *p = &l->places[i];
        if (!p->to)
            continue;
        l->next[i] = find(s->r, p->to);
        if (l->next[i] == UINT32_MAX && complete)
            problems_add(s->problems, s->file, p->line, p->col,
                         "%s \"%s\": there is no such %s", s->kind->columns[l->column].name,
                         p->to, l->thing);
    }
    tell_circles(s, l, n, code_of);
}

int registry_parse(const struct registry_input *compounds, const struct registry_input *devices,
                   const struct registry_input *params, const struct catalog *catalog,
                   struct problems *problems, struct registry **out)
{
    size_t before = problems_errors(problems);
    struct registry *r = mem_zalloc(sizeof(*r));
    r->catalog = catalog;
    arena_init(&r->pool, pool_max);
    r->compounds_refused = !sheet_run(r, &compounds_sheet, compounds, problems);
    size_t so_far = problems_errors(problems);
    (void)sheet_run(r, &devices_sheet, devices, problems);
    r->devices_refused = problems_errors(problems) != so_far;
    (void)sheet_run(r, &params_sheet, params, problems);
    if (problems_errors(problems) != before) {
        registry_free(r);
        return -EINVAL;
    }
    *out = r;
    return 0;
}
