/* sys/internal/specs/openapi: what can be asked, as an OpenAPI 3 document, from the rows that the
 * pipeline itself goes by. Only of the mounts that the token has any access under.
 * Source: OpenAPI Specification 3.0.3; Vault's x-vault-... extensions. */
#include <ctype.h>

#include "vaultd/core/mounts.h"
#include "vaultd/engine/sys.h"
#include "vaultd/policy/policies.h"

#define PATH_ROOM 512u

/* "{path...?}" is one parameter to OpenAPI, like "{path}". */
static size_t plain_name(const char *brace, char out[PATH_ROOM])
{
    size_t len = strcspn(brace + 1, "}");
    size_t kept = strcspn(brace + 1, ".}");
    memcpy(out, brace + 1, kept);
    out[kept] = '\0';
    return len + 2;
}

static size_t put(char *out, const char *text)
{
    size_t len = strlen(text);
    memcpy(out, text, len + 1);
    return len;
}

/* A text that is too long for memory leaves the arena failed, which sys_openapi() looks at. */
static void write_path_key(struct kt_arena *arena, struct kt_jsonw *w, const struct mount *mount,
                           const struct route *route)
{
    char name[PATH_ROOM];
    char *key = kt_arena_take(arena, strlen(mount->path) + strlen(route->pattern) + 2);
    if (key == NULL)
        return;
    size_t len = 0;
    key[len++] = '/';
    len += put(key + len, mount->path);
    for (const char *p = route->pattern; *p != '\0';) {
        if (*p != '{') {
            key[len++] = *p++;
            continue;
        }
        p += plain_name(p, name);
        key[len++] = '{';
        len += put(key + len, name);
        key[len++] = '}';
    }
    key[len] = '\0';
    kt_jsonw_key(w, key);
}

/* ---- schemas ---- */

static const struct schema {
    const char *type, *format, *items;
} schemas[] = {
    [FIELD_STRING] = {"string", NULL, NULL},
    [FIELD_INT] = {"integer", NULL, NULL},
    [FIELD_NUMBER] = {"number", "float", NULL},
    [FIELD_BOOL] = {"boolean", NULL, NULL},
    [FIELD_DURATION] = {"string", "duration", NULL},
    [FIELD_SIGNED_DURATION] = {"string", "duration", NULL},
    [FIELD_LIST] = {"array", NULL, "string"},
    [FIELD_COMMA_LIST] = {"array", NULL, "string"},
    [FIELD_INT_LIST] = {"array", NULL, "integer"},
    [FIELD_PAIRS] = {"object", "kvpairs", NULL},
    [FIELD_MAP] = {"object", "map", NULL},
    [FIELD_ANY] = {NULL, NULL, NULL},
};

static void write_schema(struct kt_jsonw *w, enum field_type type, const char *help)
{
    const struct schema *schema = &schemas[type];
    kt_jsonw_object(w);
    if (schema->type != NULL)
        kt_jsonw_kv_text(w, "type", schema->type);
    if (schema->format != NULL)
        kt_jsonw_kv_text(w, "format", schema->format);
    if (schema->items != NULL) {
        kt_jsonw_key(w, "items");
        kt_jsonw_object(w);
        kt_jsonw_kv_text(w, "type", schema->items);
        kt_jsonw_end(w);
    }
    if (help != NULL)
        kt_jsonw_kv_text(w, "description", help);
    kt_jsonw_end(w);
}

static void write_parameter(struct kt_jsonw *w, const char *name, const char *in, bool required,
                            enum field_type type, const char *help)
{
    kt_jsonw_object(w);
    kt_jsonw_kv_text(w, "name", name);
    kt_jsonw_kv_text(w, "in", in);
    if (help != NULL)
        kt_jsonw_kv_text(w, "description", help);
    if (required)
        kt_jsonw_kv_bool(w, "required", true);
    kt_jsonw_key(w, "schema");
    write_schema(w, type, NULL);
    kt_jsonw_end(w);
}

static void write_path_parameters(struct kt_jsonw *w, const struct route *route)
{
    char name[PATH_ROOM];
    kt_jsonw_key(w, "parameters");
    kt_jsonw_array(w);
    for (const char *p = strchr(route->pattern, '{'); p != NULL; p = strchr(p + 1, '{')) {
        (void)plain_name(p, name);
        write_parameter(w, name, "path", true, FIELD_STRING, NULL);
    }
    kt_jsonw_end(w);
}

