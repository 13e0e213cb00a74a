/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_REGISTRY_PRIVATE_H
#define CORE_REGISTRY_PRIVATE_H
/*
 * What the files of the registry share: registry.c (look-ups), registry_parse.c (encoding,
 * header lines, order of things), registry_compounds.c, registry_devices.c, registry_params.c
 * (one file each).
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/table.h"
#include "core/csv.h"
#include "core/registry.h"

struct param {
    uint32_t device;
    uint32_t line; /* while parsing */
    const char *name;
    double value;
};

struct range {
    uint32_t device, metric;
    double min, max; /* NaN: not given */
};

struct registry {
    const struct catalog *catalog;
    struct arena pool;
    struct compound *compounds;
    struct device *devices;
    struct param *params; /* by device and name */
    uint32_t *param_at;   /* by device, and the end: its first one; NULL: there are none */
    struct range *ranges; /* by device and metric */
    size_t n_compounds, n_devices, n_params, n_ranges;
    uint32_t *merged; /* of a compound: the index of what it is merged into, or UINT32_MAX */
    uint32_t *split;  /* … of what it was split from */
    struct table by_compound, by_code, by_source;
    bool compounds_refused; /* some lines of them: what is not there may be among those */
    bool devices_refused;   /* some of them: who is not there may be among those */
    const char *remarks[3];
    size_t n_remarks;
};

enum { MAX_COLUMNS = 24, MAX_LINKS = 2 };

struct column {
    const char *name;
    bool required;
};

/* One file while it is read. */
struct sheet {
    struct registry *r;
    struct problems *problems;
    const char *file;
    const struct sheet_kind *kind;
    size_t rows; /* how many there can be at most */

    const struct csv_row *row;
    int at[MAX_COLUMNS];            /* which field of a row a column is, or -1 */
    const char *of[CSV_FIELDS_MAX]; /* the names of the header line's columns */
    size_t n_header;
    bool header_read, header_bad;
    bool gaps; /* there are lines that nothing was taken from */

    uint32_t *lines; /* of the rows that were taken */
    struct link {    /* columns that name another row of the same file */
        int column;
        const char *thing;  /* "compound" */
        struct place {      /* of each row that was taken */
            const char *to; /* NULL none */
            int line, col;
        } * places;     /* NULL: of no row */
        uint32_t *next; /* UINT32_MAX: none; made by sheet_link */
    } links[MAX_LINKS];
    struct buf scratch;
    struct table
        folded; /* devices by their source_id without case; made with the first letter in one */
    size_t n_alike; /* that differ in nothing but case from another */
};

/* What one file is: sheet_run() reads it. */
struct sheet_kind {
    const struct column *columns;
    size_t n_columns, rows;
    void (*begin)(struct sheet *s); /* `rows` is known */
    void (*on_row)(struct sheet *s);
    void (*finish)(struct sheet *s, bool complete); /* complete: no row was refused */
};

/* The text of a column; "" when it is missing. */
const char *sheet_text(const struct sheet *s, int column);
size_t sheet_len(const struct sheet *s, int column);
/* A problem at a column of this row (at the row itself when the column is not there). */
void sheet_error(const struct sheet *s, int column, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* A code, or a problem and ""; may be empty when it is not required. */
bool sheet_code(const struct sheet *s, int column, bool required);
/* Text without control characters, at most `most` bytes. */
bool sheet_plain(const struct sheet *s, int column, size_t most);
bool sheet_date(const struct sheet *s, int column);
/* A copy in the pool; "" is shared. */
const char *sheet_keep(const struct sheet *s, int column);
const char *keep(struct registry *r, const char *text, size_t len);
/* Notes the place of a link's column for the row that is taken as number i, whose text is
 * `kept`. */
void sheet_link_note(struct sheet *s, struct link *l, uint32_t i, const char *kept);
/* Looks up what the links of n rows name: fills l->next, tells what there is not (if `complete`:
 * else it may be among the refused rows, which would be said twice) and what leads round in a
 * circle. code_of, find: of this file's rows. */
void sheet_link(struct sheet *s, struct link *l, size_t n, bool complete,
                const char *(*code_of)(const struct registry *r, uint32_t i),
                uint32_t (*find)(const struct registry *r, const char *code));

extern const struct sheet_kind compounds_sheet, devices_sheet, params_sheet;
/* Reads a file: encoding, header, rows. False if it has lines that nothing was taken from (for those
 * that on_row leaves out it sets `gaps` itself: compounds' does). */
bool sheet_run(struct registry *r, const struct sheet_kind *kind,
               const struct registry_input *in, struct problems *p);
void sheet_warn(const struct sheet *s, int column, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

uint64_t registry_hash(const char *s, size_t n);
table_same registry_same_code, registry_same_source, registry_same_name;

#endif
