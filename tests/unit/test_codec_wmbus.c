/* SPDX-License-Identifier: Apache-2.0 */
#include "codec_frame.h"

static const char *decode(const uint8_t *p, size_t n)
{
    return frame_says(codec_wmbus, p, n);
}

/* From the CI field on, behind a link header of DME 12345678, version 1, medium 7. */
static const char *telegram(const char *hex)
{
    uint8_t bytes[256];
    size_t n = unhex("0044a511785634120107", bytes);
    n += unhex(hex, bytes + n);
    bytes[0] = (uint8_t)(n - 1);
    return decode(bytes, n);
}

#define HEAD                                                                                   \
    "{\"manufacturer\":\"DME\",\"id\":\"12345678\",\"version\":1,\"medium\":\"water\","        \
    "\"medium_code\":7,"

static void records(const char *hex, const char *expected)
{
    char ci[256], whole[2048];
    snprintf(ci, sizeof(ci), "78%s", hex);
    const char *shown = telegram(ci);
    snprintf(whole, sizeof(whole), HEAD "%s}", expected);
    assert_string_equal(shown, whole);
}

#define PLAIN "\"function\":\"instantaneous\",\"storage\":0,\"tariff\":0,\"subunit\":0"

/* One record without storage, tariff and subunit. */
static void one(const char *hex, const char *name, const char *value, const char *unit,
                const char *vif, const char *error)
{
    char text[1024], u[64] = "", e[64] = "";
    if (unit)
        snprintf(u, sizeof(u), "\"unit\":\"%s\",", unit);
    if (error)
        snprintf(e, sizeof(e), ",\"error\":\"%s\"", error);
    snprintf(text, sizeof(text),
             "\"records\":[{\"name\":\"%s\",\"value\":%s,%s" PLAIN ",\"vif\":\"%s\"%s}],"
             "\"%s\":%s",
             name, value, u, vif, e, name, value);
    records(hex, text);
}

static void test_integers(void **state)
{
    (void)state;
    one("0113ff", "volume_m3", "-0.001", "m3", "13", NULL);
    one("02133412", "volume_m3", "4.66", "m3", "13", NULL);
    one("0313ffffff", "volume_m3", "-0.001", "m3", "13", NULL);
    one("041678563412", "volume_m3", "305419896", "m3", "16", NULL);
    one("0613010000000080", "volume_m3", "-140737488355.327", "m3", "13", NULL);
    one("0713ffffffffffffff7f", "volume_m3", "9223372036854776.0", "m3", "13", NULL);
    one("0717ffffffffffffff7f", "volume_m3", "92233720368547758080.0", "m3", "17", NULL);
    one("01fd08f0", "transmission_counter", "240", "1", "fd08", NULL);
    one("0013", "volume_m3", "null", "m3", "13", NULL);
    one("02138000", "volume_m3", "0.128", "m3", "13", NULL);
    one("02130080", "volume_m3", "null", "m3", "13", "invalid");
}

static void test_bcd_and_real(void **state)
{
    (void)state;
    one("0a5a9006", "flow_temperature_c", "69.0", "Cel", "5a", NULL);
    one("0a5a25f0", "flow_temperature_c", "-2.5", "Cel", "5a", NULL);
    one("0a5a2ba0", "flow_temperature_c", "null", "Cel", "5a", "invalid");
    one("0e01779924110300", "energy_kwh", "3112.49977", "kW.h", "01", NULL);
    one("0c7837120486", "fabrication_number", "\"86041237\"", NULL, "78", NULL);
    one("053b0000803f", "volume_flow_m3h", "0.001", "m3/h", "3b", NULL);
    one("053b0000c07f", "volume_flow_m3h", "null", "m3/h", "3b", NULL);
}

static void test_variable(void **state)
{
    (void)state;
    one("0dfd1103636261", "customer", "\"abc\"", NULL, "fd11", NULL);
    one("0dfd1101fc", "customer", "\"ü\"", NULL, "fd11", NULL);
    one("0d13c25634", "volume_m3", "3.456", "m3", "13", NULL);
    one("0d13d25634", "volume_m3", "-3.456", "m3", "13", NULL);
    one("0d13c0", "volume_m3", "null", "m3", "13", NULL);
    one("0d13d0", "volume_m3", "null", "m3", "13", NULL);
    one("0d13e20100", "volume_m3", "0.001", "m3", "13", NULL);
    one("0dfd3ae9010203040506070809", "counter", "\"010203040506070809\"", "1", "fd3a", NULL);
    one("0dfd3ae0", "counter", "\"\"", "1", "fd3a", NULL);
}

static void test_dates(void **state)
{
    (void)state;
    one("026ca922", "date", "\"2021-02-09\"", NULL, "6c", NULL);
    one("026cffff", "date", "null", NULL, "6c", "invalid");
    one("026c0000", "date", "null", NULL, "6c", "invalid");
    one("046d0f0abc2b", "datetime", "\"2021-11-28T10:15:00\"", NULL, "6d", NULL);
    one("046d8f0abc2b", "datetime", "null", NULL, "6d", "invalid");
    one("066d00390c742300", "datetime", "\"2019-03-20T12:57:00\"", NULL, "6d", NULL);
    one("036d3b3b17", "datetime", "\"23:59:59\"", NULL, "6d", NULL);
    one("026c7d22", "date", "null", NULL, "6c", "invalid"); /* 2019-02-29 */
    one("026c9d22", "date", "\"2020-02-29\"", NULL, "6c", NULL);
}

