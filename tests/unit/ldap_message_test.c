/* tests/unit/ldap_message_test.c - LDAP's requests to the byte, what is an answer and what is none, and which
 * names have one spelling. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/driver/ldap_message.h"
#include "lib/driver/ldap_name.h"

#define ROW(text)   {(const unsigned char *)(text), sizeof(text) - 1}
#define BYTES(text) ((struct kt_bytes)ROW(text))

static void what_is_whole(void **state)
{
    static const struct {
        struct kt_bytes bytes;
        enum ber_state state;
        size_t len;
    } rows[] = {
        {ROW("\x30\x00"), BER_WHOLE, 2},
        {ROW("\x30\x03\x02\x01\x05"), BER_WHOLE, 5},
        {ROW("\x30\x03\x02\x01\x05\x30"), BER_WHOLE, 5},
        {ROW("\x30\x81\x01x"), BER_WHOLE, 4},
        {ROW("\x30\x84\x00\x00\x00\x01x"), BER_WHOLE, 7},
        {ROW(""), BER_MORE, 0},
        {ROW("\x30"), BER_MORE, 0},
        {ROW("\x30\x01"), BER_MORE, 0},
        {ROW("\x30\x82\x00"), BER_MORE, 0},
        {ROW("\x30\x84\x00\x10\x00\x00"), BER_MORE, 0},
        {ROW("\x30\x80\x00\x00"), BER_BAD, 0},
        {ROW("\x30\x85\x00\x00\x00\x00\x01x"), BER_BAD, 0},
        {ROW("\x30\x84\x00\x10\x00\x01"), BER_BAD, 0},
        {ROW("\x30\x84\xff\xff\xff\xff"), BER_BAD, 0},
        {ROW("\x30\xff"), BER_BAD, 0},
        {ROW("\x1f\x01x"), BER_BAD, 0},
        {ROW("\x3f"), BER_BAD, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t len = 0;
        if (kt_ber_whole(rows[i].bytes, &len) != rows[i].state || len != rows[i].len)
            fail_msg("row %zu", i);
    }
}

static void numbers(void **state)
{
    static const struct {
        int32_t number;
        struct kt_bytes bytes;
    } rows[] = {
        {0, ROW("\x02\x84\0\0\0\x01\0")},
        {127, ROW("\x02\x84\0\0\0\x01\x7f")},
        {128, ROW("\x02\x84\0\0\0\x02\0\x80")},
        {-1, ROW("\x02\x84\0\0\0\x01\xff")},
        {-129, ROW("\x02\x84\0\0\0\x02\xff\x7f")},
        {INT32_MAX, ROW("\x02\x84\0\0\0\x04\x7f\xff\xff\xff")},
        {INT32_MIN, ROW("\x02\x84\0\0\0\x04\x80\0\0\0")},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        kt_autobuf struct kt_buf out;
        kt_buf_init(&out, 64);
        kt_ber_add_int(&out, BER_INTEGER, rows[i].number);
        struct kt_bytes rest = kt_buf_bytes(&out);
        int32_t number = 0;
        if (!kt_bytes_equal(rest, rows[i].bytes) || !kt_ber_take_int(&rest, BER_INTEGER, &number) ||
            number != rows[i].number || rest.len != 0)
            fail_msg("row %zu", i);
    }
    struct kt_bytes none = BYTES("\x02\x00"), five = BYTES("\x02\x05\0\0\0\0\x01"), text = BYTES("\x04\x01x");
    int32_t number = 7;
    assert_false(kt_ber_take_int(&none, BER_INTEGER, &number));
    assert_false(kt_ber_take_int(&five, BER_INTEGER, &number));
    assert_false(kt_ber_take_int(&text, BER_INTEGER, &number));
    assert_int_equal(number, 7);
    assert_int_equal(text.len, 3); /* nothing was taken */
}

/* The same as an encoder of the shortest lengths has it: each length here takes five bytes for one. */
static void assert_is(const struct kt_buf *out, struct kt_bytes wanted)
{
    unsigned char small[512];
    size_t n = 0;
    assert_true(kt_buf_ok(out));
    for (size_t i = 0; i < out->len; i++) {
        if (out->len - i >= 5 && memcmp(out->at + i, "\x84\0\0", 3) == 0) {
            i += 4; /* a length: left out on both sides */
            continue;
        }
        small[n++] = out->at[i];
    }
    assert_int_equal(n, wanted.len);
    assert_memory_equal(small, wanted.at, n);
}

