/* .env files: what is read, what is refused, and that what is written reads back as itself. */
#include "cli/dotenv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "tests/support/rows.h"

#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])

// clang-format off
static const struct good { const char *name, *text, *json; } goods[] = {
    { "nothing",            "",                         "{}" },
    { "blank and comments", "\n  \n# a=b\n   # c\n",    "{}" },
    { "bare",               "A=b",                      "{\"A\":\"b\"}" },
    { "empty",              "A=\nB=''\nC=\"\"\n",       "{\"A\":\"\",\"B\":\"\",\"C\":\"\"}" },
    { "blanks around",      "  A = b c  \nB=\tx\t\n",   "{\"A\":\"b c\",\"B\":\"x\"}" },
    { "export",             "export A=b\nexport\tB=c\nexported=d\n", "{\"A\":\"b\",\"B\":\"c\",\"exported\":\"d\"}" },
    { "a name that is export", "export=1",              "{\"export\":\"1\"}" },
    { "comment behind",     "A=b # c\nB=b#c\nC= # c\n", "{\"A\":\"b\",\"B\":\"b#c\",\"C\":\"\"}" },
    { "equals in it",       "A=b=c==",                  "{\"A\":\"b=c==\"}" },
    { "single quotes",      "A='b \\n \"$x\" # c' # d", "{\"A\":\"b \\\\n \\\"$x\\\" # c\"}" },
    { "double quotes",      "A=\"b\\n\\r\\t\\\"\\\\\\$\\` 'x' # c\"", "{\"A\":\"b\\n\\r\\t\\\"\\\\$` 'x' # c\"}" },
    { "several lines",      "A='one\ntwo'\nB=\"three\nfour\"\nC=x", "{\"A\":\"one\\ntwo\",\"B\":\"three\\nfour\",\"C\":\"x\"}" },
    { "quotes inside",      "A=b'c'\nB=it's\n",         "{\"A\":\"b'c'\",\"B\":\"it's\"}" },
    { "no expansion",       "A=$HOME ${x}\n",           "{\"A\":\"$HOME ${x}\"}" },
    { "lines of Windows",   "A=b\r\nB='c'\r\n",         "{\"A\":\"b\",\"B\":\"c\"}" },
    { "names",              "_a.b-1=x\nZ9=y",           "{\"_a.b-1\":\"x\",\"Z9\":\"y\"}" },
    { "UTF-8",              "A=\xc3\xbc\xf0\x9f\x94\x91", "{\"A\":\"\xc3\xbc\xf0\x9f\x94\x91\"}" },
};
static const struct bad { const char *name, *text, *what; } bads[] = {
    { "no equals",          "A=1\nhunter2\n",           "line 2: there is no '='" },
    { "no name",            "=hunter2",                 "line 1: it has to begin with a name" },
    { "a digit first",      "1A=hunter2",               "line 1: it has to begin with a name" },
    { "a blank in the name", "A B=hunter2",             "line 1: there is no '='" },
    { "twice",              "A=1\nB=2\n\nA=hunter2",    "line 4: the name was there before" },
    { "open single",        "B=1\nA='hunter2\n\n",      "line 2: the quotes that begin here do not end" },
    { "open double",        "A=\"hunter2\\\"",          "line 1: the quotes that begin here do not end" },
    { "behind the quotes",  "A='b'hunter2",             "line 1: something follows the quotes" },
    { "after several lines", "A='b\nc' hunter2",        "line 2: something follows the quotes" },
    { "unknown escape",     "A=\"\\x hunter2\"",        "line 1: only" },
    { "an escape at the end", "A=\"\\",                 "line 1: only" },
    { "no UTF-8",           "A=\xff hunter2",           "it is not text" },
    { "JSON",               "{\"A\": \"hunter2\"}",     "line 1: it has to begin with a name" },
};
static const struct written { const char *name, *json, *text; } writtens[] = {
    { "write plain",        "{\"A\":\"b/c:1@x\",\"B\":\"\"}", "A=b/c:1@x\nB=\n" },
    { "write quoted",       "{\"A\":\"b c\",\"B\":\"$x \\\"y\\\" \\\\ #\"}", "A='b c'\nB='$x \"y\" \\ #'\n" },
    { "write lines and quotes", "{\"A\":\"it's\",\"B\":\"a\\nb\\r\\t$`\\\"\\\\\"}", "A=\"it's\"\nB=\"a\\nb\\r\\t\\$\\`\\\"\\\\\"\n" },
    { "write other types",  "{\"A\":1.0,\"B\":true,\"C\":null,\"D\":{\"x\": [1]}}", "A=1.0\nB=true\nC=null\nD='{\"x\":[1]}'\n" },
};
// clang-format on

