/* Changes that need the approval of others: kept whole, approved by people who are nobody's puppets, carried
 * out once by whoever asked, with what he may then; and no way round by another row.
 * Of other vaults' bugs 0.10.4 (2018): one authoriser was counted twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/log.h"
#include "tests/support/hearing.h"
#include "tests/support/meanwhile.h"
#include "tests/support/access.h"
#include "tests/support/one_vault.h"
#include "tests/support/routes.h"
#include "vaultd/approval/approvals.h"
#include "vaultd/approval/tidy.h"

/* Rows leave out what they do not need. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define TEXT   256u
#define ID     40u
#define LATER  1000
#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])
#define POLICY "{\"policy\":\"path \\\"x\\\" {capabilities=[\\\"read\\\"]}\"}"
#define ALL    "{\"policy\":\"path \\\"*\\\" {capabilities=[\\\"create\\\",\\\"read\\\",\\\"update\\\",\\\"patch\\\",\\\"delete\\\"," \
               "\\\"list\\\",\\\"sudo\\\"]}\"}"

/* Bob asks; tom, ann and carl are in the group; eve is not. */
enum { BOB, TOM, ANN, CARL, EVE, PEOPLE };
static const char *const names[PEOPLE] = {"bob", "tom", "ann", "carl", "eve"};
static char tokens[PEOPLE][TEXT], entities[PEOPLE][ID];
static char group_id[ID];
static unsigned damaged; /* as the last tidying says */

/* ---- asking ---- */

static void wants_as(const char *token, unsigned status, const char *says, const char *method, const char *path,
                     const char *body)
{
    unsigned got = test_vault_call(vault, method, path, token, body);
    if (got != status || (says != NULL && !test_vault_said(vault, says)))
        fail_msg("%s %s: wanted %u and %s, got %u: %s", method, path, status, says == NULL ? "any text" : says, got,
                 vault->body);
}

static void wants(unsigned status, const char *says, const char *method, const char *path, const char *body)
{
    wants_as(vault->root, status, says, method, path, body);
}

static unsigned local(uint32_t uid, const char *method, const char *path, const char *token, const char *body)
{
    static const struct peer_groups none = {0};
    char target[TEXT];
    (void)snprintf(target, sizeof target, "/v1/%s", path);
    const struct test_request request = {.method = kt_str(method),
                                         .target = kt_str(target),
                                         .token = kt_str(token),
                                         .body = kt_str(body),
                                         .local = true,
                                         .uid = uid,
                                         .groups = &none};
    return test_vault_ask(vault, &request);
}

static void log_in(unsigned who)
{
    assert_int_equal(local(1000 + who, "POST", "auth/unix/login", NULL, NULL), 200);
    test_vault_text(vault, "auth.client_token", tokens[who], sizeof tokens[who]);
    test_vault_text(vault, "auth.entity_id", entities[who], sizeof entities[who]);
}

static void later(void)
{
    vault->now_ms += LATER;
}

static const char *path_of(const char *id, const char *verb)
{
    static char path[TEXT];
    (void)snprintf(path, sizeof path, "sys/approvals/requests/%s%s", id, verb);
    return path;
}

static const char *mine_of(const char *id, const char *verb)
{
    static char path[TEXT];
    (void)snprintf(path, sizeof path, "sys/approvals/mine/%s%s", id, verb);
    return path;
}

static void make_rule(const char *name, const char *paths, unsigned needed)
{
    char path[TEXT], body[TEXT];
    (void)snprintf(path, sizeof path, "sys/approvals/rules/%s", name);
    (void)snprintf(body, sizeof body, "{\"paths\":\"%s\",\"group\":\"approvers\",\"needed\":%u}", paths, needed);
    unsigned status = test_vault_call(vault, "POST", path, vault->root, body);
    assert_true(status == 204 || status == 200); /* with a warning */
}

static void make_people(void)
{
    char path[TEXT], body[TEXT];
    wants(204, NULL, "POST", "sys/policies/acl/all", ALL);
    (void)test_vault_call(vault, "POST", "sys/auth/unix", vault->root, "{\"type\":\"unix\"}");
    for (unsigned i = 0; i < PEOPLE; i++) {
        (void)snprintf(path, sizeof path, "auth/unix/users/%u", 1000 + i);
        wants(204, NULL, "POST", path, "{\"policies\":\"all\"}");
        log_in(i);
        (void)snprintf(path, sizeof path, "identity/entity/id/%s", entities[i]);
        (void)snprintf(body, sizeof body, "{\"name\":\"%s\"}", names[i]);
        wants(204, NULL, "POST", path, body);
    }
    (void)snprintf(body, sizeof body, "{\"name\":\"approvers\",\"member_entity_ids\":[\"%s\",\"%s\",\"%s\"]}",
                   entities[TOM], entities[ANN], entities[CARL]);
    wants(200, NULL, "POST", "identity/group", body);
    test_vault_text(vault, "data.id", group_id, sizeof group_id);
    later();
}

static int make_scene(void **state)
{
    (void)make(state);
    make_people();
    return 0;
}

/* Bob's request, which waits; its id. */
static void ask(char id[ID], const char *method, const char *path, const char *body)
{
    wants_as(tokens[BOB], 202, "\"state\":\"waiting\"", method, path, body);
    test_vault_text(vault, "data.approval_id", id, ID);
    assert_string_equal(id, vault->id);
    later();
}

static void ask_policy(char id[ID])
{
    ask(id, "POST", "sys/policies/acl/guarded", POLICY);
}

static void approve(unsigned who, const char *id)
{
    wants_as(tokens[who], 200, "\"approvals\":[{", "POST", path_of(id, "/approve"), NULL);
}

static void no_policy(void)
{
    wants(404, NULL, "GET", "sys/policies/acl/guarded", NULL);
}

/* ---- rotations ---- */

static void rotated(unsigned version)
{
    char text[TEXT];
    (void)snprintf(text, sizeof text, "\"version\":%u", version);
    wants(200, text, "GET", "secret/data/api", NULL);
}

/* 1 of 2: it stays. Who asked approves nothing. The plan has changed: approvals are void. 72 hours: over. */
static void a_rotation(void **state)
{
    (void)state;
    char id[ID];
    wants(200, NULL, "POST", "secret/data/api", "{\"data\":{\"password\":\"first\"}}");
    wants(204, NULL, "POST", "rotation/secrets/secret/api", "{}");
    make_rule("rotations", "rotation/rotate/*", 2);
    ask(id, "POST", "rotation/rotate/secret/api", "{\"reason\":\"yearly\"}");
    wants_as(tokens[TOM], 200, "\"about\":\"secret/api, version 1, generate\"", "GET", path_of(id, ""), NULL);
    wants_as(tokens[BOB], 403, "nobody approves what he asked for", "POST", path_of(id, "/approve"), NULL);
    approve(TOM, id);
    wants_as(tokens[BOB], 403, "1 of the 2 approvals", "POST", mine_of(id, "/finish"), NULL);
    approve(ANN, id);
    wants(204, NULL, "POST", "rotation/secrets/secret/api", "{\"generator\":{\"length\":40}}");
    wants_as(tokens[BOB], 403, "the approvals are void: what it rests on has changed", "POST", mine_of(id, "/finish"),
             NULL);
    assert_true(test_vault_said(vault, "approvals withdraw"));
    rotated(1);
    /* It is again what they approved. */
    wants(204, NULL, "POST", "rotation/secrets/secret/api", "{\"generator\":{}}");
    wants_as(tokens[BOB], 200, "\"state\":\"done\"", "POST", mine_of(id, "/finish"), NULL);
    char run[ID], path[TEXT];
    test_vault_text(vault, "data.run", run, sizeof run);
    rotated(2);
    (void)snprintf(path, sizeof path, "rotation/runs/%s/report", run);
    wants(200, "approved by tom (", "GET", path, NULL);
    assert_true(test_vault_said(vault, "), ann ("));
    /* Of another version it is another one. */
    ask(id, "POST", "rotation/rotate/secret/api", "{}");
    approve(TOM, id);
    approve(CARL, id);
    wants(200, NULL, "POST", "secret/data/api", "{\"data\":{\"password\":\"by hand\"}}");
    wants_as(tokens[BOB], 403, "the approvals are void", "POST", mine_of(id, "/finish"), NULL);
    rotated(3);
    ask(id, "POST", "rotation/rotate/secret/api", "{}");
    approve(TOM, id);
    approve(ANN, id);
    vault->now_ms += (int64_t)APPROVAL_TTL_S * 1000;
    for (unsigned i = 0; i < PEOPLE; i++)
        log_in(i);
    wants_as(tokens[BOB], 410, "any more: expired", "POST", mine_of(id, "/finish"), NULL);
    rotated(3);
}

