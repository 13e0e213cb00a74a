/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files, made of the operations of io/file.h: real and faked files share this. */
#include "base/mem.h"
#include "io/file.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

int file_load(const char *path, size_t max, char **out, size_t *out_len)
{
    struct file *f;
    int r = file_open(path, FILE_READ, &f);
    if (r < 0)
        return r;
    char *p = NULL;
    size_t len = 0, cap = 0;
    for (;;) { /* by reading, not by size: also for /proc, and a file that grows meanwhile */
        if (cap - len < 2) {
            cap = cap ? cap * 2 : 4096;
            if (cap > max + 2)
                cap = max + 2;
            p = mem_realloc_array(p, cap, 1);
        }
        size_t n;
        r = file_read(f, len, p + len, cap - len - 1, &n);
        if (r < 0)
            goto out;
        if (n == 0)
            break;
        len += n;
        if (len > max) {
            r = -EFBIG;
            goto out;
        }
    }
    p[len] = '\0';
    *out = p;
    *out_len = len;
    p = NULL;
out:
    free(p);
    file_close(f);
    return r;
}

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return mem_strdup(".");
    return mem_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

int file_store(const char *path, const void *p, size_t n)
{
    char *temp = mem_printf("%s.new", path), *dir = folder_of(path);
    struct file *f = NULL;
    /* A power cut in the middle of the rename may leave both names to one file, the one in force. */
    int r = file_unlink(temp);
    if (r == 0 || r == -ENOENT)
        r = file_open(temp, FILE_WRITE | FILE_CREATE | FILE_TRUNCATE, &f);
    if (r < 0)
        goto out;
    r = file_write(f, 0, p, n);
    if (r == 0)
        r = file_sync(f);
    if (r == 0)
        r = file_rename(temp, path);
    if (r == 0)
        r = file_sync_dir(dir);
    else
        (void)file_unlink(temp);
out:
    file_close(f);
    free(temp);
    free(dir);
    return r;
}

bool file_name_fits(const char *pattern, const char *name)
{
    return fnmatch(pattern, name, FNM_PERIOD) == 0;
}
