/* lib/wipe_alloc.h - an allocator that wipes what it frees, for libraries that do not.
 *
 * What:    libcurl and jansson keep copies of tokens and values on the heap and free them as they
 *          are. Given these functions (curl_global_init_mem, json_set_alloc_funcs) nothing of that
 *          stays behind.
 * Owner:   as malloc's. Memory of kt_wipe_malloc() may be given to free(), only unwiped.
 * Threads: any thread. */
#pragma once

#include <stddef.h>

void *kt_wipe_malloc(size_t size);
void *kt_wipe_calloc(size_t count, size_t size);
void *kt_wipe_realloc(void *at, size_t size);
char *kt_wipe_strdup(const char *text);
void kt_wipe_free(void *at);
