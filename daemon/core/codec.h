/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_CODEC_H
#define CORE_CODEC_H
/*
 * codec — from a payload's bytes to values, in steps that profiles name (gaihou-profiles(5)).
 *
 * A chain is some steps from bytes to bytes (hex, base64, a checked frame) and one from bytes to
 * values (json, csv, tlv, struct …). Definitions (struct, tlv, modbus, pattern …) are data; what
 * cannot be said in data is one file each (codec_hj212.c …) with its standard named. Compiled
 * chains are immutable; a run is the scratch of one thread. Never reads past its input; the work
 * is bounded by the length of the input and the ceilings of struct doc. Pure.
 */
#include "core/conf_yaml.h"
#include "core/doc.h"

struct codec_set;   /* definitions by name, with the built-in ones */
struct codec_chain; /* compiled; belongs to its set */
struct codec_run;   /* scratch: parsers, documents, buffers */

struct codec_fault {
    const char *why; /* lives as long as the set */
    size_t at;       /* offset in the bytes that the failing step got; SIZE_MAX: unknown */
    unsigned step;   /* of the chain, from 0 */
    bool checksum;   /* a check sum or length that does not agree */
    const char *sum; /* which check sum; NULL: it is not one, or not one of these */
    unsigned sum_width;
    uint64_t sum_told, sum_made; /* what stands there, and what the bytes give … */
    size_t sum_from, sum_to;     /* … of this part of those that the step got */
};

#define CODEC_MAX_STEPS 8
#define CODEC_MAX_DOCS  256

/* First all files' definitions are added, then the set is settled, then chains are parsed:
 * names may be used before, and in another file than, they are defined. */
struct codec_set *codec_set_new(void);
void codec_set_free(struct codec_set *s);
/* Adds the definitions of a `codecs:` mapping (not kept). What is wrong goes to notes; 0 or
 * -EINVAL. `file` is for what is found wrong later and is copied. */
int codec_set_add(struct codec_set *s, const struct yaml_node *map, const char *file,
                  struct conf_notes *notes);
/* Resolves the names; -EINVAL with what is unknown, or defined by itself, in problems. */
int codec_set_settle(struct codec_set *s, struct problems *problems);
/* A `decode:` value: a name, an inline definition, or a list of such. NULL when it is wrong, or
 * when a definition that it names is (told already). Only after codec_set_settle. Without a
 * step to values the bytes are given as lower hexadecimal text. */
struct codec_chain *codec_chain_parse(struct codec_set *s, const struct yaml_node *n,
                                      struct conf_notes *notes);
/* What it reads needs no readable bytes behind it. */
bool codec_chain_reads_within(const struct codec_chain *c);
/* Plain JSON and nothing else: the caller may take its short way. */
bool codec_chain_is_json(const struct codec_chain *c);
/* Its last step is sparkplug-b: see core/sparkplug.h. */
bool codec_chain_is_sparkplug(const struct codec_chain *c);

/* Places in its documents, without any bytes: steps from the root. */
struct codec_step {
    enum { CODEC_MEMBER, CODEC_ANY_MEMBER, CODEC_ELEMENT } kind;
    const char *key; /* CODEC_MEMBER */
    size_t len;
};
/* False: no message can have that place. True also where only the message knows. */
bool codec_chain_gives(const struct codec_chain *c, const struct codec_step *steps, size_t n);
/* The members that the object there may have, as far as they are known. */
void codec_chain_names(const struct codec_chain *c, const struct codec_step *steps, size_t n,
                       void (*name)(void *ctx, const char *name, size_t len), void *ctx);

struct codec_run *codec_run_new(size_t max_message_bytes);
void codec_run_free(struct codec_run *x);
void codec_run_clear(struct codec_run *x); /* before each message; ends all values' lives */
/* `p` needs JSON_PADDING readable bytes after it. At most CODEC_MAX_DOCS documents between
 * clears. 0; -EBADMSG with the fault; -E2BIG (the fault says what is too big). */
int codec_chain_run(const struct codec_chain *c, struct codec_run *x, const char *p, size_t n,
                    struct json_value *out_root, struct codec_fault *out_fault);

#endif
