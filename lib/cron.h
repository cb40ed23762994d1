/* lib/cron.h - cron expressions with time zones and clock changes.
 *
 * What:    Five fields (minute hour day month weekday), six with seconds first, or one of @hourly
 *          @daily @midnight @weekly @monthly @yearly @annually. What means different things to
 *          different crons is refused, with the form to write instead.
 * Days:    if both day and weekday do not start with '*' either may match, else both must (Vixie).
 * Clocks:  "wildcard" = minute or hour starts with '*'. A fixed time inside a gap of at most 3 hours
 *          fires once, at the change; a wildcard's missing times do not fire. In a fold a fixed time
 *          fires once, the first time; a wildcard in both passes. Fires at one instant are one.
 * Owner:   struct kt_cron is a plain value.
 * Limits:  text <= 256 bytes. Never-firing expressions are refused when parsed.
 * Errors:  KT_INVALID with a hint that says what to write.
 * Threads: any thread. */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/zone.h"

#define KT_CRON_TEXT_MAX 256u

enum kt_cron_field {
    KT_CRON_SECOND,
    KT_CRON_MINUTE,
    KT_CRON_HOUR,
    KT_CRON_DAY,
    KT_CRON_MONTH,
    KT_CRON_WEEKDAY,
    KT_CRON_FIELDS
};
struct kt_cron {
    uint64_t set[KT_CRON_FIELDS]; /* bit v: the value v; Sunday is 0 */
    bool star[KT_CRON_FIELDS];    /* the field starts with '*' */
};

enum kt_kind kt_cron_parse(struct kt_bytes text, struct kt_cron *ret, struct kt_err *err)
    KT_MUST_CHECK;
/* The first fire strictly after after_ms. False when there is none for 500 years or before the year
 * 9999: in a zone a wildcard may only ever meet gaps (any minute from 02:00 on a 29 March that is a
 * Sunday, in Berlin). */
bool kt_cron_next(const struct kt_cron *cron, const struct kt_zone *zone, int64_t after_ms,
                  int64_t *ret_ms);
/* The calendar without a zone: the first matching day >= days (since 1970) and < limit, else limit;
 * the first matching second of a day >= from_s, else KT_CRON_DAY_S. */
#define KT_CRON_DAY_S ((int64_t)86400)
int64_t kt_cron_next_day(const struct kt_cron *cron, int64_t days, int64_t limit);
int64_t kt_cron_next_in_day(const struct kt_cron *cron, int64_t from_s);
/* "at 02:30 Europe/Berlin, on day 13 or on Friday", for previews; zone NULL: left out. */
void kt_cron_describe(const struct kt_cron *cron, const char *zone, struct kt_buf *out);
