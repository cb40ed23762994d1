/* Machines that log in: roles, role ids, secret ids, and what each is good for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/asking.h"
#include "tests/support/meanwhile.h"
#include "vaultd/auth/lockout.h"
#include "vaultd/core/jobs.h"

/* Rows leave out what they do not need. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define TEXT 256u
#define LOGIN "auth/approle/login"
#define REFUSED "invalid role or secret ID"


/* ---- asking ---- */

#define ROLE(rest) "auth/approle/role/ci" rest

static void enable(void)
{
    wants(204, NULL, "POST", "sys/auth/approle", NULL, "{\"type\":\"approle\"}");
}

static void role(const char *name, const char *body, char role_id[TEXT])
{
    char path[TEXT];
    (void)snprintf(path, sizeof path, "auth/approle/role/%s", name);
    wants(204, NULL, "POST", path, NULL, body);
    (void)snprintf(path, sizeof path, "auth/approle/role/%s/role-id", name);
    wants(200, NULL, "GET", path, NULL, NULL);
    test_vault_text(vault, "data.role_id", role_id, TEXT);
}

struct secret {
    char text[TEXT], accessor[TEXT];
};

static void secret_id(const char *name, const char *body, struct secret *ret)
{
    char path[TEXT];
    (void)snprintf(path, sizeof path, "auth/approle/role/%s/secret-id", name);
    wants(200, NULL, "POST", path, NULL, body);
    test_vault_text(vault, "data.secret_id", ret->text, TEXT);
    test_vault_text(vault, "data.secret_id_accessor", ret->accessor, TEXT);
}

static unsigned log_in_from(const char *address, const char *role_id, const char *secret)
{
    char body[3 * TEXT];
    (void)snprintf(body, sizeof body, "{\"role_id\":\"%s\",\"secret_id\":\"%s\"}", role_id, secret);
    return ask_from(address, "POST", LOGIN, "", body);
}

static void logs_in(unsigned status, const char *says, const char *role_id, const char *secret)
{
    unsigned got = log_in_from("192.0.2.1", role_id, secret);
    if (got != status || (says != NULL && !test_vault_said(vault, says)))
        fail_msg("login: wanted %u and %s, got %u: %s", status, says == NULL ? "any text" : says, got,
                 vault->body);
}

/* {"FIELD":"VALUE"} to a path. */
static void about(unsigned status, const char *says, const char *path, const char *field,
                  const char *value)
{
    char body[2 * TEXT];
    (void)snprintf(body, sizeof body, "{\"%s\":\"%s\"}", field, value);
    wants(status, says, "POST", path, NULL, body);
}

static unsigned rows(enum table table)
{
    const unsigned char prefix[1] = {(unsigned char)table};
    struct snapshot *snapshot = NULL;
    struct cursor *cursor = NULL;
    struct entry entry;
    unsigned n = 0;
    assert_int_equal(snapshot_begin(vault->store, &snapshot), STORE_OK);
    assert_int_equal(cursor_open(snapshot, kt_bytes(prefix, 1), kt_bytes(NULL, 0), &cursor), STORE_OK);
    while (cursor_next(cursor, &entry) == STORE_OK)
        n++;
    cursor_close(cursor);
    snapshot_end(snapshot);
    return n;
}

static void holds(unsigned secrets, unsigned accessors, unsigned due)
{
    assert_int_equal(rows(TABLE_SECRET_ID), secrets);
    assert_int_equal(rows(TABLE_SECRET_OF), accessors);
    assert_int_equal(rows(TABLE_SECRET_DUE), due);
}

static void tidy(void)
{
    bool more = true;
    while (more)
        assert_int_equal(jobs_run(vault->core, &more, NULL), KT_OK);
}

static void later(int64_t seconds)
{
    vault->now_ms += seconds * 1000;
}

/* ---- logging in ---- */

