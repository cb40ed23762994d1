#include "lib/jsonw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

#include "lib/failpoint.h"
#include "lib/json.h"

#ifdef KT_FAULT
#define FAULT 1
#else
#define FAULT 0
#endif

// clang-format off
static const struct row { const char *name, *text; size_t len; const char *written; } rows[] = {
    { "plain",              "abc ~",                        5, "\"abc ~\"" },
    { "empty",              "",                             0, "\"\"" },
    { "quote and slash",    "a\"b\\c/",                     6, "\"a\\\"b\\\\c/\"" },
    { "short controls",     "\n\r\t",                       3, "\"\\n\\r\\t\"" },
    { "other controls",     "\x01\b\f\x1f\x7f",             5, "\"\\u0001\\u0008\\u000c\\u001f\x7f\"" },
    { "NUL",                "a\0b",                         3, "\"a\\u0000b\"" },
    { "HTML",               "<a&b>",                        5, "\"\\u003ca\\u0026b\\u003e\"" },
    { "line separators",    "\xe2\x80\xa8-\xe2\x80\xa9",    7, "\"\\u2028-\\u2029\"" },
    { "near separators",    "\xe2\x80\xa7\xe2\x80\xaa",     6, "\"\xe2\x80\xa7\xe2\x80\xaa\"" },
    { "two bytes",          "\xc3\xa9",                     2, "\"\xc3\xa9\"" },
    { "four bytes",         "\xf0\x9f\x94\x91",             4, "\"\xf0\x9f\x94\x91\"" },
    { "lone continuation",  "a\x80z",                       3, "\"a\\ufffdz\"" },
    { "cut character",      "a\xe2\x80",                    3, "\"a\\ufffd\\ufffd\"" },
    { "overlong",           "\xc0\xaf",                     2, "\"\\ufffd\\ufffd\"" },
    { "surrogate in UTF-8", "\xed\xa0\x80",                 3, "\"\\ufffd\\ufffd\\ufffd\"" },
    { "beyond Unicode",     "\xf4\x90\x80\x80",             4, "\"\\ufffd\\ufffd\\ufffd\\ufffd\"" },
};
static const struct int_row { const char *name; int64_t value; const char *written; } int_rows[] = {
    { "zero",          0,         "0" },
    { "minus one",     -1,        "-1" },
    { "largest",       INT64_MAX, "9223372036854775807" },
    { "smallest",      INT64_MIN, "-9223372036854775808" },
    { "ten",           10,        "10" },
};
// clang-format on

static void writes_string(void **state)
{
    const struct row *row = *state;
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 1000);
    struct kt_jsonw w = kt_jsonw(&out);
    kt_jsonw_bytes(&w, kt_bytes(row->text, row->len));
    assert_string_equal(kt_buf_text(&out), row->written);
}

static void writes_int(void **state)
{
    const struct int_row *row = *state;
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 1000);
    struct kt_jsonw w = kt_jsonw(&out);
    kt_jsonw_int(&w, row->value);
    assert_string_equal(kt_buf_text(&out), row->written);
}

static void write_everything(struct kt_buf *out)
{
    struct kt_jsonw w = kt_jsonw(out);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "a", "x");
    kt_jsonw_kv_text(&w, "none", NULL);
    kt_jsonw_kv_int(&w, "n", -5);
    kt_jsonw_kv_bool(&w, "yes", true);
    kt_jsonw_kv_bool(&w, "no", false);
    kt_jsonw_kv_null(&w, "null");
    kt_jsonw_kv_raw(&w, "raw", kt_str("{\"x\":1.0}"));
    kt_jsonw_kv_time(&w, "never", 0);
    kt_jsonw_kv_time(&w, "time", INT64_C(1735787045678));
    kt_jsonw_key(&w, "list");
    kt_jsonw_array(&w);
    kt_jsonw_int(&w, 1);
    kt_jsonw_array(&w);
    kt_jsonw_end(&w);
    kt_jsonw_object(&w);
    kt_jsonw_end(&w);
    kt_jsonw_text(&w, "s");
    kt_jsonw_raw(&w, kt_str("1.10"));
    kt_jsonw_end(&w);
    kt_jsonw_key_bytes(&w, kt_bytes("k<", 2));
    kt_jsonw_object(&w);
    kt_jsonw_kv_int(&w, "deep", 1);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
}

static void commas_are_its_business(void **state)
{
    (void)state;
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 1000);
    write_everything(&out);
    assert_string_equal(
        kt_buf_text(&out),
        "{\"a\":\"x\",\"none\":null,\"n\":-5,\"yes\":true,\"no\":false,\"null\":null,"
        "\"raw\":{\"x\":1.0},\"never\":\"\",\"time\":\"2025-01-02T03:04:05.678Z\","
        "\"list\":[1,[],{},\"s\",1.10],\"k\\u003c\":{\"deep\":1}}");
    assert_int_equal(kt_json_check(kt_buf_bytes(&out), NULL, NULL), KT_OK);
}

