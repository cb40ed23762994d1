/* vaultd/auth/lease.h - the leases of tokens: what a lease is called; and which leases, of secrets too
 * (vaultd/auth/leased.h), there are below a path.
 *
 * What:    A token that ends by itself has a lease, "PATH/hID": PATH is where it was made
 *          ("auth/token/create", "auth/userpass/login/bob"), ID 64 hexadecimal digits that nobody can guess or
 *          learn from its text, its accessor or the store. Whether a lease is alive is whether its token is; the
 *          rows here only lead to tokens. Root tokens without an end and wrapping tokens have none.
 * Format:  TABLE_LEASE, NAME of the lease: the token's hash32, sealed. TABLE_LEASE_PATH, NAME of PATH: u8 format (1)
 *          ‖ field PATH, sealed; it stays when its last lease has gone, until a tidying.
 * Limits:  tokens that a vaultd made before there were leases are found by nothing here: they have no rows.
 * Threads: any thread, with the barrier entered. */
#pragma once

#include "vaultd/auth/token.h"
#include "vaultd/core/jobs.h"

#define LEASE_ID_HEX 64u

/* Appends the id of the token's lease. False: it has none. */
bool lease_id(struct core *core, const struct token *token, struct kt_buf *out);
/* The token of a lease that is alive. KT_NOT_FOUND without a text: there is none. */
enum kt_kind lease_find(struct core *core, struct snapshot *snapshot, const char *id, int64_t now_ms,
                        const struct token **ret, struct kt_err *err) KT_MUST_CHECK;

/* What begins with the token, and ends with it: two operations, one operation. */
enum kt_kind lease_put(struct core *core, struct batch *batch, const struct token *token,
                       struct kt_err *err) KT_MUST_CHECK;
enum kt_kind lease_delete(struct core *core, struct batch *batch, const struct token *token,
                          struct kt_err *err) KT_MUST_CHECK;
/* Where leases are made; one operation. */
enum kt_kind lease_put_path(struct core *core, struct batch *batch, const char *path, struct kt_err *err) KT_MUST_CHECK;
#define LEASE_PUT_COSTS    2u
#define LEASE_DELETE_COSTS 1u

/* One of both; good until fn returns. */
struct lease_found {
    const unsigned char *token; /* its hash32 */
    const struct entry *secret; /* the lease's row: leased_open() */
};
/* Calls fn for each token and secret whose lease lies below the prefix ("auth/userpass/", perhaps without its
 * slash; or a whole PATH; "": all), dead or alive, until it returns something else than KT_OK: KT_GONE ends the
 * walk, and that is KT_OK; KT_NOT_FOUND passes over the rest of its PATH. path is the lease's PATH. */
typedef enum kt_kind lease_fn(void *arg, const char *path, const struct lease_found *found, struct kt_err *err);
enum kt_kind lease_each(struct request *req, const char *prefix, lease_fn *fn, void *arg,
                        struct kt_err *err) KT_MUST_CHECK;

/* ---- jobs ---- */
/* Ends what was made below the prefix before now, in one commit if it is little. *ret_left: a job ends the rest, of
 * that id. force: secrets' leases are forgotten, whatever becomes of the secrets. */
enum kt_kind lease_revoke_prefix(struct request *req, const char *prefix, bool force, bool *ret_left,
                                 unsigned char ret_id[JOB_ID], struct kt_err *err) KT_MUST_CHECK;
job_fn lease_revoke_job, lease_force_job;
/* Rows of paths that have no lease any more go. */
enum kt_kind lease_tidy(struct request *req, struct kt_err *err) KT_MUST_CHECK;
job_fn lease_tidy_job;
