/* cli/cmd_sys.c - secrets list, enable, disable; policy list, read, write, delete. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/input.h"
#include "cli/output.h"
#include "lib/hcl/hcl.h"
#include "lib/jsonw.h"

#define BODY_MAX     ((size_t)4 * 1024 * 1024)
#define PATH_MAX_LEN 512

static bool api_path(struct cli *cli, const char *prefix, const char *name, char out[PATH_MAX_LEN])
{
    int n = snprintf(out, PATH_MAX_LEN, "%s%s", prefix, name);
    if (n > 0 && n < PATH_MAX_LEN)
        return true;
    cli->exit_code = cli_wrong(cli, "", "the name is too long");
    return false;
}

/* ---- mounts ---- */

static void mount_row(struct table *table, struct kt_json name, struct kt_json info, bool detailed)
{
    static const char *const more[] = {"uuid", "local", "seal_wrap"};
    struct kt_json options = {0};
    struct kt_json value = {0};
    table_json(table, name);
    (void)kt_json_member(info, "type", &value);
    table_json(table, value);
    value = (struct kt_json){0};
    (void)kt_json_member(info, "accessor", &value);
    table_json(table, value);
    value = (struct kt_json){0};
    if (kt_json_member(info, "options", &options))
        (void)kt_json_member(options, "version", &value);
    table_json(table, value);
    for (size_t i = 0; detailed && i < sizeof more / sizeof more[0]; i++) {
        value = (struct kt_json){0};
        (void)kt_json_member(info, more[i], &value);
        table_json(table, value);
    }
    value = (struct kt_json){0};
    (void)kt_json_member(info, "description", &value);
    table_json(table, value);
}

int cmd_secrets_list(struct cli *cli)
{
    static const char *const names[] = {"Path", "Type", "Accessor", "Version", "Description"};
    static const char *const all[] = {"Path", "Type",  "Accessor",  "Version",
                                      "UUID", "Local", "Seal Wrap", "Description"};
    bool detailed = flags_on(&cli->flags, FLAG_DETAILED);
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    struct cli_call call = {.doing = "listing the mounts", .method = "GET", .path = "sys/mounts"};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    if (cli->format == CLI_JSON) {
        output_json(&cli->out, reply.data);
        return CLI_DONE;
    }
    KT_AUTO(table_free) struct table table = {0};
    table_init(&table, detailed ? 8 : 5, detailed ? all : names);
    struct kt_json_iter it = kt_json_iter(reply.data);
    while (kt_json_next(&it))
        mount_row(&table, it.key, it.value, detailed);
    table_print(&table, 0, &cli->out);
    return CLI_DONE;
}

int cmd_secrets_enable(struct cli *cli)
{
    const char *type = cli->words[0];
    const char *where = flags_text(&cli->flags, FLAG_PATH);
    char path[PATH_MAX_LEN];
    kt_autobuf struct kt_buf body = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&body, BODY_MAX);
    kt_api_reply_init(&reply);
    if (where == NULL)
        where = type;
    if (!api_path(cli, "sys/mounts/", where, path))
        return cli->exit_code;
    bool v2_name = strcmp(type, "kv-v2") == 0;
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "type", v2_name ? "kv" : type);
    if (flags_has(&cli->flags, FLAG_DESCRIPTION))
        kt_jsonw_kv_text(&w, "description", flags_text(&cli->flags, FLAG_DESCRIPTION));
    if (v2_name || strcmp(type, "kv") == 0) {
        char version[24];
        (void)snprintf(version, sizeof version, "%ju",
                       (uintmax_t)flags_number(&cli->flags, FLAG_VERSION, 2));
        kt_jsonw_key(&w, "options");
        kt_jsonw_object(&w);
        kt_jsonw_kv_text(&w, "version", version);
        kt_jsonw_end(&w);
    }
    kt_jsonw_end(&w);
    struct cli_call call = {
        .doing = "mounting", .method = "POST", .path = path, .body = kt_buf_bytes(&body)};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    cli_success(cli, "Enabled the %s secrets engine at: %s%s", type, where,
                where[strlen(where) - 1] == '/' ? "" : "/");
    return CLI_DONE;
}

