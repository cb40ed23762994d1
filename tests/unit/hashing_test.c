/* The threads that hash passwords: how many stand in line, who is refused, what becomes of results that
 * nobody fetches. Argon2id itself is held up by the test, so that nothing hangs on how fast it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/support/vault.h"
#include "vaultd/auth/logins.h"

/* ---- Argon2id, held up ---- */

static sem_t may_go;          /* one for each hash */
static _Atomic unsigned begun;
static _Atomic int answers;   /* 0: right, EINVAL: wrong, else: no memory */
static _Atomic bool held;

static void hold(void)
{
    begun++;
    if (held)
        (void)sem_wait(&may_go);
}

int crypto_pwhash_str_verify(const char str[crypto_pwhash_STRBYTES], const char *const passwd,
                             unsigned long long passwdlen)
{
    (void)str;
    (void)passwd;
    (void)passwdlen;
    hold();
    errno = answers;
    return answers == 0 ? 0 : -1;
}

int crypto_pwhash_str_alg(char out[crypto_pwhash_STRBYTES], const char *const passwd, unsigned long long passwdlen,
                          unsigned long long opslimit, size_t memlimit, int alg)
{
    (void)passwdlen;
    hold();
    if (opslimit != HASHING_OPS || memlimit != HASHING_MEMORY || alg != crypto_pwhash_ALG_ARGON2ID13)
        abort(); /* not the test's thread */
    memset(out, 0, crypto_pwhash_STRBYTES);
    memcpy(out, passwd, 8);
    return answers == 0 ? 0 : -1;
}

/* ---- the scene ---- */

static struct test_vault *vault;
static struct hashing *hashing;

static int make(void **state)
{
    *state = vault = test_vault_new(true);
    hashing = vault->core->logins->hashing;
    (void)sem_init(&may_go, 0, 0);
    begun = 0;
    answers = EINVAL;
    held = true;
    return 0;
}

static void let_go(unsigned hashes)
{
    for (unsigned i = 0; i < hashes; i++)
        (void)sem_post(&may_go);
}

static int end(void **state)
{
    held = false;
    let_go(4 * HASHING_LINE);
    test_vault_free(*state);
    (void)sem_destroy(&may_go);
    return 0;
}

static void until_begun(unsigned hashes)
{
    while (begun < hashes)
        (void)sched_yield();
}

static enum hashing_state until_done(const struct hashing_ticket *ticket, char text[HASHING_TEXT])
{
    enum hashing_state state = HASHING_WAITS;
    while ((state = hashing_take(hashing, ticket, text)) == HASHING_WAITS)
        (void)sched_yield();
    return state;
}

static bool post_from(const char *source, unsigned i, struct hashing_ticket *ret)
{
    struct hashing_order order = {.text = "of somebody"};
    (void)snprintf(order.source, sizeof order.source, "%s", source);
    (void)snprintf((char *)order.name, sizeof order.name, "%.8s%u", source, i);
    return hashing_post(hashing, &order, ret);
}

static bool post(const char *name, struct hashing_ticket *ret)
{
    struct hashing_order order = {.text = "of somebody"};
    memcpy(order.name, name, strlen(name));
    return hashing_post(hashing, &order, ret);
}

/* As many as there are threads are at work: the line is empty again. */
static unsigned occupy_threads(struct hashing_ticket *tickets)
{
    unsigned n = 0;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned threads = cores < 4 ? 1 : cores / 2 > 4 ? 4 : (unsigned)cores / 2;
    for (; n < threads; n++) {
        char name[LOCKOUT_KEY] = {'t', (char)('a' + n)};
        assert_true(post(name, &tickets[n]));
    }
    until_begun(threads);
    return threads;
}

/* ---- the line ---- */

