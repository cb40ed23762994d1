/* Entities, aliases and groups through the pipeline: what they answer, and what a token of an entity may
 * do before and after each change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <pthread.h>

#include "tests/support/identity_scene.h"
#include "vaultd/core/jobs.h"
#include "vaultd/core/mounts.h"
#include "vaultd/identity/login.h"

#define ID 37u

/* ---- asking ---- */

static unsigned ask(struct test_vault *vault, const char *method, const char *path, const char *body)
{
    return test_vault_call(vault, method, path, vault->root, body);
}

static void wants(struct test_vault *vault, const char *method, const char *path, const char *body,
                  unsigned status, const char *says)
{
    unsigned got = ask(vault, method, path, body);
    if (got != status || (says != NULL && !test_vault_said(vault, says)))
        fail_msg("%s %s %s: expected %u with '%s', got %u %s", method, path, body == NULL ? "" : body,
                 status, says == NULL ? "" : says, got, vault->body);
}

static void formed(struct test_vault *vault, const char *method, const char *path, unsigned status,
                   const char *says, const char *form, ...) __attribute__((format(printf, 6, 7)));
static void formed(struct test_vault *vault, const char *method, const char *path, unsigned status,
                   const char *says, const char *form, ...)
{
    char body[4096];
    va_list args;
    va_start(args, form);
    (void)vsnprintf(body, sizeof body, form, args);
    va_end(args);
    wants(vault, method, path, body, status, says);
}

static void make(struct test_vault *vault, const char *path, const char *body, char id[ID])
{
    wants(vault, "POST", path, body, 200, NULL);
    test_vault_text(vault, "data.id", id, ID);
}

static void policy(struct test_vault *vault, const char *name, const char *block)
{
    char path[64], body[1024];
    (void)snprintf(path, sizeof path, "sys/policies/acl/%s", name);
    (void)snprintf(body, sizeof body, "{\"policy\":\"%s\"}", block);
    wants(vault, "PUT", path, body, 204, NULL);
}

#define READS(path) "path \\\"" path "\\\" { capabilities = [\\\"read\\\"] }"
#define DENIES(path) "path \\\"" path "\\\" { capabilities = [\\\"deny\\\"] }"

static void log_in(struct test_vault *vault, const char *name, const char *policy_name, char token[256],
                   char entity[ID])
{
    const struct scene_login login = {.name = name, .policy = policy_name};
    assert_int_equal(scene_login(vault, &login, token, 256, entity), KT_OK);
}

static void may(struct test_vault *vault, const char *token, const char *path, bool expected)
{
    unsigned got = test_vault_call(vault, "GET", path, token, NULL);
    if ((got != 403) != expected)
        fail_msg("%s: expected %s, got %u %s", path, expected ? "it may" : "403", got, vault->body);
}

static void at(const char *folder, const char *id, char out[256])
{
    (void)snprintf(out, 256, "%s/%s", folder, id);
}

/* ---- what is asked is checked ---- */

/* clang-format off */
static const struct row {
    const char *method, *path, *body;
    unsigned status;
    const char *says;
} rows[] = {
    {"POST", "identity/entity", "{\"name\":\"a\",\"policies\":\"root\"}", 400, "policies cannot contain root"},
    {"POST", "identity/entity", "{\"name\":\"a\",\"policies\":[\" ROOT\"]}", 400, "policies cannot contain root"},
    {"POST", "identity/entity", "{\"name\":\"a\",\"policies\":\"x,RooT\\t\"}", 400, "policies cannot contain root"},
    {"POST", "identity/entity", "{\"name\":\"a\",\"policies\":[\"response-wrapping\"]}", 400, "cannot assign"},
    {"POST", "identity/entity", "{\"name\":\"a\",\"policies\":[\"a b\"]}", 400, "not a policy name"},
    {"POST", "identity/entity", "{\"name\":\"a\\u0007\"}", 400, "control characters"},
    {"POST", "identity/entity", "{\"name\":\"taken\"}", 204, NULL},
    {"POST", "identity/entity", "{\"name\":\"TAKEN\"}", 204, NULL},
    {"POST", "identity/entity", "{\"name\":\"a\",\"id\":\"none\"}", 400, "entity not found from id"},
    {"POST", "identity/entity", "{\"name\":\"a\",\"metadata\":[\"novalue\"]}", 400, "metadata"},
    {"POST", "identity/entity", "{\"disabled\":\"perhaps\"}", 400, "disabled"},
    {"GET", "identity/entity/id/none", NULL, 404, "{\"errors\":[]}"},
    {"GET", "identity/entity/name/none", NULL, 404, "{\"errors\":[]}"},
    {"DELETE", "identity/entity/id/none", NULL, 204, NULL},
    {"DELETE", "identity/entity/name/none", NULL, 204, NULL},
    {"POST", "identity/entity/merge", "{}", 400, "from_entity_ids"},
    {"POST", "identity/entity/merge", "{\"from_entity_ids\":[\"x\"]}", 400, "to_entity_id"},
    {"POST", "identity/entity/merge", "{\"from_entity_ids\":[\"x\"],\"to_entity_id\":\"x\"}", 400, "twice"},
    {"POST", "identity/entity/merge", "{\"from_entity_ids\":[\"x\"],\"to_entity_id\":\"y\"}", 400, "does not exist"},
    {"POST", "identity/entity-alias", "{}", 400, "missing alias name"},
    {"POST", "identity/entity-alias", "{\"name\":\"n\"}", 400, "missing mount_accessor"},
    {"POST", "identity/entity-alias", "{\"name\":\"n\",\"mount_accessor\":\"cubbyhole\"}", 400, "invalid mount accessor"},
    {"POST", "identity/entity-alias", "{\"name\":\"n\",\"mount_accessor\":\"token\",\"canonical_id\":\"x\"}", 400, "invalid canonical ID"},
    {"POST", "identity/entity-alias", "{\"id\":\"none\",\"name\":\"n\"}", 400, "invalid alias id"},
    {"GET", "identity/entity-alias/id/none", NULL, 404, "{\"errors\":[]}"},
    {"DELETE", "identity/entity-alias/id/none", NULL, 204, NULL},
    {"LIST", "identity/entity-alias/id", NULL, 404, "{\"errors\":[]}"},
    {"POST", "identity/group", "{\"name\":\"g\",\"type\":\"other\"}", 400, "type"},
    {"POST", "identity/group", "{\"name\":\"g\",\"policies\":[\"Root \"]}", 400, "policies cannot contain root"},
    {"POST", "identity/group", "{\"name\":\"g\",\"member_entity_ids\":[\"x\"]}", 400, "member_entity_ids"},
    {"POST", "identity/group", "{\"name\":\"g\",\"member_group_ids\":[\"x\"]}", 400, "member_group_ids"},
    {"POST", "identity/group", "{\"name\":\"g\",\"type\":\"external\",\"member_entity_ids\":[\"x\"]}", 400, "external"},
    {"POST", "identity/group", "{\"name\":\"g\",\"id\":\"none\"}", 400, "group not found from id"},
    {"GET", "identity/group/id/none", NULL, 404, "{\"errors\":[]}"},
    {"DELETE", "identity/group/name/none", NULL, 204, NULL},
    {"LIST", "identity/group/id", NULL, 404, "{\"errors\":[]}"},
    {"POST", "identity/group-alias", "{\"name\":\"n\",\"mount_accessor\":\"token\"}", 400, "canonical_id"},
    {"POST", "identity/lookup/entity", "{}", 400, "query parameters not set"},
    {"POST", "identity/lookup/entity", "{\"id\":\"x\",\"name\":\"y\"}", 400, "only one"},
    {"POST", "identity/lookup/entity", "{\"alias_name\":\"x\"}", 400, "both"},
    {"POST", "identity/lookup/entity", "{\"name\":\"none\"}", 204, NULL},
    {"POST", "identity/lookup/entity", "{\"alias_name\":\"x\",\"alias_mount_accessor\":\"none\"}", 204, NULL},
    {"POST", "identity/lookup/group", "{\"name\":\"none\"}", 204, NULL},
    {"DELETE", "sys/mounts/identity", NULL, 400, "cannot unmount"},
};
/* clang-format on */

