#include "tests/support/routes.h"

#include <stdio.h>
#include <stdlib.h>

const char *const route_methods[ROUTE_METHODS] = {"GET",   "HEAD",   "LIST", "POST",
                                                  "PUT", "PATCH", "DELETE"};

/* asked and body: how it is mounted; NULL: it is there in every --dev vault. */
static const struct {
    const char *type, *version, *path, *asked, *body;
} mounts[] = {
    {"approle", NULL, "auth/approle/", "sys/auth/approle", "{\"type\":\"approle\"}"},
    {"cert", NULL, "auth/cert/", "sys/auth/cert", "{\"type\":\"cert\"}"},
    {"cubbyhole", NULL, "cubbyhole/", NULL, NULL}, {"fleet", NULL, "fleet/", NULL, NULL},
    {"identity", NULL, "identity/", NULL, NULL},
    {"jwt", NULL, "auth/jwt/", "sys/auth/jwt", "{\"type\":\"jwt\"}"},
    {"kv", "1", "kv1/", "sys/mounts/kv1", "{\"type\":\"kv\"}"},
    {"kv", "2", "secret/", NULL, NULL},
    {"pam", NULL, "auth/pam/", "sys/auth/pam", "{\"type\":\"pam\"}"},
    {"rotation", NULL, "rotation/", NULL, NULL},
    {"system", NULL, "sys/", NULL, NULL},          {"token", NULL, "auth/token/", NULL, NULL},
    {"unix", NULL, "auth/unix/", "sys/auth/unix", "{\"type\":\"unix\"}"},
    {"userpass", NULL, "auth/userpass/", "sys/auth/userpass", "{\"type\":\"userpass\"}"},
};
#define N_MOUNTS (sizeof mounts / sizeof mounts[0])

void routes_mount_all(struct test_vault *vault)
{
    for (size_t i = 0; i < N_MOUNTS; i++) {
        if (mounts[i].asked == NULL)
            continue;
        unsigned status = test_vault_call(vault, "POST", mounts[i].asked, vault->root, mounts[i].body);
        if (status == 204)
            continue;
        (void)fprintf(stderr, "mounting %s: %u %s\n", mounts[i].path, status, vault->body);
        abort();
    }
}

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

const char *routes_mount(const struct engine *engine)
{
    for (size_t i = 0; i < N_MOUNTS; i++)
        if (same(mounts[i].type, engine->type) && same(mounts[i].version, engine->version))
            return mounts[i].path;
    (void)fprintf(stderr, "the engine \"%s\" is not in tests/support/routes.c's table of mounts\n",
                  engine->type);
    abort();
}

/* Where "x" would be refused for what it is, before anything else is looked at. */
static const struct {
    const char *type, *pattern, *example;
} examples[] = {
    {"rotation", "secrets/{path...}", "secrets/secret/x"},
    {"rotation", "rotate/{path...}", "rotate/secret/x"},
    {"fleet", "consumers/{host}/{path...}", "consumers/x/secret/x"},
    {"approle", "role/{role}/{field}", "role/x/token-ttl"},
    {"unix", "users/{uid}", "users/1000"},
    {"unix", "groups/{gid}", "groups/1000"},
    {"system", "auth/{path...}/tune", "auth/userpass/tune"},
    {"system", "mounts/{path...}/tune", "mounts/secret/tune"},
    {"system", "tools/random/{source}", "tools/random/seal"},
    {"system", "tools/random/{source}/{urlbytes}", "tools/random/seal/16"},
    {"system", "tools/hash/{urlalgorithm}", "tools/hash/sha2-256"},
};

void routes_example(const struct engine *engine, const struct route *route, char *out, size_t size)
{
    size_t len = (size_t)snprintf(out, size, "%s", routes_mount(engine));
    const char *pattern = route->pattern;
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++)
        if (strcmp(examples[i].type, engine->type) == 0 &&
            strcmp(examples[i].pattern, route->pattern) == 0)
            pattern = examples[i].example;
    for (const char *p = pattern; *p != '\0' && len + 2 < size; p++) {
        if (*p == '{')
            p = strchr(p, '}');
        out[len++] = *p == '}' ? 'x' : *p;
    }
    out[len] = '\0';
}

handler_fn *routes_handler(const struct route *route, const char *method)
{
    const struct {
        const char *method;
        handler_fn *handler;
    } rows[ROUTE_METHODS] = {
        {"GET", route->read},   {"HEAD", (route->flags & ROUTE_PUBLIC) != 0 ? route->read : NULL},
        {"LIST", route->list},  {"POST", route->write},
        {"PUT", route->write},  {"PATCH", route->patch},
        {"DELETE", route->delete_},
    };
    for (size_t i = 0; i < ROUTE_METHODS; i++)
        if (strcmp(rows[i].method, method) == 0)
            return rows[i].handler;
    return NULL;
}

bool routes_open(const struct route *route, const char *method)
{
    static const struct {
        const char *method;
        enum operation op;
    } rows[] = {{"GET", OP_READ}, {"POST", OP_UPDATE}, {"PUT", OP_UPDATE}, {"DELETE", OP_DELETE}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].method, method) == 0)
            return (route->open & (unsigned)rows[i].op) != 0;
    return false;
}

bool routes_folder_refused(const struct route *route, const char *method, const char *path)
{
    bool writes = method[0] == 'P'; /* POST, PUT, PATCH */
    return writes && path[strlen(path) - 1] == '/' && (route->flags & ROUTE_TRAILING_SLASH) == 0;
}

size_t routes_each(void (*fn)(void *arg, const struct engine *engine, const struct route *route),
                   void *arg)
{
    size_t rows = 0;
    for (size_t i = 0; i < n_engines; i++)
        for (size_t j = 0; j < engines[i]->n_routes; j++, rows++)
            fn(arg, engines[i], &engines[i]->routes[j]);
    return rows;
}
