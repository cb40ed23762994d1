/* The barrier as a whole: init, unsealing with right and wrong shares, terms, what is damaged, sealing
 * under load, want of memory. What it does with records and names: barrier_records_test. */
#include "tests/unit/barrier_fixture.h"
/* ---- init, unseal, seal ---- */

static void cycles(void **state)
{
    (void)state;
    static const unsigned char orders[][3] = {{0, 1, 2}, {4, 2, 0}, {3, 4, 1}, {2, 3, 4}};
    struct vault *vault = vault_new();
    assert_false(barrier_initialized(vault->barrier));
    assert_true(barrier_sealed(vault->barrier));
    vault_init(vault);
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        assert_false(barrier_enter(vault->barrier));
        assert_false(barrier_enter_early(vault->barrier));
        vault_unseal(vault, orders[i][0], orders[i][1], orders[i][2]);
        expect_record(vault, "first", "hello");
        bool unsealed = true;
        assert_int_equal(give(vault, 0, &unsealed), KT_OK);
        assert_false(unsealed);
        assert_int_equal(progress(vault), 0);
        barrier_leave(vault->barrier);
        barrier_seal(vault->barrier);
        barrier_seal(vault->barrier);
        assert_true(barrier_sealed(vault->barrier));
    }
    vault_free(vault);
}

static void another_process(void **state)
{
    (void)state;
    struct vault *vault = vault_new();
    vault_init(vault);
    barrier_free(vault->barrier);
    assert_int_equal(barrier_new(&vault->store, &vault->barrier, NULL), KT_OK);
    assert_true(barrier_initialized(vault->barrier));
    vault_unseal(vault, 4, 3, 2);
    expect_record(vault, "first", "hello");
    vault_close(vault);
}

static void status_tells(void **state)
{
    (void)state;
    struct vault *vault = vault_new();
    struct barrier_status status;
    barrier_status(vault->barrier, &status);
    assert_false(status.initialized);
    assert_true(status.sealed);
    assert_int_equal(status.threshold + status.shares + status.progress, 0);
    assert_string_equal(status.vault_id, "");
    vault_init(vault);
    barrier_status(vault->barrier, &status);
    assert_true(status.initialized && status.sealed);
    assert_int_equal(status.threshold, 3);
    assert_int_equal(status.shares, 5);
    assert_int_equal(status.initialized_ms, 1700000000000);
    assert_int_equal(status.term, 0);
    assert_int_equal(strlen(status.vault_id), 36);
    bool unsealed = false;
    assert_int_equal(give(vault, 0, &unsealed), KT_OK);
    barrier_status(vault->barrier, &status);
    assert_int_equal(status.progress, 1);
    assert_int_equal(strlen(status.nonce), 36);
    char nonce[KT_UUID_TEXT];
    memcpy(nonce, status.nonce, sizeof nonce);
    assert_int_equal(give(vault, 1, &unsealed), KT_OK);
    barrier_status(vault->barrier, &status);
    assert_string_equal(status.nonce, nonce);
    assert_int_equal(give(vault, 2, &unsealed), KT_OK);
    barrier_status(vault->barrier, &status);
    assert_true(status.sealed);
    barrier_admit(vault->barrier);
    assert_true(barrier_enter(vault->barrier));
    put_record(vault, "x", "y");
    barrier_status(vault->barrier, &status);
    assert_false(status.sealed);
    assert_int_equal(status.progress, 0);
    assert_string_equal(status.nonce, "");
    assert_int_equal(status.term, 1);
    assert_int_equal(status.encryptions, 1);
    assert_int_equal(status.term_installed_ms, 1700000000000);
    vault_close(vault);
}

static void sealed_early(void **state)
{
    (void)state;
    struct vault *vault = vault_new();
    vault_init(vault);
    bool unsealed = false;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(give(vault, i, &unsealed), KT_OK);
    assert_true(unsealed);
    barrier_seal(vault->barrier); /* the log was refused */
    assert_false(barrier_enter_early(vault->barrier));
    barrier_admit(vault->barrier);
    assert_false(barrier_enter(vault->barrier));
    vault_unseal(vault, 0, 1, 2);
    vault_close(vault);
}

