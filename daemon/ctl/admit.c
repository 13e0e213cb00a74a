/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/admit.h"
#include "base/mem.h"
#include "core/text.h"
#include "core/world.h"
#include "ctl/exit.h"
#include "ctl/message.h"
#include "ctl/site.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_HEADER                                                                         \
    "device,source_id,kind,compound,building,unit,room,point,expected_interval,power_domain,"  \
    "uplink,life_safety,consent,installed,retired,replaces,note,vendor,model\n"

enum { DEVICE, SOURCE_ID, KIND, COMPOUND, VENDOR = 17 };

const char *const admit_columns[ADMIT_COLUMNS] = {
    "device",  "source_id", "kind",    "compound", "building",          "unit",
    "room",    "point",     "note",    "uplink",   "expected_interval", "power_domain",
    "consent", "installed", "retired", "replaces", "life_safety",       "vendor",
    "model"};

/* -- what the line says --------------------------------------------------------------------- */

static const struct profile *profile_of(struct site *s, const char *name)
{
    if (!name || strcmp(name, WORLD_NATIVE) == 0)
        return NULL;
    if (!s->profiles && site_profiles(s, NULL, 0, false) != CTL_DONE)
        return NULL;
    return profile_find(s->profiles, name);
}

/* The kind that knows most of what the device said; the newest message that is told apart. */
static const char *guess_kind(const struct admit *a, struct site *s)
{
    const struct profile *p = profile_of(s, a->profile);
    const struct kind *k = NULL;
    struct message m;
    if (!s->catalog || (a->profile && !p && strcmp(a->profile, WORLD_NATIVE) != 0))
        return NULL;
    message_init(&m);
    for (size_t i = 0; i < a->n_samples && !k; i++) {
        const struct admit_sample *x = &a->samples[i];
        struct message_in in = {
            .profile = p, .topic = x->topic, .payload = x->payload, .len = x->len};
        for (size_t t = 0; s->conf && t < s->conf->n_sources && m.decoded.n_values == 0; t++) {
            const struct conf_source *src = &s->conf->sources[t];
            for (size_t n = 0;
                 strcmp(src->profile, a->profile ? a->profile : WORLD_NATIVE) == 0 &&
                 n < src->topics.n && m.decoded.n_values == 0;
                 n++) {
                in.pattern = src->topics.items[n];
                (void)message_decode(&m, &in);
            }
        }
        in.pattern = NULL;
        if (m.decoded.n_values == 0)
            (void)message_decode(&m, &in);
        k = message_kind(s->catalog, &m);
        decoded_clear(&m.decoded);
    }
    message_done(&m);
    return k ? k->name : NULL;
}

static bool header_has(const char *header, const char *column)
{
    size_t n = strcspn(header, "\r\n"), len = strlen(column);
    for (const char *at = header; (at = strstr(at, column)) && at < header + n; at += len) {
        bool begins = at == header || !text_is_name(at - 1, 1);
        bool ends = at + len == header + n || !text_is_name(at + len, 1);
        if (begins && ends)
            return true;
    }
    return false;
}

static const char *keep(char room[256], const char *s)
{
    (void)snprintf(room, 256, "%s", s ? s : "");
    return room;
}

static void fill(struct admit *a, struct site *s, const char *header)
{
    bool same = registry_row_code(a->device, strlen(a->device), a->code);
    for (size_t i = 0; i < ADMIT_COLUMNS; i++)
        a->cells[i] = (struct registry_cell){admit_columns[i], a->given[i].value};
    if (a->given[DEVICE].value) {
        (void)snprintf(a->code, sizeof(a->code), "%s", a->given[DEVICE].value);
        same = strcmp(a->code, a->device) == 0;
    } else {
        a->cells[DEVICE].value = a->code;
    }
    if (!same && !a->given[SOURCE_ID].value)
        a->cells[SOURCE_ID].value = a->device;
    if (!a->given[KIND].value)
        a->cells[KIND].value = keep(a->room[0], guess_kind(a, s));
    if (!a->given[COMPOUND].value && a->compound && s->registry) {
        const struct compound *c =
            registry_compound_resolve(s->registry, a->compound, strlen(a->compound));
        a->cells[COMPOUND].value = keep(a->room[1], c ? c->code : NULL);
    } else if (!a->given[COMPOUND].value && a->compound) {
        a->cells[COMPOUND].value = a->compound;
    }
    const struct profile *p = profile_of(s, a->profile);
    if (!a->given[VENDOR].value && p && header_has(header, "vendor"))
        a->cells[VENDOR].value = keep(a->room[2], profile_vendor(p));
}

