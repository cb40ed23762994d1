/* secret-agent: gives a service its credentials and moves it to new ones. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/args.h"
#include "agent/run.h"
#include "lib/cleanup.h"
#include "lib/failpoint.h"
#include "lib/log.h"
#include "lib/process.h"
#include "lib/secret.h"
#include "lib/token_file.h"

#define EXIT_OURS 125

/* Not for a child of ours: credentials and sockets that were meant for the agent itself. */
static const char *const withheld[] = {
    "VAULT_TOKEN=", "CREDENTIALS_DIRECTORY=", "NOTIFY_SOCKET=", "LISTEN_FDS=",
    "LISTEN_PID=",  "LISTEN_FDNAMES=",        "SSLKEYLOGFILE="};

static bool is_withheld(const char *entry)
{
    for (size_t i = 0; i < sizeof withheld / sizeof withheld[0]; i++)
        if (strncmp(entry, withheld[i], strlen(withheld[i])) == 0)
            return true;
    return false;
}

/* The caller's environment, copied before ours is cleared; the service inherits it. */
static char **copy_environment(void)
{
    size_t n = 0, kept = 0;
    while (environ[n] != NULL)
        n++;
    char **copy = kt_calloc(n + 1, sizeof *copy);
    bool whole = copy != NULL;
    for (size_t i = 0; whole && i < n; i++) {
        if (is_withheld(environ[i]))
            continue;
        copy[kept] = strdup(environ[i]);
        whole = copy[kept++] != NULL;
    }
    return whole ? copy : NULL; /* without it the program ends */
}

static int fail_with(const struct kt_err *err, int status)
{
    (void)fprintf(stderr, "secret-agent: %s\n", err->what);
    if (err->hint[0] != '\0')
        (void)fprintf(stderr, "  next: %s\n", err->hint);
    return status;
}

/* VAULT_TOKEN, the configuration's token file, or ~/.vault-token. */
static enum kt_kind find_token(struct kt_secret *from_env, struct config *config,
                               struct kt_secret **ret, struct kt_err *err)
{
    if (config->token_file != NULL) {
        kt_secret_free(from_env);
        config->token_from = config->token_file;
        return kt_token_file_read(config->token_file, ret, err);
    }
    if (from_env != NULL) {
        config->token_from = "VAULT_TOKEN";
        *ret = from_env;
        return KT_OK;
    }
    config->token_from = "~/.vault-token";
    char path[4200], buffer[4096];
    struct passwd user, *found = NULL;
    const char *home = secure_getenv("HOME");
    if (home == NULL && getpwuid_r(geteuid(), &user, buffer, sizeof buffer, &found) == 0 &&
        found != NULL)
        home = user.pw_dir;
    (void)snprintf(path, sizeof path, "%.4000s/.vault-token", home == NULL ? "" : home);
    enum kt_kind kind = kt_token_file_read(path, ret, err);
    if (kind == KT_NOT_FOUND) {
        (void)kt_fail(err, KT_NOT_FOUND, "no token to authenticate with");
        kt_hint(err, "vault { token_file = \"/path\" } in the configuration, or VAULT_TOKEN");
    }
    return kind;
}

static enum kt_kind read_config(const struct args *args, struct config **ret, struct kt_err *err)
{
    struct config *config = NULL;
    enum kt_kind kind = agent_config_read(args->config, args->service, &config, err);
    for (size_t i = 0; kind == KT_OK && i < args->n_env; i++)
        kind = agent_config_add_env(config, args->env[i], err);
    if (kind == KT_OK && config->service == NULL)
        config->service = args->command == NULL ? "service" : args->command[0];
    if (kind == KT_OK && strrchr(config->service, '/') != NULL)
        config->service = strrchr(config->service, '/') + 1;
    if (kind == KT_OK && config->address == NULL)
        config->address = secure_getenv("VAULT_ADDR");
    if (kind == KT_OK && config->ca_file == NULL)
        config->ca_file = secure_getenv("VAULT_CACERT");
    if (kind == KT_OK)
        kind = agent_config_check(config, err);
    if (kind != KT_OK) {
        agent_config_free(config);
        return kind;
    }
    *ret = config;
    return KT_OK;
}

static void tell_missing(void *arg, const char *what, const char *path)
{
    bool *any = arg;
    (void)fprintf(stderr, "secret-agent: warning: %s \"%s\" is not there, or not for this user\n", what, path);
    *any = true;
}

/* What is missing may come before the program is started: no error. */
static void tell_checked(const struct args *args, const struct config *config)
{
    bool any = false;
    agent_config_missing(config, tell_missing, &any);
    (void)printf("%s: service \"%s\", %zu secrets: fine%s\n", args->config, config->service, config->n_secrets,
                 any ? ", but for what is missing" : "");
}

int main(int argc, char **argv)
{
    struct kt_err err = {0};
    struct kt_secret *env_token = NULL, *token = NULL;
    enum kt_kind kind = kt_secret_init(&err);
    if (kind == KT_OK)
        kind = kt_token_env_take("VAULT_TOKEN", &env_token, &err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return fail_with(&err, EXIT_OURS);
    char **base_env = copy_environment();
    mode_t mask = umask(077);
    static const char *const keep[] = {"PATH",       "HOME",         "TZ", "LANG",
                                       "VAULT_ADDR", "VAULT_CACERT", NULL};
    const struct kt_process_options options = {.keep_env = keep, .may_gain_privileges = true};
    kind = kt_process_start(&options, &err);
    struct args args;
    if (kind == KT_OK && base_env == NULL)
        kind = kt_fail(&err, KT_NO_MEMORY, "copying the environment");
    if (kind == KT_OK)
        kind = agent_args_parse(argc, argv, &args, &err);
    if (kind != KT_OK)
        return fail_with(&err, kind == KT_INVALID ? 2 : EXIT_OURS);
    if (args.help || args.version) {
        agent_args_print(&args);
        return 0;
    }
    struct config *config = NULL;
    kind = read_config(&args, &config, &err);
    if (kind != KT_OK)
        return fail_with(&err, EXIT_OURS);
    if (args.verb == VERB_CHECK) {
        tell_checked(&args, config);
        agent_config_free(config);
        return 0;
    }
    kind = find_token(env_token, config, &token, &err);
    if (kind != KT_OK)
        return fail_with(&err, EXIT_OURS);
    const struct run_options run = {.config = config,
                                    .token = token,
                                    .argv = args.command,
                                    .base_env = base_env,
                                    .umask = mask,
                                    .wait_ms = args.wait_ms};
    int status = run_service(&run, &err);
    kt_secret_free(token);
    agent_config_free(config);
    return status == RUN_FAILED ? fail_with(&err, EXIT_OURS) : status;
}
