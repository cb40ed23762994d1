/* A mount that is removed while a write to it is on its way: the write is made anew, and there is no such
 * mount any more; nothing is left in the store of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "lib/log.h"
#include "tests/support/vault.h"
#include "vaultd/core/mounts.h"

static struct {
    struct test_vault *vault;
    unsigned status; /* of the removal */
} race;
/* The vault's own threads write, too: only this test's request is meant. */
static _Thread_local bool armed;

/* Another thread's: a thread has one request at a time. */
static void *remove_mount(void *arg)
{
    char answer[1024];
    const struct test_request request = {.method = kt_str("DELETE"),
                                         .target = kt_str("/v1/sys/mounts/secret"),
                                         .token = kt_str(race.vault->root)};
    race.status = test_vault_ask_apart(race.vault, &request, answer, sizeof answer);
    return arg;
}

/* The request has looked at everything and is about to commit. */
void __real_mounts_require(struct request *req, struct batch *batch);
void __wrap_mounts_require(struct request *req, struct batch *batch);
void __wrap_mounts_require(struct request *req, struct batch *batch)
{
    if (armed) {
        pthread_t thread;
        armed = false;
        assert_int_equal(pthread_create(&thread, NULL, remove_mount, NULL), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    __real_mounts_require(req, batch);
}

static void a_write_to_what_is_removed(void **state)
{
    (void)state;
    race.vault = test_vault_new(true);
    armed = true;
    unsigned status = test_vault_call(race.vault, "POST", "secret/data/late", race.vault->root,
                                      "{\"data\":{\"a\":\"b\"}}");
    assert_false(armed);
    assert_true(race.status < 300);
    assert_int_equal(status, 404);
    test_vault_free(race.vault);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_write_to_what_is_removed)};
    kt_log_set_level(KT_LOG_ERROR);
    return cmocka_run_group_tests_name("mounts_race", tests, NULL, NULL);
}
