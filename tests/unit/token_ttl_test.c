/* How long a token lives, as a table: what is granted, what capped it, when it ends (CVE-2021-32923,
 * CVE-2020-12757: a time that was no end, another than the configured one). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vaultd/auth/token_ttl.h"

#define H     3600
#define MONTH TOKEN_TTL_SYSTEM_S
#define BORN  1800000000000

/* clang-format off */
static const struct row {
    const char *name;
    int64_t ttl_s, period_s, explicit_s;
    int64_t age_ms; /* 0: at its creation */
    bool root;
    int64_t granted_s; /* 0: for ever, or past its maximum */
    bool capped, past;
} rows[] = {
    {"no wish: the system's", 0, 0, 0, 0, false, MONTH, false, false},
    {"a wish", 30 * 60, 0, 0, 0, false, 30 * 60, false, false},
    {"a wish beyond the system's maximum", 2000 * H, 0, 0, 0, false, MONTH, true, false},
    {"a wish beyond its own maximum", 30 * 60, 0, 5 * 60, 0, false, 5 * 60, true, false},
    {"no wish, an own maximum", 0, 0, 5 * 60, 0, false, 5 * 60, true, false},
    {"a wish below its own maximum", 5 * 60, 0, 30 * 60, 0, false, 5 * 60, false, false},
    {"an own maximum beyond the system's", 0, 0, 2000 * H, 0, false, MONTH, false, false},
    {"a period", 0, 30 * 60, 0, 0, false, 30 * 60, false, false},
    {"a period wins over a wish", 5 * 60, 30 * 60, 0, 0, false, 30 * 60, false, false},
    {"a period beyond the own maximum", 0, 30 * 60, 10 * 60, 0, false, 10 * 60, true, false},
    {"a period beyond the system's maximum", 0, 2000 * H, 0, 0, false, MONTH, true, false},
    {"root without a wish", 0, 0, 0, 0, true, 0, false, false},
    {"root with a wish", H, 0, 0, 0, true, H, false, false},
    {"root with an own maximum", 0, 0, H, 0, true, H, true, false},
    {"root with a period", 0, H, 0, 0, true, H, false, false},
    {"renewed: counts from now", 2 * H, 0, 0, H * 1000, false, 2 * H, false, false},
    {"renewed: shorter than what is left", 60, 0, 24 * H, H * 1000, false, 60, false, false},
    {"renewed: never beyond the own maximum", 48 * H, 0, 24 * H, 23 * H * 1000LL, false, H, true, false},
    {"renewed: never beyond the system's", 48 * H, 0, 0, (MONTH - H) * 1000LL, false, H, true, false},
    {"renewed: a period knows no system's maximum", 0, H, 0, 2 * MONTH * 1000LL, false, H, false, false},
    {"renewed: a period ends at the own maximum", 0, H, 24 * H, 24 * H * 1000LL - 5000, false, 5, true, false},
    {"renewed: at the own maximum", H, 0, 24 * H, 24 * H * 1000LL, false, 0, false, true},
    {"renewed: past the own maximum", H, 0, 24 * H, 25 * H * 1000LL, false, 0, false, true},
    {"renewed: less than a second is left", H, 0, 24 * H, 24 * H * 1000LL - 999, false, 0, false, true},
    {"renewed: parts of a second are not given", H, 0, 24 * H, 24 * H * 1000LL - 1999, false, 1, true, false},
    {"renewed: past the system's maximum", H, 0, 0, MONTH * 1000LL, false, 0, false, true},
    {"a clock that went back gives no more", 48 * H, 0, 24 * H, -5 * H * 1000LL, false, 24 * H, true, false},
};
/* clang-format on */

static void grants(void **state)
{
    const struct row *row = *state;
    const struct token_ttl_wish wish = {.ttl_s = row->ttl_s,
                                        .period_s = row->period_s,
                                        .explicit_max_ttl_s = row->explicit_s,
                                        .created_ms = BORN,
                                        .now_ms = BORN + row->age_ms,
                                        .root = row->root};
    struct token_ttl got = token_ttl(&wish);
    int64_t expires = row->granted_s == 0 ? 0 : wish.now_ms + row->granted_s * 1000;
    if (got.ttl_s != row->granted_s || got.capped != row->capped || got.past_max != row->past ||
        got.expires_ms != expires)
        fail_msg(
            "expected %jd s until %jd capped %d past %d, got %jd s until %jd capped %d past %d",
            (intmax_t)row->granted_s, (intmax_t)expires, row->capped, row->past,
            (intmax_t)got.ttl_s, (intmax_t)got.expires_ms, got.capped, got.past_max);
}

/* Whatever is asked and whenever: only root without a wish lives for ever, nobody beyond its own
 * maximum, and a maximum is named when it capped. */
static void never_more(void **state)
{
    (void)state;
    static const int64_t values[] = {0, 1, 59, H, 24 * H, MONTH - 1, MONTH, MONTH + 1, 100 * MONTH};
    static const int64_t ages[] = {0, 1, 999, 1000, H * 1000LL, MONTH * 1000LL - 1, MONTH * 1000LL};
    const size_t n = sizeof values / sizeof values[0], n_ages = sizeof ages / sizeof ages[0];
    for (size_t i = 0; i < n * n * n * n_ages * 2; i++) {
        const struct token_ttl_wish wish = {.ttl_s = values[i / 2 % n],
                                            .period_s = values[i / 2 / n % n],
                                            .explicit_max_ttl_s = values[i / 2 / n / n % n],
                                            .created_ms = BORN,
                                            .now_ms = BORN + ages[i / 2 / n / n / n],
                                            .root = i % 2 == 1};
        struct token_ttl got = token_ttl(&wish);
        bool for_ever = got.expires_ms == 0 && !got.past_max;
        bool may =
            wish.root && wish.ttl_s == 0 && wish.period_s == 0 && wish.explicit_max_ttl_s == 0;
        assert_int_equal(for_ever, may);
        if (for_ever || got.past_max)
            continue;
        assert_true(got.ttl_s > 0 && got.ttl_s <= MONTH);
        assert_true(got.expires_ms == wish.now_ms + got.ttl_s * 1000);
        if (wish.explicit_max_ttl_s > 0)
            assert_true(got.expires_ms <= BORN + wish.explicit_max_ttl_s * 1000);
        assert_int_equal(got.capped, got.ttl_s < got.wanted_s);
    }
}

#define N (sizeof rows / sizeof rows[0])

int main(int argc, char **argv)
{
    struct CMUnitTest tests[N + 1] = {{.name = "never more than allowed", .test_func = never_more}};
    for (size_t i = 0; i < N; i++)
        tests[i + 1] = (struct CMUnitTest){.name = rows[i].name,
                                           .test_func = grants,
                                           .initial_state = (void *)(uintptr_t)&rows[i]};
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("token_ttl", tests, NULL, NULL);
}
