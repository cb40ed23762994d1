/* The agent's configuration: what is accepted, what is refused and where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/config.h"

static const char whole[] =
    "host = \"web1\"\n"
    "vault { address = \"https://v:8200\" ca_file = \"/ca\" token_file = \"/t\" }\n"
    "service \"orders\" {\n"
    "  file \"/dev/shm/x/service.conf\" { contents = \"{{ secret \\\"secret/db/orders\\\" \\\"password\\\" }}\" mode = \"0440\" }\n"
    "  activate = \"signal\" signal = \"SIGHUP\" stop_timeout = \"5s\"\n"
    "  health \"command\" { command = [\"/bin/true\", \"x\"] pass = 2 interval = \"100ms\" }\n"
    "}\n";

static const struct row {
    const char *name, *text, *error; /* error NULL: fine */
} rows[] = {
    {"whole", whole, NULL},
    {"env", "service \"a\" { env \"X\" { secret = \"secret/a\" field = \"b\" } }", NULL},
    {"unknown key", "service \"a\" { activat = \"none\" }", "activat"},
    {"unknown health", "service \"a\" { health \"magic\" { } }", "health must be"},
    {"latency against too few probes",
     "service \"a\" { health \"tcp\" { address = \"127.0.0.1:1\" samples = 9 latency_factor = 2 } }",
     "needs samples = 10"},
    {"latency against as many as it takes",
     "service \"a\" { health \"tcp\" { address = \"127.0.0.1:1\" samples = 10 latency_factor = 2 } }",
     NULL},
    {"few probes, and no latency",
     "service \"a\" { health \"tcp\" { address = \"127.0.0.1:1\" samples = 0 } }", NULL},
    {"three candidates", "service \"a\" { candidates = 3 }", "candidates"},
    {"a candidate in env",
     "service \"a\" { candidates = 2 env \"X\" { secret = \"secret/a\" field = \"b\" candidate = true } }", NULL},
    {"env that decides how programs run",
     "service \"a\" { env \"LD_PRELOAD\" { secret = \"secret/a\" field = \"b\" } }",
     "decides how programs run"},
    {"env that is no name", "service \"a\" { env \"1X\" { secret = \"secret/a\" field = \"b\" } }",
     "not a name"},
    {"no mount in a path", "service \"a\" { env \"X\" { secret = \"orders\" field = \"b\" } }",
     "not a secret's path"},
    {"mode for everybody to write",
     "service \"a\" { file \"/x/y\" { contents = \"a\" mode = \"0666\" } }", "mode must be"},
    {"neither template nor contents", "service \"a\" { file \"/x/y\" { } }",
     "either template or contents"},
    {"no address", "\nvault { ca_file = \"/ca\"\n  address = \"htps://v:8200\" }\nservice \"a\" { }",
     ":3:3: the address does not begin with https://"},
    {"an address with a port that is none", "vault { address = \"https://v:82000\" }\nservice \"a\" { }", ":1:9: the address has a port"},
    {"a relative path", "service \"a\" {\n  file \"x/y\" { contents = \"a\" } }", ":2:3: file \"x/y\" must be an absolute path"},
    {"a folder's path", "service \"a\" { file \"/x/\" { contents = \"a\" } }",
     "file \"/x/\" must be the path of a file, without a '/' at its end"},
    {"no such template", "service \"a\" {\n file \"/x/y\" { template = \"/nope\" } }", ":2:2: cannot read '/nope'"},
    {"where env decides how programs run",
     "service \"a\" {\n  env \"LD_PRELOAD\" { secret = \"secret/a\" field = \"b\" } }", ":2:3: LD_PRELOAD decides"},
    {"where a string's template is wrong", "service \"a\" {\n file \"/x/y\" {\n  contents = \"a\\n {{ nope }}\" } }",
     ":3:14: contents:2:2: "},
    {"where a heredoc's template is wrong",
     "service \"\303\244\" { file \"/x/y\" { # \303\244\303\266\n contents = <<-EOF\n  [a]\n  b={{ nope }}\n EOF\n} }", ":4:4: "},
    {"a template's mistake", "service \"a\" { file \"/x/y\" { contents = \"{{ nope }}\" } }",
     "no function"},
    {"signal of no name", "service \"a\" { activate = \"signal\" signal = \"FOO\" }",
     "signal must be"},
    {"activation of no name", "service \"a\" { activate = \"reboot\" }", "activate must be"},
    {"two services", "service \"a\" { } service \"b\" { }", "there are 2 services"},
    {"no service", "host = \"x\"", "no service block"},
};
#define N (sizeof rows / sizeof rows[0])

