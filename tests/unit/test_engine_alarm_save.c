/* SPDX-License-Identifier: Apache-2.0 */
/* engine and alarms together: the same in every replay, from every snapshot, of every version. */
#include "engine_alarm_rig.h"

#include "io/image.h"
#include "old_state.h"

#include <errno.h>

/* Gives the records from `from` on to another engine, as a replay does. */
static void replay(struct bench *to, const struct bench *of, size_t from)
{
    for (size_t i = from; i < of->n_recs; i++) {
        engine_record(to->e, &of->recs[i].r);
        if (of->recs[i].use)
            engine_use(to->e, of->recs[i].use);
    }
}

static void same_output(const struct bench *a, const struct bench *b,
                        const struct position *after)
{
    size_t i = 0, k = 0;
    for (;;) {
        while (i < a->n && position_cmp(&a->seen[i].at, after) <= 0)
            i++;
        while (k < b->n && position_cmp(&b->seen[k].at, after) <= 0)
            k++;
        if (i == a->n || k == b->n)
            break;
        if (strcmp(a->seen[i].text, b->seen[k].text) != 0 ||
            position_cmp(&a->seen[i].at, &b->seen[k].at) != 0)
            fail_msg("live:   %s\nreplay: %s", a->seen[i].text, b->seen[k].text);
        i++;
        k++;
    }
    assert_true(i == a->n && k == b->n);
}

static int save_image(const void *engine, image_put_fn *put, void *ctx)
{
    return engine_save(engine, put, ctx);
}

/* Read at the very end, after all that the engine did since: it is what was saved then. */
static void image_is(struct image *i, const struct buf *was)
{
    struct buf b;
    buf_init(&b, 64 << 20);
    assert_int_equal(image_read(i, append, &b), 0);
    assert_int_equal(b.len, was->len);
    assert_memory_equal(b.data, was->data, b.len);
    buf_done(&b);
    image_free(i);
}

/* What is counted of alarms, /metrics say: the same whatever was replayed. */
static void same_counts(const struct engine *a, const struct engine *b)
{
    struct alarm_stats x, y;
    struct cases_stats p, q;
    alarm_stats(engine_alarm(a), &x);
    alarm_stats(engine_alarm(b), &y);
    cases_stats(engine_cases(a), &p);
    cases_stats(engine_cases(b), &q);
    assert_true(x.samples > 0 && x.evaluations > 0 && p.transitions > 0);
    assert_memory_equal(&x, &y, sizeof(x));
    assert_memory_equal(&p, &q, sizeof(p));
}

/* Live with a snapshot in the middle; then from the snapshot, and from the beginning: every byte is the
 * same. */
static void replay_is_live(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    size_t transitions = 0, replies = 0;
    for (int round = 0; round < 30; round++) {
        struct bench *b = bench_of(conf_text), *again = mem_zalloc(sizeof(*again));
        struct buf snapshot;
        size_t at = 0, n = 150 + unit_random(&seed) % 150, half = unit_random(&seed) % n;
        struct position where = {0};
        const struct world *stood = b->w;
        struct image *image = NULL;
        int why;
        b->other = another_world();
        buf_init(&snapshot, 1);
        for (size_t i = 0; i < n; i++) {
            if (i == half) {
                buf_done(&snapshot);
                save(b->e, &snapshot);
                assert_int_equal(image_take(save_image, b->e, &why, &image), 0);
                at = b->n_recs;
                where = engine_position(b->e);
                stood = b->now;
            }
            random_record(b, &seed);
        }
        image_is(image, &snapshot);
        transitions += count_of(b, SAW_TRANSITION, "");
        replies += count_of(b, SAW_REPLY, "");

        again->e = engine_of(again);
        engine_use(again->e, stood);
        assert_int_equal(engine_load(again->e, snapshot.data, snapshot.len), 0);
        again->at = where;
        struct buf saved_again;
        save(again->e, &saved_again);
        assert_int_equal(saved_again.len, snapshot.len);
        assert_memory_equal(saved_again.data, snapshot.data, snapshot.len);
        buf_done(&saved_again);
        replay(again, b, at);
        same_counts(b->e, again->e);
        same_output(b, again, &where);
        same_state(b->e, again->e);
        engine_free(again->e);

        forget_seen(again);
        again->at = (struct position){0};
        again->e = engine_of(again);
        engine_use(again->e, b->w);
        replay(again, b, 0);
        same_output(b, again, &(struct position){0});
        same_state(b->e, again->e);
        engine_free(again->e);
        forget_seen(again);
        free(again);
        buf_done(&snapshot);
        bench_free(b);
    }
    print_message("%zu transitions, %zu replies\n", transitions, replies);
    assert_true(transitions > 1000 && replies > 300);
}

