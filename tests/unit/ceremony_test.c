/* What the holders of key shares do together: shares that come in any order, from people who are known and
 * from strangers, right and wrong; what ends it, and what is left of it then. */
#include "tests/unit/barrier_fixture.h"

#include "tests/support/rows.h"
#include "vaultd/barrier/ceremony.h"

static const struct ceremony_plan plain = {.shares = 4, .threshold = 2};
static const struct ceremony_plan verified = {.shares = 4, .threshold = 2, .verify = true};

static struct ceremony_status status_of(struct vault *vault, enum ceremony_kind which)
{
    struct ceremony_status status;
    ceremony_status(vault->barrier, which, &status);
    return status;
}

static void begin(struct vault *vault, enum ceremony_kind which, const struct ceremony_plan *plan)
{
    struct ceremony_plan padded = *plan;
    if (which == CEREMONY_ROOT)
        padded.pad = kt_str("0123456789");
    assert_int_equal(ceremony_begin(vault->barrier, which, &padded, NULL), KT_OK);
}

static enum kt_kind give_bytes(struct vault *vault, enum ceremony_kind which,
                               const unsigned char *bytes, enum gather_from from, bool verifies, bool *ret_enough,
                               struct kt_err *err)
{
    struct ceremony_status status = status_of(vault, which);
    struct ceremony_share share = {.nonce = verifies ? status.verify_nonce : status.nonce,
                                   .from = from,
                                   .verifies = verifies};
    memcpy(share.bytes, bytes, sizeof share.bytes);
    return ceremony_add(vault->barrier, which, &share, ret_enough, err);
}

static bool add_old(struct vault *vault, enum ceremony_kind which, unsigned i, enum gather_from from)
{
    bool enough = false;
    assert_int_equal(give_bytes(vault, which, vault->shares[i], from, false, &enough, NULL), KT_OK);
    return enough;
}

static void agree(struct vault *vault, enum ceremony_kind which)
{
    assert_false(add_old(vault, which, 4, GATHER_KNOWN));
    assert_false(add_old(vault, which, 1, GATHER_KNOWN));
    assert_int_equal(status_of(vault, which).progress, 2);
    assert_true(add_old(vault, which, 2, GATHER_KNOWN));
}

static enum kt_kind claim(struct vault *vault, struct batch *batch, share_bytes *shares)
{
    struct ceremony_status status = status_of(vault, CEREMONY_REKEY);
    return ceremony_claim_rekey(vault->barrier, status.verifying ? status.verify_nonce : status.nonce,
                                batch, shares, NULL);
}

static void finish(struct vault *vault, bool works, share_bytes *shares)
{
    struct ceremony_status status = status_of(vault, CEREMONY_REKEY);
    struct batch *batch = batch_new();
    assert_int_equal(claim(vault, batch, shares), KT_OK);
    if (!works)
        batch->require[0].g++;
    bool committed = commit(&vault->store, batch);
    assert_int_equal(committed, works);
    ceremony_done(vault->barrier, CEREMONY_REKEY,
                  status.verifying ? status.verify_nonce : status.nonce, committed);
}

/* Whether a set of two, or of three, opens the vault after a restart. */
static bool opens(struct vault *vault, share_bytes *shares, unsigned n)
{
    bool unsealed = false;
    enum kt_kind kind = KT_OK;
    struct barrier *barrier = NULL;
    assert_int_equal(barrier_new(&vault->store, &barrier, NULL), KT_OK);
    for (unsigned i = 0; i < n && kind == KT_OK && !unsealed; i++)
        kind = barrier_unseal_share(barrier, shares[i], &unsealed, NULL);
    barrier_free(barrier);
    return kind == KT_OK && unsealed;
}

static char *set_id(struct vault *vault, char out[37])
{
    struct barrier_status status;
    barrier_status(vault->barrier, &status);
    memcpy(out, status.seal_id, 37);
    return out;
}

/* ---- rekey ---- */

