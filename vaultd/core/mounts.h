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
/* All, sorted by path; they live as long as the request holds its table. */
size_t mounts_all(struct request *req, const struct mount *const **ret);

/* What a new mount is made of; strings are borrowed. */
struct mount_wish {
    const char *path; /* with its trailing '/' */
    const char *type, *version, *description;
    int64_t default_lease_ttl_s, max_lease_ttl_s;
    bool local, seal_wrap;
};
/* Each puts the changed table into req's batch on condition that it is still the one read. */
enum kt_kind mounts_add(struct request *req, const struct mount_wish *wish, struct kt_err *err)
    KT_MUST_CHECK;
enum kt_kind mounts_remove(struct request *req, const char *path, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind mounts_tune(struct request *req, const char *path, const struct mount_wish *wish,
                         struct kt_err *err) KT_MUST_CHECK;
/* For the pipeline: the batch only applies while the request's mount is what it was, so that nothing
 * is written into one that was removed. */
void mounts_require(struct request *req, struct batch *batch);
/* A new vault's table (dev: with KV v2 at secret/), into batch. */
enum kt_kind mounts_init(struct core *core, struct batch *batch, bool with_secret,
                         struct kt_err *err) KT_MUST_CHECK;
