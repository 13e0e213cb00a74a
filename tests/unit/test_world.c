/* SPDX-License-Identifier: Apache-2.0 */
/* world: bundles of this version and of the one before, and what only several files together can
 * say about sources. */
#include "unit.h"

#include "base/mem.h"
#include "core/world.h"

static const char catalog_text[] =
    "kinds:\n"
    "  sump:\n"
    "    zh: 集水井\n"
    "    en: Sump\n"
    "    metrics:\n"
    "      level: {type: float, unit: m, min: 0, max: 10, zh: 水位, en: Level}\n";
static const char compounds_text[] = "compound,name,firm\nc1,一村,f1\n";
static const char devices_text[] = "device,source_id,kind,compound\nd1,s1,sump,c1\n"
                                   "d2,s2,sump,c1\nd3,s3,sump,c1\n";
static const char devices_later[] = "device,source_id,kind,compound\nd3,s3,sump,c1\n"
                                    "d0,s0,sump,c1\nd1,s9,sump,c1\n";
static const char acme[] = "version: 1\n"
                           "profile: acme\n"
                           "topics: [\"acme/{id}/up\"]\n"
                           "device: \"{id}\"\n"
                           "messages:\n"
                           "  - name: up\n"
                           "    values: {level: $.level}\n";
static const char rumour[] = "version: 1\n"
                             "profile: rumour\n"
                             "verified: false\n"
                             "device: \"{$.id}\"\n"
                             "messages:\n"
                             "  - name: up\n"
                             "    values: {level: $.level}\n";
/* China has not changed its clock since 1991; this one does, in 2026. */
static const char zone_text[] = "-9223372036854775808 28800\n1798761600 32400\n";

struct texts {
    const char *sources, *zone;
    const char *devices;     /* NULL: devices_text */
    const char *compounds;   /* NULL: compounds_text */
    const char *profiles[4]; /* file names are p0.yaml … */
    const char *rules[4];    /* r0.yaml … */
    const char *conf, *params;
    bool backwards;
};

static const char usual_conf[] = "brokers: [{id: a, url: mqtt://h}, {id: b, url: mqtt://i}]\n"
                                 "sinks: [{id: s, type: victoriametrics, url: http://h}]\n";

static void bundle_of(const struct texts *t, struct buf *out)
{
    const char *devices = t->devices ? t->devices : devices_text;
    const char *compounds = t->compounds ? t->compounds : compounds_text;
    char *conf = mem_printf("gateway: {id: g}\n"
                            "%s"
                            "sources:\n%s",
                            t->conf ? t->conf : usual_conf, t->sources);
    struct world_text parts[WORLD_PARTS] = {
        [WORLD_CONF] = {"/etc/t/gaihou.yaml", conf, strlen(conf)},
        [WORLD_CATALOG] = {"/etc/t/catalog.yaml", catalog_text, strlen(catalog_text)},
        [WORLD_COMPOUNDS] = {"/etc/t/compounds.csv", compounds, strlen(compounds)},
        [WORLD_DEVICES] = {"/etc/t/devices.csv", devices, strlen(devices)},
    };
    static const char *const names[] = {"/etc/t/p0.yaml", "/etc/t/p1.yaml", "/etc/t/p2.yaml",
                                        "/etc/t/p3.yaml"};
    struct world_text profiles[4];
    size_t n = 0, have = 0;
    while (have < 4 && t->profiles[have])
        have++;
    for (; n < have; n++) {
        size_t i = t->backwards ? have - 1 - n : n;
        profiles[n] = (struct world_text){names[i], t->profiles[i], strlen(t->profiles[i])};
    }
    if (t->zone)
        parts[WORLD_ZONE] = (struct world_text){"Asia/Shanghai", t->zone, strlen(t->zone)};
    if (t->params)
        parts[WORLD_PARAMS] =
            (struct world_text){"/etc/t/params.csv", t->params, strlen(t->params)};
    buf_init(out, 1 << 20);
    assert_int_equal(world_bundle(parts, out), 0);
    assert_int_equal(world_bundle_profiles(profiles, n, out), 0);
    static const char *const rule_names[] = {"/etc/t/r0.yaml", "/etc/t/r1.yaml",
                                             "/etc/t/r2.yaml", "/etc/t/r3.yaml"};
    struct world_text rules[4];
    for (n = have = 0; have < 4 && t->rules[have];)
        have++;
    for (; n < have; n++) {
        size_t i = t->backwards ? have - 1 - n : n;
        rules[n] = (struct world_text){rule_names[i], t->rules[i], strlen(t->rules[i])};
    }
    assert_int_equal(world_bundle_rules(rules, n, out), 0);
    free(conf);
}

