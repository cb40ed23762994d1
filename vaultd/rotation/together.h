/* vaultd/rotation/together.h - secrets that rotate as one.
 *
 * What:    The first of them names the others (`together`), each of which knows it (secret->led_by). Whichever is
 *          started, all are, in one commit: a run each, which knows the others' ids (run->mates). Each goes its own
 *          way up to where the next step could not be taken back, and says so (run->ready). The last that comes there
 *          binds all of them in one commit (machine.bound), on condition that the others' records are as it read
 *          them: from then on none goes back. Where one goes back before, or is cancelled, the others do, too.
 *          Nothing of it is kept in memory, so a crash changes nothing.
 * Limits:  TOGETHER_MAX secrets, each with a target: a run without one is over in the commit that makes it.
 * Threads: any thread with the barrier entered; together_back(), together_hold(): the rotation thread. */
#pragma once

#include "vaultd/rotation/pass.h"

#define TOGETHER_MAX      6u /* a batch has room for 100 operations */
#define TOGETHER_NAME_MAX 768u /* those of all others are one step's text */

/* Where the others are. */
struct mate {
    const struct machine *machine;
    bool ready;
    bool asked; /* to go back, which it will at its next step */
};
enum together_verdict {
    TOGETHER_WAIT, /* one is not as far: *ret_who */
    TOGETHER_GO,   /* all are, or went on already */
    TOGETHER_BACK  /* one goes back, or was cancelled: *ret_who */
};
enum together_verdict together_judge(const struct mate *mates, size_t n, size_t *ret_who);

/* Of what is written: from the secrets that `before` names to those of secret->settings, into req's batch. KT_INVALID:
 * one is not rotated at a target, rotates with another already, is named twice or has another's account group;
 * KT_DENIED: who writes may not set the rotation of all that are named now. */
enum kt_kind together_move(struct request *req, const struct rotation_settings *before,
                           const struct rotation_secret *secret, struct kt_err *err) KT_MUST_CHECK;
/* KT_DENIED: the request may not rotate all that rotate with the secret. */
enum kt_kind together_permit(struct request *req, const struct rotation_secret *secret, struct kt_err *err)
    KT_MUST_CHECK;
/* KT_DENIED: the request may not set their rotation: what says when one is due says it of all of them. */
enum kt_kind together_permit_times(struct request *req, const struct rotation_secret *secret, struct kt_err *err)
    KT_MUST_CHECK;
/* KT_DENIED: the request may not rotate all that go back where the run does. */
enum kt_kind together_permit_back(struct request *req, const struct run *run, struct kt_err *err) KT_MUST_CHECK;
/* run_start() for the secret, and for all that rotate with it: *ret_n runs, in the arena, its own the first. None
 * starts where one cannot. */
enum kt_kind together_start(struct request *req, struct rotation_secret *secret, const struct run_wish *wish,
                            struct run **ret, size_t *ret_n, struct kt_err *err) KT_MUST_CHECK;
/* The others' names, into the arena; `at` has room for TOGETHER_MAX. */
enum kt_kind together_others(struct request *req, const struct rotation_secret *secret, const char **at,
                             size_t *ret_n, struct kt_err *err) KT_MUST_CHECK;

/* Why the run has to go back with another, which is noted in it; NULL: it need not. */
enum kt_kind together_back(struct work *w, const char **ret_why, struct kt_err *err) KT_MUST_CHECK;
/* Before the next step that could not be taken back. *ret_held true: not yet, or it was bound just now. */
enum kt_kind together_hold(struct pass *p, struct work *w, bool *ret_held, struct kt_err *err) KT_MUST_CHECK;
/* The member "together": [{run, secret}]. */
void together_show(const struct run *run, struct kt_jsonw *w);
