/* vaultd/rotation/tell.h - what people are told of rotations, in the commit in which it happens.
 *
 * What:    Verdict first, who is hurt, the next command; once for each time that something becomes so, not
 *          for each look at it. Who is told: the secret's `notify` (vaultd/notify/notice.h).
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/notify/notice.h"
#include "vaultd/rotation/work.h"

struct overdue;
struct veto;

/* The name of a note: a credential lives for longer than max_overlap since it was to be ended. */
#define STEP_NAME_ZOMBIE "zombie"
/* A consumer is late, and cannot be sent back to a credential that was dead before. */
#define STEP_NAME_AHEAD  "no way back"

/* The run froze; it ended: only what is no good news, or late, is told; the target was asked in vain for
 * what has to be done there. */
enum kt_kind tell_frozen(struct work *w, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind tell_ended(struct work *w, struct kt_err *err) KT_MUST_CHECK;
/* answers: it does, only not what the run could go on by. */
enum kt_kind tell_stuck(struct work *w, bool answers, struct kt_err *err) KT_MUST_CHECK;
/* A step of the run, and people, once; *ret_told: this time. */
enum kt_kind tell_no_way_back(struct work *w, const char *what, bool *ret_told, struct kt_err *err)
    KT_MUST_CHECK;
/* If the old credential is being ended for longer than max_overlap: a step of the run, and people, once. */
enum kt_kind tell_zombie(struct work *w, struct kt_err *err) KT_MUST_CHECK;
/* aside: the command that puts it aside. */
enum kt_kind tell_veto(struct work *w, const struct veto *veto, const char *aside, struct kt_err *err)
    KT_MUST_CHECK;
/* Nothing starts by schedule at the run's target any more. */
enum kt_kind tell_held(struct work *w, uint32_t failures, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind tell_drifted(struct request *req, const struct rotation_secret *secret, uint32_t version,
                          struct kt_err *err) KT_MUST_CHECK;
/* Should have been rotated by now; and more than `told` secrets at a time. */
enum kt_kind tell_overdue(struct request *req, const struct rotation_secret *secret, const struct overdue *overdue,
                          struct kt_err *err) KT_MUST_CHECK;
enum kt_kind tell_many_overdue(struct request *req, unsigned told, struct kt_err *err) KT_MUST_CHECK;
