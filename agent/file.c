#include "agent/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/random.h"
#include "lib/write.h"

#define FILE_MAX  ((size_t)1024 * 1024)
#define NAME_PART 200u /* of the name in a temporary one */

static enum kt_kind split(const char *path, char folder[4096], const char **ret_name,
                          struct kt_err *err)
{
    const char *slash = strrchr(path, '/');
    if (path[0] != '/' || slash == NULL || slash[1] == '\0' || strlen(path) >= 4096)
        return kt_fail(err, KT_INVALID, "file '%s' must be an absolute path", path);
    size_t n = slash == path ? 1 : (size_t)(slash - path);
    memcpy(folder, path, n);
    folder[n] = '\0';
    *ret_name = slash + 1;
    return KT_OK;
}

/* Who may write a folder may swap what is in it; a sticky one (/tmp) lets only owners do so. */
static enum kt_kind check_folder(int fd, const char *folder, uid_t owner, struct kt_err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return kt_fail(err, KT_IO, "cannot look at '%s'", folder);
    bool others = (st.st_mode & (S_IWGRP | S_IWOTH)) != 0 && (st.st_mode & S_ISVTX) == 0;
    bool known = st.st_uid == 0 || st.st_uid == geteuid() || st.st_uid == owner;
    if (!others && known)
        return KT_OK;
    errno = 0;
    (void)kt_fail(err, KT_DENIED, "'%s' may be written by others: no secret goes below it", folder);
    kt_hint(err, "chmod go-w '%s', and let it belong to root or to the user of the agent", folder);
    return KT_DENIED;
}

static enum kt_kind step_into(int *fd, const char *folder, size_t from, size_t to, uid_t owner,
                              struct kt_err *err)
{
    char name[256], so_far[4096];
    (void)snprintf(name, sizeof name, "%.*s", (int)(to - from), folder + from);
    (void)snprintf(so_far, sizeof so_far, "%.*s", (int)to, folder);
    kt_autoclose int next = openat(*fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (next < 0) {
        bool link = errno == ENOTDIR || errno == ELOOP;
        (void)kt_fail(err, KT_IO, "cannot open the folder '%s'", so_far);
        if (link)
            kt_hint(err, "name a folder itself, not a symbolic link to it: realpath '%s'", so_far);
        else
            kt_hint(err, "mkdir -m 700 '%s'", folder);
        return KT_IO;
    }
    enum kt_kind kind = check_folder(next, so_far, owner, err);
    if (kind != KT_OK)
        return kind;
    (void)close(*fd);
    *fd = KT_TAKE_FD(next);
    return KT_OK;
}

/* From the root, part by part: a link or a folder of somebody else's on the way would let him
 * choose where the secret goes. */
static enum kt_kind open_folder(const char *folder, uid_t owner, int *ret, struct kt_err *err)
{
    kt_autoclose int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return kt_fail(err, KT_IO, "cannot open '/'");
    for (size_t from = 1; folder[from] != '\0';) {
        size_t to = from + strcspn(folder + from, "/");
        bool up = to - from == 2 && memcmp(folder + from, "..", 2) == 0;
        if (up || to - from > 255)
            return kt_fail(err, KT_INVALID, "'%s' is not a plain absolute path", folder);
        bool empty = to == from || (to - from == 1 && folder[from] == '.');
        enum kt_kind kind = empty ? KT_OK : step_into(&fd, folder, from, to, owner, err);
        if (kind != KT_OK)
            return kind;
        from = to + (folder[to] == '/');
    }
    *ret = KT_TAKE_FD(fd);
    return KT_OK;
}

static enum kt_kind write_all(int fd, struct kt_bytes content, const char *path, struct kt_err *err)
{
    if (kt_write_all(fd, content))
        return KT_OK;
    (void)kt_fail(err, KT_IO, "cannot write '%s'", path);
    kt_hint(err, "make room in its file system, or give the file another place");
    return KT_IO;
}

/* True when the file there has these bytes, this owner and this mode already. */
static bool same(int folder, const char *name, const struct file_wish *wish,
                 struct kt_bytes content)
{
    kt_autoclose int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
        (size_t)st.st_size != content.len || (st.st_mode & 07777) != wish->mode)
        return false;
    if ((wish->owner != (uid_t)-1 && st.st_uid != wish->owner) ||
        (wish->group != (gid_t)-1 && st.st_gid != wish->group))
        return false;
    kt_autobuf struct kt_buf old;
    kt_buf_init(&old, FILE_MAX);
    unsigned char *at = kt_buf_grow(&old, content.len);
    return at != NULL && read(fd, at, content.len) == (ssize_t)content.len &&
           memcmp(at, content.at, content.len) == 0; /* public to whoever may read the file */
}

