/* vaultd/barrier/seal_record.h - the one record that is readable while sealed: how to unseal.
 *
 * What:    Says which vault this is and how many shares it takes, and holds the root key wrapped
 *          under the unseal key; and under the keys of further seals, which open by themselves. No
 *          check value is stored: the tag of a wrap is the check. The shares' wrap is always there.
 * Format:  u8 format (1) ‖ u8 kind (1: Shamir shares) ‖ vault id 16 ‖ seal id 16 ‖ u8 threshold ‖
 *          u8 shares ‖ i64 initialized ms ‖ nonce24 ‖ wrapped root key 32 ‖ tag16, by
 *          XChaCha20-Poly1305-IETF, AAD = "kt/seal/1" ‖ the bytes before the nonce: a changed
 *          threshold does not open.
 *          With further seals: u8 format (2) ‖ the same ‖ u8 number, from 1 ‖ of each: u8 kind (2: a
 *          credential) ‖ seal id 16 ‖ i64 made ms ‖ u8 length ‖ name ‖ nonce24 ‖ wrapped root key 32 ‖
 *          tag16, AAD = "kt/seal/2" ‖ vault id ‖ the seal's bytes before the nonce. The AAD of the
 *          shares' wrap has format 1 in it in both, so that it stays when other seals come and go.
 * Threads: plain values. */
#pragma once

#include "lib/buf.h"
#include "lib/credential.h"
#include "vaultd/barrier/keyring.h"

#define SEAL_FORMAT     2u
#define SEAL_SHAMIR     1u
#define SEAL_CREDENTIAL 2u
#define SEALS_MAX       8u /* besides the shares */
#define SEAL_ID_BYTES   16u
#define SEAL_HEAD_BYTES (2u + VAULT_ID_BYTES + SEAL_ID_BYTES + 2u + 8u)
#define SEAL_WRAP_BYTES (24u + KT_KEY_BYTES + 16u)

/* A further seal. */
struct seal_more {
    uint8_t kind;
    unsigned char id[SEAL_ID_BYTES];
    int64_t made_ms;
    char name[KT_CREDENTIAL_NAME];
    unsigned char wrap[SEAL_WRAP_BYTES];
};

struct seal_record {
    unsigned char vault_id[VAULT_ID_BYTES];
    unsigned char seal_id[SEAL_ID_BYTES];
    uint8_t kind, threshold, shares;
    int64_t initialized_ms;
    unsigned char wrap[SEAL_WRAP_BYTES]; /* nonce, ciphertext, tag */
    unsigned n_more;
    struct seal_more more[SEALS_MAX]; /* their names differ */
};

void seal_record_wrap(struct seal_record *seal, const unsigned char unseal_key[KT_KEY_BYTES],
                      const unsigned char root[KT_KEY_BYTES]);
/* False: not this vault's unseal key, or the record was changed. */
bool seal_record_open(const struct seal_record *seal, const unsigned char unseal_key[KT_KEY_BYTES],
                      unsigned char ret_root[KT_KEY_BYTES]);
/* The same for a further seal of a vault, under the seal's own key. */
void seal_more_wrap(const unsigned char vault_id[VAULT_ID_BYTES], struct seal_more *more,
                    const unsigned char key[KT_KEY_BYTES], const unsigned char root[KT_KEY_BYTES]);
bool seal_more_open(const unsigned char vault_id[VAULT_ID_BYTES], const struct seal_more *more,
                    const unsigned char key[KT_KEY_BYTES], unsigned char ret_root[KT_KEY_BYTES]);
/* The one of that name; NULL: there is none. */
struct seal_more *seal_record_find(struct seal_record *seal, const char *name);

void seal_record_write(const struct seal_record *seal, struct kt_buf *out);
enum kt_kind seal_record_read(struct kt_bytes stored, struct seal_record *ret,
                              struct kt_err *err) KT_MUST_CHECK;
