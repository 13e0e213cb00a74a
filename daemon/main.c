/* SPDX-License-Identifier: Apache-2.0 */
/* gaihoud: arguments; the rest is app/app.h. */
#include "app/app.h"

#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EX_USAGE_ 64

static const char usage[] =
    "usage: gaihoud [--config FILE] [--check | --print-config]\n"
    "       gaihoud --version | --help\n"
    "\n"
    "  --config FILE    the configuration; /etc/gaihou/gaihou.yaml if not given\n"
    "  --check          check it and every file it names, print each problem, exit 0 or 78\n"
    "  --print-config   print the effective configuration, defaults included\n";

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"check", no_argument, NULL, 'k'},
        {"print-config", no_argument, NULL, 'p'}, {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0}};
    const char *config = "/etc/gaihou/gaihou.yaml";
    int (*run)(const char *) = app_run;
    /* Large buffers go back to the system when they are freed; otherwise each thread's arena
     * keeps the largest it ever had. */
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 20);
    for (int o; (o = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
        switch (o) {
        case 'c':
            config = optarg;
            break;
        case 'k':
            run = app_check;
            break;
        case 'p':
            run = app_print_config;
            break;
        case 'V':
            puts("gaihoud " GAIHOU_VERSION);
            return 0;
        case 'h':
            fputs(usage, stdout);
            return 0;
        default:
            fputs(usage, stderr);
            return EX_USAGE_;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "gaihoud: unexpected argument \"%s\"\n%s", argv[optind], usage);
        return EX_USAGE_;
    }
    char *path = realpath(config, NULL); /* relative paths in it are against its own folder */
    int code = run(path ? path : config);
    free(path);
    return code;
}
