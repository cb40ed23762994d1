#include "vaultd/auth/approle_role.h"

#include <sodium.h>

#include "lib/random.h"
#include "lib/uuid.h"
#include "vaultd/auth/named.h"
#include "vaultd/barrier/format.h"
#include "vaultd/core/jobs.h"

#define FORMAT      1u
#define INDEX_KEY   33u
#define INDEX_MAX   1024u

enum role_flag { ROLE_BIND = 1, ROLE_LOCAL = 2 };

void approle_uuid(char out[APPROLE_UUID])
{
    unsigned char id[KT_UUID_BYTES];
    kt_random(id, sizeof id);
    kt_uuid_mark(id);
    kt_uuid_text(id, out);
    sodium_memzero(id, sizeof id);
}

/* ---- the record ---- */

static void write_role(const struct approle_role *role, struct kt_buf *out)
{
    named_begin(out, FORMAT, role->name);
    kt_buf_add(out, role->id, sizeof role->id);
    kt_buf_add_field(out, kt_str(role->role_id));
    kt_buf_add_u8(out, (uint8_t)((role->bind_secret_id ? ROLE_BIND : 0) |
                                 (role->local_secret_ids ? ROLE_LOCAL : 0)));
    kt_buf_add_i64(out, role->secret_uses);
    kt_buf_add_i64(out, role->secret_ttl_s);
    token_params_write_list(&role->secret_cidrs, out);
    token_params_write(&role->params, out);
}

static void read_1(struct kt_reader *r, struct kt_arena *arena, struct approle_role *ret)
{
    ret->name = kt_arena_text(arena, kt_read_field(r));
    struct kt_bytes id = kt_read_bytes(r, sizeof ret->id);
    if (id.at != NULL)
        memcpy(ret->id, id.at, id.len);
    ret->role_id = kt_arena_text(arena, kt_read_field(r));
    unsigned flags = kt_read_u8(r);
    ret->bind_secret_id = (flags & ROLE_BIND) != 0;
    ret->local_secret_ids = (flags & ROLE_LOCAL) != 0;
    ret->secret_uses = kt_read_i64(r);
    ret->secret_ttl_s = kt_read_i64(r);
    token_params_take_list(r, arena, &ret->secret_cidrs);
    token_params_take(r, arena, &ret->params);
}

typedef void read_fn(struct kt_reader *r, struct kt_arena *arena, struct approle_role *ret);
static read_fn *const readers[] = {[FORMAT] = read_1};

enum kt_kind approle_role_find(struct request *req, const unsigned char scope[BARRIER_SCOPE],
                               const char *name, struct approle_role *ret, struct kt_err *err)
{
    const struct named which = {scope, name, NAMED_USERS};
    struct kt_bytes record = {0};
    *ret = (struct approle_role){.name = name, .role_id = "", .bind_secret_id = true};
    enum kt_kind kind = named_get(req, &which, &record, &ret->changed, err);
    if (kind != KT_OK)
        return kind;
    struct kt_reader r = kt_reader(record);
    unsigned format = kt_read_u8(&r);
    read_fn *read = FORMAT_ROW(readers, format);
    if (read == NULL)
        return format_refuse("an approle role", format, FORMAT, err);
    read(&r, &req->arena, ret);
    if (req->arena.failed)
        return kt_fail(err, KT_NO_MEMORY, "reading a role");
    return kt_reader_done(&r) ? KT_OK : kt_fail(err, KT_CORRUPT, "a role is damaged");
}

enum kt_kind approle_role_named(struct request *req, struct approle_role *ret, struct kt_err *err)
{
    const char *name = NULL;
    enum kt_kind kind = named_param(req, "role", &name, err);
    if (kind != KT_OK)
        return kind;
    kind = approle_role_find(req, req->mount->scope, name, ret, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_NOT_FOUND, "role \"%s\" does not exist", name);
    return kind;
}

static const char *key_name(const struct approle_role *role)
{
    return role->name[0] == '\0' ? NAMED_NOBODY : role->name;
}

enum kt_kind approle_role_require(struct request *req, const unsigned char scope[BARRIER_SCOPE],
                                  const struct approle_role *role, struct kt_err *err)
{
    const struct named which = {scope, key_name(role), NAMED_USERS};
    return named_require(req, &which, role->changed, err);
}

static enum kt_kind put_role(struct request *req, const struct approle_role *role,
                             struct kt_err *err)
{
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, NAMED_RECORD_MAX);
    write_role(role, &record);
    const struct named which = {req->mount->scope, key_name(role), NAMED_USERS};
    return named_put(req, &which, role->changed, &record, err);
}

/* ---- from a role id to its role ---- */

