/* SPDX-License-Identifier: Apache-2.0 */
/* gaihouctl journal replay: exported messages, in pieces that the daemon takes as one request. */
#include "base/buf.h"
#include "ctl/ctl.h"
#include "ctl/usage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE ((size_t)512 << 10)

struct sum {
    unsigned long long taken, before; /* before: lines of the file before the piece */
};

static int send_piece(const struct ctl *c, struct buf *b, struct sum *sum)
{
    json_t *answer = NULL;
    if (b->len == 0)
        return CTL_DONE;
    int code = ctl_post_body(c, "/api/v1/journal/replay", b->data, b->len, &answer);
    if (code == CTL_DONE)
        sum->taken += (unsigned long long)ctl_number(answer, "replayed");
    if (code == CTL_REFUSED && sum->before > 0)
        fprintf(stderr, "gaihouctl: lines are counted from behind line %llu of the file\n",
                sum->before);
    for (size_t i = 0; i < b->len; i++)
        sum->before += b->data[i] == '\n';
    json_decref(answer);
    buf_clear(b);
    return code;
}

static void say_sum(const struct ctl *c, const struct sum *sum, int code)
{
    if (c->json)
        printf("{\"replayed\":%llu}\n", sum->taken);
    else if (code == CTL_REFUSED) /* of the piece, those before the line that is told */
        printf("%llu messages and those before that line taken up again\n", sum->taken);
    else
        printf("%llu messages taken up again\n", sum->taken);
}

int ctl_replay(const struct ctl *c, int argc, char **argv)
{
    struct buf piece;
    char *line = NULL;
    size_t room = 0;
    struct sum sum = {0};
    int code = CTL_DONE;
    if (argc != 2)
        return usage_wrong("journal", "replay");
    FILE *f = strcmp(argv[1], "-") == 0 ? stdin : fopen(argv[1], "re");
    if (!f) {
        fprintf(stderr, "gaihouctl: %s: %s\n", argv[1], strerror(errno));
        return CTL_REFUSED;
    }
    buf_init(&piece, (size_t)64 << 20);
    errno = 0;
    for (ssize_t n; code == CTL_DONE && (n = getline(&line, &room, f)) > 0;) {
        if (piece.len + (size_t)n > PIECE)
            code = send_piece(c, &piece, &sum);
        if (code == CTL_DONE && buf_put(&piece, line, (size_t)n) != 0) {
            fprintf(stderr, "gaihouctl: line %llu is longer than a message can be\n",
                    sum.before + 1);
            code = CTL_REFUSED;
        }
    }
    int broken = ferror(f) ? errno : 0; /* a folder opens, too */
    if (code == CTL_DONE)
        code = send_piece(c, &piece, &sum);
    say_sum(c, &sum, code);
    if (broken)
        fprintf(stderr, "gaihouctl: %s: %s\n", argv[1], strerror(broken));
    code = code == CTL_DONE && broken ? CTL_REFUSED : code;
    free(line);
    buf_done(&piece);
    if (f != stdin)
        (void)fclose(f);
    return code;
}
