/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_JOURNAL_H
#define CTL_JOURNAL_H
/*
 * journal — gaihouctl journal: reads a journal's folder, of a stopped or a running gateway.
 *
 * Opens read-only: takes no lock, recovers nothing, writes nothing. Exit 0; 1: damage was
 * found or there is nothing to read; 64: usage.
 */
int ctl_journal(int argc, char **argv); /* argv[0]: "journal" */

#endif
