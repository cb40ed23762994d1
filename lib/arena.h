/* lib/arena.h - a request's memory: bump allocation with a bound, wiped at the end.
 *
 * What:    kt_arena_take() never has to be freed; the whole arena is wiped and emptied at once.
 *          Its maximum is the request's memory limit. After it was passed, or memory ran out,
 *          takes return NULL and `failed` stays set.
 * Owner:   kt_arena_init(), kt_arena_free(). Pointers live until reset or free.
 * Threads: one thread at a time. */
#pragma once

#include "lib/bytes.h"

struct kt_arena_chunk;
struct kt_arena {
    struct kt_arena_chunk *chunks;
    size_t taken, max;
    bool failed;
};

void kt_arena_init(struct kt_arena *arena, size_t max);
void kt_arena_reset(struct kt_arena *arena);  /* wipes; keeps the first chunk */
void kt_arena_free(struct kt_arena *arena);
/* Zeroed, aligned to 16. */
void *kt_arena_take(struct kt_arena *arena, size_t size);
char *kt_arena_text(struct kt_arena *arena, struct kt_bytes bytes);  /* copy with a NUL */
char *kt_arena_printf(struct kt_arena *arena, const char *format, ...) KT_PRINTF(2, 3);
