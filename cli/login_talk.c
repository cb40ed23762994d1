#include "cli/login_talk.h"

#include <unistd.h>

#include "cli/prompt.h"
#include "lib/jsonw.h"

#define BODY_MAX     ((size_t)64 * 1024)
#define QUESTION_MAX ((size_t)4096)

/* What the vault asks is its text: nothing in it commands the terminal. */
static bool read_question(struct kt_json prompt, struct kt_buf *question, bool *ret_echo)
{
    struct kt_json text = {0};
    kt_autobuf struct kt_buf raw;
    kt_buf_init(&raw, QUESTION_MAX);
    *ret_echo = false;
    (void)kt_api_bool(prompt, "echo", ret_echo);
    if (!kt_json_member(prompt, "text", &text) || !kt_json_string(text, &raw))
        return false;
    kt_api_tidy(question, kt_buf_bytes(&raw));
    if (question->len == 0)
        kt_buf_add_text(question, "?");
    kt_buf_add_char(question, ' ');
    return kt_buf_ok(question);
}

static enum kt_kind answer_one(struct cli *cli, struct kt_json prompt, struct kt_buf *ret,
                               struct kt_err *err)
{
    bool echo = false;
    kt_autobuf struct kt_buf question;
    kt_buf_init(&question, QUESTION_MAX);
    if (!read_question(prompt, &question, &echo))
        return kt_fail(err, KT_CORRUPT, "the vault asks for something without a text");
    if (cli->in_terminal && !echo)
        return prompt_secret(cli, kt_buf_text(&question), ret, err);
    if (cli->in_terminal)
        (void)!write(cli->err_fd, question.at, question.len); /* the question may be guessed */
    enum kt_kind kind = prompt_line(cli, ret, err);
    if (kind == KT_GONE)
        kt_hint(err, "on the standard input: a line for each prompt; this one was: %.200s",
                kt_buf_text(&question));
    return kind;
}

/* {"login_id": the same, "responses": what is answered} */
static enum kt_kind answer_all(struct cli *cli, const struct kt_api_reply *reply, struct kt_buf *body,
                               struct kt_err *err)
{
    struct kt_json id = {0}, prompts = {0};
    if (!kt_json_member(reply->data, "login_id", &id) ||
        !kt_json_member(reply->data, "prompts", &prompts) || kt_json_count(prompts) == 0)
        return kt_fail(err, KT_CORRUPT, "the vault's answer has neither a token nor a question in it");
    struct kt_jsonw w = kt_jsonw(body);
    kt_jsonw_object(&w);
    kt_jsonw_kv_raw(&w, "login_id", kt_json_bytes(id));
    kt_jsonw_key(&w, "responses");
    kt_jsonw_array(&w);
    struct kt_json_iter it = kt_json_iter(prompts);
    while (kt_json_next(&it)) {
        kt_autobuf struct kt_buf answer = {0};
        kt_buf_init(&answer, PROMPT_ANSWER_MAX + 1);
        enum kt_kind kind = answer_one(cli, it.value, &answer, err);
        if (kind != KT_OK)
            return kind;
        kt_jsonw_bytes(&w, kt_buf_bytes(&answer));
    }
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    return kt_buf_ok(body) ? KT_OK : kt_fail(err, KT_INVALID, "the answers are too long");
}

bool login_talk(struct cli *cli, struct cli_call *call, struct kt_api_reply *reply)
{
    while (kt_json_type(reply->auth) == KT_JSON_NONE && kt_json_type(reply->wrap_info) == KT_JSON_NONE) {
        struct kt_err err = {0};
        kt_autobuf struct kt_buf body = {0};
        kt_buf_init(&body, BODY_MAX);
        if (answer_all(cli, reply, &body, &err) != KT_OK) {
            cli->exit_code = cli_fail(cli, &err);
            return false;
        }
        call->body = kt_buf_bytes(&body);
        if (cli_call(cli, call, reply) != KT_OK)
            return false;
    }
    return true;
}
