/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNIT_OLD_STATE_H
#define UNIT_OLD_STATE_H
/* old_state — a saved engine made to what an older version would have written. */
#include "unit.h"

#include "base/buf.h"

/* As before version 5: without the marks of devices, which stand behind code, numbers and ring. d1
 * is the first; none has further points or ids. The version itself is the caller's affair. */
static inline void old_state_without_marks(struct buf *s)
{
    char *at = memmem(s->data, s->len, "\2d1", 3);
    uint64_t n = 0;
    assert_non_null(at);
    memcpy(&n, at - 8, sizeof(n));
    assert_true(n > 0 && n <= 4);
    for (uint64_t i = 0; i < n; i++) {
        at += 1 + *at + 5 * 8 + 8 * 16;
        s->len -= 8;
        memmove(at, at + 8, (size_t)(s->data + s->len - at));
        at += 16 + 2 * 8; /* clock, ids, points */
    }
}

/* Without a counter that came later. */
static inline void old_state_without_counter(struct buf *s, const char *name)
{
    char *first = memmem(s->data, s->len, "\7records", 8);
    char *at = memmem(s->data, s->len, name, strlen(name));
    size_t len = 1 + strlen(name) + 8; /* with the length in front, the number behind */
    uint64_t n = 0;
    assert_true(first && at);
    at--;
    memcpy(&n, first - 8, sizeof(n));
    n--;
    memcpy(first - 8, &n, sizeof(n));
    s->len -= len;
    memmove(at, at + len, (size_t)(s->data + s->len - at));
}

#endif
