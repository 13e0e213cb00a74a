/* SPDX-License-Identifier: Apache-2.0 */
#include "city/fleet.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "city/faults.h"
#include "city/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WHEEL_SLOTS 8192u /* of TICK_MS: longer intervals go round more than once */
#define TICK_MS     128
#define NOBODY      UINT32_MAX
#define SKY_MS      10000

_Static_assert(sizeof(struct device_state) <= 64, "hundreds of thousands of devices");

struct fleet {
    struct fleet_options o;
    struct device_state *devices;
    uint32_t *slots;
    int64_t tick; /* of the slot being emptied */
    struct sky sky;
    double rate;
    struct faults *faults; /* NULL: nothing breaks */
};

double device_uniform(struct device_state *d)
{
    uint32_t x = d->rng;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    d->rng = x;
    return (double)x * 0x1p-32;
}

double device_noise(struct device_state *d)
{
    double sum = device_uniform(d) + device_uniform(d) + device_uniform(d) + device_uniform(d);
    return (sum - 2) * 1.7320508;
}

static void wheel_put(struct fleet *f, uint32_t i)
{
    int64_t tick = f->devices[i].due_ms / TICK_MS;
    uint32_t slot = (uint32_t)((uint64_t)(tick < f->tick ? f->tick : tick) % WHEEL_SLOTS);
    f->devices[i].next = f->slots[slot];
    f->slots[slot] = i;
}

/* Takes the next device whose time has come; the order within one tick is fixed by the seed. */
static uint32_t wheel_peek(struct fleet *f)
{
    for (;;) {
        uint32_t *link = &f->slots[(uint64_t)f->tick % WHEEL_SLOTS];
        while (*link != NOBODY) {
            if (f->devices[*link].due_ms / TICK_MS <= f->tick) {
                /* brought to the front, so that the take after a peek is this one */
                uint32_t i = *link;
                *link = f->devices[i].next;
                f->devices[i].next = f->slots[(uint64_t)f->tick % WHEEL_SLOTS];
                f->slots[(uint64_t)f->tick % WHEEL_SLOTS] = i;
                return i;
            }
            link = &f->devices[*link].next;
        }
        f->tick++;
    }
}

static uint8_t pick_kind(const struct fleet_options *o, uint32_t i)
{
    if (i < fleet_n_kinds)
        return (uint8_t)i; /* every kind is there, however small the city */
    unsigned total = 0;
    for (size_t k = 0; k < fleet_n_kinds; k++)
        total += fleet_kinds[k].weight;
    unsigned at = (unsigned)(hash64(o->seed ^ 0x6b696e64, &i, sizeof(i)) % total);
    size_t k = 0;
    while (at >= fleet_kinds[k].weight)
        at -= fleet_kinds[k++].weight;
    return (uint8_t)k;
}

static void device_begin(struct fleet *f, uint32_t i, uint16_t *numbers)
{
    struct device_state *d = &f->devices[i];
    d->kind = pick_kind(&f->o, i);
    d->compound = (uint16_t)(i % f->o.compounds);
    uint16_t *number = &numbers[(size_t)d->compound * fleet_n_kinds + d->kind];
    ASSERT(*number < 0x7fff);
    d->number = (uint16_t)(++*number & 0x7fff);
    d->rng = (uint32_t)hash64(f->o.seed, &i, sizeof(i)) | 1;
    const struct fleet_kind *k = &fleet_kinds[d->kind];
    k->begin(d);
    d->due_ms = f->o.start_ms + (int64_t)(device_uniform(d) * k->interval_s * 1000);
    f->rate += 1.0 / k->interval_s;
    wheel_put(f, i);
}

