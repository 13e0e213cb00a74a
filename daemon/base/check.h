/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H
/*
 * check — assertions about our own mistakes, always compiled in.
 *
 * ASSERT is for invariants only. Input, network, disk and clock are never asserted: they are
 * errors. A failed ASSERT prints one line and ends the process with 70, or by SIGABRT where
 * the system keeps core dumps; the journal makes the restart cheap.
 */
#define ASSERT(cond) ((cond) ? (void)0 : check_failed(#cond, __FILE__, __LINE__))

_Noreturn void check_failed(const char *what, const char *file, int line);

#endif
