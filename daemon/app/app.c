/* SPDX-License-Identifier: Apache-2.0 */
#include "app/app_private.h"
#include "base/mem.h"
#include "io/ahead.h"
#include "io/notify.h"
#include "io/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EX_OK_       0
#define EX_IOERR_    74
#define EX_CONFIG_   78
#define MAX_PROBLEMS 200
#define STOP_MS      30000
#define DRAIN_MS     3000
#define TELL_MS      3000

static void print_problems(const struct problems *p)
{
    for (size_t i = 0; i < problems_count(p); i++)
        fprintf(stderr, "%s\n", problems_get(p, i));
}

/* Everything that a start would load; the secrets too. */
static int load_checked(const char *conf_path, bool thorough, struct loaded *out)
{
    struct problems *problems = (thorough ? problems_new_thorough : problems_new)(MAX_PROBLEMS);
    struct app_secrets secrets = {0};
    int r = load_all(conf_path, problems, out);
    if (out->conf) {
        if (app_load_secrets(out->conf, &secrets, problems) != 0)
            r = -EINVAL;
        app_free_secrets(out->conf, &secrets);
    }
    if (r != 0)
        load_free(out);
    print_problems(problems);
    problems_free(problems);
    return r;
}

/* Of every profile, used or not; how many there were, or negative when one fails. */
static int run_examples(const struct world *w)
{
    struct problems *problems = problems_new(MAX_PROBLEMS);
    int n = profile_check_examples(w->profiles, NULL, problems);
    print_problems(problems);
    problems_free(problems);
    return n;
}

int app_check(const char *conf_path)
{
    struct loaded l = {0};
    if (load_checked(conf_path, true, &l) != 0)
        return EX_CONFIG_;
    for (size_t i = 0; registry_remark(l.world->registry, i); i++)
        fprintf(stderr, "%s\n", registry_remark(l.world->registry, i));
    int examples = run_examples(l.world);
    if (examples >= 0)
        printf("%s: good: %zu brokers, %zu sources, %zu sinks, %zu compounds, %zu devices, "
               "%zu profiles, %d examples, %zu rules\n",
               conf_path, l.conf->n_brokers, l.conf->n_sources, l.conf->n_sinks,
               registry_compounds(l.world->registry), registry_devices(l.world->registry),
               profile_set_count(l.world->profiles), examples, rules_count(l.world->rules));
    load_free(&l);
    return examples >= 0 ? EX_OK_ : EX_CONFIG_;
}

int app_print_config(const char *conf_path)
{
    struct loaded l = {0};
    struct buf out;
    if (load_checked(conf_path, false, &l) != 0)
        return EX_CONFIG_;
    buf_init(&out, 16 << 20);
    if (conf_print(l.conf, &out) == 0)
        fwrite(out.data, 1, out.len, stdout);
    buf_done(&out);
    load_free(&l);
    return EX_OK_;
}

/* -- stopping: brokers, then what firms can still be told, then what the journal holds, then what
 * the sinks can still post --------------------------------------------------------------------
 */

static void end_loop(struct app *a)
{
    loop_timer_stop(a->deadline);
    loop_stop(a->loop);
}

static void sink_drained(void *ctx)
{
    struct app *a = ctx;
    if (--a->draining == 0)
        end_loop(a);
}

static void pipeline_stopped(void *ctx)
{
    struct app *a = ctx;
    a->draining = a->n_sinks + 1;
    for (size_t i = 0; i < a->n_sinks; i++)
        sink_drain(a->sinks[i], DRAIN_MS, sink_drained, a);
    sink_drained(a);
}

static void close_ingest(void *ctx)
{
    struct app *a = ctx;
    ingest_close(a->closing);
}

