/* The statements of the MariaDB driver, letter by letter: names and hosts cannot break out of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/driver/maria_statement.h"
#include "lib/secret.h"

static const struct kt_mariadb_hashes hashes[] = {
    {.native = "*0123456789ABCDEF0123456789ABCDEF01234567",
     .ed25519 = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"},
    {.native = "*76543210FEDCBA9876543210FEDCBA9876543210",
     .ed25519 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnop1"},
};

static struct maria_account account_of(const char *name, const char *host, const char *plugin)
{
    return (struct maria_account){
        .name = name,
        .entries = {{.host = host, .plugin = plugin, .others = "", .role = ""}},
        .n = 1,
    };
}

static void quoting(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", "''"},
        {"app", "'app'"},
        {"o'brien", "'o''brien'"},
        {"''", "''''''"},
        {"a\\", "'a\\'"}, /* of no meaning: NO_BACKSLASH_ESCAPES */
        {"a\\'; DROP USER root; -- ", "'a\\''; DROP USER root; -- '"},
        {"`\"%_", "'`\"%_'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        kt_autobuf struct kt_buf out;
        kt_buf_init(&out, 100);
        kt_maria_quote(&out, rows[i][0]);
        assert_string_equal(kt_buf_text(&out), rows[i][1]);
    }
}

static void each_entry_by_its_plugin(void **state)
{
    (void)state;
    struct maria_account account = account_of("it's", "%", "");
    account.entries[1] = (struct maria_entry){.host = "10.0.'.%", .plugin = "ed25519", .others = ""};
    account.entries[2] =
        (struct maria_entry){.host = "db", .plugin = "mysql_native_password", .others = ""};
    account.n = 3;
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 2000);
    kt_maria_set_hashes(&account, hashes, 1, &out);
    assert_string_equal(
        kt_buf_text(&out),
        "ALTER USER 'it''s'@'%' IDENTIFIED VIA mysql_native_password USING "
        "'*0123456789ABCDEF0123456789ABCDEF01234567', 'it''s'@'10.0.''.%' IDENTIFIED VIA ed25519 "
        "USING 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ', 'it''s'@'db' IDENTIFIED VIA "
        "mysql_native_password USING '*0123456789ABCDEF0123456789ABCDEF01234567' ACCOUNT UNLOCK");
    kt_buf_reset(&out);
    kt_maria_name_all(&account, "GRANT 'r' TO", &out);
    assert_string_equal(kt_buf_text(&out), "GRANT 'r' TO 'it''s'@'%', 'it''s'@'10.0.''.%', 'it''s'@'db'");
}

static void two_passwords(void **state)
{
    (void)state;
    struct maria_account account = account_of("a", "%", "mysql_native_password");
    account.entries[1] = (struct maria_entry){.host = "db", .plugin = "ed25519", .others = ""};
    account.n = 2;
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 1000);
    kt_maria_set_hashes(&account, hashes, 2, &out);
    assert_string_equal(
        kt_buf_text(&out),
        "ALTER USER 'a'@'%' IDENTIFIED VIA mysql_native_password USING "
        "'*0123456789ABCDEF0123456789ABCDEF01234567' OR mysql_native_password USING "
        "'*76543210FEDCBA9876543210FEDCBA9876543210', 'a'@'db' IDENTIFIED VIA ed25519 USING "
        "'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ' OR ed25519 USING "
        "'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnop1' ACCOUNT UNLOCK");
}

static void retired_accepts_nothing(void **state)
{
    (void)state;
    struct maria_account native = account_of("a", "%", "mysql_native_password");
    struct maria_account key = account_of("a", "%", "ed25519");
    kt_autobuf struct kt_buf out, again;
    kt_buf_init(&out, 1000);
    kt_buf_init(&again, 1000);
    kt_maria_retire(&native, &out);
    assert_string_equal(kt_buf_text(&out), "ALTER USER 'a'@'%' IDENTIFIED VIA mysql_native_password "
                                           "USING 'invalid' ACCOUNT LOCK");
    kt_buf_reset(&out);
    kt_maria_retire(&key, &out);
    kt_maria_retire(&key, &again);
    static const char begins[] = "ALTER USER 'a'@'%' IDENTIFIED VIA ed25519 USING '";
    assert_memory_equal(kt_buf_text(&out), begins, sizeof begins - 1);
    assert_string_equal(kt_buf_text(&out) + sizeof begins - 1 + 43, "' ACCOUNT LOCK");
    assert_string_not_equal(kt_buf_text(&out), kt_buf_text(&again));
}

static void foreign_ways_in_are_seen(void **state)
{
    (void)state;
    static const struct {
        const char *plugin, *others;
        bool foreign;
    } rows[] = {
        {"", "", false},
        {"ed25519", "", false},
        {"mysql_native_password", "[\"ed25519\"]", false},
        {"mysql_native_password", "[\"mysql_native_password\", \"ed25519\"]", false},
        {"unix_socket", "", true},
        {"mysql_native_password", "[\"unix_socket\"]", true},
        {"mysql_native_password", "[\"ed25519\", \"pam\"]", true},
        {"mysql_native_passwor", "", true},
        {"mysql_native_password", "[\"ed25519x\"]", true},
        {"mysql_native_password", "[\"", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct maria_account account = account_of("a", "%", rows[i].plugin);
        account.entries[0].others = rows[i].others;
        if ((kt_maria_foreign(&account) != NULL) != rows[i].foreign)
            fail_msg("row %zu", i);
    }
}

static void too_much_does_not_fit(void **state)
{
    (void)state;
    struct maria_account account = account_of("a", "%", "");
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 60);
    kt_maria_set_hashes(&account, hashes, 1, &out);
    assert_false(kt_buf_ok(&out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quoting),
        cmocka_unit_test(each_entry_by_its_plugin),
        cmocka_unit_test(two_passwords),
        cmocka_unit_test(retired_accepts_nothing),
        cmocka_unit_test(foreign_ways_in_are_seen),
        cmocka_unit_test(too_much_does_not_fit),
    };
    return kt_secret_init(NULL) != KT_OK ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