static void input_is_checked(void **state)
{
    (void)state;
    struct test_vault *vault = test_vault_new(true);
    char id[ID];
    make(vault, "identity/entity", "{\"name\":\"Taken\"}", id);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        wants(vault, rows[i].method, rows[i].path, rows[i].body, rows[i].status, rows[i].says);
    test_vault_free(vault);
}

/* ---- entities ---- */

static void an_entity(void **state)
{
    (void)state;
    struct test_vault *vault = test_vault_new(true);
    char id[ID], other[ID], path[256];
    make(vault, "identity/entity", "{\"name\":\"Bob\",\"metadata\":{\"team\":\"a\"},\"policies\":\"P, q,p\"}", id);
    assert_true(test_vault_said(vault, "\"aliases\":null"));
    at("identity/entity/id", id, path);
    wants(vault, "GET", path, NULL, 200, "\"metadata\":{\"team\":\"a\"}");
    assert_true(test_vault_said(vault, "\"policies\":[\"p\",\"q\"]"));
    assert_true(test_vault_said(vault, "\"name\":\"Bob\""));
    assert_true(test_vault_said(vault, "\"merged_entity_ids\":null"));
    assert_true(test_vault_said(vault, "\"direct_group_ids\":[]"));
    wants(vault, "GET", "identity/entity/name/bOB", NULL, 200, id);
    wants(vault, "POST", path, "{\"name\":\"Rob\"}", 204, NULL);
    wants(vault, "GET", "identity/entity/name/bob", NULL, 404, NULL);
    wants(vault, "GET", "identity/entity/name/rob", NULL, 200, "\"metadata\":{\"team\":\"a\"}");
    make(vault, "identity/entity/name/Ann", "{\"disabled\":true}", other);
    formed(vault, "POST", "identity/entity", 400, "entity name is already in use",
           "{\"id\":\"%s\",\"name\":\"ROB\"}", other);
    wants(vault, "LIST", "identity/entity/name", NULL, 200, "\"keys\":[\"Ann\",\"Rob\"]");
    wants(vault, "LIST", "identity/entity/id", NULL, 200, "\"key_info\":{");
    formed(vault, "POST", "identity/lookup/entity", 200, "\"disabled\":true", "{\"id\":\"%s\"}", other);
    wants(vault, "DELETE", path, NULL, 204, NULL);
    wants(vault, "GET", "identity/entity/name/rob", NULL, 404, NULL);
    wants(vault, "LIST", "identity/entity/name", NULL, 200, "\"keys\":[\"Ann\"]");
    make(vault, "identity/entity", "{\"name\":\"rob\"}", id); /* the name is free again */
    make(vault, "identity/entity", NULL, id);
    assert_true(test_vault_said(vault, "\"name\":\"entity_"));
    test_vault_free(vault);
}

/* ---- logins ---- */

static void a_first_login_makes_one(void **state)
{
    (void)state;
    struct test_vault *vault = test_vault_new(true);
    char token[256], entity[ID], again[ID], path[256];
    log_in(vault, "bob", NULL, token, entity);
    log_in(vault, "bob", NULL, token, again);
    assert_string_equal(entity, again);
    log_in(vault, "Bob", NULL, token, again); /* an alias's name is what the mount says */
    assert_string_not_equal(entity, again);
    wants(vault, "POST", "identity/lookup/entity",
          "{\"alias_name\":\"bob\",\"alias_mount_accessor\":\"token\"}", 200, entity);
    assert_true(test_vault_said(vault, "\"mount_path\":\"auth/token/\""));
    assert_true(test_vault_said(vault, "\"created_by\":\"\""));
    assert_int_equal(test_vault_call(vault, "GET", "auth/token/lookup-self", token, NULL), 200);
    assert_true(test_vault_said(vault, again));
    /* A later login's metadata are the alias's; who made and changed it stays. */
    const struct scene_login more = {.name = "bob", .metadata = "{\"k\":\"v\"}"};
    assert_int_equal(scene_login(vault, &more, token, sizeof token, again), KT_OK);
    at("identity/entity/id", entity, path);
    wants(vault, "GET", path, NULL, 200, "\"metadata\":{\"k\":\"v\"}");
    assert_true(test_vault_said(vault, "\"last_updated_by\":\"\""));
    wants(vault, "POST", path, "{\"disabled\":true}", 204, NULL);
    assert_int_equal(scene_login(vault, &more, token, sizeof token, again), KT_DENIED);
    test_vault_free(vault);
}

struct racer {
    struct test_vault *vault;
    char token[256], entity[ID];
    enum kt_kind kind;
};

static void *race(void *arg)
{
    struct racer *racer = arg;
    const struct scene_login login = {.name = "both"};
    racer->kind = scene_login(racer->vault, &login, racer->token, sizeof racer->token, racer->entity);
    return NULL;
}

