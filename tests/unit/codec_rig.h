/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CODEC_RIG_H
#define TESTS_CODEC_RIG_H
/* codec_rig — definitions, a chain and bytes in; JSON, or what is wrong, out. */
#include "core/codec.h"
#include "show.h"

#include <errno.h>

/* `yaml` may be ""; the problems, each on a line, into out. NULL when there are some. */
static inline struct codec_chain *rig_compile(struct codec_set *s, struct arena *a,
                                              const char *yaml, const char *chain,
                                              struct buf *out)
{
    struct conf_notes notes = {0};
    struct problems *p = problems_new(50);
    struct codec_chain *c = NULL;
    char text[512];
    if (*yaml) {
        struct yaml_node *root = yaml_parse(yaml, strlen(yaml), a, &notes);
        if (root)
            (void)codec_set_add(s, root->first, "x.yaml", &notes);
        conf_notes_hand_over(&notes, "x.yaml", p);
        conf_notes_done(&notes);
    }
    (void)codec_set_settle(s, p);
    if (chain) {
        (void)snprintf(text, sizeof(text), "decode: %s\n", chain);
        struct yaml_node *root = yaml_parse(text, strlen(text), a, &notes);
        if (root)
            c = codec_chain_parse(s, root->first, &notes);
        conf_notes_hand_over(&notes, "chain", p);
        conf_notes_done(&notes);
    }
    for (size_t i = 0; i < problems_count(p); i++)
        (void)buf_printf(out, "%s\n", problems_get(p, i));
    if (problems_errors(p))
        c = NULL;
    problems_free(p);
    return c;
}

/* The JSON, or "!why@at" of the fault. */
static inline void rig_run(const char *yaml, const char *chain, const char *p, size_t n,
                           struct buf *out)
{
    struct codec_set *s = codec_set_new();
    struct arena a;
    arena_init(&a, 16 << 20);
    struct codec_chain *c = rig_compile(s, &a, yaml, chain, out);
    arena_done(&a); /* nothing may point into the tree */
    if (c) {
        struct codec_run *x = codec_run_new(1 << 16);
        struct json_value root;
        struct codec_fault f;
        struct jsonw w;
        char *exact = malloc(n + JSON_PADDING);
        assert_non_null(exact);
        memcpy(exact, p, n);
        memset(exact + n, '"', JSON_PADDING);
        int r = codec_chain_run(c, x, exact, n, &root, &f);
        free(exact); /* values do not point into the input */
        if (r == 0) {
            jsonw_init(&w, out);
            show_into(&w, NULL, root, false);
        } else {
            assert_true(r == -EBADMSG || r == -E2BIG);
            (void)buf_printf(out, "!%s%s", f.checksum ? "sum: " : "", f.why);
        }
        codec_run_free(x);
    }
    codec_set_free(s);
}

static inline void gives_n(const char *yaml, const char *chain, const char *p, size_t n,
                           const char *json)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    rig_run(yaml, chain, p, n, &b);
    assert_string_equal(buf_cstr(&b), json);
    buf_done(&b);
}

static inline void gives(const char *yaml, const char *chain, const char *text,
                         const char *json)
{
    gives_n(yaml, chain, text, strlen(text), json);
}

static inline void refuses(const char *yaml, const char *chain, const char *text,
                           const char *why)
{
    struct buf b;
    buf_init(&b, 4096);
    (void)buf_printf(&b, "!%s", why);
    gives(yaml, chain, text, buf_cstr(&b));
    buf_done(&b);
}

/* The definitions are refused with exactly these lines. */
static inline void complains(const char *yaml, const char *chain, const char *lines)
{
    struct buf b;
    struct codec_set *s = codec_set_new();
    struct arena a;
    arena_init(&a, 16 << 20);
    buf_init(&b, 1 << 16);
    assert_null(rig_compile(s, &a, yaml, chain, &b));
    assert_string_equal(buf_cstr(&b), lines);
    buf_done(&b);
    arena_done(&a);
    codec_set_free(s);
}

#endif
