/* "key=@FILE" and settings as words. */
#include "cli/input.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/cli.h"
#include "cli/rotation_fields.h"
#include "lib/cleanup.h"

/* A memory file that holds text, read from its beginning. */
static int file_of(const char *text, size_t len)
{
    int fd = memfd_create("input", MFD_CLOEXEC);
    assert_int_equal(write(fd, text, len), len);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static struct cli cli_with(int in_fd)
{
    size_t used = 0;
    static const char *const words[] = {"kv", "put"};
    struct cli cli = {.in_fd = in_fd, .out_fd = -1, .err_fd = -1};
    cli.command = command_find(words, 2, &used);
    return cli;
}

static const struct secret_row {
    const char *name;
    const char *words[3]; /* "@" alone before a name: the file of this row */
    const char *file, *input;
    const char *json, *what;
    const char *path; /* NULL: no path of the API */
} secret_rows[] = {
    {"a file", {"a=@", NULL}, "value", "", "{\"a\":\"value\"}", NULL, NULL},
    {"a line's newline stays", {"a=@", NULL}, "value\n", "", "{\"a\":\"value\\n\"}", NULL, NULL},
    {"of the other kind too", {"a=@", NULL}, "value\r\n", "", "{\"a\":\"value\\r\\n\"}", NULL, NULL},
    {"several lines stay", {"a=@", NULL}, "one\ntwo\n", "", "{\"a\":\"one\\ntwo\\n\"}", NULL, NULL},
    {"standard input", {"a=-", NULL}, "", "from input\n", "{\"a\":\"from input\\n\"}", NULL, NULL},
    {"an empty file", {"a=@", NULL}, "", "", "{\"a\":\"\"}", NULL, NULL},
    {"quotes", {"a=@", NULL}, "\"<x>\\", "", "{\"a\":\"\\\"\\u003cx\\u003e\\\\\"}", NULL, NULL},
    {"a key with a blank", {"a b=@", NULL}, "x", "", "{\"a b\":\"x\"}", NULL, NULL},
    {"two", {"a=@", "b=-"}, "x", "y", "{\"a\":\"x\",\"b\":\"y\"}", NULL, NULL},
    {"a whole object", {"-", NULL}, "", "{\"n\": 1.0}", "{\"n\": 1.0}", NULL, NULL},
    {"a whole object in a file", {"@", NULL}, "{\"n\":[1]}", "", "{\"n\":[1]}", NULL, NULL},
    {"a list is no object", {"-", NULL}, "", "[1]", NULL, "no JSON object", NULL},
    {"cut JSON", {"-", NULL}, "", "{\"a\":", NULL, "'-'", NULL},
    {"keys twice in JSON", {"-", NULL}, "", "{\"a\":1,\"a\":2}", NULL, "'-'", NULL},
    {"the input twice", {"a=-", "b=-"}, "", "x", NULL, "only one value", NULL},
    {"not text", {"a=@", NULL}, "\xff\xfe", "", NULL, "is not text", NULL},
    {"overlong UTF-8", {"a=@", NULL}, "\xc0\xaf", "", NULL, "is not text", NULL},
    {"the value as a word", {"a=secret", NULL}, "", "", NULL, "stands on the command line", NULL},
    {"a setting as a word", {"needed=2", "group=a,b"}, "", "", "{\"needed\":\"2\",\"group\":\"a,b\"}", NULL,
     "sys/approvals/rules/x"},
    {"a setting of another path", {"group=a", NULL}, "", "", NULL, "stands on the command line", "secret/data/x"},
    {"a secret beside a setting", {"policies=p", "password=x"}, "", "", NULL, "value of 'password' stands on the",
     "auth/userpass/users/bob"},
    {"nothing to ask", {"a=", NULL}, "", "", NULL, "nobody can be asked", NULL},
    {"no key", {"=x", NULL}, "", "", NULL, "not of the form", NULL},
};

static void secrets(void **state)
{
    const struct secret_row *row = *state;
    char texts[3][64];
    const char *words[3] = {NULL};
    size_t count = 0;
    struct kt_err err = {0};
    kt_autoclose int file = file_of(row->file, strlen(row->file));
    kt_autoclose int in = file_of(row->input, strlen(row->input));
    struct cli cli = cli_with(in);
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 65536);
    for (; count < 3 && row->words[count] != NULL; count++) {
        size_t len = strlen(row->words[count]);
        bool at = row->words[count][len - 1] == '@';
        (void)snprintf(texts[count], sizeof texts[count], "%s", row->words[count]);
        if (at)
            (void)snprintf(texts[count] + len, sizeof texts[count] - len, "/dev/fd/%d", file);
        words[count] = texts[count];
    }
    enum kt_kind kind = input_secrets(&cli, words, count, &(struct input_of){"kv put x", row->path}, &out, &err);
    if (row->json != NULL) {
        if (kind != KT_OK)
            fail_msg("expected %s, got '%s'", row->json, err.what);
        assert_string_equal(kt_buf_text(&out), row->json);
    } else {
        assert_int_not_equal(kind, KT_OK);
        if (strstr(err.what, row->what) == NULL)
            fail_msg("expected '%s', got '%s'", row->what, err.what);
        assert_null(strstr(err.what, "secret"));
    }
}

