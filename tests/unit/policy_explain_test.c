/* sys/policies/explain: a row is a question and what of the answer matters. That it is the answer that
 * a request would get is asked too: each row's path is requested with a token of those policies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/support/vault.h"

static const struct {
    const char *name, *text;
} policies[] = {
    {"reader", "path \\\"secret/data/*\\\" { capabilities = [\\\"read\\\", \\\"update\\\"] }"},
    {"narrow", "path \\\"secret/data/x\\\" { capabilities = [\\\"list\\\"] } path \\\"secret/+/x\\\" { capabilities = [\\\"read\\\"] }"},
    {"denier", "path \\\"secret/data/*\\\" { capabilities = [\\\"deny\\\"] }"},
    {"lister", "path \\\"secret/metadata/*\\\" { capabilities = [\\\"list\\\"] } path \\\"secret/metadata/no\\\" { capabilities = [\\\"deny\\\"] }"},
    {"sealer", "path \\\"sys/seal\\\" { capabilities = [\\\"update\\\"] } path \\\"auth/token/accessors\\\" { capabilities = [\\\"list\\\", \\\"sudo\\\"] }"},
    {"namer", "path \\\"auth/token/roles/*\\\" { capabilities = [\\\"read\\\", \\\"update\\\"] } path \\\"auth/token/roles/Boss\\\" { capabilities = [\\\"deny\\\"] } path \\\"auth/token/roles/low\\\" { capabilities = [\\\"deny\\\"] }"},
    {"keeper", "path \\\"sys/policies/acl/*\\\" { capabilities = [\\\"read\\\"] } path \\\"sys/policies/acl/boss\\\" { capabilities = [\\\"list\\\"] }"},
    {"picky", "path \\\"secret/data/*\\\" { capabilities = [\\\"update\\\"] required_parameters = [\\\"options\\\"] }"},
};

#define RULE(pattern, caps) "{\"pattern\":\"" pattern "\",\"capabilities\":[" caps "],\"blocks\":["
#define OF(policy, caps) "{\"policy\":\"" policy "\",\"capabilities\":[" caps "]}"
#define READ "\"read\""
#define READ_UPDATE "\"read\",\"update\""

/* clang-format off */
static const struct row {
    const char *policies, *capability, *path;
    bool allowed;
    const char *says[3];
} rows[] = {
    {"reader", "read", "secret/data/a", true, {"\"pattern\":\"secret/data/*\",\"reason\":\"the deciding pattern grants it\""}},
    {"reader", "read", "/secret/data/a", true, {"\"path\":\"secret/data/a\""}},
    {"reader", "delete", "secret/data/a", false, {"\"reason\":\"the deciding pattern does not grant this capability\""}},
    {"reader", "read", "sys/rekey/init", true, {"\"asks\":\"nothing\",\"sudo\":false"}},
    {"reader", "update", "sys/rekey/init", false, {"\"asks\":\"a policy\",\"sudo\":true"}},
    {"reader", "update", "sys/generate-root/update", true, {"\"asks\":\"nothing\",\"sudo\":false"}},
    {"reader", "read", "sys/mounts", false, {"\"pattern\":null,\"reason\":\"no pattern matches\",\"matching\":[]"}},
    {"reader,denier", "read", "secret/data/a", false,
     {"\"reason\":\"the deciding pattern denies\"", RULE("secret/data/*", "\"deny\"") OF("reader", READ_UPDATE) "," OF("denier", "\"deny\"") "],\"restricts\":false}"}},
    /* the narrower one decides, and the others stand behind it in their order */
    {"reader,narrow", "read", "secret/data/x", false,
     {"\"pattern\":\"secret/data/x\"",
      "\"matching\":[" RULE("secret/data/x", "\"list\"") OF("narrow", "\"list\"") "],\"restricts\":false}," RULE("secret/data/*", READ_UPDATE) OF("reader", READ_UPDATE) "],\"restricts\":false}," RULE("secret/+/x", READ)}},
    {"narrow", "read", "secret/metadata/x", true, {"\"pattern\":\"secret/+/x\""}},
    {"lister", "list", "secret/metadata/a", true, {"\"path\":\"secret/metadata/a/\"", "\"pattern\":\"secret/metadata/*\""}},
    {"lister", "list", "secret/metadata/no/", false, {"\"pattern\":\"secret/metadata/no\"", "denies"}},
    {"sealer", "update", "sys/seal", false, {"does not grant sudo", "\"pattern\":\"seal\",\"asks\":\"a policy\",\"sudo\":true,\"capabilities\":[\"update\"]"}},
    {"sealer", "list", "auth/token/accessors", true, {"\"mount\":\"auth/token/\""}},
    {"picky", "update", "secret/data/a", false, {"does not allow these parameters", "\"restricts\":true"}},
    /* a name that counts in lower case: denied as it is typed, or as it counts */
    {"namer", "read", "auth/token/roles/any", true, {NULL}},
    {"namer", "read", "auth/token/roles/Any", true, {NULL}},
    {"namer", "read", "auth/token/roles/Boss", false, {"\"pattern\":\"auth/token/roles/Boss\"", "denies", "\"matching\":[{\"pattern\":\"auth/token/roles/Boss\""}},
    {"namer", "update", "auth/token/roles/Boss", false, {NULL}},
    {"namer", "read", "auth/token/roles/LOW", false, {"\"pattern\":\"auth/token/roles/low\"", "denies"}},
    {"keeper", "read", "sys/policies/acl/BOSS", false, {"\"pattern\":\"sys/policies/acl/boss\"", "does not grant this"}},
    {"keeper", "read", "sys/policies/acl/OTHER", true, {NULL}},
    {"reader", "read", "nowhere/x", false, {"\"route\":null"}},
    {"reader", "read", "sys/health", true, {"no policy is asked for it", "\"asks\":\"nothing\""}},
    {"reader,missing", "read", "secret/data/a", true, {"\"unknown_policies\":[\"missing\"]"}},
    {"missing", "read", "secret/data/a", false, {"\"unknown_policies\":[\"missing\"]"}},
    {"READER", "read", "secret/data/a", true, {NULL}},
    {"root", "delete", "anything", true, {"root may do everything"}},
};
/* clang-format on */

