/* vaultd/auth/jwt_config.h - auth/jwt's settings: whose signatures a mount believes.
 *
 * What:    Exactly one of: public keys (PEM), a key set given as a document, the address of a key set, the
 *          address of an issuer that says where its key set is (OpenID Connect discovery). No path of a file:
 *          who may write here does not read the host's files; `secretctl write ... jwks=@FILE` sends one.
 *          A write replaces all settings, as in Vault.
 * Format:  named.h's ‖ u16 n ‖ n fields PEM ‖ fields: key set, its address, its CA (PEM), the issuer's
 *          address, its CA, bound issuer, default role ‖ u16 bits of enum jwt_alg that are taken, by text:
 *          n ‖ n fields.
 * Owner:   what is read lives in the request's arena.
 * Threads: any thread, inside of a request's pass. */
#pragma once

#include "vaultd/auth/jwt_text.h"
#include "vaultd/auth/named.h"

#define JWT_PEMS_MAX 16u
#define JWT_URL_MAX  1024u
#define JWT_CA_MAX   ((size_t)32 * 1024)

struct jwt_config {
    struct string_list pems;
    const char *jwks;          /* "": not so; of these four one is set */
    const char *jwks_url, *discovery_url;
    const char *jwks_ca, *discovery_ca; /* "": the system's */
    const char *issuer;        /* that tokens have to name; "": any, or the one that is discovered */
    const char *default_role;
    struct string_list alg_texts; /* empty: all */
    unsigned algs;             /* bits of enum jwt_alg */
    generation changed;        /* 0: none was written */
};

/* KT_NOT_FOUND without a text: the mount has none. */
enum kt_kind jwt_config_find(struct request *req, const struct mount *mount, struct jwt_config *ret,
                             struct kt_err *err) KT_MUST_CHECK;
/* Whatever else the batch does, it does so only while the settings are as they were looked at. */
enum kt_kind jwt_config_require(struct request *req, const struct mount *mount,
                                const struct jwt_config *config, struct kt_err *err) KT_MUST_CHECK;

handler_fn jwt_config_read, jwt_config_write;

#define JWT_CONFIG_FIELDS                                                                          \
    {"jwt_validation_pubkeys", FIELD_COMMA_LIST, "public keys or certificates, PEM"},              \
        {"jwks", FIELD_ANY, "a JSON Web Key Set itself, as text or object"},                       \
        {"jwks_url", FIELD_STRING, "where a JSON Web Key Set is: https"},                          \
        {"jwks_ca_pem", FIELD_STRING, "CA of jwks_url's server; else the system's"},               \
        {"oidc_discovery_url", FIELD_STRING, "the issuer, which says where its key set is: https"}, \
        {"oidc_discovery_ca_pem", FIELD_STRING, "CA of the issuer's servers; else the system's"},  \
        {"bound_issuer", FIELD_STRING, "what \"iss\" has to be"},                                  \
        {"jwt_supported_algs", FIELD_COMMA_LIST, "what is taken of RS256 to EdDSA; all if nothing is said"}, \
        {"default_role", FIELD_STRING, "the role of logins that name none"},                       \
        {"oidc_client_id", FIELD_STRING, "not offered: has to be empty"},                          \
        {"oidc_client_secret", FIELD_STRING, "not offered: has to be empty"},                      \
        {"oidc_response_mode", FIELD_STRING, "not offered: has to be empty"},                      \
        {"oidc_response_types", FIELD_COMMA_LIST, "not offered: has to be empty"},                 \
        {"provider_config", FIELD_MAP, "not offered: has to be empty"},                            \
        {"jwks_pairs", FIELD_LIST, "not offered: has to be empty"},                                \
        {"namespace_in_state", FIELD_BOOL, "has no effect; for browsers"}
