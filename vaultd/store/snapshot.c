/* Snapshots and cursors. A snapshot is a slot of a fixed pool. A thread begins its search at a
 * place that its own id gives, so it nearly always gets the same slot back, with the engine's view
 * in it ready to be renewed, and meets no other thread: one uncontended exchange, no lock, nothing
 * to clean up when a thread ends. */
#include <stdlib.h>
#include <time.h>

#include "lib/assert.h"
#include "lib/failpoint.h"
#include "lib/timespec.h"
#include "vaultd/store/fold.h"

struct snapshot *store_snapshots_new(struct engine *engine)
{
    struct snapshot *snapshots = aligned_alloc(_Alignof(struct snapshot),
                                               STORE_SNAPSHOTS * sizeof *snapshots);
    if (snapshots == NULL)
        return NULL;
    memset(snapshots, 0, STORE_SNAPSHOTS * sizeof *snapshots);
    for (size_t i = 0; i < STORE_SNAPSHOTS; i++)
        snapshots[i].engine = engine;
    return snapshots;
}

void store_snapshots_free(struct snapshot *snapshots)
{
    if (snapshots == NULL)
        return;
    for (size_t i = 0; i < STORE_SNAPSHOTS; i++) {
        KT_ASSERT(!atomic_load(&snapshots[i].taken));
        snapshots[i].engine->kind->view_free(&snapshots[i]);
    }
    free(snapshots);
}

static void nap(void)
{
    const struct timespec one_ms = {.tv_nsec = 1000000};
    (void)nanosleep(&one_ms, NULL);
}

void store_each_slot(struct snapshot *snapshots, void (*each)(struct snapshot *slot, void *arg),
                     void *arg)
{
    for (size_t i = 0; i < STORE_SNAPSHOTS; i++) {
        struct snapshot *slot = &snapshots[i];
        atomic_store_explicit(&slot->wanted, true, memory_order_relaxed);
        while (atomic_exchange_explicit(&slot->taken, true, memory_order_acquire))
            nap();
        atomic_store_explicit(&slot->wanted, false, memory_order_relaxed);
        each(slot, arg);
        atomic_store_explicit(&slot->taken, false, memory_order_release);
    }
}

static void let_be(struct snapshot *slot, void *arg)
{
    (void)slot;
    (void)arg;
}

void store_await_snapshots(struct store *store)
{
    store_each_slot(store->snapshots, let_be, NULL);
}

/* Good to some milliseconds, for a quarter of a clock's price: it only tells how old the oldest is. */
static int64_t about_now_ms(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return kt_timespec_ms(&now);
}

int64_t store_snapshots_oldest_ms(const struct snapshot *snapshots)
{
    int64_t now = about_now_ms(), oldest = now;
    for (size_t i = 0; i < STORE_SNAPSHOTS; i++) {
        int64_t began = atomic_load_explicit(&snapshots[i].began_ms, memory_order_relaxed);
        if (began != 0 && began < oldest)
            oldest = began;
    }
    return now - oldest;
}

/* NULL: all are taken. */
static struct snapshot *take_slot(struct snapshot *snapshots)
{
    /* Thread descriptors are far apart and aligned: multiply, and use the high bits. */
    uint64_t id = (uint64_t)(uintptr_t)pthread_self() >> 6;
    size_t start = (size_t)((id * UINT64_C(0x9e3779b97f4a7c15)) >> 40);
    for (size_t i = 0; i < STORE_SNAPSHOTS; i++) {
        struct snapshot *slot = &snapshots[(start + i) % STORE_SNAPSHOTS];
        if (!atomic_load_explicit(&slot->taken, memory_order_relaxed) &&
            !atomic_load_explicit(&slot->wanted, memory_order_relaxed) &&
            !atomic_exchange_explicit(&slot->taken, true, memory_order_acquire))
            return slot;
    }
    return NULL;
}

static void give_slot(struct snapshot *slot)
{
    atomic_store_explicit(&slot->began_ms, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->taken, false, memory_order_release);
}

enum store_error snapshot_begin(struct store *store, struct snapshot **ret)
{
    KT_ASSERT(store != NULL && store->magic == STORE_MAGIC);
    if (atomic_load_explicit(&store->broken, memory_order_acquire))
        return STORE_BROKEN;
    struct snapshot *snapshot = take_slot(store->snapshots);
    if (snapshot == NULL)
        return STORE_BUSY;
    enum store_error error = snapshot->engine->kind->view_begin(snapshot);
    if (error != STORE_OK) {
        give_slot(snapshot);
        if (error == STORE_BROKEN)
            store_break(store, "no snapshot of the store can be made any more");
        return error;
    }
    snapshot->owner = pthread_self();
    snapshot->failed = STORE_OK;
    atomic_store_explicit(&snapshot->began_ms, about_now_ms(), memory_order_relaxed);
    *ret = snapshot;
    return STORE_OK;
}

