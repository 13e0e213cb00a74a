/* SPDX-License-Identifier: Apache-2.0 */
/* Definitions: any YAML is taken or refused with a reason; what is taken decodes any bytes
 * without reading past them. */
#include "base/check.h"
#include "core/codec.h"

#include <errno.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libfyaml's leak: see fuzz_conf.c. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml.so\n";
}

static void decode(const struct codec_chain *c, const char *p, size_t n)
{
    static struct codec_run *run;
    struct json_value root;
    struct codec_fault f = {0};
    if (!run)
        run = codec_run_new(1 << 14);
    char *copy = calloc(1, n + JSON_PADDING);
    if (!copy)
        abort();
    memcpy(copy, p, n);
    codec_run_clear(run);
    int r = codec_chain_run(c, run, copy, n, &root, &f);
    free(copy);
    ASSERT(r == 0 || ((r == -EBADMSG || r == -E2BIG) && f.why && *f.why));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct conf_notes notes = {0};
    if (size > 4096)
        return 0;
    arena_init(&a, 16 << 20);
    struct yaml_node *root = yaml_parse((const char *)data, size, &a, &notes);
    if (root && root->kind == YAML_MAP) {
        static const char bytes[] = "\x01\x75\x64\x03\x67\xff\x00\x00\x00\x00\x12\x34{\"a\":1}";
        struct problems *p = problems_new(100);
        struct codec_set *s = codec_set_new();
        size_t before = notes.errors;
        int r = codec_set_add(s, root, "x.yaml", &notes);
        ASSERT(r == (notes.errors == before ? 0 : -EINVAL));
        r = codec_set_settle(s, p);
        ASSERT((r == 0) == (problems_errors(p) == 0) || notes.errors > 0);
        for (const struct yaml_node *n = root->first; n; n = n->next) {
            before = notes.errors;
            struct codec_chain *c = codec_chain_parse(s, n, &notes);
            ASSERT(!c || notes.errors == before);
            if (!c)
                continue;
            decode(c, bytes, sizeof(bytes) - 1);
            decode(c, (const char *)data, size);
            decode(c, "", 0);
        }
        codec_set_free(s);
        problems_free(p);
    }
    conf_notes_done(&notes);
    arena_done(&a);
    return 0;
}
