/* SPDX-License-Identifier: Apache-2.0 */
/* The outcome of tests in the XML that continuous integration reads (JUnit's). */
#include "base/buf.h"
#include "base/utf8.h"
#include "ctl/exit.h"
#include "ctl/rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* U+FFFE and U+FFFF */
static bool is_no_character(const char *s)
{
    return (unsigned char)s[0] == 0xef && (unsigned char)s[1] == 0xbf &&
           (unsigned char)s[2] >= 0xbe;
}

/* XML 1.0 has no control characters but tab and line ends, not even escaped; and a text that was
 * cut off somewhere may end within a character. */
static void put_text(struct buf *b, const char *text)
{
    struct buf clean;
    buf_init(&clean, 4 * strlen(text) + 1);
    (void)utf8_clean(&clean, text, strlen(text));
    for (const char *s = buf_cstr(&clean); *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '<')
            (void)buf_puts(b, "&lt;");
        else if (c == '>')
            (void)buf_puts(b, "&gt;");
        else if (c == '&')
            (void)buf_puts(b, "&amp;");
        else if (c == '"')
            (void)buf_puts(b, "&quot;");
        else if (is_no_character(s))
            (void)buf_puts(b, "?"), s += 2;
        else if (c >= 32 || c == '\n' || c == '\t')
            (void)buf_putc(b, *s);
        else
            (void)buf_putc(b, '?');
    }
    buf_done(&clean);
}

static void put_failure(struct buf *b, const char *text)
{
    char first[200];
    size_t n = strcspn(text, "\n");
    if (n >= sizeof(first)) { /* not within a character */
        n = sizeof(first) - 1;
        while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
            n--;
    }
    memcpy(first, text, n);
    first[n] = '\0';
    (void)buf_puts(b, "<failure message=\"");
    put_text(b, first);
    (void)buf_puts(b, "\">");
    put_text(b, text);
    (void)buf_puts(b, "</failure>");
}

static void put_case(struct buf *b, const char *file, const char *name, double seconds,
                     const char *wrong)
{
    (void)buf_puts(b, "    <testcase classname=\"");
    put_text(b, file);
    (void)buf_puts(b, "\" name=\"");
    put_text(b, name);
    (void)buf_printf(b, "\" time=\"%.3f\">", seconds);
    if (wrong)
        put_failure(b, wrong);
    (void)buf_puts(b, "</testcase>\n");
}

static void put_suite(struct buf *b, const struct test_file *f)
{
    size_t failures = f->broken ? 1 : 0, n = f->n + failures;
    double seconds = 0;
    for (size_t i = 0; i < f->n; i++) {
        failures += f->cases[i].wrong != NULL;
        seconds += f->cases[i].seconds;
    }
    (void)buf_puts(b, "  <testsuite name=\"");
    put_text(b, f->file);
    (void)buf_printf(b, "\" tests=\"%zu\" failures=\"%zu\" errors=\"0\" time=\"%.3f\">\n", n,
                     failures, seconds);
    if (f->broken)
        put_case(b, f->file, "loads", 0, f->broken);
    for (size_t i = 0; i < f->n; i++)
        put_case(b, f->file, f->cases[i].name, f->cases[i].seconds, f->cases[i].wrong);
    (void)buf_puts(b, "  </testsuite>\n");
}

int rules_junit(const char *path, const struct test_file *files, size_t n)
{
    struct buf b;
    buf_init(&b, (size_t)256 << 20);
    (void)buf_puts(&b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (size_t i = 0; i < n; i++)
        put_suite(&b, &files[i]);
    (void)buf_puts(&b, "</testsuites>\n");
    FILE *to = b.failed ? NULL : fopen(path, "we");
    bool ok = to && fwrite(b.data, 1, b.len, to) == b.len;
    int error = b.failed ? EFBIG : errno;
    if (to && fclose(to) != 0) {
        error = ok ? errno : error;
        ok = false;
    }
    buf_done(&b);
    if (!ok)
        (void)fprintf(stderr, "gaihouctl: %s cannot be written: %s\n", path, strerror(error));
    return ok ? CTL_DONE : CTL_REFUSED;
}
