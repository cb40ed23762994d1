#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "lib/failpoint.h"
#include "lib/scram.h"

#define SALT   "AAECAwQFBgcICQoLDA0ODw=="
#define STORED "yERwYmHlx0VrpoYfOn54hMTjBUKWnmK42IDjnWgQWkk="
#define SERVER "RQZr9F8QCYmmp35tAVzp0VB/kDwY283N+s24jDDliG4="
#define GOOD   "SCRAM-SHA-256$4096:" SALT "$" STORED ":" SERVER

static const unsigned char salt[KT_SCRAM_SALT_BYTES] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                        8, 9, 10, 11, 12, 13, 14, 15};

/* Stored verbatim in PostgreSQL 15 it lets "correct horse" log in. */
static void known_answer(void **state)
{
    (void)state;
    char text[KT_SCRAM_VERIFIER_TEXT];
    assert_int_equal(kt_scram_verifier(kt_str("correct horse"), salt, 4096, text, NULL), KT_OK);
    assert_string_equal(text, GOOD);
    assert_int_equal(strlen(text), 133);
}

static void random_salts_differ_and_match(void **state)
{
    (void)state;
    char a[KT_SCRAM_VERIFIER_TEXT], b[KT_SCRAM_VERIFIER_TEXT];
    struct kt_bytes password = kt_str("k7Qw_9$~ ");
    assert_int_equal(kt_scram_verifier(password, NULL, 4096, a, NULL), KT_OK);
    assert_int_equal(kt_scram_verifier(password, NULL, 4097, b, NULL), KT_OK);
    assert_string_not_equal(a, b);
    bool matches = false;
    assert_true(kt_scram_is_verifier(kt_str(a)) && kt_scram_is_verifier(kt_str(b)));
    assert_int_equal(kt_scram_matches(kt_str(a), password, &matches, NULL), KT_OK);
    assert_true(matches);
    assert_int_equal(kt_scram_matches(kt_str(b), password, &matches, NULL), KT_OK);
    assert_true(matches);
    assert_int_equal(kt_scram_matches(kt_str(a), kt_str("k7Qw_9$~"), &matches, NULL), KT_OK);
    assert_false(matches);
}

static void most_iterations_fit(void **state)
{
    (void)state;
    char text[KT_SCRAM_VERIFIER_TEXT];
    struct kt_err err = {0};
    assert_int_equal(kt_scram_verifier(kt_str("x"), salt, 4095, text, &err), KT_INVALID);
    assert_int_equal(kt_scram_verifier(kt_str("x"), salt, 10000000, text, &err), KT_INVALID);
    assert_int_equal(kt_scram_verifier(kt_str("x"), salt, 10000, text, &err), KT_OK);
    assert_int_equal(strlen(text), 134);
    assert_true(kt_scram_is_verifier(kt_str(text)));
    assert_true(sizeof "SCRAM-SHA-256$9999999:" SALT "$" STORED ":" SERVER <= sizeof text);
}

static const struct password_row {
    const char *name, *password;
    size_t len;
} password_rows[] = {
    {"refuses an empty password", "", 0}, {"refuses a NUL", "a\0b", 3},
    {"refuses a newline", "ab\n", 3},     {"refuses DEL", "ab\x7f", 3},
    {"refuses UTF-8", "p\xc3\xa4ss", 5},  {"refuses latin-1", "p\xe4ss", 4},
};

static void refuses_password(void **state)
{
    const struct password_row *row = *state;
    char text[KT_SCRAM_VERIFIER_TEXT] = "untouched";
    struct kt_err err = {0};
    assert_int_equal(kt_scram_verifier(kt_bytes(row->password, row->len), salt, 4096, text, &err),
                     KT_INVALID);
    assert_string_equal(text, "untouched");
    assert_non_null(strstr(err.hint, "generate"));
}

static void refuses_long_passwords(void **state)
{
    (void)state;
    char password[1025], text[KT_SCRAM_VERIFIER_TEXT];
    memset(password, 'x', sizeof password);
    assert_int_equal(kt_scram_verifier(kt_bytes(password, 1024), salt, 4096, text, NULL), KT_OK);
    assert_int_equal(kt_scram_verifier(kt_bytes(password, 1025), salt, 4096, text, NULL),
                     KT_INVALID);
}

