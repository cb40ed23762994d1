/* Every row of every engine's table, with every method, asks of who comes what tests/support/access.h says:
 * a token that no policy gives anything, a false one and none are refused wherever a policy is asked for; all
 * capabilities but sudo are refused wherever sudo is, and nowhere else. What asks for no policy is listed here
 * with its answers: a row that does, and is not, fails; so does one that is listed and refuses.
 * Where a row's names count in lower case, what denies one of them denies all its spellings
 * (GHSA-fg5x-7whg-6c28). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/support/access.h"
#include "tests/support/routes.h"

/* Rows that are public, or open to a method, or want any token, and what they answer to it. 405: no such
 * method there. */
static const struct open_row {
    const char *type, *pattern, *method;
    unsigned status, unknown, none; /* with a valid token, with an unknown one, without one */
} open_rows[] = {
    /* Logins need no token, and look at none. */
    {"approle", "login", "POST", 400, 400, 400},
    {"approle", "login", "PUT", 400, 400, 400},
    {"jwt", "login", "POST", 400, 400, 400},
    {"jwt", "login", "PUT", 400, 400, 400},
    {"cert", "login", "POST", 400, 400, 400},
    {"cert", "login", "PUT", 400, 400, 400},
    {"pam", "login/{username}", "POST", 503, 503, 503}, /* nobody to ask */
    {"pam", "login/{username}", "PUT", 503, 503, 503},
    {"unix", "login", "POST", 400, 400, 400},
    {"unix", "login", "PUT", 400, 400, 400},
    {"userpass", "login/{username}", "POST", 500, 500, 500}, /* "missing password" is so in Vault */
    {"userpass", "login/{username}", "PUT", 500, 500, 500},
    {"system", "init", "GET", 200, 200, 200},
    {"system", "init", "HEAD", 200, 200, 200},
    {"system", "init", "PUT", 400, 400, 400}, /* it is initialised */
    {"system", "init", "POST", 400, 400, 400},
    {"system", "seal-status", "GET", 200, 200, 200},
    {"system", "seal-status", "HEAD", 200, 200, 200},
    {"system", "unseal", "PUT", 400, 400, 400}, /* no share */
    {"system", "unseal", "POST", 400, 400, 400},
    {"system", "health", "GET", 200, 200, 200},
    {"system", "health", "HEAD", 200, 200, 200},
    {"system", "leader", "GET", 200, 200, 200},
    {"system", "leader", "HEAD", 200, 200, 200},
    {"system", "rekey/init", "GET", 200, 200, 200},
    {"system", "rekey/update", "PUT", 400, 400, 400}, /* no share */
    {"system", "rekey/update", "POST", 400, 400, 400},
    {"system", "rekey/verify", "GET", 400, 400, 400}, /* no rekey */
    {"system", "rekey/verify", "PUT", 400, 400, 400},
    {"system", "rekey/verify", "POST", 400, 400, 400},
    {"system", "generate-root/attempt", "GET", 200, 200, 200},
    {"system", "generate-root", "GET", 200, 200, 200},
    {"system", "generate-root/update", "PUT", 400, 400, 400},
    {"system", "generate-root/update", "POST", 400, 400, 400},
    {"system", "internal/ui/mounts", "GET", 200, 403, 200},     /* without: an empty list */
    {"system", "internal/specs/openapi", "GET", 200, 403, 200}, /* without: no paths */
    {"system", "internal/specs/openapi", "POST", 200, 403, 200},
    {"system", "internal/specs/openapi", "PUT", 200, 403, 200},
    {"system", "internal/ui/mounts/{path...}", "GET", 403, 403,
     403}, /* nothing of it below there */
    /* What one asked for oneself: nothing. */
    {"system", "approvals/mine", "LIST", 404, 403, 403},
    {"system", "approvals/mine/{id}", "GET", 404, 403, 403},
    {"system", "approvals/mine/{id}", "POST", 400, 403, 403},
    {"system", "approvals/mine/{id}", "PUT", 400, 403, 403},
    {"system", "approvals/mine/{id}", "DELETE", 404, 403, 403},
    {"system", "approvals/mine/{id}/finish", "POST", 404, 403, 403},
    {"system", "approvals/mine/{id}/finish", "PUT", 404, 403, 403},
    /* What is no wrapping token is refused as that, whoever asks; who may not is asked after it. */
    {"system", "wrapping/lookup", "GET", 400, 400, 400},
    {"system", "wrapping/lookup", "HEAD", 400, 400, 400},
    {"system", "wrapping/lookup", "POST", 400, 400, 400},
    {"system", "wrapping/lookup", "PUT", 400, 400, 400},
    {"system", "wrapping/unwrap", "POST", 400, 400, 400},
    {"system", "wrapping/unwrap", "PUT", 400, 400, 400},
    {"system", "wrapping/rewrap", "POST", 400, 400, 400},
    {"system", "wrapping/rewrap", "PUT", 400, 400, 400},
};
#define N_OPEN (sizeof open_rows / sizeof open_rows[0])