static enum kt_kind read_text(const char *text, struct config **ret, struct kt_err *err)
{
    char path[] = "/tmp/kt-agent-config-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
    enum kt_kind kind = agent_config_read(path, NULL, ret, err);
    (void)unlink(path);
    return kind;
}

static void reads(void **state)
{
    const struct row *row = *state;
    struct config *config = NULL;
    struct kt_err err = {0};
    enum kt_kind kind = read_text(row->text, &config, &err);
    bool right =
        row->error == NULL ? kind == KT_OK : kind != KT_OK && strstr(err.what, row->error) != NULL;
    if (!right)
        fail_msg("%s: expected %s, got %s %s", row->name,
                 row->error == NULL ? "success" : row->error, kt_kind_name(kind), err.what);
    agent_config_free(config);
}

static void keeps_what_it_read(void **state)
{
    (void)state;
    struct config *config = NULL;
    struct kt_err err = {0};
    assert_int_equal(read_text(whole, &config, &err), KT_OK);
    assert_string_equal(config->host, "web1");
    assert_string_equal(config->service, "orders");
    assert_string_equal(config->address, "https://v:8200");
    assert_int_equal(config->n_secrets, 1);
    assert_string_equal(config->secrets[0], "secret/db/orders");
    assert_int_equal(config->files[0].mode, 0440);
    assert_int_equal(config->activate, ACTIVATE_SIGNAL);
    assert_int_equal(config->signal, SIGHUP);
    assert_int_equal(config->stop_timeout_ms, 5000);
    assert_int_equal(config->health.kind, HEALTH_COMMAND);
    assert_int_equal(config->health.pass, 2);
    assert_int_equal(config->health.interval_ms, 100);
    assert_string_equal(config->health.command[1], "x");
    agent_config_free(config);
}

/* Declared and used, or neither. */
static void two_candidates(void **state)
{
    static const char used[] = "file \"/x/y\" { contents = \"{{ secret \\\"secret/z\\\" \\\"c\\\" }}{{ candidate \\\"secret/a\\\" "
                               "\\\"b\\\" }}\" } activate = \"none\"";
    static const char in_env[] = "env \"X\" { secret = \"secret/a\" field = \"b\" candidate = true }";
    static const char plain[] = "env \"X\" { secret = \"secret/a\" field = \"b\" }";
    static const struct {
        const char *declares, *uses, *error;
    } tries[] = {{"candidates = 2", used, NULL},
                 {"candidates = 2", in_env, NULL},
                 {"candidates = 1", plain, NULL},
                 {"", plain, NULL},
                 {"candidates = 2", plain, "neither a file nor env asks for a candidate"},
                 {"candidates = 1", used, "does not say candidates = 2"},
                 {"", in_env, "does not say candidates = 2"}};
    (void)state;
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        char text[512];
        struct config *config = NULL;
        struct kt_err err = {0};
        (void)snprintf(text, sizeof text, "service \"a\" { %s %s }", tries[i].declares, tries[i].uses);
        if (read_text(text, &config, &err) != KT_OK)
            fail_msg("%s: %s", text, err.what);
        enum kt_kind kind = agent_config_check(config, &err);
        if (tries[i].error == NULL ? kind != KT_OK : kind != KT_INVALID || strstr(err.what, tries[i].error) == NULL)
            fail_msg("%s: %s %s", text, kt_kind_name(kind), err.what);
        if (tries[i].uses == used) {
            assert_int_equal(config->n_secrets, 2);
            assert_false(config->two[0]);
            assert_true(config->two[1]);
        }
        agent_config_free(config);
    }
}

