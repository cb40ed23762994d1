/* vaultd/core/jobs.h - work that one batch cannot hold, done bit by bit until nothing is left of it.
 *
 * What:    A job is a row in the store, put in the transaction that makes it necessary: a token has
 *          ended, a mount was removed, a secret left versions behind. The housekeeper takes jobs in
 *          turn, gives each what room is left in a batch, and deletes the row when the job is done.
 *          A step may be repeated; after a crash the row is still there.
 * Format:  TABLE_JOB ‖ id16 -> sealed u8 format ‖ u8 kind ‖ subject.
 * Threads: job_put(): any thread with the barrier entered. jobs_run(): any thread that
 *          may block. */
#pragma once

#include "vaultd/core/core.h"

#define JOB_ID 16u

enum job_kind {
    JOB_TOKEN = 1,  /* subject: the token's hash. id: its first half */
    JOB_MOUNT = 2,  /* subject: the scope of its names. id: the same */
    JOB_SECRET = 3, /* subject: scope ‖ path. id: derived */
    JOB_ALIASES = 4,/* subject: the scope of an auth mount. id: derived */
    JOB_WAY = 5,    /* a way to log in was disabled. subject: its scope. id: the same */
    JOB_ROLE = 6,   /* a role was deleted: its secret ids. subject: scope ‖ the role's id. id: that */
    JOB_LEASES = 7, /* subject: i64 made before ‖ a prefix of leases. id: derived */
    JOB_LEASE_PATHS = 8,/* subject: empty. id: fixed */
    JOB_LEASES_FORCE = 9/* as JOB_LEASES: secrets' leases are forgotten */
};

/* Puts the job, or puts it anew. One operation. */
enum kt_kind job_put(struct core *core, struct batch *batch, enum job_kind kind,
                     const unsigned char id[JOB_ID], struct kt_bytes subject, struct kt_err *err)
    KT_MUST_CHECK;
void job_key(const unsigned char id[JOB_ID], unsigned char key[1 + JOB_ID]);

/* One step of a job: it puts into the batch what fits, subtracts from room what that takes
 * (conditions count too), and sets done when it saw that nothing will be left. */
struct job_step {
    struct request *req;
    struct batch *batch;
    int64_t now_ms, life_ms; /* request.h */
    unsigned room;
    bool done;
    struct kt_bytes due_from, due_until; /* keys: this step's share of the tokens that are due; empty: all of them */
    bool of_identities; /* the batch changes some already: identity_job() */
};
typedef enum kt_kind job_fn(struct job_step *step, struct kt_bytes subject, struct kt_err *err);

/* One batch of due tokens and jobs; *ret_more: call again. Blocks for the commit. */
enum kt_kind jobs_run(struct core *core, bool *ret_more, struct kt_err *err) KT_MUST_CHECK;