static const struct field_row {
    const char *name;
    const char *words[4];
    const char *json, *what;
} field_rows[] = {
    {"text", {"cron=0 3 * * sun", NULL}, "{\"cron\":\"0 3 * * sun\"}", NULL},
    {"list", {"accounts=a, b,,c", NULL}, "{\"accounts\":[\"a\",\"b\",\"c\"]}", NULL},
    {"list of names with commas", {"accounts=uid=a,dc=x; uid=b,dc=x;", NULL},
     "{\"accounts\":[\"uid=a,dc=x\",\"uid=b,dc=x\"]}", NULL},
    {"one name with commas", {"accounts=uid=a,dc=x;", NULL}, "{\"accounts\":[\"uid=a,dc=x\"]}", NULL},
    {"duration as a number", {"overlap=60", NULL}, "{\"overlap\":60}", NULL},
    {"duration with a unit", {"overlap=1m30s", NULL}, "{\"overlap\":\"1m30s\"}", NULL},
    {"boolean", {"require_healthy=false", NULL}, "{\"require_healthy\":false}", NULL},
    {"map by members",
     {"generator.length=32", "zone=UTC", "generator.type=hex"},
     "{\"generator\":{\"length\":32,\"type\":\"hex\"},\"zone\":\"UTC\"}",
     NULL},
    {"map as JSON", {"generator={\"length\":9}", NULL}, "{\"generator\":{\"length\":9}}", NULL},
    {"an empty value", {"cron=", NULL}, "{\"cron\":\"\"}", NULL},
    {"mistyped", {"accunts=a", NULL}, NULL, "no setting 'accunts'"},
    {"no value", {"cron", NULL}, NULL, "not of the form"},
    {"twice", {"cron=a", "cron=b", NULL}, NULL, "given twice"},
    {"no such unit", {"soak=5x", NULL}, NULL, "soak"},
    {"no map", {"cron.x=1", NULL}, NULL, "no setting"},
    {"a map that is none", {"generator=[1]", NULL}, NULL, "generator is a map"},
};

static void fields(void **state)
{
    const struct field_row *row = *state;
    struct kt_err err = {0};
    struct cli cli = cli_with(-1);
    size_t count = 0;
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 65536);
    while (count < 4 && row->words[count] != NULL)
        count++;
    enum kt_kind kind = input_fields(&cli, row->words, count, cli_schedule_fields, &out, &err);
    if (row->json != NULL) {
        if (kind != KT_OK)
            fail_msg("expected %s, got '%s'", row->json, err.what);
        assert_string_equal(kt_buf_text(&out), row->json);
        assert_int_equal(kt_json_check(kt_buf_bytes(&out), NULL, NULL), KT_OK);
    } else {
        assert_int_equal(kind, KT_INVALID);
        if (strstr(err.what, row->what) == NULL)
            fail_msg("expected '%s', got '%s'", row->what, err.what);
    }
}

