#include "vaultd/args.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define WORDS_MAX 6

static const struct row {
    const char *name;
    const char *words[WORDS_MAX];
    bool ok;
    const char *says, *hints; /* parts of the error */
} rows[] = {
    {"nothing", {NULL}, true, NULL, NULL},
    {"two dashes", {"--config", "f"}, true, NULL, NULL},
    {"one dash", {"-config", "f"}, true, NULL, NULL},
    {"with an equals sign", {"-config=f"}, true, NULL, NULL},
    {"Vault's way", {"server", "-dev", "-dev-root-token-id=root"}, true, NULL, NULL},
    {"short help", {"-h"}, true, NULL, NULL},
    {"a typing error", {"--confg", "f"}, false, "unknown argument '--confg'", "--config?"},
    {"another", {"-dev-tsl"}, false, "unknown argument '-dev-tsl'", "--dev-tls?"},
    {"a word", {"start"}, false, "unknown argument 'start'", "--help"},
    {"three dashes", {"---dev"}, false, "unknown argument", ""},
    {"only dashes", {"--"}, false, "unknown argument '--'", "--help"},
    {"a value is missing", {"--config"}, false, "--config=FILE", ""},
    {"a value is empty", {"--config="}, false, "--config=FILE", ""},
    {"a value too many", {"--dev=yes"}, false, "--dev takes no value", ""},
    {"the value of a wrong flag is not shown",
     {"--token=hunter2"},
     false,
     "unknown argument '--token'",
     ""},
};

/* main()'s argv is not const, though nobody changes it. */
static char *const *plain(const char *const *argv)
{
    return (char *const *)(uintptr_t)argv;
}

static void parses(void **state)
{
    const struct row *row = *state;
    const char *argv[WORDS_MAX + 2] = {"vaultd"};
    int argc = 1;
    while (argc <= WORDS_MAX && row->words[argc - 1] != NULL) {
        argv[argc] = row->words[argc - 1];
        argc++;
    }
    struct args args = {0};
    struct kt_err err = {0};
    enum kt_kind kind = args_parse(argc, plain(argv), &args, &err);
    assert_int_equal(kind == KT_OK, row->ok);
    if (row->says != NULL &&
        (strstr(err.what, row->says) == NULL || strstr(err.hint, row->hints) == NULL))
        fail_msg("%s (%s)", err.what, err.hint);
    assert_null(strstr(err.what, "hunter2"));
}

static void reads_values(void **state)
{
    (void)state;
    const char *argv[] = {"vaultd", "-dev", "--dev-listen-address=127.0.0.1:0",
                          "--user", "me",   "--dev-no-store-token",
                          NULL};
    struct args args = {0};
    struct kt_err err = {0};
    assert_int_equal(args_parse(6, plain(argv), &args, &err), KT_OK);
    assert_true(args.dev && args.dev_no_store_token && !args.dev_tls && !args.check);
    assert_string_equal(args.dev_listen_address, "127.0.0.1:0");
    assert_string_equal(args.user, "me");
    assert_null(args.config);
}

static void help_fits_a_terminal(void **state)
{
    (void)state;
    kt_autobuf struct kt_buf text;
    kt_buf_init(&text, 65536);
    args_help(&text);
    size_t column = 0;
    for (const char *at = kt_buf_text(&text); *at != '\0'; at++) {
        column = *at == '\n' ? 0 : column + 1;
        assert_true(column <= 110);
    }
    assert_non_null(strstr(kt_buf_text(&text), "--dev-listen-address HOST:PORT"));
}

int main(void)
{
    enum { ROWS = sizeof rows / sizeof rows[0] };
    struct CMUnitTest tests[ROWS + 2];
    for (size_t i = 0; i < ROWS; i++)
        tests[i] = (struct CMUnitTest){.name = rows[i].name,
                                       .test_func = parses,
                                       .initial_state = (void *)(uintptr_t)&rows[i]};
    tests[ROWS] = (struct CMUnitTest)cmocka_unit_test(reads_values);
    tests[ROWS + 1] = (struct CMUnitTest)cmocka_unit_test(help_fits_a_terminal);
    return cmocka_run_group_tests_name("args", tests, NULL, NULL);
}
