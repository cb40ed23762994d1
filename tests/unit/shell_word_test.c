/* Names in commands that people paste. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/cleanup.h"
#include "lib/shell_word.h"

static void becomes(const char *text, const char *word)
{
    kt_autobuf struct kt_buf out;
    kt_buf_init(&out, 256);
    kt_add_shell_word(&out, text);
    assert_true(kt_buf_ok(&out));
    assert_string_equal(kt_buf_text(&out), word);
}

static void words(void **state)
{
    (void)state;
    becomes("secret/db/orders", "secret/db/orders");
    becomes("uid=app,ou=x@h1+2%:-_.", "uid=app,ou=x@h1+2%:-_.");
    becomes("", "''");
    becomes("a b", "'a b'");
    becomes("$(id)", "'$(id)'");
    becomes("x;`id`", "'x;`id`'");
    becomes("it's", "'it'\\''s'");
    becomes("'", "''\\'''");
    becomes("a\nb\x1b[2J\x7f", "'a?b?[2J?'");
    becomes("\xc3\xa4", "'\xc3\xa4'");
    becomes("~root", "'~root'");
    becomes("#x", "'#x'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(words)};
    return cmocka_run_group_tests_name("shell_word", tests, NULL, NULL);
}
