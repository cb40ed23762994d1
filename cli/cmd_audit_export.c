/* cli/cmd_audit_export.c - audit export: the log as a folder that anyone can verify. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/audit_source.h"
#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/output.h"
#include "lib/audit_verify.h"
#include "lib/jsonw.h"
#include "lib/num.h"
#include "lib/write.h"

#define LEAVES_AT_ONCE 100000u
#define NOTES_MAX      ((size_t)512 * 1024 * 1024)

static bool failed(struct cli *cli, const char *name)
{
    struct kt_err err = {0};
    (void)kt_fail(&err, KT_IO, "cannot write '%.200s'", name);
    cli->exit_code = cli_fail(cli, &err);
    return false;
}

static bool write_all(struct cli *cli, int fd, struct kt_bytes bytes, const char *name)
{
    return kt_write_all(fd, bytes) || failed(cli, name);
}

static int create(int dir, const char *name)
{
    return openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static bool write_file(struct cli *cli, int dir, const char *name, struct kt_bytes bytes)
{
    kt_autoclose int fd = create(dir, name);
    if (fd < 0 || !write_all(cli, fd, bytes, name) || fsync(fd) != 0)
        return failed(cli, name);
    return true;
}

static uint64_t count_lines(struct kt_bytes text)
{
    uint64_t lines = 0;
    for (size_t i = 0; i < text.len; i++)
        lines += text.at[i] == '\n';
    return lines;
}

static bool write_records(struct cli *cli, int dir, uint64_t from, uint64_t to)
{
    kt_autoclose int fd = create(dir, KT_AUDIT_RECORDS_FILE);
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    if (fd < 0)
        return failed(cli, KT_AUDIT_RECORDS_FILE);
    while (from < to) {
        if (!audit_source_records(cli, from, to, &reply))
            return false;
        struct kt_bytes text = kt_buf_bytes(&reply.http.body);
        uint64_t lines = count_lines(text);
        if (lines == 0) {
            cli->exit_code = cli_wrong(cli, "the same again; then look at the vault's log",
                                       "the vault gave no records from %ju on", (uintmax_t)from);
            return false;
        }
        if (!write_all(cli, fd, text, KT_AUDIT_RECORDS_FILE))
            return false;
        from += lines;
    }
    return fsync(fd) == 0 || failed(cli, KT_AUDIT_RECORDS_FILE);
}

static bool write_leaves(struct cli *cli, int dir, uint64_t size)
{
    kt_autoclose int fd = create(dir, KT_AUDIT_LEAVES_FILE);
    kt_autobuf struct kt_buf leaves = {0};
    kt_buf_init(&leaves, (size_t)64 * 1024 * 1024);
    if (fd < 0)
        return failed(cli, KT_AUDIT_LEAVES_FILE);
    for (uint64_t from = 0; from < size;) {
        uint64_t to = size - from > LEAVES_AT_ONCE ? from + LEAVES_AT_ONCE : size;
        kt_buf_reset(&leaves);
        if (!audit_source_leaves(cli, from, to, &leaves))
            return false;
        if (leaves.len == 0 || leaves.len % KT_HASH_BYTES != 0) {
            cli->exit_code =
                cli_wrong(cli, "", "the vault gave no leaf hashes from %ju on", (uintmax_t)from);
            return false;
        }
        if (!write_all(cli, fd, kt_buf_bytes(&leaves), KT_AUDIT_LEAVES_FILE))
            return false;
        from += leaves.len / KT_HASH_BYTES;
    }
    return fsync(fd) == 0 || failed(cli, KT_AUDIT_LEAVES_FILE);
}

/* The newest one may have been made after the others were asked for. */
static void add_note(struct kt_buf *notes, struct kt_bytes note)
{
    bool there =
        note.len > 0 && notes->len > 0 && memmem(notes->at, notes->len, note.at, note.len) != NULL;
    if (note.len > 0 && !there)
        kt_buf_add_bytes(notes, note);
}

