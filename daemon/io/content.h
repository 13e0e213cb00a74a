/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IO_CONTENT_H
#define IO_CONTENT_H
/*
 * content — generations kept by what they are: `<dir>/<32 hex digits of XXH3-128>`.
 *
 * A configuration, registry or catalogue that a RECORD_GENERATION names is here before the
 * record is appended, and stays as long as journal, archive or snapshot refers to it. The hash
 * finds and verifies; it is no protection against a forger. Blocking; any one thread at a time.
 */
#include <stddef.h>
#include <stdint.h>

enum { CONTENT_HEX = 32 };
#define CONTENT_MAX ((size_t)256 << 20)

/* Stores (durably, if it is not there and whole already) and gives its address. */
int content_put(const char *dir, const void *p, size_t n, char out_hex[CONTENT_HEX + 1]);
/* NUL-terminated, free(). -ENOENT; -EBADMSG: what is there is not what its name says. */
int content_get(const char *dir, const char *hex, char **out, size_t *out_len);
/* Notes that records at `from` and later may be taken under this one: before the record that
 * says so is appended. */
int content_use(const char *dir, const char *hex, uint64_t from);
/* The one in use at `offset`, as far as that was noted: -ENOENT, it was not. */
int content_used(const char *dir, uint64_t offset, char out_hex[CONTENT_HEX + 1]);
/* Removes what was used below `offset` only, and what never was; not `current`. Nothing, if it
 * is not known what was used at `offset`. */
int content_prune(const char *dir, uint64_t offset, const char *current);
void content_address(const void *p, size_t n, char out_hex[CONTENT_HEX + 1]);

#endif
