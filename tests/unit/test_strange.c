/* SPDX-License-Identifier: Apache-2.0 */
/* strange: names that nobody uses are told apart, counted, and never more than there is room for. */
#include "unit.h"

#include "core/strange.h"

#include <stdio.h>
#include <string.h>

static const struct strange_name *names[STRANGE_NAMES];

static void note(struct strange *s, const char *profile, const char *kind, const char *name,
                 const char *device, int64_t at)
{
    strange_note(s, profile, kind, name, strlen(name), device, at);
}

static void names_are_told_apart(void **state)
{
    (void)state;
    struct strange *s = strange_new();
    assert_int_equal(strange_list(NULL, names), 0);
    assert_int_equal(strange_list(s, names), 0);
    note(s, "p", NULL, "volt", "d1", 10);
    note(s, "p", NULL, "volt", "d2", 20);
    note(s, "p", "", "volt", NULL, 30); /* of no kind, too, but not the same */
    note(s, "p", "sump", "volt", "d1", 30);
    note(s, "q", NULL, "volt", NULL, 40);
    note(s, "p", NULL, "volt2", "d1", 50);
    assert_int_equal(strange_list(s, names), 5);
    assert_string_equal(names[0]->name, "volt");
    assert_string_equal(names[0]->profile, "p");
    assert_string_equal(names[0]->kind, "");
    assert_string_equal(names[0]->device, "d2");
    assert_int_equal(names[0]->count, 2);
    assert_int_equal(names[0]->first_ms, 10);
    assert_int_equal(names[0]->last_ms, 20);
    strange_clear(s);
    assert_int_equal(strange_list(s, names), 0);
    strange_free(s);
    strange_free(NULL);
}

/* What is said all the time stays, whatever else is made up. */
static void there_is_room_for_so_many(void **state)
{
    (void)state;
    struct strange *s = strange_new();
    for (int i = 0; i < 200000; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "t%d", i);
        note(s, "p", NULL, name, "d1", i);
        if (i % 10 == 0)
            note(s, "p", NULL, "always", "d2", i);
    }
    size_t n = strange_list(s, names);
    assert_true(n <= STRANGE_NAMES && n > STRANGE_NAMES / 2);
    assert_string_equal(names[0]->name, "always");
    assert_int_equal(names[0]->count, 20000);
    assert_int_equal(names[0]->first_ms, 0);
    assert_int_equal(strange_gone(s), 200001 - n);
    strange_free(s);
}

static void texts_are_for_people(void **state)
{
    (void)state;
    struct strange *s = strange_new();
    char name[300];
    memset(name, 'x', sizeof(name));
    memcpy(name + 62, "\xe6\xb0\xb4", 3); /* cut within a character */
    strange_note(s, "p", NULL, name, sizeof(name), "d", 1);
    strange_note(s, "p", NULL, "a\0b\xff", 4, "d", 2);
    strange_note(s, "p", NULL, "", 0, "d", 3);
    assert_int_equal(strange_list(s, names), 3);
    for (size_t i = 0; i < 3; i++) {
        size_t len = strlen(names[i]->name);
        if (names[i]->last_ms == 1)
            assert_true(len == 62);
        else if (names[i]->last_ms == 2)
            assert_string_equal(names[i]->name, "a b");
        else
            assert_int_equal(len, 0);
    }
    strange_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_told_apart),
        cmocka_unit_test(there_is_room_for_so_many),
        cmocka_unit_test(texts_are_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
