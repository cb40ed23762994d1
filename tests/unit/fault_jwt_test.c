/* A login whose keys have to be fetched, with each allocation and each start of a thread failing in turn: it is
 * refused in words, and gets in as soon as memory is back and it is time to fetch again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/support/fault.h"
#include "tests/support/jwt_example.h"
#include "tests/support/vault.h"
#include "vaultd/auth/logins.h"

#define LOGIN "{\"role\":\"r\",\"jwt\":\"" JWT_EXAMPLE_TOKEN "\"}"
#define MOST  400u

static struct test_vault *vault;
static unsigned settings;
static unsigned long hits; /* of the last login */

static enum kt_kind fetch(void *arg, const char *url, const char *ca, struct kt_buf *body, struct kt_err *err)
{
    (void)arg;
    (void)ca;
    kt_buf_reset(body);
    kt_buf_add_text(body, strstr(url, "openid") == NULL ? JWT_EXAMPLE_SET
                                                        : "{\"issuer\":\"https://i\",\"jwks_uri\":\"https://i/set\"}");
    return kt_buf_ok(body) ? KT_OK : kt_fail(err, KT_NO_MEMORY, "fetching");
}

static void wants(unsigned status, const char *method, const char *path, const char *body)
{
    unsigned got = test_vault_call(vault, method, path, vault->root, body);
    if (got != status)
        fail_msg("%s %s: wanted %u, got %u: %s", method, path, status, got, vault->body);
}

/* Other settings each time: nothing is left of what was fetched before. */
static void other_settings(void)
{
    char body[256];
    (void)snprintf(body, sizeof body, "{\"jwks_url\":\"https://i/%u\"}", settings++);
    wants(204, "POST", "auth/jwt/config", body);
}

static int make(void **state)
{
    *state = vault = test_vault_new(true);
    jwt_sources_set_fetch(vault->core->logins->jwt, fetch, NULL);
    wants(204, "POST", "sys/auth/jwt", "{\"type\":\"jwt\"}");
    wants(204, "POST", "auth/jwt/role/r", "{\"role_type\":\"jwt\",\"user_claim\":\"sub\",\"bound_audiences\":\"vault\"}");
    return 0;
}

static int end(void **state)
{
    test_vault_free(*state);
    return 0;
}

static unsigned log_in(const struct fault *fault)
{
    const struct test_request request = {.method = kt_str("POST"), .target = kt_str("/v1/auth/jwt/login"), .body = kt_str(LOGIN)};
    fault_set(fault);
    unsigned status = test_vault_ask(vault, &request);
    hits = fault_hits();
    (void)fault_clear();
    return status;
}

static bool is_refusal(unsigned status)
{
    return (status == 400 && test_vault_said(vault, "could not be fetched")) ||
           (status >= 500 && test_vault_said(vault, "\"errors\":[\""));
}

/* Until none is left to fail: then each has failed once. Returns how many did. */
static unsigned each_fails(enum fault_kind kind)
{
    const struct fault none = {.kind = kind};
    for (unsigned nth = 1; nth < MOST; nth++) {
        const struct fault fault = {.kind = kind, .nth = nth};
        other_settings();
        unsigned status = log_in(&fault);
        bool over = hits == 0;
        if (status != 200 && !is_refusal(status))
            fail_msg("%s %u: %u %s", fault_kind_name(kind), nth, status, vault->body);
        vault->now_ms += JWT_PACE_MS;
        unsigned after = log_in(&none);
        if (after != 200)
            fail_msg("after %s %u: %u %s", fault_kind_name(kind), nth, after, vault->body);
        if (over)
            return nth - 1;
    }
    fail_msg("it never gets in");
    return 0;
}

/* Before there is a thread to fetch. */
static void threads_that_do_not_start(void **state)
{
    (void)state;
    assert_true(each_fails(FAULT_START) >= 1);
}

static void memory_that_is_out(void **state)
{
    (void)state;
    other_settings();
    assert_true(each_fails(FAULT_ALLOC) > 5);
}

int main(int argc, char **argv)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make, end)
    const struct CMUnitTest tests[] = {TEST(threads_that_do_not_start), TEST(memory_that_is_out)};
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("fault jwt", tests, NULL, NULL);
}
