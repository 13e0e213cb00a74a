/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "ctl/json_place.h"

#include <string.h>

static void faults_have_places(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int line, col; /* 0: no fault */
    } cases[] = {
        {"{\"a\":[1,2.5e3,\"x\\n\",null,true,{}]} ", 0, 0},
        {"{\"a\":1,}", 1, 8},
        {"{\"a\":1\n \"b\":2}", 2, 2},
        {"{\"甲\":tru}", 1, 6},
        {"[1,2", 1, 5},
        {"", 1, 1},
        {"{} x", 1, 4},
        {"[01]", 1, 4},
        {"[\"a\tb\"]", 1, 4},
        {"[\"a", 1, 4},
        {"[-]", 1, 3},
        {"{a:1}", 1, 2},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        size_t at = 0;
        const char *why = NULL;
        bool bad = json_fault(cases[i].text, strlen(cases[i].text), &at, &why);
        assert_int_equal(bad, cases[i].line > 0);
        if (!bad)
            continue;
        int line, col;
        json_place(cases[i].text, at, &line, &col);
        if (line != cases[i].line || col != cases[i].col)
            fail_msg("%s: %d:%d %s", cases[i].text, line, col, why);
        assert_non_null(why);
    }
}

static void paths_are_found(void **state)
{
    (void)state;
    static const char text[] = "{\"r\": [{\"t\":1}, {\"t\": 2, \"a b\":{\"c\":3}}], \"x\":9}";
    size_t at;
    assert_true(json_find(text, sizeof(text) - 1, "$.r[1].t", &at));
    assert_int_equal(text[at], '2');
    assert_true(json_find(text, sizeof(text) - 1, "$.r[1][\"a b\"].c", &at));
    assert_int_equal(text[at], '3');
    assert_true(json_find(text, sizeof(text) - 1, "$.x", &at));
    assert_int_equal(text[at], '9');
    assert_true(json_find(text, sizeof(text) - 1, "$", &at));
    assert_false(json_find(text, sizeof(text) - 1, "$.r[2].t", &at));
    assert_false(json_find(text, sizeof(text) - 1, "$.r.t", &at));
    assert_false(json_find(text, sizeof(text) - 1, "$.nope", &at));
    assert_false(json_find(text, sizeof(text) - 1, "@.x", &at));
    assert_false(json_find("[", 1, "$[0]", &at));
}

static void members_as_they_stand(void **state)
{
    (void)state;
    static const char text[] = "{\"topic\":\"a\", \"payload\": {\"topic\":[1, 2]} }";
    struct buf b;
    buf_init(&b, 100);
    assert_true(json_raw(text, sizeof(text) - 1, "payload", &b));
    assert_string_equal(buf_cstr(&b), "{\"topic\":[1, 2]}");
    assert_false(json_raw(text, sizeof(text) - 1, "payl", &b));
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_have_places),
        cmocka_unit_test(paths_are_found),
        cmocka_unit_test(members_as_they_stand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
