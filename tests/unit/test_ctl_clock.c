/* SPDX-License-Identifier: Apache-2.0 */
/* ctl/clock: times in the zone of the gateway that is asked, which is asked once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ctl/ctl.h"

#include <string.h>

#define NOON INT64_C(1795320000000) /* 2026-11-22T04:00:00Z */

static const char *answer; /* of /api/v1/status; NULL: nobody answers */
static int asked;

int ctl_get(const struct ctl *c, const char *path, json_t **out)
{
    assert_non_null(c);
    assert_string_equal(path, "/api/v1/status");
    asked++;
    if (!answer)
        return CTL_UNREACHABLE;
    *out = json_loads(answer, 0, NULL);
    assert_non_null(*out);
    return CTL_DONE;
}

static void says(const char *status, const char *wanted)
{
    struct ctl c = {.json = false};
    char room[32];
    answer = status;
    asked = 0;
    ctl_clock_of(&c);
    assert_string_equal(ctl_clock(room, NOON), wanted);
    assert_string_equal(ctl_clock_text(room, "2026-11-22T04:00:00.500Z"), wanted);
    assert_string_equal(ctl_clock_text(room, "2026-11-22T12:00:00.123+08:00"), wanted);
    assert_string_equal(ctl_clock_text(room, "-"), "-");
    assert_int_equal(asked, 1);
    ctl_clock_done();
}

static void zones(void **state)
{
    (void)state;
    says("{\"timezone\":\"Asia/Shanghai\"}", "2026-11-22 12:00:00");
    says("{\"timezone\":\"Asia/Urumqi\"}", "2026-11-22 10:00:00");
    /* what is not in the gateway's zone says so: an older gateway, a zone that we do not know */
    says("{}", "2026-11-22 04:00:00Z");
    says("{\"timezone\":\"Asia/Nowhere\"}", "2026-11-22 04:00:00Z");
    says(NULL, "2026-11-22 04:00:00Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(zones)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
