#include "vaultd/auth/jwt_role.h"

#include "lib/duration.h"
#include "vaultd/barrier/format.h"

#define FORMAT 1u

enum role_flag { ROLE_USER_POINTER = 1, ROLE_GLOB = 2 };

/* ---- the record ---- */

static void write_record(const struct jwt_role *role, struct kt_buf *out)
{
    named_begin(out, FORMAT, role->name);
    kt_buf_add_field(out, kt_str(role->user_claim));
    kt_buf_add_u8(out, (uint8_t)((role->user_pointer ? ROLE_USER_POINTER : 0) |
                                 (role->glob ? ROLE_GLOB : 0)));
    token_params_write_list(&role->audiences, out);
    kt_buf_add_field(out, kt_str(role->subject));
    kt_buf_add_field(out, role->bound);
    kt_buf_add_field(out, role->mappings);
    kt_buf_add_field(out, kt_str(role->groups_claim));
    kt_buf_add_i64(out, role->exp_leeway_s);
    kt_buf_add_i64(out, role->nbf_leeway_s);
    kt_buf_add_i64(out, role->skew_s);
    token_params_write_list(&role->redirects, out);
    token_params_write_list(&role->scopes, out);
    token_params_write(&role->params, out);
}

struct role_record {
    struct kt_arena *arena;
    struct jwt_role *role;
};

static void read_1(struct kt_reader *r, void *ret)
{
    struct role_record *record = ret;
    struct jwt_role *role = record->role;
    struct kt_arena *arena = record->arena;
    role->name = kt_arena_text(arena, kt_read_field(r));
    role->user_claim = kt_arena_text(arena, kt_read_field(r));
    unsigned flags = kt_read_u8(r);
    role->user_pointer = (flags & ROLE_USER_POINTER) != 0;
    role->glob = (flags & ROLE_GLOB) != 0;
    token_params_take_list(r, arena, &role->audiences);
    role->subject = kt_arena_text(arena, kt_read_field(r));
    role->bound = kt_read_field(r);
    role->mappings = kt_read_field(r);
    role->groups_claim = kt_arena_text(arena, kt_read_field(r));
    role->exp_leeway_s = kt_read_i64(r);
    role->nbf_leeway_s = kt_read_i64(r);
    role->skew_s = kt_read_i64(r);
    token_params_take_list(r, arena, &role->redirects);
    token_params_take_list(r, arena, &role->scopes);
    token_params_take(r, arena, &role->params);
}

static format_reader *const readers[] = {[FORMAT] = read_1};

enum kt_kind jwt_role_find(struct request *req, const unsigned char scope[BARRIER_SCOPE],
                           const char *name, struct jwt_role *ret, struct kt_err *err)
{
    const struct named which = {scope, name, NAMED_USERS};
    struct role_record record = {&req->arena, ret};
    struct kt_bytes bytes = {0};
    *ret = (struct jwt_role){.name = name, .user_claim = "", .subject = "", .groups_claim = ""};
    enum kt_kind kind = named_get(req, &which, &bytes, &ret->changed, err);
    if (kind == KT_OK)
        kind = FORMAT_READ("a jwt role", bytes, readers, &record, err);
    if (kind == KT_OK && req->arena.failed)
        return kt_fail(err, KT_NO_MEMORY, "reading a role");
    return kind;
}

enum kt_kind jwt_role_require(struct request *req, const unsigned char scope[BARRIER_SCOPE],
                              const struct jwt_role *role, struct kt_err *err)
{
    const struct named which = {scope, role->name, NAMED_USERS};
    return named_require(req, &which, role->changed, err);
}

/* ---- fields, as they come ---- */

typedef enum kt_kind read_fn(struct request *req, const char *name, void *at, struct kt_err *err);

static enum kt_kind read_claim(struct request *req, const char *name, void *at, struct kt_err *err)
{
    const char **text = at;
    enum kt_kind kind = request_string(req, name, text, err);
    if (kind == KT_OK && strlen(*text) > JWT_CLAIM_MAX)
        return kt_fail(err, KT_INVALID, "\"%s\" is longer than %u bytes", name, JWT_CLAIM_MAX);
    return kind;
}

static enum kt_kind read_bool(struct request *req, const char *name, void *at, struct kt_err *err)
{
    return request_bool(req, name, at, err);
}

