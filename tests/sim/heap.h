/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_HEAP_H
#define SIM_HEAP_H
/*
 * heap — malloc for the crash model: what a life of the gateway asked for goes with the life.
 *
 * Lives are killed by the thousand, and nobody frees what they had: the process grows, and each new
 * page is paid for again. So there are two stores of memory. What is asked for while a life runs
 * comes from one, which is empty again when the next life begins; all else, and what the fakes ask
 * for (they outlive it: base/mem.h by sim/own.h), from the other. free() knows by the address.
 * Both lie at the same address in each process: a library may compute with addresses (heap.c).
 * Linked into the model only, and not under the sanitizers, which have their own. One thread.
 */
#include <stdbool.h>

/* A life begins: what the last one left is gone. Until heap_life(false) memory is that life's. */
void heap_life(bool begins);
void heap_poison(bool on); /* what is gone is filled: whoever still uses it is seen */

const void *heap_place(void); /* the same in each process; NULL under the sanitizers */

#endif
