/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ERR_H
#define BASE_ERR_H
/*
 * err — failures that have a text.
 *
 * `struct err` carries one sentence for a person, made where the cause is known, logged once by
 * who decides what follows. `struct problems` collects what is wrong in files people edit: one
 * line each, `file:line:col: error: what is wrong, what was expected`, all of them in one pass,
 * up to a ceiling (then one line says how many more).
 *
 * What was accepted once is kept and opened again, maybe by a later version with more checks: a
 * collection of its own kind (problems_new_kept) then hears of nothing but what cannot be gone on
 * with.
 */
#include <stdbool.h>
#include <stddef.h>

struct err {
    char text[1024];
};

/* Formats into e (NULL allowed) and returns code, so that `return err_set(e, -EINVAL, …)`. */
int err_set(struct err *e, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* "…: strerror(-code)" */
int err_errno(struct err *e, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

struct problems;
struct problems *problems_new(size_t max);
/* For files that were good when they were taken: neither warnings nor verdicts are told or count. */
struct problems *problems_new_kept(size_t max);
bool problems_are_kept(const struct problems *p);
/* For who asks what is wrong and has the time: lints that no start should wait for are made, too. */
struct problems *problems_new_thorough(size_t max);
bool problems_are_thorough(const struct problems *p);
void problems_free(struct problems *p);
/* line and col from 1; 0 leaves it out (col, or both). */
void problems_add(struct problems *p, const char *file, int line, int col, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* The same, but `warning:`; does not count as an error. */
void problems_warn(struct problems *p, const char *file, int line, int col, const char *fmt,
                   ...) __attribute__((format(printf, 5, 6)));
/* An error, but one that leaves nothing unread: the same object is made with it as without. Every new
 * check of something that an earlier version took is one of these, if it can be. */
void problems_verdict(struct problems *p, const char *file, int line, int col, const char *fmt,
                      ...) __attribute__((format(printf, 5, 6)));
size_t problems_errors(const struct problems *p); /* errors only, also those past the ceiling */
size_t problems_count(const struct problems *p);  /* lines that can be got, warnings included */
const char *problems_get(const struct problems *p, size_t i);
bool problems_is_warning(const struct problems *p, size_t i);

/* The candidate nearest to `word` (edit distance ≤ 2, or ≤ a third of its length, and less than
 * its length), or NULL. */
const char *err_nearest(const char *word, const char *const *candidates, size_t n);

#endif
