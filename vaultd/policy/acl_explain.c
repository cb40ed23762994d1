#include "vaultd/policy/merged.h"

/* ---- whose rule it was ---- */

static size_t add_name(const char *name, const char **out, size_t n, size_t max)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(out[i], name) == 0)
            return n;
    if (n < max)
        out[n++] = name;
    return n;
}

size_t acl_deciders(const struct acl_decision *decision, enum operation op, const char **out,
                    size_t max)
{
    unsigned wanted = decision->allowed ? capability_needed(op) : (unsigned)CAP_DENY;
    const struct rule_source *first = decision->sources;
    size_t n = 0;
    for (const struct rule_source *at = first; at != NULL; at = at->next)
        if ((at->rule->capabilities & wanted) != 0)
            n = add_name(at->rule->policy, out, n, max);
    bool all = n == 0;
    for (const struct rule_source *at = first; all && at != NULL; at = at->next)
        n = add_name(at->rule->policy, out, n, max);
    if (n == 0 && decision->policy != NULL)
        n = add_name(decision->policy, out, n, max);
    return n;
}

/* ---- what matches ---- */

static bool before(const struct rule *a, const struct rule *b)
{
    bool exact_a = a->kind == PATTERN_EXACT, exact_b = b->kind == PATTERN_EXACT;
    return exact_a != exact_b ? exact_a : rule_precedes(a, b);
}

static size_t insert(const struct rule *rule, const struct rule **out, size_t n, size_t max)
{
    size_t at = 0;
    while (at < n && !before(rule, out[at]))
        at++;
    if (at == max)
        return n;
    size_t kept = n < max ? n : max - 1;
    memmove(&out[at + 1], &out[at], (kept - at) * sizeof(struct rule *));
    out[at] = rule;
    return kept + 1;
}

size_t acl_matching(const struct acl *acl, enum operation op, const char *path, size_t len,
                    const struct rule **out, size_t max)
{
    size_t n = 0;
    const struct rule *unfilled = acl_may_deny(acl, path, len);
    bool folder = op == OP_LIST && len > 0 && path[len - 1] == '/';
    for (size_t i = 0; i < acl->n_slots + acl->n_plus; i++) {
        const struct rule *rule = i < acl->n_slots ? acl->slots[i] : acl->plus[i - acl->n_slots];
        if (rule != NULL &&
            (rule_matches(rule, path, len) || (folder && rule_matches(rule, path, len - 1))))
            n = insert(rule, out, n, max);
    }
    if (unfilled == NULL || max == 0)
        return n;
    n = n < max ? n : max - 1;
    memmove(&out[1], &out[0], n * sizeof(struct rule *));
    out[0] = unfilled;
    return n + 1;
}

bool rule_restricts(const struct rule *rule)
{
    return rule->allowed.n + rule->denied.n + rule->n_required > 0 || rule->min_wrap_s > 0 ||
           rule->max_wrap_s > 0;
}
