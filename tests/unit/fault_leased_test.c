/* Leases of secrets with each allocation failing in its turn: what was answered is there, what was not is nowhere by
 * halves, and all of it is taken back in the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/log.h"
#include "tests/support/fault.h"
#include "tests/support/leasing_engine.h"
#include "tests/support/one_vault.h"
#include "vaultd/auth/revoker.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define CALLS_MAX 400u

static unsigned long hits;

static void set_fault(void *arg)
{
    const unsigned long *nth = arg;
    fault_set(&(const struct fault){.kind = FAULT_ALLOC, .nth = *nth});
}

static void clear_fault(void *arg)
{
    (void)arg;
    hits = fault_hits();
    (void)fault_clear();
}

static unsigned ask(const char *method, const char *target, const char *body, unsigned long nth)
{
    const struct test_request request = {.method = kt_str(method),
                                         .target = kt_str(target),
                                         .token = kt_str(vault->root),
                                         .body = kt_str(body),
                                         .begin = set_fault,
                                         .answered = clear_fault,
                                         .arg = &nth};
    return test_vault_ask(vault, &request);
}

/* Each lease has its row in every table that leads to it. */
static void is_whole(unsigned n)
{
    static const enum table tables[] = {TABLE_LEASED, TABLE_LEASED_DUE, TABLE_LEASED_OF, TABLE_LEASED_IN};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        if (test_vault_rows(vault, tables[i]) != n)
            fail_msg("table '%c' has %u rows, not %u", tables[i], test_vault_rows(vault, tables[i]), n);
}

/* Twice: what met the fault in a round counts as failed, and is due again later. */
static void settle(void)
{
    for (unsigned i = 0; i < 2; i++) {
        struct kt_err err = {0};
        bool more = true;
        while (more)
            assert_int_equal(revoker_run(vault->core, &more, &err), KT_OK);
        vault->now_ms += leased_pause_ms(LEASED_ATTEMPTS);
    }
}

static void issuing(void **state)
{
    (void)state;
    unsigned n = 0, refused = 0;
    for (unsigned long nth = 1; nth < CALLS_MAX; nth++) {
        unsigned status = ask("GET", "/v1/leasing/creds/app", NULL, nth);
        if (status != 200 && status < 500)
            fail_msg("allocation %lu failed: %u %s", nth, status, vault->body);
        n += status == 200;
        refused += status != 200;
        is_whole(n);
        if (hits == 0)
            break;
    }
    assert_int_equal(hits, 0);
    assert_true(refused > 0);
}

static void ending(void **state)
{
    (void)state;
    unsigned refused = 0;
    hits = 1;
    for (unsigned long nth = 1; nth < CALLS_MAX && hits > 0; nth++) {
        assert_int_equal(ask("GET", "/v1/leasing/creds/app", NULL, 0), 200);
        unsigned status = ask("PUT", "/v1/sys/leases/revoke-prefix/leasing/", "{\"sync\":false}", nth);
        unsigned long met = hits;
        refused += status >= 500;
        if (status != 202) {
            assert_in_range(status, 500, 599);
            is_whole(1);
            assert_int_equal(ask("PUT", "/v1/sys/leases/revoke-prefix/leasing/", "{\"sync\":false}", 0), 202);
        }
        settle();
        is_whole(0);
        hits = met;
    }
    assert_int_equal(hits, 0);
    assert_true(refused > 0);
}

/* A round that fails is made again: nothing is forgotten. */
static void rounds(void **state)
{
    (void)state;
    hits = 1;
    for (unsigned long nth = 1; nth < CALLS_MAX && hits > 0; nth++) {
        struct kt_err err = {0};
        bool more = true;
        assert_int_equal(ask("GET", "/v1/leasing/creds/app", NULL, 0), 200);
        assert_int_equal(ask("PUT", "/v1/sys/leases/revoke-prefix/leasing/", "{\"sync\":false}", 0), 202);
        set_fault(&nth);
        enum kt_kind kind = KT_OK;
        while (kind == KT_OK && more)
            kind = revoker_run(vault->core, &more, &err);
        clear_fault(NULL);
        unsigned long met = hits;
        settle();
        is_whole(0);
        hits = met;
    }
    assert_int_equal(hits, 0);
}

static int make_leasing(void **state)
{
    (void)make(state);
    leasing_reset();
    leasing_mount(vault);
    return 0;
}

int main(void)
{
    kt_log_set_level((enum kt_log_level)0); /* failures are what is tested here */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(issuing, make_leasing, end),
        cmocka_unit_test_setup_teardown(ending, make_leasing, end),
        cmocka_unit_test_setup_teardown(rounds, make_leasing, end),
    };
    return cmocka_run_group_tests_name("fault_leased", tests, NULL, NULL);
}
