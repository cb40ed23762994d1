#include <stdio.h>

#include "lib/duration.h"
#include "vaultd/engine/kv_handlers.h"
#include "vaultd/engine/kv_record.h"
#include "vaultd/rotation/rotation.h"

#define CUSTOM_KEYS_MAX  64u
#define CUSTOM_KEY_MAX   128u
#define CUSTOM_VALUE_MAX 512u
#define CUSTOM_BYTES_MAX ((size_t)1024 * 1024)
#define VERSIONS_MAX     1000
/* Versions whose records the batch itself deletes; the others are a job's. A name of 31 segments
 * takes 61 of the batch's 100 operations. */
#define DELETE_MAX       20u

enum kt_kind kv_list(struct request *req, struct kt_err *err)
{
    const char *folder = request_param(req, "path");
    size_t len = strlen(folder);
    if (len > 0 && folder[len - 1] != '/')
        folder = kt_arena_printf(&req->arena, "%s/", folder);
    if (folder == NULL)
        return kt_fail(err, KT_NO_MEMORY, "listing secrets");
    return kv_name_list(req, req->mount, folder, err);
}

/* ---- reading ---- */

static void write_duration(struct kt_jsonw *w, const char *key, int64_t seconds)
{
    char text[KT_DURATION_TEXT] = "-1s";
    if (seconds >= 0)
        kt_duration_text((uint64_t)seconds * 1000, text);
    kt_jsonw_kv_text(w, key, text);
}

static void write_versions(struct kt_jsonw *w, const struct kv_secret *secret)
{
    kt_jsonw_key(w, "versions");
    kt_jsonw_object(w);
    for (size_t i = 0; i < secret->n_versions; i++) {
        const struct kv_version *v = &secret->versions[i];
        char number[16];
        (void)snprintf(number, sizeof number, "%u", v->number);
        kt_jsonw_key(w, number);
        kt_jsonw_object(w);
        kt_jsonw_kv_time(w, "created_time", v->created_ms);
        kt_jsonw_kv_time(w, "deletion_time", kv_version_ends(secret, v));
        kt_jsonw_kv_bool(w, "destroyed", v->destroyed);
        kt_jsonw_end(w);
    }
    kt_jsonw_end(w);
}

static void write_stages(struct kt_jsonw *w, const struct kv_secret *secret)
{
    if (!secret->has_driver)
        return;
    kt_jsonw_key(w, "stages");
    kt_jsonw_object(w);
    kt_jsonw_kv_int(w, "current", secret->current);
    kt_jsonw_kv_int(w, "pending", secret->pending);
    kt_jsonw_kv_int(w, "previous", secret->previous);
    kt_jsonw_end(w);
}

enum kt_kind kv_metadata_read(struct request *req, struct kt_err *err)
{
    struct kv_secret *secret = NULL;
    enum kt_kind kind = kv_load_named(req, &secret, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_NOT_FOUND, "%s", "");
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_bool(&w, "cas_required", secret->cas_required);
    kt_jsonw_kv_time(&w, "created_time", secret->created_ms);
    kt_jsonw_kv_int(&w, "current_version", secret->newest);
    kt_jsonw_key(&w, "custom_metadata");
    if (secret->custom_metadata.len == 0)
        kt_jsonw_null(&w);
    else
        kt_jsonw_raw(&w, secret->custom_metadata);
    write_duration(&w, "delete_version_after", secret->delete_version_after_s);
    kt_jsonw_kv_int(&w, "max_versions", secret->max_versions);
    kt_jsonw_kv_int(&w, "oldest_version", secret->oldest);
    write_stages(&w, secret);
    kt_jsonw_kv_time(&w, "updated_time", secret->updated_ms);
    write_versions(&w, secret);
    kt_jsonw_end(&w);
    return KT_OK;
}

/* ---- writing ---- */

enum kt_kind kv_signed_duration(struct request *req, const char *name, int64_t *ret,
                                struct kt_err *err)
{
    const char *text = NULL;
    enum kt_kind kind = request_string(req, name, &text, err);
    if (kind != KT_OK)
        return kind;
    if (text[0] != '-')
        return request_duration_s(req, name, ret, err);
    uint64_t ms = 0;
    if (kt_duration_parse(kt_str(text + 1), &ms, NULL) != KT_OK)
        return kt_fail(err, KT_INVALID, "\"%s\" must be a duration; a negative one disables", name);
    *ret = ms == 0 ? 0 : -1;
    return KT_OK;
}

static enum kt_kind invalid_custom(struct kt_err *err, const char *why)
{
    return kt_fail(err, KT_INVALID, "custom_metadata validation failed: %s", why);
}

