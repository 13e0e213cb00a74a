/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Points that no message brings: gaihou_place (where a device stands, daily and on change) and
 * our own metrics out of RECORD_STATS.
 */
#include "base/mem.h"
#include "base/num.h"
#include "core/engine_private.h"
#include "core/lineproto.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MINUTE_NS    60000000000
#define OWN_FIELDS   128
#define PLACE_FIELDS 12

static int64_t wall_at(const struct engine *e, uint64_t engine_ns)
{
    return (int64_t)engine_ns + e->wall_minus_engine_ns;
}

int64_t engine_wall_ms(const struct engine *e, uint64_t engine_ns)
{
    return wall_at(e, engine_ns) / 1000000;
}

/* -- one point --------------------------------------------------------------------------- */

static struct field text_field(const char *key, const char *s)
{
    return (struct field){
        .key = key, .key_len = strlen(key), .v = {.type = VALUE_STRING, .s = {s, strlen(s)}}};
}

static struct field number_field(const char *key, double v)
{
    return (struct field){
        .key = key, .key_len = strlen(key), .v = {.type = VALUE_FLOAT, .f = v}};
}

enum place_event {
    PLACE_THERE,
    PLACE_LEFT,   /* `other`: the same device as it is now, NULL if it is no more */
    PLACE_ENTERED /* `other`: the same device as it was */
};

static size_t place_fields(const struct registry *g, const struct device *d,
                           const struct device *other, enum place_event event,
                           struct field f[PLACE_FIELDS])
{
    const struct compound *c = d->compound, *now = registry_compound_now(g, c);
    bool there = event != PLACE_LEFT && !d->retired;
    size_t n = 0;
    f[n++] = (struct field){
        .key = "devices", .key_len = 7, .v = {.type = VALUE_INT, .i = there ? 1 : 0}};
    if (c->name[0])
        f[n++] = text_field("compound_name", c->name);
    if (now != c)
        f[n++] = text_field("compound_now_name", now->name);
    if (d->kind->title_zh)
        f[n++] = text_field("kind_title", d->kind->title_zh);
    if (d->unit[0])
        f[n++] = text_field("unit", d->unit);
    if (d->room[0])
        f[n++] = text_field("room", d->room);
    if (d->replaces)
        f[n++] = text_field("replaces", d->replaces->code);
    if (d->replaced_by)
        f[n++] = text_field("replaced_by", d->replaced_by->code);
    if (other && strcmp(other->compound->code, c->code) != 0) {
        if (event == PLACE_LEFT)
            f[n++] = text_field("moved_to", other->compound->code);
        else
            f[n++] = text_field("moved_from", other->compound->code);
    }
    if (isfinite(c->lon) && isfinite(c->lat)) {
        f[n++] = number_field("lat", c->lat);
        f[n++] = number_field("lon", c->lon);
    }
    return n;
}

void engine_own_point(struct engine *e, const struct point *p)
{
    ledger_add(e->ledger, LEDGER_NONE, LEDGER_POINTS_OWN, 1);
    e->out.point(e->out.ctx, p);
}

static void own_point(struct engine *e, const char *series, size_t len, int64_t time_ms,
                      const struct field *f, size_t n)
{
    struct point p = {.series = series,
                      .series_len = len,
                      .compound = "-",
                      .class_ = POINT_ROUTINE,
                      .time_ms = time_ms,
                      .fields = f,
                      .n_fields = n};
    engine_own_point(e, &p);
}

static void place_point(struct engine *e, const struct registry *g, const struct device *d,
                        const struct device *other, enum place_event event, int64_t time_ms)
{
    const struct compound *c = d->compound;
    const struct lineproto_tag tags[] = {
        {"building", d->building},
        {"city", c->city},
        {"community", c->community},
        {"compound", c->code},
        {"compound_now", registry_compound_now(g, c)->code},
        {"compound_was", c->split_from},
        {"device", d->code},
        {"district", c->district},
        {"firm", c->firm},
        {"grid", c->grid},
        {"kind", d->kind->name},
        {"model", d->model},
        {"street", c->street},
        {"vendor", d->vendor},
    };
    struct field f[PLACE_FIELDS];
    buf_clear(&e->scratch);
    if (lineproto_put_series(&e->scratch, "gaihou_place", tags,
                             sizeof(tags) / sizeof(tags[0])) == 0)
        own_point(e, e->scratch.data, e->scratch.len, time_ms, f,
                  place_fields(g, d, other, event, f));
}

