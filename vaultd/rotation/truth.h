/* vaultd/rotation/truth.h - does the target accept what is stored?
 *
 * What:    Every `verify_every` the target is asked, in one batch as runs make them: the administrative
 *          login, a wrong password, the current version. Nothing is changed. Refused means that the
 *          secret has drifted, until it is seen accepted again; an answer that proves nothing decides
 *          nothing, and it is asked again sooner. What a run proved counts as a look.
 * Limits:  A look is made only where max_refusals_per_hour leaves a run what it may need after it, and
 *          probe_spacing is over; at most TRUTHS_MAX at a time, one at a target, none where a run is
 *          at work. The wrong password counts before it is sent.
 * Stored:  in the secret's record; TABLE_LOOK has a row when the next look is due, TABLE_DRIFT one
 *          while the stored credential is refused.
 * Threads: truth_scan(), truth_finish(): the rotation thread. The rest: any with the barrier entered. */
#pragma once

#include "vaultd/rotation/engine.h"
#include "vaultd/rotation/work.h"

#define TRUTHS_MAX 2u

/* Into the batch and *secret, which the caller saves: the row of the next look. */
enum kt_kind truth_plan(struct request *req, struct rotation_secret *secret, struct kt_err *err)
    KT_MUST_CHECK;
/* What is known is of another place, or the rotation is removed: it is forgotten, with its rows. */
enum kt_kind truth_forget(struct request *req, struct rotation_secret *secret, struct kt_err *err)
    KT_MUST_CHECK;
/* A run ended: what it proved, and the next look. */
enum kt_kind truth_after_run(struct work *w, struct kt_err *err) KT_MUST_CHECK;
/* A run froze because the stored one is refused; saves the secret. */
enum kt_kind truth_of_frozen(struct work *w, struct kt_err *err) KT_MUST_CHECK;

enum truth_change { TRUTH_AS_IT_WAS, TRUTH_DRIFTED, TRUTH_HEALED };
/* A batch that asked for the current version is over. */
struct truth_seen {
    const char *secret, *target;
    uint32_t version, slot;
    unsigned uncounted; /* refusals beside that of the stored one that no budget knows of yet */
    bool ran;
    const struct driver_result *result;
};
/* Noted, judged, saved. */
enum kt_kind truth_settle(struct request *req, const struct truth_seen *seen,
                          enum truth_change *ret, struct kt_err *err) KT_MUST_CHECK;
/* When the row of a look that cannot be made now comes again; 0: no row. */
enum kt_kind truth_row(struct request *req, struct rotation_secret *secret, int64_t at_ms,
                       struct kt_err *err) KT_MUST_CHECK;
/* After a look that decided nothing. */
int64_t truth_soon_ms(const struct rotation_secret *secret);

/* Of the version that is current now. */
bool truth_drifted(const struct rotation_secret *secret, uint32_t current);
/* Members of a secret's `state`, into an open object. */
void truth_show(const struct rotation_secret *secret, uint32_t current, struct kt_jsonw *w);
/* "drifted": a list of those whose stored credential is refused, at most `limit`. */
enum kt_kind truth_list(struct request *req, int64_t limit, struct kt_jsonw *w, struct kt_err *err)
    KT_MUST_CHECK;

/* ---- truth_scan.c ---- */
void truth_scan(struct rotation *rotation);
/* A JOB_TRUTH or JOB_DRY is counted; the latter then goes to the person. */
void truth_finish(struct rotation *rotation, struct job *take_job);
