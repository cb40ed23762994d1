/* Members of two vaults' answers: what is the same, and what is written of them. */
#include "cli/move_fields.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "tests/support/rows.h"

#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])

static const struct move_field names[] = {{"a", NULL}, {"b", NULL}, {NULL, NULL}};

// clang-format off
static const struct pair { const char *name, *left, *right; bool equal; } pairs[] = {
    { "the same",             "{\"a\":1,\"b\":[\"x\"]}", "{\"b\":[\"x\"],\"a\":1}", true },
    { "others do not count",  "{\"a\":1,\"c\":1}", "{\"a\":1,\"d\":2}", true },
    { "nothing and null",     "{}", "{\"a\":null}", true },
    { "nothing and []",       "{}", "{\"a\":[]}", true },
    { "null and {}",          "{\"a\":null}", "{\"a\":{}}", true },
    { "nothing, \"\" and 0",  "{\"a\":\"\"}", "{\"a\":0}", true },
    { "nothing and false",    "{}", "{\"a\":false}", true },
    { "nothing and true",     "{}", "{\"a\":true}", false },
    { "nothing and 1",        "{}", "{\"a\":1}", false },
    { "nothing and a text",   "{}", "{\"a\":\"x\"}", false },
    { "order of a list",      "{\"a\":[\"x\",\"y\"]}", "{\"a\":[\"y\",\"x\"]}", true },
    { "a longer list",        "{\"a\":[\"x\"]}", "{\"a\":[\"x\",\"y\"]}", false },
    { "another list",         "{\"a\":[\"x\",\"z\"]}", "{\"a\":[\"x\",\"y\"]}", false },
    { "a list and a text",    "{\"a\":[\"x\"]}", "{\"a\":\"x\"}", false },
    { "the second differs",   "{\"a\":1,\"b\":1}", "{\"a\":1,\"b\":2}", false },
    { "maps",                 "{\"a\":{\"x\":\"1\",\"y\":\"2\"}}", "{\"a\":{\"y\":\"2\",\"x\":\"1\"}}", true },
};
// clang-format on

static void compares(void **state)
{
    const struct pair *row = *state;
    struct kt_json left = kt_json_value(kt_str(row->left)), right = kt_json_value(kt_str(row->right));
    assert_int_equal(move_fields_equal(left, right, names), row->equal);
    assert_int_equal(move_fields_equal(right, left, names), row->equal);
}

static const struct written { const char *name, *data, *empty, *wanted; } written[] = {
    {"as it is", "{\"c\":1,\"b\":[1.0],\"a\":2}", "[]", "{\"a\":2,\"b\":[1.0]}"},
    {"null and nothing are left out", "{\"a\":null}", NULL, "{}"},
    {"null is empty", "{\"a\":null,\"b\":1}", "[]", "{\"a\":[],\"b\":1}"},
    {"nothing is empty", "{\"b\":1}", "{}", "{\"a\":{},\"b\":1}"},
};

static void writes(void **state)
{
    const struct written *row = *state;
    const struct move_field fields[] = {{"a", row->empty}, {"b", NULL}, {NULL, NULL}};
    kt_autobuf struct kt_buf out = {0};
    kt_buf_init(&out, 4096);
    struct kt_jsonw w = kt_jsonw(&out);
    kt_jsonw_object(&w);
    move_fields_write(&w, kt_json_value(kt_str(row->data)), fields);
    kt_jsonw_end(&w);
    assert_string_equal(kt_buf_text(&out), row->wanted);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(written) + COUNT(pairs)];
    size_t n = add_rows(tests, 0, written, COUNT(written), sizeof written[0], writes);
    (void)add_rows(tests, n, pairs, COUNT(pairs), sizeof pairs[0], compares);
    kt_json_init();
    return cmocka_run_group_tests_name("move_fields", tests, NULL, NULL);
}
