/* A secret, or its risk class, may want the approval of other people before it is rotated: whichever row starts it, and
 * before anything is changed of what decides that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/rotation_scene.h"

#define TEXT  256u
#define ID    40u
#define OTHER "secret/db/second"
#define ALL   "{\"policy\":\"path \\\"*\\\" {capabilities=[\\\"create\\\",\\\"read\\\",\\\"update\\\",\\\"patch\\\",\\\"delete\\\"," \
              "\\\"list\\\",\\\"sudo\\\"]}\"}"

/* Bob asks; tom, ann and carl are in the group. */
enum { BOB, TOM, ANN, CARL, PEOPLE };
static const char *const names[PEOPLE] = {"bob", "tom", "ann", "carl"};
static char tokens[PEOPLE][TEXT], entities[PEOPLE][ID];

/* ---- the scene ---- */

static void wants_as(struct scene *s, const char *token, unsigned status, const char *text, const char *method,
                     const char *path, const char *body)
{
    unsigned got = test_vault_call(s->vault, method, path, token, body);
    if (got != status || (text != NULL && !test_vault_said(s->vault, text)))
        fail_msg("%s %s: wanted %u and %s, got %u: %s", method, path, status, text == NULL ? "any text" : text, got,
                 s->vault->body);
}

static unsigned local(struct scene *s, uint32_t uid, const char *method, const char *path, const char *token,
                      const char *body)
{
    static const struct peer_groups none = {0};
    char target[TEXT];
    (void)snprintf(target, sizeof target, "/v1/%s", path);
    const struct test_request request = {.method = kt_str(method), .target = kt_str(target), .token = kt_str(token),
                                         .body = kt_str(body),     .local = true,            .uid = uid,
                                         .groups = &none};
    return test_vault_ask(s->vault, &request);
}

static void add_people(struct scene *s)
{
    char path[TEXT], body[TEXT];
    need(s, 204, "POST", "sys/policies/acl/all", ALL);
    need(s, 204, "POST", "sys/auth/unix", "{\"type\":\"unix\"}");
    for (unsigned i = 0; i < PEOPLE; i++) {
        (void)snprintf(path, sizeof path, "auth/unix/users/%u", 1000 + i);
        need(s, 204, "POST", path, "{\"policies\":\"all\"}");
        assert_int_equal(local(s, 1000 + i, "POST", "auth/unix/login", NULL, NULL), 200);
        text_at(s, "auth.client_token", tokens[i], sizeof tokens[i]);
        text_at(s, "auth.entity_id", entities[i], sizeof entities[i]);
        (void)snprintf(path, sizeof path, "identity/entity/id/%s", entities[i]);
        (void)snprintf(body, sizeof body, "{\"name\":\"%s\"}", names[i]);
        need(s, 204, "POST", path, body);
    }
    (void)snprintf(body, sizeof body, "{\"name\":\"dba\",\"member_entity_ids\":[\"%s\",\"%s\",\"%s\"]}", entities[TOM],
                   entities[ANN], entities[CARL]);
    need(s, 200, "POST", "identity/group", body);
    need(s, 200, "POST", "sys/approvals/rules/guard",
         "{\"paths\":\"sys/approvals/rules/guard\",\"group\":\"dba\",\"needed\":2}");
    s->vault->now_ms += 1000;
}

static struct scene *with_people(const char *strategy)
{
    struct scene *s = scene(strategy);
    add_people(s);
    return s;
}

/* Bob's request, which waits; its id. */
static void ask(struct scene *s, char id[ID], const char *method, const char *path, const char *body)
{
    wants_as(s, tokens[BOB], 202, "\"state\":\"waiting\"", method, path, body);
    text_at(s, "data.approval_id", id, ID);
    s->vault->now_ms += 1000;
}

static void about(struct scene *s, const char *id, const char *text)
{
    char path[TEXT];
    (void)snprintf(path, sizeof path, "sys/approvals/requests/%s", id);
    wants_as(s, tokens[TOM], 200, text, "GET", path, NULL);
}

