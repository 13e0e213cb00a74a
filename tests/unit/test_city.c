/* SPDX-License-Identifier: Apache-2.0 */
#include "city/faults.h"
#include "city/fleet.h"
#include "city/text.h"
#include "base/hash.h"
#include "base/mem.h"
#include "city/city.h"
#include "core/registry.h"

#include <libfyaml.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define START 1795132800000 /* 2026-11-20 08:00 in Beijing */
#define DAY   86400000

static struct fleet *fleet_of(uint64_t seed, uint32_t compounds, uint32_t devices)
{
    struct fleet_options o = {
        .seed = seed, .compounds = compounds, .devices = devices, .start_ms = START};
    return fleet_new(&o);
}

static uint64_t hash_of_run(uint64_t seed, unsigned messages, unsigned clockless,
                            unsigned batch)
{
    struct fleet_options o = {.seed = seed,
                              .compounds = 3,
                              .devices = 200,
                              .start_ms = START,
                              .clockless = clockless,
                              .batch = batch};
    struct fleet *f = fleet_new(&o);
    static char payload[FLEET_MAX_PAYLOAD];
    uint64_t hash = 0;
    for (unsigned i = 0; i < messages; i++) {
        struct fleet_message m;
        fleet_next(f, 0, payload, &m);
        hash = hash64(hash ^ m.device, payload, m.len);
    }
    fleet_free(f);
    return hash;
}

static void same_seed_same_city(void **state)
{
    (void)state;
    assert_int_equal(hash_of_run(7, 20000, 0, 0), hash_of_run(7, 20000, 0, 0));
    assert_int_equal(hash_of_run(7, 20000, 30, 20), hash_of_run(7, 20000, 30, 20));
    assert_int_not_equal(hash_of_run(7, 20000, 0, 0), hash_of_run(8, 20000, 0, 0));
}

static void every_kind_speaks(void **state)
{
    (void)state;
    struct fleet *f = fleet_of(1, 6, 300);
    unsigned char seen[256] = {0};
    for (uint32_t i = 0; i < 300; i++)
        seen[fleet_device(f, i)->kind]++;
    for (size_t k = 0; k < fleet_n_kinds; k++) {
        assert_true(seen[k] > 0);
        assert_true(*fleet_kinds[k].n_metrics > 0);
        assert_true(*fleet_kinds[k].n_metrics <= FLEET_MAX_VALUES);
    }
    fleet_free(f);
}

/* What a kind says over three days: within its range, counters never falling. */
static void watch_kind(size_t k)
{
    const struct fleet_kind *kind = &fleet_kinds[k];
    for (uint32_t one = 1; one <= 12; one++) {
        struct device_state d = {
            .kind = (uint8_t)k, .number = (uint16_t)(one & 0x7fff), .rng = 2654435761u * one};
        kind->begin(&d);
        double last[FLEET_MAX_VALUES] = {0};
        struct sky sky = {.at_ms = 0};
        for (int64_t t = START; t < START + 3 * DAY; t += kind->interval_s * 1000) {
            double v[FLEET_MAX_VALUES];
            if (t - sky.at_ms > 10000)
                sky_at(5, t, &sky);
            kind->step(&d, &sky, kind->interval_s, v);
            for (size_t i = 0; i < *kind->n_metrics; i++) {
                const struct fleet_metric *m = &kind->metrics[i];
                if (isnan(v[i]))
                    continue;
                bool fits = v[i] >= m->low && v[i] <= m->high && (!m->rises || v[i] >= last[i]);
                if (!fits)
                    fail_msg("%s %s of device %u: %f after %f", kind->name, m->name, one, v[i],
                             last[i]);
                last[i] = v[i];
            }
        }
    }
}

static void values_stay_in_range_and_meters_rise(void **state)
{
    (void)state;
    for (size_t k = 0; k < fleet_n_kinds; k++)
        watch_kind(k);
}

