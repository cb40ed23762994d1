#include "tests/support/store_queue.h"

#include "vaultd/store/fold.h"

bool store_queue_has(struct store *store, uint32_t age)
{
    bool found = false;
    (void)pthread_mutex_lock(&store->lock);
    for (const struct batch *batch = store->queue.first; batch != NULL; batch = batch->next)
        found = found || batch->age == age;
    (void)pthread_mutex_unlock(&store->lock);
    return found;
}
