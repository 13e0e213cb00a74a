/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A test under way: its messages and steps as journal records, in the order of time, through an
 * engine.
 */
#include "base/check.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/utf8.h"
#include "core/json.h"
#include "core/ruletest_flow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Engine time of the test's start: later than 0, as in a machine that has run for a while. */
#define BOOT_NS UINT64_C(5000000000000)
/* Records of one time follow each other by a nanosecond; what is due then, and what comes after
 * that, stays within the millisecond. */
#define BEFORE    NS_SECOND /* the gateway starts so long before the test begins */
#define SETTLE_NS (NS_MS / 2)

struct hook { /* what the engine knows of us; outlives a change of hands */
    struct ruletest_run *to;
    struct position at;
};

/* -- what the engine says -------------------------------------------------------------------- */

static void on_point(void *ctx, const struct point *p)
{
    struct ruletest_run *r = ((struct hook *)ctx)->to;
    size_t n = strcspn(p->series, ",");
    bool bad = n > 4 && memcmp(p->series + n - 4, "_bad", 4) == 0;
    bool ours = strncmp(p->series, "gaihou_", 7) == 0; /* metrics, places, alarms */
    r->bad += bad;
    r->good += !bad && !ours;
}

static void on_letter(void *ctx, const struct engine_letter *l)
{
    struct ruletest_run *r = ((struct hook *)ctx)->to;
    r->letters++;
    if (r->letter_reason)
        return;
    const struct record *k = l->record;
    size_t len = k ? k->topic_len : 0;
    int n = (int)(len < 128 ? len : 128);
    char *text = strcmp(l->reason, "no_source") == 0
                     ? mem_printf("no source reads topic \"%.*s\", expected "
                                  "gaihou/v1/up/COMPOUND/DEVICE",
                                  n, k ? k->topic : "")
                     : mem_printf("the message of topic \"%.*s\" could not be used: %s", n,
                                  k ? k->topic : "", l->reason);
    r->letter_reason = arena_strdup(&r->arena, text);
    free(text);
}

static void on_step(void *ctx, const struct position *at)
{
    ((struct hook *)ctx)->at = *at;
}

static void on_step_end(void *ctx, const struct position *at)
{
    (void)ctx;
    (void)at;
}

static const char *copy(struct ruletest_run *r, const char *s, size_t n)
{
    char *p = arena_alloc(&r->arena, n + JSON_PADDING);
    if (!p) {
        r->overflow = true;
        return "";
    }
    memcpy(p, s, n);
    return p;
}

static const char *copy_text(struct ruletest_run *r, const char *s)
{
    return s ? copy(r, s, strlen(s)) : NULL;
}

static unsigned case_of(struct ruletest_run *r, const struct transition *t)
{
    for (size_t i = r->n_opened; i-- > 0;)
        if (strcmp(r->opened[i].case_id, t->case_id) == 0)
            return (unsigned)i + 1;
    if (t->record) /* history never opens a case */
        return 0;
    if (r->n_opened == r->cap_opened) {
        r->cap_opened = r->cap_opened ? 2 * r->cap_opened : 64;
        r->opened = mem_realloc_array(r->opened, r->cap_opened, sizeof(*r->opened));
    }
    r->opened[r->n_opened++] = (struct opened){.case_id = copy_text(r, t->case_id)};
    return (unsigned)r->n_opened;
}

/* As the store numbers what is told: per firm and compound, from 1; 0 what is only recorded. */
static uint64_t next_seq(const struct ruletest_run *r, const struct transition *t)
{
    if (!t->deliver)
        return 0;
    for (size_t i = r->n_happened; i-- > 0;) {
        const struct happened *h = &r->happened[i];
        if (h->deliver && strcmp(h->firm, t->firm) == 0 &&
            strcmp(h->compound, t->compound) == 0)
            return h->seq + 1;
    }
    return 1;
}

