#include "lib/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "tests/support/rows.h"
#include <stdio.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "lib/failpoint.h"

#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])

/* ---- what is accepted ---- */

// clang-format off
static const struct accepted { const char *name, *text; } accepted[] = {
    { "object",                  "{\"a\":1,\"b\":[true,false,null],\"c\":{}}" },
    { "white space everywhere",  " \t\r\n{ \"a\" : 1 , \"b\" : [ 1 , 2 ] } \n" },
    { "scalar string",           "\"x\"" },
    { "scalar null",             "null" },
    { "zero",                    "0" },
    { "minus zero",              "-0" },
    { "fraction",                "1.10" },
    { "exponents",               "[1e5,1E+5,1.5e-05,0e0]" },
    { "20 digits",               "12345678901234567890" },
    { "out of double's range",   "1e999" },
    { "empty containers",        "[[],{},[[]]]" },
    { "escapes",                 "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20AC\"" },
    { "surrogate pair",          "\"\\ud83d\\uDD11\"" },
    { "just below surrogates",   "\"\\ud7ff\\ue000\"" },
    { "UTF-8 of each length",    "\"\xc2\x80\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"" },
    { "DEL is plain",            "\"\x7f\"" },
    { "same key in two objects", "[{\"a\":1},{\"a\":{\"a\":2}}]" },
    { "empty key",               "{\"\":1,\" \":2}" },
    { "key after its child's",   "{\"x\":{\"a\":1},\"a\":1}" },
    { "keys that look alike",    "{\"\\u0061\":1,\"\\\\u0061\":2}" },
    { "NFC and NFD differ",      "{\"\xc3\xa9\":1,\"e\xcc\x81\":2}" },
};

/* ---- what is refused, where, and how it is said ---- */
static const struct refused { const char *name, *text, *what; } refused[] = {
    { "empty",                    "",                     "line 1, column 1: empty" },
    { "only space",               " \n ",                 "line 2, column 2: empty" },
    { "byte order mark",          "\xef\xbb\xbf{}",       "line 1, column 1: expected a value" },
    { "two values",               "{} {}",                "line 1, column 4: something follows the value" },
    { "trailing comma, array",    "[1,]",                 "line 1, column 4: expected a value" },
    { "trailing comma, object",   "{\"a\":1,}",           "line 1, column 8: expected a key in double quotes" },
    { "leading comma",            "[,1]",                 "line 1, column 2: expected a value" },
    { "missing comma",            "[1 2]",                "line 1, column 4: expected ',' or ']'" },
    { "missing comma, object",    "{\"a\":1 \"b\":2}",    "line 1, column 8: expected ',' or '}'" },
    { "missing colon",            "{\"a\" 1}",            "line 1, column 6: expected ':' after a key" },
    { "key without quotes",       "{a:1}",                "line 1, column 2: expected a key in double quotes" },
    { "number as key",            "{1:1}",                "line 1, column 2: expected a key in double quotes" },
    { "single quotes",            "['a']",                "line 1, column 2: expected a value" },
    { "open array",               "[1",                   "line 1, column 3: the text ends inside an array" },
    { "open object",              "{\"a\":1",             "line 1, column 7: the text ends inside an object" },
    { "object after comma",       "{\"a\":1,",            "line 1, column 8: the text ends inside an object" },
    { "object after brace",       "{",                    "line 1, column 2: the text ends inside an object" },
    { "object after colon",       "{\"a\":",              "line 1, column 6: the text ends where a value was expected" },
    { "wrong bracket",            "[1}",                  "line 1, column 3: expected ',' or ']'" },
    { "wrong brace",              "{\"a\":1]",            "line 1, column 7: expected ',' or '}'" },
    { "closing alone",            "]",                    "line 1, column 1: expected a value" },
    { "comment",                  "[1,//\n2]",            "line 1, column 4: expected a value" },
    { "word cut",                 "tru",                  "line 1, column 1: expected a value" },
    { "word too long",            "truex",                "line 1, column 5: something follows the value" },
    { "upper case word",          "TRUE",                 "line 1, column 1: expected a value" },
    { "NaN",                      "NaN",                  "line 1, column 1: expected a value" },
    { "Infinity",                 "-Infinity",            "line 1, column 2: a number lacks a digit" },
    { "plus",                     "+1",                   "line 1, column 1: expected a value" },
    { "leading zero",             "01",                   "line 1, column 2: a number begins with 0" },
    { "minus leading zero",       "-01",                  "line 1, column 3: a number begins with 0" },
    { "minus alone",              "-",                    "line 1, column 2: a number lacks a digit" },
    { "point first",              ".5",                   "line 1, column 1: expected a value" },
    { "point last",               "[1.]",                 "line 1, column 4: a number lacks a digit" },
    { "exponent alone",           "1e",                   "line 1, column 3: a number lacks a digit" },
    { "exponent sign alone",      "1e+",                  "line 1, column 4: a number lacks a digit" },
    { "hexadecimal",              "0x1",                  "line 1, column 2: something follows the value" },
    { "string without end",       "\"abc",                "line 1, column 5: a string does not end" },
    { "string ends in backslash", "\"abc\\",              "line 1, column 5: a string does not end" },
    { "newline in a string",      "[\n\"a\nb\"]",         "line 2, column 3: a control character in a string must be escaped" },
    { "tab in a string",          "\"\t\"",               "line 1, column 2: a control character in a string must be escaped" },
    { "unknown escape",           "\"\\x41\"",            "line 1, column 2: an unknown escape" },
    { "escaped apostrophe",       "\"\\'\"",              "line 1, column 2: an unknown escape" },
    { "upper case U",             "\"\\U0041\"",          "line 1, column 2: an unknown escape" },
    { "short \\u",                "\"\\u12\"",            "line 1, column 2: \\u needs four hexadecimal digits" },
    { "bad \\u digit",            "\"\\u12g4\"",          "line 1, column 2: \\u needs four hexadecimal digits" },
    { "sign in \\u",              "\"\\u+123\"",          "line 1, column 2: \\u needs four hexadecimal digits" },
    { "NUL",                      "\"a\\u0000\"",         "line 1, column 3: \\u0000 is not accepted" },
    { "NUL in a key",             "{\"\\u0000\":1}",      "line 1, column 3: \\u0000 is not accepted" },
    { "high surrogate alone",     "\"\\ud83d\"",          "line 1, column 2: a lone surrogate" },
    { "high surrogate and text",  "\"\\ud83dabcdef\"",    "line 1, column 2: a lone surrogate" },
    { "two high surrogates",      "\"\\ud83d\\ud83d\"",   "line 1, column 2: a lone surrogate" },
    { "high surrogate, letter",   "\"\\ud83d\\u0041\"",   "line 1, column 2: a lone surrogate" },
    { "low surrogate alone",      "\"\\udd11\"",          "line 1, column 2: a lone surrogate" },
    { "column counts characters", "\"\xc3\xa9\xf0\x9f\x94\x91\\q\"", "line 1, column 4: an unknown escape" },
    { "continuation byte",        "\"\x80\"",             "line 1, column 2: invalid UTF-8" },
    { "cut character",            "\"\xe2\x82\"",         "line 1, column 2: invalid UTF-8" },
    { "cut character at the end", "\"\xe2\x82",           "line 1, column 2: invalid UTF-8" },
    { "overlong 2",               "\"\xc1\xbf\"",         "line 1, column 2: invalid UTF-8" },
    { "overlong 3",               "\"\xe0\x9f\xbf\"",     "line 1, column 2: invalid UTF-8" },
    { "overlong 4",               "\"\xf0\x8f\xbf\xbf\"", "line 1, column 2: invalid UTF-8" },
    { "surrogate in UTF-8",       "\"\xed\xa0\x80\"",     "line 1, column 2: invalid UTF-8" },
    { "beyond Unicode",           "\"\xf4\x90\x80\x80\"", "line 1, column 2: invalid UTF-8" },
    { "byte FF",                  "\"\xff\"",             "line 1, column 2: invalid UTF-8" },
    { "invalid UTF-8 outside",    "[\xff]",               "line 1, column 2: expected a value" },
    { "form feed as space",       "[\f1]",                "line 1, column 2: expected a value" },
    { "duplicate key",            "{\"a\":1,\"b\":2,\"a\":3}",       "line 1, column 14: a key stands twice in one object" },
    { "duplicate, other spelling", "{\"a\":1,\"\\u0061\":2}",        "line 1, column 8: a key stands twice in one object" },
    { "duplicate pair spelling",  "{\"\xf0\x9f\x94\x91\":1,\"\\ud83d\\udd11\":2}", "line 1, column 8: a key stands twice in one object" },
    { "duplicate around a child", "{\"a\":{\"b\":1},\"a\":2}",       "line 1, column 14: a key stands twice in one object" },
    { "duplicate deep inside",    "[[{\"x\":{\"k\":1,\n\"k\":1}}]]", "line 2, column 1: a key stands twice in one object" },
    { "duplicate empty key",      "{\"\":1,\"\":2}",                 "line 1, column 7: a key stands twice in one object" },
};
// clang-format on

static void accepts(void **state)
{
    const struct accepted *row = *state;
    struct kt_err err = {0};
    enum kt_kind kind = kt_json_check(kt_str(row->text), NULL, &err);
    if (kind != KT_OK)
        fail_msg("%s", err.what);
}

static void refuses(void **state)
{
    const struct refused *row = *state;
    struct kt_err err = {0};
    /* An own copy without a NUL, so that ASan sees a read beyond the end. */
    size_t len = strlen(row->text);
    char *copy = malloc(len + (len == 0));
    assert_non_null(copy);
    memcpy(copy, row->text, len);
    enum kt_kind kind = kt_json_check(kt_bytes(copy, len), NULL, &err);
    free(copy);
    assert_int_equal(kind, KT_INVALID);
    assert_string_equal(err.what, row->what);
}

static void refuses_raw_nul(void **state)
{
    (void)state;
    assert_int_equal(kt_json_check(kt_bytes("\"a\0b\"", 5), NULL, NULL), KT_INVALID);
    assert_int_equal(kt_json_check(kt_bytes("1\0", 2), NULL, NULL), KT_INVALID);
    assert_int_equal(kt_json_check(kt_bytes("\"\\\0\"", 4), NULL, NULL), KT_INVALID);
    assert_int_equal(kt_json_check(kt_bytes("", 0), NULL, NULL), KT_INVALID);
    assert_int_equal(kt_json_check(kt_bytes(NULL, 0), NULL, NULL), KT_INVALID);
}

static void errors_hold_no_content(void **state)
{
    (void)state;
    static const char *const texts[] = {"{\"hunter2\":hunter2}",
                                        "{\"hunter2\":1,\"hunter2\":2}",
                                        "[hunter2]",
                                        "{hunter2:1}",
                                        "\"hunter2\\q\"",
                                        "{\"hunter2\" hunter2}",
                                        "[1 hunter2]",
                                        "\"hunter2\xff\"",
                                        "\"hunter2",
                                        "{\"hunter2\":\"hunter2\"}hunter2"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct kt_err err = {0};
        assert_int_equal(kt_json_check(kt_str(texts[i]), NULL, &err), KT_INVALID);
        assert_null(strstr(err.what, "hunter"));
        assert_null(strstr(err.hint, "hunter"));
        assert_null(kt_json_load(kt_str(texts[i]), NULL, &err));
        assert_null(strstr(err.what, "hunter"));
    }
}

/* ---- limits: just below passes, just above does not ---- */

static void add_times(struct kt_buf *buf, const char *text, size_t times)
{
    for (size_t i = 0; i < times; i++)
        kt_buf_add_text(buf, text);
}

static void depth_text(struct kt_buf *buf, size_t n)
{
    for (size_t i = 0; i < n; i++)
        kt_buf_add_text(buf, i % 2 == 0 ? "[" : "{\"a\":");
    kt_buf_add_text(buf, n % 2 == 0 ? "1" : "");
    for (size_t i = n; i > 0; i--)
        kt_buf_add_text(buf, (i - 1) % 2 == 0 ? "]" : "}");
}
static void nodes_text(struct kt_buf *buf, size_t n)
{
    kt_buf_add_text(buf, "[0");
    add_times(buf, ",{}", n - 2);
    kt_buf_add_text(buf, "]");
}
static void keys_text(struct kt_buf *buf, size_t n)
{
    kt_buf_add_text(buf, "{\"k\":0");
    for (size_t i = 1; i < n; i++)
        kt_buf_printf(buf, ",\"k%zu\":0", i);
    kt_buf_add_text(buf, "}");
}
static void string_text(struct kt_buf *buf, size_t n)
{
    kt_buf_add_text(buf, "[\"");
    add_times(buf, "x", n);
    kt_buf_add_text(buf, "\"]");
}
static void escaped_text(struct kt_buf *buf, size_t n)
{
    kt_buf_add_text(buf, "[\"");
    add_times(buf, "\\u20ac\\n", n / 4);
    add_times(buf, "x", n % 4);
    kt_buf_add_text(buf, "\"]");
}
static void key_text(struct kt_buf *buf, size_t n)
{
    kt_buf_add_text(buf, "{\"");
    add_times(buf, "x", n);
    kt_buf_add_text(buf, "\":1}");
}
static void number_text(struct kt_buf *buf, size_t n)
{
    kt_buf_add_text(buf, "-1.");
    add_times(buf, "7", n - 3);
}
static void bytes_text(struct kt_buf *buf, size_t n)
{
    kt_buf_add_text(buf, "1");
    add_times(buf, " ", n - 1);
}

// clang-format off
static const struct limit {
    const char *name;
    void (*make)(struct kt_buf *buf, size_t n);
    size_t limit;
    const char *what;
} limits[] = {
    { "depth",                depth_text,   64,          "nested deeper than the limit (64)" },
    { "values",               nodes_text,   20000,       "more values than the limit (20000)" },
    { "keys in an object",    keys_text,    1024,        "an object has more keys than the limit (1024)" },
    { "string bytes",         string_text,  1024 * 1024, "a string is longer than the limit, in bytes (1048576)" },
    { "decoded string bytes", escaped_text, 1024 * 1024, "a string is longer than the limit, in bytes (1048576)" },
    { "key bytes",            key_text,     1024 * 1024, "a string is longer than the limit, in bytes (1048576)" },
    { "number characters",    number_text,  64,          "a number has more characters than the limit (64)" },
};
// clang-format on

static void holds_limit(void **state)
{
    const struct limit *row = *state;
    struct kt_err err = {0};
    kt_autobuf struct kt_buf buf;
    kt_buf_init(&buf, (size_t)16 * 1024 * 1024);
    row->make(&buf, row->limit);
    assert_int_equal(kt_json_check(kt_buf_bytes(&buf), NULL, &err), KT_OK);
    kt_buf_reset(&buf);
    row->make(&buf, row->limit + 1);
    assert_int_equal(kt_json_check(kt_buf_bytes(&buf), NULL, &err), KT_INVALID);
    assert_non_null(strstr(err.what, row->what));
}

static void limits_can_be_given(void **state)
{
    (void)state;
    struct kt_json_limits own = {10, 2, 3, 1, 2, 2};
    struct kt_err err = {0};
    assert_int_equal(kt_json_check(kt_str("[[1]]"), &own, NULL), KT_OK);
    assert_int_equal(kt_json_check(kt_str("[[[]]]"), &own, NULL), KT_INVALID);
    assert_int_equal(kt_json_check(kt_str("[1,1,1]"), &own, NULL), KT_INVALID);
    assert_int_equal(kt_json_check(kt_str("\"abc\""), &own, NULL), KT_INVALID);
    assert_int_equal(kt_json_check(kt_str("123"), &own, NULL), KT_INVALID);
    kt_autobuf struct kt_buf buf;
    kt_buf_init(&buf, 100);
    bytes_text(&buf, 10);
    assert_int_equal(kt_json_check(kt_buf_bytes(&buf), &own, NULL), KT_OK);
    kt_buf_add_text(&buf, " ");
    assert_int_equal(kt_json_check(kt_buf_bytes(&buf), &own, &err), KT_TOO_LARGE);
    assert_string_equal(err.what, "the text is longer than the limit, in bytes (10)");
}

/* Many keys move the key table to the heap; a duplicate is found across the moves. */
static void duplicates_are_found_among_many(void **state)
{
    (void)state;
    kt_autobuf struct kt_buf buf;
    kt_buf_init(&buf, (size_t)16 * 1024 * 1024);
    for (size_t twice = 0; twice < 1000; twice += 111) {
        kt_buf_reset(&buf);
        kt_buf_add_text(&buf, "[");
        for (size_t object = 0; object < 8; object++) {
            kt_buf_add_text(&buf, object > 0 ? ",{\"k\":0" : "{\"k\":0");
            for (size_t i = 0; i < 1000; i++)
                kt_buf_printf(&buf, ",\"key%zu\":0", i);
            if (object == 7)
                kt_buf_printf(&buf, ",\"ke\\u0079%zu\":0", twice);
            kt_buf_add_text(&buf, "}");
        }
        kt_buf_add_text(&buf, "]");
        assert_int_equal(kt_json_check(kt_buf_bytes(&buf), NULL, NULL), KT_INVALID);
        buf.len -= sizeof ",\"ke\\u0079111\":0}]" - 1 - (twice == 0 ? 2 : 0);
        kt_buf_add_text(&buf, "}]");
        assert_int_equal(kt_json_check(kt_buf_bytes(&buf), NULL, NULL), KT_OK);
    }
}

/* ---- readers ---- */

static struct kt_json doc(const char *text)
{
    assert_int_equal(kt_json_check(kt_str(text), NULL, NULL), KT_OK);
    return kt_json_value(kt_str(text));
}

static void assert_json(struct kt_json value, const char *text)
{
    if (!kt_bytes_is(kt_json_bytes(value), text))
        fail_msg("expected %s, got %.*s", text, (int)value.len, value.at);
}

static void knows_types(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum kt_json_type type;
    } types[] = {{" null ", KT_JSON_NULL}, {"true", KT_JSON_BOOL},  {"false", KT_JSON_BOOL},
                 {"-1", KT_JSON_NUMBER},   {"0.5", KT_JSON_NUMBER}, {"\"\"", KT_JSON_STRING},
                 {"[]", KT_JSON_ARRAY},    {"{}", KT_JSON_OBJECT}};
    for (size_t i = 0; i < COUNT(types); i++)
        assert_int_equal(kt_json_type(doc(types[i].text)), types[i].type);
    assert_int_equal(kt_json_type((struct kt_json){0}), KT_JSON_NONE);
    assert_int_equal(kt_json_type(kt_json_value(kt_str(" "))), KT_JSON_NONE);
    assert_int_equal(kt_json_type(kt_json_value(kt_bytes(NULL, 0))), KT_JSON_NONE);
}

