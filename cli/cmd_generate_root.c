/* cli/cmd_generate_root.c - operator generate-root: a root token, when the holders of unseal keys agree. */
#include <sodium.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/key_input.h"
#include "cli/key_status.h"
#include "cli/output.h"
#include "cli/prompt.h"
#include "lib/token_file.h"

#define PATH "sys/generate-root/attempt"

/* ---- how far it is ---- */

static const struct key_status_row rows[] = {
    {"nonce", "Nonce"},
    {"started", "Started"},
    {"progress", "Progress"},
    {"required", "Keys Required"},
    {"complete", "Complete"},
    {"encoded_token", "Encoded Token"},
};
static const struct key_status status = {"asking how far the root token is", PATH, rows,
                                         sizeof rows / sizeof rows[0], false};

/* ---- begin, cancel ---- */

static int keep_pad(struct cli *cli, const char *path, struct kt_json otp)
{
    struct kt_err err = {0};
    kt_autobuf struct kt_buf text = {0};
    kt_buf_init(&text, KT_TOKEN_TEXT_MAX);
    if (!kt_json_string(otp, &text))
        return cli_wrong(cli, "secretctl operator generate-root -cancel", "the vault made no one-time pad");
    if (kt_token_file_write(path, kt_buf_bytes(&text), &err) == KT_OK)
        return CLI_DONE;
    kt_hint(&err, "nobody has the one-time pad now: secretctl operator generate-root -cancel, then -init again");
    return cli_fail(cli, &err);
}

static int root_begin(struct cli *cli)
{
    int code = CLI_DONE;
    const char *path = flags_text(&cli->flags, FLAG_OTP);
    struct kt_json otp = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    const struct cli_call call = {.doing = "beginning to make a root token",
                                  .method = "PUT",
                                  .path = PATH,
                                  .body = kt_str("{}")};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    (void)kt_json_member(reply.data, "otp", &otp);
    if (path != NULL)
        code = keep_pad(cli, path, otp);
    if (code != CLI_DONE || (path == NULL && cli_print_plain(cli, reply.data, &reply, &code)))
        return code;
    key_status_print(cli, &status, reply.data);
    if (path == NULL) {
        kt_buf_add_text(&cli->out, "\nOne-Time Pad: ");
        output_value(&cli->out, otp);
        kt_buf_add_text(&cli->out, "\n\nKeep it: with it, and with nothing else, -decode makes the token.\n");
    }
    cli_note(cli, "next   tell the holders the nonce; each of them: secretctl operator generate-root");
    return CLI_DONE;
}

static int root_cancel(struct cli *cli)
{
    if (!cli_do(cli, "canceling", "DELETE", PATH))
        return cli->exit_code;
    cli_success(cli, "no root token is being made any more");
    return CLI_DONE;
}

/* ---- keys ---- */

static int root_give(struct cli *cli)
{
    int code = CLI_DONE;
    bool started = false, complete = false;
    char nonce[64] = "";
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    if (key_status_ask(cli, &status, &reply) != KT_OK)
        return cli->exit_code;
    (void)kt_api_bool(reply.data, "started", &started);
    if (!started)
        return cli_wrong(cli, "secretctl operator generate-root -init", "no root token is being made");
    if (!key_input_nonce(cli, reply.data, nonce, sizeof nonce))
        return cli->exit_code;
    const struct key_giving giving = {
        .doing = "giving an unseal key", .path = "sys/generate-root/update", .nonce = nonce};
    if (!key_input_give(cli, &giving, &reply, &complete))
        return cli->exit_code;
    if (cli_print_plain(cli, reply.data, &reply, &code))
        return code;
    key_status_print(cli, &status, reply.data);
    cli_note(cli, complete ? "next   who began it: secretctl operator generate-root -decode"
                           : "next   the other holders: secretctl operator generate-root");
    return CLI_DONE;
}

/* ---- decode ---- */

