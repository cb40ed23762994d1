/* Seals that open by themselves, over the same root key as the key shares: what opens the vault after each
 * change, and after each that did not come through. */
#include "tests/unit/barrier_fixture.h"

#include <stdio.h>

#include "vaultd/barrier/ceremony.h"
#include "vaultd/barrier/seals.h"

static const struct ceremony_plan plain = {.shares = 4, .threshold = 2};
static const struct ceremony_plan verified = {.shares = 4, .threshold = 2, .verify = true};

static struct seal_record last; /* as the last change made it */

/* A seal's key is told by one byte. */
static struct kt_secret *key_of(unsigned char mark)
{
    struct kt_secret *key = kt_secret_new(KT_KEY_BYTES);
    assert_non_null(key);
    for (size_t i = 0; i < KT_KEY_BYTES; i++)
        key->at[i] = (unsigned char)(mark + i);
    return key;
}

static struct snapshot *snapshot_of(struct vault *vault)
{
    struct snapshot *snapshot = NULL;
    assert_int_equal(snapshot_begin(&vault->store, &snapshot), STORE_OK);
    return snapshot;
}

static enum kt_kind stage(struct vault *vault, const char *name, unsigned char mark, struct batch *batch)
{
    kt_autosecret struct kt_secret *key = key_of(mark);
    enum kt_kind kind = barrier_seal_put(vault->barrier, snapshot_of(vault), name, key, 1700000005000,
                                         batch, &last, NULL);
    if (kind == KT_OK)
        assert_non_null(seal_record_find(&last, name));
    return kind;
}

static void add(struct vault *vault, const char *name, unsigned char mark)
{
    struct batch *batch = batch_new();
    assert_int_equal(stage(vault, name, mark, batch), KT_OK);
    assert_true(commit(&vault->store, batch));
    barrier_seals_changed(vault->barrier, &last);
}

static enum kt_kind drop(struct vault *vault, const char *name)
{
    struct batch *batch = batch_new();
    enum kt_kind kind = barrier_seal_drop(snapshot_of(vault), name, batch, &last, NULL);
    if (kind == KT_OK)
        assert_true(commit(&vault->store, batch));
    else
        batch_free(batch);
    barrier_seals_changed(vault->barrier, kind == KT_OK ? &last : NULL);
    return kind;
}

/* After a restart: by a seal, by two or three shares. */
static enum kt_kind tried(struct vault *vault, const char *name, unsigned char mark)
{
    bool unsealed = false;
    struct barrier *barrier = NULL;
    struct barrier_status status;
    kt_autosecret struct kt_secret *key = key_of(mark);
    enum kt_kind kind = barrier_new(&vault->store, &barrier, NULL);
    if (kind == KT_OK)
        kind = barrier_seal_try(barrier, name, key, &unsealed, NULL);
    if (barrier == NULL)
        return kind;
    assert_int_equal(unsealed, kind == KT_OK);
    if (unsealed) {
        assert_true(barrier_enter_early(barrier));
        barrier_leave(barrier);
    }
    barrier_admit(barrier);
    barrier_status(barrier, &status);
    assert_string_equal(status.opened_by, unsealed ? name : "");
    assert_int_equal(status.sealed, !unsealed);
    barrier_seal(barrier);
    barrier_status(barrier, &status);
    assert_string_equal(status.opened_by, "");
    barrier_free(barrier);
    return kind;
}

static bool shares_open(struct vault *vault, share_bytes *shares, unsigned n)
{
    bool unsealed = false;
    enum kt_kind kind = KT_OK;
    struct barrier *barrier = NULL;
    assert_int_equal(barrier_new(&vault->store, &barrier, NULL), KT_OK);
    for (unsigned i = 0; i < n && kind == KT_OK; i++)
        kind = barrier_unseal_share(barrier, shares[i], &unsealed, NULL);
    barrier_free(barrier);
    return kind == KT_OK && unsealed;
}

static struct record *stored(struct vault *vault)
{
    struct record *record = find(&vault->store, barrier_seal_key());
    assert_non_null(record);
    return record;
}

/* ---- one seal ---- */

