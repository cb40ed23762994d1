/* The queue and the store thread. It takes all that is queued, folds it, and never waits for more:
 * while one sync runs, the next fold collects itself. */
#include <errno.h>
#include <signal.h>

#include "lib/assert.h"
#include "vaultd/store/fold.h"

/* An empty batch counts too, so that a fold has an end. */
static unsigned weight(const struct batch *batch)
{
    return batch->n == 0 ? 1 : batch->n;
}

void store_commit(struct store *store, struct batch *take_batch, store_done_fn *done, void *arg)
{
    KT_ASSERT(store != NULL && store->magic == STORE_MAGIC);
    KT_ASSERT(take_batch != NULL && take_batch->magic == BATCH_MAGIC && done != NULL);
    struct batch *batch = take_batch;
    batch->done = done;
    batch->arg = arg;

    (void)pthread_mutex_lock(&store->lock);
    enum store_error refusal = STORE_OK;
    if (batch->failed)
        refusal = batch->no_memory ? STORE_NO_MEMORY : STORE_TOO_LARGE;
    else if (store->queued >= store->queue_max ||
             batch->len > store->queue_bytes_max - store->queued_bytes)
        refusal = STORE_BUSY;
    if (refusal == STORE_OK) {
        store->queued++;
        store->queued_bytes += batch->len;
        batch_list_add(&store->queue, batch);
    } else {
        /* The answer has to come from the store thread; only the answer is kept. */
        batch_shed(batch);
        batch->result.error = refusal;
        batch_list_add(&store->refused, batch);
    }
    bool wake = store->idle;
    store->idle = false;
    (void)pthread_mutex_unlock(&store->lock);
    if (wake)
        (void)pthread_cond_signal(&store->work);
}

/* As many as a fold may hold, at least one. Called with the lock held. */
static struct batch *take_fold(struct store *store)
{
    struct batch *first = store->queue.first, **end = &store->queue.first;
    unsigned ops = 0;
    size_t bytes = 0;
    while (*end != NULL) {
        struct batch *batch = *end;
        if (batch != first && (ops + weight(batch) > store->fold_ops ||
                               bytes + batch->len > store->engine->kind->fold_bytes))
            break;
        ops += weight(batch);
        bytes += batch->len;
        store->queued--;
        store->queued_bytes -= batch->len;
        end = &batch->next;
    }
    struct batch *rest = *end;
    *end = NULL;
    store->queue.first = rest;
    if (rest == NULL)
        store->queue.end = &store->queue.first;
    return first;
}

/* ---- the thread ---- */

struct store_task {
    void (*fn)(void *arg);
    void *arg;
    bool done; /* guarded by store->lock */
    pthread_cond_t ended;
};

void store_run(struct store *store, void (*fn)(void *arg), void *arg)
{
    struct store_task task = {.fn = fn, .arg = arg};
    (void)pthread_cond_init(&task.ended, NULL);
    (void)pthread_mutex_lock(&store->lock);
    KT_ASSERT(store->task == NULL && !store->closing);
    store->task = &task;
    store->idle = false;
    (void)pthread_cond_signal(&store->work);
    while (!task.done)
        (void)pthread_cond_wait(&task.ended, &store->lock);
    (void)pthread_mutex_unlock(&store->lock);
    (void)pthread_cond_destroy(&task.ended);
}

/* Called with the lock held, which it gives up meanwhile. */
static void run_task(struct store *store)
{
    struct store_task *task = store->task;
    (void)pthread_mutex_unlock(&store->lock);
    task->fn(task->arg);
    (void)pthread_mutex_lock(&store->lock);
    store->task = NULL;
    task->done = true;
    (void)pthread_cond_signal(&task->ended);
}

static void *store_thread(void *arg)
{
    struct store *store = KT_OBJECT(struct store, arg, STORE_MAGIC);
    (void)pthread_setname_np(pthread_self(), "store"); /* of another thread the sandbox would not let it be written */
    for (;;) {
        (void)pthread_mutex_lock(&store->lock);
        while (store->queue.first == NULL && store->refused.first == NULL &&
               store->task == NULL && !store->closing) {
            store->idle = true;
            (void)pthread_cond_wait(&store->work, &store->lock);
        }
        store->idle = false;
        if (store->task != NULL)
            run_task(store);
        struct batch *refused = batch_list_take_all(&store->refused);
        struct batch *first = store->queue.first == NULL ? NULL : take_fold(store);
        bool closing = store->closing;
        (void)pthread_mutex_unlock(&store->lock);
        if (refused == NULL && first == NULL && closing)
            break; /* nothing is left */
        store_complete(refused);
        if (first != NULL)
            store_fold_run(store, first);
    }
    store_fold_drop_rest(store);
    return NULL;
}

enum kt_kind store_thread_start(struct store *store, struct kt_err *err)
{
    batch_list_init(&store->queue);
    batch_list_init(&store->refused);
    sigset_t all, old;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&store->thread, NULL, store_thread, store);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0) {
        errno = rc;
        (void)kt_fail(err, KT_IO, "cannot start the store thread");
        kt_hint(err, "raise the limit of tasks (TasksMax=, ulimit -u)");
        return KT_IO;
    }
    return KT_OK;
}

void store_thread_stop(struct store *store)
{
    (void)pthread_mutex_lock(&store->lock);
    store->closing = true;
    (void)pthread_mutex_unlock(&store->lock);
    (void)pthread_cond_signal(&store->work);
    (void)pthread_join(store->thread, NULL);
}