/* -- what changed from one generation to the next ------------------------------------------ */

static bool same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static bool same_compound(const struct registry *before, const struct compound *c,
                          const struct registry *now, const struct compound *d)
{
    const struct compound *c_now = registry_compound_now(before, c),
                          *d_now = registry_compound_now(now, d);
    return same(c->code, d->code) && same(c->name, d->name) && same(c->city, d->city) &&
           same(c->district, d->district) && same(c->street, d->street) &&
           same(c->community, d->community) && same(c->grid, d->grid) &&
           same(c->firm, d->firm) && same(c->split_from, d->split_from) &&
           same(c_now->code, d_now->code) && same(c_now->name, d_now->name) &&
           memcmp(&c->lon, &d->lon, sizeof(c->lon)) == 0 &&
           memcmp(&c->lat, &d->lat, sizeof(c->lat)) == 0;
}

static bool same_code(const struct device *a, const struct device *b)
{
    return a && b ? same(a->code, b->code) : a == b;
}

/* But for the compound's own data. */
static bool same_device(const struct device *a, const struct device *b)
{
    return same(a->series, b->series) && same(a->unit, b->unit) && same(a->room, b->room) &&
           same(a->vendor, b->vendor) && same(a->model, b->model) && a->retired == b->retired &&
           same_code(a->replaces, b->replaces) && same_code(a->replaced_by, b->replaced_by);
}

/* Would their places be one series of the database? */
static bool same_tags(const struct registry *before, const struct device *a,
                      const struct registry *now, const struct device *b)
{
    const struct compound *c = a->compound, *d = b->compound;
    return same(c->code, d->code) && same(a->building, b->building) && same(c->city, d->city) &&
           same(c->district, d->district) && same(c->street, d->street) &&
           same(c->community, d->community) && same(c->grid, d->grid) &&
           same(c->firm, d->firm) && same(a->vendor, b->vendor) && same(a->model, b->model) &&
           same(a->kind->name, b->kind->name) && same(c->split_from, d->split_from) &&
           same(registry_compound_now(before, c)->code, registry_compound_now(now, d)->code);
}

/* Of each compound of now, by index: is it as it was? */
static bool *unchanged_compounds(const struct registry *before, const struct registry *now)
{
    size_t n = registry_compounds(now);
    bool *out = mem_zalloc_array(n, sizeof(*out));
    for (size_t i = 0; i < n; i++) {
        const struct compound *c = registry_compound_at(now, i);
        const struct compound *old = registry_compound(before, c->code, strlen(c->code));
        out[i] = old && same_compound(before, old, now, c);
    }
    return out;
}

/* What has left its place closes it: the last point there counts no device and says where it
 * went. One step of its own, behind the record that named the generation. */
static void close_places(struct engine *e, const struct world *before, const struct world *now)
{
    bool began = false;
    for (size_t i = 0; i < registry_devices(before->registry); i++) {
        const struct device *old = registry_device_at(before->registry, i);
        const struct device *d = world_device_after(now, before, old);
        if (d && same_tags(before->registry, old, now->registry, d))
            continue;
        if (!began) {
            e->at.ordinal++;
            e->out.step(e->out.ctx, &e->at);
            began = true;
        }
        place_point(e, before->registry, old, d, PLACE_LEFT, wall_at(e, e->at.tick) / 1000000);
        if (!d)
            continue;
        place_point(e, now->registry, d, old, PLACE_ENTERED, wall_at(e, e->at.tick) / 1000000);
        engine_place_want(e, d->index, false);
    }
    if (began)
        e->out.step_end(e->out.ctx, &e->at);
}

void engine_place_changed(struct engine *e, const struct world *before, const struct world *now)
{
    bool *unchanged = unchanged_compounds(before->registry, now->registry);
    for (size_t i = 0; i < e->n_devices; i++) {
        const struct device *d = registry_device_at(now->registry, i);
        const struct device *old = world_device_before(now, before, d);
        if (!old || !unchanged[d->compound->index] || !same_device(old, d))
            engine_place_want(e, i, true);
    }
    free(unchanged);
    if (e->wall_known) /* before the first record no place was said */
        close_places(e, before, now);
}

