/* Runs that need a person: each way to freeze, what is said then, and the way out that is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/log.h"
#include "tests/support/rotation_scene.h"
#include "vaultd/rotation/run.h"

static void freezes(struct scene *s, const char *code)
{
    until(s, "frozen");
    says(s, code);
    says(s, "\"next\":\"");
}

static void thaw(struct scene *s)
{
    char path[128];
    (void)snprintf(path, sizeof path, "rotation/runs/%s/thaw", s->run);
    need(s, 200, "POST", path, NULL);
}

static void frozen_drift(void **state)
{
    struct scene *s = scene(*state);
    sim_account(&s->sim, "app_a")->verifier[0] = '\0';
    rotate(s);
    freezes(s, "KT-R-010");
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), 0);
    /* The printed way out: cancel, write what works, rotate. */
    cancel(s, 200);
    soon(s, "cancelled");
    s->sim.n_accounts = 0;
    sim_add(&s->sim, "app_a", "by-hand-of-a-dba");
    sim_add(&s->sim, "app_b", NULL);
    need(s, 200, "POST", "secret/data/db/orders",
         "{\"data\":{\"username\":\"app_a\",\"password\":\"by-hand-of-a-dba\"}}");
    rotate(s);
    until(s, "done");
    scene_end(s);
}

/* How often the log says it, once it does. */
static unsigned logged(FILE *log, const char *text)
{
    unsigned n = 0;
    for (int i = 0; i < PATIENCE && n == 0; i++) {
        char line[1024];
        rewind(log);
        while (fgets(line, sizeof line, log) != NULL)
            n += strstr(line, text) != NULL;
        if (n == 0)
            pause_ms(1);
    }
    return n;
}

/* The log has a line when it freezes, with the way out, and one when it ends. */
static void the_log_says_so(void **state)
{
    struct scene *s = scene(*state);
    FILE *log = tmpfile();
    int was = dup(STDERR_FILENO);
    assert_true(log != NULL && was >= 0 && dup2(fileno(log), STDERR_FILENO) >= 0);
    kt_log_set_level(KT_LOG_NOTICE);
    (void)snprintf(s->sim.admin_password, sizeof s->sim.admin_password, "changed");
    rotate(s);
    freezes(s, "KT-R-011");
    unsigned frozen = logged(log, "rotation-frozen");
    unsigned codes = logged(log, "code=KT-R-011");
    cancel(s, 200);
    soon(s, "cancelled");
    unsigned ended = logged(log, "rotation-ended");
    unsigned states = logged(log, "state=cancelled");
    kt_log_set_level(KT_LOG_ERROR);
    (void)dup2(was, STDERR_FILENO);
    (void)close(was);
    (void)fclose(log);
    assert_int_equal(frozen, 1);
    assert_int_equal(codes, 1);
    assert_int_equal(ended, 1);
    assert_int_equal(states, 1);
    scene_end(s);
}

static void frozen_admin(void **state)
{
    struct scene *s = scene(*state);
    (void)snprintf(s->sim.admin_password, sizeof s->sim.admin_password, "changed");
    rotate(s);
    freezes(s, "KT-R-011");
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), 0);
    need(s, 204, "POST", "rotation/targets/pg", "{\"admin_password\":\"changed\"}");
    thaw(s);
    ends_done(s);
    scene_end(s);
}

/* It is looked at again, changes nothing, and says when thawing is worth a try. */
static void frozen_is_looked_at(void **state)
{
    struct scene *s = scene(*state);
    (void)snprintf(s->sim.admin_password, sizeof s->sim.admin_password, "changed");
    rotate(s);
    freezes(s, "KT-R-011");
    says(s, "\"looked\":\"\"");
    s->vault->now_ms += 901000;
    rotation_wake(s->vault->core->rotation);
    soon_says(s, "\"now\":\"the old one unknown, the administrative login refused");
    (void)snprintf(s->sim.admin_password, sizeof s->sim.admin_password, "admin");
    s->vault->now_ms += 901000;
    rotation_wake(s->vault->core->rotation);
    soon_says(s, "worth a try: secretctl run thaw");
    assert_true(is_in(s, "frozen"));
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), 0);
    thaw(s);
    ends_done(s);
    scene_end(s);
}