static enum kt_kind put(int folder, const char *name, const struct file_wish *wish,
                        struct kt_bytes content, struct kt_err *err)
{
    kt_autoclose int fd = openat(folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0) {
        (void)kt_fail(err, KT_IO, "cannot make a file beside '%s'", wish->path);
        kt_hint(err, "put it on a tmpfs, below /run or /dev/shm");
        return KT_IO;
    }
    enum kt_kind kind = write_all(fd, content, wish->path, err);
    if (kind != KT_OK)
        return kind;
    /* The owner first: a wide mode before it would be a window. */
    if (fchown(fd, wish->owner, wish->group) != 0)
        return kt_fail(err, KT_IO, "cannot give '%s' its owner", wish->path);
    if (fchmod(fd, wish->mode) != 0)
        return kt_fail(err, KT_IO, "cannot set the mode of '%s'", wish->path);
    if (fsync(fd) != 0)
        return kt_fail(err, KT_IO, "cannot write '%s'", wish->path);
    unsigned char random[8];
    kt_random_id(random, sizeof random);
    char from[64], temporary[320];
    (void)snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
    (void)snprintf(temporary, sizeof temporary, ".%.*s.%02x%02x%02x%02x%02x%02x%02x%02x",
                   (int)NAME_PART, name, random[0], random[1], random[2], random[3], random[4],
                   random[5], random[6], random[7]);
    if (linkat(AT_FDCWD, from, folder, temporary, AT_SYMLINK_FOLLOW) != 0)
        return kt_fail(err, KT_IO, "cannot name '%s'", wish->path);
    if (renameat(folder, temporary, folder, name) != 0) {
        kind = kt_fail(err, KT_IO, "cannot replace '%s'", wish->path);
        (void)unlinkat(folder, temporary, 0);
        return kind;
    }
    return KT_OK;
}

enum kt_kind file_put(const struct file_wish *wish, struct kt_bytes content, bool *ret_changed,
                      struct kt_err *err)
{
    char folder[4096];
    const char *name = NULL;
    enum kt_kind kind = split(wish->path, folder, &name, err);
    if (kind != KT_OK)
        return kind;
    kt_autoclose int fd = -1;
    kind = open_folder(folder, wish->owner, &fd, err);
    if (kind != KT_OK)
        return kind;
    if (same(fd, name, wish, content)) {
        *ret_changed = false;
        return KT_OK;
    }
    kind = put(fd, name, wish, content, err);
    if (kind == KT_OK)
        *ret_changed = true;
    return kind;
}

/* ".NAME." and 16 hex digits: our own temporary name. */
static bool is_leftover(const char *entry, const char *name)
{
    size_t len = strlen(name) < NAME_PART ? strlen(name) : NAME_PART;
    return entry[0] == '.' && strncmp(entry + 1, name, len) == 0 && entry[1 + len] == '.' &&
           strlen(entry + len + 2) == 16 && strspn(entry + len + 2, "0123456789abcdef") == 16;
}

void file_sweep(const char *path)
{
    char folder[4096];
    const char *name = NULL;
    if (split(path, folder, &name, NULL) != KT_OK)
        return;
    DIR *all = opendir(folder);
    if (all == NULL)
        return;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is ours alone
    for (struct dirent *entry = readdir(all); entry != NULL; entry = readdir(all))
        if (is_leftover(entry->d_name, name))
            (void)unlinkat(dirfd(all), entry->d_name, 0);
    (void)closedir(all);
}
