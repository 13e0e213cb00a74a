/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding: the first byte picks a chain, the rest is the message. Nothing is read past the
 * message; a refusal has a reason; what is taken is finite and valid, and reads the same when it
 * is written as JSON; and hex and base64 give back what was encoded. */
#include "base/base64.h"
#include "base/check.h"
#include "base/jsonw.h"
#include "base/num.h"
#include "base/utf8.h"
#include "core/codec.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char defs[] =
    "codecs:\n"
    "  s1:\n"
    "    struct:\n"
    "      - {name: n, type: u8, bits: {low: [0, 3], high: 7, mid: {at: [4, 6], map: {1: "
    "a}}}}\n"
    "      - {name: len, type: u16le}\n"
    "      - {name: list, repeat: low, fields: [{name: k, type: u8},"
    " {name: in, repeat: k, fields: [{name: v, type: i24be, divide: 10}]}]}\n"
    "      - {switch: n, cases: {1: [{name: imei, type: bcd, bytes: 4}],"
    " 2: [{name: f, type: f16le}, {name: g, type: f64be, scale: 3}], 3: []},"
    " default: [{name: num, type: bcdnum, bytes: 10, divide: 100}]}\n"
    "      - {name: text, type: ascii, until: 0}\n"
    "      - {name: cn, type: gb18030, bytes: 5, map: {A: 1}}\n"
    "      - {at: 0, name: first, type: u64le}\n"
    "      - {at: -2, name: last, type: i16be, offset: -40, scale: 0.1}\n"
    "      - {name: h, type: hex, bytes: len}\n"
    "      - {name: sum, type: u8, checksum: sum8, over: [0, here]}\n"
    "      - {name: body, bytes: -1, decode: m2}\n"
    "      - {name: all, repeat: rest, fields: [{name: b, type: bool}]}\n"
    "  s2:\n"
    "    struct:\n"
    "      - {name: c, type: u8, is: [1, 2]}\n"
    "      - {name: x, type: uintbe, bytes: c}\n"
    "      - {name: y, type: f32cdab}\n"
    "      - {bytes: rest, decode: m1}\n"
    "    rest: allow\n"
    "  s3:\n"
    "    struct:\n"
    "      - {name: a, repeat: 100, fields: [{name: b, repeat: 100, fields:"
    " [{name: c, repeat: 100, fields: [{at: 0, name: d, type: u8}]}]}]}\n"
    "    rest: allow\n"
    "  m1:\n"
    "    tlv:\n"
    "      key: [u8, u8]\n"
    "      unknown: stop\n"
    "      items:\n"
    "        - {key: [0x01, 0x75], name: battery, type: u8}\n"
    "        - {key: [0x03, 0x67], name: temperature, type: i16le, divide: 10}\n"
    "        - {key: [0x20, 0xce], name: history, list: true,"
    " fields: [{name: ts, type: u32le}, {name: t, type: i16le, divide: 10}]}\n"
    "        - {key: [\"*\", 0xc8], name: \"pulse_{0}\", type: u32le}\n"
    "        - {key: [7, \"*\"], name: \"any_{1}\", type: u8, bits: {\"b_{0}\": 1}}\n"
    "        - {key: [8, 8], name: values, list: true, type: u8}\n"
    "        - {key: [8, 9], name: values, list: true, type: bcd, bytes: 2}\n"
    "        - {key: [9, 9], name: rest, type: ascii}\n"
    "  m2:\n"
    "    tlv:\n"
    "      key: u8\n"
    "      length: u8\n"
    "      unknown: skip\n"
    "      items:\n"
    "        - {key: 1, name: t, type: intbe, divide: 10}\n"
    "        - {key: 2, name: text, type: gb18030}\n"
    "        - {key: 3, name: list, list: true, decode: m3}\n"
    "        - {key: 4, name: j, decode: json}\n"
    "        - {key: 5, name: c, decode: cbor}\n"
    "        - {key: 6, name: csv, decode: csv}\n"
    "  m3:\n"
    "    tlv: {key: u8, length: u16be, items: [{key: 1, name: l, list: true, type: u8}]}\n";

