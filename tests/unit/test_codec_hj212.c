/* SPDX-License-Identifier: Apache-2.0 */
#include "codec_frame.h"

static const char *decode(const char *p, size_t n)
{
    return frame_says(codec_hj212, p, n);
}

/* A packet around a data segment, as annex A and table 1 of the standard say. */
static size_t packet(char *to, size_t room, const char *data)
{
    unsigned crc = 0xffff;
    for (const char *p = data; *p; p++) {
        crc = (crc >> 8) ^ (unsigned char)*p;
        for (int i = 0; i < 8; i++) {
            unsigned low = crc & 1;
            crc >>= 1;
            if (low)
                crc ^= 0xa001;
        }
    }
    int n = snprintf(to, room, "##%04zu%s%04X\r\n", strlen(data), data, crc);
    assert_true(n > 0 && (size_t)n < room);
    return (size_t)n;
}

static const char *decode_data(const char *data)
{
    char text[2048];
    return decode(text, packet(text, sizeof(text), data));
}

/* The standard's own example of a packet and its CRC (appendix C.4). */
static void test_standard_example(void **state)
{
    (void)state;
    static const char text[] =
        "##0101QN=20160801085857223;ST=32;CN=1062;PW=100000;"
        "MN=010000A8900016F000169DC0;Flag=5;CP=&&RtdInterval=30&&1C80\r\n";
    static const char expected[] =
        "[{\"QN\":\"20160801085857223\",\"ST\":32,\"CN\":1062,"
        "\"MN\":\"010000A8900016F000169DC0\",\"Flag\":5,\"CP\":{\"RtdInterval\":30},"
        "\"factors\":[]}]";
    assert_string_equal(decode(text, sizeof(text) - 1), expected);
    assert_string_equal(decode(text, sizeof(text) - 3), expected); /* no CR LF */
}

static void test_factors(void **state)
{
    (void)state;
    assert_string_equal(
        decode_data("QN=1;ST=22;CN=2011;PW=123456;MN=0012;Flag=4;CP=&&DataTime=20260101080000;"
                    "a1-Rtd=25.40,a1-Flag=N;a2-Rtd=-3,a2-Flag=0;a1-Avg=1.5;NewPW=654321;a1-PW="
                    "3;pw=4&&"),
        "[{\"QN\":\"1\",\"ST\":22,\"CN\":2011,\"MN\":\"0012\",\"Flag\":4,"
        "\"DataTime\":\"20260101080000\",\"CP\":{\"DataTime\":\"20260101080000\",\"a1-Rtd\":25."
        "4,"
        "\"a1-Flag\":\"N\",\"a2-Rtd\":-3,\"a2-Flag\":\"0\",\"a1-Avg\":1.5},\"factors\":["
        "{\"code\":\"a1\",\"Rtd\":25.4,\"Flag\":\"N\"},{\"code\":\"a2\",\"Rtd\":-3,\"Flag\":"
        "\"0\"},"
        "{\"code\":\"a1\",\"Avg\":1.5}]}]");
}

static void test_numbers(void **state)
{
    (void)state;
    assert_string_equal(
        decode_data("PNUM=0003;PNO=0001;CP=&&a=071;b=0.000;c=9223372036854775807;d=1E5;e=-;"
                    "f=1.2.3;g=;h=0;i=+1;SystemTime=20260101;j=-0.5;k=99999999999999999999&&"),
        "[{\"PNUM\":3,\"PNO\":1,\"CP\":{\"a\":\"071\",\"b\":0.0,\"c\":9223372036854775807,"
        "\"d\":\"1E5\",\"e\":\"-\",\"f\":\"1.2.3\",\"g\":\"\",\"h\":0,\"i\":\"+1\","
        "\"SystemTime\":\"20260101\",\"j\":-0.5,\"k\":\"99999999999999999999\"},"
        "\"factors\":[]}]");
}

static void test_several(void **state)
{
    (void)state;
    char text[256];
    size_t n = packet(text, sizeof(text), "ST=22");
    n += packet(text + n, sizeof(text) - n, "ST=31;CP=&&&&");
    assert_string_equal(decode(text, n), "[{\"ST\":22},{\"ST\":31,\"CP\":{},\"factors\":[]}]");
    memcpy(text + n, "junk", 4);
    assert_string_equal(decode(text, n + 4), "no ## where a packet begins");
    assert_int_equal(fault.at, n);
    assert_false(fault.checksum);
}

static void test_refused(void **state)
{
    (void)state;
    char text[256];
    size_t n = packet(text, sizeof(text), "ST=22;CN=2011;CP=&&a-Rtd=1&&");
    assert_string_equal(decode("", 0), "empty, expected a packet");
    assert_string_equal(decode("x", 1), "no ## where a packet begins");
    for (size_t cut = 1; cut < n - 2; cut++) { /* every truncation but that of CR LF */
        decode(text, cut);
        assert_non_null(fault.why);
        assert_true(cut < 2 || fault.checksum);
    }
    for (size_t i = 0; i < n - 2; i++) { /* every byte counts */
        text[i] ^= 1;
        decode(text, n);
        assert_non_null(fault.why);
        text[i] ^= 1;
    }
    assert_string_equal(decode_data("ST=22;CP=&&a=1"), "CP has no && at its end");
    assert_string_equal(decode_data("ST=22;what"), "a field is not NAME=VALUE");
    assert_int_equal(fault.at, 12);
    assert_false(fault.checksum);
}

/* What is not UTF-8 harms nothing but itself. */
static void test_not_utf8(void **state)
{
    (void)state;
    assert_string_equal(
        decode_data("CP=&&a-Info=\xb0\xa1,a-Rtd=1;\xff-Rtd=2;b-Flag=\xff&&"),
        "[{\"CP\":{\"a-Info\":null,\"a-Rtd\":1,\"b-Flag\":null},\"factors\":["
        "{\"code\":\"a\",\"Info\":null,\"Rtd\":1},{\"code\":\"b\",\"Flag\":null}]}]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_standard_example), cmocka_unit_test(test_factors),
        cmocka_unit_test(test_numbers),          cmocka_unit_test(test_several),
        cmocka_unit_test(test_refused),          cmocka_unit_test(test_not_utf8),
    };
    d = doc_new(1 << 16);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    doc_free(d);
    return rc;
}
