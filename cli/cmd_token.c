/* cli/cmd_token.c - login and token create, lookup, renew, revoke, capabilities. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/input.h"
#include "cli/login.h"
#include "cli/output.h"
#include "cli/prompt.h"
#include "lib/duration.h"
#include "lib/jsonw.h"
#include "lib/token_file.h"

#define BODY_MAX ((size_t)64 * 1024)

/* ---- words that are tokens ---- */

/* A token or "-"; KT_INVALID when the token itself stands on the command line. */
static enum kt_kind take_token(struct cli *cli, const char *question, struct kt_secret **ret,
                               struct kt_err *err)
{
    kt_autobuf struct kt_buf text = {0};
    struct kt_bytes token = {0};
    kt_buf_init(&text, PROMPT_ANSWER_MAX);
    enum kt_kind kind =
        cli->in_terminal ? prompt_secret(cli, question, &text, err) : prompt_line(cli, &text, err);
    if (kind == KT_OK)
        kind = kt_token_check(kt_buf_bytes(&text), &token, err);
    if (kind != KT_OK)
        return kind;
    *ret = kt_secret_copy(token);
    return *ret != NULL ? KT_OK : kt_fail(err, KT_NO_MEMORY, "keeping the token");
}

static int token_as_word(struct cli *cli)
{
    return cli_wrong(cli,
                     "\"-\" asks for it, or reads it from the standard input. This one was seen: "
                     "revoke it (-accessor takes an accessor, which is no secret)",
                     "a token is never an argument: others see it in the list of processes");
}

/* ---- login ---- */

/* with_id: the token itself too. */
static void print_token_table(struct cli *cli, struct kt_json data, bool with_id)
{
    static const char *const shown[] = {
        "display_name",
        "policies",
        "identity_policies",
        "accessor",
        "id",
        "type",
        "orphan",
        "renewable",
        "ttl",
        "creation_ttl",
        "explicit_max_ttl",
        "period",
        "num_uses",
        "creation_time",
        "expire_time",
        "entity_id",
        "meta",
        "path",
    };
    static const char *const names[] = {"Key", "Value"};
    KT_AUTO(table_free) struct table table = {0};
    table_init(&table, 2, names);
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        struct kt_json value = {0};
        char time[OUTPUT_TIME];
        char span[KT_DURATION_TEXT];
        int64_t seconds = 0;
        if (!with_id && strcmp(shown[i], "id") == 0)
            continue;
        if (!kt_json_member(data, shown[i], &value) || value.len == 2 ||
            (kt_json_type(value) == KT_JSON_NULL && strcmp(shown[i], "expire_time") != 0))
            continue;
        table_text(&table, shown[i]);
        if (strstr(shown[i], "time") != NULL) {
            int64_t ms = output_time_of(data, shown[i]);
            if (ms == 0 && kt_json_i64(value, &seconds))
                ms = seconds * 1000;
            output_time(cli, ms, time);
            table_text(&table, ms == 0 ? "never" : time);
        } else if (strstr(shown[i], "ttl") != NULL && kt_json_i64(value, &seconds)) {
            kt_duration_text((uint64_t)seconds * 1000, span);
            table_text(&table, seconds == 0 ? "none" : span);
        } else {
            table_list(&table, value);
        }
    }
    table_print(&table, 0, &cli->out);
}

static bool store_path(struct cli *cli, char path[LOGIN_PATH_MAX])
{
    const char *home = secure_getenv("HOME");
    int n = home != NULL && home[0] != '\0'
                ? snprintf(path, LOGIN_PATH_MAX, "%s/.vault-token", home)
                : -1;
    if (n > 0 && n < LOGIN_PATH_MAX)
        return true;
    cli->exit_code = cli_wrong(cli, "set HOME, or -no-store and VAULT_TOKEN", "HOME is not set");
    return false;
}

bool login_try_store(struct cli *cli)
{
    char path[LOGIN_PATH_MAX];
    struct kt_err err = {0};
    if (!store_path(cli, path))
        return false;
    if (kt_token_file_try(path, &err) == KT_OK)
        return true;
    kt_hint(&err, "nobody was logged in; -no-store shows the token instead of keeping it");
    cli->exit_code = cli_fail(cli, &err);
    return false;
}

bool login_store(struct cli *cli, struct kt_bytes token, char path[LOGIN_PATH_MAX])
{
    struct kt_err err = {0};
    if (!store_path(cli, path))
        return false;
    if (kt_token_file_write(path, token, &err) != KT_OK) {
        cli->exit_code = cli_fail(cli, &err);
        return false;
    }
    if (cli->token != NULL)
        cli_note(cli, "note   VAULT_TOKEN is set here and wins over %s", path);
    return true;
}

