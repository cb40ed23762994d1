/* sys/leases: leases of tokens, found, listed, counted and revoked, one by one and by where they were made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/meanwhile.h"
#include "tests/support/one_vault.h"
#include "tests/support/stuck.h"
#include "vaultd/auth/lease.h"
#include "vaultd/auth/token.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define TEXT 256u
#define MADE "auth/token/create"

struct made {
    char token[TEXT], accessor[TEXT], id[TEXT];
};

static void wants(unsigned status, const char *method, const char *path, const char *token, const char *body,
                  const char *says)
{
    unsigned got = test_vault_call(vault, method, path, token == NULL ? vault->root : token, body);
    if (got != status || (says != NULL && !test_vault_said(vault, says)))
        fail_msg("%s %s %s: expected %u and %s, got %u: %s", method, path, body == NULL ? "" : body, status,
                 says == NULL ? "any text" : says, got, vault->body);
}

/* The id of the one lease more that is listed since. */
static void the_new_one(const char *path, const char *before, char out[TEXT])
{
    char list[64 + TEXT];
    (void)snprintf(list, sizeof list, "sys/leases/lookup/%s", path);
    wants(200, "LIST", list, NULL, NULL, "\"keys\":[\"h");
    for (const char *at = vault->body; (at = strstr(at, "\"h")) != NULL; at++) {
        char name[67] = {0};
        memcpy(name, at + 1, 65);
        if (at[66] != '"' || strstr(before, name) != NULL)
            continue;
        (void)snprintf(out, TEXT, "%s/%s", path, name);
        return;
    }
    fail_msg("no new lease in %s", vault->body);
}

static void make_token(const char *path, const char *parent, const char *body, struct made *ret)
{
    char list[64 + TEXT], token[TEXT], accessor[TEXT];
    (void)snprintf(list, sizeof list, "sys/leases/lookup/%s", path);
    (void)test_vault_call(vault, "LIST", list, vault->root, NULL);
    char *before = strdup(vault->body);
    wants(200, "POST", path, parent, body, NULL);
    test_vault_text(vault, "auth.client_token", token, sizeof token);
    test_vault_text(vault, "auth.accessor", accessor, sizeof accessor);
    the_new_one(path, before, ret->id);
    memcpy(ret->token, token, sizeof token);
    memcpy(ret->accessor, accessor, sizeof accessor);
    free(before);
}

static const char *named(const char *id)
{
    static char body[TEXT + 32];
    (void)snprintf(body, sizeof body, "{\"lease_id\":\"%s\"}", id);
    return body;
}

static bool is_good(const struct made *made)
{
    return test_vault_call(vault, "GET", "auth/token/lookup-self", made->token, NULL) == 200;
}

/* ---- one ---- */

static void looked_up(void **state)
{
    (void)state;
    struct made made;
    make_token(MADE, NULL, "{\"ttl\":\"1h\",\"policies\":[\"default\"]}", &made);
    wants(200, "PUT", "sys/leases/lookup", NULL, named(made.id), "\"renewable\":true,\"ttl\":3600}");
    assert_true(test_vault_said(vault, "\"expire_time\":\"2027-"));
    assert_true(test_vault_said(vault, "\"last_renewal\":null,\"path\":\"auth/token/create\""));
    assert_true(test_vault_said(vault, made.id));
    wants(200, "POST", "sys/leases/lookup", made.token, named(made.id), NULL); /* default lets everybody */
    vault->now_ms += 60000;
    wants(200, "POST", "auth/token/renew-self", made.token, "{\"increment\":\"2h\"}", NULL);
    wants(200, "PUT", "sys/leases/lookup", NULL, named(made.id), "\"ttl\":7200}");
    assert_true(test_vault_said(vault, "\"last_renewal\":\"2027-"));
    vault->now_ms += 7200 * 1000 - 1;
    wants(200, "PUT", "sys/leases/lookup", NULL, named(made.id), "\"ttl\":0}");
    vault->now_ms += 1; /* over, whether anybody has tidied or not */
    wants(400, "PUT", "sys/leases/lookup", NULL, named(made.id), "invalid lease");
    wants(400, "PUT", "sys/leases/renew", NULL, named(made.id), "lease not found");
    wants(404, "LIST", "sys/leases/lookup/" MADE, NULL, NULL, NULL);
    (void)test_vault_tidy(vault);
    assert_int_equal(test_vault_rows(vault, TABLE_LEASE), 0);
}

