#include "lib/hcl/hcl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "tests/support/rows.h"
#include <stdio.h>
#include <stdlib.h>

#include "lib/failpoint.h"

#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])

/* ---- what is accepted, as printed canonically ---- */

// clang-format off
static const struct printed { const char *name, *text, *canonical; } printed[] = {
    { "empty",                   "",                              "" },
    { "only comments",           "# a\n// b\n/* c\n * d */",      "" },
    { "attribute",               "a = 1",                         "a = 1\n" },
    { "quoted key",              "\"a\" = 1",                     "a = 1\n" },
    { "key that needs quotes",   "\"a b\" = 1",                   "\"a b\" = 1\n" },
    { "quoted true is a key",    "\"true\" = 1",                  "\"true\" = 1\n" },
    { "bare key's characters",   "a_b-c.d9 = 1",                  "a_b-c.d9 = 1\n" },
    { "policy on one line",      "path \"secret/*\" { capabilities = [\"read\", \"list\"] }",
      "path \"secret/*\" {\n  capabilities = [\"read\", \"list\"]\n}\n" },
    { "two keys on one line",    "b { x = 1 y = 2 }",             "b {\n  x = 1\n  y = 2\n}\n" },
    { "commas between keys",     "b { x = 1, y = 2, }, c = 3,",   "b {\n  x = 1\n  y = 2\n}\nc = 3\n" },
    { "bare label",              "path foo { }",                  "path \"foo\" {}\n" },
    { "empty label",             "path \"\" { }",                 "path \"\" {}\n" },
    { "four labels",             "a b \"c\" d e {}",              "a \"b\" \"c\" \"d\" \"e\" {}\n" },
    { "no label",                "a {}",                          "a {}\n" },
    { "blocks repeat",           "a {} a {} a \"x\" {}",          "a {}\na {}\na \"x\" {}\n" },
    { "brace on the next line",  "a\n\"b\"\n{\nx\n=\n1\n}",       "a \"b\" {\n  x = 1\n}\n" },
    { "object value",            "a = { b = 1, \"c d\" = [] }",   "a = {\n  b = 1\n  \"c d\" = []\n}\n" },
    { "objects by new lines",    "a = {\nb = 1\nc = 2\n}",        "a = {\n  b = 1\n  c = 2\n}\n" },
    { "empty object",            "a = {}",                        "a = {}\n" },
    { "block inside an object",  "a = { b \"c\" { d = 1 } }",     "a = {\n  b \"c\" {\n    d = 1\n  }\n}\n" },
    { "numbers as written",      "a = [0, -1, 1.50, 1e5, 1.5E-3, 0x1F, -0xff, 0600, 12345678901234567890]",
      "a = [0, -1, 1.50, 1e5, 1.5E-3, 0x1F, -0xff, 0600, 12345678901234567890]\n" },
    { "booleans",                "a = true b = false",            "a = true\nb = false\n" },
    { "trailing comma",          "a = [1, 2,]",                   "a = [1, 2]\n" },
    { "list over lines",         "a = [\n1, # one\n2 // two\n,\n]", "a = [1, 2]\n" },
    { "nested lists",            "a = [[1], [], [\"x\", [2]]]",   "a = [\n  [1],\n  [],\n  [\n    \"x\",\n    [2],\n  ],\n]\n" },
    { "list of objects",         "a = [{ b = 1 }, {}]",           "a = [\n  {\n    b = 1\n  },\n  {},\n]\n" },
    { "mixed list",              "a = [1, \"x\", true]",          "a = [1, \"x\", true]\n" },
    { "escapes",                 "a = \"\\n\\t\\r\\\"\\\\\\a\\b\\f\\v\"", "a = \"\\n\\t\\r\\\"\\\\\\a\\b\\f\\v\"\n" },
    { "unicode escapes",         "a = \"\\u00e9\\u20AC\\U0001f511\\u0001\"", "a = \"\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\x91\\u0001\"\n" },
    { "raw tab in a string",     "a = \"x\ty\"",                  "a = \"x\\ty\"\n" },
    { "templates stay",          "a = \"${b} {{identity.entity.id}} $\"", "a = \"${b} {{identity.entity.id}} $\"\n" },
    { "comment marks in strings", "a = \"# // /* */\"",           "a = \"# // /* */\"\n" },
    { "comment at the end",      "a = 1 # x",                     "a = 1\n" },
    { "comment inside a line",   "a /* x */ = /**/ 1",            "a = 1\n" },
    { "windows line ends",       "a = 1\r\nb = 2\r\n",            "a = 1\nb = 2\n" },
    { "heredoc",                 "a = <<EOF\nx \"y\" \\n ${z}\n  w\nEOF\nb = 1", "a = \"x \\\"y\\\" \\\\n ${z}\\n  w\\n\"\nb = 1\n" },
    { "empty heredoc",           "a = <<EOF\nEOF",                "a = \"\"\n" },
    { "heredoc, indented end",   "a = <<EOF\n  x\n  EOF\n",       "a = \"  x\\n\"\n" },
    { "heredoc, marker inside",  "a = <<EOF\nEOFX\nxEOF\nEOF y\nEOF\n", "a = \"EOFX\\nxEOF\\nEOF y\\n\"\n" },
    { "heredoc unindents",       "a = <<-EOF\n    x\n      y\n\t\n    EOF\n", "a = \"    x\\n      y\\n\\t\\n\"\n" },
    { "heredoc unindents all",   "a = <<-EOF\n    x\n      y\n    EOF\n", "a = \"x\\n  y\\n\"\n" },
    { "heredoc in a list",       "a = [<<A\nx\nA\n, <<B\ny\nB\n]", "a = [\"x\\n\", \"y\\n\"]\n" },
    { "heredoc, windows ends",   "a = <<EOF\r\nx\r\nEOF\r\n",     "a = \"x\\r\\n\"\n" },
    { "JSON policy",             "{\"path\":{\"secret/*\":{\"capabilities\":[\"read\"]}}}",
      "path = {\n  \"secret/*\" = {\n    capabilities = [\"read\"]\n  }\n}\n" },
    { "JSON values",             " \n{\"a\":1.10,\"b\":true,\"c\":[{\"d\":\"\\u00e9\\n\"},[]],\"e\":{}}",
      "a = 1.10\nb = true\nc = [\n  {\n    d = \"\xc3\xa9\\n\"\n  },\n  [],\n]\ne = {}\n" },
    { "JSON empty key",          "{\"\":1}",                      "\"\" = 1\n" },
    { "JSON empty",              "{}",                            "" },
};