static enum kt_kind read_list(struct request *req, const char *name, void *at, struct kt_err *err)
{
    struct string_list *list = at;
    enum kt_kind kind = request_list(req, name, true, list, err);
    if (kind == KT_OK && list->n > JWT_LIST_MAX)
        return kt_fail(err, KT_INVALID, "\"%s\" has more than %u items", name, JWT_LIST_MAX);
    for (size_t i = 0; kind == KT_OK && i < list->n; i++)
        if (list->at[i][0] == '\0')
            return kt_fail(err, KT_INVALID, "\"%s\" has an empty item", name);
    return kind;
}

/* Beyond max a token's times would say nothing. */
static enum kt_kind read_seconds(struct request *req, const char *name, int64_t max, int64_t *at,
                                 struct kt_err *err)
{
    const char *text = "";
    uint64_t ms = 0;
    enum kt_kind kind = request_string(req, name, &text, err);
    if (kind != KT_OK)
        return kind;
    bool none = text[0] == '-';
    if (text[none] != '\0' && kt_duration_parse(kt_str(text + none), &ms, NULL) != KT_OK)
        return kt_fail(err, KT_INVALID, "\"%s\": wanted seconds, or a duration as \"2m\"", name);
    if (ms / 1000 > (uint64_t)max)
        return kt_fail(err, KT_INVALID, "\"%s\" is at most %lld seconds", name, (long long)max);
    *at = none ? -1 : (int64_t)(ms / 1000);
    return KT_OK;
}

static enum kt_kind read_leeway(struct request *req, const char *name, void *at, struct kt_err *err)
{
    return read_seconds(req, name, JWT_LEEWAY_MAX_S, at, err);
}

static enum kt_kind read_skew(struct request *req, const char *name, void *at, struct kt_err *err)
{
    return read_seconds(req, name, JWT_SKEW_MAX_S, at, err);
}

static enum kt_kind read_bound_type(struct request *req, const char *name, void *at,
                                    struct kt_err *err)
{
    const char *text = "";
    enum kt_kind kind = request_string(req, name, &text, err);
    if (kind != KT_OK)
        return kind;
    bool glob = strcmp(text, "glob") == 0;
    if (!glob && text[0] != '\0' && strcmp(text, "string") != 0)
        return kt_fail(err, KT_INVALID, "invalid '%s': \"string\" or \"glob\"", name);
    *(bool *)at = glob;
    return KT_OK;
}

static enum kt_kind keep_object(struct request *req, const char *name, struct kt_json object,
                                struct kt_bytes *ret, struct kt_err *err)
{
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, JWT_CLAIMS_MAX);
    *ret = kt_bytes(NULL, 0);
    if (kt_json_count(object) == 0)
        return KT_OK;
    if (!kt_json_compact(object, &text) && text.full)
        return kt_fail(err, KT_INVALID, "\"%s\" is longer than %zu bytes", name, JWT_CLAIMS_MAX);
    char *copy = kt_buf_ok(&text) ? kt_arena_text(&req->arena, kt_buf_bytes(&text)) : NULL;
    if (copy == NULL)
        return kt_fail(err, KT_NO_MEMORY, "writing a role");
    *ret = kt_bytes(copy, text.len);
    return KT_OK;
}

static enum kt_kind read_bound(struct request *req, const char *name, void *at, struct kt_err *err)
{
    struct kt_json value = {0};
    enum kt_kind kind = request_member(req, name, &value);
    if (kind != KT_OK || kt_json_type(value) != KT_JSON_OBJECT)
        return KT_NOT_FOUND;
    return keep_object(req, name, value, at, err);
}

static enum kt_kind read_mappings(struct request *req, const char *name, void *at,
                                  struct kt_err *err)
{
    struct kt_bytes pairs = {0};
    enum kt_kind kind = request_pairs(req, name, &pairs, err);
    return kind == KT_OK ? keep_object(req, name, kt_json_value(pairs), at, err) : kind;
}

/* ---- and as they are shown ---- */

typedef void show_fn(struct kt_jsonw *w, const char *name, const void *at);

static void show_text(struct kt_jsonw *w, const char *name, const void *at)
{
    kt_jsonw_kv_text(w, name, *(const char *const *)at);
}

static void show_bool(struct kt_jsonw *w, const char *name, const void *at)
{
    kt_jsonw_kv_bool(w, name, *(const bool *)at);
}

static void show_list(struct kt_jsonw *w, const char *name, const void *at)
{
    token_params_list(w, name, at);
}

