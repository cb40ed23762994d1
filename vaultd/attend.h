/* vaultd/attend.h - what the main thread does while the others serve: signals, the store's bad
 * news, and the word with the service manager.
 *
 * SIGTERM, SIGINT: stop. SIGHUP: the caller's reload, on a thread of its own: it waits for files and for
 * audit devices, and while the vault is being sealed; the watchdog and whoever wants to stop do not wait
 * with it: it may go on beside everything that a stop does but freeing. One at a time; what came meanwhile is one more. A broken store ends the loop too. SIGBUS,
 * which the kernel sends when a mapped database file was cut short, says so and ends the process.
 * Owner:   attend_begin() opens, attend_end() closes.
 * Threads: attend_begin(): before threads, so that every thread has the signals blocked.
 *          attend_..._broken(): any thread; they say it, wake the main thread and set the alarm that
 *          ends the process should even the main thread hang. The rest: the main thread.
 * Source:  sd_notify(3), sd_watchdog_enabled(3), signalfd(2). */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "lib/err.h"

typedef void attend_reload_fn(void *arg);

struct attend {
    int signals, broken;
    int reloaded; /* a reload is over */
    attend_reload_fn *reload;
    void *reload_arg;
    pthread_t reloader;
    bool reloading; /* reloader is to be joined */
    bool again;     /* SIGHUP came since it began */
    int64_t beat_ms; /* of the service manager's watchdog; 0: none */
    unsigned end_s;  /* after bad news the process has ended by then, whatever hangs */
};
enum attend_end { ATTEND_STOP, ATTEND_BROKEN };

enum kt_kind attend_begin(struct attend *ret, struct kt_err *err) KT_MUST_CHECK;
void attend_end(struct attend *attend);
/* Until a signal to stop, or until the store or the audit log broke. A reload may still be under way. */
enum attend_end attend_loop(struct attend *attend, attend_reload_fn *fn, void *arg);
/* Waits for it, at most so long: before anything is freed that it uses. False: it is still under way. */
bool attend_settle(struct attend *attend, int wait_ms) KT_MUST_CHECK;
/* A store_broken_fn, and the audit log's; arg is the struct attend. */
void attend_store_broken(void *arg, const char *what);
void attend_audit_broken(void *arg, const char *what);
/* "READY=1" and the like; nothing happens without a service manager. */
void attend_notify(const char *state);
/* After this many seconds the process ends by itself, whatever hangs. */
void attend_deadline(unsigned seconds);