static void reads(void **state)
{
    const struct good *row = *state;
    struct kt_err err = {0};
    kt_autobuf struct kt_buf out = {0};
    kt_buf_init(&out, 65536);
    if (dotenv_read(kt_str(row->text), &out, &err) != KT_OK)
        fail_msg("%s", err.what);
    assert_string_equal(kt_buf_text(&out), row->json);
}

static void refuses(void **state)
{
    const struct bad *row = *state;
    struct kt_err err = {0};
    kt_autobuf struct kt_buf out = {0};
    kt_buf_init(&out, 65536);
    assert_int_equal(dotenv_read(kt_str(row->text), &out, &err), KT_INVALID);
    if (strstr(err.what, row->what) == NULL || strstr(err.what, "hunter2") != NULL)
        fail_msg("expected '%s', got '%s'", row->what, err.what);
}

static void writes(void **state)
{
    const struct written *row = *state;
    struct kt_err err = {0};
    kt_autobuf struct kt_buf out = {0};
    kt_buf_init(&out, 65536);
    assert_int_equal(dotenv_write(kt_json_value(kt_str(row->json)), &out, &err), KT_OK);
    assert_string_equal(kt_buf_text(&out), row->text);
}

static void names_that_are_none(void **state)
{
    (void)state;
    static const char *const rows[] = {"{\"a b\":\"hunter2\"}", "{\"\":\"hunter2\"}", "{\"1\":\"hunter2\"}", "{\"a=\":\"hunter2\"}"};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct kt_err err = {0};
        kt_autobuf struct kt_buf out = {0};
        kt_buf_init(&out, 65536);
        assert_int_equal(dotenv_write(kt_json_value(kt_str(rows[i])), &out, &err), KT_INVALID);
        assert_non_null(strstr(err.what, "cannot be the name of a variable"));
        assert_null(strstr(err.what, "hunter2"));
    }
}

/* A reader would take the NUL for the value's end, or the file for no text. */
static void nul_is_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {"{\"A\":\"\\u0000\"}", "{\"A\":\"hunter2\\u0000\"}", "{\"A\":\"a \\u0000hunter2\"}"};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct kt_err err = {0};
        kt_autobuf struct kt_buf out = {0};
        kt_buf_init(&out, 65536);
        assert_int_equal(dotenv_write(kt_json_value(kt_str(rows[i])), &out, &err), KT_INVALID);
        assert_string_equal(err.what, "the value of 'A' has a NUL byte: no variable has one");
    }
}

static void limits(void **state)
{
    (void)state;
    struct kt_err err = {0};
    kt_autobuf struct kt_buf text = {0};
    kt_autobuf struct kt_buf out = {0};
    kt_buf_init(&text, 65536);
    kt_buf_init(&out, 65536);
    for (unsigned i = 0; i < 1000; i++)
        kt_buf_printf(&text, "A%u=\n", i);
    assert_int_equal(dotenv_read(kt_buf_bytes(&text), &out, &err), KT_OK);
    kt_buf_add_text(&text, "B=\n");
    kt_buf_reset(&out);
    assert_int_equal(dotenv_read(kt_buf_bytes(&text), &out, &err), KT_INVALID);
    assert_string_equal(err.what, "line 1001: more than 1,000 names");
    assert_int_equal(dotenv_read(kt_bytes("A=\0b", 4), &out, &err), KT_INVALID);
    kt_autobuf struct kt_buf small = {0};
    kt_buf_init(&small, 8);
    assert_int_equal(dotenv_read(kt_str("A=0123456789"), &small, &err), KT_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest single[] = {cmocka_unit_test(names_that_are_none), cmocka_unit_test(nul_is_refused),
                                        cmocka_unit_test(limits)};
    struct CMUnitTest tests[COUNT(single) + COUNT(goods) + COUNT(bads) + COUNT(writtens)];
    memcpy(tests, single, sizeof single);
    size_t n = COUNT(single);
    n = add_rows(tests, n, goods, COUNT(goods), sizeof goods[0], reads);
    n = add_rows(tests, n, bads, COUNT(bads), sizeof bads[0], refuses);
    n = add_rows(tests, n, writtens, COUNT(writtens), sizeof writtens[0], writes);
    (void)n;
    kt_json_init();
    return cmocka_run_group_tests_name("dotenv", tests, NULL, NULL);
}