static void first_logins_at_once_make_one(void **state)
{
    (void)state;
    enum { RACERS = 8 };
    struct test_vault *vault = test_vault_new(true);
    struct racer racers[RACERS];
    pthread_t threads[RACERS];
    for (size_t i = 0; i < RACERS; i++) {
        racers[i] = (struct racer){.vault = vault};
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (size_t i = 0; i < RACERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (size_t i = 0; i < RACERS; i++) {
        assert_int_equal(racers[i].kind, KT_OK);
        assert_string_equal(racers[i].entity, racers[0].entity);
    }
    test_vault_free(vault);
}

/* ---- what a token of an entity may ---- */

/* A group that one left gives nothing more (CVE-2020-10660). */
static void policies_of_entity_and_groups(void **state)
{
    (void)state;
    struct test_vault *vault = test_vault_new(true);
    char token[256], entity[ID], inner[ID], outer[ID], path[256], group_path[256];
    policy(vault, "own", READS("secret/data/own"));
    policy(vault, "of-entity", READS("secret/data/entity"));
    policy(vault, "of-inner", READS("secret/data/inner"));
    policy(vault, "of-outer", READS("secret/data/outer"));
    log_in(vault, "bob", "own", token, entity);
    at("identity/entity/id", entity, path);
    may(vault, token, "secret/data/own", true);
    may(vault, token, "secret/data/entity", false);
    wants(vault, "POST", path, "{\"policies\":\"of-entity\"}", 204, NULL);
    may(vault, token, "secret/data/entity", true);
    make(vault, "identity/group", "{\"name\":\"inner\",\"policies\":\"of-inner\"}", inner);
    may(vault, token, "secret/data/inner", false);
    at("identity/group/id", inner, group_path);
    formed(vault, "POST", group_path, 204, NULL, "{\"member_entity_ids\":[\"%s\"]}", entity);
    may(vault, token, "secret/data/inner", true);
    formed(vault, "POST", "identity/group", 200, NULL,
           "{\"name\":\"outer\",\"policies\":\"of-outer\",\"member_group_ids\":\"%s\"}", inner);
    test_vault_text(vault, "data.id", outer, ID);
    may(vault, token, "secret/data/outer", true);
    wants(vault, "GET", path, NULL, 200, "\"inherited_group_ids\":[\"");
    /* Look-ups say so, and what is said of it is what decides. */
    assert_int_equal(test_vault_call(vault, "GET", "auth/token/lookup-self", token, NULL), 200);
    assert_true(test_vault_said(vault, "\"identity_policies\":[\"of-entity\",\"of-inner\",\"of-outer\"]"));
    assert_true(test_vault_said(vault, "\"policies\":[\"default\",\"own\"]"));
    assert_int_equal(test_vault_call(vault, "POST", "sys/capabilities-self", token,
                                     "{\"paths\":[\"secret/data/outer\"]}"), 200);
    assert_true(test_vault_said(vault, "[\"read\"]"));
    /* What is taken away is gone on the next request. */
    wants(vault, "POST", group_path, "{\"member_entity_ids\":[]}", 204, NULL);
    may(vault, token, "secret/data/inner", false);
    may(vault, token, "secret/data/outer", false);
    wants(vault, "POST", path, "{\"policies\":[]}", 204, NULL);
    may(vault, token, "secret/data/entity", false);
    formed(vault, "POST", group_path, 204, NULL, "{\"member_entity_ids\":[\"%s\"]}", entity);
    may(vault, token, "secret/data/outer", true);
    at("identity/group/id", outer, group_path);
    wants(vault, "DELETE", group_path, NULL, 204, NULL);
    may(vault, token, "secret/data/outer", false);
    may(vault, token, "secret/data/inner", true);
    test_vault_free(vault);
}

static void who_is_disabled_or_gone_is_nobody(void **state)
{
    (void)state;
    struct test_vault *vault = test_vault_new(true);
    char token[256], entity[ID], path[256], body[300];
    policy(vault, "own", READS("secret/data/own"));
    log_in(vault, "bob", "own", token, entity);
    at("identity/entity/id", entity, path);
    may(vault, token, "secret/data/own", true);
    wants(vault, "POST", path, "{\"disabled\":true}", 204, NULL);
    may(vault, token, "secret/data/own", false);
    assert_false(test_vault_said(vault, "invalid token"));
    may(vault, token, "auth/token/lookup-self", false);
    may(vault, token, "sys/internal/ui/mounts", false); /* any token would do, but it has to be somebody's */
    (void)snprintf(body, sizeof body, "{\"token\":\"%s\",\"paths\":[\"secret/data/own\"]}", token);
    wants(vault, "POST", "sys/capabilities", body, 403, NULL);
    wants(vault, "POST", "auth/token/lookup", body, 200, entity);
    wants(vault, "POST", path, "{\"disabled\":false}", 204, NULL);
    may(vault, token, "secret/data/own", true);
    wants(vault, "DELETE", path, NULL, 204, NULL);
    may(vault, token, "secret/data/own", false);
    may(vault, token, "auth/token/lookup-self", false);
    test_vault_free(vault);
}

static void a_child_has_its_parents_entity(void **state)
{
    (void)state;
    struct test_vault *vault = test_vault_new(true);
    char token[256], child[256], entity[ID], path[256];
    policy(vault, "maker", "path \\\"auth/token/*\\\" { capabilities = [\\\"update\\\", \\\"read\\\"] }");
    policy(vault, "of-entity", READS("secret/data/entity"));
    log_in(vault, "bob", "maker", token, entity);
    at("identity/entity/id", entity, path);
    wants(vault, "POST", path, "{\"policies\":\"of-entity\"}", 204, NULL);
    assert_int_equal(test_vault_call(vault, "POST", "auth/token/create", token,
                                     "{\"policies\":[\"default\"]}"), 200);
    assert_true(test_vault_said(vault, "\"identity_policies\":[\"of-entity\"]"));
    assert_true(test_vault_said(vault, "\"policies\":[\"default\",\"of-entity\"],\"token_policies\":[\"default\"]"));
    test_vault_text(vault, "auth.client_token", child, sizeof child);
    may(vault, child, "secret/data/entity", true);
    test_vault_free(vault);
}

/* An orphan is somebody's: what it made or changed may be anybody's doing. A token with an entity, and root, are
 * who they are. */
static void an_orphan_hides_nobody(void **state)
{
    (void)state;
    struct test_vault *vault = test_vault_new(true);
    char token[256], orphan[256], entity[ID];
    policy(vault, "admin", "path \\\"identity/*\\\" { capabilities = [\\\"create\\\", \\\"read\\\", \\\"update\\\"] } "
                           "path \\\"auth/token/create-orphan\\\" { capabilities = [\\\"update\\\", \\\"sudo\\\"] }");
    log_in(vault, "bob", "admin", token, entity);
    assert_int_equal(test_vault_call(vault, "POST", "auth/token/create-orphan", token,
                                     "{\"policies\":[\"admin\"]}"), 200);
    test_vault_text(vault, "auth.client_token", orphan, sizeof orphan);
    static const char *const names[] = {"root", "bob", "orphan"};
    const char *const tokens[] = {vault->root, token, orphan};
    for (size_t i = 0; i < 3; i++) {
        char path[64];
        const char *others = i == 2 ? "\"changed_by_others\":true" : "\"changed_by_others\":false";
        (void)snprintf(path, sizeof path, "identity/entity/name/%s", names[i]);
        assert_int_equal(test_vault_call(vault, "POST", path, tokens[i], "{}"), 200);
        wants(vault, "GET", path, NULL, 200, others);
        (void)snprintf(path, sizeof path, "identity/group/name/%s", names[i]);
        assert_int_equal(test_vault_call(vault, "POST", path, tokens[i], "{}"), 200);
        wants(vault, "GET", path, NULL, 200, others);
    }
    assert_int_equal(test_vault_call(vault, "POST", "identity/entity/name/root", orphan, "{\"policies\":\"p\"}"), 204);
    wants(vault, "GET", "identity/entity/name/root", NULL, 200, "\"changed_by_others\":true");
    assert_int_equal(test_vault_call(vault, "POST", "identity/entity/name/root", token, "{\"policies\":\"q\"}"), 204);
    wants(vault, "GET", "identity/entity/name/root", NULL, 200, "\"changed_by_others\":true");
    test_vault_free(vault);
}

/* ---- merging ---- */

static void merged(void **state)
{
    (void)state;
    struct test_vault *vault = test_vault_new(true);
    char token[256], entity[ID], to[ID], group[ID], path[256];
    policy(vault, "of-to", READS("secret/data/to"));
    policy(vault, "of-group", READS("secret/data/group"));
    log_in(vault, "bob", NULL, token, entity);
    make(vault, "identity/entity", "{\"name\":\"to\",\"policies\":\"of-to\"}", to);
    formed(vault, "POST", "identity/group", 200, NULL,
           "{\"name\":\"g\",\"policies\":\"of-group\",\"member_entity_ids\":\"%s\"}", entity);
    test_vault_text(vault, "data.id", group, ID);
    formed(vault, "POST", "identity/entity/merge", 204, NULL,
           "{\"from_entity_ids\":[\"%s\"],\"to_entity_id\":\"%s\"}", entity, to);
    may(vault, token, "secret/data/to", true);    /* the token's entity is what it became */
    may(vault, token, "secret/data/group", true); /* and is in its groups */
    at("identity/entity/id", to, path);
    wants(vault, "GET", path, NULL, 200, "\"merged_from_canonical_ids\":[\"");
    at("identity/entity/id", entity, path);
    wants(vault, "GET", path, NULL, 404, NULL);
    at("identity/group/id", group, path);
    wants(vault, "GET", path, NULL, 200, to);
    log_in(vault, "bob", NULL, token, entity);
    assert_string_equal(entity, to);
    /* Two ways to log in on one mount: which one stays has to be said. */
    log_in(vault, "rob", NULL, token, entity);
    formed(vault, "POST", "identity/entity/merge", 400, "same mount",
           "{\"from_entity_ids\":[\"%s\"],\"to_entity_id\":\"%s\"}", entity, to);
    wants(vault, "POST", "identity/lookup/entity",
          "{\"alias_name\":\"rob\",\"alias_mount_accessor\":\"token\"}", 200, entity);
    struct kt_json aliases, first, id;
    assert_true(kt_json_member(kt_json_value(kt_str(vault->body)), "data", &aliases) &&
                kt_json_member(aliases, "aliases", &aliases));
    struct kt_json_iter it = kt_json_iter(aliases);
    assert_true(kt_json_next(&it));
    first = it.value;
    assert_true(kt_json_member(first, "id", &id));
    char kept[64];
    (void)snprintf(kept, sizeof kept, "%.*s", (int)id.len, id.at);
    formed(vault, "POST", "identity/entity/merge", 204, NULL,
           "{\"from_entity_ids\":[\"%s\"],\"to_entity_id\":\"%s\",\"conflicting_alias_ids_to_keep\":[%s]}",
           entity, to, kept);
    wants(vault, "POST", "identity/lookup/entity",
          "{\"alias_name\":\"rob\",\"alias_mount_accessor\":\"token\"}", 200, to);
    wants(vault, "POST", "identity/lookup/entity",
          "{\"alias_name\":\"bob\",\"alias_mount_accessor\":\"token\"}", 204, NULL);
    test_vault_free(vault);
}

/* Both were members of the group: what became of them is one, once. */
static void members_that_were_merged(void **state)
{
    (void)state;
    struct test_vault *vault = test_vault_new(true);
    char from[ID], to[ID], group[ID], path[256], once[128];
    make(vault, "identity/entity", "{\"name\":\"from\"}", from);
    make(vault, "identity/entity", "{\"name\":\"to\"}", to);
    formed(vault, "POST", "identity/group", 200, NULL,
           "{\"name\":\"g\",\"member_entity_ids\":[\"%s\",\"%s\"]}", from, to);
    test_vault_text(vault, "data.id", group, ID);
    formed(vault, "POST", "identity/entity/merge", 204, NULL,
           "{\"from_entity_ids\":[\"%s\"],\"to_entity_id\":\"%s\"}", from, to);
    at("identity/group/id", group, path);
    (void)snprintf(once, sizeof once, "\"member_entity_ids\":[\"%s\"]", to);
    wants(vault, "GET", path, NULL, 200, once);
    test_vault_free(vault);
}

/* ---- lists ---- */

/* How many keys a page has; its last one. */
static size_t page(struct test_vault *vault, const char *path, const char *query, char last[128])
{
    char target[300];
    (void)snprintf(target, sizeof target, "/v1/%s", path);
    const struct test_request request = {.method = kt_str("LIST"),
                                         .target = kt_str(target),
                                         .query = kt_str(query),
                                         .token = kt_str(vault->root)};
    unsigned status = test_vault_ask(vault, &request);
    struct kt_json keys;
    if (status == 404)
        return 0;
    assert_int_equal(status, 200);
    assert_true(kt_json_member(kt_json_value(kt_str(vault->body)), "data", &keys) &&
                kt_json_member(keys, "keys", &keys));
    struct kt_json_iter it = kt_json_iter(keys);
    while (kt_json_next(&it)) {
        char key[128];
        (void)snprintf(key, sizeof key, "%.*s", (int)it.value.len - 2, (const char *)it.value.at + 1);
        assert_true(strcmp(key, last) > 0);
        memcpy(last, key, sizeof key);
    }
    return kt_json_count(keys);
}

static size_t pages(struct test_vault *vault, const char *path, unsigned limit, size_t *ret_pages)
{
    char last[128] = "", query[200];
    size_t all = 0, n = 0;
    *ret_pages = 0;
    do {
        (void)snprintf(query, sizeof query, "limit=%u&after=%s", limit, last);
        n = page(vault, path, query, last);
        assert_true(limit == 0 || n <= limit);
        all += n;
        *ret_pages += n > 0;
    } while (n > 0);
    return all;
}

/* Each one once, however long the pages are. */
static void lists_in_pages(void **state)
{
    (void)state;
    struct test_vault *vault = test_vault_new(true);
    static const char *const paths[] = {"identity/entity/id", "identity/entity/name", "identity/entity-alias/id",
                                        "identity/group/id", "identity/group/name"};
    char last[128] = "";
    size_t n = 0;
    for (unsigned i = 0; i < 23; i++) {
        formed(vault, "POST", "identity/entity-alias", 200, NULL,
               "{\"name\":\"u%u\",\"mount_accessor\":\"token\"}", i);
        formed(vault, "POST", "identity/group", 200, NULL, "{\"name\":\"g%u\"}", i);
    }
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        assert_int_equal(pages(vault, paths[i], 5, &n), 23);
        assert_int_equal(n, 5);
        assert_int_equal(pages(vault, paths[i], 1, &n), 23);
        assert_int_equal(pages(vault, paths[i], 0, &n), 23);
        assert_int_equal(n, 1);
        wants(vault, "LIST", paths[i], NULL, 200, "\"warnings\":null");
    }
    assert_int_equal(page(vault, "identity/group/name", "after=g21&limit=1", last), 1);
    assert_string_equal(last, "g22");
    memset(last, 0, sizeof last);
    assert_int_equal(page(vault, "identity/group/name", "limit=-1", last), 23);
    assert_int_equal(page(vault, "identity/group/name", "after=zzz", last), 0);
    test_vault_free(vault);
}

/* More than one answer holds of what is said of them: a shorter page, which says how to go on. */
static void a_list_of_much(void **state)
{
    (void)state;
    struct test_vault *vault = test_vault_new(true);
    enum { ALL = 900 };
    static char pairs[40000];
    size_t len = 0, n = 0;
    for (unsigned i = 0; i < 60; i++)
        len += (size_t)snprintf(pairs + len, sizeof pairs - len, "%s\"k%02u\":\"%0500u\"", i == 0 ? "" : ",", i, i);
    for (unsigned i = 0; i < ALL; i++) {
        static char body[41000];
        (void)snprintf(body, sizeof body,
                       "{\"name\":\"u%u\",\"mount_accessor\":\"token\",\"custom_metadata\":{%s}}", i, pairs);
        wants(vault, "POST", "identity/entity-alias", body, 200, NULL);
    }
    assert_int_equal(pages(vault, "identity/entity-alias/id", 0, &n), ALL);
    assert_true(n > 1);
    wants(vault, "LIST", "identity/entity-alias/id", NULL, 200, "are not all: after=");
    test_vault_free(vault);
}

/* A disabled entity's logins and tokens would be those of one that is not, or the other way round. */
static void merging_lets_nobody_in_again(void **state)
{
    (void)state;
    struct test_vault *vault = test_vault_new(true);
    char token[256], off[ID], on[ID], off_path[256];
    log_in(vault, "bob", NULL, token, off);
    make(vault, "identity/entity", "{\"name\":\"on\"}", on);
    at("identity/entity/id", off, off_path);
    wants(vault, "POST", off_path, "{\"disabled\":true}", 204, NULL);
    formed(vault, "POST", "identity/entity/merge", 400, "disabled",
           "{\"from_entity_ids\":[\"%s\"],\"to_entity_id\":\"%s\"}", off, on);
    formed(vault, "POST", "identity/entity/merge", 400, "disabled",
           "{\"from_entity_ids\":[\"%s\"],\"to_entity_id\":\"%s\"}", on, off);
    may(vault, token, "auth/token/lookup-self", false);
    wants(vault, "POST", off_path, "{\"disabled\":false}", 204, NULL);
    formed(vault, "POST", "identity/entity/merge", 204, NULL,
           "{\"from_entity_ids\":[\"%s\"],\"to_entity_id\":\"%s\"}", off, on);
    test_vault_free(vault);
}

/* ---- aliases ---- */

/* A name is a mount's, and exact (CVE-2022-40186). */
static void an_alias(void **state)
{
    (void)state;
    struct test_vault *vault = test_vault_new(true);
    char entity[ID], other[ID], alias[ID], path[256];
    make(vault, "identity/entity", "{\"name\":\"bob\"}", entity);
    make(vault, "identity/entity", "{\"name\":\"ann\"}", other);
    formed(vault, "POST", "identity/entity-alias", 200, entity,
           "{\"name\":\"b\",\"mount_accessor\":\"token\",\"canonical_id\":\"%s\",\"custom_metadata\":{\"k\":\"v\"}}",
           entity);
    test_vault_text(vault, "data.id", alias, ID);
    at("identity/entity-alias/id", alias, path);
    wants(vault, "GET", path, NULL, 200, "\"custom_metadata\":{\"k\":\"v\"}");
    wants(vault, "LIST", "identity/entity-alias/id", NULL, 200, "\"canonical_id\":");
    wants(vault, "POST", "identity/entity-alias", "{\"name\":\"b\",\"mount_accessor\":\"token\"}", 204, NULL);
    formed(vault, "POST", "identity/entity-alias", 400, "already exists",
           "{\"name\":\"b2\",\"mount_accessor\":\"token\",\"canonical_id\":\"%s\"}", entity);
    formed(vault, "POST", path, 400, "cannot be moved", "{\"canonical_id\":\"%s\"}", other);
    formed(vault, "POST", "identity/entity-alias", 400, "cannot be moved",
           "{\"name\":\"b\",\"mount_accessor\":\"token\",\"canonical_id\":\"%s\"}", other);
    formed(vault, "POST", "identity/entity-alias", 200, NULL,
           "{\"name\":\"a\",\"mount_accessor\":\"token\",\"canonical_id\":\"%s\"}", other);
    wants(vault, "POST", path, "{\"name\":\"a\"}", 400, "already in use");
    wants(vault, "POST", path, "{\"name\":\"c/d\"}", 200, alias);
    wants(vault, "POST", "identity/lookup/entity",
          "{\"alias_name\":\"c/d\",\"alias_mount_accessor\":\"token\"}", 200, entity);
    wants(vault, "POST", "identity/lookup/entity",
          "{\"alias_name\":\"b\",\"alias_mount_accessor\":\"token\"}", 204, NULL);
    wants(vault, "DELETE", path, NULL, 204, NULL);
    wants(vault, "GET", path, NULL, 404, NULL);
    wants(vault, "POST", "identity/lookup/entity",
          "{\"alias_name\":\"c/d\",\"alias_mount_accessor\":\"token\"}", 204, NULL);
    test_vault_free(vault);
}

/* ---- who made and changed it: what approvals will stand on ---- */

#define CLERK                                                                                          \
    "path \\\"identity/*\\\" { capabilities = [\\\"create\\\", \\\"read\\\", \\\"update\\\", \\\"delete\\\"] }"

struct clerk {
    char token[256], is[ID]; /* his entity's id */
};

/* A second later. */
static void does(struct test_vault *vault, const struct clerk *clerk, const char *path, unsigned status,
                 const char *body)
{
    vault->now_ms += 1000;
    if (test_vault_call(vault, "POST", path, clerk->token, body) != status)
        fail_msg("%s %s: %u %s", path, body, vault->status, vault->body);
}

/* changers: at most two, the newest last. */
static void was_changed(struct test_vault *vault, const char *path, const struct clerk *maker,
                        const struct clerk *const changers[2])
{
    char list[128], made[128], last[128];
    const struct clerk *newest = changers[1] != NULL ? changers[1] : changers[0];
    (void)snprintf(list, sizeof list, "\"changed_by\":[%s%s%s%s%s%s%s],\"changed_by_others\":false",
                   changers[0] == NULL ? "" : "\"", changers[0] == NULL ? "" : changers[0]->is,
                   changers[0] == NULL ? "" : "\"", changers[1] == NULL ? "" : ",",
                   changers[1] == NULL ? "" : "\"", changers[1] == NULL ? "" : changers[1]->is,
                   changers[1] == NULL ? "" : "\"");
    (void)snprintf(made, sizeof made, "\"created_by\":\"%s\"", maker->is);
    (void)snprintf(last, sizeof last, "\"last_updated_by\":\"%s\"",
                   newest == NULL ? maker->is : newest->is);
    wants(vault, "GET", path, NULL, 200, list);
    if (!test_vault_said(vault, made) || !test_vault_said(vault, last))
        fail_msg("%s: no %s, %s in %s", path, made, last, vault->body);
}

static void what_was_done(struct test_vault *vault, const struct clerk *ann, const struct clerk *bob)
{
    const struct clerk *const nobody[2] = {NULL, NULL}, *const only_bob[2] = {bob, NULL},
                       *const both[2] = {bob, ann}, *const again[2] = {ann, bob},
                       *const only_ann[2] = {ann, NULL};
    char entity[ID], alias[ID], path[256], of_alias[256], body[512], token[256], who[ID];
    does(vault, ann, "identity/entity", 200, "{\"name\":\"e\"}");
    test_vault_text(vault, "data.id", entity, ID);
    at("identity/entity/id", entity, path);
    was_changed(vault, path, ann, nobody);
    does(vault, bob, path, 204, "{\"metadata\":{\"k\":\"v\"}}");
    was_changed(vault, path, ann, only_bob);
    does(vault, ann, "identity/entity/name/e", 204, "{\"policies\":\"p\"}");
    was_changed(vault, path, ann, both); /* she does not hide him */
    does(vault, bob, "identity/entity", 204, "{\"name\":\"e\",\"metadata\":{}}");
    was_changed(vault, path, ann, again);
    (void)snprintf(body, sizeof body, "{\"name\":\"l\",\"mount_accessor\":\"token\",\"canonical_id\":\"%s\"}",
                   entity);
    does(vault, bob, "identity/entity-alias", 200, body);
    test_vault_text(vault, "data.id", alias, ID);
    at("identity/entity-alias/id", alias, of_alias);
    was_changed(vault, of_alias, bob, nobody);
    does(vault, ann, of_alias, 200, "{\"custom_metadata\":{\"k\":\"v\"}}");
    was_changed(vault, of_alias, bob, only_ann);
    const struct scene_login login = {.name = "l", .metadata = "{\"a\":\"b\"}"};
    assert_int_equal(scene_login(vault, &login, token, sizeof token, who), KT_OK);
    assert_string_equal(who, entity);
    was_changed(vault, of_alias, bob, only_ann); /* a login is no change that somebody made */
    does(vault, bob, "identity/group", 200, "{\"name\":\"g\"}");
    does(vault, ann, "identity/group/name/g", 204, "{\"policies\":\"q\"}");
    was_changed(vault, "identity/group/name/g", bob, only_ann);
}

static void who_made_and_changed_it(void **state)
{
    (void)state;
    struct test_vault *vault = test_vault_new(true);
    struct clerk ann, bob, many[IDENTITY_CHANGERS_MAX + 1];
    policy(vault, "clerk", CLERK);
    log_in(vault, "ann", "clerk", ann.token, ann.is);
    log_in(vault, "bob", "clerk", bob.token, bob.is);
    what_was_done(vault, &ann, &bob);
    /* When it was, of what ann made at the first second and somebody changes now. */
    wants(vault, "GET", "identity/entity/name/e", NULL, 200, "\"creation_time\":\"2027-01-15T08:00:01Z\"");
    assert_true(test_vault_said(vault, "\"last_update_time\":\"2027-01-15T08:00:04Z\""));
    for (size_t i = 0; i < sizeof many / sizeof many[0]; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "clerk%zu", i);
        log_in(vault, name, "clerk", many[i].token, many[i].is);
        (void)snprintf(name, sizeof name, "{\"metadata\":{\"k\":\"%zu\"}}", i);
        does(vault, &many[i], "identity/entity/name/e", 204, name);
    }
    wants(vault, "GET", "identity/entity/name/e", NULL, 200, "\"changed_by_others\":true");
    assert_true(test_vault_said(vault, many[IDENTITY_CHANGERS_MAX].is));
    assert_true(test_vault_said(vault, many[1].is));
    assert_false(test_vault_said(vault, many[0].is));
    test_vault_free(vault);
}

