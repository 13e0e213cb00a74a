/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "core/csv.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_of_fields),
        cmocka_unit_test(quotes_and_empty_lines),
        cmocka_unit_test(broken_rows_do_not_hide_others),
        cmocka_unit_test(ceilings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
