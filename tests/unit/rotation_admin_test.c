/* An administrative login that is a secret's: it rotates at the target whose login it is, before what it changes
 * there, and under whatever is under way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/rotation_scene.h"
#include "vaultd/rotation/target.h"

#define ADMIN      "secret/db/admin"
#define FIRST      "first-password-of-admin-a"
#define HOUR_MS    ((int64_t)3600 * 1000)
#define ADMIN_SET  "\"target\":\"pg\",\"strategy\":\"alternate\",\"accounts\":[\"admin_a\",\"admin_b\"]," \
                   "\"group\":\"admins\",\"overlap\":2,\"soak\":1,\"drain\":0,\"loose_readers\":\"ignore\""
#define BY_SECRET  "{\"admin_secret\":\"" ADMIN "\"}"

static struct scene *with_admins(const char *strategy)
{
    struct scene *s = scene(strategy);
    (void)pthread_mutex_lock(&s->sim.lock);
    sim_add(&s->sim, "admin_a", FIRST);
    sim_add(&s->sim, "admin_b", NULL);
    s->sim.admins = true;
    (void)pthread_mutex_unlock(&s->sim.lock);
    need(s, 200, "POST", "secret/data/db/admin",
         "{\"data\":{\"username\":\"admin_a\",\"password\":\"" FIRST "\"}}");
    need(s, 204, "POST", "rotation/targets/pg", BY_SECRET);
    need(s, 204, "POST", "rotation/secrets/" ADMIN, "{" ADMIN_SET "}");
    return s;
}

static void admin_is(struct scene *s, unsigned version, const char *user)
{
    char name[64], password[128], number[16];
    need(s, 200, "GET", "secret/data/db/admin", NULL);
    text_at(s, "data.data.username", name, sizeof name);
    text_at(s, "data.data.password", password, sizeof password);
    text_at(s, "data.metadata.version", number, sizeof number);
    assert_string_equal(name, user);
    assert_int_equal(strtoul(number, NULL, 10), version);
    assert_true(sim_accepts(&s->sim, name, password));
    need(s, 200, "POST", "rotation/targets/pg/check", "{}");
    says(s, "\"ok\":true");
}

static void rotate_admin(struct scene *s)
{
    need(s, 200, "POST", "rotation/rotate/" ADMIN, "{}");
    text_at(s, "data.run", s->run, sizeof s->run);
}

static void there_and_on(void **state)
{
    struct scene *s = with_admins(*state);
    admin_is(s, 1, "admin_a");
    rotate_admin(s);
    until(s, "done");
    admin_is(s, 2, "admin_b");
    assert_false(sim_accepts(&s->sim, "admin_a", FIRST));
    rotate(s);
    ends_done(s);
    rotate_admin(s);
    until(s, "done");
    admin_is(s, 3, "admin_a");
    /* The target kept none of them. */
    need(s, 200, "GET", "rotation/targets/pg", NULL);
    says(s, "\"admin_username\":\"\",\"admin_secret\":\"" ADMIN "\"");
    need(s, 400, "POST", "rotation/targets/pg", "{\"admin_secret\":\"\"}");
    says(s, "must give the administrative login");
    scene_end(s);
}

/* A run that waits for a consumer meanwhile goes on with the new login. */
static void under_a_run(void **state)
{
    struct scene *s = with_admins(*state);
    char orders[64];
    change_rotation(s, "{\"on_ack_timeout\":\"hold\"}"); /* however long the other run takes */
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    memcpy(orders, s->run, sizeof orders);
    rotate_admin(s);
    until(s, "overlapping");
    test_vault_reseal(s->vault);
    until(s, "done");
    admin_is(s, 2, "admin_b");
    memcpy(s->run, orders, sizeof orders);
    acknowledge(s, "h1", 2);
    ends_done(s);
    scene_end(s);
}

static void goes_back(void **state)
{
    struct scene *s = with_admins(*state);
    change_rotation(s, "{\"overlap\":600}");
    need(s, 204, "POST", "rotation/secrets/" ADMIN, "{\"overlap\":600,\"max_overlap\":1200}");
    rotate_admin(s);
    soon(s, "overlapping");
    admin_is(s, 2, "admin_b");
    cancel(s, 200);
    until(s, "rolled_back");
    admin_is(s, 1, "admin_a");
    assert_string_equal(sim_account(&s->sim, "admin_b")->verifier, "");
    scene_end(s);
}

