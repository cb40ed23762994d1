/* vaultd/spawn/main.c - vaultd-spawn: starts one worker per step.
 *
 * It is started before vaultd has any key, because vaultd must not fork later: a child would
 * inherit the memory. It holds nothing itself, parses nine-byte messages (vaultd/spawn/protocol.h),
 * and executes one file, which it opened when it started, with the words of its own command line. A worker
 * leads a process group, and is ended with all of it. One thread, no allocation. */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/ipc.h"
#include "lib/process.h"
#include "vaultd/spawn/protocol.h"

struct worker {
    pid_t pid; /* 0: free */
    uint32_t id;
    int socket; /* the worker's end, to say how it ended */
};

struct spawn {
    int worker_file;
    char **worker_argv;
    int signals;
    struct worker workers[SPAWN_WORKERS_MAX];
};

/* Between fork and exec. What it inherits: the socket as descriptor 3, nothing else. */
_Noreturn static void become_worker(const struct spawn *spawn, int socket)
{
    char *const env[] = {NULL};
    sigset_t none;
    (void)sigemptyset(&none);
    int file = fcntl(spawn->worker_file, F_DUPFD_CLOEXEC, 10);
    int moved = fcntl(socket, F_DUPFD_CLOEXEC, 10);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    /* A worker talks to a foreign server: what it may print is foreign text as well. */
    if (file < 0 || moved < 0 || null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
        dup2(null, 2) < 0 || dup2(moved, SPAWN_FD) < 0)
        _exit(127);
    if (close_range(SPAWN_FD + 1, ~0u, CLOSE_RANGE_CLOEXEC) != 0 ||
        pthread_sigmask(SIG_SETMASK, &none, NULL) != 0 || setsid() < 0 ||
        prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        _exit(127);
    (void)fexecve(file, spawn->worker_argv, env);
    _exit(127);
}

static struct worker *free_worker(struct spawn *spawn)
{
    for (size_t i = 0; i < SPAWN_WORKERS_MAX; i++) {
        if (spawn->workers[i].pid == 0)
            return &spawn->workers[i];
    }
    return NULL;
}

/* Returns 0 or an errno; *ret_socket is vaultd's end. */
static int start_worker(struct spawn *spawn, uint32_t id, int *ret_socket)
{
    struct worker *worker = free_worker(spawn);
    if (worker == NULL)
        return EAGAIN;
    int pair[2];
    if (kt_ipc_pair(pair, NULL) != KT_OK)
        return errno;
    pid_t pid = fork();
    if (pid < 0) {
        int error = errno;
        (void)close(pair[0]);
        (void)close(pair[1]);
        return error;
    }
    if (pid == 0)
        become_worker(spawn, pair[1]);
    *worker = (struct worker){pid, id, pair[1]};
    *ret_socket = pair[0];
    return 0;
}

static bool answer_start(struct spawn *spawn, uint32_t id)
{
    unsigned char message[SPAWN_MESSAGE];
    int socket = -1;
    int error = start_worker(spawn, id, &socket);
    spawn_message(message, SPAWN_START, id, (uint32_t)error);
    enum kt_kind kind = kt_ipc_send(SPAWN_FD, kt_bytes(message, sizeof(message)), &socket,
                                    error == 0 ? 1 : 0, KT_IPC_FOREVER, NULL);
    if (socket >= 0)
        (void)close(socket);
    return kind == KT_OK;
}

/* With what it started and what did not leave its group, which workers' sandboxes forbid. */
static void kill_group(pid_t pid)
{
    if (kill(-pid, SIGKILL) != 0)
        (void)kill(pid, SIGKILL); /* it had no time yet to begin a session */
}

static void kill_workers(const struct spawn *spawn, const uint32_t *id)
{
    for (size_t i = 0; i < SPAWN_WORKERS_MAX; i++) {
        const struct worker *worker = &spawn->workers[i];
        if (worker->pid > 0 && (id == NULL || worker->id == *id))
            kill_group(worker->pid);
    }
}

static void say_ended(struct worker *worker, int status)
{
    unsigned char message[SPAWN_MESSAGE];
    spawn_message(message, SPAWN_ENDED, worker->id, (uint32_t)status);
    /* Nobody may be listening any more; nothing is to be done about it. */
    enum kt_kind ignored =
        kt_ipc_send(worker->socket, kt_bytes(message, sizeof(message)), NULL, 0, 0, NULL);
    (void)ignored;
    (void)close(worker->socket);
    *worker = (struct worker){0};
}

static void reap(struct spawn *spawn)
{
    struct signalfd_siginfo info;
    (void)!read(spawn->signals, &info, sizeof(info)); /* several deaths may be one signal */
    siginfo_t dead = {.si_pid = 0};
    while (waitid(P_ALL, 0, &dead, WEXITED | WNOHANG | WNOWAIT) == 0 && dead.si_pid > 0) {
        int status = 0;
        (void)kill(-dead.si_pid, SIGKILL); /* what it left behind; the number is not free yet */
        (void)waitpid(dead.si_pid, &status, 0);
        for (size_t i = 0; i < SPAWN_WORKERS_MAX; i++) {
            if (spawn->workers[i].pid == dead.si_pid)
                say_ended(&spawn->workers[i], status);
        }
        dead.si_pid = 0;
    }
}

/* False: vaultd is gone, or makes no sense. */
static bool serve_one(struct spawn *spawn)
{
    unsigned char message[SPAWN_MESSAGE];
    size_t len = 0;
    if (kt_ipc_receive(SPAWN_FD, message, sizeof(message), &len, NULL, NULL, KT_IPC_FOREVER,
                       NULL) != KT_OK ||
        len != sizeof(message))
        return false;
    uint32_t id = kt_get_u32(message + 1);
    switch (message[0]) {
    case SPAWN_START:
        return answer_start(spawn, id);
    case SPAWN_KILL:
        kill_workers(spawn, &id);
        return true;
    default:
        return false;
    }
}

static int serve(struct spawn *spawn)
{
    for (;;) {
        struct pollfd entries[] = {{.fd = SPAWN_FD, .events = POLLIN},
                                   {.fd = spawn->signals, .events = POLLIN}};
        if (poll(entries, 2, -1) < 0 && errno != EINTR)
            break;
        if (entries[1].revents != 0)
            reap(spawn);
        if (entries[0].revents != 0 && !serve_one(spawn))
            break;
    }
    kill_workers(spawn, NULL);
    while (wait(NULL) > 0)
        continue;
    return 0;
}

/* It ends with vaultd, not with the signals that a terminal or a service manager sends to all. */
static int prepare_signals(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        (void)sigaction(ignored[i], &ignore, NULL);
    sigset_t mask;
    (void)sigemptyset(&mask);
    (void)sigaddset(&mask, SIGCHLD);
    if (pthread_sigmask(SIG_SETMASK, &mask, NULL) != 0)
        return -1;
    (void)setsid();
    return signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int open_worker(const char *path)
{
    struct stat info;
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int error = fstat(fd, &info) != 0     ? errno
                : !S_ISREG(info.st_mode)  ? EACCES
                : access(path, X_OK) != 0 ? errno
                                          : 0;
    if (error == 0)
        return fd;
    (void)close(fd);
    return -error;
}

int main(int argc, char **argv)
{
    static const struct kt_process_options options = {.inherited_fds = 1};
    struct stat info;
    if (argc < 2 || fstat(SPAWN_FD, &info) != 0 || !S_ISSOCK(info.st_mode)) {
        (void)fprintf(stderr,
                      "vaultd-spawn is started by vaultd; there is nothing to do by hand\n");
        return 1;
    }
    struct kt_err err = {0};
    if (kt_process_start(&options, &err) != KT_OK) {
        (void)fprintf(stderr, "vaultd-spawn: %s\n", err.what);
        return 1;
    }
    static char name[] = "vaultd-worker";
    struct spawn spawn = {.worker_file = open_worker(argv[1]), .worker_argv = argv + 1};
    argv[1] = name;
    int error = spawn.worker_file < 0 ? -spawn.worker_file : 0;
    spawn.signals = prepare_signals();
    if (spawn.signals < 0 && error == 0)
        error = errno;
    unsigned char hello[SPAWN_MESSAGE];
    spawn_message(hello, SPAWN_HELLO, 0, (uint32_t)error);
    if (kt_ipc_send(SPAWN_FD, kt_bytes(hello, sizeof(hello)), NULL, 0, KT_IPC_FOREVER, NULL) !=
            KT_OK ||
        error != 0)
        return 1;
    return serve(&spawn);
}
