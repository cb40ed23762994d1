/* vaultd/core/mounts.h - the mount table: which engine answers below which path.
 *
 * What:    One sealed record in the store; in memory an immutable, reference-counted table that is
 *          read anew when the record's `changed` differs; each thread keeps one, and looks again
 *          after a fold that changed a configuration record. A request uses its thread's from
 *          mounts_route() until mounts_release(), within which no other request runs there.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/core/core.h"

#define MOUNTS_MAX 4096u

/* Finds the mount with the longest prefix and its route; fills req->mount (NULL: none), rest,
 * route (NULL: none), params. Only fails when the table cannot be read. */
enum kt_kind mounts_route(struct request *req, struct kt_err *err) KT_MUST_CHECK;
/* The same among the sys/ routes that answer while sealed. KT_SEALED: no such. */
enum kt_kind mounts_route_sealed(struct request *req) KT_MUST_CHECK;
void mounts_release(struct request *req);
/* Mount of a logical secret path "secret/db/orders" and the rest of it; of this request's table. */
const struct mount *mounts_find(struct request *req, const char *path, const char **ret_rest);
/* The row that would answer at a path, and how policies are asked about it: for who only asks. row->route NULL:
 * none. Only fails for memory. */
struct mount_row {
    const struct mount *mount;
    const struct route *route;
    const char *path, *other; /* struct request, path and other_path */
};
enum kt_kind mounts_row(struct request *req, enum operation op, const char *path, struct mount_row *ret,
                        struct kt_err *err) KT_MUST_CHECK;
/* All, sorted by path; they live as long as the request holds its table. */
size_t mounts_all(struct request *req, const struct mount *const **ret);

/* Whether a mount of this scope is there, in the snapshot. */
enum kt_kind mounts_have(struct core *core, struct snapshot *snapshot,
                         const unsigned char scope[BARRIER_SCOPE], bool *ret, struct kt_err *err)
    KT_MUST_CHECK;
/* The engine of the mount of this scope, NULL: none; for who has no request. */
enum kt_kind mounts_engine(struct core *core, struct snapshot *snapshot, const unsigned char scope[BARRIER_SCOPE],
                           const struct engine **ret, struct kt_err *err) KT_MUST_CHECK;
/* The one of this scope; NULL: none. */
const struct mount *mounts_of_scope(struct request *req, const unsigned char scope[BARRIER_SCOPE]);

/* Each puts the changed table into req's batch on condition that it is still the one read. */
/* wish: a mount's path (with its trailing '/'), type, version and settings, borrowed; what a mount gets
 * once for its life (accessor, uuid, scope) is made here. */
enum kt_kind mounts_add(struct request *req, const struct mount *wish, struct kt_err *err)
    KT_MUST_CHECK;
/* Refused while secrets in it are rotated. */
enum kt_kind mounts_remove(struct request *req, const char *path, struct kt_err *err) KT_MUST_CHECK;
/* wish: the mount as it shall be; its type, accessor and scope stay. */
enum kt_kind mounts_tune(struct request *req, const struct mount *wish, struct kt_err *err)
    KT_MUST_CHECK;
/* What is in a mount hangs from its scope, so a move is a change of the table and is done when it is
 * answered. Refused while secrets in it are rotated: their schedules and runs keep the name. */
enum kt_kind mounts_move(struct request *req, const char *from, const char *to, const char **ret_id,
                         struct kt_err *err) KT_MUST_CHECK;
/* The newest MOUNT_MOVES of them are remembered, in the table's own record. */
#define MOUNT_MOVES 64u
struct mount_move {
    const char *id; /* a UUID */
    const char *from, *to;
};
const struct mount_move *mounts_moved(struct request *req, const char *id);
/* Somebody begins to keep a name that begins with the mount's path (a schedule, a host's list of what it
 * uses): req's batch only applies while the mounts are those that were looked at, and who removes or
 * moves this one meanwhile looks again. */
enum kt_kind mounts_keep_name(struct request *req, const struct mount *mount, struct kt_err *err)
    KT_MUST_CHECK;
/* For whoever takes a name away from which something may hang: req's batch only applies while nobody began
 * to keep one in the mount since the snapshot. */
void mounts_require_names(struct request *req, const struct mount *mount, struct batch *batch);
/* The record behind it, for whoever clears a removed mount. */
void mounts_kept_key(struct core *core, const unsigned char scope[BARRIER_SCOPE],
                     unsigned char key[BARRIER_NAME_KEY]);
/* For the pipeline: the batch only applies while the request's mount is what it was, so that nothing
 * is written into one that was removed. */
void mounts_require(struct request *req, struct batch *batch);
/* The same, whatever mount the request is of: no mount may have come, changed or gone. */
void mounts_require_same(struct request *req, struct batch *batch);
/* A new vault's table (dev: with KV v2 at secret/), into batch. */
enum kt_kind mounts_init(struct core *core, struct batch *batch, bool with_secret,
                         struct kt_err *err) KT_MUST_CHECK;
