#include "vaultd/pam/keeper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/ipc.h"
#include "lib/log.h"
#include "lib/sandbox.h"
#include "lib/timespec.h"

/* SSSD's, Kerberos' and directory modules map much and use little of it. */
#define CHILD_ADDRESS_BYTES ((uint64_t)1024 * 1024 * 1024)
#define CHILD_CPU_S         30u
#define CHILD_FILES         256u

struct child {
    pid_t pid;  /* 0: free */
    int socket; /* the child's end: to say how it ended, and to see whether vaultd is there */
    int64_t deadline_ms;
    bool killed;
};

struct keeper {
    const struct keeper_rules *rules;
    int listener, signals;
    struct child children[PAMD_LOGINS_MAX];
    int64_t idle_since_ms;
    bool stopping;
};

/* ---- children ---- */

static void say(int socket, enum pamd_letter letter, uint32_t status)
{
    const struct pamd_message message = {.letter = letter, .status = status};
    unsigned char room[16];
    kt_autobuf struct kt_buf out;
    kt_buf_init_in(&out, sizeof room, room, sizeof room);
    pamd_encode(&message, &out);
    /* Nobody may be listening any more; nothing is to be done about it. */
    enum kt_kind ignored = kt_ipc_send(socket, kt_buf_bytes(&out), NULL, 0, 0, NULL);
    (void)ignored;
}

/* After the fork. It has its socket, and nothing of the others. */
_Noreturn static void become_child(const struct keeper *keeper, int socket, pid_t parent)
{
    struct kt_limits limits = KT_LIMITS_NONE;
    struct kt_err err = {0};
    sigset_t none;
    (void)sigemptyset(&none);
    (void)close(keeper->listener);
    (void)close(keeper->signals);
    for (size_t i = 0; i < PAMD_LOGINS_MAX; i++)
        if (keeper->children[i].pid != 0)
            (void)close(keeper->children[i].socket);
    limits.cpu_s = CHILD_CPU_S;
    limits.open_files = CHILD_FILES;
#if !defined(__SANITIZE_ADDRESS__)
    limits.address_bytes = CHILD_ADDRESS_BYTES;
#endif
    if (setsid() < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent ||
        pthread_sigmask(SIG_SETMASK, &none, NULL) != 0 || kt_limits_set(&limits, &err) != KT_OK)
        _exit(1);
    ask(&keeper->rules->ask, socket);
    _exit(0);
}

static struct child *free_child(struct keeper *keeper)
{
    for (size_t i = 0; i < PAMD_LOGINS_MAX; i++)
        if (keeper->children[i].pid == 0)
            return &keeper->children[i];
    return NULL;
}

/* With all that it started and that did not leave its session. */
static void kill_child(struct child *child)
{
    child->killed = true;
    if (kill(-child->pid, SIGKILL) != 0)
        (void)kill(child->pid, SIGKILL); /* it had no time yet to begin a session */
}

static void start_child(struct keeper *keeper, int socket)
{
    struct child *child = free_child(keeper);
    pid_t parent = getpid();
    pid_t pid = child == NULL ? -1 : fork();
    if (pid == 0)
        become_child(keeper, socket, parent);
    if (pid < 0) {
        if (child != NULL)
            kt_log(KT_LOG_ERROR, "no_child", "what=\"fork: %s\"", kt_errno_text(errno));
        say(socket, PAMD_BUSY, 0);
        (void)close(socket);
        return;
    }
    *child = (struct child){
        .pid = pid,
        .socket = socket,
        .deadline_ms = kt_timespec_mono_ms() + (int64_t)keeper->rules->timeout_s * 1000};
}

static void child_ended(struct child *child, int status)
{
    if (WIFSIGNALED(status) && !child->killed)
        kt_log(KT_LOG_ERROR, "pam_crashed", "signal=%d next=\"a module of the PAM stack is broken\"",
               WTERMSIG(status));
    say(child->socket, PAMD_ENDED, (uint32_t)status);
    (void)close(child->socket);
    *child = (struct child){0};
}

static void reap(struct keeper *keeper)
{
    siginfo_t info = {.si_pid = 0};
    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid > 0) {
        int status = 0;
        (void)kill(-info.si_pid, SIGKILL); /* what a module left behind; the number is not free yet */
        (void)waitpid(info.si_pid, &status, 0);
        for (size_t i = 0; i < PAMD_LOGINS_MAX; i++)
            if (keeper->children[i].pid == info.si_pid)
                child_ended(&keeper->children[i], status);
        info.si_pid = 0;
    }
}

/* ---- who connects ---- */

static bool is_vaultd(const struct keeper *keeper, int socket)
{
    struct ucred peer = {0};
    socklen_t len = sizeof peer;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && len == sizeof peer &&
        peer.uid == keeper->rules->peer_uid)
        return true;
    kt_log(KT_LOG_WARNING, "stranger", "uid=%u pid=%d", peer.uid, (int)peer.pid);
    return false;
}

