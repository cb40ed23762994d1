/* vaultd/store/store.h - ordered, transactional bytes; knows nothing of secrets.
 *
 * What:    snapshots, ordered prefix scans, asynchronous commit of batches with preconditions.
 *          Reading never waits for a writer or a network, on any thread. Writing is asynchronous
 *          and only possible on the node that leads. Out-parameters are untouched on error.
 * Words:   a batch is what one request commits; a fold is the batches of many requests in one
 *          engine transaction; a generation numbers folds: u64, +1 each, never reused.
 * Owner:   bytes handed out belong to the snapshot and live until snapshot_end(). A batch copies
 *          what it is given. store_commit() takes the batch.
 * Threads: store_commit(): any thread. A snapshot stays on the thread that began it, inside one
 *          callback: never across a suspend, a commit or a wait. Completions and followers run on
 *          the store thread and take at most some 20 us: copy a result, resume, mark a cache.
 * Limits:  below. A key's first byte names its table; byte 0 is the engine's own.
 * Errors:  enum store_error.
 * Source:  lmdb.h ("Caveats", "Restrictions"). */
#pragma once

#include <stdatomic.h>

#include "lib/err.h"

#define STORE_KEY_MAX     128u
#define STORE_BATCH_OPS   100u                              /* puts + deletes + conditions */
#define STORE_BATCH_BYTES 1048576u                          /* keys + values */
#define STORE_VALUE_MAX   (STORE_BATCH_BYTES - 4096u)
#define STORE_OUTCOME_MAX 4096u                             /* one batch_outcome() record */

struct store;
struct snapshot;
struct cursor;
struct batch;
typedef uint64_t generation; /* 0: never */

struct entry {
    struct kt_bytes key, value;
    generation changed; /* the fold that put it */
};

enum store_error {
    STORE_OK,
    STORE_NOT_FOUND,  /* get, cursor: no such key, end of range */
    STORE_CONFLICT,   /* a condition did not hold; nothing of the batch applied */
    STORE_NOT_LEADER, /* not applied; store_leader() knows who to ask */
    STORE_TOO_LARGE,  /* over a limit above; not applied */
    STORE_NO_MEMORY,  /* not applied, try later */
    STORE_BUSY,       /* queue full, no quorum: not applied, try later */
    STORE_FULL,       /* disk, map or quota full: not applied */
    STORE_UNKNOWN,    /* applied or not; look before trying again */
    STORE_BROKEN      /* corrupt or unsynced: the store has stopped */
};
const char *store_error_text(enum store_error error);

/* ---- reading ---------------------------------------------------------------------------------
 * A snapshot is one generation, whole. 256 may be open at one time, the next gets STORE_BUSY. */
enum store_error snapshot_begin(struct store *store, struct snapshot **ret) KT_MUST_CHECK;
generation snapshot_generation(const struct snapshot *snapshot);
void snapshot_end(struct snapshot *snapshot); /* NULL is fine */
enum store_error snapshot_get(struct snapshot *snapshot, struct kt_bytes key,
                              struct entry *ret) KT_MUST_CHECK;
/* Entries with that prefix and key >= from (empty: the prefix's start), ascending as bytes. Close
 * every cursor before its snapshot ends. STORE_TOO_LARGE: longer than a key can be. */
enum store_error cursor_open(struct snapshot *snapshot, struct kt_bytes prefix,
                             struct kt_bytes from, struct cursor **ret) KT_MUST_CHECK;
enum store_error cursor_next(struct cursor *cursor, struct entry *ret) KT_MUST_CHECK;
void cursor_close(struct cursor *cursor); /* NULL is fine */
/* The first error that a read of this snapshot met, but not finding: what was read is not all there is.
 * Whoever reads much asks once, at the end. */
enum store_error snapshot_error(const struct snapshot *snapshot);

/* ---- writing ---------------------------------------------------------------------------------
 * Conditions see the store as it is before the batch's own changes, every earlier batch of the same
 * fold included. The last put or delete of a key wins. A batch that grew over a limit, or ran out
 * of memory, stays so: store_commit() then completes it with STORE_TOO_LARGE or STORE_NO_MEMORY. */
