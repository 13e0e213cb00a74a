/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_TOOLS_CONF_DOC_H
#define TESTS_TOOLS_CONF_DOC_H
/*
 * conf_doc — the parts of gaihou.conf(5) and the example file that come from the option table.
 *
 * Used by the tool that writes them (make docs-conf) and by the test that compares them with
 * what is in the tree.
 */
#include "core/conf_table.h"

#include <stdio.h>
#include <string.h>

#define CONF_DOC_BEGIN ".\\\" options: begin (written by make docs-conf, do not edit)\n"
#define CONF_DOC_END   ".\\\" options: end\n"

static inline const struct conf_section *conf_doc_section(const char *path, size_t n)
{
    return conf_section_find(path, n);
}

/* A short sentence in mdoc: what values are possible. */
static inline void conf_doc_type(struct buf *b, const struct conf_option *o)
{
    switch (o->type) {
    case CONF_STRING:
        buf_printf(b, "text, at most %llu bytes", (unsigned long long)o->max);
        break;
    case CONF_CODE:
        buf_puts(b, "code: A\\(enZ a\\(enz 0\\(en9 . _ -, at most 64");
        break;
    case CONF_WORD:
    case CONF_ENUM:
        for (size_t i = 0; o->words[i]; i++)
            buf_printf(b, "%s%s", !i ? "" : o->words[i + 1] ? ", " : " or ", o->words[i]);
        break;
    case CONF_PATH:
        buf_puts(b, "path");
        break;
    case CONF_SECRET:
        buf_puts(b, "path, or name of a systemd credential");
        break;
    case CONF_BOOL:
        buf_puts(b, "true or false");
        break;
    case CONF_INT:
        buf_puts(b, "whole number, ");
        conf_put_range(b, o);
        break;
    case CONF_SIZE:
        buf_puts(b, "size, ");
        conf_put_range(b, o);
        break;
    case CONF_SECONDS:
    case CONF_NANOS:
        buf_puts(b, "duration, ");
        conf_put_range(b, o);
        break;
    case CONF_ZONE:
        buf_puts(b, "time zone");
        break;
    case CONF_LISTEN:
        buf_puts(b, "ADDRESS:PORT");
        break;
    case CONF_HTTP_URL:
        buf_puts(b, "URL");
        break;
    case CONF_MQTT_URLS:
        buf_printf(b, "URL, or list of at most %llu", (unsigned long long)o->max);
        break;
    case CONF_TOPICS:
        buf_printf(b, "list of topic filters, at most %llu", (unsigned long long)o->max);
        break;
    case CONF_GLOBS:
        buf_printf(b, "list of files or patterns, at most %llu", (unsigned long long)o->max);
        break;
    }
}

static inline void conf_doc_option(struct buf *b, const struct conf_option *o)
{
    buf_printf(b, ".It Cm %s\n", o->path);
    buf_putc(b, '(');
    conf_doc_type(b, o);
    if (o->flags & CONF_REQUIRED)
        buf_puts(b, "; required");
    else if (o->def)
        buf_printf(b, "; default %s", o->def);
    if (o->flags & CONF_NULLABLE)
        buf_puts(b, "; may be null");
    buf_puts(b, o->flags & CONF_LIVE ? "; changes on reload)\n" : ")\n");
    /* The help line, as a sentence. */
    buf_printf(b, "%s.\n", o->help);
    if (o->man)
        buf_printf(b, "%s\n", o->man);
}

static inline void conf_doc_man(struct buf *b)
{
    const char *before = "";
    size_t before_n = 0;
    bool open = false;
    buf_puts(b, CONF_DOC_BEGIN);
    for (size_t i = 0; i < conf_options_n; i++) {
        const struct conf_option *o = &conf_options[i];
        size_t n = strcspn(o->path, ".");
        if (n != before_n || strncmp(o->path, before, n) != 0) {
            const struct conf_section *s = conf_doc_section(o->path, n);
            if (open)
                buf_puts(b, ".El\n");
            buf_printf(b, ".Ss %.*s\n", (int)n, o->path);
            if (s)
                buf_printf(b, "%c%s.\n",
                           s->help[0] >= 'a' && s->help[0] <= 'z' ? s->help[0] - 32
                                                                  : s->help[0],
                           s->help + 1);
            if (s && s->man)
                buf_printf(b, "%s\n", s->man);
            buf_puts(b, ".Bl -tag -width Ds\n");
            open = true;
            before = o->path;
            before_n = n;
        }
        conf_doc_option(b, o);
    }
    buf_puts(b, ".El\n" CONF_DOC_END);
}