static const struct open_row *open_row(const struct engine *engine, const struct route *route,
                                       const char *method)
{
    for (size_t i = 0; i < N_OPEN; i++)
        if (strcmp(open_rows[i].type, engine->type) == 0 &&
            strcmp(open_rows[i].pattern, route->pattern) == 0 &&
            strcmp(open_rows[i].method, method) == 0)
            return &open_rows[i];
    return NULL;
}

static unsigned ask(struct test_vault *vault, const char *method, const char *path,
                    const char *token)
{
    bool bare = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 ||
                strcmp(method, "LIST") == 0 || strcmp(method, "DELETE") == 0;
    return test_vault_call_as(vault, method, path, token, bare ? NULL : "{}",
                              strcmp(method, "PATCH") == 0 ? "application/merge-patch+json" : NULL);
}

/* Somebody with this token gets as far as to be told that there is no such method. */
static bool comes_in(const struct access_entry *entry, const char *token, const char *known)
{
    bool public = false, any = false, maybe = false;
    for (size_t i = 0; i < ROUTE_METHODS; i++) {
        enum access access = access_of(entry, route_methods[i]);
        public = public || access == ACCESS_PUBLIC;
        maybe = maybe || access == ACCESS_MAYBE;
        any = any || access == ACCESS_TOKEN || access == ACCESS_MAYBE;
    }
    return public || (any && token == known) || (maybe && token == NULL);
}

static void check_method(struct test_vault *vault, const struct engine *engine,
                         const struct route *route, const char *method, const char *token,
                         const char *known)
{
    const struct access_entry *entry = access_entry_of(engine, route);
    if (entry == NULL)
        fail_msg("%s %s is not in tests/support/access.c", engine->type, route->pattern);
    enum access access = access_of(entry, method);
    bool asks = access == ACCESS_NONE || access == ACCESS_POLICY || access == ACCESS_SUDO;
    const struct open_row *row = open_row(engine, route, method);
    if (asks != (row == NULL))
        fail_msg("%s %s %s %s this test's list of what asks for no policy", engine->type,
                 route->pattern, method, asks ? "asks for a policy, but is in" : "is missing from");
    char path[256];
    routes_example(engine, route, path, sizeof path);
    unsigned wanted = comes_in(entry, token, known) ? 405 : 403;
    if (row != NULL)
        wanted = token == known ? row->status : token == NULL ? row->none : row->unknown;
    if (routes_folder_refused(route, method, path))
        wanted = 400;
    unsigned got = ask(vault, method, path, token);
    if (got != wanted)
        fail_msg("%s %s: expected %u, got %u: %s", method, path, wanted, got, vault->body);
}

/* known: the token if it is a valid one. */
static void check_all(struct test_vault *vault, const char *token, const char *known)
{
    size_t rows = 0;
    for (size_t i = 0; i < n_engines; i++)
        for (size_t j = 0; j < engines[i]->n_routes; j++, rows++)
            for (size_t k = 0; k < ROUTE_METHODS; k++)
                check_method(vault, engines[i], &engines[i]->routes[j], route_methods[k], token,
                             known);
    assert_true(rows >= 60);
}

