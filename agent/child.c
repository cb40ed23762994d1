#include "agent/child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/failpoint.h"
#include "lib/log.h"

#define GROUP_LOOK_MS    20
#define GROUP_GIVE_UP_MS 2000

static const int forwarded[] = {SIGHUP,  SIGINT,   SIGQUIT, SIGTERM, SIGUSR1,
                                SIGUSR2, SIGWINCH, SIGCONT, SIGTSTP};

static void signal_set(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGCHLD);
    for (int signal = SIGRTMIN; signal <= SIGRTMAX; signal++)
        (void)sigaddset(set, signal);
    for (size_t i = 0; i < sizeof forwarded / sizeof forwarded[0]; i++)
        (void)sigaddset(set, forwarded[i]);
}

enum kt_kind supervisor_open(struct supervisor *s, char *const *argv, char **base_env, mode_t umask,
                             int64_t stop_timeout_ms, struct kt_err *err)
{
    *s = (struct supervisor){.fd = -1,
                             .signal_fd = -1,
                             .argv = argv,
                             .base_env = base_env,
                             .umask = umask,
                             .stop_timeout_ms = stop_timeout_ms};
    sigset_t set;
    signal_set(&set);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
        return kt_fail(err, KT_IO, "cannot block signals");
    (void)signal(SIGPIPE, SIG_IGN);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* orphans come to us, and are reaped */
    s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    s->fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    if (s->signal_fd < 0 || s->fd < 0 || epoll_ctl(s->fd, EPOLL_CTL_ADD, s->signal_fd, &event) != 0)
        return kt_fail(err, KT_IO, "cannot watch signals");
    return KT_OK;
}

void supervisor_close(struct supervisor *s)
{
    if (s->signal_fd >= 0)
        (void)close(s->signal_fd);
    if (s->fd >= 0)
        (void)close(s->fd);
    s->signal_fd = s->fd = -1;
}

/* ---- starting ---- */

/* In the child, between fork and exec: only async-signal-safe calls. */
static _Noreturn void become(const struct supervisor *s, char *const *argv, char **env,
                             int error_fd, bool quiet)
{
    sigset_t none;
    (void)sigemptyset(&none);
    struct sigaction plain = {.sa_handler = SIG_DFL};
    for (int i = 1; i < NSIG; i++)
        (void)sigaction(i, &plain, NULL);
    (void)pthread_sigmask(SIG_SETMASK, &none, NULL);
    if (quiet || !isatty(STDIN_FILENO))
        (void)setpgid(0, 0);
    (void)umask(s->umask);
    /* Libraries may have opened some without close-on-exec. */
    (void)close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
    if (quiet) {
        int null = open("/dev/null", O_RDWR);
        if (null >= 0) {
            (void)dup2(null, STDIN_FILENO);
            (void)dup2(null, STDOUT_FILENO);
            (void)dup2(null, STDERR_FILENO);
        }
    }
    (void)execvpe(argv[0], argv, env);
    int error = errno;
    (void)!write(error_fd, &error, sizeof error);
    _exit(127);
}

static size_t count(char *const *list)
{
    size_t n = 0;
    while (list != NULL && list[n] != NULL)
        n++;
    return n;
}

/* Extra entries replace those of the same name. */
static char **join_env(char **base, char *const *extra)
{
    size_t n_base = count(base), n_extra = count(extra), n = 0;
    char **env = kt_calloc(n_base + n_extra + 1, sizeof *env);
    if (env == NULL)
        return NULL;
    for (size_t i = 0; i < n_base; i++) {
        bool replaced = false;
        for (size_t j = 0; j < n_extra && !replaced; j++) {
            size_t name = (size_t)(strchr(extra[j], '=') - extra[j]) + 1;
            replaced = strncmp(base[i], extra[j], name) == 0;
        }
        if (!replaced)
            env[n++] = base[i];
    }
    for (size_t j = 0; j < n_extra; j++)
        env[n++] = extra[j];
    return env;
}

