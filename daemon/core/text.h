/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_TEXT_H
#define CORE_TEXT_H
/*
 * text — the small words of files that people edit: codes, names, dates, durations, yes and no.
 *
 * Pure functions over (pointer, length); nothing is allocated, nothing is NUL-terminated unless
 * said. Outputs are untouched on failure.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_CODE_MAX 64

/* [A-Za-z0-9._-], 1 to 64 bytes: safe as a level of a topic and as the value of a tag. */
bool text_is_code(const char *s, size_t n);
/* [a-z][a-z0-9_]*, 1 to 64 bytes (metrics, parameters, codes of enumerations). */
bool text_is_name(const char *s, size_t n);
/* [a-z][a-z0-9-]*, 1 to 64 bytes (kinds, sets). */
bool text_is_kind(const char *s, size_t n);
/* No control character (DEL, U+0080…9F and the line ends included). */
bool text_is_plain(const char *s, size_t n);

/* A finite decimal number: -1.5, 3e2. */
bool text_double(const char *s, size_t n, double *out);
/* `60s`, `5m`, `1h`, `7d`, or seconds without a unit; whole, at most UINT32_MAX seconds. */
bool text_seconds(const char *s, size_t n, uint32_t *out);
/* yes no true false 1 0 是 否, ASCII in any case. */
bool text_bool(const char *s, size_t n, bool *out);
/* 2026-03-01, and 2026/3/1 as spreadsheets rewrite it. A day of the calendar. */
bool text_is_date(const char *s, size_t n);

/* The offset of the first byte that is not UTF-8 (RFC 3629, so no surrogates, no overlong
 * forms), or n. */
size_t text_utf8_valid(const char *s, size_t n);
/* How many characters UTF-8 text has (bytes that begin one). */
size_t text_utf8_chars(const char *s, size_t n);
/* What looks like a blank and is none to a machine, as Chinese keyboards and web pages have it: the name
 * of the one at s ("full-width blank (U+3000)"), or of the first within s; NULL: there is none. */
const char *text_odd_blank(const char *s, size_t n);
const char *text_odd_blank_in(const char *s);

#endif
