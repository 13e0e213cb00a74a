/* SPDX-License-Identifier: Apache-2.0 */
/* Built with exceptions (daemon/rules.mk): the library reports with them. None leaves this
 * file. */
#include "base/zone.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#define USE_OS_TZDB 1 /* as Debian's libdate-tz is built */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wshadow"
#include <date/tz.h>
#pragma GCC diagnostic pop

namespace
{

using std::chrono::seconds;

std::vector<zone_change> read_changes(const date::time_zone *tz)
{
    const date::sys_seconds first{date::sys_days{date::year{1970} / 1 / 1}};
    const date::sys_seconds last{date::sys_days{date::year{2101} / 1 / 1}};
    std::vector<zone_change> changes;
    for (date::sys_seconds at = first; at < last;) {
        date::sys_info info = tz->get_info(at);
        auto offset = static_cast<int32_t>(info.offset.count());
        int64_t from = changes.empty() ? INT64_MIN : info.begin.time_since_epoch().count();
        if (changes.empty() || changes.back().offset_s != offset)
            changes.push_back({from, offset});
        if (info.end <= at)
            break;
        at = info.end;
    }
    return changes;
}

/* The names of the database, not paths: "../x" and "/etc/localtime" are none. */
const date::time_zone *find(const std::string &name)
{
    const auto &zones = date::get_tzdb().zones;
    auto at = std::lower_bound(zones.begin(), zones.end(), name,
                               [](const auto &z, const auto &n) { return z.name() < n; });
    return at != zones.end() && at->name() == name ? &*at : nullptr;
}

} // namespace

int zone_open(const char *name, struct zone **out)
{
    try {
        const date::time_zone *tz = find(name);
        if (!tz)
            return -ENOENT;
        std::vector<zone_change> changes = read_changes(tz);
        void *memory = std::malloc(sizeof(zone) + changes.size() * sizeof(zone_change));
        if (!memory)
            std::abort(); /* as base/mem does */
        auto *z = static_cast<zone *>(memory);
        z->changes = reinterpret_cast<zone_change *>(z + 1);
        z->n = changes.size();
        std::copy(changes.begin(), changes.end(), z->changes);
        *out = z;
        return 0;
    } catch (const std::bad_alloc &) {
        std::abort();
    } catch (...) {
        return -EIO;
    }
}

void zone_free(struct zone *z)
{
    std::free(z);
}

int32_t zone_offset_at(const struct zone *z, int64_t unix_ms)
{
    int64_t s = unix_ms / 1000 - (unix_ms % 1000 < 0);
    const zone_change *first = z->changes;
    const zone_change *at = std::upper_bound(
        first, first + z->n, s, [](int64_t t, const zone_change &c) { return t < c.from_s; });
    return (at - 1)->offset_s;
}