static void what_a_login_answers(void **state)
{
    (void)state;
    char role_id[TEXT], token[TEXT];
    struct secret secret;
    enable();
    role("CI", "{\"token_policies\":\"b,a\",\"token_ttl\":\"20m\",\"token_num_uses\":3}", role_id);
    secret_id("ci", "{\"metadata\":\"{\\\"host\\\":\\\"h1\\\",\\\"role_name\\\":\\\"other\\\"}\"}", &secret);
    logs_in(200, "\"policies\":[\"a\",\"b\",\"default\"]", role_id, secret.text);
    logs_in(200, "\"metadata\":{\"role_name\":\"ci\",\"host\":\"h1\"},\"lease_duration\":1200", role_id, secret.text);
    logs_in(200, "\"orphan\":true,\"mfa_requirement\":null,\"num_uses\":3", role_id, secret.text);
    test_vault_text(vault, "auth.client_token", token, TEXT);
    wants(200, "\"display_name\":\"approle\"", "GET", "auth/token/lookup-self", token, NULL);
    wants(200, "\"path\":\"auth/approle/login\"", "GET", "auth/token/lookup-self", token, NULL);
}

static void what_does_not_fit(void **state)
{
    (void)state;
    char ci[TEXT], cd[TEXT];
    struct secret of_ci, of_cd;
    enable();
    logs_in(400, REFUSED, "before there is a role", "x");
    role("ci", "{}", ci);
    role("cd", "{}", cd);
    secret_id("ci", NULL, &of_ci);
    secret_id("cd", NULL, &of_cd);
    logs_in(200, NULL, ci, of_ci.text);
    logs_in(400, REFUSED, ci, of_cd.text);
    logs_in(400, REFUSED, cd, of_ci.text);
    logs_in(400, REFUSED, ci, of_ci.accessor);
    logs_in(400, REFUSED, ci, "");
    logs_in(400, REFUSED, "nobody", of_ci.text);
    logs_in(400, REFUSED, "CI", of_ci.text);
    wants(400, "missing role_id", "POST", LOGIN, "", "{}");
    wants(400, "missing role_id", "POST", LOGIN, "", "{\"role_id\":\"\",\"secret_id\":\"x\"}");
}

static void uses_are_counted(void **state)
{
    (void)state;
    char role_id[TEXT];
    struct secret once, twice, ever;
    enable();
    role("ci", "{}", role_id);
    secret_id("ci", "{\"num_uses\":1}", &once);
    secret_id("ci", "{\"num_uses\":2}", &twice);
    secret_id("ci", "{}", &ever);
    logs_in(200, NULL, role_id, once.text);
    logs_in(400, REFUSED, role_id, once.text);
    logs_in(200, NULL, role_id, twice.text);
    about(200, "\"secret_id_num_uses\":1", ROLE("/secret-id/lookup"), "secret_id", twice.text);
    logs_in(200, NULL, role_id, twice.text);
    logs_in(400, REFUSED, role_id, twice.text);
    for (unsigned i = 0; i < 4; i++)
        logs_in(200, NULL, role_id, ever.text);
    holds(1, 1, 0);
}

/* Of two who use the last use at once, one gets in. */
static void the_last_use_is_one(void **state)
{
    (void)state;
    char role_id[TEXT], body[3 * TEXT];
    struct secret once;
    enable();
    role("ci", "{}", role_id);
    secret_id("ci", "{\"num_uses\":1}", &once);
    (void)snprintf(body, sizeof body, "{\"role_id\":\"%s\",\"secret_id\":\"%s\"}", role_id, once.text);
    const struct visit visits[] = {{"POST", LOGIN, NULL, body, 200}, {NULL}};
    meanwhile(vault, visits, NULL);
    logs_in(400, REFUSED, role_id, once.text);
    assert_true(meanwhile_over());
}

