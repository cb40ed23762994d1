/* vaultd/rotation/each.h - every secret that is rotated, one after the other.
 *
 * What:    A walk over the rotations of all mounts in the order of the store, however many there are: only
 *          one is in memory at a time. That order has nothing to do with names, but it stays: who begins
 *          behind the last one that he saw sees each of the others once, and the vault looks at none twice.
 * Owner:   a visited secret and its texts live until the visit returns; mount and path are not set.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/rotation/secret.h"

/* Which of them; and how the walk ended. */
struct secrets_part {
    const char *after; /* only those behind this one, be it there or not; "": from the first */
    const char *below; /* only this one and those below it; "": all */
    bool enough;       /* set by the visit: no more of them */
    bool passes;       /* what cannot be read is passed over, and counted */
    size_t unreadable;
    bool aside;        /* it takes long and goes aside (request_aside()): say nothing, return KT_OK */
};
typedef enum kt_kind secret_visit(void *arg, const struct rotation_secret *secret,
                                  struct kt_err *err);
enum kt_kind secrets_each(struct request *req, struct secrets_part *part, secret_visit *visit, void *arg,
                          struct kt_err *err) KT_MUST_CHECK;
/* Is it this path, or one below it? */
bool secret_below(const char *name, const char *prefix);