/* Closed: nobody gets in, but the keys are still there for the log's last records. */
static void closed_then_sealed(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    barrier_leave(vault->barrier);
    barrier_close(vault->barrier);
    assert_true(barrier_sealed(vault->barrier));
    assert_false(barrier_enter(vault->barrier));
    assert_true(barrier_enter_early(vault->barrier));
    expect_record(vault, "first", "hello");
    barrier_leave(vault->barrier);
    barrier_seal(vault->barrier);
    assert_false(barrier_enter_early(vault->barrier));
    barrier_close(vault->barrier);
    vault_unseal(vault, 0, 1, 2);
    vault_close(vault);
}

static void second_init(void **state)
{
    (void)state;
    struct vault *vault = vault_new();
    struct kt_err err = {0};
    struct batch *batch = batch_new(), *other = batch_new();
    share_bytes shares[5];
    assert_int_equal(barrier_init(vault->barrier, 5, 3, 1, batch, vault->shares, NULL), KT_OK);
    assert_int_equal(barrier_init(vault->barrier, 5, 3, 1, other, shares, &err), KT_CONFLICT);
    bool unsealed = false;
    assert_int_equal(give(vault, 0, &unsealed), KT_BUSY);
    assert_true(commit(&vault->store, batch));
    barrier_init_done(vault->barrier, true);
    assert_int_equal(barrier_init(vault->barrier, 5, 3, 1, other, shares, &err), KT_INVALID);
    assert_string_equal(err.what, "Vault is already initialized");
    batch_free(other);
    vault_unseal(vault, 0, 1, 2);
    vault_close(vault);
}

/* Two processes' worth of barriers on one store: when the second one's batch comes, the vault is there, or what
 * is left of it. It must not apply. lost: a record that is gone by then; empty: none. */
static void init_comes_late(struct kt_bytes lost)
{
    struct vault *vault = vault_new();
    struct barrier *second = NULL;
    share_bytes shares[5];
    assert_int_equal(barrier_new(&vault->store, &second, NULL), KT_OK);
    struct batch *batch = batch_new();
    assert_int_equal(barrier_init(second, 5, 3, 1, batch, shares, NULL), KT_OK);
    vault_init(vault);
    struct record *record = lost.len == 0 ? NULL : find(&vault->store, lost);
    assert_true(lost.len == 0 || record != NULL);
    size_t key_len = record == NULL ? 0 : record->key_len;
    if (record != NULL)
        record->key_len = 0;
    assert_false(commit(&vault->store, batch));
    barrier_init_done(second, false);
    assert_false(barrier_initialized(second));
    barrier_free(second);
    if (record != NULL)
        record->key_len = key_len;
    vault_unseal(vault, 0, 1, 2);
    expect_record(vault, "first", "hello");
    vault_close(vault);
}

static void racing_init(void **state)
{
    (void)state;
    init_comes_late(kt_str(""));
}

/* A vault that lost one of its two first records is damaged, not new: the other stays, for what was lost
 * may be put back. */
static void init_of_a_damaged_vault(void **state)
{
    (void)state;
    init_comes_late(barrier_seal_key());
    init_comes_late(barrier_keyring_key());
}

static void init_not_committed(void **state)
{
    (void)state;
    struct vault *vault = vault_new();
    struct batch *batch = batch_new();
    share_bytes shares[1];
    assert_int_equal(barrier_init(vault->barrier, 1, 1, 1, batch, shares, NULL), KT_OK);
    batch_free(batch);
    barrier_init_done(vault->barrier, false);
    struct kt_err err;
    bool unsealed = false;
    assert_int_equal(barrier_unseal_share(vault->barrier, shares[0], &unsealed, &err), KT_INVALID);
    assert_string_equal(err.what, "Vault is not initialized");
    unsigned char id[16];
    barrier_vault_id(vault->barrier, id);
    assert_true(sodium_is_zero(id, sizeof id));
    vault_init(vault);
    vault_free(vault);
}

