#include "vaultd/auth/login.h"

#include "vaultd/auth/cidr_list.h"
#include "vaultd/auth/policy_names.h"
#include "vaultd/auth/token_reply.h"
#include "vaultd/core/mounts.h"
#include "vaultd/identity/login.h"

bool login_address_fits(const struct request *req, const struct string_list *cidrs)
{
    return cidrs->n == 0 || cidr_list_holds(cidrs, req->remote_address);
}

/* "userpass-bob"; of "auth/team/up/" it is "team-up-bob". */
static const char *display_name(struct request *req, const struct login *login)
{
    const char *path = req->mount->path + strlen("auth/");
    char *name = kt_arena_printf(&req->arena, "%.*s%s%s", (int)strlen(path) - 1, path,
                                 login->name[0] == '\0' ? "" : "-", login->name);
    for (char *c = name; c != NULL && *c != '\0'; c++)
        if (*c == '/')
            *c = '-';
    return name;
}

static enum kt_kind all_policies(struct request *req, const struct token_params *params,
                                 struct string_list *ret, struct kt_err *err)
{
    *ret = params->policies;
    if (params->no_default_policy)
        return KT_OK;
    return policy_names_add(&req->arena, &params->policies, "default", ret, err);
}

/* The mount's life times, then those of who logs in. */
static struct token_ttl_wish life_of(const struct mount *mount, const struct token_params *params)
{
    const struct mount_lease_ttl lease = mount_lease_ttl(mount);
    return (struct token_ttl_wish){.ttl_s = params->ttl_s,
                                   .period_s = params->period_s,
                                   .explicit_max_ttl_s = params->explicit_max_ttl_s,
                                   .default_s = lease.default_s,
                                   .max_s = lease.max_s,
                                   .role_max_ttl_s = params->max_ttl_s};
}

static void warn_capped(struct request *req, const struct token_ttl *life)
{
    if (life->capped)
        request_warn(req,
                     "TTL of \"%llds\" exceeded the effective max_ttl of \"%llds\"; TTL value is "
                     "capped accordingly",
                     (long long)life->wanted_s, (long long)life->max_s);
}

/* ---- granting ---- */

/* Whose login it is: the entity is found by the mount's alias, or made with it. */
static enum kt_kind find_entity(struct request *req, const struct login *login,
                                const char **ret_entity_id, struct kt_err *err)
{
    const struct identity_login who = {
        .mount = req->mount, .name = login->alias,
        .metadata = login->own_meta ? kt_bytes(NULL, 0) : login->meta,
        .has_groups = login->groups != NULL,
        .groups = login->groups != NULL ? *login->groups : (struct string_list){0}};
    return identity_login(req, &who, ret_entity_id, err);
}

enum kt_kind login_barred(struct request *req, const char *alias, bool *ret, struct kt_err *err)
{
    enum kt_kind kind = identity_barred(req, req->mount->scope, alias, ret, err);
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

static enum kt_kind fill_token(struct request *req, const struct login *login, struct token *ret,
                               struct kt_err *err)
{
    const struct token_params *params = login->params;
    struct token_ttl_wish wish = life_of(req->mount, params);
    struct string_list policies = {0};
    wish.created_ms = wish.now_ms = req->life_ms;
    const struct token_ttl life = token_ttl(&wish);
    *ret = (struct token){.display_name = display_name(req, login),
                          .entity_id = "",
                          .path = req->path,
                          .role = login->role,
                          .meta = login->meta.len > 0 ? login->meta : kt_str("null"),
                          .bound_cidrs = params->bound_cidrs,
                          .role_max_ttl_s = params->max_ttl_s,
                          .created_ms = req->life_ms,
                          .expires_ms = life.expires_ms,
                          .creation_ttl_s = life.ttl_s,
                          .explicit_max_ttl_s = params->explicit_max_ttl_s,
                          .period_s = params->period_s,
                          .num_uses = params->num_uses,
                          .renewable = true};
    if (ret->display_name == NULL)
        return kt_fail(err, KT_NO_MEMORY, "logging in");
    token_set_way(ret, req->mount->scope);
    warn_capped(req, &life);
    enum kt_kind kind = all_policies(req, params, &policies, err);
    /* A record that says so is damaged: it could not be written. */
    if (kind == KT_OK && policy_names_have(&policies, "root"))
        return kt_fail(err, KT_INVALID, "auth methods cannot create root tokens");
    ret->policies = policies.at;
    ret->n_policies = policies.n;
    return kind == KT_OK ? find_entity(req, login, &ret->entity_id, err) : kind;
}

enum kt_kind login_grant(struct request *req, const struct login *login, struct kt_err *err)
{
    struct token token;
    if (!login_address_fits(req, &login->params->bound_cidrs))
        return kt_fail(err, KT_DENIED, "permission denied");
    enum kt_kind kind = fill_token(req, login, &token, err);
    struct batch *batch = kind == KT_OK ? request_batch(req) : NULL;
    if (kind != KT_OK)
        return kind;
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "logging in");
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, 4096);
    kind = token_create(req->core, &req->arena, batch, &token, kt_bytes(NULL, 0), &text, err);
    if (kind != KT_OK)
        return kind;
    return token_reply_auth(req, &token, kt_buf_bytes(&text), token.creation_ttl_s, err);
}

/* ---- renewing ---- */

static enum kt_kind check_policies(struct request *req, const struct token *token,
                                   const struct token_params *params, struct kt_err *err)
{
    struct string_list today = {0}, then = {0};
    enum kt_kind kind = all_policies(req, params, &today, err);
    if (kind == KT_OK)
        kind = policy_names(&req->arena, token->policies, token->n_policies, &then, err);
    if (kind != KT_OK || policy_names_same(&today, &then))
        return kind;
    (void)kt_fail(err, KT_INTERNAL, "policies have changed, not renewing");
    kt_hint(err, "log in again");
    return KT_INTERNAL;
}

enum kt_kind login_renewal(struct request *req, const struct token *token,
                           struct token_ttl_wish *wish, struct kt_err *err)
{
    unsigned char scope[BARRIER_SCOPE];
    struct token_params params;
    token_way(token, scope);
    const struct mount *mount = mounts_of_scope(req, scope);
    if (mount == NULL || mount->engine == NULL || mount->engine->auth == NULL)
        return kt_fail(err, KT_NOT_FOUND, "%s", "");
    enum kt_kind kind = mount->engine->auth->renewed(req, mount, token, &params, err);
    if (kind == KT_OK && request_waits(req))
        return KT_OK;
    if (kind == KT_OK)
        kind = check_policies(req, token, &params, err);
    if (kind != KT_OK)
        return kind;
    /* Who was bound to other addresses since does not go on from here. */
    bool own = req->token != NULL && memcmp(req->token->hash, token->hash, sizeof token->hash) == 0;
    if (own && !login_address_fits(req, &params.bound_cidrs))
        return kt_fail(err, KT_DENIED, "permission denied");
    const struct token_ttl_wish today = life_of(mount, &params);
    wish->ttl_s = wish->ttl_s > 0 ? wish->ttl_s : today.ttl_s;
    wish->period_s = today.period_s;
    wish->default_s = today.default_s;
    wish->max_s = today.max_s;
    wish->role_max_ttl_s = today.role_max_ttl_s;
    return KT_OK;
}
