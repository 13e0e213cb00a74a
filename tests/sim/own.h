/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_OWN_H
#define SIM_OWN_H
/* own — base/mem.h for those parts of the simulated machine that outlive a life (sim/heap.h); to be
 * included behind all others. */
#include "base/mem.h"

extern unsigned sim_own; /* > 0: memory is not the life's */

void *own_zalloc(size_t n);
void *own_zalloc_array(size_t n, size_t size);
void *own_realloc_array(void *p, size_t n, size_t size);
void *own_dup(const void *p, size_t n);
char *own_strdup(const char *s);
char *own_strndup(const char *s, size_t n);
char *own_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#ifndef SIM_OWN_ITSELF
#define mem_zalloc        own_zalloc
#define mem_zalloc_array  own_zalloc_array
#define mem_realloc_array own_realloc_array
#define mem_dup           own_dup
#define mem_strdup        own_strdup
#define mem_strndup       own_strndup
#define mem_printf        own_printf
#endif

#endif
