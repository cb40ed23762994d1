#include "agent/args.h"

#include <stdio.h>

#include "lib/duration.h"
#include "lib/nearest.h"

struct flag {
    const char *name, *value, *help; /* value NULL: a switch */
    enum kt_kind (*take)(struct args *args, const char *value, struct kt_err *err);
};

static enum kt_kind take_config(struct args *args, const char *value, struct kt_err *err)
{
    (void)err;
    args->config = value;
    return KT_OK;
}

static enum kt_kind take_service(struct args *args, const char *value, struct kt_err *err)
{
    (void)err;
    args->service = value;
    return KT_OK;
}

static enum kt_kind take_env(struct args *args, const char *value, struct kt_err *err)
{
    if (args->n_env == ARGS_ENV_MAX)
        return kt_fail(err, KT_INVALID, "--env at most %u times", ARGS_ENV_MAX);
    args->env[args->n_env++] = value;
    return KT_OK;
}

static enum kt_kind take_wait(struct args *args, const char *value, struct kt_err *err)
{
    uint64_t ms = 0;
    enum kt_kind kind = kt_duration_parse(kt_str(value), &ms, err);
    if (kind == KT_OK)
        args->wait_ms = (int64_t)ms;
    else
        kt_context(err, "--wait");
    return kind;
}

static enum kt_kind take_help(struct args *args, const char *value, struct kt_err *err)
{
    (void)value;
    (void)err;
    args->help = true;
    return KT_OK;
}

static enum kt_kind take_version(struct args *args, const char *value, struct kt_err *err)
{
    (void)value;
    (void)err;
    args->version = true;
    return KT_OK;
}

static const struct flag flags[] = {
    {"config", "FILE", "the service's configuration (HCL or JSON)", take_config},
    {"service", "NAME", "which service of the file, when it has several", take_service},
    {"env", "NAME=secret/path#field", "put a field into the environment; may be repeated",
     take_env},
    {"wait", "TIME", "how long to wait for the vault at start, 30s", take_wait},
    {"help", NULL, "this text", take_help},
    {"version", NULL, "the version", take_version},
};
#define N_FLAGS (sizeof flags / sizeof flags[0])

static const struct {
    const char *name;
    enum verb verb;
    const char *help;
} verbs[] = {
    {"run", VERB_RUN, "start a program with its secrets and move it to new versions"},
    {"check", VERB_CHECK, "read a configuration and say what is wrong with it"},
};
#define N_VERBS (sizeof verbs / sizeof verbs[0])

static enum kt_kind unknown(const char *word, bool flag, struct kt_err *err)
{
    const char *known[N_FLAGS + N_VERBS + 1] = {NULL};
    size_t n = 0;
    for (size_t i = 0; flag && i < N_FLAGS; i++)
        known[n++] = flags[i].name;
    for (size_t i = 0; !flag && i < N_VERBS; i++)
        known[n++] = verbs[i].name;
    const char *nearest = kt_nearest(word, known);
    (void)kt_fail(err, KT_INVALID, "unknown %s \"%.60s\"", flag ? "flag" : "command", word);
    if (nearest != NULL)
        kt_hint(err, "did you mean %s%s?", flag ? "--" : "", nearest);
    else
        kt_hint(err, "secret-agent --help");
    return KT_INVALID;
}

/* "--name=value", "--name value", one dash or two. *i is left on the last word taken. */
static enum kt_kind take_flag(struct args *args, int argc, char **argv, int *i, struct kt_err *err)
{
    const char *word = argv[*i] + (argv[*i][1] == '-' ? 2 : 1);
    size_t len = strcspn(word, "=");
    for (size_t f = 0; f < N_FLAGS; f++) {
        if (strlen(flags[f].name) != len || strncmp(flags[f].name, word, len) != 0)
            continue;
        const char *value = word[len] == '=' ? word + len + 1 : NULL;
        if (flags[f].value == NULL)
            return flags[f].take(args, NULL, err);
        if (value == NULL && *i + 1 < argc)
            value = argv[++*i];
        if (value == NULL)
            return kt_fail(err, KT_INVALID, "--%s wants %s", flags[f].name, flags[f].value);
        return flags[f].take(args, value, err);
    }
    return unknown(word, true, err);
}

