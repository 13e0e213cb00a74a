/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_HASH_H
#define BASE_HASH_H
/*
 * hash — checksums and hashes.
 *
 * crc32c: Castagnoli (RFC 3720 appendix B.4; check value of "123456789" is 0xe3069283), isa-l.
 * hash64: XXH3 with a seed. Tables whose keys come from outside use hash_seed(), random per
 * process; what is written to disk or must be the same on every replay uses a fixed seed.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

uint32_t crc32c(uint32_t crc, const void *p, size_t n); /* crc 0 to begin; can be continued */
uint64_t hash64(uint64_t seed, const void *p, size_t n);
uint64_t hash_seed(void); /* the same for the life of the process */
struct hash128 {
    uint64_t hi, lo;
};
struct hash128 hash128(const void *p, size_t n); /* XXH3-128, seed 0: content addresses */

/* As memcmp, for names: its call costs more than most of them are long. */
static inline bool bytes_same(const char *a, const char *b, size_t n)
{
    uint64_t x, y;
    uint32_t s, t;
    if (n >= 8) {
        memcpy(&x, a, 8);
        memcpy(&y, b, 8);
        if (x != y)
            return false;
        memcpy(&x, a + n - 8, 8);
        memcpy(&y, b + n - 8, 8);
        if (x != y || n <= 16)
            return x == y;
        memcpy(&x, a + 8, 8);
        memcpy(&y, b + 8, 8);
        return x == y && (n <= 24 || memcmp(a + 16, b + 16, n - 24) == 0);
    }
    if (n >= 4) {
        memcpy(&s, a, 4);
        memcpy(&t, b, 4);
        if (s != t)
            return false;
        memcpy(&s, a + n - 4, 4);
        memcpy(&t, b + n - 4, 4);
        return s == t;
    }
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i])
            return false;
    return true;
}

#endif
