/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_STAMP_H
#define BASE_STAMP_H
/*
 * stamp — points in time as RFC 3339 text and as epoch numbers of unknown unit.
 *
 * Times are Unix milliseconds (UTC, no leap seconds), years 0001 to 9999. Knows no clock and no
 * zone: offsets are given. What is finer than a millisecond is cut off towards the past.
 * Whether a time is believable is not judged here. Pure and thread-safe.
 */
#include <stddef.h>
#include <stdint.h>

#define STAMP_MIN_MS (-INT64_C(62135596800000)) /* 0001-01-01T00:00:00.000Z */
#define STAMP_MAX_MS INT64_C(253402300799999)   /* 9999-12-31T23:59:59.999Z */
#define STAMP_SIZE   32                         /* room for any text, NUL included */

/* RFC 3339 5.6 with a zone ("Z" or "+08:00"), any number of decimals; 'T' may be 't' or a
 * blank, 'Z' may be 'z'. A leap second (23:59:60 UTC) is read as 23:59:59.999. The whole text
 * must be the time. 0; -EINVAL when it is not of that form or names no real time; -ERANGE when
 * it is outside the years 0001 to 9999 in UTC. */
int stamp_parse(const char *p, size_t len, int64_t *out_ms);

/* "2026-11-20T08:00:00.123+08:00", offset 0 as "Z", NUL-terminated; returns the length.
 * offset_s: seconds east of UTC, under a day; seconds beyond whole minutes (local mean times of
 * old) are dropped from the offset and the clock alike. The local year is kept within
 * 0001 to 9999 by ms outside STAMP_MIN_MS … STAMP_MAX_MS being moved to the nearest end. */
size_t stamp_format(char out[STAMP_SIZE], int64_t ms, int32_t offset_s);

/* An epoch number whose unit its magnitude tells:
 *   |v| < 1e11          seconds       (1e11 s  is the year 5138)
 *   1e11 ≤ |v| < 1e14   milliseconds  (1e11 ms is 1973-03-03T09:46:40Z)
 *   1e14 ≤ |v| < 1e17   microseconds  (1e14 us is the same day)
 *   1e17 ≤ |v|          nanoseconds   (int64 ends in 2262)
 * A double may carry decimals; seconds are rounded to the millisecond, because "1795219200.123"
 * has no exact double. 0; -EINVAL for NaN and infinity; -ERANGE beyond int64 nanoseconds. */
int stamp_from_epoch(int64_t v, int64_t *out_ms);
int stamp_from_epoch_double(double v, int64_t *out_ms);

#endif
