#include "cli/key_input.h"

#include <stdio.h>

#include "cli/prompt.h"
#include "lib/jsonw.h"

#define BODY_MAX ((size_t)64 * 1024)

bool key_input_allowed(struct cli *cli)
{
    if (cli->word_count == 0 || strcmp(cli->words[0], "-") == 0)
        return true;
    char hint[300];
    (void)snprintf(hint, sizeof hint,
                   "secretctl %s asks for it; or \"-\" and one key a line on the standard input. This one "
                   "was seen: it counts as known to others from now on",
                   cli->command->words);
    cli->exit_code = cli_wrong(
        cli, hint, "an unseal key is never an argument: others see it in the list of processes");
    return false;
}

static struct kt_bytes trimmed(struct kt_bytes text)
{
    while (text.len > 0 && (text.at[0] == ' ' || text.at[0] == '\t'))
        text = kt_bytes(text.at + 1, text.len - 1);
    while (text.len > 0 && (text.at[text.len - 1] == ' ' || text.at[text.len - 1] == '\r' ||
                            text.at[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/* Empty lines of a file are passed over; one that is typed is an end. */
enum kt_kind key_input_next(struct cli *cli, struct kt_buf *share, struct kt_bytes *ret,
                            struct kt_err *err)
{
    bool from_input = !cli->in_terminal || cli->word_count == 1;
    for (;;) {
        kt_buf_reset(share);
        enum kt_kind kind = from_input
                                ? prompt_line(cli, share, err)
                                : prompt_secret(cli, "Unseal Key (not shown): ", share, err);
        if (kind != KT_OK)
            return kind;
        *ret = trimmed(kt_buf_bytes(share));
        if (ret->len > 0)
            return KT_OK;
        if (!from_input)
            return kt_fail(err, KT_GONE, "no key was typed");
    }
}

bool key_input_one_action(struct cli *cli, const enum flag_id *actions)
{
    unsigned n = 0;
    for (; *actions != FLAG_ID_COUNT; actions++)
        n += flags_on(&cli->flags, *actions);
    if (n <= 1)
        return true;
    cli->exit_code = cli_wrong(cli, "one thing at a time: -init, -status or -cancel",
                               "these flags do not go together");
    return false;
}

bool key_input_nonce(struct cli *cli, struct kt_json status, char *out, size_t size)
{
    const char *given = flags_text(&cli->flags, FLAG_NONCE);
    if (given != NULL) {
        (void)snprintf(out, size, "%s", given);
        return true;
    }
    if (!cli->in_terminal || cli->word_count == 1) {
        cli->exit_code = cli_wrong(cli, "-nonce=NONCE, as the one who began it says: it tells what the key is "
                                        "given for",
                                   "no nonce, and nobody to compare it");
        return false;
    }
    struct kt_json nonce = {0};
    (void)kt_json_member(status, "nonce", &nonce);
    if (nonce.len >= 2)
        (void)snprintf(out, size, "%.*s", (int)nonce.len - 2, nonce.at + 1);
    cli_note(cli, "nonce  %s  (the one who began it has told you the same?)", out);
    return true;
}

static enum kt_kind give(struct cli *cli, const struct key_giving *giving, struct kt_bytes share,
                         struct kt_api_reply *reply)
{
    kt_autobuf struct kt_buf body = {0};
    kt_buf_init(&body, BODY_MAX);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_key(&w, "key");
    kt_jsonw_bytes(&w, share);
    kt_jsonw_kv_text(&w, "nonce", giving->nonce);
    kt_jsonw_end(&w);
    const struct cli_call call = {.doing = giving->doing,
                                  .method = "PUT",
                                  .path = giving->path,
                                  .body = kt_buf_bytes(&body),
                                  .secret_body = true};
    return cli_call(cli, &call, reply);
}

bool key_input_give(struct cli *cli, const struct key_giving *giving, struct kt_api_reply *reply,
                    bool *ret_complete)
{
    struct kt_err err = {0};
    kt_autobuf struct kt_buf share = {0};
    kt_buf_init(&share, PROMPT_ANSWER_MAX);
    bool any = false;
    *ret_complete = false;
    while (!*ret_complete) {
        struct kt_bytes key = {0};
        enum kt_kind kind = key_input_next(cli, &share, &key, &err);
        if (kind == KT_GONE)
            break;
        if (kind != KT_OK) {
            cli->exit_code = cli_fail(cli, &err);
            return false;
        }
        if (give(cli, giving, key, reply) != KT_OK)
            return false;
        any = true;
        (void)kt_api_bool(reply->data, "complete", ret_complete);
    }
    if (any)
        return true;
    cli->exit_code = cli_wrong(cli, "one key a line on the standard input, or typed when asked",
                               "no unseal key was given");
    return false;
}
