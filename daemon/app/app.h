/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APP_APP_H
#define APP_APP_H
/*
 * app — the composition root: opens everything in order, runs the loop, closes in reverse.
 *
 * Knows every part and is known by none. Exit codes follow sysexits(3): 0, 64 usage,
 * 70 a bug, 74 input/output, 78 configuration.
 */
int app_check(const char *conf_path);        /* prints every problem; 0 or 78 */
int app_print_config(const char *conf_path); /* the effective configuration; 0 or 78 */
int app_run(const char *conf_path);

#endif
