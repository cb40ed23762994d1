/* What a MariaDB server stores of a password, against values that the server itself made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/bytes.h"
#include "lib/mariadb_hash.h"
#include "lib/secret.h"

#define NATIVE_ONE  "*74445CD742AF268FD22866DA0D12758951D638F7"
#define ED25519_ONE "QMFUGXXbqUn9JtkZDNkF1tCJAp89yvS5IrjGlW4yCoI"

/* SELECT PASSWORD('one'), ed25519_password('one') of a server 10.11. */
static void known_answers(void **state)
{
    (void)state;
    char made[KT_MARIADB_PUBLIC_TEXT];
    assert_int_equal(kt_mariadb_public(kt_str("one"), made, NULL), KT_OK);
    assert_string_equal(made, NATIVE_ONE " " ED25519_ONE);
    struct kt_mariadb_hashes hashes;
    assert_true(kt_mariadb_split(kt_str(made), &hashes));
    assert_string_equal(hashes.native, NATIVE_ONE);
    assert_string_equal(hashes.ed25519, ED25519_ONE);
}

static void other_forms_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        NATIVE_ONE,
        ED25519_ONE,
        NATIVE_ONE " ",
        NATIVE_ONE "  " ED25519_ONE,
        " " NATIVE_ONE " " ED25519_ONE,
        NATIVE_ONE " " ED25519_ONE " ",
        NATIVE_ONE " " ED25519_ONE "=",
        "*74445cd742af268fd22866da0d12758951d638f7 " ED25519_ONE,
        "*74445CD742AF268FD22866DA0D12758951D638F' " ED25519_ONE,
        NATIVE_ONE " QMFUGXXbqUn9JtkZDNkF1tCJAp89yvS5IrjGlW4yCo'",
        NATIVE_ONE " QMFUGXXbqUn9JtkZDNkF1tCJAp89yvS5IrjGlW4yCo\n",
        "SCRAM-SHA-256$4096:AAECAwQFBgcICQoLDA0ODw==$yERwYmHlx0VrpoYfOn54hMTjBUKWnmK42IDjnWgQWkk=:x",
    };
    struct kt_mariadb_hashes hashes = {.native = "kept"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (kt_mariadb_split(kt_str(bad[i]), &hashes))
            fail_msg("taken: %s", bad[i]);
    assert_string_equal(hashes.native, "kept");
}

static void passwords_are_bounded(void **state)
{
    (void)state;
    char made[KT_MARIADB_PUBLIC_TEXT], longest[1026];
    struct kt_err err = {0};
    memset(longest, 'x', sizeof longest);
    assert_int_equal(kt_mariadb_public(kt_bytes(longest, 1024), made, NULL), KT_OK);
    assert_int_equal(kt_mariadb_public(kt_bytes(longest, 1025), made, &err), KT_INVALID);
    assert_int_equal(kt_mariadb_public(kt_str(""), made, &err), KT_INVALID);
    assert_int_equal(kt_mariadb_public(kt_str("tab\t"), made, &err), KT_INVALID);
    assert_int_equal(kt_mariadb_public(kt_str("\xc3\xa4"), made, &err), KT_INVALID);
    assert_null(strstr(err.what, "\xc3\xa4"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(other_forms_are_refused),
        cmocka_unit_test(passwords_are_bounded),
    };
    return kt_secret_init(NULL) != KT_OK ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