/* Forks and execs; an exec that failed is told through a pipe that a successful one closes. */
static enum kt_kind spawn(const struct supervisor *s, char *const *argv, char *const *extra,
                          bool quiet, pid_t *ret, struct kt_err *err)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0)
        return kt_fail(err, KT_IO, "cannot start '%s'", argv[0]);
    kt_autofree char **env = join_env(s->base_env, extra);
    kt_autoclose int out = fds[0];
    if (env == NULL) {
        (void)close(fds[1]);
        return kt_fail(err, KT_NO_MEMORY, "starting '%s'", argv[0]);
    }
    pid_t pid = fork();
    if (pid == 0)
        become(s, argv, env, fds[1], quiet);
    (void)close(fds[1]);
    if (pid < 0)
        return kt_fail(err, KT_IO, "cannot start '%s'", argv[0]);
    int error = 0;
    ssize_t n = 0;
    do
        n = read(out, &error, sizeof error);
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)sizeof error) {
        (void)waitpid(pid, NULL, 0);
        bool missing = error == ENOENT || error == ENOTDIR;
        (void)kt_fail(err, missing ? KT_NOT_FOUND : KT_DENIED, "cannot run '%s': %s", argv[0],
                      kt_errno_text(error));
        kt_hint(err, "check the program's path and that this user may run it");
        return missing ? KT_NOT_FOUND : KT_DENIED;
    }
    *ret = pid;
    return KT_OK;
}

enum kt_kind child_start(struct supervisor *s, char *const *extra_env, struct kt_err *err)
{
    pid_t pid = 0;
    enum kt_kind kind = spawn(s, s->argv, extra_env, false, &pid, err);
    if (kind != KT_OK)
        return kind;
    s->pid = pid;
    s->group = getpgid(pid) == pid ? pid : 0; /* exec came after it made its group */
    s->state = CHILD_RUNNING;
    s->kill_at_ms = 0;
    s->started_ms = s->last_start_ms = kt_mono_ms(&kt_system_clock);
    return KT_OK;
}

/* ---- events ---- */

void child_signal(struct supervisor *s, int signal)
{
    if (s->state != CHILD_RUNNING)
        return;
    /* Its group if it has one of its own: a shell's children belong to the service. */
    (void)kill(s->group != 0 ? -s->group : s->pid, signal);
}

static void reap(struct supervisor *s)
{
    for (;;) {
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0)
            return;
        if (info.si_pid == s->pid && s->state == CHILD_RUNNING) {
            s->state = CHILD_ENDED;
            s->status = info.si_status;
            s->code = info.si_code;
        } else if (info.si_pid == s->helper) {
            s->helper_ended = true;
            s->helper_status = info.si_status;
            s->helper_code = info.si_code;
        }
    }
}

static void forward(struct supervisor *s, const struct signalfd_siginfo *info)
{
    int signal = (int)info->ssi_signo;
    bool end = signal == SIGTERM || signal == SIGINT || signal == SIGQUIT;
    /* What a terminal's key sent went to the whole foreground group. What it means is the service's
     * to say: psql only gives up a query. */
    bool whole_group = info->ssi_code == SI_KERNEL && s->state == CHILD_RUNNING && s->group == 0;
    if (end && !whole_group) {
        s->ending = true;
        if (s->state == CHILD_NONE) { /* nobody to forward it to: it is ours */
            s->code = CLD_KILLED;
            s->status = signal;
        }
        if (s->kill_at_ms == 0)
            s->kill_at_ms = kt_mono_ms(&kt_system_clock) + s->stop_timeout_ms;
    }
    if (!whole_group)
        child_signal(s, signal);
    if (signal == SIGTSTP)
        (void)raise(SIGSTOP); /* whoever stopped us both waits for us */
}

