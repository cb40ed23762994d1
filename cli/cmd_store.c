/* cli/cmd_store.c - operator storage, compact, reencrypt: the store's file and works on it. */
#include <stdio.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/output.h"

#define AGAIN_MS 500
#define SIZE     40u

static void size_text(int64_t bytes, char out[SIZE])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1024;
        unit++;
    }
    (void)snprintf(out, SIZE, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

static int64_t number_of(struct kt_json object, const char *name)
{
    int64_t value = 0;
    (void)kt_api_i64(object, name, &value);
    return value;
}

/* ---- how large it is ---- */

static void storage_table(struct cli *cli, struct kt_json data)
{
    static const struct {
        const char *name, *shown;
        bool is_size;
    } rows[] = {
        {"storage_type", "Storage Type", false}, {"bytes_file", "File", true},
        {"bytes_used", "In Use", true},          {"bytes_free", "Free Pages In It", true},
        {"bytes_max", "Largest", true},          {"entries", "Entries", false},
        {"generation", "Generation", false},     {"queued", "Queued Writes", false},
    };
    static const char *const names[] = {"Key", "Value"};
    KT_AUTO(table_free) struct table table = {0};
    table_init(&table, 2, names);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kt_json value = {0};
        char size[SIZE];
        if (!kt_json_member(data, rows[i].name, &value))
            continue;
        table_text(&table, rows[i].shown);
        size_text(number_of(data, rows[i].name), size);
        if (rows[i].is_size)
            table_text(&table, size);
        else
            table_json(&table, value);
    }
    table_print(&table, 0, &cli->out);
}

int cmd_operator_storage(struct cli *cli)
{
    int code = CLI_DONE;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    struct cli_call call = {
        .doing = "asking for the size of the store", .method = "GET", .path = "sys/storage"};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    if (cli_print_plain(cli, reply.data, &reply, &code))
        return code;
    storage_table(cli, reply.data);
    int64_t file = number_of(reply.data, "bytes_file");
    if (number_of(reply.data, "bytes_free") > file / 2 && file > (int64_t)256 * 1024 * 1024)
        cli_note(cli,
                 "note   writes take free pages first; to give them back to the disk: secretctl "
                 "operator compact");
    return CLI_DONE;
}

/* ---- a work that the vault does by itself ---- */

struct work {
    const char *path, *begin, *follow; /* below /v1/; what is being done, for errors */
    const char *command;
    void (*say_done)(struct cli *cli, struct kt_json data);
};

struct work_shown {
    char phase[SIZE];
    bool on_line; /* the cursor stands behind a line that is drawn anew */
};

/* On a terminal one line, drawn anew; else a line at each step. */
static void show_work(struct cli *cli, struct kt_json data, struct work_shown *shown)
{
    char phase[SIZE] = "";
    (void)kt_api_text(data, "phase", phase, sizeof phase);
    if (cli->format == CLI_JSON || strcmp(phase, "idle") == 0)
        return;
    int64_t done = number_of(data, "entries_done"), total = number_of(data, "entries_total");
    int64_t percent = total <= 0 ? 0 : done >= total ? 100 : done * 100 / total;
    if (cli->out_terminal)
        kt_buf_printf(&cli->out, "\r\033[K%s  %jd %%  %jd of %jd entries", phase, (intmax_t)percent,
                      (intmax_t)done, (intmax_t)total);
    else if (strcmp(phase, shown->phase) != 0)
        kt_buf_printf(&cli->out, "%s  %jd of %jd entries\n", phase, (intmax_t)done,
                      (intmax_t)total);
    memcpy(shown->phase, phase, sizeof phase);
    shown->on_line = cli->out_terminal;
    (void)cli_flush(cli); /* said so itself */
}

static void end_line(struct cli *cli, struct work_shown *shown)
{
    if (shown->on_line)
        kt_buf_add_char(&cli->out, '\n');
    shown->on_line = false;
}

