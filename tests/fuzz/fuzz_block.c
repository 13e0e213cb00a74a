/* SPDX-License-Identifier: Apache-2.0 */
/* block headers: what verifies is written back to the same bytes; bodies never give more than said. */
#include "base/check.h"
#include "core/block.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_header(const void *p, const struct block_header *h)
{
    struct block b = {.info = h->info, .more = h->more, .shed = h->shed};
    b.shares = block_get_shares(p, h);
    b.info.shares = b.shares;
    uint64_t lines = 0, made = 0;
    for (size_t i = 0; i < h->info.n_shares; i++) {
        ASSERT(b.shares[i].compound[0] && strlen(b.shares[i].compound) <= 64);
        lines += b.shares[i].lines;
        made += (uint64_t)b.shares[i].lines + b.shares[i].unwritable;
    }
    ASSERT(lines == h->info.lines && made == h->made);
    ASSERT(block_span(h) >= h->header_bytes + h->info.body_bytes);
    free(b.shares);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct block_header h;
    int rc = block_get_header(data, size, &h);
    if (rc == 0)
        check_header(data, &h);
    if (size < 8)
        return 0;
    /* the same bytes as a body */
    struct block_info i = {.gzip = true,
                           .raw_bytes = (uint32_t)data[0] << 8 | data[1],
                           .body_bytes = (uint32_t)size - 2};
    struct buf out;
    buf_init(&out, 1 << 17);
    rc = block_unpack(&i, data + 2, &out);
    ASSERT(rc == 0 ? out.len == i.raw_bytes : out.len == 0);
    buf_clear(&out);
    /* and as lines: packed and unpacked they are the same */
    struct buf packed;
    buf_init(&packed, 1 << 20);
    ASSERT(size > (1 << 16) || block_pack(data, size, &packed) == 0);
    if (packed.len) {
        i.raw_bytes = (uint32_t)size;
        i.body_bytes = (uint32_t)packed.len;
        ASSERT(block_unpack(&i, packed.data, &out) == 0);
        ASSERT(out.len == size && memcmp(out.data, data, size) == 0);
    }
    buf_done(&packed);
    buf_done(&out);
    return 0;
}
