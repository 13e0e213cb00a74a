/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_JSON_PLACE_H
#define CTL_JSON_PLACE_H
/*
 * json_place — where in a text of JSON something is, for people who look for what is wrong.
 *
 * A scanner of RFC 8259 that keeps places and nothing else; what a text means is core/json.h's
 * affair. Never reads past its input. Pure.
 */
#include "base/buf.h"

#include <stdbool.h>

/* Line and column (in characters) of an offset, from 1. */
void json_place(const char *text, size_t at, int *out_line, int *out_col);
/* The first fault of a text by RFC 8259; false: there is none. *out_why: static text. */
bool json_fault(const char *text, size_t len, size_t *out_at, const char **out_why);
/* The text of a member of the outermost object (the first of that name), as it stands there. */
bool json_raw(const char *text, size_t len, const char *key, struct buf *out);
/* Where the value of a path like `$.records[3]["a b"].t` begins; false: it is not there, or names
 * escape what the text writes otherwise. */
bool json_find(const char *text, size_t len, const char *path, size_t *out_at);

#endif
