/* The memory engine's own: etcd's limits, its delay, and folds that are never acknowledged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "lib/secret.h"
#include "tests/support/store_fixture.h"
#include "vaultd/store/inmem.h"

static struct store_fixture fixture;

static int set_up(void **state)
{
    *state = &fixture;
    return fixture_init(&fixture, STORE_INMEM);
}

static int tear_down(void **state)
{
    fixture_done(*state);
    return 0;
}

static struct batch *many_puts(unsigned n, char first)
{
    struct batch *batch = batch_new();
    for (unsigned i = 0; i < n; i++)
        batch_put(batch, kt_bytes((const char[]){1, first, (char)i}, 3), kt_str("x"));
    return batch;
}

static void folds_have_etcds_size(void **state)
{
    struct store_fixture *f = *state;
    struct fixture_wait waits[4] = {0};
    fixture_hold(f);
    for (size_t i = 0; i < 4; i++)
        fixture_submit(f, many_puts(60, (char)i), &waits[i]);
    fixture_release(f);
    for (size_t i = 0; i < 4; i++)
        fixture_wait(&waits[i]);
    assert_int_equal(waits[1].result.at, 2); /* 120 of 128 */
    assert_int_equal(waits[2].result.at, 3);
    assert_int_equal(fixture_commit(f, many_puts(100, 9)).error, STORE_OK);
}

/* Nothing shows before it is acknowledged; what comes meanwhile is folded into the next. */
static void acknowledged_and_visible_after_the_delay(void **state)
{
    struct store_fixture *f = *state;
    f->config.delay_ms = 20;
    fixture_reset(f);
    struct fixture_wait first, rest[5];
    int64_t begin = kt_mono_ms(&kt_system_clock);
    fixture_submit(f, many_puts(1, 0), &first);
    assert_int_equal(fixture_get(f, "\x01", NULL), STORE_NOT_FOUND);
    assert_int_equal(fixture_head(f), 0);
    struct store_status status;
    do
        store_status(f->store, &status); /* until it is under way */
    while (status.queued != 0);
    for (size_t i = 0; i < 5; i++)
        fixture_submit(f, many_puts(1, (char)(i + 1)), &rest[i]);
    fixture_wait(&first);
    assert_true(kt_mono_ms(&kt_system_clock) >= begin + 20);
    for (size_t i = 0; i < 5; i++) {
        fixture_wait(&rest[i]);
        assert_int_equal(rest[i].result.at, 2);
    }
    f->config.delay_ms = 0;
}

static void count_broken(void *arg, const char *what)
{
    unsigned *count = arg;
    assert_non_null(strstr(what, "not acknowledged"));
    (*count)++;
}

static void lost_fold(struct store_fixture *f, bool applied)
{
    fixture_reset(f);
    unsigned broken = 0;
    store_on_broken(f->store, count_broken, &broken);
    assert_int_equal(fixture_put(f, "\x01" "a", "1"), STORE_OK);
    store_inmem_lose(f->store, 2, applied);
    assert_int_equal(fixture_put(f, "\x01" "b", "1"), STORE_OK);
    assert_int_equal(fixture_put(f, "\x01" "c", "1"), STORE_UNKNOWN);
    assert_int_equal(broken, 1); /* told before it was answered, so that no completion can hide it */
    assert_int_equal(fixture_put(f, "\x01" "d", "1"), STORE_BROKEN);
    assert_int_equal(broken, 1);
    assert_int_equal(fixture_get(f, "\x01" "a", NULL), STORE_BROKEN);
    struct leadership leadership;
    store_leader(f->store, &leadership);
    assert_false(leadership.leads);
    fixture_reopen(f);
    assert_int_equal(fixture_get(f, "\x01" "b", NULL), STORE_OK);
    assert_int_equal(fixture_get(f, "\x01" "c", NULL), applied ? STORE_OK : STORE_NOT_FOUND);
    assert_int_equal(fixture_get(f, "\x01" "d", NULL), STORE_NOT_FOUND);
    assert_int_equal(fixture_head(f), applied ? 3 : 2);
    assert_int_equal(fixture_put(f, "\x01" "e", "1"), STORE_OK);
}

static void a_lost_fold_may_be_there_or_not(void **state)
{
    lost_fold(*state, true);
    lost_fold(*state, false);
}

/* What tells one database from another, were their generations the same. */
static void each_store_has_its_own_history(void **state)
{
    (void)state;
    const struct store_config config = {.engine = STORE_INMEM};
    unsigned char history[2][16];
    for (size_t i = 0; i < 2; i++) {
        struct store *store = NULL;
        assert_int_equal(store_open(&config, &store, NULL), KT_OK);
        store_head(store, NULL, NULL, history[i]);
        store_close(store);
    }
    assert_memory_not_equal(history[0], history[1], sizeof history[0]);
}

static void texts_of_errors(void **state)
{
    (void)state;
    for (int i = 0; i <= STORE_BROKEN; i++)
        assert_true(strlen(store_error_text((enum store_error)i)) > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(folds_have_etcds_size, set_up, tear_down),
        cmocka_unit_test_setup_teardown(acknowledged_and_visible_after_the_delay, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_lost_fold_may_be_there_or_not, set_up, tear_down),
        cmocka_unit_test(each_store_has_its_own_history),
        cmocka_unit_test(texts_of_errors),
    };
    if (kt_secret_init(NULL) != KT_OK)
        return 1;
    return cmocka_run_group_tests_name("store_inmem", tests, NULL, NULL);
}
