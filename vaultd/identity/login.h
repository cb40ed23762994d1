/* vaultd/identity/login.h - whose login it is: from what a way to log in knows to an entity.
 *
 * What:    Every way to log in ends in this one function. The mount and its name of who logs in find the
 *          alias, and with it the entity; at the first login both are made, in the login's own batch.
 *          Of two first logins at once one commits, and the other runs again and finds what it made.
 * Owner:   req->identity is set (a reference of the request's), so that reply and record can say it.
 * Threads: the request's.
 * Errors:  KT_DENIED: the entity is disabled. KT_INVALID: the name cannot be one. */
#pragma once

#include "vaultd/identity/identity.h"

struct identity_login {
    const struct mount *mount; /* of the way to log in */
    const char *name;          /* canonical: what the mount proved, never what was typed */
    struct kt_bytes metadata;  /* JSON object of strings; empty: none */
    bool has_groups;           /* the mount knows groups: these replace those of the last login */
    struct string_list groups;
};
/* *ret_entity_id lies in the arena: for the token. */
enum kt_kind identity_login(struct request *req, const struct identity_login *login,
                            const char **ret_entity_id, struct kt_err *err) KT_MUST_CHECK;

/* The groups that the mount found the alias in since its login, at a renewal: into the batch, where they are others.
 * An alias that is gone is left alone. */
enum kt_kind identity_regroup(struct request *req, const struct mount *mount, const char *name,
                              const struct string_list *groups, struct kt_err *err) KT_MUST_CHECK;

/* Whether who logs in by that name is disabled; KT_NOT_FOUND without a text: nobody has, yet. */
enum kt_kind identity_barred(struct request *req, const unsigned char scope[BARRIER_SCOPE],
                             const char *name, bool *ret, struct kt_err *err) KT_MUST_CHECK;

/* When an auth mount is removed, in the same batch: its aliases go, bit by bit. */
enum kt_kind identity_mount_removed(struct core *core, struct batch *batch,
                                    const unsigned char scope[BARRIER_SCOPE], struct kt_err *err)
    KT_MUST_CHECK;
struct job_step;
enum kt_kind identity_job(struct job_step *step, struct kt_bytes subject, struct kt_err *err)
    KT_MUST_CHECK;
