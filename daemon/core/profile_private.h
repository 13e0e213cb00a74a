/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_PROFILE_PRIVATE_H
#define CORE_PROFILE_PRIVATE_H
/*
 * profile_private — the flat plan that profiles are compiled to, and the scratch that runs it;
 * included by core/profile*.c only.
 *
 * Places (paths) are nodes of a tree, shared by all that look there: a node is found once a
 * message, or once an item of `each`. An epoch slot says until when: slot 0 is the message,
 * every level of an `each` has one of its own. What a node found is valid while its slot's epoch
 * is the one that it was found in. Children of one object are found by one walk over it, which notes those
 * that are there: the others are not, once the object has been walked over.
 */
#include "base/hash.h"
#include "core/codec.h"
#include "core/profile.h"

#include <string.h>

#define PLAN_NONE UINT16_MAX

enum {
    PLAN_MAX_MESSAGES = 256,
    PLAN_MAX_PARTS = 32,
    PLAN_MAX_STARS = 3,
    PLAN_MAX_LEVELS = 5, /* three stars, what follows them, and fields or pairs */
    PLAN_MAX_STEPS = 16,
    PLAN_MAX_PIECES = 8,
    PLAN_MAX_TEXT = 256,
    PLAN_MAX_FROM = 8,
    PLAN_MAX_DOCS = 256,                   /* of a profile */
    PLAN_MAX_ALSO = 8,                     /* of a message */
    PLAN_MAX_NODES = 16384,                /* of a profile */
    PLAN_MAX_TOPICS = 64,                  /* of a profile */
    PLAN_MAX_EXAMPLES = 256,               /* of a profile */
    RUN_MAX_WORK = 64 * DECODE_MAX_VALUES, /* elements looked at in a message: see run_work() */
};

enum node_kind { NODE_DOC, NODE_ITEM, NODE_MEMBER, NODE_INDEX };

/* Of the first and last eight bytes. Good enough: the keys are the profile's, the tables at most
 * half full. */
static inline size_t key_hash(const char *key, size_t n)
{
    uint64_t a = n, b = 0;
    uint32_t s, t;
    if (n >= 8) {
        memcpy(&a, key, 8);
        memcpy(&b, key + n - 8, 8);
    } else if (n >= 4) {
        memcpy(&s, key, 4);
        memcpy(&t, key + n - 4, 4);
        a = (uint64_t)s << 32 | t;
    } else if (n > 0) {
        b = (unsigned char)key[0] | (uint64_t)(unsigned char)key[n / 2] << 8 |
            (uint64_t)(unsigned char)key[n - 1] << 16;
    }
    a = (a ^ (b << 29 | b >> 35) ^ n) * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(a >> 32);
}

struct plan_kid {
    const char *key;
    uint32_t key_len;
    uint16_t node;
};
struct plan_kids { /* the members that somebody wants of one object */
    uint16_t n, mask;
    uint64_t sieve; /* a bit for each key, by kid_bit(): most members are strangers */
    const struct plan_kid *slots; /* by key_hash() & mask; node PLAN_NONE: empty */
};

/* Of a key's length and first character (NUL if it has none): what is at hand soonest. */
static inline unsigned kid_bit(size_t n, char first)
{
    return ((unsigned)n * 9 + (unsigned char)first) & 63;
}

struct plan_node {
    enum node_kind kind;
    uint16_t parent, slot;
    uint16_t doc;    /* NODE_DOC */
    int32_t index;   /* NODE_INDEX; negative: from the end */
    const char *key; /* NODE_MEMBER */
    uint32_t key_len;
    struct plan_kids *kids;
};

struct plan_doc {
    const char *name; /* "" the payload as the message decodes it */
    struct codec_chain *chain;
    bool json, sparkplug;
    bool of_payload;
    uint16_t from; /* node, unless of_payload */
    uint16_t root; /* its node */
};

enum scalar_kind { SCALAR_NULL, SCALAR_BOOL, SCALAR_NUMBER, SCALAR_TEXT };

/* A value as a profile writes it, to be compared with what a message says. */
struct plan_scalar {
    enum scalar_kind kind;
    bool b, is_int, is_uint; /* of more than 63 bits */
    double number;
    int64_t integer;
    uint64_t natural; /* is_uint */
    const char *text; /* as written, always */
    size_t len;
};
struct plan_scalars {
    const struct plan_scalar *list;
    size_t n;
};

