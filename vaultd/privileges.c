#include "vaultd/privileges.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/process.h"

#define LOCKED_BYTES ((rlim_t)64 * 1024 * 1024)

enum kt_kind privileges_find(const char *user, struct identity *ret, struct kt_err *err)
{
    *ret = (struct identity){.uid = geteuid(), .gid = getegid(), .name = user};
    if (geteuid() != 0)
        return KT_OK;
    struct passwd entry, *found = NULL;
    char texts[4096];
    if (getpwnam_r(user, &entry, texts, sizeof texts, &found) != 0 || found == NULL) {
        enum kt_kind kind = kt_fail(
            err, KT_NOT_FOUND, "started as root, and there is no user '%s' to change to", user);
        kt_hint(err,
                "useradd --system --home-dir /var/lib/vaultd --shell /usr/sbin/nologin %s "
                "(make deps does it for keyturn), or --user NAME",
                user);
        return kind;
    }
    if (entry.pw_uid == 0) {
        enum kt_kind kind = kt_fail(err, KT_INVALID, "the user '%s' is root", user);
        kt_hint(err, "vaultd never runs as root: name another user, or create keyturn");
        return kind;
    }
    ret->change = true;
    ret->uid = entry.pw_uid;
    ret->gid = entry.pw_gid;
    return KT_OK;
}

static bool is_empty(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    if (dir == NULL) {
        if (copy >= 0)
            (void)close(copy);
        return false;
    }
    bool empty = true;
    for (const struct dirent *at;
         empty && (at = readdir(dir)) != NULL;) // NOLINT(concurrency-mt-unsafe): dir is ours
        empty = strcmp(at->d_name, ".") == 0 || strcmp(at->d_name, "..") == 0;
    (void)closedir(dir);
    return empty;
}

bool privileges_would_give_folder(const struct identity *identity, const char *path)
{
    struct stat st;
    kt_autoclose int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (!identity->change)
        return false;
    if (fd >= 0)
        return fstat(fd, &st) == 0 && st.st_uid == 0 && is_empty(fd);
    if (errno != ENOENT)
        return false;
    char parent[PATH_MAX];
    size_t end = strlen(path);
    while (end > 0 && path[end - 1] == '/') /* mkdir() takes no notice of them */
        end--;
    while (end > 0 && path[end - 1] != '/')
        end--;
    int len = end == 0 ? snprintf(parent, sizeof parent, ".") : snprintf(parent, sizeof parent, "%.*s", (int)end, path);
    return len > 0 && (size_t)len < sizeof parent && stat(parent, &st) == 0 && S_ISDIR(st.st_mode) &&
           access(parent, W_OK | X_OK) == 0;
}

enum kt_kind privileges_give_folder(const struct identity *identity, const char *path,
                                    struct kt_err *err)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        enum kt_kind kind = kt_fail(err, KT_IO, "cannot make the folder '%s'", path);
        kt_hint(err, "install -d -o keyturn -g keyturn -m 0700 %s", path);
        return kind;
    }
    if (!identity->change)
        return KT_OK;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        enum kt_kind kind = kt_fail(err, KT_IO, "cannot open the folder '%s'", path);
        if (fd >= 0)
            (void)close(fd);
        return kind;
    }
    enum kt_kind kind = KT_OK;
    if (st.st_uid == 0 && is_empty(fd) &&
        (fchown(fd, identity->uid, identity->gid) != 0 || fchmod(fd, 0700) != 0))
        kind = kt_fail(err, KT_IO, "cannot give the folder '%s' to %s", path, identity->name);
    (void)close(fd);
    return kind;
}

static void raise_one(__rlimit_resource_t resource, rlim_t wanted)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    struct rlimit higher = {wanted, limit.rlim_max < wanted ? wanted : limit.rlim_max};
    if (setrlimit(resource, &higher) == 0)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    (void)setrlimit(resource, &limit); /* whoever needs more says so where it lacks */
}

void privileges_raise_limits(unsigned long descriptors)
{
    raise_one(RLIMIT_MEMLOCK, LOCKED_BYTES);
    raise_one(RLIMIT_NOFILE, descriptors);
}

enum kt_kind privileges_drop(const struct identity *identity, struct kt_err *err)
{
    if (!identity->change)
        return KT_OK;
    return kt_process_become(identity->uid, identity->gid, err);
}
