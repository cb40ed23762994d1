/* Wrapped answers: any answer under a token that is good for one use, in the commit of the request that
 * it answers; and the token, good for nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/log.h"
#include "tests/support/meanwhile.h"
#include "tests/support/one_vault.h"

/* Rows leave out what they do not need. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define TEXT    256u
#define NO_SUCH "wrapping token is not valid or does not exist"
#define LOOKUP  "sys/wrapping/lookup"
#define UNWRAP  "sys/wrapping/unwrap"
#define REWRAP  "sys/wrapping/rewrap"

/* ---- asking ---- */

/* token NULL: root's, "": none. wrap NULL: no header. */
static unsigned ask(const char *method, const char *path, const char *token, const char *body,
                    const char *wrap)
{
    char target[1024];
    (void)snprintf(target, sizeof target, "/v1/%s", path);
    char *query = strchr(target, '?');
    if (query != NULL)
        *query++ = '\0';
    const struct test_request request = {.method = kt_str(method),
                                         .target = kt_str(target),
                                         .query = kt_str(query),
                                         .token = kt_str(token == NULL ? vault->root : token),
                                         .body = kt_str(body),
                                         .wrap_ttl = kt_str(wrap)};
    return test_vault_ask(vault, &request);
}

static void wants(unsigned status, const char *method, const char *path, const char *token,
                  const char *body, const char *wrap)
{
    unsigned got = ask(method, path, token, body, wrap);
    if (got != status)
        fail_msg("%s %s: expected %u, got %u: %s", method, path, status, got, vault->body);
}

static void says(const char *text)
{
    if (!test_vault_said(vault, text))
        fail_msg("expected '%s' in %s", text, vault->body);
}

static void says_not(const char *text)
{
    if (test_vault_said(vault, text))
        fail_msg("expected no '%s' in %s", text, vault->body);
}

static void named(char out[512], const char *token)
{
    (void)snprintf(out, 512, "{\"token\":\"%s\"}", token);
}

/* The last answer's wrapping token. */
static void taken(char out[TEXT])
{
    test_vault_text(vault, "wrap_info.token", out, TEXT);
}

static void wrap_a_secret(const char *ttl, char out[TEXT])
{
    wants(200, "POST", "secret/data/a", NULL, "{\"data\":{\"k\":\"precious\"}}", NULL);
    wants(200, "GET", "secret/data/a", NULL, NULL, ttl);
    taken(out);
}

/* ---- what is answered ---- */

static void any_answer(void **state)
{
    (void)state;
    char token[TEXT], id[64];
    wrap_a_secret("5m", token);
    says("{\"request_id\":\"\",\"lease_id\":\"\",\"renewable\":false,\"lease_duration\":0,\"data\":null,"
         "\"wrap_info\":{\"token\":\"hvs.");
    says("\"ttl\":300,\"creation_time\":\"2027-");
    says("\"creation_path\":\"secret/data/a\"},\"warnings\":null,\"auth\":null");
    says_not("precious");
    says_not("wrapped_accessor");
    (void)snprintf(id, sizeof id, "{\"request_id\":\"%s\"", vault->id);
    for (int i = 0; i < 2; i++) { /* which it is not used up by */
        char body[512];
        named(body, token);
        wants(200, "POST", LOOKUP, "", body, NULL);
        says("\"creation_path\":\"secret/data/a\",\"creation_time\":\"2027-");
        says("\"creation_ttl\":300");
        wants(200, "GET", LOOKUP, token, NULL, NULL);
        wants(200, "PUT", LOOKUP, token, "null", NULL);
    }
    wants(200, "PUT", UNWRAP, token, NULL, NULL);
    says(id);
    says("\"data\":{\"data\":{\"k\":\"precious\"},\"metadata\":{");
    says("\"wrap_info\":null");
    wants(400, "PUT", UNWRAP, token, NULL, NULL);
    says(NO_SUCH);
    assert_int_equal(test_vault_rows(vault, TABLE_WRAPPED), 0);
}

static void by_somebody_else(void **state)
{
    (void)state;
    char token[TEXT], other[TEXT], body[512];
    wrap_a_secret("1h", token);
    named(body, token);
    assert_int_equal(ask("POST", "auth/token/create", NULL,
                         "{\"policies\":[\"default\"],\"num_uses\":3}", NULL), 200);
    test_vault_text(vault, "auth.client_token", other, TEXT);
    wants(200, "POST", UNWRAP, other, body, NULL);
    says("precious");
    wants(400, "POST", UNWRAP, other, body, NULL); /* and uses nothing of one's own */
    wants(200, "GET", "auth/token/lookup-self", other, NULL, NULL);
    says("\"num_uses\":1,");
    assert_int_equal(test_vault_rows(vault, TABLE_WRAPPED), 0);
}

