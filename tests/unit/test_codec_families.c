/* SPDX-License-Identifier: Apache-2.0 */
/* Published frames of the protocols that have a codec in C, when they are there ($GAIHOU_SHARED or
 * ../shared): well-formed ones say what their publishers expect, the others are refused. */
#include "core/codec_private.h"
#include "core/json.h"
#include "unit/show.h"
#include "unit/unit.h"

#include <errno.h>

typedef int codec_fn(const char *p, size_t n, struct doc *d, struct codec_fault *f);

static const struct family {
    const char *vendor;
    codec_fn *codec;
    const char *within; /* where its fields are: members, '#' is the first element */
} families[] = {
    {"HJ 212", codec_hj212, "#/CP"},
    {"GB/T 26875.3", codec_gb26875, "#"},
    {"wM-Bus", codec_wmbus, ""},
    {"Sparkplug B", codec_sparkplug, ""},
};

/* Names of the publishers' drivers, and what they are here: a path, and a factor. */
static const struct {
    const char *vendor, *field, *path;
    double factor;
} aliases[] = {
    {"GB/T", "data_type", "type", 1},
    {"GB/T", "system_type", "objects/#/system_type", 1},
    {"GB/T", "system_addr", "objects/#/system_addr", 1},
    {"GB/T", "part_addr", "objects/#/part_addr", 1},
    {"GB/T", "part_state", "objects/#/part_state", 1},
    {"GB/T", "description", "objects/#/description", 1},
    {"wM-Bus aerius", "total_m3", "volume_m3_base", 1},
    {"wM-Bus", "total_m3", "volume_m3", 1},
    {"wM-Bus", "flow_m3h", "volume_flow_m3h", 1},
    {"wM-Bus", "temperature_c", "flow_temperature_c", 1},
    {"wM-Bus", "total_energy_consumption_kwh", "energy_kwh", 1},
    {"wM-Bus", "power_kw", "power_w", 1000},
    {"wM-Bus", "current_power_consumption_kw", "power_w", 1000},
    {"wM-Bus", "voltage_at_phase_1_v", "voltage_v_l1", 1},
    {"wM-Bus", "a_counter", "counter", 1},
    {"wM-Bus", "b_counter", "counter_subunit_1", 1},
    {"wM-Bus", "alarm_counter", "text_al_storage_6", 1}, /* its driver's, by position */
    {"Sparkplug", "alias 100", "metrics/#/value", 1},
    {"Sparkplug", "bdSeq", "metrics/#/value", 1},
    {"Sparkplug", "Node Control/Rebirth", "metrics/2/value", 1},
    {"Sparkplug", "Temperature", "metrics/3/value", 1},
};

/* Drivers' own words for what the standard leaves to the manufacturer. */
static bool is_drivers_own(const char *vendor, const char *field)
{
    return strcmp(field, "status") == 0 &&
           (strcmp(vendor, "wM-Bus qsmoke") == 0 || strcmp(vendor, "wM-Bus elf") == 0);
}

static bool walk(struct json_value v, const char *path, struct json_value *out)
{
    char part[64];
    while (*path) {
        size_t n = strcspn(path, "/");
        snprintf(part, sizeof(part), "%.*s", (int)n, path);
        path += path[n] ? n + 1 : n;
        if (json_type(v) == JSON_ARRAY) {
            struct json_iter it;
            int nth = part[0] == '#' ? 1 : part[0] - '0';
            json_iter(v, &it);
            while (nth-- > 0)
                if (!json_next(&it, NULL, NULL, &v))
                    return false;
        } else if (json_type(v) != JSON_OBJECT || !json_member(v, part, &v)) {
            return false;
        }
    }
    *out = v;
    return true;
}

static void text_of(struct json_value record, const char *key, char *out, size_t room)
{
    struct json_value v;
    size_t n;
    assert_true(json_member(record, key, &v));
    const char *s = json_text(v, &n);
    assert_true(n < room);
    memcpy(out, s, n);
    out[n] = '\0';
}

static size_t payload_of(struct json_value record, char *out, size_t room)
{
    char text[8192], encoding[32];
    size_t n = 0;
    text_of(record, "payload", text, sizeof(text));
    text_of(record, "encoding", encoding, sizeof(encoding));
    if (strcmp(encoding, "hex") == 0) {
        unsigned v;
        for (const char *p = text; sscanf(p, "%2x", &v) == 1; p += 2)
            out[n++] = (char)v;
    } else if (strcmp(encoding, "base64-protobuf") == 0) {
        static const char set[] =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        unsigned bits = 0, have = 0;
        for (const char *p = text; *p && *p != '='; p++) {
            bits = bits << 6 | (unsigned)(strchr(set, *p) - set);
            have += 6;
            if (have >= 8) {
                have -= 8;
                out[n++] = (char)(bits >> have & 0xff);
            }
        }
    } else {
        n = strlen(text);
        memcpy(out, text, n);
    }
    assert_true(n < room);
    return n;
}

