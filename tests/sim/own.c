/* SPDX-License-Identifier: Apache-2.0 */
#define SIM_OWN_ITSELF
#include "sim/own.h"

#include <stdarg.h>
#include <stdio.h>

unsigned sim_own;

void *own_zalloc(size_t n)
{
    sim_own++;
    void *p = mem_zalloc(n);
    sim_own--;
    return p;
}

void *own_zalloc_array(size_t n, size_t size)
{
    sim_own++;
    void *p = mem_zalloc_array(n, size);
    sim_own--;
    return p;
}

void *own_realloc_array(void *p, size_t n, size_t size)
{
    sim_own++;
    p = mem_realloc_array(p, n, size);
    sim_own--;
    return p;
}

void *own_dup(const void *p, size_t n)
{
    sim_own++;
    void *copy = mem_dup(p, n);
    sim_own--;
    return copy;
}

char *own_strdup(const char *s)
{
    sim_own++;
    char *copy = mem_strdup(s);
    sim_own--;
    return copy;
}

char *own_strndup(const char *s, size_t n)
{
    sim_own++;
    char *copy = mem_strndup(s, n);
    sim_own--;
    return copy;
}

char *own_printf(const char *fmt, ...)
{
    char *text;
    va_list ap;
    sim_own++;
    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        mem_exhausted();
    va_end(ap);
    sim_own--;
    return text;
}
