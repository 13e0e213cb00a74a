/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "core/judge.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double sentinels[] = {99.99};
static const struct metric_code codes[] = {{"up", 0, "", ""}, {"down", 1, "", ""}};
#define METRIC(name_, type_)                                                                   \
    .name = name_, .name_len = sizeof(name_) - 1, .type = type_, .unit = "1"
static const struct metric level = {METRIC("level", METRIC_FLOAT), .sentinels = sentinels,
                                    .n_sentinels = 1};
static const struct metric starts = {METRIC("starts", METRIC_INT)};
static const struct metric pump = {METRIC("pump", METRIC_BOOL)};
static const struct metric way_ = {METRIC("way", METRIC_ENUM), .codes = codes, .n_codes = 2};
static const struct metric serial = {METRIC("serial", METRIC_STRING)};

/* Only whether it is there matters here. */
static const struct profile_value *const vendor = (const struct profile_value *)&level;

static struct judge_room room;

static struct decoded_value text_value(const char *s)
{
    return (struct decoded_value){.v = {.type = VALUE_STRING, .s = {s, strlen(s)}},
                                  .from = vendor};
}

static struct decoded_value number(double f)
{
    return (struct decoded_value){.v = {.type = VALUE_FLOAT, .f = f}, .from = vendor};
}

static struct decoded_value integer(int64_t i)
{
    return (struct decoded_value){.v = {.type = VALUE_INT, .i = i}, .from = vendor};
}

static struct judged take(struct decoded_value v, struct profile_metric way)
{
    struct judged j = {.quality = 77};
    room.n = 0;
    assert_true(judge_value(&v, &way, 0, 5, &room, &j));
    assert_int_equal(j.quality == QUALITY_GOOD, j.reason == REASON_NONE);
    return j;
}

static struct judged plain(struct decoded_value v, const struct metric *m)
{
    return take(v, judge_as_is(m));
}

static void is_raw(struct decoded_value v, const struct metric *m, enum quality_reason why,
                   const char *words)
{
    struct judged j = plain(v, m);
    char key[64];
    assert_int_equal(j.quality, QUALITY_BAD);
    assert_int_equal(j.reason, why);
    snprintf(key, sizeof(key), "%s_raw", m->name);
    assert_int_equal(j.field.key_len, strlen(key));
    assert_memory_equal(j.field.key, key, strlen(key));
    assert_int_equal(j.field.v.type, VALUE_STRING);
    assert_int_equal(j.field.v.s.n, strlen(words));
    assert_memory_equal(j.field.v.s.p, words, strlen(words));
}

static void numbers_as_text(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double v;
    } t[] = {{"+2.790", 2.79}, {"0002", 2}, {" 4.8 ", 4.8}, {"1e0", 1},
             {"-0.0", 0},      {"+0", 0},   {"00.5", 0.5},  {"\t3\r\n", 3}};
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        struct judged j = plain(text_value(t[i].text), &level);
        assert_int_equal(j.quality, QUALITY_GOOD);
        assert_int_equal(j.field.v.type, VALUE_FLOAT);
        assert_true(j.field.v.f == t[i].v);
    }
    assert_int_equal(plain(text_value("071"), &starts).field.v.i, 71);
    static const char *const none[] = {"1.2.3", "+-3", "--3", "+", "0x10", "1_0",
                                       "inf",   "nan", "3 m", ".", "1e400"};
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
        is_raw(text_value(none[i]), &level, REASON_TYPE, none[i]);
    struct decoded_value strict = text_value("3");
    strict.from = NULL; /* native types are strict */
    is_raw(strict, &level, REASON_TYPE, "3");
    struct judged j;
    struct profile_metric way = judge_as_is(&level);
    struct decoded_value v = text_value("");
    assert_false(judge_value(&v, &way, 0, 5, &room, &j)); /* says nothing */
    v = (struct decoded_value){.is_null = true};
    assert_false(judge_value(&v, &way, 0, 5, &room, &j));
}

static void integers_stay_exact(void **state)
{
    (void)state;
    struct profile_metric way = judge_as_is(&starts);
    struct judged j;
    struct decoded_value v = integer(9007199254740993);
    room.n = 0;
    assert_true(judge_value(&v, &way, -HUGE_VAL, HUGE_VAL, &room, &j));
    assert_true(j.field.v.i == 9007199254740993);
    v = text_value("1728000000000000001");
    assert_true(judge_value(&v, &way, -HUGE_VAL, HUGE_VAL, &room, &j));
    assert_true(j.field.v.i == 1728000000000000001);
    v = integer(9007199254740993);
    way = judge_as_is(&serial);
    assert_true(judge_value(&v, &way, -HUGE_VAL, HUGE_VAL, &room, &j));
    assert_memory_equal(j.field.v.s.p, "9007199254740993", j.field.v.s.n);
    assert_int_equal(j.field.v.s.n, 16);
    is_raw(number(1.5), &starts, REASON_TYPE, "1.5");
    assert_int_equal(plain(number(3.0), &starts).field.v.i, 3);
    is_raw(number(1e17), &starts, REASON_TYPE, "1e17");
}