static size_t kind_named(const char *name)
{
    for (size_t k = 0; k < fleet_n_kinds; k++)
        if (strcmp(fleet_kinds[k].name, name) == 0)
            return k;
    fail_msg("no kind %s", name);
    return 0;
}

static size_t metric_named(size_t k, const char *name)
{
    for (size_t i = 0; i < *fleet_kinds[k].n_metrics; i++)
        if (strcmp(fleet_kinds[k].metrics[i].name, name) == 0)
            return i;
    fail_msg("%s has no metric %s", fleet_kinds[k].name, name);
    return 0;
}

/* One device of a kind, stepped by itself. */
struct probe {
    struct device_state d;
    const struct fleet_kind *kind;
    struct sky sky;
    double v[FLEET_MAX_VALUES];
};

static struct probe probe_of(const char *name)
{
    struct probe p = {.kind = &fleet_kinds[kind_named(name)]};
    p.d.kind = (uint8_t)kind_named(name);
    p.d.rng = 12345;
    p.d.number = 1;
    p.kind->begin(&p.d);
    return p;
}

static double probe_at(struct probe *p, int64_t ms, const char *metric)
{
    sky_at(5, ms, &p->sky);
    p->kind->step(&p->d, &p->sky, p->kind->interval_s, p->v);
    return p->v[metric_named(p->d.kind, metric)];
}

static void sump_fills_and_is_pumped(void **state)
{
    (void)state;
    struct probe p = probe_of("sump");
    size_t pump = metric_named(p.d.kind, "pump_on");
    unsigned starts = 0, runs = 0;
    double before = 0;
    bool on = false;
    for (int64_t t = START; t < START + 2 * DAY; t += 30000) {
        double level = probe_at(&p, t, "level");
        bool now = p.v[pump] != 0;
        if (now && !on) {
            starts++;
            assert_true(level > 0.6); /* started by the upper float */
        }
        if (now && on) {
            runs++;
            assert_true(level < before + 0.02); /* it falls while pumped */
        }
        if (!now && on)
            assert_true(level < 0.5); /* stopped by the lower one */
        before = level;
        on = now;
    }
    assert_true(starts >= 3);
    assert_true(runs >= starts);
}

static void lamps_follow_dusk_and_dawn(void **state)
{
    (void)state;
    struct probe p = probe_of("lamp");
    int64_t midnight = START + 16 * 3600000;
    assert_true(probe_at(&p, midnight, "on") != 0);
    assert_true(probe_at(&p, midnight, "power") > 10);
    assert_true(probe_at(&p, midnight + 12 * 3600000, "on") == 0);
    assert_true(probe_at(&p, midnight + 12 * 3600000, "power") == 0);
    unsigned changes = 0;
    bool on = true;
    for (int64_t t = midnight; t < midnight + DAY; t += 60000) {
        bool now = probe_at(&p, t, "on") != 0;
        changes += now != on;
        on = now;
    }
    assert_int_equal(changes, 2);
}

static double mean(const char *kind, const char *metric, int64_t from, int64_t until)
{
    struct probe p = probe_of(kind);
    double sum = 0;
    unsigned n = 0;
    for (int64_t t = from; t < until; t += p.kind->interval_s * 1000, n++)
        sum += probe_at(&p, t, metric);
    return sum / n;
}

static void people_are_felt(void **state)
{
    (void)state;
    int64_t hour = 3600000, midnight = START + 16 * hour;
    double supper =
        mean("water-supply", "outlet_pressure", midnight + 18 * hour, midnight + 19 * hour);
    double night =
        mean("water-supply", "outlet_pressure", midnight + 2 * hour, midnight + 3 * hour);
    assert_true(supper < night - 0.04);

    struct probe lift = probe_of("elevator");
    double count[24];
    for (int h = 0; h < 24; h++) {
        double begin = 0, end = 0;
        for (int64_t t = midnight + h * hour; t < midnight + (h + 1) * hour; t += 10000) {
            end = probe_at(&lift, t, "run_count");
            begin = begin > 0 ? begin : end;
        }
        count[h] = end - begin;
    }
    double night_trips = count[2] + count[3];
    assert_true(count[8] + count[9] > 4 * night_trips); /* a Saturday: people sleep longer */
    assert_true(count[17] + count[18] > 4 * night_trips);
}