static struct people *people;

static int make_telling(void **state)
{
    people = people_of(2);
    people->channels.arg = people;
    *state = vault = test_vault_telling(NULL, &people->channels, NULL);
    make_people();
    return 0;
}

static void tidy_up(void)
{
    assert_int_equal(approvals_tidy(vault->core, &damaged, NULL), KT_OK);
}

/* Once when it is asked for, once when its time is over; not of what was denied. Who names a channel for the secret
 * has it told there. */
static void people_are_told(void **state)
{
    (void)state;
    char id[ID], denied[ID], body[TEXT];
    wants(200, NULL, "POST", "secret/data/api", "{\"data\":{\"password\":\"first-value\"}}");
    wants(204, NULL, "POST", "rotation/secrets/secret/api", "{\"notify\":\"dba\"}");
    make_rule("rotations", "rotation/rotate/*,rotation/pause", 2);
    ask(id, "POST", "rotation/rotate/secret/api", "{\"reason\":\"yearly\"}");
    soon_heard(people, "dba", "APPROVAL WANTED  bob asks for: update rotation/rotate/secret/api (secret/api, version 1, "
                              "generate); it needs 2 (rule \\\"rotations\\\")", 1);
    (void)snprintf(body, sizeof body, "\"next\":\"secretctl approvals show %s\"", id);
    assert_int_equal(heard(people, "dba", body), 1);
    /* What waits was not done: nobody hears that it was. */
    ask(denied, "POST", "rotation/pause", "{\"reason\":\"x\"}");
    soon_heard(people, "ops", "\"event\":\"approval_asked\"", 1);
    soon_heard(people, "dba", "\"event\":\"approval_asked\"", 2);
    wants_as(tokens[TOM], 200, NULL, "POST", path_of(denied, "/deny"), "{\"reason\":\"no\"}");
    tidy_up();
    vault->now_ms += (int64_t)APPROVAL_TTL_S * 1000;
    tidy_up();
    tidy_up();
    soon_heard(people, "dba", "NOT DONE  its time to be approved and carried out is over: bob asked for: update "
                              "rotation/rotate/secret/api", 1);
    tidy_up();
    assert_int_equal(heard(people, NULL, "PAUSED"), 0);
    assert_int_equal(heard(people, NULL, "approval_expired"), 1);
    assert_int_equal(heard(people, "ops", ""), 1);
    assert_int_equal(heard(people, NULL, "yearly"), 0);
}

/* ---- the way of a request ---- */

static void it_waits_and_is_carried_out_once(void **state)
{
    (void)state;
    char id[ID];
    make_rule("policies", "sys/policies/acl/*", 2);
    ask_policy(id);
    no_policy();
    wants_as(tokens[BOB], 403, "0 of the 2 approvals", "POST", mine_of(id, "/finish"), NULL);
    approve(TOM, id);
    wants_as(tokens[BOB], 403, "1 of the 2 approvals", "POST", mine_of(id, "/finish"), NULL);
    approve(TOM, id); /* again: he is one */
    wants_as(tokens[BOB], 403, "1 of the 2 approvals", "POST", mine_of(id, "/finish"), NULL);
    approve(ANN, id);
    no_policy();
    wants_as(tokens[TOM], 404, "no request of yours", "POST", mine_of(id, "/finish"), NULL);
    wants_as(tokens[BOB], 204, NULL, "POST", mine_of(id, "/finish"), NULL);
    wants(200, "capabilities", "GET", "sys/policies/acl/guarded", NULL);
    wants_as(tokens[BOB], 410, "any more: done", "POST", mine_of(id, "/finish"), NULL);
    wants_as(tokens[CARL], 410, "any more: done", "POST", path_of(id, "/approve"), NULL);
    wants_as(tokens[BOB], 200, "\"state\":\"done\"", "GET", mine_of(id, ""), NULL);
    assert_int_equal(test_vault_rows(vault, TABLE_APPROVAL), 1); /* what was sent is gone */
}

static void it_lives_through_a_restart(void **state)
{
    (void)state;
    char id[ID];
    make_rule("policies", "sys/policies/acl/*", 1);
    ask_policy(id);
    test_vault_reseal(vault);
    approve(TOM, id);
    test_vault_reseal(vault);
    wants_as(tokens[BOB], 204, NULL, "POST", mine_of(id, "/finish"), NULL);
    wants(200, "capabilities", "GET", "sys/policies/acl/guarded", NULL);
}

static void an_answer_is_the_askers(void **state)
{
    (void)state;
    char id[ID], token[TEXT];
    make_rule("tokens", "auth/token/create", 1);
    ask(id, "POST", "auth/token/create", "{\"policies\":\"all\",\"ttl\":\"1h\"}");
    approve(TOM, id);
    assert_false(test_vault_said(vault, "hvs."));
    wants_as(tokens[BOB], 200, "\"client_token\"", "POST", mine_of(id, "/finish"), NULL);
    test_vault_text(vault, "auth.client_token", token, sizeof token);
    wants_as(token, 200, NULL, "GET", "auth/token/lookup-self", NULL);
}

/* As it was asked for, whatever the request that carries it out says. */
static void an_answer_is_wrapped_as_it_was_asked_for(void **state)
{
    (void)state;
    char id[ID];
    make_rule("tokens", "auth/token/create", 1);
    const struct test_request request = {.method = kt_str("POST"),
                                         .target = kt_str("/v1/auth/token/create"),
                                         .token = kt_str(tokens[BOB]),
                                         .body = kt_str("{\"policies\":\"all\"}"),
                                         .wrap_ttl = kt_str("5m")};
    assert_int_equal(test_vault_ask(vault, &request), 202);
    test_vault_text(vault, "data.approval_id", id, ID);
    later();
    approve(TOM, id);
    wants_as(tokens[BOB], 200, "\"ttl\":300,", "POST", mine_of(id, "/finish"), NULL);
    assert_false(test_vault_said(vault, "\"client_token\""));
}

static void a_request_that_would_fail_is_not_kept(void **state)
{
    (void)state;
    make_rule("policies", "sys/policies/acl/*", 1);
    wants_as(tokens[BOB], 400, "failed to parse policy", "POST", "sys/policies/acl/guarded",
             "{\"policy\":\"path {\"}");
    wants_as(tokens[BOB], 200, NULL, "GET", "sys/policies/acl/all", NULL);
    assert_int_equal(test_vault_rows(vault, TABLE_APPROVAL), 0);
}

/* Nothing to tidy: nothing is written, each minute anew. */
static void generation_is_quiet(void)
{
    struct store_status before, after;
    store_status(vault->store, &before);
    assert_int_equal(approvals_tidy(vault->core, &damaged, NULL), KT_OK);
    store_status(vault->store, &after);
    assert_int_equal(before.at, after.at);
}

static void deny_withdraw_expire(void **state)
{
    (void)state;
    char id[ID];
    make_rule("policies", "sys/policies/acl/*", 1);
    ask_policy(id);
    wants_as(tokens[TOM], 400, "reason", "POST", path_of(id, "/deny"), "{}");
    wants_as(tokens[EVE], 403, "not a direct member", "POST", path_of(id, "/deny"), "{\"reason\":\"mine\"}");
    wants_as(tokens[TOM], 200, "\"state\":\"denied\"", "POST", path_of(id, "/deny"), "{\"reason\":\"too wide\"}");
    wants_as(tokens[ANN], 404, NULL, "LIST", "sys/approvals/requests", NULL);
    wants_as(tokens[BOB], 200, "\"state\":\"denied\"", "LIST", "sys/approvals/mine", NULL);
    wants_as(tokens[BOB], 410, "denied by tom: too wide", "POST", mine_of(id, "/finish"), NULL);
    wants_as(tokens[ANN], 410, "denied by tom: too wide", "POST", path_of(id, "/approve"), NULL);
    ask_policy(id);
    wants_as(tokens[TOM], 404, NULL, "DELETE", mine_of(id, ""), NULL);
    wants_as(tokens[BOB], 204, NULL, "DELETE", mine_of(id, ""), NULL);
    wants_as(tokens[BOB], 410, "withdrawn", "POST", mine_of(id, "/finish"), NULL);
    ask_policy(id);
    approve(TOM, id);
    for (unsigned i = 0; i < 73; i++)
        vault->now_ms += 3600000;
    log_in(BOB);
    log_in(ANN);
    assert_int_equal(test_vault_rows(vault, TABLE_APPROVAL), 4); /* three, and what the last one sent */
    assert_int_equal(approvals_tidy(vault->core, &damaged, NULL), KT_OK);
    assert_int_equal(test_vault_rows(vault, TABLE_APPROVAL), 3);
    wants_as(tokens[ANN], 410, "expired", "POST", path_of(id, "/approve"), NULL);
    wants_as(tokens[BOB], 410, "expired", "POST", mine_of(id, "/finish"), NULL);
    no_policy();
    for (unsigned i = 0; i < 7 * 24 + 1; i++)
        vault->now_ms += 3600000;
    assert_int_equal(approvals_tidy(vault->core, &damaged, NULL), KT_OK);
    assert_int_equal(test_vault_rows(vault, TABLE_APPROVAL), 0);
    generation_is_quiet();
}

