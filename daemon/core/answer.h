/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_ANSWER_H
#define CORE_ANSWER_H
/*
 * answer — what a database's answer to a write means.
 *
 * The status code alone is never enough: influxd 1.6 answers 400 for a full disk (passing) and
 * 500 for a poisoned line (for ever). Classified by flavour, status and body, as measured on
 * real servers (docs/sinks.md). Pure.
 */
#include "core/conf.h"

#define ANSWER_LINES_MAX 256

enum answer_class {
    ANSWER_OK,      /* stored */
    ANSWER_RETRY,   /* passing: send the same bytes again, later */
    ANSWER_BLOCK,   /* an operator must act: nothing is thrown away, slow probes, loud */
    ANSWER_SPLIT,   /* too large as it is: halve; a single line is poison */
    ANSWER_PARTIAL, /* some lines refused: find them */
    ANSWER_POISON,  /* this one line is refused */
};

/* Transport outcome, in io/httpc's words. */
enum answer_transport {
    TRANSPORT_OK,
    TRANSPORT_FAILED /* no answer */,
    TRANSPORT_TIMEOUT,
    TRANSPORT_TLS,
    TRANSPORT_WEIRD /* curl error 8: an answer that cannot be parsed, status may be known */
};

struct answer_in {
    enum conf_sink_type flavour;
    enum answer_transport transport;
    int status;
    const char *body; /* ≤ 64 KiB of it */
    size_t body_len;
    size_t lines;         /* of the request */
    unsigned same_before; /* equal 500s on these same bytes while others succeed */
};

struct answer {
    enum answer_class class_;
    const char
        *reason; /* short static word for counters: "disk_full", "auth", "field_type" … */
    /* The answer is about these very lines: one line that is refused so may be condemned. If
     * not, the server has first to show that it takes other lines. */
    bool certain;
    /* PARTIAL of InfluxDB 3: the refused lines by number, from 1, when the answer names all of
     * them (ascending); all others are stored. 0: not named, they have to be searched. */
    unsigned refused[ANSWER_LINES_MAX];
    size_t n_refused;
};

void answer_classify(const struct answer_in *in, struct answer *out);
const char *answer_class_name(enum answer_class c);

#endif
