/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/profile_sample.h"
#include "base/jsonw.h"
#include "base/mem.h"
#include "core/codec_guess.h"
#include "core/json.h"
#include "core/text.h"
#include "ctl/message.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_NAMES = 512,
    MAX_SAMPLES = 100,
    MAX_LEAVES = 64,    /* texts of a sample that are looked into */
    LEAST_FRAME = 4,    /* bytes: anything shorter may be anything */
    MOST_SKELETON = 64, /* bytes that are laid out one by one */
    DECODE_MAX = 2048,
};
#define MAX_SAMPLE ((size_t)1 << 20)

struct sample_reader {
    struct site *site;
    struct codec_set *codecs; /* the site's, or own */
    struct codec_set *own;
    struct codec_run *run;
    struct json *json;
    const struct profile_guess_sample *given;
    size_t n;
    struct profile_guess_sample read[MAX_SAMPLES];
    char *texts[2 * MAX_SAMPLES]; /* read[i].payload, read[i].frame */
    struct profile_guess_way way;
    char decode[DECODE_MAX], from[256];
    struct buf codec_lines;
    char weak[160]; /* codecs that would read anything */
    char words[480];
    const char *name;
};

/* -- values as JSON text ------------------------------------------------------------------------ */

static void put_json(struct jsonw *w, const char *key, struct json_value v, int depth)
{
    struct json_iter it;
    struct json_value m;
    const char *k;
    char name[256];
    size_t n;
    switch (json_type(v)) {
    case JSON_OBJECT:
    case JSON_ARRAY:
        json_type(v) == JSON_OBJECT ? jsonw_object(w, key) : jsonw_array(w, key);
        json_iter(v, &it);
        while (depth < 16 && json_next(&it, &k, &n, &m)) {
            bool member = json_type(v) == JSON_OBJECT;
            if (member)
                (void)snprintf(name, sizeof(name), "%.*s", (int)(n < 255 ? n : 255), k);
            put_json(w, member ? name : NULL, m, depth + 1);
        }
        json_type(v) == JSON_OBJECT ? jsonw_end_object(w) : jsonw_end_array(w);
        return;
    case JSON_STRING:
        k = json_text(v, &n);
        jsonw_strn(w, key, k, text_utf8_valid(k, n));
        return;
    case JSON_BOOL:
        jsonw_bool(w, key, json_bool(v));
        return;
    case JSON_INT:
        jsonw_i64(w, key, json_int(v));
        return;
    case JSON_UINT:
        jsonw_u64(w, key, json_uint(v));
        return;
    case JSON_DOUBLE:
        jsonw_double(w, key, json_double(v));
        return;
    case JSON_NULL:
        jsonw_null(w, key);
        return;
    }
}

/* With JSON_PADDING behind it; NULL: too large. */
static char *as_json(struct json_value v, size_t *out_len)
{
    struct buf b;
    struct jsonw w;
    char *text = NULL;
    buf_init(&b, 4 * MAX_SAMPLE);
    jsonw_init(&w, &b);
    put_json(&w, NULL, v, 0);
    if (!b.failed) {
        text = mem_zalloc(b.len + JSON_PADDING);
        memcpy(text, b.data, b.len);
        *out_len = b.len;
    }
    buf_done(&b);
    return text;
}

/* -- reading by one `decode:` --------------------------------------------------------------------- */

/* As JSON; NULL: it cannot be read so, or holds nothing. */
static char *read_by(struct sample_reader *r, const char *decode, const char *p, size_t len,
                     size_t *out_len)
{
    struct json_value root, rest;
    char *padded = mem_zalloc(len + JSON_PADDING), *text = NULL;
    if (len)
        memcpy(padded, p, len);
    codec_run_clear(r->run);
    if (codec_guess_read(r->codecs, r->run, decode, padded, len, &root) == 0 &&
        json_type(root) >= JSON_ARRAY && json_count(root) > 0 &&
        !(json_type(root) == JSON_OBJECT && json_member(root, "_unknown", &rest)))
        text = as_json(root, out_len);
    free(padded);
    return text;
}

/* All samples' payloads by it; true if each could be. */
static bool read_all(struct sample_reader *r, const char *decode)
{
    char *texts[MAX_SAMPLES] = {NULL};
    size_t lens[MAX_SAMPLES], i = 0;
    for (; i < r->n; i++) {
        texts[i] = read_by(r, decode, r->given[i].payload, r->given[i].len, &lens[i]);
        if (!texts[i])
            break;
    }
    bool all = i == r->n && r->n > 0;
    for (size_t k = 0; k < i; k++) {
        if (all) {
            free(r->texts[k]);
            r->texts[k] = texts[k];
            r->read[k].payload = texts[k];
            r->read[k].len = lens[k];
        } else {
            free(texts[k]);
        }
    }
    return all;
}