static void nests_to_its_limit_and_fails_beyond(void **state)
{
    (void)state;
    for (unsigned depth = KT_JSONW_DEPTH; depth <= KT_JSONW_DEPTH + 3; depth++) {
        kt_autobuf struct kt_buf out;
        kt_buf_init(&out, 1000);
        struct kt_jsonw w = kt_jsonw(&out);
        for (unsigned i = 0; i < depth; i++) {
            kt_jsonw_array(&w);
            kt_jsonw_int(&w, 1);
        }
        for (unsigned i = 0; i < depth; i++)
            kt_jsonw_end(&w);
        assert_int_equal(kt_buf_ok(&out), depth == KT_JSONW_DEPTH);
        assert_int_equal(w.depth, 0);
        if (depth == KT_JSONW_DEPTH)
            assert_int_equal(kt_json_check(kt_buf_bytes(&out), NULL, NULL), KT_OK);
    }
}

static void every_byte_is_valid_json(void **state)
{
    (void)state;
    for (unsigned c = 1; c < 256; c++) { /* NUL is written, but kt_json_check refuses it */
        kt_autobuf struct kt_buf out;
        kt_buf_init(&out, 1000);
        struct kt_jsonw w = kt_jsonw(&out);
        unsigned char text[3] = {'a', (unsigned char)c, 'b'};
        kt_jsonw_bytes(&w, kt_bytes(text, 3));
        assert_int_equal(kt_json_check(kt_buf_bytes(&out), NULL, NULL), KT_OK);
    }
}

/* Long texts are looked through eight bytes at a time. */
static void escapes_are_found_everywhere(void **state)
{
    (void)state;
    static const struct {
        char c;
        const char *written;
    } specials[] = {{'"', "\\\""},       {'\\', "\\\\"},    {'<', "\\u003c"},
                    {'>', "\\u003e"},    {'&', "\\u0026"},  {'\n', "\\n"},
                    {'\x1f', "\\u001f"}, {'\0', "\\u0000"}, {'\xff', "\\ufffd"}};
    for (size_t i = 0; i < sizeof specials / sizeof specials[0]; i++) {
        for (size_t at = 0; at < 40; at++) {
            char text[40], wanted[64];
            memset(text, 'x', sizeof text);
            text[at] = specials[i].c;
            int len = snprintf(wanted, sizeof wanted, "\"%.*s%s%.*s\"", (int)at,
                               "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", specials[i].written,
                               39 - (int)at, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
            assert_true(len > 0 && len < (int)sizeof wanted);
            kt_autobuf struct kt_buf out;
            kt_buf_init(&out, 1000);
            struct kt_jsonw w = kt_jsonw(&out);
            kt_jsonw_bytes(&w, kt_bytes(text, sizeof text));
            assert_string_equal(kt_buf_text(&out), wanted);
        }
    }
}

static void a_full_buffer_shows(void **state)
{
    (void)state;
    for (size_t max = 0; max < 100; max++) {
        kt_autobuf struct kt_buf out;
        kt_buf_init(&out, max);
        write_everything(&out);
        assert_false(kt_buf_ok(&out));
    }
}

#ifdef KT_FAULT
static void out_of_memory_shows(void **state)
{
    (void)state;
    for (unsigned long nth = 1;; nth++) {
        kt_autobuf struct kt_buf out;
        kt_buf_init(&out, 1000);
        (void)kt_fail_allocation(nth);
        write_everything(&out);
        bool untouched = kt_fail_allocation(0) < nth;
        assert_int_equal(kt_buf_ok(&out), untouched);
        if (untouched)
            break;
    }
}
#endif

#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])

int main(void)
{
    struct CMUnitTest tests[COUNT(rows) + COUNT(int_rows) + (FAULT ? 6 : 5)];
    size_t n = 0;
    for (size_t i = 0; i < COUNT(rows); i++)
        tests[n++] = (struct CMUnitTest){rows[i].name, writes_string, NULL, NULL,
                                         (void *)(uintptr_t)&rows[i]};
    for (size_t i = 0; i < COUNT(int_rows); i++)
        tests[n++] = (struct CMUnitTest){int_rows[i].name, writes_int, NULL, NULL,
                                         (void *)(uintptr_t)&int_rows[i]};
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(commas_are_its_business);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(nests_to_its_limit_and_fails_beyond);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(every_byte_is_valid_json);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(escapes_are_found_everywhere);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(a_full_buffer_shows);
#ifdef KT_FAULT
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(out_of_memory_shows);
#endif
    return cmocka_run_group_tests_name("jsonw", tests, NULL, NULL);
}
