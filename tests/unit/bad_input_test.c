/* Every row of every engine's table, with every method, against input that is wrong in one way at a
 * time. The cases come from the rows: a new route is tried without anybody's doing. What all share:
 * the documented status, Vault's error object, the name of the field that is wrong and never what it
 * held. Who may not ask at all is denied_routes_test's matter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <ctype.h>

#include "tests/support/routes.h"

#define CANARY     "kt-canary-5157"
#define MERGE_TYPE "application/merge-patch+json"

static struct test_vault *vault;

/* ---- asking ---------------------------------------------------------------------------------- */

static bool has_body(const char *method)
{
    return method[0] == 'P';
}

/* A root token of its own: what is asked may end it. */
static void new_root(char *out, size_t size)
{
    if (test_vault_call(vault, "POST", "auth/token/create", vault->root, "{\"policies\":[\"root\"]}") != 200)
        fail_msg("no token: %s", vault->body);
    test_vault_text(vault, "auth.client_token", out, size);
}

static unsigned ask_bytes(const char *method, const char *path, const char *query, const char *token,
                          struct kt_bytes body)
{
    char target[8192];
    (void)snprintf(target, sizeof target, "/v1/%s", path);
    const struct test_request request = {
        .method = kt_str(method),
        .target = kt_str(target),
        .query = kt_str(query),
        .token = kt_str(token),
        .body = body,
        .content_type = kt_str(strcmp(method, "PATCH") == 0 ? MERGE_TYPE : NULL),
        .hurry = true};
    unsigned status = test_vault_ask(vault, &request);
    if (barrier_sealed(vault->core->barrier)) /* that is what sys/seal is for */
        test_vault_reseal(vault);
    return status;
}

static unsigned ask(const char *method, const char *path, const char *token, const char *body)
{
    return ask_bytes(method, path, NULL, token, kt_str(body));
}

static unsigned ask_as_root(const char *method, const char *path, const char *query, const char *body)
{
    char root[256];
    new_root(root, sizeof root);
    return ask_bytes(method, path, query, root, kt_str(body));
}

/* {"errors":[...]} with strings, at most "data" beside it; and nothing of what was sent. */
static void check_error(const char *method, const char *path, const char *what)
{
    struct kt_json all = kt_json_value(kt_str(vault->body)), list = {0};
    bool shaped = kt_json_check(kt_str(vault->body), NULL, NULL) == KT_OK &&
                  kt_json_member(all, "errors", &list) && kt_json_type(list) == KT_JSON_ARRAY;
    struct kt_json_iter it = kt_json_iter(all);
    while (shaped && kt_json_next(&it))
        shaped = kt_json_is(it.key, "errors") || kt_json_is(it.key, "data");
    it = kt_json_iter(list);
    while (shaped && kt_json_next(&it))
        shaped = kt_json_type(it.value) == KT_JSON_STRING;
    if (!shaped)
        fail_msg("%s %s, %s: no error object of Vault's: %s", method, path, what, vault->body);
    if (test_vault_said(vault, CANARY))
        fail_msg("%s %s, %s: the error tells what was sent: %s", method, path, what, vault->body);
}

static void wanted(unsigned got, unsigned status, const char *text, const char *method,
                   const char *path, const char *what)
{
    if (got != status || (text != NULL && !test_vault_said(vault, text)))
        fail_msg("%s %s, %s: wanted %u and %s, got %u: %s", method, path, what, status,
                 text == NULL ? "any text" : text, got, vault->body);
    check_error(method, path, what);
}

/* ---- walking --------------------------------------------------------------------------------- */

struct place {
    const struct engine *engine;
    const struct route *route;
    const char *method;
    char path[256];
};
typedef void place_fn(const struct place *place);