/* -- when ------------------------------------------------------------------------------- */

/* The first device from there on whose place is due; n_devices: none. */
static size_t next_place(const struct engine *e, size_t from)
{
    for (size_t at = from; at < e->n_devices; at = (at / 64 + 1) * 64) {
        uint64_t bits = e->place_due[at / 64] >> at % 64;
        if (bits)
            return at + (size_t)__builtin_ctzll(bits);
    }
    return e->n_devices;
}

void engine_place_step(struct engine *e, uint64_t due_ns)
{
    size_t i = next_place(e, e->place_cursor), done = 0;
    for (; i < e->n_devices && done < PLACE_BATCH; done++) {
        place_point(e, e->world->registry, registry_device_at(e->world->registry, i), NULL,
                    PLACE_THERE, wall_at(e, due_ns) / 1000000);
        engine_place_want(e, i, false);
        e->place_cursor = i + 1;
        i = next_place(e, i + 1);
    }
    if (done < PLACE_BATCH)
        e->place_cursor = e->n_devices;
    e->place_next_ns = e->place_cursor < e->n_devices ? due_ns + PLACE_STEP_NS : UINT64_MAX;
}

/* Once a minute of engine time: devices whose minute of the day has come get their daily point.
 */
void engine_rotate_step(struct engine *e, uint64_t due_ns)
{
    int64_t minute = wall_at(e, due_ns) / MINUTE_NS;
    int64_t from = e->rotate_minute;
    e->rotate_minute = minute;
    e->rotate_next_ns = due_ns + MINUTE_NS;
    engine_alarms_minute(e, due_ns);
    if (from == 0 || minute <= from) /* the first one, or the clock went back */
        return;
    if (minute - from > WORLD_DAY)
        from = minute - WORLD_DAY;
    for (int64_t m = from + 1; m <= minute; m++) {
        size_t of_day = (size_t)((m % WORLD_DAY + WORLD_DAY) % WORLD_DAY);
        for (uint32_t k = e->world->minutes[of_day]; k < e->world->minutes[of_day + 1]; k++)
            engine_place_want(e, e->world->by_minute[k], true);
    }
    e->place_cursor = 0;
    if (e->place_next_ns == UINT64_MAX)
        e->place_next_ns = due_ns + 1;
}

/* -- own metrics: lines "series<TAB>key=number<TAB>…", a number with "i" at its end is an
 * integer --- */

static bool own_field(const char *s, size_t n, struct field *out)
{
    const char *eq = memchr(s, '=', n);
    if (!eq || eq == s)
        return false;
    size_t vn = (size_t)(s + n - eq - 1);
    *out = (struct field){.key = s, .key_len = (size_t)(eq - s)};
    if (vn > 1 && eq[vn] == 'i') {
        out->v.type = VALUE_INT;
        return num_get_i64(eq + 1, vn - 1, &out->v.i) == 0;
    }
    out->v.type = VALUE_FLOAT;
    return num_get_double(eq + 1, vn, &out->v.f) == 0;
}

static void own_line(struct engine *e, const char *s, size_t n, int64_t time_ms)
{
    struct field f[OWN_FIELDS];
    size_t count = 0;
    const char *end = s + n;
    const char *tab = memchr(s, '\t', n);
    if (!tab)
        return;
    size_t series_len = (size_t)(tab - s);
    for (const char *at = tab + 1; at < end && count < OWN_FIELDS;) {
        const char *next = memchr(at, '\t', (size_t)(end - at));
        size_t len = (size_t)((next ? next : end) - at);
        count += own_field(at, len, &f[count]);
        at += len + 1;
    }
    if (count > 0)
        own_point(e, s, series_len, time_ms, f, count);
}

void engine_own_points(struct engine *e, const struct record *r)
{
    const char *s = r->body, *end = s + r->body_len;
    while (s < end) {
        const char *nl = memchr(s, '\n', (size_t)(end - s));
        size_t n = (size_t)((nl ? nl : end) - s);
        own_line(e, s, n, engine_stamp_ms(e, r));
        s += n + 1;
    }
}
