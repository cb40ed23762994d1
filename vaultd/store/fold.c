/* One fold: checks and applies each batch in order within one engine transaction, commits, tells
 * the followers, completes the batches. All of it on the store thread. */
#include "vaultd/store/fold.h"

#include <limits.h>
#include <stdio.h>

#include "lib/assert.h"
#include "lib/failpoint.h"

struct fold {
    struct batch *first;
    generation at;        /* the generation it will have */
    size_t n_changes;
    unsigned n_outcomes, n_batches;
    bool dirty;           /* something was put, deleted or recorded */
};

/* ---- completing ---- */

void store_complete(struct batch *first)
{
    while (first != NULL) {
        struct batch *batch = first;
        first = batch->next;
        batch->done(batch->arg, &batch->result);
        batch_free(batch);
    }
}

static void fail_all(struct batch *first, enum store_error error)
{
    for (struct batch *batch = first; batch != NULL; batch = batch->next)
        batch->result = (struct commit_result){.error = error};
}

static bool has_prefix(struct kt_bytes key, const struct follower *follower)
{
    return key.len >= follower->prefix_len &&
           memcmp(key.at, follower->prefix, follower->prefix_len) == 0;
}

static void tell_followers(struct store *store, const struct fold *fold)
{
    unsigned n = atomic_load_explicit(&store->n_followers, memory_order_acquire);
    for (unsigned i = 0; i < n; i++) {
        const struct follower *follower = &store->followers[i];
        size_t found = 0;
        for (size_t c = 0; c < fold->n_changes; c++)
            if (has_prefix(store->changes[c].key, follower))
                store->matching[found++] = store->changes[c];
        if (found == 0)
            continue;
        struct fold_event event = {.at = fold->at, .of = store->matching, .n = found};
        follower->follow(follower->arg, &event);
    }
}

/* ---- one batch within a fold ---- */

static enum store_error check_one(struct store *store, const struct fold *fold,
                                  struct kt_bytes key, const struct batch_op *op, bool *ret_holds,
                                  generation *ret_found)
{
    struct engine *engine = store->engine;
    generation found = 0;
    bool holds = false;
    if (op->condition == STORE_GENERATION) {
        found = fold->dirty ? fold->at : fold->at - 1;
        *ret_holds = found <= op->g;
        *ret_found = found;
        return STORE_OK;
    }
    struct entry entry;
    enum store_error error = engine->kind->fold_get(engine, key, &entry);
    if (error != STORE_OK && error != STORE_NOT_FOUND)
        return error;
    bool present = error == STORE_OK;
    if (present)
        found = entry.changed;
    switch ((enum condition)op->condition) {
    case KEY_ABSENT:
        holds = !present;
        break;
    case KEY_PRESENT:
        holds = present;
        break;
    case KEY_CHANGED_AT:
        holds = present && found == op->g;
        break;
    case KEY_NOT_AFTER:
        holds = !present || found <= op->g;
        break;
    case STORE_GENERATION:
        break;
    }
    *ret_holds = holds;
    *ret_found = found;
    return STORE_OK;
}

/* STORE_CONFLICT is in the result; what is returned spoils the fold. */
static enum store_error check(struct store *store, const struct fold *fold, struct batch *batch)
{
    unsigned index = 0;
    if (batch->age != 0 && batch->age < atomic_load(&store->oldest_age)) {
        batch->result = (struct commit_result){.error = STORE_CONFLICT};
        return STORE_OK;
    }
    for (unsigned i = 0; i < batch->n; i++) {
        const struct batch_op *op = &batch->ops[i];
        if (op->kind != BATCH_REQUIRE)
            continue;
        bool holds = false;
        generation found = 0;
        enum store_error error = check_one(store, fold, batch_key(batch, op), op, &holds, &found);
        if (error != STORE_OK)
            return error;
        if (!holds) {
            batch->result = (struct commit_result){
                .error = STORE_CONFLICT, .condition = index, .found = found};
            return STORE_OK;
        }
        index++;
    }
    return STORE_OK;
}

static enum store_error apply(struct store *store, struct fold *fold, struct batch *batch)
{
    struct engine *engine = store->engine;
    for (unsigned i = 0; i < batch->n; i++) {
        const struct batch_op *op = &batch->ops[i];
        if (op->kind == BATCH_REQUIRE)
            continue;
        struct kt_bytes key = batch_key(batch, op);
        bool put = op->kind == BATCH_PUT;
        enum store_error error =
            put ? engine->kind->fold_put(engine, STORE_DATA, key, fold->at,
                                         batch_value(batch, op))
                : engine->kind->fold_delete(engine, key);
        if (error != STORE_OK && (put || error != STORE_NOT_FOUND))
            return error;
        store->changes[fold->n_changes++] = (struct change){key, !put};
    }
    if (batch->has_outcome) {
        struct kt_bytes record = batch_record(batch);
        kt_buf_add_field(&store->outcomes, record);
        if (!kt_buf_ok(&store->outcomes))
            return STORE_NO_MEMORY;
        batch->result.place = fold->n_outcomes++;
    }
    if (batch->writes != 0 || batch->has_outcome)
        fold->dirty = true;
    return STORE_OK;
}

