/* sys/internal/specs/openapi: what can be asked, as an OpenAPI 3 document, from the rows that the
 * pipeline itself goes by. Only of the mounts that the token has any access under.
 * Source: OpenAPI Specification 3.0.3; Vault's x-vault-... extensions. */
#include <ctype.h>

#include "vaultd/core/mounts.h"
#include "vaultd/engine/sys.h"

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

static void write_path_key(struct kt_jsonw *w, const struct mount *mount, const struct route *route)
{
    char key[PATH_ROOM] = "", name[PATH_ROOM];
    kt_autobuf struct kt_buf text;
    kt_buf_init_in(&text, PATH_ROOM - 1, key, sizeof key);
    kt_buf_printf(&text, "/%s", mount->path);
    for (const char *p = route->pattern; *p != '\0';) {
        if (*p != '{') {
            kt_buf_add_char(&text, *p++);
            continue;
        }
        p += plain_name(p, name);
        kt_buf_printf(&text, "{%s}", name);
    }
    kt_jsonw_key(w, kt_buf_text(&text));
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

/* "get-sys-mounts-path": the method and the words of the path, so no two are alike. */
static void write_operation_id(struct kt_jsonw *w, const char *method, const struct mount *mount,
                               const struct route *route)
{
    char id[PATH_ROOM];
    kt_autobuf struct kt_buf text;
    kt_buf_init_in(&text, PATH_ROOM - 1, id, sizeof id);
    kt_buf_add_text(&text, method);
    const char *const parts[] = {mount->path, route->pattern};
    for (size_t i = 0; i < 2; i++) {
        bool gap = true;
        for (const char *p = parts[i]; *p != '\0'; p++) {
            bool word = isalnum((unsigned char)*p) != 0;
            if (word && gap)
                kt_buf_add_char(&text, '-');
            if (word)
                kt_buf_add_char(&text, *p);
            gap = !word;
        }
    }
    kt_jsonw_kv_text(w, "operationId", kt_buf_text(&text));
}

static void begin_operation(struct kt_jsonw *w, const char *method, enum operation op,
                            const struct mount *mount, const struct route *route)
{
    kt_jsonw_key(w, method);
    kt_jsonw_object(w);
    write_operation_id(w, method, mount, route);
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

static void write_operations(struct kt_jsonw *w, const struct mount *mount, const struct route *route)
{
    if (route->read != NULL || route->list != NULL) {
        begin_operation(w, "get", OP_READ, mount, route);
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
        begin_operation(w, rows[i].method, rows[i].op, mount, route);
        if (rows[i].media_type != NULL)
            write_body(w, route, rows[i].media_type);
        write_responses(w, true);
        kt_jsonw_end(w);
    }
}

static void write_mount(struct kt_jsonw *w, const struct mount *mount)
{
    for (size_t i = 0; mount->engine != NULL && i < mount->engine->n_routes; i++) {
        const struct route *route = &mount->engine->routes[i];
        write_path_key(w, mount, route);
        kt_jsonw_object(w);
        kt_jsonw_kv_text(w, "description", route->help);
        write_path_parameters(w, route);
        if ((route->flags & ROUTE_PUBLIC) != 0)
            kt_jsonw_kv_bool(w, "x-vault-unauthenticated", true);
        if ((route->flags & ROUTE_SUDO) != 0)
            kt_jsonw_kv_bool(w, "x-vault-sudo", true);
        write_operations(w, mount, route);
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
    (void)err;
    const struct mount *const *all = NULL;
    size_t n = mounts_all(req, &all);
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
    for (size_t i = 0; i < n; i++)
        if (sys_may_touch(req, all[i]))
            write_mount(&w, all[i]);
    kt_jsonw_end(&w);
    write_security(&w);
    kt_jsonw_end(&w);
    req->reply.form = REPLY_BARE;
    return KT_OK;
}
