/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cases as bytes: one by one for the store (transition.blob), all of them for snapshots. Little
 * endian. The same state gives the same bytes. What comes back is not trusted: every number is
 * looked at, every text must be what such a text may be.
 */
#include "core/cases_private.h"
#include "base/mem.h"
#include "core/state.h"

#include <errno.h>
#include <stdlib.h>

#define BLOB_VERSION 1u
#define SAVE_MAGIC   UINT64_C(0x3353455341434741) /* "AGCASES3" */
#define SAVE_MAGIC_2 UINT64_C(0x3253455341434741) /* without who tests since when */
#define TEXT_MAX     4096

/* -- one case -------------------------------------------------------------------------------- */

static void put_step(struct state_writer *w, const struct case_step *s)
{
    state_put_u64(w, (uint64_t)s->ms);
    if (s->ms == 0)
        return;
    state_put_text(w, s->by);
    state_put_text(w, s->note);
    state_put_text(w, s->photo);
    state_put_text(w, s->to);
}

static void get_step(struct state_reader *r, struct case_step *s)
{
    s->ms = (int64_t)state_get_u64(r);
    if (s->ms == 0)
        return;
    s->by = state_get_text(r, CASES_BY_MAX, false);
    s->note = state_get_text(r, CASES_NOTE_MAX, false);
    s->photo = state_get_text(r, CASES_TEXT_MAX, false);
    s->to = state_get_text(r, CASES_BY_MAX, false);
}

static uint64_t flags_of(const struct case_open *o)
{
    return (uint64_t)o->own | (uint64_t)o->no_data << 1 | (uint64_t)o->latch << 2 |
           (uint64_t)o->life_safety << 3 | (uint64_t)o->late << 4 | (uint64_t)o->latched << 5 |
           (uint64_t)o->tested << 6 | (uint64_t)o->lost << 7 | (uint64_t)o->same_person << 8 |
           (uint64_t)o->one_shot << 9 | (uint64_t)o->told.any << 10 | (uint64_t)o->behind << 11;
}

static void take_flags(struct case_open *o, uint64_t f)
{
    o->own = f & 1;
    o->no_data = f >> 1 & 1;
    o->latch = f >> 2 & 1;
    o->life_safety = f >> 3 & 1;
    o->late = f >> 4 & 1;
    o->latched = f >> 5 & 1;
    o->tested = f >> 6 & 1;
    o->lost = f >> 7 & 1;
    o->same_person = f >> 8 & 1;
    o->one_shot = f >> 9 & 1;
    o->told.any = f >> 10 & 1;
    o->behind = f >> 11 & 1;
}

static void encode(const struct case_open *o, struct state_writer *w)
{
    state_put_u64(w, BLOB_VERSION);
    state_put_text(w, o->id);
    state_put_text(w, o->rule);
    state_put_text(w, o->device);
    state_put_text(w, o->point);
    state_put_text(w, o->firm);
    state_put_text(w, o->compound);
    state_put_text(w, o->metric);
    state_put_text(w, o->summary);
    state_put_u64(w, flags_of(o));
    state_put_u64(w, o->occurrence);
    state_put_u64(w, o->version);
    state_put_u64(w, o->rework);
    state_put_u64(w, o->condition);
    state_put_u64(w, o->quality);
    state_put_u64(w, o->severity);
    state_put_u64(w, o->policy);
    state_put_u64(w, o->work);
    state_put_u64(w, o->masks);
    state_put_u64(w, o->members);
    state_put_double(w, o->value);
    state_put_double(w, o->limit);
    state_put_u64(w, (uint64_t)o->opened_ms);
    state_put_u64(w, (uint64_t)o->since_ms);
    state_put_u64(w, (uint64_t)o->discovered_ms);
    state_put_u64(w, (uint64_t)o->cleared_ms);
    state_put_u64(w, o->shelved_until);
    state_put_u64(w, (uint64_t)o->shelved_until_ms);
    state_put_u64(w, o->told.version);
    state_put_u64(w, o->told.facets);
    state_put_u64(w, (uint64_t)o->stamp_from_ms);
    state_put_u64(w, (uint64_t)o->stamp_to_ms);
    put_step(w, &o->ack);
    for (size_t i = 0; i < CASES_WORK_N; i++)
        put_step(w, &o->steps[i]);
}

void cases_encode(const struct case_open *o, struct buf *b)
{
    struct state_writer w;
    state_writer_into(&w, b);
    encode(o, &w);
}

