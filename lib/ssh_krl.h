/* lib/ssh_krl.h - OpenSSH's lists of revoked keys (KRL): serial numbers of certificates, by who signed them.
 *
 * What:    kt_ssh_krl_write() writes one, and reads it again before it is handed out: sshd takes a file that
 *          is cut short, or is none, for a reason to refuse everybody, and an empty one for "nothing is
 *          revoked". kt_ssh_krl_check() is that test.
 * Form:    without a signature: sshd knows nobody whose it could ask for.
 * Owner:   everything is the caller's; the bytes go to its kt_buf.
 * Errors:  KT_INVALID: the bytes are not that list; KT_NO_MEMORY.
 * Threads: any thread.
 * Source:  OpenSSH's PROTOCOL.krl. */
#pragma once

#include "lib/ssh_key.h"

struct kt_ssh_krl_part {
    unsigned char authority[KT_SSH_PUBLIC];
    const uint64_t *serials;
    size_t n;
};
struct kt_ssh_krl {
    const struct kt_ssh_krl_part *parts;
    size_t n;
    uint64_t version; /* grows with each list */
    int64_t made_s;
};

enum kt_kind kt_ssh_krl_write(const struct kt_ssh_krl *krl, struct kt_buf *out, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind kt_ssh_krl_check(struct kt_bytes bytes, const struct kt_ssh_krl *krl, struct kt_err *err) KT_MUST_CHECK;
