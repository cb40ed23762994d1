/* cli/move_put.h - one secret's value from a file, written where it is not there yet.
 *
 * What:    The value of the secret as it is now is compared: the same is left, another one is refused unless
 *          it is to be replaced, which with version 2 makes a new version. With version 2 nothing
 *          is written over that somebody else wrote meanwhile.
 * Threads: one thread. */
#pragma once

#include "cli/move_run.h"

/* KV mount that the path belongs to. False: said what failed. */
bool move_put_place(struct move_run *run, const char *path, struct kt_api_mount *ret);
/* path: with the mount. object: a JSON object. What became of it is counted and told. */
void move_put(struct move_run *run, const struct kt_api_mount *mount, const char *path, struct kt_bytes object);