static bool same(struct json_value want, struct json_value got, double factor)
{
    size_t n, k;
    if (json_type(want) == JSON_STRING && json_type(got) == JSON_INT) { /* "0x0600d9" */
        char text[32];
        snprintf(text, sizeof(text), "0x%06llx", (unsigned long long)json_int(got));
        const char *s = json_text(want, &n);
        return n == strlen(text) && memcmp(s, text, n) == 0;
    }
    if (json_type(want) == JSON_STRING && json_type(got) == JSON_STRING) {
        const char *s = json_text(want, &n), *t = json_text(got, &k);
        return n == k && memcmp(s, t, n) == 0;
    }
    if (json_type(want) == JSON_BOOL || json_type(got) == JSON_BOOL)
        return json_type(want) == json_type(got) && json_bool(want) == json_bool(got);
    return json_type(want) <= JSON_DOUBLE && json_type(got) <= JSON_DOUBLE &&
           json_double(want) * factor == json_double(got);
}

static void check_expectations(const struct family *f, const char *vendor,
                               struct json_value record, struct json_value root, int *met,
                               int *own)
{
    struct json_value list, e, want, got = root, base;
    struct json_iter it;
    char field[128];
    assert_true(walk(root, f->within, &base));
    assert_true(json_member(record, "expect", &list));
    json_iter(list, &it);
    while (json_next(&it, NULL, NULL, &e)) {
        text_of(e, "field", field, sizeof(field));
        const char *path = strncmp(field, "decoded.", 8) == 0 ? field + 8 : field;
        double factor = 1;
        if (is_drivers_own(vendor, path)) {
            ++*own;
            continue;
        }
        for (size_t i = 0; i < sizeof(aliases) / sizeof(*aliases); i++) {
            if (strncmp(vendor, aliases[i].vendor, strlen(aliases[i].vendor)) == 0 &&
                strcmp(path, aliases[i].field) == 0) {
                path = aliases[i].path;
                factor = aliases[i].factor;
                break;
            }
        }
        assert_true(json_member(e, "value", &want));
        if (!walk(base, path, &got) || !same(want, got, factor))
            fail_msg("%s: %s is not as expected in %s", vendor, field, show(root));
        ++*met;
    }
}

static void test_published(void **state)
{
    (void)state;
    const char *shared = getenv("GAIHOU_SHARED");
    char path[4096], vendor[128], notes[1024], bytes[8192];
    static char line[1 << 16];
    int met = 0, own = 0, refused = 0, decoded = 0;
    (void)snprintf(path, sizeof(path), "%s/corpus/payloads.jsonl",
                   shared ? shared : "../shared");
    FILE *file = fopen(path, "re");
    if (!file) {
        print_message("%s is not there: nothing was checked\n", path);
        skip();
    }
    struct json *json = json_new(sizeof(line));
    struct doc *d = doc_new(1 << 16);
    while (fgets(line, sizeof(line) - JSON_PADDING, file)) {
        struct json_value record, root;
        const char *why;
        assert_int_equal(json_parse(json, line, strlen(line), &record, &why), 0);
        text_of(record, "vendor", vendor, sizeof(vendor));
        text_of(record, "notes", notes, sizeof(notes));
        for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++) {
            const struct family *f = &families[i];
            if (strncmp(vendor, f->vendor, strlen(f->vendor)) != 0)
                continue;
            struct codec_fault fault = {.why = NULL};
            doc_clear(d);
            int rc = f->codec(bytes, payload_of(record, bytes, sizeof(bytes)), d, &fault);
            if (strstr(notes, "wellformed=no")) {
                assert_int_equal(rc, -EBADMSG);
                assert_non_null(fault.why);
                refused++;
                continue;
            }
            if (rc != 0)
                fail_msg("%s: %s", vendor, fault.why);
            assert_int_equal(doc_finish(d, &root), 0);
            check_expectations(f, vendor, record, root, &met, &own);
            decoded++;
        }
    }
    print_message("decoded %d, refused %d, values as expected %d, of a driver's own %d\n",
                  decoded, refused, met, own);
    assert_true(decoded > 0 && refused > 0 && met > 0);
    json_free(json);
    doc_free(d);
    (void)fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_published)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