enum piece_kind { PIECE_FIXED, PIECE_CAPTURE, PIECE_NODE, PIECE_KEY };
enum filter_kind {
    FILTER_LOWER,
    FILTER_UPPER,
    FILTER_HEXLOWER,
    FILTER_BASE64HEX,
    FILTER_BEFORE,
    FILTER_AFTER
};
struct plan_filter {
    enum filter_kind kind;
    const char *arg;
    size_t len;
};
struct plan_piece {
    enum piece_kind kind;
    const char *text; /* FIXED, CAPTURE */
    size_t len;
    uint16_t node; /* NODE */
    uint16_t slot; /* KEY: of which level */
    const struct plan_filter *filters;
    size_t n_filters;
};
struct plan_text {
    const struct plan_piece *pieces;
    size_t n;
    uint16_t slot; /* what it depends on */
    uint16_t next; /* asked when this one is absent; PLAN_NONE */
};

enum cond_subject {
    SUBJECT_NODE,
    SUBJECT_CAPTURE,
    SUBJECT_PAYLOAD,
    SUBJECT_SPARKPLUG,
    SUBJECT_KEY
};
enum cond_op {
    COND_EQUAL, /* one of the scalars */
    COND_NOT,
    COND_EXISTS,
    COND_MISSING,
    COND_TYPE,
    COND_PREFIX,
    COND_HEX_PREFIX, /* bytes in text */
    COND_CONTAINS,
    COND_MIN,
    COND_MAX,
    COND_LENGTH,
    COND_BIT
};
struct plan_cond {
    enum cond_subject subject;
    enum cond_op op;
    uint16_t node, slot;
    uint16_t memo; /* PLAN_NONE: not worth remembering */
    const char *capture;
    struct plan_scalars values;
    const char *text;
    size_t len;
    double number;
    unsigned types; /* COND_TYPE: bits by enum json_type */
};
struct plan_when { /* all of the conditions, and of each `any` one */
    const struct plan_cond *conds;
    size_t n;
    struct plan_any {
        const struct plan_when *const *alternatives;
        size_t n;
        const uint16_t *members; /* NULL, or: is one of these, of one object, there? */
    } * any;
    size_t n_any;
};

enum time_format {
    TIME_AUTO,
    TIME_S,
    TIME_MS,
    TIME_US,
    TIME_NS,
    TIME_RFC3339,
    TIME_AGO_S,
    TIME_AGO_MS,
    TIME_PATTERN
};
struct plan_time {
    uint16_t node, text; /* one is PLAN_NONE */
    enum time_format format;
    const char *pattern;
    bool fixed_zone;
    int32_t offset_s;
    const struct zone *zone; /* NULL: UTC */
    int64_t epoch_ms, add_ms;
    double per_second; /* 0: as the format says */
    struct plan_scalars absent;
};
struct plan_times {
    const struct plan_time *list;
    size_t n;
    uint16_t id, slot;
    const struct plan_times *older; /* of the profile */
};

/* (v × mul + add) ÷ div: whole numbers as far as they go, so that 651 ÷ 10 − 40 is 25.1. */
struct plan_linear {
    double mul, add, div;
    bool same;
};

struct plan_map;
struct plan_unit { /* a unit that the message tells */
    struct plan_scalar when;
    struct plan_linear linear;
    struct profile_value out;
};
struct plan_target { /* of a `map:` entry */
    struct plan_scalar when;
    bool nothing;
    struct value v;
};

enum plan_parse { PARSE_NOTHING, PARSE_DURATION, PARSE_OBIS };

struct plan_map {
    struct profile_value out, raw; /* raw: of values that stay as the device told them */
    const char *metric;
    size_t metric_len;
    enum metric_type type;
    uint16_t from[PLAN_MAX_FROM];
    size_t n_from;
    uint16_t text; /* PLAN_NONE */
    const struct value *constant;
    const struct plan_when *when;
    struct plan_scalars absent, sentinels, faults;
    char decimal; /* 0 none */
    const char *after, *before;
    size_t after_len, before_len;
    unsigned char parse; /* enum plan_parse */
    bool has_bits, one_bit;
    unsigned bit_lo, bit_hi;
    const struct plan_target *targets;
    size_t n_targets;
    const struct plan_target *otherwise; /* default: */
    struct plan_linear linear;
    bool has_min, has_max, invert;
    bool go_on;               /* `next` is asked even when this one gives a value */
    bool plain;               /* a number or truth at its one place is the value as it is */
    double min, max;          /* of the scaled value, before the unit */
    struct plan_linear scale; /* the linear part before the unit */
    uint16_t unit_from;       /* PLAN_NONE: fixed */
    const struct plan_unit *units;
    size_t n_units;
    const struct plan_unit *unit_otherwise;
    struct plan_map *next; /* asked when this one gives nothing */
    int line;
};