static void approve(struct scene *s, unsigned who, const char *id, unsigned status, const char *text)
{
    char path[TEXT];
    (void)snprintf(path, sizeof path, "sys/approvals/requests/%s/approve", id);
    wants_as(s, tokens[who], status, text, "POST", path, NULL);
}

static void finish(struct scene *s, const char *id, unsigned status, const char *text)
{
    char path[TEXT];
    (void)snprintf(path, sizeof path, "sys/approvals/mine/%s/finish", id);
    wants_as(s, tokens[BOB], status, text, "POST", path, NULL);
}

/* Bob's, approved by two and carried out. */
static void done_by_two(struct scene *s, const char *id, unsigned status)
{
    approve(s, TOM, id, 200, NULL);
    approve(s, ANN, id, 200, NULL);
    finish(s, id, status, NULL);
}

static void comes_to_done(struct scene *s)
{
    text_at(s, "data.run", s->run, sizeof s->run);
    ends_done(s);
}

/* ---- a secret ---- */

static void as_the_secret_wants(void **state)
{
    struct scene *s = with_people(*state);
    char id[ID];
    change_rotation(s, "{\"approvals\":2,\"approvers\":\"guard\"}");
    need(s, 403, "POST", "rotation/rotate/" SECRET, "{}"); /* root has no entity */
    says(s, "this needs approval (rule \\\"guard\\\")");
    ask(s, id, "POST", "rotation/rotate/" SECRET, "{\"reason\":\"yearly\"}");
    about(s, id, "\"needed\":2");
    approve(s, BOB, id, 403, "nobody approves what he asked for");
    approve(s, TOM, id, 200, NULL);
    approve(s, TOM, id, 200, NULL); /* counts once */
    finish(s, id, 403, "1 of the 2 approvals that the rule \\\"guard\\\" wants");
    current_is(s, 1, "app_a");
    approve(s, CARL, id, 200, NULL);
    finish(s, id, 200, NULL);
    comes_to_done(s);
    char path[TEXT];
    (void)snprintf(path, sizeof path, "rotation/runs/%s/report", s->run);
    need(s, 200, "GET", path, NULL);
    says(s, "approved by tom (");
    says(s, "), carl (");
    /* Once. */
    finish(s, id, 410, NULL);
    scene_end(s);
}

