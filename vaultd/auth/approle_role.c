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
    memcpy(ret->scope, scope, BARRIER_SCOPE);
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

enum kt_kind approle_role_to_read(struct request *req, struct approle_role *ret, struct kt_err *err)
{
    const char *name = NULL;
    enum kt_kind kind = named_param(req, "role", &name, err);
    return kind == KT_OK ? approle_role_find(req, req->mount->scope, name, ret, err) : kind;
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

enum kt_kind approle_role_put(struct request *req, const struct approle_role *role,
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
    kind = approle_role_put(req, &nobody, err);
    return kind == KT_OK ? index_put(req, "", NAMED_NOBODY, err) : kind;
}

/* ---- made, put under another role id, ended ---- */

enum kt_kind approle_role_begin(struct request *req, struct approle_role *role, const char **ret_id,
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

enum kt_kind approle_role_identify(struct request *req, struct approle_role *role,
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

enum kt_kind approle_role_drop(struct request *req, const struct approle_role *role, struct kt_err *err)
{
    unsigned char subject[BARRIER_SCOPE + APPROLE_ID];
    const struct named which = {req->mount->scope, role->name, NAMED_USERS};
    enum kt_kind kind = named_delete(req, &which, role->changed, err);
    if (kind != KT_OK)
        return kind;
    index_delete(req, role->role_id);
    memcpy(subject, req->mount->scope, BARRIER_SCOPE);
    memcpy(subject + BARRIER_SCOPE, role->id, APPROLE_ID);
    return job_put(req->core, req->batch, JOB_ROLE, role->id, kt_bytes(subject, sizeof subject), err);
}