int login_by_token(struct cli *cli)
{
    char path[LOGIN_PATH_MAX];
    struct kt_err err = {0};
    int code = CLI_DONE;
    kt_autosecret struct kt_secret *token = NULL;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    if (cli->word_count > 0 && strchr(cli->words[0], '=') != NULL)
        return cli_wrong(cli, "-method=userpass, or another way to log in", "a token has no '%.*s='",
                         (int)strcspn(cli->words[0], "="), cli->words[0]);
    if (cli->word_count > 0 && (cli->word_count > 1 || strcmp(cli->words[0], "-") != 0))
        return token_as_word(cli);
    enum kt_kind kind = take_token(cli, "Token (not shown): ", &token, &err);
    if (kind != KT_OK)
        return cli_fail(cli, &err);
    if (!cli_open(cli))
        return cli->exit_code;
    if (kt_api_set_token(cli->api, kt_secret_bytes(token), &err) != KT_OK)
        return cli_fail(cli, &err);
    struct cli_call call = {.doing = "asking whose token this is",
                            .method = "GET",
                            .path = "auth/token/lookup-self",
                            .err = &err};
    if (cli_call(cli, &call, &reply) != KT_OK) {
        if (err.kind == KT_DENIED)
            kt_hint(&err,
                    "it expired, was revoked or mistyped, or belongs to another vault (%.100s)",
                    kt_api_address(cli->api));
        return err.kind == KT_OK ? cli->exit_code : cli_refused(cli, &call, &reply, &err);
    }
    bool store = !flags_on(&cli->flags, FLAG_NO_STORE);
    if (store && !login_store(cli, kt_secret_bytes(token), path))
        return cli->exit_code;
    if (flags_on(&cli->flags, FLAG_NO_PRINT) || cli_print_plain(cli, reply.data, &reply, &code))
        return code;
    kt_buf_printf(&cli->out, "Success! You are logged in%s%s.\n\n",
                  store ? "; the token is in " : "", store ? path : "");
    print_token_table(cli, reply.data, false);
    return CLI_DONE;
}

/* ---- create ---- */

/* One is sent as a text: allowed_parameters compares a text with patterns ("agent-*"), a list only
 * with whole lists. */
static void write_policies(struct cli *cli, struct kt_jsonw *w)
{
    size_t at = 0;
    const char *policy = flags_next(&cli->flags, FLAG_POLICY, &at);
    const char *next = flags_next(&cli->flags, FLAG_POLICY, &at);
    if (policy == NULL)
        return;
    kt_jsonw_key(w, "policies");
    if (next == NULL) {
        kt_jsonw_text(w, policy);
        return;
    }
    kt_jsonw_array(w);
    kt_jsonw_text(w, policy);
    for (; next != NULL; next = flags_next(&cli->flags, FLAG_POLICY, &at))
        kt_jsonw_text(w, next);
    kt_jsonw_end(w);
}

static enum kt_kind write_create(struct cli *cli, struct kt_buf *body, struct kt_err *err)
{
    static const struct {
        enum flag_id flag;
        const char *name;
    } texts[] = {
        {FLAG_TTL, "ttl"},
        {FLAG_PERIOD, "period"},
        {FLAG_MAX_TTL, "explicit_max_ttl"},
        {FLAG_DISPLAY_NAME, "display_name"},
    };
    kt_autobuf struct kt_buf meta = {0};
    kt_buf_init(&meta, BODY_MAX);
    struct kt_jsonw w = kt_jsonw(body);
    kt_jsonw_object(&w);
    write_policies(cli, &w);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (flags_has(&cli->flags, texts[i].flag))
            kt_jsonw_kv_text(&w, texts[i].name, flags_text(&cli->flags, texts[i].flag));
    if (flags_has(&cli->flags, FLAG_USE_LIMIT))
        kt_jsonw_kv_int(&w, "num_uses", (int64_t)flags_number(&cli->flags, FLAG_USE_LIMIT, 0));
    if (flags_on(&cli->flags, FLAG_NO_DEFAULT))
        kt_jsonw_kv_bool(&w, "no_default_policy", true);
    if (flags_has(&cli->flags, FLAG_RENEWABLE))
        kt_jsonw_kv_bool(&w, "renewable", flags_on(&cli->flags, FLAG_RENEWABLE));
    if (flags_has(&cli->flags, FLAG_METADATA)) {
        enum kt_kind kind = input_pairs(cli, FLAG_METADATA, &meta, err);
        if (kind != KT_OK)
            return kind;
        kt_jsonw_kv_raw(&w, "meta", kt_buf_bytes(&meta));
    }
    kt_jsonw_end(&w);
    return kt_buf_ok(body) ? KT_OK : kt_fail(err, KT_TOO_LARGE, "the request is too large");
}