static void test_units(void **state)
{
    (void)state;
    one("0406e8030000", "energy_kwh", "1000", "kW.h", "06", NULL);
    one("04fb0001000000", "energy_kwh", "100", "kW.h", "fb00", NULL);
    one("040e05000000", "energy_mj", "5", "MJ", "0e", NULL);
    one("04fb0805000000", "energy_mj", "500", "MJ", "fb08", NULL);
    one("042b05000000", "power_w", "5", "W", "2b", NULL);
    one("02260500", "operating_time_h", "5", "h", "26", NULL);
    one("02fb1a2c01", "humidity_percent", "30.0", "%", "fb1a", NULL);
    one("02fd487d09", "voltage_v", "242.9", "V", "fd48", NULL);
    one("02fd594c01", "current_a", "0.332", "A", "fd59", NULL);
    one("016ff0", "vif_6f", "240", NULL, "6f", NULL);
    one("02fd2affff", "vif_fd2a", "65535", NULL, "fd2a", NULL);
    one("027c0348523a0100", "text_rh", "1", NULL, "7c0348523a", NULL);
    one("02ff200100", "manufacturer_specific_vife_20", "1", NULL, "ff20", NULL);
}

static void test_extensions(void **state)
{
    (void)state;
    one("0afdc9fc013602", "voltage_v_l1", "236", "V", "fdc9fc01", NULL);
    one("0c933e84278406", "volume_m3_base", "6842.784", "m3", "933e", NULL);
    one("0e833c807400000000", "energy_kwh_negative", "7.48", "kW.h", "833c", NULL);
    one("0293220a00", "volume_m3_vife_22", "0.01", NULL, "9322", NULL);
    one("0293500a00", "volume_m3_vife_50", "10", NULL, "9350", NULL);
    one("029339a922", "volume_m3_start", "\"2021-02-09\"", NULL, "9339", NULL);
    one("0293750a00", "volume_m3", "0.001", "m3", "9375", NULL);
    one("02937d0a00", "volume_m3", "10", "m3", "937d", NULL);
    one("0293180a00", "volume_m3", "null", "m3", "9318", "data error");
    one("0293ff120a00", "volume_m3_vife_ff_vife_12", "10", NULL, "93ff12", NULL);
}

static void test_secrets(void **state)
{
    (void)state;
    one("04fd1678563412", "access_code", "null", NULL, "fd16", NULL);
    one("0dfd1603636261", "access_code", "null", NULL, "fd16", NULL);
}

static void test_where(void **state)
{
    (void)state;
    records("0113058e40131234000000004c1301000000dc01130200000002133200",
            "\"records\":["
            "{\"name\":\"volume_m3\",\"value\":0.005,\"unit\":\"m3\"," PLAIN ",\"vif\":\"13\"},"
            "{\"name\":\"volume_m3\",\"value\":3.412,\"unit\":\"m3\",\"function\":"
            "\"instantaneous\","
            "\"storage\":0,\"tariff\":0,\"subunit\":1,\"vif\":\"13\"},"
            "{\"name\":\"volume_m3\",\"value\":0.001,\"unit\":\"m3\",\"function\":"
            "\"instantaneous\","
            "\"storage\":1,\"tariff\":0,\"subunit\":0,\"vif\":\"13\"},"
            "{\"name\":\"volume_m3\",\"value\":0.002,\"unit\":\"m3\",\"function\":\"maximum\","
            "\"storage\":3,\"tariff\":0,\"subunit\":0,\"vif\":\"13\"},"
            "{\"name\":\"volume_m3\",\"value\":0.05,\"unit\":\"m3\"," PLAIN ",\"vif\":\"13\"}],"
            "\"volume_m3\":0.005,\"volume_m3_subunit_1\":3.412,\"volume_m3_storage_1\":0.001,"
            "\"volume_m3_max_storage_3\":0.002,\"volume_m3\":0.05");
    records("c190201305",
            "\"records\":[{\"name\":\"volume_m3\",\"value\":0.005,\"unit\":\"m3\","
            "\"function\":\"instantaneous\",\"storage\":1,\"tariff\":9,\"subunit\":0,"
            "\"vif\":\"13\"}],\"volume_m3_storage_1_tariff_9\":0.005");
    records("2f2f2f2f1f0102",
            "\"records\":[],\"manufacturer_data\":\"0102\",\"more_follow\":true");
    records("0f", "\"records\":[],\"manufacturer_data\":\"\"");
}