/* What is said of a newline at the end, and that a target's password has none. */
static const struct newline_row {
    const char *name, *text, *setting;
    bool told;
} newline_rows[] = {
    {"no newline", "value", "value", false},
    {"a line", "value\n", "value", true},
    {"a line of the other kind", "value\r\n", "value", true},
    {"two lines", "a\nb\n", "a\\nb\\n", false},
    {"only a newline", "\n", "", true},
};

static void newline_at_the_end(void **state)
{
    const struct newline_row *row = *state;
    static const char *const secret[] = {"a=-"}, *const setting[] = {"admin_password=-"};
    struct kt_err err = {0};
    char said[256] = "", wanted[128];
    kt_autoclose int in = file_of(row->text, strlen(row->text));
    kt_autoclose int told = memfd_create("said", MFD_CLOEXEC);
    struct cli cli = cli_with(in);
    cli.err_fd = told;
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 65536);
    assert_int_equal(input_secrets(&cli, secret, 1, &(struct input_of){"kv put x", NULL}, &out, &err), KT_OK);
    assert_true(pread(told, said, sizeof said - 1, 0) >= 0);
    assert_int_equal(strstr(said, "the newline at the end of 'a' is kept") != NULL, row->told);
    assert_int_equal(ftruncate(told, 0), 0);
    assert_int_equal(lseek(in, 0, SEEK_SET), 0);
    kt_buf_reset(&out);
    assert_int_equal(input_fields(&cli, setting, 1, cli_target_fields, &out, &err), KT_OK);
    (void)snprintf(wanted, sizeof wanted, "{\"admin_password\":\"%s\"}", row->setting);
    assert_string_equal(kt_buf_text(&out), wanted);
    assert_int_equal(lseek(told, 0, SEEK_END), 0);
}

static void a_file_that_is_too_large(void **state)
{
    (void)state;
    struct kt_err err = {0};
    char path[64];
    kt_autoclose int file = memfd_create("large", MFD_CLOEXEC);
    assert_int_equal(ftruncate(file, (off_t)INPUT_VALUE_MAX + 1), 0);
    struct cli cli = cli_with(-1);
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 4 * INPUT_VALUE_MAX);
    (void)snprintf(path, sizeof path, "/dev/fd/%d", file);
    assert_int_equal(input_file(&cli, path, INPUT_VALUE_MAX, &out, &err), KT_TOO_LARGE);
}

int main(void)
{
    enum {
        SECRETS = sizeof secret_rows / sizeof secret_rows[0],
        FIELDS = sizeof field_rows / sizeof field_rows[0],
        NEWLINES = sizeof newline_rows / sizeof newline_rows[0]
    };
    struct CMUnitTest tests[1 + SECRETS + FIELDS + NEWLINES] = {
        cmocka_unit_test(a_file_that_is_too_large)};
    size_t n = 1;
    for (size_t i = 0; i < SECRETS; i++)
        tests[n++] = (struct CMUnitTest){.name = secret_rows[i].name,
                                         .test_func = secrets,
                                         .initial_state = (void *)(uintptr_t)&secret_rows[i]};
    for (size_t i = 0; i < FIELDS; i++)
        tests[n++] = (struct CMUnitTest){.name = field_rows[i].name,
                                         .test_func = fields,
                                         .initial_state = (void *)(uintptr_t)&field_rows[i]};
    for (size_t i = 0; i < NEWLINES; i++)
        tests[n++] = (struct CMUnitTest){.name = newline_rows[i].name,
                                         .test_func = newline_at_the_end,
                                         .initial_state = (void *)(uintptr_t)&newline_rows[i]};
    return cmocka_run_group_tests_name("input", tests, NULL, NULL);
}
