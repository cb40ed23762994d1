/* vaultd/core/heap.h - gives memory that was freed back to the system.
 *
 * What:    What thousands of connections took lies free between what is still in use when they have
 *          closed, and malloc keeps it: it only gives back what is free at a heap's end. So the free
 *          bytes are looked at now and then, and when there are many more than after the last time
 *          their pages are given back. They need not be wiped for that: whoever frees secrets wipes.
 * Threads: heap_settings(): before start. heap_look(): one thread at a time; other threads' mallocs
 *          may wait a millisecond or two for it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Large blocks are mapped on their own and go back when they are freed. */
void heap_settings(void);

struct heap {
    size_t known_free; /* of which the pages were given back, as far as known */
};
/* True: pages were given back. */
bool heap_look(struct heap *heap);
