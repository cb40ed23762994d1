/* cli/move_tune.h - what a mount says of all that is in it: lease times, visibility, names that the audit log has
 * in clear; of KV version 2 how many versions are kept, and for how long.
 *
 * What:    Compared in each run, so that one that was broken off in front of them brings them, too. Where nothing
 *          was set here, they are set; others than there are refused unless they are to be replaced. What the
 *          vault here has no setting for is told as left.
 * Threads: one thread. */
#pragma once

#include "cli/move_mounts.h"
#include "lib/jsonw.h"

/* sys: "mounts" or "auth", the place of the mount below sys/. here: NULL where it was made just now, by a
 * request that had move_tune_write() in it. */
void move_tune(struct move_run *run, const char *sys, const struct move_mount *source, const struct move_mount *here,
               enum move_pass pass);
/* The members of "config" of a new mount like this one. */
void move_tune_write(struct kt_jsonw *w, const struct move_mount *source);
/* MOUNT/config of KV version 2. made: by this run, so nobody set anything there. */
void move_kv_config(struct move_run *run, const struct move_mount *mount, bool made, enum move_pass pass);
