/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_EXIT_H
#define CTL_EXIT_H
/*
 * exit — what gaihouctl's commands return. Apart from ctl.h, whose jansson has names in common with
 * core/json.h.
 */
enum ctl_exit { CTL_DONE = 0, CTL_REFUSED = 1, CTL_UNREACHABLE = 2, CTL_USAGE = 64 };

#endif
