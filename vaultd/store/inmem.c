/* The memory engine, with etcd's limits and its rhythm: a fold has at most 128 operations and
 * 1 MiB, and is acknowledged, and visible, only after a delay; meanwhile the next one collects
 * itself. */
#include "vaultd/store/inmem.h"

#include <stdlib.h>
#include <stdio.h>
#include <time.h>

#include "lib/assert.h"
#include "lib/failpoint.h"
#include "lib/random.h"
#include "lib/timespec.h"
#include "vaultd/store/fold.h"
#include "vaultd/store/tree.h"

/* etcd's default --quota-backend-bytes. */
#define INMEM_BYTES (UINT64_C(2) * 1024 * 1024 * 1024)

struct inmem_state {
    struct tree data, outcomes;
    struct store_head head;
};

struct inmem_image {
    struct inmem_state state;
    bool opened;
    atomic_bool frozen;
    store_image_fn *watch; /* may be NULL */
    void *watch_arg;
};

struct inmem {
    struct engine engine;
    int64_t delay_ms;
    pthread_mutex_t lock;
    struct inmem_state visible; /* guarded by lock */
    struct inmem_state work;    /* the fold's; the store thread's */
    struct inmem_image *image;  /* may be NULL */
    atomic_uint lose_in;        /* 0: never */
    bool lose_applied;
};

/* What a snapshot sees. Kept in its slot for the next one. */
struct inmem_view {
    struct tree data, outcomes;
};

static struct inmem *inmem_of(struct engine *engine)
{
    return (struct inmem *)(void *)engine; /* its first field */
}

static struct inmem_state share_state(const struct inmem_state *state)
{
    return (struct inmem_state){.data = store_tree_share(&state->data),
                                .outcomes = store_tree_share(&state->outcomes),
                                .head = state->head};
}

static void drop_state(struct inmem_state *state)
{
    store_tree_drop(&state->data);
    store_tree_drop(&state->outcomes);
}

/* ---- reading ---- */

static enum store_error view_begin(struct snapshot *snapshot)
{
    struct inmem *inmem = inmem_of(snapshot->engine);
    if (snapshot->view == NULL) {
        snapshot->view = kt_calloc(1, sizeof(struct inmem_view));
        if (snapshot->view == NULL)
            return STORE_NO_MEMORY;
    }
    struct inmem_view *view = snapshot->view;
    (void)pthread_mutex_lock(&inmem->lock);
    view->data = store_tree_share(&inmem->visible.data);
    view->outcomes = store_tree_share(&inmem->visible.outcomes);
    snapshot->at = inmem->visible.head.at;
    (void)pthread_mutex_unlock(&inmem->lock);
    return STORE_OK;
}

static void view_end(struct snapshot *snapshot)
{
    struct inmem_view *view = snapshot->view;
    store_tree_drop(&view->data);
    store_tree_drop(&view->outcomes);
}

static void view_free(struct snapshot *snapshot)
{
    free(snapshot->view);
}

static void fill(const struct tree_record *record, struct entry *ret)
{
    *ret = (struct entry){.key = store_tree_key(record),
                          .value = store_tree_value(record),
                          .changed = record->changed};
}

static enum store_error view_get(struct snapshot *snapshot, struct kt_bytes key,
                                 struct entry *ret)
{
    const struct inmem_view *view = snapshot->view;
    const struct tree_record *record = store_tree_get(&view->data, key);
    if (record == NULL)
        return STORE_NOT_FOUND;
    fill(record, ret);
    return STORE_OK;
}

static enum store_error scan_open(struct cursor *cursor)
{
    (void)cursor;
    return STORE_OK;
}

/* The place is the last key, in cursor->at: a search each, and nothing to keep valid. */
static enum store_error scan_next(struct cursor *cursor, struct entry *ret)
{
    const struct inmem_view *view = cursor->snapshot->view;
    const struct tree *tree = cursor->space == STORE_DATA ? &view->data : &view->outcomes;
    const struct tree_record *record =
        store_tree_from(tree, kt_bytes(cursor->at, cursor->at_len), cursor->started);
    if (record == NULL)
        return STORE_NOT_FOUND;
    memcpy(cursor->at, record->bytes, record->key_len);
    cursor->at_len = record->key_len;
    fill(record, ret);
    return STORE_OK;
}

