/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gaihou_place through a registry's life: devices that move, are replaced, retired or removed,
 * compounds that are merged, split and renamed (docs/registry.md).
 */
#include "unit.h"

#include "base/buf.h"
#include "base/mem.h"
#include "core/engine.h"
#include "core/lineproto.h"
#include "small_world.h"

#include <stdlib.h>
#include <string.h>

#define WALL0 1795219200000000000 /* 2026-11-20T16:00:00Z */

static const char conf_text[] = "gateway: {id: t, data_dir: /tmp/x}\n"
                                "brokers:\n  - {id: main, url: mqtt://127.0.0.1:1883}\n"
                                "sources:\n  - {profile: gaihou-json, broker: main, qos: 1}\n"
                                "catalog: catalog.yaml\n"
                                "registry: {compounds: compounds.csv, devices: devices.csv}\n";
static const char catalog_text[] = "version: 1\nkinds:\n"
                                   "  sump:\n    zh: 集水井\n    en: Sump\n    metrics:\n"
                                   "      level: {type: float, unit: m, zh: 水位, en: Level}\n";

static const char *catalog = catalog_text; /* of the next world */

struct rig {
    struct engine *e;
    struct world *w;
    struct buf said; /* lines without times */
    struct position at;
    uint64_t ns, offset;
};

static void on_step(void *ctx, const struct position *at)
{
    struct rig *r = ctx;
    assert_true(position_cmp(&r->at, at) < 0);
    r->at = *at;
}

static void on_step_end(void *ctx, const struct position *at)
{
    assert_int_equal(position_cmp(&((struct rig *)ctx)->at, at), 0);
}

static void on_point(void *ctx, const struct point *p)
{
    struct rig *r = ctx;
    struct lineproto_refused refused = {0};
    size_t from = r->said.len;
    assert_int_equal(lineproto_put(&r->said, LINEPROTO_INFLUX, p, &refused), 0);
    while (r->said.len > from && r->said.data[r->said.len - 1] != ' ')
        r->said.len--;
    r->said.data[r->said.len - 1] = '\n';
}

static void on_letter(void *ctx, const struct engine_letter *l)
{
    (void)ctx;
    fail_msg("a letter: %s", l->reason);
}

static struct world *world_of(const char *compounds, const char *devices)
{
    struct world *w =
        small_world(&(struct small_world){conf_text, catalog, compounds, .devices = devices});
    assert_non_null(w);
    return w;
}

static void record(struct rig *r, enum record_type type)
{
    struct record rec = {.type = type,
                         .broker = 255,
                         .engine_ns = r->ns += 1000000000,
                         .wall_ns = WALL0 + (int64_t)r->ns,
                         .topic = "",
                         .body = "",
                         .offset = r->offset,
                         .end = r->offset + 64};
    r->offset += 64;
    engine_record(r->e, &rec);
}

/* What is said from the first record on, until nothing is due within a second. */
static void begin(struct rig *r, const char *compounds, const char *devices)
{
    *r = (struct rig){.offset = 4096};
    buf_init(&r->said, 1 << 20);
    r->e = engine_new(&(struct engine_out){.ctx = r,
                                           .point = on_point,
                                           .letter = on_letter,
                                           .step = on_step,
                                           .step_end = on_step_end});
    r->w = world_of(compounds, devices);
    engine_use(r->e, r->w);
    record(r, RECORD_START);
    engine_tick(r->e, r->ns += 1000000000);
    buf_clear(&r->said);
}

static const char *turn(struct rig *r, const char *compounds, const char *devices)
{
    struct world *next = world_of(compounds, devices);
    buf_clear(&r->said);
    record(r, RECORD_GENERATION);
    engine_use(r->e, next);
    world_free(r->w);
    r->w = next;
    engine_tick(r->e, r->ns += 1000000000);
    return buf_cstr(&r->said);
}

static void end(struct rig *r)
{
    engine_free(r->e);
    world_free(r->w);
    buf_done(&r->said);
}

#define HEAD "device,kind,compound,building,retired,replaces,vendor,model\n"
#define KIND ",kind_title=\"集水井\""

static void moves_are_told_on_both_sides(void **state)
{
    (void)state;
    struct rig r;
    static const char compounds[] = "compound,name\na,甲\nb,乙\n";
    begin(&r, compounds, HEAD "d,sump,a,1,,,,\ne,sump,a,,,,,\n");
    assert_string_equal(
        turn(&r, compounds, HEAD "d,sump,b,2,,,,\ne,sump,a,,,,,\n"),
        "gaihou_place,building=1,compound=a,compound_now=a,device=d,firm=none,kind=sump"
        " devices=0i,compound_name=\"甲\"" KIND ",moved_to=\"b\"\n"
        "gaihou_place,building=2,compound=b,compound_now=b,device=d,firm=none,kind=sump"
        " devices=1i,compound_name=\"乙\"" KIND ",moved_from=\"a\"\n");
    /* only the house changes: no other compound to name */
    assert_string_equal(
        turn(&r, compounds, HEAD "d,sump,b,3,,,,\ne,sump,a,,,,,\n"),
        "gaihou_place,building=2,compound=b,compound_now=b,device=d,firm=none,kind=sump"
        " devices=0i,compound_name=\"乙\"" KIND "\n"
        "gaihou_place,building=3,compound=b,compound_now=b,device=d,firm=none,kind=sump"
        " devices=1i,compound_name=\"乙\"" KIND "\n");
    assert_string_equal(turn(&r, compounds, HEAD "d,sump,b,3,,,,\n"), /* the row is gone */
                        "gaihou_place,compound=a,compound_now=a,device=e,firm=none,kind=sump"
                        " devices=0i,compound_name=\"甲\"" KIND "\n");
    assert_string_equal(turn(&r, compounds, HEAD "d,sump,b,3,,,,\n\n"), "");
    end(&r);
}

