/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/usage.h"
#include "ctl/exit.h"

#include <string.h>

static const char work[] =
    "usage: gaihouctl @ CASE… [--by NAME] [--note TEXT] [--version N]\n"
    "                 [--for DURATION | --until TIME] [--to NAME] [--photo URL]\n"
    "       gaihouctl @ [--compound C] [--district D] [--street S] [--community C] [--grid G]\n"
    "                 [--building B] [--firm F] [--device D] [--rule R] [--severity S]\n"
    "                 [--yes] …\n";
static const char test[] =
    "usage: gaihouctl @ device/D|building/C/B|compound/C… [--by NAME] [--note TEXT]\n"
    "                 [--for DURATION | --until TIME]\n";

/* A verb's lines begin with `gaihouctl COMMAND VERB` or `… VERB|VERB` and go on indented; what is not
 * indented is for all. @: the command's name. */
static const struct usage {
    const char *command, *text;
} usages[] = {
    {"status", "usage: gaihouctl status\n"},
    {"top", "usage: gaihouctl top\n"},
    {"compounds", "usage: gaihouctl compounds\n"},
    {"ledger", "usage: gaihouctl ledger\n"},
    {"reload", "usage: gaihouctl reload\n"},
    {"alerts",
     "usage: gaihouctl alerts [list|watch|history] [--state open|closed|any] [--compound C]\n"
     "                 [--district D] [--street S] [--community C] [--grid G]\n"
     "                 [--building B] [--firm F] [--device D] [--rule R] [--severity S]\n"
     "                 [--case ID] [--from T] [--to T] [--limit N] [--before ID]\n"
     "       gaihouctl alerts show CASE\n"
     "       gaihouctl alerts orphaned\n"
     "       gaihouctl alerts tests [device/D|building/C/B|compound/C] [--from T] [--to T]\n"
     "                 [--kind K]\n"},
    {"ack", work},
    {"accept", work},
    {"arrive", work},
    {"resolve", work},
    {"confirm", work},
    {"feedback", work},
    {"close", work},
    {"reject", work},
    {"transfer", work},
    {"rework", work},
    {"reset", work},
    {"shelve", work},
    {"unshelve", work},
    {"test", test},
    {"untest", test},
    {"devices",
     "usage: gaihouctl devices [list|silent] [--compound C] [--limit N] [--after N]\n"
     "       gaihouctl devices show ID\n"
     "       gaihouctl devices audit --period P [--vendor V] [--model M] [--compound C]\n"
     "                 [--by-device] [--csv] [--json] [--dir DIR]\n"
     "                 P: a month (2026-11), a day (2026-11-20), days\n"
     "                 (2026-11-01..2026-11-15) or the last ones (7d), in the gateway's\n"
     "                 time zone. DIR: its data folder, stopped or running\n"},
    {"quarantine",
     "usage: gaihouctl quarantine [list|purge] [--device ID] [--topic PREFIX] [--limit N]\n"
     "                 [--before ID]\n"
     "       gaihouctl quarantine show DEVICE\n"
     "       gaihouctl quarantine adopt DEVICE [--device CODE] [--kind K] [--compound C]\n"
     "                 [--building B] [--COLUMN VALUE ...] [--file devices.csv]\n"
     "                 [--config FILE] [--dry-run]\n"
     "       gaihouctl quarantine adopt DEVICE --replay\n"},
    {"dead", "usage: gaihouctl dead [list|replay|purge] [--id N] [--reason R] [--topic PREFIX] "
             "[--limit N]\n"
             "                 [--before ID]\n"
             "       gaihouctl dead show ID\n"
             "       gaihouctl dead replay --sink ID [--id N] [--reason R] [--limit N]\n"},
    {"journal",
     "usage: gaihouctl journal info|verify [--dir DIR] [--json]\n"
     "       gaihouctl journal replay FILE|-\n"
     "       gaihouctl journal dump [--dir DIR] [--from OFFSET] [--to OFFSET] [--limit N]\n"
     "                 [--topic PREFIX] [--json]\n"
     "       gaihouctl journal export [--dir DIR] [--from OFFSET] [--to OFFSET] [--limit N]\n"
     "                 [--topic PREFIX]\n"
     "DIR is the gateway's data folder (/var/lib/gaihou) or a folder of segments in "
     "it.\n"},
    {"decode",
     "usage: gaihouctl decode --profile P [--topic T] [--kind K] [--hex | --base64 | --jsonl]\n"
     "                 [--config FILE | --profiles GLOB... --catalog FILE\n"
     "                 [--timezone ZONE]] [--json] FILE|-\n"
     "FILE holds one message; with --jsonl one a line: {\"topic\":..., \"payload\":...} or\n"
     "\"payload_hex\" or \"payload_base64\" instead.\n"},
    {"profile",
     "usage: gaihouctl profile list [FILES]\n"
     "       gaihouctl profile unknown [--profile NAME]\n"
     "       gaihouctl profile test FILE... [FILES]\n"
     "       gaihouctl profile new --name NAME [--topic T] [--hex | --base64] [--out FILE]\n"
     "                 [FILES] SAMPLE...\n"
     "FILES: --config FILE | --catalog FILE [--profiles GLOB ...] [--timezone ZONE]\n"},
    {"rules",
     "usage: gaihouctl rules check [FILE...] [--config FILE | --catalog FILE]\n"
     "       gaihouctl rules test FILE... [--run REGEX] [--junit FILE] [--coverage] [--diff]\n"
     "                 [--config FILE | --catalog FILE]\n"
     "       gaihouctl rules backtest --from T [--to T] [--rules GLOB ...] [--catalog FILE]\n"
     "                 [--diff] [--list] [--dir DIR] [--json]\n"
     "                 T: a day (2026-11-20), a time (RFC 3339), or an age (30d)\n"
     "       gaihouctl rules explain CASE [--dir DIR] [--json]\n"},
};

