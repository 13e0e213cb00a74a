/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_HISTORY_H
#define CTL_HISTORY_H
/*
 * history — everything that a gateway's data folder still has of the past, in order: archived
 * segments of the journal, then the live ones, of a stopped or a running gateway.
 *
 * Archived segments are unpacked into a temporary folder (TMPDIR), which is removed at the end.
 */
#include "core/world.h"
#include "io/journal.h"

struct history {
    const char *dir; /* the data folder */
    char *journal_dir, *archive_dir, *content_dir, *snapshot_dir, *temp;
    char newest[17]; /* of the archived segments that were looked at: its name's digits */
    struct journal *journal;
    struct journal_reader *reader;
    struct journal_recovery recovery;
};

/* What ended before from_ms may be left out. 0 or an exit code, told; needs history_close in
 * either case. */
int history_open(struct history *h, const char *dir, int64_t from_ms);
void history_close(struct history *h);
/* As journal_read. */
int history_read(struct history *h, struct record *out);
/* The world in force at the beginning, as far as the folder says; NULL, told. */
struct world *history_first_world(struct history *h);
/* The world that a generation record names; NULL: it is no such record, or its files are gone
 * (told). */
struct world *history_world(struct history *h, const struct record *r);

#endif
