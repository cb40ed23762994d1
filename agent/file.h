/* agent/file.h - puts a rendered file in place: the old bytes or the new ones, never a part.
 *
 * What:    The folder is opened once, from the root on, each part without following a link and not
 *          writable by others than root, ourselves and the file's owner; the bytes are written into a
 *          nameless file of that folder, its owner and then its mode set, and only then it takes the
 *          name, by rename. Unchanged bytes, owner and mode: nothing is done.
 * Errors:  KT_IO, KT_DENIED (the folder is not safe), each naming the file and the way out.
 * Threads: any thread.
 * Source:  open(2) O_TMPFILE, linkat(2), rename(2). */
#pragma once

#include <sys/types.h>

#include "lib/err.h"

struct file_wish {
    const char *path;
    uid_t owner; /* (uid_t)-1: as it is */
    gid_t group; /* (gid_t)-1: as it is */
    mode_t mode; /* 0400 ... */
};
enum kt_kind file_put(const struct file_wish *wish, struct kt_bytes content, bool *ret_changed,
                      struct kt_err *err) KT_MUST_CHECK;
/* Removes what a put of this path left behind that was killed between its last two steps. */
void file_sweep(const char *path);
