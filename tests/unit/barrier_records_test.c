/* What the barrier does with records and names: sizes, places, damage, formats, keys of the store. */
#include "tests/unit/barrier_fixture.h"

#include "lib/random.h"

/* ---- records ---- */

static void sizes(void **state)
{
    (void)state;
    static const size_t lens[] = {0,    1,    59,   60,   61,    1023,   1024,           2043,
                                  2044, 2045, 4096, 9999, 65536, 999999, ENTRY_PLAIN_MAX};
    struct vault *vault = vault_open();
    unsigned char *plain = malloc(ENTRY_PLAIN_MAX + 1);
    assert_non_null(plain);
    randombytes_buf(plain, ENTRY_PLAIN_MAX + 1);
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        kt_autobuf struct kt_buf sealed, out, tight;
        kt_buf_init(&out, STORE_VALUE_MAX);
        kt_buf_init(&tight, lens[i]);
        seal_text(vault, kt_str("vkey"), kt_bytes(plain, lens[i]), &sealed);
        assert_true(sealed.len <= STORE_VALUE_MAX);
        if (lens[i] >= 1024)
            assert_true(sealed.len - BARRIER_OVERHEAD <= (lens[i] + 4) * 17 / 16);
        assert_int_equal(
            barrier_open_entry(vault->barrier, kt_str("vkey"), kt_buf_bytes(&sealed), &out, NULL),
            KT_OK);
        assert_true(kt_bytes_equal(kt_buf_bytes(&out), kt_bytes(plain, lens[i])));
        /* The padding needs no room of the caller's; what he did not want is refused. */
        assert_int_equal(
            barrier_open_entry(vault->barrier, kt_str("vkey"), kt_buf_bytes(&sealed), &tight, NULL),
            KT_OK);
        assert_true(kt_bytes_equal(kt_buf_bytes(&tight), kt_bytes(plain, lens[i])));
        if (lens[i] > 0) {
            kt_buf_free(&tight);
            kt_buf_init(&tight, lens[i] - 1);
            assert_int_equal(barrier_open_entry(vault->barrier, kt_str("vkey"),
                                                kt_buf_bytes(&sealed), &tight, NULL),
                             KT_TOO_LARGE);
        }
    }
    kt_autobuf struct kt_buf none;
    kt_buf_init(&none, SIZE_MAX / 4);
    assert_int_equal(barrier_seal_entry(vault->barrier, kt_str("vkey"),
                                        kt_bytes(plain, ENTRY_PLAIN_MAX + 1), &none, NULL),
                     KT_TOO_LARGE);
    free(plain);
    vault_close(vault);
}

/* Moved to another key, another table, another version of the same secret, a shorter key. */
static void moved(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    unsigned char key[BARRIER_NAME_KEY + 4];
    const unsigned char scope[BARRIER_SCOPE] = {1};
    barrier_name_key(vault->barrier, TABLE_KV, scope, kt_str("db/orders"), key);
    kt_put_be32(key + BARRIER_NAME_KEY, 7);
    kt_autobuf struct kt_buf sealed;
    seal_text(vault, kt_bytes(key, sizeof key), kt_str("value"), &sealed);
    struct kt_bytes entry = kt_buf_bytes(&sealed);
    assert_int_equal(open_at(vault, kt_bytes(key, sizeof key), entry), KT_OK);
    for (size_t i = 0; i < sizeof key; i++) {
        key[i] ^= 1;
        assert_int_equal(open_at(vault, kt_bytes(key, sizeof key), entry), KT_CORRUPT);
        key[i] ^= 1;
        if (i > 0)
            assert_int_equal(open_at(vault, kt_bytes(key, i), entry), KT_CORRUPT);
    }
    vault_close(vault);
}

