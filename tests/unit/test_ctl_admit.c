/* SPDX-License-Identifier: Apache-2.0 */
/* ctl/admit: devices.csv is somebody's file: it is whole at any moment, and what others do to it
 * or beside it meanwhile stays. The registry's own check is played here. */
#include "unit.h"

#include "base/buf.h"
#include "ctl/admit.h"
#include "ctl/exit.h"
#include "ctl/message.h"
#include "ctl/site.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define HEADER  "device,kind,compound\n"
#define WORKERS 6
#define EACH    8

static char folder[64], path[96];
static const char *edited; /* what an editor saves while the registry is checked */

static void put(const char *file, const char *text)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static size_t get(const char *file, char *out, size_t room)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t n = read(fd, out, room - 1);
    assert_true(n >= 0);
    close(fd);
    out[n] = '\0';
    return (size_t)n;
}

static void is(const char *file, const char *text)
{
    char have[4096];
    (void)get(file, have, sizeof(have));
    assert_string_equal(have, text);
}

/* -- what admit.c asks ------------------------------------------------------------------------ */

int site_open(struct site *s, const char *config)
{
    static struct conf conf;
    (void)config;
    s->conf = &conf;
    return CTL_DONE;
}

int site_registry(struct site *s, const char *devices, size_t len)
{
    (void)s;
    (void)len;
    if (devices && edited)
        put(path, edited);
    return CTL_DONE;
}

int site_read(const char *file, size_t max, char **out, size_t *out_len)
{
    *out = malloc(65536);
    *out_len = get(file, *out, max < 65536 ? max : 65536);
    return CTL_DONE;
}

int site_profiles(struct site *s, const char *const *files, size_t n, bool all)
{
    (void)s;
    (void)files;
    (void)n;
    (void)all;
    return CTL_REFUSED;
}

void site_close(struct site *s)
{
    (void)s;
}

void message_init(struct message *m)
{
    (void)m;
}

void message_done(struct message *m)
{
    (void)m;
}

bool message_decode(struct message *m, const struct message_in *in)
{
    (void)m;
    (void)in;
    return false;
}

const struct kind *message_kind(const struct catalog *c, const struct message *m)
{
    (void)c;
    (void)m;
    return NULL;
}

/* -- tests ------------------------------------------------------------------------------------ */

static int begin(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/gaihou-admit.XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/devices.csv", folder);
    put(path, HEADER);
    edited = NULL;
    return 0;
}

static int end(void **state)
{
    (void)state;
    unlink(path);
    assert_int_equal(rmdir(folder), 0); /* nothing else stays there */
    return 0;
}

static struct admit one(const char *code)
{
    struct admit a = {.device = code, .config = "gaihou.yaml", .file = path};
    for (size_t i = 0; i < ADMIT_COLUMNS; i++) {
        const char *c = admit_columns[i];
        a.given[i].column = c;
        a.given[i].value = strcmp(c, "kind") == 0       ? "sump"
                           : strcmp(c, "compound") == 0 ? "c1"
                                                        : NULL;
    }
    return a;
}

static int adopt(struct admit *a, struct buf *before)
{
    char *where = NULL;
    buf_init(before, 1 << 20);
    int code = admit_write(a, false, &where, before);
    free(where);
    return code;
}

static void what_stands_beside_it(void **state)
{
    char beside[128];
    struct buf before;
    struct admit a = one("d1");
    struct stat s;
    (void)state;
    (void)snprintf(beside, sizeof(beside), "%s.new", path);
    put(beside, "the plan for next year\n");
    assert_int_equal(chmod(path, 0604), 0);
    assert_int_equal(adopt(&a, &before), CTL_DONE);
    is(path, HEADER "d1,sump,c1\n");
    is(beside, "the plan for next year\n");
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(s.st_mode & 07777, 0604);
    assert_int_equal(admit_undo(&a, path, &before), CTL_DONE);
    is(path, HEADER);
    buf_done(&before);
    unlink(beside);
}

static void an_editor_saves_meanwhile(void **state)
{
    struct buf before;
    struct admit a = one("d1");
    (void)state;
    edited = HEADER "e1,sump,c1\n";
    assert_int_equal(adopt(&a, &before), CTL_REFUSED);
    is(path, edited);
    buf_done(&before);
    edited = NULL;
    assert_int_equal(adopt(&a, &before), CTL_DONE);
    put(path, HEADER "e1,sump,c1\nd1,sump,c1\ne2,sump,c1\n");
    assert_int_equal(admit_undo(&a, path, &before), CTL_REFUSED);
    is(path, HEADER "e1,sump,c1\nd1,sump,c1\ne2,sump,c1\n");
    buf_done(&before);
}

static void adopt_some(int worker)
{
    for (int i = 0; i < EACH; i++) {
        char code[16];
        int r = CTL_REFUSED;
        (void)snprintf(code, sizeof(code), "w%d-%d", worker, i);
        for (int tries = 0; tries < 10000 && r != CTL_DONE; tries++) {
            struct buf before;
            struct admit a = one(code);
            r = adopt(&a, &before);
            buf_done(&before);
        }
        if (r != CTL_DONE)
            _exit(1);
    }
    _exit(0);
}

static void many_at_once(void **state)
{
    static char text[4096];
    pid_t pids[WORKERS];
    (void)state;
    for (int i = 0; i < WORKERS; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
            (void)dup2(fd, STDERR_FILENO);
            adopt_some(i);
        }
    }
    for (int i = 0; i < WORKERS; i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    size_t lines = 0;
    (void)get(path, text, sizeof(text));
    for (const char *s = text; (s = strchr(s, '\n')); s++)
        lines++;
    assert_int_equal(lines, 1 + WORKERS * EACH); /* what was said to be written is there */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_stands_beside_it, begin, end),
        cmocka_unit_test_setup_teardown(an_editor_saves_meanwhile, begin, end),
        cmocka_unit_test_setup_teardown(many_at_once, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
