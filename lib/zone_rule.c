#include "lib/zone_rule.h"

#include "lib/clock.h"

#define DAY_S ((int64_t)86400)

/* ---- reading ---- */

struct cursor {
    const unsigned char *at, *end;
    bool failed;
};

static bool next_is(struct cursor *c, char wanted)
{
    if (c->failed || c->at == c->end || *c->at != (unsigned char)wanted)
        return false;
    c->at++;
    return true;
}

static void expect(struct cursor *c, char wanted)
{
    if (!next_is(c, wanted))
        c->failed = true;
}

static unsigned read_number(struct cursor *c, unsigned min, unsigned max)
{
    unsigned v = 0, digits = 0;
    for (; !c->failed && c->at < c->end && *c->at >= '0' && *c->at <= '9' && digits < 4; c->at++) {
        v = v * 10 + (unsigned)(*c->at - '0');
        digits++;
    }
    if (digits == 0 || v < min || v > max)
        c->failed = true;
    return v;
}

/* At least three letters, or letters, digits and signs between angle brackets. */
static void skip_name(struct cursor *c)
{
    bool quoted = next_is(c, '<');
    size_t len = 0;
    for (; !c->failed && c->at < c->end; c->at++, len++) {
        unsigned char ch = *c->at;
        bool letter = (ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z');
        bool other = (ch >= '0' && ch <= '9') || ch == '+' || ch == '-';
        if (!letter && !(quoted && other))
            break;
    }
    if (len < 3)
        c->failed = true;
    if (quoted)
        expect(c, '>');
}

/* [+-]hh[:mm[:ss]] */
static int64_t read_time(struct cursor *c, unsigned max_hours)
{
    bool minus = next_is(c, '-');
    if (!minus)
        (void)next_is(c, '+');
    int64_t s = (int64_t)read_number(c, 0, max_hours) * 3600;
    if (next_is(c, ':')) {
        s += (int64_t)read_number(c, 0, 59) * 60;
        if (next_is(c, ':'))
            s += read_number(c, 0, 59);
    }
    return minus ? -s : s;
}

static struct zone_date read_date(struct cursor *c)
{
    struct zone_date date = {.time_s = 7200};
    expect(c, ',');
    if (next_is(c, 'M')) {
        date.kind = ZONE_DATE_MONTH;
        date.month = read_number(c, 1, 12);
        expect(c, '.');
        date.week = read_number(c, 1, 5);
        expect(c, '.');
        date.day = read_number(c, 0, 6);
    } else if (next_is(c, 'J')) {
        date.kind = ZONE_DATE_JULIAN;
        date.day = read_number(c, 1, 365);
    } else {
        date.kind = ZONE_DATE_DAY;
        date.day = read_number(c, 0, 365);
    }
    if (next_is(c, '/'))
        date.time_s = read_time(c, 167);
    return date;
}

bool kt_zone_rule_parse(struct kt_bytes text, struct zone_rule *ret)
{
    struct cursor c = {text.at, text.at + text.len, false};
    struct zone_rule rule = {0};
    if (text.len == 0)
        return false;
    skip_name(&c);
    rule.standard_s = -read_time(&c, 24); /* TZ counts westwards */
    rule.summer_s = rule.standard_s + 3600;
    if (!c.failed && c.at < c.end) {
        rule.has_summer = true;
        skip_name(&c);
        if (!c.failed && c.at < c.end && *c.at != ',')
            rule.summer_s = -read_time(&c, 24);
        rule.start = read_date(&c);
        rule.end = read_date(&c);
    }
    if (c.failed || c.at != c.end)
        return false;
    *ret = rule;
    return true;
}

/* ---- dates ---- */

static unsigned weekday_of(int64_t days)
{
    return (unsigned)(((days % 7) + 7 + 4) % 7); /* 1970-01-01 was a Thursday */
}

/* Local seconds of the date in that year. */
static int64_t date_in(const struct zone_date *date, int64_t year)
{
    int64_t first = kt_days_from_date(year, 1, 1), days = 0;
    switch (date->kind) {
    case ZONE_DATE_MONTH: {
        int64_t month = kt_days_from_date(year, date->month, 1);
        int64_t after = date->month == 12 ? kt_days_from_date(year + 1, 1, 1)
                                          : kt_days_from_date(year, date->month + 1, 1);
        days = month + (date->day + 7 - weekday_of(month)) % 7 + (int64_t)(date->week - 1) * 7;
        if (days >= after)
            days -= 7;
        break;
    }
    case ZONE_DATE_JULIAN: {
        bool leap = kt_days_from_date(year + 1, 1, 1) - first == 366;
        days = first + date->day - 1 + (leap && date->day >= 60);
        break;
    }
    case ZONE_DATE_DAY:
        days = first + date->day;
        break;
    }
    return days * DAY_S + date->time_s;
}

/* The changes of the years around an instant, ascending, each with another offset than the one
 * before it. Where two fall on one instant summer time's start decides (all-year summer). A change
 * may lie a week and a day outside its year, so that two years on each side are needed to know what
 * comes before each of the year's own. */
#define YEARS_AROUND 2
struct around {
    struct {
        int64_t at_s, offset_s;
    } changes[2 * (2 * YEARS_AROUND + 1)];
    size_t count;
};

static void around_add(struct around *a, int64_t at_s, int64_t offset_s)
{
    size_t i = a->count++;
    for (; i > 0 && a->changes[i - 1].at_s > at_s; i--)
        a->changes[i] = a->changes[i - 1];
    a->changes[i].at_s = at_s;
    a->changes[i].offset_s = offset_s;
}

static int64_t year_of(int64_t utc_s)
{
    int64_t year = 0;
    unsigned month = 0, day = 0;
    kt_date_from_days(utc_s / DAY_S - (utc_s % DAY_S < 0), &year, &month, &day);
    return year;
}

static struct around changes_around(const struct zone_rule *rule, int64_t year)
{
    struct around all = {.count = 0}, kept = {.count = 0};
    for (int64_t y = year - YEARS_AROUND; y <= year + YEARS_AROUND; y++)
        around_add(&all, date_in(&rule->end, y) - rule->summer_s, rule->standard_s);
    for (int64_t y = year - YEARS_AROUND; y <= year + YEARS_AROUND; y++)
        around_add(&all, date_in(&rule->start, y) - rule->standard_s, rule->summer_s);
    /* The last one is left out: the next year's first may undo it at the same instant. */
    for (size_t i = 0; i + 1 < all.count; i++) {
        if (all.changes[i + 1].at_s == all.changes[i].at_s)
            continue;
        if (kept.count > 0 && kept.changes[kept.count - 1].offset_s == all.changes[i].offset_s)
            continue;
        kept.changes[kept.count++] = all.changes[i];
    }
    return kept;
}

int64_t kt_zone_rule_offset(const struct zone_rule *rule, int64_t utc_s)
{
    int64_t offset_s = rule->standard_s;
    if (!rule->has_summer)
        return offset_s;
    struct around a = changes_around(rule, year_of(utc_s));
    for (size_t i = 0; i < a.count && a.changes[i].at_s <= utc_s; i++)
        offset_s = a.changes[i].offset_s;
    return offset_s;
}

bool kt_zone_rule_change_after(const struct zone_rule *rule, int64_t utc_s, int64_t *ret_s)
{
    if (!rule->has_summer)
        return false;
    /* Dates that agree in most years may differ in leap years, which lie up to 8 years apart. */
    int64_t year = year_of(utc_s);
    for (int64_t last = year + 10; year <= last; year += YEARS_AROUND) {
        struct around a = changes_around(rule, year);
        for (size_t i = 1; i < a.count; i++)
            if (a.changes[i].at_s > utc_s) {
                *ret_s = a.changes[i].at_s;
                return true;
            }
    }
    return false;
}
