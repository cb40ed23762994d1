/* vaultd/rotation/drill.h - going back, tried on purpose, by hand or on a schedule of its own.
 *
 * What:    A run with the trigger "drill" goes as far as everybody running the new version, and then back:
 *          it ends no old credential (machine.h). It is no rotation: the secret's age, its next time and its
 *          failures stay what they were. What came of the last one stands in the secret's record.
 * When:    the setting `drill`, a cron in the secret's zone, within its window and its calendar; where
 *          rotations by schedule do not start, drills do not either.
 * Stored:  TABLE_DRILL has a row when the next one is due.
 * Threads: drill_scan(): the rotation thread. The rest: any with the barrier entered. */
#pragma once

#include "vaultd/rotation/calendar.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/work.h"

/* Is the setting one that can be kept to? KT_INVALID says what is wrong. */
enum kt_kind drill_check(struct request *req, const struct rotation_settings *settings,
                         struct kt_err *err) KT_MUST_CHECK;
/* KT_INVALID (KT-R-004, KT-R-031): this cannot go back, or not without a gap. allow_gap: for this time. */
enum kt_kind drill_possible(const struct rotation_secret *secret, bool allow_gap, struct kt_err *err)
    KT_MUST_CHECK;
/* Into the batch and *secret, which the caller saves: the row of the next drill after that time. Without
 * the setting there is none. */
enum kt_kind drill_plan(struct request *req, struct rotation_secret *secret, int64_t after_ms,
                        struct kt_err *err) KT_MUST_CHECK;
/* The same after a change of the settings, when it is about drills. */
enum kt_kind drill_follow(struct request *req, const struct rotation_settings *before,
                          struct rotation_secret *secret, struct kt_err *err) KT_MUST_CHECK;
/* The clock was set, time zones have other rules: the row anew, unless it is due already. */
enum kt_kind drill_replan(struct request *req, struct rotation_secret *secret, bool *ret_changed,
                          struct kt_err *err) KT_MUST_CHECK;
/* One that was too late for its window comes again in the next. */
enum kt_kind drill_again(struct request *req, struct rotation_secret *secret, struct kt_err *err)
    KT_MUST_CHECK;
enum kt_kind drill_forget(struct request *req, struct rotation_secret *secret, struct kt_err *err)
    KT_MUST_CHECK;
/* The row at another time; 0: none. */
enum kt_kind drill_row(struct request *req, struct rotation_secret *secret, int64_t at_ms,
                       struct kt_err *err) KT_MUST_CHECK;
enum kt_kind drill_judge(struct request *req, struct rotation_secret *secret, struct rotation_when *when,
                         enum kt_due_verdict *ret, struct kt_due *ret_due, int64_t *ret_ms,
                         struct kt_err *err) KT_MUST_CHECK;

/* A run ended: how long going back took, and what came of the drill that it was. */
void drill_note(struct work *w);
/* It did what it is there for: it came so far, and went back from there. */
bool drill_passed(const struct run *run);
/* And that was seen to end well for everybody, within the objective. */
bool drill_was_good(const struct run *run);
/* "" for a run that is none; "under way", "good", "failed". */
const char *drill_word(const struct run *run);
/* A member "drill", into an open object. */
void drill_show(const struct rotation_secret *secret, struct kt_jsonw *w);

/* ---- drill_scan.c ---- */
void drill_scan(struct rotation *rotation);
