/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reload: whole or not at all, and it says which. The files are read and checked on a pool
 * thread; what cannot change without a restart refuses the whole; then the new world is offered
 * to the pipeline and its generation recorded, so that the engine changes over at one place of
 * the journal.
 */
#include "app/app_private.h"
#include "base/mem.h"
#include "io/content.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PROBLEMS 200

/* Before its record is appended it is there, and noted as in use from here on. If it is refused
 * then, the note of the one that stays goes on with the next reload or start. */
static void keep(struct app *a)
{
    const char *dir = a->paths.generations;
    char hash[CONTENT_HEX + 1];
    uint64_t from = journal_end(a->journal);
    a->prune_result = content_prune(dir, a->loading_oldest, a->loading_over);
    int r = content_put(dir, a->loading.bundle.data, a->loading.bundle.len, hash);
    if (r == 0)
        r = content_use(dir, a->loading_over, from);
    if (r == 0)
        r = content_use(dir, hash, from);
    a->keep_result = r;
}

static void load_work(void *ctx)
{
    struct app *a = ctx;
    struct app_secrets secrets = {0};
    int r = load_all(a->conf_path, a->loading_problems, &a->loading);
    bool stays = a->loading.conf && !conf_needs_restart(a->conf, a->loading.conf);
    a->secret_changed = NULL;
    if (a->loading.conf) {
        if (app_load_secrets(a->loading.conf, &secrets, a->loading_problems) != 0)
            r = -EINVAL;
        else if (stays) /* so they are of the same */
            a->secret_changed = app_secret_changed(a->conf, &a->secrets, &secrets);
        app_free_secrets(a->loading.conf, &secrets);
    }
    if (r == 0) {
        /* The newest one stays: there is one reload at a time, and the engine has left the rest. */
        world_link(a->loading.world, pipeline_newest(a->pipeline));
        if (stays) /* else it will not be in force */
            keep(a);
    }
}

static void finish(struct app *a, int changed, const char *text)
{
    a->reloading = false;
    if (changed > 0)
        a->sources.reloads++;
    else if (changed < 0)
        a->sources.reload_failures++;
    load_free(&a->loading);
    problems_free(a->loading_problems);
    a->loading_problems = NULL;
    a->reload_done(a->reload_ctx, changed, text);
}

static void refuse(struct app *a)
{
    struct buf all;
    buf_init(&all, 1 << 20);
    for (size_t i = 0; i < problems_count(a->loading_problems); i++) {
        const char *said = problems_get(a->loading_problems, i);
        log_write(problems_is_warning(a->loading_problems, i) ? LOG_WARN_ : LOG_ERROR_, "%s",
                  said);
        (void)buf_printf(&all, "%s\n", said);
    }
    size_t errors = problems_errors(a->loading_problems);
    log_error("reload: %zu error%s; nothing was changed", errors, errors == 1 ? "" : "s");
    (void)buf_puts(&all, "nothing was changed");
    finish(a, -1, buf_cstr(&all));
    buf_done(&all);
}

static int take_over(struct app *a)
{
    struct world *w = a->loading.world;
    int r = a->keep_result == 0 ? app_append_generation(a, w) : a->keep_result;
    if (r != 0)
        return r;
    a->loading.world = NULL;
    pipeline_offer(a->pipeline, w);
    ingest_use(a->ingest, w);
    if (a->tell)
        tell_world(a->tell, w);
    log_set_level((enum log_level)a->loading.conf->log.level);
    for (size_t i = 0; registry_remark(w->registry, i); i++)
        log_info("%s", registry_remark(w->registry, i));
    return 0;
}

static void tell_prune(struct app *a)
{
    if (a->prune_result != 0 && log_broke(&a->prune_log))
        log_warn("%s: old generations cannot be removed: %s; tried again at the next reload",
                 a->paths.generations, strerror(-a->prune_result));
    else if (a->prune_result == 0 && log_healed(&a->prune_log))
        log_notice("%s: old generations can be removed again", a->paths.generations);
}

/* Whoever changed a password and reloads is told that it takes more; the rest of a reload is no reason to
 * wait for it. */
static char *with_secret(const char *option, char *text)
{
    char *both = mem_printf(
        "%s; what %s names has changed and is read at a start only: restart", text, option);
    log_warn("reload: what %s names has changed and is read at a start only: restart", option);
    free(text);
    return both;
}

static void load_done(void *ctx)
{
    struct app *a = ctx;
    char *text = NULL;
    int changed = -1;
    tell_prune(a);
    if (problems_errors(a->loading_problems) > 0) {
        refuse(a);
        return;
    }
    const char *restart = conf_needs_restart(a->conf, a->loading.conf);
    struct world *w = a->loading.world;
    if (a->stopping) {
        text = mem_strdup("the gateway is stopping; nothing was changed");
    } else if (restart) {
        text = mem_printf("%s cannot change without a restart; nothing was changed", restart);
        log_error("reload: %s", text);
    } else if (strcmp(w->hash, pipeline_newest(a->pipeline)->hash) == 0) {
        changed = 0;
        text = mem_strdup("no file has changed");
        log_info("reload: %s", text);
    } else {
        size_t devices = registry_devices(w->registry),
               compounds = registry_compounds(w->registry);
        int r = take_over(a);
        changed = r == 0 ? 1 : -1;
        if (r == 0)
            text = mem_printf("reloaded: %zu compounds, %zu devices", compounds, devices);
        else
            text = mem_printf("cannot be kept: %s; nothing was changed", strerror(-r));
        log_notice("reload: %s", text);
    }
    if (a->secret_changed)
        text = with_secret(a->secret_changed, text);
    finish(a, changed, text);
    free(text);
}

int app_reload(void *app, void (*done)(void *ctx, int changed, const char *text), void *ctx)
{
    struct app *a = app;
    if (a->reloading || a->stopping || pipeline_changing(a->pipeline))
        return -EBUSY;
    a->reloading = true;
    a->reload_done = done;
    a->reload_ctx = ctx;
    a->loading_problems = problems_new(MAX_PROBLEMS);
    a->prune_result = 0;
    a->loading_oldest = app_oldest_offset(a);
    memcpy(a->loading_over, pipeline_newest(a->pipeline)->hash, sizeof(a->loading_over));
    loop_work(a->loop, load_work, load_done, a);
    return 0;
}