static void one_set_at_each_moment(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    share_bytes fresh[SHAMIR_SHARES_MAX];
    char before[37], after[37];
    begin(vault, CEREMONY_REKEY, &plain);
    agree(vault, CEREMONY_REKEY);
    finish(vault, false, fresh); /* its commit did not come through */
    assert_true(opens(vault, vault->shares, 3));
    assert_false(opens(vault, fresh, 2));
    (void)set_id(vault, before);
    finish(vault, true, fresh); /* the same agreement, another try */
    assert_false(opens(vault, vault->shares, 3));
    assert_true(opens(vault, fresh, 2));
    assert_true(opens(vault, fresh + 2, 2));
    assert_string_not_equal(set_id(vault, after), before);
    struct barrier_status status;
    barrier_status(vault->barrier, &status);
    assert_int_equal(status.threshold, 2);
    assert_int_equal(status.shares, 4);
    expect_record(vault, "first", "hello");
    assert_false(status_of(vault, CEREMONY_REKEY).started);
    assert_int_equal(status_of(vault, CEREMONY_REKEY).required, 2);
    vault_close(vault);
}

static void verified_by_their_return(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    share_bytes fresh[SHAMIR_SHARES_MAX];
    bool enough = false;
    begin(vault, CEREMONY_REKEY, &verified);
    char nonce[CEREMONY_NONCE];
    memcpy(nonce, status_of(vault, CEREMONY_REKEY).nonce, sizeof nonce);
    assert_int_equal(ceremony_hand_out(vault->barrier, nonce, fresh, NULL), KT_CONFLICT);
    agree(vault, CEREMONY_REKEY);
    assert_int_equal(ceremony_hand_out(vault->barrier, nonce, fresh, NULL), KT_OK);
    assert_int_equal(ceremony_hand_out(vault->barrier, nonce, fresh, NULL), KT_CONFLICT); /* once */
    struct ceremony_status status = status_of(vault, CEREMONY_REKEY);
    assert_true(status.verifying);
    assert_string_not_equal(status.verify_nonce, nonce);
    assert_int_equal(status.progress + status.verify_progress, 0);
    assert_true(opens(vault, vault->shares, 3));
    assert_false(opens(vault, fresh, 2));
    /* The old ones are not what is to be shown. */
    assert_int_equal(give_bytes(vault, CEREMONY_REKEY, vault->shares[0], GATHER_KNOWN, true, &enough, NULL), KT_OK);
    assert_int_equal(give_bytes(vault, CEREMONY_REKEY, vault->shares[1], GATHER_KNOWN, true, &enough, NULL),
                     KT_INVALID);
    assert_int_equal(status_of(vault, CEREMONY_REKEY).verify_progress, 0);
    struct batch *batch = batch_new();
    assert_int_equal(claim(vault, batch, fresh), KT_CONFLICT);
    batch_free(batch);
    assert_int_equal(give_bytes(vault, CEREMONY_REKEY, fresh[3], GATHER_KNOWN, true, &enough, NULL), KT_OK);
    assert_false(enough);
    assert_int_equal(ceremony_verify_again(vault->barrier, NULL, NULL), KT_OK);
    assert_string_not_equal(status_of(vault, CEREMONY_REKEY).verify_nonce, status.verify_nonce);
    assert_int_equal(status_of(vault, CEREMONY_REKEY).verify_progress, 0);
    assert_int_equal(give_bytes(vault, CEREMONY_REKEY, fresh[3], GATHER_KNOWN, true, &enough, NULL), KT_OK);
    assert_int_equal(give_bytes(vault, CEREMONY_REKEY, fresh[0], GATHER_KNOWN, true, &enough, NULL), KT_OK);
    assert_true(enough);
    assert_true(opens(vault, vault->shares, 3));
    finish(vault, true, NULL);
    assert_false(opens(vault, vault->shares, 3));
    assert_true(opens(vault, fresh, 2));
    vault_close(vault);
}

/* ---- who may go on ---- */