static enum kt_kind check_custom(struct request *req, struct kt_bytes text, struct kt_err *err)
{
    struct kt_json object = kt_json_value(text);
    if (kt_json_count(object) > CUSTOM_KEYS_MAX)
        return invalid_custom(err, "payload must contain at most 64 keys");
    struct kt_json_iter it = kt_json_iter(object);
    while (kt_json_next(&it)) {
        const char *key = kt_json_text(it.key, &req->arena);
        const char *value = kt_json_text(it.value, &req->arena);
        if (key == NULL || value == NULL)
            return invalid_custom(err, "values must be strings");
        if (key[0] == '\0' || strlen(key) > CUSTOM_KEY_MAX)
            return invalid_custom(err, "a key must have 1 to 128 bytes");
        if (value[0] == '\0' || strlen(value) > CUSTOM_VALUE_MAX)
            return invalid_custom(err, "a value must have 1 to 512 bytes");
        for (const char *c = key; *c != '\0'; c++)
            if ((unsigned char)*c < 0x20)
                return invalid_custom(err, "a key must be printable");
        for (const char *c = value; *c != '\0'; c++)
            if ((unsigned char)*c < 0x20)
                return invalid_custom(err, "a value must be printable");
    }
    return KT_OK;
}

/* What a PATCH makes of the custom metadata, as an object in the arena that has them as a member. */
static enum kt_kind merge_custom(struct request *req, const struct kv_secret *secret,
                                 struct kt_json given, struct kt_json *ret, struct kt_err *err)
{
    kt_autobuf struct kt_buf merged;
    kt_buf_init(&merged, CUSTOM_BYTES_MAX);
    struct kt_bytes old =
        secret->custom_metadata.len > 0 ? secret->custom_metadata : kt_str("{}");
    kt_buf_add_text(&merged, "{\"custom_metadata\":");
    bool ok = kt_json_merge_patch(kt_json_value(old), given, &merged);
    kt_buf_add_char(&merged, '}');
    char *text = ok && kt_buf_ok(&merged) ? kt_arena_text(&req->arena, kt_buf_bytes(&merged)) : NULL;
    if (text == NULL)
        return kt_fail(err, KT_NO_MEMORY, "changing a secret's metadata");
    *ret = kt_json_value(kt_bytes(text, merged.len));
    return KT_OK;
}

/* POST replaces the map; PATCH merges, null removes. */
static enum kt_kind read_custom(struct request *req, struct kv_secret *secret, bool *ret_given,
                                struct kt_err *err)
{
    struct kt_json given, whole = req->data, merged = req->data;
    if (request_member(req, "custom_metadata", &given) != KT_OK)
        return KT_OK;
    *ret_given = true;
    enum kt_kind kind = KT_OK;
    if (req->op == OP_PATCH)
        kind = merge_custom(req, secret, given, &merged, err);
    if (kind != KT_OK)
        return kind;
    struct kt_bytes text = {0};
    req->data = merged;
    kind = request_pairs(req, "custom_metadata", &text, err);
    req->data = whole;
    if (kind == KT_NOT_FOUND)
        text = kt_bytes(NULL, 0);
    else if (kind == KT_NO_MEMORY)
        return kind;
    else if (kind != KT_OK)
        return invalid_custom(err, "it must be an object of strings");
    kind = check_custom(req, text, err);
    if (kind == KT_OK)
        secret->custom_metadata = kt_bytes_is(text, "{}") ? kt_bytes(NULL, 0) : text;
    return kind;
}

static enum kt_kind read_limits(struct request *req, struct kv_secret *secret, bool *ret_given,
                                struct kt_err *err)
{
    int64_t max_versions = secret->max_versions;
    const enum kt_kind kinds[] = {
        request_int(req, "max_versions", &max_versions, err),
        request_bool(req, "cas_required", &secret->cas_required, err),
        kv_signed_duration(req, "delete_version_after", &secret->delete_version_after_s, err),
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i] == KT_OK)
            *ret_given = true;
        else if (kinds[i] != KT_NOT_FOUND)
            return kinds[i];
    }
    if (max_versions < 0 || max_versions > VERSIONS_MAX)
        return kt_fail(err, KT_INVALID, "\"max_versions\" must be 0 to %d", VERSIONS_MAX);
    secret->max_versions = (uint32_t)max_versions;
    return KT_OK;
}

static enum kt_kind save(struct request *req, struct kv_secret *secret, struct kt_err *err)
{
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "changing a secret's metadata");
    const char *path = request_param(req, "path");
    if (secret->changed == 0) {
        secret->created_ms = secret->updated_ms = req->now_ms;
        enum kt_kind kind =
            kv_name_add(req->core, req->mount, req->snapshot, batch, path, err);
        if (kind != KT_OK)
            return kind;
    }
    return kv_save(req->core, req->mount, batch, path, secret, err);
}

static enum kt_kind warn_of_cas(struct request *req, struct kt_err *err)
{
    bool wanted = true;
    if (request_bool(req, "cas_required", &wanted, NULL) != KT_OK || wanted)
        return KT_OK;
    struct kv_settings settings;
    enum kt_kind kind =
        kv_settings_load(req->core, req->mount, req->snapshot, &settings, NULL, err);
    if (kind == KT_OK && settings.cas_required)
        request_warn(req, "\"cas_required\" set to false, but is mandated by backend config. This "
                          "value will be ignored.");
    return kind;
}

static void warn_of_end(struct request *req)
{
    request_warn(req, "\"delete_version_after\": a version that a target may accept, or that a rotation is about, does "
                      "not delete itself until it is out of use");
}

