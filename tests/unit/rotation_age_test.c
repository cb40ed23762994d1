/* How old a secret may get: by itself, by its risk class; what counts as overdue, and what a change of the
 * classes does to what is planned. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/support/rotation_scene.h"
#include "vaultd/rotation/secret.h"

#define DAY_MS  ((int64_t)86400000)
#define CLASSES                                                                                    \
    "{\"critical\":{\"max_age\":\"30d\",\"description\":\"money\"},\"high\":{\"max_age\":\"90d\"}," \
    "\"low\":{}}"

static void brake(struct scene *s)
{
    need(s, 200, "POST", "rotation/pause", "{\"reason\":\"so that nothing starts\"}");
}

/* In steps that the clock's guard takes for time that passed. */
static void pass_days(struct scene *s, unsigned days)
{
    for (unsigned i = 0; i < 2 * days; i++) {
        for (int tries = 0; tries < PATIENCE && !goes_by(s, DAY_MS / 2); tries++)
            pause_ms(1);
        need(s, 200, "POST", "rotation/targets/pg/check", "{}");
    }
}

static void comes_to_say(struct scene *s, const char *path, const char *text)
{
    for (int i = 0; i < PATIENCE; i++) {
        need(s, 200, "GET", path, NULL);
        if (test_vault_said(s->vault, text))
            return;
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
    }
    says(s, text);
}

static void classes(void **state)
{
    struct scene *s = scene(*state);
    static const struct {
        const char *body, *text;
    } wrong[] = {
        {"{\"high\":{\"max_age\":\"soon\"}}", "max_age"},
        {"{\"high\":{\"max_age\":30}}", "high.max_age must be a text"},
        {"{\"high\":{\"maxage\":\"30d\"}}", "class high has an unknown member"},
        {"{\"high\":{\"description\":\"a\\nb\"}}", "high.description has a control character"},
    };
    need(s, 200, "GET", "rotation/classes", NULL);
    says(s, "\"critical\":{\"max_age\":\"\",\"description\":\"\",\"approvals\":0,\"approvers\":\"\"}");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        need(s, 400, "POST", "rotation/classes", wrong[i].body);
        says(s, wrong[i].text);
    }
    need(s, 204, "POST", "rotation/classes", CLASSES);
    test_vault_reseal(s->vault);
    need(s, 200, "GET", "rotation/classes", NULL);
    says(s, "\"critical\":{\"max_age\":\"30d\",\"description\":\"money\",\"approvals\":0,\"approvers\":\"\"}");
    says(s, "\"medium\":{\"max_age\":\"\",\"description\":\"\",\"approvals\":0,\"approvers\":\"\"}");
    need(s, 400, "POST", "rotation/secrets/secret/x", "{\"risk\":\"hihg\"}");
    says(s, "risk must be critical, high, medium or low");
    need(s, 204, "POST", "rotation/secrets/secret/x", "{\"risk\":\"\"}");
    scene_end(s);
}

#define DUE_IN "\"next_reason\":\"max_age\""

static void a_class_plans(void **state)
{
    struct scene *s = scene(*state);
    need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
    says(s, "\"next_due\":\"\"");
    need(s, 204, "POST", "rotation/secrets/" SECRET, "{\"risk\":\"high\"}");
    need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
    assert_false(test_vault_said(s->vault, DUE_IN));
    need(s, 204, "POST", "rotation/secrets/secret/own", "{\"risk\":\"high\",\"max_age\":\"10d\"}");
    /* The classes come later: what they touch is planned by them, what has its own is not. */
    need(s, 204, "POST", "rotation/classes", CLASSES);
    comes_to_say(s, "rotation/secrets/" SECRET, DUE_IN);
    says(s, "in any case 90d after the last rotation");
    says(s, "\"next_due\":\"2027-04-15T"); /* it is 15 January */
    need(s, 200, "GET", "rotation/secrets/secret/own", NULL);
    says(s, "in any case 10d after the last rotation");
    need(s, 204, "POST", "rotation/secrets/" SECRET, "{\"risk\":\"critical\"}");
    need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
    says(s, "in any case 30d after the last rotation");
    says(s, "\"next_due\":\"2027-02-14T");
    need(s, 204, "POST", "rotation/secrets/" SECRET, "{\"risk\":\"high\",\"owner\":\"db\"}");
    need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
    says(s, "\"next_due\":\"2027-04-15T");
    need(s, 204, "POST", "rotation/secrets/" SECRET, "{\"risk\":\"critical\"}");
    need(s, 204, "POST", "rotation/classes", "{}");
    comes_to_say(s, "rotation/secrets/" SECRET, "\"next_due\":\"\"");
    scene_end(s);
}

