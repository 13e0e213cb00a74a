/* SPDX-License-Identifier: Apache-2.0 */
/* What was said before. Apart from log.c, whose lines the simulator keeps for itself. */
#include "base/log.h"

bool log_allowed(struct log_limit *l, uint64_t now_ns, uint64_t every_ns,
                 uint64_t *out_suppressed)
{
    if (l->said && now_ns - l->last_ns < every_ns) {
        l->suppressed++;
        return false;
    }
    *out_suppressed = l->suppressed;
    *l = (struct log_limit){.last_ns = now_ns, .said = true};
    return true;
}

bool log_broke(struct log_state *s)
{
    bool was = s->broken;
    s->broken = true;
    return !was;
}

bool log_healed(struct log_state *s)
{
    bool was = s->broken;
    s->broken = false;
    return was;
}
