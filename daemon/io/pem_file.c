/* SPDX-License-Identifier: Apache-2.0 */
#include "io/pem.h"
#include "io/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PEM_MAX ((size_t)1 << 20)

void pem_file_load(struct pem_file *f, const struct pem_where *where)
{
    f->text = NULL;
    f->n = 0;
    if (!f->path)
        return;
    int r = file_load(f->path, PEM_MAX, &f->text, &f->n);
    if (r == -EFBIG)
        problems_add(where->problems, where->file, f->line, f->col,
                     "%s: %s is larger than %zu bytes", f->option, f->path, PEM_MAX);
    else if (r != 0)
        problems_add(where->problems, where->file, f->line, f->col, "%s: cannot read %s: %s",
                     f->option, f->path, strerror(-r));
    else if (!memmem(f->text, f->n, "-----BEGIN ", 11))
        problems_add(where->problems, where->file, f->line, f->col,
                     "%s: %s is no PEM file, expected one with a line \"-----BEGIN …-----\"",
                     f->option, f->path);
    else
        return;
    if (r == 0)
        pem_file_done(f);
    f->text = NULL;
}

void pem_file_done(struct pem_file *f)
{
    if (f->text)
        explicit_bzero(f->text, f->n);
    free(f->text);
    f->text = NULL;
}

static void say(const struct pem_file *f, int r, const struct err *err,
                const struct pem_where *where)
{
    if (r < 0)
        problems_add(where->problems, where->file, f->line, f->col, "%s: %s: %s", f->option,
                     f->path, err->text);
    else if (r > 0)
        problems_warn(where->problems, where->file, f->line, f->col, "%s: %s: %s", f->option,
                      f->path, err->text);
}

void pem_file_certificates(const struct pem_file *f, const struct pem_where *where)
{
    struct err err;
    if (f->text)
        say(f, pem_certificates(f->text, f->n, &err), &err, where);
}

void pem_file_key(const struct pem_file *key, const struct pem_file *cert, const char *password,
                  const struct pem_where *where)
{
    struct err err;
    if (cert->text && key->text)
        say(key, pem_key(cert->text, cert->n, key->text, key->n, password, &err), &err, where);
}
