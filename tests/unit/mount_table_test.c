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
    mount_table_write(rows, PATHS, NULL, &record);
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

static const char *key_list[] = {"user", "", "host"};
static const char *header_list[] = {"X-One"};

/* Each setting comes back in its own place; the moves, in their order. */
static void settings_come_back(void **state)
{
    (void)state;
    const struct mount row = {.path = "kv/",
                              .type = "kv",
                              .version = "1",
                              .description = "d",
                              .accessor = "kv_1",
                              .default_lease_ttl_s = 3,
                              .max_lease_ttl_s = 5,
                              .seal_wrap = true,
                              .force_no_cache = true,
                              .listing_visibility = "unauth",
                              .token_type = "service",
                              .lists = {[MOUNT_CLEAR_RESPONSE] = {key_list, 3},
                                        [MOUNT_ALLOW_HEADERS] = {header_list, 1}}};
    struct mount_moves moves = {.at = {{"id-1", "a/", "b/"}, {"id-2", "b/", "kv/"}}, .n = 2};
    struct mount_table *table = NULL;
    const char *rest = NULL;
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, MOUNT_RECORD_MAX);
    mount_table_write(&row, 1, &moves, &record);
    assert_int_equal(mount_table_read(kt_buf_bytes(&record), 7, &table, NULL), KT_OK);
    const struct mount *got = mount_table_find(table, "kv/x", &rest);
    assert_non_null(got);
    assert_string_equal(got->version, "1");
    assert_true(got->seal_wrap && got->force_no_cache && !got->local && !got->builtin);
    assert_string_equal(got->listing_visibility, "unauth");
    assert_string_equal(got->token_type, "service");
    assert_true(got->default_lease_ttl_s == 3 && got->max_lease_ttl_s == 5);
    assert_int_equal(got->lists[MOUNT_CLEAR_REQUEST].n, 0);
    assert_int_equal(got->lists[MOUNT_CLEAR_RESPONSE].n, 3);
    assert_string_equal(got->lists[MOUNT_CLEAR_RESPONSE].at[2], "host");
    assert_int_equal(got->lists[MOUNT_PASS_HEADERS].n, 0);
    assert_string_equal(got->lists[MOUNT_ALLOW_HEADERS].at[0], "X-One");
    assert_int_equal(table->moves.n, 2);
    assert_string_equal(table->moves.at[1].id, "id-2");
    assert_string_equal(table->moves.at[1].from, "b/");
    assert_string_equal(table->moves.at[1].to, "kv/");
    mount_table_free(table);
}

/* What the first format of the record said. */
static void the_old_format_is_read(void **state)
{
    (void)state;
    struct mount_table *table = NULL;
    const char *rest = NULL;
    static const char *const fields[] = {"old/", "kv", "2", "from before", "kv_0"};
    static const unsigned char scope[BARRIER_SCOPE] = {0xab};
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, MOUNT_RECORD_MAX);
    kt_buf_add_u8(&record, 1);
    kt_buf_add_u32(&record, 1);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        kt_buf_add_field(&record, kt_str(fields[i]));
    kt_buf_add(&record, scope, sizeof scope);
    kt_buf_add_i64(&record, 60);
    kt_buf_add_i64(&record, 0);
    kt_buf_add_u8(&record, 2);
    assert_int_equal(mount_table_read(kt_buf_bytes(&record), 7, &table, NULL), KT_OK);
    const struct mount *got = mount_table_find(table, "old/x", &rest);
    assert_non_null(got);
    assert_string_equal(got->description, "from before");
    assert_non_null(got->engine);
    assert_true(got->seal_wrap && !got->local && !got->force_no_cache);
    assert_true(got->default_lease_ttl_s == 60);
    assert_string_equal(got->listing_visibility, "");
    assert_int_equal(got->lists[MOUNT_CLEAR_REQUEST].n, 0);
    assert_int_equal(table->moves.n, 0);
    mount_table_free(table);
}

/* A mount that says no version is KV's version 1; types that have none have no other engine. */
static void engines_by_version(void **state)
{
    (void)state;
    static const struct {
        const char *type, *version, *finds;
    } rows[] = {
        {"kv", NULL, "1"}, {"kv", "1", "1"}, {"kv", "2", "2"}, {"kv", "3", NULL}, {"kv", "", NULL},
        {"cubbyhole", "1", NULL}, {"generic", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct engine *engine = engine_find(rows[i].type, rows[i].version);
        if (rows[i].finds == NULL)
            assert_null(engine);
        else
            assert_string_equal(engine->version, rows[i].finds);
    }
    assert_non_null(engine_find("cubbyhole", NULL));
}

static void lease_times(void **state)
{
    (void)state;
    static const struct {
        int64_t default_s, max_s, binds_default, binds_max;
    } rows[] = {
        {0, 0, MOUNT_LEASE_SYSTEM_S, MOUNT_LEASE_SYSTEM_S},
        {60, 0, 60, MOUNT_LEASE_SYSTEM_S},
        {0, 60, 60, 60},
        {30, 60, 30, 60},
        {0, 9000000, MOUNT_LEASE_SYSTEM_S, 9000000},
        {9000000, 0, MOUNT_LEASE_SYSTEM_S, MOUNT_LEASE_SYSTEM_S},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct mount mount = {.default_lease_ttl_s = rows[i].default_s,
                                    .max_lease_ttl_s = rows[i].max_s};
        const struct mount_lease_ttl ttl = mount_lease_ttl(&mount);
        assert_int_equal(ttl.default_s, rows[i].binds_default);
        assert_int_equal(ttl.max_s, rows[i].binds_max);
    }
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
        {"\2\0\0\0\0", 5, "damaged"}, /* the moves are missing */
        {"\2\0\0\0\0\101", 6, "damaged"},
        {"\2\0\0\0\0\1\0\0\0\0", 10, "damaged"},
        {"\3\0\0\0\0", 5, "format 3 is newer"},
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
        cmocka_unit_test(settings_come_back),
        cmocka_unit_test(the_old_format_is_read),
        cmocka_unit_test(engines_by_version),
        cmocka_unit_test(lease_times),
        cmocka_unit_test(damage_is_refused),
    };
    return cmocka_run_group_tests_name("mount table", tests, NULL, NULL);
}
