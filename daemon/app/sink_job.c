/* SPDX-License-Identifier: Apache-2.0 */
/* One block under way: its ranges of lines, their bytes, what was refused. */
#include "app/sink_int.h"
#include "base/check.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DETAIL_MOST 1024

void job_push(struct job *j, struct range r, bool last)
{
    if (j->n_ranges == j->cap_ranges) {
        j->cap_ranges = j->cap_ranges ? j->cap_ranges * 2 : 16;
        j->ranges = mem_realloc_array(j->ranges, j->cap_ranges, sizeof(*j->ranges));
    }
    if (last) {
        memmove(&j->ranges[1], &j->ranges[0], j->n_ranges * sizeof(*j->ranges));
        j->ranges[0] = r;
    } else {
        j->ranges[j->n_ranges] = r;
    }
    j->n_ranges++;
}

bool job_next_range(struct job *j)
{
    if (j->n_ranges == 0)
        return false;
    j->running = j->ranges[--j->n_ranges];
    return true;
}

static void say_corrupt(struct sink *s, const struct block_info *i)
{
    uint64_t held;
    if (log_allowed(&s->corrupt_limit, loop_now_ns(s->loop), 60 * (uint64_t)SECOND_NS, &held))
        log_error("sink %s: block %llu of its log does not verify: %u lines are lost and "
                  "counted as refused{corrupt}; look at the disk",
                  s->conf->id, (unsigned long long)i->seq, i->lines);
}

static void say_unreadable(struct sink *s, uint64_t block, int rc)
{
    uint64_t held;
    if (log_allowed(&s->mark_limit, loop_now_ns(s->loop), 60 * (uint64_t)SECOND_NS, &held))
        log_error("sink %s: cannot read block %llu of its log: %s", s->conf->id,
                  (unsigned long long)block, strerror(-rc));
}

/* The next block of the log, read; NULL: none, or none that can be read now. */
struct job *job_take(struct sink *s, bool newest)
{
    struct block_info info;
    while (outbound_take(s->log, newest, &info)) {
        struct job *j = mem_zalloc(sizeof(*j));
        j->s = s;
        j->info = info;
        buf_init(&j->body, BLOCK_BODY_MAX);
        buf_init(&j->raw, BLOCK_BODY_MAX + 1);
        buf_init(&j->part, BLOCK_BODY_MAX);
        j->good_line = UINT32_MAX;
        int rc = outbound_load(s->log, info.seq, &j->body, &j->info);
        if (rc == 0) {
            j->info.shares = NULL;
            j->live = newest;
            job_push(j, (struct range){.end = j->info.lines}, false);
            j->next = s->jobs;
            s->jobs = j;
            s->n_jobs++;
            return j;
        }
        buf_done(&j->body);
        free(j);
        if (rc != -EBADMSG) { /* the disk, or too little memory: not this block's end */
            outbound_put_back(s->log, info.seq);
            say_unreadable(s, info.seq, rc);
            return NULL;
        }
        say_corrupt(s, &info);
    }
    return NULL;
}

void job_free(struct job *j)
{
    if (!j)
        return;
    struct sink *s = j->s;
    for (struct job **p = &s->jobs; *p; p = &(*p)->next)
        if (*p == j) {
            *p = j->next;
            break;
        }
    if (j->state == JOB_HELD)
        s->stats.held--;
    else
        s->n_jobs--;
    httpc_cancel(j->call);
    if (j->ticket)
        j->ticket->job = NULL;
    for (size_t i = 0; i < j->n_refused; i++)
        free(j->refused[i].detail);
    free(j->refused);
    free(j->ranges);
    job_unload(j);
    free(j);
}

/* Lines, to cut it anywhere. 0 or -EBADMSG: the body is not what its header says. */
int job_unpack(struct job *j)
{
    if (j->starts)
        return 0;
    int rc = block_unpack(&j->info, j->body.data, &j->raw);
    if (rc != 0)
        return -EBADMSG;
    j->starts = mem_zalloc_array((size_t)j->info.lines + 1, sizeof(*j->starts));
    uint32_t n = 0;
    for (size_t at = 0; at < j->raw.len;) {
        const char *end = memchr(j->raw.data + at, '\n', j->raw.len - at);
        if (!end || n == j->info.lines)
            break;
        j->starts[n++] = (uint32_t)at;
        at = (size_t)(end - j->raw.data) + 1;
        j->starts[n] = (uint32_t)at;
    }
    if (n == j->info.lines && j->starts[n] == j->raw.len)
        return 0;
    free(j->starts);
    j->starts = NULL;
    buf_clear(&j->raw);
    return -EBADMSG;
}

/* The bytes of a range into j->part: the same lines every time. Their gzip need not be: libisal 2.30
 * packs otherwise, once in a thousand, where its stream lies elsewhere. */
int job_part(struct job *j, struct range r)
{
    int rc = job_unpack(j);
    if (rc != 0)
        return rc;
    ASSERT(r.first < r.end && r.end <= j->info.lines);
    const char *p = j->raw.data + j->starts[r.first];
    size_t n = j->starts[r.end] - j->starts[r.first];
    buf_clear(&j->part);
    return j->info.gzip ? block_pack(p, n, &j->part) : buf_put(&j->part, p, n);
}

void job_unload(struct job *j)
{
    buf_done(&j->body);
    buf_done(&j->raw);
    buf_done(&j->part);
    free(j->starts);
    j->starts = NULL;
}

int job_reload(struct job *j)
{
    struct block_info info;
    buf_clear(&j->body);
    int rc = outbound_load(j->s->log, j->info.seq, &j->body, &info);
    if (rc == -EBADMSG) { /* the log counted it and is done with it: nothing is left to hold */
        say_corrupt(j->s, &j->info);
        job_free(j);
        return rc;
    }
    if (rc == 0)
        rc = job_unpack(j);
    if (rc != 0) {
        job_unload(j);
        say_unreadable(j->s, j->info.seq, rc);
    }
    return rc;
}

void job_refuse(struct job *j, uint32_t line, const char *reason, int status,
                const char *detail, size_t len)
{
    if (j->n_refused == j->cap_refused) {
        j->cap_refused = j->cap_refused ? j->cap_refused * 2 : 16;
        j->refused = mem_realloc_array(j->refused, j->cap_refused, sizeof(*j->refused));
    }
    j->refused[j->n_refused++] = (struct refused_line){
        .line = line,
        .status = status,
        .reason = reason,
        .detail = mem_strndup(detail ? detail : "", len < DETAIL_MOST ? len : DETAIL_MOST)};
}

void job_compound(const char *line, size_t len, char out[65])
{
    static const char own[] = "gaihou_", key[] = "compound=";
    memcpy(out, "-", 2);
    if (len >= sizeof(own) - 1 && memcmp(line, own, sizeof(own) - 1) == 0)
        return;
    bool start = false; /* of a tag */
    for (size_t i = 0; i < len; i++) {
        if (line[i] == '\\') {
            i++;
            start = false;
            continue;
        }
        if (line[i] == ' ')
            return;
        if (start && len - i > sizeof(key) - 1 && memcmp(line + i, key, sizeof(key) - 1) == 0) {
            size_t n = 0;
            for (i += sizeof(key) - 1; i < len && n < 64 && line[i] != ',' && line[i] != ' ';
                 i++)
                out[n++] = line[i];
            out[n] = '\0';
            return;
        }
        start = line[i] == ',';
    }
}