/* What is told gets its number; what is only recorded is whole without. */
static const char *whole_state(struct ruletest_run *r, const struct transition *t, uint64_t seq,
                               size_t *out_len)
{
    char *p = arena_alloc(&r->arena, t->json_len + NUM_MAX + JSON_PADDING);
    if (!p) {
        r->overflow = true;
        *out_len = 0;
        return "";
    }
    memcpy(p, t->json, t->seq_at);
    size_t n = t->seq_at ? num_put_u64(p + t->seq_at, seq) : 0;
    memcpy(p + t->seq_at + n, t->json + t->seq_at, t->json_len - t->seq_at);
    *out_len = t->json_len + n;
    return p;
}

static int64_t time_of(const struct hook *h)
{
    int64_t ns = (int64_t)(h->at.tick - BOOT_NS);
    return ns >= 0 ? ns - ns % NS_MS : ns;
}

static void on_transition(void *ctx, const struct transition *t)
{
    struct hook *k = ctx;
    struct ruletest_run *r = k->to;
    if (r->n_happened == RULETEST_MAX_TRANSITIONS || r->overflow) {
        r->overflow = true;
        return;
    }
    if (r->n_happened == r->cap_happened) {
        r->cap_happened = r->cap_happened ? 2 * r->cap_happened : 64;
        r->happened = mem_realloc_array(r->happened, r->cap_happened, sizeof(*r->happened));
    }
    struct happened *h = &r->happened[r->n_happened];
    uint64_t seq = next_seq(r, t);
    *h = (struct happened){.change = t->change,
                           .severity = t->severity,
                           .at_ns = time_of(k),
                           .deliver = t->deliver,
                           .urgent = t->urgent,
                           .closed = t->closed,
                           .record = t->record,
                           .test = t->test,
                           .case_id = copy_text(r, t->case_id),
                           .firm = copy_text(r, t->firm),
                           .compound = copy_text(r, t->compound),
                           .rule = copy_text(r, t->rule),
                           .device = copy_text(r, t->device),
                           .point = copy_text(r, t->point ? t->point : ""),
                           .was_firm = copy_text(r, t->was_firm),
                           .was_compound = copy_text(r, t->was_compound),
                           .seq = seq,
                           .case_no = case_of(r, t)};
    h->json = whole_state(r, t, seq, &h->json_len);
    if (h->case_no) {
        struct opened *o = &r->opened[h->case_no - 1];
        o->last = r->n_happened;
        o->closed = t->closed;
        o->firm = h->firm;
        o->compound = h->compound;
    }
    r->n_happened++;
    if (r->o->cover)
        ruletest_cover_transition(r->o->cover, r, h);
}

static void on_reply(void *ctx, const struct case_reply *a)
{
    struct hook *k = ctx;
    struct ruletest_run *r = k->to;
    if (r->n_replied == RULETEST_MAX_TRANSITIONS)
        return;
    if (r->n_replied == r->cap_replied) {
        r->cap_replied = r->cap_replied ? 2 * r->cap_replied : 16;
        r->replied = mem_realloc_array(r->replied, r->cap_replied, sizeof(*r->replied));
    }
    r->replied[r->n_replied++] = (struct replied){.at_ns = time_of(k),
                                                  .answer = a->answer,
                                                  .verb = a->to->verb,
                                                  .case_id = copy_text(r, a->to->case_id),
                                                  .json = copy(r, a->json, a->json_len)};
}

static struct engine *new_engine(struct ruletest_run *r)
{
    struct engine *e = engine_new(&(struct engine_out){.ctx = r->hook,
                                                       .point = on_point,
                                                       .letter = on_letter,
                                                       .step = on_step,
                                                       .step_end = on_step_end,
                                                       .transition = on_transition,
                                                       .reply = on_reply});
    engine_use(e, r->w);
    return e;
}

/* -- records --------------------------------------------------------------------------------- */

/* Engine time of a time of the test: never back, never twice. What has an order among its like
 * keeps its distance from one time to the next, or a minute of samples would be a nanosecond less
 * than a minute when somebody before has nothing more to say. */
static uint64_t engine_time(struct ruletest_run *r, int64_t at_ns, uint32_t order)
{
    uint64_t ns = (uint64_t)((int64_t)BOOT_NS + at_ns) + order;
    r->ns = ns > r->ns ? ns : r->ns + 1;
    return r->ns;
}

