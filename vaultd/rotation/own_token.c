#include "lib/token_text.h"
#include "vaultd/auth/cidr_list.h"
#include "vaultd/auth/named.h"
#include "vaultd/auth/token.h"
#include "vaultd/auth/token_role.h"
#include "vaultd/auth/token_ttl.h"
#include "vaultd/rotation/own.h"

/* Tokens of a role of auth/token. Nobody is their parent, so nothing ends them unawares: which is why the
 * role has to make orphans, and to name what they may do. */

#define MADE_BY "auth/token/create/"

/* KT_INVALID: there is no such role. */
static enum kt_kind find_role(struct request *req, const struct own_place *place, struct token_role *ret,
                              generation *ret_changed, struct kt_err *err)
{
    enum kt_kind kind = KT_NOT_FOUND;
    if (named_is_name(place->role))
        kind = token_role_find(req, place->role, ret, ret_changed, err);
    if (kind == KT_NOT_FOUND) {
        (void)kt_fail(err, KT_INVALID, "there is no role '%s' in auth/token/roles", place->role);
        kt_hint(err, "its roles: secretctl list auth/token/roles");
        return KT_INVALID;
    }
    return kind;
}

/* What the maker's token could not hand on by the API, a rotation that it sets does not either. */
static enum kt_kind check_maker(const struct request *req, const struct token_role *role, struct kt_err *err)
{
    const struct string_list *own = &req->token->bound_cidrs, *given = &role->params.bound_cidrs;
    if (req->token->num_uses > 0)
        return kt_fail(err, KT_INVALID, "a token with a limited number of uses makes no others");
    if (own->n > 0 && (given->n == 0 || !cidr_list_within(given, own)))
        return kt_fail(err, KT_INVALID, "the token_bound_cidrs of role '%s' go beyond those of this token",
                       role->name);
    return KT_OK;
}

static enum kt_kind permit(struct request *req, const struct own_place *place, struct kt_err *err)
{
    struct token_role role;
    generation changed = 0;
    const char *path = kt_arena_printf(&req->arena, MADE_BY "%s", place->role);
    if (path == NULL)
        return kt_fail(err, KT_NO_MEMORY, "asking the policies");
    enum kt_kind kind = request_also(req, OP_UPDATE, path, err);
    if (kind == KT_OK)
        kind = find_role(req, place, &role, &changed, err);
    return kind == KT_OK ? check_maker(req, &role, err) : kind;
}

/* Without one the API gives what its maker has, and here is none. */
static enum kt_kind check_role(const struct token_role *role, struct kt_err *err)
{
    if (!role->orphan) {
        (void)kt_fail(err, KT_INVALID, "role '%s' makes tokens that end with the one that made them", role->name);
        kt_hint(err, "secretctl write auth/token/roles/%s orphan=true", role->name);
        return KT_INVALID;
    }
    if (role->lists[ROLE_ALLOWED].n > 0)
        return KT_OK;
    (void)kt_fail(err, KT_INVALID, "role '%s' does not say which policies its tokens have", role->name);
    kt_hint(err, "secretctl write auth/token/roles/%s allowed_policies=NAME", role->name);
    return KT_INVALID;
}