/* As the client's token and in the body, which some clients send: it is one use all the same. */
static void named_twice(void **state)
{
    (void)state;
    char token[TEXT], body[512];
    wrap_a_secret("1h", token);
    named(body, token);
    wants(200, "POST", UNWRAP, token, body, NULL);
    says("precious");
    wants(400, "POST", UNWRAP, token, body, NULL);
}

static void a_token_inside(void **state)
{
    (void)state;
    char token[TEXT], accessor[TEXT], inner[TEXT], body[512];
    wants(200, "POST", "auth/token/create", NULL, "{\"policies\":[\"default\"],\"ttl\":\"1h\"}", "60");
    test_vault_text(vault, "wrap_info.wrapped_accessor", accessor, TEXT);
    taken(token);
    says_not("client_token");
    (void)snprintf(body, sizeof body, "{\"accessor\":\"%s\"}", accessor);
    wants(200, "POST", "auth/token/lookup-accessor", NULL, body, NULL); /* it lives already */
    wants(204, "POST", "auth/token/revoke-accessor", NULL, body, NULL);
    wants(200, "POST", UNWRAP, token, NULL, NULL);
    test_vault_text(vault, "auth.client_token", inner, TEXT);
    wants(403, "GET", "auth/token/lookup-self", inner, NULL, NULL);
    says("invalid token");
}

static void with_the_write(void **state)
{
    (void)state;
    char token[TEXT];
    wants(200, "POST", "secret/data/w", NULL, "{\"data\":{\"k\":1}}", "60");
    taken(token);
    wants(200, "GET", "secret/data/w", NULL, NULL, NULL);
    wants(200, "PUT", UNWRAP, token, NULL, NULL);
    says("\"data\":{\"created_time\":");
    says("\"version\":1");
    /* A conflict makes it anew: two who create the same, one of them wrapped. */
    const struct visit first[] = {
        {"POST", "secret/data/c", NULL, "{\"data\":{\"k\":1}}", 200}, {NULL}};
    meanwhile(vault, first, NULL);
    wants(200, "POST", "secret/data/c", NULL, "{\"data\":{\"k\":2}}", "60");
    assert_true(meanwhile_over());
    taken(token);
    assert_int_equal(test_vault_rows(vault, TABLE_WRAPPED), 1);
    wants(200, "PUT", UNWRAP, token, NULL, NULL);
    says("\"version\":2");
}

static void what_is_sent(void **state)
{
    (void)state;
    static const struct {
        const char *sent, *back;
    } bodies[] = {
        {"{\"a\":1}", "\"data\":{\"a\":1},"},
        {"{ \"b\" : 12345678901234567890, \"a\":[1.10,{\"c\":null}] }",
         "\"data\":{\"b\":12345678901234567890,\"a\":[1.10,{\"c\":null}]},"},
        {"{}", "\"data\":{},"},
        {"null", "\"data\":{},"},
        {NULL, "\"data\":{},"},
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        char token[TEXT];
        wants(200, "POST", "sys/wrapping/wrap", NULL, bodies[i].sent, "90s");
        says("\"data\":null,");
        says("\"ttl\":90,");
        says("\"creation_path\":\"sys/wrapping/wrap\"");
        taken(token);
        wants(200, "POST", UNWRAP, token, NULL, NULL);
        says(bodies[i].back);
        wants(400, "POST", "sys/wrapping/wrap", NULL, bodies[i].sent, i % 2 == 0 ? NULL : "0");
        says("endpoint requires response wrapping to be used");
    }
}

/* A status of its own comes back with the answer. */
static void another_status(void **state)
{
    (void)state;
    char token[TEXT];
    wants(200, "POST", "secret/data/d", NULL, "{\"data\":{\"k\":1}}", NULL);
    wants(204, "DELETE", "secret/data/d", NULL, NULL, NULL);
    wants(200, "GET", "secret/data/d", NULL, NULL, "60");
    taken(token);
    wants(404, "POST", UNWRAP, token, NULL, NULL);
    says("\"data\":{\"data\":null,\"metadata\"");
    wants(200, "GET", "sys/audit-log/export?from=0&to=2", NULL, NULL, "60");
    taken(token);
    wants(200, "POST", UNWRAP, token, NULL, NULL);
    assert_ptr_equal(strstr(vault->body, "{\"time\":"), vault->body);
}

