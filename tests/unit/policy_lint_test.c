/* What is said of a policy: a row a policy, asked through the pipeline of a vault with KV at secret/. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/jsonw.h"
#include "tests/support/vault.h"

#define BLOCK(path, caps) "path \"" path "\" { capabilities = [" caps "] }\n"
#define READ   "\"read\""
#define LIST   "\"list\""
#define DENY   "\"deny\""
#define UPDATE "\"update\""
#define CREATE "\"create\""

/* clang-format off */
static const struct row {
    const char *policy;
    bool wrong;         /* the write's answer says it too */
    const char *says;   /* NULL: nothing is said */
    const char *instead; /* NULL: none */
} rows[] = {
    /* what is fine */
    {BLOCK("secret/data/app/*", READ ", " CREATE ", " UPDATE ", \"patch\", \"delete\""), false, NULL, NULL},
    {BLOCK("secret/metadata/app/*", READ ", " LIST), false, NULL, NULL},
    {BLOCK("secret/metadata/", LIST), false, NULL, NULL},
    {BLOCK("secret/metadata", LIST), false, NULL, NULL},
    {BLOCK("secret/*", READ ", " LIST ", " CREATE ", " UPDATE ", \"patch\", \"delete\""), false, NULL, NULL},
    {BLOCK("*", READ ", " LIST), false, NULL, NULL},
    {BLOCK("secret/da*", READ), false, NULL, NULL},
    {BLOCK("+/data/app", READ), false, NULL, NULL},
    {BLOCK("secret/+/app", READ), false, NULL, NULL},
    {BLOCK("secret/data/+/db/*", READ), false, NULL, NULL},
    {BLOCK("secret/data/{{identity.entity.id}}/*", READ), false, NULL, NULL},
    {BLOCK("sys/mounts/+/tune", READ), false, NULL, NULL},
    {BLOCK("sys/mounts/team/a/tune", UPDATE), false, NULL, NULL},
    {BLOCK("sys/seal", UPDATE ", \"sudo\""), false, NULL, NULL},
    {BLOCK("auth/token/create", UPDATE ", \"sudo\""), false, NULL, NULL},
    {BLOCK("sys/rekey/init", READ ", " UPDATE ", \"sudo\""), false, NULL, NULL},
    {BLOCK("cubbyhole/*", READ ", " CREATE), false, NULL, NULL},
    {BLOCK("rotation/runs", LIST), false, NULL, NULL},
    {BLOCK("secret/data/x", DENY), false, NULL, NULL},
    {BLOCK("secret/data/*", READ) BLOCK("secret/data/x", DENY), false, NULL, NULL},
    {"path \"secret/data/*\" { capabilities = [\"update\"] allowed_parameters = { \"data\" = [], \"options\" = [] } }", false, NULL, NULL},
    {"# nothing\n", false, NULL, NULL},
    /* what matches nothing */
    {BLOCK("secret/app", READ), true, "path \\\"secret/app\\\" matches nothing that can be asked of secret/: did you mean", "secret/data/app"},
    {BLOCK("secret/app/*", READ), true, "matches nothing", "secret/data/app/*"},
    {BLOCK("secret/app/*", LIST), true, "matches nothing", "secret/metadata/app/*"},
    {BLOCK("secret/app", DENY), true, "matches nothing", "secret/data/app"},
    {BLOCK("secret/dat/app", READ), true, "matches nothing", "secret/data/app"},
    {BLOCK("secret/data", READ), true, "matches nothing", "secret/data/*"},
    {BLOCK("auth/token/roles/Bob", READ), true, "has a capital letter in a name that counts in lower case", NULL},
    {BLOCK("auth/token/roles/B*", DENY), true, "has a capital letter in a name that counts in lower case", NULL},
    {BLOCK("auth/token/roles/{{identity.entity.metadata.Role}}", READ), false, NULL, NULL},
    {BLOCK("sys/polices/acl/x", READ), true, "matches nothing", "sys/policies/acl/x"},
    {BLOCK("sys/nothing/at/all", READ), false, "matches nothing that can be asked of sys/\"", NULL},
    {BLOCK("secrt/data/app", READ), false, "as long as no mount is there", "secret/data/app"},
    {BLOCK("kv/data/app", READ), false, "as long as no mount is there", NULL},
    {BLOCK("auth/userpast/login/x", UPDATE), false, "no mount", NULL},
    /* capabilities */
    {BLOCK("secret/data/app", LIST), true, "grants list, but only create, delete, patch, read, update is asked for there", NULL},
    {BLOCK("secret/data/app", READ ", " LIST), false, "grants list, which is never asked for there", NULL},
    {BLOCK("sys/rotate", CREATE ", \"sudo\""), true, "grants create, but only update", NULL},
    {BLOCK("secret/destroy/*", CREATE), true, "grants create, but only update", NULL},
    {BLOCK("sys/seal", UPDATE), true, "without the capability sudo", NULL},
    {BLOCK("secret/data/app", READ ", \"sudo\""), false, "grants sudo, which is never asked for", NULL},
    {BLOCK("secret/data/app", ""), false, "grants nothing: it has no capability", NULL},
    {BLOCK("sys/health", READ), false, "no policy is asked for", NULL},
    /* parameters */
    {"path \"secret/data/*\" { capabilities = [\"update\"] allowed_parameters = { \"password\" = [] } }", false, "names \\\"password\\\", which no request there has (known: data, options, version)", NULL},
    {"path \"secret/data/*\" { capabilities = [\"update\"] required_parameters = [\"ttl\"] }", false, "names \\\"ttl\\\"", NULL},
    {"path \"secret/metadata/*\" { capabilities = [\"list\"] denied_parameters = { \"x\" = [] } }", false, "not looked at", NULL},
    /* a template is one name: what stands beside it decides of all others */
    {BLOCK("secret/data/team/*", READ) BLOCK("secret/data/team/{{identity.entity.name}}", READ), false, NULL, NULL},
    {BLOCK("secret/data/team/*", READ) BLOCK("secret/data/team/{{identity.entity.name}}/*", READ), false, NULL, NULL},
    {BLOCK("secret/data/*", READ) BLOCK("secret/data/{{identity.entity.id}}*", READ) BLOCK("secret/data/{{identity.entity.name}}/*", READ), false, NULL, NULL},
    /* never decides */
    {BLOCK("secret/data/+", READ) BLOCK("secret/data/+/*", READ) BLOCK("secret/data/*", READ), true, "path \\\"secret/data/*\\\" never decides", NULL},
};
#define N_ROWS (sizeof rows / sizeof rows[0])
/* clang-format on */

