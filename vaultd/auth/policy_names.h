/* vaultd/auth/policy_names.h - the names of policies that a token, a user, a role carries.
 *
 * What:    One reading of such a list for everybody who keeps one: trimmed, lowered, unique, sorted. Only
 *          what comes out of it is compared, so " ROOT" is "root" wherever it is written.
 * Owner:   the list lives in the arena.
 * Limits:  POLICY_NAMES_MAX names.
 * Errors:  KT_INVALID: too many, or a name that nobody may assign. KT_NO_MEMORY.
 * Threads: any thread. */
#pragma once

#include "vaultd/core/request.h"

#define POLICY_NAMES_MAX 64u

/* "root" stands alone in what comes out: nothing else would count beside it. */
enum kt_kind policy_names(struct kt_arena *arena, const char *const *names, size_t n,
                          struct string_list *ret, struct kt_err *err) KT_MUST_CHECK;
bool policy_names_have(const struct string_list *list, const char *name);
/* The list, which came out of policy_names(), with one more. */
enum kt_kind policy_names_add(struct kt_arena *arena, const struct string_list *list,
                              const char *name, struct string_list *ret, struct kt_err *err)
    KT_MUST_CHECK;
bool policy_names_same(const struct string_list *a, const struct string_list *b);