/* ---- what is refused, where, and how it is said ---- */
static const struct refused { const char *name, *text, *what; } refused[] = {
    { "key alone",              "a",               "f.hcl:1:2: expected '=' or '{' after a key" },
    { "value missing",          "a =",             "f.hcl:1:4: the text ends where a value was expected" },
    { "value bare",             "a = b",           "f.hcl:1:5: expected a value; text stands in double quotes" },
    { "function call",          "a = file(\"x\")", "f.hcl:1:5: expected a value; text stands in double quotes" },
    { "value a brace",          "a = }",           "f.hcl:1:5: expected a value" },
    { "two equals",             "a == 1",          "f.hcl:1:4: expected a value" },
    { "label then equals",      "a \"b\" = 1",     "f.hcl:1:7: expected '{' after a block's label" },
    { "label then end",         "a b",             "f.hcl:1:4: expected '{' after a block's label" },
    { "five labels",            "a b c d e f {}",  "f.hcl:1:11: a block has more than 4 labels" },
    { "number as key",          "1 = 1",           "f.hcl:1:1: expected a key" },
    { "true as key",            "true = 1",        "f.hcl:1:1: expected a key" },
    { "list as key",            "[1]",             "f.hcl:1:1: expected a key" },
    { "comma first",            ", a = 1",         "f.hcl:1:1: expected a key" },
    { "two commas",             "a = 1,, b = 1",   "f.hcl:1:7: expected a key" },
    { "open block",             "a {\n b = 1\n",   "f.hcl:3:1: the text ends inside a block: '}' is missing" },
    { "brace too many",         "a {}\n}",         "f.hcl:2:1: a '}' too many" },
    { "open list",              "a = [1, 2",       "f.hcl:1:10: expected ',' or ']' in a list" },
    { "open list after comma",  "a = [1,",         "f.hcl:1:8: the text ends where a value was expected" },
    { "list without comma",     "a = [1 2]",       "f.hcl:1:8: expected ',' or ']' in a list" },
    { "list with two commas",   "a = [1,,2]",      "f.hcl:1:8: expected a value" },
    { "list with a brace",      "a = [1}",         "f.hcl:1:7: expected ',' or ']' in a list" },
    { "path without quotes",    "path secret/* {", "f.hcl:1:12: a comment does not end: '*/' is missing" },
    { "slash",                  "path a/b { }",    "f.hcl:1:7: an unexpected character; text stands in double quotes" },
    { "single quotes",          "a = 'b'",         "f.hcl:1:5: an unexpected character; text stands in double quotes" },
    { "form feed",              "a = \f1",         "f.hcl:1:5: an unexpected character; text stands in double quotes" },
    { "accent in a bare key",   "\xc3\xa9 = 1",    "f.hcl:1:1: an unexpected character; text stands in double quotes" },
    { "open string",            "a = \"b",         "f.hcl:1:5: a string does not end on its line; use \\n or a heredoc (<<EOF)" },
    { "open string, backslash", "a = \"b\\",       "f.hcl:1:5: a string does not end on its line; use \\n or a heredoc (<<EOF)" },
    { "open string, escaped quote", "a = \"b\\\"", "f.hcl:1:5: a string does not end on its line; use \\n or a heredoc (<<EOF)" },
    { "string over lines",      "a = \"b\nc\"",    "f.hcl:1:5: a string does not end on its line; use \\n or a heredoc (<<EOF)" },
    { "unknown escape",         "a = \"b\\x41\"",  "f.hcl:1:7: an unknown escape; a backslash itself is written \\\\" },
    { "short \\u",              "a = \"\\u12\"",   "f.hcl:1:6: \\u needs four hexadecimal digits" },
    { "short \\U",              "a = \"\\U0001f51\"", "f.hcl:1:6: \\U needs eight hexadecimal digits" },
    { "surrogate",              "a = \"\\ud83d\\udd11\"", "f.hcl:1:6: this escape is no character; above \\uFFFF use \\UXXXXXXXX" },
    { "beyond Unicode",         "a = \"\\U00110000\"", "f.hcl:1:6: this escape is no character; above \\uFFFF use \\UXXXXXXXX" },
    { "NUL escape",             "a = \"\\u0000\"", "f.hcl:1:6: this escape is no character; above \\uFFFF use \\UXXXXXXXX" },
    { "control in a string",    "a = \"\x01\"",    "f.hcl:1:6: a control character in a string must be escaped" },
    { "carriage return in a string", "a = \"\r\"", "f.hcl:1:6: a control character in a string must be escaped" },
    { "column counts characters", "\"\xc3\xa9\xf0\x9f\x94\x91\" = \xc3", "f.hcl:1:8: invalid UTF-8" },
    { "invalid UTF-8 in a comment", "# \xff\n",    "f.hcl:1:3: invalid UTF-8" },
    { "byte order mark",        "\xef\xbb\xbf" "a = 1", "f.hcl:1:1: a byte order mark; save the file without it" },
    { "open comment",           "a = 1 /* x",      "f.hcl:1:7: a comment does not end: '*/' is missing" },
    { "comment closed too soon", "/*/",            "f.hcl:1:1: a comment does not end: '*/' is missing" },
    { "lone slash",             "/",               "f.hcl:1:1: an unexpected character; text stands in double quotes" },
    { "unquoted duration",      "a = 5m",          "f.hcl:1:5: this is no number; put sizes and durations in double quotes" },
    { "number ends in a point", "a = 1.",          "f.hcl:1:5: this is no number; put sizes and durations in double quotes" },
    { "number ends in an e",    "a = 1e",          "f.hcl:1:5: this is no number; put sizes and durations in double quotes" },
    { "minus alone",            "a = -",           "f.hcl:1:5: this is no number; put sizes and durations in double quotes" },
    { "hex without digits",     "a = 0x",          "f.hcl:1:5: this is no number; put sizes and durations in double quotes" },
    { "hex with a wrong digit", "a = 0xfg",        "f.hcl:1:5: this is no number; put sizes and durations in double quotes" },
    { "wrong octal",            "a = 0680",        "f.hcl:1:5: this is no number; put sizes and durations in double quotes" },
    { "number then letter",     "a = 1\xc3\xa9",   "f.hcl:1:5: this is no number; put sizes and durations in double quotes" },
    { "heredoc without a word", "a = <<\nEOF\n",   "f.hcl:1:5: a heredoc begins with << and a word, and its text on a new line" },
    { "heredoc on one line",    "a = <<EOF x\nEOF", "f.hcl:1:5: a heredoc begins with << and a word, and its text on a new line" },
    { "heredoc without end",    "a = <<EOF\nx\n",  "f.hcl:1:5: a heredoc does not end: no line holds its closing word alone" },
    { "heredoc cut at the word", "a = <<EOF",      "f.hcl:1:5: a heredoc begins with << and a word, and its text on a new line" },
    { "duplicate attribute",    "a = 1\nb = 2\na = 3", "f.hcl:3:1: 'a' stands here already, on line 1" },
    { "duplicate, quoted",      "x {\n a = 1\n \"a\" = 3\n}", "f.hcl:3:2: 'a' stands here already, on line 2" },
    { "attribute and block",    "a = 1\na {}",     "f.hcl:2:1: 'a' stands here already, on line 1" },
    { "block and attribute",    "a {}\na = 1",     "f.hcl:2:1: 'a' stands here already, on line 1" },
    { "control in a key",       "\"\\n\" = 1\n\"\\n\" = 2", "f.hcl:2:1: '?' stands here already, on line 1" },
    { "JSON duplicate",         "{\"a\":1,\n\"a\":2}", "f.hcl:2:1: a key stands twice in one object" },
    { "JSON cut",               "{\"a\":1",        "f.hcl:1:7: the text ends inside an object" },
    { "JSON null",              "{\"a\":\nnull}",  "f.hcl:2:1: null says nothing here; leave the key out" },
    { "JSON with a comment",    "{ # x\n}",        "f.hcl:1:3: expected a key in double quotes" },
    { "JSON then HCL",          "{}\na = 1",       "f.hcl:2:1: something follows the value" },
};
// clang-format on

