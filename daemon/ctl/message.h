/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_MESSAGE_H
#define CTL_MESSAGE_H
/*
 * message — decodes one message at a time without a daemon: by a vendor's profile or the native
 * one.
 */
#include "core/profile.h"

struct message {
    struct json *json;
    struct profile_run *run;
    struct sparkplug *sparkplug;
    struct topic_pattern *pattern; /* of the last topic that was matched */
    struct topic_match match;
    struct decoded decoded;
    struct profile_verdict verdict;
};

struct message_in {
    const struct profile *profile; /* NULL: the native one */
    const char *pattern;           /* a source's topic; NULL: the profile's own that fits */
    const struct topic_pattern *compiled; /* the same, ready; then topic_len tells its end */
    size_t topic_len;
    const char *topic;   /* NULL: not known, nothing is captured */
    const char *payload; /* JSON_PADDING readable bytes behind it */
    size_t len;
    int64_t received_ms;
};

void message_init(struct message *m);
void message_done(struct message *m);
/* Fills m->decoded and m->verdict; false when no topic of the profile fits (told in
 * verdict.detail). */
bool message_decode(struct message *m, const struct message_in *in);
/* Text to bytes, added to out; blanks and line ends are fine. False: it is no such text. */
bool message_hex(const char *p, size_t n, struct buf *out);
bool message_base64(const char *p, size_t n, struct buf *out);
/* The one kind that knows most of what a message says; NULL if none, or several alike. */
const struct kind *message_kind(const struct catalog *c, const struct message *m);

#endif
