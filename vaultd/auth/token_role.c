#include "vaultd/auth/token_role.h"

#include "vaultd/auth/named.h"
#include "vaultd/auth/policy_names.h"
#include "vaultd/barrier/format.h"

#define FORMAT 1u

enum role_flag { ROLE_ORPHAN = 1, ROLE_RENEWABLE = 2 };

static const unsigned char scope[BARRIER_SCOPE] = "token roles";

static const struct {
    const char *field;
    bool of_policies; /* names, which are lowered; else texts */
} lists[ROLE_LISTS] = {
    [ROLE_ALLOWED] = {"allowed_policies", true},
    [ROLE_DISALLOWED] = {"disallowed_policies", true},
    [ROLE_ALLOWED_GLOB] = {"allowed_policies_glob", true},
    [ROLE_DISALLOWED_GLOB] = {"disallowed_policies_glob", true},
    [ROLE_ENTITY_ALIASES] = {"allowed_entity_aliases", false},
};

/* ---- the record ---- */

static void write_role(const struct token_role *role, struct kt_buf *out)
{
    named_begin(out, FORMAT, role->name);
    kt_buf_add_u8(out, (uint8_t)((role->orphan ? ROLE_ORPHAN : 0) |
                                 (role->renewable ? ROLE_RENEWABLE : 0)));
    kt_buf_add_field(out, kt_str(role->path_suffix));
    for (size_t i = 0; i < ROLE_LISTS; i++)
        token_params_write_list(&role->lists[i], out);
    token_params_write(&role->params, out);
}

static void read_1(struct kt_reader *r, struct kt_arena *arena, struct token_role *ret)
{
    ret->name = kt_arena_text(arena, kt_read_field(r));
    unsigned flags = kt_read_u8(r);
    ret->orphan = (flags & ROLE_ORPHAN) != 0;
    ret->renewable = (flags & ROLE_RENEWABLE) != 0;
    ret->path_suffix = kt_arena_text(arena, kt_read_field(r));
    for (size_t i = 0; i < ROLE_LISTS; i++)
        token_params_take_list(r, arena, &ret->lists[i]);
    token_params_take(r, arena, &ret->params);
}

typedef void read_fn(struct kt_reader *r, struct kt_arena *arena, struct token_role *ret);
static read_fn *const readers[] = {[FORMAT] = read_1};

enum kt_kind token_role_find(struct request *req, const char *name, struct token_role *ret,
                             generation *ret_changed, struct kt_err *err)
{
    const struct named which = {scope, name, NAMED_USERS};
    struct kt_bytes record = {0};
    enum kt_kind kind = named_get(req, &which, &record, ret_changed, err);
    if (kind != KT_OK)
        return kind;
    struct kt_reader r = kt_reader(record);
    unsigned format = kt_read_u8(&r);
    read_fn *read = FORMAT_ROW(readers, format);
    if (read == NULL)
        return format_refuse("a token role", format, FORMAT, err);
    struct token_role role = {0};
    read(&r, &req->arena, &role);
    if (req->arena.failed)
        return kt_fail(err, KT_NO_MEMORY, "reading a token role");
    if (!kt_reader_done(&r))
        return kt_fail(err, KT_CORRUPT, "a token role is damaged");
    *ret = role;
    return KT_OK;
}

enum kt_kind token_role_require(struct request *req, const char *name, generation changed,
                                struct kt_err *err)
{
    return named_require(req, &(const struct named){scope, name, NAMED_USERS}, changed, err);
}

/* ---- what it gives ---- */

/* '*' at either end, or at both: Vault's globs of policy names. */
static bool glob_fits(const char *glob, const char *name)
{
    size_t glob_len = strlen(glob), name_len = strlen(name);
    bool open_front = glob_len > 0 && glob[0] == '*';
    bool open_end = glob_len > (open_front ? 1u : 0u) && glob[glob_len - 1] == '*';
    const char *middle = glob + open_front;
    size_t len = glob_len - open_front - open_end;
    if (open_front && open_end)
        return len == 0 || memmem(name, name_len, middle, len) != NULL;
    if (len > name_len)
        return false;
    if (open_front)
        return memcmp(name + name_len - len, middle, len) == 0;
    return memcmp(name, middle, len) == 0 && (open_end || len == name_len);
}

