#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "lib/clock.h"
#include "lib/failpoint.h"
#include "lib/schedule.h"

#define MINUTE_MS ((int64_t)60000)
#define HOUR_MS   (60 * MINUTE_MS)
#define DAY_MS    (24 * HOUR_MS)

static int64_t at(const char *text)
{
    int64_t ms = 0;
    if (text == NULL || text[0] == '\0')
        return 0;
    if (!kt_time_parse(text, strlen(text), &ms))
        fail_msg("'%s' is no time", text);
    return ms;
}

static struct kt_schedule *make(struct kt_schedule_text text)
{
    struct kt_schedule *schedule = NULL;
    struct kt_err err = {0};
    if (kt_schedule_parse(&text, &schedule, &err) != KT_OK)
        fail_msg("%s", err.what);
    return schedule;
}

static void expect_time(const char *what, int64_t ms, const char *expected)
{
    char text[KT_TIME_TEXT];
    kt_time_text(ms, text);
    if (strcmp(text, expected) != 0)
        fail_msg("%s is %s, expected %s", what, text, expected);
}

/* ---- the next fire, without jitter ---- */

static const struct next_row {
    const char *name;
    struct kt_schedule_text text;
    const char *after, *last_fire, *last_done;
    const char *fire, *due, *closes; /* fire NULL: none; due "" as fire; closes "": open end */
    enum kt_due_reason reason;
} next_rows[] = {
    /* clang-format off */
    {"next: by hand never", {.cron = NULL}, "2027-01-01T00:00:00Z", "", "", NULL, "", "", 0},
    {"next: cron", {.cron = "30 2 * * *", .zone = "Europe/Berlin"}, "2027-03-27T12:00:00Z", "", "",
     "2027-03-28T01:00:00Z", "", "", KT_DUE_CRON},
    {"next: cron, this one ran already", {.cron = "30 2 * * *"}, "2027-03-27T12:00:00Z", "2027-03-28T02:30:00Z", "",
     "2027-03-29T02:30:00Z", "", "", KT_DUE_CRON},
    {"next: every five seconds", {.cron = "*/5 * * * * *"}, "2027-03-27T12:00:00.001Z", "", "",
     "2027-03-27T12:00:05Z", "", "", KT_DUE_CRON},
    {"next: cron waits for the window", {.cron = "0 12 * * *", .window = "22:00-04:00"}, "2027-03-24T00:00:00Z", "", "",
     "2027-03-24T12:00:00Z", "2027-03-24T22:00:00Z", "2027-03-25T04:00:00Z", KT_DUE_CRON},
    {"next: cron inside the window", {.cron = "30 2 * * *", .window = "22:00-04:00"}, "2027-03-24T00:00:00Z", "", "",
     "2027-03-24T02:30:00Z", "", "2027-03-24T04:00:00Z", KT_DUE_CRON},
    {"next: the night belongs to its first day", {.cron = "30 2 * * *", .window = "22:00-04:00 mon-fri"}, "2027-03-26T12:00:00Z", "", "",
     "2027-03-27T02:30:00Z", "", "2027-03-27T04:00:00Z", KT_DUE_CRON},
    {"next: Sunday waits for Monday's night", {.cron = "30 2 * * sun", .window = "22:00-04:00 mon-fri"}, "2027-03-24T00:00:00Z", "", "",
     "2027-03-28T02:30:00Z", "2027-03-29T22:00:00Z", "2027-03-30T04:00:00Z", KT_DUE_CRON},
    {"next: the window's own zone", {.cron = "0 12 * * *", .window = "22:00-04:00 mon-fri Europe/Berlin"}, "2027-01-04T00:00:00Z", "", "",
     "2027-01-04T12:00:00Z", "2027-01-04T21:00:00Z", "2027-01-05T03:00:00Z", KT_DUE_CRON},
    {"next: the schedule's zone for the window", {.cron = "0 12 * * *", .zone = "Europe/Berlin", .window = "22:00-04:00"}, "2027-01-04T00:00:00Z", "", "",
     "2027-01-04T11:00:00Z", "2027-01-04T21:00:00Z", "2027-01-05T03:00:00Z", KT_DUE_CRON},
    {"next: two hours from the time", {.cron = "30 2 * * *", .window = "2h"}, "2027-03-24T00:00:00Z", "", "",
     "2027-03-24T02:30:00Z", "", "2027-03-24T04:30:00Z", KT_DUE_CRON},
    {"next: period", {.period = "30d"}, "2027-01-10T00:00:00Z", "", "2027-01-01T00:00:00Z",
     "2027-01-31T00:00:00Z", "", "", KT_DUE_PERIOD},
    {"next: period never done", {.period = "3s"}, "2027-01-10T00:00:00Z", "", "",
     "2027-01-10T00:00:03Z", "", "", KT_DUE_PERIOD},
    {"next: period overdue", {.period = "30d"}, "2027-02-10T00:00:00Z", "", "2027-01-01T00:00:00Z",
     "2027-01-31T00:00:00Z", "", "", KT_DUE_PERIOD},
    {"next: period overdue many times is one run", {.period = "1d"}, "2027-01-20T06:00:00Z", "", "2027-01-01T00:00:00Z",
     "2027-01-20T00:00:00Z", "", "", KT_DUE_PERIOD},
    {"next: period, after a failed run", {.period = "1d"}, "2027-01-20T06:00:00Z", "2027-01-20T00:00:00Z", "2027-01-01T00:00:00Z",
     "2027-01-21T00:00:00Z", "", "", KT_DUE_PERIOD},
    {"next: period overdue, missed ones dropped", {.period = "1d", .catchup = "none"}, "2027-01-20T06:00:00Z", "", "2027-01-01T00:00:00Z",
     "2027-01-21T00:00:00Z", "", "", KT_DUE_PERIOD},
    {"next: period overdue within the grace", {.period = "1d", .catchup = "none"}, "2027-01-20T00:04:00Z", "", "2027-01-01T00:00:00Z",
     "2027-01-20T00:00:00Z", "", "", KT_DUE_PERIOD},
    {"next: period overdue waits for its window", {.period = "1d", .window = "22:00-04:00"}, "2027-01-20T06:00:00Z", "", "2027-01-01T00:00:00Z",
     "2027-01-20T00:00:00Z", "2027-01-20T22:00:00Z", "2027-01-21T04:00:00Z", KT_DUE_PERIOD},
    {"next: period overdue beyond 2h", {.period = "1d", .window = "2h"}, "2027-01-20T06:00:00Z", "", "2027-01-01T00:00:00Z",
     "2027-01-21T00:00:00Z", "", "2027-01-21T02:00:00Z", KT_DUE_PERIOD},
    {"next: period overdue within 2h", {.period = "1d", .window = "2h"}, "2027-01-20T01:00:00Z", "", "2027-01-01T00:00:00Z",
     "2027-01-20T00:00:00Z", "", "2027-01-20T02:00:00Z", KT_DUE_PERIOD},
    {"next: by hand within an age", {.max_age = "90d"}, "2027-01-01T00:00:00Z", "", "2026-12-01T00:00:00Z",
     "2027-03-01T00:00:00Z", "", "", KT_DUE_MAX_AGE},
    {"next: the age comes before the cron", {.cron = "0 0 1 1 *", .max_age = "90d", .window = "22:00-04:00"}, "2027-01-02T00:00:00Z", "", "2027-01-01T12:00:00Z",
     "2027-04-01T12:00:00Z", "", "", KT_DUE_MAX_AGE},
    {"next: the age comes after the cron", {.cron = "0 0 1 * *", .max_age = "90d"}, "2027-01-02T00:00:00Z", "", "2027-01-01T12:00:00Z",
     "2027-02-01T00:00:00Z", "", "", KT_DUE_CRON},
    {"next: the age has passed", {.cron = "0 0 1 1 *", .max_age = "90d"}, "2027-06-01T00:00:00Z", "", "2027-01-01T12:00:00Z",
     "2027-05-31T12:00:00Z", "", "", KT_DUE_MAX_AGE},
    {"next: the age has passed and was tried", {.max_age = "90d"}, "2027-06-01T00:00:00Z", "2027-05-31T12:00:00Z", "2027-01-01T12:00:00Z",
     "2027-06-01T12:00:00Z", "", "", KT_DUE_MAX_AGE},
    {"next: a short age was tried", {.max_age = "10s"}, "2027-01-01T00:00:11Z", "2027-01-01T00:00:10Z", "2027-01-01T00:00:00Z",
     "2027-01-01T00:00:20Z", "", "", KT_DUE_MAX_AGE},
    /* A window in the two nights in which Berlin's clocks change: five and seven hours long. */
    {"next: a short night", {.cron = "0 12 * * *", .zone = "Europe/Berlin", .window = "22:00-04:00"}, "2027-03-27T00:00:00Z", "", "",
     "2027-03-27T11:00:00Z", "2027-03-27T21:00:00Z", "2027-03-28T02:00:00Z", KT_DUE_CRON},
    {"next: a long night", {.cron = "0 12 * * *", .zone = "Europe/Berlin", .window = "22:00-04:00"}, "2027-10-30T00:00:00Z", "", "",
     "2027-10-30T10:00:00Z", "2027-10-30T20:00:00Z", "2027-10-31T03:00:00Z", KT_DUE_CRON},
    {"next: an edge in the gap", {.cron = "0 12 * * *", .zone = "Europe/Berlin", .window = "02:30-05:00"}, "2027-03-27T00:00:00Z", "", "",
     "2027-03-27T11:00:00Z", "2027-03-28T01:00:00Z", "2027-03-28T03:00:00Z", KT_DUE_CRON},
    {"next: a window inside the gap is left out", {.cron = "0 12 * * *", .zone = "Europe/Berlin", .window = "02:10-02:50"}, "2027-03-27T00:00:00Z", "", "",
     "2027-03-27T11:00:00Z", "2027-03-29T00:10:00Z", "2027-03-29T00:50:00Z", KT_DUE_CRON},
    {"next: the week's only window is inside the gap", {.cron = "0 12 * * sun", .zone = "Europe/Berlin", .window = "02:10-02:50 sun"}, "2027-03-21T00:00:00Z", "", "",
     "2027-03-21T11:00:00Z", "2027-04-04T00:10:00Z", "2027-04-04T00:50:00Z", KT_DUE_CRON},
    {"next: the week's only window is on a day left out", {.cron = "0 12 * * fri", .zone = "Pacific/Apia", .window = "10:00-11:00 fri"}, "2011-12-23T00:00:00Z", "", "",
     "2011-12-23T22:00:00Z", "2012-01-05T20:00:00Z", "2012-01-05T21:00:00Z", KT_DUE_CRON},
    {"next: a window inside the fold is open in both", {.cron = "0 12 * * *", .zone = "Europe/Berlin", .window = "02:10-02:50"}, "2027-10-30T00:00:00Z", "", "",
     "2027-10-30T10:00:00Z", "2027-10-31T00:10:00Z", "2027-10-31T01:50:00Z", KT_DUE_CRON},
    {"next: a day that a place left out", {.cron = "0 12 * * *", .zone = "Pacific/Apia", .window = "10:00-11:00 fri"}, "2011-12-29T00:00:00Z", "", "",
     "2011-12-29T22:00:00Z", "2012-01-05T20:00:00Z", "2012-01-05T21:00:00Z", KT_DUE_CRON},
    /* clang-format on */
};

