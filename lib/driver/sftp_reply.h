/* lib/driver/sftp_reply.h - what an SFTP server answers, version 3 of the protocol.
 *
 * What:    Pure reading of one whole packet (without its length in front). Attributes that are not asked
 *          for are passed over; extended ones are not, as OpenSSH's server sends none.
 * Owner:   what was read points into the packet.
 * Limits:  SFTP_PACKET_MAX bytes a packet.
 * Errors:  false: no such packet, or one that is cut short or has something behind its end.
 * Threads: plain functions.
 * Source:  draft-ietf-secsh-filexfer-02, sections 3 to 7. */
#pragma once

#include "lib/buf.h"

#define SFTP_PACKET_MAX ((size_t)34000)
#define SFTP_VERSION    3u

/* Of draft 02, section 7. */
enum sftp_status {
    SFTP_OK,
    SFTP_EOF,
    SFTP_NO_SUCH_FILE,
    SFTP_PERMISSION_DENIED,
    SFTP_FAILURE,
    SFTP_BAD_MESSAGE,
    SFTP_NO_CONNECTION,
    SFTP_CONNECTION_LOST,
    SFTP_OP_UNSUPPORTED
};

struct kt_sftp_attributes {
    bool has_owner, has_mode;
    uint32_t uid, gid, mode;
};

enum sftp_answer { SFTP_STATUS, SFTP_HANDLE, SFTP_DATA, SFTP_ATTRIBUTES };
struct kt_sftp_reply {
    enum sftp_answer answer;
    uint32_t status;         /* SFTP_STATUS: may be a number that has no name here */
    struct kt_bytes message; /* SFTP_STATUS: the server's words, any bytes */
    struct kt_bytes bytes;   /* SFTP_HANDLE, SFTP_DATA */
    struct kt_sftp_attributes attributes;
};

/* The answer to the request with this number. */
bool kt_sftp_read_reply(struct kt_bytes packet, uint32_t id, struct kt_sftp_reply *ret);
/* The first packet of a server. *ret_renames, *ret_syncs: it has the extensions posix-rename@openssh.com
 * and fsync@openssh.com, each in version 1. */
bool kt_sftp_read_version(struct kt_bytes packet, bool *ret_renames, bool *ret_syncs);
