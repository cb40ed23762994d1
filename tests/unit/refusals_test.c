/* Rationed records of refusals: what gets one each, what is counted, and how counts come out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/random.h"
#include "vaultd/core/refusals.h"

#define START 1000000

/* Which sources share a bucket is chance: here it is the same in each run. */
static int chance = 7;
static void always_the_same(void *out, size_t len)
{
    memset(out, chance, len);
}

static const struct refusals_rate rate = {.per_source = 10, .in_all = 100};

static unsigned admitted(struct refusals *refusals, const char *source, unsigned n, int64_t now_ms)
{
    unsigned count = 0;
    for (unsigned i = 0; i < n; i++)
        count += refusals_admit(refusals, source, 0, now_ms);
    return count;
}

static void ten_a_second(void **state)
{
    (void)state;
    struct refusals *refusals = refusals_new(&rate);
    assert_int_equal(admitted(refusals, "10.0.0.1", 50, START), 10);
    assert_int_equal(admitted(refusals, "10.0.0.1", 50, START + 500), 5);
    assert_int_equal(admitted(refusals, "10.0.0.1", 50, START + 1000), 5);
    assert_int_equal(admitted(refusals, "10.0.0.1", 50, START + 60000), 10);
    refusals_free(refusals);
}

/* A record twice as long as usual takes two places; the longest takes all, and is written. */
static void long_records_cost_more(void **state)
{
    (void)state;
    struct refusals *refusals = refusals_new(&rate);
    unsigned count = 0;
    for (unsigned i = 0; i < 50; i++)
        count += refusals_admit(refusals, "10.0.0.1", REFUSAL_BYTES, START);
    assert_int_equal(count, 5);
    assert_true(refusals_admit(refusals, "10.0.0.2", SIZE_MAX, START));
    assert_false(refusals_admit(refusals, "10.0.0.2", 0, START));
    assert_false(refusals_admit(refusals, "10.0.0.2", SIZE_MAX, START + 999));
    refusals_free(refusals);
}

static void no_limit(void **state)
{
    (void)state;
    const struct refusals_rate none = {.per_source = 0};
    struct refusals *refusals = refusals_new(&none);
    for (unsigned i = 0; i < 1000; i++)
        assert_true(refusals_admit(refusals, "token", SIZE_MAX, START));
    refusals_free(refusals);
}

static void all_sources_share_a_hundred(void **state)
{
    (void)state;
    struct refusals *refusals = refusals_new(&rate);
    unsigned count = 0;
    for (unsigned i = 0; i < 1000; i++) {
        char source[REFUSALS_SOURCE];
        (void)snprintf(source, sizeof source, "10.0.%u.%u", i / 256, i % 256);
        count += admitted(refusals, source, 1, START);
    }
    assert_int_equal(count, 100);
    refusals_free(refusals);
}

static void a_count_comes_after_a_pause(void **state)
{
    (void)state;
    struct refusals *refusals = refusals_new(&rate);
    struct refusal_count counted;
    assert_int_equal(admitted(refusals, "10.0.0.1", 25, START), 10);
    assert_false(refusals_take(refusals, START + 999, false, &counted));
    assert_true(refusals_take(refusals, START + 1000, false, &counted));
    assert_int_equal(counted.refused, 15);
    assert_string_equal(counted.source, "10.0.0.1");
    assert_false(counted.shared);
    assert_false(refusals_take(refusals, START + 9000, true, &counted));
    refusals_free(refusals);
}

static void a_flood_is_told_every_ten_seconds(void **state)
{
    (void)state;
    struct refusals *refusals = refusals_new(&rate);
    struct refusal_count counted;
    unsigned told = 0;
    uint64_t refused = 0, records = 0;
    for (int64_t now = START; now < START + 60000; now += 10) {
        records += admitted(refusals, "::1", 5, now);
        if (refusals_take(refusals, now, false, &counted)) {
            told++;
            refused += counted.refused;
        }
    }
    assert_in_range(told, 5, 6);
    assert_true(refusals_take(refusals, START + 60000, true, &counted));
    assert_int_equal(records + refused + counted.refused, 30000);
    assert_in_range(records, 590, 620);
    refusals_free(refusals);
}

/* What "10.0.0.1" asks is at the cost of who shares its bucket. */
static bool shares(struct refusals *refusals, const char *source, int64_t now_ms)
{
    assert_int_equal(admitted(refusals, "10.0.0.1", 50, now_ms), 10);
    return !refusals_admit(refusals, source, 0, now_ms);
}

/* Who knows which sources met in one vault knows nothing of another. */
static void sources_meet_by_chance(void **state)
{
    (void)state;
    const struct refusals_rate each = {.per_source = 10};
    struct refusals *one = refusals_new(&each);
    char source[REFUSALS_SOURCE] = "";
    bool met = false;
    for (unsigned i = 0; i < 10000 && !met; i++) {
        (void)snprintf(source, sizeof source, "10.1.%u.%u", i / 256, i % 256);
        met = shares(one, source, START + (int64_t)i * 60000);
    }
    assert_true(met);
    chance = 8;
    struct refusals *other = refusals_new(&each);
    chance = 7;
    assert_false(shares(other, source, START));
    refusals_free(one);
    refusals_free(other);
}

static void nothing_is_lost_by_giving_back(void **state)
{
    (void)state;
    struct refusals *refusals = refusals_new(&rate);
    struct refusal_count counted;
    assert_int_equal(admitted(refusals, "a", 20, START), 10);
    assert_true(refusals_take(refusals, START, true, &counted));
    refusals_give_back(refusals, &counted);
    assert_int_equal(admitted(refusals, "a", 5, START), 0);
    assert_true(refusals_take(refusals, START, true, &counted));
    assert_int_equal(counted.refused, 15);
    refusals_free(refusals);
}

static void sources(void **state)
{
    (void)state;
    static const struct {
        const char *address, *source;
    } rows[] = {
        {"10.1.2.3", "10.1.2.3"},
        {"::ffff:10.1.2.3", "::ffff:10.1.2.3"},
        {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
        {"2001:db8:1:2::9", "2001:db8:1:2::/64"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char source[REFUSALS_SOURCE];
        refusals_source(rows[i].address, source);
        assert_string_equal(source, rows[i].source);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_a_second),
        cmocka_unit_test(long_records_cost_more),
        cmocka_unit_test(no_limit),
        cmocka_unit_test(all_sources_share_a_hundred),
        cmocka_unit_test(a_count_comes_after_a_pause),
        cmocka_unit_test(a_flood_is_told_every_ten_seconds),
        cmocka_unit_test(sources_meet_by_chance),
        cmocka_unit_test(nothing_is_lost_by_giving_back),
        cmocka_unit_test(sources),
    };
    kt_random_source(always_the_same);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("refusals", tests, NULL, NULL);
}
