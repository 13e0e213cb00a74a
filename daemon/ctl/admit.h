/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_ADMIT_H
#define CTL_ADMIT_H
/*
 * admit — the line of devices.csv that would admit a device, and writing it
 * (ctl_quarantine's hands; no jansson here).
 */
#include "core/registry_row.h"

#include <stdbool.h>
#include <sys/stat.h>

enum { ADMIT_COLUMNS = 19 };

struct admit_sample { /* a message of the device, newest first */
    const char *topic;
    char *payload; /* with JSON_PADDING bytes behind it */
    size_t len;
};

struct admit {
    /* from the daemon */
    const char *device, *compound; /* what it calls itself; its topic's compound, or NULL */
    const char *profile, *config;  /* NULL: not known */
    struct admit_sample *samples;
    size_t n_samples;
    /* from the command line; values NULL: not given */
    struct registry_cell given[ADMIT_COLUMNS];
    const char *file; /* devices.csv, NULL: as the configuration says */
    /* made */
    char code[REGISTRY_ROW_CODE];
    struct registry_cell cells[ADMIT_COLUMNS];
    char room[4][256];
    struct stat written; /* the file as it was left */
};

extern const char *const admit_columns[ADMIT_COLUMNS];

/* The line as far as it is known, for people: its header line and itself, in out (UTF-8); what
 * is missing in *out_missing ("kind", "kind and compound", "" nothing). Works without the files,
 * then with the default columns. */
void admit_show(struct admit *a, struct buf *out, const char **out_missing);
/* The options that give it (" --compound CODE"), "" when nothing is missing. */
const char *admit_wanted(const struct admit *a);
/* Writes the line: checked with the whole registry first, temporary → fsync → rename, the file's
 * owner and mode kept. 0 or an exit code, told. *out_path and *out_before (the file as it was)
 * are the caller's. */
int admit_write(struct admit *a, bool dry, char **out_path, struct buf *out_before);
/* Puts the file back as it was, unless somebody has changed it since. */
int admit_undo(struct admit *a, const char *path, const struct buf *before);

#endif
