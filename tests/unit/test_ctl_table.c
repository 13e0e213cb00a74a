/* SPDX-License-Identifier: Apache-2.0 */
/* ctl/table: widths of Chinese, hostile cells, cut cells. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ctl/table.h"

#include <stdlib.h>
#include <string.h>

static void cleaned(const char *in, size_t most, const char *wanted)
{
    char *s = ctl_clean(in, strlen(in), most);
    assert_string_equal(s, wanted);
    free(s);
}

static void widths(void **state)
{
    (void)state;
    assert_int_equal(ctl_width("abc"), 3);
    assert_int_equal(ctl_width("水泵房1号"), 9);
    assert_int_equal(ctl_width("（）"), 4);
    assert_int_equal(ctl_width("é…"), 2);
    assert_int_equal(ctl_width("e\xcc\x81"), 1);
    cleaned("水泵房", 6, "水泵房");
    cleaned("水泵房间", 6, "水泵…");
    cleaned("abcdef", 6, "abcdef");
    cleaned("abcdefg", 6, "abcde…");
    cleaned("a\033[2Jb\n\xff\xc0\x80", 20, "a?[2Jb????");
    cleaned("\xe6\xb0", 20, "??");
    cleaned("a\xe2\x80\xae"
            "b",
            20, "a?b");
}

static void aligned(void **state)
{
    (void)state;
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    struct ctl_table *t = ctl_table_new("NAME|N>|T:4");
    ctl_table_add(t, (const char *[]){"水泵", "7", "abcdef"});
    ctl_table_add(t, (const char *[]){"pump-1", "1,234", ""});
    ctl_table_print(t, f);
    ctl_table_free(t);
    fclose(f);
    assert_string_equal(text, "NAME        N  T\n水泵        7  abc…\npump-1  1,234  \n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(widths), cmocka_unit_test(aligned)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
