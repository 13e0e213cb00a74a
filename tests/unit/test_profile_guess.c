/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/mem.h"
#include "core/json.h"
#include "core/profile.h"
#include "core/profile_guess.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct catalog *catalog;

static int load_catalog(void **state)
{
    (void)state;
    FILE *f = fopen("config/catalog.yaml", "re");
    char *text = mem_zalloc(1 << 20);
    size_t len = f ? fread(text, 1, (1 << 20) - 1, f) : 0;
    struct problems *p = problems_new(10);
    if (f)
        (void)fclose(f);
    int r = catalog_parse(text, len, "catalog.yaml", p, &catalog);
    problems_free(p);
    free(text);
    return r;
}

static int drop_catalog(void **state)
{
    (void)state;
    catalog_free(catalog);
    return 0;
}

/* The draft; it must load as a profile. */
static struct buf draft_of(const char *topic, const char *payload, const char **out_kind)
{
    struct buf b;
    struct err err = {""};
    const struct kind *k = NULL;
    char *padded = mem_zalloc(strlen(payload) + JSON_PADDING);
    memcpy(padded, payload, strlen(payload));
    struct profile_guess_sample s = {.topic = topic, .payload = padded, .len = strlen(payload)};
    buf_init(&b, 1 << 20);
    if (profile_guess("draft", &s, 1, catalog, &b, &k, &err) != 0)
        fail_msg("%s", err.text);
    *out_kind = k ? k->name : "";
    struct profile_text t = {"draft", buf_cstr(&b), b.len};
    struct profile_set *set = NULL;
    struct problems *p = problems_new(10);
    if (profile_set_open(&t, 1, catalog, NULL, p, &set) != 0)
        fail_msg("%s\n%s", problems_get(p, 0), buf_cstr(&b));
    profile_set_free(set);
    problems_free(p);
    free(padded);
    return b;
}

static void says(const char *topic, const char *payload, const char *kind,
                 const char *const *lines)
{
    const char *got;
    struct buf b = draft_of(topic, payload, &got);
    if (kind)
        assert_string_equal(got, kind);
    for (; *lines; lines++)
        if (!strstr(buf_cstr(&b), *lines))
            fail_msg("no %s in\n%s", *lines, buf_cstr(&b));
    buf_done(&b);
}

#define LINES(...) ((const char *const[]){__VA_ARGS__, NULL})

static void names_units_and_divisors(void **state)
{
    (void)state;
    says("dev/A81758FFFE03/data",
         "{\"deviceSn\":\"A81758FFFE03\",\"ts\":1795219200,\"temp\":215,\"humi\":55,"
         "\"battV\":3600,\"batt\":\"88\",\"odd\":{\"a b\":7}}",
         "environment",
         LINES("topics: ['dev/{device}/data']", "device: '{device}'", "time: '$.ts'",
               "\"temperature\": {from: '$.temp', divide: 10}   # review: 215",
               "\"humidity\": {from: '$.humi'}", "\"battery_pct\": {from: '$.batt'}",
               "#   $.odd[\"a b\"] = 7"));
    says(NULL, "{\"imei\":860123050001203,\"水位\":0.5,\"shuibeng\":true}", "sump",
         LINES("topics: ['review/{device}']", "device: '{$.imei}'", "\"level\": {from: '$",
               "\"pump_on\": {from: '$.shuibeng'}"));
    says("a/b", "{\"dev\":{\"id\":\"pump-0001\"},\"level_mm\":830,\"pumpOn\":0}", "sump",
         LINES("device: '{$.dev.id}'", "\"level\": {from: '$.level_mm', unit: \"mm\"}"));
}

static void arrays(void **state)
{
    (void)state;
    says("gw/24e124136b502217/up",
         "{\"gw\":\"x\",\"list\":[{\"devEUI\":\"24e1240001\",\"time\":\"2026-11-20 08:00:00\","
         "\"level_cm\":83}]}",
         NULL,
         LINES("topics: ['gw/{device}/up']", "each: '$.list[*]'", "device: '{@.devEUI}'",
               "time: {from: '@.time', format: \"yyyy-MM-dd HH:mm:ss\"}", "unit: \"cm\""));
    says("a/dev-0001", "[{\"temp\":21.5,\"t\":1795219200000},{\"temp\":21.6}]", NULL,
         LINES("each: '$[*]'", "{from: '@.temp'}", "time: '@.t'"));
    says("a/dev-0001",
         "{\"data\":[{\"name\":\"Temperature\",\"value\":\"21.5\"},{\"name\":\"湿度\","
         "\"value\":44}]}",
         NULL,
         LINES("in: '$.data'", "name: '@.name'", "'Temperature': {metric: temperature}",
               "'湿度': {metric: humidity}"));
    /* what a Chinese platform calls it; lists of which nothing is made are not passed over */
    says("plc/x/data",
         "{\"设备编号\":\"BZ-003\",\"时间\":\"2026/1/1 "
         "8:00:00\",\"电压\":[381.2,380.6],\"空\":[],"
         "\"数据\":[{\"水位\":0.5,\"点位\":[{\"参数\":\"运行\",\"值\":1}]}]}",
         NULL,
         LINES("device: '{$.设备编号}'", "time: {from: '$.时间', format: \"yyyy/M/d H:m:s\"}",
               "each: '$.数据[*]'", "{from: '@.水位'}",
               "#   $.电压 = (a list of 2: [0] is its first)\n",
               "#   @.点位 = (a list of 1: `each`, or `pairs` of name and value)\n"));
    says("a/dev-0001",
         "{\"数据\":[{\"名称\":\"温度\",\"值\":21.5}],\"时间\":\"2026年11月2日 8:05:00\"}",
         NULL,
         LINES("in: '$.数据'", "name: '@.名称'", "value: '@.值'",
               "'温度': {metric: temperature}", "format: \"yyyy年M月d日 H:m:s\""));
}

static void refuses(const char *payload, const char *words)
{
    struct buf b;
    struct err err = {""};
    const struct kind *k;
    char *padded = mem_zalloc(strlen(payload) + JSON_PADDING);
    memcpy(padded, payload, strlen(payload));
    struct profile_guess_sample s = {.topic = "a/b", .payload = padded, .len = strlen(payload)};
    buf_init(&b, 1 << 20);
    assert_true(profile_guess("draft", &s, 1, catalog, &b, &k, &err) < 0);
    if (!strstr(err.text, words))
        fail_msg("%s: expected %s", err.text, words);
    buf_done(&b);
    free(padded);
}

static void what_cannot_be_guessed(void **state)
{
    (void)state;
    refuses("##0101QN=2026", "not JSON");
    refuses("{}", "no values");
    refuses("{\"xyzzy\":1,\"plugh\":\"a\"}", "none of the names");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_units_and_divisors),
        cmocka_unit_test(arrays),
        cmocka_unit_test(what_cannot_be_guessed),
    };
    return cmocka_run_group_tests(tests, load_catalog, drop_catalog);
}
