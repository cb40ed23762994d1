/* vaultd/rotation/strategy.h - what a target can do, and where a gap could be avoided.
 *
 * What:    In-place cuts off who connects between the change and his own reload. Where a target can have two
 *          credentials accepted, a secret is set to in-place only with allow_gap (KT-R-032). One that is in-place
 *          without it goes on: it was set before that was asked for, or its target learned more since.
 * Owner:   texts live in the request's arena.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/rotation/secret.h"

#define STRATEGY_INSTEAD_MAX 2u

bool strategy_possible(const struct driver_info *can, enum run_strategy strategy);
/* What the target can: what its driver can, of a declared API what that allows. ret_ids: its keys are known by an id.
 * KT_INVALID: no such driver, or the declaration cannot be read. */
enum kt_kind strategy_abilities(struct request *req, const struct rotation_target *target, struct driver_info *ret,
                                bool *ret_ids, struct kt_err *err) KT_MUST_CHECK;

/* In place of in-place. */
struct strategy_instead {
    size_t n;                              /* 0: nothing else is possible there, or it is not in-place */
    const char *set[STRATEGY_INSTEAD_MAX]; /* fields as words of a shell, the best first: "strategy=overlap" */
};
/* KT_NO_MEMORY only. */
enum kt_kind strategy_instead(struct request *req, const struct rotation_settings *settings,
                              const struct driver_info *can, struct strategy_instead *ret, struct kt_err *err)
    KT_MUST_CHECK;
/* Both: of a target that cannot be read nothing is known. */
enum kt_kind strategy_instead_at(struct request *req, const struct rotation_settings *settings,
                                 const struct rotation_target *target, struct strategy_instead *ret,
                                 struct kt_err *err) KT_MUST_CHECK;

/* What was measured is not of this place. */
void strategy_forget_gap(struct rotation_secret *secret);
/* The members gap_instead, last_gap, last_gap_ms, last_gap_until, into an open object. */
void strategy_show_gap(const struct rotation_secret *secret, const struct strategy_instead *instead, struct kt_jsonw *w);

/* KT_INVALID (KT-R-032): a gap that could be avoided, and nobody says that it may be. What is as it was passes with a
 * warning. */
enum kt_kind strategy_check_gap(struct request *req, const struct rotation_settings *before,
                                const struct rotation_settings *settings, const struct driver_info *can,
                                struct kt_err *err) KT_MUST_CHECK;
