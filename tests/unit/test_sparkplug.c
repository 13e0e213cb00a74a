/* SPDX-License-Identifier: Apache-2.0 */
#include "core/sparkplug.h"
#include "core/codec_private.h"
#include "unit/show.h"
#include "unit/unit.h"

#include <errno.h>

static struct doc *in, *out;
static struct codec_fault fault;
static struct sparkplug *s;
static struct sparkplug_info info;
static const char *shown;

/* -- a payload, written by hand ----------------------------------------------------------- */

struct bytes {
    uint8_t p[1 << 17];
    size_t n;
};
static struct bytes payload;

static void varint(struct bytes *b, uint64_t v)
{
    for (; v > 127; v >>= 7)
        b->p[b->n++] = (uint8_t)(v | 128);
    b->p[b->n++] = (uint8_t)v;
}

static void number(struct bytes *b, unsigned field, uint64_t v)
{
    varint(b, field << 3);
    varint(b, v);
}

static void text(struct bytes *b, unsigned field, const void *p, size_t n)
{
    varint(b, field << 3 | 2);
    varint(b, n);
    memcpy(b->p + b->n, p, n);
    b->n += n;
}

static void begin(int seq, uint64_t timestamp)
{
    payload.n = 0;
    if (timestamp)
        number(&payload, 1, timestamp);
    if (seq >= 0)
        number(&payload, 3, (uint64_t)seq);
}

/* name NULL, alias -1, type 0: not said; field 0: no value */
static void metric(const char *name, int alias, unsigned type, unsigned field, uint64_t v)
{
    static struct bytes m;
    m.n = 0;
    if (name)
        text(&m, 1, name, strlen(name));
    if (alias >= 0)
        number(&m, 2, (uint64_t)alias);
    if (type)
        number(&m, 4, type);
    if (field)
        number(&m, field, v);
    text(&payload, 2, m.p, m.n);
}

static void metric_bytes(const char *name, unsigned type, unsigned field, const void *p,
                         size_t n)
{
    static struct bytes m;
    m.n = 0;
    text(&m, 1, name, strlen(name));
    number(&m, 4, type);
    text(&m, field, p, n);
    text(&payload, 2, m.p, m.n);
}

static struct json_value decoded(void)
{
    struct json_value root;
    fault = (struct codec_fault){.why = NULL};
    doc_clear(in);
    assert_int_equal(codec_sparkplug((const char *)payload.p, payload.n, in, &fault), 0);
    assert_int_equal(doc_finish(in, &root), 0);
    return root;
}

static const char *refusal(const void *p, size_t n)
{
    doc_clear(in);
    assert_int_equal(codec_sparkplug(p, n, in, &fault), -EBADMSG);
    return fault.why;
}

static enum sparkplug_result take_of(unsigned broker, const char *topic)
{
    struct json_value root = {NULL, 0};
    enum sparkplug_result r =
        sparkplug_take(s, broker, topic, strlen(topic), decoded(), out, &root, &info);
    shown = root.doc ? show(root) : "";
    return r;
}

static enum sparkplug_result take(const char *topic)
{
    return take_of(0, topic);
}

/* -- the codec ---------------------------------------------------------------------------- */

