/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The option table, gaihou.conf(5), the example file and --print-config say the same.
 * Run from the top of the tree.
 */
#include "core/conf_parse.h"
#include "tools/conf_doc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static char *load(const char *path)
{
    FILE *f = fopen(path, "rbe");
    if (!f)
        fail_msg("cannot open %s: run from the top of the tree", path);
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    size_t n = fread(text, 1, (1 << 20) - 1, f);
    text[n] = '\0';
    (void)fclose(f);
    return text;
}

static void example_is_the_tables(void **state)
{
    (void)state;
    char *have = load("config/gaihou.yaml");
    struct buf want;
    buf_init(&want, 1 << 20);
    conf_doc_example(&want);
    if (strcmp(have, buf_cstr(&want)) != 0)
        fail_msg("config/gaihou.yaml differs from the option table: make docs-conf");
    buf_done(&want);
    free(have);
}

static void man_page_is_the_tables(void **state)
{
    (void)state;
    char *have = load("daemon/man/gaihou.conf.5");
    struct buf want;
    buf_init(&want, 1 << 20);
    conf_doc_man(&want);
    if (!strstr(have, buf_cstr(&want)))
        fail_msg("daemon/man/gaihou.conf.5 differs from the option table: make docs-conf");
    buf_done(&want);
    free(have);
}

static const void *first_item(const struct conf *c, enum conf_home home)
{
    return home == CONF_IN_BROKER   ? (const void *)&c->brokers[0]
           : home == CONF_IN_SOURCE ? (const void *)&c->sources[0]
           : home == CONF_IN_SINK   ? (const void *)&c->sinks[0]
                                    : (const void *)c;
}

static struct conf *parse(const char *text)
{
    struct problems *p = problems_new(100);
    struct conf *c = NULL;
    if (conf_parse(text, strlen(text), "/etc/gaihou/gaihou.yaml", p, &c) != 0 ||
        problems_count(p) != 0)
        fail_msg("%s", problems_get(p, 0));
    problems_free(p);
    return c;
}

static void example_has_the_defaults(void **state)
{
    (void)state;
    char *text = load("config/gaihou.yaml");
    struct conf *c = parse(text);
    for (size_t i = 0; i < conf_options_n; i++) {
        const struct conf_option *o = &conf_options[i];
        struct buf b;
        buf_init(&b, 4096);
        conf_put_value(&b, o, first_item(c, o->home));
        /* A default, or an example's value, is written as --print-config writes it. */
        char path[256];
        const char *want = o->def ? o->def : *o->shown == '#' ? "null" : o->shown;
        if (o->type == CONF_PATH && *want != '/' && strcmp(want, "null") != 0) {
            (void)snprintf(path, sizeof(path), "/etc/gaihou/%s", want);
            want = path;
        }
        if (strcmp(o->path, "brokers.client_id") == 0)
            want = "gaihou-gateway-1";
        const char *got = buf_cstr(&b);
        size_t n = strlen(got);
        if (o->type == CONF_GLOBS) { /* a list of one */
            (void)snprintf(path, sizeof(path), "[\"/etc/gaihou/%.200s\"]", want);
            want = path;
        }
        if (n > 1 && *got == '"') {
            assert_int_equal(n - 2, strlen(want));
            assert_memory_equal(got + 1, want, n - 2);
        } else {
            assert_string_equal(got, want);
        }
        buf_done(&b);
    }
    conf_free(c);
    free(text);
}

/* Every option that is commented out in the example is right when it is not. */
static void commented_options_are_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < conf_options_n; i++) {
        const struct conf_option *o = &conf_options[i];
        if (o->def || *o->shown != '#')
            continue;
        struct yaml_node n = {.kind = YAML_SCALAR, .text = o->shown + 1};
        struct conf_owned own = {0};
        struct conf_ctx x = {.c = &own.c, .arena = &own.arena, .folder = "/"};
        union {
            struct conf c;
            struct conf_broker b;
            struct conf_source s;
            struct conf_sink k;
        } base = {0};
        if (*n.text == '[')
            n.text = "gaihou/v1/up/{compound}/{device}";
        arena_init(&own.arena, 1 << 20);
        if (!conf_take_value(&x, o, &base, &n))
            fail_msg("the example's %s is refused", o->path);
        conf_notes_done(&x.notes);
        arena_done(&own.arena);
    }
}

static void print_has_every_option(void **state)
{
    (void)state;
    char *text = load("config/gaihou.yaml");
    struct conf *c = parse(text);
    struct buf b;
    buf_init(&b, 1 << 20);
    assert_int_equal(conf_print(c, &b), 0);
    size_t lines = 0, sections = 0;
    for (const char *p = buf_cstr(&b); *p; p++)
        lines += *p == '\n';
    for (size_t i = 0; i < conf_options_n; i++) {
        char key[80];
        const char *dot = strrchr(conf_options[i].path, '.');
        (void)snprintf(key, sizeof(key), " %s: ", dot ? dot + 1 : conf_options[i].path);
        if (!strstr(b.data, key) && strncmp(b.data, key + 1, strlen(key) - 1) != 0 &&
            strchr(conf_options[i].path, '.'))
            fail_msg("--print-config lacks %s", conf_options[i].path);
    }
    sections = conf_sections_n;
    assert_int_equal(lines, conf_options_n + sections);
    buf_done(&b);
    conf_free(c);
    free(text);
}

/* What people read is there, and not too long for a line of the example. */
static void table_is_complete(void **state)
{
    (void)state;
    for (size_t i = 0; i < conf_options_n; i++) {
        const struct conf_option *o = &conf_options[i];
        if (!o->help || !o->zh || strlen(o->help) > 72)
            fail_msg("%s: help or zh is missing, or help is longer than 72", o->path);
        if (!o->def && !o->shown)
            fail_msg("%s: neither default nor example", o->path);
        if ((o->flags & CONF_REQUIRED) && o->def)
            fail_msg("%s: required, but has a default", o->path);
        if ((o->type == CONF_ENUM || o->type == CONF_WORD) != (o->words != NULL))
            fail_msg("%s: words", o->path);
        for (size_t k = 0; k < i; k++) {
            if (strcmp(conf_options[k].path, o->path) == 0)
                fail_msg("%s twice", o->path);
        }
        for (const char *dot = strchr(o->path, '.'); dot; dot = strchr(dot + 1, '.')) {
            if (!conf_section_find(o->path, (size_t)(dot - o->path)))
                fail_msg("%s: its section is not in the table", o->path);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_complete),
        cmocka_unit_test(example_is_the_tables),
        cmocka_unit_test(man_page_is_the_tables),
        cmocka_unit_test(example_has_the_defaults),
        cmocka_unit_test(commented_options_are_right),
        cmocka_unit_test(print_has_every_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
