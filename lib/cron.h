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

struct kt_cron {
    uint64_t seconds, minutes; /* one bit a value */
    uint32_t hours, days;
    uint16_t months;
    uint8_t weekdays;                          /* bit 0: Sunday */
    bool day_star, weekday_star;               /* the field starts with '*' */
    bool minute_star, hour_star, month_star;
    bool with_seconds;                         /* six fields */
};

enum kt_kind kt_cron_parse(struct kt_bytes text, struct kt_cron *ret, struct kt_err *err)
    KT_MUST_CHECK;
/* The first fire strictly after after_ms. False only when there is none before the year 9999. */
bool kt_cron_next(const struct kt_cron *cron, const struct kt_zone *zone, int64_t after_ms,
                  int64_t *ret_ms);
/* "at 02:30, on day 13 or on Friday": without the zone, for previews. */
void kt_cron_describe(const struct kt_cron *cron, struct kt_buf *out);
