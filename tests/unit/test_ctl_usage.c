/* SPDX-License-Identifier: Apache-2.0 */
/* usage: what --help prints, and when it is asked for. */
#include "unit.h"

#include "base/mem.h"
#include "ctl/usage.h"

static char *printed(const char *command, const char *verb)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    assert_non_null(f);
    assert_true(usage_print(f, command, verb));
    (void)fclose(f);
    return text;
}

static void says(const char *command, const char *verb, const char *want)
{
    char *text = printed(command, verb);
    assert_string_equal(text, want);
    free(text);
}

static void has(const char *command, const char *verb, const char *want, const char * not )
{
    char *text = printed(command, verb);
    if (strncmp(text, "usage: gaihouctl ", 17) != 0 || !strstr(text, want) ||
        (not &&strstr(text, not )))
        fail_msg("%s %s: %s", command, verb ? verb : "", text);
    free(text);
}

static void a_verb_has_its_lines(void **state)
{
    (void)state;
    says("reload", NULL, "usage: gaihouctl reload\n");
    says("reload", "--help", "usage: gaihouctl reload\n");
    says("journal", "replay",
         "usage: gaihouctl journal replay FILE|-\n"
         "DIR is the gateway's data folder (/var/lib/gaihou) or a folder of segments in it.\n");
    says("rules", "backtest",
         "usage: gaihouctl rules backtest --from T [--to T] [--rules GLOB ...] [--catalog "
         "FILE]\n"
         "                 [--diff] [--list] [--dir DIR] [--json]\n"
         "                 T: a day (2026-11-20), a time (RFC 3339), or an age (30d)\n");
    has("dead", "replay", "dead [list|replay|purge]", "show ID");
    has("dead", "replay", "\n       gaihouctl dead replay --sink ID", NULL);
    has("dead", "show", "dead show ID\n", "replay");
    has("journal", "verify", "journal info|verify", "dump");
    has("alerts", "tests", "alerts tests [device", "show");
    has("alerts", NULL, "alerts show CASE", NULL);
    has("alerts", "C-1", "alerts tests", NULL); /* no verb: all */
    has("devices", "li", "audit", NULL);        /* nor is the beginning of one */
    has("ack", "C-1", "usage: gaihouctl ack CASE", "@");
    has("unshelve", NULL, "\n       gaihouctl unshelve [--compound C]", "@");
    has("untest", NULL, "usage: gaihouctl untest device/D", "CASE");
    assert_false(usage_print(stderr, "akc", NULL));
}

static void when_it_is_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *words[6];
        bool asked;
    } t[] = {
        {{"rules", "test", "--help"}, true},
        {{"journal", "dump", "--json", "-h"}, true},
        {{"alerts", "-h"}, true},
        {{"alerts"}, false},
        {{"ack", "C", "--note", "-h"}, false},
        {{"ack", "C", "--note", "x", "-h"}, true},
        {{"decode", "--helpful", "-hh"}, false},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        int n = 0;
        while (n < 6 && t[i].words[n])
            n++;
        if (usage_asked(n, (char **)(uintptr_t)t[i].words) != t[i].asked)
            fail_msg("%zu", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_verb_has_its_lines),
        cmocka_unit_test(when_it_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
