/* lib/ssh_key.h - Ed25519 keys in the forms that OpenSSH reads and writes.
 *
 * What:    A key pair is libsodium's: 64 bytes, the seed and behind it the public half. It is written as
 *          ssh-keygen writes one without a passphrase, read from there, and its public half is written
 *          as a line of authorized_keys.
 * Owner:   keys are the caller's kt_secret; texts go to the caller's kt_buf, which wipes.
 * Limits:  Ed25519 only; comments of printable characters and blanks, KT_SSH_COMMENT_MAX bytes; a text
 *          that is read has at most KT_SSH_TEXT_MAX bytes.
 * Errors:  KT_INVALID says what is wrong with a text, never what stands in it; KT_NO_MEMORY.
 * Threads: any thread.
 * Source:  OpenSSH's PROTOCOL.key; RFC 4253, section 6.6; RFC 8709. */
#pragma once

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/secret.h"

#define KT_SSH_KEY         64u
#define KT_SSH_PUBLIC      32u
#define KT_SSH_COMMENT_MAX 255u
#define KT_SSH_TEXT_MAX    8192u
#define KT_SSH_ED25519     "ssh-ed25519"

enum kt_kind kt_ssh_key_new(struct kt_secret **ret, struct kt_err *err) KT_MUST_CHECK;
static inline struct kt_bytes kt_ssh_public_of(const struct kt_secret *key)
{
    return kt_bytes(key->at + (KT_SSH_KEY - KT_SSH_PUBLIC), KT_SSH_PUBLIC);
}

/* "-----BEGIN OPENSSH PRIVATE KEY-----" and so on, with a newline at its end. */
enum kt_kind kt_ssh_private_write(const struct kt_secret *key, const char *comment, struct kt_buf *out,
                                  struct kt_err *err) KT_MUST_CHECK;
/* One that has a passphrase, or is of another kind, is refused. */
enum kt_kind kt_ssh_private_read(struct kt_bytes text, struct kt_secret **ret, struct kt_err *err)
    KT_MUST_CHECK;

/* "ssh-ed25519 AAAA... comment" without a newline; comment "": none. */
enum kt_kind kt_ssh_public_write(struct kt_bytes public_key, const char *comment, struct kt_buf *out,
                                 struct kt_err *err) KT_MUST_CHECK;
/* The same of any blob: "kind AAAA... comment". */
enum kt_kind kt_ssh_line_write(const char *kind, struct kt_bytes blob, const char *comment, struct kt_buf *out,
                               struct kt_err *err) KT_MUST_CHECK;
/* Of such a line, without options in front, blanks and a newline at its end; the comment is passed over. */
enum kt_kind kt_ssh_public_read(struct kt_bytes text, unsigned char ret[KT_SSH_PUBLIC],
                                struct kt_err *err) KT_MUST_CHECK;
/* Of a line "kind AAAA...": its blob, appended. */
enum kt_kind kt_ssh_line_read(const char *kind, struct kt_bytes text, struct kt_buf *blob, struct kt_err *err)
    KT_MUST_CHECK;
/* The key as it stands in other structures: its kind and its bytes, each with its length. */
void kt_ssh_public_blob(struct kt_bytes public_key, struct kt_buf *out);
/* "SHA256:..." as ssh-keygen -l and sshd's log show it, with a NUL. */
#define KT_SSH_PRINT_TEXT 51u
enum kt_kind kt_ssh_print(struct kt_bytes public_key, char ret[KT_SSH_PRINT_TEXT], struct kt_err *err)
    KT_MUST_CHECK;
