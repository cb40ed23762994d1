/* vaultd/auth/revoker.h - the work behind the leases of secrets: each is taken back when it is over, by its engine,
 * as often as that takes.
 *
 * What:    One thread looks at the front of the queue (TABLE_LEASED_DUE) and asks the engine of each lease that is
 *          due; what came of it is committed, many in one batch, several batches in one fold. A lease that failed is
 *          put back into the queue for later, so it stands in nobody's way; one that takes long loses its place among
 *          those that may be asked at one time (REVOKER_FAST), and gives up at its deadline. The store's queue is all
 *          that is kept: after a crash, or sealing, who was asked is asked again.
 * Limits:  REVOKER_FAST under way that were asked less than REVOKER_PATIENCE_MS ago, of one mount half of them;
 *          REVOKER_SLOW that take longer: beyond that the oldest one counts as failed.
 * Counts:  how many leases a mount has, in memory: counted in steps after the start, followed from then on. While
 *          it is counted, it is too small; what changed in the very moment may be counted twice or not.
 * Owner:   the core.
 * Threads: revocation_done(), revoker_count(): any. revoker_run(): any that may block. */
#pragma once

#include "vaultd/auth/leased.h"

#define REVOKER_FAST        256u
#define REVOKER_SLOW        768u
#define REVOKER_PATIENCE_MS 1000
#define REVOKER_DEADLINE_MS 30000

struct revoker;
/* Before the first commit: it follows what becomes due. NULL: no memory. */
struct revoker *revoker_new(struct core *core);
/* Its thread, when all of the core is there. False: it cannot be started. */
bool revoker_start(struct revoker *revoker);
void revoker_stop(struct revoker *revoker); /* may be called twice; before the core seals for the last time */
void revoker_free(struct revoker *revoker);

/* What came of a struct leasing's revoke(). KT_OK: it is taken back, or was before. why: for people, without values;
 * borrowed. A ticket that is not good any more is passed over. */
void revocation_done(struct core *core, uint64_t ticket, enum kt_kind kind, const char *why);

uint64_t revoker_count(struct core *core, const unsigned char scope[BARRIER_SCOPE]);

/* One round, as the thread makes them: commits what came, asks for what is due. *ret_more: another one would find
 * something. KT_CORRUPT: some rows are damaged, all others were looked at. */
enum kt_kind revoker_run(struct core *core, bool *ret_more, struct kt_err *err) KT_MUST_CHECK;
/* Waits until the lease is not what it was any more, or the deadline, of the system's monotonic clock. KT_OK: it is
 * gone. KT_BUSY: it is under way. Anything else: its attempt failed. Outside of the barrier. */
enum kt_kind revoker_await(struct core *core, const unsigned char key[BARRIER_NAME_KEY], int64_t deadline_mono_ms,
                           struct kt_err *err) KT_MUST_CHECK;
