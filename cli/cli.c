/* cli/cli.c - see cli/cli.h. */
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/help.h"
#include "cli/output.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/duration.h"
#include "lib/token_file.h"
#include "lib/write.h"

#define LINE_BYTES ((size_t)4096) /* of a message; what is longer is cut */
#define OUT_MAX    ((size_t)512 * 1024 * 1024)

void cli_init(struct cli *cli)
{
    *cli = (struct cli){.in_fd = 0, .out_fd = 1, .err_fd = 2};
    kt_buf_init(&cli->out, OUT_MAX);
    cli->in_terminal = isatty(0) == 1;
    cli->out_terminal = isatty(1) == 1;
    cli->err_terminal = isatty(2) == 1;
    cli->now_ms = kt_wall_ms(&kt_system_clock);
}

void cli_free(struct cli *cli)
{
    kt_buf_free(&cli->out);
    kt_api_close(cli->api);
    kt_secret_free(cli->token);
    kt_zone_free(cli->zone);
}

/* ---- saying things ---- */

static void write_line(struct cli *cli, const char *text)
{
    kt_autobuf struct kt_buf line = {0};
    kt_buf_init(&line, 4 * LINE_BYTES);
    output_safe(&line, kt_str(text));
    kt_buf_add_char(&line, '\n');
    struct kt_bytes told = kt_buf_ok(&line) ? kt_buf_bytes(&line) : kt_str("Error: not enough memory for the message\n");
    (void)kt_write_all(cli->err_fd, told); /* nobody is left to tell */
}

bool cli_flush(struct cli *cli)
{
    bool complete = kt_buf_ok(&cli->out);
    errno = 0;
    bool written = kt_write_all(cli->out_fd, kt_buf_bytes(&cli->out));
    char why[LINE_BYTES];
    (void)snprintf(why, sizeof why, "Error: cannot write the output: %s", kt_errno_text(errno));
    kt_buf_reset(&cli->out);
    if (!complete)
        write_line(cli, "Error: not enough memory for the output");
    else if (!written)
        write_line(cli, why);
    cli->unwritten = cli->unwritten || !complete || !written;
    return complete && written;
}

KT_PRINTF(2, 0) static void note(struct cli *cli, const char *format, va_list args)
{
    char text[LINE_BYTES];
    if (cli->out.len > 0)
        (void)cli_flush(cli); /* what was said before it is read before it */
    (void)vsnprintf(text, sizeof text, format, args);
    write_line(cli, text);
}

void cli_note(struct cli *cli, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    note(cli, format, args);
    va_end(args);
}

static void note_not_honoured(struct cli *cli, const struct kt_err *err)
{
    if (strncmp(err->what, "the certificate of ", 19) == 0 && secure_getenv("VAULT_SKIP_VERIFY") != NULL)
        cli_note(cli, "note   VAULT_SKIP_VERIFY is not honoured: whoever stood in for the vault would get the token");
}

int cli_fail(struct cli *cli, const struct kt_err *err)
{
    cli_note(cli, "Error: %s", err->what);
    note_not_honoured(cli, err);
    if (err->hint[0] != '\0')
        cli_note(cli, "next   %s", err->hint);
    return CLI_WRONG;
}

int cli_wrong(struct cli *cli, const char *hint, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    cli_note(cli, "Error: %s", text);
    if (hint[0] != '\0')
        cli_note(cli, "next   %s", hint);
    return CLI_WRONG;
}

void cli_success(struct cli *cli, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (cli->format == CLI_JSON)
        return;
    kt_buf_add_text(&cli->out, "Success! ");
    output_safe(&cli->out, kt_str(text));
    kt_buf_add_char(&cli->out, '\n');
}

/* ---- asking the vault ---- */

int cli_remote_code(const struct cli *cli)
{
    return (cli->command->traits & COMMAND_ASKS) != 0 ? CLI_WRONG : CLI_REFUSED;
}

static const char *setting(const struct cli *cli, enum flag_id id, const char *variable)
{
    const char *text = flags_text(&cli->flags, id);
    if (text == NULL)
        text = secure_getenv(variable);
    return text != NULL && text[0] != '\0' ? text : NULL;
}

