/* Rate-limit quotas through the pipeline: what is refused, whom each governs, what stays when a mount moves or
 * goes, and that a change is in force with its answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/meanwhile.h"
#include "tests/support/one_vault.h"
#include "vaultd/core/quota_table.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define ADMIN "192.0.2.1" /* asks for the changes; below what any quota here allows */

static unsigned ask_from(const char *address, const char *method, const char *path, const char *token,
                         const char *body)
{
    char target[1024];
    (void)snprintf(target, sizeof target, "/v1/%s", path);
    char *query = strchr(target, '?');
    if (query != NULL)
        *query++ = '\0';
    const struct test_request request = {.method = kt_str(method),
                                         .target = kt_str(target),
                                         .query = kt_str(query),
                                         .token = kt_str(token),
                                         .body = kt_str(body),
                                         .address = address};
    return test_vault_ask(vault, &request);
}

static void wants(unsigned status, const char *method, const char *path, const char *body, const char *says)
{
    unsigned got = ask_from(ADMIN, method, path, vault->root, body);
    if (got != status || (says != NULL && !test_vault_said(vault, says)))
        fail_msg("%s %s %s: expected %u and %s, got %u: %s", method, path, body == NULL ? "" : body, status,
                 says == NULL ? "any text" : says, got, vault->body);
}

/* How many of n requests at once are let in; what a path says when it is let in does not matter. */
static unsigned let_in(const char *address, const char *method, const char *path, unsigned n)
{
    unsigned count = 0;
    for (unsigned i = 0; i < n; i++)
        count += ask_from(address, method, path, vault->root, NULL) != 429;
    return count;
}

/* ---- the routes ---- */

static void written_and_read(void **state)
{
    (void)state;
    wants(404, "LIST", "sys/quotas/rate-limit", NULL, "{\"errors\":[]}");
    wants(404, "GET", "sys/quotas/rate-limit/a", NULL, "{\"errors\":[]}");
    wants(204, "DELETE", "sys/quotas/rate-limit/a", NULL, NULL);
    wants(204, "POST", "sys/quotas/rate-limit/b-1", "{\"rate\":1000.25,\"interval\":\"2m\",\"block_interval\":30}", NULL);
    wants(200, "GET", "sys/quotas/rate-limit/b-1", NULL,
          "\"data\":{\"block_interval\":30,\"inheritable\":true,\"interval\":120,\"name\":\"b-1\",\"path\":\"\","
          "\"rate\":1000.25,\"role\":\"\",\"type\":\"rate-limit\"}");
    wants(204, "PUT", "sys/quotas/rate-limit/a", "{\"rate\":\"500\",\"path\":\"/secret/data/x/\",\"name\":\"c\"}", NULL);
    wants(200, "GET", "sys/quotas/rate-limit/a", NULL,
          "\"inheritable\":false,\"interval\":1,\"name\":\"a\",\"path\":\"secret/data/x\",\"rate\":500,");
    wants(204, "POST", "sys/quotas/rate-limit/a", "{\"rate\":0.5,\"path\":\"secret\"}", NULL);
    wants(200, "GET", "sys/quotas/rate-limit/a", NULL, "\"path\":\"secret/\",\"rate\":0.5,");
    wants(200, "LIST", "sys/quotas/rate-limit", NULL, "\"data\":{\"keys\":[\"a\",\"b-1\"]}");
    test_vault_reseal(vault);
    wants(200, "LIST", "sys/quotas/rate-limit", NULL, "\"data\":{\"keys\":[\"a\",\"b-1\"]}");
    wants(204, "DELETE", "sys/quotas/rate-limit/a", NULL, NULL);
    wants(404, "GET", "sys/quotas/rate-limit/a", NULL, "{\"errors\":[]}");
    wants(200, "LIST", "sys/quotas/rate-limit", NULL, "\"data\":{\"keys\":[\"b-1\"]}");
}

