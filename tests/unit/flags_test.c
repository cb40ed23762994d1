/* Flags and words as people type them. */
#include "cli/flags.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define ARGV(...) ((char *[]){(char[]){"secretctl"}, __VA_ARGS__, NULL})
#define W(text)   ((char[]){text})

static const enum flag_id allowed[] = {FLAG_FIELD,  FLAG_FORCE,  FLAG_CAS,
                                       FLAG_POLICY, FLAG_FORMAT, FLAG_HELP};
#define ALLOWED (sizeof allowed / sizeof allowed[0])

static int count(char *const *argv)
{
    int argc = 0;
    while (argv[argc] != NULL)
        argc++;
    return argc;
}

static enum kt_kind parse(char *const *argv, struct flags *flags, struct kt_err *err)
{
    enum kt_kind kind = flags_split(count(argv), argv, flags, err);
    return kind != KT_OK ? kind : flags_check(flags, allowed, ALLOWED, "kv get", err);
}

static void one_dash_or_two_and_anywhere(void **state)
{
    (void)state;
    struct flags flags;
    struct kt_err err = {0};
    char *const *forms[] = {
        ARGV(W("-field=x"), W("kv"), W("get"), W("a")),
        ARGV(W("--field=x"), W("kv"), W("get"), W("a")),
        ARGV(W("kv"), W("-field"), W("x"), W("get"), W("a")),
        ARGV(W("kv"), W("get"), W("a"), W("--field"), W("x")),
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        assert_int_equal(parse(forms[i], &flags, &err), KT_OK);
        assert_string_equal(flags_text(&flags, FLAG_FIELD), "x");
        assert_int_equal(flags.word_count, 3);
        assert_string_equal(flags.words[2], "a");
    }
}

static void a_lone_dash_is_a_word(void **state)
{
    (void)state;
    struct flags flags;
    struct kt_err err = {0};
    assert_int_equal(parse(ARGV(W("kv"), W("put"), W("-"), W("a=-")), &flags, &err), KT_OK);
    assert_int_equal(flags.word_count, 4);
    assert_int_equal(parse(ARGV(W("--"), W("-field"), W("--")), &flags, &err), KT_OK);
    assert_int_equal(flags.word_count, 2);
    assert_string_equal(flags.words[0], "-field");
}

static void switches(void **state)
{
    (void)state;
    struct flags flags;
    struct kt_err err = {0};
    assert_int_equal(parse(ARGV(W("-force"), W("x")), &flags, &err), KT_OK);
    assert_true(flags_on(&flags, FLAG_FORCE));
    assert_int_equal(flags.word_count, 1);
    assert_int_equal(parse(ARGV(W("-force=false")), &flags, &err), KT_OK);
    assert_true(flags_has(&flags, FLAG_FORCE));
    assert_false(flags_on(&flags, FLAG_FORCE));
    assert_int_equal(parse(ARGV(W("-force=maybe")), &flags, &err), KT_INVALID);
    assert_false(flags_on(&flags, FLAG_HELP));
}

static void numbers(void **state)
{
    (void)state;
    struct flags flags;
    struct kt_err err = {0};
    assert_int_equal(parse(ARGV(W("-cas=0")), &flags, &err), KT_OK);
    assert_int_equal(flags_number(&flags, FLAG_CAS, 7), 0);
    assert_int_equal(parse(ARGV(W("x")), &flags, &err), KT_OK);
    assert_int_equal(flags_number(&flags, FLAG_CAS, 7), 7);
    assert_int_equal(parse(ARGV(W("-cas=-1")), &flags, &err), KT_INVALID);
    assert_int_equal(parse(ARGV(W("-cas=1x")), &flags, &err), KT_INVALID);
    assert_int_equal(parse(ARGV(W("-cas")), &flags, &err), KT_INVALID);
}

static void lists_and_the_last_one(void **state)
{
    (void)state;
    struct flags flags;
    struct kt_err err = {0};
    size_t at = 0;
    assert_int_equal(parse(ARGV(W("-policy=a"), W("-policy"), W("b"), W("-field=1"), W("-field=2")),
                           &flags, &err),
                     KT_OK);
    assert_string_equal(flags_next(&flags, FLAG_POLICY, &at), "a");
    assert_string_equal(flags_next(&flags, FLAG_POLICY, &at), "b");
    assert_null(flags_next(&flags, FLAG_POLICY, &at));
    assert_string_equal(flags_text(&flags, FLAG_FIELD), "2");
}

static void other_names(void **state)
{
    (void)state;
    struct flags flags;
    struct kt_err err = {0};
    assert_int_equal(parse(ARGV(W("-o"), W("json")), &flags, &err), KT_OK);
    assert_string_equal(flags_text(&flags, FLAG_FORMAT), "json");
    assert_int_equal(parse(ARGV(W("-h")), &flags, &err), KT_OK);
    assert_true(flags_on(&flags, FLAG_HELP));
}

static void unknown_flags(void **state)
{
    (void)state;
    static const struct {
        char word[32];
        const char *what, *hint;
    } rows[] = {
        {"-feild=x", "no flag -feild", "-field?"},
        {"--versions=1", "no flag -versions", "secretctl kv get --help"},
        {"-zzzzzz", "no flag -zzzzzz", "secretctl kv get --help"},
        {"-token=hvs.abc", "no flag -token: a token is never an argument", "login"},
        {"-tls-skip-verify", "always verified", "-ca-cert"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct flags flags;
        struct kt_err err = {0};
        char word[32];
        memcpy(word, rows[i].word, sizeof word);
        assert_int_equal(parse(ARGV(word), &flags, &err), KT_INVALID);
        if (strstr(err.what, rows[i].what) == NULL || strstr(err.hint, rows[i].hint) == NULL)
            fail_msg("%s: got '%s' '%s'", word, err.what, err.hint);
        assert_null(strstr(err.what, "hvs.abc"));
    }
}

static void too_many(void **state)
{
    (void)state;
    static char word[] = "x";
    static char flag[] = "-force";
    char *argv[CLI_WORDS_MAX + 3] = {NULL};
    struct flags flags;
    struct kt_err err = {0};
    for (size_t i = 0; i < CLI_WORDS_MAX + 2; i++)
        argv[i] = word;
    assert_int_equal(parse(argv, &flags, &err), KT_INVALID);
    for (size_t i = 1; i < CLI_FLAGS_MAX + 2; i++)
        argv[i] = flag;
    argv[CLI_FLAGS_MAX + 2] = NULL;
    assert_int_equal(parse(argv, &flags, &err), KT_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_dash_or_two_and_anywhere),
        cmocka_unit_test(a_lone_dash_is_a_word),
        cmocka_unit_test(switches),
        cmocka_unit_test(numbers),
        cmocka_unit_test(lists_and_the_last_one),
        cmocka_unit_test(other_names),
        cmocka_unit_test(unknown_flags),
        cmocka_unit_test(too_many),
    };
    return cmocka_run_group_tests_name("flags", tests, NULL, NULL);
}