/* The id tells nothing of the store: neither the token's hash nor its accessor is in it. */
static void the_id_says_nothing(void **state)
{
    (void)state;
    struct made made, other;
    make_token(MADE, NULL, "{\"ttl\":\"1h\"}", &made);
    make_token(MADE, NULL, "{\"ttl\":\"1h\"}", &other);
    assert_string_not_equal(made.id, other.id);
    assert_null(strstr(made.id, made.accessor));
    assert_int_equal(strlen(made.id), sizeof MADE + 1 + LEASE_ID_HEX);
    char cut[TEXT];
    (void)snprintf(cut, sizeof cut, "%.*s", (int)strlen(made.id) - 1, made.id);
    wants(400, "PUT", "sys/leases/lookup", NULL, named(cut), "invalid lease");
    char elsewhere[TEXT + 16];
    (void)snprintf(elsewhere, sizeof elsewhere, "auth/token/%s", strrchr(made.id, '/') + 1);
    wants(400, "PUT", "sys/leases/lookup", NULL, named(elsewhere), "invalid lease");
    test_vault_reseal(vault); /* and is the same for ever */
    wants(200, "PUT", "sys/leases/lookup", NULL, named(made.id), NULL);
}

static void not_renewed_here(void **state)
{
    (void)state;
    struct made made, fixed;
    char path[TEXT + 32];
    make_token(MADE, NULL, "{\"ttl\":\"1h\"}", &made);
    make_token(MADE, NULL, "{\"ttl\":\"1h\",\"renewable\":false}", &fixed);
    static const char *const forms[] = {"sys/leases/renew", "sys/renew"};
    for (size_t i = 0; i < 2; i++) {
        wants(400, "PUT", forms[i], NULL, named(made.id), "tokens cannot be renewed through this endpoint");
        wants(400, "PUT", forms[i], NULL, named(fixed.id), "lease is not renewable");
        wants(400, "PUT", forms[i], NULL, named("a/b"), "lease not found");
        wants(400, "PUT", forms[i], NULL, "{\"increment\":10}", "lease_id must be specified");
        (void)snprintf(path, sizeof path, "%s/%s", forms[i], made.id);
        wants(400, "PUT", path, NULL, "{\"increment\":10}", "tokens cannot be renewed through this endpoint");
    }
    wants(200, "PUT", "sys/leases/lookup", NULL, named(made.id), "\"ttl\":3600}");
}

static void revoked(void **state)
{
    (void)state;
    static const struct {
        const char *form;
        bool in_path;
        const char *more;
        unsigned status;
    } rows[] = {
        {"sys/leases/revoke", false, "", 204},
        {"sys/leases/revoke", true, "", 204},
        {"sys/leases/revoke", true, "\"sync\":false", 202}, /* as Vault's command asks */
        {"sys/revoke", false, "\"sync\":true", 204},
        {"sys/revoke", true, "", 204},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct made made, child, other;
        char path[TEXT + 32], body[TEXT + 32];
        make_token(MADE, NULL, "{\"ttl\":\"1h\",\"policies\":[\"root\"]}", &made);
        make_token(MADE, made.token, "{\"ttl\":\"30m\"}", &child);
        make_token(MADE, NULL, "{\"ttl\":\"1h\"}", &other);
        (void)snprintf(path, sizeof path, "%s%s%s", rows[i].form, rows[i].in_path ? "/" : "",
                       rows[i].in_path ? made.id : "");
        (void)snprintf(body, sizeof body, "{%s%s%s%s%s}", rows[i].in_path ? "" : "\"lease_id\":\"",
                       rows[i].in_path ? "" : made.id, rows[i].in_path ? "" : "\"",
                       !rows[i].in_path && rows[i].more[0] != '\0' ? "," : "", rows[i].more);
        wants(rows[i].status, "PUT", path, NULL, body, NULL);
        assert_string_equal(vault->body, "");
        assert_false(is_good(&made));
        assert_false(is_good(&child));
        assert_true(is_good(&other));
        wants(rows[i].status, "PUT", path, NULL, body, NULL); /* what is not there is gone */
        (void)test_vault_tidy(vault);
        wants(204, "PUT", "sys/leases/revoke", NULL, named(other.id), NULL);
        (void)test_vault_tidy(vault);
        assert_int_equal(test_vault_rows(vault, TABLE_LEASE), 0);
    }
}