/* A token of this policy and no other. */
static void token_of(struct test_vault *vault, const char *name, const char *policy, char *out,
                     size_t size)
{
    test_vault_token(vault, name, policy, out, size);
    char body[128];
    (void)snprintf(body, sizeof body, "{\"policies\":[\"%s\"],\"no_default_policy\":true}", name);
    assert_int_equal(test_vault_call(vault, "POST", "auth/token/create", vault->root, body), 200);
    test_vault_text(vault, "auth.client_token", out, size);
}

static void with_policy(const char *policy)
{
    struct test_vault *vault = test_vault_new(true);
    routes_mount_all(vault);
    char token[256];
    token_of(vault, "nothing", policy, token, sizeof token);
    check_all(vault, token, token);
    /* Nothing of all that had an effect: neither was the token revoked, nor the vault sealed. */
    char body[300];
    (void)snprintf(body, sizeof body, "{\"token\":\"%s\"}", token);
    assert_int_equal(test_vault_call(vault, "POST", "auth/token/lookup", vault->root, body), 200);
    test_vault_free(vault);
}

static const char but_sudo[] = "path \"*\" { capabilities = [\"create\", \"read\", \"update\","
                               " \"patch\", \"delete\", \"list\"] }";

/* A token of its own for each question: some end it. */
static void check_sudo(struct test_vault *vault, const struct engine *engine,
                       const struct route *route, const char *method)
{
    enum access access = access_of(access_entry_of(engine, route), method);
    if (access != ACCESS_POLICY && access != ACCESS_SUDO)
        return;
    char path[256], token[256];
    routes_example(engine, route, path, sizeof path);
    token_of(vault, "everything", but_sudo, token, sizeof token);
    bool refused = ask(vault, method, path, token) == 403;
    if (refused != (access == ACCESS_SUDO))
        fail_msg("%s %s: expected it to %s all capabilities but sudo, got: %s", method, path,
                 access == ACCESS_SUDO ? "refuse" : "let in", vault->body);
}

static void everything_but_sudo(void **state)
{
    (void)state;
    struct test_vault *vault = test_vault_new(true);
    routes_mount_all(vault);
    for (size_t i = 0; i < n_engines; i++)
        for (size_t j = 0; j < engines[i]->n_routes; j++)
            for (size_t k = 0; k < ROUTE_METHODS; k++)
                check_sudo(vault, engines[i], &engines[i]->routes[j], route_methods[k]);
    test_vault_free(vault);
}

/* ---- GHSA-fg5x-7whg-6c28: names that count in lower case ---- */

/* Writes a letter of a name in its own way. */
typedef int letter_fn(char *out, size_t size, char c, size_t at);

static int as_it_is(char *out, size_t size, char c, size_t at)
{
    (void)at;
    return snprintf(out, size, "%c", c);
}