/* Whatever gets lost on the way, with a restart behind it. */
static void lost_answers(void **state)
{
    struct scene *s = with_admins(*state);
    for (unsigned lost = 1; lost <= 2; lost++) {
        SIM_SET(&s->sim, lose_reply, lost);
        rotate_admin(s);
        test_vault_reseal(s->vault);
        until(s, "done");
        admin_is(s, 1 + lost, lost == 1 ? "admin_b" : "admin_a");
    }
    scene_end(s);
}

static void goes_first(void **state)
{
    struct scene *s = with_admins(*state);
    char path[128];
    register_agent(s, "h1");
    change_rotation(s, "{\"cron\":\"0 * * * *\"}");
    need(s, 204, "POST", "rotation/secrets/" ADMIN, "{\"cron\":\"0 * * * *\",\"overlap\":600,\"max_overlap\":1200}");
    s->vault->now_ms += HOUR_MS;
    for (int i = 0; i < PATIENCE; i++) {
        rotation_wake(s->vault->core->rotation);
        need(s, 200, "GET", "rotation/secrets/" SECRET, NULL);
        if (test_vault_said(s->vault, "\"blocked_by\":\"" ADMIN ", which is rotated first: its run "))
            break;
        pause_ms(1);
    }
    says(s, "\"blocked_by\":\"" ADMIN ", which is rotated first: its run ");
    need(s, 200, "GET", "rotation/secrets/" ADMIN, NULL);
    text_at(s, "data.state.run", s->run, sizeof s->run);
    assert_string_not_equal(s->run, "");
    until(s, "done");
    (void)snprintf(path, sizeof path, "rotation/secrets/" SECRET);
    for (int i = 0; i < PATIENCE; i++) {
        rotation_wake(s->vault->core->rotation);
        need(s, 200, "GET", path, NULL);
        text_at(s, "data.state.run", s->run, sizeof s->run);
        if (s->run[0] != '\0')
            break;
        pause_ms(1);
    }
    until(s, "acking");
    acknowledge(s, "h1", 2);
    ends_done(s);
    scene_end(s);
}

static void refused(struct scene *s, const char *path, const char *body, const char *text)
{
    need(s, 400, "POST", path, body);
    says(s, text);
}

static void what_is_refused(void **state)
{
    struct scene *s = with_admins(*state);
    char token[128];
    refused(s, "rotation/targets/pg", "{\"admin_password\":\"x\"}", "leave admin_username and admin_password out");
    refused(s, "rotation/targets/pg", "{\"max_runs\":2}", "max_runs must be 1");
    refused(s, "rotation/targets/pg", "{\"admin_secret\":\"secret/none\"}",
            "the secret 'secret/none' has no version to log in with");
    refused(s, "rotation/targets/pg", "{\"admin_secret\":\"nowhere/x\"}", "is not the path of a secret");
    need(s, 200, "POST", "secret/data/half", "{\"data\":{\"username\":\"a\"}}");
    refused(s, "rotation/targets/pg", "{\"admin_secret\":\"secret/half\"}", "no text member");
    refused(s, "rotation/secrets/" ADMIN, "{\"strategy\":\"in-place\",\"allow_gap\":true,\"accounts\":[\"admin_a\"],\"group\":\"\"}",
            "changed in-place it would end itself");
    /* What waits for the login may not be waited for by it. */
    refused(s, "rotation/secrets/" ADMIN, "{\"after\":\"" SECRET "\"}",
            ADMIN " after " SECRET " after " ADMIN);
    refused(s, "rotation/targets/pg",
            "{\"admin_secret\":\"\",\"admin_username\":\"admin_a\",\"admin_password\":\"" FIRST "\"}",
            "account 'admin_a' of '" ADMIN "' is the administrative login of target 'pg'");
    need(s, 204, "POST", "rotation/targets/pg",
         "{\"admin_secret\":\"\",\"admin_username\":\"kt\",\"admin_password\":\"admin\"}");
    need(s, 204, "POST", "rotation/secrets/" ADMIN, "{\"after\":\"" SECRET "\"}");
    refused(s, "rotation/targets/pg", BY_SECRET,
            "a circle: '" ADMIN "' goes after '" SECRET "', which is rotated at target 'pg'");
    need(s, 204, "POST", "rotation/secrets/" ADMIN, "{\"after\":\"\"}");
    /* Nobody has the vault log in with what he may not read. */
    test_vault_token(s->vault, "targets", "path \"rotation/targets/*\" { capabilities = [\"create\",\"update\"] }\n",
                     token, sizeof token);
    assert_int_equal(test_vault_call(s->vault, "POST", "rotation/targets/pg", token, BY_SECRET), 403);
    test_vault_token(s->vault, "both",
                     "path \"rotation/targets/*\" { capabilities = [\"create\",\"update\"] }\n"
                     "path \"" "secret/data/db/admin\" { capabilities = [\"read\"] }\n", token, sizeof token);
    assert_int_equal(test_vault_call(s->vault, "POST", "rotation/targets/pg", token, BY_SECRET), 204);
    scene_end(s);
}

