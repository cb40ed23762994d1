/* Roles of tokens: which policies they give, what they bound, and what nobody gets through one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/asking.h"

/* Rows leave out what they do not need. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define TEXT 256u

static char maker[TEXT]; /* may make tokens with any role, and has the policies default, maker, own */

static int make_maker(void **state)
{
    (void)make(state);
    wants(204, NULL, "PUT", "sys/policies/acl/maker", NULL,
          "{\"policy\":\"path \\\"auth/token/create/*\\\" { capabilities = [\\\"update\\\"] }\"}");
    wants(200, NULL, "POST", "auth/token/create", NULL, "{\"policies\":[\"maker\",\"own\"]}");
    test_vault_text(vault, "auth.client_token", maker, TEXT);
    return 0;
}

/* ---- policies ---- */

static const struct row {
    const char *name, *role, *asks;
    unsigned status;
    const char *says;
} rows[] = {
    {"all that are allowed, where none are named", "{\"allowed_policies\":\"p,q\"}", "{}", 200,
     "\"token_policies\":[\"default\",\"p\",\"q\"]"},
    {"an empty name", "{\"allowed_policies\":\"p,q\"}", "{\"policies\":[\"\"]}", 200,
     "\"token_policies\":[\"default\"]"},
    {"one of them", "{\"allowed_policies\":\"p,q\"}", "{\"policies\":[\"q\"]}", 200,
     "\"token_policies\":[\"default\",\"q\"]"},
    {"in any letters", "{\"allowed_policies\":\"P\"}", "{\"policies\":[\" p\"]}", 200,
     "\"token_policies\":[\"default\",\"p\"]"},
    {"another one", "{\"allowed_policies\":\"p\"}", "{\"policies\":[\"q\"]}", 400,
     "must be subset of the role's allowed policies"},
    {"its own maker's", "{\"allowed_policies\":\"p\"}", "{\"policies\":[\"own\"]}", 400, "must be subset"},
    {"a pattern", "{\"allowed_policies_glob\":\"team-*\"}", "{\"policies\":[\"team-a\"]}", 200,
     "\"token_policies\":[\"default\",\"team-a\"]"},
    {"beside a pattern", "{\"allowed_policies_glob\":\"team-*\"}", "{\"policies\":[\"tea\"]}", 400,
     "must be subset"},
    {"a pattern open at the front", "{\"allowed_policies_glob\":\"*-ro\"}", "{\"policies\":[\"x-ro\"]}", 200, NULL},
    {"a pattern open at both ends", "{\"allowed_policies_glob\":\"*mid*\"}", "{\"policies\":[\"amidst\"]}", 200, NULL},
    {"no default", "{\"allowed_policies\":\"p\"}", "{\"no_default_policy\":true}", 200,
     "\"token_policies\":[\"p\"]"},
    {"no default in the role", "{\"allowed_policies\":\"p\",\"token_no_default_policy\":true}", "{}", 200,
     "\"token_policies\":[\"p\"]"},
    {"default is not allowed", "{\"allowed_policies\":\"p\",\"disallowed_policies\":\"default\"}", "{}", 200,
     "\"token_policies\":[\"p\"]"},
    {"without bounds: within the maker's", "{}", "{\"policies\":[\"own\"]}", 200,
     "\"token_policies\":[\"default\",\"own\"]"},
    {"without bounds: the maker's", "{}", "{}", 200, "\"token_policies\":[\"default\",\"maker\",\"own\"]"},
    {"without bounds: an empty name", "{}", "{\"policies\":[\" \"]}", 200,
     "\"token_policies\":[\"default\"]"},
    {"without bounds: beyond the maker's", "{}", "{\"policies\":[\"p\"]}", 400,
     "child policies must be subset of parent"},
    {"one that is not allowed", "{\"disallowed_policies\":\"q\"}", "{\"policies\":[\"own\",\"q\"]}", 400,
     "token policy \\\"q\\\" is disallowed by this role"},
    {"one by a pattern", "{\"disallowed_policies_glob\":\"o*\"}", "{}", 400, "\\\"own\\\" is disallowed"},
    {"root by a pattern", "{\"allowed_policies_glob\":\"*\"}", "{\"policies\":[\"root\"]}", 400,
     "root tokens may not be created"},
    {"root where it is not forbidden", "{\"disallowed_policies\":\"q\"}", "{\"policies\":[\"ROOT \"]}", 400, NULL},
};

