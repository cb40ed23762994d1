#include "vaultd/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *place)
{
    (void)st;
    (void)type;
    (void)place;
    (void)remove(path); /* what cannot be removed stays; there is nobody to tell */
    return 0;
}

/* Signals of the terminal are for the process it waits for. */
static _Noreturn void wait_and_remove(int leash, const char *path)
{
    char byte;
    sigset_t all;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, NULL);
    (void)setsid();
    while (read(leash, &byte, 1) < 0 && errno == EINTR)
        continue;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): this process has one thread
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    _exit(0);
}

enum kt_kind scratch_new(struct scratch *ret, struct kt_err *err)
{
    struct scratch scratch = {.path = "/tmp/keyturn-XXXXXX", .leash = -1};
    int ends[2];
    if (mkdtemp(scratch.path) == NULL)
        return kt_fail(err, KT_IO, "cannot make a folder in /tmp");
    if (pipe2(ends, O_CLOEXEC) != 0) {
        (void)rmdir(scratch.path);
        return kt_fail(err, KT_IO, "cannot make a pipe");
    }
    scratch.child = fork();
    if (scratch.child == 0) {
        (void)close(ends[1]);
        wait_and_remove(ends[0], scratch.path);
    }
    (void)close(ends[0]);
    if (scratch.child < 0) {
        (void)close(ends[1]);
        (void)rmdir(scratch.path);
        return kt_fail(err, KT_IO, "cannot start a process");
    }
    scratch.leash = ends[1];
    *ret = scratch;
    return KT_OK;
}

void scratch_free(struct scratch *scratch)
{
    if (scratch == NULL || scratch->child <= 0)
        return;
    (void)close(scratch->leash);
    while (waitpid(scratch->child, NULL, 0) < 0 && errno == EINTR)
        continue;
    scratch->child = 0;
}
