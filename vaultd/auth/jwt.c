/* auth/jwt: workloads and people that show a token somebody else signed: a Kubernetes service account's, a
 * CI job's, an identity provider's.
 *
 * What decides stands in the settings (whose keys) and in the role (which claims). The token chooses nothing
 * but which of the trusted keys of its kind it is held against. */
#include "vaultd/auth/jwt.h"

#include "vaultd/auth/jwt_claims.h"
#include "vaultd/auth/jwt_config.h"
#include "vaultd/auth/jwt_keys.h"
#include "vaultd/auth/login.h"
#include "vaultd/auth/logins.h"

#define BODY_MAX 65536u
#define META_MAX ((size_t)16 * 1024)

/* ---- what is shown ---- */

static enum kt_kind no_such_role(const char *name, struct kt_err *err)
{
    return kt_fail(err, KT_INVALID, "role \"%s\" could not be found", named_is_name(name) ? name : "");
}

static enum kt_kind read_role(struct request *req, const struct jwt_config *config,
                              struct jwt_role *ret, struct kt_err *err)
{
    const char *given = "";
    enum kt_kind kind = request_string(req, "role", &given, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    char *name = kt_arena_text(&req->arena, kt_str(given[0] != '\0' ? given : config->default_role));
    if (name == NULL)
        return kt_fail(err, KT_NO_MEMORY, "logging in");
    if (name[0] == '\0')
        return kt_fail(err, KT_INVALID, "missing role");
    named_lower(name);
    if (!named_is_name(name))
        return no_such_role(name, err);
    kind = jwt_role_find(req, req->mount->scope, name, ret, err);
    return kind == KT_NOT_FOUND ? no_such_role(name, err) : kind;
}

static enum kt_kind read_token(struct request *req, struct jwt_text *ret, struct kt_err *err)
{
    const char *text = "";
    enum kt_kind kind = request_string(req, "jwt", &text, err);
    if (kind == KT_NOT_FOUND || (kind == KT_OK && text[0] == '\0'))
        return kt_fail(err, KT_INVALID, "missing token");
    return kind == KT_OK ? jwt_text_read(kt_str(text), &req->arena, ret, err) : kind;
}

/* ---- whether it is signed by whom the settings trust ---- */

static enum kt_kind verify_pems(const struct string_list *pems, const struct jwt_text *token,
                                struct kt_err *err)
{
    bool tried = false;
    struct kt_err other = {0};
    enum kt_kind kind = KT_NOT_FOUND;
    for (size_t i = 0; i < pems->n && (kind == KT_NOT_FOUND || kind == KT_INVALID); i++) {
        kind = jwt_pem_verify(kt_str(pems->at[i]), token, &other);
        if (kind == KT_INVALID || !tried)
            *err = other;
        tried = tried || kind == KT_INVALID;
    }
    if (kind == KT_OK)
        kt_err_clear(err);
    return kind == KT_NOT_FOUND && tried ? KT_INVALID : kind;
}

static bool is_elsewhere(const struct jwt_config *config)
{
    return config->jwks_url[0] != '\0' || config->discovery_url[0] != '\0';
}

/* The set that is fetched; NULL in *ret: return what this returns, the request waits. */
static enum kt_kind take_set(struct request *req, const struct jwt_config *config, bool anew,
                             struct kt_bytes *ret, struct kt_err *err)
{
    bool discovers = config->jwks_url[0] == '\0';
    struct jwt_source source = {.changed = config->changed,
                                .accessor = req->mount->accessor,
                                .url = discovers ? config->discovery_url : config->jwks_url,
                                .ca = discovers ? config->discovery_ca : config->jwks_ca,
                                .discovers = discovers};
    struct jwt_sources *sources = req->core->logins->jwt;
    int64_t deadline_ms = req->received_mono_ms + JWT_WAIT_MS;
    memcpy(source.scope, req->mount->scope, BARRIER_SCOPE);
    *ret = kt_bytes(NULL, 0);
    switch (jwt_source_take(sources, &source, anew, &req->arena, ret)) {
    case JWT_SOURCE_KEYS:
        return KT_OK;
    case JWT_SOURCE_WAITS:
        if (kt_mono_ms(req->core->clock) >= deadline_ms)
            break;
        request_wait(req, jwt_sources_waiters(sources), deadline_ms);
        return KT_OK;
    case JWT_SOURCE_AWAY:
        break;
    case JWT_SOURCE_FULL:
        return kt_fail(err, KT_NO_MEMORY, "fetching the keys");
    }
    (void)kt_fail(err, KT_INVALID, "the keys of the issuer could not be fetched");
    kt_hint(err, "vaultd's log says why (key_set_not_fetched)");
    return KT_INVALID;
}

/* A key that the set does not have may be a new one. */
static enum kt_kind verify_fetched(struct request *req, const struct jwt_config *config,
                                   const struct jwt_text *token, struct kt_err *err)
{
    struct kt_bytes set = {0};
    enum kt_kind kind = take_set(req, config, false, &set, err);
    if (kind != KT_OK || set.at == NULL)
        return kind;
    kind = jwt_set_verify(set, token, err);
    if (kind != KT_NOT_FOUND)
        return kind;
    kind = take_set(req, config, true, &set, err);
    if (kind != KT_OK || set.at == NULL)
        return kind;
    return jwt_set_verify(set, token, err);
}

static enum kt_kind verify(struct request *req, const struct jwt_config *config,
                           const struct jwt_text *token, struct kt_err *err)
{
    if ((config->algs & JWT_ALG_BIT(token->alg)) == 0)
        return kt_fail(err, KT_INVALID, "the token is signed in a way that jwt_supported_algs does not take");
    if (is_elsewhere(config))
        return verify_fetched(req, config, token, err);
    return config->pems.n > 0 ? verify_pems(&config->pems, token, err)
                              : jwt_set_verify(kt_str(config->jwks), token, err);
}

static enum kt_kind check_claims(struct request *req, const struct jwt_config *config,
                                 const struct jwt_role *role, const struct jwt_text *token,
                                 struct kt_err *err)
{
    enum kt_kind kind = jwt_claims_times(token->claims, role, req->now_ms / 1000, err);
    if (kind == KT_OK)
        kind = jwt_claims_bound(token->claims, role, config->issuer, &req->arena, err);
    /* Whose keys were discovered, he alone may have signed. */
    if (kind == KT_OK && config->discovery_url[0] != '\0')
        kind = jwt_claims_bound(token->claims, role, config->discovery_url, &req->arena, err);
    return kind;
}

/* Whatever is wrong with a token is a 400 that says where it went wrong. */
static enum kt_kind wrong(enum kt_kind kind, const char *where, struct kt_err *err)
{
    if (kind != KT_INVALID && kind != KT_NOT_FOUND)
        return kind;
    kt_context(err, "%s", where);
    err->kind = KT_INVALID;
    return KT_INVALID;
}

static enum kt_kind check(struct request *req, const struct jwt_config *config,
                          const struct jwt_role *role, struct jwt_text *token, struct kt_err *err)
{
    enum kt_kind kind = read_token(req, token, err);
    if (kind == KT_OK)
        kind = verify(req, config, token, err);
    if (kind != KT_OK)
        return wrong(kind, "error validating token", err);
    if (request_waits(req))
        return KT_OK;
    return wrong(check_claims(req, config, role, token, err), "error validating claims", err);
}

/* ---- logging in ---- */

static enum kt_kind grant(struct request *req, const struct jwt_role *role,
                          const struct jwt_text *token, struct kt_err *err)
{
    struct jwt_who who;
    kt_autobuf struct kt_buf meta;
    kt_buf_init(&meta, META_MAX);
    enum kt_kind kind = jwt_claims_who(token->claims, role, &req->arena, &meta, &who, err);
    if (kind != KT_OK)
        return kind;
    const struct login login = {.name = who.user,
                                .alias = who.user,
                                .role = role->name,
                                .meta = kt_buf_bytes(&meta),
                                .groups = &who.groups, /* none, where the role reads none: those of before are over */
                                .params = &role->params};
    return login_grant(req, &login, err);
}

static enum kt_kind login(struct request *req, struct kt_err *err)
{
    struct jwt_config config;
    struct jwt_role role;
    struct jwt_text token;
    enum kt_kind kind = jwt_config_find(req, req->mount, &config, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_INVALID, "could not load configuration");
    if (kind == KT_OK)
        kind = read_role(req, &config, &role, err);
    if (kind != KT_OK)
        return kind;
    /* Before the token is looked at: from elsewhere it is not told whether it is a good one. */
    if (!login_address_fits(req, &role.params.bound_cidrs))
        return kt_fail(err, KT_DENIED, "permission denied");
    kind = check(req, &config, &role, &token, err);
    if (kind == KT_OK && request_waits(req))
        return KT_OK;
    if (kind == KT_OK)
        kind = jwt_config_require(req, req->mount, &config, err);
    if (kind == KT_OK)
        kind = jwt_role_require(req, req->mount->scope, &role, err);
    return kind == KT_OK ? grant(req, &role, &token, err) : kind;
}

static enum kt_kind renewed(struct request *req, const struct mount *mount,
                            const struct token *token, struct token_params *ret, struct kt_err *err)
{
    struct jwt_role role;
    enum kt_kind kind = jwt_role_find(req, mount->scope, token->role, &role, err);
    if (kind == KT_OK)
        kind = jwt_role_require(req, mount->scope, &role, err);
    if (kind == KT_OK)
        *ret = role.params;
    return kind;
}

/* ---- routes ---- */

/* clang-format off */
#define FIELDS(...) (const struct field[]){ __VA_ARGS__, { NULL, FIELD_ANY, NULL } }

static const struct route routes[] = {
    { .pattern = "login", .flags = ROUTE_PUBLIC, .write = login, .body_max = BODY_MAX,
      .fields = FIELDS({ "role", FIELD_STRING, "whose claims the token has; else the settings' default_role" },
                       { "jwt", FIELD_STRING, "the token" }),
      .help = "Logs in with a token that is signed by whom the settings trust." },
    { .pattern = "config", .flags = ROUTE_OF_MOUNT, .read = jwt_config_read, .write = jwt_config_write,
      .fields = FIELDS(JWT_CONFIG_FIELDS), .help = "Whose signatures are believed." },
    { .pattern = "role", .list = jwt_role_list, .help = "Names of the roles." },
    { .pattern = "role/{role}", .flags = ROUTE_TO_LOWER, .read = jwt_role_read, .write = jwt_role_write,
      .delete_ = jwt_role_delete, .exists = jwt_role_exists,
      .fields = FIELDS(JWT_ROLE_FIELDS, TOKEN_PARAMS_FIELDS, TOKEN_PARAMS_OLD_FIELDS),
      .help = "A role: what a token has to claim, and what tokens it gets." },
};
/* clang-format on */

static const struct auth_method method = {.renewed = renewed};

const struct engine jwt_engine = {
    .type = "jwt",
    .help = "Workloads and people that show a token somebody else signed.",
    .routes = routes,
    .n_routes = sizeof routes / sizeof routes[0],
    .auth = &method,
};
