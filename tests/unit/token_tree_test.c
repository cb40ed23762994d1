/* auth/token/accessors and auth/token/tree: all that live, in the tree each under the one that it ends with; few at
 * once, and many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/log.h"
#include "tests/support/one_vault.h"
#include "vaultd/core/private.h"

#define MANY 1200u /* more than are opened at once, and than a thread keeps */

static void make_token(const char *with, const char *body, char text[256], char accessor[128])
{
    if (test_vault_call(vault, "POST", "auth/token/create", with, body) != 200)
        fail_msg("%s: %s", body, vault->body);
    test_vault_text(vault, "auth.client_token", text, 256);
    test_vault_text(vault, "auth.accessor", accessor, 128);
}

static unsigned says_so_often(const char *text)
{
    unsigned n = 0;
    for (const char *at = strstr(vault->body, text); at != NULL; at = strstr(at + 1, text))
        n++;
    return n;
}

static void ask(unsigned status)
{
    if (test_vault_call(vault, "GET", "auth/token/tree", vault->root, NULL) != status)
        fail_msg("%s", vault->body);
}

#define CHILD "{\"policies\":[\"maker\"],\"ttl\":\"1h\"}"

static void each_has_its_parent(void **state)
{
    (void)state;
    char a[256], b[256], c[256], first[128], second[128], third[128], text[400];
    assert_int_equal(test_vault_call(vault, "PUT", "sys/policies/acl/maker", vault->root,
                                     "{\"policy\":\"path \\\"auth/token/create\\\" { capabilities = [\\\"update\\\"] }\"}"),
                     204);
    make_token(vault->root, CHILD, a, first);
    make_token(a, CHILD, b, second);
    make_token(vault->root, "{\"policies\":[\"maker\"],\"ttl\":\"1h\",\"no_parent\":true}", c, third);
    ask(200);
    assert_int_equal(says_so_often("\"accessor\":"), 4); /* root's, too */
    (void)snprintf(text, sizeof text, "\"accessor\":\"%s\",\"display_name\":\"token\",\"parent\":\"%s\",", second, first);
    assert_true(test_vault_said(vault, text));
    (void)snprintf(text, sizeof text, "\"accessor\":\"%s\",\"display_name\":\"token\",\"parent\":null,", third);
    assert_true(test_vault_said(vault, text));
    assert_false(test_vault_said(vault, a) || test_vault_said(vault, b) || test_vault_said(vault, vault->root));
    /* Over is over, whether it was swept or not. */
    vault->now_ms += (int64_t)2 * 3600 * 1000;
    ask(200);
    assert_int_equal(says_so_often("\"accessor\":"), 1);
}

static unsigned listed(void)
{
    if (test_vault_call(vault, "LIST", "auth/token/accessors", vault->root, NULL) != 200)
        fail_msg("%s", vault->body);
    const char *at = strstr(vault->body, "\"keys\":[");
    assert_non_null(at);
    unsigned quotes = 0;
    for (at += sizeof "\"keys\":[" - 1; *at != ']'; at++)
        quotes += *at == '"';
    return quotes / 2;
}

static void many_at_once(void **state)
{
    (void)state;
    char token[256], parent[128], other[128], text[200];
    make_token(vault->root, "{\"policies\":[\"root\"],\"ttl\":\"1h\"}", token, parent);
    char child[256];
    for (unsigned i = 0; i < MANY; i++)
        make_token(token, CHILD, child, other);
    assert_int_equal(listed(), MANY + 2);
    assert_int_equal(vault->suspended, 1); /* where it holds up nobody */
    ask(200);
    assert_int_equal(vault->suspended, 1);
    assert_int_equal(says_so_often("\"accessor\":"), MANY + 2);
    (void)snprintf(text, sizeof text, "\"parent\":\"%s\"", parent);
    assert_int_equal(says_so_often(text), MANY);
    assert_true(test_vault_said(vault, "\"warnings\":null"));
}

/* They are opened as the others are. */
static void many_are_over(void **state)
{
    (void)state;
    char token[256], accessor[128];
    assert_int_equal(listed(), 1);
    ask(200);
    assert_int_equal(vault->suspended, 0);
    for (unsigned i = 0; i < MANY; i++)
        make_token(vault->root, "{\"ttl\":\"1h\",\"no_parent\":true}", token, accessor);
    (void)pthread_mutex_lock(&vault->core->own->tidying); /* they are not swept */
    vault->now_ms += (int64_t)2 * 3600 * 1000;
    unsigned n = listed(), list_suspended = vault->suspended;
    unsigned status = test_vault_call(vault, "GET", "auth/token/tree", vault->root, NULL);
    (void)pthread_mutex_unlock(&vault->core->own->tidying);
    assert_int_equal(n, 1);
    assert_int_equal(list_suspended, 1);
    assert_int_equal(status, 200);
    assert_int_equal(says_so_often("\"accessor\":"), 1);
    assert_int_equal(vault->suspended, 1);
}

int main(void)
{
    kt_log_set_level(KT_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_has_its_parent, make, end),
        cmocka_unit_test_setup_teardown(many_at_once, make, end),
        cmocka_unit_test_setup_teardown(many_are_over, make, end),
    };
    return cmocka_run_group_tests_name("token_tree", tests, NULL, NULL);
}
