/* What a client may make of a quota: at once, in an interval, while it is blocked; and that a crowd takes
 * nobody's turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "vaultd/core/quota_clients.h"

#define START INT64_C(1000000)

static struct quota_clients *clients;
static struct quota_use use;

static int make(void **state)
{
    (void)state;
    clients = quota_clients_new();
    return clients == NULL;
}

static int end(void **state)
{
    (void)state;
    quota_clients_free(clients);
    return 0;
}

static unsigned admitted(const struct quota_limit *limit, const char *client, unsigned n, int64_t now_ms)
{
    unsigned count = 0;
    for (unsigned i = 0; i < n; i++)
        count += quota_clients_admit(clients, limit, client, now_ms, &use);
    return count;
}

static void at_once_and_by_the_interval(void **state)
{
    (void)state;
    static const struct {
        double rate;
        int64_t interval_s;
        unsigned at_once, wait_s, reset_s; /* when all is used */
        int64_t next_ms;                   /* until one more may come */
    } rows[] = {
        {1, 1, 1, 1, 1, 1000},      {10, 1, 10, 1, 1, 100},       {5, 60, 5, 12, 60, 12000},
        {0.5, 1, 1, 2, 2, 2000},    {2.5, 10, 2, 4, 8, 4000},     {1, 86400, 1, 86400, 86400, 86400000},
        {1000, 1, 1000, 1, 1, 1},   {0.001, 2678400, 1, 2678400000, 2678400000, 2678400000000},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct quota_limit limit = {i + 1, rows[i].rate, rows[i].interval_s, 0};
        assert_int_equal(admitted(&limit, "10.0.0.1", 1, START), 1);
        assert_int_equal(use.limit, rows[i].at_once);
        assert_int_equal(use.remaining, rows[i].at_once - 1);
        assert_int_equal(use.wait_s, 0);
        assert_int_equal(admitted(&limit, "10.0.0.1", 2000, START), rows[i].at_once - 1);
        assert_int_equal(use.remaining, 0);
        assert_int_equal(use.wait_s, rows[i].wait_s);
        assert_int_equal(use.reset_s, rows[i].reset_s);
        assert_int_equal(admitted(&limit, "10.0.0.1", 2, START + rows[i].next_ms - 1), 0);
        assert_int_equal(admitted(&limit, "10.0.0.1", 2, START + rows[i].next_ms), 1);
        assert_int_equal(admitted(&limit, "10.0.0.1", 2000, START + 2100 * (int64_t)rows[i].reset_s),
                         rows[i].at_once);
    }
}

/* In any time: what may come at once, and the rate. */
static void never_more_than_the_rate(void **state)
{
    (void)state;
    const struct quota_limit limit = {7, 20, 1, 0};
    unsigned count = 0;
    for (int64_t ms = 0; ms < 60000; ms += 7)
        count += admitted(&limit, "10.0.0.1", 3, START + ms);
    assert_in_range(count, 20 + 59 * 20, 20 + 60 * 20);
}

static void refused_and_blocked(void **state)
{
    (void)state;
    const struct quota_limit limit = {8, 2, 1, 30};
    assert_int_equal(admitted(&limit, "10.0.0.1", 2, START), 2);
    assert_int_equal(admitted(&limit, "10.0.0.1", 1, START), 0);
    assert_int_equal(use.wait_s, 30);
    assert_int_equal(use.remaining, 0);
    assert_int_equal(admitted(&limit, "10.0.0.2", 1, START + 10000), 1);
    assert_int_equal(admitted(&limit, "10.0.0.1", 50, START + 29999), 0); /* asking makes it no longer */
    assert_int_equal(use.wait_s, 1);
    assert_int_equal(admitted(&limit, "10.0.0.1", 3, START + 30000), 2);
    assert_int_equal(use.wait_s, 30);
}

static void one_does_not_hinder_another(void **state)
{
    (void)state;
    const struct quota_limit limit = {9, 3, 60, 0}, other = {10, 3, 60, 0};
    assert_int_equal(admitted(&limit, "10.0.0.1", 5, START), 3);
    assert_int_equal(admitted(&limit, "10.0.0.2", 5, START), 3);
    assert_int_equal(admitted(&other, "10.0.0.1", 5, START), 3);
    assert_int_equal(admitted(&limit, "10.0.0.1", 5, START), 0);
}

/* Many more clients than there is room for: each gets in, at the first request and no oftener. */
static void a_crowd(void **state)
{
    (void)state;
    const struct quota_limit limit = {11, 2, 60, 0};
    for (unsigned i = 0; i < 4 * QUOTA_CLIENTS; i++) {
        char client[32];
        (void)snprintf(client, sizeof client, "10.%u.%u.%u", i >> 16, (i >> 8) & 255, i & 255);
        assert_int_equal(admitted(&limit, client, 4, START), 2);
    }
    /* Who is nearest to his whole budget makes room: somebody who is shut out for long stays so. */
    const struct quota_limit strict = {12, 1, 1, 7200};
    assert_int_equal(admitted(&strict, "10.0.0.1", 5, START + 60000), 1);
    for (unsigned i = 0; i < 2 * QUOTA_CLIENTS; i++) {
        char client[32];
        (void)snprintf(client, sizeof client, "11.%u.%u.%u", i >> 16, (i >> 8) & 255, i & 255);
        (void)admitted(&limit, client, 1, START + 60000);
    }
    assert_int_equal(admitted(&strict, "10.0.0.1", 5, START + 7000000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(at_once_and_by_the_interval, make, end),
        cmocka_unit_test_setup_teardown(never_more_than_the_rate, make, end),
        cmocka_unit_test_setup_teardown(refused_and_blocked, make, end),
        cmocka_unit_test_setup_teardown(one_does_not_hinder_another, make, end),
        cmocka_unit_test_setup_teardown(a_crowd, make, end),
    };
    return cmocka_run_group_tests_name("quota_clients", tests, NULL, NULL);
}
