/* What a thread remembers between requests must not outlive what it was made of: each case warms
 * the caches, changes one thing, and asks again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>

#include "tests/support/vault.h"

static const char policy[] = "path \"secret/data/*\" { capabilities = [\"read\", \"create\"] }\n"
                             "path \"other/data/*\" { capabilities = [\"read\"] }\n"
                             "path \"auth/token/create\" { capabilities = [\"update\"] }";

struct warm {
    struct test_vault *vault;
    char token[256];
};

static int begin(void **state)
{
    struct warm *warm = calloc(1, sizeof *warm);
    warm->vault = test_vault_new(true);
    test_vault_token(warm->vault, "p", policy, warm->token, sizeof warm->token);
    assert_int_equal(test_vault_call(warm->vault, "POST", "secret/data/a", warm->vault->root,
                                     "{\"data\":{\"k\":\"v\"}}"),
                     200);
    *state = warm;
    return 0;
}

static int end(void **state)
{
    struct warm *warm = *state;
    test_vault_free(warm->vault);
    free(warm);
    return 0;
}

static unsigned read_as(struct warm *warm, const char *token, const char *path)
{
    return test_vault_call(warm->vault, "GET", path, token, NULL);
}

/* Twice: the second is answered from what the first one left. */
static void expect(struct warm *warm, const char *token, const char *path, unsigned status)
{
    for (unsigned i = 0; i < 2; i++) {
        unsigned got = read_as(warm, token, path);
        if (got != status)
            fail_msg("%s: expected %u, got %u %s", path, status, got, warm->vault->body);
    }
}

static void child_of(struct warm *warm, const char *parent, const char *body, char *out, size_t size)
{
    assert_int_equal(test_vault_call(warm->vault, "POST", "auth/token/create", parent, body), 200);
    test_vault_text(warm->vault, "auth.client_token", out, size);
}

static void as_root(struct warm *warm, const char *method, const char *path, const char *body)
{
    unsigned status = test_vault_call(warm->vault, method, path, warm->vault->root, body);
    if (status >= 300)
        fail_msg("%s %s: %u %s", method, path, status, warm->vault->body);
}

static void revoke(struct warm *warm, const char *path, const char *token)
{
    char body[300];
    (void)snprintf(body, sizeof body, "{\"token\":\"%s\"}", token);
    as_root(warm, "POST", path, body);
}

static void revoked(void **state)
{
    struct warm *warm = *state;
    expect(warm, warm->token, "secret/data/a", 200);
    revoke(warm, "auth/token/revoke", warm->token);
    expect(warm, warm->token, "secret/data/a", 403);
}

static void parent_revoked(void **state)
{
    struct warm *warm = *state;
    char child[256], grandchild[256];
    child_of(warm, warm->token, "{\"policies\":[\"p\"]}", child, sizeof child);
    child_of(warm, child, "{\"policies\":[\"p\"]}", grandchild, sizeof grandchild);
    expect(warm, grandchild, "secret/data/a", 200);
    revoke(warm, "auth/token/revoke", warm->token);
    expect(warm, grandchild, "secret/data/a", 403);
    expect(warm, child, "secret/data/a", 403);
}

static void parent_revoked_alone(void **state)
{
    struct warm *warm = *state;
    char child[256], grandchild[256];
    child_of(warm, warm->token, "{\"policies\":[\"p\"]}", child, sizeof child);
    child_of(warm, child, "{\"policies\":[\"p\"]}", grandchild, sizeof grandchild);
    expect(warm, grandchild, "secret/data/a", 200);
    revoke(warm, "auth/token/revoke-orphan", warm->token);
    expect(warm, warm->token, "secret/data/a", 403);
    expect(warm, child, "secret/data/a", 200);
    expect(warm, grandchild, "secret/data/a", 200);
    expect(warm, child, "auth/token/lookup-self", 200);
    assert_true(test_vault_said(warm->vault, "\"orphan\":true"));
    expect(warm, grandchild, "auth/token/lookup-self", 200);
    assert_true(test_vault_said(warm->vault, "\"orphan\":false"));
}

static void parent_expires(void **state)
{
    struct warm *warm = *state;
    char parent[256], child[256], grandchild[256];
    child_of(warm, warm->vault->root, "{\"policies\":[\"p\"],\"ttl\":\"60s\"}", parent,
             sizeof parent);
    child_of(warm, parent, "{\"policies\":[\"p\"],\"ttl\":\"10h\"}", child, sizeof child);
    child_of(warm, child, "{\"policies\":[\"p\"],\"ttl\":\"10h\"}", grandchild, sizeof grandchild);
    expect(warm, child, "secret/data/a", 200);
    expect(warm, grandchild, "secret/data/a", 200);
    warm->vault->now_ms += 59000;
    expect(warm, grandchild, "secret/data/a", 200);
    warm->vault->now_ms += 1500;
    expect(warm, grandchild, "secret/data/a", 403);
    expect(warm, child, "secret/data/a", 403);
    expect(warm, warm->token, "secret/data/a", 200);
}

static void policy_changes(void **state)
{
    struct warm *warm = *state;
    expect(warm, warm->token, "secret/data/a", 200);
    as_root(warm, "PUT", "sys/policies/acl/p",
            "{\"policy\":\"path \\\"secret/data/b\\\" { capabilities = [\\\"read\\\"] }\"}");
    expect(warm, warm->token, "secret/data/a", 403);
    as_root(warm, "DELETE", "sys/policies/acl/p", NULL);
    expect(warm, warm->token, "secret/data/b", 403);
}

static void mounts_change(void **state)
{
    struct warm *warm = *state;
    expect(warm, warm->vault->root, "other/data/a", 404);
    as_root(warm, "POST", "sys/mounts/other", "{\"type\":\"kv\",\"options\":{\"version\":\"2\"}}");
    as_root(warm, "POST", "other/data/a", "{\"data\":{\"k\":\"w\"}}");
    expect(warm, warm->token, "other/data/a", 200);
    assert_true(test_vault_said(warm->vault, "\"w\""));
    expect(warm, warm->token, "secret/data/a", 200);
    assert_true(test_vault_said(warm->vault, "\"v\""));
    as_root(warm, "DELETE", "sys/mounts/other", NULL);
    expect(warm, warm->vault->root, "other/data/a", 404);
    /* The same path, another mount: nothing of the old one shows. */
    as_root(warm, "POST", "sys/mounts/other", "{\"type\":\"kv\",\"options\":{\"version\":\"2\"}}");
    expect(warm, warm->token, "other/data/a", 404);
}

static void names_differ(void **state)
{
    struct warm *warm = *state;
    static const char *const paths[] = {"a", "b", "a/b", "a/a", "b/a", "aa"};
    char path[64], body[64];
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        (void)snprintf(path, sizeof path, "secret/data/x/%s", paths[i]);
        (void)snprintf(body, sizeof body, "{\"data\":{\"k\":\"is %s\"}}", paths[i]);
        as_root(warm, "POST", path, body);
    }
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        (void)snprintf(path, sizeof path, "secret/data/x/%s", paths[i]);
        (void)snprintf(body, sizeof body, "\"is %s\"", paths[i]);
        expect(warm, warm->token, path, 200);
        assert_true(test_vault_said(warm->vault, body));
    }
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(revoked),        CASE(parent_revoked), CASE(parent_revoked_alone), CASE(parent_expires),
        CASE(policy_changes), CASE(mounts_change),  CASE(names_differ),
    };
    return cmocka_run_group_tests_name("hot caches", tests, NULL, NULL);
}
