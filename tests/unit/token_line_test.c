/* How long a line of tokens gets, each made by the one before: the last that is given out is good. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/log.h"
#include "tests/support/one_vault.h"
#include "vaultd/auth/token.h"

#define CHILD "{\"policies\":[\"maker\"],\"ttl\":\"1h\"}"
#define MAKER \
    "{\"policy\":\"path \\\"auth/token/create*\\\" { capabilities = [\\\"update\\\", \\\"sudo\\\"] }\"}"

static void call(const char *method, const char *path, const char *with, const char *body, unsigned status)
{
    if (test_vault_call(vault, method, path, with, body) != status)
        fail_msg("%s %s: %s", method, path, vault->body);
}

/* One that nobody made, at the end of as many as there may be above it. */
static void make_line(char first[256], char last[256])
{
    char next[256];
    call("PUT", "sys/policies/acl/maker", vault->root, MAKER, 204);
    call("POST", "auth/token/create-orphan", vault->root, CHILD, 200);
    test_vault_text(vault, "auth.client_token", first, 256);
    (void)snprintf(last, 256, "%s", first);
    for (unsigned i = 0; i < TOKEN_ANCESTORS_MAX; i++) {
        call("POST", "auth/token/create", last, CHILD, 200);
        test_vault_text(vault, "auth.client_token", next, sizeof next);
        (void)snprintf(last, 256, "%s", next);
    }
}

static void no_token_that_would_be_refused(void **state)
{
    (void)state;
    static const char *const ways[] = {"auth/token/create", "auth/token/create/r"};
    char first[256], last[256];
    make_line(first, last);
    call("POST", "auth/token/roles/r", vault->root, "{\"allowed_policies\":\"maker\"}", 204);
    call("GET", "auth/token/lookup-self", last, NULL, 200);
    unsigned before = test_vault_rows(vault, TABLE_TOKEN);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        call("POST", ways[i], last, CHILD, 400);
        assert_true(test_vault_said(vault, "a token has at most 256 ancestors"));
        assert_true(test_vault_said(vault, "auth/token/create-orphan"));
    }
    assert_int_equal(test_vault_rows(vault, TABLE_TOKEN), before);
}

static void what_hangs_from_nobody_can_be_made(void **state)
{
    (void)state;
    char first[256], last[256], orphan[256];
    make_line(first, last);
    call("POST", "auth/token/roles/o", vault->root, "{\"allowed_policies\":\"maker\",\"orphan\":true}", 204);
    static const char *const ways[] = {"auth/token/create-orphan", "auth/token/create/o"};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        call("POST", ways[i], last, CHILD, 200);
        test_vault_text(vault, "auth.client_token", orphan, sizeof orphan);
        call("POST", "auth/token/create", orphan, CHILD, 200);
    }
    /* A line whose oldest leaves its children alone is shorter by one. */
    char body[300];
    (void)snprintf(body, sizeof body, "{\"token\":\"%s\"}", first);
    call("POST", "auth/token/revoke-orphan", vault->root, body, 204);
    (void)test_vault_tidy(vault);
    call("POST", "auth/token/create", last, CHILD, 200);
    test_vault_text(vault, "auth.client_token", orphan, sizeof orphan);
    call("GET", "auth/token/lookup-self", orphan, NULL, 200);
}

int main(void)
{
    kt_log_set_level(KT_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_token_that_would_be_refused, make, end),
        cmocka_unit_test_setup_teardown(what_hangs_from_nobody_can_be_made, make, end),
    };
    return cmocka_run_group_tests_name("token_line", tests, NULL, NULL);
}
