/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H
/*
 * arena — many small allocations with one end of life (a configuration, a catalogue).
 *
 * Embedded (init/done). Blocks of 64 KiB, and larger ones once much is used; memory is zeroed and
 * aligned to 8 bytes. Not thread-safe. Past `max` bytes arena_alloc returns NULL: what is sized by
 * input checks.
 */
#include <stddef.h>

struct arena {
    struct arena_block *head;
    size_t used, max;
};

void arena_init(struct arena *a, size_t max);
void arena_done(struct arena *a);
void *arena_alloc(struct arena *a, size_t n);
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_strdup(struct arena *a, const char *s);

#endif