static void refused(void **state)
{
    (void)state;
    wants(204, "POST", "sys/quotas/rate-limit/all", "{\"rate\":1000}", NULL);
    wants(204, "POST", "sys/quotas/rate-limit/kv", "{\"rate\":1000,\"path\":\"secret/\"}", NULL);
    static const struct {
        const char *name, *body, *says;
    } rows[] = {
        {"x", "{}", "'rate' is invalid"},
        {"x", "{\"rate\":0}", "'rate' is invalid"},
        {"x", "{\"rate\":-1}", "'rate' is invalid"},
        {"x", "{\"rate\":0.0001}", "'rate' is invalid"},
        {"x", "{\"rate\":1e10}", "'rate' is invalid"},
        {"x", "{\"rate\":1,\"interval\":\"745h\"}", "'interval' is invalid"},
        {"x", "{\"rate\":1,\"block_interval\":\"745h\"}", "'block_interval' is invalid"},
        {"x", "{\"rate\":1,\"path\":\"no/such\"}", "invalid mount path \\\"no/such\\\""},
        {"x", "{\"rate\":1,\"path\":\"secret/../x\"}", "\\\"path\\\": no request has such a path"},
        {"x", "{\"rate\":1,\"path\":\"secret//x\"}", "\\\"path\\\": no request has such a path"},
        {"x", "{\"rate\":1,\"path\":\"auth/token\",\"role\":\"r\"}", "\\\"role\\\": quotas by login role"},
        {"x", "{\"rate\":1,\"path\":\"cubbyhole\",\"inheritable\":true}", "only namespace quotas"},
        {"x", "{\"rate\":1,\"inheritable\":false}", "all global quotas must be inheritable"},
        {"x", "{\"rate\":1}", "similar properties exists under the name \\\"all\\\""},
        {"x", "{\"rate\":1,\"path\":\"secret\"}", "similar properties exists under the name \\\"kv\\\""},
        {"-x", "{\"rate\":1,\"path\":\"cubbyhole\"}", "not a quota's name"},
        {"x,y", "{\"rate\":1,\"path\":\"cubbyhole\"}", "not a quota's name"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "sys/quotas/rate-limit/%s", rows[i].name);
        wants(400, "POST", path, rows[i].body, rows[i].says);
    }
    wants(404, "GET", "sys/quotas/lease-count/x", NULL, "unsupported path");
    wants(200, "LIST", "sys/quotas/rate-limit", NULL, "\"keys\":[\"all\",\"kv\"]");
}

static void not_more_than_there_is_room(void **state)
{
    (void)state;
    char path[64], body[64];
    for (unsigned i = 0; i < QUOTAS_MAX; i++) {
        (void)snprintf(path, sizeof path, "sys/quotas/rate-limit/q%u", i);
        (void)snprintf(body, sizeof body, "{\"rate\":1000,\"path\":\"secret/data/x%u\"}", i);
        wants(204, "POST", path, body, NULL);
    }
    wants(400, "POST", "sys/quotas/rate-limit/x", "{\"rate\":1000}", "there are 256 quotas already");
    wants(204, "POST", "sys/quotas/rate-limit/q7", "{\"rate\":2000}", NULL); /* one of them changed */
}

static void settings(void **state)
{
    (void)state;
    wants(200, "GET", "sys/quotas/config", NULL,
          "\"data\":{\"enable_rate_limit_audit_logging\":false,\"enable_rate_limit_response_headers\":false,"
          "\"rate_limit_exempt_paths\":[\"sys/generate-recovery-token/attempt\",");
    wants(204, "POST", "sys/quotas/config",
          "{\"rate_limit_exempt_paths\":[\"/secret/a\",\"cubbyhole/\"],\"enable_rate_limit_audit_logging\":true}", NULL);
    wants(200, "GET", "sys/quotas/config", NULL,
          "\"enable_rate_limit_audit_logging\":true,\"enable_rate_limit_response_headers\":false,"
          "\"rate_limit_exempt_paths\":[\"secret/a\",\"cubbyhole/\"]");
    wants(204, "POST", "sys/quotas/config", "{}", NULL); /* what is left out is none, as Vault has it */
    wants(200, "GET", "sys/quotas/config", NULL, "\"rate_limit_exempt_paths\":[]");
    wants(400, "POST", "sys/quotas/config", "{\"rate_limit_exempt_paths\":[\"/\"]}", "has an empty path");
}

/* ---- in force ---- */

static void in_force_at_once(void **state)
{
    (void)state;
    assert_int_equal(let_in("10.0.0.1", "GET", "secret/data/a", 50), 50);
    wants(204, "POST", "sys/quotas/rate-limit/q", "{\"rate\":5,\"interval\":\"1m\"}", NULL);
    assert_int_equal(let_in("10.0.0.1", "GET", "secret/data/a", 50), 5);
    assert_int_equal(vault->retry_after_s, 12);
    assert_true(test_vault_said(vault, "{\"errors\":[\"request path \\\"secret/data/a\\\": rate limit quota exceeded\"]"));
    assert_false(vault->limit.told);
    assert_int_equal(let_in("10.0.0.2", "GET", "secret/data/a", 50), 5); /* each client its own */
    vault->now_ms += 24000;
    assert_int_equal(let_in("10.0.0.1", "GET", "secret/data/a", 50), 2);
    wants(204, "POST", "sys/quotas/rate-limit/q", "{\"rate\":7,\"interval\":\"1m\"}", NULL);
    assert_int_equal(let_in("10.0.0.1", "GET", "secret/data/a", 50), 7); /* a changed one begins anew */
    wants(204, "DELETE", "sys/quotas/rate-limit/q", NULL, NULL);
    assert_int_equal(let_in("10.0.0.1", "GET", "secret/data/a", 50), 50);
}

