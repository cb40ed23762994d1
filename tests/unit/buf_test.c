#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/buf.h"
#include "lib/json.h"
#include "lib/num.h"

static void grows_and_keeps(void **state)
{
    (void)state;
    kt_autobuf struct kt_buf buf;
    kt_buf_init(&buf, 5000);
    for (unsigned i = 0; i < 5000; i++) {
        kt_buf_add_char(&buf, (char)('a' + i % 26));
        assert_true(buf.len < buf.room);
    }
    assert_true(kt_buf_ok(&buf));
    for (unsigned i = 0; i < 5000; i++)
        assert_int_equal(buf.at[i], 'a' + i % 26);
    assert_int_equal(strlen(kt_buf_text(&buf)), 5000);
    kt_buf_add_char(&buf, 'x');
    assert_false(kt_buf_ok(&buf));
    kt_buf_add_char(&buf, 'x');
    assert_int_equal(buf.len, 5000);
    kt_buf_reset(&buf);
    assert_true(kt_buf_ok(&buf));
    assert_int_equal(buf.len, 0);
}

static void lent_memory_is_left_and_wiped(void **state)
{
    (void)state;
    unsigned char memory[64];
    for (size_t n = 1; n < 200; n++) {
        memset(memory, 0xee, sizeof memory);
        struct kt_buf buf;
        kt_buf_init_in(&buf, 1000, memory, sizeof memory);
        for (size_t i = 0; i < n; i++)
            kt_buf_add_text(&buf, "s");
        assert_int_equal(buf.len, n);
        assert_int_equal(strlen(kt_buf_text(&buf)), n);
        assert_int_equal(buf.at == memory, n < sizeof memory);
        assert_null(memchr(memory, 's', n < sizeof memory ? 0 : sizeof memory));
        kt_buf_free(&buf); /* would abort if it gave our memory to free() */
        assert_null(memchr(memory, 's', sizeof memory));
    }
}

static void lent_memory_counts_in_the_maximum(void **state)
{
    (void)state;
    unsigned char memory[64];
    struct kt_buf buf;
    kt_buf_init_in(&buf, 10, memory, sizeof memory);
    kt_buf_add(&buf, "0123456789", 10);
    assert_true(kt_buf_ok(&buf));
    kt_buf_add_char(&buf, 'x');
    assert_false(kt_buf_ok(&buf));
    kt_buf_free(&buf);
}

static void decimals(void **state)
{
    (void)state;
    static const struct {
        uint64_t v;
        const char *text;
    } rows[] = {{0, "0"},
                {7, "7"},
                {10, "10"},
                {4294967296, "4294967296"},
                {UINT64_MAX, "18446744073709551615"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        kt_autobuf struct kt_buf buf;
        kt_buf_init(&buf, 64);
        kt_buf_add_decimal(&buf, rows[i].v);
        assert_string_equal(kt_buf_text(&buf), rows[i].text);
    }
}

/* ---- kt_json_replace(): what passes, what is replaced by <...> ---- */

struct marked {
    struct kt_buf out;
    unsigned calls;
};

static void pass(void *arg, struct kt_bytes text)
{
    struct marked *marked = arg;
    assert_true(text.len > 0);
    kt_buf_add_bytes(&marked->out, text);
}

static void mark(void *arg, struct kt_json value)
{
    struct marked *marked = arg;
    marked->calls++;
    kt_buf_add_char(&marked->out, '<');
    kt_buf_add_bytes(&marked->out, kt_json_bytes(value));
    kt_buf_add_char(&marked->out, '>');
}

static const struct row {
    const char *name, *text, *want;
    unsigned depth;
} rows[] = {
    {"keys pass, strings do not", "{\"a\":\"b\",\"c\":\"d\"}", "{\"a\":<\"b\">,\"c\":<\"d\">}", 9},
    {"elements are no keys", "[\"a\",\"b\",{\"c\":[\"d\"]},\"e\"]",
     "[<\"a\">,<\"b\">,{\"c\":[<\"d\">]},<\"e\">]", 9},
    {"after an object within an array", "[{\"a\":1},\"b\"]", "[{\"a\":1},<\"b\">]", 9},
    {"after an array within an object", "{\"a\":[1],\"b\":\"c\"}", "{\"a\":[1],\"b\":<\"c\">}", 9},
    {"scalars pass", "[1,-2.5e+10,true,false,null]", "[1,-2.5e+10,true,false,null]", 9},
    {"what is no scalar", "[tru,nulll,x1,1x,-Infinity]", "[<tru>,<nulll>,<x1>,<1x>,<-Infinity>]", 9},
    {"white space goes", " { \"a\" : \"b c\" , \"d\" :\t1 }\n", "{\"a\":<\"b c\">,\"d\":1}", 9},
    {"a scalar alone", "17", "17", 9},
    {"a string alone", "\"a\"", "<\"a\">", 9},
    {"nothing", "", "", 9},
    {"too deep", "[[[\"a\"]],{\"b\":{\"c\":1}}]", "[[<[\"a\"]>],{\"b\":<{\"c\":1}>}]", 2},
    {"depth 0", "{\"a\":1}", "<{\"a\":1}>", 0},
    {"two strings where one key may stand", "{\"a\"\"b\":1}", "{\"a\"<\"b\">:1}", 9},
    {"a string behind a closed object", "{\"a\":1}\"b\"", "{\"a\":1}<\"b\">", 9},
    {"a key with a raw control character", "{\"a\x01\":1}", "{<\"a\x01\">:1}", 9},
    {"the same, escaped, far on", "{\"abcdefghijkl\\\x01mnopqrstuvwxyz\":1}",
     "{<\"abcdefghijkl\\\x01mnopqrstuvwxyz\">:1}", 9},
    {"long keys and strings", "{\"abcdefgh\\\"ijklmnop\\\\\":\"abcdefghijklmnop\\\"\"}",
     "{\"abcdefgh\\\"ijklmnop\\\\\":<\"abcdefghijklmnop\\\"\">}", 9},
    {"too many ends", "]]]\"a\",\"b\"", "]]]<\"a\">,<\"b\">", 9},
    {"a string that does not end", "{\"a\":\"b", "{\"a\":<\"b>", 9},
};

static void replaces(void **state)
{
    const struct row *row = *state;
    static const struct kt_json_replacer replacer = {pass, mark};
    unsigned wanted = 0;
    struct marked marked = {.calls = 0};
    kt_buf_init(&marked.out, 10000);
    const struct kt_json value = {row->text, strlen(row->text)};
    kt_json_replace(value, row->depth, &replacer, &marked);
    assert_string_equal(kt_buf_text(&marked.out), row->want);
    for (const char *at = row->want; (at = strchr(at, '<')) != NULL; at++)
        wanted++;
    assert_int_equal(marked.calls, wanted);
    kt_buf_free(&marked.out);
}

int main(void)
{
    enum { N = sizeof rows / sizeof rows[0], FIRST = 4 };
    static struct CMUnitTest tests[FIRST + N] = {
        cmocka_unit_test(grows_and_keeps),
        cmocka_unit_test(lent_memory_is_left_and_wiped),
        cmocka_unit_test(lent_memory_counts_in_the_maximum),
        cmocka_unit_test(decimals),
    };
    for (size_t i = 0; i < N; i++)
        tests[FIRST + i] = (struct CMUnitTest){.name = rows[i].name,
                                               .test_func = replaces,
                                               .initial_state = (void *)(uintptr_t)&rows[i]};
    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
