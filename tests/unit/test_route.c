/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/mem.h"
#include "core/route.h"

#define MAX 4096

struct rig {
    struct route *route;
    struct topic_pattern *patterns[MAX];
    uint32_t n;
};

static void add(struct rig *r, const char *pattern)
{
    const char *why = "";
    if (topic_compile(pattern, &r->patterns[r->n], &why) != 0)
        fail_msg("%s: %s", pattern, why);
    route_add(r->route, r->patterns[r->n], r->n);
    r->n++;
}

static struct rig *rig_new(const char *const *patterns)
{
    struct rig *r = mem_zalloc(sizeof(*r));
    r->route = route_new();
    for (size_t i = 0; patterns && patterns[i]; i++)
        add(r, patterns[i]);
    return r;
}

static void rig_free(struct rig *r)
{
    route_free(r->route);
    for (uint32_t i = 0; i < r->n; i++)
        topic_free(r->patterns[i]);
    free(r);
}

/* "0 2 5": what a topic gives. */
static void gives(const struct rig *r, const char *topic, const char *want)
{
    uint32_t hits[ROUTE_MAX_HITS];
    char got[256] = "";
    size_t n = route_find(r->route, topic, strlen(topic), hits);
    for (size_t i = 0; i < n; i++) {
        size_t at = strlen(got);
        (void)snprintf(got + at, sizeof(got) - at, "%s%u", i ? " " : "", hits[i]);
    }
    if (strcmp(got, want) != 0)
        fail_msg("%s: \"%s\", expected \"%s\"", topic, got, want);
}

static void wildcards_and_captures(void **state)
{
    (void)state;
    static const char *const patterns[] = {
        "application/{app}/device/{eui}/rx",   /* 0 */
        "application/+/device/+/rx",           /* 1 */
        "application/1/device/{eui}/event/up", /* 2 */
        "application/#",                       /* 3 */
        "#",                                   /* 4 */
        "$SYS/#",                              /* 5 */
        "+/broker",                            /* 6 */
        "/{a}",                                /* 7 */
        "spBv1.0/{group}/{type}/{node}",       /* 8 */
        "spBv1.0/{group}/{type}/{node}/{dev}", /* 9 */
        "spBv1.0/{group}/DBIRTH/{node}/{dev}", /* 10 */
        NULL,
    };
    struct rig *r = rig_new(patterns);
    gives(r, "application/1/device/24e1/rx", "0 1 3 4");
    gives(r, "application/1/device/24e1/event/up", "2 3 4");
    gives(r, "application/2/device/24e1/event/up", "3 4");
    gives(r, "application", "3 4");
    gives(r, "application/", "3 4");
    gives(r, "applications", "4");
    gives(r, "$SYS", "5");
    gives(r, "$SYS/broker", "5");
    gives(r, "a/broker", "4 6");
    gives(r, "/x", "4 7");
    gives(r, "/", "4 7");
    gives(r, "", "4");
    gives(r, "spBv1.0/g/DBIRTH/n/d", "4 9 10");
    gives(r, "spBv1.0/g/NBIRTH/n", "4 8");
    rig_free(r);
}

static void nothing_fits_nothing(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    gives(r, "a/b", "");
    gives(r, "", "");
    rig_free(r);
    route_free(NULL);
}

static void no_more_than_the_first_hits(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    for (int i = 0; i < 40; i++)
        add(r, i % 2 ? "a/+" : "{x}/b");
    gives(r, "a/b", "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15");
    gives(r, "z/b", "0 2 4 6 8 10 12 14 16 18 20 22 24 26 28 30");
    rig_free(r);
}

static void a_value_comes_once(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    add(r, "a/+");
    route_add(r->route, r->patterns[0], 7);
    route_add(r->route, r->patterns[0], 7);
    gives(r, "a/b", "0 7");
    rig_free(r);
}

static void deep_topics(void **state)
{
    (void)state;
    char deep[2 * TOPIC_MAX_LEVELS], more[200];
    memset(deep, 'a', sizeof(deep));
    for (size_t i = 1; i < sizeof(deep) - 1; i += 2)
        deep[i] = '/';
    deep[sizeof(deep) - 1] = '\0'; /* 32 levels */
    struct rig *r = rig_new((const char *const[]){deep, "a/#", NULL});
    gives(r, deep, "0 1");
    (void)snprintf(more, sizeof(more), "%s/a", deep);
    gives(r, more, "1");
    (void)snprintf(more, sizeof(more), "%s/", deep);
    gives(r, more, "1");
    rig_free(r);
}

/* Among thousands of random patterns, what trying every one finds. */
static void as_one_by_one(void **state)
{
    (void)state;
    static const char *const words[] = {"a", "b", "", "up", "$x", "+", "{c}", "longer-level"};
    uint64_t seed = unit_seed();
    struct rig *r = rig_new(NULL);
    char text[200];
    for (int i = 0; i < 3000; i++) {
        text[0] = '\0';
        size_t n = 1 + unit_random(&seed) % 6;
        for (size_t k = 0; k < n; k++) {
            size_t at = strlen(text);
            const char *w = words[unit_random(&seed) % 8];
            if (unit_random(&seed) % 4 == 0)
                (void)snprintf(text + at, sizeof(text) - at, "%sd%u", k ? "/" : "",
                               (unsigned)(unit_random(&seed) % 500));
            else
                (void)snprintf(text + at, sizeof(text) - at, "%s%s", k ? "/" : "", w);
        }
        if (unit_random(&seed) % 5 == 0)
            (void)strncat(text, "/#", sizeof(text) - strlen(text) - 1);
        if (*text)
            add(r, text);
    }
    for (int i = 0; i < 20000; i++) {
        text[0] = '\0';
        size_t n = 1 + unit_random(&seed) % 7;
        for (size_t k = 0; k < n; k++) {
            size_t at = strlen(text);
            unsigned w = (unsigned)(unit_random(&seed) % 9);
            if (w > 4)
                (void)snprintf(text + at, sizeof(text) - at, "%sd%u", k ? "/" : "",
                               (unsigned)(unit_random(&seed) % 500));
            else
                (void)snprintf(text + at, sizeof(text) - at, "%s%s", k ? "/" : "", words[w]);
        }
        uint32_t hits[ROUTE_MAX_HITS];
        size_t got = route_find(r->route, text, strlen(text), hits), at = 0;
        for (uint32_t p = 0; p < r->n && at < ROUTE_MAX_HITS; p++) {
            struct topic_match m;
            if (!topic_matches(r->patterns[p], text, strlen(text), &m))
                continue;
            if (at >= got || hits[at] != p)
                fail_msg("%s: pattern %u is not found", text, p);
            at++;
        }
        assert_int_equal(got, at);
    }
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wildcards_and_captures),
        cmocka_unit_test(nothing_fits_nothing),
        cmocka_unit_test(no_more_than_the_first_hits),
        cmocka_unit_test(a_value_comes_once),
        cmocka_unit_test(deep_topics),
        cmocka_unit_test(as_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