static const struct count_row {
    const char *name;
    unsigned shares, threshold;
    const char *what;
} count_rows[] = {
    {"init 0 of 0", 0, 0, "invalid seal configuration: shares must be at least one"},
    {"init 0 of 5", 5, 0, "invalid seal configuration: threshold must be at least one"},
    {"init 5 of 3", 3, 5, "invalid seal configuration: threshold cannot be larger than shares"},
    {"init 1 of 5", 5, 1,
     "invalid seal configuration: threshold must be greater than one for multiple shares"},
    {"init 2 of 256", 256, 2, "invalid seal configuration: shares must be at most 255"},
};

static void bad_counts(void **state)
{
    const struct count_row *row = *state;
    struct vault *vault = vault_new();
    struct batch *batch = batch_new();
    struct kt_err err = {0};
    share_bytes none[1];
    assert_int_equal(
        barrier_init(vault->barrier, row->shares, row->threshold, 1, batch, none, &err),
        KT_INVALID);
    assert_string_equal(err.what, row->what);
    assert_int_equal(batch->n, 0);
    batch_free(batch);
    vault_free(vault);
}

/* ---- wrong shares ---- */

static enum kt_kind third(struct vault *vault, const share_bytes share, struct kt_err *err)
{
    bool unsealed = false;
    assert_int_equal(give(vault, 0, &unsealed), KT_OK);
    assert_int_equal(give(vault, 1, &unsealed), KT_OK);
    assert_int_equal(progress(vault), 2);
    enum kt_kind kind = barrier_unseal_share(vault->barrier, share, &unsealed, err);
    assert_false(unsealed);
    return kind;
}

static void expect_refused(struct vault *vault, enum kt_kind kind, const struct kt_err *err,
                           unsigned attempts)
{
    struct barrier_status status;
    barrier_status(vault->barrier, &status);
    assert_int_equal(kind, KT_INVALID);
    assert_string_equal(err->what, "Unseal failed, invalid key");
    assert_non_null(strstr(err->hint, status.vault_id));
    assert_int_equal(status.progress, 0);
    assert_string_equal(status.nonce, "");
    assert_int_equal(status.failed_attempts, attempts);
    assert_true(status.sealed);
}

static void wrong_share(void **state)
{
    (void)state;
    struct vault *vault = vault_new();
    vault_init(vault);
    struct kt_err err = {0};
    for (unsigned bit = 0; bit < 8 * SHAMIR_SECRET_BYTES; bit += 37) {
        share_bytes wrong;
        memcpy(wrong, vault->shares[2], sizeof wrong);
        wrong[bit / 8] ^= (unsigned char)(1u << (bit % 8));
        enum kt_kind kind = third(vault, wrong, &err);
        expect_refused(vault, kind, &err, bit / 37 + 1);
    }
    vault_unseal(vault, 0, 1, 2);
    struct barrier_status status;
    barrier_status(vault->barrier, &status);
    assert_int_equal(status.failed_attempts, 0);
    vault_close(vault);
}

static void foreign_share(void **state)
{
    (void)state;
    struct vault *vault = vault_new(), *other = vault_new();
    vault_init(vault);
    vault_init(other);
    struct kt_err err = {0};
    enum kt_kind kind = third(vault, other->shares[2], &err);
    expect_refused(vault, kind, &err, 1);
    vault_free(other);
    vault_unseal(vault, 2, 1, 0);
    vault_close(vault);
}

static void same_share_twice(void **state)
{
    (void)state;
    struct vault *vault = vault_new();
    vault_init(vault);
    bool unsealed = true;
    assert_int_equal(give(vault, 3, &unsealed), KT_OK);
    assert_int_equal(give(vault, 3, &unsealed), KT_OK);
    assert_int_equal(progress(vault), 1);
    assert_int_equal(give(vault, 0, &unsealed), KT_OK);
    assert_int_equal(give(vault, 3, &unsealed), KT_OK);
    assert_int_equal(give(vault, 0, &unsealed), KT_OK);
    assert_int_equal(progress(vault), 2);
    assert_false(unsealed);
    assert_int_equal(give(vault, 1, &unsealed), KT_OK);
    assert_true(unsealed);
    vault_free(vault);
}

