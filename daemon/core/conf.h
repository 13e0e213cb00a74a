/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_CONF_H
#define CORE_CONF_H
/*
 * conf — the configuration file (gaihou.conf(5)).
 *
 * One option table (core/conf_table.c) serves parsing, defaults, validation, --print-config,
 * the man page and the example file; a test holds them together. conf_parse reports every
 * problem in one pass. Relative paths are made absolute against the file's folder. Secrets are
 * named by file, never by value, and read by io/secret; nothing here holds one. Immutable after
 * parsing.
 *
 * Rules across options are checked here (who names whom, what belongs to a sink's type, which
 * limits fit together). What needs other files is not: that the time zone exists, that files
 * can be read, that QoS 0 carries no life-safety device. The lane's suffix `-ls` on client ids,
 * data folder and socket is added by the app; conf holds what the file says.
 *
 * Pure; needs the file's absolute name to resolve the paths in it. Thread-safe on different
 * objects.
 */
#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

enum conf_lane { CONF_LANE_ALL, CONF_LANE_ROUTINE, CONF_LANE_LIFE_SAFETY };
enum conf_sync { CONF_SYNC_ALWAYS, CONF_SYNC_INTERVAL, CONF_SYNC_NEVER };
enum conf_sink_type { CONF_INFLUXDB1, CONF_INFLUXDB2, CONF_INFLUXDB3, CONF_VICTORIAMETRICS };
enum conf_on_full { CONF_SHED, CONF_PAUSE };

struct conf_list {
    const char **items;
    size_t n;
};

struct conf_gateway {
    const char *id, *timezone, *language, *data_dir; /* language: "zh" or "en" */
    int lane;                                        /* enum conf_lane */
};

struct conf_tls {
    const char *ca_file, *cert_file, *key_file; /* absolute paths; NULL: not given */
    const char *key_password_file;              /* for secret_load; NULL: not given */
};

struct conf_broker {
    const char *id, *client_id, *username, *share_group; /* client_id is always set */
    const char *password_file; /* for secret_load: absolute path, or a credential's name */
    struct conf_list
        url; /* ≥ 1, mqtt:// or mqtts://, fail over in order; port may be missing */
    struct conf_tls tls;
    uint64_t session_expiry_s, keepalive_s;
    uint64_t receive_maximum, max_packet_bytes;
    int line; /* where it stands in the file, for later checks */
};

struct conf_source {
    const char *profile, *broker; /* the world says whether there is such a profile */
    uint64_t qos;
    struct conf_list topics; /* empty: the profile's own */
    int line;
};

/* Fields that do not belong to the type are NULL; those it needs are there. */
struct conf_sink {
    const char *url; /* http:// or https://, without a slash at its end: append "/write" */
    const char *id, *database, *retention_policy, *org, *bucket;
    const char *username, *ca_file;
    const char *password_file, *token_file; /* for secret_load */
    int type;                               /* enum conf_sink_type */
    struct {
        uint64_t lines, bytes, age_ns;
    } batch;
    bool gzip;
    uint64_t in_flight, timeout_ns, max_bytes;
    int on_full;          /* enum conf_on_full */
    bool alarms_may_stop; /* pause also where rules are loaded */
    int line;
};

struct conf_journal {
    uint64_t max_bytes, segment_bytes, sync_interval_ns;
    int sync; /* enum conf_sync */
    struct {
        uint64_t keep_s, max_bytes; /* max_bytes 0: no archive */
    } archive;
};

struct conf {
    const char *file;
    struct conf_gateway gateway;
    struct conf_broker *brokers;
    struct conf_source *sources;
    struct conf_sink *sinks;
    size_t n_brokers, n_sources, n_sinks;
    const char *catalog;
    /* Absolute patterns of files' names, as conf_glob takes them apart. */
    struct conf_list profiles;
    struct conf_list rules; /* likewise */
    struct {                /* broker NULL: alerts go nowhere (but to the databases) */
        const char *broker,
            *prefix; /* id of a broker; topics below it, without slash at its end */
    } alerts;
    struct {
        const char *compounds, *devices, *params; /* NULL: not given */
    } registry;
    struct conf_journal journal;
    struct {
        const char *listen, *socket, *token_file; /* NULL: off */
    } http;
    struct {
        int level; /* enum log_level */
    } log;
    struct {
        uint64_t dead_bytes, quarantine_devices; /* ceilings of the store */
        uint64_t keep_s;                         /* history of alarms */
    } store;
};

#define CONF_MAX_BYTES (1024 * 1024) /* of a configuration file */

/* file: its absolute name, the folder of relative paths. Problems come sorted by line, those
 * without one last; warnings alone do not refuse the file. */
int conf_parse(const char *text, size_t len, const char *file, struct problems *problems,
               struct conf **out); /* 0 or -EINVAL */
/* What a configuration that conf_parse has refused says of other files all the same, so that they can
 * be looked at in the same pass: of its options only catalog, registry, profiles, rules and
 * gateway.timezone count, NULL or empty where one was refused itself or may be what a key that nobody
 * knows was to be; the registry as a whole. NULL: nothing can be said, it is not even YAML. */
struct conf *conf_parse_files(const char *text, size_t len, const char *file);
void conf_free(struct conf *c);
/* Where the file gives an option ("sources.profile", "registry.devices") of an item (&c->sources[i];
 * NULL: of none), for who finds later what is wrong with it. Without the option the place of the item;
 * without that 0. */
struct conf_place {
    int line, col;
};
struct conf_place conf_place(const struct conf *c, const void *item, const char *path);
/* The effective configuration as YAML that conf_parse reads back to the same. */
int conf_print(const struct conf *c, struct buf *out);
/* The first option that differs and cannot change without a restart, or NULL; lists by id:
 * "sinks.influx.url", and "sinks" when the ids themselves differ. Static or of `next`: stays as
 * long as `next`. */
const char *conf_needs_restart(const struct conf *now, const struct conf *next);
/* A pattern of `profiles` or `rules`: its folder with the slash (up to *out_name) and the pattern of the file
 * names in it; true when it is one (`*`, `?` or `[` in it), false when it is one file's name. */
bool conf_glob(const char *pattern, const char **out_name);
/* The pattern that is there without being given: that it finds nothing is no error. */
bool conf_is_default_glob(const struct conf *c, const char *pattern);
/* Words as the file writes them: "influxdb2", "life-safety", "interval", "pause". */
const char *conf_sink_type_name(int type);
const char *conf_lane_name(int lane);

#endif
