/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/buf.h"
#include "core/csv.h"

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

/* What a text without quotes is read as must not depend on how it is fed: with a quoted field before each
 * line it is fed field by field. */
struct read {
    struct buf rows;
    bool prefixed;
};

static void note_row(void *ctx, const struct csv_row *row)
{
    struct read *r = ctx;
    for (size_t i = r->prefixed; i < row->n; i++) {
        int line, col;
        csv_place(row, i, &line, &col);
        (void)buf_printf(&r->rows, "%d:%d=%s|", line, col - 4 * r->prefixed,
                         row->fields[i].text);
    }
    (void)buf_printf(&r->rows, "%d;", row->line);
}

static void read_text(struct read *r, const struct buf *text)
{
    struct problems *p = problems_new(5);
    char *exact = malloc(text->len);
    memcpy(exact, text->data, text->len);
    buf_init(&r->rows, 1 << 20);
    assert_int_equal(csv_read(exact, text->len, "x.csv", p, note_row, r), 0);
    free(exact);
    problems_free(p);
}

static void plain_lines_are_the_same(void **state)
{
    (void)state;
    static const char *const bits[] = {"a", "bc", " ", "\t", ",", ",", "渝", "0"};
    static const char *const ends[] = {"\n", "\r\n", "\r"};
    uint64_t seed = unit_seed();
    for (int round = 0; round < 3000; round++) {
        struct buf plain, prefixed;
        buf_init(&plain, 1 << 16);
        buf_init(&prefixed, 1 << 16);
        for (uint64_t line = 0, lines = 1 + unit_random(&seed) % 5; line < lines; line++) {
            (void)buf_puts(&prefixed, "\"q\",");
            for (uint64_t i = unit_random(&seed) % 9; i > 0; i--) {
                const char *bit = bits[unit_random(&seed) % 8];
                (void)buf_puts(&plain, bit);
                (void)buf_puts(&prefixed, bit);
            }
            (void)buf_putc(&plain, 'z'); /* an empty line is no row, and no line alike */
            (void)buf_putc(&prefixed, 'z');
            const char *end = ends[unit_random(&seed) % 3];
            if (line + 1 == lines && unit_random(&seed) % 2)
                end = "";
            (void)buf_puts(&plain, end);
            (void)buf_puts(&prefixed, end);
        }
        struct read a = {.prefixed = false}, b = {.prefixed = true};
        read_text(&a, &plain);
        read_text(&b, &prefixed);
        assert_string_equal(buf_cstr(&a.rows), buf_cstr(&b.rows));
        buf_done(&a.rows);
        buf_done(&b.rows);
        buf_done(&plain);
        buf_done(&prefixed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_of_fields),
        cmocka_unit_test(quotes_and_empty_lines),
        cmocka_unit_test(broken_rows_do_not_hide_others),
        cmocka_unit_test(ceilings),
        cmocka_unit_test(plain_lines_are_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