static void every_time_is_said_once(void **state)
{
    (void)state;
    struct fleet_options o = {
        .seed = 3, .compounds = 2, .devices = 50, .start_ms = START, .batch = 40};
    struct fleet *f = fleet_new(&o);
    static char payload[FLEET_MAX_PAYLOAD];
    int64_t last[50] = {0}, wall = START;
    for (unsigned i = 0; i < 30000; i++) {
        struct fleet_message m;
        fleet_next(f, wall + i / 100, payload, &m); /* faster than a device could */
        for (unsigned s = 0; s < m.n; s++) {
            assert_true(m.ts[s] > last[m.device]);
            last[m.device] = m.ts[s];
        }
    }
    fleet_free(f);
}

static void payloads_are_json(void **state)
{
    (void)state;
    struct fleet_options o = {.seed = 4,
                              .compounds = 2,
                              .devices = 100,
                              .start_ms = START,
                              .batch = 20,
                              .clockless = 50};
    struct fleet *f = fleet_new(&o);
    static char payload[FLEET_MAX_PAYLOAD];
    unsigned clockless = 0;
    for (unsigned i = 0; i < 1000; i++) {
        struct fleet_message m;
        fleet_next(f, 0, payload, &m);
        struct fy_document *doc = fy_document_build_from_string(NULL, payload, m.len);
        assert_non_null(doc);
        struct fy_node *node = fy_document_root(doc);
        if (m.n > 1) {
            assert_int_equal(fy_node_sequence_item_count(node), m.n);
            node = fy_node_sequence_get_by_index(node, (int)m.n - 1);
        }
        assert_true(fy_node_is_mapping(node));
        const char *key = m.clockless ? "/report_seq" : "/ts";
        assert_non_null(fy_node_by_path(node, key, FY_NT, FYNWF_DONT_FOLLOW));
        clockless += m.clockless;
        fy_document_destroy(doc);
    }
    assert_true(clockless > 200 && clockless < 800);
    fleet_free(f);
}

static void numbers_are_written_right(void **state)
{
    (void)state;
    static const double numbers[] = {0, 1, -1, 0.5, -0.05, 123456.789, 1e11, -0.0004, 99.9996};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        for (int decimals = 0; decimals <= 6; decimals++) {
            char text[64];
            *text_fixed(text, numbers[i], decimals) = 0;
            assert_true(fabs(atof(text) - numbers[i]) <= 0.5001 / pow(10, decimals));
        }
    }
    char text[64];
    *text_int(text, INT64_MIN) = 0;
    assert_string_equal(text, "-9223372036854775808");
    *text_hex16(text, 0x0123456789abcdef) = 0;
    assert_string_equal(text, "0123456789abcdef");
}

static bool type_fits(const struct fleet_metric *m, const struct metric *c)
{
    switch (m->type) {
    case FLEET_FIXED:
        return c->type == METRIC_FLOAT;
    case FLEET_INT:
        return c->type == METRIC_INT || c->type == METRIC_FLOAT;
    case FLEET_BOOL:
        return c->type == METRIC_BOOL;
    case FLEET_TEXT:
        for (size_t i = 0; i <= (size_t)m->high; i++)
            if (!metric_code(c, m->texts[i], strlen(m->texts[i])))
                return false;
        return c->type == METRIC_ENUM;
    }
    return false;
}

static size_t load(const char *path, char *text, size_t max)
{
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    size_t len = fread(text, 1, max, f);
    fclose(f);
    assert_true(len > 0 && len < max);
    return len;
}

static struct catalog *shipped_catalogue(struct problems *problems)
{
    static char text[1 << 20];
    struct catalog *c = NULL;
    size_t len = load("config/catalog.yaml", text, sizeof(text));
    assert_int_equal(catalog_parse(text, len, "catalog.yaml", problems, &c), 0);
    return c;
}

