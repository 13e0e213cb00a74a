/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H
/*
 * world — the simulated machine: one virtual time, one queue of events, one process that can die.
 *
 * Everything happens as an event at a moment of virtual time, in an order that the seed decides.
 * Events either belong to the life of the process (its timers, pool jobs, answers: gone when it
 * dies) or to the world around it (devices, brokers, faults: they stay).
 */
#include <stdbool.h>
#include <stdint.h>

typedef void sim_fn(void *ctx);

enum sim_end { SIM_RUNS, SIM_STOPPED, SIM_KILLED, SIM_POWER_CUT, SIM_FATAL };

void sim_reset(uint64_t seed);
uint64_t sim_random(uint64_t n); /* 0 … n - 1 */
bool sim_chance(unsigned percent);
uint64_t sim_now(void); /* ns since the simulation began; never steps */

void sim_at(uint64_t when, sim_fn *fn, void *ctx, bool of_life);
void sim_after(uint64_t ns, sim_fn *fn, void *ctx, bool of_life);
void sim_cancel(sim_fn *fn, void *ctx);
bool sim_turn(void); /* the next event; false: none is left */
void sim_elapse(uint64_t ns);

/* Runs `life` until it returns or dies. Memory that it held is lost. */
enum sim_end sim_live(sim_fn *life, void *ctx);
bool sim_alive(void);
_Noreturn void sim_die(enum sim_end how);
/* The process dies at its nth operation on a file from now; 0: does not. */
void sim_die_at_file_operation(uint64_t nth, enum sim_end how);
int sim_exit_code(void);
void sim_set_exit_code(int code);

/* What was logged: a callback for everything, and whether it is also printed. */
extern bool sim_print_log;
extern void (*sim_on_log)(const char *line);
void sim_trace(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void sim_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
extern uint64_t sim_seed;
extern bool sim_verbose;

#endif