static struct kt_hcl_body *parse(const char *text)
{
    struct kt_hcl_body *root = NULL;
    struct kt_err err = {0};
    if (kt_hcl_parse(kt_str(text), "f.hcl", &root, &err) != KT_OK)
        fail_msg("%s", err.what);
    return root;
}

static void prints(void **state)
{
    const struct printed *row = *state;
    kt_autohcl struct kt_hcl_body *root = parse(row->text);
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 100000);
    kt_hcl_print(root, &out);
    assert_string_equal(kt_buf_text(&out), row->canonical);
    kt_autohcl struct kt_hcl_body *again = parse(kt_buf_text(&out));
    kt_buf_reset(&out);
    kt_hcl_print(again, &out);
    assert_string_equal(kt_buf_text(&out), row->canonical);
}

static void refuses(void **state)
{
    const struct refused *row = *state;
    /* An own copy without a NUL, so that ASan sees a read beyond the end. */
    size_t len = strlen(row->text);
    char *copy = malloc(len);
    assert_non_null(copy);
    memcpy(copy, row->text, len);
    struct kt_hcl_body *root = NULL;
    struct kt_err err = {0};
    enum kt_kind kind = kt_hcl_parse(kt_bytes(copy, len), "f.hcl", &root, &err);
    free(copy);
    assert_null(root);
    assert_int_equal(kind, KT_INVALID);
    assert_string_equal(err.what, row->what);
}

