/* tests/unit/redis_reply_test.c - what a Redis server may answer, and what is no answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/driver/redis_members.h"
#include "lib/driver/redis_user.h"

#define HASH_A "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define HASH_B "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define BULK(size, text) "$" #size "\r\n" text "\r\n"

/* Redis 7.0.15, ACL GETUSER. */
static const char user_7[] =
    "*12\r\n" BULK(5, "flags") "*2\r\n" BULK(2, "on") BULK(16, "sanitize-payload")
    BULK(9, "passwords") "*2\r\n" BULK(64, HASH_A) BULK(64, HASH_B)
    BULK(8, "commands") BULK(13, "+@all -@admin") BULK(4, "keys") BULK(6, "~app:*")
    BULK(8, "channels") BULK(0, "") BULK(9, "selectors") "*0\r\n";

static enum resp_state whole(const char *text, size_t *ret_len)
{
    return kt_resp_whole(kt_str(text), ret_len);
}

static void what_is_whole(void **state)
{
    static const struct {
        const char *text;
        enum resp_state state;
        size_t len;
    } rows[] = {
        {"+OK\r\n", RESP_WHOLE, 5},
        {"-WRONGPASS no\r\n", RESP_WHOLE, 15},
        {":-7\r\n", RESP_WHOLE, 5},
        {"$0\r\n\r\n", RESP_WHOLE, 6},
        {"$-1\r\n", RESP_WHOLE, 5},
        {"*-1\r\n", RESP_WHOLE, 5},
        {"*0\r\n", RESP_WHOLE, 4},
        {"*2\r\n*1\r\n:1\r\n$1\r\na\r\n", RESP_WHOLE, 19},
        {"+OK\r\n+OK\r\n", RESP_WHOLE, 5},
        {"", RESP_MORE, 0},
        {"+OK", RESP_MORE, 0},
        {"+OK\r", RESP_MORE, 0},
        {"$3\r\nab", RESP_MORE, 0},
        {"$2\r\nab", RESP_MORE, 0},
        {"*2\r\n:1\r\n", RESP_MORE, 0},
        {"HTTP/1.1 400 Bad Request\r\n", RESP_BAD, 0},
        {"+OK\n", RESP_BAD, 0},
        {"\n", RESP_BAD, 0},
        {":\r\n", RESP_BAD, 0},
        {":-\r\n", RESP_BAD, 0},
        {":1x\r\n", RESP_BAD, 0},
        {":1234567890123456789\r\n", RESP_BAD, 0},
        {"$-2\r\n", RESP_BAD, 0},
        {"$2\r\nabc\r\n", RESP_BAD, 0},
        {"$8388609\r\n", RESP_BAD, 0},
        {"*100001\r\n", RESP_BAD, 0},
        {"*99999\r\n*99999\r\n", RESP_BAD, 0}, /* lists in lists count together */
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t len = 0;
        if (whole(rows[i].text, &len) != rows[i].state || len != rows[i].len)
            fail_msg("row %zu", i);
    }
}

/* Cut anywhere it is not whole; an own copy of each size, so that a sanitizer sees a read behind. */
static void what_is_cut_is_not_whole(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof(user_7) - 1; len++) {
        unsigned char *cut = malloc(len + 1);
        size_t ret = 0;
        assert_non_null(cut);
        memcpy(cut, user_7, len);
        assert_int_equal(kt_resp_whole(kt_bytes(cut, len), &ret), RESP_MORE);
        free(cut);
    }
}

static void a_user_is_read(void **state)
{
    struct redis_user user;
    (void)state;
    assert_true(kt_redis_user_read(kt_str(user_7), &user));
    assert_true(user.there && user.on && !user.nopass);
    assert_int_equal(user.n_hashes, 2);
    assert_true(kt_redis_user_has(&user, kt_str(HASH_A)));
    assert_true(kt_redis_user_has(&user, kt_str(HASH_B)));
    assert_false(kt_redis_user_has(&user, kt_str("")));
    assert_true(kt_bytes_is(user.commands, "+@all -@admin"));
    assert_true(kt_bytes_is(user.keys, "~app:*"));
    assert_int_equal(user.channels.len, 0);
}

