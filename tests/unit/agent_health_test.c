/* When a service is too slow with a new version: the bounds, number by number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/health.h"

static const struct row {
    const char *name;
    double factor;
    int64_t floor_ms;
    unsigned before, before_ms, now, now_ms; /* samples, and their p95 */
    bool slower;
} rows[] = {
    {"as before", 2, 20, 10, 100, 3, 100, false},
    {"a little slower", 2, 20, 10, 100, 3, 150, false},
    {"twice as slow", 2, 20, 10, 100, 3, 200, false},
    {"more than twice as slow", 2, 20, 10, 100, 3, 201, true},
    {"one probe says it", 2, 20, 10, 100, 1, 201, true},
    {"another factor", 3, 20, 10, 100, 3, 300, false},
    {"more than another factor", 3, 20, 10, 100, 3, 301, true},
    {"ten times a very fast one, within the floor", 2, 20, 10, 2, 3, 22, false},
    {"above the floor of a very fast one", 2, 20, 10, 2, 3, 23, true},
    {"above the floor, not the factor", 2, 20, 10, 100, 3, 121, false},
    {"above the factor, not the floor", 2, 500, 10, 100, 3, 600, false},
    {"above a wide floor", 2, 500, 10, 100, 3, 601, true},
    {"nothing took any time before", 2, 0, 10, 0, 3, 1, true},
    {"faster", 2, 20, 10, 100, 3, 1, false},
    {"no factor", 0, 20, 10, 100, 3, 100000, false},
    {"too small a baseline", 2, 20, 9, 100, 3, 100000, false},
    {"no baseline, as on the way back", 2, 20, 0, 0, 3, 100000, false},
    {"nothing measured since", 2, 20, 10, 100, 0, 0, false},
};
#define N (sizeof rows / sizeof rows[0])

static void judges(void **state)
{
    const struct row *row = *state;
    const struct config_health health = {.latency_factor = row->factor,
                                         .latency_floor_ms = row->floor_ms};
    const struct health_result before = {.samples = row->before, .p95_ms = row->before_ms};
    const struct health_result now = {.samples = row->now, .p95_ms = row->now_ms};
    if (health_is_slower(&health, &before, &now) != row->slower)
        fail_msg("%s: p95 %u ms, before %u ms: expected %s", row->name, row->now_ms, row->before_ms,
                 row->slower ? "slower" : "not slower");
}

int main(int argc, char **argv)
{
    struct CMUnitTest tests[N];
    for (size_t i = 0; i < N; i++)
        tests[i] = (struct CMUnitTest){.name = rows[i].name,
                                       .test_func = judges,
                                       .initial_state = (void *)(uintptr_t)&rows[i]};
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("agent_health", tests, NULL, NULL);
}
