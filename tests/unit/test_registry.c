/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/mem.h"
#include "core/lineproto.h"
#include "core/registry.h"
#include "unit/golden.h"

#include <malloc.h>
#include <math.h>
#include <time.h>

static struct catalog *catalog;

static int load_catalog(void **state)
{
    (void)state;
    size_t len;
    char *text = slurp("config/catalog.yaml", &len);
    struct problems *p = problems_new(10);
    int rc = catalog_parse(text, len, "catalog.yaml", p, &catalog);
    problems_free(p);
    free(text);
    return rc;
}

static int drop_catalog(void **state)
{
    (void)state;
    catalog_free(catalog);
    return 0;
}

/* The three files by path (NULL: not configured), said as compounds.csv, devices.csv,
 * params.csv. */
static int parse_files(const char *const paths[3], struct problems *p, struct registry **out)
{
    static const char *const files[] = {"compounds.csv", "devices.csv", "params.csv"};
    struct registry_input in[3] = {{0}};
    char *texts[3] = {NULL};
    for (int i = 0; i < 3; i++) {
        if (!paths[i])
            continue;
        texts[i] = slurp(paths[i], &in[i].len);
        in[i].text = texts[i];
        in[i].file = files[i];
    }
    int rc = registry_parse(&in[0], &in[1], &in[2], catalog, p, out);
    for (int i = 0; i < 3; i++)
        free(texts[i]);
    return rc;
}

#define DATA "tests/data/registry/"

static struct registry *parse_good(const char *compounds, const char *devices,
                                   const char *params)
{
    struct problems *p = problems_new(100);
    struct registry *r = NULL;
    int rc = parse_files((const char *const[]){compounds, devices, params}, p, &r);
    for (size_t i = 0; i < problems_count(p); i++)
        print_error("%s\n", problems_get(p, i));
    assert_int_equal(rc, 0);
    assert_int_equal(problems_count(p), 0);
    problems_free(p);
    return r;
}

static struct registry *parse_text(const char *compounds, const char *devices,
                                   const char *params, struct problems *p)
{
    struct registry *r = NULL;
    struct registry_input in[] = {
        {"compounds.csv", compounds, compounds ? strlen(compounds) : 0},
        {"devices.csv", devices, devices ? strlen(devices) : 0},
        {"params.csv", params, params ? strlen(params) : 0},
    };
    (void)registry_parse(&in[0], &in[1], &in[2], catalog, p, &r);
    return r;
}

static void bad(const char *name, const char *compounds, const char *devices,
                const char *params)
{
    struct problems *p = problems_new(100);
    struct registry *r = NULL;
    assert_int_not_equal(parse_files((const char *const[]){compounds, devices, params}, p, &r),
                         0);
    assert_null(r);
    expect_problems(p, name);
    problems_free(p);
}

static void all_problems_by_line_and_column(void **state)
{
    (void)state;
    bad("bad-compounds", DATA "bad-compounds.csv", NULL, NULL);
    bad("bad-header", DATA "ok-compounds.csv", DATA "bad-header.csv", NULL);
    bad("bad-devices", DATA "ok-compounds.csv", DATA "bad-devices.csv", NULL);
    bad("bad-uplinks", DATA "ok-compounds.csv", DATA "bad-uplinks.csv", NULL);
    bad("bad-params", DATA "ok-compounds.csv", DATA "ok-devices.csv", DATA "bad-params.csv");
    bad("no-compounds", NULL, DATA "ok-devices.csv", NULL);
    bad("damaged", DATA "damaged-compounds.csv", NULL, NULL);
    bad("neither", DATA "neither-compounds.csv", NULL, NULL);
    bad("utf16", DATA "utf16-compounds.csv", NULL, NULL);
    bad("bad-life-compounds", DATA "bad-life-compounds.csv", NULL, NULL);
    bad("bad-life-devices", DATA "life-compounds.csv", DATA "bad-life-devices.csv", NULL);
    /* what follows from a wrong line of another file is not told beside it */
    bad("bad-once", DATA "bad-once-compounds.csv", DATA "bad-once-devices.csv",
        DATA "bad-once-params.csv");
    bad("bad-replaces-devices", DATA "life-compounds.csv", DATA "bad-replaces-devices.csv",
        NULL);
}

