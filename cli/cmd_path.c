/* cli/cmd_path.c - read, write, list, delete: any path of the API. */
#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/input.h"

/* done: what is said of an answer without a body. */
static int print_object(struct cli *cli, const char *done, const struct kt_api_reply *reply)
{
    int code = CLI_DONE;
    struct kt_json object = kt_json_type(reply->data) != KT_JSON_NONE ? reply->data : reply->auth;
    if (kt_json_type(reply->root) == KT_JSON_NONE) {
        cli_success(cli, "%s: %s", done, cli->words[0]);
        return CLI_DONE;
    }
    if (cli_print_wrapped(cli, reply, &code))
        return code;
    return cli_print_members(cli, object, reply);
}

static int call_path(struct cli *cli, const char *doing, const char *done, const char *method, struct kt_bytes body)
{
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    struct cli_call call = {.doing = doing,
                            .method = method,
                            .path = cli->words[0],
                            .body = body,
                            .secret_body = true,
                            .wraps = true};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    return print_object(cli, done, &reply);
}

int cmd_read(struct cli *cli)
{
    return call_path(cli, "reading", "done", "GET", kt_bytes(NULL, 0));
}

int cmd_delete(struct cli *cli)
{
    return call_path(cli, "deleting", "deleted, if it was there", "DELETE", kt_bytes(NULL, 0));
}

int cmd_write(struct cli *cli)
{
    const struct input_of of = {"write PATH", cli->words[0]};
    struct kt_err err = {0};
    kt_autobuf struct kt_buf body = {0};
    kt_buf_init(&body, INPUT_ALL_MAX * 2);
    if (cli->word_count > 1 &&
        input_secrets(cli, cli->words + 1, cli->word_count - 1, &of, &body, &err) != KT_OK)
        return cli_fail(cli, &err);
    return call_path(cli, "writing", "done", "PUT", kt_buf_bytes(&body));
}

int cmd_list(struct cli *cli)
{
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    struct cli_call call = {.doing = "listing", .method = "LIST", .path = cli->words[0]};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    cli_print_keys(cli, &reply);
    return CLI_DONE;
}
