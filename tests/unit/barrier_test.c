#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "lib/failpoint.h"
#include "lib/random.h"
#include "vaultd/barrier/inside.h"

/* ---- a store of a few records, only what the barrier asks of one ---- */

#define RECORDS 16

struct record {
    unsigned char key[STORE_KEY_MAX], value[4096];
    size_t key_len, value_len;
    generation changed;
};
struct store {
    struct record of[RECORDS];
    size_t n;
    generation at;
    bool broken;
};
struct batch {
    struct record put[RECORDS];
    size_t n;
    struct {
        enum condition condition;
        struct kt_bytes key;
        generation g;
    } require[RECORDS];
    size_t required;
};

static struct record *find(struct store *store, struct kt_bytes key)
{
    for (size_t i = 0; i < store->n; i++)
        if (kt_bytes_equal(key, kt_bytes(store->of[i].key, store->of[i].key_len)))
            return &store->of[i];
    return NULL;
}

const char *store_error_text(enum store_error error)
{
    return error == STORE_BROKEN ? "the store is broken" : "the store failed";
}
enum store_error snapshot_begin(struct store *store, struct snapshot **ret)
{
    *ret = (struct snapshot *)(void *)store;
    return store->broken ? STORE_BROKEN : STORE_OK;
}
void snapshot_end(struct snapshot *snapshot)
{
    (void)snapshot;
}
enum store_error snapshot_get(struct snapshot *snapshot, struct kt_bytes key, struct entry *ret)
{
    struct record *record = find((struct store *)(void *)snapshot, key);
    if (record == NULL)
        return STORE_NOT_FOUND;
    *ret = (struct entry){kt_bytes(record->key, record->key_len),
                          kt_bytes(record->value, record->value_len), record->changed};
    return STORE_OK;
}
struct batch *batch_new(void)
{
    return kt_calloc(1, sizeof(struct batch));
}
void batch_free(struct batch *batch)
{
    free(batch);
}
void batch_require(struct batch *batch, enum condition condition, struct kt_bytes key, generation g)
{
    batch->require[batch->required].condition = condition;
    batch->require[batch->required].key = key;
    batch->require[batch->required++].g = g;
}
void batch_put(struct batch *batch, struct kt_bytes key, struct kt_bytes value)
{
    struct record *put = &batch->put[batch->n++];
    assert_true(key.len <= sizeof put->key && value.len <= sizeof put->value);
    memcpy(put->key, key.at, key.len);
    memcpy(put->value, value.at, value.len);
    put->key_len = key.len;
    put->value_len = value.len;
}
bool batch_failed(const struct batch *batch)
{
    (void)batch;
    return false;
}
void batch_age(struct batch *batch, uint32_t age)
{
    (void)batch;
    (void)age;
}
void store_await_snapshots(struct store *store)
{
    (void)store;
}

static bool commit(struct store *store, struct batch *batch)
{
    bool holds = true;
    for (size_t i = 0; i < batch->required; i++) {
        const struct record *record = find(store, batch->require[i].key);
        if (batch->require[i].condition == KEY_ABSENT)
            holds = holds && record == NULL;
        else
            holds = holds && record != NULL && record->changed == batch->require[i].g;
    }
    if (holds)
        store->at++;
    for (size_t i = 0; holds && i < batch->n; i++) {
        struct record *put = &batch->put[i];
        struct record *record = find(store, kt_bytes(put->key, put->key_len));
        if (record == NULL)
            record = &store->of[store->n++];
        *record = *put;
        record->changed = store->at;
    }
    batch_free(batch);
    return holds;
}

/* ---- a vault to test on ---- */

typedef unsigned char share_bytes[SHAMIR_SHARE_BYTES];

struct vault {
    struct store store;
    struct barrier *barrier;
    share_bytes shares[5];
    struct kt_clock clock;
    int64_t mono_ms;
};

static int64_t vault_time(void *arg)
{
    return ((const struct vault *)arg)->mono_ms;
}

static struct vault *vault_new(void)
{
    struct vault *vault = calloc(1, sizeof *vault);
    assert_non_null(vault);
    vault->clock = (struct kt_clock){vault_time, vault_time, vault};
    assert_int_equal(barrier_new(&vault->store, &vault->barrier, NULL), KT_OK);
    barrier_set_clock(vault->barrier, &vault->clock);
    return vault;
}

