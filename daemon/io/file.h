/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IO_FILE_H
#define IO_FILE_H
/*
 * file — the file operations that journal, outbound logs, snapshots and generations are made
 * of.
 *
 * A thin seam: the real one calls the kernel (EINTR and short transfers handled, O_CLOEXEC at
 * birth), the one of tests/sim keeps files in memory and can lose what was not synced.
 * Thread-safe as the kernel is. Failures are -errno.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct file;
enum { FILE_READ = 0, FILE_WRITE = 1, FILE_CREATE = 2, FILE_EXCLUSIVE = 4, FILE_TRUNCATE = 8 };

int file_open(const char *path, int flags, struct file **out); /* created with mode 0640 */
void file_close(struct file *f);                               /* NULL is fine */
/* For this process alone, until it is closed or the process ends; -EWOULDBLOCK if another has
 * it. */
int file_lock(struct file *f);
int file_size(struct file *f, uint64_t *out);
int file_allocate(struct file *f, uint64_t size); /* space is there afterwards, or -ENOSPC */
int file_truncate(struct file *f, uint64_t size);
int file_read(struct file *f, uint64_t at, void *p, size_t n,
              size_t *out_n); /* short at the end only */
int file_write(struct file *f, uint64_t at, const void *p, size_t n); /* all or -errno */
int file_sync(
    struct file *f); /* fdatasync; an error means that data may be gone: never retried */
/* Of a long file, before file_sync: begins to bring [from, to) to the disk and waits for what is before
 * `from`, so that never much of it is unwritten, and nobody else's sync has to wait for all of it.
 * A failure is one as of file_sync. */
int file_write_behind(struct file *f, uint64_t from, uint64_t to);
int file_punch(struct file *f, uint64_t at, uint64_t n);
/* Shared mapping of the first `size` bytes. Writes into it reach the file; fatal as SIGBUS if
 * the disk fails or the file is shorter: allocate first. Outlives file_close. */
int file_map(struct file *f, uint64_t size, bool writable, void **out);
void file_unmap(void *p, uint64_t size);
/* Lets go of the whole pages between two places of a mapping, until they are touched again; what
 * was written into them stays the file's. Done before file_sync, it spares an interrupt of every
 * processor for each page that is to be written. */
void file_map_forget(void *p, uint64_t from, uint64_t to);
/* Is this folder on a file system where a mapped, allocated file cannot run out of space
 * (ext4, xfs)? */
bool file_can_map(const char *dir);

int file_make_dir(const char *path); /* existing is fine; mode 0750; its parent is synced */
int file_unlink(const char *path);
int file_rename(const char *from, const char *to);
int file_sync_dir(const char *path);
/* Every name but "." and "..", in no order. fn must not change the folder. */
int file_list(const char *dir, void (*fn)(void *ctx, const char *name), void *ctx);
/* A file's name and a pattern of glob(7), without slashes; a dot at the beginning is to be said. */
bool file_name_fits(const char *pattern, const char *name);
/* Whole files: read with a ceiling (-EFBIG), or written temp → fsync → rename → fsync folder.
 * The temporary name is the path with ".new" behind it. */
int file_load(const char *path, size_t max, char **out,
              size_t *out_len); /* NUL-terminated, free() */
int file_store(const char *path, const void *p, size_t n);

#endif
