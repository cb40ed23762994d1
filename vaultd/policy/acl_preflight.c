#include "vaultd/policy/merged.h"

/* Segment by segment: a '+' is any one, and what is behind the prefix is free. */
static bool segments_reach(const struct rule *rule, const char *prefix, size_t len)
{
    const char *p = rule->pattern, *p_end = p + rule->len;
    for (const char *s = prefix; s < prefix + len;) {
        const char *p_slash = memchr(p, '/', (size_t)(p_end - p));
        size_t p_len = (size_t)((p_slash == NULL ? p_end : p_slash) - p), s_len = strcspn(s, "/");
        bool any = p_len == 1 && p[0] == '+';
        if (p_slash == NULL) /* it ends in what must be all of the path, or with '*' its beginning */
            return rule->star && (any || (p_len <= s_len && memcmp(p, s, p_len) == 0));
        if (!any && (p_len != s_len || memcmp(p, s, p_len) != 0))
            return false;
        p = p_slash + 1;
        s += s_len + 1;
    }
    return true;
}

/* Something below the prefix, which has a '/' at its end; a shorter prefix pattern does not count, for
 * another one may decide there. */
static bool reaches_below(const struct rule *rule, const char *prefix, size_t len)
{
    if (rule_denies(rule) || rule->capabilities == 0)
        return false;
    if (rule->kind == PATTERN_SEGMENTS)
        return segments_reach(rule, prefix, len);
    return rule->len >= len && memcmp(rule->pattern, prefix, len) == 0;
}

bool acl_touches(const struct acl *acl, const char *prefix)
{
    size_t len = strlen(prefix);
    if (acl->root || (acl_capabilities(acl, prefix, NULL, len) & ~(unsigned)CAP_DENY) != 0)
        return true;
    for (size_t i = 0; i < acl->n_slots; i++)
        if (acl->slots[i] != NULL && reaches_below(acl->slots[i], prefix, len))
            return true;
    for (size_t i = 0; i < acl->n_plus; i++)
        if (reaches_below(acl->plus[i], prefix, len))
            return true;
    return false;
}
