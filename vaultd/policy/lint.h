/* vaultd/policy/lint.h - what in a policy has another effect than its author may think.
 *
 * What:    Holds each block against the routes of the mounts that are there: a pattern that matches
 *          nothing, a capability that nothing there asks for, a path that needs sudo as well, a
 *          parameter that no request has, a pattern that never decides. A policy that is written is
 *          never refused for it.
 * Weight:  LINT_WRONG has no effect at all and nearly always is a mistake; LINT_IDLE may be meant, or
 *          become true when something is mounted.
 * Owner:   texts live in the request's arena.
 * Limits:  LINT_FINDINGS_MAX findings, LINT_LOOKS_MAX looks, at a row or at another block; *ret_whole: it was all of them.
 * Threads: any thread, with the request's mount table held. */
#pragma once

#include "vaultd/core/mounts.h"
#include "vaultd/policy/policy.h"

#define LINT_FINDINGS_MAX 200u
#define LINT_LOOKS_MAX    50000u

enum lint_weight { LINT_IDLE, LINT_WRONG };
struct lint_finding {
    enum lint_weight weight;
    const char *pattern;
    const char *text;    /* what is so, without the pattern: "matches nothing ..." */
    const char *instead; /* a pattern that was perhaps meant; NULL: nobody knows */
};
struct lint {
    struct lint_finding *at;
    size_t n;
    bool whole;
};
enum kt_kind policy_lint(struct request *req, struct policy *policy, struct lint *ret,
                         struct kt_err *err) KT_MUST_CHECK;
/* One line of it: 'path "secret/x" matches ...: did you mean "secret/data/x"?' */
const char *lint_line(struct kt_arena *arena, const struct lint_finding *finding);
