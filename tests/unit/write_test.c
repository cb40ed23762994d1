/* lib/write.h: parts, signals, and what ends it. write(2) answers what the row says. */
#include "lib/write.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/types.h>
#include <cmocka.h>

#include "tests/support/rows.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

struct answer {
    ssize_t n; /* -1: error */
    int error;
};

static struct answer answers[4];
static size_t asked;
static char written[32];
static size_t written_len;

ssize_t __wrap_write(int fd, const void *bytes, size_t len);
ssize_t __wrap_write(int fd, const void *bytes, size_t len)
{
    (void)fd;
    assert_true(asked < 4);
    struct answer answer = answers[asked++];
    if (answer.n < 0) {
        errno = answer.error;
        return -1;
    }
    size_t n = (size_t)answer.n < len ? (size_t)answer.n : len;
    memcpy(written + written_len, bytes, n);
    written_len += n;
    return (ssize_t)n;
}

static const struct row {
    const char *name;
    struct answer answers[4];
    bool done;
    int error;
    const char *written;
} rows[] = {
    {"all at once", {{100, 0}}, true, 0, "abcdef"},
    {"in parts, with a signal between", {{2, 0}, {-1, EINTR}, {1, 0}, {100, 0}}, true, 0, "abcdef"},
    {"a full disk after a part", {{2, 0}, {-1, ENOSPC}}, false, ENOSPC, "ab"},
    {"nothing written and no error: not tried for ever", {{2, 0}, {0, 0}}, false, EIO, "ab"},
};

static void run_row(void **state)
{
    const struct row *row = *state;
    memcpy(answers, row->answers, sizeof answers);
    asked = written_len = 0;
    errno = 0;
    bool done = kt_write_all(1, kt_str("abcdef"));
    int error = errno;
    assert_int_equal(done, row->done);
    if (!done)
        assert_int_equal(error, row->error);
    assert_int_equal(written_len, strlen(row->written));
    assert_memory_equal(written, row->written, written_len);
}

int main(void)
{
    struct CMUnitTest tests[COUNT(rows)];
    (void)add_rows(tests, 0, rows, COUNT(rows), sizeof *rows, run_row);
    return cmocka_run_group_tests_name("write", tests, NULL, NULL);
}
