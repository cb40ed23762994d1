/* cli/secret_path.h - a secret by its path: "rotation/secrets/secret/db/orders", and what is there.
 * Threads: one thread. */
#pragma once

#include <stdbool.h>

struct cli;
struct kt_api_reply;

#define SECRET_API_PATH 2200u

/* False: said what is wrong; cli->exit_code is set. */
bool secret_path(struct cli *cli, const char *prefix, const char *secret,
                 char out[SECRET_API_PATH]);
/* How the secret is rotated, as the API answers. False: said what is wrong, with the hint when it is
 * not rotated, or printed as -format and -field want it; cli->exit_code is set. */
bool secret_rotation(struct cli *cli, const char *secret, const char *none_hint,
                     struct kt_api_reply *reply);