/* What PostgreSQL would take for a password, and hash, or store although no login can succeed. */
static const struct form_row {
    const char *name, *text;
    bool good;
} form_rows[] = {
    {"form: good", GOOD, true},
    {"form: 7 digits", "SCRAM-SHA-256$9999999:" SALT "$" STORED ":" SERVER, true},
    {"form: empty", "", false},
    {"form: 8 digits", "SCRAM-SHA-256$10000000:" SALT "$" STORED ":" SERVER, false},
    {"form: 3 digits", "SCRAM-SHA-256$409:" SALT "$" STORED ":" SERVER, false},
    {"form: 0 iterations", "SCRAM-SHA-256$0:" SALT "$" STORED ":" SERVER, false},
    {"form: leading zero", "SCRAM-SHA-256$04096:" SALT "$" STORED ":" SERVER, false},
    {"form: sign", "SCRAM-SHA-256$+4096:" SALT "$" STORED ":" SERVER, false},
    {"form: lower case", "scram-sha-256$4096:" SALT "$" STORED ":" SERVER, false},
    {"form: SHA-1", "SCRAM-SHA-1$4096:" SALT "$" STORED ":" SERVER, false},
    {"form: $ for :", "SCRAM-SHA-256$4096$" SALT "$" STORED ":" SERVER, false},
    {"form: : for $", "SCRAM-SHA-256$4096:" SALT ":" STORED ":" SERVER, false},
    {"form: $ between the keys", "SCRAM-SHA-256$4096:" SALT "$" STORED "$" SERVER, false},
    {"form: leading blank", " " GOOD, false},
    {"form: trailing blank", GOOD " ", false},
    {"form: trailing newline", GOOD "\n", false},
    {"form: one key", "SCRAM-SHA-256$4096:" SALT "$" STORED, false},
    {"form: key without padding",
     "SCRAM-SHA-256$4096:" SALT "$" STORED ":RQZr9F8QCYmmp35tAVzp0VB/kDwY283N+s24jDDliG4", false},
    {"form: key of 33 bytes",
     "SCRAM-SHA-256$4096:" SALT "$" STORED ":RQZr9F8QCYmmp35tAVzp0VB/kDwY283N+s24jDDliG4A", false},
    {"form: URL alphabet",
     "SCRAM-SHA-256$4096:" SALT "$" STORED ":RQZr9F8QCYmmp35tAVzp0VB_kDwY283N-s24jDDliG4=", false},
    {"form: salt of 15 bytes", "SCRAM-SHA-256$4096:AAECAwQFBgcICQoLDA0O$" STORED ":" SERVER, false},
    {"form: salt without padding", "SCRAM-SHA-256$4096:AAECAwQFBgcICQoLDA0ODw$" STORED ":" SERVER,
     false},
    {"form: md5", "md5d41d8cd98f00b204e9800998ecf8427e", false},
};

static void has_form(void **state)
{
    const struct form_row *row = *state;
    assert_int_equal(kt_scram_is_verifier(kt_str(row->text)), row->good);
    bool matches = true;
    if (!row->good)
        assert_int_equal(kt_scram_matches(kt_str(row->text), kt_str("x"), &matches, NULL),
                         KT_INVALID);
}

/* No byte may be left out, doubled or changed to one outside the form. */
static void every_byte_counts(void **state)
{
    (void)state;
    const size_t len = sizeof GOOD - 1;
    char text[sizeof GOOD + 1];
    for (size_t at = 0; at < len; at++) {
        memcpy(text, GOOD, sizeof GOOD);
        text[at] = '*';
        assert_false(kt_scram_is_verifier(kt_bytes(text, len)));
        text[at] = '\0';
        assert_false(kt_scram_is_verifier(kt_bytes(text, len)));
        memcpy(text, GOOD, at);
        memcpy(text + at, &GOOD[at + 1], sizeof GOOD - at - 1);
        assert_false(kt_scram_is_verifier(kt_bytes(text, len - 1)));
        assert_false(kt_scram_is_verifier(kt_bytes(GOOD, at)));
    }
}

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

int main(void)
{
    static const struct CMUnitTest plain[] = {
        cmocka_unit_test(known_answer),        cmocka_unit_test(random_salts_differ_and_match),
        cmocka_unit_test(most_iterations_fit), cmocka_unit_test(refuses_long_passwords),
        cmocka_unit_test(every_byte_counts),
    };
    static struct CMUnitTest tests[COUNT(plain) + COUNT(password_rows) + COUNT(form_rows)];
    size_t n = 0;
    if (sodium_init() < 0)
        return 1;
    for (size_t i = 0; i < COUNT(plain); i++)
        tests[n++] = plain[i];
    for (size_t i = 0; i < COUNT(password_rows); i++)
        tests[n++] = (struct CMUnitTest){password_rows[i].name, refuses_password, NULL, NULL,
                                         (void *)(uintptr_t)&password_rows[i]};
    for (size_t i = 0; i < COUNT(form_rows); i++)
        tests[n++] = (struct CMUnitTest){form_rows[i].name, has_form, NULL, NULL,
                                         (void *)(uintptr_t)&form_rows[i]};
    return cmocka_run_group_tests_name("scram", tests, NULL, NULL);
}
