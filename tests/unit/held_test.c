/* What one token may keep in the vault: its cubbyhole and what it had wrapped, in number and bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/log.h"
#include "tests/support/one_vault.h"

#define TEXT 256
#define OVER "one token keeps at most"

static char who[TEXT]; /* a token with no policy but "default" */

static void want(unsigned status, const char *says, const char *method, const char *path, const char *token,
                 const char *body)
{
    unsigned got = test_vault_call(vault, method, path, token, body);
    if (got != status || (says != NULL && !test_vault_said(vault, says)))
        fail_msg("%s %s: expected %u %s, got %u %.300s", method, path, status, says == NULL ? "" : says, got,
                 vault->body);
}

static void limit(uint64_t entries, uint64_t bytes)
{
    vault->core->config.token_entries = entries;
    vault->core->config.token_storage = bytes;
    want(200, NULL, "POST", "auth/token/create", vault->root, "{\"policies\":[\"default\"],\"ttl\":\"1h\"}");
    test_vault_text(vault, "auth.client_token", who, sizeof who);
}

/* The wrapping token into out, unless it was refused. */
static unsigned wrap(const char *token, const char *ttl, char out[TEXT])
{
    const struct test_request request = {.method = kt_str("POST"),
                                         .target = kt_str("/v1/sys/wrapping/wrap"),
                                         .token = kt_str(token),
                                         .body = kt_str("{\"k\":\"wrapped\"}"),
                                         .wrap_ttl = kt_str(ttl)};
    unsigned status = test_vault_ask(vault, &request);
    if (status == 200)
        test_vault_text(vault, "wrap_info.token", out, TEXT);
    return status;
}

static void so_many_entries(void **state)
{
    (void)state;
    limit(3, 0);
    want(204, NULL, "POST", "cubbyhole/a", who, "{\"k\":\"1\"}");
    want(204, NULL, "POST", "cubbyhole/b/a", who, "{\"k\":\"2\"}");
    want(204, NULL, "POST", "cubbyhole/b/b", who, "{\"k\":\"3\"}");
    want(400, OVER " 3 things", "POST", "cubbyhole/c", who, "{\"k\":\"4\"}");
    want(404, NULL, "GET", "cubbyhole/c", who, NULL);
    want(204, NULL, "POST", "cubbyhole/a", who, "{\"k\":\"again\"}");
    want(200, "again", "GET", "cubbyhole/a", who, NULL);
    want(204, NULL, "POST", "cubbyhole/c", vault->root, "{\"k\":\"another's\"}");
    want(204, NULL, "DELETE", "cubbyhole/b/a", who, NULL);
    want(204, NULL, "POST", "cubbyhole/c", who, "{\"k\":\"4\"}");
    want(400, OVER, "POST", "cubbyhole/d", who, "{\"k\":\"5\"}");
    assert_int_equal(test_vault_rows(vault, TABLE_HELD), 4);
}

static void so_many_bytes(void **state)
{
    (void)state;
    char body[3000];
    limit(0, 4096);
    (void)snprintf(body, sizeof body, "{\"k\":\"%02500d\"}", 1);
    want(204, NULL, "POST", "cubbyhole/a", who, body);
    want(400, "4096 bytes", "POST", "cubbyhole/b", who, body);
    want(204, NULL, "POST", "cubbyhole/a", who, body); /* in its own place */
    want(204, NULL, "POST", "cubbyhole/b", who, "{\"k\":\"small\"}");
    limit(0, 1000);
    want(400, "1000 bytes", "POST", "cubbyhole/alone", who, body);
}

static void wrapped_answers_count_too(void **state)
{
    (void)state;
    char first[TEXT], second[TEXT], third[TEXT];
    limit(2, 0);
    assert_int_equal(wrap(who, "5m", first), 200);
    want(204, NULL, "POST", "cubbyhole/a", who, "{\"k\":\"1\"}");
    assert_int_equal(wrap(who, "5m", second), 400);
    assert_true(test_vault_said(vault, OVER));
    want(400, OVER, "POST", "cubbyhole/b", who, "{\"k\":\"2\"}");
    /* Taken: there is room for another one. */
    want(200, "wrapped", "POST", "sys/wrapping/unwrap", first, NULL);
    assert_int_equal(wrap(who, "5m", second), 200);
    /* Wrapped anew by itself, it takes its own place. */
    want(200, NULL, "POST", "sys/wrapping/rewrap", second, NULL);
    test_vault_text(vault, "wrap_info.token", third, sizeof third);
    assert_int_equal(wrap(who, "5m", first), 400);
    want(200, "wrapped", "POST", "sys/wrapping/unwrap", third, NULL);
    assert_int_equal(test_vault_rows(vault, TABLE_HELD), 1);
    /* Over: when it was tidied. */
    assert_int_equal(wrap(who, "1m", first), 200);
    vault->now_ms += 61000;
    (void)test_vault_tidy(vault);
    assert_int_equal(wrap(who, "5m", first), 200);
}

/* What was wrapped outlives who had it wrapped; the rows do not. */
static void nothing_stays_behind(void **state)
{
    (void)state;
    char wrapped[TEXT], body[TEXT + 32];
    limit(0, 0);
    assert_int_equal(wrap(who, "5m", wrapped), 200);
    for (unsigned i = 0; i < 150; i++) {
        char path[32];
        (void)snprintf(path, sizeof path, "cubbyhole/%u", i);
        want(204, NULL, "POST", path, who, "{\"k\":\"v\"}");
    }
    assert_int_equal(test_vault_rows(vault, TABLE_HELD), 151);
    (void)snprintf(body, sizeof body, "{\"token\":\"%s\"}", who);
    want(204, NULL, "POST", "auth/token/revoke", vault->root, body);
    (void)test_vault_tidy(vault);
    assert_int_equal(test_vault_rows(vault, TABLE_HELD), 0);
    assert_int_equal(test_vault_rows(vault, TABLE_CUBBY), 0);
    want(200, "wrapped", "POST", "sys/wrapping/unwrap", wrapped, NULL);
    assert_int_equal(test_vault_rows(vault, TABLE_WRAPPED), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(so_many_entries),
        TEST(so_many_bytes),
        TEST(wrapped_answers_count_too),
        TEST(nothing_stays_behind),
    };
    kt_log_set_level(KT_LOG_ERROR);
    return cmocka_run_group_tests_name("held", tests, NULL, NULL);
}