static void each_method(void *arg, const struct engine *engine, const struct route *route)
{
    place_fn *fn;
    memcpy(&fn, arg, sizeof fn);
    struct place place = {.engine = engine, .route = route};
    routes_example(engine, route, place.path, sizeof place.path);
    for (size_t i = 0; i < ROUTE_METHODS; i++) {
        place.method = route_methods[i];
        fn(&place);
    }
}

static void with_all(place_fn *fn)
{
    vault = test_vault_new(true);
    routes_mount_all(vault);
    if (test_vault_call(vault, "POST", "secret/data/x", vault->root, "{\"data\":{\"a\":\"b\"}}") != 200)
        fail_msg("no secret: %s", vault->body);
    /* The rows would make him if as many passwords may be looked at by then. */
    if (test_vault_call(vault, "POST", "auth/userpass/users/x", vault->root, "{\"password\":\"1\"}") != 204)
        fail_msg("no user: %s", vault->body);
    size_t rows = routes_each(each_method, &fn);
    assert_true(rows >= 60);
    test_vault_free(vault);
}

/* With a handler, and not refused before anybody looks at what was sent. */
static bool answers(const struct place *place)
{
    return routes_handler(place->route, place->method) != NULL &&
           !routes_folder_refused(place->route, place->method, place->path);
}

/* ---- each row is reached --------------------------------------------------------------------- */

/* A row behind one that takes its paths would be dead, and everything below would try the other. */
static void check_reached(const struct place *place)
{
    struct request req;
    request_init(&req, vault->core, ORIGIN_TCP, NULL, NULL);
    req.op = strcmp(place->method, "LIST") == 0 ? OP_LIST : OP_READ;
    const char *rest = place->path + strlen(routes_mount(place->engine));
    bool reached = route_match(place->engine, rest, &req) && req.route == place->route;
    request_free(&req);
    if (!reached)
        fail_msg("%s does not reach the row \"%s\" of %s", place->path, place->route->pattern,
                 place->engine->type);
}

static void rows_are_reached(void **state)
{
    (void)state;
    with_all(check_reached);
}

/* ---- wrong types ----------------------------------------------------------------------------- */

/* What is no value of the type, as JSON; NULL ends. */
static const char *const *wrong_values(enum field_type type)
{
#define C "\"" CANARY "\""
    static const char *const strings[] = {"[" C "]", "{" C ":" C "}", NULL};
    static const char *const ints[] = {C, "1.5", "1e3", "[1]", "{\"a\":" C "}",
                                       "99999999999999999999", NULL};
    static const char *const numbers[] = {C, "[1]", "{\"a\":" C "}", "\"0x10\"", "\"inf\"", "1e999", NULL};
    static const char *const bools[] = {C, "2", "[true]", "{\"a\":" C "}", "\"yes\"", NULL};
    static const char *const durations[] = {C, "-1", "\"-1h\"", "1.5", "true", "[1]", "{\"a\":" C "}",
                                            NULL};
    static const char *const lists[] = {"{" C ":" C "}", "[[" C "]]", "[{\"a\":" C "}]", NULL};
    static const char *const int_lists[] = {C, "[1," C "]", "{\"a\":" C "}", "[1.5]", NULL};
    static const char *const pairs[] = {C, "[" C "]", "7", "{\"a\":{\"b\":" C "}}", NULL};
    static const char *const maps[] = {C, "[" C "]", "7", "true", NULL};
    static const char *const nothing[] = {NULL};
#undef C
    static const struct {
        enum field_type type;
        const char *const *values;
    } rows[] = {
        {FIELD_STRING, strings},     {FIELD_INT, ints},
        {FIELD_NUMBER, numbers},
        {FIELD_BOOL, bools},         {FIELD_DURATION, durations},
        {FIELD_LIST, lists},         {FIELD_COMMA_LIST, lists},
        {FIELD_INT_LIST, int_lists}, {FIELD_PAIRS, pairs},
        {FIELD_MAP, maps},           {FIELD_SIGNED_DURATION, strings},
        {FIELD_ANY, nothing},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].type == type)
            return rows[i].values;
    fail_msg("type %d of a field is not in this test's table", (int)type);
    return NULL;
}

