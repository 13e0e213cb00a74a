/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IO_PEM_H
#define IO_PEM_H
/*
 * pem — are the files that TLS will want what they are said to be? Asked before anybody connects, so
 * that a key in the place of a certificate is told with its option and not by a handshake.
 *
 * Keeps nothing, wipes what it read; says no secrets. Any thread; a file is read blocking.
 */
#include "base/err.h"

#include <stddef.h>

/* 0: there is a certificate (each of them is looked at), and it can be used now; 1: it can be read and
 * is not valid now: *err says which and since when; -EINVAL: *err says what is there instead. */
int pem_certificates(const char *text, size_t n, struct err *err);
/* Is the key the certificate's? 0 or -EINVAL. password: NULL: none. */
int pem_key(const char *cert, size_t cert_n, const char *key, size_t key_n,
            const char *password, struct err *err);

/* -- the files of a configuration ----------------------------------------------------------- */

struct pem_where { /* what is wrong is said of this file, at the option's place */
    const char *file;
    struct problems *problems;
};

struct pem_file {
    const char *option, *path; /* the caller's */
    int line, col;             /* where the option stands */
    char *text;                /* NULL: there is none, or that was said */
    size_t n;
};

/* f->option, path, line and col are the caller's; path NULL: there is none. What cannot be read, is larger than 1 MiB or no PEM at all is an error
 * in `where`. */
void pem_file_load(struct pem_file *f, const struct pem_where *where);
void pem_file_done(struct pem_file *f);
/* As pem_certificates and pem_key, said in `where`: what is not valid now is a warning. Nothing is
 * said of a file without text. */
void pem_file_certificates(const struct pem_file *f, const struct pem_where *where);
void pem_file_key(const struct pem_file *key, const struct pem_file *cert, const char *password,
                  const struct pem_where *where);

#endif