static unsigned lacks(const struct admit *a)
{
    const char *k = a->cells[KIND].value, *c = a->cells[COMPOUND].value;
    return (!k || !*k ? 1u : 0) | (!c || !*c ? 2u : 0) | (!*a->code ? 4u : 0);
}

const char *admit_wanted(const struct admit *a)
{
    static const char *const options[] = {"",
                                          " --kind KIND",
                                          " --compound CODE",
                                          " --kind KIND --compound CODE",
                                          " --device CODE",
                                          " --device CODE --kind KIND",
                                          " --device CODE --compound CODE",
                                          " --device CODE --kind KIND --compound CODE"};
    return options[lacks(a)];
}

static const char *missing(const struct admit *a)
{
    static const char *const words[] = {"",
                                        "a kind",
                                        "a compound",
                                        "a kind and a compound",
                                        "a code (device)",
                                        "a code (device) and a kind",
                                        "a code (device) and a compound",
                                        "a code (device), a kind and a compound"};
    return words[lacks(a)];
}

void admit_show(struct admit *a, struct buf *out, const char **out_missing)
{
    struct site s = {0};
    struct err err;
    char *text = NULL;
    size_t len = 0;
    const char *header = DEFAULT_HEADER;
    if (a->config && site_open(&s, a->config) == CTL_DONE) {
        (void)site_registry(&s, NULL, 0);
        const char *path = a->file ? a->file : s.conf->registry.devices;
        if (path && site_read(path, WORLD_MAX_FILE, &text, &len) == CTL_DONE && len > 0)
            header = text;
    }
    fill(a, &s, header);
    size_t from = strncmp(header, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    (void)buf_put(out, header + from, strcspn(header + from, "\r\n"));
    (void)buf_putc(out, '\n');
    if (registry_row_text(header, strlen(header), a->cells, ADMIT_COLUMNS, out, &err) != 0) {
        buf_clear(out);
        (void)buf_printf(out, "# %s", err.text);
    }
    (void)buf_putc(out, '\n');
    *out_missing = missing(a);
    free(text);
    site_close(&s);
}

/* -- writing ----------------------------------------------------------------------------------- */

static int tell(const char *path, const char *doing)
{
    (void)fprintf(stderr, "gaihouctl: %s: cannot %s: %s\n", path, doing, strerror(errno));
    return CTL_REFUSED;
}

static bool write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t k = write(fd, p, n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return false;
        p += k;
        n -= (size_t)k;
    }
    return true;
}

