/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CITY_CITY_H
#define CITY_CITY_H
/*
 * city — the commands of the simulated city (tests/city/main.c has their usage).
 *
 * `registry` writes the three CSV files by which gaihoud knows the fleet; `run` publishes what
 * the fleet says and keeps the truth file.
 *
 * Truth file, version 1: text, fields separated by tabs; a first line
 *   # gaihou-city truth 1 seed=… compounds=… devices=…
 * then one line for every message whose PUBACK was read, written before anything else is done:
 *   device  seq  ts  sent_ns  acked_ns  hash  [payload]
 * device is its code; seq the count of its samples up to this message; ts the Unix ms of its
 * samples joined by commas, or - if it says none; sent and acked wall time in Unix ns; hash
 * XXH3-64 of the payload in 16 hex digits. New fields are only added at the end; other line
 * kinds begin with a word and a colon.
 *
 * With faults (--faults, --fault) also, when a fault is over or the feed ends:
 *   fault:  device  point  fault  from_ms  to_ms  rule  told_by_ms  may  over_by_ms
 *   silence:  … the same
 * The device showed the fault (was silent) from the message of from_ms (silence: after it) to
 * that of to_ms, which is well again; to_ms and over_by_ms are - if it lasts at the end. Times
 * are on the clock that messages claim. If it lasted until told_by_ms, the rule must have told
 * it by then (- for rule: it need not be told). By over_by_ms its alarms have cleared, and
 * besides `rule` and `may` (rules with commas, or -) no rule may tell anything of the device.
 * With --speed, delays are on the wall clock what they are to the devices divided by the speed:
 * the rules' times must be, too. point is - : the device's own. What goes wrong in the healthy
 * city (roof-leaks, not-emptied, battery-low) comes as a fault, too. A killed feed has not
 * written the faults that lasted.
 *
 * With other families than the native one, every line is instead
 *   must:  sent_ns  acked_ns  TRUTH  [payload in hex]
 * where TRUTH is what city/speak.h describes. Lines come in the order of the acknowledgements.
 */
#include "base/err.h"
#include "city/speak.h"

struct city_options {
    struct fleet_options fleet;
    struct speak_options speak;
    const char *out; /* registry: folder */
    const char *host, *port, *username, *password;
    unsigned connections, inflight;
    double rate, speed; /* rate 0: by speed; both unused when flat out */
    bool flat_out, simulated_ts, stop_on_stdin, truth_payload;
    double seconds;    /* 0: no end */
    uint64_t messages; /* 0: no end */
    double drain;      /* seconds to wait for the last PUBACKs */
    double progress;   /* seconds between lines of figures; 0: none */
    const char *truth;
};

int city_registry(const struct city_options *o, struct err *err);
int city_run(const struct city_options *o,
             struct err *err); /* 0, 1 (unacknowledged) or -errno */

#endif