/* How many values of the catalogue the samples have, as they are read now. */
static size_t understood(struct sample_reader *r, const struct profile_guess_way *way)
{
    struct profile_guess_result result = {NULL, 0};
    struct err err;
    struct buf b;
    buf_init(&b, (size_t)16 << 20);
    int e = profile_guess_by("draft", r->read, r->n, way, r->site->catalog, &b, &result, &err);
    buf_done(&b);
    return e == 0 ? result.n_values : 0;
}

/* -- text ----------------------------------------------------------------------------------------- */

static bool is_text(const char *p, size_t n)
{
    while (n > 0 && (p[n - 1] == '\n' || p[n - 1] == '\r'))
        n--;
    for (size_t i = 0; i < n; i++)
        if (((unsigned char)p[i] < 0x20 && !strchr("\r\n\t", p[i])) || p[i] == 0x7f)
            return false;
    return n > 0 && text_utf8_valid(p, n) == n;
}

static bool all_text(const struct sample_reader *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (!is_text(r->given[i].payload, r->given[i].len))
            return false;
    return true;
}

/* "temp=21.5;hum=40" and its like: the way that gives most values. */
static bool find_pairs(struct sample_reader *r)
{
    static const char *const pairs[] = {";", ",", "&", "|", " ", "\\n", "\\r\\n"};
    static const char *const is[] = {"=", ":"};
    char decode[128];
    size_t best = 0;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        for (size_t k = 0; k < 2; k++) {
            (void)snprintf(decode, sizeof(decode), "{keyvalue: {pair: \"%s\", is: \"%s\"}}",
                           pairs[i], is[k]);
            if (!read_all(r, decode))
                continue;
            size_t n = understood(r, &(struct profile_guess_way){.decode = decode});
            if (n <= best)
                continue;
            best = n;
            (void)snprintf(r->decode, sizeof(r->decode), "%s", decode);
        }
    }
    return best > 0 && read_all(r, r->decode);
}

/* Columns without names: f1, f2, … */
static bool find_columns(struct sample_reader *r)
{
    static const char separators[] = ",;|\t";
    for (const char *s = separators; *s; s++) {
        const char *p = r->given[0].payload;
        size_t columns = 1, at;
        for (size_t i = 0; i < r->given[0].len; i++)
            columns += p[i] == *s;
        if (columns < 3 || columns > 60)
            continue;
        at =
            (size_t)snprintf(r->decode, sizeof(r->decode), "{csv: {separator: \"%s\", names: [",
                             *s == '\t' ? "\\t" : (char[]){*s, '\0'});
        for (size_t i = 1; i <= columns; i++)
            at += (size_t)snprintf(r->decode + at, sizeof(r->decode) - at, "%sf%zu",
                                   i > 1 ? ", " : "", i);
        (void)snprintf(r->decode + at, sizeof(r->decode) - at, "]}}");
        if (read_all(r, r->decode)) {
            (void)snprintf(r->words, sizeof(r->words),
                           "columns without names: give them names by the vendor's document");
            return true;
        }
    }
    return false;
}

/* -- bytes ---------------------------------------------------------------------------------------- */

/* "hex", "base64", or NULL: the bytes of a text; out has them. */
static const char *packed_as(const char *p, size_t n, struct buf *out)
{
    static bool (*const unpack[])(const char *, size_t, struct buf *) = {message_hex,
                                                                         message_base64};
    while (n > 0 && (p[n - 1] == '\n' || p[n - 1] == '\r'))
        n--;
    for (size_t i = 0; i < 2; i++) {
        buf_clear(out);
        if (n >= 2 * (size_t)LEAST_FRAME - 2 && unpack[i](p, n, out) &&
            out->len >= LEAST_FRAME && !out->failed)
            return i == 0 ? "hex" : "base64";
    }
    return NULL;
}

static void put_decode(char *out, size_t room, const char *pack, const char *codec)
{
    if (pack)
        (void)snprintf(out, room, "[%s, %s]", pack, codec);
    else
        (void)snprintf(out, room, "%s", codec);
}

/* A layout without anything that must stand somewhere reads whatever is long enough: that it reads
 * this says nothing. Asked with the opposite of each bit. */
static bool takes_anything(struct sample_reader *r, const char *codec, const struct buf *bytes)
{
    char *other = mem_zalloc(bytes->len + 1);
    size_t n;
    for (size_t i = 0; i < bytes->len; i++)
        other[i] = (char)~bytes->data[i];
    char *text = read_by(r, codec, other, bytes->len, &n);
    bool takes = text != NULL;
    free(text);
    free(other);
    return takes;
}

