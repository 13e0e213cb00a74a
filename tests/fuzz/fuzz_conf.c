/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf_parse on any bytes. If it accepts, what conf_print prints is accepted too, prints the
 * same, and needs no restart; if it refuses, it says why.
 */
#include "base/check.h"
#include "core/conf.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libfyaml 0.7.12 leaks a scan buffer (512 bytes) when a quoted scalar ends in a syntax error.
 * Only here: the unit tests see leaks of ours on every path that people take. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml.so\n";
}

static const char file[] = "/etc/gaihou/gaihou.yaml";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct problems *p = problems_new(50);
    struct conf *c = NULL, *again = NULL;
    if (conf_parse((const char *)data, size, file, p, &c) != 0) {
        ASSERT(!c && problems_errors(p) > 0 && problems_count(p) > 0);
        problems_free(p);
        return 0;
    }
    ASSERT(problems_errors(p) == 0);
    problems_free(p);

    struct buf one, two;
    buf_init(&one, 16u << 20);
    buf_init(&two, 16u << 20);
    ASSERT(conf_print(c, &one) == 0);
    /* What is printed may be longer than a file may be: by defaults only, never this much. */
    if (one.len <= CONF_MAX_BYTES) {
        p = problems_new(50);
        ASSERT(conf_parse(one.data, one.len, file, p, &again) == 0);
        problems_free(p);
        ASSERT(conf_print(again, &two) == 0);
        ASSERT(one.len == two.len && memcmp(one.data, two.data, one.len) == 0);
        ASSERT(!conf_needs_restart(c, again));
        conf_free(again);
    }
    buf_done(&one);
    buf_done(&two);
    conf_free(c);
    return 0;
}
