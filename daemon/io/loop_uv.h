/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IO_LOOP_UV_H
#define IO_LOOP_UV_H
/*
 * loop_uv — the libuv loop behind io/loop, for modules of io/ that need it raw.
 */
#include "io/loop.h"

struct uv_loop_s *loop_uv(struct loop *l);

#endif