/* Each of these would start it without them, now or later. */
static void nobody_gets_round(void **state)
{
    static const struct {
        const char *method, *path, *body;
    } ways[] = {
        {"POST", "rotation/rotate/" SECRET, "{}"},
        {"POST", "rotation/rotate/" SECRET, "{\"back\":true}"},
        {"POST", "rotation/rotate/" SECRET, "{\"force\":true}"},
        {"POST", "rotation/drill/" SECRET, "{\"allow_gap\":true}"},
        {"POST", "rotation/reconcile/" SECRET, "{}"},
        {"POST", "rotation/secrets/" SECRET, "{\"approvals\":0,\"approvers\":\"\"}"},
        {"POST", "rotation/secrets/" SECRET, "{\"approvals\":1}"},
        {"POST", "rotation/secrets/" SECRET, "{\"approvals\":1,\"approvers\":\"mine\"}"},
        {"POST", "rotation/secrets/" SECRET, "{\"cron\":\"* * * * *\"}"},
        {"POST", "rotation/secrets/" SECRET, "{\"max_age\":\"1m\"}"},
        {"POST", "rotation/secrets/" SECRET, "{\"drill\":\"* * * * *\"}"},
        {"DELETE", "rotation/secrets/" SECRET, NULL},
        {"POST", "rotation/secrets/" OTHER, "{\"together\":\"" SECRET "\"}"},
        {"DELETE", "sys/approvals/rules/guard", NULL},
    };
    struct scene *s = with_people(*state);
    char id[ID], body[2 * TEXT], path[TEXT];
    need(s, 200, "POST", "secret/data/db/second", "{\"data\":{\"username\":\"app_c\",\"password\":\"first-of-c\"}}");
    need(s, 204, "POST", "rotation/secrets/" OTHER,
         "{\"target\":\"pg\",\"strategy\":\"overlap\",\"accounts\":[\"app_c\"]}");
    (void)snprintf(body, sizeof body, "{\"name\":\"friends\",\"member_entity_ids\":[\"%s\"]}", entities[CARL]);
    need(s, 200, "POST", "identity/group", body);
    need(s, 200, "POST", "sys/approvals/rules/mine", "{\"paths\":\"x\",\"group\":\"friends\",\"needed\":1}");
    rotate(s); /* so that there is something to go back to */
    ends_done(s);
    change_rotation(s, "{\"approvals\":2,\"approvers\":\"guard\"}");
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        ask(s, id, ways[i].method, ways[i].path, ways[i].body);
        finish(s, id, 403, "0 of the 2 approvals");
        (void)snprintf(path, sizeof path, "sys/approvals/mine/%s", id);
        wants_as(s, tokens[BOB], 204, NULL, "DELETE", path, NULL);
    }
    need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
    says(s, "\"approvals\":2,\"approvers\":\"guard\"");
    says(s, "\"run\":\"\"");
    says(s, "\"led_by\":\"\"");
    says(s, "\"current\":2");
    /* With theirs it is done. */
    ask(s, id, "POST", "rotation/secrets/" SECRET, "{\"approvals\":0,\"approvers\":\"\"}");
    done_by_two(s, id, 204);
    rotate(s);
    until(s, "done");
    scene_end(s);
}

/* Where it is under way nobody has to be asked for the way back. */
static void back_is_free(void **state)
{
    struct scene *s = with_people(*state);
    char id[ID];
    change_rotation(s, "{\"approvals\":2,\"approvers\":\"guard\"}");
    register_agent(s, "h1");
    ask(s, id, "POST", "rotation/rotate/" SECRET, "{}");
    done_by_two(s, id, 200);
    text_at(s, "data.run", s->run, sizeof s->run);
    until(s, "acking");
    wants_as(s, tokens[BOB], 200, NULL, "POST", "rotation/rotate/" SECRET, "{\"back\":true}");
    ends_back(s);
    scene_end(s);
}

static void what_was_approved(void **state)
{
    struct scene *s = with_people(*state);
    char id[ID];
    change_rotation(s, "{\"approvals\":2,\"approvers\":\"guard\"}");
    ask(s, id, "POST", "rotation/rotate/" SECRET, "{}");
    approve(s, TOM, id, 200, NULL);
    approve(s, ANN, id, 200, NULL);
    need(s, 204, "POST", "rotation/targets/pg", "{\"port\":5433}");
    finish(s, id, 403, "the approvals are void");
    need(s, 204, "POST", "rotation/targets/pg", "{\"port\":5432}");
    need(s, 204, "POST", "rotation/targets/pg", "{\"hosts\":\"/run/sim:5432,/run/other:5432\"}");
    finish(s, id, 403, "the approvals are void");
    need(s, 204, "POST", "rotation/targets/pg", "{\"hosts\":\"/run/sim:5432\"}");
    finish(s, id, 200, NULL);
    comes_to_done(s);
    scene_end(s);
}

/* What a schedule starts was decided when it was set. */
static void a_schedule_asks_nobody(void **state)
{
    struct scene *s = with_people(*state);
    change_rotation(s, "{\"approvals\":2,\"approvers\":\"guard\",\"cron\":\"0 * * * *\"}");
    s->vault->now_ms += (int64_t)3600 * 1000;
    for (int i = 0; i < PATIENCE && s->run[0] == '\0'; i++) {
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
        need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
        text_at(s, "data.state.run", s->run, sizeof s->run);
    }
    assert_string_not_equal(s->run, "");
    ends_done(s);
    scene_end(s);
}

