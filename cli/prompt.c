/* cli/prompt.c - see cli/prompt.h. */
#include "cli/prompt.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "cli/cli.h"
#include "lib/cleanup.h"

static enum kt_kind ended(struct kt_err *err)
{
    (void)kt_fail(err, KT_GONE, "the standard input ended");
    kt_hint(err, "what is asked for comes from a terminal, or a line of the standard input");
    return KT_GONE;
}

/* Bytes one at a time: what stands behind the newline belongs to the next reader. */
enum kt_kind prompt_line(struct cli *cli, struct kt_buf *ret, struct kt_err *err)
{
    for (;;) {
        char c = 0;
        ssize_t n = read(cli->in_fd, &c, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return kt_fail(err, KT_IO, "cannot read the standard input");
        if (n == 0)
            return ret->len > 0 ? KT_OK : ended(err);
        if (c == '\n')
            return KT_OK;
        kt_buf_add_char(ret, c);
        if (!kt_buf_ok(ret) || ret->len > PROMPT_ANSWER_MAX)
            return kt_fail(err, KT_INVALID, "the line is too long");
    }
}

struct hidden {
    int fd, signals;
    struct termios before;
    sigset_t blocked;
    bool on;
};

static void hidden_end(struct hidden *hidden)
{
    if (hidden->on)
        (void)tcsetattr(hidden->fd, TCSANOW, &hidden->before);
    if (hidden->signals >= 0) {
        (void)close(hidden->signals);
        (void)pthread_sigmask(SIG_SETMASK, &hidden->blocked, NULL);
    }
    hidden->on = false;
    hidden->signals = -1;
}

/* Signals are read from a descriptor meanwhile, so that none comes between echo off and echo on. */
static enum kt_kind hidden_begin(struct hidden *hidden, int fd, struct kt_err *err)
{
    static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
    sigset_t set;
    *hidden = (struct hidden){.fd = fd, .signals = -1};
    (void)sigemptyset(&set);
    for (size_t i = 0; i < sizeof ending / sizeof ending[0]; i++)
        (void)sigaddset(&set, ending[i]);
    (void)pthread_sigmask(SIG_BLOCK, &set, &hidden->blocked);
    hidden->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (hidden->signals < 0 || tcgetattr(fd, &hidden->before) != 0)
        return kt_fail(err, KT_IO, "cannot set up the terminal");
    struct termios quiet = hidden->before;
    quiet.c_lflag &= (tcflag_t) ~(tcflag_t)ECHO;
    quiet.c_lflag |= (tcflag_t)ECHONL;
    hidden->on = tcsetattr(fd, TCSAFLUSH, &quiet) == 0;
    return hidden->on ? KT_OK : kt_fail(err, KT_IO, "cannot turn the terminal's echo off");
}

/* True when there is a line; the signal that came meanwhile otherwise. */
static int wait_for_line(const struct hidden *hidden)
{
    struct pollfd fds[] = {{hidden->fd, POLLIN, 0}, {hidden->signals, POLLIN, 0}};
    for (;;) {
        struct signalfd_siginfo info;
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return 0;
        if (read(hidden->signals, &info, sizeof info) == (ssize_t)sizeof info)
            return (int)info.ssi_signo;
        if ((fds[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
            return 0;
    }
}

enum kt_kind prompt_secret(struct cli *cli, const char *question, struct kt_buf *ret,
                           struct kt_err *err)
{
    if (!cli->in_terminal)
        return kt_fail(err, KT_INVALID, "nobody can be asked: the input is no terminal");
    for (;;) {
        KT_AUTO(hidden_end) struct hidden hidden = {.signals = -1};
        enum kt_kind kind = hidden_begin(&hidden, cli->in_fd, err);
        if (kind != KT_OK)
            return kind;
        (void)!write(cli->err_fd, question, strlen(question)); /* the question may be guessed */
        int came = wait_for_line(&hidden);
        if (came == 0)
            return prompt_line(cli, ret, err);
        hidden_end(&hidden);
        (void)!write(cli->err_fd, "\n", 1); /* as above */
        (void)raise(came);
    }
}
