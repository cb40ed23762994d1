/* A long list is made on a thread of its own; nothing else about it is different. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/vault.h"
#include "vaultd/core/mounts.h"
#include "vaultd/engine/kv_record.h"

#define CHILDREN 2500u /* more than a carrier's thread lists */
#define EACH     20u

/* 2,500 writes one by one would be most of this test's time. */
static enum kt_kind put_names(struct request *req, struct kt_err *err)
{
    const unsigned *from = req->handler_data;
    const char *rest = NULL;
    const struct mount *mount = mounts_find(req, "secret/many", &rest);
    enum kt_kind kind = mount == NULL || request_batch(req) == NULL
                            ? kt_fail(err, KT_INTERNAL, "no mount")
                            : KT_OK;
    for (unsigned i = *from; kind == KT_OK && i < *from + EACH; i++)
        kind = kv_name_add(req->core, mount, req->snapshot, req->batch,
                           kt_arena_printf(&req->arena, "many/n%05u", (i * 7919) % CHILDREN), err);
    return kind;
}

static int make(void **state)
{
    struct test_vault *vault = test_vault_new(true);
    for (unsigned i = 0; i < CHILDREN; i += EACH)
        if (request_internal(vault->core, "test/names", put_names, &i, NULL) != KT_OK)
            return -1;
    *state = vault;
    return 0;
}

static int end(void **state)
{
    test_vault_free(*state);
    return 0;
}

static void is_whole_and_sorted(struct test_vault *vault)
{
    const char *at = strstr(vault->body, "\"keys\":[");
    assert_non_null(at);
    at += sizeof "\"keys\":[" - 1;
    for (unsigned i = 0; i < CHILDREN; i++) {
        char name[16];
        int len = snprintf(name, sizeof name, "\"n%05u\"%c", i, i + 1 < CHILDREN ? ',' : ']');
        if (strncmp(at, name, (size_t)len) != 0)
            fail_msg("child %u: %.20s", i, at);
        at += len;
    }
}

static void long_list(void **state)
{
    struct test_vault *vault = *state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(test_vault_call(vault, "LIST", "secret/metadata/many", vault->root, NULL),
                         200);
        is_whole_and_sorted(vault);
    }
}

/* The use is committed on the way, whichever thread makes the list. */
static void uses_are_counted(void **state)
{
    struct test_vault *vault = *state;
    char token[256];
    test_vault_token(vault, "lists", "path \"secret/*\" { capabilities = [\"list\"] }", token,
                     sizeof token);
    assert_int_equal(test_vault_call(vault, "POST", "auth/token/create", vault->root,
                                     "{\"policies\":[\"lists\"],\"num_uses\":2}"),
                     200);
    test_vault_text(vault, "auth.client_token", token, sizeof token);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(test_vault_call(vault, "LIST", "secret/metadata/many", token, NULL), 200);
        is_whole_and_sorted(vault);
    }
    assert_int_equal(test_vault_call(vault, "LIST", "secret/metadata/many", token, NULL), 403);
}

static void is_recorded_once(void **state)
{
    struct test_vault *vault = *state;
    assert_int_equal(test_vault_call(vault, "LIST", "secret/metadata/many?mark=once", vault->root,
                                     NULL),
                     200);
    assert_int_equal(test_vault_logged(vault, "\"mark\""), 1);
}

static void no_policy(void **state)
{
    struct test_vault *vault = *state;
    char token[256];
    test_vault_token(vault, "nothing", "path \"secret/data/*\" { capabilities = [\"read\"] }", token,
                     sizeof token);
    assert_int_equal(test_vault_call(vault, "LIST", "secret/metadata/many", token, NULL), 403);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_list),
        cmocka_unit_test(uses_are_counted),
        cmocka_unit_test(is_recorded_once),
        cmocka_unit_test(no_policy),
    };
    return cmocka_run_group_tests(tests, make, end);
}
