/* Tables, JSON, times, and what reaches a terminal. */
#include "cli/output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/cli.h"
#include "cli/run_view.h"
#include "lib/clock.h"

static void columns_are_as_wide_as_their_widest(void **state)
{
    (void)state;
    static const char *const names[] = {"Key", "Value"};
    struct table table;
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 4096);
    table_init(&table, 2, names);
    table_text(&table, "a");
    table_text(&table, "1");
    table_text(&table, "caf\xc3\xa9s");
    table_text(&table, "line one\nline two");
    table_text(&table, "b");
    table_text(&table, "");
    assert_int_equal(table_rows(&table), 3);
    table_print(&table, 2, &out);
    table_free(&table);
    assert_string_equal(kt_buf_text(&out), "  Key      Value\n"
                                           "  ---      -----\n"
                                           "  a        1\n"
                                           "  caf\xc3\xa9s    line one\n"
                                           "           line two\n"
                                           "  b\n");
}

static void values_of_each_type(void **state)
{
    (void)state;
    struct kt_bytes json =
        kt_str("{\"s\":\"a\\\"b\",\"n\":1.0,\"b\":true,\"z\":null,\"l\":[1,2],\"o\":{\"x\":1}}");
    struct table table;
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 4096);
    assert_int_equal(kt_json_check(json, NULL, NULL), KT_OK);
    table_init(&table, 2, NULL);
    table_members(&table, kt_json_value(json));
    table_print(&table, 0, &out);
    table_free(&table);
    assert_string_equal(kt_buf_text(&out), "s    a\"b\nn    1.0\nb    true\nz    n/a\nl    [1,2]\n"
                                           "o    {\"x\":1}\n");
}

static const struct safe_row {
    const char *name, *text, *shown;
} safe_rows[] = {
    {"plain", "a b", "a b"},
    {"newline stays", "a\nb\tc", "a\nb\tc"},
    {"escape", "\033[31m", "\\x1b[31m"},
    {"delete, return", "a\x7f\r", "a\\x7f\\x0d"},
    {"C1 control", "a\xc2\x9b", "a\\u009b"},
    {"not a C1 control", "\xc3\xa9\xc2\xa0", "\xc3\xa9\xc2\xa0"},
};

static void controls_are_made_visible(void **state)
{
    const struct safe_row *row = *state;
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 256);
    output_safe(&out, kt_str(row->text));
    assert_string_equal(kt_buf_text(&out), row->shown);
}

static const struct json_row {
    const char *name, *text, *shown;
} json_rows[] = {
    {"object", "{\"a\":1,\"b\":\"x:{\\\"\"}", "{\n  \"a\": 1,\n  \"b\": \"x:{\\\"\"\n}\n"},
    {"empty", "{\"a\":{},\"b\":[ ]}", "{\n  \"a\": {},\n  \"b\": []\n}\n"},
    {"list", "[1,[2]]", "[\n  1,\n  [\n    2\n  ]\n]\n"},
    {"scalar", "12345678901234567890.0", "12345678901234567890.0\n"},
    {"laid out already", "{ \"a\" : [ 1 , 2 ] }", "{\n  \"a\": [\n    1,\n    2\n  ]\n}\n"},
};

static void json_is_laid_out(void **state)
{
    const struct json_row *row = *state;
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 4096);
    struct kt_bytes text = kt_str(row->text);
    assert_int_equal(kt_json_check(text, NULL, NULL), KT_OK);
    output_json(&out, kt_json_value(text));
    assert_string_equal(kt_buf_text(&out), row->shown);
}

static const struct time_row {
    const char *name, *zone;
    int64_t ms;
    const char *shown;
} time_rows[] = {
    {"UTC", "UTC", 1735787045000, "2025-01-02 03:04:05 +00:00"},
    {"winter", "Europe/Berlin", 1735787045000, "2025-01-02 04:04:05 +01:00"},
    {"summer", "Europe/Berlin", 1751339045000, "2025-07-01 05:04:05 +02:00"},
    {"west", "America/St_Johns", 1735787045000, "2025-01-01 23:34:05 -03:30"},
    {"none", "UTC", 0, "-"},
    {"before 1970", "UTC", -1000, "1969-12-31 23:59:59 +00:00"},
};

static void times_have_their_offset(void **state)
{
    const struct time_row *row = *state;
    struct cli cli = {0};
    char out[OUTPUT_TIME];
    (void)setenv("TZ", row->zone, 1);
    output_time(&cli, row->ms, out);
    kt_zone_free(cli.zone);
    assert_string_equal(out, row->shown);
}

static const struct span_row {
    const char *name;
    int64_t ms;
    const char *age, *took;
} span_rows[] = {
    {"now", 0, "now", "0 ms"},
    {"milliseconds", 340, "now", "340 ms"},
    {"one second", 1000, "in 1 second", "1.0 s"},
    {"seconds", 12345, "in 12 seconds", "12 s"},
    {"90 seconds", 90000, "in 90 seconds", "90 s"},
    {"minutes", 130000, "in 2 minutes", "2m 10s"},
    {"90 minutes", 5400000, "in 90 minutes", "90m 0s"},
    {"hours", 7260000, "in 2 hours", "2h 1m"},
    {"days", 259200000, "in 3 days", "72h 0m"},
};

static void spans_are_words(void **state)
{
    const struct span_row *row = *state;
    struct cli cli = {.now_ms = 1735787045000};
    char out[OUTPUT_TIME];
    output_age(&cli, cli.now_ms + row->ms, out);
    assert_string_equal(out, row->age);
    output_took(row->ms, out);
    assert_string_equal(out, row->took);
    output_age(&cli, cli.now_ms - row->ms, out);
    if (row->ms >= 1000)
        assert_non_null(strstr(out, " ago"));
}