static void show_int(struct kt_jsonw *w, const char *name, const void *at)
{
    kt_jsonw_kv_int(w, name, *(const int64_t *)at);
}

static void show_bound_type(struct kt_jsonw *w, const char *name, const void *at)
{
    kt_jsonw_kv_text(w, name, *(const bool *)at ? "glob" : "string");
}

static void show_object(struct kt_jsonw *w, const char *name, const void *at)
{
    const struct kt_bytes *object = at;
    kt_jsonw_key(w, name);
    if (object->len == 0)
        kt_jsonw_null(w);
    else
        kt_jsonw_raw(w, *object);
}

#define AT(member) offsetof(struct jwt_role, member)

static const struct own {
    const char *name;
    size_t offset;
    read_fn *read;
    show_fn *show;
} own[] = {
    {"user_claim", AT(user_claim), read_claim, show_text},
    {"user_claim_json_pointer", AT(user_pointer), read_bool, show_bool},
    {"bound_audiences", AT(audiences), read_list, show_list},
    {"bound_subject", AT(subject), read_claim, show_text},
    {"bound_claims_type", AT(glob), read_bound_type, show_bound_type},
    {"bound_claims", AT(bound), read_bound, show_object},
    {"claim_mappings", AT(mappings), read_mappings, show_object},
    {"groups_claim", AT(groups_claim), read_claim, show_text},
    {"expiration_leeway", AT(exp_leeway_s), read_leeway, show_int},
    {"not_before_leeway", AT(nbf_leeway_s), read_leeway, show_int},
    {"clock_skew_leeway", AT(skew_s), read_skew, show_int},
    {"allowed_redirect_uris", AT(redirects), read_list, show_list},
    {"oidc_scopes", AT(scopes), read_list, show_list},
};
#define N_OWN (sizeof own / sizeof own[0])

/* ---- what a role has to be ---- */

/* Saying nothing means a browser's role in Vault: that one would let in who shows a token is not what was
 * meant. */
