/* cli/cmd_approval.c - approve, deny, approvals ...: changes that need the approval of others. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/output.h"
#include "lib/jsonw.h"

#define BODY_MAX  ((size_t)16 * 1024)
#define PATH_ROOM 512u

static bool path_to(struct cli *cli, const char *before, const char *behind, char out[PATH_ROOM])
{
    int n = snprintf(out, PATH_ROOM, "sys/approvals/%s/%s%s", before, cli->words[0], behind);
    if (n > 0 && n < (int)PATH_ROOM)
        return true;
    cli->exit_code = cli_wrong(cli, "secretctl approvals list shows those that wait", "the id is too long");
    return false;
}

/* ---- showing one ---- */

static void add_time(struct cli *cli, struct table *table, const char *name, int64_t ms)
{
    char text[OUTPUT_TIME], age[OUTPUT_TIME];
    output_time(cli, ms, text);
    output_age(cli, ms, age);
    table_text(table, name);
    table_printf(table, "%s (%s)", text, age);
}

static void add_text(struct table *table, const char *name, struct kt_json object, const char *member)
{
    struct kt_json value = {0};
    if (!kt_json_member(object, member, &value) || kt_json_is(value, ""))
        return;
    table_text(table, name);
    table_json(table, value);
}

static void add_rules(struct table *table, struct kt_json data)
{
    struct kt_json rules = {0};
    (void)kt_json_member(data, "rules", &rules);
    struct kt_json_iter it = kt_json_iter(rules);
    while (kt_json_next(&it)) {
        char name[160];
        int64_t needed = 0, approved = 0;
        (void)kt_api_text(it.value, "name", name, sizeof name);
        (void)kt_api_i64(it.value, "needed", &needed);
        (void)kt_api_i64(it.value, "approved", &approved);
        table_text(table, "rule");
        table_printf(table, "%s: %lld of %lld", name, (long long)approved, (long long)needed);
    }
}

static void add_approvals(struct table *table, struct kt_json data)
{
    struct kt_json list = {0}, name = {0};
    (void)kt_json_member(data, "approvals", &list);
    struct kt_json_iter it = kt_json_iter(list);
    while (kt_json_next(&it)) {
        (void)kt_json_member(it.value, "name", &name);
        table_text(table, "approved by");
        table_json(table, name);
    }
}

static void print_one(struct cli *cli, struct kt_json data)
{
    struct kt_json asker = {0}, fields = {0};
    KT_AUTO(table_free) struct table table = {0};
    table_init(&table, 2, NULL);
    (void)kt_json_member(data, "asked_by", &asker);
    add_text(&table, "state", data, "state");
    add_text(&table, "asked by", asker, "name");
    add_text(&table, "wants", data, "operation");
    add_text(&table, "of", data, "path");
    add_text(&table, "reason", data, "reason");
    add_time(cli, &table, "until", output_time_of(data, "expires_at"));
    add_rules(&table, data);
    add_approvals(&table, data);
    add_text(&table, "ended by", data, "ended_by");
    add_text(&table, "why", data, "why");
    table_print(&table, 0, &cli->out);
    if (!kt_json_member(data, "fields", &fields) || kt_json_count(fields) == 0)
        return;
    kt_buf_add_text(&cli->out, "\n");
    KT_AUTO(table_free) struct table sent = {0};
    static const char *const names[] = {"Field", "Value"};
    table_init(&sent, 2, names);
    table_members(&sent, fields);
    table_print(&sent, 0, &cli->out);
}

static int ask(struct cli *cli, const char *doing, const char *method, const char *path, struct kt_bytes body)
{
    int code = CLI_DONE;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    const struct cli_call call = {.doing = doing, .method = method, .path = path, .body = body};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    struct kt_json object = kt_json_type(reply.auth) == KT_JSON_OBJECT ? reply.auth : reply.data;
    struct kt_json state = {0};
    if (cli_print_plain(cli, object, &reply, &code))
        return code;
    if (kt_json_member(object, "asked_by", &state)) {
        print_one(cli, object);
    } else if (kt_json_type(object) == KT_JSON_OBJECT) {
        return cli_print_members(cli, object, &reply);
    } else {
        cli_success(cli, "Done: %s", cli->words[0]);
    }
    return CLI_DONE;
}

