#include <stdlib.h>

#include "lib/jsonw.h"
#include "vaultd/policy/rule.h"

/* ---- one rule ---- */

static void write_value(struct kt_jsonw *w, struct kt_arena *arena, const struct rule_value *value)
{
    if (value->is_bool)
        kt_jsonw_bool(w, value->truth);
    else if (value->json != NULL)
        kt_jsonw_raw(w, kt_str(value->json));
    else
        kt_jsonw_text(w, kt_arena_printf(arena, "%s%s%s", value->star_before ? "*" : "", value->text,
                                         value->star_after ? "*" : ""));
}

static void write_parameters(struct kt_jsonw *w, struct kt_arena *arena, const char *key,
                             const struct rule_parameters *parameters)
{
    if (parameters->n == 0)
        return;
    kt_jsonw_key(w, key);
    kt_jsonw_object(w);
    for (size_t i = 0; i < parameters->n; i++) {
        kt_jsonw_key(w, parameters->at[i].name);
        kt_jsonw_array(w);
        for (size_t k = 0; k < parameters->at[i].n_values; k++)
            write_value(w, arena, &parameters->at[i].values[k]);
        kt_jsonw_end(w);
    }
    kt_jsonw_end(w);
}

static void write_required(struct kt_jsonw *w, const struct rule *rule)
{
    if (rule->n_required == 0)
        return;
    kt_jsonw_key(w, "required_parameters");
    kt_jsonw_array(w);
    for (size_t i = 0; i < rule->n_required; i++)
        kt_jsonw_text(w, rule->required[i]);
    kt_jsonw_end(w);
}

void rule_capabilities(struct kt_jsonw *w, unsigned capabilities)
{
    if (capabilities != 0) {
        capability_list(w, "capabilities", capabilities);
        return;
    }
    kt_jsonw_key(w, "capabilities");
    kt_jsonw_array(w);
    kt_jsonw_end(w);
}

static void write_rule(struct kt_jsonw *w, struct kt_arena *arena, const struct rule *rule)
{
    kt_jsonw_key_bytes(w, kt_bytes(rule->pattern, rule->len));
    kt_jsonw_object(w);
    write_parameters(w, arena, "allowed_parameters", &rule->allowed);
    rule_capabilities(w, rule->capabilities);
    write_parameters(w, arena, "denied_parameters", &rule->denied);
    if (rule->max_wrap_s != 0)
        kt_jsonw_kv_int(w, "max_wrapping_ttl", rule->max_wrap_s);
    if (rule->min_wrap_s != 0)
        kt_jsonw_kv_int(w, "min_wrapping_ttl", rule->min_wrap_s);
    write_required(w, rule);
    kt_jsonw_end(w);
}

/* ---- all of them ---- */

/* A pattern with '+' is shown where its end says: its text is what tells it from the others. */
static bool is_glob(const struct rule *rule)
{
    return rule->kind == PATTERN_PREFIX || (rule->kind == PATTERN_SEGMENTS && rule->star);
}

static int by_pattern(const void *a, const void *b)
{
    const struct rule *x = *(const struct rule *const *)a, *y = *(const struct rule *const *)b;
    size_t shorter = x->len < y->len ? x->len : y->len;
    int order = memcmp(x->pattern, y->pattern, shorter);
    if (order != 0)
        return order;
    return x->len < y->len ? -1 : x->len > y->len;
}

static void write_paths(struct kt_jsonw *w, struct kt_arena *arena, const char *key,
                        const struct rule *const *rules, size_t n, bool glob)
{
    kt_jsonw_key(w, key);
    kt_jsonw_object(w);
    for (size_t i = 0; i < n; i++)
        if (is_glob(rules[i]) == glob)
            write_rule(w, arena, rules[i]);
    kt_jsonw_end(w);
}

enum kt_kind acl_show(const struct acl *acl, struct kt_arena *arena, struct kt_jsonw *w,
                      struct kt_err *err)
{
    size_t n = acl_is_root(acl) ? 0 : acl_rules(acl, NULL, 0);
    const struct rule **rules = kt_arena_take(arena, (n + 1) * sizeof *rules);
    if (rules == NULL)
        return kt_fail(err, KT_NO_MEMORY, "showing a token's policies");
    (void)acl_rules(acl, rules, n);
    qsort(rules, n, sizeof *rules, by_pattern);
    kt_jsonw_object(w);
    if (!acl_is_root(acl)) {
        write_paths(w, arena, "exact_paths", rules, n, false);
        write_paths(w, arena, "glob_paths", rules, n, true);
    }
    kt_jsonw_kv_bool(w, "root", acl_is_root(acl));
    kt_jsonw_end(w);
    return arena->failed ? kt_fail(err, KT_NO_MEMORY, "showing a token's policies") : KT_OK;
}
