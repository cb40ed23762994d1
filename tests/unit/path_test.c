/* A request line's path becomes the canonical one or is refused; nothing is repaired. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vaultd/core/path.h"

#define BYTES_40  "0123456789012345678901234567890123456789"
#define BYTES_240 BYTES_40 BYTES_40 BYTES_40 BYTES_40 BYTES_40 BYTES_40
#define DEEP_8    "a/a/a/a/a/a/a/a/"
#define DEEP_48   DEEP_8 DEEP_8 DEEP_8 DEEP_8 DEEP_8 DEEP_8

/* clang-format off */
static const struct row {
    const char *name, *target;
    const char *path; /* NULL: refused */
    enum kt_kind kind;
    const char *says;
} rows[] = {
    {"plain", "/v1/secret/data/a", "secret/data/a", KT_OK, NULL},
    {"nothing behind", "/v1/", "", KT_OK, NULL},
    {"trailing slash stays", "/v1/secret/metadata/", "secret/metadata/", KT_OK, NULL},
    {"outside", "/v2/secret", NULL, KT_NOT_FOUND, ""},
    {"root", "/", NULL, KT_NOT_FOUND, ""},
    {"empty", "", NULL, KT_NOT_FOUND, ""},
    {"no slash behind v1", "/v1", NULL, KT_NOT_FOUND, ""},
    {"capital", "/V1/x", NULL, KT_NOT_FOUND, ""},
    {"prefix is not decoded", "/v1%2fx", NULL, KT_NOT_FOUND, ""},
    {"escaped letters", "/v1/%73ecret", "secret", KT_OK, NULL},
    {"escaped slash separates", "/v1/a%2Fb%2fc", "a/b/c", KT_OK, NULL},
    {"decoded once", "/v1/a%252Fb", "a%2Fb", KT_OK, NULL},
    {"decoded once, dots", "/v1/%252e%252e/b", "%2e%2e/b", KT_OK, NULL},
    {"plus is a plus", "/v1/a+b", "a+b", KT_OK, NULL},
    {"space", "/v1/a%20b", "a b", KT_OK, NULL},
    {"umlaut", "/v1/%C3%A4", "\xc3\xa4", KT_OK, NULL},
    {"umlaut as bytes", "/v1/\xc3\xa4", "\xc3\xa4", KT_OK, NULL},
    {"four bytes", "/v1/%F0%9F%94%91", "\xf0\x9f\x94\x91", KT_OK, NULL},
    {"highest character", "/v1/%F4%8F%BF%BD", "\xf4\x8f\xbf\xbd", KT_OK, NULL},
    {"what is no character", "/v1/%F4%8F%BF%BF", NULL, KT_INVALID, "not printable"},
    {"marks", "/v1/a:@!$&'()*,;=b", "a:@!$&'()*,;=b", KT_OK, NULL},
    {"three dots", "/v1/...", "...", KT_OK, NULL},
    {"dot in a name", "/v1/.a/b.", ".a/b.", KT_OK, NULL},
    {"dot", "/v1/a/./b", NULL, KT_INVALID, "relative paths not supported"},
    {"dot dot", "/v1/a/../b", NULL, KT_INVALID, "relative paths not supported"},
    {"escaped dots", "/v1/a/%2e%2E/b", NULL, KT_INVALID, "relative paths not supported"},
    {"dots at the end", "/v1/a/..", NULL, KT_INVALID, "relative paths not supported"},
    {"dot at the beginning", "/v1/./a", NULL, KT_INVALID, "relative paths not supported"},
    {"dots between escaped slashes", "/v1/a%2f..%2fb", NULL, KT_INVALID, "relative paths"},
    {"dot before a trailing slash", "/v1/a/./", NULL, KT_INVALID, "relative paths"},
    {"double slash", "/v1/a//b", NULL, KT_INVALID, "empty path segments"},
    {"leading slash", "/v1//a", NULL, KT_INVALID, "empty path segments"},
    {"two trailing slashes", "/v1/a//", NULL, KT_INVALID, "empty path segments"},
    {"double slash, one escaped", "/v1/a/%2Fb", NULL, KT_INVALID, "empty path segments"},
    {"NUL", "/v1/a%00b", NULL, KT_INVALID, "not printable"},
    {"newline", "/v1/a%0Ab", NULL, KT_INVALID, "not printable"},
    {"tab as a byte", "/v1/a\tb", NULL, KT_INVALID, "not printable"},
    {"delete", "/v1/a%7Fb", NULL, KT_INVALID, "not printable"},
    {"C1", "/v1/a%C2%9Fb", NULL, KT_INVALID, "not printable"},
    {"a space that does not break", "/v1/a%C2%A0b", NULL, KT_INVALID, "not printable"},
    {"first behind it", "/v1/a%C2%A1b", "a\xc2\xa1" "b", KT_OK, NULL},
    {"a hyphen that is not seen", "/v1/a%C2%ADb", NULL, KT_INVALID, "not printable"},
    {"a space without width", "/v1/a%E2%80%8Bb", NULL, KT_INVALID, "not printable"},
    {"writing turned round", "/v1/a%E2%80%AEb", NULL, KT_INVALID, "not printable"},
    {"writing isolated", "/v1/a%E2%81%A6b", NULL, KT_INVALID, "not printable"},
    {"a dash beside them", "/v1/a%E2%80%90b", "a\xe2\x80\x90" "b", KT_OK, NULL},
    {"a byte order mark", "/v1/%EF%BB%BFa", NULL, KT_INVALID, "not printable"},
    {"a tag", "/v1/a%F3%A0%81%A1", NULL, KT_INVALID, "not printable"},
    {"half a character", "/v1/a%C3", NULL, KT_INVALID, "not UTF-8"},
    {"lone continuation", "/v1/a%80", NULL, KT_INVALID, "not UTF-8"},
    {"overlong slash", "/v1/a%C0%AFb", NULL, KT_INVALID, "not UTF-8"},
    {"overlong dot", "/v1/%C0%AE%C0%AE/b", NULL, KT_INVALID, "not UTF-8"},
    {"overlong of three", "/v1/%E0%80%AF", NULL, KT_INVALID, "not UTF-8"},
    {"surrogate", "/v1/%ED%A0%80", NULL, KT_INVALID, "not UTF-8"},
    {"beyond the last", "/v1/%F4%90%80%80", NULL, KT_INVALID, "not UTF-8"},
    {"five bytes", "/v1/%F8%88%80%80%80", NULL, KT_INVALID, "not UTF-8"},
    {"cut escape", "/v1/a%2", NULL, KT_INVALID, "percent escape"},
    {"percent alone", "/v1/a%", NULL, KT_INVALID, "percent escape"},
    {"no hex", "/v1/a%zz", NULL, KT_INVALID, "percent escape"},
    {"hex with a sign", "/v1/a%+1", NULL, KT_INVALID, "percent escape"},
    {"longest segment", "/v1/" BYTES_240 "012345678901234", BYTES_240 "012345678901234", KT_OK, NULL},
    {"segment too long", "/v1/" BYTES_240 "0123456789012345", NULL, KT_INVALID, "too long"},
    {"deepest", "/v1/" DEEP_48, DEEP_48, KT_OK, NULL},
    {"too deep", "/v1/" DEEP_48 "a", NULL, KT_INVALID, "too deep"},
};
/* clang-format on */