static const char *text_of(const char *command)
{
    for (size_t i = 0; i < sizeof(usages) / sizeof(usages[0]); i++)
        if (strcmp(usages[i].command, command) == 0)
            return usages[i].text;
    return NULL;
}

static bool is_among(const char *words, size_t n, const char *verb)
{
    size_t len = strlen(verb);
    for (const char *end = words + n; words < end; words += strcspn(words, "|") + 1)
        if (strncmp(words, verb, len) == 0 && strchr("| ]\n", words[len]))
            return true;
    return false;
}

/* Is it the line of one verb or several: 1 this one's, 0 another's, -1 no line of a verb. */
static int whose(const char *line, const char *command, const char *verb)
{
    if (strncmp(line + strlen("usage: "), "gaihouctl ", 10) != 0)
        return -1;
    const char *s = line + strlen("usage: gaihouctl ") + strlen(command) + 1;
    s += *s == '[';
    return is_among(s, strcspn(s, " ]\n"), verb);
}

static void put_line(FILE *to, const char *line, size_t n, const char *command, bool first)
{
    const char *begin = first ? "usage: " : "       ";
    const char *name = memchr(line, '@', n);
    if (strncmp(line + strlen("usage: "), "gaihouctl ", 10) == 0) {
        (void)fputs(begin, to);
        line += strlen(begin);
        n -= strlen(begin);
    }
    if (name) {
        (void)fprintf(to, "%.*s%s", (int)(name - line), line, command);
        n -= (size_t)(name + 1 - line);
        line = name + 1;
    }
    (void)fprintf(to, "%.*s\n", (int)n, line);
}

bool usage_print(FILE *to, const char *command, const char *verb)
{
    const char *text = text_of(command);
    bool own = false, shown = true, first = true;
    if (!text)
        return false;
    for (const char *s = text; verb && *s; s += strcspn(s, "\n") + 1)
        own = own || whose(s, command, verb) == 1;
    for (const char *s = text; *s; s += strcspn(s, "\n") + 1) {
        int mine = own ? whose(s, command, verb) : 1;
        shown = mine < 0 ? shown || *s != ' ' : mine;
        if (!shown)
            continue;
        put_line(to, s, strcspn(s, "\n"), command, first);
        first = false;
    }
    return true;
}

int usage_wrong(const char *command, const char *verb)
{
    (void)usage_print(stderr, command, verb);
    return CTL_USAGE;
}

bool usage_asked(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if ((strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) &&
            strcmp(argv[i - 1], "--note") != 0)
            return true;
    return false;
}
