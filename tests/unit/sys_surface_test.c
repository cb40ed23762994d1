/* What sys/ says beside keys, mounts and policies: tools, settings, the host, the description of
 * itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/json.h"
#include "lib/failpoint.h"
#include "tests/support/routes.h"

static struct test_vault *vault;

static int begin(void **state)
{
    (void)state;
    vault = test_vault_new(true);
    routes_mount_all(vault);
    return 0;
}

static int end(void **state)
{
    (void)state;
    test_vault_free(vault);
    return 0;
}

struct ask {
    const char *method, *path, *body;
    unsigned status;
    const char *says;
};

static void check(const struct ask *asks, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct ask *ask = &asks[i];
        unsigned status = test_vault_call(vault, ask->method, ask->path, vault->root, ask->body);
        if (status != ask->status || (ask->says != NULL && !test_vault_said(vault, ask->says)))
            fail_msg("%s %s %s: wanted %u and %s, got %u %s", ask->method, ask->path,
                     ask->body == NULL ? "" : ask->body, ask->status, ask->says == NULL ? "" : ask->says,
                     status, vault->body);
    }
}
#define CHECK(asks) check((asks), sizeof(asks) / sizeof(asks)[0])

/* ---- tools ----------------------------------------------------------------------------------- */

static void hashes(void **state)
{
    (void)state;
    /* "abc": FIPS 180-4 and FIPS 202, the agency's own examples */
    static const struct ask asks[] = {
        {"POST", "sys/tools/hash", "{\"input\":\"YWJj\"}", 200,
         "\"sum\":\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\""},
        {"POST", "sys/tools/hash/sha2-224", "{\"input\":\"YWJj\"}", 200,
         "\"sum\":\"23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7\""},
        {"POST", "sys/tools/hash", "{\"input\":\"YWJj\",\"algorithm\":\"sha2-384\"}", 200,
         "\"sum\":\"cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
         "8086072ba1e7cc2358baeca134c825a7\""},
        {"POST", "sys/tools/hash/sha2-512", "{\"input\":\"YWJj\"}", 200,
         "\"sum\":\"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
         "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f\""},
        {"POST", "sys/tools/hash/sha3-256", "{\"input\":\"YWJj\"}", 200,
         "\"sum\":\"3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532\""},
        {"POST", "sys/tools/hash", "{\"input\":\"YWJj\",\"format\":\"base64\"}", 200,
         "\"sum\":\"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=\""},
        {"POST", "sys/tools/hash", "{}", 200,
         "\"sum\":\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\""},
        {"POST", "sys/tools/hash", "{\"input\":\"*\"}", 400, "unable to decode \\\"input\\\" as base64"},
        {"POST", "sys/tools/hash/md5", "{\"input\":\"YWJj\"}", 400, "unsupported \\\"algorithm\\\""},
        {"POST", "sys/tools/hash", "{\"format\":\"x\"}", 400, "unsupported encoding \\\"format\\\""},
    };
    CHECK(asks);
}

static size_t random_length(const char *path, const char *body)
{
    static char text[300000];
    if (test_vault_call(vault, "POST", path, vault->root, body) != 200)
        fail_msg("%s: %u %s", path, vault->status, vault->body);
    test_vault_text(vault, "data.random_bytes", text, sizeof text);
    return strlen(text);
}

static void random_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *path, *body;
        size_t length;
    } rows[] = {
        {"sys/tools/random", NULL, 44},
        {"sys/tools/random", "{\"format\":\"hex\"}", 64},
        {"sys/tools/random", "{\"bytes\":3}", 4},
        {"sys/tools/random/16", "{\"format\":\"hex\"}", 32},
        {"sys/tools/random/seal", "{\"format\":\"hex\",\"bytes\":\"5\"}", 10},
        {"sys/tools/random/all/7", "{\"format\":\"hex\",\"bytes\":5}", 14},
        {"sys/tools/random/131072", "{\"format\":\"hex\"}", 262144},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (random_length(rows[i].path, rows[i].body) != rows[i].length)
            fail_msg("%s %s: not %zu characters", rows[i].path, rows[i].body, rows[i].length);
    static const struct ask asks[] = {
        {"POST", "sys/tools/random", "{\"bytes\":0}", 400, "\\\"bytes\\\" cannot be less than 1"},
        {"POST", "sys/tools/random/131073", NULL, 400, "\\\"bytes\\\" should be less than"},
        {"POST", "sys/tools/random/dice", NULL, 400, "error parsing url-set byte count"},
        {"POST", "sys/tools/random/dice/3", NULL, 400, "entropy \\\"source\\\""},
        {"POST", "sys/tools/random", "{\"source\":\"dice\"}", 400, "entropy \\\"source\\\""},
    };
    CHECK(asks);
    char one[64], two[64];
    (void)random_length("sys/tools/random", NULL);
    test_vault_text(vault, "data.random_bytes", one, sizeof one);
    (void)random_length("sys/tools/random", NULL);
    test_vault_text(vault, "data.random_bytes", two, sizeof two);
    assert_string_not_equal(one, two);
}