/* What version 2 wrote knew no alarms: they begin as new, and what holds is told again by the next
 * sample. */
static void a_snapshot_without_alarms(void **state)
{
    (void)state;
    struct bench *b = bench_of(conf_text);
    struct buf s;
    uint64_t version = 2;
    say(b, "d1", "{\"level\":0.5}", MINUTE);
    save(b->e, &s);
    old_state_without_marks(&s);
    /* no listeners, no rows, none of the counters; and no shift */
    const char *counters = memmem(s.data, s.len, "\7records", 8);
    assert_non_null(counters);
    size_t kept = (size_t)(counters - s.data) - 16;
    memmove(s.data + kept, s.data + s.len - 8, 8);
    memcpy(s.data + 8, &version, 8);
    struct engine *old = b->e;
    b->e = engine_of(b);
    engine_use(b->e, b->w);
    assert_int_equal(engine_load(b->e, s.data, kept + 8), 0);
    engine_free(old);
    say(b, "d1", "{\"level\":0.93}", MINUTE);
    assert_int_equal(last_of(b, SAW_TRANSITION)->change, CASE_ACTIVATED);
    buf_done(&s);
    bench_free(b);
}

struct gen;
static unsigned built;
void __real_gen_build(struct gen *g, const struct world *w, uint64_t engine_ns,
                      int64_t wall_ms);
void __wrap_gen_build(struct gen *g, const struct world *w, uint64_t engine_ns,
                      int64_t wall_ms);
void __wrap_gen_build(struct gen *g, const struct world *w, uint64_t engine_ns, int64_t wall_ms)
{
    built++;
    __real_gen_build(g, w, engine_ns, wall_ms);
}

/* After some random records, what is saved of it, and an engine as new beside it. */
static struct bench *lived(uint64_t *seed, struct buf *out_saved, struct engine **out_fresh)
{
    struct bench *b = bench_of(conf_text);
    b->other = another_world();
    for (int i = 0; i < 200; i++)
        random_record(b, seed);
    save(b->e, out_saved);
    *out_fresh = engine_of(b);
    engine_use(*out_fresh, b->now);
    return b;
}

/* A million series take a second to make: a start makes them once. */
static void a_load_makes_series_once(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    struct buf good;
    struct engine *e;
    struct bench *b = lived(&seed, &good, &e);
    built = 0;
    assert_int_equal(engine_load(e, good.data, good.len), 0);
    assert_int_equal(built, 1);
    same_state(b->e, e);
    assert_int_equal(engine_load(e, good.data, good.len), 0); /* over another state, too */
    same_state(b->e, e);
    engine_free(e);
    buf_done(&good);
    bench_free(b);
}

/* What version 3 wrote knew no counters: they begin at 0, and all else goes on. */
static void a_snapshot_without_counters(void **state)
{
    (void)state;
    struct bench *b = bench_of(conf_text);
    struct buf s;
    uint64_t version = 3;
    say(b, "d1", "{\"level\":0.93}", MINUTE);
    save(b->e, &s);
    old_state_without_marks(&s);
    char *from = memmem(s.data, s.len, "\7records", 8), *to = from - 8;
    uint64_t n = 0;
    memcpy(&n, from - 8, 8);
    for (uint64_t i = 0; i < n; i++)
        from += 1 + (unsigned char)*from + 8;
    size_t cut = (size_t)(from - to);
    memmove(to, from, (size_t)(s.data + s.len - from));
    memcpy(s.data + 8, &version, 8);
    struct engine *e = engine_of(b);
    struct engine_stats was, is;
    struct cases_stats cases;
    engine_stats(b->e, &was);
    engine_use(e, b->w);
    assert_int_equal(engine_load(e, s.data, s.len - cut), 0);
    engine_stats(e, &is);
    cases_stats(engine_cases(e), &cases);
    assert_true(was.records > 0 && is.records == 0 && is.points == 0);
    assert_int_equal(cases.transitions, 0);
    assert_int_equal(cases.open, 1);
    engine_free(e);
    buf_done(&s);
    bench_free(b);
}

/* As the alarms' version 3 would have written it: without the mark of what goes on as life-safety, which
 * there is one of here. */
