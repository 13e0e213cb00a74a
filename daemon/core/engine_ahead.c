/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the next messages will look at is fetched while this one is dealt with. Of 100,000 devices no
 * cache holds what a message needs, and each place is known only when the one before it has been
 * read: the index of codes, the device, its words. So each message takes one step for every
 * message that is read after it, and has taken all when its turn comes.
 *
 * Nothing depends on it: a place that was guessed wrongly was fetched in vain.
 */
#include "core/engine_private.h"

/* The level of the topic that most likely names the device. */
static const char *device_of(const struct engine *e, const struct record *r, size_t *out_len)
{
    size_t end = r->topic_len, from;
    for (int level = e->ahead_level;; level--) {
        for (from = end; from > 0 && r->topic[from - 1] != '/';)
            from--;
        if (level == 0)
            break;
        if (from == 0)
            return NULL;
        end = from - 1;
    }
    *out_len = end - from;
    return r->topic + from;
}

static void fetch_state(const struct engine *e, uint32_t device)
{
    const char *s = (const char *)&e->devices[device];
    for (size_t i = 0; i < sizeof(struct device_state); i += 64)
        __builtin_prefetch(s + i, 1);
}

void engine_ahead_fetch(const struct engine *e, const struct device *d)
{
    fetch_state(e, d->index);
    __builtin_prefetch(d->series);
    __builtin_prefetch(d->series + d->series_len);
}

static void take_step(const struct engine *e, struct ahead *a)
{
    const struct registry *g = e->world->registry;
    if (a->step == 1) {
        a->device = registry_expected(g, a->hash);
        if (a->device < e->n_devices)
            fetch_state(e, a->device);
        else
            a->step = ENGINE_AHEAD; /* nobody, as far as is known */
    } else if (a->step < ENGINE_AHEAD) {
        const struct device *d = registry_device_at(g, a->device);
        if (a->step == 2) {
            __builtin_prefetch(d->series);
            __builtin_prefetch(d->series + d->series_len);
        }
        if (e->alarms->wanted)
            engine_alarms_expect(e, d, a->step == 3);
    }
    a->step++;
}

void engine_ahead_use(struct engine *e)
{
    e->ahead_level = -1;
    memset(e->ahead, 0, sizeof(e->ahead));
    for (size_t i = 0; i < e->world->n_sources && e->ahead_level < 0; i++)
        e->ahead_level = topic_level(e->world->sources[i].topic, "device");
}

void engine_expect(struct engine *e, const struct record *r)
{
    size_t len;
    if (e->ahead_level < 0 || r->type != RECORD_MESSAGE)
        return;
    for (size_t i = 0; i < ENGINE_AHEAD; i++)
        if (e->ahead[i].step > 0 && e->ahead[i].step < ENGINE_AHEAD)
            take_step(e, &e->ahead[i]);
    struct ahead *a = &e->ahead[e->ahead_at++ % ENGINE_AHEAD];
    const char *code = device_of(e, r, &len);
    a->step = code ? 1 : 0;
    if (code)
        a->hash = registry_expect(e->world->registry, code, len);
}