static void call(struct test_vault *vault, unsigned status, const char *method, const char *path,
                 const char *body)
{
    if (test_vault_call(vault, method, path, vault->root, body) != status)
        fail_msg("%s %s %s: %u %s", method, path, body, vault->status, vault->body);
}

static struct test_vault *filled(void)
{
    struct test_vault *vault = test_vault_new(true);
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
        char path[64], body[1024];
        (void)snprintf(path, sizeof path, "sys/policies/acl/%s", policies[i].name);
        (void)snprintf(body, sizeof body, "{\"policy\":\"%s\"}", policies[i].text);
        if (test_vault_call(vault, "PUT", path, vault->root, body) >= 300)
            fail_msg("%s: %s", policies[i].name, vault->body);
    }
    static const char *const there[] = {"secret/data/a", "secret/data/x", "secret/data/no/x"};
    for (size_t i = 0; i < sizeof there / sizeof there[0]; i++)
        call(vault, 200, "POST", there[i], "{\"data\":{}}");
    return vault;
}

/* What the request itself says, with a token that has these policies and no others. */
static bool request_passes(struct test_vault *vault, const struct row *row)
{
    static const char *const methods[][2] = {
        {"read", "GET"}, {"list", "LIST"}, {"update", "POST"}, {"delete", "DELETE"}};
    char token[256], body[256];
    size_t len = (size_t)snprintf(body, sizeof body, "{\"no_default_policy\":true,\"policies\":[\"");
    for (const char *at = row->policies; *at != '\0' && len + 8 < sizeof body; at++)
        len += (size_t)snprintf(body + len, sizeof body - len, *at == ',' ? "\",\"" : "%c", *at);
    (void)snprintf(body + len, sizeof body - len, "\"]}");
    call(vault, 200, "POST", "auth/token/create", body);
    test_vault_text(vault, "auth.client_token", token, sizeof token);
    const char *path = row->path[0] == '/' ? row->path + 1 : row->path;
    for (size_t i = 0; i < 4; i++)
        if (strcmp(methods[i][0], row->capability) == 0)
            return test_vault_call(vault, methods[i][1], path, token,
                                   i == 2 ? "{\"data\":{}}" : NULL) != 403;
    fail_msg("no method for %s", row->capability);
    return false;
}

/* Of a path under which something counts by another spelling: with the token of request_passes(). */
static void capabilities_say(struct test_vault *vault, const struct row *row)
{
    char body[1024], token[256], says[64];
    (void)snprintf(body, sizeof body, "{\"policies\":\"%s\"}", row->policies);
    call(vault, 200, "POST", "auth/token/create", body);
    test_vault_text(vault, "auth.client_token", token, sizeof token);
    (void)snprintf(body, sizeof body, "{\"token\":\"%s\",\"paths\":\"%s\"}", token, row->path);
    call(vault, 200, "POST", "sys/capabilities", body);
    (void)snprintf(says, sizeof says, "\"%s\"", row->capability);
    if (test_vault_said(vault, says) != row->allowed)
        fail_msg("%s: capabilities: %s", row->path, vault->body);
}

