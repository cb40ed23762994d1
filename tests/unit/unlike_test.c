/* What may never be alike: the keys and ids of two vaults, the nonces of two seals, and the keys under which
 * threads and logs remember hashes. */
#include "tests/unit/barrier_fixture.h"

#include <pthread.h>

#include "vaultd/audit/hasher.h"
#include "vaultd/audit/sealed.h"

/* ---- the key that tags of remembered hashes are made under ---- */

static unsigned char tag_key[crypto_shorthash_siphashx24_KEYBYTES]; /* the newest */

int crypto_shorthash_siphashx24(unsigned char *out, const unsigned char *in, unsigned long long len,
                                const unsigned char *k)
{
    memcpy(tag_key, k, sizeof tag_key);
    return crypto_generichash(out, crypto_shorthash_siphashx24_BYTES, in, len, k, sizeof tag_key);
}

/* ---- keys ---- */

#define VAULTS 2u
#define KEYS   6u

static void collect(struct vault *vault, unsigned char out[KEYS][32])
{
    const struct keyring *ring = vault->barrier->ring;
    static const enum ring_key keys[] = {RING_ROOT, RING_INDEX, RING_AUDIT, RING_SIGN};
    for (size_t i = 0; i < 4; i++)
        memcpy(out[i], ring->key[keys[i]], 32);
    memcpy(out[4], keyring_newest(ring)->master, 32);
    assert_int_equal(shamir_combine((const share_bytes *)vault->shares, 3, out[5], NULL), KT_OK);
}

static void keys_of_vaults(void **state)
{
    (void)state;
    unsigned char keys[VAULTS][KEYS][32], (*all)[32] = keys[0];
    unsigned char ids[VAULTS][16], seal_ids[VAULTS][SEAL_ID_BYTES];
    for (unsigned i = 0; i < VAULTS; i++) {
        struct vault *vault = vault_open();
        collect(vault, keys[i]);
        memcpy(ids[i], vault->barrier->seal.vault_id, 16);
        memcpy(seal_ids[i], vault->barrier->seal.seal_id, SEAL_ID_BYTES);
        vault_close(vault);
    }
    for (unsigned i = 0; i < VAULTS * KEYS; i++)
        for (unsigned j = 0; j < i; j++)
            assert_memory_not_equal(all[i], all[j], 32);
    assert_memory_not_equal(ids[0], ids[1], sizeof ids[0]);
    assert_memory_not_equal(seal_ids[0], seal_ids[1], sizeof seal_ids[0]);
    assert_memory_not_equal(ids[0], seal_ids[0], sizeof ids[0]);
}

/* ---- nonces: the same text, sealed twice under one key ---- */

static void expect_unlike(struct kt_buf *a, struct kt_buf *b)
{
    assert_true(kt_buf_ok(a) && kt_buf_ok(b) && a->len == b->len && a->len > 0);
    assert_memory_not_equal(a->at, b->at, a->len);
}

static void seals_of_the_barrier(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    struct barrier *barrier = vault->barrier;
    struct kt_buf entry[2], ring[2];
    struct seal_record seal[2] = {barrier->seal, barrier->seal};
    const unsigned char unseal_key[32] = {1};
    for (unsigned i = 0; i < 2; i++) {
        kt_buf_init(&entry[i], STORE_VALUE_MAX);
        kt_buf_init(&ring[i], STORE_VALUE_MAX);
        assert_int_equal(
            barrier_seal_entry(barrier, kt_str("vkey"), kt_str("text"), &entry[i], NULL), KT_OK);
        assert_int_equal(keyring_store(barrier->ring, &ring[i], NULL), KT_OK);
        seal_record_wrap(&seal[i], unseal_key, barrier->ring->key[RING_ROOT]);
    }
    expect_unlike(&entry[0], &entry[1]);
    expect_unlike(&ring[0], &ring[1]);
    assert_memory_not_equal(seal[0].wrap, seal[1].wrap, sizeof seal[0].wrap);
    for (unsigned i = 0; i < 2; i++) {
        kt_buf_free(&entry[i]);
        kt_buf_free(&ring[i]);
    }
    vault_close(vault);
}

static void seals_of_the_audit_log(void **state)
{
    (void)state;
    static const unsigned char key[32] = {1}, line[100] = "a record";
    const struct audit_sealer sealer = {.key = key, .vault = "sixteen bytes id", .log = 1};
    const struct audit_header header = {.len = sizeof line, .kind = AUDIT_RECORD};
    unsigned char record[2][sizeof line + AUDIT_OVERHEAD];
    struct kt_buf outcome[2];
    for (unsigned i = 0; i < 2; i++) {
        audit_record_seal(&sealer, 7, &header, line, record[i]);
        kt_buf_init(&outcome[i], 4096);
        assert_int_equal(audit_outcome_wrap(&sealer, kt_str("packed"), 513, &outcome[i], NULL), KT_OK);
    }
    assert_memory_not_equal(record[0], record[1], sizeof record[0]);
    expect_unlike(&outcome[0], &outcome[1]);
    for (unsigned i = 0; i < 2; i++)
        kt_buf_free(&outcome[i]);
}

/* ---- tags ---- */

static void hash_key(struct barrier *barrier)
{
    unsigned char out[BARRIER_HASH_KEY];
    barrier_hash_key(barrier, TABLE_CONFIG, kt_str("a token"), out);
}

static void *hash_key_of_thread(void *arg)
{
    hash_key(arg);
    return NULL;
}

/* Who knew the key could look for two tokens of one tag. */
static void tags_of_threads(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    unsigned char first[sizeof tag_key];
    pthread_t thread;
    hash_key(vault->barrier);
    memcpy(first, tag_key, sizeof first);
    assert_int_equal(pthread_create(&thread, NULL, hash_key_of_thread, vault->barrier), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_memory_not_equal(first, tag_key, sizeof first);
    vault_close(vault);
}

static void tags_of_logs(void **state)
{
    (void)state;
    static const unsigned char key[32] = {1};
    unsigned char keys[2][sizeof tag_key];
    for (unsigned i = 0; i < 2; i++) {
        char text[AUDIT_HMAC_TEXT];
        struct audit_hasher *hasher = audit_hasher_new(key);
        assert_non_null(hasher);
        audit_hasher_text(hasher, kt_str("a value"), text);
        memcpy(keys[i], tag_key, sizeof tag_key);
        audit_hasher_free(hasher);
    }
    assert_memory_not_equal(keys[0], keys[1], sizeof keys[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_vaults),
        cmocka_unit_test(seals_of_the_barrier),
        cmocka_unit_test(seals_of_the_audit_log),
        cmocka_unit_test(tags_of_threads),
        cmocka_unit_test(tags_of_logs),
    };
    if (kt_secret_init(NULL) != KT_OK)
        return 1;
    return cmocka_run_group_tests_name("unlike", tests, NULL, NULL);
}
