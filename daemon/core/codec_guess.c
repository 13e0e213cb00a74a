/* SPDX-License-Identifier: Apache-2.0 */
#include "core/codec_guess.h"
#include "core/codec_plan_private.h"

#include <errno.h>

size_t codec_guess_names(const struct codec_set *s, const char **out, size_t max)
{
    static const char *const built_in[] = {"gb26875", "hj212", "wmbus", "cbor"};
    size_t n = 0;
    for (size_t i = 0; i < s->n_defs; i++, n++)
        if (n < max)
            out[n] = s->defs[i].name;
    for (size_t i = 0; i < sizeof(built_in) / sizeof(built_in[0]); i++, n++)
        if (n < max)
            out[n] = built_in[i];
    return n;
}

int codec_guess_read(struct codec_set *s, struct codec_run *x, const char *decode,
                     const char *p, size_t len, struct json_value *out_root)
{
    struct arena room;
    struct conf_notes notes = {0};
    struct codec_fault fault;
    arena_init(&room, (size_t)1 << 20);
    const struct yaml_node *n = yaml_parse(decode, strlen(decode), &room, &notes);
    struct codec_chain *chain = n ? codec_chain_parse(s, n, &notes) : NULL;
    int r = chain ? 0 : -EINVAL;
    if (r == 0 && codec_chain_run(chain, x, p, len, out_root, &fault) != 0)
        r = -EBADMSG;
    conf_notes_done(&notes);
    arena_done(&room);
    return r;
}