static void a_new_login_of_the_same_person_carries_it_out(void **state)
{
    (void)state;
    char id[ID];
    make_rule("policies", "sys/policies/acl/*", 1);
    ask_policy(id);
    approve(TOM, id);
    wants_as(tokens[BOB], 204, NULL, "POST", "auth/token/revoke-self", NULL);
    wants_as(tokens[BOB], 403, NULL, "POST", mine_of(id, "/finish"), NULL);
    log_in(BOB);
    wants_as(tokens[BOB], 204, NULL, "POST", mine_of(id, "/finish"), NULL);
}

/* ---- his rights as they are then ---- */

static void rights_are_those_of_then(void **state)
{
    (void)state;
    char id[ID];
    make_rule("guarded", "sys/policies/acl/guarded", 1);
    ask_policy(id);
    approve(TOM, id);
    wants(204, NULL, "POST", "sys/policies/acl/all", "{\"policy\":\"path \\\"none\\\" {capabilities=[\\\"read\\\"]}\"}");
    wants_as(tokens[BOB], 403, "permission denied", "POST", mine_of(id, "/finish"), NULL);
    no_policy();
    wants(204, NULL, "POST", "sys/policies/acl/all", ALL);
    wants_as(tokens[BOB], 204, NULL, "POST", mine_of(id, "/finish"), NULL);
}

/* Who approved, and is disabled or no member any more, has not. */
static void approvers_are_those_of_then(void **state)
{
    (void)state;
    char id[ID], path[TEXT], change[ID];
    make_rule("policies", "sys/policies/acl/*", 1);
    ask_policy(id);
    approve(TOM, id);
    (void)snprintf(path, sizeof path, "identity/entity/id/%s", entities[TOM]);
    ask(change, "POST", path, "{\"disabled\":true}");
    approve(ANN, change);
    wants_as(tokens[BOB], 204, NULL, "POST", mine_of(change, "/finish"), NULL);
    wants_as(tokens[BOB], 403, "0 of the 1", "POST", mine_of(id, "/finish"), NULL);
    wants_as(tokens[TOM], 403, NULL, "POST", path_of(id, "/approve"), NULL);
}

static void a_rule_that_came_later_counts(void **state)
{
    (void)state;
    char id[ID];
    make_rule("policies", "sys/policies/acl/*", 1);
    ask_policy(id);
    approve(TOM, id);
    make_rule("more", "sys/policies/acl/guarded", 2);
    wants_as(tokens[BOB], 403, "1 of the 2 approvals that the rule \\\"more\\\"", "POST", mine_of(id, "/finish"), NULL);
    approve(ANN, id);
    wants_as(tokens[BOB], 204, NULL, "POST", mine_of(id, "/finish"), NULL);
}

/* Of another group than that of when it was asked; by whichever row it is meant. */
static void a_later_rules_group_has_a_say(void **state)
{
    (void)state;
    char id[ID], body[TEXT];
    make_rule("policies", "sys/policies/acl/*", 1);
    (void)snprintf(body, sizeof body, "{\"name\":\"auditors\",\"member_entity_ids\":[\"%s\",\"%s\"]}", entities[EVE],
                   entities[ANN]);
    wants(200, NULL, "POST", "identity/group", body);
    later();
    ask(id, "POST", "sys/policy/guarded", POLICY);
    wants_as(tokens[EVE], 403, "you are not a direct member", "POST", path_of(id, "/approve"), NULL);
    approve(TOM, id);
    unsigned status = test_vault_call(vault, "POST", "sys/approvals/rules/more", vault->root,
                                      "{\"paths\":\"sys/policies/acl/guarded\",\"group\":\"auditors\"}");
    assert_in_range(status, 200, 204);
    wants_as(tokens[BOB], 403, "0 of the 1 approvals that the rule \\\"more\\\"", "POST", mine_of(id, "/finish"), NULL);
    approve(EVE, id);
    wants_as(tokens[BOB], 204, NULL, "POST", mine_of(id, "/finish"), NULL);
    ask(id, "POST", "sys/policies/acl/elsewhere", POLICY);
    wants_as(tokens[EVE], 403, "you are not a direct member", "POST", path_of(id, "/approve"), NULL);
}

/* Whom an approver made, or changed, asks in his stead. */
static void no_approver_of_what_his_creature_asks(void **state)
{
    (void)state;
    char id[ID], path[TEXT];
    make_rule("policies", "sys/policies/acl/*", 1);
    (void)snprintf(path, sizeof path, "identity/entity/id/%s", entities[BOB]);
    wants_as(tokens[TOM], 204, NULL, "POST", path, "{\"metadata\":{\"k\":\"v\"}}");
    later();
    ask_policy(id);
    wants_as(tokens[TOM], 403, "made or changed by you", "POST", path_of(id, "/approve"), NULL);
    approve(ANN, id);
    wants_as(tokens[BOB], 204, NULL, "POST", mine_of(id, "/finish"), NULL);
}

/* What is done outside of the store, and would fail, is told at once; and what would do nothing waits for nobody. */
static void no_rekey_to_cancel(void **state)
{
    (void)state;
    make_rule("keys", "sys/rekey/*,sys/generate-root/*", 1);
    wants_as(tokens[BOB], 204, NULL, "DELETE", "sys/rekey/init?nonce=wrong", NULL);
    wants_as(tokens[BOB], 204, NULL, "DELETE", "sys/generate-root/attempt", NULL);
    wants_as(tokens[BOB], 400, NULL, "DELETE", "sys/rekey/verify?nonce=wrong", NULL);
    assert_int_equal(local(0, "POST", "sys/rekey/init", NULL, "{\"secret_shares\":1,\"secret_threshold\":1}"), 200);
    wants_as(tokens[BOB], 400, NULL, "DELETE", "sys/rekey/init?nonce=wrong", NULL);
    assert_int_equal(test_vault_rows(vault, TABLE_APPROVAL), 0);
    wants_as(tokens[BOB], 202, NULL, "DELETE", "sys/rekey/init", NULL);
}

/* He could make a way to log in, and somebody who asks. */
static void a_rule_that_approvers_can_go_round(void **state)
{
    (void)state;
    wants(200, "no rule is about sys/auth/*", "POST", "sys/approvals/rules/some",
          "{\"paths\":\"sys/policies/acl/*\",\"group\":\"approvers\"}");
    wants(204, NULL, "POST", "sys/approvals/rules/ways",
          "{\"paths\":\"sys/auth/*,auth/+/users/*\",\"group\":\"approvers\"}");
}

/* ---- who approves ---- */

static void nobody_who_should_not(void **state)
{
    (void)state;
    char id[ID], token[TEXT];
    make_rule("policies", "sys/policies/acl/*", 1);
    ask_policy(id);
    wants_as(tokens[BOB], 403, "nobody approves what he asked for", "POST", path_of(id, "/approve"), NULL);
    wants_as(tokens[EVE], 403, "not a direct member", "POST", path_of(id, "/approve"), NULL);
    wants(403, "root and tokens without an entity", "POST", path_of(id, "/approve"), NULL);
    wants_as(tokens[TOM], 200, NULL, "POST", "auth/token/create", "{}");
    test_vault_text(vault, "auth.client_token", token, sizeof token);
    wants_as(token, 403, "only who has logged in", "POST", path_of(id, "/approve"), NULL);
    wants_as(tokens[TOM], 200, NULL, "POST", "auth/token/create-orphan", "{\"policies\":\"all\"}");
    test_vault_text(vault, "auth.client_token", token, sizeof token);
    wants_as(token, 403, "without an entity", "POST", path_of(id, "/approve"), NULL);
    wants_as(tokens[BOB], 403, "0 of the 1", "POST", mine_of(id, "/finish"), NULL);
    wants(404, "no request with this id", "POST", path_of("none", "/approve"), NULL);
}

static void body_of_group(char *body, const char *const *ids, size_t n)
{
    size_t len = (size_t)snprintf(body, 1024, "{\"member_entity_ids\":[");
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(body + len, 1024 - len, "%s\"%s\"", i == 0 ? "" : ",", ids[i]);
    (void)snprintf(body + len, 1024 - len, "]}");
}

