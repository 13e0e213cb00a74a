/* SPDX-License-Identifier: Apache-2.0 */
#include "core/codec_private.h"

#include <errno.h>

int codec_sparkplug(const char *p, size_t n, struct doc *d, struct codec_fault *f)
{
    (void)p;
    (void)n;
    (void)d;
    f->why = "not built yet";
    f->at = SIZE_MAX;
    f->checksum = false;
    return -EBADMSG;
}
