/* cli/cmd_preview.c - schedule preview: the next times, computed here, and what clock changes do. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/output.h"
#include "cli/secret_path.h"
#include "lib/clock.h"
#include "lib/duration.h"
#include "lib/jsonw.h"
#include "lib/nearest.h"
#include "lib/schedule.h"

#define TEXT_MAX  300
#define TIMES_MAX 1000u
#define DAY_S     86400

enum { CRON, ZONE, PERIOD, JITTER, WINDOW, MAX_AGE, CATCHUP, BLACKOUT, TEXTS };
static const char *const names[TEXTS + 1] = {"cron",   "zone",    "period",  "jitter",
                                             "window", "max_age", "catchup", "blackout", NULL};

struct preview {
    char text[TEXTS][TEXT_MAX];
    int64_t from_ms; /* the times after this one */
    int64_t last_done_ms;
    struct kt_blackout *blackout;
    struct kt_schedule *schedule;
    struct kt_zone *zone;
};

static void preview_free(struct preview *preview)
{
    kt_schedule_free(preview->schedule);
    kt_blackout_free(preview->blackout);
    kt_zone_free(preview->zone);
}

/* ---- where the schedule comes from ---- */

static bool from_words(struct cli *cli, const char *const *words, size_t count, struct preview *ret)
{
    for (size_t i = 0; i < count; i++) {
        size_t len = strcspn(words[i], "=");
        char name[32];
        size_t at = 0;
        (void)snprintf(name, sizeof name, "%.*s", len < sizeof name ? (int)len : 31, words[i]);
        while (at < TEXTS && strcmp(names[at], name) != 0)
            at++;
        if (at == TEXTS || words[i][len] != '=' ||
            strlen(words[i] + len + 1) >= sizeof ret->text[0]) {
            const char *near = kt_nearest(name, names);
            char hint[128];
            (void)snprintf(hint, sizeof hint, "%s=...%s", near != NULL ? near : "cron",
                           near != NULL ? "?"
                                        : "  zone= period= jitter= window= max_age= catchup= blackout=");
            cli->exit_code = cli_wrong(cli, hint, "'%.60s' is no part of a schedule", words[i]);
            return false;
        }
        (void)snprintf(ret->text[at], sizeof ret->text[0], "%s", words[i] + len + 1);
    }
    return true;
}

/* A period as a number of seconds is written out again with its unit. */
static void take_text(struct kt_json data, const char *name, char out[TEXT_MAX])
{
    int64_t seconds = 0;
    if (!kt_api_text(data, name, out, TEXT_MAX) && kt_api_i64(data, name, &seconds) && seconds > 0)
        (void)snprintf(out, TEXT_MAX, "%jds", (intmax_t)seconds);
}

static bool from_vault(struct cli *cli, struct preview *ret)
{
    char path[SECRET_API_PATH];
    struct kt_json state = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    if (!secret_path(cli, "rotation/secrets/", cli->words[0], path))
        return false;
    struct cli_call call = {.doing = "reading the schedule", .method = "GET", .path = path};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return false;
    for (size_t i = 0; i < TEXTS; i++)
        take_text(reply.data, names[i], ret->text[i]);
    if (kt_json_member(reply.data, "state", &state))
        ret->last_done_ms = output_time_of(state, "last_done");
    return true;
}

/* The calendar that it names is the vault's. */
static bool take_blackout(struct cli *cli, struct preview *ret)
{
    char path[TEXT_MAX + 32], zone[KT_ZONE_NAME_MAX + 1] = "";
    struct kt_err err = {0};
    struct kt_json ranges = {0};
    kt_autobuf struct kt_buf text = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_buf_init(&text, (size_t)128 * 1024);
    kt_api_reply_init(&reply);
    if (ret->text[BLACKOUT][0] == '\0')
        return true;
    (void)snprintf(path, sizeof path, "rotation/calendars/%s", ret->text[BLACKOUT]);
    struct cli_call call = {.doing = "reading the calendar", .method = "GET", .path = path};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return false;
    (void)kt_api_text(reply.data, "zone", zone, sizeof zone);
    if (kt_json_member(reply.data, "ranges", &ranges))
        (void)kt_json_string(ranges, &text);
    const struct kt_blackout_text calendar = {.zone = zone, .ranges = kt_buf_text(&text)};
    if (kt_blackout_parse(&calendar, &ret->blackout, &err) == KT_OK)
        return true;
    cli->exit_code = cli_fail(cli, &err);
    return false;
}

static bool take_from(struct cli *cli, struct preview *ret)
{
    const char *text = flags_text(&cli->flags, FLAG_FROM);
    ret->from_ms = cli->now_ms;
    if (text == NULL || (kt_time_parse(text, strlen(text), &ret->from_ms) && ret->from_ms >= 0))
        return true;
    cli->exit_code = cli_wrong(cli, "-from=2027-03-27T12:00:00Z", "-from is no time since 1970");
    return false;
}

