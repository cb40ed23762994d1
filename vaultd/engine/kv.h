/* vaultd/engine/kv.h - secrets and their versions, and what rotation needs of them.
 *
 * What:    The storage core that the kv routes and the rotation engine share. One metadata record a
 *          secret; each version sealed under a key of its own that only the metadata holds, so a
 *          destroyed version's key is gone. Name records beside them for listing.
 * Mounts:  of version 1 keep their secrets in the same records, each with the one version 1: so a mount
 *          of version 1 becomes one of version 2 by a change of the mount table alone.
 * Stages:  a secret under rotation has `current`, `pending`, `previous`: GET without a version gives
 *          `current`; a pending version is only given when asked for by number. A secret without a
 *          rotation has current = newest version.
 * Owner:   struct kv_secret lives in the arena it was loaded into.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/core/core.h"

struct kv_version {
    uint32_t number;
    uint32_t slot;              /* where its record stands; 0: it has none: destroyed, or its value never
                                 * came here (kv_append()) */
    int64_t created_ms;
    int64_t deletion_ms;        /* 0: none; see kv_version_ends() */
    bool deleted;               /* somebody did so: it stays that, however the clock is set */
    bool destroyed;
    bool accepted_maybe;        /* a target may accept it: cannot be destroyed or pruned */
    bool issued;                /* a rotation of this secret had the certificate in it signed (issue.h) */
    int64_t dead_proven_ms;     /* the target was seen to refuse it */
    int64_t needed_until_ms;    /* its key signs the lists of what it signed and was revoked: before then it is
                                 * not pruned, and neither deletes itself nor is deleted */
    unsigned char dek[32];      /* wiped with the arena */
};
struct kv_secret {
    uint32_t newest;            /* 0: no version yet */
    uint32_t current, pending, previous; /* 0: none */
    bool has_driver;            /* readers go into the ledger */
    int64_t created_ms, updated_ms;
    uint32_t max_versions;      /* 0: the mount's */
    bool cas_required;
    int64_t delete_version_after_s; /* -1: disabled */
    uint32_t oldest;            /* Vault's oldest_version */
    struct kt_bytes custom_metadata; /* JSON object text of strings; empty: null */
    struct kv_version *versions;     /* ascending */
    size_t n_versions;
    generation changed;         /* 0: does not exist */
};

/* KT_NOT_FOUND: no such secret (*ret is then a zeroed one, ready for kv_write()). */
enum kt_kind kv_load(struct core *core, const struct mount *mount, struct snapshot *snapshot,
                     struct kt_arena *arena, const char *path, struct kv_secret **ret,
                     struct kt_err *err) KT_MUST_CHECK;
const struct kv_version *kv_version(const struct kv_secret *secret, uint32_t number);
/* A target may accept it, or a run is about it: nobody deletes it by hand, and it does not end by itself. */
bool kv_in_use(const struct kv_secret *secret, const struct kv_version *version);
/* When it deletes itself, which is not before it is needed no longer, or was deleted; 0: neither, as long as it is in
 * use. */
int64_t kv_version_ends(const struct kv_secret *secret, const struct kv_version *version);
/* Deleted, destroyed, or without a value here. */
bool kv_version_deleted(const struct kv_secret *secret, const struct kv_version *version, int64_t now_ms);
/* No target accepts it any more. One whose time went by while it was in use ends now, not back then. */
void kv_retire(struct kv_version *version, int64_t now_ms);
/* The JSON text of a version's data into out. KT_NOT_FOUND: destroyed, or none. */
enum kt_kind kv_value(struct core *core, const struct mount *mount, struct snapshot *snapshot,
                      const char *path, const struct kv_version *version, struct kt_buf *out,
                      struct kt_err *err) KT_MUST_CHECK;
enum kv_stage { KV_CURRENT, KV_PENDING, KV_ISSUED };
/* Adds version newest+1 with this data to batch (and to *secret), on condition that the secret is
 * still as loaded. KV_PENDING leaves current where it is; KV_ISSUED is current, and marked as issued. Prunes by
 * the mount's and key's limits. */
enum kt_kind kv_write(struct core *core, const struct mount *mount, struct snapshot *snapshot,
                      struct batch *batch, const char *path, struct kv_secret *secret,
                      struct kt_bytes data, enum kv_stage stage, int64_t now_ms,
                      struct kt_err *err) KT_MUST_CHECK;
/* Adds a version as it was elsewhere, with that number, those times and that state, to batch and *secret,
 * whose array has room for it; the caller puts the metadata. data.at NULL: it comes without its value. */
enum kt_kind kv_append(struct core *core, const struct mount *mount, struct batch *batch,
                       const char *path, struct kv_secret *secret, const struct kv_version *version,
                       struct kt_bytes data, struct kt_err *err) KT_MUST_CHECK;
/* For KV version 1, which keeps one value: version 1 anew, under a new key, on the same condition. */
enum kt_kind kv_replace(struct core *core, const struct mount *mount, struct snapshot *snapshot,
                        struct batch *batch, const char *path, struct kv_secret *secret,
                        struct kt_bytes data, int64_t now_ms, struct kt_err *err) KT_MUST_CHECK;
/* When a version that is made or undeleted now deletes itself, once it is not in use; 0: never. */
struct kv_settings;
int64_t kv_deletion_time(const struct kv_secret *secret, const struct kv_settings *settings,
                         int64_t now_ms);
/* Warns whoever wants versions to delete themselves that those in use do not. */
enum kt_kind kv_warn_of_end(struct request *req, const struct mount *mount, const struct kv_secret *secret,
                            struct kt_err *err) KT_MUST_CHECK;
/* Condition on the batch: the secret is still as loaded. */
void kv_require(struct core *core, const struct mount *mount, struct batch *batch, const char *path,
                const struct kv_secret *secret);
/* Puts changed metadata (stages, accepted_maybe, dead_proven ...) on the same condition. */
enum kt_kind kv_save(struct core *core, const struct mount *mount, struct batch *batch,
                     const char *path, const struct kv_secret *secret, struct kt_err *err)
    KT_MUST_CHECK;
/* Removes the secret with all its versions, on the same condition; the records of at most so many of them at
 * once, the others are left to a job. keeps: a path whose folders stay, because the batch puts it; or NULL. */
enum kt_kind kv_remove(struct core *core, const struct mount *mount, struct snapshot *snapshot,
                       struct batch *batch, const char *path, const struct kv_secret *secret,
                       unsigned most, const char *keeps, struct kt_err *err) KT_MUST_CHECK;
/* Throws a version's key away; its record is left to the caller. KT_INVALID while accepted_maybe. */
enum kt_kind kv_forget(struct kv_version *version, struct kt_err *err) KT_MUST_CHECK;
/* Destroys one version: its key and its record. Refused (KT_INVALID) while accepted_maybe. */
enum kt_kind kv_destroy(struct core *core, const struct mount *mount, struct batch *batch,
                        const char *path, struct kv_secret *secret, uint32_t number,
                        struct kt_err *err) KT_MUST_CHECK;