/* Who may write classes, and no more, has no run started that people have a say in: it gets overdue. */
static void its_class_starts_nothing(void **state)
{
    struct scene *s = with_people(*state);
    char next[64] = "";
    change_rotation(s, "{\"risk\":\"high\",\"approvals\":2,\"approvers\":\"guard\"}");
    need(s, 204, "POST", "rotation/classes", "{\"high\":{\"max_age\":\"1h\"}}");
    s->vault->now_ms += (int64_t)2 * 3600 * 1000;
    need(s, 200, "GET", "rotation/overdue", NULL);
    says(s, "\"secret\":\"" SECRET "\",\"why\":\"age\"");
    need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
    text_at(s, "data.state.next_due", next, sizeof next);
    assert_string_equal(next, "");
    scene_end(s);
}

/* ---- a change ---- */

static void by_two(struct scene *s, const char *method, const char *path, const char *body)
{
    char id[ID];
    ask(s, id, method, path, body);
    done_by_two(s, id, 204);
}

static void asked_and_approved(struct scene *s, char id[ID], const char *method, const char *path, const char *body)
{
    ask(s, id, method, path, body);
    approve(s, TOM, id, 200, NULL);
    approve(s, ANN, id, 200, NULL);
}

static void free_change(struct scene *s, const char *method, const char *path, const char *body)
{
    wants_as(s, tokens[BOB], 204, NULL, method, path, body);
}

/* What was approved is the step from what was there: of a secret, */
static void of_what_it_was(void **state)
{
    struct scene *s = with_people(*state);
    char lower[ID], removal[ID];
    change_rotation(s, "{\"approvals\":2,\"approvers\":\"guard\"}");
    asked_and_approved(s, lower, "POST", "rotation/secrets/" SECRET, "{\"approvals\":1}");
    about(s, lower, SECRET " as it was: approvals=2 approvers=guard, risk=none, overlap at pg");
    asked_and_approved(s, removal, "DELETE", "rotation/secrets/" SECRET, NULL);
    by_two(s, "POST", "rotation/secrets/" SECRET, "{\"max_age\":\"90d\"}");
    finish(s, lower, 403, "the approvals are void");
    finish(s, removal, 403, "the approvals are void");
    need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
    says(s, "\"approvals\":2");
    /* It is again what they approved a change of. */
    by_two(s, "POST", "rotation/secrets/" SECRET, "{\"max_age\":\"\"}");
    finish(s, lower, 204, NULL);
    need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
    says(s, "\"approvals\":1");
    finish(s, removal, 403, "the approvals are void");
    scene_end(s);
}

/* of the class that it had or would have, of all classes, */
static void of_what_its_class_was(void **state)
{
    static const char high[] = "{\"high\":{\"max_age\":\"90d\"}}";
    static const char both[] = "{\"high\":{\"max_age\":\"90d\"},\"low\":{\"max_age\":\"400d\"}}";
    struct scene *s = with_people(*state);
    char risk[ID], classes[ID];
    need(s, 204, "POST", "rotation/classes", high);
    change_rotation(s, "{\"approvals\":2,\"approvers\":\"guard\"}");
    asked_and_approved(s, risk, "POST", "rotation/secrets/" SECRET, "{\"risk\":\"low\"}");
    free_change(s, "POST", "rotation/classes", both);
    finish(s, risk, 403, "the approvals are void");
    free_change(s, "POST", "rotation/classes", high);
    finish(s, risk, 204, NULL);
    need(s, 204, "POST", "rotation/classes", "{\"high\":{\"approvals\":2,\"approvers\":\"guard\"}}");
    asked_and_approved(s, classes, "POST", "rotation/classes", both);
    about(s, classes, "high max_age=none, approvals=2 approvers=guard; medium max_age=none, no approvals");
    by_two(s, "POST", "rotation/classes", "{\"high\":{\"approvals\":1,\"approvers\":\"guard\"}}");
    finish(s, classes, 403, "the approvals are void");
    scene_end(s);
}

