/* cli/cmd_zombies.c - zombies: credentials that should be dead and are not proven to be; for people and for
 * monitoring. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/output.h"

static void add_row(struct cli *cli, struct table *table, struct kt_json row)
{
    static const char *const members[] = {"secret", "version", "target", "account", "state"};
    char time[OUTPUT_TIME];
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        struct kt_json value = {0};
        (void)kt_json_member(row, members[i], &value);
        table_json(table, value);
    }
    output_age(cli, output_time_of(row, "since"), time);
    table_text(table, time);
    struct kt_json run = {0};
    (void)kt_json_member(row, "run", &run);
    table_json(table, run);
}

static void print_verdict(struct cli *cli, struct kt_json rows, int64_t count, int64_t late)
{
    char run[64] = "", state[24] = "";
    struct kt_json_iter it = kt_json_iter(rows);
    if (kt_json_next(&it)) {
        (void)kt_api_text(it.value, "run", run, sizeof run);
        (void)kt_api_text(it.value, "state", state, sizeof state);
    }
    bool frozen = strcmp(state, "frozen") == 0;
    kt_buf_printf(&cli->out,
                  "NOT PROVEN DEAD  %jd credentials, %jd of them for longer than max_overlap\n"
                  "hurt    nobody is cut off; who has one of them may still get in\n"
                  "next    secretctl run %s ",
                  (intmax_t)count, (intmax_t)late, frozen ? "show" : "watch");
    output_safe(&cli->out, kt_str(run));
    kt_buf_add_text(&cli->out, frozen ? "   # it waits for a person\n\n" : "   # it is tried until it is dead\n\n");
}

int cmd_zombies(struct cli *cli)
{
    static const char *const names[] = {"Secret", "Version", "Target", "Account", "State", "Since", "Run"};
    int code = CLI_DONE;
    int64_t count = 0;
    int64_t late = 0;
    struct kt_json rows = {0};
    KT_AUTO(table_free) struct table table = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    struct cli_call call = {
        .doing = "asking which credentials live", .method = "GET", .path = "rotation/zombies"};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    /* Without the number there is no answer: not "none". */
    if (!kt_api_i64(reply.data, "count", &count) || !kt_api_i64(reply.data, "late", &late))
        return cli_wrong(cli, "", "the vault did not say how many there are");
    if (cli_print_plain(cli, reply.data, &reply, &code))
        return code == CLI_DONE && late > 0 ? CLI_REFUSED : code;
    if (count == 0) {
        kt_buf_add_text(&cli->out, "every credential that was to be ended is proven dead\n");
        return CLI_DONE;
    }
    (void)kt_json_member(reply.data, "zombies", &rows);
    print_verdict(cli, rows, count, late);
    table_init(&table, 7, names);
    struct kt_json_iter it = kt_json_iter(rows);
    while (kt_json_next(&it))
        add_row(cli, &table, it.value);
    table_print(&table, 0, &cli->out);
    return late > 0 ? CLI_REFUSED : CLI_DONE;
}
