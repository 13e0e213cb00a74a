/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_CODEC_PLAN_PRIVATE_H
#define CORE_CODEC_PLAN_PRIVATE_H
/*
 * codec_plan_private — the compiled form of codecs, and what its files share; included by
 * core/codec*.c only.
 *
 * A chain is a list of ops. An op to bytes narrows or replaces the bytes it gets; an op to
 * values writes one value into a doc. struct and tlv (and modbus) are made of fields, which
 * codec_field.c reads and codec_field_parse.c compiles.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/table.h"
#include "core/codec_private.h"

#include <errno.h>

struct codec_span {
    const char *p;
    size_t n;
};

struct codec_def;
struct codec_chain;
struct codec_parse;
struct codec_op;

/* What a word compiles to: `n` is the value at the word, `map` the mapping it stands in. Fills
 * op; false told. */
typedef bool codec_parse_fn(struct codec_parse *c, const struct yaml_node *n,
                            const struct yaml_node *map, struct codec_op *op);

/* May the step's value, which stands at step `at`, have the place? codec_look.c. */
struct codec_look {
    const struct codec_step *steps;
    size_t n;
    void (*name)(void *ctx, const char *name, size_t len); /* of what is there; NULL */
    void *ctx;
};
typedef bool codec_gives_fn(const struct codec_op *op, const struct codec_look *l, size_t at);
codec_gives_fn codec_gives_scalar;
bool codec_op_gives(const struct codec_look *l, const struct codec_op *op, size_t at);
/* Is it a member of that name that is looked for? At the end of the steps it is told. */
bool codec_look_name(const struct codec_look *l, struct codec_span name, bool templated,
                     size_t at);
/* Goes on behind an element of a list; false, and at stays: none is looked for. */
bool codec_look_element(const struct codec_look *l, size_t *at);

struct codec_op {
    const char *name; /* the word in the YAML */
    /* One of the two. A span that points into `out` or into what it was is good. */
    int (*to_bytes)(const struct codec_op *op, struct codec_span *io, struct buf *out,
                    struct codec_fault *f);
    int (*to_value)(const struct codec_op *op, struct codec_run *x, struct codec_span in,
                    struct doc *d, struct codec_fault *f);
    /* The members of the object that to_value writes, without its braces; NULL: none such. */
    int (*to_members)(const struct codec_op *op, struct codec_run *x, struct codec_span in,
                      struct doc *d, struct codec_fault *f);
    codec_gives_fn *gives; /* NULL: anything */
    const void *arg;
    struct codec_sub *subs; /* chains within its fields, for settling */
};

struct codec_sub {
    struct codec_chain *chain;
    bool flat; /* must have to_members */
    int line, col;
    struct codec_sub *next;
};

struct codec_link { /* of a chain as it is written: an op or a name */
    const struct codec_op *op;
    const char *name;
    struct codec_def *def; /* of that name, once looked up */
    int line, col;
};

struct codec_chain {
    const char *file;
    struct codec_link links[CODEC_MAX_STEPS];
    unsigned n_links;
    enum { CHAIN_RAW, CHAIN_OPEN, CHAIN_SETTLED, CHAIN_WRONG } state;
    const struct codec_op *ops[CODEC_MAX_STEPS];
    unsigned n_ops, height;   /* height: of chains within its fields */
    struct codec_chain *next; /* of all chains of the set */
};

/* Positions in the bytes of a step; negative ones count from their end. */
#define CODEC_END  INT64_MAX
#define CODEC_HERE (INT64_MAX - 1)
struct codec_range {
    int64_t from, to;
};
/* False when it is not within n bytes. */
bool codec_resolve(struct codec_range r, size_t n, size_t here, size_t *out_from,
                   size_t *out_to);

struct codec_list_entry { /* a tlv record of a list, kept until all are known */
    uint32_t item, at, end, next;
};

