#include "lib/cron.h"

#include "lib/clock.h"
#include "lib/cron_set.h"

#define GAP_MADE_UP_S ((int64_t)3 * 3600)     /* a longer jump is a correction, no clock change */
#define LAST_S        ((int64_t)253402300799) /* 9999-12-31T23:59:59Z */
#define FAR_S         ((int64_t)500 * 366 * 86400) /* calendars and rules repeat after 400 years */

/* ---- dates and times of day ---- */

static bool day_matches(const struct kt_cron *cron, unsigned day, unsigned weekday)
{
    bool by_day = (cron->set[KT_CRON_DAY] >> day) & 1;
    bool by_weekday = (cron->set[KT_CRON_WEEKDAY] >> weekday) & 1;
    if (cron->star[KT_CRON_DAY] || cron->star[KT_CRON_WEEKDAY])
        return by_day && by_weekday;
    return by_day || by_weekday;
}

static unsigned weekday_of(int64_t days)
{
    return (unsigned)(((days % 7) + 7 + 4) % 7); /* 1970-01-01 was a Thursday */
}

int64_t kt_cron_next_day(const struct kt_cron *cron, int64_t days, int64_t limit)
{
    int64_t year = 0;
    unsigned month = 0, day = 0;
    kt_date_from_days(days, &year, &month, &day);
    while (days < limit) {
        int64_t after =
            month == 12 ? kt_days_from_date(year + 1, 1, 1) : kt_days_from_date(year, month + 1, 1);
        if ((cron->set[KT_CRON_MONTH] >> month) & 1)
            for (; days < after && days < limit; days++, day++)
                if (day_matches(cron, day, weekday_of(days)))
                    return days;
        days = after;
        day = 1;
        year += month == 12;
        month = month % 12 + 1;
    }
    return limit;
}

int64_t kt_cron_next_in_day(const struct kt_cron *cron, int64_t from_s)
{
    if (from_s >= KT_CRON_DAY_S)
        return KT_CRON_DAY_S;
    const uint64_t *set = cron->set;
    unsigned hour = (unsigned)(from_s / 3600), minute = (unsigned)(from_s / 60 % 60);
    unsigned second = kt_cron_at_least(set[KT_CRON_SECOND], (unsigned)(from_s % 60));
    if (second >= 60) {
        minute++;
        second = kt_cron_lowest(set[KT_CRON_SECOND]);
    }
    unsigned found = kt_cron_at_least(set[KT_CRON_MINUTE], minute);
    if (found != minute)
        second = kt_cron_lowest(set[KT_CRON_SECOND]);
    if (found >= 60) {
        hour++;
        found = kt_cron_lowest(set[KT_CRON_MINUTE]);
    }
    minute = found;
    found = kt_cron_at_least(set[KT_CRON_HOUR], hour);
    if (found >= 24)
        return KT_CRON_DAY_S;
    if (found != hour) {
        minute = kt_cron_lowest(set[KT_CRON_MINUTE]);
        second = kt_cron_lowest(set[KT_CRON_SECOND]);
    }
    return (int64_t)found * 3600 + (int64_t)minute * 60 + second;
}

/* ---- the next fire ---- */

/* The first matching local time >= from_s and < limit_s, or limit_s. */
static int64_t next_local(const struct kt_cron *cron, int64_t from_s, int64_t limit_s)
{
    int64_t days = from_s / KT_CRON_DAY_S - (from_s % KT_CRON_DAY_S < 0);
    int64_t limit_days = limit_s / KT_CRON_DAY_S + 1;
    int64_t in_day = kt_cron_next_in_day(cron, from_s - days * KT_CRON_DAY_S);
    while (days < limit_days) {
        int64_t found = kt_cron_next_day(cron, days, limit_days);
        if (found != days) {
            days = found;
            in_day = kt_cron_next_in_day(cron, 0);
        }
        if (days >= limit_days)
            break;
        if (in_day < KT_CRON_DAY_S) {
            int64_t local_s = days * KT_CRON_DAY_S + in_day;
            return local_s < limit_s ? local_s : limit_s;
        }
        days++;
        in_day = kt_cron_next_in_day(cron, 0);
    }
    return limit_s;
}

/* Is there a fixed time among the local times that the change at utc_s leaves out? */
static bool made_up_at(const struct kt_cron *cron, const struct kt_zone *zone, int64_t utc_s,
                       int64_t before_s, int64_t now_s)
{
    int64_t limit_s = utc_s + now_s;
    if (now_s <= before_s || now_s - before_s > GAP_MADE_UP_S)
        return false;
    for (int64_t local_s = next_local(cron, utc_s + before_s, limit_s); local_s < limit_s;
         local_s = next_local(cron, local_s + 1, limit_s))
        if (kt_zone_local(zone, local_s).kind == KT_LOCAL_GAP)
            return true;
    return false;
}

/* The first fire in [from_s, to_s), where the offset is the same throughout; to_s if none. */
static int64_t next_between(const struct kt_cron *cron, const struct kt_zone *zone, bool fixed,
                            int64_t from_s, int64_t to_s, int64_t offset_s)
{
    int64_t limit_s = to_s + offset_s;
    for (int64_t local_s = next_local(cron, from_s + offset_s, limit_s); local_s < limit_s;
         local_s = next_local(cron, local_s + 1, limit_s)) {
        int64_t utc_s = local_s - offset_s;
        /* A fixed time that happens a second time has fired the first time. */
        if (!fixed || kt_zone_local(zone, local_s).first_s == utc_s)
            return utc_s;
    }
    return to_s;
}

bool kt_cron_next(const struct kt_cron *cron, const struct kt_zone *zone, int64_t after_ms,
                  int64_t *ret_ms)
{
    bool fixed = !cron->star[KT_CRON_MINUTE] && !cron->star[KT_CRON_HOUR];
    int64_t from_s = after_ms / 1000 - (after_ms % 1000 < 0) + 1;
    int64_t before_s = kt_zone_offset(zone, from_s - 1);
    int64_t last_s = from_s < LAST_S - FAR_S ? from_s + FAR_S : LAST_S;
    while (from_s <= last_s) {
        int64_t offset_s = kt_zone_offset(zone, from_s), to_s = 0;
        if (!kt_zone_change_after(zone, from_s, &to_s) || to_s > last_s)
            to_s = last_s + 1;
        int64_t found_s = from_s;
        if (!fixed || !made_up_at(cron, zone, from_s, before_s, offset_s))
            found_s = next_between(cron, zone, fixed, from_s, to_s, offset_s);
        if (found_s < to_s) {
            *ret_ms = found_s * 1000;
            return true;
        }
        from_s = to_s;
        before_s = offset_s;
    }
    return false;
}
