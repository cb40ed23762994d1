/* cli/cmd_operator.c - status, operator init, unseal, seal, key-status, rotate: the vault itself.
 * */
#include <sodium.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/key_input.h"
#include "cli/output.h"
#include "cli/prompt.h"
#include "lib/jsonw.h"

#define BODY_MAX ((size_t)64 * 1024)

static void status_table(struct cli *cli, struct kt_json status)
{
    static const struct {
        const char *name, *shown;
    } rows[] = {
        {"type", "Seal Type"},
        {"initialized", "Initialized"},
        {"sealed", "Sealed"},
        {"n", "Total Shares"},
        {"t", "Threshold"},
        {"progress", "Unseal Progress"},
        {"nonce", "Unseal Nonce"},
        {"key_set_id", "Key Set"},
        {"unsealed_by", "Unsealed By"},
        {"keyturn_version", "Version"},
        {"storage_type", "Storage Type"},
        {"cluster_name", "Cluster Name"},
        {"cluster_id", "Cluster ID"},
    };
    static const char *const names[] = {"Key", "Value"};
    KT_AUTO(table_free) struct table table = {0};
    table_init(&table, 2, names);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kt_json value = {0};
        if (!kt_json_member(status, rows[i].name, &value) ||
            (value.len == 2 && value.at[0] == '"'))
            continue;
        table_text(&table, rows[i].shown);
        table_json(&table, value);
    }
    table_print(&table, 0, &cli->out);
}

int cmd_status(struct cli *cli)
{
    bool sealed = true;
    int code = CLI_DONE;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    struct cli_call call = {
        .doing = "asking for the status", .method = "GET", .path = "sys/seal-status"};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    (void)kt_api_bool(reply.data, "sealed", &sealed);
    if (!cli_print_plain(cli, reply.data, &reply, &code))
        status_table(cli, reply.data);
    return code != CLI_DONE ? code : sealed ? CLI_REFUSED : CLI_DONE;
}

/* ---- init ---- */

static int init_status(struct cli *cli)
{
    bool initialized = false;
    int code = CLI_DONE;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    struct cli_call call = {
        .doing = "asking whether it is initialized", .method = "GET", .path = "sys/init"};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code == CLI_DONE ? CLI_DONE : CLI_WRONG;
    (void)kt_api_bool(reply.data, "initialized", &initialized);
    if (cli_print_plain(cli, reply.data, &reply, &code))
        return code != CLI_DONE ? code : initialized ? CLI_DONE : CLI_REFUSED;
    kt_buf_add_text(&cli->out,
                    initialized ? "Vault is initialized\n" : "Vault is not initialized\n");
    return initialized ? CLI_DONE : CLI_REFUSED;
}

static void print_shares(struct cli *cli, struct kt_json keys, struct kt_json root_token)
{
    output_numbered(&cli->out, "Unseal Key", keys);
    kt_buf_add_text(&cli->out, "\nInitial Root Token: ");
    output_value(&cli->out, root_token);
    kt_buf_add_char(&cli->out, '\n');
}

int cmd_operator_init(struct cli *cli)
{
    struct kt_json keys = {0};
    struct kt_json token = {0};
    int code = CLI_DONE;
    uint64_t shares = flags_number(&cli->flags, FLAG_SHARES, 5);
    uint64_t threshold = flags_number(&cli->flags, FLAG_THRESHOLD, shares < 3 ? shares : 3);
    kt_autobuf struct kt_buf body = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&body, BODY_MAX);
    kt_api_reply_init(&reply);
    if (flags_on(&cli->flags, FLAG_STATUS))
        return init_status(cli);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_kv_int(&w, "secret_shares", (int64_t)shares);
    kt_jsonw_kv_int(&w, "secret_threshold", (int64_t)threshold);
    kt_jsonw_end(&w);
    struct cli_call call = {
        .doing = "initializing", .method = "PUT", .path = "sys/init", .body = kt_buf_bytes(&body)};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    if (cli_print_plain(cli, reply.data, &reply, &code))
        return code;
    (void)kt_json_member(reply.data, "keys_base64", &keys);
    (void)kt_json_member(reply.data, "root_token", &token);
    print_shares(cli, keys, token);
    kt_buf_printf(
        &cli->out,
        "\nThis is shown once. Give each key to another person; any %ju of the %ju unseal "
        "the vault,\nfewer tell nothing. It is sealed now, and after every start:\n\n"
        "  secretctl operator unseal      (%ju times, or with several keys on the standard "
        "input)\n",
        (uintmax_t)threshold, (uintmax_t)shares, (uintmax_t)threshold);
    return CLI_DONE;
}

/* ---- unseal ---- */

/* One share, or a reset, or the seals that open by themselves; the reply is the seal's status. */
static enum kt_kind send_share(struct cli *cli, struct kt_bytes share, struct kt_api_reply *reply,
                               struct kt_err *err)
{
    kt_autobuf struct kt_buf body = {0};
    kt_buf_init(&body, BODY_MAX);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    if (share.len > 0) {
        kt_jsonw_key(&w, "key");
        kt_jsonw_bytes(&w, share);
    } else {
        kt_jsonw_kv_bool(&w, flags_on(&cli->flags, FLAG_RESET) ? "reset" : "by_credential", true);
    }
    if (flags_on(&cli->flags, FLAG_ACCEPT_ROLLBACK))
        kt_jsonw_kv_bool(&w, "accept_rollback", true);
    kt_jsonw_end(&w);
    struct cli_call call = {.doing = "unsealing",
                            .method = "PUT",
                            .path = "sys/unseal",
                            .body = kt_buf_bytes(&body),
                            .secret_body = true,
                            .err = err};
    enum kt_kind kind = cli_call(cli, &call, reply);
    if (kind != KT_OK && err->kind != KT_OK)
        cli->exit_code = cli_refused(cli, &call, reply, err);
    return kind;
}