static void get_numbers(struct state_reader *r, struct case_open *o)
{
    take_flags(o, state_get_up_to(r, (1 << 12) - 1));
    o->occurrence = (uint32_t)state_get_up_to(r, UINT32_MAX - 1);
    o->version = (uint32_t)state_get_up_to(r, UINT32_MAX - 1);
    o->rework = (uint32_t)state_get_up_to(r, UINT32_MAX - 1);
    o->condition = (enum alarm_condition)state_get_up_to(r, ALARM_RECOVERING);
    o->quality = (enum alarm_quality)state_get_up_to(r, ALARM_UNKNOWN);
    o->severity = (enum severity)state_get_up_to(r, SEVERITIES - 1);
    o->policy = (enum rule_work)state_get_up_to(r, RULE_WORK_FULL);
    o->work = (enum case_work)state_get_up_to(r, CASES_WORK_N - 1);
    o->masks = (unsigned)state_get_up_to(r, MASK_TEST * 2 - 1);
    o->members = (uint32_t)state_get_up_to(r, UINT32_MAX);
    o->value = state_get_double(r);
    o->limit = state_get_double(r);
    o->opened_ms = (int64_t)state_get_u64(r);
    o->since_ms = (int64_t)state_get_u64(r);
    o->discovered_ms = (int64_t)state_get_u64(r);
    o->cleared_ms = (int64_t)state_get_u64(r);
    o->shelved_until = state_get_u64(r);
    o->shelved_until_ms = (int64_t)state_get_u64(r);
    o->told.version = (uint32_t)state_get_up_to(r, o->version);
    o->told.facets = state_get_u64(r);
    o->stamp_from_ms = (int64_t)state_get_u64(r);
    o->stamp_to_ms = (int64_t)state_get_up_to(r, INT64_MAX - 1);
}

/* NULL: not such bytes. */
static struct case_open *decode(struct state_reader *r)
{
    struct case_open *o = mem_zalloc(sizeof(*o));
    state_expect(r, state_get_u64(r) == BLOB_VERSION);
    o->id = state_get_text(r, CASE_ID_MAX, true);
    o->rule = state_get_text(r, TEXT_MAX, true);
    o->device = state_get_text(r, TEXT_MAX, true);
    o->point = state_get_text(r, TEXT_MAX, true);
    o->firm = state_get_text(r, TEXT_MAX, true);
    o->compound = state_get_text(r, TEXT_MAX, true);
    o->metric = state_get_text(r, TEXT_MAX, false);
    o->summary = state_get_text(r, CASES_TEXT_MAX, false);
    get_numbers(r, o);
    get_step(r, &o->ack);
    for (size_t i = 0; i < CASES_WORK_N; i++)
        get_step(r, &o->steps[i]);
    if (!r->failed)
        return o;
    case_free(o);
    return NULL;
}

/* -- all of them ----------------------------------------------------------------------------- */

static void put_head(const struct cases *c, struct state_writer *w)
{
    state_put_u64(w, SAVE_MAGIC);
    state_put_text(w, c->stream);
    state_put_u64(w, c->id_offset);
    state_put_u64(w, c->id_n);
    state_put_u64(w, c->n_shelves);
    for (size_t i = 0; i < c->n_shelves; i++) {
        state_put_u64(w, c->shelves[i].kind);
        state_put_text(w, c->shelves[i].scope);
        state_put_u64(w, c->shelves[i].until);
        state_put_u64(w, (uint64_t)c->shelves[i].until_ms);
        state_put_u64(w, (uint64_t)c->shelves[i].since_ms);
        state_put_text(w, c->shelves[i].by);
    }
    state_put_u64(w, c->ended_n);
    for (size_t i = 0; i < c->ended_n; i++) {
        const struct case_ended *e = &c->ended[(c->ended_at + i) % CASES_ENDED];
        state_put_u64(w, e->key);
        state_put_u64(w, (uint64_t)e->from_ms);
        state_put_u64(w, (uint64_t)e->to_ms);
    }
    state_put_u64(w, c->memory_n);
}

static void put_memory(const struct case_memory *m, struct state_writer *w)
{
    state_put_u64(w, m->hi);
    state_put_u64(w, m->lo);
    state_put_u64(w, m->engine_ns);
    state_put_u64(w, m->answer);
    state_put_u64(w, m->len);
    state_put(w, m->json, m->len);
}