/* ---- the example ---- */

static inline void conf_doc_comment(struct buf *b, size_t line_start, const char *text)
{
    size_t col = b->len - line_start;
    do
        buf_putc(b, ' ');
    while (++col < 44);
    buf_printf(b, "# %s\n", text);
}

static inline void conf_doc_section_line(struct buf *b, const char *path, size_t n,
                                         size_t depth, bool off)
{
    const struct conf_section *s = conf_doc_section(path, n);
    const char *leaf = path + n;
    while (leaf > path && leaf[-1] != '.')
        leaf--;
    if (!s)
        return;
    if (depth == 0)
        buf_printf(b, "\n# %c%s. %s。\n",
                   s->help[0] >= 'a' && s->help[0] <= 'z' ? s->help[0] - 32 : s->help[0],
                   s->help + 1, s->zh);
    size_t start = b->len;
    buf_printf(b, "%s%*s%.*s:", off ? "#" : "", (int)depth * 2, "", (int)(path + n - leaf),
               leaf);
    if (depth)
        conf_doc_comment(b, start, s->help);
    else
        buf_putc(b, '\n');
}

/* Every option of the section is commented out, so the section is too. */
static inline bool conf_doc_all_off(const char *path, size_t n)
{
    for (size_t i = 0; i < conf_options_n; i++) {
        const struct conf_option *o = &conf_options[i];
        if (strncmp(o->path, path, n) == 0 && o->path[n] == '.' &&
            (o->def || o->shown[0] != '#'))
            return false;
    }
    return true;
}

static inline void conf_doc_example(struct buf *b)
{
    buf_puts(b, "# gaihou.yaml - configuration of gaihoud(8); see gaihou.conf(5).\n"
                "# Every option is here with its default; what begins with # is not set.\n"
                "# Durations: 200ms 30s 5m 1h 7d. Sizes: 64KiB 4GiB. Relative paths: from this "
                "file's folder.\n"
                "# Check it: gaihoud --check --config /etc/gaihou/gaihou.yaml\n");
    const char *before = "";
    for (size_t i = 0; i < conf_options_n; i++) {
        const struct conf_option *o = &conf_options[i];
        const struct conf_section *top = conf_doc_section(o->path, strcspn(o->path, "."));
        bool item = top && top->list, off = false;
        size_t depth = 0, n = 0;
        bool first = false;
        for (const char *dot; (dot = strchr(o->path + n, '.'));) {
            size_t m = (size_t)(dot - o->path);
            size_t at = depth + (item && depth ? 1 : 0);
            bool is_new = strncmp(before, o->path, m + 1) != 0;
            off = off || (m != strcspn(o->path, ".") && conf_doc_all_off(o->path, m));
            if (is_new && depth == 0)
                first = item;
            if (is_new)
                conf_doc_section_line(b, o->path, m, at, off);
            n = m + 1;
            depth++;
        }
        if (depth == 0)
            buf_printf(b, "\n# %c%s. %s。\n",
                       o->help[0] >= 'a' && o->help[0] <= 'z' ? o->help[0] - 32 : o->help[0],
                       o->help + 1, o->zh);
        size_t start = b->len;
        const char *value = o->def ? o->def : o->shown;
        if (off || *value == '#')
            buf_putc(b, '#');
        buf_printf(b, "%*s%s%s: %s", (int)((depth + (item ? 1 : 0)) * 2 - (first ? 2 : 0)), "",
                   first ? "- " : "", o->path + n, *value == '#' ? value + 1 : value);
        if (depth)
            conf_doc_comment(b, start, o->help);
        else
            buf_putc(b, '\n');
        before = o->path;
    }
}

#endif