static void old_state_of_alarms(struct buf *s, const char *was)
{
    char *alarms = memmem(s->data, s->len, "GAIGALM1", 8);
    size_t marks = 0;
    assert_non_null(alarms);
    assert_int_equal(alarms[8], 5);
    alarms[8] = 3;
    for (size_t i = (size_t)(alarms - s->data); i < s->len; i++)
        if ((unsigned char)s->data[i] == ((unsigned char)was[i] | 0x80) && was[i] >= 0) {
            s->data[i] = was[i];
            marks++;
        }
    assert_int_equal(marks, 1);
}

/* What was saved before is what would be saved again (tests/data/engine/state-4-alarms.bin: random
 * records in this world, saved in version 4). Version and the hash of the world, which are in its
 * first 49 bytes, may be others. */
static void state_of_version_4(void **state)
{
    (void)state;
    static char bytes[1 << 20];
    struct bench *b = bench_of(conf_text);
    struct engine *e = engine_of(b);
    struct buf again;
    FILE *f = fopen("tests/data/engine/state-4-alarms.bin", "re");
    assert_non_null(f);
    size_t n = fread(bytes, 1, sizeof(bytes), f);
    (void)fclose(f);
    engine_use(e, b->w);
    assert_int_equal(engine_load(e, bytes, n), 0);
    save(e, &again);
    old_state_without_marks(&again);
    old_state_without_counter(&again, "firms_not_watched");
    assert_int_equal(again.len, n);
    old_state_of_alarms(&again, bytes);
    assert_memory_equal(again.data + 49, bytes + 49, n - 49);
    struct cases_stats cases;
    struct alarm_stats alarms;
    cases_stats(engine_cases(e), &cases);
    alarm_stats(engine_alarm(e), &alarms);
    assert_true(cases.open > 0 && alarms.instances > 0);
    buf_done(&again);
    engine_free(e);
    bench_free(b);
}

/* Any cut or changed byte of the alarms' part is refused or read, never trusted. */
static void broken_snapshots(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    struct buf good;
    struct engine *e;
    struct bench *b = lived(&seed, &good, &e);
    char *bytes = mem_dup(good.data, good.len);
    for (size_t n = 0; n < good.len; n += 1 + good.len / 500)
        assert_int_equal(engine_load(e, bytes, n), -EBADMSG);
    for (int i = 0; i < 3000; i++) {
        size_t at = unit_random(&seed) % good.len;
        bytes[at] ^= (char)(1 << (unit_random(&seed) & 7));
        (void)engine_load(e, bytes, good.len);
        bytes[at] = good.data[at];
    }
    assert_int_equal(engine_load(e, bytes, good.len), 0);
    same_state(b->e, e);
    free(bytes);
    engine_free(e);
    buf_done(&good);
    bench_free(b);
}

/* -- points that become the own one ------------------------------------------------------------ */

static const char points_conf[] = "gateway: {id: cq, data_dir: /tmp/x, language: zh}\n"
                                  "brokers:\n  - {id: main, url: mqtt://127.0.0.1:1883}\n"
                                  "sources:\n  - {profile: points, broker: main, qos: 1}\n"
                                  "  - {profile: unnamed, broker: main, qos: 1}\n"
                                  "catalog: catalog.yaml\nalerts: {broker: main}\n"
                                  "registry: {compounds: compounds.csv, devices: d.csv}\n";
static const char points_profile[] =
    "version: 1\nprofile: points\ntopics: [\"p/{device}/{point}\"]\ndevice: \"{device}\"\n"
    "point: \"{point}\"\nmessages:\n"
    "  - {when: {$.alarm: {exists: true}}, values: {alarm: $.alarm}}\n"
    "  - {values: {level: $.level, pump_on: $.pump}}\n";

static const char unnamed_profile[] =
    "version: 1\nprofile: unnamed\ntopics: [\"u/{device}\"]\ndevice: \"{device}\"\nmessages:\n"
    "  - {when: {$.alarm: {exists: true}}, values: {alarm: $.alarm}}\n"
    "  - {values: {level: $.level, pump_on: $.pump}}\n";

/* others: rules that changed, are new, or ask for one point only; but for the fire's. */
static struct world *pointed(const char *point, bool others)
{
    char rows[300], rules[4096];
    snprintf(rules, sizeof(rules), "%s", rules_text);
    if (others) {
        memcpy(strstr(rules, "pump-on"), "pump-no", 7);
        memcpy(strstr(rules, "level > 0.8"), "level > 0.7", 11);
        memcpy(strstr(rules, "flapping: off"), "points: [a]  ", 13);
    }
    snprintf(rows, sizeof(rows),
             "device,kind,compound,building,expected_interval,point\nd1,sump,qby,3,1m,%s\n"
             "s1,smoke,qby,3,1h,%s\n",
             point, point);
    struct world *w = small_world(&(struct small_world){
        points_conf, catalog_text, compounds_text, rows, .profile = points_profile,
        .profile2 = unnamed_profile, .rules = rules});
    assert_non_null(w);
    return w;
}

