/* Opening, closing, and what is asked about a store. */
#include <limits.h>
#include <stdlib.h>

#include "lib/assert.h"
#include "lib/clock.h"
#include "lib/failpoint.h"
#include "vaultd/store/fold.h"

static const char *const error_texts[] = {
    [STORE_OK] = "ok",
    [STORE_NOT_FOUND] = "no such key",
    [STORE_CONFLICT] = "a condition did not hold",
    [STORE_NOT_LEADER] = "another node leads",
    [STORE_TOO_LARGE] = "the batch is over a limit",
    [STORE_NO_MEMORY] = "out of memory",
    [STORE_BUSY] = "the store is busy",
    [STORE_FULL] = "the store is full",
    [STORE_UNKNOWN] = "outcome unknown: a sync failed",
    [STORE_BROKEN] = "the store is damaged or has stopped",
};

const char *store_error_text(enum store_error error)
{
    return (size_t)error < sizeof error_texts / sizeof error_texts[0] ? error_texts[error]
                                                                      : "unknown store error";
}

typedef enum kt_kind engine_open_fn(const struct store_config *config,
                                    const struct store_seam *seam, struct engine **ret,
                                    struct kt_err *err);
static engine_open_fn *const engines[] = {
    [STORE_LMDB] = store_lmdb_open,
    [STORE_INMEM] = store_inmem_open,
};

/* Accepts a half-built store. */
static void free_store(struct store *store)
{
    if (store == NULL)
        return;
    store_snapshots_free(store->snapshots);
    if (store->engine != NULL)
        store->engine->kind->close(store->engine);
    kt_buf_free(&store->outcomes);
    free(store->changes);
    free(store->matching);
    (void)pthread_mutex_destroy(&store->lock);
    (void)pthread_cond_destroy(&store->work);
    (void)pthread_mutex_destroy(&store->head_lock);
    (void)pthread_mutex_destroy(&store->witness_lock);
    store->magic = 0;
    free(store);
}

static struct store *new_store(const struct store_seam *seam)
{
    struct store *store = kt_calloc(1, sizeof *store);
    if (store == NULL)
        return NULL;
    store->magic = STORE_MAGIC;
    store->queue_max = seam->queue_max != 0 ? seam->queue_max : STORE_QUEUE_MAX;
    store->queue_bytes_max =
        seam->queue_bytes_max != 0 ? seam->queue_bytes_max : STORE_QUEUE_BYTES;
    (void)pthread_mutex_init(&store->lock, NULL);
    (void)pthread_cond_init(&store->work, NULL);
    (void)pthread_mutex_init(&store->head_lock, NULL);
    (void)pthread_mutex_init(&store->witness_lock, NULL);
    return store;
}

static bool prepare(struct store *store, const struct store_seam *seam)
{
    const struct engine_kind *kind = store->engine->kind;
    store->head = store->engine->head;
    atomic_store(&store->used, store->engine->used);
    atomic_store(&store->entries, store->engine->entries);
    store->fold_ops = seam->fold_ops != 0 ? seam->fold_ops : kind->fold_ops;
    if (store->fold_ops < STORE_BATCH_OPS)
        store->fold_ops = STORE_BATCH_OPS; /* a batch always fits into a fold */
    store->changes = kt_calloc(store->fold_ops, sizeof *store->changes);
    store->matching = kt_calloc(store->fold_ops, sizeof *store->matching);
    kt_buf_init(&store->outcomes, (size_t)store->fold_ops * (STORE_OUTCOME_MAX + 4));
    store->snapshots = store_snapshots_new(store->engine);
    return store->changes != NULL && store->matching != NULL && store->snapshots != NULL;
}

enum kt_kind store_open_seamed(const struct store_config *config, const struct store_seam *seam,
                               struct store **ret, struct kt_err *err)
{
    if ((size_t)config->engine >= sizeof engines / sizeof engines[0])
        return kt_fail(err, KT_INVALID, "no such storage engine");
    struct store *store = new_store(seam);
    if (store == NULL)
        return kt_fail(err, KT_NO_MEMORY, "opening the store");
    enum kt_kind kind = engines[config->engine](config, seam, &store->engine, err);
    if (kind == KT_OK && !prepare(store, seam))
        kind = kt_fail(err, KT_NO_MEMORY, "opening the store");
    if (kind == KT_OK)
        kind = store_thread_start(store, err);
    if (kind != KT_OK) {
        free_store(store);
        return kind;
    }
    *ret = store;
    return KT_OK;
}

enum kt_kind store_open(const struct store_config *config, struct store **ret, struct kt_err *err)
{
    struct store_seam none = {0};
    return store_open_seamed(config, &none, ret, err);
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    KT_ASSERT(store->magic == STORE_MAGIC);
    store_thread_stop(store);
    free_store(store);
}

/* ---- hooks ---- */

void store_on_broken(struct store *store, store_broken_fn *broken, void *arg)
{
    (void)pthread_mutex_lock(&store->lock);
    store->on_broken = broken;
    store->on_broken_arg = arg;
    (void)pthread_mutex_unlock(&store->lock);
}

void store_set_witness(struct store *store, store_witness_fn *witness, void *arg)
{
    (void)pthread_mutex_lock(&store->witness_lock);
    store->witness = witness;
    store->witness_arg = arg;
    (void)pthread_mutex_unlock(&store->witness_lock);
}

