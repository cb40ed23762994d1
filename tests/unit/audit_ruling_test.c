/* A refusal tells the auditor which rule of which policy decided, and the asker only that it was one:
 * each row is a request, what its newest record says, and what its answer does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/support/vault.h"
#include "vaultd/audit/audit.h"

#define ALLOWED(name)                                                                              \
    "\"policy_results\":{\"allowed\":true,\"granting_policies\":[{\"name\":\"" name                \
    "\",\"namespace_id\":\"root\",\"type\":\"acl\"}]}"
#define BY(pattern) "\"policy_results\":{\"allowed\":false,\"pattern\":\"" pattern "\",\"policies\":"

static const char policy[] =
    "path \"secret/data/*\" { capabilities = [\"read\", \"update\"] }\n"
    "path \"secret/data/hidden/*\" { capabilities = [\"deny\"] }\n"
    "path \"secret/data/narrow\" { capabilities = [\"update\"] required_parameters = [\"ttl\"] }\n"
    "path \"sys/seal\" { capabilities = [\"update\"] }\n"
    "path \"auth/token/lookup-self\" { capabilities = [\"read\"] }\n";

/* clang-format off */
static const struct row {
    const char *name, *method, *path, *body;
    unsigned status;
    const char *records; /* in the request's own record */
} rows[] = {
    {"an explicit deny", "GET", "secret/data/hidden/x", NULL, 403,
     BY("secret/data/hidden/*") "[\"watched\"],\"reason\":\"the deciding pattern denies\"}"},
    {"a capability that is missing", "DELETE", "secret/data/a", NULL, 403,
     BY("secret/data/*") "[\"watched\"],\"reason\":\"the deciding pattern does not grant this capability\"}"},
    {"create where only update is granted", "POST", "secret/data/new", "{\"data\":{}}", 403,
     BY("secret/data/*") "[\"watched\"],\"reason\":\"the deciding pattern does not grant this capability\"}"},
    {"parameters", "POST", "secret/data/narrow", "{\"data\":{}}", 403,
     BY("secret/data/narrow") "[\"watched\"],\"reason\":\"the deciding pattern does not allow these parameters\"}"},
    {"sudo", "PUT", "sys/seal", NULL, 403,
     BY("sys/seal") "[\"watched\"],\"reason\":\"the deciding pattern does not grant sudo, which this path needs\"}"},
    {"nothing matches", "GET", "sys/mounts", NULL, 403,
     "\"policy_results\":{\"allowed\":false,\"reason\":\"no pattern matches\"}"},
    {"a path that is not there", "GET", "nowhere/x", NULL, 403,
     "\"policy_results\":{\"allowed\":false,\"reason\":\"no pattern matches\"}"},
    {"a list that is denied without its slash", "LIST", "secret/data/hidden/x", NULL, 403, BY("secret/data/hidden/*")},
    {"a read that is granted", "GET", "secret/data/a", NULL, 200, ALLOWED("watched")},
    {"two policies grant it", "GET", "auth/token/lookup-self", NULL, 200,
     "\"granting_policies\":[{\"name\":\"default\",\"namespace_id\":\"root\",\"type\":\"acl\"},{\"name\":\"watched\""},
    {"an error after it was granted", "GET", "secret/data/none", NULL, 404, ALLOWED("watched")},
    {"a write's attempt", "POST", "secret/data/a", "{\"data\":{}}", 200, ALLOWED("watched")},
    {"no policy is asked", "GET", "sys/internal/ui/mounts", NULL, 200, NULL},
    {"a token that is none", "GET", "secret/data/a", NULL, 403, NULL},
};
/* clang-format on */

/* All records of the last call, one a line. */
static void records_of_last(struct test_vault *vault, struct kt_buf *out)
{
    struct audit_status status;
    kt_autobuf struct kt_buf all;
    kt_buf_init(&all, 1 << 22);
    audit_status(vault->core->audit, &status);
    uint64_t from = status.size > 4 ? status.size - 4 : 0, next = 0;
    assert_int_equal(audit_export(vault->core->audit, from, UINT64_MAX, 1 << 22, &all, &next, NULL),
                     KT_OK);
    const char *end = NULL;
    for (const char *line = kt_buf_text(&all); *line != '\0'; line = end + 1) {
        end = strchr(line, '\n');
        const char *id = strstr(line, vault->id);
        if (id != NULL && id < end)
            kt_buf_add(out, line, (size_t)(end + 1 - line));
    }
}

static void is_told(void **state)
{
    const struct row *row = *state;
    struct test_vault *vault = test_vault_new(true);
    char token[256];
    kt_autobuf struct kt_buf records;
    kt_buf_init(&records, 1 << 16);
    test_vault_token(vault, "watched", policy, token, sizeof token);
    static const char *const there[] = {"secret/data/a", "secret/data/narrow", "secret/data/hidden/x"};
    for (size_t i = 0; i < sizeof there / sizeof there[0]; i++)
        assert_int_equal(test_vault_call(vault, "POST", there[i], vault->root, "{\"data\":{}}"), 200);
    bool none = strcmp(row->name, "a token that is none") == 0;
    unsigned status =
        test_vault_call(vault, row->method, row->path, none ? "hvs.none" : token, row->body);
    if (status != row->status)
        fail_msg("%u: %s", status, vault->body);
    records_of_last(vault, &records);
    const char *text = kt_buf_text(&records);
    assert_non_null(strstr(text, "\"path\""));
    if (row->records == NULL && strstr(text, "policy_results") != NULL)
        fail_msg("a ruling in %s", text);
    if (row->records != NULL && strstr(text, row->records) == NULL)
        fail_msg("no %s in %s", row->records, text);
    if (row->status == 403) {
        static const char *const kept[] = {"secret", "watched", "pattern", "sudo", "capability"};
        for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
            if (test_vault_said(vault, kept[i]))
                fail_msg("'%s' in %s", kept[i], vault->body);
        assert_true(test_vault_said(vault, "permission denied"));
    }
    test_vault_free(vault);
}

#define N_ROWS (sizeof rows / sizeof rows[0])

int main(int argc, char **argv)
{
    struct CMUnitTest tests[N_ROWS];
    for (size_t i = 0; i < N_ROWS; i++)
        tests[i] = (struct CMUnitTest){.name = rows[i].name,
                                       .test_func = is_told,
                                       .initial_state = (void *)(uintptr_t)&rows[i]};
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return _cmocka_run_group_tests("audit_ruling", tests, N_ROWS, NULL, NULL);
}