static void put_group(const char *token, const char *const *ids, size_t n)
{
    char path[TEXT], body[1024];
    (void)snprintf(path, sizeof path, "identity/group/id/%s", group_id);
    body_of_group(body, ids, n);
    wants_as(token, 204, NULL, "POST", path, body);
}

/* Before there was a rule bob prepared somebody: by name, by alias, by the group. */
static const struct puppet {
    const char *name;
    enum { BY_ENTITY, BY_ALIAS, BY_GROUP, YOUNGER, CHANGED } how;
    const char *says;
} puppets[] = {
    {"an entity that the asker changed", BY_ENTITY, "your entity is not older"},
    {"an alias that the asker changed", BY_ALIAS, "alias"},
    {"a group that the asker changed", BY_GROUP, "the group is not older"},
    {"an entity that was changed since", CHANGED, "your entity is not older"},
    {"a member since", YOUNGER, "the group is not older"},
};

static void find_alias(unsigned who, char out[ID])
{
    char path[TEXT];
    (void)snprintf(path, sizeof path, "identity/entity/id/%s", entities[who]);
    wants(200, NULL, "GET", path, NULL);
    const char *at = strstr(vault->body, "\"aliases\":[");
    const char *end = at == NULL ? NULL : strchr(at, ']');
    for (; at != NULL && at < end; at++)
        if (strncmp(at, "\"id\":\"", 6) == 0) {
            (void)snprintf(out, ID, "%.36s", at + 6);
            return;
        }
    fail_msg("no alias in %s", vault->body);
}

static void change_alias(const char *token)
{
    char path[TEXT], alias[ID];
    find_alias(TOM, alias);
    (void)snprintf(path, sizeof path, "identity/entity-alias/id/%s", alias);
    unsigned status = test_vault_call(vault, "POST", path, token, "{\"custom_metadata\":{\"k\":\"v\"}}");
    assert_in_range(status, 200, 204);
}

/* Eve has something changed, which ann approves. */
static void change(const char *method, const char *path, const char *body)
{
    char id[ID];
    wants_as(tokens[EVE], 202, NULL, method, path, body);
    test_vault_text(vault, "data.approval_id", id, sizeof id);
    later();
    approve(ANN, id);
    unsigned status = test_vault_call(vault, "POST", mine_of(id, "/finish"), tokens[EVE], NULL);
    assert_in_range(status, 200, 204);
    later();
}

static void no_puppets(void **state)
{
    const struct puppet *puppet = *state;
    char id[ID], path[TEXT], body[1024];
    (void)make_scene(state);
    const char *const members[] = {entities[TOM], entities[ANN], entities[CARL], entities[EVE]};
    (void)snprintf(path, sizeof path, "identity/entity/id/%s", entities[TOM]);
    if (puppet->how == BY_ENTITY)
        wants_as(tokens[BOB], 204, NULL, "POST", path, "{\"metadata\":{\"k\":\"v\"}}");
    if (puppet->how == BY_ALIAS)
        change_alias(tokens[BOB]);
    if (puppet->how == BY_GROUP)
        put_group(tokens[BOB], members, 3);
    later();
    make_rule("policies", "sys/policies/acl/*", 1);
    ask_policy(id);
    if (puppet->how == CHANGED)
        change("POST", path, "{\"metadata\":{\"k\":\"v\"}}");
    if (puppet->how == YOUNGER) {
        (void)snprintf(path, sizeof path, "identity/group/id/%s", group_id);
        body_of_group(body, members, 4);
        change("POST", path, body);
    }
    unsigned who = puppet->how == YOUNGER ? EVE : TOM;
    wants_as(tokens[who], 403, puppet->says, "POST", path_of(id, "/approve"), NULL);
    wants_as(tokens[who], 403, puppet->says, "POST", path_of(id, "/deny"), "{\"reason\":\"no\"}");
    wants_as(tokens[BOB], 403, "0 of the 1", "POST", mine_of(id, "/finish"), NULL);
    test_vault_free(vault);
}

/* Who has a say by one rule has none by another one, whose group the asker made. */
static void a_group_of_the_askers_counts_for_no_rule(void **state)
{
    (void)state;
    char id[ID], body[TEXT];
    (void)snprintf(body, sizeof body, "{\"name\":\"his\",\"member_entity_ids\":[\"%s\"]}", entities[TOM]);
    wants_as(tokens[BOB], 200, NULL, "POST", "identity/group", body);
    later();
    make_rule("a", "sys/policies/acl/*", 1);
    wants(200, NULL, "POST", "sys/approvals/rules/b", "{\"paths\":\"sys/policies/acl/guarded\",\"group\":\"his\"}");
    ask_policy(id);
    approve(TOM, id);
    wants_as(tokens[BOB], 403, "0 of the 1 approvals that the rule \\\"b\\\"", "POST", mine_of(id, "/finish"), NULL);
    no_policy();
    wants_as(tokens[EVE], 202, NULL, "POST", "sys/policies/acl/guarded", POLICY); /* of whom it is not */
    test_vault_text(vault, "data.approval_id", id, sizeof id);
    later();
    approve(TOM, id);
    wants_as(tokens[EVE], 204, NULL, "POST", mine_of(id, "/finish"), NULL);
}

/* ---- another way in ---- */

/* What a rule on a policy, on secrets below prod/ and on ways to log in is about, by every row that gets there. */
static const struct sibling {
    const char *name, *method, *path, *body, *type;
} siblings[] = {
    {"a policy", "POST", "sys/policies/acl/guarded", POLICY},
    {"put", "PUT", "sys/policies/acl/guarded", POLICY},
    {"in another case", "POST", "sys/policies/acl/GUARDED", POLICY},
    {"by its old row", "POST", "sys/policy/guarded", POLICY},
    {"by its old row, another case", "PUT", "sys/policy/Guarded", POLICY},
    {"deleted", "DELETE", "sys/policies/acl/guarded2", NULL},
    {"deleted by its old row", "DELETE", "sys/policy/guarded2", NULL},
    {"a secret", "POST", "secret/data/prod/a", "{\"data\":{\"k\":\"w\"}}"},
    {"a new one", "POST", "secret/data/prod/new", "{\"data\":{\"k\":\"w\"}}"},
    {"in part", "PATCH", "secret/data/prod/a", "{\"data\":{\"k\":\"w\"}}", "application/merge-patch+json"},
    {"deleted for now", "DELETE", "secret/data/prod/a", NULL},
    {"by version", "POST", "secret/delete/prod/a", "{\"versions\":[1]}"},
    {"destroyed", "POST", "secret/destroy/prod/a", "{\"versions\":[1]}"},
    {"its metadata", "POST", "secret/metadata/prod/a", "{\"max_versions\":3}"},
    {"its metadata in part", "PATCH", "secret/metadata/prod/a", "{\"max_versions\":3}",
     "application/merge-patch+json"},
    {"all of it", "DELETE", "secret/metadata/prod/a", NULL},
    {"copied over", "POST", "secret/copy/dev/a", "{\"to\":\"secret/prod/b\"}"},
    {"moved over", "POST", "secret/move/dev/a", "{\"to\":\"secret/prod/b\"}"},
    {"moved away", "POST", "secret/move/prod/a", "{\"to\":\"secret/dev/b\"}"},
    {"imported", "POST", "secret/import/prod/b", "{\"cas\":0,\"versions\":[{\"version\":1,\"data\":{\"k\":\"v\"}}]}"},
    {"all settings of its mount", "POST", "secret/config", "{\"max_versions\":1}"},
    {"its mount moved", "POST", "sys/remount", "{\"from\":\"secret\",\"to\":\"elsewhere\"}"},
    {"its mount removed", "DELETE", "sys/mounts/secret", NULL},
    {"a way to log in", "POST", "sys/auth/other", "{\"type\":\"userpass\"}"},
    {"one removed", "DELETE", "sys/auth/unix", NULL},
    {"one tuned", "POST", "sys/auth/unix/tune", "{\"description\":\"x\"}"},
    {"one tuned as a mount", "POST", "sys/mounts/auth/unix/tune", "{\"description\":\"x\"}"},
    {"who logs in by the approvers' way", "POST", "auth/unix/users/1001", "{\"policies\":\"none\"}"},
    {"a group of theirs", "POST", "auth/unix/groups/5", "{\"policies\":\"none\"}"},
    {"the rule", "POST", "sys/approvals/rules/all", "{\"paths\":\"none\",\"group\":\"approvers\"}"},
    {"the rule deleted", "DELETE", "sys/approvals/rules/all", NULL},
    {"the group by name", "POST", "identity/group/name/approvers", "{\"policies\":\"x\"}"},
    {"the group by its name in another case", "POST", "identity/group/name/Approvers", "{\"policies\":\"x\"}"},
    {"the group by name in the body", "POST", "identity/group", "{\"name\":\"approvers\",\"policies\":\"x\"}"},
    {"the group by id in the body", "POST", "identity/group", "{\"id\":\"%g\",\"policies\":\"x\"}"},
    {"the group by id", "POST", "identity/group/id/%g", "{\"member_entity_ids\":[\"%b\"]}"},
    {"the group deleted", "DELETE", "identity/group/id/%g", NULL},
    {"the group deleted by name", "DELETE", "identity/group/name/approvers", NULL},
    {"an approver by id", "POST", "identity/entity/id/%t", "{\"metadata\":{\"k\":\"v\"}}"},
    {"an approver by name", "POST", "identity/entity/name/tom", "{\"metadata\":{\"k\":\"v\"}}"},
    {"an approver by id in the body", "POST", "identity/entity", "{\"id\":\"%t\",\"policies\":\"x\"}"},
    {"an approver by name in the body", "POST", "identity/entity", "{\"name\":\"TOM\",\"policies\":\"x\"}"},
    {"an approver deleted", "DELETE", "identity/entity/id/%t", NULL},
    {"an approver deleted by name", "DELETE", "identity/entity/name/tom", NULL},
    {"merged into an approver", "POST", "identity/entity/merge",
     "{\"from_entity_ids\":[\"%s\"],\"to_entity_id\":\"%t\"}"},
    {"an approver merged into another", "POST", "identity/entity/merge",
     "{\"from_entity_ids\":[\"%t\"],\"to_entity_id\":\"%s\"}"},
    {"an alias more", "POST", "identity/entity-alias",
     "{\"name\":\"x\",\"mount_accessor\":\"token\",\"canonical_id\":\"%t\"}"},
    {"an alias by id", "POST", "identity/entity-alias/id/%a", "{\"custom_metadata\":{\"k\":\"v\"}}"},
    {"an alias deleted", "DELETE", "identity/entity-alias/id/%a", NULL},
};

