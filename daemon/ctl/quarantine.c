/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"
#include "base/mem.h"
#include "ctl/admit.h"
#include "ctl/ctl.h"
#include "ctl/table.h"
#include "ctl/usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PADDING     256 /* what a parser may read behind a payload */
#define MAX_PAYLOAD ((size_t)64 << 20)
#define STRAGGLERS  3
#define KNOWN_TRIES 100 /* of 100 ms: until the engine has passed the new registry */

/* -- what the daemon says --------------------------------------------------------------------- */

static struct admit_sample *samples_of(const json_t *answer, size_t *out_n)
{
    const json_t *list = json_object_get(answer, "samples");
    size_t n = json_array_size(list);
    struct admit_sample *out = mem_zalloc_array(n ? n : 1, sizeof(*out));
    for (size_t i = 0; i < n; i++) {
        const json_t *row = json_array_get(list, i);
        const char *text = json_string_value(json_object_get(row, "payload_base64"));
        const char *topic = json_string_value(json_object_get(row, "topic"));
        struct buf b;
        buf_init(&b, MAX_PAYLOAD);
        if (text)
            (void)base64_get(&b, text, strlen(text));
        out[i] = (struct admit_sample){
            .topic = topic ? topic : "", .payload = mem_zalloc(b.len + PADDING), .len = b.len};
        if (b.len)
            memcpy(out[i].payload, b.data, b.len);
        buf_done(&b);
    }
    *out_n = n;
    return out;
}

static void samples_free(struct admit_sample *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(s[i].payload);
    free(s);
}

static int ask(const struct ctl *c, const char *device, json_t **out, struct admit *a)
{
    char *name = ctl_encode(device), *path = mem_printf("/api/v1/quarantine/%s", name);
    int code = ctl_get(c, path, out);
    free(name);
    free(path);
    if (code != CTL_DONE)
        return code;
    a->device = device;
    a->compound = json_string_value(json_object_get(*out, "compound"));
    a->profile = json_string_value(json_object_get(*out, "profile"));
    if (!a->config)
        a->config = json_string_value(json_object_get(*out, "config"));
    a->samples = samples_of(*out, &a->n_samples);
    return CTL_DONE;
}

/* -- show --------------------------------------------------------------------------------------- */

static void print_payload(const struct admit_sample *s)
{
    bool text = true;
    size_t len =
        s->len; /* the line end of a file that was published is no part of what it says */
    while (len > 0 && strchr("\r\n", s->payload[len - 1]) && s->payload[len - 1])
        len--;
    for (size_t i = 0; i < s->len; i++)
        text =
            text && ((unsigned char)s->payload[i] >= 0x20 || strchr("\t\r\n", s->payload[i]));
    char *clean = text ? ctl_clean(s->payload, len, 2000) : NULL;
    if (clean) {
        printf("%s\n", clean);
    } else {
        for (size_t i = 0; i < s->len && i < 512; i++)
            printf("%02x%s", (unsigned char)s->payload[i], i % 4 == 3 ? " " : "");
        printf("%s\n", s->len > 512 ? "…" : "");
    }
    free(clean);
}

static void show_text(const json_t *j, const struct admit *a, const char *line,
                      const char *missing)
{
    const json_t *last = json_array_get(json_object_get(j, "samples"), 0);
    printf("device      %s\n", a->device);
    printf("why         %s\n", ctl_text(last, "reason"));
    printf("first seen  %s\n", ctl_text(j, "first_seen"));
    printf("last seen   %s\n", ctl_text(j, "last_seen"));
    printf("messages    %s (%s kept)\n", ctl_count(j, "messages"), ctl_count(j, "kept"));
    printf("profile     %s\n", a->profile ? a->profile : "no source fits its topic any more");
    printf("topic       %s\n", ctl_text(j, "topic"));
    printf("last message, %s bytes:\n", ctl_count(last, "payload_bytes"));
    if (a->n_samples > 0)
        print_payload(&a->samples[0]);
    printf("\nThe line of devices.csv that would admit it%s%s:\n%s",
           *missing ? ", but for " : "", missing, line);
    printf("\ngaihouctl quarantine adopt %s%s   writes it and takes its messages up.\n",
           a->device, admit_wanted(a));
}

