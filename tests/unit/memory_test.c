/* Every allocation of a request fails once: each time there is a clean answer, nothing is half done and
 * the vault goes on. Only in builds whose allocations can be made to fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/failpoint.h"
#include "tests/support/vault.h"

#ifdef KT_FAULT

struct row {
    const char *name, *method, *path, *body;
    unsigned status;
    const char *who; /* NULL: root; "T": a token with a policy */
};

static const char policy[] =
    "path \"secret/*\" { capabilities = [\"create\", \"update\", \"read\", \"list\", \"delete\"] "
    "denied_parameters = { \"options\" = [\"no\"] } }\n"
    "path \"auth/token/*\" { capabilities = [\"update\", \"sudo\"] }";

/* clang-format off */
static const struct row rows[] = {
    {"read a secret", "GET", "secret/data/kept", NULL, 200, "T"},
    {"write a secret", "POST", "secret/data/new/a/b", "{\"data\":{\"k\":[1,\"\\u00e4\"]},\"options\":{}}", 200, "T"},
    {"patch a secret", "PATCH", "secret/data/kept", "{\"data\":{\"x\":null,\"y\":\"z\"}}", 200, NULL},
    {"list secrets", "LIST", "secret/metadata", NULL, 200, "T"},
    {"metadata", "POST", "secret/metadata/kept", "{\"custom_metadata\":{\"a\":1,\"b\":\"c\"},\"max_versions\":7}", 204, "T"},
    {"subkeys", "GET", "secret/subkeys/kept", NULL, 200, NULL},
    {"destroy versions", "POST", "secret/destroy/kept", "{\"versions\":\"1,2,3\"}", 204, NULL},
    {"settings of a mount", "POST", "secret/config", "{\"max_versions\":9}", 204, NULL},
    {"a token", "POST", "auth/token/create", "{\"policies\":[\"t\",\"zz\"],\"meta\":{\"a\":\"b\"},\"ttl\":\"1h\"}", 200, "T"},
    {"accessors", "LIST", "auth/token/accessors", NULL, 200, NULL},
    {"a policy", "POST", "sys/policies/acl/p", "{\"policy\":\"path \\\"a/+/b*\\\" { capabilities = [\\\"read\\\"] allowed_parameters = { \\\"a\\\" = [\\\"b*\\\"] } }\"}", 204, NULL},
    {"policies", "LIST", "sys/policies/acl", NULL, 200, NULL},
    {"capabilities", "POST", "sys/capabilities-self", "{\"paths\":[\"secret/data/a\",\"b\"]}", 200, "T"},
    {"mounts", "GET", "sys/mounts", NULL, 200, NULL},
    {"preflight", "GET", "sys/internal/ui/mounts/secret/a", NULL, 200, "T"},
    {"a cubbyhole", "POST", "cubbyhole/a/b", "{\"k\":\"v\"}", 204, "T"},
    {"read a cubbyhole", "GET", "cubbyhole/kept", NULL, 200, "T"},
    {"export", "GET", "sys/audit-log/export?from=0&to=3", NULL, 200, NULL},
    {"a checkpoint", "POST", "sys/audit-log/checkpoint", "{}", 200, NULL},
    {"refused", "GET", "sys/seal", NULL, 403, "T"},
    {"nobody", "GET", "secret/data/kept", NULL, 403, "-"},
    {"rotate the keyring", "POST", "sys/rotate", "{}", 204, NULL},
    {"mount and unmount", "POST", "sys/mounts/m", "{\"type\":\"kv\",\"options\":{\"version\":\"2\"}}", 204, NULL},
    {"revoke", "POST", "auth/token/revoke-orphan", "{\"token\":\"T\"}", 204, NULL},
};
/* clang-format on */

static void undo(struct test_vault *vault, const struct row *row)
{
    if (strcmp(row->path, "sys/mounts/m") == 0)
        assert_int_equal(test_vault_call(vault, "DELETE", row->path, vault->root, NULL), 204);
    if (strcmp(row->path, "secret/data/new/a/b") == 0)
        (void)test_vault_call(vault, "DELETE", "secret/metadata/new/a/b", vault->root, NULL);
}

static bool clean(const struct test_vault *vault)
{
    struct kt_bytes body = kt_str(vault->body);
    return body.len == 0 || kt_json_check(body, NULL, NULL) == KT_OK;
}

static void each_allocation_fails(void **state)
{
    const struct row *row = *state;
    struct test_vault *vault = test_vault_new(true);
    char token[256], body[512];
    test_vault_token(vault, "t", policy, token, sizeof token);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(test_vault_call(vault, "POST", "secret/data/kept", vault->root,
                                         "{\"data\":{\"k\":\"v\"}}"),
                         200);
    assert_int_equal(test_vault_call(vault, "POST", "cubbyhole/kept", token, "{\"k\":\"v\"}"), 204);
    const char *who = row->who == NULL ? vault->root : strcmp(row->who, "T") == 0 ? token : NULL;
    const char *asked = row->body;
    if (asked != NULL && strcmp(asked, "{\"token\":\"T\"}") == 0) {
        (void)snprintf(body, sizeof body, "{\"token\":\"%s\"}", token);
        asked = body;
    }
    unsigned long nth = 0, made = 0;
    do {
        (void)kt_fail_allocation(++nth);
        unsigned status = test_vault_call(vault, row->method, row->path, who, asked);
        made = kt_fail_allocation(0);
        /* A parameter that could not be compared is one that the policy does not allow; a batch does
         * not tell want of memory from want of room. */
        bool failed = status == 500 || status == 503 || status == 413 ||
                      (status == 403 && who == token);
        if (status != row->status && !failed)
            fail_msg("allocation %lu: expected %u or 500, got %u %s", nth, row->status, status,
                     vault->body);
        if (row->method[0] != 'G' || strstr(row->path, "export") == NULL)
            if (!clean(vault))
                fail_msg("allocation %lu: half an answer: %s", nth, vault->body);
        if (!failed && made >= nth)
            undo(vault, row);
        assert_true(nth < 5000);
    } while (made >= nth);
    assert_int_equal(vault->status, row->status);
    test_vault_free(vault);
}

#define N (sizeof rows / sizeof rows[0])
#else
static void each_allocation_fails(void **state)
{
    (void)state;
    skip();
}
#define N 1
#endif

int main(int argc, char **argv)
{
    struct CMUnitTest tests[N];
    for (size_t i = 0; i < N; i++)
        tests[i] = (struct CMUnitTest){.name = "memory", .test_func = each_allocation_fails};
#ifdef KT_FAULT
    for (size_t i = 0; i < N; i++) {
        tests[i].name = rows[i].name;
        tests[i].initial_state = (void *)(uintptr_t)&rows[i];
    }
#endif
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
