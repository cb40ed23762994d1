/* Logging in over the Unix socket: who the kernel says it is, and nobody else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/meanwhile.h"

/* Rows leave out what they do not need. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define TEXT     256u
#define GROUPS   4u
#define NOBODY   65534u

static struct test_vault *vault;

/* A process at the other end of the socket. */
struct process {
    uint32_t uid;
    uint32_t groups[GROUPS]; /* until 0 */
    bool over_tcp, groups_not_known;
};

static unsigned ask(const struct process *process, const char *method, const char *path,
                    const char *token, const char *body)
{
    char target[TEXT];
    struct peer_groups *groups = calloc(1, sizeof *groups + GROUPS * sizeof groups->at[0]);
    assert_non_null(groups);
    while (groups->n < GROUPS && process->groups[groups->n] != 0) {
        groups->at[groups->n] = process->groups[groups->n];
        groups->n++;
    }
    (void)snprintf(target, sizeof target, "/v1/%s", path);
    const struct test_request request = {.method = kt_str(method),
                                         .target = kt_str(target),
                                         .token = kt_str(token),
                                         .body = kt_str(body),
                                         .local = !process->over_tcp,
                                         .uid = process->uid,
                                         .groups = process->groups_not_known ? NULL : groups};
    unsigned status = test_vault_ask(vault, &request);
    free(groups);
    return status;
}

static void wants(unsigned status, const char *says, const char *method, const char *path,
                  const char *body)
{
    unsigned got = test_vault_call(vault, method, path, vault->root, body);
    if (got != status || (says != NULL && !test_vault_said(vault, says)))
        fail_msg("%s %s: wanted %u and %s, got %u: %s", method, path, status,
                 says == NULL ? "any text" : says, got, vault->body);
}

static int make(void **state)
{
    vault = test_vault_new(true);
    wants(204, NULL, "POST", "sys/auth/unix", "{\"type\":\"unix\"}");
    wants(204, NULL, "POST", "auth/unix/users/1000", "{\"policies\":\"deploy\"}");
    wants(204, NULL, "POST", "auth/unix/users/0", "{\"policies\":\"host\"}");
    wants(204, NULL, "POST", "auth/unix/groups/27", "{\"policies\":\"operate,deploy\"}");
    wants(204, NULL, "POST", "auth/unix/groups/28", "{\"policies\":[\"audit\"]}");
    (void)state; /* each test's own is its row */
    return 0;
}

static int end(void **state)
{
    (void)state;
    test_vault_free(vault);
    return 0;
}

/* ---- who gets what ---- */

static const struct login_row {
    const char *name;
    struct process process;
    unsigned status;
    const char *says; /* the policies, or why not */
} logins[] = {
    {"a user", {1000, {1000}}, 200, "\"policies\":[\"default\",\"deploy\"]"},
    {"root", {0, {100}}, 200, "\"policies\":[\"default\",\"host\"]"},
    {"a group, the first", {1001, {27}}, 200, "\"policies\":[\"default\",\"deploy\",\"operate\"]"},
    {"a group, another", {1001, {100, 28}}, 200, "\"policies\":[\"audit\",\"default\"]"},
    {"a user and two groups", {1000, {1000, 27, 28}}, 200, "\"policies\":[\"audit\",\"default\",\"deploy\",\"operate\"]"},
    {"who is not named", {1001, {1000, 1001}}, 400, "neither user 1001 nor a group of his may log in here"},
    {"no group at all", {1001, {0}}, 400, "neither user 1001"},
    {"over TCP", {1000, {1000}, true}, 400, "the vault's Unix socket alone"},
    {"over TCP, and root there", {0, {0}, true}, 400, "the vault's Unix socket alone"},
    {"a user who is not known", {UINT32_MAX, {27}}, 400, "the vault's Unix socket alone"},
    {"groups that are not known", {1000, {0}, false, true}, 400, "the groups of this process are not known"},
    {"a container's user", {NOBODY, {27}}, 400, "has no number on this host"},
};

static void logs_in(void **state)
{
    const struct login_row *row = *state;
    unsigned status = ask(&row->process, "POST", "auth/unix/login", NULL, NULL);
    if (status != row->status || !test_vault_said(vault, row->says))
        fail_msg("wanted %u and %s, got %u: %s", row->status, row->says, status, vault->body);
}

