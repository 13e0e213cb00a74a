/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IO_LOCK_H
#define IO_LOCK_H
/*
 * lock — one gateway per data folder (flock on a file in it).
 */

/* The descriptor that holds the lock until it is closed or the process ends; -EWOULDBLOCK when
 * another process holds it; other -errno. */
int lock_take(const char *path);
void lock_release(int fd); /* -1 is fine */

#endif