struct fleet *fleet_new(const struct fleet_options *o)
{
    ASSERT(o->compounds > 0 && o->devices > 0 && o->compounds <= UINT16_MAX &&
           o->start_ms >= 0);
    struct fleet *f = mem_zalloc(sizeof(*f));
    f->o = *o;
    f->devices = mem_zalloc_array(o->devices, sizeof(*f->devices));
    f->slots = mem_zalloc_array(WHEEL_SLOTS, sizeof(*f->slots));
    memset(f->slots, 0xff, WHEEL_SLOTS * sizeof(*f->slots));
    f->tick = o->start_ms / TICK_MS;
    sky_at(o->seed, o->start_ms, &f->sky);
    uint16_t *numbers = mem_zalloc_array(o->compounds * fleet_n_kinds, sizeof(*numbers));
    for (uint32_t i = 0; i < o->devices; i++)
        device_begin(f, i, numbers);
    free(numbers);
    if (o->faults)
        f->faults = faults_new(&f->o, f->devices);
    return f;
}

void fleet_free(struct fleet *f)
{
    if (!f)
        return;
    faults_free(f->faults);
    free(f->devices);
    free(f->slots);
    free(f);
}

uint32_t fleet_devices(const struct fleet *f)
{
    return f->o.devices;
}

const struct device_state *fleet_device(const struct fleet *f, uint32_t i)
{
    ASSERT(i < f->o.devices);
    return &f->devices[i];
}

double fleet_natural_rate(const struct fleet *f)
{
    return f->rate;
}

static void look_up(struct fleet *f, int64_t at_ms)
{
    if (at_ms - f->sky.at_ms >= SKY_MS)
        sky_at(f->o.seed, at_ms, &f->sky);
}

/* The next device that does speak. Who is silent lives on all the same. */
static uint32_t next_speaker(struct fleet *f)
{
    for (;;) {
        uint32_t i = wheel_peek(f);
        struct device_state *d = &f->devices[i];
        if (!f->faults || !faults_silent(f->faults, i, d->due_ms))
            return i;
        const struct fleet_kind *k = &fleet_kinds[d->kind];
        double v[FLEET_MAX_VALUES];
        f->slots[(uint64_t)f->tick % WHEEL_SLOTS] = d->next;
        look_up(f, d->due_ms);
        k->step(d, &f->sky, k->interval_s, v);
        d->due_ms += (int64_t)k->interval_s * 1000;
        wheel_put(f, i);
    }
}

bool fleet_take_truth(struct fleet *f, struct fault_truth *out)
{
    return f->faults && faults_take(f->faults, out);
}

void fleet_end_truths(struct fleet *f)
{
    if (f->faults)
        faults_finish(f->faults);
}

uint32_t fleet_peek(struct fleet *f, int64_t *out_due_ms)
{
    uint32_t i = next_speaker(f);
    *out_due_ms = f->devices[i].due_ms;
    return i;
}

static bool is_clockless(const struct fleet *f, uint32_t i)
{
    return f->o.clockless > 0 &&
           hash64(f->o.seed ^ 0x636c6f63, &i, sizeof(i)) % 100 < f->o.clockless;
}

static char *put_value(char *at, const struct fleet_metric *m, double v)
{
    *at++ = ',';
    *at++ = '"';
    at = text_str(at, m->name);
    *at++ = '"';
    *at++ = ':';
    switch (m->type) {
    case FLEET_FIXED:
        return text_fixed(at, v, m->decimals);
    case FLEET_INT:
        return text_int(at, (int64_t)llround(v));
    case FLEET_BOOL:
        return text_str(at, v != 0 ? "true" : "false");
    case FLEET_TEXT:
        *at++ = '"';
        at = text_str(at, m->texts[(size_t)v]);
        *at++ = '"';
        return at;
    }
    return at;
}