static void vault_free(struct vault *vault)
{
    barrier_free(vault->barrier);
    free(vault);
}

static struct kt_bytes config_key(const char *name, unsigned char out[BARRIER_NAME_KEY])
{
    out[0] = TABLE_CONFIG;
    crypto_generichash(out + 1, 32, (const unsigned char *)name, strlen(name), NULL, 0);
    return kt_bytes(out, BARRIER_NAME_KEY);
}

/* Initialises 3 of 5, with one record made while initialising. */
static void vault_init(struct vault *vault)
{
    unsigned char key[BARRIER_NAME_KEY];
    struct batch *batch = batch_new();
    assert_int_equal(barrier_init(vault->barrier, 5, 3, 1700000000000, batch, vault->shares, NULL),
                     KT_OK);
    assert_int_equal(
        barrier_put(vault->barrier, batch, config_key("first", key), kt_str("hello"), NULL), KT_OK);
    bool committed = commit(&vault->store, batch);
    assert_true(committed);
    barrier_init_done(vault->barrier, committed);
    assert_true(barrier_sealed(vault->barrier));
    assert_true(barrier_initialized(vault->barrier));
}

static enum kt_kind give(struct vault *vault, unsigned share, bool *ret_unsealed)
{
    return barrier_unseal_share(vault->barrier, vault->shares[share], ret_unsealed, NULL);
}

static void vault_unseal(struct vault *vault, unsigned a, unsigned b, unsigned c)
{
    bool unsealed = true;
    assert_int_equal(give(vault, a, &unsealed), KT_OK);
    assert_false(unsealed);
    assert_int_equal(give(vault, b, &unsealed), KT_OK);
    assert_false(unsealed);
    assert_int_equal(give(vault, c, &unsealed), KT_OK);
    assert_true(unsealed);
    assert_false(barrier_enter(vault->barrier));
    assert_true(barrier_enter_early(vault->barrier));
    barrier_leave(vault->barrier);
    barrier_admit(vault->barrier);
    assert_true(barrier_enter(vault->barrier));
}

static struct vault *vault_open(void)
{
    struct vault *vault = vault_new();
    vault_init(vault);
    vault_unseal(vault, 0, 1, 2);
    return vault;
}

static void vault_close(struct vault *vault)
{
    barrier_leave(vault->barrier);
    vault_free(vault);
}

static unsigned progress(struct vault *vault)
{
    struct barrier_status status;
    barrier_status(vault->barrier, &status);
    assert_int_equal(status.progress > 0, status.nonce[0] != '\0');
    return status.progress;
}

static void expect_record(struct vault *vault, const char *name, const char *text)
{
    unsigned char key[BARRIER_NAME_KEY];
    generation changed = 0;
    struct snapshot *snapshot = NULL;
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 4096);
    assert_int_equal(snapshot_begin(&vault->store, &snapshot), STORE_OK);
    assert_int_equal(
        barrier_get(vault->barrier, snapshot, config_key(name, key), &out, &changed, NULL), KT_OK);
    snapshot_end(snapshot);
    assert_string_equal(kt_buf_text(&out), text);
    assert_true(changed > 0);
}

static void put_record(struct vault *vault, const char *name, const char *text)
{
    unsigned char key[BARRIER_NAME_KEY];
    struct batch *batch = batch_new();
    assert_int_equal(barrier_put(vault->barrier, batch, config_key(name, key), kt_str(text), NULL),
                     KT_OK);
    assert_true(commit(&vault->store, batch));
}

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
    char nonce[UUID_TEXT];
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

