#include "lib/cron.h"

#include "lib/cron_set.h"

const char *const kt_cron_months[12] = {"January",   "February", "March",    "April",
                                        "May",       "June",     "July",     "August",
                                        "September", "October",  "November", "December"};

static const char *const weekdays_long[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                            "Thursday", "Friday", "Saturday"};

/* "1, 3, 10-15": runs of three and more as ranges. */
static void describe_set(uint64_t set, const char *const *names, const char *range,
                         struct kt_buf *out)
{
    const char *comma = "";
    for (unsigned v = kt_cron_lowest(set); v < 64; v = kt_cron_at_least(set, v + 1)) {
        unsigned last = v;
        while (last < 63 && (set >> (last + 1)) & 1)
            last++;
        unsigned ends[2] = {v, last};
        size_t n = last - v >= 2 ? 2 : 1;
        for (size_t i = 0; i < n; i++) {
            kt_buf_add_text(out, i == 0 ? comma : range);
            if (names != NULL)
                kt_buf_add_text(out, names[ends[i]]);
            else
                kt_buf_printf(out, "%u", ends[i]);
        }
        if (n == 2)
            v = last;
        comma = ", ";
    }
}

void kt_cron_describe_weekdays(uint64_t set, struct kt_buf *out)
{
    describe_set(set, weekdays_long, " to ", out);
}

/* Is the set 0, n, 2n, ... up to max? Gives n, else 0. */
static unsigned step_of(uint64_t set, unsigned count)
{
    unsigned step = kt_cron_at_least(set, 1);
    uint64_t all = 0;
    if (step > count / 2 || step == 0)
        return 0;
    for (unsigned v = 0; v < count; v += step)
        all |= (uint64_t)1 << v;
    return all == set ? step : 0;
}

static void describe_every(unsigned step, const char *unit, struct kt_buf *out)
{
    if (step == 1)
        kt_buf_printf(out, "every %s", unit);
    else
        kt_buf_printf(out, "every %u %ss", step, unit);
}

static void describe_clock_times(const struct kt_cron *cron, struct kt_buf *out)
{
    uint64_t seconds = cron->set[KT_CRON_SECOND];
    kt_buf_add_text(out, "at ");
    const char *comma = "";
    for (int64_t s = kt_cron_next_in_day(cron, 0); s < KT_CRON_DAY_S;
         s = kt_cron_next_in_day(cron, s + 1)) {
        kt_buf_printf(out, "%s%02d:%02d", comma, (int)(s / 3600), (int)(s / 60 % 60));
        if (seconds != 1)
            kt_buf_printf(out, ":%02d", (int)(s % 60));
        comma = ", ";
    }
}

static void describe_time(const struct kt_cron *cron, struct kt_buf *out)
{
    uint64_t seconds = cron->set[KT_CRON_SECOND], minutes = cron->set[KT_CRON_MINUTE];
    uint64_t hours = cron->set[KT_CRON_HOUR];
    int times =
        __builtin_popcountll(seconds) * __builtin_popcountll(minutes) * __builtin_popcountll(hours);
    if (times <= 6) {
        describe_clock_times(cron, out);
        return;
    }
    unsigned by_second = step_of(seconds, 60), by_minute = step_of(minutes, 60);
    unsigned by_hour = step_of(hours, 24);
    if (by_second != 0) {
        describe_every(by_second, "second", out);
    } else if (seconds != 1) {
        kt_buf_add_text(out, "at second ");
        describe_set(seconds, NULL, "-", out);
    }
    if (by_minute != 1 || seconds == 1) {
        kt_buf_add_text(out, seconds == 1 ? "" : " of ");
        if (by_minute != 0) {
            describe_every(by_minute, "minute", out);
        } else {
            kt_buf_add_text(out, seconds == 1 ? "at minute " : "minute ");
            describe_set(minutes, NULL, "-", out);
        }
    }
    if (by_hour == 1 && by_minute == 0)
        kt_buf_add_text(out, " of every hour");
    if (by_hour != 1) {
        kt_buf_add_text(out, " of ");
        if (by_hour != 0) {
            describe_every(by_hour, "hour", out);
        } else {
            kt_buf_add_text(out, "hour ");
            describe_set(hours, NULL, "-", out);
        }
    }
}

static void describe_days(const struct kt_cron *cron, struct kt_buf *out)
{
    uint64_t days = cron->set[KT_CRON_DAY], weekdays = cron->set[KT_CRON_WEEKDAY];
    bool all_days = days == 0xFFFFFFFEu, all_weekdays = weekdays == 0x7F;
    bool both = cron->star[KT_CRON_DAY] || cron->star[KT_CRON_WEEKDAY];
    /* With "or" a full set means every day; with "and" it adds nothing. */
    if (both ? all_days && all_weekdays : all_days || all_weekdays) {
        kt_buf_add_text(out, ", every day");
        return;
    }
    bool with_days = !both || !all_days, with_weekdays = !both || !all_weekdays;
    if (with_days) {
        kt_buf_add_text(out, ", on day ");
        describe_set(days, NULL, "-", out);
    }
    if (with_weekdays) {
        kt_buf_add_text(out, !with_days ? ", on " : both ? " if that is a " : " or on ");
        kt_cron_describe_weekdays(weekdays, out);
    }
}

void kt_cron_describe(const struct kt_cron *cron, const char *zone, struct kt_buf *out)
{
    describe_time(cron, out);
    if (zone != NULL)
        kt_buf_printf(out, " %s", zone);
    describe_days(cron, out);
    uint64_t months = cron->set[KT_CRON_MONTH];
    if (months != 0x1FFE) {
        kt_buf_add_text(out, " in ");
        describe_set(months >> 1, kt_cron_months, " to ", out);
    }
}
