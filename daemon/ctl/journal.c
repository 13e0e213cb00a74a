/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/journal.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/base64.h"
#include "base/jsonw.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/stamp.h"
#include "base/utf8.h"
#include "io/file.h"
#include "io/journal.h"
#include "ctl/usage.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DONE = 0, REFUSED = 1, USAGE = 64 };

struct tool {
    const char *verb, *dir, *topic;
    uint64_t from, to, limit;
    bool json;
    char *journal_dir, *archive_dir;
    struct journal *j;
    struct journal_recovery rec;
};

/* -- options ------------------------------------------------------------------------------- */

static bool number(const char *option, const char *text, uint64_t *out)
{
    if (num_get_u64(text, strlen(text), out) == 0)
        return true;
    (void)fprintf(stderr, "gaihouctl: %s: \"%s\" is not a number from 0 on\n", option, text);
    return false;
}

static bool options(struct tool *t, int argc, char **argv)
{
    *t = (struct tool){.dir = "/var/lib/gaihou", .to = UINT64_MAX, .limit = UINT64_MAX};
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i], *v = i + 1 < argc ? argv[i + 1] : NULL;
        if (a[0] != '-' && !t->verb) {
            t->verb = a;
            continue;
        }
        if (strcmp(a, "--json") == 0) {
            t->json = true;
            continue;
        }
        bool ok = v != NULL;
        if (ok && strcmp(a, "--dir") == 0)
            t->dir = v;
        else if (ok && strcmp(a, "--topic") == 0)
            t->topic = v;
        else if (ok && strcmp(a, "--from") == 0)
            ok = number(a, v, &t->from);
        else if (ok && strcmp(a, "--to") == 0)
            ok = number(a, v, &t->to);
        else if (ok && strcmp(a, "--limit") == 0)
            ok = number(a, v, &t->limit);
        else
            ok = false;
        if (!ok)
            return false;
        i++;
    }
    return t->verb != NULL;
}

/* -- words --------------------------------------------------------------------------------- */

static const char *type_name(enum record_type type)
{
    switch (type) {
    case RECORD_MESSAGE:
        return "message";
    case RECORD_REINJECT:
        return "reinject";
    case RECORD_LINK_UP:
        return "link_up";
    case RECORD_LINK_DOWN:
        return "link_down";
    case RECORD_START:
        return "start";
    case RECORD_STOP:
        return "stop";
    case RECORD_CLOCK_STEP:
        return "clock_step";
    case RECORD_GENERATION:
        return "generation";
    case RECORD_STATS:
        return "stats";
    case RECORD_COMMAND:
        return "command";
    case RECORD_STREAM:
        return "stream";
    case RECORD_PRESENCE:
        return "presence";
    case RECORD_TIME:
        return "time";
    case RECORD_END:
        return "end";
    }
    return "unknown";
}

static const char *stamp(char room[STAMP_SIZE], int64_t wall_ns)
{
    int64_t ms = wall_ns / 1000000 - (wall_ns % 1000000 < 0);
    stamp_format(room, ms, 0);
    return room;
}

static void json_bytes(struct jsonw *w, const char *key, const char *p, size_t n)
{
    struct buf b;
    buf_init(&b, (size_t)RECORD_BODY_MAX * 2);
    (void)base64_put(&b, p, n);
    jsonw_strn(w, key, b.len ? b.data : "", b.len);
    buf_done(&b);
}

static void print_json(struct buf *b)
{
    (void)fwrite(b->data, 1, b->len, stdout);
    (void)putchar('\n');
}

/* -- opening ------------------------------------------------------------------------------- */

static void found_segment(void *ctx, const char *name)
{
    size_t n = strlen(name);
    if (n == 24 && strcmp(name + 16, ".journal") == 0)
        *(bool *)ctx = true;
}

/* 1, 0, or -errno: not that there is none, but that nobody knows. */
static int has_segments(const char *dir)
{
    bool found = false;
    int r = file_list(dir, found_segment, &found);
    return r == 0 ? found : r == -ENOENT || r == -ENOTDIR ? 0 : r;
}

static int tool_open(struct tool *t)
{
    struct err err;
    t->journal_dir = mem_printf("%s/journal", t->dir);
    t->archive_dir = mem_printf("%s/archive", t->dir);
    int found = has_segments(t->journal_dir);
    if (found == 0 && has_segments(t->dir) == 1) {
        found = 1;
        free(t->journal_dir);
        free(t->archive_dir);
        t->journal_dir = mem_strdup(t->dir);
        t->archive_dir = mem_printf("%s/../archive", t->dir);
    }
    if (found < 0) {
        (void)fprintf(stderr, "gaihouctl: cannot read %s: %s\n", t->journal_dir,
                      strerror(-found));
        return REFUSED;
    }
    if (found == 0) {
        (void)fprintf(stderr, "gaihouctl: no journal in %s (no file *.journal there)\n",
                      t->journal_dir);
        return REFUSED;
    }
    struct journal_options o = {.dir = t->journal_dir, .read_only = true};
    if (journal_open(&o, &err, &t->rec, &t->j) != 0) {
        (void)fprintf(stderr, "gaihouctl: %s\n", err.text);
        return REFUSED;
    }
    return DONE;
}

