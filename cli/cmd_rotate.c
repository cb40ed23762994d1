/* cli/cmd_rotate.c - rotate, reconcile, drill: start a run and follow it to its end. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/follow.h"
#include "cli/output.h"
#include "cli/secret_path.h"
#include "lib/jsonw.h"

#define BODY_MAX ((size_t)64 * 1024)
/* It waits for a target, whose own time-outs are below this. */
#define DRY_RUN_TIMEOUT_MS 120000u

static bool start_body(struct cli *cli, struct kt_buf *body)
{
    struct kt_jsonw w = kt_jsonw(body);
    kt_jsonw_object(&w);
    if (flags_has(&cli->flags, FLAG_REASON))
        kt_jsonw_kv_text(&w, "reason", flags_text(&cli->flags, FLAG_REASON));
    if (flags_on(&cli->flags, FLAG_BACK))
        kt_jsonw_kv_bool(&w, "back", true);
    if (flags_on(&cli->flags, FLAG_FORCE))
        kt_jsonw_kv_bool(&w, "force", true);
    if (flags_on(&cli->flags, FLAG_ALLOW_GAP))
        kt_jsonw_kv_bool(&w, "allow_gap", true);
    kt_jsonw_end(&w);
    return kt_buf_ok(body);
}

/* A run is active already: its id stands in the refusal's data. */
static bool active_run(const struct kt_api_reply *reply, char id[64])
{
    return kt_api_text(reply->data, "run", id, 64) && id[0] != '\0';
}

/* What starts a run there. */
static int start(struct cli *cli, const char *prefix, const char *doing)
{
    char path[SECRET_API_PATH];
    char id[64] = "";
    struct kt_err err = {0};
    int code = CLI_DONE;
    kt_autobuf struct kt_buf body = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&body, BODY_MAX);
    kt_api_reply_init(&reply);
    if (!secret_path(cli, prefix, cli->words[0], path))
        return cli->exit_code;
    if (!start_body(cli, &body))
        return cli_wrong(cli, "", "the reason is too long");
    struct cli_call call = {.doing = doing,
                            .method = "POST",
                            .path = path,
                            .body = kt_buf_bytes(&body),
                            .err = &err};
    if (cli_call(cli, &call, &reply) != KT_OK) {
        if (err.kind == KT_OK)
            return cli->exit_code;
        if (err.kind == KT_NOT_FOUND && err.hint[0] == '\0')
            kt_hint(&err, "it needs a rotation: secretctl schedule set --help");
        if (!active_run(&reply, id) || !flags_on(&cli->flags, FLAG_JOIN)) {
            code = cli_refused(cli, &call, &reply, &err);
            if (id[0] != '\0')
                cli_note(cli, "active secretctl run watch %s   (or the same again with --join)",
                         id);
            return code;
        }
        return follow_run(cli, id, true);
    }
    if (!active_run(&reply, id))
        return cli_wrong(cli, "secretctl run list", "the vault did not say which run it started");
    if (!flags_on(&cli->flags, FLAG_DETACH))
        return follow_run(cli, id, true);
    if (cli_print_plain(cli, reply.data, &reply, &code))
        return code;
    kt_buf_printf(&cli->out, "run %s is planned; it goes on by itself: secretctl run watch %s\n",
                  id, id);
    return CLI_DONE;
}

/* Verdict first, then what was tried, then the next command. */
static int dry_run(struct cli *cli)
{
    char path[SECRET_API_PATH];
    char text[1024];
    int code = CLI_DONE;
    bool ok = false;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    if (!secret_path(cli, "rotation/dry-run/", cli->words[0], path))
        return cli->exit_code;
    struct cli_call call = {.doing = "trying the rotation",
                            .method = "POST",
                            .path = path,
                            .timeout_ms = DRY_RUN_TIMEOUT_MS};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    (void)kt_api_bool(reply.data, "ok", &ok);
    if (cli_print_plain(cli, reply.data, &reply, &code))
        return code != CLI_DONE ? code : ok ? CLI_DONE : CLI_REFUSED;
    if (kt_api_text(reply.data, "verdict", text, sizeof text))
        output_safe(&cli->out, kt_str(text));
    kt_buf_add_char(&cli->out, '\n');
    output_steps(reply.data, &cli->out);
    if (kt_api_text(reply.data, "next", text, sizeof text) && text[0] != '\0') {
        kt_buf_add_text(&cli->out, "next    ");
        output_safe(&cli->out, kt_str(text));
        kt_buf_add_char(&cli->out, '\n');
    }
    return ok ? CLI_DONE : CLI_REFUSED;
}

int cmd_rotate(struct cli *cli)
{
    if (flags_on(&cli->flags, FLAG_DRY_RUN))
        return dry_run(cli);
    return start(cli, "rotation/rotate/", "rotating");
}

int cmd_drill(struct cli *cli)
{
    return start(cli, "rotation/drill/", "drilling");
}

int cmd_reconcile(struct cli *cli)
{
    return start(cli, "rotation/reconcile/", "reconciling");
}