static void only_who_shows_a_share(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    bool enough = false;
    unsigned char junk[SHAMIR_SHARE_BYTES] = {1};
    begin(vault, CEREMONY_REKEY, &plain);
    agree(vault, CEREMONY_REKEY);
    for (unsigned number = 1; number <= 5; number++) {
        junk[SHAMIR_SHARE_BYTES - 1] = (unsigned char)number;
        assert_int_equal(give_bytes(vault, CEREMONY_REKEY, junk, GATHER_KNOWN, false, &enough, NULL), KT_INVALID);
        assert_false(enough);
    }
    /* A right one that did not take part shows nothing. */
    assert_int_equal(give_bytes(vault, CEREMONY_REKEY, vault->shares[0], GATHER_KNOWN, false, &enough, NULL),
                     KT_INVALID);
    assert_int_equal(give_bytes(vault, CEREMONY_REKEY, vault->shares[4], GATHER_STRANGER, false, &enough, NULL),
                     KT_OK);
    assert_true(enough);
    /* And while somebody commits it, nobody. */
    share_bytes fresh[SHAMIR_SHARES_MAX];
    struct batch *batch = batch_new(), *second = batch_new();
    assert_int_equal(claim(vault, batch, fresh), KT_OK);
    assert_int_equal(claim(vault, second, fresh), KT_CONFLICT);
    assert_int_equal(give_bytes(vault, CEREMONY_REKEY, vault->shares[4], GATHER_KNOWN, false, &enough, NULL),
                     KT_INVALID);
    vault->mono_ms += CEREMONY_MS;
    ceremonies_expire(vault->barrier); /* what is about to be committed is left to it */
    assert_int_equal(ceremony_cancel(vault->barrier, CEREMONY_REKEY, NULL, NULL), KT_CONFLICT);
    batch_free(batch);
    batch_free(second);
    vault_close(vault);
}

static void the_pad_is_for_its_end(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    unsigned char pad[10] = {0};
    begin(vault, CEREMONY_ROOT, &plain);
    char nonce[CEREMONY_NONCE];
    memcpy(nonce, status_of(vault, CEREMONY_ROOT).nonce, sizeof nonce);
    assert_int_equal(ceremony_claim_root(vault->barrier, nonce, pad, sizeof pad, NULL), KT_CONFLICT);
    agree(vault, CEREMONY_ROOT);
    assert_int_equal(ceremony_claim_root(vault->barrier, "another", pad, sizeof pad, NULL), KT_CONFLICT);
    assert_int_equal(ceremony_claim_root(vault->barrier, nonce, pad, sizeof pad, NULL), KT_OK);
    assert_memory_equal(pad, "0123456789", sizeof pad);
    ceremony_done(vault->barrier, CEREMONY_ROOT, nonce, false);
    assert_int_equal(ceremony_claim_root(vault->barrier, nonce, pad, sizeof pad, NULL), KT_OK);
    ceremony_done(vault->barrier, CEREMONY_ROOT, nonce, true);
    assert_false(status_of(vault, CEREMONY_ROOT).started);
    assert_int_equal(ceremony_claim_root(vault->barrier, nonce, pad, sizeof pad, NULL), KT_CONFLICT);
    vault_close(vault);
}

/* ---- wrong shares, a row a case ---- */

#define S GATHER_STRANGER
#define K GATHER_KNOWN
#define T GATHER_TRUSTED
/* What is given: a share's number from 1; from 101 on, junk of that number less 100. */
struct story {
    const char *name;
    struct {
        unsigned what;
        enum gather_from who;
        enum { TAKEN, AGAIN, WRONG, ENOUGH } says;
        unsigned left; /* progress after it */
    } step[10];
};
static const struct story stories[] = {
    {"any three", {{1, S, TAKEN, 1}, {5, K, TAKEN, 2}, {3, S, ENOUGH, 3}}},
    {"the same twice", {{1, K, TAKEN, 1}, {1, K, AGAIN, 1}, {1, S, AGAIN, 1}}},
    {"a stranger's false one goes alone",
     {{101, S, TAKEN, 1}, {2, K, TAKEN, 2}, {3, K, WRONG, 2}, {4, K, ENOUGH, 3}}},
    {"strangers cannot stop whom we know",
     {{2, K, TAKEN, 1}, {104, S, TAKEN, 2}, {103, S, WRONG, 1}, {3, K, TAKEN, 2}, {104, S, WRONG, 2},
      {4, K, ENOUGH, 3}}},
    {"nor take their place",
     {{2, K, TAKEN, 1}, {102, S, WRONG, 1}, {3, K, TAKEN, 2}, {103, S, WRONG, 2}, {1, K, ENOUGH, 3}}},
    {"nor does their false one take other strangers' with it",
     {{1, K, TAKEN, 1}, {2, S, TAKEN, 2}, {101, S, WRONG, 2}, {3, S, ENOUGH, 3}}},
    {"who is known takes a stranger's",
     {{101, S, TAKEN, 1}, {1, K, TAKEN, 1}, {2, K, TAKEN, 2}, {3, K, ENOUGH, 3}}},
    {"two strangers that contradict both go",
     {{101, S, TAKEN, 1}, {102, S, TAKEN, 2}, {1, S, WRONG, 0}, {1, S, TAKEN, 1}, {2, S, TAKEN, 2},
      {3, S, ENOUGH, 3}}},
    {"so do two that are known",
     {{101, K, TAKEN, 1}, {2, S, TAKEN, 2}, {1, K, WRONG, 1}, {1, K, TAKEN, 2}, {3, K, ENOUGH, 3}}},
    {"known ones that are false all go",
     {{101, K, TAKEN, 1}, {2, K, TAKEN, 2}, {3, K, WRONG, 0}, {1, K, TAKEN, 1}, {2, K, TAKEN, 2},
      {3, K, ENOUGH, 3}}},
    {"who has any token cannot stop who may begin",
     {{2, T, TAKEN, 1}, {104, K, TAKEN, 2}, {103, K, WRONG, 1}, {102, K, WRONG, 1}, {3, T, TAKEN, 2},
      {104, K, WRONG, 2}, {4, T, ENOUGH, 3}}},
    {"of three kinds the strangers' go first, then the tokens'",
     {{101, S, TAKEN, 1}, {102, K, TAKEN, 2}, {3, T, WRONG, 2}, {4, T, WRONG, 2}, {5, T, ENOUGH, 3}}},
    {"a stranger's that is known later",
     {{1, S, TAKEN, 1}, {1, K, AGAIN, 1}, {101, S, WRONG, 1}, {2, K, TAKEN, 2}, {3, K, ENOUGH, 3}}},
};

