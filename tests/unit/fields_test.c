/* Typed fields of a request: converted as leniently as Vault does, refused without their value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "vaultd/core/request.h"

enum type { STRING, INT, BOOL, DURATION, LIST, COMMA_LIST, INT_LIST, PAIRS };

/* clang-format off */
static const struct row {
    enum type type;
    const char *value;  /* JSON of the field "f"; NULL: absent */
    const char *result; /* as text; NULL: refused; "absent" */
} rows[] = {
    {STRING, "\"a b\"", "a b"}, {STRING, "5", "5"}, {STRING, "1.0", "1.0"}, {STRING, "1e3", "1e3"},
    {STRING, "true", "1"}, {STRING, "false", "0"}, {STRING, "null", "absent"},
    {STRING, NULL, "absent"}, {STRING, "\"\"", ""}, {STRING, "[\"hidden\"]", NULL},
    {STRING, "{\"hidden\":1}", NULL}, {STRING, "\"\\u00e4\\n\"", "\xc3\xa4\n"},

    {INT, "10", "10"}, {INT, "-10", "-10"}, {INT, "\"10\"", "10"}, {INT, "\"\"", "0"},
    {INT, "true", "1"}, {INT, "false", "0"}, {INT, "null", "absent"}, {INT, NULL, "absent"},
    {INT, "\"0x1F\"", "31"}, {INT, "\"-0x10\"", "-16"}, {INT, "\"0b101\"", "5"},
    {INT, "\"0o17\"", "15"}, {INT, "\"017\"", "15"}, {INT, "\"0\"", "0"}, {INT, "\"00\"", "0"},
    {INT, "\"-0\"", "0"}, {INT, "0", "0"}, {INT, "9223372036854775807", "9223372036854775807"},
    {INT, "\"0x7fffffffffffffff\"", "9223372036854775807"},
    {INT, "9223372036854775808", NULL}, {INT, "\"0x8000000000000000\"", NULL},
    {INT, "5.0", NULL}, {INT, "1e3", NULL}, {INT, "\"1h\"", NULL}, {INT, "\"0x\"", NULL},
    {INT, "\"08\"", NULL}, {INT, "\"0b2\"", NULL}, {INT, "\"0xg\"", NULL}, {INT, "\" 1\"", NULL},
    {INT, "\"+1\"", NULL}, {INT, "\"--1\"", NULL}, {INT, "\"hidden\"", NULL}, {INT, "[1]", NULL},

    {BOOL, "true", "1"}, {BOOL, "false", "0"}, {BOOL, "1", "1"}, {BOOL, "0", "0"},
    {BOOL, "\"t\"", "1"}, {BOOL, "\"True\"", "1"}, {BOOL, "\"FALSE\"", "0"}, {BOOL, "\"\"", "0"},
    {BOOL, "null", "absent"}, {BOOL, NULL, "absent"}, {BOOL, "2", NULL}, {BOOL, "\"yes\"", NULL},
    {BOOL, "\"tRUE\"", NULL}, {BOOL, "1.0", NULL}, {BOOL, "[]", NULL},

    {DURATION, "90", "90"}, {DURATION, "\"90\"", "90"}, {DURATION, "\"1h\"", "3600"},
    {DURATION, "\"1m30s\"", "90"}, {DURATION, "\"1.5h\"", "5400"}, {DURATION, "\"250ms\"", "0"},
    {DURATION, "\"1999ms\"", "1"}, {DURATION, "\"30d\"", "2592000"}, {DURATION, "\"\"", "0"},
    {DURATION, "0", "0"}, {DURATION, "null", "absent"}, {DURATION, NULL, "absent"},
    {DURATION, "-1", NULL}, {DURATION, "\"-1h\"", NULL}, {DURATION, "1.5", NULL},
    {DURATION, "1e3", NULL}, {DURATION, "true", NULL}, {DURATION, "\"hidden\"", NULL},
    {DURATION, "\"1d12h\"", NULL}, {DURATION, "[1]", NULL}, {DURATION, "\"1.5\"", NULL},

    {LIST, "[\"a\",\" b \",3]", "a|b|3"}, {LIST, "\"a,b\"", "a,b"}, {LIST, "\"\"", ""},
    {LIST, "[]", ""}, {LIST, "5", "5"}, {LIST, "null", "absent"}, {LIST, NULL, "absent"},
    {LIST, "[[\"hidden\"]]", NULL}, {LIST, "{\"hidden\":1}", NULL},

    {COMMA_LIST, "\"a, b ,c\"", "a|b|c"}, {COMMA_LIST, "[\"a,b\",\"c\"]", "a,b|c"},
    {COMMA_LIST, "\"\"", ""}, {COMMA_LIST, "7", "7"}, {COMMA_LIST, "[]", ""},
    {COMMA_LIST, "\"a,,b\"", "a||b"}, {COMMA_LIST, "{}", NULL},

    {INT_LIST, "[1,\"2\",3]", "1|2|3"}, {INT_LIST, "\"1,2, 3\"", "1|2|3"}, {INT_LIST, "4", "4"},
    {INT_LIST, "[]", ""}, {INT_LIST, "\"\"", ""}, {INT_LIST, "[1.5]", NULL},
    {INT_LIST, "\"1,hidden\"", NULL}, {INT_LIST, "[[1]]", NULL}, {INT_LIST, "null", "absent"},

    {PAIRS, "{\"k\":\"v\",\"n\":5,\"t\":true}", "{\"k\":\"v\",\"n\":\"5\",\"t\":\"1\"}"},
    {PAIRS, "[\"k=v\",\"l=w=x\"]", "{\"k\":\"v\",\"l\":\"w=x\"}"}, {PAIRS, "\"k=v\"", "{\"k\":\"v\"}"},
    {PAIRS, "\"\"", "{}"}, {PAIRS, "{}", "{}"}, {PAIRS, "null", "absent"}, {PAIRS, "{\"k\":null}", "{\"k\":\"\"}"},
    {PAIRS, "\"hidden\"", NULL}, {PAIRS, "[\"hidden\"]", NULL}, {PAIRS, "{\"k\":[\"hidden\"]}", NULL},
    {PAIRS, "\"=hidden\"", NULL}, {PAIRS, "5", NULL}, {PAIRS, "{\"k\":{\"hidden\":1}}", NULL},
};
/* clang-format on */

