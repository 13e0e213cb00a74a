/* SPDX-License-Identifier: Apache-2.0 */
#include "core/csv.h"
#include "base/check.h"
#include "base/mem.h"
#include "core/text.h"

#include <csv.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    const char *text;
    size_t len, at;
    const char *file;
    struct problems *problems;
    csv_row_fn *fn;
    void *ctx;
    struct csv_parser parser;
    int line;     /* of `at` */
    int row_line; /* of row_begin */
    size_t row_begin, field_begin;
    struct csv_field fields[CSV_FIELDS_MAX];
    size_t n, store_len; /* fields of this row; bytes of theirs in store */
    bool row_done, too_many;
    unsigned broken;
    char store[CSV_LINE_MAX + CSV_FIELDS_MAX];
};

/* Line and column of `offset`, which is not before `begin` in line `line`. */
static void place(const char *text, size_t begin, int line, size_t offset, int *out_line,
                  int *out_col)
{
    size_t start = begin;
    for (size_t i = begin; i < offset; i++)
        if (text[i] == '\n' || (text[i] == '\r' && text[i + 1] != '\n')) {
            line++;
            start = i + 1;
        }
    *out_line = line;
    *out_col = (int)text_utf8_chars(text + start, offset - start) + 1;
}

void csv_place(const struct csv_row *row, size_t field, int *out_line, int *out_col)
{
    place(row->input, row->begin, row->line, row->fields[field].at, out_line, out_col);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void on_field(void *data, size_t len, void *ctx)
{
    struct reader *r = ctx;
    if (r->n == CSV_FIELDS_MAX) {
        r->too_many = true;
        return;
    }
    ASSERT(r->store_len + len + 1 <= sizeof(r->store));
    char *to = r->store + r->store_len;
    if (len)
        memcpy(to, data, len);
    to[len] = '\0';
    r->store_len += len + 1;
    size_t at = r->field_begin;
    while (at < r->len && is_blank(r->text[at]))
        at++;
    r->fields[r->n++] = (struct csv_field){.text = to, .len = len, .at = at};
}

static void on_row(int terminator, void *ctx)
{
    (void)terminator;
    ((struct reader *)ctx)->row_done = true;
}

static void parser_reset(struct reader *r)
{
    csv_free(&r->parser);
    ASSERT(csv_init(&r->parser, CSV_STRICT | CSV_STRICT_FINI) == 0);
    r->n = r->store_len = 0;
    r->row_done = r->too_many = false;
}

static void row_begins(struct reader *r)
{
    r->n = r->store_len = 0;
    r->row_done = r->too_many = false;
    r->row_begin = r->field_begin = r->at;
    r->row_line = r->line;
}

/* Says what is wrong at `offset` and goes on with the line after the one the row began in: a
 * quote that never closes must not hide the rest of the file. */
static void row_breaks(struct reader *r, size_t offset, const char *what)
{
    int line, col;
    place(r->text, r->row_begin, r->row_line, offset, &line, &col);
    problems_add(r->problems, r->file, line, col, "%s", what);
    r->broken++;
    parser_reset(r);
    size_t at = r->row_begin;
    while (at < r->len && r->text[at] != '\n' && r->text[at] != '\r')
        at++;
    if (at < r->len && r->text[at] == '\r' && at + 1 < r->len && r->text[at + 1] == '\n')
        at++;
    r->at = at < r->len ? at + 1 : at;
    r->line = r->row_line + 1;
    row_begins(r);
}

static void row_ends(struct reader *r)
{
    if (r->too_many) {
        row_breaks(r, r->row_begin, "more than 256 fields in a line");
        return;
    }
    /* libcsv gives a line of blanks as one empty field */
    if (r->n > 1 || (r->n == 1 && r->fields[0].len > 0)) {
        struct csv_row row = {.fields = r->fields,
                              .n = r->n,
                              .input = r->text,
                              .begin = r->row_begin,
                              .line = r->row_line};
        r->fn(r->ctx, &row);
    }
    row_begins(r);
}

static const char stray_quote[] =
    "stray quote; a field with quotes is written \"so \"\"quoted\"\" inside\"";

/* The line that begins here, if it is one row for certain: no quotes, ended by LF or CR LF. Its fields
 * are what stands between its commas, which libcsv, byte by byte, takes three times as long to say. False: it
 * is not one. */
static bool read_plain_line(struct reader *r)
{
    if (r->at != r->row_begin || r->n > 0 || r->parser.pstate != 0)
        return false;
    size_t most = r->len - r->at < CSV_LINE_MAX ? r->len - r->at : CSV_LINE_MAX;
    const char *p = r->text + r->at, *nl = memchr(p, '\n', most);
    if (!nl || memchr(p, '"', (size_t)(nl - p)))
        return false;
    const char *cr = memchr(p, '\r', (size_t)(nl - p));
    if (cr && cr + 1 != nl)
        return false;
    size_t n = (size_t)((cr ? cr : nl) - p), from = 0;
    memcpy(r->store, p, n);
    for (size_t end = 0; end <= n; end++) {
        if (end < n && p[end] != ',')
            continue;
        if (r->n == CSV_FIELDS_MAX) {
            r->too_many = true;
            break;
        }
        size_t to = end;
        while (from < to && is_blank(p[from]))
            from++;
        while (to > from && is_blank(p[to - 1]))
            to--;
        r->store[to] = '\0';
        r->fields[r->n++] =
            (struct csv_field){.text = r->store + from, .len = to - from, .at = r->at + from};
        from = end + 1;
    }
    r->at = (size_t)(nl + 1 - r->text);
    r->line++;
    row_ends(r);
    return true;
}

/* Up to the next comma or line end, where libcsv may hand out a field or a row. */
static void feed(struct reader *r)
{
    size_t end = r->at;
    while (end < r->len && r->text[end] != ',' && r->text[end] != '\n' && r->text[end] != '\r')
        end++;
    if (end < r->len)
        end++;
    if (end - r->row_begin > CSV_LINE_MAX) {
        row_breaks(r, r->row_begin, "line longer than 64 KiB; is a quote not closed?");
        return;
    }
    size_t piece = end - r->at, fields = r->n;
    bool too_many = r->too_many;
    size_t done = csv_parse(&r->parser, r->text + r->at, piece, on_field, on_row, r);
    ASSERT(csv_error(&r->parser) != CSV_ENOMEM);
    if (done != piece) {
        row_breaks(r, r->at + done, stray_quote);
        return;
    }
    char last = r->text[end - 1];
    r->at = end;
    if (last == '\n' || (last == '\r' && (end == r->len || r->text[end] != '\n')))
        r->line++;
    if (r->n > fields || r->too_many != too_many)
        r->field_begin = end;
    if (r->row_done)
        row_ends(r);
    else if (r->n == 0 && !r->too_many && (last == '\n' || last == '\r') &&
             r->parser.pstate == 0) /* nothing begun: an empty line */
        row_begins(r);
}

static void finish(struct reader *r)
{
    if (csv_fini(&r->parser, on_field, on_row, r) != 0) {
        row_breaks(r, r->field_begin, "this quote is not closed");
        return;
    }
    if (r->row_done)
        row_ends(r);
}

int csv_read(const char *text, size_t len, const char *file, struct problems *problems,
             csv_row_fn *fn, void *ctx)
{
    struct reader *r = mem_realloc_array(NULL, 1, sizeof(*r));
    memset(r, 0, offsetof(struct reader, store)); /* the store is written before it is read */
    r->text = text;
    r->len = len;
    r->file = file;
    r->problems = problems;
    r->fn = fn;
    r->ctx = ctx;
    r->line = 1;
    ASSERT(csv_init(&r->parser, CSV_STRICT | CSV_STRICT_FINI) == 0);
    row_begins(r);
    do {
        while (r->at < r->len && r->broken < CSV_BROKEN_MAX)
            if (!read_plain_line(r))
                feed(r);
        if (r->broken < CSV_BROKEN_MAX)
            finish(r); /* may go back to the line after a broken one */
    } while (r->at < r->len && r->broken < CSV_BROKEN_MAX);
    if (r->broken >= CSV_BROKEN_MAX)
        problems_add(problems, file, r->row_line, 0, "%d broken lines: reading ends here",
                     CSV_BROKEN_MAX);
    int rc = r->broken ? -EINVAL : 0;
    csv_free(&r->parser);
    free(r);
    return rc;
}
