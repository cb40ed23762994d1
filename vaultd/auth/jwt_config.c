#include "vaultd/auth/jwt_config.h"

#include "vaultd/auth/jwt_keys.h"
#include "vaultd/auth/token_params.h"
#include "vaultd/barrier/format.h"

#define FORMAT     1u
#define SETTINGS   "config" /* the name of the settings' record */
#define ISSUER_MAX 1024u

/* ---- the record ---- */

static void write_record(const struct jwt_config *config, struct kt_buf *out)
{
    named_begin(out, FORMAT, SETTINGS);
    token_params_write_list(&config->pems, out);
    kt_buf_add_field(out, kt_str(config->jwks));
    kt_buf_add_field(out, kt_str(config->jwks_url));
    kt_buf_add_field(out, kt_str(config->jwks_ca));
    kt_buf_add_field(out, kt_str(config->discovery_url));
    kt_buf_add_field(out, kt_str(config->discovery_ca));
    kt_buf_add_field(out, kt_str(config->issuer));
    kt_buf_add_field(out, kt_str(config->default_role));
    token_params_write_list(&config->alg_texts, out);
}

struct config_record {
    struct kt_arena *arena;
    struct jwt_config *config;
};

static void read_1(struct kt_reader *r, void *ret)
{
    struct config_record *record = ret;
    struct jwt_config *config = record->config;
    struct kt_arena *arena = record->arena;
    (void)kt_read_field(r); /* its name */
    token_params_take_list(r, arena, &config->pems);
    config->jwks = kt_arena_text(arena, kt_read_field(r));
    config->jwks_url = kt_arena_text(arena, kt_read_field(r));
    config->jwks_ca = kt_arena_text(arena, kt_read_field(r));
    config->discovery_url = kt_arena_text(arena, kt_read_field(r));
    config->discovery_ca = kt_arena_text(arena, kt_read_field(r));
    config->issuer = kt_arena_text(arena, kt_read_field(r));
    config->default_role = kt_arena_text(arena, kt_read_field(r));
    token_params_take_list(r, arena, &config->alg_texts);
}

static format_reader *const readers[] = {[FORMAT] = read_1};

static bool read_algs(const struct string_list *texts, unsigned *ret)
{
    enum jwt_alg alg = JWT_RS256;
    *ret = texts->n == 0 ? JWT_ALGS_ALL : 0;
    for (size_t i = 0; i < texts->n; i++) {
        if (!jwt_alg_of(texts->at[i], &alg))
            return false;
        *ret |= JWT_ALG_BIT(alg);
    }
    return true;
}

static void begin_config(struct jwt_config *ret)
{
    *ret = (struct jwt_config){.jwks = "", .jwks_url = "", .discovery_url = "", .jwks_ca = "",
                               .discovery_ca = "", .issuer = "", .default_role = ""};
}

enum kt_kind jwt_config_find(struct request *req, const struct mount *mount, struct jwt_config *ret,
                             struct kt_err *err)
{
    const struct named which = {mount->scope, SETTINGS, NAMED_SETTINGS};
    struct config_record record = {&req->arena, ret};
    struct kt_bytes bytes = {0};
    begin_config(ret);
    enum kt_kind kind = named_get(req, &which, &bytes, &ret->changed, err);
    if (kind == KT_OK)
        kind = FORMAT_READ("the settings of a jwt mount", bytes, readers, &record, err);
    if (kind == KT_OK && req->arena.failed)
        return kt_fail(err, KT_NO_MEMORY, "reading the settings of a jwt mount");
    if (kind == KT_OK && !read_algs(&ret->alg_texts, &ret->algs))
        return kt_fail(err, KT_CORRUPT, "the settings of a jwt mount are damaged");
    return kind;
}

enum kt_kind jwt_config_require(struct request *req, const struct mount *mount,
                                const struct jwt_config *config, struct kt_err *err)
{
    const struct named which = {mount->scope, SETTINGS, NAMED_SETTINGS};
    return named_require(req, &which, config->changed, err);
}

/* ---- fields ---- */

static const struct text_row {
    const char *name;
    size_t offset, max;
} texts[] = {
    {"jwks_url", offsetof(struct jwt_config, jwks_url), JWT_URL_MAX},
    {"jwks_ca_pem", offsetof(struct jwt_config, jwks_ca), JWT_CA_MAX},
    {"oidc_discovery_url", offsetof(struct jwt_config, discovery_url), JWT_URL_MAX},
    {"oidc_discovery_ca_pem", offsetof(struct jwt_config, discovery_ca), JWT_CA_MAX},
    {"bound_issuer", offsetof(struct jwt_config, issuer), ISSUER_MAX},
    {"default_role", offsetof(struct jwt_config, default_role), NAMED_MAX},
};
#define N_TEXTS (sizeof texts / sizeof texts[0])

