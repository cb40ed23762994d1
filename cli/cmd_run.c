/* cli/cmd_run.c - run list, show, watch, report, cancel, thaw, why; due. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/follow.h"
#include "cli/output.h"
#include "cli/paused.h"
#include "cli/run_view.h"
#include "cli/secret_path.h"

#define PATH_MAX_LEN 512
#define ID_MAX       64

/* ---- which run: an id, or a secret whose newest run is meant ---- */

static void add_query(struct kt_buf *query, const char *secret)
{
    while (*secret == '/')
        secret++;
    kt_buf_add_text(query, "secret=");
    kt_url_escape(query, kt_str(secret), false);
}

static bool newest_run(struct cli *cli, const char *secret, char id[ID_MAX])
{
    kt_autobuf struct kt_buf query = {0};
    kt_autoapireply struct kt_api_reply reply;
    struct kt_json keys = {0};
    struct kt_err err = {0};
    kt_buf_init(&query, 8192);
    kt_api_reply_init(&reply);
    add_query(&query, secret);
    struct cli_call call = {.doing = "looking for the run",
                            .method = "LIST",
                            .path = "rotation/runs",
                            .query = kt_buf_text(&query),
                            .aside = true,
                            .err = &err};
    enum kt_kind kind = cli_call(cli, &call, &reply);
    if (kind != KT_OK && !cli_is_empty(&reply, &err)) {
        if (err.kind != KT_OK)
            cli->exit_code = cli_refused(cli, &call, &reply, &err);
        return false;
    }
    (void)kt_json_member(reply.data, "keys", &keys);
    struct kt_json_iter it = kt_json_iter(keys);
    kt_autobuf struct kt_buf text = {0};
    kt_buf_init(&text, ID_MAX - 1);
    if (kind == KT_OK && kt_json_next(&it) && kt_json_string(it.value, &text)) {
        (void)snprintf(id, ID_MAX, "%s", kt_buf_text(&text));
        return true;
    }
    cli_note(cli, "Error: %s was not rotated yet", secret);
    cli_note(cli, "next   secretctl rotate %s", secret);
    cli->exit_code = CLI_REFUSED;
    return false;
}

static bool choose_run(struct cli *cli, const char *word, char id[ID_MAX])
{
    if (strchr(word, '/') != NULL)
        return newest_run(cli, word, id);
    if (strlen(word) >= ID_MAX) {
        cli->exit_code = cli_wrong(cli, "secretctl run list", "this is no run's id");
        return false;
    }
    (void)snprintf(id, ID_MAX, "%s", word);
    return true;
}

static bool run_path(struct cli *cli, const char *tail, char id[ID_MAX], char out[PATH_MAX_LEN])
{
    if (!choose_run(cli, cli->words[0], id))
        return false;
    (void)snprintf(out, PATH_MAX_LEN, "rotation/runs/%s%s", id, tail);
    return true;
}

/* ---- list ---- */

static void list_row(struct cli *cli, struct table *table, struct kt_json id, struct kt_json info)
{
    char text[256];
    char time[OUTPUT_TIME];
    char versions[RUN_VERSIONS];
    int64_t from = 0;
    int64_t to = 0;
    int64_t started = output_time_of(info, "started");
    int64_t ended = output_time_of(info, "ended");
    table_json(table, id);
    (void)kt_api_text(info, "secret", text, sizeof text);
    table_text(table, text);
    (void)kt_api_text(info, "state", text, sizeof text);
    table_text(table, text);
    (void)kt_api_i64(info, "from", &from);
    (void)kt_api_i64(info, "to", &to);
    run_view_versions(from, to, versions);
    table_text(table, versions);
    output_time(cli, started, time);
    table_text(table, time);
    output_took(ended > started ? ended - started : 0, time);
    table_text(table, ended != 0 ? time : "...");
    (void)kt_api_text(info, "why", text, sizeof text);
    table_text(table, text);
}

