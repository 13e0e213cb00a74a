/* SPDX-License-Identifier: Apache-2.0 */
/* Text: num_get_double takes a subset of what strtod takes, with the same result. Bits: what is
 * written reads back to the same, by us and by strtod. */
#include "base/check.h"
#include "base/num.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_put(double v)
{
    char text[NUM_MAX + 1];
    double back = 0;
    size_t n = num_put_double(text, v);
    ASSERT(n <= NUM_MAX);
    text[n] = '\0';
    ASSERT(num_get_double(text, n, &back) == 0 && memcmp(&back, &v, sizeof(v)) == 0);
    back = strtod(text, NULL);
    ASSERT(memcmp(&back, &v, sizeof(v)) == 0);
    ASSERT(strspn(text, "-0123456789.e") == n && text[0] != '.' && text[n - 1] != '.');
}

static void check_whole(const char *text, size_t n)
{
    char out[NUM_MAX];
    int64_t i;
    uint64_t u;
    if (num_get_i64(text, n, &i) == 0) {
        ASSERT(i == strtoll(text, NULL, 10));
        size_t k = num_put_i64(out, i);
        int64_t again;
        ASSERT(num_get_i64(out, k, &again) == 0 && again == i);
    }
    if (num_get_u64(text, n, &u) == 0) {
        ASSERT(text[0] != '-' && u == strtoull(text, NULL, 10));
        size_t k = num_put_u64(out, u);
        uint64_t again;
        ASSERT(num_get_u64(out, k, &again) == 0 && again == u);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    double v;
    if (size >= sizeof(v)) {
        memcpy(&v, data, sizeof(v));
        if (isfinite(v))
            check_put(v);
        check_put((double)(int32_t)(data[0] | data[1] << 8 | data[2] << 16) / 1000);
    }
    char *text = malloc(size + 1);
    if (!text)
        abort();
    memcpy(text, data, size);
    text[size] = '\0';
    if (num_get_double(text, size, &v) == 0) {
        char *end;
        double want = strtod(text, &end);
        ASSERT(end == text + size && memcmp(&want, &v, sizeof(v)) == 0);
        check_put(v);
    }
    check_whole(text, size);
    free(text);
    return 0;
}
