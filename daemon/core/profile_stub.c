/* SPDX-License-Identifier: Apache-2.0 */
/* No profiles yet: the set is empty. Goes when core/profile.c comes. */
#include "core/profile.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>

struct profile_set {
    int none;
};
struct profile_run {
    int none;
};

int profile_set_open(const struct profile_text *files, size_t n, const struct catalog *catalog,
                     const struct zone *zone, struct problems *problems,
                     struct profile_set **out)
{
    (void)files, (void)n, (void)catalog, (void)zone, (void)problems;
    *out = mem_zalloc(sizeof(**out));
    return 0;
}
void profile_set_free(struct profile_set *s) { free(s); }
size_t profile_set_count(const struct profile_set *s) { (void)s; return 0; }
const struct profile *profile_set_at(const struct profile_set *s, size_t i) { (void)s, (void)i; return NULL; }
const struct profile *profile_find(const struct profile_set *s, const char *name) { (void)s, (void)name; return NULL; }
const char *profile_nearest(const struct profile_set *s, const char *name) { (void)s, (void)name; return NULL; }
const char *profile_name(const struct profile *p) { (void)p; return ""; }
const char *profile_vendor(const struct profile *p) { (void)p; return ""; }
bool profile_verified(const struct profile *p) { (void)p; return true; }
size_t profile_topics(const struct profile *p) { (void)p; return 0; }
const char *profile_topic(const struct profile *p, size_t i) { (void)p, (void)i; return ""; }
const char *profile_missing_capture(const struct profile *p, const struct topic_pattern *t) { (void)p, (void)t; return NULL; }
int profile_check_examples(const struct profile_set *s, const struct profile *p, struct problems *problems) { (void)s, (void)p, (void)problems; return 0; }
struct profile_run *profile_run_new(size_t n) { (void)n; return mem_zalloc(sizeof(struct profile_run)); }
void profile_run_free(struct profile_run *x) { free(x); }
void profile_decode(const struct profile *p, struct profile_run *x, const struct profile_input *in, struct decoded *out, struct profile_verdict *v)
{
    (void)p, (void)x, (void)in;
    decoded_clear(out);
    *v = (struct profile_verdict){.outcome = PROFILE_NOT_MINE, .message = ""};
}
const struct profile_metric *profile_metric(const struct decoded_value *v, const struct kind *kind) { (void)v, (void)kind; return NULL; }
