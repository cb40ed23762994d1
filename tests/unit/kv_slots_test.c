/* Where the records of a secret's versions stand: a new one takes the place of the one it pushes out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/support/vault.h"
#include "vaultd/engine/kv_record.h"

static int make(void **state)
{
    *state = test_vault_new(true);
    return 0;
}

static int end(void **state)
{
    test_vault_free(*state);
    return 0;
}

static void write_number(struct test_vault *vault, unsigned number)
{
    char body[64];
    (void)snprintf(body, sizeof body, "{\"data\":{\"n\":\"value %u\"}}", number);
    assert_int_equal(test_vault_call(vault, "PUT", "secret/data/a", vault->root, body), 200);
}

static void assert_version(struct test_vault *vault, unsigned number, unsigned status)
{
    char path[64], text[64];
    (void)snprintf(path, sizeof path, "secret/data/a?version=%u", number);
    (void)snprintf(text, sizeof text, "\"value %u\"", number);
    assert_int_equal(test_vault_call(vault, "GET", path, vault->root, NULL), status);
    assert_int_equal(test_vault_said(vault, text), status == 200);
}

/* Of KV alone: the vault's own threads write, too. */
static uint64_t entries(struct test_vault *vault)
{
    static const unsigned char tables[] = {TABLE_KV, TABLE_KV_NAME};
    struct snapshot *snapshot = NULL;
    struct entry entry;
    uint64_t n = 0;
    assert_int_equal(snapshot_begin(vault->store, &snapshot), STORE_OK);
    for (size_t i = 0; i < sizeof tables; i++) {
        struct cursor *cursor = NULL;
        assert_int_equal(cursor_open(snapshot, kt_bytes(&tables[i], 1), kt_bytes(NULL, 0), &cursor),
                         STORE_OK);
        while (cursor_next(cursor, &entry) == STORE_OK)
            n++;
        cursor_close(cursor);
    }
    snapshot_end(snapshot);
    return n;
}

static void a_new_version_takes_the_place_of_the_oldest(void **state)
{
    struct test_vault *vault = *state;
    for (unsigned i = 1; i <= 10; i++)
        write_number(vault, i);
    uint64_t full = entries(vault);
    for (unsigned i = 11; i <= 25; i++) {
        write_number(vault, i);
        assert_int_equal(entries(vault), full);
    }
    for (unsigned i = 1; i <= 25; i++)
        assert_version(vault, i, i <= 15 ? 404 : 200);
}

static void a_destroyed_version_has_no_place(void **state)
{
    struct test_vault *vault = *state;
    for (unsigned i = 1; i <= 10; i++)
        write_number(vault, i);
    uint64_t full = entries(vault);
    assert_int_equal(test_vault_call(vault, "PUT", "secret/destroy/a", vault->root,
                                     "{\"versions\":[1,10]}"),
                     204);
    assert_int_equal(entries(vault), full - 2);
    /* Pushes out number 1, whose record is gone: the new one may stand where 10 stood. */
    write_number(vault, 11);
    assert_int_equal(entries(vault), full - 1);
    for (unsigned i = 12; i <= 20; i++)
        write_number(vault, i);
    for (unsigned i = 11; i <= 20; i++)
        assert_version(vault, i, 200);
    assert_version(vault, 10, 404);
    assert_int_equal(entries(vault), full);
}

static void fewer_versions_kept_leave_nothing_behind(void **state)
{
    struct test_vault *vault = *state;
    for (unsigned i = 1; i <= 10; i++)
        write_number(vault, i);
    uint64_t full = entries(vault);
    assert_int_equal(test_vault_call(vault, "PUT", "secret/metadata/a", vault->root,
                                     "{\"max_versions\":3}"),
                     204);
    for (unsigned i = 11; i <= 14; i++)
        write_number(vault, i);
    assert_int_equal(entries(vault), full - 7);
    for (unsigned i = 11; i <= 14; i++)
        assert_version(vault, i, i == 11 ? 404 : 200);
    assert_int_equal(test_vault_call(vault, "DELETE", "secret/metadata/a", vault->root, NULL), 204);
    assert_int_equal(entries(vault), full - 12); /* with the metadata and the name */
}

/* ---- another secret in its place ---- */

/* Versions first to last, of another vault, behind what is there (cas) or instead of it. */
static void bring(struct test_vault *vault, bool replace, unsigned cas, unsigned first, unsigned last)
{
    char body[4096];
    kt_autobuf struct kt_buf text;
    kt_buf_init_in(&text, sizeof body, body, sizeof body);
    kt_buf_printf(&text, "{\"cas\":%u,\"replace\":%s,\"max_versions\":200,\"versions\":[", cas, replace ? "true" : "false");
    for (unsigned i = first; i <= last; i++)
        kt_buf_printf(&text, "%s{\"version\":%u,\"data\":{\"n\":\"value %u\"}}", i == first ? "" : ",", i, i);
    kt_buf_add_text(&text, "]}");
    if (test_vault_call(vault, "PUT", "secret/import/a", vault->root, kt_buf_text(&text)) != 200)
        fail_msg("%s", vault->body);
}

static void fill(struct test_vault *vault, unsigned last)
{
    for (unsigned i = 1; i <= last; i += 25)
        bring(vault, false, i - 1, i, i + 24 < last ? i + 24 : last);
}

