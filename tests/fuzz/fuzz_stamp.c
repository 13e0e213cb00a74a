/* SPDX-License-Identifier: Apache-2.0 */
/* A time that was read is within its range, and what is written of it reads back to the same at
 * every offset; epoch numbers agree between the whole and the double form. */
#include "base/check.h"
#include "base/stamp.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(int64_t ms, int32_t offset_s)
{
    char text[STAMP_SIZE];
    int64_t back = 0;
    size_t n = stamp_format(text, ms, offset_s);
    ASSERT(n < STAMP_SIZE && strlen(text) == n);
    ASSERT(stamp_parse(text, n, &back) == 0 || ms < STAMP_MIN_MS + 86400000 ||
           ms > STAMP_MAX_MS - 86400000);
    if (ms >= STAMP_MIN_MS + 86400000 && ms <= STAMP_MAX_MS - 86400000)
        ASSERT(back == ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t ms = 0, v = 0, of_double = 0;
    if (stamp_parse((const char *)data, size, &ms) == 0) {
        ASSERT(ms >= STAMP_MIN_MS && ms <= STAMP_MAX_MS);
        check_round_trip(ms, 0);
    }
    int32_t offset = 0;
    if (size >= 12) {
        memcpy(&v, data, 8);
        memcpy(&offset, data + 8, 4);
        check_round_trip(v, offset);
        check_round_trip(v % (STAMP_MAX_MS / 2), offset % 86400);
        ASSERT(stamp_from_epoch(v, &ms) == 0);
        int64_t small = v % (INT64_C(1) << 53);
        ASSERT(stamp_from_epoch(small, &ms) == 0);
        ASSERT(stamp_from_epoch_double((double)small, &of_double) == 0 && of_double == ms);
        double d;
        memcpy(&d, data, 8);
        (void)stamp_from_epoch_double(d, &of_double);
    }
    return 0;
}
