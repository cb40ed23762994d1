#include "cli/key_status.h"

#include "cli/output.h"

enum kt_kind key_status_ask(struct cli *cli, const struct key_status *shown, struct kt_api_reply *reply)
{
    const struct cli_call call = {.doing = shown->asking, .method = "GET", .path = shown->path};
    return cli_call(cli, &call, reply);
}

void key_status_print(struct cli *cli, const struct key_status *shown, struct kt_json status)
{
    static const char *const names[] = {"Key", "Value"};
    KT_AUTO(table_free) struct table table = {0};
    table_init(&table, 2, names);
    for (size_t i = 0; i < shown->n_rows; i++) {
        const struct key_status_row *row = &shown->rows[i];
        struct kt_json value = {0};
        if (!kt_json_member(status, row->name, &value))
            continue;
        if (!shown->blanks && value.len == 2 && value.at[0] == '"')
            continue;
        table_text(&table, row->called);
        table_json(&table, value);
    }
    table_print(&table, 0, &cli->out);
}

int key_status_tell(struct cli *cli, const struct key_status *shown)
{
    int code = CLI_DONE;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    if (key_status_ask(cli, shown, &reply) != KT_OK)
        return cli->exit_code;
    if (!cli_print_plain(cli, reply.data, &reply, &code))
        key_status_print(cli, shown, reply.data);
    return code;
}
