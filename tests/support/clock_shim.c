/* tests/support/clock_shim.c - a server whose wall clock is wrong, and jumps while it runs. Preloaded into it; nothing
 * of it is installed.
 *
 * KT_CLOCK names a file of eight bytes, in the machine's order: the seconds by which the wall clock is ahead. It is
 * read at each look. Clocks that only go forward, and how long something is waited for, are left alone: who waits
 * until a time of the wall clock is woken at that time of the wrong one, as it was when the waiting began. */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Times since the machine started are smaller: a condition variable does not say which clock is its. */
#define WALL_S 1000000000

typedef int clock_fn(clockid_t id, struct timespec *ret);
typedef int wait_fn(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until);

static _Atomic int64_t none;
static _Atomic int64_t *ahead = &none;

__attribute__((constructor)) static void find(void)
{
    const char *path = getenv("KT_CLOCK");
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    void *at = mmap(NULL, sizeof *ahead, PROT_READ, MAP_SHARED, fd, 0);
    if (at != MAP_FAILED)
        ahead = at;
    (void)close(fd);
}

int clock_gettime(clockid_t id, struct timespec *ret)
{
    union {
        void *at;
        clock_fn *fn;
    } next = {.at = dlsym(RTLD_NEXT, "clock_gettime")};
    int got = next.fn(id, ret);
    if (got == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        ret->tv_sec += *ahead;
    return got;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    *ret = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *ret)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (ret != NULL)
        *ret = now.tv_sec;
    return now.tv_sec;
}

int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until)
{
    union {
        void *at;
        wait_fn *fn;
    } next = {.at = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2")}; /* the older one has other variables */
    struct timespec at = *until;
    if (at.tv_sec > WALL_S)
        at.tv_sec -= *ahead;
    return next.fn(cond, mutex, &at);
}
