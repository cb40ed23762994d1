#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "lib/duration.h"
#include "lib/failpoint.h"
#include "lib/num.h"
#include "lib/schedule_parts.h"

#define LONGEST_MS   ((int64_t)100 * 365 * 86400 * 1000)
#define A_TIME_MS    ((int64_t)1577836800000) /* 2020: any will do, years repeat */
#define WINDOW_PARTS 4u
#define TEXT_MAX     128u

static bool given(const char *text)
{
    return text != NULL && text[0] != '\0';
}

/* ---- durations ---- */

enum kt_kind kt_schedule_duration(const char *name, const char *text, int64_t *ret_ms,
                                  struct kt_err *err)
{
    uint64_t ms = 0;
    if (kt_duration_parse(kt_str(text), &ms, NULL) == KT_OK && ms >= 1000 &&
        ms <= (uint64_t)LONGEST_MS) {
        *ret_ms = (int64_t)ms;
        return KT_OK;
    }
    (void)kt_fail(err, KT_INVALID, "%s is not a duration from 1s to 100 years", name);
    kt_hint(err, "write a number and s, m or h, or whole days: %s = \"90s\", \"1h30m\", \"30d\"",
            name);
    return KT_INVALID;
}

/* ---- windows ---- */

/* "HH:MM", to 24:00. */
static bool clock_time(struct kt_bytes text, unsigned *ret_min)
{
    uint64_t hour = 0, minute = 0;
    if (text.len != 5 || text.at[2] != ':' || !kt_u64_parse(kt_bytes(text.at, 2), 24, &hour) ||
        !kt_u64_parse(kt_bytes(text.at + 3, 2), 59, &minute) || (hour == 24 && minute != 0))
        return false;
    *ret_min = (unsigned)(hour * 60 + minute);
    return true;
}

static enum kt_kind refuse_window(struct kt_err *err, const char *what)
{
    (void)kt_fail(err, KT_INVALID, "window: %s", what);
    kt_hint(err, "write window = \"22:00-04:00 mon-fri Europe/Berlin\" (days and zone may be left "
                 "out), or \"2h\" for so long after the scheduled time");
    return KT_INVALID;
}

static enum kt_kind read_hours(struct kt_bytes text, struct kt_window *window, struct kt_err *err)
{
    if (text.len != 11 || text.at[5] != '-' ||
        !clock_time(kt_bytes(text.at, 5), &window->from_min) ||
        !clock_time(kt_bytes(text.at + 6, 5), &window->to_min) || window->from_min == 24 * 60)
        return refuse_window(err, "its hours are not HH:MM-HH:MM");
    if (window->from_min == window->to_min) {
        (void)kt_fail(err, KT_INVALID, "window: it opens and closes at the same time");
        kt_hint(err, "leave window out to allow every time, or write \"00:00-24:00\" and the days");
        return KT_INVALID;
    }
    return KT_OK;
}

/* The weekday field of cron knows names, ranges and lists, and says what is wrong with them. */
static enum kt_kind read_weekdays(struct kt_bytes text, struct kt_window *window,
                                  struct kt_err *err)
{
    char line[TEXT_MAX];
    struct kt_cron cron;
    int n = snprintf(line, sizeof line, "0 0 * * %.*s", (int)text.len, (const char *)text.at);
    if (n < 0 || (size_t)n >= sizeof line)
        return refuse_window(err, "its list of days is too long");
    enum kt_kind kind = kt_cron_parse(kt_bytes(line, (size_t)n), &cron, err);
    if (kind != KT_OK)
        kt_context(err, "window");
    else
        window->weekdays = cron.set[KT_CRON_WEEKDAY];
    return kind;
}

static enum kt_kind read_window_zone(struct kt_bytes text, const char *dir,
                                     struct kt_window *window, struct kt_err *err)
{
    char name[TEXT_MAX];
    if (window->zone != NULL)
        return refuse_window(err, "it has two time zones");
    (void)snprintf(name, sizeof name, "%.*s", (int)text.len, (const char *)text.at);
    enum kt_kind kind = kt_zone_load(dir, name, &window->zone, err);
    if (kind != KT_OK)
        kt_context(err, "window");
    return kind;
}

