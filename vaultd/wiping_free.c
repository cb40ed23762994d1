/* vaultd/wiping_free.c - every block that anybody in vaultd frees is overwritten first.
 *
 * What:    libmicrohttpd's pools and GnuTLS's buffers hold requests, tokens and values, and free them
 *          as they are. These take the place of libc's free() and realloc(), for the program and for
 *          all libraries in it. M_PERTURB would not do: blocks that a thread keeps for itself
 *          (tcache) are put by before it overwrites.
 * Blocks that were mapped on their own go back to the system, which clears them; they are not
 * touched: most of a large body's room was never written.
 * Only in the program, not in tests, and not under sanitizers, which have allocators of their own.
 * Source:  The GNU C Library manual, "Replacing malloc"; malloc/malloc.c, "A chunk's size field". */
#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#ifdef __has_feature
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) &&                             \
    !HAS_FEATURE(address_sanitizer) && !HAS_FEATURE(thread_sanitizer)

/* libc's own, under the names that it exports for this. */
void __libc_free(void *at);                  // NOLINT(bugprone-reserved-identifier)
void *__libc_realloc(void *at, size_t size); // NOLINT(bugprone-reserved-identifier)

#define CHUNK_IS_MAPPED ((size_t)2)

static bool is_mapped(const void *at)
{
    size_t chunk_size;
    memcpy(&chunk_size, (const unsigned char *)at - sizeof chunk_size, sizeof chunk_size);
    return (chunk_size & CHUNK_IS_MAPPED) != 0;
}

void free(void *at)
{
    if (at == NULL)
        return;
    int saved = errno;
    if (!is_mapped(at))
        explicit_bzero(at, malloc_usable_size(at));
    __libc_free(at);
    errno = saved;
}

/* libc's would free the old block behind our back when it moves. */
void *realloc(void *at, size_t size)
{
    if (at == NULL)
        return malloc(size);
    if (size == 0) {
        free(at);
        return NULL;
    }
    size_t room = malloc_usable_size(at);
    if (is_mapped(at))
        return __libc_realloc(at, size);
    if (size <= room && size >= room / 2)
        return at;
    void *moved = malloc(size);
    if (moved == NULL)
        return NULL;
    memcpy(moved, at, room < size ? room : size);
    free(at);
    return moved;
}

#endif