static void play(struct vault *vault, const struct story *story, enum ceremony_kind which, size_t i)
{
    bool enough = false;
    struct kt_err err = {0};
    unsigned char bytes[SHAMIR_SHARE_BYTES] = {7, 7, 7};
    unsigned what = story->step[i].what;
    if (what > 100)
        bytes[SHAMIR_SHARE_BYTES - 1] = (unsigned char)(what - 100);
    else
        memcpy(bytes, vault->shares[what - 1], sizeof bytes);
    enum kt_kind kind =
        give_bytes(vault, which, bytes, story->step[i].who, false, &enough, &err);
    bool again = kind == KT_INVALID && strstr(err.what, "already been provided") != NULL;
    unsigned says = kind == KT_OK ? (enough ? ENOUGH : TAKEN) : again ? AGAIN : WRONG;
    unsigned left = status_of(vault, which).progress;
    if (says != story->step[i].says || left != story->step[i].left)
        fail_msg("%s, step %zu: said %u (%s), %u left", story->name, i + 1, says, err.what, left);
    if (says == WRONG)
        assert_non_null(strstr(err.what, which == CEREMONY_REKEY ? "rekey verification failed"
                                                                 : "root generation aborted"));
}

static void a_story(void **state)
{
    const struct story *story = *state;
    for (enum ceremony_kind which = 0; which < CEREMONY_KINDS; which++) {
        struct vault *vault = vault_open();
        begin(vault, which, &plain);
        for (size_t i = 0; i < 10 && story->step[i].what != 0; i++)
            play(vault, story, which, i);
        vault_close(vault);
    }
}

/* ---- what ends it ---- */

static bool all_zero(const struct kt_secret *secret)
{
    return sodium_is_zero(secret->at, secret->len) == 1;
}

static void time_takes_the_shares(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    const struct ceremony *c = &vault->barrier->ceremonies[CEREMONY_REKEY];
    begin(vault, CEREMONY_REKEY, &plain);
    (void)add_old(vault, CEREMONY_REKEY, 0, GATHER_KNOWN);
    vault->mono_ms += CEREMONY_SHARES_MS - 1;
    (void)add_old(vault, CEREMONY_REKEY, 1, GATHER_KNOWN); /* the newest counts */
    vault->mono_ms += CEREMONY_SHARES_MS - 1;
    ceremonies_expire(vault->barrier);
    assert_false(all_zero(c->gather.shares));
    vault->mono_ms++;
    ceremonies_expire(vault->barrier);
    assert_true(all_zero(c->gather.shares));
    assert_int_equal(status_of(vault, CEREMONY_REKEY).progress, 0);
    assert_true(status_of(vault, CEREMONY_REKEY).started);
    agree(vault, CEREMONY_REKEY);
    vault->mono_ms += CEREMONY_SHARES_MS; /* nobody went on */
    struct batch *batch = batch_new();
    assert_int_equal(claim(vault, batch, NULL), KT_CONFLICT);
    batch_free(batch);
    vault->mono_ms += CEREMONY_MS;
    ceremonies_expire(vault->barrier);
    assert_null(c->gather.shares);
    assert_false(status_of(vault, CEREMONY_REKEY).started);
    vault_close(vault);
}

