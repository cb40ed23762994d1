/* lib/cron_set.h - the sets of values of a struct kt_cron: bit v is the value v. For lib/cron*.c.
 * Threads: any thread. */
#pragma once

#include "lib/buf.h"

/* The lowest value, or 64. */
static inline unsigned kt_cron_lowest(uint64_t set)
{
    return set == 0 ? 64 : (unsigned)__builtin_ctzll(set);
}

/* The lowest value >= from, or 64. */
static inline unsigned kt_cron_at_least(uint64_t set, unsigned from)
{
    return from >= 64 ? 64 : kt_cron_lowest(set & (UINT64_MAX << from));
}

extern const char *const kt_cron_months[12]; /* "January", ... */
/* "Monday to Friday, Sunday" */
void kt_cron_describe_weekdays(uint64_t set, struct kt_buf *out);
