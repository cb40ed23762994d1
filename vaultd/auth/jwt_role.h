/* vaultd/auth/jwt_role.h - auth/jwt's roles: whose tokens log in, as whom, and what tokens they get.
 *
 * What:    A role says what a token has to claim. One that would take every token of the issuer is refused
 *          when it is written: an audience, a subject, a claim or an address has to bind it.
 * Format:  named.h's ‖ field user claim ‖ u8 flags (1 the user claim may be a JSON pointer, 2 bound claims
 *          are globs) ‖ u16 n ‖ n fields audiences ‖ field subject ‖ field bound claims ‖ field claim
 *          mappings, both JSON objects ‖ field groups claim ‖ i64 leeways: exp, nbf, clock ‖ u16 n ‖ n fields
 *          redirect addresses ‖ u16 n ‖ n fields scopes ‖ token_params.
 * Kept:    redirect addresses and scopes are a browser's matter: kept and shown, for clients that write what
 *          they read.
 * Owner:   what is read lives in the request's arena.
 * Threads: any thread, inside of a request's pass. */
#pragma once

#include "vaultd/auth/jwt_text.h"
#include "vaultd/auth/named.h"
#include "vaultd/auth/token_params.h"

#define JWT_CLAIM_MAX    512u  /* bytes of a claim's name, or pointer */
#define JWT_CLAIMS_MAX   ((size_t)16 * 1024)
#define JWT_LIST_MAX     256u  /* items of a list: audiences, groups, values of a claim */
#define JWT_LEEWAY_MAX_S 86400 /* of exp and nbf; of the clock JWT_SKEW_MAX_S */
#define JWT_SKEW_MAX_S   600

struct jwt_role {
    const char *name;
    const char *user_claim;
    bool user_pointer, glob;
    struct string_list audiences;
    const char *subject, *groups_claim; /* "": none */
    struct kt_bytes bound, mappings;    /* JSON objects; empty: none */
    int64_t exp_leeway_s, nbf_leeway_s, skew_s; /* 0: the usual; negative: none */
    struct string_list redirects, scopes;
    struct token_params params;
    generation changed; /* 0: there is none of the name */
};

/* KT_NOT_FOUND without a text. */
enum kt_kind jwt_role_find(struct request *req, const unsigned char scope[BARRIER_SCOPE],
                           const char *name, struct jwt_role *ret, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind jwt_role_require(struct request *req, const unsigned char scope[BARRIER_SCOPE],
                              const struct jwt_role *role, struct kt_err *err) KT_MUST_CHECK;

handler_fn jwt_role_list, jwt_role_read, jwt_role_write, jwt_role_delete;
exists_fn jwt_role_exists;

#define JWT_ROLE_FIELDS                                                                            \
    {"role_type", FIELD_STRING, "jwt; oidc, which is what saying nothing means, is not offered"},  \
        {"user_claim", FIELD_STRING, "the claim that says who it is"},                             \
        {"user_claim_json_pointer", FIELD_BOOL, "user_claim is a JSON pointer where it begins with /"}, \
        {"bound_audiences", FIELD_COMMA_LIST, "one of them has to be an audience of the token"},   \
        {"bound_subject", FIELD_STRING, "what \"sub\" has to be"},                                 \
        {"bound_claims", FIELD_MAP, "what claims have to be: a value, or a list of values"},       \
        {"bound_claims_type", FIELD_STRING, "string, or glob: * in values stands for any text"},   \
        {"claim_mappings", FIELD_PAIRS, "claims that become metadata: claim=name"},                \
        {"groups_claim", FIELD_STRING, "the claim that names groups"},                             \
        {"expiration_leeway", FIELD_SIGNED_DURATION, "seconds that a token without exp is good for; 0: 150, negative: none"}, \
        {"not_before_leeway", FIELD_SIGNED_DURATION, "seconds before exp, of a token without iat and nbf; 0: 150, negative: none"}, \
        {"clock_skew_leeway", FIELD_SIGNED_DURATION, "seconds that clocks may differ; 0: 60, negative: none"}, \
        {"allowed_redirect_uris", FIELD_COMMA_LIST, "kept and shown; for browsers"},               \
        {"oidc_scopes", FIELD_COMMA_LIST, "kept and shown; for browsers"},                         \
        {"verbose_oidc_logging", FIELD_BOOL, "has no effect: tokens are never logged"},            \
        {"max_age", FIELD_DURATION, "has no effect; for browsers"}