static void finds_members(void **state)
{
    (void)state;
    struct kt_json value, object = doc(" { \"a\" : 1.0 , \"b\":{\"a\":\"}\",\"c\":[\"]\\\"\",2]},"
                                       "\"\\u0064\":null,\"\":\"e\" , \"long\":\"\\\\\" } ");
    assert_int_equal(kt_json_count(object), 5);
    assert_true(kt_json_member(object, "a", &value));
    assert_json(value, "1.0");
    assert_true(kt_json_member(object, "d", &value));
    assert_json(value, "null");
    assert_true(kt_json_member(object, "", &value));
    assert_json(value, "\"e\"");
    assert_true(kt_json_member(object, "long", &value));
    assert_json(value, "\"\\\\\"");
    assert_true(kt_json_member(object, "b", &value));
    assert_json(value, "{\"a\":\"}\",\"c\":[\"]\\\"\",2]}");
    assert_true(kt_json_member(value, "c", &value));
    assert_int_equal(kt_json_count(value), 2);
    assert_false(kt_json_member(object, "c", &value));
    assert_false(kt_json_member(object, "lon", &value));
    assert_false(kt_json_member(object, "longer", &value));
    assert_false(kt_json_member(doc("[1]"), "a", &value));
    assert_false(kt_json_member(doc("{}"), "a", &value));
    assert_false(kt_json_member(doc("\"a\""), "a", &value));
    assert_false(kt_json_member((struct kt_json){0}, "a", &value));
}

