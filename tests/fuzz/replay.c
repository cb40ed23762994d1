/* Runs a fuzz target once over every file given, and every file in every folder given: replays of
 * corpora and crashers with any compiler. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "lib/cleanup.h"
#include "tests/fuzz/fuzz.h"

static int replay(const char *path, unsigned *count);

static int replay_file(const char *path, size_t size, unsigned *count)
{
    kt_autofile FILE *file = fopen(path, "rbe");
    kt_autofree uint8_t *data = malloc(size + (size == 0)); /* exact, so that ASan sees its end */
    if (file == NULL || data == NULL || fread(data, 1, size, file) != size) {
        perror(path);
        return 1;
    }
    (void)LLVMFuzzerTestOneInput(data, size);
    ++*count;
    return 0;
}

static int replay_folder(const char *path, unsigned *count)
{
    struct dirent **names = NULL;
    int bad = 0, n = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char inner[PATH_MAX];
        int len = snprintf(inner, sizeof inner, "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.')
            bad |= len >= (int)sizeof inner || replay(inner, count);
        free(names[i]);
    }
    free(names);
    return bad || n < 0;
}

static int replay(const char *path, unsigned *count)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        perror(path);
        return 1;
    }
    if (S_ISDIR(st.st_mode))
        return replay_folder(path, count);
    return replay_file(path, (size_t)st.st_size, count);
}

int main(int argc, char **argv)
{
    int bad = 0;
    unsigned count = 0;
    for (int i = 1; i < argc; i++)
        bad |= replay(argv[i], &count);
    (void)printf("%u inputs\n", count);
    return bad;
}