static void jump(struct scene *s, int64_t by_ms, const char *clock)
{
    s->vault->wall_ahead_ms += by_ms;
    comes_to_say(s, "rotation/clock", clock);
}

/* Nothing is planned by a clock that is ahead by ten years. */
static void a_class_waits_for_the_clock(void **state)
{
    struct scene *s = scene(*state);
    need(s, 204, "POST", "rotation/secrets/" SECRET, "{\"risk\":\"high\"}");
    need(s, 204, "POST", "rotation/secrets/secret/other", "{}");
    jump(s, 3652 * DAY_MS, "\"alarm\":true");
    need(s, 204, "POST", "rotation/classes", CLASSES);
    /* What the rotation thread does after it would have planned. */
    need(s, 200, "POST", "rotation/rotate/secret/other", NULL);
    comes_to_say(s, "rotation/secrets/secret/other", "\"current\":1");
    need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
    says(s, "\"next_due\":\"\"");
    jump(s, -3652 * DAY_MS, "\"alarm\":false");
    comes_to_say(s, "rotation/secrets/" SECRET, DUE_IN);
    says(s, "\"next_due\":\"2027-");
    scene_end(s);
}

/* More than a request's share of them, and the vault is sealed and opened again before it may be done. */
static void many_are_planned(void **state)
{
    struct scene *s = scene(*state);
    char path[80];
    for (unsigned i = 0; i < 40; i++) {
        (void)snprintf(path, sizeof path, "rotation/secrets/secret/many%u", i);
        need(s, 204, "POST", path, "{\"risk\":\"low\"}");
    }
    need(s, 204, "POST", "rotation/classes", "{\"low\":{\"max_age\":\"365d\"}}");
    test_vault_reseal(s->vault);
    for (unsigned i = 0; i < 40; i++) {
        (void)snprintf(path, sizeof path, "rotation/secrets/secret/many%u", i);
        comes_to_say(s, path, DUE_IN);
    }
    scene_end(s);
}

static void a_class_rotates(void **state)
{
    struct scene *s = scene(*state);
    need(s, 204, "POST", "rotation/classes", CLASSES);
    need(s, 200, "POST", "secret/data/old", "{\"data\":{\"password\":\"first\"}}");
    need(s, 204, "POST", "rotation/secrets/secret/old", "{\"risk\":\"critical\"}");
    pass_days(s, 31);
    comes_to_say(s, "secret/data/old", "\"version\":2");
    scene_end(s);
}

static void by_age(void **state)
{
    struct scene *s = scene(*state);
    need(s, 204, "POST", "rotation/classes", CLASSES);
    need(s, 204, "POST", "rotation/secrets/" SECRET, "{\"risk\":\"critical\",\"owner\":\"team-db\"}");
    need(s, 200, "GET", "rotation/overdue", NULL);
    says(s, "\"checked\":1,\"count\":0,\"overdue\":[]");
    brake(s);
    pass_days(s, 29);
    need(s, 200, "GET", "rotation/overdue", NULL);
    says(s, "\"count\":0");
    pass_days(s, 2);
    need(s, 200, "GET", "rotation/overdue", NULL);
    says(s, "\"count\":1,\"overdue\":[{\"secret\":\"secret/db/orders\",\"why\":\"age\"");
    says(s, "\"max_age_s\":2592000,\"owner\":\"team-db\",\"risk\":\"critical\",\"run\":\"\"");
    says(s, "\"blocked_by\":\"paused by root since ");
    need(s, 200, "DELETE", "rotation/pause", NULL);
    comes_to_say(s, "rotation/overdue?grace=0", "\"run\":\"0"); /* it is old until it is done */
    test_vault_call(s->vault, "LIST", "rotation/runs", s->vault->root, NULL);
    scene_end(s);
}

