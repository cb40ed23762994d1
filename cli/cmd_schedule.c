/* cli/cmd_schedule.c - schedule set, show, list, remove: how a secret is rotated. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/gap_view.h"
#include "cli/output.h"
#include "cli/rotation_fields.h"
#include "cli/secret_path.h"

/* When it runs next, after it was set; who may not read it is not told. */
static void say_next(struct cli *cli, const char *path)
{
    struct kt_json state = {0};
    char time[OUTPUT_TIME], age[OUTPUT_TIME];
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    struct cli_call call = {
        .doing = "reading the schedule", .method = "GET", .path = path, .aside = true};
    if (cli_call(cli, &call, &reply) != KT_OK || !kt_json_member(reply.data, "state", &state))
        return;
    int64_t ms = output_time_of(state, "next_due");
    output_time(cli, ms, time);
    output_age(cli, ms, age);
    if (cli->format == CLI_JSON)
        return;
    if (ms == 0)
        kt_buf_add_text(&cli->out, "next: only by hand\n");
    else
        kt_buf_printf(&cli->out, "next: %s   %s\n", time, age);
}

int cmd_schedule_set(struct cli *cli)
{
    char path[SECRET_API_PATH];
    struct kt_err err = {0};
    kt_autobuf struct kt_buf body = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&body, INPUT_ALL_MAX * 2);
    kt_api_reply_init(&reply);
    if (!secret_path(cli, "rotation/secrets/", cli->words[0], path))
        return cli->exit_code;
    if (input_fields(cli, cli->words + 1, cli->word_count - 1, cli_schedule_fields, &body, &err) !=
        KT_OK)
        return cli_fail(cli, &err);
    struct cli_call call = {.doing = "setting the rotation",
                            .method = "POST",
                            .path = path,
                            .body = kt_buf_bytes(&body)};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    cli_success(cli, "the rotation of %s is set; when it runs: secretctl schedule preview %s",
                cli->words[0], cli->words[0]);
    say_next(cli, path);
    return CLI_DONE;
}

/* Version numbers as "v4"; 0 and absent as "-". */
static void version_row(struct table *table, struct kt_json state, const char *name)
{
    int64_t version = 0;
    (void)kt_api_i64(state, name, &version);
    table_text(table, name);
    if (version > 0)
        table_printf(table, "v%jd", (intmax_t)version);
    else
        table_text(table, "-");
}

static void time_row(struct cli *cli, struct table *table, struct kt_json state, const char *name,
                     const char *shown)
{
    char time[OUTPUT_TIME];
    char age[OUTPUT_TIME];
    int64_t ms = output_time_of(state, name);
    table_text(table, shown);
    output_time(cli, ms, time);
    output_age(cli, ms, age);
    if (ms == 0)
        table_text(table, "-");
    else
        table_printf(table, "%s   %s", time, age);
}

static void gap_rows(struct cli *cli, struct table *table, const char *secret, struct kt_json data, struct kt_json state)
{
    char strategy[32];
    kt_autobuf struct kt_buf text = {0};
    kt_buf_init(&text, 8192);
    if (!kt_api_text(data, "strategy", strategy, sizeof strategy) || strcmp(strategy, "in-place") != 0)
        return;
    table_text(table, "last gap");
    gap_view_measured(cli, state, &text);
    table_bytes(table, kt_buf_bytes(&text));
    kt_buf_reset(&text);
    if (!gap_view_instead(state, secret, &text))
        return;
    table_text(table, "without a gap");
    table_bytes(table, kt_buf_bytes(&text));
}

