/* cli/cmd_certificate.c - certificate revoke, certificate revoked: what an issuer no longer stands for. */
#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/output.h"
#include "cli/secret_path.h"
#include "lib/cleanup.h"
#include "lib/jsonw.h"

#define BODY_MAX ((size_t)8 * 1024)

static bool revoke_body(struct cli *cli, struct kt_buf *body)
{
    struct kt_jsonw w = kt_jsonw(body);
    kt_jsonw_object(&w);
    if (flags_has(&cli->flags, FLAG_VERSION))
        kt_jsonw_kv_int(&w, "version", (int64_t)flags_number(&cli->flags, FLAG_VERSION, 0));
    if (flags_has(&cli->flags, FLAG_REASON))
        kt_jsonw_kv_text(&w, "reason", flags_text(&cli->flags, FLAG_REASON));
    kt_jsonw_end(&w);
    return kt_buf_ok(body);
}

static void say_lists(struct cli *cli, struct kt_json data)
{
    struct kt_json lists = {0};
    if (!kt_json_member(data, "lists", &lists))
        return;
    struct kt_json_iter it = kt_json_iter(lists);
    while (kt_json_next(&it)) {
        kt_buf_add_text(&cli->out, "list    ");
        output_value(&cli->out, it.value);
        kt_buf_add_text(&cli->out, " is made anew now\n");
    }
}

int cmd_certificate_revoke(struct cli *cli)
{
    char path[SECRET_API_PATH];
    char serial[64] = "";
    int code = CLI_DONE;
    kt_autobuf struct kt_buf body = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&body, BODY_MAX);
    kt_api_reply_init(&reply);
    if (!secret_path(cli, "rotation/revoke/", cli->words[0], path))
        return cli->exit_code;
    if (!revoke_body(cli, &body))
        return cli_wrong(cli, "", "the reason is too long");
    struct cli_call call = {.doing = "revoking the certificate",
                            .method = "POST",
                            .path = path,
                            .body = kt_buf_bytes(&body)};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    if (cli_print_plain(cli, reply.data, &reply, &code))
        return code;
    (void)kt_api_text(reply.data, "serial_number", serial, sizeof serial);
    cli_success(cli, "the certificate %s of %s is revoked; a new one: secretctl rotate %s", serial, cli->words[0],
                cli->words[0]);
    say_lists(cli, reply.data);
    return CLI_DONE;
}

int cmd_certificate_revoked(struct cli *cli)
{
    static const char *const names[] = {"serial_number", "secret", "version", "revoked", "not_after", "by", "reason"};
    enum { COLUMNS = sizeof names / sizeof names[0] };
    char path[SECRET_API_PATH];
    int code = CLI_DONE;
    struct kt_json rows = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    if (!secret_path(cli, "rotation/issuers/", cli->words[0], path))
        return cli->exit_code;
    struct cli_call call = {.doing = "reading what is revoked", .method = "GET", .path = path};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    if (cli_print_plain(cli, reply.data, &reply, &code))
        return code;
    KT_AUTO(table_free) struct table table = {0};
    table_init(&table, COLUMNS, names);
    (void)kt_json_member(reply.data, "revoked", &rows);
    struct kt_json_iter it = kt_json_iter(rows);
    while (kt_json_next(&it))
        for (size_t i = 0; i < COLUMNS; i++) {
            struct kt_json value = {0};
            kt_autobuf struct kt_buf text = {0};
            kt_buf_init(&text, BODY_MAX);
            if (kt_json_member(it.value, names[i], &value))
                output_value(&text, value);
            table_bytes(&table, kt_buf_bytes(&text));
        }
    table_print(&table, 0, &cli->out);
    return CLI_DONE;
}
