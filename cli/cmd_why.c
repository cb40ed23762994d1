/* cli/cmd_why.c - run why, due: why a secret is where it is, and what comes next. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/gap_view.h"
#include "cli/output.h"
#include "cli/paused.h"
#include "cli/run_view.h"
#include "cli/secret_path.h"

#define PATH_MAX_LEN 512

/* aside: something is said without it, too. */
static bool read_run(struct cli *cli, const char *id, bool aside, struct run_model *ret)
{
    char path[PATH_MAX_LEN];
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    (void)snprintf(path, sizeof path, "rotation/runs/%.400s", id);
    struct cli_call call = {.doing = "reading the run", .method = "GET", .path = path, .aside = aside};
    return cli_call(cli, &call, &reply) == KT_OK && run_model_take(ret, reply.data);
}

static void explain_run(struct cli *cli, const struct run_model *run)
{
    char time[OUTPUT_TIME];
    if (run_ended(run) || run_frozen(run)) {
        run_view_verdict(cli, run, &cli->out);
        return;
    }
    output_safe(&cli->out, kt_str(run->secret));
    kt_buf_printf(&cli->out, ": run %s is %s\n", run->id, run->state);
    if (run->waits_for[0] != '\0') {
        kt_buf_add_text(&cli->out, "waits   for ");
        output_safe(&cli->out, kt_str(run->waits_for));
        output_clock(cli, run->waits_until_ms, time);
        if (run->waits_until_ms != 0)
            kt_buf_printf(&cli->out, ", until %s at most", time);
        kt_buf_add_char(&cli->out, '\n');
    }
    if (run_why(run)[0] != '\0') {
        kt_buf_add_text(&cli->out, "so far  ");
        output_safe(&cli->out, kt_str(run_why(run)));
        kt_buf_add_char(&cli->out, '\n');
    }
    run_view_target(run, &cli->out);
    run_view_back(run, &cli->out);
    run_view_consumers(run, 8, RUN_CONSUMERS_MAX, RUN_VIEW_WIDE, &cli->out);
    kt_buf_printf(&cli->out, "next    secretctl run watch %s%s%s\n", run->id,
                  run->can_go_back ? "; going back: secretctl run cancel " : "",
                  run->can_go_back ? run->id : "");
}

/* An older vaultd does not say. */
static const char *mended_by(struct kt_json drifted, char text[16])
{
    return kt_api_text(drifted, "mend", text, 16) && strcmp(text, "rotate") == 0 ? "rotate" : "reconcile";
}

/* The target refuses what is stored: that comes first, for who fetches it now cannot log in. */
static void explain_drift(struct cli *cli, const char *secret, struct kt_json state)
{
    char time[OUTPUT_TIME];
    char text[256], mend[16];
    if (!kt_api_text(state, "truth", text, sizeof text) || strcmp(text, "drifted") != 0)
        return;
    output_time(cli, output_time_of(state, "drifted"), time);
    kt_buf_add_text(&cli->out, "DRIFTED ");
    output_safe(&cli->out, kt_str(secret));
    kt_buf_printf(&cli->out, ": since %s the target refuses what the vault has as current\n", time);
    if (kt_api_text(state, "look", text, sizeof text)) {
        kt_buf_add_text(&cli->out, "known   ");
        output_safe(&cli->out, kt_str(text));
        kt_buf_add_char(&cli->out, '\n');
    }
    kt_buf_printf(&cli->out, "hurt    whoever fetches it from now on cannot log in\nmend    secretctl %s ",
                  mended_by(state, mend));
    output_safe(&cli->out, kt_str(secret));
    kt_buf_add_char(&cli->out, '\n');
}

/* Going back: when it was tried, what came of it, when it is tried again. */
static void explain_drill(struct cli *cli, struct kt_json state)
{
    char time[OUTPUT_TIME];
    char text[600];
    int64_t next = output_time_of(state, "next_drill");
    bool told = kt_api_text(state, "drill_result", text, sizeof text) && text[0] != '\0';
    if (!told && next == 0)
        return;
    kt_buf_add_text(&cli->out, "drill   ");
    if (told) {
        output_time(cli, output_time_of(state, "drilled"), time);
        kt_buf_printf(&cli->out, "%s: ", time);
        output_safe(&cli->out, kt_str(text));
    }
    output_time(cli, next, time);
    if (next != 0)
        kt_buf_printf(&cli->out, "%snext %s", told ? "; " : "", time);
    kt_buf_add_char(&cli->out, '\n');
}