static void index_key(struct request *req, const char *role_id, unsigned char key[INDEX_KEY])
{
    unsigned char hash[BARRIER_HASH_KEY];
    barrier_hash_key_anew(req->core->barrier, TABLE_ROLE_ID, kt_str(role_id), hash);
    key[0] = TABLE_ROLE_ID;
    memcpy(key + 1, req->mount->scope, BARRIER_SCOPE);
    memcpy(key + 1 + BARRIER_SCOPE, hash + 1, 16);
}

static enum kt_kind index_put(struct request *req, const char *role_id, const char *name,
                              struct kt_err *err)
{
    unsigned char key[INDEX_KEY];
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "writing a role");
    index_key(req, role_id, key);
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, INDEX_MAX);
    kt_buf_add_u8(&record, 1);
    kt_buf_add_field(&record, kt_str(name));
    if (!kt_buf_ok(&record))
        return kt_fail(err, KT_NO_MEMORY, "writing a role");
    batch_require(batch, KEY_ABSENT, kt_bytes(key, sizeof key), 0);
    return barrier_put(req->core->barrier, batch, kt_bytes(key, sizeof key), kt_buf_bytes(&record),
                       err);
}

static void index_delete(struct request *req, const char *role_id)
{
    unsigned char key[INDEX_KEY];
    index_key(req, role_id, key);
    batch_delete(req->batch, kt_bytes(key, sizeof key));
}

static enum kt_kind index_look(struct request *req, const char *role_id, struct entry *ret,
                               struct kt_err *err)
{
    unsigned char key[INDEX_KEY];
    index_key(req, role_id, key);
    enum store_error found = snapshot_get(req->snapshot, kt_bytes(key, sizeof key), ret);
    if (found == STORE_NOT_FOUND)
        return KT_NOT_FOUND;
    return found == STORE_OK ? KT_OK : kt_fail(err, KT_IO, "reading the roles");
}

static enum kt_kind index_open(struct request *req, const char *role_id, const struct entry *entry,
                               const char **ret, struct kt_err *err)
{
    unsigned char key[INDEX_KEY];
    index_key(req, role_id, key);
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, INDEX_MAX);
    enum kt_kind kind = barrier_open_entry(req->core->barrier, kt_bytes(key, sizeof key),
                                           entry->value, &plain, err);
    if (kind != KT_OK)
        return kind;
    struct kt_reader r = kt_reader(kt_buf_bytes(&plain));
    unsigned format = kt_read_u8(&r);
    if (format != 1)
        return format_refuse("a role id", format, 1, err);
    *ret = kt_arena_text(&req->arena, kt_read_field(&r));
    if (!kt_reader_done(&r))
        return kt_fail(err, KT_CORRUPT, "a role id's record is damaged");
    return *ret == NULL ? kt_fail(err, KT_NO_MEMORY, "reading the roles") : KT_OK;
}

/* Both are looked up whatever is found, and one of them is opened. */
enum kt_kind approle_role_of_id(struct request *req, const char *role_id, struct approle_role *ret,
                                bool *ret_known, struct kt_err *err)
{
    struct entry wanted = {0}, nobody = {0};
    const char *name = NULL;
    enum kt_kind known = index_look(req, role_id, &wanted, err);
    enum kt_kind kind = index_look(req, "", &nobody, err);
    if (known != KT_OK && known != KT_NOT_FOUND)
        return known;
    if (kind != KT_OK)
        return kind;
    *ret_known = known == KT_OK;
    kind = index_open(req, *ret_known ? role_id : "", *ret_known ? &wanted : &nobody, &name, err);
    if (kind != KT_OK)
        return kind;
    kind = approle_role_find(req, req->mount->scope, name, ret, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_CORRUPT, "a role id has no role");
    return kind;
}

/* With the first role of a mount, once. */
static enum kt_kind put_nobody(struct request *req, struct kt_err *err)
{
    struct approle_role nobody;
    char role_id[APPROLE_UUID];
    enum kt_kind kind = approle_role_find(req, req->mount->scope, NAMED_NOBODY, &nobody, err);
    if (kind != KT_NOT_FOUND)
        return kind;
    approle_uuid(role_id);
    kt_random(nobody.id, sizeof nobody.id);
    nobody.name = "";
    nobody.role_id = role_id; /* as long as everybody's */
    kind = put_role(req, &nobody, err);
    return kind == KT_OK ? index_put(req, "", NAMED_NOBODY, err) : kind;
}

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

