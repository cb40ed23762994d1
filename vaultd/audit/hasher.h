/* vaultd/audit/hasher.h - "hmac-sha256:..." of a text, remembered for what comes again.
 *
 * What:    Every read records the HMACs of the same token and accessor, and often of the same values.
 *          Under a SipHash of the text, with a key of its own from the system's randomness, the last
 *          few thousand are kept: a third of the price, and no text is kept.
 * Owner:   audit_hasher_new() borrows the key; audit_hasher_free() wipes, NULL is fine.
 * Threads: any thread. */
#pragma once

#include "lib/bytes.h"
#include "vaultd/audit/audit.h"
#include "vaultd/audit/terse.h"

struct audit_hasher;

/* NULL: out of memory. */
struct audit_hasher *audit_hasher_new(const unsigned char key[32]);
void audit_hasher_free(struct audit_hasher *hasher);
void audit_hasher_get(struct audit_hasher *hasher, struct kt_bytes text,
                      unsigned char out[AUDIT_HMAC_BYTES]);
void audit_hasher_text(struct audit_hasher *hasher, struct kt_bytes text,
                       char out[AUDIT_HMAC_TEXT]);
/* Not remembered. */
void audit_hasher_bytes(const struct audit_hasher *hasher, struct kt_bytes text,
                        unsigned char out[AUDIT_HMAC_BYTES]);
/* Their text form; for public values. */
void audit_hmac_text(const unsigned char hmac[AUDIT_HMAC_BYTES], char out[AUDIT_HMAC_TEXT]);
