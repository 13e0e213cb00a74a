/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IO_SECRET_H
#define IO_SECRET_H
/*
 * secret — passwords and tokens from files, never from the configuration itself.
 *
 * A name with a slash is a path; one without is a systemd credential, the file of that name in
 * $CREDENTIALS_DIRECTORY. The file holds one line, at most 64 KiB, and one newline at its end
 * is dropped. The text is never part of an error or remark. Thread-safe.
 */
#include "base/err.h"

#define SECRET_MAX_BYTES 65536

/* 0 and the secret, NUL-terminated, for secret_free. out_remark (may be NULL) gets a sentence
 * when everybody may read the file, else "". -ENOENT, -EACCES …: cannot be read; -EINVAL: is
 * not one line; -EFBIG: too long. */
int secret_load(const char *name, struct err *err, struct err *out_remark, char **out);
void secret_free(char *secret); /* wipes; NULL is fine */

#endif