/* What the path says replaces a field of that name: nobody looks at it. */
static bool in_pattern(const struct route *route, const char *name)
{
    char exact[80], rest[80], perhaps[80];
    (void)snprintf(exact, sizeof exact, "{%s}", name);
    (void)snprintf(rest, sizeof rest, "{%s...}", name);
    (void)snprintf(perhaps, sizeof perhaps, "{%s...?}", name);
    return strstr(route->pattern, exact) != NULL || strstr(route->pattern, rest) != NULL ||
           strstr(route->pattern, perhaps) != NULL;
}

static void check_types(const struct place *place)
{
    if (!answers(place) || !has_body(place->method))
        return;
    for (const struct field *field = place->route->fields; field != NULL && field->name != NULL;
         field++) {
        const char *const *value = wrong_values(field->type);
        for (; *value != NULL && !in_pattern(place->route, field->name); value++) {
            char body[256], names[96];
            (void)snprintf(body, sizeof body, "{\"%s\":%s}", field->name, *value);
            (void)snprintf(names, sizeof names, "field \\\"%s\\\"", field->name);
            unsigned status = ask_as_root(place->method, place->path, NULL, body);
            wanted(status, 400, names, place->method, place->path, body);
        }
    }
}

static void wrong_types(void **state)
{
    (void)state;
    with_all(check_types);
}

/* In a query everything is a string, or, said twice, a list of them. */
static void check_query_types(const struct place *place)
{
    static const char *const rejected[] = {
        [FIELD_STRING] = "%s=a&%s=" CANARY, [FIELD_INT] = "%s=" CANARY, [FIELD_BOOL] = "%s=" CANARY,
        [FIELD_NUMBER] = "%s=" CANARY,
        [FIELD_DURATION] = "%s=" CANARY, [FIELD_SIGNED_DURATION] = "%s=a&%s=" CANARY,
        [FIELD_INT_LIST] = "%s=" CANARY, [FIELD_PAIRS] = "%s=" CANARY, [FIELD_MAP] = "%s=" CANARY,
    };
    if (!answers(place) || has_body(place->method))
        return;
    for (const struct field *field = place->route->fields; field != NULL && field->name != NULL;
         field++) {
        bool listed = (size_t)field->type < sizeof rejected / sizeof rejected[0];
        if (!listed || rejected[field->type] == NULL || in_pattern(place->route, field->name))
            continue;
        char query[256] = "", names[96];
        for (const char *p = rejected[field->type]; *p != '\0'; p++) {
            size_t len = strlen(query);
            bool name = p[0] == '%' && p[1] == 's';
            (void)snprintf(query + len, sizeof query - len, "%.*s", name ? 90 : 1,
                           name ? field->name : p);
            p += name;
        }
        (void)snprintf(names, sizeof names, "field \\\"%s\\\"", field->name);
        unsigned status = ask_as_root(place->method, place->path, query, NULL);
        wanted(status, 400, names, place->method, place->path, query);
    }
}

static void wrong_types_in_queries(void **state)
{
    (void)state;
    with_all(check_query_types);
}

/* ---- missing fields -------------------------------------------------------------------------- */

