/* vaultd/auth/approle_secret.h - secret ids: what a machine shows beside its role id.
 *
 * What:    Kept as tokens are, only as a keyed hash of their text, below the identity of their role: who
 *          has one role's path in his hands reaches no other role's. Expiry, uses and addresses are
 *          looked at when one is used; the housekeeper only tidies.
 * Format:  TABLE_SECRET_ID: scope16 ‖ role16 ‖ hash16 -> u8 format ‖ field accessor ‖ i64 created,
 *          changed, expires (0: never), ttl, uses left (0: any number) ‖ u16 n ‖ n fields where it may
 *          log in from ‖ the same where its tokens may be used from ‖ field metadata (JSON object).
 *          TABLE_SECRET_OF: scope16 ‖ role16 ‖ hash16 of the accessor -> hash16.
 *          TABLE_SECRET_DUE: u64be ms ‖ hash16 -> scope16 ‖ role16 ‖ hash16.
 * Owner:   what is read lives in the request's arena.
 * Threads: any thread, inside of a request's pass. */
#pragma once

#include "vaultd/auth/approle_role.h"
#include "vaultd/core/engine.h"
#include "vaultd/core/jobs.h"

#define SECRET_KEY       49u
#define SECRET_META_MAX  16384u

struct secret_id {
    unsigned char key[SECRET_KEY]; /* of its record */
    const char *accessor;
    int64_t created_ms, changed_ms, expires_ms; /* expires 0: never */
    int64_t ttl_s, uses;                        /* 0: none; any number */
    struct string_list cidrs, token_cidrs;
    struct kt_bytes meta;
    generation changed;
};

/* Bounded as the role says, and the mount; without metadata. */
void secret_id_begin(const struct mount *mount, const struct approle_role *role, int64_t now_ms,
                     struct secret_id *ret);
/* The one of this text; KT_NOT_FOUND also for one that is over. */
enum kt_kind secret_id_find(struct request *req, const struct approle_role *role, const char *text,
                            struct secret_id *ret, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind secret_id_of_accessor(struct request *req, const struct approle_role *role,
                                   const char *accessor, struct secret_id *ret, struct kt_err *err)
    KT_MUST_CHECK;
/* Puts a new one into the batch: *secret without key and accessor, which are made. */
enum kt_kind secret_id_create(struct request *req, const struct approle_role *role, const char *text,
                              struct secret_id *secret, struct kt_err *err) KT_MUST_CHECK;
/* A use: one less, or gone with the last. Who has any number is required to be there still. */
enum kt_kind secret_id_use(struct request *req, const struct secret_id *secret,
                           struct kt_err *err) KT_MUST_CHECK;
enum kt_kind secret_id_delete(struct request *req, const struct secret_id *secret,
                              struct kt_err *err) KT_MUST_CHECK;
/* Accessors of a role as "keys" of the reply. */
enum kt_kind secret_id_list(struct request *req, const struct approle_role *role,
                            struct kt_err *err) KT_MUST_CHECK;

/* ---- for the core ---- */
/* Deletes what is over, as long as there is room; *ret_more: there are others. */
enum kt_kind secret_id_due(struct job_step *step, bool *ret_more, struct kt_err *err) KT_MUST_CHECK;
bool secret_id_any_due(struct snapshot *snapshot, int64_t now_ms);
