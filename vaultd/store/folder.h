/* vaultd/store/folder.h - the data folder: is it there, is it ours, is it ours alone?
 *
 * What:    Checks the folder and takes the lock that keeps a second vaultd away from it: flock on
 *          FOLDER/vaultd.lock, which holds our process id for the other's message.
 * Owner:   close the lock's descriptor last; that gives the folder back.
 * Errors:  each names the folder and what to do.
 * Only vaultd/store includes this. */
#pragma once

#include "lib/err.h"

#define STORE_FOLDER "store"         /* in the data folder: data.mdb, lock.mdb */
#define STORE_NEWBORN "store.new"    /* one that is being made; renamed when whole */
#define STORE_COMPACT "store.compact" /* a compacted copy that is being made; once it has changed
                                       * places with "store", the old one. Never the valid one */

struct store_folder {
    int fd;   /* the data folder */
    int lock;
};

enum kt_kind store_folder_open(const char *path, struct store_folder *ret, struct kt_err *err)
    KT_MUST_CHECK;
void store_folder_close(struct store_folder *folder);
/* The file or folder `name` in it is a plain one of its kind, ours, and closed to others. `path`
 * and `name` are for messages. KT_NOT_FOUND: there is none. */
enum kt_kind store_folder_check(const struct store_folder *folder, const char *path,
                                const char *name, bool is_folder, struct kt_err *err) KT_MUST_CHECK;
/* NULL, or the name of a file system on which memory maps and locks cannot be trusted, by statfs's
 * f_type (statfs(2), linux/magic.h). */
const char *store_folder_foreign(uint64_t f_type);
