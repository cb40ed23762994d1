/* cli/cmd_import_files.c - import env, sops-decrypted, json, dir: secrets out of files. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/cmd.h"
#include "cli/dotenv.h"
#include "cli/input.h"
#include "cli/move_put.h"
#include "lib/cleanup.h"
#include "lib/utf8.h"

#define FILE_MAX  ((size_t)64 * 1024 * 1024)
#define DEPTH_MAX 32u
#define PATH_LEN  (KT_API_PATH_MAX + 300u)

static const struct kt_json_limits file_limits = {
    .bytes = FILE_MAX, .depth = 64, .nodes = 4000000, .keys = 1000000, .string_bytes = 1048576, .number_bytes = 64};

/* ---- a run and its end ---- */

static struct move_run run_of(struct cli *cli)
{
    return (struct move_run){.cli = cli,
                             .lock = PTHREAD_MUTEX_INITIALIZER,
                             .dry = flags_on(&cli->flags, FLAG_DRY_RUN),
                             .replace = flags_on(&cli->flags, FLAG_REPLACE)};
}

static int ending(struct move_run *run)
{
    uint64_t taken = move_counted(run, MOVE_TAKEN), same = move_counted(run, MOVE_SAME),
             refused = move_counted(run, MOVE_REFUSED), left = move_counted(run, MOVE_LEFT);
    if (run->cli->format == CLI_JSON)
        kt_buf_printf(&run->cli->out, "{\"taken\": %ju, \"already_there\": %ju, \"refused\": %ju, \"left\": %ju, \"dry_run\": %s}\n",
                      (uintmax_t)taken, (uintmax_t)same, (uintmax_t)refused, (uintmax_t)left,
                      run->dry ? "true" : "false");
    else
        kt_buf_printf(&run->cli->out, "%s %ju, already there %ju, refused %ju, left %ju\n",
                      run->dry ? "would take" : "taken", (uintmax_t)taken, (uintmax_t)same, (uintmax_t)refused,
                      (uintmax_t)left);
    if (run->stopped) {
        cli_note(run->cli, "Error: the import stopped: %s", run->why.what);
        cli_note(run->cli, "next   the same command goes on where it stopped");
    }
    return run->stopped || refused > 0 ? CLI_REFUSED : CLI_DONE;
}

/* A file as it is, in memory that is wiped. */
static enum kt_kind read_file(struct cli *cli, const char *path, struct kt_buf *ret, struct kt_err *err)
{
    kt_buf_init(ret, FILE_MAX + 32768);
    return input_file(cli, path, FILE_MAX, ret, err);
}

static enum kt_kind check_object(struct kt_bytes text, struct kt_err *err)
{
    enum kt_kind kind = kt_json_check(text, &file_limits, err);
    if (kind == KT_OK && kt_json_type(kt_json_value(text)) != KT_JSON_OBJECT)
        kind = kt_fail(err, KT_INVALID, "it is no JSON object");
    return kind;
}

/* ---- what a file holds, as an object ---- */

static enum kt_kind as_env(struct kt_bytes text, struct kt_buf *ret, struct kt_err *err)
{
    return dotenv_read(text, ret, err);
}

static enum kt_kind as_json(struct kt_bytes text, struct kt_buf *ret, struct kt_err *err)
{
    enum kt_kind kind = check_object(text, err);
    if (kind == KT_OK)
        kt_buf_add_bytes(ret, text);
    return kind;
}

/* sops' own values begin so, and its metadata has a "mac". */
static bool is_encrypted(struct kt_bytes text)
{
    static const char mark[] = "ENC[AES256_GCM,";
    return text.len > 0 && memmem(text.at, text.len, mark, sizeof mark - 1) != NULL;
}

static enum kt_kind as_sops(struct kt_bytes text, struct kt_buf *ret, struct kt_err *err)
{
    size_t at = 0;
    if (is_encrypted(text)) {
        (void)kt_fail(err, KT_INVALID, "it is still encrypted");
        kt_hint(err, "sops -d --output-type json FILE | secretctl import sops-decrypted - SECRET");
        return KT_INVALID;
    }
    while (at < text.len && (text.at[at] <= ' '))
        at++;
    bool json = at < text.len && text.at[at] == '{';
    enum kt_kind kind = json ? as_json(text, ret, err) : as_env(text, ret, err);
    if (kind == KT_INVALID && !json)
        kt_hint(err, "JSON and dotenv are read: sops -d --output-type json FILE");
    return kind;
}

