/* How often a target may be asked: a pause between two batches on an account, and so many refusals an hour,
 * neither of which a clock that is set back makes longer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "vaultd/rotation/probe.h"

#define START   1800000000000
#define HOUR_MS 3600000

static void between_two_batches(void **state)
{
    (void)state;
    const struct rotation_target target = {.probe_spacing_s = 60};
    struct probe_budget budget = {0};
    int64_t when = 0;
    assert_true(budget_allows(&budget, &target, 2, START, &when));
    budget_note(&budget, 2, START);
    assert_false(budget_allows(&budget, &target, 2, START, &when));
    assert_int_equal(when, START + 60000);
    assert_false(budget_allows(&budget, &target, 2, START + 59999, &when));
    assert_true(budget_allows(&budget, &target, 2, START + 60000, &when));
    /* The clock was set back to before the last batch. */
    assert_true(budget_allows(&budget, &target, 2, START - 1, &when));
}

static void within_an_hour(void **state)
{
    (void)state;
    const struct rotation_target target = {.max_refusals_per_hour = 4};
    struct probe_budget budget = {0};
    int64_t when = 0;
    budget_note(&budget, 2, START);
    assert_true(budget_allows(&budget, &target, 2, START + 1000, &when));
    budget_note(&budget, 2, START + 1000);
    assert_false(budget_allows(&budget, &target, 1, START + 2000, &when));
    assert_in_range(when, START + HOUR_MS, START + HOUR_MS + 1000);
    /* The first two are an hour old; the other two are not. */
    assert_false(budget_allows(&budget, &target, 2, START + HOUR_MS - 1, &when));
    assert_true(budget_allows(&budget, &target, 2, START + HOUR_MS, &when));
    assert_false(budget_allows(&budget, &target, 3, START + HOUR_MS, &when));
    assert_true(budget_allows(&budget, &target, 4, START + HOUR_MS + 1000, &when));
    /* What lies further ahead than an hour is a clock's mistake. */
    assert_false(budget_allows(&budget, &target, 1, START + 1000 - HOUR_MS, &when));
    assert_true(budget_allows(&budget, &target, 1, START - 1 - HOUR_MS, &when));
}

static void a_large_batch_goes_alone(void **state)
{
    (void)state;
    const struct rotation_target few = {.max_refusals_per_hour = 1}, any = {.max_refusals_per_hour = 0};
    struct probe_budget budget = {0};
    int64_t when = 0;
    assert_true(budget_allows(&budget, &few, 3, START, &when));
    budget_note(&budget, 3, START);
    assert_false(budget_allows(&budget, &few, 3, START + HOUR_MS - 1, &when));
    assert_true(budget_allows(&budget, &any, 3, START, &when));
    assert_true(budget_allows(&budget, &few, 3, START + HOUR_MS, &when));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(between_two_batches),
        cmocka_unit_test(within_an_hour),
        cmocka_unit_test(a_large_batch_goes_alone),
    };
    return cmocka_run_group_tests_name("probe", tests, NULL, NULL);
}
