/* lib/driver/ssh_file.c - see lib/driver/ssh_file.h. */
#include "lib/driver/ssh_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "lib/driver/authorized_keys.h"
#include "lib/driver/sftp.h"
#include "lib/driver/step.h"
#include "lib/ipc.h"

#define LOCK_TRIES   15u
#define LOCK_WAIT_MS 200u
#define NEW_MODE     0600u
#define OTHERS_WRITE 0022u

/* ---- failures ------------------------------------------------------------------------------ */

static bool unfit(struct kt_ssh *s, const char *format, ...) KT_PRINTF(2, 3);
static bool unfit(struct kt_ssh *s, const char *format, ...)
{
    char detail[300];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    return kt_ssh_set_failure(s, DRIVER_UNFIT, n < 0 ? "" : detail);
}

static bool sftp_failed(struct kt_ssh *s, const char *what, const char *path)
{
    static const struct {
        uint32_t status;
        const char *code;
    } rows[] = {{SFTP_PERMISSION_DENIED, "denied"},
                {SFTP_NO_SUCH_FILE, "nofile"},
                {SFTP_OP_UNSUPPORTED, "sftp"}};
    char detail[300];
    const char *code = "full";
    if (s->status == SFTP_CONNECTION_LOST)
        return false; /* its code says why */
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].status == s->status)
            code = rows[i].code;
    (void)!snprintf(detail, sizeof(detail), "%s %.160s: %s", what, path, s->said);
    return kt_ssh_set_failure(s, code, detail);
}

/* ---- looking ------------------------------------------------------------------------------- */

struct look {
    bool there, link, folder, plain;
    uint32_t uid, gid, mode;
};

/* False: it could not be looked at; that nothing is there is no failure. */
static bool look_at(struct kt_ssh *s, const char *path, struct look *ret)
{
    struct kt_sftp_attributes at = {.has_mode = false};
    *ret = (struct look){.there = false};
    if (!kt_sftp_look(s, path, &at))
        return s->status == SFTP_NO_SUCH_FILE || sftp_failed(s, "looking at", path);
    *ret = (struct look){.there = true,
                         .link = S_ISLNK(at.mode),
                         .folder = S_ISDIR(at.mode),
                         .plain = S_ISREG(at.mode),
                         .uid = at.uid,
                         .gid = at.gid,
                         .mode = at.mode & 07777u};
    return (at.has_owner && at.has_mode) ||
           kt_ssh_set_failure(s, "protocol", "it does not tell a file's owner");
}

static bool check_folder(struct kt_ssh *s, const char *path, uint32_t *ret_uid)
{
    struct look look;
    if (!look_at(s, path, &look))
        return false;
    *ret_uid = look.uid;
    if (!look.there)
        return unfit(s, "there is no folder %s", path);
    if (look.link)
        return unfit(s, "%s is a symbolic link, and is not followed", path);
    if (!look.folder)
        return unfit(s, "%s is no folder", path);
    /* Debian's sshd lets a group write that the account has for itself; root has none for himself. */
    if ((look.mode & (look.uid == 0 ? OTHERS_WRITE : S_IWOTH)) != 0)
        return unfit(s, "others may write to %s, so sshd refuses all keys in it: chmod go-w", path);
    return true;
}

static bool check_file(struct kt_ssh *s, struct kt_ssh_file *file)
{
    struct look look;
    if (!look_at(s, file->path, &look))
        return false;
    if (look.there && look.link)
        return unfit(s, "%s is a symbolic link, and is not followed", file->path);
    if (look.there && !look.plain)
        return unfit(s, "%s is no plain file", file->path);
    file->there = look.there;
    file->uid = look.uid;
    file->gid = look.gid;
    file->mode = look.mode;
    return true;
}

static bool name_folder(struct kt_ssh *s, const char *path, struct kt_ssh_file *file)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
    file->path = path;
    file->folder = len == 0 ? "." : kt_arena_text(s->run->arena, kt_bytes(path, len));
    return file->folder != NULL || kt_ssh_set_failure(s, "memory", "");
}

/* ---- reading ------------------------------------------------------------------------------- */

static bool read_all(struct kt_ssh *s, const char *path, struct kt_buf *out)
{
    struct kt_sftp_handle from;
    bool end = false, ok = true;
    if (!kt_sftp_open(s, path, SFTP_READ, 0, &from))
        return sftp_failed(s, "opening", path);
    while (ok && !end && kt_buf_ok(out))
        ok = kt_sftp_read(s, &from, out->len, out, &end) || sftp_failed(s, "reading", path);
    ok = (kt_sftp_close(s, &from) || sftp_failed(s, "closing", path)) && ok;
    if (ok && !kt_buf_ok(out))
        return out->full ? unfit(s, "%s is larger than 256 KiB", path)
                         : kt_ssh_set_failure(s, "memory", "");
    return ok;
}

bool kt_ssh_file_read(struct kt_ssh *s, const char *path, struct kt_ssh_file *ret)
{
    *ret = (struct kt_ssh_file){.there = false};
    kt_buf_init(&ret->bytes, KT_KEYS_FILE_MAX);
    if (!name_folder(s, path, ret) || !check_folder(s, ret->folder, &ret->folder_uid) ||
        !check_file(s, ret))
        return false;
    return !ret->there || read_all(s, ret->path, &ret->bytes);
}

void kt_ssh_file_free(struct kt_ssh_file *file)
{
    kt_buf_free(&file->bytes);
}

/* ---- replacing ----------------------------------------------------------------------------- */