static void refuses_raw_nul(void **state)
{
    (void)state;
    struct kt_hcl_body *root = NULL;
    struct kt_err err = {0};
    assert_int_equal(kt_hcl_parse(kt_bytes("a = 1\n\0", 7), "f", &root, &err), KT_INVALID);
    assert_string_equal(err.what, "f:2:1: a NUL byte");
    assert_int_equal(kt_hcl_parse(kt_bytes(NULL, 0), "f", &root, &err), KT_OK);
    assert_int_equal(root->count, 0);
    kt_hcl_free(root);
    kt_hcl_free(NULL);
}

/* ---- limits ---- */

static void add_times(struct kt_buf *buf, const char *text, size_t times)
{
    for (size_t i = 0; i < times; i++)
        kt_buf_add_text(buf, text);
}
static void deep_blocks(struct kt_buf *buf, size_t n)
{
    add_times(buf, "a {", n - 1);
    add_times(buf, "}", n - 1);
}
static void deep_lists(struct kt_buf *buf, size_t n)
{
    kt_buf_add_text(buf, "a = ");
    add_times(buf, "[", n - 1);
    add_times(buf, "]", n - 1);
}
static void deep_json(struct kt_buf *buf, size_t n)
{
    kt_buf_add_text(buf, "{\"a\":");
    add_times(buf, "[", n - 1);
    add_times(buf, "]", n - 1);
    kt_buf_add_text(buf, "}");
}
static void many_values(struct kt_buf *buf, size_t n)
{
    kt_buf_add_text(buf, "a=[");
    add_times(buf, "1,", n - 2);
    kt_buf_add_text(buf, "]");
}
static void many_blocks(struct kt_buf *buf, size_t n)
{
    add_times(buf, "a b {}", n / 2);
    add_times(buf, "a {}", n % 2);
}
static void many_json(struct kt_buf *buf, size_t n)
{
    kt_buf_add_text(buf, "{\"a\":[1");
    add_times(buf, ",1", n - 3);
    kt_buf_add_text(buf, "]}");
}
static void many_bytes(struct kt_buf *buf, size_t n)
{
    kt_buf_add_text(buf, "a=\"");
    add_times(buf, "x", n - 4);
    kt_buf_add_text(buf, "\"");
}

// clang-format off
static const struct limit {
    const char *name;
    void (*make)(struct kt_buf *buf, size_t n);
    size_t limit;
    enum kt_kind kind;
    const char *what;
} limits[] = {
    { "levels of blocks",  deep_blocks, 32,          KT_INVALID,   "nested deeper than 32 levels" },
    { "levels of lists",   deep_lists,  32,          KT_INVALID,   "nested deeper than 32 levels" },
    { "levels of JSON",    deep_json,   32,          KT_INVALID,   "nested deeper than the limit (32)" },
    { "values",            many_values, 10000,       KT_INVALID,   "more than 10000 keys, labels and values" },
    { "keys and labels",   many_blocks, 10000,       KT_INVALID,   "more than 10000 keys, labels and values" },
    { "JSON values",       many_json,   10000,       KT_INVALID,   "more than 10000 keys, labels and values" },
    { "bytes",             many_bytes,  1024 * 1024, KT_TOO_LARGE, "f.hcl: longer than 1048576 bytes" },
};
// clang-format on

static void holds_limit(void **state)
{
    const struct limit *row = *state;
    kt_autobuf struct kt_buf buf;
    kt_buf_init(&buf, (size_t)4 * 1024 * 1024);
    row->make(&buf, row->limit);
    kt_hcl_free(parse(kt_buf_text(&buf)));
    kt_buf_reset(&buf);
    row->make(&buf, row->limit + 1);
    struct kt_hcl_body *none = NULL;
    struct kt_err err = {0};
    assert_int_equal(kt_hcl_parse(kt_buf_bytes(&buf), "f.hcl", &none, &err), row->kind);
    assert_null(none);
    assert_non_null(strstr(err.what, row->what));
}

/* 5,000 keys: duplicates are looked for without comparing each with each. */
static void many_keys_are_cheap(void **state)
{
    (void)state;
    kt_autobuf struct kt_buf buf;
    kt_buf_init(&buf, (size_t)1024 * 1024);
    for (unsigned i = 0; i < 5000; i++)
        kt_buf_printf(&buf, "key_of_some_length_%u=1\n", i);
    kt_autohcl struct kt_hcl_body *root = parse(kt_buf_text(&buf));
    assert_int_equal(root->count, 5000);
    assert_int_equal(kt_hcl_find(root, "key_of_some_length_4999")->pos.line, 5000);
}

/* ---- the tree ---- */