enum store_error store_on_fold(struct store *store, struct kt_bytes prefix,
                               store_follow_fn *follow, void *arg)
{
    KT_ASSERT(follow != NULL);
    if (prefix.len > STORE_KEY_MAX)
        return STORE_TOO_LARGE;
    (void)pthread_mutex_lock(&store->lock);
    unsigned n = atomic_load(&store->n_followers);
    bool room = n < STORE_FOLLOWERS;
    if (room) {
        struct follower *follower = &store->followers[n];
        follower->prefix_len = prefix.len;
        if (prefix.len != 0)
            memcpy(follower->prefix, prefix.at, prefix.len);
        follower->follow = follow;
        follower->arg = arg;
        atomic_store_explicit(&store->n_followers, n + 1, memory_order_release);
    }
    (void)pthread_mutex_unlock(&store->lock);
    return room ? STORE_OK : STORE_TOO_LARGE;
}

void store_refuse_older(struct store *store, uint32_t age)
{
    atomic_store(&store->oldest_age, age);
}

/* ---- compacting ---- */

const char *store_compact_phase_text(enum store_compact_phase phase)
{
    static const char *const texts[] = {
#define X(name, text) [name] = (text),
        STORE_COMPACT_PHASES(X)
#undef X
    };
    return (size_t)phase < sizeof texts / sizeof texts[0] ? texts[phase] : "";
}

enum kt_kind store_compact(struct store *store, const struct store_compact_watch *watch,
                           struct store_compact_state *ret, struct kt_err *err)
{
    static const struct store_compact_watch nobody = {.report = NULL};
    const struct engine_kind *kind = store->engine->kind;
    if (kind->compact == NULL) {
        (void)kt_fail(err, KT_PRECONDITION, "storage \"%s\" has no file to compact", kind->name);
        kt_hint(err, "nothing to do: its memory is given back at once");
        return KT_PRECONDITION;
    }
    if (atomic_exchange(&store->compacting, true))
        return kt_fail(err, KT_BUSY, "the store is being compacted already");
    int64_t begun_ms = kt_mono_ms(&kt_system_clock);
    struct store_compact_state state = {.phase = COMPACT_IDLE};
    enum kt_kind result =
        kind->compact(store->engine, store, watch != NULL ? watch : &nobody, &state, err);
    atomic_store(&store->compacting, false);
    if (result != KT_OK)
        return result;
    state.phase = COMPACT_DONE;
    state.took_ms = kt_mono_ms(&kt_system_clock) - begun_ms;
    *ret = state;
    return KT_OK;
}

/* ---- asking ---- */

void store_head(struct store *store, unsigned char out[STORE_WITNESS_BYTES], generation *ret_at,
                unsigned char history[16])
{
    (void)pthread_mutex_lock(&store->head_lock);
    if (out != NULL)
        memcpy(out, store->head.witness, STORE_WITNESS_BYTES);
    if (ret_at != NULL)
        *ret_at = store->head.at;
    if (history != NULL)
        memcpy(history, store->head.history, 16);
    (void)pthread_mutex_unlock(&store->head_lock);
}

static enum store_error tell_outcomes(struct cursor *cursor, store_outcome_fn *each, void *arg)
{
    struct entry entry;
    enum store_error error;
    while ((error = cursor_next(cursor, &entry)) == STORE_OK) {
        if (entry.key.len != 8)
            return STORE_BROKEN;
        struct kt_reader r = kt_reader(entry.value);
        for (unsigned place = 0; r.left != 0; place++) {
            struct kt_bytes record = kt_read_field(&r);
            if (r.failed)
                return STORE_BROKEN;
            each(arg, kt_get_be64(entry.key.at), place, record);
        }
    }
    return error == STORE_NOT_FOUND ? STORE_OK : error;
}

enum store_error store_outcomes(struct store *store, generation after, store_outcome_fn *each,
                                void *arg)
{
    if (after == UINT64_MAX)
        return STORE_OK;
    struct snapshot *snapshot = NULL;
    enum store_error error = snapshot_begin(store, &snapshot);
    if (error != STORE_OK)
        return error;
    unsigned char from[8];
    kt_put_be64(from, after + 1);
    struct cursor *cursor = NULL;
    error = store_cursor_open(snapshot, STORE_OUTCOMES, kt_bytes(NULL, 0),
                              kt_bytes(from, sizeof from), &cursor);
    if (error == STORE_OK) {
        error = tell_outcomes(cursor, each, arg);
        cursor_close(cursor);
    }
    snapshot_end(snapshot);
    return error;
}

void store_outcomes_synced(struct store *store, generation g)
{
    generation old = atomic_load(&store->outcomes_synced);
    while (old < g && !atomic_compare_exchange_weak(&store->outcomes_synced, &old, g))
        ;
}

void store_leader(struct store *store, struct leadership *ret)
{
    *ret = (struct leadership){
        .leads = !atomic_load(&store->broken), .fence = 1, .until = INT64_MAX};
}

void store_status(struct store *store, struct store_status *ret)
{
    struct engine *engine = store->engine;
    uint64_t used = atomic_load(&store->used);
    struct store_status status = {
        .bytes_used = used,
        .bytes_file = engine->kind->file_bytes != NULL ? engine->kind->file_bytes(engine) : used,
        .entries = atomic_load(&store->entries),
        .bytes_max = engine->max_bytes,
        .queue_max = store->queue_max,
        .oldest_snapshot_ms = store_snapshots_oldest_ms(store->snapshots),
        .folds = atomic_load(&store->folds),
        .batches = atomic_load(&store->batches),
    };
    (void)pthread_mutex_lock(&store->lock);
    status.queued = store->queued;
    (void)pthread_mutex_unlock(&store->lock);
    store_head(store, NULL, &status.at, NULL);
    *ret = status;
}
