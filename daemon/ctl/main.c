/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "ctl/ctl.h"
#include "ctl/tools.h"
#include "ctl/usage.h"
#include "base/err.h"

#include <curl/curl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: gaihouctl [--socket PATH | --url URL] [--token-file FILE] [--json] COMMAND\n\n"
    "  status                     health at a glance\n"
    "  top                        the same, live (q ends it)\n"
    "  alerts [list|show|watch|history]     open cases, one of them, what changed\n"
    "  alerts tests [SCOPE]       what is in test mode; which devices alarmed in a test\n"
    "  ack|accept|arrive|resolve|confirm|feedback|close|reject|transfer|rework|reset|\n"
    "  shelve|unshelve CASE… [--by NAME] [--note TEXT]   or on a filter, previewed first\n"
    "  test|untest device/D|building/C/B|compound/C      what it raises is marked as a test\n"
    "  devices [list|show|silent] what is known of devices\n"
    "  devices audit --period P   availability, bad values, silence by vendor and model\n"
    "  compounds                  the compounds\n"
    "  quarantine [list|show|adopt|purge]   devices that the registry does not know\n"
    "  dead [list|show|replay|purge]        what could not be used\n"
    "  ledger                     the accounts, per compound\n"
    "  journal info|verify|dump|export      works on a stopped gateway's folder too\n"
    "  journal replay FILE|-                takes exported messages up again\n"
    "  decode --profile P FILE|-  what one message says; needs no daemon\n"
    "  profile list|test|new      vendors' profiles; needs no daemon\n"
    "  profile unknown            what messages say and nobody uses\n"
    "  rules check|test|backtest  rule files, their tests, and what they would have raised\n"
    "  rules explain CASE         why an alarm was raised\n"
    "  reload                     reads the configuration again, or says why not\n"
    "  version, help\n\n"
    "Exit: 0 done, 1 refused or not found, 2 the daemon cannot be reached, 64 usage.\n";

static int decode(const struct ctl *c, int argc, char **argv)
{
    return tools_decode(c->json, argc, argv);
}

/* Only what a running gateway has met asks it. */
static int profile(const struct ctl *c, int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "unknown") == 0)
        return ctl_profile_unknown(c, argc - 1, argv + 1);
    return tools_profile(c->json, argc, argv);
}

/* Only what a running gateway can explain asks it. */
static int rules(const struct ctl *c, int argc, char **argv)
{
    bool folder = false;
    for (int i = 2; i < argc; i++)
        folder |= strncmp(argv[i], "--dir", 5) == 0;
    if (argc > 1 && strcmp(argv[1], "explain") == 0 && !folder)
        return ctl_rules_explain(c, argc - 1, argv + 1);
    return tools_rules(c->json, argc, argv);
}

static const struct command {
    const char *name;
    ctl_fn *fn;
} commands[] = {
    {"status", ctl_status},       {"top", ctl_top},       {"devices", ctl_devices},
    {"compounds", ctl_compounds}, {"dead", ctl_dead},     {"quarantine", ctl_quarantine},
    {"ledger", ctl_ledger},       {"reload", ctl_reload}, {"decode", decode},
    {"profile", profile},         {"alerts", ctl_alerts}, {"ack", ctl_work},
    {"accept", ctl_work},         {"arrive", ctl_work},   {"resolve", ctl_work},
    {"confirm", ctl_work},        {"feedback", ctl_work}, {"close", ctl_work},
    {"reject", ctl_work},         {"transfer", ctl_work}, {"rework", ctl_work},
    {"reset", ctl_work},          {"shelve", ctl_work},   {"unshelve", ctl_work},
    {"test", ctl_work},           {"untest", ctl_work},   {"rules", rules},
};
#define N_COMMANDS (sizeof(commands) / sizeof(*commands))

static struct ctl_param *option_of(const char *name, size_t len, struct ctl_param *params,
                                   size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strlen(params[i].key) == len && memcmp(params[i].key, name, len) == 0)
            return &params[i];
    return NULL;
}

