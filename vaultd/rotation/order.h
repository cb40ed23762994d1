/* vaultd/rotation/order.h - which secrets are rotated before others.
 *
 * What:    A secret goes after those that its `after` names, a certificate after its issuer (a list of revoked
 *          ones does not), and what is rotated at a target after the secret that is the target's administrative login. What a schedule starts waits while one of them is due, too, or has a run under way; by hand nothing waits.
 *          A wait has an end: a run of theirs that did not end well, or is frozen, is waited for no more,
 *          and nobody waits longer than ORDER_MOST_MS from when he was due.
 * Circles: refused when they are written, on condition that what was looked at stays as it is: of two writes
 *          that would make one together, one is tried again and refused.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/rotation/secret.h"

#define ORDER_NAMES_MAX 8u  /* that `after` names */
#define ORDER_WALK_MAX  24u /* that go before one secret, those before them included; each is a condition of the batch */
#define ORDER_MOST_MS   ((int64_t)24 * 60 * 60 * 1000)

/* KT_INVALID: one that `after` names is not rotated (asked where it is another list than before), or is the secret
 * itself by way of others, which the text lists. Into req's batch: the conditions. */
enum kt_kind order_check(struct request *req, const struct rotation_settings *before,
                         const struct rotation_secret *secret, struct kt_err *err) KT_MUST_CHECK;

/* Of a target whose administrative login becomes this secret: KT_INVALID when that goes after one which is rotated
 * there. */
enum kt_kind order_check_target(struct request *req, const struct rotation_secret *admin, const char *target,
                                struct kt_err *err) KT_MUST_CHECK;

struct order_wait {
    bool waits;
    unsigned char id[RUN_ID]; /* of the secret that it waits for */
    const char *text;         /* "secret/ca/web, which is rotated first: it is due, too"; waits false: whom it did not
                                 wait for, and why; "": nobody. In arena memory */
};
/* Were the secret due now: does a start by schedule wait? */
enum kt_kind order_look(struct request *req, const struct rotation_secret *secret, struct order_wait *ret,
                        struct kt_err *err) KT_MUST_CHECK;
