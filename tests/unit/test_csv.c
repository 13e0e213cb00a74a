/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/buf.h"
#include "core/csv.h"

#include <csv.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Rows as "line:col=text|…;" */
static void on_row(void *ctx, const struct csv_row *row)
{
    for (size_t i = 0; i < row->n; i++) {
        int line, col;
        csv_place(row, i, &line, &col);
        (void)buf_printf(ctx, "%d:%d=%s|", line, col, row->fields[i].text);
    }
    (void)buf_puts(ctx, ";");
}

static void expect(const char *text, const char *rows, const char *problems)
{
    struct buf b, said;
    buf_init(&b, 1 << 20);
    buf_init(&said, 1 << 20);
    struct problems *p = problems_new(50);
    size_t n = strlen(text);
    char *exact = malloc(n ? n : 1); /* without a NUL: reading past the end is seen */
    memcpy(exact, text, n);
    int rc = csv_read(exact, n, "x.csv", p, on_row, &b);
    free(exact);
    for (size_t i = 0; i < problems_count(p); i++)
        (void)buf_printf(&said, "%s\n", problems_get(p, i));
    assert_string_equal(buf_cstr(&b), rows);
    assert_string_equal(buf_cstr(&said), problems);
    assert_int_equal(rc != 0, *problems != '\0');
    problems_free(p);
    buf_done(&b);
    buf_done(&said);
}

static void places_of_fields(void **state)
{
    (void)state;
    expect("a,b,c\n1,,3\n", "1:1=a|1:3=b|1:5=c|;2:1=1|2:3=|2:4=3|;", "");
    expect("a,b\r\n1,2\r\n", "1:1=a|1:3=b|;2:1=1|2:3=2|;", "");
    expect("a,b\r1,2", "1:1=a|1:3=b|;2:1=1|2:3=2|;", "");
    expect("渝中区,b\n", "1:1=渝中区|1:5=b|;", "");
    expect("  a ,\tb\n", "1:3=a|1:7=b|;", "");
}

static void quotes_and_empty_lines(void **state)
{
    (void)state;
    expect("\"a,\"\"x\"\"\",b\n", "1:1=a,\"x\"|1:11=b|;", "");
    expect("\"a\nb\r\nc\",d\ne\n", "1:1=a\nb\r\nc|3:4=d|;4:1=e|;", "");
    expect("\n\n\na\n\n  \nb", "4:1=a|;7:1=b|;", "");
    expect("", "", "");
    expect("\n", "", "");
    expect("a,\n", "1:1=a|1:3=|;", "");
    expect("\"\"\na", "2:1=a|;", "");
}

static void broken_rows_do_not_hide_others(void **state)
{
    (void)state;
    expect("a,b\"c\nd\n", "2:1=d|;",
           "x.csv:1:4: error: stray quote; a field with quotes is written "
           "\"so \"\"quoted\"\" inside\"\n");
    expect("a\nb,\"c\nd\ne\n", "1:1=a|;3:1=d|;4:1=e|;",
           "x.csv:2:3: error: this quote is not closed\n");
    expect("\"a\"b,c\nd\n", "2:1=d|;",
           "x.csv:1:4: error: stray quote; a field with quotes is written "
           "\"so \"\"quoted\"\" inside\"\n");
}

static void ceilings(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1 << 20);
    for (int i = 0; i < 70000; i++)
        (void)buf_putc(&b, 'x');
    (void)buf_puts(&b, "\nd\n");
    expect(buf_cstr(&b), "2:1=d|;",
           "x.csv:1:1: error: line longer than 64 KiB; is a quote not closed?\n");
    buf_clear(&b);
    for (int i = 0; i < 300; i++)
        (void)buf_puts(&b, "1,");
    (void)buf_puts(&b, "\nd\n");
    expect(buf_cstr(&b), "2:1=d|;", "x.csv:1:1: error: more than 256 fields in a line\n");
    buf_clear(&b);
    for (int i = 0; i < 1000; i++)
        (void)buf_puts(&b, "a\"\n");
    struct problems *p = problems_new(1000);
    assert_int_not_equal(csv_read(b.data, b.len, "x.csv", p, on_row, &b), 0);
    assert_int_equal(problems_errors(p), CSV_BROKEN_MAX + 1);
    problems_free(p);
    buf_done(&b);
}

