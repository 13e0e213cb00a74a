/* SPDX-License-Identifier: Apache-2.0 */
/* gaihouctl rules test: test files (core/ruletest.h), their rules and catalogue. */
#include "base/mem.h"
#include "base/zone.h"
#include "ctl/exit.h"
#include "ctl/rules.h"
#include "io/file.h"

#include <libgen.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_PROBLEMS 100
#define CATALOG      "/etc/gaihou/catalog.yaml"
#define CLIMB        4 /* folders above the test file in which a catalogue is looked for */

struct options {
    const struct tools_files *f;
    regex_t run;
    bool picks, whole;
    const char *junit;
    struct ruletest_cover *cover;
    size_t ran, passed, failed;
    uint64_t values;
    double seconds;
};

struct loaded { /* what one test file needs */
    struct ruletest *t;
    char *text, *folder;
    struct zone *zone;
    struct world_text catalog;
    char *catalog_file, *catalog_text;
    struct world **worlds;
    size_t n_worlds;
    struct buf said; /* why it cannot be loaded, as far as we say it ourselves */
};

static double now(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void tell(struct loaded *l, const struct problems *p)
{
    (void)site_tell(p);
    for (size_t i = 0; i < problems_count(p); i++)
        (void)buf_printf(&l->said, "%s\n", problems_get(p, i));
}

/* -- loading --------------------------------------------------------------------------------- */

static char *below(const char *folder, const char *name)
{
    return *name == '/' ? mem_strdup(name) : mem_printf("%s/%s", folder, name);
}

/* catalog.yaml beside the test file, or in a folder above. */
static char *climb(const char *folder)
{
    char *up = mem_strdup(folder);
    for (unsigned i = 0; i <= CLIMB; i++) {
        char *path = mem_printf("%s/catalog.yaml", up);
        if (access(path, R_OK) == 0) {
            free(up);
            return path;
        }
        free(path);
        char *higher = mem_printf("%s/..", up);
        free(up);
        up = higher;
    }
    free(up);
    return mem_strdup(CATALOG);
}

static char *catalog_name(const struct loaded *l, const struct tools_files *f)
{
    const char *own = ruletest_catalog(l->t);
    if (own)
        return below(l->folder, own);
    if (f->catalog)
        return mem_strdup(f->catalog);
    if (f->config) {
        struct site s = {0};
        char *name = site_open(&s, f->config) == CTL_DONE ? mem_strdup(s.conf->catalog) : NULL;
        site_close(&s);
        return name;
    }
    return climb(l->folder);
}

static int load_catalog(struct loaded *l, const struct tools_files *f)
{
    l->catalog_file = catalog_name(l, f);
    if (!l->catalog_file)
        return CTL_REFUSED;
    int code = site_read(l->catalog_file, WORLD_MAX_FILE, &l->catalog_text, &l->catalog.len);
    l->catalog.file = l->catalog_file;
    l->catalog.text = l->catalog_text;
    return code;
}

/* Without a rule nothing alarms, and a test that expects nothing would pass. */
static int find_rules(struct loaded *l, const struct ruletest_set *s, struct rule_files *out)
{
    int code = CTL_DONE;
    char *place = mem_printf("%s:%d:%d: error: rules", ruletest_file(l->t), s->line, s->col);
    for (size_t i = 0; i < s->n; i++)
        if (rule_files_add(out, l->folder, s->patterns[i], place) != CTL_DONE) {
            (void)buf_printf(&l->said, "%s: \"%s\" cannot be read\n", place, s->patterns[i]);
            code = CTL_REFUSED;
        }
    free(place);
    return code;
}

/* What is odd about the test's own devices; what is odd about the rules is for `rules check`. */
static void warn_of_test(const struct loaded *l, const struct problems *p)
{
    const char *file = ruletest_file(l->t);
    for (size_t i = 0; i < problems_count(p); i++)
        if (strncmp(problems_get(p, i), file, strlen(file)) == 0 &&
            strstr(problems_get(p, i), "reads $"))
            (void)fprintf(stderr, "%s\n", problems_get(p, i));
}

static int load_world(struct loaded *l, size_t set)
{
    const struct ruletest_set *s = ruletest_set(l->t, set);
    struct rule_files rules = {0};
    int code = find_rules(l, s, &rules);
    if (code == CTL_DONE) {
        struct problems *p = problems_new(MAX_PROBLEMS);
        int r =
            ruletest_world(l->t, &l->catalog, rules.list, rules.n, l->zone, p, &l->worlds[set]);
        if (r == 0 && set == 0 && rules_count(l->worlds[0]->rules) == 0) {
            problems_add(p, ruletest_file(l->t), s->line, s->col,
                         "there are no rules in these files: nothing would be tested");
            r = -1;
        }
        if (r != 0) {
            tell(l, p);
            code = CTL_REFUSED;
        } else if (set == 0) {
            warn_of_test(l, p);
        }
        problems_free(p);
    }
    rule_files_done(&rules);
    return code;
}

static int load(struct loaded *l, const char *file, const struct tools_files *f)
{
    size_t len;
    *l = (struct loaded){0};
    buf_init(&l->said, 1 << 20);
    int code = site_read(file, RULETEST_MAX_FILE, &l->text, &len);
    if (code != CTL_DONE)
        return code;
    char *copy = mem_strdup(file);
    l->folder = mem_strdup(dirname(copy));
    free(copy);
    struct problems *p = problems_new(MAX_PROBLEMS);
    int r = ruletest_parse(l->text, len, file, p, &l->t);
    tell(l, p);
    problems_free(p);
    if (r != 0)
        return CTL_REFUSED;
    if (zone_open(ruletest_timezone(l->t), &l->zone) != 0) {
        (void)buf_printf(&l->said, "%s: error: this machine knows no time zone \"%s\"\n", file,
                         ruletest_timezone(l->t));
        (void)fputs(buf_cstr(&l->said), stderr);
        return CTL_REFUSED;
    }
    code = load_catalog(l, f);
    l->n_worlds = ruletest_sets(l->t);
    l->worlds = mem_zalloc_array(l->n_worlds, sizeof(struct world *));
    for (size_t i = 0; i < l->n_worlds && code == CTL_DONE; i++)
        code = load_world(l, i);
    return code;
}

static void unload(struct loaded *l)
{
    for (size_t i = 0; l->worlds && i < l->n_worlds; i++)
        world_free(l->worlds[i]);
    free(l->worlds);
    zone_free(l->zone);
    ruletest_free(l->t);
    free(l->catalog_file);
    free(l->catalog_text);
    free(l->text);
    free(l->folder);
    buf_done(&l->said);
}

/* -- running --------------------------------------------------------------------------------- */

static void run_one(struct options *o, const struct loaded *l, size_t i, struct test_case *out)
{
    const struct ruletest_options how = {
        .worlds = (const struct world *const *)l->worlds, .cover = o->cover, .whole = o->whole};
    struct ruletest_result r;
    double began = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    ruletest_run(l->t, i, &how, &r);
    *out = (struct test_case){.name = ruletest_name(l->t, i),
                              .seconds = now(CLOCK_MONOTONIC) - began};
    o->values += r.values;
    o->seconds += now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    o->passed += r.passed;
    o->failed += !r.passed;
    if (!r.passed) {
        out->wrong = mem_strdup(buf_cstr(&r.text));
        (void)fputs(out->wrong, stdout);
    }
    buf_done(&r.text);
}

static void run_file(struct options *o, const char *file, struct loaded *l,
                     struct test_file *out)
{
    size_t before = o->failed;
    *out = (struct test_file){.file = file};
    (void)fflush(stdout);
    if (load(l, file, o->f) != CTL_DONE) {
        out->broken = mem_printf("%s cannot be loaded\n%s", file, buf_cstr(&l->said));
        printf("FAILED %s: it cannot be loaded\n", file);
        o->failed++;
        return;
    }
    size_t n = ruletest_tests(l->t);
    out->cases = mem_zalloc_array(n, sizeof(*out->cases));
    for (size_t i = 0; i < n; i++)
        if (!o->picks || regexec(&o->run, ruletest_name(l->t, i), 0, NULL, 0) == 0)
            run_one(o, l, i, &out->cases[out->n++]);
    o->ran += out->n;
    if (o->failed > before)
        printf("FAILED %s: %zu of %zu tests\n", file, o->failed - before, out->n);
    else
        printf("ok     %s: %zu test%s\n", file, out->n, out->n == 1 ? "" : "s");
}

static void print_coverage(const struct options *o)
{
    struct ruletest_branches n;
    struct buf b;
    buf_init(&b, (size_t)16 << 20);
    ruletest_cover_print(o->cover, &b, &n);
    (void)fwrite(b.data ? b.data : "", 1, b.len, stdout);
    printf("%zu of %zu branches of the rules were gone through\n", n.seen, n.all);
    buf_done(&b);
}

static void summary(const struct options *o)
{
    printf("%zu passed, %zu failed", o->passed, o->failed);
    if (o->seconds > 0)
        printf("; %llu values in %.2f s of CPU", (unsigned long long)o->values, o->seconds);
    (void)putchar('\n');
}

static bool read_options(struct options *o, int *argc, char **argv)
{
    bool ok = true, coverage;
    const char *run = tools_take(argc, argv, "--run", &ok);
    o->junit = tools_take(argc, argv, "--junit", &ok);
    coverage = tools_take_flag(argc, argv, "--coverage");
    o->whole = tools_take_flag(argc, argv, "--diff");
    if (!ok)
        return false;
    for (int i = 1; i < *argc; i++) {
        if (strncmp(argv[i], "--", 2) == 0) {
            (void)fprintf(stderr, "gaihouctl: rules test: there is no option %s\n", argv[i]);
            return false;
        }
    }
    if (run && regcomp(&o->run, run, REG_EXTENDED | REG_NOSUB) != 0) {
        (void)fprintf(stderr, "gaihouctl: --run \"%s\" is no regular expression\n", run);
        return false;
    }
    o->picks = run != NULL;
    o->cover = coverage ? ruletest_cover_new() : NULL;
    return true;
}

static void options_done(struct options *o)
{
    ruletest_cover_free(o->cover);
    if (o->picks)
        regfree(&o->run);
}

int rules_test(const struct tools_files *f, int argc, char **argv)
{
    struct options o = {.f = f};
    if (!read_options(&o, &argc, argv))
        return CTL_USAGE;
    if (argc < 2) {
        (void)fprintf(stderr, "gaihouctl: rules test: which files?\n");
        options_done(&o);
        return CTL_USAGE;
    }
    size_t n = (size_t)(argc - 1);
    struct test_file *files = mem_zalloc_array(n, sizeof(*files));
    struct loaded *loaded = mem_zalloc_array(n, sizeof(*loaded));
    for (size_t i = 0; i < n; i++)
        run_file(&o, argv[i + 1], &loaded[i], &files[i]);
    if (o.cover)
        print_coverage(&o);
    int code = o.junit ? rules_junit(o.junit, files, n) : CTL_DONE;
    summary(&o);
    if (o.picks && o.ran == 0 && o.failed == 0) {
        (void)fprintf(stderr, "gaihouctl: rules test: --run fits the name of no test\n");
        code = CTL_REFUSED;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < files[i].n; k++)
            free(files[i].cases[k].wrong);
        free(files[i].cases);
        free(files[i].broken);
        unload(&loaded[i]);
    }
    free(files);
    free(loaded);
    options_done(&o);
    return o.failed ? CTL_REFUSED : code;
}