int cases_save(const struct cases *c, int (*put)(void *ctx, const void *p, size_t n), void *ctx)
{
    struct state_writer w;
    state_writer_init(&w, put, ctx);
    put_head(c, &w);
    for (size_t i = 0; i < c->memory_n; i++)
        put_memory(&c->memory[(c->memory_at + i) % CASE_REPLIES_MAX], &w);
    state_put_u64(&w, c->n);
    for (const struct case_open *o = c->first; o; o = o->next)
        encode(o, &w);
    state_put_u64(&w, SAVE_MAGIC);
    return state_writer_done(&w);
}

static void get_shelves(struct cases *c, struct state_reader *r, bool testers)
{
    uint64_t n = state_get_up_to(r, CASE_MASKS_MAX);
    for (uint64_t i = 0; i < n && !r->failed; i++) {
        int kind = (int)state_get_up_to(r, SHELF_COMPOUND);
        char *scope = state_get_text(r, TEXT_MAX, true);
        uint64_t until = state_get_u64(r);
        int64_t until_ms = (int64_t)state_get_u64(r),
                since_ms = testers ? (int64_t)state_get_u64(r) : 0;
        char *by = testers ? state_get_text(r, CASES_BY_MAX, false) : NULL;
        struct case_shelf *s = r->failed ? NULL : cases_shelf_add(c, kind, scope);
        if (s) {
            s->until = until;
            s->until_ms = until_ms;
            s->since_ms = since_ms;
            cases_set(&s->by, by);
        }
        free(scope);
        free(by);
    }
}

static void get_ended(struct cases *c, struct state_reader *r)
{
    uint64_t n = state_get_up_to(r, CASES_ENDED);
    if (n > 0)
        c->ended = mem_zalloc_array(CASES_ENDED, sizeof(*c->ended));
    for (uint64_t i = 0; i < n && !r->failed; i++) {
        uint64_t key = state_get_u64(r);
        int64_t from = (int64_t)state_get_u64(r);
        int64_t to = (int64_t)state_get_up_to(r, INT64_MAX - 1);
        c->ended[c->ended_n++] = (struct case_ended){key, from, to};
    }
}

static void get_memory(struct cases *c, struct state_reader *r)
{
    uint64_t n = state_get_up_to(r, CASE_REPLIES_MAX);
    if (n > 0)
        c->memory = mem_zalloc_array(CASE_REPLIES_MAX, sizeof(*c->memory));
    for (uint64_t i = 0; i < n && !r->failed; i++) {
        struct case_memory m = {0};
        m.hi = state_get_u64(r);
        m.lo = state_get_u64(r);
        m.engine_ns = state_get_u64(r);
        m.answer = (enum case_answer)state_get_up_to(r, ANSWER_BAD);
        m.len = (size_t)state_get_up_to(r, CASE_JSON_MAX);
        const char *json = state_get_bytes(r, m.len);
        if (!json)
            return;
        m.json = mem_dup(json, m.len);
        c->memory[c->memory_n++] = m;
        c->memory_bytes += m.len;
    }
}

static void get_cases(struct cases *c, struct state_reader *r)
{
    uint64_t n = state_get_up_to(r, CASES_MAX_OPEN + CASES_LIFE_ROOM);
    for (uint64_t i = 0; i < n && !r->failed; i++) {
        struct case_open *o = decode(r);
        if (!o)
            return;
        if ((!o->lost && cases_find(c, o->id)) || cases_of(c, o->rule, o->device, o->point)) {
            r->failed = true;
            case_free(o);
            return;
        }
        cases_link(c, o);
        cases_bind(c, o);
    }
}

/* As new, in the same world. */
static void forget(struct cases *c)
{
    const struct world *w = c->world;
    struct cases *fresh = cases_new(&c->out);
    struct cases old = *c;
    *c = *fresh;
    *fresh = old;
    cases_free(fresh);
    if (w)
        cases_use(c, NULL, w, 0, 0);
}

int cases_load(struct cases *c, const char *bytes, size_t len)
{
    struct state_reader r = {.p = bytes, .end = bytes + len};
    forget(c);
    uint64_t magic = state_get_u64(&r);
    state_expect(&r, magic == SAVE_MAGIC || magic == SAVE_MAGIC_2);
    char *stream = state_get_text(&r, TEXT_MAX, false);
    if (stream)
        cases_stream(c, stream);
    free(stream);
    c->id_offset = state_get_u64(&r);
    c->id_n = (uint32_t)state_get_up_to(&r, UINT32_MAX - 1);
    get_shelves(c, &r, magic == SAVE_MAGIC);
    get_ended(c, &r);
    get_memory(c, &r);
    get_cases(c, &r);
    if (state_get_u64(&r) != magic || !state_all_read(&r)) {
        forget(c);
        return -EBADMSG;
    }
    cases_reckon_due(c);
    return 0;
}

