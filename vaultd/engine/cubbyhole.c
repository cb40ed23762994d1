#include "vaultd/engine/cubbyhole.h"

#include <sodium.h>

#include "vaultd/auth/held.h"
#include "vaultd/auth/wrapping.h"
#include "vaultd/engine/kv_clear.h"
#include "vaultd/engine/kv_record.h"

#define VALUE_MAX ((size_t)512 * 1024)

/* Names hang from the token's hash as those of a KV mount hang from the mount; the value's key
 * comes from the token's text, which only its bearer has. */

static void scope_mount(const unsigned char token_hash[32], struct mount *ret)
{
    *ret = (struct mount){.path = "cubbyhole/"};
    memcpy(ret->scope, token_hash, sizeof ret->scope);
}

static void value_key(struct request *req, const struct mount *scope, const char *path,
                      unsigned char key[BARRIER_NAME_KEY])
{
    barrier_name_key(req->core->barrier, TABLE_CUBBY, scope->scope, kt_str(path), key);
}

static void held_name(struct request *req, const char *path, unsigned char name[BARRIER_HASH_KEY])
{
    barrier_hash_key(req->core->barrier, TABLE_HELD, kt_str(path), name);
}

static void layer_key(struct request *req, unsigned char key[32])
{
    barrier_derive(req->core->barrier, "kt/cubby/1", req->token_text, key);
}

/* The old way to unwrap: all that a wrapping token may read here is "response". */
static enum kt_kind read_wrapped(struct request *req, struct kt_err *err)
{
    const struct wrapping wrapping = {.text = req->token_text, .token = req->token};
    struct wrapped wrapped;
    enum kt_kind kind = wrapping_take(req, &wrapping, &wrapped, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "response");
    kt_jsonw_bytes(&w, wrapped.body);
    kt_jsonw_end(&w);
    request_warn(req, "reading 'cubbyhole/response' is deprecated: unwrap with 'sys/wrapping/unwrap'");
    return KT_OK;
}

static enum kt_kind cubby_read(struct request *req, struct kt_err *err)
{
    if (req->token->wraps)
        return read_wrapped(req, err);
    struct mount scope;
    scope_mount(req->token->hash, &scope);
    unsigned char key[BARRIER_NAME_KEY], layer[32];
    value_key(req, &scope, request_param(req, "path"), key);
    struct entry entry;
    enum store_error found = snapshot_get(req->snapshot, kt_bytes(key, sizeof key), &entry);
    if (found == STORE_NOT_FOUND)
        return kt_fail(err, KT_NOT_FOUND, "%s", "");
    if (found != STORE_OK)
        return kt_fail(err, KT_IO, "reading a cubbyhole");
    layer_key(req, layer);
    enum kt_kind kind =
        kv_value_open(layer, kt_bytes(key, sizeof key), entry.value, &req->reply.data, err);
    sodium_memzero(layer, sizeof layer);
    return kind;
}

static enum kt_kind cubby_exists(struct request *req, bool *ret_exists, struct kt_err *err)
{
    if (req->token->wraps) { /* its answer, which it may not replace */
        *ret_exists = true;
        return KT_OK;
    }
    struct mount scope;
    scope_mount(req->token->hash, &scope);
    unsigned char key[BARRIER_NAME_KEY];
    value_key(req, &scope, request_param(req, "path"), key);
    struct entry entry;
    enum store_error found = snapshot_get(req->snapshot, kt_bytes(key, sizeof key), &entry);
    if (found != STORE_OK && found != STORE_NOT_FOUND)
        return kt_fail(err, KT_IO, "reading a cubbyhole");
    *ret_exists = found == STORE_OK;
    return KT_OK;
}

/* What is written after the token ended would stay for ever. */
static void require_token(struct request *req, struct batch *batch)
{
    unsigned char key[BARRIER_HASH_KEY] = {TABLE_TOKEN};
    memcpy(key + 1, req->token->hash, sizeof req->token->hash);
    batch_require(batch, KEY_CHANGED_AT, kt_bytes(key, sizeof key), req->token->changed);
}

