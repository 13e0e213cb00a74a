/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_FAKE_STORE_ALARM_H
#define SIM_FAKE_STORE_ALARM_H
/*
 * fake_store_alarm — what fake_store.c asks of the alarm part of the faked store.
 */
#include "io/store.h"

struct fake_op;
struct fake_alarm_batch {
    struct fake_op **ops;
    size_t n, cap, bytes;
    struct position at;
    uint32_t place;
    bool told; /* it put rows into the outbox */
};
struct fake_alarm_store {
    uint64_t *marks;
    size_t n_marks;
    loop_fn *on_outbox;
    void *on_outbox_ctx;
};

void fake_alarm_reset(void);
void fake_alarm_lose(void);
void fake_alarm_remember(void);
void fake_alarm_restore(void);
void fake_alarm_batch_free(struct fake_alarm_batch *b); /* what was committed stays */
bool fake_alarm_commit(struct fake_alarm_batch *b);     /* true: rows for the outbox */
void fake_alarm_take_marks(struct fake_alarm_store *s, struct fake_alarm_batch *b);
void fake_alarm_close(struct fake_alarm_store *s); /* marks that wait are committed */
uint64_t fake_alarm_epoch_from(void);
void fake_alarm_stats(struct store_stats *out);

#endif