typedef enum kt_kind reader_fn(struct kt_bytes text, struct kt_buf *ret, struct kt_err *err);

/* One file that is one secret. */
static int import_one(struct cli *cli, reader_fn *read_as)
{
    const char *file = cli->words[0], *path = cli->words[1];
    struct kt_err err = {0};
    struct kt_api_mount mount = {0};
    KT_AUTO(move_run_end) struct move_run run = run_of(cli);
    kt_autobuf struct kt_buf text = {0};
    kt_autobuf struct kt_buf object = {0};
    kt_buf_init(&object, 2 * FILE_MAX);
    enum kt_kind kind = read_file(cli, file, &text, &err);
    if (kind == KT_OK && (kind = read_as(kt_buf_bytes(&text), &object, &err)) != KT_OK)
        kt_context(&err, "'%.100s'", file);
    if (kind != KT_OK)
        return cli_fail(cli, &err);
    if (!move_run_begin_here(&run) || !move_put_place(&run, path, &mount))
        return cli->exit_code;
    move_put(&run, &mount, path, kt_buf_bytes(&object));
    return ending(&run);
}

int cmd_import_env(struct cli *cli)
{
    return import_one(cli, as_env);
}

int cmd_import_sops(struct cli *cli)
{
    return import_one(cli, as_sops);
}

/* ---- many secrets in one JSON object ---- */

static bool join(char out[PATH_LEN], const char *prefix, const char *name)
{
    size_t len = strlen(prefix);
    const char *slash = len > 0 && prefix[len - 1] == '/' ? "" : "/";
    int n = snprintf(out, PATH_LEN, "%s%s%s", prefix, slash, name);
    return n > 0 && (size_t)n < PATH_LEN;
}

static void put_member(struct move_run *run, const struct kt_api_mount *mount, const char *prefix, struct kt_json key,
                       struct kt_json value)
{
    char path[PATH_LEN];
    struct kt_err err = {0};
    kt_autobuf struct kt_buf name = {0};
    kt_buf_init(&name, key.len + 1);
    if (!kt_json_string(key, &name) || !join(path, prefix, kt_buf_text(&name)))
        (void)kt_fail(&err, KT_INVALID, "the path is too long");
    else if (kt_json_type(value) != KT_JSON_OBJECT)
        (void)kt_fail(&err, KT_INVALID, "a secret has to be an object: {\"PATH\": {\"KEY\": \"VALUE\"}}");
    if (err.kind != KT_OK)
        move_refused(run, kt_buf_text(&name), &err);
    else
        move_put(run, mount, path, kt_json_bytes(value));
}

int cmd_import_json(struct cli *cli)
{
    const char *file = cli->words[0], *prefix = cli->words[1];
    struct kt_err err = {0};
    struct kt_api_mount mount = {0};
    KT_AUTO(move_run_end) struct move_run run = run_of(cli);
    kt_autobuf struct kt_buf text = {0};
    enum kt_kind kind = read_file(cli, file, &text, &err);
    if (kind == KT_OK && (kind = check_object(kt_buf_bytes(&text), &err)) != KT_OK)
        kt_context(&err, "'%.100s'", file);
    if (kind != KT_OK)
        return cli_fail(cli, &err);
    if (!move_run_begin_here(&run) || !move_put_place(&run, prefix, &mount))
        return cli->exit_code;
    struct kt_json_iter it = kt_json_iter(kt_json_value(kt_buf_bytes(&text)));
    while (kt_json_next(&it) && !move_stopped(&run))
        put_member(&run, &mount, prefix, it.key, it.value);
    return ending(&run);
}

/* ---- a directory ---- */

/* Of one file: a KT_IO would end the import. */
static enum kt_kind file_failed(struct kt_err *err, const char *what)
{
    return kt_fail(err, KT_INVALID, "%s: %s", what, kt_errno_text(errno));
}

struct folder {
    struct move_run *run;
    const struct kt_api_mount *mount;
    void *taken; /* a tree (tsearch) of the paths that a file or folder was for */
};

