/* tests/unit/driver_memory_test.c - a worker without memory changes nothing by half: no word of a command and no
 * part of an account turns into an empty one, which would mean something else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/driver/maria_account.h"
#include "lib/driver/redis.h"
#include "lib/driver/redis_session.h"
#include "lib/ipc.h"
#include "lib/secret.h"

#define OLD "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define NEW "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* ---- Redis ----------------------------------------------------------------------------------- */

/* The server: what was said to it since the test began, a word a line, and how often it still saves. */
static char said[2048];
static unsigned saves;

static void add_word(struct kt_bytes word)
{
    size_t len = strlen(said);
    (void)snprintf(said + len, sizeof(said) - len, "%.*s\n", (int)word.len, (const char *)word.at);
}

bool __wrap_kt_redis_open(const struct driver_run *run, const struct driver_login *login,
                          const char *name, struct redis_session *s);
bool __wrap_kt_redis_open(const struct driver_run *run, const struct driver_login *login,
                          const char *name, struct redis_session *s)
{
    (void)login;
    (void)name;
    *s = (struct redis_session){.run = run, .stream.is_open = true};
    return true;
}

void __wrap_kt_redis_close(struct redis_session *s);
void __wrap_kt_redis_close(struct redis_session *s)
{
    s->stream.is_open = false;
}

bool __wrap_kt_redis_ask(struct redis_session *s, size_t n, const struct kt_bytes *words);
bool __wrap_kt_redis_ask(struct redis_session *s, size_t n, const struct kt_bytes *words)
{
    (void)s;
    if (kt_bytes_is(words[1], "SAVE"))
        return saves > 0 && saves-- > 0;
    for (size_t i = 1; i < n; i++)
        add_word(words[i]);
    return true;
}

bool __wrap_kt_redis_read_user(struct redis_session *s, const char *name, struct redis_user *ret);
bool __wrap_kt_redis_read_user(struct redis_session *s, const char *name, struct redis_user *ret)
{
    (void)s;
    (void)name;
    *ret = (struct redis_user){.there = true, .on = true, .n_hashes = 1, .hashes = {kt_str(OLD)}};
    return true;
}

static void redis_run(struct driver_step step, unsigned saves_left)
{
    struct kt_arena none;
    struct driver_result ret = {.code = ""};
    kt_arena_init(&none, 0);
    step.driver = "redis";
    step.account = "app";
    step.logins[DRIVER_ADMIN] = (struct driver_login){"keyturn", kt_str("planted")};
    struct kt_redactor *redactor = kt_driver_redactor(&step);
    const struct driver_run run = {
        .step = &step, .arena = &none, .redactor = redactor, .deadline = kt_ipc_deadline(60000)};
    said[0] = '\0';
    saves = saves_left;
    kt_redis_run(&run, &ret);
    kt_redactor_free(redactor);
    kt_arena_free(&none);
}

static void hashes_are_whole(void **state)
{
    (void)state;
    redis_run((struct driver_step){.op = DRIVER_APPLY, .public_part = kt_str(NEW)}, 2);
    assert_string_equal(said, "SETUSER\napp\non\nresetpass\n#" NEW "\n");
    redis_run((struct driver_step){.op = DRIVER_REVOKE, .keep_part = kt_str(NEW)}, 1);
    assert_string_equal(said, "SETUSER\napp\nresetpass\n#" NEW "\n");
    /* Written down before, and not after: what was accepted is accepted again. */
    redis_run((struct driver_step){.op = DRIVER_APPLY, .public_part = kt_str(NEW)}, 1);
    assert_string_equal(said, "SETUSER\napp\non\nresetpass\n#" NEW "\n"
                              "SETUSER\napp\nresetpass\non\n#" OLD "\n");
}

/* ---- MariaDB --------------------------------------------------------------------------------- */

bool __wrap_kt_maria_run(struct maria_session *s, const char *statement);
bool __wrap_kt_maria_run(struct maria_session *s, const char *statement)
{
    (void)s;
    (void)statement;
    return true;
}

size_t __wrap_kt_maria_count(const struct maria_session *s);
size_t __wrap_kt_maria_count(const struct maria_session *s)
{
    (void)s;
    return 1;
}

const char *__wrap_kt_maria_cell(const struct maria_session *s, size_t row, size_t column);
const char *__wrap_kt_maria_cell(const struct maria_session *s, size_t row, size_t column)
{
    static const char *const cells[] = {"10.%", "unix_socket", "[\"ed25519\"]", "app", "0"};
    (void)s;
    (void)row;
    return cells[column];
}

static void accounts_are_whole(void **state)
{
    (void)state;
    const size_t whole = 64; /* four texts, each a piece of 16 bytes */
    for (size_t max = 0; max <= whole; max += 16) {
        struct kt_arena arena;
        struct maria_account account;
        kt_arena_init(&arena, max);
        const struct driver_run run = {.arena = &arena};
        struct maria_session s = {.run = &run};
        bool read = kt_maria_read_account(&s, true, "app", &account);
        assert_int_equal(read, max == whole);
        assert_string_equal(s.code, read ? "" : "memory");
        if (read)
            assert_string_equal(account.entries[0].host, "10.%");
        kt_arena_free(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_whole),
        cmocka_unit_test(accounts_are_whole),
    };
    struct kt_err err;
    if (kt_secret_init(&err) != KT_OK)
        return 1;
    return cmocka_run_group_tests_name("driver_memory", tests, NULL, NULL);
}
