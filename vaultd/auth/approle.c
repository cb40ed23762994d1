#include "vaultd/auth/approle.h"

#include "vaultd/auth/approle_secret.h"
#include "vaultd/auth/cidr_list.h"
#include "vaultd/auth/login.h"
#include "vaultd/auth/logins.h"
#include "vaultd/core/core.h"

/* ---- logging in ---- */

/* Survives the passes of a request. */
struct attempt {
    unsigned char name[LOCKOUT_KEY];
};

/* One sentence for whatever does not fit, and the same work: which role ids there are is not told. */
static enum kt_kind refuse(struct request *req, const struct attempt *attempt, struct kt_err *err)
{
    lockout_failed(req->core->logins->machines, attempt->name, kt_mono_ms(req->core->clock));
    return kt_fail(err, KT_INVALID, "invalid role or secret ID");
}

static void forget_failures(struct request *req, const struct commit_result *result)
{
    const struct attempt *attempt = req->handler_data;
    if (result->error == STORE_OK)
        lockout_forget(req->core->logins->machines, attempt->name);
}

static enum kt_kind read_ids(struct request *req, const char **ret_role_id,
                             const char **ret_secret_id, struct kt_err *err)
{
    *ret_role_id = *ret_secret_id = "";
    enum kt_kind kind = request_string(req, "role_id", ret_role_id, err);
    if (kind == KT_NOT_FOUND || (kind == KT_OK && (*ret_role_id)[0] == '\0'))
        return kt_fail(err, KT_INVALID, "missing role_id");
    if (kind == KT_OK)
        kind = request_string(req, "secret_id", ret_secret_id, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (strlen(*ret_role_id) > APPROLE_ID_TEXT_MAX || strlen(*ret_secret_id) > APPROLE_ID_TEXT_MAX)
        return kt_fail(err, KT_INVALID, "role_id and secret_id have at most %u bytes",
                       APPROLE_ID_TEXT_MAX);
    return KT_OK;
}

static enum kt_kind write_meta(const struct approle_role *role, const struct secret_id *secret,
                               struct kt_buf *out, struct kt_err *err)
{
    struct kt_jsonw w = kt_jsonw(out);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "role_name", role->name);
    struct kt_json_iter it = kt_json_iter(kt_json_value(secret->meta));
    while (secret->meta.len > 0 && kt_json_next(&it)) {
        kt_autobuf struct kt_buf key;
        kt_buf_init(&key, SECRET_META_MAX);
        if (kt_json_is(it.key, "role_name")) /* a secret id is no other role's */
            continue;
        if (!kt_json_string(it.key, &key))
            return kt_fail(err, KT_NO_MEMORY, "logging in");
        kt_jsonw_key_bytes(&w, kt_buf_bytes(&key));
        kt_jsonw_raw(&w, kt_json_bytes(it.value));
    }
    kt_jsonw_end(&w);
    return kt_buf_ok(out) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "logging in");
}

static enum kt_kind grant(struct request *req, const struct approle_role *role,
                          const struct secret_id *secret, struct kt_err *err)
{
    kt_autobuf struct kt_buf meta;
    kt_buf_init(&meta, (size_t)SECRET_META_MAX * 2);
    struct token_params params = role->params;
    if (secret->token_cidrs.n > 0)
        params.bound_cidrs = secret->token_cidrs;
    enum kt_kind kind = write_meta(role, secret, &meta, err);
    if (kind != KT_OK)
        return kind;
    const struct login login = {.name = "",
                                .alias = role->role_id,
                                .role = role->name,
                                .meta = kt_buf_bytes(&meta),
                                .params = &params};
    kind = approle_role_require(req, req->mount->scope, role, err);
    if (kind == KT_OK && role->bind_secret_id)
        kind = secret_id_use(req, secret, err);
    if (kind == KT_OK)
        kind = login_grant(req, &login, err);
    req->after_commit = forget_failures;
    return kind;
}

/* A secret id's bounds lay within the role's when it was made; the role's may be tighter by now. */
static bool from_here(const struct request *req, const struct approle_role *role,
                      const struct secret_id *secret)
{
    return login_address_fits(req, &role->secret_cidrs) && login_address_fits(req, &secret->cidrs) &&
           login_address_fits(req, &role->params.bound_cidrs) &&
           login_address_fits(req, &secret->token_cidrs) &&
           cidr_list_within(&secret->token_cidrs, &role->params.bound_cidrs);
}

