/* sys/policies/explain and sys/policies/lint: what policies decide and why, by the code that decides,
 * and what in a policy is a mistake. Neither has an effect. Who may ask may know every policy. */
#include "vaultd/engine/sys.h"
#include "vaultd/identity/entity.h"
#include "vaultd/identity/identity.h"
#include "vaultd/policy/lint.h"
#include "vaultd/policy/policies.h"
#include "vaultd/policy/reach.h"
#include "vaultd/policy/rule.h"

#define POLICIES_MAX 64u
#define MATCHING_MAX 32u

/* ---- the question ---- */

static const struct {
    const char *capability;
    enum operation op;
} capabilities[] = {{"create", OP_CREATE}, {"read", OP_READ},     {"update", OP_UPDATE},
                    {"patch", OP_PATCH},   {"delete", OP_DELETE}, {"list", OP_LIST}};

struct question {
    enum operation op;
    const char *capability, *path;
    size_t len;
    const struct identity *identity; /* who would ask; NULL: a token without an entity */
    struct policy **policies;
    size_t n;
    bool root;
    struct string_list unknown; /* names of policies that are not there */
};

static enum kt_kind read_capability(struct request *req, struct question *ask, struct kt_err *err)
{
    enum kt_kind kind = request_string(req, "capability", &ask->capability, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    for (size_t i = 0; kind == KT_OK && i < sizeof capabilities / sizeof capabilities[0]; i++)
        if (strcmp(capabilities[i].capability, ask->capability) == 0)
            ask->op = capabilities[i].op;
    if (ask->op != OP_NONE)
        return KT_OK;
    return kt_fail(err, KT_INVALID,
                   "'capability' must be one of create, read, update, patch, delete, list");
}

/* As a request's path: without a '/' in front, of a list with one behind. */
static enum kt_kind read_path(struct request *req, struct question *ask, struct kt_err *err)
{
    const char *path = "";
    enum kt_kind kind = request_string(req, "path", &path, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    while (*path == '/')
        path++;
    size_t len = strlen(path);
    if (len == 0)
        return kt_fail(err, KT_INVALID, "'path' must be supplied");
    char *copy = kt_arena_take(&req->arena, len + 2);
    if (copy == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading a path");
    memcpy(copy, path, len);
    if (ask->op == OP_LIST && copy[len - 1] != '/')
        copy[len++] = '/';
    copy[len] = '\0';
    ask->path = copy;
    ask->len = len;
    return KT_OK;
}

/* With a policy text of one's own the answer tells all that is known of an entity. */
static enum kt_kind may_read(struct request *req, const char *id, struct kt_err *err)
{
    const char *path = kt_arena_printf(&req->arena, "identity/entity/id/%s", id);
    if (path == NULL)
        return kt_fail(err, KT_NO_MEMORY, "explaining policies");
    return request_also(req, OP_READ, path, err);
}

/* By its id, or else by its name; absent: none. */
static enum kt_kind read_entity(struct request *req, struct question *ask, struct kt_err *err)
{
    const char *wanted = "";
    struct entity entity = {0};
    enum kt_kind kind = request_string(req, "entity", &wanted, err);
    if (kind == KT_NOT_FOUND || (kind == KT_OK && wanted[0] == '\0'))
        return KT_OK;
    if (kind == KT_OK)
        kind = entity_find(req, wanted, true, &entity, err);
    if (kind == KT_NOT_FOUND)
        kind = entity_find_name(req, wanted, &entity, err);
    if (kind == KT_NOT_FOUND) {
        kind = may_read(req, wanted, err); /* who may not read it is not told that there is none */
        return kind == KT_OK ? kt_fail(err, KT_INVALID, "'entity' is neither the id nor the name of one") : kind;
    }
    if (kind == KT_OK)
        kind = may_read(req, entity.id, err);
    if (kind == KT_OK && entity.disabled)
        return kt_fail(err, KT_INVALID, "'entity' is disabled: nothing is let through");
    return kind == KT_OK ? identity_of(req->core, req->snapshot, &entity, &ask->identity, err) : kind;
}

static enum kt_kind find_stored(struct request *req, struct question *ask, const char *wanted,
                                struct kt_err *err)
{
    const char *name = NULL;
    enum kt_kind kind = policy_name_normal(&req->arena, wanted, &name, err);
    if (kind != KT_OK)
        return kind;
    if (strcmp(name, "root") == 0) {
        ask->root = true;
        return KT_OK;
    }
    kind = policies_find(req->core, req->snapshot, name, &ask->policies[ask->n], err);
    if (kind == KT_OK)
        ask->n++;
    if (kind != KT_NOT_FOUND)
        return kind;
    ask->unknown.at[ask->unknown.n++] = name;
    return KT_OK;
}

static enum kt_kind read_text(struct request *req, const char *field, struct policy **ret,
                              struct kt_err *err)
{
    const char *text = "";
    enum kt_kind kind = request_string(req, field, &text, err);
    if (kind != KT_OK)
        return kind;
    kind = policy_parse("(given)", sys_policy_text(req, text), ret, err);
    if (kind != KT_OK)
        kt_context(err, "failed to parse policy");
    return kind;
}

static enum kt_kind read_policies(struct request *req, struct question *ask, struct kt_err *err)
{
    struct string_list names = {0};
    enum kt_kind kind = request_list(req, "policies", true, &names, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (names.n > POLICIES_MAX)
        return kt_fail(err, KT_INVALID, "'policies' are at most %u", POLICIES_MAX);
    size_t of_entity = ask->identity == NULL ? 0 : ask->identity->n_policies;
    size_t room = names.n + of_entity + 1;
    ask->unknown.at = kt_arena_take(&req->arena, room * sizeof *ask->unknown.at);
    ask->policies = kt_arena_take(&req->arena, room * sizeof(struct policy *));
    if (ask->unknown.at == NULL || ask->policies == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading the policies");
    kind = read_text(req, "policy", &ask->policies[0], err);
    bool given = kind == KT_OK;
    if (given)
        ask->n = 1;
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (!given && names.n == 0 && ask->identity == NULL)
        return kt_fail(err, KT_INVALID,
                       "'policies' (names), 'policy' (a text) or 'entity' must be supplied");
    kind = KT_OK;
    for (size_t i = 0; kind == KT_OK && i < names.n; i++)
        kind = find_stored(req, ask, names.at[i], err);
    for (size_t i = 0; kind == KT_OK && i < of_entity; i++)
        kind = find_stored(req, ask, ask->identity->policies[i], err);
    return kind;
}

/* ---- the answer ---- */

/* Each block of it: a policy may have it twice, and grant one thing in each. */
static void write_rule(struct kt_jsonw *w, const struct rule *rule)
{
    kt_jsonw_object(w);
    kt_jsonw_kv_text(w, "pattern", rule->pattern);
    rule_capabilities(w, rule->capabilities);
    kt_jsonw_key(w, "blocks");
    kt_jsonw_array(w);
    for (const struct rule_source *at = rule->sources; at != NULL; at = at->next) {
        kt_jsonw_object(w);
        kt_jsonw_kv_text(w, "policy", at->rule->policy);
        rule_capabilities(w, at->rule->capabilities);
        kt_jsonw_end(w);
    }
    kt_jsonw_end(w);
    kt_jsonw_kv_bool(w, "restricts", rule_restricts(rule));
    kt_jsonw_end(w);
}

static bool is_open(const struct route *route, enum operation op)
{
    return (route->flags & ROUTE_PUBLIC) != 0 || (route->open & (unsigned)op) != 0;
}

static void write_route(struct kt_jsonw *w, const struct mount *mount, const struct route *route,
                        enum operation op)
{
    kt_jsonw_key(w, "route");
    if (route == NULL) {
        kt_jsonw_null(w);
        return;
    }
    kt_jsonw_object(w);
    kt_jsonw_kv_text(w, "mount", mount->path);
    kt_jsonw_kv_text(w, "pattern", route->pattern);
    kt_jsonw_kv_text(w, "asks", is_open(route, op)                      ? "nothing"
                                : (route->flags & ROUTE_ANY_TOKEN) != 0 ? "a token"
                                                                        : "a policy");
    kt_jsonw_kv_bool(w, "sudo", (route->flags & ROUTE_SUDO) != 0 && !is_open(route, op));
    rule_capabilities(w, reach_capabilities(route));
    kt_jsonw_end(w);
}

/* Of both spellings, those that match the one that decides first. */
static size_t all_matching(const struct acl *acl, const struct acl_request *asked, const char *pattern,
                           const struct rule **ret)
{
    size_t n = acl_matching(acl, asked->op, asked->path, asked->path_len, ret, MATCHING_MAX);
    if (asked->other == NULL || (n > 0 && pattern != NULL && strcmp(ret[0]->pattern, pattern) == 0))
        return n;
    size_t others = acl_matching(acl, asked->op, asked->other, asked->path_len, ret, MATCHING_MAX);
    return others > 0 ? others : acl_matching(acl, asked->op, asked->path, asked->path_len, ret, MATCHING_MAX);
}

static void write_answer(struct request *req, const struct question *ask, const struct mount_row *row,
                         const struct acl *acl)
{
    const struct acl_request asked = {
        .op = ask->op, .path = row->path, .path_len = ask->len, .other = row->other, .wrap_ttl_s = -1};
    const struct rule *matching[MATCHING_MAX];
    const struct route *route = row->route;
    struct acl_decision decision;
    acl_check(acl, &asked, &decision);
    size_t n = all_matching(acl, &asked, decision.pattern, matching);
    bool open = route != NULL &&
                (is_open(route, ask->op) || (route->flags & ROUTE_ANY_TOKEN) != 0);
    if (decision.allowed && !decision.sudo && route != NULL && (route->flags & ROUTE_SUDO) != 0) {
        decision.allowed = false;
        decision.why = acl_why_sudo;
    }
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_bool(&w, "allowed", decision.allowed || open);
    kt_jsonw_kv_text(&w, "capability", ask->capability);
    kt_jsonw_kv_text(&w, "path", ask->path);
    kt_jsonw_key(&w, "pattern");
    if (decision.pattern != NULL)
        kt_jsonw_text(&w, decision.pattern);
    else
        kt_jsonw_null(&w);
    kt_jsonw_kv_text(&w, "reason", open                ? "no policy is asked for it"
                                   : decision.allowed ? (ask->root ? "root may do everything"
                                                                   : "the deciding pattern grants it")
                                                      : decision.why);
    kt_jsonw_key(&w, "matching");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < n; i++)
        write_rule(&w, matching[i]);
    kt_jsonw_end(&w);
    kt_jsonw_key(&w, "unknown_policies");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < ask->unknown.n; i++)
        kt_jsonw_text(&w, ask->unknown.at[i]);
    kt_jsonw_end(&w);
    write_route(&w, row->mount, route, ask->op);
    kt_jsonw_end(&w);
}

enum kt_kind sys_policy_explain(struct request *req, struct kt_err *err)
{
    struct question ask = {0};
    struct mount_row row = {0};
    enum kt_kind kind = read_capability(req, &ask, err);
    if (kind == KT_OK)
        kind = read_path(req, &ask, err);
    if (kind == KT_OK)
        kind = mounts_row(req, ask.op, ask.path, &row, err);
    if (kind == KT_OK)
        kind = read_entity(req, &ask, err);
    if (kind == KT_OK)
        kind = read_policies(req, &ask, err);
    const struct acl_source source = {.value = identity_value, .arg = ask.identity};
    struct acl *acl = kind == KT_OK ? acl_build(ask.policies, ask.n, ask.root, &source) : NULL;
    if (kind == KT_OK && acl == NULL)
        kind = kt_fail(err, KT_NO_MEMORY, "explaining policies");
    if (kind == KT_OK)
        write_answer(req, &ask, &row, acl);
    for (size_t i = 0; kind == KT_OK && ask.identity == NULL && i < ask.n; i++)
        if (policy_has_template(ask.policies[i]))
            request_warn(req,
                         "policy %s has paths with a template, which differ by who asks: this is for a "
                         "token without an entity; name one as 'entity'",
                         policy_name(ask.policies[i]));
    acl_unref(acl);
    for (size_t i = 0; i < ask.n; i++)
        policy_unref(ask.policies[i]);
    identity_unref(ask.identity);
    return kind;
}

/* ---- lint ---- */

static void write_findings(struct request *req, const struct lint *lint)
{
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "findings");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < lint->n; i++) {
        const struct lint_finding *finding = &lint->at[i];
        kt_jsonw_object(&w);
        kt_jsonw_kv_text(&w, "path", finding->pattern);
        kt_jsonw_kv_bool(&w, "wrong", finding->weight == LINT_WRONG);
        kt_jsonw_kv_text(&w, "text", lint_line(&req->arena, finding));
        if (finding->instead != NULL)
            kt_jsonw_kv_text(&w, "instead", finding->instead);
        kt_jsonw_end(&w);
    }
    kt_jsonw_end(&w);
    kt_jsonw_kv_bool(&w, "whole", lint->whole);
    kt_jsonw_end(&w);
}

enum kt_kind sys_policy_lint(struct request *req, struct kt_err *err)
{
    struct policy *policy = NULL;
    struct lint lint = {0};
    enum kt_kind kind = read_text(req, "policy", &policy, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_INVALID, "'policy' parameter not supplied or empty");
    if (kind != KT_OK)
        return kind;
    kind = policy_lint(req, policy, &lint, err);
    if (kind == KT_OK)
        write_findings(req, &lint);
    policy_unref(policy);
    return kind;
}
