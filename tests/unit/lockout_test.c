/* Who is locked out, for how long, and who is forgotten when there are too many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "vaultd/auth/lockout.h"

static const unsigned char scope[BARRIER_SCOPE] = "a way", other_scope[BARRIER_SCOPE] = "another way";

static struct lockout *lockout;

static int make(void **state)
{
    *state = lockout = lockout_new();
    return lockout == NULL ? -1 : 0;
}

static int end(void **state)
{
    lockout_free(*state);
    return 0;
}

static bool locked(const unsigned char *where, const char *name, int64_t now_ms)
{
    unsigned char key[LOCKOUT_KEY];
    lockout_key(lockout, where, kt_str(name), key);
    return lockout_is_locked(lockout, key, now_ms);
}

static void fails(const unsigned char *where, const char *name, unsigned times, int64_t now_ms)
{
    unsigned char key[LOCKOUT_KEY];
    lockout_key(lockout, where, kt_str(name), key);
    for (unsigned i = 0; i < times; i++)
        lockout_failed(lockout, key, now_ms);
}

static void five_within_a_quarter(void **state)
{
    (void)state;
    fails(scope, "bob", LOCKOUT_FAILURES - 1, 1000);
    assert_false(locked(scope, "bob", 1000));
    fails(scope, "bob", 1, 2000);
    assert_true(locked(scope, "bob", 2000));
    assert_true(locked(scope, "bob", 2000 + LOCKOUT_MS - 1));
    assert_false(locked(scope, "bob", 2000 + LOCKOUT_MS));
    assert_false(locked(scope, "ann", 2000));
    assert_false(locked(other_scope, "bob", 2000));
}

static void they_count_again_from_the_first(void **state)
{
    (void)state;
    fails(scope, "bob", LOCKOUT_FAILURES, 0);
    fails(scope, "bob", 1, LOCKOUT_MS);
    assert_false(locked(scope, "bob", LOCKOUT_MS));
    fails(scope, "ann", LOCKOUT_FAILURES - 1, 0);
    fails(scope, "ann", 1, LOCKOUT_MS); /* the others are forgotten */
    assert_false(locked(scope, "ann", LOCKOUT_MS));
}

static void what_comes_meanwhile_is_not_counted(void **state)
{
    (void)state;
    fails(scope, "bob", LOCKOUT_FAILURES, 0);
    fails(scope, "bob", 3, LOCKOUT_MS - 1);
    assert_false(locked(scope, "bob", LOCKOUT_MS));
}

static void a_success_forgets(void **state)
{
    (void)state;
    unsigned char key[LOCKOUT_KEY];
    fails(scope, "bob", LOCKOUT_FAILURES, 0);
    lockout_key(lockout, scope, kt_str("bob"), key);
    lockout_forget(lockout, key);
    assert_false(locked(scope, "bob", 0));
    fails(scope, "bob", LOCKOUT_FAILURES - 1, 0);
    assert_false(locked(scope, "bob", 0));
}

/* A flood of names takes the places of those that are not locked out first. */
static void a_flood_frees_nobody(void **state)
{
    (void)state;
    char name[32];
    fails(scope, "bob", LOCKOUT_FAILURES, 1000);
    for (unsigned i = 0; i < 4 * LOCKOUT_NAMES; i++) {
        (void)snprintf(name, sizeof name, "flood%u", i);
        fails(scope, name, 1, 2000);
    }
    assert_true(locked(scope, "bob", 3000));
}

/* More locked out than there are places: who has the least to wait is let in. */
static void more_than_there_are_places(void **state)
{
    (void)state;
    char name[32];
    unsigned kept = 0;
    for (unsigned i = 0; i < 2 * LOCKOUT_NAMES; i++) {
        (void)snprintf(name, sizeof name, "flood%u", i);
        fails(scope, name, LOCKOUT_FAILURES, i);
        if (!locked(scope, name, i))
            fail_msg("%s is not locked out", name);
    }
    for (unsigned i = 0; i < 2 * LOCKOUT_NAMES; i++) {
        (void)snprintf(name, sizeof name, "flood%u", i);
        kept += locked(scope, name, 2 * LOCKOUT_NAMES);
    }
    assert_true(kept > LOCKOUT_NAMES * 9 / 10 && kept <= LOCKOUT_NAMES);
    for (unsigned i = 2 * LOCKOUT_NAMES - 256; i < 2 * LOCKOUT_NAMES; i++) {
        (void)snprintf(name, sizeof name, "flood%u", i);
        assert_true(locked(scope, name, 2 * LOCKOUT_NAMES));
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make, end)
    const struct CMUnitTest tests[] = {
        TEST(five_within_a_quarter),
        TEST(they_count_again_from_the_first),
        TEST(what_comes_meanwhile_is_not_counted),
        TEST(a_success_forgets),
        TEST(a_flood_frees_nobody),
        TEST(more_than_there_are_places),
    };
    return cmocka_run_group_tests_name("lockout", tests, NULL, NULL);
}