/* Ordinary batches leave a reserve to those that revoke, expire and seal. Who only deletes makes
 * room, though it needs some to do so. */
static bool relieves(const struct batch *batch)
{
    return batch->relief || batch->puts == 0;
}

static bool has_room(struct store *store, const struct batch *batch)
{
    struct engine *engine = store->engine;
    if (batch->writes == 0 && !batch->has_outcome)
        return true;
    if (store->relief_only && !relieves(batch))
        return false;
    unsigned percent =
        relieves(batch) ? engine->kind->relief_percent : engine->kind->ordinary_percent;
    uint64_t limit = engine->max_bytes / 100 * percent;
    uint64_t used = engine->kind->fold_used(engine);
    return used <= limit && batch->len <= limit - used;
}

static enum store_error apply_all(struct store *store, struct fold *fold)
{
    for (struct batch *batch = fold->first; batch != NULL; batch = batch->next) {
        batch->result = (struct commit_result){.error = STORE_OK};
        if (!has_room(store, batch)) {
            batch->result.error = STORE_FULL;
            continue;
        }
        enum store_error error = check(store, fold, batch);
        if (error == STORE_OK && batch->result.error == STORE_OK) {
            error = apply(store, fold, batch);
            fold->n_batches++;
        }
        if (error != STORE_OK)
            return error;
    }
    return STORE_OK;
}

/* ---- the fold ---- */

/* Drops what the log holds by now, at most max. *ret_all: nothing of it would be left. */
static enum store_error drop_outcomes(struct store *store, unsigned max, bool *ret_all)
{
    struct engine *engine = store->engine;
    generation synced = atomic_load(&store->outcomes_synced);
    if (synced <= store->outcomes_dropped) {
        *ret_all = true;
        return STORE_OK;
    }
    unsigned char upto[8];
    kt_put_be64(upto, synced);
    unsigned dropped = 0;
    enum store_error error =
        engine->kind->fold_drop(engine, kt_bytes(upto, sizeof upto), max, &dropped);
    *ret_all = error == STORE_OK && dropped < max;
    return error;
}

static void ask_witness(struct store *store, struct store_head *head)
{
    (void)pthread_mutex_lock(&store->witness_lock);
    if (store->witness != NULL)
        store->witness(store->witness_arg, head->witness);
    (void)pthread_mutex_unlock(&store->witness_lock);
}

/* Everything of the fold that is not a batch: outcomes, the head, the commit itself. */
static enum store_error finish(struct store *store, const struct fold *fold)
{
    struct engine *engine = store->engine;
    generation synced = atomic_load(&store->outcomes_synced);
    bool all_dropped = false;
    enum store_error error = drop_outcomes(store, engine->kind->fold_drops, &all_dropped);
    if (error == STORE_OK && fold->n_outcomes != 0) {
        unsigned char key[8];
        kt_put_be64(key, fold->at);
        error = engine->kind->fold_put(engine, STORE_OUTCOMES, kt_bytes(key, sizeof key), fold->at,
                                       kt_buf_bytes(&store->outcomes));
    }
    if (error != STORE_OK) {
        engine->kind->fold_abort(engine);
        return error;
    }
    struct store_head head = store->head; /* only this thread writes it */
    head.at = fold->at;
    ask_witness(store, &head);
    if (KT_FAILPOINT(store_before_commit)) {
        engine->kind->fold_abort(engine);
        (void)snprintf(engine->trouble, sizeof engine->trouble, "failpoint store_before_commit");
        return STORE_UNKNOWN;
    }
    error = engine->kind->fold_commit(engine, &head);
    if (error == STORE_OK && KT_FAILPOINT(store_after_commit)) {
        (void)snprintf(engine->trouble, sizeof engine->trouble, "failpoint store_after_commit");
        return STORE_UNKNOWN;
    }
    if (error != STORE_OK)
        return error;
    if (all_dropped)
        store->outcomes_dropped = synced;
    (void)pthread_mutex_lock(&store->head_lock);
    store->head = head;
    (void)pthread_mutex_unlock(&store->head_lock);
    return STORE_OK;
}

static bool has_ordinary(const struct batch *batch)
{
    while (batch != NULL && relieves(batch))
        batch = batch->next;
    return batch != NULL;
}