static void every_flip(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    kt_autobuf struct kt_buf sealed;
    seal_text(vault, kt_str("vkey"), kt_str("a value that nobody may change"), &sealed);
    for (size_t i = 0; i < 8 * sealed.len; i++) {
        sealed.at[i / 8] ^= (unsigned char)(1u << (i % 8));
        assert_int_equal(open_at(vault, kt_str("vkey"), kt_buf_bytes(&sealed)), KT_CORRUPT);
        sealed.at[i / 8] ^= (unsigned char)(1u << (i % 8));
    }
    for (size_t len = 0; len < sealed.len; len++)
        assert_int_equal(open_at(vault, kt_str("vkey"), kt_bytes(sealed.at, len)), KT_CORRUPT);
    kt_buf_add_char(&sealed, '\0');
    assert_int_equal(open_at(vault, kt_str("vkey"), kt_buf_bytes(&sealed)), KT_CORRUPT);
    vault_close(vault);
}

static void another_vaults_record(void **state)
{
    (void)state;
    struct vault *vault = vault_open(), *other = vault_open();
    kt_autobuf struct kt_buf sealed;
    seal_text(other, kt_str("vkey"), kt_str("value"), &sealed);
    assert_int_equal(open_at(vault, kt_str("vkey"), kt_buf_bytes(&sealed)), KT_CORRUPT);
    vault_close(other);
    vault_close(vault);
}

static void absence(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    struct snapshot *snapshot = NULL;
    struct kt_err err = {.hint = "old"};
    generation changed = 77;
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 100);
    assert_int_equal(snapshot_begin(&vault->store, &snapshot), STORE_OK);
    assert_int_equal(barrier_get(vault->barrier, snapshot, kt_str("vnone"), &out, &changed, &err),
                     KT_NOT_FOUND);
    assert_int_equal(err.kind, KT_NOT_FOUND);
    assert_string_equal(err.hint, "");
    assert_int_equal(changed, 77);
    snapshot_end(snapshot);
    vault_close(vault);
}

static void sealed_refuses(void **state)
{
    (void)state;
    struct vault *vault = vault_new();
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 1000);
    assert_int_equal(barrier_seal_entry(vault->barrier, kt_str("vkey"), kt_str("x"), &out, NULL),
                     KT_SEALED);
    assert_int_equal(barrier_open_entry(vault->barrier, kt_str("vkey"), kt_str("x"), &out, NULL),
                     KT_SEALED);
    assert_int_equal(barrier_rotate(vault->barrier, 1, NULL, NULL, NULL), KT_SEALED);
    vault_free(vault);
}

/* ---- formats ---- */

static void newer_entry(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    kt_autobuf struct kt_buf sealed, out;
    seal_text(vault, kt_str("vkey"), kt_str("value"), &sealed);
    sealed.at[0] = 9;
    kt_buf_init(&out, 100);
    struct kt_err err = {0};
    assert_int_equal(
        barrier_open_entry(vault->barrier, kt_str("vkey"), kt_buf_bytes(&sealed), &out, &err),
        KT_CORRUPT);
    assert_string_equal(err.what, "a record: format 9 is newer than this vaultd (1): install the "
                                  "newer version");
    vault_close(vault);
}

/* What a reader of an older format would be: one row. This one knows no encryption at all. */
static enum kt_kind open_format0(const struct keyring *ring, struct kt_bytes key,
                                 struct kt_bytes sealed, struct kt_buf *out, struct kt_err *err)
{
    (void)ring;
    (void)key;
    kt_buf_add(out, sealed.at + 1, sealed.len - 1);
    return kt_buf_ok(out) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "opening a record");
}

static void format_zero(void **state)
{
    (void)state;
    static const struct entry_format older = {0, open_format0};
    static const unsigned char sealed[] = {0, 'o', 'l', 'd'};
    struct vault *vault = vault_open();
    assert_int_equal(open_at(vault, kt_str("vkey"), kt_bytes(sealed, sizeof sealed)), KT_CORRUPT);
    barrier_add_format(vault->barrier, &older);
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 100);
    assert_int_equal(barrier_open_entry(vault->barrier, kt_str("vkey"),
                                        kt_bytes(sealed, sizeof sealed), &out, NULL),
                     KT_OK);
    assert_string_equal(kt_buf_text(&out), "old");
    expect_record(vault, "first", "hello");
    vault_close(vault);
}

