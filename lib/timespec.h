/* lib/timespec.h - struct timespec from and to milliseconds, and deadlines for condition variables.
 *
 * What:    Arithmetic, and CLOCK_MONOTONIC for what waits in this process: it cannot be set by a test and
 *          stands still while the machine sleeps. What time it is for the vault says lib/clock.h.
 * Ranges:  times and spans >= 0.
 * Threads: any thread. */
#pragma once

#include <stdint.h>
#include <time.h>

#define KT_NS_PER_MS INT64_C(1000000)
#define KT_NS_PER_S  INT64_C(1000000000)

static inline int64_t kt_timespec_ms(const struct timespec *time)
{
    return (int64_t)time->tv_sec * 1000 + time->tv_nsec / KT_NS_PER_MS;
}

static inline struct timespec kt_timespec_of_ms(int64_t ms)
{
    return (struct timespec){.tv_sec = (time_t)(ms / 1000),
                             .tv_nsec = (long)(ms % 1000 * KT_NS_PER_MS)};
}

/* What CLOCK_MONOTONIC will say then: for a condition variable that waits by that clock. */
static inline struct timespec kt_timespec_in_ns(int64_t ns)
{
    struct timespec then;
    (void)clock_gettime(CLOCK_MONOTONIC, &then); /* cannot fail with this clock */
    ns += then.tv_nsec;
    then.tv_sec += (time_t)(ns / KT_NS_PER_S);
    then.tv_nsec = (long)(ns % KT_NS_PER_S);
    return then;
}

static inline int64_t kt_timespec_mono_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return kt_timespec_ms(&now);
}
