/* tests/unit/sftp_reply_test.c - what an SFTP server may answer, and what is no answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/driver/sftp_reply.h"

#define BYTES(text) kt_bytes(text, sizeof(text) - 1)
#define ID          "\0\0\0\7"

static const char status[] = "\x65" ID "\0\0\0\3" "\0\0\0\6" "denied" "\0\0\0\2" "en";
static const char handle[] = "\x66" ID "\0\0\0\4" "\0\1\2\3";
static const char data[] = "\x67" ID "\0\0\0\5" "hello";
/* OpenSSH 9.2, lstat: size, owner, mode, times. */
static const char attributes[] = "\x69" ID "\0\0\0\x0f" "\0\0\0\0\0\0\1\2" "\0\0\3\xe8" "\0\0\3\xe9" "\0\0\x81\xa4"
                                 "\1\2\3\4" "\1\2\3\4";
static const char few[] = "\x69" ID "\0\0\0\0";

static void each_answer(void **state)
{
    (void)state;
    struct kt_sftp_reply reply;
    assert_true(kt_sftp_read_reply(BYTES(status), 7, &reply));
    assert_int_equal(reply.answer, SFTP_STATUS);
    assert_int_equal(reply.status, SFTP_PERMISSION_DENIED);
    assert_true(kt_bytes_is(reply.message, "denied"));
    assert_true(kt_sftp_read_reply(BYTES(handle), 7, &reply));
    assert_int_equal(reply.answer, SFTP_HANDLE);
    assert_true(kt_bytes_equal(reply.bytes, BYTES("\0\1\2\3")));
    assert_true(kt_sftp_read_reply(BYTES(data), 7, &reply));
    assert_int_equal(reply.answer, SFTP_DATA);
    assert_true(kt_bytes_is(reply.bytes, "hello"));
    assert_true(kt_sftp_read_reply(BYTES(attributes), 7, &reply));
    assert_int_equal(reply.answer, SFTP_ATTRIBUTES);
    assert_true(reply.attributes.has_owner && reply.attributes.has_mode);
    assert_int_equal(reply.attributes.uid, 1000);
    assert_int_equal(reply.attributes.gid, 1001);
    assert_int_equal(reply.attributes.mode, 0100644);
    assert_true(kt_sftp_read_reply(BYTES(few), 7, &reply));
    assert_false(reply.attributes.has_owner || reply.attributes.has_mode);
}

/* Cut short at each place, with a byte behind, of another request. */
static void what_is_none(void **state)
{
    (void)state;
    const struct kt_bytes whole[] = {BYTES(status), BYTES(handle), BYTES(data), BYTES(attributes), BYTES(few)};
    struct kt_sftp_reply reply;
    for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
        for (size_t len = 0; len < whole[i].len; len++)
            assert_false(kt_sftp_read_reply(kt_bytes(whole[i].at, len), 7, &reply));
        assert_false(kt_sftp_read_reply(kt_bytes(whole[i].at, whole[i].len + 1), 7, &reply)); /* its NUL */
        assert_false(kt_sftp_read_reply(whole[i], 8, &reply));
    }
    assert_false(kt_sftp_read_reply(BYTES("\x68" ID "\0\0\0\0"), 7, &reply)); /* names of a folder */
    assert_false(kt_sftp_read_reply(BYTES("\x69" ID "\x80\0\0\0" "\0\0\0\0"), 7, &reply));
    char long_handle[9 + 300] = "\x66" ID "\0\0\1\x2c";
    assert_false(kt_sftp_read_reply(kt_bytes(long_handle, sizeof(long_handle)), 7, &reply));
}

#define RENAME "\0\0\0\x18" "posix-rename@openssh.com" "\0\0\0\1" "1"
#define SYNC   "\0\0\0\x11" "fsync@openssh.com" "\0\0\0\1"

static void versions(void **state)
{
    (void)state;
    bool renames = false, syncs = false;
    assert_true(kt_sftp_read_version(BYTES("\2\0\0\0\3" RENAME SYNC "1"), &renames, &syncs));
    assert_true(renames && syncs);
    assert_true(kt_sftp_read_version(BYTES("\2\0\0\0\3" RENAME SYNC "2"), &renames, &syncs));
    assert_true(renames && !syncs);
    assert_true(kt_sftp_read_version(BYTES("\2\0\0\0\3"), &renames, &syncs));
    assert_false(renames || syncs);
    assert_false(kt_sftp_read_version(BYTES("\2\0\0\0\4"), &renames, &syncs));
    assert_false(kt_sftp_read_version(BYTES("\3\0\0\0\3"), &renames, &syncs));
    assert_false(kt_sftp_read_version(BYTES("\2\0\0\0\3" SYNC), &renames, &syncs));
    assert_false(kt_sftp_read_version(BYTES(""), &renames, &syncs));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_answer),
        cmocka_unit_test(what_is_none),
        cmocka_unit_test(versions),
    };
    return cmocka_run_group_tests_name("sftp_reply", tests, NULL, NULL);
}
