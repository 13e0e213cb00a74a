/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_CODEC_GUESS_H
#define CORE_CODEC_GUESS_H
/*
 * codec_guess — which codec could read these bytes? For tools that draft profiles. Pure.
 *
 * Codecs check what they read (a TLV refuses unknown keys, a frame its sum), so the one that reads
 * all of a sample without complaint is probably right; a person looks at it.
 */
#include "core/codec.h"

/* Those worth a try on bytes: all that are defined, and the built-in ones that check what they
 * read. Names live as long as the set. How many there are; at most max are given. */
size_t codec_guess_names(const struct codec_set *s, const char **out, size_t max);
/* Reads bytes by a `decode:` value as a profile has it ("[hex, milesight]"). 0: the values live until
 * the run is cleared; -EBADMSG: it cannot be read so; -EINVAL: that is no such value. `p` has
 * JSON_PADDING readable bytes behind it. */
int codec_guess_read(struct codec_set *s, struct codec_run *x, const char *decode,
                     const char *p, size_t len, struct json_value *out_root);

#endif
