#include "vaultd/core/heap.h"

#include <malloc.h>

#define MAPPED_BYTES (128 * 1024)
#define WORTH_BYTES  ((size_t)1024 * 1024)

void heap_settings(void)
{
    /* Set once, it no longer grows with the blocks that are freed. */
    (void)mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
}

bool heap_look(struct heap *heap)
{
    size_t free_bytes = mallinfo2().fordblks;
    if (free_bytes < heap->known_free)
        heap->known_free = free_bytes; /* used again, so it counts anew when it is freed */
    if (free_bytes - heap->known_free < WORTH_BYTES)
        return false;
    (void)malloc_trim(0);
    heap->known_free = mallinfo2().fordblks;
    return true;
}