enum condition {
    KEY_ABSENT,
    KEY_PRESENT,
    KEY_CHANGED_AT,  /* present, and changed == g */
    KEY_NOT_AFTER,   /* absent, or changed <= g: unchanged since snapshot g */
    STORE_GENERATION /* nothing committed since g (maintenance only) */
};
struct batch *batch_new(void); /* NULL: out of memory */
void batch_free(struct batch *batch); /* NULL is fine */
void batch_require(struct batch *batch, enum condition condition, struct kt_bytes key,
                   generation g);
void batch_put(struct batch *batch, struct kt_bytes key, struct kt_bytes value);
void batch_delete(struct batch *batch, struct kt_bytes key);
/* May use the reserve kept back for revoking, expiring and sealing. So may, without asking, a batch
 * that only deletes. */
void batch_relief(struct batch *batch);
/* The request's sealed outcome: kept with those of the whole fold in one value, only if the batch
 * applied. At most one a batch, <= STORE_OUTCOME_MAX. */
void batch_outcome(struct batch *batch, struct kt_bytes record);
/* Something in the batch is made with a key of this age (terms of the keyring, from 1 on). Once
 * store_refuse_older() was called with a higher one, it completes with STORE_CONFLICT, as a condition
 * that does not hold: make it anew. (Who cannot has to be awaited before: vaultd/core/reencrypt.c.)
 * What commits after that call is not older. Not kept. */
void batch_age(struct batch *batch, uint32_t age);
void store_refuse_older(struct store *store, uint32_t age);
/* puts + deletes; 0: nothing would change. One that failed would: its commit says what is wrong. */
unsigned batch_ops(const struct batch *batch);
bool batch_failed(const struct batch *batch);

struct commit_result {
    enum store_error error;
    generation at;      /* STORE_OK: the generation that contains it */
    unsigned place;     /* and its place among the outcomes of that fold, from 0 */
    unsigned condition; /* STORE_CONFLICT: index of the first that failed */
    generation found;   /* and what `changed` was (0: absent) */
};
/* Called exactly once per commit, never from inside store_commit(), on the store thread, when the
 * batch is durable and visible to new snapshots. Completions of one fold come in commit order. */
typedef void store_done_fn(void *arg, const struct commit_result *result);
void store_commit(struct store *store, struct batch *take_batch, store_done_fn *done, void *arg);

/* ---- the audit log's hooks -------------------------------------------------------------------
 * Asked on the store thread before each commit: what the head is to say of the log (u64 fence, u64
 * size, 32 bytes root; all of it synced). Without a witness the head goes on saying what it said:
 * at first zeroes. store_set_witness() returns when no witness is being asked any more; do not call
 * it with a lock held that the witness takes. */
#define STORE_WITNESS_BYTES 48u
typedef void store_witness_fn(void *arg, unsigned char out[STORE_WITNESS_BYTES]);
void store_set_witness(struct store *store, store_witness_fn *witness, void *arg);
/* What the newest committed head says, and the store's history (16 random bytes, new at init). */
void store_head(struct store *store, unsigned char out[STORE_WITNESS_BYTES], generation *ret_at,
                unsigned char history[16]);
/* Outcomes of folds after `after` that are still kept, in (generation, place) order. */
typedef void store_outcome_fn(void *arg, generation at, unsigned place, struct kt_bytes record);
enum store_error store_outcomes(struct store *store, generation after, store_outcome_fn *each,
                                void *arg) KT_MUST_CHECK;
/* The log is synced up to and including the outcomes of g: drop them in a later fold. */
void store_outcomes_synced(struct store *store, generation g);

/* ---- following -------------------------------------------------------------------------------
 * Called for every fold, in order, without gaps, after it is visible. reset: what changed is
 * unknown (restore, rebuild): drop caches. Register before the first commit. */
struct change {
    struct kt_bytes key;
    bool deleted;
};
struct fold_event {
    generation at;
    const struct change *of;
    size_t n;
    bool reset;
};
typedef void store_follow_fn(void *arg, const struct fold_event *event);
/* Only changes whose key begins with prefix; folds without one are not reported. */
enum store_error store_on_fold(struct store *store, struct kt_bytes prefix,
                               store_follow_fn *follow, void *arg) KT_MUST_CHECK;

/* ---- leading ---------------------------------------------------------------------------------
 * On LMDB and in memory the process that holds the lock leads, for ever, with fence 1. */
