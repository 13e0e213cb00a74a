/* SPDX-License-Identifier: Apache-2.0 */
/* answer: each answer that was measured on, or read in the source of, a server. */
#include "core/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

#define I1 CONF_INFLUXDB1
#define I2 CONF_INFLUXDB2
#define I3 CONF_INFLUXDB3
#define VM CONF_VICTORIAMETRICS

static const struct {
    enum conf_sink_type flavour;
    int status;
    const char *body;
    enum answer_class many, one; /* of 100 lines, of one */
    const char *reason;
} ROWS[] = {
    /* influxd 1.6.7 */
    {I1, 204, "", ANSWER_OK, ANSWER_OK, "ok"},
    {I1, 200, "", ANSWER_OK, ANSWER_OK, "ok"},
    {I1, 200, " <html>log in</html>", ANSWER_RETRY, ANSWER_RETRY, "not_a_database"},
    {I1, 400,
     "{\"error\":\"unable to parse 'c f=bad': invalid boolean\\nunable to parse 'c g': "
     "invalid field format\"}",
     ANSWER_PARTIAL, ANSWER_POISON, "parse"},
    {I1, 400,
     "{\"error\":\"partial write: unable to parse 'c,i=1 f=bad': invalid boolean "
     "dropped=0\"}",
     ANSWER_PARTIAL, ANSWER_POISON, "parse"},
    {I1, 400,
     "{\"error\":\"partial write: field type conflict: input field \\\"f\\\" on "
     "measurement \\\"m\\\" is type float, already exists as type integer dropped=1\"}",
     ANSWER_PARTIAL, ANSWER_POISON, "field_type"},
    {I1, 400, "{\"error\":\"partial write: points beyond retention policy dropped=1\"}",
     ANSWER_PARTIAL, ANSWER_POISON, "retention"},
    {I1, 400,
     "{\"error\":\"partial write: max-series-per-database limit exceeded: (10) "
     "dropped=8\"}",
     ANSWER_BLOCK, ANSWER_BLOCK, "series_limit"},
    {I1, 400,
     "{\"error\":\"partial write: max-values-per-tag limit exceeded (6/5): "
     "measurement=\\\"mv\\\" tag=\\\"t\\\" value=\\\"17\\\" dropped=2\"}",
     ANSWER_BLOCK, ANSWER_BLOCK, "tag_limit"},
    {I1, 400,
     "{\"error\":\"partial write: write /d/data/t/_series/03/0000: no space left on "
     "device dropped=5000\"}",
     ANSWER_RETRY, ANSWER_RETRY, "disk_full"},
    {I1, 500,
     "{\"error\":\"engine: error writing WAL entry: write /d/_00001.wal: no space left "
     "on device\"}",
     ANSWER_RETRY, ANSWER_RETRY, "disk_full"},
    {I1, 500, "{\"error\":\"write /d/meta/meta.dbtmp: no space left on device\"}", ANSWER_RETRY,
     ANSWER_RETRY, "disk_full"},
    {I1, 500, "{\"error\":\"engine: cache-max-memory-size exceeded: (320000/300000)\"}",
     ANSWER_SPLIT, ANSWER_RETRY, "cache_full"},
    {I1, 500, "Internal Server Error", ANSWER_RETRY, ANSWER_RETRY, "server_error"},
    {I1, 500,
     "{\"error\":\"[shard 2] proto: field \\\"tsdb.Field.Name\\\" contains invalid "
     "UTF-8\"}",
     ANSWER_RETRY, ANSWER_RETRY, "server_error"},
    {I1, 400, "{\"error\":\"database is required\"}", ANSWER_BLOCK, ANSWER_BLOCK,
     "no_database"},
    {I1, 404, "{\"error\":\"database not found: \\\"nope\\\"\"}", ANSWER_BLOCK, ANSWER_BLOCK,
     "no_database"},
    {I1, 500, "{\"error\":\"retention policy not found: nope\"}", ANSWER_BLOCK, ANSWER_BLOCK,
     "no_retention_policy"},
    {I1, 401, "{\"error\":\"unable to parse authentication credentials\"}", ANSWER_BLOCK,
     ANSWER_BLOCK, "auth"},
    {I1, 401, "{\"error\":\"authorization failed\"}", ANSWER_BLOCK, ANSWER_BLOCK, "auth"},
    {I1, 403,
     "{\"error\":\"\\\"ro\\\" user is not authorized to write to database \\\"t\\\"\"}",
     ANSWER_BLOCK, ANSWER_BLOCK, "auth"},
    {I1, 403,
     "{\"error\":\"error authorizing query: create admin user first or disable "
     "authentication\"}",
     ANSWER_BLOCK, ANSWER_BLOCK, "auth"},
    {I1, 413, "{\"error\":\"Request Entity Too Large\"}", ANSWER_SPLIT, ANSWER_POISON,
     "too_large"},
    {I1, 503, "request throttled, queue full", ANSWER_RETRY, ANSWER_RETRY, "unavailable"},
    {I1, 503, "request throttled, exceeds timeout", ANSWER_RETRY, ANSWER_RETRY, "unavailable"},
    {I1, 400, "{\"error\":\"gzip: invalid header\"}", ANSWER_RETRY, ANSWER_RETRY, "transport"},
    {I1, 400, "{\"error\":\"unexpected EOF\"}", ANSWER_RETRY, ANSWER_RETRY, "transport"},
    {I1, 400, "{\"error\":\"gzip: invalid checksum\"}", ANSWER_RETRY, ANSWER_RETRY,
     "transport"},
    {I1, 404, "404 page not found", ANSWER_BLOCK, ANSWER_BLOCK, "not_found"},
    {I1, 405, "Method Not Allowed", ANSWER_BLOCK, ANSWER_BLOCK, "path"},
    {I1, 400, "{\"error\":\"too many open files\"}", ANSWER_RETRY, ANSWER_RETRY, "open_files"},
    {I1, 400, "{\"error\":\"write: read-only file system\"}", ANSWER_RETRY, ANSWER_RETRY,
     "read_only"},
    {I1, 400, "{\"error\":\"partial write: max key length exceeded: 70000 > 65535 dropped=1\"}",
     ANSWER_PARTIAL, ANSWER_POISON, "key_length"},
    {I1, 422,
     "{\"error\":\"partial write: dropped 3 points outside retention policy of duration "
     "24h\"}",
     ANSWER_PARTIAL, ANSWER_POISON, "retention"},
    {I1, 400,
     "{\"error\":\"unable to parse 'm s=\\\"no space left on device\\\" x': bad "
     "timestamp\"}",
     ANSWER_PARTIAL, ANSWER_POISON, "parse"}, /* only an echo */
    /* VictoriaMetrics 1.79.5 */
    {VM, 204, "", ANSWER_OK, ANSWER_OK, "ok"},
    {VM, 400, "x; cannot read influx line protocol data: too long line: more than 262144 bytes",
     ANSWER_SPLIT, ANSWER_POISON, "too_long"},
    {VM, 400, "cannot read gzip-ed influx line protocol data: gzip: invalid header",
     ANSWER_RETRY, ANSWER_RETRY, "transport"},
    {VM, 401, "", ANSWER_BLOCK, ANSWER_BLOCK, "auth"},
    {VM, 503,
     "cannot store metrics: the storage is in read-only mode; check "
     "-storage.minFreeDiskSpaceBytes command-line flag value",
     ANSWER_RETRY, ANSWER_RETRY, "read_only"},
    {VM, 503, "cannot handle more than 1 concurrent inserts during 1s; possible solutions: x",
     ANSWER_RETRY, ANSWER_RETRY, "unavailable"},
    {VM, 400, "unsupported path requested: \"/nope\"", ANSWER_BLOCK, ANSWER_BLOCK, "path"},
    /* InfluxDB 2 */
    {I2, 204, "", ANSWER_OK, ANSWER_OK, "ok"},
    {I2, 400,
     "{\"code\":\"invalid\",\"message\":\"unable to parse 'invalid': missing fields\"}",
     ANSWER_PARTIAL, ANSWER_POISON, "parse"},
    {I2, 422,
     "{\"code\":\"unprocessable entity\",\"message\":\"failure writing points to "
     "database: partial write: field type conflict dropped=1\"}",
     ANSWER_PARTIAL, ANSWER_POISON, "field_type"},
    {I2, 404, "{\"code\":\"not found\",\"message\":\"bucket \\\"b\\\" not found\"}",
     ANSWER_BLOCK, ANSWER_BLOCK, "not_found"},
    {I2, 413, "{\"code\":\"request too large\",\"message\":\"points batch is too large\"}",
     ANSWER_SPLIT, ANSWER_POISON, "too_large"},
    {I2, 500,
     "{\"code\":\"internal error\",\"message\":\"unexpected error writing points to "
     "database: x\"}",
     ANSWER_RETRY, ANSWER_RETRY, "server_error"},
    {I2, 500, "{\"message\":\"unexpected error writing points to database: timeout\"}",
     ANSWER_RETRY, ANSWER_RETRY, "server_error"},
    {I2, 429, "", ANSWER_RETRY, ANSWER_RETRY, "throttled"},
    /* InfluxDB 3 */
    {I3, 204, "", ANSWER_OK, ANSWER_OK, "ok"},
    {I3, 201, "", ANSWER_OK, ANSWER_OK, "ok"},
    {I3, 201, "{\"error\":\"\"}", ANSWER_OK, ANSWER_OK, "ok"},
    {I3, 201, "{\"error\":\"half\"}", ANSWER_RETRY, ANSWER_RETRY, "odd_success"},
    {I1, 201, "", ANSWER_RETRY, ANSWER_RETRY, "odd_success"},
    {I3, 400,
     "{\"error\":\"partial write of line protocol occurred\",\"data\":[{\"error_message\""
     ":\"No fields were provided\",\"line_number\":1,\"original_line\":\"cpu\"}]}",
     ANSWER_PARTIAL, ANSWER_POISON, "parse"},
    {I3, 400,
     "{\"error\":\"line protocol parsing error\",\"data\":{\"error_message\":\"x\","
     "\"line_number\":2}}",
     ANSWER_PARTIAL, ANSWER_POISON, "parse"},
    {I3, 422, "{\"error\":\"update to schema would exceed number of columns per table limit\"}",
     ANSWER_BLOCK, ANSWER_BLOCK, "limit"},
    {I3, 401, "", ANSWER_BLOCK, ANSWER_BLOCK, "auth"},
    {I3, 403, "", ANSWER_BLOCK, ANSWER_BLOCK, "auth"},
    {I3, 413, "", ANSWER_SPLIT, ANSWER_POISON, "too_large"},
    {I3, 429, "", ANSWER_RETRY, ANSWER_RETRY, "throttled"},
    /* statuses alone */
    {I1, 408, "", ANSWER_RETRY, ANSWER_RETRY, "timeout"},
    {I1, 425, "", ANSWER_RETRY, ANSWER_RETRY, "too_early"},
    {I1, 502, "", ANSWER_RETRY, ANSWER_RETRY, "unavailable"},
    {I1, 503, "", ANSWER_RETRY, ANSWER_RETRY, "unavailable"},
    {I1, 504, "", ANSWER_RETRY, ANSWER_RETRY, "unavailable"},
    {I1, 507, "", ANSWER_RETRY, ANSWER_RETRY, "disk_full"},
    {I1, 599, "", ANSWER_RETRY, ANSWER_RETRY, "server_error"},
    {I1, 415, "", ANSWER_BLOCK, ANSWER_BLOCK, "encoding"},
    {I1, 302, "", ANSWER_BLOCK, ANSWER_BLOCK, "redirect"},
    {I1, 400, "?", ANSWER_BLOCK, ANSWER_BLOCK, "refused"},
    {I1, 418, "", ANSWER_BLOCK, ANSWER_BLOCK, "refused"},
    {I1, 0, "", ANSWER_RETRY, ANSWER_RETRY, "odd_status"},
    {I1, 999, "", ANSWER_RETRY, ANSWER_RETRY, "odd_status"},
};

