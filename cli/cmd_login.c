/* cli/cmd_login.c - login: by a token, or by one of the ways that the vault has. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/input.h"
#include "cli/login.h"
#include "cli/login_talk.h"
#include "cli/output.h"
#include "lib/duration.h"
#include "lib/token_file.h"

#define BODY_MAX     ((size_t)64 * 1024)
#define PATH_MAX_LEN 512
#define WORDS_MAX    8u
#define HINT_MAX     400

/* What a way asks for. What is secret is asked for where it is not given, and never a word. */
static const struct method {
    const char *name;    /* also where it is mounted, unless -path says otherwise */
    const char *in_path; /* the word whose value ends the path; NULL: none */
    const char *secret;  /* "password=": asked for, where there is a terminal, ...; NULL: none */
    const char *input;   /* ... else read from the standard input: "password=-" */
    struct input_field fields[3];
    const char *example;
} methods[] = {
    {"userpass", "username", "password=", "password=-",
     {{"password", INPUT_KNOWN_SECRET, "the user's"}, {NULL, INPUT_TEXT, NULL}},
     "secretctl login -method=userpass username=NAME"},
    {"pam", "username", NULL, NULL, {{NULL, INPUT_TEXT, NULL}},
     "secretctl login -method=pam username=NAME"},
    {"unix", NULL, NULL, NULL, {{NULL, INPUT_TEXT, NULL}}, "secretctl login -method=unix"},
    {"cert", NULL, NULL, NULL,
     {{"name", INPUT_TEXT, "of the entry that is to be taken"}, {NULL, INPUT_TEXT, NULL}},
     "secretctl login -method=cert -client-cert=web.pem -client-key=web.key"},
    {"approle", NULL, "secret_id=", "secret_id=-",
     {{"role_id", INPUT_TEXT, "the role's"}, {"secret_id", INPUT_KNOWN_SECRET, "one of its own"},
      {NULL, INPUT_TEXT, NULL}},
     "secretctl login -method=approle role_id=ID"},
    {"jwt", NULL, "jwt=", "jwt=-",
     {{"role", INPUT_TEXT, "whose claims the token has"}, {"jwt", INPUT_KNOWN_SECRET, "the token"},
      {NULL, INPUT_TEXT, NULL}},
     "secretctl login -method=jwt role=NAME jwt=@FILE"},
};

static const struct method *find_method(const char *name)
{
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (strcmp(methods[i].name, name) == 0)
            return &methods[i];
    return NULL;
}

static bool is_word_of(const char *word, const char *name)
{
    size_t len = strlen(name);
    return strncmp(word, name, len) == 0 && word[len] == '=';
}

/* The words that go into the body; the one for the path apart; "-" or a question for the secret that is
 * not given. */
static size_t sort_words(const struct cli *cli, const struct method *method,
                         const char *words[WORDS_MAX], const char **ret_in_path)
{
    size_t n = 0;
    bool secret = method->secret == NULL;
    *ret_in_path = NULL;
    for (size_t i = 0; i < cli->word_count && n + 1 < WORDS_MAX; i++) {
        const char *word = cli->words[i];
        if (method->in_path != NULL && is_word_of(word, method->in_path)) {
            *ret_in_path = word + strlen(method->in_path) + 1;
            continue;
        }
        secret = secret || (method->secret != NULL && strncmp(word, method->secret, strlen(method->secret)) == 0);
        words[n++] = word;
    }
    if (!secret && method->secret != NULL)
        words[n++] = cli->in_terminal ? method->secret : method->input;
    return n;
}

static bool login_path(struct cli *cli, const struct method *method, const char *in_path,
                       char out[PATH_MAX_LEN])
{
    const char *mount = flags_text(&cli->flags, FLAG_PATH);
    if (mount == NULL)
        mount = method->name;
    size_t len = strlen(mount);
    while (len > 0 && mount[len - 1] == '/')
        len--;
    int n = snprintf(out, PATH_MAX_LEN, "auth/%.*s/login%s%s", (int)len, mount,
                     in_path == NULL ? "" : "/", in_path == NULL ? "" : in_path);
    if (n > 0 && n < PATH_MAX_LEN)
        return true;
    cli->exit_code = cli_wrong(cli, "", "the name is too long");
    return false;
}

/* The vault refuses who knocks where no login is as it refuses who may not log in. */
static void say_if_denied(const struct cli *cli, const struct method *method, char out[HINT_MAX])
{
    const char *mount = flags_text(&cli->flags, FLAG_PATH);
    (void)snprintf(out, HINT_MAX, "is there a login of type %s at auth/%.200s here (-method, -path), and may this one use it? "
                   "Who may ask: secretctl auth list", method->name, mount != NULL ? mount : method->name);
}

/* ---- what came of it ---- */

static bool stores(const struct cli *cli)
{
    return !flags_on(&cli->flags, FLAG_NO_STORE);
}

static bool is_nothing(struct kt_json value)
{
    enum kt_json_type type = kt_json_type(value);
    bool many = type == KT_JSON_ARRAY || type == KT_JSON_OBJECT;
    return type == KT_JSON_NULL || kt_json_is(value, "") || (many && kt_json_count(value) == 0);
}

