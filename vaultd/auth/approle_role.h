/* vaultd/auth/approle_role.h - auth/approle's roles: which machine may log in, and what tokens it gets.
 *
 * What:    A role has a name for people, a role id that its machine shows, and an identity that it keeps
 *          for its life: secret ids hang from that, so that those of a role that was deleted fit no other
 *          one that is made with its name.
 * Format:  named.h's ‖ id16 ‖ field role id ‖ u8 flags (1 a secret id is wanted, 2 local) ‖ i64 uses and
 *          ttl of secret ids ‖ u16 n ‖ n fields of blocks of addresses ‖ token_params.
 *          TABLE_ROLE_ID: scope16 ‖ first 16 of the role id's keyed hash -> u8 format ‖ field name.
 * Nobody:  with the first role of a mount one is made that has no name and no role id that anybody knows:
 *          whoever shows an unknown role id is answered by looking at that one, which costs the same.
 * Owner:   what is read lives in the request's arena.
 * Threads: any thread, inside of a request's pass. */
#pragma once

#include "vaultd/auth/token_params.h"

#define APPROLE_ID          16u
#define APPROLE_ID_TEXT_MAX 512u /* of role and secret ids that somebody chose */

struct approle_role {
    const char *name;
    unsigned char scope[BARRIER_SCOPE]; /* of its mount; not stored */
    unsigned char id[APPROLE_ID];
    const char *role_id;
    bool bind_secret_id, local_secret_ids;
    int64_t secret_uses, secret_ttl_s; /* 0: any number; for ever */
    struct string_list secret_cidrs;   /* where it may log in from */
    struct token_params params;
    generation changed;
};

/* KT_NOT_FOUND without a text. */
enum kt_kind approle_role_find(struct request *req, const unsigned char scope[BARRIER_SCOPE],
                               const char *name, struct approle_role *ret, struct kt_err *err)
    KT_MUST_CHECK;
/* The path's role, of the request's mount. KT_NOT_FOUND, said as Vault does. */
enum kt_kind approle_role_named(struct request *req, struct approle_role *ret, struct kt_err *err)
    KT_MUST_CHECK;
/* The role of a role id; *ret_known false: nobody's, to be treated as if a secret id were wrong.
 * KT_NOT_FOUND: the mount never had a role. Costs the same in both cases. */
enum kt_kind approle_role_of_id(struct request *req, const char *role_id, struct approle_role *ret,
                                bool *ret_known, struct kt_err *err) KT_MUST_CHECK;
/* Whatever else the batch does, it does so only while the role is as it was looked at. */
enum kt_kind approle_role_require(struct request *req, const unsigned char scope[BARRIER_SCOPE],
                                  const struct approle_role *role, struct kt_err *err) KT_MUST_CHECK;
/* The path's role. KT_NOT_FOUND without a text: reading what is not there is 404 and no more; ret->name is
 * set then. */
enum kt_kind approle_role_to_read(struct request *req, struct approle_role *ret, struct kt_err *err)
    KT_MUST_CHECK;
/* An identity for a role that is not there yet, and the role id that it gets if nobody chooses one; with
 * the first one, nobody's role is written. */
enum kt_kind approle_role_begin(struct request *req, struct approle_role *role, const char **ret_id,
                                struct kt_err *err) KT_MUST_CHECK;
/* Puts the role under another role id; the old one is nobody's from then on. It is not written yet. */
enum kt_kind approle_role_identify(struct request *req, struct approle_role *role, const char *role_id,
                                   struct kt_err *err) KT_MUST_CHECK;
enum kt_kind approle_role_put(struct request *req, const struct approle_role *role, struct kt_err *err)
    KT_MUST_CHECK;
/* With its role id at once, with its secret ids by a job. */
enum kt_kind approle_role_drop(struct request *req, const struct approle_role *role, struct kt_err *err)
    KT_MUST_CHECK;

/* approle_role_fields.c: what is a role's own beside the parameters of its tokens. which: bits, a field
 * each. A field that the request does not have stays as it is. */
#define APPROLE_OWN_ALL 31u
enum kt_kind approle_own_read(struct request *req, unsigned which, struct approle_role *role,
                              struct kt_err *err) KT_MUST_CHECK;
void approle_own_show(struct kt_jsonw *w, unsigned which, const struct approle_role *role);
/* A role that anybody may log in with who knows its role id has to be bound to somewhere. */
enum kt_kind approle_check_bound(const struct approle_role *role, struct kt_err *err) KT_MUST_CHECK;

/* A UUID from bytes that nobody can guess. */
#define APPROLE_UUID 37u
void approle_uuid(char out[APPROLE_UUID]);

/* approle_role_routes.c, approle_role_fields.c */
handler_fn approle_role_list, approle_role_read, approle_role_write, approle_role_delete;
handler_fn approle_role_id_read, approle_role_id_write;
handler_fn approle_field_read, approle_field_write, approle_field_delete;
exists_fn approle_role_exists;
