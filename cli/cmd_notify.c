/* cli/cmd_notify.c - notify list, notify test: the channels by which people are told. */
#include <stdio.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/output.h"

#define PATH_MOST  256
#define TEXT_MAX   300
#define LOOK_MS    200
#define LOOKS_MOST 75u /* 15 s: a try takes 11 s at most */

static enum kt_kind load(struct cli *cli, struct kt_api_reply *reply)
{
    struct cli_call call = {.doing = "listing the channels", .method = "GET", .path = "rotation/notify"};
    return cli_call(cli, &call, reply);
}

static void add_row(struct cli *cli, struct table *table, struct kt_json row)
{
    static const char *const members[] = {"name", "host", "signed", "waiting"};
    char time[OUTPUT_TIME];
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        struct kt_json value = {0};
        (void)kt_json_member(row, members[i], &value);
        table_json(table, value);
    }
    output_time(cli, output_time_of(row, "last_success"), time);
    table_text(table, time);
    output_time(cli, output_time_of(row, "last_failure"), time);
    table_text(table, time);
    struct kt_json error = {0};
    (void)kt_json_member(row, "error", &error);
    table_json(table, error);
}

int cmd_notify_list(struct cli *cli)
{
    static const char *const names[] = {"Channel",      "Host",         "Signed", "Waiting",
                                        "Last success", "Last failure", "Error"};
    int code = CLI_DONE;
    struct kt_json rows = {0};
    KT_AUTO(table_free) struct table table = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    if (load(cli, &reply) != KT_OK)
        return cli->exit_code;
    if (cli_print_plain(cli, reply.data, &reply, &code))
        return code;
    (void)kt_json_member(reply.data, "channels", &rows);
    table_init(&table, 7, names);
    struct kt_json_iter it = kt_json_iter(rows);
    while (kt_json_next(&it))
        add_row(cli, &table, it.value);
    if (table_rows(&table) == 0)
        kt_buf_add_text(&cli->out, "vaultd's configuration names no channel: what happens is in its log alone\n"
                                   "next    notify \"ops\" { url = \"https://...\" }\n");
    else
        table_print(&table, 0, &cli->out);
    return CLI_DONE;
}

/* 1: it arrived; -1: it did not, and error says why; 0: not yet. */
static int look(struct kt_json data, const char *channel, const char *id, char error[TEXT_MAX])
{
    struct kt_json rows = {0};
    (void)kt_json_member(data, "channels", &rows);
    struct kt_json_iter it = kt_json_iter(rows);
    while (kt_json_next(&it)) {
        char text[TEXT_MAX] = "";
        (void)kt_api_text(it.value, "name", text, sizeof text);
        if (strcmp(text, channel) != 0)
            continue;
        (void)kt_api_text(it.value, "last_success_id", text, sizeof text);
        if (strcmp(text, id) == 0)
            return 1;
        (void)kt_api_text(it.value, "error", error, TEXT_MAX);
        (void)kt_api_text(it.value, "last_failure_id", text, sizeof text);
        return strcmp(text, id) == 0 ? -1 : 0;
    }
    return 0;
}

int cmd_notify_test(struct cli *cli)
{
    char path[PATH_MOST], id[64] = "", error[TEXT_MAX] = "";
    int state = 0;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    (void)snprintf(path, sizeof path, "rotation/notify/%.120s/test", cli->words[0]);
    struct cli_call call = {
        .doing = "testing a channel", .method = "POST", .path = path, .body = kt_str("{}")};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    (void)kt_api_text(reply.data, "id", id, sizeof id);
    for (unsigned i = 0; i < LOOKS_MOST && state == 0; i++) {
        const struct timespec pause = {.tv_nsec = (long)LOOK_MS * 1000000};
        (void)nanosleep(&pause, NULL);
        kt_autoapireply struct kt_api_reply now;
        kt_api_reply_init(&now);
        if (load(cli, &now) != KT_OK)
            return cli->exit_code;
        state = look(now.data, cli->words[0], id, error);
    }
    if (state > 0) {
        cli_success(cli, "the message arrived: %s", id);
        return CLI_DONE;
    }
    if (state < 0)
        return cli_wrong(cli, "it is tried again by itself; secretctl notify list", "message %s did not arrive: %s", id,
                         error);
    return cli_wrong(cli, "secretctl notify list", "message %s waits%s%s", id,
                     error[0] == '\0' ? ", nothing is known of it yet" : "; one before it did not arrive: ", error);
}