static void contradiction(void **state)
{
    (void)state;
    struct vault *vault = vault_new(), *other = vault_new();
    vault_init(vault);
    vault_init(other);
    struct kt_err err = {0};
    assert_int_equal(third(vault, other->shares[1], &err), KT_INVALID);
    assert_non_null(strstr(err.what, "contradict"));
    assert_int_equal(progress(vault), 0);
    vault_free(other);
    vault_unseal(vault, 0, 1, 2);
    vault_close(vault);
}

static void number_zero(void **state)
{
    (void)state;
    struct vault *vault = vault_new();
    vault_init(vault);
    struct kt_err err = {0};
    const share_bytes zero = {1};
    assert_int_equal(third(vault, zero, &err), KT_INVALID);
    assert_int_equal(progress(vault), 2); /* no share at all: nothing is lost by it */
    vault_free(vault);
}

static void reset_and_expiry(void **state)
{
    (void)state;
    struct vault *vault = vault_new();
    vault_init(vault);
    bool unsealed = false;
    assert_int_equal(give(vault, 0, &unsealed), KT_OK);
    barrier_unseal_reset(vault->barrier);
    assert_int_equal(progress(vault), 0);
    assert_int_equal(give(vault, 0, &unsealed), KT_OK);
    vault->mono_ms += UNSEAL_ATTEMPT_MS - 1;
    assert_int_equal(progress(vault), 1);
    vault->mono_ms += 1;
    assert_int_equal(progress(vault), 0);
    assert_int_equal(give(vault, 0, &unsealed), KT_OK);
    vault->mono_ms += UNSEAL_ATTEMPT_MS;
    assert_int_equal(give(vault, 1, &unsealed), KT_OK);
    assert_int_equal(progress(vault), 1);
    vault_free(vault);
}

/* ---- terms ---- */

static void rotation(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    struct barrier_status status;
    put_record(vault, "old", "under term 1");
    for (uint32_t term = 2; term <= 20; term++) {
        rotate(vault, term * 1000, false);
        barrier_status(vault->barrier, &status);
        assert_int_equal(status.term, term - 1);
        rotate(vault, term * 1000, true);
        barrier_status(vault->barrier, &status);
        assert_int_equal(status.term, term);
        assert_int_equal(status.term_installed_ms, term * 1000);
        assert_int_equal(status.encryptions, 0);
    }
    put_record(vault, "new", "under term 20");
    expect_record(vault, "old", "under term 1");
    barrier_leave(vault->barrier);
    barrier_seal(vault->barrier);
    vault_unseal(vault, 1, 2, 3);
    expect_record(vault, "first", "hello");
    expect_record(vault, "old", "under term 1");
    expect_record(vault, "new", "under term 20");
    vault_close(vault);
}

static void rotation_in_flight(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    struct batch *batch = batch_new(), *other = batch_new();
    ring_change change = 0, none = 0;
    assert_int_equal(barrier_rotate(vault->barrier, 1, batch, &change, NULL), KT_OK);
    assert_int_equal(barrier_rotate(vault->barrier, 1, other, &none, NULL), KT_CONFLICT);
    batch_free(other);
    put_record(vault, "between", "still term 1");
    assert_true(commit(&vault->store, batch));
    /* Sealed between the commit and its completion: the next unseal has the term. */
    barrier_leave(vault->barrier);
    barrier_seal(vault->barrier);
    barrier_rotate_done(vault->barrier, change, true);
    vault_unseal(vault, 0, 1, 2);
    barrier_rotate_done(vault->barrier, change, true);
    struct barrier_status status;
    barrier_status(vault->barrier, &status);
    assert_int_equal(status.term, 2);
    expect_record(vault, "between", "still term 1");
    vault_close(vault);
}

