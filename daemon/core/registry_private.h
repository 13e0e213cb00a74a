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
    struct range *ranges; /* by device and metric */
    size_t n_compounds, n_devices, n_params, n_ranges;
    uint32_t *merged; /* of a compound: the index of what it is merged into, or UINT32_MAX */
    struct table by_compound, by_code, by_source;
    const char *remarks[3];
    size_t n_remarks;
};

enum { MAX_COLUMNS = 24 };

struct column {
    const char *name;
    bool required;
};

/* One file while it is read. */
struct sheet {
    struct registry *r;
    struct problems *problems;
    const char *file;
    const struct column *columns;
    size_t n_columns;
    void (*begin)(struct sheet *s); /* NULL, or called when `rows` is known */
    void (*on_row)(struct sheet *s);
    size_t rows; /* how many there can be at most */

    const struct csv_row *row;
    int at[MAX_COLUMNS];            /* which field of a row a column is, or -1 */
    const char *of[CSV_FIELDS_MAX]; /* the names of the header line's columns */
    size_t n_header;
    bool header_read, header_bad;

    uint32_t *lines; /* of the rows that were taken */
    uint32_t *links; /* devices: uplink, compounds: merged_into; resolved at the end */
    struct place {
        const char *text;
        int line, col;
    } * link_places;
    struct buf scratch;
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
/* Where links lead round in a circle: calls fn once for each circle. next[i] is UINT32_MAX at
 * the end. */
void find_circles(const uint32_t *next, size_t n, void (*fn)(void *ctx, uint32_t at),
                  void *ctx);

void compounds_read(struct registry *r, const struct registry_input *in, struct problems *p);
void devices_read(struct registry *r, const struct registry_input *in, struct problems *p);
void params_read(struct registry *r, const struct registry_input *in, struct problems *p);
/* Reads the file through s: encoding, header, rows. False if it could not be read at all. */
bool sheet_read(struct sheet *s, const struct registry_input *in);
void sheet_free(struct sheet *s);

uint64_t registry_hash(const char *s, size_t n);
table_same registry_same_code, registry_same_source, registry_same_name;

#endif