static void the_line_is_bounded(void **state)
{
    (void)state;
    struct hashing_ticket at_work[4], tickets[200], more;
    unsigned threads = occupy_threads(at_work), taken = 0;
    char text[HASHING_TEXT];
    for (unsigned i = 0; i < 200; i++) {
        char name[LOCKOUT_KEY] = {'n', (char)(1 + i % 100), (char)(1 + i / 100)};
        taken += post(name, &tickets[taken]);
    }
    assert_int_equal(taken, HASHING_LINE);
    assert_true(taken >= 64);
    let_go(1);
    assert_int_equal(until_done(&at_work[0], text), HASHING_WRONG);
    until_begun(threads + 1);
    assert_true(post("again", &more));
    assert_false(post("too many", &more));
    let_go(threads + HASHING_LINE);
    for (unsigned i = 0; i < taken; i++)
        assert_int_equal(until_done(&tickets[i], text), HASHING_WRONG);
}

/* First come, first served. */
static void in_order(void **state)
{
    (void)state;
    struct hashing_ticket at_work[4], tickets[8];
    char text[HASHING_TEXT];
    unsigned threads = occupy_threads(at_work);
    if (threads > 1)
        skip();
    for (unsigned i = 0; i < 8; i++) {
        char name[LOCKOUT_KEY] = {'n', (char)(1 + i)};
        assert_true(post(name, &tickets[i]));
    }
    let_go(1);
    for (unsigned i = 0; i < 8; i++) {
        let_go(1);
        assert_int_equal(until_done(&tickets[i], text), HASHING_WRONG);
        for (unsigned k = i + 2; k < 8; k++)
            assert_int_equal(hashing_take(hashing, &tickets[k], text), HASHING_WAITS);
    }
}

/* ---- who is in the line ---- */

/* One source floods: another one's first order is next, whatever stands before it. */
static void a_flood_keeps_nobody_out(void **state)
{
    (void)state;
    struct hashing_ticket at_work[4], flood[HASHING_LINE], mine, more;
    char text[HASHING_TEXT];
    unsigned threads = occupy_threads(at_work);
    for (unsigned i = 0; i < HASHING_LINE; i++)
        assert_true(post_from("192.0.2.1", i, &flood[i]));
    assert_false(post_from("192.0.2.1", 1000, &more));
    assert_true(post_from("192.0.2.2", 0, &mine));
    assert_false(post_from("192.0.2.1", 1001, &more)); /* also now */
    assert_int_equal(hashing_take(hashing, &flood[HASHING_LINE - 1], text), HASHING_LOST);
    assert_int_equal(hashing_take(hashing, &flood[HASHING_LINE - 2], text), HASHING_WAITS);
    /* Those at work end; the flood's first and mine come next, in either order. */
    let_go(threads + 2);
    assert_int_equal(until_done(&mine, text), HASHING_WRONG);
    assert_int_equal(hashing_take(hashing, &flood[2], text), HASHING_WAITS);
    let_go(HASHING_LINE);
    for (unsigned i = 0; i + 1 < HASHING_LINE; i++)
        assert_int_equal(until_done(&flood[i], text), HASHING_WRONG);
}

/* Two that flood have half of the line each, and a third one a third. */
static void shares(void **state)
{
    (void)state;
    static const char *const sources[] = {"192.0.2.1", "192.0.2.2", "192.0.2.3"};
    struct hashing_ticket at_work[4], tickets[3][HASHING_LINE];
    char text[HASHING_TEXT];
    unsigned taken[3] = {0};
    (void)occupy_threads(at_work);
    for (unsigned k = 0; k < 3; k++) {
        for (unsigned i = 0; i < HASHING_LINE; i++)
            taken[k] += post_from(sources[k], i, &tickets[k][taken[k]]);
        for (unsigned of = 0; of <= k; of++) {
            unsigned waits = 0;
            for (unsigned i = 0; i < taken[of]; i++)
                waits += hashing_take(hashing, &tickets[of][i], text) == HASHING_WAITS;
            assert_int_equal(waits, HASHING_LINE / (k + 1));
        }
    }
}

