/* vaultd/auth/revoker_own.h - what the revoker's files share; nobody else includes it.
 *
 * Owner:   the revoker.
 * Threads: what its lock guards, under it. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "vaultd/auth/leased_counts.h"
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
    uint64_t settlements;         /* how often `settled` was told: who looks without the lock sees that it was */
};

/* revoker_settle.c: commits what came of flights. */
struct settling {
    struct flight *at;
    size_t n;
};
enum kt_kind revoker_settle(struct core *core, struct flight *done, size_t n, struct kt_err *err) KT_MUST_CHECK;
