/* Blocks of addresses: what is one, and which addresses are in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/cidr.h"

enum in { NONE, IN, OUT }; /* NONE: it is no block */

/* clang-format off */
static const struct row {
    const char *cidr, *address;
    enum in in;
} rows[] = {
    {"10.0.0.0/8", "10.255.1.2", IN},          {"10.0.0.0/8", "11.0.0.0", OUT},
    {"10.1.2.3/8", "10.9.9.9", IN},            {"10.0.0.1", "10.0.0.1", IN},
    {"10.0.0.1", "10.0.0.2", OUT},             {"10.0.0.1/32", "10.0.0.1", IN},
    {"0.0.0.0/0", "255.255.255.255", IN},      {"0.0.0.0/0", "::1", OUT},
    {"192.168.4.0/22", "192.168.7.255", IN},   {"192.168.4.0/22", "192.168.8.0", OUT},
    {"192.168.4.0/31", "192.168.4.1", IN},     {"192.168.4.0/31", "192.168.4.2", OUT},
    {"::1", "::1", IN},                        {"::1", "::2", OUT},
    {"fd00::/8", "fdff::1", IN},               {"fd00::/8", "fe00::1", OUT},
    {"2001:db8::/33", "2001:db8:7fff::", IN},  {"2001:db8::/33", "2001:db8:8000::", OUT},
    {"fe80::/10", "fe80::1%eth0", IN},         {"::/0", "fe80::1", IN},
    {"::/0", "10.0.0.1", OUT},                 {"10.0.0.0/8", "::ffff:10.0.0.1", IN},
    {"::ffff:10.0.0.0/104", "10.1.1.1", IN},   {"::ffff:10.0.0.0/104", "11.1.1.1", OUT},
    {"::ffff:10.0.0.0/104", "::ffff:10.1.1.1", IN},
    {"10.0.0.0/8", "", OUT},                   {"10.0.0.0/8", "host", OUT},
    {"10.0.0.0/8", "10.0.0", OUT},             {"10.0.0.0/8", "10.0.0.1/8", OUT},
    {"", "10.0.0.1", NONE},                    {"/8", "10.0.0.1", NONE},
    {"10.0.0.0/", "10.0.0.1", NONE},           {"10.0.0.0/33", "10.0.0.1", NONE},
    {"10.0.0.0/-1", "10.0.0.1", NONE},         {"10.0.0.0/8/8", "10.0.0.1", NONE},
    {"10.0.0.0/ 8", "10.0.0.1", NONE},         {"10.0.0.0/+8", "10.0.0.1", NONE},
    {"10.0.0/8", "10.0.0.1", NONE},            {"10.0.0.256", "10.0.0.1", NONE},
    {"010.0.0.1", "10.0.0.1", NONE},           {"::/129", "::1", NONE},
    {"fe80::1%eth0", "fe80::1", NONE},         {"localhost", "127.0.0.1", NONE},
    {"1111111111111111111111111111111111111111111111111111111111111111", "1", NONE},
};
/* clang-format on */

static void holds(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *row = &rows[i];
        struct kt_cidr cidr;
        bool is = kt_cidr_parse(kt_str(row->cidr), &cidr);
        enum in got = !is ? NONE : kt_cidr_holds(&cidr, kt_str(row->address)) ? IN : OUT;
        if (got != row->in)
            fail_msg("'%s' in '%s': expected %d, got %d", row->address, row->cidr, row->in, got);
    }
}

static void a_nul_ends_nothing(void **state)
{
    (void)state;
    struct kt_cidr cidr;
    assert_false(kt_cidr_parse(kt_bytes("10.0.0.1\0/8", 11), &cidr));
    assert_true(kt_cidr_parse(kt_str("10.0.0.1"), &cidr));
    assert_false(kt_cidr_holds(&cidr, kt_bytes("10.0.0.1\0", 9)));
}

static void within(void **state)
{
    (void)state;
    static const struct {
        const char *inner, *outer;
        bool in;
    } pairs[] = {
        {"10.1.0.0/16", "10.0.0.0/8", true}, {"10.0.0.0/8", "10.1.0.0/16", false},
        {"10.0.0.0/8", "10.0.0.0/8", true},  {"11.0.0.0/16", "10.0.0.0/8", false},
        {"10.0.0.1", "::/0", false},         {"::1", "::/0", true},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct kt_cidr inner, outer;
        assert_true(kt_cidr_parse(kt_str(pairs[i].inner), &inner));
        assert_true(kt_cidr_parse(kt_str(pairs[i].outer), &outer));
        if (kt_cidr_within(&inner, &outer) != pairs[i].in)
            fail_msg("'%s' within '%s'", pairs[i].inner, pairs[i].outer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds),
        cmocka_unit_test(a_nul_ends_nothing),
        cmocka_unit_test(within),
    };
    return cmocka_run_group_tests_name("cidr", tests, NULL, NULL);
}