/* Two processes' worth of barriers on one store: the second batch must not apply. */
static void racing_init(void **state)
{
    (void)state;
    struct vault *vault = vault_new();
    struct barrier *second = NULL;
    share_bytes shares[5];
    assert_int_equal(barrier_new(&vault->store, &second, NULL), KT_OK);
    struct batch *batch = batch_new();
    assert_int_equal(barrier_init(second, 5, 3, 1, batch, shares, NULL), KT_OK);
    vault_init(vault);
    assert_false(commit(&vault->store, batch));
    barrier_init_done(second, false);
    assert_false(barrier_initialized(second));
    barrier_free(second);
    vault_unseal(vault, 0, 1, 2);
    expect_record(vault, "first", "hello");
    vault_close(vault);
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

/* ---- records ---- */

static void seal_text(struct vault *vault, struct kt_bytes key, struct kt_bytes plain,
                      struct kt_buf *sealed)
{
    kt_buf_init(sealed, STORE_VALUE_MAX);
    assert_int_equal(barrier_seal_entry(vault->barrier, key, plain, sealed, NULL), KT_OK);
}

static enum kt_kind open_at(struct vault *vault, struct kt_bytes key, struct kt_bytes sealed)
{
    struct kt_err err = {0};
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, STORE_VALUE_MAX);
    kt_buf_add_text(&out, "before");
    enum kt_kind kind = barrier_open_entry(vault->barrier, key, sealed, &out, &err);
    if (kind != KT_OK) {
        assert_string_equal(kt_buf_text(&out), "before");
        assert_int_equal(err.kind, kind);
        assert_true(err.hint[0] != '\0');
    }
    return kind;
}

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
        seal_text(vault, kt_str("vkey"), kt_bytes(plain, lens[i]), &sealed);
        assert_true(sealed.len <= STORE_VALUE_MAX);
        if (lens[i] >= 1024)
            assert_true(sealed.len - BARRIER_OVERHEAD <= (lens[i] + 4) * 17 / 16);
        kt_buf_init(&out, STORE_VALUE_MAX);
        assert_int_equal(
            barrier_open_entry(vault->barrier, kt_str("vkey"), kt_buf_bytes(&sealed), &out, NULL),
            KT_OK);
        assert_true(kt_bytes_equal(kt_buf_bytes(&out), kt_bytes(plain, lens[i])));
        /* The padding needs no room of the caller's; what he did not want is refused. */
        kt_buf_init(&tight, lens[i]);
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
    assert_int_equal(barrier_rotate(vault->barrier, 1, NULL, NULL), KT_SEALED);
    vault_free(vault);
}

/* ---- terms ---- */

static void rotate(struct vault *vault, int64_t now_ms, bool works)
{
    struct batch *batch = batch_new();
    assert_int_equal(barrier_rotate(vault->barrier, now_ms, batch, NULL), KT_OK);
    if (!works)
        batch->require[0].g++;
    bool committed = commit(&vault->store, batch);
    assert_int_equal(committed, works);
    barrier_rotate_done(vault->barrier, committed);
}

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
    assert_int_equal(barrier_rotate(vault->barrier, 1, batch, NULL), KT_OK);
    assert_int_equal(barrier_rotate(vault->barrier, 1, other, NULL), KT_CONFLICT);
    batch_free(other);
    put_record(vault, "between", "still term 1");
    assert_true(commit(&vault->store, batch));
    /* Sealed between the commit and its completion: the next unseal has the term. */
    barrier_leave(vault->barrier);
    barrier_seal(vault->barrier);
    barrier_rotate_done(vault->barrier, true);
    vault_unseal(vault, 0, 1, 2);
    barrier_rotate_done(vault->barrier, true);
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
                        "the seal record: format 9 is newer than this vaultd (1): install "
                        "the newer version");
    vault_free(vault);
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
        while ((kind = barrier_rotate(vault->barrier, 1, batch, &err)) != KT_OK)
            assert_int_equal(kind, KT_NO_MEMORY);
        barrier_rotate_done(vault->barrier, true);
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
        cmocka_unit_test(init_not_committed),
        cmocka_unit_test(wrong_share),
        cmocka_unit_test(foreign_share),
        cmocka_unit_test(same_share_twice),
        cmocka_unit_test(contradiction),
        cmocka_unit_test(number_zero),
        cmocka_unit_test(reset_and_expiry),
        cmocka_unit_test(sizes),
        cmocka_unit_test(moved),
        cmocka_unit_test(every_flip),
        cmocka_unit_test(another_vaults_record),
        cmocka_unit_test(absence),
        cmocka_unit_test(sealed_refuses),
        cmocka_unit_test(rotation),
        cmocka_unit_test(rotation_in_flight),
        cmocka_unit_test(older_keyring),
        cmocka_unit_test(full_keyring),
        cmocka_unit_test(newer_entry),
        cmocka_unit_test(newer_keyring),
        cmocka_unit_test(newer_seal),
        cmocka_unit_test(format_zero),
        cmocka_unit_test(flips_at_rest),
        cmocka_unit_test(store_broken),
        cmocka_unit_test(names),
        cmocka_unit_test(names_cached),
        cmocka_unit_test(names_survive_sealing),
        cmocka_unit_test(nothing_in_clear),
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
