/* SPDX-License-Identifier: Apache-2.0 */
/* GB/T 26875.3: any bytes; and any content in a sound frame, which must not fail at its frame, and
 * must when one byte of it is another. */
#include "fuzz/doc_check.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void sound_frame(const uint8_t *data, size_t size, struct doc *d)
{
    struct json_value root;
    struct codec_fault f;
    size_t n = size - 23, at = data[size - 1] % 22;
    uint8_t *p = malloc(size + 7), sum = 0;
    ASSERT(p && n <= 0xffff);
    p[0] = p[1] = 0x40;
    memcpy(p + 2, data, 22);
    p[24] = (uint8_t)n;
    p[25] = (uint8_t)(n >> 8);
    memcpy(p + 26, data + 22, size - 22);
    for (size_t i = 2; i < 26 + size - 22; i++)
        sum = (uint8_t)(sum + p[i]);
    p[size + 4] = sum;
    p[size + 5] = p[size + 6] = 0x23;
    int rc = doc_check_run(codec_gb26875, p, size + 7, d, &root, &f);
    ASSERT(rc == 0 || rc == -E2BIG || !f.checksum);
    ASSERT(rc != 0 || json_count(root) == 1);
    p[2 + at] ^= 0x55;
    ASSERT(doc_check_run(codec_gb26875, p, size + 7, d, &root, &f) == -EBADMSG && f.checksum);
    free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct doc *d = doc_new(1 << 15);
    struct json_value root;
    struct codec_fault f;
    (void)doc_check_run(codec_gb26875, data, size, d, &root, &f);
    if (size >= 23 && size - 23 <= 0xffff)
        sound_frame(data, size, d);
    doc_free(d);
    return 0;
}