/* What does not name a field: the whole is missing, or the text is Vault's own. */
static const struct {
    const char *type, *pattern, *text;
    unsigned status;
} whole_missing[] = {
    {"system", "init", "already initialized", 400},
    {"token", "renew-self", "invalid lease ID", 400}, /* root never ends */
    {"token", "create/{role}", "unknown role x", 400},
    {"jwt", "login", "could not load configuration", 400},
    {"cert", "login", "tls connection required", 400},
    {"pam", "login/{username}", "vaultd-pam is not running", 503}, /* it would say what is asked */
    {"userpass", "login/{username}", "missing password", 500}, /* Vault's own status, three times */
    {"system", "audit/{path...}", "cannot enable audit device via API", 400}, /* whatever is sent */
    {"system", "config/auditing/request-headers/{header}", "are not recorded", 400},
    {"system", "config/cors", "not offered", 400},
    {"system", "leases/renew/{url_lease_id...}", "lease not found", 400}, /* the path says which */
    {"system", "renew/{url_lease_id...}", "lease not found", 400},
    {"system", "capabilities", "invalid token", 400}, /* Vault's own text, as of a wrong one */
    {"system", "capabilities-accessor", "invalid accessor", 400},
    {"system", "wrapping/lookup", "wrapping token is not valid", 400},
    {"system", "wrapping/unwrap", "wrapping token is not valid", 400},
    {"system", "wrapping/rewrap", "wrapping token is not valid", 400},
    {"cubbyhole", "{path...}", "missing data fields", 500}, /* Vault's own status */
    {"kv", "delete/{path...}", "No version number provided", 400},
    {"kv", "undelete/{path...}", "No version number provided", 400},
    {"kv", "destroy/{path...}", "no version number provided", 400},
    {"identity", "entity/id/{id}", "entity not found from id", 400}, /* the path's */
    {"identity", "entity-alias/id/{id}", "invalid alias id", 400},
    {"identity", "group/id/{id}", "group not found from id", 400},
    {"identity", "group-alias/id/{id}", "invalid group alias id", 400},
};

static bool in_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* As a word: "id" is not named by "invalid". */
static bool names(const char *text, const char *field)
{
    size_t len = strlen(field);
    for (const char *at = strstr(text, field); at != NULL; at = strstr(at + 1, field))
        if ((at == text || !in_word(at[-1])) && !in_word(at[len]))
            return true;
    return false;
}

/* Something that the field may hold. */
static const char *sample(const struct field *field)
{
    static const char *const words[][2] = {{"driver", "\"postgresql\""}, {"capability", "\"read\""},
                                            {"rate", "1000000"}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i][0], field->name) == 0)
            return words[i][1];
    switch (field->type) {
    case FIELD_INT:
    case FIELD_NUMBER:
        return "1";
    case FIELD_BOOL:
        return "true";
    case FIELD_PAIRS:
    case FIELD_MAP:
        return "{\"a\":\"b\"}";
    case FIELD_STRING:
    case FIELD_DURATION:
    case FIELD_SIGNED_DURATION:
    case FIELD_LIST:
    case FIELD_COMMA_LIST:
    case FIELD_INT_LIST:
    case FIELD_ANY:
        break;
    }
    return "\"1\"";
}

/* What one request begins would refuse the next. */
static void end_what_began(const struct place *place)
{
    if (place->route->open != 0 && place->route->delete_ != NULL)
        (void)ask_as_root("DELETE", place->path, NULL, NULL);
}

/* They are what was missing: with them the answer is another one. */
static bool were_missing(const struct place *place, const char *errors)
{
    char before[1024], body[2048] = "";
    (void)snprintf(before, sizeof before, "%s", errors);
    for (const struct field *field = place->route->fields; field != NULL && field->name != NULL; field++)
        if (names(before, field->name))
            (void)snprintf(body + strlen(body), sizeof body - strlen(body), "%s\"%s\":%s",
                           body[0] == '\0' ? "{" : ",", field->name, sample(field));
    if (body[0] == '\0')
        return false;
    (void)snprintf(body + strlen(body), sizeof body - strlen(body), "}");
    unsigned status = ask_as_root(place->method, place->path, NULL, body);
    bool other = status < 300 || strstr(vault->body, before) == NULL;
    end_what_began(place);
    return other;
}

static bool explains_missing(const struct place *place, unsigned status)
{
    if (status == 404 || (place->route->fields == NULL && status < 500))
        return true;
    for (size_t i = 0; i < sizeof whole_missing / sizeof whole_missing[0]; i++)
        if (strcmp(whole_missing[i].type, place->engine->type) == 0 &&
            strcmp(whole_missing[i].pattern, place->route->pattern) == 0)
            return status == whole_missing[i].status &&
                   test_vault_said(vault, whole_missing[i].text);
    return status == 400 && were_missing(place, strstr(vault->body, "errors"));
}