static bool listed(const struct token_role *role, enum token_role_list names,
                   enum token_role_list globs, const char *name)
{
    if (policy_names_have(&role->lists[names], name))
        return true;
    for (size_t i = 0; i < role->lists[globs].n; i++)
        if (glob_fits(role->lists[globs].at[i], name))
            return true;
    return false;
}

static bool bounds(const struct token_role *role, enum token_role_list names,
                   enum token_role_list globs)
{
    return role->lists[names].n > 0 || role->lists[globs].n > 0;
}

bool token_role_gives(const struct token_role *role)
{
    return bounds(role, ROLE_ALLOWED, ROLE_ALLOWED_GLOB) ||
           bounds(role, ROLE_DISALLOWED, ROLE_DISALLOWED_GLOB);
}

/* Names of policies are no secrets to whoever may use the role. */
static enum kt_kind not_allowed(const struct token_role *role, struct kt_err *err)
{
    (void)kt_fail(err, KT_INVALID, "token policies must be subset of the role's allowed policies");
    kt_hint(err, "see allowed_policies of auth/token/roles/%s", role->name);
    return KT_INVALID;
}

enum kt_kind token_role_policies(struct request *req, const struct token_role *role,
                                 const struct token_role_ask *ask, struct string_list *ret,
                                 struct kt_err *err)
{
    bool allows = bounds(role, ROLE_ALLOWED, ROLE_ALLOWED_GLOB);
    struct string_list list = *ask->wanted;
    if (!ask->named)
        list = allows ? role->lists[ROLE_ALLOWED] : *ask->parent;
    for (size_t i = 0; allows && i < list.n; i++)
        if (!listed(role, ROLE_ALLOWED, ROLE_ALLOWED_GLOB, list.at[i]))
            return not_allowed(role, err);
    bool no_default = ask->no_default ||
                      listed(role, ROLE_DISALLOWED, ROLE_DISALLOWED_GLOB, "default");
    enum kt_kind kind = KT_OK;
    if (!no_default && !policy_names_have(&list, "root"))
        kind = policy_names_add(&req->arena, &list, "default", &list, err);
    for (size_t i = 0; kind == KT_OK && i < list.n; i++)
        if (listed(role, ROLE_DISALLOWED, ROLE_DISALLOWED_GLOB, list.at[i]))
            kind = kt_fail(err, KT_INVALID, "token policy \"%s\" is disallowed by this role",
                           list.at[i]);
    if (kind == KT_OK)
        *ret = list;
    return kind;
}

/* ---- its routes ---- */

enum kt_kind token_role_list(struct request *req, struct kt_err *err)
{
    return named_list(req, scope, NAMED_USERS, err);
}

