/* tests/unit/driver_form_test.c - public parts: known ones, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/driver/form.h"
#include "lib/scram.h"

/* FIPS 180-4's example, "abc". */
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void sha256_is_the_known_one(void **state)
{
    (void)state;
    char text[DRIVER_FORM_TEXT];
    struct kt_err err = {0};
    assert_int_equal(kt_form_make(FORM_SHA256, kt_str("abc"), text, &err), KT_OK);
    assert_string_equal(text, ABC);
    assert_int_equal(kt_form_make(FORM_SHA256, kt_str(""), text, &err), KT_INVALID);
}

static void what_is_no_sha256(void **state)
{
    static const char *const bad[] = {
        "", "ba78", ABC "0",
        "BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "#a7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a\n",
    };
    (void)state;
    assert_true(kt_form_is(FORM_SHA256, kt_str(ABC)));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(kt_form_is(FORM_SHA256, kt_str(bad[i])));
}

static void every_form_knows_its_own(void **state)
{
    (void)state;
    for (unsigned form = 0; form < DRIVER_FORM_COUNT; form++) {
        char text[DRIVER_FORM_TEXT];
        assert_int_equal(kt_form_make((enum driver_form)form, kt_str("k7Qw_9$~"), text, NULL),
                         KT_OK);
        for (unsigned other = 0; other < DRIVER_FORM_COUNT; other++)
            assert_int_equal(kt_form_is((enum driver_form)other, kt_str(text)), other == form);
    }
}

static void a_verifier_is_of_its_password(void **state)
{
    (void)state;
    char text[DRIVER_FORM_TEXT];
    bool same = false;
    assert_int_equal(kt_form_make(FORM_SCRAM, kt_str("k7Qw_9$~"), text, NULL), KT_OK);
    assert_int_equal(kt_scram_matches(kt_str(text), kt_str("k7Qw_9$~"), &same, NULL), KT_OK);
    assert_true(same);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_is_the_known_one),
        cmocka_unit_test(what_is_no_sha256),
        cmocka_unit_test(every_form_knows_its_own),
        cmocka_unit_test(a_verifier_is_of_its_password),
    };
    return cmocka_run_group_tests_name("driver_form", tests, NULL, NULL);
}