static int decide(struct cli *cli, const char *doing, const char *behind, bool reason_needed)
{
    char path[PATH_ROOM];
    const char *reason = flags_text(&cli->flags, FLAG_REASON);
    kt_autobuf struct kt_buf body = {0};
    kt_buf_init(&body, BODY_MAX);
    if (reason_needed && reason == NULL)
        return cli_wrong(cli, "-reason=TEXT: who asked reads it, and the audit log keeps it in clear", "why?");
    if (!path_to(cli, "requests", behind, path))
        return cli->exit_code;
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    if (reason != NULL)
        kt_jsonw_kv_text(&w, "reason", reason);
    kt_jsonw_end(&w);
    if (!kt_buf_ok(&body))
        return cli_wrong(cli, "at most 1024 bytes", "the reason is too long");
    return ask(cli, doing, "POST", path, kt_buf_bytes(&body));
}

int cmd_approve(struct cli *cli)
{
    return decide(cli, "approving", "/approve", false);
}

int cmd_deny(struct cli *cli)
{
    return decide(cli, "denying", "/deny", true);
}

int cmd_approvals_break_glass(struct cli *cli)
{
    return decide(cli, "breaking the glass", "/break-glass", true);
}

/* ---- those that there are ---- */

static void add_row(struct cli *cli, struct table *table, struct kt_json id, struct kt_json info)
{
    struct kt_json asker = {0}, value = {0};
    char text[OUTPUT_TIME];
    static const char *const members[] = {"operation", "path"};
    (void)kt_json_member(info, "asked_by", &asker);
    table_json(table, id);
    (void)kt_json_member(info, "state", &value);
    table_json(table, value);
    (void)kt_json_member(asker, "name", &value);
    table_json(table, value);
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        (void)kt_json_member(info, members[i], &value);
        table_json(table, value);
    }
    output_age(cli, output_time_of(info, "expires_at"), text);
    table_text(table, text);
}

int cmd_approvals_list(struct cli *cli)
{
    static const char *const names[] = {"Id", "State", "Asked-by", "Wants", "Of", "Until"};
    struct kt_err err = {0};
    int code = CLI_DONE;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    bool mine = flags_on(&cli->flags, FLAG_MINE);
    const struct cli_call call = {.doing = "listing what waits for approval",
                                  .method = "LIST",
                                  .path = mine ? "sys/approvals/mine" : "sys/approvals/requests",
                                  .err = &err};
    enum kt_kind kind = cli_call(cli, &call, &reply);
    if (kind != KT_OK && cli_is_empty(&reply, &err)) {
        cli_success(cli, "Nothing waits for approval.");
        return CLI_DONE;
    }
    if (kind != KT_OK)
        return err.kind == KT_OK ? cli->exit_code : cli_refused(cli, &call, &reply, &err);
    if (cli_print_plain(cli, reply.data, &reply, &code))
        return code;
    struct kt_json info = {0};
    (void)kt_json_member(reply.data, "key_info", &info);
    KT_AUTO(table_free) struct table table = {0};
    table_init(&table, 6, names);
    struct kt_json_iter it = kt_json_iter(info);
    while (kt_json_next(&it))
        add_row(cli, &table, it.key, it.value);
    if (kt_json_count(info) == 0) /* the warning says how many cannot be read */
        kt_buf_add_text(&cli->out, "nothing that can be read waits for approval\n");
    else
        table_print(&table, 0, &cli->out);
    return CLI_DONE;
}

int cmd_approvals_show(struct cli *cli)
{
    char path[PATH_ROOM];
    const char *folder = flags_on(&cli->flags, FLAG_MINE) ? "mine" : "requests";
    if (!path_to(cli, folder, "", path))
        return cli->exit_code;
    return ask(cli, "reading what waits for approval", "GET", path, kt_bytes(NULL, 0));
}

/* ---- of who asked ---- */

int cmd_approvals_finish(struct cli *cli)
{
    char path[PATH_ROOM];
    if (!path_to(cli, "mine", "/finish", path))
        return cli->exit_code;
    return ask(cli, "carrying out what was approved", "POST", path, kt_bytes(NULL, 0));
}

int cmd_approvals_withdraw(struct cli *cli)
{
    char path[PATH_ROOM];
    if (!path_to(cli, "mine", "", path))
        return cli->exit_code;
    return ask(cli, "withdrawing a request", "DELETE", path, kt_bytes(NULL, 0));
}
