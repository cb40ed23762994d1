#include <pthread.h>
#include <stdlib.h>

#include "lib/background.h"
#include "lib/failpoint.h"
#include "vaultd/core/private.h"

/* One thread for what the carriers' threads must not do: what may block (init, unseal, seal, a
 * checkpoint on demand), or what takes long. First come, first served; at most one such thing at a time
 * is wanted anyway. */
struct desk {
    desk_work_fn *work;
    const char *background; /* what it does can wait (lib/background.h): its name; NULL: not */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t posted;
    struct request *first, **last; /* guarded by lock */
    bool stopping;                 /* guarded by lock */
};

static void *desk_thread(void *arg)
{
    struct desk *desk = arg;
    if (desk->background != NULL)
        kt_background_thread(desk->background);
    (void)pthread_mutex_lock(&desk->lock);
    while (!desk->stopping || desk->first != NULL) {
        struct request *req = desk->first;
        if (req == NULL) {
            (void)pthread_cond_wait(&desk->posted, &desk->lock);
            continue;
        }
        desk->first = req->own->next_deferred;
        if (desk->first == NULL)
            desk->last = &desk->first;
        (void)pthread_mutex_unlock(&desk->lock);
        desk->work(req); /* from here the carrier's thread owns req */
        (void)pthread_mutex_lock(&desk->lock);
    }
    (void)pthread_mutex_unlock(&desk->lock);
    return NULL;
}

struct desk *desk_new(desk_work_fn *work, const char *background)
{
    struct desk *desk = kt_calloc(1, sizeof *desk);
    if (desk == NULL)
        return NULL;
    desk->work = work;
    desk->background = background;
    desk->last = &desk->first;
    (void)pthread_mutex_init(&desk->lock, NULL);
    (void)pthread_cond_init(&desk->posted, NULL);
    if (pthread_create(&desk->thread, NULL, desk_thread, desk) != 0) {
        free(desk);
        return NULL;
    }
    return desk;
}

void desk_free(struct desk *desk)
{
    if (desk == NULL)
        return;
    (void)pthread_mutex_lock(&desk->lock);
    desk->stopping = true;
    (void)pthread_cond_signal(&desk->posted);
    (void)pthread_mutex_unlock(&desk->lock);
    (void)pthread_join(desk->thread, NULL);
    (void)pthread_cond_destroy(&desk->posted);
    (void)pthread_mutex_destroy(&desk->lock);
    free(desk);
}

void desk_post(struct desk *desk, struct request *req)
{
    (void)pthread_mutex_lock(&desk->lock);
    req->own->next_deferred = NULL;
    *desk->last = req;
    desk->last = &req->own->next_deferred;
    (void)pthread_cond_signal(&desk->posted);
    (void)pthread_mutex_unlock(&desk->lock);
}