enum kt_kind kv_warn_of_end(struct request *req, const struct mount *mount, const struct kv_secret *secret,
                            struct kt_err *err)
{
    struct kv_settings settings;
    enum kt_kind kind = kv_settings_load(req->core, mount, req->snapshot, &settings, NULL, err);
    if (kind == KT_OK && kv_deletion_time(secret, &settings, req->now_ms) != 0)
        warn_of_end(req);
    return kind;
}

static bool wants_end(struct request *req)
{
    struct kt_json value;
    return request_member(req, "delete_version_after", &value) == KT_OK;
}

enum kt_kind kv_read_settings(struct request *req, struct kv_secret *secret, bool *ret_given,
                              struct kt_err *err)
{
    enum kt_kind kind = read_limits(req, secret, ret_given, err);
    return kind == KT_OK ? read_custom(req, secret, ret_given, err) : kind;
}

static enum kt_kind change(struct request *req, struct kv_secret *secret, struct kt_err *err)
{
    bool given = false;
    enum kt_kind kind = kv_read_settings(req, secret, &given, err);
    if (kind == KT_OK)
        kind = warn_of_cas(req, err);
    if (kind == KT_OK && secret->has_driver && wants_end(req))
        kind = kv_warn_of_end(req, req->mount, secret, err);
    return kind == KT_OK && given ? save(req, secret, err) : kind;
}

enum kt_kind kv_metadata_write(struct request *req, struct kt_err *err)
{
    struct kv_secret *secret = NULL;
    enum kt_kind kind = kv_load_named(req, &secret, err);
    return kind == KT_OK || kind == KT_NOT_FOUND ? change(req, secret, err) : kind;
}

enum kt_kind kv_metadata_patch(struct request *req, struct kt_err *err)
{
    struct kv_secret *secret = NULL;
    enum kt_kind kind = kv_load_named(req, &secret, err);
    if (kind == KT_NOT_FOUND) {
        req->reply.form = REPLY_RAW;
        req->reply.status = 404;
        return KT_OK;
    }
    return kind == KT_OK ? change(req, secret, err) : kind;
}

static void warn_of_needed(struct request *req, const struct kv_secret *secret)
{
    for (size_t i = 0; i < secret->n_versions; i++) {
        if (secret->versions[i].needed_until_ms < req->now_ms)
            continue;
        request_warn(req, "It signed certificates that were revoked and have not ended: there will be no list of them "
                          "any more.");
        return;
    }
}

enum kt_kind kv_metadata_delete(struct request *req, struct kt_err *err)
{
    struct kv_secret *secret = NULL;
    enum kt_kind kind = kv_load_named(req, &secret, err);
    if (kind == KT_NOT_FOUND)
        return KT_OK;
    if (kind != KT_OK)
        return kind;
    const char *path = request_param(req, "path");
    if (secret->has_driver) {
        kind = rotation_allows(req, req->mount, path, secret, ROTATION_METADATA, 0, err);
        if (kind != KT_OK)
            return kind;
    }
    warn_of_needed(req, secret);
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "deleting a secret");
    return kv_remove(req->core, req->mount, req->snapshot, batch, path, secret, DELETE_MAX, NULL, err);
}

/* ---- the mount's settings ---- */

enum kt_kind kv_config_read(struct request *req, struct kt_err *err)
{
    struct kv_settings settings;
    enum kt_kind kind =
        kv_settings_load(req->core, req->mount, req->snapshot, &settings, NULL, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_bool(&w, "cas_required", settings.cas_required);
    write_duration(&w, "delete_version_after", settings.delete_version_after_s);
    kt_jsonw_kv_int(&w, "max_versions", settings.max_versions);
    kt_jsonw_end(&w);
    return KT_OK;
}

enum kt_kind kv_config_write(struct request *req, struct kt_err *err)
{
    struct kv_settings settings;
    generation changed = 0;
    enum kt_kind kind =
        kv_settings_load(req->core, req->mount, req->snapshot, &settings, &changed, err);
    if (kind != KT_OK)
        return kind;
    int64_t max_versions = settings.max_versions;
    const enum kt_kind kinds[] = {
        request_int(req, "max_versions", &max_versions, err),
        request_bool(req, "cas_required", &settings.cas_required, err),
        kv_signed_duration(req, "delete_version_after", &settings.delete_version_after_s, err),
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i] != KT_OK && kinds[i] != KT_NOT_FOUND)
            return kinds[i];
    if (max_versions < 0 || max_versions > VERSIONS_MAX)
        return kt_fail(err, KT_INVALID, "\"max_versions\" must be 0 to %d", VERSIONS_MAX);
    settings.max_versions = (uint32_t)max_versions;
    bool rotated = false;
    if (settings.delete_version_after_s > 0 && wants_end(req))
        kind = rotation_in_mount(req, req->mount, &rotated, err);
    if (kind != KT_OK)
        return kind;
    if (rotated)
        warn_of_end(req);
    struct batch *batch = request_batch(req);
    if (batch == NULL)
        return kt_fail(err, KT_NO_MEMORY, "writing a mount's settings");
    return kv_settings_put(req->core, req->mount, batch, &settings, changed, err);
}
