/* Walks over the store that break off on the way: an answer has all rows or is an error. One that
 * names only some of a secret's consumers would let a credential be revoked that is still in use. */
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

#define ROWS      5u
#define CALLS_MAX 500u
#define TRIES 5

#define TARGET                                                                                     \
    "{\"driver\":\"postgresql\",\"host\":\"/run/none\",\"database\":\"d\",\"sslmode\":\"disable\"," \
    "\"admin_username\":\"kt\",\"admin_password\":\"admin\"}"
#define SECRET  "{\"strategy\":\"generate\",\"period\":\"30d\"}"
#define HEALTHY "{\"service\":\"s\",\"version\":1,\"state\":\"registered\"}"

static const struct walk {
    const char *name;
    const char *method, *path; /* what walks */
    const char *row;           /* each row's name in the answer, without its number */
} walks[] = {
    {"targets", "LIST", "rotation/targets", "pg"},
    {"secrets", "LIST", "rotation/secrets", "secret/s"},
    {"due", "GET", "rotation/due", "secret/s"},
    {"hosts", "LIST", "fleet/agents", "h"},
};

static struct fault_vault v;

static void need(const char *method, const char *path, const char *body)
{
    unsigned status = test_vault_call(v.vault, method, path, v.root, body);
    if (status >= 300)
        fail_msg("%s %s: %u %s", method, path, status, v.vault->body);
}

static void row(unsigned n)
{
    char path[80];
    (void)snprintf(path, sizeof path, "rotation/targets/pg%u", n);
    need("POST", path, TARGET);
    (void)snprintf(path, sizeof path, "secret/data/s%u", n);
    need("POST", path, "{\"data\":{\"username\":\"u\",\"password\":\"first-password-of-u\"}}");
    (void)snprintf(path, sizeof path, "rotation/secrets/secret/s%u", n);
    need("POST", path, SECRET);
    (void)snprintf(path, sizeof path, "fleet/consumers/h%u/secret/s%u", n, n);
    need("POST", path, HEALTHY);
}

static bool whole(const struct walk *walk)
{
    for (unsigned n = 0; n < ROWS; n++) {
        char name[32];
        (void)snprintf(name, sizeof name, "\"%s%u\"", walk->row, n);
        if (!test_vault_said(v.vault, name))
            return false;
    }
    return true;
}

/* The status with the n-th call failing; *ret_hits 0: there were not so many. Threads of the vault's own
 * make calls, too, and may meet the fault in the request's place: then once more. */
static unsigned with_fault(const struct walk *walk, unsigned long nth, unsigned long *ret_hits)
{
    unsigned status = 0;
    for (unsigned tries = 0; tries < TRIES; tries++) {
        fault_set(&(struct fault){.kind = FAULT_LIBRARY, .nth = nth});
        status = test_vault_call(v.vault, walk->method, walk->path, v.root, NULL);
        *ret_hits = fault_hits();
        (void)fault_clear();
        if (status < 500 && (status != 200 || !whole(walk)))
            fail_msg("call %lu failed: %u %s", nth, status, v.vault->body);
        (void)fault_vault_mend(&v);
        if (status >= 500 || *ret_hits == 0)
            break;
    }
    return status;
}

static void all_rows_or_an_error(void **state)
{
    const struct walk *walk = *state;
    unsigned refused = 0;
    need(walk->method, walk->path, NULL);
    assert_true(whole(walk));
    for (unsigned long nth = 1; nth < CALLS_MAX; nth++) {
        unsigned long hits = 0;
        refused += with_fault(walk, nth, &hits) >= 500;
        if (hits == 0) {
            assert_in_range(refused, ROWS, nth); /* each step of the walk was one of them */
            return;
        }
    }
    fail_msg("%u calls, and it still fails", CALLS_MAX);
}

static int setup(void **state)
{
    (void)state;
    fault_vault_new(&v, NULL, true);
    for (unsigned n = 0; n < ROWS; n++)
        row(n);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fault_vault_end(&v);
    return 0;
}

int main(void)
{
    enum { WALKS = sizeof walks / sizeof walks[0] };
    struct CMUnitTest tests[WALKS];
    kt_log_set_level((enum kt_log_level)0); /* failures are what is tested here */
    for (size_t i = 0; i < WALKS; i++) {
        union {
            const struct walk *walk;
            void *state;
        } initial = {.walk = &walks[i]};
        tests[i] = (struct CMUnitTest){.name = walks[i].name,
                                       .test_func = all_rows_or_an_error,
                                       .initial_state = initial.state};
    }
    return cmocka_run_group_tests_name("fault_rows", tests, setup, teardown);
}
