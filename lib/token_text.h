/* lib/token_text.h - the text of tokens and accessors: recognisable, checked, hard to guess.
 *
 * What:    A token is "hvs." (Vault's clients know the prefix), 27 base62 characters from 160 random
 *          bits and more, and 6 base62 characters of the CRC-32 of everything before them. So leak
 *          scanners can find it, and a typing error is told from a wrong token. An accessor is 24
 *          base62 characters (142 bits).
 * Owner:   kt_token_make() appends to the caller's buffer, which wipes itself. Accessors are public.
 * Limits:  a caller's own token id (token/create with "id", --dev-root-token-id, another product's)
 *          is KT_TOKEN_FOREIGN and is simply not checked; an id that has our form with a wrong
 *          checksum should be refused when it is chosen, since it could never be typed wrong.
 * Source:  CRC-32 as in ISO 3309 (polynomial 0xEDB88320). The alphabet is 0-9 A-Z a-z, so that the
 *          order of texts is the order of bytes.
 * Threads: any thread. */
#pragma once

#include "lib/buf.h"

#define KT_TOKEN_PREFIX         "hvs."
#define KT_TOKEN_RANDOM_CHARS   27u
#define KT_TOKEN_CHECKSUM_CHARS 6u
#define KT_TOKEN_CHARS          (4u + KT_TOKEN_RANDOM_CHARS + KT_TOKEN_CHECKSUM_CHARS)
#define KT_ACCESSOR_CHARS       24u

enum kt_token_form {
    KT_TOKEN_FOREIGN, /* not our form: look it up, nothing can be said from the text */
    KT_TOKEN_OURS,    /* our form, checksum right */
    KT_TOKEN_DAMAGED, /* our form, checksum wrong: mistyped or cut */
};

/* Appends a new token; check kt_buf_ok(out). */
void kt_token_make(struct kt_buf *out);
/* Writes a new accessor with a NUL. */
void kt_accessor_make(char out[KT_ACCESSOR_CHARS + 1]);
/* Random base62 characters, not ended: a one-time pad for a text of that length. */
void kt_base62_random(char *out, size_t len);
/* Takes the same time for every text of KT_TOKEN_CHARS characters of our form. */
enum kt_token_form kt_token_form(struct kt_bytes text);
