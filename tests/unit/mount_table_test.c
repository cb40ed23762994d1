/* Which mount a path lies in: against a look at every row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vaultd/core/mount_table.h"

static const char *const paths[] = {"a/", "kv-2/", "kv/", "secret-a/", "secret-b/c/", "secret/",
                                    "team/db/", "team/web/", "team-x/"};
#define PATHS (sizeof paths / sizeof paths[0])

static struct mount_table *make(void)
{
    struct mount rows[PATHS];
    struct mount_table *table = NULL;
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, MOUNT_RECORD_MAX);
    for (size_t i = 0; i < PATHS; i++)
        rows[i] = (struct mount){
            .path = paths[i], .type = "kv", .version = "2", .description = "", .accessor = "kv_1"};
    mount_table_write(rows, PATHS, &record);
    assert_int_equal(mount_table_read(kt_buf_bytes(&record), 7, &table, NULL), KT_OK);
    assert_int_equal(table->changed, 7);
    return table;
}

static const struct mount *slowly(const struct mount_table *table, const char *path)
{
    for (size_t i = 0; i < table->n; i++) {
        size_t len = strlen(table->rows[i].path);
        if (strncmp(path, table->rows[i].path, len) == 0 ||
            (strlen(path) + 1 == len && strncmp(path, table->rows[i].path, len - 1) == 0))
            return &table->rows[i];
    }
    return NULL;
}

static void check(const struct mount_table *table, const char *path)
{
    const char *rest = NULL;
    const struct mount *found = mount_table_find(table, path, &rest);
    const struct mount *wanted = slowly(table, path);
    if (found != wanted)
        fail_msg("'%s': expected '%s', got '%s'", path, wanted == NULL ? "none" : wanted->path,
                 found == NULL ? "none" : found->path);
    if (found == NULL)
        return;
    size_t len = strlen(found->path);
    assert_string_equal(rest, strlen(path) < len ? "" : path + len);
}

static void rows_are_found(void **state)
{
    (void)state;
    struct mount_table *table = make();
    for (size_t i = 0; i < table->n; i++) {
        char path[64];
        const char *mount = table->rows[i].path;
        static const char *const tails[] = {"", "x", "x/y", "~", "-", "0/"};
        for (size_t t = 0; t < sizeof tails / sizeof tails[0]; t++) {
            (void)snprintf(path, sizeof path, "%s%s", mount, tails[t]);
            check(table, path);
        }
        for (size_t cut = 1; cut <= strlen(mount); cut++) {
            (void)snprintf(path, sizeof path, "%.*s", (int)(strlen(mount) - cut), mount);
            check(table, path);
        }
    }
    static const char *const others[] = {"", "/", "zzz", "!", "secret0", "secret.", "team", "team/",
                                         "team/d", "team/db0", "auth", "auth/token", "\xc3\xa9/x"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        check(table, others[i]);
    mount_table_free(table);
}

static void damage_is_refused(void **state)
{
    (void)state;
    struct mount_table *table = NULL;
    struct kt_err err = {0};
    static const struct {
        const char *bytes;
        size_t len;
        const char *says;
    } rows[] = {
        {"\1\0\0\0\0\0", 6, "damaged"},
        {"\1\1\0\0\0", 5, "damaged"},
        {"\1\377\377\377\377", 5, "damaged"},
        {"\2\0\0\0\0", 5, "format 2 is newer"},
        {"\0\0\0\0\0", 5, "format 0 is unknown"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(mount_table_read(kt_bytes(rows[i].bytes, rows[i].len), 1, &table, &err),
                         KT_CORRUPT);
        assert_non_null(strstr(err.what, rows[i].says));
    }
    assert_int_equal(mount_table_read(kt_bytes(NULL, 0), 0, &table, &err), KT_OK);
    assert_true(table->n > 0); /* what is always there */
    mount_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_found),
        cmocka_unit_test(damage_is_refused),
    };
    return cmocka_run_group_tests_name("mount table", tests, NULL, NULL);
}