/* Both ends would be one series at one time: which of them stays, nobody knows. */
static void a_kind_that_the_catalogue_gets_moves_nobody(void **state)
{
    static const char more[] = "version: 1\nkinds:\n"
                               "  gas:\n    zh: 燃气\n    en: Gas\n    metrics:\n"
                               "      lel: {type: float, zh: 浓度, en: Level}\n"
                               "  sump:\n    zh: 集水井\n    en: Sump\n    metrics:\n"
                               "      level: {type: float, unit: m, zh: 水位, en: Level}\n";
    (void)state;
    struct rig r;
    begin(&r, "compound\na\n", HEAD "d,sump,a,1,,,,\n");
    catalog = more; /* the kind before it has its number now */
    const char *said = turn(&r, "compound\na\n", HEAD "d,sump,a,1,,,,\n");
    catalog = catalog_text;
    assert_string_equal(said, "");
    end(&r);
}

static void replaced_devices_name_one_another(void **state)
{
    (void)state;
    struct rig r;
    begin(&r, "compound\na\n", HEAD "d,sump,a,1,,,海康,X1\n");
    assert_string_equal(
        turn(&r, "compound\na\n",
             HEAD "d,sump,a,1,2026-11-20,,海康,X1\nd2,sump,a,1,,d,海康,X2\n"),
        "gaihou_place,building=1,compound=a,compound_now=a,device=d,firm=none,kind=sump,"
        "model=X1,vendor=海康 devices=0i,compound_name=\"a\"" KIND ",replaced_by=\"d2\"\n"
        "gaihou_place,building=1,compound=a,compound_now=a,device=d2,firm=none,kind=sump,"
        "model=X2,vendor=海康 devices=1i,compound_name=\"a\"" KIND ",replaces=\"d\"\n");
    end(&r);
}

static void merged_and_split_compounds(void **state)
{
    (void)state;
    struct rig r;
    begin(&r, "compound,name\ndorm-1,一舍\ndorm-2,二舍\n",
          HEAD "d,sump,dorm-1,,,,,\ne,sump,dorm-2,,,,,\n");
    /* series stay where they are; both are found under the new name */
    assert_string_equal(
        turn(&r, "compound,name,merged_into\ndorm-1,一舍,yard\ndorm-2,二舍,yard\nyard,大院,\n",
             HEAD "d,sump,dorm-1,,,,,\ne,sump,dorm-2,,,,,\n"),
        "gaihou_place,compound=dorm-1,compound_now=dorm-1,device=d,firm=none,kind=sump"
        " devices=0i,compound_name=\"一舍\"" KIND "\n"
        "gaihou_place,compound=dorm-1,compound_now=yard,device=d,firm=none,kind=sump"
        " devices=1i,compound_name=\"一舍\",compound_now_name=\"大院\"" KIND "\n"
        "gaihou_place,compound=dorm-2,compound_now=dorm-2,device=e,firm=none,kind=sump"
        " devices=0i,compound_name=\"二舍\"" KIND "\n"
        "gaihou_place,compound=dorm-2,compound_now=yard,device=e,firm=none,kind=sump"
        " devices=1i,compound_name=\"二舍\",compound_now_name=\"大院\"" KIND "\n");
    /* the new name's new name is said of all */
    assert_non_null(strstr(
        turn(&r, "compound,name,merged_into\ndorm-1,一舍,yard\ndorm-2,二舍,yard\nyard,新院,\n",
             HEAD "d,sump,dorm-1,,,,,\ne,sump,dorm-2,,,,,\n"),
        "compound=dorm-2,compound_now=yard,device=e,firm=none,kind=sump"
        " devices=1i,compound_name=\"二舍\",compound_now_name=\"新院\"" KIND "\n"));
    end(&r);

    begin(&r, "compound\nwhole\n", HEAD "d,sump,whole,1,,,,\ne,sump,whole,2,,,,\n");
    assert_string_equal(
        turn(&r, "compound,split_from\nwhole,\nblock-1,whole\n",
             HEAD "d,sump,block-1,1,,,,\ne,sump,whole,2,,,,\n"),
        "gaihou_place,building=1,compound=whole,compound_now=whole,device=d,firm=none,kind=sump"
        " devices=0i,compound_name=\"whole\"" KIND ",moved_to=\"block-1\"\n"
        "gaihou_place,building=1,compound=block-1,compound_now=block-1,compound_was=whole,"
        "device=d,firm=none,kind=sump"
        " devices=1i,compound_name=\"block-1\"" KIND ",moved_from=\"whole\"\n");
    end(&r);
}

/* Before the first record a world may be put in the place of another: nothing was said yet. */
static void worlds_before_the_first_record(void **state)
{
    (void)state;
    struct rig r = {.offset = 4096};
    buf_init(&r.said, 1 << 20);
    r.e = engine_new(&(struct engine_out){.ctx = &r,
                                          .point = on_point,
                                          .letter = on_letter,
                                          .step = on_step,
                                          .step_end = on_step_end});
    r.w = world_of("compound\na\nb\n", HEAD "d,sump,a,,,,,\n");
    struct world *next = world_of("compound\na\nb\n", HEAD "d,sump,b,,,,,\n");
    engine_use(r.e, r.w);
    engine_use(r.e, next);
    assert_int_equal(r.said.len, 0);
    world_free(r.w);
    r.w = next;
    end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_are_told_on_both_sides),
        cmocka_unit_test(a_kind_that_the_catalogue_gets_moves_nobody),
        cmocka_unit_test(replaced_devices_name_one_another),
        cmocka_unit_test(merged_and_split_compounds),
        cmocka_unit_test(worlds_before_the_first_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
