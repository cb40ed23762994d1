#include "lib/arena.h"

#include <pthread.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/failpoint.h"

#define CHUNK_BYTES 4000u
/* Chunks that a thread keeps for its next arenas. Not under AddressSanitizer, which shall see who
 * uses memory of an arena that is gone. */
#ifdef __SANITIZE_ADDRESS__
#define SPARES 0u
#else
#define SPARES 4u
#endif

struct kt_arena_chunk {
    struct kt_arena_chunk *next;
    size_t used, room;
    _Alignas(16) unsigned char at[];
};

/* ---- spare chunks: of the usual size, all zero ---- */

struct spares {
    struct kt_arena_chunk *first;
    unsigned n;
};
static pthread_once_t spares_once = PTHREAD_ONCE_INIT;
static pthread_key_t spares_key; /* only so that a thread's end frees them */
static bool spares_kept;

static void spares_free(void *at)
{
    struct spares *spares = at;
    while (spares->first != NULL) {
        struct kt_arena_chunk *next = spares->first->next;
        free(spares->first);
        spares->first = next;
    }
    spares->n = SPARES; /* no more on this thread */
}

static void spares_begin(void)
{
    spares_kept = pthread_key_create(&spares_key, spares_free) == 0;
}

static struct spares *thread_spares(void)
{
    static _Thread_local struct spares spares;
    return &spares;
}

static struct kt_arena_chunk *take_spare(void)
{
    struct spares *spares = thread_spares();
    struct kt_arena_chunk *chunk = spares->first;
    if (chunk != NULL) {
        spares->first = chunk->next;
        spares->n--;
        chunk->next = NULL;
    }
    return chunk;
}

/* The chunk is wiped. */
static void give_chunk(struct kt_arena_chunk *chunk)
{
    struct spares *spares = thread_spares();
    bool keep = chunk->room == CHUNK_BYTES && spares->n != SPARES;
    if (keep && spares->first == NULL) {
        (void)pthread_once(&spares_once, spares_begin);
        keep = spares_kept && pthread_setspecific(spares_key, spares) == 0;
    }
    if (!keep) {
        free(chunk);
        return;
    }
    chunk->used = 0;
    chunk->next = spares->first;
    spares->first = chunk;
    spares->n++;
}

static struct kt_arena_chunk *new_chunk(size_t room)
{
    struct kt_arena_chunk *chunk = room == CHUNK_BYTES ? take_spare() : NULL;
    if (chunk == NULL)
        chunk = kt_calloc(1, sizeof *chunk + room);
    if (chunk != NULL)
        chunk->room = room;
    return chunk;
}

/* ---- arenas ---- */

void kt_arena_init(struct kt_arena *arena, size_t max)
{
    *arena = (struct kt_arena){.max = max};
}

static void free_chunks(struct kt_arena_chunk *chunk)
{
    while (chunk != NULL) {
        struct kt_arena_chunk *next = chunk->next;
        sodium_memzero(chunk->at, chunk->used);
        give_chunk(chunk);
        chunk = next;
    }
}

void kt_arena_reset(struct kt_arena *arena)
{
    struct kt_arena_chunk *keep = arena->chunks;
    if (keep != NULL) {
        free_chunks(keep->next);
        keep->next = NULL;
        sodium_memzero(keep->at, keep->used);
        keep->used = 0;
    }
    arena->taken = 0;
    arena->failed = false;
}

void kt_arena_free(struct kt_arena *arena)
{
    free_chunks(arena->chunks);
    *arena = (struct kt_arena){.max = arena->max};
}

void *kt_arena_take(struct kt_arena *arena, size_t size)
{
    size_t want = (size + 15) & ~(size_t)15;
    if (arena->failed || want < size || arena->taken > arena->max ||
        want > arena->max - arena->taken) {
        arena->failed = true;
        return NULL;
    }
    struct kt_arena_chunk *chunk = arena->chunks;
    if (chunk == NULL || chunk->room - chunk->used < want) {
        size_t room = want > CHUNK_BYTES ? want : CHUNK_BYTES;
        chunk = new_chunk(room);
        if (chunk == NULL) {
            arena->failed = true;
            return NULL;
        }
        /* A large piece goes behind the first chunk, so that the small ones keep filling it. */
        if (arena->chunks != NULL && want > CHUNK_BYTES) {
            chunk->next = arena->chunks->next;
            arena->chunks->next = chunk;
        } else {
            chunk->next = arena->chunks;
            arena->chunks = chunk;
        }
    }
    void *at = chunk->at + chunk->used;
    chunk->used += want;
    arena->taken += want;
    return at;
}

char *kt_arena_text(struct kt_arena *arena, struct kt_bytes bytes)
{
    char *text = kt_arena_take(arena, bytes.len + 1);
    if (text != NULL && bytes.len > 0)
        memcpy(text, bytes.at, bytes.len);
    return text;
}

char *kt_arena_printf(struct kt_arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = n < 0 ? NULL : kt_arena_take(arena, (size_t)n + 1);
    if (text != NULL)
        (void)vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    return text;
}