static void errors_on_one_line(void **state)
{
    (void)state;
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 256);
    output_line(&out, kt_str("2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"));
    assert_string_equal(kt_buf_text(&out), "permission denied; invalid token");
    kt_buf_reset(&out);
    output_line(&out, kt_bytes(NULL, 0));
    assert_string_equal(kt_buf_text(&out), "");
}

/* ---- the picture of a run ---- */

static struct run_model run_of(const char *json)
{
    struct run_model run;
    struct kt_bytes text = kt_str(json);
    run_model_init(&run);
    assert_int_equal(kt_json_check(text, NULL, NULL), KT_OK);
    assert_true(run_model_take(&run, kt_json_value(text)));
    return run;
}

#define ACKING                                                                                     \
    "{\"id\":\"01J\",\"secret\":\"secret/db\",\"target\":\"pg\",\"strategy\":\"alternate\","       \
    "\"state\":\"acking\",\"from\":4,\"to\":5,\"started\":\"2025-01-02T03:04:05Z\","               \
    "\"can_go_back\":true,\"waits_for\":\"worker@h3\",\"steps\":["                                 \
    "{\"seq\":1,\"kind\":\"state\",\"name\":\"preflight\",\"ok\":true,\"text\":\"reached\","       \
    "\"at\":\"2025-01-02T03:04:05Z\"},"                                                            \
    "{\"seq\":2,\"kind\":\"state\",\"name\":\"applied\",\"ok\":true,\"text\":\"accepted\","        \
    "\"at\":\"2025-01-02T03:04:06Z\"},"                                                            \
    "{\"seq\":3,\"kind\":\"state\",\"name\":\"acking\",\"ok\":true,\"text\":\"\","                 \
    "\"at\":\"2025-01-02T03:04:08Z\"}],"                                                           \
    "\"consumers\":[{\"service\":\"orders\",\"host\":\"h1\",\"version\":5,\"state\":\"healthy\","  \
    "\"p95_ms\":41,\"baseline_p95_ms\":40}]}"

static void the_picture_says_where_it_is(void **state)
{
    (void)state;
    struct run_model run = run_of(ACKING);
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 65536);
    run_view_picture(NULL, &run, 100, 40, &out);
    const char *text = kt_buf_text(&out);
    static const char *const wanted[] = {
        "secret/db (run 01J)  pg  alternate  4 -> 5",
        "  \xe2\x9c\x93 checked      reached  1.0 s\n",
        "  \xe2\x9c\x93 accepted     accepted  2.0 s\n",
        "  \xe2\x96\xb8 consumers",
        "      waits for worker@h3\n",
        "v5 healthy  p95 41 ms (before 40)\n",
        "\xc2\xb7 overlap   \xc2\xb7 old one off   \xc2\xb7 proof\n",
        "secretctl run cancel 01J",
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        if (strstr(text, wanted[i]) == NULL)
            fail_msg("expected '%s' in\n%s", wanted[i], text);
    assert_int_equal(run_healthy(&run), 1);
    run_model_free(&run);
}

static void no_line_is_wider_than_the_terminal(void **state)
{
    (void)state;
    struct run_model run = run_of(ACKING);
    for (unsigned columns = 1; columns < 90; columns++) {
        kt_autobuf struct kt_buf out;
        size_t width = 0;
        kt_buf_init(&out, 65536);
        run_view_picture(NULL, &run, columns, 10, &out);
        for (size_t i = 0; i < out.len; i++) {
            width = out.at[i] == '\n' ? 0 : width + ((out.at[i] & 0xC0) != 0x80);
            if (width > columns)
                fail_msg("%zu characters in %u columns", width, columns);
        }
    }
    run_model_free(&run);
}

static void steps_are_taken_once(void **state)
{
    (void)state;
    struct run_model run = run_of(ACKING);
    struct kt_bytes text = kt_str(ACKING);
    assert_int_equal(kt_json_check(text, NULL, NULL), KT_OK);
    assert_true(run_model_take(&run, kt_json_value(text)));
    assert_int_equal(run.step_count, 3);
    assert_int_equal(run.seq, 3);
    run_model_free(&run);
}

int main(void)
{
    enum {
        FIXED = 6,
        SAFE = sizeof safe_rows / sizeof safe_rows[0],
        JSON = sizeof json_rows / sizeof json_rows[0],
        TIMES = sizeof time_rows / sizeof time_rows[0],
        SPANS = sizeof span_rows / sizeof span_rows[0]
    };
    struct CMUnitTest tests[FIXED + SAFE + JSON + TIMES + SPANS] = {
        cmocka_unit_test(columns_are_as_wide_as_their_widest),
        cmocka_unit_test(values_of_each_type),
        cmocka_unit_test(errors_on_one_line),
        cmocka_unit_test(the_picture_says_where_it_is),
        cmocka_unit_test(no_line_is_wider_than_the_terminal),
        cmocka_unit_test(steps_are_taken_once),
    };
    size_t n = FIXED;
#define ROWS(rows, count, function)                                                                \
    for (size_t i = 0; i < (count); i++)                                                           \
    tests[n++] = (struct CMUnitTest){.name = (rows)[i].name,                                       \
                                     .test_func = function,                                        \
                                     .initial_state = (void *)(uintptr_t) & (rows)[i]}
    ROWS(safe_rows, SAFE, controls_are_made_visible);
    ROWS(json_rows, JSON, json_is_laid_out);
    ROWS(time_rows, TIMES, times_have_their_offset);
    ROWS(span_rows, SPANS, spans_are_words);
    return cmocka_run_group_tests_name("output", tests, NULL, NULL);
}
