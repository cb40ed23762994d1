/* cli/cmd_run_verify.c - run verify: is a rotation's report the one that the vault wrote? */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/input.h"
#include "cli/output.h"
#include "lib/audit_verify.h"
#include "lib/jsonw.h"
#include "lib/report_check.h"

/* What the log's records say of the report; what they say of others is passed over. */
struct said {
    bool same, differs;
    uint64_t seq; /* of the last record about it; of one that is the same, where there is one */
};

static enum kt_kind look_into(const char *folder, const struct kt_report *report, struct said *ret,
                              struct kt_err *err)
{
    char path[4096];
    char *line = NULL;
    size_t room = 0;
    ssize_t len = 0;
    int n = snprintf(path, sizeof path, "%s/%s", folder, KT_AUDIT_RECORDS_FILE);
    FILE *file = n < 0 || (size_t)n >= sizeof path ? NULL : fopen(path, "re");
    if (file == NULL)
        return kt_fail(err, KT_IO, "cannot read '%.200s/%s'", folder, KT_AUDIT_RECORDS_FILE);
    while (!ret->same && (len = getline(&line, &room, file)) > 0) {
        uint64_t seq = 0;
        enum kt_report_word word = kt_report_word(kt_bytes(line, (size_t)len), report, &seq);
        if (word == KT_REPORT_OTHER)
            continue;
        ret->same = word == KT_REPORT_SAME;
        ret->differs = true;
        ret->seq = seq;
    }
    bool broken = ferror(file) != 0;
    (void)fclose(file);
    free(line);
    return broken ? kt_fail(err, KT_IO, "cannot read '%.200s'", path) : KT_OK;
}

/* The log's own verdict comes first: what is not proven proves nothing. */
static const char *finding(const struct kt_audit_verdict *log, const struct said *said)
{
    if (!kt_audit_good(log))
        return "log-not-proven";
    if (said->same)
        return said->seq < log->proven ? "genuine" : "log-not-proven";
    return said->differs ? "edited" : "not-in-log";
}

static bool is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static void print_verdict(struct cli *cli, const struct kt_report *report, const struct said *said,
                          const struct kt_audit_verdict *log, const char *found)
{
    struct kt_buf *out = &cli->out;
    kt_buf_add_text(out, is(found, "genuine") ? "GOOD  " : "BAD  ");
    output_safe(out, kt_str(cli->words[0]));
    if (is(found, "genuine"))
        kt_buf_printf(out, " is the report of run %s as it was written\n", report->run);
    else if (is(found, "edited"))
        kt_buf_printf(out, " was edited: the log has another hash of the report of run %s\n", report->run);
    else if (is(found, "not-in-log"))
        kt_buf_printf(out, ": no record of this log ends run %s\n", report->run);
    else
        kt_buf_printf(out, ": the log does not prove it. %s\n", log->sentence);
    if (said->differs)
        kt_buf_printf(out, "record   %ju of %ju, proven: the first %ju\n", (uintmax_t)said->seq,
                      (uintmax_t)log->leaves, (uintmax_t)log->proven);
    kt_buf_printf(out, "hash     %s\n", report->hash);
    if (is(found, "genuine") && log->key_from_bundle)
        kt_buf_add_text(out, "next     the key came with the log: give one kept elsewhere, --key KEY, for a proof\n");
    else if (is(found, "genuine"))
        kt_buf_add_text(out, "next     nothing\n");
    else if (is(found, "log-not-proven"))
        kt_buf_add_text(out, "next     secretctl audit verify DIR says what is wrong; a new one: secretctl audit export DIR\n");
    else if (is(found, "not-in-log"))
        kt_buf_add_text(out, "next     export what is in the log by now: secretctl audit export DIR\n");
    else
        kt_buf_printf(out, "next     the vault has it as it was written: secretctl report %s\n", report->run);
}

static void print_json(struct cli *cli, const struct kt_report *report, const struct said *said,
                       const struct kt_audit_verdict *log, const char *found)
{
    kt_autobuf struct kt_buf text = {0};
    kt_buf_init(&text, 8192);
    struct kt_jsonw w = kt_jsonw(&text);
    kt_jsonw_object(&w);
    kt_jsonw_kv_bool(&w, "good", is(found, "genuine"));
    kt_jsonw_kv_text(&w, "finding", found);
    kt_jsonw_kv_text(&w, "run", report->run);
    kt_jsonw_kv_text(&w, "hash", report->hash);
    kt_jsonw_kv_int(&w, "seq", said->differs ? (int64_t)said->seq : -1);
    kt_jsonw_kv_int(&w, "proven", (int64_t)log->proven);
    kt_jsonw_kv_text(&w, "log", kt_audit_finding_name(log->finding));
    kt_jsonw_kv_bool(&w, "key_from_bundle", log->key_from_bundle);
    kt_jsonw_end(&w);
    output_json(&cli->out, kt_json_value(kt_buf_bytes(&text)));
}

int cmd_run_verify(struct cli *cli)
{
    const char *folder = cli->words[1];
    struct kt_err err = {0};
    struct kt_report report = {.json = false};
    struct said said = {.same = false};
    struct kt_audit_verdict log = {0};
    struct stat st = {0};
    kt_autobuf struct kt_buf file = {0};
    kt_buf_init(&file, KT_REPORT_MAX + 1);
    if (stat(folder, &st) != 0 || !S_ISDIR(st.st_mode))
        return cli_wrong(cli, "secretctl audit export DIR makes one", "'%.200s' is no folder", folder);
    if (input_file(cli, cli->words[0], KT_REPORT_MAX, &file, &err) != KT_OK ||
        kt_report_read(kt_buf_bytes(&file), &report, &err) != KT_OK ||
        kt_audit_verify_folder(folder, flags_text(&cli->flags, FLAG_KEY), flags_text(&cli->flags, FLAG_CHECKPOINT),
                               flags_on(&cli->flags, FLAG_PARTIAL), &log, &err) != KT_OK ||
        look_into(folder, &report, &said, &err) != KT_OK)
        return cli_fail(cli, &err);
    const char *found = finding(&log, &said);
    if (cli->format == CLI_JSON)
        print_json(cli, &report, &said, &log, found);
    else
        print_verdict(cli, &report, &said, &log, found);
    return is(found, "genuine") ? CLI_DONE : CLI_REFUSED;
}