/* ---- groups ---- */

static void groups_have_no_cycles(void **state)
{
    (void)state;
    struct test_vault *vault = test_vault_new(true);
    char a[ID], b[ID], c[ID], path[256];
    make(vault, "identity/group", "{\"name\":\"a\"}", a);
    formed(vault, "POST", "identity/group", 200, NULL, "{\"name\":\"b\",\"member_group_ids\":[\"%s\"]}", a);
    test_vault_text(vault, "data.id", b, ID);
    formed(vault, "POST", "identity/group", 200, NULL, "{\"name\":\"c\",\"member_group_ids\":[\"%s\"]}", b);
    test_vault_text(vault, "data.id", c, ID);
    at("identity/group/id", a, path);
    formed(vault, "POST", path, 400, "cyclic", "{\"member_group_ids\":[\"%s\"]}", c);
    formed(vault, "POST", path, 400, "cyclic", "{\"member_group_ids\":[\"%s\"]}", a);
    wants(vault, "GET", path, NULL, 200, "\"parent_group_ids\":[\"");
    wants(vault, "POST", path, "{\"type\":\"external\"}", 400, "cannot be changed");
    wants(vault, "LIST", "identity/group/name", NULL, 200, "\"keys\":[\"a\",\"b\",\"c\"]");
    wants(vault, "LIST", "identity/group/id", NULL, 200, "\"num_parent_groups\":1");
    wants(vault, "GET", "identity/group/name/A", NULL, 200, a);
    wants(vault, "POST", "identity/group/name/B", "{\"metadata\":\"k=v\"}", 204, NULL);
    wants(vault, "GET", "identity/group/name/b", NULL, 200, "\"modify_index\":2");
    test_vault_free(vault);
}