static void finds_next(void **state)
{
    const struct next_row *row = *state;
    kt_autoschedule struct kt_schedule *schedule = make(row->text);
    struct kt_due due = {0};
    bool found = kt_schedule_next(schedule, NULL, at(row->after), at(row->last_fire),
                                  at(row->last_done), &due);
    assert_int_equal(found, row->fire != NULL);
    assert_int_equal(kt_schedule_is_manual(schedule),
                     row->text.cron == NULL && row->text.period == NULL);
    if (row->fire == NULL)
        return;
    expect_time("fire", due.fire_ms, row->fire);
    expect_time("due", due.due_ms, row->due[0] == '\0' ? row->fire : row->due);
    if (row->closes[0] == '\0')
        assert_true(due.closes_ms == INT64_MAX);
    else
        expect_time("closes", due.closes_ms, row->closes);
    assert_string_equal(kt_due_reason_text(due.reason), kt_due_reason_text(row->reason));
}

/* ---- may it start ---- */

static const struct judge_row {
    const char *name;
    struct kt_schedule_text text;
    const char *after, *now;
    enum kt_due_verdict verdict;
    const char *wait;
} judge_rows[] = {
    /* clang-format off */
    {"judge: too early", {.cron = "0 12 * * *"}, "2027-01-04T00:00:00Z", "2027-01-04T11:59:59.999Z", KT_DUE_WAIT, "2027-01-04T12:00:00Z"},
    {"judge: on time", {.cron = "0 12 * * *"}, "2027-01-04T00:00:00Z", "2027-01-04T12:00:00Z", KT_DUE_START, NULL},
    {"judge: ten days late", {.cron = "*/5 * * * *"}, "2027-01-04T00:00:00Z", "2027-01-14T12:00:00Z", KT_DUE_START, NULL},
    {"judge: late and dropped", {.cron = "0 12 * * *", .catchup = "none"}, "2027-01-04T00:00:00Z", "2027-01-04T12:05:01Z", KT_DUE_MISSED, NULL},
    {"judge: a little late", {.cron = "0 12 * * *", .catchup = "none"}, "2027-01-04T00:00:00Z", "2027-01-04T12:05:00Z", KT_DUE_START, NULL},
    {"judge: in the 2h", {.cron = "0 12 * * *", .window = "2h"}, "2027-01-04T00:00:00Z", "2027-01-04T13:59:59Z", KT_DUE_START, NULL},
    {"judge: after the 2h", {.cron = "0 12 * * *", .window = "2h"}, "2027-01-04T00:00:00Z", "2027-01-04T14:00:00Z", KT_DUE_MISSED, NULL},
    {"judge: window not open yet", {.cron = "0 12 * * *", .window = "22:00-04:00"}, "2027-01-04T00:00:00Z", "2027-01-04T13:00:00Z", KT_DUE_WAIT, "2027-01-04T22:00:00Z"},
    {"judge: window open", {.cron = "0 12 * * *", .window = "22:00-04:00"}, "2027-01-04T00:00:00Z", "2027-01-05T03:59:59Z", KT_DUE_START, NULL},
    {"judge: window closed, the next one", {.cron = "0 12 * * *", .window = "22:00-04:00 mon-fri"}, "2027-01-04T00:00:00Z", "2027-01-09T04:00:00Z", KT_DUE_WAIT, "2027-01-11T22:00:00Z"},
    {"judge: window closed, the next one is open", {.cron = "0 12 * * *", .window = "22:00-04:00"}, "2027-01-04T00:00:00Z", "2027-01-06T01:00:00Z", KT_DUE_START, NULL},
    {"judge: window closed and dropped", {.cron = "0 12 * * *", .window = "22:00-04:00", .catchup = "none"}, "2027-01-04T00:00:00Z", "2027-01-05T04:00:00Z", KT_DUE_MISSED, NULL},
    {"judge: too old to wait for a window", {.max_age = "1d", .catchup = "none"}, "2027-01-04T00:00:00Z", "2027-01-08T12:00:00Z", KT_DUE_START, NULL},
    /* clang-format on */
};

