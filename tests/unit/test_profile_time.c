/* SPDX-License-Identifier: Apache-2.0 */
/* Times as devices write them. Expected instants: GNU date -u -d. */
#include "profile_rig.h"

static struct rig r;

static void one(const char *time, const char *payload, const char *expected)
{
    char *m = mem_printf("    time: %s\n    values: {level: {const: 1}}\n", time);
    rig_message(&r, m);
    free(m);
    char *want = mem_printf("d1%s%s level=1", *expected ? " " : "", expected);
    assert_string_equal(rig_say(&r, payload), want);
    free(want);
}

static void test_numbers(void **state)
{
    (void)state;
    one("$.t", "{\"t\":1767225600}", "2026-01-01T00:00:00.000Z~");
    one("$.t", "{\"t\":\"1767225600\"}", "2026-01-01T00:00:00.000Z~");
    one("$.t", "{\"t\":1767225600.25}", "2026-01-01T00:00:00.250Z");
    one("$.t", "{\"t\":1767225600123}", "2026-01-01T00:00:00.123Z");
    one("$.t", "{\"t\":1767225600123456789}", "2026-01-01T00:00:00.123Z");
    one("{from: $.t, format: s}", "{\"t\":1767225600}", "2026-01-01T00:00:00.000Z~");
    one("{from: $.t, format: ms}", "{\"t\":1000}", "1970-01-01T00:00:01.000Z");
    one("{from: $.t, format: us}", "{\"t\":1767225600123999}", "2026-01-01T00:00:00.123Z");
    one("{from: $.t, format: ns}", "{\"t\":1767225600123999999}", "2026-01-01T00:00:00.123Z");
    one("{from: $.t, format: ns}", "{\"t\":-1}", "1969-12-31T23:59:59.999Z");
    one("{from: $.t, format: s, epoch: \"2018-09-10T00:00:00+08:00\"}", "{\"t\":86400}",
        "2018-09-10T16:00:00.000Z~");
    one("{from: $.t, per_second: 4}", "{\"t\":6}", "1970-01-01T00:00:01.500Z");
    one("{from: $.t, add: -28800000}", "{\"t\":1767225600}", "2025-12-31T16:00:00.000Z~");
    one("{from: $.t, format: ago_s}", "{\"t\":90}", "2025-12-31T23:58:30.000Z~");
    one("{from: $.t, format: ago_ms}", "{\"t\":\"90\"}", "2025-12-31T23:59:59.910Z");
}

static void test_texts(void **state)
{
    (void)state;
    one("$.t", "{\"t\":\"2026-01-01T08:00:00+08:00\"}", "2026-01-01T00:00:00.000Z~");
    one("$.t", "{\"t\":\"2026-01-01T00:00:00.5Z\"}", "2026-01-01T00:00:00.500Z");
    one("$.t", "{\"t\":\"2026-01-01 08:00:00\"}", "2026-01-01T00:00:00.000Z~"); /* site */
    one("$.t", "{\"t\":\"2026/01/01 08:00\"}", "2026-01-01T00:00:00.000Z~");
    one("$.t", "{\"t\":\"2026-01-01T08:00:00.12\"}", "2026-01-01T00:00:00.120Z");
    one("{from: $.t, zone: UTC}", "{\"t\":\"2026-01-01T08:00:00\"}",
        "2026-01-01T08:00:00.000Z~");
    one("{from: $.t, zone: -03:30}", "{\"t\":\"2026-01-01T08:00:00\"}",
        "2026-01-01T11:30:00.000Z~");
    one("{from: $.t, format: \"yyyyMMdd'T'HHmmss'Z'\", zone: UTC}",
        "{\"t\":\"20200515T023353Z\"}", "2020-05-15T02:33:53.000Z~");
    one("{from: $.t, format: yyyyMMddHHmmssSSS}", "{\"t\":\"20191012133710130\"}",
        "2019-10-12T05:37:10.130Z");
    one("{from: $.t, format: yyMMddHHmmss}", "{\"t\":200515103353}",
        "2020-05-15T02:33:53.000Z~");
    one("{from: $.t, format: yyMMddHHmmss}", "{\"t\":50515103353}",
        "2005-05-15T02:33:53.000Z~"); /* a number has no zeros before it */
    one("{from: $.t, format: ddMMyyyyHHmm}", "{\"t\":10520200800}",
        "2020-05-01T00:00:00.000Z~");
    one("[{from: $.t, format: yyyyMMddHHmmss}, {from: $.t, format: ms}]",
        "{\"t\":1770122123456}", "2026-02-03T12:35:23.456Z"); /* nor has a year */
    one("{from: $.t, format: yyMMddHHmmss}", "{\"t\":-50515103353}", "unread");
    one("{from: $.t, format: \"s-m-H-d-M-yy\"}", "{\"t\":\"20-10-22-26-17-13\"}", "unread");
    one("{from: $.t, format: \"s-m-H-d-M-yy\"}", "{\"t\":\"1-2-22-6-7-13\"}",
        "2013-07-06T14:02:01.000Z~");
    one("{from: $.t, format: \"yyyy-MM-dd HH:mm:ss.S\"}", "{\"t\":\"2026-01-01 08:00:00.75\"}",
        "2026-01-01T00:00:00.750Z");
    one("{text: \"{$.d} {$.h}\", format: \"yyyy-MM-dd HH:mm\"}",
        "{\"d\":\"2026-01-01\",\"h\":\"08:00\"}", "2026-01-01T00:00:00.000Z~");
    one("$.t", "{\"t\":\"2016-12-31T23:59:60Z\"}", "2016-12-31T23:59:59.999Z~");
    one("$.t", "{\"t\":\"2017-01-01 07:59:60\"}", "2016-12-31T23:59:59.999Z~"); /* site */
    one("$.t", "{\"t\":\"2016-12-31 23:59:60\"}", "2016-12-31T15:59:59.999Z~");
    one("$.t", "{\"t\":\"2017-01-01 07:58:60\"}", "unread");
    one("$.t", "{\"t\":\"2017-01-01 12:59:60\"}", "unread");
    one("$.t", "{\"t\":\"0001-01-01T00:00:00Z\"}", "0001-01-01T00:00:00.000Z~");
}

static void test_none(void **state)
{
    (void)state;
    one("$.t", "{}", "");
    one("$.t", "{\"t\":null}", "");
    one("$.t", "{\"t\":\"\"}", "");
    one("{from: $.t, absent: [0, none]}", "{\"t\":0}", "");
    one("{from: $.t, absent: [0, none]}", "{\"t\":\"none\"}", "");
    one("$.t", "{\"t\":\"yesterday\"}", "unread");
    one("$.t", "{\"t\":true}", "unread");
    one("$.t", "{\"t\":{}}", "unread");
    one("$.t", "{\"t\":18446744073709551615}", "unread");
    one("$.t", "{\"t\":\"2026-02-29 00:00:00\"}", "unread");
    one("{from: $.t, format: s}", "{\"t\":1e300}", "unread");
    one("{from: $.t, format: rfc3339}", "{\"t\":\"1767225600\"}", "unread");
    one("[$.a, {from: $.b, format: s}]", "{\"b\":1767225600}", "2026-01-01T00:00:00.000Z~");
    one("[$.a, {from: $.b, format: s}]", "{\"a\":\"x\",\"b\":1767225600}",
        "2026-01-01T00:00:00.000Z~");
    one("[$.a, $.b]", "{\"a\":\"x\"}", "unread");
}

static int setup(void **state)
{
    (void)state;
    rig_init(&r);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_done(&r);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_none),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
