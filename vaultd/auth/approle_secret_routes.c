/* auth/approle/role/ROLE/secret-id and its siblings: making secret ids, showing what is known of them,
 * ending them. */
#include "vaultd/auth/approle.h"
#include "vaultd/auth/approle_secret.h"
#include "vaultd/auth/cidr_list.h"
#include "vaultd/core/mounts.h"

/* ---- metadata: a JSON object in a string, or "k=v,k=v" ---- */

static bool all_texts(struct kt_json object)
{
    struct kt_json_iter it = kt_json_iter(object);
    while (kt_json_next(&it))
        if (kt_json_type(it.value) != KT_JSON_STRING)
            return false;
    return true;
}

static bool add_pair(struct kt_jsonw *w, const char *at, size_t len)
{
    const char *equals = memchr(at, '=', len);
    if (equals == NULL || equals == at)
        return false;
    kt_jsonw_key_bytes(w, kt_bytes(at, (size_t)(equals - at)));
    kt_jsonw_bytes(w, kt_bytes(equals + 1, len - (size_t)(equals + 1 - at)));
    return true;
}

static bool write_pairs(const char *text, struct kt_buf *out)
{
    struct kt_jsonw w = kt_jsonw(out);
    kt_jsonw_object(&w);
    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        if (!add_pair(&w, text, len))
            return false;
        text += len + (text[len] == ',');
    }
    kt_jsonw_end(&w);
    /* What names one key twice is no object. */
    return kt_buf_ok(out) && kt_json_check(kt_buf_bytes(out), NULL, NULL) == KT_OK;
}

static bool write_meta(const char *text, struct kt_buf *out)
{
    bool json = kt_json_check(kt_str(text), NULL, NULL) == KT_OK;
    struct kt_json value = json ? kt_json_value(kt_str(text)) : (struct kt_json){0};
    if (kt_json_type(value) == KT_JSON_OBJECT)
        return all_texts(value) && kt_json_compact(value, out);
    return write_pairs(text, out);
}

