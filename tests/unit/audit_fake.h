/* tests/unit/audit_fake.h - a store and a barrier for tests of the audit log, whose state a test can
 * copy and put back ("yesterday's database"). Included by one file of a program: it takes the place
 * of the real ones. Commits complete on a thread of its own, as the store's contract wants. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "vaultd/barrier/barrier.h"

#define FAKE_KEPT 512

struct batch {
    unsigned char value[4096], outcome[STORE_OUTCOME_MAX];
    size_t value_len, outcome_len;
    struct batch *next;
    store_done_fn *done;
    void *arg;
};
struct fake_kept {
    generation at;
    unsigned place;
    unsigned char bytes[512];
    size_t len;
};
/* What is on its disk. */
struct fake_disk {
    generation at;
    unsigned char head[STORE_WITNESS_BYTES];
    unsigned char checkpoint[4096];
    size_t checkpoint_len;
    struct fake_kept kept[FAKE_KEPT];
    size_t n_kept;
};
struct store {
    struct fake_disk disk;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct batch *first, **last;
    bool stop, busy;
    unsigned fold;          /* batches with outcomes that make one fold; 1 */
    enum store_error error; /* what commits are answered with */
    store_witness_fn *witness;
    void *witness_arg;
    atomic_uint slow_ms;        /* what a fold takes */
    atomic_uint sent, answered; /* commits */
    generation synced; /* as told by store_outcomes_synced() */
};
struct snapshot {
    struct store *store;
};

const char *store_error_text(enum store_error error)
{
    return error == STORE_OK ? "ok" : "failed";
}
enum store_error snapshot_begin(struct store *store, struct snapshot **ret)
{
    static struct snapshot snapshot;
    snapshot.store = store;
    *ret = &snapshot;
    return STORE_OK;
}
void snapshot_end(struct snapshot *snapshot)
{
    (void)snapshot;
}
enum store_error snapshot_get(struct snapshot *snapshot, struct kt_bytes key, struct entry *ret)
{
    struct fake_disk *disk = &snapshot->store->disk;
    if (key.at[0] != TABLE_CHECKPOINT || disk->checkpoint_len == 0)
        return STORE_NOT_FOUND;
    *ret = (struct entry){key, kt_bytes(disk->checkpoint, disk->checkpoint_len), disk->at};
    return STORE_OK;
}
struct batch *batch_new(void)
{
    return calloc(1, sizeof(struct batch));
}
void batch_free(struct batch *batch)
{
    free(batch);
}
void batch_put(struct batch *batch, struct kt_bytes key, struct kt_bytes value)
{
    if (key.at[0] != TABLE_CHECKPOINT || value.len > sizeof batch->value)
        abort();
    memcpy(batch->value, value.at, value.len);
    batch->value_len = value.len;
}
void batch_relief(struct batch *batch)
{
    (void)batch;
}
void batch_outcome(struct batch *batch, struct kt_bytes record)
{
    memcpy(batch->outcome, record.at, record.len);
    batch->outcome_len = record.len;
}
void store_commit(struct store *store, struct batch *take_batch, store_done_fn *done, void *arg)
{
    take_batch->done = done;
    take_batch->arg = arg;
    take_batch->next = NULL;
    atomic_fetch_add(&store->sent, 1);
    (void)pthread_mutex_lock(&store->lock);
    *store->last = take_batch;
    store->last = &take_batch->next;
    (void)pthread_cond_broadcast(&store->changed);
    (void)pthread_mutex_unlock(&store->lock);
}
void store_set_witness(struct store *store, store_witness_fn *witness, void *arg)
{
    (void)pthread_mutex_lock(&store->lock);
    store->witness = witness;
    store->witness_arg = arg;
    (void)pthread_mutex_unlock(&store->lock);
}
void store_head(struct store *store, unsigned char out[STORE_WITNESS_BYTES], generation *ret_at,
                unsigned char history[16])
{
    memcpy(out, store->disk.head, STORE_WITNESS_BYTES);
    *ret_at = store->disk.at;
    memset(history, 1, 16);
}
enum store_error store_outcomes(struct store *store, generation after, store_outcome_fn *each,
                                void *arg)
{
    for (size_t i = 0; i < store->disk.n_kept; i++) {
        struct fake_kept *kept = &store->disk.kept[i];
        if (kept->at > after)
            each(arg, kept->at, kept->place, kt_bytes(kept->bytes, kept->len));
    }
    return STORE_OK;
}
void store_outcomes_synced(struct store *store, generation g)
{
    (void)pthread_mutex_lock(&store->lock);
    store->synced = g;
    (void)pthread_mutex_unlock(&store->lock);
}

/* ---- the store's thread ---- */

