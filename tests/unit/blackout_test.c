#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "lib/blackout.h"
#include "lib/clock.h"
#include "lib/failpoint.h"
#include "lib/schedule.h"

static int64_t at(const char *text)
{
    int64_t ms = 0;
    if (!kt_time_parse(text, strlen(text), &ms))
        fail_msg("'%s' is no time", text);
    return ms;
}

static struct kt_blackout *make(const char *zone, const char *ranges)
{
    struct kt_blackout *blackout = NULL;
    struct kt_err err = {0};
    const struct kt_blackout_text text = {.zone = zone, .ranges = ranges};
    if (kt_blackout_parse(&text, &blackout, &err) != KT_OK)
        fail_msg("%s", err.what);
    return blackout;
}

static void expect_time(const char *what, int64_t ms, const char *expected)
{
    char text[KT_TIME_TEXT];
    kt_time_text(ms, text);
    if (strcmp(text, expected) != 0)
        fail_msg("%s is %s, expected %s", what, text, expected);
}

/* ---- where a range begins and ends ---- */

static const struct edge_row {
    const char *name, *zone, *ranges, *from, *to, *reason;
} edge_rows[] = {
    /* clang-format off */
    {"whole days, the last included", "UTC", "2027-11-25..2027-11-29 busy", "2027-11-25T00:00:00Z", "2027-11-30T00:00:00Z", "busy"},
    {"one day", "UTC", "2027-11-25..2027-11-25", "2027-11-25T00:00:00Z", "2027-11-26T00:00:00Z", ""},
    {"to the minute", "Europe/Berlin", "2027-12-20T18:00..2028-01-06T06:00  nobody  is there ", "2027-12-20T17:00:00Z", "2028-01-06T05:00:00Z", "nobody  is there"},
    {"a day and a minute", "UTC", "2027-11-25..2027-11-29T12:30 x", "2027-11-25T00:00:00Z", "2027-11-29T12:30:00Z", "x"},
    {"the day on which the clocks go ahead", "Europe/Berlin", "2027-03-28..2027-03-28", "2027-03-27T23:00:00Z", "2027-03-28T22:00:00Z", ""},
    {"the day on which the clocks go back", "Europe/Berlin", "2027-10-31..2027-10-31", "2027-10-30T22:00:00Z", "2027-10-31T23:00:00Z", ""},
    {"edges in the gap", "Europe/Berlin", "2027-03-28T02:30..2027-03-28T05:00", "2027-03-28T01:00:00Z", "2027-03-28T03:00:00Z", ""},
    {"both edges in the fold", "Europe/Berlin", "2027-10-31T02:10..2027-10-31T02:20", "2027-10-31T00:10:00Z", "2027-10-31T01:20:00Z", ""},
    {"blank lines and remarks", "UTC", "\n# 2027-01-01..2027-01-02\n\r\n  \n2027-11-25..2027-11-25 b\r\n", "2027-11-25T00:00:00Z", "2027-11-26T00:00:00Z", "b"},
    /* clang-format on */
};

static void edges(void **state)
{
    const struct edge_row *row = *state;
    kt_autoblackout struct kt_blackout *blackout = make(row->zone, row->ranges);
    struct kt_blackout_span span = {0};
    assert_true(kt_blackout_next(blackout, at("2027-01-01T00:00:00Z"), &span));
    expect_time("from", span.from_ms, row->from);
    expect_time("to", span.to_ms, row->to);
    assert_string_equal(span.reason, row->reason);
    assert_false(kt_blackout_at(blackout, at(row->from) - 1, &span));
    assert_true(kt_blackout_at(blackout, at(row->from), &span));
    assert_true(kt_blackout_at(blackout, at(row->to) - 1, &span));
    assert_false(kt_blackout_at(blackout, at(row->to), &span));
    assert_false(kt_blackout_next(blackout, at(row->to), &span));
}

static void overlapping(void **state)
{
    (void)state;
    kt_autoblackout struct kt_blackout *blackout = make(
        "UTC", "2027-06-10..2027-06-20 long\n2027-06-12..2027-06-13 short\n2027-06-01..2027-06-02 first");
    struct kt_blackout_span span = {0};
    assert_true(kt_blackout_at(blackout, at("2027-06-12T12:00:00Z"), &span));
    assert_string_equal(span.reason, "long");
    assert_true(kt_blackout_next(blackout, at("2027-01-01T00:00:00Z"), &span));
    assert_string_equal(span.reason, "first");
    kt_autoblackout struct kt_blackout *none = make(NULL, NULL);
    assert_false(kt_blackout_at(none, 0, &span));
    assert_false(kt_blackout_next(none, 0, &span));
}

