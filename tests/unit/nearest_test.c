#include "lib/nearest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct row {
    const char *name, *word, *nearest;
} rows[] = {
    {"the word itself", "config", "config"},      {"one letter missing", "confg", "config"},
    {"two letters swapped", "cnofig", "config"},  {"one letter wrong", "confog", "config"},
    {"two edits", "cofnigg", "config"},           {"three edits are too far", "coxxxig", NULL},
    {"a short word bears one edit", "de", "dev"}, {"and not two", "d", NULL},
    {"another word", "listener", NULL},           {"nothing", "", NULL},
};

static void finds(void **state)
{
    static const char *const words[] = {"config", "check", "dev", "user", NULL};
    const struct row *row = *state;
    const char *got = kt_nearest(row->word, words);
    if (row->nearest == NULL)
        assert_null(got);
    else
        assert_string_equal(got, row->nearest);
}

static void leaves_long_words_alone(void **state)
{
    (void)state;
    static const char *const words[] = {"config", NULL};
    char word[100];
    memset(word, 'a', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    assert_null(kt_nearest(word, words));
}

int main(void)
{
    struct CMUnitTest tests[sizeof rows / sizeof rows[0] + 1];
    size_t n = 0;
    for (; n < sizeof rows / sizeof rows[0]; n++)
        tests[n] = (struct CMUnitTest){
            .name = rows[n].name, .test_func = finds, .initial_state = (void *)(uintptr_t)&rows[n]};
    tests[n] = (struct CMUnitTest)cmocka_unit_test(leaves_long_words_alone);
    return cmocka_run_group_tests_name("nearest", tests, NULL, NULL);
}