/* What the files of one folder became: keys of its secret. */
struct keys {
    unsigned taken, refused;
};

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* One secret has one source: db.json, db.env and the files in db/ would write over each other. */
static bool claim(struct folder *folder, const char *path)
{
    struct kt_err err = {0};
    char *copy = strdup(path);
    char **node = copy == NULL ? NULL : tsearch(copy, &folder->taken, by_text);
    if (node != NULL && *node == copy)
        return true;
    free(copy);
    if (node == NULL) {
        (void)kt_fail(&err, KT_NO_MEMORY, "keeping its path");
    } else {
        (void)kt_fail(&err, KT_CONFLICT, "another file or folder was this secret already");
        kt_hint(&err, "of NAME.json, NAME.env and files in NAME/ there may be one");
    }
    move_refused(folder->run, path, &err);
    return false;
}

static bool has_ending(const char *name, const char *ending_)
{
    size_t len = strlen(name), more = strlen(ending_);
    return len > more && strcmp(name + len - more, ending_) == 0;
}

static enum kt_kind read_at(int dir, const char *name, size_t max, struct kt_buf *ret, struct kt_err *err)
{
    kt_autoclose int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st = {0};
    if (fd < 0 || fstat(fd, &st) != 0)
        return file_failed(err, "cannot open it");
    if (!S_ISREG(st.st_mode))
        return kt_fail(err, KT_INVALID, "it is no regular file");
    for (;;) {
        unsigned char *at = kt_buf_grow(ret, 16384);
        if (at == NULL)
            return kt_fail(err, ret->full ? KT_TOO_LARGE : KT_NO_MEMORY, "it is larger than %zu KiB", max / 1024);
        ssize_t n = read(fd, at, 16384);
        ret->len -= 16384;
        if (n < 0 && errno != EINTR)
            return file_failed(err, "cannot read it");
        if (n == 0)
            return KT_OK;
        ret->len += n > 0 ? (size_t)n : 0;
    }
}

static bool is_text(struct kt_bytes text)
{
    for (size_t i = 0; i < text.len;) {
        size_t len = text.at[i] == '\0' ? 0 : kt_utf8_step(text.at + i, text.len - i);
        if (len == 0)
            return false;
        i += len;
    }
    return true;
}

/* db.json and db.env are secrets by themselves. */
static enum kt_kind put_file(const struct folder *folder, int dir, const char *name, const char *path,
                             reader_fn *read_as, struct kt_err *err)
{
    kt_autobuf struct kt_buf text = {0};
    kt_autobuf struct kt_buf object = {0};
    kt_buf_init(&text, 2 * INPUT_ALL_MAX);
    kt_buf_init(&object, 4 * INPUT_ALL_MAX);
    enum kt_kind kind = read_at(dir, name, 2 * INPUT_ALL_MAX, &text, err);
    if (kind == KT_OK)
        kind = read_as(kt_buf_bytes(&text), &object, err);
    if (kind == KT_OK)
        move_put(folder->run, folder->mount, path, kt_buf_bytes(&object));
    return kind;
}

/* Any other file is a key of the secret that has the folder's name. */
static enum kt_kind add_key(int dir, const char *name, struct kt_jsonw *w, struct kt_err *err)
{
    kt_autobuf struct kt_buf text = {0};
    kt_buf_init(&text, INPUT_VALUE_MAX + 32768);
    enum kt_kind kind = read_at(dir, name, INPUT_VALUE_MAX, &text, err);
    if (kind == KT_OK && !is_text(kt_buf_bytes(&text))) {
        kind = kt_fail(err, KT_INVALID, "it is not text");
        kt_hint(err, "encode it: base64 -w0");
    }
    if (kind == KT_OK) {
        kt_jsonw_key(w, name);
        kt_jsonw_bytes(w, kt_buf_bytes(&text));
    }
    return kind;
}

static void import_folder(struct folder *folder, int dir, const char *path, unsigned depth);

static void import_below(struct folder *folder, int dir, const char *name, const char *path, unsigned depth)
{
    struct kt_err err = {0};
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 && depth < DEPTH_MAX) {
        import_folder(folder, fd, path, depth + 1);
        return;
    }
    if (fd < 0) {
        (void)file_failed(&err, "cannot open the folder");
    } else {
        (void)close(fd);
        (void)kt_fail(&err, KT_INVALID, "the folders are too deep");
    }
    move_refused(folder->run, path, &err);
}

