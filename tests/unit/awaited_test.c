#include "vaultd/fleet/own.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define MANY 30000u

/* As evenly spread as a keyed hash, and the same in every run. */
static fleet_print print_of(uint64_t i)
{
    uint64_t x = i + UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static void never_a_wrong_no(void **state)
{
    (void)state;
    static struct awaited awaited;
    for (unsigned i = 0; i < MANY; i++)
        awaited_add(&awaited, print_of(i));
    for (unsigned i = 0; i < MANY; i++)
        assert_true(awaited_has(&awaited, print_of(i)));
    unsigned wrong = 0;
    for (unsigned i = MANY; i < 2 * MANY; i++)
        wrong += awaited_has(&awaited, print_of(i));
    assert_true(wrong < MANY / 500);
    awaited_clear(&awaited);
    for (unsigned i = 0; i < MANY; i++)
        assert_false(awaited_has(&awaited, print_of(i)));
}

static void edges(void **state)
{
    (void)state;
    static struct awaited awaited;
    static const fleet_print prints[] = {0, UINT64_MAX, 1, UINT64_C(1) << 63};
    for (size_t i = 0; i < sizeof prints / sizeof prints[0]; i++) {
        awaited_add(&awaited, prints[i]);
        assert_true(awaited_has(&awaited, prints[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_a_wrong_no),
        cmocka_unit_test(edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
