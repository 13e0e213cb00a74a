/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/fake_clock.h"
#include "io/clock.h"

uint64_t fake_clock_boot = UINT64_C(5000000000), fake_clock_tick = 1000;
int64_t fake_clock_wall = INT64_C(1790000000000000000);
bool fake_clock_synced = true;
char fake_clock_id[37] = "00000000-0000-0000-0000-000000000001";

uint64_t clock_boot_ns(void)
{
    fake_clock_boot += fake_clock_tick;
    fake_clock_wall += (int64_t)fake_clock_tick;
    return fake_clock_boot;
}

int64_t clock_wall_ns(void)
{
    return fake_clock_wall;
}

bool clock_synchronised(void)
{
    return fake_clock_synced;
}

const char *clock_boot_id(void)
{
    return fake_clock_id;
}

void fake_clock_reboot(int64_t away_ns)
{
    fake_clock_wall += away_ns;
    fake_clock_boot = UINT64_C(5000000000);
    for (int i = 35; i > 23; i--) { /* counts in hex */
        fake_clock_id[i] = fake_clock_id[i] == '9' ? 'a' : (char)(fake_clock_id[i] + 1);
        if (fake_clock_id[i] <= 'f')
            break;
        fake_clock_id[i] = '0';
    }
}
