/* cli/move_alias.h - the logins of entities and groups: each comes where there is a way to log in of the same
 * path and type.
 *
 * Owner:   logins_free().
 * Threads: one thread. */
#pragma once

#include "cli/move_mounts.h"
#include "cli/move_pair.h"

/* The ways to log in of both vaults. */
struct logins {
    struct move_mounts source, here;
};
enum kt_kind logins_read(struct move_run *run, struct logins *ret, struct kt_err *err) KT_MUST_CHECK;
void logins_free(struct logins *logins);

/* Has it a login there which has a place here, and is missing here? */
bool aliases_lack(const struct move_run *run, const struct logins *logins, const struct move_sort *sort,
                  struct kt_json source, struct kt_json here);
/* Writes those. KT_CONFLICT: one is somebody else's here. */
enum kt_kind aliases_write(struct move_run *run, const struct logins *logins, const struct pair *pair,
                           struct kt_err *err) KT_MUST_CHECK;