/* ---- settings -------------------------------------------------------------------------------- */

static void configured_only(void **state)
{
    (void)state;
    static const struct ask asks[] = {
        {"GET", "sys/audit", NULL, 200, "\"data\":{}"},
        {"PUT", "sys/audit/file", "{\"type\":\"file\",\"options\":{\"file_path\":\"/tmp/x\"}}", 400,
         "cannot enable audit device via API; use declarative"},
        {"PUT", "sys/audit/file", "{\"type\":\"file\"}", 400, "audit \\\"file\\\" { path ="},
        {"DELETE", "sys/audit/file", NULL, 400, "cannot disable audit device via API"},
        {"GET", "sys/config/auditing/request-headers", NULL, 200, "\"headers\":{}"},
        {"GET", "sys/config/auditing/request-headers/x-a", NULL, 400, "Could not find header"},
        {"PUT", "sys/config/auditing/request-headers/x-a", "{\"hmac\":true}", 400, "are not recorded"},
        {"DELETE", "sys/config/auditing/request-headers/x-a", NULL, 204, NULL},
        {"GET", "sys/config/cors", NULL, 200, "{\"enabled\":false,\"request_id\""},
        {"PUT", "sys/config/cors", "{\"allowed_origins\":\"*\"}", 400, "not offered"},
        {"DELETE", "sys/config/cors", NULL, 204, NULL},
    };
    CHECK(asks);
}

static void devices_are_shown(void **state)
{
    (void)state;
    static const struct audit_device_config devices[] = {
        {"file", "file", "/var/log/a.log", 0}, {"file", "file", "/var/log/b.log", 0}};
    struct core_config *config = &vault->core->config;
    config->devices = devices;
    config->n_devices = 2;
    static const struct ask asks[] = {
        {"GET", "sys/audit", NULL, 200, "{\"file/\":{\"description\":\"from the configuration\","},
        {"GET", "sys/audit", NULL, 200, "\"options\":{\"file_path\":\"/var/log/a.log\"},\"path\":\"file/\""},
        {"GET", "sys/audit", NULL, 200, "\"options\":{\"file_path\":\"/var/log/b.log\"},\"path\":\"file-2/\""},
    };
    CHECK(asks);
    config->n_devices = 0;
}

/* ---- the host and the vault ------------------------------------------------------------------ */

static void of_itself(void **state)
{
    (void)state;
    vault->core->config.listeners = "[{\"type\":\"tcp\"}]";
    static const struct ask asks[] = {
        {"GET", "sys/host-info", NULL, 200, "\"kernelArch\":\""},
        {"GET", "sys/host-info", NULL, 200, "\"memory\":{\"buffers\":"},
        {"GET", "sys/host-info", NULL, 200, "\"disk\":[{\"free\":"},
        {"GET", "sys/host-info", NULL, 200, "\"cpu\":[{\"cpu\":0}"},
        {"GET", "sys/ha-status", NULL, 200, "{\"nodes\":[{\"active_node\":true,"},
        {"GET", "sys/config/state/sanitized", NULL, 200, "\"listeners\":[{\"type\":\"tcp\"}]"},
        {"GET", "sys/config/state/sanitized", NULL, 200, "\"storage\":{\"type\":\"inmem\"}"},
    };
    CHECK(asks);
}

static int64_t counted(void)
{
    char text[32];
    assert_int_equal(test_vault_call(vault, "GET", "sys/internal/counters/tokens", vault->root, NULL), 200);
    test_vault_text(vault, "data.counters.service_tokens.total", text, sizeof text);
    return strtoll(text, NULL, 10);
}

/* More than are counted on the thread that others wait for. */
static void tokens_are_counted(void **state)
{
    (void)state;
    int64_t before = counted();
    for (int i = 0; i < 2010; i++)
        assert_int_equal(test_vault_call(vault, "POST", "auth/token/create", vault->root, "{}"), 200);
    assert_int_equal(counted(), before + 2010);
}

/* ---- OpenAPI --------------------------------------------------------------------------------- */

static json_t *document(const char *token)
{
    struct kt_err err = {0};
    json_t *ret = NULL;
    if (test_vault_call(vault, "GET", "sys/internal/specs/openapi", token, NULL) != 200)
        fail_msg("%u %s", vault->status, vault->body);
    ret = json_loads(vault->body, JSON_REJECT_DUPLICATES, NULL);
    if (ret == NULL)
        fail_msg("no JSON: %s %s", err.what, vault->body);
    return ret;
}

