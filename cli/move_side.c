/* cli/move_side.c - see cli/move_side.h. */
#include "cli/move_side.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/prompt.h"
#include "lib/token_file.h"

#define TRIES   8u /* 0.2 s, 0.4 s ... : half a minute together, where no Retry-After says otherwise */
#define PAUSE   200u
#define PATH_MAX_LEN (KT_API_PATH_MAX + 512u)

bool move_side_here(struct cli *cli, struct move_side *ret)
{
    struct kt_err err = {0};
    *ret = (struct move_side){0};
    if (cli_api_options(cli, &ret->options, &err) == KT_OK)
        return true;
    cli->exit_code = cli_fail(cli, &err);
    return false;
}

static enum kt_kind ask_token(struct cli *cli, struct kt_secret **ret, struct kt_err *err)
{
    struct kt_bytes token = {0};
    kt_autobuf struct kt_buf text = {0};
    kt_buf_init(&text, PROMPT_ANSWER_MAX);
    if (!cli->in_terminal) {
        (void)kt_fail(err, KT_INVALID, "there is no token for the other vault, and nobody can be asked");
        kt_hint(err, "-peer-token-file=FILE, a file that only you may read");
        return KT_INVALID;
    }
    enum kt_kind kind = prompt_secret(cli, "Token of the other vault (not shown): ", &text, err);
    if (kind == KT_OK)
        kind = kt_token_check(kt_buf_bytes(&text), &token, err);
    if (kind != KT_OK)
        return kind;
    *ret = kt_secret_copy(token);
    return *ret != NULL ? KT_OK : kt_secret_failed(err, "keeping the token");
}

/* Of the vault that -from or -to names. */
static const struct kt_http_names there = {.address = "its address (-from, -to)",
                                           .address_is = "its address is ",
                                           .ca_file = "-peer-ca-cert",
                                           .server_name = "-peer-tls-server-name"};

bool move_side_there(struct cli *cli, const char *address, struct move_side *ret)
{
    struct kt_err err = {0};
    const char *file = flags_text(&cli->flags, FLAG_PEER_TOKEN);
    *ret = (struct move_side){
        .is_other = true,
        .options = {.address = address,
                    .ca_file = flags_text(&cli->flags, FLAG_PEER_CA),
                    .server_name = flags_text(&cli->flags, FLAG_PEER_NAME),
                    .namespace_path = flags_text(&cli->flags, FLAG_PEER_NAMESPACE),
                    .names = &there,
                    .user_agent = "secretctl/" KT_VERSION}};
    enum kt_kind kind = file != NULL ? kt_token_file_read(file, &ret->token, &err)
                                     : ask_token(cli, &ret->token, &err);
    ret->options.token = kt_secret_bytes(ret->token);
    if (kind != KT_OK && file != NULL && err.hint[0] == '\0')
        kt_hint(&err, "-peer-token-file=FILE names the file with the other vault's token, that only you may read");
    if (kind == KT_OK)
        return true;
    cli->exit_code = cli_fail(cli, &err);
    return false;
}

void move_side_free(struct move_side *side)
{
    kt_secret_free(side->token);
    side->token = NULL;
}

enum kt_kind move_side_open(const struct move_side *side, struct kt_api **ret, struct kt_err *err)
{
    return kt_api_open(&side->options, ret, err);
}

/* ---- asking ---- */

static void pause_ms(unsigned ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0) {
    }
}

/* Too much at once. Requests that wait for approval are too many until others approve some. */
static bool is_quota(const struct kt_err *err)
{
    return err->kind == KT_TOO_MANY && strstr(err->what, "wait for approval") == NULL;
}

/* Not done, and perhaps later. */
static bool may_pass(const struct kt_err *err)
{
    return err->kind == KT_IO || err->kind == KT_TIMEOUT || err->kind == KT_BUSY || is_quota(err);
}

bool move_ends_all(const struct kt_err *err)
{
    return may_pass(err) || err->kind == KT_SEALED ||
           (err->kind == KT_DENIED && strstr(err->what, "invalid token") != NULL);
}

static enum kt_kind call_while(bool (*passes)(const struct kt_err *err), struct kt_api *api,
                               const struct kt_api_request *request, struct kt_api_reply *reply, struct kt_err *err)
{
    for (unsigned i = 0;; i++) {
        *err = (struct kt_err){0};
        enum kt_kind kind = kt_api_call(api, request, -1, reply, err);
        if (kind == KT_OK || !passes(err) || i + 1 == TRIES)
            return kind;
        unsigned wait = PAUSE << i;
        if (reply->http.retry_after_s > 0 && reply->http.retry_after_s < 60)
            wait = reply->http.retry_after_s * 1000;
        pause_ms(wait);
    }
}

enum kt_kind move_call(struct kt_api *api, const struct kt_api_request *request,
                       struct kt_api_reply *reply, struct kt_err *err)
{
    return call_while(may_pass, api, request, reply, err);
}

enum kt_kind move_call_quota(struct kt_api *api, const struct kt_api_request *request,
                             struct kt_api_reply *reply, struct kt_err *err)
{
    return call_while(is_quota, api, request, reply, err);
}

KT_PRINTF(2, 0) static enum kt_kind path_of(char out[PATH_MAX_LEN], const char *format, va_list args, struct kt_err *err)
{
    int n = vsnprintf(out, PATH_MAX_LEN, format, args);
    return n > 0 && (size_t)n < PATH_MAX_LEN ? KT_OK : kt_fail(err, KT_INVALID, "the path is too long");
}

enum kt_kind move_get(struct kt_api *api, struct kt_api_reply *reply, struct kt_err *err,
                      const char *format, ...)
{
    char path[PATH_MAX_LEN];
    va_list args;
    va_start(args, format);
    enum kt_kind kind = path_of(path, format, args, err);
    va_end(args);
    if (kind != KT_OK)
        return kind;
    struct kt_api_request request = {.method = "GET", .path = path};
    return move_call(api, &request, reply, err);
}

enum kt_kind move_post(struct kt_api *api, struct kt_bytes body, struct kt_api_reply *reply,
                       struct kt_err *err, const char *format, ...)
{
    char path[PATH_MAX_LEN];
    va_list args;
    va_start(args, format);
    enum kt_kind kind = path_of(path, format, args, err);
    va_end(args);
    if (kind != KT_OK)
        return kind;
    struct kt_api_request request = {.method = "POST", .path = path, .body = body};
    return move_call(api, &request, reply, err);
}