static const struct {
    const char *chain;
    bool json; /* JSON needs bytes behind it */
} chains[] = {
    {"json", true},
    {"jsonl", true},
    {"[hex, json]", false},
    {"[base64, json]", false},
    {"text", false},
    {"number", true},
    {"bytes", false},
    {"bcd", false},
    {"csv", false},
    {"{csv: {separator: \";;\", names: [a, null, b], lines: true}}", false},
    {"keyvalue", false},
    {"{keyvalue: {pair: \"\\n\", is: \": \"}}", false},
    {"{pattern: \"N{model:3}V{fw}I{imei}{{x}}{rest}\"}", false},
    {"cbor", false},
    {"{text: gb18030}", false},
    {"s1", true},
    {"s2", false},
    {"s3", false},
    {"m1", false},
    {"m2", true},
    {"[base64, m1]", false},
    {"[hex, reverse, {slice: [1, -1]}, m2]", false},
    {"[{frame: {head: \"4040\", tail: \"2323\", checksum: sum8, seek: true}}, s2]", false},
    {"[{frame: {checksum: crc16-x25, length: {at: 1, type: u16be, add: 3}, keep: true}}]",
     false},
    {"[{frame: {head: \"24\", checksum: xor8, at: -2, over: [1, -3], ascii: true}}]", false},
    {"{modbus: {registers: [{at: 0, name: a, type: u16be}, {at: 1, name: b, type: f32be}]}}",
     false},
    {"{modbus: {tcp: true, registers: [{at: 0, name: a, type: u16be}]}}", false},
    {"hj212", false},
    {"gb26875", false},
    {"wmbus", false},
    {"sparkplug-b", false},
};
enum { N_CHAINS = sizeof(chains) / sizeof(chains[0]) };

static struct codec_chain *compiled[N_CHAINS], *hex_chain, *base64_chain;
static struct codec_set *set; /* reachable to the end */
static struct codec_run *run;
static struct json *json;

static struct codec_chain *compile(struct codec_set *s, const char *text)
{
    struct arena a;
    struct conf_notes notes = {0};
    struct buf b;
    arena_init(&a, 1 << 20);
    buf_init(&b, 1 << 12);
    (void)buf_printf(&b, "decode: %s\n", text);
    struct yaml_node *root = yaml_parse(b.data, b.len, &a, &notes);
    ASSERT(root);
    struct codec_chain *c = codec_chain_parse(s, root->first, &notes);
    ASSERT(c && !notes.errors);
    arena_done(&a);
    buf_done(&b);
    return c;
}

static void set_up(void)
{
    struct arena a;
    struct conf_notes notes = {0};
    struct problems *p = problems_new(10);
    struct codec_set *s = set = codec_set_new();
    arena_init(&a, 1 << 20);
    struct yaml_node *root = yaml_parse(defs, sizeof(defs) - 1, &a, &notes);
    ASSERT(root);
    ASSERT(codec_set_add(s, root->first, "defs", &notes) == 0);
    ASSERT(codec_set_settle(s, p) == 0);
    arena_done(&a);
    problems_free(p);
    for (size_t i = 0; i < N_CHAINS; i++)
        compiled[i] = compile(s, chains[i].chain);
    hex_chain = compile(s, "[hex, bytes]");
    base64_chain = compile(s, "[base64, bytes]");
    run = codec_run_new(1 << 16);
    json = json_new(64 << 20);
}