static void check_missing(const struct place *place)
{
    static const char *const bodies[] = {NULL, "{}", "null", " \n"};
    if (!answers(place) || !has_body(place->method))
        return;
    unsigned first = 0;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        unsigned status = ask_as_root(place->method, place->path, NULL, bodies[i]);
        const char *what = bodies[i] == NULL ? "no body" : bodies[i];
        first = i == 0 ? status : first;
        if (status < 300) {
            end_what_began(place);
            continue; /* nothing is needed */
        }
        if (status == 404 && vault->body[0] == '\0')
            continue; /* Vault's PATCH of what is not there */
        check_error(place->method, place->path, what);
        if (!explains_missing(place, status) || (place->route->fields != NULL && status != first))
            fail_msg("%s %s, %s: %u, and no field is named: %s", place->method, place->path, what,
                     status, vault->body);
    }
}

static void missing_fields(void **state)
{
    (void)state;
    with_all(check_missing);
}

/* ---- what is no JSON object ------------------------------------------------------------------ */

static void check_encodings(const struct place *place)
{
    static const struct {
        const char *what, *body;
    } rows[] = {
        {"no UTF-8", "{\"a\":\"\xff" CANARY "\"}"},
        {"an overlong form", "{\"a\":\"\xc0\xaf" CANARY "\"}"},
        {"half a pair", "{\"a\":\"\\ud800" CANARY "\"}"},
        {"a NUL", "{\"a\":\"\\u0000" CANARY "\"}"},
        {"a control character", "{\"a\":\"\n" CANARY "\"}"},
        {"cut off", "{\"a\":\"" CANARY},
        {"two values", "{\"a\":\"" CANARY "\"} {}"},
        {"a key twice", "{\"" CANARY "\":1,\"" CANARY "\":2}"},
        {"an array", "[\"" CANARY "\"]"},
        {"a string", "\"" CANARY "\""},
        {"a number", "5157"},
        {"no JSON", CANARY "=1"},
    };
    if (!answers(place) || !has_body(place->method))
        return;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned status = ask_as_root(place->method, place->path, NULL, rows[i].body);
        wanted(status, 400, "failed to decode JSON input", place->method, place->path, rows[i].what);
    }
}

static void wrong_encodings(void **state)
{
    (void)state;
    with_all(check_encodings);
}

static void check_forms(const struct place *place)
{
    if (!answers(place) || !has_body(place->method))
        return;
    char root[256];
    new_root(root, sizeof root);
    bool patch = strcmp(place->method, "PATCH") == 0;
    unsigned status = test_vault_call_as(vault, place->method, place->path, root, "a=" CANARY,
                                         "application/x-www-form-urlencoded");
    wanted(status, patch ? 415 : 400, patch ? "PATCH requires" : "a form body", place->method,
           place->path, "a form");
    if (!patch)
        return;
    status = test_vault_call_as(vault, place->method, place->path, root, "{}", NULL);
    wanted(status, 400, "PATCH requires", place->method, place->path, "no media type");
}

static void forms(void **state)
{
    (void)state;
    with_all(check_forms);
}

/* ---- paths and queries ----------------------------------------------------------------------- */

/* The row's path with something more of the same segment, or behind it. */
static void below(const struct place *place, const char *more, char *out, size_t size)
{
    size_t len = strlen(place->path);
    bool twice = place->path[len - 1] == '/' && more[0] == '/';
    (void)snprintf(out, size, "%.*s%s", (int)(twice ? len - 1 : len), place->path, more);
}