static void print_state(struct cli *cli, const char *secret, struct kt_json data, struct kt_json state)
{
    static const char *const versions[] = {"current", "pending", "previous"};
    KT_AUTO(table_free) struct table table = {0};
    char text[600];
    table_init(&table, 2, NULL);
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++)
        version_row(&table, state, versions[i]);
    time_row(cli, &table, state, "next_due", "next");
    time_row(cli, &table, state, "last_done", "last done");
    if (kt_api_text(state, "last_result", text, sizeof text) && text[0] != '\0') {
        table_text(&table, "last result");
        table_text(&table, text);
    }
    if (output_time_of(state, "drifted") != 0)
        time_row(cli, &table, state, "drifted", "DRIFTED since");
    if (output_time_of(state, "verified") != 0)
        time_row(cli, &table, state, "verified", "accepted");
    if (kt_api_text(state, "look", text, sizeof text) && text[0] != '\0') {
        table_text(&table, "last look");
        table_text(&table, text);
    }
    if (output_time_of(state, "next_look") != 0)
        time_row(cli, &table, state, "next_look", "next look");
    if (kt_api_text(state, "drill_result", text, sizeof text) && text[0] != '\0') {
        time_row(cli, &table, state, "drilled", "last drill");
        table_text(&table, "its result");
        table_text(&table, text);
    }
    if (output_time_of(state, "next_drill") != 0)
        time_row(cli, &table, state, "next_drill", "next drill");
    gap_rows(cli, &table, secret, data, state);
    if (kt_api_text(state, "run", text, sizeof text) && text[0] != '\0') {
        table_text(&table, "running");
        table_printf(&table, "%s   secretctl run watch %s", text, text);
    }
    if (kt_api_text(state, "held", text, sizeof text) && text[0] != '\0') {
        table_text(&table, "held");
        table_text(&table, text);
    }
    table_print(&table, 2, &cli->out);
}

/* What differs from a map's defaults: "length=30 type=hex". */
static void map_cell(struct table *table, struct kt_json map)
{
    kt_autobuf struct kt_buf text = {0};
    kt_buf_init(&text, INPUT_ALL_MAX);
    struct kt_json_iter it = kt_json_iter(map);
    while (kt_json_next(&it)) {
        struct kt_bytes value = kt_json_bytes(it.value);
        if (kt_bytes_is(value, "0") || kt_bytes_is(value, "false") || kt_bytes_is(value, "\"\"") ||
            kt_bytes_is(value, "null"))
            continue;
        if (text.len > 0)
            kt_buf_add_char(&text, ' ');
        (void)kt_json_string(it.key, &text);
        kt_buf_add_char(&text, '=');
        output_value(&text, it.value);
    }
    table_bytes(table, kt_buf_bytes(&text));
}

static void print_settings(struct cli *cli, struct kt_json data)
{
    char text[256];
    KT_AUTO(table_free) struct table table = {0};
    table_init(&table, 2, NULL);
    if (kt_api_text(data, "generates", text, sizeof text) && text[0] != '\0') {
        table_text(&table, "generates");
        table_text(&table, text);
    }
    for (const struct input_field *field = cli_schedule_fields; field->name != NULL; field++) {
        struct kt_json value = {0};
        if (!kt_json_member(data, field->name, &value) || kt_json_type(value) == KT_JSON_NULL ||
            (kt_json_type(value) != KT_JSON_NUMBER && value.len <= 2))
            continue;
        table_text(&table, field->name);
        if (field->kind == INPUT_MAP)
            map_cell(&table, value);
        else
            table_list(&table, value);
    }
    table_print(&table, 2, &cli->out);
}

int cmd_schedule_show(struct cli *cli)
{
    struct kt_json state = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    if (!secret_rotation(cli, cli->words[0], "how to set one: secretctl schedule set --help",
                         &reply))
        return cli->exit_code;
    output_safe(&cli->out, kt_str(cli->words[0]));
    kt_buf_add_char(&cli->out, '\n');
    if (kt_json_member(reply.data, "state", &state))
        print_state(cli, cli->words[0], reply.data, state);
    kt_buf_add_char(&cli->out, '\n');
    print_settings(cli, reply.data);
    return CLI_DONE;
}

int cmd_schedule_list(struct cli *cli)
{
    char path[SECRET_API_PATH] = "rotation/secrets";
    if (cli->word_count == 1 && !secret_path(cli, "rotation/secrets/", cli->words[0], path))
        return cli->exit_code;
    return cli_list_keys(cli, "listing what is rotated", path, "nothing is rotated there", "");
}

int cmd_schedule_remove(struct cli *cli)
{
    char path[SECRET_API_PATH];
    if (!secret_path(cli, "rotation/secrets/", cli->words[0], path) ||
        !cli_do(cli, "removing the rotation", "DELETE", path))
        return cli->exit_code;
    cli_success(cli, "the rotation of %s is removed, if it was there; its value and its accounts are as they were",
                cli->words[0]);
    return CLI_DONE;
}