static enum kt_kind parse(struct preview *preview, struct kt_err *err)
{
    struct kt_schedule_text text = {
        .cron = preview->text[CRON],
        .zone = preview->text[ZONE],
        .period = preview->text[PERIOD],
        .jitter = preview->text[JITTER],
        .window = preview->text[WINDOW],
        .max_age = preview->text[MAX_AGE],
        .catchup = preview->text[CATCHUP],
        .blackout = preview->blackout,
    };
    enum kt_kind kind = kt_schedule_parse(&text, &preview->schedule, err);
    const char *zone = preview->text[ZONE][0] != '\0' ? preview->text[ZONE] : "UTC";
    return kind != KT_OK ? kind : kt_zone_load(NULL, zone, &preview->zone, err);
}

/* ---- the times ---- */

static void local_text(const struct kt_zone *zone, int64_t ms, bool with_day, char out[48])
{
    static const char *const days[] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
    int64_t offset = kt_zone_offset(zone, ms / 1000);
    int64_t local = ms / 1000 + offset;
    int64_t day = local / DAY_S;
    unsigned in_day = (unsigned)(local % DAY_S);
    unsigned away = (unsigned)((offset < 0 ? -offset : offset) / 60);
    int64_t year = 0;
    unsigned month = 0;
    unsigned mday = 0;
    kt_date_from_days(day, &year, &month, &mday);
    (void)snprintf(out, 48, "%s%s%04jd-%02u-%02u %02u:%02u:%02u %c%02u:%02u",
                   with_day ? days[day % 7] : "", with_day ? " " : "", (intmax_t)(year % 10000),
                   month % 100, mday % 100, in_day / 3600 % 100, in_day / 60 % 60, in_day % 60,
                   offset < 0 ? '-' : '+', away / 60 % 100, away % 60);
}

/* Does the expression name the local time at which this fire happens? If not, it is made up for. */
static bool is_named(const struct preview *preview, int64_t at_s)
{
    struct kt_cron cron;
    int64_t local = at_s + kt_zone_offset(preview->zone, at_s);
    int64_t in_day = local % DAY_S;
    return kt_cron_parse(kt_str(preview->text[CRON]), &cron, NULL) != KT_OK ||
           kt_cron_next_in_day(&cron, in_day) == in_day;
}

/* A blackout moved it here. */
static size_t move_note(const struct preview *preview, const struct kt_due *due, char out[400])
{
    char from[48];
    out[0] = '\0';
    if (due->moved_by == NULL)
        return 0;
    local_text(preview->zone, due->moved_ms, false, from);
    int n = snprintf(out, 400, "moved from %s by calendar %.100s%s%.200s", from,
                     preview->text[BLACKOUT], due->moved_by[0] != '\0' ? ": " : "", due->moved_by);
    return n < 0 ? 0 : (size_t)n;
}

/* What the clocks did since the time before, and what that does to this one. */
static void clock_note(const struct preview *preview, int64_t before_ms, int64_t at_ms,
                       char out[160])
{
    const struct kt_zone *zone = preview->zone;
    int64_t at_s = at_ms / 1000;
    int64_t change_s = before_ms / 1000;
    int64_t last = 0;
    size_t used = 0;
    out[0] = '\0';
    while (kt_zone_change_after(zone, change_s, &change_s) && change_s <= at_s)
        last = change_s;
    int64_t jump = last != 0 ? kt_zone_offset(zone, last) - kt_zone_offset(zone, last - 1) : 0;
    if (jump != 0) {
        char span[KT_DURATION_TEXT];
        kt_duration_text((uint64_t)(jump < 0 ? -jump : jump) * 1000, span);
        used = (size_t)snprintf(out, 160, "clocks went %s by %.20s before",
                                jump > 0 ? "forward" : "back", span);
    }
    struct kt_local local = kt_zone_local(zone, at_s + kt_zone_offset(zone, at_s));
    if (last == at_s && jump > 0 && !is_named(preview, at_s))
        (void)snprintf(out, 160, "its local time does not exist that day: runs at the change");
    else if (local.kind == KT_LOCAL_FOLD && used < 160)
        (void)snprintf(out + used, 160 - used, "%sthis hour happens twice: this is its %s time",
                       used > 0 ? "; " : "", at_s == local.first_s ? "first" : "second");
}