/* Says when a share changed nothing: it was one of those given already. */
static void tell_progress(struct cli *cli, struct kt_json status, int64_t *before)
{
    int64_t progress = 0;
    int64_t threshold = 0;
    (void)kt_api_i64(status, "progress", &progress);
    (void)kt_api_i64(status, "t", &threshold);
    if (progress == *before && progress > 0)
        cli_note(cli, "this share was given already: %jd of %jd", (intmax_t)progress,
                 (intmax_t)threshold);
    else if (cli->in_terminal)
        cli_note(cli, "%jd of %jd", (intmax_t)progress, (intmax_t)threshold);
    *before = progress;
}

static int finish_unseal(struct cli *cli, const struct kt_api_reply *reply)
{
    bool sealed = true;
    int64_t missing = 0;
    int64_t progress = 0;
    int code = CLI_DONE;
    if (cli_print_plain(cli, reply->data, reply, &code))
        return code;
    (void)kt_api_bool(reply->data, "sealed", &sealed);
    (void)kt_api_i64(reply->data, "t", &missing);
    (void)kt_api_i64(reply->data, "progress", &progress);
    status_table(cli, reply->data);
    if (sealed)
        cli_note(cli, "next   %jd more: secretctl operator unseal", (intmax_t)(missing - progress));
    return CLI_DONE;
}

/* Already unsealed, and how many shares were given before: what each share is compared with. */
static bool ask_status(struct cli *cli, struct kt_api_reply *reply, bool *ret_sealed,
                       int64_t *ret_progress)
{
    struct cli_call call = {
        .doing = "asking for the status", .method = "GET", .path = "sys/seal-status"};
    if (flags_on(&cli->flags, FLAG_CURL))
        return true;
    if (cli_call(cli, &call, reply) != KT_OK)
        return false;
    (void)kt_api_bool(reply->data, "sealed", ret_sealed);
    (void)kt_api_i64(reply->data, "progress", ret_progress);
    return true;
}

int cmd_operator_unseal(struct cli *cli)
{
    struct kt_err err = {0};
    bool sealed = true;
    int64_t progress = 0;
    kt_autobuf struct kt_buf share = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&share, PROMPT_ANSWER_MAX);
    kt_api_reply_init(&reply);
    if (!key_input_allowed(cli))
        return cli->exit_code;
    if (flags_on(&cli->flags, FLAG_RESET) || flags_on(&cli->flags, FLAG_BY_CREDENTIAL))
        return send_share(cli, kt_bytes(NULL, 0), &reply, &err) == KT_OK
                   ? finish_unseal(cli, &reply)
                   : cli->exit_code;
    if (!ask_status(cli, &reply, &sealed, &progress))
        return cli->exit_code;
    bool any = false;
    while (sealed) {
        struct kt_bytes key = {0};
        enum kt_kind kind = key_input_next(cli, &share, &key, &err);
        if (kind == KT_GONE)
            break;
        if (kind != KT_OK)
            return cli_fail(cli, &err);
        if (send_share(cli, key, &reply, &err) != KT_OK)
            return cli->exit_code;
        any = true;
        (void)kt_api_bool(reply.data, "sealed", &sealed);
        if (sealed)
            tell_progress(cli, reply.data, &progress);
    }
    if (sealed && !any)
        return cli_wrong(cli, "one key a line on the standard input, or typed when asked",
                         "no unseal key was given");
    return finish_unseal(cli, &reply);
}

int cmd_operator_seal(struct cli *cli)
{
    if (!cli_do(cli, "sealing", "PUT", "sys/seal"))
        return cli->exit_code;
    cli_success(cli, "the vault is sealed; its keys are out of memory");
    return CLI_DONE;
}

/* ---- the keyring ---- */

static int print_key_status(struct cli *cli, const struct kt_api_reply *reply)
{
    char time[OUTPUT_TIME];
    int code = CLI_DONE;
    struct kt_json term = {0};
    struct kt_json used = {0};
    if (cli_print_plain(cli, reply->data, reply, &code))
        return code;
    (void)kt_json_member(reply->data, "term", &term);
    (void)kt_json_member(reply->data, "encryptions", &used);
    output_time(cli, output_time_of(reply->data, "install_time"), time);
    KT_AUTO(table_free) struct table table = {0};
    static const char *const names[] = {"Key", "Value"};
    table_init(&table, 2, names);
    table_text(&table, "Key Term");
    table_json(&table, term);
    table_text(&table, "Install Time");
    table_text(&table, time);
    table_text(&table, "Encryption Count");
    table_json(&table, used);
    table_print(&table, 0, &cli->out);
    return CLI_DONE;
}

int cmd_operator_key_status(struct cli *cli)
{
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    struct cli_call call = {
        .doing = "asking for the key's status", .method = "GET", .path = "sys/key-status"};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    return print_key_status(cli, &reply);
}

int cmd_operator_rotate(struct cli *cli)
{
    if (!cli_do(cli, "rotating the keyring", "POST", "sys/rotate"))
        return cli->exit_code;
    cli_success(cli, "what is written from now on is sealed with a new key");
    return cmd_operator_key_status(cli);
}