static void iterates(void **state)
{
    (void)state;
    struct kt_json_iter it = kt_json_iter(doc("[ 1 ,\"a,b\", [ ] ,{} ]"));
    static const char *const values[] = {"1", "\"a,b\"", "[ ]", "{}"};
    for (size_t i = 0; i < COUNT(values); i++) {
        assert_true(kt_json_next(&it));
        assert_json(it.value, values[i]);
        assert_null(it.key.at);
    }
    assert_false(kt_json_next(&it));
    assert_false(kt_json_next(&it));
    it = kt_json_iter(doc(
        "{ \"x\" : \"\xf0\x9f\x94\x91 long enough for a word of eight\", \"y\":[1,{\"z\":2}]}"));
    assert_true(kt_json_next(&it));
    assert_true(kt_json_is(it.key, "x"));
    assert_json(it.value, "\"\xf0\x9f\x94\x91 long enough for a word of eight\"");
    assert_true(kt_json_next(&it));
    assert_true(kt_json_is(it.key, "y"));
    assert_json(it.value, "[1,{\"z\":2}]");
    assert_false(kt_json_next(&it));
    it = kt_json_iter(doc("[]"));
    assert_false(kt_json_next(&it));
    it = kt_json_iter(doc("{ }"));
    assert_false(kt_json_next(&it));
    it = kt_json_iter(doc("\"[1]\""));
    assert_false(kt_json_next(&it));
}

