/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_PROFILE_GUESS_H
#define CORE_PROFILE_GUESS_H
/*
 * profile_guess — a first profile (gaihou-profiles(5)) from sample messages: which level of the
 * topic names the device, where the time is, which metric of the catalogue a name most likely
 * means and in which unit. A person goes through it: every guess says `# review`. Samples are JSON;
 * who has others reads them first (core/codec_guess.h) and says how.
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
    const char *frame; /* the same of a document within it; NULL: none */
    size_t frame_len;
};

struct profile_guess_way { /* how the samples were read; texts as the profile is to have them */
    const char *decode;    /* NULL: they are JSON */
    const char *codecs;    /* lines of definitions that go before; NULL: none */
    const char *frame_from, *frame_decode; /* of the samples' frames */
};
struct profile_guess_result {
    const struct kind *kind; /* the one that fits best; NULL: none */
    size_t n_values;         /* that were understood */
};

/* The YAML text, without examples. *out_kind: the kind that fits best, of the catalogue; NULL:
 * none. 0; -EINVAL with a text for people: not JSON, nothing in it that could be a device or a
 * value. */
int profile_guess(const char *name, const struct profile_guess_sample *samples, size_t n,
                  const struct catalog *catalog, struct buf *out, const struct kind **out_kind,
                  struct err *err);

/* The same of samples that were read by `way`: without any value too, if way->decode is there. */
int profile_guess_by(const char *name, const struct profile_guess_sample *samples, size_t n,
                     const struct profile_guess_way *way, const struct catalog *catalog,
                     struct buf *out, struct profile_guess_result *result, struct err *err);

/* A text as a YAML scalar in single quotes. */
void profile_guess_quote(struct buf *out, const char *s, size_t n);

#endif