static const char *const type_names[] = {"string", "int",        "bool",     "duration",
                                         "list",   "comma-list", "int-list", "pairs"};

static void join(const struct string_list *list, struct kt_buf *out)
{
    for (size_t i = 0; i < list->n; i++) {
        kt_buf_add_text(out, i == 0 ? "" : "|");
        kt_buf_add_text(out, list->at[i]);
    }
}

static enum kt_kind read_number(struct request *req, enum type type, struct kt_buf *out,
                                struct kt_err *err)
{
    int64_t number = 77;
    bool yes = false;
    enum kt_kind kind = KT_OK;
    if (type == BOOL) {
        kind = request_bool(req, "f", &yes, err);
        number = yes;
    } else {
        kind = type == INT ? request_int(req, "f", &number, err)
                           : request_duration_s(req, "f", &number, err);
    }
    if (kind == KT_OK)
        kt_buf_printf(out, "%jd", (intmax_t)number);
    return kind;
}

static enum kt_kind read_list(struct request *req, enum type type, struct kt_buf *out,
                              struct kt_err *err)
{
    struct string_list list = {0};
    int64_t *numbers = NULL;
    size_t n = 0;
    if (type != INT_LIST) {
        enum kt_kind kind = request_list(req, "f", type == COMMA_LIST, &list, err);
        join(&list, out);
        return kind;
    }
    enum kt_kind kind = request_int_list(req, "f", &numbers, &n, err);
    for (size_t i = 0; i < n; i++)
        kt_buf_printf(out, "%s%jd", i == 0 ? "" : "|", (intmax_t)numbers[i]);
    return kind;
}

static enum kt_kind read_field(struct request *req, enum type type, struct kt_buf *out,
                               struct kt_err *err)
{
    const char *text = NULL;
    struct kt_bytes pairs = {0};
    enum kt_kind kind = KT_OK;
    switch (type) {
    case STRING:
        kind = request_string(req, "f", &text, err);
        kt_buf_add_text(out, kind == KT_OK ? text : "");
        return kind;
    case INT:
    case BOOL:
    case DURATION:
        return read_number(req, type, out, err);
    case LIST:
    case COMMA_LIST:
    case INT_LIST:
        return read_list(req, type, out, err);
    case PAIRS:
        kind = request_pairs(req, "f", &pairs, err);
        kt_buf_add_bytes(out, pairs);
        return kind;
    }
    return KT_INTERNAL;
}

static void converts(void **state)
{
    const struct row *row = *state;
    char document[256] = "{\"other\":1}";
    if (row->value != NULL)
        (void)snprintf(document, sizeof document, "{\"other\":1,\"f\":%s}", row->value);
    assert_int_equal(kt_json_check(kt_str(document), NULL, NULL), KT_OK);
    struct request req = {.data = kt_json_value(kt_str(document)), .has_data = true};
    kt_arena_init(&req.arena, 65536);
    struct kt_buf out;
    struct kt_err err = {0};
    kt_buf_init(&out, 1024);
    enum kt_kind kind = read_field(&req, row->type, &out, &err);
    const char *got = kind == KT_OK ? kt_buf_text(&out) : kind == KT_NOT_FOUND ? "absent" : NULL;
    bool fine =
        (got == NULL) == (row->result == NULL) && (got == NULL || strcmp(got, row->result) == 0);
    if (fine && got == NULL)
        fine = kind == KT_INVALID && strstr(err.what, "\"f\"") != NULL &&
               strstr(err.what, "hidden") == NULL;
    if (!fine)
        fail_msg("%s of %s: expected %s, got %s %s (%s)", type_names[row->type],
                 row->value == NULL ? "nothing" : row->value,
                 row->result == NULL ? "a refusal that names the field" : row->result,
                 kt_kind_name(kind), got == NULL ? "" : got, err.what);
    kt_buf_free(&out);
    kt_arena_free(&req.arena);
}

static void without_a_body(void **state)
{
    (void)state;
    struct request req = {0};
    int64_t number = 5;
    const char *text = "kept";
    assert_int_equal(request_int(&req, "f", &number, NULL), KT_NOT_FOUND);
    assert_int_equal(request_string(&req, "f", &text, NULL), KT_NOT_FOUND);
    assert_int_equal(number, 5);
    assert_string_equal(text, "kept");
}

#define N (sizeof rows / sizeof rows[0])

int main(int argc, char **argv)
{
    static char names[N][96];
    struct CMUnitTest tests[N + 1] = {{.name = "without a body", .test_func = without_a_body}};
    for (size_t i = 0; i < N; i++) {
        (void)snprintf(names[i], sizeof names[i], "%s of %s", type_names[rows[i].type],
                       rows[i].value == NULL ? "nothing" : rows[i].value);
        tests[i + 1] = (struct CMUnitTest){
            .name = names[i], .test_func = converts, .initial_state = (void *)(uintptr_t)&rows[i]};
    }
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("fields", tests, NULL, NULL);
}
