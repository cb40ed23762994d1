#include "lib/schedule.h"

#include <sodium.h>

#include "lib/assert.h"
#include "lib/schedule_parts.h"

#define DAY_S   ((int64_t)86400)
#define DAY_MIN ((int64_t)1440)
#define DAY_MS  (DAY_S * 1000)

bool kt_schedule_is_manual(const struct kt_schedule *schedule)
{
    return schedule->kind == KT_SCHEDULE_MANUAL;
}

const char *kt_due_reason_text(enum kt_due_reason reason)
{
    switch (reason) {
    case KT_DUE_CRON:
        return "cron";
    case KT_DUE_PERIOD:
        return "period";
    case KT_DUE_MAX_AGE:
        return "max_age";
    case KT_DUE_NEWS:
        return "news";
    }
    return "";
}

/* ---- windows ---- */

/* In a gap an edge moves to the change; in a fold the window is open from the first opening to the
 * last closing. A window of a night belongs to the day on which it opens. */
struct kt_opening kt_schedule_opening(const struct kt_schedule *schedule, int64_t at_ms)
{
    const struct kt_window *window = &schedule->window;
    const struct kt_zone *zone = window->zone == NULL ? schedule->zone : window->zone;
    int64_t at_s = at_ms / 1000 - (at_ms % 1000 < 0), local_s = at_s + kt_zone_offset(zone, at_s);
    int64_t days = local_s / DAY_S - (local_s % DAY_S < 0) - 2;
    int64_t length_min = (int64_t)window->to_min - window->from_min;
    if (length_min <= 0)
        length_min += DAY_MIN;
    /* From two days back to a week on; a week more, as the one weekday may lie in a gap; and a day or
     * two that a place may have left out. */
    for (int64_t last = days + 21; days < last; days++) {
        if (!((window->weekdays >> (((days % 7) + 7 + 4) % 7)) & 1))
            continue;
        int64_t from_s = days * DAY_S + (int64_t)window->from_min * 60;
        int64_t opens_ms = kt_zone_local(zone, from_s).first_s * 1000;
        int64_t closes_ms = kt_zone_local(zone, from_s + length_min * 60).last_s * 1000;
        if (closes_ms > at_ms && closes_ms > opens_ms)
            return (struct kt_opening){opens_ms, closes_ms};
    }
    KT_ASSERT(false && "a window opens every week");
    return (struct kt_opening){at_ms, at_ms + 1};
}

/* ---- jitter ---- */

/* 0 .. max_ms, the same each time for this secret and this fire. 64 bits against at most 42 of
 * max_ms: the bias of the remainder is below a millionth. */
