/* cli/login.h - what the ways to log in share: keeping the token.
 *
 * Threads: one thread. */
#pragma once

#include "lib/bytes.h"

struct cli;

#define LOGIN_PATH_MAX 4096

/* Could a token be kept? False: said why, cli->exit_code is set. */
bool login_try_store(struct cli *cli);
/* Into ~/.vault-token; *path then says where. False: said why, cli->exit_code is set. */
bool login_store(struct cli *cli, struct kt_bytes token, char path[LOGIN_PATH_MAX]);
/* A token that is asked for, or read from the standard input; the exit code. */
int login_by_token(struct cli *cli);