static void check_paths(const struct place *place)
{
    static const struct {
        const char *what, *behind, *text;
    } rows[] = {
        {"half an escape", "%2", "invalid percent escape"},
        {"no escape", "%zz", "invalid percent escape"},
        {"a NUL", "%00" CANARY, "not printable"},
        {"no UTF-8", "%ff" CANARY, "not printable"},
        {"nothing to see", "%e2%80%8b" CANARY, "not printable"},
        {"above", "/../" CANARY, "relative paths"},
        {"above, encoded", "/%2e%2e/" CANARY, "relative paths"},
        {"an empty segment", "//" CANARY, "empty path segments"},
    };
    if (!answers(place))
        return;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char path[1024];
        below(place, rows[i].behind, path, sizeof path);
        wanted(ask_as_root(place->method, path, NULL, has_body(place->method) ? "{}" : NULL), 400,
               rows[i].text, place->method, path, rows[i].what);
    }
}

static void wrong_paths(void **state)
{
    (void)state;
    with_all(check_paths);
}

static void check_queries(const struct place *place)
{
    static const char *const rows[] = {"a=%zz" CANARY, "a=%2", "%ff=" CANARY, "a=%00" CANARY,
                                       "a=%e2%80%8b" CANARY};
    if (!answers(place) || has_body(place->method))
        return;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        wanted(ask_as_root(place->method, place->path, rows[i], NULL), 400, "the query has",
               place->method, place->path, rows[i]);
}

static void wrong_queries(void **state)
{
    (void)state;
    with_all(check_queries);
}

/* ---- too long -------------------------------------------------------------------------------- */

#define BODY_MAX ((size_t)32 * 1024 * 1024)
#define TEXT_MAX ((size_t)1024 * 1024)

static char *spaces; /* BODY_MAX + 1 of them, never read */

static void check_long(const struct place *place)
{
    if (!answers(place))
        return;
    char path[1024], segment[258], root[256];
    memset(segment, 'a', sizeof segment - 1);
    segment[0] = '/';
    segment[sizeof segment - 1] = '\0';
    below(place, segment, path, sizeof path);
    wanted(ask_as_root(place->method, path, NULL, has_body(place->method) ? "{}" : NULL), 400,
           "segment too long", place->method, path, "a long segment");
    if (!has_body(place->method))
        return;
    size_t most = place->route->body_max != 0 ? place->route->body_max : BODY_MAX;
    new_root(root, sizeof root);
    wanted(ask_bytes(place->method, place->path, NULL, root, kt_bytes(spaces, most + 1)), 413,
           "request body too large", place->method, place->path, "a long body");
    if (most < TEXT_MAX + 64)
        return;
    size_t len = (size_t)snprintf(spaces, 16, "{\"a\":\"");
    memset(spaces + len, 'a', TEXT_MAX + 1);
    (void)snprintf(spaces + len + TEXT_MAX + 1, 8, "\"}");
    wanted(ask(place->method, place->path, root, spaces), 400, "failed to decode JSON input",
           place->method, place->path, "a long string");
}

static void too_long(void **state)
{
    (void)state;
    spaces = calloc(1, BODY_MAX + 2);
    assert_non_null(spaces);
    with_all(check_long);
    free(spaces);
}

static void check_long_query(const struct place *place)
{
    if (!answers(place) || has_body(place->method))
        return;
    wanted(ask_as_root(place->method, place->path, spaces, NULL), 400, "the query is longer",
           place->method, place->path, "a long query");
}

static void too_long_queries(void **state)
{
    (void)state;
    size_t len = 64 * 1024 + 1;
    spaces = calloc(1, len + 1);
    assert_non_null(spaces);
    memset(spaces, 'a', len);
    with_all(check_long_query);
    free(spaces);
}

/* ---- wrong methods --------------------------------------------------------------------------- */