static void body_of(const char *policy, struct kt_buf *out)
{
    struct kt_jsonw w = kt_jsonw(out);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "policy", policy);
    kt_jsonw_end(&w);
}

static void every_row(void **state)
{
    (void)state;
    struct test_vault *vault = test_vault_new(true);
    for (size_t i = 0; i < N_ROWS; i++) {
        const struct row *row = &rows[i];
        kt_autobuf struct kt_buf body, instead;
        kt_buf_init(&body, 65536);
        kt_buf_init(&instead, 1024);
        body_of(row->policy, &body);
        const char *text = kt_buf_text(&body);
        assert_int_equal(test_vault_call(vault, "POST", "sys/policies/lint", vault->root, text), 200);
        if (row->says == NULL && !test_vault_said(vault, "{\"findings\":[],\"whole\":true}"))
            fail_msg("%s: %s", row->policy, vault->body);
        if (row->says != NULL && !test_vault_said(vault, row->says))
            fail_msg("%s: no %s in %s", row->policy, row->says, vault->body);
        kt_buf_printf(&instead, "\"instead\":\"%s\"", row->instead == NULL ? "" : row->instead);
        bool said = row->instead == NULL ? test_vault_said(vault, "\"instead\"")
                                         : test_vault_said(vault, kt_buf_text(&instead));
        if (said != (row->instead != NULL))
            fail_msg("%s: not %s in %s", row->policy, kt_buf_text(&instead), vault->body);
        if (test_vault_said(vault, "\"wrong\":true") != row->wrong)
            fail_msg("%s: wrong or not in %s", row->policy, vault->body);
        /* The write goes through in any case; of the rest it says nothing. */
        unsigned status = test_vault_call(vault, "PUT", "sys/policies/acl/p", vault->root, text);
        if (status != (row->wrong ? 200u : 204u))
            fail_msg("%s: %u %s", row->policy, status, vault->body);
        if (row->wrong && !test_vault_said(vault, row->says))
            fail_msg("%s: no %s in %s", row->policy, row->says, vault->body);
    }
    test_vault_free(vault);
}

