/* lib/ssh_cert.h - OpenSSH certificates of users and hosts, signed with an Ed25519 key.
 *
 * What:    kt_ssh_cert_write() signs one for an Ed25519 key. Without principals a certificate would be good
 *          for everybody, with serial 0 it could not be revoked by its number: both are refused.
 *          kt_ssh_cert_read() reads such a line, and verifies that who is named in it signed it.
 * Options: of users, as words between ';': force-command=COMMAND, source-address=RANGES, and what ssh-keygen
 *          calls extensions: permit-agent-forwarding, permit-port-forwarding, permit-pty, permit-user-rc,
 *          permit-X11-forwarding. None of them is there unless it is named.
 * Owner:   texts are the caller's; the line goes to its kt_buf.
 * Limits:  KT_SSH_PRINCIPALS_MAX principals of printable ASCII without blank and comma.
 * Errors:  KT_INVALID says which part is wrong; KT_NO_MEMORY.
 * Threads: any thread.
 * Source:  OpenSSH's PROTOCOL.certkeys. */
#pragma once

#include "lib/ssh_key.h"

#define KT_SSH_PRINCIPALS_MAX 32u
#define KT_SSH_CERT_TEXT_MAX  16384u
#define KT_SSH_CERT           "ssh-ed25519-cert-v01@openssh.com"

struct kt_ssh_cert {
    struct kt_bytes public_key;
    bool host;
    uint64_t serial;
    const char *key_id;     /* sshd's log shows it at each login */
    const char *principals; /* words between commas and blanks: login names, or names of the host */
    const char *options;
    int64_t from_s, until_s;
};

/* "ssh-ed25519-cert-v01@openssh.com AAAA... comment" without a newline. */
enum kt_kind kt_ssh_cert_write(const struct kt_ssh_cert *cert, const struct kt_secret *by, const char *comment,
                               struct kt_buf *out, struct kt_err *err) KT_MUST_CHECK;
/* The same checks of what is given, without a key. */
enum kt_kind kt_ssh_cert_check(bool host, const char *principals, const char *options, struct kt_err *err)
    KT_MUST_CHECK;

struct kt_ssh_cert_facts {
    unsigned char public_key[KT_SSH_PUBLIC], authority[KT_SSH_PUBLIC];
    uint64_t serial;
    int64_t until_s;
};
enum kt_kind kt_ssh_cert_read(struct kt_bytes line, struct kt_ssh_cert_facts *ret, struct kt_err *err) KT_MUST_CHECK;
