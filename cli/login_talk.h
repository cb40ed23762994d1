/* cli/login_talk.h - a login that asks: the vault's prompts are a person's to answer.
 *
 * What:    An answer without a token but with a login id and prompts (auth method "pam") is gone on with:
 *          each prompt is asked at the terminal, unseen unless the vault says that it may be seen, or
 *          answered by a line of the standard input; until there is a token.
 * Threads: one thread. */
#pragma once

#include "cli/cli.h"

/* call: what the reply answers; its body is replaced. False: said why, cli->exit_code is set. */
bool login_talk(struct cli *cli, struct cli_call *call, struct kt_api_reply *reply);