static void uses_at_once_are_two(void **state)
{
    (void)state;
    char role_id[TEXT], body[3 * TEXT];
    struct secret thrice;
    enable();
    role("ci", "{}", role_id);
    secret_id("ci", "{\"num_uses\":3}", &thrice);
    (void)snprintf(body, sizeof body, "{\"role_id\":\"%s\",\"secret_id\":\"%s\"}", role_id, thrice.text);
    const struct visit visits[] = {{"POST", LOGIN, NULL, body, 200}, {NULL}};
    meanwhile(vault, visits, NULL);
    logs_in(200, NULL, role_id, thrice.text);
    assert_true(meanwhile_over());
    about(200, "\"secret_id_num_uses\":1", ROLE("/secret-id/lookup"), "secret_id", thrice.text);
}

static void many_end_at_once(void **state)
{
    (void)state;
    char role_id[TEXT];
    struct secret brief;
    enable();
    role("ci", "{}", role_id);
    for (unsigned i = 0; i < 120; i++)
        secret_id("ci", "{\"ttl\":\"10s\"}", &brief);
    holds(120, 120, 120);
    later(10);
    tidy();
    holds(0, 0, 0);
}

static void destroyed_meanwhile(void **state)
{
    (void)state;
    char role_id[TEXT], body[2 * TEXT];
    struct secret ever;
    enable();
    role("ci", "{}", role_id);
    secret_id("ci", "{}", &ever);
    (void)snprintf(body, sizeof body, "{\"secret_id\":\"%s\"}", ever.text);
    const struct visit visits[] = {{"POST", ROLE("/secret-id/destroy"), NULL, body, 204}, {NULL}};
    meanwhile(vault, visits, NULL);
    logs_in(400, REFUSED, role_id, ever.text);
    assert_true(meanwhile_over());
}

/* Over is over at once, whether or not somebody has tidied. */
static void secret_ids_end(void **state)
{
    (void)state;
    char role_id[TEXT];
    struct secret brief, lasting;
    enable();
    role("ci", "{}", role_id);
    secret_id("ci", "{\"ttl\":\"10s\"}", &brief);
    secret_id("ci", "{\"ttl\":\"1h\"}", &lasting);
    later(9);
    logs_in(200, NULL, role_id, brief.text);
    about(200, "\"secret_id_ttl\":10", ROLE("/secret-id/lookup"), "secret_id", brief.text);
    later(1);
    logs_in(400, REFUSED, role_id, brief.text);
    about(204, NULL, ROLE("/secret-id/lookup"), "secret_id", brief.text);
    about(404, "failed to find accessor entry", ROLE("/secret-id-accessor/lookup"), "secret_id_accessor",
          brief.accessor);
    wants(200, lasting.accessor, "LIST", ROLE("/secret-id"), NULL, NULL);
    assert_false(test_vault_said(vault, brief.accessor));
    tidy();
    holds(1, 1, 1);
    logs_in(200, NULL, role_id, lasting.text);
}

static void addresses_bind(void **state)
{
    (void)state;
    char role_id[TEXT], token[TEXT];
    struct secret any, own;
    enable();
    role("ci", "{\"secret_id_bound_cidrs\":\"10.0.0.0/8\",\"token_bound_cidrs\":\"10.0.0.0/8\"}", role_id);
    secret_id("ci", "{}", &any);
    wants(400, "must lie in the role's", "POST", ROLE("/secret-id"), NULL, "{\"cidr_list\":\"11.0.0.0/8\"}");
    wants(400, "must lie in the role's", "POST", ROLE("/secret-id"), NULL,
          "{\"token_bound_cidrs\":\"0.0.0.0/0\"}");
    secret_id("ci", "{\"cidr_list\":\"10.1.0.0/16\",\"token_bound_cidrs\":\"10.2.0.0/16,10.1.0.0/16\"}", &own);
    assert_int_equal(log_in_from("192.0.2.1", role_id, any.text), 400);
    assert_true(test_vault_said(vault, REFUSED));
    assert_int_equal(log_in_from(NULL, role_id, any.text), 400);
    assert_int_equal(log_in_from("10.9.0.1", role_id, any.text), 200);
    assert_int_equal(log_in_from("10.9.0.1", role_id, own.text), 400);
    assert_int_equal(log_in_from("10.1.0.1", role_id, own.text), 200);
    test_vault_text(vault, "auth.client_token", token, TEXT);
    assert_int_equal(ask_from("10.2.0.1", "GET", "auth/token/lookup-self", token, NULL), 200);
    assert_int_equal(ask_from("10.9.0.1", "GET", "auth/token/lookup-self", token, NULL), 403);
}