static void tool_close(struct tool *t)
{
    (void)journal_close(t->j);
    free(t->journal_dir);
    free(t->archive_dir);
}

/* -- info ---------------------------------------------------------------------------------- */

struct span {
    uint64_t segments, bytes, sealed;
    int64_t first_wall, last_wall;
};

static void span_add(void *ctx, const struct journal_segment_info *s)
{
    struct span *all = ctx;
    all->bytes += s->bytes;
    all->sealed += s->sealed;
    if (all->segments++ == 0)
        all->first_wall = s->created_wall_ns;
    if (s->last_wall_ns > all->last_wall)
        all->last_wall = s->last_wall_ns;
}

static void info_json(const struct tool *t, const struct span *s,
                      const struct journal_archive *a)
{
    struct buf b;
    struct jsonw w;
    char room[STAMP_SIZE];
    buf_init(&b, 1 << 16);
    jsonw_init(&w, &b);
    jsonw_object(&w, NULL);
    jsonw_str(&w, "dir", t->journal_dir);
    jsonw_u64(&w, "segments", s->segments);
    jsonw_u64(&w, "sealed", s->sealed);
    jsonw_u64(&w, "bytes", s->bytes);
    jsonw_u64(&w, "first", t->rec.first);
    jsonw_u64(&w, "end", t->rec.end);
    jsonw_str(&w, "first_time", stamp(room, s->first_wall));
    jsonw_str(&w, "last_time", stamp(room, s->last_wall));
    jsonw_u64(&w, "messages", t->rec.messages);
    jsonw_bool(&w, "clean", !t->rec.unclean);
    jsonw_u64(&w, "cut_bytes", t->rec.cut_bytes);
    jsonw_u64(&w, "unreadable_segments", t->rec.unreadable);
    jsonw_u64(&w, "damaged_headers", t->rec.damaged_headers);
    jsonw_u64(&w, "missing_segments", t->rec.missing);
    jsonw_object(&w, "archive");
    jsonw_u64(&w, "segments", a->segments);
    jsonw_u64(&w, "bytes", a->bytes);
    if (a->end > 0) {
        jsonw_u64(&w, "first", a->first);
        jsonw_u64(&w, "end", a->end);
        jsonw_str(&w, "first_time", stamp(room, a->first_wall_ns));
        jsonw_str(&w, "last_time", stamp(room, a->last_wall_ns));
    }
    jsonw_end_object(&w);
    jsonw_end_object(&w);
    print_json(&b);
    buf_done(&b);
}

static int info(struct tool *t)
{
    struct span s = {0};
    struct journal_archive a = {0};
    char from[STAMP_SIZE], to[STAMP_SIZE];
    journal_each_segment(t->j, span_add, &s);
    int e = journal_archive_span(t->archive_dir, &a);
    if (e < 0)
        (void)fprintf(stderr, "gaihouctl: archive %s: %s\n", t->archive_dir, strerror(-e));
    if (t->json) {
        info_json(t, &s, &a);
        return DONE;
    }
    printf("journal    %s\n", t->journal_dir);
    printf("segments   %" PRIu64 " (%" PRIu64 " sealed), %" PRIu64 " bytes\n", s.segments,
           s.sealed, s.bytes);
    printf("offsets    %" PRIu64 " to %" PRIu64 "\n", t->rec.first, t->rec.end);
    printf("times      %s to %s\n", stamp(from, s.first_wall), stamp(to, s.last_wall));
    printf("messages   %" PRIu64 " since the journal was made\n", t->rec.messages);
    printf("end        %s\n",
           t->rec.unclean ? "no clean stop (running, or it was killed)" : "clean stop");
    if (t->rec.cut_bytes > 0)
        printf("torn end   %" PRIu64 " bytes behind offset %" PRIu64 " do not verify\n",
               t->rec.cut_bytes, t->rec.cut_offset);
    if (t->rec.unreadable + t->rec.damaged_headers + t->rec.missing > 0)
        printf("damage     %" PRIu64 " unreadable segments, %" PRIu64
               " damaged headers, %" PRIu64 " holes\n",
               t->rec.unreadable, t->rec.damaged_headers, t->rec.missing);
    if (a.segments > 0)
        printf("archive    %" PRIu64 " segments, %" PRIu64 " bytes, offsets %" PRIu64
               " to %" PRIu64 ", %s to %s\n",
               a.segments, a.bytes, a.first, a.end, stamp(from, a.first_wall_ns),
               stamp(to, a.last_wall_ns));
    return DONE;
}