static int show(const struct ctl *c, const char *device, struct admit *a)
{
    json_t *j = NULL;
    struct buf line;
    const char *missing = "";
    int code = ask(c, device, &j, a);
    if (code != CTL_DONE)
        return code;
    buf_init(&line, 1 << 20);
    admit_show(a, &line, &missing);
    if (c->json) {
        json_object_set_new(j, "line", json_stringn(buf_cstr(&line), line.len));
        json_object_set_new(j, "missing", json_stringn(missing, strlen(missing)));
        ctl_print_json(j);
    } else {
        show_text(j, a, buf_cstr(&line), missing);
    }
    samples_free(a->samples, a->n_samples);
    buf_done(&line);
    json_decref(j);
    return CTL_DONE;
}

/* -- adopt -------------------------------------------------------------------------------------- */

static int replay(const struct ctl *c, const char *device)
{
    struct ctl_param p = {"device", device};
    return ctl_say(c, ctl_path("/api/v1/quarantine/replay", &p, 1));
}

static bool still_there(const struct ctl *c, const char *device)
{
    struct ctl_param p = {"device", device};
    char *path = ctl_path("/api/v1/quarantine", &p, 1);
    json_t *j = NULL;
    bool there =
        ctl_get(c, path, &j) == CTL_DONE && json_array_size(json_object_get(j, "devices")) > 0;
    json_decref(j);
    free(path);
    return there;
}

/* What came just before the reload may reach the store just after the first replay: it is written
 * only when the journal is on the disk. */
static int replay_all(const struct ctl *c, const char *device)
{
    int code = replay(c, device);
    for (int i = 0; i < STRAGGLERS && code == CTL_DONE; i++) {
        (void)nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
        if (still_there(c, device))
            code = replay(c, device);
    }
    return code;
}

/* Known to the engine, not to the file only: what is taken up earlier is in quarantine again. */
static bool until_known(const struct ctl *c, const char *code)
{
    char *name = ctl_encode(code),
         *path = mem_printf("/api/v1/devices?device=%s&limit=1", name);
    bool known = false;
    for (int i = 0; i < KNOWN_TRIES && !known; i++) {
        json_t *j = NULL;
        if (i > 0)
            (void)nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        if (ctl_get(c, path, &j) != CTL_DONE)
            break;
        known = json_array_size(json_object_get(j, "devices")) > 0;
        json_decref(j);
    }
    free(name);
    free(path);
    return known;
}

static int reload(const struct ctl *c, struct admit *a, const char *path,
                  const struct buf *before)
{
    json_t *j = NULL;
    int code = ctl_post(c, "/api/v1/reload", &j);
    if (code != CTL_DONE) {
        fprintf(stderr,
                "gaihouctl: the line is in %s, but was not loaded: gaihouctl reload, then "
                "adopt --replay\n",
                path);
        return code;
    }
    if (json_is_true(json_object_get(j, "refused"))) {
        fprintf(stderr, "gaihouctl: the reload was refused: %s\n", ctl_text(j, "text"));
        if (admit_undo(a, path, before) == CTL_DONE)
            fprintf(stderr, "gaihouctl: %s is as it was\n", path);
        code = CTL_REFUSED;
    }
    json_decref(j);
    return code;
}

static int settle(const struct ctl *c, struct admit *a, const char *path,
                  const struct buf *before)
{
    int code = reload(c, a, path, before);
    if (code != CTL_DONE)
        return code;
    if (!until_known(c, a->code)) {
        fprintf(stderr,
                "gaihouctl: the line is in %s, but the gateway does not know \"%s\" yet; "
                "when it does: gaihouctl quarantine adopt %s --replay\n",
                path, a->code, a->device);
        return CTL_REFUSED;
    }
    return replay_all(c, a->device);
}

/* A device that is in the registry needs no line. */
static bool is_known(const json_t *j)
{
    const json_t *last = json_array_get(json_object_get(j, "samples"), 0);
    const char *why = json_string_value(json_object_get(last, "reason"));
    if (why && strcmp(why, "other_compound") == 0)
        fprintf(stderr,
                "gaihouctl: the registry knows it, but in another compound than its topic "
                "says (%s): mend one of both, reload, then adopt --replay\n",
                ctl_text(j, "topic"));
    else
        return false;
    return true;
}