static void what_a_login_answers(void **state)
{
    (void)state;
    char token[TEXT], entity[TEXT], again[TEXT];
    const struct process process = {1000, {100, 27}};
    assert_int_equal(ask(&process, "PUT", "auth/unix/login", NULL, "{}"), 200);
    assert_true(test_vault_said(vault, "\"metadata\":{\"uid\":\"1000\",\"gid\":\"100\"}"));
    assert_true(test_vault_said(vault, "\"orphan\":true"));
    test_vault_text(vault, "auth.entity_id", entity, sizeof entity);
    assert_int_equal(ask(&process, "POST", "auth/unix/login", "no token", NULL), 200);
    test_vault_text(vault, "auth.entity_id", again, sizeof again);
    assert_string_equal(entity, again);
    test_vault_text(vault, "auth.client_token", token, sizeof token);
    assert_int_equal(test_vault_call(vault, "GET", "auth/token/lookup-self", token, NULL), 200);
    assert_true(test_vault_said(vault, "\"display_name\":\"unix-1000\""));
    assert_true(test_vault_said(vault, "\"path\":\"auth/unix/login\""));
    wants(204, NULL, "DELETE", "sys/auth/unix", NULL);
    assert_int_equal(test_vault_call(vault, "GET", "auth/token/lookup-self", token, NULL), 403);
}

/* A container's group is nobody's here, whatever was written of that number before. */
static void a_containers_group_gives_nothing(void **state)
{
    (void)state;
    const struct process process = {1000, {NOBODY, 28}};
    assert_int_equal(ask(&process, "POST", "auth/unix/login", NULL, NULL), 200);
    assert_true(test_vault_said(vault, "\"policies\":[\"audit\",\"default\",\"deploy\"]"));
}

/* What a login stands on goes while it is made. */
static void a_user_who_goes_meanwhile(void **state)
{
    (void)state;
    const struct process process = {1000, {1000}};
    const struct visit visits[] = {{"DELETE", "auth/unix/users/1000", NULL, NULL, 204}, {NULL}};
    meanwhile(vault, visits, NULL);
    assert_int_equal(ask(&process, "POST", "auth/unix/login", NULL, NULL), 400);
    assert_true(meanwhile_over());
}

static void a_group_that_gives_less_meanwhile(void **state)
{
    (void)state;
    const struct process process = {1001, {27}};
    const struct visit visits[] = {{"POST", "auth/unix/groups/27", NULL, "{\"policies\":\"less\"}", 204}, {NULL}};
    meanwhile(vault, visits, NULL);
    assert_int_equal(ask(&process, "POST", "auth/unix/login", NULL, NULL), 200);
    assert_true(meanwhile_over());
    assert_true(test_vault_said(vault, "\"policies\":[\"default\",\"less\"]"));
}

/* ---- users and groups ---- */

static const char *const no_ids[] = {"07",    "00",         "-1",         "+1",     "1.0", "0x7", "bob",
                                     "65534", "4294967295", "4294967296", "99999999999", "1000000000000000000000"};

static void numbers_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof no_ids / sizeof no_ids[0]; i++) {
        char path[TEXT];
        (void)snprintf(path, sizeof path, "auth/unix/users/%s", no_ids[i]);
        wants(400, "\\\"uid\\\" is a number", "POST", path, "{\"policies\":\"p\"}");
        wants(400, "\\\"uid\\\" is a number", "GET", path, NULL);
        (void)snprintf(path, sizeof path, "auth/unix/groups/%s", no_ids[i]);
        wants(400, "\\\"gid\\\" is a number", "POST", path, "{\"policies\":\"p\"}");
        wants(400, "\\\"gid\\\" is a number", "DELETE", path, NULL);
    }
    wants(204, NULL, "POST", "auth/unix/users/4294967294", "{\"policies\":\"p\"}");
}

