/* vaultd/store/fold.h - the inside of a store: its queue, its one thread, its folds.
 *
 * Threads: store_commit(): any thread. store_fold_* and store_complete(): the store thread.
 * Only vaultd/store includes this. */
#pragma once

#include "vaultd/store/batch.h"
#include "vaultd/store/engine.h"
#include "lib/buf.h"

#define STORE_FOLLOWERS   32u
#define STORE_QUEUE_MAX   4096u
#define STORE_QUEUE_BYTES ((size_t)64 * 1024 * 1024)

struct batch_list {
    struct batch *first, **end;
};

static inline void batch_list_init(struct batch_list *list)
{
    list->first = NULL;
    list->end = &list->first;
}

static inline void batch_list_add(struct batch_list *list, struct batch *batch)
{
    batch->next = NULL;
    *list->end = batch;
    list->end = &batch->next;
}

static inline struct batch *batch_list_take_all(struct batch_list *list)
{
    struct batch *first = list->first;
    batch_list_init(list);
    return first;
}

struct follower {
    unsigned char prefix[STORE_KEY_MAX];
    size_t prefix_len;
    store_follow_fn *follow;
    void *arg;
};

struct store {
    uint32_t magic;
    struct engine *engine;
    unsigned fold_ops;
    pthread_t thread;

    pthread_mutex_t lock;
    pthread_cond_t work;
    struct batch_list queue, refused; /* guarded by lock */
    unsigned queued, queue_max;       /* guarded by lock */
    size_t queued_bytes, queue_bytes_max;
    bool closing, idle;               /* guarded by lock */

    atomic_bool broken;
    store_broken_fn *on_broken; /* guarded by lock */
    void *on_broken_arg;

    pthread_mutex_t head_lock;
    struct store_head head; /* written by the store thread; guarded by head_lock */

    pthread_mutex_t witness_lock; /* held while the witness is asked: so it can be taken away */
    store_witness_fn *witness;
    void *witness_arg;

    struct follower followers[STORE_FOLLOWERS]; /* only appended to */
    atomic_uint n_followers;

    _Atomic generation outcomes_synced;
    bool relief_only;            /* the store thread's: the engine's reserve is spent */
    generation outcomes_dropped; /* the store thread's: none is kept up to and including this one */

    _Atomic uint64_t used, entries, folds, batches;
    _Atomic uint32_t oldest_age; /* batches of a lower age are refused */
    atomic_bool compacting;
    struct store_task *task; /* guarded by lock */

    /* scratch of the store thread, fold_ops long */
    struct change *changes, *matching;
    struct kt_buf outcomes;

    struct snapshot *snapshots; /* STORE_SNAPSHOTS slots */
};
#define STORE_MAGIC 0x4b545354u

enum kt_kind store_thread_start(struct store *store, struct kt_err *err) KT_MUST_CHECK;
/* Lets the thread finish what is queued, and joins it. */
void store_thread_stop(struct store *store);
/* Runs fn on the store thread, between two folds, and waits for it. Never on that thread. */
void store_run(struct store *store, void (*fn)(void *arg), void *arg);
/* Calls each with every slot in turn while it is not taken, waiting for those that are. */
void store_each_slot(struct snapshot *snapshots, void (*each)(struct snapshot *slot, void *arg),
                     void *arg);

/* Once broken, always: no snapshot and no commit follows. Tells it once. Any thread. */
void store_break(struct store *store, const char *what);
/* Folds and completes them. */
void store_fold_run(struct store *store, struct batch *first);
/* At the end: drops the outcomes that the log holds, so that the next start has less to compare. */
void store_fold_drop_rest(struct store *store);
/* Calls each one's completion with its result, and frees it. */
void store_complete(struct batch *first);

struct snapshot *store_snapshots_new(struct engine *engine);
void store_snapshots_free(struct snapshot *snapshots); /* every one has ended; NULL is fine */
int64_t store_snapshots_oldest_ms(const struct snapshot *snapshots);
/* As cursor_open(), in any space. */
enum store_error store_cursor_open(struct snapshot *snapshot, enum store_space space,
                                   struct kt_bytes prefix, struct kt_bytes from,
                                   struct cursor **ret) KT_MUST_CHECK;