/* ---- refusals ---- */

static const struct refusal_row {
    const char *name, *zone, *ranges;
    enum kt_kind kind;
    const char *what;
} refusal_rows[] = {
    /* clang-format off */
    {"refuses words", "UTC", "christmas", KT_INVALID, "line 1 of the calendar: it does not begin with a date"},
    {"refuses one date", "UTC", "# x\n2027-11-25", KT_INVALID, "line 2 of the calendar: \"..\""},
    {"refuses a date and a dot", "UTC", "2027-11-25.", KT_INVALID, "\"..\""},
    {"refuses an open end", "UTC", "2027-11-25..", KT_INVALID, "is no date"},
    {"refuses the 30th of February", "UTC", "2027-02-30..2027-03-01", KT_INVALID, "does not begin with a date"},
    {"refuses the 29th of another", "UTC", "2027-02-01..2027-02-29", KT_INVALID, "is no date"},
    {"refuses hour 24", "UTC", "2027-02-01T24:00..2027-02-02", KT_INVALID, "does not begin with a date"},
    {"refuses minute 60", "UTC", "2027-02-01T23:60..2027-02-02", KT_INVALID, "does not begin with a date"},
    {"refuses a second", "UTC", "2027-02-01T23:00:00..2027-02-02", KT_INVALID, "\"..\""},
    {"refuses what ends first", "UTC", "2027-02-02..2027-02-01", KT_INVALID, "ends before it begins"},
    {"refuses no time at all", "UTC", "2027-02-02T10:00..2027-02-02T10:00", KT_INVALID, "ends before it begins"},
    {"refuses a reason at the date", "UTC", "2027-02-02..2027-02-03x", KT_INVALID, "is no date"},
    {"refuses a control character", "UTC", "2027-02-02..2027-02-03 a\tb", KT_INVALID, "control character"},
    {"refuses the year 1969", "UTC", "1969-02-02..2027-02-03", KT_INVALID, "does not begin with a date"},
    {"refuses an unknown zone", "Europe/Atlantis", "", KT_NOT_FOUND, "zone: there is no"},
    {"refuses an abbreviation", "CET", "", KT_INVALID, "zone: time zone 'CET'"},
    /* clang-format on */
};

static void refuses(void **state)
{
    const struct refusal_row *row = *state;
    struct kt_blackout *blackout = NULL;
    struct kt_err err = {0};
    const struct kt_blackout_text text = {.zone = row->zone, .ranges = row->ranges};
    assert_int_equal(kt_blackout_parse(&text, &blackout, &err), row->kind);
    assert_null(blackout);
    if (strstr(err.what, row->what) == NULL)
        fail_msg("'%s' does not say '%s'", err.what, row->what);
}

static void refuses_too_much(void **state)
{
    (void)state;
    struct kt_blackout *blackout = NULL;
    struct kt_err err = {0};
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, 65536);
    for (unsigned i = 0; i < KT_BLACKOUT_RANGES; i++)
        kt_buf_add_text(&text, "2027-11-25..2027-11-29 x\n");
    struct kt_blackout_text lines = {.ranges = kt_buf_text(&text)};
    assert_int_equal(kt_blackout_parse(&lines, &blackout, &err), KT_OK);
    kt_blackout_free(blackout);
    blackout = NULL;
    kt_buf_add_text(&text, "2027-11-25..2027-11-29 x\n");
    lines.ranges = kt_buf_text(&text);
    assert_int_equal(kt_blackout_parse(&lines, &blackout, &err), KT_INVALID);
    assert_non_null(strstr(err.what, "400 ranges"));
    char line[300];
    memset(line, 'x', sizeof line);
    memcpy(line, "2027-11-25..2027-11-29 ", 23);
    line[257] = '\0';
    lines.ranges = line;
    assert_int_equal(kt_blackout_parse(&lines, &blackout, &err), KT_INVALID);
    assert_non_null(strstr(err.what, "256 bytes"));
    line[256] = '\0';
    assert_int_equal(kt_blackout_parse(&lines, &blackout, &err), KT_OK);
    kt_blackout_free(blackout);
}

