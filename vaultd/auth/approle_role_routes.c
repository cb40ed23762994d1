#include "vaultd/auth/approle_role.h"
#include "vaultd/auth/named.h"

static enum kt_kind read_role_id(struct request *req, const char **ret, struct kt_err *err)
{
    const char *text = "";
    enum kt_kind kind = request_string(req, "role_id", &text, err);
    if (kind == KT_OK && strlen(text) > APPROLE_ID_TEXT_MAX)
        return kt_fail(err, KT_INVALID, "\"role_id\" is longer than %u bytes", APPROLE_ID_TEXT_MAX);
    if (kind == KT_OK && text[0] != '\0')
        *ret = text;
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

enum kt_kind approle_role_list(struct request *req, struct kt_err *err)
{
    return named_list(req, req->mount->scope, NAMED_USERS, err);
}

enum kt_kind approle_role_exists(struct request *req, bool *ret_exists, struct kt_err *err)
{
    struct approle_role role;
    const char *name = request_param(req, "role");
    enum kt_kind kind = approle_role_find(req, req->mount->scope, name, &role, err);
    *ret_exists = kind == KT_OK;
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

enum kt_kind approle_role_read(struct request *req, struct kt_err *err)
{
    struct approle_role role;
    enum kt_kind kind = approle_role_to_read(req, &role, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    approle_own_show(&w, APPROLE_OWN_ALL, &role);
    token_params_show(&w, &token_params_of_login, &role.params);
    kt_jsonw_end(&w);
    return KT_OK;
}

enum kt_kind approle_role_write(struct request *req, struct kt_err *err)
{
    struct approle_role role;
    const char *name = NULL, *role_id = NULL;
    enum kt_kind kind = named_param(req, "role", &name, err);
    if (kind != KT_OK)
        return kind;
    kind = approle_role_find(req, req->mount->scope, name, &role, err);
    bool local = role.local_secret_ids;
    if (kind == KT_NOT_FOUND)
        kind = approle_role_begin(req, &role, &role_id, err);
    else
        role_id = role.role_id;
    if (kind == KT_OK)
        kind = approle_own_read(req, APPROLE_OWN_ALL, &role, err);
    if (kind == KT_OK)
        kind = token_params_read(req, &token_params_of_login, &role.params, err);
    if (kind == KT_OK)
        kind = approle_check_bound(&role, err);
    if (kind == KT_OK && role.changed != 0 && role.local_secret_ids != local)
        kind = kt_fail(err, KT_INVALID, "local_secret_ids can only be set when a role is made");
    if (kind == KT_OK)
        kind = read_role_id(req, &role_id, err);
    if (kind == KT_OK)
        kind = approle_role_identify(req, &role, role_id, err);
    return kind == KT_OK ? approle_role_put(req, &role, err) : kind;
}

enum kt_kind approle_role_delete(struct request *req, struct kt_err *err)
{
    struct approle_role role = {.name = NULL};
    enum kt_kind kind = approle_role_to_read(req, &role, err);
    if (kind == KT_NOT_FOUND && role.name != NULL)
        return KT_OK;
    return kind == KT_OK ? approle_role_drop(req, &role, err) : kind;
}

/* ---- its role id ---- */

enum kt_kind approle_role_id_read(struct request *req, struct kt_err *err)
{
    struct approle_role role;
    enum kt_kind kind = approle_role_to_read(req, &role, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "role_id", role.role_id);
    kt_jsonw_end(&w);
    return KT_OK;
}

enum kt_kind approle_role_id_write(struct request *req, struct kt_err *err)
{
    struct approle_role role;
    const char *role_id = NULL;
    enum kt_kind kind = approle_role_named(req, &role, err);
    if (kind == KT_OK)
        kind = read_role_id(req, &role_id, err);
    if (kind == KT_OK && role_id == NULL)
        return kt_fail(err, KT_INVALID, "missing role_id");
    if (kind == KT_OK)
        kind = approle_role_identify(req, &role, role_id, err);
    return kind == KT_OK ? approle_role_put(req, &role, err) : kind;
}