static void requests(void **state)
{
    static const char *const names[] = {"1.1"};
    struct kt_bytes value = kt_str("v");
    kt_autobuf struct kt_buf out;
    (void)state;
    kt_buf_init(&out, 1024);
    kt_ldap_bind(1, "cn=a", kt_str("pw"), &out);
    assert_is(&out, BYTES("\x30\x02\x01\x60\x02\x03\x04"
                          "cn=a\x80"
                          "pw\xa0\x30\x04"
                          "1.3.6.1.4.1.42.2.27.8.5.1"));
    kt_buf_reset(&out);
    kt_ldap_unbind(2, &out);
    assert_is(&out, BYTES("\x30\x02\x02\x42"));
    kt_buf_reset(&out);
    kt_ldap_start_tls(1, &out);
    assert_is(&out, BYTES("\x30\x02\x01\x77\x80"
                          "1.3.6.1.4.1.1466.20037"));
    kt_buf_reset(&out);
    kt_ldap_modify(3, "cn=a", LDAP_DELETE, "p", &value, &out);
    assert_is(&out, BYTES("\x30\x02\x03\x66\x04"
                          "cn=a\x30\x30\x0a\x01\x30\x04p\x31\x04v"));
    kt_buf_reset(&out);
    kt_ldap_modify(3, "cn=a", LDAP_DELETE, "p", NULL, &out);
    assert_is(&out, BYTES("\x30\x02\x03\x66\x04"
                          "cn=a\x30\x30\x0a\x01\x30\x04p\x31"));
    kt_buf_reset(&out);
    kt_ldap_read(4, "", 1, names, &out);
    assert_is(&out, BYTES("\x30\x02\x04\x63\x04\x0a\0\x0a\0\x02\x01\x02\x1e\x01\0\x87objectClass\x30\x04"
                          "1.1"));
}

#define POLICY_OID "\x04\x19" "1.3.6.1.4.1.42.2.27.8.5.1"

