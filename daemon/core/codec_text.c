/* SPDX-License-Identifier: Apache-2.0 */
/* Steps to values without options, or nearly: text, number, bytes, bcd, json, jsonl. */
#include "base/num.h"
#include "base/utf8.h"
#include "core/codec_plan_private.h"

int codec_text(const struct codec_op *op, struct codec_run *x, struct codec_span in,
               struct doc *d, struct codec_fault *f)
{
    (void)op;
    (void)x;
    if (!utf8_valid(in.p, in.n)) {
        size_t i = 0, n;
        while (i < in.n && (n = utf8_char(in.p + i, in.n - i)) > 0)
            i += n;
        return codec_refuse(f, "not valid UTF-8", i);
    }
    return doc_text(d, in.p, in.n);
}

static int text_gb18030(const struct codec_op *op, struct codec_run *x, struct codec_span in,
                        struct doc *d, struct codec_fault *f)
{
    (void)op;
    (void)f;
    return codec_put_gb18030(x, d, in.p, in.n);
}

bool codec_parse_text(struct codec_parse *c, const struct yaml_node *n,
                      const struct yaml_node *map, struct codec_op *op)
{
    static const char *const words[] = {"utf8", "gb18030"};
    const struct yaml_node *text = NULL;
    const struct codec_key keys[] = {{"text", &text}};
    int i = codec_read_choice(c, n, "text", words, 2);
    op->to_value = i == 1 ? text_gb18030 : codec_text;
    return codec_read_map(c, map, keys, 1, "a text") && i >= 0;
}

static bool is_word(struct codec_span s, const char *word)
{
    return s.n == strlen(word) && memcmp(s.p, word, s.n) == 0;
}

/* A bare scalar as devices print it: 21.5, true, "text", or text without quotes. */
int codec_number(const struct codec_op *op, struct codec_run *x, struct codec_span in,
                 struct doc *d, struct codec_fault *f)
{
    struct codec_span s = codec_trim(in);
    struct json_value root;
    int64_t i;
    uint64_t u;
    double v;
    const char *why;
    (void)op;
    (void)f;
    if (is_word(s, "true") || is_word(s, "false"))
        return doc_bool(d, s.p[0] == 't');
    if (is_word(s, "null"))
        return doc_null(d);
    if (num_get_i64(s.p, s.n, &i) == 0)
        return doc_int(d, i);
    if (num_get_u64(s.p, s.n, &u) == 0)
        return doc_uint(d, u);
    if (num_get_double(s.p, s.n, &v) == 0)
        return doc_double(d, v);
    if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"' &&
        json_parse(codec_scratch(x), s.p, s.n, &root, &why) == 0)
        return doc_copy(d, root);
    return codec_put_text(x, d, s.p, s.n);
}

int codec_bytes(const struct codec_op *op, struct codec_run *x, struct codec_span in,
                struct doc *d, struct codec_fault *f)
{
    (void)op;
    (void)f;
    return codec_put_hex(x, d, in.p, in.n);
}

int codec_bcd(const struct codec_op *op, struct codec_run *x, struct codec_span in,
              struct doc *d, struct codec_fault *f)
{
    (void)op;
    for (size_t i = 0; i < in.n; i++) {
        if (((unsigned char)in.p[i] >> 4) > 9 || ((unsigned char)in.p[i] & 15) > 9)
            return codec_refuse(f, "not BCD: a half byte above 9", i);
    }
    return codec_put_hex(x, d, in.p, in.n);
}

/* As a step within a field; alone it is read without copying, see codec.c. */
int codec_json(const struct codec_op *op, struct codec_run *x, struct codec_span in,
               struct doc *d, struct codec_fault *f)
{
    struct json_value root;
    (void)op;
    int r = json_parse(codec_scratch(x), in.p, in.n, &root, &f->why);
    if (r < 0)
        return r == -EMSGSIZE ? -E2BIG : r;
    return doc_copy(d, root);
}

/* The end of the JSON text that begins at `i`: where its brackets are closed, or, for a bare
 * scalar, where a blank or another text begins. What is no JSON is for the parser to say. */
static size_t end_of_json(struct codec_span in, size_t i)
{
    size_t depth = 0;
    bool quoted = false, brackets = in.p[i] == '{' || in.p[i] == '[';
    for (size_t begin = i; i < in.n; i++) {
        char c = in.p[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
            if (!quoted && !brackets)
                return i + 1;
        } else if (c == '"') {
            if (!brackets && i > begin)
                return i;
            quoted = true;
        } else if (c == '{' || c == '[') {
            if (!brackets && i > begin)
                return i;
            depth++;
        } else if (c == '}' || c == ']') {
            if (!brackets)
                continue;
            if (--depth == 0)
                return i + 1;
        } else if (!brackets && codec_blank(c)) {
            return i;
        }
    }
    return in.n;
}

/* Several JSON texts in one body, with line ends, blanks or nothing between them. */
int codec_jsonl(const struct codec_op *op, struct codec_run *x, struct codec_span in,
                struct doc *d, struct codec_fault *f)
{
    struct json_value root;
    size_t i = 0;
    (void)op;
    int r = doc_array(d);
    for (;;) {
        while (i < in.n && codec_blank(in.p[i]))
            i++;
        if (r < 0 || i == in.n)
            break;
        size_t end = end_of_json(in, i);
        r = json_parse(codec_scratch(x), in.p + i, end - i, &root, &f->why);
        if (r == -EBADMSG)
            f->at = i;
        if (r == 0)
            r = doc_copy(d, root);
        i = end;
    }
    return r < 0 ? r : doc_end(d);
}