/* Sets each batch's result but does not complete it. What is returned holds for all of them. */
static enum store_error try_fold(struct store *store, struct batch *first)
{
    struct engine *engine = store->engine;
    struct fold fold = {.first = first, .at = store->head.at + 1};
    kt_buf_reset(&store->outcomes);
    if (engine->kind->reserve_take != NULL && has_ordinary(first))
        store->relief_only = !engine->kind->reserve_take(engine);
    enum store_error error = engine->kind->fold_begin(engine);
    if (error != STORE_OK)
        return error;
    error = apply_all(store, &fold);
    if (error != STORE_OK || !fold.dirty) {
        engine->kind->fold_abort(engine);
    } else {
        error = finish(store, &fold);
    }
    if (error != STORE_OK)
        return error;
    for (struct batch *batch = first; batch != NULL; batch = batch->next)
        if (batch->result.error == STORE_OK)
            batch->result.at = fold.dirty ? fold.at : fold.at - 1;
    if (fold.dirty) {
        atomic_store_explicit(&store->used, engine->used, memory_order_relaxed);
        atomic_store_explicit(&store->entries, engine->entries, memory_order_relaxed);
        atomic_fetch_add_explicit(&store->folds, 1, memory_order_relaxed);
        tell_followers(store, &fold);
    }
    atomic_fetch_add_explicit(&store->batches, fold.n_batches, memory_order_relaxed);
    return STORE_OK;
}

void store_break(struct store *store, const char *what)
{
    if (atomic_exchange(&store->broken, true))
        return;
    (void)pthread_mutex_lock(&store->lock);
    store_broken_fn *on_broken = store->on_broken;
    void *arg = store->on_broken_arg;
    (void)pthread_mutex_unlock(&store->lock);
    if (on_broken != NULL)
        on_broken(arg, what);
}

/* Completes the list with what try_fold() returned. After STORE_UNKNOWN and STORE_BROKEN no
 * snapshot and no commit follows: the kernel may have dropped what it could not write. That is told
 * first: whatever a completion does or waits for, the process ends. */
static void settle(struct store *store, struct batch *first, enum store_error error)
{
    if (error != STORE_OK)
        fail_all(first, error);
    if (error == STORE_UNKNOWN || error == STORE_BROKEN)
        store_break(store, store->engine->trouble);
    store_complete(first);
}

/* True: the store had stopped before. */
static bool refuse_broken(struct store *store, struct batch *first)
{
    if (!atomic_load(&store->broken))
        return false;
    fail_all(first, STORE_BROKEN);
    store_complete(first);
    return true;
}

static void run_alone(struct store *store, struct batch *batch)
{
    batch->next = NULL;
    struct engine *engine = store->engine;
    if (refuse_broken(store, batch))
        return;
    enum store_error error = try_fold(store, batch);
    if (error == STORE_FULL && relieves(batch) && engine->kind->reserve_give != NULL &&
        engine->kind->reserve_give(engine))
        error = try_fold(store, batch);
    settle(store, batch, error);
}

/* The disk is full for all of them together. Alone, relief first, what fits gets through. To keep
 * the order of commits, an ordinary batch that stands before a relief batch is given up instead of
 * being tried after it. */
static void run_each_alone(struct store *store, struct batch *first)
{
    struct batch_list relief, ordinary, given_up;
    batch_list_init(&relief);
    batch_list_init(&ordinary);
    batch_list_init(&given_up);
    struct batch *last_relief = NULL;
    for (struct batch *batch = first; batch != NULL; batch = batch->next)
        if (relieves(batch))
            last_relief = batch;
    bool before = last_relief != NULL;
    while (first != NULL) {
        struct batch *batch = first;
        first = batch->next;
        if (batch == last_relief)
            before = false;
        batch_list_add(relieves(batch) ? &relief : before ? &given_up : &ordinary, batch);
    }
    fail_all(given_up.first, STORE_FULL);
    store_complete(given_up.first);
    while (relief.first != NULL) {
        struct batch *batch = relief.first;
        relief.first = batch->next;
        run_alone(store, batch);
    }
    while (ordinary.first != NULL) {
        struct batch *batch = ordinary.first;
        ordinary.first = batch->next;
        run_alone(store, batch);
    }
}

void store_fold_run(struct store *store, struct batch *first)
{
    if (refuse_broken(store, first))
        return;
    enum store_error error = try_fold(store, first);
    if (error == STORE_FULL)
        run_each_alone(store, first);
    else
        settle(store, first, error);
}

/* So that the next start has nothing to compare. Nobody waits for it: failure is no loss. */
void store_fold_drop_rest(struct store *store)
{
    struct engine *engine = store->engine;
    if (atomic_load(&store->broken) ||
        atomic_load(&store->outcomes_synced) <= store->outcomes_dropped ||
        engine->kind->fold_begin(engine) != STORE_OK)
        return;
    bool all = false;
    if (drop_outcomes(store, UINT_MAX, &all) == STORE_OK)
        (void)engine->kind->fold_commit(engine, NULL);
    else
        engine->kind->fold_abort(engine);
}