/* A list is asked for with a slash at its end, and may be another row's then. */
static bool lists_elsewhere(const struct place *place)
{
    if (strcmp(place->method, "LIST") != 0)
        return false;
    char rest[260];
    (void)snprintf(rest, sizeof rest, "%s/", place->path + strlen(routes_mount(place->engine)));
    struct request req;
    request_init(&req, vault->core, ORIGIN_TCP, NULL, NULL);
    req.op = OP_LIST;
    bool elsewhere = route_match(place->engine, rest, &req) && req.route != place->route && req.route->list != NULL;
    request_free(&req);
    return elsewhere;
}

static void check_methods(const struct place *place)
{
    if (routes_handler(place->route, place->method) != NULL ||
        routes_folder_refused(place->route, place->method, place->path) || lists_elsewhere(place))
        return;
    unsigned status = ask_as_root(place->method, place->path, NULL, has_body(place->method) ? "{}" : NULL);
    /* Only public paths have HEAD: elsewhere no capability grants it, and root is told so. */
    wanted(status, 405, NULL, place->method, place->path, "no such method");
}

static void check_strange_methods(const struct place *place)
{
    static const char *const rows[] = {"FOO", "get", "OPTIONS", "TRACE", ""};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        wanted(ask_as_root(rows[i], place->path, NULL, NULL), 405, "{\"errors\":[]}", rows[i],
               place->path, "no method");
}

static void wrong_methods(void **state)
{
    (void)state;
    with_all(check_methods);
    with_all(check_strange_methods);
}

/* ---- tokens ---------------------------------------------------------------------------------- */

#define N_TOKENS 7u
static char dead_tokens[N_TOKENS][256];
static const char *const dead_names[N_TOKENS] = {"expired",  "revoked", "foreign", "cut off",
                                                 "misspelt", "used up", "longer"};

static void make_token(const char *body, char *out)
{
    if (test_vault_call(vault, "POST", "auth/token/create", vault->root, body) != 200)
        fail_msg("no token: %s", vault->body);
    test_vault_text(vault, "auth.client_token", out, sizeof dead_tokens[0]);
}

/* In the order of dead_names. */
static void make_dead_tokens(void)
{
    static const char root[] = "{\"policies\":[\"root\"]}";
    struct test_vault *here = vault, *other = test_vault_new(true);
    make_token("{\"policies\":[\"default\"],\"ttl\":\"1h\"}", dead_tokens[0]);
    make_token(root, dead_tokens[1]);
    vault = other;
    make_token(root, dead_tokens[2]);
    vault = here;
    test_vault_free(other);
    make_token(root, dead_tokens[3]);
    make_token(root, dead_tokens[4]);
    make_token("{\"policies\":[\"root\"],\"num_uses\":1}", dead_tokens[5]);
    make_token(root, dead_tokens[6]);
    dead_tokens[3][strlen(dead_tokens[3]) - 1] = '\0';
    char *middle = &dead_tokens[4][strlen(dead_tokens[4]) / 2];
    *middle = *middle == 'a' ? 'b' : 'a';
    size_t len = strlen(dead_tokens[6]);
    (void)snprintf(dead_tokens[6] + len, sizeof dead_tokens[6] - len, "a");
    char body[300];
    (void)snprintf(body, sizeof body, "{\"token\":\"%s\"}", dead_tokens[1]);
    assert_int_equal(test_vault_call(vault, "POST", "auth/token/revoke", vault->root, body), 204);
    assert_int_equal(test_vault_call(vault, "GET", "auth/token/lookup-self", dead_tokens[5], NULL), 200);
    vault->now_ms += 3600001;
}

