/* cli/cmd_rekey.c - operator rekey: new unseal keys. */
#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/key_input.h"
#include "cli/key_status.h"
#include "cli/output.h"
#include "lib/jsonw.h"

#define BODY_MAX ((size_t)4096)

/* ---- how far it is ---- */

static const struct key_status_row rows[] = {
    {"nonce", "Nonce"},
    {"started", "Started"},
    {"progress", "Progress"},
    {"required", "Keys Required"},
    {"n", "New Shares"},
    {"t", "New Threshold"},
    {"verification_required", "Verification Required"},
    {"verification_nonce", "Verification Nonce"},
};
#define ROWS rows, sizeof rows / sizeof rows[0], true

/* Of the rekey, or of the new keys that are to come back. */
static const struct key_status *asked_for(const struct cli *cli)
{
    static const struct key_status rekey = {"asking how far the rekey is", "sys/rekey/init", ROWS};
    static const struct key_status verify = {"asking how far the rekey is", "sys/rekey/verify", ROWS};
    return flags_on(&cli->flags, FLAG_VERIFY) ? &verify : &rekey;
}

/* ---- begin, cancel ---- */

static int rekey_begin(struct cli *cli)
{
    int code = CLI_DONE;
    uint64_t shares = flags_number(&cli->flags, FLAG_SHARES, 5);
    uint64_t threshold = flags_number(&cli->flags, FLAG_THRESHOLD, shares < 3 ? shares : 3);
    bool verify = !flags_has(&cli->flags, FLAG_VERIFY) || flags_on(&cli->flags, FLAG_VERIFY);
    kt_autobuf struct kt_buf body = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&body, BODY_MAX);
    kt_api_reply_init(&reply);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_kv_int(&w, "secret_shares", (int64_t)shares);
    kt_jsonw_kv_int(&w, "secret_threshold", (int64_t)threshold);
    kt_jsonw_kv_bool(&w, "require_verification", verify);
    kt_jsonw_end(&w);
    const struct cli_call call = {.doing = "beginning a rekey",
                                  .method = "PUT",
                                  .path = "sys/rekey/init",
                                  .body = kt_buf_bytes(&body)};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    if (cli_print_plain(cli, reply.data, &reply, &code))
        return code;
    key_status_print(cli, asked_for(cli), reply.data);
    if (!verify)
        cli_note(cli, "warning: without -verify the old keys are worth nothing as soon as the new ones are "
                      "answered; if that answer is lost, nobody can unseal the vault again");
    cli_note(cli, "next   tell the holders the nonce; each of them: secretctl operator rekey");
    return CLI_DONE;
}

static int rekey_cancel(struct cli *cli)
{
    bool verify = flags_on(&cli->flags, FLAG_VERIFY);
    if (!cli_do(cli, "canceling", "DELETE", verify ? "sys/rekey/verify" : "sys/rekey/init"))
        return cli->exit_code;
    cli_success(cli, "%s", verify ? "the new keys that were given are forgotten: begin again with the first"
                                  : "the rekey is canceled, if there was one; the keys stay as they are");
    return CLI_DONE;
}

/* ---- keys ---- */

static void print_new_keys(struct cli *cli, struct kt_json answer)
{
    struct kt_json keys = {0}, id = {0};
    bool verify = false;
    (void)kt_json_member(answer, "keys_base64", &keys);
    (void)kt_json_member(answer, "key_set_id", &id);
    (void)kt_api_bool(answer, "verification_required", &verify);
    output_numbered(&cli->out, "Unseal Key", keys);
    kt_buf_add_text(&cli->out, "\nKey Set: ");
    output_value(&cli->out, id);
    kt_buf_add_text(&cli->out, "\n\nThis is shown once. Give each key to another person, with the key set.\n");
    if (verify)
        kt_buf_add_text(&cli->out, "The old keys are the vault's until enough of these were given back, within "
                                   "a day:\n\n  secretctl operator rekey -verify\n");
    else
        kt_buf_add_text(&cli->out, "The old keys do not unseal it any more. ");
}

/* The disk failed in the very commit: the error brings the new keys along, for they may be the vault's. */
static void print_uncertain(struct cli *cli, struct kt_json answer)
{
    struct kt_json keys = {0}, id = {0};
    if (!kt_json_member(answer, "keys_base64", &keys) || !kt_json_member(answer, "key_set_id", &id))
        return;
    output_numbered(&cli->out, "Unseal Key", keys);
    kt_buf_add_text(&cli->out, "\nKey Set: ");
    output_value(&cli->out, id);
    kt_buf_add_text(&cli->out, "\n\nKeep these AND the old ones: the disk failed while they were written. When vaultd "
                               "runs again,\nsecretctl status shows which key set unseals it.\n");
}

/* What a rekey alone does not do. */
static void warn_of_copies(struct cli *cli)
{
    cli_note(cli, "A copy of the data folder made before still opens with the old keys, and its root key is this "
                  "vault's. Where the old keys may be known: destroy such copies, then\n"
                  "  secretctl operator reencrypt, secretctl operator compact");
}

static int finish(struct cli *cli, const struct kt_api_reply *reply, bool complete)
{
    int code = CLI_DONE;
    bool verify = flags_on(&cli->flags, FLAG_VERIFY);
    bool to_verify = false;
    if (cli_print_plain(cli, reply->data, reply, &code))
        return code;
    if (!complete) {
        key_status_print(cli, asked_for(cli), reply->data);
        cli_note(cli, "next   the other holders: secretctl operator rekey%s", verify ? " -verify" : "");
        return CLI_DONE;
    }
    (void)kt_api_bool(reply->data, "verification_required", &to_verify);
    if (verify)
        cli_success(cli, "the new keys are the vault's; the old ones do not unseal it any more");
    else
        print_new_keys(cli, reply->data);
    if (!to_verify)
        warn_of_copies(cli);
    return CLI_DONE;
}

static int rekey_give(struct cli *cli)
{
    bool started = false, complete = false;
    bool verify = flags_on(&cli->flags, FLAG_VERIFY);
    char nonce[64] = "";
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    if (key_status_ask(cli, asked_for(cli), &reply) != KT_OK)
        return cli->exit_code;
    (void)kt_api_bool(reply.data, "started", &started);
    if (!started)
        return cli_wrong(cli,
                         verify ? "first enough of the old ones: secretctl operator rekey"
                                : "secretctl operator rekey -init -key-shares=5 -key-threshold=3",
                         verify ? "no new keys were handed out yet" : "no rekey is in progress");
    if (!key_input_nonce(cli, reply.data, nonce, sizeof nonce))
        return cli->exit_code;
    const struct key_giving giving = {.doing = "giving an unseal key",
                                      .path = verify ? "sys/rekey/verify" : "sys/rekey/update",
                                      .nonce = nonce};
    if (!key_input_give(cli, &giving, &reply, &complete)) {
        print_uncertain(cli, reply.data);
        return cli->exit_code;
    }
    return finish(cli, &reply, complete);
}

int cmd_operator_rekey(struct cli *cli)
{
    static const enum flag_id actions[] = {FLAG_INIT, FLAG_STATUS, FLAG_CANCEL, FLAG_ID_COUNT};
    if (!key_input_allowed(cli) || !key_input_one_action(cli, actions))
        return cli->exit_code;
    if (flags_on(&cli->flags, FLAG_INIT))
        return rekey_begin(cli);
    if (flags_on(&cli->flags, FLAG_STATUS))
        return key_status_tell(cli, asked_for(cli));
    return flags_on(&cli->flags, FLAG_CANCEL) ? rekey_cancel(cli) : rekey_give(cli);
}
