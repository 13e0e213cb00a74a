/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The alarms within the engine: what reaches core/alarm.h, how its events become cases, the points
 * and transitions that follow, and who does not listen to them.
 */
#include "base/mem.h"
#include "core/engine_alarm_private.h"
#include "core/lineproto.h"
#include "core/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ABSENT_NS    (15 * 60 * UINT64_C(1000000000))
#define NEVER        UINT64_MAX
#define MAX_STREAM   192
#define ALERT_FIELDS 14
#define COMMAND_ROOM ((size_t)1 << 20)
#define DELIVERY     "gaihou-delivery" /* a rule of our own */

/* -- steps ----------------------------------------------------------------------------------- */

/* What follows from a new generation stands in a step of its own, if anything does. */
static void begin(struct engine_alarms *a)
{
    struct engine *e = a->e;
    if (!a->lazy || a->began)
        return;
    engine_step_begin(e, e->at.offset, e->at.tick);
    a->began = true;
}

static void on_event(void *ctx, const struct alarm_event *ev)
{
    struct engine_alarms *a = ctx;
    begin(a);
    cases_event(a->cases, &a->e->at, ev);
}

/* -- who listens ----------------------------------------------------------------------------- */

static struct listener *listener_of(struct engine_alarms *a, const char *firm)
{
    if (strcmp(firm, "none") == 0 || !a->world->conf->alerts.broker)
        return NULL; /* nobody, or nobody could listen */
    for (size_t i = 0; i < a->n_listeners; i++)
        if (strcmp(a->listeners[i].firm, firm) == 0)
            return &a->listeners[i];
    return engine_listener_add(a, firm);
}

struct listener *engine_listener_add(struct engine_alarms *a, const char *firm)
{
    if (a->n_listeners == ENGINE_LISTENERS) {
        a->e->stats.firms_not_watched++;
        return NULL;
    }
    if ((a->n_listeners & (a->n_listeners - 1)) == 0) {
        size_t cap = a->n_listeners ? a->n_listeners * 2 : 1;
        a->listeners = mem_realloc_array(a->listeners, cap, sizeof(*a->listeners));
    }
    a->listeners[a->n_listeners] =
        (struct listener){.firm = mem_strdup(firm), .concern_ns = NEVER};
    return &a->listeners[a->n_listeners++];
}

static void touch(struct engine_alarms *a, const char *firm)
{
    struct listener *l = firm ? listener_of(a, firm) : NULL;
    if (l)
        a->touched = l->touched = true;
}

static void touch_row(void *ctx, const char *compound, const char *firm, enum severity severity,
                      uint64_t open, uint64_t unacknowledged)
{
    (void)compound;
    (void)severity;
    (void)open;
    (void)unacknowledged;
    touch(ctx, firm);
}

/* Also whom only cases concern that were opened where nobody could listen, or by another life. */
static void touch_all(struct engine_alarms *a)
{
    if (a->world)
        cases_count(a->cases, touch_row, a);
    for (size_t i = 0; i < a->n_listeners; i++)
        a->touched = a->listeners[i].touched = true;
}

static uint64_t absent_at(const struct listener *l)
{
    if (l->online || l->absent || l->concern_ns == NEVER)
        return NEVER;
    return (l->offline_ns > l->concern_ns ? l->offline_ns : l->concern_ns) + ABSENT_NS;
}

void engine_listeners_due(struct engine_alarms *a)
{
    a->listener_due = NEVER;
    for (size_t i = 0; i < a->n_listeners; i++) {
        uint64_t due = absent_at(&a->listeners[i]);
        if (due < a->listener_due)
            a->listener_due = due;
    }
}

static void say_absent(struct engine_alarms *a, struct listener *l, bool absent, uint64_t now)
{
    bool en = strcmp(a->world->conf->gateway.language, "en") == 0;
    const char *firm = l->firm;
    char *words =
        mem_printf(en ? "Firm %s has not been listening for 15 minutes and has open cases"
                      : "物业公司 %s 已 15 分钟不在线，有未结告警",
                   firm);
    l->absent = absent;
    begin(a);
    cases_own(a->cases, &a->e->at, "gaihou-firm-absent", firm, absent, SEVERITY_MAJOR, words,
              now, engine_wall_ms(a->e, now));
    free(words);
}

