/* SPDX-License-Identifier: Apache-2.0 */
#include "codec_frame.h"

static const char *decode(const uint8_t *p, size_t n)
{
    return frame_says(codec_gb26875, p, n);
}

/* A frame: serial 0x1234, version 1.2, 2026-11-21 08:00:05, source …64, target …01. */
static size_t frame(uint8_t *to, unsigned command, const char *data)
{
    uint8_t inside[512], sum = 0;
    size_t n = unhex("40403412010205000815"
                     "0b1a"
                     "640000000000"
                     "010000000000",
                     to);
    size_t len = unhex(data, inside);
    to[n++] = (uint8_t)len;
    to[n++] = (uint8_t)(len >> 8);
    to[n++] = (uint8_t)command;
    memcpy(to + n, inside, len);
    n += len;
    for (size_t i = 2; i < n; i++)
        sum = (uint8_t)(sum + to[i]);
    to[n++] = sum;
    to[n++] = 0x23;
    to[n++] = 0x23;
    return n;
}

#define HEAD                                                                                   \
    "{\"serial\":4660,\"version\":\"1.2\",\"time\":\"2026-11-21T08:00:05\","                   \
    "\"source\":\"000000000064\",\"target\":\"000000000001\",\"command\":"

static void check(unsigned command, const char *data, const char *rest)
{
    uint8_t bytes[600];
    char expected[4096];
    const char *shown = decode(bytes, frame(bytes, command, data));
    snprintf(expected, sizeof(expected), "[" HEAD "%u%s}]", command, rest);
    assert_string_equal(shown, expected);
}

#define TIME     "0500080b0b1a" /* 2026-11-11T08:00:05 */
#define AT       "\"time\":\"2026-11-11T08:00:05\""
#define SYSTEM   "\"system_type\":1,\"system_addr\":3,"
#define PART     SYSTEM "\"part_type\":40,\"part_addr_hex\":\"000600d9\",\"part_addr\":393433,"
#define PART_HEX "010328d9000600"

static void test_states(void **state)
{
    (void)state;
    check(
        2,
        "01010103"
        "0320" TIME,
        ",\"type\":1,\"count\":1,\"objects\":[{" SYSTEM "\"state\":8195,\"bits\":{"
        "\"normal\":true,\"fire\":true,\"fault\":false,\"shielded\":false,\"supervised\":false,"
        "\"started\":false,\"feedback\":false,\"delay\":false,\"main_power_fault\":false,"
        "\"backup_power_fault\":false,\"bus_fault\":false,\"manual\":false,"
        "\"configuration_changed\":false,\"reset\":true}," AT "}]");
    check(
        2,
        "1501"
        "29" TIME,
        ",\"type\":21,\"count\":1,\"objects\":[{\"state\":41,\"bits\":{\"normal\":true,"
        "\"fire\":false,\"fault\":false,\"main_power_fault\":true,\"backup_power_fault\":false,"
        "\"link_fault\":true,\"line_fault\":false}," AT "}]");
    /* 一层 in GB18030, then NUL to 31 bytes */
    check(2,
          "0201" PART_HEX "0201"
          "d2bbb2e3"
          "000000000000000000000000000000000000000000000000000000" TIME,
          ",\"type\":2,\"count\":1,\"objects\":[{" PART "\"part_state\":258,\"bits\":{"
          "\"normal\":false,\"fire\":true,\"fault\":false,\"shielded\":false,\"supervised\":"
          "false,"
          "\"started\":false,\"feedback\":false,\"delay\":false,\"power_fault\":true},"
          "\"description\":\"一层\"," AT "}]");
}

static void test_analogues(void **state)
{
    (void)state;
    check(
        2,
        "0303" PART_HEX "03"
        "f6ff" TIME PART_HEX "02"
        "2301" TIME PART_HEX "63"
        "0100" TIME,
        ",\"type\":3,\"count\":3,\"objects\":[{" PART "\"analogue_type\":3,\"raw\":-10,"
        "\"value\":-1.0,\"unit\":\"Cel\",\"name\":\"temperature\"," AT "},{" PART
        "\"analogue_type\":2,\"raw\":291,\"value\":2.91,\"unit\":\"m\",\"name\":\"height\"," AT
        "},{" PART "\"analogue_type\":99,\"raw\":1,\"value\":null," AT "}]");
}

