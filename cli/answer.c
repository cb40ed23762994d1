/* cli/answer.c - showing the vault's answer as it is; see cli/cli.h. */
#include "cli/cli.h"
#include "cli/output.h"
#include "lib/cleanup.h"
#include "lib/jsonw.h"

#define OUT_MAX          ((size_t)512 * 1024 * 1024)
#define KEY_MAX          ((size_t)1024 * 1024)
#define CAPABILITIES_MAX ((size_t)256 * 1024)

void cli_warnings(struct cli *cli, const struct kt_api_reply *reply)
{
    kt_autobuf struct kt_buf text = {0};
    kt_buf_init(&text, OUT_MAX);
    struct kt_json_iter it = kt_json_iter(reply->warnings);
    while (kt_json_next(&it)) {
        kt_buf_reset(&text);
        if (kt_json_string(it.value, &text))
            cli_note(cli, "WARNING! %s", kt_buf_text(&text));
    }
}

static int print_field(struct cli *cli, struct kt_json object, const char *field)
{
    struct kt_json value = {0};
    if (!kt_json_member(object, field, &value) || kt_json_type(value) == KT_JSON_NULL)
        return cli_wrong(cli, "without -field everything is shown", "there is no field '%s'",
                         field);
    if (cli->format == CLI_JSON) {
        output_json(&cli->out, value);
        return CLI_DONE;
    }
    output_value(&cli->out, value);
    if (cli->out_terminal)
        kt_buf_add_char(&cli->out, '\n');
    return CLI_DONE;
}

bool cli_print_plain(struct cli *cli, struct kt_json object, const struct kt_api_reply *reply,
                     int *ret_code)
{
    const char *field = flags_text(&cli->flags, FLAG_FIELD);
    if (field != NULL) {
        *ret_code = print_field(cli, object, field);
        return true;
    }
    if (cli->format != CLI_JSON)
        return false;
    if (kt_json_type(reply->root) == KT_JSON_NONE)
        kt_buf_add_text(&cli->out, "{}\n");
    else
        output_json(&cli->out, reply->root);
    *ret_code = CLI_DONE;
    return true;
}

/* Vault's command's own names, of what is in wrap_info under others. */
int cli_print_members(struct cli *cli, struct kt_json object, const struct kt_api_reply *reply)
{
    static const char *const names[] = {"Key", "Value"};
    int code = CLI_DONE;
    if (cli_print_plain(cli, object, reply, &code))
        return code;
    KT_AUTO(table_free) struct table table = {0};
    table_init(&table, 2, names);
    table_members(&table, object);
    table_print(&table, 0, &cli->out);
    return CLI_DONE;
}

int cli_show(struct cli *cli, const char *doing, const char *path)
{
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    struct cli_call call = {.doing = doing, .method = "GET", .path = path};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    return cli_print_members(cli, reply.data, &reply);
}

bool cli_print_wrapped(struct cli *cli, const struct kt_api_reply *reply, int *ret_code)
{
    static const struct {
        const char *name, *member;
    } rows[] = {
        {"wrapping_token", "token"},
        {"wrapping_accessor", "accessor"},
        {"wrapping_token_ttl", "ttl"},
        {"wrapping_token_creation_time", "creation_time"},
        {"wrapping_token_creation_path", "creation_path"},
        {"wrapped_accessor", "wrapped_accessor"},
    };
    if (kt_json_type(reply->wrap_info) != KT_JSON_OBJECT)
        return false;
    kt_autobuf struct kt_buf named = {0};
    kt_buf_init(&named, OUT_MAX);
    struct kt_jsonw w = kt_jsonw(&named);
    kt_jsonw_object(&w);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kt_json value = {0};
        if (kt_json_member(reply->wrap_info, rows[i].member, &value))
            kt_jsonw_kv_raw(&w, rows[i].name, kt_json_bytes(value));
    }
    kt_jsonw_end(&w);
    *ret_code = cli_print_members(cli, kt_json_value(kt_buf_bytes(&named)), reply);
    return true;
}

void cli_print_keys(struct cli *cli, const struct kt_api_reply *reply)
{
    struct kt_json keys = {0};
    (void)kt_json_member(reply->data, "keys", &keys);
    if (cli->format == CLI_JSON) {
        output_json(&cli->out, keys);
        return;
    }
    struct kt_json_iter it = kt_json_iter(keys);
    while (kt_json_next(&it)) {
        kt_autobuf struct kt_buf key = {0};
        kt_buf_init(&key, KEY_MAX);
        output_value(&key, it.value);
        output_safe(&cli->out, kt_buf_bytes(&key));
        kt_buf_add_char(&cli->out, '\n');
    }
}

int cli_list_keys(struct cli *cli, const char *doing, const char *path, const char *nothing,
                  const char *next)
{
    struct kt_err err = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    struct cli_call call = {.doing = doing, .method = "LIST", .path = path, .err = &err};
    if (cli_call(cli, &call, &reply) == KT_OK) {
        cli_print_keys(cli, &reply);
        return CLI_DONE;
    }
    if (!cli_is_empty(&reply, &err))
        return err.kind == KT_OK ? cli->exit_code : cli_refused(cli, &call, &reply, &err);
    cli_note(cli, "%s", nothing);
    if (next[0] != '\0')
        cli_note(cli, "next   %s", next);
    if (cli->format == CLI_JSON)
        kt_buf_add_text(&cli->out, "[]\n");
    return CLI_DONE;
}

bool cli_do(struct cli *cli, const char *doing, const char *method, const char *path)
{
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    struct cli_call call = {.doing = doing, .method = method, .path = path};
    return cli_call(cli, &call, &reply) == KT_OK;
}

bool cli_capabilities(struct cli *cli, const char *const *paths, size_t count, struct kt_api_reply *reply)
{
    kt_autobuf struct kt_buf body = {0};
    kt_buf_init(&body, CAPABILITIES_MAX);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "paths");
    kt_jsonw_array(&w);
    for (size_t i = 0; i < count; i++)
        kt_jsonw_text(&w, paths[i]);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    struct cli_call call = {.doing = "asking for the rights",
                            .method = "POST",
                            .path = "sys/capabilities-self",
                            .body = kt_buf_bytes(&body),
                            .aside = true};
    return cli_call(cli, &call, reply) == KT_OK;
}

bool cli_has_capability(const struct kt_api_reply *reply, const char *path, const char *capability)
{
    struct kt_json list = {0};
    bool found = false;
    (void)kt_json_member(reply->data, path, &list);
    struct kt_json_iter it = kt_json_iter(list);
    while (!found && kt_json_next(&it))
        found = kt_json_is(it.value, capability) || kt_json_is(it.value, "root");
    return found;
}
