/* vaultd/auth/jwt_keys.h - the public keys that a way to log in trusts, and what they say of a token.
 *
 * What:    Keys come as PEM (public keys or certificates, of which only the key counts) or as a JSON Web Key
 *          Set. In a set only those count that are for signatures and of a kind that is taken; the others,
 *          secrets of both sides ("oct") among them, are as if they were not there.
 *          What a token claims to be signed with has to fit the key: RSA of JWT_RSA_BITS_MIN to _MAX bits for
 *          RS and PS, with an exponent of at most JWT_RSA_EXPONENT_MAX bytes; the one curve of an ES; Ed25519
 *          for EdDSA; and "alg" where the key has one. A token that names its key ("kid") is held against keys
 *          of that name alone; PEM keys have no names.
 * Limits:  below. A token without a name is held against at most JWT_TRIES_MAX keys.
 * Owner:   nothing is kept: texts are borrowed for the call.
 * Errors:  KT_INVALID: the signature is wrong, or a text holds what it should not. KT_NOT_FOUND: no key there
 *          fits the token. KT_NO_MEMORY. No error quotes a key or a token.
 * Threads: any thread.
 * Source:  RFC 7517, RFC 7518 section 6, RFC 8037. GnuTLS does all the arithmetic. */
#pragma once

#include "vaultd/auth/jwt_text.h"

#define JWT_SET_BYTES_MAX ((size_t)56 * 1024) /* what a worker's message can carry */
#define JWT_SET_KEYS_MAX  256u
#define JWT_PEM_MAX       16384u
#define JWT_TRIES_MAX     16u
#define JWT_RSA_BITS_MIN  2048u
#define JWT_RSA_BITS_MAX  8192u
#define JWT_RSA_EXPONENT_MAX 4u

/* Whether a set may be trusted at all: it is one, has a key that is taken, and no private part. */
enum kt_kind jwt_set_check(struct kt_bytes set, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind jwt_pem_check(struct kt_bytes pem, struct kt_err *err) KT_MUST_CHECK;

/* KT_OK: a key of the checked set says that it signed the token. */
enum kt_kind jwt_set_verify(struct kt_bytes set, const struct jwt_text *token, struct kt_err *err)
    KT_MUST_CHECK;
enum kt_kind jwt_pem_verify(struct kt_bytes pem, const struct jwt_text *token, struct kt_err *err)
    KT_MUST_CHECK;