/* slapd 2.5.13's. */
static void answers(void **state)
{
    static const struct {
        struct kt_bytes message;
        bool ok;
        unsigned op;
        int32_t id, result, policy;
        const char *text;
    } rows[] = {
        {ROW("\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04\0"), true, LDAP_BOUND, 1, 0, -1, ""},
        {ROW("\x30\x10\x02\x01\x02\x67\x0b\x0a\x01\x13\x04\0\x04\x04only"), true, LDAP_MODIFIED, 2, 19, -1,
         "only"},
        {ROW("\x30\x32\x02\x01\x01\x61\x07\x0a\x01\x31\x04\0\x04\0\xa0\x24\x30\x22" POLICY_OID
               "\x04\x05\x30\x03\x81\x01\x01"),
         true, LDAP_BOUND, 1, 49, LDAP_LOCKED, ""},
        /* a warning before the error */
        {ROW("\x30\x37\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04\0\xa0\x29\x30\x27" POLICY_OID
               "\x04\x0a\x30\x08\xa0\x03\x80\x01\x07\x81\x01\x02"),
         true, LDAP_BOUND, 1, 0, LDAP_MUST_CHANGE, ""},
        {ROW("\x30\x32\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04\0\xa0\x24\x30\x22" POLICY_OID
               "\x04\x05\x30\x03\xa0\x01\x01"),
         true, LDAP_BOUND, 1, 0, -1, ""},
        {ROW("\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04\x01"), false, 0, 0, 0, 0, NULL},
        {ROW("\x30\x0a\x02\x01\x01\x61\x05\x0a\x01\0\x04\0"), false, 0, 0, 0, 0, NULL},
        {ROW("\x30\x03\x02\x01\x01"), false, 0, 0, 0, 0, NULL},
        {ROW("\x30\x00"), false, 0, 0, 0, 0, NULL},
        {ROW("\x31\x0c\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04\0"), false, 0, 0, 0, 0, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ldap_answer got;
        bool ok = kt_ldap_answer(rows[i].message, &got);
        if (ok != rows[i].ok || (ok && (got.op != rows[i].op || got.id != rows[i].id ||
                                        got.result != rows[i].result || got.policy != rows[i].policy ||
                                        !kt_bytes_is(got.text, rows[i].text))))
            fail_msg("row %zu: %d, op %u id %d result %d policy %d", i, ok, got.op, got.id, got.result,
                     got.policy);
    }
}

static void logins_that_are_left(void **state)
{
    static const struct {
        struct kt_bytes message;
        int32_t grace;
    } rows[] = {
        {ROW("\x30\x34\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04\0\xa0\x26\x30\x24" POLICY_OID
               "\x04\x07\x30\x05\xa0\x03\x81\x01\x02"), 2},
        {ROW("\x30\x34\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04\0\xa0\x26\x30\x24" POLICY_OID
               "\x04\x07\x30\x05\xa0\x03\x80\x01\x02"), -1}, /* seconds until it expires */
        {ROW("\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04\0"), -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ldap_answer got;
        assert_true(kt_ldap_answer(rows[i].message, &got));
        if (got.grace != rows[i].grace || got.policy != LDAP_POLICY_NONE)
            fail_msg("row %zu: grace %d policy %d", i, got.grace, got.policy);
    }
}

static void an_entry(void **state)
{
    struct kt_bytes name, values, value;
    struct ldap_answer got;
    (void)state;
    assert_true(kt_ldap_answer(BYTES("\x30\x1a\x02\x01\x05\x64\x15\x04\x01n\x30\x10\x30\x09\x04\x01p\x31\x04"
                                     "\x04\x00\x04\x00\x30\x03\x04\x01q"),
                               &got));
    assert_int_equal(got.op, LDAP_ENTRY);
    assert_true(kt_ldap_attribute(&got.attributes, &name, &values));
    assert_true(kt_bytes_is(name, "p"));
    assert_true(kt_ber_take(&values, BER_OCTETS, &value) && kt_ber_take(&values, BER_OCTETS, &value));
    assert_false(kt_ber_take(&values, BER_OCTETS, &value));
    assert_false(kt_ldap_attribute(&got.attributes, &name, &values)); /* without values it is none */
}

static void names_in_one_spelling(void **state)
{
    static const struct {
        const char *name;
        bool plain;
    } rows[] = {
        {"", true},
        {"uid=app,ou=services,dc=example,dc=org", true},
        {"cn=order service 2,dc=example", true},
        {"cn=a\\,b\\\\c\\+d,dc=x", true},
        {"cn=c#,dc=x", true},
        {"cn=\xc3\xbc,dc=x", true},
        {"uid=App,dc=x", false},
        {"UID=app,dc=x", false},
        {"uid=app, dc=x", false},
        {"uid=app ,dc=x", false},
        {"uid= app,dc=x", false},
        {"uid =app,dc=x", false},
        {" uid=app", false},
        {"uid=app ", false},
        {"cn=order  service", false},
        {"cn=order\\ ", false},
        {"cn=\\61pp", false},
        {"cn=a\\2cb", false},
        {"cn=a\\=b", false},
        {"cn=a\\", false},
        {"cn=#0403617070", false},
        {"cn=\"app\"", false},
        {"uid=app;dc=x", false},
        {"cn=app+uid=x", false},
        {"cn=<a>", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (kt_ldap_name_is_plain(rows[i].name) != rows[i].plain)
            fail_msg("'%s': expected %d", rows[i].name, rows[i].plain);
}

static void names_folded(void **state)
{
    static const char *const rows[][2] = {
        {"uid=app,ou=services,dc=example", "uid=app,ou=services,dc=example"},
        {"CN=Admin, DC=Example , dc = org", "cn=admin,dc=example,dc=org"},
        {"  cn=order  service ", "cn=order service"},
        {"cn=a\\, b\\ ,dc=x", "cn=a\\, b\\ ,dc=x"},
        {"", ""},
        {"   ", ""},
    };
    char out[40];
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_true(kt_ldap_name_fold(rows[i][0], out, sizeof(out)));
        assert_string_equal(out, rows[i][1]);
    }
    assert_true(kt_ldap_name_fold("uid=app", out, 8));
    assert_false(kt_ldap_name_fold("uid=app", out, 7));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_whole), cmocka_unit_test(numbers),  cmocka_unit_test(requests),
        cmocka_unit_test(answers),       cmocka_unit_test(an_entry), cmocka_unit_test(names_in_one_spelling),
        cmocka_unit_test(logins_that_are_left), cmocka_unit_test(names_folded),
    };
    return cmocka_run_group_tests_name("ldap_message", tests, NULL, NULL);
}