static void test_scalars(void **state)
{
    (void)state;
    begin(7, 1767225600000);
    metric("a", 1, 1, 10, 0xfffffff8); /* Int8, as Java sends -8 */
    metric("b", -1, 1, 10, 0xf8);
    metric("c", -1, 2, 10, 0x8000);
    metric("d", -1, 3, 10, 0xffffffff);
    metric("e", -1, 4, 11, UINT64_MAX);
    metric("f", -1, 8, 11, UINT64_MAX);
    metric("g", -1, 7, 10, 0xffffffff);
    metric("h", -1, 11, 14, 1);
    metric("i", -1, 13, 11, 1767225600000);
    metric("j", -1, 5, 7, 1);
    metric(NULL, 9, 0, 10, 0xffffffff);
    metric_bytes("k", 12, 15, "on", 2);
    metric_bytes("l", 12, 15, "\xff", 1);
    metric_bytes("m", 17, 16, "\x01\xab", 2);
    assert_string_equal(show(decoded()),
                        "{\"timestamp\":1767225600000,\"seq\":7,\"metrics\":["
                        "{\"name\":\"a\",\"alias\":1,\"datatype\":1,\"value\":-8},"
                        "{\"name\":\"b\",\"datatype\":1,\"value\":-8},"
                        "{\"name\":\"c\",\"datatype\":2,\"value\":-32768},"
                        "{\"name\":\"d\",\"datatype\":3,\"value\":-1},"
                        "{\"name\":\"e\",\"datatype\":4,\"value\":-1},"
                        "{\"name\":\"f\",\"datatype\":8,\"value\":18446744073709551615},"
                        "{\"name\":\"g\",\"datatype\":7,\"value\":4294967295},"
                        "{\"name\":\"h\",\"datatype\":11,\"value\":true},"
                        "{\"name\":\"i\",\"datatype\":13,\"value\":1767225600000},"
                        "{\"name\":\"j\",\"datatype\":5,\"is_null\":true,\"value\":null},"
                        "{\"alias\":9,\"value\":4294967295},"
                        "{\"name\":\"k\",\"datatype\":12,\"value\":\"on\"},"
                        "{\"name\":\"l\",\"datatype\":12,\"value\":null},"
                        "{\"name\":\"m\",\"datatype\":17,\"value\":\"01ab\"}]}");
}

static void test_reals(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {
        0x12, 7, 0x65, 0, 0, 0xc0, 0x3f, 0x28, 1,             /* float 1.5, historical */
        0x12, 9, 0x69, 0, 0, 0,    0,    0,    0, 0x04, 0xc0, /* double -2.5 */
        0x12, 5, 0x65, 0, 0, 0xc0, 0x7f,                      /* NaN */
        0x12, 0,                                              /* nothing */
    };
    memcpy(payload.p, bytes, sizeof(bytes));
    payload.n = sizeof(bytes);
    assert_string_equal(show(decoded()),
                        "{\"metrics\":[{\"is_historical\":true,\"value\":1.5},{\"value\":-2.5},"
                        "{\"value\":null},{}]}");
}

static void test_arrays(void **state)
{
    (void)state;
    begin(-1, 0);
    metric_bytes("a", 22, 16, "\x01\xff", 2);
    metric_bytes("b", 24, 16, "\xff\xff\xff\xff\x02\0\0\0", 8);
    metric_bytes("c", 27, 16, "\xff\xff\xff\xff", 4);
    metric_bytes("d", 30, 16, "\0\0\xc0\x3f", 4);
    metric_bytes("e", 32, 16, "\x09\0\0\0\xa0\x80", 6);
    metric_bytes("f", 33, 16, "on\0\0off", 8);
    metric_bytes("g", 34, 16, "\x01\0\0\0\0\0\0\0", 8);
    metric_bytes("h", 24, 16, "\x01\x02\x03", 3); /* no whole number of them */
    metric_bytes("i", 32, 16, "\xff\xff\xff\xff\xa0", 5);
    assert_string_equal(show(decoded()),
                        "{\"metrics\":[{\"name\":\"a\",\"datatype\":22,\"value\":[1,-1]},"
                        "{\"name\":\"b\",\"datatype\":24,\"value\":[-1,2]},"
                        "{\"name\":\"c\",\"datatype\":27,\"value\":[65535,65535]},"
                        "{\"name\":\"d\",\"datatype\":30,\"value\":[1.5]},"
                        "{\"name\":\"e\",\"datatype\":32,"
                        "\"value\":[true,false,true,false,false,false,false,false,true]},"
                        "{\"name\":\"f\",\"datatype\":33,\"value\":[\"on\",\"\",\"off\"]},"
                        "{\"name\":\"g\",\"datatype\":34,\"value\":[1]},"
                        "{\"name\":\"h\",\"datatype\":24,\"value\":\"010203\"},"
                        "{\"name\":\"i\",\"datatype\":32,\"value\":\"ffffffffa0\"}]}");
}