static void beside_the_shares(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    struct seal_shown shown[SEALS_MAX];
    assert_int_equal(stored(vault)->value[0], 1); /* what an older vaultd reads */
    assert_int_equal(barrier_seals(vault->barrier, shown), 0);
    assert_int_equal(tried(vault, "host", 1), KT_NOT_FOUND);
    add(vault, "host", 1);
    assert_int_equal(stored(vault)->value[0], 2);
    assert_int_equal(barrier_seals(vault->barrier, shown), 1);
    assert_string_equal(shown[0].name, "host");
    assert_int_equal(shown[0].made_ms, 1700000005000);
    assert_int_equal(tried(vault, "host", 1), KT_OK);
    assert_int_equal(tried(vault, "host", 2), KT_INVALID);
    assert_int_equal(tried(vault, "other", 1), KT_NOT_FOUND);
    assert_true(shares_open(vault, vault->shares, 3));
    assert_int_equal(drop(vault, "other"), KT_NOT_FOUND);
    assert_int_equal(drop(vault, "host"), KT_OK);
    assert_int_equal(stored(vault)->value[0], 1);
    assert_int_equal(tried(vault, "host", 1), KT_NOT_FOUND);
    assert_true(shares_open(vault, vault->shares, 3));
    expect_record(vault, "first", "hello");
    vault_close(vault);
}

static void what_did_not_come_through(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    struct seal_shown shown[SEALS_MAX];
    struct batch *batch = batch_new();
    assert_int_equal(stage(vault, "host", 1, batch), KT_OK);
    batch->require[0].g++;
    assert_false(commit(&vault->store, batch));
    barrier_seals_changed(vault->barrier, NULL);
    assert_int_equal(barrier_seals(vault->barrier, shown), 0);
    assert_int_equal(tried(vault, "host", 1), KT_NOT_FOUND);
    assert_true(shares_open(vault, vault->shares, 3));
    add(vault, "host", 1);
    batch = batch_new();
    assert_int_equal(barrier_seal_drop(snapshot_of(vault), "host", batch, &last, NULL), KT_OK);
    add(vault, "other", 2); /* somebody was faster */
    assert_false(commit(&vault->store, batch));
    assert_int_equal(tried(vault, "host", 1), KT_OK);
    assert_int_equal(tried(vault, "other", 2), KT_OK);
    assert_true(shares_open(vault, vault->shares, 3));
    vault_close(vault);
}

/* Its credential was changed: the same name is made anew. */
static void made_anew(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    struct seal_shown before[SEALS_MAX], after[SEALS_MAX];
    add(vault, "host", 1);
    (void)barrier_seals(vault->barrier, before);
    add(vault, "host", 7);
    assert_int_equal(barrier_seals(vault->barrier, after), 1);
    assert_string_not_equal(before[0].id, after[0].id);
    assert_int_equal(tried(vault, "host", 1), KT_INVALID);
    assert_int_equal(tried(vault, "host", 7), KT_OK);
    /* Made again with the key that it has it is the same one. */
    (void)barrier_seals(vault->barrier, before);
    add(vault, "host", 7);
    assert_int_equal(barrier_seals(vault->barrier, after), 1);
    assert_string_equal(before[0].id, after[0].id);
    assert_int_equal(before[0].made_ms, after[0].made_ms);
    assert_int_equal(tried(vault, "host", 7), KT_OK);
    vault_close(vault);
}

static void several(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    char name[8];
    for (unsigned i = 0; i < SEALS_MAX; i++) {
        (void)snprintf(name, sizeof name, "s%u", i);
        add(vault, name, (unsigned char)(10 * i));
    }
    struct batch *batch = batch_new();
    assert_int_equal(stage(vault, "s8", 80, batch), KT_INVALID);
    batch_free(batch);
    add(vault, "s3", 33); /* there is room for one that is there */
    assert_int_equal(drop(vault, "s0"), KT_OK);
    assert_int_equal(drop(vault, "s7"), KT_OK);
    for (unsigned i = 0; i < SEALS_MAX; i++) {
        (void)snprintf(name, sizeof name, "s%u", i);
        enum kt_kind kind = tried(vault, name, (unsigned char)(i == 3 ? 33 : 10 * i));
        assert_int_equal(kind, i == 0 || i == 7 ? KT_NOT_FOUND : KT_OK);
    }
    assert_true(shares_open(vault, vault->shares, 3));
    vault_close(vault);
}

/* ---- with a rekey ---- */

static void agree(struct vault *vault, const struct ceremony_plan *plan, char nonce[CEREMONY_NONCE])
{
    struct ceremony_status status;
    bool enough = false;
    assert_int_equal(ceremony_begin(vault->barrier, CEREMONY_REKEY, plan, NULL), KT_OK);
    ceremony_status(vault->barrier, CEREMONY_REKEY, &status);
    memcpy(nonce, status.nonce, CEREMONY_NONCE);
    for (unsigned i = 0; i < 3; i++) {
        struct ceremony_share share = {.nonce = nonce, .from = GATHER_KNOWN};
        memcpy(share.bytes, vault->shares[i], sizeof share.bytes);
        assert_int_equal(ceremony_add(vault->barrier, CEREMONY_REKEY, &share, &enough, NULL), KT_OK);
    }
    assert_true(enough);
}

