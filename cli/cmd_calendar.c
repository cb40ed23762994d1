/* cli/cmd_calendar.c - calendar set, show, list, remove: when nothing is rotated by schedule. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/output.h"
#include "cli/rotation_fields.h"

#define PATH_MAX_LEN 512

static bool calendar_path(struct cli *cli, char out[PATH_MAX_LEN])
{
    int n = snprintf(out, PATH_MAX_LEN, "rotation/calendars/%s", cli->words[0]);
    if (n > 0 && n < PATH_MAX_LEN)
        return true;
    cli->exit_code = cli_wrong(cli, "", "the calendar's name is too long");
    return false;
}

static void due_cell(struct cli *cli, struct table *table, struct kt_json row, const char *name)
{
    char time[OUTPUT_TIME];
    int64_t ms = output_time_of(row, name);
    output_time(cli, ms, time);
    table_text(table, ms == 0 ? "-" : time);
}

/* When the secrets that name it will run now. */
static void print_secrets(struct cli *cli, struct kt_json secrets)
{
    static const char *const heading[] = {"Secret", "Was due", "Is due", "Moved by"};
    KT_AUTO(table_free) struct table table = {0};
    char text[300];
    size_t n = 0;
    table_init(&table, 4, heading);
    struct kt_json_iter it = kt_json_iter(secrets);
    for (; kt_json_next(&it); n++) {
        table_text(&table, kt_api_text(it.value, "secret", text, sizeof text) ? text : "");
        due_cell(cli, &table, it.value, "was_due");
        due_cell(cli, &table, it.value, "next_due");
        table_text(&table, kt_api_text(it.value, "moved_by", text, sizeof text) ? text : "");
    }
    if (n > 0)
        table_print(&table, 0, &cli->out);
}

int cmd_calendar_set(struct cli *cli)
{
    char path[PATH_MAX_LEN];
    struct kt_err err = {0};
    struct kt_json secrets = {0};
    kt_autobuf struct kt_buf body = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&body, INPUT_ALL_MAX * 2);
    kt_api_reply_init(&reply);
    if (!calendar_path(cli, path))
        return cli->exit_code;
    if (input_fields(cli, cli->words + 1, cli->word_count - 1, cli_calendar_fields, &body, &err) !=
        KT_OK)
        return cli_fail(cli, &err);
    struct cli_call call = {.doing = "writing the calendar",
                            .method = "POST",
                            .path = path,
                            .body = kt_buf_bytes(&body)};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    if (kt_json_member(reply.data, "secrets", &secrets))
        print_secrets(cli, secrets);
    cli_success(cli, "calendar %s is set; a secret keeps it: secretctl schedule set SECRET blackout=%s",
                cli->words[0], cli->words[0]);
    return CLI_DONE;
}

int cmd_calendar_show(struct cli *cli)
{
    char path[PATH_MAX_LEN];
    if (!calendar_path(cli, path))
        return cli->exit_code;
    return cli_show(cli, "reading the calendar", path);
}

int cmd_calendar_list(struct cli *cli)
{
    return cli_list_keys(cli, "listing the calendars", "rotation/calendars", "there is no calendar yet",
                         "secretctl calendar set --help");
}

int cmd_calendar_remove(struct cli *cli)
{
    char path[PATH_MAX_LEN];
    if (!calendar_path(cli, path) || !cli_do(cli, "removing the calendar", "DELETE", path))
        return cli->exit_code;
    cli_success(cli, "calendar %s is removed, if it was there", cli->words[0]);
    return CLI_DONE;
}
