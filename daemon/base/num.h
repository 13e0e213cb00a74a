/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_NUM_H
#define BASE_NUM_H
/*
 * num — numbers as text and back, the same in every locale.
 *
 * The only way from text to number and back in this program. Doubles are written as the
 * shortest text that reads back to the same bits, in a form that every supported database reads
 * alike: there is a digit on both sides of a point, never a leading '+', an exponent without
 * '+' and leading zeros ("1e20", "5e-324"), plain decimals from 1e-6 up to 1e15. Reading is
 * strict: the whole text must be the number. No blanks, no '+', no hexadecimal, no "inf" or
 * "nan". Pure and thread-safe.
 */
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NUM_MAX 32 /* room that any number needs; what is written is not NUL-terminated */

/* Each writes to out and returns the length, at most NUM_MAX. v must be finite. */
size_t num_put_double(char *out, double v);
size_t num_put_i64(char *out, int64_t v);
size_t num_put_u64(char *out, uint64_t v);

/* What a device that holds 21.9 in 32 bits means: the double nearest to the shortest decimal that
 * reads back to the same float, 21.9 and not 21.899999618530273. Whole numbers stay exact, what is
 * not finite stays so. */
double num_of_float(float v);

/* 0; -EINVAL when the text is not such a number; -ERANGE when the type cannot hold it (a double
 * that would become infinite, or zero although it is not). */
int num_get_double(const char *p, size_t len, double *out);
int num_get_i64(const char *p, size_t len, int64_t *out);
int num_get_u64(const char *p, size_t len, uint64_t *out);

#ifdef __cplusplus
}
#endif

#endif