/* -- walking ------------------------------------------------------------------------------- */

typedef void record_fn(struct tool *t, const struct record *r, bool bad, void *ctx);

static record_fn export_one;

/* Every record and every bad stretch of the range; what is exported is messages alone, and those
 * the limit counts. */
static int walk(struct tool *t, record_fn *fn, void *ctx)
{
    struct journal_reader *reader;
    struct record r;
    uint64_t n = 0;
    int e = journal_reader_open(t->j, t->from, &reader);
    if (e == -ERANGE) {
        (void)fprintf(stderr,
                      "gaihouctl: offset %" PRIu64 " is not in the journal: %" PRIu64
                      " to %" PRIu64 "\n",
                      t->from, t->rec.first, t->rec.end);
        return REFUSED;
    }
    while (e >= 0 && n < t->limit) {
        e = journal_read(reader, &r);
        if (e == 0 || (e != 1 && e != -EBADMSG))
            break;
        bool bad = e == -EBADMSG;
        e = 1;
        if (r.offset >= t->to)
            break;
        if (!bad && t->topic &&
            (r.topic_len < strlen(t->topic) ||
             memcmp(r.topic, t->topic, strlen(t->topic)) != 0))
            continue;
        n += !bad && (fn != export_one || record_is_message(r.type));
        fn(t, &r, bad, ctx);
    }
    journal_reader_close(reader);
    if (e < 0)
        (void)fprintf(stderr, "gaihouctl: %s: %s\n", t->journal_dir, strerror(-e));
    return e < 0 ? REFUSED : DONE;
}

struct tally {
    uint64_t records, messages, stretches, lost;
};

static void verify_one(struct tool *t, const struct record *r, bool bad, void *ctx)
{
    struct tally *y = ctx;
    if (!bad) {
        y->records++;
        y->messages += record_is_message(r->type);
        return;
    }
    y->stretches++;
    y->lost += r->messages;
    if (!t->json)
        printf("bad: offsets %" PRIu64 " to %" PRIu64 ", %" PRIu64 " messages lost\n",
               r->offset, r->end, r->messages);
}

static int verify(struct tool *t)
{
    struct tally y = {0};
    if (walk(t, verify_one, &y) != DONE)
        return REFUSED;
    bool good = y.stretches == 0 && t->rec.unreadable == 0 && t->rec.damaged_headers == 0 &&
                t->rec.missing == 0;
    if (t->json) {
        struct buf b;
        struct jsonw w;
        buf_init(&b, 1 << 12);
        jsonw_init(&w, &b);
        jsonw_object(&w, NULL);
        jsonw_bool(&w, "good", good);
        jsonw_u64(&w, "records", y.records);
        jsonw_u64(&w, "messages", y.messages);
        jsonw_u64(&w, "bad_stretches", y.stretches);
        jsonw_u64(&w, "messages_lost", y.lost);
        jsonw_u64(&w, "unreadable_segments", t->rec.unreadable);
        jsonw_u64(&w, "damaged_headers", t->rec.damaged_headers);
        jsonw_u64(&w, "missing_segments", t->rec.missing);
        jsonw_u64(&w, "cut_bytes", t->rec.cut_bytes);
        jsonw_end_object(&w);
        print_json(&b);
        buf_done(&b);
        return good ? DONE : REFUSED;
    }
    if (t->rec.unreadable > 0)
        printf("bad: %" PRIu64 " segments have no readable header\n", t->rec.unreadable);
    if (t->rec.damaged_headers > 0)
        printf("bad: %" PRIu64 " headers or seals are damaged; the copy was used\n",
               t->rec.damaged_headers);
    if (t->rec.missing > 0)
        printf("bad: segments are missing at %" PRIu64 " places\n", t->rec.missing);
    if (t->rec.cut_bytes > 0)
        printf("torn end: %" PRIu64 " bytes behind offset %" PRIu64
               " do not verify; a start cuts them (a running gateway may be writing them)\n",
               t->rec.cut_bytes, t->rec.cut_offset);
    printf("%s: %" PRIu64 " records verify, %" PRIu64 " of them messages\n",
           good ? "good" : "damaged", y.records, y.messages);
    return good ? DONE : REFUSED;
}

/* -- dump and export ----------------------------------------------------------------------- */

