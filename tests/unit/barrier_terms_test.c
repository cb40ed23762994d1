/* Terms of the keyring that end: taken out in one commit, their keys wiped, nothing else touched. */
#include "tests/unit/barrier_fixture.h"

#include "lib/secret.h"

static bool drop(struct vault *vault, uint32_t below, bool committed)
{
    struct batch *batch = batch_new();
    struct kt_err err = {0};
    ring_change change = 0;
    enum kt_kind kind = barrier_drop_terms(vault->barrier, below, batch, &change, &err);
    if (kind == KT_NOT_FOUND) {
        batch_free(batch);
        return false;
    }
    assert_int_equal(kind, KT_OK);
    if (committed)
        assert_true(commit(&vault->store, batch));
    else
        batch_free(batch);
    barrier_drop_done(vault->barrier, change, committed);
    return true;
}

static void expect_terms(struct vault *vault, uint32_t oldest, uint32_t newest)
{
    struct barrier_status status;
    barrier_status(vault->barrier, &status);
    assert_int_equal(status.oldest_term, oldest);
    assert_int_equal(status.term, newest);
}

static enum kt_kind read_kind(struct vault *vault, const char *name)
{
    struct snapshot *snapshot = NULL;
    unsigned char key[BARRIER_NAME_KEY];
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 4096);
    assert_int_equal(snapshot_begin(&vault->store, &snapshot), STORE_OK);
    enum kt_kind kind =
        barrier_get(vault->barrier, snapshot, config_key(name, key), &out, NULL, NULL);
    snapshot_end(snapshot);
    return kind;
}

static void reseal(struct vault *vault)
{
    barrier_leave(vault->barrier);
    barrier_seal(vault->barrier);
    vault_unseal(vault, 0, 1, 2);
}

static void they_end(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    assert_false(drop(vault, 1, true));
    assert_false(drop(vault, 100, true)); /* the newest stays, whatever is asked */
    for (uint32_t term = 2; term <= 5; term++) {
        char name[8];
        rotate(vault, term, true);
        (void)snprintf(name, sizeof name, "t%u", term);
        put_record(vault, name, name);
    }
    expect_terms(vault, 1, 5);
    assert_true(drop(vault, 4, false));
    expect_terms(vault, 1, 5);
    expect_record(vault, "t2", "t2");
    assert_true(drop(vault, 4, true));
    assert_false(drop(vault, 4, true));
    for (unsigned again = 0; again < 2; again++) {
        expect_terms(vault, 4, 5);
        assert_int_equal(read_kind(vault, "t2"), KT_CORRUPT);
        assert_int_equal(read_kind(vault, "t3"), KT_CORRUPT);
        expect_record(vault, "t4", "t4");
        expect_record(vault, "t5", "t5");
        reseal(vault);
    }
    rotate(vault, 6, true);
    put_record(vault, "t6", "t6");
    expect_terms(vault, 4, 6);
    assert_true(drop(vault, 6, true));
    expect_terms(vault, 6, 6);
    expect_record(vault, "t6", "t6");
    assert_int_equal(read_kind(vault, "t5"), KT_CORRUPT);
    vault_close(vault);
}

/* What is stored holds the keys that stay and no other. */
static void they_are_not_stored(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    size_t one = find(&vault->store, barrier_keyring_key())->value_len;
    for (uint32_t term = 2; term <= 5; term++)
        rotate(vault, term, true);
    assert_true(find(&vault->store, barrier_keyring_key())->value_len > one);
    assert_true(drop(vault, 5, true));
    assert_int_equal(find(&vault->store, barrier_keyring_key())->value_len, one);
    vault_close(vault);
}

static void their_keys_are_wiped(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    const unsigned char *master = vault->barrier->ring->terms[0].master;
    const unsigned char *entry = vault->barrier->ring->terms[0].entry;
    assert_false(sodium_is_zero(master, KT_KEY_BYTES) || sodium_is_zero(entry, KT_KEY_BYTES));
    rotate(vault, 2, true);
    assert_true(drop(vault, 2, true));
    assert_true(sodium_is_zero(master, KT_KEY_BYTES) && sodium_is_zero(entry, KT_KEY_BYTES));
    vault_close(vault);
}

/* One change of the ring at a time; what was committed counts, whoever was sealed meanwhile. */
static void in_flight(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    rotate(vault, 2, true);
    struct batch *batch = batch_new(), *other = batch_new();
    ring_change first = 0, second = 0;
    assert_int_equal(barrier_drop_terms(vault->barrier, 2, batch, &first, NULL), KT_OK);
    assert_int_equal(barrier_drop_terms(vault->barrier, 2, other, &second, NULL), KT_CONFLICT);
    assert_int_equal(barrier_rotate(vault->barrier, 3, other, &second, NULL), KT_CONFLICT);
    assert_true(commit(&vault->store, batch));
    reseal(vault);
    barrier_drop_done(vault->barrier, first, true); /* of the ring before: touches nothing of this one */
    expect_terms(vault, 2, 2);
    put_record(vault, "still", "here");
    expect_record(vault, "still", "here");
    assert_int_equal(barrier_rotate(vault->barrier, 3, other, &second, NULL), KT_OK);
    assert_int_equal(barrier_drop_terms(vault->barrier, 3, other, &first, NULL), KT_CONFLICT);
    barrier_rotate_done(vault->barrier, second, false);
    batch_free(other);
    barrier_leave(vault->barrier);
    barrier_seal(vault->barrier);
    batch = batch_new();
    assert_int_equal(barrier_drop_terms(vault->barrier, 2, batch, &first, NULL), KT_SEALED);
    batch_free(batch);
    vault_free(vault);
}

/* What is said of a change that a seal overtook is not said of the one that waits by now. */
static void a_late_word(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    struct batch *batches[] = {batch_new(), batch_new(), batch_new()};
    ring_change changes[3];
    assert_int_equal(barrier_rotate(vault->barrier, 2, batches[0], &changes[0], NULL), KT_OK);
    assert_true(commit(&vault->store, batches[0]));
    reseal(vault);
    assert_int_equal(barrier_rotate(vault->barrier, 3, batches[1], &changes[1], NULL), KT_OK);
    barrier_rotate_done(vault->barrier, changes[0], true);
    expect_terms(vault, 1, 2);
    put_record(vault, "kept", "under a term that is stored");
    batches[1]->require[0].g++;
    assert_false(commit(&vault->store, batches[1]));
    barrier_rotate_done(vault->barrier, changes[1], false);
    reseal(vault);
    expect_record(vault, "kept", "under a term that is stored");
    /* Nor that it failed. */
    assert_int_equal(barrier_drop_terms(vault->barrier, 2, batches[2], &changes[2], NULL), KT_OK);
    barrier_rotate_done(vault->barrier, changes[1], false);
    barrier_drop_done(vault->barrier, changes[1], true);
    expect_terms(vault, 1, 2);
    assert_true(commit(&vault->store, batches[2]));
    barrier_drop_done(vault->barrier, changes[2], true);
    expect_terms(vault, 2, 2);
    vault_close(vault);
}

int main(void)
{
    if (kt_secret_init(NULL) != KT_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_end),
        cmocka_unit_test(they_are_not_stored),
        cmocka_unit_test(their_keys_are_wiped),
        cmocka_unit_test(in_flight),
        cmocka_unit_test(a_late_word),
    };
    return cmocka_run_group_tests_name("barrier, terms", tests, NULL, NULL);
}
