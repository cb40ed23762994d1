/* lib/cleanup.h - ownership in the line: cleanups at the declaration, KT_TAKE at the hand-over.
 *
 * Cleanups keep errno and accept NULL (or -1 for descriptors). The memory a cleanup frees is not
 * wiped: secrets live in lib/secret.h, lib/buf.h or lib/arena.h, which wipe. */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void kt_free_at(void *at)
{
    int saved = errno;
    free(*(void **)at);
    errno = saved;
}

static inline void kt_close_at(const int *fd)
{
    int saved = errno;
    if (*fd >= 0)
        (void)close(*fd);
    errno = saved;
}

static inline void kt_fclose_at(FILE **file)
{
    int saved = errno;
    if (*file != NULL)
        (void)fclose(*file);
    errno = saved;
}

static inline int kt_take_fd(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

/* A buffer on the stack that is written before it is read: the compiler need not zero it first. */
#define KT_UNINIT __attribute__((uninitialized))

#define kt_autofree  __attribute__((cleanup(kt_free_at)))
#define kt_autoclose __attribute__((cleanup(kt_close_at)))
#define kt_autofile  __attribute__((cleanup(kt_fclose_at)))
/* KT_AUTO(fn): call fn(&variable) at the end of the scope. */
#define KT_AUTO(fn) __attribute__((cleanup(fn)))
#define KT_TAKE(p)                                                                                 \
    __extension__({                                                                                \
        __typeof__(p) *kt_taken_from = &(p);                                                       \
        __typeof__(p) kt_taken = *kt_taken_from;                                                   \
        *kt_taken_from = NULL;                                                                     \
        kt_taken;                                                                                  \
    })
#define KT_TAKE_FD(fd) kt_take_fd(&(fd))