/* Nothing is made where nothing is said, and for nobody. */
static void nothing_to_wrap(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path, *token, *body;
        unsigned status;
    } asked[] = {
        {"GET", "secret/data/none", NULL, NULL, 404},
        {"GET", "secret/data/none?version=9", NULL, NULL, 404},
        {"LIST", "secret/metadata/none", NULL, NULL, 404},
        {"GET", "nope/x", NULL, NULL, 404},
        {"GET", "secret/data/a", "", NULL, 403},
        {"GET", "secret/data/a", "hvs.unknown", NULL, 403},
        {"POST", "secret/data/a", NULL, "{\"x\":1}", 400},
        {"PUT", "sys/policies/acl/p", NULL, "{\"policy\":\"path \\\"a\\\" {}\"}", 204},
        {"DELETE", "sys/policies/acl/p", NULL, NULL, 204},
        {"GET", "sys/health", NULL, NULL, 200},
        {"GET", "sys/seal-status", "", NULL, 200},
        {"GET", "sys/internal/ui/mounts", "", NULL, 200},
        {"GET", "secret/data/a?help=1", NULL, NULL, 200},
        {"POST", LOOKUP, "", "{\"token\":\"x\"}", 400},
    };
    unsigned tokens = test_vault_rows(vault, TABLE_TOKEN);
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        wants(asked[i].status, asked[i].method, asked[i].path, asked[i].token, asked[i].body, "60");
        says_not("\"wrap_info\":{");
    }
    assert_int_equal(test_vault_rows(vault, TABLE_TOKEN), tokens);
    assert_int_equal(test_vault_rows(vault, TABLE_WRAPPED), 0);
}

/* What is answered after the last commit cannot be wrapped, and is not given away bare. */
static void made_too_late(void **state)
{
    (void)state;
    wants(400, "POST", "sys/audit-log/checkpoint", NULL, NULL, "60");
    says("cannot be wrapped");
    wants(200, "POST", "sys/audit-log/checkpoint", NULL, NULL, "0");
    wants(204, "PUT", "sys/seal", NULL, NULL, "60"); /* which says nothing */
}

static void sizes(void **state)
{
    (void)state;
    const size_t lens[] = {500000, 700000};
    for (size_t i = 0; i < 2; i++) {
        char *body = malloc(lens[i] + 64);
        char token[TEXT];
        assert_non_null(body);
        size_t len = (size_t)snprintf(body, 64, "{\"k\":\"");
        memset(body + len, 'x', lens[i]);
        memcpy(body + len + lens[i], "\"}", 3);
        unsigned status = ask("POST", "sys/wrapping/wrap", NULL, body, "60");
        if (i == 0) {
            if (status != 200)
                fail_msg("%zu bytes: %u %s", lens[i], status, vault->body);
            taken(token);
            wants(200, "POST", UNWRAP, token, NULL, NULL);
            assert_true(strlen(vault->body) > lens[0]);
        } else {
            assert_int_equal(status, 400);
            says("the answer is larger than 640 KiB: it cannot be wrapped");
        }
        free(body);
    }
    assert_int_equal(test_vault_rows(vault, TABLE_WRAPPED), 0);
}

/* ---- for how long ---- */

static const struct ttl_row {
    const char *name, *header;
    int ttl_s; /* 0: not wrapped, -1: refused */
} ttl_rows[] = {
    {"seconds", "300", 300},
    {"a duration", "1h30m", 5400},
    {"days", "30d", 2592000},
    {"longer than any token lives", "10000h", 2764800},
    {"part of a second", "250ms", 1},
    {"parts of seconds", "1.5s", 2},
    {"nothing", "0", 0},
    {"nothing at all", "0s", 0},
    {"empty", "", 0},
    {"negative", "-5", -1},
    {"no duration", "hunter2", -1},
    {"two of them", "5m 6m", -1},
    {"longer than can be said", "999999999h", -1},
};

static void the_header(void **state)
{
    const struct ttl_row *row = *state;
    vault = test_vault_new(true);
    unsigned status = ask("GET", "auth/token/lookup-self", NULL, NULL, row->header);
    char wanted[64];
    (void)snprintf(wanted, sizeof wanted, "\"ttl\":%d,\"creation_time\"", row->ttl_s);
    if (row->ttl_s < 0) {
        assert_int_equal(status, 400);
        says("error parsing X-Vault-Wrap-TTL header: ");
        says_not("hunter2");
    } else if (row->ttl_s == 0) {
        assert_int_equal(status, 200);
        says("\"wrap_info\":null");
    } else {
        assert_int_equal(status, 200);
        says(wanted);
    }
    test_vault_free(vault);
}