static void check_tokens(const struct place *place)
{
    static const char refused[] =
        "{\"errors\":[\"2 errors occurred:\\n\\t* permission denied\\n\\t* invalid token\\n\\n\"]}\n";
    if (!answers(place) || (place->route->flags & ROUTE_PUBLIC) != 0 ||
        routes_open(place->route, place->method))
        return;
    /* What is no wrapping token is refused as that, as Vault does. */
    bool wrapping = (place->route->flags & ROUTE_WRAPPING) != 0;
    for (size_t i = 0; i < N_TOKENS; i++) {
        unsigned status = ask(place->method, place->path, dead_tokens[i],
                              has_body(place->method) ? "{}" : NULL);
        wanted(status, wrapping ? 400 : 403, wrapping ? "wrapping token is not valid" : NULL,
               place->method, place->path, dead_names[i]);
        if (!wrapping && strcmp(vault->body, refused) != 0)
            fail_msg("%s %s, a token that is %s: %s", place->method, place->path, dead_names[i],
                     vault->body);
    }
}

static void wrong_tokens(void **state)
{
    (void)state;
    vault = test_vault_new(true);
    routes_mount_all(vault);
    make_dead_tokens();
    place_fn *fn = check_tokens;
    (void)routes_each(each_method, &fn);
    test_vault_free(vault);
}

/* ---- unknown fields -------------------------------------------------------------------------- */

#define PLACES_MAX 4096u
static unsigned without[PLACES_MAX];
static size_t n_without, n_with;

static void ask_without(const struct place *place)
{
    if (!answers(place))
        return;
    assert_true(n_without < PLACES_MAX);
    without[n_without++] = ask_as_root(place->method, place->path, NULL,
                                       has_body(place->method) ? "{}" : NULL);
}

static bool has_answer(void)
{
    struct kt_json data = {0}, auth = {0}, all = kt_json_value(kt_str(vault->body));
    return test_vault_said(vault, "\"request_id\"") && kt_json_member(all, "data", &data) &&
           kt_json_member(all, "auth", &auth) &&
           (kt_json_type(data) != KT_JSON_NULL || kt_json_type(auth) != KT_JSON_NULL);
}

/* Work beside the requests: what they answer depends on how far it is. */
static bool goes_on(const struct place *place)
{
    static const char *const rows[] = {"storage/compact", "storage/reencrypt"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(place->engine->type, "system") == 0 && strcmp(place->route->pattern, rows[i]) == 0)
            return true;
    return false;
}

/* An unknown field changes nothing, and is never told; where there is an answer, it says so. */
static void ask_with(const struct place *place)
{
    static const char warning[] = "Endpoint ignored these unrecognized parameters: [zz_unknown]";
    if (!answers(place))
        return;
    bool body = has_body(place->method);
    unsigned status = ask_as_root(place->method, place->path, body ? NULL : "zz_unknown=" CANARY,
                                  body ? "{\"zz_unknown\":\"" CANARY "\"}" : NULL);
    unsigned before = without[n_with++];
    if ((place->route->flags & ROUTE_ANY_FIELDS) != 0)
        return;
    if (status != before && !goes_on(place))
        fail_msg("%s %s: %u, with an unknown field %u: %s", place->method, place->path, before, status,
                 vault->body);
    if (test_vault_said(vault, CANARY))
        fail_msg("%s %s: an unknown field's value is told: %s", place->method, place->path, vault->body);
    if (status == 200 && has_answer() && !test_vault_said(vault, warning))
        fail_msg("%s %s: no warning: %s", place->method, place->path, vault->body);
}

/* Two vaults with the same story, one of them with a field more in each request. */
static void unknown_fields(void **state)
{
    (void)state;
    with_all(ask_without);
    with_all(ask_with);
    assert_int_equal(n_with, n_without);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_reached),
        cmocka_unit_test(wrong_types),
        cmocka_unit_test(wrong_types_in_queries),
        cmocka_unit_test(missing_fields),
        cmocka_unit_test(wrong_encodings),
        cmocka_unit_test(forms),
        cmocka_unit_test(wrong_paths),
        cmocka_unit_test(wrong_queries),
        cmocka_unit_test(too_long),
        cmocka_unit_test(too_long_queries),
        cmocka_unit_test(wrong_methods),
        cmocka_unit_test(wrong_tokens),
        cmocka_unit_test(unknown_fields),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("bad_input", tests, NULL, NULL);
}