static void ranges_and_sentinels(void **state)
{
    (void)state;
    assert_int_equal(plain(number(5), &level).quality, QUALITY_GOOD); /* inclusive */
    struct judged j = plain(number(5.01), &level);
    assert_true(j.quality == QUALITY_BAD && j.reason == REASON_RANGE && j.field.v.f == 5.01);
    j = plain(integer(-1), &starts);
    assert_true(j.quality == QUALITY_BAD && j.reason == REASON_RANGE && j.field.v.i == -1);
    j = plain(number(99.99), &level);
    assert_true(j.quality == QUALITY_BAD && j.reason == REASON_SENTINEL);
    is_raw(number(NAN), &level, REASON_TYPE, "NaN");
    is_raw(number(-INFINITY), &level, REASON_TYPE, "-Infinity");
}

static void units(void **state)
{
    (void)state;
    struct profile_metric mm = {&level, 1, 1000, 0, false};
    struct profile_metric kelvin = {&level, 1, 1, -273.15, false};
    struct profile_metric fahrenheit = {&level, 5, 9, -160.0 / 9, false};
    assert_true(take(integer(830), mm).field.v.f == 0.83);
    assert_true(take(number(276.05), kelvin).field.v.f == 2.9);
    assert_true(take(integer(41), fahrenheit).field.v.f == 5);
    struct profile_metric times = {&starts, 1, 1000, 0, false};
    assert_true(take(integer(1600), times).field.v.i == 2);      /* whole in its own unit */
    assert_true(take(integer(7000), mm).reason == REASON_RANGE); /* in the canonical unit */
    /* what is a sentinel or a fault stays as it was told */
    struct decoded_value v = integer(65535);
    v.quality = QUALITY_BAD;
    v.reason = REASON_SENTINEL;
    struct judged j = take(v, mm);
    assert_true(j.quality == QUALITY_BAD && j.reason == REASON_SENTINEL &&
                j.field.v.f == 65535);
    v = text_value("No Sensor");
    v.quality = QUALITY_BAD;
    v.reason = REASON_SENTINEL;
    room.n = 0;
    assert_true(judge_value(&v, &mm, 0, 5, &room, &j));
    assert_int_equal(j.reason, REASON_SENTINEL);
    assert_memory_equal(j.field.key, "level_raw", 9);
    v = integer(4000);
    v.quality = QUALITY_BAD;
    v.reason = REASON_DISAGREE;
    assert_true(take(v, mm).field.v.f == 4);
    v.quality = QUALITY_UNCERTAIN;
    v.reason = REASON_OTHER;
    j = take(v, mm);
    assert_true(j.quality == QUALITY_UNCERTAIN && j.reason == REASON_OTHER);
    v.v.i = 9000; /* uncertain does not save it from being bad */
    j = take(v, mm);
    assert_true(j.quality == QUALITY_BAD && j.reason == REASON_RANGE);
}

static void truths(void **state)
{
    (void)state;
    static const char *const yes[] = {"true", "TRUE", "On", "1"}, *const no[] = {"false",
                                                                                 "False", "OFF",
                                                                                 "0"};
    for (size_t i = 0; i < 4; i++) {
        assert_true(plain(text_value(yes[i]), &pump).field.v.b);
        assert_false(plain(text_value(no[i]), &pump).field.v.b);
    }
    assert_true(plain(number(1), &pump).field.v.b);
    assert_true(plain(integer(1), &pump).field.v.b);
    is_raw(integer(2), &pump, REASON_TYPE, "2");
    is_raw(text_value("open"), &pump, REASON_TYPE, "open");
    is_raw(text_value("\x11"), &pump, REASON_TYPE, "\x11");
    is_raw((struct decoded_value){.v = {.type = VALUE_BOOL, .b = true}}, &level, REASON_TYPE,
           "true");
}

static void enumerations(void **state)
{
    (void)state;
    struct judged j = plain(text_value("down"), &way_);
    assert_true(j.field.has_code && j.field.code == 1);
    assert_int_equal(plain(text_value("1"), &way_).field.code, 1);
    assert_int_equal(plain(number(1), &way_).field.code, 1);
    assert_int_equal(plain(integer(0), &way_).field.code, 0);
    is_raw(integer(9), &way_, REASON_ENUM, "9");
    is_raw(text_value("sideways"), &way_, REASON_ENUM, "sideways");
    is_raw(text_value("7"), &way_, REASON_ENUM, "7");
    is_raw(number(0.5), &way_, REASON_TYPE, "0.5");
}