/* gaihoud reads what `city registry` writes, without a word. */
static void registry_is_read(void **state)
{
    (void)state;
    char dir[] = "/tmp/test_city.XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct city_options o = {
        .fleet = {.seed = 9, .compounds = 7, .devices = 500, .start_ms = START}, .out = dir};
    struct err err;
    assert_int_equal(city_registry(&o, &err), 0);
    static const char *const names[3] = {"compounds.csv", "devices.csv", "params.csv"};
    static char texts[3][1 << 20];
    struct registry_input in[3];
    for (int i = 0; i < 3; i++) {
        char *path = mem_printf("%s/%s", dir, names[i]);
        in[i] =
            (struct registry_input){names[i], texts[i], load(path, texts[i], sizeof(texts[i]))};
        unlink(path);
        free(path);
    }
    assert_int_equal(rmdir(dir), 0);
    struct problems *problems = problems_new(10);
    struct catalog *c = shipped_catalogue(problems);
    struct registry *r = NULL;
    int rc = registry_parse(&in[0], &in[1], &in[2], c, problems, &r);
    for (size_t i = 0; i < problems_count(problems); i++)
        print_message("%s\n", problems_get(problems, i));
    assert_int_equal(rc, 0);
    assert_int_equal(problems_count(problems), 0);
    assert_int_equal(registry_devices(r), 500);
    assert_int_equal(registry_compounds(r), 7);
    struct fleet *f = fleet_new(&o.fleet);
    for (uint32_t i = 0; i < 500; i++) {
        char code[64];
        const struct device *d = registry_find(r, code, fleet_device_code(f, i, code));
        assert_non_null(d);
        assert_string_equal(d->kind->name, fleet_kinds[fleet_device(f, i)->kind].name);
    }
    fleet_free(f);
    registry_free(r);
    catalog_free(c);
    problems_free(problems);
}

/* Kinds, metrics, types, ranges and enumerations are those of the shipped catalogue. */
static void names_are_in_the_catalogue(void **state)
{
    (void)state;
    struct problems *problems = problems_new(10);
    struct catalog *c = shipped_catalogue(problems);
    for (size_t k = 0; k < fleet_n_kinds; k++) {
        const struct fleet_kind *mine = &fleet_kinds[k];
        const struct kind *kind = catalog_kind(c, mine->name, strlen(mine->name));
        if (!kind)
            fail_msg("no kind %s in the catalogue", mine->name);
        assert_non_null(catalog_metric(c, kind, "report_seq", 10));
        for (size_t i = 0; i < *mine->n_metrics; i++) {
            const struct fleet_metric *m = &mine->metrics[i];
            const struct metric *cm = catalog_metric(c, kind, m->name, strlen(m->name));
            if (!cm || !type_fits(m, cm))
                fail_msg("%s %s is not in the catalogue, or otherwise", mine->name, m->name);
            if (m->type != FLEET_TEXT &&
                ((cm->has_min && m->low < cm->min) || (cm->has_max && m->high > cm->max)))
                fail_msg("%s %s: its range is larger than the catalogue's", mine->name,
                         m->name);
        }
    }
    for (size_t i = 0; i < catalog_kinds(c); i++) { /* and every kind of it is in the city … */
        const char *name = catalog_kind_at(c, i)->name;
        /* … but those that only vendors' profiles speak of */
        if (strcmp(name, "tracker") != 0 && strcmp(name, "valve") != 0 &&
            strcmp(name, "io") != 0 && strcmp(name, "fire-panel") != 0)
            kind_named(name);
    }
    catalog_free(c);
    problems_free(problems);
}

/* -- vendors' words --------------------------------------------------------------------------- */

struct spoken {
    uint64_t hash;
    unsigned messages, families[FAMILY_N], musts[5];
};

static void count_must(struct spoken *out, const char *truth)
{
    static const char *const musts[] = {"decoded", "duplicate", "ignored", "dead",
                                        "quarantined"};
    const char *at = strstr(truth, "\"must\":\"") + 8;
    for (size_t i = 0; i < 5; i++)
        out->musts[i] += strncmp(at, musts[i], strlen(musts[i])) == 0;
}

