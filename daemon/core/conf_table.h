/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_CONF_TABLE_H
#define CORE_CONF_TABLE_H
/*
 * conf_table — every option of the configuration, once.
 *
 * Parsing, defaults, ranges, --print-config, what needs a restart, gaihou.conf(5) and the
 * example file all read this table. Options stand in the order in which people should meet
 * them; those of one section stand together. Internal to conf and to the generator of the
 * documents.
 */
#include "base/buf.h"
#include "core/conf.h"

#include <stdbool.h>

enum conf_type {
    CONF_STRING, /* one line of text */
    CONF_CODE,   /* [A-Za-z0-9._-], 1 to 64, not starting with a dot */
    CONF_WORD,   /* one of `words`; stored as text */
    CONF_ENUM,   /* one of `words`; stored as int, min + index */
    CONF_PATH,   /* made absolute against the file's folder */
    CONF_SECRET, /* the same, but a name without a slash is a systemd credential's */
    CONF_BOOL,
    CONF_INT,       /* min … max */
    CONF_SIZE,      /* bytes */
    CONF_SECONDS,   /* a duration stored in seconds */
    CONF_NANOS,     /* a duration stored in nanoseconds */
    CONF_ZONE,      /* time zone name */
    CONF_LISTEN,    /* ADDRESS:PORT */
    CONF_HTTP_URL,  /* http:// or https:// */
    CONF_MQTT_URLS, /* one, or a list of, mqtt:// or mqtts:// */
    CONF_TOPICS,    /* list of MQTT topic filters */
    CONF_GLOBS,     /* list of paths, whose file names may be patterns (glob(7)) */
};

#define CONF_DEFAULT_PROFILES "profiles/*.yaml"
#define CONF_DEFAULT_RULES    "rules/*.yaml"

/* Which structure `offset` is an offset into. */
enum conf_home { CONF_IN_ROOT, CONF_IN_BROKER, CONF_IN_SOURCE, CONF_IN_SINK };

enum {
    CONF_REQUIRED = 1,
    CONF_NULLABLE = 2, /* null switches it off although it has a default */
    CONF_LIVE = 4,     /* changes on reload; all others need a restart */
};

struct conf_option {
    const char *path; /* "sinks.batch.lines" */
    enum conf_type type;
    enum conf_home home;
    size_t offset;
    unsigned flags;
    const char *def;          /* as the file would write it; NULL: none */
    uint64_t min, max;        /* in what is stored; strings: min unused, max bytes */
    const char *const *words; /* NULL-terminated */
    const char
        *shown; /* without a default: the example's value; with '#' first: commented out */
    const char *help; /* one line, beside the option in the example file */
    const char *man;  /* more, for gaihou.conf(5), in mdoc; may be NULL */
    const char *zh;   /* one line in Chinese */
};

extern const struct conf_option conf_options[];
extern const size_t conf_options_n;

/* Sections that are lists of mappings, and the ceiling of their length. */
struct conf_section {
    const char *path; /* "gateway", "brokers.tls" */
    bool list;
    enum conf_home home; /* of its options */
    size_t max;
    const char *help, *man, *zh;
};
extern const struct conf_section conf_sections[];
extern const size_t conf_sections_n;

/* Keys of other versions: refused, but not called a typo. NULL-terminated. */
extern const char *const conf_later_keys[];

const struct conf_option *conf_option_find(const char *path, size_t len);
const struct conf_section *conf_section_find(const char *path, size_t len);

/* Values as the file writes them. */
int conf_put_size(struct buf *b, uint64_t bytes);
int conf_put_duration(struct buf *b,
                      uint64_t ns); /* the largest unit that is exact; ns ≥ 1 ms exact */
int conf_put_string(struct buf *b,
                    const char *s); /* quoted when YAML would take it for something else */
int conf_put_value(struct buf *b, const struct conf_option *o, const void *base);
int conf_put_range(struct buf *b, const struct conf_option *o); /* "1KiB to 8MiB" */

#endif