static void gives(void **state)
{
    const struct row *row = *state;
    void *made = NULL;
    assert_int_equal(make_maker(&made), 0);
    wants(204, NULL, "POST", "auth/token/roles/r", NULL, row->role);
    wants(row->status, row->says, "POST", "auth/token/create/r", maker, row->asks);
    (void)end(&made);
}

/* ---- what it bounds ---- */

static void bounds(void **state)
{
    (void)state;
    char token[TEXT];
    wants(204, NULL, "POST", "auth/token/roles/R", NULL,
          "{\"orphan\":true,\"renewable\":false,\"path_suffix\":\"ci\",\"token_num_uses\":5,"
          "\"token_explicit_max_ttl\":\"1h\",\"token_bound_cidrs\":\"192.0.2.0/24\"}");
    wants(200, "\"lease_duration\":3600,\"renewable\":false", "POST", "auth/token/create/R", maker,
          "{\"ttl\":\"5h\",\"num_uses\":9}");
    assert_true(test_vault_said(vault, "\"orphan\":true,\"mfa_requirement\":null,\"num_uses\":5"));
    test_vault_text(vault, "auth.accessor", token, TEXT);
    char body[2 * TEXT];
    (void)snprintf(body, sizeof body, "{\"accessor\":\"%s\"}", token);
    wants(200, "\"path\":\"auth/token/create/r/ci\"", "POST", "auth/token/lookup-accessor", NULL, body);
    assert_true(test_vault_said(vault, "\"role\":\"r\""));
    assert_true(test_vault_said(vault, "\"bound_cidrs\":[\"192.0.2.0/24\"]"));
    wants(204, NULL, "POST", "auth/token/roles/p", NULL, "{\"period\":\"10m\"}");
    wants(200, "\"lease_duration\":600,\"renewable\":true", "POST", "auth/token/create/p", maker, "{}");
    wants(400, "root or sudo privileges required to create periodic token", "POST", "auth/token/create/p",
          maker, "{\"period\":\"1m\"}");
    wants(400, "unknown role none", "POST", "auth/token/create/none", maker, "{}");
}

/* A child's addresses lie within its maker's. */
/* What is not done is not taken. */
static void an_alias_of_ones_own(void **state)
{
    (void)state;
    wants(204, NULL, "POST", "auth/token/roles/r", NULL, "{\"allowed_entity_aliases\":\"svc\"}");
    wants(400, "'entity_alias' is not offered", "POST", "auth/token/create/r", NULL, "{\"entity_alias\":\"svc\"}");
    wants(400, "'entity_alias' is not offered", "POST", "auth/token/create", NULL, "{\"entity_alias\":\"svc\"}");
    wants(200, NULL, "POST", "auth/token/create/r", NULL, "{\"entity_alias\":\"\"}");
}