static void external_groups_follow_logins(void **state)
{
    (void)state;
    struct test_vault *vault = test_vault_new(true);
    static const char *const ops[] = {"users", "ops", NULL}, *const none[] = {NULL};
    char token[256], entity[ID], group[ID], alias[ID], path[256];
    policy(vault, "of-ops", READS("secret/data/ops"));
    make(vault, "identity/group", "{\"name\":\"operators\",\"type\":\"external\",\"policies\":\"of-ops\"}", group);
    formed(vault, "POST", "identity/group-alias", 200, NULL,
           "{\"name\":\"ops\",\"mount_accessor\":\"token\",\"canonical_id\":\"%s\"}", group);
    test_vault_text(vault, "data.id", alias, ID);
    const struct scene_login in = {.name = "bob", .groups = ops}, out = {.name = "bob", .groups = none};
    assert_int_equal(scene_login(vault, &in, token, sizeof token, entity), KT_OK);
    may(vault, token, "secret/data/ops", true);
    at("identity/group/id", group, path);
    wants(vault, "GET", path, NULL, 200, entity);
    assert_int_equal(scene_login(vault, &out, path, sizeof path, entity), KT_OK);
    may(vault, token, "secret/data/ops", false); /* the older token's, too */
    at("identity/group/id", group, path);
    wants(vault, "GET", path, NULL, 200, "\"member_entity_ids\":[]");
    assert_int_equal(scene_login(vault, &in, token, sizeof token, entity), KT_OK);
    may(vault, token, "secret/data/ops", true);
    wants(vault, "LIST", "identity/group-alias/id", NULL, 200, alias);
    at("identity/group-alias/id", alias, path);
    wants(vault, "DELETE", path, NULL, 204, NULL);
    may(vault, token, "secret/data/ops", false);
    test_vault_free(vault);
}