static void when_its_time_has_come(void **state)
{
    (void)state;
    char token[TEXT], body[512];
    wrap_a_secret("5m", token);
    named(body, token);
    vault->now_ms += 299999;
    wants(200, "POST", LOOKUP, "", body, NULL);
    vault->now_ms += 1;
    const char *const paths[] = {LOOKUP, UNWRAP, REWRAP};
    for (size_t i = 0; i < 3; i++) {
        wants(400, "POST", paths[i], NULL, body, NULL);
        says(NO_SUCH);
        wants(400, "POST", paths[i], token, NULL, NULL);
    }
    wants(403, "GET", "cubbyhole/response", token, NULL, NULL);
    /* The wall clock set back gives it no more time; but for a millisecond (pass_expiry_ms()). */
    vault->now_ms += 1;
    vault->wall_ahead_ms -= 60000;
    wants(400, "POST", UNWRAP, NULL, body, NULL);
    vault->wall_ahead_ms += 60000;
    assert_int_equal(test_vault_rows(vault, TABLE_WRAPPED), 1);
    (void)test_vault_tidy(vault);
    assert_int_equal(test_vault_rows(vault, TABLE_WRAPPED), 0);
}

/* vaultd was started while the wall clock was an hour ahead: what is made since that was set right lives as long as
 * it says, and is shown so. */
static void made_after_the_clock_was_set_back(void **state)
{
    (void)state;
    char token[TEXT], body[512];
    vault->wall_ahead_ms -= 3600000;
    wrap_a_secret("5m", token);
    named(body, token);
    vault->now_ms += 299000;
    wants(200, "POST", LOOKUP, "", body, NULL);
    wants(200, "POST", UNWRAP, NULL, body, NULL);
    wrap_a_secret("5m", token);
    named(body, token);
    vault->now_ms += 300002;
    wants(400, "POST", UNWRAP, NULL, body, NULL);
    says(NO_SUCH);
    wants(200, "POST", "auth/token/create", NULL, "{\"ttl\":\"10m\",\"explicit_max_ttl\":\"20m\"}", NULL);
    test_vault_text(vault, "auth.client_token", token, sizeof token);
    vault->now_ms += 60000;
    wants(200, "GET", "auth/token/lookup-self", token, NULL, NULL);
    says("\"ttl\":540");
    says("\"expire_time\":\"2027-01-15T07:19:59");
    wants(200, "POST", "auth/token/renew-self", token, "{}", NULL);
    says("\"lease_duration\":600");
    vault->now_ms += 599000;
    wants(200, "GET", "auth/token/lookup-self", token, NULL, NULL);
    vault->now_ms += 1002;
    wants(403, "GET", "auth/token/lookup-self", token, NULL, NULL);
}

static void policies_want_it(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        unsigned status;
    } asked[] = {{NULL, 403}, {"0", 403}, {"30s", 403}, {"59.9s", 200}, {"1m", 200},
                 {"5m", 200}, {"10m", 200}, {"601", 403}};
    char token[TEXT];
    test_vault_token(vault, "wrapped",
                     "path \"secret/data/a\" { capabilities = [\"read\"] min_wrapping_ttl = \"1m\" "
                     "max_wrapping_ttl = \"10m\" }", token, sizeof token);
    wants(200, "POST", "secret/data/a", NULL, "{\"data\":{\"k\":\"precious\"}}", NULL);
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        wants(asked[i].status, "GET", "secret/data/a", token, NULL, asked[i].header);
        says_not("precious");
    }
}

/* ---- tokens that are none ---- */

struct bad {
    const char *name;
    void (*make)(char out[TEXT]);
};

static void nonsense(char out[TEXT])
{
    (void)snprintf(out, TEXT, "nonsense");
}

static void an_ordinary_one(char out[TEXT])
{
    wants(200, "POST", "auth/token/create", NULL, "{\"policies\":[\"default\"],\"num_uses\":5}", NULL);
    test_vault_text(vault, "auth.client_token", out, TEXT);
}

static void the_root_token(char out[TEXT])
{
    (void)snprintf(out, TEXT, "%s", vault->root);
}

static void one_used(char out[TEXT])
{
    wrap_a_secret("5m", out);
    wants(200, "POST", UNWRAP, out, NULL, NULL);
}

static void one_cut_off(char out[TEXT])
{
    wrap_a_secret("5m", out);
    out[strlen(out) - 1] = '\0';
}

static void one_revoked(char out[TEXT])
{
    char body[512], accessor[TEXT];
    wrap_a_secret("5m", out);
    test_vault_text(vault, "wrap_info.accessor", accessor, sizeof accessor);
    (void)snprintf(body, sizeof body, "{\"accessor\":\"%s\"}", accessor);
    wants(204, "POST", "auth/token/revoke-accessor", NULL, body, NULL);
}

static void one_orphaned(char out[TEXT])
{
    char body[512];
    wrap_a_secret("5m", out);
    named(body, out);
    wants(204, "POST", "auth/token/revoke-orphan", NULL, body, NULL);
}