/* Told, so that who knows the device may take it. */
static void note_weak(struct sample_reader *r, const char *codec)
{
    size_t at = strlen(r->weak);
    if (at < sizeof(r->weak) - 70)
        (void)snprintf(r->weak + at, sizeof(r->weak) - at, "%s%.60s", at ? ", " : "", codec);
}

/* The codec that reads all payloads, and gives most; "" none does. bytes: of the first. */
static bool find_codec(struct sample_reader *r, const char *pack, const struct buf *bytes)
{
    const char *names[MAX_NAMES];
    char decode[128];
    size_t n = codec_guess_names(r->codecs, names, MAX_NAMES), best = 0;
    for (size_t i = 0; i < n && i < MAX_NAMES; i++) {
        put_decode(decode, sizeof(decode), pack, names[i]);
        if (!read_all(r, decode))
            continue;
        if (takes_anything(r, names[i], bytes)) {
            note_weak(r, names[i]);
            continue;
        }
        size_t values = 1 + understood(r, &(struct profile_guess_way){.decode = decode});
        if (values <= best)
            continue;
        best = values;
        (void)snprintf(r->decode, sizeof(r->decode), "%s", decode);
    }
    return best > 0 && read_all(r, r->decode);
}

static void put_readings(struct buf *b, const unsigned char *p, size_t left)
{
    (void)buf_printf(b, "   # %02x", p[0]);
    if (left >= 2)
        (void)buf_printf(b, "; with the next: u16be %u, u16le %u", p[0] << 8 | p[1],
                         p[1] << 8 | p[0]);
    if (left >= 4)
        (void)buf_printf(b, "; with three: u32be %u",
                         (unsigned)p[0] << 24 | (unsigned)p[1] << 16 | (unsigned)p[2] << 8 |
                             p[3]);
    (void)buf_putc(b, '\n');
}

static bool read_frames(struct sample_reader *r, const char *path, const char *decode);

/* Nobody reads it: each byte by itself, with what it could be together with the next ones. within:
 * the path of the text that it stands in; NULL: it is the payload. */
static void lay_out(struct sample_reader *r, const char *within, const char *pack,
                    const struct buf *bytes)
{
    struct buf *b = &r->codec_lines;
    char inner[160];
    size_t n = bytes->len < MOST_SKELETON ? bytes->len : MOST_SKELETON;
    const unsigned char *p = (const unsigned char *)bytes->data;
    struct buf flow;
    buf_init(&flow, 8192);
    (void)buf_printf(
        b,
        "codecs:\n  %s-frame:   # review: no known codec reads it; its bytes, to be "
        "put together by the vendor's document\n    struct:\n",
        r->name);
    (void)buf_puts(&flow, "{struct: [");
    for (size_t i = 0; i < n; i++) {
        (void)buf_printf(b, "      - {name: b%zu, type: u8}", i);
        put_readings(b, p + i, bytes->len - i);
        (void)buf_printf(&flow, "%s{name: b%zu, type: u8}", i ? ", " : "", i);
    }
    (void)buf_puts(b, "    rest: allow\n");
    (void)buf_puts(&flow, "], rest: allow}");
    (void)buf_cstr(b);
    char *decode =
        pack ? mem_printf("[%s, %s]", pack, buf_cstr(&flow)) : mem_strdup(buf_cstr(&flow));
    if (within ? read_frames(r, within, decode) : read_all(r, decode)) {
        (void)snprintf(inner, sizeof(inner), "%.100s-frame", r->name);
        put_decode(r->decode, sizeof(r->decode), pack, inner);
        r->way.codecs = b->data;
        (void)snprintf(r->words, sizeof(r->words),
                       "no known codec reads %s%.100s (are the vendor's codecs among "
                       "--profiles?): they are laid out one by one%s%s",
                       within ? "the bytes of " : "these bytes", within ? within : "",
                       r->weak[0] ? "; these read anything of that length: " : "", r->weak);
    } else {
        r->decode[0] = '\0';
    }
    free(decode);
    buf_done(&flow);
}

static void find_bytes(struct sample_reader *r)
{
    struct buf bytes;
    buf_init(&bytes, MAX_SAMPLE);
    const char *pack =
        all_text(r) ? packed_as(r->given[0].payload, r->given[0].len, &bytes) : NULL;
    if (!pack) {
        buf_clear(&bytes);
        (void)buf_put(&bytes, r->given[0].payload, r->given[0].len);
    }
    if (find_codec(r, pack, &bytes))
        (void)snprintf(r->words, sizeof(r->words), "the codec that reads it all: %.200s",
                       r->decode);
    else if ((pack || !all_text(r)) && bytes.len > 0)
        lay_out(r, NULL, pack, &bytes);
    else
        r->decode[0] = '\0';
    buf_done(&bytes);
}