/* ---- templates ---- */

static void templates_are_filled_in(void **state)
{
    (void)state;
    struct test_vault *vault = test_vault_new(true);
    char token[256], entity[ID], path[256], other[256];
    policy(vault, "tpl",
           READS("secret/data/{{identity.entity.name}}/*")
           READS("secret/data/by-id/{{ identity.entity.id }}")
           READS("secret/data/team/{{identity.entity.metadata.team}}/x")
           READS("secret/data/alias/{{identity.entity.aliases.token.name}}")
           READS("secret/data/group/{{identity.groups.names.devs.metadata.env}}"));
    log_in(vault, "b.ob", "tpl", token, entity);
    at("identity/entity/id", entity, path);
    wants(vault, "POST", path, "{\"name\":\"bob\",\"metadata\":{\"team\":\"red\"}}", 204, NULL);
    may(vault, token, "secret/data/bob/x", true);
    may(vault, token, "secret/data/ann/x", false);
    at("secret/data/by-id", entity, other);
    may(vault, token, other, true);
    may(vault, token, "secret/data/team/red/x", true);
    may(vault, token, "secret/data/alias/b.ob", true);
    may(vault, token, "secret/data/group/prod", false);
    may(vault, token, path, true); /* the default policy: what is known of oneself */
    may(vault, token, "identity/entity/name/bob", true);
    may(vault, token, "identity/entity/name/ann", false);
    formed(vault, "POST", "identity/group", 200, NULL,
           "{\"name\":\"devs\",\"metadata\":{\"env\":\"prod\"},\"member_entity_ids\":\"%s\"}", entity);
    may(vault, token, "secret/data/group/prod", true);
    wants(vault, "POST", path, "{\"name\":\"rob\",\"metadata\":{\"team\":\"blue\"}}", 204, NULL);
    may(vault, token, "secret/data/bob/x", false);
    may(vault, token, "secret/data/rob/x", true);
    may(vault, token, "secret/data/team/red/x", false);
    test_vault_free(vault);
}

