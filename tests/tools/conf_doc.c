/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints what is generated from the option table:
 *   conf_doc man              the option sections of gaihou.conf(5)
 *   conf_doc example          config/gaihou.yaml
 *   conf_doc check FILE       the problems of a configuration
 *   conf_doc print FILE       its effective form
 */
#include "tools/conf_doc.h"

#include <stdlib.h>

static int load(const char *file, bool print)
{
    static char text[CONF_MAX_BYTES + 2];
    FILE *f = fopen(file, "rbe");
    if (!f) {
        perror(file);
        return 74;
    }
    size_t n = fread(text, 1, sizeof(text), f);
    (void)fclose(f);
    struct problems *p = problems_new(1000);
    struct conf *c = NULL;
    int rc = conf_parse(text, n, file, p, &c);
    for (size_t i = 0; i < problems_count(p); i++)
        puts(problems_get(p, i));
    problems_free(p);
    if (rc == 0 && print) {
        struct buf b;
        buf_init(&b, 8u << 20);
        if (conf_print(c, &b) == 0)
            (void)fwrite(b.data, 1, b.len, stdout);
        buf_done(&b);
    }
    if (rc == 0)
        conf_free(c);
    return rc ? 78 : 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && (strcmp(argv[1], "check") == 0 || strcmp(argv[1], "print") == 0))
        return load(argv[2], argv[1][0] == 'p');
    if (argc != 2 || (strcmp(argv[1], "man") != 0 && strcmp(argv[1], "example") != 0)) {
        (void)fprintf(stderr, "usage: conf_doc man|example|check FILE|print FILE\n");
        return 64;
    }
    struct buf b;
    buf_init(&b, 1u << 20);
    if (argv[1][0] == 'm')
        conf_doc_man(&b);
    else
        conf_doc_example(&b);
    (void)fwrite(b.data, 1, b.len, stdout);
    buf_done(&b);
    return 0;
}