static void read_signals(struct supervisor *s)
{
    struct signalfd_siginfo info;
    while (read(s->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
        if (info.ssi_signo != SIGCHLD)
            forward(s, &info);
    reap(s);
}

static void kill_if_due(struct supervisor *s)
{
    if (s->kill_at_ms == 0 || s->state != CHILD_RUNNING ||
        kt_mono_ms(&kt_system_clock) < s->kill_at_ms)
        return;
    kt_log(KT_LOG_WARNING, "service-killed",
           "pid=%d why=\"it did not end within its stop_timeout\"", (int)s->pid);
    child_signal(s, SIGKILL);
    s->kill_at_ms = 0;
}

/* The shorter of what the caller wants and what is left of the stop time. */
static int bounded(const struct supervisor *s, int timeout_ms)
{
    if (s->kill_at_ms == 0 || s->state != CHILD_RUNNING)
        return timeout_ms;
    int64_t left = s->kill_at_ms - kt_mono_ms(&kt_system_clock);
    if (left < 0)
        left = 0;
    return timeout_ms < 0 || left < timeout_ms ? (int)left : timeout_ms;
}

bool child_events(struct supervisor *s, int timeout_ms)
{
    struct epoll_event event;
    int n = epoll_wait(s->fd, &event, 1, bounded(s, timeout_ms));
    if (n > 0)
        read_signals(s);
    kill_if_due(s);
    return s->state == CHILD_RUNNING;
}

/* What the service started may outlive it, and keep its port or its files: all of it has to be gone
 * before the next one is started. Orphans come to us and are reaped like children. */
static void end_group(struct supervisor *s)
{
    bool killed = false;
    while (s->group != 0 && kill(-s->group, 0) == 0) {
        int64_t left = s->kill_at_ms - kt_mono_ms(&kt_system_clock);
        if (left <= 0 && !killed) {
            kt_log(KT_LOG_WARNING, "service-rest-killed", "group=%d", (int)s->group);
            (void)kill(-s->group, SIGKILL);
            killed = true;
        } else if (left <= -GROUP_GIVE_UP_MS) {
            return; /* not ours to end: it became another user's */
        }
        (void)child_events(s, GROUP_LOOK_MS);
    }
}

void child_stop(struct supervisor *s)
{
    if (s->state == CHILD_NONE)
        return;
    s->kill_at_ms = kt_mono_ms(&kt_system_clock) + s->stop_timeout_ms;
    if (s->state == CHILD_RUNNING)
        child_signal(s, SIGTERM);
    else if (s->group != 0)
        (void)kill(-s->group, SIGTERM); /* it ended by itself, what it started may not have */
    int64_t end_ms = s->kill_at_ms;
    while (s->state == CHILD_RUNNING)
        (void)child_events(s, -1);
    s->kill_at_ms = end_ms;
    end_group(s);
    s->kill_at_ms = 0;
}

bool child_helper(struct supervisor *s, char *const *argv, int64_t timeout_ms)
{
    struct kt_err err = {0};
    s->helper_ended = false;
    if (spawn(s, argv, NULL, true, &s->helper, &err) != KT_OK) {
        kt_log_err(KT_LOG_WARNING, "helper-failed", &err);
        s->helper = 0;
        return false;
    }
    int64_t end = kt_mono_ms(&kt_system_clock) + timeout_ms;
    while (!s->helper_ended) {
        int64_t left = end - kt_mono_ms(&kt_system_clock);
        if (left <= 0 || (s->ending && s->state == CHILD_ENDED)) {
            (void)kill(-s->helper, SIGKILL);
            left = -1;
        }
        (void)child_events(s, (int)left);
    }
    s->helper = 0;
    return s->helper_code == CLD_EXITED && s->helper_status == 0;
}

void child_instance(const struct supervisor *s, char out[64])
{
    (void)snprintf(out, 64, "%d-%lld", (int)s->pid, (long long)s->started_ms);
}

bool child_failed(const struct supervisor *s)
{
    return s->state == CHILD_ENDED && (s->code != CLD_EXITED || s->status != 0);
}

int child_exit_status(const struct supervisor *s)
{
    if (s->code == CLD_EXITED)
        return s->status;
    /* Die as it died, so that whoever waits for us sees the signal; PID 1 cannot. */
    if (getpid() != 1) {
        struct rlimit none = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)signal(s->status, SIG_DFL);
        sigset_t set;
        (void)sigemptyset(&set);
        (void)sigaddset(&set, s->status);
        (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
        (void)raise(s->status);
    }
    return 128 + s->status;
}