static void every_row(void **state)
{
    (void)state;
    struct test_vault *vault = filled();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *row = &rows[i];
        char body[512];
        (void)snprintf(body, sizeof body,
                       "{\"policies\":\"%s\",\"capability\":\"%s\",\"path\":\"%s\"}", row->policies,
                       row->capability, row->path);
        call(vault, 200, "POST", "sys/policies/explain", body);
        if (test_vault_said(vault, "\"allowed\":true") != row->allowed)
            fail_msg("%s: %s", body, vault->body);
        for (size_t j = 0; j < 3 && row->says[j] != NULL; j++)
            if (!test_vault_said(vault, row->says[j]))
                fail_msg("%s: no %s in %s", body, row->says[j], vault->body);
        if (request_passes(vault, row) != row->allowed)
            fail_msg("%s: the request itself: %u %s", body, vault->status, vault->body);
        if (strstr(row->path, "oles/") != NULL || strstr(row->path, "acl/") != NULL)
            capabilities_say(vault, row);
    }
    test_vault_free(vault);
}

/* A text that is not stored yet, alone and beside what is stored. */
static void a_given_text(void **state)
{
    (void)state;
    struct test_vault *vault = filled();
    call(vault, 200, "POST", "sys/policies/explain",
         "{\"policy\":\"path \\\"secret/data/new\\\" { capabilities = [\\\"read\\\"] }\","
         "\"capability\":\"read\",\"path\":\"secret/data/new\"}");
    assert_true(test_vault_said(vault, "\"allowed\":true"));
    assert_true(test_vault_said(vault, "{\"policy\":\"(given)\",\"capabilities\":[\"read\"]}"));
    call(vault, 200, "POST", "sys/policies/explain",
         "{\"policies\":[\"reader\"],\"policy\":\"path \\\"secret/data/new\\\" { capabilities = [\\\"deny\\\"] }\","
         "\"capability\":\"read\",\"path\":\"secret/data/new\"}");
    assert_true(test_vault_said(vault, "\"allowed\":false"));
    test_vault_free(vault);
}

/* As somebody: what he has besides, and what stands for him in a path. Without him it is what a token
 * without an entity gets: what is granted is void, what is denied is not. */
static void as_an_entity(void **state)
{
    (void)state;
    static const struct {
        const char *policy, *entity, *path, *says[2];
    } asked[] = {
        {"home", "alice", "kv/home/alice/x", {"\"allowed\":true", "\"pattern\":\"kv/home/alice/*\""}},
        {"home", "ALICE", "kv/home/alice/x", {"\"allowed\":true", "\"warnings\":null"}},
        {"home", "alice", "kv/home/bob/x", {"\"allowed\":false", "no pattern matches"}},
        {"home", "", "kv/home/alice/x", {"\"allowed\":false", "a token without an entity"}},
        {"missing", "alice", "secret/data/a", {"\"allowed\":true", "{\"policy\":\"reader\""}},
        {"reader,not-mine", "alice", "secret/data/alice", {"\"allowed\":false", "the deciding pattern denies"}},
        {"reader,not-mine", "alice", "secret/data/bob", {"\"allowed\":true", NULL}},
        {"reader,not-mine", "", "secret/data/bob",
         {"a denial whose template cannot be filled in may be meant", "\"matching\":[{\"pattern\":\"secret/data/{{identity.entity.name}}\""}},
        {"reader,not-mine", "", "secret/data/bob/x", {"\"allowed\":true", NULL}},
    };
    struct test_vault *vault = filled();
    call(vault, 204, "PUT", "sys/policies/acl/home",
         "{\"policy\":\"path \\\"kv/home/{{identity.entity.name}}/*\\\" { capabilities = [\\\"read\\\"] }\"}");
    call(vault, 204, "PUT", "sys/policies/acl/not-mine",
         "{\"policy\":\"path \\\"secret/data/{{identity.entity.name}}\\\" { capabilities = [\\\"deny\\\"] }\"}");
    call(vault, 200, "POST", "identity/entity", "{\"name\":\"alice\",\"policies\":\"reader\"}");
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        char body[512];
        (void)snprintf(body, sizeof body,
                       "{\"policies\":\"%s\",\"entity\":\"%s\",\"capability\":\"read\",\"path\":\"%s\"}",
                       asked[i].policy, asked[i].entity, asked[i].path);
        call(vault, 200, "POST", "sys/policies/explain", body);
        for (size_t j = 0; j < 2 && asked[i].says[j] != NULL; j++)
            if (!test_vault_said(vault, asked[i].says[j]))
                fail_msg("%s: no %s in %s", body, asked[i].says[j], vault->body);
    }
    test_vault_free(vault);
}