// clang-format off
static const struct decoded { const char *name, *text, *decoded; } decoded[] = {
    { "decodes plain",      "\"abc\"",                             "abc" },
    { "decodes empty",      "\"\"",                                "" },
    { "decodes short ones", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",       "\"\\/\b\f\n\r\t" },
    { "decodes \\u",        "\"a\\u0041\\u00e9\\u20ac\\u20ACz\"",   "aA\xc3\xa9\xe2\x82\xac\xe2\x82\xacz" },
    { "decodes a pair",     "\"\\ud83d\\udd11\\uDBFF\\uDFFF\"",     "\xf0\x9f\x94\x91\xf4\x8f\xbf\xbf" },
    { "decodes UTF-8",      "\"\xc3\xa9\"",                        "\xc3\xa9" },
};
// clang-format on

static void decodes(void **state)
{
    const struct decoded *row = *state;
    struct kt_json value = doc(row->text);
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 100);
    kt_buf_add_text(&out, ">");
    assert_true(kt_json_string(value, &out));
    assert_string_equal(kt_buf_text(&out) + 1, row->decoded);
    struct kt_arena arena;
    kt_arena_init(&arena, 1000);
    char *text = kt_json_text(value, &arena);
    assert_non_null(text);
    assert_string_equal(text, row->decoded);
    kt_arena_free(&arena);
    assert_true(kt_json_is(value, row->decoded));
    assert_false(kt_json_is(value, "nothing like it"));
    struct kt_buf small;
    kt_buf_init(&small, row->decoded[0] == '\0' ? 0 : strlen(row->decoded) - 1);
    assert_int_equal(kt_json_string(value, &small), row->decoded[0] == '\0');
    kt_buf_free(&small);
}

