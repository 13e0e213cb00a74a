/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_USAGE_H
#define CTL_USAGE_H
/*
 * usage — what each command takes, in one place.
 *
 * Shown on stderr where the arguments are wrong, and on stdout where --help or -h stands among them,
 * whatever else does: then nothing is done. No daemon, no library.
 */
#include <stdbool.h>
#include <stdio.h>

/* verb: only its lines, if it has any of its own (NULL: all). False: there is no such command. */
bool usage_print(FILE *to, const char *command, const char *verb);
/* The same on stderr, of a command that there is; 64. */
int usage_wrong(const char *command, const char *verb);
/* Is --help or -h among them? What follows --note is a text. */
bool usage_asked(int argc, char **argv);

#endif
