/* cli/cmd_audit.c - audit verify, tail, checkpoint: reading the audit log. */
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "cli/audit_source.h"
#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/output.h"
#include "lib/audit_verify.h"
#include "lib/jsonw.h"
#include "lib/num.h"

#define TAIL_STEP_MAX UINT64_C(4096)  /* records asked for at once on the way back */
#define TAIL_BACK_MAX UINT64_C(65536) /* and so many more than wanted are looked at */

/* ---- verify ---- */

static void print_verdict(struct cli *cli, const struct kt_audit_verdict *verdict)
{
    char root[2 * KT_HASH_BYTES + 1];
    kt_hex_encode(verdict->root, KT_HASH_BYTES, root);
    bool good = kt_audit_good(verdict);
    struct kt_buf *out = &cli->out;
    kt_buf_printf(out, "%s  ", good ? "GOOD" : "BAD");
    output_safe(out, kt_str(verdict->sentence));
    kt_buf_printf(out, "\nlog      %s\n", verdict->origin);
    kt_buf_printf(out,
                  "records  %ju, leaf hashes %ju, good checkpoints %ju; proven: the first %ju\n",
                  (uintmax_t)verdict->records, (uintmax_t)verdict->leaves,
                  (uintmax_t)verdict->checkpoints, (uintmax_t)verdict->proven);
    kt_buf_printf(out, "root     %s\n", root);
    kt_buf_printf(out, "key      %s%s\n", verdict->key,
                  verdict->key_from_bundle ? "   (from the bundle itself)" : "");
    if (!good)
        return;
    if (verdict->key_from_bundle)
        kt_buf_add_text(out, "next     the key came with the log: give one kept elsewhere, "
                             "--key KEY, for a proof\n");
    if (verdict->leaves > verdict->proven)
        kt_buf_printf(out, "note     the last %ju records stand after the last checkpoint\n",
                      (uintmax_t)(verdict->leaves - verdict->proven));
}

static void print_verdict_json(struct cli *cli, const struct kt_audit_verdict *verdict)
{
    char root[2 * KT_HASH_BYTES + 1];
    kt_hex_encode(verdict->root, KT_HASH_BYTES, root);
    kt_autobuf struct kt_buf text = {0};
    kt_buf_init(&text, 65536);
    struct kt_jsonw w = kt_jsonw(&text);
    kt_jsonw_object(&w);
    kt_jsonw_kv_bool(&w, "good", kt_audit_good(verdict));
    kt_jsonw_kv_text(&w, "finding", kt_audit_finding_name(verdict->finding));
    kt_jsonw_kv_text(&w, "sentence", verdict->sentence);
    kt_jsonw_kv_text(&w, "origin", verdict->origin);
    kt_jsonw_kv_text(&w, "key", verdict->key);
    kt_jsonw_kv_bool(&w, "key_from_bundle", verdict->key_from_bundle);
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"records", verdict->records},
        {"leaves", verdict->leaves},
        {"checkpoints", verdict->checkpoints},
        {"proven", verdict->proven},
        {"line", verdict->line},
        {"seq", verdict->seq},
        {"from", verdict->from},
        {"to", verdict->to},
        {"note", verdict->note},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        kt_jsonw_kv_int(&w, numbers[i].name, (int64_t)numbers[i].value);
    kt_jsonw_kv_text(&w, "root", root);
    kt_jsonw_end(&w);
    output_json(&cli->out, kt_json_value(kt_buf_bytes(&text)));
}

int cmd_audit_verify(struct cli *cli)
{
    struct kt_err err = {0};
    struct kt_audit_verdict verdict = {0};
    const char *folder = cli->words[0];
    struct stat st = {0};
    if (stat(folder, &st) != 0 || !S_ISDIR(st.st_mode))
        return cli_wrong(cli, "secretctl audit export DIR makes one", "'%.200s' is no folder",
                         folder);
    if (kt_audit_verify_folder(folder, flags_text(&cli->flags, FLAG_KEY),
                               flags_text(&cli->flags, FLAG_CHECKPOINT),
                               flags_on(&cli->flags, FLAG_PARTIAL), &verdict, &err) != KT_OK)
        return cli_fail(cli, &err);
    if (cli->format == CLI_JSON)
        print_verdict_json(cli, &verdict);
    else
        print_verdict(cli, &verdict);
    return kt_audit_good(&verdict) ? CLI_DONE : CLI_REFUSED;
}