/* of a target, and of what was not there. */
static void of_what_a_target_was(void **state)
{
    struct scene *s = with_people(*state);
    char target[ID], fresh[ID], gone[ID], secret[ID];
    need(s, 204, "POST", "rotation/targets/old", "{\"driver\":\"postgresql\",\"host\":\"/run/sim\",\"database\":\"x\","
                                                "\"admin_username\":\"a\",\"admin_password\":\"b\"}");
    need(s, 200, "POST", "secret/data/db/second", "{\"data\":{\"password\":\"first\"}}");
    need(s, 200, "POST", "sys/approvals/rules/targets",
         "{\"paths\":\"rotation/targets/pg,rotation/targets/new,rotation/targets/old,rotation/secrets/" OTHER "\","
         "\"group\":\"dba\",\"needed\":2}");
    s->vault->now_ms += 1000;
    asked_and_approved(s, target, "POST", "rotation/targets/pg", "{\"max_runs\":2}");
    about(s, target, "target pg as it was: postgresql, host /run/sim");
    asked_and_approved(s, fresh, "POST", "rotation/targets/new",
                       "{\"driver\":\"postgresql\",\"host\":\"/run/sim\",\"database\":\"x\",\"admin_username\":\"a\","
                       "\"admin_password\":\"b\"}");
    about(s, fresh, "target new, which was not there");
    asked_and_approved(s, gone, "DELETE", "rotation/targets/old", NULL);
    asked_and_approved(s, secret, "POST", "rotation/secrets/" OTHER, "{}");
    about(s, secret, OTHER " as it was: without a rotation");
    by_two(s, "POST", "rotation/targets/pg", "{\"port\":5433}");
    by_two(s, "POST", "rotation/targets/old", "{\"port\":5433}");
    by_two(s, "POST", "rotation/secrets/" OTHER, "{\"owner\":\"b\"}");
    by_two(s, "POST", "rotation/targets/new",
           "{\"driver\":\"postgresql\",\"host\":\"/run/other\",\"database\":\"x\",\"admin_username\":\"a\","
           "\"admin_password\":\"b\"}");
    finish(s, target, 403, "the approvals are void");
    finish(s, fresh, 403, "the approvals are void");
    finish(s, gone, 403, "the approvals are void");
    finish(s, secret, 403, "the approvals are void");
    scene_end(s);
}

/* ---- a class ---- */

static void as_the_class_wants(void **state)
{
    struct scene *s = with_people(*state);
    char id[ID];
    need(s, 204, "POST", "rotation/classes",
         "{\"critical\":{\"approvals\":2,\"approvers\":\"guard\"},\"low\":{\"max_age\":\"400d\"}}");
    need(s, 200, "GET", "rotation/classes", NULL);
    says(s, "\"approvals\":2,\"approvers\":\"guard\"");
    change_rotation(s, "{\"risk\":\"critical\"}");
    ask(s, id, "POST", "rotation/rotate/" SECRET, "{}");
    about(s, id, "\"needed\":2");
    /* Into a class that wants less; of one that wants more, and one besides. */
    ask(s, id, "POST", "rotation/secrets/" SECRET, "{\"risk\":\"low\"}");
    ask(s, id, "POST", "rotation/secrets/" SECRET, "{\"approvals\":3,\"approvers\":\"guard\"}");
    done_by_two(s, id, 200); /* with a warning */
    ask(s, id, "POST", "rotation/rotate/" SECRET, "{}");
    about(s, id, "\"needed\":3");
    approve(s, TOM, id, 200, NULL);
    approve(s, ANN, id, 200, NULL);
    finish(s, id, 403, "2 of the 3 approvals");
    /* The class itself. Another one is free. */
    ask(s, id, "POST", "rotation/classes", "{\"low\":{\"max_age\":\"400d\"}}");
    finish(s, id, 403, "0 of the 2 approvals");
    ask(s, id, "POST", "rotation/classes",
        "{\"critical\":{\"approvals\":2,\"approvers\":\"guard\",\"max_age\":\"1m\"},\"low\":{\"max_age\":\"400d\"}}");
    wants_as(s, tokens[BOB], 204, NULL, "POST", "rotation/classes",
             "{\"critical\":{\"approvals\":\"2\",\"approvers\":\"guard\"},\"low\":{\"max_age\":\"500d\"}}");
    /* A secret that wants fewer than its class. */
    ask(s, id, "POST", "rotation/secrets/" SECRET, "{\"approvals\":1,\"approvers\":\"guard\"}");
    approve(s, CARL, id, 200, NULL);
    done_by_two(s, id, 204);
    ask(s, id, "POST", "rotation/rotate/" SECRET, "{}");
    approve(s, TOM, id, 200, NULL);
    finish(s, id, 403, "1 of the 2 approvals");
    approve(s, CARL, id, 200, NULL);
    finish(s, id, 200, NULL);
    comes_to_done(s);
    scene_end(s);
}