static void one_of_another_vault(char out[TEXT])
{
    struct test_vault *own = vault;
    vault = test_vault_new(true);
    wrap_a_secret("5m", out);
    test_vault_free(vault);
    vault = own;
}

static const struct bad bads[] = {
    {"nonsense", nonsense},       {"an ordinary token", an_ordinary_one},
    {"the root token", the_root_token}, {"one that was used", one_used},
    {"one that was cut off", one_cut_off}, {"one that was revoked", one_revoked},
    {"one that was revoked alone", one_orphaned}, {"one of another vault", one_of_another_vault},
};

static void is_refused(void **state)
{
    const struct bad *bad = *state;
    const char *const paths[] = {LOOKUP, UNWRAP, REWRAP};
    char token[TEXT], body[512];
    vault = test_vault_new(true);
    bad->make(token);
    named(body, token);
    for (size_t i = 0; i < 3; i++) {
        wants(400, "POST", paths[i], NULL, body, NULL);
        says("{\"errors\":[\"" NO_SUCH "\",");
        says_not(token);
        wants(400, "POST", paths[i], "", body, NULL); /* whoever asks */
        says(NO_SUCH);
        wants(400, "PUT", paths[i], token, NULL, NULL);
        says(NO_SUCH);
    }
    wants(400, "GET", LOOKUP, token, NULL, NULL);
    assert_int_equal(test_vault_rows(vault, TABLE_WRAPPED), bad->make == one_cut_off ? 1 : 0);
    test_vault_free(vault);
}

static void bodies_that_are_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *body, *says;
    } bodies[] = {
        {"{\"token\":[\"hunter2\"]}", "\\\"token\\\""}, {"{\"token\":{}}", "\\\"token\\\""},
        {"[1]", "failed to decode JSON input"}, {"{\"token\":", "failed to decode JSON input"},
        {"{}", NO_SUCH},  {"{\"token\":\"\"}", NO_SUCH}, {"{\"token\":null}", NO_SUCH},
        {"{\"token\":5}", NO_SUCH}, {NULL, NO_SUCH},
    };
    const char *const paths[] = {LOOKUP, UNWRAP, REWRAP};
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < sizeof bodies / sizeof bodies[0]; k++) {
            wants(400, "POST", paths[i], NULL, bodies[k].body, NULL);
            says(bodies[k].says);
            says_not("hunter2");
        }
}

/* ---- what the token may do ---- */

static void good_for_nothing_else(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path, *body;
    } asked[] = {
        {"GET", "secret/data/a", NULL},
        {"GET", "auth/token/lookup-self", NULL},
        {"POST", "auth/token/create", "{}"},
        {"POST", "auth/token/renew-self", "{}"},
        {"POST", "auth/token/revoke-self", "{}"},
        {"POST", "cubbyhole/response", "{\"response\":\"mine\"}"},
        {"POST", "cubbyhole/other", "{\"k\":1}"},
        {"LIST", "cubbyhole/", NULL},
        {"DELETE", "cubbyhole/response", NULL},
        {"GET", "cubbyhole/other", NULL},
        {"POST", "sys/wrapping/wrap", "{}"},
        {"POST", "sys/capabilities-self", "{\"paths\":[\"a\"]}"},
        {"GET", "sys/mounts", NULL},
    };
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        char token[TEXT];
        wrap_a_secret("5m", token);
        wants(403, asked[i].method, asked[i].path, token, asked[i].body, NULL);
        says("permission denied");
        says_not("invalid token");
        wants(400, "POST", UNWRAP, token, NULL, NULL); /* that was its use */
        assert_int_equal(test_vault_rows(vault, TABLE_WRAPPED), 0);
    }
    (void)test_vault_tidy(vault);
    assert_int_equal(test_vault_rows(vault, TABLE_JOB), 0);
}

static void rights_are_asked_after_it(void **state)
{
    (void)state;
    const char *const paths[] = {UNWRAP, REWRAP};
    char token[TEXT], able[TEXT], body[512];
    wants(204, "PUT", "sys/policies/acl/none", NULL, "{\"policy\":\"# nothing\"}", NULL);
    wants(200, "POST", "auth/token/create", NULL,
          "{\"policies\":[\"none\"],\"no_default_policy\":true}", NULL);
    test_vault_text(vault, "auth.client_token", able, TEXT);
    wrap_a_secret("5m", token);
    named(body, token);
    for (size_t i = 0; i < 2; i++) {
        wants(403, "POST", paths[i], able, body, NULL);
        says("permission denied");
        wants(403, "POST", paths[i], "", body, NULL);
        wants(403, "POST", paths[i], "hvs.unknown", body, NULL);
        wants(400, "POST", paths[i], able, "{\"token\":\"unknown\"}", NULL);
    }
    wants(403, "POST", "sys/wrapping/wrap", able, "{}", "60");
    wants(200, "POST", UNWRAP, NULL, body, NULL); /* none of that used it */
    says("precious");
}