/* ---- checkpoint ---- */

int cmd_audit_checkpoint(struct cli *cli)
{
    int code = CLI_DONE;
    struct kt_json note = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    struct cli_call call = {
        .doing = "asking for a checkpoint", .method = "POST", .path = "sys/audit-log/checkpoint"};
    if (cli_call(cli, &call, &reply) != KT_OK)
        return cli->exit_code;
    if (cli_print_plain(cli, reply.data, &reply, &code))
        return code;
    (void)kt_json_member(reply.data, "checkpoint", &note);
    output_value(&cli->out, note);
    return CLI_DONE;
}

/* ---- tail ---- */

/* The vault records these questions too; shown, they would never end. */
static bool is_own_question(struct kt_json record)
{
    char path[64];
    struct kt_json request = {0};
    if (!kt_json_member(record, "request", &request) && !kt_json_member(record, "path", &request))
        return false;
    if (kt_json_type(request) == KT_JSON_OBJECT)
        (void)kt_api_text(request, "path", path, sizeof path);
    else
        (void)kt_api_text(record, "path", path, sizeof path);
    return strncmp(path, "sys/audit-log/", 14) == 0;
}

static void text_of(struct kt_json record, const char *outer, const char *name, char *out,
                    size_t size)
{
    struct kt_json inside = {0};
    out[0] = '\0';
    if (kt_json_member(record, outer, &inside) && kt_json_type(inside) == KT_JSON_OBJECT)
        (void)kt_api_text(inside, name, out, size);
    if (out[0] == '\0')
        (void)kt_api_text(record, name, out, size);
}

/* "(secret/db/x of policy app: the deciding pattern denies)", where policies refused it. */
static void add_ruling(struct kt_json record, struct kt_buf *line)
{
    struct kt_json results = {0};
    struct kt_json policies = {0};
    char pattern[256];
    char why[256];
    bool allowed = true;
    if (!kt_json_member(record, "auth", &results) || kt_json_type(results) != KT_JSON_OBJECT ||
        !kt_json_member(results, "policy_results", &results) ||
        !kt_api_bool(results, "allowed", &allowed) || allowed)
        return;
    (void)kt_api_text(results, "pattern", pattern, sizeof pattern);
    (void)kt_api_text(results, "reason", why, sizeof why);
    kt_buf_add_text(line, "   (");
    if (pattern[0] != '\0' && kt_json_member(results, "policies", &policies)) {
        kt_buf_printf(line, "%s of policy", pattern);
        struct kt_json_iter it = kt_json_iter(policies);
        for (unsigned i = 0; kt_json_next(&it); i++) {
            kt_buf_add_text(line, i == 0 ? " " : ", ");
            output_value(line, it.value);
        }
        kt_buf_add_text(line, ": ");
    }
    kt_buf_printf(line, "%s)", why);
}

/* "#12  14:02:11  response  update  secret/data/db  by token-app  from 10.0.0.1   error" */
static void print_record(struct cli *cli, struct kt_json record)
{
    static const struct {
        const char *outer, *name, *before;
    } parts[] = {
        {"request", "operation", ""},
        {"request", "path", ""},
        {"auth", "display_name", "by "},
        {"request", "remote_address", "from "},
    };
    char text[256];
    char clock[OUTPUT_TIME];
    int64_t seq = -1;
    kt_autobuf struct kt_buf line = {0};
    kt_buf_init(&line, 8192);
    (void)kt_api_i64(record, "seq", &seq);
    output_clock(cli, output_time_of(record, "time"), clock);
    (void)kt_api_text(record, "type", text, sizeof text);
    kt_buf_printf(&line, "#%-6jd %s  %-9s", (intmax_t)seq, clock, text);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        text_of(record, parts[i].outer, parts[i].name, text, sizeof text);
        if (text[0] != '\0')
            kt_buf_printf(&line, "  %s%s", parts[i].before, text);
    }
    text_of(record, "response", "error", text, sizeof text);
    if (text[0] != '\0') {
        kt_buf_add_text(&line, "   ");
        output_line(&line, kt_str(text));
    }
    add_ruling(record, &line);
    output_safe(&cli->out, kt_buf_bytes(&line));
    kt_buf_add_char(&cli->out, '\n');
}