static void scan_close(struct cursor *cursor)
{
    (void)cursor;
}

/* ---- the fold ---- */

static enum store_error fold_begin(struct engine *engine)
{
    struct inmem *inmem = inmem_of(engine);
    (void)pthread_mutex_lock(&inmem->lock);
    inmem->work = share_state(&inmem->visible);
    (void)pthread_mutex_unlock(&inmem->lock);
    return STORE_OK;
}

static enum store_error fold_get(struct engine *engine, struct kt_bytes key, struct entry *ret)
{
    const struct tree_record *record = store_tree_get(&inmem_of(engine)->work.data, key);
    if (record == NULL)
        return STORE_NOT_FOUND;
    fill(record, ret);
    return STORE_OK;
}

static enum store_error fold_put(struct engine *engine, enum store_space space,
                                 struct kt_bytes key, generation changed, struct kt_bytes value)
{
    struct inmem_state *work = &inmem_of(engine)->work;
    struct tree *tree = space == STORE_DATA ? &work->data : &work->outcomes;
    return store_tree_put(tree, key, changed, value) ? STORE_OK : STORE_NO_MEMORY;
}

static enum store_error fold_delete(struct engine *engine, struct kt_bytes key)
{
    struct tree *tree = &inmem_of(engine)->work.data;
    if (store_tree_get(tree, key) == NULL)
        return STORE_NOT_FOUND;
    return store_tree_delete(tree, key) ? STORE_OK : STORE_NO_MEMORY;
}

static enum store_error fold_drop(struct engine *engine, struct kt_bytes upto, unsigned max,
                                  unsigned *ret_dropped)
{
    struct tree *tree = &inmem_of(engine)->work.outcomes;
    unsigned dropped = 0;
    while (dropped < max) {
        const struct tree_record *record = store_tree_from(tree, kt_bytes(NULL, 0), false);
        if (record == NULL || memcmp(record->bytes, upto.at, upto.len) > 0)
            break;
        if (!store_tree_delete(tree, store_tree_key(record)))
            return STORE_NO_MEMORY;
        dropped++;
    }
    *ret_dropped = dropped;
    return STORE_OK;
}

static uint64_t fold_used(struct engine *engine)
{
    const struct inmem_state *work = &inmem_of(engine)->work;
    return work->data.bytes + work->outcomes.bytes;
}

static void fold_abort(struct engine *engine)
{
    drop_state(&inmem_of(engine)->work);
}

static void wait_ms(int64_t ms)
{
    struct timespec left = kt_timespec_of_ms(ms);
    while (ms > 0 && nanosleep(&left, &left) != 0)
        ;
}

static bool is_lost(struct inmem *inmem)
{
    unsigned in = atomic_load(&inmem->lose_in);
    if (in == 0)
        return false;
    atomic_store(&inmem->lose_in, in - 1);
    return in == 1;
}

static void keep(struct inmem_image *image, const struct inmem_state *state)
{
    if (image == NULL || atomic_load(&image->frozen))
        return;
    drop_state(&image->state);
    image->state = share_state(state);
}

static void tell(const struct inmem *inmem, bool durable)
{
    if (inmem->image != NULL && inmem->image->watch != NULL)
        inmem->image->watch(inmem->image->watch_arg, durable);
}

