#include "vaultd/auth/approle_role.h"

/* ---- its own fields ---- */

typedef enum kt_kind read_own_fn(struct request *req, const char *name, void *at,
                                 struct kt_err *err);
typedef void show_own_fn(struct kt_jsonw *w, const char *name, const void *at);

static enum kt_kind read_bool(struct request *req, const char *name, void *at, struct kt_err *err)
{
    return request_bool(req, name, at, err);
}

static enum kt_kind read_uses(struct request *req, const char *name, void *at, struct kt_err *err)
{
    int64_t uses = 0;
    enum kt_kind kind = request_int(req, name, &uses, err);
    if (kind == KT_OK && uses < 0)
        return kt_fail(err, KT_INVALID, "%s cannot be negative", name);
    if (kind == KT_OK)
        *(int64_t *)at = uses;
    return kind;
}

static enum kt_kind read_duration(struct request *req, const char *name, void *at, struct kt_err *err)
{
    return request_duration_s(req, name, at, err);
}

static enum kt_kind read_cidrs(struct request *req, const char *name, void *at, struct kt_err *err)
{
    return token_params_cidrs(req, name, at, err);
}

static void show_bool(struct kt_jsonw *w, const char *name, const void *at)
{
    kt_jsonw_kv_bool(w, name, *(const bool *)at);
}

static void show_int(struct kt_jsonw *w, const char *name, const void *at)
{
    kt_jsonw_kv_int(w, name, *(const int64_t *)at);
}

/* Vault shows null for none here. */
static void show_cidrs(struct kt_jsonw *w, const char *name, const void *at)
{
    const struct string_list *list = at;
    if (list->n > 0)
        token_params_list(w, name, list);
    else
        kt_jsonw_kv_null(w, name);
}

enum own_field { OWN_BIND, OWN_LOCAL, OWN_CIDRS, OWN_USES, OWN_TTL, OWN_COUNT };
_Static_assert(APPROLE_OWN_ALL == (1u << OWN_COUNT) - 1, "each has its bit");
static const struct own {
    const char *name, *old_name;
    size_t offset;
    read_own_fn *read;
    show_own_fn *show;
} own[OWN_COUNT] = {
    [OWN_BIND] = {"bind_secret_id", NULL, offsetof(struct approle_role, bind_secret_id), read_bool,
                  show_bool},
    [OWN_LOCAL] = {"local_secret_ids", NULL, offsetof(struct approle_role, local_secret_ids),
                   read_bool, show_bool},
    [OWN_CIDRS] = {"secret_id_bound_cidrs", "bound_cidr_list",
                   offsetof(struct approle_role, secret_cidrs), read_cidrs, show_cidrs},
    [OWN_USES] = {"secret_id_num_uses", NULL, offsetof(struct approle_role, secret_uses), read_uses,
                  show_int},
    [OWN_TTL] = {"secret_id_ttl", NULL, offsetof(struct approle_role, secret_ttl_s), read_duration,
                 show_int},
};

enum kt_kind approle_own_read(struct request *req, unsigned which, struct approle_role *role,
                             struct kt_err *err)
{
    for (unsigned i = 0; i < OWN_COUNT; i++) {
        unsigned char *at = (unsigned char *)role + own[i].offset;
        enum kt_kind kind = KT_NOT_FOUND;
        if ((which & (1u << i)) == 0)
            continue;
        if (own[i].old_name != NULL)
            kind = own[i].read(req, own[i].old_name, at, err);
        if (kind == KT_OK || kind == KT_NOT_FOUND)
            kind = own[i].read(req, own[i].name, at, err);
        if (kind != KT_OK && kind != KT_NOT_FOUND)
            return kind;
    }
    return KT_OK;
}

void approle_own_show(struct kt_jsonw *w, unsigned which, const struct approle_role *role)
{
    for (unsigned i = 0; i < OWN_COUNT; i++)
        if ((which & (1u << i)) != 0)
            own[i].show(w, own[i].name, (const unsigned char *)role + own[i].offset);
}

enum kt_kind approle_check_bound(const struct approle_role *role, struct kt_err *err)
{
    if (role->bind_secret_id || role->secret_cidrs.n > 0 || role->params.bound_cidrs.n > 0)
        return KT_OK;
    return kt_fail(err, KT_INVALID, "at least one constraint should be enabled on the role");
}

/* ---- one field at a time ---- */