static void older_keyring(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    struct record *ring = find(&vault->store, barrier_keyring_key());
    struct record kept = *ring;
    rotate(vault, 1, true);
    put_record(vault, "new", "under term 2");
    barrier_leave(vault->barrier);
    barrier_seal(vault->barrier);
    *ring = kept;
    vault_unseal(vault, 0, 1, 2);
    struct kt_err err = {0};
    struct snapshot *snapshot = NULL;
    unsigned char key[BARRIER_NAME_KEY];
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 100);
    assert_int_equal(snapshot_begin(&vault->store, &snapshot), STORE_OK);
    assert_int_equal(
        barrier_get(vault->barrier, snapshot, config_key("new", key), &out, NULL, &err),
        KT_CORRUPT);
    snapshot_end(snapshot);
    assert_non_null(strstr(err.what, "term 2"));
    vault_close(vault);
}

static void full_keyring(void **state)
{
    (void)state;
    const unsigned char id[VAULT_ID_BYTES] = {7};
    unsigned char root[KT_KEY_BYTES], newest[KT_KEY_BYTES];
    struct keyring *ring = NULL, *again = NULL;
    assert_int_equal(keyring_generate(id, 1, &ring, NULL), KT_OK);
    for (unsigned i = 1; i < KEYRING_TERMS_MAX; i++) {
        assert_int_equal(keyring_stage(ring, i, NULL), KT_OK);
        keyring_settle(ring, true);
    }
    assert_int_equal(keyring_stage(ring, 1, NULL), KT_TOO_MANY);
    kt_autobuf struct kt_buf stored;
    kt_buf_init(&stored, STORE_VALUE_MAX);
    assert_int_equal(keyring_store(ring, &stored, NULL), KT_OK);
    memcpy(root, ring->key[RING_ROOT], sizeof root);
    memcpy(newest, keyring_newest(ring)->entry, sizeof newest);
    keyring_free(ring);
    assert_int_equal(keyring_load(id, root, kt_buf_bytes(&stored), &again, NULL), KT_OK);
    assert_int_equal(keyring_newest(again)->number, KEYRING_TERMS_MAX);
    assert_int_equal(again->epoch, KEYRING_TERMS_MAX);
    assert_memory_equal(keyring_entry_key(again, KEYRING_TERMS_MAX), newest, sizeof newest);
    assert_null(keyring_entry_key(again, 0));
    assert_null(keyring_entry_key(again, KEYRING_TERMS_MAX + 1));
    assert_null(keyring_entry_key(again, UINT32_MAX));
    /* Gaps, as destroyed terms leave them. */
    again->terms[3].number = 9;
    again->terms[4].number = 11;
    atomic_store(&again->count, 5);
    for (uint32_t term = 0; term <= 12; term++)
        assert_int_equal(keyring_entry_key(again, term) != NULL,
                         (term >= 1 && term <= 3) || term == 9 || term == 11);
    keyring_free(again);
}

/* ---- what is damaged, or of the future ---- */

static void newer_keyring(void **state)
{
    (void)state;
    struct vault *vault = vault_new();
    vault_init(vault);
    find(&vault->store, barrier_keyring_key())->value[0] = 9;
    struct kt_err err = {0};
    assert_int_equal(third(vault, vault->shares[2], &err), KT_CORRUPT);
    assert_string_equal(err.what,
                        "the keyring: format 9 is newer than this vaultd (1): install the "
                        "newer version");
    assert_true(barrier_sealed(vault->barrier));
    vault_free(vault);
}

static void newer_seal(void **state)
{
    (void)state;
    struct vault *vault = vault_new();
    vault_init(vault);
    find(&vault->store, barrier_seal_key())->value[0] = 9;
    struct kt_err err = {0};
    struct barrier *second = NULL;
    assert_int_equal(barrier_new(&vault->store, &second, &err), KT_CORRUPT);
    assert_string_equal(err.what,
                        "the seal record: format 9 is newer than this vaultd (2): install "
                        "the newer version");
    vault_free(vault);
}

