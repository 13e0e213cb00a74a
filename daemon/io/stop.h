/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IO_STOP_H
#define IO_STOP_H
/*
 * stop — ends the process at once, from any thread, without running anything more.
 *
 * For the one case in which going on would lose what is about to be acknowledged. Faked in
 * tests/sim.
 */

/* Writes one line at error level and exits with the sysexits(3) code. */
_Noreturn void stop_now(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