static void new_ones_come_back_in_time(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    share_bytes fresh[SHAMIR_SHARES_MAX];
    bool enough = false;
    begin(vault, CEREMONY_REKEY, &verified);
    agree(vault, CEREMONY_REKEY);
    assert_int_equal(
        ceremony_hand_out(vault->barrier, status_of(vault, CEREMONY_REKEY).nonce, fresh, NULL), KT_OK);
    vault->mono_ms += CEREMONY_MS - CEREMONY_SHARES_MS - 1; /* they are written down and carried away */
    assert_int_equal(give_bytes(vault, CEREMONY_REKEY, fresh[0], GATHER_KNOWN, true, &enough, NULL), KT_OK);
    vault->mono_ms += CEREMONY_SHARES_MS;
    assert_int_equal(status_of(vault, CEREMONY_REKEY).verify_progress, 0);
    assert_int_equal(give_bytes(vault, CEREMONY_REKEY, fresh[0], GATHER_KNOWN, true, &enough, NULL), KT_OK);
    assert_int_equal(give_bytes(vault, CEREMONY_REKEY, fresh[1], GATHER_KNOWN, true, &enough, NULL), KT_OK);
    assert_true(enough);
    vault->mono_ms += 1;
    assert_false(status_of(vault, CEREMONY_REKEY).started);
    assert_true(opens(vault, vault->shares, 3));
    vault_close(vault);
}

static void cancel_and_seal_wipe(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    const struct ceremony *c = &vault->barrier->ceremonies[CEREMONY_ROOT];
    assert_int_equal(ceremony_cancel(vault->barrier, CEREMONY_ROOT, NULL, NULL), KT_OK); /* none */
    begin(vault, CEREMONY_ROOT, &plain);
    assert_int_equal(ceremony_begin(vault->barrier, CEREMONY_ROOT, &plain, NULL), KT_INVALID);
    begin(vault, CEREMONY_REKEY, &plain); /* the other kind does not mind */
    assert_int_equal(ceremony_cancel(vault->barrier, CEREMONY_ROOT, "another", NULL), KT_INVALID);
    assert_int_equal(ceremony_cancel(vault->barrier, CEREMONY_ROOT, c->nonce, NULL), KT_OK);
    assert_true(c->pad == NULL && c->gather.shares == NULL);
    begin(vault, CEREMONY_ROOT, &plain);
    agree(vault, CEREMONY_ROOT);
    barrier_leave(vault->barrier);
    barrier_seal(vault->barrier);
    for (enum ceremony_kind which = 0; which < CEREMONY_KINDS; which++) {
        assert_true(vault->barrier->ceremonies[which].gather.shares == NULL);
        assert_false(status_of(vault, which).started);
        assert_int_equal(ceremony_begin(vault->barrier, which, &plain, NULL), KT_SEALED);
        assert_int_equal(ceremony_cancel(vault->barrier, which, NULL, NULL), KT_SEALED);
    }
    assert_null(c->pad);
    vault_unseal(vault, 0, 1, 2);
    assert_false(status_of(vault, CEREMONY_ROOT).started);
    vault_close(vault);
}

/* The commit was under way when the vault was sealed: it is true all the same. */
static void sealed_before_it_heard_of_its_commit(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    share_bytes fresh[SHAMIR_SHARES_MAX];
    begin(vault, CEREMONY_REKEY, &plain);
    agree(vault, CEREMONY_REKEY);
    char nonce[CEREMONY_NONCE];
    memcpy(nonce, status_of(vault, CEREMONY_REKEY).nonce, sizeof nonce);
    struct batch *batch = batch_new();
    assert_int_equal(claim(vault, batch, fresh), KT_OK);
    assert_true(commit(&vault->store, batch));
    barrier_leave(vault->barrier);
    barrier_seal(vault->barrier);
    ceremony_done(vault->barrier, CEREMONY_REKEY, nonce, true);
    struct barrier_status status;
    barrier_status(vault->barrier, &status);
    assert_int_equal(status.threshold, 2);
    bool unsealed = false;
    assert_int_equal(barrier_unseal_share(vault->barrier, fresh[1], &unsealed, NULL), KT_OK);
    assert_int_equal(barrier_unseal_share(vault->barrier, fresh[2], &unsealed, NULL), KT_OK);
    assert_true(unsealed);
    vault_free(vault);
}