static const struct single {
    const char *path;
    unsigned own;           /* bits of own_field */
    unsigned param;         /* bits of token_param */
    const char *shown_as;   /* under an old name, too */
} singles[] = {
    {"bind-secret-id", 1u << OWN_BIND, 0, NULL},
    {"bound-cidr-list", 1u << OWN_CIDRS, 0, "bound_cidr_list"},
    {"local-secret-ids", 1u << OWN_LOCAL, 0, NULL},
    {"period", 0, PARAM_BIT(PARAM_PERIOD), NULL},
    {"policies", 0, PARAM_BIT(PARAM_POLICIES), NULL},
    {"secret-id-bound-cidrs", 1u << OWN_CIDRS, 0, NULL},
    {"secret-id-num-uses", 1u << OWN_USES, 0, NULL},
    {"secret-id-ttl", 1u << OWN_TTL, 0, NULL},
    {"token-bound-cidrs", 0, PARAM_BIT(PARAM_BOUND_CIDRS), NULL},
    {"token-max-ttl", 0, PARAM_BIT(PARAM_MAX_TTL), NULL},
    {"token-num-uses", 0, PARAM_BIT(PARAM_NUM_USES), NULL},
    {"token-ttl", 0, PARAM_BIT(PARAM_TTL), NULL},
};

static enum kt_kind find_single(struct request *req, const struct single **ret, struct kt_err *err)
{
    const char *path = request_param(req, "field");
    for (size_t i = 0; i < sizeof singles / sizeof singles[0]; i++)
        if (strcmp(singles[i].path, path) == 0) {
            *ret = &singles[i];
            return KT_OK;
        }
    return kt_fail(err, KT_NOT_FOUND, "1 error occurred:\n\t* unsupported path\n\n");
}

enum kt_kind approle_field_read(struct request *req, struct kt_err *err)
{
    const struct single *single = NULL;
    struct approle_role role;
    enum kt_kind kind = find_single(req, &single, err);
    if (kind == KT_OK)
        kind = approle_role_to_read(req, &role, err);
    if (kind != KT_OK)
        return kind;
    const struct token_params_form form = {single->param, single->param};
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    if (single->shown_as != NULL)
        show_cidrs(&w, single->shown_as, &role.secret_cidrs);
    else
        approle_own_show(&w, single->own, &role);
    token_params_show(&w, &form, &role.params);
    kt_jsonw_end(&w);
    return KT_OK;
}

/* True: what may not be changed once the role is there. */
static bool fixed(const struct single *single)
{
    return (single->own & (1u << OWN_LOCAL)) != 0;
}

static enum kt_kind role_to_change(struct request *req, const struct single **ret_single,
                                   struct approle_role *ret, struct kt_err *err)
{
    enum kt_kind kind = find_single(req, ret_single, err);
    if (kind == KT_OK && fixed(*ret_single))
        return kt_fail(err, KT_METHOD, "1 error occurred:\n\t* unsupported operation\n\n");
    return kind == KT_OK ? approle_role_named(req, ret, err) : kind;
}

enum kt_kind approle_field_write(struct request *req, struct kt_err *err)
{
    const struct single *single = NULL;
    struct approle_role role;
    enum kt_kind kind = role_to_change(req, &single, &role, err);
    if (kind != KT_OK)
        return kind;
    const struct token_params_form form = {
        single->param, single->param & token_params_of_login.old_names};
    kind = approle_own_read(req, single->own, &role, err);
    if (kind == KT_OK)
        kind = token_params_read(req, &form, &role.params, err);
    if (kind == KT_OK)
        kind = approle_check_bound(&role, err);
    return kind == KT_OK ? approle_role_put(req, &role, err) : kind;
}

/* Back to what a new role has. */
enum kt_kind approle_field_delete(struct request *req, struct kt_err *err)
{
    static const struct approle_role fresh = {.bind_secret_id = true};
    const struct single *single = NULL;
    struct approle_role role;
    enum kt_kind kind = role_to_change(req, &single, &role, err);
    if (kind != KT_OK)
        return kind;
    if ((single->own & (1u << OWN_BIND)) != 0)
        role.bind_secret_id = fresh.bind_secret_id;
    if ((single->own & (1u << OWN_CIDRS)) != 0)
        role.secret_cidrs = fresh.secret_cidrs;
    if ((single->own & (1u << OWN_USES)) != 0)
        role.secret_uses = fresh.secret_uses;
    if ((single->own & (1u << OWN_TTL)) != 0)
        role.secret_ttl_s = fresh.secret_ttl_s;
    token_params_reset(&role.params, single->param);
    kind = approle_check_bound(&role, err);
    return kind == KT_OK ? approle_role_put(req, &role, err) : kind;
}
