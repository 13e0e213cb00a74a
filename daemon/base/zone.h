/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ZONE_H
#define BASE_ZONE_H
/*
 * zone — a named IANA time zone as plain data.
 *
 * zone_open reads the zone once, through the date library, from the system's tzdata; after that
 * a struct zone is an immutable table that any thread may ask. It covers 1970 to 2100. tzdata
 * lists changes up to 2037 only; where the rules of a zone go on changing its clock after that
 * (China's does not), the last known offset stays.
 */
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct zone_change {
    int64_t from_s;   /* Unix seconds; the first one's is INT64_MIN */
    int32_t offset_s; /* east of UTC, from then on */
};

struct zone {
    size_t n;                    /* ≥ 1 */
    struct zone_change *changes; /* of the same allocation */
};

/* 0; -ENOENT when there is no zone of that name; -EIO when its data cannot be read. */
int zone_open(const char *name, struct zone **out);
void zone_free(struct zone *z);
int32_t zone_offset_at(const struct zone *z, int64_t unix_ms); /* seconds east of UTC */

#ifdef __cplusplus
}
#endif

#endif