/* A body and a path that name two leases are refused; a token with one use left is used up by asking, and that is all. */
static void by_itself(void **state)
{
    (void)state;
    struct made made, other;
    char path[TEXT + 32];
    wants(204, "PUT", "sys/policies/acl/revoker", NULL,
          "{\"policy\":\"path \\\"sys/leases/*\\\" { capabilities = [\\\"update\\\", \\\"sudo\\\"] }\"}", NULL);
    make_token(MADE, NULL, "{\"ttl\":\"1h\"}", &other);
    make_token(MADE, NULL, "{\"ttl\":\"1h\",\"num_uses\":1,\"policies\":[\"revoker\"]}", &made);
    (void)snprintf(path, sizeof path, "sys/leases/revoke/%s", other.id);
    wants(400, "PUT", path, NULL, named(made.id), "another than the path's");
    wants(204, "PUT", "sys/leases/revoke", made.token, named(made.id), NULL);
    assert_false(is_good(&made));
    assert_true(is_good(&other));
    make_token(MADE, NULL, "{\"ttl\":\"1h\",\"num_uses\":1,\"policies\":[\"revoker\"]}", &made);
    wants(204, "PUT", "sys/leases/revoke-prefix/" MADE, made.token, NULL, NULL);
    assert_false(is_good(&made));
    assert_false(is_good(&other));
    make_token(MADE, NULL, "{\"ttl\":\"1h\",\"num_uses\":5,\"policies\":[\"revoker\"]}", &made);
    wants(204, "PUT", "sys/leases/revoke-prefix/" MADE, made.token, NULL, NULL);
    assert_false(is_good(&made));
}

/* ---- who has none ---- */

static void without_a_lease(void **state)
{
    (void)state;
    wants(404, "LIST", "sys/leases/lookup/", NULL, NULL, NULL);
    wants(200, "POST", MADE, NULL, "{\"policies\":[\"root\"]}", NULL); /* never ends */
    const struct test_request wrapped = {.method = kt_str("POST"),
                                         .target = kt_str("/v1/sys/wrapping/wrap"),
                                         .token = kt_str(vault->root),
                                         .body = kt_str("{\"a\":1}"),
                                         .wrap_ttl = kt_str("5m")};
    assert_int_equal(test_vault_ask(vault, &wrapped), 200);
    assert_int_equal(test_vault_rows(vault, TABLE_LEASE), 0);
    assert_int_equal(test_vault_rows(vault, TABLE_LEASE_PATH), 0);
    wants(404, "LIST", "sys/leases/lookup/", NULL, NULL, NULL);
}

/* Who was revoked alone stays only until its children are orphans, and has no lease any more. */
static void revoked_alone(void **state)
{
    (void)state;
    struct made made, child;
    char body[TEXT + 32];
    make_token(MADE, NULL, "{\"ttl\":\"1h\",\"policies\":[\"root\"]}", &made);
    make_token(MADE, made.token, "{\"ttl\":\"30m\"}", &child);
    (void)snprintf(body, sizeof body, "{\"token\":\"%s\"}", made.token);
    wants(204, "POST", "auth/token/revoke-orphan", NULL, body, NULL);
    wants(400, "PUT", "sys/leases/lookup", NULL, named(made.id), "invalid lease");
    wants(200, "PUT", "sys/leases/lookup", NULL, named(child.id), NULL);
    wants(200, "GET", "sys/leases/count?type=all", NULL, NULL, "\"lease_count\":1");
    (void)test_vault_tidy(vault);
    wants(200, "PUT", "sys/leases/lookup", NULL, named(child.id), NULL);
    assert_true(is_good(&child));
    assert_int_equal(test_vault_rows(vault, TABLE_LEASE), 1);
}

