/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/table.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct column {
    char *title;
    bool right;
    size_t most, width;
};

struct ctl_table {
    struct column columns[CTL_TABLE_COLUMNS];
    size_t n_columns, n_rows;
    char **cells;
};

/* The character at s (n ≥ 1 bytes left) and its length; invalid bytes are U+FFFF, one long. */
static uint32_t decode(const char *s, size_t n, size_t *out_len)
{
    const unsigned char *p = (const unsigned char *)s;
    size_t len = p[0] < 0x80             ? 1
                 : (p[0] & 0xe0) == 0xc0 ? 2
                 : (p[0] & 0xf0) == 0xe0 ? 3
                 : (p[0] & 0xf8) == 0xf0 ? 4
                                         : 0;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t c = len == 1 ? p[0] : len ? p[0] & (0x7fu >> len) : 0;
    *out_len = 1;
    if (len == 0 || len > n)
        return 0xffff;
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0xffff;
        c = c << 6 | (p[i] & 0x3f);
    }
    if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return 0xffff;
    *out_len = len;
    return c;
}

/* Two columns: East Asian wide and full-width (Unicode annex 11), and emoji. */
static size_t char_width(uint32_t c)
{
    if ((c >= 0x300 && c <= 0x36f) || (c >= 0x200b && c <= 0x200d) ||
        (c >= 0xfe00 && c <= 0xfe0f))
        return 0;
    if ((c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0x303e) ||
        (c >= 0x3041 && c <= 0xa4cf) || (c >= 0xa960 && c <= 0xa97c) ||
        (c >= 0xac00 && c <= 0xd7a3) || (c >= 0xf900 && c <= 0xfaff) ||
        (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) ||
        (c >= 0xffe0 && c <= 0xffe6) || (c >= 0x1f300 && c <= 0x1f64f) ||
        (c >= 0x1f900 && c <= 0x1f9ff) || (c >= 0x20000 && c <= 0x3fffd))
        return 2;
    return 1;
}

/* Control characters, and the marks that turn the direction of writing. */
static bool dangerous(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xffff || (c >= 0x200e && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

size_t ctl_width(const char *s)
{
    size_t width = 0, len;
    for (size_t left = strlen(s); left; left -= len, s += len)
        width += char_width(decode(s, left, &len));
    return width;
}

char *ctl_clean(const char *s, size_t len, size_t most)
{
    char *out = mem_zalloc(len + 4);
    size_t n = 0, width = 0, fits = 0, k;
    for (size_t i = 0; i < len; i += k) {
        uint32_t c = decode(s + i, len - i, &k);
        size_t w = dangerous(c) ? 1 : char_width(c);
        if (width + w > most) {
            memcpy(out + fits, "…", sizeof("…"));
            return out;
        }
        if (dangerous(c))
            out[n++] = '?';
        else
            memcpy(out + n, s + i, k), n += k;
        width += w;
        if (width + 1 <= most)
            fits = n;
    }
    out[n] = '\0';
    return out;
}

static void add_column(struct ctl_table *t, const char *spec, size_t len)
{
    struct column *c = &t->columns[t->n_columns++];
    c->most = SIZE_MAX;
    const char *colon = memchr(spec, ':', len);
    if (colon) {
        c->most = 0;
        for (const char *p = colon + 1; p < spec + len && *p >= '0' && *p <= '9'; p++)
            c->most = c->most * 10 + (size_t)(*p - '0');
        len = (size_t)(colon - spec);
    }
    if (len && spec[len - 1] == '>') {
        c->right = true;
        len--;
    }
    c->title = mem_strndup(spec, len);
    c->width = ctl_width(c->title);
}

struct ctl_table *ctl_table_new(const char *spec)
{
    struct ctl_table *t = mem_zalloc(sizeof(*t));
    for (; t->n_columns < CTL_TABLE_COLUMNS; spec++) {
        size_t len = strcspn(spec, "|");
        add_column(t, spec, len);
        spec += len;
        if (!*spec)
            break;
    }
    return t;
}

void ctl_table_free(struct ctl_table *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n_columns; i++)
        free(t->columns[i].title);
    for (size_t i = 0; i < t->n_rows * t->n_columns; i++)
        free(t->cells[i]);
    free(t->cells);
    free(t);
}

void ctl_table_add(struct ctl_table *t, const char *const *cells)
{
    t->cells = mem_realloc_array(t->cells, (t->n_rows + 1) * t->n_columns, sizeof(*t->cells));
    char **row = t->cells + t->n_rows++ * t->n_columns;
    for (size_t i = 0; i < t->n_columns; i++) {
        struct column *c = &t->columns[i];
        row[i] = ctl_clean(cells[i], strlen(cells[i]), c->most);
        size_t w = ctl_width(row[i]);
        if (w > c->width)
            c->width = w;
    }
}

static void pad(FILE *to, size_t n)
{
    while (n--)
        fputc(' ', to);
}

static void print_row(const struct ctl_table *t, FILE *to, char *const *row)
{
    for (size_t i = 0; i < t->n_columns; i++) {
        const struct column *c = &t->columns[i];
        const char *s = row ? row[i] : c->title;
        size_t gap = c->width - ctl_width(s);
        if (i)
            pad(to, 2);
        if (c->right)
            pad(to, gap);
        fputs(s, to);
        if (!c->right && i + 1 < t->n_columns)
            pad(to, gap);
    }
    fputc('\n', to);
}

void ctl_table_print(const struct ctl_table *t, FILE *to)
{
    print_row(t, to, NULL);
    for (size_t i = 0; i < t->n_rows; i++)
        print_row(t, to, t->cells + i * t->n_columns);
}
