/* lib/process.c - see lib/process.h. */
#include "lib/process.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/failpoint.h"

#define KEEP_MAX 64u

static enum kt_kind open_standard_fds(struct kt_err *err)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        /* The lowest free descriptor is this one: those below are open by now. */
        int opened = open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY);
        if (opened != fd) {
            if (opened >= 0)
                (void)close(opened);
            return kt_fail(err, KT_IO, "cannot open /dev/null as descriptor %d", fd);
        }
    }
    return KT_OK;
}

static enum kt_kind keep_environment(const char *const *keep, struct kt_err *err)
{
    char *values[KEEP_MAX] = {0};
    size_t n = 0;
    bool ok = true;
    for (; keep != NULL && keep[n] != NULL && n < KEEP_MAX; n++) {
        const char *value = secure_getenv(keep[n]);
        if (value == NULL)
            continue;
        size_t size = strlen(value) + 1;
        values[n] = kt_malloc(size);
        if (values[n] == NULL)
            ok = false;
        else
            memcpy(values[n], value, size);
    }
    ok = ok && clearenv() == 0; // NOLINT(concurrency-mt-unsafe): before threads
    for (size_t i = 0; i < n; i++) {
        // NOLINTNEXTLINE(concurrency-mt-unsafe): before threads
        if (ok && values[i] != NULL && setenv(keep[i], values[i], 1) != 0)
            ok = false;
        if (values[i] != NULL)
            explicit_bzero(values[i], strlen(values[i]));
        free(values[i]);
    }
    return ok ? KT_OK : kt_fail(err, KT_NO_MEMORY, "cannot set up the environment");
}

enum kt_kind kt_process_start(const struct kt_process_options *options, struct kt_err *err)
{
    (void)umask(077);
    enum kt_kind kind = open_standard_fds(err);
    if (kind != KT_OK)
        return kind;
    if (close_range(3 + options->inherited_fds, ~0u, CLOSE_RANGE_CLOEXEC) != 0)
        return kt_fail(err, KT_IO, "cannot mark descriptors close-on-exec");
    kind = keep_environment(options->keep_env, err);
    if (kind != KT_OK)
        return kind;
    struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0)
        return kt_fail(err, KT_IO, "cannot forbid core files");
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return kt_fail(err, KT_IO, "cannot make the process undumpable");
    if (!options->may_gain_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return kt_fail(err, KT_IO, "cannot forbid new privileges");
    return KT_OK;
}

enum kt_kind kt_process_become(unsigned uid, unsigned gid, struct kt_err *err)
{
    if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
        return kt_fail(err, KT_IO, "cannot change to user %u, group %u", uid, gid);
    if (uid != 0 && setuid(0) == 0)
        return kt_fail(err, KT_INTERNAL, "still able to become root after changing to user %u",
                       uid);
    /* Changing the user resets it. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return kt_fail(err, KT_IO, "cannot make the process undumpable");
    return KT_OK;
}
