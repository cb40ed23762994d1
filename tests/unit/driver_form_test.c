/* tests/unit/driver_form_test.c - public parts: known ones, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/driver/form.h"
#include "lib/random.h"
#include "lib/scram.h"
#include "lib/secret.h"

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

static void zeros(void *out, size_t len)
{
    memset(out, 0, len);
}

/* Computed by Python's hashlib: SHA-512 of "abc" and 16 zero bytes. */
#define SALTED "kp+jytqLW4Kj23O+2Y9libg56KbW4OV/Aja3yaljS4yahIs0abftlMoNnLyeSrMyeEPPJhHq7OkOEzHSlTSr7gAAAAAAAAAAAAAAAAAAAAA="

static void ssha512_is_the_known_one(void **state)
{
    static const char *const bad[] = {
        "", "{SSHA512}", "{SSHA512}zz", "{ssha512}" SALTED, SALTED, "{SSHA512}" SALTED "=", "{SSHA512} " SALTED,
    };
    (void)state;
    char text[DRIVER_FORM_TEXT], other[DRIVER_FORM_TEXT];
    struct kt_err err = {0};
    kt_random_source(zeros);
    enum kt_kind kind = kt_form_make(FORM_SSHA512, kt_str("abc"), text, &err);
    kt_random_source(NULL);
    assert_int_equal(kind, KT_OK);
    assert_string_equal(text, "{SSHA512}" SALTED);
    assert_true(kt_form_is(FORM_SSHA512, kt_str(text)));
    assert_false(kt_form_is(FORM_SSHA512, kt_bytes(text, strlen(text) - 1)));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(kt_form_is(FORM_SSHA512, kt_str(bad[i])));
    assert_int_equal(kt_form_make(FORM_SSHA512, kt_str("abc"), text, &err), KT_OK);
    assert_int_equal(kt_form_make(FORM_SSHA512, kt_str("abc"), other, &err), KT_OK);
    assert_string_not_equal(text, other); /* the salt */
    assert_int_equal(kt_form_make(FORM_SSHA512, kt_str(""), text, &err), KT_INVALID);
}

/* Made by ssh-keygen of OpenSSH 9.2. */
static const char private_key[] =
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n"
    "QyNTUxOQAAACBeNvhk02lNgOuJc9K4Ov0OWAiD09N6SgwTpABVY+wdkQAAAIjN08pAzdPK\n"
    "QAAAAAtzc2gtZWQyNTUxOQAAACBeNvhk02lNgOuJc9K4Ov0OWAiD09N6SgwTpABVY+wdkQ\n"
    "AAAEBgQDfQTolNYioaYsplMp73zQlgioEyzC2nd98gULN8Q142+GTTaU2A64lz0rg6/Q5Y\n"
    "CIPT03pKDBOkAFVj7B2RAAAAAAECAwQF\n"
    "-----END OPENSSH PRIVATE KEY-----\n";
static const char public_key[] = 
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF42+GTTaU2A64lz0rg6/Q5YCIPT03pKDBOkAFVj7B2R";

static void every_form_knows_its_own(void **state)
{
    (void)state;
    for (unsigned form = 0; form < DRIVER_FORM_COUNT; form++) {
        char text[DRIVER_FORM_TEXT];
        const char *from = form == FORM_SSH ? private_key : "k7Qw_9$~";
        assert_int_equal(kt_form_make((enum driver_form)form, kt_str(from), text, NULL), KT_OK);
        for (unsigned other = 0; other < DRIVER_FORM_COUNT; other++)
            assert_int_equal(kt_form_is((enum driver_form)other, kt_str(text)), other == form);
    }
}

static void a_key_is_the_one_of_its_private_half(void **state)
{
    (void)state;
    char text[DRIVER_FORM_TEXT];
    static const char *const bad[] = {"", "k7Qw_9$~", "ssh-ed25519", "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7"};
    assert_int_equal(kt_form_make(FORM_SSH, kt_str(private_key), text, NULL), KT_OK);
    assert_string_equal(text, public_key);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(kt_form_make(FORM_SSH, kt_str(bad[i]), text, NULL), KT_INVALID);
        assert_false(kt_form_is(FORM_SSH, kt_str(bad[i])));
    }
    (void)snprintf(text, sizeof(text), "%s ", public_key);
    assert_false(kt_form_is(FORM_SSH, kt_str(text)));
    (void)snprintf(text, sizeof(text), "%s\n", public_key);
    assert_false(kt_form_is(FORM_SSH, kt_str(text)));
    (void)snprintf(text, sizeof(text), "%s a comment", public_key);
    assert_false(kt_form_is(FORM_SSH, kt_str(text)));
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
    if (kt_secret_init(NULL) != KT_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_is_the_known_one),
        cmocka_unit_test(what_is_no_sha256),
        cmocka_unit_test(ssha512_is_the_known_one),
        cmocka_unit_test(every_form_knows_its_own),
        cmocka_unit_test(a_key_is_the_one_of_its_private_half),
        cmocka_unit_test(a_verifier_is_of_its_password),
    };
    return cmocka_run_group_tests_name("driver_form", tests, NULL, NULL);
}
