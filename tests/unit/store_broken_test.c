/* A vault whose store broke, until its process ends: it says so, and nothing of it spins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/vault.h"
#include "vaultd/rotation/engine.h"
#include "vaultd/store/inmem.h"

struct told {
    unsigned times;
};

static void broken(void *arg, const char *what)
{
    struct told *told = arg;
    assert_true(what[0] != '\0');
    told->times++;
}

static void break_store(struct test_vault *vault, struct told *told)
{
    store_on_broken(vault->store, broken, told);
    store_inmem_lose(vault->store, 1, false);
    assert_int_equal(
        test_vault_call(vault, "POST", "secret/data/a", vault->root, "{\"data\":{\"k\":\"v\"}}"), 500);
}

static void every_answer_says_so(void **state)
{
    (void)state;
    struct told told = {0};
    struct test_vault *vault = test_vault_new(true);
    rotation_stop(vault->core->rotation); /* it writes by itself, and what is lost is the next write */
    break_store(vault, &told);
    assert_true(test_vault_said(vault, "outcome unknown"));
    assert_int_equal(told.times, 1);
    static const char *const methods[] = {"GET", "POST", "LIST"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        unsigned status = test_vault_call(vault, methods[i], "secret/metadata/a", vault->root, NULL);
        if (status != 500 || !test_vault_said(vault, "the store has stopped after a disk error") ||
            !test_vault_said(vault, "start vaultd again"))
            fail_msg("%s: %u %s", methods[i], status, vault->body);
    }
    assert_int_equal(told.times, 1);
    test_vault_free(vault);
}

/* What is due cannot be looked at: the next look is later, not at once. */
static void schedules_are_looked_at_later(void **state)
{
    (void)state;
    struct told told = {0};
    struct test_vault *vault = test_vault_new(true);
    struct rotation *rotation = vault->core->rotation;
    rotation_stop(rotation);
    break_store(vault, &told);
    atomic_store(&rotation->stopping, false); /* as the thread would look */
    due_scan(rotation);
    assert_true(rotation->next_due_ms > kt_wall_ms(vault->core->clock));
    test_vault_free(vault);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_answer_says_so),
        cmocka_unit_test(schedules_are_looked_at_later),
    };
    return cmocka_run_group_tests_name("store broken", tests, NULL, NULL);
}