/* ---- names ---- */

static bool contains(struct kt_bytes bytes, const char *text)
{
    return memmem(bytes.at, bytes.len, text, strlen(text)) != NULL;
}

static void names(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    const unsigned char scope[BARRIER_SCOPE] = {1}, other[BARRIER_SCOPE] = {2};
    unsigned char ab[BARRIER_NAME_KEY], ac[BARRIER_NAME_KEY], again[BARRIER_NAME_KEY];
    unsigned char prefix[BARRIER_FOLDER_PREFIX];
    barrier_name_key(vault->barrier, TABLE_KV_NAME, scope, kt_str("a/b"), ab);
    barrier_name_key(vault->barrier, TABLE_KV_NAME, scope, kt_str("a/c"), ac);
    barrier_folder_prefix(vault->barrier, TABLE_KV_NAME, scope, kt_str("a/"), prefix);
    assert_memory_equal(ab, prefix, sizeof prefix);
    assert_memory_equal(ac, prefix, sizeof prefix);
    assert_memory_not_equal(ab, ac, sizeof ab);
    barrier_name_key(vault->barrier, TABLE_KV_NAME, scope, kt_str("a/b"), again);
    assert_memory_equal(ab, again, sizeof ab);

    /* A folder is a child of its parent, and not the secret of the same name. */
    barrier_name_key(vault->barrier, TABLE_KV_NAME, scope, kt_str("a/b/"), again);
    assert_memory_equal(again, prefix, sizeof prefix);
    assert_memory_not_equal(again, ab, sizeof ab);
    barrier_folder_prefix(vault->barrier, TABLE_KV_NAME, scope, kt_str(""), prefix);
    barrier_name_key(vault->barrier, TABLE_KV_NAME, scope, kt_str("a/"), again);
    assert_memory_equal(again, prefix, sizeof prefix);
    barrier_name_key(vault->barrier, TABLE_KV_NAME, scope, kt_str("a"), again);
    assert_memory_equal(again, prefix, sizeof prefix);

    /* Another scope, another table: nothing in common beyond the table's byte. */
    barrier_name_key(vault->barrier, TABLE_KV_NAME, other, kt_str("a/b"), again);
    assert_memory_not_equal(again + 1, ab + 1, 16);
    assert_memory_not_equal(again + 17, ab + 17, 16);
    barrier_name_key(vault->barrier, TABLE_KV, scope, kt_str("a/b"), again);
    assert_memory_not_equal(again + 1, ab + 1, 16);
    vault_close(vault);
}

/* The cached parent is as good as a computed one, through collisions and across vaults. */
static void names_cached(void **state)
{
    (void)state;
    struct vault *vault = vault_open(), *other = vault_open();
    const unsigned char scope[BARRIER_SCOPE] = {1};
    unsigned char first[200][BARRIER_NAME_KEY], again[BARRIER_NAME_KEY];
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < 200; i++) {
            char path[300];
            int len = snprintf(path, sizeof path, "%.*s/folder-%u/x", (int)(i < 20 ? i * 10 : 1),
                               "0123456789012345678901234567890123456789012345678901234567890123456"
                               "7890123456789012345678901234567890123456789012345678901234567890123"
                               "45678901234567890123456789012345678901234567890123456789",
                               i);
            struct kt_bytes bytes = kt_bytes(path, (size_t)len);
            barrier_name_key(vault->barrier, TABLE_KV, scope, bytes, round == 0 ? first[i] : again);
            if (round > 0)
                assert_memory_equal(first[i], again, sizeof again);
            barrier_name_key(other->barrier, TABLE_KV, scope, bytes, again);
            assert_memory_not_equal(first[i] + 1, again + 1, 16);
            assert_false(contains(kt_bytes(first[i], sizeof first[i]), "folder-"));
        }
    vault_close(other);
    vault_close(vault);
}

