/* vaultd/policy/policies.h - the stored policies, and the acl of a token.
 *
 * A policy's text is stored sealed under its name; its compiled form is cached by (name, changed),
 * so a changed policy is in force on the next request. Names are lower-case [a-z0-9._-]{1,128}.
 * Threads: any thread with the barrier entered. */
#pragma once

#include "vaultd/auth/token.h"
#include "vaultd/policy/policy.h"

struct policies;
/* Register before the first commit: it follows what changes a policy. */
struct policies *policies_new(struct store *store);
void policies_free(struct policies *policies);
/* Lowers, trims and checks a name. KT_INVALID when it cannot be one. */
enum kt_kind policy_name_normal(struct kt_arena *arena, const char *name, const char **ret,
                                struct kt_err *err) KT_MUST_CHECK;
/* The acl of a token at this snapshot: of its own policies, and of those of its entity and of the groups
 * that the entity is in, directives filled in with what is known of it. Per-thread cache; acl_unref()
 * when done. KT_DENIED: the entity is disabled or gone. */
enum kt_kind policies_acl(struct core *core, struct snapshot *snapshot, const struct token *token,
                          struct acl **ret, struct kt_err *err) KT_MUST_CHECK;
/* The text, from the store (built-in "default" is stored at init). KT_NOT_FOUND. */
enum kt_kind policies_text(struct core *core, struct snapshot *snapshot, const char *name,
                           struct kt_buf *out, generation *ret_changed, struct kt_err *err)
    KT_MUST_CHECK;
/* Compiled, from the cache if it is there; policy_unref() when done. KT_NOT_FOUND comes without a text. */
enum kt_kind policies_find(struct core *core, struct snapshot *snapshot, const char *name,
                           struct policy **ret, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind policies_put(struct core *core, struct batch *batch, const char *name,
                          struct kt_bytes text, struct kt_err *err) KT_MUST_CHECK;
enum kt_kind policies_delete(struct core *core, struct batch *batch, const char *name,
                             struct kt_err *err) KT_MUST_CHECK;
/* Sorted names, "root" not among them. */
enum kt_kind policies_list(struct core *core, struct snapshot *snapshot, struct kt_arena *arena,
                           struct string_list *ret, struct kt_err *err) KT_MUST_CHECK;