static unsigned ask(struct test_vault *vault, const char *method, const char *path,
                    struct kt_buf *body)
{
    return test_vault_call(vault, method, path, vault->root, kt_buf_text(body));
}

/* More than an answer has room for; more rows than are looked at. */
static void large_policies(void **state)
{
    (void)state;
    struct test_vault *vault = test_vault_new(true);
    kt_autobuf struct kt_buf policy, body;
    kt_buf_init(&policy, 1 << 20);
    kt_buf_init(&body, 1 << 20);
    for (unsigned i = 0; i < 300; i++)
        kt_buf_printf(&policy, "path \"secret/%u\" { capabilities = [\"read\"] }\n", i);
    body_of(kt_buf_text(&policy), &body);
    assert_int_equal(ask(vault, "POST", "sys/policies/lint", &body), 200);
    assert_true(test_vault_said(vault, "\"whole\":false"));
    assert_int_equal(ask(vault, "PUT", "sys/policies/acl/p", &body), 200);
    assert_true(test_vault_said(vault, "\\\"secret/data/3\\\"?\""));
    assert_false(test_vault_said(vault, "secret/data/4\\\"?"));
    assert_true(test_vault_said(vault, "196 more paths"));
    kt_buf_reset(&policy);
    kt_buf_reset(&body);
    for (unsigned i = 0; i < 1900; i++)
        kt_buf_printf(&policy, "path \"+/%u\" { capabilities = [\"read\"] }\n", i);
    body_of(kt_buf_text(&policy), &body);
    assert_int_equal(ask(vault, "POST", "sys/policies/lint", &body), 200);
    assert_true(test_vault_said(vault, "\"whole\":false"));
    test_vault_free(vault);
}

static void bad_questions(void **state)
{
    (void)state;
    static const struct {
        const char *body, *says;
    } bad[] = {{"{}", "'policy' parameter not supplied"},
               {"{\"policy\":\"path \\\"a\\\" {\"}", "failed to parse policy"},
               {"{\"policy\":{\"hunter2\":1}}", "policy"}};
    struct test_vault *vault = test_vault_new(true);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(test_vault_call(vault, "POST", "sys/policies/lint", vault->root, bad[i].body), 400);
        assert_true(test_vault_said(vault, bad[i].says) && !test_vault_said(vault, "hunter2"));
    }
    test_vault_free(vault);
}

/* Who may write policies, and no more, learns nothing of mounts that are none of his business. */
static void what_is_mounted_is_not_told(void **state)
{
    (void)state;
    static const char own[] = "path \"sys/policies/*\" { capabilities = [\"create\", \"update\"] } path \"secret/data/*\" { capabilities = [\"read\"] }";
    static const char *const asked[] = {"hidden/x", "hidde/data/x", "nothing/x"};
    struct test_vault *vault = test_vault_new(true);
    char token[256];
    assert_int_equal(test_vault_call(vault, "POST", "sys/mounts/hidden", vault->root, "{\"type\":\"kv-v2\"}"), 204);
    test_vault_token(vault, "writer", own, token, sizeof token);
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        kt_autobuf struct kt_buf policy, body;
        kt_buf_init(&policy, 1024);
        kt_buf_init(&body, 4096);
        kt_buf_printf(&policy, "path \"%s\" { capabilities = [\"read\"] }", asked[i]);
        body_of(kt_buf_text(&policy), &body);
        assert_int_equal(test_vault_call(vault, "POST", "sys/policies/lint", token, kt_buf_text(&body)), 200);
        assert_true(test_vault_said(vault, "{\"findings\":[],\"whole\":true}"));
        assert_int_equal(test_vault_call(vault, "PUT", "sys/policies/acl/q", token, kt_buf_text(&body)), 204);
        assert_int_equal(ask(vault, "POST", "sys/policies/lint", &body), 200);
        assert_false(test_vault_said(vault, "{\"findings\":[]"));
    }
    assert_int_equal(test_vault_call(vault, "POST", "sys/policies/lint", token,
                                     "{\"policy\":\"path \\\"secret/x\\\" { capabilities = [\\\"read\\\"] }\"}"), 200);
    assert_true(test_vault_said(vault, "\"instead\":\"secret/data/x\""));
    test_vault_free(vault);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row),
        cmocka_unit_test(large_policies),
        cmocka_unit_test(bad_questions),
        cmocka_unit_test(what_is_mounted_is_not_told),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("policy_lint", tests, NULL, NULL);
}
