#include "vaultd/core/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define BLOCKS 20000u
#define BYTES  3000u
#define KEPT   50u /* one of so many is still in use afterwards */
#define MIB    ((size_t)1024 * 1024)

/* A sanitiser's allocator is not the one that this is about. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OTHER_ALLOCATOR true
#else
#define OTHER_ALLOCATOR false
#endif

static size_t resident(void)
{
    unsigned long size = 0, pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu %lu", &size, &pages), 2);
    (void)fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void take(unsigned char *blocks[BLOCKS])
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(BYTES);
        assert_non_null(blocks[i]);
        memset(blocks[i], 1, BYTES);
    }
}

static void give(unsigned char *blocks[BLOCKS])
{
    for (unsigned i = 0; i < BLOCKS; i++)
        if (i % KEPT != 0) {
            free(blocks[i]);
            blocks[i] = NULL;
        }
}

/* Twice: what was given back, used and freed once more is noticed again. */
static void what_lies_free_is_given_back(void **state)
{
    (void)state;
    static unsigned char *blocks[BLOCKS];
    struct heap heap = {0};
    if (OTHER_ALLOCATOR)
        skip();
    (void)heap_look(&heap);
    size_t begun = resident();
    for (int round = 0; round < 2; round++) {
        take(blocks);
        (void)heap_look(&heap);
        assert_true(resident() > begun + 40 * MIB);
        give(blocks);
        assert_true(heap_look(&heap));
        size_t left = resident();
        if (left > begun + 12 * MIB)
            fail_msg("%zu KiB are left of %zu", (left - begun) / 1024, (size_t)BLOCKS * BYTES / 1024);
        for (unsigned i = 0; i < BLOCKS; i++)
            free(blocks[i]);
        (void)heap_look(&heap);
    }
}

static void little_is_left_alone(void **state)
{
    (void)state;
    struct heap heap = {0};
    (void)heap_look(&heap);
    free(malloc(1000));
    assert_false(heap_look(&heap));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_lies_free_is_given_back),
        cmocka_unit_test(little_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