static void make_issued(struct scene *s, const char *name, const char *generator)
{
    char path[64], body[160];
    (void)snprintf(path, sizeof path, "rotation/secrets/secret/%s", name);
    (void)snprintf(body, sizeof body, "{\"generator\":%s}", generator);
    need(s, 204, "POST", path, body);
    (void)snprintf(path, sizeof path, "rotation/rotate/secret/%s", name);
    need(s, 200, "POST", path, "{}");
}

static bool is_too_old(struct scene *s, const char *name)
{
    char text[96];
    (void)snprintf(text, sizeof text, "{\"secret\":\"secret/%s\",\"why\":\"age\"", name);
    need(s, 200, "GET", "rotation/overdue", NULL);
    return test_vault_said(s->vault, text);
}

/* Of its life: a list at three quarters of its 7 days, a certificate at five sixths of its 90. */
static void what_is_issued(void **state)
{
    struct scene *s = scene(*state);
    make_issued(s, "ca", "{\"type\":\"x509-ca\",\"common_name\":\"Root\"}");
    make_issued(s, "leaf", "{\"type\":\"x509\",\"issuer\":\"secret/ca\",\"names\":\"a.example.com\"}");
    make_issued(s, "list", "{\"type\":\"x509-crl\",\"issuer\":\"secret/ca\"}");
    brake(s);
    pass_days(s, 5);
    assert_false(is_too_old(s, "list"));
    says(s, "{\"secret\":\"secret/list\",\"why\":\"late\""); /* it was to be made anew at half of its life */
    s->vault->now_ms += (int64_t)7 * 3600 * 1000;
    assert_true(is_too_old(s, "list"));
    pass_days(s, 69);
    assert_false(is_too_old(s, "leaf"));
    says(s, "{\"secret\":\"secret/leaf\",\"why\":\"late\"");
    pass_days(s, 1);
    assert_true(is_too_old(s, "leaf"));
    scene_end(s);
}

static void by_schedule(void **state)
{
    struct scene *s = scene(*state);
    need(s, 204, "POST", "rotation/secrets/secret/b", "{\"period\":\"1h\"}");
    need(s, 204, "POST", "rotation/secrets/secret/a", "{\"period\":\"1h\"}");
    need(s, 204, "POST", "rotation/secrets/secret/hand", "{}");
    brake(s);
    s->vault->now_ms += 3600000 + 240000;
    need(s, 200, "GET", "rotation/overdue", NULL);
    says(s, "\"count\":0");
    need(s, 200, "GET", "rotation/overdue?grace=1m", NULL);
    says(s, "\"checked\":4,\"count\":2,\"overdue\":[{\"secret\":\"secret/a\",\"why\":\"late\"");
    s->vault->now_ms += 120000;
    need(s, 200, "GET", "rotation/overdue?limit=1", NULL);
    says(s, "\"count\":2,\"overdue\":[{\"secret\":\"secret/a\"");
    assert_false(test_vault_said(s->vault, "secret/b"));
    need(s, 400, "GET", "rotation/overdue?limit=0", NULL);
    need(s, 400, "GET", "rotation/overdue?grace=-1", NULL);
    need(s, 400, "GET", "rotation/overdue?grace=400d", NULL);
    scene_end(s);
}

static void frozen(void **state)
{
    struct scene *s = scene(*state);
    sim_account(&s->sim, "app_a")->verifier[0] = '\0'; /* changed behind the vault's back */
    rotate(s);
    soon(s, "frozen");
    need(s, 200, "GET", "rotation/overdue", NULL);
    says(s, "\"count\":1,\"overdue\":[{\"secret\":\"secret/db/orders\",\"why\":\"frozen\"");
    says(s, s->run);
    cancel(s, 200);
    soon(s, "cancelled");
    need(s, 200, "GET", "rotation/overdue", NULL);
    says(s, "\"count\":0");
    s->sim.locked_out[0] = '\0'; /* meant */
    scene_end(s);
}