/* Before the token is looked at, and whoever asks for what; refusals and what does not exist count, too. */
static void whoever_asks(void **state)
{
    (void)state;
    wants(204, "POST", "sys/quotas/rate-limit/q", "{\"rate\":3,\"interval\":\"1m\"}", NULL);
    static const struct {
        const char *address, *method, *path, *token;
        unsigned status;
    } rows[] = {
        {"10.0.1.1", "GET", "secret/data/a", "hvs.nobody", 403},
        {"10.0.1.2", "GET", "secret/data/a", NULL, 403},
        {"10.0.1.3", "GET", "no/such/mount", NULL, 403},
        {"10.0.1.4", "GET", "sys/leader", NULL, 200},
        {"10.0.1.5", "PUT", "sys/wrapping/unwrap", "x", 400},
        {"2001:db8::5", "GET", "secret/data/a", NULL, 403},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (unsigned n = 0; n < 5; n++) {
            unsigned status = ask_from(rows[i].address, rows[i].method, rows[i].path, rows[i].token, NULL);
            if (status != (n < 3 ? rows[i].status : 429))
                fail_msg("%s %s, time %u: %u %s", rows[i].method, rows[i].path, n + 1, status, vault->body);
        }
    assert_int_equal(ask_from("2001:db8::6", "GET", "sys/leader", NULL, NULL), 429); /* the same /64 */
    assert_int_equal(ask_from("2001:db8:0:1::5", "GET", "sys/leader", NULL, NULL), 200);
}

/* Each quota of its own rate: the answer tells which one governed. */
static void the_closest_governs(void **state)
{
    (void)state;
    static const char *const quotas[][2] = {
        {"all", "{\"rate\":3,\"interval\":\"1h\"}"},
        {"kv", "{\"rate\":4,\"interval\":\"1h\",\"path\":\"secret\"}"},
        {"below", "{\"rate\":5,\"interval\":\"1h\",\"path\":\"secret/data/team/*\"}"},
        {"deeper", "{\"rate\":6,\"interval\":\"1h\",\"path\":\"secret/data/team/a*\"}"},
        {"one", "{\"rate\":7,\"interval\":\"1h\",\"path\":\"secret/data/team/app\"}"},
        {"login", "{\"rate\":8,\"interval\":\"1h\",\"path\":\"auth/token/lookup-self\"}"},
    };
    for (size_t i = 0; i < sizeof quotas / sizeof quotas[0]; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "sys/quotas/rate-limit/%s", quotas[i][0]);
        assert_int_equal(ask_from("192.0.2.3", "DELETE", "sys/quotas/rate-limit/all", vault->root, NULL), 204);
        if (ask_from("192.0.2.4", "POST", path, vault->root, quotas[i][1]) != 204)
            fail_msg("%s: %s", path, vault->body);
    }
    assert_int_equal(ask_from("192.0.2.3", "POST", "sys/quotas/rate-limit/all", vault->root, quotas[0][1]), 204);
    static const struct {
        const char *method, *path;
        unsigned lets_in;
    } rows[] = {
        {"GET", "cubbyhole/x", 3},           {"GET", "nowhere/x", 3},
        {"GET", "secret/data/x", 4},         {"GET", "secret/data/team", 4},
        {"LIST", "secret/metadata/", 4},     {"GET", "secret/data/team/x", 5},
        {"GET", "secret/data/team/ab", 6},   {"GET", "secret/data/team/app", 7},
        {"GET", "secret/data/team/app/x", 6}, {"GET", "auth/token/lookup-self", 8},
        {"GET", "auth/token/lookup-selfie", 3},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char address[32];
        (void)snprintf(address, sizeof address, "10.0.2.%zu", i);
        unsigned n = let_in(address, rows[i].method, rows[i].path, 12);
        if (n != rows[i].lets_in)
            fail_msg("%s %s: %u let in, not %u", rows[i].method, rows[i].path, n, rows[i].lets_in);
    }
}