/* In turns, not in the order of coming. */
static void turns(void **state)
{
    (void)state;
    struct hashing_ticket at_work[4], first[4], second[2];
    char text[HASHING_TEXT];
    if (occupy_threads(at_work) > 1)
        skip();
    for (unsigned i = 0; i < 4; i++)
        assert_true(post_from("192.0.2.1", i, &first[i]));
    for (unsigned i = 0; i < 2; i++)
        assert_true(post_from("192.0.2.2", i, &second[i]));
    const struct hashing_ticket *order[] = {&first[0], &second[0], &first[1], &second[1], &first[2],
                                            &first[3]};
    let_go(1);
    for (unsigned i = 0; i < 6; i++) {
        let_go(1);
        assert_int_equal(until_done(order[i], text), HASHING_WRONG);
        for (unsigned k = i + 2; k < 6; k++)
            assert_int_equal(hashing_take(hashing, order[k], text), HASHING_WAITS);
    }
}

/* Who posts and goes away leaves results that nobody fetches; they are no line. */
static void results_that_nobody_fetches(void **state)
{
    (void)state;
    struct hashing_ticket ticket, kept;
    char text[HASHING_TEXT];
    held = false;
    assert_true(post_from("192.0.2.2", 0, &kept));
    for (unsigned i = 0; i < 3 * HASHING_LINE; i++) {
        while (!post_from("192.0.2.1", i, &ticket))
            (void)sched_yield();
        until_begun(i + 2);
    }
    assert_int_equal(until_done(&kept, text), HASHING_WRONG);
}