static void judges(void **state)
{
    const struct judge_row *row = *state;
    kt_autoschedule struct kt_schedule *schedule = make(row->text);
    struct kt_due due = {0};
    int64_t wait_ms = 0;
    assert_true(kt_schedule_next(schedule, NULL, at(row->after), 0, 0, &due));
    assert_int_equal(kt_schedule_judge(schedule, &due, at(row->now), &wait_ms), row->verdict);
    if (row->wait != NULL)
        expect_time("wait", wait_ms, row->wait);
}

/* ---- jitter ---- */

static const unsigned char key[32] = {1, 2, 3};

static struct kt_due next_of(const struct kt_schedule *schedule, const char *id, int64_t after_ms,
                             int64_t last_done_ms)
{
    struct kt_schedule_seed seed = {kt_bytes(key, sizeof key), kt_str(id)};
    struct kt_due due = {0};
    assert_true(kt_schedule_next(schedule, &seed, after_ms, 0, last_done_ms, &due));
    return due;
}

static void jitter_spreads_and_repeats(void **state)
{
    (void)state;
    kt_autoschedule struct kt_schedule *schedule =
        make((struct kt_schedule_text){.cron = "0 3 * * *", .jitter = "10m"});
    int64_t after_ms = at("2027-01-04T00:00:00Z"), fire_ms = at("2027-01-04T03:00:00Z");
    unsigned in_minute[11] = {0};
    for (unsigned i = 0; i < 2000; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "secret-%u", i);
        struct kt_due due = next_of(schedule, id, after_ms, 0);
        assert_int_equal(due.fire_ms, fire_ms);
        assert_in_range((uint64_t)(due.due_ms - fire_ms), 0, 10 * 60000);
        assert_int_equal(next_of(schedule, id, after_ms + 5, 0).due_ms, due.due_ms);
        in_minute[(due.due_ms - fire_ms) / MINUTE_MS]++;
    }
    for (unsigned i = 0; i < 10; i++)
        assert_in_range(in_minute[i], 150, 250);
}

