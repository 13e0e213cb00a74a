/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H
/*
 * table — an index from a key's hash to a number that the caller understands.
 *
 * Open addressing over (hash, value) pairs of 8 bytes: for the large indexes (devices, source
 * ids) where a handle of uthash per entry would cost more than the entry. The caller keeps the
 * keys and compares them in `same`. Values are 0 … UINT32_MAX - 1. The number of entries is
 * known at init and is the ceiling (more is an ASSERT); nothing is removed. Not thread-safe;
 * concurrent lookups without inserts are fine.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table {
    struct table_slot {
        uint32_t hash, value;
    } * slots;
    size_t n, cap;
};

typedef bool table_same(const void *ctx, uint32_t value, const void *key, size_t key_len);

void table_init(struct table *t, size_t most);
void table_done(struct table *t);
/* The value whose key is `key`, or UINT32_MAX. hash: hash64 with hash_seed(). */
uint32_t table_find(const struct table *t, uint64_t hash, table_same *same, const void *ctx,
                    const void *key, size_t key_len);
/* For who asks soon: fetches what table_find() will read first; and later, what it would return if
 * no two keys had one hash. */
void table_expect(const struct table *t, uint64_t hash);
uint32_t table_guess(const struct table *t, uint64_t hash);
/* Adds without looking whether the key is there. */
void table_add(struct table *t, uint64_t hash, uint32_t value);

#endif
