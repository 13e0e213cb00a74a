/* SPDX-License-Identifier: Apache-2.0 */
/* Replies of Modbus (Application Protocol V1.1b3; RTU framing: over serial line V1.02). A reply
 * does not say which registers it holds: whoever polls knows, and so must the definition. */
#include "core/codec_plan_private.h"

struct modbus {
    bool any_unit;
    int64_t unit;
    bool functions[128];
    bool crc, tcp; /* tcp: with the MBAP header, without CRC */
    int n_slots;
    struct codec_layout layout; /* `at` is in bytes of the data */
};

static const char *const exceptions[] = {
    "the device answers with exception 0",
    "the device answers: illegal function",
    "the device answers: illegal data address",
    "the device answers: illegal data value",
    "the device answers: it has failed",
    "the device answers: acknowledged, not done yet",
    "the device answers: it is busy",
};

static int refuse_exception(struct codec_fault *f, unsigned code)
{
    bool known = code < sizeof(exceptions) / sizeof(exceptions[0]);
    return codec_refuse(f, known ? exceptions[code] : "the device answers with an exception",
                        1);
}

/* From the unit to the data's end; the framing is checked and gone. */
static int unframe(const struct modbus *m, struct codec_span *s, struct codec_fault *f)
{
    const unsigned char *p = (const unsigned char *)s->p;
    if (m->tcp) {
        if (s->n < 8 || p[2] || p[3])
            return codec_refuse(f, "no MBAP header", 0);
        if ((size_t)(p[4] << 8 | p[5]) != s->n - 6)
            return codec_refuse_sum(f, "the length in the MBAP header does not agree", 4);
        *s = (struct codec_span){s->p + 6, s->n - 6};
    } else if (m->crc) {
        const struct codec_sum *sum = codec_sum_find("crc16-modbus");
        if (s->n < 5)
            return codec_refuse(f, "too short for a Modbus reply", s->n);
        uint32_t made = sum->of(sum, p, s->n - 2),
                 told = (uint32_t)p[s->n - 1] << 8 | p[s->n - 2];
        if (made != told)
            return codec_refuse_sum_of(f, "the check sum does not agree", s->n - 2, sum, told,
                                       made, 0, s->n - 2);
        s->n -= 2;
    }
    return s->n < 3 ? codec_refuse(f, "too short for a Modbus reply", s->n) : 0;
}

static int modbus_members(const struct codec_op *op, struct codec_run *x, struct codec_span in,
                          struct doc *d, struct codec_fault *f)
{
    const struct modbus *m = op->arg;
    struct codec_span s = in;
    int r = unframe(m, &s, f);
    if (r < 0)
        return r;
    const unsigned char *p = (const unsigned char *)s.p;
    unsigned function = p[1] & 127u;
    if (!m->any_unit && p[0] != m->unit)
        return codec_refuse(f, "the reply of another unit", 0);
    if (!m->functions[function])
        return codec_refuse(f, "the reply to another function", 1);
    if (p[1] & 128)
        return refuse_exception(f, p[2]);
    if (p[2] != s.n - 3)
        return codec_refuse_sum(f, "the number of bytes does not agree", 2);
    size_t left = codec_work(s.n);
    struct codec_cursor c;
    codec_begin(&c, (struct codec_span){s.p + 3, s.n - 3}, (size_t)(s.p - in.p) + 3,
                m->n_slots);
    c.x = x;
    c.d = d;
    c.f = f;
    c.work = &left;
    if ((r = doc_key(d, "unit", 4)) < 0 || (r = doc_int(d, p[0])) < 0 ||
        (r = doc_key(d, "function", 8)) < 0 || (r = doc_int(d, function)) < 0)
        return r;
    return codec_fields_run(&c, &m->layout);
}

static int modbus_value(const struct codec_op *op, struct codec_run *x, struct codec_span in,
                        struct doc *d, struct codec_fault *f)
{
    int r = doc_object(d);
    if (r == 0)
        r = modbus_members(op, x, in, d, f);
    return r == 0 ? doc_end(d) : r;
}

static bool modbus_gives(const struct codec_op *op, const struct codec_look *l, size_t at)
{
    static const struct codec_span own[] = {{"unit", 4}, {"function", 8}};
    bool found = false;
    for (size_t i = 0; i < 2; i++)
        found = (codec_look_name(l, own[i], false, at) && at + 1 >= l->n) || found;
    return codec_look_fields(l, &((const struct modbus *)op->arg)->layout, at) || found;
}

static bool read_functions(struct codec_parse *c, const struct yaml_node *n, struct modbus *m)
{
    const struct yaml_node *v = n->kind == YAML_LIST ? n->first : n;
    for (; v; v = n->kind == YAML_LIST ? v->next : NULL) {
        int64_t i;
        if (!codec_read_int(c, v, "function", 1, 4, &i))
            return false;
        m->functions[i] = true;
    }
    return true;
}

/* Registers are counted in words; fields in bytes. Those within groups and cases, too: how deep they
 * are is bounded by CODEC_MAX_NEST. */
static void words_to_bytes(struct codec_layout *l)
{
    for (size_t i = 0; i < l->n; i++) {
        struct codec_field *f = &l->fields[i];
        f->at *= 2;
        words_to_bytes(&f->inner);
        for (size_t k = 0; k < f->n_cases; k++) {
            struct codec_layout of_case = f->cases[k].layout;
            words_to_bytes(&of_case);
        }
    }
}

bool codec_parse_modbus(struct codec_parse *c, const struct yaml_node *n,
                        const struct yaml_node *map, struct codec_op *op)
{
    const struct yaml_node *modbus = NULL, *unit = NULL, *function = NULL, *registers = NULL,
                           *crc = NULL, *tcp = NULL;
    const struct codec_key outer[] = {{"modbus", &modbus}};
    const struct codec_key keys[] = {{"unit", &unit},
                                     {"function", &function},
                                     {"registers", &registers},
                                     {"crc", &crc},
                                     {"tcp", &tcp}};
    struct modbus *m = codec_take(c, sizeof(*m));
    op->to_value = modbus_value;
    op->to_members = modbus_members;
    op->gives = modbus_gives;
    op->arg = m;
    m->crc = true;
    bool good = codec_read_map(c, map, outer, 1, "a modbus");
    good = codec_read_map(c, n, keys, 5, "a modbus") && good;
    m->any_unit = !unit || (unit->kind == YAML_SCALAR && strcmp(unit->text, "any") == 0);
    if (!function)
        m->functions[3] = m->functions[4] = true;
    if (!registers) {
        conf_error(c->notes, AT(n), "a modbus needs registers: [{at: 0, name: …, type: …}]");
        return false;
    }
    good = (m->any_unit || codec_read_int(c, unit, "unit", 0, 255, &m->unit)) && good;
    good = (!function || read_functions(c, function, m)) && good;
    good = (!crc || codec_read_bool(c, crc, "crc", &m->crc)) && good;
    good = (!tcp || codec_read_bool(c, tcp, "tcp", &m->tcp)) && good;
    good = codec_parse_layout(c, registers, NULL, &m->layout) && good;
    m->n_slots = c->n_slots;
    words_to_bytes(&m->layout);
    return good;
}