static enum kt_kind login(struct request *req, struct kt_err *err)
{
    const char *role_id = NULL, *secret_id = NULL;
    struct approle_role role;
    struct secret_id secret = {.accessor = ""};
    bool known = false, barred = false;
    enum kt_kind kind = read_ids(req, &role_id, &secret_id, err);
    if (kind != KT_OK)
        return kind;
    if (req->handler_data == NULL)
        req->handler_data = kt_arena_take(&req->arena, sizeof(struct attempt));
    struct attempt *attempt = req->handler_data;
    if (attempt == NULL)
        return kt_fail(err, KT_NO_MEMORY, "logging in");
    struct lockout *lockout = req->core->logins->machines;
    lockout_key(lockout, req->mount->scope, kt_str(role_id), attempt->name);
    if (lockout_is_locked(lockout, attempt->name, kt_mono_ms(req->core->clock)))
        return kt_fail(err, KT_DENIED, "permission denied");
    kind = approle_role_of_id(req, role_id, &role, &known, err);
    if (kind == KT_NOT_FOUND)
        return refuse(req, attempt, err);
    if (kind == KT_OK && role.bind_secret_id)
        kind = secret_id_find(req, &role, secret_id, &secret, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (kind != KT_OK || !known || !from_here(req, &role, &secret))
        return refuse(req, attempt, err);
    kind = login_barred(req, role_id, &barred, err);
    if (kind != KT_OK)
        return kind;
    return barred ? refuse(req, attempt, err) : grant(req, &role, &secret, err);
}

static enum kt_kind renewed(struct request *req, const struct mount *mount,
                            const struct token *token, struct token_params *ret, struct kt_err *err)
{
    struct approle_role role;
    enum kt_kind kind = approle_role_find(req, mount->scope, token->role, &role, err);
    if (kind == KT_OK)
        kind = approle_role_require(req, mount->scope, &role, err);
    if (kind == KT_OK)
        *ret = role.params;
    return kind;
}

/* ---- routes ---- */

/* clang-format off */
#define FIELDS(...) (const struct field[]){ __VA_ARGS__, { NULL, FIELD_ANY, NULL } }

#define OWN_FIELDS \
    { "bind_secret_id", FIELD_BOOL, "a secret id is wanted" }, \
    { "secret_id_bound_cidrs", FIELD_COMMA_LIST, "where it may log in from" }, \
    { "bound_cidr_list", FIELD_COMMA_LIST, "old name of secret_id_bound_cidrs" }, \
    { "secret_id_num_uses", FIELD_INT, "logins a secret id is good for; 0: any number" }, \
    { "secret_id_ttl", FIELD_DURATION, "how long a secret id lives; 0: for ever" }, \
    { "local_secret_ids", FIELD_BOOL, "kept and shown; set when the role is made" }

#define SECRET_FIELDS \
    { "metadata", FIELD_STRING, "a JSON object of strings, in a string" }, \
    { "cidr_list", FIELD_COMMA_LIST, "where it may log in from" }, \
    { "token_bound_cidrs", FIELD_COMMA_LIST, "where its tokens may be used from" }, \
    { "num_uses", FIELD_INT, "logins it is good for" }, \
    { "ttl", FIELD_DURATION, "how long it lives" }

static const struct field secret_fields[] = { SECRET_FIELDS, { NULL, FIELD_ANY, NULL } };
static const struct field text_fields[] = {
    { "secret_id", FIELD_STRING, "which" }, { NULL, FIELD_ANY, NULL } };
static const struct field accessor_fields[] = {
    { "secret_id_accessor", FIELD_STRING, "which" }, { NULL, FIELD_ANY, NULL } };

static const struct route routes[] = {
    { .pattern = "login", .flags = ROUTE_PUBLIC, .write = login, .body_max = 65536,
      .fields = FIELDS({ "role_id", FIELD_STRING, "the role's" }, { "secret_id", FIELD_STRING, "one of its own" }),
      .help = "Logs in with a role id and a secret id." },
    { .pattern = "role", .list = approle_role_list, .help = "Names of the roles." },
    { .pattern = "role/{role}", .flags = ROUTE_TO_LOWER, .read = approle_role_read,
      .write = approle_role_write, .delete_ = approle_role_delete, .exists = approle_role_exists,
      .fields = FIELDS(OWN_FIELDS, { "role_id", FIELD_STRING, "instead of a random one" },
                       TOKEN_PARAMS_FIELDS, TOKEN_PARAMS_OLD_FIELDS),
      .help = "A role, and what tokens it gets." },
    { .pattern = "role/{role}/role-id", .flags = ROUTE_TO_LOWER, .read = approle_role_id_read,
      .write = approle_role_id_write, .fields = FIELDS({ "role_id", FIELD_STRING, "the new one" }),
      .help = "A role's role id." },
    { .pattern = "role/{role}/secret-id", .flags = ROUTE_TO_LOWER, .write = approle_secret_create,
      .list = approle_secret_list, .fields = secret_fields,
      .help = "Makes a secret id, which is shown once; accessors of all." },
    { .pattern = "role/{role}/custom-secret-id", .flags = ROUTE_TO_LOWER, .write = approle_secret_custom,
      .fields = FIELDS({ "secret_id", FIELD_STRING, "its text" }, SECRET_FIELDS),
      .help = "Takes a secret id of one's own." },
    { .pattern = "role/{role}/secret-id/lookup", .flags = ROUTE_TO_LOWER, .write = approle_secret_lookup,
      .fields = text_fields, .help = "What is known of a secret id." },
    { .pattern = "role/{role}/secret-id/destroy", .flags = ROUTE_TO_LOWER, .write = approle_secret_destroy,
      .delete_ = approle_secret_destroy, .fields = text_fields, .help = "Ends a secret id." },
    { .pattern = "role/{role}/secret-id-accessor/lookup", .flags = ROUTE_TO_LOWER,
      .write = approle_accessor_lookup, .fields = accessor_fields,
      .help = "What is known of an accessor's secret id." },
    { .pattern = "role/{role}/secret-id-accessor/destroy", .flags = ROUTE_TO_LOWER,
      .write = approle_accessor_destroy, .delete_ = approle_accessor_destroy,
      .fields = accessor_fields, .help = "Ends an accessor's secret id." },
    { .pattern = "role/{role}/{field}", .flags = ROUTE_TO_LOWER, .read = approle_field_read,
      .write = approle_field_write, .delete_ = approle_field_delete,
      .fields = FIELDS(OWN_FIELDS, TOKEN_PARAMS_FIELDS, TOKEN_PARAMS_OLD_FIELDS),
      .help = "One field of a role: policies, token-ttl, secret-id-num-uses ..." },
    { .pattern = "tidy/secret-id", .write = approle_tidy, .help = "Nothing is left to tidy." },
};
/* clang-format on */

static const struct auth_method method = {.renewed = renewed};

const struct engine approle_engine = {
    .type = "approle",
    .help = "Machines that log in with a role id and a secret id.",
    .routes = routes,
    .n_routes = sizeof routes / sizeof routes[0],
    .auth = &method,
};
