/* vaultd/policy/rule.h - one compiled path block, and what policy's own files share of it. */
#pragma once

#include "vaultd/policy/policy.h"

enum pattern_kind {
    PATTERN_EXACT,
    PATTERN_PREFIX,  /* ends in '*' */
    PATTERN_SEGMENTS /* has a segment that begins with '+' */
};

/* A value that a parameter may have: a string, perhaps with a '*' at either end, a boolean, or a list
 * or object, which must be equal member by member (without stars inside). */
struct rule_value {
    bool is_bool, truth;
    const char *json; /* a list or object as JSON text; else NULL */
    bool star_before, star_after;
    const char *text; /* without the stars */
};
struct rule_parameter {
    const char *name; /* lower-case; "*": every name */
    const struct rule_value *values;
    size_t n_values;  /* 0: any value */
};
struct rule_parameters {
    const struct rule_parameter *at;
    size_t n;
};
struct rule {
    const char *pattern; /* without a leading '/' and without the final '*' */
    size_t len;
    enum pattern_kind kind;
    bool star;           /* PATTERN_SEGMENTS may end in '*' too */
    const char *template_form; /* has {{directives}}: what it could become where they cannot be filled
                                * in (template.c). NULL: has none */
    unsigned capabilities;
    struct rule_parameters allowed, denied;
    const char *const *required;
    size_t n_required;
    int64_t min_wrap_s, max_wrap_s; /* 0: none */
    const char *policy;  /* the name of a policy it came from */
    struct rule_source *sources; /* in an acl: the blocks that were merged into it; NULL in a policy */
};
/* One of them, in the order of the policies. */
struct rule_source {
    const struct rule *rule;
    struct rule_source *next;
};

/* template.c. The form of a pattern with directives (without its final '*'), filled in by nobody; NULL
 * for one without; KT_INVALID: braces that do not close. */
enum kt_kind template_read(struct kt_arena *arena, const char *pattern, size_t len,
                           const char **ret_form, struct kt_err *err) KT_MUST_CHECK;
/* A rule's pattern with values in it. whole: text is a pattern; else it is the form that is left. False:
 * no memory. */
#define TEMPLATE_MAX ((size_t)16 * 1024)
struct template_filled {
    bool whole;
    const char *text;
    size_t len;       /* without the final star, which the text has */
};
bool template_fill(struct kt_arena *arena, const struct rule *rule, const struct acl_source *source,
                   struct template_filled *ret);
/* What may stand in a path as it is, as part of one segment: UTF-8 without a slash, a star, + , { } and
 * control characters; neither empty nor "." or "..". */
bool template_value_fits(struct kt_bytes value);
/* Whether something that has this form may match the path. star: the pattern ended in '*'. */
bool template_may_cover(const char *form, bool star, const char *path, size_t len);

/* All rules of an acl, denials that cannot be filled in apart: they have no path. n: at most so many;
 * returns how many there are. */
size_t acl_rules(const struct acl *acl, const struct rule **ret, size_t n);
/* Those; as they are written, and borrowed from the acl. */
size_t acl_unfilled(const struct acl *acl, const struct rule *const **ret);
bool acl_is_root(const struct acl *acl);

/* "capabilities" of a rule: none is an empty list, for it does not deny. */
void rule_capabilities(struct kt_jsonw *w, unsigned capabilities);
/* Only some requests pass what it grants: parameters, wrapping. */
bool rule_restricts(const struct rule *rule);
const struct rule *policy_rules(const struct policy *policy, size_t *ret_n);
/* Whether the rule's parameters let these data through. */
bool rule_allows_data(const struct rule *rule, struct kt_json data);