static void put(struct jsonw *w, const char *key, struct json_value v, unsigned depth)
{
    struct json_iter it;
    struct json_value each;
    const char *k;
    size_t n;
    char number[NUM_MAX + 2];
    ASSERT(depth <= DOC_MAX_DEPTH);
    switch (json_type(v)) {
    case JSON_NULL:
        jsonw_null(w, key);
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
        ASSERT(isfinite(json_double(v)));
        n = num_put_double(number, json_double(v));
        if (!memchr(number, '.', n) && !memchr(number, 'e', n)) {
            number[n++] = '.'; /* stay a double */
            number[n++] = '0';
        }
        jsonw_raw(w, key, number, n);
        return;
    case JSON_STRING:
        k = json_text(v, &n);
        ASSERT(utf8_valid(k, n) && k[n] == '\0');
        jsonw_strn(w, key, k, n);
        return;
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    json_iter(v, &it);
    if (it.object)
        jsonw_object(w, key);
    else
        jsonw_array(w, key);
    while (json_next(&it, &k, &n, &each)) {
        ASSERT(!k || (utf8_valid(k, n) && k[n] == '\0'));
        put(w, it.object ? k : NULL, each, depth + 1); /* a NUL ends it: for equal() too */
    }
    if (it.object)
        jsonw_end_object(w);
    else
        jsonw_end_array(w);
}

static void equal(struct json_value a, struct json_value b)
{
    struct json_iter ia, ib;
    struct json_value va, vb;
    const char *ka, *kb;
    size_t na, nb;
    ASSERT(json_type(a) == json_type(b));
    if (json_type(a) == JSON_INT || json_type(a) == JSON_UINT)
        ASSERT(json_uint(a) == json_uint(b));
    if (json_type(a) == JSON_DOUBLE)
        ASSERT(json_double(a) == json_double(b));
    if (json_type(a) == JSON_STRING) {
        ka = json_text(a, &na);
        kb = json_text(b, &nb);
        ASSERT(na == nb && memcmp(ka, kb, na) == 0);
    }
    if (json_type(a) != JSON_ARRAY && json_type(a) != JSON_OBJECT)
        return;
    ASSERT(json_count(a) == json_count(b));
    json_iter(a, &ia);
    json_iter(b, &ib);
    while (json_next(&ia, &ka, &na, &va)) {
        ASSERT(json_next(&ib, &kb, &nb, &vb));
        ASSERT((ka != NULL) == (kb != NULL) && (!ka || strcmp(ka, kb) == 0));
        equal(va, vb);
    }
}

static unsigned depth_of(struct json_value v)
{
    struct json_iter it;
    struct json_value each;
    unsigned most = 0;
    if (json_type(v) != JSON_ARRAY && json_type(v) != JSON_OBJECT)
        return 0;
    json_iter(v, &it);
    while (json_next(&it, NULL, NULL, &each)) {
        unsigned d = depth_of(each);
        most = d > most ? d : most;
    }
    return most + 1;
}

static void check_result(struct json_value root)
{
    struct buf b;
    struct jsonw w;
    struct json_value again;
    const char *why = NULL;
    buf_init(&b, 60 << 20);
    jsonw_init(&w, &b);
    put(&w, NULL, root, 0);
    ASSERT(!b.failed);
    ASSERT(buf_room(&b, JSON_PADDING));
    if (depth_of(root) < 63) {
        ASSERT(json_parse(json, b.data, b.len, &again, &why) == 0);
        equal(root, again);
    }
    buf_done(&b);
}

static int decode(const struct codec_chain *c, const char *p, size_t n, size_t padding,
                  struct json_value *out)
{
    struct codec_fault f = {0};
    char *exact = malloc(n + padding + 1);
    if (!exact)
        abort();
    char *at = padding ? exact : exact + 1; /* the end of the block is the end of the message */
    if (n)
        memcpy(at, p, n);
    memset(at + n, '"', padding);
    codec_run_clear(run);
    int r = codec_chain_run(c, run, at, n, out, &f);
    free(exact);
    ASSERT(r == 0 || ((r == -EBADMSG || r == -E2BIG) && f.why && *f.why));
    ASSERT(r == 0 || f.at == SIZE_MAX || f.at <= n);
    return r;
}

static void round_trips(const char *p, size_t n)
{
    struct buf hex, base64;
    struct json_value root;
    size_t len;
    buf_init(&hex, 2 * n + 1);
    buf_init(&base64, 2 * n + 8);
    for (size_t i = 0; i < n; i++)
        (void)buf_printf(&hex, "%02x", (unsigned char)p[i]);
    ASSERT(base64_put(&base64, p, n) == 0);
    ASSERT(decode(hex_chain, hex.data, hex.len, 0, &root) == 0);
    const char *got = json_text(root, &len);
    ASSERT(len == hex.len && (len == 0 || memcmp(got, hex.data, len) == 0));
    size_t cut = base64.len; /* padding is optional */
    while (n % 2 && cut && base64.data[cut - 1] == '=')
        cut--;
    ASSERT(decode(base64_chain, base64.data, cut, 0, &root) == 0);
    got = json_text(root, &len);
    ASSERT(len == hex.len && (len == 0 || memcmp(got, hex.data, len) == 0));
    buf_done(&hex);
    buf_done(&base64);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_value root;
    if (!set)
        set_up();
    if (size < 1 || size > 8192)
        return 0;
    size_t i = data[0] % (N_CHAINS + 1);
    const char *p = (const char *)data + 1;
    if (i == N_CHAINS)
        round_trips(p, size - 1);
    else if (decode(compiled[i], p, size - 1, chains[i].json ? JSON_PADDING : 0, &root) == 0)
        check_result(root);
    return 0;
}
