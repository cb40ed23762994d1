/* Versions that come from another vault keep their numbers, times and states: one commit a request, which
 * adds to what is there, or comes in its place ("replace"), or, when that is not what the sender takes it for
 * (cas), does nothing. */
#include "lib/cleanup.h"
#include "vaultd/engine/kv_clear.h"
#include "vaultd/engine/kv_handlers.h"
#include "vaultd/engine/kv_record.h"
#include "vaultd/rotation/rotation.h"

#define IMPORT_MAX   25u   /* a name of 31 segments takes 61 of the batch's 100 operations */
#define IMPORT_BYTES ((size_t)900 * 1024) /* of a batch's 1 MiB; the metadata is in it, too */
#define TOTAL_MAX    1000u
#define CLEARED_MAX  20u /* records of what was there before that go in this commit; the others are a job's */

static enum kt_kind wrong_version(struct kt_err *err, size_t at, const char *why)
{
    return kt_fail(err, KT_INVALID, "\"versions\", entry %zu: %s", at + 1, why);
}

/* "" and absent: 0. */
static bool read_time(struct kt_json object, const char *name, int64_t *ret_ms)
{
    struct kt_json value = {0};
    char text[64];
    kt_autobuf struct kt_buf out;
    kt_buf_init_in(&out, sizeof text, text, sizeof text);
    if (!kt_json_member(object, name, &value) || kt_json_type(value) == KT_JSON_NULL)
        return true;
    if (!kt_json_string(value, &out))
        return false;
    return out.len == 0 || kt_time_parse(kt_buf_text(&out), out.len, ret_ms);
}

static bool read_version(struct kt_json entry, struct kv_version *ret, struct kt_json *ret_data)
{
    struct kt_json value = {0};
    int64_t number = 0;
    if (!kt_json_member(entry, "version", &value) || !kt_json_i64(value, &number) || number < 1 ||
        number >= UINT32_MAX)
        return false;
    ret->number = (uint32_t)number;
    (void)kt_json_member(entry, "data", ret_data);
    if (kt_json_member(entry, "destroyed", &value) && !kt_json_bool(value, &ret->destroyed))
        return false;
    return read_time(entry, "created_time", &ret->created_ms) &&
           read_time(entry, "deletion_time", &ret->deletion_ms);
}

static enum kt_kind append(struct request *req, struct kv_secret *secret, struct kt_json entry,
                           size_t at, size_t *bytes, struct kt_err *err)
{
    struct kv_version version = {0};
    struct kt_json data = {0};
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, 2 * KV_DATA_MAX);
    if (!read_version(entry, &version, &data))
        return wrong_version(err, at, "needs a version number; times are RFC 3339, destroyed is a boolean");
    enum kt_json_type type = kt_json_type(data);
    bool gone = version.destroyed || (version.deletion_ms != 0 && version.deletion_ms <= req->now_ms);
    if (type != KT_JSON_OBJECT && type != KT_JSON_NULL && type != KT_JSON_NONE)
        return wrong_version(err, at, "\"data\" must be an object");
    if (version.number <= secret->newest)
        return wrong_version(err, at, "numbers ascend, from the current version on");
    if (type == KT_JSON_NONE && !gone)
        return wrong_version(err, at, "only a deleted or destroyed version comes without \"data\"");
    if (version.destroyed && type == KT_JSON_OBJECT)
        return wrong_version(err, at, "a destroyed version has no \"data\"");
    version.deleted = gone && !version.destroyed;
    if (version.created_ms == 0)
        version.created_ms = req->now_ms;
    bool valued = type == KT_JSON_OBJECT || (type == KT_JSON_NULL && !gone);
    if (valued && !kt_json_compact(data, &text))
        return text.full ? wrong_version(err, at, "the secret is larger than 512 KiB")
                         : kt_fail(err, KT_NO_MEMORY, "bringing a secret in");
    *bytes += text.len;
    if (*bytes > IMPORT_BYTES)
        return wrong_version(err, at, "more than 900 KiB in one request: send the rest in another one");
    return kv_append(req->core, req->mount, request_batch(req), request_param(req, "path"), secret,
                     &version, valued ? kt_buf_bytes(&text) : kt_bytes(NULL, 0), err);
}