/* A secret id keeps its own bounds; the role's of today hold beside them. */
static void a_role_that_was_tightened(void **state)
{
    (void)state;
    char role_id[TEXT];
    struct secret own;
    enable();
    role("ci", "{\"token_bound_cidrs\":\"10.0.0.0/8\"}", role_id);
    secret_id("ci", "{\"token_bound_cidrs\":\"10.2.0.0/16\"}", &own);
    assert_int_equal(log_in_from("10.2.0.1", role_id, own.text), 200);
    assert_int_equal(log_in_from("10.1.0.1", role_id, own.text), 400);
    wants(204, NULL, "POST", ROLE(""), NULL, "{\"token_bound_cidrs\":\"10.2.0.1/32\"}");
    assert_int_equal(log_in_from("10.2.0.2", role_id, own.text), 400);
    assert_int_equal(log_in_from("10.2.0.1", role_id, own.text), 400); /* its tokens would go beyond */
    assert_true(test_vault_said(vault, REFUSED));
    wants(204, NULL, "POST", ROLE(""), NULL, "{\"token_bound_cidrs\":\"10.2.0.0/15\"}");
    assert_int_equal(log_in_from("10.2.0.1", role_id, own.text), 200);
}

static void without_secret_ids(void **state)
{
    (void)state;
    char role_id[TEXT];
    enable();
    wants(400, "at least one constraint should be enabled", "POST", ROLE(""), NULL,
          "{\"bind_secret_id\":false}");
    role("ci", "{\"bind_secret_id\":false,\"bound_cidr_list\":\"192.0.2.0/24\"}", role_id);
    logs_in(200, NULL, role_id, "");
    assert_int_equal(log_in_from("10.0.0.1", role_id, ""), 400);
    wants(400, "bind_secret_id is not set on the role", "POST", ROLE("/secret-id"), NULL, "{}");
    wants(400, "at least one constraint should be enabled", "DELETE", ROLE("/secret-id-bound-cidrs"), NULL,
          NULL);
}

static void locked_out(void **state)
{
    (void)state;
    char role_id[TEXT];
    struct secret secret;
    enable();
    role("ci", "{}", role_id);
    secret_id("ci", "{}", &secret);
    for (unsigned i = 0; i < LOCKOUT_FAILURES; i++) {
        logs_in(400, REFUSED, role_id, "wrong");
        logs_in(400, REFUSED, "nobody", "wrong");
    }
    logs_in(403, "permission denied", role_id, secret.text);
    logs_in(403, "permission denied", "nobody", secret.text);
    later(LOCKOUT_MS / 1000);
    logs_in(200, NULL, role_id, secret.text);
    for (unsigned i = 0; i + 1 < LOCKOUT_FAILURES; i++)
        logs_in(400, REFUSED, role_id, "wrong");
    logs_in(200, NULL, role_id, secret.text);
    logs_in(400, REFUSED, role_id, "wrong");
}

/* What is right of one who is disabled is told, and counted, as what is wrong. */
static void who_is_disabled(void **state)
{
    (void)state;
    char role_id[TEXT], entity[TEXT], path[2 * TEXT];
    struct secret secret;
    enable();
    role("ci", "{}", role_id);
    secret_id("ci", "{}", &secret);
    logs_in(200, NULL, role_id, secret.text);
    test_vault_text(vault, "auth.entity_id", entity, sizeof entity);
    (void)snprintf(path, sizeof path, "identity/entity/id/%s", entity);
    wants(204, NULL, "POST", path, NULL, "{\"disabled\":true}");
    for (unsigned i = 0; i < LOCKOUT_FAILURES; i++)
        logs_in(400, "[\"" REFUSED "\"]", role_id, i % 2 == 0 ? secret.text : "wrong");
    logs_in(403, "permission denied", role_id, secret.text);
    wants(204, NULL, "POST", path, NULL, "{\"disabled\":false}");
    later(LOCKOUT_MS / 1000 + 1);
    logs_in(200, NULL, role_id, secret.text);
}