static bool is_wanted(const struct cli *cli, struct kt_bytes line)
{
    return kt_json_check(line, NULL, NULL) == KT_OK &&
           (flags_on(&cli->flags, FLAG_ALL) || !is_own_question(kt_json_value(line)));
}

static void show_line(struct cli *cli, struct kt_bytes line)
{
    if (cli->format == CLI_JSON) {
        kt_buf_add_bytes(&cli->out, line);
        kt_buf_add_char(&cli->out, '\n');
    } else {
        print_record(cli, kt_json_value(line));
    }
}

/* Takes the first line off; without its newline. */
static struct kt_bytes next_line(struct kt_bytes *text)
{
    const unsigned char *end = memchr(text->at, '\n', text->len);
    size_t len = end != NULL ? (size_t)(end - text->at) : text->len;
    struct kt_bytes line = kt_bytes(text->at, len);
    len += end != NULL ? 1 : 0;
    *text = kt_bytes(text->at + len, text->len - len);
    return line;
}

/* Shows the wanted lines after the first skip of them; how many lines there are. */
static uint64_t show_lines(struct cli *cli, struct kt_bytes text, uint64_t *skip)
{
    uint64_t lines = 0;
    for (; text.len > 0; lines++) {
        struct kt_bytes line = next_line(&text);
        if (!is_wanted(cli, line))
            continue;
        if (*skip > 0)
            (*skip)--;
        else
            show_line(cli, line);
    }
    return lines;
}

/* Of the records from..to: *ret_lines, as many as one answer holds; *ret_wanted of them are shown. */
static bool count_lines(struct cli *cli, uint64_t from, uint64_t to, uint64_t *ret_lines,
                        uint64_t *ret_wanted)
{
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    *ret_lines = *ret_wanted = 0;
    if (!audit_source_records(cli, from, to, &reply))
        return false;
    struct kt_bytes text = kt_buf_bytes(&reply.http.body);
    for (; text.len > 0; (*ret_lines)++)
        *ret_wanted += is_wanted(cli, next_line(&text));
    return true;
}

/* Where the last count wanted records begin: looks back in steps that grow, since questions like
 * this one may be most of what was recorded lately. *ret_skip of the wanted come before them. */
static bool find_start(struct cli *cli, uint64_t size, uint64_t count, uint64_t *ret_from,
                       uint64_t *ret_skip)
{
    uint64_t from = size;
    uint64_t found = 0;
    uint64_t step = count < TAIL_STEP_MAX ? count : TAIL_STEP_MAX;
    while (found < count && from > 0 && size - from < count + TAIL_BACK_MAX) {
        uint64_t to = from;
        from = to > step ? to - step : 0;
        for (uint64_t at = from; at < to;) {
            uint64_t lines = 0;
            uint64_t wanted = 0;
            if (!count_lines(cli, at, to, &lines, &wanted))
                return false;
            found += wanted;
            at = lines > 0 ? at + lines : to;
        }
        step = step < TAIL_STEP_MAX / 4 ? step * 4 : TAIL_STEP_MAX;
    }
    *ret_from = from;
    *ret_skip = found > count ? found - count : 0;
    return true;
}

static void pause_a_second(void)
{
    struct timespec left = {.tv_sec = 1};
    while (nanosleep(&left, &left) != 0)
        continue;
}

int cmd_audit_tail(struct cli *cli)
{
    KT_AUTO(audit_source_close) struct audit_source log = {0};
    uint64_t count = flags_number(&cli->flags, FLAG_COUNT, 20);
    bool follow = flags_on(&cli->flags, FLAG_FOLLOW);
    if (!audit_source_open(cli, &log))
        return cli->exit_code;
    uint64_t from = 0;
    uint64_t skip = 0;
    if (!find_start(cli, log.size, count, &from, &skip))
        return cli->exit_code;
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    for (;;) {
        if (!follow && from >= log.size)
            return CLI_DONE;
        if (!audit_source_records(cli, from, follow ? 0 : log.size, &reply))
            return cli->exit_code;
        uint64_t lines = show_lines(cli, kt_buf_bytes(&reply.http.body), &skip);
        from += lines;
        if (!cli_flush(cli))
            return CLI_WRONG;
        if (lines == 0 && !follow)
            return CLI_DONE;
        if (lines == 0 || from >= log.size)
            pause_a_second();
    }
}
