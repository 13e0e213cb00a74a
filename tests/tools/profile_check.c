/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profile_check — reads profiles and runs their examples, for those who write them.
 *
 *   profile_check CATALOG PROFILE.yaml…
 */
#include "base/mem.h"
#include "core/profile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *read_file(const char *path, size_t *out_len)
{
    FILE *f = fopen(path, "rbe");
    if (!f) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(66);
    }
    size_t cap = 4u << 20;
    char *p = mem_zalloc(cap);
    *out_len = fread(p, 1, cap, f);
    fclose(f);
    return p;
}

int main(int argc, char **argv)
{
    struct problems *p = problems_new(10000);
    struct catalog *c = NULL;
    struct zone *z = NULL;
    struct profile_set *s = NULL;
    size_t len;
    if (argc < 3) {
        fprintf(stderr, "profile_check CATALOG PROFILE.yaml…\n");
        return 64;
    }
    char *text = read_file(argv[1], &len);
    int r = catalog_parse(text, len, argv[1], p, &c), n = argc - 2, examples = 0;
    struct profile_text *files = mem_zalloc_array((size_t)n, sizeof(*files));
    for (int i = 0; i < n; i++) {
        files[i].file = argv[i + 2];
        files[i].text = read_file(argv[i + 2], &files[i].len);
    }
    if (r == 0)
        r = zone_open("Asia/Shanghai", &z);
    if (r == 0)
        r = profile_set_open(files, (size_t)n, c, z, p, &s);
    if (r == 0)
        r = examples = profile_check_examples(s, NULL, p);
    for (size_t i = 0; i < problems_count(p); i++)
        printf("%s\n", problems_get(p, i));
    if (r >= 0)
        printf("%zu profiles, %d examples: as they say\n", profile_set_count(s), examples);
    profile_set_free(s);
    catalog_free(c);
    zone_free(z);
    problems_free(p);
    for (int i = 0; i < n; i++)
        free((char *)files[i].text);
    free(files);
    free(text);
    return r < 0;
}