static void what_comes_out(void **state)
{
    (void)state;
    struct hashing_ticket ticket;
    char text[HASHING_TEXT];
    held = false;
    const struct {
        bool make, nobody;
        int answer;
        enum hashing_state state;
    } cases[] = {
        {false, false, 0, HASHING_RIGHT},      {false, false, EINVAL, HASHING_WRONG},
        {false, false, ENOMEM, HASHING_FAILED}, {false, true, 0, HASHING_WRONG},
        {false, true, EINVAL, HASHING_WRONG},  {false, true, ENOMEM, HASHING_FAILED},
        {true, false, 0, HASHING_RIGHT},       {true, false, ENOMEM, HASHING_FAILED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hashing_order order = {.make = cases[i].make, .nobody = cases[i].nobody};
        memcpy(order.secret, "password", 8);
        order.name[0] = (unsigned char)(1 + i);
        answers = cases[i].answer;
        assert_true(hashing_post(hashing, &order, &ticket));
        assert_int_equal(until_done(&ticket, text), cases[i].state);
        assert_int_equal(hashing_take(hashing, &ticket, text), HASHING_LOST);
        if (cases[i].make && cases[i].answer == 0)
            assert_memory_equal(text, "password", 8);
    }
}

/* Also what stood in the line before the fifth failure is not tried any more. */
static void a_locked_name_is_not_looked_at(void **state)
{
    (void)state;
    struct hashing_ticket at_work[4], tickets[LOCKOUT_FAILURES + 3];
    char text[HASHING_TEXT];
    unsigned threads = occupy_threads(at_work);
    for (unsigned i = 0; i < LOCKOUT_FAILURES + 3; i++)
        assert_true(post("guessed", &tickets[i]));
    held = false;
    let_go(threads);
    unsigned wrong = 0, locked = 0;
    for (unsigned i = 0; i < LOCKOUT_FAILURES + 3; i++) {
        enum hashing_state found = until_done(&tickets[i], text);
        wrong += found == HASHING_WRONG;
        locked += found == HASHING_LOCKED;
    }
    assert_int_equal(wrong + locked, LOCKOUT_FAILURES + 3);
    assert_true(wrong >= LOCKOUT_FAILURES && wrong < LOCKOUT_FAILURES + threads);
}

/* ---- requests that wait ---- */

struct asked {
    pthread_t thread;
    const char *path, *address;
    unsigned status;
    _Atomic bool ended;
    char body[2048];
};

static void *ask(void *arg)
{
    struct asked *asked = arg;
    const struct test_request request = {.method = kt_str("POST"),
                                         .target = kt_str(asked->path),
                                         .body = kt_str("{\"password\":\"p\"}"),
                                         .address = asked->address};
    asked->status = test_vault_ask_apart(vault, &request, asked->body, sizeof asked->body);
    asked->ended = true;
    return NULL;
}

/* Two hundred log in at once: those who find no place in the line hear so, and when to come again; and
 * somebody else reads meanwhile. */
static void two_hundred_at_once(void **state)
{
    (void)state;
    enum { ALL = 200 };
    static struct asked asked[ALL];
    static char paths[ALL][64];
    unsigned answered = 0, refused = 0;
    assert_int_equal(test_vault_call(vault, "POST", "sys/auth/userpass", vault->root,
                                     "{\"type\":\"userpass\"}"), 204);
    for (unsigned i = 0; i < ALL; i++) {
        (void)snprintf(paths[i], sizeof paths[i], "/v1/auth/userpass/login/u%u", i);
        asked[i] = (struct asked){.path = paths[i]};
        assert_int_equal(pthread_create(&asked[i].thread, NULL, ask, &asked[i]), 0);
    }
    until_begun(1);
    assert_int_equal(test_vault_call(vault, "GET", "sys/mounts", vault->root, NULL), 200);
    held = false;
    let_go(ALL);
    for (unsigned i = 0; i < ALL; i++) {
        (void)pthread_join(asked[i].thread, NULL);
        answered += asked[i].status == 400;
        refused += asked[i].status == 429;
        if (asked[i].status == 429)
            assert_non_null(strstr(asked[i].body, "try again in"));
    }
    assert_int_equal(answered + refused, ALL);
    assert_true(answered >= 64);
}

/* Who is crowded out hears so at once, while he waits. */
static void crowded_out(void **state)
{
    (void)state;
    enum { ALL = HASHING_LINE + 4 };
    static struct asked asked[ALL], mine = {.path = "/v1/auth/userpass/login/mine", .address = "192.0.2.2"};
    struct hashing_ticket at_work[4];
    assert_int_equal(test_vault_call(vault, "POST", "sys/auth/userpass", vault->root,
                                     "{\"type\":\"userpass\"}"), 204);
    unsigned threads = occupy_threads(at_work), refused = 0;
    for (unsigned i = 0; i < HASHING_LINE; i++) {
        asked[i] = (struct asked){.path = "/v1/auth/userpass/login/u", .address = "192.0.2.1"};
        assert_int_equal(pthread_create(&asked[i].thread, NULL, ask, &asked[i]), 0);
    }
    while (wait_list_count(hashing_waiters(hashing)) < HASHING_LINE)
        (void)sched_yield();
    assert_int_equal(pthread_create(&mine.thread, NULL, ask, &mine), 0);
    for (unsigned ended = 0; ended == 0; (void)sched_yield())
        for (unsigned i = 0; i < HASHING_LINE; i++)
            ended += asked[i].ended;
    held = false;
    let_go(threads + HASHING_LINE + 1);
    for (unsigned i = 0; i < HASHING_LINE; i++) {
        (void)pthread_join(asked[i].thread, NULL);
        refused += asked[i].status == 429;
    }
    (void)pthread_join(mine.thread, NULL);
    assert_int_equal(refused, 1);
    assert_int_equal(mine.status, 400);
}

/* Sealing does not wait for the line, and who waited in it hears of it. */
static void sealed_while_they_wait(void **state)
{
    (void)state;
    static struct asked asked = {.path = "/v1/auth/userpass/login/bob"};
    assert_int_equal(test_vault_call(vault, "POST", "sys/auth/userpass", vault->root,
                                     "{\"type\":\"userpass\"}"), 204);
    assert_int_equal(pthread_create(&asked.thread, NULL, ask, &asked), 0);
    until_begun(1);
    core_seal(vault->core, "test");
    (void)pthread_join(asked.thread, NULL);
    assert_int_equal(asked.status, 503);
}

int main(int argc, char **argv)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make, end)
    const struct CMUnitTest tests[] = {
        TEST(the_line_is_bounded),
        TEST(in_order),
        TEST(a_flood_keeps_nobody_out),
        TEST(shares),
        TEST(turns),
        TEST(results_that_nobody_fetches),
        TEST(crowded_out),
        TEST(what_comes_out),
        TEST(a_locked_name_is_not_looked_at),
        TEST(two_hundred_at_once),
        TEST(sealed_while_they_wait),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("hashing", tests, NULL, NULL);
}
