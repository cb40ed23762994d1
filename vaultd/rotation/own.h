/* vaultd/rotation/own.h - what people log in with here: the driver "vault", whose target is this very vault.
 *
 * What:    The account is where such a credential is made: "auth/approle/role/ci" makes secret ids of that
 *          role, "auth/token/roles/ci" tokens of it. A run has the way of one at a target that makes the
 *          values itself, but its steps are requests of the vault's own, not a worker's: the driver has
 *          nothing of a foreign protocol, and a worker would have to be given the right to all of this.
 * Crashes: "apply" only draws a text. The credential comes into being in the commit that stores it as the
 *          secret's new version (own_make(), from work.c): there is none that the secret does not have.
 * Ending:  by the text in the secret and its accessor beside it ("key_id"), and only where it is of that role: who
 *          writes the secret cannot have it end what he merely knows. It is accepted nevertheless, as a probe says;
 *          so "inspect" finds it unfit, and no run begins over one that would outlive it. What was ended is never
 *          made again.
 * Rights:  who sets such a rotation has to be allowed to make one: own_permit().
 * Owner:   texts are in the request's arena, what a step draws in the job's; both are wiped.
 * Threads: own_run_step(): a thread of the pool, it blocks. The others: any thread with the barrier entered. */
#pragma once

#include "lib/driver/driver.h"
#include "vaultd/core/core.h"

struct rotation;

/* Is this driver the one inside? */
bool own_is(const char *driver);
/* Are the secret's values made here? */
struct rotation_secret;
enum kt_kind own_rotates(struct request *req, const struct rotation_secret *secret, bool *ret, struct kt_err *err)
    KT_MUST_CHECK;
/* The step at this vault; one that may be carried out again, as each driver's. */
void own_run_step(struct rotation *rotation, const struct driver_step *step, struct kt_arena *arena,
                  struct driver_result *ret);
/* May the request have them made there, by the rules that the API has for making one? KT_DENIED, KT_INVALID. */
enum kt_kind own_permit(struct request *req, const char *account, struct kt_err *err) KT_MUST_CHECK;
/* Could one be made there now? KT_INVALID: not, with what mends it. *ret_life_s: how long one lasts that
 * nobody renews; 0: for ever. */
enum kt_kind own_check(struct request *req, const char *account, int64_t *ret_life_s, struct kt_err *err)
    KT_MUST_CHECK;
/* One with this text into the request's batch, after own_check() in the same snapshot. */
enum kt_kind own_make(struct request *req, const char *account, const char *text, const char **ret_accessor,
                      struct kt_err *err) KT_MUST_CHECK;

/* ---- for own_*.c: a kind of credential ---- */
struct own_place {
    const struct own_kind *kind;
    const struct mount *mount;
    const char *role;
};
struct own_text {
    const char *text, *accessor; /* as they stand in the secret */
};
enum own_life {
    OWN_DEAD,
    OWN_ALIVE,
    OWN_FOREIGN /* accepted, but not of that role, or with another accessor: end() leaves it alone */
};
struct own_kind {
    const char *mount_type; /* of the mount where it is made */
    const char *below;      /* what stands before the role in the mount */
    const char *what;       /* for people */
    enum kt_kind (*permit)(struct request *req, const struct own_place *place, struct kt_err *err);
    enum kt_kind (*check)(struct request *req, const struct own_place *place, int64_t *ret_life_s,
                          struct kt_err *err);
    enum kt_kind (*make)(struct request *req, const struct own_place *place, const char *text,
                         const char **ret_accessor, struct kt_err *err);
    /* Nothing is used up by asking. */
    enum kt_kind (*look)(struct request *req, const struct own_place *place, const struct own_text *which,
                         enum own_life *ret, struct kt_err *err);
    /* Into the batch; *ret_was false: there was none. */
    enum kt_kind (*end)(struct request *req, const struct own_place *place, const struct own_text *which,
                        bool *ret_was, struct kt_err *err);
    void (*draw)(struct kt_buf *out);
};
extern const struct own_kind own_secret_id, own_token;
/* KT_INVALID: the account names nothing of the kind. */
enum kt_kind own_find(struct request *req, const char *account, struct own_place *ret, struct kt_err *err)
    KT_MUST_CHECK;