static enum kt_kind read_texts(struct request *req, struct jwt_config *config, struct kt_err *err)
{
    for (size_t i = 0; i < N_TEXTS; i++) {
        const char **at = (const char **)(void *)((unsigned char *)config + texts[i].offset);
        enum kt_kind kind = request_string(req, texts[i].name, at, err);
        if (kind != KT_OK && kind != KT_NOT_FOUND)
            return kind;
        if (strlen(*at) > texts[i].max)
            return kt_fail(err, KT_INVALID, "\"%s\" is longer than %zu bytes", texts[i].name, texts[i].max);
    }
    return KT_OK;
}

static enum kt_kind read_pems(struct request *req, struct string_list *ret, struct kt_err *err)
{
    struct string_list given = {0};
    enum kt_kind kind = request_list(req, "jwt_validation_pubkeys", true, &given, err);
    if (kind != KT_OK)
        return kind == KT_NOT_FOUND ? KT_OK : kind;
    if (given.n > JWT_PEMS_MAX)
        return kt_fail(err, KT_INVALID, "\"jwt_validation_pubkeys\" has more than %u keys", JWT_PEMS_MAX);
    for (size_t i = 0; i < given.n; i++) {
        kind = jwt_pem_check(kt_str(given.at[i]), err);
        if (kind != KT_OK) {
            kt_context(err, "\"jwt_validation_pubkeys\"");
            return kind;
        }
    }
    *ret = given;
    return KT_OK;
}

/* As it was sent: an object is a document, too. */
static enum kt_kind read_jwks(struct request *req, const char **ret, struct kt_err *err)
{
    struct kt_json value = {0};
    if (request_member(req, "jwks", &value) != KT_OK || kt_json_type(value) == KT_JSON_NULL)
        return KT_OK;
    bool text = kt_json_type(value) == KT_JSON_STRING;
    if (!text && kt_json_type(value) != KT_JSON_OBJECT)
        return kt_fail(err, KT_INVALID, "\"jwks\" is no JSON Web Key Set");
    const char *set = text ? kt_json_text(value, &req->arena) : kt_arena_text(&req->arena, kt_json_bytes(value));
    if (set == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading field \"jwks\"");
    enum kt_kind kind = set[0] == '\0' ? KT_OK : jwt_set_check(kt_str(set), err);
    if (kind != KT_OK)
        kt_context(err, "\"jwks\"");
    *ret = set;
    return kind;
}

