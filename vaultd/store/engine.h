/* vaultd/store/engine.h - what an engine must do, and what the store does for all of them.
 *
 * What:    An engine keeps two ordered key spaces (data, outcomes) and one head. It gives views for
 *          reading on any thread and one write transaction, the fold, on the store thread. Batches,
 *          conditions, queue, limits, completions and followers are the store's and the same for
 *          every engine. Only vaultd/store includes this.
 * Rules:   fold_begin, then any of the fold_ calls, then fold_commit or fold_abort; both end it.
 *          What fold_commit made durable becomes visible to new views no earlier than it is
 *          durable. A fold_ call that fails spoils the fold: only fold_abort may follow. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "vaultd/store/format.h"

#define STORE_SNAPSHOTS 256u /* open at one time; the next gets STORE_BUSY */

enum store_space { STORE_DATA, STORE_OUTCOMES };

/* The order of keys in every engine: as bytes, the shorter one first. Below 0, 0, above 0. */
static inline int store_key_order(struct kt_bytes a, struct kt_bytes b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n == 0 ? 0 : memcmp(a.at, b.at, n);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

struct engine;

/* The first part of a cursor is the store's, `own` the engine's. */
struct cursor {
    struct snapshot *snapshot;
    enum store_space space;
    bool started, done, lent; /* lent: lives in its snapshot, not on the heap */
    uint8_t prefix_len, at_len;
    unsigned char prefix[STORE_KEY_MAX];
    unsigned char at[STORE_KEY_MAX]; /* where to begin; an engine may keep its place here */
    void *own;
};

/* One slot of the pool. `view` and `spare` belong to the engine and outlive the snapshot, so that
 * the next one in this slot need not make them anew. */
struct snapshot {
    _Alignas(64) atomic_bool taken;
    atomic_bool wanted; /* by store_each_slot(): the next snapshot takes another one */
    _Atomic int64_t began_ms;
    struct engine *engine;
    generation at;
    pthread_t owner;
    void *view, *spare;
    enum store_error failed; /* the first error but not finding */
    bool cursor_lent;
    struct cursor cursor;
};

struct engine_kind {
    const char *name;
    unsigned fold_ops;   /* puts, deletes and conditions of one fold; >= STORE_BATCH_OPS */
    size_t fold_bytes;   /* >= STORE_BATCH_BYTES */
    unsigned fold_drops; /* outcomes dropped by one fold */
    unsigned ordinary_percent, relief_percent; /* of max_bytes: who may write up to where */

    void (*close)(struct engine *engine);

    enum store_error (*view_begin)(struct snapshot *snapshot); /* sets `at` */
    void (*view_end)(struct snapshot *snapshot);
    void (*view_free)(struct snapshot *snapshot); /* of a slot that nobody has: view and spare */
    enum store_error (*view_get)(struct snapshot *snapshot, struct kt_bytes key,
                                 struct entry *ret);
    enum store_error (*scan_open)(struct cursor *cursor);
    /* The first entry with key >= cursor->at when not started, else the next one. */
    enum store_error (*scan_next)(struct cursor *cursor, struct entry *ret);
    void (*scan_close)(struct cursor *cursor);

    enum store_error (*fold_begin)(struct engine *engine);
    enum store_error (*fold_get)(struct engine *engine, struct kt_bytes key, struct entry *ret);
    enum store_error (*fold_put)(struct engine *engine, enum store_space space,
                                 struct kt_bytes key, generation changed, struct kt_bytes value);
    /* STORE_NOT_FOUND is no failure. */
    enum store_error (*fold_delete)(struct engine *engine, struct kt_bytes key);
    /* Drops at most max outcomes with key <= upto; *ret_dropped of them. */
    enum store_error (*fold_drop)(struct engine *engine, struct kt_bytes upto, unsigned max,
                                  unsigned *ret_dropped);
    uint64_t (*fold_used)(struct engine *engine); /* bytes, this fold's included */
    /* head NULL: only what was dropped. STORE_UNKNOWN: a sync failed, see engine->trouble. */
    enum store_error (*fold_commit)(struct engine *engine, const struct store_head *head);
    void (*fold_abort)(struct engine *engine);

    /* Outside of folds, NULL: the engine has no disk that others can fill. Room for relief on a full
     * disk: reserve_give() true: a batch that found none may be tried again. Until reserve_take()
     * is true nothing but relief is written. */
    bool (*reserve_take)(struct engine *engine);
    bool (*reserve_give)(struct engine *engine);

    /* Any thread, NULL: no file. What it takes on the disk. */
    uint64_t (*file_bytes)(struct engine *engine);
    /* A thread that may block, NULL: nothing to compact. See store_compact(). */
    enum kt_kind (*compact)(struct engine *engine, struct store *store,
                            const struct store_compact_watch *watch,
                            struct store_compact_state *state, struct kt_err *err);
};

struct engine {
    const struct engine_kind *kind;
    uint64_t max_bytes;
    struct store_head head; /* as found at open */
    uint64_t used;          /* bytes: at open, then as of the newest commit */
    uint64_t entries;       /* of the data, likewise */
    char trouble[200];      /* why it is broken; written on the store thread */
};

/* What only tests set. Zeroed: as store_open(). */
struct inmem_image;
struct store_seam {
    const struct store_format *formats; /* instead of store_formats */
    size_t n_formats;
    struct inmem_image *image; /* inmem: what outlives the process; vaultd/store/inmem.h */
    unsigned queue_max;
    size_t queue_bytes_max;
    unsigned fold_ops;
    uint64_t map_bytes; /* lmdb: the map's size, instead of 64 GiB */
};
enum kt_kind store_open_seamed(const struct store_config *config, const struct store_seam *seam,
                               struct store **ret, struct kt_err *err) KT_MUST_CHECK;

enum kt_kind store_lmdb_open(const struct store_config *config, const struct store_seam *seam,
                             struct engine **ret, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind store_inmem_open(const struct store_config *config, const struct store_seam *seam,
                              struct engine **ret, struct kt_err *err) KT_MUST_CHECK;
