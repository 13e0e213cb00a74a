/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "core/registry_row.h"

#include <stdlib.h>
#include <string.h>

static const struct registry_cell cells[] = {{"device", "d-1"},
                                             {"kind", "sump"},
                                             {"compound", "c1"},
                                             {"room", "泵房, 东"},
                                             {"note", NULL}};

static void gives(const char *before, const char *after)
{
    struct buf b;
    struct err err = {""};
    buf_init(&b, 1 << 20);
    assert_int_equal(registry_row_append(before, strlen(before), cells, 5, &b, &err), 0);
    assert_string_equal(buf_cstr(&b), after);
    buf_done(&b);
}

static void refuses(const char *before, const char *words)
{
    struct buf b;
    struct err err = {""};
    buf_init(&b, 1 << 20);
    assert_true(registry_row_append(before, strlen(before), cells, 5, &b, &err) < 0);
    if (!strstr(err.text, words))
        fail_msg("%s: expected %s", err.text, words);
    buf_done(&b);
}

static void columns_encoding_and_line_ends_stay(void **state)
{
    (void)state;
    gives("device,kind,compound,room\nx,sump,c1,\n",
          "device,kind,compound,room\nx,sump,c1,\nd-1,sump,c1,\"泵房, 东\"\n");
    gives("\xef\xbb\xbfroom,compound,building,kind,device\r\n甲,c1,,sump,x",
          "\xef\xbb\xbfroom,compound,building,kind,device\r\n甲,c1,,sump,x\r\n"
          "\"泵房, 东\",c1,,sump,d-1\r\n");
    gives("device,kind,compound,room\rx,sump,c1,\r",
          "device,kind,compound,room\rx,sump,c1,\rd-1,sump,c1,\"泵房, 东\"\r");
    /* 泵房 in GB18030: B1C3 B7BF, 东: B6AB, 厨: B3F8 */
    gives("device,kind,compound,room\r\nx,sump,c1,\xb3\xf8\r\n",
          "device,kind,compound,room\r\nx,sump,c1,\xb3\xf8\r\n"
          "d-1,sump,c1,\"\xb1\xc3\xb7\xbf, \xb6\xab\"\r\n");
}

static void refusals_have_words(void **state)
{
    (void)state;
    refuses("device,kind,compound\n", "no column \"room\"");
    refuses("", "no header line");
    refuses("\n\n", "no header line");
    refuses("\xff\xfe"
            "d",
            "UTF-16");
    refuses("device,\"kind\n", "quote");
}

static void codes(void **state)
{
    (void)state;
    char c[REGISTRY_ROW_CODE];
    assert_true(registry_row_code("SN-1", 4, c));
    assert_string_equal(c, "SN-1");
    assert_false(registry_row_code("pk/dev 7#", 9, c));
    assert_string_equal(c, "pk-dev-7");
    assert_false(registry_row_code("烟感", 6, c));
    assert_string_equal(c, "");
    char lengthy[200];
    memset(lengthy, 'a', sizeof(lengthy));
    assert_false(registry_row_code(lengthy, sizeof(lengthy), c));
    assert_true(strlen(c) > 0 && strlen(c) <= 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_encoding_and_line_ends_stay),
        cmocka_unit_test(refusals_have_words),
        cmocka_unit_test(codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