static bool is_zone(struct kt_bytes text)
{
    return kt_bytes_is(text, "UTC") || memchr(text.at, '/', text.len) != NULL;
}

static enum kt_kind read_window(const char *text, const char *dir, struct kt_window *window,
                                struct kt_err *err)
{
    struct kt_bytes parts[WINDOW_PARTS] = {{NULL, 0}};
    size_t n = 0, len = strlen(text);
    if (len >= TEXT_MAX)
        return refuse_window(err, "it is too long");
    for (const char *at = text + strspn(text, " "); *at != '\0'; at += strspn(at, " ")) {
        size_t part = strcspn(at, " ");
        if (n < WINDOW_PARTS)
            parts[n] = kt_bytes(at, part);
        n++;
        at += part;
    }
    if (n == 1 && memchr(parts[0].at, ':', parts[0].len) == NULL) {
        window->kind = KT_WINDOW_AFTER;
        return kt_schedule_duration("window", text + strspn(text, " "), &window->after_ms, err);
    }
    if (n < 1 || n > 3)
        return refuse_window(err, "it is not hours, days and a time zone");
    window->kind = KT_WINDOW_HOURS;
    window->weekdays = 0x7F;
    enum kt_kind kind = read_hours(parts[0], window, err);
    bool days_read = false;
    for (size_t i = 1; i < n && kind == KT_OK; i++) {
        if (is_zone(parts[i]))
            kind = read_window_zone(parts[i], dir, window, err);
        else if (days_read)
            kind = refuse_window(err, "its days are one list, without blanks, as mon-fri,sun");
        else
            kind = read_weekdays(parts[i], window, err);
        days_read = days_read || !is_zone(parts[i]);
    }
    return kind;
}

/* ---- the rest ---- */

static enum kt_kind read_jitter(const char *text, struct kt_schedule *schedule, struct kt_err *err)
{
    size_t len = strlen(text);
    uint64_t percent = 0;
    if (schedule->kind == KT_SCHEDULE_MANUAL)
        return kt_fail(err, KT_INVALID, "jitter needs a cron or a period to spread");
    if (len > 0 && text[len - 1] == '%') {
        if (!kt_u64_parse(kt_bytes(text, len - 1), 50, &percent)) {
            (void)kt_fail(err, KT_INVALID, "jitter is not 0%% to 50%% of the period");
            kt_hint(err, "write jitter = \"10%%\"");
            return KT_INVALID;
        }
        if (schedule->kind == KT_SCHEDULE_CRON) {
            (void)kt_fail(err, KT_INVALID, "jitter in per cent needs a period");
            kt_hint(err, "with cron write a duration: jitter = \"10m\"");
            return KT_INVALID;
        }
        schedule->jitter_ms = schedule->period_ms / 100 * (int64_t)percent;
        return KT_OK;
    }
    enum kt_kind kind = kt_schedule_duration("jitter", text, &schedule->jitter_ms, err);
    if (kind == KT_OK && schedule->kind == KT_SCHEDULE_PERIOD &&
        schedule->jitter_ms > schedule->period_ms / 2) {
        (void)kt_fail(err, KT_INVALID, "jitter is more than half of the period");
        kt_hint(err, "write jitter = \"10%%\"");
        return KT_INVALID;
    }
    return kind;
}

static enum kt_kind read_catchup(const char *text, struct kt_schedule *schedule, struct kt_err *err)
{
    schedule->drop_missed = strcmp(text, "none") == 0;
    if (schedule->drop_missed || strcmp(text, "one") == 0)
        return KT_OK;
    (void)kt_fail(err, KT_INVALID, "catchup is neither \"one\" nor \"none\"");
    kt_hint(err, "\"one\": missed times become one run; \"none\": they are dropped; a rotation for "
                 "each of them is never made");
    return KT_INVALID;
}

