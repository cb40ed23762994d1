#include "lib/num.h"
#include "vaultd/engine/kv_handlers.h"
#include "vaultd/engine/kv_record.h"
#include "vaultd/rotation/rotation.h"

enum kt_kind kv_load_named(struct request *req, struct kv_secret **ret, struct kt_err *err)
{
    return kv_load(req->core, req->mount, req->snapshot, &req->arena, request_param(req, "path"),
                   ret, err);
}

enum kt_kind kv_exists(struct request *req, bool *ret_exists, struct kt_err *err)
{
    unsigned char key[KV_KEY];
    kv_key(req->core, req->mount, request_param(req, "path"), 0, key);
    struct entry entry;
    enum store_error found = snapshot_get(req->snapshot, kt_bytes(key, sizeof key), &entry);
    if (found != STORE_OK && found != STORE_NOT_FOUND)
        return kt_fail(err, KT_IO, "reading a secret");
    *ret_exists = found == STORE_OK;
    return KT_OK;
}

void kv_write_version_members(struct kt_jsonw *w, const struct kv_secret *secret,
                              const struct kv_version *version, bool with_custom)
{
    KT_JSONW_NAME(w, "created_time");
    kt_jsonw_time(w, version->created_ms);
    if (with_custom) {
        KT_JSONW_NAME(w, "custom_metadata");
        if (secret->custom_metadata.len == 0)
            kt_jsonw_null(w);
        else
            kt_jsonw_raw(w, secret->custom_metadata);
    }
    KT_JSONW_NAME(w, "deletion_time");
    kt_jsonw_time(w, kv_version_ends(secret, version));
    KT_JSONW_NAME(w, "destroyed");
    kt_jsonw_bool(w, version->destroyed);
    KT_JSONW_NAME(w, "version");
    kt_jsonw_int(w, version->number);
}

static void write_version(struct kt_jsonw *w, const char *key, const struct kv_secret *secret,
                          const struct kv_version *version)
{
    kt_jsonw_key(w, key);
    kt_jsonw_object(w);
    kv_write_version_members(w, secret, version, true);
    kt_jsonw_end(w);
}

/* ---- reading ---- */