/* VAULT_TOKEN was taken by main; else ~/.vault-token. */
static enum kt_kind find_token(struct cli *cli, struct kt_err *err)
{
    const char *home = secure_getenv("HOME");
    char path[4096];
    if (cli->token != NULL || home == NULL || home[0] == '\0')
        return KT_OK;
    int n = snprintf(path, sizeof path, "%s/.vault-token", home);
    if (n < 0 || (size_t)n >= sizeof path)
        return KT_OK;
    enum kt_kind kind = kt_token_file_read(path, &cli->token, err);
    return kind == KT_NOT_FOUND ? KT_OK : kind;
}

enum kt_kind cli_api_options(struct cli *cli, struct kt_api_options *ret, struct kt_err *err)
{
    uint64_t timeout_ms = 0;
    const char *timeout = secure_getenv("VAULT_CLIENT_TIMEOUT");
    enum kt_kind kind = KT_OK;
    if ((cli->command->traits & COMMAND_TOKENLESS) == 0)
        kind = find_token(cli, err);
    if (kind == KT_OK && timeout != NULL && timeout[0] != '\0') {
        kind = kt_duration_parse(kt_str(timeout), &timeout_ms, err);
        if (kind != KT_OK)
            kt_context(err, "VAULT_CLIENT_TIMEOUT");
    }
    *ret = (struct kt_api_options){
        .address = setting(cli, FLAG_ADDRESS, "VAULT_ADDR"),
        .ca_file = setting(cli, FLAG_CA_CERT, "VAULT_CACERT"),
        .client_cert = setting(cli, FLAG_CLIENT_CERT, "VAULT_CLIENT_CERT"),
        .client_key = setting(cli, FLAG_CLIENT_KEY, "VAULT_CLIENT_KEY"),
        .server_name = setting(cli, FLAG_TLS_SERVER_NAME, "VAULT_TLS_SERVER_NAME"),
        .namespace_path = setting(cli, FLAG_NAMESPACE, "VAULT_NAMESPACE"),
        .user_agent = "secretctl/" KT_VERSION,
        .token = kt_secret_bytes(cli->token),
        .timeout_ms = timeout_ms < 86400000 ? (unsigned)timeout_ms : 86400000u,
    };
    return kind;
}

bool cli_open(struct cli *cli)
{
    struct kt_err err = {0};
    struct kt_api_options options = {0};
    if (cli->api != NULL)
        return true;
    enum kt_kind kind = cli_api_options(cli, &options, &err);
    if (kind == KT_OK)
        kind = kt_api_open(&options, &cli->api, &err);
    if (kind == KT_OK)
        return true;
    cli->exit_code = cli_fail(cli, &err);
    return false;
}

/* Inside single quotes everything but a single quote stands for itself. */
static void add_quoted(struct kt_buf *out, struct kt_bytes text)
{
    kt_buf_add_char(out, '\'');
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '\'')
            kt_buf_add_text(out, "'\\''");
        else
            kt_buf_add_char(out, (char)text.at[i]);
    }
    kt_buf_add_char(out, '\'');
}

static void print_curl(struct cli *cli, const struct cli_call *call,
                       const struct kt_api_request *request)
{
    static const char scheme[] = "unix://";
    struct kt_buf *out = &cli->out;
    kt_autobuf struct kt_buf url = {0};
    kt_buf_init(&url, OUT_MAX);
    kt_api_url(cli->api, request, &url);
    static const struct {
        enum flag_id flag;
        const char *variable, *curl;
    } files[] = {{FLAG_CA_CERT, "VAULT_CACERT", " --cacert "},
                 {FLAG_CLIENT_CERT, "VAULT_CLIENT_CERT", " --cert "},
                 {FLAG_CLIENT_KEY, "VAULT_CLIENT_KEY", " --key "}};
    const char *ns = setting(cli, FLAG_NAMESPACE, "VAULT_NAMESPACE");
    const char *address = kt_api_address(cli->api);
    struct kt_bytes rest = kt_buf_bytes(&url);
    kt_buf_printf(out, "curl -X %s", call->method);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        const char *file = setting(cli, files[i].flag, files[i].variable);
        if (file == NULL)
            continue;
        kt_buf_add_text(out, files[i].curl);
        add_quoted(out, kt_str(file));
    }
    kt_buf_add_text(out, " -H \"X-Vault-Token: $VAULT_TOKEN\" -H \"X-Vault-Request: true\"");
    if (ns != NULL) {
        kt_buf_add_text(out, " -H ");
        kt_autobuf struct kt_buf header = {0};
        kt_buf_init(&header, 1024);
        kt_buf_printf(&header, "X-Vault-Namespace: %s", ns);
        add_quoted(out, kt_buf_bytes(&header));
    }
    if (request->wrap_ttl != NULL) { /* a duration: nothing to quote */
        kt_buf_add_text(out, " -H 'X-Vault-Wrap-TTL: ");
        kt_buf_add_text(out, request->wrap_ttl);
        kt_buf_add_char(out, '\'');
    }
    if (strcmp(call->method, "PATCH") == 0)
        kt_buf_add_text(out, " -H 'Content-Type: application/merge-patch+json'");
    if (call->body.len > 0 && call->secret_body) {
        kt_buf_add_text(out, " -d @body.json");
    } else if (call->body.len > 0) {
        kt_buf_add_text(out, " -d ");
        add_quoted(out, call->body);
    }
    if (strncmp(address, scheme, sizeof scheme - 1) == 0) {
        kt_buf_add_text(out, " --unix-socket ");
        add_quoted(out, kt_str(address + sizeof scheme - 1));
        kt_buf_add_text(out, " 'http://localhost");
        kt_buf_add(out, rest.at + strlen(address), rest.len - strlen(address));
        kt_buf_add_text(out, "'\n");
    } else {
        kt_buf_add_char(out, ' ');
        add_quoted(out, rest);
        kt_buf_add_char(out, '\n');
    }
}