/* ---- as one ---- */

static struct scene *two(const char *strategy)
{
    struct scene *s = with_people(strategy);
    (void)pthread_mutex_lock(&s->sim.lock);
    sim_add(&s->sim, "app_c", "first-of-c");
    (void)pthread_mutex_unlock(&s->sim.lock);
    need(s, 200, "POST", "secret/data/db/second", "{\"data\":{\"username\":\"app_c\",\"password\":\"first-of-c\"}}");
    need(s, 204, "POST", "rotation/secrets/" OTHER,
         "{\"target\":\"pg\",\"strategy\":\"overlap\",\"accounts\":[\"app_c\"],\"overlap\":2,\"soak\":1,"
         "\"max_overlap\":600}");
    change_rotation(s, "{\"together\":[\"" OTHER "\"],\"approvals\":2,\"approvers\":\"guard\"}");
    return s;
}

/* One of them wants people: so do all, whichever is started; what they approve are all of them, as they are. */
static void all_of_a_group(void **state)
{
    struct scene *s = two(*state);
    char id[ID], mine[ID];
    ask(s, mine, "POST", "rotation/rotate/" SECRET, "{}");
    about(s, mine, SECRET ", version 1, ");
    about(s, mine, "; as one with " OTHER ", version 1, ");
    ask(s, id, "POST", "rotation/rotate/" OTHER, "{}");
    about(s, id, "; as one with " SECRET ", version 1, ");
    ask(s, id, "POST", "rotation/secrets/" OTHER, "{\"cron\":\"* * * * *\"}");
    ask(s, id, "POST", "rotation/secrets/" SECRET, "{\"together\":\"\"}");
    wants_as(s, tokens[BOB], 200, NULL, "POST", "rotation/reconcile/" OTHER, "{}"); /* is of one alone */
    scene_end(s);
}

static void one_of_them_changed(void **state)
{
    struct scene *s = two(*state);
    char id[ID];
    /* A change of one is approved with the others as they are. */
    asked_and_approved(s, id, "POST", "rotation/secrets/" SECRET, "{\"owner\":\"ops\"}");
    by_two(s, "POST", "rotation/secrets/" OTHER, "{\"max_age\":\"90d\"}");
    finish(s, id, 403, "the approvals are void");
    ask(s, id, "POST", "rotation/rotate/" SECRET, "{}");
    approve(s, TOM, id, 200, NULL);
    approve(s, ANN, id, 200, NULL);
    need(s, 200, "POST", "secret/data/db/second", "{\"data\":{\"username\":\"app_c\",\"password\":\"first-of-c\"}}");
    finish(s, id, 403, "the approvals are void");
    ask(s, id, "POST", "rotation/rotate/" SECRET, "{}");
    about(s, id, "; as one with " OTHER ", version 2, ");
    done_by_two(s, id, 200);
    says(s, "\"together\":[{\"run\":\"");
    comes_to_done(s);
    scene_end(s);
}