static void places_are_known(void **state)
{
    (void)state;
    kt_autohcl struct kt_hcl_body *root =
        parse("# x\n\"\xc3\xa9\" = 1\n  b \"l\" {\n    c = [1,\n      \"x\"] }\n");
    const struct kt_hcl_item *item = root->first;
    assert_int_equal(item->pos.line, 2);
    assert_int_equal(item->pos.column, 1);
    assert_int_equal(item->value.pos.column, 7);
    item = item->next;
    assert_true(item->block);
    assert_int_equal(item->pos.line, 3);
    assert_int_equal(item->pos.column, 3);
    assert_int_equal(item->value.pos.column, 9);
    assert_string_equal(item->labels[0], "l");
    const struct kt_hcl_value *list = &kt_hcl_find(item->value.object, "c")->value;
    assert_int_equal(list->count, 2);
    assert_null(list->texts);
    assert_int_equal(list->first->next->pos.line, 5);
    assert_int_equal(list->first->next->pos.column, 7);
    assert_string_equal(list->pos.file, "f.hcl");
    assert_null(kt_hcl_find(root, "b"));
    assert_null(kt_hcl_find(root, "c"));
    kt_autohcl struct kt_hcl_body *json = parse("\n{ \"a\": [1,\n  {\"b\" : true}]}");
    item = json->first;
    assert_int_equal(item->pos.line, 2);
    assert_int_equal(item->pos.column, 3);
    item = item->value.first->next->object->first;
    assert_int_equal(item->pos.line, 3);
    assert_int_equal(item->pos.column, 4);
    assert_int_equal(item->value.pos.column, 10);
}

// clang-format off
static const struct block_row {
    const char *name, *text;
    size_t label_count;
    const char *found; /* "label/label:n " each, or the error */
} block_rows[] = {
    { "blocks",                   "p \"a\" { n = 1 } q \"x\" { n = 9 } p \"b\" { n = 2 }", 1, "a:1 b:2 " },
    { "none",                     "q {}",                                       1, "" },
    { "object of objects",        "p = { a = { n = 1 }, b = { n = 2 } }",       1, "a:1 b:2 " },
    { "block of blocks",          "p { a { n = 1 } b { n = 2 } }",              1, "a:1 b:2 " },
    { "JSON objects",             "{\"p\":{\"a\":{\"n\":1},\"b\":{\"n\":2}}}",  1, "a:1 b:2 " },
    { "JSON list of objects",     "{\"p\":[{\"a\":{\"n\":1}},{\"a\":{\"n\":2}}]}", 1, "a:1 a:2 " },
    { "JSON list below the label", "{\"p\":{\"a\":[{\"n\":1},{\"n\":2}]}}",     1, "a:1 a:2 " },
    { "JSON lists on both levels", "{\"p\":[{\"a\":[{\"n\":1},{\"n\":2}]},{\"b\":{\"n\":3}}]}", 1, "a:1 a:2 b:3 " },
    { "no label",                 "p { n = 1 } p { n = 2 }",                    0, ":1 :2 " },
    { "JSON without label",       "{\"p\":[{\"n\":1},{\"n\":2}]}",              0, ":1 :2 " },
    { "JSON empty list",          "{\"p\":[]}",                                 0, "" },
    { "two labels",               "p a b { n = 1 } p a { c { n = 2 } }",        2, "a/b:1 a/c:2 " },
    { "JSON, four labels",        "{\"p\":[{\"a\":[{\"b\":[{\"c\":[{\"d\":[{\"n\":1}]}]}]}]}]}", 4, "a/b/c/d:1 " },
    { "label missing",            "p { n = 1 }",         1, "f.hcl:1:9: expected a block of the form p \"...\" { ... }" },
    { "label missing, empty",     "p {}",                1, "f.hcl:1:1: expected a block of the form p \"...\" { ... }" },
    { "label too many",           "p a {}",              0, "f.hcl:1:1: expected a block of the form p { ... }" },
    { "second label too many",    "p a b {}",            1, "f.hcl:1:1: expected a block of the form p \"...\" { ... }" },
    { "nested label too many",    "p { a b {} }",        1, "f.hcl:1:5: expected a block of the form p \"...\" { ... }" },
    { "scalar",                   "p = 1",               1, "f.hcl:1:5: expected a block of the form p \"...\" { ... }" },
    { "scalar below the label",   "{\"p\":{\"a\":\"x\"}}", 1, "f.hcl:1:11: expected a block of the form p \"...\" { ... }" },
    { "list of lists",            "p = [[{}]]",          0, "f.hcl:1:6: expected a block of the form p { ... }" },
    { "good ones first",          "p a { n = 1 }\np = 1", 1, "" /* refused by the parser */ },
    { "good ones, then a bad one", "{\"p\":[{\"a\":{\"n\":1}},2]}", 1, "f.hcl:1:21: expected a block of the form p \"...\" { ... }" },
};
// clang-format on

static void finds_blocks(void **state)
{
    const struct block_row *row = *state;
    struct kt_hcl_body *root = NULL;
    struct kt_err err = {0};
    if (kt_hcl_parse(kt_str(row->text), "f.hcl", &root, &err) != KT_OK) {
        assert_string_equal(row->found, "");
        return;
    }
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 1000);
    struct kt_hcl_blocks it = kt_hcl_blocks(root, "p", row->label_count);
    struct kt_hcl_block block;
    while (kt_hcl_next(&it, &block, &err)) {
        int64_t n = 0;
        assert_int_equal(kt_hcl_get_int(block.body, "n", 1, 9, &n, &err), KT_OK);
        for (size_t i = 0; i < row->label_count; i++)
            kt_buf_printf(&out, "%s%s", i > 0 ? "/" : "", block.labels[i]);
        kt_buf_printf(&out, ":%d ", (int)n);
    }
    assert_string_equal(it.kind == KT_OK ? kt_buf_text(&out) : err.what, row->found);
    assert_false(kt_hcl_next(&it, &block, &err));
    kt_hcl_free(root);
}