/* After whatever changed cases: whom do they concern now? */
static void settle(struct engine_alarms *a, uint64_t now)
{
    if (!a->touched)
        return;
    a->touched = false;
    for (size_t i = 0; i < a->n_listeners; i++) {
        struct listener *l = &a->listeners[i];
        if (!l->touched)
            continue;
        l->touched = false;
        /* without a broker nobody could listen, and nobody would say that they do again */
        bool concern = a->world->conf->alerts.broker && cases_concern(a->cases, l->firm);
        if (concern && l->concern_ns == NEVER)
            l->concern_ns = now;
        else if (!concern)
            l->concern_ns = NEVER;
        if (l->absent && (!concern || l->online))
            say_absent(a, l, false, now);
    }
    engine_listeners_due(a);
}

static void listener_fires(struct engine_alarms *a, uint64_t due)
{
    for (size_t i = 0; i < a->n_listeners; i++) {
        if (absent_at(&a->listeners[i]) > due)
            continue;
        say_absent(a, &a->listeners[i], true, due);
        break;
    }
    engine_listeners_due(a);
}

static bool is_firm(const struct engine_alarms *a, const char *code)
{
    const struct registry *g = a->world->registry;
    for (size_t i = 0; i < registry_compounds(g); i++)
        if (strcmp(registry_compound_at(g, i)->firm, code) == 0)
            return true;
    return false;
}

/* Also as older versions wrote it, with a word that a firm may have for its code. */
static bool is_delivery(const struct engine_alarms *a, const struct record *r)
{
    static const char now[] = RECORD_DELIVERY;
    if (r->topic_len == sizeof(now) - 1 && memcmp(r->topic, now, sizeof(now) - 1) == 0)
        return true;
    return r->topic_len == strlen(DELIVERY) &&
           memcmp(r->topic, DELIVERY, strlen(DELIVERY)) == 0 && !is_firm(a, DELIVERY);
}

static void presence(struct engine_alarms *a, const struct record *r)
{
    bool online = r->body_len == 6 && memcmp(r->body, "online", 6) == 0;
    char name[TEXT_CODE_MAX + 1];
    if (is_delivery(a, r)) {
        bool en = strcmp(a->world->conf->gateway.language, "en") == 0;
        cases_own(a->cases, &a->e->at, DELIVERY, "urgent", !online, SEVERITY_CRITICAL,
                  en ? "Life-safety alarms cannot be delivered" : "生命安全告警无法送达",
                  r->engine_ns, engine_wall_ms(a->e, r->engine_ns));
        return;
    }
    if (!text_is_code(r->topic, r->topic_len))
        return;
    memcpy(name, r->topic, r->topic_len);
    name[r->topic_len] = '\0';
    struct listener *l = listener_of(a, name);
    if (!l)
        return;
    if (l->online && !online)
        l->offline_ns = r->engine_ns;
    l->online = online;
    a->touched = l->touched = true;
}

/* -- what cases say -------------------------------------------------------------------------- */

static struct field text_field(const char *key, const char *s)
{
    return (struct field){
        .key = key, .key_len = strlen(key), .v = {.type = VALUE_STRING, .s = {s, strlen(s)}}};
}

static struct field flag_field(const char *key, bool b)
{
    return (struct field){
        .key = key, .key_len = strlen(key), .v = {.type = VALUE_BOOL, .b = b}};
}

static struct field count_field(const char *key, uint64_t n)
{
    return (struct field){
        .key = key, .key_len = strlen(key), .v = {.type = VALUE_INT, .i = (int64_t)n}};
}

static struct field number_field(const char *key, double v)
{
    return (struct field){
        .key = key, .key_len = strlen(key), .v = {.type = VALUE_FLOAT, .f = v}};
}

static void own_point(struct engine_alarms *a, const char *measurement,
                      const struct lineproto_tag *tags, size_t n_tags, enum point_class keep,
                      int64_t time_ms, const struct field *fields, size_t n)
{
    struct buf b;
    buf_init(&b, LINEPROTO_MAX_SERIES);
    if (lineproto_put_series(&b, measurement, tags, n_tags) == 0)
        engine_own_point(a->e, &(struct point){.series = b.data,
                                               .series_len = b.len,
                                               .compound = "-",
                                               .class_ = keep,
                                               .time_ms = time_ms,
                                               .fields = fields,
                                               .n_fields = n});
    buf_done(&b);
}

