/* Somebody sets the wall clock: no token lives longer for it, none that is made since is over at once, what was deleted
 * stays deleted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/log.h"
#include "tests/support/one_vault.h"

#define MIN_MS INT64_C(60000)

static unsigned asks(const char *token, const char *method, const char *path, const char *body)
{
    return test_vault_call(vault, method, path, token, body);
}

static void wants(unsigned status, const char *method, const char *path, const char *body)
{
    unsigned got = asks(vault->root, method, path, body);
    if (got != status)
        fail_msg("%s %s: %u instead of %u: %s", method, path, got, status, vault->body);
}

static void make_token(char ret[256], const char *body)
{
    wants(200, "POST", "auth/token/create", body);
    test_vault_text(vault, "auth.client_token", ret, 256);
}

/* However far, and whatever is renewed. */
static void no_longer_than_its_maximum(void **state)
{
    static const int64_t back_min[] = {0, 60, 24 * 60};
    (void)state;
    for (size_t i = 0; i < sizeof back_min / sizeof back_min[0]; i++) {
        char token[256];
        make_token(token, "{\"ttl\":\"1h\",\"explicit_max_ttl\":\"2h\"}");
        vault->now_ms += 50 * MIN_MS;
        vault->wall_ahead_ms -= back_min[i] * MIN_MS;
        for (unsigned minutes = 50; minutes < 120; minutes += 30) {
            assert_int_equal(asks(token, "GET", "auth/token/lookup-self", NULL), 200);
            assert_int_equal(asks(token, "POST", "auth/token/renew-self", "{}"), 200);
            vault->now_ms += 30 * MIN_MS;
        }
        assert_int_equal(asks(token, "GET", "auth/token/lookup-self", NULL), 403);
        vault->wall_ahead_ms += back_min[i] * MIN_MS;
    }
}

/* Stopped in order, vaultd knows how far its clock was. */
static void over_a_restart(void **state)
{
    (void)state;
    char token[256];
    vault->now_ms += 50 * MIN_MS;
    make_token(token, "{\"ttl\":\"5m\"}");
    core_seal(vault->core, "test");
    vault->wall_ahead_ms -= 60 * MIN_MS;
    vault->now_ms += 4 * MIN_MS; /* nobody knows how long it was not there */
    test_vault_restart(vault);
    assert_int_equal(asks(token, "GET", "auth/token/lookup-self", NULL), 200);
    vault->now_ms += 5 * MIN_MS + 1;
    assert_int_equal(asks(token, "GET", "auth/token/lookup-self", NULL), 403);
    make_token(token, "{\"ttl\":\"5m\"}");
    vault->now_ms += 5 * MIN_MS - 1000;
    assert_int_equal(asks(token, "GET", "auth/token/lookup-self", NULL), 200);
}

/* It would live again, were the clock set back before the sweep. */
static void revoked_when_it_is_over(void **state)
{
    (void)state;
    char token[256], body[300];
    make_token(token, "{\"ttl\":\"5m\"}");
    vault->now_ms += 6 * MIN_MS;
    assert_int_equal(asks(token, "GET", "auth/token/lookup-self", NULL), 403);
    (void)snprintf(body, sizeof body, "{\"token\":\"%s\"}", token);
    wants(204, "POST", "auth/token/revoke", body);
    assert_int_equal(test_vault_rows(vault, TABLE_TOKEN), 1); /* root's */
}

/* With all that was made while the clock was ahead, in the first step and in those that come later. */
static void revoked_by_prefix(void **state)
{
    char tokens[100][256];
    (void)state;
    for (size_t i = 0; i < 100; i++)
        make_token(tokens[i], "{\"ttl\":\"5h\"}");
    vault->wall_ahead_ms -= 60 * MIN_MS;
    wants(204, "PUT", "sys/leases/revoke-prefix/auth/token/create", "{\"sync\":true}");
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(asks(tokens[i], "GET", "auth/token/lookup-self", NULL), 403);
}

static void deleted_by_time_and_by_somebody(void **state)
{
    (void)state;
    wants(204, "POST", "secret/metadata/a", "{\"delete_version_after\":\"10m\"}");
    wants(200, "POST", "secret/data/a", "{\"data\":{\"k\":\"v\"}}");
    wants(200, "POST", "secret/data/a", "{\"data\":{\"k\":\"v\"}}");
    vault->now_ms += 11 * MIN_MS;
    wants(404, "GET", "secret/data/a", NULL);
    wants(204, "DELETE", "secret/data/a", NULL);
    wants(204, "POST", "secret/delete/a", "{\"versions\":[1]}");
    vault->wall_ahead_ms -= 60 * MIN_MS;
    wants(404, "GET", "secret/data/a", NULL);
    wants(404, "GET", "secret/data/a?version=1", NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_longer_than_its_maximum, make, end),
        cmocka_unit_test_setup_teardown(over_a_restart, make, end),
        cmocka_unit_test_setup_teardown(revoked_when_it_is_over, make, end),
        cmocka_unit_test_setup_teardown(revoked_by_prefix, make, end),
        cmocka_unit_test_setup_teardown(deleted_by_time_and_by_somebody, make, end),
    };
    kt_log_set_level(KT_LOG_ERROR);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("set_clock", tests, NULL, NULL);
}
