#include "lib/driver/exec_child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/driver/exec_protocol.h"
#include "lib/ipc.h"

#define CHILDREN      "/proc/thread-self/children"
#define CHILDREN_TEXT ((size_t)4096)

enum side { READS, WRITES };
struct pipes {
    int order[2], answer[2], failure[2]; /* failure: the errno of an exec that did not come about */
};
struct talk {
    const struct kt_program *program;
    struct kt_bytes order;
    int64_t deadline;
    struct kt_buf *out;
    struct exec_outcome *ret;
    struct pipes pipes;
    pid_t pid;
    bool reaped;
    int pidfd;
};

bool kt_exec_adopt_orphans(void)
{
    return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0 && access(CHILDREN, R_OK) == 0;
}

/* ---- starting ---- */

static void close_both(int ends[2])
{
    for (int i = READS; i <= WRITES; i++)
        if (ends[i] >= 0)
            (void)close(KT_TAKE_FD(ends[i]));
}

static bool make_pipes(struct pipes *pipes)
{
    *pipes = (struct pipes){{-1, -1}, {-1, -1}, {-1, -1}};
    return pipe2(pipes->order, O_CLOEXEC) == 0 && pipe2(pipes->answer, O_CLOEXEC) == 0 &&
           pipe2(pipes->failure, O_CLOEXEC) == 0 &&
           fcntl(pipes->order[WRITES], F_SETFL, O_NONBLOCK) == 0 &&
           fcntl(pipes->answer[READS], F_SETFL, O_NONBLOCK) == 0;
}

static void close_pipes(struct pipes *pipes)
{
    close_both(pipes->order);
    close_both(pipes->answer);
    close_both(pipes->failure);
}

/* Between fork and exec: only calls that are safe there. */
_Noreturn static void become_program(const struct talk *t, pid_t parent)
{
    union {
        const char *in[PROGRAM_WORDS_MAX + 1];
        char *out[PROGRAM_WORDS_MAX + 1];
    } argv = {.in = {NULL}};
    static char path[] = "PATH=/usr/local/bin:/usr/bin:/bin", lang[] = "LANG=C.UTF-8",
                home[] = "HOME=/nonexistent";
    char *const env[] = {path, lang, home, NULL};
    sigset_t none;
    (void)sigemptyset(&none);
    for (size_t i = 0; i < t->program->command.n; i++)
        argv.in[i] = t->program->command.at[i];
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    bool ok = null >= 0 && dup2(t->pipes.order[READS], 0) == 0 &&
              dup2(t->pipes.answer[WRITES], 1) == 1 && dup2(null, 2) == 2 &&
              close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) == 0 && chdir("/") == 0 &&
              signal(SIGPIPE, SIG_DFL) != SIG_ERR && sigprocmask(SIG_SETMASK, &none, NULL) == 0 &&
              prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent;
    if (ok)
        (void)execve(argv.in[0], argv.out, env);
    int error = errno;
    (void)!write(t->pipes.failure[WRITES], &error, sizeof error);
    _exit(127);
}

/* False: *ret says why it does not run. */
static bool start(struct talk *t)
{
    pid_t parent = getpid();
    t->pid = fork();
    if (t->pid == 0)
        become_program(t, parent);
    int error = errno;
    (void)close(KT_TAKE_FD(t->pipes.order[READS]));
    (void)close(KT_TAKE_FD(t->pipes.answer[WRITES]));
    (void)close(KT_TAKE_FD(t->pipes.failure[WRITES]));
    if (t->pid < 0) {
        *t->ret = (struct exec_outcome){EXEC_NOT_STARTED, error};
        return false;
    }
    /* Ends with the exec, or with the child. */
    ssize_t n = 0;
    do
        n = read(t->pipes.failure[READS], &error, sizeof error);
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)sizeof error) {
        *t->ret = (struct exec_outcome){EXEC_NOT_STARTED, error};
        return false;
    }
    t->pidfd = pidfd_open(t->pid, 0);
    if (t->pidfd < 0)
        *t->ret = (struct exec_outcome){EXEC_LOST, errno};
    return t->pidfd >= 0;
}

/* ---- talking ---- */

/* What it does not read of its order is its own affair: it says so by its answer. */
static void give(struct talk *t)
{
    ssize_t n = write(t->pipes.order[WRITES], t->order.at, t->order.len);
    if (n > 0)
        t->order = kt_bytes(t->order.at + n, t->order.len - (size_t)n);
    bool later = n < 0 && (errno == EAGAIN || errno == EINTR);
    if (t->order.len == 0 || (n < 0 && !later))
        (void)close(KT_TAKE_FD(t->pipes.order[WRITES]));
}