struct plan_quality {
    const struct plan_when *when;
    unsigned char quality, reason;
    const char *const *metrics;
    size_t n; /* 0: all */
};

struct plan_name {
    const char *name;
    size_t len;
    const struct plan_map *map; /* NULL: skip it */
};
struct plan_fields { /* and pairs */
    bool pairs;
    uint16_t in, slot, item; /* slot and node of the element */
    uint16_t name;           /* PLAN_NONE: the member's key */
    uint16_t value[PLAN_MAX_FROM];
    size_t n_value;
    const struct plan_when *when;
    const struct plan_times *time; /* NULL */
    uint16_t error;                /* PLAN_NONE; pairs: a value that came with an error */
    struct plan_scalars ok;        /* errors that are none, besides null, 0 and false */
    bool same;
    bool bare; /* a member without a name of ours is its value, as it is */
    const char *prefix;
    size_t prefix_len;
    const struct plan_name *names;
    size_t n_names;
    const uint16_t *table; /* by hash & mask: index of names, PLAN_NONE empty */
    size_t mask;
    const struct plan_quality *quality;
    size_t n_quality;
};

enum level_kind { LEVEL_ELEMENTS, LEVEL_MEMBERS, LEVEL_ONE };
struct plan_level {
    enum level_kind kind;
    uint16_t in, slot, item;
};

struct plan_part {
    const struct plan_when *when;
    struct plan_level levels[PLAN_MAX_LEVELS];
    size_t n_levels;
    uint16_t device, compound, point, id; /* texts */
    const struct plan_times *time;
    bool not_alive;
    /* The first of the message's parts that say the same of the above, none of it of an item; NULL:
     * no other says it. */
    const struct plan_part *like;
    bool timed; /* some of the fields have times of their own */
    const struct plan_map *const *values;
    size_t n_values;
    const struct plan_fields *fields; /* those with times of their own last */
    size_t n_fields;
    const struct plan_quality *quality;
    size_t n_quality;
};

struct plan_message {
    const char *name;
    uint16_t topic; /* of the profile's patterns; PLAN_NONE any */
    const struct plan_when *when;
    uint16_t doc; /* `$` */
    bool sparkplug;
    bool ignore;
    enum ledger_count reason;
    const char *refuse; /* NULL */
    bool alive;
    uint16_t device; /* of ignore */
    const struct plan_part *parts;
    size_t n_parts;
};

struct example_value {
    const char *metric;
    size_t len;
    int line, col;
    unsigned char quality, reason;
    bool any; /* "*": whatever it is */
    struct plan_scalar value;
    bool seen;
};
struct example_sample {
    int line, col;
    const char *device, *point, *compound; /* NULL: not said */
    bool has_time, received;
    int64_t time_ms;
    struct example_value *values;
    size_t n;
    bool seen;
};
struct example {
    const char *name, *topic;
    const char *payload;
    size_t len;
    int64_t received_ms;
    const struct kind *kind; /* NULL: none */
    bool expects_samples, expects_ignored;
    enum ledger_count ignored;
    const char *refused;
    struct example_sample *samples;
    size_t n;
    int line, col;
};

struct plan_capture { /* one that some text or condition uses */
    const char *name;
    uint16_t topic; /* the message's own pattern, which has it; PLAN_NONE: a source's must */
};

struct profile {
    const struct profile_set *set;
    const char *name, *vendor, *file, *title_zh, *title_en, *source;
    bool verified;
    bool *kinds;                   /* by kind->index */
    const struct kind *first_kind; /* NULL: any kind */
    const char **topics;
    struct topic_pattern **patterns; /* of topics, then of messages */
    size_t n_topics, n_patterns;
    struct plan_node *nodes;
    const uint16_t *slot_of; /* of each node, close together: every look asks */
    struct plan_doc *docs;
    struct plan_text *texts;
    const struct plan_when **whens;
    size_t n_nodes, n_docs, n_texts, n_slots, n_times, n_whens, n_conds;
    const struct plan_message *messages;
    size_t n_messages;
    const struct plan_capture *captures;
    size_t n_captures;
    struct example *examples;
    size_t n_examples;
    int line;
};