static enum kt_kind read_alg_texts(struct request *req, struct jwt_config *config, struct kt_err *err)
{
    enum kt_kind kind = request_list(req, "jwt_supported_algs", true, &config->alg_texts, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    if (config->alg_texts.n > JWT_ALG_COUNT || !read_algs(&config->alg_texts, &config->algs)) {
        (void)kt_fail(err, KT_INVALID, "\"jwt_supported_algs\" has what is not taken, or too much");
        kt_hint(err, "some of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA");
        return KT_INVALID;
    }
    return KT_OK;
}

/* What only a browser's login would need is not kept as if it had an effect. */
static enum kt_kind check_left_out(struct request *req, struct kt_err *err)
{
    static const char *const names[] = {"oidc_client_id", "oidc_client_secret", "oidc_response_mode",
                                        "oidc_response_types", "provider_config", "jwks_pairs"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct kt_json value = {0};
        if (request_member(req, names[i], &value) != KT_OK || kt_json_type(value) == KT_JSON_NULL ||
            kt_json_is(value, ""))
            continue;
        enum kt_json_type type = kt_json_type(value);
        bool many = type == KT_JSON_ARRAY || type == KT_JSON_OBJECT;
        if (!many || kt_json_count(value) > 0)
            return kt_fail(err, KT_INVALID, "\"%s\" is not offered: tokens log in, browsers do not", names[i]);
    }
    return KT_OK;
}

/* The rest of it is looked at by who fetches; what is no https at all is told at once. */
static enum kt_kind check_url(const char *name, const char *url, struct kt_err *err)
{
    bool plain = true;
    for (const char *c = url; *c != '\0'; c++)
        plain = plain && *c > ' ' && *c < 0x7f && *c != '@' && *c != '#';
    if (url[0] == '\0' || (plain && strncmp(url, "https://", 8) == 0 && url[8] != '\0' && url[8] != '/'))
        return KT_OK;
    return kt_fail(err, KT_INVALID, "\"%s\" is no address that begins with https://", name);
}

static enum kt_kind check_sources(const struct jwt_config *config, struct kt_err *err)
{
    const bool set[] = {config->pems.n > 0, config->jwks[0] != '\0', config->jwks_url[0] != '\0',
                        config->discovery_url[0] != '\0'};
    unsigned n = 0;
    for (size_t i = 0; i < sizeof set / sizeof set[0]; i++)
        n += set[i];
    if (n != 1)
        return kt_fail(err, KT_INVALID,
                       "exactly one of 'jwt_validation_pubkeys', 'jwks', 'jwks_url' or 'oidc_discovery_url' must be set");
    if (config->jwks_ca[0] != '\0' && config->jwks_url[0] == '\0')
        return kt_fail(err, KT_INVALID, "\"jwks_ca_pem\" goes with \"jwks_url\" only");
    if (config->discovery_ca[0] != '\0' && config->discovery_url[0] == '\0')
        return kt_fail(err, KT_INVALID, "\"oidc_discovery_ca_pem\" goes with \"oidc_discovery_url\" only");
    enum kt_kind kind = check_url("jwks_url", config->jwks_url, err);
    return kind == KT_OK ? check_url("oidc_discovery_url", config->discovery_url, err) : kind;
}

/* As roles are named; lowered as their paths are. */
static enum kt_kind lower_default_role(struct request *req, struct jwt_config *config, struct kt_err *err)
{
    char *name = kt_arena_text(&req->arena, kt_str(config->default_role));
    if (name == NULL)
        return kt_fail(err, KT_NO_MEMORY, "reading field \"default_role\"");
    named_lower(name);
    config->default_role = name;
    if (name[0] != '\0' && !named_is_name(name))
        return kt_fail(err, KT_INVALID, "\"default_role\" is no name of a role");
    return KT_OK;
}

/* ---- routes ---- */

static void show_list(struct kt_jsonw *w, const char *name, const struct string_list *list)
{
    token_params_list(w, name, list);
}

enum kt_kind jwt_config_read(struct request *req, struct kt_err *err)
{
    static const struct string_list none = {0};
    struct jwt_config config;
    enum kt_kind kind = jwt_config_find(req, req->mount, &config, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    show_list(&w, "jwt_validation_pubkeys", &config.pems);
    kt_jsonw_kv_text(&w, "jwks", config.jwks);
    for (size_t i = 0; i < N_TEXTS; i++)
        kt_jsonw_kv_text(&w, texts[i].name,
                         *(const char *const *)(const void *)((const unsigned char *)&config + texts[i].offset));
    show_list(&w, "jwt_supported_algs", &config.alg_texts);
    kt_jsonw_kv_text(&w, "oidc_client_id", "");
    kt_jsonw_kv_text(&w, "oidc_response_mode", "");
    show_list(&w, "oidc_response_types", &none);
    kt_jsonw_key(&w, "provider_config");
    kt_jsonw_object(&w);
    kt_jsonw_end(&w);
    kt_jsonw_kv_bool(&w, "namespace_in_state", false);
    kt_jsonw_end(&w);
    return KT_OK;
}

enum kt_kind jwt_config_write(struct request *req, struct kt_err *err)
{
    struct jwt_config old, config;
    enum kt_kind kind = jwt_config_find(req, req->mount, &old, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    begin_config(&config);
    kind = read_texts(req, &config, err);
    if (kind == KT_OK)
        kind = read_pems(req, &config.pems, err);
    if (kind == KT_OK)
        kind = read_jwks(req, &config.jwks, err);
    if (kind == KT_OK)
        kind = read_alg_texts(req, &config, err);
    if (kind == KT_OK)
        kind = check_left_out(req, err);
    if (kind == KT_OK)
        kind = check_sources(&config, err);
    if (kind == KT_OK)
        kind = lower_default_role(req, &config, err);
    if (kind != KT_OK)
        return kind;
    kt_autobuf struct kt_buf record;
    kt_buf_init(&record, NAMED_RECORD_MAX);
    write_record(&config, &record);
    const struct named which = {req->mount->scope, SETTINGS, NAMED_SETTINGS};
    return named_put(req, &which, old.changed, &record, err);
}
