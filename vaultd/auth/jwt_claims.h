/* vaultd/auth/jwt_claims.h - whether what a token claims is what its role wants, and what follows from it.
 *
 * What:    The signature was looked at before; here are times, issuer, audience, subject and bound claims,
 *          then who it is, his groups and his metadata.
 *          A claim is found by its name, or where the name begins with '/' as a JSON pointer does. What is
 *          compared has to be of one type: "1" is not 1, "true" is not true; numbers are the same when they are
 *          written the same.
 * Times:   exp, nbf and iat are numbers of seconds; one of them has to be there. Without exp a token is good for
 *          a leeway from the later of iat and nbf; without nbf from iat, or a leeway before exp.
 * Owner:   what is read lives in the arena.
 * Errors:  KT_INVALID, in Vault's words, with names of claims, never with what they say. KT_NO_MEMORY.
 * Threads: any thread.
 * Source:  RFC 7519 section 4, RFC 6901. */
#pragma once

#include "vaultd/auth/jwt_role.h"

#define JWT_EXP_LEEWAY_S 150
#define JWT_NBF_LEEWAY_S 150
#define JWT_SKEW_S       60

enum kt_kind jwt_claims_times(struct kt_json claims, const struct jwt_role *role, int64_t now_s,
                              struct kt_err *err) KT_MUST_CHECK;
/* issuer "": any. */
enum kt_kind jwt_claims_bound(struct kt_json claims, const struct jwt_role *role, const char *issuer,
                              struct kt_arena *arena, struct kt_err *err) KT_MUST_CHECK;

struct jwt_who {
    const char *user;
    struct string_list groups; /* of a role that has a groups claim */
};
/* meta: an object with the role's name and the mapped claims. */
enum kt_kind jwt_claims_who(struct kt_json claims, const struct jwt_role *role, struct kt_arena *arena,
                            struct kt_buf *meta, struct jwt_who *ret, struct kt_err *err) KT_MUST_CHECK;

/* The claim of that name, if it is there and not null. False also out of memory: arena->failed. */
bool jwt_claim(struct kt_json claims, const char *name, bool pointer, struct kt_arena *arena,
               struct kt_json *ret);