int cmd_secrets_disable(struct cli *cli)
{
    char path[PATH_MAX_LEN];
    if (!api_path(cli, "sys/mounts/", cli->words[0], path))
        return cli->exit_code;
    if (cli->in_terminal && !flags_on(&cli->flags, FLAG_FORCE))
        return cli_wrong(cli, "if that is meant: the same again with -force",
                         "this would remove every secret in %.200s for good", cli->words[0]);
    if (!cli_do(cli, "unmounting", "DELETE", path))
        return cli->exit_code;
    cli_success(cli, "Disabled the secrets engine (if it existed) at: %s", cli->words[0]);
    return CLI_DONE;
}

/* ---- policies ---- */

int cmd_policy_list(struct cli *cli)
{
    return cli_list_keys(cli, "listing the policies", "sys/policies/acl", "there is no policy", "");
}

int cmd_policy_read(struct cli *cli)
{
    char path[PATH_MAX_LEN];
    struct kt_err err = {0};
    struct kt_json policy = {0};
    int code = CLI_DONE;
    if (!api_path(cli, "sys/policies/acl/", cli->words[0], path))
        return cli->exit_code;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    struct cli_call call = {
        .doing = "reading the policy", .method = "GET", .path = path, .err = &err};
    if (cli_call(cli, &call, &reply) != KT_OK) {
        if (cli_is_empty(&reply, &err)) {
            cli_note(cli, "Error: there is no policy '%s'", cli->words[0]);
            cli_note(cli, "next   secretctl policy list");
            return CLI_REFUSED;
        }
        return err.kind == KT_OK ? cli->exit_code : cli_refused(cli, &call, &reply, &err);
    }
    if (cli_print_plain(cli, reply.data, &reply, &code))
        return code;
    (void)kt_json_member(reply.data, "policy", &policy);
    kt_autobuf struct kt_buf text = {0};
    kt_buf_init(&text, BODY_MAX);
    output_value(&text, policy);
    output_safe(&cli->out, kt_buf_bytes(&text));
    if (text.len > 0 && text.at[text.len - 1] != '\n')
        kt_buf_add_char(&cli->out, '\n');
    return CLI_DONE;
}

/* Mistakes are better found here, with the file's name. */
static enum kt_kind check_hcl(const char *file, struct kt_bytes text, struct kt_err *err)
{
    struct kt_hcl_body *root = NULL;
    enum kt_kind kind = kt_hcl_parse(text, strcmp(file, "-") == 0 ? "stdin" : file, &root, err);
    kt_hcl_free(root);
    return kind;
}

int cmd_policy_write(struct cli *cli)
{
    char path[PATH_MAX_LEN];
    struct kt_err err = {0};
    const char *file = cli->words[1];
    kt_autobuf struct kt_buf text = {0};
    kt_autobuf struct kt_buf body = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&text, BODY_MAX);
    kt_buf_init(&body, BODY_MAX * 2);
    kt_api_reply_init(&reply);
    if (!api_path(cli, "sys/policies/acl/", cli->words[0], path))
        return cli->exit_code;
    if (file[0] == '@')
        file++;
    if (input_file(cli, file, KT_HCL_MAX_BYTES, &text, &err) != KT_OK ||
        check_hcl(file, kt_buf_bytes(&text), &err) != KT_OK)
        return cli_fail(cli, &err);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "policy");
    kt_jsonw_bytes(&w, kt_buf_bytes(&text));
    kt_jsonw_end(&w);
    struct cli_call call = {
        .doing = "writing the policy", .method = "PUT", .path = path, .body = kt_buf_bytes(&body)};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    cli_success(cli, "Uploaded policy: %s", cli->words[0]);
    return CLI_DONE;
}

int cmd_policy_delete(struct cli *cli)
{
    char path[PATH_MAX_LEN];
    if (!api_path(cli, "sys/policies/acl/", cli->words[0], path) ||
        !cli_do(cli, "deleting the policy", "DELETE", path))
        return cli->exit_code;
    cli_success(cli, "Deleted policy, if it was there: %s", cli->words[0]);
    return CLI_DONE;
}
