/* vaultd/barrier/seal_record.h - the one record that is readable while sealed: how to unseal.
 *
 * What:    Says which vault this is and how many shares it takes, and holds the root key wrapped
 *          under the unseal key. No check value is stored: the tag of the wrap is the check.
 * Format:  u8 format (1) ‖ u8 kind (1: Shamir shares) ‖ vault id 16 ‖ seal id 16 ‖ u8 threshold ‖
 *          u8 shares ‖ i64 initialized ms ‖ nonce24 ‖ wrapped root key 32 ‖ tag16, by
 *          XChaCha20-Poly1305-IETF, AAD = "kt/seal/1" ‖ the bytes before the nonce: a changed
 *          threshold does not open.
 * Threads: plain values. */
#pragma once

#include "lib/buf.h"
#include "vaultd/barrier/keyring.h"

#define SEAL_FORMAT     1u
#define SEAL_SHAMIR     1u
#define SEAL_ID_BYTES   16u
#define SEAL_HEAD_BYTES (2u + VAULT_ID_BYTES + SEAL_ID_BYTES + 2u + 8u)
#define SEAL_WRAP_BYTES (24u + KT_KEY_BYTES + 16u)

struct seal_record {
    unsigned char vault_id[VAULT_ID_BYTES];
    unsigned char seal_id[SEAL_ID_BYTES];
    uint8_t kind, threshold, shares;
    int64_t initialized_ms;
    unsigned char wrap[SEAL_WRAP_BYTES]; /* nonce, ciphertext, tag */
};

void seal_record_wrap(struct seal_record *seal, const unsigned char unseal_key[KT_KEY_BYTES],
                      const unsigned char root[KT_KEY_BYTES]);
/* False: not this vault's unseal key, or the record was changed. */
bool seal_record_open(const struct seal_record *seal, const unsigned char unseal_key[KT_KEY_BYTES],
                      unsigned char ret_root[KT_KEY_BYTES]);
void seal_record_write(const struct seal_record *seal, struct kt_buf *out);
enum kt_kind seal_record_read(struct kt_bytes stored, struct seal_record *ret,
                              struct kt_err *err) KT_MUST_CHECK;
