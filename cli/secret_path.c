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
