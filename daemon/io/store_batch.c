/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "core/cases.h"
#include "io/store_impl.h"

#include <stdlib.h>
#include <string.h>

struct store_batch *store_batch_new(void)
{
    struct store_batch *b = mem_zalloc(sizeof(*b));
    b->alarms.last = &b->alarms.first;
    b->others.last = &b->others.first;
    return b;
}

static void list_free(struct store_list *l)
{
    for (struct store_item *it = l->first, *next; it; it = next) {
        next = it->next;
        free(it);
    }
}

void store_batch_free(struct store_batch *b)
{
    if (!b)
        return;
    list_free(&b->alarms);
    list_free(&b->others);
    free(b->done);
    free(b);
}

size_t store_batch_bytes(const struct store_batch *b)
{
    return b->bytes;
}

static size_t text_size(const char *s)
{
    return s ? strlen(s) + 1 : 0;
}

static const void *put(char **at, const void *p, size_t n)
{
    if (!p)
        return NULL;
    char *to = *at;
    if (n)
        memcpy(to, p, n);
    *at += n;
    return to;
}

static void batch_add(struct store_batch *b, struct store_item *it, size_t bytes)
{
    struct store_list *l = it->kind < ITEM_TRANSITION ? &b->others : &b->alarms;
    *l->last = it;
    l->last = &it->next;
    b->bytes += bytes;
}

struct store_item *store_item_letter(enum store_item_kind kind, const struct store_letter *l,
                                     size_t *out_bytes)
{
    size_t n = sizeof(struct store_item) + text_size(l->reason) + text_size(l->detail) +
               text_size(l->broker) + text_size(l->compound) + l->topic_len + l->payload_len +
               l->device_len;
    struct store_item *it = mem_zalloc(n);
    char *at = (char *)(it + 1);
    it->kind = kind;
    it->letter = *l;
    it->letter.reason = put(&at, l->reason, text_size(l->reason));
    it->letter.detail = put(&at, l->detail, text_size(l->detail));
    it->letter.broker = put(&at, l->broker, text_size(l->broker));
    it->letter.compound = put(&at, l->compound, text_size(l->compound));
    it->letter.topic = put(&at, l->topic, l->topic_len);
    it->letter.payload = put(&at, l->payload, l->payload_len);
    it->letter.device = put(&at, l->device, l->device_len);
    *out_bytes = n;
    return it;
}

void store_batch_dead(struct store_batch *b, const struct store_letter *l)
{
    size_t n;
    struct store_item *it = store_item_letter(ITEM_DEAD, l, &n);
    batch_add(b, it, n);
}

void store_batch_quarantine(struct store_batch *b, const struct store_letter *l)
{
    size_t n;
    struct store_item *it = store_item_letter(ITEM_QUARANTINE, l, &n);
    batch_add(b, it, n);
}

void store_batch_line(struct store_batch *b, const struct store_line *l)
{
    size_t n = sizeof(struct store_item) + text_size(l->sink) + text_size(l->reason) +
               text_size(l->detail) + l->text_len;
    struct store_item *it = mem_zalloc(n);
    char *at = (char *)(it + 1);
    it->kind = ITEM_LINE;
    it->line = *l;
    it->line.sink = put(&at, l->sink, text_size(l->sink));
    it->line.reason = put(&at, l->reason, text_size(l->reason));
    it->line.detail = put(&at, l->detail, text_size(l->detail));
    it->line.text = put(&at, l->text, l->text_len);
    batch_add(b, it, n);
}

void store_batch_cursor(struct store_batch *b, const struct position *cursor)
{
    b->has_cursor = true;
    b->cursor = *cursor;
}

/* -- alarms ------------------------------------------------------------------ */

/* The running number within a position: what was there already is known by the two. */
static void number_item(struct store_batch *b, struct store_item *it, const struct position *at)
{
    if (b->n > 0 && position_cmp(&b->at, at) != 0)
        b->n = 0;
    b->at = *at;
    it->at = *at;
    it->n = b->n++;
}

void store_batch_transition(struct store_batch *b, const struct position *at,
                            const struct transition *t)
{
    const char *const texts[] = {t->stream, t->case_id, t->firm,     t->compound,    t->rule,
                                 t->device, t->point,   t->was_firm, t->was_compound};
    size_t n = sizeof(struct store_item) + sizeof(*t) + t->json_len + t->blob_len;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        n += text_size(texts[i]);
    struct store_item *it = mem_zalloc(n);
    struct transition *c = (struct transition *)(it + 1);
    char *to = (char *)(c + 1);
    it->kind = ITEM_TRANSITION;
    it->transition = c;
    *c = *t;
    const char **copies[] = {&c->stream, &c->case_id, &c->firm,     &c->compound,    &c->rule,
                             &c->device, &c->point,   &c->was_firm, &c->was_compound};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        *copies[i] = put(&to, texts[i], text_size(texts[i]));
    c->json = put(&to, t->json, t->json_len);
    c->blob = put(&to, t->blob, t->blob_len);
    number_item(b, it, at);
    batch_add(b, it, n);
}

void store_batch_reply(struct store_batch *b, const struct position *at,
                       const struct case_reply *r, int64_t expires_wall_ms)
{
    const struct case_command *to = r->to;
    const char *firm = to->firm ? to->firm : "-";
    const char *compound = to->compound ? to->compound : "-";
    char *topic =
        to->reply_to ? mem_strdup(to->reply_to) : mem_printf("reply/%s/%s", firm, compound);
    const char *const texts[] = {firm,
                                 compound,
                                 to->case_id,
                                 topic,
                                 r->empties ? to->former_firm : NULL,
                                 r->empties ? to->former_compound : NULL};
    size_t n = sizeof(struct store_item) + to->correlation_len + to->payload_len + r->json_len;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        n += text_size(texts[i]);
    struct store_item *it = mem_zalloc(n);
    char *at_byte = (char *)(it + 1);
    struct store_reply_item *c = &it->reply;
    it->kind = ITEM_REPLY;
    c->expires_wall_ms = expires_wall_ms;
    c->wall_ms = to->wall_ms;
    c->origin = to->origin;
    c->verb = case_verb_name(to->verb);
    c->answer = case_answer_name(r->answer);
    const char **copies[] = {&c->firm,  &c->compound, &c->case_id,
                             &c->topic, &c->was_firm, &c->was_compound};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        *copies[i] = put(&at_byte, texts[i], text_size(texts[i]));
    c->correlation = put(&at_byte, to->correlation, to->correlation_len);
    c->correlation_len = to->correlation_len;
    c->command = put(&at_byte, to->payload, to->payload_len);
    c->command_len = to->payload_len;
    c->json = put(&at_byte, r->json, r->json_len);
    c->json_len = r->json_len;
    free(topic);
    number_item(b, it, at);
    batch_add(b, it, n);
}

static void batch_epoch(struct store_batch *b, enum store_item_kind kind, uint64_t v)
{
    struct store_item *it = mem_zalloc(sizeof(*it));
    it->kind = kind;
    it->epoch = v;
    batch_add(b, it, sizeof(*it));
}

void store_batch_epoch(struct store_batch *b, uint64_t epoch)
{
    batch_epoch(b, ITEM_EPOCH, epoch);
}

void store_batch_no_epoch(struct store_batch *b, uint64_t until_offset)
{
    batch_epoch(b, ITEM_NO_EPOCH, until_offset);
}
