/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LOG_H
#define BASE_LOG_H
/*
 * log — lines on stderr for the journal of systemd and for people.
 *
 * With systemd (JOURNAL_STREAM set, or not a terminal) each line begins with "<N>", N the
 * syslog level; on a terminal with the level's name. base/ and core/ never log. One line when
 * something breaks, one when it heals: struct log_state remembers which was said; log_allowed
 * limits what would repeat. Thread-safe; never blocks on anything but the write to stderr.
 */
#include <stdbool.h>
#include <stdint.h>

enum log_level {
    LOG_ERROR_ = 3,
    LOG_WARN_ = 4,
    LOG_NOTICE_ = 5,
    LOG_INFO_ = 6,
    LOG_DEBUG_ = 7
};

void log_set_level(enum log_level level);
bool log_wants(enum log_level level);
void log_write(enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#define log_error(...)  log_write(LOG_ERROR_, __VA_ARGS__)
#define log_warn(...)   log_write(LOG_WARN_, __VA_ARGS__)
#define log_notice(...) log_write(LOG_NOTICE_, __VA_ARGS__)
#define log_info(...)   log_write(LOG_INFO_, __VA_ARGS__)
#define log_debug(...)  log_write(LOG_DEBUG_, __VA_ARGS__)

/* A repeating message: at most one line per `every_ns`; *out_suppressed is how many were held
 * back since the last one that was allowed. now_ns: any monotonic clock. */
struct log_limit {
    uint64_t last_ns;
    uint64_t suppressed;
    bool said;
};
bool log_allowed(struct log_limit *l, uint64_t now_ns, uint64_t every_ns,
                 uint64_t *out_suppressed);

/* Something that is either well or broken. True when the caller should write a line: at the
 * first failure, and at the first success after one. */
struct log_state {
    bool broken;
};
bool log_broke(struct log_state *s);
bool log_healed(struct log_state *s);

#endif