static const char *beside(struct kt_ssh *s, const struct kt_ssh_file *file, const char *name)
{
    const char *made = kt_arena_printf(s->run->arena, "%s.keyturn-%s", file->path, name);
    if (made == NULL)
        (void)kt_ssh_set_failure(s, "memory", "");
    return made;
}

/* Whoever holds it is done in less time than is waited here, or has died. The vault itself changes an
 * account once at a time; and should two be at it all the same, the bytes are compared before renaming. */
static bool take_lock(struct kt_ssh *s, const char *lock, struct look *ret)
{
    struct kt_sftp_handle handle;
    unsigned absent = 0; /* in a row: once, and its holder has just finished */
    for (unsigned i = 0; i <= LOCK_TRIES; i++) {
        if (i == LOCK_TRIES)
            (void)kt_sftp_remove(s, lock);
        if (kt_sftp_open(s, lock, SFTP_MAKE, NEW_MODE, &handle))
            return (kt_sftp_close(s, &handle) || sftp_failed(s, "closing", lock)) && look_at(s, lock, ret);
        struct look other;
        if (s->status != SFTP_FAILURE)
            return sftp_failed(s, "making", lock);
        if (!look_at(s, lock, &other))
            return false;
        absent = other.there ? 0 : absent + 1;
        if (absent > 1)
            return kt_ssh_set_failure(s, "full", lock);
        if (absent > 0)
            continue;
        if (kt_ipc_deadline(LOCK_WAIT_MS) >= s->run->deadline)
            break; /* whoever holds it did not have the time that a dead one would have had */
        kt_step_pause(LOCK_WAIT_MS);
    }
    return kt_ssh_set_failure(s, "exists", lock);
}

static bool write_all(struct kt_ssh *s, const char *path, struct kt_bytes bytes)
{
    struct kt_sftp_handle to;
    bool ok = true;
    if (!kt_sftp_open(s, path, SFTP_MAKE, NEW_MODE, &to))
        return sftp_failed(s, "making", path);
    for (size_t at = 0; ok && at < bytes.len; at += SFTP_PIECE) {
        size_t len = bytes.len - at < SFTP_PIECE ? bytes.len - at : SFTP_PIECE;
        ok = kt_sftp_write(s, &to, at, kt_bytes(bytes.at + at, len)) || sftp_failed(s, "writing", path);
    }
    ok = ok && (kt_sftp_sync(s, &to) || sftp_failed(s, "syncing", path));
    return (kt_sftp_close(s, &to) || sftp_failed(s, "closing", path)) && ok;
}

/* A file of somebody else's stays his, which only root can see to. */
static bool give_owner(struct kt_ssh *s, const struct kt_ssh_file *file, const char *path)
{
    struct look look;
    if (!look_at(s, path, &look))
        return false;
    if (file->there && (look.uid != file->uid || look.gid != file->gid) &&
        !kt_sftp_own(s, path, file->uid, file->gid))
        return unfit(s, "%s belongs to another user or group than what the administrative login makes",
                     file->path);
    uint32_t mode = file->there ? file->mode & ~OTHERS_WRITE : NEW_MODE;
    return look.mode == mode || kt_sftp_permit(s, path, mode) ||
           sftp_failed(s, "setting the mode of", path);
}

static bool is_as_read(struct kt_ssh *s, const struct kt_ssh_file *file)
{
    struct kt_ssh_file now;
    bool same = kt_ssh_file_read(s, file->path, &now) && now.there == file->there &&
                kt_bytes_equal(kt_buf_bytes(&now.bytes), kt_buf_bytes(&file->bytes));
    kt_ssh_file_free(&now);
    return same || (s->code[0] == '\0' ? kt_ssh_set_failure(s, "exists", file->path) : false);
}

/* OpenSSH's server opens a folder as it opens a file, and syncs what it has opened. Another one may not:
 * then the renaming is as durable as that host makes it. */
static void sync_folder(struct kt_ssh *s, const char *folder)
{
    struct kt_sftp_handle opened;
    if (!kt_sftp_open(s, folder, SFTP_READ, 0, &opened))
        return;
    (void)kt_sftp_sync(s, &opened);
    (void)kt_sftp_close(s, &opened);
}

static bool write_and_rename(struct kt_ssh *s, const struct kt_ssh_file *file, const char *fresh,
                             struct kt_bytes bytes)
{
    (void)kt_sftp_remove(s, fresh); /* of an earlier try */
    if (write_all(s, fresh, bytes) && give_owner(s, file, fresh) && is_as_read(s, file) &&
        (kt_sftp_rename(s, fresh, file->path) || sftp_failed(s, "renaming", fresh))) {
        sync_folder(s, file->folder);
        return true;
    }
    if (ssh_is_connected(s->session))
        (void)kt_sftp_remove(s, fresh);
    return false;
}

bool kt_ssh_file_replace(struct kt_ssh *s, const struct kt_ssh_file *file, const char *name,
                         struct kt_bytes bytes)
{
    const char *lock = beside(s, file, "lock"), *fresh = beside(s, file, name);
    struct look made;
    if (lock == NULL || fresh == NULL || !take_lock(s, lock, &made))
        return false;
    bool ok = made.uid == file->folder_uid ||
              unfit(s, "%s belongs to somebody else than who logs in to change it", file->folder);
    ok = ok && write_and_rename(s, file, fresh, bytes);
    if (ssh_is_connected(s->session))
        (void)kt_sftp_remove(s, lock);
    return ok;
}