static void a_full_room(void **state)
{
    (void)state;
    struct profile_metric way = judge_as_is(&level);
    struct decoded_value v = text_value("no number");
    struct judged j;
    room.n = sizeof(room.p) - 10;
    assert_false(judge_value(&v, &way, 0, 5, &room, &j));
    /* never inside a character */
    char longer[400];
    memset(longer, 'a', sizeof(longer));
    memcpy(longer + 254, "\xe6\xb0\xb4", 3);
    v.v.s.p = longer;
    v.v.s.n = sizeof(longer);
    room.n = 0;
    assert_true(judge_value(&v, &way, 0, 5, &room, &j));
    assert_int_equal(j.field.v.s.n, 254);
}

/* As many bad values as a kind can have, with the longest names and words: none is lost. */
static void a_whole_sample_of_words(void **state)
{
    (void)state;
    static const char name[] =
        "a123456789012345678901234567890123456789012345678901234567890123";
    static const struct metric longest = {METRIC(name, METRIC_FLOAT)};
    struct profile_metric way = judge_as_is(&longest);
    char words[400];
    memset(words, 'w', sizeof(words));
    struct decoded_value v = text_value("");
    v.v.s.p = words;
    v.v.s.n = sizeof(words);
    room.n = 0;
    for (int i = 0; i < CATALOG_MAX_METRICS; i++) {
        struct judged j;
        assert_true(judge_value(&v, &way, 0, 5, &room, &j));
        assert_int_equal(j.field.key_len, 68);
        assert_int_equal(j.field.v.s.n, JUDGE_WORDS);
    }
}

/* What judge_plain takes, judge_field finds the same of, and good; and it takes what is usual. */
static void plain_is_the_same(void **state)
{
    const struct metric *const metrics[] = {&level, &starts, &pump, &way_, &serial};
    const struct value values[] = {
        {.type = VALUE_FLOAT, .f = 0},
        {.type = VALUE_FLOAT, .f = -0.0},
        {.type = VALUE_FLOAT, .f = 3.25},
        {.type = VALUE_FLOAT, .f = 5.01},
        {.type = VALUE_FLOAT, .f = 99.99},
        {.type = VALUE_FLOAT, .f = NAN},
        {.type = VALUE_FLOAT, .f = HUGE_VAL},
        {.type = VALUE_FLOAT, .f = -HUGE_VAL},
        {.type = VALUE_INT, .i = 4},
        {.type = VALUE_INT, .i = -1},
        {.type = VALUE_INT, .i = INT64_MAX},
        {.type = VALUE_BOOL, .b = true},
        {.type = VALUE_STRING, .s = {"up", 2}},
        {.type = VALUE_STRING, .s = {"4", 1}},
        {.type = VALUE_STRING, .s = {"on", 2}},
    };
    const double ranges[][2] = {{0, 5}, {0, 1000}, {-HUGE_VAL, HUGE_VAL}};
    unsigned plain = 0;
    (void)state;
    for (size_t i = 0; i < 5 * sizeof(values) / sizeof(*values) * 3 * 2 * 3; i++) {
        size_t k = i / 90;
        struct decoded_value v = {.v = values[k], .from = i % 2 ? vendor : NULL};
        const struct metric *m = metrics[i / 2 % 5];
        const double *range = ranges[i / 10 % 3];
        struct profile_metric way = judge_as_is(m);
        struct judged j;
        struct field f;
        v.quality = (unsigned char)(i / 30 % 3);
        v.reason = v.quality == QUALITY_GOOD ? REASON_NONE : REASON_FAULT;
        if (!judge_plain(&v, m, range[0], range[1], &f))
            continue;
        plain++;
        room.n = 0;
        assert_true(judge_value(&v, &way, range[0], range[1], &room, &j));
        assert_int_equal(j.quality, QUALITY_GOOD);
        assert_int_equal(j.reason, REASON_NONE);
        assert_ptr_equal(j.field.key, f.key);
        assert_int_equal(j.field.key_len, f.key_len);
        assert_int_equal(j.field.has_code, f.has_code);
        assert_int_equal(j.field.v.type, f.v.type);
        if (f.v.type == VALUE_BOOL)
            assert_int_equal(j.field.v.b, f.v.b);
        else
            assert_memory_equal(&j.field.v.i, &f.v.i, sizeof(f.v.i));
    }
    assert_true(plain >= 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_as_text),
        cmocka_unit_test(integers_stay_exact),
        cmocka_unit_test(ranges_and_sentinels),
        cmocka_unit_test(units),
        cmocka_unit_test(truths),
        cmocka_unit_test(enumerations),
        cmocka_unit_test(a_full_room),
        cmocka_unit_test(a_whole_sample_of_words),
        cmocka_unit_test(plain_is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
