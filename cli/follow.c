/* cli/follow.c - see cli/follow.h. */
#include "cli/follow.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/output.h"
#include "cli/run_view.h"
#include "lib/clock.h"
#include "lib/timespec.h"

#define WAIT_S      30u
#define WAIT_MORE_S 15u
#define AGAIN_MS    1000

struct follower {
    struct cli *cli;
    struct run_model run;
    bool live;          /* redraw a picture */
    size_t lines;       /* of the picture that stands there */
    size_t printed;     /* steps that were written as lines */
    char waited[sizeof((struct run_model *)0)->waits_for]; /* what was written last that the run waits for */
    int64_t away_since; /* 0: the vault answers */
};

static void follower_free(struct follower *follower)
{
    run_model_free(&follower->run);
}

/* ---- what is shown meanwhile ---- */

static void erase(struct follower *follower)
{
    if (follower->lines > 0)
        kt_buf_printf(&follower->cli->out, "\033[%zuF\033[J", follower->lines);
    follower->lines = 0;
}

static void draw(void *arg)
{
    struct follower *follower = arg;
    struct winsize size = {0};
    if (follower->run.id[0] == '\0')
        return;
    kt_autobuf struct kt_buf picture = {0};
    kt_buf_init(&picture, (size_t)256 * 1024);
    if (ioctl(follower->cli->out_fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        size = (struct winsize){.ws_col = 80, .ws_row = 24};
    /* A cursor in the last column would wrap. */
    run_view_picture(follower->cli, &follower->run, size.ws_col - 1u, size.ws_row, &picture);
    if (follower->away_since != 0)
        kt_buf_add_text(&picture, "  the vault is away; the run goes on when it is back\n");
    erase(follower);
    kt_buf_add_bytes(&follower->cli->out, kt_buf_bytes(&picture));
    for (size_t i = 0; i < picture.len; i++)
        follower->lines += picture.at[i] == '\n';
    (void)cli_flush(follower->cli); /* said so itself */
}

static void show(struct follower *follower)
{
    struct cli *cli = follower->cli;
    if (cli->format == CLI_JSON)
        return;
    if (follower->live) {
        draw(follower);
        return;
    }
    for (; follower->printed < follower->run.step_count; follower->printed++)
        run_view_step(cli, &follower->run, &follower->run.steps[follower->printed], &cli->out);
    if (strcmp(follower->waited, follower->run.waits_for) != 0) {
        (void)snprintf(follower->waited, sizeof follower->waited, "%s", follower->run.waits_for);
        run_view_wait(&follower->run, RUN_VIEW_WIDE, &cli->out);
    }
    (void)cli_flush(cli); /* said so itself */
}

/* ---- asking ---- */

static void pause_ms(int64_t ms)
{
    struct timespec left = kt_timespec_of_ms(ms);
    while (nanosleep(&left, &left) != 0)
        continue;
}

/* Away: cannot be reached, restarting, sealed. Anything else is an answer. */
static bool is_away(enum kt_kind kind)
{
    return kind == KT_IO || kind == KT_TIMEOUT || kind == KT_SEALED || kind == KT_BUSY ||
           kind == KT_INTERNAL;
}

static bool wait_for_vault(struct follower *follower)
{
    int64_t now = kt_mono_ms(&kt_system_clock);
    if (follower->away_since == 0) {
        follower->away_since = now;
        if (!follower->live)
            cli_note(follower->cli, "the vault is away; the run goes on when it is back");
    }
    if (now - follower->away_since > FOLLOW_AWAY_MS)
        return false;
    show(follower);
    pause_ms(AGAIN_MS);
    return true;
}

static enum kt_kind ask(struct follower *follower, const char *id, bool wait,
                        struct kt_api_reply *reply, struct kt_err *err)
{
    char path[256];
    char query[64] = "";
    (void)snprintf(path, sizeof path, "rotation/runs/%.200s", id);
    if (wait)
        (void)snprintf(query, sizeof query, "wait=%u&since=%jd", WAIT_S,
                       (intmax_t)follower->run.seq);
    struct kt_api_request request = {
        .method = "GET",
        .path = path,
        .query = query,
        .timeout_ms = wait ? (WAIT_S + WAIT_MORE_S) * 1000u : 0,
        .tick = follower->live ? draw : NULL,
        .tick_arg = follower,
    };
    return kt_api_call(follower->cli->api, &request, -1, reply, err);
}

static int lost(struct follower *follower, const char *id, const struct kt_api_reply *reply,
                const struct kt_err *err)
{
    struct cli *cli = follower->cli;
    char path[256];
    (void)snprintf(path, sizeof path, "rotation/runs/%.200s", id);
    struct cli_call call = {.doing = "following the run", .method = "GET", .path = path};
    (void)cli_flush(cli); /* said so itself */
    int code = cli_refused(cli, &call, reply, err);
    cli_note(cli, "the run goes on without being watched: secretctl run watch %s", id);
    return code;
}

static int finish(struct follower *follower, const char *id)
{
    struct cli *cli = follower->cli;
    bool good = run_good(&follower->run);
    if (cli->format == CLI_JSON) {
        struct kt_err err = {0};
        kt_autoapireply struct kt_api_reply reply;
        kt_api_reply_init(&reply);
        follower->live = false;
        if (ask(follower, id, false, &reply, &err) != KT_OK)
            return lost(follower, id, &reply, &err);
        output_json(&cli->out, reply.data);
        return good ? CLI_DONE : CLI_REFUSED;
    }
    kt_buf_add_char(&cli->out, '\n');
    run_view_verdict(cli, &follower->run, &cli->out);
    return good ? CLI_DONE : CLI_REFUSED;
}

int follow_run(struct cli *cli, const char *id, bool patient)
{
    KT_AUTO(follower_free) struct follower follower = {.cli = cli};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    run_model_init(&follower.run);
    follower.live = cli->out_terminal && cli->format == CLI_TABLE;
    bool first = true;
    if (!cli_open(cli))
        return cli->exit_code;
    for (;;) {
        struct kt_err err = {0};
        enum kt_kind kind = ask(&follower, id, !first, &reply, &err);
        if (is_away(kind) && (patient || !first) && wait_for_vault(&follower))
            continue;
        if (kind != KT_OK)
            return lost(&follower, id, &reply, &err);
        first = false;
        follower.away_since = 0;
        if (!run_model_take(&follower.run, reply.data))
            return cli_wrong(cli, "", "not enough memory for the run");
        show(&follower);
        if (run_ended(&follower.run) || run_frozen(&follower.run))
            return finish(&follower, id);
    }
}
