#include "vaultd/core/engine.h"

#include <string.h>

const char *operation_name(enum operation op)
{
    static const struct {
        enum operation op;
        const char *name;
    } names[] = {
        {OP_READ, "read"},   {OP_LIST, "list"},     {OP_CREATE, "create"}, {OP_UPDATE, "update"},
        {OP_PATCH, "patch"}, {OP_DELETE, "delete"}, {OP_HELP, "help"},
        {OP_HEAD, "head"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].op == op)
            return names[i].name;
    return "none";
}

const struct engine *engine_find(const char *type, const char *version)
{
    for (size_t i = 0; i < n_engines; i++) {
        const struct engine *engine = engines[i];
        if (strcmp(engine->type, type) != 0)
            continue;
        bool same = engine->version != NULL && version != NULL
                        ? strcmp(engine->version, version) == 0
                        : engine->version == version;
        if (same || (version == NULL && engine->unversioned))
            return engine;
    }
    return NULL;
}

struct capture {
    struct request *req;
    const char *name; /* in the pattern */
    size_t name_len;
};

static bool capture(const struct capture *to, const char *value, size_t len)
{
    struct request *req = to->req;
    if (req->n_params >= REQUEST_PARAMS_MAX)
        return false;
    char *name = kt_arena_text(&req->arena, kt_bytes(to->name, to->name_len));
    char *text = kt_arena_text(&req->arena, kt_bytes(value, len));
    if (name == NULL || text == NULL)
        return false;
    req->params[req->n_params++] = (struct request_param){name, text};
    return true;
}

static bool match(const char *pattern, const char *rest, struct request *req);

/* "{name...}": everything up to what the pattern's tail still needs; the longest that fits. */
static bool match_rest(const char *after, const struct capture *to, const char *rest,
                       bool may_be_empty)
{
    size_t len = strlen(rest);
    if (*after == '\0')
        return (len > 0 || may_be_empty) && capture(to, rest, len);
    size_t tail = strlen(after);
    if (len <= tail || strcmp(rest + len - tail, after) != 0)
        return false;
    return capture(to, rest, len - tail);
}

static bool match_capture(const char *pattern, const char *rest, struct request *req)
{
    const char *end = strchr(pattern, '}');
    size_t name_len = (size_t)(end - pattern) - 1;
    bool optional = name_len > 0 && pattern[name_len] == '?';
    size_t len = optional ? name_len - 1 : name_len;
    bool many = len > 3 && memcmp(pattern + 1 + len - 3, "...", 3) == 0;
    struct capture to = {req, pattern + 1, many ? len - 3 : len};
    if (many)
        return match_rest(end + 1, &to, rest, optional);
    size_t segment = strcspn(rest, "/");
    if (segment == 0 || !capture(&to, rest, segment))
        return false;
    return match(end + 1, rest + segment, req);
}

static bool match(const char *pattern, const char *rest, struct request *req)
{
    while (*pattern != '\0' && *pattern != '{') {
        if (*pattern != *rest)
            return false;
        pattern++;
        rest++;
    }
    if (*pattern == '\0')
        return *rest == '\0';
    return match_capture(pattern, rest, req);
}

/* A LIST path has a trailing slash that the rows do not spell out. NULL: rest has none to lose. */
static const char *without_slash(const char *rest, struct request *req)
{
    size_t len = strlen(rest);
    if (req->op != OP_LIST || len == 0 || rest[len - 1] != '/')
        return NULL;
    return kt_arena_text(&req->arena, kt_bytes(rest, len - 1));
}

static bool match_row(const struct route *route, const char *rest, struct request *req)
{
    req->n_params = 0;
    return rest != NULL && match(route->pattern, rest, req);
}

bool route_match(const struct engine *engine, const char *rest, struct request *req)
{
    const char *shorter = without_slash(rest, req);
    for (size_t i = 0; i < engine->n_routes && !req->arena.failed; i++) {
        const struct route *route = &engine->routes[i];
        if (match_row(route, rest, req) || match_row(route, shorter, req)) {
            req->route = route;
            return true;
        }
    }
    req->n_params = 0;
    return false;
}

const char *request_param(const struct request *req, const char *name)
{
    for (unsigned i = 0; i < req->n_params; i++)
        if (strcmp(req->params[i].name, name) == 0)
            return req->params[i].value;
    return "";
}