/* A new time is planned behind each failure: that is not "nothing is overdue". */
static void fails_each_time(void **state)
{
    struct scene *s = scene(*state);
    s->sim.says_no = true;
    change_rotation(s, "{\"cron\":\"0 3 * * *\"}");
    pass_days(s, 1);
    comes_to_say(s, "rotation/secrets/" SECRET, "\"last_fire\":\"2027-01-16T03:00:00Z\"");
    text_at(s, "data.state.last_run", s->run, sizeof s->run);
    until(s, "rolled_back");
    need(s, 200, "GET", "rotation/overdue", NULL);
    says(s, "\"count\":1,\"overdue\":[{\"secret\":\"secret/db/orders\",\"why\":\"failed\"");
    says(s, "\"since\":\"2027-01-16T03:00:00Z\"");
    s->sim.says_no = false;
    rotate(s);
    until(s, "done");
    need(s, 200, "GET", "rotation/overdue", NULL);
    says(s, "\"count\":0");
    scene_end(s);
}

/* By hand, nothing was to be done at any time. */
static void fails_by_hand(void **state)
{
    struct scene *s = scene(*state);
    s->sim.says_no = true;
    rotate(s);
    until(s, "rolled_back");
    need(s, 200, "GET", "rotation/overdue", NULL);
    says(s, "\"count\":0");
    scene_end(s);
}

static enum kt_kind lose_schedule(struct request *req, struct kt_err *err)
{
    struct rotation_secret secret;
    enum kt_kind kind = secret_load(req, SECRET, &secret, err);
    if (kind == KT_OK)
        kind = due_remove(req, &secret, err);
    secret.held = "there is no time zone of that name";
    return kind == KT_OK ? secret_save(req, &secret, err) : kind;
}

static void unreadable(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"cron\":\"0 3 * * *\"}");
    assert_int_equal(request_internal(s->vault->core, "test/schedule", lose_schedule, NULL, NULL), KT_OK);
    need(s, 200, "GET", "rotation/overdue", NULL);
    says(s, "\"count\":1,\"overdue\":[{\"secret\":\"secret/db/orders\",\"why\":\"held\"");
    says(s, "\"overdue_s\":0");
    change_rotation(s, "{\"cron\":\"0 4 * * *\"}");
    need(s, 200, "GET", "rotation/overdue", NULL);
    says(s, "\"count\":0");
    scene_end(s);
}

/* A run that does not end is not on time for ever. */
static void goes_on_and_on(void **state)
{
    struct scene *s = scene(*state);
    change_rotation(s, "{\"cron\":\"0 3 * * *\",\"ack_timeout\":\"30d\",\"max_overlap\":\"1d\"}");
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    pass_days(s, 1);
    need(s, 200, "GET", "rotation/overdue", NULL);
    says(s, "\"count\":0");
    pass_days(s, 1);
    assert_true(is_in(s, "acking"));
    need(s, 200, "GET", "rotation/overdue", NULL);
    says(s, "\"count\":1,\"overdue\":[{\"secret\":\"secret/db/orders\",\"why\":\"late\"");
    says(s, "\"since\":\"2027-01-16T08:00:0");
    scene_end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALTERNATE(classes), ALTERNATE(a_class_plans), ALTERNATE(a_class_waits_for_the_clock),
        ALTERNATE(many_are_planned),
        ALTERNATE(a_class_rotates), ALTERNATE(by_age), ALTERNATE(what_is_issued),
 ALTERNATE(by_schedule), ALTERNATE(frozen),
        ALTERNATE(fails_each_time), ALTERNATE(fails_by_hand), ALTERNATE(unreadable),
        ALTERNATE(goes_on_and_on),
    };
    return cmocka_run_group_tests_name("rotation age", tests, NULL, NULL);
}
