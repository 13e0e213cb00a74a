/* SPDX-License-Identifier: Apache-2.0 */
/* gaihouctl journal on the fixtures of tests/data/journal: what it prints and how it exits. */
#include "ctl/journal.h"
#include "unit/scratch.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/wait.h>
#include <cmocka.h>

enum { MOST = 12 };
static char out[1 << 20];

/* Runs it as a process of its own; stdout and stderr come into `out`. */
static int run(const char *const *args)
{
    char *argv[MOST] = {(char *)(uintptr_t) "journal"};
    int argc = 1, status;
    for (; args[argc - 1]; argc++)
        argv[argc] = (char *)(uintptr_t)args[argc - 1];
    FILE *f = tmpfile();
    assert_non_null(f);
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(fileno(f), 1);
        (void)dup2(fileno(f), 2);
        _exit(ctl_journal(argc, argv));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    rewind(f);
    size_t n = fread(out, 1, sizeof(out) - 1, f);
    out[n] = '\0';
    (void)fclose(f);
    return WEXITSTATUS(status);
}

#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})
#define DATA     "tests/data/journal/"

static unsigned lines(void)
{
    unsigned n = 0;
    for (const char *p = out; (p = strchr(p, '\n')); p++)
        n++;
    return n;
}

static void has(const char *text)
{
    if (!strstr(out, text))
        fail_msg("\"%s\" is not in:\n%s", text, out);
}

static void test_usage(void **state)
{
    (void)state;
    assert_int_equal(RUN("frobnicate"), 64);
    has("usage: gaihouctl journal");
    assert_int_equal(run((const char *const[]){NULL}), 64);
    assert_int_equal(RUN("dump", "--from"), 64);
    assert_int_equal(RUN("dump", "--from", "x"), 64);
    has("\"x\" is not a number");
    assert_int_equal(RUN("info", "--dir", "/nowhere"), 1);
    has("no journal in /nowhere");
}

static void test_info(void **state)
{
    (void)state;
    assert_int_equal(RUN("info", "--dir", DATA "good"), 0);
    has("segments   3 (3 sealed), 40960 bytes");
    has("messages   25");
    has("clean stop");
    assert_int_equal(RUN("info", "--dir", DATA "torn-tail", "--json"), 0);
    has("\"clean\":false");
    has("\"messages\":24");
    assert_int_equal(RUN("info", "--dir", DATA "future"), 1);
    has("newer version");
}

static void test_verify(void **state)
{
    (void)state;
    static const struct {
        const char *kind;
        int exit;
        const char *says;
    } kinds[] = {
        {"good", 0, "good: 26 records verify, 25 of them messages"},
        {"zero-tail", 0, "good: 25 records"},
        {"torn-tail", 0, "torn end: "},
        {"stale", 0, "torn end: "},
        {"bad-body", 1, "bad: offsets 8320 to 9376, 1 messages lost"},
        {"bad-length", 1, "1 messages lost"},
        {"zero-length", 1, "1 messages lost"},
        {"bad-header", 1, "bad: offsets 8320 to 10432, 2 messages lost"},
        {"truncated", 1, "8 messages lost"},
        {"wrong-magic", 1, "1 segments have no readable header"},
        {"missing", 1, "segments are missing at 1 places"},
        {"header-rot", 1, "1 headers or seals are damaged; the copy was used"},
        {"empty-file", 1, "1 segments have no readable header"},
        {"future", 1, "newer version"},
    };
    char dir[100];
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        (void)snprintf(dir, sizeof(dir), DATA "%s", kinds[i].kind);
        assert_int_equal(RUN("verify", "--dir", dir), kinds[i].exit);
        has(kinds[i].says);
    }
    assert_int_equal(RUN("verify", "--dir", DATA "missing", "--json"), 1);
    has("{\"good\":false,\"records\":15,\"messages\":14,\"bad_stretches\":1,\"messages_lost\":"
        "11,");
}

static void test_dump(void **state)
{
    (void)state;
    assert_int_equal(RUN("dump", "--dir", DATA "good"), 0);
    assert_int_equal(lines(), 26);
    has("gaihou/v1/up/p1 bcdefghij");
    has(" stop ");
    assert_int_equal(RUN("dump", "--dir", DATA "good", "--topic", "gaihou/v1/", "--limit", "3"),
                     0);
    assert_int_equal(lines(), 3);
    assert_int_equal(
        RUN("dump", "--dir", DATA "good", "--from", "8320", "--to", "10432", "--json"), 0);
    assert_int_equal(lines(), 2);
    has("{\"offset\":8320,\"type\":\"message\",");
    has("\"topic\":\"gaihou/v1/up/p1\",\"bytes\":993,\"body\":\"fghij");
    assert_int_equal(RUN("dump", "--dir", DATA "bad-body"), 0);
    has("8320         bad up to 9376, 1 messages lost");
    assert_int_equal(RUN("dump", "--dir", DATA "good", "--from", "99999999"), 1);
    has("offset 99999999 is not in the journal: 4096 to ");
}

static void test_export(void **state)
{
    (void)state;
    assert_int_equal(RUN("export", "--dir", DATA "good", "--limit", "1"), 0);
    assert_int_equal(lines(), 1);
    has("\"payload_base64\":\"YmNkZWZnaGlq");
    assert_int_equal(RUN("export", "--dir", DATA "good"), 0);
    assert_int_equal(lines(), 25); /* messages alone */
    assert_int_equal(RUN("export", "--dir", DATA "good", "--limit", "24"), 0);
    assert_int_equal(lines(), 24); /* messages, whatever lies between them */
    assert_int_equal(RUN("export", "--dir", DATA "bad-body"), 1);
    has("1 messages do not verify and are left out");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usage),  cmocka_unit_test(test_info),
        cmocka_unit_test(test_verify), cmocka_unit_test(test_dump),
        cmocka_unit_test(test_export),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
