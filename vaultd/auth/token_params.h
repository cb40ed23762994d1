/* vaultd/auth/token_params.h - what every way to log in lets a user or a role say of the tokens it gives:
 * Vault's token_ttl, token_policies, and so on.
 *
 * What:    The fields read from a request onto what is there (what is not given stays), shown, and kept.
 *          Old names (policies, ttl ...) are taken where the method has them; the new one wins. They are
 *          shown again by whom they were used, as in Vault.
 * Owner:   texts live in the arena that was given.
 * Format:  i64 ttl, max ttl, explicit max ttl, period, uses ‖ u8 flags (1 without "default", 2 service) ‖
 *          u16 old names that were used ‖ u16 n ‖ n fields policies ‖ u16 n ‖ n fields bound_cidrs; a part
 *          of the record of whoever keeps it, which has the format number.
 * Errors:  KT_INVALID names the field, never its value.
 * Threads: any thread. */
#pragma once

#include "vaultd/core/engine.h"

#define TOKEN_CIDRS_MAX 64u

struct token_params {
    int64_t ttl_s, max_ttl_s, explicit_max_ttl_s, period_s, num_uses;
    struct string_list policies;    /* as policy_names() gives them; never "root" */
    struct string_list bound_cidrs;
    bool no_default_policy;
    bool service;                   /* token_type "service", not "default": there is no other kind */
    unsigned old_names;             /* those that were given under an old name; PARAM_BIT() */
};

/* Stored, as bits of old_names: what is new goes to the end. */
enum token_param {
    PARAM_TTL,
    PARAM_MAX_TTL,
    PARAM_POLICIES,
    PARAM_BOUND_CIDRS,
    PARAM_EXPLICIT_MAX_TTL,
    PARAM_NO_DEFAULT,
    PARAM_NUM_USES,
    PARAM_PERIOD,
    PARAM_TYPE,
    PARAM_COUNT
};
#define PARAM_BIT(param) (1u << (param))

/* Which of the fields somebody has, and which of them under their old names, too. */
struct token_params_form {
    unsigned fields, old_names;
};
extern const struct token_params_form token_params_of_login; /* of users and of roles who log in */

enum kt_kind token_params_read(struct request *req, const struct token_params_form *form,
                               struct token_params *params, struct kt_err *err) KT_MUST_CHECK;
/* As members of the object that w is in. */
void token_params_show(struct kt_jsonw *w, const struct token_params_form *form,
                       const struct token_params *params);
/* The fields of these bits back to what a new user has. */
void token_params_reset(struct token_params *params, unsigned fields);
void token_params_write(const struct token_params *params, struct kt_buf *out);
void token_params_take(struct kt_reader *r, struct kt_arena *arena, struct token_params *ret);

/* A comma-string-list of blocks of addresses; what is none is refused. KT_NOT_FOUND: absent. */
enum kt_kind token_params_cidrs(struct request *req, const char *name, struct string_list *ret,
                                struct kt_err *err) KT_MUST_CHECK;
void token_params_list(struct kt_jsonw *w, const char *name, const struct string_list *list);

/* For readers of records: u16 n ‖ n fields. */
void token_params_take_list(struct kt_reader *r, struct kt_arena *arena, struct string_list *ret);
void token_params_write_list(const struct string_list *list, struct kt_buf *out);

/* Rows of a route's fields. */
#define TOKEN_PARAMS_FIELDS                                                                        \
    {"token_ttl", FIELD_DURATION, "how long a token lives at first"},                              \
        {"token_max_ttl", FIELD_DURATION, "it is never renewed beyond that"},                      \
        {"token_policies", FIELD_COMMA_LIST, "what it may"},                                       \
        {"token_bound_cidrs", FIELD_COMMA_LIST, "where it may be used from"},                      \
        {"token_explicit_max_ttl", FIELD_DURATION, "it never lives longer, whatever changes"},     \
        {"token_no_default_policy", FIELD_BOOL, "without the policy \"default\""},                 \
        {"token_num_uses", FIELD_INT, "requests it is good for; 0: any number"},                   \
        {"token_period", FIELD_DURATION, "each renewal gives that long"},                          \
        {"token_type", FIELD_STRING, "default or service"}
#define TOKEN_PARAMS_OLD_FIELDS                                                                    \
    {"ttl", FIELD_DURATION, "old name of token_ttl"},                                              \
        {"max_ttl", FIELD_DURATION, "old name of token_max_ttl"},                                  \
        {"policies", FIELD_COMMA_LIST, "old name of token_policies"},                              \
        {"bound_cidrs", FIELD_COMMA_LIST, "old name of token_bound_cidrs"},                        \
        {"num_uses", FIELD_INT, "old name of token_num_uses"},                                     \
        {"period", FIELD_DURATION, "old name of token_period"}
