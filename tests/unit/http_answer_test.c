#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "vaultd/http/answer.h"

static const char *header(const struct answer *answer, const char *name)
{
    return MHD_get_response_header(answer_response(answer), name);
}

/* The same reply comes again for the same length, and never while it is taken. */
static void again(void **state)
{
    (void)state;
    struct answer *a = answer_take(kt_str("{\"a\":1}"), false);
    struct answer *b = answer_take(kt_str("{\"b\":2}"), false);
    assert_non_null(a);
    assert_non_null(b);
    struct MHD_Response *first = answer_response(a), *second = answer_response(b);
    assert_ptr_not_equal(first, second);
    answer_give(a);
    struct answer *c = answer_take(kt_str("{\"c\":3}"), false);
    assert_ptr_equal(answer_response(c), first);
    answer_give(b);
    answer_give(c); /* two of a length: one stays */
    struct answer *d = answer_take(kt_str("{\"d\":4}"), false);
    assert_ptr_equal(answer_response(d), first);
    answer_give(d);
}

/* Another length, or another set of header lines, is another reply. */
static void differs(void **state)
{
    (void)state;
    struct answer *plain = answer_take(kt_str("{}"), false);
    assert_string_equal(header(plain, "Content-Type"), "application/json");
    assert_string_equal(header(plain, "Cache-Control"), "no-store");
    assert_null(header(plain, "Strict-Transport-Security"));
    answer_give(plain);
    struct answer *tls = answer_take(kt_str("{}"), true);
    assert_non_null(header(tls, "Strict-Transport-Security"));
    answer_give(tls);
    static unsigned char body[ANSWER_MAX + 1];
    for (size_t len = 1; len <= ANSWER_MAX; len += 37) {
        struct answer *answer = answer_take(kt_bytes(body, len), false);
        assert_non_null(answer);
        answer_give(answer);
    }
    assert_null(answer_take(kt_bytes(body, 0), false));
    assert_null(answer_take(kt_bytes(body, sizeof body), false));
    answer_give(NULL);
}

static void *in_a_thread(void *arg)
{
    differs(arg);
    return NULL;
}

/* What a thread keeps ends with it; a sanitiser looks. */
static void threads_end(void **state)
{
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, in_a_thread, state), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(again), cmocka_unit_test(differs),
                                       cmocka_unit_test(threads_end)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
