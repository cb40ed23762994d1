/* What a row waits for is remembered by its key, for a while, and in bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "lib/failpoint.h"
#include "vaultd/rotation/waiting.h"

static struct kt_bytes row(unsigned i, unsigned char key[DUE_KEY])
{
    unsigned char id[RUN_ID] = {0};
    uint64_t few = i / 4 * UINT64_C(0x9e3779b97f4a7c15); /* where it is looked for: four collide, the rest are spread */
    memcpy(id, &i, sizeof i);
    memcpy(id + RUN_ID - 8, &few, sizeof few);
    due_key(1000, id, key);
    return kt_bytes(key, DUE_KEY);
}

static bool waits_at(struct waiting_line *waiting, struct kt_bytes key, const char *target)
{
    return waiting_add(waiting, key, WAITING_PLACE, target);
}

static void remembers(void **state)
{
    (void)state;
    struct waiting_line waiting = {0};
    unsigned char key[DUE_KEY];
    waiting_begin(&waiting, 1);
    assert_false(waiting_has_target(&waiting, row(0, key)));
    for (unsigned i = 0; i < 5000; i++)
        assert_true(waits_at(&waiting, row(i, key), i % 2 == 0 ? "even" : "odd"));
    assert_int_equal(waiting.n, 5000);
    assert_true(waits_at(&waiting, row(7, key), "odd"));
    assert_int_equal(waiting.n, 5000);
    waiting_close(&waiting, row(0, key), WAITING_PLACE, "even");
    for (unsigned i = 0; i < 5000; i++) {
        assert_true(waiting_has_target(&waiting, row(i, key)));
        assert_int_equal(waiting_closed(&waiting, row(i, key)), i % 2 == 0);
    }
    assert_false(waiting_has_target(&waiting, row(5000, key)));
    assert_false(waiting_has_target(&waiting, kt_bytes(key, 3)));
    waiting_begin(&waiting, 2);
    assert_false(waiting_closed(&waiting, row(0, key)));
    waiting_free(&waiting);
}

static void another_target(void **state)
{
    (void)state;
    struct waiting_line waiting = {0};
    unsigned char key[DUE_KEY];
    waiting_begin(&waiting, 1);
    waiting_close(&waiting, row(1, key), WAITING_PLACE, "a");
    assert_true(waits_at(&waiting, row(1, key), "b"));
    assert_false(waiting_closed(&waiting, row(1, key)));
    waiting_free(&waiting);
}

/* A row keeps its target while it waits for its turn, and its turn while it waits at its target: either holds it up. */
static void place_and_turn(void **state)
{
    (void)state;
    struct waiting_line waiting = {0};
    unsigned char key[DUE_KEY];
    waiting_begin(&waiting, 1);
    for (unsigned i = 1; i <= 3; i++)
        assert_true(waits_at(&waiting, row(i, key), "a"));
    for (unsigned i = 2; i <= 4; i++)
        assert_true(waiting_add(&waiting, row(i, key), WAITING_TURN, "a")); /* of the same name */
    assert_int_equal(waiting.n, 4);
    for (unsigned i = 1; i <= 4; i++)
        assert_int_equal(waiting_has_target(&waiting, row(i, key)), i <= 3);
    waiting_close(&waiting, row(2, key), WAITING_TURN, "a");
    for (unsigned i = 1; i <= 4; i++)
        assert_int_equal(waiting_closed(&waiting, row(i, key)), i >= 2);
    waiting_begin(&waiting, 2);
    waiting_close(&waiting, row(2, key), WAITING_PLACE, "a");
    for (unsigned i = 1; i <= 4; i++)
        assert_int_equal(waiting_closed(&waiting, row(i, key)), i <= 3);
    waiting_begin(&waiting, 3);
    waiting_close(&waiting, row(4, key), WAITING_TURN, "a");
    assert_true(waiting_closed(&waiting, row(3, key)));
    waiting_free(&waiting);
}

static void forgets(void **state)
{
    (void)state;
    struct waiting_line waiting = {0};
    unsigned char key[DUE_KEY];
    waiting_begin(&waiting, 1000000);
    assert_true(waits_at(&waiting, row(1, key), "a"));
    waiting_begin(&waiting, 1000000 + WAITING_KEEP_MS - 1);
    assert_true(waiting_has_target(&waiting, row(1, key)));
    waiting_begin(&waiting, 1000000 + WAITING_KEEP_MS);
    assert_false(waiting_has_target(&waiting, row(1, key)));
    waiting_free(&waiting);
}

static void is_bounded(void **state)
{
    (void)state;
    struct waiting_line waiting = {0};
    unsigned char key[DUE_KEY];
    char name[32];
    waiting_begin(&waiting, 1);
    for (unsigned i = 0; i < WAITING_REASONS_MAX; i++) {
        (void)snprintf(name, sizeof name, "t%u", i);
        assert_true(waits_at(&waiting, row(i, key), name));
    }
    assert_false(waits_at(&waiting, row(WAITING_REASONS_MAX, key), "one more"));
    assert_false(waiting_has_target(&waiting, row(WAITING_REASONS_MAX, key)));
    for (unsigned i = WAITING_REASONS_MAX; i < WAITING_ROWS_MAX; i++)
        assert_true(waits_at(&waiting, row(i, key), "t0"));
    assert_false(waits_at(&waiting, row(WAITING_ROWS_MAX, key), "t0"));
    assert_true(waiting_has_target(&waiting, row(WAITING_ROWS_MAX - 1, key)));
    waiting_free(&waiting);
}

#ifdef KT_FAULT
/* Without memory less is remembered, and what is stays right. */
static void without_memory(void **state)
{
    (void)state;
    unsigned char key[DUE_KEY];
    bool all = false;
    for (unsigned long nth = 1; !all; nth++) {
        struct waiting_line waiting = {0};
        char name[32];
        all = true;
        waiting_begin(&waiting, 1);
        (void)kt_fail_allocation(nth);
        for (unsigned i = 0; i < 100; i++) {
            (void)snprintf(name, sizeof name, "t%u", i / 5);
            bool added = waits_at(&waiting, row(i, key), name);
            assert_int_equal(waiting_has_target(&waiting, row(i, key)), added);
            all = all && added;
        }
        (void)kt_fail_allocation(0);
        waiting_free(&waiting);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(remembers),      cmocka_unit_test(another_target),
        cmocka_unit_test(place_and_turn),
        cmocka_unit_test(forgets),        cmocka_unit_test(is_bounded),
#ifdef KT_FAULT
        cmocka_unit_test(without_memory),
#endif
    };
    return cmocka_run_group_tests_name("waiting", tests, NULL, NULL);
}
