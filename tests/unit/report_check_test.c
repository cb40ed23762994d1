/* Whether a file is the report that the audit log's record is about. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "lib/report_check.h"

#define RUN   "01JD7K3M8ZQ4T5V6W7X8Y9ABCD"
#define OTHER "01JD7K3M8ZQ4T5V6W7X8Y9ABCE"
#define TEXT  "# DONE  secret/a: v2 has a new value.\n\n- run: " RUN "\n- versions: 1 to 2\n"
#define JSON  "{\"verdict\":\"DONE  a: \\\"b\\\"\",\"id\":\"" RUN "\",\"steps\":[{\"text\":\"a  b\"}]}"
#define BROAD "{\n  \"verdict\": \"DONE  a: \\\"b\\\"\",\n  \"id\": \"" RUN "\",\n  \"steps\": [\n    {\n      \"text\": \"a  b\"\n    }\n  ]\n}\n"

/* sha256sum of the text, and of the JSON as it is above. */
static void known(void **state)
{
    char hash[KT_REPORT_HASH];
    (void)state;
    kt_report_hash(kt_str("abc"), hash);
    assert_string_equal(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static struct kt_report read_good(const char *file, bool json)
{
    struct kt_report report;
    struct kt_err err = {0};
    assert_int_equal(kt_report_read(kt_str(file), &report, &err), KT_OK);
    assert_string_equal(report.run, RUN);
    assert_int_equal(report.json, json);
    return report;
}

static void forms(void **state)
{
    (void)state;
    char hash[KT_REPORT_HASH];
    kt_report_hash(kt_str(TEXT), hash);
    assert_string_equal(read_good(TEXT, false).hash, hash);
    kt_report_hash(kt_str(JSON), hash);
    assert_string_equal(read_good(JSON, true).hash, hash);
    assert_string_equal(read_good(BROAD, true).hash, hash);
}

static void is_no_report(void **state)
{
    static const char *const files[] = {
        "", "# DONE\n", "- run: " RUN "\n", "\n- run: 01JD7K\n", "\n- run: " RUN "F\n", "\n- run: ilou-ilou-ilou-ilou-ilou-1\n",
        "[]", "\"" RUN "\"", "{}", "{\"id\":7}", "{\"id\":\"" RUN "F\"}", "{\"id\":\"01\"}", "{\"id\":\"" RUN "\\u0000\"}"};
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct kt_report report;
        struct kt_err err = {0};
        if (kt_report_read(kt_str(files[i]), &report, &err) != KT_INVALID)
            fail_msg("%s is a report", files[i]);
        assert_true(err.what[0] != '\0');
    }
}

static enum kt_report_word word(const struct kt_report *report, const char *run, const char *text, const char *json,
                                uint64_t *seq)
{
    char line[512];
    (void)snprintf(line, sizeof line, "{\"type\":\"request\",\"request\":{\"path\":\"rotation/due\",\"report\":\"%s %s %s\"},\"seq\":41}\n",
                   run, text, json);
    return kt_report_word(kt_str(line), report, seq);
}

/* One changed byte anywhere, in either form, is another report; so is one form's hash in the other's place. */
static void every_byte_counts(void **state)
{
    (void)state;
    const struct kt_report text = read_good(TEXT, false), json = read_good(JSON, true);
    uint64_t seq = 0;
    assert_int_equal(word(&text, RUN, text.hash, json.hash, &seq), KT_REPORT_SAME);
    assert_int_equal(seq, 41);
    assert_int_equal(word(&json, RUN, text.hash, json.hash, &seq), KT_REPORT_SAME);
    assert_int_equal(word(&text, RUN, json.hash, text.hash, &seq), KT_REPORT_DIFFERS);
    assert_int_equal(word(&text, OTHER, text.hash, json.hash, &seq), KT_REPORT_OTHER);
    for (size_t i = 0; i < strlen(TEXT); i++) {
        char edited[] = TEXT;
        struct kt_report report;
        edited[i] ^= 1;
        if (kt_report_read(kt_str(edited), &report, NULL) != KT_OK)
            continue; /* it names no run any more */
        assert_int_not_equal(word(&report, RUN, text.hash, json.hash, &seq), KT_REPORT_SAME);
    }
    for (size_t i = 0; i < strlen(JSON); i++) {
        char edited[] = JSON;
        struct kt_report report;
        edited[i] ^= 1;
        if (kt_report_read(kt_str(edited), &report, NULL) != KT_OK)
            continue;
        assert_int_not_equal(word(&report, RUN, text.hash, json.hash, &seq), KT_REPORT_SAME);
    }
}

static void other_records(void **state)
{
    static const char *const lines[] = {
        "", "not JSON", "[]", "{}", "{\"request\":{}}", "{\"request\":{\"report\":7}}", "{\"request\":{\"report\":\"" RUN "\"},\"seq\":1}",
        "{\"report\":\"" RUN "\",\"seq\":1}"};
    (void)state;
    const struct kt_report report = read_good(TEXT, false);
    uint64_t seq = 0;
    char line[512];
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_int_equal(kt_report_word(kt_str(lines[i]), &report, &seq), KT_REPORT_OTHER);
    (void)snprintf(line, sizeof line, "{\"request\":{\"report\":\"" RUN " %s %s\"}}", report.hash, report.hash);
    assert_int_equal(kt_report_word(kt_str(line), &report, &seq), KT_REPORT_OTHER); /* without its number */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known),        cmocka_unit_test(forms),
        cmocka_unit_test(is_no_report), cmocka_unit_test(every_byte_counts),
        cmocka_unit_test(other_records),
    };
    return cmocka_run_group_tests_name("report_check", tests, NULL, NULL);
}