static void fill_in(const char *form, const char *spare, const char *alias, char out[1024])
{
    size_t len = 0;
    out[0] = '\0';
    for (const char *at = form; at != NULL && *at != '\0'; at++) {
        const char *value = at[0] != '%'   ? NULL
                            : at[1] == 'g' ? group_id
                            : at[1] == 't' ? entities[TOM]
                            : at[1] == 'b' ? entities[BOB]
                            : at[1] == 's' ? spare
                                           : alias;
        if (value == NULL)
            len += (size_t)snprintf(out + len, 1024 - len, "%c", *at);
        else
            len += (size_t)snprintf(out + len, 1024 - len, "%s", value);
        at += value != NULL;
    }
}

static void by_no_other_way(void **state)
{
    const struct sibling *sibling = *state;
    char path[1024], body[1024], spare[ID], alias[ID], id[ID];
    (void)make_scene(state);
    wants(204, NULL, "POST", "sys/policies/acl/guarded2", POLICY);
    wants(200, NULL, "POST", "secret/data/prod/a", "{\"data\":{\"k\":\"v\"}}");
    wants(200, NULL, "POST", "secret/data/dev/a", "{\"data\":{\"k\":\"v\"}}");
    wants(200, NULL, "POST", "identity/entity", "{\"name\":\"spare\"}");
    test_vault_text(vault, "data.id", spare, sizeof spare);
    find_alias(TOM, alias);
    make_rule("all", "sys/policies/acl/guarded,sys/policies/acl/guarded2,secret/data/prod/*,sys/auth/*", 1);
    fill_in(sibling->path, spare, alias, path);
    fill_in(sibling->body, spare, alias, body);
    unsigned status = test_vault_call_as(vault, sibling->method, path, tokens[BOB], sibling->body == NULL ? NULL : body,
                                         sibling->type);
    if (status != 202)
        fail_msg("%s %s: expected 202, got %u: %s", sibling->method, path, status, vault->body);
    test_vault_text(vault, "data.approval_id", id, sizeof id);
    later();
    wants_as(tokens[BOB], 403, "0 of the 1", "POST", mine_of(id, "/finish"), NULL);
    approve(ANN, id);
    status = test_vault_call(vault, "POST", mine_of(id, "/finish"), tokens[BOB], NULL);
    if (status != 200 && status != 204)
        fail_msg("%s %s, finished: %u: %s", sibling->method, path, status, vault->body);
    test_vault_free(vault);
}

/* ---- every row ---- */

static const char *value_for(enum field_type type)
{
    static const char *const values[] = {
        [FIELD_STRING] = "\"x\"", [FIELD_INT] = "1",           [FIELD_NUMBER] = "1",
        [FIELD_BOOL] = "true",    [FIELD_DURATION] = "60",     [FIELD_SIGNED_DURATION] = "60",
        [FIELD_LIST] = "[\"x\"]", [FIELD_COMMA_LIST] = "\"x\"", [FIELD_INT_LIST] = "[1]",
        [FIELD_PAIRS] = "{}",     [FIELD_MAP] = "{}",          [FIELD_ANY] = "\"x\""};
    return values[type];
}

/* one: only the fields of this number. */
static void body_for(const struct route *route, int one, char out[4096])
{
    size_t len = (size_t)snprintf(out, 4096, "{");
    int i = 0;
    for (const struct field *field = route->fields; field != NULL && field->name != NULL; field++, i++)
        if (one < 0 || one == i)
            len += (size_t)snprintf(out + len, 4096 - len, "%s\"%s\":%s", len == 1 ? "" : ",", field->name,
                                    value_for(field->type));
    (void)snprintf(out + len, 4096 - len, "}");
}

static uint64_t generation_now(void)
{
    struct store_status status;
    store_status(vault->store, &status);
    return status.at;
}

static unsigned kept;

/* Whatever it answers, nothing is in the store that was not: but a request that waits. */
static void check_row(const char *method, const char *path, const char *body)
{
    char id[ID];
    uint64_t before = generation_now();
    const char *type = strcmp(method, "PATCH") == 0 ? "application/merge-patch+json" : NULL;
    unsigned status = test_vault_call_as(vault, method, path, tokens[BOB], body, type);
    if (status == 202 && test_vault_said(vault, "\"approval_id\"")) {
        test_vault_text(vault, "data.approval_id", id, sizeof id);
        wants_as(tokens[BOB], 204, NULL, "DELETE", mine_of(id, ""), NULL);
        kept++;
        return;
    }
    if (generation_now() != before)
        fail_msg("%s %s %s: %u, and something was changed without approval: %s", method, path, body, status,
                 vault->body);
}

static bool is_keeping_alive(const char *pattern)
{
    static const char *const patterns[] = {"renew",  "renew-self",  "renew-accessor",
                                           "revoke", "revoke-self", "revoke-accessor"};
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++)
        if (strcmp(pattern, patterns[i]) == 0)
            return true;
    return false;
}

/* Those without a policy, those of the approvals themselves, sealing, and renewing and revoking tokens are not a
 * rule's. */
static bool is_ruled(const struct engine *engine, const struct route *route, const char *method)
{
    enum access access = access_of(access_entry_of(engine, route), method);
    bool exempt = strcmp(engine->type, "system") == 0 &&
                  (strncmp(route->pattern, "approvals/requests", 18) == 0 || strcmp(route->pattern, "seal") == 0);
    exempt = exempt || (strcmp(engine->type, "token") == 0 && is_keeping_alive(route->pattern));
    return (access == ACCESS_POLICY || access == ACCESS_SUDO) && !exempt;
}

static void check_route(void *arg, const struct engine *engine, const struct route *route)
{
    static const char *const methods[] = {"POST", "PUT", "PATCH", "DELETE"};
    char path[512], body[4096];
    (void)arg;
    routes_example(engine, route, path, sizeof path);
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (routes_handler(route, methods[i]) == NULL || !is_ruled(engine, route, methods[i]))
            continue;
        int n = 0;
        for (const struct field *field = route->fields; field != NULL && field->name != NULL; field++)
            n++;
        check_row(methods[i], path, "{}");
        for (int one = -1; n > 0 && one < n; one++) {
            body_for(route, one, body);
            check_row(methods[i], path, body);
        }
    }
}

/* A rule about everything: no row of any engine changes anything, whatever its fields say. */
static void no_row_gets_round_a_rule_about_all(void **state)
{
    (void)make(state);
    routes_mount_all(vault);
    make_people();
    wants(200, NULL, "POST", "secret/data/x", "{\"data\":{\"k\":\"v\"}}");
    wants(204, NULL, "POST", "sys/policies/acl/x", POLICY);
    wants(200, NULL, "POST", "identity/entity/name/x", "{}");
    wants(200, NULL, "POST", "identity/group/name/x", "{}");
    make_rule("all", "*", 1);
    (void)routes_each(check_route, NULL);
    assert_true(kept >= 60);
}