/* No value is more than part of a segment: where one would be, a grant is void and a denial as wide as
 * what could have been meant (CVE-2026-5006, GHSA-hr5j-3j78-4vh2). */
static void no_value_breaks_out(void **state)
{
    (void)state;
    static const char *const bad[] = {"*", "+", "a/b", "a*", "..", ".", "", "a,b", "{{x}}", "a+b"};
    struct test_vault *vault = test_vault_new(true);
    char token[256], entity[ID], path[256];
    policy(vault, "tpl",
           READS("secret/data/{{identity.entity.metadata.team}}/*") READS("secret/data/free")
           READS("cubbyhole/*"));
    policy(vault, "no",
           READS("secret/data/*") DENIES("secret/data/{{identity.entity.metadata.team}}/private"));
    log_in(vault, "bob", "tpl", token, entity);
    at("identity/entity/id", entity, path);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        formed(vault, "POST", path, 204, NULL, "{\"policies\":[],\"metadata\":{\"team\":\"%s\"}}", bad[i]);
        may(vault, token, "secret/data/free", true);
        may(vault, token, "secret/data/a/x", false);
        may(vault, token, "secret/data/a/b/x", false);
        may(vault, token, "secret/data/x/y", false);
        formed(vault, "POST", path, 204, NULL, "{\"policies\":\"no\",\"metadata\":{\"team\":\"%s\"}}", bad[i]);
        may(vault, token, "secret/data/other", true);
        may(vault, token, "secret/data/a/private", false);
        may(vault, token, "secret/data/a/b/private", false);
    }
    wants(vault, "POST", path, "{\"policies\":\"no\",\"metadata\":{\"team\":\"red\"}}", 204, NULL);
    may(vault, token, "secret/data/red/private", false);
    may(vault, token, "secret/data/blue/private", true);
    test_vault_free(vault);
}

/* ---- a name in the path under several spellings ---- */

static void a_denied_name_is_denied_in_any_case(void **state)
{
    (void)state;
    struct test_vault *vault = test_vault_new(true);
    char id[ID], token[256];
    make(vault, "identity/entity", "{\"name\":\"admin\"}", id);
    test_vault_token(vault, "clerk",
                     "path \"identity/entity/name/*\" { capabilities = [\"read\", \"update\"] }"
                     "path \"identity/entity/name/admin\" { capabilities = [\"deny\"] }",
                     token, sizeof token);
    may(vault, token, "identity/entity/name/other", true);
    may(vault, token, "identity/entity/name/admin", false);
    may(vault, token, "identity/entity/name/AdMiN", false);
    assert_int_equal(test_vault_call(vault, "POST", "identity/entity/name/ADMIN", token, "{}"), 403);
    test_vault_free(vault);
}

/* What is denied is the name that somebody bears, however the one who asks spells it. */
static void a_name_with_capitals_is_denied_in_any_case(void **state)
{
    (void)state;
    static const char *const kinds[] = {"entity", "group"}, *const names[] = {"Admin", "admin", "ADMIN", "aDMIN"};
    static const char *const methods[] = {"GET", "POST", "PUT", "DELETE"};
    struct test_vault *vault = test_vault_new(true);
    char token[256], text[512], path[64], id[ID], with_id[128];
    for (size_t k = 0; k < 2; k++) {
        (void)snprintf(path, sizeof path, "identity/%s/name/Admin", kinds[k]);
        make(vault, path, "{}", id);
        (void)snprintf(with_id, sizeof with_id, "{\"id\":\"%s\",\"policies\":\"x\"}", id);
        (void)snprintf(text, sizeof text,
                       "path \"identity/%s/name/*\" { capabilities = [\"read\", \"update\", \"delete\"] }"
                       "path \"identity/%s/name/Admin\" { capabilities = [\"deny\"] }", kinds[k], kinds[k]);
        test_vault_token(vault, kinds[k], text, token, sizeof token);
        for (size_t i = 0; i < 4; i++)
            for (size_t j = 0; j < 4; j++) {
                (void)snprintf(path, sizeof path, "identity/%s/name/%s", kinds[k], names[i]);
                assert_int_equal(test_vault_call(vault, methods[j], path, token, "{\"policies\":\"x\"}"), 403);
                assert_int_equal(test_vault_call(vault, methods[j], path, token, j == 1 ? with_id : "{}"), 403);
            }
        (void)snprintf(path, sizeof path, "identity/%s/name/other", kinds[k]);
        may(vault, token, path, true);
    }
    test_vault_free(vault);
}