static void names_survive_sealing(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    const unsigned char scope[BARRIER_SCOPE] = {9};
    unsigned char name[2][BARRIER_NAME_KEY], hash[2][BARRIER_HASH_KEY], derived[2][32];
    unsigned char audit[2][3][32];
    for (unsigned i = 0; i < 2; i++) {
        barrier_name_key(vault->barrier, TABLE_POLICY, scope, kt_str("ops"), name[i]);
        barrier_hash_key(vault->barrier, TABLE_TOKEN, kt_str("hvs.token"), hash[i]);
        barrier_derive(vault->barrier, "jitter", kt_str("x"), derived[i]);
        barrier_audit_keys(vault->barrier, audit[i][0], audit[i][1], audit[i][2]);
        barrier_leave(vault->barrier);
        barrier_seal(vault->barrier);
        vault_unseal(vault, 2, 3, 4);
        if (i == 0)
            rotate(vault, 5, true);
    }
    assert_memory_equal(name[0], name[1], sizeof name[0]);
    assert_memory_equal(hash[0], hash[1], sizeof hash[0]);
    assert_memory_equal(derived[0], derived[1], sizeof derived[0]);
    assert_memory_equal(audit[0], audit[1], sizeof audit[0]);
    assert_memory_not_equal(audit[0][0], audit[0][1], 32);
    assert_memory_not_equal(audit[0][1], audit[0][2], 32);
    assert_int_equal(hash[0][0], TABLE_TOKEN);

    unsigned char more[BARRIER_HASH_KEY];
    barrier_hash_key(vault->barrier, TABLE_ACCESSOR, kt_str("hvs.token"), more);
    assert_memory_not_equal(more + 1, hash[0] + 1, 32);
    barrier_derive(vault->barrier, "jitterx", kt_str(""), more);
    assert_memory_not_equal(more, derived[0], 32);
    vault_close(vault);
}

/* Nothing that was written shows in what the store holds. */
static void nothing_in_clear(void **state)
{
    (void)state;
    static const char *const planted[] = {"orders-database", "s3cr3t-value"};
    struct vault *vault = vault_open();
    const unsigned char scope[BARRIER_SCOPE] = {1};
    unsigned char key[BARRIER_NAME_KEY];
    barrier_name_key(vault->barrier, TABLE_KV, scope, kt_str("orders-database/login"), key);
    struct batch *batch = batch_new();
    assert_int_equal(barrier_put(vault->barrier, batch, kt_bytes(key, sizeof key),
                                 kt_str("orders-database/login s3cr3t-value"), NULL),
                     KT_OK);
    assert_true(commit(&vault->store, batch));
    for (size_t p = 0; p < 2; p++)
        assert_false(contains(kt_bytes(&vault->store, sizeof vault->store), planted[p]));
    for (size_t s = 0; s < 5; s++)
        assert_null(memmem(&vault->store, sizeof vault->store, vault->shares[s], 32));
    for (unsigned k = 0; k < RING_KEYS; k++)
        assert_null(memmem(&vault->store, sizeof vault->store, vault->barrier->ring->key[k], 32));
    vault_close(vault);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(moved),
        cmocka_unit_test(every_flip),
        cmocka_unit_test(another_vaults_record),
        cmocka_unit_test(absence),
        cmocka_unit_test(sealed_refuses),
        cmocka_unit_test(newer_entry),
        cmocka_unit_test(format_zero),
        cmocka_unit_test(names),
        cmocka_unit_test(names_cached),
        cmocka_unit_test(names_survive_sealing),
        cmocka_unit_test(nothing_in_clear),
    };
    if (kt_secret_init(NULL) != KT_OK)
        return 1;
    return cmocka_run_group_tests_name("barrier records", tests, NULL, NULL);
}
