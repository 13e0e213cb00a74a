/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_PROFILE_GUESS_H
#define CORE_PROFILE_GUESS_H
/*
 * profile_guess — a first profile (gaihou-profiles(5)) from sample messages of JSON: which level
 * of the topic names the device, where the time is, which metric of the catalogue a name most
 * likely means and in which unit. A person goes through it: every guess says `# review`.
 *
 * Names are compared with the catalogue's metrics and titles (Chinese and English) and with words
 * that vendors use; units by the name's end ("level_mm") and by whether the value would be
 * plausible otherwise (215 as 21.5 degrees). Pure.
 */
#include "base/buf.h"
#include "base/err.h"
#include "core/catalog.h"

struct profile_guess_sample {
    const char *topic;   /* NULL: not known */
    const char *payload; /* JSON_PADDING readable bytes behind it */
    size_t len;
};

/* The YAML text, without examples. *out_kind: the kind that fits best, of the catalogue; NULL:
 * none. 0; -EINVAL with a text for people: not JSON, nothing in it that could be a device or a
 * value. */
int profile_guess(const char *name, const struct profile_guess_sample *samples, size_t n,
                  const struct catalog *catalog, struct buf *out, const struct kind **out_kind,
                  struct err *err);

/* A text as a YAML scalar in single quotes. */
void profile_guess_quote(struct buf *out, const char *s, size_t n);

#endif
