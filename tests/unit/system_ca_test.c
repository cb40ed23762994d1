/* lib/system_ca.h: the whole file arrives; what cannot be written, or is not there, is said. */
#include "lib/system_ca.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/cleanup.h"

static void all_of_it_is_copied(void **state)
{
    (void)state;
    kt_autoclose int from = open(KT_SYSTEM_CA, O_RDONLY | O_CLOEXEC);
    kt_autoclose int to = memfd_create("ca", MFD_CLOEXEC);
    struct stat wanted = {.st_size = 0}, got;
    assert_int_equal(kt_system_ca_copy(to), from >= 0);
    assert_true(from < 0 || fstat(from, &wanted) == 0);
    assert_int_equal(fstat(to, &got), 0);
    assert_int_equal(got.st_size, wanted.st_size);
    size_t size = (size_t)wanted.st_size;
    void *a = size == 0 ? NULL : mmap(NULL, size, PROT_READ, MAP_PRIVATE, from, 0);
    void *b = size == 0 ? NULL : mmap(NULL, size, PROT_READ, MAP_PRIVATE, to, 0);
    assert_true(a != MAP_FAILED && b != MAP_FAILED);
    if (size > 0) {
        assert_memory_equal(a, b, size);
        assert_int_equal(munmap(a, size), 0);
        assert_int_equal(munmap(b, size), 0);
    }
}

static void what_cannot_be_written_is_said(void **state)
{
    (void)state;
    kt_autoclose int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(full >= 0);
    assert_false(kt_system_ca_copy(full));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_it_is_copied),
        cmocka_unit_test(what_cannot_be_written_is_said),
    };
    return cmocka_run_group_tests_name("system_ca", tests, NULL, NULL);
}