static void import_entry(struct folder *folder, int dir, const char *name, const char *path, unsigned depth,
                         struct kt_jsonw *w, struct keys *keys)
{
    static const struct {
        const char *ending;
        reader_fn *read_as;
    } rows[] = {{".json", as_json}, {".env", as_env}};
    char below[PATH_LEN];
    struct kt_err err = {0};
    struct stat st = {0};
    enum kt_kind kind = KT_OK;
    if (!join(below, path, name) || fstatat(dir, name, &st, 0) != 0) {
        (void)file_failed(&err, "cannot look at a file in it");
        keys->refused++;
        move_refused(folder->run, path, &err);
        return;
    }
    if (S_ISDIR(st.st_mode)) {
        import_below(folder, dir, name, below, depth);
        return;
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!has_ending(name, rows[i].ending))
            continue;
        below[strlen(below) - strlen(rows[i].ending)] = '\0';
        if (claim(folder, below) && put_file(folder, dir, name, below, rows[i].read_as, &err) != KT_OK)
            move_refused(folder->run, below, &err);
        return;
    }
    kind = add_key(dir, name, w, &err);
    keys->taken += kind == KT_OK;
    keys->refused += kind != KT_OK;
    if (kind != KT_OK)
        move_refused(folder->run, below, &err);
}

static int is_entry(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

/* The secret of the files themselves: whole, or not at all. */
static void put_keys(struct folder *folder, const char *path, const struct keys *keys, const struct kt_buf *object)
{
    struct kt_err err = {0};
    if (keys->taken == 0)
        return;
    if (!kt_buf_ok(object)) {
        (void)kt_fail(&err, KT_TOO_LARGE, "its files are too large for one secret");
    } else if (keys->refused > 0) {
        (void)kt_fail(&err, KT_INVALID, "a file of it was refused, so none of them was taken");
    } else {
        if (claim(folder, path))
            move_put(folder->run, folder->mount, path, kt_buf_bytes(object));
        return;
    }
    move_refused(folder->run, path, &err);
}

static void tell_hidden(struct folder *folder, const char *path, const char *name)
{
    char hidden[PATH_LEN];
    if (join(hidden, path, name))
        move_left(folder->run, hidden, "names that begin with a dot are not read");
}

/* Takes dir. In the order of the names, so that it is the same each time. */
static void import_folder(struct folder *folder, int dir, const char *path, unsigned depth)
{
    struct dirent **names = NULL;
    struct keys keys = {0};
    kt_autobuf struct kt_buf object = {0};
    kt_buf_init(&object, 4 * INPUT_ALL_MAX);
    struct kt_jsonw w = kt_jsonw(&object);
    kt_jsonw_object(&w);
    int count = scandirat(dir, ".", &names, is_entry, alphasort);
    for (int i = 0; i < count; i++) {
        const char *name = names[i]->d_name;
        if (name[0] == '.')
            tell_hidden(folder, path, name);
        else if (!move_stopped(folder->run))
            import_entry(folder, dir, name, path, depth, &w, &keys);
        free(names[i]);
    }
    free(names);
    (void)close(dir);
    kt_jsonw_end(&w);
    if (count < 0) {
        struct kt_err err = {0};
        (void)kt_fail(&err, KT_INVALID, "the folder cannot be read");
        move_refused(folder->run, path, &err);
    }
    put_keys(folder, path, &keys, &object);
}

int cmd_import_dir(struct cli *cli)
{
    const char *name = cli->words[0], *prefix = cli->words[1];
    char path[PATH_LEN];
    struct kt_err err = {0};
    struct kt_api_mount mount = {0};
    KT_AUTO(move_run_end) struct move_run run = run_of(cli);
    size_t len = strlen(prefix);
    (void)snprintf(path, sizeof path, "%.*s", (int)(len > 0 && prefix[len - 1] == '/' ? len - 1 : len), prefix);
    kt_autoclose int dir = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        (void)kt_fail(&err, KT_IO, "cannot open the folder '%.200s'", name);
        return cli_fail(cli, &err);
    }
    if (!move_run_begin_here(&run) || !move_put_place(&run, prefix, &mount))
        return cli->exit_code;
    struct folder folder = {.run = &run, .mount = &mount};
    import_folder(&folder, KT_TAKE_FD(dir), path, 0);
    tdestroy(folder.taken, free);
    return ending(&run);
}
