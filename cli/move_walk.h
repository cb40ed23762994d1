/* cli/move_walk.h - every secret of a KV mount, or below a path in it, by the vault's own lists.
 *
 * What:    Folder after folder; what is kept is one list and the names of folders still to come. A folder
 *          that may not be listed is told by denied() and passed over, and so is a name that is more than one part
 *          of a path, or '.' or '..': no answer of a vault leads outside of what was asked for.
 * Threads: one thread at a time. */
#pragma once

#include "lib/api.h"

struct move_walk {
    struct kt_api *api;
    const struct kt_api_mount *mount;
    bool (*found)(void *arg, const char *path); /* inside the mount; false: enough */
    void (*denied)(void *arg, const char *folder, const struct kt_err *err);
    void *arg;
};

/* prefix: "" for the mount, "db/" for a folder, "db" for a secret, a folder, or both of that name. */
enum kt_kind move_walk(const struct move_walk *walk, const char *prefix, struct kt_err *err) KT_MUST_CHECK;