/* ---- all below a path ---- */

static void listed_and_counted(void **state)
{
    (void)state;
    struct made made, orphan;
    wants(200, "GET", "sys/leases/count?type=all", NULL, NULL, "\"data\":{\"counts\":{},\"lease_count\":0}");
    make_token(MADE, NULL, "{\"ttl\":\"1h\",\"policies\":[\"default\"]}", &made);
    make_token("auth/token/create-orphan", NULL, "{\"ttl\":\"1h\"}", &orphan);
    wants(200, "LIST", "sys/leases/lookup/", NULL, NULL, "\"data\":{\"keys\":[\"auth/\"]}");
    wants(200, "LIST", "sys/leases/lookup", NULL, NULL, "\"data\":{\"keys\":[\"auth/\"]}");
    wants(200, "LIST", "sys/leases/lookup/auth/", NULL, NULL, "\"data\":{\"keys\":[\"token/\"]}");
    wants(200, "LIST", "sys/leases/lookup/auth/token", NULL, NULL, "\"keys\":[\"create");
    wants(404, "LIST", "sys/leases/lookup/auth/tok", NULL, NULL, NULL);
    wants(404, "LIST", "sys/leases/lookup/secret/", NULL, NULL, NULL);
    wants(200, "GET", "sys/leases/lookup/auth/token?list=true", NULL, NULL, "\"keys\":[\"create");
    wants(200, "GET", "sys/leases/count?type=all", NULL, NULL, "\"lease_count\":2}");
    wants(200, "GET", "sys/leases/count?type=irrevocable", NULL, NULL, "\"data\":{\"counts\":{},\"lease_count\":0}");
    wants(200, "GET", "sys/leases?type=irrevocable", NULL, NULL, "\"data\":{\"lease_count\":0,\"leases\":[]}");
    wants(400, "GET", "sys/leases/count", NULL, NULL, "\\\"type\\\" must be");
    wants(400, "GET", "sys/leases?type=all", NULL, NULL, "\\\"type\\\" must be");
    wants(403, "LIST", "sys/leases/lookup/auth/", made.token, NULL, "permission denied");
}

