/* SPDX-License-Identifier: Apache-2.0 */
/* gaihouctl journal replay: exported messages, in pieces that the daemon takes as one request. */
#include "base/buf.h"
#include "ctl/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE ((size_t)512 << 10)

static int send_piece(const struct ctl *c, struct buf *b, unsigned long long *sum)
{
    json_t *answer = NULL;
    if (b->len == 0)
        return CTL_DONE;
    int code = ctl_post_body(c, "/api/v1/journal/replay", b->data, b->len, &answer);
    if (code == CTL_DONE)
        *sum += (unsigned long long)ctl_number(answer, "replayed");
    json_decref(answer);
    buf_clear(b);
    return code;
}

int ctl_replay(const struct ctl *c, int argc, char **argv)
{
    struct buf piece;
    char *line = NULL;
    size_t room = 0;
    unsigned long long sum = 0;
    int code = CTL_DONE;
    if (argc != 2)
        return ctl_usage("journal replay FILE|-");
    FILE *f = strcmp(argv[1], "-") == 0 ? stdin : fopen(argv[1], "re");
    if (!f) {
        fprintf(stderr, "gaihouctl: %s: %s\n", argv[1], strerror(errno));
        return CTL_REFUSED;
    }
    buf_init(&piece, (size_t)64 << 20);
    for (ssize_t n; code == CTL_DONE && (n = getline(&line, &room, f)) > 0;) {
        if (piece.len + (size_t)n > PIECE)
            code = send_piece(c, &piece, &sum);
        if (buf_put(&piece, line, (size_t)n) != 0)
            code = CTL_REFUSED;
    }
    if (code == CTL_DONE)
        code = send_piece(c, &piece, &sum);
    if (c->json)
        printf("{\"replayed\":%llu}\n", sum);
    else
        printf("%llu messages taken up again\n", sum);
    free(line);
    buf_done(&piece);
    if (f != stdin)
        (void)fclose(f);
    return code;
}