static void renewals_ask_the_role(void **state)
{
    (void)state;
    char role_id[TEXT], token[TEXT];
    struct secret secret;
    enable();
    role("ci", "{\"token_ttl\":\"1h\",\"policies\":\"a\"}", role_id);
    secret_id("ci", "{}", &secret);
    logs_in(200, NULL, role_id, secret.text);
    test_vault_text(vault, "auth.client_token", token, TEXT);
    about(204, NULL, ROLE("/token-ttl"), "token_ttl", "10m");
    wants(200, "\"lease_duration\":600", "POST", "auth/token/renew-self", token, "{}");
    about(204, NULL, ROLE("/policies"), "token_policies", "a,b");
    wants(500, "policies have changed", "POST", "auth/token/renew-self", token, "{}");
    wants(204, NULL, "DELETE", ROLE(""), NULL, NULL);
    wants(204, NULL, "POST", "auth/token/renew-self", token, "{}");
}

/* ---- roles ---- */

static void roles_are_kept(void **state)
{
    (void)state;
    char first[TEXT], second[TEXT];
    enable();
    wants(404, NULL, "LIST", "auth/approle/role", NULL, NULL);
    wants(404, NULL, "GET", ROLE(""), NULL, NULL);
    wants(404, NULL, "GET", ROLE("/role-id"), NULL, NULL);
    wants(404, "role \\\"ci\\\" does not exist", "POST", ROLE("/secret-id"), NULL, "{}");
    wants(400, "role \\\"ci\\\" does not exist", "LIST", ROLE("/secret-id"), NULL, NULL);
    wants(204, NULL, "DELETE", ROLE(""), NULL, NULL);
    role("ci", "{\"secret_id_num_uses\":2,\"secret_id_ttl\":\"1h\"}", first);
    role("cd", "{}", second);
    wants(200, "{\"keys\":[\"cd\",\"ci\"]}", "LIST", "auth/approle/role", NULL, NULL);
    wants(200,
          "\"data\":{\"bind_secret_id\":true,\"local_secret_ids\":false,\"secret_id_bound_cidrs\":null,"
          "\"secret_id_num_uses\":2,\"secret_id_ttl\":3600,\"token_ttl\":0",
          "GET", ROLE(""), NULL, NULL);
    assert_false(test_vault_said(vault, "role_id"));
    wants(204, NULL, "POST", ROLE(""), NULL, "{\"token_ttl\":\"5m\"}");
    wants(200, "\"secret_id_num_uses\":2,\"secret_id_ttl\":3600,\"token_ttl\":300", "GET", ROLE(""), NULL,
          NULL);
    wants(200, first, "GET", ROLE("/role-id"), NULL, NULL);
    wants(400, "local_secret_ids can only be set", "POST", ROLE(""), NULL, "{\"local_secret_ids\":true}");
    wants(400, "no login gives a root token", "POST", ROLE(""), NULL, "{\"token_policies\":\" Root\"}");
}

static void role_ids_are_unique(void **state)
{
    (void)state;
    char ci[TEXT], cd[TEXT];
    struct secret secret;
    enable();
    role("ci", "{\"role_id\":\"my-own\"}", ci);
    assert_string_equal(ci, "my-own");
    role("cd", "{}", cd);
    secret_id("ci", "{}", &secret);
    about(400, "role_id already in use", "auth/approle/role/cd/role-id", "role_id", "my-own");
    wants(400, "role_id already in use", "POST", "auth/approle/role/new", NULL, "{\"role_id\":\"my-own\"}");
    wants(400, "missing role_id", "POST", ROLE("/role-id"), NULL, "{}");
    about(204, NULL, ROLE("/role-id"), "role_id", "another");
    logs_in(400, REFUSED, "my-own", secret.text);
    logs_in(200, NULL, "another", secret.text);
    about(204, NULL, "auth/approle/role/cd/role-id", "role_id", "my-own");
    logs_in(400, REFUSED, "my-own", secret.text);
    assert_int_equal(rows(TABLE_ROLE_ID), 3); /* and nobody's */
}