static bool write_bundle(struct cli *cli, int dir, const struct audit_source *log,
                         struct kt_buf *notes_before, uint64_t from, uint64_t to)
{
    kt_autobuf struct kt_buf key = {0};
    kt_buf_init(&key, (size_t)2 * KT_NOTE_KEY_TEXT);
    kt_buf_printf(&key, "%s\n", log->public_key);
    add_note(notes_before, kt_buf_bytes(&log->note));
    return write_records(cli, dir, from, to) && write_leaves(cli, dir, log->size) &&
           write_file(cli, dir, KT_AUDIT_CHECKPOINTS_FILE, kt_buf_bytes(notes_before)) &&
           write_file(cli, dir, KT_AUDIT_KEY_FILE, kt_buf_bytes(&key)) &&
           (fsync(dir) == 0 || failed(cli, cli->words[0]));
}

static void tell(struct cli *cli, const char *folder, const struct audit_source *log, uint64_t from,
                 uint64_t to)
{
    if (cli->format == CLI_JSON) {
        kt_autobuf struct kt_buf text = {0};
        kt_buf_init(&text, 65536);
        struct kt_jsonw w = kt_jsonw(&text);
        kt_jsonw_object(&w);
        kt_jsonw_kv_text(&w, "folder", folder);
        kt_jsonw_kv_int(&w, "from", (int64_t)from);
        kt_jsonw_kv_int(&w, "to", (int64_t)to);
        kt_jsonw_kv_text(&w, "public_key", log->public_key);
        kt_jsonw_end(&w);
        output_json(&cli->out, kt_json_value(kt_buf_bytes(&text)));
        return;
    }
    kt_buf_printf(&cli->out, "%ju records in %s\n", (uintmax_t)(to - from), folder);
    kt_buf_printf(&cli->out, "verify   secretctl audit verify %s\n", folder);
    kt_buf_printf(&cli->out,
                  "keep     this key, where the vault's host cannot change it:\n"
                  "         %s\n",
                  log->public_key);
}

/* -from and -to are numbers of records here. */
static bool is_number(struct cli *cli, enum flag_id id)
{
    uint64_t number = 0;
    const char *text = flags_text(&cli->flags, id);
    if (text == NULL || kt_u64_parse(kt_str(text), INT64_MAX, &number))
        return true;
    cli->exit_code = cli_wrong(cli, "", "-%s is a whole number", cli_flag_table[id].name);
    return false;
}

int cmd_audit_export(struct cli *cli)
{
    const char *folder = cli->words[0];
    struct kt_err err = {0};
    if (!is_number(cli, FLAG_FROM) || !is_number(cli, FLAG_TO))
        return cli->exit_code;
    KT_AUTO(audit_source_close) struct audit_source log = {0};
    kt_autobuf struct kt_buf notes = {0};
    kt_buf_init(&notes, NOTES_MAX);
    uint64_t from = flags_number(&cli->flags, FLAG_FROM, 0);
    if (mkdir(folder, 0700) != 0) {
        (void)kt_fail(&err, KT_IO, "cannot make the folder '%.200s'", folder);
        if (errno == EEXIST)
            kt_hint(&err, "an export goes into a new folder");
        return cli_fail(cli, &err);
    }
    kt_autoclose int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        (void)kt_fail(&err, KT_IO, "cannot open the folder '%.200s'", folder);
        return cli_fail(cli, &err);
    }
    /* First the notes there are: none of them may cover more than what is exported after. */
    if (!audit_source_checkpoints(cli, &notes) || !audit_source_open(cli, &log)) {
        (void)rmdir(folder); /* it is empty; if it stays, it says so next time */
        return cli->exit_code;
    }
    uint64_t to = flags_number(&cli->flags, FLAG_TO, log.size);
    if (to > log.size)
        to = log.size;
    if (from > to)
        from = to;
    if (!write_bundle(cli, dir, &log, &notes, from, to))
        return cli->exit_code;
    tell(cli, folder, &log, from, to);
    return CLI_DONE;
}
