/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_CTL_H
#define CTL_CTL_H
/*
 * ctl — gaihouctl: asks the daemon over its HTTP interface and prints tables for people, or the
 * answer as it came (--json). One file per command; each returns the exit code.
 *
 * Not a layer of the daemon: it uses base/ and, for the journal of a stopped gateway, io/journal.
 */
#include "ctl/exit.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct ctl { /* options that stand before the command */
    const char *socket, *url, *token_file;
    bool json;
};

typedef int ctl_fn(const struct ctl *c, int argc, char **argv); /* argv[0]: the command */
ctl_fn ctl_status, ctl_top, ctl_devices, ctl_compounds, ctl_quarantine, ctl_dead, ctl_ledger,
    ctl_reload, ctl_alerts, ctl_replay; /* ctl_replay: argv[0] "replay", of journal */
ctl_fn ctl_work;                        /* argv[0]: the verb */
ctl_fn ctl_rules_explain;               /* argv[0] "explain", of rules */
ctl_fn ctl_profile_unknown;             /* argv[0] "unknown", of profile */
int ctl_device(const struct ctl *c, const char *code); /* devices show */
int ctl_journal(int argc, char **argv);                /* argv[0]: "journal"; needs no daemon */

/* A request; the answer's JSON in *out (the caller's). Failures are told on stderr already. */
int ctl_get(const struct ctl *c, const char *path, json_t **out);
/* The same of what need not be there: *out stays as it is, and nothing is told, at a 404. */
int ctl_get_if_there(const struct ctl *c, const char *path, json_t **out);
int ctl_post(const struct ctl *c, const char *path, json_t **out);
/* With a body (JSON lines). */
int ctl_post_body(const struct ctl *c, const char *path, const char *body, size_t len,
                  json_t **out);
int ctl_print_json(const json_t *j);

/* path?key=value&…: value NULL leaves it out; the result is malloc'ed, values are encoded. */
struct ctl_param {
    const char *key, *value;
};
char *ctl_path(const char *path, const struct ctl_param *params, size_t n);
char *ctl_encode(const char *s);

/* --key VALUE and --key=VALUE into params of the same names (without --); what is neither goes to
 * *out_rest, at most one. False: unknown option, told. */
void ctl_wrong_option(const char *a, const struct ctl_param *params, size_t n); /* tells it */
bool ctl_options(int argc, char **argv, struct ctl_param *params, size_t n,
                 const char **out_rest);

/* What most commands are made of (lists.c). The verb, or "list" when there is none; options follow
 * from *out_at on. */
const char *ctl_verb(int argc, char **argv, int *out_at);
/* GET path (freed), the array `name` of the answer as a table; keys are the columns of spec.
 * `prepare` (may be NULL) puts what people want to read into each row first. */
int ctl_list(const struct ctl *c, char *path, const char *name, const char *spec,
             const char *const *keys, size_t n, void (*prepare)(json_t *row));
int ctl_one(const struct ctl *c, const char *prefix, const char *id); /* as JSON */
int ctl_say(const struct ctl *c,
            char *path); /* POST path (freed); {"replayed":3}: replayed 3 */

/* Members for people: never NULL, "-" when missing. Numbers into one of 4 rotating buffers. */
const char *ctl_text(const json_t *o, const char *key);
double ctl_number(const json_t *o, const char *key);
const char *ctl_count(const json_t *o, const char *key);   /* 1234567 → 1,234,567 */
const char *ctl_bytes(const json_t *o, const char *key);   /* 1.4 MiB */
const char *ctl_seconds(const json_t *o, const char *key); /* 3 h 12 min */
void ctl_show_status(const json_t *status);

/* Times of what the gateway tells (clock.c): "2026-11-20 08:00:05" in the zone of the
 * gateway, which is asked for it when the first one is shown; of one that does not tell, UTC with a
 * Z behind. `c` stays. A text that is no time is given as it is. */
void ctl_clock_of(const struct ctl *c);
const char *ctl_clock(char room[32], int64_t ms);
const char *ctl_clock_text(char room[32], const char *stamp);
void ctl_set_clock(json_t *row, const char *key, const char *stamp);
void ctl_clock_done(void);

#endif