/* ---- formats ---- */

static enum kt_kind put_future(struct request *req, struct kt_err *err)
{
    static const unsigned char no_scope[BARRIER_SCOPE], future[] = {9, 0};
    unsigned char key[BARRIER_NAME_KEY];
    barrier_name_key(req->core->barrier, TABLE_CONFIG, no_scope, kt_str("approvals"), key);
    return barrier_put(req->core->barrier, request_batch(req), kt_bytes(key, sizeof key),
                       kt_bytes(future, sizeof future), err);
}

static enum kt_kind put_damaged(struct request *req, struct kt_err *err)
{
    static const unsigned char id[KT_UUID_BYTES] = {1}, future[] = {9, 0};
    unsigned char key[APPROVAL_KEY];
    approval_key(id, 0, key);
    return barrier_put(req->core->barrier, request_batch(req), kt_bytes(key, sizeof key),
                       kt_bytes(future, sizeof future), err);
}

/* What a rule is about stays so, and others wait and are tidied as ever. */
static void a_damaged_one_holds_up_no_other(void **state)
{
    (void)state;
    struct kt_err err = {0};
    char id[ID];
    make_rule("policies", "sys/policies/acl/*", 1);
    assert_int_equal(request_internal(vault->core, "test", put_damaged, NULL, &err), KT_OK);
    wants_as(tokens[ANN], 200, "1 more cannot be read", "LIST", "sys/approvals/requests", NULL);
    assert_true(test_vault_said(vault, "\"keys\":[]"));
    ask_policy(id);
    wants_as(tokens[ANN], 200, "1 more cannot be read", "LIST", "sys/approvals/requests", NULL);
    assert_true(test_vault_said(vault, id));
    wants_as(tokens[ANN], 500, NULL, "GET", path_of("01000000-0000-0000-0000-000000000000", ""), NULL);
    approve(TOM, id);
    wants_as(tokens[BOB], 204, NULL, "POST", mine_of(id, "/finish"), NULL);
    vault->now_ms += 8 * INT64_C(86400000);
    assert_int_equal(approvals_tidy(vault->core, &damaged, &err), KT_OK);
    assert_int_equal(damaged, 1);
    assert_int_equal(test_vault_rows(vault, TABLE_APPROVAL), 1);
}

/* Rules that cannot be read are not none. */
static void rules_of_the_future(void **state)
{
    (void)state;
    struct kt_err err = {0};
    make_rule("policies", "sys/policies/acl/*", 1);
    assert_int_equal(request_internal(vault->core, "test", put_future, NULL, &err), KT_OK);
    wants(500, "the rules of approval: format 9 is newer than this vaultd (1)", "LIST", "sys/approvals/rules", NULL);
    wants_as(tokens[BOB], 500, "the rules of approval: format 9 is newer", "POST", "sys/policies/acl/guarded", POLICY);
    wants(500, "the rules of approval: format 9 is newer", "POST", "secret/data/a", "{\"data\":{}}");
    no_policy();
}

/* What no rule is about is done at once, also beside what one is. */
static void what_no_rule_is_about(void **state)
{
    (void)state;
    make_rule("all", "sys/policies/acl/guarded,secret/data/prod/*", 1);
    wants_as(tokens[BOB], 204, NULL, "POST", "sys/policies/acl/guarded2", POLICY);
    wants_as(tokens[BOB], 200, NULL, "POST", "secret/data/prod", "{\"data\":{\"k\":\"v\"}}");
    wants_as(tokens[BOB], 200, NULL, "POST", "secret/data/product/a", "{\"data\":{\"k\":\"v\"}}");
    wants_as(tokens[BOB], 204, NULL, "POST", "identity/entity/name/eve", "{\"metadata\":{\"k\":\"v\"}}");
    wants_as(tokens[BOB], 200, NULL, "POST", "identity/group", "{\"name\":\"others\"}");
    wants_as(tokens[BOB], 200, NULL, "POST", "identity/lookup/group", "{\"name\":\"approvers\"}");
    wants_as(tokens[BOB], 204, NULL, "POST", "sys/mounts/kv2", "{\"type\":\"kv\"}");
    wants_as(tokens[BOB], 200, NULL, "POST", "sys/approvals/rules/more", "{\"paths\":\"x\",\"group\":\"approvers\"}");
    assert_int_equal(test_vault_rows(vault, TABLE_APPROVAL), 0);
}

/* Else a service whose renewals wait would lose its token, and a stolen one would live on. */
static void tokens_are_kept_alive_and_ended(void **state)
{
    (void)state;
    char body[TEXT + 16], child[TEXT], accessor[TEXT];
    wants_as(tokens[BOB], 200, NULL, "POST", "auth/token/create", "{\"ttl\":\"1h\"}");
    test_vault_text(vault, "auth.client_token", child, sizeof child);
    test_vault_text(vault, "auth.accessor", accessor, sizeof accessor);
    make_rule("all", "*", 1);
    wants_as(child, 200, "\"client_token\"", "POST", "auth/token/renew-self", "{\"increment\":\"2h\"}");
    (void)snprintf(body, sizeof body, "{\"token\":\"%s\"}", child);
    wants_as(tokens[BOB], 200, "\"client_token\"", "POST", "auth/token/renew", body);
    wants_as(tokens[BOB], 202, "\"approval_id\"", "POST", "auth/token/revoke-orphan", body);
    (void)snprintf(body, sizeof body, "{\"accessor\":\"%s\"}", accessor);
    wants_as(tokens[BOB], 204, NULL, "POST", "auth/token/revoke-accessor", body);
    wants_as(child, 403, NULL, "GET", "auth/token/lookup-self", NULL);
    wants_as(tokens[EVE], 204, NULL, "POST", "auth/token/revoke-self", NULL);
    wants_as(tokens[EVE], 403, NULL, "GET", "auth/token/lookup-self", NULL);
}

/* ---- who is nobody ---- */

static void without_an_entity_nobody_asks(void **state)
{
    (void)state;
    char token[TEXT];
    make_rule("policies", "sys/policies/acl/*", 1);
    wants(403, "without an entity cannot ask", "POST", "sys/policies/acl/guarded", POLICY);
    wants_as(tokens[BOB], 200, NULL, "POST", "auth/token/create-orphan", "{\"policies\":\"all\"}");
    test_vault_text(vault, "auth.client_token", token, sizeof token);
    wants_as(token, 403, "without an entity cannot ask", "POST", "sys/policies/acl/guarded", POLICY);
    assert_int_equal(local(0, "POST", "sys/policies/acl/guarded", token, POLICY), 403);
    assert_int_equal(local(1000, "POST", "sys/policies/acl/guarded", vault->root, POLICY), 403);
    no_policy();
}

static void break_glass(void **state)
{
    (void)state;
    char id[ID];
    static const char why[] = "{\"reason\":\"all approvers left\"}";
    make_rule("policies", "sys/policies/acl/*", 1);
    ask_policy(id);
    wants(403, "break-glass takes", "POST", path_of(id, "/break-glass"), why);
    assert_int_equal(local(0, "POST", path_of(id, "/break-glass"), tokens[TOM], why), 403);
    assert_int_equal(local(1000, "POST", path_of(id, "/break-glass"), vault->root, why), 403);
    assert_int_equal(local(0, "POST", path_of(id, "/break-glass"), vault->root, "{}"), 400);
    assert_int_equal(local(0, "POST", path_of(id, "/break-glass"), vault->root, why), 200);
    wants_as(tokens[BOB], 204, NULL, "POST", mine_of(id, "/finish"), NULL);
    wants(200, "\"reason\":\"all approvers left\"", "GET", "sys/audit-log/export?from=0", NULL);
    assert_true(test_vault_said(vault, "\"approved_by\":\"break-glass by root\""));
    /* And where nobody with an entity is left: root alone, who says so. */
    assert_int_equal(local(0, "DELETE", "sys/approvals/rules/policies", vault->root, NULL), 202);
    test_vault_text(vault, "data.approval_id", id, sizeof id);
    later();
    wants_as(tokens[TOM], 403, "only break-glass", "POST", path_of(id, "/approve"), NULL);
    wants(403, "0 of the 1", "POST", mine_of(id, "/finish"), NULL);
    assert_int_equal(local(0, "POST", path_of(id, "/break-glass"), vault->root, why), 200);
    wants(204, NULL, "POST", mine_of(id, "/finish"), NULL);
    wants(404, NULL, "GET", "sys/approvals/rules/policies", NULL);
}