static enum kt_kind fill(struct request *req, const struct token_role *role, struct token *ret, struct kt_err *err)
{
    const struct token_params *params = &role->params;
    const struct string_list none = {0};
    const struct token_role_ask ask = {&none, &none, false, params->no_default_policy};
    const struct token_ttl_wish wish = {.period_s = params->period_s,
                                        .explicit_max_ttl_s = params->explicit_max_ttl_s,
                                        .created_ms = req->life_ms,
                                        .now_ms = req->life_ms};
    const struct token_ttl life = token_ttl(&wish);
    struct string_list policies = {0};
    bool suffixed = role->path_suffix[0] != '\0';
    const char *path = kt_arena_printf(&req->arena, MADE_BY "%s%s%s", role->name, suffixed ? "/" : "",
                                       role->path_suffix);
    if (path == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making a token");
    enum kt_kind kind = check_role(role, err);
    if (kind == KT_OK)
        kind = token_role_policies(req, role, &ask, &policies, err);
    *ret = (struct token){.display_name = "token",
                          .entity_id = "",
                          .path = path,
                          .role = role->name,
                          .policies = policies.at,
                          .n_policies = policies.n,
                          .meta = kt_str("null"),
                          .bound_cidrs = params->bound_cidrs,
                          .created_ms = req->life_ms,
                          .expires_ms = life.expires_ms,
                          .creation_ttl_s = life.ttl_s,
                          .explicit_max_ttl_s = params->explicit_max_ttl_s,
                          .period_s = params->period_s,
                          .num_uses = params->num_uses,
                          .renewable = role->renewable && life.expires_ms != 0};
    return kind;
}

static enum kt_kind check(struct request *req, const struct own_place *place, int64_t *ret_life_s,
                          struct kt_err *err)
{
    struct token_role role;
    struct token token;
    generation changed = 0;
    enum kt_kind kind = find_role(req, place, &role, &changed, err);
    if (kind == KT_OK)
        kind = fill(req, &role, &token, err);
    if (kind == KT_OK)
        *ret_life_s = token.creation_ttl_s;
    return kind;
}

static enum kt_kind make(struct request *req, const struct own_place *place, const char *text,
                         const char **ret_accessor, struct kt_err *err)
{
    struct token_role role;
    struct token token;
    generation changed = 0;
    enum kt_kind kind = find_role(req, place, &role, &changed, err);
    if (kind == KT_OK)
        kind = token_role_require(req, place->role, changed, err);
    if (kind == KT_OK)
        kind = fill(req, &role, &token, err);
    if (kind != KT_OK)
        return kind;
    struct batch *batch = request_batch(req);
    kt_autobuf struct kt_buf again; /* what is known already */
    kt_buf_init(&again, 4096);
    kind = batch == NULL ? kt_fail(err, KT_NO_MEMORY, "making a token")
                         : token_create(req->core, &req->arena, batch, &token, kt_str(text), &again, err);
    *ret_accessor = token.accessor;
    return kind;
}

/* *ret is set where it is alive, whatever made it. */
static enum kt_kind find(struct request *req, const struct own_place *place, const struct own_text *which,
                         const struct token **ret, enum own_life *ret_life, struct kt_err *err)
{
    enum kt_kind kind = token_find(req->core, req->snapshot, kt_str(which->text), req->life_ms, ret, err);
    *ret_life = OWN_DEAD;
    if (kind == KT_DENIED)
        return KT_OK;
    if (kind != KT_OK)
        return kind;
    const struct token *token = *ret;
    bool made_so = strncmp(token->path, MADE_BY, strlen(MADE_BY)) == 0 && strcmp(token->role, place->role) == 0;
    *ret_life = made_so && strcmp(token->accessor, which->accessor) == 0 ? OWN_ALIVE : OWN_FOREIGN;
    return KT_OK;
}

static enum kt_kind look(struct request *req, const struct own_place *place, const struct own_text *which,
                         enum own_life *ret, struct kt_err *err)
{
    const struct token *token = NULL;
    return find(req, place, which, &token, ret, err);
}

static enum kt_kind end(struct request *req, const struct own_place *place, const struct own_text *which,
                        bool *ret_was, struct kt_err *err)
{
    const struct token *token = NULL;
    enum own_life life = OWN_DEAD;
    enum kt_kind kind = find(req, place, which, &token, &life, err);
    *ret_was = kind == KT_OK && life == OWN_ALIVE;
    if (!*ret_was)
        return kind;
    struct batch *batch = request_batch(req);
    return batch == NULL ? kt_fail(err, KT_NO_MEMORY, "ending a token")
                         : token_end(req->core, batch, token, false, err);
}

static void draw(struct kt_buf *out)
{
    kt_token_make(out);
}

const struct own_kind own_token = {.mount_type = "token",
                                   .below = "roles/",
                                   .what = "token",
                                   .permit = permit,
                                   .check = check,
                                   .make = make,
                                   .look = look,
                                   .end = end,
                                   .draw = draw};
