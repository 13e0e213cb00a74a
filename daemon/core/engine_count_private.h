/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_ENGINE_COUNT_PRIVATE_H
#define CORE_ENGINE_COUNT_PRIVATE_H
/*
 * engine_count_private — the counters of the engine's state, for engine_save.c. Those that say what
 * is now (devices seen, open cases) are not among them: they follow from the state.
 */
#include "core/engine_private.h"

#define ENGINE_COUNTERS 64 /* room for */

struct engine_counter {
    char name[40];
    uint64_t *n; /* into the three below */
};

struct engine_counters { /* points into itself: not to be copied */
    struct engine_stats engine;
    struct alarm_stats alarm;
    struct cases_stats cases;
    struct engine_counter list[ENGINE_COUNTERS];
    size_t n;
};

void engine_counters(struct engine_counters *out); /* all 0 */
void engine_counters_look(const struct engine *e, struct engine_counters *out);
/* One that is not known any more is left out. */
void engine_counters_set(const struct engine_counters *c, const char *name, uint64_t n);
void engine_counters_use(struct engine *e, const struct engine_counters *c);

#endif
