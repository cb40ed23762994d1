/* cli/move_run.h - one move between two vaults: its sides, what it may do, and what became of each thing.
 *
 * What:    Everything that is moved ends in one of the counts. What cannot be taken is told at once, with
 *          the reason; the move goes on. What would be the same for all the rest (a vault that is away, a
 *          token that ended) stops it: the same command goes on from there, because what is there already
 *          and equal is left as it is.
 * Owner:   the command's; move_run_end() closes the connections and ends the sides.
 * Threads: move_tell() and those below it: any thread. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "cli/move_side.h"
#include "cli/names.h"

enum move_pass { MOVE_COPY, MOVE_COMPARE };
enum move_count {
    MOVE_TAKEN,     /* written, or would be */
    MOVE_SAME,      /* there already */
    MOVE_REFUSED,   /* should have come, did not */
    MOVE_LEFT,      /* cannot come: there is no place for it */
    MOVE_COMPARED,  /* looked at on both sides at the end, and equal */
    MOVE_DIFFERENT, /* and not equal */
    MOVE_VERSIONS,  /* versions that were written */
    MOVE_VALUELESS, /* deleted versions that came without their value */
    MOVE_COUNTS
};

struct move_run {
    struct cli *cli;
    struct move_side from, to;
    struct kt_api *source, *destination; /* the main thread's */
    bool dry, replace;
    void *coming; /* cli/move_write.h */
    bool plain; /* the destination may be a Vault or OpenBao: only what they have is asked of it */
    _Atomic uint64_t counts[MOVE_COUNTS];
    atomic_uint_fast64_t told;
    pthread_mutex_t lock; /* of what follows */
    bool stopped;
    struct kt_err why;
};

/* Connects to both; the sides and the lock (PTHREAD_MUTEX_INITIALIZER) are set. False: said what failed; cli->exit_code is set. */
bool move_run_begin(struct move_run *run);
/* Only to the one here, as the destination: what comes, comes from files. Its side is set by it. */
bool move_run_begin_here(struct move_run *run);
void move_run_end(struct move_run *run);

void move_add(struct move_run *run, enum move_count count, uint64_t more);
uint64_t move_counted(const struct move_run *run, enum move_count count);
/* A line on stderr; of very many only the first 1,000 are told. */
void move_tell(struct move_run *run, const char *format, ...) KT_PRINTF(2, 3);
/* `what` could not be taken: counts it, tells it, and stops the move when it is of no use to go on. */
void move_refused(struct move_run *run, const char *what, const struct kt_err *err);
/* `what` is left where it is, and why. */
void move_left(struct move_run *run, const char *what, const char *why);
bool move_stopped(struct move_run *run);
/* A list of the vault that it comes from; the copying pass tells when it is not whole. False: told why not. */
bool move_names(struct move_run *run, const char *what, const char *path, enum move_pass pass, struct names *ret);
