/* vaultd/rotation/people.h - how many other people have to agree before a secret is rotated.
 *
 * What:    A secret's settings, and its risk class, may want the approval of so many (`approvals`) people of the group
 *          of a rule of approval (`approvers`, vaultd/approval/rules.h). The rule lends its group, what protects that,
 *          and its time; its paths do not matter. Both add up: a secret is never less strict than its class.
 * For:     what somebody starts by hand: a rotation, one back, a drill, mending; where all that rotate as one
 *          with it are started, of all of them. And
 *          for every change of what decides that: the settings of the secret, or of one that it rotates as one with,
 *          its removal, its class. What a schedule starts needs nobody.
 * Kept:    by the one mechanism for all that waits (core/bound.h).
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/rotation/classes.h"
#include "vaultd/rotation/run.h"
#include "vaultd/rotation/target.h"

#define PEOPLE_RULE_MAX 128u

/* What the request does is to be approved as these settings want it, and their class. */
enum kt_kind people_want(struct request *req, const struct rotation_settings *settings, struct kt_err *err)
    KT_MUST_CHECK;
/* The same of the secret as it is stored and of all that it rotates as one with. */
enum kt_kind people_want_all(struct request *req, const struct rotation_secret *secret, struct kt_err *err) KT_MUST_CHECK;
/* As one class wants it. */
void people_want_of_class(struct request *req, const struct rotation_classes *classes, enum risk_class risk);

/* Whether that many could ever approve. what: "approvals" or whose, for the message. Warns where the rule itself is the
 * weaker one. */
enum kt_kind people_check(struct request *req, int64_t approvals, const char *approvers, const char *what,
                          struct kt_err *err) KT_MUST_CHECK;

/* Who approves what is started approves these runs: of those versions, by those settings, at the targets as they are.
 * What the vault learns of a target by itself, and its administrative password, may change. */
enum kt_kind people_bind(struct request *req, const struct run *runs, size_t n, struct kt_err *err) KT_MUST_CHECK;
/* Who approves a change approves it of what is changed as it is: of the secret's settings (`before`: as they are
 * stored), of those that it rotates as one with, before or after, and of its risk class, before and after; of a
 * target (as above); of all classes. Called before anything of `before` is changed. */
enum kt_kind people_bind_settings(struct request *req, const struct rotation_secret *before,
                                  const struct rotation_settings *after, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind people_bind_target(struct request *req, const struct rotation_target *before, struct kt_err *err)
    KT_MUST_CHECK;
enum kt_kind people_bind_classes(struct request *req, const struct rotation_classes *before, struct kt_err *err)
    KT_MUST_CHECK;
