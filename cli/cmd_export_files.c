/* cli/cmd_export_files.c - export env, json, dir: secrets into files that other tools read. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/dotenv.h"
#include "cli/move_put.h"
#include "cli/output.h"
#include "cli/walk.h"
#include "lib/cleanup.h"
#include "lib/jsonw.h"
#include "lib/write.h"

#define PATH_LEN (KT_API_PATH_MAX + 300u)
#define TEXT_MAX ((size_t)64 * 1024 * 1024)

/* One export: where from, where to, and how a secret is written. */
struct export {
    struct move_run *run;
    struct kt_api_mount mount;
    char inside[PATH_LEN]; /* the mount: a secret, or a folder with its '/' */
    int fd;             /* the file, or the folder */
    uint64_t written;
    bool (*write)(struct export *ex, const char *path, struct kt_json data, struct kt_err *err);
};

/* The current value. KT_NOT_FOUND: there is none, or it is deleted. */
static enum kt_kind value_of(struct export *ex, const char *path, struct kt_api_reply *reply, struct kt_json *ret,
                             struct kt_err *err)
{
    bool two = ex->mount.version == 2;
    enum kt_kind kind = move_get(ex->run->destination, reply, err, "%s%s%s", ex->mount.path, two ? "data/" : "", path);
    *ret = reply->data;
    if (kind == KT_OK && two && !kt_json_member(reply->data, "data", ret))
        return kt_fail(err, KT_CORRUPT, "the answer has no \"data\"");
    return kind;
}

/* name: with the mount. */
static void one(struct export *ex, const char *name)
{
    const char *path = name + strlen(ex->mount.path);
    struct kt_json data = {0};
    struct kt_err err = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    enum kt_kind kind = value_of(ex, path, &reply, &data, &err);
    if (kind == KT_NOT_FOUND)
        move_left(ex->run, name, "its newest version is deleted");
    else if (kind != KT_OK || !ex->write(ex, path, data, &err))
        move_refused(ex->run, name, &err);
    else
        ex->written++;
}

static void trouble(void *arg, const char *folder, const struct kt_err *err)
{
    struct export *ex = arg;
    char name[PATH_LEN];
    (void)snprintf(name, sizeof name, "%s%s", ex->mount.path, folder);
    move_refused(ex->run, name, err);
}

/* Finds the mount; false: said what failed. folder: names are what is below it. */
static bool begin(struct export *ex, const char *word, bool folder)
{
    if (!move_run_begin_here(ex->run) || !move_put_place(ex->run, word, &ex->mount))
        return false;
    size_t len = strlen(ex->mount.path);
    const char *inside = strncmp(word, ex->mount.path, len) == 0 ? word + len : "";
    len = strlen(inside);
    bool open = folder && len > 0 && inside[len - 1] != '/';
    (void)snprintf(ex->inside, sizeof ex->inside, "%s%s", inside, open ? "/" : "");
    return true;
}

static void everything(struct export *ex)
{
    struct kt_err err = {0};
    KT_AUTO(walk_end) struct walk all = {0};
    const struct walk_how how = {.options = &ex->run->to.options, .trouble = trouble, .arg = ex};
    enum kt_kind kind = walk_begin(&all, &how, &err);
    if (kind == KT_OK && !walk_from(&all, &ex->mount, ex->inside))
        kind = kt_fail(&err, KT_NO_MEMORY, "not enough memory for the names");
    if (kind == KT_OK)
        kind = walk_run(&all, &err);
    if (kind != KT_OK)
        move_refused(ex->run, ex->mount.path, &err);
    for (size_t i = 0; i < all.n && !move_stopped(ex->run) && !ex->run->cli->unwritten; i++)
        one(ex, all.at[i].path);
}

static int ending(const struct export *ex)
{
    const struct move_run *run = ex->run;
    uint64_t refused = move_counted(run, MOVE_REFUSED), left = move_counted(run, MOVE_LEFT);
    if (run->cli->unwritten)
        return CLI_WRONG;
    if (ex->written + left + refused == 0) { /* a path that was mistyped is no success */
        cli_note(run->cli, "Error: there is no secret below '%.200s'", run->cli->words[0]);
        cli_note(run->cli, "next   secretctl kv list %.200s; of one secret: secretctl export env %.200s", ex->mount.path,
                 run->cli->words[0]);
        return CLI_REFUSED;
    }
    cli_note(run->cli, "%ju written, %ju left, %ju refused", (uintmax_t)ex->written, (uintmax_t)left,
             (uintmax_t)refused);
    return refused > 0 ? CLI_REFUSED : CLI_DONE;
}