static void finds_the_only_block(void **state)
{
    (void)state;
    struct kt_err err = {0};
    const struct kt_hcl_body *body = NULL;
    kt_autohcl struct kt_hcl_body *root = parse("a { x = 1 }\nb {}\nb {}\nc = 1\nd = { x = 2 }");
    assert_int_equal(kt_hcl_only_block(root, "a", &body, &err), KT_OK);
    assert_non_null(kt_hcl_find(body, "x"));
    assert_int_equal(kt_hcl_only_block(root, "d", &body, &err), KT_OK);
    assert_non_null(body);
    assert_int_equal(kt_hcl_only_block(root, "e", &body, &err), KT_OK);
    assert_null(body);
    assert_int_equal(kt_hcl_only_block(root, "b", &body, &err), KT_INVALID);
    assert_string_equal(err.what, "f.hcl:3:1: only one 'b' block may stand here; line 2 has one");
    assert_int_equal(kt_hcl_only_block(root, "c", &body, &err), KT_INVALID);
    assert_string_equal(err.what, "f.hcl:4:5: expected a block of the form c { ... }");
}

/* ---- typed values ---- */

enum getter { TEXT, BOOL, INT, DURATION, TEXTS };
// clang-format off
static const struct typed { const char *name; enum getter getter; const char *value, *result; } typed[] = {
    { "text",                  TEXT,     "\"x\"",      "x" },
    { "text, not a number",    TEXT,     "5",          "f.hcl:1:5: 'k' must be a string in double quotes, not this number" },
    { "text, not a boolean",   TEXT,     "true",       "f.hcl:1:5: 'k' must be a string in double quotes, not true or false" },
    { "text, not a list",      TEXT,     "[\"x\"]",    "f.hcl:1:5: 'k' must be a string in double quotes, not a list" },
    { "text, not a block",     TEXT,     "{}",         "f.hcl:1:5: 'k' must be a string in double quotes, not a block" },
    { "bool true",             BOOL,     "true",       "1" },
    { "bool false",            BOOL,     "false",      "0" },
    { "bool 1",                BOOL,     "1",          "1" },
    { "bool 0",                BOOL,     "0",          "0" },
    { "bool \"true\"",         BOOL,     "\"true\"",   "1" },
    { "bool \"T\"",            BOOL,     "\"T\"",      "1" },
    { "bool \"False\"",        BOOL,     "\"False\"",  "0" },
    { "bool \"0\"",            BOOL,     "\"0\"",      "0" },
    { "bool, not 2",           BOOL,     "2",          "f.hcl:1:5: 'k' must be true or false, not this number" },
    { "bool, not yes",         BOOL,     "\"yes\"",    "f.hcl:1:5: 'k' must be true or false, not this string" },
    { "bool, not empty",       BOOL,     "\"\"",       "f.hcl:1:5: 'k' must be true or false, not this string" },
    { "bool, not a list",      BOOL,     "[]",         "f.hcl:1:5: 'k' must be true or false, not a list" },
    { "int",                   INT,      "42",         "42" },
    { "int negative",          INT,      "-5",         "-5" },
    { "int hexadecimal",       INT,      "0xFf",       "255" },
    { "int octal",             INT,      "0600",       "384" },
    { "int zero",              INT,      "0",          "0" },
    { "int as a string",       INT,      "\"7\"",      "7" },
    { "int, largest",          INT,      "1000",       "1000" },
    { "int, too large",        INT,      "1001",       "f.hcl:1:5: 'k' must be between -10 and 1000" },
    { "int, too small",        INT,      "-11",        "f.hcl:1:5: 'k' must be between -10 and 1000" },
    { "int of 20 digits",      INT,      "99999999999999999999", "f.hcl:1:5: 'k' must be a whole number, not this number" },
    { "int, no fraction",      INT,      "5.0",        "f.hcl:1:5: 'k' must be a whole number, not this number" },
    { "int, no exponent",      INT,      "1e3",        "f.hcl:1:5: 'k' must be a whole number, not this number" },
    { "int, no word",          INT,      "\"x\"",      "f.hcl:1:5: 'k' must be a whole number, not this string" },
    { "int, no empty string",  INT,      "\"\"",       "f.hcl:1:5: 'k' must be a whole number, not this string" },
    { "int, no minus alone",   INT,      "\"-\"",      "f.hcl:1:5: 'k' must be a whole number, not this string" },
    { "int, no 0x alone",      INT,      "\"0x\"",     "f.hcl:1:5: 'k' must be a whole number, not this string" },
    { "int, no wrong octal",   INT,      "\"08\"",     "f.hcl:1:5: 'k' must be a whole number, not this string" },
    { "int, no colon",         INT,      "\"1:\"",     "f.hcl:1:5: 'k' must be a whole number, not this string" },
    { "duration in seconds",   DURATION, "90",         "90000" },
    { "duration text",         DURATION, "\"1h30m\"",  "5400000" },
    { "duration in days",      DURATION, "\"30d\"",    "2592000000" },
    { "duration, not rubbish", DURATION, "\"soon\"",   "f.hcl:1:5: 'k' must be a duration such as \"90s\", \"1h30m\" or \"30d\", not this string" },
    { "duration, not negative", DURATION, "-1",        "f.hcl:1:5: 'k' must be a duration such as \"90s\", \"1h30m\" or \"30d\", not this number" },
    { "duration, not a bool",  DURATION, "true",       "f.hcl:1:5: 'k' must be a duration such as \"90s\", \"1h30m\" or \"30d\", not true or false" },
    { "texts",                 TEXTS,    "[\"a\", \"b\"]", "a,b," },
    { "no texts",              TEXTS,    "[]",         "" },
    { "texts, not one string", TEXTS,    "\"a\"",      "f.hcl:1:5: 'k' must be a list of strings such as [\"a\", \"b\"], not this string" },
    { "texts, not a number",   TEXTS,    "[\"a\", 1, {}]", "f.hcl:1:11: 'k' must be a list of strings only, not this number" },
    { "texts, not a block",    TEXTS,    "[{}]",       "f.hcl:1:6: 'k' must be a list of strings only, not a block" },
};
// clang-format on