static void jitter_stays_in_the_window(void **state)
{
    (void)state;
    kt_autoschedule struct kt_schedule *hours = make(
        (struct kt_schedule_text){.cron = "0 12 * * *", .jitter = "10h", .window = "22:00-22:30"});
    kt_autoschedule struct kt_schedule *after =
        make((struct kt_schedule_text){.cron = "0 12 * * *", .jitter = "10h", .window = "2h"});
    int64_t after_ms = at("2027-01-04T00:00:00Z");
    for (unsigned i = 0; i < 500; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "secret-%u", i);
        struct kt_due due = next_of(hours, id, after_ms, 0);
        assert_true(due.due_ms >= at("2027-01-04T22:00:00Z") && due.due_ms < due.closes_ms);
        due = next_of(after, id, after_ms, 0);
        assert_true(due.due_ms >= due.fire_ms && due.due_ms < due.fire_ms + 2 * HOUR_MS);
    }
}

static void period_jitter_goes_both_ways(void **state)
{
    (void)state;
    kt_autoschedule struct kt_schedule *schedule =
        make((struct kt_schedule_text){.period = "30d", .jitter = "10%"});
    int64_t done_ms = at("2027-01-01T00:00:00Z"), earlier = 0, later = 0;
    for (unsigned i = 0; i < 1000; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "secret-%u", i);
        struct kt_due due = next_of(schedule, id, done_ms, done_ms);
        int64_t off_ms = due.fire_ms - done_ms - 30 * DAY_MS;
        assert_true(off_ms >= -3 * DAY_MS && off_ms <= 3 * DAY_MS);
        assert_int_equal(due.due_ms, due.fire_ms);
        earlier += off_ms < 0;
        later += off_ms > 0;
        /* The same answer at any time until it comes, and once it is overdue. */
        assert_int_equal(next_of(schedule, id, done_ms + 20 * DAY_MS, done_ms).fire_ms,
                         due.fire_ms);
        assert_int_equal(next_of(schedule, id, due.fire_ms, done_ms).fire_ms, due.fire_ms);
        assert_int_equal(next_of(schedule, id, due.fire_ms + DAY_MS, done_ms).fire_ms, due.fire_ms);
    }
    assert_true(earlier > 400 && later > 400);
}

