/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_ENGINE_ALARM_PRIVATE_H
#define CORE_ENGINE_ALARM_PRIVATE_H
/*
 * engine_alarm_private — the alarms' part of the engine; included by core/engine_alarm*.c only.
 */
#include "core/engine_private.h"

#define ENGINE_LISTENERS 20000

/* What the engine knows of those who should listen to alarms. */
struct listener {
    char *firm;
    bool online, absent; /* absent: and an alarm of our own says so */
    bool touched;        /* its cases changed in this step */
    uint64_t offline_ns; /* engine time: not online since (or not known to be) */
    uint64_t concern_ns; /* cases concern it since; UINT64_MAX: none does */
};

struct open_row { /* of gaihou_open: it was not 0 the last time */
    char *compound, *firm;
    enum severity severity;
};

struct listener *engine_listener_add(struct engine_alarms *a, const char *firm);
void engine_listeners_due(struct engine_alarms *a);
void engine_open_rows_free(struct open_row *rows, size_t n);

#endif