/* Where a row takes names in any case, a quota on one spelling governs all of them. */
static void any_spelling_of_a_name(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "auth/token/roles/One", "sys/policies/acl/Two", "identity/entity/name/Three", "sys/policy/fOUR*",
        "secret/data/Five",
    };
    wants(204, "POST", "sys/quotas/config", "{\"rate_limit_exempt_paths\":[\"identity/group/name/Free\"]}", NULL);
    wants(204, "POST", "sys/quotas/rate-limit/all", "{\"rate\":30,\"interval\":\"1h\"}", NULL);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        char path[64], body[128];
        (void)snprintf(path, sizeof path, "sys/quotas/rate-limit/q%zu", i);
        (void)snprintf(body, sizeof body, "{\"rate\":2,\"interval\":\"1h\",\"path\":\"%s\"}", paths[i]);
        wants(204, "POST", path, body, NULL);
    }
    static const struct {
        const char *path;
        unsigned lets_in;
    } rows[] = {
        {"auth/token/roles/one", 2},        {"auth/token/roles/ONE", 2},
        {"sys/policies/acl/two", 2},        {"sys/policies/acl/TWO", 2},
        {"identity/entity/name/three", 2},  {"identity/entity/name/THREE", 2},
        {"sys/policy/four", 2},             {"sys/policy/FOURTH", 2},
        {"secret/data/Five", 2},            {"secret/data/five", 12},
        {"identity/group/name/FREE", 12},   {"IDENTITY/group/name/Free", 12},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char address[32];
        (void)snprintf(address, sizeof address, "10.0.8.%zu", i);
        unsigned n = let_in(address, "GET", rows[i].path, 12);
        if (n != rows[i].lets_in)
            fail_msg("%s: %u let in, not %u", rows[i].path, n, rows[i].lets_in);
    }
    assert_int_equal(let_in("10.0.9.1", "GET", "identity/group/name/FREE", 40), 40);
    assert_int_equal(let_in("10.0.9.2", "GET", "IDENTITY/group/name/Free", 40), 30);
}

static void exempt_paths(void **state)
{
    (void)state;
    wants(204, "POST", "sys/quotas/config", "{\"rate_limit_exempt_paths\":[\"secret/data/free\",\"cubbyhole/f*\"]}", NULL);
    wants(204, "POST", "sys/quotas/rate-limit/q", "{\"rate\":3,\"interval\":\"1h\"}", NULL);
    static const struct {
        const char *path;
        unsigned lets_in;
    } rows[] = {
        {"secret/data/free", 12}, {"secret/data/free/x", 12}, {"secret/data/freedom", 3},
        {"cubbyhole/fx", 12},     {"cubbyhole/x", 3},         {"sys/health", 3},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char address[32];
        (void)snprintf(address, sizeof address, "10.0.3.%zu", i);
        if (let_in(address, "GET", rows[i].path, 12) != rows[i].lets_in)
            fail_msg("%s: not %u let in", rows[i].path, rows[i].lets_in);
    }
}

static void exempt_at_first(void **state)
{
    (void)state;
    wants(204, "POST", "sys/quotas/rate-limit/q", "{\"rate\":3,\"interval\":\"1h\"}", NULL);
    assert_int_equal(let_in("10.0.3.1", "GET", "sys/health", 12), 12);
    assert_int_equal(let_in("10.0.3.1", "GET", "sys/seal-status", 12), 12);
    assert_int_equal(let_in("10.0.3.1", "GET", "sys/leader", 12), 3);
}

static void what_the_client_is_told(void **state)
{
    (void)state;
    wants(204, "POST", "sys/quotas/config", "{\"enable_rate_limit_response_headers\":true}", NULL);
    assert_false(vault->limit.told); /* nothing governs it yet */
    wants(204, "POST", "sys/quotas/rate-limit/q", "{\"rate\":2,\"interval\":\"1m\",\"block_interval\":\"5m\"}", NULL);
    for (unsigned i = 0; i < 3; i++) {
        unsigned status = ask_from("10.0.4.1", "GET", "sys/leader", NULL, NULL);
        assert_int_equal(status, i < 2 ? 200 : 429);
        assert_true(vault->limit.told);
        assert_int_equal(vault->limit.limit, 2);
        assert_int_equal(vault->limit.remaining, i == 0 ? 1 : 0);
        assert_int_equal(vault->limit.reset_s, i == 0 ? 30 : i == 1 ? 60 : 300);
        assert_int_equal(vault->retry_after_s, i < 2 ? 0 : 300);
    }
}