/* However late an engine looks, it always comes to a start or to a later fire. */
static void never_stands_still(void **state)
{
    (void)state;
    static const struct kt_schedule_text texts[] = {
        {.period = "7s", .jitter = "50%"},
        {.period = "7s", .jitter = "50%", .catchup = "none"},
        {.period = "7m", .jitter = "50%", .window = "2s", .catchup = "none"},
        {.period = "1h", .jitter = "30%", .window = "22:00-22:10 mon Europe/Berlin"},
        {.period = "1h", .window = "22:00-22:10 mon", .catchup = "none"},
        {.cron = "*/7 * * * *", .jitter = "20m", .window = "10m", .catchup = "none"},
        {.cron = "*/7 * * * *", .window = "22:00-04:00", .max_age = "3h"},
        {.max_age = "5h", .catchup = "none"},
    };
    struct kt_schedule_seed seed = {kt_bytes(key, sizeof key), kt_str("id")};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        kt_autoschedule struct kt_schedule *schedule = make(texts[i]);
        int64_t now_ms = at("2027-01-04T00:00:00Z"), last_fire_ms = 0, last_done_ms = now_ms;
        unsigned starts = 0;
        for (unsigned step = 0; step < 3000; step++) {
            struct kt_due due = {0};
            int64_t wait_ms = 0;
            assert_true(
                kt_schedule_next(schedule, &seed, now_ms, last_fire_ms, last_done_ms, &due));
            assert_true(due.fire_ms > last_fire_ms);
            enum kt_due_verdict verdict = kt_schedule_judge(schedule, &due, now_ms, &wait_ms);
            int64_t late_ms = step % 3 == 0 ? (int64_t)(step % 97) * 10000 : 0;
            for (; verdict == KT_DUE_WAIT; late_ms = 0) {
                assert_true(wait_ms > now_ms);
                now_ms = wait_ms + late_ms;
                verdict = kt_schedule_judge(schedule, &due, now_ms, &wait_ms);
            }
            if (verdict != KT_DUE_START)
                continue;
            starts++;
            last_fire_ms = due.fire_ms;
            if (step % 5 != 0)
                last_done_ms = now_ms;
        }
        if (starts < 500)
            fail_msg("schedule %zu started only %u times", i, starts);
    }
}

