/* SPDX-License-Identifier: Apache-2.0 */
/* Times as people who are woken read them: in the zone of the gateway that is asked. */
#include "base/stamp.h"
#include "base/zone.h"
#include "ctl/ctl.h"

#include <stdio.h>
#include <string.h>

static struct {
    const struct ctl *of; /* whom to ask when the first time is shown; NULL: asked */
    struct zone *zone;    /* NULL: not known */
} clock_now;

void ctl_clock_of(const struct ctl *c)
{
    clock_now.of = c;
}

static void learn(void)
{
    json_t *status = NULL;
    const struct ctl *c = clock_now.of;
    clock_now.of = NULL;
    if (!c || ctl_get(c, "/api/v1/status", &status) != CTL_DONE)
        return;
    const char *name = json_string_value(json_object_get(status, "timezone"));
    if (name && zone_open(name, &clock_now.zone) != 0) /* its tzdata may be newer than ours */
        clock_now.zone = NULL;
    json_decref(status);
}

const char *ctl_clock(char room[32], int64_t ms)
{
    char s[STAMP_SIZE];
    learn();
    (void)stamp_format(s, ms, clock_now.zone ? zone_offset_at(clock_now.zone, ms) : 0);
    (void)snprintf(room, 32, "%.10s %.8s%s", s, s + 11, clock_now.zone ? "" : "Z");
    return room;
}

const char *ctl_clock_text(char room[32], const char *stamp)
{
    int64_t ms;
    if (stamp_parse(stamp, strlen(stamp), &ms) == 0)
        return ctl_clock(room, ms);
    (void)snprintf(room, 32, "%.31s", stamp);
    return room;
}

/* Not json_string(): core/json.h has a function of that name, and the library's is linked first. */
void ctl_set_clock(json_t *row, const char *key, const char *stamp)
{
    char room[32];
    const char *s = ctl_clock_text(room, stamp);
    json_object_set_new(row, key, json_stringn(s, strlen(s)));
}

void ctl_clock_done(void)
{
    zone_free(clock_now.zone);
    clock_now.zone = NULL;
}
