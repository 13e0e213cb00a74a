/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_STRANGE_H
#define CORE_STRANGE_H
/*
 * strange — names in messages that nobody uses, for people: which profile met them, how often, when.
 *
 * A fixed table: names come from outside, and a device may make up a new one for each message. Each name
 * has its set of eight places; where that is full, the one that was seen least often (and longest ago)
 * makes room and is counted, although there may be room elsewhere. Texts
 * are kept as valid UTF-8 of at most 64 bytes. Times are the caller's, ms. Pure; one thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STRANGE_TEXT  64
#define STRANGE_NAMES 512

struct strange_name {
    char profile[STRANGE_TEXT + 1], name[STRANGE_TEXT + 1];
    char kind[STRANGE_TEXT + 1];   /* whose metrics lack it; "": the profile does not name it */
    char device[STRANGE_TEXT + 1]; /* the last that said it; "" not known */
    uint64_t count;
    int64_t first_ms, last_ms;
};

struct strange;
struct strange *strange_new(void);
void strange_free(struct strange *s);
/* Forgets all names and counts. */
void strange_clear(struct strange *s);
/* kind and device: NULL like "". */
void strange_note(struct strange *s, const char *profile, const char *kind, const char *name,
                  size_t len, const char *device, int64_t at_ms);
/* The names, most often first; valid until the next call. NULL s: none. */
size_t strange_list(const struct strange *s, const struct strange_name *out[STRANGE_NAMES]);
uint64_t strange_gone(const struct strange *s); /* names that made room */

#endif
