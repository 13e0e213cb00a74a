/* SPDX-License-Identifier: Apache-2.0 */
#include "core/decode.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>

void decoded_done(struct decoded *d)
{
    free(d->samples);
    free(d->values);
    *d = (struct decoded){0};
}

void decoded_clear(struct decoded *d)
{
    d->n_samples = d->n_values = 0;
    d->unknown = 0;
}

int decoded_begin_sample(struct decoded *d)
{
    if (d->n_samples == DECODE_MAX_SAMPLES)
        return -E2BIG;
    if (d->n_samples == d->cap_samples) {
        d->cap_samples = d->cap_samples ? d->cap_samples * 2 : 16;
        d->samples = mem_realloc_array(d->samples, d->cap_samples, sizeof(*d->samples));
    }
    d->samples[d->n_samples++] = (struct decoded_sample){.first = d->n_values};
    return 0;
}

int decoded_grow(struct decoded *d)
{
    if (d->n_values == DECODE_MAX_VALUES)
        return -E2BIG;
    d->cap_values = d->cap_values ? d->cap_values * 2 : 64;
    d->values = mem_realloc_array(d->values, d->cap_values, sizeof(*d->values));
    return 0;
}
