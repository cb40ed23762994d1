/* Before anybody is sent back to the old version the target is asked whether it accepts that: somebody may have
 * ended it, or the target been put back to a backup, and nothing told the run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "lib/log.h"
#include "tests/support/rotation_scene.h"

/* As by hand at the target. */
static void lose_old(struct scene *s)
{
    (void)pthread_mutex_lock(&s->sim.lock);
    struct sim_account *account = sim_account(&s->sim, "app_a");
    (alternates(s) ? account->verifier : account->also)[0] = '\0';
    (void)pthread_mutex_unlock(&s->sim.lock);
    assert_false(sim_accepts(&s->sim, "app_a", "first-password-of-a"));
}

static void everybody_gets(struct scene *s, unsigned version)
{
    char user[64], password[128];
    assert_int_equal(current(s, user, password), version);
}

static void soon_set_again(struct scene *s)
{
    for (int i = 0; i < PATIENCE && sim_ops(&s->sim, DRIVER_RESTORE) == 0; i++)
        pause_ms(1);
    assert_int_equal(sim_ops(&s->sim, DRIVER_RESTORE), 1);
}

static struct scene *acking(const char *strategy)
{
    struct scene *s = scene(strategy);
    register_agent(s, "h1");
    rotate(s);
    soon(s, "acking");
    read_version(s, 2);
    return s;
}

static void by_a_cancel(struct scene *s)
{
    cancel(s, 200);
}

static void by_silence(struct scene *s)
{
    s->vault->now_ms += 31000;
    rotation_wake(s->vault->core->rotation);
}

static void by_a_drill(struct scene *s)
{
    acknowledge(s, "h1", 2);
    for (int i = 0; i < PATIENCE && sim_ops(&s->sim, DRIVER_RESTORE) == 0; i++) {
        (void)goes_by(s, 500);
        pause_ms(1);
    }
}

/* As long as the target was not told to accept it again, and did not say so, everybody keeps the new one. */
static void set_again_before(struct scene *s, void (*turn)(struct scene *s))
{
    lose_old(s);
    SIM_SET(&s->sim, late, true);
    turn(s);
    soon_set_again(s);
    soon_says(s, "\"back_step\":\"restore_old\"");
    everybody_gets(s, 2);
    sim_answer(&s->sim);
    soon_says(s, "\"back_step\":\"redistribute\"");
    everybody_gets(s, 1);
    assert_true(sim_accepts(&s->sim, "app_a", "first-password-of-a"));
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    until(s, "rolled_back");
    current_is(s, 1, "app_a");
    assert_int_equal(sim_ops(&s->sim, DRIVER_RESTORE), 1);
    scene_end(s);
}

static void cancelled_it_is_set_again_first(void **state)
{
    set_again_before(acking(*state), by_a_cancel);
}

static void silent_it_is_set_again_first(void **state)
{
    set_again_before(acking(*state), by_silence);
}

static void a_drill_sets_it_again_first(void **state)
{
    struct scene *s = scene(*state);
    register_agent(s, "h1");
    need(s, 200, "POST", "rotation/drill/" SECRET, "{}");
    text_at(s, "data.run", s->run, sizeof s->run);
    until(s, "acking");
    read_version(s, 2);
    set_again_before(s, by_a_drill);
}

/* Nothing is amiss: one question, and no account has a refusal more. */
static void it_costs_nothing_where_all_is_well(void **state)
{
    struct scene *s = acking(*state);
    unsigned asked = sim_ops(&s->sim, DRIVER_PROBE), refused = s->sim.refusals;
    cancel(s, 200);
    soon_says(s, "\"back_step\":\"redistribute\"");
    assert_int_equal(sim_ops(&s->sim, DRIVER_PROBE), asked + 1);
    assert_int_equal(s->sim.refusals, refused);
    everybody_gets(s, 1);
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    ends_back(s);
    assert_int_equal(sim_ops(&s->sim, DRIVER_RESTORE), 0);
    scene_end(s);
}

/* Consumers that are to go back do not wait for a target that is away, or that lets anybody in. */
static void nobody_waits_for_one_that_does_not_say(void **state)
{
    for (int i = 0; i < 2; i++) {
        struct scene *s = acking(*state);
        unsigned asked = sim_ops(&s->sim, DRIVER_PROBE);
        if (i == 0)
            SIM_SET(&s->sim, down, true);
        else
            SIM_SET(&s->sim, trust, true);
        cancel(s, 200);
        soon_says(s, "\"back_step\":\"redistribute\"");
        assert_int_equal(sim_ops(&s->sim, DRIVER_PROBE), asked + 1);
        assert_int_equal(sim_timeout(&s->sim), 10000); /* its target's are longer */
        everybody_gets(s, 1);
        SIM_SET(&s->sim, down, false);
        SIM_SET(&s->sim, trust, false);
        assert_int_equal(report(s, "h1", 1, "healthy"), 200);
        ends_back(s);
        scene_end(s);
    }
}

/* Nor until an account may be asked again; what it lost is found and set again at the end, as it ever was. */
static void nobody_waits_for_a_limit(void **state)
{
    struct scene *s = acking(*state);
    need(s, 204, "POST", "rotation/targets/pg", "{\"probe_spacing\":30}");
    unsigned asked = sim_ops(&s->sim, DRIVER_PROBE);
    lose_old(s);
    cancel(s, 200);
    soon_says(s, "\"back_step\":\"redistribute\"");
    assert_int_equal(sim_ops(&s->sim, DRIVER_PROBE), asked);
    everybody_gets(s, 1);
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    ends_back(s);
    assert_int_equal(sim_ops(&s->sim, DRIVER_RESTORE), 1);
    scene_end(s);
}

/* The vault ends between the order and the question: it is asked by whoever goes on. */
static void asked_after_a_restart(void **state)
{
    struct scene *s = acking(*state);
    lose_old(s);
    cancel(s, 200);
    test_vault_reseal(s->vault);
    soon_says(s, "\"back_step\":\"redistribute\"");
    everybody_gets(s, 1);
    assert_true(sim_accepts(&s->sim, "app_a", "first-password-of-a"));
    assert_int_equal(report(s, "h1", 1, "healthy"), 200);
    ends_back(s);
    scene_end(s);
}

#define TWO(fn) ALTERNATE(fn), OVERLAP(fn)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TWO(cancelled_it_is_set_again_first),
        TWO(silent_it_is_set_again_first),
        TWO(a_drill_sets_it_again_first),
        TWO(it_costs_nothing_where_all_is_well),
        TWO(nobody_waits_for_one_that_does_not_say),
        TWO(nobody_waits_for_a_limit),
        TWO(asked_after_a_restart),
    };
    kt_log_set_level(KT_LOG_ERROR);
    return cmocka_run_group_tests_name("rotation_back", tests, NULL, NULL);
}
