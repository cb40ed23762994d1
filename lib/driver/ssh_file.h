/* lib/driver/ssh_file.h - a file of authorized keys on the other side: looked at, read, replaced.
 *
 * What:    A file is only looked at when it is a plain one in a plain folder, without a symbolic link as
 *          last or last but one part, and when not everybody may write to the folder: sshd's
 *          StrictModes would refuse all of its keys otherwise. It is replaced as a whole: a new file
 *          beside it, of its owner and mode (less what lets others write), synced, renamed over it, the
 *          folder synced. A lock file keeps a second Keyturn away; whoever else edits the file meanwhile
 *          is noticed by its bytes, before the renaming.
 *          The folder has to belong to who logs in: else its owner could put a link in place between two
 *          looks, and have the login write where he may not.
 * Owner:   bytes are the caller's buffer's.
 * Errors:  as ssh_session.h has them, and KT_FILE_UNFIT's sentence for what the file or folder is.
 * Threads: one. */
#pragma once

#include "lib/driver/ssh_session.h"

struct kt_ssh_file {
    const char *path, *folder; /* texts of the arena */
    bool there;
    uint32_t uid, gid, mode; /* of the file, when it is there */
    uint32_t folder_uid;
    struct kt_buf bytes;     /* as read */
};

/* The path may begin with "/", else it is below the login's home. False: the session's failure, with
 * the code "unfit" when it is about what is there. */
bool kt_ssh_file_read(struct kt_ssh *s, const char *path, struct kt_ssh_file *ret);
void kt_ssh_file_free(struct kt_ssh_file *file);
/* `name` is of letters, digits, '-' and '_', and of one run: what an earlier try left is taken away. */
bool kt_ssh_file_replace(struct kt_ssh *s, const struct kt_ssh_file *file, const char *name,
                         struct kt_bytes bytes);