/* -- the store's word ------------------------------------------------------------------------ */

static bool same_bytes(const struct case_open *a, const struct case_open *b)
{
    struct buf x, y;
    buf_init(&x, CASE_JSON_MAX);
    buf_init(&y, CASE_JSON_MAX);
    cases_encode(a, &x);
    cases_encode(b, &y);
    bool same = x.len == y.len && memcmp(x.data, y.data, x.len) == 0;
    buf_done(&x);
    buf_done(&y);
    return same;
}

/* What the store does not know: a condition that holds is opened anew, by a timer of its own, so
 * that somebody hears of it; the rest never was. Until then its id is not its own. */
static void drop(struct cases *c, struct case_open *o, cases_differs_fn *differs, void *ctx)
{
    if (differs)
        differs(ctx, o->id, "too many");
    if (o->lost)
        return;
    cases_unlink(c, o);
    o->lost = cases_holds(o); /* our own too: who raised it says so once */
    if (o->lost)
        cases_link(c, o);
    else
        case_free(o);
}

/* A case as the store has it, and what there was of its key here. */
struct word {
    struct case_open *o;   /* NULL: taken over, or what is here says the same */
    struct case_open *was; /* what was here, otherwise; NULL: nothing */
    char *key;
    enum { NOWHERE, UNDER_OTHER_ID, OTHERWISE } here;
};

struct words {
    struct word *list, **by_key;
    size_t n;
};

static int compare_keys(const void *a, const void *b)
{
    const struct word *const *x = a, *const *y = b;
    return strcmp((*x)->key, (*y)->key);
}

static void words_done(struct words *w)
{
    for (size_t i = 0; i < w->n; i++) {
        case_free(w->list[i].o);
        case_free(w->list[i].was);
        free(w->list[i].key);
    }
    free(w->list);
    free(w->by_key);
}

static int words_read(const char *const *blobs, const size_t *lens, size_t n, struct words *w)
{
    *w = (struct words){.list = mem_zalloc_array(n, sizeof(struct word)),
                        .by_key = mem_zalloc_array(n, sizeof(struct word *)),
                        .n = n};
    for (size_t i = 0; i < n; i++) {
        struct state_reader in = {.p = blobs[i], .end = blobs[i] + lens[i]};
        struct case_open *o = w->list[i].o = decode(&in);
        if (!o || in.p != in.end)
            return -EBADMSG;
        w->list[i].key = cases_key_scope(o->rule, o->device, o->point);
        w->by_key[i] = &w->list[i];
    }
    if (n > 0)
        qsort(w->by_key, n, sizeof(w->by_key[0]), compare_keys);
    return 0;
}

static struct word *word_at(const struct words *w, const struct case_open *o, const char *point)
{
    struct word wanted = {.key = cases_key_scope(o->rule, o->device, point)};
    const struct word *key = &wanted;
    struct word **found =
        w->n > 0 ? bsearch(&key, w->by_key, w->n, sizeof(w->by_key[0]), compare_keys) : NULL;
    free(wanted.key);
    return found ? *found : NULL;
}

/* A store of before its point became the device's own has it where it was: from there it comes home once
 * more. */
static struct word *word_of(const struct words *w, const struct case_open *o)
{
    struct word *there = word_at(w, o, o->point);
    if (there || o->lost || *o->point || !o->d || !o->d->point)
        return there;
    there = word_at(w, o, o->d->point);
    return there && there->o && !there->was && strcmp(there->o->id, o->id) == 0 ? there : NULL;
}

/* The store's word goes for what people did and were told. How it is, what is here knows: core/alarm will
 * say nothing of what it has said. */