static void addresses_are_no_way_out(void **state)
{
    (void)state;
    char bound[TEXT];
    wants(204, NULL, "POST", "auth/token/roles/inner", NULL,
          "{\"allowed_policies\":\"maker\",\"token_bound_cidrs\":\"192.0.2.0/24\"}");
    wants(204, NULL, "POST", "auth/token/roles/outer", NULL,
          "{\"allowed_policies\":\"maker\",\"token_bound_cidrs\":\"0.0.0.0/0\"}");
    wants(204, NULL, "POST", "auth/token/roles/none", NULL, "{\"allowed_policies\":\"maker\"}");
    wants(200, NULL, "POST", "auth/token/create/inner", maker, "{}");
    test_vault_text(vault, "auth.client_token", bound, TEXT);
    static const struct {
        const char *path;
        unsigned status;
    } tries[] = {{"/v1/auth/token/create/inner", 200},
                 {"/v1/auth/token/create/outer", 400},
                 {"/v1/auth/token/create/none", 200}};
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        const struct test_request request = {.method = kt_str("POST"),
                                             .target = kt_str(tries[i].path),
                                             .token = kt_str(bound),
                                             .body = kt_str("{}"),
                                             .address = "192.0.2.7"};
        assert_int_equal(test_vault_ask(vault, &request), tries[i].status);
        if (tries[i].status == 400)
            continue;
        char child[TEXT], body[2 * TEXT];
        test_vault_text(vault, "auth.accessor", child, TEXT);
        (void)snprintf(body, sizeof body, "{\"accessor\":\"%s\"}", child);
        wants(200, "\"bound_cidrs\":[\"192.0.2.0/24\"]", "POST", "auth/token/lookup-accessor", NULL, body);
    }
}

/* ---- roles ---- */

static void roles_are_kept(void **state)
{
    (void)state;
    wants(404, NULL, "LIST", "auth/token/roles", NULL, NULL);
    wants(404, NULL, "GET", "auth/token/roles/r", NULL, NULL);
    wants(204, NULL, "DELETE", "auth/token/roles/r", NULL, NULL);
    wants(204, NULL, "POST", "auth/token/roles/r", NULL, "{\"allowed_policies\":\"b,A\",\"bound_cidrs\":\"::1\"}");
    wants(200,
          "\"data\":{\"allowed_policies\":[\"a\",\"b\"],\"disallowed_policies\":[],"
          "\"allowed_policies_glob\":[],\"disallowed_policies_glob\":[],\"allowed_entity_aliases\":[],"
          "\"explicit_max_ttl\":0,\"name\":\"r\",\"orphan\":false,\"path_suffix\":\"\",\"period\":0,"
          "\"renewable\":true,\"token_bound_cidrs\":[\"::1\"],\"bound_cidrs\":[\"::1\"],"
          "\"token_explicit_max_ttl\":0,\"token_no_default_policy\":false,\"token_period\":0,"
          "\"token_type\":\"default-service\"}",
          "GET", "auth/token/roles/r", NULL, NULL);
    wants(204, NULL, "POST", "auth/token/roles/r", NULL, "{\"orphan\":true}");
    wants(200, "\"allowed_policies\":[\"a\",\"b\"]", "GET", "auth/token/roles/R", NULL, NULL);
    wants(200, "{\"keys\":[\"r\"]}", "LIST", "auth/token/roles", NULL, NULL);
    wants(400, "no role gives a root token", "POST", "auth/token/roles/x", NULL, "{\"allowed_policies\":\" ROOT\"}");
    wants(400, "path_suffix must be a word", "POST", "auth/token/roles/x", NULL, "{\"path_suffix\":\"a/b\"}");
    wants(400, "invalid 'token_type' value", "POST", "auth/token/roles/x", NULL, "{\"token_type\":\"batch\"}");
    wants(404, NULL, "GET", "auth/token/roles/x", NULL, NULL);
    wants(204, NULL, "DELETE", "auth/token/roles/r", NULL, NULL);
    wants(400, "unknown role r", "POST", "auth/token/create/r", maker, "{}");
}

int main(void)
{
    enum { ROWS = sizeof rows / sizeof rows[0] };
    struct CMUnitTest tests[ROWS + 4] = {0};
    for (size_t i = 0; i < ROWS; i++) {
        tests[i].name = rows[i].name;
        tests[i].test_func = gives;
        tests[i].initial_state = (void *)(uintptr_t)&rows[i];
    }
    tests[ROWS] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(bounds, make_maker, end);
    tests[ROWS + 1] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(addresses_are_no_way_out, make_maker, end);
    tests[ROWS + 2] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(roles_are_kept, make_maker, end);
    tests[ROWS + 3] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(an_alias_of_ones_own, make_maker, end);
    return cmocka_run_group_tests_name("token_role", tests, NULL, NULL);
}