static void said_at(struct bench *b, const char *where, const char *body, uint64_t after_ns)
{
    give(b, RECORD_MESSAGE, where, body, strlen(body), 1, after_ns);
}

static void reload(struct bench *b, const struct world *w)
{
    give(b, RECORD_GENERATION, "", "world", 5, 0, SECOND);
    b->recs[b->n_recs - 1].use = b->now = w;
    engine_use(b->e, w);
}

static struct bench *bench_in(struct world *w)
{
    struct bench *b = mem_zalloc(sizeof(*b));
    b->ns = BOOT0;
    b->offset = 4096;
    b->now = b->w = w;
    b->e = engine_of(b);
    engine_use(b->e, w);
    give(b, RECORD_START, "", "", 0, 0, SECOND);
    give(b, RECORD_STREAM, "", "cq/all/7", 8, 0, SECOND);
    give(b, RECORD_LINK_UP, "", "\0", 1, 0, SECOND);
    return b;
}

/* One fire is one case with one number, whatever its point is called. */
static void a_fire_outlives_its_point(void **state)
{
    (void)state;
    struct bench *b = bench_in(pointed("a", false));
    b->other = pointed("b", false);
    said_at(b, "p/s1/a", "{\"alarm\":false}", MINUTE);
    said_at(b, "p/s1/b", "{\"alarm\":true}", MINUTE);
    const struct seen *t = last_of(b, SAW_TRANSITION);
    char id[CASE_ID_MAX];
    size_t n = count_of(b, SAW_TRANSITION, "");
    assert_int_equal(t->change, CASE_ACTIVATED);
    snprintf(id, sizeof(id), "%s", t->id);
    reload(b, b->other);
    t = last_of(b, SAW_TRANSITION);
    assert_int_equal(count_of(b, SAW_TRANSITION, ""), n + 1);
    assert_int_equal(t->change, CASE_MOVED);
    assert_true(t->deliver && t->urgent && !t->closed);
    assert_string_equal(t->id, id);
    assert_non_null(strstr(t->text, "\"count\":1,"));
    assert_non_null(strstr(t->text, "\"condition\":\"active\""));
    said_at(b, "p/s1/b", "{\"alarm\":true}", MINUTE);
    assert_int_equal(count_of(b, SAW_TRANSITION, ""), n + 1);
    said_at(b, "p/s1/b", "{\"alarm\":false}", MINUTE);
    t = last_of(b, SAW_TRANSITION);
    assert_int_equal(t->change, CASE_CLEARED);
    assert_string_equal(t->id, id);
    bench_free(b);
}

/* It burns at the point when a test begins that sets off the device's own; then both are one: no test. */
static void a_fire_is_no_test_of_another(void **state)
{
    (void)state;
    struct bench *b = bench_in(pointed("a", false));
    b->other = pointed("b", false);
    said_at(b, "p/s1/b", "{\"alarm\":true}", MINUTE);
    order(b, "-/-/compound/qby/test", "{\"for\":\"20m\"}", "", 1);
    said_at(b, "u/s1", "{\"alarm\":true}", MINUTE);
    const struct seen *t = last_of(b, SAW_TRANSITION);
    char id[CASE_ID_MAX];
    size_t n = count_of(b, SAW_TRANSITION, "");
    assert_true(t->change == CASE_ACTIVATED && !t->urgent);
    snprintf(id, sizeof(id), "%s", t->id);
    reload(b, b->other);
    assert_int_equal(count_of(b, SAW_TRANSITION, ""), n + 2);
    t = last_of(b, SAW_TRANSITION);
    assert_true(t->closed && strcmp(t->id, id) != 0);
    assert_non_null(strstr(t->text, "\"reason\":\"joined\""));
    for (t--; t->what != SAW_TRANSITION;)
        t--;
    assert_string_equal(t->id, id);
    assert_true(t->change == CASE_UNMASKED && t->deliver && t->urgent);
    bench_free(b);
}

struct fires { /* open ones */
    struct {
        char id[CASE_ID_MAX], where[16];
    } list[64];
    size_t n, seen;
};

