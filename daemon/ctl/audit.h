/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_AUDIT_H
#define CTL_AUDIT_H
/* audit — gaihouctl devices audit (argv[0]: "audit"); needs no daemon. */
int ctl_audit(int argc, char **argv);

#endif
