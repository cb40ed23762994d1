/* What two vaults tell of a secret, and what follows from it for a move. */
#include "cli/move_history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "tests/support/rows.h"

#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])
#define NOW 1700000000000 /* 2023-11-14T22:13:20Z */

#define META(current, more, versions) \
    "{\"current_version\":" #current ",\"versions\":{" versions "}" more "}"
#define T1 "\"created_time\":\"2021-01-01T00:00:00.123456789Z\""
#define T2 "\"created_time\":\"2021-01-01T00:00:00.124Z\""
#define NOTE ",\"custom_metadata\":{\"a\":\"1\"}"
#define LIVE "{" T1 ",\"deletion_time\":\"\",\"destroyed\":false}"
#define GONE "{" T1 ",\"deletion_time\":\"2022-01-01T00:00:00Z\",\"destroyed\":false}"
#define LATER "{" T1 ",\"deletion_time\":\"2099-01-01T00:00:00Z\",\"destroyed\":false}"
#define DEAD "{" T1 ",\"deletion_time\":\"\",\"destroyed\":true}"
#define ELSE "{\"created_time\":\"2021-01-01T00:00:00.124Z\",\"deletion_time\":\"\",\"destroyed\":false}"
#define MS   "{\"created_time\":\"2021-01-01T00:00:00.123Z\",\"deletion_time\":\"\",\"destroyed\":false}"

// clang-format off
static const struct pair {
    const char *name, *source, *here;
    enum move_relation exact, plain;
} pairs[] = {
    { "none here",          META(1, "", "\"1\":" LIVE), NULL, MOVE_NOTHING, MOVE_NOTHING },
    { "the same",           META(2, "", "\"1\":" LIVE ",\"2\":" LIVE), META(2, "", "\"2\":" LIVE ",\"1\":" LIVE), MOVE_EQUAL, MOVE_EQUAL },
    { "nanoseconds here are milliseconds", META(1, "", "\"1\":" LIVE), META(1, "", "\"1\":" MS), MOVE_EQUAL, MOVE_EQUAL },
    { "more there",         META(2, "", "\"1\":" LIVE ",\"2\":" LIVE), META(1, "", "\"1\":" LIVE), MOVE_BEHIND, MOVE_BEHIND },
    { "more here",          META(1, "", "\"1\":" LIVE), META(2, "", "\"1\":" LIVE ",\"2\":" LIVE), MOVE_OTHER, MOVE_OTHER },
    { "written at another time", META(1, "", "\"1\":" LIVE), META(1, "", "\"1\":" ELSE), MOVE_OTHER, MOVE_EQUAL },
    { "ten after nine",     META(10, "", "\"10\":" LIVE ",\"9\":" LIVE), META(10, "", "\"9\":" LIVE ",\"10\":" LIVE), MOVE_EQUAL, MOVE_EQUAL },
    { "pruned there since", META(3, "", "\"2\":" LIVE ",\"3\":" LIVE), META(2, "", "\"1\":" LIVE ",\"2\":" LIVE), MOVE_BEHIND, MOVE_BEHIND },
    { "a hole, filled here", META(3, "", "\"1\":" LIVE ",\"3\":" LIVE), META(3, "", "\"1\":" LIVE ",\"2\":" LIVE ",\"3\":" LIVE), MOVE_OTHER, MOVE_BEHIND },
    { "a hole, destroyed here", META(3, "", "\"1\":" LIVE ",\"3\":" LIVE), META(3, "", "\"1\":" LIVE ",\"2\":" DEAD ",\"3\":" LIVE), MOVE_OTHER, MOVE_EQUAL },
    { "lost here",          META(2, "", "\"1\":" LIVE ",\"2\":" LIVE), META(2, "", "\"2\":" LIVE), MOVE_OTHER, MOVE_OTHER },
    { "deleted there",      META(1, "", "\"1\":" GONE), META(1, "", "\"1\":" LIVE), MOVE_BEHIND, MOVE_BEHIND },
    { "deleted here",       META(1, "", "\"1\":" LIVE), META(1, "", "\"1\":" GONE), MOVE_BEHIND, MOVE_BEHIND },
    { "deleted in future",  META(1, "", "\"1\":" LATER), META(1, "", "\"1\":" LIVE), MOVE_EQUAL, MOVE_EQUAL },
    { "destroyed there",    META(1, "", "\"1\":" DEAD), META(1, "", "\"1\":" LIVE), MOVE_BEHIND, MOVE_BEHIND },
    { "destroyed here",     META(1, "", "\"1\":" LIVE), META(1, "", "\"1\":" DEAD), MOVE_OTHER, MOVE_OTHER },
    { "destroyed on both sides", META(1, "", "\"1\":" DEAD), META(1, "", "\"1\":" DEAD), MOVE_EQUAL, MOVE_EQUAL },
    { "no versions",        META(0, "", ""), META(0, "", ""), MOVE_EQUAL, MOVE_EQUAL },
    { "no versions here",   META(1, "", "\"1\":" LIVE), META(0, "", ""), MOVE_BEHIND, MOVE_BEHIND },
    { "custom metadata",    META(0, ",\"custom_metadata\":{\"a\":\"1\",\"b\":\"2\"}", ""), META(0, ",\"custom_metadata\":{\"b\":\"2\",\"a\":\"1\"}", ""), MOVE_EQUAL, MOVE_EQUAL },
    { "other custom metadata", META(1, ",\"custom_metadata\":{\"a\":\"1\"}", "\"1\":" LIVE), META(1, ",\"custom_metadata\":null", "\"1\":" LIVE), MOVE_BEHIND, MOVE_BEHIND },
    { "max_versions",       META(1, ",\"max_versions\":3", "\"1\":" LIVE), META(1, "", "\"1\":" LIVE), MOVE_BEHIND, MOVE_BEHIND },
    { "cas_required",       META(1, ",\"cas_required\":true", "\"1\":" LIVE), META(1, "", "\"1\":" LIVE), MOVE_BEHIND, MOVE_BEHIND },
    /* Metadata alone: the same secret only if it was made then, or says nothing else. */
    { "metadata alone, noted down here", META(1, "", "\"1\":" LIVE), META(0, "," T2 NOTE, ""), MOVE_OTHER, MOVE_OTHER },
    { "metadata alone on both sides", META(0, "," T1, ""), META(0, "," T2 NOTE, ""), MOVE_OTHER, MOVE_OTHER },
    { "metadata alone, of no time", META(0, "", ""), META(0, NOTE, ""), MOVE_OTHER, MOVE_OTHER },
    { "metadata alone, limits", META(1, "", "\"1\":" LIVE), META(0, "," T2 ",\"max_versions\":3", ""), MOVE_OTHER, MOVE_OTHER },
    { "metadata alone, brought here before", META(1, "," T1 NOTE, "\"1\":" LIVE), META(0, "," T1, ""), MOVE_BEHIND, MOVE_OTHER },
    { "metadata alone, as it says there", META(1, "," T1 NOTE, "\"1\":" LIVE), META(0, "," T2 NOTE, ""), MOVE_BEHIND, MOVE_BEHIND },
    { "what plain writes begin with", META(12, "," T1 NOTE ",\"cas_required\":true", "\"3\":" LIVE ",\"12\":" LIVE), META(0, "," T2 NOTE ",\"max_versions\":10,\"delete_version_after\":\"-1s\"", ""), MOVE_OTHER, MOVE_BEHIND },
    { "and when the first deletes itself", META(1, "," T1, "\"1\":" LATER), META(0, "," T2 ",\"max_versions\":1,\"delete_version_after\":\"24h\"", ""), MOVE_OTHER, MOVE_BEHIND },
    { "and when it does not",  META(1, "," T1, "\"1\":" LIVE), META(0, "," T2 ",\"max_versions\":1,\"delete_version_after\":\"24h\"", ""), MOVE_OTHER, MOVE_OTHER },
    { "durations by their length", META(0, ",\"delete_version_after\":\"3600s\"", ""), META(0, ",\"delete_version_after\":\"1h0m0s\"", ""), MOVE_EQUAL, MOVE_EQUAL },
    { "disabled is not 0",  META(1, ",\"delete_version_after\":\"-1s\"", "\"1\":" LIVE), META(1, ",\"delete_version_after\":\"0s\"", "\"1\":" LIVE), MOVE_BEHIND, MOVE_BEHIND },
};
static const struct refused { const char *name, *text; } refused[] = {
    { "no object", "[]" }, { "no versions", "{\"current_version\":1}" },
    { "no current version", "{\"versions\":{}}" },
    { "a negative one", "{\"current_version\":-1,\"versions\":{}}" },
    { "one that is no number", "{\"current_version\":1,\"versions\":{\"x\":" LIVE "}}" },
    { "the same number twice", "{\"current_version\":1,\"versions\":{\"1\":" LIVE ",\"01\":" LIVE "}}" },
    { "version 0", "{\"current_version\":1,\"versions\":{\"0\":" LIVE "}}" },
    { "a version without its state", "{\"current_version\":1,\"versions\":{\"1\":{}}}" },
};
// clang-format on