struct leadership {
    bool leads;
    uint64_t fence;    /* grows with every leadership, never reused */
    int64_t until;     /* CLOCK_BOOTTIME ms; later, answer nothing */
    char address[256]; /* of the leader; empty: none known */
};
void store_leader(struct store *store, struct leadership *ret);

struct store_status {
    uint64_t bytes_used, bytes_max;
    uint64_t bytes_file; /* used pages, and free ones that later commits take first */
    uint64_t entries;
    unsigned queued, queue_max;
    generation at;
    int64_t oldest_snapshot_ms;
    uint64_t folds, batches; /* since open */
};
void store_status(struct store *store, struct store_status *ret);

/* ---- compacting ------------------------------------------------------------------------------
 * Writes what is there into a new file, in order and without the pages that are free, while reads and
 * writes go on; then the new file takes the old one's place and the old one is removed. Of what was
 * deleted or overwritten before it began, nothing is in the new file. Reads never wait; writes wait
 * while the last few changes are written and the files change places. A crash at any moment leaves
 * one valid store; the next open removes the other.
 * Blocks: never on the store thread, nor by somebody who holds a snapshot. It must have returned
 * before store_close(). watch->stop gives it up, as long as the new file is not in place.
 * KT_BUSY: it runs already. KT_PRECONDITION: the engine has no file, or its file system cannot let two
 * folders change places. KT_FULL: no room for the copy. KT_GONE: it was stopped. The store is as it
 * was then. KT_UNKNOWN: the disk failed while the files changed places; the store has stopped. */
#define STORE_COMPACT_PHASES(X)                                                                    \
    X(COMPACT_IDLE, "idle")                                                                        \
    X(COMPACT_COPYING, "copying")                                                                  \
    X(COMPACT_CATCHING_UP, "catching up")                                                          \
    X(COMPACT_SWITCHING, "switching")                                                              \
    X(COMPACT_REMOVING, "removing the old file")                                                   \
    X(COMPACT_DONE, "done")                                                                        \
    X(COMPACT_FAILED, "failed")
#define X(name, text) name,
enum store_compact_phase { STORE_COMPACT_PHASES(X) };
#undef X
const char *store_compact_phase_text(enum store_compact_phase phase);

struct store_compact_state {
    enum store_compact_phase phase;
    uint64_t entries_done, entries_total; /* copied in order; changes that came since are extra */
    uint64_t replayed;                    /* those */
    uint64_t bytes_before, bytes_after;   /* of the file; after: 0 until it is in place */
    int64_t write_wait_us;                /* the longest that it kept the store thread */
    int64_t took_ms;
};
struct store_compact_watch {
    void (*report)(void *arg, const struct store_compact_state *state); /* often; may be NULL */
    void *arg;
    const atomic_bool *stop; /* may be NULL */
};
/* watch may be NULL. *ret is written on success. */
enum kt_kind store_compact(struct store *store, const struct store_compact_watch *watch,
                           struct store_compact_state *ret, struct kt_err *err) KT_MUST_CHECK;
/* Returns when every snapshot that was open at the call has ended. As above for who may call. */
void store_await_snapshots(struct store *store);

/* ---- opening ---------------------------------------------------------------------------------
 * Refused with a message that says what to do: a folder that is missing, not ours, too open
 * (anybody but the owner may read it), read-only, full, on a network file system, held by another
 * vaultd, of a newer format, or damaged. */
enum store_engine { STORE_LMDB, STORE_INMEM };
struct store_config {
    enum store_engine engine;
    const char *path;       /* lmdb: the data folder; "store/" is made in it */
    uint64_t max_bytes;     /* 0: 64 GiB of address space; our own limit grows to it */
    int64_t delay_ms;       /* inmem: each commit is acknowledged this much later (etcd's rhythm) */
};
enum kt_kind store_open(const struct store_config *config, struct store **ret,
                        struct kt_err *err) KT_MUST_CHECK;
/* Finishes what is queued, then closes. Every snapshot must have ended. NULL is fine. */
void store_close(struct store *store);
/* Called once, when a sync or meta write failed or the engine gave up, before anybody is answered; on
 * the thread that found out, so it only notes and wakes. The process must seal and end. */
typedef void store_broken_fn(void *arg, const char *what);
void store_on_broken(struct store *store, store_broken_fn *broken, void *arg);