/* The world, or NULL; `said` is its first error, else its first warning, or "". That nobody uses
 * the second broker is not told here. */
static struct world *open_world(const struct texts *t, char said[512])
{
    struct problems *p = problems_new(20);
    struct world *w = NULL;
    struct buf b;
    bundle_of(t, &b);
    int r = world_open(b.data, b.len, p, &w);
    assert_int_equal(r == 0, w != NULL);
    assert_int_equal(r == 0, problems_errors(p) == 0);
    *said = '\0';
    for (size_t i = problems_count(p); i-- > 0;) {
        const char *line = problems_get(p, i);
        if (r == 0 ? !strstr(line, "no source uses") : strstr(line, ": error: ") != NULL)
            (void)snprintf(said, 512, "%s", line);
    }
    problems_free(p);
    buf_done(&b);
    return w;
}

static struct world *good(const struct texts *t)
{
    char said[512];
    struct world *w = open_world(t, said);
    if (!w || *said)
        fail_msg("%s", said);
    return w;
}

static void bad(const struct texts *t, const char *want)
{
    char said[512];
    struct world *w = open_world(t, said);
    assert_null(w);
    assert_string_equal(said, want);
}

static void older_bundles_open(void **state)
{
    (void)state;
    struct world *w =
        good(&(struct texts){.sources = "  - {profile: gaihou-json, broker: a}\n"});
    assert_int_equal(w->n_sources, 1);
    assert_null(w->sources[0].profile);
    assert_int_equal(profile_set_count(w->profiles), 0);
    assert_int_equal(rules_count(w->rules), 0);
    assert_non_null(w->zone);
    assert_int_equal(zone_offset_at(w->zone, 1795219200000), 28800);
    uint32_t at[ROUTE_MAX_HITS];
    static const char topic[] = "gaihou/v1/up/c1/d1";
    assert_int_equal(world_route(w, 0, topic, strlen(topic), at), 1);
    assert_int_equal(at[0], 0);
    assert_int_equal(world_route(w, 1, topic, strlen(topic), at), 0);
    assert_int_equal(world_route(w, 255, topic, strlen(topic), at), 1);
    world_free(w);
}

