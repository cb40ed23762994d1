/* cli/main.c - secretctl: starts safely, runs one command, ends with its exit code. */
#include <stdlib.h>

#include "cli/cli.h"
#include "lib/process.h"
#include "lib/secret.h"
#include "lib/token_file.h"

/* What may be read later; all else, and VAULT_TOKEN, leaves the environment at once. */
static const char *const kept[] = {
    "VAULT_ADDR",
    "VAULT_CACERT",
    "VAULT_SKIP_VERIFY",
    "VAULT_CLIENT_CERT",
    "VAULT_CLIENT_KEY",
    "VAULT_NAMESPACE",
    "VAULT_FORMAT",
    "VAULT_TLS_SERVER_NAME",
    "VAULT_CLIENT_TIMEOUT",
    "HOME",
    "TZ",
    NULL,
};

/* The token is taken first: what remains in the old environment block could be read by others. */
static enum kt_kind start(struct cli *cli, struct kt_err *err)
{
    struct kt_process_options options = {.keep_env = kept};
    enum kt_kind kind = kt_secret_init(err);
    if (kind != KT_OK)
        return kind;
    kind = kt_token_env_take("VAULT_TOKEN", &cli->token, err);
    if (kind != KT_OK && kind != KT_NOT_FOUND)
        return kind;
    return kt_process_start(&options, err);
}

int main(int argc, char **argv)
{
    struct cli cli;
    struct kt_err err = {0};
    cli_init(&cli);
    int code = start(&cli, &err) == KT_OK ? cli_run(&cli, argc, argv) : cli_fail(&cli, &err);
    cli_free(&cli);
    return code;
}