struct metric_table; /* profile_metric.c */

struct profile_set {
    struct arena arena;
    const struct catalog *catalog;
    const struct zone *zone;
    struct codec_set *codecs;
    struct profile **profiles;
    size_t n;
    struct metric_table *tables;
};

/* ---- compiling: what the parsers share ---- */

struct plan_binding { /* a document that paths may begin with */
    const char *name;
    const struct yaml_node *decode; /* NULL: json */
    const struct yaml_node *from;   /* NULL: the payload */
    const struct yaml_node *at;     /* for messages */
    int doc;                        /* index, -1: not compiled yet */
    bool busy, of_item;             /* of_item: hangs on an item of this part's each */
};

struct plan_scope {
    struct plan_binding docs[1 + 2 * PLAN_MAX_ALSO];
    size_t n_docs;
    struct {
        uint16_t slot, item;
        bool keyed; /* .* */
    } levels[PLAN_MAX_LEVELS];
    size_t n_levels;
    const struct topic_pattern *topic; /* the message's own, or NULL: all of the profile's */
    uint16_t topic_index;
};

struct plan_build {
    struct profile_set *set;
    struct profile *p;
    struct conf_notes *notes;
    struct plan_scope *scope;
    size_t cap_nodes, cap_docs, cap_texts;
    struct plan_capture *captures;
    size_t n_captures, cap_captures;
    /* Some of the kinds were refused; some of the topics or the profile's own texts: what is not
     * there may be among those. */
    bool kinds_refused, texts_refused;
    struct plan_item { /* whose item a node is, for what codecs can give */
        uint16_t item, in;
        enum level_kind kind;
    } * items;
    size_t n_items, cap_items;
    struct plan_cond *conds; /* distinct ones, p->n_conds of them */
    size_t cap_conds;
    const struct plan_times *times; /* the newest */
    bool full;                      /* said already */
    bool common;                    /* what is read is the profile's, for several messages */
    bool relative;                  /* paths may begin with a name: of the element */
};

#define AT(n) (n)->line, (n)->col

struct plan_key { /* one allowed key of a mapping, and where its value goes */
    const char *name;
    const struct yaml_node **to;
};

void *plan_take(struct plan_build *b, size_t n, size_t size);
const char *plan_text_copy(struct plan_build *b, const char *s, size_t n);
const char *plan_kind_of(const struct yaml_node *n);
/* False when a key is unknown that may be meant for one of them: what lacks may be there. */
bool plan_read_map(struct plan_build *b, const struct yaml_node *map,
                   const struct plan_key *keys, size_t n, const char *where);
bool plan_is_map(struct plan_build *b, const struct yaml_node *n, const char *what);
/* A value that is not null; NULL and a note otherwise. */
const char *plan_scalar_text(struct plan_build *b, const struct yaml_node *n, const char *what);
bool plan_bool(struct plan_build *b, const struct yaml_node *n, const char *what,
               bool otherwise);
bool plan_number(struct plan_build *b, const struct yaml_node *n, const char *what,
                 double *out);
/* "…, did you mean "x"?"; false when it cannot be told what was meant. */
bool plan_unknown(struct plan_build *b, const struct yaml_node *n, const char *what,
                  const char *word, const char *const *names, size_t n_names);
size_t plan_count(const struct yaml_node *list);

struct plan_scalar plan_scalar_of(struct plan_build *b, const struct yaml_node *n);
/* A value or a list of values. */
bool plan_scalars_of(struct plan_build *b, const struct yaml_node *n, const char *what,
                     struct plan_scalars *out);

/* profile_place.c; PLAN_NONE after a note. */
uint16_t plan_new_slot(struct plan_build *b);
/* An item of what is at `in` (PLAN_NONE: not known). */
uint16_t plan_item_node(struct plan_build *b, uint16_t slot, enum level_kind kind, uint16_t in);
uint16_t plan_path(struct plan_build *b, const struct yaml_node *n);
/* A path with stars: fills levels of the scope and the part. */
bool plan_each(struct plan_build *b, const struct yaml_node *n, struct plan_part *part);
/* The .* that {key} means, {^key} with up 1: outward from the level that many up. */
bool plan_key_slot(const struct plan_scope *s, size_t up, uint16_t *out_slot);
size_t plan_paths(struct plan_build *b, const struct yaml_node *n, uint16_t out[PLAN_MAX_FROM]);
/* A text, or a list of them: the first that is there. */
uint16_t plan_text(struct plan_build *b, const struct yaml_node *n);
bool plan_capture(struct plan_build *b, const struct yaml_node *n, const char *name, size_t len,
                  const char **out);
