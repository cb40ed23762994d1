/* vaultd/rotation/spawner.h - has one driver step run by a worker process.
 *
 * What:    vaultd never forks once it holds a key. Before that it starts vaultd-spawn, a tiny
 *          process that starts one vaultd-worker per step and hands vaultd a socket to it. The
 *          worker knows its step, nothing else, and ends with it.
 * Use:     spawner_start() once in main: after privileges were dropped (everything it starts runs
 *          as the same user), before threads and before any key. spawner_run() for each step.
 *          At shutdown spawner_interrupt(), wait for the threads in spawner_run(), spawner_stop().
 * Owner:   spawner_start() gives one, spawner_stop() takes it; NULL is fine. vaultd-spawn ends by
 *          itself, with its workers, when vaultd does.
 * Threads: spawner_start(), spawner_stop(): one thread. spawner_run(), spawner_interrupt(): any
 *          thread, several at a time. spawner_run() blocks: a rotation thread, never an HTTP thread.
 * Limits:  SPAWN_WORKERS_MAX steps at a time; one more gets DRIVER_UNREACH, code DRIVER_UNSENT. */
#pragma once

#include "lib/driver/driver.h"
#include "lib/driver/program.h"
#include "lib/fetch.h"

struct spawner;

/* Both paths must name executables; the worker is opened once, now, so that replacing the file
 * changes nothing until vaultd is restarted. KT_IO, with a hint, when either cannot be started.
 * programs: what the driver "exec" may start, borrowed until spawner_stop(); NULL: nothing. */
enum kt_kind spawner_start(const char *spawn_path, const char *worker_path,
                           const struct kt_programs *programs, struct spawner **ret,
                           struct kt_err *err) KT_MUST_CHECK;
const struct kt_programs *spawner_programs(const struct spawner *spawner);
void spawner_stop(struct spawner *spawner);

/* Blocks until the worker answered, ended, or step->timeout_ms (and a second's grace) passed; then
 * it is killed. KT_OK: *ret is written; what the target made is in the arena. A worker that died, was killed, or answered nonsense is
 * DRIVER_UNREACH with code "worker" or "timeout": the effect may have happened. One that could not be started is
 * DRIVER_UNREACH with code DRIVER_UNSENT.
 * KT_INVALID: the step is not well-formed, nothing was started. KT_NO_MEMORY: nothing was started.
 * KT_IO: vaultd-spawn is gone, which the log says once, or interrupted: nothing was started. */
enum kt_kind spawner_run(struct spawner *spawner, const struct driver_step *step, struct kt_arena *arena,
                         struct driver_result *ret, struct kt_err *err) KT_MUST_CHECK;
/* The same for a document: body gets it. KT_IO: it was not fetched, and the text says why. */
enum kt_kind spawner_fetch(struct spawner *spawner, const struct fetch_order *order, struct kt_buf *body,
                           struct kt_err *err) KT_MUST_CHECK;
/* Kills every worker; their steps return DRIVER_UNREACH, later ones KT_IO. */
void spawner_interrupt(struct spawner *spawner);
