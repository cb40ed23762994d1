/* lib/schedule_parts.h - what a schedule is made of. For lib/schedule*.c alone.
 * Threads: plain values; a schedule never changes after it was parsed. */
#pragma once

#include "lib/schedule.h"

enum kt_schedule_kind { KT_SCHEDULE_MANUAL, KT_SCHEDULE_CRON, KT_SCHEDULE_PERIOD };

enum kt_window_kind {
    KT_WINDOW_NONE,
    KT_WINDOW_AFTER, /* so long after the scheduled time */
    KT_WINDOW_HOURS, /* hours of the clock on some weekdays */
};
struct kt_window {
    enum kt_window_kind kind;
    int64_t after_ms;
    unsigned from_min, to_min; /* of the day; to <= from: on the day after */
    uint64_t weekdays;         /* bit 0: Sunday; of the day it opens */
    struct kt_zone *zone;      /* owned; NULL: the schedule's */
};

struct kt_schedule {
    enum kt_schedule_kind kind;
    struct kt_cron cron;
    struct kt_zone *zone;                     /* owned */
    int64_t period_ms, jitter_ms, max_age_ms; /* 0: none */
    struct kt_window window;
    bool drop_missed; /* catchup "none" */
    const struct kt_blackout *blackout; /* borrowed; NULL: none */
};

/* The first opening of a KT_WINDOW_HOURS that closes after at_ms; it may have begun. */
struct kt_opening {
    int64_t opens_ms, closes_ms;
};
struct kt_opening kt_schedule_opening(const struct kt_schedule *schedule, int64_t at_ms);