static void a_rekey_keeps_them(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    share_bytes fresh[SHAMIR_SHARES_MAX];
    char nonce[CEREMONY_NONCE];
    add(vault, "host", 1);
    agree(vault, &plain, nonce);
    struct batch *batch = batch_new();
    assert_int_equal(ceremony_claim_rekey(vault->barrier, nonce, batch, fresh, NULL), KT_OK);
    add(vault, "other", 2); /* in between: the rekey's commit does not take it away */
    assert_false(commit(&vault->store, batch));
    ceremony_done(vault->barrier, CEREMONY_REKEY, nonce, false);
    assert_true(shares_open(vault, vault->shares, 3));
    assert_int_equal(tried(vault, "other", 2), KT_OK);
    batch = batch_new();
    assert_int_equal(ceremony_claim_rekey(vault->barrier, nonce, batch, fresh, NULL), KT_OK);
    assert_true(commit(&vault->store, batch));
    ceremony_done(vault->barrier, CEREMONY_REKEY, nonce, true);
    assert_false(shares_open(vault, vault->shares, 3));
    assert_true(shares_open(vault, fresh, 2));
    assert_int_equal(tried(vault, "host", 1), KT_OK);
    assert_int_equal(tried(vault, "other", 2), KT_OK);
    vault_close(vault);
}

/* The new shares were handed out long before: what came and went since is as it is. */
static void a_verified_rekey_brings_none_back(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    share_bytes fresh[SHAMIR_SHARES_MAX];
    char nonce[CEREMONY_NONCE];
    struct ceremony_status status;
    struct seal_shown shown[SEALS_MAX];
    bool enough = false;
    add(vault, "gone", 1);
    agree(vault, &verified, nonce);
    assert_int_equal(ceremony_hand_out(vault->barrier, nonce, fresh, NULL), KT_OK);
    assert_int_equal(drop(vault, "gone"), KT_OK);
    add(vault, "come", 2);
    ceremony_status(vault->barrier, CEREMONY_REKEY, &status);
    for (unsigned i = 0; i < 2; i++) {
        struct ceremony_share share = {.nonce = status.verify_nonce, .from = GATHER_KNOWN, .verifies = true};
        memcpy(share.bytes, fresh[i], sizeof share.bytes);
        assert_int_equal(ceremony_add(vault->barrier, CEREMONY_REKEY, &share, &enough, NULL), KT_OK);
    }
    assert_true(enough);
    struct batch *batch = batch_new();
    assert_int_equal(ceremony_claim_rekey(vault->barrier, status.verify_nonce, batch, NULL, NULL), KT_OK);
    assert_true(commit(&vault->store, batch));
    ceremony_done(vault->barrier, CEREMONY_REKEY, status.verify_nonce, true);
    assert_true(shares_open(vault, fresh, 2));
    assert_int_equal(tried(vault, "gone", 1), KT_NOT_FOUND);
    assert_int_equal(tried(vault, "come", 2), KT_OK);
    assert_int_equal(barrier_seals(vault->barrier, shown), 1);
    assert_string_equal(shown[0].name, "come");
    vault_close(vault);
}

/* ---- the record ---- */

static void no_byte_may_change(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    add(vault, "host", 1);
    struct record *record = stored(vault);
    size_t shares_len = SEAL_HEAD_BYTES + SEAL_WRAP_BYTES;
    for (size_t i = 0; i < record->value_len; i++) {
        record->value[i] ^= 1;
        bool vault_id = i >= 2 && i < 2 + VAULT_ID_BYTES;
        if (i < 2 || vault_id || i >= shares_len)
            assert_int_not_equal(tried(vault, "host", 1), KT_OK);
        record->value[i] ^= 1;
    }
    assert_int_equal(tried(vault, "host", 1), KT_OK);
    vault_close(vault);
}

static void cut_and_lengthened(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    add(vault, "host", 1);
    struct record *record = stored(vault);
    size_t whole = record->value_len;
    struct seal_record seal;
    for (size_t len = 1; len < whole; len++)
        assert_int_equal(seal_record_read(kt_bytes(record->value, len), &seal, NULL), KT_CORRUPT);
    record->value[whole] = 0;
    assert_int_equal(seal_record_read(kt_bytes(record->value, whole + 1), &seal, NULL), KT_CORRUPT);
    size_t more = whole - SEAL_HEAD_BYTES - SEAL_WRAP_BYTES - 1;
    memcpy(record->value + whole, record->value + whole - more, more); /* the same one twice */
    record->value[SEAL_HEAD_BYTES + SEAL_WRAP_BYTES] = 2;
    assert_int_equal(seal_record_read(kt_bytes(record->value, whole + more), &seal, NULL), KT_CORRUPT);
    record->value[whole + 26] ^= 1; /* another name */
    assert_int_equal(seal_record_read(kt_bytes(record->value, whole + more), &seal, NULL), KT_OK);
    assert_int_equal(seal.n_more, 2);
    vault_close(vault);
}

