/* vaultd/rotation/rotation.h - the part of the vault that rotates secrets, as the others see it.
 *
 * What:    Between unseal and seal one thread looks at what is due and drives the active runs; a
 *          small pool of threads has drivers carry out steps at targets. Every change of a run is
 *          one request of the vault's own (request_internal(): audited, committed), so a run goes on
 *          after a crash from what is in the store and from what the target answers to a probe.
 *          The engine mounted at rotation/ is the outside of it (docs/api-rotation.md).
 * Owner:   the core makes one, starts it after unsealing, stops it before sealing.
 * Threads: new, free, start, stop: the core's, one at a time. The rest: any thread with the barrier
 *          entered. */
#pragma once

#include "lib/driver/driver.h"
#include "lib/driver/program.h"
#include "vaultd/core/core.h"

struct kv_secret;

/* Who carries out a driver's step. run() blocks and may be called from several threads; it has
 * spawner_run()'s contract, but for what the target made, which it keeps for its thread's next call.
 * interrupt() makes all of them return soon. */
struct rotation_executor {
    enum kt_kind (*run)(void *arg, const struct driver_step *step, struct driver_result *ret,
                        struct kt_err *err);
    void (*interrupt)(void *arg);
    void *arg;
    const struct kt_programs *programs; /* what a target may pick; NULL: nothing */
};

struct rotation *rotation_new(struct core *core); /* NULL: out of memory */
void rotation_free(struct rotation *rotation);    /* NULL is fine; must be stopped */
/* Resumes what was under way, then watches the clock. Errors go to the log, and the runs stand. */
enum kt_kind rotation_start(struct rotation *rotation, struct kt_err *err) KT_MUST_CHECK;
/* The steady clock begins, and the wall clock is trusted as it is: before the first request is let in, whose words are
 * measured by it. The barrier is entered. */
void rotation_clock_set(struct rotation *rotation);
/* No new step begins. One that is at work at a target ends by itself, at its own time limit; nobody
 * takes its result, and the next start looks into what came of it. Blocks for the rotation thread. */
void rotation_stop(struct rotation *rotation);
/* Somebody changed what the rotation thread may wait for. Cheap; any thread, also the store's. */
void rotation_wake(struct rotation *rotation);
/* The clock that waits of runs are measured by (engine.h), which nobody sets. */
int64_t rotation_steady_ms(const struct rotation *rotation);
/* A time of that clock as the wall's has it, for people; 0 stays 0. */
int64_t rotation_wall_of(const struct rotation *rotation, int64_t steady_ms);

/* For the KV read handler, for a secret with has_driver, before its answer leaves: queues one ledger
 * row (secret, version, identity, host) unless it is known to be there. Never waits. */
void rotation_note_read(struct request *req, const struct mount *mount, const char *path,
                        uint32_t version);

/* For KV's writing handlers, for a secret with has_driver: what people may not do to a secret behind
 * its rotation's back. KT_OK, or KT_INVALID with the run that stands in the way and the way out. */
enum rotation_change {
    ROTATION_WRITE,   /* a new version by hand, patch and rollback included */
    ROTATION_DELETE,  /* deletion or destruction of `version` */
    ROTATION_METADATA /* removal of the whole secret */
};
enum kt_kind rotation_allows(struct request *req, const struct mount *mount, const char *path,
                             const struct kv_secret *secret, enum rotation_change change,
                             uint32_t version, struct kt_err *err) KT_MUST_CHECK;

/* Whether a secret in the mount has a rotation. */
enum kt_kind rotation_in_mount(struct request *req, const struct mount *mount, bool *ret, struct kt_err *err)
    KT_MUST_CHECK;

/* Whether certificates that a secret signed are revoked and have not ended. */
enum kt_kind rotation_revokes(struct request *req, const char *issuer, bool *ret, struct kt_err *err) KT_MUST_CHECK;

/* How many secrets the target refuses as they are stored now. It may take long: aside (request_aside()). */
enum kt_kind rotation_count_drifted(struct request *req, size_t *ret, struct kt_err *err) KT_MUST_CHECK;

/* Messages to people, of all channels; counted since vaultd started. */
struct rotation_told {
    uint64_t sent, failed, given_up; /* failed: tries */
    size_t waiting, failing;         /* failing: channels whose last try failed */
    size_t overdue;                  /* secrets, when all were last looked at */
    size_t unreadable;               /* those that cannot be read, then */
    size_t keys_overdue;             /* the key shares, and credentials that open the vault, then */
};
enum kt_kind rotation_count_told(struct request *req, struct rotation_told *ret, struct kt_err *err) KT_MUST_CHECK;

extern const struct engine rotation_engine;
