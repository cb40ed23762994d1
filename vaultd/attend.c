#include "vaultd/attend.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/log.h"

#define END_S 30u /* more than an orderly stop is given */

/* ---- handlers: only what is safe in one ---- */

#define SAY(text) (void)!write(STDERR_FILENO, text, sizeof(text) - 1)

static void on_bus_error(int number)
{
    (void)number;
    SAY("<3>bus_error error=\"a database file shrank while it was mapped, or its disk failed\" "
        "next=\"look at the data folder's disk, then start vaultd again\"\n");
    _exit(1);
}

static void on_deadline(int number)
{
    (void)number;
    SAY("<3>stop_took_too_long next=\"nothing acknowledged is lost; start vaultd again\"\n");
    _exit(1);
}

static bool handle(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    (void)sigemptyset(&action.sa_mask);
    return sigaction(number, &action, NULL) == 0;
}

enum kt_kind attend_begin(struct attend *ret, struct kt_err *err)
{
    static const int ours[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
    sigset_t taken;
    (void)sigemptyset(&taken);
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        (void)sigaddset(&taken, ours[i]);
    struct attend attend = {.signals = -1, .broken = -1, .reloaded = -1, .end_s = END_S};
    if (pthread_sigmask(SIG_BLOCK, &taken, NULL) != 0 || !handle(SIGPIPE, SIG_IGN) ||
        !handle(SIGBUS, on_bus_error) || !handle(SIGALRM, on_deadline))
        return kt_fail(err, KT_IO, "cannot set up signals");
    attend.signals = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
    attend.broken = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    attend.reloaded = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (attend.signals < 0 || attend.broken < 0 || attend.reloaded < 0) {
        enum kt_kind kind = kt_fail(err, KT_IO, "cannot set up signals");
        attend_end(&attend);
        return kind;
    }
    uint64_t watchdog_us = 0;
    if (sd_watchdog_enabled(0, &watchdog_us) > 0)
        attend.beat_ms = (int64_t)(watchdog_us / 3000);
    *ret = attend;
    return KT_OK;
}

void attend_end(struct attend *attend)
{
    int *const all[] = {&attend->signals, &attend->broken, &attend->reloaded};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (*all[i] >= 0)
            (void)close(*all[i]);
        *all[i] = -1;
    }
}

static void broken(const struct attend *attend, const char *event, const char *what)
{
    uint64_t one = 1;
    kt_log(KT_LOG_ERROR, event,
           "error=\"%.300s\" next=\"look at the data folder's disk, then start vaultd again\"",
           what);
    attend_deadline(attend->end_s);
    (void)!write(attend->broken, &one, sizeof one);
}

void attend_store_broken(void *arg, const char *what)
{
    broken(arg, "store_broken", what);
}

void attend_audit_broken(void *arg, const char *what)
{
    broken(arg, "audit_log_broken", what);
}

void attend_notify(const char *state)
{
    (void)sd_notify(0, state); /* nobody listens: nothing to do about it */
}

void attend_deadline(unsigned seconds)
{
    (void)alarm(seconds); /* not blocked: whichever thread is there takes it */
}

/* ---- reloading ---- */

static void *reload_thread(void *arg)
{
    struct attend *attend = arg;
    uint64_t one = 1;
    attend->reload(attend->reload_arg);
    attend_notify("READY=1");
    (void)!write(attend->reloaded, &one, sizeof one);
    return NULL;
}

static void begin_reload(struct attend *attend)
{
    char state[96];
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%lld",
                   (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    attend->again = attend->reloading;
    if (attend->reloading)
        return;
    attend_notify(state);
    errno = pthread_create(&attend->reloader, NULL, reload_thread, attend);
    attend->reloading = errno == 0;
    if (attend->reloading)
        return;
    kt_log(KT_LOG_ERROR, "not_reloaded", "error=\"cannot start a thread: %s\"", kt_errno_text(errno));
    attend_notify("READY=1");
}

static void join_reload(struct attend *attend)
{
    uint64_t ones = 0;
    (void)pthread_join(attend->reloader, NULL);
    (void)!read(attend->reloaded, &ones, sizeof ones);
    attend->reloading = false;
}

bool attend_settle(struct attend *attend, int wait_ms)
{
    struct pollfd over = {.fd = attend->reloaded, .events = POLLIN};
    if (attend->reloading && poll(&over, 1, wait_ms) == 1)
        join_reload(attend);
    return !attend->reloading;
}

static void end_reload(struct attend *attend)
{
    join_reload(attend);
    if (attend->again)
        begin_reload(attend);
}

/* ---- the loop ---- */

/* True: it is time to stop. */
static bool take_signal(struct attend *attend)
{
    struct signalfd_siginfo info;
    while (read(attend->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGHUP) {
            begin_reload(attend);
        } else if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT ||
                   info.ssi_signo == SIGQUIT) {
            kt_log(KT_LOG_NOTICE, "stopping", "signal=%s", sigabbrev_np((int)info.ssi_signo));
            return true;
        }
    }
    return false;
}

enum attend_end attend_loop(struct attend *attend, attend_reload_fn *fn, void *arg)
{
    struct pollfd at[] = {{.fd = attend->signals, .events = POLLIN},
                          {.fd = attend->broken, .events = POLLIN},
                          {.fd = attend->reloaded, .events = POLLIN}};
    attend->reload = fn;
    attend->reload_arg = arg;
    for (;;) {
        int n = poll(at, 3, attend->beat_ms > 0 ? (int)attend->beat_ms : -1);
        if (n < 0 && errno != EINTR)
            return ATTEND_STOP;
        if (attend->beat_ms > 0)
            attend_notify("WATCHDOG=1");
        if (n > 0 && (at[1].revents & POLLIN) != 0)
            return ATTEND_BROKEN;
        if (n > 0 && (at[2].revents & POLLIN) != 0)
            end_reload(attend);
        if (n > 0 && (at[0].revents & POLLIN) != 0 && take_signal(attend))
            return ATTEND_STOP;
    }
}