static void test_others(void **state)
{
    (void)state;
    static const char bits[] = "\"reset\":true,\"silence\":false,\"manual_alarm\":false,"
                               "\"alarm_cancelled\":false,\"self_test\":false,";
    char expected[512];
    snprintf(expected, sizeof(expected),
             ",\"type\":24,\"count\":1,\"objects\":[{\"operation\":33,\"bits\":{%s"
             "\"duty_answered\":true,\"test\":false},\"operator\":7," AT "}]",
             bits);
    check(2,
          "1801"
          "2107" TIME,
          expected);
    snprintf(expected, sizeof(expected),
             ",\"type\":4,\"count\":1,\"objects\":[{" SYSTEM "\"operation\":1,\"bits\":{%s"
             "\"confirmed\":false,\"test\":false},\"operator\":7," AT "}]",
             bits);
    check(2,
          "0401"
          "01030107" TIME,
          expected);
    check(5,
          "0501"
          "01030209",
          ",\"type\":5,\"count\":1,\"objects\":[{" SYSTEM "\"software_version\":\"2.9\"}]");
    check(5,
          "0602"
          "01030161"
          "010300",
          ",\"type\":6,\"count\":2,\"objects\":[{" SYSTEM "\"description\":\"a\"},{" SYSTEM
          "\"description\":\"\"}]");
    /* 31 bytes: two that are no character, 14 times 一, and half of one */
    check(5,
          "0701" PART_HEX "ffff"
          "d2bbd2bbd2bbd2bbd2bbd2bbd2bbd2bbd2bbd2bbd2bbd2bbd2bbd2bb"
          "d2",
          ",\"type\":7,\"count\":1,\"objects\":[{" PART
          "\"description\":\"\xef\xbf\xbd\xef\xbf\xbd一一一一一一一一一一一一一一\"}]");
    check(2,
          "0801"
          "0103" TIME,
          ",\"type\":8,\"count\":1,\"objects\":[{" SYSTEM AT "}]");
    check(5,
          "1901"
          "0102",
          ",\"type\":25,\"count\":1,\"objects\":[{\"software_version\":\"1.2\"}]");
    check(5,
          "1a01"
          "026162",
          ",\"type\":26,\"count\":1,\"objects\":[{\"description\":\"ab\"}]");
    check(5, "1c01" TIME, ",\"type\":28,\"count\":1,\"objects\":[{" AT "}]");
    check(3, "", "");
    check(2, "8001ff00", ",\"type\":128,\"count\":1,\"data\":\"ff00\"");
    check(4, "3d010103", ",\"type\":61,\"count\":1,\"data\":\"0103\"");
}

static void test_impossible_times(void **state)
{
    (void)state;
    static const char *const times[] = {"3c00000101"
                                        "1a",
                                        "003c000101"
                                        "1a",
                                        "0000180101"
                                        "1a",
                                        "0000000001"
                                        "1a",
                                        "00000020011a",
                                        "00000001001a",
                                        "000000010d1a",
                                        "0000001d021a",
                                        "000000010164"};
    char data[64];
    for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
        snprintf(data, sizeof(data), "1c01%s", times[i]);
        check(2, data, ",\"type\":28,\"count\":1,\"objects\":[{\"time\":null}]");
    }
    check(2, "1c010000001d021c",
          ",\"type\":28,\"count\":1,\"objects\":[{\"time\":\"2028-02-29T00:00:00\"}]");
}

static void test_several(void **state)
{
    (void)state;
    uint8_t bytes[256];
    size_t one = frame(bytes, 3, ""), n = one + frame(bytes + one, 6, "");
    assert_string_equal(decode(bytes, n), "[" HEAD "3}," HEAD "6}]");
    bytes[n] = 0x40;
    assert_string_equal(decode(bytes, n + 1), "cut off inside the header");
    bytes[n] = 0x31;
    assert_string_equal(decode(bytes, n + 1), "no 40 40 where a frame begins");
    assert_int_equal(fault.at, n);
    assert_false(fault.checksum);
}

static void test_refused(void **state)
{
    (void)state;
    uint8_t bytes[256];
    size_t n = frame(bytes, 2,
                     "0801"
                     "0103" TIME);
    assert_string_equal(decode(bytes, 0), "empty, expected a frame");
    for (size_t cut = 1; cut < n; cut++) {
        decode(bytes, cut);
        assert_non_null(fault.why);
        assert_true(fault.checksum);
    }
    for (size_t i = 0; i < n; i++) {
        bytes[i] ^= 0x11;
        decode(bytes, n);
        assert_non_null(fault.why);
        bytes[i] ^= 0x11;
    }
    bytes[n - 3]++;
    assert_string_equal(decode(bytes, n), "sum does not agree");
    bytes[n - 3]--;
    bytes[n - 1] = 0x13;
    assert_string_equal(decode(bytes, n), "no 23 23 where its length says that it ends");
    n = frame(bytes, 2,
              "0802"
              "0103" TIME);
    assert_string_equal(decode(bytes, n), "the data end within an object: the count says more");
    n = frame(bytes, 2,
              "0801"
              "0103" TIME "00");
    assert_string_equal(decode(bytes, n), "more data than the count says");
    n = frame(bytes, 2,
              "0601"
              "010305");
    assert_string_equal(decode(bytes, n), "the data end within an object: the count says more");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states),  cmocka_unit_test(test_analogues),
        cmocka_unit_test(test_others),  cmocka_unit_test(test_impossible_times),
        cmocka_unit_test(test_several), cmocka_unit_test(test_refused),
    };
    d = doc_new(1 << 16);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    doc_free(d);
    return rc;
}