static void are_kept(void **state)
{
    (void)state;
    wants(200, "\"keys\":[\"0\",\"1000\"]", "LIST", "auth/unix/users", NULL);
    wants(200, "\"keys\":[\"27\",\"28\"]", "LIST", "auth/unix/groups", NULL);
    wants(200, "\"policies\":[\"deploy\",\"operate\"]", "GET", "auth/unix/groups/27", NULL);
    wants(404, NULL, "GET", "auth/unix/users/27", NULL); /* a user is no group */
    wants(204, NULL, "POST", "auth/unix/users/1000", "{}");
    wants(200, "\"policies\":[\"deploy\"]", "GET", "auth/unix/users/1000", NULL);
    wants(204, NULL, "POST", "auth/unix/users/1000", "{\"token_policies\":\"b,a\"}");
    wants(200, "\"policies\":[\"a\",\"b\"]", "GET", "auth/unix/users/1000", NULL);
    wants(400, "root", "POST", "auth/unix/users/1000", "{\"policies\":\" ROOT\"}");
    wants(204, NULL, "DELETE", "auth/unix/groups/28", NULL);
    wants(204, NULL, "DELETE", "auth/unix/groups/28", NULL);
    wants(404, NULL, "GET", "auth/unix/groups/28", NULL);
}

static void goes_with_its_mount(void **state)
{
    (void)state;
    assert_int_equal(test_vault_rows(vault, TABLE_NAMED), 4);
    wants(204, NULL, "DELETE", "sys/auth/unix", NULL);
    (void)test_vault_tidy(vault);
    assert_int_equal(test_vault_rows(vault, TABLE_NAMED), 0);
}

/* ---- renewals ---- */

static const struct renewal_row {
    const char *name;
    struct process process;
    const char *method, *path, *body; /* what happens before; NULL: nothing */
    unsigned status;
    const char *says;
} renewals[] = {
    {"the same", {1000, {100, 27}}, NULL, NULL, NULL, 200, "\"renewable\":true"},
    {"another of the user's processes", {1000, {27, 100, 99}}, NULL, NULL, NULL, 200, "\"renewable\":true"},
    {"another user in the same groups", {1001, {100, 27}}, NULL, NULL, NULL, 403, "permission denied"},
    {"root", {0, {100, 27}}, NULL, NULL, NULL, 403, "permission denied"},
    {"over TCP", {1000, {100, 27}, true}, NULL, NULL, NULL, 400, "the vault's Unix socket alone"},
    {"out of the group", {1000, {100}}, NULL, NULL, NULL, 500, "policies have changed, not renewing"},
    {"in one more group", {1000, {100, 27, 28}}, NULL, NULL, NULL, 500, "policies have changed, not renewing"},
    {"the group gives something else", {1000, {100, 27}}, "POST", "auth/unix/groups/27", "{\"policies\":\"x\"}", 500, "policies have changed"},
    {"neither is there any more", {1000, {100}}, "DELETE", "auth/unix/users/1000", NULL, 204, NULL},
};

static void renews(void **state)
{
    const struct renewal_row *row = *state;
    const struct process first = {1000, {100, 27}};
    char token[TEXT];
    assert_int_equal(ask(&first, "POST", "auth/unix/login", NULL, NULL), 200);
    test_vault_text(vault, "auth.client_token", token, sizeof token);
    if (row->method != NULL)
        wants(204, NULL, row->method, row->path, row->body);
    unsigned status = ask(&row->process, "POST", "auth/token/renew-self", token, NULL);
    if (status != row->status || (row->says != NULL && !test_vault_said(vault, row->says)))
        fail_msg("wanted %u and %s, got %u: %s", row->status, row->says, status, vault->body);
}

int main(int argc, char **argv)
{
#define N(rows)  (sizeof(rows) / sizeof(rows)[0])
#define TEST(f)  cmocka_unit_test_setup_teardown(f, make, end)
    static const struct CMUnitTest others[] = {
        TEST(what_a_login_answers), TEST(a_containers_group_gives_nothing), TEST(numbers_alone),
        TEST(are_kept),             TEST(goes_with_its_mount),               TEST(a_user_who_goes_meanwhile),
        TEST(a_group_that_gives_less_meanwhile),
    };
    static struct CMUnitTest tests[N(logins) + N(renewals) + N(others)];
    size_t n = 0;
    for (size_t i = 0; i < N(logins); i++)
        tests[n++] = (struct CMUnitTest){logins[i].name, logs_in, make, end, (void *)(uintptr_t)&logins[i]};
    for (size_t i = 0; i < N(renewals); i++)
        tests[n++] = (struct CMUnitTest){renewals[i].name, renews, make, end, (void *)(uintptr_t)&renewals[i]};
    for (size_t i = 0; i < N(others); i++)
        tests[n++] = others[i];
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("unix logins", tests, NULL, NULL);
}
