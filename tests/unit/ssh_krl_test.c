#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/failpoint.h"
#include "lib/ssh_krl.h"

static const uint64_t serials[] = {42, 1, UINT64_MAX};
static const struct kt_ssh_krl_part parts[] = {
    {.authority = {1, 2, 3}, .serials = serials, .n = 3},
    {.authority = {4, 5, 6}, .serials = serials, .n = 0},
};
static const struct kt_ssh_krl krl = {.parts = parts, .n = 2, .version = 7, .made_s = 1767225600};

static void written(struct kt_buf *out)
{
    kt_buf_init(out, 4096);
    assert_int_equal(kt_ssh_krl_write(&krl, out, NULL), KT_OK);
    assert_memory_equal(out->at, "SSHKRL\n", 8);
}

/* What sshd would take for "nothing is revoked", or refuse everybody for. */
static void no_cut_list_passes(void **state)
{
    (void)state;
    kt_autobuf struct kt_buf all = {0};
    written(&all);
    for (size_t len = 0; len < all.len; len++)
        assert_int_equal(kt_ssh_krl_check(kt_bytes(all.at, len), &krl, NULL), KT_INVALID);
    assert_int_equal(kt_ssh_krl_check(kt_buf_bytes(&all), &krl, NULL), KT_OK);
    kt_buf_add_u8(&all, 0);
    assert_int_equal(kt_ssh_krl_check(kt_buf_bytes(&all), &krl, NULL), KT_INVALID);
}

static void no_changed_list_passes(void **state)
{
    (void)state;
    kt_autobuf struct kt_buf all = {0};
    written(&all);
    for (size_t i = 0; i < all.len; i++) {
        all.at[i] ^= 1;
        assert_int_equal(kt_ssh_krl_check(kt_buf_bytes(&all), &krl, NULL), KT_INVALID);
        all.at[i] ^= 1;
    }
}

static void another_list_does_not_pass(void **state)
{
    (void)state;
    kt_autobuf struct kt_buf all = {0};
    const uint64_t more[] = {42, 1, UINT64_MAX, 9};
    struct kt_ssh_krl_part others[] = {parts[0], parts[1]};
    struct kt_ssh_krl other = {.parts = others, .n = 2, .version = 7, .made_s = krl.made_s};
    written(&all);
    assert_int_equal(kt_ssh_krl_check(kt_buf_bytes(&all), &other, NULL), KT_OK);
    others[0].serials = more;
    others[0].n = 4;
    assert_int_equal(kt_ssh_krl_check(kt_buf_bytes(&all), &other, NULL), KT_INVALID);
    others[0].n = 2;
    assert_int_equal(kt_ssh_krl_check(kt_buf_bytes(&all), &other, NULL), KT_INVALID);
    others[0].n = 3;
    other.n = 1;
    assert_int_equal(kt_ssh_krl_check(kt_buf_bytes(&all), &other, NULL), KT_INVALID);
}

#ifdef KT_FAULT
static void memory_that_runs_out_is_told(void **state)
{
    (void)state;
    unsigned long nth = 0;
    for (enum kt_kind kind = KT_NO_MEMORY; kind != KT_OK;) {
        kt_autobuf struct kt_buf all;
        kt_buf_init(&all, 4096);
        (void)kt_fail_allocation(++nth);
        kind = kt_ssh_krl_write(&krl, &all, NULL);
        (void)kt_fail_allocation(0);
        if (kind != KT_OK)
            assert_int_equal(kind, KT_NO_MEMORY);
    }
    assert_in_range(nth, 4, 40);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_cut_list_passes),
        cmocka_unit_test(no_changed_list_passes),
        cmocka_unit_test(another_list_does_not_pass),
#ifdef KT_FAULT
        cmocka_unit_test(memory_that_runs_out_is_told),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