struct codec_run {
    size_t max_bytes;
    struct json *parsers[CODEC_MAX_DOCS], *scratch;
    struct doc *docs[CODEC_MAX_DOCS];
    unsigned used;
    struct buf bufs[2]; /* of bytes between steps */
    struct buf text;    /* of one text being made: whoever puts values uses it */
    struct buf field;   /* of one text being put together before it is put */
    struct codec_list_entry *entries;
    size_t n_entries, cap_entries;
    void *gb18030; /* iconv_t, kept: opening it reads files */
    bool gb18030_open;
};
struct json *codec_scratch(struct codec_run *x); /* a parser whose values live for one call */

static inline int codec_refuse(struct codec_fault *f, const char *why, size_t at)
{
    f->why = why;
    f->at = at;
    return -EBADMSG;
}

static inline int codec_refuse_sum(struct codec_fault *f, const char *why, size_t at)
{
    f->checksum = true;
    return codec_refuse(f, why, at);
}

/* One that does not agree, with what an engineer compares: which bytes, and what they give. */
struct codec_sum;
int codec_refuse_sum_of(struct codec_fault *f, const char *why, size_t at,
                        const struct codec_sum *sum, uint64_t told, uint64_t made, size_t from,
                        size_t to);

/* Text that may not be UTF-8: what is not becomes U+FFFD. */
int codec_put_key(struct codec_run *x, struct doc *d, const char *p, size_t n);
int codec_put_text(struct codec_run *x, struct doc *d, const char *p, size_t n);
int codec_put_hex(struct codec_run *x, struct doc *d, const char *p, size_t n);
int codec_put_gb18030(struct codec_run *x, struct doc *d, const char *p, size_t n);
void codec_close_gb18030(struct codec_run *x);

/* ---- check sums ---- */

struct codec_sum {
    const char *name;
    unsigned width; /* bytes */
    uint32_t (*of)(const struct codec_sum *s, const unsigned char *p, size_t n);
    uint16_t poly, init, xorout; /* of the CRCs */
    bool reflected;
};
const struct codec_sum *codec_sum_find(const char *name);
int codec_sum_read(struct codec_parse *c, const struct yaml_node *n,
                   const struct codec_sum **out);

/* ---- fields ---- */

enum codec_form {
    FORM_UINT,
    FORM_INT,
    FORM_FLOAT,
    FORM_BOOL,
    FORM_BCD,    /* digits as text */
    FORM_BCDNUM, /* digits as a number */
    FORM_HEX,
    FORM_TEXT,
    FORM_GB18030,
    FORM_SKIP,
    FORM_GROUP,  /* fields: an object, or an array of such, or (without a name) nothing */
    FORM_SWITCH, /* some of several lists of fields */
    FORM_DECODE  /* another codec on some bytes */
};

enum codec_order { ORDER_LE, ORDER_BE, ORDER_CDAB, ORDER_BADC };

struct codec_amount { /* of bytes, or of repetitions */
    enum { AMOUNT_NONE, AMOUNT_FIXED, AMOUNT_SLOT, AMOUNT_REST, AMOUNT_UNTIL } kind;
    int64_t n;       /* FIXED; REST: how many of the rest to leave; UNTIL: the byte */
    const int *slot; /* its number is known when all is read */
};

/* (v × a + b) ÷ d in whole numbers; when they are too large, in doubles. */
struct codec_scale {
    int64_t a, b, d;
    bool exact;
    double scale, divide, offset;
};
int codec_scale_int(const struct codec_scale *s, int64_t v, int64_t *out_i, double *out_f);
double codec_scale_double(const struct codec_scale *s, double v);

struct codec_const {
    enum json_type type; /* NULL, BOOL, INT, DOUBLE or STRING */
    bool b;
    int64_t i;
    double f;
    struct codec_span s;
};

struct codec_map {
    struct codec_map_entry {
        bool is_int;
        int64_t key;
        struct codec_span text;
        struct codec_const to;
    } * entries; /* the integers first, by value */
    size_t n_ints, n;
    bool has_other;
    struct codec_const other;
};
int codec_put_const(struct doc *d, const struct codec_const *v);
const struct codec_const *codec_map_int(const struct codec_map *m, int64_t v);
const struct codec_const *codec_map_text(const struct codec_map *m, const char *p, size_t n);