static void test_skipped(void **state)
{
    (void)state;
    begin(0, 0);
    metric_bytes("a", 16, 17, "xx", 2);
    metric_bytes("b", 19, 18, "xx", 2);
    metric_bytes("c", 12, 9, "xx", 2);
    text(&payload, 4, "id", 2);
    text(&payload, 5, "\x01\x02", 2);
    number(&payload, 99, 1); /* of a later edition */
    assert_string_equal(show(decoded()),
                        "{\"seq\":0,\"uuid\":\"id\",\"body\":\"0102\",\"metrics\":["
                        "{\"name\":\"a\",\"datatype\":16},{\"name\":\"b\",\"datatype\":19},"
                        "{\"name\":\"c\",\"datatype\":12}],\"skipped\":3}");
}

static void test_refused(void **state)
{
    (void)state;
    static const char cut[] = "no protocol buffer, or one that is cut off";
    static const char other[] = "no Sparkplug B payload: a field has another type";
    assert_string_equal(refusal("{\"a\":1}", 7), cut);
    assert_string_equal(refusal("\x12\x05\x08", 3), cut);
    assert_string_equal(refusal("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11), cut);
    assert_string_equal(refusal("\x0b", 1), cut);
    assert_string_equal(refusal("\x00\x01", 2), cut);
    assert_string_equal(refusal("\x10\x01", 2), other);
    assert_string_equal(refusal("\x18\x80\x02", 3), "seq is above 255");
    assert_string_equal(refusal("\x12\x02\x08\x01", 4),
                        "a metric is no Sparkplug B metric, or is cut off");
    assert_string_equal(refusal("\x12\x03\x0a\x01\xff", 5), "a metric's name is not UTF-8");
    assert_string_equal(refusal("\x22\x12SPBV1.0_COMPRESSED", 20),
                        "a compressed payload, which is not supported");
}

/* -- sessions ----------------------------------------------------------------------------- */

static int fresh(void **state)
{
    (void)state;
    s = sparkplug_new();
    return 0;
}

static int gone(void **state)
{
    (void)state;
    sparkplug_free(s);
    return 0;
}

static void birth_at(int seq, uint64_t bdseq, uint64_t timestamp)
{
    begin(seq, timestamp);
    metric("bdSeq", -1, 8, 11, bdseq);
    metric("T", 5, 3, 10, 0xfffffffe);
    metric("Run", 6, 11, 14, 1);
    assert_int_equal(take("spBv1.0/g/NBIRTH/n"), SPARKPLUG_BIRTH);
    assert_false(info.refused);
}

static void birth(void)
{
    birth_at(0, 4, 1000);
}

static enum sparkplug_result data(int seq, uint64_t v)
{
    begin(seq, 2000);
    metric(NULL, 5, 0, 10, v);
    return take("spBv1.0/g/NDATA/n");
}

static void test_aliases(void **state)
{
    (void)state;
    birth();
    assert_string_equal(shown, "{\"timestamp\":1000,\"seq\":0,\"metrics\":["
                               "{\"name\":\"bdSeq\",\"datatype\":8,\"value\":4},"
                               "{\"name\":\"T\",\"datatype\":3,\"value\":-2},"
                               "{\"name\":\"Run\",\"datatype\":11,\"value\":true}],"
                               "\"values\":{\"bdSeq\":4,\"T\":-2,\"Run\":true}}");
    begin(1, 2000);
    metric(NULL, 5, 0, 10, 0xffffffff); /* the birth knows its sign */
    metric(NULL, 77, 3, 10, 1);
    metric("Run", -1, 0, 14, 0);
    metric("New", -1, 7, 10, 5);
    metric("T", -1, 0, 10, 0xfffffffd);
    assert_int_equal(take("spBv1.0/g/NDATA/n"), SPARKPLUG_DATA);
    assert_string_equal(shown, "{\"timestamp\":2000,\"seq\":1,\"metrics\":["
                               "{\"name\":\"T\",\"datatype\":3,\"value\":-1},"
                               "{\"datatype\":3,\"alias\":77,\"value\":1},"
                               "{\"name\":\"Run\",\"datatype\":11,\"value\":false},"
                               "{\"name\":\"New\",\"datatype\":7,\"value\":5},"
                               "{\"name\":\"T\",\"datatype\":3,\"value\":-3}],"
                               "\"values\":{\"T\":-1,\"Run\":false,\"New\":5,\"T\":-3}}");
    assert_int_equal(info.unknown_aliases, 1);
    assert_true(info.want_rebirth);
    assert_false(info.gap);
}

static void test_sequence(void **state)
{
    (void)state;
    birth();
    for (int i = 1; i <= 600; i++) { /* wraps twice; values repeat, the numbers do not */
        assert_int_equal(data(i % 256, 7), SPARKPLUG_DATA);
        assert_false(info.gap || info.want_rebirth);
    }
    assert_int_equal(data(88, 7), SPARKPLUG_DUPLICATE); /* 600 % 256 */
    assert_int_equal(data(60, 7), SPARKPLUG_DUPLICATE);
    assert_int_equal(data(92, 7), SPARKPLUG_DATA);
    assert_true(info.gap && info.want_rebirth);
    assert_int_equal(data(90, 8), SPARKPLUG_DATA); /* late: it was missing */
    assert_false(info.gap);
    assert_int_equal(data(90, 8), SPARKPLUG_DUPLICATE);
    assert_int_equal(data(93, 7), SPARKPLUG_DATA);
    assert_false(info.gap);
    assert_int_equal(data(93, 9), SPARKPLUG_DATA); /* other content: begun anew */
    assert_true(info.gap);
    assert_int_equal(data(94, 9), SPARKPLUG_DATA);
    assert_false(info.gap);
    assert_int_equal(data(254, 9), SPARKPLUG_DATA);
    assert_true(info.gap);
    assert_int_equal(data(255, 9), SPARKPLUG_DATA);
    assert_int_equal(data(0, 9), SPARKPLUG_DATA);
    assert_false(info.gap);
}

static void test_births_and_deaths(void **state)
{
    (void)state;
    assert_int_equal(data(0, 1), SPARKPLUG_UNBORN);
    assert_true(info.want_rebirth);
    assert_int_equal(info.unknown_aliases, 1);
    birth();
    begin(0, 1000);
    metric("bdSeq", -1, 8, 11, 4);
    metric("T", 5, 3, 10, 0xfffffffe);
    metric("Run", 6, 11, 14, 1);
    assert_int_equal(take("spBv1.0/g/NBIRTH/n"), SPARKPLUG_DUPLICATE);
    assert_int_equal(data(1, 1), SPARKPLUG_DATA);
    begin(-1, 0);
    metric("bdSeq", -1, 8, 11, 3);
    assert_int_equal(take("spBv1.0/g/NDEATH/n"), SPARKPLUG_STALE);
    assert_int_equal(data(2, 1), SPARKPLUG_DATA);
    begin(-1, 0);
    metric("bdSeq", -1, 8, 11, 4);
    assert_int_equal(take("spBv1.0/g/NDEATH/n"), SPARKPLUG_DEATH);
    assert_int_equal(take("spBv1.0/g/NDEATH/n"), SPARKPLUG_DUPLICATE);
    assert_int_equal(data(3, 1), SPARKPLUG_UNBORN);
    birth_at(200, 5, 3000); /* births may begin anywhere */
    assert_int_equal(data(201, 1), SPARKPLUG_DATA);
    assert_false(info.gap);
    begin(-1, 0);
    assert_int_equal(take("spBv1.0/g/NDEATH/other"), SPARKPLUG_DEATH);
}

static enum sparkplug_result device(const char *type, const char *name, int seq)
{
    char topic[64];
    snprintf(topic, sizeof(topic), "spBv1.0/g/%s/n/%s", type, name);
    begin(seq, 5000);
    metric(strcmp(type, "DBIRTH") == 0 ? name : NULL, 9, strcmp(type, "DBIRTH") == 0 ? 4 : 0,
           11, UINT64_MAX);
    return take(topic);
}

static void test_devices(void **state)
{
    (void)state;
    assert_int_equal(device("DBIRTH", "a", 1), SPARKPLUG_UNBORN);
    assert_true(info.want_rebirth);
    birth();
    assert_int_equal(device("DBIRTH", "a", 1), SPARKPLUG_BIRTH);
    assert_int_equal(device("DBIRTH", "b", 2), SPARKPLUG_BIRTH);
    assert_int_equal(device("DDATA", "b", 3), SPARKPLUG_DATA);
    assert_string_equal(shown, "{\"timestamp\":5000,\"seq\":3,\"metrics\":[{\"name\":\"b\","
                               "\"datatype\":4,\"value\":-1}],\"values\":{\"b\":-1}}");
    assert_int_equal(device("DDATA", "b", 3), SPARKPLUG_DUPLICATE);
    assert_int_equal(device("DDATA", "c", 4), SPARKPLUG_UNBORN);
    assert_true(info.want_rebirth);
    assert_false(info.gap);
    assert_int_equal(device("DDEATH", "a", 5), SPARKPLUG_DEATH);
    assert_int_equal(device("DDATA", "a", 6), SPARKPLUG_UNBORN);
    assert_int_equal(data(7, 1), SPARKPLUG_DATA); /* one sequence for all */
    assert_false(info.gap);
    birth_at(0, 5, 9000); /* devices must be born again */
    assert_int_equal(device("DDATA", "b", 1), SPARKPLUG_UNBORN);
}

static void test_topics(void **state)
{
    (void)state;
    static const char *const others[] = {
        "spBv1.0/g/NCMD/n",      "spBv1.0/g/DCMD/n/d",  "spBv1.0/STATE/host",
        "spBv1.0/g/NDATA",       "spBv1.0/g/NDATA/n/d", "spBv1.0/g/DDATA/n",
        "spAv1.0/g/NDATA/n",     "spBv1.0//NDATA/n",    "spBv1.0/g/NDATA/",
        "spBv1.0/g/DDATA/n/d/e", "spBv1.0/g/DDATA/n/",  "",
    };
    begin(0, 1);
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        assert_int_equal(take(others[i]), SPARKPLUG_OTHER);
        assert_string_equal(shown, "");
    }
    birth();
    assert_int_equal(data(1, 1), SPARKPLUG_DATA);
    begin(2, 2000); /* brokers are worlds apart */
    assert_int_equal(take_of(1, "spBv1.0/g/NDATA/n"), SPARKPLUG_UNBORN);
}

static void test_ceilings(void **state)
{
    (void)state;
    char name[16];
    begin(0, 1000);
    for (int i = 0; i <= SPARKPLUG_MAX_METRICS; i++) {
        snprintf(name, sizeof(name), "m%d", i);
        metric(name, i, 3, 10, 1);
    }
    assert_int_equal(take("spBv1.0/g/NBIRTH/n"), SPARKPLUG_BIRTH);
    assert_true(info.refused);
    assert_int_equal(data(1, 1), SPARKPLUG_DATA); /* asking again would not help */
    assert_int_equal(info.unknown_aliases, 1);
    assert_false(info.want_rebirth);

    struct doc *small = doc_new(0);
    struct json_value root = {NULL, 0};
    begin(2, 2000);
    for (int i = 0; i < 200; i++)
        metric("a name", -1, 3, 10, 1);
    assert_int_equal(
        sparkplug_take(s, 0, "spBv1.0/g/NDATA/n", 17, decoded(), small, &root, &info),
        SPARKPLUG_TOO_BIG);
    assert_null(root.doc);
    doc_free(small);
}

static void test_places(void **state)
{
    (void)state;
    char topic[64];
    for (int i = 0; i <= SPARKPLUG_MAX_NODES; i++) {
        snprintf(topic, sizeof(topic), "spBv1.0/g/NBIRTH/n%d", i);
        begin(0, 1000);
        assert_int_equal(take(topic), SPARKPLUG_BIRTH);
        assert_int_equal(info.refused, i == SPARKPLUG_MAX_NODES);
    }
    begin(1, 1000);
    snprintf(topic, sizeof(topic), "spBv1.0/g/NDATA/n%d", SPARKPLUG_MAX_NODES);
    assert_int_equal(take(topic), SPARKPLUG_UNBORN);
    assert_false(info.want_rebirth);
    begin(-1, 0);
    assert_int_equal(take("spBv1.0/g/NDEATH/n7"), SPARKPLUG_DEATH);
    assert_int_equal(take("spBv1.0/g/NDEATH/n5"), SPARKPLUG_DEATH);
    begin(0, 1000);
    snprintf(topic, sizeof(topic), "spBv1.0/g/NBIRTH/n%d", SPARKPLUG_MAX_NODES);
    assert_int_equal(take(topic), SPARKPLUG_BIRTH); /* in the place of n7, gone first */
    assert_false(info.refused);
    begin(1, 1000);
    assert_int_equal(take("spBv1.0/g/NDATA/n8"), SPARKPLUG_DATA);
    assert_int_equal(take("spBv1.0/g/NDATA/n4095"), SPARKPLUG_DATA);
    begin(-1, 0);
    assert_int_equal(take("spBv1.0/g/NDEATH/n7"), SPARKPLUG_DEATH); /* nobody remembers */
    assert_int_equal(take("spBv1.0/g/NDEATH/n5"), SPARKPLUG_DUPLICATE);
}

static void test_state(void **state)
{
    (void)state;
    struct buf one, two;
    buf_init(&one, 1 << 20);
    buf_init(&two, 1 << 20);
    birth();
    assert_int_equal(device("DBIRTH", "b", 1), SPARKPLUG_BIRTH);
    assert_int_equal(data(4, 1), SPARKPLUG_DATA);
    sparkplug_save(s, &one);
    for (size_t n = 0; n < one.len; n++) {
        assert_int_equal(sparkplug_load(s, one.data, n), -EBADMSG);
        assert_int_equal(data(5, 1), SPARKPLUG_UNBORN); /* as new */
    }
    assert_int_equal(sparkplug_load(s, one.data, one.len), 0);
    sparkplug_save(s, &two);
    assert_int_equal(one.len, two.len);
    assert_memory_equal(one.data, two.data, one.len);
    assert_int_equal(data(4, 1), SPARKPLUG_DUPLICATE);
    assert_int_equal(data(3, 1), SPARKPLUG_DATA);
    assert_false(info.gap);
    assert_int_equal(device("DDATA", "b", 5), SPARKPLUG_DATA);
    assert_non_null(strstr(shown, "\"name\":\"b\""));
    static const uint32_t moved[] = {3}, dropped[] = {0, 0, 0, UINT32_MAX};
    sparkplug_renumber(s, moved, 1);
    assert_int_equal(data(6, 1), SPARKPLUG_UNBORN);
    assert_int_equal(take_of(3, "spBv1.0/g/NDATA/n"), SPARKPLUG_DATA);
    sparkplug_renumber(s, dropped, 4);
    assert_int_equal(take_of(3, "spBv1.0/g/NDATA/n"), SPARKPLUG_UNBORN);
    birth();
    buf_done(&one);
    buf_done(&two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars),
        cmocka_unit_test(test_reals),
        cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_skipped),
        cmocka_unit_test(test_refused),
        cmocka_unit_test_setup_teardown(test_aliases, fresh, gone),
        cmocka_unit_test_setup_teardown(test_sequence, fresh, gone),
        cmocka_unit_test_setup_teardown(test_births_and_deaths, fresh, gone),
        cmocka_unit_test_setup_teardown(test_devices, fresh, gone),
        cmocka_unit_test_setup_teardown(test_topics, fresh, gone),
        cmocka_unit_test_setup_teardown(test_ceilings, fresh, gone),
        cmocka_unit_test_setup_teardown(test_places, fresh, gone),
        cmocka_unit_test_setup_teardown(test_state, fresh, gone),
    };
    in = doc_new(1 << 20);
    out = doc_new(1 << 20);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    doc_free(in);
    doc_free(out);
    return rc;
}