/* ---- what is shown, and what is recorded ---- */

static void values_are_for_who_may_read_them(void **state)
{
    (void)state;
    char id[ID], token[TEXT];
    make_rule("prod", "secret/data/prod/*", 1);
    ask(id, "POST", "secret/data/prod/a", "{\"data\":{\"k\":\"precious\"},\"options\":{\"cas\":0}}");
    wants_as(tokens[ANN], 200, "\"data\":{\"k\":\"precious\"}", "GET", path_of(id, ""), NULL);
    test_vault_token(vault, "looker", "path \"sys/approvals/requests/*\" { capabilities = [\"read\"] }", token,
                     sizeof token);
    wants_as(token, 200, "\"fields\":{\"data\":\"hmac-sha256:", "GET", path_of(id, ""), NULL);
    assert_true(test_vault_said(vault, "\"values_shown\":false"));
    assert_false(test_vault_said(vault, "precious"));
    wants_as(tokens[BOB], 200, "\"path\":\"secret/data/prod/a\"", "GET", mine_of(id, ""), NULL);
    assert_false(test_vault_said(vault, "precious"));
    wants_as(tokens[ANN], 200, "\"asked_by\":{\"entity_id\":\"", "LIST", "sys/approvals/requests", NULL);
    assert_false(test_vault_said(vault, "precious"));
    wants_as(tokens[ANN], 404, NULL, "LIST", "sys/approvals/mine", NULL);
    wants_as(tokens[BOB], 200, id, "LIST", "sys/approvals/mine", NULL);
    wants_as(tokens[ANN], 404, NULL, "GET", mine_of(id, ""), NULL);
}

/* Ann may read everywhere: but no read gives back what proves who somebody is. */
static const struct sent {
    const char *name, *path, *body, *plain;
} sents[] = {
    {"a user's first password", "auth/people/users/new", "{\"password\":\"precious\",\"token_policies\":\"plain\"}", "plain"},
    {"a user's next password", "auth/people/users/tom/password", "{\"password\":\"precious\"}", NULL},
    {"a token's text", "auth/token/create", "{\"id\":\"precious\",\"policies\":[\"plain\"]}", "plain"},
    {"a secret id", "auth/robots/role/r/custom-secret-id", "{\"secret_id\":\"precious\",\"num_uses\":4711}", "4711"},
    {"what is wrapped", "cubbyhole/x", "{\"k\":\"precious\"}", NULL},
    {"what no row names", "sys/policies/acl/x", "{\"policy\":\"path \\\"plain\\\" {}\",\"password\":\"precious\"}", "plain"},
    {"an import's values", "secret/import/x",
     "{\"cas\":0,\"versions\":[{\"version\":1,\"data\":{\"k\":\"precious\"}}]}", "\"cas\":0"},
};

static void no_credential_is_shown(void **state)
{
    const struct sent *row = *state;
    char id[ID];
    (void)make_scene(state);
    wants(204, NULL, "POST", "sys/auth/people", "{\"type\":\"userpass\"}");
    wants(204, NULL, "POST", "auth/people/users/tom", "{\"password\":\"of old, and long\"}");
    wants(204, NULL, "POST", "sys/auth/robots", "{\"type\":\"approle\"}");
    wants(204, NULL, "POST", "auth/robots/role/r", "{}");
    make_rule("all", "*", 1);
    ask(id, "POST", row->path, row->body);
    wants_as(tokens[ANN], 200, "hmac-sha256:", "GET", path_of(id, ""), NULL);
    if (test_vault_said(vault, "precious") || (row->plain != NULL && !test_vault_said(vault, row->plain)))
        fail_msg("%s: %s", row->path, vault->body);
    test_vault_free(vault);
}

static void a_reason_is_said_before_it_is_approved(void **state)
{
    (void)state;
    char id[ID];
    make_rule("policies", "sys/policies/acl/*", 2);
    ask_policy(id);
    wants_as(tokens[TOM], 404, NULL, "POST", mine_of(id, ""), "{\"reason\":\"mine\"}");
    wants_as(tokens[BOB], 204, NULL, "POST", mine_of(id, ""), "{\"reason\":\"ticket 7\"}");
    wants_as(tokens[TOM], 200, "\"reason\":\"ticket 7\"", "GET", path_of(id, ""), NULL);
    approve(TOM, id);
    wants_as(tokens[BOB], 400, "its reason stays", "POST", mine_of(id, ""), "{\"reason\":\"other\"}");
}

static void the_log_tells_each_step(void **state)
{
    (void)state;
    char id[ID], text[TEXT];
    make_rule("prod", "secret/data/prod/*", 1);
    ask(id, "POST", "secret/data/prod/a", "{\"data\":{\"k\":\"precious\"}}");
    approve(ANN, id);
    wants_as(tokens[BOB], 200, NULL, "POST", mine_of(id, "/finish"), NULL);
    wants(200, NULL, "GET", "sys/audit-log/export?from=0", NULL);
    assert_false(test_vault_said(vault, "precious"));
    (void)snprintf(text, sizeof text, "\"id\":\"%s\",\"operation\":\"create\"", id);
    assert_true(test_vault_said(vault, text));
    (void)snprintf(text, sizeof text, "\"path\":\"sys/approvals/requests/%s/approve\"", id);
    assert_true(test_vault_said(vault, text));
    (void)snprintf(text, sizeof text, "\"path\":\"secret/data/prod/a\",\"approval\":\"%s\",\"approved_by\":\"ann (%s)\"",
                   id, entities[ANN]);
    assert_true(test_vault_said(vault, text));
}

/* ---- bounds, races ---- */

static void so_many_wait_and_no_more(void **state)
{
    (void)state;
    char id[ID], first[ID];
    make_rule("policies", "sys/policies/acl/*", 1);
    ask_policy(first);
    for (unsigned i = 1; i < 16; i++)
        ask_policy(id);
    wants_as(tokens[BOB], 429, "16 requests of yours wait", "POST", "sys/policies/acl/guarded", POLICY);
    wants_as(tokens[EVE], 202, NULL, "POST", "sys/policies/acl/guarded", POLICY);
    wants_as(tokens[BOB], 204, NULL, "DELETE", mine_of(first, ""), NULL);
    ask_policy(id);
    /* Those that are over go with those that come, a week later. */
    for (unsigned i = 0; i < 11 * 24; i++)
        vault->now_ms += 3600000;
    log_in(BOB);
    ask_policy(id);
    ask_policy(id);
    assert_int_equal(test_vault_rows(vault, TABLE_APPROVAL), 4);
}

/* However many wait, root on the host can still ask for what break-glass lets pass. */
static void break_glass_finds_room(void **state)
{
    (void)state;
    make_rule("policies", "sys/policies/acl/*", 1);
    for (unsigned i = 0; i < 17; i++)
        assert_int_equal(local(0, "POST", "sys/policies/acl/guarded", vault->root, POLICY), 202);
    assert_int_equal(local(0, "DELETE", "sys/approvals/rules/policies", vault->root, NULL), 202);
}

/* What was sent may hold values: all of it goes within a minute, not some of it. */
static void all_that_is_over_is_tidied_at_once(void **state)
{
    (void)state;
    char id[ID];
    make_rule("policies", "sys/policies/acl/*", 1);
    for (unsigned i = 0; i < 16; i++) {
        ask_policy(id);
        wants_as(tokens[EVE], 202, NULL, "POST", "sys/policies/acl/guarded", POLICY);
    }
    assert_int_equal(test_vault_rows(vault, TABLE_APPROVAL), 64);
    vault->now_ms += 73 * INT64_C(3600000);
    assert_int_equal(approvals_tidy(vault->core, &damaged, NULL), KT_OK);
    assert_int_equal(test_vault_rows(vault, TABLE_APPROVAL), 32);
    generation_is_quiet();
}

static void finished_by_one_of_two(void **state)
{
    (void)state;
    char id[ID], path[TEXT];
    make_rule("prod", "secret/data/prod/*", 1);
    ask(id, "POST", "secret/data/prod/a", "{\"data\":{\"k\":\"v\"}}");
    approve(ANN, id);
    (void)snprintf(path, sizeof path, "sys/approvals/mine/%s/finish", id);
    const struct visit visits[] = {{"POST", path, tokens[BOB], NULL, 200}, {NULL}};
    meanwhile(vault, visits, NULL);
    wants_as(tokens[BOB], 410, "any more: done", "POST", path, NULL);
    assert_true(meanwhile_over());
    wants(200, "\"current_version\":1", "GET", "secret/metadata/prod/a", NULL);
}

