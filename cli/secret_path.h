/* cli/secret_path.h - the API's path for a secret: "rotation/secrets/secret/db/orders".
 * Threads: one thread. */
#pragma once

#include <stdbool.h>

struct cli;

#define SECRET_API_PATH 2200u

/* False: said what is wrong; cli->exit_code is set. */
bool secret_path(struct cli *cli, const char *prefix, const char *secret,
                 char out[SECRET_API_PATH]);
