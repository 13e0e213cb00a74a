/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define EX_SOFTWARE_ 70

_Noreturn void check_failed(const char *what, const char *file, int line)
{
    fprintf(stderr, "<2>%s:%d: assertion failed: %s; this is a bug of ours, please report it\n",
            file, line, what);
#ifndef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION /* which wants to see it die */
    struct rlimit core;
    if (getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == 0)
        _exit(EX_SOFTWARE_);
#endif
    abort(); /* its memory is kept, by those who asked for that */
}
