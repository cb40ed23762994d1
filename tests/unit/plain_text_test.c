/* What a line of a report or a log may hold of what people say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "lib/plain_text.h"

static void what_is_plain(void **state)
{
    static const struct {
        const char *text, *made; /* made NULL: it is plain */
    } rows[] = {
        {"", NULL},
        {"routine, ticket 4711", NULL},
        {"\xc3\x9c" "bung \xe2\x80\x93 \xe4\xbe\x8b", NULL},
        {"a\xc2\xa0" "b \xe2\x80\x8d \xf0\x9f\x94\x91", NULL}, /* a blank that binds, a joiner, a key */
        {"a\nb", "a b"},
        {"a\r\tb\x1b[2J\x7f", "a  b [2J "},
        {"a\xc2\x85\xc2\x9b" "b", "a    b"},
        {"a\xe2\x80\xa8" "b\xe2\x80\xa9", "a   b   "},
        {"\xe2\x80\xae" "x\xe2\x81\xa6\xd8\x9c\xe2\x80\x8f", "   x        "},
        {"a\xff\xc3", "a  "},
        {"\xed\xa0\x80", "   "},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[64];
        struct kt_err err = {0};
        (void)snprintf(text, sizeof text, "%s", rows[i].text);
        bool plain = rows[i].made == NULL;
        assert_int_equal(kt_text_is_plain(text), plain);
        assert_int_equal(kt_text_check("reason", text, &err), plain ? KT_OK : KT_INVALID);
        assert_string_equal(err.what, plain ? "" : "reason has a control character");
        kt_make_plain(text, strlen(text));
        assert_string_equal(text, plain ? rows[i].text : rows[i].made);
    }
}

static void cut_at_a_character(void **state)
{
    (void)state;
    assert_int_equal(kt_text_cut("abc", 4), 3);
    assert_int_equal(kt_text_cut("abc", 2), 2);
    assert_int_equal(kt_text_cut("a\xc3\xbc", 2), 1);
    assert_int_equal(kt_text_cut("a\xc3\xbc", 3), 3);
    assert_int_equal(kt_text_cut("\xf0\x9f\x94\x91", 3), 0);
    assert_int_equal(kt_text_cut("", 3), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_plain), cmocka_unit_test(cut_at_a_character)};
    return cmocka_run_group_tests_name("plain_text", tests, NULL, NULL);
}
