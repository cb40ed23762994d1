#include "vaultd/policy/policy.h"

#include <ctype.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "lib/arena.h"
#include "lib/failpoint.h"
#include "lib/hcl/hcl.h"
#include "vaultd/policy/rule.h"

#define RULES_MAX 4096u

struct policy {
    atomic_uint refs;
    struct kt_arena arena;
    const char *name;
    struct rule *rules;
    size_t n;
};

struct policy *policy_ref(struct policy *policy)
{
    (void)atomic_fetch_add(&policy->refs, 1);
    return policy;
}

void policy_unref(struct policy *policy)
{
    if (policy == NULL || atomic_fetch_sub(&policy->refs, 1) != 1)
        return;
    kt_arena_free(&policy->arena);
    free(policy);
}

const char *policy_name(const struct policy *policy)
{
    return policy->name;
}

bool policy_has_template(const struct policy *policy)
{
    for (size_t i = 0; i < policy->n; i++)
        if (policy->rules[i].template_form != NULL)
            return true;
    return false;
}

const struct rule *policy_rules(const struct policy *policy, size_t *ret_n)
{
    *ret_n = policy->n;
    return policy->rules;
}

static const struct {
    const char *name;
    unsigned bit;
} capability_rows[] = {
    {"create", CAP_CREATE}, {"delete", CAP_DELETE}, {"deny", CAP_DENY}, {"list", CAP_LIST},
    {"patch", CAP_PATCH},   {"read", CAP_READ},     {"sudo", CAP_SUDO}, {"update", CAP_UPDATE},
};
#define N_CAPABILITIES (sizeof capability_rows / sizeof capability_rows[0])

size_t capability_names(unsigned capabilities, const char *out[8])
{
    if (capabilities == ~0u) {
        out[0] = "root";
        return 1;
    }
    if ((capabilities & CAP_DENY) != 0 || capabilities == 0) {
        out[0] = "deny";
        return 1;
    }
    size_t n = 0;
    for (size_t i = 0; i < N_CAPABILITIES; i++)
        if ((capabilities & capability_rows[i].bit) != 0)
            out[n++] = capability_rows[i].name;
    return n;
}

void capability_list(struct kt_jsonw *w, const char *key, unsigned capabilities)
{
    const char *names[8];
    size_t n = capability_names(capabilities, names);
    kt_jsonw_key(w, key);
    kt_jsonw_array(w);
    for (size_t i = 0; i < n; i++)
        kt_jsonw_text(w, names[i]);
    kt_jsonw_end(w);
}

/* The words of Vault's first policy language. */
static const struct {
    const char *word;
    unsigned capabilities;
} old_words[] = {
    {"deny", CAP_DENY},
    {"read", CAP_READ | CAP_LIST},
    {"write", CAP_CREATE | CAP_READ | CAP_UPDATE | CAP_DELETE | CAP_LIST},
    {"sudo", CAP_CREATE | CAP_READ | CAP_UPDATE | CAP_DELETE | CAP_LIST | CAP_SUDO},
};

struct reader {
    struct policy *policy;
    struct kt_err *err;
};