/* What is in force and from where, of one rule the larger number: as what is asked for then has it. */
static void the_plan_says_who(void **state)
{
    static const char *const forces[] = {
        "\"approvals_in_force\":[]",
        "[{\"rule\":\"guard\",\"needed\":1,\"from\":\"the secret\",\"rule_is_there\":true}]",
        "[{\"rule\":\"guard\",\"needed\":2,\"from\":\"class high\",\"rule_is_there\":true}]",
        ",{\"rule\":\"paths\",\"needed\":1,\"from\":\"the rule's paths\",\"rule_is_there\":true}]",
        "[{\"rule\":\"guard\",\"needed\":3,\"from\":\"the rule's paths\",\"rule_is_there\":true},",
    };
    struct scene *s = with_people(*state);
    char id[ID];
    need(s, 200, "GET", "rotation/plan", NULL);
    says(s, forces[0]);
    change_rotation(s, "{\"approvals\":1,\"approvers\":\"guard\"}");
    need(s, 200, "GET", "rotation/plan", NULL);
    says(s, forces[1]);
    need(s, 204, "POST", "rotation/classes", "{\"high\":{\"approvals\":2,\"approvers\":\"guard\"}}");
    by_two(s, "POST", "rotation/secrets/" SECRET, "{\"risk\":\"high\"}");
    need(s, 200, "GET", "rotation/plan", NULL);
    says(s, forces[2]);
    need(s, 200, "POST", "sys/approvals/rules/paths", "{\"paths\":\"rotation/rotate/secret/*\",\"group\":\"dba\"}");
    need(s, 200, "POST", "sys/approvals/rules/other", "{\"paths\":\"rotation/secrets/*\",\"group\":\"dba\"}");
    need(s, 200, "GET", "rotation/plan", NULL);
    says(s, forces[3]);
    ask(s, id, "POST", "sys/approvals/rules/guard",
        "{\"paths\":\"sys/approvals/rules/guard,rotation/rotate/*\",\"group\":\"dba\",\"needed\":3}");
    done_by_two(s, id, 200);
    need(s, 200, "GET", "rotation/plan", NULL);
    says(s, forces[4]);
    /* It is what is wanted. */
    ask(s, id, "POST", "rotation/rotate/" SECRET, "{}");
    about(s, id, "\"name\":\"guard\",\"needed\":3");
    about(s, id, "\"name\":\"paths\",\"needed\":1");
    scene_end(s);
}

static void the_plan_says_who_of_a_group(void **state)
{
    struct scene *s = two(*state);
    char id[ID];
    need(s, 200, "GET", "rotation/plan?prefix=" OTHER, NULL);
    says(s, "[{\"rule\":\"guard\",\"needed\":2,\"from\":\"" SECRET "\",\"rule_is_there\":true}]");
    need(s, 200, "POST", "rotation/classes", "{\"low\":{\"approvals\":3,\"approvers\":\"guard\"}}");
    ask(s, id, "POST", "rotation/secrets/" OTHER, "{\"risk\":\"low\"}");
    done_by_two(s, id, 204);
    need(s, 200, "GET", "rotation/plan?prefix=" SECRET, NULL);
    says(s, "[{\"rule\":\"guard\",\"needed\":3,\"from\":\"class low of " OTHER "\",\"rule_is_there\":true}]");
    /* A rule about the other's path, too: whoever starts the one starts both. */
    need(s, 200, "POST", "sys/approvals/rules/paths", "{\"paths\":\"rotation/rotate/" OTHER "\",\"group\":\"dba\"}");
    need(s, 200, "GET", "rotation/plan?prefix=" SECRET, NULL);
    says(s, "{\"rule\":\"paths\",\"needed\":1,\"from\":\"the rule's paths, of " OTHER "\",\"rule_is_there\":true}");
    need(s, 200, "GET", "rotation/plan?prefix=" OTHER, NULL);
    says(s, "{\"rule\":\"paths\",\"needed\":1,\"from\":\"the rule's paths\",\"rule_is_there\":true}");
    ask(s, id, "POST", "rotation/rotate/" SECRET, "{}");
    about(s, id, "\"name\":\"paths\",\"needed\":1");
    by_two(s, "DELETE", "sys/approvals/rules/guard", NULL);
    need(s, 200, "GET", "rotation/plan", NULL);
    says(s, "\"rule_is_there\":false}");
    scene_end(s);
}