static void give(struct ruletest_run *r, struct record *rec, int64_t at_ns, uint32_t order)
{
    rec->engine_ns = engine_time(r, at_ns, order);
    rec->wall_ns = r->x->start_ms * NS_MS + (int64_t)(rec->engine_ns - BOOT_NS) + r->shift_ns;
    rec->flags |= r->synced ? RECORD_WALL_SYNCED : 0;
    rec->messages = r->messages;
    rec->offset = r->offset;
    rec->end = r->offset += record_size(rec);
    r->beat_ns = at_ns;
    r->records++;
    engine_record(r->e, rec);
}

static void give_own(struct ruletest_run *r, enum record_type type, unsigned broker,
                     const char *topic, const char *body, size_t len, int64_t at_ns)
{
    struct record rec = {.type = type,
                         .broker = (uint8_t)broker,
                         .topic = topic,
                         .topic_len = strlen(topic),
                         .body = body,
                         .body_len = len};
    give(r, &rec, at_ns, 0);
}

/* A gateway writes a record of its own every minute; and what is due at a time has happened when
 * anything else does at that time. */
static void advance(struct ruletest_run *r, int64_t at_ns, bool settle)
{
    static const char nothing[JSON_PADDING];
    if (r->down)
        return;
    while (at_ns - r->beat_ns > NS_MINUTE)
        give_own(r, RECORD_STATS, 255, "", nothing, 0, r->beat_ns + NS_MINUTE);
    if (!settle)
        return;
    uint64_t to = (uint64_t)((int64_t)BOOT_NS + at_ns + SETTLE_NS);
    if (to > r->ns) {
        r->ns = to;
        engine_tick(r->e, to);
    }
}

void ruletest_give_message(struct ruletest_run *r, const char *topic, size_t topic_len,
                           const char *body, size_t len, bool retained, int64_t at_ns,
                           uint32_t order)
{
    struct record rec = {.type = RECORD_MESSAGE,
                         .broker = 0,
                         .flags = (uint8_t)(1 | (retained ? RECORD_RETAIN : 0)),
                         .packet_id = r->packet_id,
                         .topic = topic,
                         .topic_len = topic_len,
                         .body = body,
                         .body_len = len};
    r->packet_id = (uint16_t)(r->packet_id % 65535 + 1);
    r->messages++;
    give(r, &rec, at_ns, order);
}

static void start(struct ruletest_run *r, bool session, int64_t at_ns)
{
    char version[JSON_PADDING] = {0}, kept[1 + JSON_PADDING] = {session};
    r->down = false;
    give_own(r, RECORD_START, 255, "", version, 0, at_ns);
    if (!r->unlinked)
        give_own(r, RECORD_LINK_UP, 0, "", kept, 1, at_ns);
}

/* -- steps ----------------------------------------------------------------------------------- */

static int put(void *ctx, const void *p, size_t n)
{
    return buf_put(ctx, p, n);
}

static void complain(struct ruletest_run *r, const struct step *s, const char *what)
{
    if (r->replaying) /* who replays has been complained about already */
        return;
    r->failed = true;
    (void)buf_printf(r->text, "%s:%d:%d: %s: %s\n", r->t->file, s->line, s->col, r->x->name,
                     what);
}

static void stop(struct ruletest_run *r, const struct step *s)
{
    static const char nothing[JSON_PADDING];
    give_own(r, RECORD_STOP, 255, "", nothing, 0, s->at_ns);
    buf_clear(&r->state);
    if (engine_save(r->e, put, &r->state) != 0)
        complain(r, s, "the state could not be saved");
    r->down = true;
}

/* Another engine takes what was saved; what it saves itself must be the same. */
static void start_again(struct ruletest_run *r, const struct step *s)
{
    struct buf again;
    engine_free(r->e);
    r->e = new_engine(r);
    if (engine_load(r->e, r->state.data, r->state.len) != 0)
        complain(r, s, "the saved state could not be read back");
    buf_init(&again, r->state.max);
    if (engine_save(r->e, put, &again) != 0 || again.len != r->state.len ||
        memcmp(again.data, r->state.data, again.len) != 0)
        complain(r, s, "the state, saved and read back, is another one");
    buf_done(&again);
    start(r, true, s->at_ns);
    ruletest_release(r, s->at_ns);
}