/* Every changed bit of the two records that unseal reads is noticed, or leaves all as it was. */
static void flips_at_rest(void **state)
{
    (void)state;
    struct vault *vault = vault_new();
    vault_init(vault);
    const struct kt_bytes keys[] = {barrier_seal_key(), barrier_keyring_key()};
    for (size_t k = 0; k < 2; k++) {
        struct record *record = find(&vault->store, keys[k]);
        for (size_t i = 0; i < record->value_len; i++) {
            unsigned char was = record->value[i];
            record->value[i] ^= 0x04;
            enum kt_kind kind = KT_OK;
            bool unsealed = false;
            barrier_unseal_reset(vault->barrier);
            for (unsigned share = 0; share < 5 && kind == KT_OK && !unsealed; share++)
                kind = give(vault, share, &unsealed);
            /* threshold 3 ^ 4 = 7 of 5 is damage, 5 ^ 4 = 1 share too */
            assert_true(kind == KT_INVALID || kind == KT_CORRUPT);
            assert_true(barrier_sealed(vault->barrier));
            record->value[i] = was;
        }
    }
    barrier_unseal_reset(vault->barrier);
    vault_unseal(vault, 0, 1, 2);
    vault_close(vault);
}

static void store_broken(void **state)
{
    (void)state;
    struct vault *vault = vault_new();
    vault_init(vault);
    vault->store.broken = true;
    bool unsealed = false;
    struct kt_err err = {0};
    assert_int_equal(barrier_unseal_share(vault->barrier, vault->shares[0], &unsealed, &err),
                     KT_CORRUPT);
    assert_string_equal(err.what, "reading the seal record: the store is broken");
    vault->store.broken = false;
    vault_unseal(vault, 0, 1, 2);
    vault_close(vault);
}

/* ---- the gate ---- */

static void *reader(void *arg)
{
    struct vault *vault = arg;
    uint64_t opened = 0;
    while (barrier_enter(vault->barrier)) {
        kt_autobuf struct kt_buf sealed, out;
        kt_buf_init(&sealed, 1000);
        kt_buf_init(&out, 1000);
        if (barrier_seal_entry(vault->barrier, kt_str("vkey"), kt_str("value"), &sealed, NULL) ==
                KT_OK &&
            barrier_open_entry(vault->barrier, kt_str("vkey"), kt_buf_bytes(&sealed), &out, NULL) ==
                KT_OK)
            opened++;
        barrier_leave(vault->barrier);
    }
    return (void *)(uintptr_t)opened;
}

/* Readers on four threads, terms rotated beneath them, then sealed: nobody reads a wiped key. */
static void seal_under_load(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, reader, vault), 0);
    for (int i = 0; i < 20; i++)
        rotate(vault, i, true);
    struct barrier_status status;
    do
        barrier_status(vault->barrier, &status);
    while (status.encryptions < 200);
    barrier_leave(vault->barrier);
    barrier_close(vault->barrier);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    barrier_admit(vault->barrier);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, reader, vault), 0);
    do
        barrier_status(vault->barrier, &status);
    while (status.encryptions < 400);
    barrier_seal(vault->barrier);
    assert_null(vault->barrier->ring);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    vault_free(vault);
}

/* ---- out of memory ---- */

