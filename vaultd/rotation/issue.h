/* vaultd/rotation/issue.h - generators that need another secret: certificates, signed inside the vault.
 *
 * What:    A new version has several members (a key, a certificate, the chain ...) and is made from an
 *          issuer: a secret with the members private_key and certificate, which the vault reads itself
 *          and of which nothing but certificates leaves it. There is no target, hence no worker: the
 *          run is one commit (docs/decisions/0006).
 * Rights:  who sets such a generator needs "update" on rotation/issuers/ISSUER beside the right to set
 *          the rotation. It is asked for whenever a generator with an issuer is written; from then on
 *          the setting stands by itself, whatever becomes of the token, like all of a rotation's. To
 *          rotate by hand takes no right at the issuer: it signs what was set, for whom it was set.
 * Tried:   what is set is made once, and dropped: what the issuer may not sign is refused where it is
 *          set, not when it is due. What time or a new version of the issuer mends is a warning.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/rotation/run.h"

/* Is the generator one of those? */
bool settings_issue(const struct rotation_settings *settings);
/* Of what was written: its members, the right at the issuer, and where no schedule is given with it, the
 * one that follows from the life: 2/3 of it, give or take 1/24, overdue at 5/6; of a list half, and 3/4. */
enum kt_kind issue_check(struct request *req, const struct rotation_settings *before,
                         struct rotation_secret *secret, struct kt_err *err) KT_MUST_CHECK;
/* KT_INVALID: of a generator that makes no certificate a member is set that only those have. */
enum kt_kind issue_none(const struct rotation_settings *settings, struct kt_err *err) KT_MUST_CHECK;
/* The new version's JSON text into out: `json` with the members that were made. *ret_text: what was made,
 * for people. KT_INVALID: the issuer is gone, has ended, or may not sign this. */
enum kt_kind issue_make(struct request *req, const struct run *run, struct kt_bytes json, struct kt_buf *out,
                        const char **ret_text, struct kt_err *err) KT_MUST_CHECK;
/* Makes one and drops it. KT_INVALID: a rotation would be refused now, and why. */
enum kt_kind issue_try(struct request *req, const char *name, const struct rotation_settings *settings,
                       struct kt_err *err) KT_MUST_CHECK;
/* "a server certificate for a, b: 2160h, signed by secret/ca/web". */
void issue_describe(const struct rotation_settings *settings, struct kt_buf *out);

/* ---- issuer.c ---- */
/* What of an issuer's version is used, in arena memory, which is wiped. */
struct issuer {
    const char *name;
    uint32_t version;
    struct kt_bytes key, certificate, chain; /* texts; empty: it has none */
};
/* The version that signs now: the current one, or while that is younger than `propagation` of its rotation
 * the one before. KT_INVALID says what is missing. */
enum kt_kind issuer_load(struct request *req, const char *name, struct issuer *ret, struct kt_err *err)
    KT_MUST_CHECK;
/* KT_DENIED: the request may not have this issuer sign. For another authority that is a right of its own:
 * who reads its key signs outside of the vault. */
enum kt_kind issuer_permit(struct request *req, const char *name, bool authority, struct kt_err *err)
    KT_MUST_CHECK;
/* Each of its versions that is there and has a key, the oldest first, until the callback fails, of whose
 * KT_INVALID it says which version that was. One without a key signed nothing. */
typedef enum kt_kind issuer_visit(void *arg, const struct issuer *issuer, struct kt_err *err);
enum kt_kind issuer_each(struct request *req, const char *name, issuer_visit *visit, void *arg,
                         struct kt_err *err) KT_MUST_CHECK;
