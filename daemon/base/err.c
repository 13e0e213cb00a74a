/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int err_set(struct err *e, int code, const char *fmt, ...)
{
    if (e) {
        va_list ap;
        va_start(ap, fmt);
        (void)vsnprintf(e->text, sizeof(e->text), fmt, ap);
        va_end(ap);
    }
    return code;
}

int err_errno(struct err *e, int code, const char *fmt, ...)
{
    if (e) {
        va_list ap;
        va_start(ap, fmt);
        (void)vsnprintf(e->text, sizeof(e->text), fmt, ap);
        va_end(ap);
        size_t n = strlen(e->text);
        char name[128];
        (void)snprintf(e->text + n, sizeof(e->text) - n, ": %s",
                       strerror_r(-code, name, sizeof(name)));
    }
    return code;
}

struct problems {
    char **lines;
    bool *warnings; /* of them */
    size_t n, max, errors, dropped;
    size_t n_warnings; /* of the lines */
    bool kept, thorough;
    char more[64];
};

struct problems *problems_new(size_t max)
{
    struct problems *p = mem_zalloc(sizeof(*p));
    p->max = max;
    p->lines = mem_zalloc_array(max, sizeof(*p->lines));
    p->warnings = mem_zalloc_array(max, sizeof(*p->warnings));
    return p;
}

struct problems *problems_new_kept(size_t max)
{
    struct problems *p = problems_new(max);
    p->kept = true;
    return p;
}

bool problems_are_kept(const struct problems *p)
{
    return p->kept;
}

struct problems *problems_new_thorough(size_t max)
{
    struct problems *p = problems_new(max);
    p->thorough = true;
    return p;
}

bool problems_are_thorough(const struct problems *p)
{
    return p->thorough;
}

void problems_free(struct problems *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n; i++)
        free(p->lines[i]);
    free(p->lines);
    free(p->warnings);
    free(p);
}

/* Half of the lines are for errors: where warnings alone fill them nobody would see what is refused. */
static bool make_room(struct problems *p)
{
    size_t i = p->n;
    if (p->n_warnings == 0 || p->n - p->n_warnings >= (p->max + 1) / 2)
        return false;
    while (!p->warnings[--i]) /* the last one; there is one */
        ;
    free(p->lines[i]);
    p->n--;
    p->n_warnings--;
    memmove(p->lines + i, p->lines + i + 1, (p->n - i) * sizeof(*p->lines));
    memmove(p->warnings + i, p->warnings + i + 1, (p->n - i) * sizeof(*p->warnings));
    return true;
}

static void add(struct problems *p, bool warning, const char *file, int line, int col,
                const char *fmt, va_list ap) __attribute__((format(printf, 6, 0)));
static void add(struct problems *p, bool warning, const char *file, int line, int col,
                const char *fmt, va_list ap)
{
    if (p->n == p->max) {
        p->dropped++;
        (void)snprintf(p->more, sizeof(p->more), "… and %zu more", p->dropped);
        if (warning || !make_room(p))
            return;
    }
    char text[1024];
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    utf8_mend(text);
    char where[64] = "";
    if (line > 0 && col > 0)
        (void)snprintf(where, sizeof(where), ":%d:%d", line, col);
    else if (line > 0)
        (void)snprintf(where, sizeof(where), ":%d", line);
    p->warnings[p->n] = warning;
    p->n_warnings += warning;
    p->lines[p->n++] =
        mem_printf("%s%s: %s: %s", file, where, warning ? "warning" : "error", text);
}

void problems_add(struct problems *p, const char *file, int line, int col, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add(p, false, file, line, col, fmt, ap);
    va_end(ap);
    p->errors++;
}

void problems_verdict(struct problems *p, const char *file, int line, int col, const char *fmt,
                      ...)
{
    va_list ap;
    if (p->kept)
        return;
    va_start(ap, fmt);
    add(p, false, file, line, col, fmt, ap);
    va_end(ap);
    p->errors++;
}

void problems_warn(struct problems *p, const char *file, int line, int col, const char *fmt,
                   ...)
{
    va_list ap;
    if (p->kept)
        return;
    va_start(ap, fmt);
    add(p, true, file, line, col, fmt, ap);
    va_end(ap);
}

size_t problems_errors(const struct problems *p)
{
    return p->errors;
}

size_t problems_count(const struct problems *p)
{
    return p->n + (p->dropped ? 1 : 0);
}

bool problems_is_warning(const struct problems *p, size_t i)
{
    return i < p->n && p->warnings[i];
}

const char *problems_get(const struct problems *p, size_t i)
{
    return i < p->n ? p->lines[i] : p->more;
}

/* Levenshtein distance, words cut to 63 bytes. */
static size_t distance(const char *a, const char *b)
{
    size_t la = strnlen(a, 63), lb = strnlen(b, 63), row[64];
    for (size_t j = 0; j <= lb; j++)
        row[j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t diag = row[0];
        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t best = diag + (a[i - 1] != b[j - 1]);
            diag = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[lb];
}

const char *err_nearest(const char *word, const char *const *candidates, size_t n)
{
    size_t third = strlen(word) / 3;
    size_t best = (third > 2 ? third : 2) + 1;
    if (best > strlen(word)) /* nothing of the word would be left */
        best = strlen(word);
    const char *found = NULL;
    for (size_t i = 0; i < n; i++) {
        size_t d = distance(word, candidates[i]);
        if (strlen(word) == 2 && candidates[i][0] != word[0])
            continue; /* half of it: "cn" is not "en" */
        if (d < best) {
            best = d;
            found = candidates[i];
        }
    }
    return found;
}