static void canonical(void **state)
{
    const struct row *row = *state;
    struct kt_arena arena;
    struct kt_err err = {0};
    kt_arena_init(&arena, 65536);
    const char *path = NULL;
    size_t len = 0;
    enum kt_kind kind = path_canonical(&arena, kt_str(row->target), &path, &len, &err);
    bool fine = kind == row->kind;
    if (fine && kind == KT_OK)
        fine = strcmp(path, row->path) == 0 && len == strlen(row->path);
    if (fine && kind != KT_OK)
        fine = path == NULL && strstr(err.what, row->says) != NULL &&
               (row->says[0] != '\0' || err.what[0] == '\0');
    if (!fine)
        fail_msg("'%s': expected %s '%s', got %s '%s' (%s)", row->target, kt_kind_name(row->kind),
                 row->path == NULL ? row->says : row->path, kt_kind_name(kind),
                 path == NULL ? "" : path, err.what);
    kt_arena_free(&arena);
}

static void too_many_bytes(void **state)
{
    (void)state;
    struct kt_arena arena;
    struct kt_err err = {0};
    char target[PATH_MAX_BYTES + 2];
    memset(target, 'a', sizeof target);
    for (size_t i = 4; i < sizeof target; i += 200)
        target[i - 1] = '/';
    memcpy(target, "/v1/", 4);
    const char *path = NULL;
    size_t len = 0;
    kt_arena_init(&arena, 65536);
    assert_int_equal(path_canonical(&arena, kt_bytes(target, PATH_MAX_BYTES), &path, &len, &err),
                     KT_OK);
    assert_int_equal(len, PATH_MAX_BYTES - 4);
    assert_int_equal(
        path_canonical(&arena, kt_bytes(target, PATH_MAX_BYTES + 1), &path, &len, &err),
        KT_INVALID);
    assert_non_null(strstr(err.what, "longer than 5120"));
    kt_arena_free(&arena);
}

/* clang-format off */
static const struct query_row {
    const char *text, *decoded; /* NULL: refused */
} queries[] = {
    {"", ""},          {"abc", "abc"},          {"a+b", "a b"},    {"a%2Bb", "a+b"},
    {"%41%6a", "Aj"},  {"%C3%A4", "\xc3\xa4"},  {"a%00b", NULL},   {"%zz", NULL},
    {"%0a", NULL},     {"%ff", NULL},           {"%", NULL},       {"a%2", NULL},
    {"a=b&c", "a=b&c"}, {"\x01", NULL},
};
/* clang-format on */

static void query(void **state)
{
    (void)state;
    struct kt_arena arena;
    kt_arena_init(&arena, 65536);
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        struct kt_bytes got = {0};
        struct kt_err err = {0};
        enum kt_kind kind = query_decode(&arena, kt_str(queries[i].text), &got, &err);
        if (queries[i].decoded == NULL ? kind != KT_INVALID
                                       : kind != KT_OK || !kt_bytes_is(got, queries[i].decoded))
            fail_msg("'%s': got %s '%.*s'", queries[i].text, kt_kind_name(kind), (int)got.len,
                     got.len == 0 ? "" : (const char *)got.at);
    }
    kt_arena_free(&arena);
}

#define N (sizeof rows / sizeof rows[0])

int main(int argc, char **argv)
{
    struct CMUnitTest tests[N + 2] = {
        {.name = "at most 5 KiB", .test_func = too_many_bytes},
        {.name = "a query's parts", .test_func = query},
    };
    for (size_t i = 0; i < N; i++)
        tests[i + 2] = (struct CMUnitTest){.name = rows[i].name,
                                           .test_func = canonical,
                                           .initial_state = (void *)(uintptr_t)&rows[i]};
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("path", tests, NULL, NULL);
}