static enum kt_kind read_pad(struct cli *cli, struct kt_secret **ret, struct kt_err *err)
{
    const char *path = flags_text(&cli->flags, FLAG_OTP);
    if (path != NULL)
        return kt_token_file_read(path, ret, err);
    kt_autobuf struct kt_buf text = {0};
    kt_buf_init(&text, PROMPT_ANSWER_MAX);
    struct kt_bytes pad = {0};
    enum kt_kind kind = prompt_secret(cli, "One-time pad (not shown): ", &text, err);
    if (kind == KT_OK)
        kind = kt_token_check(kt_buf_bytes(&text), &pad, err);
    if (kind != KT_OK) {
        kt_hint(err, "-otp=FILE, as -init wrote it");
        return kind;
    }
    *ret = kt_secret_copy(pad);
    return *ret != NULL ? KT_OK : kt_secret_failed(err, "keeping the one-time pad");
}

static enum kt_kind read_encoded(struct cli *cli, struct kt_buf *text, struct kt_bytes *ret,
                                 struct kt_err *err)
{
    bool from_input = !cli->in_terminal || cli->word_count == 1;
    enum kt_kind kind =
        from_input ? prompt_line(cli, text, err) : prompt_secret(cli, "Encoded token (not shown): ", text, err);
    return kind == KT_OK ? kt_token_check(kt_buf_bytes(text), ret, err) : kind;
}

static enum kt_kind decode(struct kt_bytes encoded, const struct kt_secret *pad, struct kt_buf *out,
                           struct kt_err *err)
{
    size_t len = 0;
    unsigned char *at = kt_buf_grow(out, encoded.len);
    if (at == NULL)
        return kt_fail(err, KT_NO_MEMORY, "decoding the token");
    int failed = sodium_base642bin(at, encoded.len, (const char *)encoded.at, encoded.len, NULL, &len, NULL,
                                   sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    if (failed != 0 || len != pad->len) {
        (void)kt_fail(err, KT_INVALID, "this encoded token and this one-time pad do not belong together");
        kt_hint(err, "the encoded token stands in the answer to the last unseal key, the pad in that to -init");
        return KT_INVALID;
    }
    for (size_t i = 0; i < len; i++)
        at[i] ^= pad->at[i];
    out->len = len;
    return KT_OK;
}

static int root_decode(struct cli *cli)
{
    struct kt_err err = {0};
    struct kt_bytes encoded = {0}, token = {0};
    kt_autosecret struct kt_secret *pad = NULL;
    kt_autobuf struct kt_buf text = {0}, plain = {0};
    kt_buf_init(&text, PROMPT_ANSWER_MAX);
    kt_buf_init(&plain, PROMPT_ANSWER_MAX);
    enum kt_kind kind = read_encoded(cli, &text, &encoded, &err);
    if (kind == KT_OK)
        kind = read_pad(cli, &pad, &err);
    if (kind == KT_OK)
        kind = decode(encoded, pad, &plain, &err);
    /* Another pad makes bytes that are no token, mostly. */
    if (kind == KT_OK && kt_token_check(kt_buf_bytes(&plain), &token, NULL) != KT_OK)
        kind = kt_fail(&err, KT_INVALID, "this encoded token and this one-time pad do not belong together");
    if (kind != KT_OK)
        return cli_fail(cli, &err);
    kt_buf_add_bytes(&cli->out, token);
    kt_buf_add_char(&cli->out, '\n');
    return CLI_DONE;
}

static bool decode_allowed(struct cli *cli)
{
    if (cli->word_count == 0 || strcmp(cli->words[0], "-") == 0)
        return true;
    cli->exit_code = cli_wrong(cli, "secretctl operator generate-root -decode asks for it; or \"-\" and the "
                                    "standard input",
                               "an encoded token is never an argument");
    return false;
}

int cmd_operator_generate_root(struct cli *cli)
{
    static const enum flag_id actions[] = {FLAG_INIT, FLAG_STATUS, FLAG_CANCEL, FLAG_DECODE, FLAG_ID_COUNT};
    bool decodes = flags_on(&cli->flags, FLAG_DECODE);
    if (!(decodes ? decode_allowed(cli) : key_input_allowed(cli)) || !key_input_one_action(cli, actions))
        return cli->exit_code;
    if (decodes)
        return root_decode(cli);
    if (flags_on(&cli->flags, FLAG_INIT))
        return root_begin(cli);
    if (flags_on(&cli->flags, FLAG_STATUS))
        return key_status_tell(cli, &status);
    return flags_on(&cli->flags, FLAG_CANCEL) ? root_cancel(cli) : root_give(cli);
}
