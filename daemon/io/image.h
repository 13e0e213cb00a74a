/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IO_IMAGE_H
#define IO_IMAGE_H
/*
 * image — what the process has in memory at one moment, written out while it goes on.
 *
 * The kernel makes it: image_take() forks, which copies page tables and no pages, and the child
 * says what it sees through a pipe. So everything that `save` reads stands still, whatever changes
 * meanwhile and whoever adds to it later; nobody marks what he is about to change. The price: the
 * caller waits for the fork (a few milliseconds for each GiB of the process), and a page that
 * changes until the image is read is there twice.
 *
 * The child does nothing but `save`: it has no other thread, no descriptor but the pipe (and stderr), takes no
 * signals, is the first to go when memory is short, and dies with the thread that took the
 * image. `save` may take memory, and must do nothing else that needs the outside (log, files,
 * locks of other threads).
 *
 * Where no process can be made, image_take() saves into memory at once: the caller waits longer.
 *
 * Bounds: a child that says nothing for a while, or has not ended after a longer one (IMAGE_…_MS unless
 * image_limits says otherwise), is ended, so that no page stays twice for longer than that, however
 * slow `put` is.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct image;
typedef int image_put_fn(void *ctx, const void *p, size_t n); /* 0 or -errno, which ends it */
typedef int image_save_fn(const void *what, image_put_fn *put, void *ctx);

/* On a thread that lives as long as the image: the loop's. -errno: there is none. *out_why: 0, or
 * the -errno for which no process could be made. */
int image_take(image_save_fn *save, const void *what, int *out_why, struct image **out);
#define IMAGE_SILENT_MS 60000
#define IMAGE_WHOLE_MS  300000
/* Before it is read. `whole` counts from image_take(). */
void image_limits(struct image *i, unsigned silent_ms, unsigned whole_ms);
/* What `save` puts, in the same order; returns what it returned, or put's failure, or -ECHILD when
 * the child was killed or broke down before it had said all, -ETIMEDOUT when a limit has passed. What
 * was put until then is to be thrown away. Blocking: a pool job. Once. */
int image_read(struct image *i, image_put_fn *put, void *ctx);
/* Ends the child if it has not ended, and waits for that: a pool job, too. NULL is fine. */
void image_free(struct image *i);

/* What lies in pages of 4 KiB and is (nearly) all there goes into large ones, 2 MiB each, so that the
 * next image has a fraction of the entries to copy: heap, tables, and what was split since the last one.
 * Changes no byte. What an image that has not ended still has is left alone, and so is all where the
 * system has no large pages (transparent_hugepage=never, before Linux 6.1, no /proc, pages that are not 4
 * KiB). Some tenths of a millisecond for each MiB that is moved; whoever wants new memory meanwhile, or a
 * fork, waits for the page that is being moved, some milliseconds at most. Ends early, for good, once
 * `stop` is true. Blocking: a pool job. */
void image_gather(const atomic_bool *stop);
/* Whether that is worth a job: a small process is copied within 3 ms as it is. */
bool image_gather_pays(void);

#endif