/* What one commit does not delete a job does, and takes nothing of what came. */
static void what_is_replaced_leaves_nothing(void **state)
{
    static const struct {
        unsigned old, anew;
    } rows[] = {{3, 1}, {3, 3}, {3, 25}, {21, 1}, {22, 1}, {120, 1}, {120, 25}};
    struct test_vault *vault = *state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t before = entries(vault);
        fill(vault, rows[i].old);
        /* Two requests, before a job had its turn or after: the second stands in slots of the old ones, too. */
        bring(vault, true, rows[i].old, 501, 500 + rows[i].anew);
        bring(vault, false, 500 + rows[i].anew, 601, 610);
        (void)test_vault_tidy(vault);
        assert_int_equal(entries(vault), before + 2 + rows[i].anew + 10);
        for (unsigned n = 501; n <= 500 + rows[i].anew; n++)
            assert_version(vault, n, 200);
        for (unsigned n = 601; n <= 610; n++)
            assert_version(vault, n, 200);
        assert_version(vault, 1, 404);
        assert_int_equal(test_vault_call(vault, "DELETE", "secret/metadata/a", vault->root, NULL), 204);
        (void)test_vault_tidy(vault);
        assert_int_equal(entries(vault), before);
    }
}

/* ---- the stored form ---- */

static void put_format_1(struct kt_buf *out)
{
    static const unsigned char dek[32] = {7};
    static const struct {
        uint32_t number;
        uint8_t flags;
    } versions[] = {{41, 0}, {42, 1}, {43, 2}};
    kt_buf_add_u8(out, 1);
    kt_buf_add_u32(out, 43);
    kt_buf_add_u32(out, 43);
    kt_buf_add_u32(out, 0);
    kt_buf_add_u32(out, 0);
    kt_buf_add_u8(out, 0);
    kt_buf_add_i64(out, 1000);
    kt_buf_add_i64(out, 2000);
    kt_buf_add_u32(out, 0);
    kt_buf_add_i64(out, 0);
    kt_buf_add_u32(out, 41);
    kt_buf_add_field(out, kt_bytes(NULL, 0));
    kt_buf_add_u32(out, 3);
    for (size_t i = 0; i < 3; i++) {
        kt_buf_add_u32(out, versions[i].number);
        kt_buf_add_i64(out, 1000);
        kt_buf_add_i64(out, 0);
        kt_buf_add_u8(out, versions[i].flags);
        kt_buf_add_i64(out, 0);
        kt_buf_add(out, dek, sizeof dek);
    }
}

/* An older vaultd reads what has nothing that it does not know. */
static void the_newest_form_only_for_what_it_adds(void **state)
{
    (void)state;
    struct kt_arena arena;
    struct kt_buf old, plain, needed;
    struct kv_secret secret, again;
    kt_arena_init(&arena, 1 << 20);
    kt_buf_init(&old, 4096);
    kt_buf_init(&plain, 4096);
    kt_buf_init(&needed, 4096);
    put_format_1(&old);
    assert_int_equal(kv_meta_read(kt_buf_bytes(&old), &arena, &secret, NULL), KT_OK);
    kv_meta_write(&secret, &plain);
    assert_int_equal(plain.at[0], 2);
    assert_int_equal(plain.len, old.len + 3 * sizeof(uint32_t)); /* its slots, and nothing more */
    assert_int_equal(kv_meta_read(kt_buf_bytes(&plain), &arena, &again, NULL), KT_OK);
    assert_int_equal(again.versions[2].needed_until_ms, 0);
    secret.versions[2].needed_until_ms = 5000;
    kv_meta_write(&secret, &needed);
    assert_int_equal(needed.at[0], 3);
    assert_int_equal(kv_meta_read(kt_buf_bytes(&needed), &arena, &again, NULL), KT_OK);
    assert_int_equal(again.versions[1].needed_until_ms, 0);
    assert_int_equal(again.versions[2].needed_until_ms, 5000);
    kt_buf_free(&needed);
    kt_buf_free(&plain);
    kt_buf_free(&old);
    kt_arena_free(&arena);
}

/* In the older form a record stands under its version's number; a destroyed version has none. */
static void the_older_form_is_read_and_written_anew(void **state)
{
    (void)state;
    struct kt_arena arena;
    struct kt_buf old, anew;
    struct kv_secret secret, again;
    kt_arena_init(&arena, 1 << 20);
    kt_buf_init(&old, 4096);
    kt_buf_init(&anew, 4096);
    put_format_1(&old);
    assert_int_equal(kv_meta_read(kt_buf_bytes(&old), &arena, &secret, NULL), KT_OK);
    assert_int_equal(secret.n_versions, 3);
    static const uint32_t slots[] = {41, 0, 43};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(secret.versions[i].slot, slots[i]);
    secret.versions[2].slot = 44;
    kv_meta_write(&secret, &anew);
    assert_int_equal(kv_meta_read(kt_buf_bytes(&anew), &arena, &again, NULL), KT_OK);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(again.versions[i].number, 41 + i);
        assert_int_equal(again.versions[i].slot, i == 2 ? 44 : slots[i]);
        assert_int_equal(again.versions[i].dek[0], 7);
        assert_int_equal(again.versions[i].destroyed, i == 1);
    }
    assert_true(again.versions[2].accepted_maybe);
    kt_buf_free(&old);
    kt_buf_free(&anew);
    kt_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_version_takes_the_place_of_the_oldest, make, end),
        cmocka_unit_test_setup_teardown(a_destroyed_version_has_no_place, make, end),
        cmocka_unit_test_setup_teardown(fewer_versions_kept_leave_nothing_behind, make, end),
        cmocka_unit_test_setup_teardown(what_is_replaced_leaves_nothing, make, end),
        cmocka_unit_test(the_older_form_is_read_and_written_anew),
        cmocka_unit_test(the_newest_form_only_for_what_it_adds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