/* Compounds of whose file a line, or all, could not be read: no device is told that its compound is
 * not there. */
static void compounds_that_cannot_be_read(void **state)
{
    (void)state;
    static const struct {
        const char *compounds, *expected;
    } cases[] = {
        {"compond,name\na,x\n",
         "compounds.csv:1:1: error: unknown column \"compond\", did you mean \"compound\"?\n"
         "compounds.csv:1: error: column \"compound\" is missing in the header line\n"},
        {"compound;name\na;x\n",
         "compounds.csv:1: error: the columns are separated by ;, expected commas: save it as "
         "CSV (comma separated)\n"},
        {"", "compounds.csv: error: no header line; the file is empty\n"},
        {"\xff\xfe,", "compounds.csv:1:1: error: UTF-16; save it as \"CSV UTF-8\" (comma "
                      "separated)\n"},
        {"compound,name\na,x,y\nb,y\n",
         "compounds.csv:2:5: error: field 3 belongs to no column; is a comma in a text not "
         "quoted?\n"},
        {"compound,name\nb,y\na,\"x\n", "compounds.csv:3:3: error: this quote is not closed\n"},
        {"compound,name\n,x\n", "compounds.csv:2:1: error: compound is empty\n"},
        /* a line whose code is read is known, whatever else is wrong in it */
        {"compound,name,firm\nb,y,f g\n",
         "compounds.csv:2:5: error: firm \"f g\", expected letters, digits and . _ - only, at "
         "most 64\n"
         "devices.csv:2:8: error: unknown compound \"a\"\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct buf all;
        struct problems *p = problems_new(100);
        buf_init(&all, 4096);
        assert_null(parse_text(cases[i].compounds,
                               "device,kind,compound\nd1,gas,a\nd2,gass,b\n", NULL, p));
        for (size_t k = 0; k < problems_count(p); k++)
            (void)buf_printf(&all, "%s\n", problems_get(p, k));
        problems_free(p);
        char *expected = mem_printf("%sdevices.csv:3:4: error: unknown kind \"gass\", did you "
                                    "mean \"gas\"?\n",
                                    cases[i].expected);
        assert_string_equal(buf_cstr(&all), expected);
        buf_done(&all);
        free(expected);
    }
}

static void example_is_sound(void **state)
{
    (void)state;
    struct registry *r = parse_good("config/example/compounds.csv",
                                    "config/example/devices.csv", "config/example/params.csv");
    const struct device *d = registry_find(r, "gj-smoke-101", 12);
    assert_non_null(d);
    assert_string_equal(d->kind->name, "smoke");
    assert_string_equal(d->compound->name, "国经小区");
    assert_string_equal(d->point, "厨房");
    assert_string_equal(d->series, "smoke,building=1,compound=guojing,device=gj-smoke-101,"
                                   "point=厨房");
    assert_int_equal(d->series_len, strlen(d->series));
    struct buf bad;
    buf_init(&bad, 1000);
    assert_int_equal(device_put_series_bad(d, &bad), 0);
    assert_string_equal(buf_cstr(&bad),
                        "smoke_bad,building=1,compound=guojing,device=gj-smoke-101,"
                        "point=厨房");
    buf_done(&bad);
    assert_int_equal(d->expected_interval_s, 86400);
    assert_true(d->life_safety);
    assert_false(d->retired);
    assert_ptr_equal(registry_find_source(r, "24E124535D200101", 16), d);
    assert_true(registry_find(r, "gj-smoke-102", 12)->retired);
    assert_false(registry_find(r, "xt-lamp-07", 10)->life_safety);
    d = registry_find(r, "gj-lift-1", 9);
    assert_string_equal(d->note, "加装电梯，6 层 6 站，维保：\"渝安\"");
    assert_true(d->life_safety); /* from the kind */
    d = registry_find(r, "xt-ws-1", 7);
    assert_int_equal(d->expected_interval_s, 60);

    d = registry_find(r, "gj-sump-1", 9);
    assert_string_equal(d->uplink, "gj-uplink-1");
    double v, min, max;
    assert_true(registry_param(r, d, "level_alarm", &v));
    assert_true(v == 1.1);
    assert_false(registry_param(r, d, "level_stopp", &v));
    registry_range(r, d, catalog_metric(catalog, d->kind, "level", 5), &min, &max);
    assert_true(min == 0 && max == 2.4);
    registry_range(r, d, catalog_metric(catalog, d->kind, "uptime", 6), &min, &max);
    assert_true(min == 0 && max == HUGE_VAL);

    const struct compound *c = registry_compound(r, "xuetianwan-37", 13);
    assert_string_equal(c->tier, "standard");
    assert_string_equal(c->model, "professional");
    assert_true(isnan(c->lon));
    assert_string_equal(registry_compound(r, "guojing", 7)->tier, "safety-net");
    assert_string_equal(registry_compound(r, "guojing", 7)->firm, "none");
    registry_free(r);
}

static void merged_compounds_keep_their_series(void **state)
{
    (void)state;
    struct problems *p = problems_new(10);
    struct registry *r = parse_text("compound,merged_into\nold,mid\nmid,new\nnew,\nother,\n",
                                    "device,kind,compound\nd,lamp,old\ne,lamp,new\n", NULL, p);
    assert_non_null(r);
    const struct device *d = registry_find(r, "d", 1), *e = registry_find(r, "e", 1);
    assert_string_equal(d->series, "lamp,compound=old,device=d");
    assert_string_equal(d->compound->code, "old");
    assert_string_equal(registry_compound_resolve(r, "old", 3)->code, "new");
    assert_string_equal(registry_compound_resolve(r, "other", 5)->code, "other");
    assert_null(registry_compound_resolve(r, "nope", 4));
    assert_true(registry_same_compound(r, d, "old", 3));
    assert_true(registry_same_compound(r, d, "new", 3));
    assert_true(registry_same_compound(r, e, "old", 3));
    assert_true(registry_same_compound(r, e, "mid", 3));
    assert_false(registry_same_compound(r, d, "other", 5));
    assert_false(registry_same_compound(r, d, "nope", 4));
    registry_free(r);
    problems_free(p);
}

static void split_compounds_take_the_old_code(void **state)
{
    (void)state;
    struct problems *p = problems_new(10);
    struct registry *r = parse_text(
        "compound,merged_into,split_from\nwhole,,\npart-1,,whole\npart-2,,whole\n"
        "corner,,part-1\nbig,,\nwas,whole,\n",
        "device,kind,compound\nd,lamp,part-1\ne,lamp,part-2\nf,lamp,corner\ng,lamp,whole\n",
        NULL, p);
    assert_non_null(r);
    const struct device *d = registry_find(r, "d", 1), *f = registry_find(r, "f", 1),
                        *g = registry_find(r, "g", 1);
    assert_string_equal(d->series, "lamp,compound=part-1,device=d");
    assert_true(registry_same_compound(r, d, "whole", 5));
    assert_true(registry_same_compound(r, d, "was", 3)); /* it was part of the whole */
    assert_true(registry_same_compound(r, d, "part-1", 6));
    assert_false(registry_same_compound(r, d, "part-2", 6));
    assert_false(registry_same_compound(r, d, "big", 3));
    assert_true(registry_same_compound(r, f, "whole", 5));
    assert_true(registry_same_compound(r, f, "part-1", 6));
    assert_false(registry_same_compound(r, g, "part-1", 6)); /* a part is not the whole */
    assert_ptr_equal(registry_compound_now(r, d->compound), d->compound);
    registry_free(r);
    problems_free(p);
}

static void devices_replaced_and_their_ids(void **state)
{
    (void)state;
    struct problems *p = problems_new(10);
    struct registry *r =
        parse_text("compound\na\n",
                   "device,source_id,kind,compound,retired,replaces,vendor,model\n"
                   "new,SLOT-1,smoke,a,,old,Milesight,GS524N\n"
                   "old,SLOT-1,smoke,a,2026-08-01,older,Milesight,GS524N\n"
                   "older,SLOT-1,smoke,a,2026/5/1,,海康 威视,\n"
                   "x,X,smoke,a,2026-08-01,,,\ny,X,smoke,a,,,,\n",
                   NULL, p);
    for (size_t i = 0; i < problems_count(p); i++)
        print_error("%s\n", problems_get(p, i));
    assert_non_null(r);
    const struct device *d = registry_find(r, "new", 3), *old = registry_find(r, "old", 3);
    assert_ptr_equal(d->replaces, old);
    assert_ptr_equal(old->replaced_by, d);
    assert_string_equal(old->replaces->code, "older");
    assert_null(d->replaced_by);
    assert_ptr_equal(registry_find_source(r, "SLOT-1", 6), d);
    assert_string_equal(registry_find_source(r, "X", 1)->code, "y");
    assert_string_equal(d->vendor, "Milesight");
    assert_string_equal(d->model, "GS524N");
    assert_string_equal(old->replaces->vendor, "海康 威视");
    assert_string_equal(registry_find(r, "x", 1)->vendor, "");
    registry_free(r);
    problems_free(p);
}

/* Who looks for a device finds it by exactly its id: that two are nearly the same is for a person to see. */
static void ids_that_differ_only_in_case(void **state)
{
    (void)state;
    struct problems *p = problems_new_thorough(100);
    struct buf d;
    static const char head[] = "device,source_id,kind,compound,retired\n";
    static const char *const want[] = {
        "devices.csv:4:4: warning: source_id \"24e1AB\" differs only in case from \"24E1ab\" "
        "in "
        "line 2; they are two devices, each found by exactly its own",
        "devices.csv:7:1: warning: source_id \"D4\" differs only in case from \"d4\" in line "
        "6; "
        "they are two devices, each found by exactly its own"};
    buf_init(&d, 1 << 16);
    (void)buf_printf(&d,
                     "%sd1,24E1ab,sump,c1,\nd2,24E1,sump,c1,\nd3,24e1AB,sump,c1,\n"
                     "d9,24E1AB,sump,c1,2026-01-01\nd4,,sump,c1,\nD4,,sump,c1,\n",
                     head);
    struct registry *r = parse_text("compound,name\nc1,c\n", buf_cstr(&d), NULL, p);
    assert_non_null(r);
    assert_int_equal(problems_count(p), 2);
    for (size_t i = 0; i < 2; i++)
        assert_string_equal(problems_get(p, i), want[i]);
    assert_string_equal(registry_find_source(r, "24e1AB", 6)->code, "d3");
    assert_null(registry_find_source(r, "24e1ab", 6));
    registry_free(r);
    problems_free(p);

    p = problems_new_thorough(100); /* a file of them does not hide what else is to be said */
    buf_clear(&d);
    (void)buf_puts(&d, head);
    for (int i = 0; i < 20; i++)
        (void)buf_printf(&d, "d%d,%c%d,sump,c1,\n", i, i & 1 ? 'x' : 'X', i / 2);
    r = parse_text("compound,name\nc1,c\n", buf_cstr(&d), NULL, p);
    assert_int_equal(problems_count(p), 6);
    assert_string_equal(problems_get(p, 5),
                        "devices.csv: warning: 5 more source_ids differ only "
                        "in case from another");
    registry_free(r);
    problems_free(p);
    p = problems_new(100);
    r = parse_text("compound,name\nc1,c\n", buf_cstr(&d), NULL, p);
    assert_int_equal(problems_count(p), 0); /* a start does not look for it */
    registry_free(r);
    problems_free(p);
    buf_done(&d);
}

static void encodings(void **state)
{
    (void)state;
    struct registry *r = parse_good(DATA "gb18030-compounds.csv", NULL, NULL);
    assert_string_equal(registry_compound(r, "a", 1)->name, "渝中区国经小区");
    assert_string_equal(registry_remark(r, 0), "compounds.csv: read as GB18030");
    assert_null(registry_remark(r, 1));
    registry_free(r);
    r = parse_good(DATA "bom-compounds.csv", NULL, NULL);
    assert_string_equal(registry_compound(r, "b", 1)->name, "南岸花龙苑");
    assert_null(registry_remark(r, 0));
    registry_free(r);
    r = parse_good(NULL, NULL, NULL);
    assert_int_equal(registry_devices(r), 0);
    assert_null(registry_find(r, "a", 1));
    assert_null(registry_find_source(r, "a", 1));
    assert_null(registry_compound(r, "a", 1));
    registry_free(r);
}

static void columns_in_any_order(void **state)
{
    (void)state;
    struct problems *p = problems_new(10);
    struct registry *r = parse_text(
        "name,compound\n甲,a\n",
        "compound,life_safety,kind,device,,\na,0,smoke,x1,,\n\n,,,,,\na,,lamp,x2,,\n", NULL, p);
    assert_non_null(r);
    assert_int_equal(registry_devices(r), 2);
    assert_false(registry_find(r, "x1", 2)->life_safety);
    assert_ptr_equal(registry_find_source(r, "x2", 2), registry_device_at(r, 1));
    assert_null(registry_find(r, "x2\0", 3));
    registry_free(r);
    problems_free(p);
}

static void hundred_thousand_devices(void **state)
{
    (void)state;
    enum { N = 100000, COMPOUNDS = 200 };
    static const char *const kinds[] = {"smoke", "lamp", "meter", "sump", "elevator"};
    struct buf c, d;
    char name[64];
    buf_init(&c, 1 << 20);
    buf_init(&d, 64 << 20);
    (void)buf_puts(&c, "compound,name\n");
    for (int i = 0; i < COMPOUNDS; i++)
        (void)buf_printf(&c, "c%03d,小区%d\n", i, i);
    (void)buf_puts(&d, "device,source_id,kind,compound,building,unit,room,point,"
                       "expected_interval,power_domain,uplink,life_safety,consent,installed,"
                       "retired,replaces,note\n");
    for (int i = 0; i < N; i++)
        (void)buf_printf(&d, "dev-%06d,24E124%010X,%s,c%03d,%d,,%d,,5m,,%s,,,2026-03-01,,,\n",
                         i, (unsigned)i * 7919u, kinds[i % 5], i % COMPOUNDS, i / 1000,
                         i % 1000, i % 500 ? "dev-000000" : "");
    struct problems *p = problems_new(10);
    struct registry *r = NULL;
    struct registry_input in[] = {{"c", c.data, c.len}, {"d", d.data, d.len}, {"p", NULL, 0}};
    struct mallinfo2 before = mallinfo2();
    struct timespec a, b;
    (void)clock_gettime(CLOCK_MONOTONIC, &a);
    assert_int_equal(registry_parse(&in[0], &in[1], &in[2], catalog, p, &r), 0);
    (void)clock_gettime(CLOCK_MONOTONIC, &b);
    struct mallinfo2 after = mallinfo2();
    print_message(
        "%d devices, %zu bytes: %.3f s, %.0f bytes of memory a device\n", N, d.len,
        (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9,
        ((double)(after.uordblks + after.hblkhd) - (double)(before.uordblks + before.hblkhd)) /
            N);
    assert_int_equal(registry_devices(r), N);
    for (int i = 0; i < N; i++) {
        int n = snprintf(name, sizeof(name), "dev-%06d", i);
        const struct device *x = registry_find(r, name, (size_t)n);
        assert_non_null(x);
        assert_int_equal(x->index, i);
        n = snprintf(name, sizeof(name), "24E124%010X", (unsigned)i * 7919u);
        assert_ptr_equal(registry_find_source(r, name, (size_t)n), x);
        n = snprintf(name, sizeof(name), "%s,building=%d,compound=c%03d,device=dev-%06d",
                     kinds[i % 5], i / 1000, i % COMPOUNDS, i);
        assert_int_equal(n, x->series_len);
        assert_memory_equal(x->series, name, (size_t)n);
    }
    registry_free(r);
    problems_free(p);
    buf_done(&c);
    buf_done(&d);
}

/* Whatever is in them, the series are what the line protocol makes of the tags. */
static void series_are_the_line_protocols(void **state)
{
    (void)state;
    static const char *const points[] = {"",    "p1",  "a.b-c_D", "a b",  "x=y", "北",   "-",
                                         "a,b", "a\\", "\\",      "a\\b", ".",   "\"q\""};
    static const char *const buildings[] = {"", "b01", "B-2.x"};
    char compounds[] = "compound\nc-1\nC.2_x\n", *rows = NULL;
    size_t len = 0, n = 0;
    FILE *f = open_memstream(&rows, &len);
    (void)fputs("device,kind,compound,building,point\n", f);
    for (size_t i = 0; i < sizeof(points) / sizeof(*points); i++)
        for (size_t k = 0; k < 3; k++, n++) {
            (void)fprintf(f, "d.%zu_%s,sump,%s,%s,\"", n, k ? "x" : "", k & 1 ? "c-1" : "C.2_x",
                          buildings[k]);
            for (const char *c = points[i]; *c; c++)
                (void)fprintf(f, "%s%c", *c == '"' ? "\"" : "", *c);
            (void)fputs("\"\n", f);
        }
    (void)fclose(f);
    struct registry_input in[3] = {{"compounds.csv", compounds, sizeof(compounds) - 1},
                                   {"devices.csv", rows, len},
                                   {"params.csv", NULL, 0}};
    struct problems *p = problems_new(10);
    struct registry *r = NULL;
    assert_int_equal(registry_parse(&in[0], &in[1], &in[2], catalog, p, &r), 0);
    assert_int_equal(registry_devices(r), n);
    for (size_t i = 0; i < n; i++) {
        const struct device *d = registry_device_at(r, i);
        const struct lineproto_tag tags[] = {{"building", d->building},
                                             {"compound", d->compound->code},
                                             {"device", d->code},
                                             {"point", d->point}};
        struct buf b, bad;
        buf_init(&b, 1000);
        buf_init(&bad, 1000);
        assert_string_equal(d->point, points[i / 3]);
        assert_int_equal(lineproto_put_series(&b, "sump", tags, 4), 0);
        assert_string_equal(d->series, buf_cstr(&b));
        assert_int_equal(d->series_len, b.len);
        buf_clear(&b);
        assert_int_equal(lineproto_put_series(&b, "sump_bad", tags, 4), 0);
        assert_int_equal(device_put_series_bad(d, &bad), 0);
        assert_string_equal(buf_cstr(&bad), buf_cstr(&b));
        assert_int_equal(bad.len, b.len);
        buf_done(&bad);
        buf_done(&b);
    }
    registry_free(r);
    problems_free(p);
    free(rows);
}

static void problems_have_a_ceiling(void **state)
{
    (void)state;
    struct buf d;
    buf_init(&d, 16 << 20);
    (void)buf_puts(&d, "device,kind,compound\n");
    for (int i = 0; i < 50000; i++)
        (void)buf_printf(&d, "x%d,nosuchkind,nosuchcompound\n", i);
    struct problems *p = problems_new(20);
    struct registry *r = parse_text("compound\na\n", buf_cstr(&d), NULL, p);
    assert_null(r);
    assert_int_equal(problems_count(p), 21);
    assert_int_equal(problems_errors(p), 100000);
    problems_free(p);
    buf_done(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_problems_by_line_and_column),
        cmocka_unit_test(compounds_that_cannot_be_read),
        cmocka_unit_test(example_is_sound),
        cmocka_unit_test(merged_compounds_keep_their_series),
        cmocka_unit_test(split_compounds_take_the_old_code),
        cmocka_unit_test(devices_replaced_and_their_ids),
        cmocka_unit_test(ids_that_differ_only_in_case),
        cmocka_unit_test(encodings),
        cmocka_unit_test(columns_in_any_order),
        cmocka_unit_test(hundred_thousand_devices),
        cmocka_unit_test(series_are_the_line_protocols),
        cmocka_unit_test(problems_have_a_ceiling),
    };
    return cmocka_run_group_tests(tests, load_catalog, drop_catalog);
}
