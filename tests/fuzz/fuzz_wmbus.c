/* SPDX-License-Identifier: Apache-2.0 */
/* wM-Bus: any bytes; the same with a length field that agrees; and as records behind a header that
 * is sound, where every record's value is found again by its name. */
#include "fuzz/doc_check.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void named_again(struct json_value root)
{
    struct json_value records, r, name, v;
    struct json_iter it;
    char key[256];
    size_t n;
    ASSERT(json_member(root, "records", &records));
    json_iter(records, &it);
    while (json_next(&it, NULL, NULL, &r)) {
        struct json_value storage, tariff, subunit, function;
        ASSERT(json_member(r, "name", &name) && json_member(r, "value", &v));
        ASSERT(json_member(r, "storage", &storage) && json_member(r, "tariff", &tariff));
        ASSERT(json_member(r, "subunit", &subunit) && json_member(r, "function", &function));
        const char *text = json_text(name, &n);
        ASSERT(n > 0 && n < sizeof(key));
        memcpy(key, text, n);
        key[n] = '\0';
        if (json_int(storage) == 0 && json_int(tariff) == 0 && json_int(subunit) == 0 &&
            json_text(function, &n)[0] == 'i')
            ASSERT(json_member(root, key, &v));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t head[] = {0x00, 0x44, 0xa5, 0x11, 0x78, 0x56, 0x34, 0x12, 0x01, 0x07};
    struct doc *d = doc_new(1 << 15);
    struct json_value root;
    struct codec_fault f;
    if (doc_check_run(codec_wmbus, data, size, d, &root, &f) == 0)
        named_again(root);
    if (size > 0 && size <= 240) {
        uint8_t *p = malloc(size + 15);
        ASSERT(p);
        memcpy(p, data, size);
        p[0] = (uint8_t)(size - 1);
        if (doc_check_run(codec_wmbus, p, size, d, &root, &f) == 0)
            named_again(root);
        memcpy(p, head, sizeof(head));
        p[0] = (uint8_t)(size + 14);
        memcpy(p + 10, "\x7a\x01\x00\x00\x00", 5);
        memcpy(p + 15, data, size); /* as long as p, to the byte */
        int rc = doc_check_run(codec_wmbus, p, size + 15, d, &root, &f);
        ASSERT(rc != -EBADMSG || (!f.checksum && f.at >= 15));
        if (rc == 0)
            named_again(root);
        free(p);
    }
    doc_free(d);
    return 0;
}