static struct spoken speak(uint64_t seed, double rate)
{
    struct speak_options o = {.compounds = 3,
                              .clocks = rate,
                              .repeats = rate,
                              .odd = rate,
                              .strangers = rate,
                              .no_data = rate,
                              .malformed = rate,
                              .elsewhere = rate};
    struct spoken out = {0};
    assert_true(speak_families("all", &o.families));
    struct fleet *f = fleet_of(seed, 3, 300);
    struct speak *s = speak_new(&o, seed, f);
    struct said *said = mem_zalloc(sizeof(*said));
    buf_init(&said->truth, 1 << 20);
    for (out.messages = 0; out.messages < 20000; out.messages++) {
        speak_next(s, 0, said);
        assert_true(said->topic_len > 0 && said->len <= FLEET_MAX_PAYLOAD);
        out.hash = hash64(out.hash, said->topic, said->topic_len);
        out.hash = hash64(out.hash, said->payload, said->len);
        out.hash = hash64(out.hash, said->truth.data, said->truth.len);
        out.families[speak_family(s, said->device)]++;
        count_must(&out, buf_cstr(&said->truth));
    }
    buf_done(&said->truth);
    free(said);
    speak_free(s);
    fleet_free(f);
    return out;
}

static void the_same_seed_speaks_the_same(void **state)
{
    (void)state;
    struct spoken a = speak(5, 4), b = speak(5, 4), c = speak(6, 4);
    assert_true(a.hash == b.hash);
    assert_true(a.hash != c.hash);
}

static void every_family_speaks(void **state)
{
    (void)state;
    struct spoken a = speak(5, 0);
    for (size_t i = 0; i < FAMILY_N; i++)
        if (a.families[i] == 0)
            fail_msg("family %zu", i);
    assert_int_equal(a.musts[0], a.messages); /* and nothing is wrong that was not asked for */
}

static void faults_come_at_their_rates(void **state)
{
    (void)state;
    struct spoken a = speak(5, 4);
    /* not every message can be each of them: four families have a compound in their topic */
    for (size_t i = 1; i < 5; i++)
        assert_in_range(a.musts[i], 300, 1700);
    assert_true(a.musts[0] > 15000);
}

static void families_are_named(void **state)
{
    uint32_t f;
    (void)state;
    assert_true(speak_families("native,alink", &f));
    assert_int_equal(f, 1u << FAMILY_NATIVE | 1u << FAMILY_ALINK);
    assert_false(speak_families("alink,martian", &f));
    assert_false(speak_families("", &f));
}

/* -- what breaks ------------------------------------------------------------------------------ */

struct city_day { /* what each device said in a day, and what was wrong with it */
    struct fleet *fleet;
    uint64_t hash[200];
    unsigned samples[200];
    struct fault_truth truths[4000];
    size_t n_truths;
};

static struct city_day *day_of(bool faults, double rate, const struct fault_order *orders,
                               size_t n_orders)
{
    struct fleet_options o = {.seed = 7,
                              .compounds = 3,
                              .devices = 200,
                              .start_ms = START,
                              .faults = faults,
                              .fault_rate = rate,
                              .orders = orders,
                              .n_orders = n_orders};
    static char payload[FLEET_MAX_PAYLOAD];
    struct city_day *day = mem_zalloc(sizeof(*day));
    day->fleet = fleet_new(&o);
    for (int64_t due = 0; fleet_peek(day->fleet, &due), due < START + DAY;) {
        struct fleet_message m;
        fleet_next(day->fleet, 0, payload, &m);
        day->hash[m.device] = hash64(day->hash[m.device], payload, m.len);
        day->samples[m.device]++;
        while (fleet_take_truth(day->fleet, &day->truths[day->n_truths]))
            assert_true(++day->n_truths < 3800);
    }
    fleet_end_truths(day->fleet);
    while (fleet_take_truth(day->fleet, &day->truths[day->n_truths]))
        assert_true(++day->n_truths < 3999);
    return day;
}