/* -- against libcsv itself ------------------------------------------------------------------ */

struct plain { /* the row under way, as libcsv gives it */
    struct buf row, all;
    size_t n, len;
};

static void plain_field(void *data, size_t len, void *ctx)
{
    struct plain *p = ctx;
    (void)buf_put(&p->row, data, len);
    (void)buf_putc(&p->row, '|');
    p->n++;
    p->len += len;
}

static void plain_row(int terminator, void *ctx)
{
    struct plain *p = ctx;
    (void)terminator;
    if (p->n > 1 || p->len > 0)
        (void)buf_printf(&p->all, "%s;", buf_cstr(&p->row));
    buf_clear(&p->row);
    p->n = p->len = 0;
}

static void texts_of_row(void *ctx, const struct csv_row *row)
{
    for (size_t i = 0; i < row->n; i++) {
        assert_int_equal(strlen(row->fields[i].text), row->fields[i].len);
        (void)buf_printf(ctx, "%s|", row->fields[i].text);
    }
    (void)buf_puts(ctx, ";");
}

/* Where a field without quotes stands: its first character that is no blank. */
static void right_place(void *ctx, const struct csv_row *row)
{
    const char *text = ctx;
    for (size_t i = 0; i < row->n; i++) {
        int line = 1, col = 1, said_line, said_col;
        for (size_t at = 0; at < row->fields[i].at; at++, col++)
            if (text[at] == '\n' || (text[at] == '\r' && text[at + 1] != '\n')) {
                line++;
                col = 0;
            }
        csv_place(row, i, &said_line, &said_col);
        assert_int_equal(said_line, line);
        assert_int_equal(said_col, col);
        assert_memory_equal(text + row->fields[i].at, row->fields[i].text, row->fields[i].len);
        assert_false(row->fields[i].at > 0 && row->fields[i].len > 0 &&
                     strchr(" \t", text[row->fields[i].at]));
    }
}

/* Lines without quotes do not go through libcsv: whatever is in them, they are read as if. */
static void as_libcsv_reads(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    static const char *const pieces[] = {"a",  "bc", ",",    ",",     " ",          "\t",
                                         "\n", "\n", "\r\n", "\r",    "\"q,\r\n\"", "\"\"",
                                         "渝", ",,", " , ",  "\n  \n"};
    for (int round = 0; round < 20000; round++) {
        size_t kinds = round & 1 ? sizeof(pieces) / sizeof(*pieces) : 10;
        struct buf text, rows;
        struct plain p = {.n = 0};
        struct csv_parser parser;
        struct problems *problems = problems_new(10);
        buf_init(&text, 1000);
        buf_init(&rows, 10000);
        buf_init(&p.row, 1000);
        buf_init(&p.all, 10000);
        for (size_t n = unit_random(&seed) % 30; n > 0; n--)
            (void)buf_puts(&text, pieces[unit_random(&seed) % kinds]);
        (void)buf_cstr(&text);
        assert_int_equal(csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI), 0);
        bool good =
            csv_parse(&parser, text.data, text.len, plain_field, plain_row, &p) == text.len &&
            csv_fini(&parser, plain_field, plain_row, &p) == 0;
        csv_free(&parser);
        int rc = csv_read(text.data, text.len, "x.csv", problems, texts_of_row, &rows);
        assert_int_equal(rc == 0, good);
        if (good)
            assert_string_equal(buf_cstr(&rows), buf_cstr(&p.all));
        if (kinds == 10)
            (void)csv_read(text.data, text.len, "x.csv", problems, right_place, text.data);
        problems_free(problems);
        buf_done(&text);
        buf_done(&rows);
        buf_done(&p.row);
        buf_done(&p.all);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_of_fields),
        cmocka_unit_test(quotes_and_empty_lines),
        cmocka_unit_test(broken_rows_do_not_hide_others),
        cmocka_unit_test(ceilings),
        cmocka_unit_test(as_libcsv_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