static void decodes_strings_only(void **state)
{
    (void)state;
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 100);
    struct kt_arena arena;
    kt_arena_init(&arena, 8);
    assert_false(kt_json_string(doc("12"), &out));
    assert_false(kt_json_string((struct kt_json){0}, &out));
    assert_true(kt_buf_ok(&out));
    assert_null(kt_json_text(doc("[\"a\"]"), &arena));
    assert_null(kt_json_text(doc("\"longer than the arena\""), &arena));
    assert_false(kt_json_is(doc("12"), "12"));
    assert_false(kt_json_is((struct kt_json){0}, ""));
    bool yes = true;
    assert_true(kt_json_bool(doc("false"), &yes));
    assert_false(yes);
    assert_true(kt_json_bool(doc("true"), &yes));
    assert_true(yes);
    assert_false(kt_json_bool(doc("1"), &yes));
    kt_arena_free(&arena);
}

// clang-format off
static const struct integer { const char *name, *text; bool ok; int64_t value; } integers[] = {
    { "zero",               "0",                    true,  0 },
    { "minus zero",         "-0",                   true,  0 },
    { "largest",            "9223372036854775807",  true,  INT64_MAX },
    { "smallest",           "-9223372036854775808", true,  INT64_MIN },
    { "negative",           "-42",                  true,  -42 },
    { "one too large",      "9223372036854775808",  false, 0 },
    { "one too small",      "-9223372036854775809", false, 0 },
    { "20 digits",          "18446744073709551617", false, 0 },
    { "fraction",           "5.0",                  false, 0 },
    { "exponent",           "1e3",                  false, 0 },
    { "a string",           "\"5\"",                false, 0 },
    { "null is no integer", "null",                 false, 0 },
};
// clang-format on