/* ---- operations ---- */

static bool in_pattern(const struct route *route, const char *field)
{
    char name[PATH_ROOM];
    for (const char *p = strchr(route->pattern, '{'); p != NULL; p = strchr(p + 1, '{')) {
        (void)plain_name(p, name);
        if (strcmp(name, field) == 0)
            return true;
    }
    return false;
}

/* OpenAPI knows no LIST: it is GET with ?list=true, as Vault describes it, too. */
static void write_query(struct kt_jsonw *w, const struct route *route)
{
    kt_jsonw_key(w, "parameters");
    kt_jsonw_array(w);
    if (route->list != NULL)
        write_parameter(w, "list", "query", route->read == NULL, FIELD_STRING,
                        "\"true\": list what is below");
    for (const struct field *field = route->fields; field != NULL && field->name != NULL; field++)
        if (!in_pattern(route, field->name))
            write_parameter(w, field->name, "query", false, field->type, field->help);
    kt_jsonw_end(w);
}

static void write_body(struct kt_jsonw *w, const struct route *route, const char *media_type)
{
    kt_jsonw_key(w, "requestBody");
    kt_jsonw_object(w);
    kt_jsonw_key(w, "content");
    kt_jsonw_object(w);
    kt_jsonw_key(w, media_type);
    kt_jsonw_object(w);
    kt_jsonw_key(w, "schema");
    kt_jsonw_object(w);
    kt_jsonw_kv_text(w, "type", "object");
    kt_jsonw_key(w, "properties");
    kt_jsonw_object(w);
    for (const struct field *field = route->fields; field != NULL && field->name != NULL; field++)
        if (!in_pattern(route, field->name)) {
            kt_jsonw_key(w, field->name);
            write_schema(w, field->type, field->help);
        }
    for (int i = 0; i < 5; i++) /* properties, schema, media type, content, requestBody */
        kt_jsonw_end(w);
}

static void write_responses(struct kt_jsonw *w, bool writes)
{
    static const struct {
        const char *status, *text;
    } rows[] = {{"200", "OK"}, {"204", "done, nothing to say"}};
    kt_jsonw_key(w, "responses");
    kt_jsonw_object(w);
    for (size_t i = 0; i < (writes ? 2 : 1); i++) {
        kt_jsonw_key(w, rows[i].status);
        kt_jsonw_object(w);
        kt_jsonw_kv_text(w, "description", rows[i].text);
        kt_jsonw_end(w);
    }
    kt_jsonw_end(w);
}

/* Of a mount's path '/' becomes '-', and every other sign its number, so that no two mounts' are alike. */
static size_t mount_word(const char *path, char *out)
{
    static const char digits[] = "0123456789abcdef";
    size_t len = 0;
    for (const char *p = path; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '/')
            out[len++] = '-';
        if (isalnum(c) != 0)
            out[len++] = *p;
        if (c == '/' || isalnum(c) != 0)
            continue;
        out[len++] = '_';
        out[len++] = digits[c >> 4];
        out[len++] = digits[c & 15];
    }
    return len;
}

/* Its words, with '-' between them. */
static size_t pattern_words(const char *pattern, char *out)
{
    size_t len = 0;
    bool gap = false;
    for (const char *p = pattern; *p != '\0'; p++) {
        bool word = isalnum((unsigned char)*p) != 0;
        if (word && gap && len > 0)
            out[len++] = '-';
        if (word)
            out[len++] = *p;
        gap = !word;
    }
    return len;
}

/* "get-sys-mounts-path". No mount's path is the beginning of another's, so no two operations' are alike. */
static void write_operation_id(struct kt_arena *arena, struct kt_jsonw *w, const char *method,
                               const struct mount *mount, const struct route *route)
{
    char *id = kt_arena_take(arena, strlen(method) + 1 + 3 * strlen(mount->path) + 2 * strlen(route->pattern) + 1);
    if (id == NULL)
        return;
    size_t len = put(id, method);
    id[len++] = '-';
    len += mount_word(mount->path, id + len);
    len += pattern_words(route->pattern, id + len);
    while (len > 0 && id[len - 1] == '-')
        len--;
    id[len] = '\0';
    kt_jsonw_kv_text(w, "operationId", id);
}