/* profile_reach.c. A warning if the codec that makes the document can never give that place; `key`:
 * a member of the node's, else the node itself. */
void plan_reach(struct plan_build *b, const struct yaml_node *at, uint16_t node,
                const char *key, size_t len);

/* The document of that name in the scope; -1. */
int plan_document(struct plan_build *b, const struct yaml_node *n, const char *name,
                  size_t len);
void plan_finish_nodes(struct plan_build *b);

/* profile_when.c */
bool plan_same_scalars(const struct plan_scalars *a, const struct plan_scalars *b);
const struct plan_when *plan_when(struct plan_build *b, const struct yaml_node *n);
/* profile_time.c */
const struct plan_times *plan_times(struct plan_build *b, const struct yaml_node *n);
/* profile_value.c */
const struct plan_map *plan_mapping(struct plan_build *b, const struct yaml_node *n,
                                    const struct yaml_node *metric, const uint16_t *from,
                                    size_t n_from);
void plan_values(struct plan_build *b, const struct yaml_node *n, struct plan_part *part);
/* profile_fields.c */
void plan_fields_of(struct plan_build *b, const struct yaml_node *fields,
                    const struct yaml_node *pairs, struct plan_part *part);
void plan_quality_of(struct plan_build *b, const struct yaml_node *n,
                     const struct plan_quality **out, size_t *out_n);
/* profile_metric.c: the metric of that name in the profile's kinds (limited by `kinds`, NULL:
 * all); what a unit's value becomes. False after a note. */
struct plan_metric {
    const struct metric *any;          /* of the first kind that has it */
    const struct profile_metric *same; /* by kind, without conversion */
};
bool plan_metric(struct plan_build *b, const struct yaml_node *at, const char *name,
                 const bool *kinds, struct plan_metric *out);
bool plan_kinds(struct plan_build *b, const struct yaml_node *n, bool **out);
bool plan_decimal(const char *s, size_t n, double *out_num, double *out_den);
struct plan_linear plan_linear_make(double mul, double add, double div);
/* Puts the unit's conversion behind `scale`. */
bool plan_unit_of(struct plan_build *b, const struct yaml_node *at, const char *code,
                  const char *metric, const bool *kinds, const struct plan_linear *scale,
                  struct plan_linear *out_linear, const struct profile_metric **out_by_kind);
/* Can this unit (a good one) become that of the metric, in all kinds that have it? */
bool plan_unit_fits(const struct plan_build *b, const char *code, const char *metric,
                    const bool *kinds);
void plan_tables_free(struct profile_set *s);

/* profile_parse.c: `parse:`; unit: the mapping's `unit`, or NULL */
void plan_parse(struct plan_build *b, const struct yaml_node *n, const struct yaml_node *unit,
                const bool *kinds, struct plan_map *m);
bool parse_duration(const char *p, size_t n, double *out_s);
bool parse_obis(const char *p, size_t n, char decimal, struct value *out_number,
                const char **out_unit, size_t *out_len);
/* profile_example.c */
void plan_examples(struct plan_build *b, const struct yaml_node *n);
/* profile_message.c */
void plan_messages(struct plan_build *b, const struct yaml_node *root,
                   const struct yaml_node *messages);
bool plan_ignore_reason(const char *word, enum ledger_count *out);
const char *const *plan_ignore_words(size_t *out_n);

/* ---- running ---- */

struct plan_memo {
    uint64_t epoch;
    uint64_t walked; /* the epoch of its members, if they have been looked for */
    struct json_value v;
    bool found;
    uint16_t kids; /* how many of its members that somebody wants are there */
};
struct text_memo {
    uint64_t epoch;
    const struct plan_message *message;
    const char *p;
    size_t n;      /* p NULL: absent */
    uint64_t hash; /* as an id; 0: not asked for */
};
struct time_memo {
    uint64_t epoch;
    int64_t ms;
    unsigned char state; /* enum time_state */
    bool coarse;
};
struct cond_memo {
    uint64_t epoch;
    uint16_t topic; /* the message's pattern, whose captures are asked for */
    bool holds;
};
struct slot_state {
    uint64_t epoch;
    const char *key; /* of .* */
    size_t key_len;
    uint32_t index; /* of [*] */
};
struct doc_state {
    uint64_t message; /* whose it is, if the document is the message's: it is read once */
    struct json_value root;
    struct codec_fault fault;
    int error;       /* 0, or negative errno */
    uint16_t guilty; /* which one cannot be read: this, or one that it is made of */
    bool absent;
};
struct topic_memo {
    uint64_t epoch;
    bool fits;
    struct topic_match match;
};
struct text_chunk;