generation snapshot_generation(const struct snapshot *snapshot)
{
    return snapshot->at;
}

void snapshot_end(struct snapshot *snapshot)
{
    if (snapshot == NULL)
        return;
    KT_ASSERT(atomic_load_explicit(&snapshot->taken, memory_order_relaxed));
    KT_ASSERT(pthread_equal(snapshot->owner, pthread_self()));
    KT_ASSERT(!snapshot->cursor_lent);
    snapshot->engine->kind->view_end(snapshot);
    give_slot(snapshot);
}

static enum store_error note(struct snapshot *snapshot, enum store_error error)
{
    if (error != STORE_OK && error != STORE_NOT_FOUND && snapshot->failed == STORE_OK)
        snapshot->failed = error;
    return error;
}

enum store_error snapshot_error(const struct snapshot *snapshot)
{
    return snapshot->failed;
}

enum store_error snapshot_get(struct snapshot *snapshot, struct kt_bytes key, struct entry *ret)
{
    if (key.len == 0 || key.len > STORE_KEY_MAX)
        return STORE_NOT_FOUND;
    return note(snapshot, snapshot->engine->kind->view_get(snapshot, key, ret));
}

/* ---- cursors ---- */

static struct cursor *new_cursor(struct snapshot *snapshot)
{
    if (!snapshot->cursor_lent) {
        snapshot->cursor_lent = true;
        snapshot->cursor.lent = true;
        return &snapshot->cursor;
    }
    struct cursor *cursor = kt_malloc(sizeof *cursor);
    if (cursor != NULL)
        cursor->lent = false;
    return cursor;
}

static void free_cursor(struct cursor *cursor)
{
    if (cursor->lent)
        cursor->snapshot->cursor_lent = false;
    else
        free(cursor);
}

enum store_error store_cursor_open(struct snapshot *snapshot, enum store_space space,
                                   struct kt_bytes prefix, struct kt_bytes from,
                                   struct cursor **ret)
{
    if (prefix.len > STORE_KEY_MAX || from.len > STORE_KEY_MAX)
        return STORE_TOO_LARGE;
    struct cursor *cursor = new_cursor(snapshot);
    if (cursor == NULL)
        return note(snapshot, STORE_NO_MEMORY);
    struct kt_bytes start = store_key_order(from, prefix) > 0 ? from : prefix;
    cursor->snapshot = snapshot;
    cursor->space = space;
    cursor->started = cursor->done = false;
    cursor->own = NULL;
    cursor->prefix_len = (uint8_t)prefix.len;
    cursor->at_len = (uint8_t)start.len;
    if (prefix.len != 0)
        memcpy(cursor->prefix, prefix.at, prefix.len);
    if (start.len != 0)
        memcpy(cursor->at, start.at, start.len);
    enum store_error error = snapshot->engine->kind->scan_open(cursor);
    if (error != STORE_OK) {
        free_cursor(cursor);
        return note(snapshot, error);
    }
    *ret = cursor;
    return STORE_OK;
}

enum store_error cursor_open(struct snapshot *snapshot, struct kt_bytes prefix,
                             struct kt_bytes from, struct cursor **ret)
{
    return store_cursor_open(snapshot, STORE_DATA, prefix, from, ret);
}

enum store_error cursor_next(struct cursor *cursor, struct entry *ret)
{
    if (cursor->done)
        return STORE_NOT_FOUND;
    struct entry entry;
    enum store_error error = cursor->snapshot->engine->kind->scan_next(cursor, &entry);
    cursor->started = true;
    if (error == STORE_OK &&
        (entry.key.len < cursor->prefix_len ||
         memcmp(entry.key.at, cursor->prefix, cursor->prefix_len) != 0))
        error = STORE_NOT_FOUND;
    if (error != STORE_OK) {
        cursor->done = true;
        return note(cursor->snapshot, error);
    }
    *ret = entry;
    return STORE_OK;
}

void cursor_close(struct cursor *cursor)
{
    if (cursor == NULL)
        return;
    cursor->snapshot->engine->kind->scan_close(cursor);
    free_cursor(cursor);
}
