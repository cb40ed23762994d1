/* tests/support/jwt_signer.h - whoever signs tokens: keys of each kind, and what they sign.
 *
 * Owner:   texts are returned in static memory of the signer: until its next call. The rest lives until
 *          jwt_signer_free().
 * Threads: one thread at a time. What cannot be done aborts. */
#pragma once

#include <gnutls/abstract.h>

#include "lib/bytes.h"

#define SIGNER_TEXT 20000u

struct jwt_signer {
    gnutls_privkey_t key;
    const char *alg;  /* "RS256" ... */
    char pem[4096];   /* of the public key */
    char jwk[4096];   /* of the public key; no "kid", "alg" or "use"; without the last brace */
    char token[SIGNER_TEXT];
};

/* alg: what it signs with; the key fits it. bits: of an RSA key; 0: 2048. */
void jwt_signer_init(struct jwt_signer *signer, const char *alg, unsigned bits);
void jwt_signer_free(struct jwt_signer *signer);
/* The same key, to sign in another of its ways ("PS256" for "RS256"). */
void jwt_signer_as(struct jwt_signer *signer, const char *alg);
/* header NULL: {"alg":ALG,"typ":"JWT"}; both are JSON texts. */
const char *jwt_sign(struct jwt_signer *signer, const char *header, const char *claims);
/* Three parts of any texts and bytes, encoded. */
const char *jwt_join(struct jwt_signer *signer, const char *header, const char *claims,
                     struct kt_bytes signature);