/* ---- with a schedule ---- */

#define SUMMER "2027-07-01..2027-08-31 holidays"

static const struct move_row {
    const char *name;
    struct kt_schedule_text text;
    const char *ranges, *after, *last_done;
    const char *fire, *due, *closes, *moved; /* moved NULL: it is not; closes NULL: open end */
    enum kt_due_reason reason;
} move_rows[] = {
    /* clang-format off */
    {"stays", {.cron = "0 3 1 * *"}, SUMMER, "2027-06-15T00:00:00Z", NULL,
     "2027-07-01T03:00:00Z", "2027-09-01T00:00:00Z", NULL, "2027-07-01T03:00:00Z", KT_DUE_CRON},
    {"is not in it", {.cron = "0 3 1 * *"}, SUMMER, "2027-05-15T00:00:00Z", NULL,
     "2027-06-01T03:00:00Z", "2027-06-01T03:00:00Z", NULL, NULL, KT_DUE_CRON},
    {"goes into the window behind it", {.cron = "0 3 1 * *", .window = "02:00-05:00 mon-fri"}, SUMMER, "2027-06-15T00:00:00Z", NULL,
     "2027-07-01T03:00:00Z", "2027-09-01T02:00:00Z", "2027-09-01T05:00:00Z", "2027-07-01T03:00:00Z", KT_DUE_CRON},
    {"into one that is open at its end", {.cron = "0 3 1 * *", .window = "22:00-04:00"}, SUMMER, "2027-06-15T00:00:00Z", NULL,
     "2027-07-01T03:00:00Z", "2027-09-01T00:00:00Z", "2027-09-01T04:00:00Z", "2027-07-01T03:00:00Z", KT_DUE_CRON},
    {"a window of two hours counts from its end", {.cron = "0 3 1 * *", .window = "2h"}, SUMMER, "2027-06-15T00:00:00Z", NULL,
     "2027-07-01T03:00:00Z", "2027-09-01T00:00:00Z", "2027-09-01T02:00:00Z", "2027-07-01T03:00:00Z", KT_DUE_CRON},
    {"a window that lies in the next one goes on", {.cron = "0 3 1 * *", .window = "02:00-05:00"}, SUMMER "\n2027-09-01T01:00..2027-09-01T06:00 more", "2027-06-15T00:00:00Z", NULL,
     "2027-07-01T03:00:00Z", "2027-09-02T02:00:00Z", "2027-09-02T05:00:00Z", "2027-07-01T03:00:00Z", KT_DUE_CRON},
    {"a fire moved by its window into one", {.cron = "0 12 30 6 *", .window = "22:00-04:00"}, "2027-06-30T20:00..2027-07-02T00:00", "2027-06-15T00:00:00Z", NULL,
     "2027-06-30T12:00:00Z", "2027-07-02T00:00:00Z", "2027-07-02T04:00:00Z", "2027-06-30T22:00:00Z", KT_DUE_CRON},
    {"a period", {.period = "30d"}, SUMMER, "2027-06-15T00:00:00Z", "2027-06-10T00:00:00Z",
     "2027-07-10T00:00:00Z", "2027-09-01T00:00:00Z", NULL, "2027-07-10T00:00:00Z", KT_DUE_PERIOD},
    {"an age waits as well", {.max_age = "30d"}, SUMMER, "2027-06-15T00:00:00Z", "2027-06-10T00:00:00Z",
     "2027-07-10T00:00:00Z", "2027-09-01T00:00:00Z", NULL, "2027-07-10T00:00:00Z", KT_DUE_MAX_AGE},
    {"an age does not wait for the window", {.cron = "0 0 1 1 *", .max_age = "30d", .window = "02:00-05:00"}, SUMMER, "2027-06-15T00:00:00Z", "2027-06-10T00:00:00Z",
     "2027-07-10T00:00:00Z", "2027-09-01T00:00:00Z", NULL, "2027-07-10T00:00:00Z", KT_DUE_MAX_AGE},
    /* clang-format on */
};