static void one_role_id_for_two_at_once(void **state)
{
    static const struct visit visits[] = {
        {"POST", "auth/approle/role/cd/role-id", NULL, "{\"role_id\":\"my-own\"}", 204, 0}, {0}};
    (void)state;
    char ci[TEXT], cd[TEXT];
    enable();
    role("ci", "{}", ci);
    role("cd", "{}", cd);
    meanwhile(vault, visits, NULL);
    about(400, "role_id already in use", ROLE("/role-id"), "role_id", "my-own");
    assert_true(meanwhile_over());
    assert_int_equal(rows(TABLE_ROLE_ID), 3); /* and nobody's */
}

/* Secret ids hang from the role, not from its name. */
static void a_new_role_of_an_old_name(void **state)
{
    (void)state;
    char role_id[TEXT];
    struct secret secret;
    enable();
    role("ci", "{\"role_id\":\"fixed\"}", role_id);
    secret_id("ci", "{\"ttl\":\"1h\"}", &secret);
    wants(204, NULL, "DELETE", ROLE(""), NULL, NULL);
    role("ci", "{\"role_id\":\"fixed\"}", role_id);
    logs_in(400, REFUSED, role_id, secret.text);
    about(404, NULL, ROLE("/secret-id-accessor/lookup"), "secret_id_accessor", secret.accessor);
    tidy();
    holds(0, 0, 1);
    later(3600);
    tidy();
    holds(0, 0, 0);
    assert_int_equal(rows(TABLE_JOB), 0);
}

static void a_way_that_is_gone(void **state)
{
    (void)state;
    char role_id[TEXT];
    struct secret secret;
    enable();
    role("ci", "{}", role_id);
    for (unsigned i = 0; i < 60; i++)
        secret_id("ci", "{}", &secret);
    logs_in(200, NULL, role_id, secret.text);
    wants(204, NULL, "DELETE", "sys/auth/approle", NULL, NULL);
    enable();
    logs_in(400, REFUSED, role_id, secret.text);
    tidy();
    holds(0, 0, 0);
    assert_int_equal(rows(TABLE_ROLE_ID), 0);
    assert_int_equal(rows(TABLE_NAMED), 0);
    assert_int_equal(rows(TABLE_JOB), 0);
}

static const struct single {
    const char *path, *body, *shows, *reset;
} singles[] = {
    {"policies", "{\"token_policies\":[\"b\",\"a\"]}", "\"data\":{\"token_policies\":[\"a\",\"b\"]}", "[]"},
    {"bound-cidr-list", "{\"bound_cidr_list\":\"10.0.0.0/8\"}", "{\"bound_cidr_list\":[\"10.0.0.0/8\"]}", "null"},
    {"secret-id-bound-cidrs", "{\"secret_id_bound_cidrs\":\"10.0.0.0/8\"}",
     "{\"secret_id_bound_cidrs\":[\"10.0.0.0/8\"]}", "null"},
    {"token-bound-cidrs", "{\"token_bound_cidrs\":\"10.0.0.0/8\"}",
     "{\"token_bound_cidrs\":[\"10.0.0.0/8\"]}", "[]"},
    {"secret-id-num-uses", "{\"secret_id_num_uses\":7}", "{\"secret_id_num_uses\":7}", "0"},
    {"secret-id-ttl", "{\"secret_id_ttl\":\"7m\"}", "{\"secret_id_ttl\":420}", "0"},
    {"period", "{\"token_period\":\"7m\"}", "{\"token_period\":420}", "0"},
    {"token-num-uses", "{\"token_num_uses\":7}", "{\"token_num_uses\":7}", "0"},
    {"token-ttl", "{\"token_ttl\":\"7m\"}", "{\"token_ttl\":420}", "0"},
    {"token-max-ttl", "{\"token_max_ttl\":\"7m\"}", "{\"token_max_ttl\":420}", "0"},
};