/* ---- refusals ---- */

static const struct refusal_row {
    const char *name;
    struct kt_schedule_text text;
    enum kt_kind kind;
    const char *what, *hint;
} refusal_rows[] = {
    /* clang-format off */
    {"refuses cron and period", {.cron = "0 0 * * *", .period = "30d"}, KT_INVALID, "not both", "max_age"},
    {"refuses a bad cron", {.cron = "0 24 * * *"}, KT_INVALID, "cron: hour field: 24", "midnight"},
    {"refuses a cron that never fires", {.cron = "0 0 30 2 *"}, KT_INVALID, "February has no day 30", "28"},
    {"refuses what only a gap would have", {.cron = "* 2 29 3 */7", .zone = "Europe/Berlin"}, KT_INVALID, "never fires in Europe/Berlin", "fixed time"},
    {"refuses an abbreviated zone", {.cron = "0 0 * * *", .zone = "CET"}, KT_INVALID, "zone: time zone 'CET'", "Europe/Berlin"},
    {"refuses an unknown zone", {.cron = "0 0 * * *", .zone = "Europe/Atlantis"}, KT_NOT_FOUND, "zone: there is no", "timedatectl"},
    {"refuses half a second", {.period = "500ms"}, KT_INVALID, "period is not a duration", "period = \"90s\""},
    {"refuses a period of nothing", {.period = "0s"}, KT_INVALID, "period is not a duration", "\"30d\""},
    {"refuses an unknown unit", {.period = "3y"}, KT_INVALID, "period", "\"30d\""},
    {"refuses a unit alone", {.period = "d"}, KT_INVALID, "period", "\"30d\""},
    {"refuses a sign", {.period = "-1h"}, KT_INVALID, "period", ""},
    {"refuses a blank", {.period = "1 h"}, KT_INVALID, "period", ""},
    {"refuses 101 years", {.period = "36865d"}, KT_INVALID, "100 years", ""},
    {"refuses a number too large", {.period = "99999999999999999999s"}, KT_INVALID, "100 years", ""},
    {"refuses a product too large", {.period = "9223372036854775807h"}, KT_INVALID, "100 years", ""},
    {"refuses jitter by hand", {.jitter = "10m"}, KT_INVALID, "jitter needs", ""},
    {"refuses jitter in per cent of a cron", {.cron = "0 0 * * *", .jitter = "10%"}, KT_INVALID, "per cent", "10m"},
    {"refuses 51 per cent", {.period = "30d", .jitter = "51%"}, KT_INVALID, "50%", "10%"},
    {"refuses jitter over half", {.period = "30d", .jitter = "16d"}, KT_INVALID, "more than half", "10%"},
    {"refuses bad jitter", {.period = "30d", .jitter = "x"}, KT_INVALID, "jitter is not a duration", ""},
    {"refuses a window by hand", {.window = "2h"}, KT_INVALID, "window needs", ""},
    {"refuses a window without minutes", {.cron = "0 0 * * *", .window = "22-04"}, KT_INVALID, "window is not a duration", ""},
    {"refuses a window's bad hour", {.cron = "0 0 * * *", .window = "25:00-04:00"}, KT_INVALID, "HH:MM-HH:MM", "22:00-04:00 mon-fri"},
    {"refuses a window's bad minute", {.cron = "0 0 * * *", .window = "22:60-04:00"}, KT_INVALID, "HH:MM-HH:MM", ""},
    {"refuses a window from 24:00", {.cron = "0 0 * * *", .window = "24:00-04:00"}, KT_INVALID, "HH:MM-HH:MM", ""},
    {"refuses a window to 24:01", {.cron = "0 0 * * *", .window = "22:00-24:01"}, KT_INVALID, "HH:MM-HH:MM", ""},
    {"refuses an empty window", {.cron = "0 0 * * *", .window = "22:00-22:00"}, KT_INVALID, "same time", "leave window out"},
    {"refuses a window's wrapping days", {.cron = "0 0 * * *", .window = "22:00-04:00 fri-mon"}, KT_INVALID, "window: weekday field", "fri-sat,sun-mon"},
    {"refuses a window's unknown day", {.cron = "0 0 * * *", .window = "22:00-04:00 freitag"}, KT_INVALID, "window: weekday field", ""},
    {"refuses a window's days twice", {.cron = "0 0 * * *", .window = "22:00-04:00 mon fri"}, KT_INVALID, "one list", ""},
    {"refuses a window's zone twice", {.cron = "0 0 * * *", .window = "22:00-04:00 UTC Europe/Berlin"}, KT_INVALID, "two time zones", ""},
    {"refuses a window's unknown zone", {.cron = "0 0 * * *", .window = "22:00-04:00 Europe/Atlantis"}, KT_NOT_FOUND, "window: there is no", ""},
    {"refuses a window of blanks", {.cron = "0 0 * * *", .window = "  "}, KT_INVALID, "window", ""},
    {"refuses a window of four words", {.cron = "0 0 * * *", .window = "22:00-04:00 mon UTC x"}, KT_INVALID, "hours, days", ""},
    {"refuses an age below the period", {.period = "30d", .jitter = "10%", .max_age = "31d"}, KT_INVALID, "max_age is shorter", "shorten the period"},
    {"refuses every catch-up", {.cron = "0 0 * * *", .catchup = "all"}, KT_INVALID, "catchup", "\"none\""},
    /* clang-format on */
};