static enum kt_kind read_meta(struct request *req, struct kt_bytes *ret, struct kt_err *err)
{
    const char *text = "";
    enum kt_kind kind = request_string(req, "metadata", &text, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    kt_autobuf struct kt_buf meta;
    kt_buf_init(&meta, SECRET_META_MAX);
    if (!write_meta(text[0] == '\0' ? "{}" : text, &meta))
        return meta.failed && !meta.full
                   ? kt_fail(err, KT_NO_MEMORY, "reading metadata")
                   : kt_fail(err, KT_INVALID,
                             "failed to parse metadata: it is a JSON object of strings in a string, "
                             "or \"key=value,key=value\", of at most %u bytes",
                             SECRET_META_MAX);
    char *copy = kt_arena_text(&req->arena, kt_buf_bytes(&meta));
    if (copy == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading metadata");
    *ret = kt_bytes(copy, meta.len);
    return KT_OK;
}

/* ---- making one ---- */

static enum kt_kind read_cidrs(struct request *req, const char *name, const char *of_role,
                               const struct string_list *bound, struct string_list *ret,
                               struct kt_err *err)
{
    enum kt_kind kind = token_params_cidrs(req, name, ret, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    if (kind == KT_OK && !cidr_list_within(ret, bound))
        kind = kt_fail(err, KT_INVALID, "blocks in \"%s\" must lie in the role's \"%s\"", name,
                       of_role);
    return kind;
}

/* What is not given is the role's; more than the role's is refused. */
static enum kt_kind read_uses(struct request *req, const struct approle_role *role, int64_t *ret,
                              struct kt_err *err)
{
    *ret = role->secret_uses;
    enum kt_kind kind = request_int(req, "num_uses", ret, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    if (kind == KT_OK && *ret < 0)
        return kt_fail(err, KT_INVALID, "num_uses cannot be negative");
    if (kind == KT_OK && role->secret_uses > 0 && (*ret == 0 || *ret > role->secret_uses))
        return kt_fail(err, KT_INVALID,
                       "num_uses cannot be higher than the role's secret_id_num_uses");
    return kind;
}

static enum kt_kind read_ttl(struct request *req, const struct approle_role *role, int64_t *ret,
                             struct kt_err *err)
{
    *ret = role->secret_ttl_s;
    enum kt_kind kind = request_duration_s(req, "ttl", ret, err);
    if (kind == KT_NOT_FOUND)
        kind = KT_OK;
    else if (kind == KT_OK && role->secret_ttl_s > 0 && (*ret == 0 || *ret > role->secret_ttl_s))
        kind = kt_fail(err, KT_INVALID, "ttl cannot be longer than the role's secret_id_ttl");
    int64_t most_s = mount_lease_ttl(req->mount).max_s;
    if (*ret > most_s)
        *ret = most_s;
    return kind;
}

static enum kt_kind read_secret(struct request *req, const struct approle_role *role,
                                struct secret_id *ret, struct kt_err *err)
{
    *ret = (struct secret_id){.created_ms = req->now_ms, .changed_ms = req->now_ms};
    enum kt_kind kind = read_meta(req, &ret->meta, err);
    if (kind == KT_OK)
        kind = read_cidrs(req, "cidr_list", "secret_id_bound_cidrs", &role->secret_cidrs,
                          &ret->cidrs, err);
    if (kind == KT_OK)
        kind = read_cidrs(req, "token_bound_cidrs", "token_bound_cidrs", &role->params.bound_cidrs,
                          &ret->token_cidrs, err);
    if (kind == KT_OK)
        kind = read_uses(req, role, &ret->uses, err);
    if (kind == KT_OK)
        kind = read_ttl(req, role, &ret->ttl_s, err);
    if (kind == KT_OK && ret->ttl_s > 0)
        ret->expires_ms = req->now_ms + ret->ttl_s * 1000;
    return kind;
}

static enum kt_kind create(struct request *req, const struct approle_role *role, const char *text,
                           struct kt_err *err)
{
    struct secret_id secret;
    if (!role->bind_secret_id)
        return kt_fail(err, KT_INVALID, "bind_secret_id is not set on the role");
    enum kt_kind kind = read_secret(req, role, &secret, err);
    if (kind == KT_OK)
        kind = approle_role_require(req, req->mount->scope, role, err);
    if (kind == KT_OK)
        kind = secret_id_create(req, role, text, &secret, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "secret_id", text);
    kt_jsonw_kv_text(&w, "secret_id_accessor", secret.accessor);
    kt_jsonw_kv_int(&w, "secret_id_num_uses", secret.uses);
    kt_jsonw_kv_int(&w, "secret_id_ttl", secret.ttl_s);
    kt_jsonw_end(&w);
    return KT_OK;
}

enum kt_kind approle_secret_create(struct request *req, struct kt_err *err)
{
    struct approle_role role;
    enum kt_kind kind = approle_role_named(req, &role, err);
    char *text = kt_arena_take(&req->arena, APPROLE_UUID);
    if (kind != KT_OK)
        return kind;
    if (text == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making a secret id");
    approle_uuid(text);
    return create(req, &role, text, err);
}

/* The field's text; KT_INVALID: none was given. */
static enum kt_kind wanted_text(struct request *req, const char *name, const char **ret,
                                struct kt_err *err)
{
    *ret = "";
    enum kt_kind kind = request_string(req, name, ret, err);
    if (kind == KT_NOT_FOUND || (kind == KT_OK && (*ret)[0] == '\0'))
        return kt_fail(err, KT_INVALID, "missing %s", name);
    if (kind == KT_OK && strlen(*ret) > APPROLE_ID_TEXT_MAX)
        return kt_fail(err, KT_INVALID, "\"%s\" is longer than %u bytes", name, APPROLE_ID_TEXT_MAX);
    return kind;
}

enum kt_kind approle_secret_custom(struct request *req, struct kt_err *err)
{
    struct approle_role role;
    const char *text = NULL;
    enum kt_kind kind = approle_role_named(req, &role, err);
    if (kind == KT_OK)
        kind = wanted_text(req, "secret_id", &text, err);
    return kind == KT_OK ? create(req, &role, text, err) : kind;
}

/* ---- what there is ---- */

enum kt_kind approle_secret_list(struct request *req, struct kt_err *err)
{
    struct approle_role role;
    enum kt_kind kind = approle_role_named(req, &role, err);
    if (kind == KT_NOT_FOUND && err->what[0] == 'r') /* Vault's word for a role that is not there */
        return kt_fail(err, KT_INVALID, "role \"%s\" does not exist", request_param(req, "role"));
    return kind == KT_OK ? secret_id_list(req, &role, err) : kind;
}

static void show_secret(struct request *req, const struct secret_id *secret)
{
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    token_params_list(&w, "cidr_list", &secret->cidrs);
    kt_jsonw_kv_time(&w, "creation_time", secret->created_ms);
    if (secret->expires_ms != 0)
        kt_jsonw_kv_time(&w, "expiration_time", secret->expires_ms);
    else
        kt_jsonw_kv_text(&w, "expiration_time", "0001-01-01T00:00:00Z");
    kt_jsonw_kv_time(&w, "last_updated_time", secret->changed_ms);
    kt_jsonw_kv_raw(&w, "metadata", secret->meta);
    kt_jsonw_kv_text(&w, "secret_id_accessor", secret->accessor);
    kt_jsonw_kv_int(&w, "secret_id_num_uses", secret->uses);
    kt_jsonw_kv_int(&w, "secret_id_ttl", secret->ttl_s);
    token_params_list(&w, "token_bound_cidrs", &secret->token_cidrs);
    kt_jsonw_end(&w);
}

static enum kt_kind by_text(struct request *req, struct secret_id *ret, struct kt_err *err)
{
    struct approle_role role;
    const char *text = NULL;
    enum kt_kind kind = approle_role_named(req, &role, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_INVALID, "role \"%s\" does not exist", request_param(req, "role"));
    if (kind == KT_OK)
        kind = wanted_text(req, "secret_id", &text, err);
    return kind == KT_OK ? secret_id_find(req, &role, text, ret, err) : kind;
}

/* Of an unknown one Vault says nothing, 204. */
enum kt_kind approle_secret_lookup(struct request *req, struct kt_err *err)
{
    struct secret_id secret;
    enum kt_kind kind = by_text(req, &secret, err);
    if (kind == KT_OK)
        show_secret(req, &secret);
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

enum kt_kind approle_secret_destroy(struct request *req, struct kt_err *err)
{
    struct secret_id secret;
    enum kt_kind kind = by_text(req, &secret, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    return kind == KT_OK ? secret_id_delete(req, &secret, err) : kind;
}

/* Another role's accessor is as unknown as one that nobody has. */
static enum kt_kind by_accessor(struct request *req, struct secret_id *ret, struct kt_err *err)
{
    struct approle_role role;
    const char *accessor = NULL;
    enum kt_kind kind = approle_role_named(req, &role, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_INVALID, "role \"%s\" does not exist", request_param(req, "role"));
    if (kind == KT_OK)
        kind = wanted_text(req, "secret_id_accessor", &accessor, err);
    return kind == KT_OK ? secret_id_of_accessor(req, &role, accessor, ret, err) : kind;
}

static enum kt_kind no_accessor(struct request *req)
{
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "error", "failed to find accessor entry for secret_id_accessor");
    kt_jsonw_end(&w);
    req->reply.status = 404;
    return KT_OK;
}

enum kt_kind approle_accessor_lookup(struct request *req, struct kt_err *err)
{
    struct secret_id secret;
    enum kt_kind kind = by_accessor(req, &secret, err);
    if (kind == KT_NOT_FOUND)
        return no_accessor(req);
    if (kind == KT_OK)
        show_secret(req, &secret);
    return kind;
}

enum kt_kind approle_accessor_destroy(struct request *req, struct kt_err *err)
{
    struct secret_id secret;
    enum kt_kind kind = by_accessor(req, &secret, err);
    if (kind == KT_NOT_FOUND)
        return no_accessor(req);
    return kind == KT_OK ? secret_id_delete(req, &secret, err) : kind;
}

/* There is nothing to begin: what is over goes within a second anyway. */
enum kt_kind approle_tidy(struct request *req, struct kt_err *err)
{
    (void)err;
    req->reply.status = 202;
    request_warn(req, "Secret ids that are over are refused at once, and removed within seconds: there "
                      "is nothing to start.");
    return KT_OK;
}
