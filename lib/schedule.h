/* lib/schedule.h - when a secret is rotated: cron, period or by hand, in a window, within an age.
 *
 * What:    A schedule is made from texts as an operator writes them, says what to write instead
 *          when they are wrong, and answers two questions: when is the next fire
 *          (kt_schedule_next), and may what is due start now (kt_schedule_judge).
 * Texts:   cron      "30 2 * * *" (lib/cron.h), or
 *          period    "30d", counted from the last completed rotation; neither: only by hand
 *          zone      "Europe/Berlin", for cron; default "UTC"
 *          jitter    "10m", or "10%" of the period. After cron always later, never past the window;
 *                    around a period both ways. Keyed and deterministic: a restart does not redraw.
 *          window    "22:00-04:00 mon-fri Europe/Berlin": starts only then (days and zone optional:
 *                    every day, the schedule's zone; a night belongs to the day it starts on), or
 *                    "2h": only so long after the scheduled time
 *          max_age   "90d" since the last completed rotation: due even outside the window
 *          catchup   "one" (default): missed fires become one run; "none": they are dropped
 *          blackout  a calendar (lib/blackout.h): a fire that would start in one of its times goes to
 *                    the first moment behind it, into the window that is open then or opens next, by
 *                    its jitter later; a window of the "2h" kind counts from that moment. max_age
 *                    waits as well: an age is a promise, a blackout somebody's word for some days.
 *          Durations as in lib/duration.h ("90s", "1h30m", "30d"), from 1s to 100 years.
 * Owner:   kt_schedule_parse() gives the caller a schedule, kt_schedule_free() takes it; NULL is
 *          fine. A schedule never changes and holds no reference to the texts.
 * Errors:  KT_INVALID with a hint; KT_NOT_FOUND for a zone that tzdata does not know.
 * Threads: any thread. */
#pragma once

#include "lib/blackout.h"
#include "lib/buf.h"
#include "lib/cron.h"
#include "lib/err.h"

/* NULL and "" mean "not given". zone_dir NULL: KT_ZONE_DIR. */
struct kt_schedule_text {
    const char *cron, *zone, *period, *jitter, *window, *max_age, *catchup;
    const char *zone_dir;
    const struct kt_blackout *blackout; /* borrowed for as long as the schedule lives */
};

struct kt_schedule;
enum kt_kind kt_schedule_parse(const struct kt_schedule_text *text, struct kt_schedule **ret,
                               struct kt_err *err) KT_MUST_CHECK;
void kt_schedule_free(struct kt_schedule *schedule);
/* Nothing but by hand: no cron, no period (there may be a max_age). */
bool kt_schedule_is_manual(const struct kt_schedule *schedule);

/* What the jitter is drawn from: HMAC(key, id || fire time). An empty key means no jitter. */
struct kt_schedule_seed {
    struct kt_bytes key; /* 32 bytes of the caller's, the same after a restart */
    struct kt_bytes id;  /* the secret's */
};

/* KT_DUE_NEWS: what it is made of changed; whoever knows that says so (none of kt_schedule_next()). */
enum kt_due_reason { KT_DUE_CRON, KT_DUE_PERIOD, KT_DUE_MAX_AGE, KT_DUE_NEWS };
const char *kt_due_reason_text(enum kt_due_reason reason); /* "cron", "period", "max_age", "news" */
/* These wait for no window, and are never missed. */
static inline bool kt_due_over_windows(enum kt_due_reason reason)
{
    return reason == KT_DUE_MAX_AGE || reason == KT_DUE_NEWS;
}
struct kt_due {
    int64_t fire_ms;   /* the scheduled time: what makes this fire itself; store it once started */
    int64_t due_ms;    /* when to start: the fire with jitter, moved into the window */
    int64_t closes_ms; /* the window's end after due_ms: start before it; INT64_MAX without one */
    enum kt_due_reason reason;
    int64_t moved_ms;     /* when a blackout were not: due_ms moved from there; 0: it did not move */
    const char *moved_by; /* its reason, the calendar's; NULL: it did not move */
};

/* The next fire after after_ms that is not last_fire_ms or before it.
 * last_fire_ms: fire_ms of the last one that was started, 0 if none.
 * last_done_ms: the last completed rotation (or the version's creation), 0 if none: then a period
 * and max_age count from after_ms.
 * A cron fire is always after after_ms. What is overdue by period or max_age lies before it: the
 * last of all that were missed, so that a failure is not tried again at once for each of them. A
 * fire of max_age that did not end in a completed rotation is followed by one a day later (or
 * max_age later, if shorter). False: no further fire (by hand only). */
bool kt_schedule_next(const struct kt_schedule *schedule, const struct kt_schedule_seed *seed,
                      int64_t after_ms, int64_t last_fire_ms, int64_t last_done_ms,
                      struct kt_due *ret);

enum kt_due_verdict {
    KT_DUE_START,  /* now */
    KT_DUE_WAIT,   /* not before *ret_ms: not due yet, or its window opens then */
    KT_DUE_MISSED, /* too late for this fire: take the next one after now */
};
/* Looks at the clock again when a due fire's turn comes. After KT_DUE_WAIT store *ret_ms as due_ms
 * and keep fire_ms; closes_ms becomes that of the window that is open, or opens next. In a blackout of
 * its calendar every fire waits. A fire of max_age, or of news, is never missed. With catchup "none" and no window
 * a fire is missed KT_SCHEDULE_GRACE_MS after it was due; with a window, when that has closed; with
 * catchup "one" only a window of the "2h" kind can be missed, others are waited for. */
#define KT_SCHEDULE_GRACE_MS ((int64_t)5 * 60 * 1000)
enum kt_due_verdict kt_schedule_judge(const struct kt_schedule *schedule, struct kt_due *due,
                                      int64_t now_ms, int64_t *ret_ms);

/* A sentence: "at 02:30 Europe/Berlin, every day, up to 10m later; starts only within ...". */
void kt_schedule_describe(const struct kt_schedule *schedule, struct kt_buf *out);
/* Appends what should be looked at before it is relied on (next fire over 4 years away or beyond
 * max_age), one sentence a line; nothing when all is well. */
void kt_schedule_warn(const struct kt_schedule *schedule, int64_t now_ms, struct kt_buf *out);

/* A duration of lib/duration.h in the schedule's range; the error names the setting and forms. */
enum kt_kind kt_schedule_duration(const char *name, const char *text, int64_t *ret_ms,
                                  struct kt_err *err) KT_MUST_CHECK;

static inline void kt_schedule_free_at(struct kt_schedule **schedule)
{
    kt_schedule_free(*schedule);
}
#define kt_autoschedule __attribute__((cleanup(kt_schedule_free_at)))
