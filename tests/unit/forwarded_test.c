/* Whose request a proxy hands on: which address of X-Forwarded-For counts, and whose word it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vaultd/http/forwarded.h"

#define PROXY "10.0.0.7"
#define ELSEWHERE "192.0.2.9"

static const struct row {
    const char *name, *peer;
    const char *lines[3]; /* NULL ends */
    unsigned skips;
    bool absent_is_fine, stranger_is_fine;
    const char *wanted; /* the address ... */
    const char *says;   /* ... or of the refusal */
} rows[] = {
    {"one address", PROXY, {"192.0.2.1"}, 0, false, false, "192.0.2.1", NULL},
    {"the last one", PROXY, {"198.51.100.1, 192.0.2.1"}, 0, false, false, "192.0.2.1", NULL},
    {"of the last line", PROXY, {"198.51.100.1", "192.0.2.1"}, 0, false, false, "192.0.2.1", NULL},
    {"one proxy more", PROXY, {"6.6.6.6, 192.0.2.1, 10.0.0.9"}, 1, false, false, "192.0.2.1", NULL},
    {"over two lines", PROXY, {"6.6.6.6, 192.0.2.1", "10.0.0.9"}, 1, false, false, "192.0.2.1", NULL},
    {"blanks", PROXY, {" \t192.0.2.1\t "}, 0, false, false, "192.0.2.1", NULL},
    {"IPv6", PROXY, {"2001:DB8:0::1"}, 0, false, false, "2001:db8::1", NULL},
    {"IPv4 in IPv6 is IPv4", PROXY, {"::ffff:192.0.2.1"}, 0, false, false, "192.0.2.1", NULL},
    {"from a block of IPv6", "fd00::5", {"192.0.2.1"}, 0, false, false, "192.0.2.1", NULL},
    {"absent", PROXY, {NULL}, 0, false, false, NULL, "missing x-forwarded-for header"},
    {"absent, and fine", PROXY, {NULL}, 0, true, false, PROXY, NULL},
    {"absent, from elsewhere", ELSEWHERE, {NULL}, 0, true, false, ELSEWHERE, NULL},
    {"a stranger's word", ELSEWHERE, {"127.0.0.1"}, 0, false, false, NULL, "not authorized for x-forwarded-for"},
    {"a stranger's word is none", ELSEWHERE, {"127.0.0.1"}, 0, false, true, ELSEWHERE, NULL},
    {"fewer than proxies", PROXY, {"192.0.2.1"}, 1, false, false, NULL, "would skip before earliest"},
    {"empty", PROXY, {""}, 0, false, false, NULL, "no address where one is due"},
    {"an empty end", PROXY, {"192.0.2.1,"}, 0, false, false, NULL, "no address where one is due"},
    {"a name", PROXY, {"client.example"}, 0, false, false, NULL, "no address where one is due"},
    {"a block", PROXY, {"192.0.2.0/24"}, 0, false, false, NULL, "no address where one is due"},
    {"a port", PROXY, {"192.0.2.1:80"}, 0, false, false, NULL, "no address where one is due"},
    {"what is before it does not matter", PROXY, {"unknown, 192.0.2.1"}, 0, false, false, "192.0.2.1", NULL},
    {"over the Unix socket", "unix", {"192.0.2.1"}, 0, false, true, "unix", NULL},
};

static void add(struct forwarded_rules *rules, const char *block)
{
    assert_true(kt_cidr_parse(kt_str(block), &rules->trusted.at[rules->trusted.n]));
    rules->trusted.n++;
}

static void counts(void **state)
{
    const struct row *row = *state;
    struct forwarded_rules rules = {.hop_skips = row->skips,
                                    .refuse_absent = !row->absent_is_fine,
                                    .refuse_stranger = !row->stranger_is_fine};
    struct kt_bytes lines[3];
    unsigned n = 0;
    char got[FORWARDED_ADDRESS] = "";
    add(&rules, "10.0.0.0/29");
    add(&rules, "fd00::/8");
    for (; n < 3 && row->lines[n] != NULL; n++)
        lines[n] = kt_str(row->lines[n]);
    const char *refusal = forwarded_client(&rules, lines, n, row->peer, got);
    if ((refusal == NULL) != (row->says == NULL) || (refusal != NULL && strstr(refusal, row->says) == NULL))
        fail_msg("expected '%s', got '%s'", row->says, refusal);
    if (refusal == NULL)
        assert_string_equal(got, row->wanted);
}

static void without_rules_nobody_is_believed(void **state)
{
    (void)state;
    const struct forwarded_rules rules = {.refuse_absent = true, .refuse_stranger = true};
    const struct kt_bytes line = kt_str("127.0.0.1");
    char got[FORWARDED_ADDRESS] = "";
    assert_null(forwarded_client(&rules, &line, 1, ELSEWHERE, got));
    assert_string_equal(got, ELSEWHERE);
    assert_null(forwarded_client(&rules, NULL, 0, ELSEWHERE, got));
    assert_string_equal(got, ELSEWHERE);
}

static void too_many_lines(void **state)
{
    (void)state;
    struct forwarded_rules rules = {.refuse_absent = true, .refuse_stranger = true};
    struct kt_bytes lines[FORWARDED_LINES];
    char got[FORWARDED_ADDRESS] = "";
    add(&rules, PROXY);
    for (unsigned i = 0; i < FORWARDED_LINES; i++)
        lines[i] = kt_str("192.0.2.1");
    assert_null(forwarded_client(&rules, lines, FORWARDED_LINES, PROXY, got));
    assert_non_null(forwarded_client(&rules, lines, FORWARDED_LINES + 1, PROXY, got));
}

int main(void)
{
    enum { N = sizeof rows / sizeof rows[0] };
    struct CMUnitTest tests[N + 2] = {
        [N] = cmocka_unit_test(without_rules_nobody_is_believed),
        [N + 1] = cmocka_unit_test(too_many_lines),
    };
    for (size_t i = 0; i < N; i++) {
        union {
            const struct row *row;
            void *state;
        } initial = {.row = &rows[i]};
        tests[i] = (struct CMUnitTest){
            .name = rows[i].name, .test_func = counts, .initial_state = initial.state};
    }
    return cmocka_run_group_tests_name("forwarded", tests, NULL, NULL);
}
