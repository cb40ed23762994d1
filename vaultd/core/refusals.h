/* vaultd/core/refusals.h - how many refusals of those who did not authenticate get a record each.
 *
 * What:    A bucket per source: 10 records a second each, 100 a second in all; what goes beyond is
 *          counted, and the count becomes one record when the flood pauses for a second, or after
 *          10 s. So a flood cannot fill the disk, and is not dropped silently either.
 * Limits:  256 buckets. When more sources are active at one time, some share a bucket; its record
 *          says so. A /64 of IPv6 is one source.
 * Owner:   the core. Threads: any thread. Times are monotonic milliseconds. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define REFUSALS_SOURCE 64u

struct refusals;
struct refusals *refusals_new(void); /* NULL: out of memory */
void refusals_free(struct refusals *refusals);

/* An address as it is counted: an IPv4 address, an IPv6 /64, or the text itself. */
void refusals_source(const char *address, char out[REFUSALS_SOURCE]);
/* True: write a record of it. False: it was counted instead. */
bool refusals_admit(struct refusals *refusals, const char *source, int64_t now_ms);

struct refusal_count {
    char source[REFUSALS_SOURCE]; /* the first of them */
    uint64_t refused;
    int64_t since_ms, until_ms;   /* the first and the last that was counted */
    bool shared;                  /* other sources are in it */
};
/* Takes a count out whose record is due (all: any count). False: there is none. */
bool refusals_take(struct refusals *refusals, int64_t now_ms, bool all, struct refusal_count *ret);
/* Puts a count back whose record could not be written. */
void refusals_give_back(struct refusals *refusals, const struct refusal_count *count);