bool cli_is_empty(const struct kt_api_reply *reply, const struct kt_err *err)
{
    return err->kind == KT_NOT_FOUND && kt_json_count(reply->errors) == 0;
}

/* Vault's words, which say nothing of what comes next. */
static const struct {
    const char *said, *next;
} known[] = {
    {"no handler for route", "what is mounted: secretctl secrets list, secretctl auth list"},
    {"no matching mount", "what is mounted: secretctl secrets list, secretctl auth list"},
    {"invalid lease ID", "is it renewable, and does it end at all? secretctl token lookup"},
    {"already initialized", "how it is: secretctl status; whoever holds its keys: secretctl operator unseal"},
    {"has no rotation", "how to set one: secretctl schedule set --help"},
    {"path is already in use", "what is mounted: secretctl secrets list, secretctl auth list; another place: -path=NAME"},
    {"namespace not found", "VAULT_NAMESPACE (-namespace) names one that is not there: unset it"},
    {"bad token", "the token that was given expired, was revoked or mistyped, or is another vault's"},
};

const char *cli_next_of(const struct kt_err *err)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strstr(err->what, known[i].said) != NULL)
            return known[i].next;
    return NULL;
}

/* What to do next, when the vault did not say so itself. */
static void suggest(struct cli *cli, const struct cli_call *call, const struct kt_api_reply *reply,
                    const struct kt_err *err)
{
    bool denied = err->kind == KT_DENIED;
    note_not_honoured(cli, err);
    if (err->kind == KT_UNKNOWN)
        cli_note(cli, "note   it may have been done all the same: look before doing it again");
    if (err->hint[0] != '\0')
        cli_note(cli, "next   %s", err->hint);
    else if (cli_next_of(err) != NULL)
        cli_note(cli, "next   %s", cli_next_of(err));
    else if (denied && call->if_denied != NULL)
        cli_note(cli, "next   %s", call->if_denied);
    else if (denied && cli->token == NULL)
        cli_note(cli, "next   there is no token: secretctl login, or VAULT_TOKEN");
    else if (denied && strstr(err->what, "invalid token") != NULL)
        cli_note(cli, "next   it expired, was revoked or mistyped, or is another vault's: "
                      "secretctl login");
    else if (denied)
        cli_note(cli, "next   what this token may do there: secretctl token capabilities %s",
                 call->path);
    else if (err->kind == KT_TOO_MANY || err->kind == KT_BUSY)
        cli_note(cli, "next   the same again in %u s",
                 reply->http.retry_after_s != 0 ? reply->http.retry_after_s : 1u);
}

int cli_refused(struct cli *cli, const struct cli_call *call, const struct kt_api_reply *reply,
                const struct kt_err *err)
{
    cli_note(cli, "Error %s: %s", call->doing, err->what);
    if (reply->http.status >= 400) {
        struct kt_api_request request = {
            .method = call->method, .path = call->path, .query = call->query};
        kt_autobuf struct kt_buf url = {0};
        kt_buf_init(&url, OUT_MAX);
        kt_api_url(cli->api, &request, &url);
        cli_note(cli, "%s", "");
        cli_note(cli, "URL    %s %s", call->method, kt_buf_text(&url));
        cli_note(cli, "code   %u", reply->http.status);
        if (reply->request_id[0] != '\0')
            cli_note(cli, "id     %s", reply->request_id);
    }
    suggest(cli, call, reply, err);
    return cli_remote_code(cli);
}

