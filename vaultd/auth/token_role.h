/* vaultd/auth/token_role.h - auth/token/roles: what tokens may be made in a role's name.
 *
 * What:    A role stands beside the rights of whoever makes a token with it (auth/token/create/ROLE): it
 *          says which policies may be given, and bounds the token. Its rules are Vault's.
 * Format:  named.h's ‖ u8 flags (1 orphan, 2 renewable) ‖ field path suffix ‖ 5 × (u16 n ‖ n fields):
 *          policies that are allowed, not allowed, patterns of either, entity aliases ‖ token_params.
 * Owner:   what is read lives in the request's arena.
 * Threads: any thread, inside of a request's pass. */
#pragma once

#include "vaultd/auth/token_params.h"

enum token_role_list {
    ROLE_ALLOWED,
    ROLE_DISALLOWED,
    ROLE_ALLOWED_GLOB,
    ROLE_DISALLOWED_GLOB,
    ROLE_ENTITY_ALIASES,
    ROLE_LISTS
};
struct token_role {
    const char *name, *path_suffix;
    bool orphan, renewable;
    struct string_list lists[ROLE_LISTS];
    struct token_params params;
};

/* KT_NOT_FOUND without a text: there is none of that name. */
enum kt_kind token_role_find(struct request *req, const char *name, struct token_role *ret,
                             generation *ret_changed, struct kt_err *err) KT_MUST_CHECK;
/* Whatever the request's batch does, it does so only if the role is still as it was found. */
enum kt_kind token_role_require(struct request *req, const char *name, generation changed,
                                struct kt_err *err) KT_MUST_CHECK;
/* The role says something of policies: then its word counts, else the maker's rights do. */
bool token_role_gives(const struct token_role *role);
/* What a token gets of its policies: `wanted` as policy_names() gives it; `parent` those of whoever asks.
 * `named`: some were named, if only by an empty name. Who names nothing gets all that may be given; who
 * names an empty name, as a script whose variable is not set, does not mean that.
 * KT_INVALID: the role does not give them. */
struct token_role_ask {
    const struct string_list *wanted, *parent;
    bool named, no_default;
};
enum kt_kind token_role_policies(struct request *req, const struct token_role *role,
                                 const struct token_role_ask *ask, struct string_list *ret,
                                 struct kt_err *err) KT_MUST_CHECK;

handler_fn token_role_list, token_role_read, token_role_write, token_role_delete;
exists_fn token_role_exists;
