/* vaultd/barrier/gate.h - who is inside, so that sealing can wait for them.
 *
 * What:    A counter of holders spread over cache lines, and a level. Entering is one atomic add
 *          on a line that other threads seldom touch, and one load; no lock. Lowering the level
 *          keeps new ones out, then waits until the counters add up to nothing. Why not
 *          pthread_rwlock: its readers all write one cache line, it starves a writer under steady
 *          reading, and it must be unlocked by the thread that locked it, while a request may end
 *          on another thread than it began.
 * Owner:   part of its owner's struct; gate_init(), gate_destroy().
 * Threads: any thread; gate_lower() never by a holder. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define GATE_SLOTS 16u

enum gate_level { GATE_CLOSED, GATE_EARLY, GATE_OPEN };

/* 64 bytes apart, so that no two counters share a cache line. */
struct gate_slot {
    atomic_long holders;
    char apart[64 - sizeof(atomic_long)];
};

struct gate {
    struct gate_slot slots[GATE_SLOTS];
    atomic_int level;
    pthread_mutex_t lock;
    pthread_cond_t left;
};

void gate_init(struct gate *gate);
void gate_destroy(struct gate *gate);
/* False: the level is lower than wanted, and nothing was entered. */
bool gate_enter(struct gate *gate, enum gate_level wanted);
/* Enters for one who knows that the gate is not closed and nobody can close it now. */
void gate_hold(struct gate *gate);
void gate_leave(struct gate *gate);
void gate_raise(struct gate *gate, enum gate_level level);
/* Waits until nobody is inside who entered before. */
void gate_lower(struct gate *gate, enum gate_level level);