static enum kt_kind get(const struct kt_hcl_body *root, const char *key, enum getter getter,
                        struct kt_buf *out, struct kt_err *err)
{
    const char *text = "preset";
    bool yes = false;
    int64_t n = 0;
    uint64_t ms = 0;
    const char *const *texts = NULL;
    size_t count = 0;
    enum kt_kind kind = KT_INTERNAL;
    switch (getter) {
    case TEXT:
        kind = kt_hcl_get_text(root, key, &text, err);
        kt_buf_add_text(out, text);
        break;
    case BOOL:
        kind = kt_hcl_get_bool(root, key, &yes, err);
        kt_buf_printf(out, "%d", yes);
        break;
    case INT:
        kind = kt_hcl_get_int(root, key, -10, 1000, &n, err);
        kt_buf_printf(out, "%d", (int)n);
        break;
    case DURATION:
        kind = kt_hcl_get_duration(root, key, &ms, err);
        kt_buf_printf(out, "%ju", (uintmax_t)ms);
        break;
    case TEXTS:
        kind = kt_hcl_get_texts(root, key, &texts, &count, err);
        for (size_t i = 0; i < count; i++)
            kt_buf_printf(out, "%s,", texts[i]);
        if (texts != NULL)
            assert_null(texts[count]);
        break;
    }
    return kind;
}

static void reads_type(void **state)
{
    const struct typed *row = *state;
    kt_autobuf struct kt_buf text, out;
    kt_buf_init(&text, 1000);
    kt_buf_init(&out, 1000);
    kt_buf_printf(&text, "k = %s", row->value);
    kt_autohcl struct kt_hcl_body *root = parse(kt_buf_text(&text));
    struct kt_err err = {0};
    enum kt_kind kind = get(root, "k", row->getter, &out, &err);
    assert_string_equal(kind == KT_OK ? kt_buf_text(&out) : err.what, row->result);
    assert_true(kind == KT_OK || kind == KT_INVALID);
}

static void what_is_absent_leaves_the_preset(void **state)
{
    (void)state;
    static const char *const results[] = {"preset", "0", "0", "0", ""};
    kt_autohcl struct kt_hcl_body *root = parse("a = 1 b {}");
    struct kt_err err = {0};
    for (unsigned i = 0; i < COUNT(results); i++) {
        kt_autobuf struct kt_buf out;
        kt_buf_init(&out, 1000);
        assert_int_equal(get(root, "k", (enum getter)i, &out, &err), KT_OK);
        assert_string_equal(kt_buf_text(&out), results[i]);
        assert_int_equal(get(root, "b", (enum getter)i, &out, &err), KT_INVALID);
        assert_non_null(strstr(err.what, "not a block"));
    }
}

static void values_alone_have_no_name(void **state)
{
    (void)state;
    kt_autohcl struct kt_hcl_body *root = parse("a = [1, \"5s\", true, {}]");
    const struct kt_hcl_value *v = root->first->value.first;
    struct kt_err err = {0};
    const char *text = NULL, *const *texts = NULL;
    int64_t n = 0;
    uint64_t ms = 0;
    bool yes = false;
    size_t count = 0;
    assert_int_equal(kt_hcl_as_int(v, 0, 1, &n, &err), KT_OK);
    assert_int_equal(kt_hcl_as_int(v, 2, 3, &n, &err), KT_INVALID);
    assert_string_equal(err.what, "f.hcl:1:6: this number must be between 2 and 3");
    assert_int_equal(kt_hcl_as_text(v, &text, &err), KT_INVALID);
    assert_string_equal(err.what, "f.hcl:1:6: expected a string in double quotes, not this number");
    v = v->next;
    assert_int_equal(kt_hcl_as_duration(v, &ms, &err), KT_OK);
    assert_int_equal(ms, 5000);
    assert_int_equal(kt_hcl_as_bool(v, &yes, &err), KT_INVALID);
    v = v->next;
    assert_int_equal(kt_hcl_as_bool(v, &yes, &err), KT_OK);
    assert_true(yes);
    assert_int_equal(kt_hcl_as_texts(v->next, &texts, &count, &err), KT_INVALID);
}

/* ---- unknown keys ---- */

static const char *const known_keys[] = {"address", "tls_cert_file", "tls_key_file", "mode", NULL};