static void test_status(void **state)
{
    (void)state;
    static const struct {
        const char *hex, *status;
    } cases[] = {{"00", "\"status_code\":0,\"status\":\"OK\""},
                 {"04", "\"status_code\":4,\"status\":\"POWER_LOW\""},
                 {"01", "\"status_code\":1,\"status\":\"BUSY\""},
                 {"1e", "\"status_code\":30,\"status\":\"ERROR POWER_LOW PERMANENT_ERROR "
                        "TEMPORARY_ERROR\""},
                 {"03", "\"status_code\":3,\"status\":\"ALARM\""},
                 {"e0", "\"status_code\":224,\"status\":\"OK\""}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char hex[64], expected[512];
        snprintf(hex, sizeof(hex), "7a2a%s0000", cases[i].hex);
        snprintf(expected, sizeof(expected), HEAD "\"access\":42,%s,\"records\":[]}",
                 cases[i].status);
        assert_string_equal(telegram(hex), expected);
    }
}

static void test_headers(void **state)
{
    (void)state;
    static const char meter[] = "{\"manufacturer\":\"APA\",\"id\":\"01885619\",\"version\":64,"
                                "\"medium\":\"heat\",\"medium_code\":4,\"access\":218,"
                                "\"status_code\":0,\"status\":\"OK\",\"records\":[]}";
    static const char ours[] = HEAD "\"access\":1,\"status_code\":0,\"status\":\"OK\","
                                    "\"records\":[]}";
    assert_string_equal(telegram("721956880101064004da000020"), meter);
    assert_string_equal(telegram("8c20017a01000000"), ours);
    assert_string_equal(telegram("8e2001a511785634120107"
                                 "7a01000000"),
                        ours);
    assert_string_equal(telegram("8d2001000000000000"
                                 "7a01000000"),
                        ours);
    assert_string_equal(telegram("900200007a01000000"), ours);
    uint8_t wired[32];
    size_t n = unhex("680f0f680801721956880101064004da000020"
                     "0016",
                     wired);
    for (size_t i = 4; i < n - 2; i++)
        wired[n - 2] = (uint8_t)(wired[n - 2] + wired[i]);
    assert_string_equal(decode(wired, n), meter);
    wired[n - 2]++;
    assert_string_equal(decode(wired, n), "sum or 16 at the end does not agree");
    assert_true(fault.checksum);
}

static void test_encrypted(void **state)
{
    (void)state;
    static const char open[] = HEAD "\"access\":1,\"status_code\":0,\"status\":\"OK\","
                                    "\"records\":[]}";
    static const char closed[] = "encrypted: expected plain or decrypted data (2F 2F)";
    assert_string_equal(telegram("7a010010052f2f2f2f"), open);   /* mode 5, undone */
    assert_string_equal(telegram("7a01000005"), open);           /* mode 5, no block */
    assert_string_equal(telegram("7a010010075a2f2f2f2f"), open); /* mode 7 */
    assert_string_equal(telegram("7a0100100501020304"), closed);
    assert_string_equal(telegram("7a01001005"), closed);
    assert_string_equal(telegram("7a010010072f2f"), open);
    assert_string_equal(telegram("7a0100100d01020304"), closed);
    assert_false(fault.checksum);
    assert_string_equal(telegram("8d2001000000200000"
                                 "7a01000000"),
                        "encrypted in the extended link layer: expected decrypted data");
}

static void test_refused(void **state)
{
    (void)state;
    uint8_t bytes[64];
    size_t n = unhex("1444a511785634120107"
                     "7a01000000"
                     "0c1378563412",
                     bytes);
    assert_string_equal(decode(bytes, 0), "too short for a telegram");
    for (size_t cut = 1; cut < n; cut++) {
        decode(bytes, cut);
        assert_non_null(fault.why);
        assert_true(fault.checksum); /* its length does not agree any more */
    }
    for (size_t cut = 12; cut < n; cut++) { /* the length mended: only whole records pass */
        bytes[0] = (uint8_t)(cut - 1);
        decode(bytes, cut);
        assert_true((fault.why == NULL) == (cut == 15));
    }
    static const char record[] = "a record that is cut off, or that cannot be in an answer";
    assert_string_equal(telegram("7801"), record);
    assert_int_equal(fault.at, 11);
    assert_string_equal(telegram("7801130203"), record);
    assert_int_equal(fault.at, 14);
    assert_string_equal(telegram("783f13"), record);
    assert_string_equal(telegram("780813"), record);
    assert_string_equal(telegram("780d13ff"), record);
    assert_string_equal(telegram("7881808080808080808080800013"), record); /* 11 DIFEs */
    assert_string_equal(telegram("79010203"),
                        "a compact frame: its format is not in the telegram");
    assert_string_equal(telegram("a0010203"), "CI is none of 72, 78 and 7A: no data records");
    assert_string_equal(telegram("7a0100"), "cut off inside a header");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers),  cmocka_unit_test(test_bcd_and_real),
        cmocka_unit_test(test_variable),  cmocka_unit_test(test_dates),
        cmocka_unit_test(test_units),     cmocka_unit_test(test_extensions),
        cmocka_unit_test(test_secrets),   cmocka_unit_test(test_where),
        cmocka_unit_test(test_status),    cmocka_unit_test(test_headers),
        cmocka_unit_test(test_encrypted), cmocka_unit_test(test_refused),
    };
    d = doc_new(1 << 16);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    doc_free(d);
    return rc;
}
