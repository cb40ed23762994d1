/* lib/scram.h - PostgreSQL's SCRAM-SHA-256 verifiers, computed on our side.
 *
 * What:    The server, its log and its replicas then never see the password. PostgreSQL takes a
 *          malformed verifier for a password and hashes it without a word, so every text is checked
 *          against the exact form before it is sent.
 * Owner:   the caller's buffer. A verifier is no secret of ours, but keep it out of logs all the same.
 * Limits:  passwords of 1..1024 printable ASCII characters: SASLprep is the identity on them.
 *          KT_INVALID for any other.
 * Source:  RFC 5802, RFC 7677; src/common/scram-common.c of PostgreSQL 15 for the text.
 * Threads: any thread. */
#pragma once

#include "lib/err.h"

#define KT_SCRAM_SALT_BYTES    16u
#define KT_SCRAM_ITERATIONS    4096u
#define KT_SCRAM_VERIFIER_TEXT 140u /* 133 characters at 4096 iterations; NUL included */
#define KT_SCRAM_PASSWORD_MAX  1024u

/* salt NULL: a random one. iterations 4096..9999999. Writes the verifier with a NUL. */
enum kt_kind kt_scram_verifier(struct kt_bytes password,
                               const unsigned char salt[KT_SCRAM_SALT_BYTES], unsigned iterations,
                               char ret[KT_SCRAM_VERIFIER_TEXT], struct kt_err *err) KT_MUST_CHECK;
/* ^SCRAM-SHA-256\$[1-9][0-9]{3,6}:[A-Za-z0-9+/]{22}==\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$ and
 * nothing else: no blank, no newline. */
bool kt_scram_is_verifier(struct kt_bytes text);
/* Was the verifier made from this password? *ret is written on success only. */
enum kt_kind kt_scram_matches(struct kt_bytes verifier, struct kt_bytes password, bool *ret,
                              struct kt_err *err) KT_MUST_CHECK;