static void test_every_measured_answer(void **state)
{
    (void)state;
    struct answer a;
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        struct answer_in in = {.flavour = ROWS[i].flavour,
                               .status = ROWS[i].status,
                               .body = ROWS[i].body,
                               .body_len = strlen(ROWS[i].body),
                               .lines = 100};
        answer_classify(&in, &a);
        if (a.class_ != ROWS[i].many || strcmp(a.reason, ROWS[i].reason) != 0)
            fail_msg("%d %s: %s %s", in.status, in.body, answer_class_name(a.class_), a.reason);
        in.lines = 1;
        answer_classify(&in, &a);
        if (a.class_ != ROWS[i].one)
            fail_msg("%d %s: one line: %s", in.status, in.body, answer_class_name(a.class_));
    }
}

static struct answer classify(struct answer_in in)
{
    struct answer a;
    if (in.body && !in.body_len)
        in.body_len = strlen(in.body);
    answer_classify(&in, &a);
    return a;
}

static void test_transport(void **state)
{
    (void)state;
    struct answer_in in = {.flavour = I1, .lines = 10, .transport = TRANSPORT_FAILED};
    assert_int_equal(classify(in).class_, ANSWER_RETRY);
    in.transport = TRANSPORT_TIMEOUT;
    assert_int_equal(classify(in).class_, ANSWER_RETRY);
    in.transport = TRANSPORT_TLS;
    assert_int_equal(classify(in).class_, ANSWER_BLOCK);
    in.transport = TRANSPORT_WEIRD;
    assert_int_equal(classify(in).class_, ANSWER_RETRY);
    in.status = 400;
    assert_int_equal(classify(in).class_, ANSWER_SPLIT);
    in.lines = 1;
    assert_int_equal(classify(in).class_, ANSWER_POISON);
    assert_false(classify(in).certain);
}

