/* cli/cmd_pause.c - run pause, run resume: the brake of all rotations. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/output.h"
#include "cli/paused.h"
#include "lib/jsonw.h"

#define BODY_MAX ((size_t)8 * 1024)
#define TEXT_MAX 1024

static int64_t number(struct kt_json data, const char *name)
{
    int64_t value = 0;
    (void)kt_api_i64(data, name, &value);
    return value;
}

static void add_member(struct cli *cli, struct kt_json data, const char *name)
{
    char text[TEXT_MAX];
    if (kt_api_text(data, name, text, sizeof text))
        output_safe(&cli->out, kt_str(text));
}

static void say_late(struct cli *cli, struct kt_json data)
{
    int64_t late = number(data, "late");
    kt_buf_add_text(&cli->out, "hurt    nobody now");
    if (late > 0)
        kt_buf_printf(&cli->out, "; late by now: %jd", (intmax_t)late);
    kt_buf_add_char(&cli->out, '\n');
}

static void say_paused(struct cli *cli, struct kt_json data)
{
    char time[OUTPUT_TIME];
    char age[OUTPUT_TIME];
    int64_t since = output_time_of(data, "since");
    output_time(cli, since, time);
    output_age(cli, since, age);
    kt_buf_add_text(&cli->out, "PAUSED  by ");
    add_member(cli, data, "by");
    kt_buf_printf(&cli->out, " since %s (%s): ", time, age);
    add_member(cli, data, "reason");
    kt_buf_add_char(&cli->out, '\n');
    say_late(cli, data);
}

void paused_banner(struct cli *cli)
{
    bool on = false;
    struct kt_err err = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    struct cli_call call = {.doing = "asking whether rotation is paused",
                            .method = "GET",
                            .path = "rotation/pause",
                            .aside = true,
                            .err = &err};
    if (cli_call(cli, &call, &reply) != KT_OK || !kt_api_bool(reply.data, "paused", &on) || !on)
        return;
    say_paused(cli, reply.data);
    kt_buf_add_text(&cli->out, "next    secretctl run resume\n\n");
}

static int refuse_some(struct cli *cli)
{
    return cli_wrong(cli, "secretctl run pause --all --reason=TEXT",
                     "it pauses all rotations: say so with --all, and why with --reason");
}

int cmd_run_pause(struct cli *cli)
{
    int code = CLI_DONE;
    const char *reason = flags_text(&cli->flags, FLAG_REASON);
    kt_autobuf struct kt_buf body = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&body, BODY_MAX);
    kt_api_reply_init(&reply);
    if (!flags_on(&cli->flags, FLAG_ALL) || reason == NULL || reason[0] == '\0')
        return refuse_some(cli);
    struct kt_jsonw w = kt_jsonw(&body);
    kt_jsonw_object(&w);
    kt_jsonw_kv_text(&w, "reason", reason);
    kt_jsonw_end(&w);
    if (!kt_buf_ok(&body))
        return cli_wrong(cli, "", "the reason is too long");
    struct cli_call call = {.doing = "pausing all rotations",
                            .method = "POST",
                            .path = "rotation/pause",
                            .body = kt_buf_bytes(&body)};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    if (cli_print_plain(cli, reply.data, &reply, &code))
        return code;
    say_paused(cli, reply.data);
    int64_t active = number(reply.data, "active");
    if (active > 0)
        kt_buf_printf(&cli->out,
                      "active  %jd: who has begun to change something goes on, the others wait\n",
                      (intmax_t)active);
    kt_buf_add_text(&cli->out, "next    secretctl run resume; meanwhile one by hand: secretctl rotate "
                               "--force SECRET\n");
    return CLI_DONE;
}

int cmd_run_resume(struct cli *cli)
{
    char span[OUTPUT_TIME];
    int code = CLI_DONE;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    struct cli_call call = {
        .doing = "letting rotations go on", .method = "DELETE", .path = "rotation/pause"};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    if (cli_print_plain(cli, reply.data, &reply, &code))
        return code;
    int64_t since = output_time_of(reply.data, "since");
    if (since == 0) {
        kt_buf_add_text(&cli->out, "nothing was paused\n");
        return CLI_DONE;
    }
    output_span(cli->now_ms - since, span);
    kt_buf_add_text(&cli->out, "RESUMED  it was paused by ");
    add_member(cli, reply.data, "by");
    kt_buf_printf(&cli->out, " for %s: ", span);
    add_member(cli, reply.data, "reason");
    kt_buf_printf(&cli->out, "\nlate     %jd; they start now, one after the other at each target\n"
                             "next     secretctl due\n",
                  (intmax_t)number(reply.data, "late"));
    return CLI_DONE;
}
