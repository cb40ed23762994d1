/* vaultd/core/refusals.h - how many refusals of one source get a record each.
 *
 * What:    A bucket per source, filled at so many records a second; a long record takes the place of
 *          several. What goes beyond is counted, and the count becomes one record when the flood
 *          pauses for a second, or after 10 s. So a flood cannot fill the disk, and is not dropped
 *          silently either. A source is an address that did not authenticate, or a token.
 * Limits:  256 buckets. When more sources are active at one time, some share a bucket; its record
 *          says so. A /64 of IPv6 is one source.
 * Owner:   the core.
 * Threads: any thread. Times are monotonic milliseconds. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REFUSALS_SOURCE 64u

struct refusals;
struct refusals_rate {
    int64_t per_source; /* records a second, and at once; 0: each gets one */
    int64_t in_all;     /* of all sources together; 0: no limit */
};
struct refusals *refusals_new(const struct refusals_rate *rate); /* NULL: out of memory */
void refusals_free(struct refusals *refusals);

/* An address as it is counted: an IPv4 address, an IPv6 /64, or the text itself. */
void refusals_source(const char *address, char out[REFUSALS_SOURCE]);
#define REFUSAL_BYTES 512u /* more than a usual record needs */
/* True: write a record of it. False: it was counted instead. bytes: what is longer than usual in it;
 * each REFUSAL_BYTES cost one record more, at most all that a source may have at once. */
bool refusals_admit(struct refusals *refusals, const char *source, size_t bytes, int64_t now_ms);

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