static void alert_point(struct engine_alarms *a, const struct transition *t)
{
    const struct conf_gateway *g = &a->world->conf->gateway;
    const struct lineproto_tag tags[] = {{"compound", t->compound},
                                         {"device", t->device},
                                         {"firm", t->firm},
                                         {"gateway", g->id},
                                         {"lane", conf_lane_name(g->lane)},
                                         {"point", t->point},
                                         {"rule", t->rule},
                                         {"severity", severity_name(t->severity)}};
    struct field f[ALERT_FIELDS];
    size_t n = 0;
    f[n++] = text_field("case", t->case_id);
    f[n++] = text_field("change", case_change_name(t->change));
    f[n++] = count_field("occurrence", t->occurrence);
    f[n++] = count_field("version", t->version);
    f[n++] = flag_field("open", !t->closed && !t->record);
    f[n++] = flag_field("told", t->deliver);
    f[n++] = flag_field("urgent", t->urgent);
    f[n++] = flag_field("test", t->test);
    f[n++] = flag_field("record", t->record);
    if (isfinite(t->value))
        f[n++] = number_field("value", t->value);
    if (isfinite(t->limit))
        f[n++] = number_field("limit", t->limit);
    own_point(a, "gaihou_alert", tags, sizeof(tags) / sizeof(tags[0]), POINT_KEEP, t->wall_ms,
              f, n);
}

static void on_transition(void *ctx, const struct transition *t)
{
    struct engine_alarms *a = ctx;
    begin(a);
    alert_point(a, t);
    if (a->e->out.transition)
        a->e->out.transition(a->e->out.ctx, t);
    touch(a, t->firm);
    touch(a, t->was_firm);
}

static void on_reply(void *ctx, const struct case_reply *r)
{
    struct engine_alarms *a = ctx;
    if (a->e->out.reply)
        a->e->out.reply(a->e->out.ctx, r);
}

/* -- open cases, each minute ----------------------------------------------------------------- */

static void open_point(struct engine_alarms *a, const struct open_row *row, uint64_t open,
                       uint64_t unacknowledged, int64_t time_ms)
{
    const struct conf_gateway *g = &a->world->conf->gateway;
    const struct compound *k =
        registry_compound(a->world->registry, row->compound, strlen(row->compound));
    const struct lineproto_tag tags[] = {{"community", k ? k->community : NULL},
                                         {"compound", row->compound},
                                         {"district", k ? k->district : NULL},
                                         {"firm", row->firm},
                                         {"gateway", g->id},
                                         {"grid", k ? k->grid : NULL},
                                         {"lane", conf_lane_name(g->lane)},
                                         {"severity", severity_name(row->severity)},
                                         {"street", k ? k->street : NULL}};
    const struct field f[] = {count_field("open", open),
                              count_field("unacknowledged", unacknowledged)};
    own_point(a, "gaihou_open", tags, sizeof(tags) / sizeof(tags[0]), POINT_ROUTINE, time_ms, f,
              2);
}

struct counting {
    struct engine_alarms *a;
    struct open_row *rows;
    size_t n;
    int64_t time_ms;
};

void engine_open_rows_free(struct open_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(rows[i].compound);
        free(rows[i].firm);
    }
    free(rows);
}

static void take_count(void *ctx, const char *compound, const char *firm,
                       enum severity severity, uint64_t open, uint64_t unacknowledged)
{
    struct counting *c = ctx;
    if ((c->n & (c->n - 1)) == 0)
        c->rows = mem_realloc_array(c->rows, c->n ? c->n * 2 : 1, sizeof(*c->rows));
    struct open_row *row = &c->rows[c->n++];
    *row = (struct open_row){mem_strdup(compound), mem_strdup(firm), severity};
    open_point(c->a, row, open, unacknowledged, c->time_ms);
}

/* The order of cases_count(). */
static int by_row(const void *x, const void *y)
{
    const struct open_row *p = x, *q = y;
    int k = strcmp(p->compound, q->compound);
    k = k ? k : strcmp(p->firm, q->firm);
    return k ? k : (int)p->severity - (int)q->severity;
}