static void no_user_and_no_password(void **state)
{
    struct redis_user user;
    (void)state;
    assert_true(kt_redis_user_read(kt_str("$-1\r\n"), &user));
    assert_false(user.there);
    assert_true(kt_redis_user_read(
        kt_str("*4\r\n" BULK(5, "flags") "*2\r\n" BULK(3, "off") BULK(6, "nopass")
                   BULK(9, "passwords") "*0\r\n"),
        &user));
    assert_true(user.there && !user.on && user.nopass);
    assert_int_equal(user.n_hashes, 0);
}

/* More passwords than are kept are counted, and none of the rest is taken for known. */
static void many_passwords(void **state)
{
    struct redis_user user;
    struct kt_buf reply;
    (void)state;
    kt_buf_init(&reply, 65536);
    kt_buf_printf(&reply, "*2\r\n" BULK(9, "passwords") "*%u\r\n", REDIS_HASHES_MAX + 3);
    for (unsigned i = 0; i < REDIS_HASHES_MAX + 3; i++)
        kt_buf_printf(&reply, "$64\r\n%064x\r\n", i);
    assert_true(kt_redis_user_read(kt_buf_bytes(&reply), &user));
    assert_int_equal(user.n_hashes, REDIS_HASHES_MAX + 3);
    char hash[65];
    (void)snprintf(hash, sizeof(hash), "%064x", REDIS_HASHES_MAX - 1);
    assert_true(kt_redis_user_has(&user, kt_str(hash)));
    (void)snprintf(hash, sizeof(hash), "%064x", REDIS_HASHES_MAX);
    assert_false(kt_redis_user_has(&user, kt_str(hash)));
    kt_buf_free(&reply);
}

static void what_is_no_user(void **state)
{
    static const char *const bad[] = {
        "", "+OK\r\n", ":1\r\n", "*1\r\n" BULK(5, "flags"), "*2\r\n" BULK(5, "flags"),
        "*2\r\n*0\r\n*0\r\n",
        "*2\r\n" BULK(9, "passwords") "*1\r\n" BULK(3, "abc"),
        "*2\r\n" BULK(9, "passwords") "*1\r\n*0\r\n",
        "*2\r\n" BULK(5, "flags") "*1\r\n*1\r\n:1\r\n",
        "*0\r\n+more\r\n", "$-1\r\n+more\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct redis_user user;
        if (kt_redis_user_read(kt_str(bad[i]), &user))
            fail_msg("row %zu", i);
    }
}

static void sessions_are_counted(void **state)
{
    static const char lines[] =
        "id=3 addr=127.0.0.1:1 name= user=app cmd=ping resp=2\n"
        "id=4 addr=127.0.0.1:2 name=user=app user=app2 cmd=ping\n"
        "id=5 addr=127.0.0.1:3 user=app\n"
        "id=6 user=myapp\nid=7 user=app";
    char reply[512];
    uint32_t n = 0;
    (void)state;
    (void)snprintf(reply, sizeof(reply), "$%zu\r\n%s\r\n", sizeof(lines) - 1, lines);
    assert_true(kt_redis_sessions_read(kt_str(reply), "app", &n));
    assert_int_equal(n, 3);
    assert_true(kt_redis_sessions_read(kt_str("$0\r\n\r\n"), "app", &n));
    assert_int_equal(n, 0);
    assert_false(kt_redis_sessions_read(kt_str("*0\r\n"), "app", &n));
    assert_false(kt_redis_sessions_read(kt_str("$0\r\n\r\n+x\r\n"), "app", &n));
}

static void commands_are_written(void **state)
{
    struct kt_buf out;
    const struct kt_bytes words[] = {kt_str("AUTH"), kt_str(""), kt_str("a\r\nb")};
    (void)state;
    kt_buf_init(&out, 256);
    kt_resp_command(3, words, &out);
    assert_string_equal(kt_buf_text(&out), "*3\r\n$4\r\nAUTH\r\n$0\r\n\r\n$4\r\na\r\nb\r\n");
    kt_buf_free(&out);
}