static int capital(char *out, size_t size, char c, size_t at)
{
    (void)at;
    return snprintf(out, size, "%c", c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
}

static int every_other(char *out, size_t size, char c, size_t at)
{
    return at % 2 == 1 ? capital(out, size, c, at) : as_it_is(out, size, c, at);
}

static int encoded(char *out, size_t size, char c, size_t at)
{
    (void)at;
    return snprintf(out, size, "%%%02x", (unsigned)c);
}

static int encoded_capital(char *out, size_t size, char c, size_t at)
{
    char one[2] = "";
    (void)capital(one, sizeof one, c, at);
    return encoded(out, size, one[0], at);
}

static int mixed(char *out, size_t size, char c, size_t at)
{
    return at % 2 == 0 ? encoded_capital(out, size, c, at) : as_it_is(out, size, c, at);
}

static letter_fn *const spellings[] = {as_it_is, capital,         every_other,
                                       encoded,  encoded_capital, mixed};
#define N_SPELLINGS (sizeof spellings / sizeof spellings[0])

/* The row's path with this name for each of its own but the last "{field}", which is one of a few. */
static void path_of(const struct engine *engine, const struct route *route, const char *name,
                    letter_fn *spell, char *out, size_t size)
{
    static const char field[] = "token-ttl";
    size_t len = (size_t)snprintf(out, size, "%s", routes_mount(engine));
    for (const char *p = route->pattern; *p != '\0'; p++) {
        if (*p != '{') {
            len += (size_t)snprintf(out + len, size - len, "%c", *p);
            continue;
        }
        const char *word = strncmp(p, "{field}", 7) == 0 ? field : name;
        for (size_t i = 0; word[i] != '\0'; i++)
            len += (size_t)spell(out + len, size - len, word[i], i);
        p = strchr(p, '}');
    }
    assert_true(len < size);
}

/* All of the folder, but not this one. */
static void denied_name(struct test_vault *vault, const struct engine *engine,
                        const struct route *route, char *out, size_t size)
{
    char path[256], policy[512];
    path_of(engine, route, "denied", as_it_is, path, sizeof path);
    (void)snprintf(policy, sizeof policy,
                   "path \"auth/*\" { capabilities = [\"create\", \"read\", \"update\", \"patch\","
                   " \"delete\", \"list\", \"sudo\"] }\npath \"%s\" { capabilities = [\"deny\"] }",
                   path);
    token_of(vault, "spelling", policy, out, size);
}

/* Returns how many questions it asked. */
static size_t check_spellings(struct test_vault *vault, const struct engine *engine,
                              const struct route *route, const char *method, const char *token)
{
    enum access access = access_of(access_entry_of(engine, route), method);
    if (access != ACCESS_POLICY && access != ACCESS_SUDO)
        return 0;
    char path[256];
    for (size_t i = 0; i < N_SPELLINGS; i++) {
        path_of(engine, route, "denied", spellings[i], path, sizeof path);
        unsigned got = ask(vault, method, path, token);
        if (got != 403)
            fail_msg("%s %s: expected 403, got %u: %s", method, path, got, vault->body);
        path_of(engine, route, "other", spellings[i], path, sizeof path);
        if (ask(vault, method, path, token) == 403)
            fail_msg("%s %s: it is denied, too: %s", method, path, vault->body);
    }
    return N_SPELLINGS;
}

static void a_denial_in_every_spelling(void **state)
{
    (void)state;
    struct test_vault *vault = test_vault_new(true);
    routes_mount_all(vault);
    size_t rows = 0, asked = 0;
    for (size_t i = 0; i < n_engines; i++)
        for (size_t j = 0; j < engines[i]->n_routes; j++) {
            const struct route *route = &engines[i]->routes[j];
            if ((route->flags & ROUTE_TO_LOWER) == 0 || (route->flags & ROUTE_PUBLIC) != 0)
                continue;
            char token[256];
            denied_name(vault, engines[i], route, token, sizeof token);
            size_t before = asked;
            for (size_t k = 0; k < ROUTE_METHODS; k++)
                asked += check_spellings(vault, engines[i], route, route_methods[k], token);
            if (asked == before)
                fail_msg("%s %s: no method was asked for", engines[i]->type, route->pattern);
            rows++;
        }
    assert_true(rows >= 18);
    test_vault_free(vault);
}

static void a_policy_that_grants_nothing(void **state)
{
    (void)state;
    with_policy("# nothing\n");
}

static void patterns_without_a_capability(void **state)
{
    (void)state;
    with_policy("path \"*\" { capabilities = [] }\npath \"+/x\" { capabilities = [\"sudo\"] }");
}

static void a_denial_of_everything(void **state)
{
    (void)state;
    with_policy("path \"*\" { capabilities = [\"deny\", \"read\", \"sudo\"] }");
}

static void an_unknown_token(void **state)
{
    (void)state;
    struct test_vault *vault = test_vault_new(true);
    routes_mount_all(vault);
    check_all(vault, "hvs.unknown", NULL);
    test_vault_free(vault);
}

static void no_token(void **state)
{
    (void)state;
    struct test_vault *vault = test_vault_new(true);
    routes_mount_all(vault);
    check_all(vault, NULL, "");
    test_vault_free(vault);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_policy_that_grants_nothing),
        cmocka_unit_test(patterns_without_a_capability),
        cmocka_unit_test(a_denial_of_everything),
        cmocka_unit_test(everything_but_sudo),
        cmocka_unit_test(a_denial_in_every_spelling),
        cmocka_unit_test(an_unknown_token),
        cmocka_unit_test(no_token),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("denied_routes", tests, NULL, NULL);
}
