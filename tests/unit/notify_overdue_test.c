/* Who gets overdue is told: once for each cause, not at each look; and where many do so together, not each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/log.h"
#include "tests/support/hearing.h"
#include "vaultd/rotation/rotation.h"

#define HALF_DAY_MS ((int64_t)43200000)

/* In steps that the clock's guard takes for time that passed. */
static void pass_days(struct scene *s, unsigned days)
{
    for (unsigned i = 0; i < 2 * days; i++) {
        s->vault->now_ms += HALF_DAY_MS;
        rotation_wake(s->vault->core->rotation);
        need(s, 200, "POST", "rotation/targets/pg/check", "{}");
    }
}

/* The walk was over all of them since. */
static void wait_for_overdue(struct scene *s, unsigned n)
{
    char text[64];
    (void)snprintf(text, sizeof text, "\nkeyturn_rotation_overdue %u\n", n);
    for (int i = 0; i < PATIENCE; i++) {
        need(s, 200, "GET", "sys/metrics?format=prometheus", NULL);
        if (test_vault_said(s->vault, text))
            return;
        if (i % 100 == 0) /* the thread that walks may not get its turn: its days must not go by meanwhile */
            s->vault->now_ms += 300000;
        rotation_wake(s->vault->core->rotation);
        pause_ms(1);
    }
    fail_msg("never%s", text);
}

/* Old, and mended; then it gets old once more. */
static void each_cause_once(void **state)
{
    struct people *p = people_of(2);
    struct scene *s = begin(p, *state);
    change_rotation(s, "{\"max_age\":\"2d\",\"notify\":\"dba\"}");
    for (unsigned times = 1; times <= 2; times++) {
        need(s, 200, "POST", "rotation/pause", "{\"reason\":\"so that nothing starts\"}");
        pass_days(s, 3);
        wait_for_overdue(s, 1);
        soon_heard(p, "dba", "OVERDUE  " SECRET ": its value is ", times);
        pass_days(s, 1);
        wait_for_overdue(s, 1);
        all_told(s);
        assert_int_equal(heard(p, NULL, "\"event\":\"overdue\""), times);
        need(s, 200, "DELETE", "rotation/pause", NULL);
        for (int i = 0; i < PATIENCE && times == 1; i++) { /* it starts by itself, and is done */
            need(s, 200, "GET", "rotation/overdue", NULL);
            if (test_vault_said(s->vault, "\"count\":0"))
                break;
            s->vault->now_ms += 60000;
            rotation_wake(s->vault->core->rotation);
            pause_ms(1);
        }
        if (times == 1)
            wait_for_overdue(s, 0);
    }
    assert_int_equal(heard(p, "dba", "old, it may be 48h0m0s"), 2);
    assert_int_equal(heard(p, "dba", "\"next\":\"secretctl run why " SECRET "\""), 2);
    scene_end(s);
}

/* People are not buried: twenty messages, and one that there are more. */
static void many_at_a_time(void **state)
{
    struct people *p = people_of(1);
    struct scene *s = begin(p, *state);
    char path[64];
    for (unsigned i = 0; i < 30; i++) {
        (void)snprintf(path, sizeof path, "secret/data/g%u", i);
        need(s, 200, "POST", path, "{\"data\":{\"password\":\"x\"}}");
        (void)snprintf(path, sizeof path, "rotation/secrets/secret/g%u", i);
        need(s, 204, "POST", path, "{\"period\":\"2d\"}");
    }
    need(s, 200, "POST", "rotation/pause", "{\"reason\":\"so that nothing starts\"}");
    pass_days(s, 3);
    wait_for_overdue(s, 30);
    soon_heard(p, "ops", "OVERDUE  more than 20 secrets at a time", 1);
    soon_heard(p, "ops", ", and it did not start", 20);
    pass_days(s, 1);
    wait_for_overdue(s, 30);
    all_told(s);
    assert_int_equal(heard(p, NULL, "\"event\":\"overdue\""), 21);
    scene_end(s);
}

/* Who hears of a frozen run hears nothing else of it. */
static void what_is_frozen_was_told(void **state)
{
    struct people *p = people_of(1);
    struct scene *s = begin(p, *state);
    sim_account(&s->sim, "app_a")->verifier[0] = '\0';
    rotate(s);
    until(s, "frozen");
    wait_for_overdue(s, 1);
    all_told(s);
    assert_int_equal(heard(p, NULL, "\"event\":\"frozen\""), 1);
    assert_int_equal(heard(p, NULL, "\"event\":\"overdue\""), 0);
    scene_end(s);
}

int main(void)
{
    if (kt_secret_init(NULL) != KT_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        ALTERNATE(each_cause_once),
        ALTERNATE(many_at_a_time),
        ALTERNATE(what_is_frozen_was_told),
    };
    kt_log_set_level(KT_LOG_ERROR);
    return cmocka_run_group_tests_name("notify_overdue", tests, NULL, NULL);
}
