/* cli/cmd_unwrap.c - unwrap: take what a wrapping token stands for. */
#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/prompt.h"
#include "lib/token_file.h"

/* The request's own token is the wrapping token: no other right is needed. */
static enum kt_kind use_token(struct cli *cli, struct kt_err *err)
{
    kt_autobuf struct kt_buf text = {0};
    struct kt_bytes token = {0};
    kt_buf_init(&text, PROMPT_ANSWER_MAX);
    enum kt_kind kind = cli->in_terminal
                            ? prompt_secret(cli, "Wrapping token (not shown): ", &text, err)
                            : prompt_line(cli, &text, err);
    if (kind == KT_OK)
        kind = kt_token_check(kt_buf_bytes(&text), &token, err);
    return kind == KT_OK ? kt_api_set_token(cli->api, token, err) : kind;
}

int cmd_unwrap(struct cli *cli)
{
    struct kt_err err = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    if (cli->word_count == 1 && strcmp(cli->words[0], "-") != 0)
        return cli_wrong(cli,
                         "\"-\" asks for it, or reads it from the standard input. This one was seen: "
                         "have it made anew",
                         "a token is never an argument: others see it in the list of processes");
    if (!cli_open(cli))
        return cli->exit_code;
    if (use_token(cli, &err) != KT_OK)
        return cli_fail(cli, &err);
    struct cli_call call = {.doing = "unwrapping", .method = "PUT", .path = "sys/wrapping/unwrap"};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    struct kt_json object = kt_json_type(reply.auth) == KT_JSON_OBJECT ? reply.auth : reply.data;
    return cli_print_members(cli, object, &reply);
}