struct profile_run {
    size_t max_bytes;
    struct json *json;
    struct codec_run *codec;
    struct doc *resolved; /* sparkplug */
    struct sparkplug *own;
    struct plan_memo *memo;
    struct text_memo *texts;
    struct time_memo *times;
    struct cond_memo *conds;
    struct slot_state *slots;
    struct doc_state *docs;
    struct topic_memo *topics;
    size_t cap_nodes, cap_texts, cap_times, cap_conds, cap_slots, cap_docs, cap_topics;
    struct text_chunk *chunks, *chunk;
    size_t text_used, text_total;
    uint64_t epoch; /* the newest given */
    uint64_t began; /* the first of this message */
    /* of the message being decoded */
    const struct profile *p;
    const uint16_t *slot_of; /* the profile's */
    const struct profile_input *in;
    const struct plan_message *message;
    struct decoded *out;
    struct profile_verdict *v;
    struct topic_levels levels; /* of the topic, once somebody asks */
    bool has_levels;
    unsigned codec_reads; /* documents of this message that a codec read */
    char *large;          /* for texts longer than a chunk */
    size_t cap_large;
    enum sparkplug_result sparkplug_result;
    struct sparkplug_info sparkplug_info;
    bool sparkplug_taken;
    uint64_t last_message;
    struct json_value sparkplug_root;
    int doc_failed;          /* the first document that could not be read, -1 */
    struct doc_state failed; /* as it was then: a later item's document may be right */
    size_t work;             /* done so far */
    bool too_big, no_device;
    struct decoded_sample lone;         /* the first that has no values */
    uint16_t open[PLAN_MAX_LEVELS + 1]; /* slots of the items being read, outermost first */
    size_t n_open;
    size_t base_sample; /* the first of the part's item, and as it was at first */
    struct decoded_sample as_message;
    const struct plan_part *placed; /* whose places as_placed has … */
    uint64_t placed_at;             /* … in this epoch of the message */
    struct decoded_sample as_placed;
    uint32_t *of_sample; /* of values, while samples are sorted by time */
    struct decoded_value *sorted;
    struct value_trace *sorted_trace;
    size_t cap_of_sample, cap_sorted, cap_sorted_trace;
    bool tracing;
    struct value_trace *trace;
    size_t cap_trace;
};

struct value_trace {
    uint16_t node; /* PLAN_NONE */
    uint32_t index[PLAN_MAX_LEVELS];
    const char *key[PLAN_MAX_LEVELS];
    size_t key_len[PLAN_MAX_LEVELS];
    uint16_t slot[PLAN_MAX_LEVELS];
    size_t n_levels;
    struct json_value raw;
    bool has_raw;
    const struct plan_map *map;
};

/* A list walked once an item of another list is their product, which no ceiling of what comes out
 * bounds: elements, values asked for and long texts searched count, and too many are too_big. */
#define SEARCHED 256 /* bytes of a text that count as one element */
static inline void run_work(struct profile_run *x, size_t n)
{
    x->work += n;
    x->too_big = x->too_big || x->work > RUN_MAX_WORK;
}

/* profile_find.c */
void run_find(struct profile_run *x, uint16_t node, struct plan_memo *m);
/* What stands at a place; false: nothing does. Nobody else is given `out`, so that a caller's
 * value stays in registers: one read back as a whole just after its parts were written waits for
 * the writes. */
static inline bool run_node(struct profile_run *x, uint16_t node, struct json_value *out)
{
    struct plan_memo *m = &x->memo[node];
    if (m->epoch != x->slots[x->slot_of[node]].epoch)
        run_find(x, node, m);
    if (!m->found)
        return false;
    out->doc = m->v.doc;
    out->at = m->v.at;
    return true;
}
/* The document of a place that run_node() did not find, if it cannot be read, or one that it is made
 * of; PLAN_NONE: there is nothing there. */
