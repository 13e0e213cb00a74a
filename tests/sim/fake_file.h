/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_FAKE_FILE_H
#define SIM_FAKE_FILE_H
/*
 * fake_file — io/file.h in memory, with a power switch.
 *
 * What was written is seen at once (the page cache); what fdatasync and the folder's fsync
 * covered survives a power cut. Of the rest each 4 KiB page, each size, each name survives or
 * not, by seed and in any order; now and then a page is torn at a 512-byte sector. Mapped
 * writes are writes. Not thread-safe. Folders need not be made.
 */
#include <stdbool.h>
#include <stdint.h>

void fake_file_reset(void);               /* an empty disk without limit or faults */
void fake_file_kill(void);                /* the process died: handles, locks and mappings go */
void fake_file_power_cut(uint64_t *seed); /* … and what was not synced, at random */
void fake_file_limit(uint64_t bytes);     /* the disk's size; 0: none */
/* The nth call from now (1: the next) that can fail that way fails with `error`, once (or from
 * then on for ever). Calls: writes, syncs (also of folders), makings (open, allocate, rename).
 */
enum fake_call { FAKE_WRITE, FAKE_SYNC, FAKE_MAKE };
void fake_file_fail(enum fake_call call, unsigned nth, int error, int for_ever);
void fake_file_can_map(int yes);
/* Damage: inverts one byte of what is on the disk and in the cache. */
void fake_file_flip(const char *path, uint64_t at);
uint64_t fake_file_random(uint64_t *seed); /* splitmix64 */
/* Asked before every operation that changes something; when it says yes, a part of the
 * operation may be done, and fake_file_death is called, which does not return. */
extern bool (*fake_file_dies)(void);
extern void (*fake_file_death)(void);
/* Would these bytes, and the file's name, survive a power cut? */
bool fake_file_durable(const char *path, uint64_t at, uint64_t n);
bool fake_file_exists(const char *path);
/* From fake_file_read_begin on, how many bytes more were read of a file below the folder than it
 * has: the most of any of them. Not counted while fake_file_read_unseen. */
void fake_file_read_begin(void);
extern bool fake_file_read_unseen;
int64_t fake_file_read_too_much(const char *folder);
/* A file as it comes with the machine: written and synced. */
void fake_file_put(const char *path, const char *text);

/* What a folder holds now, with all below it; and that put back, safe on the disk, in place of what
 * is there (nobody may have it open). */
struct fake_copy;
struct fake_copy *fake_file_copy(const char *folder);
void fake_file_put_back(const struct fake_copy *c);
void fake_file_copy_free(struct fake_copy *c);

#endif
