/* tests/unit/barrier_fixture.h - a store of a few records and a vault on it, for tests of the barrier
 * alone. Included by one file of a program: its store takes the place of the real one. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "lib/failpoint.h"
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

static inline struct record *find(struct store *store, struct kt_bytes key)
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

static inline bool commit(struct store *store, struct batch *batch)
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

static inline int64_t vault_time(void *arg)
{
    return ((const struct vault *)arg)->mono_ms;
}

static inline struct vault *vault_new(void)
{
    struct vault *vault = calloc(1, sizeof *vault);
    assert_non_null(vault);
    vault->clock = (struct kt_clock){vault_time, vault_time, vault};
    assert_int_equal(barrier_new(&vault->store, &vault->barrier, NULL), KT_OK);
    barrier_set_clock(vault->barrier, &vault->clock);
    return vault;
}

static inline void vault_free(struct vault *vault)
{
    barrier_free(vault->barrier);
    free(vault);
}

static inline struct kt_bytes config_key(const char *name, unsigned char out[BARRIER_NAME_KEY])
{
    out[0] = TABLE_CONFIG;
    crypto_generichash(out + 1, 32, (const unsigned char *)name, strlen(name), NULL, 0);
    return kt_bytes(out, BARRIER_NAME_KEY);
}

/* Initialises 3 of 5, with one record made while initialising. */
static inline void vault_init(struct vault *vault)
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

static inline enum kt_kind give(struct vault *vault, unsigned share, bool *ret_unsealed)
{
    return barrier_unseal_share(vault->barrier, vault->shares[share], ret_unsealed, NULL);
}

static inline void vault_unseal(struct vault *vault, unsigned a, unsigned b, unsigned c)
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

static inline struct vault *vault_open(void)
{
    struct vault *vault = vault_new();
    vault_init(vault);
    vault_unseal(vault, 0, 1, 2);
    return vault;
}

static inline void vault_close(struct vault *vault)
{
    barrier_leave(vault->barrier);
    vault_free(vault);
}

static inline unsigned progress(struct vault *vault)
{
    struct barrier_status status;
    barrier_status(vault->barrier, &status);
    assert_int_equal(status.progress > 0, status.nonce[0] != '\0');
    return status.progress;
}

static inline void expect_record(struct vault *vault, const char *name, const char *text)
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

static inline void put_record(struct vault *vault, const char *name, const char *text)
{
    unsigned char key[BARRIER_NAME_KEY];
    struct batch *batch = batch_new();
    assert_int_equal(barrier_put(vault->barrier, batch, config_key(name, key), kt_str(text), NULL),
                     KT_OK);
    assert_true(commit(&vault->store, batch));
}

static inline void seal_text(struct vault *vault, struct kt_bytes key, struct kt_bytes plain,
                      struct kt_buf *sealed)
{
    kt_buf_init(sealed, STORE_VALUE_MAX);
    assert_int_equal(barrier_seal_entry(vault->barrier, key, plain, sealed, NULL), KT_OK);
}

static inline enum kt_kind open_at(struct vault *vault, struct kt_bytes key, struct kt_bytes sealed)
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

static inline void rotate(struct vault *vault, int64_t now_ms, bool works)
{
    struct batch *batch = batch_new();
    ring_change change = 0;
    assert_int_equal(barrier_rotate(vault->barrier, now_ms, batch, &change, NULL), KT_OK);
    if (!works)
        batch->require[0].g++;
    bool committed = commit(&vault->store, batch);
    assert_int_equal(committed, works);
    barrier_rotate_done(vault->barrier, change, committed);
}