/* Vault's names for -field and the table. */
static void print_auth(struct cli *cli, struct kt_json auth)
{
    static const struct {
        const char *name, *shown;
    } rows[] = {
        {"client_token", "token"},
        {"accessor", "token_accessor"},
        {"lease_duration", "token_duration"},
        {"renewable", "token_renewable"},
        {"policies", "policies"},
        {"orphan", "orphan"},
        {"num_uses", "num_uses"},
    };
    static const char *const names[] = {"Key", "Value"};
    KT_AUTO(table_free) struct table table = {0};
    table_init(&table, 2, names);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kt_json value = {0};
        char span[KT_DURATION_TEXT];
        int64_t seconds = 0;
        if (!kt_json_member(auth, rows[i].name, &value))
            continue;
        table_text(&table, rows[i].shown);
        if (strcmp(rows[i].shown, "token_duration") == 0 && kt_json_i64(value, &seconds)) {
            kt_duration_text((uint64_t)seconds * 1000, span);
            table_text(&table, seconds == 0 ? "none: it lives until it is revoked" : span);
        } else {
            table_list(&table, value);
        }
    }
    table_print(&table, 0, &cli->out);
}

static int print_auth_reply(struct cli *cli, const struct kt_api_reply *reply)
{
    int code = CLI_DONE;
    const char *field = flags_text(&cli->flags, FLAG_FIELD);
    struct kt_json value = {0};
    if (field != NULL && strcmp(field, "token") == 0 &&
        kt_json_member(reply->auth, "client_token", &value)) {
        output_value(&cli->out, value);
        if (cli->out_terminal)
            kt_buf_add_char(&cli->out, '\n');
        return CLI_DONE;
    }
    if (!cli_print_plain(cli, reply->auth, reply, &code))
        print_auth(cli, reply->auth);
    return code;
}

int cmd_token_create(struct cli *cli)
{
    struct kt_err err = {0};
    kt_autobuf struct kt_buf body = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&body, BODY_MAX);
    kt_api_reply_init(&reply);
    if (write_create(cli, &body, &err) != KT_OK)
        return cli_fail(cli, &err);
    /* The path for orphans can be granted alone; "no_parent" on the other one needs sudo there. */
    bool orphan = flags_on(&cli->flags, FLAG_ORPHAN);
    struct cli_call call = {.doing = "creating a token",
                            .method = "POST",
                            .path = orphan ? "auth/token/create-orphan" : "auth/token/create",
                            .body = kt_buf_bytes(&body),
                            .wraps = true};
    int code = CLI_DONE;
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    if (cli_print_wrapped(cli, &reply, &code))
        return code;
    return print_auth_reply(cli, &reply);
}

/* ---- which token: the own, "-", or an accessor ---- */

struct which {
    const char *path;
    struct kt_buf body;
    struct kt_secret *token;
};

static void which_free(struct which *which)
{
    kt_buf_free(&which->body);
    kt_secret_free(which->token);
}

struct token_call {
    const char *doing;
    const char *self, *other, *accessor; /* the API's paths */
    const char *self_method;
};

static bool choose(struct cli *cli, const struct token_call *what, struct which *ret)
{
    struct kt_err err = {0};
    bool by_accessor = flags_on(&cli->flags, FLAG_ACCESSOR);
    kt_buf_init(&ret->body, BODY_MAX);
    struct kt_jsonw w = kt_jsonw(&ret->body);
    kt_jsonw_object(&w);
    if (by_accessor && cli->word_count == 0) {
        cli->exit_code = cli_wrong(cli, "token lookup prints it", "which accessor?");
        return false;
    }
    if (by_accessor) {
        ret->path = what->accessor;
        kt_jsonw_kv_text(&w, "accessor", cli->words[0]);
    } else if (cli->word_count == 0) {
        ret->path = what->self;
    } else if (strcmp(cli->words[0], "-") != 0) {
        cli->exit_code = token_as_word(cli);
        return false;
    } else {
        ret->path = what->other;
        if (take_token(cli, "Token (not shown): ", &ret->token, &err) != KT_OK) {
            cli->exit_code = cli_fail(cli, &err);
            return false;
        }
        kt_jsonw_key(&w, "token");
        kt_jsonw_bytes(&w, kt_secret_bytes(ret->token));
    }
    if (flags_has(&cli->flags, FLAG_INCREMENT))
        kt_jsonw_kv_text(&w, "increment", flags_text(&cli->flags, FLAG_INCREMENT));
    kt_jsonw_end(&w);
    return true;
}

