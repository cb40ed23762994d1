#include "lib/blackout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/failpoint.h"
#include "lib/num.h"
#include "lib/zone.h"

#define DAY_S ((int64_t)86400)

struct kt_blackout {
    size_t n;
    struct kt_blackout_span spans[KT_BLACKOUT_RANGES];
    char reasons[KT_BLACKOUT_RANGES][KT_BLACKOUT_LINE + 1];
};

static bool number(const char *at, size_t len, uint64_t least, uint64_t most, uint64_t *ret)
{
    return kt_u64_parse(kt_bytes(at, len), most, ret) && *ret >= least;
}

/* "2027-11-25", or "2027-11-25T18:00": local seconds since 1970, and how many bytes it took. */
static size_t read_moment(struct kt_bytes text, int64_t *ret_s, bool *ret_whole_day)
{
    const char *at = (const char *)text.at;
    uint64_t year = 0, month = 0, day = 0, hour = 0, minute = 0;
    if (text.len < 10 || at[4] != '-' || at[7] != '-' || !number(at, 4, 1970, 9998, &year) ||
        !number(at + 5, 2, 1, 12, &month) || !number(at + 8, 2, 1, 31, &day))
        return 0;
    int64_t days = kt_days_from_date((int64_t)year, (unsigned)month, (unsigned)day), same_year = 0;
    unsigned same_month = 0, same_day = 0;
    kt_date_from_days(days, &same_year, &same_month, &same_day);
    if (same_month != month || same_day != day)
        return 0; /* 30 February */
    *ret_s = days * DAY_S;
    *ret_whole_day = text.len < 11 || at[10] != 'T';
    if (*ret_whole_day)
        return 10;
    if (text.len < 16 || at[13] != ':' || !number(at + 11, 2, 0, 23, &hour) ||
        !number(at + 14, 2, 0, 59, &minute))
        return 0;
    *ret_s += (int64_t)(hour * 3600 + minute * 60);
    return 16;
}

static enum kt_kind refuse(struct kt_err *err, size_t line, const char *what)
{
    (void)kt_fail(err, KT_INVALID, "line %zu of the calendar: %s", line, what);
    kt_hint(err, "write FIRST..LAST and the reason: \"2027-11-25..2027-11-29 the busiest days\", or "
                 "\"2027-12-20T18:00..2028-01-06T06:00 nobody is there\"");
    return KT_INVALID;
}

static enum kt_kind read_range(const struct kt_zone *zone, struct kt_bytes text, size_t line,
                               struct kt_blackout *blackout, struct kt_err *err)
{
    const char *at = (const char *)text.at;
    int64_t from_s = 0, to_s = 0;
    bool whole_day = false;
    if (text.len > KT_BLACKOUT_LINE)
        return refuse(err, line, "it is longer than 256 bytes");
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)at[i] < 0x20 || at[i] == 0x7f)
            return refuse(err, line, "it has a control character");
    size_t used = read_moment(text, &from_s, &whole_day);
    if (used == 0)
        return refuse(err, line, "it does not begin with a date");
    if (text.len < used + 2 || memcmp(at + used, "..", 2) != 0)
        return refuse(err, line, "\"..\" and the last date do not follow the first");
    used += 2;
    size_t last = read_moment(kt_bytes(at + used, text.len - used), &to_s, &whole_day);
    used += last;
    if (last == 0 || (used < text.len && at[used] != ' '))
        return refuse(err, line, "what follows \"..\" is no date");
    if (whole_day)
        to_s += DAY_S;
    if (to_s <= from_s)
        return refuse(err, line, "it ends before it begins");
    while (used < text.len && at[used] == ' ')
        used++;
    struct kt_blackout_span *span = &blackout->spans[blackout->n];
    char *reason = blackout->reasons[blackout->n++];
    memcpy(reason, at + used, text.len - used);
    *span = (struct kt_blackout_span){.from_ms = kt_zone_local(zone, from_s).first_s * 1000,
                                      .to_ms = kt_zone_local(zone, to_s).last_s * 1000,
                                      .reason = reason};
    return KT_OK;
}

static enum kt_kind read_ranges(const struct kt_zone *zone, const char *at,
                                struct kt_blackout *blackout, struct kt_err *err)
{
    enum kt_kind kind = KT_OK;
    for (size_t line = 1; *at != '\0' && kind == KT_OK; line++) {
        size_t len = strcspn(at, "\n"), end = len;
        while (end > 0 && (at[end - 1] == '\r' || at[end - 1] == ' '))
            end--;
        if (end > 0 && at[0] != '#' && blackout->n == KT_BLACKOUT_RANGES)
            return kt_fail(err, KT_INVALID, "the calendar has more than %u ranges",
                           KT_BLACKOUT_RANGES);
        if (end > 0 && at[0] != '#')
            kind = read_range(zone, kt_bytes(at, end), line, blackout, err);
        at += len + (at[len] == '\n');
    }
    return kind;
}

enum kt_kind kt_blackout_parse(const struct kt_blackout_text *text, struct kt_blackout **ret,
                               struct kt_err *err)
{
    kt_autoblackout struct kt_blackout *blackout = kt_calloc(1, sizeof *blackout);
    if (blackout == NULL)
        return kt_fail(err, KT_NO_MEMORY, "calendar");
    kt_autozone struct kt_zone *zone = NULL;
    bool given = text->zone != NULL && text->zone[0] != '\0';
    enum kt_kind kind = kt_zone_load(text->zone_dir, given ? text->zone : "UTC", &zone, err);
    if (kind != KT_OK)
        kt_context(err, "zone");
    else if (text->ranges != NULL)
        kind = read_ranges(zone, text->ranges, blackout, err);
    if (kind == KT_OK)
        *ret = KT_TAKE(blackout);
    return kind;
}

void kt_blackout_free(struct kt_blackout *blackout)
{
    int saved = errno;
    free(blackout);
    errno = saved;
}

bool kt_blackout_at(const struct kt_blackout *blackout, int64_t at_ms, struct kt_blackout_span *ret)
{
    bool found = false;
    for (size_t i = 0; i < blackout->n; i++) {
        const struct kt_blackout_span *span = &blackout->spans[i];
        if (at_ms < span->from_ms || at_ms >= span->to_ms || (found && span->to_ms <= ret->to_ms))
            continue;
        *ret = *span;
        found = true;
    }
    return found;
}

bool kt_blackout_next(const struct kt_blackout *blackout, int64_t after_ms,
                      struct kt_blackout_span *ret)
{
    bool found = false;
    for (size_t i = 0; i < blackout->n; i++) {
        const struct kt_blackout_span *span = &blackout->spans[i];
        if (span->to_ms <= after_ms || (found && span->to_ms >= ret->to_ms))
            continue;
        *ret = *span;
        found = true;
    }
    return found;
}

int64_t kt_blackout_begins(const struct kt_blackout *blackout, int64_t after_ms)
{
    int64_t first_ms = INT64_MAX;
    for (size_t i = 0; i < blackout->n; i++) {
        int64_t from_ms = blackout->spans[i].from_ms;
        if (from_ms > after_ms && from_ms < first_ms)
            first_ms = from_ms;
    }
    return first_ms;
}
