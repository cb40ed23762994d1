/* vaultd/auth/wrapped_record.h - the stored form of an answer that waits for its wrapping token.
 *
 * Format 1: u8 format ‖ nonce24 ‖ ciphertext ‖ tag16, XChaCha20-Poly1305 under a key that comes from
 * the wrapping token's text, AAD = the store key. Plaintext: u32 length ‖ i64 created, ttl in seconds ‖
 * u16 status ‖ fields creation path, accessor inside, content type, body ‖ zeroes to a multiple of 64.
 * Readers are a table by format number; a newer one is refused by name.
 * Owner:   caller's buffers, which wipe.
 * Threads: any thread. */
#pragma once

#include "lib/aead.h"
#include "lib/buf.h"
#include "lib/err.h"

#define WRAPPED_BODY_MAX ((size_t)640 * 1024) /* a secret of the largest size, and what is around it */

struct wrapped {
    int64_t created_ms, ttl_s;
    unsigned status;
    struct kt_bytes creation_path;
    struct kt_bytes accessor;     /* of the token inside; empty: there is none */
    struct kt_bytes content_type;
    struct kt_bytes body;
};

/* Appends the sealed form to out. KT_NO_MEMORY. */
enum kt_kind wrapped_record_seal(const unsigned char key[KT_AEAD_KEY], struct kt_bytes store_key,
                                 const struct wrapped *wrapped, struct kt_buf *out,
                                 struct kt_err *err) KT_MUST_CHECK;
/* The plaintext into `plain`, which is empty, and *ret pointing into it. KT_CORRUPT. */
enum kt_kind wrapped_record_open(const unsigned char key[KT_AEAD_KEY], struct kt_bytes store_key,
                                 struct kt_bytes sealed, struct kt_buf *plain, struct wrapped *ret,
                                 struct kt_err *err) KT_MUST_CHECK;