static void test_a_500_that_is_the_batch(void **state)
{
    (void)state;
    struct answer_in in = {
        .flavour = I1, .lines = 10, .status = 500, .body = "Internal Server Error"};
    for (in.same_before = 0; in.same_before < 3; in.same_before++)
        assert_int_equal(classify(in).class_, ANSWER_RETRY);
    assert_int_equal(classify(in).class_, ANSWER_SPLIT);
    in.lines = 1;
    assert_int_equal(classify(in).class_, ANSWER_POISON);
    assert_false(classify(in).certain);
    in.body = "{\"error\":\"engine: no space left on device\"}";
    assert_int_equal(classify(in).class_, ANSWER_RETRY); /* never the batch's fault */
    in.status = 503;
    in.body = "";
    assert_int_equal(classify(in).class_, ANSWER_RETRY);
    in.status = 401;
    assert_int_equal(classify(in).class_, ANSWER_BLOCK);
}

static void test_lines_that_influxdb3_names(void **state)
{
    (void)state;
    struct answer_in in = {.flavour = I3, .status = 400, .lines = 10};
    in.body = "{\"error\":\"partial write of line protocol occurred\",\"data\":["
              "{\"error_message\":\"x\",\"line_number\":7,\"original_line\":\"a\"},"
              "{\"original_line\":\"c f=\\\"\\\\\\\",\\\"line_number\\\":9}]\\\"\","
              "\"line_number\" : 2}]}";
    struct answer a = classify(in);
    assert_int_equal(a.class_, ANSWER_PARTIAL);
    assert_int_equal(a.n_refused, 2);
    assert_int_equal(a.refused[0], 2);
    assert_int_equal(a.refused[1], 7);
    in.body_len = strlen(in.body) - 2; /* cut off: not all of them */
    assert_int_equal(classify(in).n_refused, 0);
    in.body_len = 0;
    in.lines = 5; /* 7 cannot be */
    assert_int_equal(classify(in).n_refused, 0);
    in.lines = 10;
    in.body = "{\"error\":\"line protocol parsing error\",\"data\":{\"line_number\":2}}";
    assert_int_equal(classify(in).n_refused, 0); /* nothing was stored: search */
}

