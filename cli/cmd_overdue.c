/* cli/cmd_overdue.c - overdue: what should be rotated by now and is not; for people, and for monitoring. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/key_age.h"
#include "cli/output.h"
#include "lib/shell_word.h"

#define NEXT_MAX  700
#define LIMIT_MAX 5000 /* so many the vault lists */

static void say_why(const char *secret, char out[NEXT_MAX])
{
    kt_autobuf struct kt_buf word = {0};
    kt_buf_init(&word, NEXT_MAX);
    kt_add_shell_word(&word, secret);
    (void)snprintf(out, NEXT_MAX, "secretctl run why %s", kt_buf_ok(&word) ? kt_buf_text(&word) : "SECRET");
}

struct numbers {
    int64_t count, checked; /* secrets: overdue, looked at */
    int64_t unreadable;     /* and those that nobody can say it of; a vaultd of before does not say it */
    int64_t keys;           /* what opens the vault, and is too old */
};

/* What mends it. */
static void next_command(struct kt_json row, char out[NEXT_MAX])
{
    char secret[512] = "";
    char why[16] = "";
    char run[64] = "";
    char blocked[1024] = "";
    (void)kt_api_text(row, "secret", secret, sizeof secret);
    (void)kt_api_text(row, "why", why, sizeof why);
    (void)kt_api_text(row, "run", run, sizeof run);
    bool paused = kt_api_text(row, "blocked_by", blocked, sizeof blocked) &&
                  strncmp(blocked, "paused by ", 10) == 0;
    if (strcmp(why, "frozen") == 0)
        (void)snprintf(out, NEXT_MAX, "secretctl run show %s", run);
    else if (run[0] != '\0')
        (void)snprintf(out, NEXT_MAX, "secretctl run watch %s", run);
    else if (paused)
        (void)snprintf(out, NEXT_MAX, "secretctl run resume");
    else
        say_why(secret, out);
}

static void add_row(struct cli *cli, struct table *table, struct kt_json row)
{
    static const char *const texts[] = {"secret", "why", "owner", "risk"};
    char text[1024];
    char time[OUTPUT_TIME];
    int64_t overdue = 0;
    for (size_t i = 0; i < 2; i++) {
        (void)kt_api_text(row, texts[i], text, sizeof text);
        table_text(table, text);
    }
    output_time(cli, output_time_of(row, "since"), time);
    table_text(table, time);
    (void)kt_api_i64(row, "overdue_s", &overdue);
    output_span(overdue * 1000, time);
    table_text(table, time);
    for (size_t i = 2; i < 4; i++) {
        (void)kt_api_text(row, texts[i], text, sizeof text);
        table_text(table, text);
    }
    (void)kt_api_text(row, "blocked_by", text, sizeof text);
    table_text(table, text);
}

static void print_verdict(struct cli *cli, struct kt_json data, const struct numbers *numbers)
{
    char next[NEXT_MAX] = "";
    struct kt_json rows = {0};
    (void)kt_json_member(data, "overdue", &rows);
    struct kt_json_iter it = kt_json_iter(rows);
    if (kt_json_next(&it))
        next_command(it.value, next);
    else
        key_age_next(data, next, sizeof next);
    kt_buf_printf(&cli->out, "OVERDUE %jd of %jd secrets that are rotated", (intmax_t)numbers->count,
                  (intmax_t)numbers->checked);
    if (numbers->keys > 0)
        kt_buf_printf(&cli->out, ", and %jd of what opens the vault", (intmax_t)numbers->keys);
    kt_buf_add_text(&cli->out, "\nhurt    nobody by that alone: what is in use is older than it may be\nnext    ");
    output_safe(&cli->out, kt_str(next));
    kt_buf_add_text(&cli->out, "\n\n");
}

/* Without all of them there is no answer: not "none". */
static bool read_numbers(struct kt_json data, struct numbers *ret)
{
    (void)kt_api_i64(data, "unreadable", &ret->unreadable);
    return kt_api_i64(data, "count", &ret->count) && kt_api_i64(data, "checked", &ret->checked) &&
           kt_api_i64(data, "keys_overdue", &ret->keys);
}

static void print_rows(struct cli *cli, struct kt_json rows, int64_t count)
{
    static const char *const names[] = {"Secret", "Why", "Since", "For", "Owner", "Risk", "Blocked by"};
    KT_AUTO(table_free) struct table table = {0};
    int64_t shown = 0;
    table_init(&table, 7, names);
    struct kt_json_iter it = kt_json_iter(rows);
    for (; kt_json_next(&it); shown++)
        add_row(cli, &table, it.value);
    table_print(&table, 0, &cli->out);
    if (shown >= LIMIT_MAX && shown < count)
        kt_buf_printf(&cli->out, "and %jd more: the vault lists %d at most\n", (intmax_t)(count - shown),
                      LIMIT_MAX);
    else if (shown < count)
        kt_buf_printf(&cli->out, "and %jd more: -limit=%jd\n", (intmax_t)(count - shown),
                      (intmax_t)(count < LIMIT_MAX ? count : LIMIT_MAX));
}

int cmd_overdue(struct cli *cli)
{
    char query[40];
    int code = CLI_DONE;
    struct numbers numbers = {0};
    struct kt_json rows = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    (void)snprintf(query, sizeof query, "limit=%ju",
                   (uintmax_t)flags_number(&cli->flags, FLAG_LIMIT, 100));
    struct cli_call call = {.doing = "asking what is overdue",
                            .method = "GET",
                            .path = "rotation/overdue",
                            .query = query};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    if (!read_numbers(reply.data, &numbers))
        return cli_wrong(cli, "", "the vault did not say how many are overdue");
    bool some = numbers.count > 0 || numbers.keys > 0;
    if (cli_print_plain(cli, reply.data, &reply, &code))
        return code == CLI_DONE && (some || numbers.unreadable > 0) ? CLI_REFUSED : code;
    if (!some && numbers.unreadable > 0) {
        kt_buf_printf(&cli->out, "UNREADABLE %jd; nothing is overdue of %jd secrets that can be read\nnext    journalctl -u vaultd\n",
                      (intmax_t)numbers.unreadable, (intmax_t)numbers.checked);
        return CLI_REFUSED;
    }
    if (!some) {
        kt_buf_printf(&cli->out, "nothing is overdue: %jd secret%s rotated\n", (intmax_t)numbers.checked,
                      numbers.checked == 1 ? " is" : "s are");
        return CLI_DONE;
    }
    print_verdict(cli, reply.data, &numbers);
    (void)kt_json_member(reply.data, "overdue", &rows);
    if (numbers.count > 0)
        print_rows(cli, rows, numbers.count);
    if (numbers.count > 0 && numbers.keys > 0)
        kt_buf_add_char(&cli->out, '\n');
    key_age_table(cli, reply.data);
    return CLI_REFUSED;
}