/* One object of the payload. */
static char *put_sample(struct fleet *f, char *at, uint32_t device, double dt, int64_t at_ms,
                        bool clockless, int64_t ts)
{
    struct device_state *d = &f->devices[device];
    const struct fleet_kind *k = &fleet_kinds[d->kind];
    double v[FLEET_MAX_VALUES];
    d->seq++;
    k->step(d, &f->sky, dt, v);
    if (f->faults)
        faults_apply(f->faults, device, at_ms, ts, v);
    *at++ = '{';
    if (clockless) { /* the count makes what it says unique */
        at = text_str(at, "\"report_seq\":");
        at = text_int(at, d->seq);
    } else {
        at = text_str(at, "\"ts\":");
        at = text_int(at, ts);
    }
    for (size_t i = 0; i < *k->n_metrics; i++)
        if (!isnan(v[i]))
            at = put_value(at, &k->metrics[i], v[i]);
    *at++ = '}';
    return at;
}

/* Takes the device whose turn it is; the sky is that of its time. */
static struct device_state *take_turn(struct fleet *f, uint32_t *out_i)
{
    uint32_t i = next_speaker(f);
    struct device_state *d = &f->devices[i];
    f->slots[(uint64_t)f->tick % WHEEL_SLOTS] = d->next;
    look_up(f, d->due_ms);
    *out_i = i;
    return d;
}

void fleet_next_sample(struct fleet *f, int64_t ts_ms, struct fleet_sample *out)
{
    struct device_state *d = take_turn(f, &out->device);
    const struct fleet_kind *k = &fleet_kinds[d->kind];
    int64_t now = ts_ms ? ts_ms : d->due_ms;
    d->last_ts = now > d->last_ts ? now : d->last_ts + 1;
    d->seq++;
    k->step(d, &f->sky, k->interval_s, out->v);
    if (f->faults)
        faults_apply(f->faults, out->device, d->due_ms, d->last_ts, out->v);
    out->ts = d->last_ts;
    out->seq = d->seq;
    d->due_ms += (int64_t)k->interval_s * 1000;
    wheel_put(f, out->device);
}

void fleet_next(struct fleet *f, int64_t ts_ms, char *payload, struct fleet_message *out)
{
    uint32_t i;
    struct device_state *d = take_turn(f, &i);
    unsigned interval = fleet_kinds[d->kind].interval_s;
    out->device = i;
    out->clockless = is_clockless(f, i);
    out->n = 1;
    if (f->o.batch > 0 && device_uniform(d) * 100 < f->o.batch)
        out->n = 2 + (unsigned)(device_uniform(d) * (FLEET_MAX_BATCH - 1));
    /* a batch is what was kept since the last message: its samples end now */
    int64_t now = ts_ms ? ts_ms : d->due_ms;
    int64_t gap = (int64_t)interval * 1000 / out->n;
    int64_t first = now - gap * (out->n - 1);
    if (first <= d->last_ts) {
        gap = now - d->last_ts >= (int64_t)out->n ? (now - d->last_ts) / out->n : 1;
        first = d->last_ts + gap;
    }
    char *at = payload;
    if (out->n > 1)
        *at++ = '[';
    for (unsigned s = 0; s < out->n; s++) {
        if (s > 0)
            *at++ = ',';
        out->ts[s] = first + gap * s;
        int64_t back = (int64_t)interval * 1000 / out->n * (out->n - 1 - s);
        at = put_sample(f, at, i, (double)interval / out->n, d->due_ms - back, out->clockless,
                        out->ts[s]);
    }
    if (out->n > 1)
        *at++ = ']';
    d->last_ts = out->ts[out->n - 1];
    out->seq = d->seq;
    out->len = (size_t)(at - payload);
    d->due_ms += (int64_t)interval * 1000;
    wheel_put(f, i);
}

size_t fleet_compound_code(const struct fleet *f, uint32_t compound, char *out)
{
    (void)f;
    char *at = text_str(out, "c");
    at = text_padded(at, compound + 1, 4);
    return (size_t)(at - out);
}

size_t fleet_device_code(const struct fleet *f, uint32_t device, char *out)
{
    const struct device_state *d = &f->devices[device];
    char *at = out + fleet_compound_code(f, d->compound, out);
    *at++ = '-';
    at = text_str(at, fleet_kinds[d->kind].code);
    *at++ = '-';
    at = text_padded(at, d->number, 4);
    return (size_t)(at - out);
}