/* One password at a time. */
static void explain_gap(struct cli *cli, const char *secret, struct kt_json data, struct kt_json state)
{
    char strategy[32];
    kt_autobuf struct kt_buf text = {0};
    kt_buf_init(&text, 8192);
    if (!kt_api_text(data, "strategy", strategy, sizeof strategy) || strcmp(strategy, "in-place") != 0)
        return;
    kt_buf_add_text(&text, "gap     in-place: ");
    gap_view_measured(cli, state, &text);
    kt_buf_add_char(&text, '\n');
    output_safe(&cli->out, kt_buf_bytes(&text));
    kt_buf_reset(&text);
    kt_buf_add_text(&text, "avoid   ");
    if (!gap_view_instead(state, secret, &text))
        return;
    kt_buf_add_char(&text, '\n');
    output_safe(&cli->out, kt_buf_bytes(&text));
}

/* The newest run, where it is not the success that "last" tells of. */
static void explain_newest(struct cli *cli, struct kt_json state, struct run_model *run)
{
    char id[64], result[64], time[OUTPUT_TIME], age[OUTPUT_TIME];
    if (!kt_api_text(state, "last_run", id, sizeof id) || id[0] == '\0' ||
        !kt_api_text(state, "last_result", result, sizeof result) || result[0] == '\0' || strcmp(result, "done") == 0)
        return;
    kt_buf_add_text(&cli->out, "newest  ");
    output_safe(&cli->out, kt_str(result));
    if (read_run(cli, id, true, run)) {
        output_time(cli, run->ended_ms, time);
        output_age(cli, run->ended_ms, age);
        kt_buf_printf(&cli->out, " %s   %s", time, age);
        if (run_why(run)[0] != '\0') {
            kt_buf_add_text(&cli->out, "\nwhy     ");
            output_safe(&cli->out, kt_str(run_why(run)));
        }
    }
    kt_buf_add_text(&cli->out, "\nreport  secretctl run report ");
    output_safe(&cli->out, kt_str(id));
    kt_buf_add_char(&cli->out, '\n');
}

/* No run is active: the schedule answers. */
static void explain_state(struct cli *cli, const char *secret, struct kt_json data, struct kt_json state,
                          struct run_model *newest)
{
    char time[OUTPUT_TIME];
    char age[OUTPUT_TIME];
    char text[1024];
    int64_t due = output_time_of(state, "next_due");
    int64_t done = output_time_of(state, "last_done");
    explain_drift(cli, secret, state);
    output_safe(&cli->out, kt_str(secret));
    kt_buf_add_text(&cli->out, ": nothing is running\n");
    output_time(cli, done, time);
    output_age(cli, done, age);
    if (done != 0)
        kt_buf_printf(&cli->out, "last    %s   %s\n", time, age);
    else
        kt_buf_add_text(&cli->out, "last    never\n");
    explain_newest(cli, state, newest);
    if (kt_api_text(state, "held", text, sizeof text) && text[0] != '\0') {
        kt_buf_add_text(&cli->out, "held    ");
        output_safe(&cli->out, kt_str(text));
        kt_buf_add_char(&cli->out, '\n');
    }
    if (kt_api_text(state, "paused", text, sizeof text) && text[0] != '\0') {
        kt_buf_add_text(&cli->out, "held    all rotations are ");
        output_safe(&cli->out, kt_str(text));
        kt_buf_add_text(&cli->out, "\nfirst   secretctl run resume\n");
    }
    if (kt_api_text(state, "blocked_by", text, sizeof text) && text[0] != '\0') {
        kt_buf_add_text(&cli->out, "waits   for ");
        output_safe(&cli->out, kt_str(text));
        kt_buf_add_char(&cli->out, '\n');
    }
    if (kt_api_text(state, "refused", text, sizeof text) && text[0] != '\0') {
        kt_buf_add_text(&cli->out, "cannot  ");
        output_safe(&cli->out, kt_str(text));
        kt_buf_add_char(&cli->out, '\n');
    }
    explain_drill(cli, state);
    explain_gap(cli, secret, data, state);
    output_time(cli, due, time);
    output_age(cli, due, age);
    if (due != 0)
        kt_buf_printf(&cli->out, "next    %s   %s", time, age);
    else
        kt_buf_add_text(&cli->out, "next    only by hand: secretctl rotate ");
    if (due == 0)
        output_safe(&cli->out, kt_str(secret));
    kt_buf_printf(&cli->out, "\nthen    secretctl schedule preview %s\n", secret);
}