static void read_into(const char *text, struct move_history *ret)
{
    struct kt_err err = {0};
    *ret = (struct move_history){0};
    if (text == NULL)
        return;
    if (kt_json_check(kt_str(text), NULL, &err) != KT_OK ||
        move_history_read(kt_json_value(kt_str(text)), ret, &err) != KT_OK)
        fail_msg("%s: %s", text, err.what);
}

static void compares(void **state)
{
    const struct pair *row = *state;
    struct move_history source, here;
    read_into(row->source, &source);
    read_into(row->here, &here);
    assert_int_equal(move_history_compare(&source, &here, false, NOW), row->exact);
    assert_int_equal(move_history_compare(&source, &here, true, NOW), row->plain);
    move_history_free(&source);
    move_history_free(&here);
}

static void refuses(void **state)
{
    const struct refused *row = *state;
    struct move_history ret;
    struct kt_err err = {0};
    assert_int_equal(kt_json_check(kt_str(row->text), NULL, NULL), KT_OK);
    assert_int_equal(move_history_read(kt_json_value(kt_str(row->text)), &ret, &err), KT_CORRUPT);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(pairs) + COUNT(refused)];
    size_t n = add_rows(tests, 0, pairs, COUNT(pairs), sizeof pairs[0], compares);
    n = add_rows(tests, n, refused, COUNT(refused), sizeof refused[0], refuses);
    (void)n;
    kt_json_init();
    return cmocka_run_group_tests_name("move_history", tests, NULL, NULL);
}
