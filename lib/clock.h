/* lib/clock.h - the one seam through which time comes in.
 *
 * What:    Wall time in milliseconds since 1970 (UTC) and a monotonic time in milliseconds. A test
 *          sets its own clock and runs a year in a second.
 * Owner:   A struct kt_clock is borrowed; it must outlive whoever was given it.
 * Threads: the system clock: any thread. */
#pragma once

#include <stdint.h>
#include <stddef.h>

struct kt_clock {
    int64_t (*wall_ms)(void *arg);
    int64_t (*mono_ms)(void *arg);
    void *arg;
};

extern const struct kt_clock kt_system_clock;

static inline int64_t kt_wall_ms(const struct kt_clock *clock)
{
    return clock->wall_ms(clock->arg);
}
static inline int64_t kt_mono_ms(const struct kt_clock *clock)
{
    return clock->mono_ms(clock->arg);
}

/* RFC 3339 in UTC as Go prints it: "2025-01-02T03:04:05.678Z", zero digits dropped. `out` holds
 * KT_TIME_TEXT bytes. */
#define KT_TIME_TEXT 32
void kt_time_text(int64_t ms, char out[KT_TIME_TEXT]);
/* Reads RFC 3339 (offset or Z, fraction optional). False if it is not that. */
#include <stdbool.h>
bool kt_time_parse(const char *text, size_t len, int64_t *ret_ms);
/* Days since 1970-01-01 of a proleptic Gregorian date, and back (Howard Hinnant's algorithms,
 * "chrono-Compatible Low-Level Date Algorithms"). Month 1..12, day 1..31. */
int64_t kt_days_from_date(int64_t year, unsigned month, unsigned day);
void kt_date_from_days(int64_t days, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day);