/* The row's path as the document has it. */
static void documented(const struct engine *engine, const struct route *route, char *out, size_t size)
{
    size_t len = (size_t)snprintf(out, size, "/%s", routes_mount(engine));
    for (const char *p = route->pattern; *p != '\0' && len + 1 < size; p++)
        if (*p != '.' && *p != '?')
            out[len++] = *p;
        else if (strchr(p, '}') == NULL || strchr(p, '}') > p + 4)
            out[len++] = *p; /* a dot of the path's own */
    out[len] = '\0';
}

static const json_t *member(const json_t *object, const char *name, const char *where)
{
    const json_t *found = json_object_get(object, name);
    if (found == NULL)
        fail_msg("the document has no \"%s\" at %s", name, where);
    return found;
}

static void check_fields(const struct route *route, const json_t *operation, const char *where)
{
    const json_t *body = member(operation, "requestBody", where);
    const json_t *types = member(body, "content", where);
    const json_t *type = json_object_iter_value(json_object_iter((json_t *)(uintptr_t)types));
    const json_t *properties = member(member(type, "schema", where), "properties", where);
    char in_path[96];
    size_t n = 0;
    for (const struct field *field = route->fields; field != NULL && field->name != NULL; field++) {
        (void)snprintf(in_path, sizeof in_path, "{%s", field->name);
        if (strstr(route->pattern, in_path) != NULL)
            continue;
        n++;
        (void)member(member(properties, field->name, where), "description", where);
    }
    assert_int_equal(json_object_size(properties), n);
}

struct seen {
    const json_t *paths;
    json_t *ids; /* each operation's, once */
    size_t n;
};