enum kt_kind cli_call(struct cli *cli, const struct cli_call *call, struct kt_api_reply *reply)
{
    struct kt_err err = {0};
    if (!cli_open(cli))
        return KT_INVALID;
    struct kt_api_request request = {
        .method = call->method,
        .path = call->path,
        .query = call->query,
        .body = call->body,
        .timeout_ms = call->timeout_ms,
        .raw = call->raw,
        .wrap_ttl = call->wraps ? flags_text(&cli->flags, FLAG_WRAP_TTL) : NULL,
    };
    if (flags_on(&cli->flags, FLAG_CURL) && !call->aside) {
        print_curl(cli, call, &request);
        cli->exit_code = CLI_DONE;
        return KT_GONE;
    }
    enum kt_kind kind = kt_api_call(cli->api, &request, -1, reply, &err);
    if (kind == KT_OK) {
        cli_warnings(cli, reply);
        return KT_OK;
    }
    cli->exit_code = cli_remote_code(cli);
    if (call->err != NULL)
        *call->err = err;
    else if (!call->aside)
        cli->exit_code = cli_refused(cli, call, reply, &err);
    return kind;
}

/* ---- running a command ---- */

static int check_words(struct cli *cli)
{
    const struct command *command = cli->command;
    if (cli->word_count >= command->min_words && cli->word_count <= command->max_words)
        return CLI_DONE;
    bool more = cli->word_count > command->max_words;
    cli_note(cli, "Error: %s after \"%s\"", more ? "too many words" : "something is missing",
             command->words);
    cli_note(cli, "next   secretctl %s%s%s", command->words, command->usage[0] != '\0' ? " " : "",
             command->usage);
    cli_note(cli, "       examples: secretctl %s --help", command->words);
    return CLI_WRONG;
}

static int choose_format(struct cli *cli)
{
    const char *format = setting(cli, FLAG_FORMAT, "VAULT_FORMAT");
    if (format == NULL || strcmp(format, "table") == 0)
        cli->format = CLI_TABLE;
    else if (strcmp(format, "json") == 0)
        cli->format = CLI_JSON;
    else
        return cli_wrong(cli, "-format=table or -format=json (also -o json, VAULT_FORMAT)",
                         "no such format: %.60s", format);
    return CLI_DONE;
}

static int run_found(struct cli *cli)
{
    struct kt_err err = {0};
    enum flag_id allowed[FLAG_ID_COUNT];
    size_t count = command_flags(cli->command, allowed);
    if (flags_on(&cli->flags, FLAG_HELP)) {
        help_command(cli->command, &cli->out);
        return CLI_DONE;
    }
    if (flags_check(&cli->flags, allowed, count, cli->command->words, &err) != KT_OK)
        return cli_fail(cli, &err);
    int code = choose_format(cli);
    if (code == CLI_DONE)
        code = check_words(cli);
    return code != CLI_DONE ? code : cli->command->run(cli);
}

static bool asks_version(int argc, char *const *argv)
{
    return argc == 2 && (strcmp(argv[1], "-version") == 0 || strcmp(argv[1], "--version") == 0 ||
                         strcmp(argv[1], "-v") == 0);
}

int cli_run(struct cli *cli, int argc, char *const *argv)
{
    struct kt_err err = {0};
    size_t used = 0;
    int code = CLI_WRONG;
    static const char *const version[] = {"version"};
    if (asks_version(argc, argv)) {
        cli->command = command_find(version, 1, &used);
        code = cli->command->run(cli);
    } else if (flags_split(argc, argv, &cli->flags, &err) != KT_OK) {
        code = cli_fail(cli, &err);
    } else {
        cli->command = command_find(cli->flags.words, cli->flags.word_count, &used);
        cli->words = cli->flags.words + used;
        cli->word_count = cli->flags.word_count - used;
        code = cli->command != NULL ? run_found(cli) : help_without_command(cli);
    }
    (void)cli_flush(cli); /* said so itself */
    return cli->unwritten && code == CLI_DONE ? CLI_WRONG : code;
}