/* The token is among what is shown when it is kept nowhere else. */
static void print_table(struct cli *cli, struct kt_json auth)
{
    static const char *const shown[] = {"client_token",      "accessor",          "lease_duration", "renewable", "policies",
                                        "identity_policies", "entity_id",      "metadata"};
    static const char *const names[] = {"Key", "Value"};
    KT_AUTO(table_free) struct table table = {0};
    table_init(&table, 2, names);
    for (size_t i = stores(cli) ? 1 : 0; i < sizeof shown / sizeof shown[0]; i++) {
        struct kt_json value = {0};
        int64_t seconds = 0;
        char span[KT_DURATION_TEXT];
        if (!kt_json_member(auth, shown[i], &value) || is_nothing(value))
            continue;
        table_text(&table, i == 0 ? "token" : shown[i]);
        if (strcmp(shown[i], "lease_duration") == 0 && kt_json_i64(value, &seconds)) {
            kt_duration_text((uint64_t)seconds * 1000, span);
            table_text(&table, span);
        } else {
            table_list(&table, value);
        }
    }
    table_print(&table, 0, &cli->out);
}

/* What cannot be kept, nobody can use: it is not left alive. */
static void take_back(struct cli *cli, struct kt_bytes token)
{
    struct kt_err err = {0};
    struct cli_call call = {.doing = "revoking the token", .method = "POST", .path = "auth/token/revoke-self"};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    int code = cli->exit_code;
    bool done = kt_api_set_token(cli->api, token, &err) == KT_OK && cli_call(cli, &call, &reply) == KT_OK;
    cli_note(cli, "note   the login was taken back%s", done ? ": its token is revoked" : ", but its token lives until it expires");
    cli->exit_code = code;
}

static int keep_and_print(struct cli *cli, const struct kt_api_reply *reply)
{
    char path[LOGIN_PATH_MAX];
    int code = CLI_DONE;
    const char *field = flags_text(&cli->flags, FLAG_FIELD);
    struct kt_json client_token = {0};
    kt_autobuf struct kt_buf text = {0};
    kt_buf_init(&text, KT_TOKEN_TEXT_MAX);
    if (!kt_json_member(reply->auth, "client_token", &client_token) ||
        !kt_json_string(client_token, &text))
        return cli_wrong(cli, "", "the vault's answer has no token in it");
    bool store = stores(cli);
    if (store && !login_store(cli, kt_buf_bytes(&text), path)) {
        take_back(cli, kt_buf_bytes(&text));
        return cli->exit_code;
    }
    if (flags_on(&cli->flags, FLAG_NO_PRINT))
        return CLI_DONE;
    if (field != NULL && strcmp(field, "token") == 0) {
        output_value(&cli->out, client_token);
        if (cli->out_terminal)
            kt_buf_add_char(&cli->out, '\n');
        return CLI_DONE;
    }
    if (cli_print_plain(cli, reply->auth, reply, &code))
        return code;
    kt_buf_printf(&cli->out, "Success! You are logged in%s%s.\n\n", store ? "; the token is in " : "",
                  store ? path : "");
    print_table(cli, reply->auth);
    return CLI_DONE;
}

/* Before anybody is asked for anything. A wrapped token is shown, and kept by nobody. */
static bool check_keeping(struct cli *cli)
{
    if (flags_text(&cli->flags, FLAG_WRAP_TTL) != NULL)
        return true;
    if (stores(cli))
        return login_try_store(cli);
    if (!flags_on(&cli->flags, FLAG_NO_PRINT))
        return true;
    cli->exit_code = cli_wrong(cli, "leave one of them out, or -no-store -field=token",
                               "with -no-store and -no-print nobody would have the token");
    return false;
}

static int by_method(struct cli *cli, const struct method *method)
{
    struct kt_err err = {0};
    const char *words[WORDS_MAX], *in_path = NULL;
    char path[PATH_MAX_LEN], if_denied[HINT_MAX];
    kt_autobuf struct kt_buf body = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&body, BODY_MAX);
    kt_api_reply_init(&reply);
    size_t n = sort_words(cli, method, words, &in_path);
    if (method->in_path != NULL && (in_path == NULL || in_path[0] == '\0'))
        return cli_wrong(cli, method->example, "%s= is missing", method->in_path);
    if (!login_path(cli, method, in_path, path))
        return cli->exit_code;
    if (!check_keeping(cli))
        return cli->exit_code;
    if (input_fields(cli, words, n, method->fields, &body, &err) != KT_OK)
        return cli_fail(cli, &err);
    if (!cli_open(cli))
        return cli->exit_code;
    /* No old token goes along: it is nobody's business who was logged in before. */
    if (kt_api_set_token(cli->api, kt_bytes(NULL, 0), &err) != KT_OK)
        return cli_fail(cli, &err);
    say_if_denied(cli, method, if_denied);
    struct cli_call call = {.doing = "logging in",
                            .method = "PUT",
                            .path = path,
                            .body = kt_buf_bytes(&body),
                            .secret_body = true,
                            .if_denied = if_denied,
                            .wraps = true};
    int code = CLI_DONE;
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    if (method->secret == NULL && !login_talk(cli, &call, &reply))
        return cli->exit_code;
    if (cli_print_wrapped(cli, &reply, &code))
        return code;
    return keep_and_print(cli, &reply);
}

int cmd_login(struct cli *cli)
{
    const char *name = flags_text(&cli->flags, FLAG_METHOD);
    if (name == NULL || strcmp(name, "token") == 0)
        return login_by_token(cli);
    const struct method *method = find_method(name);
    if (method == NULL)
        return cli_wrong(cli, "token, userpass, pam, approle, cert, jwt or unix", "there is no way to log in called '%.40s'", name);
    return by_method(cli, method);
}
