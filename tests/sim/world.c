/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/world.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "sim/fake_clock.h"
#include "sim/fake_file.h"
#include "sim/own.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 65536 };

struct event {
    uint64_t when, order;
    sim_fn *fn;
    void *ctx;
    bool of_life;
};

uint64_t sim_seed;
bool sim_verbose, sim_print_log;
void (*sim_on_log)(const char *line);

static struct event *events; /* a binary heap */
static size_t n_events, cap_events;
static uint64_t order, random_state, base_ns;
static jmp_buf death;
static bool alive;
static int exit_code;
static uint64_t die_at;
static enum sim_end die_how;

uint64_t sim_random(uint64_t n)
{
    return fake_file_random(&random_state) % n;
}

bool sim_chance(unsigned percent)
{
    return sim_random(100) < percent;
}

uint64_t sim_now(void)
{
    return base_ns + fake_clock_boot;
}

static bool on_file_operation(void)
{
    if (die_at == 0 || --die_at > 0)
        return false;
    sim_trace("dies within a file operation");
    return true;
}

static void file_death(void)
{
    sim_die(die_how);
}

void sim_reset(uint64_t seed)
{
    sim_seed = random_state = seed;
    n_events = 0;
    order = 0;
    die_at = 0;
    fake_clock_boot = UINT64_C(5000000000);
    fake_clock_wall = INT64_C(1790000000000000000);
    fake_clock_tick = 500;
    fake_clock_synced = true;
    memset(fake_clock_id + 24, '0', 12);
    base_ns = 0;
    fake_file_reset();
    fake_file_dies = on_file_operation;
    fake_file_death = file_death;
}

/* -- events -------------------------------------------------------------------------------- */

static bool before(const struct event *a, const struct event *b)
{
    return a->when != b->when ? a->when < b->when : a->order < b->order;
}

static void sift_up(size_t i)
{
    for (; i > 0 && before(&events[i], &events[(i - 1) / 2]); i = (i - 1) / 2) {
        struct event e = events[i];
        events[i] = events[(i - 1) / 2];
        events[(i - 1) / 2] = e;
    }
}

static void sift_down(size_t i)
{
    for (;;) {
        size_t least = i;
        for (size_t k = 2 * i + 1; k <= 2 * i + 2; k++)
            if (k < n_events && before(&events[k], &events[least]))
                least = k;
        if (least == i)
            return;
        struct event e = events[i];
        events[i] = events[least];
        events[least] = e;
        i = least;
    }
}

static void drop_those_of_life(void)
{
    size_t kept = 0;
    for (size_t i = 0; i < n_events; i++)
        if (!events[i].of_life)
            events[kept++] = events[i];
    n_events = kept;
    for (size_t i = n_events / 2 + 1; i > 0; i--)
        sift_down(i - 1);
}

void sim_at(uint64_t when, sim_fn *fn, void *ctx, bool of_life)
{
    if (n_events == cap_events) {
        cap_events = cap_events ? cap_events * 2 : 64;
        ASSERT(cap_events <= MOST);
        events = mem_realloc_array(events, cap_events, sizeof(*events));
    }
    events[n_events] = (struct event){when, order++, fn, ctx, of_life};
    sift_up(n_events++);
}

void sim_after(uint64_t ns, sim_fn *fn, void *ctx, bool of_life)
{
    sim_at(sim_now() + ns, fn, ctx, of_life);
}

void sim_cancel(sim_fn *fn, void *ctx)
{
    for (size_t i = 0; i < n_events; i++) {
        if (events[i].fn != fn || events[i].ctx != ctx)
            continue;
        events[i] = events[--n_events];
        if (i < n_events) {
            sift_down(i);
            sift_up(i);
        }
        i = SIZE_MAX; /* from the beginning: another may have moved to where we were */
    }
}

void sim_elapse(uint64_t ns)
{
    fake_clock_boot += ns;
    fake_clock_wall += (int64_t)ns;
}

bool sim_turn(void)
{
    if (n_events == 0)
        return false;
    struct event e = events[0];
    events[0] = events[--n_events];
    sift_down(0);
    if (e.when > sim_now())
        sim_elapse(e.when - sim_now());
    e.fn(e.ctx);
    return true;
}

/* -- life and death ------------------------------------------------------------------------ */

bool sim_alive(void)
{
    return alive;
}

void sim_die(enum sim_end how)
{
    ASSERT(alive);
    longjmp(death, (int)how);
}

void sim_die_at_file_operation(uint64_t nth, enum sim_end how)
{
    die_at = nth;
    die_how = how;
}

static void machine_off(enum sim_end how)
{
    if (how == SIM_POWER_CUT) {
        uint64_t seed = sim_random(UINT64_MAX), now = sim_now();
        fake_file_power_cut(&seed);
        fake_clock_reboot(0);
        base_ns = now - fake_clock_boot; /* may wrap: so does the sum */
    } else {
        fake_file_kill();
    }
}

enum sim_end sim_live(sim_fn *life, void *ctx)
{
    enum sim_end how = (enum sim_end)setjmp(death);
    if (how == SIM_RUNS) {
        alive = true;
        exit_code = -1;
        life(ctx);
        how = SIM_STOPPED;
    }
    alive = false;
    die_at = 0;
    drop_those_of_life();
    machine_off(how);
    return how;
}

int sim_exit_code(void)
{
    return exit_code;
}

void sim_set_exit_code(int code)
{
    exit_code = code;
}

/* -- words --------------------------------------------------------------------------------- */

void sim_trace(const char *fmt, ...)
{
    va_list ap;
    if (!sim_verbose)
        return;
    fprintf(stderr, "%12.6f  ", (double)sim_now() / 1e9);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

void sim_fail(const char *fmt, ...)
{
    va_list ap;
    fprintf(stderr, "seed %llu, %.6f s: ", (unsigned long long)sim_seed,
            (double)sim_now() / 1e9);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(1);
}

/* base/log.h without stderr. */
static enum log_level threshold = LOG_INFO_;

void log_set_level(enum log_level level)
{
    threshold = level;
}

bool log_wants(enum log_level level)
{
    return level <= threshold;
}

void log_write(enum log_level level, const char *fmt, ...)
{
    static const char *const names[] = {[LOG_ERROR_] = "error",
                                        [LOG_WARN_] = "warning",
                                        [LOG_NOTICE_] = "notice",
                                        [LOG_INFO_] = "info",
                                        [LOG_DEBUG_] = "debug"};
    char line[2048];
    va_list ap;
    if (!log_wants(level) || (!sim_on_log && !sim_print_log && !sim_verbose))
        return;
    int n = snprintf(line, sizeof(line), "%s: ", names[level]);
    va_start(ap, fmt);
    (void)vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, ap);
    va_end(ap);
    if (sim_on_log)
        sim_on_log(line);
    if (sim_print_log || sim_verbose)
        fprintf(stderr, "%12.6f  [%s]\n", (double)sim_now() / 1e9, line);
}