static void the_old_way(void **state)
{
    (void)state;
    char token[TEXT];
    wrap_a_secret("5m", token);
    wants(200, "GET", "cubbyhole/response", token, NULL, NULL);
    says("\"data\":{\"response\":\"{\\\"request_id\\\":\\\"");
    says("\\\"data\\\":{\\\"k\\\":\\\"precious\\\"}");
    says("deprecated");
    wants(403, "GET", "cubbyhole/response", token, NULL, NULL);
    /* For everybody else it is a path like others. */
    wants(204, "POST", "cubbyhole/response", NULL, "{\"k\":\"own\"}", NULL);
    wants(200, "GET", "cubbyhole/response", NULL, NULL, NULL);
    says("\"data\":{\"k\":\"own\"}");
}

static void wrapped_anew(void **state)
{
    (void)state;
    char old[TEXT], token[TEXT], body[512], accessor[TEXT], again[TEXT];
    wants(200, "POST", "auth/token/create", NULL, "{\"policies\":[\"default\"]}", "5m");
    taken(old);
    test_vault_text(vault, "wrap_info.wrapped_accessor", accessor, TEXT);
    named(body, old);
    vault->now_ms += 299000;
    wants(200, "POST", REWRAP, NULL, body, NULL);
    says("\"ttl\":300,");
    says("\"creation_path\":\"auth/token/create\"");
    test_vault_text(vault, "wrap_info.wrapped_accessor", again, TEXT);
    assert_string_equal(again, accessor);
    taken(token);
    wants(400, "POST", UNWRAP, NULL, body, NULL);
    assert_int_equal(test_vault_rows(vault, TABLE_WRAPPED), 1);
    vault->now_ms += 2000;
    named(body, token);
    wants(200, "POST", LOOKUP, "", body, NULL);
    says("\"creation_path\":\"auth/token/create\"");
    /* Never for longer than the first time; for less, where that is asked for. */
    wants(200, "POST", REWRAP, NULL, body, "1h");
    says("\"ttl\":300,");
    taken(token);
    named(body, token);
    wants(200, "POST", REWRAP, NULL, body, "1m");
    says("\"ttl\":60,");
    taken(token);
    wants(200, "POST", UNWRAP, token, NULL, NULL);
    says("\"client_token\":\"hvs.");
}

/* An answer that was unwrapped can be wrapped. */
static void within_another(void **state)
{
    (void)state;
    char token[TEXT], outer[TEXT];
    wrap_a_secret("5m", token);
    wants(200, "POST", UNWRAP, token, NULL, "1m");
    says("\"creation_path\":\"sys/wrapping/unwrap\"");
    says_not("precious");
    taken(outer);
    wants(400, "POST", UNWRAP, token, NULL, NULL);
    wants(200, "POST", UNWRAP, outer, NULL, NULL);
    says("precious");
}

/* It is nobody's child: who made it may go. */
static void outlives_its_maker(void **state)
{
    (void)state;
    char maker[TEXT], token[TEXT], body[512];
    wants(200, "POST", "auth/token/create", NULL, "{\"policies\":[\"default\"]}", NULL);
    test_vault_text(vault, "auth.client_token", maker, TEXT);
    wants(200, "POST", "sys/wrapping/wrap", maker, "{\"a\":1}", "5m");
    taken(token);
    wants(204, "POST", "auth/token/revoke-self", maker, NULL, NULL);
    (void)test_vault_tidy(vault);
    named(body, token);
    wants(200, "POST", "auth/token/lookup", NULL, body, NULL);
    says("\"num_uses\":1,\"orphan\":true,\"path\":\"sys/wrapping/wrap\",\"policies\":"
         "[\"response-wrapping\"],\"renewable\":false");
    says("\"explicit_max_ttl\":300");
    wants(200, "POST", UNWRAP, token, NULL, NULL);
}

static void its_policy(void **state)
{
    (void)state;
    wants(200, "GET", "sys/policies/acl/response-wrapping", NULL, NULL, NULL);
    says("path \\\"cubbyhole/response\\\"");
    wants(200, "LIST", "sys/policies/acl", NULL, NULL, NULL);
    says_not("response-wrapping");
    wants(400, "PUT", "sys/policies/acl/response-wrapping", NULL,
          "{\"policy\":\"path \\\"*\\\" { capabilities = [\\\"read\\\"] }\"}", NULL);
    wants(400, "DELETE", "sys/policies/acl/response-wrapping", NULL, NULL, NULL);
    wants(400, "POST", "auth/token/create", NULL, "{\"policies\":[\"Response-Wrapping\"]}", NULL);
    says("cannot assign policy");
}