static void a_bundle_brings_its_zone(void **state)
{
    (void)state;
    struct world *w = good(&(struct texts){.sources = "  - {profile: gaihou-json, broker: a}\n",
                                           .zone = zone_text});
    assert_int_equal(w->zone->n, 2);
    assert_int_equal(zone_offset_at(w->zone, 1798761599999), 28800);
    assert_int_equal(zone_offset_at(w->zone, 1798761600000), 32400);
    struct buf again;
    buf_init(&again, 4096);
    assert_int_equal(world_zone_text(w->zone, &again), 0);
    assert_string_equal(buf_cstr(&again), zone_text);
    buf_done(&again);
    world_free(w);
    static const char *const wrong[] = {"x", "1 2\n", "-9223372036854775808 28800\n1 2",
                                        "-9223372036854775808 28800\n5 1\n5 2\n",
                                        "-9223372036854775808 999999\n"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        bad(&(struct texts){.sources = "  - {profile: gaihou-json, broker: a}\n",
                            .zone = wrong[i]},
            "bundle: error: its time zone cannot be read");
}

static void profiles_come_in_the_order_of_their_names(void **state)
{
    (void)state;
    static const char sources[] = "  - {profile: acme, broker: a}\n";
    struct world *w = good(
        &(struct texts){.sources = sources, .zone = zone_text, .profiles = {rumour, acme}});
    struct world *v = good(&(struct texts){
        .sources = sources, .zone = zone_text, .profiles = {rumour, acme}, .backwards = true});
    assert_string_equal(w->hash, v->hash);
    assert_int_equal(profile_set_count(w->profiles), 2);
    assert_int_equal(w->n_sources, 1);
    assert_ptr_equal(w->sources[0].profile, profile_find(w->profiles, "acme"));
    assert_string_equal(topic_filter(w->sources[0].topic), "acme/+/up");
    world_free(w);
    world_free(v);
}

#define NATIVE "  - {profile: gaihou-json, broker: a}\n"
#define RULE_HEAD(name)                                                                        \
    "version: 1\ngroups:\n- name: g\n  rules:\n  - id: " name                                  \
    "\n    kind: sump\n    title: t\n"                                                         \
    "    action: a\n    no_data: {policy: alert, after: 1h}\n"
#define TOLD                                                                                   \
    "brokers: [{id: a, url: mqtt://h}]\nalerts: {broker: a}\n"                                 \
    "sinks: [{id: s, type: victoriametrics, url: http://h}]\n"

static void rules_come_in_the_order_of_their_names(void **state)
{
    (void)state;
    struct texts t = {
        .sources = NATIVE, .conf = TOLD, .rules = {RULE_HEAD("second"), RULE_HEAD("first")}};
    struct world *w = good(&t);
    t.backwards = true;
    struct world *v = good(&t);
    assert_string_equal(w->hash, v->hash);
    assert_int_equal(rules_count(w->rules), 2);
    assert_string_equal(rules_at(w->rules, 0)->id, "second");
    assert_string_equal(rules_at(w->rules, 1)->file, "/etc/t/r1.yaml");
    world_free(w);
    world_free(v);
}

static void rules_ask_of_the_configuration(void **state)
{
    (void)state;
    char said[512];
    struct texts t = {.sources = NATIVE, .rules = {RULE_HEAD("r")}};
    struct world *w = open_world(&t, said);
    assert_non_null(w);
    assert_string_equal(said,
                        "/etc/t/gaihou.yaml: warning: alerts.broker is missing: the alarms "
                        "of 1 rules are told to nobody");
    world_free(w);
    t.conf = "brokers: [{id: a, url: mqtt://h, share_group: x}]\nalerts: {broker: a}\n"
             "sinks: [{id: s, type: victoriametrics, url: http://h}]\n";
    bad(&t,
        "/etc/t/gaihou.yaml:2:47: error: brokers.share_group: refused where rules are loaded, "
        "for a device must stay with its alarms' state, expected topics split between "
        "gateways");
    t.conf = "brokers: [{id: a, url: mqtt://h}]\nalerts: {broker: a}\n"
             "sinks: [{id: s, type: victoriametrics, url: http://h, on_full: pause}]\n";
    bad(&t, "/etc/t/gaihou.yaml:4:64: error: sinks.on_full: pause would stop the alarms of the "
            "rules that are loaded, expected shed, or alarms_may_stop: true beside it");
    t.conf = "brokers: [{id: a, url: mqtt://h}]\nalerts: {broker: a}\nsinks: [{id: s, type: "
             "victoriametrics, url: http://h, on_full: pause, alarms_may_stop: true}]\n";
    world_free(good(&t));
    t.rules[0] = NULL; /* without rules nobody minds */
    t.conf = "brokers: [{id: a, url: mqtt://h, share_group: x}]\n"
             "sinks: [{id: s, type: victoriametrics, url: http://h, on_full: pause}]\n";
    world_free(good(&t));
}

static void rules_ask_of_the_registry(void **state)
{
    (void)state;
    char said[512];
    struct texts t = {
        .sources = NATIVE,
        .conf = TOLD,
        .params = "device,name,value\nd2,limit,7\n",
        .rules = {RULE_HEAD("r") "    params: {limit: {default: 1, unit: m, min: 0, "
                                 "max: 5}}\n"}};
    bad(&t, "/etc/t/r0.yaml:5: error: rule r: $limit of device d2 is 7 in params.csv, expected "
            "0 to "
            "5");
    t.rules[0] = RULE_HEAD("r") "    params: {limit: {default: 9, unit: m, min: 7.5}}\n";
    bad(&t,
        "/etc/t/r0.yaml:5: error: rule r: $limit of device d2 is 7 in params.csv, expected at "
        "least 7.5");
    t.rules[0] = RULE_HEAD("r") "    params: {limit: {default: 1, unit: m, max: 5}}\n";
    bad(&t,
        "/etc/t/r0.yaml:5: error: rule r: $limit of device d2 is 7 in params.csv, expected at "
        "most 5");
    t.params = "device,name,value\nd2,limit,5\n";
    world_free(good(&t));
    t.params = "device,name,value\nd2,range.level.max,5\nd1,limt,5\nd2,limt,5\nd3,limit,5\n";
    struct world *unread = open_world(&t, said);
    assert_non_null(unread);
    assert_string_equal(said, "params.csv:3: warning: no rule of kind sump reads $limt (device "
                              "d1 and 1 more), did you mean \"limit\"?");
    world_free(unread);
    t.params = NULL;
    t.rules[0] = RULE_HEAD("r") "    only: {compounds: [c1, c7]}\n";
    struct world *w = open_world(&t, said);
    assert_string_equal(said, "/etc/t/r0.yaml:5: warning: rule r: there is no compound \"c7\"");
    world_free(w);
    t.rules[0] = RULE_HEAD("r") "    only: {firms: wuye}\n";
    w = open_world(&t, said);
    assert_string_equal(said,
                        "/etc/t/r0.yaml:5: warning: rule r: no compound has the firm \"wuye\"");
    world_free(w);
    /* What a rule makes life-safety is worth a QoS of 1. */
    t.rules[0] = RULE_HEAD("r") "    life_safety: true\n";
    world_free(good(&t));
    t.sources = "  - {profile: gaihou-json, broker: a, qos: 0}\n";
    bad(&t, "/etc/t/gaihou.yaml:6:44: error: qos: 0 while rule r is one of life-safety and "
            "concerns "
            "device d1, expected qos: 1");
    t.rules[0] = RULE_HEAD("r") "    life_safety: true\n    only: {tiers: basic}\n";
    w = open_world(&t, said);
    assert_non_null(w); /* it concerns none */
    world_free(w);
}

/* Lints that need the registry. */
static void somebody_must_hear(void **state)
{
    (void)state;
    char said[512];
    struct texts t = {.sources = NATIVE,
                      .conf = TOLD,
                      .compounds = "compound,name,merged_into\nc1,一村,\nc2,二村,c1\n",
                      .rules = {RULE_HEAD("r")}};
    struct world *w = open_world(&t, said);
    assert_string_equal(said,
                        "compounds.csv: warning: no owner: 1 compound with devices under "
                        "rules has no firm, and nobody is told of what happens there: c1");
    world_free(w);
    t.compounds = "compound,name,merged_into,firm\nc1,一村,c2,\nc2,二村,,f1\n";
    world_free(good(&t)); /* what it is merged into has one */
    t.compounds = "compound,name,firm\nc1,一村,f1\nc2,二村,\n";
    world_free(good(&t)); /* nothing is there that could alarm */
    t.compounds = "compound,name,tier\nc1,一村,basic\n";
    t.rules[0] = RULE_HEAD("r") "    only: {tiers: standard}\n";
    w = open_world(&t, said);
    assert_string_equal(said, "/etc/t/r0.yaml:5: warning: rule r: what `only` leaves is no "
                              "device of the registry: it can never alarm");
    world_free(w);
    t.compounds = NULL;
    t.rules[0] = RULE_HEAD("r") "    only: {tiers: standard, firms: f9}\n";
    w = open_world(&t, said);
    assert_string_equal(said,
                        "/etc/t/r0.yaml:5: warning: rule r: no compound has the firm \"f9\"");
    world_free(w);
}

/* Who should speak is known from the registry; of whom nobody says how often, silence is never told. */
static void somebody_must_be_missed(void **state)
{
    (void)state;
    char said[512];
    struct texts t = {
        .sources = NATIVE,
        .conf = TOLD,
        .devices = "device,kind,compound,expected_interval,retired\nd1,sump,c1,,\n"
                   "d2,sump,c1,5m,\nd3,sump,c1,,2026-01-01\nd4,sump,c1,,\n",
        .rules = {
            "version: 1\ngroups:\n  - name: g\n    rules:\n"
            "      - {id: a, kind: sump, title: t, action: a, no_data: {policy: alert}}\n"}};
    struct world *w = open_world(&t, said);
    assert_string_equal(said, "devices.csv: warning: never missed: 2 devices have no "
                              "expected_interval, which the rules about silence go by, so that "
                              "nobody is told when they fall silent: d1, d4");
    world_free(w);
    t.rules[1] = "version: 1\ngroups:\n  - name: g\n    rules:\n"
                 "      - {id: b, kind: \"*\", title: t, action: a, no_data: {after: 25h}}\n";
    world_free(good(&t)); /* this one knows by itself */
}

static void wrong_rules_are_told(void **state)
{
    (void)state;
    bad(&(struct texts){.sources = NATIVE,
                        .conf = TOLD,
                        .rules = {RULE_HEAD("r") "    levels: [{severity: minor, when: levl > "
                                                 "1}]\n"}},
        "/etc/t/r0.yaml:10:38: error: sump has no metric \"levl\", expected \"level\"?");
}

/* The usual interval of a kind's devices is what most of them have. */
static void lints_know_the_interval(void **state)
{
    (void)state;
    char said[512];
    struct texts t = {
        .sources = NATIVE,
        .conf = TOLD,
        .devices = "device,kind,compound,expected_interval\nd1,sump,c1,5m\n"
                   "d2,sump,c1,30s\nd3,sump,c1,5m\n",
        .rules = {RULE_HEAD("r") "    levels: [{severity: minor, when: level > 1, "
                                 "off: level < 0.5, for: 1m}]\n"}};
    struct world *w = open_world(&t, said);
    assert_non_null(w);
    assert_string_equal(said, "/etc/t/r0.yaml:10:38: warning: for is shorter than the 300 s "
                              "between two reports of kind sump: it is one report more, not "
                              "longer");
    world_free(w);
    /* Of three that differ none is usual, whichever comes last. */
    t.devices = "device,kind,compound,expected_interval\nd1,sump,c1,5m\n"
                "d2,sump,c1,30s\nd3,sump,c1,15m\n";
    world_free(good(&t));
}

static void a_topic_has_several_sources(void **state)
{
    (void)state;
    char said[512];
    struct world *w =
        open_world(&(struct texts){.sources = "  - {profile: gaihou-json, broker: a, topics: "
                                              "[\"up/{device}\", \"x/{device}\"]}\n"
                                              "  - {profile: acme, broker: b}\n"
                                              "  - {profile: acme, broker: a, qos: 0, topics: "
                                              "[\"up/{id}\", \"up/{id}/#\"]}\n",
                                   .zone = zone_text,
                                   .profiles = {acme}},
                   said);
    assert_non_null(w);
    assert_non_null(strstr(said, "0 promises nothing"));
    assert_int_equal(w->n_sources, 5);
    uint32_t at[ROUTE_MAX_HITS];
    assert_int_equal(world_route(w, 0, "up/d", 4, at), 3);
    assert_int_equal(at[0], 0);
    assert_int_equal(at[1], 3);
    assert_int_equal(at[2], 4);
    assert_int_equal(w->sources[4].index, 2);
    assert_int_equal(w->sources[4].broker, 0);
    assert_int_equal(world_route(w, 1, "acme/d/up", 9, at), 1);
    assert_int_equal(at[0], 2);

    const char *filters[8];
    unsigned qos[8];
    assert_int_equal(world_filters(w, 0, NULL, NULL, 0), 3);
    assert_int_equal(world_filters(w, 0, filters, qos, 8), 3);
    assert_string_equal(filters[0], "up/+");
    assert_int_equal(qos[0], 1); /* the higher of the two */
    assert_string_equal(filters[1], "x/+");
    assert_string_equal(filters[2], "up/+/#");
    assert_int_equal(qos[2], 0);
    assert_int_equal(world_filters(w, 1, filters, qos, 8), 1);
    assert_int_equal(world_filters(w, 7, filters, qos, 8), 0);
    world_free(w);
}

/* A broker delivers a message once for each subscription that it fits. */
static void what_another_filter_covers_is_not_subscribed(void **state)
{
    (void)state;
    char said[512];
    struct world *w = open_world(
        &(struct texts){.sources = "  - {profile: gaihou-json, broker: a, topics: "
                                   "[\"sys/{device}/event/property/post\", "
                                   "\"sys/{device}/event/{what}/post\", \"a/{device}/#\", "
                                   "\"a/{device}\", \"a/{device}/b\", \"$a/{device}\", "
                                   "\"{device}/x\"]}\n",
                        .zone = zone_text},
        said);
    assert_non_null(w);
    const char *filters[8];
    unsigned qos[8];
    assert_int_equal(world_filters(w, 0, filters, qos, 8), 4);
    assert_string_equal(filters[0], "sys/+/event/+/post");
    assert_string_equal(filters[1], "a/+/#");
    assert_string_equal(filters[2], "$a/+");
    assert_string_equal(filters[3], "+/x");
    world_free(w);
}

static void what_is_wrong_with_sources(void **state)
{
    (void)state;
    bad(&(struct texts){.sources = "  - {profile: acmee, broker: a}\n",
                        .zone = zone_text,
                        .profiles = {acme}},
        "/etc/t/gaihou.yaml:5:15: error: sources.profile: there is no profile \"acmee\", did "
        "you "
        "mean \"acme\"?");
    bad(&(struct texts){.sources = "  - {profile: gaihou-jsn, broker: a}\n",
                        .zone = zone_text,
                        .profiles = {acme}},
        "/etc/t/gaihou.yaml:5:15: error: sources.profile: there is no profile \"gaihou-jsn\", "
        "did "
        "you mean \"gaihou-json\"?");
    bad(&(struct texts){.sources = "  - {profile: milesight, broker: a}\n",
                        .zone = zone_text,
                        .profiles = {acme}},
        "/etc/t/gaihou.yaml:5:15: error: sources.profile: there is no profile \"milesight\", "
        "expected gaihou-json or one of the 1 in the files of profiles:");
    bad(&(struct texts){.sources =
                            "  - {profile: acme, broker: a, topics: [\"acme/{eui}/up\"]}\n",
                        .zone = zone_text,
                        .profiles = {acme}},
        "/etc/t/gaihou.yaml:5:40: error: topic \"acme/{eui}/up\" has no level {id}, which "
        "profile "
        "acme needs");
    bad(&(struct texts){.sources =
                            "  - {profile: gaihou-json, broker: a, topics: [\"x/{id}\"]}\n"},
        "/etc/t/gaihou.yaml:5:47: error: topic \"x/{id}\" has no level {device}, which profile "
        "gaihou-json needs");
    bad(&(struct texts){.sources = "  - {profile: gaihou-json, broker: a, topics: "
                                   "[\"x/{compund}/{device}\"]}\n"},
        "/etc/t/gaihou.yaml:5:47: error: topic \"x/{compund}/{device}\": nobody reads "
        "{compund}, "
        "did you mean {compound}?");
    bad(&(struct texts){.sources = "  - {profile: acme, broker: a, topics: "
                                   "[\"{compounds}/{area}/{id}/up\"]}\n",
                        .zone = zone_text,
                        .profiles = {acme}},
        "/etc/t/gaihou.yaml:5:40: error: topic \"{compounds}/{area}/{id}/up\": nobody reads "
        "{compounds}, did you mean {compound}?");
    bad(&(struct texts){.sources = "  - {profile: rumour, broker: a}\n",
                        .zone = zone_text,
                        .profiles = {acme, rumour}},
        "/etc/t/gaihou.yaml:5: error: sources.topics is missing: profile rumour has no topics "
        "of its own");
}

static void unverified_profiles_are_told_once(void **state)
{
    (void)state;
    struct problems *p = problems_new(20);
    struct world *w = NULL;
    struct buf b;
    bundle_of(&(struct texts){.sources =
                                  "  - {profile: rumour, broker: a, topics: [\"r/{id}\"]}\n"
                                  "  - {profile: rumour, broker: b, topics: [\"r/{id}\"]}\n",
                              .zone = zone_text,
                              .profiles = {acme, rumour}},
              &b);
    assert_int_equal(world_open(b.data, b.len, p, &w), 0);
    assert_int_equal(problems_count(p), 1);
    assert_non_null(strstr(problems_get(p, 0), ":5:15: warning: profile rumour is unverified"));
    problems_free(p);
    world_free(w);
    buf_done(&b);
}

/* What a later version only judges must not stand between a journal and its generation; what cannot be
 * gone on with is told first, however much there is to warn of. */
static void what_was_taken_once_is_taken_again(void **state)
{
    (void)state;
    static const struct texts refused[] = {
        {.sources = NATIVE,
         .rules = {RULE_HEAD("r")},
         .conf = "brokers: [{id: a, url: mqtt://h, share_group: x}]\nalerts: {broker: a}\n"
                 "sinks: [{id: s, type: victoriametrics, url: http://h, on_full: pause}]\n"},
        {.sources = NATIVE,
         .conf = "brokers: [{id: a, url: mqtt://h, password_file: p},"
                 " {id: b, url: mqtt://h, tls: {ca_file: c}}]\n"
                 "journal: {max_bytes: 64MiB, segment_bytes: 32MiB}\n"
                 "sinks: [{id: s, type: victoriametrics, url: http://h/write, org: o}]\n"},
        {.sources = NATIVE,
         .conf = TOLD,
         .params = "device,name,value\nd2,limit,7\n",
         .rules = {RULE_HEAD("r") "    params: {limit: {default: 1, unit: m, max: 5}}\n"}},
        {.sources = "  - {profile: gaihou-json, broker: a, qos: 0}\n",
         .conf = TOLD,
         .rules = {RULE_HEAD("r") "    life_safety: true\n"}},
        {.sources = "  - {profile: acme, broker: a, topics: [\"a/{id}/{compond}\"]}\n",
         .zone = zone_text,
         .profiles = {acme}},
    };
    static const char *const hopeless[] = {
        "  - {profile: rumour, broker: a, topics: [\"r/{id}\"]}\n"
        "  - {profile: acme, broker: z}\n",
        "  - {profile: rumour, broker: a, topics: [\"r/{id}\"]}\n"
        "  - {profile: acne, broker: a}\n",
    };
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        for (int kept = 0; kept < 2; kept++) {
            struct problems *p = kept ? problems_new_kept(1) : problems_new(1);
            struct world *w = NULL;
            struct buf b;
            bundle_of(&refused[i], &b);
            if (world_open(b.data, b.len, p, &w) != (kept ? 0 : -EINVAL))
                fail_msg("%zu: %s", i, problems_count(p) ? problems_get(p, 0) : "taken");
            assert_int_equal(problems_count(p) == 0, kept);
            if (kept && w->n_sources == 0)
                fail_msg("%zu: no source", i);
            world_free(w);
            problems_free(p);
            buf_done(&b);
        }
    }
    for (size_t i = 0; i < sizeof(hopeless) / sizeof(hopeless[0]); i++) {
        const struct texts t = {
            .sources = hopeless[i], .zone = zone_text, .profiles = {acme, rumour}};
        struct problems *p = problems_new_kept(1);
        struct world *w;
        struct buf b;
        bundle_of(&t, &b);
        assert_int_equal(world_open(b.data, b.len, p, &w), -EINVAL);
        if (!strstr(problems_get(p, 0), ": error: "))
            fail_msg("%s", problems_get(p, 0));
        problems_free(p);
        buf_done(&b);
    }
}

