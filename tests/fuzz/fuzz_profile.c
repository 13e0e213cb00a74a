/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loader of profiles: any text is either refused with a reason or makes a profile that runs
 * its own examples, reads any payload, and answers simple questions.
 */
#include "base/check.h"
#include "base/mem.h"
#include "core/json.h"
#include "core/profile.h"

#include <stdlib.h>
#include <string.h>

static const char catalog_text[] =
    "version: 1\nkinds:\n"
    "  sump: {zh: z, en: e, metrics: {level: {type: float, unit: m, min: 0, max: 5, zh: z, en: "
    "e}, "
    "temperature: {type: float, unit: Cel, zh: z, en: e}, pump_on: {type: bool, zh: z, en: e}, "
    "starts: {type: int, zh: z, en: e}, firmware: {type: string, zh: z, en: e}, state: {type: "
    "enum, zh: z, en: e, codes: [{code: 0, name: normal, zh: z, en: e}]}}}\n";

static void decode_any(const struct profile *p, struct profile_run *x, const uint8_t *data,
                       size_t size)
{
    static struct decoded out;
    struct profile_verdict v;
    struct topic_match match = {.n = 0};
    size_t n = size < 4096 ? size : 4096;
    char *payload = mem_zalloc(n + JSON_PADDING);
    memcpy(payload, data, n);
    struct profile_input in = {
        .topic = "up/a/b", .topic_len = 6, .match = &match, .payload = payload, .len = n};
    profile_decode(p, x, &in, &out, &v);
    ASSERT(out.n_values <= DECODE_MAX_VALUES && out.n_samples <= DECODE_MAX_SAMPLES);
    ASSERT(v.outcome == PROFILE_SAMPLES || out.n_samples == 0);
    free(payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct catalog *c;
    static struct profile_run *x;
    struct problems *p = problems_new(50);
    if (!c) {
        ASSERT(catalog_parse(catalog_text, sizeof(catalog_text) - 1, "c", p, &c) == 0);
        x = profile_run_new(65536);
    }
    char *text = mem_strndup((const char *)data, size); /* exactly as long: ASan sees the end */
    struct profile_text file = {"f", text, size};
    struct profile_set *s = NULL;
    int r = profile_set_open(&file, 1, c, NULL, p, &s);
    ASSERT((r == 0) == (problems_errors(p) == 0));
    ASSERT((r == 0) == (s != NULL));
    if (s) {
        ASSERT(profile_set_count(s) <= 1);
        if (profile_set_count(s) == 1) {
            const struct profile *one = profile_set_at(s, 0);
            ASSERT(profile_find(s, profile_name(one)) == one);
            (void)profile_check_examples(s, NULL, p);
            decode_any(one, x, data, size);
            decode_any(one, x, (const uint8_t *)"{\"a\":[1,{\"b\":2}]}", 17);
        }
        profile_set_free(s);
    }
    free(text);
    problems_free(p);
    return 0;
}