static void refuses(void **state)
{
    const struct refusal_row *row = *state;
    struct kt_schedule *schedule = NULL;
    struct kt_err err = {0};
    assert_int_equal(kt_schedule_parse(&row->text, &schedule, &err), row->kind);
    assert_null(schedule);
    if (strstr(err.what, row->what) == NULL)
        fail_msg("'%s' does not say '%s'", err.what, row->what);
    if (strstr(err.hint, row->hint) == NULL)
        fail_msg("'%s' does not say '%s'", err.hint, row->hint);
}

/* ---- in words ---- */

static const struct word_row {
    const char *name;
    struct kt_schedule_text text;
    const char *words;
} word_rows[] = {
    {"says: by hand", {.cron = ""}, "only by hand"},
    {"says: an age", {.max_age = "90d"}, "only by hand; in any case 90d after the last rotation"},
    {"says: cron",
     {.cron = "30 2 * * *", .zone = "Europe/Berlin", .jitter = "1h30m", .catchup = "one"},
     "at 02:30 Europe/Berlin, every day, up to 1h30m later"},
    {"says: cron and hours",
     {.cron = "0 0 13 * fri", .window = "22:00-24:00 mon-fri Europe/Berlin", .catchup = "none"},
     "at 00:00 UTC, on day 13 or on Friday; starts only from 22:00 to 24:00 Europe/Berlin on "
     "Monday to Friday; missed times are dropped"},
    {"says: period",
     {.period = "28d", .jitter = "10%", .window = "2h", .max_age = "35d"},
     "28d after the last rotation, up to 2d19h12m earlier or later; starts within 2h or waits for "
     "the next time; in any case 35d after the last rotation"},
};

