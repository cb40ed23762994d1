#include "vaultd/rotation/credential.h"

#include "lib/driver/form.h"

#define VALUE_MAX ((size_t)1024 * 1024)

static const char *text_member(struct kt_json object, const char *name, struct kt_arena *arena)
{
    struct kt_json value;
    if (!kt_json_member(object, name, &value))
        return NULL;
    return kt_json_text(value, arena);
}

enum kt_kind credential_read(const struct rotation_settings *settings, struct kt_bytes json,
                             struct kt_arena *arena, struct credential *ret, struct kt_err *err)
{
    struct kt_json object = kt_json_value(json);
    const char *password = text_member(object, settings->password_field, arena);
    const char *username = "";
    if (settings_has_target(settings))
        username = text_member(object, settings->username_field, arena);
    if (arena->failed) /* then it is not known what the secret has */
        return kt_fail(err, KT_NO_MEMORY, "reading a secret's credential");
    if (settings_has_target(settings)) {
        if (username == NULL)
            return kt_fail(err, KT_INVALID, "the secret has no text member \"%s\"",
                           settings->username_field);
        if (password == NULL || password[0] == '\0')
            return kt_fail(err, KT_INVALID, "the secret has no text member \"%s\"",
                           settings->password_field);
    }
    *ret = (struct credential){username, password == NULL ? "" : password};
    return KT_OK;
}

/* A value that is no key (of a version from before) has no public half: the member goes. */
static enum kt_kind add_public(const struct rotation_settings *settings, const char *password,
                               struct kt_jsonw *w, struct kt_err *err)
{
    char public_part[DRIVER_FORM_TEXT];
    if (settings->public_field[0] == '\0')
        return KT_OK;
    enum kt_kind kind = kt_form_make(FORM_SSH, kt_str(password), public_part, err);
    if (kind != KT_OK && kind != KT_INVALID)
        return kind;
    kt_jsonw_key(w, settings->public_field);
    if (kind == KT_OK)
        kt_jsonw_text(w, public_part);
    else
        kt_jsonw_null(w);
    kt_err_clear(err);
    return KT_OK;
}

enum kt_kind credential_write(const struct rotation_settings *settings, struct kt_bytes json,
                              const struct credential *credential, struct kt_buf *out,
                              struct kt_err *err)
{
    kt_autobuf struct kt_buf patch;
    kt_buf_init(&patch, VALUE_MAX);
    struct kt_jsonw w = kt_jsonw(&patch);
    kt_jsonw_object(&w);
    if (settings_has_target(settings))
        kt_jsonw_kv_text(&w, settings->username_field, credential->username);
    kt_jsonw_kv_text(&w, settings->password_field, credential->password);
    enum kt_kind kind = add_public(settings, credential->password, &w, err);
    kt_jsonw_end(&w);
    if (kind != KT_OK)
        return kind;
    struct kt_json old = kt_json_value(json.len == 0 ? kt_str("{}") : json);
    if (!kt_buf_ok(&patch) ||
        !kt_json_merge_patch(old, kt_json_value(kt_buf_bytes(&patch)), out))
        return kt_fail(err, KT_NO_MEMORY, "making a new version");
    return KT_OK;
}

enum kt_kind credential_id(struct kt_bytes json, struct kt_arena *arena, const char **ret, struct kt_err *err)
{
    const char *id = text_member(kt_json_value(json), CREDENTIAL_ID_FIELD, arena);
    *ret = id == NULL ? "" : id;
    return arena->failed ? kt_fail(err, KT_NO_MEMORY, "reading the id of a secret's key") : KT_OK;
}

enum kt_kind credential_write_id(struct kt_bytes json, const char *id, struct kt_buf *out, struct kt_err *err)
{
    kt_autobuf struct kt_buf patch;
    kt_buf_init(&patch, VALUE_MAX);
    struct kt_jsonw w = kt_jsonw(&patch);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, CREDENTIAL_ID_FIELD, id);
    kt_jsonw_end(&w);
    if (!kt_buf_ok(&patch) ||
        !kt_json_merge_patch(kt_json_value(json), kt_json_value(kt_buf_bytes(&patch)), out))
        return kt_fail(err, KT_NO_MEMORY, "making a new version");
    return KT_OK;
}

enum kt_kind credential_generate(const struct rotation_settings *settings,
                                 const struct credential *old, struct kt_arena *arena,
                                 const char **ret, struct kt_err *err)
{
    struct kt_generator generator;
    enum kt_kind kind = settings_generator(settings, &generator, err);
    if (kind != KT_OK)
        return kind;
    const struct kt_bytes avoid[] = {kt_str(old->password), kt_str(old->username),
                                     kt_str(settings->accounts[0]), kt_str(settings->accounts[1])};
    kt_autosecret struct kt_secret *value = NULL;
    kind = kt_generate(&generator, avoid, sizeof avoid / sizeof avoid[0], &value, err);
    if (kind != KT_OK)
        return kind;
    const char *text = kt_arena_text(arena, kt_secret_bytes(value));
    if (text == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making a new value");
    *ret = text;
    return KT_OK;
}

enum kt_kind credential_public(const char *driver, const char *password, struct kt_arena *arena,
                               const char **ret, struct kt_err *err)
{
    const struct driver_info *info = kt_driver_info(driver);
    if (info == NULL)
        return kt_fail(err, KT_INVALID, "no driver \"%s\" is in this vaultd", driver);
    char public_part[DRIVER_FORM_TEXT];
    enum kt_kind kind = kt_form_make(info->form, kt_str(password), public_part, err);
    if (kind != KT_OK)
        return kind;
    const char *text = kt_arena_text(arena, kt_str(public_part));
    if (text == NULL)
        return kt_fail(err, KT_NO_MEMORY, "making a public part");
    *ret = text;
    return KT_OK;
}

enum kt_kind credential_load(struct request *req, const struct rotation_secret *secret,
                             const struct rotation_settings *settings, const struct kv_secret *kv,
                             uint32_t version, struct credential *ret, struct kt_bytes *ret_json,
                             struct kt_err *err)
{
    kt_autobuf struct kt_buf value;
    kt_buf_init(&value, VALUE_MAX);
    enum kt_kind kind = kv_value(req->core, secret->mount, req->snapshot, secret->path,
                                 kv_version(kv, version), &value, err);
    if (kind == KT_NOT_FOUND)
        return kt_fail(err, KT_NOT_FOUND, "version %u of the secret is gone", version);
    if (kind != KT_OK)
        return kind;
    const char *copy = kt_arena_text(&req->arena, kt_buf_bytes(&value));
    if (copy == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading a version");
    struct kt_bytes json = kt_bytes(copy, value.len);
    kind = credential_read(settings, json, &req->arena, ret, err);
    if (kind == KT_OK && ret_json != NULL)
        *ret_json = json;
    return kind;
}
