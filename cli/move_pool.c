/* cli/move_pool.c - see cli/move_pool.h. */
#include "cli/move_pool.h"

#include <pthread.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "lib/failpoint.h"

#define QUEUE 64u

struct worker {
    struct move_pool *pool;
    unsigned number;
    pthread_t thread;
};

struct move_pool {
    move_work_fn *work;
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char *queue[QUEUE]; /* guarded by lock, as all that follows */
    size_t first, count;
    bool closed;
    struct worker workers[MOVE_WORKERS];
    unsigned started;
};

static char *take(struct move_pool *pool)
{
    char *path = NULL;
    (void)pthread_mutex_lock(&pool->lock);
    while (pool->count == 0 && !pool->closed)
        (void)pthread_cond_wait(&pool->changed, &pool->lock);
    if (pool->count > 0) {
        path = pool->queue[pool->first];
        pool->first = (pool->first + 1) % QUEUE;
        pool->count--;
        (void)pthread_cond_broadcast(&pool->changed);
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return path;
}

static void *run(void *arg)
{
    struct worker *worker = arg;
    for (;;) {
        kt_autofree char *path = take(worker->pool);
        if (path == NULL)
            return NULL;
        worker->pool->work(worker->pool->arg, worker->number, path);
    }
}

enum kt_kind move_pool_start(move_work_fn *work, void *arg, struct move_pool **ret, struct kt_err *err)
{
    struct move_pool *pool = kt_calloc(1, sizeof *pool);
    if (pool == NULL)
        return kt_fail(err, KT_NO_MEMORY, "starting to move");
    pool->work = work;
    pool->arg = arg;
    (void)pthread_mutex_init(&pool->lock, NULL);
    (void)pthread_cond_init(&pool->changed, NULL);
    while (pool->started < MOVE_WORKERS) {
        struct worker *worker = &pool->workers[pool->started];
        *worker = (struct worker){.pool = pool, .number = pool->started};
        if (pthread_create(&worker->thread, NULL, run, worker) != 0)
            break;
        pool->started++;
    }
    if (pool->started == 0) {
        move_pool_finish(pool);
        return kt_fail(err, KT_NO_MEMORY, "starting a thread");
    }
    *ret = pool;
    return KT_OK;
}

bool move_pool_add(struct move_pool *pool, const char *path)
{
    size_t size = strlen(path) + 1;
    char *copy = kt_malloc(size);
    if (copy == NULL)
        return false;
    memcpy(copy, path, size);
    (void)pthread_mutex_lock(&pool->lock);
    while (pool->count == QUEUE)
        (void)pthread_cond_wait(&pool->changed, &pool->lock);
    pool->queue[(pool->first + pool->count++) % QUEUE] = copy;
    (void)pthread_cond_broadcast(&pool->changed);
    (void)pthread_mutex_unlock(&pool->lock);
    return true;
}

void move_pool_finish(struct move_pool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    pool->closed = true;
    (void)pthread_cond_broadcast(&pool->changed);
    (void)pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->started; i++)
        (void)pthread_join(pool->workers[i].thread, NULL);
    (void)pthread_cond_destroy(&pool->changed);
    (void)pthread_mutex_destroy(&pool->lock);
    free(pool);
}