/* Nothing of ours comes into the journal any more. */
static void tell_stopped(void *ctx)
{
    struct app *a = ctx;
    int r = app_append(a, &(struct record){.type = RECORD_STOP, .broker = 255});
    if (r != 0)
        log_warn("journal: cannot take the mark of a clean stop: %s; nothing is lost, the next "
                 "start will say that it is not there",
                 strerror(-r));
    pipeline_stop(a->pipeline, pipeline_stopped, a);
}

/* Firms hear of what came in before, as far as the time allows; the rest waits in the store. */
static void ingest_closed(void *ctx)
{
    struct app *a = ctx;
    a->closing = NULL;
    if (a->tell)
        tell_stop(a->tell, TELL_MS, tell_stopped, a);
    else
        tell_stopped(a);
}

void app_too_late(void *ctx)
{
    struct app *a = ctx;
    log_warn(
        "stopping took longer than %d s: what is left waits in the journal and the outbound "
        "logs for the next start",
        STOP_MS / 1000);
    loop_stop(a->loop);
}

void app_stop(void *app)
{
    struct app *a = app;
    if (a->stopping)
        return;
    a->stopping = true;
    log_info("stopping");
    notify_stopping();
    loop_timer_stop(a->second);
    loop_timer_stop(a->hold);
    loop_timer_start(a->deadline, STOP_MS, 0);
    a->closing = a->ingest;
    a->ingest = a->sources.ingest = NULL;
    loop_work(a->loop, close_ingest, ingest_closed, a);
}

void app_fatal(void *app, const char *why)
{
    struct app *a = app;
    log_error("%s; stopping: what was acknowledged is in the journal", why);
    a->exit_code = EX_IOERR_;
    loop_stop(a->loop);
}

void app_refused(void *app, const char *why)
{
    struct app *a = app;
    log_error("%s", why);
    a->exit_code = EX_CONFIG_;
    loop_stop(a->loop);
}

static void reloaded_by_signal(void *ctx, int changed, const char *text)
{
    (void)ctx;
    (void)changed;
    (void)text; /* logged where it was decided */
    notify_ready();
}

static void on_hangup(void *ctx)
{
    struct app *a = ctx;
    if (a->stopping)
        return;
    notify_reloading();
    if (app_reload(a, reloaded_by_signal, a) != 0) {
        log_warn("reload: one is under way already");
        notify_ready();
    }
}

static void read_ahead(void *ctx)
{
    struct app *a = ctx;
    struct snapshot newest;
    if (snapshots_open(a->paths.snapshots, &a->ahead_set) == 0)
        (void)snapshots_newest(a->ahead_set, NULL, NULL, &newest);
}

/* The newest state is read while the files are, which takes as long. The folder is another process's,
 * maybe: who takes the set looks whether it is still so (app_open.c). */
static void load_begins(void *ctx, const struct conf *c)
{
    struct app *a = ctx;
    app_name_paths(c, &a->paths);
    a->ahead = ahead_begin(read_ahead, a);
}

int app_run(const char *conf_path)
{
    struct app *a = mem_zalloc(sizeof(*a));
    struct loaded l = {.begins = load_begins, .ctx = a};
    a->conf_path = conf_path;
    a->lock = -1;
    a->exit_code = EX_CONFIG_;
    if (load_checked(conf_path, false, &l) != 0)
        goto out;
    a->conf = l.conf;
    l.conf = NULL;
    a->exit_code = EX_IOERR_;
    if (app_open_all(a, &l) != 0)
        goto out;
    a->exit_code = EX_OK_;
    loop_signal(a->loop, LOOP_TERM, app_stop, a);
    loop_signal(a->loop, LOOP_INT, app_stop, a);
    loop_signal(a->loop, LOOP_HUP, on_hangup, a);
    app_start_ticks(a);
    notify_ready();
    loop_run(a->loop);
out:
    app_close_all(a);
    snapshots_close(app_take_ahead(a));
    app_free_paths(&a->paths);
    int code = a->exit_code;
    load_free(&l);
    conf_free(a->conf);
    free(a);
    if (code == EX_OK_)
        log_info("stopped");
    return code;
}