/* Errors of one connection are that connection's: it goes on with the next. */
static void accept_one(struct keeper *keeper)
{
    int socket = accept4(keeper->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (socket < 0)
        return;
    if (is_vaultd(keeper, socket))
        start_child(keeper, socket);
    else
        (void)close(socket);
}

/* ---- the loop ---- */

static void read_signals(struct keeper *keeper)
{
    struct signalfd_siginfo info;
    while (read(keeper->signals, &info, sizeof info) == (ssize_t)sizeof info)
        keeper->stopping = keeper->stopping || info.ssi_signo != SIGCHLD;
    reap(keeper); /* several deaths may be one signal */
}

/* Milliseconds until something has to be done without being asked; -1: never. */
static int next_timeout(struct keeper *keeper, int64_t now_ms)
{
    int64_t next_ms = INT64_MAX;
    bool any = false;
    for (size_t i = 0; i < PAMD_LOGINS_MAX; i++) {
        const struct child *child = &keeper->children[i];
        any = any || child->pid != 0;
        if (child->pid != 0 && !child->killed && child->deadline_ms < next_ms)
            next_ms = child->deadline_ms;
    }
    if (any)
        keeper->idle_since_ms = now_ms;
    else if (keeper->rules->idle_s > 0)
        next_ms = keeper->idle_since_ms + (int64_t)keeper->rules->idle_s * 1000;
    if (next_ms == INT64_MAX)
        return -1;
    return next_ms > now_ms ? (int)(next_ms - now_ms) : 0;
}

static void end_late(struct keeper *keeper, int64_t now_ms)
{
    for (size_t i = 0; i < PAMD_LOGINS_MAX; i++) {
        struct child *child = &keeper->children[i];
        if (child->pid == 0 || child->killed || child->deadline_ms > now_ms)
            continue;
        kt_log(KT_LOG_WARNING, "pam_hangs", "seconds=%u", keeper->rules->timeout_s);
        kill_child(child);
    }
}

/* entries[0] and [1] are the listener and the signals; [2 + i] is child i. */
static void serve(struct keeper *keeper, struct pollfd entries[2 + PAMD_LOGINS_MAX])
{
    for (size_t i = 0; i < PAMD_LOGINS_MAX; i++)
        if (entries[2 + i].revents != 0 && keeper->children[i].pid != 0 &&
            !keeper->children[i].killed)
            kill_child(&keeper->children[i]);
    if (entries[1].revents != 0)
        read_signals(keeper);
    if (entries[0].revents != 0)
        accept_one(keeper);
}

static enum kt_kind watch(struct keeper *keeper, struct kt_err *err)
{
    while (!keeper->stopping) {
        struct pollfd entries[2 + PAMD_LOGINS_MAX] = {{.fd = keeper->listener, .events = POLLIN},
                                                      {.fd = keeper->signals, .events = POLLIN}};
        int64_t now_ms = kt_timespec_mono_ms();
        int timeout = next_timeout(keeper, now_ms);
        for (size_t i = 0; i < PAMD_LOGINS_MAX; i++) {
            const struct child *child = &keeper->children[i];
            /* Without events: only that vaultd hung up. What it sends is the child's. */
            entries[2 + i].fd = child->pid != 0 && !child->killed ? child->socket : -1;
        }
        int n = poll(entries, 2 + PAMD_LOGINS_MAX, timeout);
        if (n < 0 && errno != EINTR)
            return kt_fail(err, KT_IO, "cannot wait for connections");
        if (n > 0)
            serve(keeper, entries);
        now_ms = kt_timespec_mono_ms();
        end_late(keeper, now_ms);
        if (n == 0 && keeper->rules->idle_s > 0 && next_timeout(keeper, now_ms) == 0 &&
            keeper->idle_since_ms < now_ms)
            break; /* nobody came: the service manager starts it again */
    }
    return KT_OK;
}

static int take_signals(void)
{
    sigset_t mask;
    (void)sigemptyset(&mask);
    (void)sigaddset(&mask, SIGCHLD);
    (void)sigaddset(&mask, SIGTERM);
    (void)sigaddset(&mask, SIGINT);
    if (pthread_sigmask(SIG_SETMASK, &mask, NULL) != 0)
        return -1;
    return signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
}

enum kt_kind keeper_run(const struct keeper_rules *rules, int listener, struct kt_err *err)
{
    struct keeper keeper = {.rules = rules,
                            .listener = listener,
                            .signals = take_signals(),
                            .idle_since_ms = kt_timespec_mono_ms()};
    if (keeper.signals < 0)
        return kt_fail(err, KT_IO, "cannot take signals");
    enum kt_kind kind = watch(&keeper, err);
    for (size_t i = 0; i < PAMD_LOGINS_MAX; i++)
        if (keeper.children[i].pid != 0)
            kill_child(&keeper.children[i]);
    while (wait(NULL) > 0)
        continue;
    (void)close(keeper.signals);
    return kind;
}
