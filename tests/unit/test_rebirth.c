/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "core/rebirth.h"

static void topic(const char *of, const char *want)
{
    char out[REBIRTH_TOPIC_MAX] = "";
    assert_int_equal(rebirth_topic(of, strlen(of), out), want ? 0 : -22);
    assert_string_equal(out, want ? want : "");
}

static void topics(void **state)
{
    (void)state;
    topic("spBv1.0/west/NDATA/pump-7", "spBv1.0/west/NCMD/pump-7");
    topic("spBv1.0/west/DDATA/pump-7/motor", "spBv1.0/west/NCMD/pump-7");
    topic("spBv1.0/west/NDATA", NULL);
    topic("spBv1.0/west/NDATA/", NULL);
    topic("spBv1.0//NDATA/n", NULL);
    topic("spAv1.0/west/NDATA/pump-7", NULL);
    topic("spBv1.0/west/DDATA/pump-7/motor/x", NULL);
    topic("spBv1.0/we+st/NDATA/n", NULL);
    topic("spBv1.0/west/NDATA/#", NULL);
    topic("", NULL);
    char out[REBIRTH_TOPIC_MAX], many[REBIRTH_TOPIC_MAX + 20];
    assert_int_equal(rebirth_topic("spBv1.0/g/NDATA/a\0b", 19, out), -22);
    memset(many, 'x', sizeof(many));
    memcpy(many, "spBv1.0/g/NDATA/", 16);
    assert_int_equal(rebirth_topic(many, sizeof(many), out), -22);
    assert_int_equal(rebirth_topic(many, REBIRTH_TOPIC_MAX - 10, out), 0);
}

/* As protoc --decode of sparkplug_b.proto reads it:
 *   timestamp: 1795219200000
 *   metrics { name: "Node Control/Rebirth" timestamp: 1795219200000 datatype: 11
 *             boolean_value: true } */
static void payload(void **state)
{
    (void)state;
    static const uint8_t want[] = {0x08, 0x80, 0xb0, 0x9c, 0xdb, 0x9f, 0x34, /* timestamp */
                                   0x12, 0x21, 0x0a, 0x14, 'N',  'o',  'd',  'e',  ' ',
                                   'C',  'o',  'n',  't',  'r',  'o',  'l',  '/',  'R',
                                   'e',  'b',  'i',  'r',  't',  'h',  0x18, 0x80, 0xb0,
                                   0x9c, 0xdb, 0x9f, 0x34, 0x20, 0x0b, 0x70, 0x01};
    uint8_t got[REBIRTH_PAYLOAD_MAX];
    assert_int_equal(rebirth_payload(1795219200000, got), sizeof(want));
    assert_memory_equal(got, want, sizeof(want));
    assert_true(rebirth_payload(INT64_MAX, got) <= sizeof(got));
    assert_true(rebirth_payload(-1, got) <= sizeof(got)); /* a clock before 1970 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics),
        cmocka_unit_test(payload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