static void print_json_times(struct cli *cli, const struct preview *preview, uint64_t count)
{
    kt_autobuf struct kt_buf text = {0};
    kt_buf_init(&text, (size_t)4 * 1024 * 1024);
    struct kt_schedule_seed seed = {0};
    struct kt_due due = {0};
    int64_t after = preview->from_ms;
    int64_t last_fire = 0;
    int64_t done = preview->last_done_ms;
    struct kt_jsonw w = kt_jsonw(&text);
    kt_jsonw_array(&w);
    for (uint64_t i = 0; i < count; i++) {
        if (!kt_schedule_next(preview->schedule, &seed, after, last_fire, done, &due))
            break;
        char note[160];
        char moved[400];
        char local[48];
        (void)move_note(preview, &due, moved);
        local_text(preview->zone, due.due_ms, false, local);
        clock_note(preview, after, due.due_ms, note);
        kt_jsonw_object(&w);
        kt_jsonw_kv_time(&w, "at", due.due_ms);
        kt_jsonw_kv_text(&w, "local", local);
        kt_jsonw_kv_text(&w, "because", kt_due_reason_text(due.reason));
        kt_jsonw_kv_text(&w, "note", note);
        kt_jsonw_kv_time(&w, "moved_from", due.moved_ms);
        kt_jsonw_kv_text(&w, "moved", moved);
        kt_jsonw_end(&w);
        after = due.due_ms > after ? due.due_ms : after + 1;
        last_fire = due.fire_ms;
        done = due.due_ms;
    }
    kt_jsonw_end(&w);
    if (kt_buf_ok(&text))
        output_json(&cli->out, kt_json_value(kt_buf_bytes(&text)));
    else
        cli->out.failed = true;
}

static void print_times(struct cli *cli, const struct preview *preview, uint64_t count)
{
    struct kt_schedule_seed seed = {0};
    struct kt_due due = {0};
    int64_t after = preview->from_ms;
    int64_t last_fire = 0;
    int64_t done = preview->last_done_ms;
    const char *const heading[] = {kt_zone_name(preview->zone), "UTC", "Here", "Note"};
    KT_AUTO(table_free) struct table table = {0};
    table_init(&table, 4, heading);
    for (uint64_t i = 0; i < count; i++) {
        char local[48];
        char utc[KT_TIME_TEXT];
        char here[OUTPUT_TIME];
        char note[160];
        char moved[400];
        if (!kt_schedule_next(preview->schedule, &seed, after, last_fire, done, &due))
            break;
        local_text(preview->zone, due.due_ms, true, local);
        kt_time_text(due.due_ms, utc);
        output_time(cli, due.due_ms, here);
        clock_note(preview, after, due.due_ms, note);
        bool is_moved = move_note(preview, &due, moved) > 0;
        table_text(&table, local);
        table_text(&table, utc);
        table_text(&table, here);
        bool by_age = due.reason == KT_DUE_MAX_AGE;
        table_printf(&table, "%s%s%s%s%s", by_age ? "by its age" : "",
                     by_age && is_moved ? "; " : "", moved,
                     (by_age || is_moved) && note[0] != '\0' ? "; " : "", note);
        after = due.due_ms > after ? due.due_ms : after + 1;
        last_fire = due.fire_ms;
        done = due.due_ms;
    }
    table_print(&table, 0, &cli->out);
}

int cmd_schedule_preview(struct cli *cli)
{
    struct kt_err err = {0};
    KT_AUTO(preview_free) struct preview preview = {0};
    uint64_t count = flags_number(&cli->flags, FLAG_COUNT, 10);
    if (!take_from(cli, &preview))
        return cli->exit_code;
    bool words = strchr(cli->words[0], '=') != NULL;
    if (words ? !from_words(cli, cli->words, cli->word_count, &preview)
              : !from_vault(cli, &preview) ||
                    !from_words(cli, cli->words + 1, cli->word_count - 1, &preview))
        return cli->exit_code;
    if (!take_blackout(cli, &preview))
        return cli->exit_code;
    if (parse(&preview, &err) != KT_OK)
        return cli_fail(cli, &err);
    if (count > TIMES_MAX)
        count = TIMES_MAX;
    if (cli->format == CLI_JSON) {
        print_json_times(cli, &preview, count);
        return CLI_DONE;
    }
    kt_schedule_describe(preview.schedule, &cli->out);
    kt_buf_add_char(&cli->out, '\n');
    if (kt_schedule_is_manual(preview.schedule) && preview.text[MAX_AGE][0] == '\0') {
        kt_buf_add_text(&cli->out, "Only by hand: secretctl rotate SECRET\n");
        return CLI_DONE;
    }
    kt_buf_add_char(&cli->out, '\n');
    print_times(cli, &preview, count);
    kt_autobuf struct kt_buf warnings = {0};
    kt_buf_init(&warnings, 4096);
    kt_schedule_warn(preview.schedule, preview.from_ms, &warnings);
    if (warnings.len > 0)
        kt_buf_printf(&cli->out, "\n%s", kt_buf_text(&warnings));
    return CLI_DONE;
}
