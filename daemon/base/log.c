/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_int threshold = LOG_INFO_;

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

bool log_wants(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&threshold, memory_order_relaxed);
}

static const char *name_of(enum log_level level)
{
    switch (level) {
    case LOG_ERROR_:
        return "error: ";
    case LOG_WARN_:
        return "warning: ";
    case LOG_DEBUG_:
        return "debug: ";
    case LOG_NOTICE_:
    case LOG_INFO_:
        break;
    }
    return "";
}

void log_write(enum log_level level, const char *fmt, ...)
{
    if (!log_wants(level))
        return;
    int saved = errno; /* callers log first and look at errno afterwards */
    char line[2048];
    int n = isatty(STDERR_FILENO) && !getenv("JOURNAL_STREAM")
                ? snprintf(line, sizeof(line), "gaihoud: %s", name_of(level))
                : snprintf(line, sizeof(line), "<%d>", (int)level);
    va_list ap;
    va_start(ap, fmt);
    int m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
    va_end(ap);
    size_t len = strnlen(line, sizeof(line) - 2);
    for (size_t i = (size_t)n; i < len; i++) /* one message is one line, whatever was in it */
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = ' ';
    line[len++] = '\n';
    (void)m;
    ssize_t w; /* one write: lines of threads do not mix */
    do
        w = write(STDERR_FILENO, line, len);
    while (w < 0 && errno == EINTR);
    errno = saved;
}