static enum store_error fold_commit(struct engine *engine, const struct store_head *head)
{
    struct inmem *inmem = inmem_of(engine);
    if (head != NULL) {
        inmem->work.head = *head;
        wait_ms(inmem->delay_ms);
        if (is_lost(inmem)) {
            if (inmem->lose_applied)
                keep(inmem->image, &inmem->work);
            drop_state(&inmem->work);
            (void)snprintf(engine->trouble, sizeof engine->trouble,
                           "a commit was not acknowledged");
            return STORE_UNKNOWN;
        }
    }
    engine->used = fold_used(engine);
    engine->entries = inmem->work.data.entries;
    tell(inmem, false);
    keep(inmem->image, &inmem->work);
    tell(inmem, true);
    (void)pthread_mutex_lock(&inmem->lock);
    struct inmem_state old = inmem->visible;
    inmem->visible = inmem->work;
    (void)pthread_mutex_unlock(&inmem->lock);
    drop_state(&old);
    return STORE_OK;
}

static void close_inmem(struct engine *engine)
{
    struct inmem *inmem = inmem_of(engine);
    drop_state(&inmem->visible);
    if (inmem->image != NULL)
        inmem->image->opened = false;
    (void)pthread_mutex_destroy(&inmem->lock);
    free(inmem);
}

static const struct engine_kind inmem_kind = {
    .name = "inmem",
    .fold_ops = 120, /* 128, less the head, the outcomes and those dropped */
    .fold_bytes = STORE_BATCH_BYTES,
    .fold_drops = 6,
    .ordinary_percent = 75,
    .relief_percent = 90,
    .close = close_inmem,
    .view_begin = view_begin,
    .view_end = view_end,
    .view_free = view_free,
    .view_get = view_get,
    .scan_open = scan_open,
    .scan_next = scan_next,
    .scan_close = scan_close,
    .fold_begin = fold_begin,
    .fold_get = fold_get,
    .fold_put = fold_put,
    .fold_delete = fold_delete,
    .fold_drop = fold_drop,
    .fold_used = fold_used,
    .fold_commit = fold_commit,
    .fold_abort = fold_abort,
};

enum kt_kind store_inmem_open(const struct store_config *config, const struct store_seam *seam,
                              struct engine **ret, struct kt_err *err)
{
    if (seam->image != NULL && seam->image->opened)
        return kt_fail(err, KT_BUSY, "another vaultd holds this memory");
    struct inmem *inmem = kt_calloc(1, sizeof *inmem);
    if (inmem == NULL)
        return kt_fail(err, KT_NO_MEMORY, "opening the memory store");
    inmem->engine.kind = &inmem_kind;
    inmem->engine.max_bytes = config->max_bytes != 0 ? config->max_bytes : INMEM_BYTES;
    inmem->delay_ms = config->delay_ms;
    (void)pthread_mutex_init(&inmem->lock, NULL);
    inmem->image = seam->image;
    if (seam->image != NULL) {
        seam->image->opened = true;
        atomic_store(&seam->image->frozen, false);
        inmem->visible = share_state(&seam->image->state);
    } else {
        kt_random(inmem->visible.head.history, sizeof inmem->visible.head.history);
    }
    inmem->engine.head = inmem->visible.head;
    inmem->engine.used = inmem->visible.data.bytes + inmem->visible.outcomes.bytes;
    inmem->engine.entries = inmem->visible.data.entries;
    *ret = &inmem->engine;
    return KT_OK;
}

/* ---- the test seam ---- */

struct inmem_image *store_image_new(void)
{
    struct inmem_image *image = kt_calloc(1, sizeof *image);
    if (image != NULL)
        kt_random(image->state.head.history, sizeof image->state.head.history);
    return image;
}

void store_image_free(struct inmem_image *image)
{
    if (image == NULL)
        return;
    KT_ASSERT(!image->opened);
    drop_state(&image->state);
    free(image);
}

void store_image_watch(struct inmem_image *image, store_image_fn *fn, void *arg)
{
    image->watch = fn;
    image->watch_arg = arg;
}

void store_image_freeze(struct inmem_image *image)
{
    atomic_store(&image->frozen, true);
}

void store_inmem_lose(struct store *store, unsigned nth, bool applied)
{
    KT_ASSERT(store->engine->kind == &inmem_kind);
    struct inmem *inmem = inmem_of(store->engine);
    inmem->lose_applied = applied;
    atomic_store(&inmem->lose_in, nth);
}
