/* cli/move_mounts.h - the KV mounts of a vault: which there are, made where they are missing, and all that
 * is in them copied and compared.
 *
 * Owner:   move_mounts_free().
 * Threads: one thread; the secrets are copied by a pool's (cli/move_pool.h).
 * Source:  GET sys/internal/ui/mounts, which tells each token of the mounts that it has to do with. */
#pragma once

#include "cli/move_run.h"

struct move_mount {
    struct kt_api_mount mount;
    char type[64], description[512], accessor[128];
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

/* Makes the mount at the destination when it is not there. False: its secrets cannot come; told why. */
bool move_mount_prepare(struct move_run *run, const struct move_mounts *there, const struct move_mount *mount);
enum move_pass { MOVE_COPY, MOVE_COMPARE };
/* All secrets of a mount, or below a path in it. */
void move_mount_secrets(struct move_run *run, const struct move_mount *mount, const char *prefix,
                        enum move_pass pass);