static int sync_folder(const char *path)
{
    char *copy = mem_strdup(path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(copy);
    int r = fd < 0 ? -1 : fsync(fd);
    if (fd >= 0)
        (void)close(fd);
    return r == 0 ? CTL_DONE : tell(path, "sync its folder");
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* A new file with its owner and mode; *out: what it is now. */
static int write_like(const char *temp, int fd, const struct stat *as, const struct buf *b,
                      struct stat *out)
{
    /* an owner that may not be given leaves the file ours; its mode must fit then too */
    bool owned =
        fchown(fd, as->st_uid, as->st_gid) == 0 || fchown(fd, (uid_t)-1, as->st_gid) == 0;
    if (fchmod(fd, as->st_mode & 07777) != 0 || !write_all(fd, b->data, b->len) ||
        fsync(fd) != 0 || fstat(fd, out) != 0)
        return tell(temp, "write it");
    if (!owned)
        (void)fprintf(stderr, "gaihouctl: %s: its group could not be kept\n", temp);
    return CTL_DONE;
}

/* `*seen`: what the file was when it was read, then what it is. Two of us take turns by the lock
 * on the old file: the second finds another one there. */
static int replace(const char *path, const struct buf *b, struct stat *seen)
{
    struct stat now, made;
    int code = CTL_REFUSED, fd = -1;
    char *temp = mem_printf("%s.XXXXXX", path);
    bool there = false;
    int old = open(path, O_RDONLY | O_CLOEXEC);
    if (old < 0 || flock(old, LOCK_EX) != 0) {
        code = tell(path, "lock it");
        goto out;
    }
    fd = mkostemp(temp, O_CLOEXEC);
    if (fd < 0) {
        code = tell(temp, "create it");
        goto out;
    }
    there = true;
    code = write_like(temp, fd, seen, b, &made);
    if (code != CTL_DONE)
        goto out;
    if (stat(path, &now) != 0 || !same_file(&now, seen)) {
        (void)fprintf(stderr,
                      "gaihouctl: %s: somebody has changed it meanwhile; nothing was written\n",
                      path);
        code = CTL_REFUSED;
    } else if (rename(temp, path) != 0) {
        code = tell(path, "replace it");
    } else {
        there = false;
        *seen = made;
        code = sync_folder(path);
    }
out:
    if (there)
        (void)unlink(temp);
    if (fd >= 0)
        (void)close(fd);
    if (old >= 0)
        (void)close(old);
    free(temp);
    return code;
}

int admit_undo(struct admit *a, const char *path, const struct buf *before)
{
    return replace(path, before, &a->written);
}

/* A file that is not good already refuses every line: that is said apart. */
static int check(struct site *s, const struct admit *a, const struct buf *before,
                 const struct buf *after)
{
    if (*missing(a)) {
        (void)fprintf(stderr,
                      "gaihouctl: \"%s\" does not say enough of itself: %s is missing; give it "
                      "with%s. Nothing was written.\n",
                      a->device, missing(a), admit_wanted(a));
        return CTL_REFUSED;
    }
    if (site_registry(s, after->data, after->len) == CTL_DONE)
        return CTL_DONE;
    if (site_registry(s, before->data, before->len) != CTL_DONE)
        (void)fprintf(stderr, "gaihouctl: the registry as it is would not load; mend it first. "
                              "Nothing was written.\n");
    else
        (void)fprintf(stderr,
                      "gaihouctl: with this line the registry would not load. Nothing was "
                      "written.\n");
    return CTL_REFUSED;
}

static int prepare(struct admit *a, struct site *s, char *path, struct buf *before,
                   struct buf *after)
{
    struct err err;
    char *text = NULL;
    size_t len = 0;
    int code = site_read(path, WORLD_MAX_FILE, &text, &len);
    if (code == CTL_DONE) {
        (void)buf_put(before, text, len);
        fill(a, s, text);
        if (registry_row_append(text, len, a->cells, ADMIT_COLUMNS, after, &err) != 0) {
            (void)fprintf(stderr, "gaihouctl: %s: %s. Nothing was written.\n", path, err.text);
            code = CTL_REFUSED;
        }
    }
    free(text);
    return code == CTL_DONE ? check(s, a, before, after) : code;
}

int admit_write(struct admit *a, bool dry, char **out_path, struct buf *out_before)
{
    struct site s = {0};
    struct buf after;
    buf_init(&after, WORLD_MAX_FILE + 65536);
    char *path = NULL;
    int code = CTL_REFUSED;
    if (!a->config) {
        (void)fprintf(stderr, "gaihouctl: the daemon does not say where its configuration is; "
                              "give --config FILE\n");
        goto out;
    }
    code = site_open(&s, a->config);
    if (code != CTL_DONE)
        goto out;
    if (!s.conf->registry.devices && !a->file) {
        (void)fprintf(stderr, "gaihouctl: %s names no registry.devices\n", a->config);
        code = CTL_REFUSED;
        goto out;
    }
    const char *named = a->file ? a->file : s.conf->registry.devices;
    path = realpath(named, NULL); /* a link's target is replaced, not the link */
    if (!path || stat(path, &a->written) != 0) {
        code = tell(named, "read it");
        goto out;
    }
    (void)site_registry(&s, NULL, 0);
    code = prepare(a, &s, path, out_before, &after);
    if (code == CTL_DONE && !dry)
        code = replace(path, &after, &a->written);
out:
    buf_done(&after);
    site_close(&s);
    *out_path = path;
    return code;
}
