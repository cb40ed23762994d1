/* lib/driver/sftp.h - the few requests of SFTP that replacing a file takes, each with a deadline.
 *
 * What:    Spoken here over a channel of libssh's, because libssh 0.10 can neither rename over a file that
 *          is there nor be told a deadline. One request at a time.
 * Owner:   the session's; a handle is a plain value, valid until it is closed.
 * Errors:  false. Where the server said no, `status` of the session is its enum sftp_status and `said` its
 *          words; else `status` is SFTP_CONNECTION_LOST and the session's code says what happened.
 * Threads: one. */
#pragma once

#include "lib/driver/sftp_reply.h"
#include "lib/driver/ssh_session.h"

enum sftp_mode { SFTP_READ, SFTP_MAKE /* to write; there must be nothing of that name, no link either */ };

struct kt_sftp_handle {
    unsigned char at[256];
    size_t len;
};

bool kt_sftp_start(struct kt_ssh *s);
bool kt_sftp_open(struct kt_ssh *s, const char *path, enum sftp_mode mode, uint32_t permissions,
                  struct kt_sftp_handle *ret);
bool kt_sftp_close(struct kt_ssh *s, const struct kt_sftp_handle *handle);
/* Appends what is there from the offset on; *ret_end: that was all. */
bool kt_sftp_read(struct kt_ssh *s, const struct kt_sftp_handle *handle, uint64_t offset,
                  struct kt_buf *out, bool *ret_end);
/* At most SFTP_PIECE bytes. */
#define SFTP_PIECE ((size_t)16 * 1024)
bool kt_sftp_write(struct kt_ssh *s, const struct kt_sftp_handle *handle, uint64_t offset,
                   struct kt_bytes bytes);
bool kt_sftp_sync(struct kt_ssh *s, const struct kt_sftp_handle *handle);
/* Of the name itself, when it is a link. SFTP_NO_SUCH_FILE: false. */
bool kt_sftp_look(struct kt_ssh *s, const char *path, struct kt_sftp_attributes *ret);
bool kt_sftp_own(struct kt_ssh *s, const char *path, uint32_t uid, uint32_t gid);
bool kt_sftp_permit(struct kt_ssh *s, const char *path, uint32_t permissions);
bool kt_sftp_remove(struct kt_ssh *s, const char *path);
/* Over what is there, in one. */
bool kt_sftp_rename(struct kt_ssh *s, const char *from, const char *to);
