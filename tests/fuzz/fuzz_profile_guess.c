/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples of JSON, separated by form feeds; a first line is the topic. A draft that is made must
 * load as a profile, whatever the names and values in it are.
 */
#include "base/check.h"
#include "base/mem.h"
#include "core/json.h"
#include "core/profile.h"
#include "core/profile_guess.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char catalogue[] =
    "version: 1\nkinds:\n"
    "  sump:\n    zh: 集水井\n    en: Sump\n    metrics:\n"
    "      level: {type: float, unit: m, min: 0, max: 5, zh: 水位, en: Level}\n"
    "      pump_on: {type: bool, zh: 水泵, en: Pump}\n"
    "      firmware: {type: string, zh: 固件, en: Firmware}\n"
    "  environment:\n    zh: 环境\n    en: Environment\n    metrics:\n"
    "      temperature: {type: float, unit: Cel, min: -40, max: 85, zh: 温度, en: "
    "Temperature}\n"
    "      humidity: {type: float, unit: '%', min: 0, max: 100, zh: 相对湿度, en: Humidity}\n"
    "      battery_v: {type: float, unit: V, min: 0, max: 20, zh: 电池电压, en: Battery}\n";

enum { MAX_SAMPLES = 4 };

static struct catalog *catalog;

static void check(const struct profile_guess_sample *samples, size_t n)
{
    const struct kind *kind = NULL;
    struct err err = {""};
    struct buf b;
    buf_init(&b, 1 << 20);
    if (profile_guess("draft", samples, n, catalog, &b, &kind, &err) != 0) {
        ASSERT(err.text[0]);
        buf_done(&b);
        return;
    }
    ASSERT(kind);
    struct problems *p = problems_new(5);
    struct profile_text t = {"draft", b.data, b.len};
    struct profile_set *set = NULL;
    if (profile_set_open(&t, 1, catalog, NULL, p, &set) != 0) {
        (void)fprintf(stderr, "%s\n%.*s\n", problems_get(p, 0), (int)b.len, b.data);
        ASSERT(false);
    }
    profile_set_free(set);
    problems_free(p);
    buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!catalog) {
        struct problems *p = problems_new(5);
        ASSERT(catalog_parse(catalogue, sizeof(catalogue) - 1, "c", p, &catalog) == 0);
        problems_free(p);
    }
    struct profile_guess_sample samples[MAX_SAMPLES];
    char *owned[MAX_SAMPLES], *topic = NULL;
    size_t n = 0;
    const char *at = (const char *)data, *end = at + size;
    const char *nl = size ? memchr(at, '\n', size) : NULL;
    if (nl && nl > at && !memchr(at, '\0', (size_t)(nl - at)))
        topic = mem_strndup(at, (size_t)(nl - at));
    for (at = nl ? nl + 1 : at; at < end && n < MAX_SAMPLES; n++) {
        const char *next = memchr(at, '\f', (size_t)(end - at));
        size_t len = (size_t)((next ? next : end) - at);
        owned[n] = mem_zalloc(len + JSON_PADDING);
        memcpy(owned[n], at, len);
        samples[n] =
            (struct profile_guess_sample){.topic = topic, .payload = owned[n], .len = len};
        at += len + 1;
    }
    if (n > 0)
        check(samples, n);
    for (size_t i = 0; i < n; i++)
        free(owned[i]);
    free(topic);
    return 0;
}
