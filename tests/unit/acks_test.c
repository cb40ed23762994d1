/* What one consumer's last word means for a run from version 1 to 2 that was promoted at 1000. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "vaultd/rotation/acks.h"

enum { ACKED = 1, ON_NEW = 2, TROUBLE = 4, SICK = 8 };

struct row {
    const char *name;
    enum consumer_state state;
    uint32_t version, failed_version;
    int64_t failed_ms;
    unsigned is;
};

/* clang-format off */
static const struct row rows[] = {
    {"not there yet",                     CONSUMER_HEALTHY,     1, 0, 0,    0},
    {"on its way",                        CONSUMER_APPLYING,    1, 0, 0,    0},
    {"acknowledged",                      CONSUMER_HEALTHY,     2, 0, 0,    ACKED | ON_NEW},
    {"further on",                        CONSUMER_HEALTHY,     3, 0, 0,    ACKED},
    {"started with it, not checked yet",  CONSUMER_REGISTERED,  2, 0, 0,    ON_NEW},
    {"not well with it",                  CONSUMER_UNHEALTHY,   2, 2, 1001, ON_NEW | TROUBLE},
    {"went back from it",                 CONSUMER_ROLLED_BACK, 1, 2, 1001, TROUBLE},
    {"went back, and is not well either", CONSUMER_UNHEALTHY,   1, 2, 1001, TROUBLE | SICK},
    {"the same, before it was set again", CONSUMER_UNHEALTHY,   1, 2, 999,  SICK},
    {"went back before it was set again", CONSUMER_ROLLED_BACK, 1, 2, 999,  0},
    {"not well before it was touched",    CONSUMER_UNHEALTHY,   1, 1, 1001, SICK},
    {"went back from an older one",       CONSUMER_ROLLED_BACK, 0, 1, 1001, 0},
};
/* clang-format on */

static void judges(void **state)
{
    const struct row *row = *state;
    const struct run run = {.from = 1, .to = 2, .promoted_ms = 1000};
    const struct consumer consumer = {.host = "h",
                                      .service = "s",
                                      .state = row->state,
                                      .version = row->version,
                                      .failed_version = row->failed_version,
                                      .failed_ms = row->failed_ms,
                                      .at_ms = 1002,
                                      .heard_ms = 1002};
    struct acks acks;
    acks_judge(&run, &consumer, 1, &acks);
    assert_int_equal(acks.required, 1);
    assert_int_equal(acks.acked, (row->is & ACKED) != 0);
    assert_int_equal(acks.on_new, (row->is & ON_NEW) != 0);
    assert_int_equal(acks.trouble != NULL, (row->is & TROUBLE) != 0);
    assert_int_equal(acks.sick != NULL, (row->is & SICK) != 0);
    assert_int_equal(acks.missing == NULL, (row->is & ACKED) != 0);
}

/* Before the promotion nobody can have failed with the new version. */
static void nobody_before(void **state)
{
    (void)state;
    const struct run run = {.from = 1, .to = 2};
    const struct consumer consumer = {.state = CONSUMER_UNHEALTHY,
                                      .version = 1,
                                      .failed_version = 2,
                                      .failed_ms = 1001};
    struct acks acks;
    acks_judge(&run, &consumer, 1, &acks);
    assert_null(acks.trouble);
    assert_non_null(acks.sick);
}

int main(void)
{
    struct CMUnitTest tests[sizeof rows / sizeof rows[0] + 1] = {{0}};
    size_t n = 0;
    for (; n < sizeof rows / sizeof rows[0]; n++)
        tests[n] = (struct CMUnitTest){.name = rows[n].name,
                                       .test_func = judges,
                                       .initial_state = (void *)(uintptr_t)&rows[n]};
    tests[n] = (struct CMUnitTest)cmocka_unit_test(nobody_before);
    return cmocka_run_group_tests_name("acks", tests, NULL, NULL);
}
