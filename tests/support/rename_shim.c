/* tests/support/rename_shim.c - a host that is struck while a file is replaced. Preloaded into sshd, whose
 * SFTP renames; nothing of it is installed.
 *
 * Beside the file FILE that a rename replaces a test puts one of these, which holds once and is FILE....met
 * then; OP is "apply" where the new file is larger, "revoke" where it is smaller:
 *     FILE.before-OP   the process ends, and nothing is renamed
 *     FILE.after-OP    it is renamed, and the process ends before it says so
 *     FILE.hold-OP     it waits until there is FILE.hold-OP.go
 *     FILE.hold-sync   the same, when the new file, FILE.keyturn-NAME, is written and to be synced */
#include <dlfcn.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef int rename_fn(const char *from, const char *to);
typedef int fsync_fn(int fd);

static int rename_it(const char *from, const char *to)
{
    union {
        void *at;
        rename_fn *fn;
    } next = {.at = dlsym(RTLD_NEXT, "rename")};
    return next.fn(from, to);
}

static bool met(const char *file, const char *when, const char *op)
{
    char mark[1024], done[1032];
    (void)snprintf(mark, sizeof mark, "%s.%s-%s", file, when, op);
    (void)snprintf(done, sizeof done, "%s.met", mark);
    return rename_it(mark, done) == 0;
}

static void wait_for(const char *file, const char *op)
{
    char go[1024];
    const struct timespec moment = {.tv_nsec = 20000000};
    (void)snprintf(go, sizeof go, "%s.hold-%s.go", file, op);
    while (access(go, F_OK) != 0)
        (void)nanosleep(&moment, NULL);
}

int rename(const char *from, const char *to)
{
    struct stat fresh, old;
    const char *op = stat(from, &fresh) == 0 && stat(to, &old) == 0 && fresh.st_size < old.st_size ? "revoke" : "apply";
    if (met(to, "before", op))
        (void)raise(SIGKILL);
    if (met(to, "hold", op))
        wait_for(to, op);
    int got = rename_it(from, to);
    if (got == 0 && met(to, "after", op))
        (void)raise(SIGKILL);
    return got;
}

int fsync(int fd)
{
    union {
        void *at;
        fsync_fn *fn;
    } next = {.at = dlsym(RTLD_NEXT, "fsync")};
    char link[32], path[1000];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n < 0 ? 0 : n] = '\0';
    char *end = strstr(path, ".keyturn-");
    if (end != NULL) {
        *end = '\0';
        if (met(path, "hold", "sync"))
            wait_for(path, "sync");
    }
    return next.fn(fd);
}
