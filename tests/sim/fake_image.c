/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/image.h without a process: what it would see is written down at once. So a simulated life has
 * what a real one has: a state of the moment when the snapshot began, read while the engine goes on.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "io/image.h"
#include "sim/fakes.h"

#include <errno.h>
#include <stdlib.h>

struct image {
    struct buf bytes;
    int result;
};

enum fake_image_mood fake_image_mood;

void image_limits(struct image *i, unsigned silent_ms, unsigned whole_ms)
{
    (void)i;
    (void)silent_ms;
    (void)whole_ms;
}

static int keep(void *ctx, const void *p, size_t n)
{
    return buf_put(ctx, p, n) == 0 ? 0 : -ENOMEM;
}

bool fake_image_large;
unsigned fake_image_gathered;

bool image_gather_pays(void)
{
    return fake_image_large;
}

void image_gather(const atomic_bool *stop)
{
    fake_image_gathered += !atomic_load(stop);
}

int image_take(image_save_fn *save, const void *what, int *out_why, struct image **out)
{
    struct image *i = mem_zalloc(sizeof(*i));
    buf_init(&i->bytes, (size_t)1 << 30);
    if (fake_image_mood == IMAGE_NOTHING) {
        image_free(i);
        return -ENOMEM;
    }
    i->result = save(what, keep, &i->bytes);
    *out_why = fake_image_mood == IMAGE_UNFORKED ? -ENOMEM : 0;
    *out = i;
    return 0;
}

/* In pieces: a write may fail, or be the last one, between any two. */
int image_read(struct image *i, image_put_fn *put, void *ctx)
{
    enum { PIECE = 4096 };
    int r = 0;
    for (size_t at = 0, n; at < i->bytes.len && r == 0; at += n) {
        n = i->bytes.len - at < PIECE ? i->bytes.len - at : PIECE;
        r = put(ctx, i->bytes.data + at, n);
    }
    if (r == 0 && fake_image_mood == IMAGE_KILLED) /* when nearly all was said */
        r = -ECHILD;
    if (r == 0 && fake_image_mood == IMAGE_SLOW)
        r = -ETIMEDOUT;
    return r ? r : i->result;
}

void image_free(struct image *i)
{
    if (i)
        buf_done(&i->bytes);
    free(i);
}
