/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IO_PEM_H
#define IO_PEM_H
/*
 * pem — are the files that TLS will want what they are said to be? Asked before anybody connects, so
 * that a key in the place of a certificate is told with its option and not by a handshake.
 *
 * Looks at bytes that were read already; keeps nothing; says no secrets. Any thread.
 */
#include "base/err.h"

#include <stddef.h>

/* 0: there is a certificate (each of them is looked at), and it can be used now; 1: it can be read and
 * is not valid now: *err says which and since when; -EINVAL: *err says what is there instead. */
int pem_certificates(const char *text, size_t n, struct err *err);
/* Is the key the certificate's? 0 or -EINVAL. password: NULL: none. */
int pem_key(const char *cert, size_t cert_n, const char *key, size_t key_n,
            const char *password, struct err *err);

#endif