static int adopt(const struct ctl *c, const char *device, struct admit *a, bool dry)
{
    json_t *j = NULL;
    struct buf before, line;
    char *path = NULL;
    const char *missing;
    int code = ask(c, device, &j, a);
    if (code != CTL_DONE)
        return code;
    buf_init(&before, (size_t)256 << 20);
    buf_init(&line, 1 << 20);
    code = is_known(j) ? CTL_REFUSED : admit_write(a, dry, &path, &before);
    if (code == CTL_DONE && !c->json) {
        admit_show(a, &line, &missing);
        printf("%s", buf_cstr(&line));
    }
    if (code == CTL_DONE && !dry)
        code = settle(c, a, path, &before);
    samples_free(a->samples, a->n_samples);
    free(path);
    buf_done(&before);
    buf_done(&line);
    json_decref(j);
    return code;
}

/* -- the command -------------------------------------------------------------------------------- */

/* Takes an option without a value out of argv. */
static bool flag(int *argc, char **argv, const char *name)
{
    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], name) != 0)
            continue;
        memmove(argv + i, argv + i + 1, (size_t)(*argc - i - 1) * sizeof(*argv));
        --*argc;
        return true;
    }
    return false;
}

static int adopt_or_show(const struct ctl *c, bool adopts, int argc, char **argv)
{
    struct ctl_param p[ADMIT_COLUMNS + 2];
    char *names[ADMIT_COLUMNS];
    const char *id = NULL;
    struct admit a = {0};
    bool dry = flag(&argc, argv, "--dry-run"), again = flag(&argc, argv, "--replay");
    for (size_t i = 0; i < ADMIT_COLUMNS; i++) {
        names[i] = mem_strdup(admit_columns[i]); /* expected_interval is --expected-interval */
        for (char *s = names[i]; *s; s++)
            *s = *s == '_' ? '-' : *s;
        p[i] = (struct ctl_param){names[i], NULL};
    }
    p[ADMIT_COLUMNS] = (struct ctl_param){"file", NULL};
    p[ADMIT_COLUMNS + 1] = (struct ctl_param){"config", NULL};
    bool good = ctl_options(argc, argv, p, ADMIT_COLUMNS + 2, &id);
    for (size_t i = 0; i < ADMIT_COLUMNS; i++) {
        a.given[i] = (struct registry_cell){admit_columns[i], p[i].value};
        free(names[i]);
    }
    a.file = p[ADMIT_COLUMNS].value;
    a.config = p[ADMIT_COLUMNS + 1].value;
    if (!good)
        return CTL_USAGE;
    if (!id || (again && (dry || !adopts)))
        return usage_wrong("quarantine", NULL);
    if (!adopts)
        return show(c, id, &a);
    return again ? replay(c, id) : adopt(c, id, &a, dry);
}

static void prepare_stranger(json_t *row)
{
    ctl_set_clock(row, "last_seen", ctl_text(row, "last_seen"));
}

int ctl_quarantine(const struct ctl *c, int argc, char **argv)
{
    static const char *const keys[] = {"device", "compound",  "messages",
                                       "kept",   "last_seen", "topic"};
    const char *id = NULL;
    int at;
    const char *verb = ctl_verb(argc, argv, &at);
    bool adopts = strcmp(verb, "adopt") == 0;
    if (adopts || strcmp(verb, "show") == 0)
        return adopt_or_show(c, adopts, argc - at, argv + at);
    struct ctl_param p[] = {
        {"device", NULL}, {"topic", NULL}, {"limit", NULL}, {"before", NULL}};
    if (!ctl_options(argc - at, argv + at, p, 4, &id))
        return CTL_USAGE;
    if (id)
        return usage_wrong("quarantine", NULL);
    if (strcmp(verb, "purge") == 0)
        return ctl_say(c, ctl_path("/api/v1/quarantine/purge", p, 4));
    if (strcmp(verb, "list") != 0)
        return usage_wrong("quarantine", NULL);
    return ctl_list(c, ctl_path("/api/v1/quarantine", p, 4), "devices",
                    "DEVICE:40|COMPOUND|MESSAGES>|KEPT>|LAST SEEN|TOPIC:60", keys, 6,
                    prepare_stranger);
}