#ifdef KT_FAULT
/* Each allocation of a whole life fails once; what was told to fail can be done again. */
static void allocations_fail(void **state)
{
    (void)state;
    bool untouched = false;
    for (unsigned long nth = 1; !untouched; nth++) {
        struct vault *vault = calloc(1, sizeof *vault);
        assert_non_null(vault);
        struct kt_err err = {0};
        struct batch *batch = batch_new();
        enum kt_kind kinds[8] = {KT_OK};
        unsigned step = 0;
        bool unsealed = false;
        kt_autobuf struct kt_buf out;
        kt_buf_init(&out, 1000);

        (void)kt_fail_allocation(nth);
        while ((kinds[step] = barrier_new(&vault->store, &vault->barrier, &err)) != KT_OK)
            assert_int_equal(kinds[step], KT_NO_MEMORY);
        enum kt_kind kind = KT_OK;
        while ((kind = barrier_init(vault->barrier, 5, 3, 1, batch, vault->shares, &err)) !=
               KT_OK) {
            assert_int_equal(kind, KT_NO_MEMORY);
            batch->n = batch->required = 0;
        }
        assert_true(commit(&vault->store, batch));
        barrier_init_done(vault->barrier, true);
        for (unsigned share = 0; !unsealed; share = (share + 1) % 5) {
            kind = barrier_unseal_share(vault->barrier, vault->shares[share], &unsealed, &err);
            assert_true(kind == KT_OK || kind == KT_NO_MEMORY);
        }
        barrier_admit(vault->barrier);
        assert_true(barrier_enter(vault->barrier));
        unsigned long made = kt_fail_allocation(0);
        batch = batch_new();
        (void)kt_fail_allocation(nth > made ? nth - made : 0);
        ring_change change = 0;
        while ((kind = barrier_rotate(vault->barrier, 1, batch, &change, &err)) != KT_OK)
            assert_int_equal(kind, KT_NO_MEMORY);
        barrier_rotate_done(vault->barrier, change, true);
        batch->n = batch->required = 0;
        while ((kind = barrier_put(vault->barrier, batch, kt_str("vkey"), kt_str("v"), &err)) !=
               KT_OK)
            assert_int_equal(kind, KT_NO_MEMORY);
        struct kt_bytes sealed = kt_bytes(batch->put[0].value, batch->put[0].value_len);
        while ((kind = barrier_open_entry(vault->barrier, kt_str("vkey"), sealed, &out, &err)) !=
               KT_OK) {
            assert_int_equal(kind, KT_NO_MEMORY);
            kt_buf_reset(&out);
        }
        assert_string_equal(kt_buf_text(&out), "v");
        untouched = nth > made + kt_fail_allocation(0);
        batch_free(batch);
        vault_close(vault);
    }
}
#endif

int main(void)
{
    static struct CMUnitTest tests[64] = {
        cmocka_unit_test(cycles),
        cmocka_unit_test(another_process),
        cmocka_unit_test(status_tells),
        cmocka_unit_test(sealed_early),
        cmocka_unit_test(closed_then_sealed),
        cmocka_unit_test(second_init),
        cmocka_unit_test(racing_init),
        cmocka_unit_test(init_of_a_damaged_vault),
        cmocka_unit_test(init_not_committed),
        cmocka_unit_test(wrong_share),
        cmocka_unit_test(foreign_share),
        cmocka_unit_test(same_share_twice),
        cmocka_unit_test(contradiction),
        cmocka_unit_test(number_zero),
        cmocka_unit_test(reset_and_expiry),
        cmocka_unit_test(rotation),
        cmocka_unit_test(rotation_in_flight),
        cmocka_unit_test(older_keyring),
        cmocka_unit_test(full_keyring),
        cmocka_unit_test(newer_keyring),
        cmocka_unit_test(newer_seal),
        cmocka_unit_test(flips_at_rest),
        cmocka_unit_test(store_broken),
        cmocka_unit_test(seal_under_load),
#ifdef KT_FAULT
        cmocka_unit_test(allocations_fail),
#endif
    };
    size_t n = 0;
    while (tests[n].name != NULL)
        n++;
    for (size_t i = 0; i < sizeof count_rows / sizeof count_rows[0]; i++)
        tests[n++] = (struct CMUnitTest){.name = count_rows[i].name,
                                         .test_func = bad_counts,
                                         .initial_state = (void *)(uintptr_t)&count_rows[i]};
    if (kt_secret_init(NULL) != KT_OK)
        return 1;
    return _cmocka_run_group_tests("barrier", tests, n, NULL, NULL);
}