// clang-format off
static const struct unknown { const char *name, *text, *what; } unknown[] = {
    { "all are known",      "address = 1 mode {}",  "" },
    { "a letter missing",   "adress = 1",           "f.hcl:1:1: unknown key 'adress'; did you mean 'address'?" },
    { "two swapped",        "mdoe = 1",             "f.hcl:1:1: unknown key 'mdoe'; did you mean 'mode'?" },
    { "the nearer one",     "tls_cey_file = 1",     "f.hcl:1:1: unknown key 'tls_cey_file'; did you mean 'tls_key_file'?" },
    { "a block",            "\nmodes \"x\" {}",     "f.hcl:2:1: unknown key 'modes'; did you mean 'mode'?" },
    { "nothing near",       "colour = 1",           "f.hcl:1:1: unknown key 'colour'" },
    { "empty",              "\"\" = 1",             "f.hcl:1:1: unknown key ''" },
    { "control characters", "\"\\u001b[2J\" = 1",   "f.hcl:1:1: unknown key '?[2J'" },
    { "long",               "aaaaaaaaaabbbbbbbbbbaaaaaaaaaabbbbbbbbbbaaaaaaaaaabbbbbbbbbbaaaaaaaaaabbbbbbbbbb = 1",
      "f.hcl:1:1: unknown key 'aaaaaaaaaabbbbbbbbbbaaaaaaaaaabbbbbbbbbbaaaaaaaaaabbbbbbbbbbaaaa...'" },
};
// clang-format on

static void names_unknown(void **state)
{
    const struct unknown *row = *state;
    kt_autohcl struct kt_hcl_body *root = parse(row->text);
    struct kt_err err = {0};
    enum kt_kind kind = kt_hcl_check_known(root, known_keys, NULL, NULL, &err);
    assert_int_equal(kind, row->what[0] == '\0' ? KT_OK : KT_INVALID);
    assert_string_equal(err.what, row->what);
    if (kind != KT_OK)
        assert_string_equal(err.hint, "known here: address, tls_cert_file, tls_key_file, mode");
}

static void note(const struct kt_hcl_item *item, const char *nearest, void *arg)
{
    kt_buf_printf(arg, "%u %s %s\n", item->pos.line, item->key, nearest != NULL ? nearest : "-");
}

static void warns_of_every_unknown(void **state)
{
    (void)state;
    kt_autohcl struct kt_hcl_body *root = parse("adress = 1\nmode = 2\nzzz = 3\n");
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 1000);
    assert_int_equal(kt_hcl_check_known(root, known_keys, note, &out, NULL), KT_OK);
    assert_string_equal(kt_buf_text(&out), "1 adress address\n3 zzz -\n");
}

#ifdef KT_FAULT
static void out_of_memory_is_said(void **state)
{
    (void)state;
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, (size_t)1024 * 1024);
    for (unsigned json = 0; json < 2; json++) {
        kt_buf_reset(&text);
        kt_buf_add_text(&text,
                        json ? "{\"a\":[\"x\",{\"k\":\"y\"}]" : "a = [\"x\", { k = \"y\" }]");
        for (unsigned i = 0; i < 200; i++)
            kt_buf_printf(
                &text, json ? ",\"b%u\":{\"c\":[\"%u\"]}" : "\nb%u \"l\" { c = [\"%u\"] }", i, i);
        kt_buf_add_text(&text, json ? "}" : "");
        for (unsigned long nth = 1;; nth++) {
            struct kt_hcl_body *root = NULL;
            struct kt_err err = {0};
            (void)kt_fail_allocation(nth);
            enum kt_kind kind = kt_hcl_parse(kt_buf_bytes(&text), "f.hcl", &root, &err);
            bool untouched = kt_fail_allocation(0) < nth;
            assert_int_equal(kind, untouched ? KT_OK : KT_NO_MEMORY);
            assert_true(untouched == (root != NULL));
            kt_hcl_free(root);
            if (untouched) {
                assert_true(nth > 5);
                break;
            }
        }
    }
}
#endif

int main(void)
{
    static const struct CMUnitTest single[] = {
        cmocka_unit_test(refuses_raw_nul),
        cmocka_unit_test(many_keys_are_cheap),
        cmocka_unit_test(places_are_known),
        cmocka_unit_test(finds_the_only_block),
        cmocka_unit_test(what_is_absent_leaves_the_preset),
        cmocka_unit_test(values_alone_have_no_name),
        cmocka_unit_test(warns_of_every_unknown),
#ifdef KT_FAULT
        cmocka_unit_test(out_of_memory_is_said),
#endif
    };
    struct CMUnitTest tests[COUNT(single) + COUNT(printed) + COUNT(refused) + COUNT(limits) +
                            COUNT(block_rows) + COUNT(typed) + COUNT(unknown)];
    memcpy(tests, single, sizeof single);
    size_t n = COUNT(single);
#define ADD(rows, test) n = add_rows(tests, n, rows, COUNT(rows), sizeof(rows)[0], test)
    ADD(printed, prints);
    ADD(refused, refuses);
    ADD(limits, holds_limit);
    ADD(block_rows, finds_blocks);
    ADD(typed, reads_type);
    ADD(unknown, names_unknown);
    return cmocka_run_group_tests_name("hcl", tests, NULL, NULL);
}
