/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_GATEWAY_H
#define SIM_GATEWAY_H
/*
 * gateway — the real app in the simulated machine, and what must be true of it.
 *
 * Keeps a log of every record that the journal took, compares it with the journal at each start,
 * checks at each write, post, commit and snapshot that nothing derived is ahead of its cause,
 * and can run the engine once more over the log, without any crash, to say what should have come
 * out.
 */
#include "app/app_private.h"
#include "sim/fakes.h"
#include "sim/world.h"

struct gateway_record {
    struct record r;              /* body and topic are copies */
    uint64_t segment;             /* base of its file */
    struct fake_message *message; /* what it was, or NULL */
};

extern struct app *gateway_app;               /* NULL: not running */
extern void (*gateway_patch)(struct conf *c); /* sizes below what the option table allows */
extern uint64_t gateway_outbound_segment;
/* Is that what a test means to have? It is not printed then as a warning of the configuration. */
extern bool (*gateway_means)(const char *warning);
/* What the model allows: the scenario has damaged or restored something. */
extern bool gateway_may_rot, gateway_store_restored, gateway_sink_restored;
/* Its data_dir and lane, as its configuration says; gateway_reset: "/data", "all". */
extern const char *gateway_data, *gateway_lane;
/* … to a state from which nobody can say again what had been. */
extern bool gateway_past_lost;

extern void (*gateway_on_life)(bool begins);

void gateway_reset(void);
enum sim_end gateway_live(void); /* one life, until it stops or dies */
size_t gateway_log(const struct gateway_record **out);
uint64_t gateway_durable(void); /* end of the last record of the log that a power cut leaves */

/* The whole data_dir is put back as it was when gateway_backup was called, store included: what came
 * since is only in the databases. */
void gateway_backup(void);
bool gateway_restore_backup(void); /* false: there is none */

bool gateway_settled(void); /* everything has been passed, written, posted */
/* Compares what came out with what a run without crashes gives. Fails loudly. exact: nothing
 * was shed. */
void gateway_judge(bool exact);
extern uint64_t gateway_alarms; /* transitions and replies that were judged */
/* Lines of the reference run of the last gateway_judge in which `needle` stands. */
extern void (*gateway_on_reference_line)(const char *line, size_t n);

#endif