static enum kt_kind cubby_write(struct request *req, struct kt_err *err)
{
    if (!req->has_data) {
        req->reply.status = 500;  /* Vault's own status for this one */
        return kt_fail(err, KT_INVALID, "missing data fields");
    }
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "writing a cubbyhole");
    struct mount scope;
    scope_mount(req->token->hash, &scope);
    unsigned char key[BARRIER_NAME_KEY], layer[32];
    value_key(req, &scope, request_param(req, "path"), key);
    kt_autobuf struct kt_buf text, sealed;
    kt_buf_init(&text, VALUE_MAX);
    kt_buf_init(&sealed, VALUE_MAX + 256);
    if (!kt_json_compact(req->data, &text) && !text.full)
        return kt_fail(err, KT_NO_MEMORY, "writing a cubbyhole");
    if (text.full)
        return kt_fail(err, KT_INVALID, "the data are larger than %zu KiB", VALUE_MAX / 1024);
    layer_key(req, layer);
    enum kt_kind kind = kv_value_seal(layer, kt_bytes(key, sizeof key), kt_buf_bytes(&text),
                                      &sealed, err);
    sodium_memzero(layer, sizeof layer);
    if (kind != KT_OK)
        return kind;
    batch_put(batch, kt_bytes(key, sizeof key), kt_buf_bytes(&sealed));
    require_token(req, batch);
    unsigned char name[BARRIER_HASH_KEY];
    held_name(req, request_param(req, "path"), name);
    kind = held_put(req, req->token->hash, name + 1, sealed.len, err);
    if (kind != KT_OK)
        return kind;
    return kv_name_add(req->core, &scope, req->snapshot, batch, request_param(req, "path"), err);
}

static enum kt_kind cubby_delete(struct request *req, struct kt_err *err)
{
    bool exists = false;
    enum kt_kind kind = cubby_exists(req, &exists, err);
    if (kind != KT_OK || !exists)
        return kind;
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "deleting from a cubbyhole");
    struct mount scope;
    scope_mount(req->token->hash, &scope);
    unsigned char key[BARRIER_NAME_KEY];
    value_key(req, &scope, request_param(req, "path"), key);
    batch_delete(batch, kt_bytes(key, sizeof key));
    unsigned char name[BARRIER_HASH_KEY];
    held_name(req, request_param(req, "path"), name);
    held_delete(batch, req->token->hash, name + 1);
    return kv_name_remove(req->core, &scope, req->snapshot, batch, request_param(req, "path"), NULL,
                          err);
}

static enum kt_kind cubby_list(struct request *req, struct kt_err *err)
{
    struct mount scope;
    scope_mount(req->token->hash, &scope);
    const char *folder = request_param(req, "path");
    size_t len = strlen(folder);
    if (len > 0 && folder[len - 1] != '/')
        folder = kt_arena_printf(&req->arena, "%s/", folder);
    if (folder == NULL)
        return kt_fail(err, KT_NO_MEMORY, "listing a cubbyhole");
    return kv_name_list(req, &scope, folder, err);
}

enum kt_kind cubbyhole_clear(struct job_step *step, const unsigned char token_hash[32],
                             bool *ret_done, struct kt_err *err)
{
    struct mount scope;
    scope_mount(token_hash, &scope);
    enum kt_kind kind = kv_clear(step, TABLE_CUBBY, scope.scope, ret_done, err);
    return kind == KT_OK && *ret_done ? held_clear(step, token_hash, ret_done, err) : kind;
}

static const struct route routes[] = {
    {.pattern = "", .list = cubby_list, .help = "Lists what is in it."},
    {.pattern = "{path...}",
     .flags = ROUTE_ANY_FIELDS,
     .read = cubby_read,
     .write = cubby_write,
     .delete_ = cubby_delete,
     .list = cubby_list,
     .exists = cubby_exists,
     .help = "Storage that only this token sees, gone with it."},
};

const struct engine cubbyhole_engine = {
    .type = "cubbyhole",
    .help = "Storage private to a token.",
    .routes = routes,
    .n_routes = sizeof routes / sizeof routes[0],
};
