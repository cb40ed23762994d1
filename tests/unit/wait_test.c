/* Requests that wait: for news, for their deadline, for the vault to be sealed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>

#include "tests/support/vault.h"

struct waiting {
    struct test_vault *vault;
    struct wait_list *list;
    int64_t deadline_ms;
    atomic_uint passes;
    atomic_bool news;
    enum kt_kind kind;
    unsigned wakes;
    pthread_t thread;
};

static enum kt_kind wait_for_news(struct request *req, struct kt_err *err)
{
    struct waiting *waiting = req->handler_data;
    (void)err;
    atomic_fetch_add(&waiting->passes, 1);
    waiting->wakes = req->wakes;
    if (!atomic_load(&waiting->news) && kt_mono_ms(req->core->clock) < waiting->deadline_ms)
        request_wait(req, waiting->list, waiting->deadline_ms);
    return KT_OK;
}

static void *ask(void *arg)
{
    struct waiting *waiting = arg;
    waiting->kind =
        request_internal(waiting->vault->core, "test/wait", wait_for_news, waiting, NULL);
    return NULL;
}

static void until_it_waits(struct waiting *waiting)
{
    while (wait_list_count(waiting->list) == 0)
        (void)sched_yield();
}

static struct waiting *begin(int64_t wait_ms)
{
    struct waiting *waiting = calloc(1, sizeof *waiting);
    assert_non_null(waiting);
    waiting->vault = test_vault_new(false);
    waiting->list = wait_list_new(waiting->vault->core->waits);
    assert_non_null(waiting->list);
    waiting->deadline_ms = waiting->vault->now_ms + wait_ms;
    assert_int_equal(pthread_create(&waiting->thread, NULL, ask, waiting), 0);
    until_it_waits(waiting);
    return waiting;
}

static void end(struct waiting *waiting)
{
    wait_list_free(waiting->list);
    test_vault_free(waiting->vault);
    free(waiting);
}

static bool nobody(const struct request *req, void *arg)
{
    (void)req;
    (void)arg;
    return false;
}

static void news_ends_it(void **state)
{
    (void)state;
    struct waiting *waiting = begin(300000);
    assert_int_equal(wait_list_wake(waiting->list, nobody, NULL), 0);
    assert_int_equal(wait_list_count(waiting->list), 1);
    atomic_store(&waiting->news, true);
    assert_int_equal(wait_list_wake(waiting->list, NULL, NULL), 1);
    (void)pthread_join(waiting->thread, NULL);
    assert_int_equal(waiting->kind, KT_OK);
    assert_int_equal(waiting->passes, 2);
    end(waiting);
}

/* A clock that jumps is asked again within 100 ms. */
static void the_deadline_ends_it(void **state)
{
    (void)state;
    struct waiting *waiting = begin(5000);
    atomic_store(&waiting->vault->now_ms, waiting->deadline_ms);
    (void)pthread_join(waiting->thread, NULL);
    assert_int_equal(waiting->kind, KT_OK);
    assert_int_equal(waiting->passes, 2);
    end(waiting);
}

static void it_looks_again_every_30_seconds(void **state)
{
    (void)state;
    struct waiting *waiting = begin(300000);
    int64_t begun = waiting->vault->now_ms;
    for (unsigned i = 1; i <= 3; i++) {
        atomic_store(&waiting->vault->now_ms, begun + i * 30000);
        while (atomic_load(&waiting->passes) <= i)
            (void)sched_yield();
        until_it_waits(waiting);
    }
    atomic_store(&waiting->news, true);
    assert_int_equal(wait_list_wake(waiting->list, NULL, NULL), 1);
    (void)pthread_join(waiting->thread, NULL);
    assert_int_equal(waiting->passes, 5);
    end(waiting);
}

static void sealing_ends_it(void **state)
{
    (void)state;
    struct waiting *waiting = begin(300000);
    core_seal(waiting->vault->core, "test");
    (void)pthread_join(waiting->thread, NULL);
    assert_int_equal(waiting->kind, KT_SEALED);
    assert_int_equal(wait_list_count(waiting->list), 0);
    end(waiting);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(news_ends_it),
        cmocka_unit_test(the_deadline_ends_it),
        cmocka_unit_test(it_looks_again_every_30_seconds),
        cmocka_unit_test(sealing_ends_it),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("wait", tests, NULL, NULL);
}