void ctl_wrong_option(const char *a, const struct ctl_param *params, size_t n)
{
    const char *names[64];
    char word[64];
    size_t len = strcspn(a, "=");
    for (size_t i = 0; i < n && i < 64; i++)
        names[i] = params[i].key;
    if (strncmp(a, "--", 2) != 0) {
        fprintf(stderr, "gaihouctl: \"%s\" is one word too many here\n", a);
        return;
    }
    (void)snprintf(word, sizeof(word), "%.*s", (int)len - 2, a + 2);
    const char *near = err_nearest(word, names, n < 64 ? n : 64);
    fprintf(stderr, "gaihouctl: there is no option --%s here", word);
    if (near)
        fprintf(stderr, ", did you mean --%s?", near);
    for (size_t i = 0; i < n && !near; i++)
        fprintf(stderr, "%s--%s",
                i == 0      ? ", expected "
                : i + 1 < n ? ", "
                            : " or ",
                params[i].key);
    fputs("\n", stderr);
}

bool ctl_options(int argc, char **argv, struct ctl_param *params, size_t n,
                 const char **out_rest)
{
    for (int i = 0; i < argc; i++) {
        const char *a = argv[i];
        if (strncmp(a, "--", 2) != 0 && !*out_rest) {
            *out_rest = a;
            continue;
        }
        size_t len = strcspn(a, "=");
        struct ctl_param *p =
            strncmp(a, "--", 2) == 0 ? option_of(a + 2, len - 2, params, n) : NULL;
        if (!p) {
            ctl_wrong_option(a, params, n);
            return false;
        }
        p->value = a[len] ? a + len + 1 : i + 1 < argc ? argv[++i] : NULL;
        if (!p->value) {
            fprintf(stderr, "gaihouctl: %s lacks its value\n", a);
            return false;
        }
    }
    return true;
}

static int unknown(const char *name)
{
    const char *names[N_COMMANDS + 3] = {"journal", "help", "version"};
    for (size_t i = 0; i < N_COMMANDS; i++)
        names[i + 3] = commands[i].name;
    const char *near = err_nearest(name, names, N_COMMANDS + 3);
    fprintf(stderr, "gaihouctl: there is no command \"%s\"%s%s%s; see gaihouctl help\n", name,
            near ? ", did you mean \"" : "", near ? near : "", near ? "\"" : "");
    return CTL_USAGE;
}

/* All but replay need no daemon; --json may stand before the command like everywhere. */
static int journal(const struct ctl *c, int argc, char **argv)
{
    char json[] = "--json";
    if (argc > 1 && strcmp(argv[1], "replay") == 0)
        return ctl_replay(c, argc - 1, argv + 1);
    if (!c->json || argc < 2 || strcmp(argv[1], "export") == 0)
        return ctl_journal(argc, argv);
    char **longer = mem_zalloc_array((size_t)argc + 2, sizeof(*longer));
    memcpy(longer, argv, (size_t)argc * sizeof(*longer));
    longer[argc] = json;
    int code = ctl_journal(argc + 1, longer);
    free(longer);
    return code;
}

static int run(const struct ctl *c, int argc, char **argv)
{
    if (strcmp(argv[0], "help") == 0) {
        fputs(help, stdout);
        return CTL_DONE;
    }
    if (strcmp(argv[0], "version") == 0) {
        printf("gaihouctl %s\n", GAIHOU_VERSION);
        return CTL_DONE;
    }
    if (usage_asked(argc, argv) && usage_print(stdout, argv[0], argc > 1 ? argv[1] : NULL))
        return CTL_DONE;
    if (strcmp(argv[0], "journal") == 0)
        return journal(c, argc, argv);
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(argv[0], commands[i].name) == 0)
            return commands[i].fn(c, argc, argv);
    return unknown(argv[0]);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"socket", required_argument, NULL, 's'},
                                            {"url", required_argument, NULL, 'u'},
                                            {"token-file", required_argument, NULL, 't'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"version", no_argument, NULL, 'V'},
                                            {NULL, 0, NULL, 0}};
    struct ctl c = {.socket = "/run/gaihou/gaihou.sock"};
    static char *word[] = {"help", "version"};
    for (int o; (o = getopt_long(argc, argv, "+h", options, NULL)) != -1;) {
        if (o == 's')
            c.socket = optarg;
        else if (o == 'u')
            c.url = optarg;
        else if (o == 't')
            c.token_file = optarg;
        else if (o == 'j')
            c.json = true;
        else if (o == 'h' || o == 'V')
            return run(&c, 1, &word[o == 'V']);
        else
            return CTL_USAGE;
    }
    if (optind == argc) {
        fputs(help, stderr);
        return CTL_USAGE;
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    ctl_clock_of(&c);
    int code = run(&c, argc - optind, argv + optind);
    ctl_clock_done();
    curl_global_cleanup();
    return code;
}