static void moves(void **state)
{
    const struct move_row *row = *state;
    kt_autoblackout struct kt_blackout *blackout = make("UTC", row->ranges);
    kt_autoschedule struct kt_schedule *schedule = NULL;
    struct kt_schedule_text text = row->text;
    struct kt_due due = {0};
    int64_t wait_ms = 0;
    text.blackout = blackout;
    assert_int_equal(kt_schedule_parse(&text, &schedule, NULL), KT_OK);
    int64_t done = row->last_done == NULL ? 0 : at(row->last_done);
    assert_true(kt_schedule_next(schedule, NULL, at(row->after), 0, done, &due));
    expect_time("fire", due.fire_ms, row->fire);
    expect_time("due", due.due_ms, row->due);
    assert_int_equal(due.reason, row->reason);
    if (row->closes == NULL)
        assert_true(due.closes_ms == INT64_MAX);
    else
        expect_time("closes", due.closes_ms, row->closes);
    assert_int_equal(due.moved_ms != 0, row->moved != NULL);
    assert_int_equal(due.moved_by != NULL, row->moved != NULL);
    if (row->moved != NULL)
        expect_time("moved from", due.moved_ms, row->moved);
    assert_int_equal(kt_schedule_judge(schedule, &due, due.due_ms, &wait_ms), KT_DUE_START);
    /* One that was planned before somebody wrote the calendar is found out when its turn comes. */
    if (row->moved == NULL)
        return;
    struct kt_due before = {.fire_ms = due.fire_ms,
                            .due_ms = due.moved_ms,
                            .closes_ms = due.closes_ms,
                            .reason = due.reason};
    assert_int_equal(kt_schedule_judge(schedule, &before, due.moved_ms, &wait_ms), KT_DUE_WAIT);
    expect_time("wait", wait_ms, row->due);
    before.due_ms = wait_ms;
    assert_int_equal(kt_schedule_judge(schedule, &before, wait_ms, &wait_ms), KT_DUE_START);
}

/* Many that were held back do not all start at its end. */
static void spreads_behind_it(void **state)
{
    (void)state;
    static const unsigned char key[32] = {1, 2, 3};
    kt_autoblackout struct kt_blackout *blackout = make("UTC", SUMMER);
    kt_autoschedule struct kt_schedule *schedule = NULL;
    const struct kt_schedule_text text = {
        .cron = "0 3 1 * *", .jitter = "10h", .window = "00:00-06:00", .blackout = blackout};
    assert_int_equal(kt_schedule_parse(&text, &schedule, NULL), KT_OK);
    unsigned in_hour[6] = {0};
    for (unsigned i = 0; i < 1200; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "secret-%u", i);
        const struct kt_schedule_seed seed = {kt_bytes(key, sizeof key), kt_str(id)};
        struct kt_due due = {0};
        assert_true(kt_schedule_next(schedule, &seed, at("2027-06-15T00:00:00Z"), 0, 0, &due));
        int64_t late = due.due_ms - at("2027-09-01T00:00:00Z");
        assert_in_range((uint64_t)late, 0, 6 * 3600 * 1000 - 1);
        in_hour[late / 3600000]++;
    }
    for (unsigned i = 0; i < 6; i++)
        assert_in_range(in_hour[i], 120, 280);
}

#ifdef KT_FAULT
static void survives_no_memory(void **state)
{
    (void)state;
    const struct kt_blackout_text text = {.zone = "Europe/Berlin", .ranges = SUMMER};
    for (unsigned long nth = 1;; nth++) {
        struct kt_blackout *blackout = NULL;
        (void)kt_fail_allocation(nth);
        enum kt_kind kind = kt_blackout_parse(&text, &blackout, NULL);
        (void)kt_fail_allocation(0);
        kt_blackout_free(blackout);
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
        cmocka_unit_test(overlapping),
        cmocka_unit_test(refuses_too_much),
        cmocka_unit_test(spreads_behind_it),
#ifdef KT_FAULT
        cmocka_unit_test(survives_no_memory),
#endif
    };
    static struct CMUnitTest
        tests[COUNT(plain) + COUNT(edge_rows) + COUNT(refusal_rows) + COUNT(move_rows)];
    size_t n = 0;
    if (sodium_init() < 0)
        return 1;
    for (size_t i = 0; i < COUNT(plain); i++)
        tests[n++] = plain[i];
    ADD(edge_rows, edges);
    ADD(refusal_rows, refuses);
    ADD(move_rows, moves);
    return cmocka_run_group_tests_name("blackout", tests, NULL, NULL);
}
