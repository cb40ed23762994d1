/* vaultd/auth/revoker_own.h - what the revoker's files share; nobody else includes it.
 *
 * Owner:   the revoker.
 * Threads: what its lock guards, under it. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "vaultd/auth/revoker.h"

#define FLIGHTS (REVOKER_FAST + REVOKER_SLOW)
#define BUCKETS 2048u
#define WHY_MAX 160u

enum flight_state { FLIGHT_FREE, FLIGHT_ASKED, FLIGHT_DONE };

/* One lease whose engine was asked. */
struct flight {
    enum flight_state state;
    uint32_t serial; /* of its ticket */
    uint32_t next;   /* in its bucket, from 1; 0: the last */
    unsigned char key[BARRIER_NAME_KEY], mount[BARRIER_SCOPE];
    int64_t asked_ms; /* monotonic */
    enum kt_kind kind;
    char why[WHY_MAX];
};

struct revoker {
    struct core *core;
    struct leased_counts *counts;
    pthread_t thread;
    bool started;
    pthread_mutex_t running; /* one revoker_run() at a time; ranked above lock */
    pthread_mutex_t lock;
    pthread_cond_t wake, settled; /* with lock; by the monotonic clock */
    bool stopping, woken;         /* guarded by lock, as all below */
    struct flight flights[FLIGHTS];
    uint32_t buckets[BUCKETS];
    uint32_t serial;
};

/* leased_counts.c: how many leases each mount has. */
struct leased_counts *leased_counts_new(struct store *store);
void leased_counts_free(struct leased_counts *counts);
/* A step of counting what was there at the start. False: all is counted, or the store could not be read: once more in
 * the next round. */
bool leased_counts_step(struct leased_counts *counts);
uint64_t leased_counts_of(struct leased_counts *counts, const unsigned char scope[BARRIER_SCOPE]);

/* revoker_settle.c: commits what came of flights. */
struct settling {
    struct flight *at;
    size_t n;
};
enum kt_kind revoker_settle(struct core *core, struct flight *done, size_t n, struct kt_err *err) KT_MUST_CHECK;
