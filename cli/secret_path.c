/* cli/secret_path.c - see cli/secret_path.h. */
#include "cli/secret_path.h"

#include <stdio.h>

#include "cli/cli.h"

bool secret_path(struct cli *cli, const char *prefix, const char *secret, char out[SECRET_API_PATH])
{
    while (*secret == '/')
        secret++;
    int n = snprintf(out, SECRET_API_PATH, "%s%s", prefix, secret);
    if (n > 0 && n < (int)SECRET_API_PATH && secret[0] != '\0')
        return true;
    cli->exit_code = cli_wrong(cli, "mount and path, as in secret/db/orders",
                               "the secret's path is empty or too long");
    return false;
}

bool secret_rotation(struct cli *cli, const char *secret, const char *none_hint,
                     struct kt_api_reply *reply)
{
    char path[SECRET_API_PATH];
    struct kt_err err = {0};
    if (!secret_path(cli, "rotation/secrets/", secret, path))
        return false;
    struct cli_call call = {
        .doing = "reading the rotation", .method = "GET", .path = path, .err = &err};
    if (cli_call(cli, &call, reply) == KT_OK)
        return !cli_print_plain(cli, reply->data, reply, &cli->exit_code);
    if (err.kind == KT_NOT_FOUND)
        kt_hint(&err, "%s", none_hint);
    if (err.kind != KT_OK)
        cli->exit_code = cli_refused(cli, &call, reply, &err);
    return false;
}