enum kt_kind token_role_exists(struct request *req, bool *ret_exists, struct kt_err *err)
{
    const struct named which = {scope, request_param(req, "role"), NAMED_USERS};
    struct kt_bytes record = {0};
    generation changed = 0;
    enum kt_kind kind = named_get(req, &which, &record, &changed, err);
    *ret_exists = kind == KT_OK;
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

enum kt_kind token_role_read(struct request *req, struct kt_err *err)
{
    const char *name = NULL;
    struct token_role role;
    generation changed = 0;
    enum kt_kind kind = named_param(req, "role", &name, err);
    if (kind == KT_OK)
        kind = token_role_find(req, name, &role, &changed, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    for (size_t i = 0; i < ROLE_LISTS; i++)
        token_params_list(&w, lists[i].field, &role.lists[i]);
    /* Vault shows these two under their old names in any case. */
    kt_jsonw_kv_int(&w, "explicit_max_ttl", role.params.explicit_max_ttl_s);
    kt_jsonw_kv_text(&w, "name", role.name);
    kt_jsonw_kv_bool(&w, "orphan", role.orphan);
    kt_jsonw_kv_text(&w, "path_suffix", role.path_suffix);
    kt_jsonw_kv_int(&w, "period", role.params.period_s);
    kt_jsonw_kv_bool(&w, "renewable", role.renewable);
    token_params_list(&w, "token_bound_cidrs", &role.params.bound_cidrs);
    if ((role.params.old_names & PARAM_BIT(PARAM_BOUND_CIDRS)) != 0)
        token_params_list(&w, "bound_cidrs", &role.params.bound_cidrs);
    kt_jsonw_kv_int(&w, "token_explicit_max_ttl", role.params.explicit_max_ttl_s);
    kt_jsonw_kv_bool(&w, "token_no_default_policy", role.params.no_default_policy);
    if (role.params.num_uses != 0)
        kt_jsonw_kv_int(&w, "token_num_uses", role.params.num_uses);
    kt_jsonw_kv_int(&w, "token_period", role.params.period_s);
    kt_jsonw_kv_text(&w, "token_type", role.params.service ? "service" : "default-service");
    kt_jsonw_end(&w);
    return KT_OK;
}

static enum kt_kind read_lists(struct request *req, struct token_role *role, struct kt_err *err)
{
    for (size_t i = 0; i < ROLE_LISTS; i++) {
        struct string_list given = {0};
        enum kt_kind kind = request_list(req, lists[i].field, true, &given, err);
        if (kind == KT_OK && lists[i].of_policies)
            kind = policy_names(&req->arena, given.at, given.n, &given, err);
        if (kind == KT_OK && i == ROLE_ALLOWED && policy_names_have(&given, "root"))
            return kt_fail(err, KT_INVALID,
                           "\"allowed_policies\" cannot have \"root\": no role gives a root token");
        if (kind == KT_OK)
            role->lists[i] = given;
        else if (kind != KT_NOT_FOUND)
            return kind;
    }
    return KT_OK;
}

/* It becomes a part of tokens' paths. */
static enum kt_kind check_suffix(const char *suffix, struct kt_err *err)
{
    if (suffix[0] != '\0' && !named_is_name(suffix))
        return kt_fail(err, KT_INVALID,
                       "path_suffix must be a word of small letters, digits, '-', '.' and '_'");
    return KT_OK;
}

static enum kt_kind read_role(struct request *req, struct token_role *role, struct kt_err *err)
{
    static const struct token_params_form form = {
        .fields = PARAM_BIT(PARAM_BOUND_CIDRS) | PARAM_BIT(PARAM_EXPLICIT_MAX_TTL) |
                  PARAM_BIT(PARAM_NO_DEFAULT) | PARAM_BIT(PARAM_NUM_USES) |
                  PARAM_BIT(PARAM_PERIOD) | PARAM_BIT(PARAM_TYPE),
        .old_names = PARAM_BIT(PARAM_BOUND_CIDRS) | PARAM_BIT(PARAM_EXPLICIT_MAX_TTL) |
                     PARAM_BIT(PARAM_PERIOD),
    };
    enum kt_kind kind = request_bool(req, "orphan", &role->orphan, err);
    if (kind == KT_OK || kind == KT_NOT_FOUND)
        kind = request_bool(req, "renewable", &role->renewable, err);
    if (kind == KT_OK || kind == KT_NOT_FOUND)
        kind = request_string(req, "path_suffix", &role->path_suffix, err);
    if (kind == KT_OK || kind == KT_NOT_FOUND)
        kind = check_suffix(role->path_suffix, err);
    if (kind == KT_OK)
        kind = read_lists(req, role, err);
    return kind == KT_OK ? token_params_read(req, &form, &role->params, err) : kind;
}

enum kt_kind token_role_write(struct request *req, struct kt_err *err)
{
    const char *name = NULL;
    struct token_role role = {0};
    generation changed = 0;
    enum kt_kind kind = named_param(req, "role", &name, err);
    if (kind != KT_OK)
        return kind;
    kind = token_role_find(req, name, &role, &changed, err);
    if (kind == KT_NOT_FOUND) {
        role = (struct token_role){.name = name, .path_suffix = "", .renewable = true};
        kind = KT_OK;
    }
    if (kind == KT_OK)
        kind = read_role(req, &role, err);
    if (kind != KT_OK)
        return kind;
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, NAMED_RECORD_MAX);
    write_role(&role, &record);
    return named_put(req, &(const struct named){scope, name, NAMED_USERS}, changed, &record, err);
}

enum kt_kind token_role_delete(struct request *req, struct kt_err *err)
{
    const char *name = NULL;
    struct token_role role;
    generation changed = 0;
    enum kt_kind kind = named_param(req, "role", &name, err);
    if (kind == KT_OK)
        kind = token_role_find(req, name, &role, &changed, err);
    if (kind == KT_NOT_FOUND && name != NULL) /* it is not there: that was asked for */
        return KT_OK;
    if (kind != KT_OK)
        return kind;
    return named_delete(req, &(const struct named){scope, name, NAMED_USERS}, changed, err);
}
