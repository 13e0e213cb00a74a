/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/ctl.h"
#include "ctl/table.h"
#include "ctl/usage.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static void show_brokers(const json_t *status)
{
    struct ctl_table *t = ctl_table_new("BROKER|LINK|MQTT|RATE/s>|LAST>|PROBLEM:60");
    size_t i;
    json_t *b;
    json_array_foreach(json_object_get(status, "brokers"), i, b)
    {
        const char *cells[] = {ctl_text(b, "id"),
                               json_is_true(json_object_get(b, "connected")) ? "up" : "DOWN",
                               ctl_text(b, "version"),
                               ctl_count(b, "rate"),
                               ctl_seconds(b, "last_message_age_s"),
                               ctl_text(b, "problem")};
        ctl_table_add(t, cells);
    }
    ctl_table_print(t, stdout);
    ctl_table_free(t);
}

static void show_sinks(const json_t *status)
{
    struct ctl_table *t = ctl_table_new(
        "SINK|TYPE|STATE|RATE/s>|PENDING>|AGE>|LOG>|OF>|REFUSED>|SHED>|PROBLEM:60");
    size_t i;
    json_t *s;
    json_array_foreach(json_object_get(status, "sinks"), i, s)
    {
        const char *cells[] = {ctl_text(s, "id"),
                               ctl_text(s, "type"),
                               ctl_text(s, "state"),
                               ctl_count(s, "rate"),
                               ctl_count(s, "pending_lines"),
                               ctl_seconds(s, "oldest_pending_age_s"),
                               ctl_bytes(s, "log_bytes"),
                               ctl_bytes(s, "max_bytes"),
                               ctl_count(s, "refused"),
                               ctl_count(s, "shed"),
                               ctl_text(s, "problem")};
        ctl_table_add(t, cells);
    }
    ctl_table_print(t, stdout);
    ctl_table_free(t);
}

/* The name that is met most often tells what to look for. */
static void show_unknown(const json_t *engine)
{
    const json_t *u = json_object_get(engine, "unknown");
    const char *name = json_string_value(json_object_get(u, "name"));
    if (!name)
        return;
    char *clean = ctl_clean(name, strlen(name), 64);
    printf("unknown   %s values under names that nobody uses, most often \"%s\" (%s); "
           "gaihouctl profile unknown lists them\n",
           ctl_count(engine, "fields_unknown"), clean, ctl_text(u, "profile"));
    free(clean);
}

/* "received 12 decoded 10 …", whatever the daemon counts; what never happened is left out. */
static void show_sums(const char *title, json_t *sums)
{
    const char *key;
    json_t *v;
    printf("%-9s", title);
    json_object_foreach(sums, key, v)
    {
        if (json_is_number(v) && json_number_value(v) > 0)
            printf(" %s %s", key, ctl_count(sums, key));
    }
    putchar('\n');
}

void ctl_show_status(const json_t *s)
{
    const json_t *engine = json_object_get(s, "engine"),
                 *journal = json_object_get(s, "journal"), *store = json_object_get(s, "store"),
                 *ledger = json_object_get(s, "ledger"), *alarms = json_object_get(s, "alarms"),
                 *severity = json_object_get(alarms, "by_severity");
    char *gateway = ctl_clean(ctl_text(s, "gateway"), strlen(ctl_text(s, "gateway")), 60);
    printf("%s  gaihoud %s  %s  up %s\n", gateway, ctl_text(s, "version"), ctl_text(s, "state"),
           ctl_seconds(s, "uptime_s"));
    free(gateway);
    size_t i;
    json_t *p;
    json_array_foreach(json_object_get(s, "problems"), i, p)
    {
        const char *text = json_string_value(p);
        char *clean = ctl_clean(text ? text : "", text ? strlen(text) : 0, 1000);
        printf("! %s\n", clean);
        free(clean);
    }
    putchar('\n');
    show_brokers(s);
    putchar('\n');
    show_sinks(s);
    printf("\nengine    %s/s, %s records behind (%s)\n", ctl_count(engine, "rate"),
           ctl_count(engine, "lag_records"), ctl_seconds(engine, "lag_s"));
    show_unknown(engine);
    printf("journal   %s of %s, %s messages\n", ctl_bytes(journal, "bytes"),
           ctl_bytes(journal, "max_bytes"), ctl_count(journal, "messages"));
    printf("store     %s dead letters, %s devices in quarantine\n",
           ctl_count(store, "dead_rows"), ctl_count(store, "quarantine_devices"));
    printf("alarms    %s open: %s critical, %s major, %s minor, %s warning, %s info; %s not "
           "acknowledged; %s to be told\n",
           ctl_count(alarms, "open"), ctl_text(severity, "critical"),
           ctl_text(severity, "major"), ctl_text(severity, "minor"),
           ctl_text(severity, "warning"), ctl_text(severity, "info"),
           ctl_text(alarms, "unacknowledged"), ctl_text(alarms, "outbox"));
    json_array_foreach(json_object_get(alarms, "tests"), i, p)
    {
        char until[32], *by = ctl_clean(ctl_text(p, "by"), strlen(ctl_text(p, "by")), 60);
        printf("in test   %s until %s, by %s: nobody is sent\n", ctl_text(p, "scope"),
               ctl_clock_text(until, ctl_text(p, "until")), by);
        free(by);
    }
    show_sums("messages", json_object_get(ledger, "messages"));
    show_sums("points", json_object_get(ledger, "points"));
    printf("ledger    %s\n",
           json_is_true(json_object_get(ledger, "balanced")) ? "adds up" : "DOES NOT ADD UP");
}

static int once(const struct ctl *c, bool clear)
{
    json_t *s = NULL;
    int code = ctl_get(c, "/api/v1/status", &s);
    if (code)
        return code;
    if (clear)
        fputs("\033[H\033[2J", stdout);
    if (c->json)
        ctl_print_json(s);
    else
        ctl_show_status(s);
    fflush(stdout);
    json_decref(s);
    return CTL_DONE;
}

int ctl_status(const struct ctl *c, int argc, char **argv)
{
    (void)argv;
    return argc > 1 ? usage_wrong("status", NULL) : once(c, false);
}

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
    (void)sig;
    interrupted = 1;
}

int ctl_top(const struct ctl *c, int argc, char **argv)
{
    (void)argv;
    struct termios before, raw;
    if (argc > 1)
        return usage_wrong("top", NULL);
    if (c->json || !isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before) < 0)
        return once(c, false);
    raw = before;
    raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
    struct sigaction sa = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    int code = CTL_DONE;
    for (;;) {
        char key = 0;
        struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
        code = once(c, true);
        if (interrupted || poll(&in, 1, 1000) < 0)
            break;
        if (in.revents && (read(STDIN_FILENO, &key, 1) <= 0 || key == 'q'))
            break;
    }
    tcsetattr(STDIN_FILENO, TCSANOW, &before);
    return code;
}
