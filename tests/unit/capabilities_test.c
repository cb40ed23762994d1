/* sys/capabilities: each path once in the order of the question, and questions that are long in every way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/buf.h"
#include "tests/support/one_vault.h"
#include "vaultd/core/path.h"

#define BODY_MAX 262144u
#define FEW      256u /* as many as are looked up at once */
#define MANY     4096u

static char token[256];

static int begin(void **state)
{
    if (make(state) != 0)
        return -1;
    test_vault_token(vault, "reads", "path \"a*\" { capabilities = [\"read\"] }", token, sizeof token);
    return 0;
}

/* So many paths, each with its number behind `begins`. */
static unsigned ask(const char *begins, unsigned from, unsigned to)
{
    struct kt_buf body;
    kt_buf_init(&body, (size_t)64 * 1024 * 1024);
    kt_buf_add_text(&body, "{\"paths\":[");
    for (unsigned i = from; i < to; i++)
        kt_buf_printf(&body, "%s\"%s%u\"", i == from ? "" : ",", begins, i);
    kt_buf_add_text(&body, "]}");
    unsigned status = test_vault_call(vault, "POST", "sys/capabilities-self", token, kt_buf_text(&body));
    kt_buf_free(&body);
    return status;
}

static void each_once_in_its_order(void **state)
{
    (void)state;
    assert_int_equal(test_vault_call(vault, "POST", "sys/capabilities-self", token,
                                     "{\"paths\":[\"b\",\"a\",\"b\",\"/a\",\"a\",\"aa\",\"b\"]}"),
                     200);
    assert_true(test_vault_said(vault, "\"data\":{\"b\":[\"deny\"],\"a\":[\"read\"],\"/a\":[\"read\"],"
                                       "\"aa\":[\"read\"]}"));
}

static void many_are_looked_up_aside(void **state)
{
    (void)state;
    assert_int_equal(ask("a", 0, FEW), 200);
    assert_int_equal(vault->suspended, 0);
    assert_int_equal(ask("a", 0, MANY), 200);
    assert_int_equal(vault->suspended, 1);
    char last[32];
    (void)snprintf(last, sizeof last, "\"a%u\":[\"read\"]}", MANY - 1);
    assert_true(test_vault_said(vault, "\"data\":{\"a0\":[\"read\"],\"a1\":"));
    assert_true(test_vault_said(vault, last));
}

/* The longest that a request could have. */
static void no_path_is_longer_than_any(void **state)
{
    (void)state;
    char text[PATH_MAX_BYTES + 1];
    memset(text, 'a', sizeof text);
    text[PATH_MAX_BYTES - 1] = '\0';
    assert_int_equal(ask(text, 0, 1), 200);
    assert_int_equal(ask(text, 10, 11), 400);
    assert_true(test_vault_said(vault, "a path is longer than 5120 bytes"));
}

static void the_whole_is_bounded(void **state)
{
    (void)state;
    char text[1001];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(ask(text, 0, BODY_MAX / 1100), 200);
    assert_int_equal(ask(text, 0, MANY), 413);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_once_in_its_order, begin, end),
        cmocka_unit_test_setup_teardown(many_are_looked_up_aside, begin, end),
        cmocka_unit_test_setup_teardown(no_path_is_longer_than_any, begin, end),
        cmocka_unit_test_setup_teardown(the_whole_is_bounded, begin, end),
    };
    return cmocka_run_group_tests_name("capabilities", tests, NULL, NULL);
}