struct codec_bits {
    struct codec_span name;
    unsigned lo, hi;
    bool one; /* a single bit: true or false */
    int slot;
    const struct codec_map *map;
    const struct codec_scale *scale;
};

struct codec_check {
    const struct codec_sum *sum;
    struct codec_range over;
};

struct codec_layout {
    struct codec_field *fields;
    size_t n;
};

struct codec_case {
    int64_t value;
    struct codec_layout layout;
};

struct codec_field {
    bool plain;     /* a named integer of up to four bytes, perhaps scaled: most are */
    bool templated; /* {0} and {1} in the name are bytes of the key */
    int slot;
    enum codec_form form;
    enum codec_order order;
    unsigned width;         /* bytes of a number; 0: as `size` says */
    struct codec_span name; /* n 0: not written */
    const struct codec_scale *scale;
    bool list;       /* of a tlv: all records of that name are one array */
    bool swap;       /* BCD: the low half byte first */
    unsigned digits; /* BCD: only the first so many; 0: all */
    bool has_at;
    int64_t at;
    struct codec_amount size, repeat;
    const struct codec_map *map;
    struct codec_bits *bits;
    size_t n_bits;
    const int64_t *is;
    size_t n_is;
    const struct codec_span *is_text;
    size_t n_is_text;
    const struct codec_check *check;
    struct codec_layout inner;
    const int *on; /* slot of a switch */
    const struct codec_case *cases;
    size_t n_cases;
    bool has_default;
    const struct codec_chain *chain;
    const char *short_of, *mismatch; /* complaints */
};

#define CODEC_MAX_SLOTS 64
#define CODEC_MAX_NEST  12
#define CODEC_MAX_TIMES 1024 /* of a repeated group */

struct codec_cursor {
    const unsigned char *p; /* of the step or of the tlv's record */
    size_t n, at;
    size_t most; /* the furthest that a field with a place of its own went */
    size_t base; /* of p in the bytes of the step: for faults */
    struct codec_run *x;
    struct doc *d; /* NULL: only to find the end */
    struct codec_fault *f;
    const unsigned char *key; /* of a tlv's record */
    size_t *work;             /* what is left of it */
    int64_t slots[CODEC_MAX_SLOTS];
};

/* Work that the bytes of one step may cause: fields read, and bytes looked at by check sums. */
static inline size_t codec_work(size_t n)
{
    return 64 * n + 4096;
}

/* Only so many slots are cleared as the definition uses: a record of a sensor is ten bytes. */
static inline void codec_begin(struct codec_cursor *c, struct codec_span in, size_t base,
                               int n_slots)
{
    c->p = (const unsigned char *)in.p;
    c->n = in.n;
    c->at = c->most = 0;
    c->base = base;
    c->key = NULL;
    if (n_slots > 0)
        memset(c->slots, 0, (size_t)n_slots * sizeof(c->slots[0]));
}

struct codec_struct {
    struct codec_layout layout;
    int n_slots;
    bool rest; /* bytes may be left over */
};

bool codec_look_fields(const struct codec_look *l, const struct codec_layout *in, size_t at);
bool codec_look_field(const struct codec_look *l, const struct codec_field *f, size_t at);
int codec_fields_run(struct codec_cursor *c, const struct codec_layout *l);
int codec_field_run(struct codec_cursor *c, const struct codec_field *f, bool keyed);

struct codec_def {
    const char *name, *file;
    int line;
    struct codec_chain *chain; /* NULL: wrong, told */
};

struct codec_set {
    struct arena arena;
    struct codec_def *defs;
    size_t n_defs, cap_defs;
    struct table names;
    struct codec_chain *chains; /* as parsed, the last first */
    bool settled;
};

/* The built-in steps: a bare word, and what follows a word. */
struct codec_word {
    struct codec_op op;    /* of the bare word; neither function: it needs a value */
    codec_parse_fn *parse; /* NULL: only bare */
};
extern const struct codec_word codec_words[];
extern const size_t codec_n_words;

typedef int codec_value_fn(const struct codec_op *op, struct codec_run *x, struct codec_span in,
                           struct doc *d, struct codec_fault *f);