static void check_links(const struct world *w, const struct world *before)
{
    for (size_t i = 0; i < registry_devices(w->registry); i++) {
        const struct device *d = registry_device_at(w->registry, i);
        assert_ptr_equal(world_device_before(w, before, d),
                         registry_find(before->registry, d->code, strlen(d->code)));
    }
    for (size_t i = 0; i < registry_devices(before->registry); i++) {
        const struct device *d = registry_device_at(before->registry, i);
        assert_ptr_equal(world_device_after(w, before, d),
                         registry_find(w->registry, d->code, strlen(d->code)));
    }
}

static void devices_are_found_in_the_other_generation(void **state)
{
    (void)state;
    static const char sources[] = "  - {profile: gaihou-json, broker: a}\n";
    struct world *a = good(&(struct texts){.sources = sources});
    struct world *b = good(&(struct texts){.sources = sources, .devices = devices_later});
    check_links(b, a);
    world_link(b, a);
    check_links(b, a);
    check_links(b, b); /* another generation than the one it is linked to */
    world_link(b, b);
    check_links(b, a);
    check_links(b, b);
    world_free(a);
    world_free(b);
}

/* Whatever is cut out of a bundle is refused or opened, and nothing is read beyond it. */
static void broken_bundles(void **state)
{
    (void)state;
    struct buf b;
    bundle_of(&(struct texts){.sources = "  - {profile: acme, broker: a}\n",
                              .zone = zone_text,
                              .profiles = {acme, rumour}},
              &b);
    for (size_t n = 0; n < b.len; n++) {
        struct problems *p = problems_new(20);
        struct world *w = NULL;
        char *cut = mem_dup(b.data, n);
        if (world_open(cut, n, p, &w) == 0)
            world_free(w);
        free(cut);
        problems_free(p);
    }
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(older_bundles_open),
        cmocka_unit_test(a_bundle_brings_its_zone),
        cmocka_unit_test(profiles_come_in_the_order_of_their_names),
        cmocka_unit_test(a_topic_has_several_sources),
        cmocka_unit_test(rules_come_in_the_order_of_their_names),
        cmocka_unit_test(rules_ask_of_the_configuration),
        cmocka_unit_test(rules_ask_of_the_registry),
        cmocka_unit_test(somebody_must_hear),
        cmocka_unit_test(somebody_must_be_missed),
        cmocka_unit_test(wrong_rules_are_told),
        cmocka_unit_test(lints_know_the_interval),
        cmocka_unit_test(what_another_filter_covers_is_not_subscribed),
        cmocka_unit_test(what_is_wrong_with_sources),
        cmocka_unit_test(unverified_profiles_are_told_once),
        cmocka_unit_test(what_was_taken_once_is_taken_again),
        cmocka_unit_test(devices_are_found_in_the_other_generation),
        cmocka_unit_test(broken_bundles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