uint16_t run_unreadable(const struct profile_run *x, uint16_t node);
/* NULL and 0 when it is absent. */
const char *run_text(struct profile_run *x, uint16_t text, size_t *out_len);
/* Of a text that is an id, never 0; 0: absent. All samples of a message ask for the same one. */
uint64_t run_id(struct profile_run *x, uint16_t text);
void run_free_room(struct profile_run *x);
char *run_room(struct profile_run *x, size_t n); /* lives until the next call; NULL: full */
const struct topic_capture *run_capture(struct profile_run *x, const char *name);
bool run_topic(struct profile_run *x, uint16_t pattern);
/* A scalar as text ("" for null); false for objects and arrays, or when there is no room. */
bool run_scalar_text(struct profile_run *x, struct json_value v, const char **out_p,
                     size_t *out_n);
void run_begin_item(struct profile_run *x, uint16_t slot, uint16_t item, struct json_value v);
bool run_when(struct profile_run *x, const struct plan_when *w);
/* The same as far as it can be told before an item of `each` is there; true: perhaps. */
bool run_when_message(struct profile_run *x, const struct plan_when *w);

enum time_state { TIME_NONE, TIME_UNREAD, TIME_GOOD };
enum time_state run_time(struct profile_run *x, const struct plan_times *t, int64_t *out_ms,
                         bool *out_coarse);

/* profile_scalar.c: lenient numbers ("+27.90", "071", " 48 "); decimal 0: '.'. */
bool text_number(const char *p, size_t n, char decimal, struct value *out);
/* A number, truth or text as a value (above 2^63 - 1 as a double); false: null or a container.
 * Here, because every value comes this way. */
static inline bool scalar_value(struct json_value j, struct value *out)
{
    switch (json_type(j)) {
    case JSON_BOOL:
        out->type = VALUE_BOOL;
        out->i = 0; /* the union's first eight bytes are copied, whatever they are */
        out->b = json_bool(j);
        return true;
    case JSON_INT:
        out->type = VALUE_INT;
        out->i = json_int(j);
        return true;
    case JSON_UINT:
    case JSON_DOUBLE:
        out->type = VALUE_FLOAT;
        out->f = json_double(j);
        return true;
    case JSON_STRING:
        out->type = VALUE_STRING;
        out->s.p = json_text(j, &out->s.n);
        return true;
    case JSON_NULL:
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    return false;
}
bool scalar_equal(const struct plan_scalar *s, struct json_value v);
bool scalar_equal_text(const struct plan_scalar *s, const char *p, size_t n);
bool scalar_equal_value(const struct plan_scalar *s, const struct value *v);
double linear_apply(const struct plan_linear *l, double v);

/* Adds the mapping's value to the open sample. False: it gave nothing. */
bool run_map(struct profile_run *x, const struct plan_map *m, const char *key, size_t key_len);
void run_fields(struct profile_run *x, const struct plan_fields *f);
void run_set_time(struct profile_run *x, const struct plan_times *t, struct decoded_sample *s);
void run_quality(struct profile_run *x, const struct plan_quality *q, size_t n, size_t from,
                 size_t to);
/* The same where there is no room yet, or places are traced. */
void run_add_long(struct profile_run *x, const char *key, size_t key_len, const struct value *v,
                  const struct profile_value *from, unsigned char quality, unsigned char reason,
                  uint16_t node);
/* Written member by member: a struct value that was made a moment ago is copied slowly, because
 * its parts are still on their way to memory. */
static inline void run_add(struct profile_run *x, const char *key, size_t key_len,
                           const struct value *v, const struct profile_value *from,
                           unsigned char quality, unsigned char reason, uint16_t node)
{
    struct decoded *d = x->out;
    if (d->n_values == d->cap_values || x->tracing) {
        run_add_long(x, key, key_len, v, from, quality, reason, node);
        return;
    }
    struct decoded_value *o = &d->values[d->n_values++];
    d->samples[d->n_samples - 1].n++;
    o->key = key;
    o->key_len = key_len;
    o->v.type = v->type;
    if (v->type == VALUE_STRING) {
        o->v.s.p = v->s.p;
        o->v.s.n = v->s.n;
    } else {
        o->v.i = v->i; /* the union's first eight bytes, whatever they are */
    }
    o->is_null = false;
    o->from = from;
    o->quality = quality;
    o->reason = reason;
}

#endif