static void denied_while_it_is_finished(void **state)
{
    (void)state;
    char id[ID], path[TEXT];
    make_rule("prod", "secret/data/prod/*", 1);
    ask(id, "POST", "secret/data/prod/a", "{\"data\":{\"k\":\"v\"}}");
    approve(ANN, id);
    (void)snprintf(path, sizeof path, "sys/approvals/requests/%s/deny", id);
    const struct visit visits[] = {{"POST", path, tokens[TOM], "{\"reason\":\"no\"}", 200}, {NULL}};
    meanwhile(vault, visits, NULL);
    wants_as(tokens[BOB], 410, "denied by tom: no", "POST", mine_of(id, "/finish"), NULL);
    assert_true(meanwhile_over());
    wants(404, NULL, "GET", "secret/metadata/prod/a", NULL);
}

static void two_approve_at_once(void **state)
{
    (void)state;
    char id[ID], path[TEXT];
    make_rule("policies", "sys/policies/acl/*", 2);
    ask_policy(id);
    (void)snprintf(path, sizeof path, "sys/approvals/requests/%s/approve", id);
    const struct visit visits[] = {{"POST", path, tokens[ANN], NULL, 200}, {NULL}};
    meanwhile(vault, visits, NULL);
    wants_as(tokens[TOM], 200, "\"approved\":2", "POST", path, NULL);
    assert_true(meanwhile_over());
    wants_as(tokens[BOB], 204, NULL, "POST", mine_of(id, "/finish"), NULL);
}

/* ---- rules ---- */

static const struct bad_rule {
    const char *name, *path, *body, *says;
} bad_rules[] = {
    {"no paths", "r", "{\"group\":\"approvers\"}", "missing \\\"paths\\\""},
    {"an empty path", "r", "{\"paths\":[\"\"],\"group\":\"approvers\"}", "empty"},
    {"a path with a slash first", "r", "{\"paths\":\"/a\",\"group\":\"approvers\"}", "begins with '/'"},
    {"a folder without its star", "r", "{\"paths\":\"x,secret/data/prod/\",\"group\":\"approvers\"}", "secret/data/prod/*"},
    {"an address", "r", "{\"paths\":\"v1/secret/data/x\",\"group\":\"approvers\"}", "without it: secret/data/x"},
    {"a star within", "r", "{\"paths\":\"a*b\",\"group\":\"approvers\"}", "not its end"},
    {"a control character", "r", "{\"paths\":[\"a\\u0001\"],\"group\":\"approvers\"}", "control"},
    {"no group", "r", "{\"paths\":\"a\"}", "missing \\\"group\\\""},
    {"an unknown group", "r", "{\"paths\":\"a\",\"group\":\"none\"}", "names no group"},
    {"an external group", "r", "{\"paths\":\"a\",\"group\":\"outside\"}", "external"},
    {"none needed", "r", "{\"paths\":\"a\",\"group\":\"approvers\",\"needed\":0}", "between 1 and 16"},
    {"more than there are", "r", "{\"paths\":\"a\",\"group\":\"approvers\",\"needed\":4}", "nobody could ever"},
    {"too long", "r", "{\"paths\":\"a\",\"group\":\"approvers\",\"ttl\":\"721h\"}", "at most 720h"},
    {"a name with a capital", "R", "{\"paths\":\"a\",\"group\":\"approvers\"}", "not a rule's name"},
};

static void a_bad_rule(void **state)
{
    const struct bad_rule *row = *state;
    char path[TEXT];
    (void)make_scene(state);
    wants(200, NULL, "POST", "identity/group", "{\"name\":\"outside\",\"type\":\"external\"}");
    (void)snprintf(path, sizeof path, "sys/approvals/rules/%s", row->path);
    wants(400, row->says, "POST", path, row->body);
    wants(404, NULL, "LIST", "sys/approvals/rules", NULL);
    test_vault_free(vault);
}

/* Each write to a way to log in reads them all. */
static void a_group_of_a_rule_is_small(void **state)
{
    static char body[8192];
    (void)state;
    char name[TEXT], id[ID];
    size_t len = (size_t)snprintf(body, sizeof body, "{\"name\":\"crowd\",\"member_entity_ids\":[");
    for (unsigned i = 0; i < 65; i++) {
        (void)snprintf(name, sizeof name, "{\"name\":\"e%u\"}", i);
        wants(200, NULL, "POST", "identity/entity", name);
        test_vault_text(vault, "data.id", id, sizeof id);
        len += (size_t)snprintf(body + len, sizeof body - len, "%s\"%s\"", i == 0 ? "" : ",", id);
    }
    (void)snprintf(body + len, sizeof body - len, "]}");
    wants(200, NULL, "POST", "identity/group", body);
    wants(400, "has 65 entities, more than 64", "POST", "sys/approvals/rules/r", "{\"paths\":\"x\",\"group\":\"crowd\"}");
    body[len - 39] = ']'; /* without the last one */
    body[len - 38] = '}';
    body[len - 37] = '\0';
    wants(204, NULL, "POST", "identity/group", body);
    wants(200, NULL, "POST", "sys/approvals/rules/r", "{\"paths\":\"x\",\"group\":\"crowd\"}");
}

static void rules_are_kept(void **state)
{
    (void)state;
    make_rule("b", "sys/policies/acl/*", 2);
    make_rule("a", "x/+/y,z", 3);
    assert_true(test_vault_said(vault, "nobody of them can ask"));
    wants(200, "\"keys\":[\"a\",\"b\"]", "LIST", "sys/approvals/rules", NULL);
    wants(200, "\"name\":\"b\",\"needed\":2,\"paths\":[\"sys/policies/acl/*\"],\"ttl\":259200", "GET",
          "sys/approvals/rules/b", NULL);
    wants(404, NULL, "GET", "sys/approvals/rules/c", NULL);
}

/* ---- main ---- */

#define SCENE(test) cmocka_unit_test_setup_teardown(test, make_scene, end)
#define ADD(rows, function)                                                                        \
    for (size_t i = 0; i < COUNT(rows); i++)                                                       \
    tests[n++] = (struct CMUnitTest){                                                              \
        .name = rows[i].name, .test_func = (function), .initial_state = (void *)(uintptr_t)&rows[i]}

int main(int argc, char **argv)
{
    static const struct CMUnitTest scenes[] = {
        SCENE(a_rotation),
        cmocka_unit_test_setup_teardown(people_are_told, make_telling, end),
        SCENE(it_waits_and_is_carried_out_once),
        SCENE(it_lives_through_a_restart),
        SCENE(an_answer_is_the_askers),
        SCENE(an_answer_is_wrapped_as_it_was_asked_for),
        SCENE(a_request_that_would_fail_is_not_kept),
        SCENE(deny_withdraw_expire),
        SCENE(a_new_login_of_the_same_person_carries_it_out),
        SCENE(rights_are_those_of_then),
        SCENE(approvers_are_those_of_then),
        SCENE(a_rule_that_came_later_counts),
        SCENE(a_later_rules_group_has_a_say),
        SCENE(no_approver_of_what_his_creature_asks),
        SCENE(a_rule_that_approvers_can_go_round),
        SCENE(no_rekey_to_cancel),
        SCENE(nobody_who_should_not),
        SCENE(a_group_of_the_askers_counts_for_no_rule),
        SCENE(what_no_rule_is_about),
        SCENE(tokens_are_kept_alive_and_ended),
        SCENE(without_an_entity_nobody_asks),
        SCENE(break_glass),
        SCENE(values_are_for_who_may_read_them),
        SCENE(a_reason_is_said_before_it_is_approved),
        SCENE(the_log_tells_each_step),
        SCENE(so_many_wait_and_no_more),
        SCENE(break_glass_finds_room),
        SCENE(all_that_is_over_is_tidied_at_once),
        SCENE(finished_by_one_of_two),
        SCENE(denied_while_it_is_finished),
        SCENE(two_approve_at_once),
        SCENE(rules_are_kept),
        SCENE(a_group_of_a_rule_is_small),
        SCENE(rules_of_the_future),
        SCENE(a_damaged_one_holds_up_no_other),
        cmocka_unit_test_teardown(no_row_gets_round_a_rule_about_all, end),
    };
    struct CMUnitTest tests[COUNT(scenes) + COUNT(puppets) + COUNT(siblings) + COUNT(sents) + COUNT(bad_rules)];
    memset(tests, 0, sizeof tests);
    size_t n = COUNT(scenes);
    memcpy(tests, scenes, sizeof scenes);
    ADD(puppets, no_puppets);
    ADD(siblings, by_no_other_way);
    ADD(sents, no_credential_is_shown);
    ADD(bad_rules, a_bad_rule);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    kt_log_set_level((enum kt_log_level)0);
    return cmocka_run_group_tests_name("approvals", tests, NULL, NULL);
}
