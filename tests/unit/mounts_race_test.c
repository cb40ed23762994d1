/* A mount that is removed while a write to it is on its way: the write is made anew, and there is no such
 * mount any more; nothing is left in the store of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/log.h"
#include "tests/support/meanwhile.h"

static void a_write_to_what_is_removed(void **state)
{
    (void)state;
    struct test_vault *vault = test_vault_new(true);
    const struct visit removal[] = {{"DELETE", "sys/mounts/secret", NULL, NULL, 204, 0}, {0}};
    meanwhile(vault, removal, NULL);
    unsigned status =
        test_vault_call(vault, "POST", "secret/data/late", vault->root, "{\"data\":{\"a\":\"b\"}}");
    assert_true(meanwhile_over());
    assert_int_equal(status, 404);
    test_vault_free(vault);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_write_to_what_is_removed)};
    kt_log_set_level(KT_LOG_ERROR);
    return cmocka_run_group_tests_name("mounts_race", tests, NULL, NULL);
}
