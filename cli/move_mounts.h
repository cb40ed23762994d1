/* cli/move_mounts.h - the KV mounts of a vault: which there are, made where they are missing, and all that
 * is in them copied and compared.
 *
 * Owner:   move_mounts_free().
 * Threads: one thread; the secrets are copied by a walk's (cli/walk.h).
 * Source:  GET sys/internal/ui/mounts, which tells each token of the mounts that it has to do with. */
#pragma once

#include "cli/move_run.h"

struct move_mount {
    struct kt_api_mount mount;
    char type[64], description[512], accessor[128];
    struct kt_buf config; /* its settings, an object */
};
struct move_mounts {
    struct move_mount *at;
    size_t count;
};

/* which: "secret", or "auth": the ways to log in, their paths without "auth/". */
enum kt_kind move_mounts_read(struct kt_api *api, const char *which, struct move_mounts *ret,
                              struct kt_err *err) KT_MUST_CHECK;
void move_mounts_free(struct move_mounts *mounts);
/* The one with this very path, or NULL. */
const struct move_mount *move_mounts_find(const struct move_mounts *mounts, const char *path);
/* The mount that a path belongs to, or NULL. */
const struct move_mount *move_mounts_of(const struct move_mounts *mounts, const char *path);

bool move_mount_is_kv(const struct move_mount *mount);
/* Every vault has one of its own. */
bool move_mount_is_own(const struct move_mount *mount);
/* Tells of those at the source that are not among the seen ones, or that nobody knows whether there are some. */
void move_mounts_unseen(struct move_run *run, const char *which, const struct move_mounts *seen);

/* Makes the mount at the destination when it is not there; whole: its settings come also when it is. False: its
 * secrets cannot come; told why. */
bool move_mount_prepare(struct move_run *run, const struct move_mounts *there, const struct move_mount *mount,
                        bool whole);
/* cli/move_tune.h */
void move_mount_settings(struct move_run *run, const struct move_mounts *there, const struct move_mount *mount,
                         enum move_pass pass);
/* All secrets of a mount, or below a path in it. */
void move_mount_secrets(struct move_run *run, const struct move_mount *mount, const char *prefix,
                        enum move_pass pass);