static enum kt_kind read_when(const struct kt_schedule_text *text, struct kt_schedule *schedule,
                              struct kt_err *err)
{
    if (given(text->cron) && given(text->period)) {
        (void)kt_fail(err, KT_INVALID, "a schedule has a cron or a period, not both");
        kt_hint(err, "keep cron for fixed times; max_age = \"30d\" adds a limit on the age");
        return KT_INVALID;
    }
    if (given(text->period)) {
        schedule->kind = KT_SCHEDULE_PERIOD;
        return kt_schedule_duration("period", text->period, &schedule->period_ms, err);
    }
    if (!given(text->cron))
        return KT_OK;
    schedule->kind = KT_SCHEDULE_CRON;
    enum kt_kind kind = kt_cron_parse(kt_str(text->cron), &schedule->cron, err);
    if (kind != KT_OK)
        kt_context(err, "cron");
    return kind;
}

static enum kt_kind read_max_age(const char *text, struct kt_schedule *schedule, struct kt_err *err)
{
    enum kt_kind kind = kt_schedule_duration("max_age", text, &schedule->max_age_ms, err);
    if (kind == KT_OK && schedule->kind == KT_SCHEDULE_PERIOD &&
        schedule->max_age_ms < schedule->period_ms + schedule->jitter_ms) {
        (void)kt_fail(err, KT_INVALID, "max_age is shorter than the period with its jitter");
        kt_hint(err, "shorten the period, or leave max_age out: a period limits the age already");
        return KT_INVALID;
    }
    return kind;
}

/* The calendar alone was looked at by kt_cron_parse(). */
static enum kt_kind check_fires(const struct kt_schedule *schedule, struct kt_err *err)
{
    int64_t fire_ms = 0;
    if (schedule->kind != KT_SCHEDULE_CRON ||
        kt_cron_next(&schedule->cron, schedule->zone, A_TIME_MS, &fire_ms))
        return KT_OK;
    (void)kt_fail(err, KT_INVALID, "cron: this never fires in %s: its clock leaves these times out",
                  kt_zone_name(schedule->zone));
    kt_hint(err, "choose another hour, or write minute and hour without '*': a fixed time is made "
                 "up for when the clock changes");
    return KT_INVALID;
}

static enum kt_kind read_all(const struct kt_schedule_text *text, struct kt_schedule *schedule,
                             struct kt_err *err)
{
    enum kt_kind kind = read_when(text, schedule, err);
    if (kind == KT_OK) {
        kind = kt_zone_load(text->zone_dir, given(text->zone) ? text->zone : "UTC", &schedule->zone,
                            err);
        if (kind != KT_OK)
            kt_context(err, "zone");
    }
    if (kind == KT_OK)
        kind = check_fires(schedule, err);
    if (kind == KT_OK && given(text->jitter))
        kind = read_jitter(text->jitter, schedule, err);
    if (kind == KT_OK && given(text->window))
        kind = read_window(text->window, text->zone_dir, &schedule->window, err);
    if (kind == KT_OK && given(text->max_age))
        kind = read_max_age(text->max_age, schedule, err);
    if (kind == KT_OK && given(text->catchup))
        kind = read_catchup(text->catchup, schedule, err);
    if (kind == KT_OK && schedule->kind == KT_SCHEDULE_MANUAL &&
        schedule->window.kind != KT_WINDOW_NONE)
        kind = kt_fail(err, KT_INVALID,
                       "window needs a cron or a period: who rotates by hand "
                       "chooses the time");
    return kind;
}

enum kt_kind kt_schedule_parse(const struct kt_schedule_text *text, struct kt_schedule **ret,
                               struct kt_err *err)
{
    kt_autoschedule struct kt_schedule *schedule = kt_calloc(1, sizeof *schedule);
    if (schedule == NULL)
        return kt_fail(err, KT_NO_MEMORY, "schedule");
    enum kt_kind kind = read_all(text, schedule, err);
    schedule->blackout = text->blackout;
    if (kind == KT_OK)
        *ret = KT_TAKE(schedule);
    return kind;
}

void kt_schedule_free(struct kt_schedule *schedule)
{
    if (schedule == NULL)
        return;
    int saved = errno;
    kt_zone_free(schedule->zone);
    kt_zone_free(schedule->window.zone);
    free(schedule);
    errno = saved;
}