static int tell_end(struct cli *cli, const struct work *work, const struct kt_api_reply *reply)
{
    char error[384] = "", hint[320] = "";
    struct kt_err err = {0};
    int code = CLI_DONE;
    bool failed = kt_api_text(reply->data, "error", error, sizeof error) && error[0] != '\0';
    (void)kt_api_text(reply->data, "hint", hint, sizeof hint);
    if (failed) {
        (void)kt_fail(&err, KT_INTERNAL, "%s", error);
        kt_hint(&err, "%s", hint);
        (void)cli_fail(cli, &err);
    }
    if (cli_print_plain(cli, reply->data, reply, &code))
        return code != CLI_DONE ? code : failed ? CLI_REFUSED : CLI_DONE;
    if (!failed)
        work->say_done(cli, reply->data);
    return failed ? CLI_REFUSED : CLI_DONE;
}

static int follow_work(struct cli *cli, const struct work *work)
{
    struct work_shown shown = {.on_line = false};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    struct cli_call call = {.doing = work->follow, .method = "GET", .path = work->path};
    for (;;) {
        char error[SIZE] = "";
        bool active = false;
        if (cli_call(cli, &call, &reply) != KT_OK) {
            end_line(cli, &shown);
            cli_note(cli, "it goes on without being watched: secretctl %s -status", work->command);
            return cli->exit_code;
        }
        (void)kt_api_bool(reply.data, "active", &active);
        (void)kt_api_text(reply.data, "error", error, sizeof error);
        show_work(cli, reply.data, &shown);
        if (!active || error[0] != '\0') {
            end_line(cli, &shown);
            return tell_end(cli, work, &reply);
        }
        const struct timespec again = {.tv_nsec = AGAIN_MS * 1000000L};
        (void)nanosleep(&again, NULL);
    }
}

static int do_work(struct cli *cli, const struct work *work)
{
    if (flags_on(&cli->flags, FLAG_STATUS))
        return cli_show(cli, work->follow, work->path);
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    struct cli_call call = {.doing = work->begin, .method = "POST", .path = work->path};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    if (!flags_on(&cli->flags, FLAG_DETACH))
        return follow_work(cli, work);
    cli_success(cli, "it is under way: secretctl %s -status", work->command);
    return CLI_DONE;
}

/* ---- compact ---- */

static void say_compacted(struct cli *cli, struct kt_json data)
{
    char before[SIZE], after[SIZE], took[OUTPUT_TIME];
    size_text(number_of(data, "bytes_before"), before);
    size_text(number_of(data, "bytes_after"), after);
    output_took(number_of(data, "took_ms"), took);
    cli_success(cli, "the file had %s and has %s; it took %s, writes waited for at most %.1f ms",
                before, after, took, (double)number_of(data, "write_wait_us") / 1000);
}

int cmd_operator_compact(struct cli *cli)
{
    static const struct work work = {.path = "sys/storage/compact",
                                     .begin = "compacting the store",
                                     .follow = "asking how far the compaction is",
                                     .command = "operator compact",
                                     .say_done = say_compacted};
    if (!flags_on(&cli->flags, FLAG_STOP))
        return do_work(cli, &work);
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    struct cli_call call = {
        .doing = "stopping the compaction", .method = "DELETE", .path = work.path};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    if (kt_json_count(reply.warnings) == 0)
        cli_success(cli, "asked it to stop: secretctl operator compact -status");
    return CLI_DONE;
}

/* ---- reencrypt ---- */

static void say_reencrypted(struct cli *cli, struct kt_json data)
{
    cli_success(cli,
                "everything is sealed under term %jd or later, %jd entries anew; older keys are "
                "destroyed",
                (intmax_t)number_of(data, "oldest_term"), (intmax_t)number_of(data, "rewritten"));
    cli_note(cli,
             "next   the file's free pages still hold what was there before: secretctl operator "
             "compact");
}

int cmd_operator_reencrypt(struct cli *cli)
{
    static const struct work work = {.path = "sys/storage/reencrypt",
                                     .begin = "beginning to re-encrypt",
                                     .follow = "asking how far the re-encryption is",
                                     .command = "operator reencrypt",
                                     .say_done = say_reencrypted};
    return do_work(cli, &work);
}