/* ---- Sentinels ---- */

#define MEMBER(size, host, port_size, port, flags_size, flags)                                                         \
    "*6\r\n" BULK(2, "ip") BULK(size, host) BULK(4, "port") BULK(port_size, port) BULK(5, "flags") BULK(flags_size, flags)

static void servers_are_read(void **state)
{
    struct redis_members members = {.n = 0};
    (void)state;
    assert_true(kt_redis_master_read(kt_str(MEMBER(9, "10.0.0.11", 4, "6379", 6, "master")), &members));
    assert_true(kt_redis_replicas_read(kt_str("*2\r\n" MEMBER(5, "fd::7", 4, "6380", 25, "s_down,slave,disconnected")
                                              "*8\r\n" BULK(4, "more") "*1\r\n:7\r\n" BULK(4, "port") BULK(5, "65535")
                                              BULK(2, "ip") BULK(6, "redis3") BULK(5, "flags") BULK(5, "slave")),
                                       &members));
    static const struct {
        const char *host;
        uint32_t port;
        bool down;
    } wanted[] = {{"10.0.0.11", 6379, false}, {"fd::7", 6380, true}, {"redis3", 65535, false}};
    assert_int_equal(members.n, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(kt_bytes_is(members.at[i].host, wanted[i].host));
        assert_int_equal(members.at[i].port, wanted[i].port);
        assert_int_equal(members.at[i].down, wanted[i].down);
    }
    assert_true(kt_redis_replicas_read(kt_str("*0\r\n"), &members));
    assert_int_equal(members.n, 3);
}

/* More than are kept are counted: a target names fewer. */
static void many_servers(void **state)
{
    struct redis_members members = {.n = 0};
    struct kt_buf reply;
    (void)state;
    kt_buf_init(&reply, 65536);
    kt_buf_printf(&reply, "*%u\r\n", REDIS_MEMBERS_MAX + 2);
    for (unsigned i = 0; i < REDIS_MEMBERS_MAX + 2; i++)
        kt_buf_printf(&reply, "*4\r\n" BULK(2, "ip") BULK(2, "ab") BULK(4, "port") "$4\r\n%u\r\n", 1000 + i);
    assert_true(kt_redis_replicas_read(kt_buf_bytes(&reply), &members));
    assert_int_equal(members.n, REDIS_MEMBERS_MAX + 2);
    assert_int_equal(members.at[REDIS_MEMBERS_MAX - 1].port, 1000 + REDIS_MEMBERS_MAX - 1);
    kt_buf_free(&reply);
}

static void what_is_no_server(void **state)
{
    static const char *const bad[] = {
        "", "+OK\r\n", "*0\r\n", "*1\r\n" BULK(2, "ip"), "*2\r\n" BULK(2, "ip") BULK(1, "a"),
        "*2\r\n" BULK(4, "port") BULK(1, "7"), MEMBER(0, "", 1, "7", 0, ""), MEMBER(1, "a", 1, "0", 0, ""),
        MEMBER(1, "a", 5, "65536", 0, ""), MEMBER(1, "a", 2, "-1", 0, ""), MEMBER(1, "a", 1, "7", 0, "") "+more\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct redis_members members = {.n = 0};
        if (kt_redis_master_read(kt_str(bad[i]), &members))
            fail_msg("row %zu", i);
        char list[256];
        (void)snprintf(list, sizeof(list), "*1\r\n%s", bad[i]);
        if (kt_redis_replicas_read(kt_str(list), &members))
            fail_msg("row %zu in a list", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_whole),           cmocka_unit_test(what_is_cut_is_not_whole),
        cmocka_unit_test(a_user_is_read),          cmocka_unit_test(no_user_and_no_password),
        cmocka_unit_test(many_passwords),          cmocka_unit_test(what_is_no_user),
        cmocka_unit_test(servers_are_read),        cmocka_unit_test(many_servers),
        cmocka_unit_test(what_is_no_server),
        cmocka_unit_test(sessions_are_counted),    cmocka_unit_test(commands_are_written),
    };
    return cmocka_run_group_tests_name("redis_reply", tests, NULL, NULL);
}
