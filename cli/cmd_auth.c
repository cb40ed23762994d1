/* cli/cmd_auth.c - auth list, enable, disable, tune: the ways to log in. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/output.h"
#include "lib/jsonw.h"

#define BODY_MAX     ((size_t)64 * 1024)
#define PATH_MAX_LEN 512

static bool auth_path(struct cli *cli, const char *name, const char *tail, char out[PATH_MAX_LEN])
{
    size_t len = strlen(name);
    while (len > 0 && name[len - 1] == '/')
        len--;
    int n = snprintf(out, PATH_MAX_LEN, "sys/auth/%.*s%s", (int)len, name, tail);
    if (n > 0 && n < PATH_MAX_LEN)
        return true;
    cli->exit_code = cli_wrong(cli, "", "the name is too long");
    return false;
}

static void member(struct table *table, struct kt_json object, const char *name)
{
    struct kt_json value = {0};
    (void)kt_json_member(object, name, &value);
    table_json(table, value);
}

int cmd_auth_list(struct cli *cli)
{
    static const char *const names[] = {"Path", "Type", "Accessor", "Description"};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    struct cli_call call = {.doing = "listing the ways to log in", .method = "GET", .path = "sys/auth"};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    if (cli->format == CLI_JSON) {
        output_json(&cli->out, reply.data);
        return CLI_DONE;
    }
    KT_AUTO(table_free) struct table table = {0};
    table_init(&table, sizeof names / sizeof names[0], names);
    struct kt_json_iter it = kt_json_iter(reply.data);
    while (kt_json_next(&it)) {
        table_json(&table, it.key);
        member(&table, it.value, "type");
        member(&table, it.value, "accessor");
        member(&table, it.value, "description");
    }
    table_print(&table, 0, &cli->out);
    return CLI_DONE;
}

/* The settings that were given; those of a new way stand in "config". */
static void write_settings(const struct cli *cli, struct kt_jsonw *w)
{
    static const struct {
        enum flag_id flag;
        const char *name;
    } rows[] = {{FLAG_DEFAULT_LEASE, "default_lease_ttl"}, {FLAG_MAX_LEASE, "max_lease_ttl"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (flags_has(&cli->flags, rows[i].flag))
            kt_jsonw_kv_text(w, rows[i].name, flags_text(&cli->flags, rows[i].flag));
}

static void write_description(const struct cli *cli, struct kt_jsonw *w)
{
    if (flags_has(&cli->flags, FLAG_DESCRIPTION))
        kt_jsonw_kv_text(w, "description", flags_text(&cli->flags, FLAG_DESCRIPTION));
}

static bool send_body(struct cli *cli, const char *doing, const char *path, const struct kt_buf *body)
{
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    struct cli_call call = {
        .doing = doing, .method = "POST", .path = path, .body = kt_buf_bytes(body)};
    return cli_call(cli, &call, &reply) == KT_OK;
}

int cmd_auth_enable(struct cli *cli)
{
    const char *type = cli->words[0];
    const char *where = flags_text(&cli->flags, FLAG_PATH);
    char path[PATH_MAX_LEN];
    kt_autobuf struct kt_buf body = {0};
    kt_buf_init(&body, BODY_MAX);
    if (where == NULL)
        where = type;
    if (!auth_path(cli, where, "", path))
        return cli->exit_code;
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "type", type);
    write_description(cli, &w);
    kt_jsonw_key(&w, "config");
    kt_jsonw_object(&w);
    write_settings(cli, &w);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    if (!send_body(cli, "enabling a way to log in", path, &body))
        return cli->exit_code;
    cli_success(cli, "Enabled %s auth method at: %s%s", type, where,
                where[0] != '\0' && where[strlen(where) - 1] == '/' ? "" : "/");
    return CLI_DONE;
}

int cmd_auth_disable(struct cli *cli)
{
    char path[PATH_MAX_LEN];
    if (!auth_path(cli, cli->words[0], "", path))
        return cli->exit_code;
    if (cli->in_terminal && !flags_on(&cli->flags, FLAG_FORCE))
        return cli_wrong(cli, "if that is meant: the same again with -force",
                         "this would end everybody's tokens who logged in through %.200s, and remove its "
                         "users and roles for good",
                         cli->words[0]);
    if (!cli_do(cli, "disabling a way to log in", "DELETE", path))
        return cli->exit_code;
    cli_success(cli, "Disabled the auth method (if it existed) at: %s", cli->words[0]);
    return CLI_DONE;
}

int cmd_auth_tune(struct cli *cli)
{
    char path[PATH_MAX_LEN];
    kt_autobuf struct kt_buf body = {0};
    kt_buf_init(&body, BODY_MAX);
    if (!auth_path(cli, cli->words[0], "/tune", path))
        return cli->exit_code;
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    write_description(cli, &w);
    write_settings(cli, &w);
    kt_jsonw_end(&w);
    if (!send_body(cli, "tuning a way to log in", path, &body))
        return cli->exit_code;
    cli_success(cli, "Tuned the auth method at: %s", cli->words[0]);
    return CLI_DONE;
}