static void describes(void **state)
{
    const struct word_row *row = *state;
    kt_autoschedule struct kt_schedule *schedule = make(row->text);
    kt_autobuf struct kt_buf buf;
    kt_buf_init(&buf, 1024);
    kt_schedule_describe(schedule, &buf);
    assert_string_equal(kt_buf_text(&buf), row->words);
}

static const struct warn_row {
    const char *name;
    struct kt_schedule_text text;
    const char *now, *words;
} warn_rows[] = {
    {"warns: nothing", {.cron = "30 2 * * *", .max_age = "2d"}, "2027-01-01T00:00:00Z", ""},
    {"warns: four years", {.cron = "0 0 29 2 *"}, "2096-03-01T00:00:00Z", "2104-02-29"},
    {"warns: not of leap days", {.cron = "0 0 29 2 *"}, "2027-01-01T00:00:00Z", ""},
    {"warns: older than max_age",
     {.cron = "0 0 1 * *", .max_age = "20d"},
     "2027-01-01T00:00:00Z",
     "more than max_age"},
    {"warns: jitter", {.cron = "*/5 * * * *", .jitter = "5m"}, "2027-01-01T00:00:00Z", "jitter"},
    {"warns: outside the window",
     {.cron = "0 12 * * *", .window = "22:00-04:00"},
     "2027-01-01T00:00:00Z",
     "waits until it opens"},
    {"warns: inside the window",
     {.cron = "0 23 * * *", .window = "22:00-04:00"},
     "2027-01-01T00:00:00Z",
     ""},
};

static void warns(void **state)
{
    const struct warn_row *row = *state;
    kt_autoschedule struct kt_schedule *schedule = make(row->text);
    kt_autobuf struct kt_buf buf;
    kt_buf_init(&buf, 1024);
    kt_schedule_warn(schedule, at(row->now), &buf);
    if (row->words[0] == '\0')
        assert_string_equal(kt_buf_text(&buf), "");
    else if (strstr(kt_buf_text(&buf), row->words) == NULL)
        fail_msg("'%s' does not say '%s'", kt_buf_text(&buf), row->words);
}

#ifdef KT_FAULT
static void survives_no_memory(void **state)
{
    (void)state;
    struct kt_schedule_text text = {
        .cron = "0 0 * * *", .zone = "Europe/Berlin", .window = "22:00-04:00 mon America/New_York"};
    for (unsigned long nth = 1;; nth++) {
        struct kt_schedule *schedule = NULL;
        (void)kt_fail_allocation(nth);
        enum kt_kind kind = kt_schedule_parse(&text, &schedule, NULL);
        (void)kt_fail_allocation(0);
        kt_schedule_free(schedule);
        if (kind == KT_OK)
            break;
        assert_int_equal(kind, KT_NO_MEMORY);
    }
}
#endif

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define ADD(rows, function)                                                                        \
    for (size_t i = 0; i < COUNT(rows); i++)                                                       \
        tests[n++] = (struct CMUnitTest)                                                           \
        {                                                                                          \
            (rows)[i].name, function, NULL, NULL, (void *)(uintptr_t) & (rows)[i]                  \
        }

int main(void)
{
    static const struct CMUnitTest plain[] = {
        cmocka_unit_test(jitter_spreads_and_repeats),
        cmocka_unit_test(jitter_stays_in_the_window),
        cmocka_unit_test(period_jitter_goes_both_ways),
        cmocka_unit_test(never_stands_still),
#ifdef KT_FAULT
        cmocka_unit_test(survives_no_memory),
#endif
    };
    static struct CMUnitTest tests[COUNT(plain) + COUNT(next_rows) + COUNT(judge_rows) +
                                   COUNT(refusal_rows) + COUNT(word_rows) + COUNT(warn_rows)];
    size_t n = 0;
    if (sodium_init() < 0)
        return 1;
    for (size_t i = 0; i < COUNT(plain); i++)
        tests[n++] = plain[i];
    ADD(next_rows, finds_next);
    ADD(judge_rows, judges);
    ADD(refusal_rows, refuses);
    ADD(word_rows, describes);
    ADD(warn_rows, warns);
    return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
