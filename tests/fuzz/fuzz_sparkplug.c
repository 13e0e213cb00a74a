/* SPDX-License-Identifier: Apache-2.0 */
/* Sparkplug: the first byte chooses. Payloads of any bytes; a saved state of any bytes (what loads
 * is saved to something that loads and is saved alike); or a sequence of messages of two
 * nodes: at each step a state restored from bytes answers as the one that lived on, and is
 * saved to the same bytes. */
#include "core/sparkplug.h"
#include "fuzz/doc_check.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void payload(const uint8_t *data, size_t size)
{
    struct doc *d = doc_new(1 << 15);
    struct json_value root;
    struct codec_fault f;
    (void)doc_check_run(codec_sparkplug, data, size, d, &root, &f);
    doc_free(d);
}

static void loads(const uint8_t *data, size_t size)
{
    struct sparkplug *s = sparkplug_new();
    struct buf one, two;
    buf_init(&one, 1 << 24);
    buf_init(&two, 1 << 24);
    int rc = sparkplug_load(s, (const char *)data, size);
    ASSERT(rc == 0 || rc == -EBADMSG);
    sparkplug_save(s, &one);
    ASSERT(!one.failed && (rc == -EBADMSG || one.len == size));
    ASSERT(sparkplug_load(s, one.data, one.len) == 0);
    sparkplug_save(s, &two);
    ASSERT(one.len == two.len && memcmp(one.data, two.data, one.len) == 0);
    buf_done(&one);
    buf_done(&two);
    sparkplug_free(s);
}

struct side {
    struct sparkplug *s;
    struct doc *out;
    struct json_value root;
    struct sparkplug_info info;
    struct buf saved;
};

static void side_init(struct side *x)
{
    x->s = sparkplug_new();
    x->out = doc_new(1 << 14);
    buf_init(&x->saved, 1 << 24);
}

static void side_done(struct side *x)
{
    sparkplug_free(x->s);
    doc_free(x->out);
    buf_done(&x->saved);
}

/* A look finds the same as the message itself when it was taken, and moves nothing. */
static void side_look(struct side *x, const char *topic, struct json_value in,
                      enum sparkplug_result taken)
{
    struct doc *out = doc_new(1 << 14);
    struct json_value root;
    struct buf saved;
    enum sparkplug_result r = sparkplug_look(x->s, 0, topic, strlen(topic), in, out, &root);
    ASSERT((r == SPARKPLUG_OTHER) == (taken == SPARKPLUG_OTHER));
    bool news = taken == SPARKPLUG_DATA || taken == SPARKPLUG_BIRTH;
    ASSERT(!news || r == taken);
    if (news || taken == SPARKPLUG_UNBORN)
        ASSERT(doc_check_value(root, 1, 1) == doc_check_value(x->root, 1, 1));
    buf_init(&saved, 1 << 24);
    sparkplug_save(x->s, &saved);
    ASSERT(saved.len == x->saved.len && memcmp(saved.data, x->saved.data, saved.len) == 0);
    buf_done(&saved);
    doc_free(out);
}

static enum sparkplug_result side_take(struct side *x, const char *topic, struct json_value in)
{
    enum sparkplug_result r =
        sparkplug_take(x->s, 0, topic, strlen(topic), in, x->out, &x->root, &x->info);
    buf_clear(&x->saved);
    sparkplug_save(x->s, &x->saved);
    ASSERT(!x->saved.failed);
    side_look(x, topic, in, r);
    return r;
}

static void both(struct side *a, struct side *b, const char *topic, struct json_value in)
{
    enum sparkplug_result r = side_take(a, topic, in), q = side_take(b, topic, in);
    ASSERT(r == q && a->info.gap == b->info.gap && a->info.refused == b->info.refused);
    ASSERT(a->info.want_rebirth == b->info.want_rebirth);
    ASSERT(a->info.unknown_aliases == b->info.unknown_aliases);
    ASSERT(r != SPARKPLUG_DUPLICATE || !a->info.gap);
    if (r != SPARKPLUG_TOO_BIG && r != SPARKPLUG_OTHER)
        ASSERT(doc_check_value(a->root, 1, 1) == doc_check_value(b->root, 1, 1));
    ASSERT(a->saved.len == b->saved.len);
    ASSERT(memcmp(a->saved.data, b->saved.data, a->saved.len) == 0);
    ASSERT(sparkplug_load(b->s, a->saved.data, a->saved.len) == 0);
}

static void sequence(const uint8_t *data, size_t size)
{
    static const char *const topics[] = {
        "spBv1.0/g/NBIRTH/n",   "spBv1.0/g/NDATA/n",    "spBv1.0/g/NDEATH/n",
        "spBv1.0/g/DBIRTH/n/d", "spBv1.0/g/DDATA/n/d",  "spBv1.0/g/DDEATH/n/d",
        "spBv1.0/g/NBIRTH/m",   "spBv1.0/g/DBIRTH/n/e", "spBv1.0/g/DDATA/n/e",
        "spBv1.0/g/NCMD/n",     "spBv1.0/STATE/host",   "spBv1.0/g/NDATA/m",
    };
    struct doc *d = doc_new(1 << 14);
    struct side a, b;
    side_init(&a);
    side_init(&b);
    while (size >= 2) {
        size_t n = data[1] < size - 2 ? data[1] : size - 2;
        struct codec_fault f;
        struct json_value in;
        if (doc_check_run(codec_sparkplug, data + 2, n, d, &in, &f) == 0)
            both(&a, &b, topics[data[0] % (sizeof(topics) / sizeof(*topics))], in);
        data += 2 + n;
        size -= 2 + n;
    }
    side_done(&a);
    side_done(&b);
    doc_free(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] % 4 == 0)
        payload(data + 1, size - 1);
    else if (data[0] % 4 == 1)
        loads(data + 1, size - 1);
    else
        sequence(data + 1, size - 1);
    return 0;
}