/* Room for what comes, behind what is there. */
static enum kt_kind make_room(struct request *req, struct kv_secret *secret, size_t more, struct kt_err *err)
{
    if (more > IMPORT_MAX)
        return kt_fail(err, KT_INVALID, "\"versions\" has more than %u entries: send the rest in another request",
                       IMPORT_MAX);
    if (secret->n_versions + more > TOTAL_MAX)
        return kt_fail(err, KT_INVALID, "the secret would have more than %u versions", TOTAL_MAX);
    struct kv_version *versions =
        kt_arena_take(&req->arena, (secret->n_versions + more + 1) * sizeof *versions);
    if (versions == NULL)
        return kt_fail(err, KT_NO_MEMORY, "bringing a secret in");
    for (size_t i = 0; i < secret->n_versions; i++)
        versions[i] = secret->versions[i];
    secret->versions = versions;
    return KT_OK;
}

static enum kt_kind append_all(struct request *req, struct kv_secret *secret, struct kt_err *err)
{
    struct kt_json list = {0};
    size_t at = 0, bytes = 0;
    if (request_member(req, "versions", &list) != KT_OK || kt_json_type(list) == KT_JSON_NULL)
        return KT_OK;
    if (kt_json_type(list) != KT_JSON_ARRAY)
        return kt_fail(err, KT_INVALID, "\"versions\" must be an array");
    enum kt_kind kind = make_room(req, secret, kt_json_count(list), err);
    struct kt_json_iter it = kt_json_iter(list);
    for (; kind == KT_OK && kt_json_next(&it); at++)
        kind = append(req, secret, it.value, at, &bytes, err);
    return kind;
}

static enum kt_kind check_cas(struct request *req, const struct kv_secret *secret, struct kt_err *err)
{
    int64_t cas = -1;
    enum kt_kind kind = request_int(req, "cas", &cas, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_INVALID, "\"cas\" is required: the secret's current version here, 0 for none");
    if (kind == KT_OK && cas != (int64_t)secret->newest) {
        (void)kt_fail(err, KT_INVALID, "check-and-set parameter did not match the current version");
        kt_hint(err, "the current version is %u", secret->newest);
        return KT_INVALID;
    }
    return kind;
}

/* When the secret was made and last written: as it is said, or else as its versions say. */
static enum kt_kind set_times(struct request *req, struct kv_secret *secret, struct kt_err *err)
{
    int64_t created = 0, updated = 0;
    if (!read_time(req->data, "created_time", &created))
        return kt_fail(err, KT_INVALID, "\"created_time\" must be a time as in RFC 3339");
    if (!read_time(req->data, "updated_time", &updated))
        return kt_fail(err, KT_INVALID, "\"updated_time\" must be a time as in RFC 3339");
    size_t n = secret->n_versions;
    if (created == 0 && secret->created_ms == 0)
        created = n > 0 ? secret->versions[0].created_ms : req->now_ms;
    if (updated == 0)
        updated = n > 0 ? secret->versions[n - 1].created_ms : req->now_ms;
    if (created != 0)
        secret->created_ms = created;
    secret->updated_ms = updated;
    return KT_OK;
}

/* ---- in the place of what is there ---- */

/* Whoever may not delete the secret with all its versions does not replace it. */
static enum kt_kind read_replace(struct request *req, bool *ret, struct kt_err *err)
{
    enum kt_kind kind = request_bool(req, "replace", ret, err);
    if (kind != KT_OK || !*ret)
        return kind == KT_NOT_FOUND ? KT_OK : kind;
    const char *name =
        kt_arena_printf(&req->arena, "%smetadata/%s", req->mount->path, request_param(req, "path"));
    return name == NULL ? kt_fail(err, KT_NO_MEMORY, "asking the policies")
                        : request_also(req, OP_DELETE, name, err);
}