/* A day of looking costs an account no refusal that who thaws it needs. */
static void looks_are_few(void **state)
{
    struct scene *s = scene(*state);
    need(s, 204, "POST", "rotation/targets/pg", "{\"max_refusals_per_hour\":3}");
    sim_account(&s->sim, "app_a")->verifier[0] = '\0';
    rotate(s);
    freezes(s, "KT-R-010");
    unsigned before = sim_refusals(&s->sim, "app_a");
    unsigned seen = 0, days = 0;
    for (; seen < 2 && days < 100; days++) { /* a busy machine may sleep through some */
        for (int i = 0; i < 24 * 12; i++) {
            s->vault->now_ms += 300000;
            rotation_wake(s->vault->core->rotation);
            pause_ms(2);
        }
        seen = sim_refusals(&s->sim, "app_a") - before;
    }
    if (seen < 2 || seen > 24 * days)
        fail_msg("%u refused logins in %u days", seen, days);
    need(s, 204, "POST", "rotation/targets/pg", "{\"recheck\":0}");
    s->vault->now_ms += 7200000;
    rotation_wake(s->vault->core->rotation);
    pause_ms(20);
    assert_in_range(sim_account(&s->sim, "app_a")->refusals - before - seen, 0, 1);
    cancel(s, 200);
    soon(s, "cancelled");
    scene_end(s);
}

static void frozen_trust(void **state)
{
    struct scene *s = scene(*state);
    s->sim.trust = true;
    rotate(s);
    freezes(s, "KT-R-012");
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), 0);
    s->sim.trust = false;
    thaw(s);
    ends_done(s);
    scene_end(s);
}

static void frozen_server(void **state)
{
    struct scene *s = scene(*state);
    rotate(s);
    ends_done(s);
    (void)snprintf(s->sim.server_id, sizeof s->sim.server_id, "another");
    rotate(s);
    freezes(s, "KT-R-013");
    need(s, 204, "POST", "rotation/targets/pg", "{\"server_id\":\"\"}");
    thaw(s);
    soon(s, "overlapping");
    let_go(s);
    until(s, "done");
    scene_end(s);
}

static void frozen_old_alive(void **state)
{
    struct scene *s = scene(*state);
    s->sim.old_survives = true;
    rotate(s);
    freezes(s, "KT-R-022");
    assert_int_equal(sim_ops(&s->sim, DRIVER_REVOKE), 3);
    s->sim.old_survives = false;
    thaw(s);
    ends_done(s);
    scene_end(s);
}

static void both_dead(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    (void)pthread_mutex_lock(&s->sim.lock);
    s->sim.vault = NULL; /* somebody else does this: no watcher */
    for (unsigned i = 0; i < s->sim.n_accounts; i++)
        s->sim.accounts[i].verifier[0] = s->sim.accounts[i].also[0] = '\0';
    s->sim.ignores = true;
    (void)pthread_mutex_unlock(&s->sim.lock);
    read_version(s, 2);
    assert_int_equal(report(s, "h1", 2, "unhealthy"), 200);
    freezes(s, "KT-R-021");
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), 2); /* once more, then a person */
    s->sim.ignores = false;
    thaw(s);
    soon(s, "acking");
    acknowledge(s, "h1", 2);
    until(s, "done");
    scene_end(s);
}

/* It froze while it waited for a consumer, and the target has lost the new one meanwhile: who thaws
 * it has it set again at once, not when the consumer's time is over. */
static void thawed_sets_it_again(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    (void)pthread_mutex_lock(&s->sim.lock);
    s->sim.vault = NULL; /* somebody else does this: no watcher */
    (void)snprintf(s->sim.admin_password, sizeof s->sim.admin_password, "changed");
    for (unsigned i = 0; i < s->sim.n_accounts; i++)
        s->sim.accounts[i].verifier[0] = s->sim.accounts[i].also[0] = '\0';
    (void)pthread_mutex_unlock(&s->sim.lock);
    read_version(s, 2);
    assert_int_equal(report(s, "h1", 2, "unhealthy"), 200);
    freezes(s, "KT-R-011");
    says(s, "\"in\":\"acking\"");
    (void)snprintf(s->sim.admin_password, sizeof s->sim.admin_password, "admin");
    thaw(s);
    soon(s, "acking");
    assert_int_equal(sim_ops(&s->sim, DRIVER_APPLY), 2);
    acknowledge(s, "h1", 2);
    until(s, "done");
    scene_end(s);
}

