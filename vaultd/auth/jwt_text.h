/* vaultd/auth/jwt_text.h - a signed token, taken apart: nothing of what it says is believed yet.
 *
 * What:    The compact form of a JSON Web Signature: three parts of base64url with points between. What is
 *          encrypted, compressed, or signed by a secret that both sides know is none; neither is one whose
 *          header names what has to be understood ("crit"). Addresses and keys that a token brings along
 *          (jku, x5u, jwk, x5c) are not looked at.
 * Limits:  JWT_TEXT_MAX bytes; objects of at most 16 levels, 4,096 values, 256 keys each.
 * Refused: a fourth part, a part that is no canonical base64url, members that stand twice.
 * Owner:   what is read lives in the arena, or is a part of the text.
 * Errors:  KT_INVALID, which says what is wrong and never what the token says. KT_NO_MEMORY.
 * Threads: any thread.
 * Source:  RFC 7515, RFC 7518, RFC 7519, RFC 8037, RFC 8725. */
#pragma once

#include "lib/arena.h"
#include "lib/err.h"
#include "lib/json.h"

#define JWT_TEXT_MAX 16384u
#define JWT_KID_MAX  512u

/* The ones that are taken; there are no others, and none that a public key would be the secret of. Stored
 * as texts. */
#define JWT_ALGS(X)                                                                                \
    X(JWT_RS256, "RS256")                                                                          \
    X(JWT_RS384, "RS384")                                                                          \
    X(JWT_RS512, "RS512")                                                                          \
    X(JWT_PS256, "PS256")                                                                          \
    X(JWT_PS384, "PS384")                                                                          \
    X(JWT_PS512, "PS512")                                                                          \
    X(JWT_ES256, "ES256")                                                                          \
    X(JWT_ES384, "ES384")                                                                          \
    X(JWT_ES512, "ES512")                                                                          \
    X(JWT_EDDSA, "EdDSA")
#define X(name, text) name,
enum jwt_alg { JWT_ALGS(X) JWT_ALG_COUNT };
#undef X
#define JWT_ALG_BIT(alg) (1u << (alg))
#define JWT_ALGS_ALL     ((1u << JWT_ALG_COUNT) - 1)

const char *jwt_alg_text(enum jwt_alg alg);
/* False: none of them. */
bool jwt_alg_of(const char *text, enum jwt_alg *ret);

struct jwt_text {
    enum jwt_alg alg;          /* what it claims to be signed with */
    const char *kid;           /* the name of its key; NULL: it names none */
    struct kt_bytes input;     /* what is signed */
    struct kt_bytes signature;
    struct kt_json claims;     /* an object */
};
enum kt_kind jwt_text_read(struct kt_bytes text, struct kt_arena *arena, struct jwt_text *ret,
                           struct kt_err *err) KT_MUST_CHECK;