static void test_corpus(void **state)
{
    (void)state;
    FILE *f = fopen("../shared/corpus/lineprotocol_vectors.jsonl", "re");
    if (!f) {
        print_message("no corpus here: skipped\n");
        skip();
    }
    char *line = NULL;
    size_t cap = 0, seen = 0;
    while (getline(&line, &cap, f) > 0) {
        json_t *j = json_loads(line, 0, NULL);
        const char *kind = json_string_value(json_object_get(j, "kind"));
        const char *id = json_string_value(json_object_get(j, "id"));
        /* one was sent as a form, and its answer is kept cut short */
        if (j && kind && strcmp(kind, "server") == 0 && strcmp(id, "str_1M") != 0) {
            const char *source = json_string_value(json_object_get(j, "source"));
            const char *body = json_string_value(json_object_get(j, "error"));
            int status = (int)json_integer_value(
                json_object_get(json_object_get(j, "extra"), "http_status"));
            struct answer_in in = {.flavour = strstr(source, "influxd") ? I1 : VM,
                                   .status = status,
                                   .body = body ? body : "",
                                   .lines = 1};
            struct answer a = classify(in);
            /* these are single lines: stored, or refused for good; never retried for ever */
            enum answer_class want = status == 204 ? ANSWER_OK : ANSWER_POISON;
            if (a.class_ != want && !(status == 500 && a.class_ == ANSWER_RETRY))
                fail_msg("%d %s: %s (%s)", status, in.body, answer_class_name(a.class_),
                         a.reason);
            seen++;
        }
        json_decref(j);
    }
    free(line);
    (void)fclose(f);
    print_message("%zu answers\n", seen);
    assert_true(seen > 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_measured_answer),
        cmocka_unit_test(test_transport),
        cmocka_unit_test(test_a_500_that_is_the_batch),
        cmocka_unit_test(test_lines_that_influxdb3_names),
        cmocka_unit_test(test_corpus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