/* What is 0 now and was not a minute ago is said once more. */
void engine_alarms_minute(struct engine *e, uint64_t due_ns)
{
    struct engine_alarms *a = e->alarms;
    struct counting c = {.a = a, .time_ms = engine_wall_ms(e, due_ns)};
    if (!a->world)
        return;
    cases_count(a->cases, take_count, &c);
    for (size_t i = 0; i < a->n_rows; i++)
        if (c.n == 0 || !bsearch(&a->rows[i], c.rows, c.n, sizeof(*c.rows), by_row))
            open_point(a, &a->rows[i], 0, 0, c.time_ms);
    engine_open_rows_free(a->rows, a->n_rows);
    a->rows = c.rows;
    a->n_rows = c.n;
}

/* -- what reaches them ----------------------------------------------------------------------- */

void engine_alarms_alive(struct engine *e, const struct record *r, const struct device *d)
{
    if (r->type != RECORD_MESSAGE)
        return;
    alarm_heard(e->alarms->alarm, d, r->broker);
    alarm_alive(e->alarms->alarm, d, r->engine_ns);
    settle(e->alarms, r->engine_ns);
}

void engine_alarms_expect(const struct engine *e, const struct device *d, bool near)
{
    alarm_expect(e->alarms->alarm, d, near);
}

void engine_alarms_sample(struct engine *e, const struct alarm_sample *s)
{
    alarm_sample(e->alarms->alarm, s);
    settle(e->alarms, s->engine_ns);
}

void engine_alarms_link(struct engine *e, unsigned broker, bool up, uint64_t engine_ns)
{
    if (!e->alarms->world)
        return;
    alarm_link(e->alarms->alarm, broker, up, engine_ns);
    settle(e->alarms, engine_ns);
}

void engine_alarms_link_again(struct engine *e, unsigned broker, uint64_t engine_ns)
{
    if (!e->alarms->world)
        return;
    alarm_link_again(e->alarms->alarm, broker, engine_ns);
    settle(e->alarms, engine_ns);
}

/* Who was not listening before may listen since: 15 minutes begin anew. */
void engine_alarms_down(struct engine *e, uint64_t since_ns, uint64_t now_ns)
{
    struct engine_alarms *a = e->alarms;
    if (!a->world)
        return;
    for (unsigned i = 0; i < a->world->conf->n_brokers && i < MAX_BROKERS; i++)
        if (e->brokers[i].up)
            alarm_link(a->alarm, i, false, since_ns);
    for (size_t i = 0; i < a->n_listeners; i++)
        if (!a->listeners[i].online && !a->listeners[i].absent)
            a->listeners[i].offline_ns = now_ns;
    engine_listeners_due(a);
}

static void command(struct engine_alarms *a, const struct record *r)
{
    struct case_command c;
    struct arena room;
    arena_init(&room, COMMAND_ROOM);
    if ((r->flags & RECORD_RETAIN) ||
        case_command_get(r->topic, r->topic_len, r->body, r->body_len, &room, &c) != 0) {
        a->e->stats.commands_unread++;
    } else {
        c.engine_ns = r->engine_ns;
        c.wall_ms = engine_wall_ms(a->e, r->engine_ns);
        cases_command(a->cases, &a->e->at, &c);
    }
    arena_done(&room);
}

static void stream(struct engine_alarms *a, const struct record *r)
{
    char name[MAX_STREAM];
    unsigned slashes = 0;
    if (r->body_len == 0 || r->body_len >= sizeof(name))
        return;
    for (size_t i = 0; i < r->body_len; i++) {
        slashes += r->body[i] == '/';
        if (r->body[i] != '/' && !text_is_code(&r->body[i], 1))
            return;
    }
    if (slashes != 2)
        return;
    memcpy(name, r->body, r->body_len);
    name[r->body_len] = '\0';
    cases_stream(a->cases, name);
}

void engine_alarms_record(struct engine *e, const struct record *r)
{
    if (r->type == RECORD_COMMAND)
        command(e->alarms, r);
    else if (r->type == RECORD_STREAM)
        stream(e->alarms, r);
    else
        presence(e->alarms, r);
    settle(e->alarms, r->engine_ns);
}