/* ---- into one file ---- */

/* "-" is the standard output; a file is new, and its owner's alone. -1: said why. */
static int open_output(struct cli *cli, const char *file)
{
    struct kt_err err = {0};
    if (strcmp(file, "-") == 0)
        return fcntl(cli->out_fd, F_DUPFD_CLOEXEC, 3);
    int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        (void)kt_fail(&err, KT_IO, "cannot make '%.200s'", file);
        if (errno == EEXIST)
            kt_hint(&err, "an export goes into a new file");
        cli->exit_code = cli_fail(cli, &err);
    }
    return fd;
}

/* An output that cannot be written ends the export. */
static bool write_text(struct export *ex, struct kt_bytes text, struct kt_err *err)
{
    errno = 0;
    if (kt_write_all(ex->fd, text))
        return true;
    (void)kt_fail(err, KT_INVALID, "cannot write the output: %s", kt_errno_text(errno));
    ex->run->cli->unwritten = true;
    return false;
}

/* A half is none, and would be in the way of the next try. */
static void remove_output(const char *file)
{
    if (strcmp(file, "-") != 0)
        (void)unlink(file);
}

int cmd_export_env(struct cli *cli)
{
    KT_AUTO(move_run_end) struct move_run run = {.cli = cli, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct export ex = {.run = &run};
    struct kt_err err = {0};
    struct kt_json data = {0};
    kt_autobuf struct kt_buf text = {0};
    kt_autoapireply struct kt_api_reply reply;
    kt_api_reply_init(&reply);
    if (!begin(&ex, cli->words[0], false))
        return cli->exit_code;
    enum kt_kind kind = value_of(&ex, ex.inside, &reply, &data, &err);
    if (kind != KT_OK) {
        if (kind == KT_NOT_FOUND)
            (void)kt_fail(&err, kind, "there is no '%.200s', or its newest version is deleted", cli->words[0]);
        (void)cli_fail(cli, &err);
        return cli_remote_code(cli);
    }
    kt_buf_init(&text, TEXT_MAX);
    if (dotenv_write(data, &text, &err) != KT_OK)
        return cli_fail(cli, &err);
    const char *file = cli->word_count > 1 ? cli->words[1] : "-";
    kt_autoclose int fd = open_output(cli, file);
    if (fd < 0)
        return cli->exit_code;
    ex.fd = fd;
    if (write_text(&ex, kt_buf_bytes(&text), &err))
        return CLI_DONE;
    remove_output(file);
    return cli_fail(cli, &err);
}

/* {"db/orders": {...},\n ...}: written as it comes, so that memory does not grow with it. */
static bool write_json(struct export *ex, const char *path, struct kt_json data, struct kt_err *err)
{
    kt_autobuf struct kt_buf text = {0};
    kt_buf_init(&text, TEXT_MAX);
    kt_buf_add_text(&text, ex->written > 0 ? ",\n" : "\n");
    kt_json_quote(&text, kt_str(path + strlen(ex->inside)));
    kt_buf_add_text(&text, ": ");
    (void)kt_json_compact(data, &text);
    if (!kt_buf_ok(&text)) {
        (void)kt_fail(err, KT_NO_MEMORY, "writing the secret");
        return false;
    }
    return write_text(ex, kt_buf_bytes(&text), err);
}

int cmd_export_json(struct cli *cli)
{
    KT_AUTO(move_run_end) struct move_run run = {.cli = cli, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct export ex = {.run = &run, .write = write_json};
    struct kt_err err = {0};
    if (!begin(&ex, cli->words[0], true))
        return cli->exit_code;
    const char *file = cli->word_count > 1 ? cli->words[1] : "-";
    kt_autoclose int fd = open_output(cli, file);
    if (fd < 0)
        return cli->exit_code;
    ex.fd = fd;
    bool written = write_text(&ex, kt_str("{"), &err);
    if (written)
        everything(&ex);
    written = written && !cli->unwritten && write_text(&ex, kt_str("\n}\n"), &err);
    if (!written || run.stopped || ex.written == 0)
        remove_output(file);
    if (!written && err.kind != KT_OK)
        return cli_fail(cli, &err);
    return ending(&ex);
}

/* ---- into a folder ---- */

/* Can it be one file or folder, which import dir reads again? */
static bool check_part(const char *part, size_t len, struct kt_err *err)
{
    if (len > NAME_MAX)
        (void)kt_fail(err, KT_INVALID, "a part of its path is too long for a folder's name");
    else if (len == 0 || part[0] == '.')
        (void)kt_fail(err, KT_INVALID, "a part of its path is empty or begins with a dot: no file has such a name here");
    else
        return true;
    kt_hint(err, "secretctl export json takes any name");
    return false;
}

/* The folder that the last part of path is in, made if it has to be. -1: said why in err. */
static int open_parent(int dir, const char *path, const char **ret_name, struct kt_err *err)
{
    kt_autoclose int at = fcntl(dir, F_DUPFD_CLOEXEC, 3);
    for (;;) {
        char part[NAME_MAX + 1];
        size_t len = strcspn(path, "/");
        if (!check_part(path, len, err))
            return -1;
        if (path[len] == '\0' || at < 0) {
            *ret_name = path;
            return KT_TAKE_FD(at);
        }
        (void)snprintf(part, sizeof part, "%.*s", (int)len, path);
        if (mkdirat(at, part, 0700) != 0 && errno != EEXIST) {
            (void)kt_fail(err, KT_INVALID, "cannot make its folder: %s", kt_errno_text(errno));
            return -1;
        }
        int next = openat(at, part, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        (void)close(at);
        at = next;
        if (at < 0) {
            (void)kt_fail(err, KT_INVALID, "cannot open its folder: %s", kt_errno_text(errno));
            return -1;
        }
        path += len + 1;
    }
}

static bool write_file(struct export *ex, const char *path, struct kt_json data, struct kt_err *err)
{
    const char *name = NULL;
    char file[NAME_MAX + 1];
    kt_autobuf struct kt_buf text = {0};
    kt_buf_init(&text, TEXT_MAX);
    kt_autoclose int dir = open_parent(ex->fd, path + strlen(ex->inside), &name, err);
    if (dir < 0)
        return false;
    int n = snprintf(file, sizeof file, "%s.json", name);
    if (n < 0 || (size_t)n >= sizeof file) {
        (void)kt_fail(err, KT_INVALID, "the name is too long for a file's");
        return false;
    }
    (void)kt_json_compact(data, &text);
    kt_buf_add_char(&text, '\n');
    kt_autoclose int fd = openat(dir, file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    errno = fd < 0 ? errno : 0;
    if (fd >= 0 && kt_buf_ok(&text) && kt_write_all(fd, kt_buf_bytes(&text)))
        return true;
    (void)kt_fail(err, KT_INVALID, "cannot write %s.json: %s", name, kt_errno_text(errno));
    if (fd >= 0) /* half of a secret is none */
        (void)unlinkat(dir, file, 0);
    return false;
}

int cmd_export_dir(struct cli *cli)
{
    const char *folder = cli->words[1];
    KT_AUTO(move_run_end) struct move_run run = {.cli = cli, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct export ex = {.run = &run, .write = write_file};
    struct kt_err err = {0};
    if (!begin(&ex, cli->words[0], true))
        return cli->exit_code;
    if (mkdir(folder, 0700) != 0) {
        (void)kt_fail(&err, KT_IO, "cannot make the folder '%.200s'", folder);
        if (errno == EEXIST)
            kt_hint(&err, "an export goes into a new folder");
        return cli_fail(cli, &err);
    }
    kt_autoclose int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        (void)kt_fail(&err, KT_IO, "cannot open the folder '%.200s'", folder);
        return cli_fail(cli, &err);
    }
    ex.fd = fd;
    everything(&ex);
    if (ex.written == 0)
        (void)rmdir(folder); /* where nothing is in it */
    return ending(&ex);
}
