/* SPDX-License-Identifier: Apache-2.0 */
#include "core/registry_row.h"
#include "base/mem.h"
#include "core/csv.h"
#include "core/text.h"

#include <errno.h>
#include <iconv.h>
#include <stdlib.h>
#include <string.h>

#define MAX_HEADER ((size_t)65536)

struct header {
    size_t begin, end; /* the line, without BOM and line end */
    const char *line_end;
    char *names[CSV_FIELDS_MAX];
    size_t n;
};

static void on_header(void *ctx, const struct csv_row *row)
{
    struct header *h = ctx;
    for (size_t i = 0; i < row->n && h->n < CSV_FIELDS_MAX; i++)
        h->names[h->n++] = mem_strdup(row->fields[i].text);
}

static void header_done(struct header *h)
{
    for (size_t i = 0; i < h->n; i++)
        free(h->names[i]);
}

/* Line ends and commas are the same bytes in UTF-8 and GB18030, and columns are ASCII. */
static int header_read(const char *text, size_t len, struct header *h, struct err *err)
{
    *h = (struct header){.line_end = "\n"};
    if (len >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0))
        return err_set(err, -EINVAL,
                       "the file is UTF-16; save it as \"CSV UTF-8\" (comma separated)");
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        h->begin = 3;
    h->end = h->begin;
    while (h->end < len && text[h->end] != '\n' && text[h->end] != '\r')
        h->end++;
    if (h->end < len && text[h->end] == '\r')
        h->line_end = h->end + 1 < len && text[h->end + 1] == '\n' ? "\r\n" : "\r";
    if (h->end == h->begin || h->end - h->begin > MAX_HEADER)
        return err_set(err, -EINVAL, "the file has no header line");
    struct problems *p = problems_new(1);
    int r = csv_read(text + h->begin, h->end - h->begin, "header line", p, on_header, h);
    if (r != 0)
        err_set(err, -EINVAL, "%s", problems_get(p, 0));
    problems_free(p);
    if (r == 0 && h->n > 0)
        return 0;
    header_done(h);
    return r ? -EINVAL : err_set(err, -EINVAL, "the file has no header line");
}

static bool has_column(const struct header *h, const char *name)
{
    for (size_t i = 0; i < h->n; i++)
        if (strcmp(h->names[i], name) == 0)
            return true;
    return false;
}

static const char *value_of(const struct registry_cell *cells, size_t n, const char *column)
{
    for (size_t i = 0; i < n; i++)
        if (cells[i].value && strcmp(cells[i].column, column) == 0)
            return cells[i].value;
    return "";
}

/* Quoted where a reader of CSV needs it. */
static void put_cell(struct buf *b, const char *s)
{
    size_t n = strlen(s);
    bool quote = s[strcspn(s, ",\"\r\n")] || (n && (s[0] == ' ' || s[n - 1] == ' '));
    if (quote)
        (void)buf_putc(b, '"');
    for (; *s; s++) {
        if (*s == '"')
            (void)buf_putc(b, '"');
        (void)buf_putc(b, *s);
    }
    if (quote)
        (void)buf_putc(b, '"');
}

static int put_row(const struct header *h, const struct registry_cell *cells, size_t n,
                   struct buf *out, struct err *err)
{
    for (size_t i = 0; i < n; i++)
        if (cells[i].value && *cells[i].value && !has_column(h, cells[i].column))
            return err_set(err, -EINVAL,
                           "the file has no column \"%s\": add it to the header line, or leave "
                           "%s out",
                           cells[i].column, cells[i].column);
    for (size_t i = 0; i < h->n; i++) {
        if (i > 0)
            (void)buf_putc(out, ',');
        put_cell(out, value_of(cells, n, h->names[i]));
    }
    return out->failed ? err_set(err, -ENOBUFS, "the file would be too large") : 0;
}

static int put_gb18030(const struct buf *row, struct buf *out, struct err *err)
{
    iconv_t cd = iconv_open("GB18030", "UTF-8");
    if (cd == (iconv_t)-1)
        return err_set(err, -EINVAL, "this system cannot write GB18030, as the file is");
    size_t room = row->len * 4 + 16, left = room, in_left = row->len;
    char *to = mem_realloc_array(NULL, room, 1), *at = to, *in = row->data;
    size_t r = iconv(cd, &in, &in_left, &at, &left);
    (void)iconv_close(cd);
    if (r != (size_t)-1)
        (void)buf_put(out, to, room - left);
    free(to);
    return r == (size_t)-1 ? err_set(err, -EINVAL, "the line cannot be written in GB18030") : 0;
}

int registry_row_append(const char *text, size_t len, const struct registry_cell *cells,
                        size_t n, struct buf *out, struct err *err)
{
    struct header h;
    struct buf row;
    int r = header_read(text, len, &h, err);
    if (r != 0)
        return r;
    buf_init(&row, MAX_HEADER);
    r = put_row(&h, cells, n, &row, err);
    if (r == 0) {
        (void)buf_put(out, text, len);
        if (text[len - 1] != '\n' && text[len - 1] != '\r')
            (void)buf_puts(out, h.line_end);
        if (text_utf8_valid(text + h.begin, len - h.begin) == len - h.begin)
            (void)buf_put(out, row.data, row.len);
        else
            r = put_gb18030(&row, out, err);
        (void)buf_puts(out, h.line_end);
    }
    if (r == 0 && out->failed)
        r = err_set(err, -ENOBUFS, "the file would be too large");
    buf_done(&row);
    header_done(&h);
    return r;
}

int registry_row_text(const char *header, size_t len, const struct registry_cell *cells,
                      size_t n, struct buf *out, struct err *err)
{
    struct header h;
    int r = header_read(header, len, &h, err);
    if (r != 0)
        return r;
    r = put_row(&h, cells, n, out, err);
    header_done(&h);
    return r;
}

bool registry_row_code(const char *id, size_t len, char out[REGISTRY_ROW_CODE])
{
    size_t n = 0;
    bool gap = false;
    if (text_is_code(id, len)) {
        memcpy(out, id, len);
        out[len] = '\0';
        return true;
    }
    for (size_t i = 0; i < len && n < TEXT_CODE_MAX - 1; i++) {
        if (!text_is_code(id + i, 1)) {
            gap = true;
            continue;
        }
        if (gap && n > 0)
            out[n++] = '-';
        gap = false;
        out[n++] = id[i];
    }
    out[n] = '\0';
    return false;
}
