/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cases as bytes: one by one for the store (transition.blob), all of them for snapshots. Little
 * endian. The same state gives the same bytes. What comes back is not trusted: every number is
 * looked at, every text must be what such a text may be.
 */
#include "core/cases_private.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define BLOB_VERSION 1u
#define SAVE_MAGIC   UINT64_C(0x3353455341434741) /* "AGCASES3" */
#define SAVE_MAGIC_2 UINT64_C(0x3253455341434741) /* without who tests since when */
#define TEXT_MAX     4096
#define NO_TEXT      UINT32_MAX

/* -- words ----------------------------------------------------------------------------------- */

static void put_u64(struct buf *b, uint64_t v)
{
    (void)buf_put(b, &v, sizeof(v));
}

static void put_text(struct buf *b, const char *s)
{
    uint32_t n = s ? (uint32_t)strlen(s) : NO_TEXT;
    (void)buf_put(b, &n, sizeof(n));
    if (s)
        (void)buf_put(b, s, n);
}

static void put_double(struct buf *b, double v)
{
    uint64_t bits;
    if (isnan(v)) /* one NaN is like another */
        v = NAN;
    memcpy(&bits, &v, sizeof(bits));
    put_u64(b, bits);
}

struct reader {
    const char *p, *end;
    bool failed;
};

static uint64_t get_u64(struct reader *r)
{
    uint64_t v = 0;
    if (r->failed || (size_t)(r->end - r->p) < sizeof(v)) {
        r->failed = true;
        return 0;
    }
    memcpy(&v, r->p, sizeof(v));
    r->p += sizeof(v);
    return v;
}

static uint64_t get_below(struct reader *r, uint64_t limit)
{
    uint64_t v = get_u64(r);
    r->failed = r->failed || v >= limit;
    return r->failed ? 0 : v;
}

/* A text or NULL; of the caller. */
static char *get_text(struct reader *r, size_t max, bool needed)
{
    uint32_t n = 0;
    if (!r->failed && (size_t)(r->end - r->p) >= sizeof(n)) {
        memcpy(&n, r->p, sizeof(n));
        r->p += sizeof(n);
    } else {
        r->failed = true;
    }
    if (r->failed || (n == NO_TEXT && !needed))
        return NULL;
    if (n > max || n > (size_t)(r->end - r->p) || memchr(r->p, '\0', n) ||
        !utf8_valid(r->p, n)) {
        r->failed = true;
        return NULL;
    }
    char *s = mem_strndup(r->p, n);
    r->p += n;
    return s;
}