/* -- a frame within JSON -------------------------------------------------------------------------- */

struct leaf_text {
    char path[256];
    const char *p;
    size_t n;
};

static size_t texts_of(struct json_value object, const char *path, struct leaf_text *out,
                       size_t n, int depth)
{
    struct json_iter it;
    struct json_value v;
    const char *key;
    size_t len;
    char longer[256];
    json_iter(object, &it);
    while (json_next(&it, &key, &len, &v) && n < MAX_LEAVES) {
        bool plain = len > 0 && len < 60 && isalpha((unsigned char)key[0]);
        for (size_t i = 0; plain && i < len; i++)
            plain = isalnum((unsigned char)key[i]) || key[i] == '_' || key[i] == '-';
        if (!plain || snprintf(longer, sizeof(longer), "%s.%.*s", path, (int)len, key) >= 256)
            continue;
        if (json_type(v) == JSON_OBJECT && depth < 6) {
            n = texts_of(v, longer, out, n, depth + 1);
        } else if (json_type(v) == JSON_STRING) {
            out[n].p = json_text(v, &out[n].n);
            memcpy(out[n++].path, longer, sizeof(longer));
        }
    }
    return n;
}

static bool text_at(const struct leaf_text *list, size_t n, const char *path,
                    const struct leaf_text **out)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].path, path) == 0) {
            *out = &list[i];
            return true;
        }
    return false;
}

/* The text at `path` of each sample that has it; true if all that have it can be read. */
static bool read_frames(struct sample_reader *r, const char *path, const char *decode)
{
    bool good = true;
    size_t had = 0;
    for (size_t i = 0; i < r->n && good; i++) {
        struct leaf_text list[MAX_LEAVES];
        const struct leaf_text *at;
        struct json_value root;
        const char *why;
        r->read[i].frame = NULL;
        if (json_parse(r->json, r->given[i].payload, r->given[i].len, &root, &why) != 0 ||
            json_type(root) != JSON_OBJECT ||
            !text_at(list, texts_of(root, "$", list, 0, 0), path, &at) || at->n == 0)
            continue;
        free(r->texts[MAX_SAMPLES + i]);
        r->texts[MAX_SAMPLES + i] = read_by(r, decode, at->p, at->n, &r->read[i].frame_len);
        r->read[i].frame = r->texts[MAX_SAMPLES + i];
        good = r->read[i].frame != NULL;
        had++;
    }
    return good && had > 0;
}

static void forget_frames(struct sample_reader *r)
{
    for (size_t i = 0; i < r->n; i++)
        r->read[i].frame = NULL;
}

/* Is this where network servers and gateways put a device's bytes? */
static bool is_frame_name(const char *path)
{
    static const char *const names[] = {
        "data",       "payload",     "raw",         "hex",         "frame",     "rawdata",
        "datahex",    "frm_payload", "payload_hex", "bytes",       "body",      "content",
        "payloadHex", "hexdata",     "dataStr",     "payloadData", "rawPayload"};
    const char *name = strrchr(path, '.');
    for (size_t i = 0; name && i < sizeof(names) / sizeof(names[0]); i++)
        if (strcasecmp(name + 1, names[i]) == 0)
            return true;
    return false;
}

static size_t try_codecs(struct sample_reader *r, const char *path, const char *pack,
                         const struct buf *bytes, size_t best)
{
    const char *names[MAX_NAMES];
    char decode[128];
    size_t n = codec_guess_names(r->codecs, names, MAX_NAMES);
    for (size_t i = 0; i < n && i < MAX_NAMES; i++) {
        put_decode(decode, sizeof(decode), pack, names[i]);
        if (!read_frames(r, path, decode))
            continue;
        if (takes_anything(r, names[i], bytes)) {
            if (is_frame_name(path))
                note_weak(r, names[i]);
            continue;
        }
        size_t values = understood(
            r, &(struct profile_guess_way){.frame_from = path, .frame_decode = decode});
        if (values <= best)
            continue;
        best = values;
        (void)snprintf(r->decode, sizeof(r->decode), "%s", decode);
        (void)snprintf(r->from, sizeof(r->from), "%.255s", path);
    }
    return best;
}