static const char *lower(struct kt_arena *arena, const char *text)
{
    char *copy = kt_arena_text(arena, kt_str(text));
    for (char *c = copy; c != NULL && *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    return copy;
}

/* ---- capabilities ---- */

static enum kt_kind read_capabilities(struct reader *r, const struct kt_hcl_body *body,
                                      const char *path, struct rule *rule)
{
    const char *word = NULL;
    enum kt_kind kind = kt_hcl_get_text(body, "policy", &word, r->err);
    if (kind != KT_OK)
        return kind;
    for (size_t i = 0; word != NULL && i < sizeof old_words / sizeof old_words[0]; i++)
        if (strcmp(old_words[i].word, word) == 0)
            rule->capabilities |= old_words[i].capabilities;
    if (word != NULL && rule->capabilities == 0)
        return kt_fail(r->err, KT_INVALID, "path \"%s\": invalid policy word", path);
    const char *const *names = NULL;
    size_t n = 0;
    kind = kt_hcl_get_texts(body, "capabilities", &names, &n, r->err);
    if (kind != KT_OK)
        return kind;
    for (size_t i = 0; i < n; i++) {
        unsigned bit = 0;
        for (size_t j = 0; j < N_CAPABILITIES; j++)
            if (strcmp(capability_rows[j].name, names[i]) == 0)
                bit = capability_rows[j].bit;
        if (bit == 0) {
            (void)kt_fail(r->err, KT_INVALID, "path \"%s\": invalid capability \"%.40s\"", path,
                          names[i]);
            kt_hint(r->err, "known: create, read, update, patch, delete, list, sudo, deny");
            return KT_INVALID;
        }
        rule->capabilities |= bit;
    }
    if ((rule->capabilities & CAP_DENY) != 0)
        rule->capabilities = CAP_DENY;
    return KT_OK;
}

/* ---- patterns ---- */

/* As Vault tells them, by where a '+' stands: "a/+b" is one of these too, though it is literal. */
static bool has_plus_segment(const char *text)
{
    return (text[0] == '+' && (text[1] == '\0' || text[1] == '/')) || strstr(text, "/+") != NULL;
}

static enum kt_kind read_pattern(struct reader *r, const char *path, struct kt_hcl_pos pos,
                                 struct rule *rule)
{
    if (path[0] == '/')
        path++;
    if (strstr(path, "+*") != NULL)
        return kt_hcl_fail(pos, r->err,
                           "path \"%s\": invalid use of wildcards ('+*' is forbidden)", path);
    rule->pattern = kt_arena_text(&r->policy->arena, kt_str(path));
    if (rule->pattern == NULL)
        return kt_fail(r->err, KT_NO_MEMORY, "reading a policy");
    rule->len = strlen(path);
    rule->star = rule->len > 0 && path[rule->len - 1] == '*';
    rule->kind = has_plus_segment(path) ? PATTERN_SEGMENTS
                 : rule->star           ? PATTERN_PREFIX
                                        : PATTERN_EXACT;
    if (rule->star)
        rule->len--;
    enum kt_kind kind = template_read(&r->policy->arena, rule->pattern, rule->len,
                                      &rule->template_form, r->err);
    if (kind == KT_INVALID)
        return kt_hcl_fail(pos, r->err, "path \"%s\": a template's braces do not close", path);
    return kind;
}

/* ---- parameters ---- */

/* Numbers become null: a number in a request never equals one that a policy can write. */
static void write_json(struct kt_jsonw *w, const struct kt_hcl_value *from)
{
    switch (from->type) {
    case KT_HCL_STRING:
        kt_jsonw_text(w, from->text);
        return;
    case KT_HCL_BOOL:
        kt_jsonw_bool(w, from->truth);
        return;
    case KT_HCL_NUMBER:
        kt_jsonw_null(w);
        return;
    case KT_HCL_LIST:
        kt_jsonw_array(w);
        for (const struct kt_hcl_value *v = from->first; v != NULL; v = v->next)
            write_json(w, v);
        kt_jsonw_end(w);
        return;
    case KT_HCL_OBJECT:
        kt_jsonw_object(w);
        for (const struct kt_hcl_item *item = from->object->first; item != NULL; item = item->next) {
            kt_jsonw_key(w, item->key);
            write_json(w, &item->value);
        }
        kt_jsonw_end(w);
        return;
    }
}

static void read_value(struct kt_arena *arena, const struct kt_hcl_value *from,
                       struct rule_value *ret)
{
    *ret = (struct rule_value){.text = ""};
    if (from->type == KT_HCL_BOOL) {
        ret->is_bool = true;
        ret->truth = from->truth;
        return;
    }
    if (from->type != KT_HCL_STRING) {
        kt_autobuf struct kt_buf json;
        kt_buf_init(&json, KT_HCL_MAX_BYTES * 8);
        struct kt_jsonw w = kt_jsonw(&json);
        write_json(&w, from);
        ret->json = kt_buf_ok(&json) ? kt_arena_text(arena, kt_buf_bytes(&json)) : NULL;
        if (ret->json == NULL)
            arena->failed = true;
        return;
    }
    struct kt_bytes text = kt_str(from->text);
    /* A bare "*" is a literal star; "**" matches every string, as in Vault. */
    if (text.len > 1) {
        ret->star_before = text.at[0] == '*';
        ret->star_after = text.at[text.len - 1] == '*';
    }
    size_t start = ret->star_before ? 1 : 0;
    size_t end = text.len - (ret->star_after && text.len > start ? 1 : 0);
    ret->text = kt_arena_text(arena, kt_bytes(text.at + start, end - start));
}

static enum kt_kind read_values(struct reader *r, const struct kt_hcl_item *item,
                                struct rule_parameter *ret)
{
    struct kt_arena *arena = &r->policy->arena;
    ret->name = lower(arena, item->key);
    if (item->value.type != KT_HCL_LIST)
        return kt_hcl_fail(item->pos, r->err, "the values of \"%s\" must be a list, [] for any",
                           item->key);
    struct rule_value *values = kt_arena_take(arena, (item->value.count + 1) * sizeof *values);
    if (values == NULL || ret->name == NULL)
        return kt_fail(r->err, KT_NO_MEMORY, "reading a policy");
    size_t n = 0;
    for (const struct kt_hcl_value *v = item->value.first; v != NULL; v = v->next)
        read_value(arena, v, &values[n++]);
    ret->values = values;
    ret->n_values = n;
    return KT_OK;
}

static enum kt_kind read_parameters(struct reader *r, const struct kt_hcl_body *body,
                                    const char *key, struct rule_parameters *ret)
{
    const struct kt_hcl_body *map = NULL;
    const struct kt_hcl_item *attribute = kt_hcl_find(body, key);
    if (attribute != NULL) {
        if (attribute->value.type != KT_HCL_OBJECT)
            return kt_hcl_fail(attribute->pos, r->err, "\"%s\" must be a map of lists", key);
        map = attribute->value.object;
    } else {
        enum kt_kind kind = kt_hcl_only_block(body, key, &map, r->err);
        if (kind != KT_OK)
            return kind;
    }
    if (map == NULL)
        return KT_OK;
    struct rule_parameter *at = kt_arena_take(&r->policy->arena, (map->count + 1) * sizeof *at);
    if (at == NULL)
        return kt_fail(r->err, KT_NO_MEMORY, "reading a policy");
    size_t n = 0;
    for (const struct kt_hcl_item *item = map->first; item != NULL; item = item->next) {
        enum kt_kind kind = read_values(r, item, &at[n++]);
        if (kind != KT_OK)
            return kind;
    }
    *ret = (struct rule_parameters){at, n};
    return KT_OK;
}

static enum kt_kind read_required(struct reader *r, const struct kt_hcl_body *body,
                                  struct rule *rule)
{
    const char *const *names = NULL;
    size_t n = 0;
    enum kt_kind kind = kt_hcl_get_texts(body, "required_parameters", &names, &n, r->err);
    if (kind != KT_OK)
        return kind;
    const char **copy = kt_arena_take(&r->policy->arena, (n + 1) * sizeof *copy);
    if (copy == NULL)
        return kt_fail(r->err, KT_NO_MEMORY, "reading a policy");
    for (size_t i = 0; i < n; i++)
        copy[i] = lower(&r->policy->arena, names[i]);
    rule->required = copy;
    rule->n_required = n;
    return KT_OK;
}

static enum kt_kind read_wrapping(struct reader *r, const struct kt_hcl_body *body,
                                  struct kt_hcl_pos pos, struct rule *rule)
{
    uint64_t min_ms = 0, max_ms = 0;
    enum kt_kind kind = kt_hcl_get_duration(body, "min_wrapping_ttl", &min_ms, r->err);
    if (kind == KT_OK)
        kind = kt_hcl_get_duration(body, "max_wrapping_ttl", &max_ms, r->err);
    if (kind != KT_OK)
        return kind;
    if (max_ms != 0 && max_ms < min_ms)
        return kt_hcl_fail(pos, r->err, "max_wrapping_ttl cannot be less than min_wrapping_ttl");
    rule->min_wrap_s = (int64_t)(min_ms / 1000);
    rule->max_wrap_s = (int64_t)(max_ms / 1000);
    return KT_OK;
}

/* ---- blocks ---- */

static const char *const known_keys[] = {
    "capabilities",       "policy",           "allowed_parameters", "denied_parameters",
    "required_parameters", "min_wrapping_ttl", "max_wrapping_ttl",   "comment",
    "mfa_methods",        "control_group",    "pagination_limit",   "subscribe_event_types",
    NULL};

/* Words that restrict and that nothing here would heed: better no policy than one that opens. */
static enum kt_kind check_kept(struct reader *r, const struct kt_hcl_body *body)
{
    static const char *const words[] = {"mfa_methods", "control_group"};
    for (const struct kt_hcl_item *item = body->first; item != NULL; item = item->next)
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
            if (strcmp(item->key, words[i]) == 0)
                return kt_hcl_fail(item->pos, r->err,
                                   "\"%s\" cannot be kept by this version: leave it out only if the "
                                   "path may be used without",
                                   words[i]);
    return KT_OK;
}

static enum kt_kind read_block(struct reader *r, const struct kt_hcl_block *block,
                               struct rule *rule)
{
    *rule = (struct rule){.policy = r->policy->name};
    enum kt_kind kind = kt_hcl_check_known(block->body, known_keys, NULL, NULL, r->err);
    if (kind == KT_OK)
        kind = check_kept(r, block->body);
    if (kind == KT_OK)
        kind = read_pattern(r, block->labels[0], block->pos, rule);
    if (kind == KT_OK)
        kind = read_capabilities(r, block->body, block->labels[0], rule);
    if (kind == KT_OK)
        kind = read_parameters(r, block->body, "allowed_parameters", &rule->allowed);
    if (kind == KT_OK)
        kind = read_parameters(r, block->body, "denied_parameters", &rule->denied);
    if (kind == KT_OK)
        kind = read_required(r, block->body, rule);
    if (kind == KT_OK)
        kind = read_wrapping(r, block->body, block->pos, rule);
    return kind;
}

static enum kt_kind read_blocks(struct reader *r, const struct kt_hcl_body *root)
{
    static const char *const top[] = {"path", "name", NULL};
    enum kt_kind kind = kt_hcl_check_known(root, top, NULL, NULL, r->err);
    if (kind != KT_OK)
        return kind;
    struct kt_hcl_block block;
    size_t n = 0;
    struct kt_hcl_blocks count = kt_hcl_blocks(root, "path", 1);
    while (kt_hcl_next(&count, &block, r->err))
        n++;
    if (count.kind != KT_OK)
        return count.kind;
    if (n > RULES_MAX)
        return kt_fail(r->err, KT_INVALID, "a policy has at most %u path blocks", RULES_MAX);
    r->policy->rules = kt_arena_take(&r->policy->arena, (n + 1) * sizeof *r->policy->rules);
    if (r->policy->rules == NULL)
        return kt_fail(r->err, KT_NO_MEMORY, "reading a policy");
    struct kt_hcl_blocks it = kt_hcl_blocks(root, "path", 1);
    while (kind == KT_OK && kt_hcl_next(&it, &block, r->err))
        kind = read_block(r, &block, &r->policy->rules[r->policy->n++]);
    return kind == KT_OK ? it.kind : kind;
}

enum kt_kind policy_parse(const char *name, struct kt_bytes text, struct policy **ret,
                          struct kt_err *err)
{
    struct kt_hcl_body *root = NULL;
    enum kt_kind kind = kt_hcl_parse(text, name, &root, err);
    if (kind != KT_OK)
        return kind;
    struct policy *policy = kt_calloc(1, sizeof *policy);
    if (policy == NULL) {
        kt_hcl_free(root);
        return kt_fail(err, KT_NO_MEMORY, "reading a policy");
    }
    atomic_init(&policy->refs, 1);
    kt_arena_init(&policy->arena, (size_t)64 * 1024 * 1024);
    policy->name = kt_arena_text(&policy->arena, kt_str(name));
    struct reader reader = {policy, err};
    kind = policy->name == NULL ? kt_fail(err, KT_NO_MEMORY, "reading a policy")
                                : read_blocks(&reader, root);
    if (kind == KT_OK && policy->arena.failed)
        kind = kt_fail(err, KT_NO_MEMORY, "reading a policy");
    kt_hcl_free(root);
    if (kind != KT_OK) {
        policy_unref(policy);
        return kind;
    }
    *ret = policy;
    return KT_OK;
}
