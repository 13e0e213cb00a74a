/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IO_CLOCK_H
#define IO_CLOCK_H
/*
 * clock — the only place that asks the machine what time it is. Faked in tests/sim.
 */
#include <stdbool.h>
#include <stdint.h>

uint64_t clock_boot_ns(void);    /* CLOCK_BOOTTIME: counts suspend, never steps */
int64_t clock_wall_ns(void);     /* CLOCK_REALTIME, Unix time */
bool clock_synchronised(void);   /* adjtimex(2): the kernel believes its clock */
const char *clock_boot_id(void); /* 36 characters; "" if unknown */

#endif
