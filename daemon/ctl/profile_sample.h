/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_PROFILE_SAMPLE_H
#define CTL_PROFILE_SAMPLE_H
/*
 * profile_sample — how samples that are not (only) JSON could be read: key=value text, columns, a
 * frame that one of the known codecs reads, or, if nothing does, its bytes by themselves.
 */
#include "base/buf.h"
#include "core/profile_guess.h"
#include "ctl/site.h"

struct sample_reader;

/* Looks at the samples and decides; `site` has its profiles open or none. */
struct sample_reader *sample_reader_new(struct site *site, const char *name,
                                        const struct profile_guess_sample *samples, size_t n);
void sample_reader_free(struct sample_reader *r);
/* What profile_guess_by takes: the way, and the samples read by it (n of them). Both live as long as
 * the reader. */
const struct profile_guess_way *sample_reader_way(const struct sample_reader *r);
const struct profile_guess_sample *sample_reader_samples(const struct sample_reader *r);
/* In words, for people: what was found; "" nothing to say. */
const char *sample_reader_words(const struct sample_reader *r);

#endif