typedef int codec_bytes_fn(const struct codec_op *op, struct codec_span *io, struct buf *out,
                           struct codec_fault *f);
codec_bytes_fn codec_hex, codec_base64, codec_reverse;
codec_value_fn codec_json, codec_jsonl, codec_text, codec_number, codec_bytes, codec_csv,
    codec_keyvalue, codec_bcd, codec_cbor;
codec_gives_fn codec_csv_gives;

/* ---- compiling ---- */

#define AT(n) (n)->line, (n)->col

struct codec_scope { /* names of integers that may be referred to, innermost first */
    const char *name;
    int *slot; /* -1 until somebody refers to it */
    const struct codec_scope *outer;
};

struct codec_parse {
    struct codec_set *set;
    struct conf_notes *notes;
    const char *file;
    struct codec_op *op; /* being compiled: its subs */
    int n_slots;
    int depth; /* of fields within fields */
};

bool codec_parse_layout(struct codec_parse *c, const struct yaml_node *list,
                        const struct codec_scope *outer, struct codec_layout *out);
/* key and list of an item of a tlv; NULL: must not be there. */
bool codec_parse_field(struct codec_parse *c, const struct yaml_node *n,
                       const struct codec_scope *scope, struct codec_field *f,
                       const struct yaml_node **out_key, const struct yaml_node **out_list);
/* NULL nodes allowed; *out untouched when there is nothing. */
bool codec_parse_scale(struct codec_parse *c, const struct yaml_node *scale,
                       const struct yaml_node *divide, const struct yaml_node *offset,
                       const struct codec_scale **out);
bool codec_parse_map(struct codec_parse *c, const struct yaml_node *map,
                     const struct yaml_node *other, const struct codec_map **out);

struct codec_key { /* one allowed key of a mapping, and where its value goes */
    const char *name;
    const struct yaml_node **to;
};

void *codec_take(struct codec_parse *c, size_t n); /* of the set's arena; never NULL */
const char *codec_take_text(struct codec_parse *c, const char *s);
const char *codec_take_words(struct codec_parse *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Sorts a mapping's entries; unknown and repeated ones are told. */
bool codec_read_map(struct codec_parse *c, const struct yaml_node *map,
                    const struct codec_key *keys, size_t n, const char *where);
/* All told when wrong; out untouched then. `what` begins the complaint. */
const char *codec_read_word(struct codec_parse *c, const struct yaml_node *n, const char *what);
bool codec_read_int(struct codec_parse *c, const struct yaml_node *n, const char *what,
                    int64_t lo, int64_t hi, int64_t *out); /* decimal or 0x… */
bool codec_read_bool(struct codec_parse *c, const struct yaml_node *n, const char *what,
                     bool *out);
bool codec_read_hex(struct codec_parse *c, const struct yaml_node *n, const char *what,
                    struct codec_span *out);
bool codec_read_range(struct codec_parse *c, const struct yaml_node *n, const char *what,
                      struct codec_range *out);
/* One of the words, by number; -1 told with the nearest. */
int codec_read_choice(struct codec_parse *c, const struct yaml_node *n, const char *what,
                      const char *const *words, size_t n_words);
size_t codec_count(const struct yaml_node *list);
bool codec_is_list(struct codec_parse *c, const struct yaml_node *n, const char *what);
bool codec_int_text(const char *s, int64_t *out);

/* A chain within a field; settled with the set. NULL told. */
struct codec_chain *codec_parse_sub(struct codec_parse *c, const struct yaml_node *n,
                                    bool flat);
/* A `decode:` value as it is written; NULL told. */
struct codec_chain *codec_parse_chain(struct codec_parse *c, const struct yaml_node *n);

codec_parse_fn codec_parse_slice, codec_parse_frame;
codec_parse_fn codec_parse_text, codec_parse_csv, codec_parse_keyvalue, codec_parse_pattern;
codec_parse_fn codec_parse_struct, codec_parse_tlv, codec_parse_modbus;

static inline bool codec_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static inline struct codec_span codec_trim(struct codec_span s)
{
    while (s.n && codec_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n && codec_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

#endif