/* For the token that the words name. False: said what is wrong; cli->exit_code is set. */
static bool call_for_token(struct cli *cli, const struct token_call *what,
                           struct kt_api_reply *reply)
{
    KT_AUTO(which_free) struct which which = {0};
    if (!choose(cli, what, &which))
        return false;
    const char *method = cli->word_count == 0 ? what->self_method : "POST";
    bool reads = strcmp(method, "GET") == 0;
    struct cli_call call = {.doing = what->doing,
                            .method = method,
                            .path = which.path,
                            .body = reads ? kt_bytes(NULL, 0) : kt_buf_bytes(&which.body),
                            .secret_body = which.token != NULL};
    return cli_call(cli, &call, reply) == KT_OK;
}

int cmd_token_lookup(struct cli *cli)
{
    static const struct token_call lookup = {"looking the token up", "auth/token/lookup-self",
                                             "auth/token/lookup", "auth/token/lookup-accessor",
                                             "GET"};
    int code = CLI_DONE;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    if (!call_for_token(cli, &lookup, &reply))
        return cli->exit_code;
    if (!cli_print_plain(cli, reply.data, &reply, &code))
        print_token_table(cli, reply.data, true);
    return code;
}

int cmd_token_renew(struct cli *cli)
{
    static const struct token_call renew = {"renewing the token", "auth/token/renew-self",
                                            "auth/token/renew", "auth/token/renew-accessor",
                                            "POST"};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    if (!call_for_token(cli, &renew, &reply))
        return cli->exit_code;
    return print_auth_reply(cli, &reply);
}

int cmd_token_revoke(struct cli *cli)
{
    static const struct token_call revoke = {"revoking the token", "auth/token/revoke-self",
                                             "auth/token/revoke", "auth/token/revoke-accessor",
                                             "POST"};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    if (cli->word_count == 0 && !flags_on(&cli->flags, FLAG_SELF))
        return cli_wrong(cli, "-self (the token in use), -accessor ACCESSOR, or - (asks)",
                         "which token?");
    if (!call_for_token(cli, &revoke, &reply))
        return cli->exit_code;
    cli_success(cli, "the token is revoked, and those made with it");
    return CLI_DONE;
}

/* ---- capabilities ---- */

int cmd_token_capabilities(struct cli *cli)
{
    const char *path = cli->words[cli->word_count - 1];
    struct kt_err err = {0};
    struct kt_json found = {0};
    bool other = cli->word_count == 2;
    kt_autosecret struct kt_secret *token = NULL;
    kt_autobuf struct kt_buf body = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&body, BODY_MAX);
    kt_api_reply_init(&reply);
    bool by_accessor = other && flags_on(&cli->flags, FLAG_ACCESSOR);
    if (other && !by_accessor && strcmp(cli->words[0], "-") != 0)
        return token_as_word(cli);
    if (other && !by_accessor && take_token(cli, "Token (not shown): ", &token, &err) != KT_OK)
        return cli_fail(cli, &err);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    if (by_accessor)
        kt_jsonw_kv_text(&w, "accessor", cli->words[0]);
    if (token != NULL) {
        kt_jsonw_key(&w, "token");
        kt_jsonw_bytes(&w, kt_secret_bytes(token));
    }
    kt_jsonw_key(&w, "paths");
    kt_jsonw_array(&w);
    kt_jsonw_text(&w, path);
    kt_jsonw_end(&w);
    kt_jsonw_end(&w);
    struct cli_call call = {.doing = "asking for capabilities",
                            .method = "POST",
                            .path = by_accessor     ? "sys/capabilities-accessor"
                                    : token != NULL ? "sys/capabilities"
                                                    : "sys/capabilities-self",
                            .body = kt_buf_bytes(&body),
                            .secret_body = token != NULL};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    (void)kt_json_member(reply.data, "capabilities", &found);
    if (cli->format == CLI_JSON) {
        output_json(&cli->out, found);
        return CLI_DONE;
    }
    struct kt_json_iter it = kt_json_iter(found);
    for (bool first = true; kt_json_next(&it); first = false) {
        if (!first)
            kt_buf_add_text(&cli->out, ", ");
        output_value(&cli->out, it.value);
    }
    kt_buf_add_char(&cli->out, '\n');
    return CLI_DONE;
}