static void reads_integers(void **state)
{
    const struct integer *row = *state;
    int64_t value = 77;
    assert_int_equal(kt_json_i64(doc(row->text), &value), row->ok);
    assert_int_equal(value, row->ok ? row->value : 77);
}

/* ---- text to text ---- */

// clang-format off
static const struct compact { const char *name, *text, *compact; } compacts[] = {
    { "compact keeps strings", " { \"a b\" : \" x \\\" \" ,\n\"c\":[ 1.10 , 1E2 ]\t} ", "{\"a b\":\" x \\\" \",\"c\":[1.10,1E2]}" },
    { "compact scalar",        " 12345678901234567890 ",  "12345678901234567890" },
    { "compact is the same",   "{\"a\":[]}",              "{\"a\":[]}" },
    { "compact empty",         "[ ]",                     "[]" },
};
/* RFC 7396, appendix A, and more */
static const struct patch { const char *name, *target, *patch, *result; } patches[] = {
    { "A1",  "{\"a\":\"b\"}",            "{\"a\":\"c\"}",           "{\"a\":\"c\"}" },
    { "A2",  "{\"a\":\"b\"}",            "{\"b\":\"c\"}",           "{\"a\":\"b\",\"b\":\"c\"}" },
    { "A3",  "{\"a\":\"b\"}",            "{\"a\":null}",            "{}" },
    { "A4",  "{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}",           "{\"b\":\"c\"}" },
    { "A5",  "{\"a\":[\"b\"]}",          "{\"a\":\"c\"}",           "{\"a\":\"c\"}" },
    { "A6",  "{\"a\":\"c\"}",            "{\"a\":[\"b\"]}",         "{\"a\":[\"b\"]}" },
    { "A7",  "{\"a\":{\"b\":\"c\"}}",    "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}" },
    { "A8",  "{\"a\":[{\"b\":\"c\"}]}",  "{\"a\":[1]}",             "{\"a\":[1]}" },
    { "A9",  "[\"a\",\"b\"]",            "[\"c\",\"d\"]",           "[\"c\",\"d\"]" },
    { "A10", "{\"a\":\"b\"}",            "[\"c\"]",                 "[\"c\"]" },
    { "A11", "{\"a\":\"foo\"}",          "null",                    "null" },
    { "A12", "{\"a\":\"foo\"}",          "\"bar\"",                 "\"bar\"" },
    { "A13", "{\"e\":null}",             "{\"a\":1}",               "{\"e\":null,\"a\":1}" },
    { "A14", "[1,2]",                    "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}" },
    { "A15", "{}",                       "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}" },
    { "number text stays",      "{\"a\":1.10,\"b\":12345678901234567890}", "{\"c\":1E2}", "{\"a\":1.10,\"b\":12345678901234567890,\"c\":1E2}" },
    { "keys are compared decoded", "{\"a\":1,\"\xc3\xa9\":2}", "{\"\\u0061\":3,\"\\u00e9\":null}", "{\"a\":3}" },
    { "null inside an array stays", "{}", "{\"a\":[null,{\"b\":null}]}", "{\"a\":[null,{\"b\":null}]}" },
    { "null removes what is absent", "{\"a\":1}", "{\"b\":null}",   "{\"a\":1}" },
    { "scalar becomes object",  "{\"a\":1}",       "{\"a\":{\"b\":null,\"c\":2}}", "{\"a\":{\"c\":2}}" },
    { "white space goes",       " { \"a\" : [ 1 ] } ", " { \"b\" : { \"c\" : 1 } } ", "{\"a\":[1],\"b\":{\"c\":1}}" },
    { "empty patch",            "{\"a\":{\"b\":1}}", "{}",          "{\"a\":{\"b\":1}}" },
};
static const struct pair { const char *name, *a, *b; bool equal; } pairs[] = {
    { "equal: members in another order", "{\"a\":1,\"b\":[{\"c\":\"x\",\"d\":null}]}", " { \"b\":[{\"d\":null,\"c\":\"\\u0078\"}] , \"\\u0061\":1}", true },
    { "equal: scalars",       "[1,true,null,\"\"]", "[1, true, null, \"\"]", true },
    { "unequal: order of an array", "[1,2]", "[2,1]", false },
    { "unequal: longer array", "[1,2]", "[1,2,3]", false },
    { "unequal: shorter array", "[1,2]", "[1]", false },
    { "unequal: one member more", "{\"a\":1}", "{\"a\":1,\"b\":1}", false },
    { "unequal: one member less", "{\"a\":1,\"b\":1}", "{\"a\":1}", false },
    { "unequal: other member", "{\"a\":1}", "{\"b\":1}", false },
    { "unequal: other value",  "{\"a\":{\"b\":1}}", "{\"a\":{\"b\":2}}", false },
    { "unequal: numbers by their text", "1.0", "1", false },
    { "unequal: number and string", "1", "\"1\"", false },
    { "unequal: true and false", "true", "false", false },
    { "unequal: null and {}",  "null", "{}", false },
    { "unequal: strings",      "\"a\"", "\"A\"", false },
};
static const struct subkey { const char *name, *text; unsigned depth; const char *result; } subkeys[] = {
    { "subkeys of leaves",   "{\"a\":1,\"b\":\"x\",\"c\":true,\"d\":null}", 0, "{\"a\":null,\"b\":null,\"c\":null,\"d\":null}" },
    { "subkeys nested",      "{ \"a\" : {\"b\":{\"c\":1}} , \"d\":[{\"e\":1}]}", 0, "{\"a\":{\"b\":{\"c\":null}},\"d\":null}" },
    { "subkeys depth 1",     "{\"a\":{\"b\":{\"c\":1}},\"d\":1}", 1, "{\"a\":null,\"d\":null}" },
    { "subkeys depth 2",     "{\"a\":{\"b\":{\"c\":1}},\"d\":1}", 2, "{\"a\":{\"b\":null},\"d\":null}" },
    { "subkeys of empties",  "{\"a\":{},\"b\":[],\"c\":{\"d\":{ }}}", 0, "{\"a\":null,\"b\":null,\"c\":{\"d\":null}}" },
    { "subkeys of {}",       "{}", 0, "{}" },
    { "subkeys of no object", "[1]", 0, "null" },
};
// clang-format on