/* Whoever set too low a limit has a way in. */
static void the_socket_is_not_counted(void **state)
{
    (void)state;
    wants(204, "POST", "sys/quotas/rate-limit/q", "{\"rate\":0.001,\"interval\":\"744h\"}", NULL);
    assert_int_equal(let_in(ADMIN, "GET", "secret/data/a", 3), 1);
    const struct test_request request = {.method = kt_str("DELETE"),
                                         .target = kt_str("/v1/sys/quotas/rate-limit/q"),
                                         .token = kt_str(vault->root),
                                         .local = true,
                                         .uid = 1000};
    assert_int_equal(test_vault_ask(vault, &request), 204);
    assert_int_equal(let_in(ADMIN, "GET", "secret/data/a", 3), 3);
}

/* A quota stands on the mount: it goes where the mount goes. */
static void moved_and_removed(void **state)
{
    (void)state;
    wants(204, "POST", "sys/quotas/rate-limit/q", "{\"rate\":3,\"interval\":\"1h\",\"path\":\"secret/data/a\"}", NULL);
    wants(200, "POST", "sys/remount", "{\"from\":\"secret\",\"to\":\"moved/there\"}", NULL);
    wants(200, "GET", "sys/quotas/rate-limit/q", NULL, "\"path\":\"moved/there/data/a\"");
    assert_int_equal(let_in("10.0.5.1", "GET", "moved/there/data/a", 9), 3);
    wants(204, "DELETE", "sys/mounts/moved/there", NULL, NULL);
    wants(404, "GET", "sys/quotas/rate-limit/q", NULL, NULL);
    wants(404, "LIST", "sys/quotas/rate-limit", NULL, NULL);
    wants(204, "POST", "sys/mounts/moved/there", "{\"type\":\"kv\"}", NULL);
    assert_int_equal(let_in("10.0.5.1", "GET", "moved/there/data/a", 9), 9); /* another mount of that path */
    wants(204, "POST", "sys/quotas/rate-limit/q", "{\"rate\":4,\"interval\":\"1h\",\"path\":\"moved/there/data/a\"}", NULL);
    wants(200, "LIST", "sys/quotas/rate-limit", NULL, "\"keys\":[\"q\"]");
    assert_int_equal(let_in("10.0.5.1", "GET", "moved/there/data/a", 9), 4);
}

/* A write that has to be made again because somebody else was first counts once. */
static void once_a_request(void **state)
{
    (void)state;
    static const struct visit visits[] = {
        {"POST", "secret/data/a", NULL, "{\"data\":{\"k\":\"theirs\"}}", 200}, {NULL}};
    wants(200, "POST", "secret/data/a", "{\"data\":{\"k\":\"first\"}}", NULL);
    wants(204, "POST", "sys/quotas/rate-limit/q", "{\"rate\":3,\"interval\":\"1h\"}", NULL);
    meanwhile(vault, visits, NULL);
    assert_int_equal(ask_from("10.0.7.1", "POST", "secret/data/a", vault->root, "{\"data\":{\"k\":\"v\"}}"), 200);
    assert_true(meanwhile_over());
    assert_true(test_vault_said(vault, "\"version\":3"));
    assert_int_equal(let_in("10.0.7.1", "GET", "secret/data/a", 9), 2);
}

/* A refusal is in the audit log, rationed as all are, and counted. */
static void recorded_and_counted(void **state)
{
    (void)state;
    wants(204, "POST", "sys/quotas/rate-limit/q", "{\"rate\":40,\"interval\":\"1h\"}", NULL);
    assert_int_equal(let_in("10.0.6.1", "GET", "secret/data/a", 45), 40);
    wants(200, "GET", "sys/metrics?format=prometheus", NULL, "\nkeyturn_quota_refused_total 5\n");
    wants(200, "GET", "sys/audit-log/export", NULL, NULL);
    unsigned records = 0;
    for (const char *at = vault->body; (at = strstr(at, "rate limit quota exceeded")) != NULL; at++)
        records++;
    assert_int_equal(records, 5);
    (void)let_in("10.0.6.1", "GET", "secret/data/a", 1000); /* a flood is counted, not told one by one */
    wants(200, "GET", "sys/audit-log/export", NULL, NULL);
    for (const char *at = vault->body; (at = strstr(at, "rate limit quota exceeded")) != NULL; at++)
        records++;
    assert_in_range(records, 6, 60);
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, make, end)
    const struct CMUnitTest tests[] = {
        CASE(written_and_read),      CASE(refused),
        CASE(not_more_than_there_is_room), CASE(settings),
        CASE(in_force_at_once),      CASE(whoever_asks),
        CASE(the_closest_governs),   CASE(any_spelling_of_a_name), CASE(exempt_paths),
        CASE(exempt_at_first),       CASE(what_the_client_is_told),
        CASE(the_socket_is_not_counted), CASE(moved_and_removed),
        CASE(once_a_request),        CASE(recorded_and_counted),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("quotas", tests, NULL, NULL);
}