/* With a text of one's own the answer tells what is known of an entity: it is for who may read that. */
static void an_entity_is_for_who_may_read_it(void **state)
{
    (void)state;
    static const char text[] = "path \"sys/policies/explain\" { capabilities = [\"update\"] }";
    static const char reads[] = "path \"sys/policies/explain\" { capabilities = [\"update\"] }"
                                "path \"identity/entity/id/*\" { capabilities = [\"read\"] }";
    static const char *const asked[] = {"alice", "nobody", "gone"};
    struct test_vault *vault = filled();
    char blind[256], seeing[256];
    call(vault, 200, "POST", "identity/entity", "{\"name\":\"alice\",\"policies\":\"reader\"}");
    call(vault, 200, "POST", "identity/entity/name/gone", "{\"disabled\":true}");
    test_vault_token(vault, "blind", text, blind, sizeof blind);
    test_vault_token(vault, "seeing", reads, seeing, sizeof seeing);
    for (size_t i = 0; i < 3; i++) {
        char body[256];
        (void)snprintf(body, sizeof body,
                       "{\"entity\":\"%s\",\"policies\":\"reader\",\"capability\":\"read\",\"path\":\"a\"}", asked[i]);
        assert_int_equal(test_vault_call(vault, "POST", "sys/policies/explain", blind, body), 403);
        assert_int_equal(test_vault_call(vault, "POST", "sys/policies/explain", seeing, body), i == 0 ? 200 : 400);
    }
    test_vault_free(vault);
}

static void bad_questions(void **state)
{
    (void)state;
    static const struct {
        const char *body, *says;
    } bad[] = {
        {"{}", "'capability' must be one of"},
        {"{\"capability\":\"hunter2\",\"path\":\"a\",\"policies\":\"reader\"}", "'capability' must be one of"},
        {"{\"capability\":[\"hunter2\"],\"path\":\"a\"}", "capability"},
        {"{\"capability\":\"read\",\"policies\":\"reader\"}", "'path' must be supplied"},
        {"{\"capability\":\"read\",\"path\":\"/\",\"policies\":\"reader\"}", "'path' must be supplied"},
        {"{\"capability\":\"read\",\"path\":\"a\"}", "'policies' (names), 'policy' (a text) or 'entity'"},
        {"{\"capability\":\"read\",\"path\":\"a\",\"policies\":\"not a name\"}", "not a policy name"},
        {"{\"capability\":\"read\",\"path\":\"a\",\"policy\":\"path {\"}", "failed to parse policy"},
        {"{\"capability\":\"read\",\"path\":\"a\",\"entity\":\"hunter2\"}", "neither the id nor the name"},
        {"{\"capability\":\"read\",\"path\":\"a\",\"entity\":\"gone\"}", "'entity' is disabled"},
        {"{\"capability\":\"read\",\"path\":{\"hunter2\":1},\"policies\":\"reader\"}", "path"},
    };
    struct test_vault *vault = filled();
    call(vault, 200, "POST", "identity/entity/name/gone", "{\"disabled\":true}");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        call(vault, 400, "POST", "sys/policies/explain", bad[i].body);
        if (!test_vault_said(vault, bad[i].says) || test_vault_said(vault, "hunter2"))
            fail_msg("%s: %s", bad[i].body, vault->body);
    }
    char many[2048] = "{\"capability\":\"read\",\"path\":\"a\",\"policies\":\"p0";
    for (unsigned i = 0; i < 64; i++)
        (void)snprintf(many + strlen(many), sizeof many - strlen(many), ",p%u", i);
    (void)snprintf(many + strlen(many), sizeof many - strlen(many), "\"}");
    call(vault, 400, "POST", "sys/policies/explain", many);
    assert_true(test_vault_said(vault, "at most 64"));
    test_vault_free(vault);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row),
        cmocka_unit_test(a_given_text),
        cmocka_unit_test(as_an_entity),
        cmocka_unit_test(an_entity_is_for_who_may_read_it),
        cmocka_unit_test(bad_questions),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("policy_explain", tests, NULL, NULL);
}
