/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lean — Paho without its heap and call tracing (only compiled with `make PAHO=lean`).
 *
 * Debian's libpaho-mqtt3as.a keeps Heap.c and StackTrace.c as members of their own. By defining
 * everything that the other members want from the two, as upstream's PAHO_HIGH_PERFORMANCE
 * does, we keep them out of a static link: a third less CPU per message. If a version wants one
 * function more, the member is pulled in after all and the link fails with "multiple
 * definition"; if it wants fewer, nothing happens.
 *
 * Blocks are zeroed as Heap.c does: Paho depends on it. A CONNACK without properties (a broker
 * of 3.1.1 that answers a CONNECT of version 5) leaves its list of properties as malloc gave
 * it, and frees it.
 *
 * What is given up: Paho's check for leaks at exit, its stack traces, and Debian's security
 * updates of the shared library (a rebuild is needed after one).
 *
 * Signatures: Heap.h and StackTrace.h of Paho 1.3.12 (the same up to 1.3.15).
 */
#include <stdlib.h>

void *mymalloc(char *file, int line, size_t size);
void *myrealloc(char *file, int line, void *p, size_t size);
void myfree(char *file, int line, void *p);
int Heap_initialize(void);
void Heap_terminate(void);
void StackTrace_entry(const char *name, int line, int trace_level);
void StackTrace_exit(const char *name, int line, void *return_value, int trace_level);

void *mymalloc(char *file, int line, size_t size)
{
    (void)file;
    (void)line;
    return calloc(1, size);
}

void *myrealloc(char *file, int line, void *p, size_t size)
{
    (void)file;
    (void)line;
    return realloc(p, size);
}

void myfree(char *file, int line, void *p)
{
    (void)file;
    (void)line;
    free(p);
}

int Heap_initialize(void)
{
    return 0;
}

void Heap_terminate(void)
{
}

void StackTrace_entry(const char *name, int line, int trace_level)
{
    (void)name;
    (void)line;
    (void)trace_level;
}

void StackTrace_exit(const char *name, int line, void *return_value, int trace_level)
{
    (void)name;
    (void)line;
    (void)return_value;
    (void)trace_level;
}