static void write_plain(struct scene *s)
{
    need(s, 200, "POST", "secret/data/db/plain", "{\"data\":{\"username\":\"kt\",\"password\":\"admin\"}}");
}

/* A login that the vault does not rotate. */
static struct scene *with_plain(const char *strategy)
{
    struct scene *s = scene(strategy);
    write_plain(s);
    need(s, 204, "POST", "rotation/targets/pg", "{\"admin_secret\":\"secret/db/plain\"}");
    return s;
}

static void waits_for_it_in(struct scene *s, const char *state)
{
    static const char waits[] =
        "\"waits_for\":\"the administrative login of target 'pg': the secret 'secret/db/plain' has no version";
    for (int i = 0; i < PATIENCE && !test_vault_said(s->vault, waits); i++) {
        (void)goes_by(s, 100);
        load_run(s);
    }
    says(s, waits);
    assert_true(is_in(s, state));
}

/* Its value is gone: runs wait, and go on when it is back. */
static void nothing_to_log_in_with(void **state)
{
    struct scene *s = with_plain(*state);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    need(s, 204, "DELETE", "secret/data/db/plain", NULL);
    acknowledge(s, "h1", 2);
    need(s, 400, "POST", "rotation/targets/pg/check", "{}");
    says(s, "has no version to log in with");
    waits_for_it_in(s, "overlapping");
    write_plain(s);
    ends_done(s);
    scene_end(s);
}

/* Whom the new version does harm gets the old one all the same; the target follows when there is a login. */
static void goes_back_without_it(void **state)
{
    struct scene *s = with_plain(*state);
    char user[64], password[128];
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    need(s, 204, "DELETE", "secret/data/db/plain", NULL);
    cancel(s, 200);
    soon(s, "rolling_back");
    for (int i = 0; i < PATIENCE && current(s, user, password) != 1; i++)
        pause_ms(1);
    current_is(s, 1, "app_a");
    acknowledge(s, "h1", 1);
    waits_for_it_in(s, "rolling_back");
    write_plain(s);
    ends_back(s);
    scene_end(s);
}

static void begins(struct scene *s, unsigned applies)
{
    for (int i = 0; i < PATIENCE && sim_ops(&s->sim, DRIVER_APPLY) < applies; i++) {
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
    }
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), applies);
}

/* Rotated elsewhere while a step is on its way with the old one. */
static void changed_under_a_step(void **state)
{
    struct scene *s = with_admins(*state);
    need(s, 204, "DELETE", "rotation/secrets/" ADMIN, NULL);
    SIM_SET(&s->sim, slow, true);
    rotate(s);
    begins(s, 1);
    (void)pthread_mutex_lock(&s->sim.lock);
    sim_add(&s->sim, "admin_c", "password-of-admin-c");
    sim_account(&s->sim, "admin_a")->verifier[0] = '\0';
    (void)pthread_mutex_unlock(&s->sim.lock);
    need(s, 200, "POST", "secret/data/db/admin",
         "{\"data\":{\"username\":\"admin_c\",\"password\":\"password-of-admin-c\"}}");
    sim_answer(&s->sim);
    ends_done(s);
    scene_end(s);
}

/* In-place at another target: the old one is refused, and the store does not know the new one yet. */
static void changes_under_a_step(void **state)
{
    struct scene *s = with_admins(*state);
    need(s, 204, "POST", "rotation/targets/elsewhere",
         "{\"driver\":\"postgresql\",\"host\":\"/run/sim\",\"database\":\"d\",\"sslmode\":\"disable\","
         "\"admin_username\":\"admin_c\",\"admin_password\":\"password-of-admin-c\","
         "\"max_refusals_per_hour\":0,\"probe_spacing\":0}");
    (void)pthread_mutex_lock(&s->sim.lock);
    sim_add(&s->sim, "admin_c", "password-of-admin-c");
    (void)pthread_mutex_unlock(&s->sim.lock);
    need(s, 204, "POST", "rotation/secrets/" ADMIN,
         "{\"target\":\"elsewhere\",\"strategy\":\"in-place\",\"allow_gap\":true,\"accounts\":[\"admin_a\"],\"group\":\"\"}");
    SIM_SET(&s->sim, late, true);
    rotate_admin(s);
    begins(s, 1);
    rotate(s);
    soon_says(s, "the administrative login refused");
    assert_true(is_in(s, "preflight"));
    sim_answer(&s->sim);
    /* Its tries are few, and not to be spent before the login is right. */
    for (int i = 0; i < PATIENCE && !test_vault_said(s->vault, "\"version\":2"); i++) {
        need(s, 200, "GET", "secret/data/db/admin", NULL);
        pause_ms(1);
    }
    ends_done(s);
    scene_end(s);
}