static void compacts_text(void **state)
{
    const struct compact *row = *state;
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 1000);
    assert_true(kt_json_compact(doc(row->text), &out));
    assert_string_equal(kt_buf_text(&out), row->compact);
}

static void merges(void **state)
{
    const struct patch *row = *state;
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 1000);
    assert_true(kt_json_merge_patch(doc(row->target), doc(row->patch), &out));
    assert_string_equal(kt_buf_text(&out), row->result);
}

static void merges_into_nothing(void **state)
{
    (void)state;
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 1000);
    assert_true(kt_json_merge_patch((struct kt_json){0}, doc("{\"a\":1,\"b\":null}"), &out));
    assert_string_equal(kt_buf_text(&out), "{\"a\":1}");
    assert_false(kt_json_merge_patch(doc("{}"), (struct kt_json){0}, &out));
    assert_false(kt_json_compact((struct kt_json){0}, &out));
    assert_false(kt_json_subkeys((struct kt_json){0}, 0, &out));
    struct kt_buf small;
    kt_buf_init(&small, 6);
    assert_false(kt_json_merge_patch(doc("{\"a\":1}"), doc("{\"b\":1}"), &small));
    kt_buf_free(&small);
}

/* 600 keys against 600 keys, half of them the same, every fourth removed. */
static void merges_many_keys(void **state)
{
    (void)state;
    kt_autobuf struct kt_buf target, patch, out;
    kt_buf_init(&target, 100000);
    kt_buf_init(&patch, 100000);
    kt_buf_init(&out, 100000);
    for (unsigned i = 0; i < 600; i++) {
        kt_buf_printf(&target, "%c\"k%u\":%u", i == 0 ? '{' : ',', i, i);
        kt_buf_printf(&patch, "%c\"k%u\":%s", i == 0 ? '{' : ',', i + 300,
                      i % 4 == 0 ? "null" : "\"new\"");
    }
    kt_buf_add_text(&target, "}");
    kt_buf_add_text(&patch, "}");
    assert_true(kt_json_merge_patch(doc(kt_buf_text(&target)), doc(kt_buf_text(&patch)), &out));
    struct kt_json value, merged = doc(kt_buf_text(&out));
    assert_int_equal(kt_json_count(merged), 900 - 150);
    for (unsigned i = 0; i < 900; i++) {
        char key[8], number[8];
        (void)snprintf(key, sizeof key, "k%u", i);
        (void)snprintf(number, sizeof number, "%u", i);
        bool there = kt_json_member(merged, key, &value);
        assert_int_equal(there, i < 300 || i % 4 != 0);
        if (there)
            assert_json(value, i < 300 ? number : "\"new\"");
    }
}