static void know_better(struct case_open *o, const struct case_open *was)
{
    const unsigned here = (unsigned)MASK_FLAPPING | MASK_INHIBITED | MASK_TEST;
    uint64_t stored = cases_facets(o);
    bool other =
        was->since_ms != o->since_ms; /* an activation that the store knows nothing of */
    if (cases_holds(was) && (other || !cases_holds(o)))
        cases_again(o);
    else if (cases_holds(was) && was->severity > o->severity)
        case_step_clear(&o->ack); /* what was acknowledged was less */
    o->condition = was->condition;
    o->quality = was->quality;
    o->severity = was->severity;
    o->no_data = was->no_data;
    o->life_safety = was->life_safety;
    o->latched = o->latched || was->latched;
    o->tested = was->tested;
    o->members = was->members;
    o->value = was->value;
    o->limit = was->limit;
    cases_set(&o->metric, was->metric);
    o->since_ms = was->since_ms;
    o->discovered_ms = was->discovered_ms;
    o->cleared_ms = was->cleared_ms;
    o->masks = (o->masks & ~here) | (was->masks & here);
    if (o->one_shot && (other || !cases_holds(was))) /* it ended with what it was for */
        case_unshelve(o);
    o->stamp_from_ms = was->stamp_from_ms;
    o->stamp_to_ms = was->stamp_to_ms;
    o->behind = cases_facets(o) != stored;
}

/* Nothing here knows how it is, or will say when a mask ends. */
static void know_nothing(struct case_open *o)
{
    o->quality = ALARM_UNKNOWN;
    o->masks &= ~(unsigned)(MASK_FLAPPING | MASK_INHIBITED);
}

static struct case_open *copy(const struct case_open *o)
{
    struct buf b;
    buf_init(&b, CASE_JSON_MAX);
    cases_encode(o, &b);
    struct state_reader in = {.p = b.data, .end = b.data + b.len};
    struct case_open *same = decode(&in);
    buf_done(&b);
    return same;
}

/* The store's word, or what an earlier start has made of that one and nobody was told: it stays as it is, and
 * in its place among the others. Were it told now, or later than they are, then a store that was put back and
 * passes the same journal once more would give its numbers to other transitions than the first time. */
static bool says_the_same(const struct case_open *o, const struct case_open *word)
{
    if (strcmp(o->id, word->id) != 0)
        return false;
    if (same_bytes(o, word))
        return true;
    struct case_open *alone = copy(word), *both = copy(word);
    know_nothing(alone);
    know_better(both, o);
    bool same = same_bytes(o, alone) || same_bytes(o, both);
    case_free(alone);
    case_free(both);
    return same;
}

/* Its key has the store's word: it stays if that says the same. */
static void give_way(struct cases *c, struct case_open *o, struct word *w,
                     cases_differs_fn *differs, void *ctx)
{
    if (w->o && says_the_same(o, w->o)) {
        case_free(w->o);
        w->o = NULL;
        return;
    }
    bool same_id = w->o && strcmp(w->o->id, o->id) == 0;
    w->here = same_id ? OTHERWISE : UNDER_OTHER_ID;
    if (!same_id && differs)
        differs(ctx, o->id, "too many");
    cases_unlink(c, o);
    w->was = o;
}

static void take_over(struct cases *c, struct word *w, cases_differs_fn *differs, void *ctx)
{
    struct case_open *o = w->o;
    if (!o)
        return;
    if (differs)
        differs(ctx, o->id, w->here == OTHERWISE ? "other" : "missing");
    if (w->here == NOWHERE)
        know_nothing(o);
    if (w->was)
        know_better(o, w->was);
    if (cases_of(c, o->rule, o->device, o->point))
        return; /* a store that has a key twice: its first word */
    cases_link(c, o);
    cases_bind(c, o);
    w->o = NULL;
}

/* By keys: an id of a store that was put back may be another key's here; but word_of(). */
int cases_adopt(struct cases *c, const char *const *blobs, const size_t *lens, size_t n,
                cases_differs_fn *differs, void *ctx)
{
    struct case_open *next;
    struct words w;
    int r = words_read(blobs, lens, n, &w);
    for (struct case_open *o = r == 0 ? c->first : NULL; o; o = next) {
        struct word *known = word_of(&w, o);
        next = o->next;
        if (known && !known->was)
            give_way(c, o, known, differs, ctx);
        else
            drop(c, o, differs, ctx);
    }
    for (size_t i = 0; i < n && r == 0; i++)
        take_over(c, &w.list[i], differs, ctx);
    words_done(&w);
    for (struct case_open *o = c->world ? c->first : NULL; o && !c->unsettled; o = o->next)
        c->unsettled = cases_is_unsettled(c, o);
    cases_reckon_due(c);
    return r;
}
