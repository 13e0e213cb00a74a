/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_SPARKPLUG_PRIVATE_H
#define CORE_SPARKPLUG_PRIVATE_H
/* sparkplug_private — what the files of sparkplug share. */
#include "base/table.h"
#include "core/sparkplug.h"

struct sp_metric {
    uint64_t alias;
    uint32_t name_at; /* in names */
    uint16_t name_len;
    uint8_t datatype; /* 0: none said */
    bool has_alias;
};

/* What one NBIRTH or DBIRTH said. */
struct sp_birth {
    struct sp_metric *metrics; /* those with alias first, by alias; equal ones as they came */
    uint16_t *by_name;
    char *names;
    uint32_t n, names_len;
};

struct sp_device {
    char *id;
    uint32_t id_len;
    struct sp_birth birth;
};

enum { SP_WINDOW = 64 };

struct sp_node {
    uint32_t broker;
    char *key; /* GROUP/NODE */
    uint32_t key_len;
    bool alive, has_bdseq, stamped; /* stamped: its birth had a time stamp */
    bool incomplete;                /* a birth was refused: unknown aliases are no surprise */
    uint8_t seq;                    /* the newest had */
    uint64_t bdseq, birth_hash, died;
    uint64_t had; /* bit i: the one of the last SP_WINDOW numbers whose value modulo it is i */
    uint32_t hashes[SP_WINDOW];
    struct sp_birth birth;
    struct sp_device *devices;
    uint32_t n_devices;
};

struct sparkplug {
    struct sp_node **nodes;
    uint32_t n;
    uint64_t deaths;
    size_t metrics, text; /* in all births; devices count as metrics, their ids as text */
    struct table index;   /* of nodes by broker and key */
};

/* Metrics being collected for a birth; add fails (false) past the ceilings of one node. */
struct sp_list {
    struct sp_metric *metrics;
    struct buf names;
    uint32_t n, cap;
};
void sp_list_init(struct sp_list *l);
void sp_list_done(struct sp_list *l);
bool sp_list_add(struct sp_list *l, const char *name, size_t len, bool has_alias,
                 uint64_t alias, uint8_t datatype);

/* Takes the list into the birth of the node, or of its device (made if new), in place of what
 * was there. False past the ceilings: then the birth is empty, or the device not there. */
bool sp_node_born(struct sparkplug *s, struct sp_node *n, struct sp_list *l);
bool sp_device_born(struct sparkplug *s, struct sp_node *n, const char *id, size_t len,
                    struct sp_list *l);
struct sp_device *sp_device_find(const struct sp_node *n, const char *id, size_t len);
void sp_device_remove(struct sparkplug *s, struct sp_node *n, struct sp_device *d);
/* Forgets births and devices. */
void sp_node_clear(struct sparkplug *s, struct sp_node *n);

struct sp_node *sp_node_find(const struct sparkplug *s, uint32_t broker, const char *key,
                             size_t len);
/* NULL when there is no place left; one long gone makes room. */
struct sp_node *sp_node_add(struct sparkplug *s, uint32_t broker, const char *key, size_t len);
void sp_clear(struct sparkplug *s);

const struct sp_metric *sp_by_alias(const struct sp_birth *b, uint64_t alias);
const struct sp_metric *sp_by_name(const struct sp_birth *b, const char *name, size_t len);

#endif