static void compares(void **state)
{
    const struct pair *row = *state;
    assert_int_equal(kt_json_equal(doc(row->a), doc(row->b)), row->equal);
    assert_int_equal(kt_json_equal(doc(row->b), doc(row->a)), row->equal);
}

static void lists_subkeys(void **state)
{
    const struct subkey *row = *state;
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 1000);
    assert_true(kt_json_subkeys(doc(row->text), row->depth, &out));
    assert_string_equal(kt_buf_text(&out), row->result);
}

/* ---- trees ---- */

static void loads_trees(void **state)
{
    (void)state;
    struct kt_err err = {0};
    json_t *tree = kt_json_load(kt_str(" {\"a\":[1,2.5,\"x\"]} "), NULL, &err);
    assert_non_null(tree);
    assert_int_equal(json_array_size(json_object_get(tree, "a")), 3);
    json_decref(tree);
    tree = kt_json_load(kt_str("7"), NULL, &err);
    assert_int_equal(json_integer_value(tree), 7);
    json_decref(tree);
    assert_null(kt_json_load(kt_str("[12345678901234567890]"), NULL, &err));
    assert_int_equal(err.kind, KT_INVALID);
    assert_non_null(strstr(err.what, "a number is out of range"));
    assert_null(strstr(err.what, "1234"));
    assert_null(kt_json_load(kt_str("{\"a\":1,\"a\":1}"), NULL, &err));
    assert_null(kt_json_load(kt_str("{\"a\""), NULL, NULL));
}

#ifdef KT_FAULT
static void out_of_memory_is_said(void **state)
{
    (void)state;
    kt_autobuf struct kt_buf text, out;
    kt_buf_init(&text, 100000);
    kt_buf_init(&out, 100000);
    keys_text(&text, 1000);
    struct kt_json value = kt_json_value(kt_buf_bytes(&text));
    struct kt_json patch = doc("{\"a\":{\"b\":{\"c\":1}}}");
    bool checked = false, merged = false;
    for (unsigned long nth = 1; !checked || !merged; nth++) {
        struct kt_err err = {0};
        (void)kt_fail_allocation(nth);
        enum kt_kind kind = kt_json_check(kt_buf_bytes(&text), NULL, &err);
        checked = kt_fail_allocation(nth) < nth;
        assert_int_equal(kind, checked ? KT_OK : KT_NO_MEMORY);
        kt_buf_free(&out);
        bool ok = kt_json_merge_patch(value, patch, &out);
        merged = kt_fail_allocation(0) < nth;
        assert_int_equal(ok, merged);
        kt_buf_reset(&out);
        assert_true(nth < 100);
    }
}
#endif

int main(void)
{
    static const struct CMUnitTest single[] = {
        cmocka_unit_test(refuses_raw_nul),
        cmocka_unit_test(errors_hold_no_content),
        cmocka_unit_test(limits_can_be_given),
        cmocka_unit_test(duplicates_are_found_among_many),
        cmocka_unit_test(knows_types),
        cmocka_unit_test(finds_members),
        cmocka_unit_test(iterates),
        cmocka_unit_test(decodes_strings_only),
        cmocka_unit_test(merges_into_nothing),
        cmocka_unit_test(merges_many_keys),
        cmocka_unit_test(loads_trees),
#ifdef KT_FAULT
        cmocka_unit_test(out_of_memory_is_said),
#endif
    };
    struct CMUnitTest tests[COUNT(single) + COUNT(accepted) + COUNT(refused) + COUNT(limits) +
                            COUNT(decoded) + COUNT(integers) + COUNT(compacts) + COUNT(patches) +
                            COUNT(subkeys) + COUNT(pairs)];
    memcpy(tests, single, sizeof single);
    size_t n = COUNT(single);
#define ADD(rows, test) n = add_rows(tests, n, rows, COUNT(rows), sizeof(rows)[0], test)
    ADD(accepted, accepts);
    ADD(refused, refuses);
    ADD(limits, holds_limit);
    ADD(decoded, decodes);
    ADD(integers, reads_integers);
    ADD(compacts, compacts_text);
    ADD(patches, merges);
    ADD(subkeys, lists_subkeys);
    ADD(pairs, compares);
    kt_json_init();
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
