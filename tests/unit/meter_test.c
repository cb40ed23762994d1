/* What one source may ask for without a token: at once, by the minute, and beside others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "vaultd/core/meter.h"

#define START 1000000

static unsigned admitted(struct meter *meter, const char *address, unsigned n, int64_t now_ms)
{
    char source[REFUSALS_SOURCE];
    unsigned count = 0;
    int64_t wait_ms = 0;
    refusals_source(address, source);
    for (unsigned i = 0; i < n; i++)
        count += meter_admit(meter, source, 16, now_ms, &wait_ms);
    return count;
}

static void at_once_and_by_the_minute(void **state)
{
    (void)state;
    struct meter *meter = meter_new(10);
    char source[REFUSALS_SOURCE] = "10.0.0.1";
    int64_t wait_ms = 0;
    assert_int_equal(admitted(meter, "10.0.0.1", 50, START), 16);
    assert_false(meter_admit(meter, source, 16, START, &wait_ms));
    assert_int_equal(wait_ms, 6000);
    assert_false(meter_admit(meter, source, 16, START + 5999, &wait_ms));
    assert_int_equal(wait_ms, 1);
    assert_true(meter_admit(meter, source, 16, START + 6000, &wait_ms));
    assert_int_equal(admitted(meter, "10.0.0.1", 50, START + 66000), 10);
    assert_int_equal(admitted(meter, "10.0.0.1", 50, START + 10000000), 16);
    meter_free(meter);
}

static void one_does_not_hinder_another(void **state)
{
    (void)state;
    struct meter *meter = meter_new(10);
    assert_int_equal(admitted(meter, "10.0.0.1", 50, START), 16);
    assert_int_equal(admitted(meter, "10.0.0.2", 50, START), 16);
    assert_int_equal(admitted(meter, "2001:db8::1", 10, START), 10);
    assert_int_equal(admitted(meter, "2001:db8::2", 10, START), 6); /* the same /64 */
    assert_int_equal(admitted(meter, "2001:db8:0:1::1", 10, START), 10);
    meter_free(meter);
}

/* However many there are, whoever comes for the first time gets in, and who came most often waits. */
static void a_crowd(void **state)
{
    (void)state;
    struct meter *meter = meter_new(10);
    assert_int_equal(admitted(meter, "10.0.0.1", 50, START), 16);
    for (unsigned i = 0; i < 4 * METER_SOURCES; i++) {
        char address[32];
        (void)snprintf(address, sizeof address, "10.1.%u.%u", i / 256, i % 256);
        assert_int_equal(admitted(meter, address, 3, START), 3);
    }
    assert_int_equal(admitted(meter, "10.0.0.1", 50, START), 0);
    meter_forget(meter);
    assert_int_equal(admitted(meter, "10.0.0.1", 50, START), 16);
    meter_free(meter);
}

static void no_limit(void **state)
{
    (void)state;
    struct meter *meter = meter_new(0);
    assert_int_equal(admitted(meter, "10.0.0.1", 1000, START), 1000);
    meter_free(meter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_once_and_by_the_minute),
        cmocka_unit_test(one_does_not_hinder_another),
        cmocka_unit_test(a_crowd),
        cmocka_unit_test(no_limit),
    };
    return cmocka_run_group_tests_name("meter", tests, NULL, NULL);
}
