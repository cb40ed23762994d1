/* cli/move_tune.c - see cli/move_tune.h. */
#include "cli/move_tune.h"

#include <stdio.h>

#include "cli/move_fields.h"
#include "cli/move_write.h"
#include "lib/duration.h"

#define BODY_MAX ((size_t)64 * 1024)
#define WHAT_LEN (KT_API_PATH_MAX + 64u)

static const struct move_field settings[] = {
    {"default_lease_ttl", "0"},
    {"max_lease_ttl", "0"},
    {"force_no_cache", "false"},
    {"listing_visibility", "\"\""},
    {"audit_non_hmac_request_keys", "[]"},
    {"audit_non_hmac_response_keys", "[]"},
    {"passthrough_request_headers", "[]"},
    {"allowed_response_headers", "[]"},
    {NULL, NULL}};
/* Apart, for "default-service" is what a mount has that says nothing. */
static const struct move_field token_type[] = {{"token_type", NULL}, {NULL, NULL}};

static struct kt_json config_of(const struct move_mount *mount)
{
    return kt_json_value(kt_buf_bytes(&mount->config));
}

static bool says_token_type(struct kt_json config)
{
    char type[64] = "";
    (void)kt_api_text(config, "token_type", type, sizeof type);
    return type[0] != '\0' && strcmp(type, "default-service") != 0;
}

static bool configs_equal(struct kt_json a, struct kt_json b)
{
    return move_fields_equal(a, b, settings) && says_token_type(a) == says_token_type(b) &&
           (!says_token_type(a) || move_fields_equal(a, b, token_type));
}

void move_tune_write(struct kt_jsonw *w, const struct move_mount *source)
{
    move_fields_write(w, config_of(source), settings);
    if (says_token_type(config_of(source)))
        move_fields_write(w, config_of(source), token_type);
}

/* ---- what has no place here ---- */

static bool is_known(struct kt_json key)
{
    static const char *const others[] = {"token_type", "plugin_version", "plugin_name"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (kt_json_is(key, others[i]))
            return true;
    for (const struct move_field *field = settings; field->name != NULL; field++)
        if (kt_json_is(key, field->name))
            return true;
    return false;
}

static void tell_unknown(struct move_run *run, const char *what, struct kt_json config)
{
    char setting[WHAT_LEN + 128];
    struct kt_json_iter it = kt_json_iter(config);
    while (kt_json_next(&it)) {
        kt_autobuf struct kt_buf name = {0};
        kt_buf_init(&name, 64);
        if (is_known(it.key) || move_field_is_empty(it.value) || !kt_json_string(it.key, &name))
            continue;
        (void)snprintf(setting, sizeof setting, "%s of %s", kt_buf_text(&name), what);
        move_left(run, setting, "there is no such setting here");
    }
}

/* ---- one mount ---- */

static enum kt_kind refuse(struct kt_err *err)
{
    (void)kt_fail(err, KT_CONFLICT, "others are set here");
    kt_hint(err, "-replace sets those of the other vault");
    return KT_CONFLICT;
}

static enum kt_kind tune(struct move_run *run, const char *sys, const struct move_mount *source, struct kt_err *err)
{
    kt_autobuf struct kt_buf body = {0};
    kt_buf_init(&body, BODY_MAX);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    move_tune_write(&w, source);
    kt_jsonw_end(&w);
    if (!kt_buf_ok(&body))
        return kt_fail(err, KT_TOO_LARGE, "they are too large");
    return move_write(run, run->destination, 0, kt_buf_bytes(&body), err, "sys/%s/%stune", sys, source->mount.path);
}

static void tell_end(struct move_run *run, const char *what, enum kt_kind kind, bool different, struct kt_err *err)
{
    if (kind != KT_OK)
        move_refused(run, what, err);
    if (!different)
        return;
    move_add(run, MOVE_DIFFERENT, 1);
    move_tell(run, "different %s: they are not the same on both sides", what);
}

void move_tune(struct move_run *run, const char *sys, const struct move_mount *source, const struct move_mount *here,
               enum move_pass pass)
{
    char what[WHAT_LEN];
    struct kt_err err = {0};
    enum kt_kind kind = KT_OK;
    (void)snprintf(what, sizeof what, "the settings of %s%s", strcmp(sys, "auth") == 0 ? "auth/" : "",
                   source->mount.path);
    bool same = here == NULL || configs_equal(config_of(source), config_of(here));
    bool unset = here != NULL && configs_equal(kt_json_value(kt_str("{}")), config_of(here));
    if (pass == MOVE_COPY) {
        tell_unknown(run, what, config_of(source));
        if (!same && !unset && !run->replace)
            kind = refuse(&err);
        else if (!same)
            kind = tune(run, sys, source, &err);
    }
    tell_end(run, what, kind, pass == MOVE_COMPARE && !same, &err);
}

/* ---- KV version 2 ---- */

static const struct move_field kv_fields[] = {
    {"max_versions", "0"}, {"cas_required", "false"}, {NULL, NULL}};

/* As a vault writes it: "720h0m0s". */
static uint64_t after_ms(struct kt_json config)
{
    char text[64] = "";
    uint64_t ms = 0;
    (void)kt_api_text(config, "delete_version_after", text, sizeof text);
    return text[0] != '\0' && kt_duration_parse(kt_str(text), &ms, NULL) == KT_OK ? ms : 0;
}

static bool kv_configs_equal(struct kt_json a, struct kt_json b)
{
    return move_fields_equal(a, b, kv_fields) && after_ms(a) == after_ms(b);
}

static enum kt_kind write_kv_config(struct move_run *run, const struct move_mount *mount, struct kt_json config,
                                    struct kt_err *err)
{
    static const struct move_field after[] = {{"delete_version_after", "\"0s\""}, {NULL, NULL}};
    kt_autobuf struct kt_buf body = {0};
    kt_buf_init(&body, BODY_MAX);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    move_fields_write(&w, config, kv_fields);
    move_fields_write(&w, config, after);
    kt_jsonw_end(&w);
    return move_write(run, run->destination, 0, kt_buf_bytes(&body), err, "%sconfig", mount->mount.path);
}

void move_kv_config(struct move_run *run, const struct move_mount *mount, bool made, enum move_pass pass)
{
    char what[WHAT_LEN];
    struct kt_err err = {0};
    bool same = true;
    kt_autoapireply struct kt_api_reply source, here;
    kt_api_reply_init(&source);
    kt_api_reply_init(&here);
    (void)snprintf(what, sizeof what, "%sconfig", mount->mount.path);
    enum kt_kind kind = move_get(run->source, &source, &err, "%s", what);
    if (kind == KT_OK && !made)
        kind = move_get(run->destination, &here, &err, "%s", what);
    if (kind == KT_OK)
        same = kv_configs_equal(source.data, here.data);
    bool unset = kv_configs_equal((struct kt_json){0}, here.data);
    if (kind == KT_OK && pass == MOVE_COPY && !same && !unset && !run->replace)
        kind = refuse(&err);
    else if (kind == KT_OK && pass == MOVE_COPY && !same)
        kind = write_kv_config(run, mount, source.data, &err);
    tell_end(run, what, kind, pass == MOVE_COMPARE && !same, &err);
}
