/* agent/child.h - the supervised service and the helpers of its health: one event loop, no threads.
 *
 * What:    child_events() is the one place where signals arrive and processes end. Whoever blocks
 *          somewhere else (an HTTP request) gives up when `fd` gets readable, calls child_events(),
 *          and goes on; so a signal is forwarded at once, whatever the agent is doing.
 * Signals: all that a person sends are forwarded to the service; the first TERM, INT or QUIT begins
 *          its stop time, then KILL goes to its group. What the terminal sends (Ctrl-C) has reached
 *          the service already and asks the agent for nothing; Ctrl-Z stops both. The service starts
 *          with default dispositions, an empty mask, its own process group (unless it has the
 *          terminal), the caller's umask, and none of the agent's descriptors.
 * Owner:   supervisor_open() .. supervisor_close(). One a process.
 * Threads: one. */
#pragma once

#include <signal.h>
#include <sys/types.h>

#include "agent/config.h"
#include "lib/buf.h"
#include "lib/clock.h"

enum child_state { CHILD_NONE, CHILD_RUNNING, CHILD_ENDED };

struct supervisor {
    int fd; /* epoll: readable when there is something for child_events() */
    int signal_fd;
    char *const *argv; /* of the service */
    char **base_env;   /* what every child gets: the caller's, without ours */
    mode_t umask;      /* the caller's */
    int64_t stop_timeout_ms;
    enum child_state state;
    pid_t pid;
    pid_t group;        /* of the service and what it started; 0: it has the terminal, and ours */
    int status;         /* waitid's si_status */
    int code;           /* waitid's si_code */
    int64_t started_ms; /* monotonic */
    int64_t kill_at_ms; /* monotonic; 0: not stopping */
    bool ending;        /* a person asked for the end: no restart any more */
    pid_t helper;       /* 0: none */
    int helper_status, helper_code;
    bool helper_ended;
    int64_t last_start_ms;
};

/* argv: the service's; env: the environment as it was when the agent started. */
enum kt_kind supervisor_open(struct supervisor *s, char *const *argv, char **base_env, mode_t umask,
                             int64_t stop_timeout_ms, struct kt_err *err) KT_MUST_CHECK;
void supervisor_close(struct supervisor *s);

/* Starts the service with extra "NAME=value" entries (NULL ends); they are wiped by the caller.
 * KT_NOT_FOUND: no such program (127); KT_DENIED: cannot be run (126). */
enum kt_kind child_start(struct supervisor *s, char *const *extra_env,
                         struct kt_err *err) KT_MUST_CHECK;
/* Waits up to timeout_ms (-1: for ever, 0: not) for something to happen, and takes care of all that
 * did. True: the service is still running. */
bool child_events(struct supervisor *s, int timeout_ms);
/* TERM, the stop time, KILL; returns when it and all of its group have ended. */
void child_stop(struct supervisor *s);
void child_signal(struct supervisor *s, int signal);
/* Runs a helper (health check, reload command) to its end; its output goes to /dev/null. True: it
 * exited with 0 within the time. Takes care of events meanwhile; ends early when the service has
 * ended for good. */
bool child_helper(struct supervisor *s, char *const *argv, int64_t timeout_ms);
/* A text that names this start of the service among all: pid and start time. */
void child_instance(const struct supervisor *s, char out[64]);
/* It ended, and not with exit status 0. */
bool child_failed(const struct supervisor *s);
/* What the agent exits with for an ended service, or for a signal that came before it was started; a
 * death by signal is repeated on the agent itself (and does not return). */
int child_exit_status(const struct supervisor *s);
