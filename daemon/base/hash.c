/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"
#include "base/check.h"

#include <isa-l/crc.h>
#include <pthread.h>
#include <sys/random.h>
#include <xxhash.h>

uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
    /* isa-l takes and returns the register, not its inverse, an int length and a non-const
     * pointer that it does not write to */
    unsigned char *at = (unsigned char *)(uintptr_t)p;
    uint32_t reg = ~crc;
    while (n > 0) {
        int k = n > (1 << 30) ? (1 << 30) : (int)n;
        reg = crc32_iscsi(at, k, reg);
        at += k;
        n -= (size_t)k;
    }
    return ~reg;
}

uint64_t hash64(uint64_t seed, const void *p, size_t n)
{
    return XXH3_64bits_withSeed(p, n, seed);
}

static uint64_t seed_value;

static void seed_make(void)
{
    ASSERT(getrandom(&seed_value, sizeof(seed_value), 0) == (ssize_t)sizeof(seed_value));
}

uint64_t hash_seed(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    ASSERT(pthread_once(&once, seed_make) == 0);
    return seed_value;
}

struct hash128 hash128(const void *p, size_t n)
{
    XXH128_hash_t h = XXH3_128bits(p, n);
    return (struct hash128){.hi = h.high64, .lo = h.low64};
}
