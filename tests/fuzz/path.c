/* A canonical path has nothing in it that two readers could understand differently; escaped again,
 * byte by byte, it comes back as it is. The same for the parts of a query. */
#include "vaultd/core/path.h"

#include "lib/assert.h"
#include "tests/fuzz/fuzz.h"

static void check_segments(const char *path, size_t len)
{
    KT_ASSERT(strlen(path) == len);
    KT_ASSERT(len == 0 || path[0] != '/');
    KT_ASSERT(strstr(path, "//") == NULL && strstr(path, "/./") == NULL);
    KT_ASSERT(strstr(path, "/../") == NULL);
    KT_ASSERT(strncmp(path, "../", 3) != 0 && strncmp(path, "./", 2) != 0);
    KT_ASSERT(strcmp(path, "..") != 0 && strcmp(path, ".") != 0);
    KT_ASSERT(len < 3 || strcmp(path + len - 3, "/..") != 0);
    KT_ASSERT(len < 2 || strcmp(path + len - 2, "/.") != 0);
    for (size_t i = 0; i < len; i++)
        KT_ASSERT((unsigned char)path[i] >= 0x20 && path[i] != 0x7f);
}

/* "%XX" for each byte. */
static struct kt_bytes escaped(struct kt_arena *arena, const char *before, struct kt_bytes text)
{
    static const char digits[] = "0123456789abcdef";
    size_t start = strlen(before);
    char *out = kt_arena_take(arena, start + text.len * 3 + 1);
    KT_ASSERT(out != NULL);
    memcpy(out, before, start);
    for (size_t i = 0; i < text.len; i++) {
        out[start + i * 3] = '%';
        out[start + i * 3 + 1] = digits[text.at[i] >> 4];
        out[start + i * 3 + 2] = digits[text.at[i] & 15];
    }
    return kt_bytes(out, start + text.len * 3);
}

static void check_path(struct kt_arena *arena, struct kt_bytes target)
{
    const char *path = NULL, *again = NULL;
    size_t len = 0, again_len = 0;
    struct kt_err err = {0};
    enum kt_kind kind = path_canonical(arena, target, &path, &len, &err);
    if (kind != KT_OK) {
        KT_ASSERT(path == NULL && (kind == KT_INVALID || kind == KT_NOT_FOUND));
        return;
    }
    check_segments(path, len);
    struct kt_bytes same = escaped(arena, "/v1/", kt_bytes(path, len));
    if (same.len > PATH_MAX_BYTES)
        return;
    KT_ASSERT(path_canonical(arena, same, &again, &again_len, &err) == KT_OK);
    KT_ASSERT(again_len == len && memcmp(again, path, len) == 0);
}

static void check_query(struct kt_arena *arena, struct kt_bytes text)
{
    struct kt_bytes value = {0}, again = {0};
    struct kt_err err = {0};
    if (query_decode(arena, text, &value, &err) != KT_OK) {
        KT_ASSERT(value.at == NULL);
        return;
    }
    KT_ASSERT(value.len == 0 || memchr(value.at, '\0', value.len) == NULL);
    KT_ASSERT(query_decode(arena, escaped(arena, "", value), &again, &err) == KT_OK);
    KT_ASSERT(kt_bytes_equal(value, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_arena arena;
    if (size > 8192)
        return 0;
    kt_arena_init(&arena, (size_t)1 << 20);
    check_path(&arena, kt_bytes(data, size));
    check_query(&arena, kt_bytes(data, size));
    kt_arena_free(&arena);
    return 0;
}