static bool same_history(const struct ruletest_run *a, const struct ruletest_run *b)
{
    if (a->n_happened != b->n_happened)
        return false;
    for (size_t i = 0; i < a->n_happened; i++) {
        const struct happened *x = &a->happened[i], *y = &b->happened[i];
        if (x->at_ns != y->at_ns || x->change != y->change || x->json_len != y->json_len ||
            memcmp(x->json, y->json, x->json_len) != 0)
            return false;
    }
    return true;
}

/* Killed without a word: all records are read again by a new engine, which must say the same. */
static void crash(struct ruletest_run *r, const struct step *s)
{
    if (!r->replaying) {
        struct ruletest_options o = {.worlds = r->o->worlds};
        struct ruletest_run b;
        ruletest_begin(&b, r->t, r->x, &o, r->text, true);
        ruletest_flow(&b, (size_t)(s - r->x->steps));
        if (!same_history(r, &b) || b.ns != r->ns || b.offset != r->offset)
            complain(r, s, "the replay after the crash said something else");
        struct engine *e = r->e;
        struct hook *h = r->hook;
        r->e = b.e;
        r->hook = b.hook;
        r->hook->to = r;
        b.e = e;
        b.hook = h;
        ruletest_end(&b);
    }
    start(r, true, s->at_ns);
    ruletest_release(r, s->at_ns);
}

static void reload(struct ruletest_run *r, const struct step *s)
{
    char body[6 + 32 + JSON_PADDING] = "world";
    const struct world *w = r->o->worlds[s->set];
    memcpy(body + 6, w->hash, 32);
    give_own(r, RECORD_GENERATION, 255, "", body, 38, s->at_ns);
    r->w = w;
    engine_use(r->e, w);
}

static void command(struct ruletest_run *r, const struct step *s)
{
    struct case_command c = {.verb = s->verb,
                             .case_id = s->target,
                             .firm = s->firm ? s->firm : "-",
                             .compound = s->compound ? s->compound : "-",
                             .payload = s->payload,
                             .payload_len = strlen(s->payload)};
    struct buf topic, body;
    if (s->case_no > r->n_opened) {
        complain(r, s, "there is no such case: not so many were opened");
        return;
    }
    if (s->case_no) {
        const struct opened *o = &r->opened[s->case_no - 1];
        c.case_id = o->case_id;
        c.firm = s->firm ? s->firm : o->firm;
        c.compound = s->compound ? s->compound : o->compound;
    }
    buf_init(&topic, UINT16_MAX);
    buf_init(&body, 65536);
    (void)buf_printf(&topic, "%s/%s/%s/%s", c.firm, c.compound, c.case_id,
                     case_verb_name(c.verb));
    if (case_command_put(&c, &body) != 0 || topic.failed)
        complain(r, s, "the command is too long");
    size_t len = body.len;
    char *room = buf_room(&body, JSON_PADDING);
    if (room)
        memset(room, 0, JSON_PADDING);
    give_own(r, RECORD_COMMAND, 255, buf_cstr(&topic), body.data, len, s->at_ns);
    buf_done(&topic);
    buf_done(&body);
}

static void link_to(struct ruletest_run *r, const struct step *s)
{
    char body[8 + JSON_PADDING] = {1};
    static const char reason[4 + JSON_PADDING] = "test";
    if (s->up)
        give_own(r, RECORD_LINK_UP, 0, "", body, 1, s->at_ns);
    else
        give_own(r, RECORD_LINK_DOWN, 0, "", reason, 4, s->at_ns);
    r->unlinked = !s->up;
    if (s->up)
        ruletest_release(r, s->at_ns);
}

