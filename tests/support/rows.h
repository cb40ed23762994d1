/* tests/support/rows.h - a row a case: tables of cases as cmocka's tests.
 * Owner:   the rows stay the table's.
 * Threads: before the tests run. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Appends a test for each row behind the first n; a row begins with its name, and is the test's *state.
 * Returns how many there are then. */
static inline size_t add_rows(struct CMUnitTest *tests, size_t n, const void *rows, size_t count,
                              size_t size, CMUnitTestFunction test)
{
    for (size_t i = 0; i < count; i++) {
        uintptr_t row = (uintptr_t)rows + i * size;
        const char *name;
        memcpy(&name, (const void *)row, sizeof name);
        tests[n++] = (struct CMUnitTest){name, test, NULL, NULL, (void *)row};
    }
    return n;
}