/* ---- a login that is the target's own, and whose account a secret rotates ---- */

#define OWN_SET "{\"target\":\"pg\",\"strategy\":\"alternate\",\"accounts\":[\"kt\",\"kt_b\"],\"group\":\"admins\"}"

static struct scene *with_own_login(const char *strategy)
{
    struct scene *s = scene(strategy);
    (void)pthread_mutex_lock(&s->sim.lock);
    sim_add(&s->sim, "kt", "admin");
    sim_add(&s->sim, "kt_b", NULL);
    s->sim.admins = true;
    (void)pthread_mutex_unlock(&s->sim.lock);
    need(s, 200, "POST", "secret/data/db/admin", "{\"data\":{\"username\":\"kt\",\"password\":\"admin\"}}");
    return s;
}

static void its_own_login(void **state)
{
    struct scene *s = with_own_login(*state);
    need(s, 400, "POST", "rotation/secrets/" ADMIN, OWN_SET);
    says(s, "account 'kt' of '" ADMIN "' is the administrative login of target 'pg'");
    says(s, "secretctl target set pg admin_secret=" ADMIN);
    need(s, 400, "POST", "rotation/secrets/" ADMIN,
         "{\"target\":\"pg\",\"strategy\":\"in-place\",\"allow_gap\":true,\"accounts\":[\"kt\"]}");
    /* As the hint says. */
    need(s, 204, "POST", "rotation/targets/pg", BY_SECRET);
    need(s, 204, "POST", "rotation/secrets/" ADMIN, OWN_SET);
    rotate_admin(s);
    until(s, "done");
    admin_is(s, 2, "kt_b");
    scene_end(s);
}

static void a_login_that_is_rotated_already(void **state)
{
    struct scene *s = scene(*state);
    need(s, 400, "POST", "rotation/targets/pg", "{\"admin_username\":\"app_a\"}");
    says(s, "account 'app_a' of '" SECRET "' is the administrative login of target 'pg'");
    need(s, 200, "POST", "secret/data/db/admin",
         "{\"data\":{\"username\":\"app_a\",\"password\":\"first-password-of-a\"}}");
    need(s, 400, "POST", "rotation/targets/pg", BY_SECRET);
    says(s, "account 'app_a' of '" SECRET "'");
    scene_end(s);
}

static enum kt_kind login_handler(struct request *req, struct kt_err *err)
{
    struct rotation_target target;
    enum kt_kind kind = target_load(req, "pg", &target, err);
    if (kind != KT_OK)
        return kind;
    target.admin_username = req->handler_data;
    return target_save(req, &target, err);
}

/* As it could be set when nobody looked: nothing is begun, and what is needed to mend it can be said. */
static void set_before(void **state)
{
    struct scene *s = scene(*state);
    struct kt_err err = {0};
    char name[] = "app_a";
    enum kt_kind kind = request_internal(s->vault->core, "rotation/targets/pg", login_handler, name, &err);
    if (kind != KT_OK)
        fail_msg("%s", err.what);
    need(s, 400, "POST", "rotation/rotate/" SECRET, "{}");
    says(s, "KT-R-004 it cannot be rotated as it is: account 'app_a' of '" SECRET "' is the administrative login");
    need(s, 400, "POST", "rotation/drill/" SECRET, "{}");
    says(s, "KT-R-004");
    change_rotation(s, "{\"overlap\":3}");
    need(s, 204, "POST", "rotation/targets/pg", "{\"admin_password\":\"another\"}");
    need(s, 204, "POST", "rotation/targets/pg", "{\"admin_username\":\"kt\",\"admin_password\":\"admin\"}");
    rotate(s);
    ends_done(s);
    scene_end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALTERNATE(there_and_on), ALTERNATE(under_a_run),     IN_PLACE(under_a_run), ALTERNATE(goes_back),
        ALTERNATE(lost_answers), ALTERNATE(goes_first),      ALTERNATE(what_is_refused),
        ALTERNATE(nothing_to_log_in_with), ALTERNATE(goes_back_without_it), OVERLAP(goes_back_without_it),
        ALTERNATE(changed_under_a_step), ALTERNATE(changes_under_a_step),
        ALTERNATE(its_own_login), EACH(a_login_that_is_rotated_already), ALTERNATE(set_before),
    };
    return cmocka_run_group_tests_name("rotation admin", tests, NULL, NULL);
}