/* ---- the vault lacks a version ---- */

static void old_is_gone(struct run *run)
{
    run->from = 99;
}

static void new_is_gone(struct run *run)
{
    run->to = 99;
}

/* The printed way out: cancel, write what works, rotate. */
static void obeyed(struct scene *s, const char *works)
{
    char path[128], body[200], id[64];
    freezes(s, "KT-R-026");
    says(s, "secretctl run cancel ");
    cancel(s, 200);
    soon(s, "cancelled");
    says(s, "given up: it was not seen what pg accepts");
    (void)snprintf(path, sizeof path, "rotation/runs/%s/report", s->run);
    need(s, 200, "GET", path, NULL);
    says(s, "# GIVEN UP  " SECRET ": it was not seen whether pg accepts");
    says(s, "somebody gave it up");
    need(s, 200, "GET", "secret/metadata/db/orders", NULL);
    says(s, "\"pending\":0");
    (void)snprintf(body, sizeof body, "{\"versions\":[1]}");
    need(s, 400, "POST", "secret/destroy/db/orders", body); /* nobody saw it dead */
    (void)snprintf(id, sizeof id, "%s", s->run);
    (void)snprintf(body, sizeof body, "{\"data\":{\"username\":\"%s\",\"password\":\"%s\",\"host\":\"h\"}}",
                   strcmp(works, "first-password-of-a") == 0 || !alternates(s) ? "app_a" : "app_b", works);
    need(s, 200, "POST", "secret/data/db/orders", body);
    rotate(s);
    assert_string_not_equal(id, s->run);
    soon_says(s, "\"name\":\"promoted\"");
    scene_end(s);
}

static struct scene *waiting(const char *strategy)
{
    struct scene *s = scene(strategy);
    SIM_SET(&s->sim, vault, NULL); /* whose version is gone */
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    return s;
}

static void gone_when_it_goes_back(void **state)
{
    struct scene *s = waiting(*state);
    char user[64], works[128];
    (void)current(s, user, works);
    put_into_run(s, s->run, old_is_gone);
    cancel(s, 200);
    obeyed(s, works);
}

static void gone_when_it_goes_on(void **state)
{
    struct scene *s = waiting(*state);
    char user[64], works[128];
    (void)current(s, user, works);
    acknowledge(s, "h1", 2);
    soon(s, "overlapping");
    put_into_run(s, s->run, old_is_gone);
    obeyed(s, works);
}

static void gone_past_the_point(void **state)
{
    struct scene *s = scene(*state);
    char user[64], works[128];
    SIM_SET(&s->sim, vault, NULL);
    rotate(s);
    soon(s, "overlapping");
    (void)current(s, user, works);
    SIM_SET(&s->sim, down, true);
    until(s, revokes(s) ? "revoking" : "confirming");
    put_into_run(s, s->run, new_is_gone);
    SIM_SET(&s->sim, down, false);
    obeyed(s, works);
}

/* The one thing that is looked at during the overlap is open sessions. */
static void gone_while_sessions_are_counted(void **state)
{
    struct scene *s = scene(*state);
    char user[64], works[128];
    SIM_SET(&s->sim, vault, NULL);
    change_rotation(s, "{\"drain\":100000,\"max_overlap\":200000}");
    sim_account(&s->sim, "app_a")->sessions = 3;
    rotate(s);
    until(s, "overlapping");
    (void)current(s, user, works);
    put_into_run(s, s->run, old_is_gone);
    sim_account(&s->sim, "app_a")->sessions = 0;
    obeyed(s, works);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALTERNATE(frozen_drift),
        ALTERNATE(the_log_says_so),
        EACH(frozen_admin),
        EACH(frozen_is_looked_at),
        EACH(looks_are_few),
        EACH(frozen_trust),
        EACH(frozen_server),
        ALTERNATE(frozen_old_alive),
        EACH(both_dead),
        EACH(thawed_sets_it_again),
        EACH(gone_when_it_goes_back),
        EACH(gone_when_it_goes_on),
        EACH(gone_past_the_point),
        ALTERNATE(gone_while_sessions_are_counted),
    };
    kt_log_set_level(KT_LOG_ERROR);
    return cmocka_run_group_tests_name("rotation_frozen", tests, NULL, NULL);
}