static void revoke_prefix(void **state)
{
    (void)state;
    static const struct {
        const char *prefix;
        bool takes_created, takes_orphan;
    } rows[] = {
        {"sys/leases/revoke-prefix/auth/token/create-orphan", false, true},
        {"sys/leases/revoke-prefix/auth/token/create-o", false, false}, /* by folders, as in Vault */
        {"sys/leases/revoke-prefix/auth/token/create", true, false},
        {"sys/leases/revoke-force/auth/tok", false, false},
        {"sys/leases/revoke-prefix/auth/token/create/", true, false},
        {"sys/leases/revoke-prefix/auth/token/", true, true},
        {"sys/leases/revoke-force/auth/", true, true},
        {"sys/leases/revoke-force/auth", true, true},
        {"sys/revoke-prefix/auth/token/create/", true, false},
        {"sys/revoke-force/auth/tok/", false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct made made, orphan;
        make_token(MADE, NULL, "{\"ttl\":\"1h\"}", &made);
        make_token("auth/token/create-orphan", NULL, "{\"ttl\":\"1h\"}", &orphan);
        wants(204, "PUT", rows[i].prefix, NULL, NULL, NULL);
        if (is_good(&made) == rows[i].takes_created || is_good(&orphan) == rows[i].takes_orphan)
            fail_msg("%s: not what it should revoke", rows[i].prefix);
        wants(202, "PUT", "sys/leases/revoke-prefix/auth/", NULL, "{\"sync\":false}", NULL);
        (void)test_vault_tidy(vault);
        assert_false(is_good(&made) || is_good(&orphan));
        assert_int_equal(test_vault_rows(vault, TABLE_LEASE), 0);
    }
    wants(200, "GET", "auth/token/lookup-self", NULL, NULL, NULL); /* root's has no lease */
}

/* Vault's clients revoke one lease by it, too. */
static void revoke_prefix_of_an_id(void **state)
{
    (void)state;
    struct made made, other;
    char path[TEXT + 64];
    make_token(MADE, NULL, "{\"ttl\":\"1h\"}", &made);
    make_token(MADE, NULL, "{\"ttl\":\"1h\"}", &other);
    (void)snprintf(path, sizeof path, "sys/leases/revoke-prefix/%s", made.id);
    wants(204, "PUT", path, NULL, NULL, NULL);
    assert_false(is_good(&made));
    assert_true(is_good(&other));
}

static void make_many(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        wants(200, "POST", MADE, NULL, "{\"ttl\":\"1h\",\"policies\":[\"default\"]}", NULL);
}

/* More than a commit holds: waited for, or left to the housekeeper; who is made meanwhile stays. */
static void many(void **state)
{
    (void)state;
    make_many(200);
    wants(204, "PUT", "sys/leases/revoke-prefix/" MADE, NULL, NULL, NULL);
    wants(200, "GET", "sys/leases/count?type=all", NULL, NULL, "\"lease_count\":0");
    make_many(100);
    wants(202, "PUT", "sys/leases/revoke-prefix/" MADE, NULL, "{\"sync\":false}", NULL);
    vault->now_ms += 1;
    struct made late;
    make_token(MADE, NULL, "{\"ttl\":\"1h\"}", &late);
    (void)test_vault_tidy(vault);
    assert_true(is_good(&late));
    wants(200, "GET", "sys/leases/count?type=all", NULL, NULL, "\"counts\":{\"auth/token/create\":1},\"lease_count\":1");
    assert_int_equal(test_vault_rows(vault, TABLE_JOB), 0);
}

static bool tidies(const struct request *req)
{
    return req->origin == ORIGIN_INTERNAL;
}

/* What is waited for is done where sealing and key shares do not wait behind it: a share that somebody gives in the
 * midst of it is answered, or the two would wait for each other for ever. */
static void holds_up_no_key_share(void **state)
{
    (void)state;
    static const struct visit visits[] = {{"DELETE", "sys/generate-root/attempt", NULL, NULL, 204},
                                          {NULL}};
    make_many(100);
    meanwhile(vault, visits, tidies);
    stuck_after(60, "a key share waits for a revocation");
    wants(204, "PUT", "sys/leases/revoke-prefix/" MADE, NULL, NULL, NULL);
    stuck_after(0, NULL);
    assert_true(meanwhile_over());
    wants(200, "GET", "sys/leases/count?type=all", NULL, NULL, "\"lease_count\":0");
}

/* Very many that are over at one time: their ends share commits. A step of its own for each handful, and their
 * jobs, would be four times as many. */
static void many_expire(void **state)
{
    (void)state;
    make_many(900);
    assert_int_equal(test_vault_rows(vault, TABLE_LEASE), 900);
    vault->now_ms += 3600 * 1000;
    wants(200, "LIST", "sys/leases/lookup/auth/", NULL, NULL, NULL); /* rows, still */
    wants(404, "LIST", "sys/leases/lookup/" MADE, NULL, NULL, NULL);
    unsigned steps = test_vault_tidy(vault);
    if (steps > 25)
        fail_msg("%u steps", steps);
    assert_int_equal(test_vault_rows(vault, TABLE_LEASE), 0);
    assert_int_equal(test_vault_rows(vault, TABLE_TOKEN_DUE), 0);
    assert_int_equal(test_vault_rows(vault, TABLE_JOB), 0);
    assert_int_equal(test_vault_rows(vault, TABLE_ACCESSOR), 1);
}

/* A list of many is made where nobody waits behind it. */
static void a_long_list(void **state)
{
    (void)state;
    make_many(2100);
    wants(200, "GET", "sys/leases/count?type=all", NULL, NULL, "\"lease_count\":2100");
    wants(200, "LIST", "sys/leases/lookup/" MADE, NULL, NULL, NULL);
    unsigned n = 0;
    for (const char *at = vault->body; (at = strstr(at, "\"h")) != NULL; at++)
        n++;
    assert_int_equal(n, 2100);
}

/* What is left of a path goes with a tidying, unless somebody makes a lease there meanwhile. */
static void tidied(void **state)
{
    (void)state;
    struct made made;
    make_token(MADE, NULL, "{\"ttl\":\"1h\"}", &made);
    assert_int_equal(test_vault_rows(vault, TABLE_LEASE_PATH), 1);
    wants(202, "POST", "sys/leases/tidy", NULL, NULL, "Tidy operation successfully started");
    (void)test_vault_tidy(vault);
    assert_int_equal(test_vault_rows(vault, TABLE_LEASE_PATH), 1);
    wants(204, "PUT", "sys/leases/revoke", NULL, named(made.id), NULL);
    (void)test_vault_tidy(vault);
    assert_int_equal(test_vault_rows(vault, TABLE_LEASE_PATH), 1);
    wants(202, "POST", "sys/leases/tidy", NULL, NULL, NULL);
    (void)test_vault_tidy(vault);
    assert_int_equal(test_vault_rows(vault, TABLE_LEASE_PATH), 0);
    assert_int_equal(test_vault_rows(vault, TABLE_JOB), 0);
}

static void made_while_it_tidies(void **state)
{
    (void)state;
    static const struct visit visits[] = {{"POST", MADE, NULL, "{\"ttl\":\"1h\"}", 200}, {NULL}};
    struct made made;
    make_token(MADE, NULL, "{\"ttl\":\"1h\"}", &made);
    wants(204, "PUT", "sys/leases/revoke", NULL, named(made.id), NULL);
    (void)test_vault_tidy(vault);
    meanwhile(vault, visits, tidies);
    wants(202, "POST", "sys/leases/tidy", NULL, NULL, NULL);
    (void)test_vault_tidy(vault);
    assert_true(meanwhile_over());
    wants(200, "LIST", "sys/leases/lookup/auth/token", NULL, NULL, "\"keys\":[\"create/\"]");
    assert_int_equal(test_vault_rows(vault, TABLE_JOB), 0);
}

static void never_none(void **state)
{
    (void)state;
    wants(403, "PUT", "sys/leases/revoke", "hvs.x", "{\"lease_id\":\"a\"}", NULL);
    wants(400, "PUT", "sys/leases/revoke", NULL, "{}", "lease_id must be specified");
    wants(400, "PUT", "sys/leases/lookup", NULL, "{}", "lease_id must be specified");
    wants(204, "PUT", "sys/leases/revoke", NULL, "{\"lease_id\":\"database/creds/r/x\"}", NULL);
    wants(400, "PUT", "sys/leases/revoke", NULL, "{\"lease_id\":\"a\",\"sync\":\"maybe\"}", "field \\\"sync\\\"");
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, make, end)
    const struct CMUnitTest tests[] = {
        CASE(looked_up),       CASE(the_id_says_nothing), CASE(not_renewed_here), CASE(revoked),
        CASE(by_itself),       CASE(without_a_lease),     CASE(revoked_alone),    CASE(listed_and_counted),
        CASE(revoke_prefix), CASE(revoke_prefix_of_an_id),   CASE(many),                CASE(many_expire), CASE(holds_up_no_key_share), CASE(a_long_list),      CASE(tidied),
        CASE(made_while_it_tidies), CASE(never_none),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("leases", tests, NULL, NULL);
}