/* Nothing of the old one but that it must still be as it was. Its name stays; its versions' keys go with its
 * metadata. */
static enum kt_kind begin_anew(struct request *req, struct kv_secret *secret, const struct kv_secret **ret_old,
                               struct kt_err *err)
{
    struct kv_secret *old = kt_arena_take(&req->arena, sizeof *old);
    if (old == NULL)
        return kt_fail(err, KT_NO_MEMORY, "bringing a secret in");
    *old = *secret;
    *secret = (struct kv_secret){.changed = old->changed};
    *ret_old = old;
    return KT_OK;
}

/* The new versions stand in the first slots, over the old ones' records; those behind them are deleted. */
static enum kt_kind clear_old(struct request *req, struct batch *batch, const struct kv_secret *old,
                              const struct kv_secret *secret, struct kt_err *err)
{
    const char *path = request_param(req, "path");
    uint32_t taken = 0;
    unsigned cleared = 0;
    for (size_t i = 0; i < secret->n_versions; i++)
        taken = secret->versions[i].slot > taken ? secret->versions[i].slot : taken;
    for (size_t i = 0; i < old->n_versions; i++) {
        unsigned char key[KV_KEY];
        if (old->versions[i].slot <= taken)
            continue;
        if (cleared++ == CLEARED_MAX)
            return kv_leave_job(req->core, req->mount, batch, path, err);
        kv_key(req->core, req->mount, path, old->versions[i].slot, key);
        batch_delete(batch, kt_bytes(key, sizeof key));
    }
    return KT_OK;
}

static enum kt_kind check_rotation(struct request *req, const struct kv_secret *secret, bool replace,
                                   struct kt_err *err)
{
    if (!secret->has_driver)
        return KT_OK;
    return rotation_allows(req, req->mount, request_param(req, "path"), secret,
                           replace ? ROTATION_METADATA : ROTATION_WRITE, 0, err);
}

/* old NULL: behind what is there. */
static enum kt_kind put_all(struct request *req, struct kv_secret *secret, const struct kv_secret *old,
                            struct kt_err *err)
{
    const char *path = request_param(req, "path");
    struct batch *batch = request_batch(req);
    enum kt_kind kind = KT_OK;
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "bringing a secret in");
    if (secret->changed == 0)
        kind = kv_name_add(req->core, req->mount, req->snapshot, batch, path, err);
    if (kind == KT_OK)
        kind = append_all(req, secret, err);
    if (kind == KT_OK && old != NULL)
        kind = clear_old(req, batch, old, secret, err);
    if (kind == KT_OK)
        kind = set_times(req, secret, err);
    if (kind != KT_OK)
        return kind;
    if (secret->n_versions > 0 && secret->oldest < secret->versions[0].number &&
        secret->versions[0].number > 1)
        secret->oldest = secret->versions[0].number;
    return kv_save(req->core, req->mount, batch, path, secret, err);
}

static void answer(struct request *req, const struct kv_secret *secret)
{
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_int(&w, "current_version", secret->newest);
    kt_jsonw_kv_int(&w, "versions", (int64_t)secret->n_versions);
    kt_jsonw_end(&w);
}

enum kt_kind kv_import(struct request *req, struct kt_err *err)
{
    struct kv_secret *secret = NULL;
    const struct kv_secret *old = NULL;
    bool given = false, replace = false;
    enum kt_kind kind = read_replace(req, &replace, err);
    if (kind != KT_OK)
        return kind;
    kind = kv_load_named(req, &secret, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    kind = check_cas(req, secret, err);
    if (kind == KT_OK)
        kind = check_rotation(req, secret, replace, err);
    if (kind == KT_OK && replace)
        kind = begin_anew(req, secret, &old, err);
    if (kind == KT_OK)
        kind = kv_read_settings(req, secret, &given, err);
    if (kind == KT_OK)
        kind = put_all(req, secret, old, err);
    if (kind == KT_OK)
        answer(req, secret);
    return kind;
}