static int64_t drawn(const struct kt_schedule_seed *seed, int64_t fire_ms, int64_t max_ms)
{
    if (max_ms <= 0 || seed == NULL || seed->key.len == 0)
        return 0;
    unsigned char time[8], hash[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256_state state;
    kt_put_u64(time, (uint64_t)fire_ms);
    (void)crypto_auth_hmacsha256_init(&state, seed->key.at, seed->key.len);
    (void)crypto_auth_hmacsha256_update(&state, seed->id.at, seed->id.len);
    (void)crypto_auth_hmacsha256_update(&state, time, sizeof time);
    (void)crypto_auth_hmacsha256_final(&state, hash);
    sodium_memzero(&state, sizeof state);
    return (int64_t)(kt_get_u64(hash) % ((uint64_t)max_ms + 1));
}

/* ---- the next fire ---- */

static int64_t max_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t min_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The first moment from at_ms on that neither a blackout nor the hours of the window forbid; *closes_ms
 * as the window wants it there. Each round leaves at least one of the calendar's lines behind. */
static int64_t allowed_from(const struct kt_schedule *schedule, int64_t at_ms, bool windowed,
                            int64_t *closes_ms)
{
    struct kt_blackout_span span;
    while (kt_blackout_at(schedule->blackout, at_ms, &span)) {
        at_ms = span.to_ms;
        if (windowed && schedule->window.kind == KT_WINDOW_AFTER)
            *closes_ms = at_ms + schedule->window.after_ms;
        if (windowed && schedule->window.kind == KT_WINDOW_HOURS) {
            struct kt_opening opening = kt_schedule_opening(schedule, at_ms);
            at_ms = max_of(at_ms, opening.opens_ms);
            *closes_ms = opening.closes_ms;
        }
    }
    return at_ms;
}

/* Out of the blackout that it lies in, and by up to jitter_ms later: not all at its end. */
static void clear_blackouts(const struct kt_schedule *schedule, const struct kt_schedule_seed *seed,
                            int64_t jitter_ms, struct kt_due *due)
{
    struct kt_blackout_span span;
    if (schedule->blackout == NULL || !kt_blackout_at(schedule->blackout, due->due_ms, &span))
        return;
    due->moved_ms = due->due_ms;
    due->moved_by = span.reason;
    due->due_ms =
        allowed_from(schedule, due->due_ms, !kt_due_over_windows(due->reason), &due->closes_ms);
    int64_t later_ms = due->due_ms + drawn(seed, due->fire_ms,
                                           min_of(jitter_ms, due->closes_ms - 1 - due->due_ms));
    if (!kt_blackout_at(schedule->blackout, later_ms, &span))
        due->due_ms = later_ms;
}

/* Moves a fire into its window and later by up to jitter_ms, but not past the window's end. */
static struct kt_due shaped(const struct kt_schedule *schedule, const struct kt_schedule_seed *seed,
                            int64_t fire_ms, int64_t not_before_ms, int64_t jitter_ms,
                            enum kt_due_reason reason)
{
    struct kt_due due = {.fire_ms = fire_ms, .due_ms = fire_ms, .closes_ms = INT64_MAX};
    switch (schedule->window.kind) {
    case KT_WINDOW_NONE:
        break;
    case KT_WINDOW_AFTER:
        due.closes_ms = fire_ms + schedule->window.after_ms;
        break;
    case KT_WINDOW_HOURS: {
        struct kt_opening opening = kt_schedule_opening(schedule, max_of(fire_ms, not_before_ms));
        due.due_ms = max_of(fire_ms, opening.opens_ms);
        due.closes_ms = opening.closes_ms;
        break;
    }
    }
    due.due_ms += drawn(seed, fire_ms, min_of(jitter_ms, due.closes_ms - 1 - due.due_ms));
    due.reason = reason;
    clear_blackouts(schedule, seed, schedule->jitter_ms, &due);
    return due;
}

/* The fire that is due the k-th period after base_ms. */
static struct kt_due period_fire(const struct kt_schedule *schedule,
                                 const struct kt_schedule_seed *seed, int64_t base_ms, int64_t k,
                                 int64_t after_ms)
{
    int64_t nominal_ms = base_ms + k * schedule->period_ms, jitter_ms = schedule->jitter_ms;
    int64_t fire_ms = nominal_ms - jitter_ms + drawn(seed, nominal_ms, 2 * jitter_ms);
    if (seed == NULL || seed->key.len == 0)
        fire_ms = nominal_ms;
    int64_t not_before_ms = schedule->drop_missed ? fire_ms : after_ms;
    return shaped(schedule, seed, fire_ms, not_before_ms, 0, KT_DUE_PERIOD);
}

static struct kt_due next_period(const struct kt_schedule *schedule,
                                 const struct kt_schedule_seed *seed, int64_t after_ms,
                                 int64_t last_fire_ms, int64_t last_done_ms)
{
    int64_t base_ms = max_of(last_done_ms, last_fire_ms), unused_ms = 0;
    if (base_ms == 0)
        base_ms = after_ms;
    /* Jitter moves a fire by half a period at most, so the last that has passed and the next are
     * among these. */
    int64_t k = max_of(1, (after_ms - base_ms) / schedule->period_ms);
    struct kt_due due = period_fire(schedule, seed, base_ms, k + 2, after_ms);
    for (int64_t i = k + 1; i >= max_of(1, k - 1); i--) {
        struct kt_due earlier = period_fire(schedule, seed, base_ms, i, after_ms);
        bool passed = earlier.fire_ms <= after_ms;
        if (passed &&
            (earlier.fire_ms <= last_fire_ms ||
             kt_schedule_judge(schedule, &earlier, after_ms, &unused_ms) == KT_DUE_MISSED))
            break;
        due = earlier;
        if (passed)
            break;
    }
    return due;
}

static int64_t max_age_fire(const struct kt_schedule *schedule, int64_t after_ms,
                            int64_t last_fire_ms, int64_t last_done_ms)
{
    int64_t retry_ms = min_of(schedule->max_age_ms, DAY_MS);
    int64_t first_ms = (last_done_ms == 0 ? after_ms : last_done_ms) + schedule->max_age_ms;
    int64_t passed = after_ms < first_ms ? 0 : (after_ms - first_ms) / retry_ms;
    int64_t fire_ms = first_ms + passed * retry_ms;
    return fire_ms > last_fire_ms ? fire_ms
                                  : fire_ms + ((last_fire_ms - fire_ms) / retry_ms + 1) * retry_ms;
}

bool kt_schedule_next(const struct kt_schedule *schedule, const struct kt_schedule_seed *seed,
                      int64_t after_ms, int64_t last_fire_ms, int64_t last_done_ms,
                      struct kt_due *ret)
{
    struct kt_due due = {0};
    bool found = false;
    int64_t fire_ms = 0;
    switch (schedule->kind) {
    case KT_SCHEDULE_MANUAL:
        break;
    case KT_SCHEDULE_CRON:
        found =
            kt_cron_next(&schedule->cron, schedule->zone, max_of(after_ms, last_fire_ms), &fire_ms);
        if (found)
            due = shaped(schedule, seed, fire_ms, fire_ms, schedule->jitter_ms, KT_DUE_CRON);
        break;
    case KT_SCHEDULE_PERIOD:
        due = next_period(schedule, seed, after_ms, last_fire_ms, last_done_ms);
        found = true;
        break;
    }
    if (schedule->max_age_ms != 0) {
        fire_ms = max_age_fire(schedule, after_ms, last_fire_ms, last_done_ms);
        struct kt_due aged = {.fire_ms = fire_ms,
                              .due_ms = fire_ms,
                              .closes_ms = INT64_MAX,
                              .reason = KT_DUE_MAX_AGE};
        clear_blackouts(schedule, seed, schedule->jitter_ms, &aged);
        if (!found || aged.due_ms < due.due_ms)
            due = aged;
        found = true;
    }
    if (found)
        *ret = due;
    return found;
}

/* ---- may it start ---- */

enum kt_due_verdict kt_schedule_judge(const struct kt_schedule *schedule, struct kt_due *due,
                                      int64_t now_ms, int64_t *ret_ms)
{
    if (now_ms < due->due_ms) {
        *ret_ms = due->due_ms;
        return KT_DUE_WAIT;
    }
    struct kt_blackout_span span;
    if (schedule->blackout != NULL && kt_blackout_at(schedule->blackout, now_ms, &span)) {
        *ret_ms = allowed_from(schedule, now_ms, !kt_due_over_windows(due->reason), &due->closes_ms);
        return KT_DUE_WAIT;
    }
    if (kt_due_over_windows(due->reason))
        return KT_DUE_START;
    switch (schedule->window.kind) {
    case KT_WINDOW_NONE:
        if (schedule->drop_missed && now_ms - due->due_ms > KT_SCHEDULE_GRACE_MS)
            return KT_DUE_MISSED;
        break;
    case KT_WINDOW_AFTER:
        if (now_ms >= due->closes_ms)
            return KT_DUE_MISSED;
        break;
    case KT_WINDOW_HOURS: {
        if (schedule->drop_missed && now_ms >= due->closes_ms)
            return KT_DUE_MISSED;
        struct kt_opening opening = kt_schedule_opening(schedule, now_ms);
        due->closes_ms = opening.closes_ms;
        if (opening.opens_ms > now_ms) {
            *ret_ms = opening.opens_ms;
            return KT_DUE_WAIT;
        }
        break;
    }
    }
    return KT_DUE_START;
}