/* False: too long, or no memory. */
static bool take(struct talk *t)
{
    unsigned char part[4096];
    for (;;) {
        ssize_t n = read(t->pipes.answer[READS], part, sizeof part);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n <= 0) {
            (void)close(KT_TAKE_FD(t->pipes.answer[READS]));
            return true;
        }
        bool fits = (size_t)n <= EXEC_ANSWER_MAX - t->out->len;
        if (fits)
            kt_buf_add(t->out, part, (size_t)n);
        explicit_bzero(part, (size_t)n);
        if (!fits || !kt_buf_ok(t->out)) {
            *t->ret = fits ? (struct exec_outcome){EXEC_LOST, ENOMEM}
                           : (struct exec_outcome){EXEC_TOO_LONG, 0};
            return false;
        }
    }
}

static int left_ms(int64_t deadline)
{
    int64_t left = deadline - kt_ipc_deadline(0);
    return left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

/* True: it ended by itself, and all it had said before is in `out`. */
static bool talk(struct talk *t)
{
    for (;;) {
        struct pollfd entries[] = {{.fd = t->pidfd, .events = POLLIN},
                                   {.fd = t->pipes.answer[READS], .events = POLLIN},
                                   {.fd = t->pipes.order[WRITES], .events = POLLOUT}};
        int n = poll(entries, 3, left_ms(t->deadline));
        if (n < 0 && errno != EINTR) {
            *t->ret = (struct exec_outcome){EXEC_LOST, errno};
            return false;
        }
        if (n == 0) {
            *t->ret = (struct exec_outcome){EXEC_LATE, 0};
            return false;
        }
        if (n < 0)
            continue;
        if (entries[2].revents != 0)
            give(t);
        if (t->pipes.answer[READS] >= 0 && (entries[1].revents != 0 || entries[0].revents != 0) &&
            !take(t))
            return false;
        if (entries[0].revents != 0)
            return true;
    }
}

/* ---- ending ---- */

/* False: who they are cannot be seen. */
static bool kill_children(void)
{
    char text[CHILDREN_TEXT];
    kt_autoclose int fd = open(CHILDREN, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (n < 0)
        return false;
    text[n] = '\0';
    /* Cut short it ends within a number, which is not looked at: there is another round. */
    pid_t pid = 0;
    for (const char *c = text; *c != '\0'; c++) {
        if (*c >= '0' && *c <= '9') {
            pid = pid * 10 + (*c - '0');
            continue;
        }
        if (pid > 1)
            (void)kill(pid, SIGKILL);
        pid = 0;
    }
    return true;
}

static void reap(struct talk *t, int *ret_status)
{
    while (waitpid(t->pid, ret_status, 0) < 0 && errno == EINTR)
        continue;
    t->reaped = true;
}

/* The program, and whoever lost his parent since: each that dies hands over its own children. Who cannot be
 * seen is not waited for: he was not killed, and may never end. */
static void end_all(struct talk *t)
{
    if (!t->reaped) {
        (void)kill(t->pid, SIGKILL);
        reap(t, NULL);
    }
    pid_t ended = 0;
    do
        ended = waitpid(-1, NULL, kill_children() ? __WALL : __WALL | WNOHANG);
    while (ended > 0 || (ended < 0 && errno == EINTR));
}

static void judge(struct talk *t)
{
    int status = 0;
    reap(t, &status);
    if (WIFSIGNALED(status))
        *t->ret = (struct exec_outcome){EXEC_SIGNAL, WTERMSIG(status)};
    else if (WEXITSTATUS(status) != 0)
        *t->ret = (struct exec_outcome){EXEC_STATUS, WEXITSTATUS(status)};
    else
        *t->ret = (struct exec_outcome){EXEC_ANSWERED, 0};
}

void kt_exec_call(const struct kt_program *program, struct kt_bytes order, int64_t deadline,
                  struct kt_buf *out, struct exec_outcome *ret)
{
    struct talk t = {.program = program, .order = order, .deadline = deadline, .out = out,
                     .ret = ret, .pid = -1, .pidfd = -1};
    if (!make_pipes(&t.pipes))
        *ret = (struct exec_outcome){EXEC_NOT_STARTED, errno};
    else if (start(&t) && talk(&t))
        judge(&t);
    if (t.pid > 0)
        end_all(&t);
    if (t.pidfd >= 0)
        (void)close(t.pidfd);
    close_pipes(&t.pipes);
}