static void dump_json(struct jsonw *w, const struct record *r)
{
    char room[STAMP_SIZE];
    jsonw_u64(w, "offset", r->offset);
    jsonw_str(w, "type", type_name(r->type));
    jsonw_str(w, "time", stamp(room, r->wall_ns));
    jsonw_i64(w, "wall_ns", r->wall_ns);
    jsonw_u64(w, "engine_ns", r->engine_ns);
    jsonw_u64(w, "messages", r->messages);
    if (r->broker != 255)
        jsonw_u64(w, "broker", r->broker);
    jsonw_u64(w, "qos", RECORD_QOS(r->flags));
    jsonw_bool(w, "retain", r->flags & RECORD_RETAIN);
    jsonw_bool(w, "dup", r->flags & RECORD_DUP);
    jsonw_u64(w, "packet_id", r->packet_id);
    jsonw_strn(w, "topic", r->topic, r->topic_len);
    jsonw_u64(w, "bytes", r->body_len);
}

static void dump_text(const struct record *r)
{
    char room[STAMP_SIZE];
    printf("%-12" PRIu64 " %s %-10s q%u%s%s %5zu ", r->offset, stamp(room, r->wall_ns),
           type_name(r->type), RECORD_QOS(r->flags), r->flags & RECORD_RETAIN ? " retain" : "",
           r->flags & RECORD_DUP ? " dup" : "", r->body_len);
    const char *parts[] = {r->topic, r->body};
    size_t sizes[] = {r->topic_len, r->body_len < 160 ? r->body_len : 160};
    for (int p = 0; p < 2; p++) {
        for (size_t i = 0; i < sizes[p];
             i++) { /* a terminal must not be steered by a payload */
            unsigned char c = (unsigned char)parts[p][i];
            if (c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8_valid(parts[p], sizes[p])))
                printf("\\x%02x", c);
            else
                (void)putchar(c);
        }
        (void)putchar(p == 0 ? ' ' : '\n');
    }
}

static void dump_one(struct tool *t, const struct record *r, bool bad, void *ctx)
{
    (void)ctx;
    if (!t->json && bad) {
        printf("%-12" PRIu64 " bad up to %" PRIu64 ", %" PRIu64 " messages lost\n", r->offset,
               r->end, r->messages);
        return;
    }
    if (!t->json) {
        dump_text(r);
        return;
    }
    struct buf b;
    struct jsonw w;
    buf_init(&b, (size_t)RECORD_BODY_MAX * 3);
    jsonw_init(&w, &b);
    jsonw_object(&w, NULL);
    if (bad) {
        jsonw_u64(&w, "offset", r->offset);
        jsonw_str(&w, "type", "bad");
        jsonw_u64(&w, "end", r->end);
        jsonw_u64(&w, "messages_lost", r->messages);
    } else {
        dump_json(&w, r);
        if (utf8_valid(r->body, r->body_len))
            jsonw_strn(&w, "body", r->body, r->body_len);
        else
            json_bytes(&w, "body_base64", r->body, r->body_len);
    }
    jsonw_end_object(&w);
    print_json(&b);
    buf_done(&b);
}

static void export_one(struct tool *t, const struct record *r, bool bad, void *ctx)
{
    (void)t;
    if (bad) {
        *(uint64_t *)ctx += r->messages;
        return;
    }
    if (!record_is_message(r->type))
        return;
    struct buf b;
    struct jsonw w;
    buf_init(&b, (size_t)RECORD_BODY_MAX * 3);
    jsonw_init(&w, &b);
    jsonw_object(&w, NULL);
    dump_json(&w, r);
    json_bytes(&w, "payload_base64", r->body, r->body_len);
    jsonw_end_object(&w);
    print_json(&b);
    buf_done(&b);
}

static int export(struct tool *t)
{
    uint64_t lost = 0;
    int e = walk(t, export_one, &lost);
    if (lost > 0)
        (void)fprintf(stderr,
                      "gaihouctl: %" PRIu64 " messages do not verify and are left out\n", lost);
    return e == DONE && lost > 0 ? REFUSED : e;
}

int ctl_journal(int argc, char **argv)
{
    struct tool t;
    int e = USAGE;
    if (!options(&t, argc, argv)) {
        (void)usage_print(stderr, "journal", NULL);
        return USAGE;
    }
    bool is_info = strcmp(t.verb, "info") == 0, is_verify = strcmp(t.verb, "verify") == 0;
    bool is_dump = strcmp(t.verb, "dump") == 0, is_export = strcmp(t.verb, "export") == 0;
    if (!is_info && !is_verify && !is_dump && !is_export) {
        (void)usage_print(stderr, "journal", NULL);
        return USAGE;
    }
    e = tool_open(&t);
    if (e == DONE && is_info)
        e = info(&t);
    else if (e == DONE && is_verify)
        e = verify(&t);
    else if (e == DONE && is_dump)
        e = walk(&t, dump_one, NULL);
    else if (e == DONE)
        e = export(&t);
    tool_close(&t);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        (void)fprintf(stderr, "gaihouctl: cannot write: %s\n", strerror(errno));
        e = REFUSED;
    }
    return e;
}
