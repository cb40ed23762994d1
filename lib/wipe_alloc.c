/* lib/wipe_alloc.c - see lib/wipe_alloc.h. */
#include "lib/wipe_alloc.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "lib/failpoint.h"

void *kt_wipe_malloc(size_t size)
{
    return kt_malloc(size == 0 ? 1 : size);
}

void *kt_wipe_calloc(size_t count, size_t size)
{
    return kt_calloc(count, size);
}

void kt_wipe_free(void *at)
{
    if (at == NULL)
        return;
    explicit_bzero(at, malloc_usable_size(at));
    free(at);
}

void *kt_wipe_realloc(void *at, size_t size)
{
    if (at == NULL)
        return kt_wipe_malloc(size);
    size_t room = malloc_usable_size(at);
    if (size != 0 && size <= room && size >= room / 2)
        return at;
    void *moved = kt_wipe_malloc(size);
    if (moved == NULL)
        return NULL;
    (void)memcpy(moved, at, room < size ? room : size);
    kt_wipe_free(at);
    return moved;
}

char *kt_wipe_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = kt_wipe_malloc(size);
    if (copy != NULL)
        (void)memcpy(copy, text, size);
    return copy;
}
