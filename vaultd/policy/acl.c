#include <stdlib.h>

#include "lib/failpoint.h"
#include "vaultd/policy/merged.h"

struct acl *acl_ref(struct acl *acl)
{
    (void)atomic_fetch_add(&acl->refs, 1);
    return acl;
}

void acl_unref(struct acl *acl)
{
    if (acl == NULL || atomic_fetch_sub(&acl->refs, 1) != 1)
        return;
    for (size_t i = 0; i < acl->n_held; i++)
        policy_unref(acl->held[i]);
    kt_arena_free(&acl->arena);
    free(acl);
}

/* ---- merging ---- */

static bool merge_parameter(struct kt_arena *arena, struct rule_parameter *into,
                            const struct rule_parameter *from)
{
    if (into->n_values == 0 || from->n_values == 0) {
        into->n_values = 0;
        return true;
    }
    size_t n = into->n_values + from->n_values;
    struct rule_value *values = kt_arena_take(arena, n * sizeof *values);
    if (values == NULL)
        return false;
    memcpy(values, into->values, into->n_values * sizeof *values);
    memcpy(values + into->n_values, from->values, from->n_values * sizeof *values);
    into->values = values;
    into->n_values = n;
    return true;
}

static bool merge_parameters(struct kt_arena *arena, struct rule_parameters *into,
                             const struct rule_parameters *from)
{
    if (from->n == 0)
        return true;
    struct rule_parameter *at = kt_arena_take(arena, (into->n + from->n) * sizeof *at);
    if (at == NULL)
        return false;
    size_t n = into->n;
    if (n > 0)
        memcpy(at, into->at, n * sizeof *at);
    for (size_t i = 0; i < from->n; i++) {
        size_t j = 0;
        while (j < n && strcmp(at[j].name, from->at[i].name) != 0)
            j++;
        if (j == n)
            at[n++] = from->at[i];
        else if (!merge_parameter(arena, &at[j], &from->at[i]))
            return false;
    }
    *into = (struct rule_parameters){at, n};
    return true;
}

static bool merge_required(struct kt_arena *arena, struct rule *into, const struct rule *from)
{
    if (from->n_required == 0)
        return true;
    size_t n = into->n_required + from->n_required;
    const char **names = kt_arena_take(arena, n * sizeof *names);
    if (names == NULL)
        return false;
    for (size_t i = 0; i < n; i++)
        names[i] = i < into->n_required ? into->required[i] : from->required[i - into->n_required];
    into->required = names;
    into->n_required = n;
    return true;
}

static int64_t smaller_set(int64_t a, int64_t b)
{
    if (a == 0 || b == 0)
        return a + b;
    return a < b ? a : b;
}

static bool merge_rule(struct kt_arena *arena, struct rule *into, const struct rule *from)
{
    if (((into->capabilities | from->capabilities) & CAP_DENY) != 0) {
        into->capabilities = CAP_DENY;
        return true;
    }
    into->capabilities |= from->capabilities;
    into->min_wrap_s = smaller_set(into->min_wrap_s, from->min_wrap_s);
    into->max_wrap_s = smaller_set(into->max_wrap_s, from->max_wrap_s);
    if (into->max_wrap_s != 0 && into->max_wrap_s < into->min_wrap_s)
        into->capabilities = CAP_DENY;
    return merge_parameters(arena, &into->allowed, &from->allowed) &&
           merge_parameters(arena, &into->denied, &from->denied) &&
           merge_required(arena, into, from);
}

/* A rule that may be merged into; its texts stay the policy's, which the acl holds. */
static struct rule *own_rule(struct kt_arena *arena, const struct rule *from)
{
    struct rule *rule = kt_arena_take(arena, sizeof *rule);
    if (rule != NULL)
        *rule = *from;
    return rule;
}

static bool add_source(struct kt_arena *arena, struct rule *into, const struct rule *from)
{
    struct rule_source *source = kt_arena_take(arena, sizeof *source);
    if (source == NULL)
        return false;
    *source = (struct rule_source){.rule = from};
    struct rule_source **end = &into->sources;
    while (*end != NULL)
        end = &(*end)->next;
    *end = source;
    return true;
}

static bool add_rule(struct acl *acl, const struct rule *from)
{
    struct rule **slot = NULL;
    if (from->kind == PATTERN_SEGMENTS) {
        size_t i = 0;
        while (i < acl->n_plus &&
               (acl->plus[i]->len != from->len || acl->plus[i]->star != from->star ||
                memcmp(acl->plus[i]->pattern, from->pattern, from->len) != 0))
            i++;
        slot = &acl->plus[i];
        acl->n_plus += i == acl->n_plus;
    } else {
        slot = acl_slot(acl, from->kind, acl_hash_text(from->pattern, from->len), from->pattern,
                        from->len);
    }
    if (*slot != NULL)
        return merge_rule(&acl->arena, *slot, from) && add_source(&acl->arena, *slot, from);
    *slot = own_rule(&acl->arena, from);
    if (*slot != NULL && from->kind == PATTERN_PREFIX)
        acl->prefix_length[from->len] = true;
    return *slot != NULL && add_source(&acl->arena, *slot, from);
}