static enum kt_kind read_own(struct request *req, unsigned which, struct approle_role *role,
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

static void show_own(struct kt_jsonw *w, unsigned which, const struct approle_role *role)
{
    for (unsigned i = 0; i < OWN_COUNT; i++)
        if ((which & (1u << i)) != 0)
            own[i].show(w, own[i].name, (const unsigned char *)role + own[i].offset);
}

/* A role that anybody may log in with who knows its role id has to be bound to somewhere. */
static enum kt_kind check_bound(const struct approle_role *role, struct kt_err *err)
{
    if (role->bind_secret_id || role->secret_cidrs.n > 0 || role->params.bound_cidrs.n > 0)
        return KT_OK;
    return kt_fail(err, KT_INVALID, "at least one constraint should be enabled on the role");
}

/* ---- a whole role ---- */

#define OWN_ALL ((1u << OWN_COUNT) - 1)

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

/* Reading what is not there is 404 without a text. */
static enum kt_kind role_to_read(struct request *req, struct approle_role *ret, struct kt_err *err)
{
    const char *name = NULL;
    enum kt_kind kind = named_param(req, "role", &name, err);
    return kind == KT_OK ? approle_role_find(req, req->mount->scope, name, ret, err) : kind;
}

enum kt_kind approle_role_read(struct request *req, struct kt_err *err)
{
    struct approle_role role;
    enum kt_kind kind = role_to_read(req, &role, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    show_own(&w, OWN_ALL, &role);
    token_params_show(&w, &token_params_of_login, &role.params);
    kt_jsonw_end(&w);
    return KT_OK;
}

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

/* Puts the role under another role id; the old one is nobody's from then on. */
static enum kt_kind change_role_id(struct request *req, struct approle_role *role,
                                   const char *role_id, struct kt_err *err)
{
    struct entry entry;
    if (strcmp(role->role_id, role_id) == 0)
        return KT_OK;
    enum kt_kind kind = index_look(req, role_id, &entry, err);
    if (kind == KT_OK)
        return kt_fail(err, KT_INVALID, "role_id already in use");
    if (kind == KT_NOT_FOUND)
        kind = index_put(req, role_id, role->name, err);
    if (kind == KT_OK && role->role_id[0] != '\0')
        index_delete(req, role->role_id);
    role->role_id = role_id;
    return kind;
}

static enum kt_kind begin_role(struct request *req, struct approle_role *role, const char **ret_id,
                               struct kt_err *err)
{
    char *role_id = kt_arena_take(&req->arena, APPROLE_UUID);
    if (role_id == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making a role");
    kt_random(role->id, sizeof role->id);
    approle_uuid(role_id);
    *ret_id = role_id;
    return put_nobody(req, err);
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
        kind = begin_role(req, &role, &role_id, err);
    else
        role_id = role.role_id;
    if (kind == KT_OK)
        kind = read_own(req, OWN_ALL, &role, err);
    if (kind == KT_OK)
        kind = token_params_read(req, &token_params_of_login, &role.params, err);
    if (kind == KT_OK)
        kind = check_bound(&role, err);
    if (kind == KT_OK && role.changed != 0 && role.local_secret_ids != local)
        kind = kt_fail(err, KT_INVALID, "local_secret_ids can only be set when a role is made");
    if (kind == KT_OK)
        kind = read_role_id(req, &role_id, err);
    if (kind == KT_OK)
        kind = change_role_id(req, &role, role_id, err);
    return kind == KT_OK ? put_role(req, &role, err) : kind;
}

enum kt_kind approle_role_delete(struct request *req, struct kt_err *err)
{
    struct approle_role role = {.name = NULL};
    unsigned char subject[BARRIER_SCOPE + APPROLE_ID];
    enum kt_kind kind = role_to_read(req, &role, err);
    if (kind == KT_NOT_FOUND && role.name != NULL)
        return KT_OK;
    if (kind != KT_OK)
        return kind;
    const struct named which = {req->mount->scope, role.name, NAMED_USERS};
    kind = named_delete(req, &which, role.changed, err);
    if (kind != KT_OK)
        return kind;
    index_delete(req, role.role_id);
    memcpy(subject, req->mount->scope, BARRIER_SCOPE);
    memcpy(subject + BARRIER_SCOPE, role.id, APPROLE_ID);
    return job_put(req->core, req->batch, JOB_ROLE, role.id, kt_bytes(subject, sizeof subject), err);
}

/* ---- its role id ---- */

enum kt_kind approle_role_id_read(struct request *req, struct kt_err *err)
{
    struct approle_role role;
    enum kt_kind kind = role_to_read(req, &role, err);
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
        kind = change_role_id(req, &role, role_id, err);
    return kind == KT_OK ? put_role(req, &role, err) : kind;
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
        kind = role_to_read(req, &role, err);
    if (kind != KT_OK)
        return kind;
    const struct token_params_form form = {single->param, single->param};
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    if (single->shown_as != NULL)
        show_cidrs(&w, single->shown_as, &role.secret_cidrs);
    else
        show_own(&w, single->own, &role);
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
    kind = read_own(req, single->own, &role, err);
    if (kind == KT_OK)
        kind = token_params_read(req, &form, &role.params, err);
    if (kind == KT_OK)
        kind = check_bound(&role, err);
    return kind == KT_OK ? put_role(req, &role, err) : kind;
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
    kind = check_bound(&role, err);
    return kind == KT_OK ? put_role(req, &role, err) : kind;
}
