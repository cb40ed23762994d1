#include "vaultd/policy/merged.h"

/* `rest` of the path against `rest` of a '+' pattern, segment by segment. */
static bool segments_match(const struct rule *rule, const char *path, size_t path_len)
{
    const char *p = rule->pattern, *p_end = p + rule->len;
    const char *s = path, *s_end = path + path_len;
    for (;;) {
        const char *p_slash = memchr(p, '/', (size_t)(p_end - p));
        const char *s_slash = memchr(s, '/', (size_t)(s_end - s));
        size_t p_len = (size_t)((p_slash == NULL ? p_end : p_slash) - p);
        size_t s_len = (size_t)((s_slash == NULL ? s_end : s_slash) - s);
        bool last = p_slash == NULL;
        bool any = p_len == 1 && p[0] == '+';
        if (last && rule->star) {
            /* The last segment of a pattern with '*' is a prefix, and the rest is free. */
            return any ? true : (size_t)(s_end - s) >= p_len && memcmp(s, p, p_len) == 0;
        }
        if (!any && (p_len != s_len || memcmp(p, s, p_len) != 0))
            return false;
        if (last)
            return s_slash == NULL;
        if (s_slash == NULL)
            return false;
        p = p_slash + 1;
        s = s_slash + 1;
    }
}

bool rule_matches(const struct rule *rule, const char *path, size_t len)
{
    if (rule->kind == PATTERN_SEGMENTS)
        return segments_match(rule, path, len);
    bool fits = rule->kind == PATTERN_PREFIX ? rule->len <= len : rule->len == len;
    return fits && memcmp(rule->pattern, path, rule->len) == 0;
}

static size_t first_wildcard(const struct rule *rule)
{
    if (rule->kind != PATTERN_SEGMENTS)
        return rule->len;
    const char *plus = memchr(rule->pattern, '+', rule->len);
    return plus == NULL ? rule->len : (size_t)(plus - rule->pattern);
}

static size_t plus_segments(const struct rule *rule)
{
    size_t n = 0;
    for (size_t i = 0; rule->kind == PATTERN_SEGMENTS && i < rule->len; i++)
        n += rule->pattern[i] == '+' && (i == 0 || rule->pattern[i - 1] == '/') &&
             (i + 1 == rule->len || rule->pattern[i + 1] == '/');
    return n;
}

/* The first difference decides. */
bool rule_precedes(const struct rule *a, const struct rule *b)
{
    if (b == NULL)
        return true;
    size_t wild_a = first_wildcard(a), wild_b = first_wildcard(b);
    if (wild_a != wild_b)
        return wild_a > wild_b;
    if (a->star != b->star)
        return !a->star;
    size_t plus_a = plus_segments(a), plus_b = plus_segments(b);
    if (plus_a != plus_b)
        return plus_a < plus_b;
    if (a->len != b->len)
        return a->len > b->len;
    return memcmp(a->pattern, b->pattern, a->len) > 0;
}

static const struct rule *longest_prefix(const struct acl *acl, const char *path, size_t len)
{
    const struct rule *found = NULL;
    uint64_t hash = ACL_HASH_START;
    for (size_t i = 0; i <= len && i <= acl->longest_prefix; i++) {
        if (acl->prefix_length[i]) {
            const struct rule *rule = *acl_slot(acl, PATTERN_PREFIX, hash, path, i);
            if (rule != NULL)
                found = rule;
        }
        if (i < len)
            hash = acl_hash(hash, (unsigned char)path[i]);
    }
    return found;
}

static const struct rule *exactly(const struct acl *acl, const char *path, size_t len)
{
    return *acl_slot(acl, PATTERN_EXACT, acl_hash_text(path, len), path, len);
}

const struct rule *acl_decide(const struct acl *acl, const char *path, size_t len)
{
    const struct rule *rule = exactly(acl, path, len);
    if (rule != NULL)
        return rule;
    rule = longest_prefix(acl, path, len);
    for (size_t i = 0; i < acl->n_plus; i++)
        if (segments_match(acl->plus[i], path, len) && rule_precedes(acl->plus[i], rule))
            rule = acl->plus[i];
    return rule;
}

const struct rule *acl_may_deny(const struct acl *acl, const char *path, size_t len)
{
    bool slash = len > 0 && path[len - 1] == '/';
    for (size_t i = 0; i < acl->n_unfilled; i++) {
        const struct rule *rule = acl->unfilled[i];
        if (template_may_cover(rule->template_form, rule->star, path, len) ||
            (slash && template_may_cover(rule->template_form, rule->star, path, len - 1)))
            return rule;
    }
    return NULL;
}