static void fake_apply(struct fake_disk *disk, const struct batch *batch, unsigned place)
{
    if (batch->value_len > 0) {
        memcpy(disk->checkpoint, batch->value, batch->value_len);
        disk->checkpoint_len = batch->value_len;
    }
    if (batch->outcome_len == 0)
        return;
    if (disk->n_kept == FAKE_KEPT || batch->outcome_len > sizeof disk->kept[0].bytes)
        abort();
    struct fake_kept *kept = &disk->kept[disk->n_kept++];
    kept->at = disk->at;
    kept->place = place;
    kept->len = batch->outcome_len;
    memcpy(kept->bytes, batch->outcome, batch->outcome_len);
}

static void fake_drop(struct fake_disk *disk, generation synced)
{
    size_t n = 0;
    for (size_t i = 0; i < disk->n_kept; i++)
        if (disk->kept[i].at > synced)
            disk->kept[n++] = disk->kept[i];
    disk->n_kept = n;
}

static void *fake_run(void *arg)
{
    struct store *store = arg;
    (void)pthread_mutex_lock(&store->lock);
    for (;;) {
        while (store->first == NULL && !store->stop)
            (void)pthread_cond_wait(&store->changed, &store->lock);
        if (store->first == NULL)
            break;
        /* A fold: up to store->fold batches that are queued. */
        struct batch *fold[16];
        unsigned n = 0;
        while (store->first != NULL && n < store->fold && n < 16) {
            fold[n] = store->first;
            store->first = fold[n]->next;
            n++;
        }
        if (store->first == NULL)
            store->last = &store->first;
        store->busy = true;
        struct commit_result result = {.error = store->error};
        if (store->error == STORE_OK) {
            unsigned char head[STORE_WITNESS_BYTES] = {0};
            if (store->witness != NULL)
                store->witness(store->witness_arg, head);
            memcpy(store->disk.head, head, sizeof head);
            result.at = ++store->disk.at;
            fake_drop(&store->disk, store->synced);
            for (unsigned i = 0; i < n; i++)
                fake_apply(&store->disk, fold[i], i);
        }
        (void)pthread_mutex_unlock(&store->lock);
        const struct timespec slow = {.tv_nsec = 1000000L * atomic_load(&store->slow_ms)};
        (void)nanosleep(&slow, NULL);
        for (unsigned i = 0; i < n; i++) {
            result.place = i;
            atomic_fetch_add(&store->answered, 1);
            if (fold[i]->done != NULL)
                fold[i]->done(fold[i]->arg, &result);
            free(fold[i]);
        }
        (void)pthread_mutex_lock(&store->lock);
        store->busy = false;
        (void)pthread_cond_broadcast(&store->changed);
    }
    (void)pthread_mutex_unlock(&store->lock);
    return NULL;
}

static struct store *fake_store_new(void)
{
    struct store *store = calloc(1, sizeof *store);
    if (store == NULL)
        abort();
    store->last = &store->first;
    store->fold = 1;
    (void)pthread_mutex_init(&store->lock, NULL);
    (void)pthread_cond_init(&store->changed, NULL);
    if (pthread_create(&store->thread, NULL, fake_run, store) != 0)
        abort();
    return store;
}

/* Everything queued was committed and answered. */
__attribute__((unused)) static void fake_store_wait(struct store *store)
{
    (void)pthread_mutex_lock(&store->lock);
    while (store->first != NULL || store->busy)
        (void)pthread_cond_wait(&store->changed, &store->lock);
    (void)pthread_mutex_unlock(&store->lock);
}

static void fake_store_free(struct store *store)
{
    (void)pthread_mutex_lock(&store->lock);
    store->stop = true;
    (void)pthread_cond_broadcast(&store->changed);
    (void)pthread_mutex_unlock(&store->lock);
    (void)pthread_join(store->thread, NULL);
    free(store);
}

/* ---- the barrier ---- */

void barrier_audit_keys(struct barrier *barrier, unsigned char record_key[32],
                        unsigned char hmac_key[32], unsigned char sign_seed[32])
{
    (void)barrier;
    memset(record_key, 1, 32);
    memset(hmac_key, 2, 32);
    memset(sign_seed, 3, 32);
}
void barrier_vault_id(struct barrier *barrier, unsigned char out[16])
{
    memset(out, barrier == NULL ? 4 : 5, 16); /* two vaults */
}
void barrier_status(struct barrier *barrier, struct barrier_status *ret)
{
    (void)barrier;
    memset(ret, 0, sizeof *ret);
    ret->initialized_ms = 1735787045000;
    ret->shares = 5;
    ret->threshold = 3;
    (void)snprintf(ret->vault_id, sizeof ret->vault_id, "04040404-0404-0404-0404-040404040404");
}
