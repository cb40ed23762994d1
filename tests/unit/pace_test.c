#include "lib/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "lib/random.h"

#define DRAWS 2000

/* The longest of many pauses that begin with the same state. */
static uint32_t longest(struct kt_pace start)
{
    uint32_t most = 0;
    for (int i = 0; i < DRAWS; i++) {
        struct kt_pace pace = start;
        uint32_t ms = kt_pace_next_ms(&pace);
        assert_true(ms >= 50);
        most = ms > most ? ms : most;
    }
    return most;
}

static void spans_double_up_to_a_minute(void **state)
{
    (void)state;
    static const uint32_t spans[] = {500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    struct kt_pace pace;
    kt_pace_init(&pace);
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        uint32_t most = longest(pace);
        assert_in_range(most, spans[i] * 9 / 10, spans[i] + 50);
        (void)kt_pace_next_ms(&pace);
    }
    kt_pace_worked(&pace);
    assert_in_range(longest(pace), 450, 550);
}

static void a_crowd_comes_back_over_its_span_once(void **state)
{
    (void)state;
    static const struct {
        uint64_t clients;
        bool tls;
        uint32_t ms;
    } rows[] = {{10, false, 500},  {10, true, 500},      {10000, false, 6000},
                {10000, true, 40000}, {1000000, true, 60000}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kt_pace pace;
        kt_pace_init(&pace);
        kt_pace_crowd(&pace, rows[i].clients, rows[i].tls);
        kt_pace_worked(&pace);
        assert_in_range(longest(pace), rows[i].ms * 9 / 10, rows[i].ms + 50);
        (void)kt_pace_next_ms(&pace);
        assert_in_range(longest(pace), 900, 1050); /* then as everybody */
    }
}

static void the_crowd_is_forgotten_slowly(void **state)
{
    (void)state;
    struct kt_pace pace;
    kt_pace_init(&pace);
    kt_pace_crowd(&pace, 10000, false);
    assert_int_equal(pace.crowd_ms, 6000);
    kt_pace_crowd(&pace, 3, false);
    assert_int_equal(pace.crowd_ms, 5250);
    for (int i = 0; i < 100; i++)
        kt_pace_crowd(&pace, 3, false);
    assert_true(pace.crowd_ms < 10);
    kt_pace_crowd(&pace, UINT64_MAX / 2000, true);
    assert_int_equal(pace.crowd_ms, 60000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_double_up_to_a_minute),
        cmocka_unit_test(a_crowd_comes_back_over_its_span_once),
        cmocka_unit_test(the_crowd_is_forgotten_slowly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