/* What only the whole shows has a place, too. */
static void says_where(void **state)
{
    static const struct {
        const char *text, *error;
    } tries[] = {
        {"activate = \"none\"\n env \"X\" { secret = \"secret/a\" field = \"b\" }", ":3:2: an environment is fixed"},
        {"candidates = 2 env \"X\" { secret = \"secret/a\" field = \"b\" }", ":2:1: candidates = 2, and neither"},
        {"env \"X\" { secret = \"secret/a\" field = \"b\" candidate = true }", ":1:1: a candidate is asked for"},
        {"activate = \"signal\" file \"/x/y\" { contents = \"{{ secret \\\"a/b\\\" \\\"c\\\" }}\" }", ":2:1: activate = \"signal\" needs"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        char text[512];
        struct config *config = NULL;
        struct kt_err err = {0};
        (void)snprintf(text, sizeof text, "service \"a\" {\n%s }", tries[i].text);
        if (read_text(text, &config, &err) != KT_OK)
            fail_msg("%s: %s", text, err.what);
        assert_int_equal(agent_config_check(config, &err), KT_INVALID);
        if (strstr(err.what, tries[i].error) == NULL)
            fail_msg("expected '%s', got '%s'", tries[i].error, err.what);
        agent_config_free(config);
    }
}

static void note_missing(void *arg, const char *what, const char *path)
{
    char *all = arg;
    size_t len = strlen(all);
    (void)snprintf(all + len, 512 - len, "%s %s;", what, path);
}

static void says_what_is_missing(void **state)
{
    (void)state;
    struct config *config = NULL;
    struct kt_err err = {0};
    char all[512] = "";
    assert_int_equal(read_text("vault { ca_file = \"/nope/ca\" token_file = \"/nope/t\" }\nservice \"a\" { activate = \"command\" "
                               "command = [\"/bin/true\"] health \"command\" { command = [\"/nope/check\", \"x\"] } }",
                               &config, &err), KT_OK);
    agent_config_missing(config, note_missing, all);
    assert_string_equal(all, "ca_file /nope/ca;token_file /nope/t;the command of the health check /nope/check;");
    agent_config_free(config);
}

static void takes_env_words(void **state)
{
    (void)state;
    struct config *config = NULL;
    struct kt_err err = {0};
    assert_int_equal(agent_config_read(NULL, "s", &config, &err), KT_OK);
    assert_int_equal(agent_config_check(config, &err), KT_INVALID);
    assert_int_equal(agent_config_add_env(config, "A=secret/x#y", &err), KT_OK);
    assert_int_equal(agent_config_add_env(config, "A", &err), KT_INVALID);
    assert_int_equal(agent_config_add_env(config, "A=secret/x", &err), KT_INVALID);
    assert_int_equal(agent_config_check(config, &err), KT_OK);
    assert_string_equal(config->env[0].field, "y");
    agent_config_free(config);
}

int main(int argc, char **argv)
{
    struct CMUnitTest tests[N + 5];
    for (size_t i = 0; i < N; i++)
        tests[i] = (struct CMUnitTest){
            .name = rows[i].name, .test_func = reads, .initial_state = (void *)(uintptr_t)&rows[i]};
    tests[N] = (struct CMUnitTest){.name = "keeps what it read", .test_func = keeps_what_it_read};
    tests[N + 1] = (struct CMUnitTest){.name = "takes --env words", .test_func = takes_env_words};
    tests[N + 2] = (struct CMUnitTest){.name = "two candidates", .test_func = two_candidates};
    tests[N + 3] = (struct CMUnitTest){.name = "says where", .test_func = says_where};
    tests[N + 4] = (struct CMUnitTest){.name = "says what is missing", .test_func = says_what_is_missing};
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("agent_config", tests, NULL, NULL);
}
