/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_TOOLS_H
#define CTL_TOOLS_H
/*
 * tools — commands that need no daemon and read the files themselves: decode, profile, rules. No jansson
 * here. Each returns the exit code; what is wrong is told on stderr.
 */
#include <stdbool.h>
#include <stddef.h>

struct site;

/* gaihouctl decode, profile list|test|new, rules …; argv[0]: the command; json: --json stood before it. */
int tools_decode(bool json, int argc, char **argv);
int tools_profile(bool json, int argc, char **argv);
int tools_rules(bool json, int argc, char **argv); /* ctl/rules.h; explain needs --dir */
struct profile_new_options {
    const char *name, *topic, *out; /* topic, out: NULL none */
    bool hex, base64;               /* sample files hold bytes as such a text */
};
int tools_profile_new(struct site *s, const struct profile_new_options *o, char **samples,
                      size_t n);

#define TOOLS_PATTERNS 16
/* What both have in common: where catalogue and profiles come from. */
struct tools_files {
    const char *config, *catalog, *timezone;
    const char *profiles[TOOLS_PATTERNS];
    size_t n_profiles;
};
/* Takes --config, --catalog, --timezone, --profiles and their values out of argv; false: one lacks
 * its value, told. */
bool tools_take_files(struct tools_files *f, int *argc, char **argv);
bool tools_take_flag(int *argc, char **argv, const char *name);
/* --name VALUE or --name=VALUE; NULL when it is not there. *ok false: no value, told. */
const char *tools_take(int *argc, char **argv, const char *name, bool *ok);
/* Opens catalogue (and profiles: those given, or the configuration's). */
int tools_open(struct site *s, const struct tools_files *f, bool profiles);

#endif