/* ---- what is no share of it ---- */

static void nonces_and_stages(void **state)
{
    (void)state;
    struct vault *vault = vault_open();
    struct kt_err err = {0};
    struct ceremony_share share = {.nonce = "x", .from = GATHER_KNOWN};
    memcpy(share.bytes, vault->shares[0], sizeof share.bytes);
    bool enough = false;
    assert_int_equal(ceremony_add(vault->barrier, CEREMONY_REKEY, &share, &enough, &err), KT_INVALID);
    assert_string_equal(err.what, "no barrier rekey in progress");
    assert_int_equal(ceremony_expects(vault->barrier, CEREMONY_ROOT, &share, &err), KT_INVALID);
    assert_string_equal(err.what, "no root generation in progress");
    share.verifies = true;
    assert_int_equal(ceremony_expects(vault->barrier, CEREMONY_REKEY, &share, &err), KT_INVALID);
    assert_string_equal(err.what, "no rekey in progress");
    begin(vault, CEREMONY_REKEY, &verified);
    assert_int_equal(ceremony_expects(vault->barrier, CEREMONY_REKEY, &share, &err), KT_INVALID);
    assert_string_equal(err.what, "no rekey verification in progress");
    assert_int_equal(ceremony_verify_again(vault->barrier, NULL, &err), KT_INVALID);
    share.verifies = false;
    assert_int_equal(ceremony_add(vault->barrier, CEREMONY_REKEY, &share, &enough, &err), KT_INVALID);
    assert_true(strstr(err.what, "incorrect nonce supplied; nonce for this rekey operation is \"") != NULL &&
                strstr(err.what, status_of(vault, CEREMONY_REKEY).nonce) != NULL);
    share.nonce = NULL;
    assert_int_equal(ceremony_add(vault->barrier, CEREMONY_REKEY, &share, &enough, &err), KT_INVALID);
    assert_int_equal(status_of(vault, CEREMONY_REKEY).progress, 0);
    agree(vault, CEREMONY_REKEY);
    share_bytes fresh[SHAMIR_SHARES_MAX];
    char nonce[CEREMONY_NONCE];
    memcpy(nonce, status_of(vault, CEREMONY_REKEY).nonce, sizeof nonce);
    assert_int_equal(ceremony_hand_out(vault->barrier, nonce, fresh, NULL), KT_OK);
    share.nonce = nonce;
    assert_int_equal(ceremony_add(vault->barrier, CEREMONY_REKEY, &share, &enough, &err), KT_INVALID);
    assert_non_null(strstr(err.what, "verification must be performed; nonce for the verification"));
    assert_int_equal(ceremony_verify_again(vault->barrier, nonce, &err), KT_INVALID);
    vault_close(vault);
}

int main(int argc, char **argv)
{
    enum { N = 9, ROWS = sizeof stories / sizeof stories[0] };
    struct CMUnitTest tests[N + ROWS] = {
        cmocka_unit_test(one_set_at_each_moment),
        cmocka_unit_test(verified_by_their_return),
        cmocka_unit_test(only_who_shows_a_share),
        cmocka_unit_test(the_pad_is_for_its_end),
        cmocka_unit_test(time_takes_the_shares),
        cmocka_unit_test(new_ones_come_back_in_time),
        cmocka_unit_test(cancel_and_seal_wipe),
        cmocka_unit_test(sealed_before_it_heard_of_its_commit),
        cmocka_unit_test(nonces_and_stages),
    };
    size_t n = add_rows(tests, N, stories, ROWS, sizeof stories[0], a_story);
    if (kt_secret_init(NULL) != KT_OK)
        return 1;
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return _cmocka_run_group_tests("ceremony", tests, n, NULL, NULL);
}
