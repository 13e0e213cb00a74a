/* SPDX-License-Identifier: Apache-2.0 */
/* HJ 212: any bytes; and any data segment in a sound packet, which must not fail at its frame and
 * never shows a password. */
#include "fuzz/doc_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void no_password(struct json_value v)
{
    struct json_iter it;
    struct json_value c;
    const char *key;
    size_t n;
    if (json_type(v) != JSON_ARRAY && json_type(v) != JSON_OBJECT)
        return;
    json_iter(v, &it);
    while (json_next(&it, &key, &n, &c)) {
        ASSERT(!key || n != 2 || memcmp(key, "PW", 2) != 0);
        ASSERT(!key || n != 5 || memcmp(key, "NewPW", 5) != 0);
        no_password(c);
    }
}

static unsigned crc_of(const uint8_t *p, size_t n)
{
    unsigned crc = 0xffff;
    for (size_t i = 0; i < n; i++) {
        crc = (crc >> 8) ^ p[i];
        for (int k = 0; k < 8; k++)
            crc = crc & 1 ? crc >> 1 ^ 0xa001 : crc >> 1;
    }
    return crc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct doc *d = doc_new(1 << 14);
    struct json_value root;
    struct codec_fault f;
    if (doc_check_run(codec_hj212, data, size, d, &root, &f) == 0)
        no_password(root);
    if (size <= 9999) {
        uint8_t *p = malloc(size + 11);
        ASSERT(p);
        (void)snprintf((char *)p, 7, "##%04zu", size);
        if (size)
            memcpy(p + 6, data, size);
        char crc[12];
        (void)snprintf(crc, sizeof(crc), "%04x", crc_of(data, size));
        memcpy(p + 6 + size, crc, 4);
        int rc = doc_check_run(codec_hj212, p, size + 10, d, &root, &f);
        ASSERT(rc == 0 || rc == -E2BIG || !f.checksum);
        if (rc == 0) {
            no_password(root);
            ASSERT(json_count(root) == 1);
        }
        free(p);
    }
    doc_free(d);
    return 0;
}