static void nobody_writes_himself_under_another_spelling(void **state)
{
    (void)state;
    struct test_vault *vault = test_vault_new(true);
    char token[256], entity[ID], path[256];
    policy(vault, "clerk", DENIES("identity/entity/name/{{identity.entity.name}}"));
    policy(vault, "reads", "path \\\"identity/entity/name/*\\\" { capabilities = [\\\"read\\\", \\\"update\\\"] }");
    log_in(vault, "bob", "clerk", token, entity);
    at("identity/entity/id", entity, path);
    wants(vault, "POST", path, "{\"name\":\"Bob\",\"policies\":\"reads\"}", 204, NULL);
    may(vault, token, "identity/entity/name/other", true);
    static const char *const spelled[] = {"Bob", "bob", "BOB"};
    for (size_t i = 0; i < 3; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "identity/entity/name/%s", spelled[i]);
        assert_int_equal(test_vault_call(vault, "POST", name, token, "{\"policies\":[\"x\"]}"), 403);
    }
    test_vault_free(vault);
}

/* Else who may write a name could move what is granted under it. */
static void a_write_by_name_keeps_the_spelling(void **state)
{
    (void)state;
    static const char *const kinds[] = {"entity", "group"};
    struct test_vault *vault = test_vault_new(true);
    for (size_t k = 0; k < 2; k++) {
        char folder[64], path[128], id[ID];
        (void)snprintf(folder, sizeof folder, "identity/%s", kinds[k]);
        make(vault, folder, "{\"name\":\"Bob\"}", id);
        (void)snprintf(path, sizeof path, "identity/%s/name/bob", kinds[k]);
        wants(vault, "POST", path, "{\"metadata\":\"k=v\"}", 204, NULL);
        formed(vault, "POST", path, 204, NULL, "{\"id\":\"%s\"}", id);
        wants(vault, "POST", folder, "{\"name\":\"BOB\"}", 204, NULL);
        wants(vault, "GET", path, NULL, 200, "\"name\":\"Bob\"");
        assert_true(test_vault_said(vault, "\"metadata\":{\"k\":\"v\"}"));
        (void)snprintf(path, sizeof path, "identity/%s/id/%s", kinds[k], id);
        wants(vault, "POST", path, "{\"name\":\"BOB\"}", 204, NULL);
        wants(vault, "GET", path, NULL, 200, "\"name\":\"BOB\"");
    }
    test_vault_free(vault);
}

/* Where nobody needs a token, one that does not count is none: its bearer is told what everybody is. */
static void a_disabled_one_asks_open_rows_as_a_stranger(void **state)
{
    (void)state;
    struct test_vault *vault = test_vault_new(true);
    char token[256], entity[ID], path[256];
    log_in(vault, "bob", NULL, token, entity);
    at("identity/entity/id", entity, path);
    wants(vault, "POST", path, "{\"disabled\":true}", 204, NULL);
    assert_int_equal(test_vault_call(vault, "GET", "sys/generate-root/attempt", token, NULL), 200);
    assert_int_equal(test_vault_call(vault, "GET", "auth/token/lookup-self", token, NULL), 403);
    test_vault_free(vault);
}

/* ---- a mount that is gone ---- */

static enum kt_kind remove_aliases(struct request *req, struct kt_err *err)
{
    const char *rest = NULL;
    const struct mount *mount = mounts_find(req, "auth/token/", &rest);
    return identity_mount_removed(req->core, request_batch(req), mount->scope, err);
}

static void aliases_go_with_their_mount(void **state)
{
    (void)state;
    enum { PEOPLE = 30 };
    struct test_vault *vault = test_vault_new(true);
    char token[256], entity[ID], group[ID], name[32];
    struct kt_err err = {0};
    for (int i = 0; i < PEOPLE; i++) {
        (void)snprintf(name, sizeof name, "p%d", i);
        log_in(vault, name, NULL, token, entity);
    }
    make(vault, "identity/group", "{\"name\":\"g\",\"type\":\"external\"}", group);
    formed(vault, "POST", "identity/group-alias", 200, NULL,
           "{\"name\":\"ops\",\"mount_accessor\":\"token\",\"canonical_id\":\"%s\"}", group);
    assert_int_equal(request_internal(vault->core, "test", remove_aliases, NULL, &err), KT_OK);
    bool more = true;
    for (int i = 0; i < 100 && more; i++)
        if (jobs_run(vault->core, &more, &err) != KT_OK)
            fail_msg("%s", err.what);
    wants(vault, "LIST", "identity/entity-alias/id", NULL, 404, NULL);
    wants(vault, "LIST", "identity/group-alias/id", NULL, 404, NULL);
    wants(vault, "LIST", "identity/entity/id", NULL, 200, entity);
    log_in(vault, "p0", NULL, token, entity); /* nothing leads to what was there */
    test_vault_free(vault);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(input_is_checked),
        cmocka_unit_test(an_entity),
        cmocka_unit_test(a_first_login_makes_one),
        cmocka_unit_test(first_logins_at_once_make_one),
        cmocka_unit_test(policies_of_entity_and_groups),
        cmocka_unit_test(who_is_disabled_or_gone_is_nobody),
        cmocka_unit_test(a_child_has_its_parents_entity),
        cmocka_unit_test(an_orphan_hides_nobody),
        cmocka_unit_test(merged),
        cmocka_unit_test(members_that_were_merged),
        cmocka_unit_test(lists_in_pages),
        cmocka_unit_test(a_list_of_much),
        cmocka_unit_test(an_alias),
        cmocka_unit_test(who_made_and_changed_it),
        cmocka_unit_test(groups_have_no_cycles),
        cmocka_unit_test(external_groups_follow_logins),
        cmocka_unit_test(templates_are_filled_in),
        cmocka_unit_test(no_value_breaks_out),
        cmocka_unit_test(a_denied_name_is_denied_in_any_case),
        cmocka_unit_test(a_name_with_capitals_is_denied_in_any_case),
        cmocka_unit_test(nobody_writes_himself_under_another_spelling),
        cmocka_unit_test(a_write_by_name_keeps_the_spelling),
        cmocka_unit_test(a_disabled_one_asks_open_rows_as_a_stranger),
        cmocka_unit_test(merging_lets_nobody_in_again),
        cmocka_unit_test(aliases_go_with_their_mount),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}
