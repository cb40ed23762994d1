/* vaultd/privileges.h - from root to the vault's own user, for good.
 *
 * What:    Looks up the user, prepares what only root can (the data folder and its owner, limits on
 *          memory locks and descriptors), and changes to it. Started as another user than root it
 *          changes nothing.
 * Threads: before threads. */
#pragma once

#include <sys/types.h>

#include "lib/err.h"

struct identity {
    bool change; /* started as root */
    uid_t uid;
    gid_t gid;
    const char *name;
};
/* KT_NOT_FOUND, with what to type, when started as root and there is no such user; KT_INVALID when
 * the user is root itself. */
enum kt_kind privileges_find(const char *user, struct identity *ret,
                             struct kt_err *err) KT_MUST_CHECK;
/* Makes the folder if it is missing; gives it to the identity if it is empty and root's. */
enum kt_kind privileges_give_folder(const struct identity *identity, const char *path,
                                    struct kt_err *err) KT_MUST_CHECK;
/* Would it, so that what is amiss with the folder now does not matter? Asked while it is root. */
bool privileges_would_give_folder(const struct identity *identity, const char *path);
/* Raises limits as far as allowed. */
void privileges_raise_limits(unsigned long descriptors);
enum kt_kind privileges_drop(const struct identity *identity, struct kt_err *err) KT_MUST_CHECK;