static double get_double(struct reader *r)
{
    uint64_t bits = get_u64(r);
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

/* -- one case -------------------------------------------------------------------------------- */

static void put_step(struct buf *b, const struct case_step *s)
{
    put_u64(b, (uint64_t)s->ms);
    if (s->ms == 0)
        return;
    put_text(b, s->by);
    put_text(b, s->note);
    put_text(b, s->photo);
    put_text(b, s->to);
}

static void get_step(struct reader *r, struct case_step *s)
{
    s->ms = (int64_t)get_u64(r);
    if (s->ms == 0)
        return;
    s->by = get_text(r, CASES_BY_MAX, false);
    s->note = get_text(r, CASES_NOTE_MAX, false);
    s->photo = get_text(r, CASES_TEXT_MAX, false);
    s->to = get_text(r, CASES_BY_MAX, false);
}

static uint64_t flags_of(const struct case_open *o)
{
    return (uint64_t)o->own | (uint64_t)o->no_data << 1 | (uint64_t)o->latch << 2 |
           (uint64_t)o->life_safety << 3 | (uint64_t)o->late << 4 | (uint64_t)o->latched << 5 |
           (uint64_t)o->tested << 6 | (uint64_t)o->lost << 7 | (uint64_t)o->same_person << 8 |
           (uint64_t)o->one_shot << 9 | (uint64_t)o->told.any << 10;
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
}

void cases_encode(const struct case_open *o, struct buf *b)
{
    put_u64(b, BLOB_VERSION);
    put_text(b, o->id);
    put_text(b, o->rule);
    put_text(b, o->device);
    put_text(b, o->point);
    put_text(b, o->firm);
    put_text(b, o->compound);
    put_text(b, o->metric);
    put_text(b, o->summary);
    put_u64(b, flags_of(o));
    put_u64(b, o->occurrence);
    put_u64(b, o->version);
    put_u64(b, o->rework);
    put_u64(b, o->condition);
    put_u64(b, o->quality);
    put_u64(b, o->severity);
    put_u64(b, o->policy);
    put_u64(b, o->work);
    put_u64(b, o->masks);
    put_u64(b, o->members);
    put_double(b, o->value);
    put_double(b, o->limit);
    put_u64(b, (uint64_t)o->opened_ms);
    put_u64(b, (uint64_t)o->since_ms);
    put_u64(b, (uint64_t)o->discovered_ms);
    put_u64(b, (uint64_t)o->cleared_ms);
    put_u64(b, o->shelved_until);
    put_u64(b, (uint64_t)o->shelved_until_ms);
    put_u64(b, o->told.version);
    put_u64(b, o->told.facets);
    put_u64(b, (uint64_t)o->stamp_from_ms);
    put_u64(b, (uint64_t)o->stamp_to_ms);
    put_step(b, &o->ack);
    for (size_t i = 0; i < CASES_WORK_N; i++)
        put_step(b, &o->steps[i]);
}

static void get_numbers(struct reader *r, struct case_open *o)
{
    take_flags(o, get_below(r, 1 << 11));
    o->occurrence = (uint32_t)get_below(r, UINT32_MAX);
    o->version = (uint32_t)get_below(r, UINT32_MAX);
    o->rework = (uint32_t)get_below(r, UINT32_MAX);
    o->condition = (enum alarm_condition)get_below(r, ALARM_RECOVERING + 1);
    o->quality = (enum alarm_quality)get_below(r, ALARM_UNKNOWN + 1);
    o->severity = (enum severity)get_below(r, SEVERITIES);
    o->policy = (enum rule_work)get_below(r, RULE_WORK_FULL + 1);
    o->work = (enum case_work)get_below(r, CASES_WORK_N);
    o->masks = (unsigned)get_below(r, MASK_TEST * 2);
    o->members = (uint32_t)get_below(r, (uint64_t)UINT32_MAX + 1);
    o->value = get_double(r);
    o->limit = get_double(r);
    o->opened_ms = (int64_t)get_u64(r);
    o->since_ms = (int64_t)get_u64(r);
    o->discovered_ms = (int64_t)get_u64(r);
    o->cleared_ms = (int64_t)get_u64(r);
    o->shelved_until = get_u64(r);
    o->shelved_until_ms = (int64_t)get_u64(r);
    o->told.version = (uint32_t)get_below(r, (uint64_t)o->version + 1);
    o->told.facets = get_u64(r);
    o->stamp_from_ms = (int64_t)get_u64(r);
    o->stamp_to_ms = (int64_t)get_below(r, INT64_MAX);
}

/* NULL: not such bytes. */
static struct case_open *decode(struct reader *r)
{
    struct case_open *o = mem_zalloc(sizeof(*o));
    r->failed = r->failed || get_u64(r) != BLOB_VERSION;
    o->id = get_text(r, CASE_ID_MAX, true);
    o->rule = get_text(r, TEXT_MAX, true);
    o->device = get_text(r, TEXT_MAX, true);
    o->point = get_text(r, TEXT_MAX, true);
    o->firm = get_text(r, TEXT_MAX, true);
    o->compound = get_text(r, TEXT_MAX, true);
    o->metric = get_text(r, TEXT_MAX, false);
    o->summary = get_text(r, CASES_TEXT_MAX, false);
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

static void put_head(const struct cases *c, struct buf *b)
{
    put_u64(b, SAVE_MAGIC);
    put_text(b, c->stream);
    put_u64(b, c->id_offset);
    put_u64(b, c->id_n);
    put_u64(b, c->n_shelves);
    for (size_t i = 0; i < c->n_shelves; i++) {
        put_u64(b, c->shelves[i].kind);
        put_text(b, c->shelves[i].scope);
        put_u64(b, c->shelves[i].until);
        put_u64(b, (uint64_t)c->shelves[i].until_ms);
        put_u64(b, (uint64_t)c->shelves[i].since_ms);
        put_text(b, c->shelves[i].by);
    }
    put_u64(b, c->ended_n);
    for (size_t i = 0; i < c->ended_n; i++) {
        const struct case_ended *e = &c->ended[(c->ended_at + i) % CASES_ENDED];
        put_u64(b, e->key);
        put_u64(b, (uint64_t)e->from_ms);
        put_u64(b, (uint64_t)e->to_ms);
    }
    put_u64(b, c->memory_n);
}

static void put_memory(const struct case_memory *m, struct buf *b)
{
    put_u64(b, m->hi);
    put_u64(b, m->lo);
    put_u64(b, m->engine_ns);
    put_u64(b, m->answer);
    put_u64(b, m->len);
    (void)buf_put(b, m->json, m->len);
}

static int flush(struct buf *b, int (*put)(void *ctx, const void *p, size_t n), void *ctx)
{
    int r = b->failed ? -ENOBUFS : b->len > 0 ? put(ctx, b->data, b->len) : 0;
    buf_clear(b);
    return r;
}

int cases_save(const struct cases *c, int (*put)(void *ctx, const void *p, size_t n), void *ctx)
{
    struct buf b;
    buf_init(&b, (size_t)16 << 20); /* CASE_MASKS_MAX of the longest scopes and names */
    put_head(c, &b);
    int r = flush(&b, put, ctx);
    for (size_t i = 0; i < c->memory_n && r == 0; i++) {
        put_memory(&c->memory[(c->memory_at + i) % CASE_REPLIES_MAX], &b);
        r = flush(&b, put, ctx);
    }
    put_u64(&b, c->n);
    for (const struct case_open *o = c->first; o && r == 0; o = o->next) {
        cases_encode(o, &b);
        if (b.len > 32768)
            r = flush(&b, put, ctx);
    }
    put_u64(&b, SAVE_MAGIC);
    r = r ? r : flush(&b, put, ctx);
    buf_done(&b);
    return r;
}

static void get_shelves(struct cases *c, struct reader *r, bool testers)
{
    uint64_t n = get_below(r, CASE_MASKS_MAX + 1);
    for (uint64_t i = 0; i < n && !r->failed; i++) {
        int kind = (int)get_below(r, SHELF_COMPOUND + 1);
        char *scope = get_text(r, TEXT_MAX, true);
        uint64_t until = get_u64(r);
        int64_t until_ms = (int64_t)get_u64(r), since_ms = testers ? (int64_t)get_u64(r) : 0;
        char *by = testers ? get_text(r, CASES_BY_MAX, false) : NULL;
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

static void get_ended(struct cases *c, struct reader *r)
{
    uint64_t n = get_below(r, CASES_ENDED + 1);
    if (n > 0)
        c->ended = mem_zalloc_array(CASES_ENDED, sizeof(*c->ended));
    for (uint64_t i = 0; i < n && !r->failed; i++) {
        uint64_t key = get_u64(r);
        int64_t from = (int64_t)get_u64(r), to = (int64_t)get_u64(r);
        c->ended[c->ended_n++] = (struct case_ended){key, from, to};
    }
}

static void get_memory(struct cases *c, struct reader *r)
{
    uint64_t n = get_below(r, CASE_REPLIES_MAX + 1);
    if (n > 0)
        c->memory = mem_zalloc_array(CASE_REPLIES_MAX, sizeof(*c->memory));
    for (uint64_t i = 0; i < n && !r->failed; i++) {
        struct case_memory m = {0};
        m.hi = get_u64(r);
        m.lo = get_u64(r);
        m.engine_ns = get_u64(r);
        m.answer = (enum case_answer)get_below(r, ANSWER_BAD + 1);
        m.len = (size_t)get_below(r, CASE_JSON_MAX + 1);
        if (r->failed || m.len > (size_t)(r->end - r->p)) {
            r->failed = true;
            return;
        }
        m.json = mem_dup(r->p, m.len);
        r->p += m.len;
        c->memory[c->memory_n++] = m;
        c->memory_bytes += m.len;
    }
}

static void get_cases(struct cases *c, struct reader *r)
{
    uint64_t n = get_below(r, CASES_MAX_OPEN + 1);
    for (uint64_t i = 0; i < n && !r->failed; i++) {
        struct case_open *o = decode(r);
        if (!o)
            return;
        if (cases_find(c, o->id) || cases_of(c, o->rule, o->device, o->point)) {
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
    struct reader r = {.p = bytes, .end = bytes + len};
    forget(c);
    uint64_t magic = get_u64(&r);
    r.failed = magic != SAVE_MAGIC && magic != SAVE_MAGIC_2;
    char *stream = get_text(&r, TEXT_MAX, false);
    if (stream)
        cases_stream(c, stream);
    free(stream);
    c->id_offset = get_u64(&r);
    c->id_n = (uint32_t)get_below(&r, UINT32_MAX);
    get_shelves(c, &r, magic == SAVE_MAGIC);
    get_ended(c, &r);
    get_memory(c, &r);
    get_cases(c, &r);
    if (get_u64(&r) != magic || r.failed || r.p != r.end) {
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
 * that somebody hears of it; the rest never was. */
static void drop(struct cases *c, struct case_open *o)
{
    if (o->lost)
        return;
    cases_unlink(c, o);
    o->lost = cases_holds(o) && !o->own;
    if (o->lost)
        cases_link(c, o);
    else
        case_free(o);
}

static void adopt_one(struct cases *c, struct case_open *o,
                      void (*differs)(void *ctx, const char *case_id, const char *how),
                      void *ctx)
{
    struct case_open *mine = cases_find(c, o->id);
    if (mine && same_bytes(mine, o)) {
        case_free(o);
        return;
    }
    if (differs)
        differs(ctx, o->id, mine ? "other" : "missing");
    if (!mine)
        mine = cases_of(c, o->rule, o->device, o->point);
    if (mine) {
        cases_unlink(c, mine);
        if (strcmp(mine->id, o->id) != 0 && differs)
            differs(ctx, mine->id, "too many");
        case_free(mine);
    } else {
        o->quality = ALARM_UNKNOWN; /* nothing here knows how it is */
    }
    /* A store that was put back may have given its id to another key: one case a key. */
    struct case_open *same = cases_of(c, o->rule, o->device, o->point);
    if (same) {
        if (differs)
            differs(ctx, same->id, "too many");
        cases_unlink(c, same);
        case_free(same);
    }
    cases_link(c, o);
    cases_bind(c, o);
}

static int by_id(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* What adoption reads of the store: its cases, and their ids and keys in order. */
struct word {
    struct case_open **cases;
    char **ids, **keys;
    size_t n;
};

static void word_done(struct word *w)
{
    for (size_t i = 0; i < w->n; i++) {
        free(w->ids[i]);
        free(w->keys[i]);
    }
    free(w->cases);
    free(w->ids);
    free(w->keys);
}

static int read_word(const char *const *blobs, const size_t *lens, size_t n, struct word *w)
{
    *w = (struct word){.cases = mem_zalloc_array(n, sizeof(struct case_open *)),
                       .ids = mem_zalloc_array(n, sizeof(char *)),
                       .keys = mem_zalloc_array(n, sizeof(char *)),
                       .n = n};
    for (size_t i = 0; i < n; i++) {
        struct reader in = {.p = blobs[i], .end = blobs[i] + lens[i]};
        struct case_open *o = w->cases[i] = decode(&in);
        if (!o || in.p != in.end)
            return -EBADMSG;
        w->ids[i] = mem_strdup(o->id);
        w->keys[i] = cases_key_scope(o->rule, o->device, o->point);
    }
    if (n > 0) {
        qsort(w->ids, n, sizeof(w->ids[0]), by_id);
        qsort(w->keys, n, sizeof(w->keys[0]), by_id);
    }
    return 0;
}

static bool has_id(const struct word *w, const struct case_open *o)
{
    return w->n > 0 && bsearch(&o->id, w->ids, w->n, sizeof(w->ids[0]), by_id);
}

static bool has_key(const struct word *w, const struct case_open *o)
{
    char *key = cases_key_scope(o->rule, o->device, o->point);
    bool has = w->n > 0 && bsearch(&key, w->keys, w->n, sizeof(w->keys[0]), by_id);
    free(key);
    return has;
}

int cases_adopt(struct cases *c, const char *const *blobs, const size_t *lens, size_t n,
                void (*differs)(void *ctx, const char *case_id, const char *how), void *ctx)
{
    struct case_open *next;
    struct word w;
    int r = read_word(blobs, lens, n, &w);
    for (struct case_open *o = r == 0 ? c->first : NULL; o; o = next) {
        next = o->next;
        if (has_id(&w, o) || has_key(&w, o)) /* the latter is replaced below */
            continue;
        if (differs)
            differs(ctx, o->id, "too many");
        drop(c, o);
    }
    for (size_t i = 0; i < n; i++) {
        if (r == 0)
            adopt_one(c, w.cases[i], differs, ctx);
        else
            case_free(w.cases[i]);
    }
    word_done(&w);
    cases_reckon_due(c);
    return r;
}