/* A text within the first sample that a known codec reads and that tells more than the JSON. */
static void find_frame(struct sample_reader *r)
{
    struct leaf_text list[MAX_LEAVES];
    struct json_value root;
    const char *why;
    struct buf bytes,
        unknown; /* of the text that is worked on; of the one that nobody may know */
    char frame[256] = "";
    const char *frame_pack = NULL;
    size_t best = understood(r, &(struct profile_guess_way){.decode = NULL});
    if (json_parse(r->json, r->given[0].payload, r->given[0].len, &root, &why) != 0 ||
        json_type(root) != JSON_OBJECT)
        return;
    size_t n = texts_of(root, "$", list, 0, 0);
    for (size_t i = 0; i < n; i++) /* the parser is used again */
        list[i].p = mem_strndup(list[i].p, list[i].n);
    buf_init(&bytes, MAX_SAMPLE);
    buf_init(&unknown, MAX_SAMPLE);
    for (size_t i = 0; i < n; i++) {
        const char *pack = packed_as(list[i].p, list[i].n, &bytes);
        if (pack)
            best = try_codecs(r, list[i].path, pack, &bytes, best);
        if (pack && !frame_pack && is_frame_name(list[i].path)) {
            frame_pack = pack;
            memcpy(frame, list[i].path, sizeof(frame));
            (void)buf_put(&unknown, bytes.data, bytes.len);
        }
        free((char *)(uintptr_t)list[i].p);
    }
    forget_frames(r);
    bool known = r->decode[0] && read_frames(r, r->from, r->decode);
    if (!known) {
        forget_frames(r);
        r->decode[0] = '\0';
        if (frame_pack)
            lay_out(r, frame, frame_pack, &unknown);
        (void)snprintf(r->from, sizeof(r->from), "%s", frame);
    } else {
        (void)snprintf(r->words, sizeof(r->words), "%.100s is read by %.150s", r->from,
                       r->decode);
    }
    if (r->decode[0]) {
        r->way.frame_from = r->from;
        r->way.frame_decode = r->decode;
    } else {
        forget_frames(r);
    }
    buf_done(&unknown);
    buf_done(&bytes);
}

/* -- all ------------------------------------------------------------------------------------------ */

static bool all_json(struct sample_reader *r)
{
    struct json_value root;
    const char *why;
    for (size_t i = 0; i < r->n; i++)
        if (json_parse(r->json, r->given[i].payload, r->given[i].len, &root, &why) != 0 ||
            json_type(root) < JSON_ARRAY)
            return false;
    return true;
}

struct sample_reader *sample_reader_new(struct site *site, const char *name,
                                        const struct profile_guess_sample *samples, size_t n)
{
    struct sample_reader *r = mem_zalloc(sizeof(*r));
    *r = (struct sample_reader){.site = site, .name = name, .given = samples};
    r->n = n < MAX_SAMPLES ? n : MAX_SAMPLES;
    r->json = json_new(MAX_SAMPLE);
    r->run = codec_run_new(MAX_SAMPLE);
    buf_init(&r->codec_lines, 65536);
    memcpy(r->read, samples, r->n * sizeof(*samples));
    if (site->profiles) {
        r->codecs = profile_set_codecs(site->profiles);
    } else {
        struct problems *p = problems_new(1);
        r->codecs = r->own = codec_set_new();
        (void)codec_set_settle(r->own, p);
        problems_free(p);
    }
    if (r->n == 0)
        return r;
    if (all_json(r)) {
        find_frame(r);
        return r;
    }
    size_t blanks = strspn(samples[0].payload, " \t\r\n");
    if (blanks < samples[0].len && strchr("{[", samples[0].payload[blanks]))
        return r; /* JSON that is broken: where, its own reader tells */
    if (!(all_text(r) && find_pairs(r))) {
        r->decode[0] = '\0';
        find_bytes(r);
        if (!r->decode[0] && all_text(r) && !find_columns(r))
            r->decode[0] = '\0';
    }
    r->way.decode = r->decode[0] ? r->decode : NULL;
    if (!r->way.decode) /* what an attempt has left */
        memcpy(r->read, samples, r->n * sizeof(*samples));
    return r;
}

void sample_reader_free(struct sample_reader *r)
{
    for (size_t i = 0; i < 2 * (size_t)MAX_SAMPLES; i++)
        free(r->texts[i]);
    buf_done(&r->codec_lines);
    codec_run_free(r->run);
    codec_set_free(r->own);
    json_free(r->json);
    free(r);
}

const struct profile_guess_way *sample_reader_way(const struct sample_reader *r)
{
    return &r->way;
}

const struct profile_guess_sample *sample_reader_samples(const struct sample_reader *r)
{
    return r->read;
}

const char *sample_reader_words(const struct sample_reader *r)
{
    return r->words;
}