static void day_done(struct city_day *day)
{
    fleet_free(day->fleet);
    free(day);
}

static bool is_natural(const struct fault_truth *t)
{
    return strcmp(t->name, "roof-leaks") == 0 || strcmp(t->name, "not-emptied") == 0 ||
           strcmp(t->name, "battery-low") == 0;
}

static int by_device(const void *a, const void *b)
{
    const struct fault_truth *x = a, *y = b;
    int64_t d = x->device == y->device ? x->from_ms - y->from_ms
                                       : (int64_t)x->device - (int64_t)y->device;
    return (d > 0) - (d < 0);
}

static void faults_do_not_overlap_and_touch_only_their_device(void **state)
{
    (void)state;
    struct city_day *sick = day_of(true, 2, NULL, 0), *well = day_of(false, 0, NULL, 0);
    size_t n = 0, silences = 0, behind = 0;
    bool broken[200] = {false};
    for (size_t i = 0; i < sick->n_truths; i++)
        if (!is_natural(&sick->truths[i]))
            sick->truths[n++] = sick->truths[i];
    assert_in_range(n, 150, 600); /* 2 a device and day, with pauses; and who was behind */
    qsort(sick->truths, n, sizeof(*sick->truths), by_device);
    for (size_t i = 0; i < n; i++) {
        const struct fault_truth *t = &sick->truths[i], *next = t + 1;
        bool last = i + 1 == n || next->device != t->device;
        broken[t->device] = true;
        silences += t->silence;
        behind += strcmp(t->name, "behind") == 0;
        assert_true(t->to_ms ? t->to_ms > t->from_ms : last);
        assert_true(last || t->to_ms <= next->from_ms);
    }
    assert_true(silences > 20 && behind > 5);
    unsigned same = 0;
    for (uint32_t i = 0; i < 200; i++) {
        same += !broken[i];
        if (!broken[i])
            assert_int_equal(sick->hash[i], well->hash[i]);
        else
            assert_true(sick->hash[i] != well->hash[i]);
    }
    assert_true(same > 5);
    assert_int_equal(well->n_truths, 0);
    day_done(sick);
    day_done(well);
}

static void a_fault_comes_by_order(void **state)
{
    (void)state;
    const struct fault_order orders[] = {{"flood", "c0002-sump-0001", 3600},
                                         {"silent", "c0001-lift-0001", 600}};
    struct city_day *day = day_of(true, 0, orders, 2), *well = day_of(true, 0, NULL, 0);
    for (size_t i = 0; i < 2; i++)
        assert_true(fleet_knows_fault(day->fleet, &orders[i]));
    assert_false(
        fleet_knows_fault(day->fleet, &(struct fault_order){"flood", "c0001-lift-0001", 0}));
    assert_false(fleet_knows_fault(day->fleet, &(struct fault_order){"flood", "c9-sump-1", 0}));
    assert_int_equal(day->n_truths, well->n_truths + 2);
    const struct fault_truth *flood = NULL, *silent = NULL;
    for (size_t i = 0; i < day->n_truths; i++) {
        if (strcmp(day->truths[i].name, "flood") == 0)
            flood = &day->truths[i];
        if (strcmp(day->truths[i].name, "silent") == 0)
            silent = &day->truths[i];
    }
    assert_true(flood && silent);
    assert_in_range(flood->from_ms - START, 3600000, 3630000);
    assert_in_range(flood->to_ms - flood->from_ms, 3600000 - 30000, 3600000 + 30000);
    assert_string_equal(flood->rule, "sump-high");
    assert_int_equal(flood->told_within, (13 + 5) * 60000 + 2 * 30000 + 1000);
    /* 60 seconds: it spoke before, and behind */
    assert_in_range(silent->to_ms - silent->from_ms, 60000, 80000);
    unsigned fewer = well->samples[silent->device] - day->samples[silent->device];
    assert_int_equal(fewer, (silent->to_ms - silent->from_ms) / 10000 - 1);
    day_done(day);
    day_done(well);
}

