/* vaultd/policy/policy_list.h - lists of policy names as entities and groups carry them.
 *
 * What:    One function for every writer of such a list, since a check that some of them lack is none:
 *          names are lowered and trimmed first, then looked at. "root" is refused however it is
 *          spelt: it comes with a root token alone; so is what cannot be a policy's name.
 * Owner:   the list and its texts lie in the arena.
 * Threads: any thread. */
#pragma once

#include "vaultd/policy/policies.h"

#define POLICY_LIST_MAX 256u

/* Sorted, each once. KT_INVALID. */
enum kt_kind policy_list_normal(struct kt_arena *arena, const struct string_list *names,
                                struct string_list *ret, struct kt_err *err) KT_MUST_CHECK;
