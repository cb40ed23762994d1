/* lib/blackout.h - a calendar of times in which nothing is started by schedule.
 *
 * What:    A text of lines, each local dates and times of one zone and a reason:
 *              "2027-11-25..2027-11-29 the busiest days of the year"    whole days, the last included
 *              "2027-12-20T18:00..2028-01-06T06:00 nobody is there"     to the minute, the end not
 *          Lines may overlap and stand in any order; blank ones, and those that begin with '#', are
 *          passed over. An edge in a gap moves to the change of the clock;
 *          in a fold the first of two times begins, and the last ends.
 * Owner:   kt_blackout_parse() gives the caller a calendar, kt_blackout_free() takes it; NULL is fine.
 *          A calendar never changes and holds no reference to the texts.
 * Limits:  400 ranges in lines of at most 256 bytes; years 1970 to 9998.
 * Errors:  KT_INVALID: a line, by its number; KT_NOT_FOUND: a zone that tzdata does not know.
 * Threads: any thread. */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"

#define KT_BLACKOUT_RANGES 400u
#define KT_BLACKOUT_LINE  256u

/* NULL and "" mean "not given": zone UTC; zone_dir KT_ZONE_DIR. */
struct kt_blackout_text {
    const char *zone, *zone_dir;
    const char *ranges; /* the lines */
};

struct kt_blackout;
enum kt_kind kt_blackout_parse(const struct kt_blackout_text *text, struct kt_blackout **ret,
                               struct kt_err *err) KT_MUST_CHECK;
void kt_blackout_free(struct kt_blackout *blackout);

/* A line; reason "" when none is given; it lives as long as the calendar. */
struct kt_blackout_span {
    int64_t from_ms, to_ms; /* to_ms: the first moment after it */
    const char *reason;
};
/* Is at_ms in one? Of several the one that ends last. */
bool kt_blackout_at(const struct kt_blackout *blackout, int64_t at_ms,
                    struct kt_blackout_span *ret);
/* The one that ends first of those that end after after_ms, for showing what is to come. */
bool kt_blackout_next(const struct kt_blackout *blackout, int64_t after_ms,
                      struct kt_blackout_span *ret);

/* When the next one begins after after_ms; INT64_MAX: none. */
int64_t kt_blackout_begins(const struct kt_blackout *blackout, int64_t after_ms);

static inline void kt_blackout_free_at(struct kt_blackout **blackout)
{
    kt_blackout_free(*blackout);
}
#define kt_autoblackout __attribute__((cleanup(kt_blackout_free_at)))
