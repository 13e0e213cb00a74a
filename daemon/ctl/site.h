/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_SITE_H
#define CTL_SITE_H
/*
 * site — the files of a gateway as gaihouctl reads them itself, without a daemon: configuration,
 * catalogue, registry, profiles, rules. Problems are told on stderr as --check tells them.
 */
#include "core/conf.h"
#include "core/profile.h"
#include "core/registry.h"
#include "core/rules.h"

struct site {
    struct conf *conf; /* NULL: opened by its parts */
    struct catalog *catalog;
    struct registry *registry;    /* once site_registry was called */
    struct profile_set *profiles; /* once site_profiles was called */
    struct rules *rules;          /* once site_rules was called */
    struct zone *zone;
    char *catalog_text;
    struct profile_text *files;
    struct rules_text *rule_files;
    size_t n_files, n_rule_files;
};

/* Everything: 0 or an exit code of ctl, told. A site that failed needs site_close too. */
int site_open(struct site *s, const char *config);
/* Without configuration: the catalogue (NULL: the installed one), times are `timezone`'s. */
int site_open_catalog(struct site *s, const char *catalog, const char *timezone);
/* The profiles of the configuration, or those that `patterns` find (shell patterns; one that finds
 * nothing is an error, but of the configuration's). Warnings are told only if `warn`. */
int site_profiles(struct site *s, const char *const *patterns, size_t n, bool warn);
/* The rules of the configuration, or those that `patterns` find, in the same way. */
int site_rules(struct site *s, const char *const *patterns, size_t n, bool warn);
/* compounds.csv and params.csv of the configuration, with this text as devices.csv (NULL: as the
 * configuration says). May be called again. */
int site_registry(struct site *s, const char *devices, size_t len);
void site_close(struct site *s);

/* Every problem as a line on stderr; how many errors. */
size_t site_tell(const struct problems *p);
/* A whole file, or standard input for "-"; NUL-terminated with JSON_PADDING more zeros behind. */
int site_read(const char *path, size_t max, char **out, size_t *out_len);

#endif