/* ---- what cannot be ---- */

static void nobody_is_there(void **state)
{
    static const struct {
        const char *body, *text;
    } rows[] = {
        {"{\"approvals\":17,\"approvers\":\"guard\"}", "between 0 and 16"},
        {"{\"approvals\":-1,\"approvers\":\"guard\"}", "between 0 and 16"},
        {"{\"approvals\":4,\"approvers\":\"guard\"}", "fewer people"},
        {"{\"approvals\":1,\"approvers\":\"none\"}", "no rule of approval of that name"},
        {"{\"approvals\":1}", "nobody is named"},
        {"{\"approvers\":\"guard\"}", "none of them is wanted"},
    };
    struct scene *s = with_people(*state);
    char body[TEXT];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        need(s, 400, "POST", "rotation/secrets/" SECRET, rows[i].body);
        says(s, rows[i].text);
        (void)snprintf(body, sizeof body, "{\"high\":%s}", rows[i].body);
        need(s, 400, "POST", "rotation/classes", body);
    }
    /* More than may change the rule. */
    need(s, 200, "POST", "rotation/secrets/" SECRET, "{\"approvals\":3,\"approvers\":\"guard\"}");
    says(s, "itself may be changed by 2 of them");
    scene_end(s);
}

/* The rule is gone, with its people's approval: nothing passes any more but by break-glass. */
static void the_rule_is_gone(void **state)
{
    struct scene *s = with_people(*state);
    char id[ID], path[TEXT];
    change_rotation(s, "{\"approvals\":1,\"approvers\":\"guard\"}");
    ask(s, id, "DELETE", "sys/approvals/rules/guard", NULL);
    done_by_two(s, id, 204);
    ask(s, id, "POST", "rotation/rotate/" SECRET, "{}");
    approve(s, TOM, id, 403, "break-glass lets it pass");
    finish(s, id, 403, "there is no such rule any more");
    (void)snprintf(path, sizeof path, "sys/approvals/requests/%s/break-glass", id);
    assert_int_equal(local(s, 0, "POST", path, s->vault->root, "{\"reason\":\"the rule was removed\"}"), 200);
    finish(s, id, 200, NULL);
    comes_to_done(s);
    scene_end(s);
}


int main(void)
{
    const struct CMUnitTest tests[] = {
        ALTERNATE(as_the_secret_wants), OVERLAP(nobody_gets_round),  OVERLAP(back_is_free),
        ALTERNATE(what_was_approved),   OVERLAP(a_schedule_asks_nobody), OVERLAP(its_class_starts_nothing),
        OVERLAP(as_the_class_wants),    OVERLAP(of_what_it_was),         OVERLAP(of_what_its_class_was),
        ALTERNATE(of_what_a_target_was),
        OVERLAP(all_of_a_group),      OVERLAP(one_of_them_changed),  OVERLAP(nobody_is_there),
        ALTERNATE(the_rule_is_gone),  OVERLAP(the_plan_says_who),    OVERLAP(the_plan_says_who_of_a_group),
    };
    return cmocka_run_group_tests_name("rotation_people", tests, NULL, NULL);
}
