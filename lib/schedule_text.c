#include "lib/clock.h"
#include "lib/cron_set.h"
#include "lib/schedule_parts.h"

#define SECOND_MS ((int64_t)1000)
#define DAY_MS    ((int64_t)86400 * SECOND_MS)

/* "1d12h" */
static void add_duration(struct kt_buf *out, int64_t ms)
{
    static const struct {
        int64_t ms;
        char letter;
    } units[] = {{DAY_MS, 'd'}, {3600 * SECOND_MS, 'h'}, {60 * SECOND_MS, 'm'}, {SECOND_MS, 's'}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (ms >= units[i].ms)
            kt_buf_printf(out, "%lld%c", (long long)(ms / units[i].ms), units[i].letter);
        ms %= units[i].ms;
    }
    if (ms > 0)
        kt_buf_printf(out, "%lldms", (long long)ms);
}

static void describe_window(const struct kt_schedule *schedule, struct kt_buf *out)
{
    const struct kt_window *window = &schedule->window;
    switch (window->kind) {
    case KT_WINDOW_NONE:
        break;
    case KT_WINDOW_AFTER:
        kt_buf_add_text(out, "; starts within ");
        add_duration(out, window->after_ms);
        kt_buf_add_text(out, " or waits for the next time");
        break;
    case KT_WINDOW_HOURS:
        kt_buf_printf(out, "; starts only from %02u:%02u to %02u:%02u %s", window->from_min / 60,
                      window->from_min % 60, window->to_min / 60, window->to_min % 60,
                      kt_zone_name(window->zone == NULL ? schedule->zone : window->zone));
        if (window->weekdays != 0x7F) {
            kt_buf_add_text(out, " on ");
            kt_cron_describe_weekdays(window->weekdays, out);
        }
        break;
    }
}

void kt_schedule_describe(const struct kt_schedule *schedule, struct kt_buf *out)
{
    switch (schedule->kind) {
    case KT_SCHEDULE_MANUAL:
        kt_buf_add_text(out, "only by hand");
        break;
    case KT_SCHEDULE_CRON:
        kt_cron_describe(&schedule->cron, kt_zone_name(schedule->zone), out);
        if (schedule->jitter_ms != 0) {
            kt_buf_add_text(out, ", up to ");
            add_duration(out, schedule->jitter_ms);
            kt_buf_add_text(out, " later");
        }
        break;
    case KT_SCHEDULE_PERIOD:
        add_duration(out, schedule->period_ms);
        kt_buf_add_text(out, " after the last rotation");
        if (schedule->jitter_ms != 0) {
            kt_buf_add_text(out, ", up to ");
            add_duration(out, schedule->jitter_ms);
            kt_buf_add_text(out, " earlier or later");
        }
        break;
    }
    describe_window(schedule, out);
    if (schedule->max_age_ms != 0) {
        kt_buf_add_text(out, "; in any case ");
        add_duration(out, schedule->max_age_ms);
        kt_buf_add_text(out, " after the last rotation");
    }
    if (schedule->drop_missed && schedule->kind != KT_SCHEDULE_MANUAL)
        kt_buf_add_text(out, "; missed times are dropped");
    if (schedule->blackout != NULL)
        kt_buf_add_text(out, "; not in the times of its calendar");
}

static void add_date(struct kt_buf *out, int64_t ms)
{
    char text[KT_TIME_TEXT];
    kt_time_text(ms, text);
    kt_buf_add(out, text, 10);
}

static void warn_blackout(const struct kt_schedule *schedule, int64_t now_ms, struct kt_buf *out)
{
    struct kt_due due = {0};
    char from[KT_TIME_TEXT], until[KT_TIME_TEXT];
    if (schedule->blackout == NULL || !kt_schedule_next(schedule, NULL, now_ms, 0, now_ms, &due) ||
        due.moved_by == NULL)
        return;
    kt_time_text(due.moved_ms, from);
    kt_time_text(due.due_ms, until);
    kt_buf_printf(out, "the next time, %s, lies in a blackout%s%s and waits until %s%s\n", from,
                  due.moved_by[0] != '\0' ? ": " : "", due.moved_by, until,
                  due.reason == KT_DUE_MAX_AGE ? ", beyond max_age" : "");
}

void kt_schedule_warn(const struct kt_schedule *schedule, int64_t now_ms, struct kt_buf *out)
{
    struct kt_due due = {0};
    int64_t first_ms = 0, second_ms = 0;
    warn_blackout(schedule, now_ms, out);
    if (schedule->kind != KT_SCHEDULE_CRON ||
        !kt_cron_next(&schedule->cron, schedule->zone, now_ms, &first_ms) ||
        !kt_cron_next(&schedule->cron, schedule->zone, first_ms, &second_ms) ||
        !kt_schedule_next(schedule, NULL, now_ms, 0, now_ms, &due))
        return;
    if (first_ms - now_ms > (4 * 365 + 1) * DAY_MS) {
        kt_buf_add_text(out, "the next time is more than 4 years away: ");
        add_date(out, first_ms);
        kt_buf_add_char(out, '\n');
    }
    int64_t gap_ms = second_ms - first_ms;
    if (first_ms - now_ms > gap_ms)
        gap_ms = first_ms - now_ms;
    if (schedule->max_age_ms != 0 && gap_ms > schedule->max_age_ms) {
        kt_buf_add_text(out, "between two times of the cron lie ");
        add_duration(out, gap_ms - gap_ms % SECOND_MS);
        kt_buf_add_text(out, ", more than max_age: it will start runs, also outside the window\n");
    }
    if (schedule->jitter_ms >= second_ms - first_ms)
        kt_buf_add_text(out,
                        "the jitter reaches into the next time: some times will be left out\n");
    if (due.reason == KT_DUE_CRON && due.due_ms != due.fire_ms && due.moved_by == NULL) {
        kt_buf_add_text(out, "the next time lies outside the window and waits until it opens\n");
    }
}
