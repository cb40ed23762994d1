/* tests/support/store_queue.h - what waits for a store's thread. Threads: any thread. */
#pragma once

#include "vaultd/store/store.h"

/* Whether a batch of this age (batch_age()) does. */
bool store_queue_has(struct store *store, uint32_t age);
