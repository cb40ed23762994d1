/* lib/zone_rule.h - a POSIX TZ string: the rule by which a zone goes on after its table. For
 * lib/zone.c alone.
 *
 * Owner:   plain values.
 * Source:  POSIX.1-2017 8.3; hours -167..167 and rules that make summer time last all year as in
 *          RFC 8536 3.3.1. A string with a summer time but no dates is refused: tzdata has none.
 * Threads: any thread. */
#pragma once

#include "lib/bytes.h"

enum zone_date_kind {
    ZONE_DATE_MONTH,  /* Mm.w.d: weekday d of week w of month m, week 5 is the last */
    ZONE_DATE_JULIAN, /* Jn: day 1..365, never February 29 */
    ZONE_DATE_DAY,    /* n: day 0..365 */
};
struct zone_date {
    enum zone_date_kind kind;
    unsigned month, week, day;
    int64_t time_s; /* local, may lie outside the day */
};
struct zone_rule {
    int64_t standard_s, summer_s; /* to add to UTC */
    bool has_summer;
    struct zone_date start, end; /* of summer time */
};

bool kt_zone_rule_parse(struct kt_bytes text, struct zone_rule *ret);
int64_t kt_zone_rule_offset(const struct zone_rule *rule, int64_t utc_s);
bool kt_zone_rule_change_after(const struct zone_rule *rule, int64_t utc_s, int64_t *ret_s);
