#include "vaultd/store/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/num.h"

#define LOCK_FILE "vaultd.lock"

static const struct {
    uint64_t f_type;
    const char *name;
} foreign[] = {
    {0x6969, "NFS"},          {0x517b, "SMB"},       {0xff534d42, "CIFS"},
    {0xfe534d42, "SMB2"},     {0x65735546, "FUSE"},  {0x01021997, "9P"},
    {0x00c36400, "Ceph"},     {0x5346414f, "AFS"},   {0x73757245, "Coda"},
    {0x47504653, "GPFS"},     {0x0bd00bd0, "Lustre"},
};

const char *store_folder_foreign(uint64_t f_type)
{
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
        if (foreign[i].f_type == (f_type & 0xffffffff))
            return foreign[i].name;
    return NULL;
}

static enum kt_kind check_owner(const struct stat *st, const char *path, const char *slash,
                                const char *name, struct kt_err *err)
{
    if (st->st_uid != geteuid()) {
        (void)kt_fail(err, KT_PRECONDITION, "'%s%s%s' belongs to user %u, vaultd runs as user %u",
                      path, slash, name, st->st_uid, geteuid());
        kt_hint(err, "run vaultd as its owner (--user), or: chown -R %u %s", geteuid(), path);
        return KT_PRECONDITION;
    }
    if ((st->st_mode & 077) != 0) {
        (void)kt_fail(err, KT_PRECONDITION, "'%s%s%s' has mode %04o: others may get at it", path,
                      slash, name, st->st_mode & 07777);
        kt_hint(err, "chmod go= %s%s%s", path, slash, name);
        return KT_PRECONDITION;
    }
    return KT_OK;
}

enum kt_kind store_folder_check(const struct store_folder *folder, const char *path,
                                const char *name, bool is_folder, struct kt_err *err)
{
    struct stat st;
    if (fstatat(folder->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT)
            return kt_fail(err, KT_NOT_FOUND, "there is no '%s/%s'", path, name);
        return kt_fail(err, KT_IO, "cannot look at '%s/%s'", path, name);
    }
    if (is_folder ? !S_ISDIR(st.st_mode) : !S_ISREG(st.st_mode)) {
        (void)kt_fail(err, KT_PRECONDITION, "'%s/%s' is not a %s", path, name,
                      is_folder ? "folder" : "plain file");
        kt_hint(err, "move it away, or set storage.path to another folder");
        return KT_PRECONDITION;
    }
    return check_owner(&st, path, "/", name, err);
}

static enum kt_kind open_folder(const char *path, int *ret_fd, struct kt_err *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        *ret_fd = fd;
        return KT_OK;
    }
    if (errno == ENOTDIR) {
        (void)kt_fail(err, KT_PRECONDITION, "the data folder '%s' is not a folder", path);
        kt_hint(err, "set storage.path to a folder");
        return KT_PRECONDITION;
    }
    (void)kt_fail(err, KT_IO, "cannot open the data folder '%s'", path);
    if (err != NULL && err->saved_errno == ENOENT)
        kt_hint(err, "create it: install -d -m 0700 -o keyturn -g keyturn %s", path);
    else if (err != NULL && err->saved_errno == EACCES)
        kt_hint(err, "run vaultd as its owner (--user), or: chown -R keyturn: %s", path);
    return KT_IO;
}

static enum kt_kind check_file_system(int fd, const char *path, struct kt_err *err)
{
    struct statfs fs;
    if (fstatfs(fd, &fs) != 0)
        return kt_fail(err, KT_IO, "cannot ask for the file system of '%s'", path);
    const char *name = store_folder_foreign((uint64_t)fs.f_type);
    if (name == NULL)
        return KT_OK;
    (void)kt_fail(err, KT_PRECONDITION,
                  "the data folder '%s' is on %s, where memory maps and locks cannot be trusted",
                  path, name);
    kt_hint(err, "set storage.path to a folder on a local disk");
    return KT_PRECONDITION;
}

static enum kt_kind cannot_write(const char *path, struct kt_err *err)
{
    int why = errno;
    if (why == EROFS) {
        (void)kt_fail(err, KT_PRECONDITION, "the data folder '%s' is on a read-only file system",
                      path);
        kt_hint(err, "mount it for writing; a disk that failed may have been set read-only: dmesg");
        return KT_PRECONDITION;
    }
    if (why == ENOSPC || why == EDQUOT) {
        (void)kt_fail(err, KT_FULL, "the disk of the data folder '%s' is full", path);
        kt_hint(err, "make room: df -h %s; df -i %s", path, path);
        return KT_FULL;
    }
    (void)kt_fail(err, KT_IO, "cannot write in the data folder '%s'", path);
    kt_hint(err, "chmod u=rwx %s", path);
    return KT_IO;
}

/* Who holds the lock wrote its process id; a torn or empty text is no reason to fail. */
static enum kt_kind held_by_another(int fd, const char *path, struct kt_err *err)
{
    char text[24] = {0};
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    uint64_t pid = 0;
    if (n > 0 && text[n - 1] == '\n')
        (void)kt_u64_parse(kt_bytes(text, (size_t)n - 1), INT32_MAX, &pid);
    if (pid != 0)
        (void)kt_fail(err, KT_BUSY, "the data folder '%s' is in use by another vaultd (process %d)",
                      path, (int)pid);
    else
        (void)kt_fail(err, KT_BUSY, "the data folder '%s' is in use by another vaultd", path);
    kt_hint(err, "stop that one first (systemctl stop vaultd), or set storage.path to another "
                 "folder");
    return KT_BUSY;
}

static enum kt_kind take_lock(int folder, const char *path, int *ret_fd, struct kt_err *err)
{
    kt_autoclose int fd =
        openat(folder, LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
    if (fd < 0)
        return cannot_write(path, err);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            return held_by_another(fd, path, err);
        return kt_fail(err, KT_IO, "cannot lock '%s/" LOCK_FILE "'", path);
    }
    char text[24];
    int n = snprintf(text, sizeof text, "%d\n", (int)getpid());
    /* Only for the message above: a full disk is found out where it matters. */
    if (ftruncate(fd, 0) == 0 && n > 0)
        (void)!pwrite(fd, text, (size_t)n, 0);
    *ret_fd = KT_TAKE_FD(fd);
    return KT_OK;
}

enum kt_kind store_folder_open(const char *path, struct store_folder *ret, struct kt_err *err)
{
    if (path == NULL || path[0] == '\0') {
        (void)kt_fail(err, KT_INVALID, "storage \"lmdb\" needs a path");
        kt_hint(err, "storage \"lmdb\" { path = \"/var/lib/keyturn\" }");
        return KT_INVALID;
    }
    int opened = -1;
    enum kt_kind kind = open_folder(path, &opened, err);
    if (kind != KT_OK)
        return kind;
    kt_autoclose int fd = opened;
    struct stat st;
    if (fstat(fd, &st) != 0)
        return kt_fail(err, KT_IO, "cannot look at the data folder '%s'", path);
    kind = check_owner(&st, path, "", "", err);
    if (kind == KT_OK)
        kind = check_file_system(fd, path, err);
    int lock = -1;
    if (kind == KT_OK)
        kind = take_lock(fd, path, &lock, err);
    if (kind != KT_OK)
        return kind;
    *ret = (struct store_folder){.fd = KT_TAKE_FD(fd), .lock = lock};
    return KT_OK;
}

void store_folder_close(struct store_folder *folder)
{
    (void)close(folder->fd);
    (void)close(folder->lock);
}