int cmd_run_list(struct cli *cli)
{
    static const char *const names[] = {"Run",     "Secret", "State", "Version",
                                        "Started", "Took",   "Why"};
    kt_autobuf struct kt_buf query = {0};
    kt_autoapireply struct kt_api_reply reply;
    struct kt_json keys = {0};
    struct kt_json all = {0};
    struct kt_err err = {0};
    int code = CLI_DONE;
    uint64_t limit = flags_number(&cli->flags, FLAG_LIMIT, 50);
    const char *secret =
        cli->word_count == 1 ? cli->words[0] : flags_text(&cli->flags, FLAG_SECRET);
    kt_buf_init(&query, 8192);
    kt_api_reply_init(&reply);
    if (secret != NULL)
        add_query(&query, secret);
    struct cli_call call = {.doing = "listing the runs",
                            .method = "LIST",
                            .path = "rotation/runs",
                            .query = kt_buf_text(&query),
                            .err = &err};
    if (cli_call(cli, &call, &reply) != KT_OK && !cli_is_empty(&reply, &err))
        return err.kind == KT_OK ? cli->exit_code : cli_refused(cli, &call, &reply, &err);
    if (cli->format != CLI_JSON && !flags_has(&cli->flags, FLAG_FIELD))
        paused_banner(cli);
    if (err.kind != KT_OK) {
        cli_note(cli, "nothing was rotated yet");
        if (cli->format == CLI_JSON)
            kt_buf_add_text(&cli->out, "{}\n");
        return CLI_DONE;
    }
    if (cli_print_plain(cli, reply.data, &reply, &code))
        return code;
    (void)kt_json_member(reply.data, "keys", &keys);
    (void)kt_json_member(reply.data, "key_info", &all);
    KT_AUTO(table_free) struct table table = {0};
    table_init(&table, 7, names);
    struct kt_json_iter it = kt_json_iter(keys);
    while (kt_json_next(&it) && limit-- > 0) {
        kt_autobuf struct kt_buf id = {0};
        struct kt_json info = {0};
        kt_buf_init(&id, 256);
        (void)kt_json_string(it.value, &id);
        (void)kt_json_member(all, kt_buf_text(&id), &info);
        list_row(cli, &table, it.value, info);
    }
    table_print(&table, 0, &cli->out);
    return CLI_DONE;
}

/* ---- one run ---- */

static void print_readers(struct kt_json data, struct kt_buf *out)
{
    struct kt_json readers = {0};
    if (!kt_json_member(data, "readers", &readers) || kt_json_count(readers) == 0)
        return;
    kt_buf_add_text(out, "\nreaders that are no agents\n");
    struct kt_json_iter it = kt_json_iter(readers);
    while (kt_json_next(&it)) {
        kt_autobuf struct kt_buf line = {0};
        kt_buf_init(&line, 8192);
        if (kt_json_type(it.value) == KT_JSON_OBJECT) {
            struct kt_json_iter member = kt_json_iter(it.value);
            while (kt_json_next(&member)) {
                (void)kt_json_string(member.key, &line);
                kt_buf_add_char(&line, ' ');
                output_value(&line, member.value);
                kt_buf_add_text(&line, "  ");
            }
        } else {
            output_value(&line, it.value);
        }
        kt_buf_add_text(out, "  ");
        output_safe(out, kt_buf_bytes(&line));
        kt_buf_add_char(out, '\n');
    }
}

/* "  started by the operator maria: orders cannot log in" */
static void print_origin(const struct run_model *run, struct kt_buf *out)
{
    kt_autobuf struct kt_buf line = {0};
    kt_buf_init(&line, 1024);
    if (run->trigger[0] == '\0')
        return;
    kt_buf_printf(&line, "  started by %s %s%s%s", run->trigger, run->by,
                  run->reason[0] != '\0' ? ": " : "", run->reason);
    output_safe(out, kt_buf_bytes(&line));
    kt_buf_add_char(out, '\n');
}