static enum kt_kind finish(const struct args *args, bool have_verb, struct kt_err *err)
{
    if (args->help || args->version)
        return KT_OK;
    if (!have_verb) {
        (void)kt_fail(err, KT_INVALID, "what is to be done?");
        kt_hint(err, "secret-agent run --config FILE -- command; secret-agent --help");
        return KT_INVALID;
    }
    if (args->verb == VERB_RUN && args->command == NULL) {
        (void)kt_fail(err, KT_INVALID, "no command to run");
        kt_hint(err, "put it behind two dashes: secret-agent run --config FILE -- command");
        return KT_INVALID;
    }
    if (args->verb == VERB_CHECK && args->config == NULL)
        return kt_fail(err, KT_INVALID, "check wants --config FILE");
    return KT_OK;
}

enum kt_kind agent_args_parse(int argc, char **argv, struct args *ret, struct kt_err *err)
{
    struct args args = {.wait_ms = 30000};
    bool have_verb = false;
    for (int i = 1; i < argc; i++) {
        enum kt_kind kind = KT_OK;
        if (strcmp(argv[i], "--") == 0) {
            args.command = i + 1 < argc ? argv + i + 1 : NULL;
            break;
        }
        if (argv[i][0] == '-') {
            kind = take_flag(&args, argc, argv, &i, err);
        } else if (!have_verb) {
            kind = unknown(argv[i], false, err);
            for (size_t v = 0; v < N_VERBS && !have_verb; v++)
                if (strcmp(argv[i], verbs[v].name) == 0) {
                    args.verb = verbs[v].verb;
                    have_verb = true;
                    kind = KT_OK;
                }
        } else {
            (void)kt_fail(err, KT_INVALID, "unexpected word \"%.60s\"", argv[i]);
            kt_hint(err, "put the command behind two dashes: secret-agent run ... -- command");
            kind = KT_INVALID;
        }
        if (kind != KT_OK)
            return kind;
    }
    enum kt_kind kind = finish(&args, have_verb, err);
    if (kind == KT_OK)
        *ret = args;
    return kind;
}

void agent_args_print(const struct args *args)
{
    if (args->version) {
        (void)printf("Keyturn secret-agent v%s\n", KT_VERSION);
        return;
    }
    (void)printf(
        "secret-agent gives a service its credentials, moves it to new versions, and tells\n"
        "the vault which version really runs.\n\n"
        "    secret-agent run --config orders.hcl -- /usr/bin/orders --port 8080\n"
        "    secret-agent run --env PGPASSWORD=secret/db/orders#password -- psql orders\n\n"
        "Commands:\n");
    for (size_t i = 0; i < N_VERBS; i++)
        (void)printf("  %-10s %s\n", verbs[i].name, verbs[i].help);
    (void)printf("\nFlags:\n");
    for (size_t i = 0; i < N_FLAGS; i++) {
        char left[64];
        (void)snprintf(left, sizeof left, "--%s %s", flags[i].name,
                       flags[i].value == NULL ? "" : flags[i].value);
        (void)printf("  %-32s %s\n", left, flags[i].help);
    }
    (void)printf(
        "\nIt authenticates with vault { token_file } of the configuration, VAULT_TOKEN, or\n"
        "~/.vault-token; VAULT_ADDR and VAULT_CACERT are honoured.\n"
        "Exit status: the program's own; 125 when the agent failed, 126 or 127 when the\n"
        "program cannot be run or found, 2 for a mistyped command line.\n"
        "The configuration is explained in docs/agent.md.\n");
}