static void begin_operation(struct kt_arena *arena, struct kt_jsonw *w, const char *method, enum operation op,
                            const struct mount *mount, const struct route *route)
{
    kt_jsonw_key(w, method);
    kt_jsonw_object(w);
    write_operation_id(arena, w, method, mount, route);
    kt_jsonw_kv_text(w, "summary", route->help);
    kt_jsonw_key(w, "tags");
    kt_jsonw_array(w);
    kt_jsonw_text(w, mount->type);
    kt_jsonw_end(w);
    if ((route->flags & ROUTE_PUBLIC) != 0 || (route->open & op) != 0) {
        kt_jsonw_key(w, "security");
        kt_jsonw_array(w);
        kt_jsonw_end(w);
    }
}

static void write_operations(struct kt_arena *arena, struct kt_jsonw *w, const struct mount *mount,
                             const struct route *route)
{
    if (route->read != NULL || route->list != NULL) {
        begin_operation(arena, w, "get", OP_READ, mount, route);
        write_query(w, route);
        write_responses(w, false);
        kt_jsonw_end(w);
    }
    const struct {
        const char *method, *media_type;
        enum operation op;
        handler_fn *handler;
    } rows[] = {{"post", "application/json", OP_UPDATE, route->write},
                {"patch", "application/merge-patch+json", OP_PATCH, route->patch},
                {"delete", NULL, OP_DELETE, route->delete_}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].handler == NULL)
            continue;
        begin_operation(arena, w, rows[i].method, rows[i].op, mount, route);
        if (rows[i].media_type != NULL)
            write_body(w, route, rows[i].media_type);
        write_responses(w, true);
        kt_jsonw_end(w);
    }
}

static void write_mount(struct kt_arena *arena, struct kt_jsonw *w, const struct mount *mount)
{
    for (size_t i = 0; mount->engine != NULL && i < mount->engine->n_routes; i++) {
        const struct route *route = &mount->engine->routes[i];
        write_path_key(arena, w, mount, route);
        kt_jsonw_object(w);
        kt_jsonw_kv_text(w, "description", route->help);
        write_path_parameters(w, route);
        if ((route->flags & ROUTE_PUBLIC) != 0)
            kt_jsonw_kv_bool(w, "x-vault-unauthenticated", true);
        if ((route->flags & ROUTE_SUDO) != 0)
            kt_jsonw_kv_bool(w, "x-vault-sudo", true);
        write_operations(arena, w, mount, route);
        kt_jsonw_end(w);
    }
}

static void write_security(struct kt_jsonw *w)
{
    kt_jsonw_key(w, "components");
    kt_jsonw_raw(w, kt_str("{\"securitySchemes\":{\"token\":{\"type\":\"apiKey\",\"in\":\"header\","
                           "\"name\":\"X-Vault-Token\"}}}"));
    kt_jsonw_key(w, "security");
    kt_jsonw_raw(w, kt_str("[{\"token\":[]}]"));
}

enum kt_kind sys_openapi(struct request *req, struct kt_err *err)
{
    const struct mount *const *all = NULL;
    size_t n = mounts_all(req, &all);
    struct acl *acl = NULL;
    enum kt_kind kind = sys_acl_of(req, &acl, err);
    if (kind != KT_OK)
        return kind;
    struct kt_jsonw w = kt_jsonw(&req->reply.data);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "openapi", "3.0.3");
    kt_jsonw_key(&w, "info");
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "title", "Keyturn, Vault's HTTP API");
    kt_jsonw_kv_text(&w, "version", KT_VERSION);
    kt_jsonw_end(&w);
    kt_jsonw_key(&w, "servers");
    kt_jsonw_raw(&w, kt_str("[{\"url\":\"/v1\"}]"));
    kt_jsonw_key(&w, "paths");
    kt_jsonw_object(&w);
    for (size_t i = 0; acl != NULL && i < n; i++)
        if (acl_touches(acl, all[i]->path))
            write_mount(&req->arena, &w, all[i]);
    acl_unref(acl);
    kt_jsonw_end(&w);
    write_security(&w);
    kt_jsonw_end(&w);
    req->reply.form = REPLY_BARE;
    return req->arena.failed ? kt_fail(err, KT_NO_MEMORY, "describing what can be asked") : KT_OK;
}