static int why_secret(struct cli *cli, struct run_model *run)
{
    char id[64];
    struct kt_json state = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    if (!secret_rotation(cli, cli->words[0],
                         "so nothing changes it; how to set one: secretctl schedule set --help",
                         &reply))
        return cli->exit_code;
    (void)kt_json_member(reply.data, "state", &state);
    if (kt_api_text(state, "run", id, sizeof id) && id[0] != '\0') {
        if (!read_run(cli, id, false, run))
            return cli->exit_code;
        explain_run(cli, run);
        return CLI_DONE;
    }
    explain_state(cli, cli->words[0], reply.data, state, run);
    return CLI_DONE;
}

int cmd_run_why(struct cli *cli)
{
    struct run_model run;
    int code = CLI_DONE;
    run_model_init(&run);
    if (strchr(cli->words[0], '/') != NULL)
        code = why_secret(cli, &run);
    else if (read_run(cli, cli->words[0], false, &run))
        explain_run(cli, &run);
    else
        code = cli->exit_code;
    run_model_free(&run);
    return code;
}

/* ---- due ---- */

static void print_drifted(struct cli *cli, struct kt_json data)
{
    static const char *const names[] = {"Drifted", "Target", "Version", "Since", "Next"};
    struct kt_json drifted = {0};
    (void)kt_json_member(data, "drifted", &drifted);
    if (kt_json_count(drifted) == 0)
        return;
    KT_AUTO(table_free) struct table table = {0};
    table_init(&table, 5, names);
    struct kt_json_iter it = kt_json_iter(drifted);
    while (kt_json_next(&it)) {
        char secret[512];
        char text[OUTPUT_TIME + 128], mend[16];
        int64_t version = 0;
        (void)kt_api_text(it.value, "secret", secret, sizeof secret);
        table_text(&table, secret);
        (void)kt_api_text(it.value, "target", text, sizeof text);
        table_text(&table, text);
        (void)kt_api_i64(it.value, "version", &version);
        table_printf(&table, "v%jd", (intmax_t)version);
        output_time(cli, output_time_of(it.value, "since"), text);
        table_text(&table, text);
        table_printf(&table, "secretctl %s %s", mended_by(it.value, mend), secret);
    }
    table_print(&table, 0, &cli->out);
    kt_buf_add_char(&cli->out, '\n');
}

int cmd_due(struct cli *cli)
{
    static const char *const names[] = {"Secret", "Due", "", "Overdue", "Blocked by"};
    char query[40];
    int code = CLI_DONE;
    struct kt_json due = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    (void)snprintf(query, sizeof query, "limit=%ju",
                   (uintmax_t)flags_number(&cli->flags, FLAG_LIMIT, 50));
    struct cli_call call = {
        .doing = "asking what is due", .method = "GET", .path = "rotation/due", .query = query};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    if (cli_print_plain(cli, reply.data, &reply, &code))
        return code;
    paused_banner(cli);
    print_drifted(cli, reply.data);
    (void)kt_json_member(reply.data, "due", &due);
    if (kt_json_count(due) == 0) {
        kt_buf_add_text(&cli->out, "nothing has a schedule\n");
        return CLI_DONE;
    }
    KT_AUTO(table_free) struct table table = {0};
    table_init(&table, 5, names);
    struct kt_json_iter it = kt_json_iter(due);
    while (kt_json_next(&it)) {
        char text[512];
        char time[OUTPUT_TIME];
        int64_t at = output_time_of(it.value, "next_due");
        int64_t overdue = 0;
        (void)kt_api_text(it.value, "secret", text, sizeof text);
        table_text(&table, text);
        output_time(cli, at, time);
        table_text(&table, time);
        output_age(cli, at, time);
        table_text(&table, time);
        (void)kt_api_i64(it.value, "overdue_s", &overdue);
        output_span(overdue * 1000, time);
        table_text(&table, overdue > 0 ? time : "");
        (void)kt_api_text(it.value, "blocked_by", text, sizeof text);
        table_text(&table, text);
    }
    table_print(&table, 0, &cli->out);
    return CLI_DONE;
}