static void one_field_at_a_time(void **state)
{
    (void)state;
    char role_id[TEXT], path[TEXT];
    enable();
    role("ci", "{}", role_id);
    for (size_t i = 0; i < sizeof singles / sizeof singles[0]; i++) {
        (void)snprintf(path, sizeof path, "auth/approle/role/ci/%s", singles[i].path);
        wants(204, NULL, "POST", path, NULL, singles[i].body);
        wants(200, singles[i].shows, "GET", path, NULL, NULL);
        wants(204, NULL, "DELETE", path, NULL, NULL);
        wants(200, singles[i].reset, "GET", path, NULL, NULL);
        (void)snprintf(path, sizeof path, "auth/approle/role/none/%s", singles[i].path);
        wants(404, NULL, "GET", path, NULL, NULL);
        wants(404, "does not exist", "POST", path, NULL, singles[i].body);
    }
    wants(200, "{\"bind_secret_id\":true}", "GET", ROLE("/bind-secret-id"), NULL, NULL);
    wants(400, "at least one constraint", "POST", ROLE("/bind-secret-id"), NULL, "{\"bind_secret_id\":false}");
    wants(200, "{\"local_secret_ids\":false}", "GET", ROLE("/local-secret-ids"), NULL, NULL);
    wants(405, NULL, "POST", ROLE("/local-secret-ids"), NULL, "{\"local_secret_ids\":true}");
    wants(404, "unsupported path", "GET", ROLE("/nothing"), NULL, NULL);
    wants(202, "nothing to start", "POST", "auth/approle/tidy/secret-id", NULL, NULL);
}

/* ---- secret ids ---- */

static void secret_ids_are_shown(void **state)
{
    (void)state;
    char role_id[TEXT], of_cd[TEXT];
    struct secret secret, other;
    enable();
    role("ci", "{\"secret_id_ttl\":\"1h\",\"secret_id_num_uses\":9}", role_id);
    role("cd", "{}", of_cd);
    wants(404, NULL, "LIST", ROLE("/secret-id"), NULL, NULL);
    secret_id("ci", "{\"metadata\":\"a=1,b=x=y\",\"ttl\":\"30m\",\"num_uses\":5}", &secret);
    assert_true(test_vault_said(vault, "\"secret_id_num_uses\":5,\"secret_id_ttl\":1800"));
    secret_id("cd", "{}", &other);
    assert_true(test_vault_said(vault, "\"secret_id_num_uses\":0,\"secret_id_ttl\":0"));
    wants(200, secret.accessor, "LIST", ROLE("/secret-id"), NULL, NULL);
    about(200, "\"metadata\":{\"a\":\"1\",\"b\":\"x=y\"}", ROLE("/secret-id/lookup"), "secret_id", secret.text);
    about(200, "\"expiration_time\":\"0001-01-01T00:00:00Z\"", "auth/approle/role/cd/secret-id/lookup",
          "secret_id", other.text);
    about(200, secret.accessor, ROLE("/secret-id-accessor/lookup"), "secret_id_accessor", secret.accessor);
    assert_false(test_vault_said(vault, secret.text));
    about(204, NULL, ROLE("/secret-id/lookup"), "secret_id", other.text);
    wants(400, "missing secret_id", "POST", ROLE("/secret-id/lookup"), NULL, "{}");
    about(404, "failed to find accessor entry", ROLE("/secret-id-accessor/lookup"), "secret_id_accessor",
          other.accessor);
    about(204, NULL, ROLE("/secret-id/destroy"), "secret_id", other.text);
    about(404, NULL, ROLE("/secret-id-accessor/destroy"), "secret_id_accessor", other.accessor);
    about(204, NULL, ROLE("/secret-id-accessor/destroy"), "secret_id_accessor", secret.accessor);
    about(204, NULL, ROLE("/secret-id/lookup"), "secret_id", secret.text);
    logs_in(200, NULL, of_cd, other.text);
    holds(1, 1, 0);
}