static void check_row(void *arg, const struct engine *engine, const struct route *route)
{
    struct seen *seen = arg;
    char path[256];
    documented(engine, route, path, sizeof path);
    const json_t *item = member(seen->paths, path, "paths");
    const struct {
        const char *method;
        enum operation op;
        bool there, body;
    } rows[] = {{"get", OP_READ, route->read != NULL || route->list != NULL, false},
                {"post", OP_UPDATE, route->write != NULL, true},
                {"patch", OP_PATCH, route->patch != NULL, true},
                {"delete", OP_DELETE, route->delete_ != NULL, false},
                {"put", OP_UPDATE, false, false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const json_t *operation = json_object_get(item, rows[i].method);
        if ((operation != NULL) != rows[i].there)
            fail_msg("%s %s: the row and the document differ", rows[i].method, path);
        if (operation == NULL)
            continue;
        const char *id = json_string_value(member(operation, "operationId", path));
        if (json_object_get(seen->ids, id) != NULL)
            fail_msg("two operations are called %s", id);
        (void)json_object_set_new(seen->ids, id, json_true());
        (void)member(operation, "responses", path);
        bool open = (route->flags & ROUTE_PUBLIC) != 0 || (route->open & rows[i].op) != 0;
        if (open != (json_object_get(operation, "security") != NULL))
            fail_msg("%s %s: whether it needs a token", rows[i].method, path);
        if (rows[i].body)
            check_fields(route, operation, path);
    }
    assert_int_equal(json_is_true(json_object_get(item, "x-vault-sudo")), (route->flags & ROUTE_SUDO) != 0);
    seen->n++;
}

/* Each "{name}" is a required parameter, and no parameter is without one. */
static void check_parameters(const char *path, const json_t *item)
{
    const json_t *parameters = member(item, "parameters", path), *each = NULL;
    size_t i = 0, braces = 0;
    for (const char *p = path; *p != '\0'; p++)
        braces += *p == '{';
    assert_int_equal(json_array_size(parameters), braces);
    json_array_foreach(parameters, i, each) {
        char name[96];
        (void)snprintf(name, sizeof name, "{%s}", json_string_value(json_object_get(each, "name")));
        if (strstr(path, name) == NULL || !json_is_true(json_object_get(each, "required")))
            fail_msg("%s: the parameter %s", path, name);
    }
}

static void openapi_has_each_row(void **state)
{
    (void)state;
    json_t *all = document(vault->root);
    assert_string_equal(json_string_value(json_object_get(all, "openapi")), "3.0.3");
    struct seen seen = {.paths = member(all, "paths", "the top"), .ids = json_object()};
    (void)routes_each(check_row, &seen);
    assert_int_equal(json_object_size(seen.paths), seen.n); /* and nothing else */
    const char *path = NULL;
    json_t *item = NULL;
    json_object_foreach((json_t *)(uintptr_t)seen.paths, path, item)
        check_parameters(path, item);
    json_decref(seen.ids);
    json_decref(all);
}

static void openapi_of_what_is_seen(void **state)
{
    (void)state;
    char token[256];
    test_vault_token(vault, "kv", "path \"secret/data/a\" { capabilities = [\"read\"] }", token, sizeof token);
    char body[64] = "{\"policies\":[\"kv\"],\"no_default_policy\":true}";
    assert_int_equal(test_vault_call(vault, "POST", "auth/token/create", vault->root, body), 200);
    test_vault_text(vault, "auth.client_token", token, sizeof token);
    json_t *all = document(token), *item = NULL;
    const char *path = NULL;
    const json_t *paths = member(all, "paths", "the top");
    assert_true(json_object_size(paths) > 0);
    json_object_foreach((json_t *)(uintptr_t)paths, path, item)
        if (strncmp(path, "/secret/", 8) != 0)
            fail_msg("a token that may only read below secret/ sees %s", path);
    json_decref(all);
    all = document(NULL);
    assert_int_equal(json_object_size(json_object_get(all, "paths")), 0);
    json_decref(all);
}

static void note_id(json_t *ids, const json_t *operation, size_t *n)
{
    const char *id = json_string_value(json_object_get(operation, "operationId"));
    if (id == NULL)
        return;
    if (json_object_get(ids, id) != NULL)
        fail_msg("two operations are called %s", id);
    (void)json_object_set_new(ids, id, json_true());
    ++*n;
}

/* Paths that only differ in their signs, and the longest that a mount can have. */
static void openapi_of_like_mounts(void **state)
{
    (void)state;
    char target[300] = "sys/mounts/", path[512];
    static const char *const mounts[] = {"a-b", "a/b", "a_b", "a b", "a_2db"};
    for (size_t i = 0; i < sizeof mounts / sizeof mounts[0]; i++) {
        (void)snprintf(target, sizeof target, "sys/mounts/%s", mounts[i]);
        assert_int_equal(test_vault_call(vault, "POST", target, vault->root, "{\"type\":\"kv\"}"), 204);
    }
    (void)snprintf(target, sizeof target, "sys/mounts/%0127d/%0126d", 1, 2);
    assert_int_equal(test_vault_call(vault, "POST", target, vault->root, "{\"type\":\"kv-v2\"}"), 204);
    json_t *all = document(vault->root), *ids = json_object(), *item = NULL, *operation = NULL;
    const char *key = NULL, *method = NULL;
    size_t n = 0;
    (void)snprintf(path, sizeof path, "/%0127d/%0126d/data/{path}", 1, 2);
    (void)member(member(all, "paths", "the top"), path, "paths");
    json_object_foreach(json_object_get(all, "paths"), key, item)
        json_object_foreach(item, method, operation)
            note_id(ids, operation, &n);
    assert_true(n > 100);
    json_decref(ids);
    json_decref(all);
    for (size_t i = 0; i < sizeof mounts / sizeof mounts[0]; i++) {
        (void)snprintf(target, sizeof target, "sys/mounts/%s", mounts[i]);
        assert_int_equal(test_vault_call(vault, "DELETE", target, vault->root, NULL), 204);
    }
}

#ifdef KT_FAULT
/* The whole document, or an error; never a shorter one. */
static void openapi_is_whole(void **state)
{
    (void)state;
    static const char path[] = "sys/internal/specs/openapi";
    char token[256];
    unsigned refused = 0, met = 1;
    test_vault_token(vault, "some", "path \"secret/*\" { capabilities = [\"read\"] }", token, sizeof token);
    assert_int_equal(test_vault_call(vault, "GET", path, token, NULL), 200);
    size_t whole = strlen(vault->body);
    for (unsigned long nth = 1; met != 0; nth++) {
        assert_true(nth < 1000);
        (void)test_vault_call(vault, "PUT", "sys/policies/acl/some", vault->root, /* nothing is kept of it */
                              "{\"policy\":\"path \\\"secret/*\\\" { capabilities = [\\\"read\\\"] }\"}");
        (void)kt_fail_allocation(nth);
        unsigned status = test_vault_call(vault, "GET", path, token, NULL);
        met = kt_fail_allocation(0) >= nth;
        if (status == 200)
            assert_int_equal(strlen(vault->body), whole);
        else
            assert_true(status >= 500);
        refused += status != 200;
    }
    assert_true(refused > 3);
}
#endif

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes),
        cmocka_unit_test(random_bytes),
        cmocka_unit_test(configured_only),
        cmocka_unit_test(devices_are_shown),
        cmocka_unit_test(of_itself),
        cmocka_unit_test(tokens_are_counted),
        cmocka_unit_test(openapi_has_each_row),
        cmocka_unit_test(openapi_of_what_is_seen),
        cmocka_unit_test(openapi_of_like_mounts),
#ifdef KT_FAULT
        cmocka_unit_test(openapi_is_whole),
#endif
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("sys_surface", tests, begin, end);
}
