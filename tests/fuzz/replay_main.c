/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target on every file of the files and folders given: a regression test that needs
 * no libFuzzer. Fails when there is no input at all. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t inputs;

static void run_file(const char *path)
{
    FILE *f = fopen(path, "rbe");
    struct stat st;
    if (!f || fstat(fileno(f), &st) < 0) {
        perror(path);
        exit(2);
    }
    size_t n = (size_t)st.st_size;
    uint8_t *data = malloc(n ? n : 1); /* exactly as large, so that ASan sees a byte too many */
    if (!data || fread(data, 1, n, f) != n) {
        perror(path);
        exit(2);
    }
    (void)fclose(f);
    fprintf(stderr, "%s\n", path); /* the last one named is the guilty one */
    (void)LLVMFuzzerTestOneInput(data, n);
    free(data);
    inputs++;
}

static void run(const char *path)
{
    DIR *d = opendir(path);
    if (!d) {
        run_file(path);
        return;
    }
    for (const struct dirent *e; (e = readdir(d));) {
        char *inner;
        if (e->d_name[0] == '.')
            continue;
        if (asprintf(&inner, "%s/%s", path, e->d_name) < 0)
            abort();
        run(inner);
        free(inner);
    }
    (void)closedir(d);
}

int main(int argc, char **argv)
{
    if (!freopen(getenv("FUZZ_VERBOSE") ? "/dev/stderr" : "/dev/null", "we", stderr))
        return 2;
    for (int i = 1; i < argc; i++)
        run(argv[i]);
    printf("  replay %s: %zu inputs\n",
           strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0], inputs);
    return inputs ? 0 : 1;
}
