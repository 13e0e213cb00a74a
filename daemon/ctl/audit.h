/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_AUDIT_H
#define CTL_AUDIT_H
/*
 * audit — gaihouctl devices audit: the accounts of core/audit.h over what the data folder has of
 * the past. argv[0]: "audit". Needs no daemon, changes nothing but TMPDIR while it runs.
 */
int ctl_audit(int argc, char **argv);

#endif