static const struct bad_secret {
    const char *body, *says;
} bad_secrets[] = {
    {"{\"num_uses\":10}", "num_uses cannot be higher than the role's"},
    {"{\"num_uses\":0}", "num_uses cannot be higher than the role's"},
    {"{\"num_uses\":-1}", "num_uses cannot be negative"},
    {"{\"ttl\":\"2h\"}", "ttl cannot be longer than the role's"},
    {"{\"ttl\":0}", "ttl cannot be longer than the role's"},
    {"{\"metadata\":\"canary\"}", "failed to parse metadata"},
    {"{\"metadata\":\"{\\\"a\\\":1}\"}", "failed to parse metadata"},
    {"{\"metadata\":\"=canary\"}", "failed to parse metadata"},
    {"{\"metadata\":\"a=1,a=2\"}", "failed to parse metadata"},
    {"{\"metadata\":\"[]\"}", "failed to parse metadata"},
    {"{\"cidr_list\":\"canary\"}", "'cidr_list'"},
};

static void secret_ids_that_are_wrong(void **state)
{
    (void)state;
    char role_id[TEXT];
    enable();
    role("ci", "{\"secret_id_ttl\":\"1h\",\"secret_id_num_uses\":9}", role_id);
    for (size_t i = 0; i < sizeof bad_secrets / sizeof bad_secrets[0]; i++) {
        wants(400, bad_secrets[i].says, "POST", ROLE("/secret-id"), NULL, bad_secrets[i].body);
        assert_false(test_vault_said(vault, "canary"));
    }
    holds(0, 0, 0);
}

static void ones_own_secret_id(void **state)
{
    (void)state;
    char role_id[TEXT];
    enable();
    role("ci", "{}", role_id);
    wants(400, "missing secret_id", "POST", ROLE("/custom-secret-id"), NULL, "{}");
    about(200, "\"secret_id\":\"chosen\"", ROLE("/custom-secret-id"), "secret_id", "chosen");
    about(400, "registered already", ROLE("/custom-secret-id"), "secret_id", "chosen");
    logs_in(200, NULL, role_id, "chosen");
}

/* Two who choose the same: one of them has it, with what he said of it. */
static void ones_own_secret_id_twice_at_once(void **state)
{
    (void)state;
    char role_id[TEXT];
    enable();
    role("ci", "{}", role_id);
    const struct visit visits[] = {
        {"POST", ROLE("/custom-secret-id"), NULL, "{\"secret_id\":\"chosen\",\"ttl\":\"1h\"}", 200}, {NULL}};
    meanwhile(vault, visits, NULL);
    about(400, "registered already", ROLE("/custom-secret-id"), "secret_id", "chosen");
    assert_true(meanwhile_over());
    holds(1, 1, 1);
    about(200, "\"secret_id_ttl\":3600", ROLE("/secret-id/lookup"), "secret_id", "chosen");
}

int main(int argc, char **argv)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make, end)
    const struct CMUnitTest tests[] = {
        TEST(what_a_login_answers),
        TEST(what_does_not_fit),
        TEST(uses_are_counted),
        TEST(the_last_use_is_one),
        TEST(uses_at_once_are_two),
        TEST(many_end_at_once),
        TEST(destroyed_meanwhile),
        TEST(one_role_id_for_two_at_once),
        TEST(secret_ids_end),
        TEST(addresses_bind),
        TEST(a_role_that_was_tightened),
        TEST(without_secret_ids),
        TEST(locked_out),
        TEST(who_is_disabled),
        TEST(renewals_ask_the_role),
        TEST(roles_are_kept),
        TEST(role_ids_are_unique),
        TEST(a_new_role_of_an_old_name),
        TEST(a_way_that_is_gone),
        TEST(one_field_at_a_time),
        TEST(secret_ids_are_shown),
        TEST(secret_ids_that_are_wrong),
        TEST(ones_own_secret_id),
        TEST(ones_own_secret_id_twice_at_once),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("approle", tests, NULL, NULL);
}
