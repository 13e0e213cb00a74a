/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/mem.h"
#include "ctl/ctl.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX (64u << 20)

static size_t on_data(char *p, size_t size, size_t n, void *ctx)
{
    return buf_put(ctx, p, size * n) == 0 ? size * n : 0;
}

/* "Authorization: Bearer …" from the token's file; false: told. */
static bool token_header(const char *path, struct curl_slist **out)
{
    char line[4096];
    FILE *f = fopen(path, "re");
    if (!f) {
        fprintf(stderr, "gaihouctl: %s: %s\n", path, strerror(errno));
        return false;
    }
    bool got = fgets(line, sizeof(line), f) != NULL;
    fclose(f);
    line[got ? strcspn(line, "\r\n") : 0] = '\0';
    if (!line[0]) {
        fprintf(stderr, "gaihouctl: %s: the token is missing, expected it in the first line\n",
                path);
        return false;
    }
    char *header = mem_printf("Authorization: Bearer %s", line);
    *out = curl_slist_append(NULL, header);
    free(header);
    return true;
}

static int unreachable(const struct ctl *c, CURLcode rc)
{
    if (c->url)
        fprintf(stderr, "gaihouctl: %s: %s\n", c->url, curl_easy_strerror(rc));
    else
        fprintf(stderr,
                "gaihouctl: nobody answers at %s (%s): is gaihoud running, and may you use its "
                "socket?\n",
                c->socket, curl_easy_strerror(rc));
    return CTL_UNREACHABLE;
}

/* The words of gaihou-mqtt(7) for why a command was refused, for people. */
static const char *meaning(const char *said)
{
    static const struct {
        const char *word, *means;
    } words[] = {
        {"no_open_case", "no open case has this id: gaihouctl alerts lists them"},
        {"condition_active", "it holds still, and can be neither closed nor reset"},
        {"condition_normal", "nothing is wrong: shelving needs --for or --until"},
        {"latched", "reset it first"},
        {"not_accepted", "accept it first"},
        {"not_resolved", "resolve it first"},
        {"not_confirmed", "confirm it first"},
        {"resolved_already", "too late to reject or transfer"},
        {"no_target", "a transfer needs --to"},
        {"life_safety", "what is life-safety cannot be shelved"},
        {"in_the_past", "that time is over"},
        {"too_long", "at most 30 days, a test a day"},
        {"version_not_reached", "there is no such version yet"},
        {"too_many_masks", "more than 10,000 are shelved or in test"},
        {"not_registered", "the registry has nothing of this name"},
    };
    const char *colon = strrchr(said, ':');
    for (size_t i = 0; colon && i < sizeof(words) / sizeof(words[0]); i++)
        if (colon[1] == ' ' && strcmp(colon + 2, words[i].word) == 0)
            return words[i].means;
    return NULL;
}

static void say_refused(const char *path, const char *said)
{
    const char *means = meaning(said), *name = strrchr(path, '/');
    if (means)
        fprintf(stderr, "gaihouctl: %s: %s\n", said, means);
    else if (strcmp(said, "not found") == 0 && name && !strchr(path, '?'))
        fprintf(stderr, "gaihouctl: %s: not found\n", name + 1);
    else
        fprintf(stderr, "gaihouctl: %s\n", said);
}

/* What the daemon said as JSON, or a sentence about it. */
static int judge(const char *path, long status, struct buf *body, json_t **out)
{
    json_error_t why;
    json_t *j = json_loadb(body->data ? body->data : "", body->len, JSON_ALLOW_NUL, &why);
    if (status >= 200 && status < 300 && j) {
        *out = j;
        return CTL_DONE;
    }
    const char *said = json_string_value(json_object_get(j, "error"));
    if (said)
        say_refused(path, said);
    else if (status >= 200 && status < 300)
        fprintf(stderr, "gaihouctl: %s: the answer is not JSON: %s\n", path, why.text);
    else
        fprintf(stderr, "gaihouctl: %s: HTTP status %ld\n", path, status);
    json_decref(j);
    return CTL_REFUSED;
}

/* out_missing: not NULL, and a 404 is no failure. */
static int request(const struct ctl *c, const char *post, size_t post_len, const char *path,
                   bool *out_missing, json_t **out)
{
    struct curl_slist *headers = NULL;
    struct buf body;
    if (c->token_file && !token_header(c->token_file, &headers))
        return CTL_REFUSED;
    buf_init(&body, ANSWER_MAX);
    CURL *curl = curl_easy_init();
    size_t base = c->url ? strlen(c->url) : 0;
    while (base && c->url[base - 1] == '/')
        base--;
    char *url = c->url ? mem_printf("%.*s%s", (int)base, c->url, path)
                       : mem_printf("http://gaihou%s", path);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    if (!c->url)
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, c->socket);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 5L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 60L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    if (post) {
        curl_easy_setopt(curl, CURLOPT_POST, 1L);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, post);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)post_len);
    }
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
    CURLcode rc = curl_easy_perform(curl);
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    bool missing = rc == CURLE_OK && status == 404 && out_missing;
    int code = missing          ? CTL_DONE
               : rc == CURLE_OK ? judge(path, status, &body, out)
                                : unreachable(c, rc);
    if (missing)
        *out_missing = true;
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    buf_done(&body);
    free(url);
    return code;
}

int ctl_get(const struct ctl *c, const char *path, json_t **out)
{
    return request(c, NULL, 0, path, NULL, out);
}

int ctl_get_if_there(const struct ctl *c, const char *path, json_t **out)
{
    bool missing = false;
    return request(c, NULL, 0, path, &missing, out);
}

int ctl_post(const struct ctl *c, const char *path, json_t **out)
{
    return request(c, "", 0, path, NULL, out);
}

int ctl_post_body(const struct ctl *c, const char *path, const char *body, size_t len,
                  json_t **out)
{
    return request(c, body, len, path, NULL, out);
}

char *ctl_encode(const char *s)
{
    static const char hex[] = "0123456789ABCDEF";
    char *out = mem_zalloc(strlen(s) * 3 + 1), *at = out;
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if ((c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
            strchr("-._~", c)) {
            *at++ = *s;
        } else {
            *at++ = '%';
            *at++ = hex[c >> 4];
            *at++ = hex[c & 15];
        }
    }
    return out;
}

char *ctl_path(const char *path, const struct ctl_param *params, size_t n)
{
    char *out = mem_strdup(path);
    char mark = '?';
    for (size_t i = 0; i < n; i++) {
        if (!params[i].value)
            continue;
        char *value = ctl_encode(params[i].value);
        char *longer = mem_printf("%s%c%s=%s", out, mark, params[i].key, value);
        free(out);
        free(value);
        out = longer;
        mark = '&';
    }
    return out;
}