/* ---- two at once ---- */

/* Whatever others do before the commit, one of them has the answer. */
static void one_gets_it(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second;
        bool first_as_itself, second_as_itself;
    } pairs[] = {
        {UNWRAP, UNWRAP, false, false}, {UNWRAP, UNWRAP, true, false}, {UNWRAP, UNWRAP, false, true},
        {UNWRAP, UNWRAP, true, true},   {UNWRAP, REWRAP, false, false}, {REWRAP, UNWRAP, false, true},
        {REWRAP, REWRAP, false, false}, {REWRAP, REWRAP, true, true},   {REWRAP, UNWRAP, true, false},
        {UNWRAP, REWRAP, true, true},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char token[TEXT], body[512];
        wrap_a_secret("5m", token);
        named(body, token);
        const struct visit visits[] = {
            {"POST", pairs[i].second, pairs[i].second_as_itself ? token : NULL,
             pairs[i].second_as_itself ? NULL : body, 200},
            {NULL}};
        meanwhile(vault, visits, NULL);
        wants(400, "POST", pairs[i].first, pairs[i].first_as_itself ? token : NULL,
              pairs[i].first_as_itself ? NULL : body, NULL);
        assert_true(meanwhile_over());
        says(NO_SUCH);
        says_not("precious");
    }
}

static void revoked_meanwhile(void **state)
{
    (void)state;
    char token[TEXT], accessor[TEXT], body[512];
    wrap_a_secret("5m", token);
    test_vault_text(vault, "wrap_info.accessor", accessor, TEXT);
    (void)snprintf(body, sizeof body, "{\"accessor\":\"%s\"}", accessor);
    const struct visit visits[] = {{"POST", "auth/token/revoke-accessor", NULL, body, 204}, {NULL}};
    meanwhile(vault, visits, NULL);
    wants(400, "POST", UNWRAP, token, NULL, NULL);
    assert_true(meanwhile_over());
    says_not("precious");
}

/* ---- what is kept, and what is recorded ---- */

/* The vault's own keys do not open it. */
static void only_with_its_token(void **state)
{
    (void)state;
    const unsigned char prefix[1] = {TABLE_WRAPPED};
    char token[TEXT];
    wrap_a_secret("5m", token);
    struct snapshot *snapshot = NULL;
    struct cursor *cursor = NULL;
    struct entry entry;
    struct barrier *barrier = vault->core->barrier;
    assert_int_equal(snapshot_begin(vault->store, &snapshot), STORE_OK);
    assert_int_equal(cursor_open(snapshot, kt_bytes(prefix, 1), kt_bytes(NULL, 0), &cursor), STORE_OK);
    assert_int_equal(cursor_next(cursor, &entry), STORE_OK);
    kt_autobuf struct kt_buf plain;
    kt_buf_init(&plain, 65536);
    assert_true(barrier_enter(barrier));
    assert_int_equal(barrier_open_entry(barrier, entry.key, entry.value, &plain, NULL), KT_CORRUPT);
    barrier_leave(barrier);
    assert_null(memmem(entry.value.at, entry.value.len, "precious", 8));
    cursor_close(cursor);
    snapshot_end(snapshot);
}

static void hash_of(const char *text, char out[TEXT])
{
    char body[512];
    (void)snprintf(body, sizeof body, "{\"input\":\"%s\"}", text);
    wants(200, "POST", "sys/audit-hash/file", NULL, body, NULL);
    test_vault_text(vault, "data.hash", out, TEXT);
}

/* The record that says this, of those with this text; aborts the test if there is none. */
static void recorded(const char *part, const char *text)
{
    wants(200, "GET", "sys/audit-log/export?from=0", NULL, NULL, NULL);
    char *rest = vault->body, *line;
    while ((line = strsep(&rest, "\n")) != NULL)
        if (strstr(line, part) != NULL && strstr(line, text) != NULL)
            return;
    fail_msg("no record has '%s' and '%s'", part, text);
}

