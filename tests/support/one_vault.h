/* tests/support/one_vault.h - a test program whose cases each have a vault of their own, one at a time.
 *
 * What:    The setup and teardown of a case, and the vault that it asks; KV at secret/.
 * Owner:   the case, from make() to end().
 * Threads: one test at a time. */
#pragma once

#include "tests/support/vault.h"

static struct test_vault *vault;

static inline int make(void **state)
{
    *state = vault = test_vault_new(true);
    return 0;
}

static inline int end(void **state)
{
    test_vault_free(*state);
    return 0;
}
