/* A vault that opens itself while one call after the other fails: afterwards it is open, or it is sealed and
 * said so; and key shares, and its credential, open it as before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/log.h"
#include "tests/support/fault.h"
#include "tests/support/fault_vault.h"
#include "vaultd/core/autounseal.h"

#define CALLS_MAX 3000u

static struct fault_vault v;

static void need(const char *method, const char *path, const char *body)
{
    unsigned status = test_vault_call(v.vault, method, path, v.root, body);
    if (status >= 300)
        fail_msg("%s %s: %u %s", method, path, status, v.vault->body);
}

static bool is_open(void)
{
    return !barrier_sealed(v.vault->core->barrier);
}

/* As a start does it, with the n-th call failing. False: there were not so many. */
static bool one(enum fault_kind kind, unsigned long nth, bool for_good, unsigned *ret_sealed)
{
    struct kt_err err = {0};
    core_seal(v.vault->core, "test");
    assert_false(is_open());
    fault_set(&(struct fault){.kind = kind, .nth = nth, .for_good = for_good});
    enum kt_kind got = autounseal_run(v.vault->core, &err);
    unsigned long hits = fault_hits();
    (void)fault_clear();
    if (hits == 0)
        assert_int_equal(got, KT_OK);
    if (got == KT_OK && atomic_load(&v.stopped) == 0)
        assert_true(is_open());
    if (got != KT_OK) {
        assert_true(err.what[0] != '\0');
        assert_false(is_open());
        (*ret_sealed)++;
    }
    if (fault_vault_mend(&v)) /* store or log stopped; with shares */
        return hits > 0;
    if (!is_open() && nth % 2 == 0)
        fault_vault_unseal(&v);
    else if (!is_open() && autounseal_run(v.vault->core, &err) != KT_OK)
        fail_msg("call %lu failed, and then: %s", nth, err.what);
    need("GET", "secret/data/a", NULL);
    assert_true(test_vault_said(v.vault, "kept"));
    return hits > 0;
}

static void every_call(enum fault_kind kind, bool for_good)
{
    unsigned sealed = 0;
    unsigned long nth = 1;
    while (one(kind, nth, for_good, &sealed))
        if (++nth > CALLS_MAX)
            fail_msg("it does not end");
    if (nth < 3 || sealed == 0)
        fail_msg("%s: %lu calls, and %u of them kept it sealed: nothing was tested", fault_kind_name(kind), nth,
                 sealed);
}

static void allocations(void **state)
{
    (void)state;
    every_call(FAULT_ALLOC, false);
    every_call(FAULT_ALLOC, true);
}

static void reads(void **state)
{
    (void)state;
    every_call(FAULT_READ, false);
    every_call(FAULT_READ, true);
}

static void opened_files(void **state)
{
    (void)state;
    every_call(FAULT_NAME, false);
    every_call(FAULT_NAME, true);
}

static void libraries(void **state)
{
    (void)state;
    every_call(FAULT_LIBRARY, false);
    every_call(FAULT_LIBRARY, true);
}

static int make(void **state)
{
    (void)state;
    fault_vault_new(&v, NULL, true);
    need("POST", "secret/data/a", "{\"data\":{\"k\":\"kept\"}}");
    need("POST", "sys/seals/seal", NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    fault_vault_end(&v);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(allocations, make, end),
        cmocka_unit_test_setup_teardown(reads, make, end),
        cmocka_unit_test_setup_teardown(opened_files, make, end),
        cmocka_unit_test_setup_teardown(libraries, make, end),
    };
    kt_log_set_level(KT_LOG_ERROR);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("fault_seals", tests, NULL, NULL);
}
