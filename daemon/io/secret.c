/* SPDX-License-Identifier: Apache-2.0 */
#include "io/secret.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The path of a secret, for free(). */
static int find(const char *name, struct err *err, char **out)
{
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    if (strchr(name, '/')) {
        *out = mem_strdup(name);
        return 0;
    }
    if (!*name || *name == '.')
        return err_set(
            err, -EINVAL,
            "\"%s\" is not the name of a secret, expected a path or a credential's name", name);
    if (!dir || !*dir)
        return err_set(
            err, -ENOENT,
            "secret \"%s\": a name without a slash is a systemd credential's, but "
            "CREDENTIALS_DIRECTORY is not set; expected LoadCredential=%s:… in the unit, "
            "or ./%s for a file beside the configuration",
            name, name, name);
    *out = mem_printf("%s/%s", dir, name);
    return 0;
}

/* Up to SECRET_MAX_BYTES + 2 bytes: one newline may follow, and what is beyond must be seen. */
static int read_all(int fd, char *p, size_t *out_n)
{
    size_t n = 0;
    while (n < SECRET_MAX_BYTES + 2) {
        ssize_t got = read(fd, p + n, SECRET_MAX_BYTES + 2 - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    *out_n = n;
    return 0;
}

static int check(const char *path, const char *p, size_t n, struct err *err)
{
    if (n > SECRET_MAX_BYTES)
        return err_set(err, -EFBIG, "%s: longer than 64 KiB, expected a password or token",
                       path);
    if (n == 0)
        return err_set(err, -EINVAL, "%s: empty, expected a password or token", path);
    if (memchr(p, '\0', n) || memchr(p, '\n', n) || memchr(p, '\r', n))
        return err_set(err, -EINVAL,
                       "%s: expected one line with the password or token and nothing "
                       "else",
                       path);
    return 0;
}

int secret_load(const char *name, struct err *err, struct err *out_remark, char **out)
{
    char *path = NULL, *text = NULL;
    struct stat st;
    size_t n = 0;
    int fd = -1;
    int rc = find(name, err, &path);
    if (rc)
        return rc;
    /* A FIFO without a writer would wait for ever. */
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) != 0) {
        rc = err_errno(err, -errno, "cannot read secret %s", path);
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        rc = err_set(err, -EINVAL, "%s: not a file, expected one with a password or token",
                     path);
        goto out;
    }
    text = mem_zalloc(SECRET_MAX_BYTES + 3);
    rc = read_all(fd, text, &n);
    if (rc) {
        (void)err_errno(err, rc, "cannot read secret %s", path);
        goto out;
    }
    if (n && text[n - 1] == '\n')
        text[--n] = '\0';
    if (n && text[n - 1] == '\r') /* a file written on Windows */
        text[--n] = '\0';
    rc = check(path, text, n, err);
    if (rc)
        goto out;
    if (out_remark)
        out_remark->text[0] = '\0';
    if (out_remark && (st.st_mode & S_IROTH))
        (void)err_set(out_remark, 0,
                      "%s: everybody may read this secret, expected mode 0640 or less", path);
    *out = mem_strndup(text, n);
out:
    if (text)
        explicit_bzero(text, SECRET_MAX_BYTES + 3);
    free(text);
    if (fd >= 0)
        (void)close(fd);
    free(path);
    return rc;
}

void secret_free(char *secret)
{
    if (!secret)
        return;
    explicit_bzero(secret, strlen(secret));
    free(secret);
}
