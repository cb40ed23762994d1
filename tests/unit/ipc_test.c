/* tests/unit/ipc_test.c - messages and descriptors between processes. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/ipc.h"

struct ends {
    int pair[2];
};

static int open_pair(void **state)
{
    static struct ends ends;
    *state = &ends;
    return kt_ipc_pair(ends.pair, NULL) == KT_OK ? 0 : -1;
}

static int close_pair(void **state)
{
    struct ends *ends = *state;
    for (int i = 0; i < 2; i++) {
        if (ends->pair[i] >= 0)
            (void)close(ends->pair[i]);
    }
    return 0;
}

static enum kt_kind receive(int fd, char *at, size_t room, size_t *len)
{
    return kt_ipc_receive(fd, (unsigned char *)at, room, len, NULL, NULL, kt_ipc_deadline(5000),
                          NULL);
}

static void borders_are_kept(void **state)
{
    struct ends *ends = *state;
    char got[16];
    size_t len = 0;
    const char *const messages[] = {"one", "three", "x"};
    for (int i = 0; i < 3; i++)
        assert_int_equal(kt_ipc_send(ends->pair[0], kt_str(messages[i]), NULL, 0, 0, NULL), KT_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(receive(ends->pair[1], got, sizeof(got), &len), KT_OK);
        assert_true(kt_bytes_is(kt_bytes(got, len), messages[i]));
    }
}

static void the_largest_message_passes(void **state)
{
    struct ends *ends = *state;
    size_t len = 0;
    char *large = calloc(1, KT_IPC_MESSAGE_MAX + 1);
    assert_non_null(large);
    assert_int_equal(
        kt_ipc_send(ends->pair[0], kt_bytes(large, KT_IPC_MESSAGE_MAX), NULL, 0, 0, NULL), KT_OK);
    assert_int_equal(receive(ends->pair[1], large, KT_IPC_MESSAGE_MAX, &len), KT_OK);
    assert_int_equal(len, KT_IPC_MESSAGE_MAX);
    assert_int_equal(
        kt_ipc_send(ends->pair[0], kt_bytes(large, KT_IPC_MESSAGE_MAX + 1), NULL, 0, 0, NULL),
        KT_TOO_LARGE);
    assert_int_equal(kt_ipc_send(ends->pair[0], kt_bytes(large, 0), NULL, 0, 0, NULL), KT_INVALID);
    free(large);
}

static void a_message_too_long_for_the_room_is_refused(void **state)
{
    struct ends *ends = *state;
    char got[4];
    size_t len = 77;
    assert_int_equal(kt_ipc_send(ends->pair[0], kt_str("12345"), NULL, 0, 0, NULL), KT_OK);
    assert_int_equal(receive(ends->pair[1], got, sizeof(got), &len), KT_CORRUPT);
    assert_int_equal(len, 77);
}

static int count_fds(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void descriptors_travel(void **state)
{
    struct ends *ends = *state;
    int through[2], fds[KT_IPC_FDS_MAX];
    size_t len = 0, n_fds = 0;
    char got[4];
    assert_int_equal(kt_ipc_pair(through, NULL), KT_OK);
    assert_int_equal(kt_ipc_send(ends->pair[0], kt_str("x"), &through[1], 1, 0, NULL), KT_OK);
    (void)close(through[1]);
    assert_int_equal(kt_ipc_receive(ends->pair[1], (unsigned char *)got, sizeof(got), &len, fds,
                                    &n_fds, kt_ipc_deadline(5000), NULL),
                     KT_OK);
    assert_int_equal(n_fds, 1);
    assert_true((fcntl(fds[0], F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(kt_ipc_send(fds[0], kt_str("hello"), NULL, 0, 0, NULL), KT_OK);
    (void)close(fds[0]);
    char hello[8];
    assert_int_equal(receive(through[0], hello, sizeof(hello), &len), KT_OK);
    assert_int_equal(receive(through[0], hello, sizeof(hello), &len), KT_GONE);
    (void)close(through[0]);
}

static void unwanted_descriptors_are_closed(void **state)
{
    struct ends *ends = *state;
    int two[2] = {0, 1};
    char got[4];
    size_t len = 0;
    int before = count_fds();
    assert_int_equal(kt_ipc_send(ends->pair[0], kt_str("x"), two, 2, 0, NULL), KT_OK);
    assert_int_equal(receive(ends->pair[1], got, sizeof(got), &len), KT_CORRUPT);
    assert_int_equal(count_fds(), before);
}

static void the_end_is_seen_after_what_was_sent(void **state)
{
    struct ends *ends = *state;
    char got[4];
    size_t len = 0;
    /* Also when the other end had something left to read. */
    assert_int_equal(kt_ipc_send(ends->pair[1], kt_str("y"), NULL, 0, 0, NULL), KT_OK);
    assert_int_equal(kt_ipc_send(ends->pair[0], kt_str("x"), NULL, 0, 0, NULL), KT_OK);
    (void)close(ends->pair[0]);
    ends->pair[0] = -1;
    assert_int_equal(receive(ends->pair[1], got, sizeof(got), &len), KT_OK);
    assert_int_equal(receive(ends->pair[1], got, sizeof(got), &len), KT_GONE);
    assert_int_equal(kt_ipc_send(ends->pair[1], kt_str("z"), NULL, 0, 0, NULL), KT_GONE);
}

static void a_deadline_ends_the_wait(void **state)
{
    struct ends *ends = *state;
    char got[4];
    size_t len = 0;
    assert_int_equal(kt_ipc_receive(ends->pair[1], (unsigned char *)got, sizeof(got), &len, NULL,
                                    NULL, kt_ipc_deadline(5), NULL),
                     KT_TIMEOUT);
    enum kt_kind kind = KT_OK;
    for (int i = 0; i < 100000 && kind == KT_OK; i++)
        kind = kt_ipc_send(ends->pair[0], kt_str("fill"), NULL, 0, kt_ipc_deadline(5), NULL);
    assert_int_equal(kind, KT_TIMEOUT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_pair, close_pair)
    const struct CMUnitTest tests[] = {
        TEST(borders_are_kept),
        TEST(the_largest_message_passes),
        TEST(a_message_too_long_for_the_room_is_refused),
        TEST(descriptors_travel),
        TEST(unwanted_descriptors_are_closed),
        TEST(the_end_is_seen_after_what_was_sent),
        TEST(a_deadline_ends_the_wait),
    };
    return cmocka_run_group_tests_name("ipc", tests, NULL, NULL);
}