void engine_alarms_clock(struct engine *e, uint64_t engine_ns)
{
    struct engine_alarms *a = e->alarms;
    if (!a->world || a->clock_told == e->wall_held)
        return;
    bool en = strcmp(a->world->conf->gateway.language, "en") == 0;
    a->clock_told = e->wall_held;
    cases_own(a->cases, &e->at, "gaihou-clock", "clock", e->wall_held, SEVERITY_MAJOR,
              en ? "The gateway's clock made a step that is not believed"
                 : "网关时钟跳变，暂不采信",
              engine_ns, engine_wall_ms(e, engine_ns));
}

/* -- timers ---------------------------------------------------------------------------------- */

uint64_t engine_alarms_due(const struct engine *e)
{
    const struct engine_alarms *a = e->alarms;
    if (!a->world)
        return NEVER;
    uint64_t due = alarm_next_due(a->alarm), other = cases_next_due(a->cases);
    due = other < due ? other : due;
    return a->listener_due < due ? a->listener_due : due;
}

/* Of one time: conditions before masks before listeners. */
void engine_alarms_fire(struct engine *e, uint64_t due_ns)
{
    struct engine_alarms *a = e->alarms;
    int64_t wall_ms = engine_wall_ms(e, due_ns);
    if (alarm_next_due(a->alarm) == due_ns)
        alarm_tick(a->alarm, due_ns, wall_ms);
    else if (cases_next_due(a->cases) == due_ns)
        cases_tick(a->cases, &e->at, due_ns,
                   engine_wall_ms(e, due_ns > e->at.tick ? due_ns : e->at.tick));
    else
        listener_fires(a, due_ns);
    settle(a, e->at.tick);
}

/* -- generations ----------------------------------------------------------------------------- */

static void use(struct engine *e, uint64_t engine_ns, bool bare)
{
    struct engine_alarms *a = e->alarms;
    const struct world *before = a->world;
    int64_t wall_ms = engine_wall_ms(e, engine_ns);
    if (!before)
        a->world = e->world;
    a->wanted = rules_count(e->world->rules) > 0;
    if (bare)
        alarm_stand(a->alarm, e->world, engine_ns, wall_ms);
    else
        alarm_use(a->alarm, before, e->world, engine_ns, wall_ms);
    cases_use(a->cases, before, e->world, engine_ns, wall_ms);
    a->world = e->world;
    for (unsigned i = 0; !before && i < e->world->conf->n_brokers && i < MAX_BROKERS; i++)
        alarm_link(a->alarm, i, e->brokers[i].up, engine_ns);
    touch_all(a); /* whom untold cases concern, too */
    settle(a, engine_ns);
}

void engine_alarms_use(struct engine *e)
{
    struct engine_alarms *a = e->alarms;
    a->lazy = true;
    a->began = false;
    use(e, e->at.tick, false);
    if (a->began)
        engine_step_end(e);
    a->lazy = false;
}

void engine_alarms_ready(struct engine *e, uint64_t engine_ns)
{
    if (!e->alarms->world && e->wall_known)
        use(e, engine_ns, false);
}

void engine_alarms_stand(struct engine *e, uint64_t engine_ns)
{
    if (!e->alarms->world && e->wall_known)
        use(e, engine_ns, true);
}

struct engine_alarms *engine_alarms_new(struct engine *e)
{
    struct engine_alarms *a = mem_zalloc(sizeof(*a));
    a->e = e;
    a->listener_due = NEVER;
    a->alarm = alarm_new(&(struct alarm_out){a, on_event});
    a->cases = cases_new(&(struct cases_out){a, on_transition, on_reply});
    return a;
}

void engine_alarms_free(struct engine_alarms *a)
{
    if (!a)
        return;
    alarm_free(a->alarm);
    cases_free(a->cases);
    for (size_t i = 0; i < a->n_listeners; i++)
        free(a->listeners[i].firm);
    free(a->listeners);
    engine_open_rows_free(a->rows, a->n_rows);
    free(a);
}

const struct alarm *engine_alarm(const struct engine *e)
{
    return e->alarms->alarm;
}

const struct cases *engine_cases(const struct engine *e)
{
    return e->alarms->cases;
}

int engine_adopt_cases(struct engine *e, const char *const *blobs, const size_t *lens, size_t n,
                       cases_differs_fn *differs, void *ctx)
{
    struct engine_alarms *a = e->alarms;
    e->used = true;
    int r = cases_adopt(a->cases, blobs, lens, n, differs, ctx);
    touch_all(a); /* looked at within the next step */
    return r;
}