/* A wrap belongs to its name, and to its vault. */
static void wraps_cannot_be_exchanged(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    unsigned char root[KT_KEY_BYTES];
    kt_autosecret struct kt_secret *key = key_of(1);
    add(vault, "one", 1);
    add(vault, "two", 1);
    struct seal_record seal;
    assert_int_equal(seal_stored(snapshot_of(vault), &seal, NULL, NULL), KT_OK);
    assert_true(seal_more_open(seal.vault_id, &seal.more[0], key->at, root));
    assert_memory_equal(root, vault->barrier->ring->key[RING_ROOT], sizeof root);
    memcpy(seal.more[0].wrap, seal.more[1].wrap, SEAL_WRAP_BYTES);
    assert_false(seal_more_open(seal.vault_id, &seal.more[0], key->at, root));
    seal.vault_id[0] ^= 1;
    assert_false(seal_more_open(seal.vault_id, &seal.more[1], key->at, root));
    vault_close(vault);
}

/* ---- moments ---- */

static void shares_that_were_entered(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    bool unsealed = true;
    kt_autosecret struct kt_secret *right = key_of(1);
    kt_autosecret struct kt_secret *wrong = key_of(2);
    add(vault, "host", 1);
    assert_int_equal(barrier_seal_try(vault->barrier, "host", right, &unsealed, NULL), KT_OK);
    assert_false(unsealed); /* it was unsealed already; the credential is right */
    barrier_leave(vault->barrier);
    barrier_seal(vault->barrier);
    assert_int_equal(give(vault, 0, &unsealed), KT_OK);
    assert_int_equal(barrier_seal_try(vault->barrier, "host", wrong, &unsealed, NULL), KT_INVALID);
    assert_false(unsealed);
    assert_int_equal(progress(vault), 1); /* a credential that fails takes nobody's shares */
    vault->store.broken = true;
    barrier_unseal_reset(vault->barrier);
    assert_int_equal(barrier_seal_try(vault->barrier, "host", right, &unsealed, NULL), KT_CORRUPT);
    vault->store.broken = false;
    assert_int_equal(give(vault, 0, &unsealed), KT_OK);
    assert_int_equal(barrier_seal_try(vault->barrier, "host", right, &unsealed, NULL), KT_OK);
    assert_true(unsealed);
    assert_int_equal(progress(vault), 0);
    assert_int_equal(give(vault, 1, &unsealed), KT_OK);
    assert_false(unsealed);
    barrier_admit(vault->barrier);
    assert_true(barrier_enter(vault->barrier));
    expect_record(vault, "first", "hello");
    vault_close(vault);
}

static void before_there_is_a_vault(void **state)
{
    (void)state;
    struct vault *vault = vault_new();
    bool unsealed = true;
    kt_autosecret struct kt_secret *key = key_of(1);
    struct batch *batch = batch_new();
    assert_int_equal(barrier_seal_try(vault->barrier, "host", key, &unsealed, NULL), KT_NOT_FOUND);
    assert_false(unsealed);
    assert_int_equal(barrier_seal_put(vault->barrier, snapshot_of(vault), "host", key, 1, batch, &last, NULL),
                     KT_SEALED);
    assert_int_equal(barrier_seal_drop(snapshot_of(vault), "host", batch, &last, NULL), KT_NOT_FOUND);
    batch_free(batch);
    vault_free(vault);
}

/* The change is known although the store cannot be read after its commit. */
static void told_without_the_disk(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    struct seal_shown shown[SEALS_MAX];
    struct batch *batch = batch_new();
    assert_int_equal(stage(vault, "host", 1, batch), KT_OK);
    assert_true(commit(&vault->store, batch));
    vault->store.broken = true;
    barrier_seals_changed(vault->barrier, &last);
    vault->store.broken = false;
    assert_int_equal(barrier_seals(vault->barrier, shown), 1);
    vault_close(vault);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(beside_the_shares),
        cmocka_unit_test(what_did_not_come_through),
        cmocka_unit_test(made_anew),
        cmocka_unit_test(several),
        cmocka_unit_test(a_rekey_keeps_them),
        cmocka_unit_test(a_verified_rekey_brings_none_back),
        cmocka_unit_test(no_byte_may_change),
        cmocka_unit_test(cut_and_lengthened),
        cmocka_unit_test(wraps_cannot_be_exchanged),
        cmocka_unit_test(shares_that_were_entered),
        cmocka_unit_test(before_there_is_a_vault),
        cmocka_unit_test(told_without_the_disk),
    };
    if (kt_secret_init(NULL) != KT_OK)
        return 1;
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("seals", tests, NULL, NULL);
}
