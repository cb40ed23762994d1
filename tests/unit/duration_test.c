#include "lib/duration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

/* ms of a refused text */
#define NO UINT64_MAX

// clang-format off
static const struct row { const char *name, *text; uint64_t ms; } rows[] = {
    { "bare number is seconds",      "90",                   90000 },
    { "zero",                        "0",                    0 },
    { "leading zeros",               "007",                  7000 },
    { "seconds",                     "90s",                  90000 },
    { "minutes",                     "5m",                   300000 },
    { "hours and minutes",           "1h30m",                5400000 },
    { "half an hour more",           "1.5h",                 5400000 },
    { "milliseconds",                "250ms",                250 },
    { "microseconds are cut",        "1999us",               1 },
    { "micro sign",                  "2000\xc2\xb5s",        2 },
    { "greek mu",                    "2000\xce\xbcs",        2 },
    { "nanoseconds",                 "1000000ns",            1 },
    { "parts add before the cut",    "500us500us",           1 },
    { "all units",                   "1h2m3s4ms",            3723004 },
    { "any order, repeated",         "1s1h1s",               3602000 },
    { "point first",                 ".5s",                  500 },
    { "point last",                  "5.s",                  5000 },
    { "long fraction",               "0.33333333333333333333333333h", 1199999 },
    { "days",                        "30d",                  UINT64_C(2592000000) },
    { "no days",                     "0d",                   0 },
    { "zero with unit",              "0s",                   0 },
    { "the longest in seconds",      "9223372036",           UINT64_C(9223372036000) },
    { "the longest in milliseconds", "9223372036854ms",      UINT64_C(9223372036854) },
    { "the longest in hours",        "2562047h47m16.854s",   UINT64_C(9223372036854) },
    { "one second too long",         "9223372037",           NO },
    { "too long in hours",           "2562047h47m16.855s",   NO },
    { "too long in days",            "106752d",              NO },
    { "64 bits of seconds",          "18446744073709551616", NO },
    { "64 bits of hours",            "18446744073709551616h", NO },
    { "wraps in a product",          "5124095576030431h",    NO },
    { "wraps in a sum",              "2562047h2562047h2562047h2562047h", NO },
    { "empty",                       "",                     NO },
    { "negative",                    "-1",                   NO },
    { "negative with unit",          "-5m",                  NO },
    { "negative part",               "1h-5m",                NO },
    { "plus",                        "+5s",                  NO },
    { "fraction of seconds, no unit", "1.5",                 NO },
    { "last unit missing",           "1h30",                 NO },
    { "unknown unit",                "5y",                   NO },
    { "upper case",                  "5S",                   NO },
    { "unit alone",                  "s",                    NO },
    { "point alone",                 ".s",                   NO },
    { "two points",                  "1.2.3s",               NO },
    { "fraction of days",            "1.5d",                 NO },
    { "days combined",               "1d12h",                NO },
    { "days last",                   "12h1d",                NO },
    { "days alone",                  "d",                    NO },
    { "space in front",              " 5s",                  NO },
    { "space behind",                "5s ",                  NO },
    { "space between",               "1h 5m",                NO },
    { "hexadecimal",                 "0x10",                 NO },
    { "exponent",                    "1e3s",                 NO },
    { "a word",                      "forever",              NO },
    { "NaN",                         "NaN",                  NO },
};
static const struct text_row { const char *name; uint64_t ms; const char *text; } text_rows[] = {
    { "writes zero",              0,                       "0s" },
    { "writes milliseconds",      250,                     "250ms" },
    { "writes a second",          1000,                    "1s" },
    { "writes fractions",         1500,                    "1.5s" },
    { "writes three digits",      61001,                   "1m1.001s" },
    { "writes zero parts",        3600000,                 "1h0m0s" },
    { "writes minutes",           60000,                   "1m0s" },
    { "writes Vault's example",   12319000,                "3h25m19s" },
    { "writes days as hours",     UINT64_C(2592000000),    "720h0m0s" },
    { "writes the longest",       KT_DURATION_MAX_MS,      "2562047h47m16.854s" },
    { "writes any 64 bits",       UINT64_MAX,              "5124095576030h25m51.615s" },
};
// clang-format on

static void reads(void **state)
{
    const struct row *row = *state;
    uint64_t ms = 77;
    struct kt_err err = {0};
    enum kt_kind kind = kt_duration_parse(kt_str(row->text), &ms, &err);
    if (row->ms != NO) {
        assert_int_equal(kind, KT_OK);
        assert_int_equal(ms, row->ms);
        return;
    }
    assert_int_equal(kind, KT_INVALID);
    assert_int_equal(ms, 77);
    assert_non_null(strstr(err.what, "not a duration: "));
    assert_true(err.hint[0] != '\0');
}

static void writes(void **state)
{
    const struct text_row *row = *state;
    char text[KT_DURATION_TEXT];
    kt_duration_text(row->ms, text);
    assert_string_equal(text, row->text);
}

static void what_is_written_reads_back(void **state)
{
    (void)state;
    char text[KT_DURATION_TEXT];
    for (uint64_t ms = 0; ms <= KT_DURATION_MAX_MS; ms = ms * 3 + 7) {
        uint64_t back = 0;
        kt_duration_text(ms, text);
        assert_int_equal(kt_duration_parse(kt_str(text), &back, NULL), KT_OK);
        assert_int_equal(back, ms);
    }
}

static void refuses_an_embedded_nul(void **state)
{
    (void)state;
    uint64_t ms = 0;
    assert_int_equal(kt_duration_parse(kt_bytes("5s\0", 3), &ms, NULL), KT_INVALID);
    assert_int_equal(kt_duration_parse(kt_bytes("5\0", 2), &ms, NULL), KT_INVALID);
    assert_int_equal(kt_duration_parse(kt_bytes(NULL, 0), &ms, NULL), KT_INVALID);
}

#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])

int main(void)
{
    struct CMUnitTest tests[COUNT(rows) + COUNT(text_rows) + 2];
    size_t n = 0;
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[n++] =
            (struct CMUnitTest){rows[i].name, reads, NULL, NULL, (void *)(uintptr_t)&rows[i]};
    for (size_t i = 0; i < COUNT(text_rows); i++)
        tests[n++] = (struct CMUnitTest){text_rows[i].name, writes, NULL, NULL,
                                         (void *)(uintptr_t)&text_rows[i]};
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(what_is_written_reads_back);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(refuses_an_embedded_nul);
    return cmocka_run_group_tests_name("duration", tests, NULL, NULL);
}
