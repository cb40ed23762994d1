/* A program's log: a line an event, in which what is quoted ends where its quote does. */
#include "lib/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/cleanup.h"

#define LINE 2048

/* What one call writes to stderr. */
static void logged(const struct kt_err *err, char line[LINE])
{
    kt_autoclose int file = memfd_create("log", MFD_CLOEXEC);
    kt_autoclose int before = dup(STDERR_FILENO);
    assert_true(file >= 0 && before >= 0 && dup2(file, STDERR_FILENO) >= 0);
    kt_log_err(KT_LOG_ERROR, "an-event", err);
    assert_true(dup2(before, STDERR_FILENO) >= 0);
    ssize_t n = pread(file, line, LINE - 1, 0);
    line[n > 0 ? n : 0] = '\0';
}

static void an_error(void **state)
{
    (void)state;
    char line[LINE];
    struct kt_err err = {0};
    (void)kt_fail(&err, KT_INVALID, "it is damaged");
    logged(&err, line);
    assert_string_equal(line, "<3>an-event error=\"it is damaged\"\n");
    kt_hint(&err, "put it back");
    logged(&err, line);
    assert_string_equal(line, "<3>an-event error=\"it is damaged\" next=\"put it back\"\n");
}

static void quotes_in_it(void **state)
{
    (void)state;
    char line[LINE];
    struct kt_err err = {0};
    (void)kt_fail(&err, KT_INVALID, "a \\ in 'x'");
    kt_hint(&err, "storage \"lmdb\" { path = \"/x\" }");
    logged(&err, line);
    assert_string_equal(line, "<3>an-event error=\"a \\\\ in 'x'\" next=\"storage \\\"lmdb\\\" { path = \\\"/x\\\" }\"\n");
}

/* Cut, and the quote is there all the same. */
static void a_long_one(void **state)
{
    (void)state;
    char text[sizeof((struct kt_err *)0)->what], line[LINE];
    struct kt_err err = {0};
    memset(text, '"', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    (void)kt_fail(&err, KT_INVALID, "%s", text);
    logged(&err, line);
    assert_int_equal(strlen(line), strlen("<3>an-event error=\"\"\n") + 600);
    assert_string_equal(line + strlen(line) - 4, "\\\"\"\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error),
        cmocka_unit_test(quotes_in_it),
        cmocka_unit_test(a_long_one),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