/* The rules of all policies in their order, without those that are void. */
struct gathered {
    const struct rule **at;
    size_t n;
};

/* A grant that cannot be filled in is void; a denial must not be. */
static bool gather_template(struct acl *acl, const struct rule *from,
                            const struct acl_source *source, struct gathered *into)
{
    struct template_filled filled = {.text = from->template_form};
    if (source != NULL && !template_fill(&acl->arena, from, source, &filled))
        return false;
    if (!filled.whole && !rule_denies(from))
        return true;
    struct rule *rule = own_rule(&acl->arena, from);
    if (rule == NULL)
        return false;
    rule->template_form = filled.whole ? NULL : filled.text;
    if (filled.whole) {
        rule->pattern = filled.text;
        rule->len = filled.len;
        into->at[into->n++] = rule;
    } else {
        acl->unfilled[acl->n_unfilled++] = rule;
    }
    return true;
}

static bool gather(struct acl *acl, struct policy *const *policies, size_t n,
                   const struct acl_source *source, struct gathered *into)
{
    size_t rules = 0, templates = 0, count = 0;
    for (size_t i = 0; i < n; i++) {
        const struct rule *list = policy_rules(policies[i], &count);
        rules += count;
        for (size_t j = 0; j < count; j++)
            templates += list[j].template_form != NULL;
    }
    into->at = kt_arena_take(&acl->arena, (rules + 1) * sizeof(struct rule *));
    acl->unfilled = kt_arena_take(&acl->arena, (templates + 1) * sizeof(struct rule *));
    acl->held = kt_arena_take(&acl->arena, (n + 1) * sizeof(struct policy *));
    bool ok = !acl->arena.failed;
    for (size_t i = 0; ok && i < n; i++) {
        const struct rule *list = policy_rules(policies[i], &count);
        acl->held[acl->n_held++] = policy_ref(policies[i]);
        for (size_t j = 0; ok && j < count; j++) {
            if (list[j].template_form != NULL)
                ok = gather_template(acl, &list[j], source, into);
            else
                into->at[into->n++] = &list[j];
        }
    }
    return ok;
}

static bool size_tables(struct acl *acl, const struct gathered *rules)
{
    size_t plus = 0;
    for (size_t i = 0; i < rules->n; i++) {
        const struct rule *rule = rules->at[i];
        plus += rule->kind == PATTERN_SEGMENTS;
        if (rule->kind == PATTERN_PREFIX && rule->len > acl->longest_prefix)
            acl->longest_prefix = rule->len;
    }
    acl->n_slots = 16;
    while (acl->n_slots < rules->n * 2)
        acl->n_slots *= 2;
    acl->slots = kt_arena_take(&acl->arena, acl->n_slots * sizeof(struct rule *));
    acl->plus = kt_arena_take(&acl->arena, (plus + 1) * sizeof(struct rule *));
    acl->prefix_length = kt_arena_take(&acl->arena, acl->longest_prefix + 1);
    return !acl->arena.failed;
}

struct acl *acl_build(struct policy *const *policies, size_t n, bool root,
                      const struct acl_source *source)
{
    struct acl *acl = kt_calloc(1, sizeof *acl);
    if (acl == NULL)
        return NULL;
    atomic_init(&acl->refs, 1);
    kt_arena_init(&acl->arena, (size_t)256 * 1024 * 1024);
    acl->root = root;
    struct gathered rules = {0};
    bool ok = gather(acl, policies, n, source, &rules) && size_tables(acl, &rules);
    for (size_t i = 0; ok && i < rules.n; i++)
        ok = add_rule(acl, rules.at[i]);
    if (ok)
        return acl;
    acl_unref(acl);
    return NULL;
}

/* ---- all rules ---- */

size_t acl_unfilled(const struct acl *acl, const struct rule *const **ret)
{
    *ret = acl->unfilled;
    return acl->n_unfilled;
}

bool acl_is_root(const struct acl *acl)
{
    return acl->root;
}

size_t acl_rules(const struct acl *acl, const struct rule **ret, size_t n)
{
    size_t found = 0;
    for (size_t i = 0; i < acl->n_slots + acl->n_plus; i++) {
        const struct rule *rule = i < acl->n_slots ? acl->slots[i] : acl->plus[i - acl->n_slots];
        if (rule == NULL)
            continue;
        if (found < n)
            ret[found] = rule;
        found++;
    }
    return found;
}
