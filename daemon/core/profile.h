/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_PROFILE_H
#define CORE_PROFILE_H
/*
 * profile — how one vendor's messages become samples: data only (gaihou-profiles(5)).
 *
 * A set holds all profiles and codecs of one generation, compiled from YAML to a flat plan and
 * checked against the catalogue; immutable, shared between threads. A run is the scratch of one
 * thread. profile_decode() says what a message says: samples of raw values in the profile's
 * words, scaled, mapped, and told which metric they are; whether they are believed (ranges,
 * times) is the engine's affair. Never reads past its input; bounded work. Pure.
 */
#include "base/err.h"
#include "base/zone.h"
#include "core/catalog.h"
#include "core/decode.h"
#include "core/ledger.h"
#include "core/sparkplug.h"
#include "core/topic.h"

struct codec_set;
struct profile;
struct profile_set;
struct profile_run;

struct profile_text { /* one file */
    const char *file, *text;
    size_t len;
};

/* 0; -EINVAL with every problem told. `catalog` and `zone` (NULL: UTC) must outlive the set. */
int profile_set_open(const struct profile_text *files, size_t n, const struct catalog *catalog,
                     const struct zone *zone, struct problems *problems,
                     struct profile_set **out);
void profile_set_free(struct profile_set *s);
size_t profile_set_count(const struct profile_set *s);
const struct profile *profile_set_at(const struct profile_set *s, size_t i);
const struct profile *profile_find(const struct profile_set *s, const char *name);
/* The nearest name, for messages; NULL. */
const char *profile_nearest(const struct profile_set *s, const char *name);

/* Its codecs, for tools that try them. */
struct codec_set *profile_set_codecs(struct profile_set *s);

const char *profile_name(const struct profile *p);
const char *profile_vendor(const struct profile *p); /* "" unknown */
bool profile_verified(const struct profile *p);
size_t profile_topics(const struct profile *p);
const char *profile_topic(const struct profile *p, size_t i); /* with {captures} */
/* Every capture that the profile's texts use must be in a source's topic: the first that
 * `pattern` lacks, or NULL. */
const char *profile_missing_capture(const struct profile *p, const struct topic_pattern *t);
/* Do its texts use that capture of a source's topic? */
bool profile_uses_capture(const struct profile *p, const char *name);

/* Runs the examples of one profile (NULL: of all); what does not come out as it says goes to
 * problems with file and line. How many were run; -EINVAL if any failed. */
int profile_check_examples(const struct profile_set *s, const struct profile *p,
                           struct problems *problems);

struct profile_run *profile_run_new(size_t max_message_bytes);
void profile_run_free(struct profile_run *x);

struct profile_input {
    const char *topic;
    size_t topic_len;
    const struct topic_match *match; /* of the topic against the source's pattern */
    const char *payload;             /* JSON_PADDING readable bytes after it */
    size_t len;
    int64_t received_ms;         /* for relative times only */
    struct sparkplug *sparkplug; /* births known so far; changed by this message. NULL: none */
    bool look;                   /* a message that was taken once: `sparkplug` does not move */
    bool again;                  /* one that is taken up again: sparkplug_again() */
    unsigned broker;             /* sparkplug's nodes are told apart by broker, too */
    uint64_t message; /* not 0, and another for each: a second profile that is asked about one
                         must not let it move sparkplug's state once more */
};

enum profile_outcome {
    PROFILE_SAMPLES,
    PROFILE_IGNORED,
    PROFILE_REFUSED,
    PROFILE_NOT_MINE /* no message kind fits: another profile may be asked */
};

struct profile_verdict {
    enum profile_outcome outcome;
    enum ledger_count count; /* IGNORED: which; REFUSED: which dead letter */
    const char *message;     /* name of the message kind, "" none */
    char detail[256];        /* REFUSED: what is wrong and where, for a person */
    const char *device;      /* IGNORED: a sign of life of this one; NULL none */
    size_t device_len;
    bool want_rebirth; /* sparkplug: the node should be asked for a birth (its topic is the
                          message's with NCMD) */
};

/* Fills *out (cleared first) and *v. Texts live until the run's next call. */
void profile_decode(const struct profile *p, struct profile_run *x,
                    const struct profile_input *in, struct decoded *out,
                    struct profile_verdict *v);

/* For tools: where the values of the last decode stood. Costs time; off at first. */
void profile_run_trace(struct profile_run *x, bool on);
struct profile_trace {
    char path[256]; /* "$.records[3].t"; "" a constant or a text of several pieces */
    char raw[128];  /* as the document has it, cut */
    int line;       /* of the mapping in the profile's file; 0: taken under its own name */
    const char *metric;
};
/* Of value i of the last decode's `out`; false when nothing was traced. */
bool profile_trace_value(const struct profile_run *x, size_t i, struct profile_trace *out);

/* A value's metric for a device of this kind, and the way from the profile's unit to the
 * catalogue's: canonical = (v × mul ÷ div) + add, exact in decimals where it can be. NULL when
 * the kind has no such metric (or the mapping is not for this kind). Hot path: two loads. */
struct profile_metric {
    const struct metric *metric;
    double mul, div, add;
    bool same; /* mul = div = 1, add = 0 */
};
struct plan_map;
struct profile_value { /* what decoded_value.from points to; private but for profile_metric() */
    const struct profile_metric *by_kind;
    const struct plan_map *map;
    bool limited; /* to some kinds: others lack nothing */
};
static inline const struct profile_metric *profile_metric(const struct decoded_value *v,
                                                          const struct kind *kind)
{
    const struct profile_metric *m = v->from ? &v->from->by_kind[kind->index] : NULL;
    return m && m->metric ? m : NULL;
}

#endif