static void what_is_recorded(void **state)
{
    (void)state;
    char token[TEXT], accessor[TEXT], inside[TEXT], id[37], hash[3][TEXT], says_of[1024], inner[TEXT];
    wants(200, "POST", "auth/token/create", NULL, "{\"policies\":[\"default\"]}", "5m");
    memcpy(id, vault->id, sizeof id);
    taken(token);
    test_vault_text(vault, "wrap_info.accessor", accessor, TEXT);
    test_vault_text(vault, "wrap_info.wrapped_accessor", inside, TEXT);
    hash_of(token, hash[0]);
    hash_of(accessor, hash[1]);
    hash_of(inside, hash[2]);
    recorded(id, "\"type\":\"request\"");
    recorded(id, "\"wrap_ttl\":300");
    (void)snprintf(says_of, sizeof says_of,
                   "\"response\":{\"wrap_info\":{\"ttl\":300,\"token\":\"%s\",\"accessor\":\"%s\","
                   "\"creation_time\":\"2027-", hash[0], hash[1]);
    recorded(id, says_of);
    (void)snprintf(says_of, sizeof says_of,
                   "\"creation_path\":\"auth/token/create\",\"wrapped_accessor\":\"%s\"}}", hash[2]);
    recorded(id, says_of);
    /* Wrapped anew: where it came from first. */
    char body[512];
    named(body, token);
    wants(200, "POST", REWRAP, NULL, body, NULL);
    memcpy(id, vault->id, sizeof id);
    taken(token);
    recorded(id, "\"creation_path\":\"auth/token/create\",\"wrapped_accessor\":\"hmac-sha256:");
    /* Unwrapped: the token that was handed out with it. */
    wants(200, "POST", UNWRAP, token, NULL, NULL);
    memcpy(id, vault->id, sizeof id);
    test_vault_text(vault, "auth.client_token", inner, TEXT);
    hash_of(inner, hash[0]);
    (void)snprintf(says_of, sizeof says_of, "\"response\":{\"auth\":{\"client_token\":\"%s\"}}", hash[0]);
    recorded(id, says_of);
    /* Who comes too late is on record, under the hash of what he brought. */
    named(body, token);
    wants(400, "POST", UNWRAP, NULL, body, NULL);
    memcpy(id, vault->id, sizeof id);
    hash_of(token, hash[0]);
    recorded(id, hash[0]);
    recorded(id, "\"display_name\":\"root\"");
    recorded(id, "\"error\":\"" NO_SUCH "\",\"status\":400");
    wants(200, "GET", "sys/audit-log/export?from=0", NULL, NULL, NULL);
    says_not(token);
    says_not(inner);
    says_not(accessor);
    says_not(inside);
}

static void no_value_in_a_record(void **state)
{
    (void)state;
    char token[TEXT];
    wrap_a_secret("5m", token);
    wants(200, "POST", UNWRAP, token, NULL, NULL);
    wants(200, "POST", "sys/wrapping/wrap", NULL, "{\"k\":\"precious\",\"l\":[\"precious\"]}", "5m");
    taken(token);
    wants(200, "GET", "cubbyhole/response", token, NULL, NULL);
    wants(200, "GET", "sys/audit-log/export?from=0", NULL, NULL, NULL);
    says("\"path\":\"sys/wrapping/unwrap\"");
    says_not("precious");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest each[] = {
#define EACH(f) cmocka_unit_test_setup_teardown(f, make, end)
        EACH(any_answer), EACH(by_somebody_else), EACH(named_twice), EACH(a_token_inside),
        EACH(with_the_write), EACH(what_is_sent), EACH(another_status), EACH(nothing_to_wrap),
        EACH(made_too_late), EACH(sizes), EACH(when_its_time_has_come), EACH(made_after_the_clock_was_set_back), EACH(policies_want_it),
        EACH(bodies_that_are_wrong), EACH(good_for_nothing_else), EACH(rights_are_asked_after_it),
        EACH(the_old_way), EACH(wrapped_anew), EACH(within_another), EACH(outlives_its_maker),
        EACH(its_policy), EACH(one_gets_it), EACH(revoked_meanwhile), EACH(only_with_its_token),
        EACH(what_is_recorded), EACH(no_value_in_a_record),
    };
    enum { N = sizeof each / sizeof each[0], TTLS = sizeof ttl_rows / sizeof ttl_rows[0],
           BADS = sizeof bads / sizeof bads[0] };
    struct CMUnitTest tests[N + TTLS + BADS];
    memset(tests, 0, sizeof tests);
    memcpy(tests, each, sizeof each);
    for (size_t i = 0; i < TTLS; i++) {
        tests[N + i].name = ttl_rows[i].name;
        tests[N + i].test_func = the_header;
        tests[N + i].initial_state = (void *)(uintptr_t)&ttl_rows[i];
    }
    for (size_t i = 0; i < BADS; i++) {
        tests[N + TTLS + i].name = bads[i].name;
        tests[N + TTLS + i].test_func = is_refused;
        tests[N + TTLS + i].initial_state = (void *)(uintptr_t)&bads[i];
    }
    kt_log_set_level((enum kt_log_level)0);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("wrapping", tests, NULL, NULL);
}