int cmd_run_show(struct cli *cli)
{
    char path[PATH_MAX_LEN];
    char id[ID_MAX];
    int code = CLI_DONE;
    struct run_model run;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    if (!run_path(cli, "", id, path))
        return cli->exit_code;
    struct cli_call call = {.doing = "reading the run", .method = "GET", .path = path};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    if (cli_print_plain(cli, reply.data, &reply, &code))
        return code;
    run_model_init(&run);
    bool complete = run_model_take(&run, reply.data);
    run_view_picture(cli, &run, 160, 80, &cli->out);
    print_origin(&run, &cli->out);
    kt_buf_add_char(&cli->out, '\n');
    for (size_t i = 0; i < run.step_count; i++)
        run_view_step(cli, &run, &run.steps[i], &cli->out);
    if (run_ended(&run) && run.consumer_count > 0) {
        kt_buf_add_text(&cli->out, "\nconsumers\n");
        run_view_consumers(&run, 2, RUN_CONSUMERS_MAX, RUN_VIEW_WIDE, &cli->out);
    }
    print_readers(reply.data, &cli->out);
    kt_buf_add_char(&cli->out, '\n');
    run_view_verdict(cli, &run, &cli->out);
    run_model_free(&run);
    return complete ? CLI_DONE : cli_wrong(cli, "", "not enough memory for the run");
}

int cmd_run_watch(struct cli *cli)
{
    char id[ID_MAX];
    return choose_run(cli, cli->words[0], id) ? follow_run(cli, id, false) : cli->exit_code;
}

int cmd_run_report(struct cli *cli)
{
    char path[PATH_MAX_LEN];
    char id[ID_MAX];
    struct kt_json part = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    if (!run_path(cli, "/report", id, path))
        return cli->exit_code;
    struct cli_call call = {.doing = "reading the report", .method = "GET", .path = path};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    if (cli->format == CLI_JSON) {
        if (kt_json_member(reply.data, "report", &part) && kt_json_type(part) == KT_JSON_STRING) {
            output_value(&cli->out, part);
            kt_buf_add_char(&cli->out, '\n');
        } else {
            output_json(&cli->out, part);
        }
        return CLI_DONE;
    }
    kt_autobuf struct kt_buf text = {0};
    kt_buf_init(&text, (size_t)16 * 1024 * 1024);
    if (kt_json_member(reply.data, "text", &part))
        output_value(&text, part);
    output_safe(&cli->out, kt_buf_bytes(&text));
    if (text.len > 0 && text.at[text.len - 1] != '\n')
        kt_buf_add_char(&cli->out, '\n');
    return CLI_DONE;
}

int cmd_run_cancel(struct cli *cli)
{
    char path[PATH_MAX_LEN];
    char id[ID_MAX];
    int code = CLI_DONE;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    if (!run_path(cli, "/cancel", id, path))
        return cli->exit_code;
    struct cli_call call = {.doing = "cancelling the run", .method = "POST", .path = path};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    if (cli_print_plain(cli, reply.data, &reply, &code))
        return code;
    char state[32];
    (void)kt_api_text(reply.data, "state", state, sizeof state);
    bool over = strcmp(state, "cancelled") == 0 || strcmp(state, "rolled_back") == 0;
    cli_success(cli, over ? "run %s is %s" : "run %s (%s) goes back; secretctl run watch %s", id,
                state, id);
    return CLI_DONE;
}

int cmd_run_thaw(struct cli *cli)
{
    char path[PATH_MAX_LEN];
    char id[ID_MAX];
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    if (!run_path(cli, "/thaw", id, path))
        return cli->exit_code;
    struct cli_call call = {.doing = "thawing the run", .method = "POST", .path = path};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    if (flags_on(&cli->flags, FLAG_DETACH)) {
        cli_success(cli, "run %s goes on; secretctl run watch %s", id, id);
        return CLI_DONE;
    }
    return follow_run(cli, id, true);
}
