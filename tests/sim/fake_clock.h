/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_FAKE_CLOCK_H
#define SIM_FAKE_CLOCK_H
/* fake_clock — io/clock.h from variables. fake_clock_tick is added to both clocks at each
 * reading of the boot clock. */
#include <stdbool.h>
#include <stdint.h>

extern uint64_t fake_clock_boot, fake_clock_tick;
extern int64_t fake_clock_wall;
extern bool fake_clock_synced;
extern char fake_clock_id[37];

void fake_clock_reboot(int64_t away_ns); /* another boot id, boot clock near 0, wall moved on */

#endif