static enum kt_kind check_type(struct request *req, const struct jwt_role *role, struct kt_err *err)
{
    const char *type = role->changed != 0 ? "jwt" : "oidc";
    enum kt_kind kind = request_string(req, "role_type", &type, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (strcmp(type, "jwt") == 0)
        return KT_OK;
    if (strcmp(type, "oidc") != 0 && type[0] != '\0')
        return kt_fail(err, KT_INVALID, "invalid 'role_type': \"jwt\" is the one that is offered");
    (void)kt_fail(err, KT_INVALID, "roles of type \"oidc\" are not offered: they need a browser that "
                                   "the vault talks to");
    kt_hint(err, "say role_type=jwt: \"oidc\" is what a role is that says nothing");
    return KT_INVALID;
}

static bool is_scalar(struct kt_json value, bool glob)
{
    enum kt_json_type type = kt_json_type(value);
    return type == KT_JSON_STRING || (!glob && (type == KT_JSON_BOOL || type == KT_JSON_NUMBER));
}

/* A list of nothing would be met by nobody, or by everybody who reads it carelessly. */
static bool is_bound_value(struct kt_json value, bool glob)
{
    size_t n = kt_json_count(value);
    if (kt_json_type(value) != KT_JSON_ARRAY)
        return is_scalar(value, glob);
    struct kt_json_iter it = kt_json_iter(value);
    while (kt_json_next(&it))
        if (!is_scalar(it.value, glob))
            return false;
    return n > 0 && n <= JWT_LIST_MAX;
}

static enum kt_kind check_bound_claims(const struct jwt_role *role, struct kt_err *err)
{
    struct kt_json_iter it = kt_json_iter(kt_json_value(role->bound));
    while (kt_json_next(&it)) {
        if (it.key.len <= 2 || it.key.len > JWT_CLAIM_MAX)
            return kt_fail(err, KT_INVALID, "\"bound_claims\" names a claim with no name, or one too long");
        if (!is_bound_value(it.value, role->glob))
            return kt_fail(err, KT_INVALID, "a value of \"bound_claims\" is no %s, and no list of 1 to %u of them",
                           role->glob ? "string" : "string, number or boolean", JWT_LIST_MAX);
    }
    return KT_OK;
}

static enum kt_kind check_mappings(const struct jwt_role *role, struct kt_err *err)
{
    struct kt_json object = kt_json_value(role->mappings);
    struct kt_json_iter it = kt_json_iter(object);
    if (kt_json_count(object) > JWT_LIST_MAX)
        return kt_fail(err, KT_INVALID, "\"claim_mappings\" has more than %u items", JWT_LIST_MAX);
    while (kt_json_next(&it)) {
        struct kt_json_iter other = kt_json_iter(object);
        unsigned same = 0;
        while (kt_json_next(&other))
            same += kt_json_equal(it.value, other.value);
        if (kt_json_is(it.value, "role"))
            return kt_fail(err, KT_INVALID, "metadata key \"role\" is reserved and may not be a mapping destination");
        if (it.key.len <= 2 || it.value.len <= 2 || same != 1)
            return kt_fail(err, KT_INVALID, "\"claim_mappings\" has an empty name, or two claims for one");
    }
    return KT_OK;
}

static enum kt_kind check_role(const struct jwt_role *role, struct kt_err *err)
{
    if (role->user_claim[0] == '\0')
        return kt_fail(err, KT_INVALID, "a user claim must be defined on the role");
    if (role->audiences.n == 0 && role->subject[0] == '\0' && role->bound.len == 0 &&
        role->params.bound_cidrs.n == 0)
        return kt_fail(err, KT_INVALID,
                       "must have at least one bound constraint when creating/updating a role");
    enum kt_kind kind = check_bound_claims(role, err);
    return kind == KT_OK ? check_mappings(role, err) : kind;
}

/* ---- routes ---- */

enum kt_kind jwt_role_list(struct request *req, struct kt_err *err)
{
    return named_list(req, req->mount->scope, NAMED_USERS, err);
}

enum kt_kind jwt_role_exists(struct request *req, bool *ret_exists, struct kt_err *err)
{
    struct jwt_role role;
    enum kt_kind kind = jwt_role_find(req, req->mount->scope, request_param(req, "role"), &role, err);
    *ret_exists = kind == KT_OK;
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

/* KT_NOT_FOUND with a name: there is no such role yet. */
static enum kt_kind role_of_path(struct request *req, struct jwt_role *ret, struct kt_err *err)
{
    const char *name = NULL;
    *ret = (struct jwt_role){.name = NULL};
    enum kt_kind kind = named_param(req, "role", &name, err);
    return kind == KT_OK ? jwt_role_find(req, req->mount->scope, name, ret, err) : kind;
}

enum kt_kind jwt_role_read(struct request *req, struct kt_err *err)
{
    struct jwt_role role;
    enum kt_kind kind = role_of_path(req, &role, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "role_type", "jwt");
    for (size_t i = 0; i < N_OWN; i++)
        own[i].show(&w, own[i].name, (const unsigned char *)&role + own[i].offset);
    kt_jsonw_kv_bool(&w, "verbose_oidc_logging", false);
    kt_jsonw_kv_int(&w, "max_age", 0);
    token_params_show(&w, &token_params_of_login, &role.params);
    kt_jsonw_end(&w);
    return KT_OK;
}

enum kt_kind jwt_role_write(struct request *req, struct kt_err *err)
{
    struct jwt_role role;
    enum kt_kind kind = role_of_path(req, &role, err);
    if (kind != KT_OK && (kind != KT_NOT_FOUND || role.name == NULL))
        return kind;
    kind = check_type(req, &role, err);
    for (size_t i = 0; kind == KT_OK && i < N_OWN; i++) {
        kind = own[i].read(req, own[i].name, (unsigned char *)&role + own[i].offset, err);
        kind = kind == KT_NOT_FOUND ? KT_OK : kind;
    }
    if (kind == KT_OK)
        kind = token_params_read(req, &token_params_of_login, &role.params, err);
    if (kind == KT_OK)
        kind = check_role(&role, err);
    if (kind != KT_OK)
        return kind;
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, NAMED_RECORD_MAX);
    write_record(&role, &record);
    const struct named which = {req->mount->scope, role.name, NAMED_USERS};
    return named_put(req, &which, role.changed, &record, err);
}

enum kt_kind jwt_role_delete(struct request *req, struct kt_err *err)
{
    struct jwt_role role;
    enum kt_kind kind = role_of_path(req, &role, err);
    if (kind == KT_NOT_FOUND && role.name != NULL)
        return KT_OK;
    if (kind != KT_OK)
        return kind;
    const struct named which = {req->mount->scope, role.name, NAMED_USERS};
    return named_delete(req, &which, role.changed, err);
}
