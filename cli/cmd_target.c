/* cli/cmd_target.c - target set, show, list, remove, check: the systems that accept credentials. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/output.h"
#include "cli/rotation_fields.h"

#define PATH_MAX_LEN 512
/* A check waits for a database; its own time-outs are below this. */
#define CHECK_TIMEOUT_MS 120000u

static bool target_path(struct cli *cli, const char *tail, char out[PATH_MAX_LEN])
{
    int n = snprintf(out, PATH_MAX_LEN, "rotation/targets/%s%s", cli->words[0], tail);
    if (n > 0 && n < PATH_MAX_LEN)
        return true;
    cli->exit_code = cli_wrong(cli, "", "the target's name is too long");
    return false;
}

int cmd_target_set(struct cli *cli)
{
    char path[PATH_MAX_LEN];
    struct kt_err err = {0};
    kt_autobuf struct kt_buf body = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&body, INPUT_ALL_MAX * 2);
    kt_api_reply_init(&reply);
    if (!target_path(cli, "", path))
        return cli->exit_code;
    if (input_fields(cli, cli->words + 1, cli->word_count - 1, cli_target_fields, &body, &err) !=
        KT_OK)
        return cli_fail(cli, &err);
    struct cli_call call = {.doing = "writing the target",
                            .method = "POST",
                            .path = path,
                            .body = kt_buf_bytes(&body),
                            .secret_body = true};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    cli_success(cli, "target %s is set; try it: secretctl target check %s", cli->words[0],
                cli->words[0]);
    return CLI_DONE;
}

int cmd_target_show(struct cli *cli)
{
    char path[PATH_MAX_LEN];
    if (!target_path(cli, "", path))
        return cli->exit_code;
    return cli_show(cli, "reading the target", path);
}

int cmd_target_list(struct cli *cli)
{
    return cli_list_keys(cli, "listing the targets", "rotation/targets", "there is no target yet",
                         "secretctl target set --help");
}

int cmd_target_remove(struct cli *cli)
{
    char path[PATH_MAX_LEN];
    if (!target_path(cli, "", path) || !cli_do(cli, "removing the target", "DELETE", path))
        return cli->exit_code;
    cli_success(cli, "target %s is removed, if it was there; the system itself was not touched", cli->words[0]);
    return CLI_DONE;
}

int cmd_target_check(struct cli *cli)
{
    char path[PATH_MAX_LEN];
    int code = CLI_DONE;
    bool ok = false;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    if (!target_path(cli, "/check", path))
        return cli->exit_code;
    struct cli_call call = {.doing = "checking the target",
                            .method = "POST",
                            .path = path,
                            .timeout_ms = CHECK_TIMEOUT_MS};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    (void)kt_api_bool(reply.data, "ok", &ok);
    if (cli_print_plain(cli, reply.data, &reply, &code))
        return code != CLI_DONE ? code : ok ? CLI_DONE : CLI_REFUSED;
    output_safe(&cli->out, kt_str(cli->words[0]));
    kt_buf_add_text(&cli->out, ok ? ": ready to rotate\n" : ": NOT ready to rotate\n");
    output_steps(reply.data, &cli->out);
    char next[512] = "";
    if (kt_api_text(reply.data, "next", next, sizeof next) && next[0] != '\0') {
        kt_buf_add_text(&cli->out, "next    ");
        output_safe(&cli->out, kt_str(next));
        kt_buf_add_char(&cli->out, '\n');
    }
    return ok ? CLI_DONE : CLI_REFUSED;
}
