/* Who asked, where not all are remembered who changed him or a login of his: each approver may be one of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "lib/log.h"
#include "tests/support/vault.h"

#define TEXT 256u
#define ALL  "path \"*\" { capabilities = [\"create\", \"read\", \"update\", \"delete\", \"sudo\"] }"

enum { BOB, ANN, PEOPLE };
static const char *const names[PEOPLE] = {"bob", "ann"};

struct people {
    struct test_vault *vault;
    char tokens[PEOPLE][TEXT], entities[PEOPLE][TEXT];
    char nameless[TEXT]; /* a token that may do all, of nobody */
};

static void wants(struct people *p, const char *token, unsigned status, const char *says, const char *path,
                  const char *body)
{
    unsigned got = test_vault_call(p->vault, "POST", path, token, body);
    if (got != status || (says != NULL && !test_vault_said(p->vault, says)))
        fail_msg("%s: wanted %u and %s, got %u: %s", path, status, says == NULL ? "any text" : says, got,
                 p->vault->body);
}

static void log_in(struct people *p, unsigned who)
{
    char path[TEXT];
    (void)snprintf(path, sizeof path, "auth/userpass/users/%s", names[who]);
    wants(p, p->vault->root, 204, NULL, path, "{\"password\":\"long enough\",\"policies\":\"all\"}");
    (void)snprintf(path, sizeof path, "auth/userpass/login/%s", names[who]);
    wants(p, NULL, 200, NULL, path, "{\"password\":\"long enough\"}");
    test_vault_text(p->vault, "auth.client_token", p->tokens[who], sizeof p->tokens[who]);
    test_vault_text(p->vault, "auth.entity_id", p->entities[who], sizeof p->entities[who]);
}

/* Ann approves; bob has asked, and nobody has approved it yet. */
static void make_people(struct people *p, char *ret_id)
{
    char body[2 * TEXT];
    p->vault = test_vault_new(true);
    const char *root = p->vault->root;
    (void)test_vault_call(p->vault, "POST", "sys/auth/userpass", root, "{\"type\":\"userpass\"}");
    test_vault_token(p->vault, "all", ALL, p->nameless, sizeof p->nameless);
    for (unsigned i = 0; i < PEOPLE; i++)
        log_in(p, i);
    (void)snprintf(body, sizeof body, "{\"name\":\"approvers\",\"member_entity_ids\":[\"%s\"]}", p->entities[ANN]);
    wants(p, root, 200, NULL, "identity/group", body);
    wants(p, root, 200, NULL, "sys/approvals/rules/secrets", "{\"paths\":\"secret/data/*\",\"group\":\"approvers\"}");
    p->vault->now_ms += 1000;
    wants(p, p->tokens[BOB], 202, NULL, "secret/data/a", "{\"data\":{\"k\":\"v\"}}");
    test_vault_text(p->vault, "data.approval_id", ret_id, TEXT);
    p->vault->now_ms += 1000;
}

static void change_bob(struct people *p, const char *token)
{
    char path[2 * TEXT];
    (void)snprintf(path, sizeof path, "identity/entity/id/%s", p->entities[BOB]);
    wants(p, token, 204, NULL, path, "{\"metadata\":{\"k\":\"v\"}}");
}

static void nobody_approves(struct people *p, const char *id)
{
    char approve[2 * TEXT];
    (void)snprintf(approve, sizeof approve, "sys/approvals/requests/%s/approve", id);
    wants(p, p->tokens[ANN], 403, "was changed by more people than are remembered", approve, NULL);
    wants(p, p->tokens[ANN], 403, "only break-glass lets it pass", approve, NULL);
}

static void who_was_changed_by_nobody_known(void **state)
{
    (void)state;
    struct people p = {0};
    char id[TEXT];
    make_people(&p, id);
    change_bob(&p, p.nameless);
    nobody_approves(&p, id);
    test_vault_free(p.vault);
}

/* An approval that was given before does not count either. */
static void who_was_changed_since_it_was_approved(void **state)
{
    (void)state;
    struct people p = {0};
    char id[TEXT], path[2 * TEXT];
    make_people(&p, id);
    (void)snprintf(path, sizeof path, "sys/approvals/requests/%s/approve", id);
    wants(&p, p.tokens[ANN], 200, NULL, path, NULL);
    change_bob(&p, p.nameless);
    (void)snprintf(path, sizeof path, "sys/approvals/mine/%s/finish", id);
    wants(&p, p.tokens[BOB], 403, "0 of the 1 approvals", path, NULL);
    test_vault_free(p.vault);
}

/* Root is who it says. */
static void who_was_changed_by_root(void **state)
{
    (void)state;
    struct people p = {0};
    char id[TEXT], path[2 * TEXT];
    make_people(&p, id);
    change_bob(&p, p.vault->root);
    (void)snprintf(path, sizeof path, "sys/approvals/requests/%s/approve", id);
    wants(&p, p.tokens[ANN], 200, NULL, path, NULL);
    test_vault_free(p.vault);
}

int main(void)
{
    kt_log_set_level(KT_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_was_changed_by_nobody_known),
        cmocka_unit_test(who_was_changed_since_it_was_approved),
        cmocka_unit_test(who_was_changed_by_root),
    };
    return cmocka_run_group_tests_name("approvers", tests, NULL, NULL);
}