void ruletest_step(struct ruletest_run *r, const struct step *s)
{
    if (r->down && s->kind != STEP_START) {
        complain(r, s, "the gateway is down at that time");
        return;
    }
    advance(r, s->at_ns, true);
    switch (s->kind) {
    case STEP_STOP:
        stop(r, s);
        break;
    case STEP_START:
        start_again(r, s);
        break;
    case STEP_CRASH:
        crash(r, s);
        break;
    case STEP_RELOAD:
        reload(r, s);
        break;
    case STEP_COMMAND:
        command(r, s);
        break;
    case STEP_LINK:
        link_to(r, s);
        break;
    case STEP_CLOCK:
        r->shift_ns += s->shift_ns;
        r->synced = s->synced;
        break;
    case STEP_PRESENCE:
        give_own(r, RECORD_PRESENCE, 255, s->firm, s->payload, strlen(s->payload), s->at_ns);
        break;
    case STEP_MESSAGE:
        ruletest_give_message(r, s->topic, strlen(s->topic), s->payload, strlen(s->payload),
                              s->retained, s->at_ns, 0);
        break;
    }
}

void ruletest_advance(struct ruletest_run *r, int64_t at_ns, bool settle)
{
    advance(r, at_ns, settle);
}

/* -- from the beginning to the end ----------------------------------------------------------- */

/* Every firm listens, unless a step says otherwise. */
static void all_present(struct ruletest_run *r)
{
    static const char online[6 + JSON_PADDING] = "online";
    const struct registry *g = r->w->registry;
    for (size_t i = 0; i < registry_compounds(g); i++) {
        const char *firm = registry_compound_at(g, i)->firm;
        bool said = strcmp(firm, "none") == 0;
        for (size_t k = 0; k < i && !said; k++)
            said = strcmp(registry_compound_at(g, k)->firm, firm) == 0;
        if (!said)
            give_own(r, RECORD_PRESENCE, 255, firm, online, 6, -BEFORE);
    }
}

void ruletest_begin(struct ruletest_run *r, const struct ruletest *t, const struct test *x,
                    const struct ruletest_options *o, struct buf *text, bool replaying)
{
    static const char stream[10 + JSON_PADDING] = "test/all/1";
    *r = (struct ruletest_run){.t = t,
                               .x = x,
                               .o = o,
                               .w = o->worlds[0],
                               .text = text,
                               .synced = true,
                               .replaying = replaying,
                               .packet_id = 1,
                               .offset = SEGMENT_HEADER,
                               .beat_ns = -BEFORE,
                               .ns = BOOT_NS - BEFORE - 1};
    arena_init(&r->arena, (size_t)1 << 30);
    buf_init(&r->state, (size_t)1 << 30);
    r->hook = mem_zalloc(sizeof(*r->hook));
    r->hook->to = r;
    r->json = json_new(1 << 20);
    r->e = new_engine(r);
    if (o->cover)
        ruletest_cover_world(o->cover, r->w);
    ruletest_streams(r);
    start(r, false, -BEFORE);
    give_own(r, RECORD_STREAM, 255, "", stream, 10, -BEFORE);
    all_present(r);
}

void ruletest_end(struct ruletest_run *r)
{
    engine_free(r->e);
    ruletest_streams_free(r);
    json_free(r->json);
    free(r->hook);
    free(r->happened);
    free(r->replied);
    free(r->opened);
    buf_done(&r->state);
    arena_done(&r->arena);
}

/* Words that were too long were cut off, maybe within a character. */
static void mend_text(struct buf *b)
{
    struct buf whole;
    if (b->len == 0 || utf8_valid(b->data, b->len))
        return;
    buf_init(&whole, b->max);
    (void)buf_puts(&whole, buf_cstr(b));
    utf8_mend(whole.data);
    whole.len = strlen(whole.data);
    buf_done(b);
    *b = whole;
}

void ruletest_run(const struct ruletest *t, size_t test, const struct ruletest_options *o,
                  struct ruletest_result *out)
{
    struct ruletest_run r;
    *out = (struct ruletest_result){0};
    buf_init(&out->text, 1 << 20);
    ruletest_begin(&r, t, &t->tests[test], o, &out->text, false);
    ruletest_names(&r);
    ruletest_flow(&r, SIZE_MAX);
    ruletest_compare(&r);
    mend_text(&out->text);
    out->passed = !r.failed;
    out->messages = r.messages;
    out->values = r.values;
    out->records = r.records;
    out->transitions = r.n_happened;
    out->virtual_ns = r.ns - BOOT_NS;
    ruletest_end(&r);
}