static bool is_a_rule(const char *id, size_t len)
{
    static char text[1 << 20];
    static size_t n;
    static const char *const files[] = {"care",     "devices", "drainage", "electricity",
                                        "elevator", "fire",    "gas",      "house",
                                        "water",    "yard"};
    for (size_t i = 0; i < sizeof(files) / sizeof(*files) && n == 0; i++) {
        char *path = mem_printf("config/rules/%s.yaml", files[i]);
        size_t at = strlen(text);
        (void)load(path, text + at, sizeof(text) - at);
        free(path);
    }
    n = strlen(text);
    char *line = mem_printf("- id: %.*s", (int)len, id);
    const char *at = strstr(text, line);
    bool found = at && strchr("\n ", at[strlen(line)]);
    free(line);
    return found;
}

static void fits_kind(const struct fault_kind *f)
{
    unsigned sees = 1u + (f->cross > 0) + (f->delay > 0); /* samples until it must be told */
    const struct fleet_kind *kind = NULL;
    for (size_t k = 0; k < fleet_n_kinds; k++)
        kind = strcmp(fleet_kinds[k].code, f->code) == 0 ? &fleet_kinds[k] : kind;
    if (!kind)
        fail_msg("%s %s: no such kind", f->code, f->name);
    if (f->shortest - f->fall < f->cross + f->delay + sees * kind->interval_s)
        fail_msg("%s %s: may end before it must be told", f->code, f->name);
    for (size_t e = 0; e < FAULT_EFFECTS && f->effects[e].metric; e++) {
        const struct fault_effect *x = &f->effects[e];
        const struct fleet_metric *m =
            &kind->metrics[metric_named((size_t)(kind - fleet_kinds), x->metric)];
        if (x->act == FAULT_SET && (x->to < m->low || x->to > m->high))
            fail_msg("%s %s: %s cannot be so", f->code, f->name, x->metric);
    }
}

/* Each names what its device says, and rules that there are; and lasts until it must be told. */
static void faults_are_of_their_kinds_and_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < fault_n_kinds; i++) {
        const struct fault_kind *f = &fault_kinds[i];
        fits_kind(f);
        if (!is_a_rule(f->rule, strlen(f->rule)))
            fail_msg("no rule %s", f->rule);
        for (const char *at = f->may; at && *at; at += *at == ',') {
            size_t n = strcspn(at, ",");
            if (!is_a_rule(at, n))
                fail_msg("no rule %s", at);
            at += n;
        }
        assert_true(f->cross <= f->rise || f->rise == 0);
    }
    for (size_t k = 0; k < fleet_n_kinds; k++) {
        const char *rule = fault_silence_rule(&fleet_kinds[k]);
        assert_true(is_a_rule(rule, strlen(rule)));
    }
    assert_false(is_a_rule("sump", 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_seed_same_city),
        cmocka_unit_test(every_kind_speaks),
        cmocka_unit_test(values_stay_in_range_and_meters_rise),
        cmocka_unit_test(sump_fills_and_is_pumped),
        cmocka_unit_test(lamps_follow_dusk_and_dawn),
        cmocka_unit_test(people_are_felt),
        cmocka_unit_test(every_time_is_said_once),
        cmocka_unit_test(payloads_are_json),
        cmocka_unit_test(names_are_in_the_catalogue),
        cmocka_unit_test(registry_is_read),
        cmocka_unit_test(numbers_are_written_right),
        cmocka_unit_test(the_same_seed_speaks_the_same),
        cmocka_unit_test(every_family_speaks),
        cmocka_unit_test(faults_come_at_their_rates),
        cmocka_unit_test(families_are_named),
        cmocka_unit_test(faults_do_not_overlap_and_touch_only_their_device),
        cmocka_unit_test(a_fault_comes_by_order),
        cmocka_unit_test(faults_are_of_their_kinds_and_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