/* The version asked for; absent, 0 and negative mean the current one. */
static enum kt_kind wanted_version(struct request *req, const struct kv_secret *secret,
                                   const struct kv_version **ret, struct kt_err *err)
{
    int64_t number = 0;
    enum kt_kind kind = request_int(req, "version", &number, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    uint32_t wanted = number <= 0           ? secret->current
                      : number > UINT32_MAX ? 0
                                            : (uint32_t)number;
    const struct kv_version *version = wanted == 0 ? NULL : kv_version(secret, wanted);
    if (version == NULL)
        return kt_fail(err, KT_NOT_FOUND, "%s", "");
    *ret = version;
    return KT_OK;
}

/* A deleted version is a 404 that still tells its metadata, as in Vault. */
static enum kt_kind answer_deleted(struct request *req, const struct kv_secret *secret,
                                   const struct kv_version *version, const char *member)
{
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_null(&w, member);
    write_version(&w, "metadata", secret, version);
    kt_jsonw_end(&w);
    req->reply.status = 404;
    return KT_OK;
}

static enum kt_kind find_version(struct request *req, struct kv_secret **ret_secret,
                                 const struct kv_version **ret, struct kt_err *err)
{
    enum kt_kind kind = kv_load_named(req, ret_secret, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_NOT_FOUND, "%s", "");
    return kind == KT_OK ? wanted_version(req, *ret_secret, ret, err) : kind;
}

/* Opens the answer's object up to the place where the caller appends the member's value itself. */
static void begin_value(struct kt_jsonw *w, const char *member)
{
    kt_jsonw_object(w);
    kt_jsonw_key(w, member);
    kt_jsonw_raw(w, kt_bytes(NULL, 0));
}

/* A version's value never changes, and what is told of it changes with the metadata's record. */
static struct kt_bytes answer_key(struct request *req, const struct kv_secret *secret,
                                  const struct kv_version *version)
{
    unsigned char *key = kt_arena_take(&req->arena, KV_KEY + 8);
    if (key == NULL)
        return kt_bytes(NULL, 0);
    kv_key(req->core, req->mount, request_param(req, "path"), version->number, key);
    kt_put_u64(key + KV_KEY, secret->changed);
    return kt_bytes(key, KV_KEY + 8);
}

enum kt_kind kv_read(struct request *req, struct kt_err *err)
{
    struct kv_secret *secret = NULL;
    const struct kv_version *version = NULL;
    enum kt_kind kind = find_version(req, &secret, &version, err);
    if (kind != KT_OK)
        return kind;
    if (kv_version_deleted(secret, version, req->now_ms))
        return answer_deleted(req, secret, version, "data");
    /* The value goes straight into the answer: it is stored as it is sent. */
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    begin_value(&w, "data");
    kind = kv_value(req->core, req->mount, req->snapshot, request_param(req, "path"), version,
                    &req->reply.data, err);
    if (kind != KT_OK)
        return kind;
    write_version(&w, "metadata", secret, version);
    kt_jsonw_end(&w);
    req->reply.key = answer_key(req, secret, version);
    if (secret->has_driver)
        rotation_note_read(req, req->mount, request_param(req, "path"), version->number);
    return KT_OK;
}

enum kt_kind kv_subkeys(struct request *req, struct kt_err *err)
{
    int64_t depth = 0;
    enum kt_kind kind = request_int(req, "depth", &depth, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    struct kv_secret *secret = NULL;
    const struct kv_version *version = NULL;
    kind = find_version(req, &secret, &version, err);
    if (kind != KT_OK)
        return kind;
    if (kv_version_deleted(secret, version, req->now_ms))
        return answer_deleted(req, secret, version, "subkeys");
    kt_autobuf struct kt_buf value;
    kt_buf_init(&value, KV_DATA_MAX);
    kind = kv_value(req->core, req->mount, req->snapshot, request_param(req, "path"), version,
                    &value, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    begin_value(&w, "subkeys");
    if (!kt_json_subkeys(kt_json_value(kt_buf_bytes(&value)), depth < 0 ? 0 : (unsigned)depth,
                         &req->reply.data))
        return kt_fail(err, KT_NO_MEMORY, "reading a secret's names");
    write_version(&w, "metadata", secret, version);
    kt_jsonw_end(&w);
    return KT_OK;
}

/* ---- writing ---- */

/* options.cas: KT_NOT_FOUND when it is absent. */
static enum kt_kind read_cas(struct request *req, int64_t *ret, struct kt_err *err)
{
    struct kt_json options, cas;
    if (request_member(req, "options", &options) != KT_OK ||
        kt_json_type(options) == KT_JSON_NULL)
        return KT_NOT_FOUND;
    if (kt_json_type(options) != KT_JSON_OBJECT)
        return kt_fail(err, KT_INVALID, "\"options\" must be an object");
    if (!kt_json_member(options, "cas", &cas) || kt_json_type(cas) == KT_JSON_NULL)
        return KT_NOT_FOUND;
    char *text = kt_json_text(cas, &req->arena);
    bool ok = text != NULL ? kt_i64_parse(kt_str(text), 0, INT64_MAX, ret)
                           : kt_json_i64(cas, ret) && *ret >= 0;
    return ok ? KT_OK : kt_fail(err, KT_INVALID, "error parsing check-and-set parameter");
}

static enum kt_kind check_cas(struct request *req, const struct kv_secret *secret,
                              struct kt_err *err)
{
    int64_t wanted = -1;
    enum kt_kind kind = read_cas(req, &wanted, err);
    if (kind == KT_NOT_FOUND) {
        struct kv_settings settings;
        kind = kv_settings_load(req->core, req->mount, req->snapshot, &settings, NULL, err);
        if (kind == KT_OK && (settings.cas_required || secret->cas_required))
            return kt_fail(err, KT_INVALID, "check-and-set parameter required for this call");
        return kind;
    }
    if (kind != KT_OK)
        return kind;
    if (wanted != (int64_t)secret->newest) {
        (void)kt_fail(err, KT_INVALID,
                      "check-and-set parameter did not match the current version");
        kt_hint(err, "the current version is %u: read it, then write with cas=%u", secret->newest,
                secret->newest);
        return KT_INVALID;
    }
    return KT_OK;
}

/* A rotated secret's value is what a target accepts: writing another one by hand would make the
 * vault hand out a password that nobody accepts. */
static enum kt_kind refuse_driven(struct request *req, const struct kv_secret *secret,
                                  struct kt_err *err)
{
    if (!secret->has_driver)
        return KT_OK;
    return rotation_allows(req, req->mount, request_param(req, "path"), secret, ROTATION_WRITE, 0,
                           err);
}

static enum kt_kind store_version(struct request *req, struct kv_secret *secret,
                                  struct kt_bytes data, struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "writing a secret");
    enum kt_kind kind = kv_write(req->core, req->mount, req->snapshot, batch,
                                 request_param(req, "path"), secret, data, KV_CURRENT, req->now_ms,
                                 err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kv_write_version_members(&w, secret, kv_version(secret, secret->newest), true);
    kt_jsonw_end(&w);
    return KT_OK;
}

static enum kt_kind data_member(struct request *req, struct kt_json *ret, struct kt_err *err)
{
    if (request_member(req, "data", ret) != KT_OK)
        return kt_fail(err, KT_INVALID, "no data provided");
    enum kt_json_type type = kt_json_type(*ret);
    if (type != KT_JSON_OBJECT && type != KT_JSON_NULL)
        return kt_fail(err, KT_INVALID, "\"data\" must be an object");
    return KT_OK;
}

enum kt_kind kv_put(struct request *req, struct kt_err *err)
{
    struct kt_json data;
    enum kt_kind kind = data_member(req, &data, err);
    if (kind != KT_OK)
        return kind;
    struct kv_secret *secret = NULL;
    kind = kv_load_named(req, &secret, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    kind = refuse_driven(req, secret, err);
    if (kind == KT_OK)
        kind = check_cas(req, secret, err);
    if (kind != KT_OK)
        return kind;
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, (size_t)2 * 1024 * 1024);
    if (!kt_json_compact(data, &text))
        return kt_fail(err, KT_NO_MEMORY, "writing a secret");
    return store_version(req, secret, kt_buf_bytes(&text), err);
}

enum kt_kind kv_patch(struct request *req, struct kt_err *err)
{
    struct kt_json data;
    enum kt_kind kind = data_member(req, &data, err);
    if (kind != KT_OK)
        return kind;
    struct kv_secret *secret = NULL;
    kind = kv_load_named(req, &secret, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    const struct kv_version *version =
        secret->current == 0 ? NULL : kv_version(secret, secret->current);
    if (kind == KT_NOT_FOUND || version == NULL) {
        req->reply.form = REPLY_RAW;
        req->reply.status = 404;
        return KT_OK;
    }
    if (kv_version_deleted(secret, version, req->now_ms)) {
        struct kt_jsonw w = kt_jsonw(&req->reply.data);
        kt_jsonw_object(&w);
        kv_write_version_members(&w, secret, version, true);
        kt_jsonw_end(&w);
        req->reply.status = 404;
        return KT_OK;
    }
    kind = refuse_driven(req, secret, err);
    if (kind == KT_OK)
        kind = check_cas(req, secret, err);
    kt_autobuf struct kt_buf old, text;
    kt_buf_init(&old, (size_t)2 * 1024 * 1024);
    kt_buf_init(&text, (size_t)2 * 1024 * 1024);
    if (kind == KT_OK)
        kind = kv_value(req->core, req->mount, req->snapshot, request_param(req, "path"), version,
                        &old, err);
    if (kind != KT_OK)
        return kind;
    if (!kt_json_merge_patch(kt_json_value(kt_buf_bytes(&old)), data, &text))
        return kt_fail(err, KT_NO_MEMORY, "patching a secret");
    return store_version(req, secret, kt_buf_bytes(&text), err);
}
