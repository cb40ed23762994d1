/* Two requests to one token that meet: the second is done when the first has looked at everything and is
 * about to commit. What the first said holds, and what the second said, too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/log.h"
#include "tests/support/meanwhile.h"
#include "tests/support/one_vault.h"

#define ID "a-token-with-a-known-text"

static unsigned call(const char *method, const char *path, const char *token, const char *body)
{
    return test_vault_call(vault, method, path, token == NULL ? vault->root : token, body);
}

/* The same, and the visits before its commit. */
static unsigned call_late(const char *method, const char *path, const char *token, const char *body,
                          const struct visit *visits)
{
    meanwhile(vault, visits, NULL);
    unsigned status = call(method, path, token, body);
    assert_true(meanwhile_over());
    return status;
}

static void make_token(const char *body, char out[256], char accessor[256])
{
    assert_int_equal(call("POST", "auth/token/create", NULL, body), 200);
    test_vault_text(vault, "auth.client_token", out, 256);
    test_vault_text(vault, "auth.accessor", accessor, 256);
}

/* A body that names a token or an accessor. */
static void names(char out[512], const char *field, const char *text)
{
    (void)snprintf(out, 512, "{\"%s\":\"%s\"}", field, text);
}

/* ---- who makes one is gone ---- */

static void a_revoked_token_makes_none(void **state)
{
    (void)state;
    static const char *const paths[] = {"auth/token/create", "auth/token/create-orphan"};
    for (size_t i = 0; i < 2; i++) {
        char maker[256], accessor[256], body[512];
        make_token("{\"policies\":[\"root\"],\"ttl\":\"1h\"}", maker, accessor);
        names(body, "accessor", accessor);
        const struct visit visits[] = {{"POST", "auth/token/revoke-accessor", NULL, body, 204, 0}, {0}};
        assert_int_equal(call_late("POST", paths[i], maker, "{\"policies\":[\"default\"]}", visits), 403);
    }
}

/* ---- one text, two tokens ---- */

static void a_text_is_given_once(void **state)
{
    (void)state;
    const struct visit visits[] = {
        {"POST", "auth/token/create", NULL, "{\"id\":\"" ID "\",\"display_name\":\"first\"}", 200, 0}, {0}};
    assert_int_equal(call_late("POST", "auth/token/create", NULL,
                               "{\"id\":\"" ID "\",\"display_name\":\"second\"}", visits),
                     400);
    assert_true(test_vault_said(vault, "duplicate ID"));
    assert_int_equal(call("GET", "auth/token/lookup-self", ID, NULL), 200);
    assert_true(test_vault_said(vault, "token-first"));
}

/* One of this text came and went; what it kept is not the next one's. */
static void a_text_does_not_inherit(void **state)
{
    (void)state;
    const struct visit visits[] = {{"POST", "auth/token/create", NULL, "{\"id\":\"" ID "\"}", 200, 0},
                                      {"POST", "cubbyhole/mine", ID, "{\"k\":\"v\"}", 204, 0},
                                      {"POST", "auth/token/revoke-self", ID, NULL, 204, 0},
                                      {0}};
    unsigned status = call_late("POST", "auth/token/create", NULL, "{\"id\":\"" ID "\"}", visits);
    if (status == 400) { /* or the housekeeper was quicker than this thread */
        assert_true(test_vault_said(vault, "still being removed"));
        (void)test_vault_tidy(vault);
        status = call("POST", "auth/token/create", NULL, "{\"id\":\"" ID "\"}");
    }
    assert_int_equal(status, 200);
    assert_int_equal(call("GET", "cubbyhole/mine", ID, NULL), 404);
}

/* ---- the end of a token ---- */

static void renewing_brings_nobody_back(void **state)
{
    (void)state;
    char token[256], accessor[256], renew[512], revoke[512];
    make_token("{\"ttl\":\"1h\"}", token, accessor);
    names(renew, "token", token);
    names(revoke, "accessor", accessor);
    const struct visit visits[] = {{"POST", "auth/token/revoke-accessor", NULL, revoke, 204, 0}, {0}};
    assert_int_equal(call_late("POST", "auth/token/renew", NULL, renew, visits), 400);
    assert_int_equal(call("GET", "auth/token/lookup-self", token, NULL), 403);
    (void)test_vault_tidy(vault);
    assert_int_equal(call("GET", "auth/token/lookup-self", token, NULL), 403);
}

static void what_is_renewed_ends_whole(void **state)
{
    (void)state;
    char token[256], accessor[256], body[512];
    make_token("{\"ttl\":\"1h\"}", token, accessor);
    unsigned due = test_vault_rows(vault, TABLE_TOKEN_DUE);
    names(body, "token", token);
    vault->now_ms += 60000;
    const struct visit visits[] = {{"POST", "auth/token/renew", NULL, body, 200, 0}, {0}};
    assert_int_equal(call_late("POST", "auth/token/revoke", NULL, body, visits), 204);
    assert_int_equal(call("GET", "auth/token/lookup-self", token, NULL), 403);
    assert_int_equal(test_vault_rows(vault, TABLE_TOKEN_DUE), due - 1);
}

static void uses_are_counted_apart(void **state)
{
    (void)state;
    char token[256], accessor[256];
    make_token("{\"num_uses\":3,\"ttl\":\"1h\"}", token, accessor);
    const struct visit visits[] = {{"POST", "cubbyhole/a", token, "{\"k\":\"v\"}", 204, 0}, {0}};
    assert_int_equal(call_late("POST", "cubbyhole/b", token, "{\"k\":\"v\"}", visits), 204);
    assert_int_equal(call("GET", "cubbyhole/a", token, NULL), 200);
    assert_int_equal(call("GET", "cubbyhole/b", token, NULL), 403);
}

/* ---- parents ---- */

/* Whoever ended a token wants no more of what it makes, whether its children may stay or not. */
static void the_ended_make_no_children(void **state)
{
    (void)state;
    static const char *const ways[] = {"auth/token/revoke", "auth/token/revoke-orphan"};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        char parent[256], accessor[256], body[512];
        make_token("{}", parent, accessor);
        names(body, "token", parent);
        unsigned tokens = test_vault_rows(vault, TABLE_TOKEN), children = test_vault_rows(vault, TABLE_CHILD);
        const struct visit visits[] = {{"POST", ways[i], NULL, body, 204, 0}, {0}};
        assert_int_equal(call_late("POST", "auth/token/create", parent, "{}", visits), 403);
        (void)test_vault_tidy(vault);
        assert_int_equal(test_vault_rows(vault, TABLE_TOKEN), tokens - 1);
        assert_int_equal(test_vault_rows(vault, TABLE_CHILD), children - 1);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_revoked_token_makes_none, make, end),
        cmocka_unit_test_setup_teardown(a_text_is_given_once, make, end),
        cmocka_unit_test_setup_teardown(a_text_does_not_inherit, make, end),
        cmocka_unit_test_setup_teardown(renewing_brings_nobody_back, make, end),
        cmocka_unit_test_setup_teardown(what_is_renewed_ends_whole, make, end),
        cmocka_unit_test_setup_teardown(uses_are_counted_apart, make, end),
        cmocka_unit_test_setup_teardown(the_ended_make_no_children, make, end),
    };
    kt_log_set_level(KT_LOG_ERROR);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("token_race", tests, NULL, NULL);
}