static void count_fires(struct fires *f, const struct bench *b)
{
    const char *where = b->recs[b->n_recs - 1].topic;
    for (; f->seen < b->n; f->seen++) {
        const struct seen *t = &b->seen[f->seen];
        size_t i = 0;
        if (t->what != SAW_TRANSITION || !strstr(t->text, "\"rule\":\"fire\""))
            continue;
        bool active = !t->closed && strstr(t->text, "\"condition\":\"active\"");
        while (i < f->n && strcmp(f->list[i].id, t->id) != 0)
            i++;
        if (active && i == f->n) {
            assert_true(f->n < 64);
            snprintf(f->list[f->n].id, sizeof(f->list[0].id), "%s", t->id);
            snprintf(f->list[f->n++].where, sizeof(f->list[0].where), "%s", where);
        } else if (!active && i < f->n) {
            assert_string_equal(f->list[i].where, where); /* nobody else puts it out */
            f->list[i] = f->list[--f->n];
        }
    }
}

static void random_point(struct bench *b, struct world *const w[6], uint64_t *seed,
                         struct fires *f)
{
    static const char *const where[] = {"p/d1/a", "p/d1/b", "u/d1",
                                        "p/s1/a", "p/s1/b", "p/s1/c"};
    static const char *const verbs[] = {"ack", "accept", "resolve", "confirm", "feedback"};
    uint64_t r = unit_random(seed), i = r % 6;
    const struct seen *t = last_of(b, SAW_TRANSITION);
    char body[100], topic[300];
    if ((r >> 8) % 8 == 0) {
        size_t burning = f->n;
        reload(b, w[(r >> 20) % 6]);
        count_fires(f, b);
        assert_int_equal(f->n, burning); /* no reload ends one, or begins one */
    } else if ((r >> 8) % 8 == 1 && t) {
        snprintf(topic, sizeof(topic), "f1/qby/%s/%s", t->id, verbs[(r >> 30) % 5]);
        order(b, topic, "{\"by\":\"p\"}", "", 1);
    } else if ((r >> 8) % 8 == 2) {
        tick(b, ((r >> 20) % 40 + 1) * MINUTE);
    } else {
        if (i < 3)
            snprintf(body, sizeof(body), "{\"level\":%.2f,\"pump\":%s}",
                     (double)(r >> 24 & 0xff) / 160, r >> 22 & 1 ? "true" : "false");
        else
            snprintf(body, sizeof(body), "{\"alarm\":%s}", r >> 22 & 1 ? "true" : "false");
        said_at(b, where[i], body, ((r >> 40) % 90 + 1) * SECOND);
    }
    count_fires(f, b);
}

/* At random, and every byte is the same in a replay, from a snapshot as well. */
static void points_come_and_go(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    size_t moved = 0;
    for (int round = 0; round < 60; round++) {
        struct world *w[6] = {pointed("a", false), pointed("b", false), pointed("", false),
                              pointed("a", true),  pointed("b", true),  pointed("", true)};
        struct bench *b = bench_in(w[0]), *again = mem_zalloc(sizeof(*again));
        struct fires fires = {.n = 0};
        struct position where = {0};
        const struct world *stood = w[0];
        struct buf snapshot;
        size_t n = 100 + unit_random(&seed) % 100, half = unit_random(&seed) % n, at = 0;
        buf_init(&snapshot, 1);
        for (size_t i = 0; i < n; i++) {
            if (i == half) {
                buf_done(&snapshot);
                save(b->e, &snapshot);
                at = b->n_recs;
                where = engine_position(b->e);
                stood = b->now;
            }
            random_point(b, w, &seed, &fires);
        }
        for (size_t i = 0; i < b->n; i++)
            moved += b->seen[i].what == SAW_TRANSITION && b->seen[i].change == CASE_MOVED;
        again->e = engine_of(again);
        engine_use(again->e, stood);
        assert_int_equal(engine_load(again->e, snapshot.data, snapshot.len), 0);
        again->at = where;
        replay(again, b, at);
        same_counts(b->e, again->e);
        same_output(b, again, &where);
        same_state(b->e, again->e);
        buf_done(&snapshot);
        bench_free(again);
        bench_free(b);
        for (int i = 1; i < 6; i++)
            world_free(w[i]);
    }
    assert_true(moved > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replay_is_live),
        cmocka_unit_test(a_snapshot_without_alarms),
        cmocka_unit_test(a_load_makes_series_once),
        cmocka_unit_test(a_snapshot_without_counters),
        cmocka_unit_test(state_of_version_4),
        cmocka_unit_test(broken_snapshots),
        cmocka_unit_test(a_fire_outlives_its_point),
        cmocka_unit_test(a_fire_is_no_test_of_another),
        cmocka_unit_test(points_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
